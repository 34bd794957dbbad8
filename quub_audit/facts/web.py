"""What a service shows to anybody: its page with all scripts, and paths that should not answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from quub_audit.facts.seal import Fingerprint

ExposureKind = Literal["git", "environment", "configuration", "backup", "actuator", "diagnostics", "metrics", "api"]
"""`api`: a description of the API, which may be meant for the public; `metrics`: numbers for a monitoring system."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebAsset:
    """One thing that was fetched and scanned."""

    path: str
    """On the endpoint, without the values of its query."""
    kind: Literal["page", "script", "source map", "file"]
    """`file`: what answered at one of the known paths."""
    characters: int
    is_truncated: bool = False
    """It goes on after what was read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebExposure:
    """A path that should not answer, and does, by its content and not by its status alone."""

    path: str
    kind: ExposureKind
    observed: str
    """By what it was recognised, in words; never its content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSecret:
    """A credential in an asset."""

    rule: str
    """The scanner's rule id; `own-key` for a value that the declared secret store holds."""
    description: str
    path: str
    source: str = ""
    """The file that a source map has it in."""
    line: int
    column: int
    fingerprint: Fingerprint
    is_publishable: bool = False
    """Made to be seen by browsers: Stripe's pk_, Firebase's keys, Sentry's DSN."""
    is_certain: bool = True
    """Its form belongs to one issuer; else only its name or its randomness speaks for a secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSurface:
    """One look at one endpoint from outside, without any credential."""

    page_status: int
    """Of the page at the end of its redirects."""
    assets: tuple[WebAsset, ...] = ()
    """In the order in which they were fetched."""
    exposures: tuple[WebExposure, ...] = ()
    secrets: tuple[WebSecret, ...] = ()
    """Each value once per asset and rule."""
    paths_tried: int = 0
    """Known paths that were asked for, and answered by whatever status."""
    skipped: tuple[str, ...] = ()
    """Scripts that are named and were not fetched: there are too many, or they did not answer."""
    unanswered: tuple[str, ...] = ()
    """Known paths that gave no answer, or an error of the server."""
    foreign_scripts: tuple[str, ...] = ()
    """Scripts of other origins that the page loads without an integrity attribute, by address."""
    own_keys: int = 0
    """Values of the declared secret store that assets were searched for."""
    unread_keys: tuple[tuple[str, str], ...] = ()
    """Declared secrets whose values should have been read, and why they were not."""
    answers_everything: bool = False
    """A path that does not exist is answered like a page: a status alone says nothing."""
    tool: str = ""
    """`betterleaks 2.0.0`."""
