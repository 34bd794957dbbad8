"""What metrics of the environment say of the time of a run: CloudWatch's of the load balancer, Prometheus'.

They are asked of a run that was sent to an endpoint of this very environment: production's say nothing of staging.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from quub_audit.checks.testing.load._runs import strangers
from quub_audit.sdk import Aws, Endpoint, Environment, Finding, LoadRun, Region, Sample

OF_BALANCERS = ("elasticloadbalancing:DescribeLoadBalancers", "cloudwatch:GetMetricData")

PERIODS = ((timedelta(days=15), 60), (timedelta(days=63), 300), (timedelta(days=455), 3600))
"""How long CloudWatch keeps data points, and of how many seconds each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Balancer:
    """An application load balancer, the only kind whose metrics count requests."""

    region: Region
    arn: str

    def query(self, metric: str, period_s: int, name: str) -> Mapping[str, Any]:
        """The sum of `metric` in each period, as `GetMetricData` wants it; `name` comes back as the label."""
        dimensions = {"LoadBalancer": self.arn.partition(":loadbalancer/")[2]}
        return metric_query("AWS/ApplicationELB", metric, dimensions, period_s=period_s, stat="Sum", name=name)


def metric_query(
    namespace: str, metric: str, dimensions: Mapping[str, str], *, period_s: int, stat: str, name: str
) -> Mapping[str, Any]:
    """One query of `GetMetricData`; `name` has to begin with a lower-case letter."""
    named = [{"Name": key, "Value": value} for key, value in dimensions.items()]
    of = {"Namespace": namespace, "MetricName": metric, "Dimensions": named}
    return {"Id": name, "MetricStat": {"Metric": of, "Period": period_s, "Stat": stat}}


def series_of(answer: Mapping[str, Any]) -> dict[str, dict[datetime, float]]:
    """Values of an answer of `GetMetricData` by the query's name, then by the beginning of their periods."""
    return {
        found["Id"]: dict(zip(found.get("Timestamps", ()), found.get("Values", ()), strict=True))
        for found in answer.get("MetricDataResults", ())
    }


def is_sent_here(run: LoadRun, environment: Environment) -> bool:
    """Whether the run says where it was sent to, and that is endpoints of this environment alone."""
    alone = replace(environment, siblings=())
    return bool(run.targets and environment.endpoints) and not strangers(run, alone)


def endpoint_of(run: LoadRun, environment: Environment) -> Endpoint | None:
    """The declared endpoint with a load balancer that a run was sent to, where it was sent to one alone."""
    behind = [each for each in environment.endpoints if each.load_balancer]
    hosts = {target.rpartition(":")[0] or target for target in run.targets} | set(run.targets)
    return next((each for each in behind if each.host in hosts), None) if len(run.targets) == 1 else None


def balancer_of(endpoint: Endpoint, aws: Aws, environment: Environment) -> Balancer | Finding | None:
    """The load balancer that the endpoint names; an error where it is nowhere, None where it is of another kind."""
    for account in environment.aws:
        for region in account.regions:
            for found in aws.ask("elbv2.DescribeLoadBalancers", region=region).get("LoadBalancers", ()):
                if endpoint.load_balancer in (found["LoadBalancerArn"], found["LoadBalancerName"]):
                    is_counting = ":loadbalancer/app/" in found["LoadBalancerArn"]
                    return Balancer(region=region, arn=found["LoadBalancerArn"]) if is_counting else None
    return Finding.error(
        subject=endpoint.name,
        message=f"{endpoint}: its load balancer {endpoint.load_balancer} is in no declared region",
        next_step=f"correct `load_balancer` of endpoints.{endpoint}, or declare the account and region that it is in",
    )


def window_of(run: LoadRun, started_at: datetime, now: datetime) -> tuple[datetime, datetime, int]:
    """Whole periods around the run, and how many seconds one has."""
    age = now - started_at
    period_s = next((seconds for kept, seconds in PERIODS if age <= kept), PERIODS[-1][1])
    begin = int(started_at.timestamp()) // period_s * period_s
    end = -(-int(started_at.timestamp() + run.duration_s + 1) // period_s) * period_s
    zone = started_at.tzinfo
    return datetime.fromtimestamp(begin, zone), datetime.fromtimestamp(end, zone), period_s


def value_of(samples: Iterable[Sample]) -> float | None:
    """The first number of a vector; None where there is none."""
    return next((each.value for each in samples if math.isfinite(each.value)), None)


def counts_of(balancer: Balancer, run: LoadRun, aws: Aws, now: datetime, *metrics: str) -> Mapping[str, float] | None:
    """Sums of metrics that count answers over the whole periods around a run, 0 where one has no data point.

    None where not even `RequestCount` has any, or the run does not say when it began.
    """
    if run.started_at is None:
        return None
    begin, end, period_s = window_of(run, run.started_at, now)
    names = {f"m{number}": metric for number, metric in enumerate(("RequestCount", *metrics))}
    answer = aws.ask(
        "cloudwatch.GetMetricData",
        region=balancer.region,
        MetricDataQueries=[balancer.query(metric, period_s, name) for name, metric in names.items()],
        StartTime=begin,
        EndTime=end,
    )
    values = series_of(answer)
    return {metric: sum(values.get(name, {}).values()) for name, metric in names.items()} if values.get("m0") else None
