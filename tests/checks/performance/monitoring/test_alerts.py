"""Each vital sign of the service has an alert that sees data, can fire, and reaches people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quub_audit.checks.performance.monitoring._alarms import (
    Alarm,
    alarms_of,
    children,
    impossible,
    lax,
    why_nobody_listens,
)
from quub_audit.checks.performance.monitoring._signs import metrics_of, sign_of, sign_of_rule
from quub_audit.checks.performance.monitoring.alerts import (
    Alert,
    AlertParameters,
    judge_alert,
    judge_receivers,
    judge_sign,
    judge_silences,
    read_rule,
    takes_anything,
    takes_mean,
    takes_silence_for_health,
)
from quub_audit.model.environment import AlertmanagerServer, Environment, PrometheusServer
from quub_audit.model.result import ItemResult
from quub_audit.model.status import FindingStatus, Status
from quub_audit.sdk import Aws, Receiver, Region, Rule, Silence
from quub_audit.testing import audit_item
from tests.worlds.cloud import REGION, Cloud
from tests.worlds.prometheus import Watches

ITEM = "performance.monitoring.alerts"
PASS, FAIL, ERROR, WARNING = FindingStatus.PASS, FindingStatus.FAIL, FindingStatus.ERROR, FindingStatus.WARNING
HERE = Region(account="prod", name=REGION)
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
LIMITS = AlertParameters().limits
BALANCER = [{"Name": "LoadBalancer", "Value": "app/orders/1"}]


# What an alert watches


@pytest.mark.parametrize(
    ("metric", "sign"),
    [
        ("5XXError", "error_rate"),
        ("HTTPCode_Target_5XX_Count", "error_rate"),
        ("TargetConnectionErrorCount", "error_rate"),
        ("Errors", "error_rate"),
        ("TargetResponseTime", "latency"),
        ("Latency", "latency"),
        ("Duration", "latency"),
        ("UnHealthyHostCount", "availability"),
        ("HealthyHostCount", "availability"),
        ("StatusCheckFailed", "availability"),
        ("HealthCheckStatus", "availability"),
        ("CPUUtilization", "saturation"),
        ("FreeStorageSpace", "saturation"),
        ("DatabaseConnections", "saturation"),
        ("DaysToExpiry", "certificate"),
        ("NumberOfBackupJobsFailed", "backup"),
        ("RequestCount", None),
        ("OrdersPlaced", None),
    ],
)
def test_a_metric_of_cloudwatch_tells_of_one_vital_sign_or_none(metric: str, sign: str | None) -> None:
    assert sign_of([metric]) == sign


@pytest.mark.parametrize(
    ("expression", "labels", "sign"),
    [
        (
            'sum(rate(http_requests_total{status=~"5.."}[5m])) / sum(rate(http_requests_total[5m])) > 0.01',
            {},
            "error_rate",
        ),
        ("rate(app_errors_total[1m]) > 1", {}, "error_rate"),
        ("histogram_quantile(0.99, rate(http_request_duration_seconds_bucket[5m])) > 2", {}, "latency"),
        ('rate(http_request_duration_seconds_count{code="500"}[5m]) > 1', {}, "error_rate"),
        ("up == 0", {}, "availability"),
        ("avg by (job) (up{job='x'}) < 0.5", {}, "availability"),
        ('absent(orders_total{job="x"})', {}, "availability"),
        ("process_open_fds / process_max_fds > 0.8", {}, "saturation"),
        ("node_filesystem_avail_bytes / node_filesystem_size_bytes < 0.1", {}, "saturation"),
        ("probe_ssl_earliest_cert_expiry - time() < 86400 * 14", {}, "certificate"),
        ("time() - backup_last_success_timestamp > 86400", {}, "backup"),
        ("orders_total > 1", {"category": "latency"}, "latency"),
        ("orders_total > 1", {"category": "Error-Rate"}, "error_rate"),
        ("orders_total > 1", {"category": "business"}, None),
        ("vector(1)", {}, None),
        ("startup_total > 1", {}, None),
    ],
)
def test_a_rule_tells_of_what_its_label_names_else_of_what_its_expression_reads(
    expression: str, labels: Mapping[str, str], sign: str | None
) -> None:
    assert sign_of_rule(expression, labels) == sign


@pytest.mark.parametrize(
    ("expression", "metrics"),
    [
        ("up == 0", ("up",)),
        ('sum by (le, job) (rate(a_bucket{x="b{c}", y!="d"}[5m] offset 1h)) > 2', ("a_bucket",)),
        ("a / on (x) group_left (y) b > bool 1 and c unless d", ("a", "b", "c", "d")),
        ("sum(rate(job:errors:rate5m[5m:1m])) > 1e3", ("job:errors:rate5m",)),
        ("histogram_quantile(0.99, sum(rate(a[1m])) by (le)) > Inf", ("a",)),
        ('{__name__="a"} > 1', ()),
        ("vector(1)", ()),
        ("a @ end() > NaN", ("a",)),
        ("", ()),
    ],
)
def test_the_metrics_of_an_expression_are_neither_functions_nor_labels_nor_words_of_the_language(
    expression: str, metrics: tuple[str, ...]
) -> None:
    assert metrics_of(expression) == metrics


@given(st.text(max_size=200))
def test_whatever_an_expression_holds_its_metrics_can_stand_in_a_query(text: str) -> None:
    assert all(name.replace(":", "_").isidentifier() for name in metrics_of(text) if name.isascii())


# Alarms


def alarm(**fields: Any) -> Alarm:
    """The guide's alarm of errors, mended, but for `fields`."""
    entry = {
        "AlarmName": "errors",
        "Namespace": "AWS/ApplicationELB",
        "MetricName": "HTTPCode_Target_5XX_Count",
        "Dimensions": BALANCER,
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 2,
        "Threshold": 10.0,
        "ComparisonOperator": "GreaterThanThreshold",
        **fields,
    }
    return Alarm(region=HERE, arn="arn:errors", entry={name: value for name, value in entry.items() if value != ()})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, ""),
        ({"MetricName": "5XXError"}, "no metric 5XXError"),
        ({"MetricName": "5XXError", "Namespace": "AWS/ApiGateway"}, ""),
        ({"MetricName": "TargetResponseTime", "Threshold": 2.0, "Dimensions": []}, "no dimensions"),
        ({"MetricName": "Errors", "Namespace": "AWS/Lambda", "Dimensions": []}, ""),
        ({"Statistic": "Average"}, "1 whatever happens"),
        ({"ComparisonOperator": "LessThanThreshold"}, "is low"),
        ({"MetricName": "UnHealthyHostCount", "ComparisonOperator": "LessThanThreshold"}, ""),
    ],
)
def test_an_alarm_that_can_never_fire_is_known_by_its_words(fields: dict[str, Any], words: str) -> None:
    told = list(impossible(alarm(**fields)))

    assert [words in each for each in told] == ([True] if words else [])


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, ""),
        ({"Threshold": 10.5}, "10.5 errors per minute"),
        ({"Period": 30, "Threshold": 6.0}, "12 errors per minute"),
        ({"Period": 120, "EvaluationPeriods": 1, "Threshold": 20.0}, ""),
        ({"EvaluationPeriods": 3}, "after 180 s"),
        ({"EvaluationPeriods": 5, "DatapointsToAlarm": 2}, ""),
        ({"MetricName": "TargetResponseTime", "Threshold": 2.0, "Statistic": "Average"}, ""),
        ({"MetricName": "TargetResponseTime", "Threshold": 2.1, "Statistic": (), "ExtendedStatistic": "p99"}, "2.1 s"),
        ({"Namespace": "AWS/ApiGateway", "MetricName": "Latency", "Threshold": 2000.0}, ""),
        ({"Namespace": "AWS/ApiGateway", "MetricName": "Latency", "Threshold": 2500.0}, "2.5 s"),
        ({"Namespace": "Orders", "MetricName": "LatencyMs", "Threshold": 900.0}, ""),
        ({"Namespace": "AWS/ECS", "MetricName": "CPUUtilization", "Threshold": 99.0, "EvaluationPeriods": 30}, ""),
        ({"Threshold": ()}, ""),
    ],
)
def test_an_alarm_that_tolerates_more_than_the_guide_is_lax(fields: dict[str, Any], words: str) -> None:
    told = list(lax(alarm(**fields), LIMITS))

    assert [words in each for each in told] == ([True] if words else [])


