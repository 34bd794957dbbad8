"""vegeta: `vegeta report -type=json`. Durations are nanoseconds; status 0 is no answer. Source: `lib/metrics.go`."""

from __future__ import annotations

import re

from quub_audit.facts.artifacts import LoadRun, Origin
from quub_audit.parsers.load.series import statuses_in
from quub_audit.parsers.source import Format, Source, count, mapping, moment, number

_KEYS = re.compile(r'\{.*"latencies"\s*:.*"status_codes"\s*:', re.DOTALL)


def _read(source: Source) -> tuple[LoadRun, ...]:
    report = mapping(source.json(), source, "the report")
    latencies = mapping(report.get("latencies"), source, "latencies")
    codes = mapping(report.get("status_codes") or {}, source, "status_codes")
    by_status = {code: count(times, source, f"status_codes.{code}") for code, times in codes.items()}
    requests = count(report.get("requests"), source, "requests")
    if sum(by_status.values()) != requests:
        raise source.malformed(f"its statuses count {sum(by_status.values())} requests, and it says {requests}")
    # As vegeta itself judges: what is neither 2xx nor 3xx failed.
    succeeded = sum(times for code, times in by_status.items() if len(code) == 3 and code[0] in "23")
    p50, p95, p99 = (
        number(latencies[key], source, key) / 1e6 if latencies.get(key) is not None else None
        for key in ("50th", "95th", "99th")
    )
    run = LoadRun(
        origin=Origin(file=source.name, tool="vegeta", produced_at=moment(report.get("end")) if requests else None),
        requests=requests,
        errors=requests - succeeded,
        duration_s=count(report.get("duration", 0), source, "duration") / 1e9,
        started_at=moment(report.get("earliest")) if requests else None,
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        is_open_model=True,
        statuses=statuses_in(by_status),
    )
    return (run,)


VEGETA = Format(name="vegeta's JSON report", recognises=lambda source: bool(_KEYS.match(source.beginning)), read=_read)
