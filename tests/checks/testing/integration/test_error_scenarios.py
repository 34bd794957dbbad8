"""What goes wrong at the other end is tested, and no error is swallowed."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quub_audit.checks.testing.integration._results import by_scenario, judge_cases
from quub_audit.checks.testing.integration.error_scenarios import SCENARIOS
from quub_audit.model.environment import CriticalPath, Environment, Testing
from quub_audit.model.status import FindingStatus, Grade
from tests.checks.testing.integration.results import AT, artifact, audited, case, environment
from tests.parsers.sources import DATA
from tests.worlds.checkout import Checkout

ITEM = "testing.integration.error-scenarios"
ERRORS = "pytest-9.2.0-errors.xml"


@pytest.mark.proof("pass")
def test_every_scenario_that_a_real_run_shows_passes() -> None:
    found = audited(ITEM, environment(artifact(ERRORS)))

    assert found.status.value == "pass"
    assert {each.subject for each in found.findings} == set(SCENARIOS)
    assert {each.grade for each in found.findings} == {Grade.ARTIFACT}


@pytest.mark.proof("fail")
def test_scenarios_without_a_test_fail_and_are_named() -> None:
    found = audited(ITEM, environment(artifact("pytest-9.2.0-websocket-passed.xml")))

    assert found.status.value == "fail"
    assert {each.subject: each.observed for each in found.findings}["429"] == "no test"


@pytest.mark.proof("inconclusive")
@pytest.mark.parametrize(
    "target",
    [
        pytest.param(environment(), id="nothing"),
        pytest.param(environment(artifact(ERRORS, purpose="coverage")), id="no-artifact-of-this-purpose"),
        pytest.param(environment(artifact(ERRORS, commit="d" * 40)), id="other-commit"),
    ],
)
def test_no_fresh_result_is_inconclusive(target: Environment) -> None:
    assert audited(ITEM, target).status.value == "inconclusive"


@pytest.mark.proof("error")
def test_results_that_cannot_be_read_are_an_error(tmp_path: Path) -> None:
    broken = tmp_path / "junit.xml"
    broken.write_text("no results")

    assert audited(ITEM, environment(artifact(ERRORS, str(broken)))).status.value == "error"


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    made = Checkout(tmp_path / "app").init()
    made.write(
        {
            "src/orders/place.ts": "export async function place(o) {\n  try { await send(o); } catch (e) {}\n}\n",
            "src/ui/theme.js": "try { save(); } catch { /* never mind */ }\nload().catch(() => {});\n",
            "src/jobs.py": "try:\n    run()\nexcept Exception:\n    pass\n",
            "src/Job.java": "class Job { void run() { try { go(); } catch (Exception e) { // no\n } } }\n",
            "src/sound.ts": "try { a(); } catch (e) { log(e); }\nb().catch((e) => report(e));\n",
            "src/sound.py": "try:\n    a()\nexcept FileNotFoundError:\n    pass\nexcept Exception:\n    raise\n",
            "src/Sound.java": "class Sound { void f() { try { a(); } catch (InterruptedException e) { } } }\n",
        }
    )
    made.git("add", ".")
    made.git("commit", "--quiet", "-m", "All")
    return made


def with_code(checkout: Checkout, *globs: str) -> Environment:
    paths = (CriticalPath(id="order", files=globs),) if globs else ()
    return environment(artifact(ERRORS), repositories=(checkout.target,), testing=Testing(critical_paths=paths))


@pytest.mark.proof("fail")
def test_an_error_that_a_critical_path_swallows_fails_with_its_place(checkout: Checkout) -> None:
    found = audited(ITEM, with_code(checkout, "src/orders/**"))

    assert found.status.value == "fail"
    assert found.findings[0].subject == "app:src/orders/place.ts:2:26"


def test_handlers_that_swallow_elsewhere_are_warned_of_and_sound_ones_are_not(checkout: Checkout) -> None:
    found = audited(ITEM, with_code(checkout))

    (warning,) = [each for each in found.findings if each.status.value == "warning"]
    places = warning.observed.partition(": ")[2].split(", ")
    assert [place.rpartition(":")[0].rpartition(":")[0] for place in places] == [
        "src/Job.java",
        "src/jobs.py",
        "src/orders/place.ts",
        "src/ui/theme.js",
        "src/ui/theme.js",
    ]
    assert found.status.value == "pass"


HANDLERS = """async function place(send, order) {
  try {
    return await send(order);
  } catch (error) {
    if (error.status === 409) {
      return order.id;
    }
    throw error;
  }
}

