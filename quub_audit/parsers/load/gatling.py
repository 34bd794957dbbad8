"""Gatling: `simulation.log`, and `stats.json` and `global_stats.json` of a report, which there are up to 3.12.

Numbers are strings in older reports, and `-` where there are none. Percentiles 3 and 4 are 95 and 99 by default. A
failed request is `KO`. Source: what the versions 3.9 to 3.16 write.

The log is text up to 3.12. From 3.13 on it is records, each with its kind in one byte; numbers are big-endian. A text
is its length in bytes, the bytes, and one more for its encoding unless it is empty. One that comes often has a number
before it, and stands there as the negative number from then on. Times are milliseconds since the run began.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, BinaryIO

from quub_audit.facts.artifacts import LoadRun, Origin
from quub_audit.parsers.load.series import Series
from quub_audit.parsers.source import Format, Source, count, lines_of, mapping, number

_STATS = re.compile(r'\{.*"numberOfRequests"\s*:\s*\{.*"meanNumberOfRequestsPerSecond"', re.DOTALL)
# Assertions of the simulation come first.
_TEXT_LOG = re.compile(r"(?:ASSERTION\t[^\n]*\n)*+RUN\t[^\n]*\t\d{13}\t")
_BINARY_LOG = re.compile(rb"\0\0\0\0[\x06-\x20]3\.(?:1[3-9]|[2-9]\d)\.")
_REQUEST, _USER, _GROUP, _ERROR = range(1, 5)
MAX_TEXT_BYTES = 1 << 20


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


def _read_binary_log(source: Source) -> tuple[LoadRun, ...]:
    series, requests = Series(source), 0
    with source.open() as stream:
        log = _Records(stream, source)
        log.kind()
        version = log.text()
        log.text()
        began = log.number(8)
        log.text()
        for _ in range(log.number()):
            log.text()
        for _ in range(log.number()):
            log.bytes(log.length())
        while (kind := log.kind()) is not None:
            if kind == _REQUEST:
                requests += 1
                log.groups()
                log.cached_text()
                start, end, is_ok = log.number(), log.number(), log.bytes(1)
                log.cached_text()
                series.add(began + start, end - start, errors=0 if is_ok == b"\1" else 1)
            elif kind == _USER:
                log.bytes(4 + 1 + 4)
            elif kind == _GROUP:
                log.groups()
                log.bytes(4 + 4 + 4 + 1)
            elif kind == _ERROR:
                log.cached_text()
                log.bytes(4)
            else:
                raise source.malformed(f"after request {requests} stands a record of kind {kind}")
    return (series.run(Origin(file=source.name, tool="Gatling", version=version), has_statuses=False),)


class _Records:
    """The fields of a binary log, one after the other. Raises Malformed where it ends inside a record."""

    def __init__(self, stream: BinaryIO, source: Source) -> None:
        self._stream = stream
        self._source = source
        self._cached = 0

    def kind(self) -> int | None:
        """That of the next record; None at the end."""
        found = self._stream.read(1)
        return found[0] if found else None

    def bytes(self, length: int) -> bytes:
        found = self._stream.read(length)
        if len(found) < length:
            raise self._source.malformed("it ends inside a record: it may be cut off")
        return found

    def number(self, length: int = 4) -> int:
        return int.from_bytes(self.bytes(length), "big", signed=True)

    def length(self) -> int:
        found = self.number()
        if not 0 <= found <= MAX_TEXT_BYTES:
            raise self._source.malformed(f"it has a text of {found} bytes: it may be damaged")
        return found

    def text(self) -> str:
        if not (length := self.length()):
            return ""
        found, encoding = self.bytes(length), self.bytes(1)
        return found.decode("utf-16-le" if encoding == b"\1" else "latin-1", "replace")

    def cached_text(self) -> None:
        """Skip one: what requests and groups are called is of no use here."""
        at = self.number()
        if at == self._cached + 1:
            self._cached = at
            self.text()
        elif not 0 < -at <= self._cached:
            raise self._source.malformed(f"it refers to its text number {at} of {self._cached}: it may be damaged")

    def groups(self) -> None:
        for _ in range(self.number()):
            self.cached_text()


GATLING_STATS = Format(
    name="Gatling's stats.json", recognises=lambda source: bool(_STATS.match(source.beginning)), read=_read_stats
)
GATLING_LOG = Format(
    name="Gatling's simulation.log as text",
    recognises=lambda source: bool(_TEXT_LOG.match(source.beginning)),
    read=_read_log,
)
GATLING_BINARY_LOG = Format(
    name="Gatling's binary simulation.log",
    recognises=lambda source: bool(_BINARY_LOG.match(source.head)),
    read=_read_binary_log,
)
