"""Reports of scanners, whatever wrote them."""

from __future__ import annotations

from quub_audit.facts.artifacts import Scan
from quub_audit.parsers.source import Format, Source, read_as

FORMATS: tuple[Format[tuple[Scan, ...]], ...] = ()
"""Asked in this order; the first that knows a report reads it."""


def read(source: Source) -> tuple[Scan, ...]:
    """What the report holds; several where one file holds several. Raises Malformed."""
    return read_as(source, FORMATS, "scans")