function parse(text) {
  try { return JSON.parse(text); } catch { return undefined; }
}

function cancel(send) {
  try {
    return send();
  } catch { return false; }
}

function follow(stream) {
  return stream.next().catch((error) => {
    stream.close();
    return error.code;
  });
}

module.exports = { place, parse, cancel, follow };
"""


def measured(folder: Path, run: str, *others: Any, **sources: str) -> Environment:
    """The service whose handlers nyc measured, beside results of tests about every scenario."""
    made = Checkout(folder / "app").init()
    made.write({"src/place.js": HANDLERS} | sources)
    coverage = artifact(
        dated(folder / f"{run}.json", (DATA / f"nyc-17.1.0-handlers-{run}.json").read_text()), purpose="coverage"
    )
    return environment(artifact(ERRORS), coverage, *others, repositories=(made.target,))


def dated(file: Path, text: str) -> str:
    """Write what does not say itself when it was made."""
    file.write_text(text)
    os.utime(file, (AT.timestamp(), AT.timestamp()))
    return str(file)


@pytest.mark.proof("pass")
def test_handlers_that_tests_run_pass_and_what_lines_cannot_tell_apart_is_left_out(tmp_path: Path) -> None:
    found = audited(ITEM, measured(tmp_path, "all"))

    assert found.status.value == "pass"
    told = {each.subject: each.observed for each in found.findings}
    assert told["app: handlers"] == "100.0% (6 of 6) of their lines ran"


@pytest.mark.proof("fail")
def test_handlers_that_no_test_runs_fail_and_are_named(tmp_path: Path) -> None:
    target = measured(tmp_path, "part")
    found = audited(ITEM, target)

    assert found.status.value == "fail"
    assert found.findings[0].observed == (
        "33.3% (2 of 6) of their lines ran; never src/place.js:19:5, src/place.js:23:30"
    )

    assert audited(ITEM, target, parameters={"min_handlers_percent": 33}).status.value == "pass"


def test_of_declared_critical_paths_the_handlers_count_alone(tmp_path: Path) -> None:
    python = "def a():\n    try:\n        b()\n    except OSError:\n        c()\n"
    paths = Testing(critical_paths=(CriticalPath(id="order", files=("src/place.js",)),))
    target = replace(measured(tmp_path, "all", **{"jobs/a.py": python}), testing=paths)

    found = audited(ITEM, target)

    assert found.status.value == "pass"
    told = {each.subject: each.observed for each in found.findings}
    assert told["app: handlers of critical paths"] == "100.0% (6 of 6) of their lines ran"


def test_handlers_in_no_report_did_not_run_and_those_of_tests_do_not_count(tmp_path: Path) -> None:
    python = "def a():\n    try:\n        b()\n    except (\n        OSError,\n    ):\n        c()\n        raise\n"
    java = "class A { void a() {\n try { b(); }\n catch (Exception e) {\n  c(e);\n }\n} }\n"
    more = {"jobs/a.py": python, "src/A.java": java, "test/a.py": python, "scripts/a.py": python}
    found = audited(ITEM, measured(tmp_path, "all", **more))

    told = {each.subject: each.observed for each in found.findings}
    assert told["app: handlers"] == ("60.0% (6 of 10) of their lines ran; never jobs/a.py:4:5, src/A.java:3:2")


def test_coverage_that_names_no_lines_leaves_handlers_undecided(tmp_path: Path) -> None:
    counts = '{"total":9,"covered":9,"skipped":0,"pct":100}'
    parts = f'{{"lines":{counts},"statements":{counts},"functions":{counts},"branches":{counts}}}'
    summary = dated(tmp_path / "summary.json", f'{{"total":{parts},"/srv/app/src/place.js":{parts}}}')
    made = Checkout(tmp_path / "app").init()
    made.write({"src/place.js": HANDLERS})
    target = environment(artifact(ERRORS), artifact(summary, purpose="coverage"), repositories=(made.target,))

    found = audited(ITEM, target)

    assert (found.status.value, found.reason) == (
        "inconclusive",
        "app: handlers: coverage names no lines of src/place.js, which handle errors",
    )


def test_a_broken_report_is_told_once_and_by_its_own_name(tmp_path: Path) -> None:
    broken = tmp_path / "coverage.json"
    broken.write_text("{")
    found = audited(ITEM, measured(tmp_path, "all", artifact(str(broken), purpose="coverage", name="broken")))

    assert [(each.subject, each.check) for each in found.findings if each.kind == "error"] == [
        ("broken", f"{ITEM}/coverage")
    ]


def test_results_without_a_test_hold_back_the_pass_of_others(tmp_path: Path) -> None:
    empty = tmp_path / "junit.xml"
    empty.write_text('<testsuites><testsuite timestamp="2026-11-25T10:00:00"/></testsuites>')

    found = audited(ITEM, environment(artifact(ERRORS), artifact(str(empty), name="nothing")))

    assert (found.status.value, found.reason) == ("inconclusive", "nothing: its results hold no test")


@pytest.mark.parametrize(
    ("name", "scenario"),
    [
        ("answers 400 to a bad order", "400"),
        ("retries 503 requests", "5xx"),
        ("returns 409: order is kept", "409"),
        ("BadRequest is told to the caller", "400"),
        ("test_401_is_refreshed", "401"),
        ("unauthorised callers", "401"),
        ("test_forbidden", "403"),
        ("order not found", "404"),
        ("conflict on the same key", "409"),
        ("Unprocessable Content", "422"),
        ("backs off on 429", "429"),
        ("is rate limited", "429"),
        ("test_rate_limit_header", "429"),
        ("retries on 503", "5xx"),
        ("handles 5xx", "5xx"),
        ("service unavailable", "5xx"),
        ("times out after 2 s", "timeout"),
        ("request_timed_out", "timeout"),
        ("handles malformed JSON", "malformed"),
        ("survives ECONNRESET", "reset"),
        ("connection is refused", "reset"),
        ("duplicate webhook is booked once", "duplicate-webhook"),
        ("webhook delivered twice", "duplicate-webhook"),
        ("falls back to the cache: fallback", "partial-outage"),
    ],
)
def test_scenarios_are_known_by_names(name: str, scenario: str) -> None:
    assert by_scenario([case(name)], [scenario], SCENARIOS)[scenario]


@pytest.mark.parametrize(
    "name",
    [
        "order 4040",
        "1400 orders",
        "sometimes works",
        "restful",
        "the 15036th",
        "places 400 orders",
        "waits 500 ms",
        "waits_500ms",
        "charges 1.400 EUR",
        "a share of 50.404",
        "fills 500%",
    ],
)
def test_other_words_are_no_scenario(name: str) -> None:
    assert not any(by_scenario([case(name)], list(SCENARIOS), SCENARIOS).values())


def test_a_tag_says_it_whatever_the_name_and_an_unknown_scenario_is_known_by_it_alone() -> None:
    tagged = case("works", "passed", "scenario:dns")

    assert by_scenario([tagged, case("dns")], ["dns"], SCENARIOS) == {"dns": [tagged]}


@pytest.mark.parametrize(
    ("outcomes", "status", "observed"),
    [
        (["passed", "passed"], "pass", "2 tests passed"),
        (["passed", "skipped"], "pass", "1 test passed, 1 not run"),
        (["passed", "failed"], "fail", "1 of 2 tests failed: orders t1"),
        (["error"], "fail", "1 of 1 test failed: orders t0"),
        (["skipped"], "fail", "1 test, and none was run"),
        ([], "fail", "no test"),
    ],
)
def test_cases_about_a_thing_come_to_one_judgement(outcomes: list[Any], status: str, observed: str) -> None:
    cases = [case(f"t{n}", outcome) for n, outcome in enumerate(outcomes)]

    found = judge_cases("429", cases, expected="x")

    assert (found.status.value, found.observed) == (status, observed)


@given(st.lists(st.sampled_from(["passed", "failed", "error", "skipped"])))
def test_only_a_passed_case_and_no_failed_one_ever_pass(outcomes: list[str]) -> None:
    found = judge_cases("x", [case("t", outcome) for outcome in outcomes], expected="x")

    is_good = "passed" in outcomes and not {"failed", "error"} & set(outcomes)
    assert (found.status is FindingStatus.PASS) == is_good
