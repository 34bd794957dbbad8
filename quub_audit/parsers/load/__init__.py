"""Reports of load tests, whatever wrote them."""

from __future__ import annotations

from quub_audit.facts.artifacts import LoadRun
from quub_audit.parsers.load.artillery import ARTILLERY
from quub_audit.parsers.load.gatling import GATLING_BINARY_LOG, GATLING_LOG, GATLING_STATS
from quub_audit.parsers.load.jmeter import JMETER_CSV, JMETER_STATISTICS, JMETER_XML
from quub_audit.parsers.load.k6 import K6_STREAM, K6_SUMMARY
from quub_audit.parsers.load.locust import LOCUST_HISTORY, LOCUST_HTML, LOCUST_JSON, LOCUST_STATS
from quub_audit.parsers.load.vegeta import VEGETA
from quub_audit.parsers.load.wrk import AUTOCANNON, OHA, WRK
from quub_audit.parsers.source import Format, Source, read_as

FORMATS: tuple[Format[tuple[LoadRun, ...]], ...] = (
    K6_STREAM,
    K6_SUMMARY,
    LOCUST_HISTORY,
    LOCUST_STATS,
    LOCUST_JSON,
    LOCUST_HTML,
    JMETER_CSV,
    JMETER_XML,
    JMETER_STATISTICS,
    GATLING_STATS,
    GATLING_LOG,
    GATLING_BINARY_LOG,
    ARTILLERY,
    VEGETA,
    WRK,
    OHA,
    AUTOCANNON,
)
"""Asked in this order; the first that knows a report reads it."""


def read(source: Source) -> tuple[LoadRun, ...]:
    """What the report holds; several where one file holds several. Raises Malformed."""
    return read_as(source, FORMATS, "load tests")
