"""junit.xml, in the form that Jenkins, GitLab, Azure DevOps and the GitHub actions all read alike.

The exit code is the gate; this is the display. One case an item, one suite a section, no nesting; the shape is a
public contract with `FORMAT` as its version.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC
from typing import assert_never
from xml.etree import ElementTree as ET

from quub_audit.model.finding import Finding
from quub_audit.model.result import ItemResult, Result
from quub_audit.model.status import FindingStatus, Status, Verdict
from quub_audit.reporters.chart import say_chart
from quub_audit.reporters.text import clean, count, cut, one_line
from quub_audit.reporters.view import outcome, say_waiver, stance, tally

FORMAT = "quub-audit/junit/1"
MESSAGE_SHOWN = 250
"""Characters of a `message` attribute; Azure and Jenkins show it as one line."""
FINDINGS_SHOWN = 20
"""Findings in one body, worst first."""
BODY_BYTES = 10_000
FILE_BYTES = 900_000
"""What all bodies may come to; with the rest the file stays near 1 MB."""
NAME_SHOWN = 200


def render_junit(result: Result) -> bytes:
    """The document as UTF-8, parsed again before it is handed back.

    A run without items, or one that is not ready although no item says so, gets one `<error>` case of its own, so
    that a consumer never sees green where the gate is red.
    """
    root = ET.Element("testsuites")
    suites = [_suite(result, title, items) for title, items in _by_section(result.items)]
    bad = sum(int(suite.get(kind, "0")) for suite in suites for kind in ("failures", "errors"))
    if not suites or (result.verdict is not Verdict.READY and not bad):
        suites.append(_run_suite(result))
    _make_ids_unique(suites)
    root.extend(suites)
    _set(root, name=f"quub-audit {result.service} {result.environment}", **_counters(suites), time=result.duration_s)
    ET.indent(root)
    data: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    ET.fromstring(data)  # noqa: S314  what cannot be read back is not handed out
    return data + b"\n"


def classname(item_id: str) -> str:
    """`quub_audit.<section>.<group>` of an id; a missing group is left out, and no segment has a dot inside."""
    return ".".join(["quub_audit", *item_id.split(".")[:-1][:2]])


def _by_section(items: Iterable[ItemResult]) -> tuple[tuple[str, list[ItemResult]], ...]:
    sections: dict[str, list[ItemResult]] = {}
    for item in items:
        sections.setdefault(item.section, []).append(item)
    return tuple(sections.items())


def _suite(result: Result, title: str, items: list[ItemResult]) -> ET.Element:
    suite = _new_suite(result, title)
    unsettled = sum(item.status is not Status.PASS for item in result.items) or 1
    body_bytes = min(BODY_BYTES, FILE_BYTES // unsettled)
    cases = [_case(item, result, body_bytes) for item in items]
    suite.extend(cases)
    log = ET.SubElement(suite, "system-out")
    log.text = "\n".join([f"{name}: {value}" for name, value in _metadata(result)] + list(_warnings(items)))
    _set(
        suite,
        tests=len(cases),
        failures=sum(case.find("failure") is not None for case in cases),
        errors=sum(case.find("error") is not None for case in cases),
        skipped=sum(case.find("skipped") is not None for case in cases),
        time=sum(item.duration_s for item in items),
    )
    return suite


def _run_suite(result: Result) -> ET.Element:
    """One case that says why the run as a whole cannot be green."""
    suite = _new_suite(result, "Run")
    case = ET.SubElement(suite, "testcase")
    _set(case, classname="quub_audit.run", name="run The audit was carried out", time=0.0)
    reason = ": ".join([result.headline, *(notice.text for notice in result.notices[:1])])
    body = [f"Verdict: {outcome(result)}", *(f"{notice.kind}: {notice.text}" for notice in result.notices)]
    _say(case, "error", "quub.not_evaluated", reason, body, BODY_BYTES)
    log = ET.SubElement(suite, "system-out")
    log.text = "\n".join(f"{name}: {value}" for name, value in _metadata(result))
    _set(suite, tests=1, failures=0, errors=1, skipped=0, time=0.0)
    return suite


def _new_suite(result: Result, title: str) -> ET.Element:
    """A suite with its identity and properties; the environment keeps suites of several environments apart."""
    suite = ET.Element("testsuite")
    _set(
        suite,
        name=cut(f"{result.environment}: {title}", NAME_SHOWN),
        id=_slug(f"{result.environment}-{title}"),
        timestamp=result.started_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
        hostname="localhost",
    )
    properties = ET.SubElement(suite, "properties")
    for name, value in _metadata(result):
        _set(ET.SubElement(properties, "property"), name=name, value=value)
    return suite


def _make_ids_unique(suites: Iterable[ET.Element]) -> None:
    taken: set[str] = set()
    for suite in suites:
        wanted = unique = suite.get("id", "")
        number = 1
        while unique in taken:
            number += 1
            unique = f"{wanted}-{number}"
        taken.add(unique)
        suite.set("id", unique)


def _case(item: ItemResult, result: Result, body_bytes: int) -> ET.Element:
    case = ET.Element("testcase")
    _set(
        case,
        classname=classname(item.id),
        name=f"{item.id} {cut(one_line(item.title), NAME_SHOWN)}",
        time=item.duration_s,
    )
    if _is_relative(item.file):
        _set(case, file=item.file)
        if item.line is not None:
            _set(case, line=item.line)
    match item.status:
        case Status.PASS:
            pass
        case Status.FAIL:
            kind = "quub.waiver_expired" if item.expired_waiver else "quub.fail"
            _say(case, "failure", kind, item.reason, _body(item, result), body_bytes)
        case Status.ERROR | Status.INCONCLUSIVE:
            _say(case, "error", "quub.not_evaluated", item.reason, _body(item, result), body_bytes)
        case Status.WAIVED | Status.NOT_APPLICABLE:
            _say(case, "skipped", f"quub.{item.status.value}", item.reason, _body(item, result), body_bytes)
        case _:
            assert_never(item.status)
    return case


def _body(item: ItemResult, result: Result) -> Iterator[str]:
    """Verdict, observed against expected, remediation, evidence digest, and where the HTML has it."""
    place = stance(item, result)
    yield f"Status: {item.status.value}, severity {item.severity.value}{f', {place}' if place else ''}"
    if item.waived_from:
        yield f"Waived from: {item.waived_from.value}"
    for word, waiver in (("Waiver", item.waiver), ("Expired waiver", item.expired_waiver)):
        if waiver:
            yield f"{word}: {say_waiver(waiver)}"
    if item.findings:
        yield f"Findings: {tally(item.findings)}"
        yield from map(_finding_line, item.findings[:FINDINGS_SHOWN])
        rest = len(item.findings) - FINDINGS_SHOWN
        if rest > 0:
            yield f"  and {count(rest, 'more finding')} in result.json"
    if item.next_step:
        yield f"Next step: {item.next_step}"
    if item.remediation and item.remediation != item.next_step:
        yield f"Remediation: {item.remediation}"
    if item.owner:
        yield f"Owner: {item.owner}"
    if result.evidence.digest:
        yield f"Evidence: {result.evidence.digest}"
    yield f"Report: report.html#{item.id}"


def _finding_line(finding: Finding) -> str:
    place = f" at {finding.location}" if finding.location else ""
    parts = [
        f"observed {finding.observed}" if finding.observed else "",
        f"expected {finding.expected}" if finding.expected else "",
        finding.message,
        f"{finding.chart.title}: {say_chart(finding.chart)}" if finding.chart else "",
        f"evidence {finding.grade.value}" if finding.grade else "",
        f"attempt {finding.attempts}" if finding.attempts > 1 else "",
    ]
    return f"- {finding.kind} {finding.subject}{place}: {'; '.join(filter(None, parts))}"


def _say(case: ET.Element, tag: str, kind: str, reason: str, body: Iterable[str], most_bytes: int) -> None:
    """The reason twice: consumers read either the attribute or the body, and few read both."""
    message = cut(one_line(reason), MESSAGE_SHOWN)
    element = ET.SubElement(case, tag)
    _set(element, message=message, type=kind)
    lines = [message, *map(one_line, body)]
    # The last line is the way to the whole report: it stays, whatever must go.
    room, last, kept = most_bytes - _size(lines[-1]) - _size(lines[0]), lines[-1], [lines[0]]
    for index, line in enumerate(lines[1:-1], start=1):
        short = cut(line, 2000)
        if _size(short) > room - 100:
            kept.append(f"({count(len(lines) - 1 - index, 'more line')} in result.json)")
            break
        room -= _size(short)
        kept.append(short)
    element.text = "\n".join([*kept, last])


def _size(line: str) -> int:
    """Bytes in the file, escapes and the new line included."""
    escapes = 4 * line.count("&") + 3 * (line.count("<") + line.count(">"))
    return len(line.encode("utf-8", "replace")) + escapes + 1


def _warnings(items: Iterable[ItemResult]) -> Iterator[str]:
    """Warnings count nowhere, so they stand in no case; at most `FINDINGS_SHOWN` of them, and how many more."""
    found = [(item.id, finding) for item in items for finding in item.of_status(FindingStatus.WARNING)]
    for item_id, finding in found[:FINDINGS_SHOWN]:
        yield cut(one_line(f"{item_id} {_finding_line(finding)[2:]}"), 1000)
    if len(found) > FINDINGS_SHOWN:
        yield f"and {count(len(found) - FINDINGS_SHOWN, 'more warning')} in result.json"


def _metadata(result: Result) -> tuple[tuple[str, str], ...]:
    found = (
        ("format", FORMAT),
        ("tool", f"{result.tool.name} {result.tool.version}"),
        ("verdict", result.verdict.value),
        ("exit_code", str(result.exit_code.value)),
        ("service", result.service),
        ("environment", result.environment),
        ("stage", result.stage),
        ("commit", result.commit),
        ("targets", cut("; ".join(result.targets), 1000)),
        ("checklist", f"{result.checklist.title} {result.checklist.version}".strip()),
        ("checklist_digest", result.checklist.digest),
        ("evidence_digest", result.evidence.digest),
    )
    return tuple((name, one_line(value)) for name, value in found if value)


def _counters(suites: Iterable[ET.Element]) -> dict[str, int]:
    suites = tuple(suites)
    names = ("tests", "failures", "errors", "skipped")
    return {name: sum(int(suite.get(name, "0")) for suite in suites) for name in names}


def _set(element: ET.Element, **attributes: str | float) -> None:
    """Attributes in the order given; seconds as plain decimals, texts cleaned and on one line."""
    for name, value in attributes.items():
        text = f"{value:.3f}" if isinstance(value, float) else one_line(str(value))
        element.set(name, text)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", clean(text).lower()).strip("-") or "suite"


def _is_relative(file: str) -> bool:
    """Whether it may stand in `file`: below the working directory, so that annotations land on the right file."""
    return bool(file) and not re.match(r"[/\\]|[A-Za-z][A-Za-z0-9+.-]*:", file) and ".." not in re.split(r"[/\\]", file)
