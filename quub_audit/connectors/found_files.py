"""Files that a user's globs mean, opened with care.

A link is followed where it stays inside the folders that the globs name, and refused where it leads out: what a
pipeline brought along must not show what else is on this machine.
"""

from __future__ import annotations

import bz2
import glob
import gzip
import lzma
import os
import re
import stat
import sys
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from quub_audit.connectors.base import seconds_left
from quub_audit.errors import Absent, Malformed

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAX_FILES = 5000
"""Of one target; globs that match more name more than was meant."""

_WILD = re.compile(r"[*?\[]")
_PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd")

BROKEN = (EOFError, zlib.error, lzma.LZMAError, zstd.ZstdError)
"""What readers of compressed streams raise for those that are damaged, beside OSError without a number."""

Unpacked = bz2.BZ2File | lzma.LZMAFile | gzip.GzipFile | zstd.ZstdFile


class NotRead(Exception):
    """Why a file was not looked at, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFile:
    """One file that a glob matches."""

    path: Path
    modified_at: float
    """Seconds since 1970."""
    refusal: str = ""
    """Why it is not opened."""


def find_files(patterns: Sequence[str], *, target: str, key: str) -> tuple[FoundFile, ...]:
    """Regular files that the absolute globs match, each once, the newest first.

    Errors speak of `target`, and of the `key` of environments.yaml that holds the globs. Raises Absent when a glob
    matches nothing, Malformed for a glob that is not absolute and for more than `MAX_FILES`; TimedOut.
    """
    roots = [_fixed_folder(pattern) for pattern in patterns]
    found: dict[tuple[int, int], FoundFile] = {}
    for pattern in patterns:
        if not Path(pattern).is_absolute():
            raise Malformed(f"{target}: {pattern} is no absolute path", next_step="write the glob from the root on")
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
                    f"{target}: the globs match more than {MAX_FILES} files", next_step=f"narrow the globs of {key}"
                )
        if not matched:
            raise Absent(f"{target}: {pattern} matches no file", next_step=f"correct {key}, or bring the files there")
    return tuple(sorted(found.values(), key=lambda file: (-file.modified_at, str(file.path))))


def open_regular(path: Path) -> IO[bytes]:
    """The file as a stream. Raises NotRead for what is no regular file, OSError."""
    # Without O_NONBLOCK a pipe that has taken the file's place meanwhile would hold us for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotRead("it is no regular file")
    return os.fdopen(descriptor, "rb")


def is_packed(head: bytes) -> bool:
    """Whether a file that begins so is compressed in a way that `unpacked` knows."""
    return head.startswith(_PACKED)


def unpacked(raw: IO[bytes], head: bytes) -> Unpacked:
    """What a compressed stream holds, by its first bytes: gzip, bzip2, xz or Zstandard.

    Of Zstandard, frames that need more than 128 MiB at once are refused, as its own tool does.
    """
    if head.startswith(b"BZh"):
        return bz2.BZ2File(raw)
    if head.startswith(b"\xfd7zXZ"):
        return lzma.LZMAFile(raw)
    return zstd.ZstdFile(raw) if head.startswith(b"\x28\xb5\x2f\xfd") else gzip.GzipFile(fileobj=raw)


def _look(path: Path, roots: list[Path]) -> tuple[tuple[int, int], FoundFile] | None:
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
    return (told.st_dev, told.st_ino), FoundFile(path=path, modified_at=told.st_mtime, refusal=refusal)


def _fixed_folder(pattern: str) -> Path:
    """The folder that a glob cannot leave, links in it resolved."""
    parts: list[str] = []
    for part in Path(pattern).parent.parts:
        if _WILD.search(part):
            break
        parts.append(part)
    return Path(*parts).resolve() if parts else Path("/")