@given(st.floats(0, 1000), st.integers(1, 600), st.integers(1, 20))
def test_an_alarm_never_gets_laxer_by_a_lower_threshold(threshold: float, period: int, periods: int) -> None:
    def count(of: float) -> int:
        return len(list(lax(alarm(Threshold=of, Period=period, EvaluationPeriods=periods), LIMITS)))

    assert count(threshold / 2) <= count(threshold)


def test_only_a_mean_of_latency_hides_its_tail() -> None:
    assert takes_mean(alarm(MetricName="TargetResponseTime", Statistic="Average"))
    assert not takes_mean(alarm(MetricName="TargetResponseTime", Statistic=(), ExtendedStatistic="p99"))
    assert not takes_mean(alarm(Namespace="AWS/ECS", MetricName="CPUUtilization", Statistic="Average"))


def test_an_alarm_of_availability_must_not_take_silence_for_health() -> None:
    assert takes_silence_for_health(alarm(MetricName="HealthyHostCount", TreatMissingData="notBreaching"))
    assert not takes_silence_for_health(alarm(MetricName="HealthyHostCount", TreatMissingData="breaching"))
    assert not takes_silence_for_health(alarm(TreatMissingData="notBreaching"))


def test_metrics_of_other_accounts_and_searches_tell_what_is_watched_and_are_not_looked_for_here() -> None:
    metric = {"Namespace": "AWS/ApplicationELB", "MetricName": "TargetResponseTime", "Dimensions": BALANCER}
    elsewhere = alarm(MetricName=(), Metrics=[{"AccountId": "444455556666", "MetricStat": {"Metric": metric}}])
    search = alarm(MetricName=(), Metrics=[{"Expression": "SEARCH('HTTPCode_Target_5XX_Count', 'Sum')"}])

    assert (elsewhere.sign, elsewhere.metrics) == ("latency", ())
    assert (search.sign, search.metrics) == ("error_rate", ())


