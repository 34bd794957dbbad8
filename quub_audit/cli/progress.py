"""How a run gets on: a few lines that are drawn anew on a terminal, one line an item elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from quub_audit.cli.terminal import Line, Piece, Style, Styled, Terminal, pad_to
from quub_audit.engine.plan import PlannedItem
from quub_audit.model.finding import Finding
from quub_audit.model.result import ItemResult, Result
from quub_audit.model.status import Status
from quub_audit.reporters.text import count, one_line
from quub_audit.reporters.view import STATUS, duration

SYMBOL: Mapping[Status, str] = {
    Status.PASS: "✓",
    Status.FAIL: "✗",
    Status.ERROR: "!",
    Status.INCONCLUSIVE: "?",
    Status.WAIVED: "~",
    Status.NOT_APPLICABLE: "-",
}
STYLE: Mapping[Status, Style] = {
    Status.PASS: "good",
    Status.FAIL: "bad",
    Status.ERROR: "doubtful",
    Status.INCONCLUSIVE: "doubtful",
    Status.WAIVED: "faint",
    Status.NOT_APPLICABLE: "faint",
}

STATUS_COLUMNS = max(len(word.label) for word in STATUS.values())
BAR_COLUMNS = 24
HEARTBEAT_S = 30.0
"""Seconds without a finished item after which a plain log says what is under way."""

Judge = Callable[[PlannedItem, tuple[Finding, ...]], ItemResult]


def word_of(status: Status) -> str:
    """The status as a terminal says it: `not applicable`."""
    return STATUS[status].label.lower()


def last_part(item_id: str) -> str:
    """What a person calls an item, and `explain` understands: `tls-minimum-version`."""
    return item_id.rpartition(".")[2]


def subjects_of(findings: Iterable[Finding]) -> int:
    """How many things were judged, or could not be."""
    return len({finding.subject for finding in findings if finding.kind != "warning"})


class Progress:
    """The observer of one run. `judge` folds the findings of one item, so that each line tells its final status."""

    def __init__(
        self, terminal: Terminal, *, total: int, judge: Judge, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._terminal = terminal
        self._total = total
        self._judge = judge
        self._clock = clock
        self._began_at = self._spoke_at = clock()
        self._done: dict[str, Status] = {}

    def item_finished(self, item: PlannedItem, findings: tuple[Finding, ...], duration_s: float) -> None:
        """A plain log gets its line."""
        self._tell(self._judge(item, findings), duration_s)

    def tick(self, running: tuple[str, ...]) -> None:
        """A terminal is drawn anew; a plain log hears from us now and then."""
        if self._terminal.verbosity < 0:
            return
        if self._terminal.is_live:
            self._terminal.draw(self._picture(running))
        elif running and self._clock() - self._spoke_at >= HEARTBEAT_S:
            self._spoke_at = self._clock()
            elapsed = duration(self._clock() - self._began_at)
            self._terminal.say(f"{self._place(len(self._done))} after {elapsed}, under way: {_names(running)}")

    def finish(self, result: Result) -> None:
        """Take the picture away, and tell of the items that nothing had to be asked for, or that were not finished."""
        self._terminal.erase()
        for item in result.items:
            if item.id not in self._done:
                self._tell(item, item.duration_s)

    def _tell(self, item: ItemResult, took_s: float) -> None:
        self._done[item.id] = item.status
        self._spoke_at = self._clock()
        if self._terminal.verbosity < (1 if self._terminal.is_live else 0):
            return
        subjects = subjects_of(item.findings)
        self._terminal.say(
            f"{self._place(len(self._done))} ",
            Styled(pad_to(word_of(item.status), STATUS_COLUMNS), STYLE[item.status]),
            f"  {item.id}  {count(subjects, 'subject')}  {took_s:.1f} s",
        )
        if self._terminal.verbosity > 0:
            for finding in item.findings:
                self._terminal.say(f"        {finding.kind}  {said(finding)}")

    def _place(self, number: int) -> str:
        return f"[{number:>{len(str(self._total))}}/{self._total}]"

    def _picture(self, running: tuple[str, ...]) -> list[Line]:
        done = len(self._done)
        filled = BAR_COLUMNS * done // max(1, self._total)
        elapsed_s = int(self._clock() - self._began_at)
        head: list[Piece] = [
            Styled("█" * filled, "good"),
            Styled("░" * (BAR_COLUMNS - filled), "faint"),
            f" {done}/{self._total}  {elapsed_s // 60}:{elapsed_s % 60:02}",
        ]
        counted = Counter(self._done.values())
        for status in STATUS:
            if counted[status]:
                head += ["  ", Styled(f"{counted[status]} {word_of(status)}", STYLE[status])]
        return [head, [Styled(_names(tuple(map(last_part, running))), "faint")]] if running else [head]


def said(finding: Finding) -> str:
    """A finding on one line."""
    if finding.message:
        is_named = finding.subject in finding.message
        return one_line(finding.message if is_named else f"{finding.subject}: {finding.message}")
    expected = f"; expected {finding.expected}" if finding.expected else ""
    return one_line(f"{finding.subject}: {finding.observed}{expected}")


def _names(running: tuple[str, ...]) -> str:
    shown = ", ".join(running[:3])
    return f"{shown} and {len(running) - 3} more" if len(running) > 3 else shown
