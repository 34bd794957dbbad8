"""What plugins and libraries print, log and warn of is no result and no report: it is shown with `-v`, made safe."""

from __future__ import annotations

import contextlib
import io
import sys
import threading
import time
from collections.abc import Iterable, Iterator

from quub_audit.cli.terminal import Styled, Terminal

PATIENCE_S = 0.2
"""How long the end of an audit waits for threads that have nothing left to do. Seconds."""

IMPATIENCE_S = 0.0005
"""Longest turn of a thread while others wait, once a plugin is left that may compute forever. Seconds; 0.005 before."""

LONGEST_LINE = 4000
"""Characters; a longer line is shown in pieces, so that a plugin without line ends fills no memory."""


class ForeignTalk(io.TextIOBase):
    """Stands in for stdout and stderr, and says what is written to it line by line.

    Once the audit is over, a plugin that was left to itself and prints waits forever: it would only hold up the
    writing of the reports.
    """

    def __init__(self, terminal: Terminal, others: Iterable[threading.Thread]) -> None:
        self._terminal = terminal
        self._others = frozenset(others)
        self._is_over = threading.Event()
        self._line = ""
        self._lock = threading.Lock()

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, text: str) -> int:
        """Without `-v` it goes nowhere."""
        if self._is_over.is_set() and threading.current_thread() not in self._others:
            threading.Event().wait()
        if self._terminal.verbosity > 0:
            with self._lock:
                *lines, self._line = (self._line + text).split("\n")
                if len(self._line) > LONGEST_LINE:
                    lines.append(self._line)
                    self._line = ""
            for line in lines:
                self._terminal.say(Styled(line, "faint"))
        return len(text)

    def end(self) -> None:
        """The audit is over."""
        self._is_over.set()
        if set(threading.enumerate()) - self._others:
            sys.setswitchinterval(IMPATIENCE_S)


@contextlib.contextmanager
def muted(terminal: Terminal) -> Iterator[ForeignTalk]:
    """Keep everything but `terminal` off the streams of the process.

    They stay so when a thread that was started meanwhile does not end: it may print until the process does.
    """
    before = sys.stdout, sys.stderr
    others = set(threading.enumerate())
    talk = ForeignTalk(terminal, others)
    sys.stdout = sys.stderr = talk
    try:
        yield talk
    finally:
        patient_until = time.monotonic() + PATIENCE_S
        started = set(threading.enumerate()) - others
        for thread in started:
            thread.join(max(0.0, patient_until - time.monotonic()))
        if not any(thread.is_alive() for thread in started):
            sys.stdout, sys.stderr = before
