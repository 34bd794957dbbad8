"""Redis and Valkey: servers alone, behind sentinels and in clusters; asked, never told.

What is sent passes the one gate of `redis_wire`. Names of keys are read to ask for their expiry, and only their shapes
leave this module; values are never asked for. https://redis.io/docs/latest/commands/ describes the answers.
"""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from quub_audit.connectors.base import Ledger, Question, seconds_left
from quub_audit.connectors.names import join_host_port, split_host_port
from quub_audit.connectors.redis_keys import shapes_of
from quub_audit.connectors.redis_wire import ErrorReply, Reply, Wire, is_plaintext_answered, open_wire
from quub_audit.errors import Absent, Denied, Malformed, Reportable, Throttled, TimedOut, Unreachable, Unsupported
from quub_audit.facts.redis import KeyClass, KeySample, RedisNode, RedisTopology, RedisTraffic
from quub_audit.facts.seal import Redactor
from quub_audit.model.environment import Cache, credentials_of

T = TypeVar("T")

MAX_NODES = 64
"""Servers of one cache that are asked."""

MAX_FIELDS = 2000
"""Fields of INFO that are kept."""

SCAN_COUNT = 500
"""Keys that one SCAN is asked for; it blocks the server for well below a millisecond."""

SCAN_TIMEOUT_S = 10.0
"""How long one server is scanned: a scan of a keyspace that changes may never end."""

SCAN_ROUNDS = 2000
"""How often SCAN is sent to one server: most answers may be empty."""

MAX_WAIT_S = 30.0
"""Longest pause between two looks at the counters."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A server that a cache is made of."""

    address: str
    named: str = ""
    """The name that its certificate bears, where that is not the host."""


