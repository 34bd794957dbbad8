"""Traces of this service, in this environment, arrive at the APM now."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quub_audit.checks.performance.monitoring.apm import ApmParameters, judge
from quub_audit.model.environment import ApmBackend, Environment
from quub_audit.model.result import ItemResult
from quub_audit.model.status import FindingStatus, Status
from quub_audit.sdk import Grade, Traces
from quub_audit.testing import audit_item
from tests.worlds.cloud import Cloud
from tests.worlds.front import Asked, Told, front_of, json_answer
from tests.worlds.saas import PII, Reported, Saas

ITEM = "performance.monitoring.apm"
PASS, FAIL, WARNING = FindingStatus.PASS, FindingStatus.FAIL, FindingStatus.WARNING
TYPES = ("datadog", "newrelic", "jaeger", "tempo")


def traces(count: int, *versions: str, environment: str = "production") -> Traces:
    return Traces(service="orders", environment=environment, count=count, window_min=30, versions=versions)


@pytest.mark.parametrize(
    ("found", "earlier", "parameters", "statuses"),
    [
        (traces(5, "1"), traces(5), {}, [PASS]),
        (traces(5, environment=""), traces(5), {}, [PASS, WARNING]),
        (traces(0), traces(0), {}, [FAIL]),
        (traces(0), traces(9), {}, [WARNING]),
        (traces(5), traces(5), {"min_spans": 6}, [WARNING]),
        (traces(5, "1"), traces(5), {"version": "1"}, [PASS]),
        (traces(5, "1"), traces(5), {"version": "2"}, [FAIL]),
        (traces(5), traces(5), {"version": "2"}, [PASS]),
    ],
)
def test_spans_pass_silence_of_a_day_fails_and_silence_of_less_proves_nothing(
    found: Traces, earlier: Traces, parameters: dict[str, Any], statuses: list[FindingStatus]
) -> None:
    told = list(judge("traces", found, earlier, "production", ApmParameters(**parameters)))

    assert [finding.status for finding in told] == statuses


@given(st.integers(0, 5), st.integers(0, 5), st.integers(1, 5))
def test_a_pass_needs_the_spans_that_are_wanted(now: int, before: int, wanted: int) -> None:
    told = [f.status for f in judge("t", traces(now), traces(before), "p", ApmParameters(min_spans=wanted))]

    assert (PASS in told) is (now >= wanted)


# On stand-ins


def look(*backends: ApmBackend, **parameters: Any) -> ItemResult:
    environment = Environment(service="orders", name="production", stage="production", apm=backends)
    return audit_item(ITEM, environment, parameters=parameters, min_evidence=Grade.LIVE)


@pytest.mark.proof("pass")
@pytest.mark.parametrize("type_", TYPES)
def test_a_backend_that_took_spans_lately_passes_and_tells_nothing_of_them(saas: Saas, type_: Any) -> None:
    saas.spans = [Reported(), Reported(age_s=300)]

    result = look(saas.apm(type_))

    assert result.status is Status.PASS, result.reason
    assert "took 2 spans of orders" in result.of_status(PASS)[0].observed
    assert PII not in repr(result)


@pytest.mark.proof("fail")
@pytest.mark.parametrize("type_", ["datadog", "jaeger", "tempo"])
def test_spans_of_another_environment_alone_fail(saas: Saas, type_: Any) -> None:
    saas.spans = [Reported(environment="staging")]

    result = look(saas.apm(type_))

    assert result.status is Status.FAIL
    assert "nothing of orders in production" in result.of_status(FAIL)[0].observed


def test_spans_of_an_old_version_alone_fail_where_a_version_is_wanted(saas: Saas) -> None:
    saas.spans = [Reported(version="1.4.1")]

    assert look(saas.apm("jaeger"), version="1.4.2").status is Status.FAIL
    assert look(saas.apm("jaeger"), version="1.4.1").status is Status.PASS


@pytest.mark.proof("inconclusive")
def test_spans_of_some_hours_ago_and_no_backend_at_all_are_inconclusive(saas: Saas) -> None:
    saas.spans = [Reported(age_s=7200)]

    result = look(saas.apm("tempo"))

    assert result.status is Status.INCONCLUSIVE
    assert "1 in 24 h" in result.of_status(WARNING)[0].observed
    assert look().status is Status.INCONCLUSIVE


@pytest.mark.proof("error")
def test_a_key_that_is_refused_is_an_error_with_what_would_mend_it(saas: Saas) -> None:
    result = look(saas.apm("datadog", api_key="another-key-of-the-test"))

    assert result.status is Status.ERROR
    assert "apm.traces" in result.next_step


@pytest.mark.parametrize(
    ("services", "status"),
    [
        ([{"Name": "orders", "SummaryStatistics": {"TotalCount": 7}}], Status.PASS),
        ([{"Name": "web", "Names": ["web", "orders"], "SummaryStatistics": {"TotalCount": 1}}], Status.PASS),
        ([{"Name": "orders", "SummaryStatistics": {"TotalCount": 0}}, {"Name": "orders"}], Status.INCONCLUSIVE),
        ([{"Name": "others", "SummaryStatistics": {"TotalCount": 7}}], Status.INCONCLUSIVE),
        ([], Status.INCONCLUSIVE),
    ],
)
def test_x_ray_counts_where_it_knows_the_service(emulator: str, services: list[dict[str, Any]], status: Status) -> None:
    def graph(asked: Asked) -> Told:
        return json_answer({"Services": services})

    with front_of(emulator) as front:
        front.answers["xray POST /ServiceGraph"] = graph
        cloud = Cloud(front.address)
        environment = Environment(service="orders", name="production", stage="production", aws=(cloud.account(),))
        result = audit_item(ITEM, environment, environ=cloud.environ, min_evidence=Grade.LIVE)

        assert front.count("xray POST /ServiceGraph") == 1

    assert result.status is status, result.reason
