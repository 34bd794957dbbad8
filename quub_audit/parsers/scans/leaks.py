"""What scanners for credentials write: betterleaks, gitleaks, TruffleHog, detect-secrets.

The values stand in these reports in clear, and in matches, messages, commits' texts and authors beside them: of each
finding the rule and the place are read, and nothing else; no message of this module quotes what it found.
Source: `report/finding.go` of gitleaks; betterleaks' report, schema 1; `pkg/output/json.go` of TruffleHog;
`core/baseline.py` of detect-secrets.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Literal

from quub_audit.facts.artifacts import Acceptance, Origin, Scan, ScanFinding
from quub_audit.parsers.scans.findings import each_once, line_of, short, shorts, speaks_of
from quub_audit.parsers.source import Format, Source, list_in, mapping, moment, text_of

_HASH = re.compile(r"[0-9a-f]{7,64}")

_CONFIDENCES: Mapping[str, Literal["low", "medium", "high"]] = {"low": "low", "medium": "medium", "high": "high"}

Json = Mapping[str, Any]


def _finding(rule: object, file: object, line: object, commit: object = "", **more: Any) -> ScanFinding:
    path, hash_ = short(file), text_of(commit)
    return ScanFinding(
        id=short(rule, 100) or "a rule without a name",
        subject=path,
        file=path,
        line=line_of(line),
        commit=hash_ if _HASH.fullmatch(hash_) else "",
        **{"level": "high", **more},
    )


def _scan(
    origin: Origin, findings: Iterable[ScanFinding], volume: int, of: str, unread: tuple[str, ...] = ()
) -> tuple[Scan, ...]:
    found = each_once(findings)
    return (Scan(origin=origin, covers="secrets", volume=volume, volume_of=of, findings=found, unread=unread),)


def _read_gitleaks(source: Source) -> tuple[Scan, ...]:
    """Findings alone: one without any shows nothing. Their SARIF names the rules that were tried."""
    report = source.json()
    if not isinstance(report, list):
        raise source.malformed("it is no list of findings")
    findings = [
        _finding(
            each.get("RuleID"),
            each.get("File"),
            each.get("StartLine"),
            each.get("Commit"),
            title=short(each.get("Description")),
            tags=shorts(list_in(each, "Tags", source)),
        )
        for each in (mapping(one, source, "a finding") for one in report)
    ]
    origin = Origin(file=source.name, tool="gitleaks")
    return _scan(origin, findings, len({each.file for each in findings}), "files with findings")


def _read_betterleaks(source: Source) -> tuple[Scan, ...]:
    """Findings, and how much was scanned: a clean one shows something too."""
    report = mapping(source.json(), source, "the report")
    if report.get("schema_version") != "1":
        raise source.malformed("its schema_version is not 1")
    run = mapping(report.get("scan"), source, "scan")
    findings = []
    for each in list_in(report, "findings", source):
        found = mapping(each, source, "a finding")
        place = mapping(found.get("location") or {}, source, "location")
        attributes = mapping(found.get("attributes") or {}, source, "attributes")
        findings.append(
            _finding(
                found.get("rule_id"),
                place.get("path"),
                place.get("start_line"),
                attributes.get("git.sha"),
                title=short(found.get("description")),
                confidence=_CONFIDENCES.get(text_of(found.get("confidence")), ""),
            )
        )
    scanned = run.get("bytes_scanned")
    origin = Origin(
        file=source.name,
        tool="betterleaks",
        version=short(run.get("betterleaks_version"), 40),
        produced_at=moment(run.get("finished")),
    )
    unread = () if run.get("state") == "complete" else ("something: the scan did not come to its end",)
    return _scan(origin, findings, scanned if isinstance(scanned, int) and scanned > 0 else 0, "bytes", unread)


def _read_trufflehog(source: Source) -> tuple[Scan, ...]:
    """Findings, and where the log is in the same file the chunks that it counts at its end."""
    origin = Origin(file=source.name, tool="TruffleHog")
    findings, chunks, errors = [], 0, 0
    for value in source.json_lines():
        line = mapping(value, source, "a line")
        if "DetectorName" in line:
            findings.append(_trufflehog(line, source))
        elif line.get("msg") == "finished scanning":
            counted = line.get("chunks")
            chunks = counted if isinstance(counted, int) and counted > 0 else 0
            version = short(line.get("trufflehog_version"), 40)
            origin = replace(origin, version=version, produced_at=moment(line.get("ts")))
        elif line.get("level") == "error":
            errors += 1
    unread = (f"{errors} places: the log has errors",) if errors else ()
    of = "chunks" if chunks else "findings"
    return _scan(origin, findings, chunks or len(findings), of, unread)


def _trufflehog(line: Json, source: Source) -> ScanFinding:
    metadata = mapping(line.get("SourceMetadata") or {}, source, "SourceMetadata")
    kinds = mapping(metadata.get("Data") or {}, source, "SourceMetadata.Data")
    place = next((each for each in kinds.values() if isinstance(each, Mapping)), {})
    is_verified = line.get("Verified") is True
    return _finding(
        line.get("DetectorName"),
        place.get("file") or place.get("image"),
        place.get("line"),
        place.get("commit"),
        level="critical" if is_verified else "high",
        title=short(line.get("DetectorDescription")),
        is_verified=is_verified,
        confidence="confirmed" if is_verified else "",
    )


def _read_detect_secrets(source: Source) -> tuple[Scan, ...]:
    """A baseline: what was looked at by a person and found harmless is accepted, what was not looked at is not."""
    report = mapping(source.json(), source, "the baseline")
    plugins = list_in(report, "plugins_used", source)
    by_file = mapping(report.get("results") or {}, source, "results")
    findings = [
        _finding(
            each.get("type"),
            file,
            each.get("line_number"),
            is_verified=each.get("is_verified") is True,
            confidence="confirmed" if each.get("is_secret") is True else "",
            acceptance=Acceptance(by="the audit of the baseline") if each.get("is_secret") is False else None,
        )
        for file in by_file
        for each in (mapping(one, source, "a finding") for one in list_in(by_file, file, source))
    ]
    origin = Origin(
        file=source.name,
        tool="detect-secrets",
        version=short(report.get("version"), 40),
        produced_at=moment(report.get("generated_at")),
    )
    return _scan(origin, findings, len(plugins), "plugins")


GITLEAKS = Format(
    name="gitleaks' JSON",
    recognises=lambda source: (
        speaks_of(source, "RuleID", opening="[") or re.fullmatch(r"\[\s*\]\s*|null\s*", source.beginning) is not None
    ),
    read=_read_gitleaks,
)
BETTERLEAKS = Format(
    name="betterleaks' JSON",
    recognises=lambda source: (
        speaks_of(source, "schema_version", "findings")
        and (speaks_of(source, "rule_id") or speaks_of(source, "betterleaks_version"))
    ),
    read=_read_betterleaks,
)
TRUFFLEHOG = Format(
    name="TruffleHog's JSON lines",
    recognises=lambda source: (
        speaks_of(source, "DetectorName") or (speaks_of(source, "msg", "logger") and "trufflehog" in source.beginning)
    ),
    read=_read_trufflehog,
)
DETECT_SECRETS = Format(
    name="a baseline of detect-secrets",
    recognises=lambda source: speaks_of(source, "plugins_used"),
    read=_read_detect_secrets,
)
