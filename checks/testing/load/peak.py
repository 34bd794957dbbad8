"""A load test achieved twice the expected peak, for minutes, with few errors and quick answers.

Pass          a run has a stretch of `hold_s` or longer with `factor` times `traffic.expected_peak_rps` requests a second or more, errors within `max_error`, and percentiles within `traffic.p95_ms` and `p99_ms`; the load balancer or Prometheus, where they can be asked, counted as many requests
Fail          no stretch is like that; requests went to hosts that are not declared; the load balancer of the endpoint, or Prometheus, counted fewer requests than the run says were answered; the load balancer counted more answers 5xx than the run says failed, above `max_error`
Inconclusive  no artifact of purpose `peak-load` is declared, or one is missing or stale; `traffic.expected_peak_rps` is not declared; a declared artifact has no run of `min_requests` requests, or none with percentiles
Error         a report cannot be read, or CI denies it; AWS refuses to tell of the load balancer, or it is in no declared region; Prometheus cannot be reached or cannot read what is asked
Needs         an artifact of purpose `peak-load`; `traffic` in environments.yaml; with AWS and `load_balancer` of an endpoint `elasticloadbalancing:DescribeLoadBalancers` and `cloudwatch:GetMetricData`; with `requests` a way to Prometheus' API
Source        the guide, Testing (twice the expected traffic); AWS Well-Architected, REL 7, REL 12 and PERF 5

What was achieved counts, never what the generator was told to do. A report without a series is judged by its mean, which a ramp makes lower. Generators that wait for answers (JMeter, Locust, wrk) send less while the service is slow, and are warned of: their percentiles look better than users find them.
The load balancer and Prometheus are asked of the best run, where it says that it was sent to an endpoint of this very environment. Where they know nothing of that time nothing is held against the run.
In production, a peak of the last 30 days above `traffic.expected_peak_rps` is warned of. It is the busiest five minutes, without the time of the runs themselves: for longer than 15 days CloudWatch keeps nothing finer.
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from pydantic import Field

from quub_audit.checks.testing.load._metrics import (
    OF_BALANCERS,
    Balancer,
    balancer_of,
    counts_of,
    endpoint_of,
    is_sent_here,
    series_of,
    value_of,
    window_of,
)
from quub_audit.checks.testing.load._runs import (
    LoadParameters,
    Stretch,
    listed,
    named,
    runs_of,
    strangers,
    stretches,
    unsaid,
)
from quub_audit.sdk import (
    Artifact,
    Artifacts,
    Aws,
    Clock,
    Environment,
    Finding,
    Grade,
    LoadRun,
    Prometheus,
    PrometheusServer,
    Traffic,
    artifacts_for,
    check,
)

PEAK_LOAD = artifacts_for("peak-load")

LOOK_BACK = timedelta(days=30)
"""In which traffic is looked for that was above the expected peak."""

SERVER_ERRORS = ("HTTPCode_Target_5XX_Count", "HTTPCode_ELB_5XX_Count")


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
    """Share by which the load balancer or Prometheus may have counted fewer requests than were answered."""

    requests: str = Field(default="", pattern=r"^([a-zA-Z_:][a-zA-Z0-9_:]*(\{.*\})?)?$")
    """Counter of requests in Prometheus, as `http_requests_total{job="orders"}`; not asked where this is empty."""


@check("A run held twice the expected peak", each=PEAK_LOAD)
def run(subject: Artifact, artifacts: Artifacts, environment: Environment, wanted: PeakParameters) -> Iterator[Finding]:
    """The best stretch of all runs of the artifact."""
    runs = runs_of(subject, artifacts, wanted.fresh)
    yield from judge(subject, runs, environment, wanted)


@check(
    "The load balancer counted what the run says it sent", each=PEAK_LOAD, grade=Grade.LIVE, permissions=OF_BALANCERS
)
def load_balancer(
    subject: Artifact, artifacts: Artifacts, aws: Aws, environment: Environment, clock: Clock, wanted: PeakParameters
) -> Finding | None:
    """The best run, where its endpoint has a declared load balancer; it confirms, and passes nothing alone."""
    best = best_of(runs_of(subject, artifacts, wanted.fresh), environment, wanted)
    endpoint = endpoint_of(best, environment) if best else None
    if best is None or endpoint is None:
        return None
    balancer = balancer_of(endpoint, aws, environment)
    if not isinstance(balancer, Balancer):
        return balancer
    begin, end, _ = window_of(best, best.started_at or clock.now(), clock.now())
    # Errors of an hour say little of a run of five minutes in it.
    errors = SERVER_ERRORS if (end - begin).total_seconds() <= 1.5 * best.duration_s else ()
    counts = counts_of(balancer, best, aws, clock.now(), *errors)
    return judge_counted(named(subject, best), best, counts, wanted)


@check("Prometheus counted what the run says it sent", each=PEAK_LOAD, grade=Grade.LIVE)
def counter(
    subject: Artifact, artifacts: Artifacts, prometheus: Prometheus, environment: Environment, wanted: PeakParameters
) -> Iterator[Finding]:
    """As the load balancer, with a minute before and after for what is scraped late."""
    if not (wanted.requests and environment.prometheus):
        return
    best = best_of(runs_of(subject, artifacts, wanted.fresh), environment, wanted)
    if best is None or best.started_at is None or not is_sent_here(best, environment):
        return
    length_s, end = best.duration_s + 120, best.started_at.timestamp() + best.duration_s + 60
    for server in environment.prometheus:
        samples = prometheus.query(server, f"sum(increase({wanted.requests}[{length_s:.0f}s] @ {end:.0f}))")
        counted = value_of(samples)
        counts = None if counted is None else {"RequestCount": counted}
        if finding := judge_counted(named(subject, best), best, counts, wanted, who=f"Prometheus {server}"):
            yield finding


@check("No more comes in than is expected", each=Environment, grade=Grade.LIVE, permissions=OF_BALANCERS)
def expectation(
    subject: Environment, artifacts: Artifacts, aws: Aws, clock: Clock, wanted: PeakParameters
) -> Iterator[Finding]:
    """The load balancers of the endpoints of production together, in each five minutes; it warns alone."""
    expected_rps = subject.traffic.expected_peak_rps
    behind = {each.load_balancer: each for each in subject.endpoints if each.load_balancer}
    if expected_rps is None or subject.stage != "production" or not behind:
        return
    own = _times_of(subject, artifacts, wanted)
    if not own:
        return
    end = datetime.fromtimestamp(clock.now().timestamp() // 300 * 300, clock.now().tzinfo)
    arrived: dict[datetime, float] = {}
    for endpoint in behind.values():
        balancer = balancer_of(endpoint, aws, subject)
        if not isinstance(balancer, Balancer):
            continue
        answer = aws.ask(
            "cloudwatch.GetMetricData",
            region=balancer.region,
            MetricDataQueries=[balancer.query("RequestCount", 300, "requests")],
            StartTime=end - LOOK_BACK,
            EndTime=end,
        )
        for at, requests in series_of(answer).get("requests", {}).items():
            arrived[at] = arrived.get(at, 0.0) + requests
    yield from judge_expected(str(subject), expected_rps, busiest(arrived, own))


@check("No more than is expected comes in by Prometheus", each=PrometheusServer, grade=Grade.LIVE)
def rate(
    subject: PrometheusServer,
    prometheus: Prometheus,
    artifacts: Artifacts,
    environment: Environment,
    clock: Clock,
    wanted: PeakParameters,
) -> Iterator[Finding]:
    """As by the load balancers."""
    expected_rps = environment.traffic.expected_peak_rps
    if expected_rps is None or environment.stage != "production" or not wanted.requests:
        return
    own = _times_of(environment, artifacts, wanted)
    if not own:
        return
    arrived = f"sum(rate({wanted.requests}[5m]))"
    for begin, end in own:
        arrived += f" unless on() (vector(time()) >= {begin:.0f} <= {end + 300:.0f})"
    expression = f"max_over_time(({arrived})[{LOOK_BACK.days}d:5m] @ {clock.now().timestamp():.0f})"
    yield from judge_expected(str(environment), expected_rps, value_of(prometheus.query(subject, expression)))


def _times_of(
    environment: Environment, artifacts: Artifacts, wanted: PeakParameters
) -> tuple[tuple[float, float], ...]:
    """When the runs of all artifacts began and ended, in seconds since 1970; none where one of them does not say it."""
    declared = [each for each in environment.artifacts if each.purpose == "peak-load"]
    runs = [run for each in declared for run in runs_of(each, artifacts, wanted.fresh)]
    begun = [(run.started_at.timestamp(), run.duration_s) for run in runs if run.started_at is not None]
    return tuple((at, at + took) for at, took in begun) if len(begun) == len(runs) else ()


def busiest(arrived: Mapping[datetime, float], own: Iterable[tuple[float, float]]) -> float | None:
    """Requests a second of the busiest five minutes that no run of ours touches; None without any."""
    own = tuple(own)
    others = (
        requests / 300
        for at, requests in arrived.items()
        if not any(at.timestamp() < end and begin < at.timestamp() + 300 for begin, end in own)
    )
    return max(others, default=None)


def judge_expected(subject: str, expected_rps: float, observed_rps: float | None) -> Iterator[Finding]:
    """A warning where more came in than is expected; the run itself is judged by what is declared."""
    if observed_rps is not None and observed_rps > expected_rps:
        yield Finding.warning(
            subject=subject,
            observed=f"{observed_rps:.4g} requests a second came in during the busiest 5 minutes of "
            f"{LOOK_BACK.days} days",
            expected=f"{expected_rps:g} or less, as `traffic.expected_peak_rps` says",
        )


def best_of(runs: Sequence[LoadRun], environment: Environment, wanted: PeakParameters) -> LoadRun | None:
    """The run that is judged: of those with enough requests and percentiles the one that came closest."""
    expected_rps = environment.traffic.expected_peak_rps
    telling = [each for each in runs if each.requests >= wanted.min_requests and has_percentiles(each)]
    if expected_rps is None or not telling:
        return None
    return min(telling, key=lambda each: len(_faults_of_run(each, environment, expected_rps, wanted)[0]))


def judge(
    subject: Artifact, runs: Sequence[LoadRun], environment: Environment, wanted: PeakParameters
) -> Iterator[Finding]:
    """A pass where one run holds; else what is wrong with the one that came closest."""
    expected_rps = environment.traffic.expected_peak_rps
    best = best_of(runs, environment, wanted)
    if expected_rps is None:
        yield Finding.undecided(
            subject=str(subject),
            observed="nobody says how much traffic is expected",
            expected="`traffic.expected_peak_rps` in environments.yaml",
            next_step="declare `traffic.expected_peak_rps`",
        )
    elif best is not None:
        yield from _judge_run(subject, best, environment, expected_rps, wanted)
    elif any(each.requests >= wanted.min_requests for each in runs):
        yield Finding.undecided(
            subject=str(subject),
            observed="no run says how long 95 and 99 of 100 requests took",
            expected="percentiles: `summaryTrendStats` of k6, --latency of wrk2",
            next_step="let the generator write percentiles or a series, and run it again",
        )
    else:
        yield Finding.undecided(
            subject=str(subject),
            observed=f"{max(each.requests for each in runs)} requests in a run",
            expected=f"{wanted.min_requests} or more, to show anything",
            next_step="run it longer or with more load",
        )


def _judge_run(
    subject: Artifact, run: LoadRun, environment: Environment, expected_rps: float, wanted: PeakParameters
) -> Iterator[Finding]:
    faults, seen = _faults_of_run(run, environment, expected_rps, wanted)
    p95_ms, p99_ms = limits(environment.traffic, wanted)
    yield Finding.of(
        not faults,
        subject=named(subject, run),
        observed=listed(faults, seen),
        expected=f"{wanted.factor * expected_rps:g} requests a second ({wanted.factor:g} times the expected peak) for "
        f"{wanted.hold_s:g} s, {wanted.max_error:.0%} errors or less, p95 within {p95_ms:g} ms, p99 within "
        f"{p99_ms:g} ms",
    )
    if run.is_open_model is False:
        yield Finding.warning(
            subject=named(subject, run),
            observed=f"{run.origin.tool} sends the next request when the last one is answered",
            expected="a generator that keeps to a schedule (k6 with an arrival rate, vegeta, wrk2)",
        )


def _faults_of_run(
    run: LoadRun, environment: Environment, expected_rps: float, wanted: PeakParameters
) -> tuple[list[str], str]:
    """What keeps its best stretch from being the peak, and what there is to say of that one."""
    needed = wanted.factor * expected_rps
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
        seen += unsaid(run)
    if foreign := strangers(run, environment):
        faults = [*faults, f"requests went to {', '.join(foreign[:5])}, which is not declared"]
    if run.dropped and faults:
        faults = [*faults, f"{run.dropped} requests were due and never sent"]
    return faults, seen


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


# Confirmation by those who count on the other side


def judge_counted(
    subject: str,
    run: LoadRun,
    counts: Mapping[str, float] | None,
    wanted: PeakParameters,
    *,
    who: str = "the load balancer",
) -> Finding | None:
    """A fail where fewer requests arrived than were answered, or more failed than the run says; else nothing.

    `counts` by metric; None without data points, which is warned of: it may be younger than the run. More requests than
    were sent say nothing: others use the service too.
    """
    answered = run.requests - (run.statuses or {}).get("0", 0)
    least = (1 - wanted.tolerance) * answered
    expected = f"{least:.0f} or more of the {answered} that were answered"
    if counts is None:
        return Finding.warning(subject=subject, observed=f"{who} has no data points of that time", expected=expected)
    arrived = counts["RequestCount"]
    if arrived < least:
        return Finding.of(
            False,
            subject=subject,
            observed=f"{who} counted {arrived:.0f} requests",
            expected=expected,
            message=f"{subject}: the load did not arrive at {who}; was it answered by a cache, or elsewhere?",
        )
    failed = sum(counts.get(metric, 0.0) for metric in SERVER_ERRORS)
    # What broke after the best stretch is in the run's own errors, and no contradiction.
    if failed > wanted.max_error * arrived and run.errors <= wanted.max_error * run.requests:
        return Finding.of(
            False,
            subject=subject,
            observed=f"{who} counted {failed:.0f} answers 5xx of {arrived:.0f}, the run {run.errors} errors",
            expected=f"{wanted.max_error:.0%} errors or less on either side",
        )
    return None
