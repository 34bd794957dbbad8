"""PIT's `mutations.xml`. Source: pitest.org, `XMLReportListener` and `DetectionStatus`.

A mutant is of the source file below the package of its class. What ended in an error of memory or of the run counts as
detected, as PIT itself counts it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

from quub_audit.facts.artifacts import MutationReport, Origin
from quub_audit.parsers.mutation.counted import counted
from quub_audit.parsers.source import Format, Source

_FIELDS: Mapping[str, str] = {
    "KILLED": "killed",
    "TIMED_OUT": "killed",
    "MEMORY_ERROR": "killed",
    "RUN_ERROR": "killed",
    "SURVIVED": "survived",
    "NO_COVERAGE": "uncovered",
    "NOT_STARTED": "pending",
    "STARTED": "pending",
    "NON_VIABLE": "left_out",
}


def _read(source: Source) -> tuple[MutationReport, ...]:
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for mutation in source.xml().iter("mutation"):
        status = mutation.get("status", "")
        file, of_class = mutation.findtext("sourceFile"), mutation.findtext("mutatedClass")
        if status not in _FIELDS:
            raise source.malformed(f"a mutation is {status[:40]!r}, expected one of {', '.join(_FIELDS)}")
        if not file or not of_class:
            raise source.malformed("a mutation names no source file or class")
        package = of_class.rpartition(".")[0].replace(".", "/")
        counts[f"{package}/{file}" if package else file][_FIELDS[status]] += 1
    files = tuple(counted(path, found) for path, found in sorted(counts.items()))
    return (MutationReport(origin=Origin(file=source.name, tool="PIT"), files=files),)


PIT = Format(name="PIT's mutations.xml", recognises=lambda source: source.xml_root == "mutations", read=_read)
