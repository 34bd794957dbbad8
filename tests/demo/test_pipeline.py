"""What the pipeline of the demo kept, against the sample service that it is about."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from quub_audit.demo import pipeline, repository
from quub_audit.parsers import chaos, coverage, load, mutation, scans, tests
from quub_audit.parsers.source import Source
from tests.parsers.sources import source

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
PINS = tuple(base64.b64encode(hashlib.sha256(name).digest()).decode() for name in (b"live", b"backup"))
READERS = {
    "coverage": coverage.read,
    "mutation": mutation.read,
    "peak-load": load.read,
    "sustained-load": load.read,
    "rate-limits": load.read,
    "chaos": chaos.read,
    "dependency-scan": scans.read,
    "secret-scan": scans.read,
    "code-scan": scans.read,
    "dynamic-scan": scans.read,
}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return repository.build(tmp_path_factory.mktemp("demo") / "quub-app", healthy=True, pins=PINS)


@pytest.fixture(scope="module")
def kept(checkout: Path) -> Mapping[str, pipeline.Report]:
    return {report.name: report for report in pipeline.reports(checkout, AT, healthy=True)}


def _source(report: pipeline.Report) -> Source:
    return source(report.text, report.file)


@pytest.mark.parametrize("healthy", [True, False])
def test_every_report_is_read_and_holds_something(checkout: Path, healthy: bool) -> None:
    for report in pipeline.reports(checkout, AT, healthy=healthy):
        read = READERS.get(report.purpose, tests.read)

        assert read(_source(report)), report.name


def test_tests_that_ran_stand_in_the_service(checkout: Path, kept: Mapping[str, pipeline.Report]) -> None:
    for name in ("unit", "sandbox", "end-to-end"):
        (results,) = tests.read(_source(kept[name]))

        for case in results.cases:
            title = case.name.rpartition(" > ")[2]
            text = (checkout / case.suite).read_text(encoding="utf-8")
            # Titles of tables have their values put in.
            titles = [re.escape(each) for each in re.findall(r'\bit(?:\.each\(.+?\))?\("(.+?)"', text, re.DOTALL)]
            assert any(re.fullmatch(re.sub(r"%[sij]", ".*", each), title) for each in titles), (case.suite, title)


def test_every_test_of_the_service_ran(checkout: Path, kept: Mapping[str, pipeline.Report]) -> None:
    ran = {
        case.suite for name in ("unit", "sandbox", "end-to-end") for case in tests.read(_source(kept[name]))[0].cases
    }

    assert ran == {path.relative_to(checkout).as_posix() for path in checkout.glob("test/**/*.test.ts")}


def test_coverage_and_mutants_are_of_files_and_lines_that_are_there(
    checkout: Path, kept: Mapping[str, pipeline.Report]
) -> None:
    (covered,) = coverage.read(_source(kept["coverage"]))
    (mutants,) = mutation.read(_source(kept["mutation"]))

    paths = {file.path.partition("/quub-app/")[2] for file in covered.files}
    sources = {path.relative_to(checkout).as_posix() for path in checkout.glob("src/**/*.ts")}
    assert paths == sources
    assert {file.path for file in mutants.files} <= sources
    for file in covered.files:
        text = (checkout / file.path.partition("/quub-app/")[2]).read_text(encoding="utf-8")
        last = max((line for _, line in (*file.covered, *file.missed)), default=0)
        assert last <= len(text.splitlines())


def test_the_day_is_a_day_at_the_expected_rate(kept: Mapping[str, pipeline.Report]) -> None:
    (run,) = load.read(_source(kept["day"]))

    assert timedelta(hours=24) < timedelta(seconds=run.duration_s) < timedelta(hours=24, minutes=30)
    assert run.requests / run.duration_s == pytest.approx(pipeline.EXPECTED_AVERAGE_RPS, rel=0.02)


def test_reports_are_kept_with_their_own_times(tmp_path: Path, kept: Mapping[str, pipeline.Report]) -> None:
    pipeline.keep(tmp_path, tuple(kept.values()))

    for report in kept.values():
        modified = (tmp_path / pipeline.FOLDER / report.file).stat().st_mtime
        assert modified == pytest.approx(report.made_at.timestamp())
