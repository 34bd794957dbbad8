"""Integration tests of this commit ran against Quub's sandbox, and passed.

Pass          of an artifact `integration-tests`, `min_tests` tests or more were run, none failed, no more than `max_skipped` were left out, they took as long as a network takes, and a property of the results names the sandbox
Fail          a test failed; all or too many were skipped (as they are where the key is missing), too few were run, they ended faster than any network answers, or a property names production
Inconclusive  no artifact `integration-tests` is declared; one is missing, stale, of another commit or holds no test; fewer than `min_tests` of them say by a property that they ran against the sandbox, or none says how long it took
Error         results cannot be read, or CI denies them; the declared sandbox does not answer over TLS that can be trusted
Needs         artifacts of purpose `integration-tests` whose results hold a property with the address that was tested, such as `base_url` (pytest: `record_testsuite_property`); `quub.sandbox_url`, which is asked once by GET and proves nothing by itself
Source        the guide, Testing. A suite that skips itself without a key is green, which is why skipped tests count
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pydantic import Field

from quub_audit.checks.testing.integration._results import ResultParameters, counted, named, no_test, split
from quub_audit.checks.testing.unit.api_mocks import PRODUCTION_HOSTS, production_hosts
from quub_audit.sdk import (
    Artifact,
    Artifacts,
    Environment,
    Finding,
    Http,
    Quub,
    TestCase,
    artifacts_for,
    check,
    cut,
)

_HOST = re.compile(
    r"(?:(?:https?|wss?)://)?(?:[^/\s@]*@)?([a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9-]+)+)(?::\d+)?(?:[/?#]\S*)?",
    re.I,
)


class SandboxParameters(ResultParameters):
    """What the checklist may set under `with:`."""

    min_tests: int = Field(default=5, ge=1)
    """Count of tests that must have been run. House rule."""

    max_skipped: float = Field(default=0.1, ge=0, lt=1)
    """Share of all tests that may be left out, 0 to 1. House rule."""

    min_mean_ms: float = Field(default=5, ge=0)
    """Milliseconds (ms) that a test takes on average at least, since each crosses a network. House rule."""

    sandbox_hosts: tuple[str, ...] = ("api-sandbox.quub.fi", "ws-sandbox.quub.fi")
    """Hosts of the sandbox, beside that of `quub.sandbox_url`."""

    production_hosts: tuple[str, ...] = PRODUCTION_HOSTS
    """Hosts of Quub's production, beside those that production declares. The guide."""


@check("Integration tests ran against the sandbox, and passed", each=artifacts_for("integration-tests"))
def suite(
    subject: Artifact, artifacts: Artifacts, environment: Environment, wanted: SandboxParameters
) -> Iterator[Finding]:
    """One judgement of all results of the artifact."""
    reports = artifacts.tests(subject, fresh=wanted.fresh)
    cases = [case for report in reports for case in report.cases]
    if not cases:
        yield no_test(subject)
        return
    sandbox = {host.lower() for host in wanted.sandbox_hosts}
    if environment.quub is not None and environment.quub.sandbox is not None:
        sandbox.add(environment.quub.sandbox.host.lower())
    production = set(production_hosts(environment, wanted.production_hosts))
    yield from judge(subject.name, cases, sandbox, production - sandbox, wanted)


@check("The sandbox answers over TLS that can be trusted", each=Quub)
def probe(subject: Quub, http: Http) -> Iterator[Finding]:
    """Says only what is wrong: a sandbox that answers has not been tested yet."""
    endpoint = subject.sandbox
    if endpoint is None:
        return
    answer = http.get(endpoint, endpoint.paths[0], is_verified=True)
    if answer.status >= 500:
        yield Finding.error(
            subject=endpoint.name,
            message=f"{endpoint.name}: {answer.url} answers {answer.status}",
            next_step="look at the status page of Quub, and run again",
        )


def hosts_in(cases: Sequence[TestCase]) -> set[str]:
    """Hosts that properties of the results name, as addresses or bare."""
    values = {value.strip() for case in cases for value in (case.properties or {}).values()}
    return {matched[1].lower() for value in values if (matched := _HOST.fullmatch(value))}


def judge(
    subject: str, cases: Sequence[TestCase], sandbox: set[str], production: set[str], wanted: SandboxParameters
) -> Iterator[Finding]:
    """One fail with all faults; undecided where too few tests say that they ran against the sandbox; else a pass.

    `cases` are not empty.
    """
    expected = (
        f"{wanted.min_tests} tests or more run against {' or '.join(sorted(sandbox))}, none failed, "
        f"at most {wanted.max_skipped:.0%} left out"
    )
    passed, failed, skipped = split(cases)
    hosts = hosts_in(cases)
    there = _distinct([case for case in passed if not hosts_in([case]).isdisjoint(sandbox)])
    faults = list(_faults(passed, failed, skipped, wanted))
    faults += [f"they ran against {host}, which is production" for host in sorted(hosts & production)]
    done = f"{counted(len(passed))} passed"
    if faults:
        yield Finding.of(False, subject=subject, observed=cut(faults), expected=expected)
    elif there < wanted.min_tests:
        says = f"{there} of them say so of the sandbox" if there else "no property names the sandbox"
        others = f", but {cut(sorted(hosts))}" if hosts and not there else ""
        yield Finding.undecided(
            subject=subject,
            observed=f"{done}, {says}{others}",
            expected=expected,
            next_step='record the address as a property of the results: record_testsuite_property("base_url", ...)',
        )
    elif wanted.min_mean_ms and all(case.duration_s is None for case in passed):
        yield Finding.undecided(
            subject=subject,
            observed=f"{done}, and the results do not say how long they took",
            expected=f"{wanted.min_mean_ms:g} ms or more each, as a network takes",
            next_step="have the reporter write durations, or set `min_mean_ms` to 0",
        )
    else:
        yield Finding.of(
            True, subject=subject, observed=f"{done} against {cut(sorted(hosts & sandbox))}", expected=expected
        )
    flaky = [named(case) for case in passed if case.is_flaky]
    if flaky:
        yield Finding.warning(
            subject=subject, observed=f"{counted(len(flaky))} passed only on a retry: {cut(flaky)}", expected="none"
        )


def _faults(
    passed: Sequence[TestCase], failed: Sequence[TestCase], skipped: Sequence[TestCase], wanted: SandboxParameters
) -> Iterator[str]:
    run, total = len(passed) + len(failed), len(passed) + len(failed) + len(skipped)
    if failed:
        yield f"{len(failed)} of {counted(total)} failed: {cut([named(case) for case in failed])}"
    if not run:
        yield f"all {counted(total)} were skipped"
        return
    if (different := _distinct((*passed, *failed))) < wanted.min_tests:
        yield f"{counted(different)} were run" if different > 1 else "1 test was run"
    if len(skipped) > wanted.max_skipped * total:
        yield f"{len(skipped)} of {counted(total)} were skipped"
    durations = [case.duration_s for case in (*passed, *failed) if case.duration_s is not None]
    mean_ms = 1000 * sum(durations) / len(durations) if durations else None
    if mean_ms is not None and mean_ms < wanted.min_mean_ms:
        yield f"a test takes {mean_ms:.1f} ms, less than a network does ({wanted.min_mean_ms:g} ms)"


def _distinct(cases: Sequence[TestCase]) -> int:
    """How many tests they are: a copy of a file of results, or a run on another platform, adds none."""
    return len({(case.suite, case.name, case.file) for case in cases})
