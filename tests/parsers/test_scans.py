from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quub_audit.errors import Malformed
from quub_audit.facts.artifacts import Level, Scan, ScanFinding
from quub_audit.parsers.scans import FORMATS, read
from quub_audit.parsers.scans.findings import (
    cwes_in,
    each_once,
    level_of_score,
    level_of_vectors,
    level_of_word,
    place,
    purl,
)
from tests.parsers.sources import DATA, recorded, source

LEAKED = "the-leaked-value"
"""What stands in the kept reports where the tools wrote a credential."""

RECORDED = (
    "bandit-1.9.4-clean.sarif",
    "bandit-1.9.4.sarif",
    "betterleaks-2.0.0.json",
    "checkov-3.3.30.json",
    "detect-secrets-1.5.0.json",
    "eslint-10.15.0.sarif",
    "gitleaks-8.30.1.json",
    "gitleaks-8.30.1.sarif",
    "gosec-2.30.0.sarif",
    "grype-0.121.2-cyclonedx.json",
    "grype-0.121.2.json",
    "npm-11.19.1-audit.json",
    "npm-11.19.1-refused.json",
    "osv-scanner-2.2.4-all-packages.json",
    "osv-scanner-2.2.4.json",
    "pip-audit-2.10.1-skipped.json",
    "pip-audit-2.10.1.json",
    "pnpm-9.15.9-audit.json",
    "semgrep-1.182.0.sarif",
    "trivy-0.74.0-fs.json",
    "trivy-0.74.0-image.json",
)


def scanned(document: object) -> tuple[Scan, ...]:
    return read(source(json.dumps(document)))


def only(document: object) -> Scan:
    (scan,) = scanned(document)
    return scan


def told(scan: Scan) -> list[tuple[str, Level, str]]:
    return [(finding.id, finding.level, finding.subject) for finding in scan.findings]


# What the real tools wrote.


@pytest.mark.parametrize(
    ("name", "tool", "covers", "volume", "findings"),
    [
        (
            "npm-11.19.1-audit.json",
            "npm audit",
            "dependencies",
            2,
            [
                ("GHSA-p6mc-m468-83gw", "high", "pkg:npm/lodash"),
                ("GHSA-xvch-5gv4-984h", "critical", "pkg:npm/minimist"),
            ],
        ),
        ("npm-11.19.1-refused.json", "npm audit", "dependencies", 0, []),
        (
            "pnpm-9.15.9-audit.json",
            "npm or pnpm audit",
            "dependencies",
            2,
            [("GHSA-p6mc-m468-83gw", "high", "pkg:npm/lodash@4.17.15")],
        ),
        ("yarn-1.22.22-refused.jsonl", "yarn audit", "dependencies", 0, []),
        (
            "pip-audit-2.10.1.json",
            "pip-audit",
            "dependencies",
            2,
            [("PYSEC-2024-1", "unknown", "pkg:pypi/jinja2@3.1.2")],
        ),
        ("pip-audit-2.10.1-skipped.json", "pip-audit", "dependencies", 0, []),
        (
            "osv-scanner-2.2.4.json",
            "OSV-Scanner",
            "dependencies",
            3,
            [
                ("GHSA-p6mc-m468-83gw", "high", "pkg:npm/lodash@4.17.15"),
                ("GHSA-xvch-5gv4-984h", "critical", "pkg:npm/minimist@1.2.0"),
                ("PYSEC-2024-1", "medium", "pkg:pypi/jinja2@3.1.2"),
            ],
        ),
        (
            "semgrep-1.182.0.sarif",
            "Semgrep OSS",
            "code",
            3,
            [("python.subprocess-shell", "high", "src/app.py"), ("python.md5", "medium", "src/app.py")],
        ),
        ("gitleaks-8.30.1.json", "gitleaks", "secrets", 1, [("aws-access-token", "high", "src/app.py")]),
        ("gitleaks-8.30.1.sarif", "gitleaks", "secrets", 21, [("aws-access-token", "high", "src/app.py")]),
        ("betterleaks-2.0.0.json", "betterleaks", "secrets", 263, [("generic-api-key", "high", "src/app.py")]),
        ("detect-secrets-1.5.0.json", "detect-secrets", "secrets", 27, [("AWS Access Key", "high", "src/app.py")]),
        (
            "trivy-0.74.0-image.json",
            "Trivy",
            "image",
            3,
            [
                ("CVE-2023-5363", "high", "pkg:deb/debian/libssl3@3.0.11-1~deb12u1"),
                ("CVE-2020-8203", "high", "pkg:npm/lodash@4.17.15"),
            ],
        ),
        (
            "trufflehog-3.90.0-git.jsonl",
            "TruffleHog",
            "secrets",
            3,
            [
                ("PrivateKey", "high", "src/key.pem"),
                ("Github", "high", "src/settings.py"),
                ("Postgres", "high", "src/settings.py"),
                ("URI", "high", "src/settings.py"),
            ],
        ),
    ],
)
def test_outputs_of_real_tools_are_recounted(
    name: str, tool: str, covers: str, volume: int, findings: list[tuple[str, Level, str]]
) -> None:
    (scan,) = read(recorded(name))

    assert (scan.origin.tool, scan.covers, scan.volume, told(scan)) == (tool, covers, volume, findings)


def test_osv_scanner_counts_groups_names_manifests_and_lists_every_package_when_asked() -> None:
    (scan,) = read(recorded("osv-scanner-2.2.4-all-packages.json"))

    assert scan.volume == 4
    assert scan.targets == ("/srv/app/package-lock.json", "/srv/app/requirements.txt")
    assert scan.ecosystems == ("npm", "pypi")
    jinja = scan.findings[-1]
    assert set(jinja.aliases) == {"GHSA-h5c8-rqwp-cp95", "CVE-2024-22195"}
    assert jinja.fixed_in == ("3.1.3",)
    assert jinja.cwes == (79,)
    assert jinja.file == "/srv/app/requirements.txt"


