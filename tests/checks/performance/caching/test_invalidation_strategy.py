"""Whatever the code caches becomes fresh again: it expires, is deleted where it changes, or its key has a version."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quub_audit.checks.performance.caching._writes import Use, find_uses, has_expiry, shape_of, split
from quub_audit.checks.performance.caching.invalidation_strategy import (
    InvalidationParameters,
    judge_counters,
)
from quub_audit.connectors.base import Ledger
from quub_audit.connectors.repository import RepositoryConnector
from quub_audit.demo.authority import make_pin
from quub_audit.demo.repository import build
from quub_audit.facts.seal import Redactor, Sealer
from quub_audit.model.environment import Cache, Environment, Repository
from quub_audit.model.result import ItemResult
from quub_audit.model.status import FindingStatus, Grade, Status
from quub_audit.sdk import RedisNode, RedisTopology
from quub_audit.testing import audit_item
from tests.worlds.redis import RedisServer, free_port

ITEM = "performance.caching.invalidation-strategy"
PASS, FAIL, ERROR, WARNING = FindingStatus.PASS, FindingStatus.FAIL, FindingStatus.ERROR, FindingStatus.WARNING
CACHE = Cache(name="prod-cache", addresses=("cache:6379",))
JS = 'import { Redis } from "ioredis";\n'
PY = "import redis\n"
GO = 'package a\n\nimport "github.com/redis/go-redis/v9"\n\nfunc f() {\n%s\n}\n'


def write(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def uses(folder: Path, files: Mapping[str, str]) -> tuple[Use, ...]:
    """What is found in a folder with these files, through the real connector."""
    connector = RepositoryConnector(Ledger(), Sealer(b"salt", Redactor()))
    try:
        return find_uses(Repository(name="app", path=str(write(folder, files))), connector).uses
    finally:
        connector.close()


# What is read in code

CALLS = [
    ("a.ts", JS + "await redis.set(`order:${id}`, value);", ("set", "order:*", False)),
    ("a.ts", JS + "await this.redis.set(`order:${id}`, value, 'EX', 300);", ("set", "order:*", True)),
    ("a.ts", JS + "await client.set(`order:${id}`, value, { EX: 300 });", ("set", "order:*", True)),
    ("a.ts", JS + "await client.set(`order:${id}`, value, { NX: true });", ("set", "order:*", False)),
    ("a.ts", JS + "await redis.set('lock:' + name, value, 'NX');", ("set", "lock:*", False)),
    ("a.ts", JS + "await redis.set('lock:' + name, value, 'PX', 5, 'NX');", ("set", "lock:*", True)),
    ("a.ts", JS + "await redis.setex(`order:${order.id}`, 300, value);", ("setex", "order:*", True)),
    ("a.ts", JS + "await client.setEx(`order:${order.id}`, 300, value);", ("setex", "order:*", True)),
    ("a.ts", JS + "await redis.hset(`cart:${id}`, 'a', 1);", ("hset", "cart:*", False)),
    ("a.ts", JS + "await redis.del(`order:${id}`);", ("del", "order:*", False)),
    ("a.ts", JS + "await this.client!.set(`order:${id}`, v);", ("set", "order:*", False)),
    ("a.ts", JS + "await client?.set(`order:${id}`, v, options);", ("set", "order:*", True)),
    ("a.ts", JS + "await redis.unlink(orderKey(id));", ("unlink", "<orderKey()>", False)),
    ("a.ts", JS + "const key = `order:${id}`;\nawait redis.set(key, value);", ("set", "order:*", False)),
    ("a.ts", JS + "await redis.set(KEYS.rates, value);", ("set", "<KEYS.rates>", False)),
    ("a.ts", JS + "await redis.set(key, value);", ("set", "<key> in a.ts", False)),
    ("a.js", "const redis = require('redis');\nclient.multi().set('a', b).exec();", ("set", "a", False)),
    ("a.py", PY + 'r.set(f"order:{order.id}", value)', ("set", "order:*", False)),
    ("a.py", PY + 'r.set("order:%s" % order_id, value, ex=300)', ("set", "order:*", True)),
    ("a.py", PY + 'r.set("order:{}".format(order_id), value, nx=True)', ("set", "order:*", False)),
    ("a.py", PY + 'r.set("a", value, ex=None)', ("set", "a", False)),
    ("a.py", PY + 'self.redis_client.setex(f"order:{i}", 300, value)', ("setex", "order:*", True)),
    ("a.py", PY + 'cache_key = f"order:{i}"\nr.delete(cache_key)', ("delete", "order:*", False)),
    ("a.py", "from django.core.cache import cache\ncache.set('rates', v, 300)", ("set", "rates", True)),
    ("a.py", "from django.core.cache import cache\ncache.set('rates', v)", ("set", "rates", True)),
    ("a.py", "from django.core.cache import cache\ncache.set('rates', v, None)", ("set", "rates", False)),
    ("a.py", "from django.core.cache import cache\ncache.set('rates', v, timeout=None)", ("set", "rates", False)),
    ("a.go", GO % '\trdb.Set(ctx, "order:"+id, value, 0)', ("set", "order:*", False)),
    ("a.go", GO % '\trdb.Set(ctx, fmt.Sprintf("order:%d", id), value, time.Hour)', ("set", "order:*", True)),
    ("a.go", GO % "\trdb.Del(ctx, key)", ("del", "<key> in a.go", False)),
]


@pytest.mark.parametrize(("name", "code", "expected"), CALLS)
def test_a_key_is_read_with_its_shape_and_expiry(
    tmp_path: Path, name: str, code: str, expected: tuple[str, str, bool]
) -> None:
    found = uses(tmp_path, {name: code})

    assert [(use.method, use.shape, use.expires) for use in found] == [expected]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("a.ts", "const cache = new Map();\ncache.set(key, value);"),
        ("a.ts", JS + "new URLSearchParams().set('a', 'b');\nheaders.set('a', 'b');"),
        ("a.ts", JS + "// redis.set(key, value)\nconst text = 'redis.set(key, value)';"),
        ("a.ts", JS + "await redis.get(key);"),
        ("a.ts", JS + "user.set('name', name);\njobClient.add(job);"),
        ("test/a.test.ts", JS + "await redis.set(key, value);"),
        ("a.py", "settings.set('a', 'b')"),
    ],
)
def test_what_is_no_redis_is_left_alone(tmp_path: Path, name: str, code: str) -> None:
    assert uses(tmp_path, {name: code}) == ()


def test_each_key_of_a_list_is_deleted(tmp_path: Path) -> None:
    found = uses(tmp_path, {"a.ts": JS + "await redis.del([`order:${id}`, 'rates']);\nawait redis.del('a', ...more);"})

    assert [use.shape for use in found] == ["order:*", "rates", "a", "<more> in a.ts"]


def test_the_nearest_assignment_above_tells_what_a_name_stands_for(tmp_path: Path) -> None:
    code = (
        "function a() {\n  const key = `order:${id}`;\n  return redis.set(key, v);\n}\n"
        "function b() {\n  const key = `cart:${id}`;\n  return redis.del(key);\n}\n"
    )

    assert [use.shape for use in uses(tmp_path, {"a.ts": JS + code})] == ["order:*", "cart:*"]


@given(st.text(alphabet="ab,()[]{}\"'`\\+ ", max_size=60))
def test_any_text_is_split_without_end_or_loss_of_order(text: str) -> None:
    parts = split(text)

    assert "".join("".join(parts).split()).replace(",", "") == "".join(text.split()).replace(",", "")
    assert all(parts)


@given(st.text(max_size=200))
def test_any_text_has_a_shape(text: str) -> None:
    assert isinstance(shape_of(text, "a.ts"), str)
    assert has_expiry("set", (text, text, text), "python") in (True, False)


# What servers count


def topology(**info: str) -> RedisTopology:
    return RedisTopology(nodes=(RedisNode(address="cache:6379", role="master", info=info),))


ENDLESS = {"cmdstat_set": "calls=100,usec=1", "expired_keys": "0", "db0": "keys=90,expires=0,avg_ttl=0"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [FAIL]),
        ({"cmdstat_set": "calls=99,usec=1"}, []),
        ({"cmdstat_del": "calls=1,usec=1"}, []),
        ({"cmdstat_unlink": "calls=1,usec=1"}, []),
        ({"expired_keys": "1"}, []),
        ({"expired_keys": ""}, []),
        ({"db0": "keys=90,expires=1,avg_ttl=0"}, []),
        ({"db1": "keys=90,expires=1,avg_ttl=0"}, []),
        ({"db0": "<b>"}, []),
    ],
)
def test_a_server_fails_only_where_nothing_ever_ended_or_will(
    changes: dict[str, str], expected: list[FindingStatus]
) -> None:
    found = judge_counters(CACHE, topology(**{**ENDLESS, **changes}), InvalidationParameters())

    assert [finding.status for finding in found] == expected


# On real code and servers


def look(folder: Path | None, *, cache: Cache | None = None, **parameters: Any) -> ItemResult:
    environment = Environment(
        service="orders",
        name="production",
        stage="production",
        repositories=(Repository(name="app", path=str(folder)),) if folder else (),
        caches=(cache,) if cache else (),
    )
    return audit_item(ITEM, environment, parameters=parameters, min_evidence=Grade.REPOSITORY)


READ = JS + "export const read = (id, value) => redis.set(`order:${id}`, value%s);\n"
CHANGE = JS + "export const change = (order) => redis.del(`order:${order.id}`);\n"


@pytest.mark.proof("pass")
def test_code_that_deletes_what_changes_passes_though_it_never_expires(tmp_path: Path) -> None:
    write(tmp_path, {"src/read.ts": READ % "", "src/change.ts": CHANGE})

    result = look(tmp_path)

    assert result.status is Status.PASS
    assert [finding.observed for finding in result.of_status(PASS)] == [
        "1 write of 1 shape of keys: 0 with expiry, 1 deleted"
    ]


@pytest.mark.proof("pass")
def test_code_whose_keys_expire_passes_and_is_warned_of_when_it_deletes_nothing(tmp_path: Path) -> None:
    write(tmp_path, {"src/read.ts": READ % ", 'EX', 300"})

    result = look(tmp_path)

    assert result.status is Status.PASS
    assert [finding.subject for finding in result.of_status(WARNING)] == ["app"]


def test_a_key_with_a_version_needs_no_deletion(tmp_path: Path) -> None:
    write(tmp_path, {"src/read.ts": JS + "redis.set(`order:${id}:${order.version}`, value);\n"})

    assert look(tmp_path).status is Status.PASS


@pytest.mark.proof("fail")
def test_a_key_that_neither_expires_nor_is_deleted_fails_with_its_place(tmp_path: Path) -> None:
    write(tmp_path, {"src/read.ts": READ % "", "src/change.ts": CHANGE.replace("order:", "cart:")})

    result = look(tmp_path)

    assert result.status is Status.FAIL
    assert [(str(finding.location), finding.observed) for finding in result.of_status(FAIL)] == [
        ("src/read.ts:2:36", "set of order:* without expiry, and nothing deletes it")
    ]


def test_a_place_that_was_found_right_is_a_warning_with_its_reason(tmp_path: Path) -> None:
    write(tmp_path, {"src/read.ts": READ % ""})

    result = look(tmp_path, allow=[{"place": "src/read.ts:2", "reason": "never changes"}])

    assert result.status is Status.PASS
    assert "allowed: never changes" in [finding.observed for finding in result.of_status(WARNING)]


def test_a_flush_of_everything_is_warned_of(tmp_path: Path) -> None:
    write(tmp_path, {"src/read.ts": READ % ", 'EX', 300" + "redis.flushall();\n"})

    assert any("empties the whole cache" in finding.observed for finding in look(tmp_path).of_status(WARNING))


@pytest.mark.proof("fail")
def test_a_server_on_which_nothing_ever_ends_fails(redis: RedisServer) -> None:
    redis.send(*(("SET", f"product:{number}", "v") for number in range(120)))

    result = look(None, cache=redis.cache())

    assert result.status is Status.FAIL
    assert result.of_status(FAIL)[0].observed == "120 keys were set, none was deleted, and none of 120 expires"


@pytest.mark.proof("inconclusive")
def test_code_without_a_cache_shows_nothing(tmp_path: Path) -> None:
    write(tmp_path, {"src/app.ts": "const cache = new Map();\ncache.set(1, 2);\n"})

    assert look(tmp_path).status is Status.INCONCLUSIVE
    assert look(None).status is Status.INCONCLUSIVE


@pytest.mark.proof("error")
def test_a_repository_that_is_not_there_and_a_silent_server_are_errors(tmp_path: Path) -> None:
    cache = Cache(name="prod-cache", addresses=(f"127.0.0.1:{free_port()}",), is_tls=False)

    result = look(tmp_path / "nowhere", cache=cache)

    assert result.status is Status.ERROR
    assert {finding.subject for finding in result.of_status(ERROR)} == {"app", "prod-cache"}


def test_the_sample_service_of_the_demo_passes(tmp_path: Path) -> None:
    service = build(tmp_path / "service", healthy=True, pins=(make_pin("first"), make_pin("second")))

    assert look(service).status is Status.PASS
