"""Files that say which packages are installed, and in which version.

Source: the documentation of each tool. What has no version of a registry (a branch of git, an archive, a range) is
named in `Manifest.unread`: nobody can look it up.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterator, Mapping

from quub_audit.errors import Malformed
from quub_audit.facts.dependencies import Manifest
from quub_audit.parsers.manifests.javascript import npm_lock, pnpm_lock, yarn_lock
from quub_audit.parsers.manifests.others import bundler_lock, go_mod, maven_pom
from quub_audit.parsers.manifests.python import pipfile_lock, requirements, toml_lock
from quub_audit.parsers.scans.findings import short
from quub_audit.parsers.source import Source

Entry = tuple[str, str]
"""A purl and no reason, or no purl and the reason why there is none."""

MANIFESTS: Mapping[str, tuple[str, Callable[[Source], Iterator[Entry]]]] = {
    "package-lock.json": ("npm", npm_lock),
    "npm-shrinkwrap.json": ("npm", npm_lock),
    "pnpm-lock.yaml": ("npm", pnpm_lock),
    "yarn.lock": ("npm", yarn_lock),
    "poetry.lock": ("pypi", toml_lock),
    "uv.lock": ("pypi", toml_lock),
    "Pipfile.lock": ("pypi", pipfile_lock),
    "requirements*.txt": ("pypi", requirements),
    "go.mod": ("golang", go_mod),
    "pom.xml": ("maven", maven_pom),
    "Gemfile.lock": ("gem", bundler_lock),
    "Dockerfile": ("docker", lambda source: iter(())),
    "*.Dockerfile": ("docker", lambda source: iter(())),
    "Dockerfile.*": ("docker", lambda source: iter(())),
}
"""By names of files, in which `*` stands for anything: purl's name of the ecosystem, and the reader."""

MAX_UNREAD = 20


def read_manifest(path: str, source: Source) -> Manifest | None:
    """What the file says; None for a file of another name. One that cannot be read says so in `unread`."""
    name = path.rpartition("/")[2]
    known = next((MANIFESTS[pattern] for pattern in MANIFESTS if fnmatch.fnmatchcase(name, pattern)), None)
    if known is None:
        return None
    ecosystem, read = known
    packages: dict[str, None] = {}
    unread: list[str] = []
    try:
        for package, why in read(source):
            if package:
                packages[package] = None
            elif len(unread) < MAX_UNREAD:
                unread.append(short(why))
    except Malformed as error:
        unread.append(short(error.message))
    return Manifest(path=path, ecosystem=ecosystem, packages=tuple(packages), unread=tuple(unread))
