"""A load test ran for a day without a break, and the service was as quick and sound at its end as at its beginning."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quub_audit.checks.testing.load.sustained import (
    MEMORY,
    RESTARTS,
    SustainedParameters,
    judge,
    points_of,
    theil_sen,
)
from quub_audit.model.environment import Endpoint, Environment, Traffic
from quub_audit.model.result import ItemResult
from quub_audit.sdk import LoadRun, PrometheusServer, Slice
from tests.checks.testing.integration.results import audited, environment
from tests.checks.testing.load.runs import BEGIN_MS, artifact, flat, of, write_jtl
from tests.parsers.sources import DATA
from tests.worlds.cloud import Cloud

ITEM = "testing.load.sustained"
WANTED = SustainedParameters()
SOAK = artifact("sustained-load")
KNOWN = environment(SOAK, traffic=Traffic(expected_average_rps=10, p95_ms=400))


def soak(path: Path, average_rps: float | None = 0.2, **targets: Any) -> Environment:
    return environment(artifact("sustained-load", path), traffic=Traffic(expected_average_rps=average_rps), **targets)


def soaked(path: Path, average_rps: float | None = 0.2, **parameters: Any) -> ItemResult:
    return audited(ITEM, soak(path, average_rps), parameters=parameters)


@pytest.mark.proof("pass")
def test_a_day_without_gap_and_drift_passes_with_its_chart(tmp_path: Path) -> None:
    found = soaked(write_jtl(tmp_path / "soak.jtl", 24.1))

    assert found.status.value == "pass"
    assert found.findings[0].observed == "24.1 h at 0.2 requests a second (it does not say where to), no drift"
    chart = found.findings[0].chart
    assert chart is not None
    assert len(chart.points) == 48
    assert chart.trend is not None
    assert chart.trend[0] == pytest.approx(chart.trend[1], abs=1)


@pytest.mark.proof("fail")
@pytest.mark.parametrize(
    ("hours", "more", "why"),
    [
        pytest.param(23.2, {}, "from the first sample to the last it is 23.2 h", id="short"),
        pytest.param(24.1, {"without": (9, 9.2)}, "s without a sample", id="gap"),
        pytest.param(24.1, {"elapsed_ms": lambda hour: int(100 + 4 * hour)}, "p95 grows by 8", id="leak"),
        pytest.param(24.1, {"elapsed_ms": lambda hour: 100 if hour < 22 else 190}, "of the last two hours", id="late"),
        pytest.param(
            24.1, {"fails": lambda hour, number: number % 50 == 0}, "2.01% of the requests failed", id="errors"
        ),
        pytest.param(
            24.1,
            {"fails": lambda hour, number: 8 < hour < 8.5 and number % 8 == 0},
            "of one hour failed",
            id="bad hour",
        ),
        pytest.param(
            24.1, {"fails": lambda hour, number: hour > 12 and number % 60 == 0}, "errors grow by", id="more errors"
        ),
    ],
)
def test_a_day_that_was_not_sound_fails(tmp_path: Path, hours: float, more: dict[str, Any], why: str) -> None:
    found = soaked(write_jtl(tmp_path / "soak.jtl", hours, **more))

    assert found.status.value == "fail"
    assert why in found.findings[0].observed


def test_a_day_at_a_fraction_of_the_expected_load_fails(tmp_path: Path) -> None:
    found = soaked(write_jtl(tmp_path / "soak.jtl", 24.1), average_rps=120)

    assert found.findings[0].observed == "0.2 requests a second, where 120 are expected on average"


@pytest.mark.proof("inconclusive")
@pytest.mark.parametrize(
    ("file", "parameters"),
    [
        pytest.param("vegeta-12.13.0-report.json", {"min_requests": 10}, id="a summary"),
        pytest.param("jmeter-5.6.3-results.jtl", {}, id="too few requests"),
        pytest.param("locust-2.47.0-stats.json", {"min_requests": 10}, id="no percentiles over time"),
        pytest.param("*.nothing", {}, id="no file"),
    ],
)
def test_what_shows_no_day_is_inconclusive(file: str, parameters: dict[str, Any]) -> None:
    assert soaked(DATA / file, **parameters).status.value == "inconclusive"


@pytest.mark.proof("inconclusive")
def test_a_day_of_which_nobody_says_what_load_it_needs_is_inconclusive(tmp_path: Path) -> None:
    assert soaked(write_jtl(tmp_path / "soak.jtl", 24.1), average_rps=None).status.value == "inconclusive"


@pytest.mark.proof("error")
def test_a_file_that_is_cut_off_is_an_error(tmp_path: Path) -> None:
    path = write_jtl(tmp_path / "soak.jtl", 1)
    path.write_bytes(path.read_bytes()[:-9])

    assert soaked(path).status.value == "error"


# Judgements


def day(p95_ms: Callable[[int], float], minutes: int = 24 * 60 + 5) -> LoadRun:
    """A day of slices of a minute, by minute."""
    parts = tuple(
        Slice(start_s=at * 60.0, requests=600, errors=0, p50_ms=p95_ms(at) / 2, p95_ms=p95_ms(at))
        for at in range(minutes)
    )
    return of(parts, slice_s=60)


@pytest.mark.parametrize(
    ("p95_ms", "is_sound"),
    [
        pytest.param(lambda minute: 200.0, True, id="flat"),
        pytest.param(lambda minute: 200.0 + 30 * (minute % 240 < 30), True, id="a job every four hours"),
        pytest.param(lambda minute: 2000.0 if 400 < minute < 460 else 200.0, True, id="a bad hour"),
        pytest.param(lambda minute: 400.0 - minute / 10, True, id="quicker and quicker"),
        pytest.param(lambda minute: 5.0 + minute / 400, True, id="growth by less than is told"),
        pytest.param(lambda minute: 200.0 + minute / 40, False, id="a slow leak"),
        pytest.param(lambda minute: 900.0 if minute < 50 else 200.0, True, id="a cold start"),
        pytest.param(lambda minute: 200.0 * 2 ** (minute / 1440), False, id="doubles"),
        pytest.param(lambda minute: 200.0 if minute < 1300 else 600.0, False, id="breaks at the end"),
    ],
)
def test_growth_is_told_from_noise(p95_ms: Callable[[int], float], is_sound: bool) -> None:
    finding = judge(SOAK, (day(p95_ms),), KNOWN, WANTED)

    assert (finding.status.value == "pass") is is_sound, finding.observed


def test_runs_are_never_put_together() -> None:
    half = day(lambda minute: 200.0, 13 * 60)

    assert judge(SOAK, (half, half), KNOWN, WANTED).status.value == "fail"


def test_the_limit_of_the_service_stands_in_the_chart() -> None:
    finding = judge(SOAK, (day(lambda minute: 200.0),), KNOWN, WANTED)

    assert finding.chart is not None
    assert finding.chart.limit == 400


@pytest.mark.parametrize("hours", [24, 24 * 14])
def test_a_chart_has_few_points_however_long_the_run_was(hours: int) -> None:
    points = points_of(flat(rate=1, seconds=hours * 3600, slice_s=600))

    assert 40 <= len(points) <= 150
    assert sum(point.requests for point in points) == hours * 3600


@given(slope=st.floats(-50, 50), start=st.floats(0, 1000), outliers=st.sets(st.integers(0, 39), max_size=10))
def test_the_trend_stays_between_that_of_the_rest_and_the_noise(slope: float, start: float, outliers: set[int]) -> None:
    exact = [(float(x), start + slope * x) for x in range(40)]
    spoilt = [(x, y + 1e6 if x in outliers else y) for x, y in exact]

    found, _ = theil_sen(spoilt)

    # More than half of all pairs are between points of the line.
    assert found == pytest.approx(slope, abs=1e-6)


# Metrics of the day


HOUR = datetime.fromtimestamp(BEGIN_MS // 1000 // 3600 * 3600 + 3600, UTC)
"""The first whole one of the kept day."""
BY_HOUR = [HOUR + timedelta(hours=hour) for hour in range(23)]


@pytest.fixture(scope="module")
def sound_day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A JTL of a day that was sound, sent to one endpoint."""
    return write_jtl(tmp_path_factory.mktemp("day") / "soak.jtl", 24.1, url="https://orders.example.com/")