@pytest.mark.parametrize(
    ("rule", "names"),
    [
        ("ALARM(errors) OR ALARM(slow)", {"errors", "slow"}),
        ("ALARM(\"too many errors\") AND NOT ALARM('at night')", {"too many errors", "at night"}),
        (
            "(OK(arn:aws:cloudwatch:eu-central-1:1:alarm:a) OR INSUFFICIENT_DATA(b))",
            {"arn:aws:cloudwatch:eu-central-1:1:alarm:a", "b"},
        ),
        ("TRUE", set()),
        ("", set()),
    ],
)
def test_the_rule_of_a_composite_alarm_names_those_below_it(rule: str, names: set[str]) -> None:
    assert children(rule) == names


def test_a_composite_alarm_tells_for_those_below_it_unless_its_actions_are_disabled() -> None:
    composite = {"AlarmActions": ["arn:aws:sns:::alerts"], "ActionsEnabled": True}
    below = alarm(AlarmActions=[])

    assert below.actions == ()
    assert replace(below, above=(composite,)).actions == ("arn:aws:sns:::alerts",)
    assert replace(below, above=({**composite, "ActionsEnabled": False},)).actions == ()


def test_alarms_are_found_below_composite_ones_by_name_or_arn() -> None:
    class Told:
        """Composite alarms, which the emulator cannot make."""

        def ask(self, operation: str, *, region: Region, **parameters: Any) -> Mapping[str, Any]:
            assert (operation, region) == ("cloudwatch.DescribeAlarms", HERE)
            assert parameters == {"AlarmTypes": ["MetricAlarm", "CompositeAlarm"]}
            metrics = [{"AlarmName": name, "AlarmArn": f"arn:aws:x:{name}"} for name in ("a", "b", "c")]
            rules = ("ALARM(a)", "ALARM(arn:aws:x:b)", "NOT FALSE")
            return {"MetricAlarms": metrics, "CompositeAlarms": [{"AlarmRule": rule} for rule in rules]}

    found = alarms_of(HERE, cast(Aws, Told()))

    assert [len(each.above) for each in found] == [1, 1, 0]


