"""What goes wrong at the other end is tested: refusals, failures, time-outs, broken answers; and no error is swallowed.

Pass          each of `scenarios` has a test that was run and passed, and none that failed
Fail          a scenario has no test, only tests that were not run, or one that failed; code of a critical path catches every error and does nothing with it
Inconclusive  no artifact of unit, integration or end-to-end tests is declared; one is missing, stale, of another commit or empty
Error         results cannot be read, or CI denies them; the checkout is not there
Needs         artifacts of purpose `unit-tests`, `integration-tests` or `end-to-end-tests` whose tests say what they are about, by the tag `@scenario:NAME` or by their names (`returns 429`, `times out`); a checkout; `testing.critical_paths`
Source        the guide, Testing; OWASP ASVS 5.0, v5.0.0-16.5.1 to -16.5.3; OWASP Top 10:2025, A10

Handlers that catch everything and do nothing are warned of outside of critical paths, in JavaScript, TypeScript, Python and Java. A name says what a test is meant to show, not that it would notice.
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from quub_audit.checks.testing.integration._results import (
    ResultParameters,
    by_scenario,
    cases_of,
    has_results,
    judge_cases,
)
from quub_audit.sdk import (
    Artifacts,
    Environment,
    Finding,
    Grade,
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
    # An underscore is a letter to \b, and names of tests are full of them.
    return re.compile(rf"(?<![a-zA-Z0-9])(?:{text})(?![a-zA-Z0-9])", re.I)


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


class ErrorParameters(ResultParameters):
    """What the checklist may set under `with:`."""

    scenarios: tuple[str, ...] = tuple(SCENARIOS)
    """What has to be tested. Others than those that are known by the names of tests are known by the tag alone."""


@check("Every scenario of failure was tested, and is handled", each=Environment, grade=Grade.ARTIFACT)
def scenarios(subject: Environment, artifacts: Artifacts, wanted: ErrorParameters) -> Iterator[Finding]:
    """One finding a scenario, over the results of all artifacts."""
    if not has_results(subject, PURPOSES):
        observed = "no artifact with results of tests is declared"
        yield Finding.warning(subject=str(subject), observed=observed, expected=cut(wanted.scenarios))
        return
    cases = cases_of(subject, artifacts, PURPOSES, wanted.fresh)
    for name, found in by_scenario(cases, wanted.scenarios, SCENARIOS).items() if cases else ():
        yield judge_cases(name, found, expected=f"a test about {name} passed, and none failed")


@check("No error is swallowed on a critical path", each=Repository)
def handlers(subject: Repository, repositories: Repositories, environment: Environment) -> Iterator[Finding]:
    """Says only what is wrong: code without such a handler has not been tested yet."""
    found = repositories.search(subject, patterns=HANDLERS)
    first = environment.repositories[0].name
    globs = [
        glob
        for path in environment.testing.critical_paths
        if subject.name == (path.repository or first)
        for glob in path.files
    ]
    critical = {file.path for file in repositories.files(subject, globs=tuple(globs))} if globs else set()
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