@pytest.mark.proof("fail")
@pytest.mark.parametrize(
    ("namespace", "status", "observed"),
    [
        ("sound", "pass", []),
        ("crashing", "fail", ["crashing/crashing-1/web restarted 2 times"]),
        ("growing", "fail", ["memory of growing/growing-1/web grows by 1.9% an hour"]),
        ("replaced", "pass", ["every container was replaced"]),
        (
            "nobody",
            "pass",
            [f"no series of {RESTARTS}, no series of {MEMORY} of all that time"],
        ),
    ],
)
def test_prometheus_tells_of_containers_that_restarted_or_grew(
    sound_day: Path, remembered: PrometheusServer, namespace: str, status: str, observed: list[str]
) -> None:
    known = soak(sound_day, prometheus=(remembered,))

    found = audited(ITEM, known, parameters={"containers": f'namespace="{namespace}"'})

    assert found.status.value == status
    assert [each.observed for each in found.findings if each.subject.endswith(", watch")] == observed


@pytest.mark.proof("error")
def test_labels_that_prometheus_cannot_read_are_an_error(sound_day: Path, remembered: PrometheusServer) -> None:
    known = soak(sound_day, prometheus=(remembered,))

    assert audited(ITEM, known, parameters={"containers": "namespace=orders"}).status.value == "error"


