"""waivers.yaml and attestations.yaml: what people answer for."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from quub_audit.config.checklist import MAX_WAIVER_DAYS, Policy, Stage
from quub_audit.config.fields import Day, Distinct, ItemId, Line, Prose, Reason, Strict, written
from quub_audit.config.mistakes import Mistakes, Steps
from quub_audit.config.shape import contradiction, place_of, quietly, read
from quub_audit.config.tree import Node, Scalar, child, children, read_file
from quub_audit.config.variables import refuse_secrets
from quub_audit.model.checklist import Item
from quub_audit.model.dispensation import Attestation, OpenFindings, Waiver

MAX_ATTESTATION_DAYS = 365
"""Days for which a person's word holds at most, from when it was done. DESIGN, section 3."""

Count = Annotated[int, Field(strict=True, ge=0)]
HostPattern = Annotated[
    str,
    written(
        r"(?:\*\.)?[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*",
        "a host name such as api.example.com",
        "api.example.com",
        longest=253,
    ),
]


class WaiverEntry(Strict):
    """A risk that somebody accepted until a day."""

    item: ItemId
    """The item whose failure is accepted."""
    subject: Line = ""
    """The one subject that is covered, as reports name it; everything about the item when empty."""
    reason: Reason
    """Why the risk is taken; reports show it."""
    requester: Line
    """Who asked for it: a name, or an address."""
    approver: Line
    """Who accepted it; never the requester."""
    ticket: Line
    """Where it was discussed."""
    expires: Day
    """The last day on which it holds, UTC; at most 90 days ahead, or as many as the checklist allows."""
    run: Annotated[bool, Field(strict=True)] = True
    """Whether the item is evaluated all the same, so that changes show."""

    @model_validator(mode="after")
    def _is_approved_by_another(self) -> WaiverEntry:
        if _person(self.requester) == _person(self.approver):
            raise contradiction("the requester, expected somebody else", "approver")
        if self.subject and not self.run:
            raise contradiction("false beside a subject, expected true: an item is evaluated as a whole", "run")
        return self


class OpenFindingsEntry(Strict):
    """What of a test is still open, by severity."""

    critical: Count
    high: Count
    medium: Count = 0
    low: Count = 0


class AttestationEntry(Strict):
    """A person's dated, expiring word that an item holds."""

    item: ItemId
    """The item that holds."""
    statement: Prose
    """What was done or seen."""
    by: Line
    """Who says so."""
    organisation: Line = ""
    """For whom they speak."""
    performed_on: Day
    """The day on which it was done."""
    expires: Day
    """The last day on which the word holds, UTC; at most 365 days after it was done."""
    reference: Line
    """A ticket, a document, a digest: where it can be checked."""
    method: Line = ""
    """How it was done: `OWASP WSTG 4.2, by hand`."""
    scope: Annotated[tuple[HostPattern, ...], Distinct] = ()
    """Hosts that it was about; `*.example.com` stands for every name below."""
    report_sha256: Annotated[str, written("[0-9a-f]{64}", "64 hexadecimal digits in lower case")] | None = None
    """Digest of the report, so that it can be told from another one."""
    open_findings: OpenFindingsEntry | None = None
    """What of it is still open."""
    retested_on: Day | None = None
    """The day on which it was looked at whether what was found is mended."""

    @model_validator(mode="after")
    def _ends_in_time(self) -> AttestationEntry:
        if self.retested_on and self.retested_on < self.performed_on:
            raise contradiction("before performed_on, expected that day or a later one", "retested_on")
        if self.expires < self.performed_on:
            raise contradiction("before performed_on, expected a later day", "expires")
        last = self.performed_on + timedelta(days=min(MAX_ATTESTATION_DAYS, (date.max - self.performed_on).days))
        if self.expires > last:
            text = (
                f"more than {MAX_ATTESTATION_DAYS} days after performed_on, expected {last.isoformat()} at the latest"
            )
            raise contradiction(text, "expires")
        return self


class WaiversDocument(Strict):
    """Risks that were accepted until a day."""

    waivers: tuple[WaiverEntry, ...]


class AttestationsDocument(Strict):
    """What people have done or seen, where no machine can."""

    attestations: tuple[AttestationEntry, ...]


