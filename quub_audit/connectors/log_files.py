"""Files of logs: which ones globs mean, and the newest lines of each, in whatever encoding they were written.

A link is followed where it stays inside the folders that the globs name, and refused where it leads out: a log that a
pipeline brought along must not show what else is on this machine.
"""

from __future__ import annotations

import bz2
import glob
import gzip
import io
import lzma
import os
import re
import stat
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from quub_audit.connectors.base import seconds_left
from quub_audit.errors import Absent, Malformed
from quub_audit.model.environment import LogSource

MAX_FILES = 5000
"""Of one source; globs that match more name more than logs."""

MAX_UNPACKED_BYTES = 1 << 30
"""Of a compressed file that are unpacked to come to its end."""

_HEAD_BYTES = 4096
_BLOCK_BYTES = 1 << 20
_WILD = re.compile(r"[*?\[]")
_PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00")


class NotRead(Exception):
    """Why a file was not looked at, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFile:
    """One file that a glob matches."""

    path: Path
    modified_at: float
    """Seconds since 1970."""
    refusal: str = ""
    """Why it is not opened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """The end of a file."""

    lines: tuple[str, ...]
    """Newest first, without empty ones."""
    numbers: tuple[int, ...]
    """Of the lines, counted from 1."""
    bytes_read: int
    is_cut: bool
    """The file holds more than these lines."""
    is_from_end: bool
    """The numbers count from the end of the file."""


def list_files(source: LogSource) -> tuple[LogFile, ...]:
    """Regular files that the globs match, each once, the newest first.

    Raises Absent when a glob matches nothing, Malformed for a glob that is not absolute and for more than `MAX_FILES`.
    """
    roots = [_fixed_folder(pattern) for pattern in source.files]
    found: dict[tuple[int, int], LogFile] = {}
    for pattern in source.files:
        if not Path(pattern).is_absolute():
            raise Malformed(f"{source}: {pattern} is no absolute path", next_step="write the glob from the root on")
        matched = 0
        for name in glob.iglob(pattern, recursive=True, include_hidden=True):  # noqa: PTH207  Path.glob takes no absolute one
            seconds_left()
            file = _look(Path(name), roots)
            if file is None:
                continue
            matched += 1
            found.setdefault(file[0], file[1])
            if len(found) > MAX_FILES:
                raise Malformed(
                    f"{source}: the globs match more than {MAX_FILES} files", next_step="name the logs more narrowly"
                )
        if not matched:
            raise Absent(f"{source}: {pattern} matches no file", next_step="correct logs.files, or collect the logs")
    return tuple(sorted(found.values(), key=lambda file: (-file.modified_at, str(file.path))))


def read_tail(file: LogFile, *, max_lines: int, max_bytes: int) -> Tail:
    """The last lines of a file, at most so many and from at most so many bytes (unpacked ones of a compressed file).

    UTF-8 with Latin-1 for what is none, UTF-16 by its byte order mark or its zeros; gzip, bzip2 and xz by their first
    bytes. Raises NotRead for what is no text, cannot be unpacked or cannot be opened; TimedOut.
    """
    if file.refusal:
        raise NotRead(file.refusal)
    try:
        with _open(file.path) as raw:
            head = raw.read(_HEAD_BYTES)
            raw.seek(0)
            if head.startswith(_PACKED):
                content, is_cut, breaks_off = _unpacked_end(_unpacker(raw, head), max_bytes)
                head = content[:_HEAD_BYTES] if not is_cut else b""
            else:
                content, is_cut = _plain_end(raw, max_bytes)
                breaks_off = False
    except (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError) as error:
        words = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        raise NotRead(f"it cannot be read: {words}") from error
    tail = _tail(content, _encoding_of(head or content[:_HEAD_BYTES]), max_lines, is_cut=is_cut)
    return replace(tail, is_cut=True) if breaks_off else tail


