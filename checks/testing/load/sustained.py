"""A load test ran for a day without a break, and the service was as quick and as sound at its end as at its beginning.

Pass          a run has samples over `hours` without a gap of more than `max_gap_s`, a mean rate of `min_share` of `traffic.expected_average_rps` or more, errors within `max_error` (each hour within `max_hour_error`), and neither its 95th percentile nor its errors grow
Fail          the run is shorter, has a gap, carried less, had more errors, or got slower: by the fitted trend, or in its last two hours against the first two after the warm-up
Inconclusive  no artifact of purpose `sustained-load` is declared, or it is missing or stale; `traffic.expected_average_rps` is not declared; it is a summary without a series; fewer than `min_requests` requests
Error         a report cannot be read, or CI denies it
Needs         an artifact of purpose `sustained-load` with a series: JTL, k6's JSON stream, Locust's history, Gatling's simulation.log, Artillery's report; `traffic` in environments.yaml
Source        the guide, Testing (24 hours and more); AWS Well-Architected, REL 7 and PERF 5

The length is from the first sample to the last, whatever was configured. The trend is Theil and Sen's: the median of the slopes between all pairs of points, so that a nightly job or a hiccup in up to a quarter of them does not move it, as it would a line of least squares. Growth of less than `min_growth_ms` is noise.
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median

from pydantic import Field

from quub_audit.checks.testing.load._runs import LoadParameters, listed, named, nothing_shown, runs_of, strangers
from quub_audit.sdk import (
    Artifact,
    Artifacts,
    Chart,
    Environment,
    Finding,
    LoadRun,
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


class SustainedParameters(LoadParameters):
    """What the checklist may set under `with:`."""

    hours: float = Field(default=24, gt=0)
    """Hours. The guide, Testing: 24 and more."""

    max_gap_s: float = Field(default=300, ge=0)
    """Seconds without a sample. House rule."""

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
    """Hours at the beginning that the trend leaves out."""


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


def judge(subject: Artifact, runs: Sequence[LoadRun], environment: Environment, wanted: SustainedParameters) -> Finding:
    """A pass where one run holds; else what is wrong with the one that has the fewest faults."""
    if environment.traffic.expected_average_rps is None:
        return nothing_shown(
            subject,
            environment,
            observed="nobody says how much traffic is expected on average",
            expected="`traffic.expected_average_rps` in environments.yaml",
        )
    big = [each for each in runs if each.requests >= wanted.min_requests]
    if not big:
        return nothing_shown(
            subject,
            environment,
            observed=f"{max(each.requests for each in runs)} requests in a run",
            expected=f"{wanted.min_requests} or more, to show anything",
        )
    timed = [each for each in big if any(part.p95_ms is not None for part in each.slices)]
    if not timed:
        return nothing_shown(
            subject,
            environment,
            observed="a summary without percentiles over time",
            expected="a report with a series, to tell gaps and drift",
        )
    judged = [(faults_of(each, environment, wanted), each) for each in timed]
    faults, best = min(judged, key=lambda pair: (len(pair[0]), -pair[1].duration_s))
    hours = best.duration_s / HOUR_S
    points = points_of(best)
    subject_of = named(subject, best)
    return Finding.of(
        not faults,
        subject=subject_of,
        observed=listed(faults, f"{hours:.1f} h at {best.requests / best.duration_s:.4g} requests a second, no drift"),
        expected=f"{wanted.hours:g} h or longer, no gap above {wanted.max_gap_s:g} s, {wanted.max_error:.0%} errors or "
        f"less, p95 grows by {wanted.max_growth:.0%} at most",
        chart=chart_of(points, environment.traffic, wanted),
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
