"""What people answer for: waivers and attestations."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """A risk that somebody accepted until a day."""

    item: str
    reason: str
    requester: str
    approver: str
    """Never the requester."""
    ticket: str
    expires: date
    """The last day on which it holds, UTC."""
    subject: str = ""
    """Only findings about this subject are covered; every finding of the item when empty."""
    run: bool = True
    """Whether the item is evaluated all the same, so that drift shows."""
    place: str = ""
    """`file:line` of the entry."""

    def is_valid_on(self, day: date) -> bool:
        """Whether it covers anything on `day` (UTC)."""
        return day <= self.expires


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestation:
    """A person's dated, expiring word that an item holds."""

    item: str
    statement: str
    by: str
    performed_on: date
    expires: date
    """The last day on which it holds, UTC; at most 365 days after `performed_on`."""
    reference: str
    """A ticket, a document, a digest: where it can be checked."""
    organisation: str = ""
    place: str = ""

    def is_valid_on(self, day: date) -> bool:
        """Whether it says anything on `day` (UTC)."""
        return self.performed_on <= day <= self.expires
