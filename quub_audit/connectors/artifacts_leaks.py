"""Credentials in files that others may see: images saved as an archive, logs of CI, build outputs.

Archives are unpacked by their content and not by their names, since the layers of an OCI layout are called by their
digest, and scanned by the scanner and rules of repositories. Files lie under neutral names in a temporary folder for as
long as that takes. What cannot be unpacked is an error in the file itself and in what it holds (the layers of an
image); further inside, where software ships broken archives to test itself, it is scanned as it is.
"""

from __future__ import annotations

import io
import json
import re
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import IO, cast

from quub_audit.connectors.artifacts_archive import refuse_endless_list
from quub_audit.connectors.base import seconds_left
from quub_audit.connectors.found_files import BROKEN, is_packed, unpacked
from quub_audit.connectors.identity_http import one_line
from quub_audit.connectors.repository_scanner import Hit, Scanner
from quub_audit.connectors.repository_secrets import GENERIC_RULES, sample_reason
from quub_audit.connectors.scratch import Scratch
from quub_audit.connectors.web_assets import PUBLISHABLE
from quub_audit.errors import Malformed
from quub_audit.facts.artifacts import Leaks, Origin
from quub_audit.facts.code import LeakedSecret
from quub_audit.facts.seal import Fingerprint, Sealer
from quub_audit.model.finding import Location
from quub_audit.parsers.source import Source

MAX_BYTES = 8 << 30
"""Written to the temporary folder for one file, unpacked at every level."""

MAX_MEMBERS = 500_000
"""Of all archives inside one file; links and folders count."""

MAX_DEPTH = 8
"""Of archives inside one another; some hold themselves."""

STRICT_DEPTH = 2
"""Names on the way to what has to be unpacked: the file, and its members."""

MAX_CONFIG_BYTES = 4 << 20
"""Of the configuration of an image."""

_HEAD_BYTES = 262
_CHUNK_BYTES = 1 << 20
_HEX = re.compile(r"[0-9A-Fa-f]+")
_DAMAGED = (
    *BROKEN,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    ValueError,
    struct.error,
    tarfile.TarError,
    zipfile.BadZipFile,
)
"""What is raised for archives that are broken, encrypted, or of a kind that nobody knows."""

MAX_HEADER_BYTES = 16 << 20
"""Of what is read into memory at once: names and attributes of a member of a tar archive."""

Way = tuple[str, ...]
"""The name of the file, then that of a member of it, then that of a member of this one."""


def read_leaks(source: Source, *, scanner: Scanner, sealer: Sealer) -> tuple[Leaks]:
    """What stands in one file and in all that it holds. Raises Malformed, TimedOut, Unsupported, OSError."""
    with closing(Scratch("leaks")) as scratch:
        unpacking = _Unpacking(scratch.path, source.name)
        with source.open() as stream:
            unpacking.take(cast("io.BufferedIOBase", stream), (source.name,))
        report = scanner.scan_tree(scratch.path, pruned=(), label=source.name)
    hits = sorted(report.hits, key=lambda hit: (hit.path, hit.line, hit.column, hit.rule))
    tool, _, version = report.tool.partition(" ")
    return (
        Leaks(
            origin=Origin(file=source.name, tool=tool, version=version),
            secrets=tuple(_sealed(hits, unpacking, sealer)),
            files_scanned=len(unpacking.ways),
        ),
    )


