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
class OpenFindings:
    """What of a test is still open, by severity."""

    critical: int
    high: int
    medium: int = 0
    low: int = 0


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
    method: str = ""
    """How it was done: the method and its edition."""
    scope: tuple[str, ...] = ()
    """Hosts that it was about, `*.example.com` for every name below."""
    report_sha256: str = ""
    """64 hexadecimal digits, in lower case."""
    open_findings: OpenFindings | None = None
    """None where it does not say."""
    retested_on: date | None = None
    """When it was looked at whether what was found is mended."""
    place: str = ""

    def is_valid_on(self, day: date) -> bool:
        """Whether it says anything on `day` (UTC)."""
        return self.performed_on <= day <= self.expires

    def covers(self, host: str) -> bool:
        """Whether `host` is in its scope; upper and lower case make no difference."""
        name = host.lower()
        return any(
            name == each.lower() or (each.startswith("*.") and name.endswith(each[1:].lower())) for each in self.scope
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestations:
    """What was attested of one item, expired ones too, in the order of the file: for a check that judges them.

    An item that has such a check is passed by what the check says, and not by the attestation itself.
    """

    entries: tuple[Attestation, ...] = ()
