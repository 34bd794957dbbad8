"""Runs the planned checks: concurrently, each under its deadline, whatever a plugin does.

Workers are daemon threads of our own. A call that does not come back is abandoned: its thread is left to
itself, another takes its place, and the process may still end.
"""

from __future__ import annotations

import contextvars
import queue
import threading
import time
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from quub_audit.connectors.base import ASKED, DEADLINE, Deadline, Question
from quub_audit.engine.plan import Plan, PlannedCheck, PlannedItem
from quub_audit.errors import Mendable, Reportable, Stale
from quub_audit.model.dispensation import Attestations
from quub_audit.model.environment import Environment
from quub_audit.model.finding import Finding
from quub_audit.model.status import FindingStatus
from quub_audit.sdk.declare import Check, Need, Parameters, Subjects

GRACE_S = 1.0
"""Seconds by which a check may overrun its deadline to end by itself, with the better error text."""

TICK_S = 0.1
"""Longest wait of the coordinator between two looks at clocks and signals. Seconds."""


class Observer(Protocol):
    """Who wants to know how the run gets on. Called in the coordinator's thread only."""

    def item_finished(self, item: PlannedItem, findings: tuple[Finding, ...], duration_s: float) -> None:
        """Nothing of the item is left to do; `duration_s` is from the start of its first call to the end of its last.

        Those that were abandoned end when they are given up.
        """

    def tick(self, running: tuple[str, ...]) -> None:
        """About ten times a second, with the ids of the items under way."""


class Connectors(Protocol):
    """Where checks get their connectors from."""

    def connector(self, protocol: type) -> object:
        """The implementation of one of the Protocols of `quub_audit.facts.asking`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemRun:
    """What came of one planned item."""

    planned: PlannedItem
    findings: tuple[Finding, ...] = ()
    duration_s: float = 0.0
    """From the start of its first call to the end of its last."""
    unfinished: str = ""
    """Why it was not finished, when it was not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What came of a plan, in its order."""

    items: tuple[ItemRun, ...]
    is_interrupted: bool = False
    is_cut_short: bool = False
    """The run's own deadline came first."""


@dataclass(slots=True, eq=False)
class _Task:
    """One call of a plugin: an enumeration, or a check on one subject."""

    item: int
    planned: PlannedCheck
    steps: tuple[Subjects[Any] | Check, ...]
    """What is still to be called; the first now, the others for each subject it lists."""
    subject: Any
    started_at: float = 0.0
    ended_at: float = 0.0
    deadline: Deadline | None = None
    is_abandoned: bool = False
    findings: list[Finding] = field(default_factory=list)
    subjects: list[Any] = field(default_factory=list)
    asked: dict[Question, int] = field(default_factory=dict)

    def was_abandoned(self) -> bool:
        """Asked anew each time: the coordinator may have decided so meanwhile."""
        return self.is_abandoned


@dataclass(slots=True)
class _Progress:
    """The coordinator's view of one item."""

    open_tasks: int = 0
    first_start: float | None = None
    last_end: float = 0.0
    findings: list[Finding] = field(default_factory=list)

    @property
    def duration_s(self) -> float:
        """From the start of its first call to the end of its last; of those that ended."""
        return max(0.0, self.last_end - (self.first_start or self.last_end))


def execute(
    plan: Plan,
    connectors: Connectors,
    *,
    jobs: int = 16,
    check_timeout_s: float = 60.0,
    deadline_s: float = 900.0,
    ends_at: float | None = None,
    stop: threading.Event | None = None,
    observer: Observer | None = None,
) -> Run:
    """Run every check of `plan`. Always returns; `stop` ends it early from any thread or signal handler.

    `check_timeout_s` bounds one call: a check on one subject, or one enumeration. `ends_at`, of the monotonic clock, is
    where some of the run's `deadline_s` have passed already.
    """
    coordinator = _Coordinator(plan, connectors, jobs, check_timeout_s, stop or threading.Event(), observer)
    return coordinator.run(deadline_s, time.monotonic() + deadline_s if ends_at is None else ends_at)


