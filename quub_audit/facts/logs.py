"""What a sample of log events holds, by kind and place; never a value."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

PiiKind = Literal[
    "e-mail address",
    "phone number",
    "payment card",
    "IBAN",
    "national id",
    "JSON Web Token",
    "bearer token",
    "API key",
    "private key",
    "password",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """One kind of personal or secret data in one source."""

    kind: PiiKind
    count: int
    """Events, or lines, that held it."""
    first_at: datetime | None
    """Aware, UTC; of the newest event that held it. None for a line without a time."""
    place: str = ""
    """A log stream, or `file:line`; redacted of ids."""
    detail: str = ""
    """What decided it, without the value: `US social security number`, `Luhn and issuer range`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSample:
    """A bounded sample of one log group or of one set of files."""

    source: str
    events: int
    bytes_read: int
    slices: int
    """Windows of time that were asked, newest first; 1 for files."""
    sightings: tuple[Sighting, ...] = ()
    is_cut: bool = False
    """More events exist than were looked at, or a part of one was not."""
    forms: int = 0
    """How many events differ in more than numbers and ids; at most 1,000 are told apart."""
    unread: str = ""
    """Why a file could not be looked at; then nothing was."""
