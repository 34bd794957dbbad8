from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from quub_audit.cli.demo import DEFAULT_OUT
from quub_audit.demo import repository
from tests.cli.shop import COMMAND, Shop, environ, interrupt

UNMEASURED = {"COVERAGE_PROCESS_CONFIG": ""}
"""A whole demo runs through everything, which shows nothing that was tested, and takes twice as long when measured."""


@contextmanager
def served(shop: Shop, *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A demo that is up, and what it said until then."""
    with subprocess.Popen(
        [COMMAND, "demo", "--serve", *arguments],
        cwd=shop.folder,
        env=environ(shop.folder, {"TMPDIR": str(shop.folder), **UNMEASURED}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    ) as process:
        try:
            assert process.stderr is not None
            said = ""
            while "  env -i " not in said:
                line = process.stderr.readline().decode()
                assert line, said
                said += line
            yield process, said
        finally:
            process.kill()


def test_the_demo_audits_its_world_and_ends_with_the_audits_code(shop: Shop) -> None:
    ran = shop.run("demo", "-v", code=1, TMPDIR=str(shop.folder), **UNMEASURED)

    assert json.loads((shop.folder / DEFAULT_OUT / "result.json").read_bytes())["verdict"] == "not_ready"
    assert f"  {DEFAULT_OUT}/report.html\n" in ran.err
    assert ran.last_line == "exit code 1, not ready: at least one blocking item failed"
    assert not list(shop.folder.glob("quub-audit-demo-*")), "the world is left behind"
    assert [name for name, value in repository.planted_secrets().items() if value in ran.out + ran.err] == []


def test_a_healthy_demo_is_ready_whatever_the_users_own_settings_are(shop: Shop) -> None:
    ran = shop.run(
        "demo",
        "--healthy",
        *("--out", "here"),
        code=0,
        **UNMEASURED,
        AWS_PROFILE="no-such-profile",
        AWS_ACCESS_KEY_ID="made-up",
        AWS_ENDPOINT_URL="http://127.0.0.1:9",
        HTTPS_PROXY="http://127.0.0.1:9",
        GITHUB_STEP_SUMMARY=str(shop.folder / "summary.md"),
    )

    assert json.loads((shop.folder / "here" / "result.json").read_bytes())["verdict"] == "ready"
    assert ran.last_line == "exit code 0, ready: nothing blocks this release"


def test_a_served_demo_can_be_audited_from_another_shell_until_it_is_ended(shop: Shop) -> None:
    with served(shop, "--healthy", "-q") as (process, said):
        command = next(line for line in said.splitlines() if line.startswith("  env -i "))
        again = subprocess.run(
            shlex.split(command), cwd=shop.folder, capture_output=True, text=True, timeout=120, check=False
        )
        ended = interrupt(process, signal.SIGTERM)

    assert again.returncode == 0, again.stderr
    assert ended.code == 0
    assert re.search(r"^  environments file: /.*environments\.yaml$", said, re.MULTILINE)
    assert not list(shop.folder.glob("quub-audit-demo-*"))


def test_sigterm_ends_a_demo_that_is_being_built_and_leaves_nothing_behind(shop: Shop) -> None:
    with subprocess.Popen(
        [COMMAND, "demo"],
        cwd=shop.folder,
        env=environ(shop.folder, {"TMPDIR": str(shop.folder), **UNMEASURED}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            folders: list[Path] = []
            for _ in range(3000):
                folders = [path for path in shop.folder.glob("quub-audit-demo-*/world") if path.is_dir()]
                if folders:
                    break
                assert process.poll() is None
                signal.sigtimedwait([], 0.02)
            assert folders
            ran = interrupt(process, signal.SIGTERM)
        finally:
            process.kill()

    assert ran.code == 130
    assert not list(shop.folder.glob("quub-audit-demo-*"))


def test_without_the_extra_the_demo_says_what_to_install(shop: Shop) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "moto.py").write_text("raise ModuleNotFoundError(\"No module named 'moto'\", name='moto')\n")
        ran = shop.run("demo", code=2, PYTHONPATH=os.fspath(folder))

    assert "quub-audit[demo]" in ran.err
    assert ran.last_line == "exit code 2, a mistake in the command or in a file"
    assert "Traceback" not in ran.err
