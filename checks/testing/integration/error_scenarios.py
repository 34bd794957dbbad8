"""What goes wrong at the other end is tested: refusals, failures, time-outs, broken answers; and no error is swallowed.

Pass          each of `scenarios` has a test that was run and passed, and none that failed; where coverage is declared, `min_handlers_percent` of the lines ran that handle errors on critical paths, or anywhere where none is declared
Fail          a scenario has no test, only tests that were not run, or one that failed; fewer lines of handlers ran, those in no report among them; code of a critical path catches every error and does nothing with it
Inconclusive  no artifact of unit, integration or end-to-end tests is declared; one is missing, stale, of another commit or empty, or none holds a test; the declared coverage is, or it does not name lines of those files (Istanbul's summary)
Error         results or coverage cannot be read, or CI denies them; the checkout is not there
Needs         artifacts of purpose `unit-tests`, `integration-tests` or `end-to-end-tests` whose tests say what they are about, by the tag `@scenario:NAME` or by their names (`returns 429`, `times out`), and of purpose `coverage`; a checkout; `testing.critical_paths`
Source        the guide, Testing; OWASP ASVS 5.0, v5.0.0-16.5.1 to -16.5.3; OWASP Top 10:2025, A10

Handlers are `catch`, `except` and functions given to `.catch()`, in JavaScript, TypeScript, Python and Java; those that catch everything and do nothing are warned of outside of critical paths. What stands on one line with its `try` cannot be told from it by lines, and is left out; Go, whose profile has blocks and no handlers, too. A name says what a test is meant to show, not that it would notice.
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import Field

from quub_audit.checks.testing.integration._results import by_scenario, cases_of, judge_cases, unshown
from quub_audit.checks.testing.unit._code import CodeParameters, artifacts_about, code_of, repository_named
from quub_audit.checks.testing.unit._measured import Measured, Share, measure
from quub_audit.sdk import (
    Artifacts,
    Environment,
    Finding,
    Grade,
    Location,
    Match,
    Pattern,
    Repositories,
    Repository,
    check,
    cut,
    unread,
)

PURPOSES = ("unit-tests", "integration-tests", "end-to-end-tests")


def _words(text: str) -> re.Pattern[str]:
    # An underscore is a letter to \b, and names of tests are full of them. `500 ms` is no status, nor is `400 rows`.
    return re.compile(
        rf"(?<![a-zA-Z0-9])(?<![0-9][.,])(?:{text})(?![a-zA-Z0-9%])"
        r"(?!(?<=[0-9])[ _-]?(?:m?s|msecs?|milliseconds?|secs?|seconds?|minutes?|[kmg]i?b|bytes|times)(?![a-zA-Z]))"
        r"(?!(?<=00)[ _-](?:accounts|characters|chars|customers|entries|events|items|lines|messages|orders|records"
        r"|rows|tests|trades|transactions|users|withdrawals)(?![a-zA-Z]))",
        re.I,
    )


SCENARIOS: Mapping[str, re.Pattern[str]] = {
    "400": _words(r"400|bad.?request"),
    "401": _words(r"401|unauthori[sz]ed|unauthenticated"),
    "403": _words(r"403|forbidden"),
    "404": _words(r"404|not.?found"),
    "409": _words(r"409|conflicts?"),
    "422": _words(r"422|unprocessable(?:.?(?:entity|content))?"),
    "429": _words(r"429|too.?many.?requests|rate.?limit(?:s|ed|ing)?"),
    "5xx": _words(r"5xx|50[0-4]|(?:internal.?)?server.?errors?|bad.?gateway|service.?unavailable"),
    "timeout": _words(r"times?.?out|timed.?out|timeouts?|deadline.?exceeded"),
    "malformed": _words(r"malformed|invalid.?json|(?:broken|truncated|unparse?able).?(?:json|answer|response|body)"),
    "reset": _words(r"econnreset|connection.?(?:is.?)?(?:reset|refused|lost|dropped|aborted)|socket.?hang.?up"),
    "duplicate-webhook": _words(
        r"(?:duplicated?|replayed|repeated).?webhooks?|webhook.{0,40}(?:twice|duplicate|replay|again)"
    ),
    "partial-outage": _words(r"partial.?(?:outage|failure)|degraded|degradation|fall.?back"),
}
"""How names of tests speak of each."""

_EMPTY_BLOCK = r"^\{\s*(?:(?://[^\n]*\n|/\*(?:[^*]|\*[^/])*\*/)\s*)*\}$"

HANDLERS = (
    Pattern(
        name="catch",
        languages=("javascript", "typescript", "tsx"),
        rule=f"""
            any:
              - {{kind: catch_clause, has: {{field: body, regex: '{_EMPTY_BLOCK}'}}}}
              - pattern: $PROMISE.catch(() => {{}})
        """,
    ),
    Pattern(
        name="catch",
        languages=("java",),
        rule=f"""
            kind: catch_clause
            all:
              - has: {{field: body, regex: '{_EMPTY_BLOCK}'}}
              - has: {{kind: catch_formal_parameter, regex: '\\b(Exception|Throwable|RuntimeException)\\b'}}
        """,
    ),
    Pattern(
        name="except",
        languages=("python",),
        rule=r"""
            kind: except_clause
            regex: '^except(\s*:|\s+\(?\s*(Base)?Exception\b[^:]*:)'
            has: {kind: block, regex: '^(pass|\.\.\.)\s*(#[^\n]*)?$'}
        """,
    ),
)
"""Handlers that catch every error and do nothing with it."""


CATCHES = (
    Pattern(
        name="catch",
        languages=("javascript", "typescript", "tsx"),
        rule=r"""
            any:
              - kind: catch_clause
              - any: [{kind: arrow_function}, {kind: function_expression}]
                inside: {kind: arguments, inside: {kind: call_expression, has: {field: function, regex: '\.catch$'}}}
        """,
    ),
    Pattern(name="catch", languages=("java",), rule="kind: catch_clause"),
    Pattern(name="catch", languages=("python",), rule="kind: except_clause"),
    Pattern(name="try", languages=("javascript", "typescript", "tsx"), rule="kind: try_statement"),
    Pattern(name="try", languages=("java",), rule="any: [{kind: try_statement}, {kind: try_with_resources_statement}]"),
)
"""Handlers of errors, and the beginnings of what they are for."""


class ErrorParameters(CodeParameters):
    """What the checklist may set under `with:`."""

    scenarios: tuple[str, ...] = tuple(SCENARIOS)
    """What has to be tested. Others than those that are known by the names of tests are known by the tag alone."""

    min_handlers_percent: float = Field(default=80, ge=0, le=100)
    """Percent of the lines in handlers of errors that have to run at least. House rule."""


@check("Every scenario of failure was tested, and is handled", each=Environment, grade=Grade.ARTIFACT)
def scenarios(subject: Environment, artifacts: Artifacts, wanted: ErrorParameters) -> Iterator[Finding]:
    """One finding a scenario, over the results of all artifacts."""
    yield from unshown(subject, artifacts, PURPOSES, wanted.fresh)
    cases = cases_of(subject, artifacts, PURPOSES, wanted.fresh)
    for name, found in by_scenario(cases, wanted.scenarios, SCENARIOS).items() if cases else ():
        yield judge_cases(name, found, expected=f"a test about {name} passed, and none failed")


@check("Handlers of errors were run by tests", each=Repository, grade=Grade.ARTIFACT)
def coverage(
    subject: Repository,
    repositories: Repositories,
    artifacts: Artifacts,
    environment: Environment,
    wanted: ErrorParameters,
) -> Iterator[Finding]:
    """One finding for the handlers of a repository whose coverage is declared."""
    declared = artifacts_about(subject, "coverage", environment)
    if not declared:
        return
    reports = [report for each in declared for report in artifacts.coverage(each, fresh=wanted.fresh)]
    critical = critical_files(subject, repositories, environment)
    # What is declared as critical counts, whatever is excluded elsewhere.
    code = code_of(subject, repositories, () if critical else wanted.exclude)
    measured = measure(reports, code)
    found = repositories.search(subject, patterns=CATCHES).matches
    name = f"{subject}: handlers{' of critical paths' if critical else ''}"
    yield from judge_handled(name, handled(found, critical or code.sources.keys(), measured), wanted)


def critical_files(repository: Repository, repositories: Repositories, environment: Environment) -> set[str]:
    """Those of every critical path in the repository. Raises as `Repositories`."""
    globs = tuple(
        glob
        for path in environment.testing.critical_paths
        if repository_named(path.repository, environment) == repository
        for glob in path.files
    )
    return {file.path for file in repositories.files(repository, globs=globs)} if globs else set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Handled:
    """What ran of the handlers of a repository."""

    lines: Share
    missed: Sequence[Location]
    """Handlers of which no line ran."""
    unnamed: Sequence[str]
    """Files with handlers of which reports count lines, and do not name them."""


def handled(matches: Sequence[Match], files: Collection[str], measured: Measured) -> Handled:
    """Compare the lines of handlers in `files` with those that ran; none of a file that no report speaks of did."""
    tries = {(match.location.file, match.location.line) for match in matches if match.pattern == "try"}
    by_file: dict[str, dict[Location, set[int]]] = {}
    for match in matches:
        at = match.location
        if match.pattern == "catch" and at.file in files:
            by_file.setdefault(at.file, {})[at] = set(_lines_of(match, has_try=(at.file, at.line) in tries))
    covered, every, missed, unnamed = 0, 0, list[Location](), list[str]()
    for path, handlers in by_file.items():
        file = measured.files.get(path)
        if file is not None and file.lines and not (file.covered or file.missed):
            unnamed.append(path)
            continue
        ran = {line for first, last in file.covered for line in range(first, last + 1)} if file else set[int]()
        known = {line for first, last in file.missed for line in range(first, last + 1)} | ran if file else None
        own = set[int]().union(*handlers.values())
        every += len(own if known is None else own & known)
        covered += len(own & ran)
        missed += [
            at for at, lines in handlers.items() if (lines if known is None else lines & known) and not lines & ran
        ]
    return Handled(lines=Share(covered=covered, all=every), missed=missed, unnamed=unnamed)


def _lines_of(match: Match, *, has_try: bool) -> Iterator[int]:
    """Lines that run when the handler does. Its first one is its head, unless all of it stands there."""
    first, rest = match.location.line or 0, match.text.splitlines()[1:]
    yield from (at for at, line in enumerate(rest, start=first + 1) if re.search(r"\w", line))
    if not rest and match.text.startswith("catch") and not has_try:
        yield first


def judge_handled(subject: str, found: Handled, wanted: ErrorParameters) -> Iterator[Finding]:
    """A pass where enough ran; nothing where there is no handler."""
    if found.unnamed:
        yield Finding.undecided(
            subject=subject,
            observed=f"coverage names no lines of {cut(found.unnamed)}, which handle errors",
            next_step="declare a report that names lines: coverage-final.json, LCOV, Cobertura, JaCoCo",
        )
    if found.lines.all:
        never = f"; never {cut(found.missed)}" if found.missed else ""
        yield Finding.of(
            100 * found.lines.covered >= wanted.min_handlers_percent * found.lines.all,
            subject=subject,
            observed=f"{found.lines} of their lines ran{never}",
            expected=f"{wanted.min_handlers_percent:g}% or more",
            location=next(iter(found.missed), None),
        )


@check("No error is swallowed on a critical path", each=Repository)
def handlers(subject: Repository, repositories: Repositories, environment: Environment) -> Iterator[Finding]:
    """Says only what is wrong: code without such a handler has not been tested yet."""
    found = repositories.search(subject, patterns=HANDLERS)
    critical = critical_files(subject, repositories, environment)
    yield from judge_handlers(subject.name, found.matches, critical)
    yield from unread(subject.name, (each for each in found.unreadable if each[0] in critical))


def judge_handlers(repository: str, matches: Sequence[Match], critical: set[str]) -> Iterator[Finding]:
    """A fail for each in a file of `critical`, one warning for all others."""
    expected = "an error is handled, told or thrown on"
    others = []
    for match in matches:
        if match.location.file not in critical:
            others.append(str(match.location))
            continue
        yield Finding.of(
            False,
            subject=f"{repository}:{match.location}",
            observed="catches every error and does nothing with it",
            expected=expected,
            location=match.location,
        )
    if others:
        observed = f"{len(others)} handlers catch every error and do nothing with it: {cut(others)}"
        yield Finding.warning(subject=repository, observed=observed, expected=expected)
