"""Somebody tried to break in within a year, into every endpoint, and nothing grave is open."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from quub_audit.checks.testing.security.penetration_test import PenetrationTestParameters, judge
from quub_audit.config import Sources, load
from quub_audit.model.environment import Endpoint, Environment
from quub_audit.model.result import ItemResult
from quub_audit.model.status import FindingStatus, Grade
from quub_audit.registry import Registry
from quub_audit.sdk import Attestation, Attestations, OpenFindings
from quub_audit.testing import audit_item

ITEM = "testing.security.penetration-test"
AT = datetime(2026, 11, 25, 12, tzinfo=UTC)
TODAY = AT.date()

ENVIRONMENTS = """
service: orders
environments:
  production:
    stage: production
    endpoints:
      - {name: api, url: "https://api.example.com"}
      - {name: stream, url: "wss://ws.example.com"}
"""
COMPLETE: dict[str, str] = {
    "item": ITEM,
    "statement": "Grey-box test of the API and the stream",
    "by": "ada@example.com",
    "organisation": "Example Security Ltd",
    "performed_on": "2026-08-17",
    "expires": "2027-08-17",
    "reference": "SEC-77",
    "method": "OWASP WSTG 4.2, by hand",
    "scope": "['*.example.com']",
    "report_sha256": "'" + "9f86d081" * 8 + "'",
    "open_findings": "{critical: 0, high: 0, medium: 2, low: 5}",
    "retested_on": "2026-10-05",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "environments.yaml").write_text(ENVIRONMENTS)
    return tmp_path


def declared(folder: Path, *entries: dict[str, str]) -> Environment:
    """The environment as it is read from the files on disk."""
    listed = ["\n    ".join(f"{key}: {value}" for key, value in entry.items()) for entry in entries]
    if entries:
        (folder / "attestations.yaml").write_text("attestations:\n" + "".join(f"  - {each}\n" for each in listed))
    sources = Sources.beside(folder / "environments.yaml")
    registry = Registry.discover(())
    return load(sources, environment="production", registry=registry, environ={}, today=TODAY).environment


def audited(environment: Environment) -> ItemResult:
    return audit_item(ITEM, environment, min_evidence=Grade.HUMAN, at=AT)


@pytest.mark.proof("pass")
def test_a_complete_test_of_every_endpoint_passes(folder: Path) -> None:
    item = audited(declared(folder, COMPLETE))

    assert (item.status.value, [finding.subject for finding in item.findings]) == ("pass", ["api", "stream"])
    assert item.best_evidence is Grade.HUMAN


@pytest.mark.proof("fail")
def test_an_endpoint_out_of_scope_and_open_findings_fail_and_are_named(folder: Path) -> None:
    narrow = {**COMPLETE, "scope": "[api.example.com]", "open_findings": "{critical: 0, high: 1}"}

    item = audited(declared(folder, narrow))

    assert item.status.value == "fail"
    assert [finding.observed for finding in item.findings if finding.status is FindingStatus.FAIL] == [
        (
            "tested on 2026-08-17 by Example Security Ltd, OWASP WSTG 4.2, by hand: "
            "0 critical and 1 high findings are open"
        ),
        "ws.example.com is not in the scope of any test, which is api.example.com",
    ]


@pytest.mark.proof("inconclusive")
def test_nothing_attested_is_inconclusive(folder: Path) -> None:
    item = audited(declared(folder))

    assert item.status.value == "inconclusive"
    assert "there is no attestation of one" in item.reason


@pytest.mark.proof("inconclusive")
def test_a_test_of_400_days_ago_does_not_count(folder: Path) -> None:
    item = audited(declared(folder, {**COMPLETE, "performed_on": "2025-10-21", "expires": "2026-10-21"}))

    assert item.status.value == "inconclusive"
    assert "400 days old, expected 365 or less" in item.reason


@pytest.mark.proof("inconclusive")
def test_a_test_without_a_retest_is_undecided_until_somebody_says_that_nothing_grave_was_found(folder: Path) -> None:
    untested = {name: value for name, value in COMPLETE.items() if name != "retested_on"}

    item = audited(declared(folder, untested))

    assert item.status.value == "inconclusive"
    assert "set `retested_on` to the day of the test" in item.next_step
    assert audited(declared(folder, {**untested, "retested_on": untested["performed_on"]})).status.value == "pass"


@pytest.mark.proof("inconclusive")
def test_another_items_attestation_says_nothing(folder: Path) -> None:
    item = audited(declared(folder, {**COMPLETE, "item": "security.api-keys.ip-allowlist"}))

    assert item.status.value == "inconclusive"


@pytest.mark.proof("error")
@pytest.mark.parametrize("key", ["organisation", "method", "scope", "report_sha256", "open_findings"])
def test_a_word_without_what_has_to_be_known_is_an_error_that_names_it(folder: Path, key: str) -> None:
    item = audited(declared(folder, {name: value for name, value in COMPLETE.items() if name != key}))

    assert item.status.value == "error"
    assert f"(`{key}`)" in item.reason
    assert "attestations.yaml:2" in item.reason


def test_no_endpoint_is_inconclusive() -> None:
    nothing = Environment(service="orders", name="production", stage="production", attestations=(attestation(),))

    assert audited(nothing).status.value == "inconclusive"


def attestation(days_ago: int = 100, **fields: Any) -> Attestation:
    performed_on = TODAY - timedelta(days=days_ago)
    known: dict[str, Any] = {
        "item": ITEM,
        "statement": "tested",
        "by": "ada",
        "performed_on": performed_on,
        "expires": performed_on + timedelta(days=365),
        "reference": "SEC-77",
        "organisation": "Example Security Ltd",
        "method": "PTES",
        "scope": ("api.example.com",),
        "report_sha256": "0" * 64,
        "open_findings": OpenFindings(critical=0, high=0),
        "retested_on": TODAY,
    }
    return Attestation(**{**known, **fields})


API = Endpoint(name="api", url="https://api.example.com", host="api.example.com", port=443)


def statuses(*entries: Attestation, endpoint: Endpoint = API, today: date = TODAY) -> list[str]:
    found = judge(endpoint, Attestations(entries=entries), today, PenetrationTestParameters())
    return [finding.kind for finding in found]


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        pytest.param([attestation()], ["pass"], id="good"),
        pytest.param([attestation(365)], ["pass"], id="a-year-ago"),
        pytest.param([attestation(366)], ["undecided"], id="more-than-a-year-ago"),
        pytest.param([attestation(10, expires=TODAY - timedelta(days=1))], ["undecided"], id="expired-early"),
        pytest.param([attestation(retested_on=None)], ["pass", "undecided"], id="no-retest"),
        pytest.param([attestation(scope=("API.Example.COM",))], ["pass"], id="case"),
        pytest.param([attestation(scope=("*.example.com",))], ["pass"], id="wildcard"),
        pytest.param([attestation(scope=("*.api.example.com",))], ["fail"], id="wildcard-is-for-names-below"),
        pytest.param([attestation(scope=("ample.com", "staging.example.com"))], ["fail"], id="elsewhere"),
        pytest.param([attestation(open_findings=OpenFindings(critical=1, high=0))], ["fail"], id="critical"),
        pytest.param([attestation(open_findings=OpenFindings(critical=0, high=0, medium=9))], ["pass"], id="medium"),
        pytest.param(
            [attestation(200, open_findings=OpenFindings(critical=1, high=0)), attestation(20)],
            ["pass"],
            id="the-newest-of-the-host-counts",
        ),
        pytest.param(
            [attestation(20, open_findings=OpenFindings(critical=1, high=0)), attestation(200)],
            ["fail"],
            id="an-older-one-does-not-excuse",
        ),
        pytest.param(
            [attestation(20, scope=("ws.example.com",), method=""), attestation(200)],
            ["pass"],
            id="what-lacks-elsewhere-does-not-matter",
        ),
        pytest.param([attestation(scope=()), attestation(scope=("ws.example.com",))], ["error"], id="no-scope"),
    ],
)
def test_the_newest_test_of_the_host_decides(entries: list[Attestation], expected: list[str]) -> None:
    assert statuses(*entries) == expected


def test_an_attestation_of_tomorrow_does_not_count_today() -> None:
    assert statuses(replace(attestation(), performed_on=TODAY + timedelta(days=1))) == ["undecided"]