class _Unpacking:
    """Puts a file, and whatever is packed in it, into a folder."""

    def __init__(self, folder: Path, label: str) -> None:
        self._folder = folder
        self._label = label
        self._bytes_left = MAX_BYTES
        self._members_left = MAX_MEMBERS
        self._count = 0
        self.ways: dict[str, Way] = {}
        """Of all files in the folder, by their names there."""
        self.configs: set[str] = set()
        """Those that are the configuration of an image."""

    def take(self, stream: io.BufferedIOBase, way: Way, depth: int = 0) -> None:
        """Keep what the stream has, or what is packed in it."""
        self._count += 1
        # The scanner passes over some kinds of files, by their names.
        path = self._folder / f"{self._count:07}.txt"
        self.ways[path.name] = way
        with path.open("wb") as kept:
            while chunk := stream.read1(_CHUNK_BYTES):  # unlike read, it gives what comes before damage
                seconds_left()
                self._bytes_left -= len(chunk)
                if self._bytes_left < 0:
                    raise Malformed(f"{self._label} unpacks to more than {MAX_BYTES >> 20} MiB")
                kept.write(chunk)
        if not path.stat().st_size or (depth < MAX_DEPTH and self._has_unpacked(path, way, depth + 1)):
            path.unlink()
            del self.ways[path.name]
        elif len(way) == STRICT_DEPTH and _is_config(path):
            self.configs.add(path.name)

    def _has_unpacked(self, path: Path, way: Way, depth: int) -> bool:
        """Whether all of it is in other files now."""
        try:
            with path.open("rb") as file:
                return self._unpack(file, way, depth)
        except Malformed:
            if len(way) <= STRICT_DEPTH or self._bytes_left < 0 or self._members_left < 0:
                raise
            return False
        except (*_DAMAGED, OSError) as error:
            if isinstance(error, OSError) and error.errno:  # of the disk; readers of gzip and bzip2 raise it without
                raise
            if len(way) > STRICT_DEPTH:
                return False
            raise Malformed(f"{shown(way)} cannot be unpacked: {one_line(error)}") from error

    def _unpack(self, file: IO[bytes], way: Way, depth: int) -> bool:
        head = file.read(_HEAD_BYTES)
        file.seek(0)
        if is_packed(head):
            with unpacked(file, head) as stream:
                self.take(stream, way, depth)
        elif head.startswith(b"PK\x03\x04"):
            self._unpack_zip(file, way, depth)
        elif head[257:] == b"ustar":
            self._unpack_tar(file, way, depth)
        else:
            return False
        return True

    def _unpack_zip(self, file: IO[bytes], way: Way, depth: int) -> None:
        refuse_endless_list(file, shown(way))
        with zipfile.ZipFile(file) as archive:
            for info in archive.infolist():
                self._count_member()
                if not info.is_dir():
                    with archive.open(info) as stream:
                        self.take(cast("io.BufferedIOBase", stream), (*way, info.filename), depth)

    def _unpack_tar(self, file: IO[bytes], way: Way, depth: int) -> None:
        careful = cast("IO[bytes]", _Headers(file, shown(way)))
        with tarfile.open(fileobj=careful, mode="r:") as archive:
            while (info := archive.next()) is not None:
                self._count_member()
                stream = archive.extractfile(info) if info.isreg() else None
                if stream is not None:
                    with stream:
                        self.take(cast("io.BufferedIOBase", stream), (*way, info.name), depth)
                archive.members = []  # type: ignore[attr-defined]  # it keeps each member for ever
            # Where a header is broken or missing it just stops, as if the archive ended.
            file.seek(archive.offset)
            if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                raise EOFError("it is cut off or damaged")

    def _count_member(self) -> None:
        seconds_left()
        self._members_left -= 1
        if self._members_left < 0:
            raise Malformed(f"{self._label} holds more than {MAX_MEMBERS} files")


class _Headers:
    """A tar archive whose headers cannot fill the memory."""

    def __init__(self, file: IO[bytes], label: str) -> None:
        self._file = file
        self._label = label
        self.seek = file.seek
        self.tell = file.tell

    def read(self, size: int, /) -> bytes:
        """As of a file. Raises Malformed."""
        if size > MAX_HEADER_BYTES:
            raise Malformed(f"{self._label} has a header of more than {MAX_HEADER_BYTES >> 20} MiB")
        return self._file.read(size)


def shown(way: Way) -> str:
    """A way as people read it: `image.tar!blobs/sha256/...!app/.env`."""
    return "!".join("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name) for name in way)


def _is_config(path: Path) -> bool:
    """Whether it is the configuration of an image, of Docker's form or OCI's."""
    if path.stat().st_size > MAX_CONFIG_BYTES:
        return False
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict) and isinstance(document.get("config"), dict) and "Env" in document["config"]


def _sealed(hits: list[Hit], unpacking: _Unpacking, sealer: Sealer) -> Iterator[LeakedSecret]:
    """Each value once per file and rule."""
    seen: set[tuple[Way, str, str]] = set()
    precise = {(hit.path, hit.value) for hit in hits if not GENERIC_RULES.match(hit.rule)}
    for hit in hits:
        way = unpacking.ways[hit.path]
        is_generic = bool(GENERIC_RULES.match(hit.rule))
        if is_generic and (hit.path, hit.value) in precise:
            continue
        is_publishable = bool(PUBLISHABLE.match(hit.value))
        fingerprint = sealer.seal(hit.value, is_struck=not is_publishable)
        key = (way, hit.rule, fingerprint.digest)
        if key in seen:
            continue
        seen.add(key)
        # Who built an image set its variables; official ones hold fingerprints and checksums, in hexadecimal.
        is_set = hit.path in unpacking.configs and not _HEX.fullmatch(hit.value)
        is_certain = is_set or (hit.confidence == "high" and not is_generic)
        reason = _reason(hit, way, fingerprint, is_publishable=is_publishable, is_certain=is_certain)
        yield LeakedSecret(
            rule=hit.rule,
            description=sealer.redactor.clean(hit.description),
            location=Location(file=shown(way), line=hit.line, column=hit.column),
            fingerprint=fingerprint,
            is_in_tree=True,
            is_sample=bool(reason),
            sample_reason=reason,
        )


def _reason(hit: Hit, way: Way, fingerprint: Fingerprint, *, is_publishable: bool, is_certain: bool) -> str:
    if is_publishable:
        return "made for browsers"
    # Where the file lies on this machine says nothing of what it is.
    path = way[-1] if len(way) > 1 else Path(way[0]).name
    reason = sample_reason(hit, path, fingerprint)
    return reason or ("" if is_certain else "only its name or its randomness speaks for a secret")
