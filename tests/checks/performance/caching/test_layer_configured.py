"""The cache answers, lets in nobody unknown, speaks TLS alone, survives a server, and holds no more than it may."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pytest

from quub_audit.checks.performance.caching.layer_configured import (
    LayerParameters,
    is_fit,
    judge_access,
    judge_clients,
    judge_group,
    judge_memory,
    judge_nodes,
    judge_promotion,
    judge_second_port,
    replicas_in_step,
    version_of,
)
from quub_audit.model.environment import Account, Cache, Environment
from quub_audit.model.result import ItemResult
from quub_audit.model.status import FindingStatus, Grade, Status
from quub_audit.sdk import Finding, Reach, RedisNode, RedisTopology
from quub_audit.testing import audit_item
from tests.worlds.cloud import REGION, Cloud
from tests.worlds.redis import RedisServer, free_port, redis_cluster, redis_server

ITEM = "performance.caching.layer-configured"
PASS, FAIL, ERROR, WARNING = FindingStatus.PASS, FindingStatus.FAIL, FindingStatus.ERROR, FindingStatus.WARNING
WANTED = LayerParameters()
CACHE = Cache(name="prod-cache", addresses=("cache:6379",))
SOUND = {"redis_version": "7.0.15", "maxmemory": "1000", "maxmemory_policy": "allkeys-lru", "connected_clients": "5"}


def node(role: str = "master", address: str = "cache:6379", **info: str) -> RedisNode:
    return RedisNode(address=address, role=role, info={**SOUND, **info})


PRIMARY = node(slave0="ip=10.0.0.2,port=6379,state=online,offset=1,lag=0")
REPLICA = node("slave", "10.0.0.2:6379", master_link_status="up")


def topology(*nodes: RedisNode, **changes: Any) -> RedisTopology:
    sound: dict[str, Any] = {"is_anonymous_refused": True, "is_plaintext_refused": True, "is_tls": True}
    return RedisTopology(nodes=nodes or (PRIMARY, REPLICA), **{**sound, **changes})


def statuses(findings: Any) -> list[FindingStatus]:
    return [finding.status for finding in findings]


# Judgements


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [PASS, PASS]),
        ({"is_anonymous_refused": False}, [FAIL, PASS]),
        ({"is_anonymous_refused": None}, [ERROR, PASS]),
        ({"is_tls": False, "is_plaintext_refused": None}, [PASS, FAIL]),
        ({"is_plaintext_refused": False}, [PASS, FAIL]),
        ({"is_plaintext_refused": None}, [PASS, ERROR]),
    ],
)
def test_strangers_and_plaintext_are_refused_and_what_was_not_tried_is_no_pass(
    changes: dict[str, Any], expected: list[FindingStatus]
) -> None:
    assert statuses(judge_access(CACHE, topology(**changes), WANTED)) == expected


def test_a_checklist_may_do_without_tls_and_passwords() -> None:
    wanted = LayerParameters(tls=False, auth=False)

    assert statuses(judge_access(CACHE, topology(is_tls=False, is_anonymous_refused=False), wanted)) == []


def nodes_judged(found: RedisTopology, *, is_production: bool = True, mode: str = "sentinel") -> list[Finding]:
    cache = Cache(name="prod-cache", addresses=("cache:6379",), mode=mode)  # type: ignore[arg-type]
    return list(judge_nodes(cache, found, WANTED, is_production=is_production))


@pytest.mark.parametrize(
    ("found", "is_production", "mode", "observed"),
    [
        (topology(node()), True, "sentinel", "cache:6379 has 0 replicas in step, expected 1"),
        (topology(node(), REPLICA), True, "sentinel", "cache:6379 has 0 replicas in step, expected 1"),
        (topology(REPLICA), False, "sentinel", "there is no primary"),
        (
            topology(PRIMARY, node("slave", "b:1", master_link_status="down")),
            False,
            "sentinel",
            "the replica b:1 is not in step",
        ),
        (
            topology(node(), node(), cluster_state="ok", cluster_slots_ok=16384),
            True,
            "cluster",
            "2 servers, expected 3",
        ),
        (
            topology(node(), cluster_state="fail", cluster_slots_ok=5461),
            False,
            "cluster",
            "the cluster's state is fail, 5461 slots ok",
        ),
        (
            topology(node(), cluster_state="ok", cluster_slots_ok=16384, silent=(("b:1", "refused"),)),
            False,
            "cluster",
            "b:1 does not answer",
        ),
    ],
)
def test_a_cache_that_does_not_survive_a_server_fails(
    found: RedisTopology, is_production: bool, mode: str, observed: str
) -> None:
    findings = nodes_judged(found, is_production=is_production, mode=mode)

    assert [(finding.status, finding.observed) for finding in findings] == [(FAIL, observed)]


@pytest.mark.parametrize(
    ("found", "is_production", "mode", "expected"),
    [
        (topology(), True, "sentinel", [PASS]),
        (topology(node()), False, "single", [PASS]),
        (topology(silent=(("b:1", "refused"),)), True, "sentinel", [PASS, WARNING]),
        (topology(node(), node(), node(), cluster_state="ok", cluster_slots_ok=16384), True, "cluster", [PASS]),
    ],
)
def test_one_server_is_enough_outside_production_and_replicas_or_a_cluster_in_it(
    found: RedisTopology, is_production: bool, mode: str, expected: list[FindingStatus]
) -> None:
    assert statuses(nodes_judged(found, is_production=is_production, mode=mode)) == expected


def promotion(found: RedisTopology, *, group: str = "", mode: Any = "single", by: str = "") -> list[str]:
    cache = Cache(name="prod-cache", addresses=("cache:6379",), mode=mode, replication_group=group)
    return [finding.kind for finding in judge_promotion(cache, found, LayerParameters(promoted_by=by))]


def test_a_replica_that_nothing_promotes_is_undecided_until_it_is_said_what_does() -> None:
    assert promotion(topology()) == ["undecided"]
    assert promotion(topology(), by="an operator") == ["warning"]
    assert (
        promotion(topology(), mode="sentinel")
        == promotion(topology(), group="orders")
        == promotion(topology(node()))
        == []
    )


def test_replicas_of_a_managed_group_that_only_their_primary_reaches_are_not_warned_of() -> None:
    cache = Cache(name="prod-cache", addresses=("cache:6379",), replication_group="orders")
    found = topology(PRIMARY, silent=(("10.0.0.2:6379", "the certificate is not trusted"),))

    assert statuses(judge_nodes(cache, found, WANTED, is_production=True)) == [PASS]


def test_valkey_is_called_by_its_name_and_not_by_the_version_that_it_is_compatible_with() -> None:
    assert version_of(topology(node(server_name="valkey", valkey_version="8.1.0"))) == "Valkey 8.1.0"
    assert version_of(topology()) == "Redis 7.0.15"


def test_replicas_count_when_their_primary_sees_them_online() -> None:
    assert replicas_in_step({"slave0": "state=online", "slave1": "state=wait_bgsave", "slave_repl_offset": "1"}) == 1


@pytest.mark.parametrize(
    ("policy", "purpose", "fits"),
    [
        ("allkeys-lru", "cache", True),
        ("volatile-ttl", "cache", True),
        ("noeviction", "cache", False),
        ("noeviction", "sessions", True),
        ("volatile-lru", "sessions", False),
        ("allkeys-lru", "queue", False),
        ("noeviction", "queue", True),
    ],
)
def test_caches_evict_and_sessions_and_jobs_are_never_evicted(policy: str, purpose: str, fits: bool) -> None:
    assert is_fit(policy, purpose) is fits


@pytest.mark.parametrize(
    ("info", "group", "status"),
    [
        ({}, "", PASS),
        ({"maxmemory": "0"}, "", FAIL),
        ({"maxmemory": "0"}, "orders", PASS),
        ({"maxmemory_policy": "noeviction"}, "", FAIL),
        ({"maxmemory_policy": "noeviction"}, "orders", FAIL),
        ({"maxmemory": "?"}, "", ERROR),
        ({"maxmemory_policy": ""}, "", ERROR),
    ],
)
def test_memory_is_bounded_by_the_server_or_by_the_service(
    info: dict[str, str], group: str, status: FindingStatus
) -> None:
    cache = Cache(name="prod-cache", addresses=("cache:6379",), replication_group=group)

    assert statuses(judge_memory(cache, topology(node(**info), REPLICA))) == [status]


@pytest.mark.parametrize(("clients", "expected"), [("1", [WARNING]), ("2", []), ("", []), ("x", [])])
def test_a_cache_to_which_nobody_is_connected_is_warned_of(clients: str, expected: Sequence[FindingStatus]) -> None:
    assert statuses(judge_clients(CACHE, topology(node(connected_clients=clients)))) == list(expected)


@pytest.mark.parametrize(
    ("reach", "kind"), [(Reach.OPEN, "fail"), (Reach.REFUSED, "undecided"), (Reach.FILTERED, "undecided")]
)
def test_a_plaintext_port_beside_tls_fails_when_it_can_be_reached_and_is_undecided_else(
    reach: Reach, kind: str
) -> None:
    assert judge_second_port(CACHE, "cache:6380", 6379, reach).kind == kind


GROUP: dict[str, Any] = {
    "ReplicationGroupId": "orders",
    "Status": "available",
    "AutomaticFailover": "enabled",
    "TransitEncryptionEnabled": True,
    "AuthTokenEnabled": True,
    "NodeGroups": [
        {"NodeGroupMembers": [{"PreferredAvailabilityZone": "a"}, {"PreferredAvailabilityZone": "b"}]},
    ],
}


@pytest.mark.parametrize(
    ("changes", "is_production", "observed"),
    [
        ({}, True, "failover between 2 zones, TLS and authentication"),
        ({"AuthTokenEnabled": False, "UserGroupIds": ["u"]}, True, "failover between 2 zones, TLS and authentication"),
        ({"AuthTokenEnabled": False}, True, "it has neither a token nor a user group"),
        ({"TransitEncryptionEnabled": False}, True, "encryption in transit is off"),
        (
            {"TransitEncryptionMode": "preferred"},
            True,
            "encryption in transit is only preferred, so plaintext is taken",
        ),
        ({"AutomaticFailover": "disabled"}, True, "automatic failover is not enabled"),
        ({"NodeGroups": []}, True, "0 zones, expected 2"),
        ({"Status": "create-failed"}, True, "its status is create-failed"),
        ({"AutomaticFailover": "disabled"}, False, "failover between 2 zones, TLS and authentication"),
    ],
)
def test_a_replication_group_fails_over_between_zones_and_takes_no_plaintext(
    changes: dict[str, Any], is_production: bool, observed: str
) -> None:
    finding = judge_group({**GROUP, **changes}, WANTED, is_production=is_production)

    assert finding.observed == observed
    assert (finding.status is PASS) is observed.startswith("failover between")


# On real servers


def look(
    cache: Cache | None,
    *,
    stage: Literal["production", "staging"] = "production",
    account: Account | None = None,
    check: str = "server",
    environ: dict[str, str] | None = None,
    **parameters: Any,
) -> ItemResult:
    environment = Environment(
        service="orders",
        name=stage,
        stage=stage,
        caches=(cache,) if cache else (),
        aws=(account,) if account else (),
    )
    floor = Grade.LIVE if check == "server" else Grade.CONTROL_PLANE
    return audit_item(ITEM, environment, check=check, parameters=parameters, min_evidence=floor, environ=environ or {})


@pytest.mark.proof("pass")
def test_a_pair_with_tls_users_and_bounds_passes(redis: RedisServer) -> None:
    result = look(redis.cache(), promoted_by="an operator")

    assert result.status is Status.PASS
    assert [finding.observed for finding in result.of_status(PASS)][2] == "Redis 7.0.15, 2 servers, all in step"


@pytest.mark.proof("pass")
def test_a_cluster_of_three_passes(tmp_path: Path) -> None:
    with redis_cluster(tmp_path) as nodes:
        for each in nodes:
            each.send(("CONFIG", "SET", "maxmemory", "64mb"), ("CONFIG", "SET", "maxmemory-policy", "allkeys-lru"))
        result = look(nodes[0].cache(mode="cluster"))

    assert result.status is Status.PASS


@pytest.mark.proof("fail")
def test_an_open_server_alone_without_tls_or_bounds_fails_in_each_of_them(tmp_path: Path) -> None:
    with redis_server(tmp_path, is_open=True) as server:
        result = look(server.cache())

    assert result.status is Status.FAIL
    assert [finding.observed for finding in result.of_status(FAIL)] == [
        "whoever has no password is let in",
        "it is used without TLS",
        f"{server.address} has 0 replicas in step, expected 1",
        f"{server.address}: its memory is not bounded, the policy is noeviction",
    ]


@pytest.mark.proof("fail")
def test_a_plaintext_port_beside_that_of_tls_fails(redis: RedisServer) -> None:
    port = free_port()
    redis.send(("CONFIG", "SET", "port", port))
    try:
        result = look(redis.cache())
    finally:
        redis.send(("CONFIG", "SET", "port", 0))

    assert [finding.observed for finding in result.of_status(FAIL)] == [
        f"{redis.address} takes plaintext on port {port}"
    ]


@pytest.mark.proof("inconclusive")
def test_a_pair_that_is_sound_and_that_nothing_promotes_does_not_pass(redis: RedisServer) -> None:
    result = look(redis.cache())

    assert result.status is Status.INCONCLUSIVE
    assert result.of_status(PASS)
    assert "promoted_by" in result.next_step


@pytest.mark.proof("inconclusive")
def test_without_a_declared_cache_nothing_is_known() -> None:
    assert look(None).status is Status.INCONCLUSIVE


@pytest.mark.proof("error")
def test_a_cache_that_does_not_answer_is_an_error() -> None:
    result = look(Cache(name="prod-cache", addresses=(f"127.0.0.1:{free_port()}",), is_tls=False))

    assert result.status is Status.ERROR
    assert "refuses connections" in result.of_status(ERROR)[0].message


@pytest.mark.proof("error")
def test_a_missing_rule_of_the_acl_is_an_error_that_names_it(redis: RedisServer) -> None:
    redis.send(("ACL", "SETUSER", "quub_audit", "-info"))
    try:
        result = look(redis.cache())
    finally:
        redis.send(("ACL", "SETUSER", "quub_audit", "+info"))

    assert result.status is Status.ERROR
    assert result.of_status(ERROR)[0].next_step == "ACL SETUSER quub_audit +info"


# On an emulated account


def group(cloud: Cloud, **changes: Any) -> Cache:
    asked: dict[str, Any] = {
        "ReplicationGroupId": "orders",
        "ReplicationGroupDescription": "orders",
        "Engine": "redis",
        "NumCacheClusters": 2,
        "PreferredCacheClusterAZs": [f"{REGION}a", f"{REGION}b"],
        "AutomaticFailoverEnabled": True,
        "MultiAZEnabled": True,
        "TransitEncryptionEnabled": True,
        "AuthToken": "token-of-the-test-world",
    }
    cloud.client("elasticache").create_replication_group(**{**asked, **changes})
    return Cache(name="prod-cache", addresses=("cache:6379",), replication_group="orders")


@pytest.mark.parametrize(
    ("changes", "status"),
    [({}, Status.PASS), ({"AutomaticFailoverEnabled": False, "MultiAZEnabled": False}, Status.FAIL)],
)
def test_the_replication_group_of_a_cache_is_judged(cloud: Cloud, changes: dict[str, Any], status: Status) -> None:
    cache = group(cloud, **changes)

    # The emulator puts every member in one zone.
    account = cloud.account()
    result = look(cache, account=account, check="replication_group", environ=cloud.environ, min_zones=1)

    assert result.status is status


def test_a_replication_group_that_no_region_has_is_an_error(cloud: Cloud) -> None:
    cache = Cache(name="prod-cache", addresses=("cache:6379",), replication_group="orders")

    result = look(cache, account=cloud.account(), check="replication_group", environ=cloud.environ)

    assert result.status is Status.ERROR
    assert "no declared account and region has this replication group" in result.of_status(ERROR)[0].message


def test_a_cache_that_names_no_replication_group_asks_aws_nothing(cloud: Cloud) -> None:
    result = look(CACHE, account=cloud.account(), check="replication_group", environ=cloud.environ)

    assert result.status is Status.INCONCLUSIVE
