"""`quub-audit demo` as it is installed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from quub_audit.demo import repository
from tests.demo.auditing import COMMAND


def user_environment(home: Path, **more: str) -> Mapping[str, str]:
    """Of somebody with settings of their own, which must make no difference."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "TMPDIR": str(home / "tmp"),
        "AWS_PROFILE": "the-users-own",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        **more,
    }


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "tmp").mkdir()
    return tmp_path


@pytest.mark.parametrize(("options", "code"), [((), 1), (("--healthy",), 0)])
def test_the_demo_ends_with_the_verdict_and_leaves_reports_alone(
    home: Path, options: tuple[str, ...], code: int
) -> None:
    done = subprocess.run(
        [COMMAND, "demo", "--out", "reports", "-v", *options],
        capture_output=True,
        text=True,
        cwd=home,
        env=user_environment(home),
        timeout=120,
        check=False,
    )

    said = done.stdout + done.stderr
    assert done.returncode == code, said
    assert json.loads((home / "reports" / "result.json").read_text(encoding="utf-8"))["exit_code"] == code
    assert sorted(path.name for path in home.iterdir()) == ["reports", "tmp"]
    assert list((home / "tmp").iterdir()) == []
    assert "Traceback" not in said
    assert [name for name, value in repository.planted_secrets().items() if value in said] == []


def test_a_world_that_is_served_ends_on_sigterm_and_leaves_nothing(home: Path) -> None:
    with subprocess.Popen(
        [COMMAND, "demo", "--healthy", "--serve", "--out", "reports"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=home,
        env=user_environment(home),
    ) as served:
        assert served.stdout is not None
        try:
            for line in served.stdout:
                if "quub-audit run --env production" in line:
                    break
            began = time.monotonic()
            served.send_signal(signal.SIGTERM)
            served.wait(timeout=30)
        finally:
            served.kill()

    assert served.returncode == 0
    assert time.monotonic() - began < 30
    assert list((home / "tmp").iterdir()) == []


def test_a_demo_that_is_interrupted_ends_with_130_and_leaves_nothing(home: Path) -> None:
    with subprocess.Popen(
        [COMMAND, "demo", "--out", "reports"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=home,
        env=user_environment(home),
    ) as interrupted:
        assert interrupted.stdout is not None
        try:
            first = interrupted.stdout.readline()
            interrupted.send_signal(signal.SIGTERM)
            rest = interrupted.stdout.read()
            interrupted.wait(timeout=60)
        finally:
            interrupted.kill()

    assert interrupted.returncode == 130, first + rest
    assert list((home / "tmp").iterdir()) == []
