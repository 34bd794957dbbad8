"""A load test achieved twice the expected peak, for minutes, with few errors and quick answers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from quub_audit.checks.testing.load._metrics import window_of
from quub_audit.checks.testing.load._runs import Stretch, joined, stretches
from quub_audit.checks.testing.load.peak import PeakParameters, busiest, judge, judge_counted
from quub_audit.model.environment import Endpoint, Environment, Traffic
from quub_audit.parsers import load
from quub_audit.sdk import LoadRun, PrometheusServer, Slice
from tests.checks.testing.integration.results import AT, audited, environment
from tests.checks.testing.load.runs import artifact, flat, of
from tests.parsers.sources import DATA, recorded
from tests.worlds.cloud import Cloud

ITEM = "testing.load.peak"
SHORT = {"min_requests": 100, "hold_s": 4}
"""What the kept runs of some seconds can be asked for."""
WANTED = PeakParameters()
HERE = Endpoint(name="here", url="https://127.0.0.1:18431", host="127.0.0.1", port=18431)
"""Where the kept runs were sent to."""
PEAK = artifact("peak-load")


def target(peak_rps: float | None, *files: str, **more: Any) -> Environment:
    traffic = Traffic(expected_peak_rps=peak_rps)
    return environment(artifact("peak-load", *(DATA / file for file in files)), traffic=traffic, **more)


@pytest.mark.proof("pass")
@pytest.mark.parametrize("file", ["vegeta-12.13.0-report.json", "jmeter-5.6.3-results.jtl"])
def test_twice_the_expected_peak_passes(file: str) -> None:
    found = audited(ITEM, target(7.0, file, endpoints=(HERE,)), parameters=SHORT)

    assert found.status.value == "pass"


@pytest.mark.proof("fail")
def test_less_than_twice_the_peak_fails_and_says_what_was_achieved() -> None:
    found = audited(ITEM, target(50.0, "vegeta-12.13.0-report.json"), parameters=SHORT)

    assert found.status.value == "fail"
    assert found.findings[0].subject == "peak-load: vegeta-12.13.0-report.json"
    assert found.findings[0].observed == "30.18 requests a second at most for 5 s"
    assert found.findings[0].expected.startswith("100 requests a second (2 times the expected peak) for 4 s")


@pytest.mark.proof("fail")
def test_requests_to_a_host_that_is_not_declared_fail() -> None:
    api = Endpoint(name="api", url="https://orders.example.com", host="orders.example.com", port=443)
    found = audited(ITEM, target(7.0, "jmeter-5.6.3-results.jtl", endpoints=(api,)), parameters=SHORT)

    assert found.findings[0].observed == "requests went to 127.0.0.1:18431, which is not declared"


@pytest.mark.proof("inconclusive")
@pytest.mark.parametrize(
    ("peak_rps", "file", "parameters"),
    [
        pytest.param(7.0, "vegeta-12.13.0-report.json", {"hold_s": 4}, id="too few requests"),
        pytest.param(None, "vegeta-12.13.0-report.json", SHORT, id="no expectation"),
        pytest.param(7.0, "nothing-*.json", SHORT, id="no file"),
        pytest.param(7.0, "vegeta-12.13.0-report.json", {**SHORT, "max_age_days": 0.5}, id="old"),
    ],
)
def test_what_shows_nothing_is_inconclusive(peak_rps: float | None, file: str, parameters: dict[str, Any]) -> None:
    assert audited(ITEM, target(peak_rps, file), parameters=parameters).status.value == "inconclusive"


@pytest.mark.proof("inconclusive")
def test_no_artifact_is_inconclusive() -> None:
    assert audited(ITEM, environment(traffic=Traffic(expected_peak_rps=1))).status.value == "inconclusive"


@pytest.mark.proof("error")
def test_a_report_that_is_cut_off_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "cut.jtl").write_bytes((DATA / "jmeter-5.6.3-results.jtl").read_bytes()[:-40])

    found = audited(
        ITEM, environment(artifact("peak-load", tmp_path / "cut.jtl"), traffic=Traffic(expected_peak_rps=1))
    )

    assert found.status.value == "error"
    assert "cells, expected 17" in found.findings[0].message


def slow(part: Slice) -> Slice:
    return replace(part, p50_ms=900.0, p95_ms=2000.0, p99_ms=3000.0, max_ms=4000.0)


STEADY = flat(rate=1000, seconds=900)
RAMP = of(
    (*flat(rate=100, seconds=300).slices, *flat(rate=1000, seconds=300).slices, *flat(rate=3000, errors=9000).slices)
)
CASES = [
    pytest.param(STEADY, "", id="steady"),
    pytest.param(RAMP, "", id="a stretch before the service broke"),
    pytest.param(flat(rate=999, seconds=900), "999 requests a second at most", id="too slow"),
    pytest.param(flat(rate=1000, seconds=290), "the run took 290 s", id="too short"),
    pytest.param(flat(rate=1000, seconds=900, errors=101), "1.01% of the requests failed", id="errors"),
    pytest.param(flat(rate=1000, seconds=900, p95_ms=600), "took longer than 500 ms", id="slow answers"),
    pytest.param(
        of((*flat(rate=9000, seconds=100).slices, *flat(rate=1).slices)),
        "the load was not held: 1 requests",
        id="a burst",
    ),
    pytest.param(
        of(tuple(slow(part) if at % 8 == 0 else part for at, part in enumerate(STEADY.slices))),
        "took longer than 500 ms",
        id="one slice of eight is slow",
    ),
    pytest.param(replace(STEADY, targets=("localhost:8080",)), "localhost:8080, which is not declared", id="localhost"),
    pytest.param(
        replace(flat(rate=900, seconds=900), dropped=70), "70 requests were due and never sent", id="dropped iterations"
    ),
    pytest.param(replace(STEADY, slices=(), p95_ms=100, p99_ms=200), "", id="summary"),
    pytest.param(replace(STEADY, slices=(), p95_ms=501, p99_ms=502), "p95 is 501 ms", id="slow summary"),
    pytest.param(replace(flat(rate=1000, seconds=900, p95_ms=None), p95_ms=400, p99_ms=999), "", id="by the whole"),
]


@pytest.mark.parametrize(("run", "why"), CASES)
def test_the_best_stretch_is_judged_by_what_was_achieved(run: LoadRun, why: str) -> None:
    known = environment(PEAK, traffic=Traffic(expected_peak_rps=500))

    finding, *_ = judge(PEAK, (run,), known, WANTED)

    assert finding.status.value == ("fail" if why else "pass")
    assert why in finding.observed


def test_one_run_that_holds_is_enough_and_a_closed_model_is_warned_of() -> None:
    known = environment(PEAK, traffic=Traffic(expected_peak_rps=500))
    closed = replace(STEADY, is_open_model=False)

    found = list(judge(PEAK, (flat(rate=200, seconds=900), closed), known, WANTED))

    assert [each.status.value for each in found] == ["pass", "warning"]


def test_what_the_service_promises_goes_before_the_limits_of_the_item() -> None:
    strict = environment(PEAK, traffic=Traffic(expected_peak_rps=500, p95_ms=80))

    assert next(judge(PEAK, (STEADY,), strict, WANTED)).status.value == "fail"


@pytest.mark.parametrize(
    ("run", "peak_rps"),
    [
        pytest.param(replace(STEADY, slices=(), p95_ms=100, p99_ms=None), 500, id="a percentile is missing"),
        pytest.param(flat(rate=1, seconds=900), 500, id="too few requests"),
        pytest.param(STEADY, None, id="no expectation"),
    ],
)
def test_an_artifact_that_shows_nothing_is_undecided_and_says_what_to_do(run: LoadRun, peak_rps: float | None) -> None:
    known = environment(PEAK, traffic=Traffic(expected_peak_rps=peak_rps))

    (finding,) = judge(PEAK, (run,), known, WANTED)

    assert finding.kind == "undecided"
    assert finding.next_step


def test_an_artifact_that_shows_nothing_holds_back_the_pass_of_another() -> None:
    files = ("vegeta-12.13.0-report.json", "vegeta-12.13.0-limited.json")
    two = (artifact("peak-load", DATA / file, name=file) for file in files)
    known = environment(*two, traffic=Traffic(expected_peak_rps=7.0), endpoints=(HERE,))

    found = audited(ITEM, known, parameters={**SHORT, "max_error": 1, "min_requests": 200})

    assert [each.kind for each in found.findings] == ["undecided", "pass"]
    assert found.status.value == "inconclusive"


def test_a_share_is_read_between_percentiles() -> None:
    part = Slice(start_s=0, requests=100, errors=0, p50_ms=100, p95_ms=200, p99_ms=300, max_ms=500)
    stretch = Stretch(seconds=10, requests=100, errors=0, slices=(part,))

    shares = [stretch.share_above(limit) for limit in (100, 150, 200, 300, 400, 500)]

    assert shares == pytest.approx([0.5, 0.275, 0.05, 0.01, 0.005, 0.0])
    assert Stretch(seconds=10, requests=0, errors=0).share_above(1) is None


def test_stretches_slide_by_slices_and_lose_none() -> None:
    run = of(tuple(Slice(start_s=at * 10, requests=at, errors=0) for at in range(5)))

    assert [each.requests for each in stretches(run, 25)] == [3, 6, 9]


def test_locusts_history_takes_the_percentiles_of_the_statistics_beside_it() -> None:
    names = ("locust-2.47.0_stats.csv", "locust-2.47.0_stats_history.csv")
    runs = [run for name in names for run in load.read(recorded(name))]

    (run,) = joined(runs)

    assert (run.requests, run.p95_ms, len(run.slices)) == (372, 77.0, 3)


# Who counts on the other side


@pytest.mark.parametrize(
    ("counts", "errors", "status"),
    [
        ({"RequestCount": 900.0}, 0, None),
        ({"RequestCount": 899.0}, 0, "fail"),
        ({"RequestCount": 1200.0}, 0, None),
        (None, 0, "warning"),
        ({"RequestCount": 1000.0, "HTTPCode_Target_5XX_Count": 6.0, "HTTPCode_ELB_5XX_Count": 5.0}, 10, "fail"),
        ({"RequestCount": 1000.0, "HTTPCode_Target_5XX_Count": 10.0}, 10, None),
        ({"RequestCount": 1000.0, "HTTPCode_Target_5XX_Count": 500.0}, 500, None),
    ],
)
def test_fewer_requests_or_more_errors_on_the_other_side_fail_and_more_requests_say_nothing(
    counts: Any, errors: int, status: str | None
) -> None:
    run = replace(flat(rate=1, seconds=1010), requests=1010, errors=errors, statuses={"0": 10, "200": 1000})

    finding = judge_counted("run", run, counts, WANTED)

    assert (finding.kind if finding else None) == status


@pytest.mark.parametrize(("days", "period_s"), [(1, 60), (20, 300), (80, 3600)])
def test_whole_periods_that_cloudwatch_still_has_are_asked_for(days: int, period_s: int) -> None:
    started = datetime(2026, 11, 1, 10, 0, 30, tzinfo=UTC)

    begin, end, period = window_of(flat(seconds=600), started, started + timedelta(days=days))

    assert period == period_s
    assert begin <= started
    assert end >= started + timedelta(seconds=600)
    assert begin.timestamp() % period_s == end.timestamp() % period_s == 0


(JMETER,) = load.read(recorded("jmeter-5.6.3-results.jtl"))


def count(cloud: Cloud, arn: str, at: datetime, **metrics: float) -> None:
    """What the load balancer counted in one minute."""
    dimension = {"Name": "LoadBalancer", "Value": arn.partition(":loadbalancer/")[2]}
    data: Any = [
        {"MetricName": name, "Dimensions": [dimension], "Timestamp": at, "Value": value}
        for name, value in metrics.items()
    ]
    cloud.client("cloudwatch").put_metric_data(Namespace="AWS/ApplicationELB", MetricData=data)


def behind(cloud: Cloud, **more: Any) -> Environment:
    """The environment to whose endpoint the kept run of JMeter was sent."""
    api = replace(HERE, load_balancer="orders")
    return target(7.0, "jmeter-5.6.3-results.jtl", endpoints=(api,), aws=(cloud.account(),), **more)


@pytest.mark.proof("fail")
@pytest.mark.parametrize(("counted", "status"), [(150.0, "fail"), (220.0, "pass")])
def test_the_load_balancer_that_is_declared_confirms_the_run(cloud: Cloud, counted: float, status: str) -> None:
    arn = cloud.balancer(cloud.network())
    assert JMETER.started_at is not None
    count(cloud, arn, JMETER.started_at, RequestCount=counted)

    found = audited(ITEM, behind(cloud), parameters=SHORT, environ=cloud.environ, at=AT)

    assert found.status.value == status


@pytest.mark.parametrize(("busy", "warned"), [(2400.0, True), (2000.0, False), (None, False)])
def test_a_busier_time_of_production_than_is_expected_is_warned_of(
    cloud: Cloud, busy: float | None, warned: bool
) -> None:
    arn = cloud.balancer(cloud.network())
    assert JMETER.started_at is not None
    count(cloud, arn, JMETER.started_at, RequestCount=99_000)
    if busy is not None:
        count(cloud, arn, JMETER.started_at - timedelta(days=20), RequestCount=busy)

    found = audited(ITEM, behind(cloud), parameters=SHORT, environ=cloud.environ, check="expectation")

    assert [each.observed for each in found.findings] == (
        ["8 requests a second came in during the busiest 5 minutes of 30 days"] if warned else []
    )


@pytest.mark.proof("fail")
@pytest.mark.parametrize(
    ("job", "hosts", "found"),
    [
        ("orders", HERE, ["pass", "warning"]),
        ("busy", HERE, ["pass", "warning", "warning"]),
        ("cached", HERE, ["fail", "pass", "warning"]),
        ("nobody", HERE, ["pass", "warning", "warning"]),
        ("cached", replace(HERE, host="orders.example.com"), ["fail", "warning"]),
    ],
)
def test_prometheus_confirms_what_was_sent_to_this_environment(
    remembered: PrometheusServer, job: str, hosts: Endpoint, found: list[str]
) -> None:
    known = target(7.0, "jmeter-5.6.3-results.jtl", endpoints=(hosts,), prometheus=(remembered,))

    item = audited(ITEM, known, parameters={**SHORT, "requests": f'http_requests_total{{job="{job}"}}'})

    # JMeter waits for answers, which is warned of.
    assert sorted(each.kind for each in item.findings) == found


def test_prometheus_tells_of_a_busier_time_than_is_expected(remembered: PrometheusServer) -> None:
    known = target(7.0, "jmeter-5.6.3-results.jtl", endpoints=(HERE,), prometheus=(remembered,))

    item = audited(ITEM, known, parameters={"requests": 'http_requests_total{job="busy"}'}, check="rate")

    assert [each.observed for each in item.findings] == [
        "30 requests a second came in during the busiest 5 minutes of 30 days"
    ]


@pytest.mark.proof("error")
def test_a_counter_that_prometheus_cannot_read_is_an_error(remembered: PrometheusServer) -> None:
    known = target(7.0, "jmeter-5.6.3-results.jtl", endpoints=(HERE,), prometheus=(remembered,))

    item = audited(ITEM, known, parameters={**SHORT, "requests": "http_requests_total{job=orders}"})

    assert item.status.value == "error"


def test_the_busiest_time_is_no_time_of_a_run_of_ours() -> None:
    minutes = [datetime(2026, 11, 1, 10, minute, tzinfo=UTC) for minute in (0, 5, 10)]
    arrived = dict(zip(minutes, (300.0, 9000.0, 600.0), strict=True))

    assert busiest(arrived, ()) == 30
    assert busiest(arrived, [(minutes[1].timestamp() + 10, minutes[1].timestamp() + 20)]) == 2
    assert busiest({}, ()) is None
