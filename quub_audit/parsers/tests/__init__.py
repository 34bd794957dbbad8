"""Reports of results of tests, whatever wrote them."""

from __future__ import annotations

from quub_audit.facts.artifacts import TestReport
from quub_audit.parsers.source import Format, Source, read_as
from quub_audit.parsers.tests.junit import JUNIT
from quub_audit.parsers.tests.playwright import PLAYWRIGHT

FORMATS: tuple[Format[tuple[TestReport, ...]], ...] = (JUNIT, PLAYWRIGHT)
"""Asked in this order; the first that knows a report reads it."""


def read(source: Source) -> tuple[TestReport, ...]:
    """What the report holds; several where one file holds several. Raises Malformed."""
    return read_as(source, FORMATS, "test results")
