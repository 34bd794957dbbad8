"""Folds findings into item results, and item results into the verdict. Pure: asks nothing, reads no clock.

The laws (DESIGN, sections 2 and 3): any fail is a fail; else any error is an error; else anything undecided, stale
evidence too, leaves it inconclusive; else enough passes at or above the item's floor are a pass; else inconclusive.
Other warnings fold to nothing. What could not be determined never passes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Literal, assert_never

from quub_audit.engine.execute import ItemRun, Run
from quub_audit.engine.plan import Plan, PlannedItem
from quub_audit.model.checklist import Item
from quub_audit.model.dispensation import Attestation, Waiver
from quub_audit.model.finding import Finding
from quub_audit.model.result import (
    Change,
    ChecklistReference,
    EvidenceReference,
    ItemResult,
    Notice,
    Result,
    Tool,
)
from quub_audit.model.status import ExitCode, FindingStatus, Grade, Severity, Status, Verdict

WARN_BEFORE_DAYS = 14
"""Days before its end from which a waiver or an attestation is announced. DESIGN, section 3."""

Gate = Literal["all", "new", "none"]

_ORDER = {status: rank for rank, status in enumerate(("fail", "error", "undecided", "warning", "pass"))}
_BADNESS = {Status.FAIL: 2, Status.ERROR: 1, Status.INCONCLUSIVE: 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """What findings alone come to, before anybody's word."""

    status: Status
    reason: str
    grade: Grade | None = None
    """The highest grade that passed it, or of what failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """All about the run that is not a finding."""

    today: date
    started_at: datetime
    finished_at: datetime
    commit: str
    tool_version: str
    evidence: EvidenceReference
    targets: tuple[str, ...] = ()
    fail_on: Severity = Severity.LOW
    gate: Gate = "all"
    waivers: tuple[Waiver, ...] = ()
    attestations: tuple[Attestation, ...] = ()
    baseline: Result | None = None


def collect(plan: Plan, run: Run, circumstances: Circumstances) -> Result:
    """The result document of a run: every planned item, in checklist order, and what it all comes to."""
    used: set[Waiver] = set()
    items = tuple(_item_result(item_run, circumstances, used) for item_run in run.items)
    verdict = _verdict(items, run)
    is_advisory = circumstances.gate == "none" and verdict is not Verdict.INTERRUPTED
    environment = plan.environment
    return Result(
        verdict=verdict,
        exit_code=ExitCode.READY if is_advisory else _EXIT_CODE[verdict],
        headline=_headline(verdict, items),
        service=environment.service,
        environment=environment.name,
        stage=environment.stage,
        commit=circumstances.commit,
        started_at=circumstances.started_at,
        finished_at=circumstances.finished_at,
        duration_s=round((circumstances.finished_at - circumstances.started_at).total_seconds(), 3),
        tool=Tool(version=circumstances.tool_version),
        checklist=ChecklistReference(
            title=plan.checklist.title, version=plan.checklist.version, digest=plan.checklist.digest
        ),
        evidence=circumstances.evidence,
        gate=circumstances.gate,
        fail_on=circumstances.fail_on,
        targets=circumstances.targets,
        summary=summarise(items),
        items=items,
        notices=tuple(_notices(plan, run, circumstances, items, used)),
        dropped=plan.checklist.dropped,
    )


_EXIT_CODE = {
    Verdict.READY: ExitCode.READY,
    Verdict.NOT_READY: ExitCode.NOT_READY,
    Verdict.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
    Verdict.REFUSED: ExitCode.REFUSED,
    Verdict.INTERRUPTED: ExitCode.INTERRUPTED,
}


def refuse(
    *, message: str, service: str, environment: str, at: datetime, tool_version: str, checklist: ChecklistReference
) -> Result:
    """The document of a run that audited nothing: one notice, no item, exit code 2."""
    return Result(
        verdict=Verdict.REFUSED,
        exit_code=ExitCode.REFUSED,
        headline="Nothing was audited",
        service=service,
        environment=environment,
        stage="",
        commit="",
        started_at=at,
        finished_at=at,
        duration_s=0.0,
        tool=Tool(version=tool_version),
        checklist=checklist,
        evidence=EvidenceReference(digest=""),
        summary=summarise(()),
        notices=(Notice(kind="target", text=message),),
    )


def fold(item: Item, findings: Sequence[Finding]) -> Fold:
    """Fold findings (contradictions settled) by the laws above. No finding at all is inconclusive."""
    fails = [finding for finding in findings if finding.status is FindingStatus.FAIL]
    errors = [finding for finding in findings if finding.status is FindingStatus.ERROR]
    undecided = [finding for finding in findings if finding.is_undecided]
    passes = [finding for finding in findings if finding.status is FindingStatus.PASS]
    if fails:
        return Fold(status=Status.FAIL, reason=_first_and_count(fails), grade=_best_grade(fails))
    if errors:
        return Fold(status=Status.ERROR, reason=_first_and_count(errors))
    if undecided:
        return Fold(status=Status.INCONCLUSIVE, reason=_first_and_count(undecided))
    good_enough = [finding for finding in passes if finding.grade and finding.grade.reaches(item.min_evidence)]
    subjects = {finding.subject for finding in good_enough}
    if subjects and len(subjects) >= item.at_least:
        reason = (
            f"{_count(len(subjects), 'subject')} as it should be"
            if len(subjects) == 1
            else (f"all {len(subjects)} subjects as they should be")
        )
        return Fold(status=Status.PASS, reason=reason, grade=_best_grade(good_enough))
    if subjects:
        return Fold(
            status=Status.INCONCLUSIVE,
            reason=f"only {_count(len(subjects), 'subject')} was seen, and the checklist asks for {item.at_least}",
            grade=_best_grade(good_enough),
        )
    if passes:
        grade = _best_grade(passes)
        seen = grade.value if grade else "unknown"
        return Fold(
            status=Status.INCONCLUSIVE,
            reason=f"seen in {_SEEN_IN[grade] if grade else seen} only; "
            f"the checklist asks for {item.min_evidence.value} evidence",
            grade=grade,
        )
    warnings = [finding for finding in findings if finding.status is FindingStatus.WARNING]
    if warnings:
        return Fold(status=Status.INCONCLUSIVE, reason=f"nothing could be judged: {_first_and_count(warnings)}")
    return Fold(status=Status.INCONCLUSIVE, reason="nothing to look at was found")


_SEEN_IN = {
    Grade.LIVE: "the running system",
    Grade.CONTROL_PLANE: "the control plane",
    Grade.ARTIFACT: "a pipeline's artifact",
    Grade.REPOSITORY: "the repository",
    Grade.HUMAN: "an attestation",
}


def settle_contradictions(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Where two grades claim opposite things of one subject, the higher decides; the lower becomes a warning.

    Only findings that carry the same `claim` about the same subject speak of the same thing.
    """
    findings = tuple(findings)
    judged = (FindingStatus.PASS, FindingStatus.FAIL)
    highest: dict[tuple[str, str], Finding] = {}
    for finding in findings:
        if finding.claim and finding.grade and finding.status in judged:
            key = (finding.subject, finding.claim)
            so_far = highest.get(key)
            is_higher = so_far is None or so_far.grade is None or finding.grade.rank > so_far.grade.rank
            is_worse_peer = so_far is not None and so_far.grade is finding.grade and finding.status is judged[1]
            if is_higher or is_worse_peer:
                highest[key] = finding
    return tuple(_settle(finding, highest.get((finding.subject, finding.claim))) for finding in findings)


