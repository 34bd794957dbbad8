"""What the items of this group ask of results of tests: which cases are about a thing, and how those ended."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from pydantic import Field

from quub_audit.sdk import Artifact, Artifacts, Environment, Finding, Freshness, Parameters, TestCase, cut


class ResultParameters(Parameters):
    """What all items on results of tests take."""

    max_age_days: float = Field(default=7, gt=0)
    """Days that results may be old. House rule: as old as a release is young."""

    @property
    def fresh(self) -> Freshness:
        """Of the audited commit, and no older."""
        return Freshness(max_age_days=self.max_age_days)


def unshown(
    environment: Environment, artifacts: Artifacts, purposes: Sequence[str], fresh: Freshness
) -> Iterator[Finding]:
    """That no artifact serves one of `purposes`, or which of them hold no test. Raises as `Artifacts`."""
    yield from undeclared(environment, purposes)
    for artifact in environment.artifacts:
        if artifact.purpose in purposes and not any(each.cases for each in artifacts.tests(artifact, fresh=fresh)):
            yield no_test(artifact)


def undeclared(environment: Environment, purposes: Sequence[str]) -> Iterator[Finding]:
    """That no artifact serves one of `purposes`; nothing where one does."""
    if not any(artifact.purpose in purposes for artifact in environment.artifacts):
        yield Finding.undecided(
            subject=str(environment),
            observed=f"no artifact of purpose {' or '.join(purposes)} is declared",
            next_step="declare what the pipeline keeps under `artifacts:` of environments.yaml",
        )


def no_test(artifact: Artifact) -> Finding:
    """Of an artifact whose results hold nothing at all."""
    return Finding.undecided(
        subject=artifact.name, observed="its results hold no test", next_step="look why the runner found none"
    )


def cases_of(
    environment: Environment, artifacts: Artifacts, purposes: Sequence[str], fresh: Freshness
) -> tuple[TestCase, ...]:
    """Every case of the artifacts that serve one of `purposes`, in the order of the file. Raises as `Artifacts`."""
    return tuple(
        case
        for artifact in environment.artifacts
        if artifact.purpose in purposes
        for report in artifacts.tests(artifact, fresh=fresh)
        for case in report.cases
    )


def split(cases: Sequence[TestCase]) -> tuple[list[TestCase], list[TestCase], list[TestCase]]:
    """Those that passed, those that did not, and those that were not run."""
    return (
        [case for case in cases if case.outcome == "passed"],
        [case for case in cases if case.outcome in ("failed", "error")],
        [case for case in cases if case.outcome == "skipped"],
    )


def judge_cases(subject: str, cases: Sequence[TestCase], *, expected: str) -> Finding:
    """A pass where one of `cases` passed and none failed; what was not run counts for nothing."""
    passed, failed, skipped = split(cases)
    if failed:
        observed = f"{len(failed)} of {counted(len(cases))} failed: {cut([named(case) for case in failed])}"
    elif passed:
        observed = f"{counted(len(passed))} passed" + (f", {len(skipped)} not run" if skipped else "")
    else:
        observed = f"{counted(len(skipped))}, and none was run" if skipped else "no test"
    return Finding.of(bool(passed) and not failed, subject=subject, observed=observed, expected=expected)


def is_about(case: TestCase, name: str, pattern: re.Pattern[str]) -> bool:
    """Whether the case carries the tag `scenario:NAME`, or says so in its names."""
    return f"scenario:{name}" in case.tags or pattern.search(f"{case.suite} {case.name}") is not None


def by_scenario(
    cases: Sequence[TestCase], scenarios: Sequence[str], patterns: Mapping[str, re.Pattern[str]]
) -> dict[str, list[TestCase]]:
    """The cases about each of `scenarios`; by its tag alone where there is no pattern of that name."""
    never = re.compile(r"(?!)")
    return {name: [case for case in cases if is_about(case, name, patterns.get(name, never))] for name in scenarios}


def named(case: TestCase) -> str:
    """As a person finds it in the results."""
    return f"{case.suite} {case.name}".strip() or "a test without a name"


def counted(number: int) -> str:
    """`1 test`, `7 tests`."""
    return "1 test" if number == 1 else f"{number} tests"
