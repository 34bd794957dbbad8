"""How the consumers of JUnit files count, each reading by its own rules, where those differ from the others'."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from xml.etree import ElementTree as ET


@dataclass(frozen=True)
class Counts:
    """What a consumer shows. `errors` is None where it does not tell errors from failures."""

    passed: int
    failed: int
    skipped: int
    errors: int | None = None


def _root(data: bytes) -> ET.Element:
    return ET.fromstring(data)


def jenkins(data: bytes) -> Counts:
    """Suites nest; one without cases is dropped, equal name and id are one; skipped wins; an error is a failure."""
    suites: dict[tuple[str | None, str | None], list[ET.Element]] = {}
    for suite in _root(data).iter("testsuite"):
        cases = suite.findall("testcase")
        if cases:
            suites.setdefault((suite.get("name"), suite.get("id")), []).extend(cases)
    states = [_skipped_first(case) for cases in suites.values() for case in cases]
    assert all("." in case.get("classname", "") for cases in suites.values() for case in cases)
    return Counts(states.count("pass"), states.count("fail"), states.count("skip"))


def _skipped_first(case: ET.Element) -> str:
    if case.find("skipped") is not None:
        return "skip"
    return "fail" if case.find("failure") is not None or case.find("error") is not None else "pass"


def gitlab(data: bytes) -> Counts:
    """Only the first of two cases with one name and class counts; failed, then error, then skipped wins."""
    kept: dict[tuple[str | None, str | None, str | None], str] = {}
    for case in _root(data).iter("testcase"):
        key = (case.get("classname"), case.get("name"), case.get("file"))
        kept.setdefault(
            key, next((tag for tag in ("failure", "error", "skipped") if case.find(tag) is not None), "pass")
        )
    states = list(kept.values())
    return Counts(*(states.count(state) for state in ("pass", "failure", "skipped", "error")))


def dorny(data: bytes) -> Counts:
    """Suites do not nest, and one without a name throws; failed wins, and an error is a failure."""
    states = []
    for suite in _root(data).findall("testsuite"):
        assert suite.get("name"), "a suite needs a name"
        for case in suite.findall("testcase"):
            assert case.get("name"), "a case needs a name"
            is_bad = case.find("failure") is not None or case.find("error") is not None
            states.append("fail" if is_bad else "skip" if case.find("skipped") is not None else "pass")
    return Counts(states.count("pass"), states.count("fail"), states.count("skip"))


def mikepenz(data: bytes) -> Counts:
    """Suites nest; skipped wins; with retries checked, a pass among equal names hides the failures."""
    cases: dict[tuple[str | None, str | None], list[str]] = {}
    for case in _root(data).iter("testcase"):
        cases.setdefault((case.get("classname"), case.get("name")), []).append(_skipped_first(case))
    states = ["pass" if "pass" in found else found[0] for found in cases.values()]
    return Counts(states.count("pass"), states.count("fail"), states.count("skip"))


def enricomi(data: bytes) -> Counts:
    """A case needs a name or a class; equal ones are runs of one test; errors are counted apart."""
    tests: dict[tuple[str | None, str | None], list[str]] = {}
    for case in _root(data).iter("testcase"):
        if case.get("name") or case.get("classname"):
            state = next((tag for tag in ("error", "failure", "skipped") if case.find(tag) is not None), "pass")
            tests.setdefault((case.get("classname"), case.get("name")), []).append(state)
    worst_first = ("error", "failure", "pass", "skipped")
    states = [min(runs, key=worst_first.index) for runs in tests.values()]
    return Counts(*(states.count(state) for state in ("pass", "failure", "skipped", "error")))


def azure(data: bytes) -> Counts:
    """Only testsuites/testsuite/testcase; failed wins, and an error is a failure; the time stamp has no zone."""
    root = _root(data)
    assert root.tag == "testsuites"
    for suite in root.findall("testsuite"):
        assert len(suite.get("timestamp", "")) == 19
    states = []
    for case in root.findall("testsuite/testcase"):
        is_bad = case.find("failure") is not None or case.find("error") is not None
        states.append("fail" if is_bad else "skip" if case.find("skipped") is not None else "pass")
    return Counts(states.count("pass"), states.count("fail"), states.count("skip"))


CONSUMERS: dict[str, Callable[[bytes], Counts]] = {
    "Jenkins": jenkins,
    "GitLab": gitlab,
    "dorny/test-reporter": dorny,
    "mikepenz/action-junit-report": mikepenz,
    "EnricoMi/publish-unit-test-result": enricomi,
    "Azure DevOps": azure,
}


def cases(data: bytes) -> Iterator[ET.Element]:
    """Every case of a file."""
    return _root(data).iter("testcase")