def _settle(finding: Finding, decisive: Finding | None) -> Finding:
    if decisive is None or not finding.claim or finding.grade is None or decisive.grade is None:
        return finding
    if finding.grade.rank >= decisive.grade.rank or finding.status is decisive.status:
        return finding
    if finding.status not in (FindingStatus.PASS, FindingStatus.FAIL):
        return finding
    return replace(
        finding,
        status=FindingStatus.WARNING,
        message=f"drift: {_SEEN_IN[finding.grade]} says “{finding.observed}”, "
        f"{_SEEN_IN[decisive.grade]} says “{decisive.observed}”",
    )


def summarise(items: Iterable[ItemResult]) -> Mapping[str, int]:
    """Count of items by status; every status is there."""
    counted = Counter(item.status.value for item in items)
    return {status.value: counted[status.value] for status in Status}


def _item_result(run: ItemRun, circumstances: Circumstances, used: set[Waiver]) -> ItemResult:
    planned, item, today = run.planned, run.planned.item, circumstances.today
    findings = list(settle_contradictions(run.findings))
    findings.extend(_engine_findings(planned, run))
    waivers = [waiver for waiver in circumstances.waivers if waiver.item == item.id and item.waivable]
    valid = [waiver for waiver in waivers if waiver.is_valid_on(today)]
    attestation = next(
        (entry for entry in circumstances.attestations if entry.item == item.id and entry.is_valid_on(today)), None
    )

    folded = fold(item, findings)
    status, reason, waived_from, waiver = folded.status, folded.reason, None, None
    is_attested = False
    if planned.not_applicable:
        status, reason = Status.NOT_APPLICABLE, planned.not_applicable
    elif planned.unrun_waiver:
        waiver, status, waived_from = planned.unrun_waiver, Status.WAIVED, Status.INCONCLUSIVE
        reason = f"not looked at: {waiver.reason}"
        used.add(waiver)
    else:
        if status is Status.INCONCLUSIVE:
            reason = _why_inconclusive(planned, findings, folded)
            if attestation and _admits(planned):
                findings.append(_attested(attestation))
                status, reason = Status.PASS, f"attested by {attestation.by}: {attestation.statement}"
                folded, is_attested = replace(folded, grade=Grade.HUMAN), True
            elif attestation and not _is_judged(planned):
                reason += f"; the attestation of {attestation.by} cannot pass it: the checklist asks for evidence"
        if not status.is_settled:
            waiver = _covering_waiver(item, findings, valid, used)
            if waiver:
                waived_from, status = status, Status.WAIVED
                reason = f"accepted until {waiver.expires.isoformat()}: {waiver.reason}"

    expired = None
    if not status.is_settled:
        expired = next((entry for entry in waivers if not entry.is_valid_on(today)), None)
        if expired:
            reason = f"{reason} (the waiver {expired.ticket} expired on {expired.expires.isoformat()})"
    ordered = tuple(sorted(findings, key=lambda entry: (_ORDER[entry.kind], entry.check, entry.subject)))
    change = _change(item.id, status, ordered, circumstances.baseline)
    return ItemResult(
        id=item.id,
        title=item.title,
        section=item.section,
        group=item.group,
        severity=item.severity,
        blocking=item.blocking,
        status=status,
        blocks=_blocks(item, status, change, circumstances),
        waived_from=waived_from,
        reason=reason,
        next_step="" if status.is_settled else _next_step(planned, status, ordered),
        duration_s=round(run.duration_s, 3),
        findings=ordered,
        min_evidence=item.min_evidence,
        best_evidence=folded.grade,
        remediation=item.remediation,
        references=item.references,
        tags=item.tags,
        owner=item.owner,
        waiver=waiver,
        expired_waiver=expired,
        attestation=attestation if is_attested or (_is_judged(planned) and folded.status is Status.PASS) else None,
        change=change,
        file=item.file,
        line=item.line,
    )


