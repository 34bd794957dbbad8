"""checklist.yaml: what must hold. A checklist may extend another: add, change and drop items."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, ValidationError, model_validator

from quub_audit.config.fields import Distinct, ItemId, Line, Prose, Reason, Strict, written
from quub_audit.config.mistakes import Mistakes, Steps, listed, nearest
from quub_audit.config.shape import contradiction, note, place_of, quietly, read
from quub_audit.config.tree import File, Node, Scalar, Table, Unclear, child, children, plain, read_file, scalars
from quub_audit.config.variables import refuse_secrets
from quub_audit.model.checklist import Checklist, DroppedItem, Item
from quub_audit.model.status import Grade, Severity
from quub_audit.registry import BrokenModule, CheckModule, Registry
from quub_audit.sdk.declare import Parameters

BUILTIN = "builtin"
MAX_WAIVER_DAYS = 90
"""Days ahead that a waiver may end at most, whatever a checklist says. DESIGN, section 3."""

Stage = Literal["production", "staging", "development"]
STAGES: tuple[Stage, ...] = get_args(Stage)

CheckName = Annotated[
    str,
    written(
        r"[a-z0-9]+(?:-[a-z0-9]+)*(?:\.[a-z0-9]+(?:-[a-z0-9]+)*)*(?:/[A-Za-z_][A-Za-z0-9_]*)?",
        "a check module, or a function of one after a slash",
        "security.network.https-enforced",
        "security.network.https-enforced/listener",
        longest=300,
    ),
]
Count = Annotated[int, Field(strict=True, ge=1, le=100_000)]
Days = Annotated[int, Field(strict=True, ge=1, le=MAX_WAIVER_DAYS)]
Switch = Annotated[bool, Field(strict=True)]
Choices = dict[str, Any]


class StageOverride(Strict):
    """What is otherwise in environments of one stage."""

    severity: Severity = Severity.MEDIUM
    """How bad it is when the item does not hold."""
    parameters: Choices = Field(default_factory=dict, alias="with")
    """Parameters of the checks, added to those of the item."""
    min_evidence: Grade = Grade.CONTROL_PLANE
    """The lowest grade of evidence that may pass the item."""
    at_least: Count = 1
    """Subjects that must have been judged at or above the floor before the item may pass."""
    blocking: Switch = True
    """Whether the item stops a release."""
    waivable: Switch = True
    """Whether a waiver may cover the item."""
    attestable: Switch = False
    """Whether a person's word alone may pass the item where nothing could be observed."""


class ItemChange(StageOverride):
    """What is otherwise than in the extended checklist; what is not named stays."""

    title: Line = ""
    """What must hold, in a few words."""
    check: CheckName = ""
    """The check, where it is not the one that the id names."""
    checks: Annotated[tuple[CheckName, ...], Field(min_length=1), Distinct] = ()
    """The checks, where they are several."""
    stages: dict[Stage, StageOverride] = Field(default_factory=dict)
    """What is otherwise in environments of a stage."""
    remediation: Prose = ""
    """The cheapest real fix."""
    references: Annotated[tuple[Line, ...], Distinct] = ()
    """Standards, and addresses of pages that explain more."""
    tags: Annotated[tuple[Line, ...], Distinct] = ()
    """Words by which `--tag` selects items."""
    owner: Line = ""
    """The team that can unblock the item."""

    @model_validator(mode="after")
    def _has_one_way_to_name_checks(self) -> ItemChange:
        if self.check and self.checks:
            raise contradiction("beside `checks`, expected one of the two", "check")
        return self


class ItemEntry(ItemChange):
    """One item."""

    id: ItemId
    """Section, group and name, in kebab case; public, so it stays as it is once it is used."""
    title: Line
    """What must hold, in a few words."""
    severity: Severity
    """How bad it is when the item does not hold."""


