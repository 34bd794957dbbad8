"""Artillery's JSON report, of version 2 and of version 1.

Source: https://www.artillery.io/docs/reference/reported-metrics. Arrivals are users and not requests: only requests are
counted. Periods of the series are 10 s. Version 1 has no requests that failed apart from `errors` and `codes`.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from quub_audit.facts.artifacts import LoadRun, Origin, Slice
from quub_audit.parsers.load.k6 import OWN_COUNTERS, RETRY_AFTER
from quub_audit.parsers.load.series import MAX_RUN_S, statuses_in, wider
from quub_audit.parsers.source import Format, Source, count, list_in, mapping, moment, number

PERIOD_S = 10
LATENCY = "http.response_time"


def _is_artillery(source: Source) -> bool:
    text = source.beginning
    return (
        text.startswith("{")
        and '"aggregate"' in text
        and any(
            key in text for key in ('"http.requests"', '"vusers.created', '"scenariosCreated"', '"requestsCompleted"')
        )
    )


def _read(source: Source) -> tuple[LoadRun, ...]:
    report = mapping(source.json(), source, "the report")
    aggregate = mapping(report.get("aggregate"), source, "aggregate")
    periods = [mapping(each, source, "a period") for each in list_in(report, "intermediate", source)]
    read = _whole_2 if "counters" in aggregate else _whole_1
    return (read(aggregate, periods, source),)


def _whole_2(aggregate: Mapping[str, Any], periods: list[Mapping[str, Any]], source: Source) -> LoadRun:
    counters = _counters(aggregate, source)
    latency = _latency(aggregate, source)
    first, last = (
        number(aggregate[key], source, key) if aggregate.get(key) is not None else None
        for key in ("firstCounterAt", "lastCounterAt")
    )
    by_status = {
        name.removeprefix("http.codes."): times for name, times in counters.items() if name.startswith("http.codes.")
    }
    slices = {}
    for each in periods:
        at = count(each.get("period"), source, "period") // (PERIOD_S * 1000)
        slices[at] = (_counters(each, source), _latency(each, source))
    slice_s, merged = wider(_slices(slices, first, source), PERIOD_S, min(slices, default=0))
    return LoadRun(
        origin=Origin(file=source.name, tool="Artillery", produced_at=moment(int(last)) if last else None),
        requests=counters.get("http.requests", 0),
        errors=_failed(counters),
        duration_s=max((last - first) / 1000, 0.0) if first is not None and last is not None else 0.0,
        started_at=moment(int(first)) if first else None,
        p50_ms=latency[0],
        p95_ms=latency[1],
        p99_ms=latency[2],
        is_open_model=True,
        dropped=counters.get("vusers.skipped", 0),
        statuses=statuses_in(by_status),
        statuses_with_retry_after=counters.get(RETRY_AFTER),
        own_counters={name: counters[name] for name in OWN_COUNTERS if name in counters},
        slice_s=float(slice_s) if slices else 0.0,
        slices=merged,
        longest_gap_s=_gap(slices),
    )


_Period = tuple[Mapping[str, int], tuple[float | None, ...]]


def _slices(periods: Mapping[int, _Period], first: float | None, source: Source) -> tuple[Slice, ...]:
    if not periods:
        return ()
    begin, end = min(periods), max(periods)
    if (end - begin) * PERIOD_S > MAX_RUN_S:
        raise source.malformed(f"its periods span more than {MAX_RUN_S // 86_400} days")
    start_s = first / 1000 if first is not None else begin * PERIOD_S
    nothing: _Period = ({}, (None,) * 4)
    made = []
    for at in range(begin, end + 1):
        counters, (p50, p95, p99, longest) = periods.get(at, nothing)
        made.append(
            Slice(
                start_s=round(at * PERIOD_S - start_s, 3),
                requests=counters.get("http.requests", 0),
                errors=_failed(counters),
                p50_ms=p50,
                p95_ms=p95,
                p99_ms=p99,
                max_ms=longest,
            )
        )
    return tuple(made)


def _gap(periods: Mapping[int, _Period]) -> float:
    """The time from a period with requests to the next; less than two periods are none that could be told."""
    busy = sorted(at for at, (counters, _) in periods.items() if counters.get("http.requests"))
    steps = [after - before - 1 for before, after in pairwise(busy)]
    return float(max(steps, default=0) * PERIOD_S)


def _counters(holder: Mapping[str, Any], source: Source) -> Mapping[str, int]:
    counters = mapping(holder.get("counters") or {}, source, "counters")
    return {name: count(times, source, name) for name, times in counters.items()}


def _failed(counters: Mapping[str, int]) -> int:
    """Answers 4xx and 5xx, and requests without an answer: each error has a counter of its own, `errors.NAME`."""
    refused = sum(times for name, times in counters.items() if name.startswith(("http.codes.4", "http.codes.5")))
    return refused + sum(times for name, times in counters.items() if name.startswith("errors."))


def _latency(holder: Mapping[str, Any], source: Source) -> tuple[float | None, ...]:
    summaries = mapping(holder.get("summaries") or {}, source, "summaries")
    summary = mapping(summaries.get(LATENCY) or {}, source, LATENCY)
    return tuple(
        number(summary[key], source, key) if summary.get(key) is not None else None
        for key in ("p50", "p95", "p99", "max")
    )


def _whole_1(aggregate: Mapping[str, Any], periods: list[Mapping[str, Any]], source: Source) -> LoadRun:
    codes = mapping(aggregate.get("codes") or {}, source, "codes")
    by_status = {code: count(times, source, f"codes.{code}") for code, times in codes.items()}
    errors = mapping(aggregate.get("errors") or {}, source, "errors")
    latency = mapping(aggregate.get("latency") or {}, source, "latency")
    refused = sum(times for code, times in by_status.items() if code[:1] in "45")
    ends = [found for each in periods if (found := moment(each.get("timestamp")))]
    p50, p95, p99 = (
        number(latency[key], source, key) if latency.get(key) is not None else None for key in ("median", "p95", "p99")
    )
    requests = count(aggregate.get("requestsCompleted", 0), source, "requestsCompleted")
    unanswered = sum(count(times, source, f"errors.{name}") for name, times in errors.items())
    return LoadRun(
        origin=Origin(
            file=source.name,
            tool="Artillery",
            produced_at=moment(aggregate.get("timestamp")) or max(ends, default=None),
        ),
        requests=requests + unanswered,
        errors=refused + unanswered,
        # Each period ends at its timestamp, and is 10 s long.
        duration_s=(max(ends) - min(ends)).total_seconds() + PERIOD_S if ends else 0.0,
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        is_open_model=True,
        statuses=statuses_in(by_status),
    )


ARTILLERY = Format(name="Artillery's JSON report", recognises=_is_artillery, read=_read)
