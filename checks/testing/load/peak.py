"""A load test achieved twice the expected peak, for minutes, with few errors and quick answers.

Pass          a run has a stretch of `hold_s` or longer with `factor` times `traffic.expected_peak_rps` requests a second or more, errors within `max_error`, and percentiles within `traffic.p95_ms` and `p99_ms`; with AWS declared, the load balancer counted as many requests
Fail          no stretch is like that; requests went to hosts that are not declared; the load balancer of the endpoint counted fewer requests than the run says were answered
Inconclusive  no artifact of purpose `peak-load` is declared, or it is missing or stale; `traffic.expected_peak_rps` is not declared; the run has fewer than `min_requests` requests or no percentiles
Error         a report cannot be read, or CI denies it; AWS refuses to tell of the load balancer
Needs         an artifact of purpose `peak-load`; `traffic` in environments.yaml; with AWS `elasticloadbalancing:DescribeLoadBalancers` and `cloudwatch:GetMetricData`
Source        the guide, Testing (twice the expected traffic); AWS Well-Architected, REL 7, REL 12 and PERF 5

What was achieved counts, never what the generator was told to do. A report without a series is judged by its mean, which a ramp makes lower. Generators that wait for answers (JMeter, Locust, wrk) send less while the service is slow, and are warned of: their percentiles look better than users find them.
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pydantic import Field

from quub_audit.checks.testing.load._runs import (
    LoadParameters,
    Stretch,
    listed,
    named,
    nothing_shown,
    runs_of,
    strangers,
    stretches,
)
from quub_audit.sdk import (
    Artifact,
    Artifacts,
    Aws,
    Clock,
    Endpoint,
    Environment,
    Finding,
    Grade,
    LoadRun,
    Region,
    Traffic,
    artifacts_for,
    check,
)

PEAK_LOAD = artifacts_for("peak-load")

PERIODS: Sequence[tuple[timedelta, int]] = (
    (timedelta(days=15), 60),
    (timedelta(days=63), 300),
    (timedelta(days=455), 3600),
)
"""How long CloudWatch keeps data points, and of how many seconds each."""


class PeakParameters(LoadParameters):
    """What the checklist may set under `with:`."""

    factor: float = Field(default=2.0, gt=0)
    """Requests per expected request at the peak. The guide, Testing: twice the expected traffic."""

    hold_s: float = Field(default=300, gt=0)
    """Seconds without a break that the load has to be held. House rule."""

    p95_ms: float = Field(default=500, gt=0)
    """Milliseconds; `traffic.p95_ms` goes before it. House rule."""

    p99_ms: float = Field(default=1000, gt=0)
    """Milliseconds; `traffic.p99_ms` goes before it. House rule."""

    tolerance: float = Field(default=0.1, ge=0, lt=1)
    """Share by which the load balancer may have counted fewer requests than were answered."""


@check("A run held twice the expected peak", each=PEAK_LOAD)
def run(subject: Artifact, artifacts: Artifacts, environment: Environment, wanted: PeakParameters) -> Iterator[Finding]:
    """The best stretch of all runs of the artifact."""
    runs = runs_of(subject, artifacts, wanted.fresh)
    yield from judge(subject, runs, environment, wanted)


@check(
    "The load balancer counted what the run says it sent",
    each=PEAK_LOAD,
    grade=Grade.LIVE,
    permissions=["elasticloadbalancing:DescribeLoadBalancers", "cloudwatch:GetMetricData"],
)
def load_balancer(
    subject: Artifact, artifacts: Artifacts, aws: Aws, environment: Environment, clock: Clock, wanted: PeakParameters
) -> Iterator[Finding]:
    """Requests of each run whose endpoint has a declared load balancer; it confirms, and passes nothing alone."""
    for each in runs_of(subject, artifacts, wanted.fresh):
        endpoint = endpoint_of(each, environment)
        if endpoint is None or each.started_at is None:
            continue
        found = _find(endpoint.load_balancer, aws, environment)
        if found is None:
            yield Finding.error(
                subject=endpoint.name,
                message=f"{endpoint}: its load balancer {endpoint.load_balancer} is in no declared region",
            )
            continue
        region, arn = found
        begin, end, period_s = window_of(each, each.started_at, clock.now())
        answer = aws.ask(
            "cloudwatch.GetMetricData",
            region=region,
            MetricDataQueries=[_query(arn, period_s)],
            StartTime=begin,
            EndTime=end,
        )
        counted = [value for result in answer.get("MetricDataResults", ()) for value in result.get("Values", ())]
        confirmed = judge_counted(named(subject, each), each, counted, wanted)
        if confirmed is not None:
            yield confirmed


def judge(
    subject: Artifact, runs: Sequence[LoadRun], environment: Environment, wanted: PeakParameters
) -> Iterator[Finding]:
    """A pass where one run holds; else what is wrong with the one that came closest."""
    traffic = environment.traffic
    if traffic.expected_peak_rps is None:
        yield nothing_shown(
            subject,
            environment,
            observed="nobody says how much traffic is expected",
            expected="`traffic.expected_peak_rps` in environments.yaml",
        )
        return
    big = [each for each in runs if each.requests >= wanted.min_requests]
    if not big:
        most = max(each.requests for each in runs)
        yield nothing_shown(
            subject,
            environment,
            observed=f"{most} requests in a run",
            expected=f"{wanted.min_requests} or more, to show anything",
        )
        return
    if not any(has_percentiles(each) for each in big):
        yield nothing_shown(
            subject,
            environment,
            observed="no run says how long 95 and 99 of 100 requests took",
            expected="percentiles: `summaryTrendStats` of k6, --latency of wrk2",
        )
        return
    judged = [_judge_run(subject, each, environment, traffic.expected_peak_rps, wanted) for each in big]
    best, _, of_run = min(judged, key=lambda one: one[1])
    yield best
    if of_run.is_open_model is False:
        yield Finding.warning(
            subject=named(subject, of_run),
            observed=f"{of_run.origin.tool} sends the next request when the last one is answered",
            expected="a generator that keeps to a schedule (k6 with an arrival rate, vegeta, wrk2)",
        )


def _judge_run(
    subject: Artifact, run: LoadRun, environment: Environment, peak_rps: float, wanted: PeakParameters
) -> tuple[Finding, int, LoadRun]:
    """A finding, the number of its faults, and the run."""
    needed = wanted.factor * peak_rps
    p95_ms, p99_ms = limits(environment.traffic, wanted)
    best: tuple[int, float, Stretch, list[str]] | None = None
    for stretch in stretches(run, wanted.hold_s):
        faults = faults_of(stretch, run, needed, p95_ms, p99_ms, wanted)
        if best is None or (len(faults), -stretch.rate) < best[:2]:
            best = (len(faults), -stretch.rate, stretch, faults)
    if best is None:
        faults, seen = [f"the run took {run.duration_s:.0f} s"], ""
    else:
        _, _, stretch, faults = best
        how = "held for" if run.slices else "on average of"
        seen = f"{stretch.rate:.4g} requests a second {how} {stretch.seconds:.0f} s, {stretch.error_share:.2%} failed"
    if foreign := strangers(run, environment):
        faults = [*faults, f"requests went to {', '.join(foreign[:5])}, which is not declared"]
    if run.dropped and faults:
        faults = [*faults, f"{run.dropped} requests were due and never sent"]
    finding = Finding.of(
        not faults,
        subject=named(subject, run),
        observed=listed(faults, seen),
        expected=f"{needed:g} requests a second ({wanted.factor:g} times the expected peak) for {wanted.hold_s:g} s, "
        f"{wanted.max_error:.0%} errors or less, p95 within {p95_ms:g} ms, p99 within {p99_ms:g} ms",
    )
    return finding, len(faults), run


def limits(traffic: Traffic, wanted: PeakParameters) -> tuple[float, float]:
    """95th and 99th percentile in milliseconds: what the service promises, else the item's own."""
    return traffic.p95_ms or wanted.p95_ms, traffic.p99_ms or wanted.p99_ms