class _Coordinator:
    def __init__(
        self,
        plan: Plan,
        connectors: Connectors,
        jobs: int,
        check_timeout_s: float,
        stop: threading.Event,
        observer: Observer | None,
    ) -> None:
        self._plan = plan
        self._connectors = connectors
        self._jobs = max(1, jobs)
        self._check_timeout_s = check_timeout_s
        self._stop = stop
        self._observer = observer
        self._waiting: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        # Not a SimpleQueue: its `get(timeout=...)` waits forever when a signal handler outlasts the time-out.
        self._finished: queue.Queue[_Task] = queue.Queue()
        self._open: dict[_Task, None] = {}
        self._items = [_Progress() for _ in plan.items]
        self._workers = 0
        self._is_over = False

    def run(self, deadline_s: float, ends_at: float) -> Run:
        self._is_over = self._stop.is_set() or time.monotonic() >= ends_at
        for index, planned in enumerate(self._plan.items):
            for check in planned.checks:
                steps = _steps(check.check)
                self._add(index, check, steps, _targets(check.check, self._plan.environment))
        while self._open and not self._stop.is_set() and time.monotonic() < ends_at:
            self._take_finished(min(TICK_S, max(0.0, ends_at - time.monotonic())))
            self._abandon_overdue()
            if self._observer:
                self._observer.tick(self._running())
        self._is_over = True
        self._take_finished(0.0)  # what has come back by now counts
        is_interrupted = self._stop.is_set() and bool(self._open)
        unfinished = ""
        if self._open:
            unfinished = "the run was interrupted" if is_interrupted else f"the run's {deadline_s:g} s were used up"
        for task in self._open:
            task.is_abandoned = True
            if task.deadline:
                task.deadline.cancel()
        for _ in range(self._workers):
            self._waiting.put(None)
        return Run(
            items=tuple(self._item_run(index, unfinished) for index in range(len(self._items))),
            is_interrupted=is_interrupted,
            is_cut_short=bool(unfinished) and not is_interrupted,
        )

    def _add(
        self, index: int, check: PlannedCheck, steps: tuple[Subjects[Any] | Check, ...], subjects: Iterable[Any]
    ) -> None:
        for subject in subjects:
            task = _Task(item=index, planned=check, steps=steps, subject=subject)
            self._open[task] = None
            self._items[index].open_tasks += 1
            if self._is_over:
                continue  # never asked, so not finished
            self._waiting.put(task)
            if self._workers < self._jobs:
                self._start_worker()

    def _start_worker(self) -> None:
        self._workers += 1
        threading.Thread(target=self._work, name=f"check-{self._workers}", daemon=True).start()

    def _work(self) -> None:
        while (task := self._waiting.get()) is not None:
            if task.was_abandoned():
                continue
            task.deadline = Deadline(self._check_timeout_s)
            task.started_at = time.monotonic()
            contextvars.copy_context().run(_call, task, self._connectors, self._plan)
            task.ended_at = time.monotonic()
            self._finished.put(task)
            if task.was_abandoned():
                return  # another worker has taken this one's place

    def _take_finished(self, timeout_s: float) -> None:
        try:
            task = self._finished.get(timeout=timeout_s) if timeout_s > 0 else self._finished.get_nowait()
        except queue.Empty:
            return
        while True:
            if task in self._open:
                self._close(task)
                self._add(task.item, task.planned, task.steps[1:], task.subjects)
                self._tell_if_finished(task.item)
            try:
                task = self._finished.get_nowait()
            except queue.Empty:
                return

    def _abandon_overdue(self) -> None:
        now = time.monotonic()
        for task in [task for task in self._open if task.started_at and not task.is_abandoned]:
            if now - task.started_at > self._check_timeout_s + GRACE_S:
                task.is_abandoned = True
                task.findings = [
                    *task.findings,
                    Finding.error(
                        subject=str(task.subject),
                        message=f"{task.subject}: the check did not come back within {self._check_timeout_s:g} s",
                        next_step="give it longer with --check-timeout, or have the plugin mended",
                    ),
                ]
                self._close(task)
                self._workers -= 1
                self._start_worker()
                self._tell_if_finished(task.item)

    def _close(self, task: _Task) -> None:
        del self._open[task]
        progress = self._items[task.item]
        progress.open_tasks -= 1
        progress.first_start = min(progress.first_start or task.started_at, task.started_at)
        progress.last_end = max(progress.last_end, task.ended_at or time.monotonic())
        progress.findings.extend(_stamp(finding, task) for finding in tuple(task.findings))

    def _tell_if_finished(self, index: int) -> None:
        if self._observer and not self._items[index].open_tasks:
            progress = self._items[index]
            planned = self._plan.items[index]
            self._observer.item_finished(planned, _each_once(progress.findings, planned), progress.duration_s)

    def _running(self) -> tuple[str, ...]:
        started = dict.fromkeys(task.item for task in tuple(self._open) if task.started_at)
        return tuple(self._plan.items[index].item.id for index in started)

    def _item_run(self, index: int, unfinished: str) -> ItemRun:
        progress = self._items[index]
        for task in self._open:
            if task.item == index:
                progress.findings.extend(_stamp(finding, task) for finding in tuple(task.findings))
        return ItemRun(
            planned=self._plan.items[index],
            findings=_each_once(progress.findings, self._plan.items[index]),
            duration_s=progress.duration_s,
            unfinished=unfinished if progress.open_tasks else "",
        )


def _each_once(findings: Iterable[Finding], planned: PlannedItem) -> tuple[Finding, ...]:
    """By the order of the item's checks; what kept several of them, or of their subjects, from an answer once."""
    rank = {entry.check.id: at for at, entry in enumerate(planned.checks)}
    kept: dict[object, Finding] = {}
    for finding in sorted(findings, key=lambda each: rank[each.check]):
        is_repeated = finding.is_undecided or finding.status is FindingStatus.ERROR
        same = (finding.kind, finding.subject, finding.observed, finding.message) if is_repeated else len(kept)
        kept.setdefault(same, finding)
    return tuple(kept.values())


