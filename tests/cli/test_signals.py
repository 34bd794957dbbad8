from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.cli.shop import COMMAND, Shop, environ, interrupt, wait_for

SIGNALS = [signal.SIGINT, signal.SIGTERM]


def result_of(shop: Shop) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((shop.reports / "result.json").read_bytes())
    return document


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("plugin", ["never", "chatters"])
def test_a_signal_ends_the_run_early_with_every_report(shop: Shop, number: signal.Signals, plugin: str) -> None:
    shop.write("holds", plugin)

    with shop.started() as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        ran = interrupt(process, number)

    assert first.startswith(b"[1/2] pass ")
    assert ran.code == 130
    assert ran.last_line == "exit code 130, interrupted before the audit was complete"
    assert result_of(shop)["verdict"] == "interrupted"
    assert [item["status"] for item in result_of(shop)["items"]] == ["pass", "error"]
    assert "not finished: the run was interrupted" in ran.out
    assert (shop.reports / "junit.xml").is_file()


def test_an_advisory_run_that_is_interrupted_is_not_green(shop: Shop) -> None:
    shop.write("never")

    with shop.started("--gate", "none") as process:
        ran = interrupt(process)

    assert ran.code == 130


def test_a_second_signal_ends_at_once(shop: Shop) -> None:
    """The writing of reports is held up by a step summary that nobody reads: a named pipe."""
    shop.write("never")
    pipe = shop.folder / "summary"
    os.mkfifo(pipe)

    with shop.started(GITHUB_STEP_SUMMARY=str(pipe)) as process:
        process.send_signal(signal.SIGINT)
        wait_for((shop.reports / "result.json").exists)
        ran = interrupt(process)

    assert ran.code == 130
    assert "exit code" not in ran.err


SIGNALLED = """
import os, signal
from quub_audit.cli.interrupt import Interruption
with Interruption(lambda: print("ended what runs", flush=True)) as interruption:
    interruption.defer()
    for number in (signal.SIGINT, signal.SIGTERM):
        print("signal", flush=True)
        os.kill(os.getpid(), number)
print("never")
"""


def test_the_second_signal_ends_what_still_runs_first() -> None:
    ran = subprocess.run([sys.executable, "-c", SIGNALLED], capture_output=True, text=True, timeout=60, check=False)

    assert (ran.returncode, ran.stdout) == (130, "signal\nsignal\nended what runs\n")


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_before_anything_was_audited_leaves_reports_that_say_so(shop: Shop, number: signal.Signals) -> None:
    """The AWS account does not answer when it is asked who we are."""
    shop.write("holds")
    with socket.create_server(("127.0.0.1", 0)) as server:
        connected = threading.Event()
        accepted: list[socket.socket] = []

        def accept() -> None:
            accepted.append(server.accept()[0])
            connected.set()

        threading.Thread(target=accept, daemon=True).start()
        (shop.folder / "environments.yaml").write_text(
            "service: shop\nenvironments:\n  production:\n    stage: production\n    aws:\n"
            '      - name: main\n        account_id: "123456789012"\n        regions: [eu-central-1]\n'
            f"        endpoint_url: http://127.0.0.1:{server.getsockname()[1]}\n"
        )
        with subprocess.Popen(
            [COMMAND, *shop.arguments()],
            cwd=shop.folder,
            env=environ(shop.folder, {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing-secret"}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            try:
                assert connected.wait(timeout=60)
                ran = interrupt(process, number)
            finally:
                process.kill()
                for connection in accepted:
                    connection.close()

    assert ran.code == 130
    assert f"{number.name} came before anything was audited" in ran.err
    assert result_of(shop)["headline"] == "Interrupted: nothing was audited"
    assert result_of(shop)["exit_code"] == 130
    assert "testing-secret" not in ran.err


def is_reading_a_pipe(process: subprocess.Popen[bytes]) -> bool:
    """Whether it waits in `read`: a signal between its opening and its reading would be lost."""
    about = Path(f"/proc/{process.pid}")
    place = (about / "wchan").read_text(encoding="ascii")
    state = (about / "stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    return "pipe_read" in place or (place == "0" and state == "S")  # some systems do not tell the place


def test_ctrl_c_ends_a_command_that_audits_nothing(shop: Shop) -> None:
    """It waits for a writer of a named pipe."""
    os.mkfifo(shop.folder / "result.json")

    with subprocess.Popen(
        [COMMAND, "report", "result.json"],
        cwd=shop.folder,
        env=environ(shop.folder, {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            with (shop.folder / "result.json").open("wb"):  # comes back once the command has opened its end
                wait_for(lambda: is_reading_a_pipe(process))
                ran = interrupt(process)
        finally:
            process.kill()

    assert ran.code == 130
    assert ran.last_line == "exit code 130, interrupted"
    assert "Traceback" not in ran.err


def test_a_run_that_is_stopped_again_and_again_under_load_never_hangs(shop: Shop) -> None:
    """A plugin that computes and prints without end keeps the handler of the signal waiting."""
    shop.write("chatters")

    for _ in range(5):
        with shop.started("-qq", "--format", "json") as process:
            ran = interrupt(process, signal.SIGTERM)
        assert ran.code == 130
        shop.begun.unlink()
