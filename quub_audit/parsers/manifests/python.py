"""Lock files of Poetry, uv and Pipenv, and files of requirements."""

from __future__ import annotations

import re
from collections.abc import Iterator

from quub_audit.parsers.documents import toml_mapping
from quub_audit.parsers.scans.findings import purl, short
from quub_audit.parsers.source import Source, list_in, mapping, text_of

_OWN = frozenset({"editable", "virtual", "directory", "path"})
_PINNED = re.compile(
    r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*===?\s*([0-9][0-9A-Za-z.!+_-]*)\s*((?:;[^#]*?)?)"
    r"((?:\s--hash[= ]\S+)*)\s*"
)
_OPTIONS = re.compile(
    r"--?(i|f|index-url|extra-index-url|find-links|no-index|no-binary|only-binary|prefer-binary|pre|trusted-host"
    r"|require-hashes|use-feature)\b.*"
)


def toml_lock(source: Source) -> Iterator[tuple[str, str]]:
    """`[[package]]` of poetry.lock and uv.lock; what lies in the repository itself is one's own."""
    for each in list_in(toml_mapping(source), "package", source):
        package = mapping(each, source, "a package")
        name, origin = text_of(package.get("name")), mapping(package.get("source") or {}, source, "source")
        if origin.get("type") == "directory" or not _OWN.isdisjoint(origin):
            continue
        if (
            origin.get("type") in ("git", "url", "file")
            or "git" in origin
            or ("url" in origin and "type" not in origin)
        ):
            yield "", f"{short(name, 100)} is not from a registry"
        else:
            yield _package(name, text_of(package.get("version")))


def pipfile_lock(source: Source) -> Iterator[tuple[str, str]]:
    """`default`, `develop` and other categories of Pipfile.lock."""
    lock = mapping(source.json(), source, "the lock file")
    for category, packages in lock.items():
        if category.startswith("_"):
            continue
        for name, one in mapping(packages, source, category).items():
            entry = mapping(one, source, "a package")
            if "path" not in entry and entry.get("editable") is not True:
                yield _package(name, text_of(entry.get("version")).removeprefix("=="))


def requirements(source: Source) -> Iterator[tuple[str, str]]:
    """Lines that pin one version; whatever else stands there is named."""
    for number, line in _logical_lines(source):
        found = _PINNED.fullmatch(line)
        if found:
            yield _package(found[1], found[2])
        elif not _OPTIONS.fullmatch(line):
            called = re.split(r"[\s;=<>!~\[@]", line, maxsplit=1)[0]
            yield "", f"line {number}: {short(called, 60)} is not pinned to one version of a registry"


def _logical_lines(source: Source) -> Iterator[tuple[int, str]]:
    """Logical lines without comments, and where they begin."""
    joined, begins = "", 0
    for number, line in enumerate(source.text().splitlines(), start=1):
        begins = begins or number
        joined += line.rstrip("\\") if line.endswith("\\") else line
        if line.endswith("\\"):
            continue
        whole = " ".join(re.sub(r"(^|\s)#.*$", "", joined).split())
        if whole:
            yield begins, whole
        joined, begins = "", 0
    if joined.strip():
        yield begins, " ".join(joined.split())


def _package(name: str, version: str) -> tuple[str, str]:
    if name and version:
        return purl("pypi", name, version), ""
    return "", f"{short(name, 100) or 'a package'} is not pinned to one version of a registry"
