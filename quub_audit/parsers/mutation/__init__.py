"""Reports of mutation testers, whatever wrote them."""

from __future__ import annotations

from quub_audit.facts.artifacts import MutationReport
from quub_audit.parsers.mutation.cosmic_ray import COSMIC_RAY
from quub_audit.parsers.mutation.mutmut import MUTMUT
from quub_audit.parsers.mutation.pit import PIT
from quub_audit.parsers.mutation.stryker import STRYKER
from quub_audit.parsers.source import Format, Source, read_as

FORMATS: tuple[Format[tuple[MutationReport, ...]], ...] = (PIT, STRYKER, MUTMUT, COSMIC_RAY)
"""Asked in this order; the first that knows a report reads it."""


def read(source: Source) -> tuple[MutationReport, ...]:
    """What the report holds; several where one file holds several. Raises Malformed."""
    return read_as(source, FORMATS, "mutation testing")