class RedisConnector:
    """Implements `quub_audit.facts.asking.Redis`. Built without I/O; no connection outlives a question."""

    def __init__(self, caches: Iterable[Cache], ledger: Ledger, redactor: Redactor) -> None:
        self._ledger = ledger
        for cache in caches:
            for value in credentials_of(cache):
                redactor.add(value)

    def topology(self, cache: Cache) -> RedisTopology:
        """Every server behind the cache, with its INFO.

        Raises Denied (naming the rule of the ACL that is missing), Unreachable, TimedOut, NotTls, Malformed, Absent
        (the sentinels know no such master). A server that the others name and that cannot be asked is in `silent`.
        """
        return self._ask(cache, "servers", lambda: self._look(cache))

    def config(self, cache: Cache, name: str) -> Mapping[str, str] | None:
        """One parameter by primary's address; None where the server knows no CONFIG, as managed ones do not.

        Raises Refused for a parameter that may hold a secret, Denied where the ACL lacks `+config|get`.
        """

        def find() -> Mapping[str, str] | None:
            values = {}
            for address in self._primaries(cache):
                with self._open(cache, address) as wire:
                    value = _read_parameter(cache, wire, name)
                if value is None:
                    return None
                values[address] = value
            return values

        return self._ask(cache, f"CONFIG GET {name}", find)

    def sample(self, cache: Cache, *, keys: int) -> KeySample:
        """At most `keys` keys of all primaries by SCAN, classed by the shape of their names; database 0 alone.

        Each server is scanned for 10 s at most. No name leaves: what could tell who or what is a `*` in the shape.
        """

        def find() -> KeySample:
            held = {address: self._size(cache, address) for address in self._primaries(cache)}
            seen: list[_Key] = []
            # What the small ones do not have comes from the large ones.
            for done, address in enumerate(sorted(held, key=lambda each: held[each])):
                share = math.ceil((keys - len(seen)) / (len(held) - done))
                with self._open(cache, address) as wire:
                    seen.extend(_scan(cache, wire, share))
            return KeySample(keys=len(seen), total_keys=sum(held.values()), classes=_classes(seen))

        return self._ask(cache, f"SCAN of {keys} keys", find)

    def traffic(self, cache: Cache, *, wait_s: float) -> RedisTraffic:
        """Look-ups of all primaries between two looks at INFO, `wait_s` seconds (at most 30) apart."""

        def find() -> RedisTraffic:
            addresses = self._primaries(cache)
            before = [self._counters(cache, address) for address in addresses]
            began = time.monotonic()
            _wait(began + min(wait_s, MAX_WAIT_S))
            after = [self._counters(cache, address) for address in addresses]
            return _traffic(before, after, time.monotonic() - began)

        return self._ask(cache, f"INFO stats twice in {wait_s:g} s", find)

    # How the servers are found

    def _ask(self, cache: Cache, name: str, find: Callable[[], T]) -> T:
        return self._ledger.ask(Question.about("redis", cache.name, name), find)

    def _primaries(self, cache: Cache) -> tuple[str, ...]:
        """Addresses of the primaries. Raises Unreachable where one cannot be asked: its keys would be left out."""
        topology = self.topology(cache)
        primaries = tuple(node.address for node in topology.nodes if node.role == "master")
        if topology.silent and cache.mode == "cluster":
            address, why = topology.silent[0]
            raise Unreachable(f"{cache}: {address} could not be asked, so its keys are not known: {why}")
        if not primaries:
            raise Unreachable(f"{cache}: there is no primary among {', '.join(n.address for n in topology.nodes)}")
        return primaries

    def _look(self, cache: Cache) -> RedisTopology:
        found, state, slots, sentinels = self._discover(cache)
        nodes: dict[str, RedisNode] = {}
        silent: dict[str, str] = {}
        declared = set(cache.addresses) if cache.mode == "single" else set()
        waiting = list(dict.fromkeys(found))
        for place in waiting:
            if len(nodes) + len(silent) >= MAX_NODES:
                silent[place.address] = f"only {MAX_NODES} servers are asked"
                continue
            try:
                node = self._describe(cache, place)
            except Reportable as error:
                if place.address in declared:
                    raise
                silent[place.address] = error.message
                continue
            nodes[place.address] = node
            if cache.mode == "single":
                waiting.extend(_Found(each) for each in _neighbours(node) if each not in {w.address for w in waiting})
        if not nodes:
            raise Unreachable(f"{cache}: none of {', '.join(silent)} could be asked: {next(iter(silent.values()))}")
        first = next(place for place in waiting if place.address in nodes)
        return RedisTopology(
            nodes=tuple(sorted(nodes.values(), key=lambda node: (node.role != "master", node.address))),
            silent=tuple(sorted(silent.items())),
            cluster_state=state,
            cluster_slots_ok=slots,
            sentinels=sentinels,
            is_anonymous_refused=self._is_anonymous_refused(cache, first),
            is_plaintext_refused=_negated(is_plaintext_answered(first.address)) if cache.is_tls else None,
            is_tls=cache.is_tls,
        )

    def _discover(self, cache: Cache) -> tuple[list[_Found], str, int, int]:
        """Servers, `cluster_state`, `cluster_slots_ok`, number of sentinels."""
        if cache.mode == "single":
            return [_Found(address) for address in cache.addresses], "", 0, 0
        ask = self._of_cluster if cache.mode == "cluster" else self._of_sentinel
        first: Reportable | None = None
        for address in cache.addresses:
            try:
                return ask(cache, address)
            except (Unreachable, TimedOut) as error:  # the next one may be up
                first = first or error
        raise first or Absent(f"{cache}: no address is declared", next_step="name one under `addresses`")

    def _of_cluster(self, cache: Cache, address: str) -> tuple[list[_Found], str, int, int]:
        with self._open(cache, address) as wire:
            about = _fields(_text(cache, wire, ("CLUSTER", "INFO")))
            shards = wire.ask(("CLUSTER", "SHARDS"))[0]
            if isinstance(shards, ErrorReply) and shards.code == "ERR":  # before Redis 7
                found = list(_of_slots(_checked(cache, wire, ("CLUSTER", "SLOTS")), address))
            else:
                _require_no_error(cache, wire.address, ("CLUSTER", "SHARDS"), shards)
                found = list(_of_shards(shards, address, is_tls=cache.is_tls))
        slots = about.get("cluster_slots_ok", "0")
        return found or [_Found(address)], about.get("cluster_state", ""), int(slots) if slots.isdigit() else 0, 0

    def _of_sentinel(self, cache: Cache, address: str) -> tuple[list[_Found], str, int, int]:
        with open_wire(address, is_tls=cache.is_tls, ca_file=cache.ca_file) as wire:
            if isinstance(wire.ask(("PING",))[0], ErrorReply):
                _log_in(cache, wire)
            master = _checked(cache, wire, ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", cache.master))
            if not isinstance(master, list) or len(master) != 2:
                raise Absent(
                    f"{cache}: the sentinel {address} knows no master named {cache.master}",
                    next_step="set `master` of the cache to the name that the sentinels monitor",
                )
            replicas = _checked(cache, wire, ("SENTINEL", "REPLICAS", cache.master))
            others = _checked(cache, wire, ("SENTINEL", "SENTINELS", cache.master))
        found = [_place(str(master[0]), master[1])]
        found.extend(_place(each.get("ip", ""), each.get("port", "")) for each in _records(replicas))
        return [place for place in found if place.address], "", 0, 1 + len(list(_records(others)))

    # How one server is asked

    def _open(self, cache: Cache, address: str, named: str = "") -> Wire:
        wire = open_wire(address, is_tls=cache.is_tls, ca_file=cache.ca_file, named=named)
        try:
            _log_in(cache, wire)
        except BaseException:
            wire.close()
            raise
        return wire

    def _describe(self, cache: Cache, place: _Found) -> RedisNode:
        with self._open(cache, place.address, place.named) as wire:
            info = {**_fields(_text(cache, wire, ("INFO",))), **_fields(_text(cache, wire, ("INFO", "commandstats")))}
        role = info.get("role", "")
        if role not in ("master", "slave"):
            raise Malformed(f"{cache}: INFO of {place.address} tells no role of a data server")
        if info.get("cluster_enabled") == "1" and cache.mode != "cluster":
            raise Malformed(
                f"{cache}: {place.address} is one server of a cluster, and the cache is declared as {cache.mode}",
                next_step=f"set `mode: cluster` for caches.{cache}",
            )
        return RedisNode(address=place.address, role=role, info=info)

    def _counters(self, cache: Cache, address: str) -> tuple[int, int]:
        with self._open(cache, address) as wire:
            info = _fields(_text(cache, wire, ("INFO", "stats")))
        try:
            return int(info["keyspace_hits"]), int(info["keyspace_misses"])
        except (KeyError, ValueError) as error:
            raise Malformed(f"{cache}: INFO of {address} tells neither hits nor misses") from error

    def _size(self, cache: Cache, address: str) -> int:
        with self._open(cache, address) as wire:
            reply = _checked(cache, wire, ("DBSIZE",))
        if not isinstance(reply, int):
            raise Malformed(f"{cache}: DBSIZE was answered by {address} with no number")
        return reply

    def _is_anonymous_refused(self, cache: Cache, place: _Found) -> bool | None:
        try:
            with open_wire(place.address, is_tls=cache.is_tls, ca_file=cache.ca_file, named=place.named) as wire:
                return isinstance(wire.ask(("PING",))[0], ErrorReply)
        except Reportable:
            return None


# Asking


def _log_in(cache: Cache, wire: Wire) -> None:
    if not cache.password:
        return
    command = ("AUTH", cache.user, cache.password) if cache.user else ("AUTH", cache.password)
    _require_no_error(cache, wire.address, command, wire.ask(command)[0])


def _checked(cache: Cache, wire: Wire, command: Sequence[str]) -> Reply:
    reply = wire.ask(command)[0]
    _require_no_error(cache, wire.address, command, reply)
    return reply


def _text(cache: Cache, wire: Wire, command: Sequence[str]) -> str:
    reply = _checked(cache, wire, command)
    if not isinstance(reply, str):
        raise Malformed(f"{cache}: {' '.join(command)} was answered by {wire.address} with no text")
    return reply


def _read_parameter(cache: Cache, wire: Wire, name: str) -> str | None:
    command = ("CONFIG", "GET", name)
    reply = wire.ask(command)[0]
    if isinstance(reply, ErrorReply) and reply.code == "ERR":
        return None
    _require_no_error(cache, wire.address, command, reply)
    if not isinstance(reply, list):
        raise Malformed(f"{cache}: {' '.join(command)} was answered by {wire.address} with no list")
    pairs = dict(zip(reply[::2], reply[1::2], strict=False))
    return _word(pairs[name]) if name in pairs else None


def _require_no_error(cache: Cache, address: str, command: Sequence[str], reply: Reply) -> None:
    if isinstance(reply, ErrorReply):
        raise _refusal(cache, address, command, reply)


def _refusal(cache: Cache, address: str, command: Sequence[str], reply: ErrorReply) -> Reportable:
    """What an error of the server means. Its words are told only where they cannot hold a name or a password."""
    name = _name_of(command)
    match reply.code:
        case "NOAUTH":
            return Denied(
                f"{cache}: {address} wants a password, and none is declared",
                permission="AUTH",
                next_step=f"set the password of caches.{cache}, and `user` where the ACL names one",
            )
        case "WRONGPASS":
            return Denied(
                f"{cache}: {address} knows no user {cache.user or 'default'} with the declared password",
                permission="AUTH",
                next_step=f"set user and password of caches.{cache} as the server's ACL has them",
            )
        case "NOPERM":
            rule = "%R~*" if " key" in reply.text else f"+{name.lower().replace(' ', '|')}"
            return Denied(
                f"{cache}: {address} denied {name} to {cache.user or 'the default user'}",
                permission=rule,
                next_step=f"ACL SETUSER {cache.user or 'default'} {rule}",
            )
        case "DENIED" | "-DENIED":
            return Denied(
                f"{cache}: {address} is in protected mode and lets in nobody from elsewhere",
                permission="AUTH",
                next_step="set a password on the server",
            )
        case "LOADING" | "MASTERDOWN" | "CLUSTERDOWN" | "BUSY" | "TRYAGAIN":
            return Unreachable(f"{cache}: {address} cannot answer {name} now: {_word(reply.text)}")
    if name == "AUTH":
        return Denied(
            f"{cache}: {address} refused the declared password; it may have none, or know no users",
            permission="AUTH",
            next_step=f"set user and password of caches.{cache} as the server has them",
        )
    if "cluster support disabled" in reply.text:
        return Malformed(
            f"{cache}: {address} is no server of a cluster",
            next_step=f"set `mode` of caches.{cache} to single or sentinel",
        )
    if "max number of clients" in reply.text:
        return Throttled(f"{cache}: {address} takes no more clients", next_step="raise `maxclients`")
    said = "" if name in ("PTTL", "TYPE") else f": {_word(reply.text)}"
    return Unsupported(f"{cache}: {address} does not answer {name}{said}")


def _name_of(command: Sequence[str]) -> str:
    return " ".join(command[:2]) if command[0] in ("ACL", "CLUSTER", "CONFIG", "SENTINEL") else command[0]


def _wait(until: float) -> None:
    """Raises TimedOut as soon as the check's time is over, or it is ended."""
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, seconds_left(0.25)))


