"""What watches the sample service in the emulated account: alarms, the metrics that they look at, whom they tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from quub_audit.demo.emulator import Operator

_BALANCER = "AWS/ApplicationELB"
_CACHE = "AWS/ElastiCache"


def watch(operator: Operator, balancer: str, database: str, nodes: Sequence[str], *, healthy: bool) -> None:
    """An alarm for errors, latency, availability, saturation and look-ups that miss each, and a topic that the team
    reads.

    `balancer` and `database` are names, and so are the `nodes` of the cache, the primary first. Without `healthy`, the
    alarm for errors looks at a metric that load balancers do not have, so that it never fires.
    """
    sns, kms = operator("sns"), operator("kms")
    # CloudWatch may not use the key of AWS, alias/aws/sns: then nobody would hear of anything.
    key = kms.create_key(Description="Alerts of production")["KeyMetadata"]
    kms.enable_key_rotation(KeyId=key["KeyId"])
    topic: str = sns.create_topic(Name="quub-app-alerts", Attributes={"KmsMasterKeyId": key["Arn"]})["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="on-call@quub-app.example")
    described = operator("elbv2").describe_load_balancers(Names=[balancer])["LoadBalancers"][0]
    of_balancer = {"LoadBalancer": described["LoadBalancerArn"].partition(":loadbalancer/")[2]}
    of_database = {"DBInstanceIdentifier": database}
    _measure(operator, _BALANCER, of_balancer, RequestCount=1.0, TargetResponseTime=1.0, UnHealthyHostCount=1.0)
    _measure(operator, "AWS/RDS", of_database, CPUUtilization=1.0)
    errors = "HTTPCode_Target_5XX_Count" if healthy else "5XXError"
    _alarm(operator, topic, "errors", _BALANCER, errors, of_balancer, Statistic="Sum", Threshold=10.0)
    _alarm(
        operator, topic, "latency", _BALANCER, "TargetResponseTime", of_balancer, ExtendedStatistic="p99", Threshold=2.0
    )
    _alarm(
        operator, topic, "unhealthy", _BALANCER, "UnHealthyHostCount", of_balancer, Statistic="Maximum", Threshold=0.0
    )
    _alarm(
        operator, topic, "database-cpu", "AWS/RDS", "CPUUtilization", of_database, Statistic="Average", Threshold=80.0
    )
    of_cache = {"CacheClusterId": nodes[0]}
    _measure(operator, _CACHE, of_cache, CacheHits=182_000.0, CacheMisses=20_200.0, CacheHitRate=90.0)
    _alarm(
        operator,
        topic,
        "cache-hits",
        _CACHE,
        "CacheHitRate",
        of_cache,
        Statistic="Average",
        Threshold=80.0,
        ComparisonOperator="LessThanThreshold",
    )


def _measure(operator: Operator, namespace: str, dimensions: Mapping[str, str], **metrics: float) -> None:
    """One value of each metric, of a while ago: what is newer than the minute is in no answer yet."""
    where, at = _listed(dimensions), datetime.now(UTC) - timedelta(minutes=10)
    data = [
        {"MetricName": name, "Dimensions": where, "Value": value, "Timestamp": at} for name, value in metrics.items()
    ]
    operator("cloudwatch").put_metric_data(Namespace=namespace, MetricData=data)


def _alarm(
    operator: Operator,
    topic: str,
    name: str,
    namespace: str,
    metric: str,
    dimensions: Mapping[str, str],
    **condition: Any,
) -> None:
    """Two minutes above the threshold, as the service's own description of its infrastructure has it."""
    settings = {"Period": 60, "EvaluationPeriods": 2, "ComparisonOperator": "GreaterThanThreshold", **condition}
    operator("cloudwatch").put_metric_alarm(
        AlarmName=f"quub-app-production-{name}",
        Namespace=namespace,
        MetricName=metric,
        Dimensions=_listed(dimensions),
        AlarmActions=[topic],
        OKActions=[topic],
        **settings,
    )


def _listed(dimensions: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in dimensions.items()]
