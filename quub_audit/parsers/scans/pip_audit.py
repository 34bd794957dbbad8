"""pip-audit's JSON, which tells no severity, no date and no file that it looked at.

A package that it could not look up has a `skip_reason`; where its source is down, that is every one, and its exit code
0. Source: `pip_audit/_format/json.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from quub_audit.facts.artifacts import Origin, Scan, ScanFinding
from quub_audit.parsers.scans.findings import MAX_UNREAD, each_once, purl, short, shorts, speaks_of
from quub_audit.parsers.source import Format, Source, list_in, mapping


def _read(source: Source) -> tuple[Scan, ...]:
    report = source.json()
    # Before 2.4 the report was the list alone.
    holder = {"dependencies": report} if isinstance(report, list) else mapping(report, source, "the report")
    packages = [mapping(each, source, "a dependency") for each in list_in(holder, "dependencies", source)]
    skipped = [each for each in packages if "skip_reason" in each or "vulns" not in each]
    looked_at = [each for each in packages if each not in skipped]
    findings = [
        _finding(package, mapping(each, source, "a vulnerability"), source)
        for package in looked_at
        for each in list_in(package, "vulns", source)
    ]
    unread = [f"{short(each.get('name'))}: {short(each.get('skip_reason'), 120) or 'skipped'}" for each in skipped]
    return (
        Scan(
            origin=Origin(file=source.name, tool="pip-audit"),
            covers="dependencies",
            volume=len({purl("pypi", each.get("name"), each.get("version")) for each in looked_at}),
            volume_of="packages",
            ecosystems=("pypi",),
            findings=each_once(findings),
            unread=tuple(unread[:MAX_UNREAD]),
        ),
    )


def _finding(package: Mapping[str, Any], found: Mapping[str, Any], source: Source) -> ScanFinding:
    name = short(found.get("id"))
    return ScanFinding(
        id=name,
        level="critical" if name.startswith("MAL-") else "unknown",
        aliases=tuple(each for each in shorts(list_in(found, "aliases", source)) if each != name),
        subject=purl("pypi", package.get("name"), package.get("version")),
        fixed_in=shorts(list_in(found, "fix_versions", source)),
    )


PIP_AUDIT = Format(
    name="pip-audit's JSON",
    recognises=lambda source: (
        speaks_of(source, "dependencies", "fixes")
        or speaks_of(source, "dependencies", "vulns")
        or speaks_of(source, "dependencies", "skip_reason")
        or speaks_of(source, "name", "vulns", opening="[")
    ),
    read=_read,
)