def read_waivers(
    path: Path, policy: Policy, stages: Sequence[Stage], today: date, mistakes: Mistakes
) -> tuple[Waiver, ...]:
    """The waivers, expired ones too; what is wrong with them, on `today` and in any of `stages`, goes to `mistakes`."""
    file = read_file(path, mistakes, what="a list of waivers")
    if file is None:
        return ()
    refuse_secrets(file, mistakes)
    read(WaiversDocument, file.root, mistakes)
    waivers: list[Waiver] = []
    for index, node in children(child(file.root, "waivers")):
        steps: Steps = ("waivers", index)
        is_known = _is_known(node, steps, policy, mistakes)
        entry = quietly(WaiverEntry, node)
        if entry is None:
            continue
        if is_known:
            for stage in stages:
                _check_waiver(entry, node, steps, policy.item(entry.item, stage), policy, today, mistakes)
        waiver = Waiver(**entry.model_dump(), place=f"{file.name}:{node.place.line}")
        twin = next((each for each in waivers if _covers_the_same(each, waiver, today)), None)
        if twin is not None:
            text = f"waived twice, first in {twin.place}, expected one valid waiver for an item and subject"
            mistakes.add(place_of(node, "item"), (*steps, "item"), text)
        waivers.append(waiver)
    return tuple(waivers)


def _check_waiver(
    entry: WaiverEntry,
    node: Node,
    steps: Steps,
    item: Item | None,
    policy: Policy,
    today: date,
    mistakes: Mistakes,
) -> None:
    if item is None:
        return
    if not item.waivable:
        mistakes.add(place_of(node, "item"), (*steps, "item"), "the checklist lets nobody waive this item")
    days = policy.days.get(item.severity, MAX_WAIVER_DAYS)
    last = today + timedelta(days=min(days, (date.max - today).days))
    if entry.expires > last:
        ahead = (entry.expires - today).days
        text = f"{ahead} days ahead, expected {last.isoformat()} at the latest: {days} days for {item.severity.value}"
        mistakes.add(place_of(node, "expires"), (*steps, "expires"), text)


def _covers_the_same(one: Waiver, other: Waiver, today: date) -> bool:
    return (one.item, one.subject) == (other.item, other.subject) and all(
        each.is_valid_on(today) for each in (one, other)
    )


def read_attestations(path: Path, policy: Policy, today: date, mistakes: Mistakes) -> tuple[Attestation, ...]:
    """The attestations, expired ones too; what is wrong with them on `today` goes to `mistakes`."""
    file = read_file(path, mistakes, what="a list of attestations")
    if file is None:
        return ()
    refuse_secrets(file, mistakes)
    read(AttestationsDocument, file.root, mistakes)
    attestations: list[Attestation] = []
    for index, node in children(child(file.root, "attestations")):
        steps: Steps = ("attestations", index)
        _is_known(node, steps, policy, mistakes)
        entry = quietly(AttestationEntry, node)
        if entry is None:
            continue
        for name, day in (("performed_on", entry.performed_on), ("retested_on", entry.retested_on)):
            if day is not None and day > today:
                text = f"in the future, expected {today.isoformat()} at the latest"
                mistakes.add(place_of(node, name), (*steps, name), text)
        attestation = _attestation(entry, f"{file.name}:{node.place.line}")
        twin = next((each for each in attestations if _says_the_same(each, attestation)), None)
        if twin is not None:
            mistakes.add(place_of(node, "item"), (*steps, "item"), f"attested twice, first in {twin.place}")
        attestations.append(attestation)
    return tuple(attestations)


def _attestation(entry: AttestationEntry, place: str) -> Attestation:
    written_as = entry.model_dump(exclude={"open_findings", "report_sha256"})
    still_open = entry.open_findings
    return Attestation(
        **written_as,
        report_sha256=entry.report_sha256 or "",
        open_findings=OpenFindings(**still_open.model_dump()) if still_open else None,
        place=place,
    )


def _says_the_same(one: Attestation, other: Attestation) -> bool:
    return (one.item, _person(one.by), one.performed_on) == (other.item, _person(other.by), other.performed_on)


def _is_known(node: Node, steps: Steps, policy: Policy, mistakes: Mistakes) -> bool:
    """Whether the checklist has the item that an entry names; a mistake when it has not."""
    item = child(node, "item")
    if not isinstance(item, Scalar) or not isinstance(item.value, str) or item.place in mistakes.places:
        return False
    problem = policy.why_unknown(item.value)
    if problem:
        mistakes.add(item.place, (*steps, "item"), problem)
    return not problem


def _person(text: str) -> str:
    """A name or address as people compare it: case, width and spaces make no difference."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
