"""Who sends too much is told so: 429 with Retry-After, from the declared rate on, and no error instead.

Pass          a run above the limit got 429 with Retry-After, no 5xx, and no more requests through than `traffic.rate_limit_rps` allows by `tolerance`; the same for a burst of the audit's own (with --allow-active, where `probe_path` is set)
Fail          a run above the limit got no 429; it got 5xx; more went through than the limit allows, or much less; none of the answers says when to come back
Inconclusive  no artifact of purpose `rate-limits` is declared, or it is missing or stale; the run never went over the limit; it does not count answers by status
Error         a report cannot be read, or CI denies it; the endpoint answers no request of the burst
Needs         an artifact of purpose `rate-limits` that counts answers by status (vegeta, k6 with `http_reqs{status:429}` among its thresholds, JTL, Artillery); `traffic.rate_limit_rps`
Source        RFC 6585, section 4; RFC 9110, section 10.2.3; OWASP API Security Top 10 2023, API4

Most generators do not keep headers: a counter `rate_limited_with_retry_after` that the test itself keeps (k6, Artillery) says how many answers 429 had Retry-After. Without it that is warned of. That another key is not affected is not seen here. A burst goes to production only with `probe_production`.
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import Field

from quub_audit.checks.testing.load._runs import LoadParameters, listed, named, nothing_shown, runs_of
from quub_audit.sdk import (
    Artifact,
    Artifacts,
    Burst,
    Endpoint,
    Environment,
    Finding,
    Grade,
    Http,
    LoadRun,
    artifacts_for,
    check,
)

RATE_LIMITS = artifacts_for("rate-limits")

LIMITED = "429"


class LimitParameters(LoadParameters):
    """What the checklist may set under `with:`."""

    min_requests: int = Field(default=50, ge=1)
    """Requests below which a run shows nothing."""

    tolerance: float = Field(default=0.2, ge=0)
    """Share by which what goes through may differ from the limit: limiters of several replicas are not exact."""

    probe_path: str = ""
    """Path that a burst is sent to, with --allow-active; none is sent where it is empty."""

    probe_requests: int = Field(default=60, ge=10, le=200)
    """Requests of the burst, sent as fast as they are answered."""

    probe_production: bool = False
    """Whether a burst may be sent to an environment of stage production."""


@check("What goes over the limit is refused with 429", each=RATE_LIMITS)
def run(
    subject: Artifact, artifacts: Artifacts, environment: Environment, wanted: LimitParameters
) -> Iterator[Finding]:
    """Every run of the artifact: what one shows wrong, no other can mend."""
    for each in runs_of(subject, artifacts, wanted.fresh):
        yield from judge(subject, each, environment, wanted)


@check("A burst of requests is refused with 429", each=Endpoint, grade=Grade.LIVE, active=True)
def burst(subject: Endpoint, http: Http, environment: Environment, wanted: LimitParameters) -> Finding | None:
    """Without a key, so that the limit by address is seen; never to production unless that is asked for."""
    is_allowed = environment.stage != "production" or wanted.probe_production
    if not wanted.probe_path or not is_allowed or subject.is_websocket or subject.audience != "api":
        return None
    sent = http.burst(subject, wanted.probe_path, requests=wanted.probe_requests)
    return judge_burst(str(subject), sent, environment.traffic.rate_limit_rps, wanted)


def judge_burst(subject: str, sent: Burst, limit: float | None, wanted: LimitParameters) -> Finding:
    """A warning where nothing was refused and the burst may have stayed below the limit."""
    requests = sum(sent.statuses.values())
    limited = sent.statuses.get(LIMITED, 0)
    rate = requests / sent.seconds if sent.seconds else 0.0
    observed = f"{limited} of {requests} requests in {sent.seconds:g} s got 429"
    expected = "429 with Retry-After, and no 5xx"
    broken = sum(times for code, times in sent.statuses.items() if code[0] == "5")
    if not limited and not broken and (limit is None or rate <= limit * (1 + wanted.tolerance)):
        return Finding.warning(subject=subject, observed=f"{observed}, at {rate:.4g} a second", expected=expected)
    faults = [
        "" if limited else f"none of {requests} requests in {sent.seconds:g} s got 429",
        f"{broken} of {requests} requests got 5xx" if broken else "",
        "no answer 429 had Retry-After" if limited and not sent.with_retry_after else "",
    ]
    found = [fault for fault in faults if fault]
    return Finding.of(not found, subject=subject, observed=listed(found, observed), expected=expected)


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
