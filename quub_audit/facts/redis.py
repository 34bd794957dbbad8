"""What a Redis or Valkey server tells of itself and of its keys; never a key's value, nor a whole key's name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisNode:
    """One server process."""

    address: str
    """`host:port`."""
    role: str
    """`master` or `slave`, as INFO says it."""
    info: Mapping[str, str] = field(default_factory=dict)
    """The fields of INFO by name: server, replication, memory, persistence, stats, cluster, keyspace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisTopology:
    """All servers behind one declared cache."""

    nodes: tuple[RedisNode, ...]
    """Primaries first, then by address; those that were named by the cache and could not be asked are in `silent`."""
    silent: tuple[tuple[str, str], ...] = ()
    """Addresses that could not be asked, and why."""
    cluster_state: str = ""
    """`ok` or `fail`; empty where it is no cluster."""
    cluster_slots_ok: int = 0
    sentinels: int = 0
    is_anonymous_refused: bool | None = None
    """Whether PING without credentials is refused; None where it could not be tried."""
    is_plaintext_refused: bool | None = None
    """Whether the port of a TLS cache refuses plaintext; None where the cache is declared without TLS."""
    is_tls: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyClass:
    """Keys whose names have the same shape, ids taken out: `session:*`."""

    shape: str
    keys: int
    """Of the sample."""
    without_expiry: int
    ttl_s: tuple[int, ...] = ()
    """Seconds left, of those that expire: minimum, quartiles, maximum; empty where none does."""
    kinds: tuple[str, ...] = ()
    """`string`, `hash` ..., sorted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySample:
    """A bounded sample of the keys of all primaries."""

    keys: int
    total_keys: int
    """As DBSIZE says, all primaries together."""
    classes: tuple[KeyClass, ...] = ()
    """The largest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisTraffic:
    """Look-ups of keys between two looks at the counters, all primaries together."""

    hits: int
    misses: int
    seconds: float
    """How far apart the two looks were."""
    is_reset: bool = False
    """A counter ran backwards: a restart, or CONFIG RESETSTAT, so that nothing can be told."""
