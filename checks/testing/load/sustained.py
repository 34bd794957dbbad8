"""A load test ran for a day without a break, and the service was as quick and as sound at its end as at its beginning.

Pass          a run has samples over `hours` without a gap of more than `max_gap_s`, a mean rate of `min_share` of `traffic.expected_average_rps` or more, errors within `max_error` (each hour within `max_hour_error`), and neither its 95th percentile nor its errors grow; no container that is watched restarted or grew
Fail          the run is shorter, has a gap, carried less, had more errors, or got slower: by the fitted trend, or in its last two hours against the first two after the warm-up; in its time a container restarted, or its memory grew by more than `max_memory_growth` an hour after the warm-up
Inconclusive  no artifact of purpose `sustained-load` is declared, or one is missing or stale; `traffic.expected_average_rps` is not declared; a declared artifact is a summary without a series, or has fewer than `min_requests` requests
Error         a report cannot be read, or CI denies it; AWS refuses to tell of the load balancer or of the services behind it; Prometheus cannot be reached or cannot read what is asked
Needs         an artifact of purpose `sustained-load` with a series: JTL, k6's JSON stream, Locust's history, Gatling's simulation.log, Artillery's report; `traffic` in environments.yaml; with AWS and `load_balancer` of an endpoint `elasticloadbalancing:DescribeLoadBalancers`, `DescribeTargetGroups`, `ecs:ListClusters`, `ListServices`, `DescribeServices`, `cloudwatch:GetMetricData`; with `containers` a way to Prometheus' API
Source        the guide, Testing (24 hours and more); AWS Well-Architected, REL 7 and PERF 5

The length is from the first sample to the last, whatever was configured. The trend is Theil and Sen's: the median of the slopes between all pairs of points, so that a nightly job or a hiccup in up to a quarter of them does not move it, as it would a line of least squares. Growth of less than `min_growth_ms` is noise.
Metrics are asked for the time of the run that is judged. Of ECS: the services behind the load balancer of the endpoint that the run was sent to, where that is one of this very environment; restarts where Container Insights counts them (it does for containers with a restart policy), and fewer running tasks than desired are warned of. Of Prometheus: the containers that `containers` names, by cAdvisor and kube-state-metrics, whatever the run was sent to. Where they know nothing of that time the run is judged alone.
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import combinations
from statistics import median
from typing import Any

from pydantic import Field

from quub_audit.checks.security.api_keys._workloads import SERVICE_PERMISSIONS, list_services
from quub_audit.checks.testing.load._metrics import (
    OF_BALANCERS,
    Balancer,
    balancer_of,
    endpoint_of,
    metric_query,
    series_of,
)
from quub_audit.checks.testing.load._runs import LoadParameters, listed, named, runs_of, strangers, unsaid
from quub_audit.sdk import (
    Artifact,
    Artifacts,
    Aws,
    Chart,
    Environment,
    Finding,
    Grade,
    LoadRun,
    Prometheus,
    Sample,
    Slice,
    Traffic,
    artifacts_for,
    check,
)

SUSTAINED_LOAD = artifacts_for("sustained-load")

POINT_S = 1800
"""Of a point of the trend: half an hour; longer where there would be more than `MOST_POINTS`."""
MOST_POINTS = 150
HOUR_S = 3600

MEMORY = "container_memory_working_set_bytes"
RESTARTS = "kube_pod_container_status_restarts_total"
"""Of cAdvisor and of kube-state-metrics."""

MOST_SERVICES = 100
"""Behind one load balancer; four metrics each, of 500 that one question may name."""


class SustainedParameters(LoadParameters):
    """What the checklist may set under `with:`."""

    hours: float = Field(default=24, gt=0)
    """Hours. The guide, Testing: 24 and more."""

    max_gap_s: float = Field(default=300, ge=0)
    """Seconds without a sample: while a service hangs, many generators wait. House rule."""

    min_share: float = Field(default=0.8, ge=0)
    """Share of the expected average rate. House rule."""

    max_hour_error: float = Field(default=0.02, ge=0, le=1)
    """Share of the requests of any hour that may fail. House rule."""

    max_growth: float = Field(default=0.1, ge=0)
    """Share by which the 95th percentile may grow over the run. House rule."""

    min_growth_ms: float = Field(default=10, ge=0)
    """Milliseconds below which growth is noise."""

    max_error_growth: float = Field(default=0.005, ge=0, le=1)
    """Share of the requests by which errors may grow over the run. House rule."""

    warm_up_h: float = Field(default=1, ge=0)
    """Hours at the beginning that the trends leave out."""

    max_memory_growth: float = Field(default=0.01, ge=0)
    """Share by which a container's memory may grow in an hour. House rule."""

    containers: str = Field(default="", pattern=r"^[^{}]*$")
    """Labels in Prometheus of the containers that the run was sent to, as `namespace="orders",container="web"`; it is
    not asked where this is empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Half an hour of a run."""

    hour: float
    """Of its middle, since the run's beginning."""
    requests: int
    errors: int
    p95_ms: float
    """Mean of its slices' percentiles, weighed by their requests."""


