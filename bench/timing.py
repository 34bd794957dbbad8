"""Medians of whole processes, taken in turns, so that a busy moment of the machine falls on all alike."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One figure and what it is measured against, from the same interleaved runs."""

    name: str
    seconds: float
    against: str
    against_seconds: float
    limit: float
    """The ratio that must not be exceeded."""

    @property
    def ratio(self) -> float:
        return self.seconds / self.against_seconds

    @property
    def holds(self) -> bool:
        return self.ratio <= self.limit

    def __str__(self) -> str:
        return (
            f"{self.name:<48} {self.seconds:7.3f} s   {self.against:<40} {self.against_seconds:7.3f} s   "
            f"{self.ratio:5.2f}x (at most {self.limit:g}x) {'' if self.holds else 'TOO SLOW'}"
        ).rstrip()


def medians(contestants: Mapping[str, Callable[[], object]], *, rounds: int) -> dict[str, float]:
    """Seconds of each, the median of `rounds` turns after one that does not count."""
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(rounds + 1):
        for name, call in contestants.items():
            before = time.perf_counter()
            call()
            if turn:
                taken[name].append(time.perf_counter() - before)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def process(
    *command: str, env: Mapping[str, str] | None = None, codes: Sequence[int] = (0,)
) -> Callable[[], subprocess.CompletedProcess[str]]:
    """A call that runs `command` to its end. It raises RuntimeError for an exit code that is not expected."""

    def call() -> subprocess.CompletedProcess[str]:
        ran = subprocess.run(
            command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False
        )
        if ran.returncode not in codes:
            raise RuntimeError(f"{' '.join(command)} ended with {ran.returncode}:\n{ran.stdout}{ran.stderr}")
        return ran

    return call


def peak_mib(*command: str, env: Mapping[str, str] | None = None) -> float:
    """Most memory that the process itself held at once; that of its children is not counted. Linux counts in KiB."""
    child = subprocess.Popen(
        command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return used.ru_maxrss / 1024
