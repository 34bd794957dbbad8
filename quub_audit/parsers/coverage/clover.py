"""Clover XML, as OpenClover, Istanbul and PHPUnit write it.

Branches and methods are taken from the counts of each file: the two counts of a line mean one thing to Istanbul and
another to OpenClover. Source: openclover.org, the XML report; istanbul-reports' clover.
"""

from __future__ import annotations

from xml.etree.ElementTree import Element

from quub_audit.facts.artifacts import Coverage, FileCoverage, Origin
from quub_audit.parsers.coverage.tally import Tally, cleaned, percent
from quub_audit.parsers.source import Format, Source, count, moment

_COUNTS = (
    "statements",
    "coveredstatements",
    "conditionals",
    "coveredconditionals",
    "methods",
    "coveredmethods",
)


def _read(source: Source) -> tuple[Coverage, ...]:
    root = source.xml()
    project = root.find("project")
    if project is None:
        raise source.malformed("it holds no project")
    files: dict[str, FileCoverage] = {}
    for element in project.iter("file"):
        file = _file(element, source)
        if file.path in files:
            raise source.malformed(f"{file.path} is there twice")
        files[file.path] = file
    origin = Origin(
        file=source.name,
        version=root.get("clover", ""),
        produced_at=moment(root.get("generated")) or moment(project.get("timestamp")),
    )
    whole = _metrics(project, source)
    stated = percent(whole.get("coveredstatements", 0), whole.get("statements", 0))
    return (Coverage(origin=origin, files=tuple(files[path] for path in sorted(files)), stated_percent=stated),)


def _file(element: Element, source: Source) -> FileCoverage:
    path = element.get("path") or element.get("name")
    if not path:
        raise source.malformed("a file has no name")
    metrics = _metrics(element, source)
    tally = Tally()
    for line in element.iterfind("line"):
        if line.get("type") != "method":
            at = count(line.get("num"), source, "a line's number")
            tally.add_line(at, ran=count(line.get("count"), source, "a line's count") > 0)
    lines = tally.as_file("")
    return FileCoverage(
        path=cleaned(path),
        lines=lines.lines or metrics.get("statements", 0),
        lines_covered=lines.lines_covered if lines.lines else metrics.get("coveredstatements", 0),
        branches=metrics.get("conditionals", 0),
        branches_covered=metrics.get("coveredconditionals", 0),
        functions=metrics.get("methods", 0),
        functions_covered=metrics.get("coveredmethods", 0),
        covered=lines.covered,
        missed=lines.missed,
    )


def _metrics(element: Element, source: Source) -> dict[str, int]:
    metrics = element.find("metrics")
    if metrics is None:
        return {}
    found = {name: count(metrics.get(name), source, name) for name in _COUNTS if metrics.get(name) is not None}
    for name in ("statements", "conditionals", "methods"):
        if found.get(f"covered{name}", 0) > found.get(name, 0):
            raise source.malformed(f"covered{name} is more than {name}")
    return found


def _recognises(source: Source) -> bool:
    return source.xml_root == "coverage" and "<project" in source.beginning and "generated=" in source.beginning


CLOVER = Format(name="Clover XML", recognises=_recognises, read=_read)
