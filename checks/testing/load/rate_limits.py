"""Who sends too much is told so: 429 with Retry-After, from the declared rate on, and no error instead.

Pass          a run above the limit got 429 with Retry-After, no 5xx, no more requests through than `traffic.rate_limit_rps` allows by `tolerance`, and by the test's own counters another key was not refused, nor anything after the window; the same for a burst of the audit's own, without the counters (with --allow-active, where `probe_path` is set)
Fail          a run above the limit got no 429; it got 5xx; more went through than the limit allows, or much less; none of the answers says when to come back; another key was refused too, or requests after the window were
Inconclusive  no artifact of purpose `rate-limits` is declared, or one is missing or stale; no run of a declared artifact went over the limit, or none counts answers by status; fewer answers 4xx came from the service, as the load balancer counted, than the run got 429: a firewall or a CDN refused them, and the service's own limit was not reached
Error         a report cannot be read, or CI denies it; the endpoint answers no request of the burst; AWS refuses to tell of the load balancer, or it is in no declared region
Needs         an artifact of purpose `rate-limits` that counts answers by status (vegeta, k6 with `http_reqs{status:429}` among its thresholds, JTL, Artillery); `traffic.rate_limit_rps`; with AWS and `load_balancer` of an endpoint `elasticloadbalancing:DescribeLoadBalancers` and `cloudwatch:GetMetricData`
Source        RFC 6585, section 4; RFC 9110, section 10.2.3; OWASP API Security Top 10 2023, API4

Most generators keep neither headers nor keys. Counters that the test itself keeps (k6, Artillery) say the rest: `rate_limited_with_retry_after`, how many answers 429 had Retry-After; `other_key_answered` and `other_key_limited`, what requests with another key got while the first one was refused; `answered_after_window` and `limited_after_window`, what requests got a tenth of a window after it had ended. What none of them says is warned of.
A refusal with 403, as firewalls give it, is no 429. A burst goes to production only with `probe_production`, and is sent without a key; of its answers `RateLimit` fields count as well as Retry-After. Where a CDN is declared before the endpoint it passes nothing, without `connect_to`.
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pydantic import Field

from quub_audit.checks.testing.load._metrics import OF_BALANCERS, Balancer, balancer_of, counts_of, endpoint_of
from quub_audit.checks.testing.load._runs import LoadParameters, listed, named, runs_of
from quub_audit.sdk import (
    Artifact,
    Artifacts,
    Aws,
    Burst,
    Clock,
    Endpoint,
    Environment,
    Finding,
    Grade,
    Http,
    LoadRun,
    artifacts_for,
    check,
    cut,
)

RATE_LIMITS = artifacts_for("rate-limits")

LIMITED = "429"
REFUSED = "HTTPCode_Target_4XX_Count"
"""Answers 4xx of the service itself; those of a firewall and of the load balancer are not in it."""


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
    yield from judge(subject, runs_of(subject, artifacts, wanted.fresh), environment, wanted)


@check("The service itself gave the answers 429", each=RATE_LIMITS, grade=Grade.LIVE, permissions=OF_BALANCERS)
def load_balancer(
    subject: Artifact, artifacts: Artifacts, aws: Aws, environment: Environment, clock: Clock, wanted: LimitParameters
) -> Iterator[Finding]:
    """Runs whose endpoint has a declared load balancer; it passes nothing alone."""
    for each in runs_of(subject, artifacts, wanted.fresh):
        limited = (each.statuses or {}).get(LIMITED, 0)
        endpoint = endpoint_of(each, environment)
        if not limited or endpoint is None:
            continue
        balancer = balancer_of(endpoint, aws, environment)
        if isinstance(balancer, Balancer):
            finding = judge_refused(named(subject, each), limited, counts_of(balancer, each, aws, clock.now(), REFUSED))
        else:
            finding = balancer
        if finding is not None:
            yield finding


@check("A burst of requests is refused with 429", each=Endpoint, grade=Grade.LIVE, active=True)
def burst(subject: Endpoint, http: Http, environment: Environment, wanted: LimitParameters) -> Finding | None:
    """Without a key, so that the limit by address is seen; never to production unless that is asked for."""
    is_allowed = environment.stage != "production" or wanted.probe_production
    if not wanted.probe_path or not is_allowed or subject.is_websocket or subject.audience != "api":
        return None
    sent = http.burst(subject, wanted.probe_path, requests=wanted.probe_requests)
    return judge_burst(subject, sent, environment.traffic.rate_limit_rps, wanted)


def judge_refused(subject: str, limited: int, counts: Mapping[str, float] | None) -> Finding | None:
    """Undecided where the service gave fewer than half as many answers 4xx as the run got 429; else nothing.

    The periods are longer than the run, so that more says nothing; without data points nothing does.
    """
    if counts is None or counts[REFUSED] >= limited / 2:
        return None
    return Finding.undecided(
        subject=subject,
        observed=f"{limited} answers 429, {counts[REFUSED]:.0f} answers 4xx of the service by the load balancer",
        expected="as many of the service itself",
        message=f"{subject}: a firewall or a CDN answered 429 in place of the service",
        next_step="send the test past the firewall and the CDN, or raise their limits for it, or waive it",
    )


def judge_burst(endpoint: Endpoint, sent: Burst, limit: float | None, wanted: LimitParameters) -> Finding:
    """A warning where nothing was refused and the burst may have stayed below the limit, or a CDN may have refused."""
    requests = sum(sent.statuses.values())
    limited = sent.statuses.get(LIMITED, 0)
    rate = requests / max(sent.seconds, 0.001)
    observed = f"{limited} of {requests} requests in {sent.seconds:g} s got 429"
    expected = "429 with Retry-After, and no 5xx"
    broken = sum(times for code, times in sent.statuses.items() if code[0] == "5")
    if not limited and not broken and (limit is None or rate <= limit * (1 + wanted.tolerance)):
        return Finding.warning(subject=str(endpoint), observed=f"{observed}, at {rate:.4g} a second", expected=expected)
    faults = [
        "" if limited else f"none of {requests} requests in {sent.seconds:g} s got 429",
        f"{broken} of {requests} requests got 5xx" if broken else "",
        "no answer 429 said when to come back" if limited and not sent.with_retry_after else "",
    ]
    found = [fault for fault in faults if fault]
    if not found and endpoint.cdn and not endpoint.connect_to:
        return Finding.warning(
            subject=str(endpoint),
            observed=f"{observed}, and {endpoint.cdn} before it may have refused them",
            expected="a burst at the service itself: `connect_to` of the endpoint",
        )
    return Finding.of(not found, subject=str(endpoint), observed=listed(found, observed), expected=expected)


def judge(
    subject: Artifact, runs: Sequence[LoadRun], environment: Environment, wanted: LimitParameters
) -> Iterator[Finding]:
    """A finding on each run that shows anything, and a warning of what it leaves open; one where none does."""
    limit = environment.traffic.rate_limit_rps
    expected = f"429 with Retry-After above {limit:g} requests a second" if limit else "429 with Retry-After"
    silent = [(each, why) for each in runs if (why := missing_in(each, limit, wanted))]
    if len(silent) == len(runs):
        yield Finding.undecided(
            subject=str(subject),
            observed=cut(f"{named(subject, each)}: {why}" for each, why in silent),
            expected=expected,
            next_step="send more than the limit for as long as it takes, and count the answers by status",
        )
    for each in runs:
        if any(each is mute for mute, _ in silent):
            continue
        faults = list(faults_of(each, each.statuses or {}, limit, wanted))
        yield Finding.of(
            not faults,
            subject=named(subject, each),
            observed=listed(faults, f"{(each.statuses or {}).get(LIMITED, 0)} of {each.requests} requests got 429"),
            expected=expected,
        )
        if not faults and (unseen := list(unseen_in(each))):
            yield Finding.warning(
                subject=named(subject, each),
                observed=f"nothing says whether {cut(unseen)}",
                expected="counters that the test keeps: `rate_limited_with_retry_after`, `other_key_answered`, "
                "`answered_after_window`",
            )


def missing_in(run: LoadRun, limit: float | None, wanted: LimitParameters) -> str:
    """Why a run shows nothing; empty where it does."""
    if run.statuses is None:
        return "answers are not counted by status"
    if run.requests < wanted.min_requests or not run.duration_s:
        return f"{run.requests} requests in {run.duration_s:.0f} s"
    rate = run.requests / run.duration_s
    if not run.statuses.get(LIMITED) and (limit is None or rate <= limit * (1 + wanted.tolerance)):
        return f"{rate:.4g} requests a second, and none was refused"
    return ""


def unseen_in(run: LoadRun) -> Iterator[str]:
    """What neither the tool nor the test's own counters say of the refused requests."""
    own = run.own_counters or {}
    if run.statuses_with_retry_after is None:
        yield "Retry-After was there"
    if not own.get("other_key_answered"):
        yield "another key is let through meanwhile"
    if not own.get("answered_after_window"):
        yield "requests are let through after the window"


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
    own = run.own_counters or {}
    if times := own.get("other_key_limited"):
        yield f"{times} requests with another key were refused too"
    if times := own.get("limited_after_window"):
        yield f"{times} requests after the window were still refused"
