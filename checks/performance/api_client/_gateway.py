"""What API Gateway lets through: limits of stages, of their methods and routes, and of usage plans.

A stage without a limit of its own is held by the quota that all stages of the account share, which protects nobody from
anybody. https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-request-throttling.html
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from quub_audit.sdk import Aws, Region, subjects

EVERYTHING = "*/*"
"""The key of a REST stage's settings for all methods that have none of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiStage:
    """One deployed stage of an API; `str()` is `orders/live (prod/eu-central-1)`."""

    region: Region
    api_id: str
    api_name: str
    stage: str
    rates_per_s: Mapping[str, float]
    """Requests a second by method (`orders/GET`) or route (`GET /orders`), and under `EVERYTHING` for all others, where
    the stage says so; infinite for the quota of the account.
    """
    has_web_acl: bool = False

    def __str__(self) -> str:
        return f"{self.api_name}/{self.stage} ({self.region})"


@subjects(each=Region, permissions=["apigateway:GET"])
def rest_stages(region: Region, aws: Aws) -> Iterator[ApiStage]:
    """Every stage of every REST API."""
    for api in aws.ask("apigateway.GetRestApis", region=region).get("items", ()):
        for stage in aws.ask("apigateway.GetStages", region=region, restApiId=api["id"]).get("item", ()):
            settings = stage.get("methodSettings") or {}
            yield ApiStage(
                region=region,
                api_id=api["id"],
                api_name=str(api.get("name") or api["id"]),
                stage=stage["stageName"],
                rates_per_s=_rates({method_key(key): each for key, each in settings.items()}, "throttlingRateLimit"),
                has_web_acl=bool(stage.get("webAclArn")),
            )


@subjects(each=Region, permissions=["apigateway:GET"])
def http_stages(region: Region, aws: Aws) -> Iterator[ApiStage]:
    """Every stage of every HTTP and WebSocket API."""
    for api in aws.ask("apigatewayv2.GetApis", region=region).get("Items", ()):
        for stage in aws.ask("apigatewayv2.GetStages", region=region, ApiId=api["ApiId"]).get("Items", ()):
            settings = {EVERYTHING: stage.get("DefaultRouteSettings"), **(stage.get("RouteSettings") or {})}
            yield ApiStage(
                region=region,
                api_id=api["ApiId"],
                api_name=str(api.get("Name") or api["ApiId"]),
                stage=stage["StageName"],
                rates_per_s=_rates(settings, "ThrottlingRateLimit"),
            )


def _rates(settings: Mapping[str, Mapping[str, Any] | None], field: str) -> Mapping[str, float]:
    """The rates that are given; -1 stands for the quota of the account."""
    told = {key: each[field] for key, each in settings.items() if each and each.get(field) is not None}
    return {key: math.inf if rate < 0 else float(rate) for key, rate in told.items()}


def method_key(key: str) -> str:
    """`orders/{id}/GET` of `~1orders~1{id}/GET`, as settings are told."""
    return key.replace("~1", "/").lstrip("/")


def rest_methods(stage: ApiStage, aws: Aws) -> Mapping[str, bool]:
    """Every method of the API (`orders/GET`), and whether it takes no call without an API key."""
    answer = aws.ask("apigateway.GetResources", region=stage.region, restApiId=stage.api_id, embed=["methods"])
    return {
        method_key(f"{resource.get('path', '')}/{name}"): bool((method or {}).get("apiKeyRequired"))
        for resource in answer.get("items", ())
        for name, method in (resource.get("resourceMethods") or {}).items()
        if name != "OPTIONS"
    }


def routes(stage: ApiStage, aws: Aws) -> Mapping[str, bool]:
    """Every route of an HTTP or WebSocket API; usage plans know none of them."""
    answer = aws.ask("apigatewayv2.GetRoutes", region=stage.region, ApiId=stage.api_id)
    return {route["RouteKey"]: False for route in answer.get("Items", ())}


def plan_rate(stage: ApiStage, plans: Iterable[Mapping[str, Any]]) -> float | None:
    """The largest rate that a usage plan of the stage allows to a key; None where one allows any, and without plans."""
    here = {"apiId": stage.api_id, "stage": stage.stage}.items()
    rates = [
        (plan.get("throttle") or {}).get("rateLimit")
        for plan in plans
        if any(
            here <= {key: each.get(key) for key in ("apiId", "stage")}.items() for each in plan.get("apiStages") or ()
        )
    ]
    return None if not rates or None in rates else max(float(rate) for rate in rates if rate is not None)


def unlimited(
    stage: ApiStage, methods: Mapping[str, bool], by_plan: float | None, max_rate_per_s: float
) -> Sequence[str]:
    """The methods or routes that neither the stage nor a usage plan holds below the rate, sorted."""
    by_stage = stage.rates_per_s.get(EVERYTHING, math.inf)
    return sorted(
        name
        for name, is_keyed in methods.items()
        if stage.rates_per_s.get(name, by_stage) >= max_rate_per_s
        and not (is_keyed and by_plan is not None and by_plan < max_rate_per_s)
    )