def has_percentiles(run: LoadRun) -> bool:
    """Whether it says how long 95 and 99 of 100 requests took, as a whole or in its slices."""
    return (run.p95_ms is not None and run.p99_ms is not None) or any(each.p95_ms is not None for each in run.slices)


def faults_of(
    stretch: Stretch, run: LoadRun, needed_rps: float, p95_ms: float, p99_ms: float, wanted: PeakParameters
) -> list[str]:
    """What keeps a stretch from being the peak; percentiles of the run where its slices have none."""
    faults = []
    if stretch.rate < needed_rps:
        faults.append(f"{stretch.rate:.4g} requests a second at most for {stretch.seconds:.0f} s")
    elif stretch.lowest_rate < needed_rps / 2:
        faults.append(f"the load was not held: {stretch.lowest_rate:.4g} requests a second at times")
    if stretch.error_share > wanted.max_error:
        faults.append(f"{stretch.error_share:.2%} of the requests failed")
    for percent, limit_ms, of_run in ((95, p95_ms, run.p95_ms), (99, p99_ms, run.p99_ms)):
        above = stretch.share_above(limit_ms)
        if above is not None:
            if above > 1 - percent / 100 + 1e-9:
                faults.append(f"{above:.1%} took longer than {limit_ms:g} ms, p{percent} is above it")
        elif of_run is not None and of_run > limit_ms:
            faults.append(f"p{percent} is {of_run:.4g} ms")
        elif of_run is None:
            faults.append(f"it does not say how long {percent} of 100 requests took")
    return faults


