"""`cosmic-ray dump`: a work item and its result a line.

A mutant that could not even be imported counts as noticed, as cosmic-ray itself counts it.
Source: cosmic-ray's `work_item`, `WorkerOutcome` and `TestOutcome`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from quub_audit.facts.artifacts import MutationReport, Origin
from quub_audit.parsers.mutation.counted import counted
from quub_audit.parsers.source import Format, Source, list_in, mapping, text_of


def _read(source: Source) -> tuple[MutationReport, ...]:
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for at, line in enumerate(source.json_lines(), start=1):
        if not isinstance(line, list) or len(line) != 2:
            raise source.malformed(f"line {at} is no pair of a work item and its result")
        item = mapping(line[0], source, f"the work item of line {at}")
        result = mapping(line[1] or {}, source, f"the result of line {at}")
        for mutation in list_in(item, "mutations", source):
            path = text_of(mapping(mutation, source, "a mutation").get("module_path"))
            counts[path][_field(result, source, at)] += 1
    files = tuple(counted(path, found) for path, found in sorted(counts.items()))
    return (MutationReport(origin=Origin(file=source.name, tool="cosmic-ray"), files=files),)


def _field(result: Mapping[str, Any], source: Source, at: int) -> str:
    match result.get("worker_outcome"), result.get("test_outcome"):
        case None, _:
            return "pending"
        case "skipped", _:
            return "left_out"
        case "no-test", _:
            return "uncovered"
        case "abnormal", _:
            # It ran out of time.
            return "killed"
        case "normal", "killed" | "incompetent":
            return "killed"
        case "normal", "survived":
            return "survived"
        case "exception", _:
            return "pending"
        case worker, test:
            raise source.malformed(f"line {at} ends {worker!r}, {test!r}, which is no known outcome")


def _recognises(source: Source) -> bool:
    head = source.beginning
    return head.startswith("[{") and '"job_id"' in head[:200] and '"mutations"' in head


COSMIC_RAY = Format(name="cosmic-ray's dump", recognises=_recognises, read=_read)
