"""Each category is looked for by something that can find it, and what is open or missing is named."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quub_audit.checks.testing.security._answers import (
    FOREIGN,
    MAX_SEARCHED,
    Fault,
    cookie_faults,
    cors_faults,
    error_faults,
    header_faults,
    listing_faults,
    method_faults,
    surface_faults,
)
from quub_audit.checks.testing.security._categories import CATEGORIES, Edition, by_tag, by_weakness
from quub_audit.checks.testing.security.owasp_top_10 import (
    Look,
    TopTenParameters,
    is_open,
    judge_categories,
    look_at_alerts,
    look_at_faults,
    look_at_protocols,
    look_at_scan,
    look_at_tests,
)
from quub_audit.facts.artifacts import Acceptance, Origin, Scan, ScanFinding, TestCase
from quub_audit.facts.http import Cookie, HttpAnswer
from quub_audit.facts.tls import TlsScan
from quub_audit.facts.web import WebExposure, WebSurface
from quub_audit.model.environment import Artifact, Endpoint, Environment, GitHubProject, Purpose, Repository
from quub_audit.model.finding import Finding
from quub_audit.model.result import ItemResult
from quub_audit.model.status import FindingStatus, Grade, Status
from quub_audit.testing import audit_item
from tests.connectors.identity.saying import Says, saying
from tests.worlds.shopfront import HARDENED, HTML, TEXT, good, page, shop
from tests.worlds.web import Names, Script, answer, closed_port, endpoint_at, serve

ITEM = "testing.security.owasp-top-10"
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
COMMIT = "c" * 40
WANTED = TopTenParameters()
LATEST = CATEGORIES["2025"]
PASS, FAIL, ERROR, WARNING = FindingStatus.PASS, FindingStatus.FAIL, FindingStatus.ERROR, FindingStatus.WARNING


def ids(look: Look) -> list[str]:
    return [category.id for category, _ in look.shown]


def statuses(findings: Sequence[Finding] | Iterator[Finding]) -> list[FindingStatus]:
    return [finding.status for finding in findings]


# Categories


@pytest.mark.parametrize("edition", ["2021", "2025"])
def test_an_edition_has_ten_categories_and_no_weakness_stands_in_two(edition: Edition) -> None:
    categories = CATEGORIES[edition]
    cwes = [cwe for category in categories for cwe in category.cwes]

    assert [category.id for category in categories] == [f"A{number:02}" for number in range(1, 11)]
    assert len(cwes) == len(set(cwes))
    assert all(category.shown_by and category.wanted for category in categories)


def test_categories_of_2021_have_as_many_weaknesses_as_owasp_counts_on_their_pages() -> None:
    assert [len(category.cwes) for category in CATEGORIES["2021"]] == [34, 29, 33, 40, 20, 3, 22, 10, 4, 1]


@pytest.mark.parametrize(
    ("edition", "cwes", "tags", "expected"),
    [
        ("2025", (89,), (), "A05"),
        ("2021", (89,), (), "A03"),
        ("2025", (918,), (), "A01"),
        ("2021", (918,), (), "A10"),
        ("2025", (209,), (), "A10"),
        ("2021", (209,), (), "A04"),
        ("2025", (119,), (), None),
        ("2025", (), (), None),
        ("2021", (89,), ("OWASP-A01:2021 - Broken Access Control",), "A01"),
        ("2025", (89,), ("OWASP-A01:2021 - Broken Access Control",), "A05"),
        ("2021", (), ("OWASP_2021_A03",), "A03"),
        ("2025", (119, 79), (), "A05"),
    ],
)
def test_a_finding_belongs_where_its_tags_or_its_weakness_say(
    edition: Edition, cwes: tuple[int, ...], tags: tuple[str, ...], expected: str | None
) -> None:
    category = by_weakness(CATEGORIES[edition], cwes, tags)

    assert (category.id if category else None) == expected


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("owasp:A01", ["A01"]),
        ("OWASP:a01:2025", ["A01"]),
        ("owasp:A01:2021", []),
        ("cwe:639", ["A01"]),
        ("CWE-0089", ["A05"]),
        ("idor", ["A01"]),
        ("Fail-Closed", ["A10"]),
        ("owasp:A11", []),
        ("smoke", []),
        ("owasp", []),
    ],
)
def test_a_test_says_by_its_tags_what_it_is_about(tag: str, expected: list[str]) -> None:
    assert [category.id for category in by_tag(LATEST, [tag])] == expected


# Scans


def scan(*findings: ScanFinding, **changes: Any) -> Scan:
    told = {
        "origin": Origin(file="x", tool="tool"),
        "covers": "code",
        "volume": 40,
        "volume_of": "rules",
        "cwes": (89,),
    }
    return Scan(**{**told, "findings": findings, **changes})


def found(**changes: Any) -> ScanFinding:
    return ScanFinding(**{"id": "sqli", "level": "high", "cwes": (89,), "file": "a.py", "line": 3, **changes})


ZAP: dict[str, Any] = {
    "covers": "dynamic",
    "volume": 120,
    "volume_of": "URLs",
    "is_active": True,
    "pages": ("https://shop.test/account/orders",),
    "cwes": (),
}
INSIDE = TopTenParameters(authenticated_paths=("/account/*",))


@pytest.mark.parametrize(
    ("seen", "wanted", "shown"),
    [
        (scan(), WANTED, ["A05"]),
        (scan(cwes=()), WANTED, []),
        (scan(cwes=(22, 327, 502, 799, 1104)), WANTED, ["A01", "A04", "A08"]),
        (scan(covers="dependencies"), WANTED, ["A03"]),
        (scan(covers="image"), WANTED, ["A03"]),
        (scan(covers="infrastructure"), WANTED, ["A02"]),
        (scan(covers="secrets"), WANTED, []),
        (scan(covers="acceptances"), WANTED, []),
        (scan(**ZAP), INSIDE, ["A02", "A05"]),
        (scan(**ZAP), WANTED, ["A02"]),
        (scan(**{**ZAP, "is_authenticated": True}), WANTED, ["A02", "A05"]),
        (scan(**{**ZAP, "is_active": None}), INSIDE, ["A02"]),
        (scan(**{**ZAP, "volume": 3}), INSIDE, []),
        (scan(volume=0), WANTED, []),
        (scan(unread=("half of it",)), WANTED, []),
        (scan(found()), WANTED, []),
        (scan(found(level="medium")), WANTED, ["A05"]),
    ],
)
def test_a_scan_shows_what_it_could_have_found(seen: Scan, wanted: TopTenParameters, shown: list[str]) -> None:
    assert ids(look_at_scan("sast", seen, NOW, wanted)) == shown


@pytest.mark.parametrize(
    ("finding", "expected"),
    [
        (found(), True),
        (found(level="critical"), True),
        (found(level="unknown"), True),
        (found(level="medium"), False),
        (found(confidence="medium"), True),
        (found(confidence="low"), False),
        (found(confidence="false positive"), False),
        (found(acceptance=Acceptance(by="a comment")), False),
        (found(acceptance=Acceptance(by="vex", expires=datetime(2027, 1, 1, tzinfo=UTC))), False),
        (found(acceptance=Acceptance(by="vex", expires=datetime(2026, 1, 1, tzinfo=UTC))), True),
    ],
)
def test_a_finding_is_open_unless_it_is_slight_unlikely_or_accepted(finding: ScanFinding, expected: bool) -> None:
    assert is_open(finding, NOW) is expected


def test_open_findings_fail_by_category_and_those_of_none_fail_too() -> None:
    look = look_at_scan("sast", scan(found(), found(line=9), found(id="overflow", cwes=(119,))), NOW, WANTED)

    assert [(finding.status, finding.subject) for finding in look.findings] == [
        (FAIL, "A05:2025 Injection, sast"),
        (FAIL, "no category of the edition, sast"),
    ]
    assert look.findings[0].observed.endswith("has 2 open: sqli at a.py:3, sqli at a.py:9")


def test_a_vulnerable_package_belongs_to_the_supply_chain_whatever_its_weakness() -> None:
    (finding,) = look_at_scan("deps", scan(found(), covers="dependencies"), NOW, WANTED).findings

    assert finding.subject == "A03:2025 Software Supply Chain Failures, deps"


def test_a_baseline_scan_says_why_it_does_not_count() -> None:
    few = look_at_scan("dast", scan(**{**ZAP, "volume": 3}), NOW, WANTED).findings
    watching = look_at_scan("dast", scan(**{**ZAP, "is_active": None}), NOW, WANTED).findings

    assert [finding.observed for finding in (*few, *watching)] == [
        "dast: tool tells of 3 URLs, expected 20 or more",
        "dast: tool does not show that it attacked and tells of no page of `authenticated_paths`",
    ]


# Tests, alerts, rows


def case(outcome: Any, *tags: str) -> TestCase:
    return TestCase(suite="authz", name="refuses", outcome=outcome, tags=tags)


def test_a_tagged_test_that_passed_shows_and_one_that_failed_fails() -> None:
    cases = [case("passed", "idor"), case("failed", "lockout"), case("skipped", "owasp:A06"), case("failed")]

    look = look_at_tests("unit", cases, LATEST)

    assert ids(look) == ["A01"]
    assert [(each.status, each.subject) for each in look.findings] == [(FAIL, "A07:2025 Authentication Failures, unit")]


@pytest.mark.parametrize(
    ("rules", "managers", "shown"), [(3, ("am:9093",), ["A09"]), (0, ("am:9093",), []), (3, (), [])]
)
def test_alerting_rules_show_alerting_where_they_lead_somewhere(
    rules: int, managers: tuple[str, ...], shown: list[str]
) -> None:
    assert ids(look_at_alerts("main", rules, managers, LATEST)) == shown


def test_a_category_without_evidence_is_named_with_what_would_show_it() -> None:
    rows = {
        row.subject: row for row in judge_categories(LATEST, [look_at_tests("unit", [case("passed", "idor")], LATEST)])
    }

    assert len(rows) == 10
    assert rows["A01:2025 Broken Access Control"].status is PASS
    assert rows["A06:2025 Insecure Design"].is_undecided
    assert rows["A06:2025 Insecure Design"].expected == "tests tagged @owasp:A06"


@given(
    st.lists(st.sampled_from([case("passed", "idor"), case("failed", "idor"), case("skipped", "xss"), case("passed")]))
)
def test_a_failed_test_never_leaves_its_category_passed(cases: list[TestCase]) -> None:
    look = look_at_tests("unit", cases, LATEST)
    rows = list(judge_categories(LATEST, [look]))

    is_failed = case("failed", "idor") in cases
    is_shown = case("passed", "idor") in cases and not is_failed
    assert (PASS in statuses(rows)) is is_shown
    assert (FAIL in statuses(look.findings)) is is_failed


# What is served


def said(status: int = 200, body: str = "", cookies: Sequence[Cookie] = (), **headers: str) -> HttpAnswer:
    told = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return HttpAnswer(
        url="https://shop.test/", address="x", status=status, headers=told, body=body, cookies=tuple(cookies)
    )


HARD = {"content_security_policy": "default-src 'self'; frame-ancestors 'none'", "x_content_type_options": "nosniff"}


@pytest.mark.parametrize(
    ("headers", "missing"),
    [
        (HARD, []),
        ({**HARD, "content_security_policy": "default-src 'self'"}, ["frame-ancestors"]),
        ({**HARD, "content_security_policy": "default-src 'self'", "x_frame_options": "DENY"}, []),
        ({**HARD, "x_content_type_options": "sniff"}, ["X-Content-Type-Options: nosniff"]),
        ({}, ["Content-Security-Policy", "X-Content-Type-Options: nosniff", "frame-ancestors"]),
    ],
)
def test_a_page_needs_its_headers(headers: Mapping[str, Any], missing: list[str]) -> None:
    faults = list(header_faults("/", said(**headers), is_page=True))

    assert [fault.words for fault in faults] == [f"/ has no {name}" for name in missing]
    assert all(fault.is_grave for fault in faults)


def test_a_policy_in_the_page_itself_cannot_forbid_frames() -> None:
    page_ = said(body='<meta http-equiv="Content-Security-Policy" content="x">', x_content_type_options="nosniff")

    assert [fault.words for fault in header_faults("/", page_, is_page=True)] == ["/ has no frame-ancestors"]


def test_an_api_is_told_of_headers_and_fails_on_none() -> None:
    assert [fault.is_grave for fault in header_faults("/", said(), is_page=False)] == [False]


@pytest.mark.parametrize(
    ("cookie", "grave", "told"),
    [
        (Cookie(name="sid", attributes=(("secure", ""), ("httponly", ""), ("samesite", "Lax"))), [], 0),
        (Cookie(name="sid", attributes=(("httponly", ""), ("samesite", "Lax"))), [614], 0),
        (Cookie(name="auth_token", attributes=(("secure", ""),)), [1004], 1),
        (Cookie(name="theme"), [], 1),
    ],
)
def test_a_cookie_of_a_session_needs_its_attributes(cookie: Cookie, grave: list[int], told: int) -> None:
    faults = list(cookie_faults("/", said(cookies=[cookie])))

    assert [fault.cwe for fault in faults if fault.is_grave] == grave
    assert sum(not fault.is_grave for fault in faults) == told


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"access_control_allow_origin": FOREIGN, "access_control_allow_credentials": "true"}, [True]),
        ({"access_control_allow_origin": FOREIGN}, [False]),
        ({"access_control_allow_origin": "*"}, []),
        ({"access_control_allow_origin": "*", "access_control_allow_credentials": "true"}, [False]),
        ({"access_control_allow_origin": "https://shop.test"}, []),
        ({}, []),
    ],
)
def test_an_origin_that_nobody_knows_may_read_nothing_with_credentials(
    headers: Mapping[str, Any], expected: list[bool]
) -> None:
    assert [fault.is_grave for fault in cors_faults("/", said(**headers))] == expected


@pytest.mark.parametrize(
    "body",
    [
        'Traceback (most recent call last):\n  File "/app/x.py", line 3',
        "java.lang.NullPointerException\n\tat com.shop.Orders.find(Orders.java:42)",
        "Error: no\n    at Object.find (/app/orders.js:10:5)",
        "<pre>Error: no<br> &nbsp; at /app/node_modules/express/lib/router.js:1:2</pre>",
        "   at Shop.Orders.Find(Int32 id) in C:\\src\\Orders.cs:line 7",
        "panic: x\n\ngoroutine 1 [running]:",
        "<b>Fatal error</b>: Uncaught Error: no in /var/www/index.php:3",
        "app/models/order.rb:3:in `find'",
        "you have <code>DEBUG = True</code> in your settings",
        'ERROR: syntax error at or near "x"',
    ],
)
def test_a_stack_in_an_error_page_is_recognised(body: str) -> None:
    assert [fault.cwe for fault in error_faults("/x", said(500, body))] == [209]


@pytest.mark.parametrize(
    "body", ["", "not found", "Look at our office.\nWe are at the corner (map.html:1)", '{"error":"no"}']
)
def test_an_ordinary_error_page_is_none(body: str) -> None:
    assert list(error_faults("/x", said(404, body))) == []


@pytest.mark.parametrize("unit", ["at ", " ", "\n", "at a.b(", "Warning: ", "a.rb", "[x]$ "])
def test_no_page_makes_the_search_for_stacks_run_away(unit: str) -> None:
    assert list(error_faults("/x", said(500, unit * MAX_SEARCHED))) == []


def test_listings_trace_exposures_and_unguarded_scripts_are_faults() -> None:
    exposed = (
        WebExposure(path="/.env", kind="environment", observed="variables of the process"),
        WebExposure(path="/openapi.json", kind="api", observed="a description"),
        WebExposure(path="/server-status", kind="diagnostics", observed="Apache's status"),
    )
    surface = WebSurface(page_status=200, exposures=exposed, foreign_scripts=("https://cdn.test/a.js",))

    assert [fault.cwe for fault in listing_faults("/x/", said(body="<title>Index of /x/</title>"))] == [548]
    assert [fault.is_grave for fault in method_faults("/", said(allow="GET, TRACE"))] == [False]
    assert [(fault.cwe, fault.is_grave) for fault in surface_faults(surface)] == [
        (538, True),
        (489, True),
        (829, False),
    ]


def test_faults_fail_in_their_category_and_a_clean_endpoint_shows_configuration() -> None:
    clean = look_at_faults("shop", [Fault(cwe=829, words="told", is_grave=False)], LATEST)
    bad = look_at_faults("shop", [Fault(cwe=16, words="no header"), Fault(cwe=538, words="/.env")], LATEST)

    assert (ids(clean), statuses(clean.findings)) == (["A02"], [WARNING])
    assert ids(bad) == []
    assert [finding.subject for finding in bad.findings] == [
        "A02:2025 Security Misconfiguration, shop",
        "A01:2025 Broken Access Control, shop",
    ]


def tls_scan(**changes: Any) -> TlsScan:
    return TlsScan(
        **{"address": "x", "server_name": "shop.test", "accepted": (("TLSv1.2", ()),), "refused": (), **changes}
    )


def test_tls_that_was_not_seen_as_a_whole_shows_nothing() -> None:
    for changes in ({}, {"accepted": ()}, {"undecided": (("TLSv1", "reset"),)}):
        look = look_at_protocols("shop", tls_scan(**changes), LATEST)
        assert (look.shown, statuses(look.findings)) == ((), [WARNING])

    old = look_at_protocols("shop", tls_scan(accepted=(("TLSv1", ()), ("TLSv1.2", ()))), LATEST)
    assert statuses(old.findings) == [FAIL]


# On real peers


@contextmanager
def serving(names: Names, script: Script) -> Iterator[Endpoint]:
    with serve(script, tls=names.context("www.shop.test")) as server:
        yield endpoint_at(
            server, "127.0.0.1:1", host="www.shop.test", name="shop", audience="browser", ca_file=names.ca_file
        )


def sarif(*levels: str) -> str:
    cwes = (22, 89, 327, 502, 287, 778, 755, 614)
    rules = [{"id": f"r{cwe}", "properties": {"tags": [f"external/cwe/cwe-{cwe:03}"]}} for cwe in cwes]
    results = [{"ruleId": "r89", "level": level, "message": {"text": "x"}} for level in levels]
    driver = {"name": "CodeQL", "version": "2", "rules": rules}
    return json.dumps({"version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]})


NPM = json.dumps(
    {
        "auditReportVersion": 2,
        "vulnerabilities": {},
        "metadata": {
            "vulnerabilities": {"info": 0, "low": 0, "moderate": 0, "high": 0, "critical": 0, "total": 0},
            "dependencies": {"prod": 40, "dev": 0, "optional": 0, "peer": 0, "peerOptional": 0, "total": 40},
        },
    }
)
JUNIT = """<testsuite name="abuse" tests="1"><testcase classname="abuse" name="a customer withdraws twice @owasp:A06"/>
</testsuite>"""


def written(folder: Path, name: str, purpose: Purpose, text: str, **changes: Any) -> Artifact:
    (folder / name).write_text(text)
    return Artifact(**{"name": name, "purpose": purpose, "files": (str(folder / name),), "commit": COMMIT, **changes})


@pytest.fixture
def artifacts(tmp_path: Path) -> tuple[Artifact, ...]:
    """What shows every category together with an endpoint."""
    return (
        written(tmp_path, "sast.sarif", "code-scan", sarif()),
        written(tmp_path, "npm.json", "dependency-scan", NPM),
        written(tmp_path, "junit.xml", "integration-tests", JUNIT),
    )


def audit(
    *artifacts: Artifact,
    endpoints: tuple[Endpoint, ...] = (),
    repositories: tuple[Repository, ...] = (),
    **asked: Any,
) -> ItemResult:
    environment = Environment(
        service="orders",
        name="production",
        stage="production",
        endpoints=endpoints,
        repositories=repositories,
        artifacts=artifacts,
    )
    return audit_item(ITEM, environment, min_evidence=Grade.ARTIFACT, commit=COMMIT, **asked)


def subjects(result: ItemResult, status: FindingStatus) -> set[str]:
    return {finding.subject for finding in result.findings if finding.status is status}


@pytest.mark.proof("pass")
def test_every_category_with_evidence_passes(names: Names, artifacts: tuple[Artifact, ...]) -> None:
    with serving(names, shop(good())) as endpoint:
        result = audit(*artifacts, endpoints=(endpoint,))

    assert result.status is Status.PASS, result.findings
    assert subjects(result, PASS) == {str(category) for category in LATEST}
    assert {finding.grade for finding in result.findings if finding.status is PASS} == {Grade.ARTIFACT}


@pytest.mark.proof("inconclusive")
def test_categories_without_evidence_are_named(artifacts: tuple[Artifact, ...]) -> None:
    result = audit(*artifacts[:2])

    assert result.status is Status.INCONCLUSIVE
    assert {finding.subject for finding in result.findings if finding.is_undecided} == {"A06:2025 Insecure Design"}
    assert len(subjects(result, PASS)) == 9


@pytest.mark.proof("inconclusive")
def test_a_declared_scan_that_looked_at_nothing_holds_back_the_pass(
    names: Names, tmp_path: Path, artifacts: tuple[Artifact, ...]
) -> None:
    empty = json.dumps({"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "CodeQL"}}, "results": []}]})
    with serving(names, shop(good())) as endpoint:
        result = audit(*artifacts, written(tmp_path, "empty.sarif", "code-scan", empty), endpoints=(endpoint,))

    assert result.status is Status.INCONCLUSIVE
    assert {finding.subject for finding in result.findings if finding.is_undecided} == {"empty.sarif"}


def analysed(days_ago: int, commit: str = COMMIT) -> Says:
    """The list of analyses at GitHub with one in it."""
    created_at = f"{datetime.now(UTC) - timedelta(days=days_ago):%Y-%m-%dT%H:%M:%SZ}"
    return Says(body=[{"id": 8, "commit_sha": commit, "created_at": created_at, "tool": {"name": "CodeQL"}}])


@pytest.mark.parametrize(
    ("analyses", "told", "status"),
    [
        (analysed(4), "acme/orders at GitHub: CodeQL 2, 8 rules", Status.PASS),
        (
            analysed(4, "d" * 40),
            "there is no analysis of the audited commit: the newest is of dddddddddddd",
            Status.INCONCLUSIVE,
        ),
        (analysed(54), "the analysis of CodeQL is 54 days old", Status.INCONCLUSIVE),
        (
            Says(404, {"message": "no analysis found"}),
            "there is no analysis of the audited commit: there never was one",
            Status.INCONCLUSIVE,
        ),
        (
            Says(403, {"message": "Advanced Security must be enabled for this repository to use code scanning."}),
            "code scanning is switched off",
            Status.INCONCLUSIVE,
        ),
        (Says(403, {"message": "Resource not accessible by integration"}), "code_scanning_alerts", Status.ERROR),
    ],
)
def test_analyses_at_github_show_categories_where_they_are_of_the_commit_and_fresh(
    names: Names, tmp_path: Path, artifacts: tuple[Artifact, ...], analyses: Says, told: str, status: Status
) -> None:
    with saying() as github, serving(names, shop(good())) as endpoint:
        base = "/repos/acme/orders/code-scanning"
        github.answer(f"{base}/analyses", analyses)
        github.answer(f"{base}/analyses/8", Says(body=sarif().encode()))
        github.answer(f"{base}/alerts", Says(body=[]))
        project = GitHubProject(project="acme/orders", url=github.address, token="a-token")
        hosted = Repository(name="app", path=str(tmp_path), github=project)
        result = audit(*artifacts[1:], endpoints=(endpoint,), repositories=(hosted,))

    said = " ".join(f"{finding.observed} {finding.message}{finding.next_step}" for finding in result.findings)
    assert (result.status, told in said) == (status, True), said


def test_an_open_alert_at_github_fails_and_one_that_was_dismissed_does_not(tmp_path: Path) -> None:
    document = json.loads(sarif("error", "error"))
    for number, one in enumerate(document["runs"][0]["results"], start=1):
        one |= {"properties": {"github/alertNumber": number}, "ruleId": f"r{(89, 22)[number - 1]}"}
    with saying() as github:
        base = "/repos/acme/orders/code-scanning"
        github.answer(f"{base}/analyses", analysed(4))
        github.answer(f"{base}/analyses/8", Says(body=document))
        github.answer(f"{base}/alerts", Says(body=[{"number": 2, "dismissed_reason": "false positive"}]))
        hosted = Repository(
            name="app", path=str(tmp_path), github=GitHubProject(project="acme/orders", url=github.address)
        )
        result = audit(repositories=(hosted,))

    assert result.status is Status.FAIL
    assert subjects(result, FAIL) == {"A05:2025 Injection, acme/orders at GitHub"}


@pytest.mark.proof("inconclusive")
def test_nothing_declared_and_stale_evidence_are_inconclusive(artifacts: tuple[Artifact, ...]) -> None:
    assert audit().status is Status.INCONCLUSIVE
    assert audit(replace(artifacts[0], commit="d" * 40), *artifacts[1:]).status is Status.INCONCLUSIVE


@pytest.mark.proof("fail")
def test_an_open_finding_fails_in_its_category(tmp_path: Path, artifacts: tuple[Artifact, ...]) -> None:
    result = audit(written(tmp_path, "bad.sarif", "code-scan", sarif("error", "note")), *artifacts[1:])

    assert (result.status, subjects(result, FAIL)) == (Status.FAIL, {"A05:2025 Injection, bad.sarif"})


BAD_PAGE = answer(
    200,
    "<title>Index of /</title>",
    HTML,
    ("Set-Cookie", "sid=abcdefgh12345678; Path=/"),
    ("Access-Control-Allow-Origin", FOREIGN),
    ("Access-Control-Allow-Credentials", "true"),
)


@pytest.mark.proof("fail")
def test_an_endpoint_that_gives_things_away_fails_by_category(names: Names) -> None:
    pages = {"/": BAD_PAGE, "/.git/HEAD": answer(200, "ref: refs/heads/main\n", TEXT)}
    otherwise = answer(500, "Traceback (most recent call last):\n", TEXT)
    for probe in ("/.env", "/actuator"):
        pages[probe] = answer(404, "")
    with serving(names, shop(pages, otherwise=otherwise)) as endpoint:
        result = audit(endpoints=(endpoint,), check="answers")

    assert result.status is Status.FAIL
    assert subjects(result, FAIL) == {
        "A01:2025 Broken Access Control, shop",
        "A02:2025 Security Misconfiguration, shop",
        "A10:2025 Mishandling of Exceptional Conditions, shop",
    }


@pytest.mark.proof("error")
def test_an_endpoint_that_is_not_there_and_a_broken_report_are_errors(
    tmp_path: Path, artifacts: tuple[Artifact, ...]
) -> None:
    with closed_port() as place:
        result = audit(
            written(tmp_path, "broken.sarif", "code-scan", '{"version": "2.1.0", "runs": ['),
            *artifacts[1:],
            endpoints=(endpoint_at(place, place, name="shop"),),
        )

    assert result.status is Status.ERROR
    assert {"shop", "broken.sarif"} <= subjects(result, ERROR)


def test_the_hardened_page_is_what_the_good_world_serves() -> None:
    assert page(*HARDENED) == good()["/"]
