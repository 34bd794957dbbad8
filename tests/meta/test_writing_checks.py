"""The guide for authors of plugins: its example is written to disk and run as a reader would."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import quub_audit

GUIDE = Path(quub_audit.__file__).parent.parent / "docs" / "writing-checks.md"
FILE = re.compile(r"<!-- file: (?P<name>\S+) -->\n```\w+\n(?P<content>.*?)```\n", re.DOTALL)


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("guide")
    for file in FILE.finditer(GUIDE.read_text(encoding="utf-8")):
        path = folder / file["name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file["content"], encoding="utf-8")
    return folder


def run(*command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )


def test_the_tests_of_the_example_pass(example: Path) -> None:
    (example / "pytest.ini").write_text("[pytest]\nmarkers =\n    proof: the four outcomes\n", encoding="utf-8")

    ran = run("pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "acme-checks", folder=example)

    assert re.search(r"^5 passed", ran.stdout, flags=re.MULTILINE), ran.stdout + ran.stderr


def test_the_checklist_of_the_example_adds_its_item_to_ours(example: Path) -> None:
    ran = run("quub_audit", "list", "--checklist", "acme-checklist.yaml", "--checks-dir", "acme-checks", folder=example)

    assert ran.returncode == 0, ran.stderr
    assert "acme.repository.code-owners" in ran.stdout
    assert "security.network.https-enforced" in ran.stdout


def test_the_example_is_formatted_as_our_own_code(example: Path) -> None:
    ran = run("ruff", "format", "--isolated", "--line-length=120", "--diff", "acme-checks", folder=example)

    assert ran.returncode == 0, ran.stdout
