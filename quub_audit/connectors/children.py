"""Programs that a connector starts: each in a process group of its own, with bounded time and output."""

from __future__ import annotations

import os
import resource
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from quub_audit.connectors.base import QUESTION_TIMEOUT_S, Deadline, seconds_left
from quub_audit.errors import Malformed, TimedOut, Unsupported

POLL_S = 0.25
"""How soon a cancelled deadline is noticed."""

SMALL_BYTES = 4096
"""A program that writes less at once is given a moment: one that writes line by line would wake us for each line."""

MOMENT_S = 0.001

MAX_SAID_BYTES = 64 * 1024
"""Most of the error stream that is kept."""


_RUNNING: dict[int, subprocess.Popen[bytes]] = {}
"""Every program under way, by its id."""


@dataclass(frozen=True, slots=True)
class Done:
    """How a program ended."""

    code: int
    """Negative: the signal that ended it."""
    output: bytes
    said: str
    """The error stream in one line, at most 400 characters, control characters left out."""
    errors: bytes = b""
    """The error stream as it came, as far as it was kept."""


class TooMuch(Malformed):
    """A program wrote more than it was allowed to."""


class Children:
    """Starts programs and sees to it that none outlives its deadline, or `close`. Thread-safe."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._is_closed = False

    def run(
        self,
        command: Sequence[str],
        *,
        folder: Path,
        environ: Mapping[str, str],
        label: str,
        given: bytes = b"",
        timeout_s: float = QUESTION_TIMEOUT_S,
        max_bytes: int = 64 * 1024 * 1024,
        max_memory_bytes: int = 0,
    ) -> Done:
        """Run `command` in `folder` with nothing but `environ`, and nothing but `given` on its input.

        Whatever it started is ended with it. `label` begins the messages. `max_memory_bytes` of addresses, where the
        platform can bound them; 0 for no bound. Raises TimedOut, Unsupported when it cannot be started, TooMuch when
        it writes more than `max_bytes`.
        """
        deadline = Deadline(seconds_left(timeout_s))
        process = self._start(command, folder, environ, label, given)
        try:
            if max_memory_bytes:
                _bound_memory(process.pid, max_memory_bytes)
            output, said = _collect(process, deadline, label, max_bytes)
            code = process.wait(timeout=max(POLL_S, deadline.seconds_left()))
        except subprocess.TimeoutExpired as error:
            raise TimedOut(f"{label} did not end in time") from error
        finally:
            self._end(process)
        if self._is_closed:
            raise TimedOut(f"{label} was ended, because the run is over")
        return Done(code, output, _one_line(said), said)

    def close(self) -> None:
        """End everything that still runs; nothing can be started afterwards."""
        with self._lock:
            self._is_closed = True
            running = tuple(self._running)
        for process in running:
            _kill_group(process)

    def _start(
        self, command: Sequence[str], folder: Path, environ: Mapping[str, str], label: str, given: bytes
    ) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._is_closed:
                raise TimedOut(f"{label} was not started, because the run is over")
            try:
                with _input(given) as stdin:
                    process = subprocess.Popen(
                        command,
                        cwd=folder,
                        env=dict(environ),
                        stdin=stdin,
                        stdout=subprocess.PIPE,
                        stderr=subprocess.PIPE,
                        start_new_session=True,
                    )
            except (OSError, ValueError) as error:
                raise Unsupported(f"{label} could not be started: {error}") from error
            self._running.add(process)
            _RUNNING[process.pid] = process
        return process

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        with self._lock:
            self._running.discard(process)
        _kill_group(process)
        _RUNNING.pop(process.pid, None)
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def kill_all() -> None:
    """End every program that is under way, for a process that ends here and now. Takes no lock: for signal handlers."""
    for process in tuple(_RUNNING.values()):
        _kill_group(process)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """End a program that has not been waited for, and all that it started; its id cannot be another's yet."""
    if process.returncode is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def _input(given: bytes) -> Iterator[IO[bytes] | int]:
    """A file without a name: unlike a pipe, it never waits for the one who reads."""
    if not given:
        yield subprocess.DEVNULL
        return
    with tempfile.TemporaryFile() as stream:
        stream.write(given)
        stream.seek(0)
        yield stream


def _bound_memory(pid: int, most: int) -> None:
    if sys.platform == "linux":  # elsewhere a process can bound only itself
        with suppress(OSError):  # it may have ended already, or be bound to less
            resource.prlimit(pid, resource.RLIMIT_AS, (most, most))


def _collect(process: subprocess.Popen[bytes], deadline: Deadline, label: str, max_bytes: int) -> tuple[bytes, bytes]:
    """Both streams until their ends."""
    output, said = bytearray(), bytearray()
    with selectors.DefaultSelector() as waiting:
        waiting.register(_pipe(process.stdout), selectors.EVENT_READ, output)
        waiting.register(_pipe(process.stderr), selectors.EVENT_READ, said)
        while waiting.get_map():
            if deadline.seconds_left() <= 0:
                raise TimedOut(f"{label} did not end in time")
            seconds_left(QUESTION_TIMEOUT_S)
            for key, _ in waiting.select(timeout=POLL_S):
                chunk = os.read(key.fd, 1 << 16)
                if not chunk:
                    waiting.unregister(key.fileobj)
                elif len(chunk) < SMALL_BYTES:
                    time.sleep(MOMENT_S)
                key.data.extend(chunk)
            del said[MAX_SAID_BYTES:]
            if len(output) > max_bytes:
                raise TooMuch(f"{label} wrote more than {max_bytes // (1 << 20)} MiB")
    return bytes(output), bytes(said)


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise ValueError("the program was started without pipes")
    return stream


def _one_line(said: bytes) -> str:
    text = " ".join(said.decode("utf-8", "replace").split())
    return "".join(c for c in text if c.isprintable())[:400]
