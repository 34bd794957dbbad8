"""Decides, before anything is asked, what will be looked at and what will not, and why."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from quub_audit.errors import UsageError
from quub_audit.model.checklist import Checklist, Item
from quub_audit.model.dispensation import Waiver
from quub_audit.model.environment import Environment
from quub_audit.registry import BrokenModule, Registry
from quub_audit.sdk.declare import Check, Parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which items a run is narrowed to. Everything when all are empty."""

    only: tuple[str, ...] = ()
    """Globs over ids; an item must match one."""
    skip: tuple[str, ...] = ()
    """Globs over ids; an item must match none."""
    tags: tuple[str, ...] = ()
    """An item must carry one."""
    sections: tuple[str, ...] = ()
    """Titles, or first segments of ids, case ignored; an item must stand in one."""

    def __str__(self) -> str:
        options = (("--only", self.only), ("--skip", self.skip), ("--tag", self.tags), ("--section", self.sections))
        return " ".join(f"{option} {value}" for option, values in options for value in values)

    def takes(self, item: Item) -> bool:
        """Whether the run looks at `item`."""
        section_names = {item.section.lower(), item.id.partition(".")[0]}
        return (
            (not self.only or _matches(item.id, self.only))
            and not _matches(item.id, self.skip)
            and (not self.tags or bool(set(self.tags) & set(item.tags)))
            and (not self.sections or any(name.lower() in section_names for name in self.sections))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedCheck:
    """A check that will run, with its parameters validated."""

    check: Check
    parameters: Parameters | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A check that will not run in this environment."""

    check: Check
    why: str
    missing_kinds: tuple[str, ...] = ()
    """Sections that environments.yaml lacks; empty when it was left out for being active."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedItem:
    """One item, and what will be done about it."""

    item: Item
    checks: tuple[PlannedCheck, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    broken: tuple[tuple[str, str], ...] = ()
    """Check modules that could not be used, and the problem."""
    not_applicable: str = ""
    """The environment's reason, when it does not apply."""
    unrun_waiver: Waiver | None = None
    """The valid waiver that says `run: false`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Every selected item of the checklist, in its order."""

    checklist: Checklist
    environment: Environment
    items: tuple[PlannedItem, ...]
    selection: Selection

    @property
    def permissions(self) -> frozenset[str]:
        """What the checks that will run use, as their owners spell it."""
        return frozenset(
            permission for planned in self.items for check in planned.checks for permission in check.check.permissions
        )


def make_plan(
    checklist: Checklist,
    environment: Environment,
    registry: Registry,
    *,
    selection: Selection | None = None,
    waivers: Sequence[Waiver] = (),
    today: date,
    allow_active: bool = False,
) -> Plan:
    """Plan a run. Imports the check modules of the selected items, and asks no target anything.

    Raises UsageError when the selection takes no item, or one of its names matches none.
    """
    selection = selection or Selection()
    _refuse_idle_names(selection, checklist.items)
    items = tuple(item for item in checklist.items if selection.takes(item))
    if not items:
        narrowed = f" with {selection}" if str(selection) else ""
        raise UsageError(
            f"no item of “{checklist.title}” is selected{narrowed}; "
            "an audit of nothing proves nothing: see `quub-audit list`"
        )
    excused = {entry.item: entry.reason for entry in environment.not_applicable}
    unrun = {
        waiver.item: waiver for waiver in waivers if not waiver.run and not waiver.subject and waiver.is_valid_on(today)
    }
    planned = []
    for item in items:
        if item.id in excused:
            planned.append(PlannedItem(item=item, not_applicable=excused[item.id]))
        elif item.id in unrun and item.waivable:
            planned.append(PlannedItem(item=item, unrun_waiver=unrun[item.id]))
        else:
            planned.append(_plan_item(item, environment, registry, allow_active=allow_active))
    return Plan(checklist=checklist, environment=environment, items=tuple(planned), selection=selection)


def _plan_item(item: Item, environment: Environment, registry: Registry, *, allow_active: bool) -> PlannedItem:
    checks: list[PlannedCheck] = []
    left_out: list[LeftOut] = []
    broken: list[tuple[str, str]] = []
    for name in item.checks:
        module_id, _, check_name = name.partition("/")
        module = registry.load(module_id)
        if module is None:
            broken.append((name, "there is no such check"))
            continue
        if isinstance(module, BrokenModule):
            broken.append((name, f"the plugin could not be imported: {module.problem}"))
            continue
        wanted = [check for check in module.checks if check_name in ("", check.name)]
        if not wanted:
            broken.append((name, f"{module_id} has no check of that name"))
        for check in wanted:
            why_not = _why_left_out(check, environment, allow_active=allow_active)
            if why_not is not None:
                left_out.append(why_not)
            else:
                checks.append(PlannedCheck(check=check, parameters=_parameters(check, item)))
    return PlannedItem(item=item, checks=tuple(checks), left_out=tuple(left_out), broken=tuple(broken))


def _why_left_out(check: Check, environment: Environment, *, allow_active: bool) -> LeftOut | None:
    missing = tuple(sorted(check.target_kinds - environment.kinds))
    if missing:
        sections = " and ".join(f"`{kind}:`" for kind in missing)
        return LeftOut(check=check, why=f"the environment declares no {sections}", missing_kinds=missing)
    if check.is_active and not allow_active:
        return LeftOut(check=check, why="it is active and runs only with --allow-active")
    return None


def _parameters(check: Check, item: Item) -> Parameters | None:
    """The part of `with:` that is this check's; the configuration has refused what belongs to none."""
    model = check.parameters
    if model is None:
        return None
    return model(**{name: value for name, value in item.parameters.items() if name in model.model_fields})


def _matches(name: str, globs: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, glob) for glob in globs)


def _refuse_idle_names(selection: Selection, items: Sequence[Item]) -> None:
    mistakes = list(_idle_names(selection, items))
    if mistakes:
        raise UsageError("\n".join(mistakes))


def _idle_names(selection: Selection, items: Sequence[Item]) -> Iterator[str]:
    ids = [item.id for item in items]
    tags = sorted({tag for item in items for tag in item.tags})
    sections = sorted({item.section for item in items})
    for option, globs in (("--only", selection.only), ("--skip", selection.skip)):
        for glob in globs:
            if not fnmatch.filter(ids, glob):
                yield f"{option} {glob}: matches no item{_nearest(glob, ids)}"
    for tag in selection.tags:
        if tag not in tags:
            yield f"--tag {tag}: no item carries it{_nearest(tag, tags)}"
    known = {name for item in items for name in (item.section.lower(), item.id.partition(".")[0])}
    for section in selection.sections:
        if section.lower() not in known:
            yield f"--section {section}: there is no such section{_nearest(section, sections)}"


def _nearest(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""