@pytest.mark.proof("fail")
@pytest.mark.parametrize(
    ("host", "memory", "insights", "observed"),
    [
        pytest.param("orders.example.com", [40.0] * 23, {}, [], id="sound"),
        pytest.param("orders.example.com", [], {}, [], id="no metrics"),
        pytest.param(
            "orders.example.com",
            [40.0 + hour for hour in range(23)],
            {"RestartCount": 1},
            ["containers restarted 23 times, memory grows by 2.4% an hour, from 41 to 62 %"],
            id="restarts and growth",
        ),
        pytest.param(
            "orders.example.com",
            [40.0] * 23,
            {"RunningTaskCount": 1, "DesiredTaskCount": 2},
            ["fewer tasks ran than should in 23 hours"],
            id="missing tasks",
        ),
        pytest.param("staging.example.com", [40.0 + hour for hour in range(23)], {}, [], id="sent elsewhere"),
    ],
)
def test_cloudwatch_tells_of_the_tasks_behind_the_endpoint_that_the_run_was_sent_to(
    cloud: Cloud, sound_day: Path, host: str, memory: list[float], insights: dict[str, float], observed: list[str]
) -> None:
    network = cloud.network()
    balancer = cloud.balancer(network)
    elb = cloud.client("elbv2")
    group = elb.create_target_group(Name="orders", Protocol="HTTP", Port=80, VpcId=network.vpc, TargetType="ip")
    group_arn = group["TargetGroups"][0]["TargetGroupArn"]
    forward: Any = [{"Type": "forward", "TargetGroupArn": group_arn}]
    elb.create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=80, DefaultActions=forward)
    cloud.service("orders")
    answering: Any = [{"targetGroupArn": group_arn, "containerName": "web", "containerPort": 80}]
    cloud.client("ecs").create_service(
        cluster="main", serviceName="answering", taskDefinition="orders", desiredCount=1, loadBalancers=answering
    )
    dimensions: Any = [{"Name": "ClusterName", "Value": "main"}, {"Name": "ServiceName", "Value": "answering"}]
    series = {"AWS/ECS": [("MemoryUtilization", at, value) for at, value in zip(BY_HOUR, memory, strict=False)]}
    series["ECS/ContainerInsights"] = [(name, at, value) for name, value in insights.items() for at in BY_HOUR]
    for namespace, points in series.items():
        data: Any = [
            {"MetricName": name, "Dimensions": dimensions, "Timestamp": at, "Value": value}
            for name, at, value in points
        ]
        if data:
            cloud.client("cloudwatch").put_metric_data(Namespace=namespace, MetricData=data)
    api = Endpoint(name="api", url=f"https://{host}", host=host, port=443, load_balancer="orders")
    known = soak(sound_day, endpoints=(api,), aws=(cloud.account(),))

    found = audited(ITEM, known, environ=cloud.environ, check="tasks")

    assert [each.observed for each in found.findings] == observed
    assert all(each.subject == "sustained-load: soak.jtl, main/answering" for each in found.findings)


@pytest.mark.proof("error")
def test_a_load_balancer_that_is_nowhere_is_an_error(cloud: Cloud, sound_day: Path) -> None:
    api = Endpoint(
        name="api", url="https://orders.example.com", host="orders.example.com", port=443, load_balancer="orders"
    )
    known = soak(sound_day, endpoints=(api,), aws=(cloud.account(),))

    found = audited(ITEM, known, environ=cloud.environ)

    assert found.status.value == "error"
    assert "is in no declared region" in found.findings[0].message


@pytest.mark.parametrize(
    ("run", "average_rps"),
    [
        pytest.param(flat(rate=1, seconds=600), 10, id="too few requests"),
        pytest.param(flat(rate=100, seconds=600, p95_ms=None), 10, id="no percentiles over time"),
        pytest.param(day(lambda minute: 200.0), None, id="no expectation"),
    ],
)
def test_an_artifact_that_shows_nothing_is_undecided_and_says_what_to_do(
    run: LoadRun, average_rps: float | None
) -> None:
    finding = judge(SOAK, (run,), environment(SOAK, traffic=Traffic(expected_average_rps=average_rps)), WANTED)

    assert finding.kind == "undecided"
    assert finding.next_step
