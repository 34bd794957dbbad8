"""What every connector shares: questions asked once, deadlines, and the record of who asked what.

A connector is built without any I/O. Each of its methods turns its arguments into a `Question` and hands the
ledger a function that finds the answer; the ledger calls it at most once per run, and never during a replay.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from quub_audit.errors import Absent, Reportable, TimedOut

T = TypeVar("T")

QUESTION_TIMEOUT_S = 30.0
"""Longest wait for one answer where no deadline is nearer. Seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question to one target. Two equal questions have one answer."""

    connector: str
    """`aws`, `http`, `tls`, `tcp`, `repository`, `vault`."""
    target: str
    """The name of the account and region, the endpoint, the repository."""
    name: str
    """`rds.DescribeDBInstances`, `GET /health`, `handshakes`."""
    arguments: str = ""
    """Canonical JSON."""

    @classmethod
    def about(cls, connector: str, target: str, name: str, arguments: Mapping[str, Any] | None = None) -> Question:
        """Build one; `arguments` must be made of JSON values."""
        text = json.dumps(arguments, sort_keys=True, separators=(",", ":"), default=str) if arguments else ""
        return cls(connector=connector, target=target, name=name, arguments=text)

    @property
    def label(self) -> str:
        """As findings name their source."""
        return f"{self.name} {self.target}".strip()


class Deadline:
    """A moment of the monotonic clock. `cancel` brings it to now, from any thread."""

    def __init__(self, seconds: float) -> None:
        self._ends_at = time.monotonic() + seconds

    def seconds_left(self) -> float:
        """May be negative."""
        return self._ends_at - time.monotonic()

    def cancel(self) -> None:
        """End it now: every wait that starts from here on raises TimedOut."""
        self._ends_at = float("-inf")


DEADLINE: ContextVar[Deadline | None] = ContextVar("DEADLINE", default=None)
"""The deadline of the check that is running in this thread."""

ASKED: ContextVar[dict[Question, int] | None] = ContextVar("ASKED", default=None)
"""Questions of the check that is running in this thread, in order, with the attempts that each took."""

_ATTEMPTS: ContextVar[list[int] | None] = ContextVar("_ATTEMPTS", default=None)


def seconds_left(at_most: float = QUESTION_TIMEOUT_S) -> float:
    """How long a connector may wait now: `at_most`, or less where the running check's deadline is nearer.

    Raises TimedOut when nothing is left.
    """
    deadline = DEADLINE.get()
    left = at_most if deadline is None else min(at_most, deadline.seconds_left())
    if left <= 0:
        raise TimedOut("the check's time was used up before it could ask")
    return left


def count_attempts(attempts: int) -> None:
    """Told by a connector when the question under way had to be sent more than once."""
    noted = _ATTEMPTS.get()
    if noted is not None:
        noted.append(attempts)


@dataclass(slots=True)
class Entry(Generic[T]):
    """One question's answer, or the error that came instead."""

    is_answered: threading.Event = field(default_factory=threading.Event)
    answer: T | None = None
    error: Reportable | None = None
    attempts: int = 1


class Ledger:
    """Every question of a run with its answer: asked once, however many checks want it, at whatever time.

    `recorded` turns it into a replay: what is not recorded is Absent, and nothing is ever asked.
    """

    def __init__(self, recorded: Mapping[Question, Entry[Any]] | None = None) -> None:
        self._entries: dict[Question, Entry[Any]] = dict(recorded or {})
        self.is_replay = recorded is not None
        self._lock = threading.Lock()

    def ask(self, question: Question, find_answer: Callable[[], T]) -> T:
        """The answer, found now or before. Waits for another thread that is already asking, but not past our deadline.

        Raises what `find_answer` raised, to everyone who asks; TimedOut when the wait is over.
        Anything but a Reportable is a bug in a connector: it is raised to everyone too, as it is.
        """
        with self._lock:
            entry = self._entries.get(question)
            is_ours = entry is None
            if entry is None:
                if self.is_replay:
                    raise Absent(f"{question.label} is not in the evidence bundle", next_step="record a new bundle")
                entry = self._entries[question] = Entry()
        if is_ours:
            self._find(entry, find_answer)
        elif not entry.is_answered.wait(timeout=seconds_left(at_most=3600)):
            raise TimedOut(f"{question.label}: no answer in time; another check asked first and still waits")
        asked = ASKED.get()
        if asked is not None:
            asked[question] = entry.attempts
        if entry.error is not None:
            raise entry.error
        return entry.answer  # type: ignore[return-value]

    @staticmethod
    def _find(entry: Entry[T], find_answer: Callable[[], T]) -> None:
        noted: list[int] = []
        token = _ATTEMPTS.set(noted)
        try:
            entry.answer = find_answer()
        except Reportable as error:
            entry.error = error
        except BaseException as error:
            entry.error = Reportable(f"a bug in the connector: {type(error).__name__}: {error}")
            raise
        finally:
            _ATTEMPTS.reset(token)
            entry.attempts = max(noted, default=1)
            entry.is_answered.set()

    def answered(self) -> Iterable[tuple[Question, Entry[Any]]]:
        """What was asked and answered so far, in canonical order."""
        with self._lock:
            entries = [(question, entry) for question, entry in self._entries.items() if entry.is_answered.is_set()]
        return sorted(entries, key=lambda pair: (pair[0].connector, pair[0].target, pair[0].name, pair[0].arguments))


class Unrecorded(Ledger):
    """Answers that stand in no record, as values of secrets must not: asked once as all else, named by no finding."""

    def ask(self, question: Question, find_answer: Callable[[], T]) -> T:
        """As of any ledger."""
        token = ASKED.set(None)
        try:
            return super().ask(question, find_answer)
        finally:
            ASKED.reset(token)
