"""Cobertura XML, as coverage.py, Istanbul, coverlet, gocover-cobertura and others write it.

Lines are those of `class/lines`; the lines of methods are the same again. A file may stand in several classes.
Source: cobertura's coverage-04.dtd.
"""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element

from quub_audit.facts.artifacts import Coverage, Origin
from quub_audit.parsers.coverage.tally import Tallies
from quub_audit.parsers.source import Format, Source, count, moment, number

_CONDITIONS = re.compile(r"\(([0-9]{1,9})/([0-9]{1,9})\)")


def _read(source: Source) -> tuple[Coverage, ...]:
    root = source.xml()
    roots = [(element.text or "").strip() for element in root.iterfind("sources/source")]
    # Of several roots nothing says which one a file is in.
    folder = roots[0].rstrip("/\\") if len(roots) == 1 else ""
    tallies = Tallies()
    for element in root.iter("class"):
        path = element.get("filename")
        if not path:
            raise source.malformed("a class names no file")
        is_absolute = path.startswith("/") or path[1:2] == ":"
        tally = tallies.of(path if is_absolute or folder in ("", ".") else f"{folder}/{path}")
        for line in element.iterfind("lines/line"):
            at = count(line.get("number"), source, "a line's number")
            tally.add_line(at, ran=count(line.get("hits"), source, "a line's hits") > 0)
            conditions = _CONDITIONS.search(line.get("condition-coverage", ""))
            if conditions and line.get("branch", "").lower() == "true":
                tally.add_branches(at, int(conditions[1]), int(conditions[2]))
        for method in element.iterfind("methods/method"):
            name = method.get("name", "")
            key = (element.get("name"), name, method.get("signature"))
            tally.add_function(key, name, ran=_has_run(method, source))
    rate, has_lines = root.get("line-rate"), root.get("lines-valid") != "0"
    origin = Origin(file=source.name, version=root.get("version", ""), produced_at=moment(root.get("timestamp")))
    stated = 100 * number(rate, source, "line-rate") if rate and has_lines else None
    return (Coverage(origin=origin, files=tallies.as_files(), stated_percent=stated),)


def _has_run(method: Element, source: Source) -> bool:
    hits = [method.get("hits", "0"), *(line.get("hits") for line in method.iterfind("lines/line"))]
    return any(count(each, source, "a line's hits") > 0 for each in hits)


def _recognises(source: Source) -> bool:
    return source.xml_root == "coverage" and "line-rate" in source.beginning


COBERTURA = Format(name="Cobertura XML", recognises=_recognises, read=_read)
