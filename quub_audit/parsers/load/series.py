"""Samples of a load test, collected in bounded memory: rates, errors and percentiles for stretches of time."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import groupby, pairwise
from urllib.parse import urlsplit

from quub_audit.facts.artifacts import LoadRun, Origin, Slice
from quub_audit.parsers.source import Source

WIDTHS_S = (10, 60, 600, 3600)
"""Of a slice: the first that needs no more than `MAX_SLICES`, so that a day has one a minute."""
MAX_SLICES = 1800

MAX_RUN_S = 31 * 86_400
"""A run is shorter; what spans more are several runs, or hostile clocks."""

MAX_TARGETS = 20
MAX_ADDRESSES = 10_000

_STEPS = 64
"""Buckets between a power of two and the next: a percentile is at most 1.6 % too high, and never too low."""


class Histogram:
    """Counts of durations in log-linear buckets: some hundred of them, however many durations there are."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}

    def add(self, ms: float, times: int = 1) -> None:
        """Count one duration, from 0 up."""
        mantissa, exponent = math.frexp(ms)
        bucket = exponent * _STEPS + int((mantissa - 0.5) * 2 * _STEPS) if ms > 0 else -(1 << 20)
        self._counts[bucket] = self._counts.get(bucket, 0) + times

    def merge(self, other: Histogram) -> None:
        """Count what the other one counts."""
        for bucket, times in other._counts.items():
            self._counts[bucket] = self._counts.get(bucket, 0) + times

    def quantiles(self, *shares: float) -> tuple[float | None, ...]:
        """Milliseconds that the given shares (0 to 1, ascending) of the durations do not exceed; None without any."""
        total, reached, found = sum(self._counts.values()), 0, []
        ordered = iter(sorted(self._counts.items()))
        bucket = 0
        for share in shares:
            while total and reached < math.ceil(share * total):
                bucket, times = next(ordered)
                reached += times
            found.append(_upper(bucket) if total else None)
        return tuple(found)


def _upper(bucket: int) -> float:
    exponent, step = divmod(bucket, _STEPS)
    return round(math.ldexp(0.5 + (step + 1) / (2 * _STEPS), exponent), 3)


class _Cell:
    __slots__ = ("durations", "errors", "requests")

    def __init__(self) -> None:
        self.requests = 0
        self.errors = 0
        self.durations = Histogram()

    def merge(self, other: _Cell) -> None:
        self.requests += other.requests
        self.errors += other.errors
        self.durations.merge(other.durations)


