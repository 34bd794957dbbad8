"""What is remembered of a scanned repository from one run to the next: commits, places, hashes; never values.

It counts only for the same scanner, rules and version of ours. What was not used for months is removed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import stat
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quub_audit.connectors.repository_places import Place
from quub_audit.connectors.repository_scanner import scan_digest

MAX_BYTES = 16 * 1024 * 1024
"""Of one file: some 300,000 commits. What would be larger is not remembered."""

MAX_FOLDER_BYTES = 16 * MAX_BYTES
MAX_UNUSED_S = 90 * 86_400.0

_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_DIGEST = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannedHistory:
    """Commits that were scanned, and where anything was found in them."""

    commits: frozenset[str]
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannedFiles:
    """Files of a working tree that were scanned."""

    places: Mapping[str, tuple[Place, ...]]
    """Where anything was found, by a hash over path and content; of clean files, nothing."""
    tool: str
    """The scanner that was used."""


class _Kept:
    """One file in a folder that only its owner can enter; anything odd about either, and it counts as empty."""

    def __init__(self, folder: Path, *, kind: str, identity: str, state: str = "") -> None:
        """`state` is what else has to be the same for the content to count."""
        self._folder = folder
        self._file = folder / f"{kind}-{_digest(identity)[:32]}.json"
        self._rules = _digest(f"{scan_digest()}\n{state}")

    def read(self) -> Mapping[str, Any] | None:
        """What was kept with the same scanner and rules."""
        if not self._is_ours(self._folder, stat.S_ISDIR) or not self._is_ours(self._file, stat.S_ISREG):
            return None
        try:
            with self._file.open("rb") as stream:
                kept = json.loads(stream.read(MAX_BYTES + 1))
            os.utime(self._file)
        except (OSError, ValueError, RecursionError):
            return None
        return kept if isinstance(kept, dict) and kept.get("rules") == self._rules else None

    def write(self, document: Mapping[str, Any]) -> None:
        """Keep a document, or nothing; where that is not possible, nothing is kept, and it is no error."""
        content = json.dumps({"rules": self._rules, **document}).encode()
        with contextlib.suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if len(content) > MAX_BYTES or not self._is_ours(self._folder, stat.S_ISDIR):
                self._file.unlink(missing_ok=True)
                return
            handle, name = tempfile.mkstemp(dir=self._folder, prefix=".kept-")
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
            Path(name).replace(self._file)
            self._remove_unused()

    def _remove_unused(self) -> None:
        """Files of repositories that nobody audits any more, and what an ended run left half written."""
        found = [
            path for pattern in ("history-*.json", "tree-*.json", ".kept-*") for path in self._folder.glob(pattern)
        ]
        room, oldest = MAX_FOLDER_BYTES, time.time() - MAX_UNUSED_S
        for about, path in sorted(((path.lstat(), path) for path in found), key=lambda each: -each[0].st_mtime):
            room -= about.st_size
            if room < 0 or about.st_mtime < oldest:
                path.unlink(missing_ok=True)

    @staticmethod
    def _is_ours(path: Path, is_right_kind: Callable[[int], bool]) -> bool:
        """Nobody else can have written it."""
        try:
            about = path.lstat()
        except OSError:
            return False
        return is_right_kind(about.st_mode) and about.st_uid == os.getuid() and not about.st_mode & 0o022


class HistoryCache:
    """What was seen of one history. `boundary` tells where a shallow clone ends: its oldest commits are shown whole."""

    def __init__(self, folder: Path, *, identity: str, boundary: str) -> None:
        self._kept = _Kept(folder, kind="history", identity=identity, state=boundary)

    def load(self) -> ScannedHistory | None:
        """What was seen with the same rules."""
        kept = self._kept.read()
        try:
            if kept is None:
                return None
            places = _places(kept["places"])
            if not all(_HASH.fullmatch(place.commit) for place in places):
                return None
            return ScannedHistory(commits=frozenset(_strings(kept["commits"], _HASH)), places=places)
        except (ValueError, KeyError, TypeError):
            return None

    def save(self, scanned: ScannedHistory) -> None:
        """Remember, or forget what was remembered where that is not possible; never an error."""
        self._kept.write({"commits": sorted(scanned.commits), "places": sorted(scanned.places)})


class TreeCache:
    """What was seen of one working tree."""

    def __init__(self, folder: Path, *, identity: str) -> None:
        self._kept = _Kept(folder, kind="tree", identity=identity)

    def load(self) -> ScannedFiles | None:
        """What was seen with the same rules."""
        kept = self._kept.read()
        try:
            if kept is None or not isinstance(kept["tool"], str):
                return None
            clean: dict[str, tuple[Place, ...]] = dict.fromkeys(_strings(kept["clean"], _DIGEST), ())
            leaky = {digest: _places(kept["leaky"][digest]) for digest in _strings(list(kept["leaky"]), _DIGEST)}
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
        return ScannedFiles(places=clean | leaky, tool=kept["tool"])

    def save(self, scanned: ScannedFiles) -> None:
        """Remember, or forget what was remembered where that is not possible; never an error."""
        clean = sorted(digest for digest, places in scanned.places.items() if not places)
        leaky = {digest: places for digest, places in scanned.places.items() if places}
        self._kept.write({"tool": scanned.tool, "clean": clean, "leaky": leaky})


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _places(values: object) -> tuple[Place, ...]:
    """Raises TypeError for anything but a list with the parts of places."""
    if not isinstance(values, list):
        raise TypeError("no places")
    places = tuple(Place(*value) for value in values)
    wanted = tuple(type(part) for part in _ANY)
    if not all(tuple(map(type, place)) == wanted for place in places):
        raise TypeError("no places")
    return places


_ANY = Place("", "", 0, "")


def _strings(values: object, form: re.Pattern[str]) -> list[str]:
    if not isinstance(values, list) or not all(isinstance(value, str) and form.fullmatch(value) for value in values):
        raise TypeError(f"no list of {form.pattern}")
    return values
