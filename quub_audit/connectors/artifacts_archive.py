"""ZIP archives in which CI keeps artifacts: looked into, never unpacked to the disk.

Members are read as streams, so that no name of theirs leads anywhere. Encrypted ones, names that stand twice, and those
that would unpack to more than `MAX_UNPACKED_BYTES` are refused.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, BinaryIO, cast

from pathspec import GitIgnoreSpec

from quub_audit.connectors.base import seconds_left
from quub_audit.connectors.found_files import MAX_FILES, NotRead
from quub_audit.connectors.identity_http import one_line
from quub_audit.errors import Absent, Malformed

MAX_UNPACKED_BYTES = 8 << 30
"""Of all members of an archive that are read."""

MAX_DIRECTORY_BYTES = 32 << 20
"""Of the list of members, which is read as a whole."""

_END = b"PK\x05\x06"
_END_64_LOCATOR = b"PK\x06\x07"
_IS_ENCRYPTED = 0x1


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One file inside an archive."""

    path: str
    open: Callable[[], BinaryIO]
    """The stream from its beginning. Raises NotRead."""


@contextmanager
def members(file: IO[bytes], patterns: Sequence[str], where: str) -> Iterator[tuple[Member, ...]]:
    """Members that one of `patterns` (gitignore syntax) names, by path; messages call the archive `where`.

    Raises Malformed for what is no ZIP archive, and for one that may not be read; Absent when a pattern names none.
    """
    refuse_endless_list(file, where)
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError, struct.error) as error:
        raise Malformed(f"{where} is no ZIP archive that can be read: {one_line(error)}") from error
    with archive:
        files = [info for info in archive.infolist() if not info.is_dir()]
        chosen: dict[int, zipfile.ZipInfo] = {}
        for pattern in patterns:
            wanted = GitIgnoreSpec.from_lines([pattern])
            matched = {id(info): info for info in files if wanted.match_file(info.filename)}
            if not matched:
                raise Absent(
                    f"{where} holds no file that {pattern} names, among {len(files)}", next_step="correct files"
                )
            chosen |= matched
        _refuse_hostile(tuple(chosen.values()), where)
        yield tuple(_member(archive, info) for info in sorted(chosen.values(), key=lambda info: info.filename))


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Member:
    def opened() -> BinaryIO:
        seconds_left()
        try:
            return cast("BinaryIO", archive.open(info))
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, zlib.error) as error:
            raise NotRead(one_line(error)) from error

    return Member(path=one_line(info.filename), open=opened)


def _refuse_hostile(chosen: Sequence[zipfile.ZipInfo], where: str) -> None:
    if len(chosen) > MAX_FILES:
        raise Malformed(f"{where} holds {len(chosen)} such files, more than {MAX_FILES}", next_step="narrow files")
    if len({info.filename for info in chosen}) < len(chosen):
        raise Malformed(f"{where} holds two files of one name")
    for info in chosen:
        if info.flag_bits & _IS_ENCRYPTED:
            raise Malformed(f"{where}: {one_line(info.filename)} is encrypted", next_step="keep it in clear")
    unpacked_bytes = sum(info.file_size for info in chosen)
    if unpacked_bytes > MAX_UNPACKED_BYTES:
        raise Malformed(f"{where} unpacks to {unpacked_bytes >> 20} MiB, more than {MAX_UNPACKED_BYTES >> 20}")


def refuse_endless_list(file: IO[bytes], where: str) -> None:
    """Millions of members without content fit into little, and each costs memory. Raises Malformed."""
    size = file.seek(0, 2)
    file.seek(max(size - (1 << 16) - 100, 0))
    tail = file.read()
    at = tail.rfind(_END)
    if at < 0 or len(tail) - at < 22:
        raise Malformed(f"{where} is no ZIP archive that can be read: it has no end")
    (listed_bytes,) = struct.unpack_from("<L", tail, at + 12)
    if at >= 76 and tail.startswith(_END_64_LOCATOR, at - 20):
        (listed_bytes,) = struct.unpack_from("<Q", tail, at - 36)
    if listed_bytes > MAX_DIRECTORY_BYTES:
        raise Malformed(f"{where} lists more files than can be read")
