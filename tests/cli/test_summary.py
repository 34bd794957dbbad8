"""What a terminal shows of a result, for its width."""

from __future__ import annotations

import pytest

from quub_audit.cli.summary import summary
from quub_audit.cli.terminal import UNBOUNDED, Piece, Styled, width_of
from quub_audit.model.finding import Finding
from quub_audit.model.result import Result
from quub_audit.model.status import Status, Verdict
from tests.reporters.results import found, item, not_ready, result_of


def text_of(piece: Piece) -> str:
    return piece.text if isinstance(piece, Styled) else piece


def shown(result: Result, columns: int = 100) -> list[str]:
    return ["".join(map(text_of, line)) for line in summary(result, columns=columns)]


def table(result: Result, columns: int) -> list[str]:
    lines = shown(result, columns)
    return lines[: next(index for index, line in enumerate(lines) if line.startswith("What blocks"))]


def test_a_wide_terminal_shows_whole_ids_and_the_grade_of_the_evidence() -> None:
    result = not_ready()

    lines = table(result, UNBOUNDED)

    assert [entry.id for entry in result.items if not any(f" {entry.id} " in f"{line} " for line in lines)] == []
    assert any("control plane" in line for line in lines)


@pytest.mark.parametrize("columns", [80, 100])
def test_a_table_that_is_too_wide_names_items_by_their_last_part_and_breaks_no_line(columns: int) -> None:
    result = not_ready()

    lines = table(result, columns)

    assert max(map(width_of, lines)) <= columns
    names = [entry.id.rpartition(".")[2] for entry in result.items]
    assert [name for name in names if not any(f" {name} " in f"{line} " for line in lines)] == []


def errors(*steps: str) -> list[Finding]:
    return [
        found("error", "eu-1", grade=None, check=f"a.b.c/{number}", message="eu-1: no connection", next_step=step)
        for number, step in enumerate(steps)
    ]


def test_what_several_checks_say_alike_is_told_once() -> None:
    result = result_of([item("a.b.c", "Buckets", Status.ERROR, errors("look", "look"))], Verdict.INCONCLUSIVE, "x")

    assert shown(result).count("  eu-1: no connection") == 1


def test_what_leaves_an_item_undecided_is_told_once() -> None:
    undecided = Finding.undecided(subject="eu-1", message="eu-1: nobody looked", next_step="look")
    items = [item("a.b.c", "Buckets", Status.INCONCLUSIVE, [undecided], reason="eu-1: nobody looked")]

    assert shown(result_of(items, Verdict.INCONCLUSIVE, "x")).count("  eu-1: nobody looked") == 1


def test_every_step_that_settles_a_finding_is_told_once_and_three_at_most() -> None:
    steps = ("grant it", "grant it", "clone it", "wait", "ask")
    result = result_of([item("a.b.c", "Buckets", Status.ERROR, errors(*steps))], Verdict.INCONCLUSIVE, "x")

    assert [line for line in shown(result) if line.startswith("  next step")] == [
        "  next step  grant it",
        "  next step  clone it",
        "  next step  wait",
    ]