def test_npm_audit_counts_advisories_and_tells_which_version_mends_them() -> None:
    (scan,) = read(recorded("npm-11.19.1-audit.json"))

    assert [finding.fixed_in for finding in scan.findings] == [("4.17.19",), ("1.2.6",)]
    assert scan.findings[0].cwes == (770, 1321)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("npm-11.19.1-refused.json", "everything: the audit ended with 405"),
        ("yarn-1.22.22-refused.jsonl", "everything: the audit did not come to its summary"),
        (
            "pip-audit-2.10.1-skipped.json",
            "jinja2: Dependency not found on PyPI and could not be audited: jinja2 (3.1.2)",
        ),
    ],
)
def test_a_source_that_was_down_is_a_report_of_nothing_that_says_so(name: str, why: str) -> None:
    (scan,) = read(recorded(name))

    assert scan.volume == 0
    assert scan.unread[0] == why


def test_semgrep_names_weaknesses_and_its_confidence() -> None:
    (scan,) = read(recorded("semgrep-1.182.0.sarif"))

    assert [(finding.cwes, finding.confidence, finding.line) for finding in scan.findings] == [
        ((78,), "high", 8),
        ((327,), "medium", 13),
    ]


def test_betterleaks_says_when_and_how_much_it_scanned() -> None:
    (scan,) = read(recorded("betterleaks-2.0.0.json"))

    assert scan.origin.produced_at is not None
    assert scan.volume_of == "bytes"
    assert scan.findings[0].confidence == "low"


def test_checkov_counts_checks_and_takes_a_comment_in_the_code_for_an_acceptance() -> None:
    (scan,) = read(recorded("checkov-3.3.30.json"))

    assert (scan.volume, scan.covers, scan.origin.version) == (10, "infrastructure", "3.3.30")
    accepted = [finding for finding in scan.findings if finding.acceptance]
    assert [(f.id, f.acceptance and f.acceptance.reason) for f in accepted] == [
        ("CKV_AWS_157", "one zone is enough for staging")
    ]
    assert scan.findings[0].level == "unknown"


@pytest.mark.parametrize("name", [*RECORDED, "yarn-1.22.22-refused.jsonl"])
def test_no_credential_and_no_author_of_a_report_stands_in_a_fact(name: str) -> None:
    facts = repr(read(recorded(name)))

    assert LEAKED not in facts
    assert "example.com" not in facts


def test_grype_tells_what_is_exploited_what_its_rules_leave_out_and_how_old_its_database_is() -> None:
    (scan,) = read(recorded("grype-0.121.2.json"))

    exploited, ignored = scan.findings
    assert (exploited.id, exploited.level, exploited.is_exploited) == ("GHSA-xvch-5gv4-984h", "critical", True)
    assert (ignored.exploit_probability, ignored.acceptance and ignored.acceptance.reason) == (0.021, "not reached")
    assert scan.database_at == datetime(2026, 11, 24, 10, 45, 36, tzinfo=UTC)
    assert scan.targets == (".", "package-lock.json")


def test_grypes_cyclonedx_lists_all_packages_and_the_manifests_that_it_found() -> None:
    (scan,) = read(recorded("grype-0.121.2-cyclonedx.json"))

    assert (scan.covers, scan.volume, scan.targets) == (
        "dependencies",
        5,
        (".", "package-lock.json", "requirements.txt"),
    )
    assert told(scan) == [
        ("GHSA-xvch-5gv4-984h", "critical", "pkg:npm/minimist@1.2.0"),
        ("GHSA-p6mc-m468-83gw", "high", "pkg:npm/lodash@4.17.15"),
    ]


# SARIF


def sarif(*results: Mapping[str, Any], driver: Mapping[str, Any] | None = None, **run: Any) -> dict[str, Any]:
    tool = {"driver": {"name": "CodeQL", "semanticVersion": "2.19.0", "rules": [RULE], **(driver or {})}}
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": tool, "results": list(results), **run}],
    }


RULE: dict[str, Any] = {
    "id": "py/sql-injection",
    "shortDescription": {"text": "SQL query built from user-controlled sources"},
    "defaultConfiguration": {"level": "error"},
    "properties": {
        "precision": "high",
        "security-severity": "8.8",
        "tags": ["security", "external/cwe/cwe-089"],
    },
}


def result(**fields: Any) -> dict[str, Any]:
    place = {"artifactLocation": {"uri": "src/orders.py"}, "region": {"startLine": 7, "snippet": {"text": LEAKED}}}
    message = {"text": f"The value {LEAKED} is used."}
    return {"ruleId": "py/sql-injection", "message": message, "locations": [{"physicalLocation": place}], **fields}


@pytest.mark.parametrize(
    ("name", "version", "volume", "cwes", "findings"),
    [
        (
            "bandit-1.9.4.sarif",
            "1.9.4",
            (6, "rules"),
            (78, 89, 327, 502),
            [
                ("B404", "low", "high"),
                ("B602", "high", "high"),
                ("B307", "medium", "high"),
                ("B324", "high", "high"),
                ("B403", "low", "high"),
                ("B608", "medium", "low"),
                ("B608", "medium", "medium"),
            ],
        ),
        (
            "gosec-2.30.0.sarif",
            "dev",
            (6, "rules"),
            (22, 78, 327, 328, 703),
            [
                ("G703", "high", "high"),
                ("G702", "high", "high"),
                ("G401", "medium", "high"),
                ("G204", "medium", "high"),
                ("G501", "medium", "high"),
                ("G104", "low", "high"),
            ],
        ),
        (
            "eslint-10.15.0.sarif",
            "10.15.0",
            (2, "rules"),
            (),
            [("security/detect-child-process", "medium", ""), ("security/detect-eval-with-expression", "medium", "")],
        ),
        ("bandit-1.9.4-clean.sarif", "1.9.4", (2, "files"), (), []),
    ],
)
def test_levels_and_confidence_are_those_that_the_tool_prints(
    name: str, version: str, volume: tuple[int, str], cwes: tuple[int, ...], findings: list[tuple[str, Level, str]]
) -> None:
    (scan,) = read(recorded(name))

    assert (scan.covers, scan.origin.version) == ("code", version)
    assert ((scan.volume, scan.volume_of), scan.cwes) == (volume, cwes)
    assert [(each.id, each.level, each.confidence) for each in scan.findings] == findings


def test_a_file_that_bandit_could_not_read_is_told() -> None:
    (scan,) = read(recorded("bandit-1.9.4-clean.sarif"))

    assert scan.unread == ("the tool met an error in broken.py",)


def test_a_long_log_that_begins_with_its_results_is_known() -> None:
    document = {"runs": [{"results": [result()] * 400, "tool": {"driver": {"name": "gosec"}}}], "version": "2.1.0"}

    assert len(only(document).findings) == 1


