from __future__ import annotations

import bz2
import gzip
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from quub_audit.connectors.artifacts import ArtifactsConnector, Kept, Store, on_this_machine
from quub_audit.connectors.base import Ledger
from quub_audit.connectors.world import World
from quub_audit.errors import Malformed, Stale
from quub_audit.facts.artifacts import Freshness, Origin, TestCase, TestReport
from quub_audit.facts.asking import Artifacts
from quub_audit.facts.seal import Redactor, Sealer
from quub_audit.model.environment import Artifact, Environment, Repository
from quub_audit.parsers.source import Source

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
COMMIT = "a" * 40
OTHER = "b" * 40
FRESH = Freshness(max_age_days=7)


def unit(*files: str, commit: str = COMMIT) -> Artifact:
    return Artifact(name="unit", purpose="unit-tests", files=files, commit=commit)


def read(source: Source) -> tuple[TestReport, ...]:
    """A reader that takes its facts from the words of the file: `commit=... at=...`."""
    words = dict(word.split("=", 1) for word in source.text().split())
    produced = datetime.fromisoformat(words["at"]) if "at" in words else None
    origin = Origin(file=source.name, commit=words.get("commit", ""), produced_at=produced)
    return (TestReport(origin=origin, cases=(TestCase(suite="s", name="n", outcome="passed"),)),)


@pytest.fixture
def ask(tmp_path: Path) -> Callable[..., tuple[TestReport, ...]]:
    """Reads what `files` of the folder hold, by `read`."""

    def asked(
        artifact: Artifact, fresh: Freshness = FRESH, *, wanted: str = COMMIT, store: Store | None = None
    ) -> tuple[TestReport, ...]:
        connector = ArtifactsConnector(
            (artifact,),
            Ledger(),
            Sealer(b"salt", Redactor()),
            at=NOW,
            commit_of=lambda of: wanted,
            store_of=lambda of: store or on_this_machine(lambda path: None),
        )
        return connector._reports(artifact, "test results", read, fresh)

    return asked


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    def written(content: str | bytes, name: str = "junit.xml", *, age: timedelta = timedelta(hours=1)) -> str:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        at = (NOW - age).timestamp()
        os.utime(path, (at, at))
        return str(path)

    return written


def test_a_file_that_says_nothing_is_dated_by_the_file_system_and_bound_by_the_configuration(
    ask: Callable[..., tuple[TestReport, ...]], write: Callable[..., str]
) -> None:
    (report,) = ask(unit(write("")))

    assert report.origin.produced_at == NOW - timedelta(hours=1)
    assert report.origin.dated_by == "file"
    assert report.origin.commit == COMMIT


@pytest.mark.parametrize(
    ("content", "name", "said", "why"),
    [
        pytest.param(f"commit={OTHER}", "a.xml", COMMIT, "of commit bbbbbbbbbbbb, expected aaaaaaaaaaaa", id="other"),
        pytest.param("", f"{OTHER}.xml", COMMIT, "of commit bbbbbbbbbbbb, expected aaaaaaaaaaaa", id="by-name"),
        pytest.param("", "a.xml", "", "does not say of which commit it is", id="none"),
        pytest.param("at=2026-11-10T12:00:00+00:00", "a.xml", COMMIT, "14.0 days old", id="old"),
        pytest.param("at=2026-11-24T13:00:00+00:00", "a.xml", COMMIT, "made in the future", id="future"),
    ],
)
def test_what_does_not_count_is_stale_and_says_why(
    ask: Callable[..., tuple[TestReport, ...]],
    write: Callable[..., str],
    content: str,
    name: str,
    said: str,
    why: str,
) -> None:
    with pytest.raises(Stale, match=why):
        ask(unit(write(content, name), commit=said))


def test_one_stale_file_among_fresh_ones_makes_all_of_the_artifact_stale(
    ask: Callable[..., tuple[TestReport, ...]], write: Callable[..., str]
) -> None:
    files = (write("", "a.xml"), write("", "b.xml", age=timedelta(days=30)))

    with pytest.raises(Stale, match=r"b\.xml is 30\.0 days old"):
        ask(unit(*files))