@pytest.mark.parametrize(
    ("subscriptions", "words"),
    [
        (None, "does not exist"),
        ([], "nobody has subscribed"),
        (["PendingConfirmation"], "no subscription"),
        (["Deleted", "PendingConfirmation"], "no subscription"),
        (["PendingConfirmation", "arn:aws:sns:::topic:1"], ""),
    ],
)
def test_a_subscription_counts_when_it_is_confirmed(subscriptions: Sequence[str] | None, words: str) -> None:
    found = None if subscriptions is None else [{"SubscriptionArn": each} for each in subscriptions]

    told = why_nobody_listens("topic", found)

    assert words in told
    assert bool(told) is bool(words)


# Prometheus and Alertmanager


@pytest.mark.parametrize(
    ("fields", "defects", "doubts"),
    [
        ({}, "", ""),
        ({"health": "err", "last_error": "ambiguous"}, "ambiguous", ""),
        ({"health": "unknown"}, "", "not been evaluated"),
        ({"last_evaluation": None}, "", "not been evaluated"),
        ({"last_evaluation": NOW - timedelta(hours=2)}, "2.0 h ago", ""),
        ({"query": "nobody_seconds > 1"}, "", "no series of nobody_seconds"),
        ({"query": "absent(nobody)"}, "", ""),
        ({"query": "nobody_errors_total > 1"}, "", "no series of nobody_errors_total"),
        ({"query": "up == 0 or nobody == 0"}, "", ""),
        ({"query": "vector(1)"}, "", ""),
    ],
)
def test_a_rule_is_broken_when_it_fails_or_stands_still_and_in_doubt_when_it_reads_what_is_not_there(
    fields: dict[str, Any], defects: str, doubts: str
) -> None:
    parts: dict[str, Any] = {"query": "up == 0", "health": "ok", "last_evaluation": NOW, **fields}
    rule = Rule(group="g", name="r", kind="alerting", **parts)

    alert = read_rule("watch", rule, {"up"}, NOW, AlertParameters())

    assert [defects in each for each in alert.defects] == ([True] if defects else [])
    assert [doubts in each for each in alert.doubts] == ([True] if doubts else [])


@pytest.mark.parametrize(
    ("found", "statuses"),
    [
        ([Receiver(name="a", integrations=("email",), is_routed=True, is_default=True)], [PASS]),
        ([Receiver(name="a", is_routed=True, is_default=True)], [FAIL]),
        ([Receiver(name="a", integrations=("email",)), Receiver(name="b", is_routed=True, is_default=True)], [FAIL]),
        (
            [
                Receiver(name="a", integrations=("email",), is_routed=True),
                Receiver(name="b", is_routed=True, is_default=True),
            ],
            [PASS, WARNING],
        ),
        ([], [FAIL]),
    ],
)
def test_somebody_is_told_when_a_route_leads_to_an_integration(
    found: list[Receiver], statuses: list[FindingStatus]
) -> None:
    assert [finding.status for finding in judge_receivers("pager", found)] == statuses


@pytest.mark.parametrize(
    ("matchers", "mutes"),
    [
        (('alertname=~".+"',), True),
        (('alertname=~".*"', 'severity=~".+"'), True),
        (('alertname!="Watchdog"',), True),
        (('alertname=~".+"', 'job="orders"'), False),
        (('alertname="Down"',), False),
        (('alertname=~"Down.*"',), False),
        (('alertname=".+"',), False),
        ((), False),
        (("what is this",), False),
    ],
)
def test_a_silence_mutes_everything_when_each_matcher_takes_whatever_comes(
    matchers: tuple[str, ...], mutes: bool
) -> None:
    found = list(judge_silences("pager", [Silence(matchers=matchers, ends_at=NOW)]))

    assert [finding.status for finding in found] == ([FAIL] if mutes else [])
    assert all(takes_anything(matcher) for matcher in matchers if mutes)


