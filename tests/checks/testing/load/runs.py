"""Runs of load generators in memory, and as files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from quub_audit.model.environment import Artifact
from quub_audit.sdk import LoadRun, Origin, Slice

HEADER = "timeStamp,elapsed,label,responseCode,success\n"
BEGIN_MS = 1_795_400_000_000
"""A day before the kept files were made."""


def flat(
    *,
    rate: float = 100,
    seconds: int = 600,
    p95_ms: float | None = 100,
    errors: int = 0,
    slice_s: int = 10,
    **more: Any,
) -> LoadRun:
    """A run at one rate, with `errors` in each slice."""
    parts = tuple(
        Slice(
            start_s=at * slice_s,
            requests=round(rate * slice_s),
            errors=errors,
            p50_ms=None if p95_ms is None else p95_ms / 2,
            p95_ms=p95_ms,
            p99_ms=None if p95_ms is None else p95_ms * 1.2,
            max_ms=None if p95_ms is None else p95_ms * 2,
        )
        for at in range(seconds // slice_s)
    )
    return of(parts, slice_s=slice_s, **more)


def of(parts: tuple[Slice, ...], *, slice_s: float = 10, **more: Any) -> LoadRun:
    """A run of these slices."""
    given: dict[str, Any] = {
        "origin": Origin(file="/srv/app/run.jtl", tool="k6"),
        "requests": sum(each.requests for each in parts),
        "errors": sum(each.errors for each in parts),
        "duration_s": len(parts) * slice_s,
        "slice_s": slice_s,
        "slices": parts,
    }
    return LoadRun(**{**given, **more})


def artifact(purpose: Any, *files: Path, name: str = "") -> Artifact:
    return Artifact(name=name or purpose, purpose=purpose, files=tuple(map(str, files)))


def write_jtl(
    path: Path,
    hours: float,
    *,
    every_s: float = 5,
    elapsed_ms: Callable[[float], int] = lambda hour: 100,
    fails: Callable[[float, int], bool] = lambda hour, number: False,
    without: tuple[float, float] = (0, 0),
    url: str = "",
) -> Path:
    """A JTL as JMeter writes it, made here: one sample `every_s`, but for the hours `without`."""
    with path.open("w") as file:
        file.write(HEADER.strip() + (",URL\n" if url else "\n"))
        for number in range(int(hours * 3600 / every_s) + 1):
            hour = number * every_s / 3600
            if without[0] < hour < without[1]:
                continue
            is_bad = fails(hour, number)
            took = elapsed_ms(hour) + number % 7
            row = (BEGIN_MS + round(number * every_s * 1000), took, "GET /", 500 if is_bad else 200)
            ending = (",false" if is_bad else ",true") + (f",{url}" if url else "")
            file.write(",".join(map(str, row)) + ending + "\n")
    return path