# What INFO and its like tell


def _fields(text: str) -> dict[str, str]:
    """`name:value` a line; the headings are left out."""
    fields: dict[str, str] = {}
    for line in text.splitlines()[: 2 * MAX_FIELDS]:
        name, separator, value = line.partition(":")
        if separator and name and not name.startswith("#") and len(fields) < MAX_FIELDS:
            fields[_word(name)] = _word(value)
    return fields


def _neighbours(node: RedisNode) -> Iterator[str]:
    """The primary of a replica, the replicas of a primary."""
    host, port = node.info.get("master_host", ""), node.info.get("master_port", "")
    if node.role == "slave" and host:
        yield _place(host, port).address
    for name, value in node.info.items():
        if name.startswith("slave") and name[5:].isdigit():
            parts = dict(part.partition("=")[::2] for part in value.split(","))
            if place := _place(parts.get("ip", ""), parts.get("port", "")).address:
                yield place


def _of_shards(reply: Reply, seed: str, *, is_tls: bool) -> Iterator[_Found]:
    for shard in _records(reply):
        for node in _records(shard.get("nodes")):
            port = (node.get("tls-port") if is_tls else node.get("port")) or node.get("port") or node.get("tls-port")
            host = node.get("endpoint") or node.get("hostname") or node.get("ip") or split_host_port(seed, 6379)[0]
            if (place := _place(host, port)).address:
                yield place