@pytest.mark.parametrize(
    ("alert", "statuses"),
    [
        (Alert(name="a", sign="latency"), [PASS]),
        (Alert(name="a", sign="latency", defects=("broken",)), [FAIL]),
        (Alert(name="a", sign="latency", doubts=("maybe",)), [WARNING]),
        (Alert(name="a", sign="latency", defects=("broken",), doubts=("maybe",)), [FAIL]),
        (Alert(name="a", sign=None, defects=("broken",)), [WARNING]),
        (Alert(name="a", sign=None), []),
    ],
)
def test_a_defect_fails_where_a_vital_sign_is_watched_and_proves_nothing_elsewhere(
    alert: Alert, statuses: list[FindingStatus]
) -> None:
    assert [finding.status for finding in judge_alert(alert, good="good")] == statuses


ALERTS = st.builds(
    Alert,
    name=st.sampled_from(["a", "b", "c"]),
    sign=st.just("latency"),
    defects=st.lists(st.just("broken"), max_size=1).map(tuple),
    doubts=st.lists(st.just("maybe"), max_size=1).map(tuple),
)


@given(st.lists(ALERTS, max_size=6), ALERTS)
def test_a_sign_passes_by_one_good_alert_and_another_alert_never_takes_that_away(
    alerts: list[Alert], more: Alert
) -> None:
    before = judge_sign("s", alerts).status

    assert (before is PASS) is any(not each.defects and not each.doubts for each in alerts)
    assert before is not PASS or judge_sign("s", [*alerts, more]).status is PASS


# On an emulated account


def look(cloud: Cloud, *, check: str = "", at: datetime | None = None, **parameters: Any) -> ItemResult:
    account = cloud.account()
    environment = Environment(service="orders", name="production", stage="production", aws=(account,))
    return audit_item(ITEM, environment, check=check, parameters=parameters, environ=cloud.environ, at=at)


def topic(cloud: Cloud, name: str = "alerts", *, has_subscription: bool = True) -> str:
    sns = cloud.client("sns")
    arn: str = sns.create_topic(Name=name)["TopicArn"]
    if has_subscription:
        queue = cloud.client("sqs").create_queue(QueueName=f"{name}-queue")["QueueUrl"].rpartition("/")[2]
        sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:{cloud.account_id}:{queue}")
    return arn


def put_alarm(cloud: Cloud, name: str, metric: str, actions: Sequence[str] = (), **fields: Any) -> str:
    """An alarm on a load balancer whose metric has data; its name."""
    parts: dict[str, Any] = {
        "Namespace": "AWS/ApplicationELB",
        "Dimensions": BALANCER,
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 2,
        "Threshold": 2.0,
        "ComparisonOperator": "GreaterThanThreshold",
        "ActionsEnabled": True,
        **fields,
    }
    client = cloud.client("cloudwatch")
    client.put_metric_alarm(AlarmName=name, MetricName=metric, AlarmActions=list(actions), **parts)
    return name


def put_data(cloud: Cloud, *metrics: str) -> None:
    data = [{"MetricName": metric, "Dimensions": BALANCER, "Value": 1.0} for metric in metrics]
    cloud.client("cloudwatch").put_metric_data(Namespace="AWS/ApplicationELB", MetricData=data)


def watch(cloud: Cloud, *actions: str) -> None:
    """An alarm of each vital sign, as it should be."""
    put_data(cloud, "RequestCount", "TargetResponseTime", "UnHealthyHostCount", "ConsumedLCUCapacity")
    put_alarm(cloud, "errors", "HTTPCode_Target_5XX_Count", actions, Threshold=10.0)
    put_alarm(cloud, "slow", "TargetResponseTime", actions)
    put_alarm(cloud, "down", "UnHealthyHostCount", actions)
    put_alarm(cloud, "full", "ConsumedLCUCapacity", actions)


def failing(result: ItemResult) -> dict[str, str]:
    """What was observed, by the last part of each failing subject."""
    return {finding.subject.rpartition(":")[2].strip(): finding.observed for finding in result.of_status(FAIL)}


@pytest.mark.proof("pass")
def test_an_account_with_a_working_alarm_of_each_vital_sign_passes(cloud: Cloud) -> None:
    watch(cloud, topic(cloud))

    result = look(cloud)

    assert result.status is Status.PASS, result.reason
    assert len(result.of_status(PASS)) == 8
    assert result.of_status(WARNING) == ()


