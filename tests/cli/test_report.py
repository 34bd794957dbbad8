from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from quub_audit.reporters import FORMATS, dump_result, render
from tests.cli.shop import COMMAND, Shop, environ
from tests.reporters.results import not_ready


@pytest.fixture
def result(shop: Shop) -> Path:
    path = shop.folder / "kept.json"
    path.write_bytes(dump_result(not_ready()))
    return path


def expected(format_name: str) -> bytes:
    report = render(not_ready(), format_name)
    return report if isinstance(report, bytes) else report.encode()


@pytest.mark.parametrize("format_name", FORMATS)
def test_every_report_is_made_again_as_it_was(shop: Shop, result: Path, format_name: str) -> None:
    ran = shop.run("report", result.name, "--format", format_name, code=0)

    path = shop.folder / FORMATS[format_name].file
    assert path.read_bytes() == expected(format_name)
    assert ran.out == ""
    assert ran.err == f"{format_name}: {path.name}\n"


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_report_goes_to_stdout_byte_for_byte(shop: Shop, result: Path, format_name: str) -> None:
    done = subprocess.run(
        [COMMAND, "report", result, "--format", format_name, "--out", "-"],
        env=environ(shop.folder, {"PYTHONIOENCODING": "ascii"}),
        capture_output=True,
        timeout=60,
        check=True,
    )

    assert done.stdout == expected(format_name)
    assert done.stderr == b""


def test_a_report_goes_to_the_file_or_the_folder_named(shop: Shop, result: Path) -> None:
    (shop.folder / "folder").mkdir()

    shop.run("report", result.name, "--out", "folder", code=0)
    shop.run("report", result.name, "--out", "new/ticket.html", code=0)

    assert (shop.folder / "folder" / "report.html").read_bytes() == expected("html")
    assert (shop.folder / "new" / "ticket.html").read_bytes() == expected("html")
    assert [path.name for path in (shop.folder / "new").iterdir()] == ["ticket.html"]


def test_what_is_no_result_is_a_mistake(shop: Shop) -> None:
    (shop.folder / "kept.json").write_text('{"schema": "quub-audit/result/0"}')

    ran = shop.run("report", "kept.json", code=2)

    assert ran.err.splitlines()[0].startswith("kept.json: schema: the schema is 'quub-audit/result/0'")
    assert ran.last_line == "exit code 2, a mistake in the command or in a file"
    assert not (shop.folder / "report.html").exists()


def test_a_report_that_cannot_be_written_is_named(shop: Shop, result: Path) -> None:
    (shop.folder / "taken").write_text("a file")

    ran = shop.run("report", result.name, "--out", "taken/report.html", code=2)

    assert ran.err == (
        "taken/report.html: the report cannot be written: File exists\n"
        "exit code 2, what was asked for could not be written\n"
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
@pytest.mark.parametrize("arguments", [["report", "kept.json", "--out", "-"], ["schema", "waivers"], ["list"]])
def test_a_full_disk_below_stdout_is_an_error(shop: Shop, result: Path, arguments: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [COMMAND, *arguments],
            cwd=shop.folder,
            env=environ(shop.folder, {}),
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )

    assert done.returncode == 2
    assert b"standard output: cannot be written: No space left on device\n" in done.stderr
