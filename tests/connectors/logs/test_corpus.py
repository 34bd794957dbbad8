"""On a corpus of log lines, half of them look-alikes, next to nothing is missed and next to nothing made up."""

from __future__ import annotations

from typing import get_args

import pytest

from quub_audit.facts.logs import PiiKind
from tests.connectors.logs.corpus import counts, lines, score

MIN_PRECISION = 0.97
MIN_RECALL = 0.95


def test_the_corpus_has_each_kind_and_is_half_harmless() -> None:
    by_kind = counts()

    assert len(lines()) >= 240
    assert by_kind["harmless"] >= len(lines()) / 2
    assert {kind for kind in get_args(PiiKind) if by_kind[kind] < 5} == set()
    assert len({line.text for line in lines()}) == len(lines())


def test_precision_and_recall_on_the_whole_corpus_hold_their_floors() -> None:
    scores = score()

    assert scores.overall.precision >= MIN_PRECISION, scores.mistakes
    assert scores.overall.recall >= MIN_RECALL, scores.mistakes


@pytest.mark.parametrize("kind", get_args(PiiKind))
def test_each_kind_holds_the_floors_within_one_line(kind: str) -> None:
    of_kind = score().by_kind[kind]

    assert of_kind.wrong <= max(1, (1 - MIN_PRECISION) * of_kind.right)
    assert of_kind.missed <= max(1, (1 - MIN_RECALL) * of_kind.right)
