"""k6: the summary of `--summary-export`, the data of `handleSummary`, the stream of `--out json`.

Source: https://grafana.com/docs/k6/latest/results-output/. In `http_req_failed` of the old summary `passes` counts what
failed, and booleans of thresholds are inverted there; neither is looked at. A counter named `RETRY_AFTER` is the test's
own count of answers 429 with Retry-After, which k6 keeps no count of; `OWN_COUNTERS` are more of these.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from quub_audit.facts.artifacts import LoadRun, Origin
from quub_audit.parsers.load.series import Series, status_of, statuses_in
from quub_audit.parsers.source import Format, Source, count, lines_of, mapping, number

RETRY_AFTER = "rate_limited_with_retry_after"
OWN_COUNTERS = ("other_key_answered", "other_key_limited", "answered_after_window", "limited_after_window")
"""Of requests with another key while the first one is refused, and of requests after the window."""

_BY_STATUS = re.compile(r"http_reqs\{status:(\d{3})\}")
_POINT = re.compile(
    rb'"metric":\s*"(http_reqs|http_req_duration|http_req_failed|dropped_iterations|%b)"'
    % "|".join((RETRY_AFTER, *OWN_COUNTERS)).encode()
)
_LINE = re.compile(r'(?=\{"(?:type|metric|data)":)[^\n]*"type":\s*"(?:Metric|Point)"')


def _is_summary(source: Source) -> bool:
    text = source.beginning
    return text.startswith("{") and '"metrics"' in text and ('"root_group"' in text or '"http_req' in text)


def _read_summary(source: Source) -> tuple[LoadRun, ...]:
    report = mapping(source.json(), source, "the report")
    metrics = mapping(report.get("metrics"), source, "metrics")
    state = mapping(report.get("state") or {}, source, "state")
    values = {name: _values(metric, source, name) for name, metric in metrics.items()}
    requests = count(values.get("http_reqs", {}).get("count", 0), source, "http_reqs.count")
    rate = number(values.get("http_reqs", {}).get("rate", 0), source, "http_reqs.rate")
    failed = values.get("http_req_failed", {})
    share = number(failed.get("rate", failed.get("value", 0)), source, "the rate of http_req_failed")
    if rate < 0 or not 0 <= share <= 1:
        raise source.malformed(f"it counts {requests} requests at {rate:g} a second, of which {share:g} failed")
    duration_ms = state.get("testRunDurationMs")
    if duration_ms is not None:
        duration_s = max(number(duration_ms, source, "state.testRunDurationMs") / 1000, 0.0)
    else:
        duration_s = requests / rate if rate else 0.0
    durations = values.get("http_req_duration", {})
    by_status = {
        found[1]: count(value.get("count", 0), source, name)
        for name, value in values.items()
        if (found := _BY_STATUS.fullmatch(name))
    }
    run = LoadRun(
        origin=Origin(file=source.name, tool="k6"),
        requests=requests,
        errors=round(requests * share),
        duration_s=duration_s,
        p50_ms=_quantile(durations, "med", source),
        p95_ms=_quantile(durations, "p(95)", source),
        p99_ms=_quantile(durations, "p(99)", source),
        is_open_model=True if "dropped_iterations" in values else None,
        dropped=count(values.get("dropped_iterations", {}).get("count", 0), source, "dropped_iterations.count"),
        statuses=statuses_in(by_status),
        statuses_with_retry_after=_counted(values, RETRY_AFTER, source),
        own_counters={name: _counted(values, name, source) or 0 for name in OWN_COUNTERS if name in values},
    )
    return (run,)


def _values(metric: object, source: Source, name: str) -> Mapping[str, Any]:
    found = mapping(metric, source, name)
    return mapping(found["values"], source, f"{name}.values") if "values" in found else found


def _quantile(durations: Mapping[str, Any], key: str, source: Source) -> float | None:
    return number(durations[key], source, key) if durations.get(key) is not None else None


def _counted(values: Mapping[str, Mapping[str, Any]], name: str, source: Source) -> int | None:
    return count(values[name].get("count", 0), source, name) if name in values else None


def _is_stream(source: Source) -> bool:
    return bool(_LINE.match(source.beginning[:4096]))


def _read_stream(source: Source) -> tuple[LoadRun, ...]:
    series = Series(source)
    retry_after, dropped = 0, None
    own: Counter[str] = Counter()
    with source.open() as stream:
        for number_of, line in enumerate(lines_of(stream, source), start=1):
            # Nine lines of ten are of other metrics: they are passed over before they are parsed.
            found = _POINT.search(line)
            if found is None:
                if line.strip() and not (line.startswith(b"{") and line.endswith(b"}")):
                    raise source.malformed(f"line {number_of} is no JSON object: the file may be cut off")
                continue
            where = f"line {number_of}"
            try:
                point = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise source.malformed(f"{where} is no JSON: {error}") from error
            metric = found[1].decode()
            if point.get("type") != "Point" or point.get("metric") != metric:
                dropped = dropped or 0 if metric == "dropped_iterations" else dropped
                continue
            data = mapping(point.get("data"), source, f"data of {where}")
            value = number(data.get("value"), source, f"the value of {where}")
            if metric == "dropped_iterations":
                dropped = (dropped or 0) + count(value, source, f"the value of {where}")
            elif metric == RETRY_AFTER:
                retry_after += count(value, source, f"the value of {where}")
            elif metric in OWN_COUNTERS:
                own[metric] += count(value, source, f"the value of {where}")
            else:
                _add(series, metric, value, data, source, where)
    run = series.run(
        Origin(file=source.name, tool="k6"),
        is_open_model=None if dropped is None else True,
        dropped=dropped or 0,
        retry_after=retry_after if retry_after or "429" not in series.statuses else None,
    )
    return (replace(run, own_counters=dict(own)),)


def _add(series: Series, metric: str, value: float, data: Mapping[str, Any], source: Source, where: str) -> None:
    """k6 gives each request one point of each metric, all with the time at which the request had ended."""
    at = _milliseconds(data.get("time"), source, where)
    if metric == "http_req_duration":
        series.add(at - value, value, requests=0)
    elif metric == "http_req_failed":
        series.add(at, None, requests=0, errors=1 if value else 0)
    else:
        requests = count(value, source, f"the value of {where}")
        tags = mapping(data.get("tags") or {}, source, f"tags of {where}")
        series.add(at, None, requests=requests)
        series.statuses[status_of(tags.get("status", "0"))] += requests
        series.sent_to(str(tags.get("url") or tags.get("name") or ""))


def _milliseconds(time: object, source: Source, where: str) -> float:
    try:
        # Nanoseconds are more than Python's parser takes from Python 3.11 on; it cuts them off.
        at = datetime.fromisoformat(str(time))
        if at.tzinfo is None:
            raise ValueError
        return at.timestamp() * 1000
    except (ValueError, OverflowError):
        raise source.malformed(f"the time of {where} is {str(time)[:40]!r}, expected one with a zone") from None


K6_STREAM = Format(name="k6's JSON stream (--out json)", recognises=_is_stream, read=_read_stream)
K6_SUMMARY = Format(
    name="k6's JSON summary (--summary-export, handleSummary)", recognises=_is_summary, read=_read_summary
)
