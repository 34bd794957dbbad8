"""What the services that watch the service tell: traces of an APM, events of an error tracker."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Traces:
    """Spans or transactions of one service in one environment."""

    service: str
    environment: str
    count: int
    window_min: float
    newest_at: datetime | None = None
    versions: tuple[str, ...] = ()
    """Deployed versions that sent them, sorted; empty where the backend does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedProject:
    """A project of an error tracker."""

    slug: str
    is_known: bool
    active_keys: int
    """Client keys (DSN) that take events."""
    is_rate_limited_to_zero: bool = False
    environments: tuple[str, ...] = ()
    releases: tuple[str, ...] = ()
    """The newest first, at most 20."""
    newest_event_at: datetime | None = None
    sessions: int | None = None
    """Of the last 7 days in the audited environment; None where the backend does not count them."""
