"""What a cache holds expires, class by class, within bounds, and memory pressure does not do the work of expiry.

Pass          of each class of keys that was sampled, `min_expiring` or more expire, none later than `max_ttl_s` and not all sooner than `min_ttl_s`; keys are evicted only now and then
Fail          keys of a class never expire; one expires later than the class may, or all at once; what is evicted is more than `max_evicted` of what goes; a database beside the first holds keys that never expire
Inconclusive  no cache is declared; all are empty or hold jobs alone; of one that holds keys fewer than `min_sample` could be sampled
Error         the cache cannot be reached or denies what is asked; a server of the cluster could not be asked
Needs         Redis ACL: `+ping +info +scan +dbsize +pttl +type %R~*`, no `+get`
Source        the guide, Caching; AWS Well-Architected, PERF 3; https://redis.io/docs/latest/commands/expire/

Keys are classed by the shape of their names; what could tell who or what is taken out (`session:*`), and no name of a key is kept. Seconds left are judged, so that a value that is written too long is seen while it is fresh.
An empty cache holds nothing that stays for ever; it holds back nothing, and passes nothing.
Warned of: a class whose keys all expire at the same second, small classes that break the rule, databases beside the first, which are not sampled.
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator

from pydantic import Field

from quub_audit.sdk import (
    Cache,
    Finding,
    FindingStatus,
    KeyClass,
    KeySample,
    Parameters,
    Redis,
    RedisTopology,
    check,
)

SMALL_CLASS = 0.01
"""Share of the sample below which a class that breaks the rule is warned of. House rule."""

BURST_KEYS = 100
BURST_SPREAD = 0.01
"""As many keys that expire within so small a part of their time left were written at once, and go at once."""

LEAST_GONE = 100
"""Keys that must have gone before it is judged how."""

SAMPLED_MOSTLY = 0.9
"""Share of all keys that counts as all of them: DBSIZE counts what has expired already."""

_DATABASE = re.compile(r"keys=(?P<keys>\d+),expires=(?P<expires>\d+)")


class ClassRule(Parameters):
    """What holds for keys of one shape instead of the general rule."""

    shape: str = Field(default="*", min_length=1)
    """Shape as the report names it; `*` stands for anything: `session:*`."""

    min_ttl_s: int = Field(default=1, ge=0)
    """Seconds that at least one key must have left."""

    max_ttl_s: int = Field(default=86_400, ge=1)
    """Seconds that no key may have left beyond."""

    forever: str = ""
    """Why keys of this shape rightly never expire (locks, queues, settings); they are not judged then."""


class TtlParameters(Parameters):
    """What the checklist may set under `with:`."""

    min_sample: int = Field(default=1000, ge=1, le=100_000)
    """Keys of a cache that are sampled, or all where there are fewer. House rule."""

    min_expiring: float = Field(default=0.99, ge=0, le=1)
    """Ratio of the keys of a class that must expire. House rule."""

    min_ttl_s: int = Field(default=1, ge=0)
    """Seconds: below it a cache is of no use. House rule."""

    max_ttl_s: int = Field(default=86_400, ge=1)
    """Seconds that no key of a cache may have left beyond. House rule: a day."""

    max_session_s: int = Field(default=2_592_000, ge=1)
    """The same for caches of the purpose `sessions`, in seconds. House rule: 30 days."""

    max_evicted: float = Field(default=0.1, ge=0, le=1)
    """Ratio of keys that may go because memory ends, of all that go. House rule."""

    classes: tuple[ClassRule, ...] = ()
    """Rules of their own for shapes; the first that fits counts."""

    def rule_for(self, shape: str, purpose: str) -> ClassRule:
        """The rule for keys of that shape in a cache of that purpose."""
        latest = self.max_session_s if purpose == "sessions" else self.max_ttl_s
        own = (rule for rule in self.classes if fnmatch.fnmatchcase(shape, rule.shape))
        return next(own, ClassRule(shape=shape, min_ttl_s=self.min_ttl_s, max_ttl_s=latest))


@check("Keys expire, class by class, and are not evicted in place of it", each=Cache)
def keys(subject: Cache, redis: Redis, wanted: TtlParameters) -> Iterator[Finding]:
    """One finding per class of a sample, one about evictions; where no key was judged, evictions alone pass nothing."""
    if subject.purpose == "queue":
        yield Finding.warning(subject=subject.name, observed="it holds jobs, whose keys rightly do not expire")
        return
    topology = redis.topology(subject)
    yield from judge_databases(subject, topology, wanted)
    of_keys = list(judge_sample(subject, redis.sample(subject, keys=wanted.min_sample), wanted))
    yield from of_keys
    is_judged = any(finding.status is not FindingStatus.WARNING for finding in of_keys)
    for finding in judge_evictions(subject, topology, wanted):
        if is_judged or finding.status is not FindingStatus.PASS:
            yield finding


def judge_sample(cache: Cache, sample: KeySample, wanted: TtlParameters) -> Iterator[Finding]:
    """The classes of a sample that is large enough; undecided where it is not, a warning where there is no key."""
    if not sample.keys:
        yield Finding.warning(subject=cache.name, observed="it holds no key", expected="keys to judge")
    elif sample.keys < min(wanted.min_sample, SAMPLED_MOSTLY * sample.total_keys):
        yield Finding.undecided(
            subject=cache.name,
            observed=f"{sample.keys} of {sample.total_keys} keys could be sampled in time",
            expected=f"{wanted.min_sample} keys, or all",
            next_step="audit again when the cache is less busy, or lower `min_sample`",
        )
    else:
        for found in sample.classes:
            yield from judge_class(cache, found, sample.keys, wanted)


def judge_class(cache: Cache, found: KeyClass, sampled: int, wanted: TtlParameters) -> Iterator[Finding]:
    """One class by the rule that holds for it."""
    subject = f"{cache.name} {found.shape}"
    rule = wanted.rule_for(found.shape, cache.purpose)
    if rule.forever:
        return
    fault = fault_of(found, rule, wanted.min_expiring)
    expected = f"{wanted.min_expiring:.0%} expire, within {rule.min_ttl_s} to {rule.max_ttl_s} s"
    if fault and found.keys < SMALL_CLASS * sampled:
        yield Finding.warning(subject=subject, observed=f"{fault}; a small class", expected=expected)
        return
    told = f"{found.keys} keys expire, half of them in {found.ttl_s[2]} s or less" if found.ttl_s else ""
    yield Finding.of(not fault, subject=subject, observed=fault or told or "no key expires", expected=expected)
    if not fault and is_burst(found):
        yield Finding.warning(
            subject=subject,
            observed=f"{found.keys} keys all expire in {found.ttl_s[0]} to {found.ttl_s[-1]} s",
            expected="expiry that is spread, so that not all is fetched anew at once",
        )


def fault_of(found: KeyClass, rule: ClassRule, min_expiring: float) -> str:
    """What is wrong with the expiry of a class; empty where nothing is."""
    expiring = found.keys - found.without_expiry
    if expiring < min_expiring * found.keys:
        return f"{found.without_expiry} of {found.keys} keys never expire"
    if not found.ttl_s:
        return ""
    if found.ttl_s[-1] > rule.max_ttl_s:
        return f"a key expires in {found.ttl_s[-1]} s"
    if found.ttl_s[-1] < rule.min_ttl_s:
        return f"all {found.keys} keys expire in {found.ttl_s[-1]} s or less"
    return ""


def is_burst(found: KeyClass) -> bool:
    """Whether so many keys go at the same time that all of them are fetched anew at once."""
    if found.keys - found.without_expiry < BURST_KEYS or not found.ttl_s:
        return False
    return found.ttl_s[-1] - found.ttl_s[0] <= BURST_SPREAD * found.ttl_s[-1]


def judge_databases(cache: Cache, topology: RedisTopology, wanted: TtlParameters) -> Iterator[Finding]:
    """Databases beside the first: INFO tells how many of their keys expire, and no more."""
    for node in topology.nodes:
        for name, value in sorted(node.info.items()):
            told = _DATABASE.match(value) if re.fullmatch(r"db[1-9]\d*", name) and node.role == "master" else None
            if told is None:
                continue
            held, expiring = int(told["keys"]), int(told["expires"])
            subject = f"{cache.name} {name}"
            observed = f"{expiring} of {held} keys expire"
            expected = f"{wanted.min_expiring:.0%} expire"
            if expiring < wanted.min_expiring * held:
                yield Finding.of(False, subject=subject, observed=observed, expected=expected)
            else:
                yield Finding.warning(subject=subject, observed=f"{observed}, and when was not sampled")


def judge_evictions(cache: Cache, topology: RedisTopology, wanted: TtlParameters) -> Iterator[Finding]:
    """How keys went since the servers started; nothing where few did."""
    primaries = [node.info for node in topology.nodes if node.role == "master"]
    counts = [info.get(name, "") for name in ("evicted_keys", "expired_keys") for info in primaries]
    if not all(count.isdigit() for count in counts):
        yield Finding.error(subject=cache.name, message=f"{cache}: INFO tells neither evicted_keys nor expired_keys")
        return
    evicted, gone = sum(map(int, counts[: len(primaries)])), sum(map(int, counts))
    if gone < LEAST_GONE:
        return
    yield Finding.of(
        evicted <= wanted.max_evicted * gone,
        subject=cache.name,
        observed=f"{evicted} of {gone} keys went because memory ended",
        expected=f"at most {wanted.max_evicted:.0%} go because memory ends",
    )