def _of_slots(reply: Reply, seed: str) -> Iterator[_Found]:
    for entry in reply if isinstance(reply, list) else ():
        for node in entry[2:] if isinstance(entry, list) else ():
            if isinstance(node, list) and len(node) >= 2:
                place = _place(str(node[0] or split_host_port(seed, 6379)[0]), node[1])
                if place.address:
                    yield place


def _records(reply: object) -> Iterator[dict[str, object]]:
    """Lists of names and values by turns, as mappings."""
    for entry in reply if isinstance(reply, list) else ():
        if isinstance(entry, list):
            yield {str(name): value for name, value in zip(entry[::2], entry[1::2], strict=False)}


def _place(host: object, port: object) -> _Found:
    """An empty address where the parts are none."""
    try:
        return _Found(join_host_port(*split_host_port(join_host_port(str(host), int(str(port))), 0)))
    except (Malformed, ValueError):
        return _Found("")


def _traffic(before: Sequence[tuple[int, int]], after: Sequence[tuple[int, int]], seconds: float) -> RedisTraffic:
    hits = [late[0] - early[0] for early, late in zip(before, after, strict=True)]
    misses = [late[1] - early[1] for early, late in zip(before, after, strict=True)]
    return RedisTraffic(
        hits=sum(max(0, each) for each in hits),
        misses=sum(max(0, each) for each in misses),
        seconds=round(seconds, 1),
        is_reset=min((*hits, *misses), default=0) < 0,
    )