class Series:
    """Samples by the time at which each began. `source` is named where they cannot be of one run."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._width = WIDTHS_S[0]
        self._cells: dict[int, _Cell] = {}
        self._seconds: set[int] = set()
        self._first = math.inf
        self._last = -math.inf
        self.statuses: Counter[str] = Counter()
        self.targets: set[str] = set()
        self._known: set[str] = set()

    def add(self, start_ms: float, elapsed_ms: float | None, *, requests: int = 1, errors: int = 0) -> None:
        """Count requests that began at `start_ms` since 1970 and took as long; None where no duration is known.

        Raises Malformed for a negative duration, and for samples of more than `MAX_RUN_S`.
        """
        second = int(start_ms // 1000)
        self.cover((second,), start_ms, start_ms + (elapsed_ms or 0.0))
        self.count(second, elapsed_ms, requests=requests, errors=errors)

    def cover(self, seconds: Iterable[int], first_ms: float, last_ms: float) -> None:
        """Take in that samples began in these seconds, the first at `first_ms`; the last one ended at `last_ms`."""
        if first_ms < self._first or last_ms > self._last:
            self._first, self._last = min(self._first, first_ms), max(self._last, last_ms)
            if not 0 < self._first <= self._last < 1e14:
                raise self._source.malformed(f"its samples go from {self._first:.0f} to {self._last:.0f} ms")
            if self._last - self._first > MAX_RUN_S * 1000:
                raise self._source.malformed(
                    f"its samples span more than {MAX_RUN_S // 86_400} days", "write one run into one file"
                )
        self._seconds.update(seconds)

    def count(self, second: int, elapsed_ms: float | None, *, requests: int = 1, errors: int = 0) -> None:
        """Count requests that began in the slice of `second`; for those that `cover` took in."""
        if elapsed_ms is not None and elapsed_ms < 0:
            raise self._source.malformed(f"a sample took {elapsed_ms:g} ms")
        cell = self._cells.get(second // self._width)
        if cell is None:
            cell = self._cells[second // self._width] = _Cell()
            if len(self._cells) > MAX_SLICES and self._width < WIDTHS_S[-1]:
                self._widen()
                cell = self._cells[second // self._width]
        cell.requests += requests
        cell.errors += errors
        if elapsed_ms is not None:
            cell.durations.add(elapsed_ms, requests or 1)

    def _widen(self) -> None:
        wider = WIDTHS_S[WIDTHS_S.index(self._width) + 1]
        cells: dict[int, _Cell] = {}
        for at, cell in self._cells.items():
            cells.setdefault(at * self._width // wider, _Cell()).merge(cell)
        self._width, self._cells = wider, cells

    def sent_to(self, url: str) -> None:
        """Remember the host of an address, for the first `MAX_TARGETS` of them, among `MAX_ADDRESSES`."""
        if url not in self._known and len(self._known) < MAX_ADDRESSES and len(self.targets) < MAX_TARGETS:
            self._known.add(url)
            if host := host_of(url):
                self.targets.add(host)

    def run(
        self,
        origin: Origin,
        *,
        is_open_model: bool | None = None,
        dropped: int = 0,
        retry_after: int | None = None,
        has_statuses: bool = True,
    ) -> LoadRun:
        """What was collected, as one run; of no request where there was no sample."""
        if not self._cells:
            return LoadRun(origin=origin, requests=0, errors=0, duration_s=0.0, dropped=dropped)
        while self._width < WIDTHS_S[-1] and (max(self._cells) - min(self._cells)) >= MAX_SLICES:
            self._widen()
        whole = _Cell()
        for cell in self._cells.values():
            whole.merge(cell)
        p50, p95, p99 = whole.durations.quantiles(0.5, 0.95, 0.99)
        return LoadRun(
            origin=origin if origin.produced_at else replace(origin, produced_at=_at(self._last)),
            requests=whole.requests,
            errors=whole.errors,
            duration_s=(self._last - self._first) / 1000,
            started_at=_at(self._first),
            p50_ms=p50,
            p95_ms=p95,
            p99_ms=p99,
            targets=tuple(sorted(self.targets)),
            is_open_model=is_open_model,
            dropped=dropped,
            statuses=dict(sorted(self.statuses.items())) if has_statuses else None,
            statuses_with_retry_after=retry_after,
            slice_s=float(self._width),
            slices=tuple(self._slices()),
            longest_gap_s=self._longest_gap_s(),
        )

    def _slices(self) -> Iterable[Slice]:
        for at in range(min(self._cells), max(self._cells) + 1):
            cell = self._cells.get(at) or _Cell()
            p50, p95, p99, longest = cell.durations.quantiles(0.5, 0.95, 0.99, 1.0)
            yield Slice(
                start_s=round(at * self._width - self._first / 1000, 3),
                requests=cell.requests,
                errors=cell.errors,
                p50_ms=p50,
                p95_ms=p95,
                p99_ms=p99,
                max_ms=longest,
            )

    def _longest_gap_s(self) -> float:
        seconds = sorted(self._seconds | {int(self._last // 1000)})
        return float(max((after - before for before, after in pairwise(seconds) if after - before > 1), default=0))


def wider(slices: Sequence[Slice], slice_s: int, first: int) -> tuple[int, tuple[Slice, ...]]:
    """The same in `MAX_SLICES` slices or fewer, for formats that have slices and no samples; and how long one is.

    `first` is the number of the first one since 1970. Percentiles become means, weighed by requests.
    """
    width = next((each for each in WIDTHS_S if len(slices) * slice_s <= each * MAX_SLICES), WIDTHS_S[-1])
    together = width // slice_s
    if together <= 1:
        return slice_s, tuple(slices)
    made = []
    for _, found in groupby(enumerate(slices, start=first), key=lambda pair: pair[0] // together):
        parts = list(found)
        inside = [part for _, part in parts]
        made.append(
            Slice(
                start_s=inside[0].start_s - parts[0][0] % together * slice_s,
                requests=sum(each.requests for each in inside),
                errors=sum(each.errors for each in inside),
                p50_ms=_mean([(each.requests, each.p50_ms) for each in inside]),
                p95_ms=_mean([(each.requests, each.p95_ms) for each in inside]),
                p99_ms=_mean([(each.requests, each.p99_ms) for each in inside]),
                max_ms=max((each.max_ms for each in inside if each.max_ms is not None), default=None),
            )
        )
    return width, tuple(made)


def _mean(weighed: Sequence[tuple[int, float | None]]) -> float | None:
    known = [(weight, ms) for weight, ms in weighed if ms is not None and weight]
    total = sum(weight for weight, _ in known)
    return sum(weight * ms for weight, ms in known) / total if total else None


def _at(ms: float) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def host_of(url: str) -> str:
    """`host` or `host:port` of an address; empty for what is none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    return f"{host}:{port}" if host and port else host


def status_of(code: object) -> str:
    """An HTTP status as it is counted; `0` for no answer and for words in its place."""
    text = str(code).strip()
    return text if len(text) == 3 and text.isdigit() and text.isascii() else "0"


def statuses_in(counters: Mapping[str, int]) -> Mapping[str, int] | None:
    """Counts by status, added up; None where nothing was counted by status."""
    found: Counter[str] = Counter()
    for code, times in counters.items():
        found[status_of(code)] += times
    return dict(sorted(found.items())) or None
