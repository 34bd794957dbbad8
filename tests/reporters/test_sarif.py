"""The schema in tests/data is the OASIS one, as `@microsoft/jest-sarif` 1.0.0-beta.0 carries it (MIT)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator

from quub_audit.model.finding import Finding, Location
from quub_audit.model.result import Result
from quub_audit.model.status import Severity, Status, Verdict
from quub_audit.reporters import sarif
from quub_audit.reporters.sarif import render_sarif
from tests.reporters.results import CASES, DDOS, KEYS, found, item, large, not_ready, result_of

EVERY: dict[str, Callable[[], Result]] = {**CASES, "large": lambda: large(findings=500)}


@cache
def validator() -> Draft4Validator:
    schema = Path(__file__).parents[1] / "data" / "sarif-2.1.0-rtm.5.json"
    return Draft4Validator(json.loads(schema.read_text(encoding="utf-8")))


def run_of(result: Result) -> dict[str, Any]:
    (run,) = json.loads(render_sarif(result))["runs"]
    assert isinstance(run, dict)
    return run


@pytest.mark.parametrize("case", sorted(EVERY))
def test_the_file_is_valid_by_the_official_schema(case: str) -> None:
    assert list(validator().iter_errors(json.loads(render_sarif(EVERY[case]())))) == []


def test_the_schema_refuses_what_is_no_sarif() -> None:
    assert list(validator().iter_errors({"version": "2.1.0", "runs": [{}]}))


def test_every_item_is_a_rule_and_every_result_points_at_its_own() -> None:
    run = run_of(not_ready())
    rules = run["tool"]["driver"]["rules"]

    assert [rule["id"] for rule in rules] == [entry.id for entry in not_ready().items]
    assert run["results"]
    assert all(rules[entry["ruleIndex"]]["id"] == entry["ruleId"] for entry in run["results"])


def test_only_failed_and_warning_findings_with_a_place_are_results() -> None:
    shown = [(entry["ruleId"], entry["level"], place(entry)) for entry in run_of(not_ready())["results"]]

    assert shown == [
        (KEYS.id, "error", ("src/config/secrets.ts", 14, 9)),
        (KEYS.id, "error", ("deploy/old%20notes.md", 3, None)),
        (KEYS.id, "note", ("src/http.ts", 30, None)),
        (DDOS.id, "error", ("terraform/waf.tf", 1, None)),
    ]


def place(entry: dict[str, Any]) -> tuple[str, int | None, int | None]:
    physical = entry["locations"][0]["physicalLocation"]
    region = physical.get("region", {})
    return physical["artifactLocation"]["uri"], region.get("startLine"), region.get("startColumn")


@pytest.mark.parametrize(
    ("severity", "level", "number"),
    [
        (Severity.CRITICAL, "error", "9.5"),
        (Severity.HIGH, "error", "8.0"),
        (Severity.MEDIUM, "warning", "5.5"),
        (Severity.LOW, "warning", "2.5"),
    ],
)
def test_the_level_follows_the_severity(severity: Severity, level: str, number: str) -> None:
    run = run_of(result_of([replace(KEYS, severity=severity)], Verdict.NOT_READY, "x"))

    assert [entry["level"] for entry in run["results"]] == [level, level, "note"]
    assert run["tool"]["driver"]["rules"][0]["properties"]["security-severity"] == number


def test_what_is_waived_is_suppressed_with_the_words_of_its_waiver_and_nothing_else_is() -> None:
    suppressed = {entry["ruleId"]: entry["suppressions"] for entry in run_of(not_ready())["results"]}

    assert suppressed[KEYS.id] == []
    (suppression,) = suppressed[DDOS.id]
    assert (suppression["kind"], suppression["status"]) == ("external", "accepted")
    assert (
        "RISK-311, until 2026-03-12, requested by maria.lopez, approved by chief.security"
        in suppression["justification"]
    )


def fingerprints(*findings: Finding) -> list[str]:
    result = result_of([item("a.b.c", "Title", Status.FAIL, findings)], Verdict.NOT_READY, "x")
    return [entry["partialFingerprints"]["quubAuditFinding/v1"] for entry in run_of(result)["results"]]


def at(line: int, subject: str = "key", file: str = "src/a.ts", observed: str = "literal") -> Finding:
    return found("fail", subject, observed, "none", location=Location(file=file, line=line))


def test_a_fingerprint_stays_when_the_finding_moves_or_is_worded_otherwise() -> None:
    assert fingerprints(at(3)) == fingerprints(at(99)) == fingerprints(at(3, observed="a literal of 41 characters"))
    assert fingerprints(at(3, subject="src/a.ts:3")) == fingerprints(at(4, subject="src/a.ts:4"))


def test_a_fingerprint_tells_files_subjects_and_repetitions_apart() -> None:
    prints = fingerprints(at(3), at(3, file="src/b.ts"), at(3, subject="token"), at(50))

    assert len(set(prints)) == 4


def test_what_could_not_be_judged_is_a_notification_so_that_no_result_never_looks_clean() -> None:
    (invocation,) = run_of(CASES["inconclusive"]())["invocations"]

    said = [(entry["level"], entry["associatedRule"]["id"]) for entry in invocation["toolExecutionNotifications"]]
    assert said == [
        ("error", "security.authentication.admin-mfa"),
        ("error", "performance.monitoring.centralized-logging"),
    ]


@pytest.mark.parametrize(("case", "is_successful"), [("not-ready", True), ("refused", False), ("interrupted", False)])
def test_the_invocation_says_whether_the_audit_was_carried_out(case: str, is_successful: bool) -> None:
    (invocation,) = run_of(CASES[case]())["invocations"]

    assert invocation["executionSuccessful"] is is_successful
    assert invocation["exitCode"] == CASES[case]().exit_code.value
    assert (invocation["startTimeUtc"], invocation["endTimeUtc"][:10]) == ("2026-03-02T09:30:00.000000Z", "2026-03-02")


def test_paths_are_relative_and_lines_are_counted_from_1() -> None:
    odd = [
        found("fail", "a", "x", location=Location(file="/src/a b.ts", line=0)),
        found("fail", "b", "x", location=Location(file="src\\ü.ts", line=5, column=0)),
        found("fail", "c", "x", location=Location(file="src/c.ts")),
    ]
    run = run_of(result_of([item("a.b.c", "T", Status.FAIL, odd)], Verdict.NOT_READY, "x"))

    assert [place(entry) for entry in run["results"]] == [
        ("src/a%20b.ts", None, None),
        ("src/%C3%BC.ts", 5, None),
        ("src/c.ts", None, None),
    ]


def test_a_text_of_a_megabyte_is_cut() -> None:
    endless = replace(at(1, observed="A" * 1_000_000), message="B" * 1_000_000)
    result = result_of([item("a.b.c", "Keys", Status.FAIL, [endless])], Verdict.NOT_READY, "x")

    assert len(render_sarif(result)) < 20_000


def test_more_results_than_code_scanning_takes_are_cut_and_counted() -> None:
    many = [at(number + 1, subject=f"s{number}") for number in range(sarif.RESULTS_SHOWN + 7)]
    run = run_of(result_of([item("a.b.c", "T", Status.FAIL, many)], Verdict.NOT_READY, "x"))

    assert len(run["results"]) == sarif.RESULTS_SHOWN
    notifications = run["invocations"][0]["toolExecutionNotifications"]
    assert [entry["message"]["text"] for entry in notifications] == ["7 more results in result.json"]
