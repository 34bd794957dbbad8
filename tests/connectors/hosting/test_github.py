"""What GitHub says of a repository, as its documentation shapes it: a stand-in, as it cannot run here."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quub_audit.connectors.base import Ledger
from quub_audit.connectors.codec import decode, encode
from quub_audit.connectors.hosting_github import HostingConnector
from quub_audit.errors import Absent, Denied, Malformed, Reportable, Throttled, Unsupported
from quub_audit.facts.artifacts import Acceptance, ScanFinding
from quub_audit.facts.hosting import CodeScanning, DependencyAlerts, SecretAlert, SecretAlerts
from quub_audit.facts.seal import STRUCK, Redactor
from quub_audit.model.environment import GitHubProject, Repository
from tests.connectors.identity.saying import Saying, Says, saying

TOKEN = "token-of-the-test-world-0123456789"
PROJECT = "/repos/acme/orders"
OPEN = f"{PROJECT}/secret-scanning/alerts?per_page=100&hide_secret=true&state=open"
CLOSED = OPEN.replace("=open", "=resolved")
PACKAGES = f"{PROJECT}/dependabot/alerts"
ANALYSES = f"{PROJECT}/code-scanning/analyses"
DISMISSED = f"{PROJECT}/code-scanning/alerts"
COMMIT = "c" * 40


def settings(scanning: str = "enabled", protection: str = "enabled") -> Says:
    told = {"secret_scanning": {"status": scanning}, "secret_scanning_push_protection": {"status": protection}}
    return Says(body={"full_name": "acme/orders", "security_and_analysis": told})


def alert(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "number": number,
        "state": "open",
        "secret_type": "quub_api_key",
        "validity": "active",
        "publicly_leaked": False,
        "push_protection_bypassed": None,
        **changes,
    }


@pytest.fixture
def github() -> Iterator[Saying]:
    with saying() as world:
        world.answer(PROJECT, settings())
        world.answer(OPEN, Says(body=[]))
        world.answer(CLOSED, Says(body=[]))
        yield world


def repository(github: Saying, **changes: Any) -> Repository:
    project = GitHubProject(project="acme/orders", url=github.address, token=TOKEN)
    return Repository(name="app", path="/nowhere", github=replace(project, **changes))


def connector(*repositories: Repository, redactor: Redactor | None = None) -> HostingConnector:
    return HostingConnector(repositories, Ledger(), redactor or Redactor(), commit_of=lambda _: COMMIT)


def ask(github: Saying, **changes: Any) -> SecretAlerts:
    target = repository(github, **changes)
    found = connector(target).secret_alerts(target)
    assert found is not None
    return found


def packages(github: Saying) -> DependencyAlerts:
    target = repository(github)
    found = connector(target).dependency_alerts(target)
    assert found is not None
    assert decode(encode(found)) == found
    return found


def code(github: Saying) -> CodeScanning:
    target = repository(github)
    found = connector(target).code_scanning(target)
    assert found is not None
    assert decode(encode(found)) == found
    return found


def test_no_alert_where_scanning_is_on(github: Saying) -> None:
    found = ask(github)

    assert found == SecretAlerts(project="acme/orders", is_enabled=True, is_push_protected=True)
    assert decode(encode(found)) == found
    assert {(seen.method, seen.headers["authorization"]) for seen in github.seen} == {("GET", f"Bearer {TOKEN}")}


def test_open_alerts_of_all_pages_are_read_and_closed_ones_counted_by_their_reason(github: Saying) -> None:
    more = f"{github.address}{OPEN}&after=x"
    github.answer(OPEN, Says(body=[alert(7)], headers={"Link": f'<{more}>; rel="next"'}))
    github.answer(f"{OPEN}&after=x", Says(body=[alert(3, validity="unknown", publicly_leaked=True)]))
    github.answer(
        CLOSED, Says(body=[alert(n, resolution=r) for n, r in ((1, "revoked"), (2, "false_positive"), (4, None))])
    )

    found = ask(github)

    assert found.open == (
        SecretAlert(number=3, kind="quub_api_key", validity="unknown", is_publicly_leaked=True),
        SecretAlert(number=7, kind="quub_api_key", validity="active"),
    )
    assert found.closed == (("false_positive", 1), ("no reason", 1), ("revoked", 1))


def test_scanning_that_is_switched_off_is_a_fact_and_its_alerts_are_not_asked_for(github: Saying) -> None:
    github.answer(PROJECT, settings("disabled", "disabled"))

    assert ask(github) == SecretAlerts(project="acme/orders", is_enabled=False, is_push_protected=False)
    assert len(github.seen) == 1


def test_a_token_that_is_not_told_the_settings_still_reads_the_alerts(github: Saying) -> None:
    github.answer(PROJECT, Says(body={"full_name": "acme/orders"}))

    assert ask(github).is_push_protected is None


@pytest.mark.parametrize(
    ("path", "says", "error", "words"),
    [
        (PROJECT, Says(404, {}), Absent, "no project acme/orders"),
        (PROJECT, Says(401, {}), Denied, "not accepted"),
        (OPEN, Says(403, {"message": "Resource not accessible"}), Denied, "denied to the token"),
        (OPEN, Says(404, {"message": "Secret scanning is disabled on this repository."}), Denied, "switched off, or"),
        (OPEN, Says(403, {"message": "API rate limit exceeded"}), Throttled, "rate limit"),
        (OPEN, Says(418, {}), Unsupported, "418"),
        (OPEN, Says(200, {"message": "no list"}), Malformed, "no list"),
        (OPEN, Says(200, [{"state": "open"}]), Malformed, "no number"),
        (OPEN, Says(200, b"<html>"), Malformed, "no JSON"),
    ],
)
def test_each_refusal_says_what_is_missing(
    github: Saying, path: str, says: Says, error: type[Reportable], words: str
) -> None:
    github.answer(path, says)

    with pytest.raises(error, match=words) as raised:
        ask(github)

    if isinstance(raised.value, Denied):
        assert raised.value.permission == "secret_scanning_alerts: read"
    assert "app" in raised.value.message


def test_no_host_is_no_answer_and_a_token_is_struck(github: Saying) -> None:
    redactor, elsewhere = Redactor(), Repository(name="app", path="/nowhere")
    asking = connector(repository(github), redactor=redactor)

    for ask_for in (asking.secret_alerts, asking.dependency_alerts, asking.code_scanning):
        assert ask_for(elsewhere) is None
    assert redactor.clean(TOKEN) == STRUCK


# Packages


def on_package(number: int, **changes: Any) -> dict[str, Any]:
    """One alert of Dependabot."""
    return {
        "number": number,
        "state": "open",
        "dependency": {
            "package": {"ecosystem": "pip", "name": "Django"},
            "manifest_path": "api/requirements.txt",
            "scope": "runtime",
        },
        "security_advisory": {
            "ghsa_id": "GHSA-rf4j-j272-fj86",
            "cve_id": "CVE-2018-6188",
            "summary": "An account that is inactive is told",
            "severity": "high",
            "cvss_severities": {
                "cvss_v3": {"vector_string": "CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N", "score": 7.5},
                "cvss_v4": {"vector_string": None, "score": 0.0},
            },
            "epss": [{"percentage": 0.00045, "percentile": "0.16001e0"}],
            "cwes": [{"cwe_id": "CWE-200", "name": "Exposure"}],
            "withdrawn_at": None,
        },
        "security_vulnerability": {"severity": "medium", "first_patched_version": {"identifier": "2.0.2"}},
        "dismissed_reason": None,
        **changes,
    }


def test_alerts_on_packages_of_all_pages_are_read_with_what_was_dismissed(github: Saying) -> None:
    asked = f"{PACKAGES}?per_page=100&state=auto_dismissed,dismissed,open"
    more = f"{asked}&after=x"
    withdrawn = {**on_package(9)["security_advisory"], "withdrawn_at": "2026-01-01T00:00:00Z"}
    malware = {"ghsa_id": "GHSA-a", "classification": "malware", "epss": None}
    package = {"ecosystem": "npm", "name": "@acme/x"}
    github.answer(asked, Says(body=[on_package(2)], headers={"Link": f'<{github.address}{more}>; rel="next"'}))
    github.answer(
        more,
        Says(
            body=[
                on_package(3, state="dismissed", dismissed_reason="tolerable_risk"),
                on_package(4, state="auto_dismissed"),
                on_package(5, security_advisory=withdrawn),
                on_package(
                    6,
                    dependency={"package": package, "scope": "development"},
                    security_advisory=malware,
                    security_vulnerability={"severity": "critical", "first_patched_version": None},
                ),
            ]
        ),
    )

    found = packages(github)

    assert (found.project, found.is_enabled) == ("acme/orders", True)
    assert found.findings[0] == ScanFinding(
        id="GHSA-rf4j-j272-fj86",
        level="high",
        title="An account that is inactive is told",
        aliases=("CVE-2018-6188",),
        subject="pkg:pypi/django",
        fixed_in=("2.0.2",),
        cwes=(200,),
        file="api/requirements.txt",
        exploit_probability=0.00045,
    )
    assert [each.acceptance for each in found.findings[1:3]] == [
        Acceptance(by="somebody at GitHub", reason="tolerable_risk"),
        Acceptance(by="a rule of GitHub", reason="auto_dismissed"),
    ]
    assert found.findings[3:] == (
        ScanFinding(id="GHSA-a", level="critical", subject="pkg:npm/%40acme/x", tags=("malware",), is_development=True),
    )


OFF = Says(403, {"message": "Dependabot alerts are disabled for this repository."})
NO_LICENCE = Says(403, {"message": "Advanced Security must be enabled for this repository to use code scanning."})
NOT_ON = Says(403, {"message": "Code scanning is not enabled for this repository. Please enable it in the settings."})
NONE_YET = Says(404, {"message": "no analysis found"})


def test_what_is_switched_off_and_what_never_ran_are_facts(github: Saying) -> None:
    github.answer(PACKAGES, OFF)
    assert packages(github) == DependencyAlerts(project="acme/orders", is_enabled=False)

    for says, is_enabled in ((NO_LICENCE, False), (NOT_ON, False), (NONE_YET, True)):
        github.answer(ANALYSES, says)
        assert code(github) == CodeScanning(project="acme/orders", is_enabled=is_enabled)


@pytest.mark.parametrize(
    ("path", "says", "error", "words"),
    [
        (PACKAGES, Says(403, {"message": "Resource not accessible by integration"}), Denied, "dependabot_alerts: read"),
        (PACKAGES, Says(404, {"message": "Not Found"}), Denied, "dependabot_alerts: read"),
        (PACKAGES, Says(429, {}, headers={"Retry-After": "900"}), Throttled, "429"),
        (PACKAGES, Says(body=[{"number": 1}]), Malformed, "no advisory or no package"),
        (PACKAGES, Says(body={"message": "no list"}), Malformed, "no list"),
        (ANALYSES, Says(403, {"message": "Resource not accessible"}), Denied, "code_scanning_alerts: read"),
        (ANALYSES, Says(404, {"message": "Not Found"}), Denied, "code_scanning_alerts: read"),
        (ANALYSES, Says(503, {}, headers={"Retry-After": "900"}), Reportable, "503"),
        (ANALYSES, Says(body=[{"commit_sha": COMMIT}]), Malformed, "no id"),
    ],
)
def test_each_refusal_of_alerts_and_analyses_says_what_is_missing(
    github: Saying, path: str, says: Says, error: type[Reportable], words: str
) -> None:
    github.answer(path, says)
    github.answer(DISMISSED, Says(body=[]))

    with pytest.raises(error) as raised:
        (packages if path == PACKAGES else code)(github)

    assert words in f"{raised.value.message} {raised.value.next_step}"


# Code


def analysis(number: int, **changes: Any) -> dict[str, Any]:
    """One analysis of a list, the newest first."""
    return {
        "id": number,
        "ref": "refs/heads/main",
        "commit_sha": COMMIT,
        "category": "/language:python",
        "created_at": "2026-11-20T10:00:00Z",
        "results_count": 2,
        "rules_count": 2,
        "tool": {"name": "CodeQL", "version": "2.20"},
        "error": "",
        "warning": "",
        **changes,
    }


def sarif(*alerts: int) -> dict[str, Any]:
    """An analysis as GitHub gives it, with a result for each alert."""
    rules = [
        {"id": "py/sqli", "properties": {"tags": ["external/cwe/cwe-089"], "security-severity": "8.8"}},
        {"id": "py/path", "properties": {"tags": ["external/cwe/cwe-022"], "security-severity": "7.5"}},
    ]
    results = [
        {
            "ruleId": "py/sqli",
            "message": {"text": "x"},
            "locations": [
                {"physicalLocation": {"artifactLocation": {"uri": f"a{number}.py"}, "region": {"startLine": 3}}}
            ],
            "properties": {"github/alertNumber": number, "github/alertUrl": "https://github.test/1"},
        }
        for number in alerts
    ]
    provenance = [{"branch": "refs/heads/main", "revisionId": "b" * 40}]
    run = {"tool": {"driver": {"name": "CodeQL", "rules": rules}}, "results": results}
    return {"version": "2.1.0", "runs": [{**run, "versionControlProvenance": provenance}]}


def test_the_newest_analysis_of_the_commit_is_read_for_each_tool_and_category(github: Saying) -> None:
    rows = [
        analysis(9, commit_sha="d" * 40, created_at="2026-11-24T10:00:00Z"),
        analysis(8),
        analysis(7),
        analysis(6, tool={"name": "Semgrep"}, error="it broke"),
    ]
    github.answer(ANALYSES, Says(body=rows))
    github.answer(f"{ANALYSES}/8", Says(body=sarif(1, 2)))
    github.answer(f"{ANALYSES}/6", Says(body=sarif()))
    github.answer(DISMISSED, Says(body=[{"number": 2, "dismissed_reason": "false positive"}, {"number": 5}]))

    found = code(github)

    assert (found.newest_commit, found.newest_at) == ("d" * 40, datetime(2026, 11, 24, 10, tzinfo=UTC))
    first, second = found.scans
    assert (first.covers, first.cwes, first.unread) == ("code", (22, 89), ())
    assert (first.origin.commit, first.origin.produced_at) == (COMMIT, datetime(2026, 11, 20, 10, tzinfo=UTC))
    assert [(each.file, each.level, each.acceptance is not None) for each in first.findings] == [
        ("a1.py", "high", False),
        ("a2.py", "high", True),
    ]
    assert second.unread == ("what GitHub says of it: it broke",)
    assert {seen.headers["accept"] for seen in github.seen if seen.path == f"{ANALYSES}/8"} == {
        "application/sarif+json"
    }


def test_no_analysis_of_the_commit_is_read_where_there_is_none(github: Saying) -> None:
    github.answer(ANALYSES, Says(body=[analysis(9, commit_sha="d" * 40)]))

    found = code(github)

    assert (found.scans, found.newest_commit, len(github.seen)) == ((), "d" * 40, 1)


@pytest.mark.parametrize(
    "document",
    [{}, {"version": "2.1.0"}, {"version": "2.1.0", "runs": [7]}, {"version": "2.1.0", "runs": {}}, {"version": "1"}],
)
def test_an_analysis_that_is_no_sarif_is_malformed(github: Saying, document: dict[str, Any]) -> None:
    github.answer(ANALYSES, Says(body=[analysis(8)]))
    github.answer(f"{ANALYSES}/8", Says(body=json.dumps(document).encode()))
    github.answer(DISMISSED, Says(body=[]))

    with pytest.raises(Malformed, match="analysis 8 of acme/orders"):
        code(github)


NAMES = (
    *("number", "id", "state", "dependency", "package", "ecosystem", "name", "scope", "manifest_path", "error", "tool"),
    *("security_advisory", "security_vulnerability", "ghsa_id", "cve_id", "epss", "percentage", "cwes", "cwe_id"),
    *("cvss", "cvss_severities", "commit_sha", "category", "created_at", "runs", "results", "properties", "version"),
    *("github/alertNumber", "first_patched_version", "identifier", "dismissed_reason", "classification", "driver"),
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.sampled_from(("", "x", "2.1.0", COMMIT)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=8),
    max_leaves=40,
)


def test_no_answer_makes_the_reader_raise_anything_but_what_is_reported() -> None:
    with saying() as world:

        @given(
            st.lists(st.dictionaries(st.sampled_from(NAMES), VALUES), max_size=3),
            st.fixed_dictionaries({"version": st.just("2.1.0"), "runs": VALUES}),
        )
        @hypothesis.settings(max_examples=60, deadline=None)
        def law(rows: list[dict[str, Any]], document: dict[str, Any]) -> None:
            usual = on_package(1)
            bent = [{**usual, "security_advisory": {**usual["security_advisory"], **each}, **each} for each in rows]
            for path, body in ((PACKAGES, bent), (DISMISSED, rows), (f"{ANALYSES}/8", document)):
                world.answer(path, Says(body=body))
            world.answer(ANALYSES, Says(body=[{**analysis(8), **each, "id": 8, "commit_sha": COMMIT} for each in rows]))
            for ask_for in (packages, code):
                with contextlib.suppress(Reportable):
                    ask_for(world)

        law()


def test_only_the_number_of_an_alert_accepts_a_result(github: Saying) -> None:
    document = sarif(1)
    document["runs"][0]["results"][0]["properties"]["github/alertNumber"] = True
    github.answer(ANALYSES, Says(body=[analysis(8)]))
    github.answer(f"{ANALYSES}/8", Says(body=document))
    github.answer(DISMISSED, Says(body=[{"number": 1}]))

    assert code(github).scans[0].findings[0].acceptance is None