def test_codeql_is_read_by_its_rules_and_never_by_its_messages() -> None:
    scan = only(sarif(result()))

    assert scan.findings == (
        ScanFinding(
            id="py/sql-injection",
            level="high",
            title="SQL query built from user-controlled sources",
            cwes=(89,),
            tags=("security", "external/cwe/cwe-089"),
            file="src/orders.py",
            subject="src/orders.py",
            line=7,
            confidence="high",
        ),
    )


@pytest.mark.parametrize(
    ("changes", "is_there"),
    [
        ({}, True),
        ({"kind": "fail"}, True),
        ({"kind": "review"}, True),
        ({"kind": "pass"}, False),
        ({"kind": "notApplicable"}, False),
        ({"kind": "informational"}, False),
        ({"baselineState": "unchanged"}, True),
        ({"baselineState": "absent"}, False),
    ],
)
def test_a_result_counts_by_its_kind_and_state(changes: dict[str, Any], is_there: bool) -> None:
    assert bool(only(sarif(result(**changes))).findings) is is_there


@pytest.mark.parametrize(
    ("suppressions", "is_accepted"),
    [
        ([], False),
        ([{"kind": "inSource"}], True),
        ([{"kind": "external", "status": "accepted", "justification": "a test"}], True),
        ([{"kind": "external", "status": "underReview"}], False),
        ([{"kind": "inSource"}, {"kind": "external", "status": "rejected"}], False),
    ],
)
def test_a_suppression_counts_unless_it_was_rejected_or_waits(suppressions: list[Any], is_accepted: bool) -> None:
    (finding,) = only(sarif(result(suppressions=suppressions))).findings

    assert (finding.acceptance is not None) is is_accepted


@pytest.mark.parametrize(
    ("rule", "changes", "level"),
    [
        ({}, {}, "medium"),
        ({"defaultConfiguration": {"level": "note"}}, {}, "low"),
        ({"defaultConfiguration": {"level": "note"}}, {"level": "error"}, "high"),
        ({"properties": {"security-severity": "9.8"}}, {"level": "note"}, "critical"),
        ({"properties": {"security-severity": "unknown"}}, {"level": "error"}, "high"),
        ({"properties": {"security-severity": "5.0"}}, {"properties": {"security-severity": "9.1"}}, "critical"),
    ],
)
def test_the_level_is_by_score_else_by_the_result_else_by_the_rule(
    rule: dict[str, Any], changes: dict[str, Any], level: Level
) -> None:
    driver = {"rules": [{"id": "py/sql-injection", **rule}]}

    assert only(sarif(result(**changes), driver=driver)).findings[0].level == level


@pytest.mark.parametrize(
    "reference",
    [
        {"ruleId": "py/sql-injection"},
        {"ruleId": "py/sql-injection/part"},
        {"ruleIndex": 0},
        {"rule": {"index": 0}},
        {"rule": {"id": "py/sql-injection"}},
    ],
)
def test_rules_are_found_by_index_or_identifier(reference: dict[str, Any]) -> None:
    found = result(**reference)
    if "ruleId" not in reference:
        del found["ruleId"]

    assert only(sarif(found)).findings[0].id == "py/sql-injection"


def test_rules_of_extensions_count_and_are_found() -> None:
    document = sarif(result(ruleId="", rule={"index": 0, "toolComponent": {"index": 0}}), driver={"rules": []})
    document["runs"][0]["tool"]["extensions"] = [{"name": "codeql/python-queries", "rules": [RULE]}]

    scan = only(document)

    assert (scan.volume, scan.findings[0].id) == (1, "py/sql-injection")


def test_weaknesses_are_read_out_of_taxonomies_too() -> None:
    taxon = {"id": "502", "toolComponent": {"name": "CWE"}}
    rule = {"id": "x", "relationships": [{"target": {"id": "CWE-79", "toolComponent": {"name": "CWE"}}}]}

    assert only(sarif(result(ruleId="x", taxa=[taxon]), driver={"rules": [rule]})).findings[0].cwes == (79, 502)


def test_every_run_is_a_scan_and_one_without_rules_and_files_shows_nothing() -> None:
    document = sarif()
    document["runs"].append({"tool": {"driver": {"name": "Trivy"}}, "results": []})

    first, second = scanned(document)

    assert (first.volume, first.covers) == (1, "code")
    assert (second.volume, second.covers) == (0, "dependencies")


@pytest.mark.parametrize(
    ("run", "why"),
    [
        ({"invocations": [{"executionSuccessful": False}]}, "the tool says that it did not succeed"),
        ({"externalPropertyFileReferences": {"results": [{}]}}, "results are kept in other files"),
        ({"results": None}, "the run holds no list of results: the tool did not come to an end"),
        (
            {
                "invocations": [
                    {
                        "executionSuccessful": True,
                        "toolExecutionNotifications": [
                            {"level": "error", "descriptor": {"id": "Syntax error"}, "message": {"text": LEAKED}},
                            {"level": "note", "message": {"text": "fine"}},
                        ],
                    }
                ]
            },
            "the tool met an error (Syntax error)",
        ),
    ],
)
def test_what_a_tool_did_not_look_at_is_said_without_its_words(run: dict[str, Any], why: str) -> None:
    assert only(sarif(**run)).unread == (why,)


def test_a_run_says_when_it_ended_and_of_which_commit_it_is() -> None:
    invocations = [{"executionSuccessful": True, "endTimeUtc": "2026-11-20T10:00:00Z"}]
    provenance = [{"revisionId": "a" * 40}]

    origin = only(sarif(invocations=invocations, versionControlProvenance=provenance)).origin

    assert (origin.produced_at, origin.commit) == (datetime(2026, 11, 20, 10, tzinfo=UTC), "a" * 40)
    assert (origin.tool, origin.version) == ("CodeQL", "2.19.0")


# ZAP


def zap_alert(**fields: Any) -> dict[str, Any]:
    instance = {"uri": "https://user:pw@api.example.net/login?token=abc#x", "method": "GET", "evidence": LEAKED}
    return {
        "pluginid": "10038",
        "alertRef": "10038-1",
        "name": "Content Security Policy (CSP) Header Not Set",
        "riskcode": "2",
        "confidence": "3",
        "cweid": "693",
        "instances": [instance],
        "tags": [{"tag": "OWASP_2021_A05", "link": "https://owasp.org"}],
        **fields,
    }


