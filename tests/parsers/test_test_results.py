from __future__ import annotations

import contextlib
import json
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quub_audit.errors import Malformed
from quub_audit.facts.artifacts import TestCase, TestReport
from quub_audit.parsers.tests import read
from quub_audit.parsers.tests.cases import MAX_PROPERTIES, MAX_VALUE
from tests.parsers.sources import recorded, source


def junit(inside: str, attributes: str = "") -> TestReport:
    (report,) = read(source(f'<?xml version="1.0"?>\n<testsuite name="suite" {attributes}>{inside}</testsuite>'))
    return report


def only(inside: str) -> TestCase:
    (case,) = junit(inside).cases
    return case


def case(child: str = "", attributes: str = "", name: str = "test") -> str:
    return f'<testcase classname="class" name="{name}" {attributes}>{child}</testcase>'


@pytest.mark.parametrize(
    ("xml", "outcome"),
    [
        pytest.param(case(), "passed", id="passed"),
        pytest.param(case("<failure message='no'/>"), "failed", id="failed"),
        pytest.param(case("<error/>"), "error", id="error"),
        pytest.param(case("<skipped/>"), "skipped", id="skipped"),
        pytest.param(case("<failure/><skipped/>"), "failed", id="failure-wins-over-skipped"),
        pytest.param(case("<rerunFailure/>"), "failed", id="surefire-failed-again"),
        pytest.param(case("<flakyFailure/>"), "passed", id="surefire-flaky"),
        pytest.param(case(attributes='status="notrun"'), "skipped", id="googletest-not-run"),
        pytest.param(case(attributes='result="suppressed"'), "skipped", id="googletest-suppressed"),
        pytest.param(case(attributes='status="failed"'), "failed", id="failed-by-attribute-alone"),
        pytest.param(case() + case("<failure/>"), "failed", id="twice-worst-counts"),
        pytest.param(case("<error/>") + case(), "error", id="twice-in-whatever-order"),
        pytest.param(case("<skipped/>") + case(), "passed", id="skipped-in-one-run-only"),
    ],
)
def test_a_case_ends_as_its_children_say(xml: str, outcome: str) -> None:
    assert only(xml).outcome == outcome


def test_flaky_cases_are_those_that_failed_at_first() -> None:
    assert only(case("<flakyError/>")).is_flaky
    assert not only(case()).is_flaky


RED, GREEN = case("<failure/>", name="TestFee"), case(name="TestFee")


@pytest.mark.parametrize(
    ("cases", "outcome"),
    [
        pytest.param(RED + GREEN + case(name="TestPlace"), "passed", id="run-again-alone"),
        pytest.param(RED + GREEN + case("<skipped/>", name="TestPlace"), "passed", id="beside-a-skipped-one"),
        pytest.param(RED + RED + case(name="TestPlace"), "failed", id="failed-again"),
        pytest.param(RED + GREEN + 2 * case(name="TestPlace"), "failed", id="every-test-is-run-twice"),
        pytest.param(RED + GREEN, "failed", id="not-to-be-told"),
        pytest.param(RED + GREEN + case("<failure/>", name="TestPlace"), "failed", id="beside-a-failed-one"),
        pytest.param(RED + GREEN + case(name="TestPlace/7") + case(name="ExampleFee"), "failed", id="once-in-any-case"),
    ],
)
def test_a_test_of_go_that_failed_passes_only_where_it_alone_was_run_again(cases: str, outcome: str) -> None:
    go = '<properties><property name="go.version" value="go1.26"/></properties>'
    found = next(each for each in junit(go + cases).cases if each.name == "TestFee")

    assert (found.outcome, found.is_flaky) == (outcome, outcome == "passed")


@pytest.mark.parametrize(
    ("attributes", "unseen"),
    [
        ('failures="0" errors="0"', 0),
        ('failures="1"', 0),
        ('failures="1" errors="2"', 2),
        ('failures="-1" errors="NaN"', 0),
        ('tests="99999"', 0),
    ],
)
def test_attributes_are_not_believed_but_failures_outside_of_cases_are_a_case(attributes: str, unseen: int) -> None:
    told = [each for each in junit(case("<failure/>"), attributes).cases if each.outcome == "error"]

    assert [each.name for each in told] == ([f"({unseen} failures or errors that no case shows)"] if unseen else [])


def test_failures_of_a_nested_suite_are_told_once() -> None:
    (report,) = read(
        source(
            '<testsuites errors="1"><testsuite name="a" errors="1"><testsuite name="b" errors="1"/></testsuite>'
            '<testsuite name="c"><error/></testsuite></testsuites>'
        )
    )

    assert [(each.suite, each.outcome) for each in report.cases] == [("b", "error"), ("c", "error")]


