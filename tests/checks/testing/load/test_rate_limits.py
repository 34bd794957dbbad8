"""Who sends too much is told so: 429 with Retry-After, from the declared rate on, and no error instead."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from quub_audit.checks.testing.load.rate_limits import LimitParameters, judge
from quub_audit.model.environment import Environment, Traffic
from quub_audit.sdk import LoadRun, Origin
from tests.checks.testing.integration.results import audited, environment
from tests.checks.testing.load.runs import artifact
from tests.parsers.sources import DATA

ITEM = "testing.load.rate-limits"
LIMITS = artifact("rate-limits")


def target(*files: str, limit: float | None = 20) -> Environment:
    return environment(artifact("rate-limits", *(DATA / file for file in files)), traffic=Traffic(rate_limit_rps=limit))


@pytest.mark.proof("pass")
@pytest.mark.parametrize("file", ["vegeta-12.13.0-limited.json", "k6-1.8.1-summary-export.json"])
def test_too_many_requests_that_got_429_pass(file: str) -> None:
    assert audited(ITEM, target(file)).status.value == "pass"


@pytest.mark.proof("fail")
def test_nothing_refused_above_the_limit_fails() -> None:
    found = audited(ITEM, target("vegeta-12.13.0-report.json"))

    assert found.status.value == "fail"
    assert found.findings[0].observed == "30.18 requests a second, and none got 429, 1 requests got 500"


@pytest.mark.proof("inconclusive")
@pytest.mark.parametrize(
    ("file", "limit"),
    [
        ("vegeta-12.13.0-report.json", 40),
        ("vegeta-12.13.0-report.json", None),
        ("locust-2.47.0_stats.csv", 20),
        ("none.json", 20),
    ],
)
def test_a_run_that_never_went_over_or_counts_no_statuses_is_inconclusive(file: str, limit: float | None) -> None:
    assert audited(ITEM, target(file, limit=limit)).status.value == "inconclusive"


@pytest.mark.proof("error")
def test_a_report_that_is_cut_off_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "cut.json").write_bytes((DATA / "vegeta-12.13.0-limited.json").read_bytes()[:-9])

    assert audited(ITEM, environment(artifact("rate-limits", tmp_path / "cut.json"))).status.value == "error"


def sent(statuses: Mapping[str, int], *, seconds: float = 10, retry_after: int | None = 1) -> LoadRun:
    requests = sum(statuses.values())
    return LoadRun(
        origin=Origin(file="run.json"),
        requests=requests,
        errors=requests - statuses.get("200", 0),
        duration_s=seconds,
        statuses=statuses,
        statuses_with_retry_after=retry_after,
    )


@pytest.mark.parametrize(
    ("run", "limit", "found"),
    [
        (sent({"200": 200, "429": 100}), 20, ["pass"]),
        (sent({"200": 239, "429": 100}), 20, ["pass"]),
        (sent({"200": 241, "429": 100}), 20, ["fail"]),
        (sent({"200": 100, "429": 300}), 20, ["fail"]),
        (sent({"200": 100, "429": 10}), 20, ["pass"]),
        (sent({"200": 200, "429": 99, "503": 1}), 20, ["fail"]),
        (sent({"200": 500}), 20, ["fail"]),
        (sent({"200": 500}), None, ["warning"]),
        (sent({"200": 500, "429": 1}), None, ["pass"]),
        (sent({"200": 200, "429": 100}, retry_after=None), 20, ["pass", "warning"]),
        (sent({"200": 200, "429": 100}, retry_after=0), 20, ["fail"]),
        (sent({"429": 40}), 1, ["warning"]),
        (sent({"200": 200, "429": 100}, seconds=0), 20, ["warning"]),
    ],
)
def test_answers_are_judged_by_what_the_limit_allows(run: LoadRun, limit: float | None, found: list[str]) -> None:
    known: Any = environment(LIMITS, traffic=Traffic(rate_limit_rps=limit))

    assert [each.status.value for each in judge(LIMITS, run, known, LimitParameters())] == found
