"""Tests that put a fault before a dependency with Toxiproxy, which writes no report: JUnit XML with the fault as a tag.

A case is of a fault where a tag (`fault:latency`, `@fault:latency` in its name) or the property `fault` names it. All
cases of one fault in a file are one experiment, which held when all of them passed. States of a breaker that a case saw
are its property `breaker-states`: `closed, open, half-open, closed`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from quub_audit.facts.artifacts import Experiment, Origin, TestCase
from quub_audit.parsers.source import Format, Source
from quub_audit.parsers.tests.junit import JUNIT

STATES = re.compile(r"half-open|open|closed")


def _read(source: Source) -> tuple[Experiment, ...]:
    return tuple(
        experiment for report in JUNIT.read(source) for experiment in _experiments(report.cases, source, report.origin)
    )


def faults_of(case: TestCase) -> list[str]:
    """The faults that a case is tagged with."""
    tagged = [tag.partition(":")[2] for tag in case.tags if tag.startswith("fault:")]
    named = (case.properties or {}).get("fault", "")
    return list(dict.fromkeys([*tagged, *([named] if named else [])]))


def _experiments(cases: tuple[TestCase, ...], source: Source, origin: Origin) -> Iterator[Experiment]:
    by_fault: dict[str, list[TestCase]] = {}
    for case in cases:
        for fault in faults_of(case):
            by_fault.setdefault(fault, []).append(case)
    for fault, of_it in by_fault.items():
        ran = [case for case in of_it if case.outcome != "skipped"]
        broken = any(case.outcome == "error" for case in ran)
        failed = any(case.outcome == "failed" for case in ran)
        states = [
            (state, None) for case in ran for state in STATES.findall((case.properties or {}).get("breaker-states", ""))
        ]
        yield Experiment(
            origin=origin,
            title=f"{fault} ({len(ran)} of {len(of_it)} cases ran)",
            status="failed" if broken else "completed",
            has_deviated=failed,
            steady_before=True if ran else None,
            steady_after=not (failed or broken) if ran else None,
            faults=(fault,) if ran else (),
            breaker_states=tuple(states),
        )


TOXIPROXY = Format(name="JUnit XML with cases tagged fault:NAME", recognises=JUNIT.recognises, read=_read)
