"""report.sarif: SARIF 2.1.0, for code scanning. Results are findings with a place in a file; rules are all items."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from pydantic_core import to_json

from quub_audit.model.finding import Finding, Location
from quub_audit.model.result import ItemResult, Result
from quub_audit.model.status import FindingStatus, Severity, Status, Verdict
from quub_audit.reporters.text import clean, count, cut
from quub_audit.reporters.view import TEXT_SHOWN, say_waiver

RESULTS_SHOWN = 25_000
"""GitHub refuses a run with more."""

_LEVEL = {Severity.CRITICAL: "error", Severity.HIGH: "error", Severity.MEDIUM: "warning", Severity.LOW: "warning"}
_SECURITY_SEVERITY = {Severity.CRITICAL: "9.5", Severity.HIGH: "8.0", Severity.MEDIUM: "5.5", Severity.LOW: "2.5"}
"""GitHub sorts by it: over 9.0 is critical, from 7.0 high, from 4.0 medium."""


def render_sarif(result: Result) -> bytes:
    """One run: a rule for every item, a result for every failed or warning finding that has a place in a file.

    What failed is an error (critical, high) or a warning (medium, low), what warns is a note; a waived finding is
    suppressed with its waiver's words. What could not be judged has no place in a file and becomes a notification,
    so that an empty list of results never looks like a clean run.
    """
    found = [(index, item, finding) for index, item in enumerate(result.items) for finding in _placed(item)]
    notifications = list(_notifications(result))
    if len(found) > RESULTS_SHOWN:
        rest = count(len(found) - RESULTS_SHOWN, "more result")
        notifications.append(_notification("warning", f"{rest} in result.json"))
    run = {
        "tool": {
            "driver": {
                "name": result.tool.name,
                "version": result.tool.version,
                "rules": [_rule(item) for item in result.items],
            }
        },
        "automationDetails": {"id": f"{quote(clean(result.service))}/{quote(clean(result.environment))}/"},
        "invocations": [
            {
                "executionSuccessful": result.verdict not in (Verdict.REFUSED, Verdict.INTERRUPTED),
                "exitCode": result.exit_code.value,
                "exitCodeDescription": result.exit_code.meaning,
                "startTimeUtc": _utc(result.started_at),
                "endTimeUtc": _utc(result.finished_at),
                "toolExecutionNotifications": notifications,
            }
        ],
        "originalUriBaseIds": {"SRCROOT": {"description": {"text": "The root of the audited repository."}}},
        "columnKind": "unicodeCodePoints",
        "results": list(_results(found[:RESULTS_SHOWN])),
        "properties": {
            "verdict": result.verdict.value,
            "commit": result.commit,
            "summary": dict(result.summary),
            "checklistDigest": result.checklist.digest,
            "evidenceDigest": result.evidence.digest,
        },
    }
    document = {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}
    return to_json(_cleaned(document), indent=1) + b"\n"


def _placed(item: ItemResult) -> Iterator[Finding]:
    reported = (FindingStatus.FAIL, FindingStatus.WARNING)
    return (finding for finding in item.findings if finding.location and finding.status in reported)


def _rule(item: ItemResult) -> dict[str, Any]:
    help_text = item.remediation or item.title
    rule: dict[str, Any] = {
        "id": item.id,
        "name": item.title,
        "shortDescription": {"text": item.title},
        "fullDescription": {"text": f"{item.section}, {item.group}: {item.title}"},
        "help": {"text": "\n".join([help_text, *item.references])},
        "defaultConfiguration": {"level": _LEVEL[item.severity]},
        "properties": {
            "tags": [*item.tags],
            "severity": item.severity.value,
            "security-severity": _SECURITY_SEVERITY[item.severity],
            "status": item.status.value,
            "blocks": item.blocks,
            "reason": cut(item.reason, TEXT_SHOWN),
        },
    }
    return rule


def _results(found: list[tuple[int, ItemResult, Finding]]) -> Iterator[dict[str, Any]]:
    seen: Counter[str] = Counter()
    for index, item, finding in found:
        assert finding.location is not None  # noqa: S101  `_placed` chose it
        print_ = _fingerprint(item, finding, finding.location)
        seen[print_] += 1
        is_fail = finding.status is FindingStatus.FAIL
        yield {
            "ruleId": item.id,
            "ruleIndex": index,
            "kind": "fail",
            "level": _LEVEL[item.severity] if is_fail else "note",
            "message": {"text": cut(_message(finding), TEXT_SHOWN)},
            "locations": [{"physicalLocation": _location(finding.location)}],
            "partialFingerprints": {"quubAuditFinding/v1": f"{print_}:{seen[print_]}"},
            "suppressions": _suppressions(item) if is_fail else [],
            "properties": {"subject": finding.subject, "check": finding.check, "commit": finding.location.commit or ""},
        }


def _message(finding: Finding) -> str:
    compared = "; ".join(filter(None, (finding.observed, f"expected {finding.expected}" if finding.expected else "")))
    said = f"{finding.subject}: {compared}" if compared else finding.subject
    history = f" (in commit {finding.location.commit[:12]})" if finding.location and finding.location.commit else ""
    return f"{said}. {finding.message}{history}" if finding.message else f"{said}{history}"


def _location(location: Location) -> dict[str, Any]:
    place: dict[str, Any] = {
        "artifactLocation": {
            "uri": quote(clean(location.file).replace("\\", "/").lstrip("/")),
            "uriBaseId": "SRCROOT",
        }
    }
    if location.line is not None and location.line > 0:
        place["region"] = {"startLine": location.line}
        if location.column is not None and location.column > 0:
            place["region"]["startColumn"] = location.column
    return place


def _fingerprint(item: ItemResult, finding: Finding, location: Location) -> str:
    """The same for the same thing in the same file, wherever it moves in it; 16 hexadecimal digits."""
    parts = (item.id, finding.check, location.file, location.commit or "", finding.claim, _without_place(finding))
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:16]


def _without_place(finding: Finding) -> str:
    """The subject without the line that some checks put into it."""
    if finding.location and finding.location.line is not None:
        return finding.subject.replace(f":{finding.location.line}", "")
    return finding.subject


def _suppressions(item: ItemResult) -> list[dict[str, Any]]:
    if item.status is not Status.WAIVED or item.waiver is None:
        return []
    return [{"kind": "external", "status": "accepted", "justification": say_waiver(item.waiver)}]


def _notifications(result: Result) -> Iterator[dict[str, Any]]:
    level = "error" if result.verdict is Verdict.REFUSED else "note"
    for notice in result.notices:
        yield _notification(level, f"{notice.kind}: {notice.text}")
    for index, item in enumerate(result.items):
        if item.status in (Status.ERROR, Status.INCONCLUSIVE):
            entry = _notification("error", f"{item.id} could not be judged ({item.status.value}): {item.reason}")
            yield entry | {"associatedRule": {"id": item.id, "index": index}}


def _notification(level: str, text: str) -> dict[str, Any]:
    return {"level": level, "message": {"text": cut(text, TEXT_SHOWN)}}


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {key: _cleaned(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_cleaned(part) for part in value]
    return value