class GroupEntry(Strict):
    """Items that stand together."""

    title: Line
    items: Annotated[tuple[ItemEntry, ...], Field(min_length=1)]


class SectionEntry(Strict):
    """Groups that stand together."""

    title: Line
    groups: Annotated[tuple[GroupEntry, ...], Field(min_length=1)]


class DropEntry(Strict):
    """An item of the extended checklist that this one leaves out."""

    id: ItemId
    reason: Reason
    """Why; reports list it."""


class WaiverDays(Strict):
    """The longest life of a waiver in days, by the severity of its item."""

    critical: Days = MAX_WAIVER_DAYS
    high: Days = MAX_WAIVER_DAYS
    medium: Days = MAX_WAIVER_DAYS
    low: Days = MAX_WAIVER_DAYS


class ChecklistDocument(Strict):
    """What must hold before a release: sections, groups and items, in the order of reports."""

    version: Line
    """The version of the policy."""
    title: Line
    """Its name, as reports show it."""
    extends: Line = ""
    """`builtin`, or the path of another checklist, relative to this file."""
    max_waiver_days: WaiverDays = WaiverDays()
    """The longest life of a waiver in days, by the severity of its item; 90 where nothing is said."""
    drop: tuple[DropEntry, ...] = ()
    """Items of the extended checklist that are left out."""
    change: dict[ItemId, ItemChange] = Field(default_factory=dict)
    """By id, what is otherwise in items of the extended checklist."""
    sections: tuple[SectionEntry, ...] = ()
    """The items, or those that are added to the extended checklist; known titles continue their section or group."""

    @model_validator(mode="after")
    def _has_items(self) -> ChecklistDocument:
        if not self.extends:
            for key, present in (("drop", self.drop), ("change", self.change)):
                if present:
                    raise contradiction("there is nothing to do this to, expected `extends`", key)
            if not self.sections:
                raise contradiction("missing, expected at least one section, or `extends`", "sections")
        return self


@dataclass(slots=True, kw_only=True)
class Slot:
    """One item while checklists are laid over one another."""

    section: str
    group: str
    file: File
    node: Table
    """With the changes of each checklist that extends the one it comes from."""

    @property
    def id(self) -> str:
        """The item's id."""
        return str(plain(self.node.entries["id"]))

    @property
    def line(self) -> int:
        """Where the item begins in its file, counted from 1."""
        return self.node.place.line


@dataclass(slots=True, kw_only=True)
class Policy:
    """A checklist with all that it extends, before the overrides of a stage."""

    title: str = ""
    version: str = ""
    slots: dict[str, Slot] = field(default_factory=dict)
    days: dict[Severity, int] = field(default_factory=dict)
    dropped: dict[str, DroppedItem] = field(default_factory=dict)
    contents: list[bytes] = field(default_factory=list)
    unread: set[str] = field(default_factory=set)
    """Ids of items that have a mistake, which is told; nothing else is said about them."""

    def item(self, id_: str, stage: Stage) -> Item | None:
        """The item as it is in `stage`; None for one that cannot be read."""
        slot = self.slots.get(id_)
        return _item(slot, stage) if slot else None

    def why_unknown(self, id_: str) -> str:
        """What is wrong with an id that another file names; nothing for the id of an item."""
        if id_ in self.slots or id_ in self.unread:
            return ""
        if id_ in self.dropped:
            return "the checklist has dropped this item, expected one that it has"
        return f"there is no such item in the checklist{nearest(id_, self.slots)}"

    def checklist(self, stage: Stage) -> Checklist:
        """What holds in `stage`, without the items that have a mistake."""
        items = tuple(item for slot in self.slots.values() if (item := _item(slot, stage)))
        return Checklist(
            title=self.title,
            version=self.version,
            items=items,
            digest=_digest(self.contents),
            max_waiver_days=dict(self.days),
            dropped=tuple(self.dropped.values()),
        )


