"""OSV-Scanner's JSON, and the records of OSV themselves.

Without `--all-packages` the report lists packages with findings alone, so that a clean one shows nothing.
Source: `pkg/models/results.go` of OSV-Scanner; the OSV schema 1.7. `groups` hold one vulnerability under all its names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from quub_audit.facts.artifacts import Level, Origin, Scan, ScanFinding
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
from quub_audit.parsers.source import Format, Source, list_in, mapping, text_of

Json = Mapping[str, Any]


def _read(source: Source) -> tuple[Scan, ...]:
    report = mapping(source.json(), source, "the report")
    packages: set[str] = set()
    ecosystems: set[str] = set()
    targets: list[object] = []
    findings: list[ScanFinding] = []
    is_image = "image_metadata" in report
    for each in list_in(report, "results", source):
        result = mapping(each, source, "a result")
        path = short(mapping(result.get("source") or {}, source, "source").get("path"))
        targets.append(path)
        for one in list_in(result, "packages", source):
            entry = mapping(one, source, "a package")
            package = mapping(entry.get("package"), source, "package")
            subject = purl(text_of(package.get("ecosystem")), package.get("name"), package.get("version"))
            packages.add(subject)
            if subject.startswith("pkg:"):
                ecosystems.add(subject[4:].partition("/")[0])
            findings += _findings(entry, package, subject, path, source)
    return (
        Scan(
            origin=Origin(file=source.name, tool="OSV-Scanner"),
            covers="image" if is_image else "dependencies",
            volume=len(packages),
            volume_of="packages",
            targets=shorts(targets),
            ecosystems=tuple(sorted(ecosystems)),
            findings=each_once(findings),
        ),
    )


def _findings(entry: Json, package: Json, subject: str, path: str, source: Source) -> Iterator[ScanFinding]:
    records = {
        text_of(record.get("id")): record
        for record in (mapping(each, source, "a vulnerability") for each in list_in(entry, "vulnerabilities", source))
    }
    grouped: set[str] = set()
    for each in list_in(entry, "groups", source):
        group = mapping(each, source, "a group")
        ids = shorts(list_in(group, "ids", source))
        grouped.update(ids)
        names = shorts((*ids, *list_in(group, "aliases", source)))
        if names:
            own = [records[name] for name in ids if name in records]
            found = finding_of(names, own, package.get("name"), subject, source, group.get("max_severity"))
            yield replace(found, file=path)
    for name, record in records.items():
        if name not in grouped:
            found = finding_of((short(name),), [record], package.get("name"), subject, source)
            yield replace(found, file=path)


def finding_of(
    names: Sequence[str], records: Sequence[Json], package: object, subject: str, source: Source, score: object = ""
) -> ScanFinding:
    """One vulnerability of a package under all its names, by its records of OSV, best known first."""
    aliases = [alias for record in records for alias in list_in(record, "aliases", source)]
    own = [mapping(each.get("database_specific") or {}, source, "database_specific") for each in records]
    title = next((text for record in records if (text := short(record.get("summary")))), "")
    all_names = shorts((*names, *aliases)) or ("an advisory without a name",)
    return ScanFinding(
        id=all_names[0],
        level="critical" if any(name.startswith("MAL-") for name in all_names) else _level(records, own, score, source),
        title=title,
        aliases=all_names[1:],
        subject=subject,
        fixed_in=shorts(version for record in records for version in _fixed(record, package, source)),
        cwes=cwes_in(cwe for each in own for cwe in list_in(each, "cwe_ids", source)),
    )


def _level(records: Sequence[Json], own: Sequence[Json], score: object, source: Source) -> Level:
    vectors = [
        mapping(each, source, "a severity").get("score")
        for record in records
        for each in list_in(record, "severity", source)
    ]
    words = [level_of_word(each.get("severity")) for each in own]
    return known(level_of_score(score), level_of_vectors(vectors), *words)


def _fixed(record: Json, package: object, source: Source) -> Iterator[str]:
    for each in list_in(record, "affected", source):
        affected = mapping(each, source, "affected")
        named = mapping(affected.get("package") or {}, source, "package").get("name")
        if text_of(named).lower() != text_of(package).lower():
            continue
        for one in list_in(affected, "ranges", source):
            span = mapping(one, source, "a range")
            if span.get("type") != "GIT":
                for event in list_in(span, "events", source):
                    yield text_of(mapping(event, source, "an event").get("fixed"))


OSV_SCANNER = Format(
    name="OSV-Scanner's JSON",
    recognises=lambda source: (
        speaks_of(source, "results")
        and (
            speaks_of(source, "experimental_config")
            or speaks_of(source, "packages", "source")
            or speaks_of(source, "license_summary")
            or source.beginning[1:].lstrip().startswith('"results"')
        )
    ),
    read=_read,
)
