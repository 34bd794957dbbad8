"""Reports of coverage, whatever wrote them."""

from __future__ import annotations

from quub_audit.facts.artifacts import Coverage
from quub_audit.parsers.coverage.clover import CLOVER
from quub_audit.parsers.coverage.cobertura import COBERTURA
from quub_audit.parsers.coverage.coverage_py import COVERAGE_PY
from quub_audit.parsers.coverage.go import GO
from quub_audit.parsers.coverage.istanbul import FINAL, SUMMARY
from quub_audit.parsers.coverage.jacoco import JACOCO
from quub_audit.parsers.coverage.lcov import LCOV
from quub_audit.parsers.source import Format, Source, read_as

FORMATS: tuple[Format[tuple[Coverage, ...]], ...] = (
    JACOCO,
    COBERTURA,
    CLOVER,
    COVERAGE_PY,
    SUMMARY,
    FINAL,
    LCOV,
    GO,
)
"""Asked in this order; the first that knows a report reads it."""


def read(source: Source) -> tuple[Coverage, ...]:
    """What the report holds; several where one file holds several. Raises Malformed."""
    return read_as(source, FORMATS, "coverage")
