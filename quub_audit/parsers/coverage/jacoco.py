"""JaCoCo's XML report. Source: jacoco's report.dtd; a line has run when one of its instructions has.

Counters stand at every level: lines and branches are taken from the lines of source files, methods from classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree.ElementTree import Element

from quub_audit.facts.artifacts import Coverage, Origin
from quub_audit.parsers.coverage.tally import Tallies, percent
from quub_audit.parsers.source import Format, Source, count, moment


def _read(source: Source) -> tuple[Coverage, ...]:
    root = source.xml()
    tallies = Tallies()
    for package in root.iter("package"):
        for file in package.iterfind("sourcefile"):
            tally = tallies.of(_path(package, file.get("name"), source))
            for line in file.iterfind("line"):
                at = count(line.get("nr"), source, "nr")
                tally.add_line(at, ran=count(line.get("ci", "0"), source, "ci") > 0)
                covered, missed = (count(line.get(key, "0"), source, key) for key in ("cb", "mb"))
                if covered + missed:
                    tally.add_branches(at, covered, covered + missed)
        for element in package.iterfind("class"):
            if not element.get("sourcefilename"):
                continue
            tally = tallies.of(_path(package, element.get("sourcefilename"), source))
            name = element.get("name", "").rpartition("/")[2]
            for method in element.iterfind("method"):
                told = f"{name}.{method.get('name', '')}"
                key = (name, method.get("name"), method.get("desc"))
                tally.add_function(key, told, ran=_counter(method, "METHOD", source)["covered"] > 0)
    # The oldest session counts: results of earlier runs are kept unless the file is removed.
    dates = [found for session in root.iter("sessioninfo") if (found := moment(session.get("dump"))) is not None]
    origin = Origin(file=source.name, tool="JaCoCo", produced_at=min(dates, default=None))
    lines = _counter(root, "LINE", source)
    stated = percent(lines["covered"], lines["covered"] + lines["missed"])
    return (Coverage(origin=origin, files=tallies.as_files(), stated_percent=stated),)


def _path(package: Element, name: str | None, source: Source) -> str:
    if not name:
        raise source.malformed("a source file has no name")
    return f"{package.get('name')}/{name}" if package.get("name") else name


def _counter(element: Element, kind: str, source: Source) -> Mapping[str, int]:
    counter = element.find(f"counter[@type='{kind}']")
    values = {} if counter is None else counter.attrib
    return {key: count(values.get(key, "0"), source, key) for key in ("covered", "missed")}


def _recognises(source: Source) -> bool:
    return source.xml_root == "report" and any(
        mark in source.beginning for mark in ("//JACOCO//", "<sessioninfo ", "<counter ", "<sourcefile ")
    )


JACOCO = Format(name="JaCoCo XML", recognises=_recognises, read=_read)
