"""The wheel in an empty environment, far from the checkout: pip resolves it, and the command does its work."""

from __future__ import annotations

import json
import os
import subprocess
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

import quub_audit
from tests.packaging.test_distributions import ROOT, build, only

PINS = ROOT / ".ci" / "constraints.txt"
KEPT = ("PATH", "HOME", "LANG", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")
"""What pip may need of the surroundings; nothing else is inherited."""


@dataclass(frozen=True)
class Installed:
    """A virtual environment with the wheel, and an empty folder to work in."""

    bin: Path
    folder: Path

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.bin / command[0]), *command[1:]],
            cwd=self.folder,
            env=surroundings(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


def surroundings() -> Mapping[str, str]:
    return {name: value for name, value in os.environ.items() if name in KEPT or name.startswith("PIP_")}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("installed")
    build(folder, "--wheel")
    venv.create(folder / "venv", with_pip=True)
    work = folder / "work"
    work.mkdir()
    subprocess.run(
        [
            *(folder / "venv/bin/python", "-m", "pip", "install", "--quiet", "--constraint", PINS),
            f"{only(folder, '*.whl')}[demo]",
        ],
        env=surroundings(),
        check=True,
        timeout=170,
    )
    return Installed(bin=folder / "venv" / "bin", folder=work)


def test_what_pip_chose_fits_together(installed: Installed) -> None:
    ran = installed.run("python", "-m", "pip", "check")

    assert ran.returncode == 0, ran.stdout


def test_the_command_tells_its_version(installed: Installed) -> None:
    ran = installed.run("quub-audit", "--version")

    assert (ran.returncode, ran.stderr) == (0, "")
    assert quub_audit.__version__ in ran.stdout


def test_the_code_is_that_of_the_wheel_and_brings_no_other_top_level_name(installed: Installed) -> None:
    ran = installed.run(
        "python",
        "-c",
        "import importlib.util, json, quub_audit, quub_audit.checks;"
        "print(json.dumps([quub_audit.__file__, quub_audit.checks.__file__,"
        " [n for n in ('checks', 'reports', 'bench') if importlib.util.find_spec(n)]]))",
    )

    package, checks, others = json.loads(ran.stdout)
    assert package.startswith(str(installed.bin.parent))
    assert checks.startswith(str(installed.bin.parent))
    assert others == []


def test_all_items_are_listed(installed: Installed) -> None:
    ran = installed.run("quub-audit", "list")

    assert ran.returncode == 0, ran.stderr
    assert "security.network.tls-minimum-version" in ran.stdout
    assert "security.api-keys.rotation-schedule" in ran.stdout


def test_the_demo_audits_its_world_and_leaves_all_reports(installed: Installed) -> None:
    ran = installed.run("quub-audit", "demo")

    results = list(installed.folder.rglob("result.json"))
    assert len(results) == 1, ran.stdout + ran.stderr
    result = json.loads(results[0].read_text(encoding="utf-8"))
    assert result["summary"]["pass"] > 0
    assert result["summary"]["fail"] > 0
    assert {path.name for path in results[0].parent.iterdir()} >= {"report.html", "junit.xml", "report.md"}