def builtin_path() -> Path:
    """The checklist that is shipped."""
    import quub_audit

    return (Path(quub_audit.__file__).parent / "checklist.yaml").resolve()


def read_policy(path: Path | None, registry: Registry | None, mistakes: Mistakes) -> Policy:
    """The checklist at `path` (the shipped one for None), with all that it extends; what is wrong goes to `mistakes`.

    Without a registry, neither the existence of checks nor their parameters are looked at.
    """
    policy = Policy()
    for file in _chain(path or builtin_path(), mistakes):
        _lay_over(policy, file, mistakes)
    for slot in policy.slots.values():
        if registry is not None:
            _check_item(slot, registry, mistakes)
    return policy


def _chain(path: Path, mistakes: Mistakes) -> list[File]:
    """The file and all that it extends, the base first."""
    files: list[File] = []
    seen = {path.resolve()}
    file = read_file(path, mistakes, what="a checklist")
    while file is not None:
        files.append(file)
        extends = child(file.root, "extends")
        if not (isinstance(extends, Scalar) and isinstance(extends.value, str) and extends.value.strip()):
            break
        base = builtin_path() if extends.value == BUILTIN else file.path.parent / extends.value
        if base.resolve() in seen:
            mistakes.add(extends.place, ("extends",), "the checklist extends itself, expected another one")
            break
        if not base.is_file():
            mistakes.add(extends.place, ("extends",), f"there is no such file, expected `{BUILTIN}` or a path")
            break
        seen.add(base.resolve())
        file = read_file(base, mistakes, what="a checklist")
    return files[::-1]


def _lay_over(policy: Policy, file: File, mistakes: Mistakes) -> None:
    refuse_secrets(file, mistakes)
    document = read(ChecklistDocument, file.root, mistakes, called=_naming(file.root))
    policy.contents.append(file.content)
    title, version = child(file.root, "title"), child(file.root, "version")
    policy.title = str(plain(title)) if title else ""
    policy.version = str(plain(version)) if version else ""
    if document is not None:
        days = document.max_waiver_days.model_dump(exclude_unset=True)
        policy.days.update({Severity(severity): limit for severity, limit in days.items()})
    if child(file.root, "extends") is not None:
        _drop(policy, file, mistakes)
        _change(policy, file, mistakes)
    _add(policy, file, mistakes)


def _naming(root: Table) -> Any:
    """Paths below an item begin with its id, wherever it stands."""

    def called(steps: Steps) -> Steps:
        if len(steps) > 6 and steps[0] == "sections":
            id_ = child(root, *steps[:6], "id")
            if isinstance(id_, Scalar) and isinstance(id_.value, str) and id_.value:
                return (*id_.value.split("."), *steps[6:])
        if len(steps) > 2 and steps[0] == "change":
            return (*str(steps[1]).split("."), *steps[2:])
        return steps

    return called


def _drop(policy: Policy, file: File, mistakes: Mistakes) -> None:
    for index, node in children(child(file.root, "drop")):
        entry = quietly(DropEntry, node)
        if entry is None:
            continue
        if entry.id in policy.unread:
            continue
        slot = policy.slots.pop(entry.id, None)
        if slot is None:
            near = nearest(entry.id, policy.slots) or ", expected an item of the extended checklist"
            problem = "dropped twice" if entry.id in policy.dropped else f"there is no such item{near}"
            mistakes.add(place_of(node, "id"), ("drop", index, "id"), problem)
            continue
        title = child(slot.node, "title")
        policy.dropped[entry.id] = DroppedItem(
            id=entry.id, title=str(plain(title)) if title else "", reason=entry.reason
        )