def zap(*alerts: object, **fields: Any) -> dict[str, Any]:
    site = {"@name": "https://api.example.net", "@host": "api.example.net", "alerts": list(alerts)}
    head = {"@programName": "ZAP", "@version": "2.17.0", "@generated": "Fri, 20 Nov 2026 10:00:00"}
    return {**head, "site": [site], **fields}


def test_zap_tells_alerts_by_site_with_no_query_and_no_evidence() -> None:
    scan = only(zap(zap_alert()))

    assert (scan.covers, scan.volume, scan.volume_of, scan.targets) == (
        "dynamic",
        1,
        "URLs",
        ("https://api.example.net",),
    )
    assert scan.origin.produced_at == datetime(2026, 11, 20, 10, tzinfo=UTC)
    (finding,) = scan.findings
    assert finding == ScanFinding(
        id="10038-1",
        level="medium",
        title="Content Security Policy (CSP) Header Not Set",
        subject="https://api.example.net/login",
        cwes=(693,),
        tags=("OWASP_2021_A05",),
        confidence="high",
    )


@pytest.mark.parametrize(
    ("fields", "level", "confidence"),
    [
        ({"riskcode": "3"}, "high", "high"),
        ({"riskcode": 1, "confidence": 1}, "low", "low"),
        ({"riskcode": "0", "confidence": "0"}, "low", "false positive"),
        ({"riskcode": "3", "confidence": "4"}, "high", "confirmed"),
    ],
)
def test_zaps_numbers_are_levels(fields: dict[str, Any], level: str, confidence: str) -> None:
    (finding,) = only(zap(zap_alert(**fields))).findings

    assert (finding.level, finding.confidence) == (level, confidence)
    assert ("informational" in finding.tags) is (fields["riskcode"] == "0")


def test_zap_counts_endpoints_by_its_insights_where_it_has_them() -> None:
    insights = [
        {"key": "insight.endpoint.total", "site": "https://api.example.net", "statistic": "120"},
        {"key": "insight.network.failure", "site": "", "statistic": "63"},
        {"key": "insight.auth.failure", "site": "", "statistic": "3"},
    ]

    scan = only(zap(zap_alert(), insights=insights))

    assert (scan.volume, scan.unread) == (120, ("63% of requests got no answer",))


def test_zap_is_read_as_tools_that_turn_xml_into_json_leave_it() -> None:
    instances = {"instance": {"uri": "https://api.example.net/"}}
    document = zap()
    document["site"] = {"@name": "https://api.example.net", "alerts": {"alertitem": zap_alert(instances=instances)}}

    assert told(only(document)) == [("10038-1", "medium", "https://api.example.net/")]


def test_zap_that_reached_nothing_shows_nothing() -> None:
    assert only(zap(site=[])).volume == 0


ZAP_XML = """<?xml version="1.0"?>
<OWASPZAPReport programName="ZAP" version="2.17.0" generated="Fri, 20 Nov 2026 10:00:00">
<site name="https://api.example.net" host="api.example.net" port="443" ssl="true"><alerts><alertitem>
<pluginid>40018</pluginid><alertRef>40018</alertRef><alert>SQL Injection</alert><name>SQL Injection</name>
<riskcode>3</riskcode><confidence>2</confidence><riskdesc>High (Medium)</riskdesc><desc>&lt;p&gt;x&lt;/p&gt;</desc>
<instances><instance><uri>https://api.example.net/orders?id=1</uri><method>GET</method><evidence>EVIDENCE</evidence>
</instance></instances><count>1</count><cweid>89</cweid>
<tags><tag><tag>OWASP_2021_A03</tag><link>x</link></tag></tags></alertitem></alerts></site></OWASPZAPReport>"""


def test_zaps_xml_tells_the_same() -> None:
    (scan,) = read(source(ZAP_XML))

    (finding,) = scan.findings
    assert (finding.id, finding.level, finding.cwes, finding.tags) == ("40018", "high", (89,), ("OWASP_2021_A03",))
    assert (finding.subject, scan.volume, scan.origin.version) == ("https://api.example.net/orders", 1, "2.17.0")


# Trivy


def vulnerability(**fields: Any) -> dict[str, Any]:
    return {
        "VulnerabilityID": "CVE-2020-8203",
        "PkgName": "lodash",
        "InstalledVersion": "4.17.15",
        "FixedVersion": "4.17.19, 4.17.20",
        "Status": "fixed",
        "Severity": "HIGH",
        "Title": "Prototype pollution",
        "CweIDs": ["CWE-1321"],
        **fields,
    }


def trivy(*results: object, **fields: Any) -> dict[str, Any]:
    head = {
        "SchemaVersion": 2,
        "CreatedAt": "2026-11-20T10:00:00.5Z",
        "ArtifactName": "app",
        "ArtifactType": "filesystem",
    }
    return {**head, **({"Results": list(results)} if results else {}), **fields}


def lock_file(*found: object, **fields: Any) -> dict[str, Any]:
    packages = [{"Name": "lodash", "Version": "4.17.15"}, {"Name": "express", "Version": "4.18.0"}]
    head = {"Target": "package-lock.json", "Class": "lang-pkgs", "Type": "npm", "Packages": packages}
    return {**head, "Vulnerabilities": list(found), **fields}


def test_trivys_classes_are_scans_of_their_own_and_what_it_was_told_to_leave_out_is_accepted() -> None:
    packages, configuration, credentials = read(recorded("trivy-0.74.0-fs.json"))

    assert [(scan.covers, scan.volume, len(scan.findings)) for scan in (packages, configuration, credentials)] == [
        ("dependencies", 4, 3),
        ("infrastructure", 70, 12),
        ("secrets", 1, 1),
    ]
    assert (packages.targets, packages.ecosystems) == (("package-lock.json", "requirements.txt"), ("npm", "pypi"))
    assert (packages.origin.version, packages.origin.commit) == ("0.74.0", "001c43a2d1f770bae204c39e411283b1c6997f56")
    lodash, minimist, jinja = packages.findings
    assert lodash == ScanFinding(
        id="CVE-2020-8203",
        level="high",
        title="Prototype Pollution in lodash",
        aliases=("GHSA-p6mc-m468-83gw",),
        subject="pkg:npm/lodash@4.17.15",
        fixed_in=("4.17.19",),
        cwes=(770, 1321),
        tags=("fixed",),
        file="package-lock.json",
    )
    assert minimist.acceptance is not None
    assert (minimist.acceptance.by, minimist.acceptance.reason) == (
        ".trivyignore.yaml",
        "ignored: the code is not reached",
    )
    assert (jinja.level, jinja.acceptance) == ("medium", None)


