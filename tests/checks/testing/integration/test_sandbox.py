"""Integration tests ran against the sandbox, and passed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quub_audit.checks.testing.integration.sandbox import SandboxParameters, hosts_in, judge
from quub_audit.model.environment import Quub
from quub_audit.model.status import FindingStatus
from quub_audit.sdk import TestCase
from tests.checks.testing.integration.results import artifact, audited, case, environment
from tests.worlds.web import Names, Server, answer, closed_port, saying, serve

ITEM = "testing.integration.sandbox"
SANDBOX = "https://api-sandbox.quub.fi/v1"
PASSED = "pytest-9.2.0-sandbox-passed.xml"


@pytest.mark.proof("pass")
def test_results_that_name_the_sandbox_pass() -> None:
    found = audited(ITEM, environment(artifact(PASSED)))

    assert (found.status.value, found.findings[0].observed) == ("pass", "9 tests passed against api-sandbox.quub.fi")


@pytest.mark.proof("fail")
@pytest.mark.parametrize(
    ("run", "observed"),
    [
        ("failed", "1 of 9 tests failed: test_sandbox test_breaks_on_demand"),
        ("skipped", "all 9 tests were skipped"),
        ("production", "they ran against api.quub.fi, which is production"),
    ],
)
def test_failed_skipped_and_misdirected_runs_fail_and_say_which(run: str, observed: str) -> None:
    target = environment(artifact(f"pytest-9.2.0-sandbox-{run}.xml"))

    found = audited(ITEM, target)

    assert (found.status.value, found.findings[0].subject) == ("fail", "integration-tests")
    assert found.findings[0].observed == observed


@pytest.mark.proof("inconclusive")
@pytest.mark.parametrize(
    "target",
    [
        pytest.param(environment(), id="nothing"),
        pytest.param(environment(quub=Quub(api_url="https://api.quub.fi")), id="no-artifact"),
        pytest.param(environment(artifact(PASSED, commit="d" * 40)), id="other-commit"),
        pytest.param(environment(artifact("no-such-file.xml")), id="missing"),
        pytest.param(environment(artifact("pytest-9.2.0-websocket-passed.xml")), id="host-unknown"),
    ],
)
def test_no_results_and_results_of_elsewhere_are_inconclusive(target: Any) -> None:
    # The kept run of WebSocket tests is quick and short, which is not what is looked at here.
    assert audited(ITEM, target, parameters={"min_mean_ms": 0, "min_tests": 1}).status.value == "inconclusive"


def test_stale_results_are_inconclusive() -> None:
    found = audited(ITEM, environment(artifact(PASSED)), parameters={"max_age_days": 0.5})

    assert found.status.value == "inconclusive"
    assert "days old, expected 0.5 or less" in found.reason


@pytest.mark.proof("error")
def test_results_that_cannot_be_read_are_an_error(tmp_path: Path) -> None:
    broken = tmp_path / "junit.xml"
    broken.write_text("<testsuites><testsuite>")

    assert audited(ITEM, environment(artifact(PASSED, str(broken)))).status.value == "error"


def test_an_artifact_without_a_test_holds_back_the_pass_of_another(tmp_path: Path) -> None:
    empty = tmp_path / "junit.xml"
    empty.write_text(f'<testsuites><testsuite timestamp="{"2026-11-25T10:00:00"}"/></testsuites>')
    nothing = artifact(str(empty), name="nothing")

    for artifacts in ((nothing,), (artifact(PASSED), nothing)):
        found = audited(ITEM, environment(*artifacts))

        assert (found.status.value, found.reason) == ("inconclusive", "nothing: its results hold no test")


@pytest.fixture
def sandbox(names: Names) -> Iterator[Server]:
    with serve(saying(answer(404, "no such route")), tls=names.context("api-sandbox.quub.fi")) as server:
        yield server


def declared(place: str, names: Names) -> Quub:
    return Quub(sandbox_url=SANDBOX, sandbox_connect_to=place, ca_file=names.ca_file)


def test_a_sandbox_that_answers_shows_nothing_by_itself(names: Names, sandbox: Server) -> None:
    quub = declared(sandbox.place, names)

    assert audited(ITEM, environment(quub=quub)).status.value == "inconclusive"
    assert audited(ITEM, environment(artifact(PASSED), quub=quub)).status.value == "pass"
    assert sandbox.heads[0].startswith(b"GET /v1 HTTP/1.1")


@pytest.mark.proof("error")
def test_a_sandbox_that_is_not_there_not_trusted_or_down_is_an_error(names: Names, sandbox: Server) -> None:
    with closed_port() as closed, serve(saying(answer(500, "down")), tls=names.context("api-sandbox.quub.fi")) as down:
        for quub, why in (
            (declared(closed, names), "refuses connections"),
            (Quub(sandbox_url=SANDBOX, sandbox_connect_to=sandbox.place), "is not trusted"),
            (declared(down.place, names), "answers 500"),
        ):
            found = audited(ITEM, environment(artifact(PASSED), quub=quub))
            assert found.status.value == "error"
            assert why in found.reason


WANTED = SandboxParameters()
HERE = {"base_url": SANDBOX}


def run(count: int, outcome: Any = "passed", seconds: float | None = 0.1, **more: Any) -> list[TestCase]:
    return [case(f"t{outcome}{n}", outcome, duration_s=seconds, properties=HERE, **more) for n in range(count)]


@pytest.mark.parametrize(
    ("cases", "status", "observed"),
    [
        pytest.param(run(5), "pass", "5 tests passed against api-sandbox.quub.fi", id="enough"),
        pytest.param(run(4), "fail", "4 tests were run", id="too-few"),
        pytest.param(run(4) * 3, "fail", "4 tests were run", id="the-same-three-times"),
        pytest.param(run(9) + run(1, "skipped"), "pass", "9 tests passed", id="a-tenth-skipped"),
        pytest.param(run(8) + run(1, "skipped"), "fail", "1 of 9 tests were skipped", id="more-than-a-tenth"),
        pytest.param(run(9) + run(1, "error"), "fail", "1 of 10 tests failed", id="error"),
        pytest.param(run(9, seconds=0.0001), "fail", "a test takes 0.1 ms, less than a network does", id="too-fast"),
        pytest.param(run(9, seconds=None), "undecided", "do not say how long they took", id="no-durations"),
        pytest.param(
            [case(f"t{n}", duration_s=1.0) for n in range(9)],
            "undecided",
            "9 tests passed, no property names the sandbox",
            id="no-host",
        ),
        pytest.param(
            [*run(4), *(case(f"t{n}", duration_s=1.0) for n in range(5))],
            "undecided",
            "9 tests passed, 4 of them say so of the sandbox",
            id="too-few-there",
        ),
    ],
)
def test_results_are_judged_by_their_cases(cases: list[TestCase], status: str, observed: str) -> None:
    found = next(judge("unit", cases, {"api-sandbox.quub.fi"}, set(), WANTED))

    assert found.kind == status
    assert observed in found.observed


def test_tests_that_needed_a_retry_are_told() -> None:
    *_, last = judge("unit", [*run(8), *run(1, is_flaky=True)], {"api-sandbox.quub.fi"}, set(), WANTED)

    assert last.status is FindingStatus.WARNING
    assert last.observed.startswith("1 test passed only on a retry")


@given(
    st.lists(st.sampled_from(["failed", "error", "skipped"])), st.integers(min_value=1, max_value=3), st.integers(0, 3)
)
def test_what_did_not_pass_never_turns_results_to_a_pass(others: list[str], failed: int, skipped: int) -> None:
    cases = [*run(9), *run(failed, "failed"), *run(skipped, "skipped"), *(case("x", each) for each in others)]

    assert next(judge("unit", cases, {"api-sandbox.quub.fi"}, set(), WANTED)).status is FindingStatus.FAIL


@pytest.mark.parametrize(
    ("value", "host"),
    [
        ("https://API-Sandbox.quub.fi/v1?x=1", {"api-sandbox.quub.fi"}),
        ("wss://ws-sandbox.quub.fi:443", {"ws-sandbox.quub.fi"}),
        ("https://user@api.quub.fi#x", {"api.quub.fi"}),
        ("api-sandbox.quub.fi", {"api-sandbox.quub.fi"}),
        ("https://evil.test/api-sandbox.quub.fi", {"evil.test"}),
        ("https://api-sandbox.quub.fi.evil.test", {"api-sandbox.quub.fi.evil.test"}),
        ("tests of api-sandbox.quub.fi", set()),
        ("localhost", set()),
        ("", set()),
    ],
)
def test_hosts_are_read_from_addresses_and_bare_names(value: str, host: set[str]) -> None:
    assert hosts_in([case("t", properties={"base_url": value})]) == host
