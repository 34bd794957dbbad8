"""A shared server is one for all who want it, and is gone when the last of them has, however that went."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.worlds.keeper import Command, shared_server, wait_until


def command() -> Command:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)]
    return Command(arguments, {"PATH": os.environ["PATH"]}, f"http://127.0.0.1:{port}")


def answers(address: str) -> bool:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(address, timeout=2) as answer:
        return bool(answer.status == 200)


def is_gone(address: str) -> bool:
    try:
        return not answers(address)
    except OSError:
        return True


def test_the_second_who_comes_gets_the_same_server_and_the_last_ends_it(tmp_path: Path) -> None:
    def never() -> Command:
        raise AssertionError("a second server was wanted")

    with shared_server(tmp_path, command, answers, at_most_s=30) as first:
        later = shared_server(tmp_path, never, answers, at_most_s=30)
        with later as second:
            assert second == first
        assert (tmp_path / "keeper").exists()
        assert answers(first)

    assert is_gone(first)


CRASHING = """
import os, sys
from pathlib import Path
from tests.worlds.test_keeper import answers, command
from tests.worlds.keeper import shared_server
context = shared_server(Path(sys.argv[1]), command, answers, at_most_s=30)
print(context.__enter__(), flush=True)
os._exit(9)
"""


def test_a_worker_that_crashes_leaves_no_server_behind(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CRASHING, str(tmp_path)],
        capture_output=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).parents[2],
    )

    assert done.returncode == 9
    address = done.stdout.decode().strip()
    wait_until(lambda: is_gone(address), at_most_s=30)
    wait_until(lambda: not (tmp_path / "keeper").exists(), at_most_s=30)


def test_a_server_that_never_answers_is_ended_with_the_end_of_its_log(tmp_path: Path) -> None:
    def broken() -> Command:
        return Command([sys.executable, "-c", "raise SystemExit('no such thing')"], {}, "http://127.0.0.1:9")

    with (
        pytest.raises(TimeoutError, match="no such thing"),
        shared_server(tmp_path, broken, answers, at_most_s=2),
    ):
        pass
