"""Temporary folders: gone with their process, and those of killed ones with the next."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from quub_audit.connectors.scratch import STALE_AFTER_S, Scratch
from quub_audit.errors import Unsupported

HOLDER = """
import sys
from quub_audit.connectors.scratch import Scratch
scratch = Scratch("test")
print(scratch.path, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


@pytest.fixture
def holder(temporary: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Another process with a folder of its own, made long ago."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip())
        age(folder)
        yield process, folder
        process.kill()


def age(folder: Path) -> None:
    """Make it older than what may still be in the making."""
    long_ago = time.time() - STALE_AFTER_S - 60
    os.utime(folder, (long_ago, long_ago))


def test_it_is_for_this_user_alone_and_goes_when_it_is_closed(temporary: Path) -> None:
    scratch = Scratch("test")

    assert scratch.path.parent == temporary
    assert scratch.path.stat().st_mode & 0o777 == 0o700
    scratch.close()
    scratch.close()
    assert list(temporary.iterdir()) == []


def test_what_a_killed_process_left_goes_with_the_next(holder: tuple[subprocess.Popen[str], Path]) -> None:
    process, folder = holder
    (folder / "link").symlink_to(folder.parent)
    age(folder)
    process.kill()
    process.wait(timeout=30)

    Scratch("test").close()

    assert not folder.exists()
    assert folder.parent.is_dir()


def test_the_folder_of_a_living_process_stays_however_old(holder: tuple[subprocess.Popen[str], Path]) -> None:
    Scratch("test").close()

    assert holder[1].is_dir()


def test_what_is_new_or_no_folder_or_for_another_purpose_stays(temporary: Path) -> None:
    (temporary / "quub-audit-test-new").mkdir()
    (temporary / "quub-audit-test-file").write_text("mine")
    (temporary / "quub-audit-other-old").mkdir()
    (temporary / "precious").mkdir()
    (temporary / "quub-audit-test-link").symlink_to(temporary / "precious")
    for name in ("quub-audit-test-file", "quub-audit-other-old", "precious"):
        age(temporary / name)
    before = sorted(temporary.iterdir())

    Scratch("test").close()

    assert sorted(temporary.iterdir()) == before


def test_where_no_folder_can_be_made_it_is_said(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(temporary / "absent"))

    with pytest.raises(Unsupported, match="no temporary folder can be made"):
        Scratch("test")