def _change(policy: Policy, file: File, mistakes: Mistakes) -> None:
    table = child(file.root, "change")
    for id_, node in children(table):
        if not isinstance(table, Table) or not isinstance(id_, str) or id_ in policy.unread:
            continue
        slot = policy.slots.get(id_)
        if slot is None:
            near = nearest(id_, policy.slots) or ", expected an item of the extended checklist"
            mistakes.add(table.keys[id_], ("change", id_), f"there is no such item{near}")
        elif isinstance(node, Table) and quietly(ItemChange, node) is not None:
            slot.node = overlaid(slot.node, node)


def _add(policy: Policy, file: File, mistakes: Mistakes) -> None:
    before = dict(policy.slots)
    added: list[Slot] = []
    for section, group, node in _items(file.root):
        id_ = child(node, "id")
        if not isinstance(node, Table) or not isinstance(id_, Scalar) or not isinstance(id_.value, str):
            continue
        slot = Slot(section=section, group=group, file=file, node=node)
        known = before.get(id_.value)
        if known is not None:
            there = f"first in {known.file.name}:{known.line}"
            hint = "" if known.file is file else "; what is to be otherwise goes under `change`"
            mistakes.add(id_.place, tuple(id_.value.split(".")), f"the id is there twice, {there}{hint}")
        elif quietly(ItemEntry, node) is None:
            policy.unread.add(id_.value)
        else:
            before[id_.value] = slot
            added.append(slot)
            policy.dropped.pop(id_.value, None)
    policy.slots = {slot.id: slot for slot in _in_order([*policy.slots.values(), *added])}


def _items(root: Table) -> Iterator[tuple[str, str, Node]]:
    for _, section in children(child(root, "sections")):
        for _, group in children(child(section, "groups")):
            for _, item in children(child(group, "items")):
                yield _title(section), _title(group), item


def _title(node: Node) -> str:
    title = child(node, "title")
    return str(title.value) if isinstance(title, Scalar) else ""


def _in_order(slots: Sequence[Slot]) -> list[Slot]:
    """Section by section and group by group, each in the order of its first item."""
    sections = list(dict.fromkeys(slot.section for slot in slots))
    groups = list(dict.fromkeys((slot.section, slot.group) for slot in slots))
    return sorted(slots, key=lambda slot: (sections.index(slot.section), groups.index((slot.section, slot.group))))


_WITH: Mapping[str, Any] = {"with": {}}
_MERGED: Mapping[str, Any] = {**_WITH, "stages": dict.fromkeys(STAGES, _WITH)}
"""Mappings whose keys are merged one by one; everything else is replaced as a whole."""


def overlaid(base: Table, over: Table, merged: Mapping[str, Any] = _MERGED) -> Table:
    """`base` with what `over` says instead; parameters and stages are merged, lists are replaced."""
    entries, keys = dict(base.entries), dict(base.keys)
    for one, other in (("check", "checks"), ("checks", "check")):
        if one in over.entries:
            entries.pop(other, None)
    for key, node in over.entries.items():
        below = entries.get(key)
        is_merged = key in merged and isinstance(node, Table) and isinstance(below, Table)
        entries[key] = overlaid(below, node, merged[key]) if is_merged else node  # type: ignore[arg-type]
        keys[key] = over.keys[key]
    return replace(base, entries=entries, keys=keys)


def _at_stage(node: Table, stage: Stage) -> Table:
    """The item as it is in `stage`."""
    override = child(node, "stages", stage)
    bare = replace(node, entries={key: entry for key, entry in node.entries.items() if key != "stages"})
    return overlaid(bare, override) if isinstance(override, Table) else bare


def _item(slot: Slot, stage: Stage) -> Item | None:
    entry = quietly(ItemEntry, _at_stage(slot.node, stage))
    if entry is None:
        return None
    return Item(
        id=entry.id,
        title=entry.title,
        section=slot.section,
        group=slot.group,
        severity=entry.severity,
        checks=_check_names(entry),
        parameters=entry.parameters,
        min_evidence=entry.min_evidence,
        at_least=entry.at_least,
        blocking=entry.blocking,
        waivable=entry.waivable,
        attestable=entry.attestable,
        remediation=entry.remediation.strip(),
        references=entry.references,
        tags=entry.tags,
        owner=entry.owner,
        file=slot.file.name,
        line=slot.line,
    )


