"""coverage.py's JSON report.

Where branches were measured, `percent_covered` mixes them in: lines are counted from the lists.
Source: coverage.py's documentation, "JSON reporting"; formats up to 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from quub_audit.facts.artifacts import Coverage, Origin
from quub_audit.parsers.coverage.tally import Tallies, Tally
from quub_audit.parsers.source import Format, Source, count, list_in, mapping, moment, number, text_of

FORMATS = (None, 1, 2, 3)
"""None is of versions before the format had a number."""


def _read(source: Source) -> tuple[Coverage, ...]:
    report = mapping(source.json(), source, "the report")
    meta = mapping(report.get("meta"), source, "meta")
    if meta.get("format") not in FORMATS:
        raise source.malformed(f"its format is {meta['format']}, expected 3 or less")
    tallies = Tallies()
    for path, value in mapping(report.get("files"), source, "files").items():
        _add_file(tallies.of(path), mapping(value, source, path), source)
    totals = mapping(report.get("totals") or {}, source, "totals")
    pure = "percent_statements_covered" if meta.get("branch_coverage") else "percent_covered"
    has_lines = totals.get("num_statements") and pure in totals
    origin = Origin(
        file=source.name,
        tool="coverage.py",
        version=text_of(meta.get("version")),
        produced_at=moment(meta.get("timestamp")),
    )
    stated = number(totals[pure], source, pure) if has_lines else None
    return (Coverage(origin=origin, files=tallies.as_files(), stated_percent=stated),)


def _add_file(tally: Tally, file: Mapping[str, Any], source: Source) -> None:
    for key, ran in (("executed_lines", True), ("missing_lines", False)):
        for line in list_in(file, key, source):
            tally.add_line(count(line, source, key), ran=ran)
    for key, taken in (("executed_branches", 1), ("missing_branches", 0)):
        for branch in list_in(file, key, source):
            tally.add_branches(str(branch), taken)
    for name, value in mapping(file.get("functions") or {}, source, "functions").items():
        function = mapping(value, source, name)
        has_run = bool(list_in(function, "executed_lines", source))
        if name and (has_run or list_in(function, "missing_lines", source)):
            tally.add_function(name, name, ran=has_run)
    tally.ignored_lines += len(list_in(file, "excluded_lines", source))


def _recognises(source: Source) -> bool:
    head = source.beginning
    return head.startswith("{") and '"meta"' in head and '"branch_coverage"' in head


COVERAGE_PY = Format(name="coverage.py's JSON", recognises=_recognises, read=_read)
