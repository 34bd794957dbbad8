"""A real Valkey is asked and judged as Redis is; its package is built without TLS, which is not asked for here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from quub_audit.connectors.base import Ledger
from quub_audit.connectors.redis_server import RedisConnector
from quub_audit.facts.seal import Redactor
from quub_audit.model.environment import Environment
from quub_audit.model.result import ItemResult
from quub_audit.model.status import FindingStatus, Grade, Status
from quub_audit.testing import audit_item
from tests.worlds.redis import RedisServer, redis_cluster, redis_pair, redis_server, valkey

FAIL, PASS = FindingStatus.FAIL, FindingStatus.PASS


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_pair(tmp_path_factory.mktemp("valkey"), program=valkey()) as (primary, _):
        yield primary


@pytest.fixture
def pair(running: RedisServer) -> RedisServer:
    """The primary, empty, its counters at zero, bounded to 64 MB."""
    running.send(
        ("FLUSHALL",),
        ("CONFIG", "SET", "maxmemory", "64mb"),
        ("CONFIG", "SET", "maxmemory-policy", "allkeys-lru"),
        ("CONFIG", "RESETSTAT"),
    )
    return running


def look(
    item: str, server: RedisServer, *, mode: Literal["single", "cluster"] = "single", **parameters: Any
) -> ItemResult:
    cache = server.cache(mode=mode)
    environment = Environment(service="orders", name="production", stage="production", caches=(cache,))
    return audit_item(f"performance.caching.{item}", environment, parameters=parameters, min_evidence=Grade.LIVE)


def observed(result: ItemResult, status: FindingStatus) -> list[str]:
    return [finding.observed for finding in result.of_status(status)]


def test_it_tells_its_own_name_and_is_sent_nothing_but_what_only_tells(pair: RedisServer) -> None:
    pair.send(("SET", "product:1", "v", "EX", 300), ("GET", "product:1"), ("CONFIG", "RESETSTAT"))
    asked, cache = RedisConnector((pair.cache(),), Ledger(), Redactor()), pair.cache()

    found = asked.topology(cache)
    sample = asked.sample(cache, keys=10)
    traffic = asked.traffic(cache, wait_s=0.01)

    assert [node.role for node in found.nodes] == ["master", "slave"]
    assert found.nodes[0].info["server_name"] == "valkey"
    assert found.nodes[0].info["redis_version"] == "7.2.4"
    assert found.is_anonymous_refused is True
    assert asked.config(cache, "maxmemory-policy") == {pair.address: "allkeys-lru"}
    assert [(each.shape, each.keys, each.without_expiry) for each in sample.classes] == [("product:*", 1, 0)]
    assert (traffic.hits, traffic.misses) == (0, 0)
    told = {"auth", "config|get", "config|resetstat", "dbsize", "info", "ping", "pttl", "scan", "type"}
    of_its_replica = {"psync", "replconf"}
    assert pair.commands() - told - of_its_replica == frozenset()


def test_a_pair_passes_and_is_called_by_its_own_version(pair: RedisServer) -> None:
    result = look("layer-configured", pair, tls=False, promoted_by="an operator")

    assert result.status is Status.PASS, result.reason
    said = observed(result, PASS)[1]
    assert said.startswith("Valkey 9.")
    assert said.endswith(", 2 servers, all in step")


def test_a_cluster_of_three_passes(tmp_path: Path) -> None:
    with redis_cluster(tmp_path, is_tls=False, program=valkey()) as nodes:
        for each in nodes:
            each.send(("CONFIG", "SET", "maxmemory", "64mb"), ("CONFIG", "SET", "maxmemory-policy", "allkeys-lru"))
        result = look("layer-configured", nodes[0], mode="cluster", tls=False)

    assert result.status is Status.PASS, result.reason


def test_an_open_server_alone_fails(tmp_path: Path) -> None:
    with redis_server(tmp_path, program=valkey(), is_open=True) as server:
        result = look("layer-configured", server, tls=False)

    assert observed(result, FAIL) == [
        "whoever has no password is let in",
        f"{server.address} has 0 replicas in step, expected 1",
        f"{server.address}: its memory is not bounded, the policy is noeviction",
    ]


def test_keys_are_judged_by_their_expiry(pair: RedisServer) -> None:
    pair.send(*(("SET", f"product:{number}", "v", "EX", 300 + number % 60) for number in range(1000)))
    expiring = look("ttl-values", pair)
    pair.send(*(("SET", f"user:{number}", "v") for number in range(500)))
    forever = look("ttl-values", pair)

    assert expiring.status is Status.PASS, expiring.reason
    assert [finding.subject for finding in forever.of_status(FAIL)] == ["prod-cache user:*"]


def test_a_server_on_which_nothing_ever_ends_fails(pair: RedisServer) -> None:
    pair.send(*(("SET", f"product:{number}", "v") for number in range(120)))

    assert observed(look("invalidation-strategy", pair), FAIL) == [
        "120 keys were set, none was deleted, and none of 120 expires"
    ]


def test_without_traffic_or_a_watch_its_hit_rate_is_not_known(pair: RedisServer) -> None:
    assert look("hit-rate-monitored", pair, sample_s=0.1).status is Status.INCONCLUSIVE
