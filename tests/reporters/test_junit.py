from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from quub_audit.model.result import Result
from quub_audit.model.status import FindingStatus, Status, Verdict
from quub_audit.reporters import junit, write
from quub_audit.reporters.junit import classname, render_junit
from tests.reporters.consumers import CONSUMERS
from tests.reporters.results import (
    CASES,
    HTTPS,
    KEYS,
    MFA,
    NASTY,
    TLS,
    found,
    item,
    large,
    not_ready,
    ready,
    result_of,
)

EVERY = {**CASES, "large": large}
every_case = pytest.mark.parametrize("case", sorted(EVERY))


def tree(result: Result) -> ET.Element:
    return ET.fromstring(render_junit(result))


def the_case(result: Result, item_id: str) -> ET.Element:
    (found,) = (case for case in tree(result).iter("testcase") if case.get("name", "").startswith(f"{item_id} "))
    return found


def verdicts(case: ET.Element) -> Iterator[ET.Element]:
    return (child for child in case if child.tag in ("failure", "error", "skipped"))


@every_case
def test_rule_1_one_level_of_suites_and_none_without_cases(case: str) -> None:
    root = tree(EVERY[case]())

    assert root.tag == "testsuites"
    assert {"name", "tests", "failures", "errors", "skipped", "time"} <= set(root.keys())
    assert {child.tag for child in root} == {"testsuite"}
    assert all(suite.find("testsuite") is None and suite.findall("testcase") for suite in root)


@every_case
def test_rule_2_every_attribute_is_there_and_the_counters_equal_the_children(case: str) -> None:
    root = tree(EVERY[case]())

    for suite in root:
        assert {"name", "tests", "failures", "errors", "skipped", "time", "timestamp", "hostname", "id"} <= set(
            suite.keys()
        )
        cases = suite.findall("testcase")
        assert all(case.get("name") and case.get("classname") and case.get("time") for case in cases)
        assert suite.get("tests") == str(len(cases))
        for counter, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert suite.get(counter) == str(sum(case.find(tag) is not None for case in cases))
    for counter in ("tests", "failures", "errors", "skipped"):
        assert root.get(counter) == str(sum(int(suite.get(counter, "")) for suite in root))
    ids = [suite.get("id") for suite in root]
    assert len(set(ids)) == len(ids)


def test_rule_2_a_suite_keeps_its_id_when_other_suites_come_and_go() -> None:
    alone = tree(result_of([MFA], Verdict.INCONCLUSIVE, "x"))
    among = tree(not_ready())

    assert alone[0].get("id") in [suite.get("id") for suite in among]


def test_rule_3_identity_is_the_item_and_nothing_that_varies() -> None:
    case = the_case(not_ready(), "security.network.tls-minimum-version")

    assert case.get("classname") == "quub_audit.security.network"
    assert case.get("name") == "security.network.tls-minimum-version TLS 1.2 or newer"
    elsewhere = tree(replace(not_ready(), environment="staging", commit="b" * 40))
    assert [entry.get("name") for entry in elsewhere.iter("testcase")] == [
        entry.get("name") for entry in tree(not_ready()).iter("testcase")
    ]


@pytest.mark.parametrize(
    ("item_id", "expected"),
    [
        ("security.network.https-enforced", "quub_audit.security.network"),
        ("team.own", "quub_audit.team"),
        ("one.two.three.four", "quub_audit.one.two"),
        ("alone", "quub_audit"),
    ],
)
def test_rule_3_no_segment_of_a_classname_has_a_dot_inside(item_id: str, expected: str) -> None:
    assert classname(item_id) == expected


def test_rule_3_suites_of_two_environments_never_merge() -> None:
    production, staging = tree(not_ready()), tree(replace(not_ready(), environment="staging"))

    for one, other in zip(production, staging, strict=True):
        assert one.get("name", "").startswith("production: ")
        assert other.get("name", "").startswith("staging: ")
        assert one.get("id") != other.get("id")


@pytest.mark.parametrize(
    ("item_id", "tag", "kind"),
    [
        ("security.network.tls-minimum-version", "failure", "quub.fail"),
        ("security.api-keys.rotation-schedule", "failure", "quub.waiver_expired"),
        ("security.authentication.admin-mfa", "error", "quub.not_evaluated"),
        ("performance.monitoring.centralized-logging", "error", "quub.not_evaluated"),
        ("security.network.ddos-protection", "skipped", "quub.waived"),
        ("environment.config.read-replicas", "skipped", "quub.not_applicable"),
    ],
)
def test_rule_4_each_status_has_its_one_child(item_id: str, tag: str, kind: str) -> None:
    (child,) = the_case(not_ready(), item_id)

    assert (child.tag, child.get("type")) == (tag, kind)


