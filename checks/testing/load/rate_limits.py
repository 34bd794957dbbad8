"""Who sends too much is told so: 429 with Retry-After, from the declared rate on, and no error instead.

Pass          a run above the limit got 429 with Retry-After, no 5xx, and no more requests through than `traffic.rate_limit_rps` allows by `tolerance`
Fail          a run above the limit got no 429; it got 5xx; more went through than the limit allows, or much less; none of the answers says when to come back
Inconclusive  no artifact of purpose `rate-limits` is declared, or it is missing or stale; the run never went over the limit; it does not count answers by status
Error         a report cannot be read, or CI denies it
Needs         an artifact of purpose `rate-limits` that counts answers by status (vegeta, k6 with `http_reqs{status:429}` among its thresholds, JTL, Artillery); `traffic.rate_limit_rps`
Source        RFC 6585, section 4; RFC 9110, section 10.2.3; OWASP API Security Top 10 2023, API4

Most generators do not keep headers: a counter `rate_limited_with_retry_after` that the test itself keeps (k6, Artillery) says how many answers 429 had Retry-After. Without it that is warned of. That another key is not affected is not seen here.
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import Field

from quub_audit.checks.testing.load._runs import LoadParameters, listed, named, nothing_shown, runs_of
from quub_audit.sdk import Artifact, Artifacts, Environment, Finding, LoadRun, artifacts_for, check

RATE_LIMITS = artifacts_for("rate-limits")

LIMITED = "429"


class LimitParameters(LoadParameters):
    """What the checklist may set under `with:`."""

    min_requests: int = Field(default=50, ge=1)
    """Requests below which a run shows nothing."""

    tolerance: float = Field(default=0.2, ge=0)
    """Share by which what goes through may differ from the limit: limiters of several replicas are not exact."""


@check("What goes over the limit is refused with 429", each=RATE_LIMITS)
def run(
    subject: Artifact, artifacts: Artifacts, environment: Environment, wanted: LimitParameters
) -> Iterator[Finding]:
    """Every run of the artifact: what one shows wrong, no other can mend."""
    for each in runs_of(subject, artifacts, wanted.fresh):
        yield from judge(subject, each, environment, wanted)


def judge(subject: Artifact, run: LoadRun, environment: Environment, wanted: LimitParameters) -> Iterator[Finding]:
    """A finding on the run, and a warning where nothing says whether Retry-After was there."""
    limit = environment.traffic.rate_limit_rps
    expected = f"429 with Retry-After above {limit:g} requests a second" if limit else "429 with Retry-After"
    statuses = run.statuses
    if run.requests < wanted.min_requests or statuses is None or not run.duration_s:
        observed = (
            f"{run.requests} requests in {run.duration_s:.0f} s"
            if statuses is not None
            else "answers are not counted by status"
        )
        yield nothing_shown(subject, environment, observed=f"{named(subject, run)}: {observed}", expected=expected)
        return
    limited = statuses.get(LIMITED, 0)
    rate = run.requests / run.duration_s
    if not limited and (limit is None or rate <= limit * (1 + wanted.tolerance)):
        observed = f"{rate:.4g} requests a second, and none was refused"
        yield nothing_shown(subject, environment, observed=f"{named(subject, run)}: {observed}", expected=expected)
        return
    faults = list(faults_of(run, statuses, limit, wanted))
    subject_of = named(subject, run)
    yield Finding.of(
        not faults,
        subject=subject_of,
        observed=listed(faults, f"{limited} of {run.requests} requests got 429"),
        expected=expected,
        message=f"{subject_of}: {faults[0]}" if faults else "",
    )
    if run.statuses_with_retry_after is None and not faults:
        yield Finding.warning(
            subject=subject_of,
            observed="nothing says whether Retry-After was there",
            expected="a counter `rate_limited_with_retry_after` in the test",
        )


def faults_of(run: LoadRun, statuses: Mapping[str, int], limit: float | None, wanted: LimitParameters) -> Iterator[str]:
    """What is wrong with the answers to too many requests."""
    limited = statuses.get(LIMITED, 0)
    rate = run.requests / run.duration_s
    if not limited:
        yield f"{rate:.4g} requests a second, and none got 429"
    broken = {code: times for code, times in statuses.items() if code[0] == "5" and times}
    if broken:
        yield f"{sum(broken.values())} requests got {', '.join(sorted(broken))}"
    if limit is not None and limited:
        through = (run.requests - limited - statuses.get("0", 0)) / run.duration_s
        if through > limit * (1 + wanted.tolerance):
            yield f"{through:.4g} requests a second went through"
        elif rate > limit and through < limit * (1 - wanted.tolerance):
            yield f"only {through:.4g} requests a second went through, though {limit:g} are allowed"
    if limited and run.statuses_with_retry_after == 0:
        yield "no answer 429 had Retry-After"