@pytest.mark.parametrize(
    ("fields", "level"),
    [
        ({"Severity": "UNKNOWN"}, "unknown"),
        (
            {"Severity": "LOW", "CVSS": {"nvd": {"V3Vector": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}}},
            "critical",
        ),
        ({"Severity": "LOW", "CVSS": {"nvd": {"V3Score": 9.8}, "ghsa": {"V3Score": 5.0}}}, "critical"),
        (
            {"Severity": "LOW", "SeveritySource": "ghsa", "CVSS": {"nvd": {"V3Score": 9.8}, "ghsa": {"V3Score": 5.0}}},
            "medium",
        ),
        ({"Severity": "MEDIUM", "CVSS": {"nvd": {"V2Score": 9.8}}}, "medium"),
    ],
)
def test_trivys_level_is_by_the_cvss_that_it_goes_by(fields: dict[str, Any], level: Level) -> None:
    (finding,) = only(trivy(lock_file(vulnerability(**fields)))).findings

    assert finding.level == level


def test_trivy_shows_that_it_looked_for_vulnerabilities_only_where_it_found_one() -> None:
    assert only(trivy(lock_file(vulnerability()))).shows_search
    assert not only(trivy(lock_file())).shows_search


def test_trivy_that_recognised_nothing_shows_nothing() -> None:
    assert only(trivy()).volume == 0


@pytest.mark.parametrize(
    ("system", "results", "unread"),
    [
        ({"Family": "debian", "Name": "12"}, [{"Target": "app", "Class": "os-pkgs", "Type": "debian"}], ()),
        (
            {"Family": "nixos", "Name": "24"},
            [lock_file()],
            ("packages of nixos 24, which was found and not looked at",),
        ),
        (
            {"Family": "debian", "Name": "9", "EOSL": True},
            [{"Target": "app", "Class": "os-pkgs", "Type": "debian"}],
            ("packages of debian 9, for which there are no advisories any more",),
        ),
    ],
)
def test_an_image_whose_distribution_has_no_advisories_was_not_looked_at(
    system: dict[str, Any], results: list[Any], unread: tuple[str, ...]
) -> None:
    digest = "registry.example.net/app@sha256:" + "a" * 64
    document = trivy(*results, ArtifactType="container_image", Metadata={"OS": system, "RepoDigests": [digest]})

    scan = only(document)

    assert (scan.covers, scan.unread) == ("image", unread)
    assert digest in scan.targets


# Grype


def grype(*matches: object, ignored: tuple[object, ...] = (), **fields: Any) -> dict[str, Any]:
    database = {"status": {"schemaVersion": "v6.0.2", "built": "2026-11-19T04:00:00Z"}}
    return {
        "matches": list(matches),
        "ignoredMatches": list(ignored),
        "source": {"type": "image", "target": {"userInput": "app:1", "repoDigests": ["app@sha256:" + "b" * 64]}},
        "distro": {"name": "debian", "version": "12"},
        "descriptor": {"name": "grype", "version": "0.121.2", "timestamp": "2026-11-20T10:00:00Z", "db": database},
        **fields,
    }


def match(**fields: Any) -> dict[str, Any]:
    found = {
        "id": "GHSA-p6mc-m468-83gw",
        "severity": "High",
        "fix": {"versions": ["4.17.19"], "state": "fixed"},
        "cvss": [{"version": "3.1", "vector": "CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:N/I:H/A:H"}],
        "epss": [{"cve": "CVE-2020-8203", "epss": 0.21}],
        **fields,
    }
    return {
        "vulnerability": found,
        "relatedVulnerabilities": [{"id": "CVE-2020-8203", "severity": "High"}],
        "matchDetails": [],
        "artifact": {
            "name": "lodash",
            "version": "4.17.15",
            "purl": "pkg:npm/lodash@4.17.15",
            "locations": [{"path": "/srv/app/package-lock.json"}],
        },
    }


def test_grype_tells_aliases_fixes_probability_and_how_old_its_database_is() -> None:
    scan = only(grype(match(knownExploited=[{"cve": "CVE-2020-8203"}])))

    assert (scan.covers, scan.database_at) == ("image", datetime(2026, 11, 19, 4, tzinfo=UTC))
    (finding,) = scan.findings
    assert (finding.aliases, finding.fixed_in, finding.level) == (("CVE-2020-8203",), ("4.17.19",), "high")
    assert (finding.is_exploited, finding.exploit_probability) == (True, 0.21)


@pytest.mark.parametrize(("word", "level"), [("Negligible", "low"), ("Unknown", "unknown"), ("Critical", "critical")])
def test_grypes_words_count_where_there_is_no_cvss(word: str, level: Level) -> None:
    assert only(grype(match(severity=word, cvss=[]))).findings[0].level == level


def test_grypes_ignored_matches_are_accepted_findings() -> None:
    ignored = {**match(), "appliedIgnoreRules": [{"vulnerability": "GHSA-p6mc-m468-83gw", "reason": "not reached"}]}

    (finding,) = only(grype(ignored=(ignored,))).findings

    assert finding.acceptance is not None
    assert finding.acceptance.reason == "not reached"


def test_a_clean_report_of_grype_shows_nothing_and_its_cyclonedx_shows_all() -> None:
    bom = cyclonedx(tools={"components": [{"type": "application", "name": "grype", "version": "0.121.2"}]})

    assert only(grype()).volume == 0
    assert (only(bom).volume, only(bom).covers, only(bom).findings) == (2, "image", ())


# npm, yarn, pip-audit


def test_npms_via_counts_advisories_and_not_names_of_packages() -> None:
    advisory = {
        "source": 1,
        "name": "b",
        "severity": "moderate",
        "url": "https://github.com/advisories/GHSA-aaaa-bbbb-cccc",
    }
    document = {
        "auditReportVersion": 2,
        "vulnerabilities": {
            "a": {"name": "a", "severity": "moderate", "via": ["b"], "fixAvailable": False},
            "b": {"name": "b", "severity": "moderate", "via": [advisory], "fixAvailable": True},
            "c": {"name": "c", "severity": "moderate", "via": [advisory], "fixAvailable": True},
        },
        "metadata": {"vulnerabilities": {"moderate": 3}, "dependencies": {"prod": 40, "dev": 2, "total": 42}},
    }

    scan = only(document)

    assert (told(scan), scan.volume) == ([("GHSA-aaaa-bbbb-cccc", "medium", "pkg:npm/b")], 42)


