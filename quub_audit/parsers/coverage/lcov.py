"""LCOV tracefiles, of lcov 1 and 2 and whatever writes them: Istanbul, c8, coverage.py, Dart, Rust.

Records of one file are joined. Source: geninfo(1), "Tracefile format".
"""

from __future__ import annotations

import re

from quub_audit.facts.artifacts import Coverage, Origin
from quub_audit.parsers.coverage.tally import Tallies, Tally, percent
from quub_audit.parsers.source import Format, Source, count, lines_of

_OTHERS = frozenset({"TN", "VER", "FNF", "FNH", "BRF", "BRH", "MCDC", "MCF", "MCH"})
"""Keys that say nothing that is not counted from the rest."""


def _read(source: Source) -> tuple[Coverage, ...]:
    tallies = Tallies()
    tally: Tally | None = None
    stated = {"LF": 0, "LH": 0}
    with source.open() as stream:
        for at, raw in enumerate(lines_of(stream, source), start=1):
            line = raw.decode("utf-8", "replace").strip()
            key, _, value = line.partition(":")
            if not line or line.startswith("#") or key in _OTHERS:
                continue
            if key == "SF" and tally is None:
                tally = tallies.of(value)
            elif line == "end_of_record" and tally is not None:
                tally = None
            elif tally is None:
                raise source.malformed(f"line {at} stands in no record")
            elif key in stated:
                stated[key] += count(value, source, f"{key} in line {at}")
            else:
                _add(tally, key, value, source, at)
    if tally is not None:
        raise source.malformed("it breaks off within a record")
    files = tallies.as_files()
    origin = Origin(file=source.name)
    return (Coverage(origin=origin, files=files, stated_percent=percent(stated["LH"], stated["LF"])),)


def _add(tally: Tally, key: str, value: str, source: Source, at: int) -> None:
    match key, value.split(","):
        case "DA", [line, hits, *_]:
            ran = count(hits, source, f"the hits in line {at}") > 0
            tally.add_line(count(line, source, f"the line in line {at}"), ran=ran)
        case "BRDA", [line, block, *names, taken] if names:
            is_taken = taken != "-" and count(taken, source, f"the hits in line {at}") > 0
            tally.add_branches((line, block, *names), int(is_taken))
        case "FN", [_, *rest] if rest:
            name = ",".join(rest[1:] if len(rest) > 1 and rest[0].isdecimal() else rest)
            tally.add_function(name, name, ran=False)
        case "FNDA", [hits, *names] if names:
            name = ",".join(names)
            tally.add_function(name, name, ran=count(hits, source, f"the hits in line {at}") > 0)
        case "FNL", _:
            pass
        case "FNA", [index, hits, *names] if names:
            tally.add_function(index, ",".join(names), ran=count(hits, source, f"the hits in line {at}") > 0)
        case _:
            raise source.malformed(f"line {at} is no line of a tracefile")


def _recognises(source: Source) -> bool:
    return re.match(r"(?:#[^\n]*\n|TN:[^\n]*\n|\s)*+SF:", source.beginning) is not None


LCOV = Format(name="LCOV", recognises=_recognises, read=_read)
