"""Gatling: `stats.json` and `global_stats.json` of a report, and `simulation.log` where it is text (up to 3.9).

Numbers are strings in older reports, and `-` where there are none. Percentiles 3 and 4 are 95 and 99 by default. A
failed request is `KO`. Source: `gatling-charts` and `LogFileData` of Gatling.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from quub_audit.facts.artifacts import LoadRun, Origin
from quub_audit.parsers.load.series import Series
from quub_audit.parsers.source import Format, Source, count, lines_of, mapping, number

_STATS = re.compile(
    r'(?:var\s+stats\s*=\s*)?\{.*"numberOfRequests"\s*:\s*\{.*"meanNumberOfRequestsPerSecond"', re.DOTALL
)


def _read_stats(source: Source) -> tuple[LoadRun, ...]:
    report = mapping(source.json(), source, "the report")
    stats = mapping(report["stats"], source, "stats") if "stats" in report else report
    requests = count(_of(stats, "numberOfRequests", "total", source), source, "numberOfRequests.total")
    rate = number(_of(stats, "meanNumberOfRequestsPerSecond", "total", source), source, "meanNumberOfRequestsPerSecond")
    p50, p95, p99 = (
        number(value, source, key) if (value := _of(stats, key, "total", source)) is not None else None
        for key in ("percentiles1", "percentiles3", "percentiles4")
    )
    run = LoadRun(
        origin=Origin(file=source.name, tool="Gatling"),
        requests=requests,
        errors=count(_of(stats, "numberOfRequests", "ko", source) or 0, source, "numberOfRequests.ko"),
        duration_s=requests / rate if rate > 0 else 0.0,
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
    )
    return (run,)


def _of(stats: Mapping[str, Any], key: str, part: str, source: Source) -> object:
    value = mapping(stats.get(key) or {}, source, key).get(part)
    return None if value == "-" else value


def _read_log(source: Source) -> tuple[LoadRun, ...]:
    series, version = Series(source), ""
    with source.open() as stream:
        for line_of, line in enumerate(lines_of(stream, source), start=1):
            fields = line.decode("utf-8", "replace").split("\t")
            if fields[0] == "RUN":
                version = fields[-1].strip()
            if fields[0] != "REQUEST":
                continue
            # Which fields come before has changed; start and end stand right before OK or KO in all of them.
            at = next((index for index, field in enumerate(fields) if field in ("OK", "KO") and index > 2), None)
            if at is None:
                raise source.malformed(f"line {line_of} is no whole request: the file may be cut off")
            start, end = (number(fields[index], source, f"line {line_of}") for index in (at - 2, at - 1))
            series.add(start, end - start, errors=1 if fields[at] == "KO" else 0)
    return (series.run(Origin(file=source.name, tool="Gatling", version=version), has_statuses=False),)


GATLING_STATS = Format(
    name="Gatling's stats.json", recognises=lambda source: bool(_STATS.match(source.beginning)), read=_read_stats
)
GATLING_LOG = Format(
    name="Gatling's simulation.log as text",
    recognises=lambda source: bool(re.match(r"RUN\t[^\n]*\t\d{13}\t", source.beginning)),
    read=_read_log,
)
