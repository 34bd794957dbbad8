"""The hit ratio of each cache is collected, somebody is told when it falls, and it is above the floor.

Pass          Prometheus has fresh series of hits and misses, an alert looks at them, and the ratio over `window_h` is `min_ratio` or more; or an alarm of CloudWatch looks at the replication group of the cache, and the ratio of its metrics is
Fail          there are no series; no alert or alarm looks at them, or it cannot fire or tells nobody; the ratio is below the floor, over the window or, with enough look-ups, right now
Inconclusive  no cache is declared; nothing that watches it is declared; Prometheus has series of fewer servers than there are caches, and none names this one; nowhere are there `min_lookups` look-ups to judge by
Error         the cache, Prometheus or CloudWatch cannot be reached or denies what is asked; a declared replication group is in no declared region
Needs         Redis ACL: `+ping +info +cluster|info +cluster|shards +cluster|slots`; for Prometheus a way to its API; where `replication_group` is declared `elasticache:DescribeReplicationGroups`, `cloudwatch:DescribeAlarms`, `GetMetricData`
Source        the guide, Caching; AWS Well-Architected, PERF 5 and OPS 8; https://redis.io/docs/latest/commands/info/ (keyspace_hits counts look-ups of keys alone)

What a server counted since its start is not judged: only the difference between two looks is. A ratio that is right at one moment proves no monitoring, and passes nothing.
A cache with too few look-ups to judge by is a standby or barely used: it is warned of, and holds back nothing.
Warned of: counters that run backwards, too few look-ups, a Prometheus that knows nothing of caches that CloudWatch watches.
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pydantic import Field

from quub_audit.checks.performance.caching._groups import OF_GROUPS, absent_group, find_group
from quub_audit.sdk import (
    Aws,
    Cache,
    Clock,
    Environment,
    Finding,
    Grade,
    Parameters,
    Prometheus,
    PrometheusServer,
    Redis,
    RedisTraffic,
    Rule,
    Sample,
    check,
    cut,
)

NAMESPACE = "AWS/ElastiCache"
OF_HITS = frozenset({"CacheHitRate", "CacheHits", "CacheMisses"})
"""https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/CacheMetrics.Redis.html"""

BLIND_AFTER = timedelta(hours=1)
"""How long an alarm may have too little data before it is taken for blind."""

MAX_MEMBERS = 200
"""Nodes of a group whose metrics are summed up: two metrics each, of 500 that one question may name."""


class HitRateParameters(Parameters):
    """What the checklist may set under `with:`."""

    min_ratio: float = Field(default=0.8, ge=0, le=1)
    """Ratio of look-ups that must hit. House rule; set it per service."""

    window_h: int = Field(default=24, ge=1, le=336)
    """Hours over which the ratio is taken."""

    min_lookups: int = Field(default=10_000, ge=1)
    """Look-ups per window below which no ratio is judged."""

    sample_s: float = Field(default=5.0, ge=0, le=30)
    """Seconds between the two looks at the counters of the servers."""

    min_lookups_now: int = Field(default=1000, ge=1)
    """Look-ups per `sample_s` below which the ratio of the moment is not judged."""

    hits: str = Field(default="redis_keyspace_hits_total", pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$")
    """Counter of hits in Prometheus, one of its metrics; by default that of redis_exporter."""

    misses: str = Field(default="redis_keyspace_misses_total", pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$")
    """Counter of misses in Prometheus."""


@check("The hit ratio of the moment is not below the floor", each=Cache)
def moment(subject: Cache, redis: Redis, wanted: HitRateParameters) -> Iterator[Finding]:
    """The difference between two looks at INFO; no pass comes of it."""
    if subject.purpose == "cache":
        yield from judge_moment(subject, redis.traffic(subject, wait_s=wanted.sample_s), wanted)


@check("Prometheus collects hits and misses, and an alert looks at them", each=PrometheusServer, grade=Grade.LIVE)
def series(
    subject: PrometheusServer, prometheus: Prometheus, environment: Environment, wanted: HitRateParameters
) -> Iterator[Finding]:
    """Instant queries, which give nothing older than five minutes, and the loaded rules."""
    caches = [cache for cache in environment.caches if cache.purpose == "cache"]
    if not caches:
        return
    found = prometheus.query(subject, _of_counters(wanted))
    if missing := [name for name in (wanted.hits, wanted.misses) if not _has(found, name)]:
        yield judge_absent(subject, missing, is_elsewhere=all(cache.replication_group for cache in caches))
        return
    hits, misses = (f"sum(increase({name}[{wanted.window_h}h]))" for name in (wanted.hits, wanted.misses))
    counts = [value_of(prometheus.query(subject, expression)) for expression in (hits, misses)]
    watching = alerts_on(prometheus.rules(subject), (wanted.hits, wanted.misses))
    yield judge_watch(subject.name, counts[0], counts[1], why_unwatched(watching), wanted)
    for cache in uncollected(caches, [sample for sample in found if _has([sample], wanted.hits)]):
        # Those of ElastiCache may be watched by CloudWatch: the check below tells.
        if not cache.replication_group:
            yield judge_uncollected(cache, wanted)


def _of_counters(wanted: HitRateParameters) -> str:
    return f'{{__name__=~"{wanted.hits}|{wanted.misses}"}}'


@check(
    "An alarm looks at the hits of the replication group",
    each=Cache,
    # What passes is a metric with enough data points; the alarm alone never does.
    grade=Grade.LIVE,
    permissions=[*OF_GROUPS, "cloudwatch:DescribeAlarms", "cloudwatch:GetMetricData"],
)
def alarm(
    subject: Cache,
    aws: Aws,
    prometheus: Prometheus,
    environment: Environment,
    clock: Clock,
    wanted: HitRateParameters,
) -> Iterator[Finding]:
    """Alarms on the nodes of the group, and the sums of their metrics; nothing where Prometheus does it."""
    if not subject.replication_group or subject.purpose != "cache":
        return
    found = find_group(subject, aws, environment)
    if found is None:
        yield absent_group(subject)
        return
    region, group = found
    members = tuple(group.get("MemberClusters", ()))[:MAX_MEMBERS]
    alarms = aws.ask("cloudwatch.DescribeAlarms", region=region, AlarmTypes=["MetricAlarm"]).get("MetricAlarms", ())
    watching = [each for each in alarms if is_about(each, members)]
    if not watching:
        samples = [each for server in environment.prometheus for each in prometheus.query(server, _of_counters(wanted))]
        told = [sample for sample in samples if _has([sample], wanted.hits)]
        if told:
            caches = [cache for cache in environment.caches if cache.purpose == "cache"]
            if subject in uncollected(caches, told):
                yield judge_uncollected(subject, wanted)
            return
    now = clock.now().replace(second=0, microsecond=0)
    sums = aws.ask(
        "cloudwatch.GetMetricData",
        region=region,
        MetricDataQueries=queries(members),
        StartTime=now - timedelta(hours=wanted.window_h),
        EndTime=now,
    )
    hits, misses = (total(sums.get("MetricDataResults", ()), prefix) for prefix in ("hits", "misses"))
    unwatched = why_silent(watching, clock.now())
    yield judge_watch(str(group.get("ARN") or subject.replication_group), hits, misses, unwatched, wanted)


def judge_moment(cache: Cache, traffic: RedisTraffic, wanted: HitRateParameters) -> Iterator[Finding]:
    """A fail below the floor; a warning where the counters tell nothing; else nothing."""
    lookups = traffic.hits + traffic.misses
    if traffic.is_reset:
        yield Finding.warning(subject=cache.name, observed="its counters ran backwards while they were looked at")
    elif lookups < wanted.min_lookups_now:
        yield Finding.warning(
            subject=cache.name,
            observed=f"{lookups} look-ups in {traffic.seconds:g} s",
            expected=f"{wanted.min_lookups_now} or more, to judge the ratio of the moment",
        )
    elif traffic.hits < wanted.min_ratio * lookups:
        yield Finding.of(
            False,
            subject=cache.name,
            observed=f"{traffic.hits / lookups:.0%} of {lookups} look-ups in {traffic.seconds:g} s hit",
            expected=f"{wanted.min_ratio:.0%} or more",
        )


def uncollected(caches: Sequence[Cache], hits: Sequence[Sample]) -> tuple[Cache, ...]:
    """The caches that have no series, as far as can be told: none has a label that names them, and those whose labels
    name no cache are too few. Caches of the same addresses are one server.
    """
    told = [" ".join(sample.labels.values()) for sample in hits]
    unnamed = [cache for cache in caches if not any(_is_named(cache, labels) for labels in told)]
    nameless = [labels for labels in told if not any(_is_named(cache, labels) for cache in caches)]
    return tuple(unnamed) if len(nameless) < len({cache.addresses for cache in unnamed}) else ()


def _is_named(cache: Cache, labels: str) -> bool:
    hosts = [rf"(?<![\w.-]){re.escape(address.rpartition(':')[0])}(?![\w-])" for address in cache.addresses]
    # Nodes of a group are named `orders-001.orders.abc123.euc1.cache.amazonaws.com`.
    nodes = [rf"\.{re.escape(cache.replication_group)}\."] if cache.replication_group else []
    return any(re.search(name, labels) for name in (*hosts, *nodes))


def judge_uncollected(cache: Cache, wanted: HitRateParameters) -> Finding:
    """Somebody is told of other caches, and of this one it cannot be said."""
    return Finding.undecided(
        subject=cache.name,
        observed=f"no series of {wanted.hits} names it, and there are fewer servers with series than caches",
        expected="fresh series of hits and misses of each cache",
        next_step=f"let an exporter ask {cache}, or set an alarm of CloudWatch on its replication group",
    )


def judge_absent(server: PrometheusServer, missing: Sequence[str], *, is_elsewhere: bool) -> Finding:
    """A Prometheus without series: a fail, unless all caches are ElastiCache's and so CloudWatch's to watch."""
    observed = f"no series of {cut(missing)} in the last five minutes"
    expected = "fresh series of hits and misses"
    if is_elsewhere:
        return Finding.warning(subject=server.name, observed=observed, expected=expected)
    return Finding.of(False, subject=server.name, observed=observed, expected=expected)


def judge_watch(subject: str, hits: float, misses: float, unwatched: str, wanted: HitRateParameters) -> Finding:
    """Whether somebody is told, and the ratio over the window, where there is enough to judge by."""
    lookups = hits + misses
    expected = f"an alert, and {wanted.min_ratio:.0%} or more of the look-ups in {wanted.window_h} h hit"
    faults = [unwatched] if unwatched else []
    is_enough = lookups >= wanted.min_lookups
    if is_enough and hits < wanted.min_ratio * lookups:
        faults.append(f"{hits / lookups:.0%} of {lookups:.0f} look-ups hit")
    if not faults and not is_enough:
        return Finding.warning(
            subject=subject,
            observed=f"an alert, and {lookups:.0f} look-ups in {wanted.window_h} h",
            expected=f"{wanted.min_lookups} look-ups or more, to judge the ratio",
        )
    observed = cut(faults) if faults else f"an alert, and {hits / lookups:.0%} of {lookups:.0f} look-ups hit"
    return Finding.of(not faults, subject=subject, observed=observed, expected=expected)


# Prometheus


def _has(samples: Iterable[Sample], name: str) -> bool:
    return any(sample.labels.get("__name__") == name for sample in samples)


def value_of(samples: Sequence[Sample]) -> float:
    """The one value of a sum; 0 where there is none or it is no number."""
    value = samples[0].value if samples else 0.0
    return value if 0 <= value < float("inf") else 0.0


def alerts_on(rules: Sequence[Rule], metrics: Iterable[str]) -> tuple[Rule, ...]:
    """Alerting rules that look at one of `metrics`, by themselves or through recording rules."""
    names = set(metrics)
    recorded = [rule for rule in rules if rule.kind == "recording"]
    for _ in recorded:
        names |= {rule.name for rule in recorded if _names(rule.query) & names}
    return tuple(rule for rule in rules if rule.kind == "alerting" and _names(rule.query) & names)


def _names(query: str) -> frozenset[str]:
    return frozenset(re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*", query))


def why_unwatched(alerts: Sequence[Rule]) -> str:
    """Why nobody is told; empty where one alert works."""
    if not alerts:
        return "no alerting rule looks at hits or misses"
    broken = [rule for rule in alerts if rule.health == "err"]
    return f"{cut(rule.name for rule in broken)} cannot be evaluated" if len(broken) == len(alerts) else ""


# CloudWatch


def is_about(alarm: Mapping[str, Any], members: Sequence[str]) -> bool:
    """Whether an alarm looks at hits or misses of one of the nodes."""
    stats = [query.get("MetricStat", {}).get("Metric", {}) for query in alarm.get("Metrics") or ()]
    return any(
        metric.get("Namespace") == NAMESPACE
        and metric.get("MetricName") in OF_HITS
        and any(
            each["Name"] == "CacheClusterId" and each["Value"] in members for each in metric.get("Dimensions") or ()
        )
        for metric in (alarm, *stats)
    )


def why_silent(alarms: Sequence[Mapping[str, Any]], now: datetime) -> str:
    """Why nobody is told; empty where one alarm works."""
    if not alarms:
        return "no alarm looks at its hits or misses"
    reasons = [_why_silent(alarm, now) for alarm in alarms]
    return cut(reasons) if all(reasons) else ""


def _why_silent(alarm: Mapping[str, Any], now: datetime) -> str:
    name = alarm.get("AlarmName", "an alarm")
    if not (alarm.get("ActionsEnabled", True) and alarm.get("AlarmActions")):
        return f"{name} tells nobody"
    since = alarm.get("StateUpdatedTimestamp")
    if alarm.get("StateValue") == "INSUFFICIENT_DATA" and since and now - since > BLIND_AFTER:
        return f"{name} has had too little data since {since:%Y-%m-%d %H:%M} UTC"
    return ""


def queries(members: Sequence[str]) -> list[dict[str, Any]]:
    """Sums of hits and misses per node and hour, as `GetMetricData` wants them."""
    return [
        {
            "Id": f"{prefix}{number}",
            "MetricStat": {
                "Metric": {
                    "Namespace": NAMESPACE,
                    "MetricName": metric,
                    "Dimensions": [{"Name": "CacheClusterId", "Value": member}],
                },
                "Period": 3600,
                "Stat": "Sum",
            },
        }
        for number, member in enumerate(members)
        for prefix, metric in (("hits", "CacheHits"), ("misses", "CacheMisses"))
    ]


def total(results: Iterable[Mapping[str, Any]], prefix: str) -> float:
    """The sum of all values of the queries whose ids begin with `prefix`."""
    return sum(sum(each.get("Values", ())) for each in results if str(each.get("Id", "")).startswith(prefix))
