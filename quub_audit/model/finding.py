"""One judgement about one subject."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from math import isfinite

from quub_audit.model.status import FindingStatus, Grade


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """A place in a file of an audited repository."""

    file: str
    """Relative to the repository's root, with forward slashes."""
    line: int | None = None
    """Counted from 1."""
    column: int | None = None
    """Counted from 1, in characters."""
    commit: str | None = None
    """Full hash, when the place is in the history rather than in the working tree."""

    def __str__(self) -> str:
        place = ":".join([self.file, *(str(n) for n in (self.line, self.column) if n is not None)])
        return f"{place} @ {self.commit[:12]}" if self.commit else place


MAX_POINTS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Evidence as a curve, small enough to stand in every report.

    Raises ValueError for less than 2 points or more than `MAX_POINTS`, and for numbers that are not finite.
    """

    title: str
    """What the curve shows: `95th percentile of each hour`."""
    x_unit: str
    y_unit: str
    points: tuple[tuple[float, float], ...]
    """x ascending, and y."""
    trend: tuple[float, float] | None = None
    """y of the fitted line at the first and at the last point."""
    limit: float | None = None
    """What y is compared with."""

    def __post_init__(self) -> None:
        if not 2 <= len(self.points) <= MAX_POINTS:
            raise ValueError(f"a chart of {len(self.points)} points, expected 2 to {MAX_POINTS}")
        beside = (*(self.trend or ()), *(() if self.limit is None else (self.limit,)))
        if not all(map(isfinite, (*chain.from_iterable(self.points), *beside))):
            raise ValueError("a chart with a number that is not finite")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one look at one subject came to, with its evidence in words.

    A check fills what it judged; the engine adds `check`, `grade`, `source` and `attempts`.
    Raises ValueError when there is no subject, when it says neither what was observed nor a message, or when a pass,
    a fail or an error is undecided.
    """

    status: FindingStatus
    subject: str
    """The one thing judged, by the name its owner uses: a URL, an ARN, a path."""
    observed: str = ""
    expected: str = ""
    """In the grammar of `observed`, so that the two compare at a glance."""
    message: str = ""
    """One sentence: what happened, where, and what to do."""
    location: Location | None = None
    claim: str = ""
    """What is claimed of the subject, when sources of different grades speak of the same thing (`encrypted`)."""
    next_step: str = ""
    """The cheapest thing that would settle it, when that is known better than the item's remediation."""
    grade: Grade | None = None
    check: str = ""
    source: str = ""
    """The questions that were asked, in order: `elbv2.DescribeListeners eu-central-1`."""
    attempts: int = 1
    """How often the most retried question had to be sent."""
    chart: Chart | None = None
    """A series that was judged, where words and numbers alone do not show it."""
    is_undecided: bool = False
    """A warning about a subject of which it cannot be said whether it is as it should be: its item does not pass."""

    def __post_init__(self) -> None:
        if not self.subject.strip():
            raise ValueError("a finding needs a subject")
        if not (self.observed or self.message):
            raise ValueError(f"the finding about {self.subject} says neither what was observed nor why")
        if self.is_undecided and self.status is not FindingStatus.WARNING:
            raise ValueError(f"the finding about {self.subject} is a {self.status.value}, and undecided")

    @property
    def kind(self) -> str:
        """The status in one word, as reports say it: `undecided` for a warning that holds back a pass."""
        return "undecided" if self.is_undecided else self.status.value

    @classmethod
    def of(
        cls,
        holds: bool,
        *,
        subject: str,
        observed: str,
        expected: str,
        message: str = "",
        location: Location | None = None,
        claim: str = "",
        grade: Grade | None = None,
        chart: Chart | None = None,
    ) -> Finding:
        """A pass when `holds`, else a fail."""
        return cls(
            status=FindingStatus.PASS if holds else FindingStatus.FAIL,
            subject=subject,
            observed=observed,
            expected=expected,
            message=message,
            location=location,
            claim=claim,
            grade=grade,
            chart=chart,
        )

    @classmethod
    def warning(
        cls, *, subject: str, observed: str, expected: str = "", message: str = "", location: Location | None = None
    ) -> Finding:
        """Shown wherever the item is, counted nowhere."""
        return cls(
            status=FindingStatus.WARNING,
            subject=subject,
            observed=observed,
            expected=expected,
            message=message,
            location=location,
        )

    @classmethod
    def undecided(
        cls,
        *,
        subject: str,
        observed: str = "",
        expected: str = "",
        message: str = "",
        location: Location | None = None,
        next_step: str = "",
    ) -> Finding:
        """The item is about this subject, and what was seen does not say how it is: its item does not pass.

        `message` or `next_step` has to say how to settle it: attest it, declare more, audit again later.
        """
        return cls(
            status=FindingStatus.WARNING,
            subject=subject,
            observed=observed,
            expected=expected,
            message=message,
            location=location,
            next_step=next_step,
            is_undecided=True,
        )

    @classmethod
    def error(cls, *, subject: str, message: str, next_step: str = "") -> Finding:
        """Evidence exists but could not be collected."""
        return cls(status=FindingStatus.ERROR, subject=subject, message=message, next_step=next_step)
