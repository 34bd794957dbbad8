"""A Redis pair as it should be, with TLS and users; shared by the tests of a worker, emptied for each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from quub_audit.demo.authority import Authority
from tests.worlds.redis import RedisServer, redis_pair


@pytest.fixture(scope="session")
def running_pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_pair(tmp_path_factory.mktemp("redis"), authority=Authority()) as (primary, _):
        yield primary


@pytest.fixture
def redis(running_pair: RedisServer) -> RedisServer:
    """The primary, empty, its counters at zero, bounded to 64 MB."""
    running_pair.send(
        ("FLUSHALL",),
        ("CONFIG", "SET", "maxmemory", "64mb"),
        ("CONFIG", "SET", "maxmemory-policy", "allkeys-lru"),
        (
            "CONFIG",
            "RESETSTAT",
        ),
    )
    return running_pair