# Confirmation by the load balancer


def endpoint_of(run: LoadRun, environment: Environment) -> Endpoint | None:
    """The declared endpoint with a load balancer that a run was sent to, where it was sent to one alone."""
    behind = [each for each in environment.endpoints if each.load_balancer]
    hosts = {target.rpartition(":")[0] or target for target in run.targets} | set(run.targets)
    return next((each for each in behind if each.host in hosts), None) if len(run.targets) == 1 else None


def _find(name: str, aws: Aws, environment: Environment) -> tuple[Region, str] | None:
    for account in environment.aws:
        for region in account.regions:
            for found in aws.ask("elbv2.DescribeLoadBalancers", region=region).get("LoadBalancers", ()):
                if name in (found["LoadBalancerArn"], found["LoadBalancerName"]):
                    return region, found["LoadBalancerArn"]
    return None


def window_of(run: LoadRun, started_at: datetime, now: datetime) -> tuple[datetime, datetime, int]:
    """Whole periods around the run, and how many seconds one has."""
    age = now - started_at
    period_s = next((seconds for kept, seconds in PERIODS if age <= kept), PERIODS[-1][1])
    begin = int(started_at.timestamp()) // period_s * period_s
    end = -(-int(started_at.timestamp() + run.duration_s + 1) // period_s) * period_s
    zone = started_at.tzinfo
    return datetime.fromtimestamp(begin, zone), datetime.fromtimestamp(end, zone), period_s


def _query(arn: str, period_s: int) -> Mapping[str, Any]:
    dimension = {"Name": "LoadBalancer", "Value": arn.partition(":loadbalancer/")[2]}
    metric = {"Namespace": "AWS/ApplicationELB", "MetricName": "RequestCount", "Dimensions": [dimension]}
    return {"Id": "requests", "MetricStat": {"Metric": metric, "Period": period_s, "Stat": "Sum"}}


def judge_counted(subject: str, run: LoadRun, counted: Sequence[float], wanted: PeakParameters) -> Finding | None:
    """A fail where fewer requests arrived than were answered; a warning without data; else nothing.

    More than were sent says nothing: others use the service too.
    """
    answered = run.requests - (run.statuses or {}).get("0", 0)
    least = (1 - wanted.tolerance) * answered
    expected = f"{least:.0f} or more of the {answered} that were answered"
    if not counted:
        return Finding.warning(
            subject=subject, observed="the load balancer has no data points of that time", expected=expected
        )
    if sum(counted) >= least:
        return None
    return Finding.of(
        False,
        subject=subject,
        observed=f"the load balancer counted {sum(counted):.0f} requests",
        expected=expected,
        message=f"{subject}: the load did not arrive at the load balancer; was it answered by a cache, or elsewhere?",
    )
