"""Go's coverprofile: blocks of statements. A block that several packages ran stands there several times.

Source: golang.org/x/tools/cover, `Profile`; `go help testflag`, -coverprofile.
"""

from __future__ import annotations

import re

from quub_audit.facts.artifacts import Coverage, FileCoverage, Origin
from quub_audit.parsers.coverage.tally import cleaned
from quub_audit.parsers.source import Format, Source, lines_of

_BLOCK = re.compile(r"(.+):([0-9]{1,9}\.[0-9]{1,9},[0-9]{1,9}\.[0-9]{1,9}) ([0-9]{1,9}) ([0-9]{1,19})")
_MODE = re.compile(r"mode: (set|count|atomic)\b")


def _read(source: Source) -> tuple[Coverage, ...]:
    files: dict[str, dict[str, tuple[int, bool]]] = {}
    with source.open() as stream:
        for at, raw in enumerate(lines_of(stream, source), start=1):
            line = raw.decode("utf-8", "replace").strip()
            if not line or _MODE.fullmatch(line):
                continue
            block = _BLOCK.fullmatch(line)
            if block is None:
                raise source.malformed(f"line {at} is no block of statements")
            blocks = files.setdefault(cleaned(block[1]), {})
            _, has_run = blocks.get(block[2], (0, False))
            blocks[block[2]] = (int(block[3]), has_run or int(block[4]) > 0)
    covered = tuple(
        FileCoverage(
            path=path,
            lines=sum(statements for statements, _ in blocks.values()),
            lines_covered=sum(statements for statements, has_run in blocks.values() if has_run),
        )
        for path, blocks in sorted(files.items())
    )
    return (Coverage(origin=Origin(file=source.name, tool="go test"), files=covered, counts="statements"),)


GO = Format(
    name="Go's coverprofile",
    recognises=lambda source: _MODE.match(source.beginning) is not None,
    read=_read,
)
