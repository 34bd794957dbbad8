"""JUnit XML, as pytest, Jest, Mocha, Cypress, Playwright, Surefire, Gradle and the reporters of Go write it.

Cases are counted, attributes of suites are not believed, with one exception: where a suite says that more of it failed
than its cases show, something failed outside of them (a file that could not be loaded), and that is a case of its own.
Source: the format as documented by testmoapp/junitxml; Surefire's schema for cases that were run again.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from xml.etree.ElementTree import Element

from quub_audit.facts.artifacts import Origin, Outcome, TestCase, TestReport
from quub_audit.parsers.source import Format, Source, local_name, moment
from quub_audit.parsers.tests.cases import each_once, kept_properties, merged, tags_in, tags_of

COMMIT_PROPERTIES = frozenset(
    {
        "commit",
        "commit_sha",
        "git.commit",
        "git_commit",
        "git_sha",
        "git.sha",
        "github_sha",
        "ci_commit_sha",
        "vcs.commit",
    }
)
"""Names, in lower case, under which suites say of which commit they are."""

_HASH = re.compile(r"[0-9a-fA-F]{7,64}")
_OF_THE_VIRTUAL_MACHINE = re.compile(
    r"(java|jdk|sun|os|user|file|line|path|native|stderr|stdout|surefire|awt|apple|http|socksNonProxyHosts)\b"
)
_SKIPPED = frozenset({"notrun", "disabled", "skipped", "suppressed", "ignored", "pending"})
_FAILED = frozenset({"failed", "failure", "broken", "timedout"})

Properties = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Suite:
    """What a case has from the suites around it."""

    names: tuple[str, ...] = ()
    file: str = ""
    properties: tuple[tuple[str, str], ...] = ()


def _read(source: Source) -> tuple[TestReport, ...]:
    root = source.xml()
    elements = [element for element in root.iter() if local_name(element) in ("testsuite", "testsuites")]
    if root not in elements:
        raise source.malformed(f"its root is {local_name(root)}, expected testsuites or testsuite")
    commits = {value.lower() for element in elements for name, value in _properties(element) if _is_commit(name, value)}
    if len(commits) > 1:
        raise source.malformed(f"its suites are of several commits, {' and '.join(sorted(commits)[:3])}")
    dates = [found for element in elements if (found := moment(element.get("timestamp"))) is not None]
    # The oldest suite counts: build tools keep results of suites that they did not run again.
    produced_at: datetime | None = min(dates, default=None)
    origin = Origin(file=source.name, produced_at=produced_at, commit=next(iter(commits), ""))
    is_go = any(name == "go.version" for element in elements for name, _ in _properties(element))
    cases: list[TestCase] = []
    _gather(root, _Suite(), cases)
    again = _packages_run_again(cases) if is_go else frozenset[str]()
    return (TestReport(origin=origin, cases=merged((case, case.suite in again) for case in cases)),)


def _packages_run_again(cases: Sequence[TestCase]) -> frozenset[str]:
    """Packages of Go in which failed tests alone were run again, as gotestsum does it: each other one is there once.

    `go test -count` runs every test as often, and one of them that fails makes the whole run fail, whatever the others
    do. Subtests may have any name, and examples are run once in any case: neither tells the two apart.
    """
    runs = Counter((case.suite, case.name) for case in cases)
    failed = {(case.suite, case.name) for case in cases if case.outcome in ("failed", "error")}
    once = defaultdict[str, set[bool]](set)
    for (suite, name), times in runs.items():
        if name.startswith("Test") and "/" not in name and (suite, name) not in failed:
            once[suite].add(times == 1)
    return frozenset(suite for suite, found in once.items() if found == {True})


def _gather(element: Element, around: _Suite, cases: list[TestCase]) -> int:
    """Add the cases of a suite and of those in it; how many failed, as the suites say it or more."""
    own = _properties(element)
    name = element.get("name", "")
    suite = _Suite(
        names=(*around.names, name) if name else around.names,
        file=element.get("file") or element.get("filepath") or around.file,
        properties=(*around.properties, *own),
    )
    shown = direct = 0
    for child in element:
        match local_name(child):
            case "testcase":
                cases.append(_case(child, suite))
                shown += cases[-1].outcome in ("failed", "error")
            case "testsuite" | "testsuites":
                shown += _gather(child, suite, cases)
            case "failure" | "error":
                direct += 1
    failed = max(shown + direct, _stated(element))
    if failed > shown:
        told = f"({failed - shown} failures or errors that no case shows)"
        cases.append(TestCase(suite=name, name=told, outcome="error", file=suite.file))
    return failed


def _case(element: Element, suite: _Suite) -> TestCase:
    own = _properties(element)
    name, classname = element.get("name", ""), element.get("classname", "")
    kinds = {local_name(child) for child in element}
    outcome = _outcome(element, kinds)
    if outcome == "passed" and ("fail", "") in own:
        # Playwright's annotation of a test that is expected to fail.
        outcome = "skipped"
    # Jest and Mocha write the title of the case, or its end, as its class.
    is_class = bool(classname) and not name.endswith(classname)
    return TestCase(
        suite=classname if is_class or not suite.names else suite.names[-1],
        name=name,
        outcome=outcome,
        file=element.get("file") or suite.file,
        duration_s=_seconds(element.get("time")),
        is_flaky=outcome == "passed" and not kinds.isdisjoint({"flakyFailure", "flakyError"}),
        tags=each_once((*tags_in(name, classname, *suite.names), *tags_of((*suite.properties, *own)))),
        properties=kept_properties((*suite.properties, *own)),
    )


def _outcome(element: Element, kinds: set[str]) -> Outcome:
    said = {element.get("status", "").lower(), element.get("result", "").lower()}
    if not kinds.isdisjoint({"failure", "rerunFailure"}) or said & _FAILED:
        return "failed"
    if not kinds.isdisjoint({"error", "rerunError"}) or "error" in said:
        return "error"
    return "skipped" if "skipped" in kinds or "disabled" in kinds or said & _SKIPPED else "passed"


def _stated(element: Element) -> int:
    said = (element.get("failures", ""), element.get("errors", ""))
    return sum(int(text) for text in said if re.fullmatch("[0-9]{1,9}", text))


def _properties(element: Element) -> Properties:
    """Of the element itself; those that every virtual machine of Java has are left out."""
    found = []
    for child in element:
        if local_name(child) == "properties":
            for each in child:
                name, value = each.get("name", ""), each.get("value") or (each.text or "").strip()
                if not _OF_THE_VIRTUAL_MACHINE.match(name):
                    found.append((name, value))
    return found


def _is_commit(name: str, value: str) -> bool:
    return name.lower() in COMMIT_PROPERTIES and _HASH.fullmatch(value) is not None


def _seconds(text: str | None) -> float | None:
    """Also `1,234.5` and `0,5`; None for what is no duration."""
    written = (text or "").strip()
    written = written.replace(",", "") if "." in written else written.replace(",", ".")
    return float(written) if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,12})?|\.[0-9]{1,12}", written) else None


JUNIT = Format(
    name="JUnit XML",
    recognises=lambda source: source.xml_root in ("testsuites", "testsuite"),
    read=_read,
)
