"""Checkov's JSON: one report, or a list of one for each framework. Code blocks are left unread: they hold values.

Source: `checkov/common/output/report.py` and `record.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from quub_audit.facts.artifacts import Acceptance, Origin, Scan, ScanFinding
from quub_audit.parsers.scans.findings import MAX_UNREAD, each_once, level_of_word, line_of, short, shorts, speaks_of
from quub_audit.parsers.source import Format, Source, list_in, mapping

Json = Mapping[str, Any]


def _read(source: Source) -> tuple[Scan, ...]:
    report = source.json()
    reports = [mapping(each, source, "a report") for each in (report if isinstance(report, list) else [report])]
    return tuple(_scan(each, source) for each in reports)


def _scan(report: Json, source: Source) -> Scan:
    # Without anything to look at, Checkov writes the summary alone.
    results = mapping(report.get("results") or {}, source, "results")
    summary = mapping(report.get("summary") or report, source, "summary")
    kind = short(report.get("check_type"), 60)
    held, failed, skipped = (
        [mapping(each, source, "a check") for each in list_in(results, key, source)]
        for key in ("passed_checks", "failed_checks", "skipped_checks")
    )
    unread = shorts(list_in(results, "parsing_errors", source))
    findings = [
        *(_finding(each, False, source) for each in failed),
        *(_finding(each, True, source) for each in skipped),
    ]
    return Scan(
        origin=Origin(file=source.name, tool="Checkov", version=short(summary.get("checkov_version"), 40)),
        covers="secrets" if kind == "secrets" else "dependencies" if kind.startswith("sca_") else "infrastructure",
        volume=len(held) + len(failed) + len(skipped),
        volume_of="checks",
        targets=shorts((kind,)),
        findings=each_once(findings),
        unread=unread[:MAX_UNREAD],
    )


def _finding(found: Json, is_skipped: bool, source: Source) -> ScanFinding:
    span = list_in(found, "file_line_range", source)
    result = mapping(found.get("check_result") or {}, source, "check_result")
    file = short(found.get("file_path")).lstrip("/")
    return ScanFinding(
        id=short(found.get("check_id")),
        level=level_of_word(found.get("severity")),
        title=short(found.get("check_name")),
        aliases=shorts((found.get("bc_check_id"),)),
        # Checkov names what it found in `secrets` by a hash of the value.
        subject=file if str(found.get("check_id")).startswith("CKV_SECRET") else short(found.get("resource")) or file,
        file=file,
        line=line_of(span[0]) if span else None,
        acceptance=Acceptance(by="a comment in the code", reason=short(result.get("suppress_comment"), 100))
        if is_skipped
        else None,
    )


def _recognises(source: Source) -> bool:
    return any(
        speaks_of(source, "check_type", opening=opening) or speaks_of(source, "checkov_version", opening=opening)
        for opening in "{["
    )


CHECKOV = Format(name="Checkov's JSON", recognises=_recognises, read=_read)
