"""Reports on disk: whole or not at all, and never those of an earlier run."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from quub_audit.errors import NotWritten
from quub_audit.model.result import Result
from quub_audit.reporters.formats import FORMATS, render


def clear_stale(directory: Path, formats: Iterable[str] = tuple(FORMATS)) -> None:
    """Delete the reports of an earlier run, and what an interrupted one left of them, so that none is published again.

    A directory that does not exist holds none. Raises NotWritten, after trying every file.
    """
    problems = []
    for name in _in_order(formats):
        for path in (directory / FORMATS[name].file, *directory.glob(f".{FORMATS[name].file}.*.part")):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                if os.path.lexists(path):  # a read-only file system refuses also where there is nothing
                    problems.append(f"{path}: the old report cannot be deleted: {error.strerror or error}")
    if problems:
        raise NotWritten(problems)


def write(result: Result, formats: Iterable[str], directory: Path) -> list[Path]:
    """Write a report in each of `formats` into `directory`, which is made if need be; the paths, in the order written.

    The plainest formats come first. Each file appears whole under its name or not at all. Raises NotWritten when any
    could not be written, after the others were; its `written` has their paths.
    """
    written: list[Path] = []
    problems: list[str] = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NotWritten(
            [f"{directory}: the folder for the reports cannot be made: {error.strerror or error}"]
        ) from error
    for name in _in_order(formats):
        path = directory / FORMATS[name].file
        try:
            _write_whole(path, _bytes(render(result, name)))
        except OSError as error:
            problems.append(f"{path}: the report cannot be written: {error.strerror or error}")
        else:
            written.append(path)
    if problems:
        raise NotWritten(problems, written=written)
    return written


def write_step_summary(result: Result, path: Path) -> None:
    """Append the Markdown report to the file that GITHUB_STEP_SUMMARY names. Raises NotWritten."""
    try:
        with path.open("ab") as file:
            file.write(_bytes(render(result, "markdown")) + b"\n")
    except OSError as error:
        raise NotWritten([f"{path}: the step summary cannot be written: {error.strerror or error}"]) from error


def _in_order(formats: Iterable[str]) -> list[str]:
    wanted = set(formats)
    unknown = wanted - set(FORMATS)
    if unknown:
        raise ValueError(f"no such format: {', '.join(sorted(unknown))}")
    return [name for name in FORMATS if name in wanted]


def _bytes(report: str | bytes) -> bytes:
    return report if isinstance(report, bytes) else report.encode()


def _write_whole(path: Path, data: bytes) -> None:
    """Under a name of its own, to the disk, then in one step to `path`; nothing is left behind when that fails."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise
