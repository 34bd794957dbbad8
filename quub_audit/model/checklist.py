"""The policy: what must hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from quub_audit.model.status import Grade, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One line of the checklist, with the overrides of the audited stage already applied."""

    id: str
    """`section.group.name`, kebab-case; public API."""
    title: str
    section: str
    """The section's title."""
    group: str
    """The group's title."""
    severity: Severity
    checks: tuple[str, ...]
    """Check modules (`security.network.https-enforced`) or single checks (`.../endpoint`)."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """What `with:` says; each check's own model validates it."""
    min_evidence: Grade = Grade.CONTROL_PLANE
    at_least: int = 1
    """Subjects that must have been judged at or above the floor before the item may pass."""
    blocking: bool = True
    waivable: bool = True
    attestable: bool = False
    """Whether a person's word alone may pass the item where the machine saw nothing."""
    remediation: str = ""
    references: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    owner: str = ""
    """The team that can unblock it."""
    file: str = ""
    """The checklist file, relative to the working directory where it lies below it."""
    line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DroppedItem:
    """An item of the extended checklist that a team's own checklist leaves out, and why."""

    id: str
    title: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checklist:
    """All items, in the order in which reports list them."""

    title: str
    version: str
    items: tuple[Item, ...]
    digest: str
    """`sha256:` over the checklist file and all that it extends."""
    max_waiver_days: Mapping[Severity, int] = field(default_factory=dict)
    """Longest life of a waiver by severity; 90 where nothing is said."""
    dropped: tuple[DroppedItem, ...] = ()
