"""Stryker's JSON, of StrykerJS, Stryker.NET and Stryker4s; Infection for PHP writes it too.

Source: the mutation testing report schema, versions 1 and 2. A run-time error of a mutant counts as none, as Stryker
itself scores it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from quub_audit.facts.artifacts import FileMutants, MutationReport, Origin
from quub_audit.parsers.mutation.counted import counted
from quub_audit.parsers.source import Format, Source, list_in, mapping, text_of

_FIELDS: Mapping[str, str] = {
    "Killed": "killed",
    "Timeout": "killed",
    "Survived": "survived",
    "NoCoverage": "uncovered",
    "Pending": "pending",
    "CompileError": "left_out",
    "RuntimeError": "left_out",
    "Ignored": "left_out",
}


def _read(source: Source) -> tuple[MutationReport, ...]:
    report = mapping(source.json(), source, "the report")
    version = text_of(report.get("schemaVersion"))
    if version.partition(".")[0] not in ("1", "2"):
        raise source.malformed(f"its schemaVersion is {version[:20]!r}, expected 1 or 2")
    framework = mapping(report.get("framework") or {}, source, "framework")
    files = tuple(
        _file(path, mapping(value, source, path), source)
        for path, value in sorted(mapping(report.get("files"), source, "files").items())
    )
    origin = Origin(
        file=source.name,
        tool=text_of(framework.get("name")) or "Stryker",
        version=text_of(framework.get("version")),
    )
    return (MutationReport(origin=origin, files=files),)


def _file(path: str, file: Mapping[str, Any], source: Source) -> FileMutants:
    counts: Counter[str] = Counter()
    for each in list_in(file, "mutants", source):
        status = text_of(mapping(each, source, "a mutant").get("status"))
        if status not in _FIELDS:
            raise source.malformed(f"{path}: a mutant is {status[:40]!r}, expected one of {', '.join(_FIELDS)}")
        counts[_FIELDS[status]] += 1
    return counted(path, counts)


def _recognises(source: Source) -> bool:
    head = source.beginning
    return head.startswith("{") and (
        ('"mutants"' in head and ('"mutatorName"' in head or '"schemaVersion"' in head))
        or ('"schemaVersion"' in head and '"thresholds"' in head)
    )


STRYKER = Format(name="Stryker's JSON", recognises=_recognises, read=_read)