@check("A run of a day has neither gaps nor drift", each=SUSTAINED_LOAD)
def run(
    subject: Artifact, artifacts: Artifacts, environment: Environment, wanted: SustainedParameters
) -> Iterator[Finding]:
    """The best run of the artifact; runs are never put together."""
    runs = runs_of(subject, artifacts, wanted.fresh)
    yield judge(subject, runs, environment, wanted)


@check(
    "ECS tasks neither restarted nor grew in that time",
    each=SUSTAINED_LOAD,
    grade=Grade.LIVE,
    permissions=[*OF_BALANCERS, "elasticloadbalancing:DescribeTargetGroups", *SERVICE_PERMISSIONS],
)
def tasks(
    subject: Artifact, artifacts: Artifacts, aws: Aws, environment: Environment, wanted: SustainedParameters
) -> Iterator[Finding]:
    """Metrics of the services behind the load balancer that the run was sent to; they pass nothing alone."""
    best = best_of(runs_of(subject, artifacts, wanted.fresh), wanted, environment)
    endpoint = endpoint_of(best, environment) if best else None
    if best is None or best.started_at is None or endpoint is None:
        return
    balancer = balancer_of(endpoint, aws, environment)
    if not isinstance(balancer, Balancer):
        if balancer is not None:
            yield balancer
        return
    region = balancer.region
    groups = aws.ask("elbv2.DescribeTargetGroups", region=region, LoadBalancerArn=balancer.arn)["TargetGroups"]
    behind = {group["TargetGroupArn"] for group in groups}
    services = [each.name for each in list_services(region, aws) if behind.intersection(each.target_groups)]
    if not services:
        return
    # Hours are kept as long as any data point, and only whole ones are of the run alone.
    begin = datetime.fromtimestamp(math.ceil(best.started_at.timestamp() / HOUR_S) * HOUR_S, best.started_at.tzinfo)
    hours = int((best.started_at + timedelta(seconds=best.duration_s) - begin).total_seconds() // HOUR_S)
    if hours < 1:
        return
    answer = aws.ask(
        "cloudwatch.GetMetricData",
        region=region,
        MetricDataQueries=queries(services[:MOST_SERVICES]),
        StartTime=begin,
        EndTime=begin + timedelta(hours=hours),
    )
    found = series_of(answer)
    warm_at = best.started_at + timedelta(hours=wanted.warm_up_h)
    for number, name in enumerate(services[:MOST_SERVICES]):
        memory = sorted(found.get(f"memory{number}", {}).items())
        yield from judge_service(
            f"{named(subject, best)}, {name}",
            [(at.timestamp() / HOUR_S, percent) for at, percent in memory if at >= warm_at],
            sum(found.get(f"restarts{number}", {}).values()),
            found.get(f"running{number}", {}),
            found.get(f"desired{number}", {}),
            wanted,
        )


@check("Containers neither restarted nor grew in that time", each=SUSTAINED_LOAD, grade=Grade.LIVE)
def containers(
    subject: Artifact,
    artifacts: Artifacts,
    prometheus: Prometheus,
    environment: Environment,
    wanted: SustainedParameters,
) -> Iterator[Finding]:
    """As ECS tasks: the memory of the last two hours against that of the first two after the warm-up."""
    if not (wanted.containers.strip(" ,") and environment.prometheus):
        return
    best = best_of(runs_of(subject, artifacts, wanted.fresh), wanted, environment)
    if best is None or best.started_at is None:
        return
    begin_s = best.started_at.timestamp()
    end_s, early_s = begin_s + best.duration_s, begin_s + (wanted.warm_up_h + 2) * HOUR_S
    labels = wanted.containers.strip(" ,")
    memory = f'{MEMORY}{{{labels},container!="",container!="POD"}}'
    restarts = f"{RESTARTS}{{{labels}}}[{best.duration_s:.0f}s] @ {end_s:.0f}"
    for server in environment.prometheus:
        begun, ended, restarted = (
            prometheus.query(server, f"max by (namespace, pod, container) ({expression})")
            for expression in (
                f"quantile_over_time(0.5, {memory}[2h] @ {early_s:.0f})",
                f"quantile_over_time(0.5, {memory}[2h] @ {end_s:.0f})",
                f"max_over_time({restarts}) - min_over_time({restarts})",
            )
        )
        hours = (end_s - early_s) / HOUR_S
        yield from judge_containers(f"{named(subject, best)}, {server}", begun, ended, restarted, hours, wanted)


def queries(services: Sequence[str]) -> list[Mapping[str, Any]]:
    """For each `cluster/service` its metrics by the hour, as `GetMetricData` wants them."""
    made = []
    for number, name in enumerate(services):
        cluster, _, service = name.partition("/")
        for query, namespace, metric, stat in (
            ("memory", "AWS/ECS", "MemoryUtilization", "Average"),
            ("restarts", "ECS/ContainerInsights", "RestartCount", "Sum"),
            ("running", "ECS/ContainerInsights", "RunningTaskCount", "Minimum"),
            ("desired", "ECS/ContainerInsights", "DesiredTaskCount", "Minimum"),
        ):
            of = {"ClusterName": cluster, "ServiceName": service}
            made.append(metric_query(namespace, metric, of, period_s=HOUR_S, stat=stat, name=f"{query}{number}"))
    return made


def judge_service(
    subject: str,
    memory: Sequence[tuple[float, float]],
    restarts: float,
    running: Mapping[datetime, float],
    desired: Mapping[datetime, float],
    wanted: SustainedParameters,
) -> Iterator[Finding]:
    """A fail for restarts and for memory that grows, a warning for tasks that were missing; else nothing.

    `memory` is hours and per cent, after the warm-up; tasks are the least of each hour.
    """
    faults = [f"containers restarted {restarts:.0f} times"] if restarts else []
    if len(memory) >= 4:
        slope, intercept = theil_sen(memory)
        early, late = (max(intercept + slope * hour, 0.1) for hour in (memory[0][0], memory[-1][0]))
        if slope > wanted.max_memory_growth * early:
            faults.append(f"memory grows by {slope / early:.1%} an hour, from {early:.3g} to {late:.3g} %")
    if faults:
        yield Finding.of(False, subject=subject, observed=listed(faults, ""), expected=_sound(wanted))
    if missing := sum(1 for at, tasks in running.items() if tasks < desired.get(at, 0)):
        yield Finding.warning(
            subject=subject,
            observed=f"fewer tasks ran than should in {missing} hours",
            expected="as many as desired: look whether they were scaled and deployed, or ended by themselves",
        )


def _sound(wanted: SustainedParameters) -> str:
    return f"no restart, and memory grows by {wanted.max_memory_growth:.0%} an hour at most"


def judge_containers(
    subject: str,
    begun: Sequence[Sample],
    ended: Sequence[Sample],
    restarted: Sequence[Sample],
    hours: float,
    wanted: SustainedParameters,
) -> Iterator[Finding]:
    """A fail for restarts and for memory that grows; a warning where growth cannot be seen.

    `begun` and `ended` are bytes of each container, `hours` apart; `restarted` how often each did.
    """
    faults = [f"{_container(each)} restarted {each.value:.0f} times" for each in restarted if each.value > 0]
    first = {_container(each): each.value for each in begun}
    pairs = [(_container(each), first[_container(each)], each.value) for each in ended if _container(each) in first]
    for name, early, late in pairs:
        growth = (late / early - 1) / hours if early > 0 and hours >= 4 else 0.0
        if growth > wanted.max_memory_growth:
            faults.append(f"memory of {name} grows by {growth:.1%} an hour")
    if faults:
        yield Finding.of(False, subject=subject, observed=listed(faults, ""), expected=_sound(wanted))
    unseen = [f"no series of {RESTARTS}"] if not restarted else []
    if not pairs:
        unseen += ["every container was replaced" if begun and ended else f"no series of {MEMORY} of all that time"]
    if unseen:
        yield Finding.warning(
            subject=subject,
            observed=listed(unseen, ""),
            expected="`containers` names labels of both, kept as long as a run counts, of containers that live as long",
        )


def _container(sample: Sample) -> str:
    return "/".join(sample.labels.get(name, "") for name in ("namespace", "pod", "container"))


def best_of(runs: Sequence[LoadRun], wanted: SustainedParameters, environment: Environment) -> LoadRun | None:
    """The run that is judged: of those with enough requests and percentiles over time that with the fewest faults."""
    telling = [
        each
        for each in runs
        if each.requests >= wanted.min_requests and any(part.p95_ms is not None for part in each.slices)
    ]
    return min(telling, key=lambda each: (len(faults_of(each, environment, wanted)), -each.duration_s), default=None)


def judge(subject: Artifact, runs: Sequence[LoadRun], environment: Environment, wanted: SustainedParameters) -> Finding:
    """A pass where one run holds; else what is wrong with the one that has the fewest faults."""
    if environment.traffic.expected_average_rps is None:
        return Finding.undecided(
            subject=str(subject),
            observed="nobody says how much traffic is expected on average",
            expected="`traffic.expected_average_rps` in environments.yaml",
            next_step="declare `traffic.expected_average_rps`",
        )
    best = best_of(runs, wanted, environment)
    if best is None and any(each.requests >= wanted.min_requests for each in runs):
        return Finding.undecided(
            subject=str(subject),
            observed="a summary without percentiles over time",
            expected="a report with a series, to tell gaps and drift",
            next_step="let the generator write its samples (JTL, k6 run --out json, Locust's history)",
        )
    if best is None:
        return Finding.undecided(
            subject=str(subject),
            observed=f"{max(each.requests for each in runs)} requests in a run",
            expected=f"{wanted.min_requests} or more, to show anything",
            next_step="run it longer or with more load",
        )
    faults = faults_of(best, environment, wanted)
    hours = best.duration_s / HOUR_S
    return Finding.of(
        not faults,
        subject=named(subject, best),
        observed=listed(
            faults,
            f"{hours:.1f} h at {best.requests / best.duration_s:.4g} requests a second{unsaid(best)}, no drift",
        ),
        expected=f"{wanted.hours:g} h or longer, no gap above {wanted.max_gap_s:g} s, {wanted.max_error:.0%} errors or "
        f"less, p95 grows by {wanted.max_growth:.0%} at most",
        chart=chart_of(points_of(best), environment.traffic, wanted),
    )


def faults_of(run: LoadRun, environment: Environment, wanted: SustainedParameters) -> list[str]:
    """Everything that keeps a run from showing a sound day, the plainest first."""
    faults = []
    if run.duration_s < wanted.hours * HOUR_S:
        faults.append(f"from the first sample to the last it is {run.duration_s / HOUR_S:.1f} h")
    if run.longest_gap_s > wanted.max_gap_s:
        faults.append(f"{run.longest_gap_s:.0f} s without a sample")
    average = environment.traffic.expected_average_rps
    rate = run.requests / run.duration_s if run.duration_s else 0.0
    if average is not None and rate < wanted.min_share * average:
        faults.append(f"{rate:.4g} requests a second, where {average:g} are expected on average")
    if run.errors > wanted.max_error * run.requests:
        faults.append(f"{run.errors / run.requests:.2%} of the requests failed")
    worst = max((errors / requests for requests, errors in _hours(run) if requests), default=0.0)
    if worst > wanted.max_hour_error:
        faults.append(f"{worst:.1%} of the requests of one hour failed")
    if foreign := strangers(run, environment):
        faults.append(f"requests went to {', '.join(foreign[:5])}, which is not declared")
    return [*faults, *drift_of(points_of(run), wanted)]


def _hours(run: LoadRun) -> Iterator[tuple[int, int]]:
    """Requests and errors of each hour; what is left of a last one too."""
    length = max(round(HOUR_S / run.slice_s), 1)
    for at in range(0, len(run.slices), length):
        part = run.slices[at : at + length]
        yield sum(each.requests for each in part), sum(each.errors for each in part)


def points_of(run: LoadRun) -> tuple[Point, ...]:
    """Half hours with requests, in order; the last slices that fill none are put to the one before."""
    seconds = max(POINT_S, math.ceil(run.duration_s / MOST_POINTS / POINT_S) * POINT_S)
    length = max(round(seconds / run.slice_s), 1)
    starts = list(range(0, len(run.slices), length))
    if len(starts) > 1 and len(run.slices) - starts[-1] < length:
        starts.pop()
    bounds = [*starts[1:], len(run.slices)]
    points = (_point(run.slices[start:end], run.slice_s) for start, end in zip(starts, bounds, strict=True))
    return tuple(point for point in points if point is not None)


def _point(part: Sequence[Slice], slice_s: float) -> Point | None:
    timed = [(each.requests, each.p95_ms) for each in part if each.p95_ms is not None and each.requests]
    weight = sum(requests for requests, _ in timed)
    if not weight:
        return None
    middle_s = (part[0].start_s + part[-1].start_s + slice_s) / 2
    return Point(
        hour=max(middle_s, 0.0) / HOUR_S,
        requests=sum(each.requests for each in part),
        errors=sum(each.errors for each in part),
        p95_ms=sum(requests * p95_ms for requests, p95_ms in timed) / weight,
    )


def theil_sen(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Slope and intercept of the line through `points`: medians of all pairs' slopes, and of what these leave.

    Raises ValueError for less than two points of different x. Sen (1968), JASA 63, 1379-1389.
    """
    slopes = [(y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in combinations(points, 2) if x1 != x2]
    if not slopes:
        raise ValueError("a trend needs two points")
    slope = median(slopes)
    return slope, median(y - slope * x for x, y in points)


def drift_of(points: Sequence[Point], wanted: SustainedParameters) -> list[str]:
    """Growth of the 95th percentile and of errors over the run, by the trend and at its end."""
    warm = [point for point in points if point.hour >= wanted.warm_up_h]
    if len(warm) < 4:
        return ["it is too short to tell a drift"]
    faults = []
    first, last = warm[0].hour, warm[-1].hour
    slope, intercept = theil_sen([(point.hour, point.p95_ms) for point in warm])
    begun = max(intercept + slope * first, 0.001)
    growth_ms = slope * (last - first)
    if growth_ms > wanted.min_growth_ms and growth_ms / begun > wanted.max_growth:
        faults.append(
            f"p95 grows by {growth_ms / begun:.0%} over the run, from {begun:.4g} to {begun + growth_ms:.4g} ms"
        )
    early = median(point.p95_ms for point in warm if point.hour <= first + 2)
    late = median(point.p95_ms for point in warm if point.hour >= last - 2)
    if not faults and late - early > wanted.min_growth_ms and late > early * (1 + wanted.max_growth):
        faults.append(f"p95 of the last two hours is {late:.4g} ms, of the first ones {early:.4g} ms")
    errors = [(point.hour, point.errors / point.requests) for point in warm]
    more = theil_sen(errors)[0] * (last - first)
    if more > wanted.max_error_growth:
        faults.append(f"errors grow by {more:.2%} of the requests over the run")
    return faults


def chart_of(points: Sequence[Point], traffic: Traffic, wanted: SustainedParameters) -> Chart | None:
    """The 95th percentile over the run with its trend; None for less than two points."""
    if len(points) < 2:
        return None
    warm = [point for point in points if point.hour >= wanted.warm_up_h]
    trend = None
    if len(warm) >= 2:
        slope, intercept = theil_sen([(point.hour, point.p95_ms) for point in warm])
        trend = tuple(round(intercept + slope * at.hour, 3) for at in (points[0], points[-1]))
    return Chart(
        title="95th percentile over the run",
        x_unit="h",
        y_unit="ms",
        points=tuple((round(point.hour, 2), round(point.p95_ms, 3)) for point in points),
        trend=(trend[0], trend[1]) if trend else None,
        limit=traffic.p95_ms,
    )