@pytest.mark.parametrize(
    "document",
    [
        {"error": {"code": "ENOLOCK", "summary": "This command requires an existing lockfile."}},
        {"error": {"code": "ENOAUDIT", "summary": "Your configured registry does not support audit requests."}},
        {"message": "request to registry failed", "error": {"summary": "", "detail": ""}},
    ],
)
def test_npms_errors_are_reports_of_nothing(document: dict[str, Any]) -> None:
    scan = only(document)

    assert scan.volume == 0
    assert scan.unread[0].startswith("everything: the audit ended with ")


def test_yarns_lines_are_counted_to_their_summary() -> None:
    advisory = {
        "id": 1106900,
        "module_name": "lodash",
        "severity": "high",
        "title": "Prototype Pollution",
        "findings": [{"version": "4.17.15", "paths": ["lodash"]}],
        "cwe": "CWE-400",
        "patched_versions": ">=4.17.19",
    }
    lines = [
        {"type": "auditAdvisory", "data": {"resolution": {"id": 1106900}, "advisory": advisory}},
        {"type": "auditAdvisory", "data": {"resolution": {"id": 1106900}, "advisory": advisory}},
        {"type": "auditSummary", "data": {"vulnerabilities": {"high": 2}, "totalDependencies": 812}},
    ]

    (scan,) = read(source("\n".join(json.dumps(line, separators=(",", ":")) for line in lines)))

    assert (told(scan), scan.volume) == ([("npm:1106900", "high", "pkg:npm/lodash@4.17.15")], 812)
    assert scan.findings[0].fixed_in == ("4.17.19",)


def test_pip_audits_older_shape_is_read_and_malicious_packages_are_critical() -> None:
    found = {"id": "MAL-2026-1", "fix_versions": [], "aliases": []}

    scan = only([{"name": "Evil_Package", "version": "1.0", "vulns": [found]}])

    assert told(scan) == [("MAL-2026-1", "critical", "pkg:pypi/evil-package@1.0")]


# Scanners for credentials


def trufflehog(**fields: Any) -> dict[str, Any]:
    place = {"Data": {"Git": {"commit": "c" * 40, "file": "src/app.py", "email": "a@example.com", "line": 4}}}
    return {
        "SourceMetadata": place,
        "SourceName": "trufflehog - git",
        "DetectorName": "AWS",
        "Verified": False,
        "Raw": LEAKED,
        "RawV2": LEAKED,
        "Redacted": LEAKED,
        "ExtraData": {"account": LEAKED},
        "VerificationError": LEAKED,
        **fields,
    }


def lines(*values: object) -> tuple[Scan, ...]:
    return read(source("\n".join(json.dumps(value) for value in values)))


def test_trufflehog_tells_rule_place_and_whether_the_credential_works() -> None:
    (scan,) = read(recorded("trufflehog-3.90.0-verified.jsonl"))

    assert [(f.id, f.level, f.is_verified, f.confidence, f.file, f.line) for f in scan.findings] == [
        ("CustomRegex", "high", False, "", "settings.py", 2),
        ("CustomRegex", "critical", True, "confirmed", "settings.py", 1),
    ]


def test_of_trufflehogs_findings_the_place_alone_is_kept() -> None:
    (scan,) = lines(trufflehog())

    (finding,) = scan.findings
    assert (finding.file, finding.line, finding.commit) == ("src/app.py", 4, "c" * 40)
    assert LEAKED not in repr(scan)
    assert "example.com" not in repr(scan)


def test_trufflehogs_log_says_how_much_was_scanned_and_what_could_not_be() -> None:
    (scan,) = read(recorded("trufflehog-3.90.0-filesystem.jsonl"))
    (unread,) = read(recorded("trufflehog-3.90.0-unread.jsonl"))
    begin = recorded("trufflehog-3.90.0-unread.jsonl").text().splitlines()[0]
    (unfinished,) = read(source(begin))

    assert (scan.volume, scan.volume_of, scan.origin.version, scan.unread) == (2, "chunks", "3.90.0", ())
    assert scan.origin.produced_at == datetime(2026, 11, 24, 12, 33, 59, tzinfo=UTC)
    assert (unread.volume, unread.unread) == (1, ("1 places: the log has errors",))
    assert unfinished.volume == 0


@pytest.mark.parametrize(("is_secret", "is_accepted"), [(None, False), (True, False), (False, True)])
def test_a_baseline_accepts_what_a_person_looked_at(is_secret: bool | None, is_accepted: bool) -> None:
    entry = {"type": "Secret Keyword", "hashed_secret": "0" * 40, "is_verified": False, "line_number": 3}
    if is_secret is not None:
        entry["is_secret"] = is_secret
    document = {"version": "1.5.0", "plugins_used": [{"name": "KeywordDetector"}], "results": {"a.py": [entry]}}

    (finding,) = only(document).findings

    assert (finding.acceptance is not None) is is_accepted
    assert "0" * 40 not in repr(finding)


def test_an_empty_list_of_gitleaks_shows_nothing() -> None:
    assert only([]).volume == 0


@pytest.mark.parametrize(
    "document",
    [
        {"RuleID": "x", "StartLine": LEAKED, "File": 3, "Commit": LEAKED},
        {"RuleID": "x", "StartLine": 4, "File": "a.py", "Match": LEAKED, "Tags": LEAKED},
        {"RuleID": "x", "Secret": [LEAKED], "StartLine": {"a": LEAKED}},
    ],
)
def test_nothing_quotes_a_credential_even_where_fields_are_mixed_up(document: dict[str, Any]) -> None:
    try:
        told = repr(scanned([document]))
    except Malformed as error:
        told = f"{error.message} {error.next_step}"

    assert LEAKED not in told


# VEX