def test_rule_4_a_pass_has_no_child_and_its_warning_stands_in_the_log_of_its_suite() -> None:
    result = ready()

    assert list(the_case(result, "security.data-protection.retention-policy")) == []
    logs = "\n".join(log.text or "" for log in tree(result).iter("system-out"))
    assert "security.data-protection.retention-policy warning /ecs/orders-debug: observed retention is never" in logs


@every_case
def test_rule_4_no_case_has_two_verdicts(case: str) -> None:
    assert all(len(list(verdicts(entry))) <= 1 for entry in tree(EVERY[case]()).iter("testcase"))


@every_case
def test_rule_5_the_reason_stands_in_the_attribute_and_again_as_first_line_of_the_body(case: str) -> None:
    for entry in tree(EVERY[case]()).iter("testcase"):
        for child in verdicts(entry):
            message = child.get("message", "")
            assert 0 < len(message) <= 250
            assert "\n" not in message
            assert (child.text or "").split("\n")[0] == message


def test_rule_6_the_body_is_in_order() -> None:
    (child,) = the_case(not_ready(), "security.network.tls-minimum-version")
    lines = (child.text or "").split("\n")

    assert [line.split(":")[0].split(" ")[0] for line in lines[1:]] == [
        *("Status", "Findings", "-", "-", "-", "-", "Next", "Remediation", "Owner", "Evidence", "Report"),
    ]
    assert lines[1] == "Status: fail, severity critical, blocks the release"
    assert lines[2] == "Findings: 2 fail, 1 warning, 1 pass"
    assert "observed accepts TLSv1.1; expected TLSv1.2 or newer; evidence live; attempt 2" in lines[3]
    assert lines[-1] == "Report: report.html#security.network.tls-minimum-version"


def test_rule_6_findings_are_cut_with_an_exact_count() -> None:
    many = [found("fail", f"bucket-{number:05}", "public", "private") for number in range(10_000)]
    result = result_of([item("a.b.c", "Buckets", Status.FAIL, many)], Verdict.NOT_READY, "x")

    (child,) = the_case(result, "a.b.c")

    assert "Findings: 10,000 fail" in (child.text or "")
    assert "and 9,980 more findings in result.json" in (child.text or "")
    assert (child.text or "").count("bucket-0") == junit.FINDINGS_SHOWN + 1


@pytest.mark.parametrize("filling", ["x", "<", "&", "\u20ac"])
def test_rule_6_a_body_is_at_most_10_kb_and_keeps_the_way_to_the_report(filling: str) -> None:
    long = [found("fail", f"subject {number}", filling * 5000, filling * 5000) for number in range(30)]
    result = result_of([item("a.b.c", "Long", Status.FAIL, long)], Verdict.NOT_READY, "x")

    data = render_junit(result)

    body = re.search(rb"<failure[^>]*>(.*?)</failure>", data, re.DOTALL)
    assert body
    assert len(body[1]) <= junit.BODY_BYTES
    assert body[1].endswith(b"report.html#a.b.c")
    assert b"more lines in result.json)" in body[1]


def test_rule_6_a_file_of_500_failing_items_stays_near_1_mb() -> None:
    long = [found("fail", f"subject {number}", "y" * 500, "z" * 500) for number in range(20)]
    items = [item(f"a.b.c-{number}", "Long", Status.FAIL, long) for number in range(500)]

    assert len(render_junit(result_of(items, Verdict.NOT_READY, "x"))) < 1_200_000


@every_case
def test_rule_7_numbers_are_plain_decimals_and_times_have_no_zone(case: str) -> None:
    for element in tree(EVERY[case]()).iter():
        if element.get("time"):
            assert re.fullmatch(r"\d+\.\d{3}", element.get("time", ""))
        if element.get("timestamp"):
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", element.get("timestamp", ""))


def test_rule_7_tiny_and_huge_times_have_no_exponent() -> None:
    items = [replace(HTTPS, duration_s=1e-9), replace(MFA, duration_s=1e9)]
    times = [case.get("time") for case in tree(result_of(items, Verdict.INCONCLUSIVE, "x")).iter("testcase")]

    assert times == ["0.000", "1000000000.000"]


def test_rule_8_hostile_text_is_escaped_and_the_file_parses() -> None:
    data = render_junit(CASES["hostile"]())

    assert data.startswith(b"<?xml version='1.0' encoding='utf-8'?>")
    for forbidden in (b"<script", b"<!DOCTYPE", b"<![CDATA[", b"\x1b", b"\x00", b"\xed\xa0\x80"):
        assert forbidden not in data
    texts = "".join(ET.fromstring(data).itertext())
    assert "<script>alert(1)</script>" in texts
    assert "שלום" in texts


