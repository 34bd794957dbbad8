"""Every declared flow was tested from one end to the other, and works."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from quub_audit.checks.testing.integration.end_to_end import judge_suite
from quub_audit.model.environment import Environment, Flow, Testing
from quub_audit.sdk import TestCase
from tests.checks.testing.integration.results import artifact, audited, case, environment

ITEM = "testing.integration.end-to-end"


def flows(run: str, *ids: str, **more: Any) -> Environment:
    files = artifact(f"playwright-1.65.1-flows-{run}.json", purpose="end-to-end-tests", **more)
    return environment(files, testing=Testing(flows=tuple(Flow(id=each) for each in ids)))


@pytest.mark.proof("pass")
def test_flows_whose_tests_passed_pass() -> None:
    found = audited(ITEM, flows("passed", "deposit", "order", "withdraw"))

    assert found.status.value == "pass"
    assert [(each.subject, each.observed) for each in found.findings] == [
        (name, "1 test passed") for name in ("deposit", "order", "withdraw")
    ]


@pytest.mark.proof("fail")
def test_a_flow_whose_test_failed_fails_and_is_named() -> None:
    found = audited(ITEM, flows("failed", "deposit", "withdraw"))

    assert found.status.value == "fail"
    failed = {each.subject: each.observed for each in found.findings if each.status.value == "fail"}
    assert failed["withdraw"].startswith("1 of 1 test failed: flows.spec.ts withdraws to a bank account")
    assert failed["end-to-end-tests"].startswith("1 of 4 tests failed")


@pytest.mark.proof("fail")
def test_a_flow_without_a_test_fails() -> None:
    found = audited(ITEM, flows("passed", "deposit", "settle"))

    assert found.status.value == "fail"
    assert (found.findings[0].subject, found.findings[0].observed) == ("settle", "no test")
    assert found.findings[0].expected == "a test tagged @flow:settle passed, and none failed"


@pytest.mark.proof("fail")
def test_too_many_tests_that_need_a_retry_fail() -> None:
    found = audited(ITEM, flows("flaky", "deposit"))

    assert found.status.value == "fail"
    assert found.findings[0].observed.startswith("1 of 4 tests passed only on a retry: flows.spec.ts shows the balance")
    assert audited(ITEM, flows("flaky", "deposit"), parameters={"max_flaky": 0.25}).status.value == "pass"


@pytest.mark.proof("inconclusive")
@pytest.mark.parametrize(
    "target",
    [
        pytest.param(environment(), id="nothing"),
        pytest.param(flows("passed"), id="no-flow"),
        pytest.param(flows("passed", "deposit", commit="d" * 40), id="other-commit"),
        pytest.param(environment(testing=Testing(flows=(Flow(id="deposit"),))), id="no-artifact"),
        pytest.param(
            environment(artifact("pytest-9.2.0-errors.xml"), testing=Testing(flows=(Flow(id="deposit"),))),
            id="no-artifact-of-this-purpose",
        ),
    ],
)
def test_no_flow_and_no_fresh_result_are_inconclusive(target: Environment) -> None:
    assert audited(ITEM, target).status.value == "inconclusive"


def test_results_without_a_test_are_told_once_and_hold_back_the_pass_of_others(tmp_path: Path) -> None:
    empty = tmp_path / "junit.xml"
    empty.write_text('<testsuites><testsuite timestamp="2026-11-25T10:00:00"/></testsuites>')
    nothing = artifact(str(empty), purpose="end-to-end-tests", name="nothing")
    good = flows("passed", "deposit", "order")

    for artifacts, passes in (((nothing,), 0), ((*good.artifacts, nothing), 2)):
        found = audited(ITEM, replace(good, artifacts=artifacts))

        assert (found.status.value, found.reason) == ("inconclusive", "nothing: its results hold no test")
        assert [each.kind for each in found.findings] == ["undecided", *["pass"] * passes]


@pytest.mark.proof("error")
def test_results_that_cannot_be_read_are_an_error(tmp_path: Path) -> None:
    broken = tmp_path / "results.json"
    broken.write_text('{"config": {"rootDir": "/srv/app"}, "suites": [')
    files = artifact(str(broken), purpose="end-to-end-tests")

    found = audited(ITEM, replace(flows("passed", "deposit", "order"), artifacts=(files,)))

    assert found.status.value == "error"
    assert [each.subject for each in found.findings] == ["end-to-end-tests"], "once, however many flows rest on it"


FLAKY = [case(f"f{n}", is_flaky=True) for n in range(1)]


@pytest.mark.parametrize(
    ("cases", "statuses"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([case("a")], [], id="passed"),
        pytest.param([case("a", "skipped")], [], id="skipped"),
        pytest.param([case("a", "error")], ["fail"], id="error"),
        pytest.param([*FLAKY, *(case(f"{n}") for n in range(19))], ["warning"], id="a-twentieth-flaky"),
        pytest.param([*FLAKY, *(case(f"{n}") for n in range(18))], ["fail"], id="more-than-a-twentieth"),
        pytest.param([*FLAKY, case("a", "failed")], ["fail", "fail"], id="both"),
    ],
)
def test_a_suite_says_only_what_is_wrong(cases: list[TestCase], statuses: list[str]) -> None:
    assert [found.status.value for found in judge_suite("e2e", cases, 0.05)] == statuses
