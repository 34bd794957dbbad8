"""The closed vocabularies: grades of evidence, statuses, severities, verdicts."""

from __future__ import annotations

from enum import Enum, IntEnum


class Grade(Enum):
    """How directly a finding was observed; `rank` orders them, the highest being the most direct."""

    LIVE = "live"
    """The running thing was asked or tried."""
    CONTROL_PLANE = "control plane"
    """The owner's API describes the running thing."""
    ARTIFACT = "artifact"
    """A file that a pipeline produced."""
    REPOSITORY = "repository"
    """Code or infrastructure code at the audited commit."""
    HUMAN = "human"
    """A person's dated, expiring word."""

    @property
    def rank(self) -> int:
        """5 for live down to 1 for human."""
        return _GRADE_RANK[self]

    def reaches(self, floor: Grade) -> bool:
        """Whether evidence of this grade may pass an item whose floor is `floor`."""
        return self.rank >= floor.rank


_GRADE_RANK = {grade: rank for rank, grade in enumerate(reversed(Grade), start=1)}


class FindingStatus(Enum):
    """What one look at one subject came to."""

    PASS = "pass"
    FAIL = "fail"
    ERROR = "error"
    WARNING = "warning"


class Status(Enum):
    """What an item came to."""

    PASS = "pass"
    FAIL = "fail"
    ERROR = "error"
    INCONCLUSIVE = "inconclusive"
    WAIVED = "waived"
    NOT_APPLICABLE = "not_applicable"

    @property
    def is_settled(self) -> bool:
        """Whether an item of this status never blocks the gate."""
        return self in (Status.PASS, Status.WAIVED, Status.NOT_APPLICABLE)


class Severity(Enum):
    """How bad it is when an item does not hold; `rank` 4 is critical."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"

    @property
    def rank(self) -> int:
        """4 for critical down to 1 for low."""
        return _SEVERITY_RANK[self]


_SEVERITY_RANK = {severity: rank for rank, severity in enumerate(reversed(Severity), start=1)}


class Verdict(Enum):
    """What a run came to."""

    READY = "ready"
    NOT_READY = "not_ready"
    INCONCLUSIVE = "inconclusive"
    REFUSED = "refused"
    """Nothing was audited: wrong target, or a mistake in the configuration."""
    INTERRUPTED = "interrupted"


class ExitCode(IntEnum):
    """What the process tells its caller; the gate."""

    READY = 0
    NOT_READY = 1
    REFUSED = 2
    INCONCLUSIVE = 3
    INTERRUPTED = 130

    @property
    def meaning(self) -> str:
        """One clause for people, as the last line on the terminal prints it."""
        return _MEANING[self]


_MEANING = {
    ExitCode.READY: "ready: nothing blocks this release",
    ExitCode.NOT_READY: "not ready: at least one blocking item failed",
    ExitCode.REFUSED: "nothing was audited: a mistake in the command, the configuration or the target",
    ExitCode.INCONCLUSIVE: "inconclusive: no blocking item failed, but at least one could not be decided",
    ExitCode.INTERRUPTED: "interrupted before the audit was complete",
}
