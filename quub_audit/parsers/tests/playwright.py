"""Playwright's JSON report. Source: `JSONReport` in Playwright's `types/testReporter.d.ts`.

A test counts by its last run against what was expected of it, and once for all projects. One that is expected to fail
and does is shown as skipped, as pytest shows its own: it proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from quub_audit.facts.artifacts import Origin, Outcome, TestCase, TestReport
from quub_audit.parsers.source import Format, Source, list_in, mapping, moment, number, text_of
from quub_audit.parsers.tests.cases import each_once, kept_properties, merged, tags_in, tags_of


def _read(source: Source) -> tuple[TestReport, ...]:
    report = mapping(source.json(), source, "the report")
    cases = [*_cases(list_in(report, "suites", source), (), source)]
    # What failed outside of any test: a file that cannot be loaded, a global setup.
    errors = list_in(report, "errors", source)
    if errors:
        cases.append(TestCase(suite="", name=f"({len(errors)} errors outside of tests)", outcome="error"))
    stats = mapping(report.get("stats") or {}, source, "stats")
    config = mapping(report.get("config") or {}, source, "config")
    metadata = mapping(config.get("metadata") or {}, source, "config.metadata")
    origin = Origin(
        file=source.name,
        tool="Playwright",
        version=text_of(config.get("version")),
        produced_at=moment(stats.get("startTime")),
        commit=_commit(metadata),
    )
    return (TestReport(origin=origin, cases=merged((case, False) for case in cases)),)


def _cases(suites: list[Any], titles: tuple[str, ...], source: Source, depth: int = 0) -> Iterator[TestCase]:
    if depth > 100:
        raise source.malformed("its suites are nested too deeply")
    for each in suites:
        suite = mapping(each, source, "a suite")
        path = (*titles, text_of(suite.get("title")))
        for one in list_in(suite, "specs", source):
            spec = mapping(one, source, "a spec")
            for test in list_in(spec, "tests", source):
                yield _case(path, spec, mapping(test, source, "a test"), source)
        yield from _cases(list_in(suite, "suites", source), path, source, depth + 1)


def _case(titles: tuple[str, ...], spec: Mapping[str, Any], test: Mapping[str, Any], source: Source) -> TestCase:
    title = text_of(spec.get("title"))
    results = [mapping(each, source, "a result") for each in list_in(test, "results", source)]
    outcome = _outcome(test, results)
    annotations = [
        (text_of(each.get("type")), text_of(each.get("description")))
        for each in (mapping(one, source, "an annotation") for one in list_in(test, "annotations", source))
    ]
    tags = (text_of(tag).lstrip("@") for tag in list_in(spec, "tags", source))
    return TestCase(
        suite=titles[0] if titles else "",
        name=" > ".join((*titles[1:], title)),
        outcome=outcome,
        file=text_of(spec.get("file")),
        duration_s=sum(number(each.get("duration", 0), source, "a duration") for each in results) / 1000,
        is_flaky=outcome == "passed" and len(results) > 1,
        tags=each_once((*(tag for tag in tags if tag), *tags_in(*titles, title), *tags_of(annotations))),
        properties=kept_properties(annotations),
    )


def _outcome(test: Mapping[str, Any], results: list[Mapping[str, Any]]) -> Outcome:
    last = results[-1].get("status") if results else "skipped"
    match last, test.get("expectedStatus"):
        case "skipped", _:
            return "skipped"
        case "passed", "passed":
            return "passed"
        case "failed" | "timedOut", "failed":
            return "skipped"
        case "interrupted", _:
            return "error"
        case _:
            return "failed"


def _commit(metadata: Mapping[str, Any]) -> str:
    """By Playwright's `captureGitInfo`: what CI says, else what git says."""
    ci, git = metadata.get("ci"), metadata.get("gitCommit")
    said = (ci.get("commitHash") if isinstance(ci, Mapping) else None) or (
        git.get("hash") if isinstance(git, Mapping) else None
    )
    return text_of(said)


def _recognises(source: Source) -> bool:
    head = source.beginning
    return head.startswith("{") and '"config"' in head[:200] and ('"configFile"' in head or '"rootDir"' in head)


PLAYWRIGHT = Format(name="Playwright JSON", recognises=_recognises, read=_read)
