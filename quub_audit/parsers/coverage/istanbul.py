"""Istanbul's JSON: `coverage-final.json` with every statement, `coverage-summary.json` with counts; c8 and Vitest too.

A line has run when a statement that begins on it has, as Istanbul counts its lines.
Source: istanbul-lib-coverage, `FileCoverage` and `CoverageSummary`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from quub_audit.facts.artifacts import Coverage, FileCoverage, Origin
from quub_audit.parsers.coverage.tally import Tallies, Tally, cleaned
from quub_audit.parsers.source import Format, Source, count, list_in, mapping, number, text_of


def _read_final(source: Source) -> tuple[Coverage, ...]:
    tallies = Tallies()
    for name, value in mapping(source.json(), source, "the report").items():
        whole = mapping(value, source, name)
        file = mapping(whole.get("data", whole), source, name)
        _add_file(tallies.of(text_of(file.get("path")) or name), file, source)
    return (Coverage(origin=Origin(file=source.name), files=tallies.as_files()),)


def _add_file(tally: Tally, file: Mapping[str, Any], source: Source) -> None:
    statements = _part(file, "statementMap", source)
    for key, hits in _part(file, "s", source).items():
        place = mapping(statements.get(key), source, f"statement {key}")
        tally.add_line(_line(place.get("start"), source), ran=count(hits, source, "hits") > 0)
    branches = _part(file, "b", source)
    for key in branches:
        for index, hits in enumerate(list_in(branches, key, source)):
            tally.add_branches((key, index), int(count(hits, source, "hits") > 0))
    functions = _part(file, "fnMap", source)
    for key, hits in _part(file, "f", source).items():
        name = text_of(mapping(functions.get(key), source, f"function {key}").get("name"))
        tally.add_function(key, name, ran=count(hits, source, "hits") > 0)


def _part(file: Mapping[str, Any], key: str, source: Source) -> Mapping[str, Any]:
    return mapping(file.get(key), source, key)


def _line(place: object, source: Source) -> int:
    return count(mapping(place, source, "a place").get("line"), source, "a line")


def _read_summary(source: Source) -> tuple[Coverage, ...]:
    report = mapping(source.json(), source, "the report")
    files = {
        cleaned(path): _summed(cleaned(path), mapping(value, source, path), source)
        for path, value in report.items()
        if path != "total"
    }
    stated = mapping(mapping(report.get("total"), source, "total").get("lines"), source, "lines").get("pct")
    return (
        Coverage(
            origin=Origin(file=source.name),
            files=tuple(files[path] for path in sorted(files)),
            # Of nothing Istanbul says "Unknown", or 100.
            stated_percent=None if stated == "Unknown" else number(stated, source, "pct"),
        ),
    )


def _summed(path: str, file: Mapping[str, Any], source: Source) -> FileCoverage:
    counts = {key: _counts(file, key, source) for key in ("lines", "branches", "functions")}
    lines = mapping(file.get("lines"), source, "lines")
    return FileCoverage(
        path=path,
        lines=counts["lines"][1],
        lines_covered=counts["lines"][0],
        branches=counts["branches"][1],
        branches_covered=counts["branches"][0],
        functions=counts["functions"][1],
        functions_covered=counts["functions"][0],
        ignored_lines=count(lines.get("skipped", 0), source, "skipped"),
    )


def _counts(file: Mapping[str, Any], key: str, source: Source) -> tuple[int, int]:
    """Covered ones of all; those that were left out by a comment count as covered in Istanbul and not at all here."""
    said = mapping(file.get(key), source, key)
    covered, total, skipped = (count(said.get(name, 0), source, name) for name in ("covered", "total", "skipped"))
    if covered > total or skipped > total:
        raise source.malformed(f"{key}: {max(covered, skipped)} of {total}")
    return max(covered - skipped, 0), total - skipped


def _is_final(source: Source) -> bool:
    return source.beginning.startswith("{") and '"statementMap"' in source.beginning


def _is_summary(source: Source) -> bool:
    head = source.beginning
    return head.startswith("{") and head[1:].lstrip().startswith('"total"') and '"pct"' in head


FINAL = Format(name="Istanbul's coverage-final.json", recognises=_is_final, read=_read_final)
SUMMARY = Format(name="Istanbul's coverage-summary.json", recognises=_is_summary, read=_read_summary)
