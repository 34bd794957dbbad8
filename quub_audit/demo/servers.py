"""Programs that serve on loopback for as long as this process lives, however it ends."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import TypeVar

LOOPBACK = "127.0.0.1"
READY_S = 30.0
"""Longest wait for a server; the slowest one takes three seconds on an idle machine."""

_POLL_S = 0.05
_END_S = 10.0
_BELOW_EPHEMERAL = (20_000, 32_000)
"""Ports that no outgoing connection is given meanwhile: Linux and macOS take those from 32768 and 49152 on."""

_GUARDED = 'exec 3<&0; (read -r _ <&3; kill -INT 0) & exec "$@" 3<&- </dev/null'
"""The program in place of the shell, and beside it a reader of a pipe that ends when we do. It sends SIGINT to its
process group, and ignores that itself, as all that runs in a shell's background does.
"""

T = TypeVar("T")


class NotThere(Exception):
    """A server that this machine does not have, or that does not start on it; the text is the whole reason."""


@contextlib.contextmanager
def program(
    command: Sequence[str],
    folder: Path,
    is_ready: Callable[[], bool],
    *,
    environ: Mapping[str, str] | None = None,
    owner: tuple[int, int] | None = None,
    log: Path | None = None,
) -> Iterator[int]:
    """The id of a program that runs in `folder` and is ready; it has ended at exit, and ends with this process.

    `owner` is the user and the group that it runs as; `log` is what it says, where it is not to be thrown away.
    Raises NotThere, with its last words, when it cannot be started, ends by itself, or is not ready in `READY_S`.
    """
    with contextlib.ExitStack() as running:
        output = running.enter_context(log.open("wb")) if log else subprocess.DEVNULL
        try:
            process = subprocess.Popen(
                ["/bin/sh", "-c", _GUARDED, "sh", *command],
                cwd=folder,
                env=dict(environ or {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
                user=owner[0] if owner else None,
                group=owner[1] if owner else None,
                extra_groups=[] if owner else None,
            )
        except OSError as error:
            raise NotThere(f"{command[0]} could not be started: {error}") from error
        running.callback(_end, process)
        ends_at = time.monotonic() + READY_S
        while not _is_ready(is_ready):
            if process.poll() is not None or time.monotonic() > ends_at:
                said = log.read_text(errors="replace") if log else ""
                raise NotThere(f"{command[0]} did not start: {last_words(said)}")
            time.sleep(_POLL_S)
        yield process.pid


def last_words(said: str) -> str:
    """The end of what a program said, in one line."""
    text = "".join(letter for letter in " ".join(said.split()) if letter.isprintable())
    return text[-300:] or "it said nothing"


def _is_ready(is_ready: Callable[[], bool]) -> bool:
    """Errors of connections, and of what is not a server yet, count as not yet."""
    with contextlib.suppress(OSError, ValueError):
        return is_ready()
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.stdin:
        process.stdin.close()
    try:
        process.wait(timeout=_END_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextlib.contextmanager
def begun(manager: contextlib.AbstractContextManager[T]) -> Iterator[Callable[[], T]]:
    """Enter `manager` in a thread of its own; what is yielded waits for what it gives, or raises what it raised."""
    with ThreadPoolExecutor(1) as thread, contextlib.ExitStack() as running:
        entered = thread.submit(running.enter_context, manager)
        try:
            yield entered.result
        finally:
            wait([entered])


def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens now, and which no connection is given by chance."""
    while True:
        port = random.randrange(*_BELOW_EPHEMERAL)  # noqa: S311  nothing is kept secret by it
        with socket.socket() as free, contextlib.suppress(OSError):
            free.bind((LOOPBACK, port))
            return port
