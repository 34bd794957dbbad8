"""Running checks: whatever a plugin does, the run goes on, ends in time, and says what happened."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from textwrap import dedent

import pytest

from quub_audit.connectors.world import World
from quub_audit.engine.execute import Run, execute
from quub_audit.engine.plan import Plan, PlannedItem, make_plan
from quub_audit.model.checklist import Checklist, Item
from quub_audit.model.environment import Endpoint, Environment
from quub_audit.model.finding import Finding
from quub_audit.model.status import FindingStatus, Severity
from quub_audit.registry import Registry

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
HEADER = """
import os, sys, threading, time
from quub_audit.errors import Denied, Stale
from quub_audit.sdk import Clock, Endpoint, Environment, Finding, Parameters, check, subjects
"""


@dataclass
class Plugins:
    """A folder of plugins, and what it takes to run them."""

    folder: Path

    def add(self, name: str, body: str) -> None:
        path = self.folder / "custom" / "group" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(HEADER + dedent(body), encoding="utf-8")

    def plan(self, *names: str, endpoints: int = 1, with_: dict[str, object] | None = None) -> Plan:
        items = tuple(
            Item(
                id=f"custom.group.{name.replace('_', '-')}",
                title=name,
                section="Custom",
                group="Group",
                severity=Severity.HIGH,
                checks=(f"custom.group.{name.replace('_', '-')}",),
                parameters=with_ or {},
            )
            for name in names
        )
        environment = Environment(
            service="s",
            name="production",
            stage="production",
            endpoints=tuple(
                Endpoint(name=f"e{n}", url=f"https://e{n}.test", host=f"e{n}.test", port=443) for n in range(endpoints)
            ),
        )
        checklist = Checklist(title="T", version="1", items=items, digest="")
        return make_plan(checklist, environment, Registry.discover((self.folder,)), today=date(2026, 11, 23))

    def run(
        self,
        plan: Plan,
        *,
        stop: threading.Event | None = None,
        jobs: int = 8,
        check_timeout_s: float = 60,
        deadline_s: float = 120,
    ) -> Run:
        world = World(plan.environment, at=NOON)
        return execute(plan, world, jobs=jobs, stop=stop, check_timeout_s=check_timeout_s, deadline_s=deadline_s)


@pytest.fixture
def plugins(tmp_path: Path) -> Plugins:
    return Plugins(tmp_path)


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def findings_of(run: Run, index: int = 0) -> list[tuple[str, str]]:
    return [(finding.status.value, finding.subject) for finding in run.items[index].findings]


def only(run: Run) -> Finding:
    (finding,) = run.items[0].findings
    return finding


def test_a_check_is_called_once_for_each_target_and_its_findings_are_stamped(plugins: Plugins) -> None:
    plugins.add(
        "good",
        """
        @check("Answers", each=Endpoint)
        def endpoint(subject: Endpoint, clock: Clock) -> Finding:
            return Finding.of(True, subject=subject.name, observed=clock.now().isoformat(), expected="a date")
        """,
    )

    run = plugins.run(plugins.plan("good", endpoints=3))

    assert sorted(findings_of(run)) == [("pass", "e0"), ("pass", "e1"), ("pass", "e2")]
    assert {(f.check, f.grade.value if f.grade else "") for f in run.items[0].findings} == {
        ("custom.group.good/endpoint", "live")
    }
    assert run.items[0].findings[0].observed == "2026-11-23T12:00:00+00:00"


def test_subjects_are_enumerated_through_any_number_of_steps(plugins: Plugins) -> None:
    plugins.add(
        "nested",
        """
        @subjects(each=Endpoint, permissions=["a:List"])
        def doors(endpoint: Endpoint):
            yield from (f"{endpoint.name}/{n}" for n in range(2))

        @subjects(each=doors, permissions=["b:List"])
        def locks(door: str):
            yield door + "/lock"

        @check("Locked", each=locks, permissions=["c:Get"])
        def lock(subject: str):
            yield Finding.of(True, subject=subject, observed="locked", expected="locked")
        """,
    )
    plan = plugins.plan("nested", endpoints=2)

    assert plan.permissions == {"a:List", "b:List", "c:Get"}
    assert sorted(findings_of(plugins.run(plan))) == [
        ("pass", "e0/0/lock"),
        ("pass", "e0/1/lock"),
        ("pass", "e1/0/lock"),
        ("pass", "e1/1/lock"),
    ]


def test_an_enumeration_that_fails_half_way_keeps_what_it_listed_and_says_the_error(plugins: Plugins) -> None:
    plugins.add(
        "half",
        """
        @subjects(each=Endpoint)
        def doors(endpoint: Endpoint):
            yield endpoint.name + "/0"
            raise Denied("the second door was denied", permission="x:List", next_step="grant x:List")

        @check("Locked", each=doors)
        def lock(subject: str):
            return Finding.of(True, subject=subject, observed="locked", expected="locked")
        """,
    )

    run = plugins.run(plugins.plan("half"))

    assert sorted(findings_of(run)) == [("error", "e0"), ("pass", "e0/0")]
    assert next(f for f in run.items[0].findings if f.status is FindingStatus.ERROR).next_step == "grant x:List"


def test_one_subject_that_cannot_be_asked_leaves_the_others_judged(plugins: Plugins) -> None:
    plugins.add(
        "one_denied",
        """
        @check("Answers", each=Endpoint)
        def endpoint(subject: Endpoint):
            if subject.name == "e1":
                raise Denied("it was denied")
            return Finding.of(True, subject=subject.name, observed="yes", expected="yes")
        """,
    )

    run = plugins.run(plugins.plan("one_denied", endpoints=3))

    assert sorted(findings_of(run)) == [("error", "e1"), ("pass", "e0"), ("pass", "e2")]
    assert "e1: it was denied" in [finding.message for finding in run.items[0].findings]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise RuntimeError('boom')", "RuntimeError: boom"),
        ("sys.exit(0)", "SystemExit: 0"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("return ['pass']", "TypeError: yielded str, expected Finding"),
        ("return Finding.of(True, subject=' ', observed='x', expected='y')", "ValueError: a finding needs a subject"),
        ("return Finding.of(True, subject='x', observed='', expected='')", "says neither what was observed nor why"),
    ],
)
def test_a_plugin_that_misbehaves_costs_its_own_item_an_error_and_nothing_else(
    plugins: Plugins, body: str, said: str
) -> None:
    plugins.add("bad", f"@check('Bad', each=Endpoint)\ndef endpoint(subject: Endpoint):\n    {body}\n")
    plugins.add(
        "good",
        "@check('Good', each=Endpoint)\n"
        "def endpoint(subject: Endpoint):\n"
        "    return Finding.of(True, subject='x', observed='y', expected='y')\n",
    )

    run = plugins.run(plugins.plan("bad", "good"))

    assert findings_of(run, 0) == [("error", "e0")]
    assert said in run.items[0].findings[0].message
    assert findings_of(run, 1) == [("pass", "x")]


def test_a_plugin_that_never_returns_is_an_error_at_its_deadline_and_others_go_on(plugins: Plugins) -> None:
    plugins.add(
        "stuck",
        "@check('Stuck', each=Endpoint)\ndef endpoint(subject: Endpoint):\n    threading.Event().wait()\n",
    )
    plugins.add(
        "good",
        "@check('Good', each=Endpoint)\n"
        "def endpoint(subject: Endpoint):\n"
        "    return Finding.of(True, subject='x', observed='y', expected='y')\n",
    )

    run = plugins.run(plugins.plan("stuck", "good"), jobs=1, check_timeout_s=1)

    assert only(run).message == "e0: the check did not come back within 1 s"
    assert findings_of(run, 1) == [("pass", "x")]
    assert not run.is_cut_short


def test_the_deadline_of_the_run_leaves_unfinished_items_named(plugins: Plugins) -> None:
    plugins.add(
        "stuck",
        "@check('Stuck', each=Endpoint)\n"
        "def endpoint(subject: Endpoint):\n"
        "    yield Finding.of(False, subject='x', observed='bad', expected='good')\n"
        "    threading.Event().wait()\n",
    )

    run = plugins.run(plugins.plan("stuck"), deadline_s=1)

    assert run.is_cut_short
    assert run.items[0].unfinished == "the run's 1 s were used up"
    assert findings_of(run) == [("fail", "x")]


def test_a_stop_ends_the_run_at_once(plugins: Plugins, gate: threading.Event) -> None:
    plugins.add(
        "stuck",
        "@check('Stuck', each=Endpoint)\ndef endpoint(subject: Endpoint):\n    threading.Event().wait()\n",
    )
    threading.Timer(0.2, gate.set).start()

    run = plugins.run(plugins.plan("stuck"), stop=gate)

    assert run.is_interrupted
    assert run.items[0].unfinished == "the run was interrupted"


class StopsOnceBusy:
    """An observer that opens the gate to the first task, and stops the run when the only worker is at the second."""

    def __init__(self, folder: Path, stop: threading.Event) -> None:
        self._folder = folder
        self._stop = stop
        self.finished: list[tuple[str, float]] = []

    def item_finished(self, item: PlannedItem, findings: tuple[Finding, ...], duration_s: float) -> None:
        self.finished.append((item.item.id, duration_s))

    def tick(self, running: tuple[str, ...]) -> None:
        (self._folder / "open").touch()
        patient_until = time.monotonic() + 30
        while not (self._folder / "busy").exists() and time.monotonic() < patient_until:
            time.sleep(0.01)
        self._stop.set()


def run_until_busy(plugins: Plugins, gate: threading.Event, *names: str) -> tuple[Run, StopsOnceBusy]:
    """Run with one worker; at the stop, the first task has come back, and the coordinator has not looked since."""
    plugins.add(
        "busy",
        f"""
        @check("Busy", each=Endpoint)
        def endpoint(subject: Endpoint):
            open({str(plugins.folder / "busy")!r}, "w").close()
            threading.Event().wait()
        """,
    )
    plan = plugins.plan(*names, "busy")
    observer = StopsOnceBusy(plugins.folder, gate)
    run = execute(plan, World(plan.environment, at=NOON), jobs=1, stop=gate, observer=observer, deadline_s=60)
    return run, observer


def wait_for_gate(folder: Path) -> str:
    return f"while not os.path.exists({str(folder / 'open')!r}): time.sleep(0.01)"


def test_a_check_that_came_back_before_the_stop_is_finished(plugins: Plugins, gate: threading.Event) -> None:
    plugins.add(
        "done",
        f"""
        @check("Done", each=Endpoint)
        def endpoint(subject: Endpoint):
            {wait_for_gate(plugins.folder)}
            return Finding.of(True, subject="x", observed="good", expected="good")
        """,
    )

    run, observer = run_until_busy(plugins, gate, "done")

    assert run.is_interrupted
    assert [item.unfinished for item in run.items] == ["", "the run was interrupted"]
    assert findings_of(run) == [("pass", "x")]
    assert observer.finished == [("custom.group.done", run.items[0].duration_s)]


def test_subjects_that_were_listed_when_the_run_ended_are_not_asked(plugins: Plugins, gate: threading.Event) -> None:
    plugins.add(
        "listed",
        f"""
        @subjects(each=Endpoint)
        def doors(endpoint: Endpoint):
            {wait_for_gate(plugins.folder)}
            return ["front", "back"]

        @check("Lock", each=doors)
        def lock(subject: str):
            return Finding.of(True, subject=subject, observed="locked", expected="locked")
        """,
    )

    run, observer = run_until_busy(plugins, gate, "listed")

    assert run.items[0].unfinished == "the run was interrupted"
    assert findings_of(run) == []
    assert observer.finished == []


def test_an_item_is_told_with_the_time_it_took(plugins: Plugins, gate: threading.Event) -> None:
    plugins.add(
        "quick",
        """
        @check("Quick", each=Endpoint)
        def endpoint(subject: Endpoint):
            time.sleep(0.02)
            return Finding.of(True, subject="x", observed="good", expected="good")
        """,
    )

    run, observer = run_until_busy(plugins, gate, "quick")

    ((_, duration_s),) = observer.finished
    assert duration_s == run.items[0].duration_s >= 0.02


def test_stale_evidence_is_told_and_undecided(plugins: Plugins) -> None:
    plugins.add(
        "stale",
        "@check('Stale', each=Endpoint)\ndef endpoint(subject: Endpoint):\n    raise Stale('of another commit')\n",
    )

    run = plugins.run(plugins.plan("stale"))

    assert findings_of(run) == [("warning", "e0")]
    assert [(found.kind, found.message) for found in run.items[0].findings] == [("undecided", "e0: of another commit")]


def test_what_several_subjects_and_checks_rest_on_is_told_once_and_by_its_own_name(plugins: Plugins) -> None:
    plugins.add(
        "resting",
        """
        def read(why):
            error = why
            error.about = "junit.xml"
            raise error

        @check("First", each=Endpoint)
        def first(subject: Endpoint):
            yield Finding.of(True, subject=str(subject), observed="x", expected="x")
            read(Denied("junit.xml: cannot be read"))

        @check("Second", each=Endpoint)
        def second(subject: Endpoint):
            yield Finding.of(True, subject=str(subject), observed="x", expected="x")
            read(Denied("junit.xml: cannot be read"))

        @check("Third", each=Endpoint)
        def third(subject: Endpoint):
            read(Stale("junit.xml: is old"))
        """,
    )

    run = plugins.run(plugins.plan("resting", endpoints=2))

    assert sorted(findings_of(run)) == [
        ("error", "junit.xml"),
        *[("pass", "e0")] * 2,
        *[("pass", "e1")] * 2,
        ("warning", "junit.xml"),
    ]
    assert {each.check for each in run.items[0].findings if each.kind == "error"} == {"custom.group.resting/first"}


def test_parameters_come_from_the_checklist_and_else_from_the_model(plugins: Plugins) -> None:
    plugins.add(
        "wanting",
        """
        class Wanted(Parameters):
            floor: int = 3

        @check("Wanting", each=Environment)
        def environment(subject: Environment, wanted: Wanted):
            return Finding.of(True, subject="floor", observed=str(wanted.floor), expected="any")
        """,
    )

    assert only(plugins.run(plugins.plan("wanting"))).observed == "3"
    assert only(plugins.run(plugins.plan("wanting", with_={"floor": 7}))).observed == "7"


def test_ten_thousand_subjects_are_all_judged(plugins: Plugins) -> None:
    plugins.add(
        "many",
        """
        @subjects(each=Environment)
        def doors(environment: Environment):
            yield from (f"door-{n}" for n in range(10_000))

        @check("Locked", each=doors)
        def lock(subject: str):
            return Finding.of(True, subject=subject, observed="locked", expected="locked")
        """,
    )

    run = plugins.run(plugins.plan("many"))

    assert len({finding.subject for finding in run.items[0].findings}) == 10_000


def test_a_bug_is_told_with_the_line_of_the_plugin(plugins: Plugins) -> None:
    plugins.add("buggy", "@check('Buggy', each=Endpoint)\ndef endpoint(subject: Endpoint):\n    return {}['Rules']\n")
    line = (plugins.folder / "custom" / "group" / "buggy.py").read_text().splitlines().index(
        "    return {}['Rules']"
    ) + 1

    assert only(plugins.run(plugins.plan("buggy"))).message == (
        f"e0: the check has a bug at buggy.py:{line}: KeyError: 'Rules'"
    )
