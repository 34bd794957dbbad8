from __future__ import annotations

import io
from datetime import date

from quub_audit.cli.progress import HEARTBEAT_S, Progress
from quub_audit.cli.terminal import Terminal
from quub_audit.engine.collect import Circumstances, collect
from quub_audit.engine.execute import ItemRun, Run
from quub_audit.engine.plan import Plan, PlannedItem, Selection
from quub_audit.model.checklist import Checklist, Item
from quub_audit.model.dispensation import Waiver
from quub_audit.model.environment import Environment
from quub_audit.model.finding import Finding
from quub_audit.model.result import EvidenceReference, ItemResult, Result
from quub_audit.model.status import Grade, Severity
from tests.reporters.results import STARTED


class Clock:
    """Shows what it is set to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def planned(name: str) -> PlannedItem:
    return PlannedItem(
        item=Item(
            id=f"shop.facts.{name}", title=name, section="Shop", group="Facts", severity=Severity.HIGH, checks=("x",)
        )
    )


ITEMS = tuple(planned(name) for name in ("a", "b", "c", "d"))
PASS = Finding.of(True, subject="shop-1", observed="there", expected="there", grade=Grade.LIVE)
FAIL = Finding.of(False, subject="shop-1", observed="gone", expected="there")


def result_of(items: tuple[PlannedItem, ...], findings: tuple[Finding, ...]) -> Result:
    waiver = Waiver(
        item="shop.facts.b", reason="known", requester="a", approver="b", ticket="T-1", expires=date(2026, 3, 30)
    )
    plan = Plan(
        checklist=Checklist(title="T", version="1", items=tuple(each.item for each in items), digest=""),
        environment=Environment(service="shop", name="production", stage="production"),
        items=items,
        selection=Selection(),
    )
    return collect(
        plan,
        Run(items=tuple(ItemRun(planned=each, findings=findings) for each in items)),
        Circumstances(
            today=STARTED.date(),
            started_at=STARTED,
            finished_at=STARTED,
            commit="",
            tool_version="test",
            evidence=EvidenceReference(digest=""),
            waivers=(waiver,),
        ),
    )


def judge(item: PlannedItem, findings: tuple[Finding, ...]) -> ItemResult:
    return result_of((item,), findings).items[0]


def progress_of(clock: Clock, *, verbosity: int = 0) -> tuple[Progress, io.StringIO]:
    err = io.StringIO()
    terminal = Terminal(io.StringIO(), err, {}, verbosity=verbosity)
    return Progress(terminal, total=len(ITEMS), judge=judge, clock=clock), err


def test_a_line_tells_how_long_the_item_took() -> None:
    progress, err = progress_of(Clock())

    progress.item_finished(ITEMS[0], (FAIL,), 3.49)
    progress.item_finished(ITEMS[2], (PASS,), 0.0)

    assert err.getvalue() == (
        "[1/4] fail            shop.facts.a  1 subject  3.5 s\n[2/4] pass            shop.facts.c  1 subject  0.0 s\n"
    )


def test_a_line_tells_the_status_that_the_whole_run_will_give() -> None:
    progress, err = progress_of(Clock())

    progress.item_finished(ITEMS[1], (FAIL,), 0.0)

    assert err.getvalue() == "[1/4] waived          shop.facts.b  1 subject  0.0 s\n"


def test_a_log_hears_of_what_takes_long() -> None:
    clock = Clock()
    progress, err = progress_of(clock)
    running = tuple(item.item.id for item in ITEMS)

    for seconds in (1.0, HEARTBEAT_S - 1, HEARTBEAT_S, HEARTBEAT_S + 1):
        clock.seconds = seconds
        progress.tick(running)

    assert err.getvalue() == "[0/4] after 30 s, under way: shop.facts.a, shop.facts.b, shop.facts.c and 1 more\n"


def test_at_the_end_every_item_has_had_its_line() -> None:
    progress, err = progress_of(Clock())

    progress.item_finished(ITEMS[3], (PASS,), 0.0)
    progress.finish(result_of(ITEMS, ()))

    assert [line.split()[0] for line in err.getvalue().splitlines()] == ["[1/4]", "[2/4]", "[3/4]", "[4/4]"]
    assert err.getvalue().count("shop.facts.d") == 1


def test_quiet_keeps_the_log_silent() -> None:
    clock = Clock()
    progress, err = progress_of(clock, verbosity=-1)

    clock.seconds = 2 * HEARTBEAT_S
    progress.tick(("shop.facts.a",))
    progress.item_finished(ITEMS[0], (PASS,), 0.0)
    progress.finish(result_of(ITEMS, ()))

    assert err.getvalue() == ""
