"""go.mod, pom.xml and Gemfile.lock."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from xml.etree.ElementTree import Element

from quub_audit.parsers.scans.findings import purl, short
from quub_audit.parsers.source import Source, local_name

_REQUIRE = re.compile(r"(?:require\s+)?([^\s()=]+)\s+(v[0-9][^\s]*)")
_REPLACE = re.compile(r"(?:replace\s+)?([^\s()]+)(?:\s+v\S+)?\s*=>\s*([^\s()]+)(?:\s+(v\S+))?")
_GEM = re.compile(r"    ([A-Za-z0-9][\w.-]*) \(([0-9][^\s)-]*)(?:-[^)]*)?\)")
_PROPERTY = re.compile(r"\$\{([^{}]+)\}")


def go_mod(source: Source) -> Iterator[tuple[str, str]]:
    """Every module of the build, since Go 1.17 those that others bring too; `replace` counts."""
    wanted: dict[str, str] = {}
    replaced: dict[str, tuple[str, str]] = {}
    block = ""
    for line in source.text().splitlines():
        text = line.partition("//")[0].strip()
        if text.endswith("("):
            block = text[:-1].strip()
        elif text == ")":
            block = ""
        elif (block or text.partition(" ")[0]) == "require" and (found := _REQUIRE.fullmatch(text)):
            wanted[found[1]] = found[2]
        elif (block or text.partition(" ")[0]) == "replace" and (found := _REPLACE.fullmatch(text)):
            replaced[found[1]] = (found[2], found[3] or "")
    for name, version in wanted.items():
        called, at = replaced.get(name, (name, version))
        yield (purl("golang", called, at), "") if at else ("", f"{short(name, 100)} is replaced by a folder")


def maven_pom(source: Source) -> Iterator[tuple[str, str]]:
    """Dependencies with a version of their own. It is no lock file: what they bring along is not in it."""
    root = source.xml()
    properties = {
        local_name(each): (each.text or "").strip() for part in _children(root, "properties") for each in part
    }
    properties |= {f"project.{name}": _text(root, name) for name in ("version", "groupId", "artifactId")}

    def resolved(text: str) -> str:
        return _PROPERTY.sub(lambda found: properties.get(found[1], found[0]), text)

    managed = {
        _named(each, resolved): resolved(_text(each, "version"))
        for management in _children(root, "dependencyManagement")
        for group in _children(management, "dependencies")
        for each in _children(group, "dependency")
    }
    for group in _children(root, "dependencies"):
        for each in _children(group, "dependency"):
            name = _named(each, resolved)
            version = resolved(_text(each, "version")) or managed.get(name, "")
            if re.fullmatch(r"[0-9A-Za-z][0-9A-Za-z._+-]*", version):
                yield purl("maven", name, version), ""
            else:
                yield "", f"{short(name, 100)} has no version in this file"
    yield "", "what the dependencies bring along is not in this file"


def _children(element: Element, name: str) -> Iterator[Element]:
    return (each for each in element if local_name(each) == name)


def _text(element: Element, name: str) -> str:
    return next(((each.text or "").strip() for each in _children(element, name)), "")


def _named(element: Element, resolved: Callable[[str], str]) -> str:
    return f"{resolved(_text(element, 'groupId'))}:{resolved(_text(element, 'artifactId'))}"


def bundler_lock(source: Source) -> Iterator[tuple[str, str]]:
    """`specs` of the section GEM; those of PATH are one's own, those of GIT have no version."""
    section = ""
    for line in source.text().splitlines():
        if line and not line.startswith(" "):
            section = line.strip()
        elif found := _GEM.fullmatch(line.rstrip()):
            if section == "GEM":
                yield purl("gem", found[1], found[2]), ""
            elif section == "GIT":
                yield "", f"{found[1]} is not from a registry"
