"""Whatever the code caches becomes fresh again: it expires, is deleted where it changes, or its key has a version.

Pass          each key that production code writes to Redis is given an expiry, is deleted or expired elsewhere, or holds a version
Fail          a key is written without expiry and deleted nowhere; a server shows that what is written is neither deleted nor ever expires
Inconclusive  no repository is declared, or no write to Redis is found in it
Error         a file of the code could not be read; the cache cannot be reached or denies what is asked
Needs         a checkout of the code; for the server, Redis ACL: `+ping +info +cluster|info +cluster|shards +cluster|slots`
Source        the guide, Caching; RFC 9111, section 4.4 (invalidation); OWASP ASVS v5.0.0-14.2.2

Searched: JavaScript, TypeScript, Python and Go. Keys are compared by their shape, `order:*`. That a deletion stands in the code is no proof that every change passes it: a strategy that people agreed on is attested.
Warned of: code that deletes nothing, so that values are stale until they expire; a flush of the whole cache, after which everything is fetched at once.
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

import re
from collections.abc import Iterator

from pydantic import Field

from quub_audit.checks.performance.caching._writes import DROPS, FLUSHES, WRITES, Use, Uses, find_uses
from quub_audit.sdk import (
    Cache,
    Finding,
    Parameters,
    Redis,
    RedisTopology,
    Repositories,
    Repository,
    check,
    unread,
)

_CALLS = re.compile(r"^calls=(\d+),")
_EXPIRES = re.compile(r"^keys=(\d+),expires=(\d+)")
ENDING = ("del", "unlink", "expire", "pexpire", "expireat", "pexpireat", "setex", "psetex", "getdel")
"""Commands by which keys end; SET with an expiry shows in the keyspace."""


class Allowed(Parameters):
    """One place that was looked at by a person and found to be right."""

    place: str = Field(min_length=1)
    """`file:line`, as the report names it."""

    reason: str = Field(min_length=1)
    """Why it is right; shown in the report."""


class InvalidationParameters(Parameters):
    """What the checklist may set under `with:`."""

    min_writes: int = Field(default=100, ge=1)
    """Keys that a server must have been told to set before it is judged that none ever ends."""

    allow: tuple[Allowed, ...] = ()
    """Places that are right as they are, each with its reason."""

    def reason_for(self, use: Use) -> str:
        """Why the place is allowed, or an empty text."""
        named = f"{use.location.file}:{use.location.line}"
        return next((entry.reason for entry in self.allow if entry.place == named), "")


@check("Each key that code writes expires, is deleted, or has a version", each=Repository)
def code(subject: Repository, repositories: Repositories, wanted: InvalidationParameters) -> Iterator[Finding]:
    """A fail for each write that nothing ends, with its place; a pass for the repository that has none."""
    yield from judge_uses(find_uses(subject, repositories), wanted)


@check("What is written to a server ends some day", each=Cache)
def server(subject: Cache, redis: Redis, wanted: InvalidationParameters) -> Iterator[Finding]:
    """Counters of commands and of the keyspace; no pass comes of them."""
    if subject.purpose == "cache":
        yield from judge_counters(subject, redis.topology(subject), wanted)


def judge_uses(found: Uses, wanted: InvalidationParameters) -> Iterator[Finding]:
    """All writes of a repository; nothing where there is none."""
    yield from unread(found.repository, found.unreadable)
    writes, drops = found.of(WRITES), found.of(DROPS)
    ended = {use.shape for use in drops}
    endless = [use for use in writes if not (use.expires or use.is_versioned or use.shape in ended)]
    for use in endless:
        place = f"{found.repository}:{use.location}"
        if reason := wanted.reason_for(use):
            yield Finding.warning(subject=place, observed=f"allowed: {reason}", location=use.location)
            continue
        yield Finding.of(
            False,
            subject=place,
            observed=f"{use.method} of {use.shape} without expiry, and nothing deletes it",
            expected="an expiry, a deletion where the value changes, or a version in the key",
            location=use.location,
        )
    for use in found.of(FLUSHES):
        yield Finding.warning(
            subject=f"{found.repository}:{use.location}",
            observed=f"{use.method} empties the whole cache, and everything is fetched anew at once",
            expected="deletion of what changed",
            location=use.location,
        )
    if writes and not [use for use in endless if not wanted.reason_for(use)]:
        shapes = {use.shape for use in writes}
        yield Finding.of(
            True,
            subject=found.repository,
            observed=f"{_count(len(writes), 'write')} of {_count(len(shapes), 'shape')} of keys: "
            f"{sum(use.expires for use in writes)} with expiry, {sum(use.shape in ended for use in writes)} deleted",
            expected="each expires, is deleted, or has a version",
        )
    if writes and not drops:
        yield Finding.warning(
            subject=found.repository,
            observed="nothing is deleted anywhere, so that values are stale until they expire",
            expected="deletion where a value changes",
        )


def judge_counters(cache: Cache, topology: RedisTopology, wanted: InvalidationParameters) -> Iterator[Finding]:
    """A fail where keys are set and nothing on any primary ever ended or will."""
    primaries = [node.info for node in topology.nodes if node.role == "master"]
    writes = sum(_calls(info.get(f"cmdstat_{name}", "")) for info in primaries for name in ("set", "mset", "hset"))
    ends = sum(_calls(info.get(f"cmdstat_{name}", "")) for info in primaries for name in ENDING)
    expired = [info.get("expired_keys", "") for info in primaries]
    held = [found for info in primaries for name in info if (found := _keyspace(name, info[name]))]
    if writes < wanted.min_writes or ends or any(count != "0" for count in expired) or not held:
        return
    if not any(expiring for _, expiring in held):
        yield Finding.of(
            False,
            subject=cache.name,
            observed=f"{writes} keys were set, none was deleted, and none of {sum(keys for keys, _ in held)} expires",
            expected="keys that are deleted when they change, or expire",
        )


def _calls(statistic: str) -> int:
    found = _CALLS.match(statistic)
    return int(found[1]) if found else 0


def _keyspace(name: str, value: str) -> tuple[int, int] | None:
    found = _EXPIRES.match(value) if re.fullmatch(r"db\d+", name) else None
    return (int(found[1]), int(found[2])) if found else None


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
