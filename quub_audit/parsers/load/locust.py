"""Locust: statistics and their history as CSV, the list of `--json`, the data inside the HTML report.

Source: https://docs.locust.io/en/stable/retrieving-stats.html. Users wait for answers, so it is a closed model. In the
history, percentiles are of the last ten seconds and totals are of the run; a cell without a value is `N/A`.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from quub_audit.facts.artifacts import LoadRun, Origin, Slice
from quub_audit.parsers.load.series import MAX_RUN_S, Histogram, Series, host_of, wider
from quub_audit.parsers.source import Format, Source, count, lines_of, list_in, mapping, moment, number, text_of

AGGREGATED = "Aggregated"
SLICE_S = 10

_ARGUMENTS = re.compile(r"window\.templateArgs\s*=\s*(?=\{)")


def _rows(source: Source) -> Iterator[Mapping[str, str]]:
    """The aggregated rows of a table of Locust's, as a stream. Raises Malformed for one that is cut off."""
    with source.open() as stream:
        lines = (line.decode("utf-8-sig", "replace") for line in lines_of(stream, source))
        reader = csv.DictReader(lines, restval=None)
        try:
            for row in reader:
                if None in row or None in row.values():
                    raise source.malformed(f"line {reader.line_num} has not as many cells as the header")
                if row.get("Name") == AGGREGATED:
                    yield row
        except csv.Error as error:
            raise source.malformed(f"line {reader.line_num} is no CSV: {error}") from error


def _cell(row: Mapping[str, str], name: str, source: Source) -> float | None:
    text = row.get(name, "N/A")
    return None if text in ("N/A", "") else number(text, source, name)


def _read_stats(source: Source) -> tuple[LoadRun, ...]:
    rows = list(_rows(source))
    if len(rows) != 1:
        raise source.malformed(f"it has {len(rows)} rows named {AGGREGATED}, expected one")
    row = rows[0]
    requests = count(row["Request Count"], source, "Request Count")
    rate = number(row["Requests/s"], source, "Requests/s")
    run = LoadRun(
        origin=Origin(file=source.name, tool="Locust"),
        requests=requests,
        errors=count(row["Failure Count"], source, "Failure Count"),
        duration_s=requests / rate if rate > 0 else 0.0,
        p50_ms=_cell(row, "50%", source),
        p95_ms=_cell(row, "95%", source),
        p99_ms=_cell(row, "99%", source),
        is_open_model=False,
    )
    return (run,)


