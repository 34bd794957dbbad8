"""What is remembered of a scanned repository from one run to the next: commits, places, hashes; never values."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import stat
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from quub_audit.connectors.repository_scanner import rules_digest

MAX_BYTES = 16 * 1024 * 1024
MAX_TIPS = 1000
"""Branches and tags of the largest history that is remembered; they stand in the scanner's arguments."""

_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class Place(NamedTuple):
    """Where the scanner found something."""

    commit: str
    path: str
    line: int
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanned:
    """A history that was scanned: everything that `tips` lead to, down to `depth` commits."""

    depth: int
    is_cut: bool
    """There were more commits than `depth`."""
    tips: tuple[str, ...]
    places: tuple[Place, ...]
    """Where anything was found."""


class _Kept:
    """One file in a folder that only its owner can enter; anything odd about either, and it counts as empty."""

    def __init__(self, folder: Path, *, kind: str, identity: str) -> None:
        self._folder = folder
        digest = hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()
        self._file = folder / f"{kind}-{digest[:32]}.json"

    def read(self) -> Mapping[str, Any] | None:
        """What was kept with the same scanner and rules."""
        if not self._is_ours(self._folder, stat.S_ISDIR) or not self._is_ours(self._file, stat.S_ISREG):
            return None
        try:
            with self._file.open("rb") as stream:
                kept = json.loads(stream.read(MAX_BYTES))
        except (OSError, ValueError, RecursionError):
            return None
        return kept if isinstance(kept, dict) and kept.get("rules") == rules_digest() else None

    def write(self, document: Mapping[str, Any] | None) -> None:
        """Keep a document, or nothing; where that is not possible, nothing is kept, and it is no error."""
        with contextlib.suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if document is None or not self._is_ours(self._folder, stat.S_ISDIR):
                self._file.unlink(missing_ok=True)
                return
            handle, name = tempfile.mkstemp(dir=self._folder, prefix=".kept-")
            with os.fdopen(handle, "w") as stream:
                json.dump({"rules": rules_digest(), **document}, stream)
            Path(name).replace(self._file)

    @staticmethod
    def _is_ours(path: Path, is_right_kind: Callable[[int], bool]) -> bool:
        """Nobody else can have written it."""
        try:
            about = path.lstat()
        except OSError:
            return False
        return is_right_kind(about.st_mode) and about.st_uid == os.getuid() and not about.st_mode & 0o022


class HistoryCache:
    """What was seen of one history."""

    def __init__(self, folder: Path, *, identity: str) -> None:
        self._kept = _Kept(folder, kind="history", identity=identity)

    def load(self, *, depth: int, is_known: Callable[[str], bool]) -> Scanned | None:
        """What was seen with the same rules, at least as deep; only tips that still are in the history."""
        kept = self._kept.read()
        try:
            if kept is None:
                return None
            scanned = Scanned(
                depth=int(kept["depth"]),
                is_cut=bool(kept["is_cut"]),
                tips=_hashes(kept["tips"]),
                places=_places(kept["places"]),
            )
        except (ValueError, KeyError, TypeError):
            return None
        tips = tuple(tip for tip in scanned.tips if is_known(tip))
        if not tips or (scanned.is_cut and depth > scanned.depth):
            return None
        return replace(scanned, tips=tips)

    def save(self, scanned: Scanned) -> None:
        """Remember, or forget what was remembered where that is not possible; never an error."""
        is_small = len(scanned.tips) <= MAX_TIPS
        self._kept.write(asdict(scanned) if is_small else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanFiles:
    """Files of a working tree in which nothing was found."""

    digests: frozenset[str]
    """Hashes over path and content."""
    tool: str
    """The scanner that found nothing."""


class TreeCache:
    """What was seen of one working tree."""

    def __init__(self, folder: Path, *, identity: str) -> None:
        self._kept = _Kept(folder, kind="tree", identity=identity)

    def load(self) -> CleanFiles | None:
        """What was seen with the same rules."""
        kept = self._kept.read()
        if kept is None or not isinstance(kept.get("digests"), list) or not isinstance(kept.get("tool"), str):
            return None
        if not all(isinstance(digest, str) for digest in kept["digests"]):
            return None
        return CleanFiles(digests=frozenset(kept["digests"]), tool=kept["tool"])

    def save(self, clean: CleanFiles) -> None:
        """Remember, or forget what was remembered where that is not possible; never an error."""
        self._kept.write({"digests": sorted(clean.digests), "tool": clean.tool})


def _places(values: object) -> tuple[Place, ...]:
    if not isinstance(values, list):
        raise TypeError("no places")
    places = tuple(Place(*value) for value in values)
    _hashes([place.commit for place in places])
    if not all(type(place.line) is int and type(place.path) is type(place.rule) is str for place in places):
        raise TypeError("no places")
    return places


def _hashes(values: object) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) and _HASH.fullmatch(value) for value in values):
        raise TypeError("no commits")
    return tuple(values)