@pytest.mark.parametrize(
    ("title", "tags"),
    [
        ("withdraws @flow:withdraw", ("flow:withdraw",)),
        ("@smoke @flow=deposit. At last", ("smoke", "flow:deposit")),
        ("[critical:order] places an order", ("critical:order",)),
        ("verifies @critical(webhook) once", ("critical:webhook",)),
        ("TestOrder/@critical:order", ("critical:order",)),
        ("test_order[critical:order-0]", ("critical:order-0",)),
        ("writes to ann@example.com", ()),
        ("a @", ()),
    ],
)
def test_tags_are_taken_from_titles(title: str, tags: tuple[str, ...]) -> None:
    assert only(case(name=title)).tags == tags


def test_tags_are_taken_from_titles_of_suites_and_from_properties() -> None:
    (report,) = read(
        source(
            '<testsuites><testsuite name="orders @critical:order"><testcase name="a"><properties>'
            '<property name="tags" value="smoke,@slow"/><property name="flow" value="withdraw"/>'
            '<property name="@scenario:timeout"/></properties></testcase></testsuite></testsuites>'
        )
    )

    assert report.cases[0].tags == ("critical:order", "smoke", "slow", "flow:withdraw", "scenario:timeout")
    assert report.cases[0].suite == "orders @critical:order"


def test_properties_of_the_case_stand_over_those_of_its_suites_without_credentials() -> None:
    properties = "".join(
        f'<property name="{name}" value="{value}"/>'
        for name, value in [
            ("base_url", "https://a"),
            ("base_url", "x" * 300),
            ("API_KEY", "quub_1"),
            ("session-token", "quub_2"),
            ("DB_PASSWORD", "quub_3"),
            ("java.class.path", "/srv/app"),
            *((f"name{index}", "v") for index in range(100)),
        ]
    )
    kept = only(f"<properties>{properties}</properties>" + case()).properties or {}

    assert kept["base_url"] == "x" * MAX_VALUE
    assert len(kept) == MAX_PROPERTIES
    assert "quub_" not in repr(kept)
    assert "java.class.path" not in kept


@pytest.mark.parametrize(
    ("time", "seconds"),
    [("0.5", 0.5), ("1,234.5", 1234.5), ("0,5", 0.5), (".25", 0.25), ("NaN", None), ("-1", None), ("", None)],
)
def test_durations_are_read_as_tools_write_them(time: str, seconds: float | None) -> None:
    assert only(case(attributes=f'time="{time}"')).duration_s == seconds


def test_a_report_is_as_old_as_its_oldest_suite_whatever_their_zones() -> None:
    (report,) = read(
        source(
            '<testsuites><testsuite timestamp="2026-11-20T12:00:00+02:00"/>'
            '<testsuite timestamp="2026-11-20T10:30:00"/><testsuite timestamp="yesterday"/></testsuites>'
        )
    )

    assert report.origin.produced_at is not None
    assert report.origin.produced_at.isoformat() == "2026-11-20T10:00:00+00:00"


def commit(value: str) -> str:
    return f'<testsuite><properties><property name="commit" value="{value}"/></properties></testsuite>'


def test_suites_say_of_which_commit_they_are() -> None:
    (report,) = read(source(f"<testsuites>{commit('A' * 40)}{commit('unknown')}</testsuites>"))
    assert report.origin.commit == "a" * 40

    with pytest.raises(Malformed, match="suites are of several commits"):
        read(source(f"<testsuites>{commit('a' * 40)}{commit('b' * 40)}</testsuites>"))


@pytest.mark.parametrize(
    ("name", "outcomes", "tags"),
    [
        ("pytest-9.2.0.xml", "ppppfssee", {"critical:order", "smoke"}),
        ("jest-junit-17.0.0.xml", "ppppfsp", {"critical:order", "flow:buy"}),
        ("mocha-junit-reporter-2.2.1.xml", "pfpf", {"critical:order"}),
        ("playwright-1.65.1.xml", "pf~ss", {"flow:deposit", "scenario:timeout"}),
        ("playwright-1.65.1.json", "pf~ss", {"critical:order", "flow:withdraw", "flow:deposit", "scenario:timeout"}),
        ("gotestsum-1.13.0.xml", "~fsppp", {"critical:order", "flow:buy_large"}),
        ("gotestsum-1.13.0-count.xml", "fspp", set()),
        ("go-junit-report-2.1.0.xml", "ppppfs", {"critical:order", "flow:buy_large"}),
        ("surefire-3.5.2-flaky.xml", "fe~", set()),
        ("surefire-3.5.2-money.xml", "pps", set()),
        ("gradle-4.4.1.xml", "pfpfs", set()),
        ("gradle-4.4.1-broken.xml", "f", set()),
    ],
)
def test_reports_of_real_tools_are_read(name: str, outcomes: str, tags: set[str]) -> None:
    (report,) = read(recorded(name))

    assert "".join("~" if each.is_flaky else each.outcome[0] for each in report.cases) == outcomes
    assert {tag for each in report.cases for tag in each.tags} == tags
    assert "never" not in repr(report), "the value of a property that is named like a credential"


