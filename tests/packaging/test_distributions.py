"""What is shipped: the sdist, the wheel made from it, the wheel made from the checkout, and what lies in them."""

from __future__ import annotations

import configparser
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_string
from pathlib import Path

import pytest

import quub_audit

ROOT = Path(quub_audit.__file__).parent.parent
MADE_BY_TOOLS = {"__pycache__", "node_modules", "dist", "coverage", ".terraform"}
BUNDLED = {
    "checks": "quub_audit/checks",
    "reports/templates": "quub_audit/templates",
    "checklist.yaml": "quub_audit/checklist.yaml",
    "examples/quub-app": "quub_audit/demo/service",
}
"""What stands at the top of the repository, and where it lies when installed."""


def build(folder: Path, *options: str) -> None:
    """Run the build as a packager would, with the backend that is installed here."""
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", *options, "--outdir", str(folder), str(ROOT)],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )


def only(folder: Path, pattern: str) -> Path:
    (found,) = folder.glob(pattern)
    return found


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was built from that sdist."""
    folder = tmp_path_factory.mktemp("released")
    build(folder)
    return folder


@pytest.fixture(scope="module")
def wheel(released: Path) -> dict[str, bytes]:
    return contents(only(released, "*.whl"))


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}


def in_checkout(top: str) -> dict[str, bytes]:
    """Files below one path of the checkout, by the path that they have in the wheel."""
    start = ROOT / top
    files = [start] if start.is_file() else sorted(path for path in start.rglob("*") if path.is_file())
    return {
        "/".join([BUNDLED[top], *path.relative_to(start).parts]): path.read_bytes()
        for path in files
        if not MADE_BY_TOOLS & set(path.relative_to(ROOT).parts)
    }


@pytest.mark.parametrize("top", sorted(BUNDLED))
def test_the_wheel_holds_all_that_stands_at_the_top_of_the_repository(wheel: dict[str, bytes], top: str) -> None:
    expected = in_checkout(top)

    assert {name: content for name, content in wheel.items() if name in expected} == expected
    assert expected


def test_the_wheel_has_one_top_level_name_and_no_more_than_the_repository(wheel: dict[str, bytes]) -> None:
    tops = {name.partition("/")[0] for name in wheel}
    code = {name for name in wheel if name.startswith("quub_audit/") and not name.startswith(tuple(BUNDLED.values()))}
    written = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "quub_audit").rglob("*")
        if path.is_file() and not path.is_symlink() and "__pycache__" not in path.parts
    }

    assert tops == {"quub_audit", f"quub_audit-{quub_audit.__version__}.dist-info"}
    assert code == {name for name in written if not name.startswith(tuple(BUNDLED.values()))}
    assert "quub_audit/py.typed" in code


def test_the_wheel_from_the_sdist_equals_the_wheel_from_the_checkout(
    wheel: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("direct")
    build(folder, "--wheel")

    assert contents(only(folder, "*.whl")) == wheel


def test_the_sdist_holds_what_it_takes_to_test_and_build_it(released: Path) -> None:
    with tarfile.open(only(released, "*.tar.gz")) as archive:
        names = {member.name.partition("/")[2] for member in archive.getmembers()}

    assert {"pyproject.toml", "Makefile", "LICENSE", "README.md", "CHANGELOG.md", ".ci/bundle.py"} <= names
    assert {"checklist.yaml", "checks/__init__.py", "tests/__init__.py", "docs/ci.md", "bench/__init__.py"} <= names
    assert [name for name in names if ".venv" in name or "__pycache__" in name or "node_modules" in name] == []


def test_the_metadata_names_licence_command_and_python(wheel: dict[str, bytes]) -> None:
    folder = f"quub_audit-{quub_audit.__version__}.dist-info"
    metadata = message_from_string(wheel[f"{folder}/METADATA"].decode())
    commands = configparser.ConfigParser()
    commands.read_string(wheel[f"{folder}/entry_points.txt"].decode())

    assert metadata["Version"] == quub_audit.__version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    assert f"{folder}/licenses/LICENSE" in wheel
    assert dict(commands["console_scripts"]) == {"quub-audit": "quub_audit.cli:main"}


def test_every_dependency_has_a_lower_bound(wheel: dict[str, bytes]) -> None:
    metadata = message_from_string(wheel[f"quub_audit-{quub_audit.__version__}.dist-info/METADATA"].decode())
    required = [text for text in metadata.get_all("Requires-Dist", []) if not text.startswith("quub-audit")]

    assert [text for text in required if ">=" not in text] == []
    assert required