def _look(path: Path, roots: list[Path]) -> tuple[tuple[int, int], LogFile] | None:
    """The file at `path` and what makes it the same as another; None for what is no regular file."""
    try:
        told = path.stat()
    except OSError:  # gone meanwhile, or a link to nothing
        return None
    if not stat.S_ISREG(told.st_mode):
        return None
    real = path.resolve()
    is_inside = any(real.is_relative_to(root) for root in roots)
    refusal = "" if is_inside else "it is a link that leads out of the folders of `files`; name its target there"
    return (told.st_dev, told.st_ino), LogFile(path=path, modified_at=told.st_mtime, refusal=refusal)


def _fixed_folder(pattern: str) -> Path:
    """The folder that a glob cannot leave, links in it resolved."""
    parts: list[str] = []
    for part in Path(pattern).parent.parts:
        if _WILD.search(part):
            break
        parts.append(part)
    return Path(*parts).resolve() if parts else Path("/")


def _open(path: Path) -> IO[bytes]:
    # Without O_NONBLOCK a pipe that has taken the file's place meanwhile would hold us for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotRead("it is no regular file")
    return os.fdopen(descriptor, "rb")


def _plain_end(raw: IO[bytes], max_bytes: int) -> tuple[bytes, bool]:
    size = raw.seek(0, io.SEEK_END)
    start = max(0, size - max_bytes)
    start += start % 2  # an even place, for UTF-16
    raw.seek(start)
    return raw.read(max_bytes), start > 0


def _unpacker(raw: IO[bytes], head: bytes) -> bz2.BZ2File | lzma.LZMAFile | gzip.GzipFile:
    if head.startswith(b"BZh"):
        return bz2.BZ2File(raw)
    return lzma.LZMAFile(raw) if head.startswith(b"\xfd7zXZ") else gzip.GzipFile(fileobj=raw)


def _unpacked_end(unpacked: bz2.BZ2File | lzma.LZMAFile | gzip.GzipFile, max_bytes: int) -> tuple[bytes, bool, bool]:
    """The last bytes, whether others stand before them, and whether the file breaks off behind them."""
    kept = bytearray()
    total, is_cut = 0, False
    while True:
        seconds_left()
        try:
            block = unpacked.read1(_BLOCK_BYTES)
        except EOFError:
            if not total:
                raise
            return bytes(kept), is_cut, True
        if not block:
            return bytes(kept), is_cut, False
        total += len(block)
        kept += block
        if len(kept) > max_bytes:
            surplus = len(kept) - max_bytes
            del kept[: surplus + surplus % 2]
            is_cut = True
        if total > MAX_UNPACKED_BYTES:
            return bytes(kept), is_cut, True


def _encoding_of(head: bytes) -> str:
    """`utf-16-le`, `utf-16-be`, or empty for UTF-8 and its likes. Raises NotRead for what is no text."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16-le" if head[0] == 0xFF else "utf-16-be"
    zeros = head.count(0)
    if not zeros:
        return ""
    even, odd = head[::2].count(0), head[1::2].count(0)
    if zeros >= 0.3 * len(head) and min(even, odd) <= 0.02 * len(head):
        return "utf-16-le" if odd > even else "utf-16-be"
    raise NotRead("it is no text; name the logs more narrowly")


def _tail(content: bytes, encoding: str, max_lines: int, *, is_cut: bool) -> Tail:
    parts = content.decode(encoding, "replace").split("\n") if encoding else content.split(b"\n")
    if len(parts) > 1 and not parts[-1].strip():
        parts.pop()  # what follows the last end of a line is none
    if is_cut and len(parts) > 1:
        parts = parts[1:]  # the end of a line whose beginning was not read
    lines: list[str] = []
    numbers: list[int] = []
    for position in range(len(parts) - 1, -1, -1):
        if len(lines) == max_lines:
            is_cut = is_cut or any(part.strip() for part in parts[: position + 1])
            break
        line = _text(parts[position]).strip("\r\ufeff \t")
        if line:
            lines.append(line)
            numbers.append(position + 1)
    if is_cut:
        numbers = [len(parts) + 1 - number for number in numbers]
    return Tail(
        lines=tuple(lines),
        numbers=tuple(numbers),
        bytes_read=len(content),
        is_cut=is_cut,
        is_from_end=is_cut,
    )


def _text(part: str | bytes) -> str:
    if isinstance(part, str):
        return part
    try:
        return part.decode()
    except UnicodeDecodeError:
        return part.decode("latin-1")
