from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from quub_audit.errors import NotWritten
from quub_audit.reporters import FORMATS, clear_stale, render, write, write_step_summary
from tests.reporters.results import not_ready, ready

FILES = ["result.json", "junit.xml", "report.sarif", "report.md", "report.html"]


def test_every_format_is_written_under_its_name_and_nothing_else_is_left(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "reports"

    written = write(not_ready(), FORMATS, folder)

    assert [path.name for path in written] == FILES
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    for name, path in zip(FORMATS, written, strict=True):
        report = render(not_ready(), name)
        assert path.read_bytes() == (report if isinstance(report, bytes) else report.encode())


def test_a_report_of_an_earlier_run_is_replaced_whole(tmp_path: Path) -> None:
    write(not_ready(), ["html"], tmp_path)
    write(ready(), ["html"], tmp_path)

    assert "Not ready" not in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_files_follow_the_umask_so_that_another_user_may_publish_them(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        (path,) = write(ready(), ["json"], tmp_path)
    finally:
        os.umask(before)

    assert path.stat().st_mode & 0o777 == 0o644


def test_what_cannot_be_written_is_named_and_the_others_are_written_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "junit.xml").mkdir()

    with pytest.raises(NotWritten) as caught:
        write(not_ready(), FORMATS, tmp_path)

    assert caught.value.problems == (f"{tmp_path / 'junit.xml'}: the report cannot be written: Is a directory",)
    assert [path.name for path in caught.value.written] == [name for name in FILES if name != "junit.xml"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(FILES)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(NotWritten, match=r"file/reports: the folder for the reports cannot be made: Not a directory"):
        write(ready(), ["json"], tmp_path / "file" / "reports")


def test_a_disk_that_is_full_costs_the_file_that_does_not_fit_and_leaves_the_old_one_whole(tmp_path: Path) -> None:
    write(ready(), ["html"], tmp_path)
    old = (tmp_path / "report.html").read_bytes()
    program = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from quub_audit.errors import NotWritten\n"
        "from quub_audit.reporters import write\n"
        "from tests.reporters.results import not_ready\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "try:\n"
        "    write(not_ready(), ['html', 'json'], Path(sys.argv[1]))\n"
        "except NotWritten as error:\n"
        "    print(error)\n"
    )

    said = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=Path(__file__).parents[2],
    ).stdout

    assert said == f"{tmp_path / 'report.html'}: the report cannot be written: File too large\n"
    assert (tmp_path / "report.html").read_bytes() == old
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "result.json"]


def test_reports_of_an_earlier_run_are_deleted_and_other_files_are_not(tmp_path: Path) -> None:
    write(not_ready(), FORMATS, tmp_path)
    (tmp_path / ".report.html.0a1b2c3d.part").write_text("half")
    (tmp_path / "notes.txt").write_text("kept")

    clear_stale(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_only_the_formats_asked_for_are_cleared(tmp_path: Path) -> None:
    write(not_ready(), ["html", "json"], tmp_path)

    clear_stale(tmp_path, ["html"])

    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


def test_clearing_a_folder_that_is_not_there_is_nothing(tmp_path: Path) -> None:
    clear_stale(tmp_path / "absent")

    assert not (tmp_path / "absent").exists()


def test_an_old_report_that_cannot_be_deleted_is_named(tmp_path: Path) -> None:
    (tmp_path / "junit.xml").mkdir()
    (tmp_path / "report.html").write_text("old")

    with pytest.raises(NotWritten, match=r"junit.xml: the old report cannot be deleted"):
        clear_stale(tmp_path)

    assert not (tmp_path / "report.html").exists()


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious.txt"
    precious.write_text("precious")
    (tmp_path / "result.json").symlink_to(precious)

    write(ready(), ["json"], tmp_path)

    assert precious.read_text() == "precious"


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such format: pdf"):
        write(ready(), ["pdf"], tmp_path)
    with pytest.raises(ValueError, match="no such format: pdf; there are json, junit"):
        render(ready(), "pdf")


def test_the_step_summary_is_appended(tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("# An earlier step\n")

    write_step_summary(not_ready(), summary)

    text = summary.read_text(encoding="utf-8")
    assert text.startswith("# An earlier step\n")
    assert "What blocks this release" in text


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_a_step_summary_on_a_full_disk_says_so() -> None:
    with pytest.raises(NotWritten, match="/dev/full: the step summary cannot be written: No space left on device"):
        write_step_summary(ready(), Path("/dev/full"))


def test_jinja2_is_not_loaded_before_a_text_format_is_rendered() -> None:
    program = (
        "import sys\n"
        "from quub_audit.reporters import render\n"
        "loaded = [name for name in ('jinja2', 'pydantic', 'pydantic_core', 'xml') if name in sys.modules]\n"
        "from tests.reporters.results import ready\n"
        "for name in ('json', 'junit', 'sarif'):\n"
        "    render(ready(), name)\n"
        "print(loaded, 'jinja2' in sys.modules, 'pydantic' in sys.modules)\n"
        "render(ready(), 'html')\n"
        "print('jinja2' in sys.modules)\n"
    )

    said = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=Path(__file__).parents[2],
        env={name: value for name, value in os.environ.items() if not name.startswith("COV")},  # it loads xml itself
    ).stdout

    assert said == "[] False False\nTrue\n"
