"""Programs that the demo starts: they end with it, and what does not start says why."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from quub_audit.demo.authority import Authority
from quub_audit.demo.declarations import OF_CACHE
from quub_audit.demo.postgres import find_programs, postgres_server, usual_folders
from quub_audit.demo.servers import NotThere, begun, free_port, last_words, program
from quub_audit.demo.stores import NO_REDIS, cache
from quub_audit.demo.world import demo_world
from tests.demo.auditing import HAS_POSTGRESQL, HAS_REDIS
from tests.worlds.keeper import wait_until

IN_A_SCRIPT = """
import sys
from pathlib import Path
from quub_audit.demo.servers import program
with program(["sleep", "600"], Path(sys.argv[1]), lambda: True) as pid:
    print(pid, flush=True)
    sys.stdin.read()
"""


def is_alive(pid: int) -> bool:
    """Whether it still runs; one that has ended and that nobody waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def takes_connections(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with socket.socket() as client:
        return client.connect_ex((host, int(port))) == 0


def test_a_program_runs_until_the_end_of_the_block(tmp_path: Path) -> None:
    with program(["sleep", "600"], tmp_path, lambda: True) as pid:
        during = is_alive(pid)

    assert during
    assert not is_alive(pid)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_program_ends_with_whoever_started_it_however_that_ends(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-c", IN_A_SCRIPT, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        during = is_alive(pid)
        owner.send_signal(number)
        owner.wait(timeout=30)

    assert during
    wait_until(lambda: not is_alive(pid), at_most_s=30)


def test_a_program_that_ends_by_itself_is_not_there_and_has_a_last_word(tmp_path: Path) -> None:
    failing = ["sh", "-c", "echo no luck, >&2; echo '\033[1mtoday' >&2; exit 3"]

    with pytest.raises(NotThere, match=r"^sh did not start: no luck, \[1mtoday$"):  # noqa: SIM117
        with program(failing, tmp_path, lambda: False, log=tmp_path / "log"):
            pytest.fail("it is not ready")


def test_a_program_that_does_not_exist_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotThere, match=r"did not start: .*not found"):  # noqa: SIM117
        with program(["no-such-server"], tmp_path, lambda: False, log=tmp_path / "log"):
            pytest.fail("it is not ready")


@pytest.mark.parametrize(("said", "told"), [("", "it said nothing"), ("a\n b\x00", "a b"), ("x" * 400, "x" * 300)])
def test_last_words_are_one_line(said: str, told: str) -> None:
    assert last_words(said) == told


def test_what_was_begun_ends_though_nobody_waited_for_it() -> None:
    steps: list[str] = []

    @contextlib.contextmanager
    def slow() -> Iterator[str]:
        steps.append("up")
        try:
            yield "here"
        finally:
            steps.append("down")

    with pytest.raises(KeyboardInterrupt), begun(slow()):
        raise KeyboardInterrupt
    with begun(slow()) as wait:
        assert wait() == "here"

    assert steps == ["up", "down"] * 2


def test_what_did_not_begin_raises_where_it_is_waited_for() -> None:
    @contextlib.contextmanager
    def failing() -> Iterator[str]:
        if not steps:
            raise NotThere("nowhere")
        yield ""

    steps: list[str] = []
    with begun(failing()) as wait, pytest.raises(NotThere, match="nowhere"):
        wait()


def test_a_free_port_is_none_that_connections_are_given() -> None:
    assert {20_000 <= free_port() < 32_000 for _ in range(50)} == {True}


def test_a_machine_without_redis_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotThere, match=f"^{NO_REDIS}$"), cache(str(tmp_path), tmp_path, Authority(), healthy=True):
        pytest.fail("there is one")


def test_a_redis_that_does_not_start_leaves_the_demo_up_with_its_reason(tmp_path: Path) -> None:
    old = tmp_path / "bin" / "redis-server"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\necho \"Bad directive: 'tls-port'\"\nexit 1\n")
    old.chmod(0o755)

    with demo_world(tmp_path / "world", healthy=True, search=str(old.parent)) as world:
        read = yaml.safe_load(world.environments_file.read_text(encoding="utf-8"))

    production = read["environments"]["production"]
    reasons = {each["item"]: each["reason"] for each in production["not_applicable"]}
    assert "caches" not in production
    assert {reasons[item] for item in OF_CACHE} == {f"{old} did not start: Bad directive: 'tls-port'"}


@pytest.mark.skipif(not HAS_REDIS, reason="redis-server is not installed")
def test_a_cache_lets_nobody_in_without_tls_and_ends(tmp_path: Path) -> None:
    with cache(os.environ["PATH"], tmp_path, Authority(), healthy=True) as store:
        host, _, port = store.address.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=10) as plain:
            plain.sendall(b"PING\r\n")
            answer = b""
            with contextlib.suppress(ConnectionError):
                answer = plain.recv(100)

    assert b"PONG" not in answer
    assert not takes_connections(store.address)
    files = [path for path in tmp_path.rglob("*") if path.suffix in (".key", ".conf")]
    assert len(files) == 3
    assert {path.stat().st_mode & 0o077 for path in files} == {0}


@pytest.mark.skipif(not HAS_POSTGRESQL, reason="PostgreSQL is not installed")
class TestPostgres:
    def test_a_cluster_is_removed_with_its_server(self, tmp_path: Path) -> None:
        authority = Authority()
        programs = find_programs(usual_folders())
        assert programs is not None
        with postgres_server(
            programs,
            tmp_path,
            authority.issue("127.0.0.1"),
            ca_file=authority.write_ca(tmp_path),
            password="opens-nothing",
        ) as server:
            with server.connect() as session:
                row = session.execute("SHOW data_directory").fetchone()
            assert row is not None
            data = Path(row[0])
            during = data.exists()

        assert during
        assert not data.parent.exists()
        assert not takes_connections(server.address)

    def test_a_cluster_that_cannot_be_made_says_why(self, tmp_path: Path) -> None:
        broken = tmp_path / "bin"
        broken.mkdir()
        (broken / "initdb").write_text("#!/bin/sh\necho 'initdb: error: no space' >&2\nexit 1\n")
        (broken / "initdb").chmod(0o755)
        authority = Authority()

        with pytest.raises(NotThere, match="made no cluster: "):  # noqa: SIM117
            with postgres_server(broken, tmp_path, authority.issue("127.0.0.1"), ca_file=tmp_path, password="none"):
                pytest.fail("there is none")
