"""Trivy's JSON: packages, configuration and credentials are scans of their own.

How old its database was, Trivy does not write; it takes the newest one unless it is told not to. Nor does it write
which scanners ran: a run without `vuln` lists packages too, and its report looks like that of a clean one.
Source: what 0.74 writes, and `pkg/types/report.go` of Trivy, schema version 2; findings that were left out stand in the
report by `--show-suppressed` alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from quub_audit.facts.artifacts import Acceptance, Level, Origin, Scan, ScanFinding
from quub_audit.parsers.scans.findings import (
    cwes_in,
    each_once,
    known,
    level_of_score,
    level_of_vectors,
    level_of_word,
    line_of,
    plain_purl,
    purl,
    short,
    shorts,
    speaks_of,
    worst,
)
from quub_audit.parsers.source import Format, Source, count, list_in, mapping, moment, text_of

PACKAGES = ("os-pkgs", "lang-pkgs")

ECOSYSTEMS: Mapping[str, str] = {
    "npm": "npm",
    "node-pkg": "npm",
    "yarn": "npm",
    "pnpm": "npm",
    "bun": "npm",
    "pip": "pypi",
    "python-pkg": "pypi",
    "pipenv": "pypi",
    "poetry": "pypi",
    "uv": "pypi",
    "gomod": "golang",
    "gobinary": "golang",
    "jar": "maven",
    "pom": "maven",
    "gradle": "maven",
    "bundler": "gem",
    "gemspec": "gem",
    "cargo": "cargo",
    "composer": "composer",
}
"""purl's names of Trivy's types."""

Json = Mapping[str, Any]


def _read(source: Source) -> tuple[Scan, ...]:
    report = mapping(source.json(), source, "the report")
    if report.get("SchemaVersion") != 2:
        raise source.malformed(f"its SchemaVersion is {short(str(report.get('SchemaVersion')), 20)}, expected 2")
    results = [mapping(each, source, "a result") for each in list_in(report, "Results", source)]
    metadata = mapping(report.get("Metadata") or {}, source, "Metadata")
    tool = mapping(report.get("Trivy") or {}, source, "Trivy")
    origin = Origin(
        file=source.name,
        tool="Trivy",
        version=short(tool.get("Version"), 100),
        produced_at=moment(report.get("CreatedAt")),
        commit=short(metadata.get("Commit"), 64),
    )
    configuration = [each for each in results if each.get("Class") == "config"]
    credentials = [each for each in results if each.get("Class") == "secret"]
    packages = [each for each in results if each.get("Class") in PACKAGES]
    scans = []
    if packages or not (configuration or credentials):
        scans.append(_packages(report, metadata, packages, origin, source))
    if configuration:
        scans.append(_configuration(configuration, origin, source))
    if credentials:
        scans.append(_credentials(credentials, origin, source))
    return tuple(scans)


def _packages(report: Json, metadata: Json, results: Sequence[Json], origin: Origin, source: Source) -> Scan:
    is_image = report.get("ArtifactType") in ("container_image", "vm")
    listed: set[str] = set()
    findings = []
    for result in results:
        listed.update(_names(result, source))
        found = [mapping(each, source, "a vulnerability") for each in list_in(result, "Vulnerabilities", source)]
        findings += [_vulnerability(each, result, None, source) for each in found]
        for one in list_in(result, "ExperimentalModifiedFindings", source):
            modified = mapping(one, source, "a modified finding")
            if modified.get("Type") == "vulnerability":
                accepted = Acceptance(
                    by=short(modified.get("Source"), 100) or "Trivy",
                    reason=": ".join(shorts((modified.get("Status"), modified.get("Statement")))),
                )
                left_out = mapping(modified.get("Finding"), source, "Finding")
                findings.append(_vulnerability(left_out, result, accepted, source))
    image = (report.get("ArtifactName"), *list_in(metadata, "RepoDigests", source), metadata.get("ImageID"))
    return Scan(
        origin=origin,
        covers="image" if is_image else "dependencies",
        volume=len(listed),
        volume_of="packages",
        targets=shorts(image if is_image else (result.get("Target") for result in results)),
        ecosystems=tuple(sorted({ECOSYSTEMS.get(text_of(r.get("Type")), text_of(r.get("Type"))) for r in results})),
        findings=each_once(findings),
        unread=tuple(_unread(metadata, results, source)) if is_image else (),
        # `--scanners secret` lists packages too, and `--scanners` stands nowhere.
        shows_search=bool(findings),
    )


def _names(result: Json, source: Source) -> Iterator[str]:
    """Of the packages that are listed; where none are, of those with a finding, whose versions are spelt otherwise."""
    listed, found = (list_in(result, key, source) for key in ("Packages", "Vulnerabilities"))
    name, version = ("Name", "Version") if listed else ("PkgName", "InstalledVersion")
    for each in listed or found:
        package = mapping(each, source, "a package")
        yield f"{text_of(package.get(name))}@{text_of(package.get(version))}"


def _unread(metadata: Json, results: Sequence[Json], source: Source) -> Iterator[str]:
    system = mapping(metadata.get("OS") or {}, source, "OS")
    called = " ".join(shorts((system.get("Family"), system.get("Name"))))
    if system.get("EOSL") is True:
        yield f"packages of {called}, for which there are no advisories any more"
    elif called and not any(result.get("Class") == "os-pkgs" for result in results):
        yield f"packages of {called}, which was found and not looked at"


def _vulnerability(found: Json, result: Json, accepted: Acceptance | None, source: Source) -> ScanFinding:
    kind = text_of(result.get("Type"))
    identifier = mapping(found.get("PkgIdentifier") or {}, source, "PkgIdentifier")
    name = short(found.get("VulnerabilityID"))
    fixed = text_of(found.get("FixedVersion")).split(",")
    return ScanFinding(
        id=name,
        level=_level(found, source),
        title=short(found.get("Title")),
        aliases=tuple(each for each in shorts(list_in(found, "VendorIDs", source)) if each != name),
        subject=plain_purl(identifier.get("PURL"))
        or purl(ECOSYSTEMS.get(kind, kind), found.get("PkgName"), found.get("InstalledVersion")),
        fixed_in=shorts(fixed),
        cwes=cwes_in(list_in(found, "CweIDs", source)),
        tags=shorts((found.get("Status"),)),
        file=short(found.get("PkgPath") or result.get("Target")) if result.get("Class") == "lang-pkgs" else "",
        acceptance=accepted,
    )


def _level(found: Json, source: Source) -> Level:
    """By the CVSS of the source that Trivy goes by, else the worst of all sources, else by Trivy's word."""
    by_source = mapping(found.get("CVSS") or {}, source, "CVSS")
    chosen = by_source.get(text_of(found.get("SeveritySource")))
    scored = [each for each in ((chosen,) if chosen else by_source.values()) if isinstance(each, Mapping)]
    levels = [
        known(level_of_vectors((each.get("V40Vector"), each.get("V3Vector"))), level_of_score(each.get("V3Score")))
        for each in scored
    ]
    levels = [level for level in levels if level != "unknown"]
    return worst(levels) if levels else level_of_word(found.get("Severity"))


