"""What keeps an alarm of CloudWatch from waking somebody."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from quub_audit.checks.performance.monitoring._signs import Sign, sign_of
from quub_audit.sdk import Aws, Region, cut

OF_ALARMS = ("cloudwatch:DescribeAlarms",)
OF_DEFECTS = ("cloudwatch:ListMetrics", "sns:ListSubscriptionsByTopic")

ALWAYS_WITH_DIMENSIONS = frozenset(
    {
        "AWS/ApplicationELB",
        "AWS/NetworkELB",
        "AWS/ApiGateway",
        "AWS/ECS",
        "AWS/SQS",
        "AWS/ElastiCache",
        "AWS/CloudFront",
    }
)
"""Namespaces in which AWS publishes no series without dimensions."""

BALANCER = "AWS/ApplicationELB"
NOT_OF_BALANCERS: Mapping[str, str] = {
    "5XXError": "HTTPCode_Target_5XX_Count",
    "4XXError": "HTTPCode_Target_4XX_Count",
    "5xxErrorRate": "HTTPCode_Target_5XX_Count",
    "Latency": "TargetResponseTime",
    "HTTPCode_Backend_5XX": "HTTPCode_Target_5XX_Count",
    "HTTPCode_ELB_5XX": "HTTPCode_ELB_5XX_Count",
    "CPUUtilization": "CPUUtilization of AWS/ECS",
}
"""Metrics that alarms look for among those of application load balancers in vain, and what is there in their place."""

SILENT_WHEN_ZERO = re.compile(r"HTTPCode_\w+_Count|\w+ErrorCount|RejectedConnectionCount")
"""Metrics of application load balancers that have no data points while nothing happens."""
TRAFFIC = "RequestCount"

MILLISECONDS = frozenset(
    {("AWS/ApiGateway", "Latency"), ("AWS/ApiGateway", "IntegrationLatency"), ("AWS/Lambda", "Duration")}
)
SECONDS = frozenset({("AWS/ApplicationELB", "TargetResponseTime"), ("AWS/ELB", "Latency")})

_FOR_MACHINES = (":autoscaling:", ":automate:", ":swf:", ":lambda:", ":application-autoscaling:")
_CHILD = re.compile(r"(?:ALARM|OK|INSUFFICIENT_DATA)\s*\(\s*(?:\"([^\"]+)\"|'([^']+)'|([^\s)]+))\s*\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How lax an alarm may be."""

    errors_per_minute: float
    latency_s: float
    delay_s: float
    without_data: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One metric alarm."""

    region: Region
    arn: str
    entry: Mapping[str, Any]
    """As `DescribeAlarms` has it."""
    above: tuple[Mapping[str, Any], ...] = ()
    """Composite alarms whose rule names it."""

    def __str__(self) -> str:
        return self.arn

    @property
    def metrics(self) -> tuple[Mapping[str, Any], ...]:
        """What it looks at: `Namespace`, `MetricName` and `Dimensions` of each, none of which is in another account."""
        if self.entry.get("MetricName"):
            return (self.entry,)
        queries = self.entry.get("Metrics") or ()
        found = (query.get("MetricStat", {}).get("Metric") for query in queries if not query.get("AccountId"))
        return tuple(metric for metric in found if metric)

    @property
    def sign(self) -> Sign | None:
        """The vital sign that it watches, in this account or another, by its metrics or by what it searches for."""
        queries = self.entry.get("Metrics") or ()
        named = [query.get("MetricStat", {}).get("Metric", {}).get("MetricName") for query in queries]
        searched = [query.get("Expression") for query in queries]
        return sign_of(str(text) for text in (self.entry.get("MetricName"), *named, *searched) if text)

    @property
    def actions(self) -> tuple[str, ...]:
        """What is done when it, or a composite alarm above it, fires; only where actions are enabled."""
        enabled = [each for each in (self.entry, *self.above) if each.get("ActionsEnabled", True)]
        return tuple(dict.fromkeys(action for each in enabled for action in each.get("AlarmActions") or ()))

    @property
    def is_for_machines(self) -> bool:
        """Whether it only drives scaling and the like, and was never meant to tell anybody."""
        all_ = [action for each in (self.entry, *self.above) for action in each.get("AlarmActions") or ()]
        return bool(all_) and all(any(mark in action for mark in _FOR_MACHINES) for action in all_)


def alarms_of(region: Region, aws: Aws) -> Iterator[Alarm]:
    """The metric alarms of a region, but those that only machines act on."""
    # Without the types, composite alarms are left out.
    answer = aws.ask("cloudwatch.DescribeAlarms", region=region, AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    composites = [(each, children(str(each.get("AlarmRule") or ""))) for each in answer.get("CompositeAlarms", ())]
    for entry in answer.get("MetricAlarms", ()):
        names = {entry["AlarmName"], entry["AlarmArn"]}
        above = tuple(each for each, below in composites if names & below)
        alarm = Alarm(region=region, arn=entry["AlarmArn"], entry=entry, above=above)
        if not alarm.is_for_machines:
            yield alarm


def children(rule: str) -> frozenset[str]:
    """Names and ARNs of the alarms that the rule of a composite alarm names."""
    return frozenset(next(part for part in found if part) for found in _CHILD.findall(rule))


def defects_of(alarm: Alarm, aws: Aws, now: datetime, limits: Limits) -> tuple[str, ...]:
    """Everything that keeps it from firing or from being heard, in words; empty for a good one."""
    by_itself = (*impossible(alarm), *lax(alarm, limits))
    # Whether data comes for a metric that there is not needs no question.
    without_data = () if by_itself else tuple(_without_data(alarm, aws, now, limits))
    return (*by_itself, *without_data, *_unheard(alarm, aws))


def impossible(alarm: Alarm) -> Iterator[str]:
    """Why no series can ever match, or no value cross the threshold."""
    for metric in alarm.metrics:
        namespace, name = str(metric.get("Namespace")), str(metric.get("MetricName"))
        if namespace == BALANCER and name in NOT_OF_BALANCERS:
            yield f"{namespace} has no metric {name}, so it never fires; there is {NOT_OF_BALANCERS[name]}"
        elif namespace in ALWAYS_WITH_DIMENSIONS and not metric.get("Dimensions"):
            yield f"it names no dimensions, and {namespace} has no {name} without them, so it never fires"
    entry = alarm.entry
    if str(entry.get("MetricName", "")).startswith("HTTPCode_") and entry.get("Statistic", "Sum") != "Sum":
        yield f"it takes the {entry['Statistic']} of a count, which is 1 whatever happens; Sum counts"
    if alarm.sign in ("error_rate", "latency") and str(entry.get("ComparisonOperator", "")).startswith("Less"):
        yield f"it fires when {entry.get('MetricName') or 'the expression'} is low"


def lax(alarm: Alarm, limits: Limits) -> Iterator[str]:
    """Where it fires later, or for more, than it should; what anomaly detection and expressions do is not compared."""
    entry = alarm.entry
    threshold, period = entry.get("Threshold"), entry.get("Period")
    if threshold is None or not period or alarm.sign not in ("error_rate", "latency"):
        return
    delay_s = period * (entry.get("DatapointsToAlarm") or entry.get("EvaluationPeriods") or 1)
    if delay_s > limits.delay_s:
        yield f"it fires after {delay_s:g} s at the earliest, {limits.delay_s:g} s are allowed"
    metric = str(entry.get("Namespace")), str(entry.get("MetricName"))
    if alarm.sign == "error_rate" and entry.get("Statistic") == "Sum":
        per_minute = threshold * 60 / period
        if per_minute > limits.errors_per_minute:
            yield f"it tolerates {per_minute:g} errors per minute, {limits.errors_per_minute:g} are allowed"
    if metric in MILLISECONDS | SECONDS:
        seconds = threshold / 1000 if metric in MILLISECONDS else threshold
        if seconds > limits.latency_s:
            yield f"it tolerates {seconds:g} s, {limits.latency_s:g} s are allowed"


def _without_data(alarm: Alarm, aws: Aws, now: datetime, limits: Limits) -> Iterator[str]:
    gone = [metric for metric in alarm.metrics if not _has_series(metric, alarm.region, aws)]
    if alarm.metrics and len(gone) == len(alarm.metrics):
        names = cut(f"{metric.get('Namespace')} {metric.get('MetricName')}" for metric in gone)
        yield f"there is no series of {names} with its dimensions"
        return
    since = alarm.entry.get("StateTransitionedTimestamp") or alarm.entry.get("StateUpdatedTimestamp")
    is_blind = alarm.entry.get("StateValue") == "INSUFFICIENT_DATA"
    if is_blind and since and now - since > limits.without_data and not all(map(_is_sparse, alarm.metrics)):
        yield f"it has had no data since {since:%Y-%m-%d %H:%M} UTC"


def _is_sparse(metric: Mapping[str, Any]) -> bool:
    return metric.get("Namespace") == BALANCER and bool(SILENT_WHEN_ZERO.fullmatch(str(metric.get("MetricName"))))


def _has_series(metric: Mapping[str, Any], region: Region, aws: Aws) -> bool:
    """Whether CloudWatch knows a series with these very dimensions; for what is silent when zero, one of traffic."""
    wanted = pairs(metric.get("Dimensions"))
    answer = aws.ask(
        "cloudwatch.ListMetrics",
        region=region,
        Namespace=metric["Namespace"],
        MetricName=TRAFFIC if _is_sparse(metric) else metric["MetricName"],
        Dimensions=[{"Name": name, "Value": value} for name, value in sorted(wanted)],
    )
    return any(pairs(found.get("Dimensions")) == wanted for found in answer.get("Metrics", ()))


def pairs(dimensions: Iterable[Mapping[str, str]] | None) -> frozenset[tuple[str, str]]:
    """Dimensions, whatever their order."""
    return frozenset((each["Name"], each["Value"]) for each in dimensions or ())


def _unheard(alarm: Alarm, aws: Aws) -> Iterator[str]:
    if not alarm.actions:
        declared = alarm.entry.get("AlarmActions")
        yield "its actions are disabled" if declared else "it tells nobody: it has no alarm action"
        return
    reasons = []
    for action in alarm.actions:
        reason = why_unheard(action, alarm.region, aws)
        if not reason:
            return
        reasons.append(reason)
    yield cut(reasons)


def why_unheard(action: str, region: Region, aws: Aws) -> str:
    """Why nobody hears of an action; empty where somebody does."""
    if ":ssm-incidents:" in action:
        return ""
    if ":sns:" not in action:
        return f"{action} tells nobody"
    answer = aws.find("sns.ListSubscriptionsByTopic", region=region, TopicArn=action)
    return why_nobody_listens(action, None if answer is None else answer.get("Subscriptions", ()))


def why_nobody_listens(topic: str, subscriptions: Iterable[Mapping[str, str]] | None) -> str:
    """`PendingConfirmation` and `Deleted` stand where a subscription has an ARN once it is confirmed."""
    if subscriptions is None:
        return f"the topic {topic} does not exist"
    arns = [str(each.get("SubscriptionArn")) for each in subscriptions]
    if any(arn.startswith("arn:") for arn in arns):
        return ""
    return f"no subscription of {topic} is confirmed" if arns else f"nobody has subscribed to {topic}"