def _read_history(source: Source) -> tuple[LoadRun, ...]:
    begun, last, requests, errors = None, 0, 0, 0
    busy_at, gap = None, 0
    cells: dict[int, list[Any]] = {}
    for row in _rows(source):
        at = count(row["Timestamp"], source, "Timestamp")
        begun = at if begun is None else begun
        if at < last or at - begun > MAX_RUN_S:
            raise source.malformed(f"its rows do not follow one another in time at {at}", "write one run into one file")
        totals = (count(row[f"Total {what} Count"], source, f"Total {what} Count") for what in ("Request", "Failure"))
        # Totals begin anew where the run was told to reset its statistics.
        now_requests, now_errors = totals
        more = now_requests - requests if now_requests >= requests else now_requests
        failed = now_errors - errors if now_errors >= errors else now_errors
        last, requests, errors = at, now_requests, now_errors
        if more:
            gap, busy_at = max(gap, at - busy_at if busy_at is not None else at - begun), at
        cell = cells.setdefault(at // SLICE_S, [0, 0, None])
        cell[0] += more
        cell[1] += failed
        cell[2] = row
    if begun is None:
        return (LoadRun(origin=Origin(file=source.name, tool="Locust"), requests=0, errors=0, duration_s=0.0),)
    gap = max(gap, last - (busy_at if busy_at is not None else begun))
    each_slice = [_slice(at, cells.get(at), begun, source) for at in range(min(cells), max(cells) + 1)]
    slice_s, slices = wider(each_slice, SLICE_S, min(cells))
    run = LoadRun(
        origin=Origin(file=source.name, tool="Locust", produced_at=moment(last)),
        requests=sum(each.requests for each in slices),
        errors=sum(each.errors for each in slices),
        duration_s=float(last - begun),
        started_at=moment(begun),
        is_open_model=False,
        slice_s=float(slice_s),
        slices=slices,
        longest_gap_s=float(gap) if gap > 1 else 0.0,
    )
    return (run,)


def _slice(at: int, cell: list[Any] | None, begun: int, source: Source) -> Slice:
    requests, errors, row = cell or (0, 0, {})
    return Slice(
        start_s=float(at * SLICE_S - begun),
        requests=requests,
        errors=errors,
        p50_ms=_cell(row, "50%", source),
        p95_ms=_cell(row, "95%", source),
        p99_ms=_cell(row, "99%", source),
        max_ms=_cell(row, "100%", source),
    )


def _read_json(source: Source) -> tuple[LoadRun, ...]:
    entries = source.json()
    if not isinstance(entries, list):
        raise source.malformed("it is no list")
    series, durations = Series(source), Histogram()
    for each in entries:
        entry = mapping(each, source, "an entry")
        for ms, times in mapping(entry.get("response_times") or {}, source, "response_times").items():
            durations.add(max(number(ms, source, "a response time"), 0.0), count(times, source, "response_times"))
        failed = Counter(_per_second(entry, "num_fail_per_sec", source))
        for second, times in _per_second(entry, "num_reqs_per_sec", source).items():
            series.add(second * 1000.0, None, requests=times, errors=failed.pop(second, 0))
        if failed:
            raise source.malformed("it counts failures in seconds without requests")
    run = series.run(Origin(file=source.name, tool="Locust"), is_open_model=False, has_statuses=False)
    stated = sum(count(each.get("num_requests", 0), source, "num_requests") for each in entries)
    if stated and not run.slices:
        raise source.malformed("it has no requests by second", "have Locust write it, with --json or --json-file")
    p50, p95, p99 = durations.quantiles(0.5, 0.95, 0.99)
    return (replace(run, p50_ms=p50, p95_ms=p95, p99_ms=p99),)


def _per_second(entry: Mapping[str, Any], key: str, source: Source) -> dict[int, int]:
    found = mapping(entry.get(key) or {}, source, key)
    return {count(second, source, key): count(times, source, key) for second, times in found.items()}


def _read_html(source: Source) -> tuple[LoadRun, ...]:
    text = source.text()
    places = list(_ARGUMENTS.finditer(text))
    if not places:
        raise source.malformed("it holds no data", "have Locust 2.17 or newer write it, with --html")
    try:
        # The last one: the page's own program speaks of it before.
        data, _ = json.JSONDecoder(parse_constant=lambda word: None).raw_decode(text, places[-1].end())
    except (ValueError, RecursionError) as error:
        raise source.malformed(f"its data are no JSON: {error}") from error
    return (_from_page(mapping(data, source, "templateArgs"), source),)


def _from_page(data: Mapping[str, Any], source: Source) -> LoadRun:
    totals = _aggregated(data, "requests_statistics", source)
    latency = _aggregated(data, "response_time_statistics", source)
    begun, ended = moment(data.get("start_time")), moment(data.get("end_time"))
    host = host_of(text_of(data.get("host")))
    p50, p95, p99 = (
        number(latency[key], source, key) if latency.get(key) is not None else None for key in ("0.5", "0.95", "0.99")
    )
    return LoadRun(
        origin=Origin(file=source.name, tool="Locust", produced_at=ended),
        requests=count(totals.get("num_requests", 0), source, "num_requests"),
        errors=count(totals.get("num_failures", 0), source, "num_failures"),
        duration_s=max((ended - begun).total_seconds(), 0.0) if begun and ended else 0.0,
        started_at=begun,
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        targets=(host,) if host else (),
        is_open_model=False,
    )


def _aggregated(data: Mapping[str, Any], key: str, source: Source) -> Mapping[str, Any]:
    rows = [mapping(each, source, key) for each in list_in(data, key, source)]
    return next((row for row in rows if row.get("name") == AGGREGATED), {})


def _is_stats(source: Source) -> bool:
    return source.beginning.startswith("Type,Name,Request Count,Failure Count,")


def _is_history(source: Source) -> bool:
    first = io.StringIO(source.beginning).readline()
    return first.startswith("Timestamp,User Count,Type,Name,") and "Total Request Count" in first


def _is_json(source: Source) -> bool:
    text = source.beginning
    return text.startswith("[") and ('"num_reqs_per_sec"' in text or '"response_times"' in text)


def _is_html(source: Source) -> bool:
    return bool(re.match(r"<!doctype html>.{0,2000}<title>[^<]*Locust", source.beginning, re.IGNORECASE | re.DOTALL))


LOCUST_STATS = Format(name="Locust's statistics (_stats.csv)", recognises=_is_stats, read=_read_stats)
LOCUST_HISTORY = Format(name="Locust's history (_stats_history.csv)", recognises=_is_history, read=_read_history)
LOCUST_JSON = Format(name="Locust's JSON (--json)", recognises=_is_json, read=_read_json)
LOCUST_HTML = Format(name="Locust's HTML report", recognises=_is_html, read=_read_html)