def _configuration(results: Sequence[Json], origin: Origin, source: Source) -> Scan:
    findings = []
    looked_at = 0
    for result in results:
        listed = [mapping(each, source, "a check") for each in list_in(result, "Misconfigurations", source)]
        summary = mapping(result.get("MisconfSummary") or {}, source, "MisconfSummary")
        # Checks that hold are counted, and listed only on request.
        stated = sum(count(summary.get(key, 0), source, key) for key in ("Successes", "Failures", "Exceptions"))
        looked_at += max(len(listed), stated)
        for each in listed:
            if each.get("Status", "FAIL") == "PASS":
                continue
            cause = mapping(each.get("CauseMetadata") or {}, source, "CauseMetadata")
            findings.append(
                ScanFinding(
                    id=short(each.get("ID")),
                    level=level_of_word(each.get("Severity")),
                    title=short(each.get("Title")),
                    subject=short(cause.get("Resource") or result.get("Target")),
                    file=short(result.get("Target")),
                    line=line_of(cause.get("StartLine")),
                    acceptance=Acceptance(by="Trivy") if each.get("Status") == "EXCEPTION" else None,
                )
            )
    return Scan(
        origin=origin,
        covers="infrastructure",
        volume=looked_at,
        volume_of="checks",
        targets=shorts(result.get("Target") for result in results),
        findings=each_once(findings),
    )


def _credentials(results: Sequence[Json], origin: Origin, source: Source) -> Scan:
    """`Match` and `Code` are left unread; Trivy lists only files in which it found something."""
    findings = [
        ScanFinding(
            id=short(secret.get("RuleID")),
            level=level_of_word(secret.get("Severity")),
            title=short(secret.get("Title")),
            subject=short(result.get("Target")),
            file=short(result.get("Target")),
            line=line_of(secret.get("StartLine")),
        )
        for result in results
        for secret in (mapping(each, source, "a secret") for each in list_in(result, "Secrets", source))
    ]
    return Scan(
        origin=origin,
        covers="secrets",
        volume=len(results),
        volume_of="files with findings",
        findings=each_once(findings),
    )


TRIVY = Format(
    name="Trivy's JSON",
    recognises=lambda source: (
        speaks_of(source, "SchemaVersion") and (speaks_of(source, "ArtifactName") or speaks_of(source, "ArtifactType"))
    ),
    read=_read,
)