def test_the_suite_of_a_case_is_its_class_or_what_stands_around_it() -> None:
    suites = {each.suite for each in read(recorded("mocha-junit-reporter-2.2.1.xml"))[0].cases}

    assert suites == {"orders [critical:order]", "hooks"}
    assert only(case()).suite == "class"


def test_an_empty_suite_is_a_report_without_cases() -> None:
    assert junit("").cases == ()


def playwright(*specs: dict[str, Any], **report: Any) -> TestReport:
    document = {
        "config": {"configFile": "/srv/app/playwright.config.ts", "version": "1.55.0", "metadata": {}},
        "suites": [{"title": "orders.spec.ts", "file": "orders.spec.ts", "specs": list(specs)}],
        "errors": [],
        "stats": {"startTime": "2026-11-20T10:00:00.000Z"},
    }
    (read_report,) = read(source(json.dumps(document | report)))
    return read_report


def spec(*statuses: str, expected: str = "passed", **more: Any) -> dict[str, Any]:
    results = [{"status": status, "duration": 10} for status in statuses]
    test = {"expectedStatus": expected, "results": results, "annotations": more.pop("annotations", [])}
    return {"title": "withdraws", "file": "orders.spec.ts", "tags": [], "tests": [test]} | more


@pytest.mark.parametrize(
    ("told", "outcome", "is_flaky"),
    [
        (spec("passed"), "passed", False),
        (spec("failed", "passed"), "passed", True),
        (spec("failed", "timedOut"), "failed", False),
        (spec("skipped"), "skipped", False),
        (spec(), "skipped", False),
        (spec("interrupted"), "error", False),
        (spec("failed", expected="failed"), "skipped", False),
        (spec("passed", expected="failed"), "failed", False),
        (spec("something new"), "failed", False),
    ],
)
def test_a_test_of_playwright_ends_as_its_last_run_and_what_was_expected_say(
    told: dict[str, Any], outcome: str, is_flaky: bool
) -> None:
    (found,) = playwright(told).cases

    assert (found.outcome, found.is_flaky) == (outcome, is_flaky)


def test_what_failed_outside_of_tests_of_playwright_is_a_case() -> None:
    assert [each.outcome for each in playwright(errors=[{"message": "no"}]).cases] == ["error"]


def test_a_test_of_several_projects_of_playwright_is_one_and_the_worst_counts() -> None:
    chromium, webkit = spec("passed"), spec("failed")
    both = chromium | {"tests": chromium["tests"] + webkit["tests"]}

    assert [each.outcome for each in playwright(both).cases] == ["failed"]


def test_tags_and_annotations_of_playwright_are_read() -> None:
    annotations = [{"type": "scenario", "description": "timeout"}, {"type": "token", "description": "x"}]
    (found,) = playwright(spec("passed", tags=["flow:withdraw"], annotations=annotations)).cases

    assert found.tags == ("flow:withdraw", "scenario:timeout")
    assert found.properties == {"scenario": "timeout"}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param("", "it is empty", id="empty"),
        pytest.param("<html></html>", "in no known format of test results", id="html"),
        pytest.param("<testsuite><testcase name='a'>", "it is no XML at line 1", id="truncated"),
        pytest.param("<testsuite name='a\x1b'/>", "it is no XML at line 1", id="control-characters"),
        pytest.param('<!DOCTYPE a [<!ENTITY b "c">]><testsuite name="&b;"/>', "it declares entities", id="entities"),
        pytest.param("<testsuite>" * 300, "more than 200 elements inside one another", id="deep"),
        pytest.param('{"config": {"rootDir": 1}, "suites": 7}', "suites is int, expected a list", id="wrong-type"),
        pytest.param('{"config": {"rootDir": 1}, "suites": [', "it is no JSON", id="truncated-json"),
        pytest.param(
            '{"config": {"rootDir": 1}, "suites": [{"specs": [{"tests": [{"results": [{"duration": NaN}]}]}]}]}',
            "NaN is no number",
            id="nan",
        ),
    ],
)
def test_what_cannot_be_read_says_why(content: str, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        read(source(content))


@given(st.lists(st.sampled_from(["passed", "failed", "error", "skipped"]), max_size=20))
def test_the_reader_gives_back_what_was_written(outcomes: list[str]) -> None:
    root = Element("testsuites")
    suite = SubElement(root, "testsuite", name="s")
    for index, outcome in enumerate(outcomes):
        element = SubElement(suite, "testcase", name=f"case {index}")
        if outcome != "passed":
            SubElement(element, {"failed": "failure"}.get(outcome, outcome))

    (report,) = read(source(tostring(root)))

    assert [each.outcome for each in report.cases] == outcomes


@given(st.binary(max_size=200), st.sampled_from([b"", b"<testsuite>", b'{"config": {"rootDir": ""}, "suites": ']))
def test_no_bytes_raise_anything_but_malformed(content: bytes, start: bytes) -> None:
    with contextlib.suppress(Malformed):
        read(source(start + content))
