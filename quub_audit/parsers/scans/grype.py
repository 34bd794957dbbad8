"""Grype's JSON. It lists packages with findings alone, so that a clean one shows nothing; Grype's CycloneDX lists all.

Source: `grype/presenter/models` of Grype: `matches`, `ignoredMatches`, `descriptor.db`, and `knownExploited` by CISA.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from quub_audit.facts.artifacts import Acceptance, Level, Origin, Scan, ScanFinding
from quub_audit.parsers.scans.findings import (
    cwes_in,
    each_once,
    known,
    level_of_score,
    level_of_vectors,
    level_of_word,
    plain_purl,
    probability,
    short,
    shorts,
    speaks_of,
)
from quub_audit.parsers.source import Format, Source, list_in, mapping, moment, text_of

Json = Mapping[str, Any]


def _read(source: Source) -> tuple[Scan, ...]:
    report = mapping(source.json(), source, "the report")
    descriptor = mapping(report.get("descriptor"), source, "descriptor")
    scanned = mapping(report.get("source") or {}, source, "source")
    matches = [(mapping(each, source, "a match"), False) for each in list_in(report, "matches", source)]
    matches += [(mapping(each, source, "a match"), True) for each in list_in(report, "ignoredMatches", source)]
    findings = [_finding(match, is_ignored, source) for match, is_ignored in matches]
    return (
        Scan(
            origin=Origin(
                file=source.name,
                tool="Grype",
                version=short(descriptor.get("version"), 100),
                produced_at=moment(descriptor.get("timestamp")),
            ),
            covers="image" if scanned.get("type") == "image" else "dependencies",
            volume=len({finding.subject for finding in findings}),
            volume_of="packages with findings",
            targets=shorts((*_targets(scanned, source), *(finding.file for finding in findings))),
            ecosystems=tuple(sorted({f.subject[4:].partition("/")[0] for f in findings if f.subject[:4] == "pkg:"})),
            findings=each_once(findings),
            database_at=_database(descriptor, source),
        ),
    )


def _targets(scanned: Json, source: Source) -> Iterator[object]:
    target = scanned.get("target")
    if not isinstance(target, Mapping):
        yield target
        return
    yield target.get("userInput")
    for key in ("repoDigests", "tags"):
        yield from list_in(target, key, source)
    yield target.get("manifestDigest")
    yield target.get("imageID")


def _database(descriptor: Json, source: Source) -> datetime | None:
    """When the database was built; it stands in `status` since Grype 0.88."""
    database = mapping(descriptor.get("db") or {}, source, "db")
    status = mapping(database.get("status") or database, source, "status")
    return moment(status.get("built"))


def _finding(match: Json, is_ignored: bool, source: Source) -> ScanFinding:
    found = mapping(match.get("vulnerability"), source, "vulnerability")
    artifact = mapping(match.get("artifact"), source, "artifact")
    related = [mapping(each, source, "a relation") for each in list_in(match, "relatedVulnerabilities", source)]
    fix = mapping(found.get("fix") or {}, source, "fix")
    epss = [mapping(each, source, "epss") for each in list_in(found, "epss", source)]
    places = [mapping(each, source, "a place") for each in list_in(artifact, "locations", source)]
    weaknesses = [each.get("cwe") for each in map(dict, filter(_is_mapping, list_in(found, "cwes", source)))]
    return ScanFinding(
        id=short(found.get("id")),
        level=_level(found, related, source),
        aliases=shorts(each.get("id") for each in related if each.get("id") != found.get("id")),
        subject=plain_purl(artifact.get("purl")) or "@".join(shorts((artifact.get("name"), artifact.get("version")))),
        fixed_in=shorts(list_in(fix, "versions", source)),
        cwes=cwes_in(weaknesses),
        tags=shorts((fix.get("state"),)),
        file=short(places[0].get("path")).lstrip("/") if places else "",
        is_exploited=bool(list_in(found, "knownExploited", source)),
        exploit_probability=max((p for each in epss if (p := probability(each.get("epss"))) is not None), default=None),
        acceptance=_acceptance(match, source) if is_ignored else None,
    )


def _is_mapping(value: object) -> bool:
    return isinstance(value, Mapping)


def _level(found: Json, related: list[Json], source: Source) -> Level:
    """By the CVSS of the advisory itself, else of those that it relates to, else by Grype's word."""

    def scored(advisory: Json) -> Level:
        scores = [mapping(each, source, "a CVSS") for each in list_in(advisory, "cvss", source)]
        metrics = [mapping(each.get("metrics") or {}, source, "metrics").get("baseScore") for each in scores]
        newest = [level for each, level in zip(scores, map(level_of_score, metrics), strict=True) if _is_new(each)]
        return known(level_of_vectors(each.get("vector") for each in scores), *newest)

    return known(scored(found), *(scored(each) for each in related), level_of_word(found.get("severity")))


def _is_new(score: Json) -> bool:
    return text_of(score.get("version")).startswith(("3", "4"))


def _acceptance(match: Json, source: Source) -> Acceptance:
    rules = [mapping(each, source, "a rule") for each in list_in(match, "appliedIgnoreRules", source)]
    said = (text for rule in rules for text in (rule.get("namespace"), rule.get("vex-status"), rule.get("reason")))
    return Acceptance(by="Grype's ignore rules", reason=": ".join(shorts(said)))


GRYPE = Format(
    name="Grype's JSON",
    recognises=lambda source: (
        speaks_of(source, "matches") and (speaks_of(source, "descriptor") or speaks_of(source, "matchDetails"))
    ),
    read=_read,
)
