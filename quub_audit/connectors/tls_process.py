"""sslyze as a process of its own: several targets share one, few run at once, and each ends at its deadline.

See docs/decisions/010-sslyze-as-a-process.md.
"""

from __future__ import annotations

import math
import os
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from quub_audit.connectors.children import Children
from quub_audit.connectors.tls_answer import Target, read_output
from quub_audit.errors import Malformed, Reportable, TimedOut, Unsupported
from quub_audit.facts.tls import TlsScan

COMMANDS = ("--sslv2", "--sslv3", "--tlsv1", "--tlsv1_1", "--tlsv1_2", "--tlsv1_3", "--certinfo")

LARGEST_BATCH = 5
"""Targets of one process. The start costs as much as one target, so more would save little and delay the first."""

MOST_PROCESSES = 8
"""At once, and never more than cores: a scan is nearly all computing, and each process takes 150 MB."""

GATHER_S = 0.05
"""How long a process that would start waits for others who want the same."""

LARGEST_REPORT_BYTES = 32 * 1024 * 1024
"""Of one process; a target takes about 0.25 MB."""


@dataclass(slots=True, eq=False)
class Request:
    """One target that somebody waits for."""

    target: Target
    ca_file: str
    ends_at: float
    """Monotonic."""
    is_answered: threading.Event = field(default_factory=threading.Event)
    answer: TlsScan | Reportable = field(default_factory=lambda: TimedOut("nothing was answered yet"))

    def settle(self, answer: TlsScan | Reportable) -> None:
        """Give the answer to who waits."""
        self.answer = answer
        self.is_answered.set()


class Scanner:
    """Runs sslyze for whoever asks, from any thread. Nothing is started before the first question."""

    def __init__(self, *, processes: int = 0, command: Sequence[str] = (sys.executable, "-P", "-m", "sslyze")) -> None:
        self._command = tuple(command)
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self._most = processes or min(cores, MOST_PROCESSES)
        self._lock = threading.Lock()
        self._waiting: list[Request] = []
        self._threads: set[threading.Thread] = set()
        self._gathering = 0
        self._children = Children()
        self._is_closed = False

    def scan(self, target: Target, *, ca_file: str, timeout_s: float) -> TlsScan:
        """Scan one target; targets that are asked for meanwhile share a process. `ca_file` replaces the public roots.

        Raises Unreachable, NotTls, TimedOut after `timeout_s` seconds, Malformed, Unsupported (sslyze does not start).
        """
        request = Request(target, ca_file, time.monotonic() + timeout_s)
        with self._lock:
            if self._is_closed:
                raise TimedOut(f"{target}: not scanned, because the audit has ended")
            self._waiting.append(request)
            if len(self._threads) < self._most:
                thread = threading.Thread(target=self._work, name="sslyze", daemon=True)
                self._threads.add(thread)
                self._gathering += 1
                thread.start()
        if not request.is_answered.wait(timeout_s):
            raise TimedOut(
                f"{target}: the handshakes were not done in {timeout_s:.0f} s",
                next_step="raise --check-timeout, or look why the server is slow",
            )
        if isinstance(request.answer, TlsScan):
            return request.answer
        raise request.answer

    def close(self) -> None:
        """End every process; who still waits gets TimedOut."""
        with self._lock:
            self._is_closed = True
            threads = list(self._threads)
        self._children.close()
        for thread in threads:
            thread.join(timeout=5)

    def _work(self) -> None:
        time.sleep(GATHER_S)
        try:
            with self._lock:
                batch = self._take()
                self._gathering -= 1
            while batch:
                self._scan_batch(batch)
                with self._lock:
                    batch = self._take()
        finally:
            with self._lock:
                self._threads.discard(threading.current_thread())

    def _take(self) -> Sequence[Request]:
        """The oldest request with a fair share of those that can go with it. An empty answer ends the thread."""
        now = time.monotonic()
        self._waiting = [request for request in self._waiting if request.ends_at > now]
        if self._is_closed:
            for request in self._waiting:
                request.settle(TimedOut(f"{request.target}: not scanned, because the audit has ended"))
            self._waiting = []
        if not self._waiting:
            self._threads.discard(threading.current_thread())
            return ()
        first = self._waiting[0]
        share = math.ceil(len(self._waiting) / max(1, self._gathering))
        batch = [request for request in self._waiting if request.ca_file == first.ca_file][: min(share, LARGEST_BATCH)]
        self._waiting = [request for request in self._waiting if request not in batch]
        return batch

    def _scan_batch(self, batch: Sequence[Request]) -> None:
        """Answer each request of the batch. One server may spoil it for all: then each is tried again by itself."""
        now = time.monotonic()
        ends_at = max(request.ends_at for request in batch)
        if len(batch) > 1:  # what never ends must leave time for the second try
            ends_at = now + (min(request.ends_at for request in batch) - now) / 2
        answers: Mapping[Target, TlsScan | Reportable] = {}
        failure: Reportable = Malformed("sslyze's report does not mention the server")
        try:
            answers = self._run([request.target for request in batch], batch[0].ca_file, ends_at)
        except Reportable as error:
            failure = error
        except OSError as error:
            failure = Unsupported(
                f"sslyze could not be run: {error}", next_step="look whether it is installed and the disk has room"
            )
        finally:
            for request in batch:
                if request.target in answers:
                    request.settle(answers[request.target])
                elif len(batch) > 1:
                    # A process that hangs takes no processor: these do not count among those at once.
                    threading.Thread(target=self._scan_batch, args=((request,),), name="sslyze", daemon=True).start()
                else:
                    told = f"{request.target}: {failure.message}"
                    request.settle(type(failure)(told, next_step=failure.next_step))

    def _run(self, targets: Sequence[Target], ca_file: str, ends_at: float) -> Mapping[Target, TlsScan | Reportable]:
        with tempfile.TemporaryDirectory(prefix="quub-audit-tls-") as name:
            folder = Path(name)
            listed = folder / "targets"
            listed.write_text("".join(f"{spelled}\n" for spelled in dict.fromkeys(each.spelled for each in targets)))
            command = [*self._command, "--mozilla_config", "disable", *COMMANDS]
            command += ["--json_out", "-", "--targets_in", str(listed)]
            if ca_file:
                command += ["--certinfo_ca_file", ca_file]
            done = self._children.run(
                command,
                folder=folder,
                environ=_environ(),
                label="sslyze",
                timeout_s=max(0.001, ends_at - time.monotonic()),
                max_bytes=LARGEST_REPORT_BYTES,
            )
        if done.code != 0:
            raise Malformed(f"sslyze ended with exit code {done.code}: {done.said or 'it said nothing'}")
        return read_output(done.output, targets, has_ca_file=bool(ca_file))


def _environ() -> Mapping[str, str]:
    """What the process needs to find its modules, and to write plain UTF-8 and no warnings."""
    names = ("PATH", "HOME", "TMPDIR", "PYTHONPATH", "LD_LIBRARY_PATH")
    found = {name: os.environ[name] for name in names if name in os.environ}
    return {**found, "PYTHONUTF8": "1", "PYTHONWARNINGS": "ignore"}
