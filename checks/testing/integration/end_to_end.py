"""Every flow that a user takes from one end to the other was tested at this commit, and works.

Pass          each declared flow has a test that names it by the tag `@flow:ID`, that was run and passed, and none that failed
Fail          a flow has no test, only tests that were not run, or one that failed; any end-to-end test failed; more than `max_flaky` of them passed only on a retry
Inconclusive  no flow is declared under `testing:`; no artifact `end-to-end-tests` is, or one is missing, stale, of another commit or empty
Error         results cannot be read, or CI denies them
Needs         artifacts of purpose `end-to-end-tests` (JUnit XML, Playwright JSON), whose tests carry `@flow:ID` in their titles, tags or properties; `testing.flows`
Source        the guide, Testing. That the tests drive a deployed stack and not a mock is not seen from results
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic import Field

from quub_audit.checks.testing.integration._results import (
    ResultParameters,
    cases_of,
    counted,
    judge_cases,
    named,
    split,
    unshown,
)
from quub_audit.sdk import Artifact, Artifacts, Environment, Finding, Flow, TestCase, artifacts_for, check, cut

PURPOSES = ("end-to-end-tests",)


class FlowParameters(ResultParameters):
    """What the checklist may set under `with:`."""

    max_flaky: float = Field(default=0.05, ge=0, le=1)
    """Share of the tests that may pass only on a retry, 0 to 1. House rule."""


@check("Every declared flow was tested, and works", each=Flow)
def flow(subject: Flow, artifacts: Artifacts, environment: Environment, wanted: FlowParameters) -> Iterator[Finding]:
    """By the tag `flow:ID`, over the results of all artifacts."""
    yield from unshown(environment, artifacts, PURPOSES, wanted.fresh)
    cases = cases_of(environment, artifacts, PURPOSES, wanted.fresh)
    if cases:
        tagged = [case for case in cases if f"flow:{subject.id}" in case.tags]
        yield judge_cases(subject.id, tagged, expected=f"a test tagged @flow:{subject.id} passed, and none failed")


@check("No end-to-end test fails, and few need a retry", each=artifacts_for("end-to-end-tests"))
def suite(
    subject: Artifact, artifacts: Artifacts, environment: Environment, wanted: FlowParameters
) -> Iterator[Finding]:
    """Says only what is wrong: tests without a flow show no flow."""
    cases = [case for report in artifacts.tests(subject, fresh=wanted.fresh) for case in report.cases]
    yield from judge_suite(subject.name, cases, wanted.max_flaky)
    if not environment.testing.flows:
        yield Finding.undecided(
            subject=str(environment),
            observed=f"{counted(len(cases))}, and no flow is declared",
            next_step="declare the flows that users take under `testing:` of environments.yaml",
        )


def judge_suite(subject: str, cases: Sequence[TestCase], max_flaky: float) -> Iterator[Finding]:
    """A fail for tests that failed, and for too many that passed only on a retry; nothing else."""
    passed, failed, _ = split(cases)
    if failed:
        yield Finding.of(
            False,
            subject=subject,
            observed=f"{len(failed)} of {counted(len(cases))} failed: {cut([named(case) for case in failed])}",
            expected="no end-to-end test fails",
        )
    flaky = [named(case) for case in passed if case.is_flaky]
    if flaky:
        observed = f"{len(flaky)} of {counted(len(passed))} passed only on a retry: {cut(flaky)}"
        expected = f"{max_flaky:.0%} or less"
        if len(flaky) > max_flaky * (len(passed) + len(failed)):
            yield Finding.of(False, subject=subject, observed=observed, expected=expected)
        else:
            yield Finding.warning(subject=subject, observed=observed, expected=expected)
