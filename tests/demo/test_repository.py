"""The sample service's repository, as git and a secret scanner see it."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from quub_audit.demo import repository
from quub_audit.demo.repository import build, planted_secrets
from quub_audit.errors import UsageError

LIVE, BACKUP = (base64.b64encode(hashlib.sha256(name).digest()).decode() for name in (b"live", b"backup"))
ROOT = Path(__file__).parents[2]


def git(directory: Path, *arguments: str) -> str:
    environ = {"PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
    done = subprocess.run(
        ["git", *arguments], cwd=directory, env=environ, check=True, capture_output=True, text=True, timeout=60
    )
    return done.stdout.strip()


def leaks(directory: Path) -> list[dict[str, Any]]:
    """What the scanner that the audit uses finds in the whole history."""
    scanner = shutil.which("betterleaks", path=str(Path(sys.executable).parent))
    assert scanner, "betterleaks is a dependency of the project"
    report = directory.parent / f"{directory.name}.json"
    subprocess.run(
        [scanner, "git", str(directory), "--no-banner", f"--output={report}", "--exit-code=0"],
        check=True,
        capture_output=True,
        timeout=120,
        env={"PATH": os.environ["PATH"], "HOME": str(directory.parent)},
    )
    document = json.loads(report.read_text())
    found: list[dict[str, Any]] = document["findings"] or []
    return found


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("demo") / "faulty", healthy=False, pins=(LIVE, BACKUP))


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("demo") / "healthy", healthy=True, pins=(LIVE, BACKUP))


def test_the_faulty_history_holds_the_key_that_its_tree_no_longer_has(faulty: Path) -> None:
    key = planted_secrets()["QUUB_PROD_API_KEY"]

    touching = git(faulty, "log", "--all", "--format=%s", f"-S{key}").splitlines()

    assert touching == ["Remove local settings from the repository", "Read the configuration and answer health probes"]
    assert not (faulty / ".env").exists()
    assert subprocess.run(["git", "grep", "-q", key], cwd=faulty, timeout=60).returncode == 1


def test_the_faulty_code_falls_back_on_a_literal(faulty: Path) -> None:
    literal = planted_secrets()["QUUB_API_SECRET"]

    assert f'process.env.QUUB_API_SECRET || "{literal}"' in (faulty / "src/config/secrets.ts").read_text()


def test_the_faulty_client_compares_no_pins(faulty: Path) -> None:
    client = (faulty / "src/quub/client.ts").read_text()

    assert "checkServerIdentity: () => undefined" in client
    assert "rejectUnauthorized: false" in client
    assert "pinnedIdentity" not in client


def test_the_healthy_history_holds_nothing_that_was_planted(healthy: Path) -> None:
    history = git(healthy, "log", "--all", "-p")

    assert not [name for name, value in planted_secrets().items() if value in history]
    assert ".env\n" not in git(healthy, "log", "--all", "--format=", "--name-only") + "\n"
    assert "rejectUnauthorized" not in history


def test_the_healthy_client_compares_the_given_pins(healthy: Path) -> None:
    assert "checkServerIdentity: pinnedIdentity(QUUB_PINS)" in (healthy / "src/quub/client.ts").read_text()
    assert re.findall(r'"(.{43}=)"', (healthy / "src/quub/pins.ts").read_text()) == [LIVE, BACKUP]


def test_a_secret_scanner_finds_the_key_in_the_faulty_history(faulty: Path) -> None:
    planted = planted_secrets()

    found = json.dumps(leaks(faulty))

    assert planted["QUUB_PROD_API_KEY"] in found
    assert planted["QUUB_PROD_API_SECRET"] in found


def test_a_secret_scanner_finds_nothing_in_the_healthy_history(healthy: Path) -> None:
    assert leaks(healthy) == []


@pytest.mark.parametrize("is_healthy", [True, False])
def test_two_builds_have_the_same_commits(tmp_path: Path, is_healthy: bool) -> None:
    one, other = (build(tmp_path / name, healthy=is_healthy, pins=(LIVE, BACKUP)) for name in ("one", "other"))

    assert git(one, "log", "--format=%H %an %ae %aI %cI") == git(other, "log", "--format=%H %an %ae %aI %cI")
    assert len(git(one, "log", "--format=%H").splitlines()) >= 5


def test_the_settings_of_the_user_change_no_commit(
    tmp_path: Path, healthy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = tmp_path / "gitconfig"
    hostile.write_text("[user]\nname = Somebody\n[core]\nautocrlf = true\n[commit]\ngpgSign = true\n")
    for name, value in {"GIT_CONFIG_GLOBAL": str(hostile), "GIT_DIR": "/nowhere", "GIT_AUTHOR_NAME": "Me"}.items():
        monkeypatch.setenv(name, value)

    again = build(tmp_path / "again", healthy=True, pins=(LIVE, BACKUP))

    for name in ("GIT_DIR", "GIT_AUTHOR_NAME"):
        monkeypatch.delenv(name)
    assert git(again, "rev-parse", "HEAD") == git(healthy, "rev-parse", "HEAD")


@pytest.mark.parametrize("state", ["faulty", "healthy"])
def test_the_working_tree_is_clean_on_main(state: str, request: pytest.FixtureRequest) -> None:
    directory: Path = request.getfixturevalue(state)

    assert git(directory, "status", "--porcelain", "--ignored") == ""
    assert git(directory, "branch", "--show-current") == "main"
    assert git(directory, "rev-parse", "--is-shallow-repository") == "false"


def test_the_two_states_differ_in_the_faults_alone(faulty: Path, healthy: Path) -> None:
    def tree(directory: Path) -> dict[str, str]:
        return {path: (directory / path).read_text() for path in git(directory, "ls-files").splitlines()}

    sound, broken = tree(healthy), tree(faulty)

    assert sound.keys() == broken.keys()
    assert {path for path in sound if sound[path] != broken[path]} == {
        "src/config/secrets.ts",
        "src/errors.ts",
        "src/quub/client.ts",
        "terraform/service.tf",
    }


def test_no_planted_value_stands_in_our_own_files() -> None:
    files = [*(ROOT / "examples").rglob("*"), Path(repository.__file__), Path(__file__)]
    text = "".join(file.read_text() for file in files if file.is_file())

    assert len(text) > 10_000
    assert not [name for name, value in planted_secrets().items() if value in text]


@pytest.mark.parametrize("pins", [(), (LIVE,), (LIVE, "no hash"), (LIVE, f'{BACKUP[:-4]}";x')])
def test_pins_that_are_no_hashes_are_refused(tmp_path: Path, pins: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="expected two or more base64 SHA-256 hashes"):
        build(tmp_path / "service", healthy=True, pins=pins)


def test_a_folder_that_holds_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")

    with pytest.raises(UsageError, match="is not empty"):
        build(tmp_path, healthy=True, pins=(LIVE, BACKUP))

    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_without_git_the_reason_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))

    with pytest.raises(UsageError, match="git is not installed"):
        build(tmp_path / "service", healthy=True, pins=(LIVE, BACKUP))
