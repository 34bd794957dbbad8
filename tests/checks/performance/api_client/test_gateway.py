"""What API Gateway lets through: judged by tables, then on an emulated account."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest

from quub_audit.checks.performance.api_client._gateway import EVERYTHING, ApiStage, method_key, plan_rate
from quub_audit.checks.performance.api_client.rate_limiting import RateParameters, judge_stage
from quub_audit.model.result import ItemResult
from quub_audit.model.status import Status
from quub_audit.sdk import Region
from quub_audit.testing import audit_item
from tests.checks.performance.api_client.services import FAIL, PASS, WARNING
from tests.worlds.cloud import REGION, Cloud

ITEM = "performance.api-client.rate-limiting"
WANTED = RateParameters()
ORDERS = {"orders/GET": False, "orders/POST": True}


def stage(rates: Mapping[str, float], **changes: Any) -> ApiStage:
    parts: dict[str, Any] = {"api_id": "a1", "api_name": "orders", "stage": "live", "rates_per_s": rates}
    return ApiStage(**{**parts, "region": Region(account="prod", name=REGION), **changes})


@pytest.mark.parametrize(
    ("rates", "by_plan", "observed"),
    [
        ({EVERYTHING: 100}, None, ""),
        ({EVERYTHING: 0}, None, ""),
        ({"orders/GET": 100, "orders/POST": 5}, None, ""),
        ({"orders/GET": 100}, 20, ""),
        ({}, None, "2 of 2 methods have no limit of their own: orders/GET, orders/POST"),
        ({EVERYTHING: math.inf}, None, "2 of 2 methods have no limit of their own: orders/GET, orders/POST"),
        ({EVERYTHING: 10_000}, None, "2 of 2 methods have no limit of their own: orders/GET, orders/POST"),
        ({EVERYTHING: 100, "orders/GET": math.inf}, None, "1 of 2 methods have no limit of their own: orders/GET"),
        ({}, 20, "1 of 2 methods have no limit of their own: orders/GET"),
        ({}, 20_000, "2 of 2 methods have no limit of their own: orders/GET, orders/POST"),
    ],
)
def test_each_method_is_limited_by_the_stage_or_by_the_plan_of_a_key_that_it_requires(
    rates: Mapping[str, float], by_plan: float | None, observed: str
) -> None:
    finding = judge_stage(stage(rates), ORDERS, by_plan, WANTED)

    assert finding is not None
    assert finding.status is (FAIL if observed else PASS)
    assert finding.observed == (observed or "each of 2 methods is limited")


def test_a_web_acl_turns_the_failure_into_a_warning_and_an_empty_api_shows_nothing() -> None:
    behind = judge_stage(stage({}, has_web_acl=True), ORDERS, None, WANTED)

    assert behind is not None
    assert behind.status is WARNING
    assert judge_stage(stage({EVERYTHING: 5}), {}, None, WANTED) is None


@pytest.mark.parametrize(
    ("plans", "rate"),
    [
        ([], None),
        ([{"apiStages": [{"apiId": "a1", "stage": "live"}], "throttle": {"rateLimit": 5.0}}], 5),
        ([{"apiStages": [{"apiId": "a1", "stage": "other"}], "throttle": {"rateLimit": 5.0}}], None),
        ([{"throttle": {"rateLimit": 5.0}}], None),
        (
            [
                {"apiStages": [{"apiId": "a1", "stage": "live"}], "throttle": {"rateLimit": 5.0}},
                {"apiStages": [{"apiId": "a1", "stage": "live"}], "throttle": {"rateLimit": 50.0}},
            ],
            50,
        ),
        (
            [
                {"apiStages": [{"apiId": "a1", "stage": "live"}], "throttle": {"rateLimit": 5.0}},
                {"apiStages": [{"apiId": "a1", "stage": "live"}]},
            ],
            None,
        ),
    ],
)
def test_the_most_generous_plan_of_a_stage_counts(plans: list[Mapping[str, Any]], rate: float | None) -> None:
    assert plan_rate(stage({}), plans) == rate


@pytest.mark.parametrize(
    ("told", "key"),
    [("~1orders~1{id}/GET", "orders/{id}/GET"), ("/orders/GET", "orders/GET"), ("*/*", EVERYTHING), ("~1/GET", "GET")],
)
def test_methods_are_called_alike_by_settings_and_by_resources(told: str, key: str) -> None:
    assert method_key(told) == key


# On an emulated account


def rest_api(cloud: Cloud, *, needs_key: bool = False) -> str:
    """The id of an API with `GET /orders`, deployed as `live`."""
    gateway = cloud.client("apigateway")
    api = gateway.create_rest_api(name="orders")["id"]
    root = gateway.get_resources(restApiId=api)["items"][0]["id"]
    resource = gateway.create_resource(restApiId=api, parentId=root, pathPart="orders")["id"]
    place: dict[str, Any] = {"restApiId": api, "resourceId": resource, "httpMethod": "GET"}
    gateway.put_method(**place, authorizationType="NONE", apiKeyRequired=needs_key)
    gateway.put_integration(**place, type="MOCK")
    gateway.create_deployment(restApiId=api, stageName="live")
    return str(api)


def limit(cloud: Cloud, api: str, path: str, rate: int) -> None:
    change = {"op": "replace", "path": f"{path}/throttling/rateLimit", "value": str(rate)}
    cloud.client("apigateway").update_stage(restApiId=api, stageName="live", patchOperations=[change])


def look(cloud: Cloud, check: str, **parameters: Any) -> ItemResult:
    environment = cloud.environment()
    return audit_item(ITEM, environment, check=check, parameters=parameters, environ=cloud.environ)


def test_a_rest_api_with_a_limit_of_its_stage_passes_and_one_without_fails(cloud: Cloud) -> None:
    limit(cloud, rest_api(cloud), "/*/*", 50)
    rest_api(cloud)

    result = look(cloud, "rest_api")

    assert [finding.observed for finding in result.of_status(PASS)] == ["each of 1 methods is limited"]
    assert [finding.observed for finding in result.of_status(FAIL)] == [
        "1 of 1 methods have no limit of their own: orders/GET"
    ]
    assert result.of_status(FAIL)[0].subject == f"orders/live (production/{REGION})"


@pytest.mark.parametrize("needs_key", [True, False])
def test_a_usage_plan_limits_those_methods_alone_that_require_its_key(cloud: Cloud, needs_key: bool) -> None:
    api = rest_api(cloud, needs_key=needs_key)
    cloud.client("apigateway").create_usage_plan(
        name="partners", apiStages=[{"apiId": api, "stage": "live"}], throttle={"rateLimit": 20.0, "burstLimit": 40}
    )

    assert look(cloud, "rest_api").status is (Status.PASS if needs_key else Status.FAIL)


def test_an_http_api_is_judged_by_its_default_and_by_its_routes(cloud: Cloud) -> None:
    gateway = cloud.client("apigatewayv2")
    for name, settings in (("limited", {"ThrottlingRateLimit": 50.0, "ThrottlingBurstLimit": 100}), ("free", {})):
        api = gateway.create_api(Name=name, ProtocolType="HTTP")["ApiId"]
        gateway.create_route(ApiId=api, RouteKey="GET /orders")
        gateway.create_stage(ApiId=api, StageName="live", DefaultRouteSettings=settings)

    result = look(cloud, "http_api")

    assert [finding.subject for finding in result.of_status(PASS)] == [f"limited/live (production/{REGION})"]
    assert [finding.subject for finding in result.of_status(FAIL)] == [f"free/live (production/{REGION})"]


def test_an_account_without_apis_shows_nothing_and_a_denied_one_is_an_error(cloud: Cloud) -> None:
    assert look(cloud, "rest_api").status is Status.INCONCLUSIVE
    assert look(cloud, "http_api").status is Status.INCONCLUSIVE

    cloud.allow_only("s3:*")

    denied = look(cloud, "http_api")
    assert denied.status is Status.ERROR
    assert "apigateway:GET" in denied.reason + denied.next_step
