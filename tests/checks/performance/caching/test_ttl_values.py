"""What a cache holds expires, class by class, within bounds, and memory pressure does not do the work of expiry."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quub_audit.checks.performance.caching.ttl_values import (
    ClassRule,
    TtlParameters,
    fault_of,
    is_burst,
    judge_class,
    judge_databases,
    judge_evictions,
    judge_sample,
)
from quub_audit.model.environment import Cache, Environment
from quub_audit.model.result import ItemResult
from quub_audit.model.status import FindingStatus, Grade, Status
from quub_audit.sdk import Finding, KeyClass, KeySample, RedisNode, RedisTopology
from quub_audit.testing import audit_item
from tests.worlds.redis import RedisServer

ITEM = "performance.caching.ttl-values"
PASS, FAIL, ERROR, WARNING = FindingStatus.PASS, FindingStatus.FAIL, FindingStatus.ERROR, FindingStatus.WARNING
WANTED = TtlParameters()
CACHE = Cache(name="prod-cache", addresses=("cache:6379",))


def of(keys: int = 1000, without: int = 0, *ttl_s: int) -> KeyClass:
    left = ttl_s or (10, 100, 200, 300, 400)
    return KeyClass(shape="product:*", keys=keys, without_expiry=without, ttl_s=left if without < keys else ())


def statuses(findings: Any) -> list[FindingStatus]:
    return [finding.status for finding in findings]


# Judgements


@pytest.mark.parametrize(
    ("found", "fault"),
    [
        (of(), ""),
        (of(1000, 10), ""),
        (of(1000, 11), "11 of 1000 keys never expire"),
        (of(1, 1), "1 of 1 keys never expire"),
        (of(10, 0, 1, 1, 1, 1, 86_401), "a key expires in 86401 s"),
        (of(10, 0, 1, 1, 1, 1, 86_400), ""),
        (of(10, 0, 0, 0, 0, 0, 0), "all 10 keys expire in 0 s or less"),
        (of(10, 0, 0, 0, 0, 0, 1), ""),
    ],
)
def test_a_class_expires_within_its_bounds(found: KeyClass, fault: str) -> None:
    assert fault_of(found, ClassRule(), 0.99) == fault


def test_sessions_live_longer_and_a_class_may_have_a_rule_of_its_own_or_live_forever() -> None:
    wanted = TtlParameters(classes=(ClassRule(shape="lock:*", forever="released by hand"), ClassRule(max_ttl_s=7)))

    assert TtlParameters().rule_for("session:*", "sessions").max_ttl_s == 2_592_000
    assert TtlParameters().rule_for("session:*", "cache").max_ttl_s == 86_400
    assert wanted.rule_for("product:*", "cache").max_ttl_s == 7
    assert list(judge_class(CACHE, KeyClass(shape="lock:*", keys=9, without_expiry=9), 9, wanted)) == []


@pytest.mark.parametrize(
    ("found", "sampled", "expected"),
    [
        (of(), 1000, [PASS]),
        (of(100, 100), 1000, [FAIL]),
        (of(9, 9), 1000, [WARNING]),
        (of(9, 9), 9, [FAIL]),
        (of(100, 0, 300, 300, 300, 300, 300), 1000, [PASS, WARNING]),
    ],
)
def test_a_small_class_is_warned_of_and_so_are_keys_that_go_all_at_once(
    found: KeyClass, sampled: int, expected: list[FindingStatus]
) -> None:
    assert statuses(judge_class(CACHE, found, sampled, WANTED)) == expected


@pytest.mark.parametrize(
    ("found", "burst"),
    [
        (of(100, 0, 297, 298, 299, 300, 300), True),
        (of(100, 0, 296, 298, 299, 300, 300), False),
        (of(99, 0, 300, 300, 300, 300, 300), False),
        (of(100, 100), False),
    ],
)
def test_many_keys_that_expire_within_a_hundredth_of_their_time_were_written_at_once(
    found: KeyClass, burst: bool
) -> None:
    assert is_burst(found) is burst


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        (KeySample(keys=0, total_keys=0), [WARNING]),
        (KeySample(keys=100, total_keys=100, classes=(of(100),)), [PASS]),
        (KeySample(keys=95, total_keys=100, classes=(of(95),)), [PASS]),
        (KeySample(keys=1000, total_keys=5000, classes=(of(),)), [PASS]),
    ],
)
def test_a_sample_that_is_too_small_is_not_judged(sample: KeySample, expected: list[FindingStatus]) -> None:
    assert statuses(judge_sample(CACHE, sample, WANTED)) == expected


def test_keys_of_which_too_few_could_be_sampled_are_undecided() -> None:
    (finding,) = judge_sample(CACHE, KeySample(keys=100, total_keys=5000, classes=(of(100),)), WANTED)

    assert finding.is_undecided
    assert "min_sample" in finding.next_step


def topology(**info: str) -> RedisTopology:
    return RedisTopology(nodes=(RedisNode(address="cache:6379", role="master", info=info),))


@pytest.mark.parametrize(
    ("evicted", "expired", "expected"),
    [
        ("0", "0", []),
        ("99", "0", []),
        ("10", "90", [PASS]),
        ("11", "89", [FAIL]),
        ("x", "0", [ERROR]),
        ("", "1", [ERROR]),
    ],
)
def test_memory_that_ends_does_not_do_the_work_of_expiry(
    evicted: str, expired: str, expected: list[FindingStatus]
) -> None:
    found = topology(evicted_keys=evicted, expired_keys=expired)

    assert statuses(judge_evictions(CACHE, found, WANTED)) == expected


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ({"db0": "keys=9,expires=0,avg_ttl=0"}, []),
        ({"db1": "keys=9,expires=0,avg_ttl=0"}, [FAIL]),
        ({"db15": "keys=9,expires=9,avg_ttl=0"}, [WARNING]),
        ({"db1": "<b>"}, []),
    ],
)
def test_databases_beside_the_first_are_judged_by_what_info_counts(
    info: dict[str, str], expected: list[FindingStatus]
) -> None:
    assert statuses(judge_databases(CACHE, topology(**info), WANTED)) == expected


@given(keys=st.integers(1, 2000), forever=st.integers(0, 2000), more=st.integers(1, 100))
def test_one_more_key_that_never_expires_never_mends_a_class(keys: int, forever: int, more: int) -> None:
    forever = min(forever, keys)
    before = fault_of(of(keys, forever), ClassRule(), 0.99)
    after = fault_of(of(keys + more, forever + more), ClassRule(), 0.99)

    assert not before or after


# On a real server


def look(cache: Cache | None, **parameters: Any) -> ItemResult:
    environment = Environment(service="orders", name="production", stage="production", caches=(cache,) if cache else ())
    return audit_item(ITEM, environment, parameters=parameters, min_evidence=Grade.LIVE)


def failed(result: ItemResult) -> list[tuple[str, str]]:
    return [(finding.subject, finding.observed) for finding in result.of_status(FAIL)]


def products(redis: RedisServer, count: int, *, ttl_s: int = 0) -> None:
    expiry = [("EX", ttl_s + number % 60) if ttl_s else () for number in range(count)]
    redis.send(*(("SET", f"product:{number}", "v", *expiry[number]) for number in range(count)))


@pytest.mark.proof("pass")
def test_a_cache_whose_keys_expire_by_and_by_passes(redis: RedisServer) -> None:
    products(redis, 1200, ttl_s=300)

    result = look(redis.cache())

    assert result.status is Status.PASS
    assert [finding.subject for finding in result.of_status(PASS)] == ["prod-cache product:*"]


@pytest.mark.proof("fail")
def test_a_class_of_keys_that_never_expire_fails_and_is_named_by_its_shape(redis: RedisServer) -> None:
    products(redis, 500, ttl_s=300)
    redis.send(*(("SET", f"user:alice{number}@quub.example", "v") for number in range(500)))

    result = look(redis.cache())

    assert result.status is Status.FAIL
    assert failed(result) == [("prod-cache user:*", "500 of 500 keys never expire")]
    assert "alice" not in repr(result)


@pytest.mark.proof("fail")
def test_a_key_that_lives_longer_than_a_day_fails(redis: RedisServer) -> None:
    products(redis, 100, ttl_s=90_000)

    assert [subject for subject, _ in failed(look(redis.cache()))] == ["prod-cache product:*"]
    assert look(redis.cache(), max_ttl_s=100_000).status is Status.PASS


def test_keys_of_another_database_that_never_expire_fail(redis: RedisServer) -> None:
    products(redis, 100, ttl_s=300)
    redis.send(("SELECT", 3), ("SET", "product:1", "v"))

    assert failed(look(redis.cache())) == [("prod-cache db3", "0 of 1 keys expire")]


@pytest.mark.proof("inconclusive")
def test_an_empty_cache_shows_nothing(redis: RedisServer) -> None:
    result = look(redis.cache())

    assert result.status is Status.INCONCLUSIVE
    assert [finding.observed for finding in result.of_status(WARNING)] == ["it holds no key"]


@pytest.mark.proof("inconclusive")
def test_an_empty_cache_whose_keys_once_expired_shows_nothing_either(redis: RedisServer) -> None:
    redis.send(*(("SET", f"product:{number}", "v", "PX", 1) for number in range(150)))
    redis.send(*(("GET", f"product:{number}") for number in range(150)))

    result = look(redis.cache())

    assert (result.status, result.of_status(PASS)) == (Status.INCONCLUSIVE, ())


@pytest.mark.proof("inconclusive")
def test_queues_and_undeclared_caches_show_nothing(redis: RedisServer) -> None:
    redis.send(("RPUSH", "queue:mail", "job"))

    assert look(redis.cache(purpose="queue")).status is Status.INCONCLUSIVE
    assert look(None).status is Status.INCONCLUSIVE


@pytest.mark.proof("error")
def test_a_cache_whose_keys_may_not_be_listed_is_an_error_that_names_the_rule(redis: RedisServer) -> None:
    products(redis, 10, ttl_s=300)
    redis.send(("ACL", "SETUSER", "quub_audit", "-scan"))
    try:
        result = look(redis.cache())
    finally:
        redis.send(("ACL", "SETUSER", "quub_audit", "+scan"))

    assert result.status is Status.ERROR
    assert result.of_status(ERROR)[0].next_step == "ACL SETUSER quub_audit +scan"


def test_a_finding_says_what_is_expected_in_the_same_words() -> None:
    finding: Finding = next(iter(judge_class(CACHE, of(), 1000, WANTED)))

    assert finding.expected == "99% expire, within 1 to 86400 s"
    assert finding.observed == "1000 keys expire, half of them in 200 s or less"