# Keys


@dataclass(frozen=True, slots=True)
class _Key:
    shape: str
    ttl_s: int | None
    """None for a key that never expires."""
    kind: str


def _scan(cache: Cache, wire: Wire, wanted: int) -> list[_Key]:
    """At most `wanted` keys of one server, each once."""
    ends_at = time.monotonic() + seconds_left(SCAN_TIMEOUT_S)
    found: dict[str, tuple[int | None, str]] = {}
    cursor = "0"
    for _ in range(SCAN_ROUNDS):
        reply = _checked(cache, wire, ("SCAN", cursor, "COUNT", str(SCAN_COUNT)))
        cursor, names = _read_scan(cache, wire, reply)
        fresh = [name for name in dict.fromkeys(names) if name not in found][: wanted - len(found)]
        found.update(_ask_about(cache, wire, fresh))
        if cursor == "0" or len(found) >= wanted or time.monotonic() > ends_at:
            break
    shapes = shapes_of(found)
    return [_Key(shape, ttl, kind) for shape, (ttl, kind) in zip(shapes, found.values(), strict=True)]


def _read_scan(cache: Cache, wire: Wire, reply: Reply) -> tuple[str, list[str]]:
    if isinstance(reply, list) and len(reply) == 2 and isinstance(reply[0], str) and isinstance(reply[1], list):
        return reply[0], [name for name in reply[1] if isinstance(name, str)]
    raise Malformed(f"{cache}: SCAN was answered by {wire.address} with no cursor and keys")


def _ask_about(cache: Cache, wire: Wire, names: Sequence[str]) -> Iterator[tuple[str, tuple[int | None, str]]]:
    """Expiry and type of each; of what has gone meanwhile, nothing."""
    if not names:
        return
    replies = wire.ask(*(command for name in names for command in (("PTTL", name), ("TYPE", name))))
    for name, ttl, kind in zip(names, replies[::2], replies[1::2], strict=True):
        _require_no_error(cache, wire.address, ("PTTL",), ttl)
        _require_no_error(cache, wire.address, ("TYPE",), kind)
        if not isinstance(ttl, int) or not isinstance(kind, str):
            raise Malformed(f"{cache}: PTTL and TYPE were answered by {wire.address} with no number and word")
        if ttl != -2 and kind != "none":
            yield name, (None if ttl < 0 else math.ceil(ttl / 1000), _word(kind))


def _classes(keys: Iterable[_Key]) -> tuple[KeyClass, ...]:
    by_shape: defaultdict[str, list[_Key]] = defaultdict(list)
    for key in keys:
        by_shape[key.shape].append(key)
    classes = [_class(shape, found) for shape, found in by_shape.items()]
    return tuple(sorted(classes, key=lambda each: (-each.keys, each.shape)))


def _class(shape: str, keys: Sequence[_Key]) -> KeyClass:
    left = sorted(key.ttl_s for key in keys if key.ttl_s is not None)
    return KeyClass(
        shape=shape,
        keys=len(keys),
        without_expiry=len(keys) - len(left),
        ttl_s=tuple(left[round(part * (len(left) - 1) / 4)] for part in range(5)) if left else (),
        kinds=tuple(sorted(Counter(key.kind for key in keys))),
    )


def _negated(answered: bool | None) -> bool | None:
    return None if answered is None else not answered


def _word(text: object) -> str:
    """Something that a server sent, fit for one line."""
    return "".join(c if c.isprintable() and not "\ud800" <= c <= "\udfff" else "?" for c in str(text))[:300]
