"""Lifecycle rules of S3: how long what lies below a prefix is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One lifecycle rule, as far as it deletes."""

    name: str
    is_enabled: bool
    prefix: str = ""
    is_narrow: bool = False
    """It takes only objects of some tags or sizes."""
    days: int | None = None
    """After which current objects expire."""
    on: datetime | None = None
    """A day on which everything expires, once."""
    noncurrent_days: int | None = None
    """After which versions that are not current are deleted."""
    newest_kept: int = 0
    """How many of those stay whatever their age."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """How long objects below one prefix stay."""

    days: int | None
    """Until they, and in a versioned bucket all their versions, are gone; None where something stays for ever."""
    text: str
    """In words."""
    shorter: tuple[tuple[str, int], ...] = ()
    """Prefixes below it that a rule of their own clears, with the days after which."""


def read_rules(answer: Mapping[str, Any] | None) -> tuple[Rule, ...]:
    """The rules of `s3.GetBucketLifecycleConfiguration`; none where there is no such configuration."""
    return tuple(_rule(number, each) for number, each in enumerate((answer or {}).get("Rules", ()), start=1))


def _rule(number: int, rule: Mapping[str, Any]) -> Rule:
    given = rule.get("Filter") or {}
    both = given.get("And") or given
    expiration = rule.get("Expiration") or {}
    noncurrent = rule.get("NoncurrentVersionExpiration") or {}
    narrowing = ("Tag", "Tags", "ObjectSizeGreaterThan", "ObjectSizeLessThan")
    return Rule(
        name=str(rule.get("ID") or number),
        is_enabled=rule.get("Status") == "Enabled",
        prefix=str(both.get("Prefix") or rule.get("Prefix") or ""),
        is_narrow=any(both.get(name) for name in narrowing),
        days=expiration.get("Days"),
        on=expiration.get("Date"),
        noncurrent_days=noncurrent.get("NoncurrentDays"),
        newest_kept=int(noncurrent.get("NewerNoncurrentVersions") or 0),
    )


def life_of(rules: Sequence[Rule], prefix: str, *, is_versioned: bool) -> Life:
    """How long what lies below `prefix` is kept by the rules that take all of it.

    In a versioned bucket an expired object becomes an old version, so that both periods are needed, and add up.
    """
    covering = [rule for rule in rules if rule.is_enabled and not rule.is_narrow and prefix.startswith(rule.prefix)]
    days = min((rule.days for rule in covering if rule.days is not None), default=None)
    old = min(
        (rule.noncurrent_days for rule in covering if rule.noncurrent_days is not None and not rule.newest_kept),
        default=None,
    )
    shorter = tuple(
        (rule.prefix, rule.days + (old or 0))
        for rule in rules
        if rule.is_enabled
        and rule.days is not None
        and rule.prefix != prefix
        and rule.prefix.startswith(prefix)
        and (days is None or rule.days < days)
    )
    problems = []
    if days is None:
        problems.append(_why_nothing_expires(rules, prefix))
    if is_versioned and old is None:
        problems.append(_why_versions_stay(covering))
    if problems or days is None:
        return Life(days=None, text="; ".join(problems), shorter=shorter)
    if not is_versioned:
        return Life(days=days, text=f"deleted after {days} days", shorter=shorter)
    total = days + (old or 0)
    return Life(days=total, text=f"deleted after {days} days, old versions {old} days later", shorter=shorter)


def _why_nothing_expires(rules: Sequence[Rule], prefix: str) -> str:
    reasons = [reason for rule in rules if (reason := _why_not(rule, prefix))]
    return "nothing deletes all objects" + (f" ({', '.join(reasons)})" if reasons else "")


def _why_not(rule: Rule, prefix: str) -> str:
    """Why a rule that deletes something does not delete everything below `prefix`."""
    if rule.days is None:
        return f"rule {rule.name} deletes once, on {rule.on:%Y-%m-%d}" if rule.on else ""
    if not rule.is_enabled:
        return f"rule {rule.name} is disabled"
    if rule.is_narrow:
        return f"rule {rule.name} takes objects of some tags or sizes alone"
    return f"rule {rule.name} takes {rule.prefix} alone" if not prefix.startswith(rule.prefix) else ""


def _why_versions_stay(covering: Sequence[Rule]) -> str:
    keeping = next((rule for rule in covering if rule.newest_kept), None)
    if keeping is None:
        return "versioned, and nothing deletes old versions"
    return f"versioned, and rule {keeping.name} keeps the newest {keeping.newest_kept} old versions whatever their age"


def oldest_of(objects: Sequence[Mapping[str, Any]]) -> datetime | None:
    """When the oldest object of a listing was written; None for no object."""
    return min(_written(objects), default=None)


def _written(objects: Sequence[Mapping[str, Any]]) -> Iterator[datetime]:
    for each in objects:
        if isinstance(each.get("LastModified"), datetime):
            yield each["LastModified"]