def _engine_findings(planned: PlannedItem, run: ItemRun) -> Iterable[Finding]:
    """Errors of the item as a whole: a plugin that cannot be used, a run that ended too early."""
    for name, problem in planned.broken:
        yield Finding(
            status=FindingStatus.ERROR,
            subject=name,
            check=name,
            message=f"{name}: {problem}",
            next_step="mend or reinstall the plugin",
        )
    if run.unfinished:
        yield Finding(
            status=FindingStatus.ERROR,
            subject=planned.item.id,
            message=f"not finished: {run.unfinished}",
            next_step="run it again, with a longer --deadline if it was that",
        )


def _why_inconclusive(planned: PlannedItem, findings: Sequence[Finding], folded: Fold) -> str:
    if folded.grade is not None or any(finding.is_undecided for finding in findings):
        return folded.reason
    missing = _missing(planned)
    if missing and not planned.checks:
        return f"nothing could be looked at: the environment declares no {missing}"
    if missing:
        return f"{folded.reason}, and the environment declares no {missing}"
    if planned.left_out and not planned.checks:
        return f"nothing could be looked at: {'; '.join(dict.fromkeys(entry.why for entry in planned.left_out))}"
    return folded.reason


def _admits(planned: PlannedItem) -> bool:
    """Whether a person's word alone may pass it."""
    item = planned.item
    return (item.attestable or item.min_evidence is Grade.HUMAN) and not _is_judged(planned)


