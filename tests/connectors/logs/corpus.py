"""Lines of logs with what they hold, and how well the detector tells them."""

from __future__ import annotations

import functools
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from quub_audit.connectors.log_detector import find_hits

CORPUS = Path(__file__).parents[2] / "data" / "pii" / "corpus.jsonl"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a log; harmless where it has no kinds."""

    text: str
    kinds: frozenset[str]
    note: str


@dataclass(slots=True)
class Score:
    """Lines by what they hold and what was told of them."""

    right: int = 0
    missed: int = 0
    wrong: int = 0

    @property
    def precision(self) -> float:
        """Share of what was told that is so, 0 to 1; 1 where nothing was told."""
        told = self.right + self.wrong
        return self.right / told if told else 1.0

    @property
    def recall(self) -> float:
        """Share of what is there that was told, 0 to 1; 1 where nothing is there."""
        there = self.right + self.missed
        return self.right / there if there else 1.0


@dataclass(slots=True)
class Scores:
    """One score for each kind, and one for all."""

    by_kind: dict[str, Score] = field(default_factory=dict)
    overall: Score = field(default_factory=Score)
    mistakes: list[str] = field(default_factory=list)
    """In words, with the line."""


@functools.cache
def lines() -> tuple[Line, ...]:
    """The corpus, in the order of its file."""
    entries = (json.loads(line) for line in CORPUS.read_text(encoding="utf-8").splitlines())
    return tuple(Line(entry["line"], frozenset(entry["kinds"]), entry["note"]) for entry in entries)


def score() -> Scores:
    """How the detector does on the whole corpus, by line and kind."""
    scores = Scores()
    for line in lines():
        told = {hit.kind for hit in find_hits(line.text)}
        for kind in line.kinds | told:
            name = "missed" if kind not in told else "right" if kind in line.kinds else "wrong"
            for score_ in (scores.by_kind.setdefault(kind, Score()), scores.overall):
                setattr(score_, name, getattr(score_, name) + 1)
            if name != "right":
                scores.mistakes.append(f"{name} {kind}: {line.text} ({line.note})")
    return scores


def counts() -> Counter[str]:
    """Lines by kind; those without any under `harmless`."""
    return Counter(kind for line in lines() for kind in line.kinds or ("harmless",))