@pytest.mark.proof("fail")
def test_the_alarms_of_the_guide_fail_because_neither_can_ever_fire(cloud: Cloud) -> None:
    alerts = topic(cloud)
    put_data(cloud, "RequestCount", "TargetResponseTime")
    put_alarm(cloud, "quub-app-high-error-rate", "5XXError", [alerts], Threshold=10.0)
    put_alarm(cloud, "quub-app-high-latency", "TargetResponseTime", [alerts], Statistic="Average", Dimensions=[])

    result = look(cloud)

    told = failing(result)
    assert result.status is Status.FAIL
    assert "HTTPCode_Target_5XX_Count" in told["quub-app-high-error-rate"]
    assert "no dimensions" in told["quub-app-high-latency"]
    assert told["availability"] == told["saturation"] == "has no alert"
    assert "watched only by" in told["error rate"]
    assert any("Average" in finding.observed for finding in result.of_status(WARNING))


def test_an_alarm_that_reaches_nobody_fails_by_the_reason(cloud: Cloud) -> None:
    watch(cloud, topic(cloud))
    put_alarm(cloud, "disabled", "TargetResponseTime", [topic(cloud)], ActionsEnabled=False)
    put_alarm(cloud, "mute", "TargetResponseTime")
    put_alarm(cloud, "unheard", "TargetResponseTime", [topic(cloud, "empty", has_subscription=False)])
    gone = f"arn:aws:sns:{REGION}:{cloud.account_id}:gone"
    put_alarm(cloud, "lost", "TargetResponseTime", [gone])

    told = failing(look(cloud))

    assert set(told) == {"disabled", "mute", "unheard", "lost"}
    assert "actions are disabled" in told["disabled"]
    assert "no alarm action" in told["mute"]
    assert "nobody has subscribed" in told["unheard"]
    assert "does not exist" in told["lost"]


def test_alarms_that_scale_are_none(cloud: Cloud) -> None:
    watch(cloud, topic(cloud))
    policy = f"arn:aws:autoscaling:{REGION}:1:scalingPolicy:x"
    put_alarm(cloud, "TargetTracking-orders", "TargetResponseTime", [policy], Dimensions=[])

    result = look(cloud)

    assert result.status is Status.PASS, result.reason


def test_an_alarm_without_a_series_or_long_without_data_fails(cloud: Cloud) -> None:
    alerts = topic(cloud)
    watch(cloud, alerts)
    other = [{"Name": "LoadBalancer", "Value": "app/renamed/2"}]
    put_alarm(cloud, "renamed", "TargetResponseTime", [alerts], Dimensions=other)
    put_alarm(cloud, "blind", "TargetResponseTime", [alerts])
    put_alarm(cloud, "quiet", "HTTPCode_ELB_5XX_Count", [alerts])
    for name in ("blind", "quiet"):
        cloud.client("cloudwatch").set_alarm_state(AlarmName=name, StateValue="INSUFFICIENT_DATA", StateReason="test")

    later = datetime.now(UTC) + timedelta(hours=2)

    assert set(failing(look(cloud))) == {"renamed"}
    told = failing(look(cloud, at=later))
    assert set(told) == {"renamed", "blind"}
    assert "no series" in told["renamed"]
    assert "no data since" in told["blind"]


def test_an_alarm_of_a_rate_by_expression_counts(cloud: Cloud) -> None:
    alerts = topic(cloud)
    watch(cloud, alerts)
    client = cloud.client("cloudwatch")
    client.delete_alarms(AlarmNames=["errors"])
    queries = [
        {
            "Id": id_,
            "MetricStat": {
                "Metric": {"Namespace": "AWS/ApplicationELB", "MetricName": metric, "Dimensions": BALANCER},
                "Period": 60,
                "Stat": "Sum",
            },
            "ReturnData": False,
        }
        for id_, metric in (("e", "HTTPCode_Target_5XX_Count"), ("r", "RequestCount"))
    ]
    client.put_metric_alarm(
        AlarmName="rate",
        AlarmActions=[alerts],
        EvaluationPeriods=2,
        Threshold=0.01,
        ComparisonOperator="GreaterThanThreshold",
        Metrics=[*queries, {"Id": "rate", "Expression": "e / r", "ReturnData": True}],
    )

    result = look(cloud)

    assert result.status is Status.PASS, result.reason


