"""`npm audit --json`, and what pnpm and yarn 1 write in the older shape.

What the registry did not answer is a report of nothing, in which the reason stands; npm ends with such a one, and in
some versions with exit code 0.
Source: npm's `npm-audit-report` and `@npmcli/metavuln-calculator`; npm 6's `npm audit --json`, which pnpm keeps.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from quub_audit.facts.artifacts import Origin, Scan, ScanFinding
from quub_audit.parsers.scans.findings import (
    cwes_in,
    each_once,
    known,
    level_of_score,
    level_of_vectors,
    level_of_word,
    purl,
    short,
    shorts,
    speaks_of,
)
from quub_audit.parsers.source import Format, Source, count, list_in, mapping, text_of

_GHSA = re.compile(r"GHSA(?:-[0-9a-z]{4}){3}", re.IGNORECASE)
_FIXED = re.compile(r"(?:^|\s|\|\|)<\s*([0-9][0-9A-Za-z.+-]*)")

Json = Mapping[str, Any]


def _read(source: Source) -> tuple[Scan, ...]:
    report = mapping(source.json(), source, "the report")
    if report.get("error") or ("message" in report and "vulnerabilities" not in report):
        return (_failed(report, source),)
    if "auditReportVersion" not in report and "advisories" in report:
        return (_old(list(_advisories(report, source)), _total(report, source), source),)
    if report.get("auditReportVersion") != 2:
        raise source.malformed(f"its auditReportVersion is {report.get('auditReportVersion')!r:.20}, expected 2")
    packages = mapping(report.get("vulnerabilities") or {}, source, "vulnerabilities")
    found = [mapping(each, source, "a package") for each in packages.values()]
    findings = [
        _advisory(mapping(via, source, "an advisory"), package.get("fixAvailable"), source)
        for package in found
        for via in list_in(package, "via", source)
        if not isinstance(via, str)  # the name of another package of the list
    ]
    metadata = mapping(report.get("metadata") or {}, source, "metadata")
    dependencies = mapping(metadata.get("dependencies") or {}, source, "metadata.dependencies")
    total = count(dependencies.get("total", 0), source, "metadata.dependencies.total")
    return (_scan("npm audit", findings, max(total, len(packages)), source),)


def _scan(tool: str, findings: Iterable[ScanFinding], volume: int, source: Source, *unread: str) -> Scan:
    return Scan(
        origin=Origin(file=source.name, tool=tool),
        covers="dependencies",
        volume=volume,
        volume_of="packages",
        ecosystems=("npm",),
        findings=each_once(findings),
        unread=unread,
    )


def _failed(report: Json, source: Source) -> Scan:
    error = report.get("error")
    said = error if isinstance(error, Mapping) else {}
    why = short(said.get("code"), 60) or short(str(report.get("statusCode") or ""), 20) or "an error"
    return _scan("npm audit", (), 0, source, f"everything: the audit ended with {why}")


def _advisory(found: Json, fix: object, source: Source) -> ScanFinding:
    name, number = short(found.get("name") or found.get("dependency")), found.get("source")
    ghsa = _GHSA.search(text_of(found.get("url")))
    own = f"npm:{number}" if isinstance(number, int) else ""
    names = [each for each in (ghsa[0] if ghsa else "", own) if each]
    cvss = mapping(found.get("cvss") or {}, source, "cvss")
    versions = _FIXED.findall(text_of(found.get("range")))
    offered = fix.get("version") if isinstance(fix, Mapping) and fix.get("name") == name else None
    return ScanFinding(
        id=names[0] if names else short(found.get("title")) or f"an advisory on {name}",
        level=known(
            level_of_vectors((cvss.get("vectorString"),)),
            level_of_score(cvss.get("score") or None),
            level_of_word(found.get("severity")),
        ),
        title=short(found.get("title")),
        aliases=tuple(names[1:]),
        subject=purl("npm", name),
        fixed_in=shorts((*versions[-1:], *((offered,) if not versions else ()))),
        cwes=cwes_in(list_in(found, "cwe", source)),
    )


def _total(report: Json, source: Source) -> int:
    metadata = mapping(report.get("metadata") or {}, source, "metadata")
    stated = metadata.get("totalDependencies") or metadata.get("dependencies") or 0
    if isinstance(stated, Mapping):
        stated = stated.get("total", 0)
    return count(stated, source, "metadata.totalDependencies")


def _advisories(report: Json, source: Source) -> Iterator[Json]:
    advisories = report["advisories"]
    values = advisories.values() if isinstance(advisories, Mapping) else list_in(report, "advisories", source)
    yield from (mapping(each, source, "an advisory") for each in values)


def _old(advisories: Iterable[Json], total: int, source: Source, tool: str = "npm or pnpm audit") -> Scan:
    findings = [finding for each in advisories for finding in _old_advisory(each, source)]
    return _scan(tool, findings, max(total, len({finding.subject for finding in findings})), source)


def _old_advisory(found: Json, source: Source) -> Iterator[ScanFinding]:
    """One for each installed version."""
    ghsa = _GHSA.search(text_of(found.get("github_advisory_id")) or text_of(found.get("url")))
    number = found.get("id")
    names = shorts((ghsa[0] if ghsa else "", *list_in(found, "cves", source), f"npm:{number}" if number else ""))
    cvss = mapping(found.get("cvss") or {}, source, "cvss")
    cwe = found.get("cwe")
    patched = re.search(r">=?\s*([0-9][0-9A-Za-z.+-]*)", text_of(found.get("patched_versions")))
    installed = [mapping(each, source, "a finding").get("version") for each in list_in(found, "findings", source)]
    for version in shorts(installed) or ("",):
        yield ScanFinding(
            id=names[0] if names else short(found.get("title")) or "an advisory without a number",
            level=known(
                level_of_vectors((cvss.get("vectorString"),)),
                level_of_score(cvss.get("score") or None),
                level_of_word(found.get("severity")),
            ),
            title=short(found.get("title")),
            aliases=names[1:],
            subject=purl("npm", found.get("module_name"), version),
            fixed_in=(patched[1],) if patched else (),
            cwes=cwes_in(cwe if isinstance(cwe, list) else (cwe,)),
        )


def _read_yarn(source: Source) -> tuple[Scan, ...]:
    advisories, total, is_ended = [], 0, False
    for value in source.json_lines():
        line = mapping(value, source, "a line")
        if line.get("type") == "auditAdvisory":
            content = mapping(line.get("data"), source, "data")
            advisories.append(mapping(content.get("advisory"), source, "advisory"))
        elif line.get("type") == "auditSummary":
            total = _total({"metadata": line.get("data")}, source)
            is_ended = True
    if not is_ended:
        return (_scan("yarn audit", (), 0, source, "everything: the audit did not come to its summary"),)
    return (_old(advisories, total, source, "yarn audit"),)


NPM_AUDIT = Format(
    name="npm audit's JSON",
    recognises=lambda source: (
        speaks_of(source, "auditReportVersion")
        or (speaks_of(source, "advisories") and speaks_of(source, "module_name"))
        or speaks_of(source, "advisories", "metadata")
        or (speaks_of(source, "error") and (speaks_of(source, "summary") or speaks_of(source, "code")))
    ),
    read=_read,
)
YARN_AUDIT = Format(
    name="yarn audit's JSON lines",
    recognises=lambda source: (
        re.match(
            r'\{"type":"(auditAdvisory|auditSummary|auditAction|error|warning|info|activityTick)"', source.beginning
        )
        is not None
    ),
    read=_read_yarn,
)
