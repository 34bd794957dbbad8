"""Programs that a connector starts: bounded in time and output, and ended with everything they started."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from quub_audit.connectors.base import DEADLINE, QUESTION_TIMEOUT_S, Deadline
from quub_audit.connectors.children import Children, Done, kill_all
from quub_audit.errors import Malformed, TimedOut, Unsupported


def shell(
    children: Children, script: str, *, timeout_s: float = 20, max_bytes: int = 1 << 20, given: bytes = b""
) -> Done:
    return children.run(
        ["/bin/sh", "-c", script],
        folder=Path("/"),
        environ={"PATH": "/usr/bin:/bin"},
        label="the script",
        given=given,
        timeout_s=timeout_s,
        max_bytes=max_bytes,
    )


def is_gone(pid: int) -> bool:
    """Whether a process has ended, at the latest two seconds from now."""
    for _ in range(40):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def test_output_error_stream_and_code_come_back(children: Children) -> None:
    done = shell(children, "echo out; printf 'two\\n\\033[31mlines\\n' >&2; exit 3")

    assert done == Done(3, b"out\n", "two [31mlines", b"two\n\033[31mlines\n")


def test_nothing_of_our_environment_is_passed_on(children: Children, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUUB_API_SECRET", "of ours")

    assert b"QUUB" not in shell(children, "env").output


def test_there_is_no_input_to_wait_for(children: Children) -> None:
    assert shell(children, "cat").output == b""


def test_what_is_given_stands_on_the_input_however_much_it_is_and_whoever_reads_it(children: Children) -> None:
    given = b"x" * 1_000_000

    assert shell(children, "wc -c", given=given).output.strip() == b"1000000"
    assert shell(children, "true", given=given).code == 0


def test_a_program_past_its_time_is_ended_with_what_it_started(children: Children, tmp_path: Path) -> None:
    pids = tmp_path / "pids"

    with pytest.raises(TimedOut, match="the script did not end in time"):
        shell(children, f"sleep 60 & echo $! $$ > {pids}; wait", timeout_s=0.5)

    assert all(is_gone(int(pid)) for pid in pids.read_text().split())


def test_a_child_that_keeps_the_output_open_does_not_outlive_the_deadline(children: Children, tmp_path: Path) -> None:
    pids = tmp_path / "pids"

    with pytest.raises(TimedOut):
        shell(children, f"sleep 60 & echo $! > {pids}; exit 0", timeout_s=0.5)

    assert is_gone(int(pids.read_text()))


def test_the_deadline_of_the_check_is_kept_and_may_be_cancelled(children: Children) -> None:
    deadline = Deadline(60)
    token = DEADLINE.set(deadline)
    timer = threading.Timer(0.3, deadline.cancel)
    timer.start()
    started = time.monotonic()
    try:
        with pytest.raises(TimedOut):
            shell(children, "sleep 60")
    finally:
        DEADLINE.reset(token)
        timer.join()

    assert time.monotonic() - started < QUESTION_TIMEOUT_S


def test_too_much_output_is_malformed_and_ends_the_program(children: Children) -> None:
    with pytest.raises(Malformed, match="the script wrote more than 1 MiB"):
        shell(children, "yes")


def test_close_ends_what_runs_and_lets_nothing_start(children: Children) -> None:
    timer = threading.Timer(0.3, children.close)
    timer.start()

    with pytest.raises(TimedOut, match="ended, because the run is over"):
        shell(children, "sleep 60")
    with pytest.raises(TimedOut, match="was not started"):
        shell(children, "true")
    timer.join()


def test_a_program_that_is_missing_is_unsupported(children: Children) -> None:
    with pytest.raises(Unsupported, match="the program could not be started"):
        children.run([os.fspath(Path("/nonexistent/x"))], folder=Path("/"), environ={}, label="the program")


def test_everything_that_runs_can_be_ended_at_once_with_what_it_started(children: Children, tmp_path: Path) -> None:
    said = tmp_path / "pid"
    ended: list[Done] = []
    script = f"sleep 600 & echo $! > {said}.part; mv {said}.part {said}; wait"
    running = threading.Thread(target=lambda: ended.append(shell(children, script)))
    running.start()
    for _ in range(400):
        if said.exists():
            break
        time.sleep(0.05)

    kill_all()

    running.join(20)
    assert [done.code for done in ended] == [-9]
    assert is_gone(int(said.read_text()))
