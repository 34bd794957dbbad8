"""What HTML and Markdown show: every number, order, label and cut, worked out once from the result."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate
from typing import Literal

from quub_audit.model.dispensation import Attestation, Waiver
from quub_audit.model.finding import Finding
from quub_audit.model.result import Change, ItemResult, Result
from quub_audit.model.status import Severity, Status, Verdict
from quub_audit.reporters.chart import ChartView, chart_view
from quub_audit.reporters.text import count, cut


@dataclass(frozen=True, slots=True)
class Word:
    """A term of the closed vocabularies: `key` for machines, `label` for people."""

    key: str
    label: str


@dataclass(frozen=True, slots=True)
class Link:
    """A text that leads somewhere, or a plain one where `href` is empty."""

    text: str
    href: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One term of a description list and what is said of it."""

    term: str
    values: tuple[Link, ...]
    is_code: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingView:
    """One row of an item's evidence."""

    status: Word
    subject: str
    observed: str
    expected: str
    message: str
    place: str
    grade: str
    source: str
    """The questions asked, or the check where none are known."""
    retried: str
    """Empty when the first attempt answered."""
    next_step: str
    chart: ChartView | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemView:
    """One item of the checklist as reports show it."""

    id: str
    title: str
    section: str
    group: str
    severity: Word
    status: Word
    blocks: bool
    stance: str
    """Whether it blocks, and why not where that is not plain from the status."""
    reason: str
    next_step: str
    owner: str
    change: Word | None
    tally: str
    """Its findings, counted by status: `2 fail, 1 pass`."""
    marks: tuple[str, ...]
    """What a closed item must still say: warnings, retries, an expired waiver."""
    facts: tuple[Fact, ...]
    findings: tuple[FindingView, ...]
    hidden: str
    """What the cap left out of `findings`, in words; empty when nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupView:
    """Items of one group, in checklist order."""

    title: str
    items: tuple[ItemView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionView:
    """One section of the checklist."""

    title: str
    anchor: str
    tally: str
    groups: tuple[GroupView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """How many items have one status, and the piece of the bar that shows it (0 to 1,000)."""

    status: Word
    number: int
    start: float
    width: float
    meaning: str
    aside: str
    """How many of them do not block, in words; empty when all do or none could."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeView:
    """The items that changed one way against the baseline."""

    change: Word
    items: tuple[Link, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeView:
    """Something about the whole run."""

    kind: Word
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A whole report."""

    verdict: Word
    headline: str
    service: str
    environment: str
    stage: str
    outcome: str
    """The exit code and what it means."""
    advice: str
    """What the verdict asks of the reader, in one sentence."""
    finished: str
    commit: str
    facts: tuple[Fact, ...]
    """The run: targets, times, digests."""
    total: int
    warnings: str
    """How many findings warn, in words; empty when none."""
    shares: tuple[Share, ...]
    """Every status, those that need somebody first."""
    blocking: tuple[ItemView, ...]
    """Worst severity first, then in checklist order."""
    attention: tuple[ItemView, ...]
    """Unsettled without blocking, or with warnings; in checklist order."""
    sections: tuple[SectionView, ...]
    changes: tuple[ChangeView, ...]
    notices: tuple[NoticeView, ...]
    dropped: tuple[Fact, ...]
    severities: tuple[Word, ...]

    @property
    def items(self) -> tuple[ItemView, ...]:
        """Every item, in checklist order."""
        return tuple(item for section in self.sections for group in section.groups for item in group.items)


STATUS = {
    Status.FAIL: Word("fail", "Fail"),
    Status.ERROR: Word("error", "Error"),
    Status.INCONCLUSIVE: Word("inconclusive", "Inconclusive"),
    Status.WAIVED: Word("waived", "Waived"),
    Status.PASS: Word("pass", "Pass"),
    Status.NOT_APPLICABLE: Word("not_applicable", "Not applicable"),
}
MEANING = {
    Status.FAIL: "at least one subject was seen otherwise than it should be",
    Status.ERROR: "evidence exists, but could not be collected",
    Status.INCONCLUSIVE: "there was nothing to look at, or what was seen does not decide it",
    Status.WAIVED: "it would block, but somebody accepted the risk until a day",
    Status.PASS: "every subject that was seen is as it should be",
    Status.NOT_APPLICABLE: "the environment says, with a reason, that it does not apply",
}
FINDING = {kind: Word(kind, kind.capitalize()) for kind in ("fail", "error", "undecided", "warning", "pass")}
SEVERITY = {severity: Word(severity.value, severity.value.capitalize()) for severity in Severity}
VERDICT = {
    Verdict.READY: Word("ready", "Ready"),
    Verdict.NOT_READY: Word("not_ready", "Not ready"),
    Verdict.INCONCLUSIVE: Word("inconclusive", "Inconclusive"),
    Verdict.REFUSED: Word("refused", "Not audited"),
    Verdict.INTERRUPTED: Word("interrupted", "Interrupted"),
}
ADVICE = {
    Verdict.READY: "Go: nothing on the checklist stands against this release.",
    Verdict.NOT_READY: "No go: mend what failed below, or have the risk accepted, and run the audit again.",
    Verdict.INCONCLUSIVE: "No go: no blocking item failed, but what could not be decided is not known to be safe.",
    Verdict.REFUSED: "No go: mend what is said below, and run the audit again.",
    Verdict.INTERRUPTED: "No go: the audit ended early; what it did not reach is not known to be safe.",
}
CHANGE: dict[Change, Word] = {
    "worse": Word("worse", "Worse"),
    "new": Word("new", "New"),
    "better": Word("better", "Better"),
    "fixed": Word("fixed", "Fixed"),
    "same": Word("same", "Unchanged"),
}
NOTICE = {
    "selection": "Partial audit",
    "waiver-expired": "Waiver expired",
    "waiver-unused": "Waiver unused",
    "waiver-ending": "Waiver ends soon",
    "attestation": "Attestation",
    "dropped": "Item left out",
    "target": "Target",
    "gate": "Gate",
    "run": "Run",
}

HIDDEN_IN = "result.json"

TEXT_SHOWN = 2000
"""Characters of one text of a finding; `HIDDEN_IN` has all of it."""


def view_of(result: Result, *, findings_shown: int) -> View:
    """Everything a text report places. At most `findings_shown` findings an item, worst first; counts stay exact."""
    by_id = {item.id: _item_view(item, result, findings_shown) for item in result.items}
    items = tuple(by_id.values())
    warnings = sum(len(item.warnings) for item in result.items)
    return View(
        verdict=VERDICT[result.verdict],
        headline=result.headline,
        service=result.service,
        environment=result.environment,
        stage=result.stage if result.stage != result.environment else "",
        outcome=outcome(result),
        advice=_advice(result),
        finished=moment(result.finished_at),
        commit=result.commit,
        facts=tuple(_run_facts(result)),
        total=len(items),
        warnings=count(warnings, "warning") if warnings else "",
        shares=_shares(result),
        blocking=tuple(by_id[item.id] for item in result.blocking_items),
        attention=tuple(
            by_id[item.id] for item in result.items if not item.blocks and (not item.status.is_settled or item.warnings)
        ),
        sections=_sections(items),
        changes=_changes(result),
        notices=tuple(
            NoticeView(kind=Word(entry.kind, NOTICE[entry.kind]), text=entry.text) for entry in result.notices
        ),
        dropped=tuple(
            Fact(term=entry.title, values=(Link(f"{entry.id}: {entry.reason}"),)) for entry in result.dropped
        ),
        severities=tuple(SEVERITY.values()),
    )


def outcome(result: Result) -> str:
    """The exit code with its meaning: `exit code 1, not ready: at least one blocking item failed`."""
    is_advisory = result.gate == "none" and result.verdict not in (Verdict.READY, Verdict.INTERRUPTED)
    meaning = "advisory run: the verdict stops nothing" if is_advisory else result.exit_code.meaning
    return f"exit code {result.exit_code.value}, {meaning}"


def _advice(result: Result) -> str:
    if result.verdict is not Verdict.READY:
        return ADVICE[result.verdict]
    unsettled = sum(not item.status.is_settled for item in result.items)
    if unsettled:
        return f"Go: {count(unsettled, 'item')} not settled, and none of them blocks this release."
    return ADVICE[Verdict.READY]


def moment(at: datetime) -> str:
    """`2026-11-23 02:24:07 UTC`."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def duration(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 5 s`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def tally(findings: Iterable[Finding]) -> str:
    """Findings counted by status, worst first: `2 fail, 1 pass`; `no findings` when there is none."""
    counted = Counter(finding.kind for finding in findings)
    parts = [f"{counted[kind]:,} {kind}" for kind in FINDING if counted[kind]]
    return ", ".join(parts) or "no findings"


def stance(item: ItemResult, result: Result) -> str:
    """Whether the item stops the release; empty when its status settles that."""
    if item.blocks:
        return "would block" if result.gate == "none" else "blocks the release"
    if item.status.is_settled:
        return ""
    if not item.blocking:
        return "does not block: the checklist says so"
    if item.severity.rank < result.fail_on.rank:
        return f"does not block: below --fail-on {result.fail_on.value}"
    return "does not block: no worse than in the baseline"


def say_waiver(waiver: Waiver) -> str:
    """Everything of a waiver in one sentence."""
    about = f" for {waiver.subject} only" if waiver.subject else ""
    place = f" ({waiver.place})" if waiver.place else ""
    return (
        f"{waiver.ticket}{about}, until {waiver.expires.isoformat()}, requested by {waiver.requester}, "
        f"approved by {waiver.approver}: {waiver.reason}{place}"
    )


def say_attestation(attestation: Attestation) -> str:
    """Everything of an attestation in one sentence."""
    by = f"{attestation.by}, {attestation.organisation}" if attestation.organisation else attestation.by
    place = f" ({attestation.place})" if attestation.place else ""
    return (
        f"{by}, on {attestation.performed_on.isoformat()}, valid until {attestation.expires.isoformat()}, "
        f"reference {attestation.reference}: {attestation.statement}{place}"
    )


def _item_view(item: ItemResult, result: Result, findings_shown: int) -> ItemView:
    rest = item.findings[findings_shown:]
    return ItemView(
        id=item.id,
        title=item.title,
        section=item.section,
        group=item.group,
        severity=SEVERITY[item.severity],
        status=STATUS[item.status],
        blocks=item.blocks,
        stance=stance(item, result),
        reason=cut(item.reason, TEXT_SHOWN),
        next_step=cut(item.next_step, TEXT_SHOWN),
        owner=item.owner,
        change=CHANGE.get(item.change),
        tally=tally(item.findings),
        marks=tuple(_marks(item)),
        facts=tuple(_item_facts(item)),
        findings=tuple(_finding_view(finding) for finding in item.findings[:findings_shown]),
        hidden=f"{count(len(rest), 'more finding')} ({tally(rest)}) in {HIDDEN_IN}" if rest else "",
    )


def _marks(item: ItemResult) -> Iterator[str]:
    warnings = len(item.warnings)
    if warnings:
        yield count(warnings, "warning")
    retried = sum(finding.attempts > 1 for finding in item.findings)
    if retried:
        yield f"{count(retried, 'finding')} on a retry"
    if item.expired_waiver:
        yield "waiver expired"
    if item.waived_from:
        yield f"waived from {STATUS[item.waived_from].label.lower()}"
    if item.attestation:
        yield "attested"


def _item_facts(item: ItemResult) -> Iterator[Fact]:
    if item.next_step:
        yield _fact("Next step", item.next_step)
    if item.remediation and item.remediation != item.next_step:
        yield _fact("Remediation", item.remediation)
    if item.owner:
        yield _fact("Owner" if item.status.is_settled else "Who can unblock it", item.owner)
    seen = f"seen at best: {item.best_evidence.value}" if item.best_evidence else "none that decides"
    yield _fact("Evidence", f"{seen}; the checklist asks for {item.min_evidence.value}")
    if item.waiver:
        yield _fact("Waiver", say_waiver(item.waiver))
    if item.expired_waiver:
        yield _fact("Expired waiver", say_waiver(item.expired_waiver))
    if item.attestation:
        yield _fact("Attestation", say_attestation(item.attestation))
    if item.change:
        yield _fact("Against the baseline", CHANGE[item.change].label.lower())
    if item.references:
        yield Fact(term="References", values=tuple(Link(entry, _href(entry)) for entry in item.references))
    if item.tags:
        yield _fact("Tags", ", ".join(item.tags))
    if item.file:
        yield _fact("Checklist", f"{item.file}:{item.line}" if item.line else item.file)
    yield _fact("Time taken", duration(item.duration_s))


def _finding_view(finding: Finding) -> FindingView:
    return FindingView(
        status=FINDING[finding.kind],
        subject=cut(finding.subject, TEXT_SHOWN),
        observed=cut(finding.observed, TEXT_SHOWN),
        expected=cut(finding.expected, TEXT_SHOWN),
        message=cut(finding.message, TEXT_SHOWN),
        place=str(finding.location) if finding.location else "",
        grade=finding.grade.value if finding.grade else "",
        source=cut(finding.source or finding.check, TEXT_SHOWN),
        retried=f"on attempt {finding.attempts}" if finding.attempts > 1 else "",
        next_step=cut(finding.next_step, TEXT_SHOWN),
        chart=chart_view(finding.chart) if finding.chart else None,
    )


def _run_facts(result: Result) -> Iterator[Fact]:
    if result.targets:
        yield Fact(term="Targets", values=tuple(map(Link, result.targets)))
    is_named_so = result.stage in ("", result.environment)
    yield _fact("Environment", result.environment if is_named_so else f"{result.environment} ({result.stage})")
    yield _fact("Commit", result.commit or "unknown", is_code=bool(result.commit))
    yield _fact("Started", moment(result.started_at))
    yield _fact("Finished", f"{moment(result.finished_at)}, after {duration(result.duration_s)}")
    yield _fact("Outcome", outcome(result))
    yield _fact("Gate", f"{_GATE[result.gate]}, from severity {result.fail_on.value} up")
    checklist = result.checklist
    yield _fact("Checklist", f"{checklist.title}, version {checklist.version}")
    if checklist.digest:
        yield _fact("Checklist digest", checklist.digest, is_code=True)
    if result.evidence.digest:
        yield _fact("Evidence", f"{count(result.evidence.questions, 'question')} asked and answered")
        yield _fact("Evidence digest", result.evidence.digest, is_code=True)
    yield _fact("Made by", f"{result.tool.name} {result.tool.version}")


_GATE = {
    "all": "all: every unsettled blocking item stops the release",
    "new": "new: what is worse than in the baseline stops the release",
    "none": "none: an advisory run, which stops nothing",
}


def _fact(term: str, text: str, *, is_code: bool = False) -> Fact:
    return Fact(term=term, values=(Link(text),), is_code=is_code)


def _href(reference: str) -> str:
    """The reference itself where it may be followed, else empty."""
    return reference if re.fullmatch(r"https?://[!-~]+", reference) else ""


def _shares(result: Result) -> tuple[Share, ...]:
    numbers = [result.summary.get(status.value, 0) for status in STATUS]
    total = sum(numbers) or 1
    starts = [0, *accumulate(numbers)]
    return tuple(
        Share(
            status=word,
            number=number,
            start=round(1000 * start / total, 2),
            width=round(1000 * number / total, 2),
            meaning=MEANING[status],
            aside=_aside(status, result),
        )
        for (status, word), number, start in zip(STATUS.items(), numbers, starts, strict=False)
    )


def _aside(status: Status, result: Result) -> str:
    harmless = sum(item.status is status and not item.blocks for item in result.items)
    return "" if status.is_settled or not harmless else f"{harmless} not blocking"


def _sections(items: Iterable[ItemView]) -> tuple[SectionView, ...]:
    return tuple(
        SectionView(
            title=title,
            anchor=f"section-{index}",
            tally=_section_tally(members),
            groups=tuple(
                GroupView(title=name, items=group) for name, group in _grouped(members, lambda item: item.group)
            ),
        )
        for index, (title, members) in enumerate(_grouped(items, lambda item: item.section), start=1)
    )


def _section_tally(items: Sequence[ItemView]) -> str:
    counted = Counter(item.status for item in items)
    return ", ".join(f"{counted[word]} {word.label.lower()}" for word in STATUS.values() if counted[word])


def _grouped(items: Iterable[ItemView], key: Callable[[ItemView], str]) -> tuple[tuple[str, tuple[ItemView, ...]], ...]:
    """Items by a title, titles in the order of their first item."""
    found: dict[str, list[ItemView]] = {}
    for item in items:
        found.setdefault(key(item), []).append(item)
    return tuple((title, tuple(members)) for title, members in found.items())


def _changes(result: Result) -> tuple[ChangeView, ...]:
    """What moved against the baseline, worst first; empty without a baseline."""
    kinds: tuple[Literal["worse", "new", "better", "fixed"], ...] = ("worse", "new", "better", "fixed")
    return tuple(
        ChangeView(change=CHANGE[kind], items=members)
        for kind in kinds
        if (members := tuple(Link(item.title, f"#{item.id}") for item in result.items if item.change == kind))
    )