def cyclonedx(*found: object, tools: object = None, version: str = "1.6") -> dict[str, Any]:
    return {
        "bomFormat": "CycloneDX",
        "specVersion": version,
        "metadata": {
            "timestamp": "2026-11-20T10:00:00Z",
            "component": {"type": "container", "name": "app"},
            **({"tools": tools} if tools else {}),
        },
        "components": [
            {"bom-ref": "1", "name": "lodash", "version": "4.17.15", "purl": "pkg:npm/lodash@4.17.15?package-id=1"},
            {"bom-ref": "2", "name": "express", "version": "4.18.0", "purl": "pkg:npm/express@4.18.0"},
        ],
        "vulnerabilities": list(found),
    }


def analysed(**analysis: Any) -> dict[str, Any]:
    return {"id": "CVE-2020-8203", "analysis": analysis, "affects": [{"ref": "1"}]}


@pytest.mark.parametrize(
    ("analysis", "reason"),
    [
        ({"state": "not_affected", "justification": "code_not_reachable"}, "not affected: code_not_reachable"),
        ({"state": "not_affected"}, None),
        ({"state": "resolved"}, "resolved"),
        ({"state": "resolved_with_pedigree"}, "resolved_with_pedigree"),
        ({"state": "false_positive"}, "false_positive"),
        ({"state": "exploitable"}, None),
        ({"state": "in_triage"}, None),
        ({}, None),
    ],
)
def test_cyclonedx_accepts_what_is_fixed_and_what_is_not_affected_for_a_reason(
    analysis: dict[str, Any], reason: str | None
) -> None:
    scan = only(cyclonedx(analysed(**analysis)))

    assert scan.covers == "acceptances"
    assert [(s.ids, s.subjects, s.acceptance.reason) for s in scan.statements] == (
        [(("CVE-2020-8203",), ("pkg:npm/lodash@4.17.15",), reason)] if reason else []
    )


def test_a_bom_link_names_a_component_of_another_document() -> None:
    found = analysed(state="resolved") | {"affects": [{"ref": "urn:cdx:8d2d/1#pkg%3Anpm%2Flodash%404.17.15"}]}

    assert only(cyclonedx(found)).statements[0].subjects == ("pkg:npm/lodash@4.17.15",)


def test_an_inventory_is_no_scan() -> None:
    scan = only(cyclonedx(tools=[{"name": "cyclonedx-npm", "version": "4"}]))

    assert (scan.covers, scan.volume) == ("acceptances", 0)


def test_grypes_cyclonedx_is_a_scan_with_its_findings() -> None:
    rating = {
        "score": 7.4,
        "severity": "low",
        "method": "CVSSv31",
        "vector": "CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:N/I:H/A:H",
    }
    found = {"id": "CVE-2020-8203", "ratings": [rating], "cwes": [1321], "affects": [{"ref": "1"}]}

    scan = only(cyclonedx(found, tools=[{"vendor": "anchore", "name": "grype", "version": "0.121.2"}], version="1.4"))

    assert told(scan) == [("CVE-2020-8203", "high", "pkg:npm/lodash@4.17.15")]


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ({"status": "not_affected", "justification": "component_not_present"}, "not affected: component_not_present"),
        ({"status": "not_affected", "impact_statement": "never called"}, "not affected: never called"),
        ({"status": "not_affected"}, None),
        ({"status": "fixed"}, "fixed"),
        ({"status": "affected", "action_statement": "update"}, None),
        ({"status": "under_investigation"}, None),
    ],
)
def test_openvex_accepts_what_is_fixed_and_what_is_not_affected_for_a_reason(
    statement: dict[str, Any], reason: str | None
) -> None:
    document = {
        "@context": "https://openvex.dev/ns/v0.2.0",
        "author": "Security",
        "timestamp": "2026-11-20T10:00:00Z",
        "statements": [
            {
                "vulnerability": {"name": "CVE-2020-8203", "aliases": ["GHSA-p6mc-m468-83gw"]},
                "products": [{"@id": "pkg:oci/app", "subcomponents": [{"@id": "pkg:npm/lodash@4.17.15"}]}],
                **statement,
            }
        ],
    }

    scan = only(document)

    assert [(s.ids, s.subjects, s.acceptance.reason) for s in scan.statements] == (
        [(("CVE-2020-8203", "GHSA-p6mc-m468-83gw"), ("pkg:npm/lodash@4.17.15",), reason)] if reason else []
    )


# Shared by the readers


@pytest.mark.parametrize(
    ("score", "level"),
    [
        *((10.0, "critical"), ("9.0", "critical"), (8.9, "high"), (7, "high"), ("6.9", "medium"), (0.0, "low")),
        *(("", "unknown"), (None, "unknown"), (11, "unknown"), (-1, "unknown"), (True, "unknown"), ("nan", "unknown")),
    ],
)
def test_scores_are_levels(score: object, level: Level) -> None:
    assert level_of_score(score) == level


@pytest.mark.parametrize(
    ("vectors", "level"),
    [
        (["CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"], "critical"),
        (["CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"], "critical"),
        (["CVSS:3.0/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N", "CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:N/I:H/A:H"], "high"),
        (["AV:N/AC:L/Au:N/C:C/I:C/A:C"], "unknown"),
        (["CVSS:3.1/nonsense", None, 3], "unknown"),
        ([], "unknown"),
    ],
)
def test_vectors_are_levels_by_the_worst_of_them(vectors: list[object], level: Level) -> None:
    assert level_of_vectors(vectors) == level


@pytest.mark.parametrize(
    ("word", "level"),
    [("Moderate", "medium"), ("NEGLIGIBLE", "low"), ("UNTRIAGED", "unknown"), ("UNDEFINED", "unknown"), (3, "unknown")],
)
def test_words_are_levels(word: object, level: Level) -> None:
    assert level_of_word(word) == level


@pytest.mark.parametrize(
    ("ecosystem", "name", "version", "expected"),
    [
        ("npm", "@scope/thing", "1.0.0", "pkg:npm/%40scope/thing@1.0.0"),
        ("PyPI", "Jinja2_x", "3.1", "pkg:pypi/jinja2-x@3.1"),
        ("Go", "github.com/a/b", "1.2.3", "pkg:golang/github.com/a/b@v1.2.3"),
        ("Maven", "org.a:b", "1", "pkg:maven/org.a/b@1"),
        ("Debian:12", "openssl", "3.0", "openssl@3.0"),
        ("npm", "", "1", ""),
        ("npm", None, None, ""),
    ],
)
def test_packages_have_one_name(ecosystem: str, name: object, version: object, expected: str) -> None:
    assert purl(ecosystem, name, version) == expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("https://u:p@example.net:8443/a/b?token=x#y", "https://example.net:8443/a/b"),
        ("file:///srv/app/a%20b.py", "/srv/app/a b.py"),
        ("src/what?.py", "src/what?.py"),
        ("http://[::1", ""),
        (None, ""),
    ],
)
def test_places_hold_no_credentials(address: object, expected: str) -> None:
    assert place(address) == expected