def _is_judged(planned: PlannedItem) -> bool:
    """Whether a check of its own weighs what people attest of it."""
    checks = (*(entry.check for entry in planned.checks), *(entry.check for entry in planned.left_out))
    return any(check.judges_attestations for check in checks)


def _attested(attestation: Attestation) -> Finding:
    by = f"{attestation.by}, {attestation.organisation}" if attestation.organisation else attestation.by
    return Finding(
        status=FindingStatus.PASS,
        subject=attestation.item,
        observed=f"attested by {by} on {attestation.performed_on.isoformat()}: {attestation.statement}",
        expected=f"an attestation that is valid today; this one is until {attestation.expires.isoformat()}",
        source=attestation.reference,
        grade=Grade.HUMAN,
    )


def _covering_waiver(
    item: Item, findings: Sequence[Finding], valid: Sequence[Waiver], used: set[Waiver]
) -> Waiver | None:
    """The waiver that settles the item: one for all of it, or ones for each of its bad subjects."""
    for waiver in valid:
        if not waiver.subject:
            used.add(waiver)
            return waiver
    by_subject = {waiver.subject: waiver for waiver in valid}
    bad = [finding for finding in findings if _is_bad(finding)]
    covering = [by_subject[finding.subject] for finding in bad if finding.subject in by_subject]
    used.update(covering)
    if not covering or len(covering) < len(bad):
        return None
    remaining = [finding for finding in findings if finding not in bad]
    rest = fold(item, remaining)
    is_settled = rest.status.is_settled or not any(f.status is FindingStatus.PASS for f in remaining)
    return covering[0] if is_settled else None


def _change(item_id: str, status: Status, findings: Sequence[Finding], baseline: Result | None) -> Change:
    """How the item stands against the baseline; `new` when the baseline does not know it."""
    if baseline is None:
        return ""
    before = next((item for item in baseline.items if item.id == item_id), None)
    if before is None:
        return "new"
    now_bad, was_bad = _BADNESS.get(status, 0), _BADNESS.get(before.status, 0)
    if now_bad > was_bad:
        return "worse"
    if now_bad and _bad_subjects(findings) - _bad_subjects(before.findings):
        return "worse"
    if now_bad < was_bad:
        return "better" if now_bad else "fixed"
    return "same"


def _bad_subjects(findings: Iterable[Finding]) -> frozenset[tuple[str, str]]:
    """Subjects that failed, could not be asked or are undecided, each with the check that says so."""
    return frozenset((finding.check, finding.subject) for finding in findings if _is_bad(finding))


def _is_bad(finding: Finding) -> bool:
    return finding.is_undecided or finding.status in (FindingStatus.FAIL, FindingStatus.ERROR)


def _blocks(item: Item, status: Status, change: Change, circumstances: Circumstances) -> bool:
    if status.is_settled or not item.blocking or item.severity.rank < circumstances.fail_on.rank:
        return False
    match circumstances.gate:
        case "all" | "none":  # an advisory run says what would block, and lets it through
            return True
        case "new":
            return change in ("", "new", "worse")
        case _:
            assert_never(circumstances.gate)


def _verdict(items: Sequence[ItemResult], run: Run) -> Verdict:
    if run.is_interrupted:
        return Verdict.INTERRUPTED
    blocking = {item.status for item in items if item.blocks}
    if Status.FAIL in blocking:
        return Verdict.NOT_READY
    return Verdict.INCONCLUSIVE if blocking or run.is_cut_short else Verdict.READY


def _headline(verdict: Verdict, items: Sequence[ItemResult]) -> str:
    blocking = [item for item in items if item.blocks]
    failed = sum(item.status is Status.FAIL for item in blocking)
    undecided = len(blocking) - failed
    match verdict:
        case Verdict.READY:
            return f"Ready: nothing of {_count(len(items), 'item')} blocks this release"
        case Verdict.NOT_READY:
            rest = f", and {undecided} could not be decided" if undecided else ""
            return f"Not ready: {_count(failed, 'blocking item')} failed{rest}"
        case Verdict.INCONCLUSIVE:
            if not undecided:
                return "Inconclusive: the audit was not finished"
            return f"Inconclusive: no blocking item failed, but {undecided} could not be decided"
        case Verdict.INTERRUPTED:
            return "Interrupted: the audit was not finished"
        case Verdict.REFUSED:
            return "Nothing was audited"
        case _:
            assert_never(verdict)


