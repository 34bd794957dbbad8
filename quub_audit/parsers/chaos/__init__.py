"""Reports of chaos experiments, whatever wrote them."""

from __future__ import annotations

from quub_audit.facts.artifacts import Experiment
from quub_audit.parsers.chaos.litmus import LITMUS
from quub_audit.parsers.chaos.toolkit import CHAOS_TOOLKIT
from quub_audit.parsers.chaos.toxiproxy import TOXIPROXY
from quub_audit.parsers.source import Format, Source, read_as

FORMATS: tuple[Format[tuple[Experiment, ...]], ...] = (CHAOS_TOOLKIT, LITMUS, TOXIPROXY)
"""Asked in this order; the first that knows a report reads it."""


def read(source: Source) -> tuple[Experiment, ...]:
    """What the report holds; several where one file holds several. Raises Malformed."""
    return read_as(source, FORMATS, "chaos experiments")