def test_weaknesses_are_numbers_however_they_are_written() -> None:
    assert cwes_in(["CWE-79: XSS", "external/cwe/cwe-089", "CWE-0", "cwecwe1", 3]) == (79, 89)


def finding(id_: str, *aliases: str, **fields: Any) -> ScanFinding:
    return ScanFinding(**{"id": id_, "level": "low", "aliases": aliases, "subject": "pkg:npm/a@1", **fields})


def test_findings_that_share_a_name_and_a_package_are_one() -> None:
    one = finding("GHSA-1", "CVE-1")
    same = finding("CVE-1", level="high", fixed_in=("2",))
    elsewhere = finding("CVE-1", subject="pkg:npm/b@1")
    bridge = finding("PYSEC-1", "ghsa-1", "OTHER")

    first, second = each_once([one, finding("OTHER"), elsewhere, same, bridge])

    assert (first.id, first.level, first.fixed_in) == ("GHSA-1", "high", ("2",))
    assert set(first.aliases) == {"CVE-1", "OTHER", "PYSEC-1"}
    assert second == elsewhere


@given(st.permutations([finding("A", "B"), finding("B", "C"), finding("C", "D", level="critical"), finding("E")]))
def test_the_order_of_findings_changes_nothing_about_what_is_one(findings: list[ScanFinding]) -> None:
    joined = {frozenset({each.id, *each.aliases}): each.level for each in each_once(findings)}

    assert joined == {frozenset("ABCD"): "critical", frozenset("E"): "low"}


def test_an_acceptance_holds_only_where_all_are_accepted() -> None:
    accepted = only(sarif(result(suppressions=[{"kind": "inSource"}]))).findings[0]
    (both,) = each_once([accepted, only(sarif(result())).findings[0]])

    assert both.acceptance is None


# Hostile input


@pytest.mark.parametrize(
    "content",
    [
        "",
        "   ",
        "{",
        "[{}]",
        "{}",
        '{"version": "2.0.0", "$schema": "sarif", "runs": []}',
        '{"version": "2.1.0", "$schema": "sarif", "runs": []}',
        '{"version": "2.1.0", "$schema": "sarif", "runs": {"tool": 1}}',
        '{"version": "2.1.0", "$schema": "sarif", "runs": [{"tool": {"driver": []}}]}',
        '{"SchemaVersion": 1, "ArtifactName": "x"}',
        '{"SchemaVersion": 2, "ArtifactName": "x", "Results": {}}',
        '{"SchemaVersion": 2, "ArtifactName": "x", "Results": [{"Class": "config", "MisconfSummary": 3}]}',
        '{"matches": [], "descriptor": []}',
        '{"auditReportVersion": 3, "vulnerabilities": {}}',
        '{"auditReportVersion": 2, "vulnerabilities": {}, "metadata": {"dependencies": {"total": NaN}}}',
        '{"auditReportVersion": 2, "vulnerabilities": {"a": {"via": [3]}}}',
        '{"dependencies": 3, "fixes": []}',
        '{"bomFormat": "CycloneDX", "specVersion": "9.9"}',
        '{"@context": "http://evil/openvex.dev/ns", "statements": []}',
        '{"schema_version": "2", "findings": [], "scan": {"betterleaks_version": "3"}}',
        '{"@version": "1", "site": [{"alerts": [{"riskcode": "9"}]}]}',
        "<OWASPZAPReport><site>",
        '<!DOCTYPE x [<!ENTITY a "b">]><OWASPZAPReport>&a;</OWASPZAPReport>',
        '{"SchemaVersion": 2, "ArtifactName": ' + "[" * 100_000,
    ],
)
def test_what_is_broken_is_an_error_in_words(content: str) -> None:
    with pytest.raises(Malformed) as caught:
        read(source(content))

    assert caught.value.message.startswith("report: ")


def test_nested_components_end() -> None:
    deep: dict[str, Any] = {"name": "x"}
    for _ in range(150):
        deep = {"name": "x", "components": [deep]}

    with pytest.raises(Malformed):
        scanned(cyclonedx() | {"components": [deep]})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=8), inside, max_size=3),
    max_leaves=6,
)


def places_in(value: Any) -> Iterator[tuple[Any, Any]]:
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from places_in(value[key])


@settings(max_examples=200)
@given(name=st.sampled_from(RECORDED), data=st.data())
def test_no_change_of_a_report_raises_anything_but_malformed(name: str, data: st.DataObject) -> None:
    document = json.loads((DATA / name).read_text())
    holder, key = data.draw(st.sampled_from([*places_in(document)]))
    holder[key] = data.draw(JSON)

    try:
        scans = scanned(document)
    except Malformed:
        return
    assert all(scan.volume >= 0 for scan in scans)


@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b'{"SchemaVersion": 2, "ArtifactName"', b'{"bomFormat":', b"<OWASPZAPReport"]),
)
def test_no_bytes_raise_anything_but_malformed(content: bytes, beginning: bytes) -> None:
    hostile = source(beginning + content)
    for form in FORMATS:
        form.recognises(hostile)
    try:
        read(hostile)
    except Malformed:
        return


def test_a_scan_of_code_says_which_weaknesses_its_rules_look_for_found_or_not() -> None:
    clean = sarif(driver={"rules": [RULE, {"id": "r", "properties": {"tags": ["external/cwe/cwe-089", "security"]}}]})

    assert 89 in only(clean).cwes
    assert only(clean).findings == ()


@pytest.mark.parametrize(
    ("rule", "is_active"),
    [("40012-1", True), ("6", True), ("10104", True), ("90019", True), ("10038-1", None), ("90022", None), ("x", None)],
)
def test_zap_attacked_where_an_active_rule_tells_of_something(rule: str, is_active: bool | None) -> None:
    scan = only(zap(zap_alert(alertRef=rule)))

    assert (scan.is_active, scan.pages) == (is_active, ("https://api.example.net/login",))
