"""mutmut 3's `mutmut export-cicd-stats`: counts of the whole run, of no file in particular.

A mutant that a crash or a suspicious delay ended was not noticed by a test. Source: mutmut's `CollectResultStats`.
"""

from __future__ import annotations

from quub_audit.facts.artifacts import FileMutants, MutationReport, Origin
from quub_audit.parsers.source import Format, Source, count, mapping

_KEYS = ("killed", "survived", "no_tests", "skipped", "suspicious", "timeout", "segfault")


def _read(source: Source) -> tuple[MutationReport, ...]:
    report = mapping(source.json(), source, "the report")
    counts = {key: count(report.get(key, 0), source, key) for key in _KEYS}
    total = count(report.get("total"), source, "total")
    told = sum(counts.values())
    if told > total:
        raise source.malformed(f"it tells of {told} mutants, its total is {total}")
    mutants = FileMutants(
        path="",
        killed=counts["killed"] + counts["timeout"],
        survived=counts["survived"] + counts["suspicious"] + counts["segfault"],
        uncovered=counts["no_tests"],
        # What is in no count was never tried; neither was the rest of a run that was interrupted.
        pending=total - told,
        left_out=counts["skipped"],
    )
    return (MutationReport(origin=Origin(file=source.name, tool="mutmut"), files=(mutants,) if total else ()),)


def _recognises(source: Source) -> bool:
    head = source.beginning
    return head.startswith("{") and '"check_was_interrupted_by_user"' in head


MUTMUT = Format(name="mutmut's export-cicd-stats", recognises=_recognises, read=_read)
