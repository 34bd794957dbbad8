"""The newest lines of a file of logs, in whatever encoding they were written."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from typing import IO

from quub_audit.connectors.base import seconds_left
from quub_audit.connectors.found_files import BROKEN, FoundFile, NotRead, Unpacked, is_packed, open_regular, unpacked

MAX_UNPACKED_BYTES = 1 << 30
"""Of a compressed file that are unpacked to come to its end."""

_HEAD_BYTES = 4096
_BLOCK_BYTES = 1 << 20


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


def read_tail(file: FoundFile, *, max_lines: int, max_bytes: int) -> Tail:
    """The last lines of a file, at most so many and from at most so many bytes (unpacked ones of a compressed file).

    UTF-8 with Latin-1 for what is none, UTF-16 by its byte order mark or its zeros; compressed ones by their
    first bytes. Raises NotRead for what is no text, cannot be unpacked or cannot be opened; TimedOut.
    """
    if file.refusal:
        raise NotRead(file.refusal)
    try:
        with open_regular(file.path) as raw:
            head = raw.read(_HEAD_BYTES)
            raw.seek(0)
            if is_packed(head):
                content, is_cut, breaks_off = _unpacked_end(unpacked(raw, head), max_bytes)
                head = content[:_HEAD_BYTES] if not is_cut else b""
            else:
                content, is_cut = _plain_end(raw, max_bytes)
                breaks_off = False
    except (OSError, *BROKEN, ValueError) as error:
        words = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        raise NotRead(f"it cannot be read: {words}") from error
    tail = _tail(content, _encoding_of(head or content[:_HEAD_BYTES]), max_lines, is_cut=is_cut)
    return replace(tail, is_cut=True) if breaks_off else tail


def _plain_end(raw: IO[bytes], max_bytes: int) -> tuple[bytes, bool]:
    size = raw.seek(0, io.SEEK_END)
    start = max(0, size - max_bytes)
    start += start % 2  # an even place, for UTF-16
    raw.seek(start)
    return raw.read(max_bytes), start > 0


def _unpacked_end(stream: Unpacked, max_bytes: int) -> tuple[bytes, bool, bool]:
    """The last bytes, whether others stand before them, and whether the file breaks off behind them."""
    kept = bytearray()
    total, is_cut = 0, False
    while True:
        seconds_left()
        try:
            block = stream.read1(_BLOCK_BYTES)
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
