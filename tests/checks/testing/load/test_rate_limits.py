"""Who sends too much is told so: 429 with Retry-After, from the declared rate on, and no error instead."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from quub_audit.checks.testing.load.rate_limits import LimitParameters, judge, judge_burst
from quub_audit.demo.authority import Authority
from quub_audit.model.environment import Endpoint, Environment, Traffic
from quub_audit.sdk import Burst, LoadRun, Origin
from tests.checks.testing.integration.results import audited, environment
from tests.checks.testing.load.runs import BEGIN_MS, HEADER, artifact
from tests.parsers.sources import DATA
from tests.worlds.cloud import Cloud
from tests.worlds.web import Names, Server, Visit, answer, closed_port, endpoint_at, serve

ITEM = "testing.load.rate-limits"
LIMITS = artifact("rate-limits")
HOST = "https://orders.example.com:8443"
API = Endpoint(name="api", url=HOST, host="orders.example.com", port=8443)


def target(*files: str, limit: float | None = 20) -> Environment:
    return environment(artifact("rate-limits", *(DATA / file for file in files)), traffic=Traffic(rate_limit_rps=limit))


@pytest.mark.proof("pass")
@pytest.mark.parametrize("file", ["vegeta-12.13.0-limited.json", "k6-1.8.1-stream.json.gz"])
def test_too_many_requests_that_got_429_pass(file: str) -> None:
    assert audited(ITEM, target(file)).status.value == "pass"


@pytest.mark.proof("fail")
def test_nothing_refused_above_the_limit_fails() -> None:
    found = audited(ITEM, target("vegeta-12.13.0-report.json"))

    assert found.status.value == "fail"
    assert found.findings[0].observed == "30.18 requests a second, and none got 429, 1 requests got 500"


@pytest.mark.proof("inconclusive")
@pytest.mark.parametrize(
    ("file", "limit"),
    [
        ("vegeta-12.13.0-report.json", 40),
        ("vegeta-12.13.0-report.json", None),
        ("locust-2.47.0-stats.json", 20),
        ("none.json", 20),
    ],
)
def test_a_run_that_never_went_over_or_counts_no_statuses_is_inconclusive(file: str, limit: float | None) -> None:
    assert audited(ITEM, target(file, limit=limit)).status.value == "inconclusive"


@pytest.mark.proof("error")
def test_a_report_that_is_cut_off_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "cut.json").write_bytes((DATA / "vegeta-12.13.0-limited.json").read_bytes()[:-9])

    assert audited(ITEM, environment(artifact("rate-limits", tmp_path / "cut.json"))).status.value == "error"


ALL = {"other_key_answered": 5, "answered_after_window": 2}


def sent(
    statuses: Mapping[str, int],
    *,
    seconds: float = 10,
    retry_after: int | None = 1,
    own: Mapping[str, int] | None = ALL,
) -> LoadRun:
    requests = sum(statuses.values())
    return LoadRun(
        origin=Origin(file="run.json"),
        requests=requests,
        errors=requests - statuses.get("200", 0),
        duration_s=seconds,
        statuses=statuses,
        statuses_with_retry_after=retry_after,
        own_counters=own,
    )


@pytest.mark.parametrize(
    ("run", "limit", "found"),
    [
        (sent({"200": 200, "429": 100}), 20, ["pass"]),
        (sent({"200": 239, "429": 100}), 20, ["pass"]),
        (sent({"200": 241, "429": 100}), 20, ["fail"]),
        (sent({"200": 100, "429": 300}), 20, ["fail"]),
        (sent({"200": 100, "429": 10}), 20, ["pass"]),
        (sent({"200": 200, "429": 99, "503": 1}), 20, ["fail"]),
        (sent({"200": 500}), 20, ["fail"]),
        (sent({"200": 200, "403": 100}), 20, ["fail"]),
        (sent({"200": 500}), None, ["undecided"]),
        (sent({"200": 500, "429": 1}), None, ["pass"]),
        (sent({"200": 200, "429": 100}, retry_after=None), 20, ["pass", "warning"]),
        (sent({"200": 200, "429": 100}, retry_after=0), 20, ["fail"]),
        (sent({"200": 200, "429": 100}, own=None), 20, ["pass", "warning"]),
        (sent({"200": 200, "429": 100}, own={**ALL, "other_key_limited": 1}), 20, ["fail"]),
        (sent({"200": 200, "429": 100}, own={**ALL, "limited_after_window": 1}), 20, ["fail"]),
        (sent({"429": 40}), 1, ["undecided"]),
        (sent({"200": 200, "429": 100}, seconds=0), 20, ["undecided"]),
    ],
)
def test_answers_are_judged_by_what_the_limit_allows(run: LoadRun, limit: float | None, found: list[str]) -> None:
    known: Any = environment(LIMITS, traffic=Traffic(rate_limit_rps=limit))

    assert [each.kind for each in judge(LIMITS, (run,), known, LimitParameters())] == found


def test_a_run_below_the_limit_beside_one_above_it_holds_nothing_back() -> None:
    known = environment(LIMITS, traffic=Traffic(rate_limit_rps=20))
    below, above = sent({"200": 100}), sent({"200": 200, "429": 100})

    assert [each.kind for each in judge(LIMITS, (below, above), known, LimitParameters())] == ["pass"]


@pytest.mark.proof("inconclusive")
@pytest.mark.parametrize(("refused", "status"), [(33.0, "pass"), (0.0, "inconclusive"), (None, "pass")])
def test_answers_429_that_the_service_did_not_give_show_nothing_of_it(
    cloud: Cloud, tmp_path: Path, refused: float | None, status: str
) -> None:
    arn = cloud.balancer(cloud.network())
    rows = [f"{BEGIN_MS + at * 100},5,GET /,{'429,false' if at % 3 else '200,true'},{HOST}" for at in range(60)]
    (tmp_path / "limits.jtl").write_text("\n".join((f"{HEADER.strip()},URL", *rows, "")))
    if refused is not None:
        dimension = {"Name": "LoadBalancer", "Value": arn.partition(":loadbalancer/")[2]}
        counted: Any = [
            {"MetricName": name, "Dimensions": [dimension], "Timestamp": BEGIN_MS / 1000 + 3, "Value": value}
            for name, value in (("RequestCount", 60.0), ("HTTPCode_Target_4XX_Count", refused))
        ]
        cloud.client("cloudwatch").put_metric_data(Namespace="AWS/ApplicationELB", MetricData=counted)
    api = replace(API, load_balancer="orders")
    known = environment(artifact("rate-limits", tmp_path / "limits.jtl"), endpoints=(api,), aws=(cloud.account(),))

    found = audited(ITEM, known, environ=cloud.environ)

    assert found.status.value == status


# The burst


@pytest.mark.parametrize(
    ("statuses", "retry_after", "limit", "status"),
    [
        ({"200": 20, "429": 40}, 40, 20, "pass"),
        ({"200": 20, "429": 40}, 0, 20, "fail"),
        ({"200": 60}, 0, 20, "fail"),
        ({"200": 60}, 0, 90, "warning"),
        ({"200": 60}, 0, None, "warning"),
        ({"200": 20, "429": 39, "503": 1}, 39, 20, "fail"),
        ({"500": 60}, 0, None, "fail"),
    ],
)
def test_a_burst_is_judged_by_its_answers(
    statuses: Mapping[str, int], retry_after: int, limit: float | None, status: str
) -> None:
    sent = Burst(url="https://a.example/", seconds=1.0, statuses=statuses, with_retry_after=retry_after)

    assert judge_burst(API, sent, limit, LimitParameters()).status.value == status


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[tuple[Server, Endpoint]]:
    """A server that lets five requests through, and where it is."""
    numbers = itertools.count(1)

    def limit(visit: Visit) -> None:
        said = answer(200) if next(numbers) <= 5 else answer(429, "", ("Retry-After", "1"))
        visit.socket.sendall(said)

    with serve(limit, tls=Names(Authority(), tmp_path).context("api.shop.test")) as server:
        yield server, endpoint_at(server, server)


@pytest.mark.proof("pass")
@pytest.mark.parametrize(
    ("stage", "asked", "is_active", "sent"),
    [
        ("staging", False, True, 30),
        ("production", True, True, 30),
        ("production", False, True, 0),
        ("staging", False, False, 0),
    ],
)
def test_a_burst_is_sent_where_it_may_be_and_no_longer_than_it_may(
    limited: tuple[Server, Endpoint], stage: Any, asked: bool, is_active: bool, sent: int
) -> None:
    server, endpoint = limited
    known = Environment(service="orders", name=stage, stage=stage, endpoints=(endpoint,))
    parameters = {"probe_path": "/limited", "probe_requests": 30, "probe_production": asked}

    found = audited(ITEM, known, parameters=parameters, allow_active=is_active)

    assert len(server.heads) == sent
    assert found.status.value == ("pass" if sent else "inconclusive")


def test_a_burst_that_a_cdn_may_have_refused_passes_nothing() -> None:
    sent = Burst(url="https://a.example/", seconds=1.0, statuses={"200": 20, "429": 40}, with_retry_after=40)
    fronted = replace(API, cdn="Acme")

    kinds = [
        judge_burst(each, sent, 20, LimitParameters()).kind
        for each in (fronted, replace(fronted, connect_to="10.0.0.1:443"))
    ]

    assert kinds == ["warning", "pass"]


@pytest.mark.proof("error")
def test_an_endpoint_that_answers_nothing_is_an_error() -> None:
    with closed_port() as place:
        known = Environment(service="orders", name="s", stage="staging", endpoints=(endpoint_at(place, place),))
        found = audited(ITEM, known, parameters={"probe_path": "/"}, allow_active=True)

    assert found.status.value == "error"