def _next_step(planned: PlannedItem, status: Status, findings: Sequence[Finding]) -> str:
    """The cheapest thing that would settle it: what a finding of that status knows, else what the item says."""
    kind = "undecided" if status is Status.INCONCLUSIVE else status.value
    deciding = [finding for finding in findings if finding.kind == kind] or findings
    known = next((finding.next_step for finding in deciding if finding.next_step), "")
    if status is Status.FAIL:
        return known or planned.item.remediation
    if known:
        return known
    if status is Status.ERROR:
        return "mend what kept it from being asked, and run the audit again"
    missing = _missing(planned)
    if missing:
        return f"declare {missing} in environments.yaml, or say under `not_applicable:` why there is nothing"
    if planned.left_out and not planned.checks:
        return "run again with --allow-active where that is permitted"
    return "declare what should be looked at in environments.yaml, or say under `not_applicable:` why there is nothing"


def _missing(planned: PlannedItem) -> str:
    """The sections that would let a check be run that was left out, in words: `` `aws:`, or `logs:` with `quub:` ``.

    One that asks for all that another asks for, and more, is not named.
    """
    wanted = dict.fromkeys(frozenset(entry.missing_kinds) for entry in planned.left_out if entry.missing_kinds)
    least = [kinds for kinds in wanted if not any(other < kinds for other in wanted)]
    choices = [" with ".join(f"`{kind}:`" for kind in sorted(kinds)) for kinds in sorted(least, key=len)]
    return (", or " if any(len(kinds) > 1 for kinds in least) else " or ").join(choices)


def _notices(
    plan: Plan, run: Run, circumstances: Circumstances, items: Sequence[ItemResult], used: set[Waiver]
) -> Iterable[Notice]:
    today = circumstances.today
    selected = {item.id for item in items}
    if len(items) < len(plan.checklist.items):
        yield Notice(
            kind="selection",
            text=f"{len(items)} of {_count(len(plan.checklist.items), 'item')}, selected by {plan.selection}",
        )
    if run.is_interrupted or run.is_cut_short:
        unfinished = sum(bool(item.unfinished) for item in run.items)
        yield Notice(kind="run", text=f"{_count(unfinished, 'item')} could not be finished before the run ended")
    if circumstances.gate == "none":
        yield Notice(kind="gate", text="advisory run (--gate none): the exit code is 0 whatever was found")
    if circumstances.gate == "new":
        known = sum(not item.blocks and not item.status.is_settled and item.blocking for item in items)
        yield Notice(
            kind="gate", text=f"--gate new: {_count(known, 'item')} no better than its baseline is let through"
        )
    for waiver in circumstances.waivers:
        if waiver.item not in selected:
            continue
        about = f"{waiver.item}{f' ({waiver.subject})' if waiver.subject else ''}, {waiver.ticket}"
        if not waiver.is_valid_on(today):
            yield Notice(kind="waiver-expired", text=f"{about}: expired on {waiver.expires.isoformat()} and is ignored")
        elif waiver not in used:
            yield Notice(kind="waiver-unused", text=f"{about}: covered nothing; remove it")
        elif (waiver.expires - today).days <= WARN_BEFORE_DAYS:
            yield Notice(kind="waiver-ending", text=f"{about}: ends on {waiver.expires.isoformat()}")
    for entry in circumstances.attestations:
        if entry.item not in selected:
            continue
        if not entry.is_valid_on(today):
            text = f"{entry.item}: the attestation of {entry.by} is not valid on {today.isoformat()}"
            yield Notice(kind="attestation", text=f"{text} (until {entry.expires.isoformat()})")
        elif (entry.expires - today).days <= WARN_BEFORE_DAYS:
            yield Notice(
                kind="attestation", text=f"{entry.item}: the attestation of {entry.by} ends {entry.expires.isoformat()}"
            )


def _best_grade(findings: Iterable[Finding]) -> Grade | None:
    grades = [finding.grade for finding in findings if finding.grade]
    return max(grades, key=lambda grade: grade.rank, default=None)


def _first_and_count(findings: Sequence[Finding]) -> str:
    first = min(findings, key=lambda finding: (finding.check, finding.subject))
    expected = f", expected {first.expected}" if first.expected else ""
    text = first.message or f"{first.subject}: {first.observed}{expected}"
    return text if len(findings) == 1 else f"{text} (and {len(findings) - 1} more)"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
