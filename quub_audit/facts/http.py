"""What an HTTP server answered, and what a port did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Reach(Enum):
    """What a TCP connection came to."""

    OPEN = "open"
    REFUSED = "refused"
    """The host answered that nobody listens."""
    FILTERED = "filtered"
    """No answer at all within the time allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cookie:
    """A Set-Cookie header without its value."""

    name: str
    attributes: tuple[tuple[str, str], ...] = ()
    """Lower-case names, in order; a flag has an empty value."""

    def has(self, attribute: str) -> bool:
        """Whether the attribute (lower case) is there."""
        return any(name == attribute for name, _ in self.attributes)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """One answer to one request; redirects are observed, not followed."""

    url: str
    """What was asked."""
    address: str
    """`host:port` that was connected to."""
    status: int
    headers: tuple[tuple[str, str], ...] = ()
    """Lower-case names in the order received; Set-Cookie is left out, see `cookies`."""
    cookies: tuple[Cookie, ...] = ()
    body: str = ""
    """Decoded, at most 1 MiB."""
    is_truncated: bool = False
    elapsed_s: float = 0.0

    def header(self, name: str) -> str:
        """The first value of the header `name` (any case), or an empty text."""
        return next((value for key, value in self.headers if key == name.lower()), "")

    def header_values(self, name: str) -> tuple[str, ...]:
        """Every value of the header `name` (any case), in order."""
        return tuple(value for key, value in self.headers if key == name.lower())


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """What a server answered to many requests at once."""

    url: str
    seconds: float
    statuses: Mapping[str, int]
    """Answers by status; `0` for none."""
    with_retry_after: int
    """Of those with status 429; by `RateLimit` fields too."""