def test_rule_9_files_are_named_only_where_they_are_below_the_working_directory() -> None:
    places = {
        "checklist.yaml": "checklist.yaml",
        "policy/own.yaml": "policy/own.yaml",
        "/usr/lib/checklist.yaml": None,
        "C:\\policy\\own.yaml": None,
        "../other/own.yaml": None,
        "https://policy.example/own.yaml": None,
        "": None,
    }
    for file, expected in places.items():
        entry = the_case(result_of([replace(TLS, file=file, line=7)], Verdict.NOT_READY, "x"), TLS.id)
        assert (entry.get("file"), entry.get("line")) == (expected, "7" if expected else None)


def test_rule_10_metadata_stands_in_properties_and_in_the_first_lines_of_the_log() -> None:
    for suite in tree(not_ready()):
        properties = {entry.get("name"): entry.get("value") for entry in suite.iter("property")}
        assert properties["format"] == junit.FORMAT
        assert properties["verdict"] == "not_ready"
        assert properties["exit_code"] == "1"
        assert properties["commit"] == not_ready().commit
        assert properties["checklist_digest"] == not_ready().checklist.digest
        assert properties["tool"] == "quub-audit 1.2.3"
        lines = (suite.findtext("system-out") or "").split("\n")
        assert lines[: len(properties)] == [f"{name}: {value}" for name, value in properties.items()]


def test_rule_11_a_run_that_audited_nothing_is_one_error() -> None:
    root = tree(CASES["refused"]())
    (case,) = root.iter("testcase")
    (child,) = verdicts(case)

    assert (root.get("tests"), root.get("errors")) == ("1", "1")
    assert (case.get("classname"), child.tag, child.get("type")) == ("quub_audit.run", "error", "quub.not_evaluated")
    assert "the credentials belong to account 210987654321" in child.get("message", "")


@pytest.mark.parametrize("verdict", [Verdict.INTERRUPTED, Verdict.INCONCLUSIVE, Verdict.REFUSED])
def test_rule_11_a_run_that_is_not_ready_is_never_all_green(verdict: Verdict) -> None:
    root = tree(result_of([HTTPS], verdict, "Interrupted: the audit was not finished"))

    assert (root.get("tests"), root.get("errors")) == ("2", "1")


def test_rule_11_a_ready_run_without_items_is_no_pass() -> None:
    assert tree(result_of([], Verdict.READY, "Ready")).get("errors") == "1"


def test_rule_12_the_snippets_publish_always_and_leave_the_exit_code_alone() -> None:
    text = (Path(__file__).parents[2] / "docs" / "ci.md").read_text(encoding="utf-8")

    assert "if: always()" in text
    assert re.search(r"when: always\n\s+reports:\n\s+junit:", text)
    assert re.search(r"post \{\n\s+always \{\n\s+junit ", text)
    assert "condition: succeededOrFailed()" in text
    assert "failTaskOnFailedTests: true" in text
    assert "failTaskOnMissingResultsFile: true" in text
    for swallowed in (
        "|| true",
        "allow_failure",
        "continue-on-error",
        "continueOnError",
        "allowEmptyResults",
        "returnStatus",
    ):
        assert swallowed not in text


def test_rule_13_the_step_summary_leads_with_what_blocks_and_stays_below_60_kb(tmp_path: Path) -> None:
    write(large(), ["markdown"], tmp_path)

    text = (tmp_path / "report.md").read_text(encoding="utf-8")

    assert len(text.encode()) < 60_000
    assert [line for line in text.splitlines() if line.startswith("#")][:2] == [
        f"# ❌ {large().headline}",
        "## What blocks this release",
    ]


COUNTED = sorted(set(EVERY) - {"refused"})


@pytest.mark.parametrize("consumer", sorted(CONSUMERS))
@pytest.mark.parametrize("case", COUNTED)
def test_every_consumer_counts_what_the_result_counts(case: str, consumer: str) -> None:
    result = EVERY[case]()
    counts = CONSUMERS[consumer](render_junit(result))

    summary = result.summary
    not_evaluated = summary["error"] + summary["inconclusive"]
    assert counts.passed == summary["pass"]
    assert counts.skipped == summary["waived"] + summary["not_applicable"]
    if counts.errors is None:
        assert counts.failed == summary["fail"] + not_evaluated
    else:
        assert (counts.failed, counts.errors) == (summary["fail"], not_evaluated)


def test_the_identity_of_every_case_is_unique() -> None:
    identities = [(case.get("classname"), case.get("name")) for case in tree(large()).iter("testcase")]

    assert len(set(identities)) == len(identities) == 92


def test_findings_of_every_status_are_named_in_the_body() -> None:
    (child,) = verdicts(the_case(not_ready(), KEYS.id))

    for status in (FindingStatus.FAIL, FindingStatus.WARNING):
        assert f"- {status.value} " in (child.text or "")
    assert NASTY not in (child.text or "")
