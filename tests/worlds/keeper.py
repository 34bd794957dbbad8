"""One slow server for all workers of a test session, ended when the last of them has gone, however it went.

Workers hold leases (files whose names begin with their pid). A keeper, a process of its own, starts the server and
ends it when no lease of a living process is left. Everything is in one folder: `leases`, `command.json`, `server.log`.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

POLL_S = 0.25


@dataclass(frozen=True)
class Command:
    """What the keeper runs."""

    arguments: Sequence[str]
    environ: Mapping[str, str]
    address: str


@contextlib.contextmanager
def shared_server(
    folder: Path, make: Callable[[], Command], is_ready: Callable[[str], bool], *, at_most_s: float
) -> Iterator[str]:
    """The address of the server of `folder`, started by the first who comes; `make` is called by that one alone.

    Raises TimeoutError where it is not ready in `at_most_s` seconds, with the end of its log.
    """
    lease = folder / "leases" / f"{os.getpid()}-{secrets.token_hex(4)}"
    lease.parent.mkdir(parents=True, exist_ok=True)
    with locked(folder / "lock"):
        lease.touch()
        state = folder / "address"
        if not state.exists():
            command = make()
            (folder / "command.json").write_text(json.dumps([list(command.arguments), dict(command.environ)]))
            # The keeper outlives the tests, and must write no measurement when they are being combined.
            environ = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
            subprocess.run([sys.executable, __file__, str(folder)], check=True, timeout=60, env=environ)
            try:
                wait_until(lambda: is_ready(command.address), at_most_s=at_most_s)
            except TimeoutError as error:
                lease.unlink(missing_ok=True)
                said = (folder / "server.log").read_text(errors="replace")[-2000:]
                raise TimeoutError(f"{command.address} was not ready in {at_most_s:.0f} s: {said}") from error
            state.write_text(command.address)
        address = state.read_text()
    try:
        yield address
    finally:
        lease.unlink(missing_ok=True)
        if not any((folder / "leases").iterdir()):
            with contextlib.suppress(TimeoutError):
                wait_until(lambda: not (folder / "keeper").exists(), at_most_s=30)


def wait_until(is_so: Callable[[], bool], *, at_most_s: float) -> None:
    """Raises TimeoutError when it is not so in time; errors of connections count as not yet."""
    ends_at = time.monotonic() + at_most_s
    while True:
        with contextlib.suppress(OSError, ValueError):
            if is_so():
                return
        if time.monotonic() > ends_at:
            raise TimeoutError(f"not so in {at_most_s:.0f} s")
        time.sleep(POLL_S)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Alone among all processes that lock `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _keep(folder: Path) -> None:
    arguments, environ = json.loads((folder / "command.json").read_text())
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(
            arguments, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    (folder / "keeper").write_text(str(os.getpid()))
    while server.poll() is None and _is_wanted(folder):
        time.sleep(POLL_S)
    _end(server)
    (folder / "address").unlink(missing_ok=True)
    (folder / "keeper").unlink(missing_ok=True)


def _is_wanted(folder: Path) -> bool:
    return any(_is_alive(lease) for lease in (folder / "leases").iterdir())


def _is_alive(lease: Path) -> bool:
    try:
        os.kill(int(lease.name.partition("-")[0]), 0)
    except ProcessLookupError:
        lease.unlink(missing_ok=True)
        return False
    return True


def _end(server: subprocess.Popen[bytes]) -> None:
    """The server and what it started: a shell that is ended alone leaves its child."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, number)
        try:
            server.wait(timeout=15)
        except subprocess.TimeoutExpired:
            continue
        return


def _detach() -> None:
    """Become a process that nobody waits for, and that no closing terminal ends."""
    if os.fork():
        os._exit(0)
    os.setsid()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)


if __name__ == "__main__":
    _detach()
    _keep(Path(sys.argv[1]))
