"""What Prometheus and Alertmanager tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One series with its newest value."""

    labels: Mapping[str, str] = field(default_factory=dict)
    value: float
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One alerting or recording rule as it is loaded."""

    group: str
    name: str
    kind: str
    """`alerting` or `recording`."""
    query: str
    duration_s: float = 0.0
    """How long it must hold before it fires."""
    labels: Mapping[str, str] = field(default_factory=dict)
    health: str = "unknown"
    """`ok`, `err` or `unknown` (not evaluated yet)."""
    last_error: str = ""
    last_evaluation: datetime | None = None
    state: str = ""
    """`inactive`, `pending` or `firing`, of alerting rules."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrapeTarget:
    """One active target."""

    job: str
    instance: str
    health: str
    """`up`, `down` or `unknown`."""
    last_scrape: datetime | None = None
    last_error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """One receiver of Alertmanager's configuration, its integrations by kind; no address, no credential."""

    name: str
    integrations: tuple[str, ...] = ()
    """`webhook`, `email`, `pagerduty` ...; empty for a black hole."""
    is_routed: bool = False
    """Whether a route leads to it that some alert can take."""
    is_default: bool = False
    """Whether it gets the alerts that no other route takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """An active silence."""

    matchers: tuple[str, ...]
    """`alertname=~".+"`, as Alertmanager writes them."""
    ends_at: datetime
