"""Files of logs: the newest lines first, whatever encoding, packing and size; nothing from outside the folders."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from quub_audit.connectors.base import Ledger
from quub_audit.connectors.logs import LogsConnector
from quub_audit.errors import Absent, Malformed
from quub_audit.facts.logs import LogSample
from quub_audit.facts.seal import Redactor, Sealer
from quub_audit.model.environment import LogSource, Region

MAIL = "user=maija.meikalainen@orders.fi"


def no_pages(region: Region, **parameters: Any) -> Any:
    raise AssertionError("files are read without AWS")


def samples(*globs: Path | str, max_events: int = 1000, max_bytes: int = 1 << 20) -> tuple[LogSample, ...]:
    logs = LogsConnector(
        Ledger(), Sealer(b"salt", Redactor()), log_pages=no_pages, at=datetime(2026, 11, 24, tzinfo=UTC)
    )
    source = LogSource(name="app", files=tuple(str(each) for each in globs))
    return logs.sample_files(source, max_events=max_events, max_bytes=max_bytes)


def seen(sample: LogSample) -> list[tuple[str, int]]:
    return [(each.kind, each.count) for each in sample.sightings]


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: text.encode(),
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.encode("utf-16"),
        lambda text: text.encode("utf-16-le"),
        lambda text: text.encode("utf-16-be"),
        lambda text: b"k\xe4ytt\xe4j\xe4 " + text.encode(),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: gzip.compress(text.encode()),
        lambda text: bz2.compress(text.encode()),
        lambda text: lzma.compress(text.encode()),
        lambda text: gzip.compress(text.encode("utf-16")),
    ],
    ids=["utf-8", "bom", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "crlf", "gz", "bz2", "xz", "gz of utf-16"],
)
def test_a_line_is_read_in_every_encoding_and_packing(tmp_path: Path, encode: Callable[[str], bytes]) -> None:
    (tmp_path / "app.log").write_bytes(encode(f"started\n\n{MAIL}\nstopped\n"))

    (sample,) = samples(tmp_path / "*.log")

    assert (sample.events, seen(sample), sample.unread) == (3, [("e-mail address", 1)], "")
    assert sample.sightings[0].place == f"{tmp_path}/app.log:3"


def test_the_newest_lines_come_first_and_the_rest_is_said_to_be_cut(tmp_path: Path) -> None:
    (tmp_path / "app.log").write_text(f"{MAIL}\n" + "ok\n" * 50 + "password=hunter2\nlast\n", encoding="utf-8")

    (sample,) = samples(tmp_path / "app.log", max_events=10)

    assert (sample.events, seen(sample), sample.is_cut) == (10, [("password", 1)], True)
    assert sample.sightings[0].place == f"{tmp_path}/app.log, line 2 from the end"


def test_only_the_end_of_a_large_file_is_read_and_its_first_half_line_left_out(tmp_path: Path) -> None:
    (tmp_path / "app.log").write_bytes(b"x" * 5000 + b"\n" + b"ok\n" * 5000 + f"{MAIL}\n".encode())

    (sample,) = samples(tmp_path / "app.log", max_events=10**6, max_bytes=9000)

    assert sample.bytes_read <= 9000
    assert sample.is_cut
    assert seen(sample) == [("e-mail address", 1)]


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gz"])
def test_one_huge_line_is_looked_at_up_to_the_bound(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    (tmp_path / "app.log").write_bytes(pack(b"z " * 3_000_000 + MAIL.encode()))

    (sample,) = samples(tmp_path / "app.log", max_bytes=1 << 19)

    assert (sample.events, seen(sample), sample.is_cut) == (1, [("e-mail address", 1)], True)


def test_a_packed_file_that_is_still_written_counts_up_to_where_it_breaks_off(tmp_path: Path) -> None:
    whole = gzip.compress(os.urandom(200_000).hex().encode() + b"\n", 0)
    (tmp_path / "cut.gz").write_bytes(gzip.compress(f"{MAIL}\n".encode()) + whole[: len(whole) // 2])

    (sample,) = samples(tmp_path / "cut.gz")

    assert (seen(sample), sample.is_cut) == ([("e-mail address", 1)], True)
    assert sample.sightings[0].place == f"{tmp_path}/cut.gz:1"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (bytes(range(256)) * 40, "it is no text; name the logs more narrowly"),
        (b"\x1f\x8b\x08\x00broken packing", "it cannot be read: "),
        (b"\x7fELF\0\0\1" * 500, "it is no text; name the logs more narrowly"),
    ],
)
def test_what_is_no_text_or_cannot_be_unpacked_says_why_and_the_others_are_read(
    tmp_path: Path, content: bytes, why: str
) -> None:
    (tmp_path / "a.log").write_bytes(content)
    (tmp_path / "b.log").write_text(MAIL, encoding="utf-8")

    by_name = {Path(each.source).name: each for each in samples(tmp_path / "*.log")}

    assert by_name["a.log"].unread.startswith(why)
    assert seen(by_name["b.log"]) == [("e-mail address", 1)]


def test_a_link_out_of_the_folders_is_refused_and_one_within_them_is_followed_once(tmp_path: Path) -> None:
    logs, other = tmp_path / "logs", tmp_path / "other"
    logs.mkdir()
    other.mkdir()
    (other / "private.log").write_text(MAIL, encoding="utf-8")
    (logs / "app-1.log").write_text("ok\n", encoding="utf-8")
    (logs / "current.log").symlink_to(logs / "app-1.log")
    (logs / "out.log").symlink_to(other / "private.log")
    (logs / "nowhere.log").symlink_to(other / "missing")

    found = {Path(each.source).name: each for each in samples(logs / "*.log")}

    assert len(found) == 2
    assert found["out.log"].unread == "it is a link that leads out of the folders of `files`; name its target there"
    assert found["out.log"].sightings == ()
    named = {Path(each.source).name: each for each in samples(logs / "*.log", other / "*.log")}
    assert {name: each.unread for name, each in named.items() if each.unread} == {}


def test_pipes_and_folders_are_no_logs_and_a_pipe_does_not_hold_us(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.log")
    (tmp_path / "folder.log").mkdir()

    with pytest.raises(Absent, match=r"matches no file"):
        samples(tmp_path / "*.log")


def test_a_glob_that_is_not_absolute_is_refused_and_one_of_two_that_matches_nothing_is_absent(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("ok", encoding="utf-8")

    with pytest.raises(Malformed, match="is no absolute path"):
        samples("*.log")
    with pytest.raises(Absent, match=r"\*\.txt matches no file"):
        samples(tmp_path / "*.log", tmp_path / "*.txt")


def test_every_file_gets_a_share_the_newest_first(tmp_path: Path) -> None:
    for age in range(4):
        file = tmp_path / f"app.log.{age}"
        file.write_text("ok\n" * 100, encoding="utf-8")
        os.utime(file, (1_760_000_000 - age, 1_760_000_000 - age))

    found = samples(tmp_path / "app.log.*", max_events=42)

    assert [Path(each.source).name for each in found] == ["app.log.0", "app.log.1", "app.log.2", "app.log.3"]
    assert [each.events for each in found] == [11, 11, 10, 10]


def test_a_line_names_its_time_where_it_tells_its_zone(tmp_path: Path) -> None:
    (tmp_path / "app.log").write_text(
        f"2026-11-24T08:00:00,5+02:00 {MAIL}\n2026-99-24T08:00:00Z password=hunter2\n", encoding="utf-8"
    )

    (sample,) = samples(tmp_path / "app.log")

    assert {each.kind: each.first_at for each in sample.sightings} == {
        "e-mail address": datetime(2026, 11, 24, 6, 0, 0, 500_000, UTC),
        "password": None,
    }


def test_a_file_named_after_a_person_is_not_named(tmp_path: Path) -> None:
    (tmp_path / "maija@orders.fi.log").write_text("ok\n", encoding="utf-8")

    (sample,) = samples(tmp_path / "*.log")

    assert sample.source == "a name that holds personal data"
