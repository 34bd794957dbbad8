"""The hit ratio of each cache is collected, somebody is told when it falls, and it is above the floor."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from quub_audit.checks.performance.caching.hit_rate_monitored import (
    HitRateParameters,
    alerts_on,
    is_about,
    judge_absent,
    judge_moment,
    judge_uncollected,
    judge_watch,
    queries,
    total,
    uncollected,
    value_of,
    why_silent,
    why_unwatched,
)
from quub_audit.model.environment import Cache, Environment, PrometheusServer
from quub_audit.model.result import ItemResult
from quub_audit.model.status import FindingStatus, Grade, Status
from quub_audit.sdk import RedisTraffic, Rule, Sample
from quub_audit.testing import audit_item
from tests.worlds.cloud import Cloud
from tests.worlds.redis import RedisServer, free_port, wait_until
from tests.worlds.redis_watch import redis_watch

ITEM = "performance.caching.hit-rate-monitored"
PASS, FAIL, ERROR, WARNING = FindingStatus.PASS, FindingStatus.FAIL, FindingStatus.ERROR, FindingStatus.WARNING
WANTED = HitRateParameters()
CACHE = Cache(name="prod-cache", addresses=("cache:6379",))
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
ALERT = "redis_keyspace_hits_total / (redis_keyspace_hits_total + redis_keyspace_misses_total) < 0.8"


# Judgements


@pytest.mark.parametrize(
    ("hits", "misses", "is_reset", "expected"),
    [
        (900, 100, False, []),
        (800, 200, False, []),
        (799, 201, False, [FAIL]),
        (0, 1000, False, [FAIL]),
        (0, 999, False, [WARNING]),
        (0, 0, False, [WARNING]),
        (0, 5000, True, [WARNING]),
    ],
)
def test_the_ratio_of_the_moment_may_fail_and_never_passes(
    hits: int, misses: int, is_reset: bool, expected: list[FindingStatus]
) -> None:
    traffic = RedisTraffic(hits=hits, misses=misses, seconds=5, is_reset=is_reset)

    assert [finding.status for finding in judge_moment(CACHE, traffic, WANTED)] == expected


@pytest.mark.parametrize(
    ("hits", "misses", "unwatched", "status"),
    [
        (9000, 1000, "", PASS),
        (8000, 2000, "", PASS),
        (7999, 2001, "", FAIL),
        (9000, 1000, "no alert", FAIL),
        (10, 0, "", WARNING),
        (10, 0, "no alert", FAIL),
        (0, 0, "", WARNING),
    ],
)
def test_a_ratio_is_judged_where_there_is_enough_and_somebody_must_be_told_in_any_case(
    hits: float, misses: float, unwatched: str, status: FindingStatus
) -> None:
    assert judge_watch("watch", hits, misses, unwatched, WANTED).status is status


def test_a_prometheus_without_series_fails_unless_cloudwatch_has_them() -> None:
    server = PrometheusServer(name="watch", url="http://watch")

    assert judge_absent(server, ["a"], is_elsewhere=False).status is FAIL
    assert judge_absent(server, ["a"], is_elsewhere=True).status is WARNING


def of_servers(*instances: str) -> list[Sample]:
    return [Sample(value=1, at=NOW, labels={"__name__": WANTED.hits, "instance": each}) for each in instances]


SECOND = Cache(
    name="second", addresses=("master.second.abc.euc1.cache.amazonaws.com:6379",), replication_group="second"
)


@pytest.mark.parametrize(
    ("instances", "missing"),
    [
        (["10.0.0.1:9121", "10.0.0.2:9121"], []),
        (["10.0.0.1:9121"], ["prod-cache", "second"]),
        (["redis://cache:6379", "10.0.0.2:9121"], []),
        (["redis://cache:6379"], ["second"]),
        (["cache-exporter:9121"], ["prod-cache", "second"]),
        (["redis://cache:6379", "rediss://second-001.second.abc.0001.euc1.cache.amazonaws.com:6379"], []),
    ],
)
def test_a_cache_is_collected_where_a_label_names_it_or_there_are_as_many_servers_as_caches(
    instances: list[str], missing: list[str]
) -> None:
    found = uncollected([CACHE, SECOND], of_servers(*instances))

    assert [cache.name for cache in found] == missing


def test_a_cache_without_series_beside_one_that_is_watched_is_undecided() -> None:
    assert judge_uncollected(CACHE, WANTED).is_undecided


@pytest.mark.parametrize(("value", "read"), [(5.0, 5.0), (float("nan"), 0.0), (float("inf"), 0.0), (-1.0, 0.0)])
def test_what_is_no_number_counts_nothing(value: float, read: float) -> None:
    assert value_of([Sample(value=value, at=NOW)]) == read
    assert value_of([]) == 0


def rule(name: str, query: str, kind: str = "alerting", health: str = "ok") -> Rule:
    return Rule(group="cache", name=name, kind=kind, query=query, health=health)


def test_an_alert_looks_at_a_metric_through_recording_rules_too_and_by_whole_names() -> None:
    rules = (
        rule("ratio:day", "avg_over_time(ratio:now[1d])", "recording"),
        rule("ratio:now", "hits / (hits + misses)", "recording"),
        rule("Low", "ratio:day < 0.8"),
        rule("Other", "hits_of_another > 1"),
    )

    assert [each.name for each in alerts_on(rules, ("hits", "misses"))] == ["Low"]


@pytest.mark.parametrize(
    ("alerts", "reason"),
    [
        ([], "no alerting rule looks at hits or misses"),
        ([rule("Low", "hits", health="err")], "Low cannot be evaluated"),
        ([rule("Low", "hits", health="err"), rule("High", "hits")], ""),
    ],
)
def test_an_alert_that_cannot_be_evaluated_tells_nobody(alerts: list[Rule], reason: str) -> None:
    assert why_unwatched(alerts) == reason


def alarm(**changes: Any) -> dict[str, Any]:
    sound = {
        "AlarmName": "low",
        "Namespace": "AWS/ElastiCache",
        "MetricName": "CacheHitRate",
        "Dimensions": [{"Name": "CacheClusterId", "Value": "orders-001"}],
        "AlarmActions": ["arn:aws:sns:eu-central-1:111122223333:pager"],
        "ActionsEnabled": True,
        "StateValue": "OK",
        "StateUpdatedTimestamp": NOW - timedelta(days=1),
    }
    return {**sound, **changes}


@pytest.mark.parametrize(
    ("found", "is_it"),
    [
        (alarm(), True),
        (alarm(MetricName="CPUUtilization"), False),
        (alarm(Namespace="Orders"), False),
        (alarm(Dimensions=[{"Name": "CacheClusterId", "Value": "carts-001"}]), False),
        (alarm(Dimensions=[]), False),
        ({"Metrics": [{"Expression": "a/b"}, {"MetricStat": {"Metric": alarm(MetricName="CacheHits")}}]}, True),
        ({}, False),
    ],
)
def test_an_alarm_is_about_a_cache_by_metric_and_dimension(found: dict[str, Any], is_it: bool) -> None:
    assert is_about(found, ("orders-001", "orders-002")) is is_it


@pytest.mark.parametrize(
    ("alarms", "reason"),
    [
        ([], "no alarm looks at its hits or misses"),
        ([alarm()], ""),
        ([alarm(ActionsEnabled=False)], "low tells nobody"),
        ([alarm(AlarmActions=[])], "low tells nobody"),
        ([alarm(StateValue="INSUFFICIENT_DATA")], "low has had too little data since 2026-05-31 12:00 UTC"),
        ([alarm(StateValue="INSUFFICIENT_DATA", StateUpdatedTimestamp=NOW)], ""),
        ([alarm(AlarmActions=[]), alarm()], ""),
    ],
)
def test_one_alarm_that_works_is_enough(alarms: list[dict[str, Any]], reason: str) -> None:
    assert why_silent(alarms, NOW) == reason


def test_sums_are_taken_over_all_nodes_and_pages() -> None:
    ids = [query["Id"] for query in queries(("a", "b"))]
    results = [{"Id": each, "Values": [1.0, 2.0]} for each in ids * 2]

    assert sorted(ids) == ["hits0", "hits1", "misses0", "misses1"]
    assert (total(results, "hits"), total(results, "misses"), total([], "hits")) == (12.0, 12.0, 0)


# On real servers


def look(
    cache: Cache | None,
    *,
    check: str,
    prometheus: PrometheusServer | None = None,
    cloud: Cloud | None = None,
    **parameters: Any,
) -> ItemResult:
    environment = Environment(
        service="orders",
        name="production",
        stage="production",
        caches=(cache,) if cache else (),
        prometheus=(prometheus,) if prometheus else (),
        aws=(cloud.account(),) if cloud else (),
    )
    return audit_item(
        ITEM,
        environment,
        check=check,
        parameters=parameters,
        min_evidence=Grade.LIVE,
        environ=cloud.environ if cloud else {},
    )


def use(redis: RedisServer, *, hits: int, misses: int) -> None:
    redis.send(("SET", "product:1", "v", "EX", 300))
    redis.send(*[("GET", "product:1")] * hits, *[("GET", "product:none")] * misses)


@pytest.mark.proof("pass")
def test_a_cache_that_prometheus_watches_and_an_alert_looks_at_passes(redis: RedisServer, tmp_path: Path) -> None:
    with redis_watch(tmp_path, redis, {"LowHitRatio": ALERT}) as watch:
        wait_until(lambda: watch.value("count_over_time(redis_keyspace_hits_total[5m])") >= 2, at_most_s=40)
        use(redis, hits=950, misses=50)
        wait_until(lambda: watch.value("sum(redis_keyspace_hits_total)") >= 950)
        result = look(redis.cache(), check="series", prometheus=watch.target, min_lookups=500)

    assert result.status is Status.PASS
    assert [finding.subject for finding in result.of_status(PASS)] == ["watch"]


@pytest.mark.proof("fail")
def test_a_prometheus_that_no_exporter_feeds_fails(redis: RedisServer, tmp_path: Path) -> None:
    with redis_watch(tmp_path, None, {}) as watch:
        result = look(redis.cache(), check="series", prometheus=watch.target)

    assert result.status is Status.FAIL
    assert [finding.observed for finding in result.of_status(FAIL)] == [
        "no series of redis_keyspace_hits_total, redis_keyspace_misses_total in the last five minutes"
    ]


@pytest.mark.proof("fail")
def test_look_ups_that_miss_while_they_are_counted_fail(redis: RedisServer) -> None:
    stop = threading.Event()

    def miss() -> None:
        while not stop.wait(0.02):
            use(redis, hits=10, misses=190)

    traffic = threading.Thread(target=miss)
    traffic.start()
    try:
        result = look(redis.cache(), check="moment", sample_s=2, min_lookups_now=100)
    finally:
        stop.set()
        traffic.join(10)

    assert result.status is Status.FAIL
    assert result.of_status(FAIL)[0].observed.startswith("5% of ")


@pytest.mark.proof("inconclusive")
def test_a_cache_that_nobody_uses_or_watches_shows_nothing(redis: RedisServer) -> None:
    result = look(redis.cache(), check="", sample_s=0.1)

    assert result.status is Status.INCONCLUSIVE
    assert [finding.observed.split(" in ")[0] for finding in result.of_status(WARNING)] == ["0 look-ups"]


@pytest.mark.proof("error")
def test_a_prometheus_and_a_cache_that_do_not_answer_are_errors() -> None:
    cache = Cache(name="prod-cache", addresses=(f"127.0.0.1:{free_port()}",), is_tls=False)
    nowhere = PrometheusServer(name="watch", url=f"http://127.0.0.1:{free_port()}")

    result = look(cache, check="", prometheus=nowhere)

    assert result.status is Status.ERROR
    assert {finding.subject for finding in result.of_status(ERROR)} == {"prod-cache", "watch"}


# On an emulated account


def group(cloud: Cloud) -> Cache:
    cloud.client("elasticache").create_replication_group(
        ReplicationGroupId="orders", ReplicationGroupDescription="orders", Engine="redis"
    )
    return Cache(name="prod-cache", addresses=("cache:6379",), replication_group="orders")


def measure(cloud: Cloud, **sums: float) -> None:
    where = [{"Name": "CacheClusterId", "Value": "orders-001"}]
    cloud.client("cloudwatch").put_metric_data(
        Namespace="AWS/ElastiCache",
        MetricData=[
            {
                "MetricName": name,
                "Dimensions": where,
                "Value": value,
                "Timestamp": datetime.now(UTC) - timedelta(hours=2),
            }
            for name, value in sums.items()
        ],
    )


def watch_group(cloud: Cloud, *, actions: tuple[str, ...] = ("arn:aws:sns:eu-central-1:111122223333:pager",)) -> None:
    cloud.client("cloudwatch").put_metric_alarm(
        AlarmName="low-hit-rate",
        Namespace="AWS/ElastiCache",
        MetricName="CacheHitRate",
        Dimensions=[{"Name": "CacheClusterId", "Value": "orders-001"}],
        ComparisonOperator="LessThanThreshold",
        Threshold=80,
        EvaluationPeriods=6,
        Period=300,
        Statistic="Average",
        AlarmActions=list(actions),
    )


def test_a_group_with_an_alarm_and_a_good_ratio_passes(cloud: Cloud) -> None:
    cache = group(cloud)
    measure(cloud, CacheHits=9000, CacheMisses=1000)
    watch_group(cloud)

    result = look(cache, check="alarm", cloud=cloud)

    assert result.status is Status.PASS
    assert result.of_status(PASS)[0].observed == "an alert, and 90% of 10000 look-ups hit"


def test_a_group_without_an_alarm_and_with_a_poor_ratio_fails_for_both(cloud: Cloud) -> None:
    cache = group(cloud)
    measure(cloud, CacheHits=4000, CacheMisses=6000)

    result = look(cache, check="alarm", cloud=cloud)

    assert [finding.observed for finding in result.of_status(FAIL)] == [
        "no alarm looks at its hits or misses, 40% of 10000 look-ups hit"
    ]


def test_a_group_that_neither_an_alarm_nor_a_declared_prometheus_watches_fails(cloud: Cloud, tmp_path: Path) -> None:
    cache = group(cloud)

    with redis_watch(tmp_path, None, {}) as watch:
        result = look(cache, check="alarm", cloud=cloud, prometheus=watch.target)

    assert [finding.observed for finding in result.of_status(FAIL)] == ["no alarm looks at its hits or misses"]


def test_a_group_whose_alarm_tells_nobody_fails(cloud: Cloud) -> None:
    cache = group(cloud)
    watch_group(cloud, actions=())

    assert look(cache, check="alarm", cloud=cloud).status is Status.FAIL


def test_what_the_audit_may_not_see_of_cloudwatch_is_an_error(cloud: Cloud) -> None:
    cache = group(cloud)
    # The emulator calls the actions of CloudWatch by the name of its endpoint.
    cloud.allow_only("elasticache:DescribeReplicationGroups", "monitoring:DescribeAlarms")

    result = look(cache, check="alarm", cloud=cloud)

    assert result.status is Status.ERROR
    assert "cloudwatch.GetMetricData" in result.of_status(ERROR)[0].message