def test_signs_that_are_asked_for_need_an_alarm_each(cloud: Cloud) -> None:
    watch(cloud, topic(cloud))

    result = look(cloud, signs=["latency", "certificate"])

    assert failing(result) == {"certificate": "has no alert"}


@pytest.mark.proof("inconclusive")
def test_an_account_without_alarms_is_inconclusive(cloud: Cloud) -> None:
    assert look(cloud).status is Status.INCONCLUSIVE


@pytest.mark.proof("error")
def test_topics_that_may_not_be_looked_at_are_errors_that_name_the_permission(cloud: Cloud) -> None:
    watch(cloud, topic(cloud))
    cloud.allow_only("cloudwatch:*", "monitoring:*")  # as the emulator calls it

    result = look(cloud)

    assert result.status is Status.ERROR
    assert "sns:ListSubscriptionsByTopic" in result.reason + result.next_step


# On real servers


def watched_by(watches: Watches, *which: str, **parameters: Any) -> ItemResult:
    pairs = [getattr(watches, name) for name in which]
    environment = Environment(
        service="orders",
        name="production",
        stage="production",
        prometheus=tuple(pair.prometheus for pair in pairs),
        alertmanager=tuple(pair.alertmanager for pair in pairs),
    )
    return audit_item(ITEM, environment, parameters=parameters)


def test_a_prometheus_whose_rules_work_and_are_heard_passes(watches: Watches) -> None:
    result = watched_by(watches, "good")

    assert result.status is Status.PASS, result.reason
    assert {finding.check.rpartition("/")[2] for finding in result.of_status(PASS)} == {
        "alertmanagers",
        "coverage_by_rules",
        "receivers",
        "rules",
    }


def test_a_prometheus_with_broken_rules_and_nobody_to_tell_fails_by_each(watches: Watches) -> None:
    result = watched_by(watches, "poor")

    told = failing(result)
    assert result.status is Status.FAIL
    assert "fails to evaluate" in told["vital/Ambiguous"]
    assert "vital/Slow" not in told
    assert "no series of request_seconds_bucket_of_nobody" in told["latency"]
    warned = [finding.observed for finding in result.of_status(WARNING)]
    assert any("no series of request_seconds_bucket_of_nobody" in each for each in warned)
    assert told["poor"] == "has alerting rules and knows no Alertmanager"
    assert told["error rate"] == "has no alert"
    assert "sends to no Alertmanager" in told["saturation"]
    observed = " ".join(finding.observed for finding in result.of_status(FAIL))
    assert "tells nobody: routes lead to nobody" in observed
    assert 'alertname=~".+" mutes everything' in observed


def test_rules_and_alarms_count_together(cloud: Cloud, watches: Watches) -> None:
    alerts = topic(cloud)
    put_data(cloud, "DaysToExpiry")
    put_alarm(cloud, "expiry", "DaysToExpiry", [alerts], ComparisonOperator="LessThanThreshold")
    environment = Environment(
        service="orders",
        name="production",
        stage="production",
        aws=(cloud.account(),),
        prometheus=(watches.good.prometheus,),
    )
    signs = ["error_rate", "latency", "availability", "saturation", "certificate"]

    result = audit_item(ITEM, environment, parameters={"signs": signs}, environ=cloud.environ)

    assert result.status is Status.PASS, result.reason


def test_a_prometheus_that_is_not_there_is_an_error_and_so_is_an_alertmanager_alone(watches: Watches) -> None:
    nowhere = PrometheusServer(name="watch", url="http://127.0.0.1:1")
    alone: AlertmanagerServer = watches.good.alertmanager
    parts: dict[str, Any] = {"service": "orders", "name": "production", "stage": "production"}

    assert audit_item(ITEM, Environment(prometheus=(nowhere,), **parts)).status is Status.ERROR
    result = audit_item(ITEM, Environment(alertmanager=(alone,), **parts))
    assert result.status is Status.ERROR
    assert "no Prometheus" in result.reason
