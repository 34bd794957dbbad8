"""The result document: everything that any report, and the exit code, is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from quub_audit.model.checklist import DroppedItem
from quub_audit.model.dispensation import Attestation, Waiver
from quub_audit.model.finding import Finding
from quub_audit.model.status import ExitCode, FindingStatus, Grade, Severity, Status, Verdict

SCHEMA = "quub-audit/result/1"

Change = Literal["", "new", "worse", "same", "better", "fixed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemResult:
    """One item, folded. Findings stand in the order: fail, error, warning, pass; then by check and subject."""

    id: str
    title: str
    section: str
    group: str
    severity: Severity
    blocking: bool
    status: Status
    blocks: bool
    """Whether this item, with this status, under this run's gate, stops the release; `none` stops nothing, yet says."""
    waived_from: Status | None = None
    reason: str
    """One sentence that says why the status is what it is."""
    next_step: str = ""
    """The cheapest thing that would settle it; empty when it is settled."""
    duration_s: float = 0.0
    findings: tuple[Finding, ...] = ()
    min_evidence: Grade
    best_evidence: Grade | None = None
    """The highest grade at which the item passed, or at which it was contradicted."""
    remediation: str = ""
    references: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    owner: str = ""
    waiver: Waiver | None = None
    """The waiver that covers it."""
    expired_waiver: Waiver | None = None
    attestation: Attestation | None = None
    change: Change = ""
    """Against the baseline, when there is one."""
    file: str = ""
    line: int | None = None

    def of_status(self, status: FindingStatus) -> tuple[Finding, ...]:
        """Its findings of one status, in order."""
        return tuple(finding for finding in self.findings if finding.status is status)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """Advice: the warnings that hold back no pass."""
        return tuple(finding for finding in self.findings if finding.kind == "warning")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """What made the document."""

    version: str
    name: str = "quub-audit"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChecklistReference:
    """Which policy was applied."""

    title: str
    version: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceReference:
    """Which facts were judged."""

    digest: str
    """`sha256:` over every question and answer of the run, in canonical order."""
    questions: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something about the run as a whole that its reader must know."""

    kind: Literal[
        "selection",
        "waiver-expired",
        "waiver-unused",
        "waiver-ending",
        "attestation",
        "dropped",
        "target",
        "gate",
        "run",
    ]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One run. Frozen, redacted, in checklist order; nothing but times differs between two runs on the same facts."""

    schema: str = SCHEMA
    verdict: Verdict
    exit_code: ExitCode
    headline: str
    """The verdict as one sentence for people."""
    service: str
    environment: str
    stage: str
    commit: str
    """Full hash of the audited commit, or empty when none is known."""
    started_at: datetime
    finished_at: datetime
    duration_s: float
    tool: Tool
    checklist: ChecklistReference
    evidence: EvidenceReference
    gate: Literal["all", "new", "none"] = "all"
    fail_on: Severity = Severity.LOW
    targets: tuple[str, ...] = ()
    """What was audited, in words: `aws production 123456789012 eu-central-1`."""
    summary: Mapping[str, int] = field(default_factory=dict)
    """Count of items by status; every status is there, and they add up to `len(items)`."""
    items: tuple[ItemResult, ...] = ()
    notices: tuple[Notice, ...] = ()
    dropped: tuple[DroppedItem, ...] = ()

    @property
    def blocking_items(self) -> tuple[ItemResult, ...]:
        """What stops the release, worst severity first, then in checklist order."""
        return tuple(sorted((item for item in self.items if item.blocks), key=lambda item: -item.severity.rank))