def _check_names(entry: ItemEntry) -> tuple[str, ...]:
    return entry.checks or ((entry.check,) if entry.check else (entry.id,))


def _digest(contents: Sequence[bytes]) -> str:
    """Of one file, what `sha256sum` prints; of several, the hash over their hashes, the base first."""
    hashes = [hashlib.sha256(content) for content in contents]
    whole = hashes[0] if len(hashes) == 1 else hashlib.sha256(b"".join(each.digest() for each in hashes))
    return f"sha256:{whole.hexdigest()}"


# Checks and their parameters


def _check_item(slot: Slot, registry: Registry, mistakes: Mistakes) -> None:
    entry = quietly(ItemEntry, slot.node)
    if entry is None:
        return
    models: dict[type[Parameters], None] = {}
    is_complete = True
    for index, name in enumerate(_check_names(entry)):
        found = _find(name, registry)
        if isinstance(found, str):
            where: Steps = ("checks", index) if entry.checks else ("check",) if entry.check else ("id",)
            path = (*entry.id.split("."), *(() if where == ("id",) else where))
            mistakes.add(place_of(slot.node, *where), path, found)
            is_complete = False
        elif found is None:
            is_complete = False
        else:
            models |= dict.fromkeys(found)
    for stage in STAGES:
        _check_parameters(slot, stage, tuple(models), is_complete=is_complete, mistakes=mistakes)


def _find(name: str, registry: Registry) -> tuple[type[Parameters], ...] | str | None:
    """The parameter models of a check or module, or what is wrong with its name; None for a module that is broken."""
    module_id, _, function = name.partition("/")
    module = registry.load(module_id)
    if module is None:
        return f"there is no check {module_id}{nearest(module_id, registry.ids())}"
    if isinstance(module, BrokenModule):
        return None
    checks = [check for check in module.checks if function in ("", check.name)]
    if not checks:
        names = [check.name for check in module.checks]
        return f"{module_id} has no check {function}, expected {listed(names)}{nearest(function, names)}"
    return CheckModule(id=module.id, doc="", checks=tuple(checks), file="").parameters


def _check_parameters(
    slot: Slot, stage: Stage, models: Sequence[type[Parameters]], *, is_complete: bool, mistakes: Mistakes
) -> None:
    item = _at_stage(slot.node, stage)
    with_ = child(item, "with")
    table = with_ if isinstance(with_, Table) else Table(place=item.place, entries={}, keys={})
    override = child(slot.node, "stages", stage, "with")
    id_steps = tuple(slot.id.split("."))

    def called(steps: Steps) -> Steps:
        is_overridden = bool(steps) and child(override, steps[0]) is not None
        return (*id_steps, *(("stages", stage) if is_overridden else ()), "with", *steps)

    known = {name for model in models for name in model.model_fields}
    for name in table.entries if is_complete else ():
        if name not in known:
            near = nearest(name, known) or (
                f", expected {listed(sorted(known))}" if known else "; the check takes none"
            )
            mistakes.add(table.keys[name], called((name,)), f"unknown parameter{near}")
    for steps, node in scalars(table):
        if isinstance(node.value, Unclear):
            text = "a number that YAML readers understand differently, expected plain digits, or text in quotes"
            mistakes.add(node.place, called(steps), text)
    for model in models:
        part = replace(table, entries={key: at for key, at in table.entries.items() if key in model.model_fields})
        try:
            model.model_validate_json(json.dumps(plain(part), default=_text_of), strict=True)
        except ValidationError as error:
            note(error, model, part, mistakes, called=called)


def _text_of(value: Unclear) -> str:
    """A number that is a mistake already, so that the others can be looked at."""
    return value.text