def _steps(check: Check) -> tuple[Subjects[Any] | Check, ...]:
    enumerations: list[Subjects[Any] | Check] = [check]
    each = check.each
    while isinstance(each, Subjects):
        enumerations.insert(0, each)
        each = each.each
    return tuple(enumerations)


def _targets(check: Check, environment: Environment) -> tuple[Any, ...]:
    """Every target of the class that the check's enumeration starts from."""
    quub = (environment.quub,) if environment.quub else ()
    by_class: Mapping[str, tuple[Any, ...]] = {
        "Account": environment.aws,
        "AdvisoryService": environment.advisories,
        "AlertmanagerServer": environment.alertmanager,
        "ApmBackend": environment.apm,
        "Artifact": environment.artifacts,
        "BackupBucket": environment.backups,
        "Cache": environment.caches,
        "CriticalPath": environment.testing.critical_paths,
        "Database": environment.databases,
        "Endpoint": environment.endpoints,
        "Environment": (environment,),
        "ErrorTracker": environment.error_tracking,
        "Flow": environment.testing.flows,
        "IdentityProvider": environment.identity,
        "LogSource": environment.logs,
        "PrometheusServer": environment.prometheus,
        "Quub": quub,
        "Region": tuple(region for account in environment.aws for region in account.regions),
        "Repository": environment.repositories,
        "SecretReference": tuple(secret for target in quub for secret in target.secrets),
        "VaultServer": environment.vault,
    }
    return by_class[check.target.__name__]


def _call(task: _Task, connectors: Connectors, plan: Plan) -> None:
    """Call the plugin's function in this thread; whatever it does ends up in the task."""
    DEADLINE.set(task.deadline)
    ASKED.set(task.asked)
    step = task.steps[0]
    try:
        arguments = {need.name: _argument(need, task, connectors, plan) for need in step.needs}
        if isinstance(step, Subjects):
            _drain(step.function(task.subject, **arguments), task.subjects)
        else:
            answer = step.function(task.subject, **arguments)
            _drain([answer] if isinstance(answer, Finding) else answer or (), task.findings, expected=Finding)
    except Stale as error:
        task.findings.append(_about(task.subject, Finding.undecided, error))
    except Reportable as error:
        task.findings.append(_about(task.subject, Finding.error, error))
    except Mendable as error:
        task.findings.append(Finding.error(subject=str(task.subject), message=f"{task.subject}: {error}"))
    except BaseException as error:  # noqa: BLE001  the one place where a plugin may do anything, sys.exit() too
        task.findings.append(
            Finding.error(
                subject=str(task.subject),
                message=f"{task.subject}: {_bug(error)}",
                next_step=f"report it to the author of {task.planned.check.module}",
            )
        )


def _bug(error: BaseException) -> str:
    """What the plugin raised, and where it was then: `the check has a bug at rotation.py:31: KeyError: 'Rules'`."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"the check has a bug{place}: {type(error).__name__}: {error}".rstrip(": ")


def _drain(answers: Iterable[Any], into: list[Any], expected: type | None = None) -> None:
    for answer in answers:
        if expected and not isinstance(answer, expected):
            raise TypeError(f"yielded {type(answer).__name__}, expected {expected.__name__}")
        into.append(answer)


class _OfTrouble(Protocol):
    def __call__(self, *, subject: str, message: str, next_step: str) -> Finding: ...


def _about(subject: Any, make: _OfTrouble, error: Reportable | Stale) -> Finding:
    name = error.about or str(subject)
    message = error.message if name in error.message else f"{name}: {error.message}"
    return make(subject=name, message=message, next_step=error.next_step)


def _argument(need: Need, task: _Task, connectors: Connectors, plan: Plan) -> object:
    if need.type is Environment:
        return plan.environment
    if need.type is Attestations:
        item = plan.items[task.item].item.id
        return Attestations(entries=tuple(entry for entry in plan.environment.attestations if entry.item == item))
    if issubclass(need.type, Parameters):
        return task.planned.parameters if isinstance(task.planned.parameters, need.type) else need.type()
    return connectors.connector(need.type)


def _stamp(finding: Finding, task: _Task) -> Finding:
    """Add what only the engine knows."""
    check = task.planned.check
    asked = dict(task.asked)
    labels = [question.label for question in asked]
    source = "; ".join(dict.fromkeys(labels[:3])) + (f" and {len(labels) - 3} more" if len(labels) > 3 else "")
    has_grade = finding.grade is not None or finding.status in (FindingStatus.ERROR, FindingStatus.WARNING)
    return replace(
        finding,
        check=check.id,
        grade=finding.grade if has_grade else check.grade,
        source=finding.source or source,
        attempts=max([finding.attempts, *asked.values()]),
    )
