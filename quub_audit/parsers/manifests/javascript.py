"""Lock files of npm (versions 1 to 3), pnpm (5 to 9) and yarn (1 and later)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from quub_audit.parsers.documents import yaml_mapping
from quub_audit.parsers.scans.findings import purl, short
from quub_audit.parsers.source import MAX_DEPTH, Source, mapping, text_of

_VERSION = re.compile(r"[0-9]+\.[0-9A-Za-z.+-]+")
_PNPM_5 = re.compile(r"/?((?:@[^/]+/)?[^/@]+)/([^/_()]+)(?:_.*)?")
_PNPM_6 = re.compile(r"/?((?:@[^/]+/)?[^/@]+)@([^()]+)(?:\(.*\))?")
_YARN_VERSION = re.compile(r'  version:? "?([^"\s]+)"?')
_YARN_RESOLUTION = re.compile(r'  resolution: "?([^"]+?)"?\s*')


def npm_lock(source: Source) -> Iterator[tuple[str, str]]:
    """`packages` since version 2, nested `dependencies` in version 1; links and workspaces are one's own."""
    lock = mapping(source.json(), source, "the lock file")
    if lock.get("lockfileVersion", 1) not in (1, 2, 3):
        raise source.malformed(f"its lockfileVersion is {short(str(lock.get('lockfileVersion')), 20)}, expected 1 to 3")
    if "packages" not in lock:
        yield from _nested(lock, source, 0)
        return
    for place, one in mapping(lock["packages"], source, "packages").items():
        entry = mapping(one, source, "a package")
        _, mark, name = place.rpartition("node_modules/")
        if mark and entry.get("link") is not True:
            yield _package(text_of(entry.get("name")) or name, text_of(entry.get("version")))


def _nested(holder: Mapping[str, Any], source: Source, depth: int) -> Iterator[tuple[str, str]]:
    if depth > MAX_DEPTH:
        raise source.malformed("its dependencies are nested too deeply")
    for name, one in mapping(holder.get("dependencies") or {}, source, "dependencies").items():
        entry = mapping(one, source, "a dependency")
        version = text_of(entry.get("version"))
        if version.startswith("npm:"):  # an alias: npm:lodash@4.17.15
            called, _, version = version[4:].rpartition("@")
            yield _package(called, version)
        elif not version.startswith("file:"):
            yield _package(name, version)
        yield from _nested(entry, source, depth + 1)


def pnpm_lock(source: Source) -> Iterator[tuple[str, str]]:
    """Keys of `packages`: `/name/1.0.0_peers`, `/name@1.0.0(peers)`, since version 9 without the first slash."""
    lock = yaml_mapping(source)
    version = str(lock.get("lockfileVersion")).partition(".")[0]
    if version not in ("5", "6", "9"):
        raise source.malformed(f"its lockfileVersion is {short(version, 20)}, expected 5, 6 or 9")
    form = _PNPM_5 if version == "5" else _PNPM_6
    for key in mapping(lock.get("packages") or {}, source, "packages"):
        found = form.fullmatch(str(key))
        if found:
            yield _package(found[1], found[2])
        elif not str(key).startswith(("file:", "link:")):
            yield "", f"{short(str(key), 100)} is not from a registry"


def yarn_lock(source: Source) -> Iterator[tuple[str, str]]:
    """Blocks that begin with what was asked for, and say what it came to."""
    spec = version = resolution = ""
    for line in (*source.text().splitlines(), "end:"):
        if line[:1] not in ("", " ", "#"):
            if spec and version:
                yield from _yarn(spec, version, resolution)
            spec, version, resolution = line.rstrip(":").split(",")[0].strip().strip('"'), "", ""
        elif found := _YARN_VERSION.fullmatch(line.rstrip()):
            version = version or found[1]
        elif found := _YARN_RESOLUTION.fullmatch(line):
            resolution = found[1]


def _yarn(spec: str, version: str, resolution: str) -> Iterator[tuple[str, str]]:
    if spec == "__metadata" or "@workspace:" in (resolution or spec) or "@link:" in spec or "@file:" in spec:
        return
    name, wanted = _split(resolution or spec)
    if wanted.startswith("npm:") and "@" in wanted[5:]:
        name = _split(wanted[4:])[0]
    if "git" in wanted.partition(":")[0] or wanted.startswith(("http:", "https:", "git")):
        yield "", f"{short(name, 100)} is not from a registry"
    else:
        yield _package(name, version)


def _split(spec: str) -> tuple[str, str]:
    """`@scope/name@range` as name and range."""
    at = spec.find("@", 1)
    return (spec[:at], spec[at + 1 :]) if at > 0 else (spec, "")


def _package(name: str, version: str) -> tuple[str, str]:
    if name and _VERSION.fullmatch(version):
        return purl("npm", name, version), ""
    return "", f"{short(name, 100) or 'a package'} is not from a registry"