def test_no_file_and_an_unknown_commit_are_stale(
    ask: Callable[..., tuple[TestReport, ...]], write: Callable[..., str], tmp_path: Path
) -> None:
    with pytest.raises(Stale, match="matches no file"):
        ask(unit(str(tmp_path / "*.xml")))
    with pytest.raises(Stale, match="the audited commit is not known"):
        ask(unit(write("")), wanted="")


def test_evidence_that_need_not_be_of_the_commit_counts_by_its_age_alone(
    ask: Callable[..., tuple[TestReport, ...]], write: Callable[..., str]
) -> None:
    fresh = Freshness(max_age_days=90, is_of_commit=False)

    assert ask(unit(write(f"commit={OTHER}", age=timedelta(days=80))), fresh)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
def test_packed_files_are_unpacked(
    ask: Callable[..., tuple[TestReport, ...]], write: Callable[..., str], pack: Callable[[bytes], bytes]
) -> None:
    (report,) = ask(unit(write(pack(f"commit={COMMIT}".encode()), "junit.xml.gz")))

    assert report.origin.commit == COMMIT


def test_a_packed_file_that_breaks_off_is_malformed(
    ask: Callable[..., tuple[TestReport, ...]], write: Callable[..., str]
) -> None:
    whole = gzip.compress(os.urandom(4000))

    with pytest.raises(Malformed, match=r"junit.xml.gz cannot be read"):
        ask(unit(write(whole[:2000], "junit.xml.gz")))


def test_a_link_that_leads_out_of_the_folder_is_not_followed(
    ask: Callable[..., tuple[TestReport, ...]], tmp_path: Path
) -> None:
    reports = tmp_path / "reports"
    reports.mkdir()
    (tmp_path / "elsewhere.xml").write_text("")
    (reports / "a.xml").symlink_to(tmp_path / "elsewhere.xml")

    with pytest.raises(Malformed, match="it is a link that leads out"):
        ask(unit(str(reports / "*.xml")))


def test_what_the_store_of_a_pipeline_says_counts_before_the_configuration(
    ask: Callable[..., tuple[TestReport, ...]], write: Callable[..., str]
) -> None:
    path = Path(write(""))

    @contextmanager
    def store(artifact: Artifact, commit: str) -> Iterator[tuple[Kept, ...]]:
        made_at = NOW - timedelta(hours=2)
        yield (Kept(name="run 1", open=lambda: path.open("rb"), made_at=made_at, dated_by="pipeline", commit=OTHER),)

    with pytest.raises(Stale, match="run 1 is of commit bbbb"):
        ask(unit("*"), store=store)
    assert ask(unit("*"), wanted=OTHER, store=store)[0].origin.dated_by == "pipeline"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "orders"
    folder.mkdir()

    def git(*arguments: str) -> None:
        day = "2026-01-02T03:04:05+00:00"
        environ = os.environ | {"GIT_AUTHOR_DATE": day, "GIT_COMMITTER_DATE": day}
        subprocess.run(["git", *arguments], cwd=folder, env=environ, check=True, capture_output=True)

    git("init", "--quiet")
    (folder / ".gitignore").write_text("ignored.json\n")
    (folder / "kept [1].json").write_text("{}")
    git("add", ".")
    git("-c", "user.name=A", "-c", "user.email=a@example.com", "commit", "--quiet", "-m", "Keep a report")
    return folder


def test_a_file_that_git_brought_is_as_old_as_its_commit_and_another_as_the_disk_says(checkout: Path) -> None:
    repository = Repository(name="orders", path=str(checkout))
    environment = Environment(service="orders", name="production", stage="production", repositories=(repository,))
    (checkout / "ignored.json").write_text("{}")
    (checkout / "untracked.json").write_text("{}")
    world = World(environment, at=NOW)
    try:
        store = world.connector(Artifacts)._store_of(unit())  # type: ignore[attr-defined]
        with store(unit(str(checkout / "*.json")), COMMIT) as files:
            kept = {Path(each.name).name: each for each in files}
    finally:
        world.close()

    assert kept["kept [1].json"].made_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert {name: each.dated_by for name, each in kept.items()} == {
        "kept [1].json": "history",
        "ignored.json": "file",
        "untracked.json": "file",
    }
