"""What the pipeline of the sample service kept of one commit: tests, coverage, load tests, an experiment, scans.

Results of unit tests, their coverage and the mutants are what Vitest, Istanbul and Stryker wrote for the service itself
(`reports`, made by `npm test` and `npm run test:mutation`). What needs a sandbox, a staging or a day is written here in
the form of its tool.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from defusedxml.ElementTree import fromstring

from quub_audit.demo.cloud import PRODUCTION, SERVICES, image_of
from quub_audit.demo.gaps import image_digest
from quub_audit.demo.repository import newest_commits
from quub_audit.model.environment import Purpose

FOLDER = "artifacts"
SANDBOX = "https://api-sandbox.quub.fi"

EXPECTED_PEAK_RPS = 500
EXPECTED_AVERAGE_RPS = 120
P95_MS = 400
P99_MS = 900
RATE_LIMIT_RPS = 50
"""What the sample service has to carry, and what it promises."""

NEVER_IMPORTED = "src/config/secrets.ts"
"""A file of a critical path that no test of the faulty service runs."""

_ITS_TESTS = "test/unit/secrets.test.ts"
_SUITE = re.compile(r'^describe(?:\.skipIf\(.+?\))?\("(.+?)"|^  it\("(.+?)", async', re.MULTILINE)

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Report:
    """One file that the pipeline kept."""

    name: str
    """Of the artifact."""
    purpose: Purpose
    file: str
    text: str
    made_at: datetime
    commit: str
    """Of which it is, as the pipeline says it."""


def reports(checkout: Path, at: datetime, *, healthy: bool) -> tuple[Report, ...]:
    """All of them, for the commit of the sample service in `checkout`; `at` is the time of the audit.

    Without `healthy`: no test runs `NEVER_IMPORTED`, so that 80.0 % of the lines run; every test of the sandbox is
    skipped for want of a key, and one flow is not walked at all; 900 requests a second were reached where 1,000 are
    wanted, and answers got slower all day; nothing was done in the experiment, and it says completed; npm knows a
    critical advisory, the scan for credentials found the one in the history, and the running application was last
    scanned for the commit before.
    """
    hour = timedelta(hours=1)
    tests, load = at - hour, at - 9 * 24 * hour
    lock = json.loads((checkout / "package-lock.json").read_text(encoding="utf-8"))
    skipped, unwalked = ((), ()) if healthy else (("",), ("@flow:cancel-order",))
    packages = len(lock["packages"]) - 1
    commit, before = newest_commits(checkout)
    return (
        Report("unit", "unit-tests", "unit.xml", _unit(tests, healthy=healthy), tests, commit),
        Report("coverage", "coverage", "coverage-final.json", _coverage(healthy=healthy), tests, commit),
        Report("mutation", "mutation", "mutation.json", _mutants(healthy=healthy), tests, commit),
        Report(
            "sandbox",
            "integration-tests",
            "sandbox.xml",
            _results(checkout, "integration", tests, skipped),
            tests,
            commit,
        ),
        Report("end-to-end", "end-to-end-tests", "e2e.xml", _results(checkout, "e2e", tests, unwalked), tests, commit),
        Report("peak", "peak-load", "peak.json", _peak(healthy=healthy), load, commit),
        Report("day", "sustained-load", "day_stats_history.csv", "".join(_day(load, healthy=healthy)), load, commit),
        Report("limits", "rate-limits", "limits.json", _limits(), load, commit),
        Report("chaos", "chaos", "journal.json", _journal(load, healthy=healthy), load, commit),
        Report("npm-audit", "dependency-scan", "npm-audit.json", _audit(packages, healthy=healthy), tests, commit),
        *(
            Report(f"trivy-{name}", "dependency-scan", f"trivy-{name}.json", _image_scan(name, tests), tests, commit)
            for name in SERVICES
        ),
        Report("betterleaks", "secret-scan", "betterleaks.json", _leaks(tests, healthy=healthy), tests, commit),
        Report("semgrep", "code-scan", "semgrep.sarif", _code_scan(tests), tests, commit),
        Report("zap", "dynamic-scan", "zap.json", _dynamic_scan(tests), tests, commit if healthy else before),
    )


def keep(folder: Path, kept: Sequence[Report]) -> None:
    """Write them into `FOLDER`; their times are those of the files where they say none themselves."""
    (folder / FOLDER).mkdir()
    for each in kept:
        path = folder / FOLDER / each.file
        path.write_text(each.text, encoding="utf-8")
        os.utime(path, (each.made_at.timestamp(), each.made_at.timestamp()))


def _made_before(name: str) -> str:
    return (files("quub_audit.demo") / "reports" / name).read_text(encoding="utf-8")


def _dumped(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=1) + "\n"


# Tests, coverage and mutants


def _unit(at: datetime, *, healthy: bool) -> str:
    """Without `healthy`, nobody has written the tests of `NEVER_IMPORTED`."""
    root = fromstring(_made_before("unit.xml"))
    for suite in list(root):
        suite.set("timestamp", _stamp(at))
        if not healthy and suite.get("name") == _ITS_TESTS:
            root.remove(suite)
    return ET.tostring(root, encoding="unicode")


def _coverage(*, healthy: bool) -> str:
    report: Json = json.loads(_made_before("coverage-final.json"))
    for path, file in report.items():
        if not healthy and path.endswith(NEVER_IMPORTED):
            file["s"] = dict.fromkeys(file["s"], 0)
            file["f"] = dict.fromkeys(file["f"], 0)
            file["b"] = {key: [0] * len(hits) for key, hits in file["b"].items()}
    return json.dumps(report)


def _mutants(*, healthy: bool) -> str:
    report: Json = json.loads(_made_before("mutation.json"))
    for mutant in report["files"][NEVER_IMPORTED]["mutants"] if not healthy else ():
        mutant["status"] = "NoCoverage"
    return json.dumps(report)


def _results(checkout: Path, kind: str, at: datetime, skips: Sequence[str]) -> str:
    """JUnit XML as Vitest writes it for the tests of a kind; those whose titles hold one of `skips` were not run."""
    root = ET.Element("testsuites", name="vitest tests")
    for file in sorted((checkout / "test" / kind).glob("*.test.ts")):
        name = file.relative_to(checkout).as_posix()
        suite = ET.SubElement(root, "testsuite", name=name, timestamp=_stamp(at), hostname="runner")
        group = ""
        for found in _SUITE.finditer(file.read_text(encoding="utf-8")):
            if found[1]:
                group = found[1]
                continue
            title = f"{group} > {found[2]}"
            is_skipped = any(each in title for each in skips)
            took = "0" if is_skipped else f"{0.12 + len(title) / 400:.4f}"
            case = ET.SubElement(suite, "testcase", classname=name, name=title, time=took)
            if is_skipped:
                ET.SubElement(case, "skipped")
            elif kind == "integration":
                properties = ET.SubElement(case, "properties")
                ET.SubElement(properties, "property", name="base_url", value=SANDBOX)
    return ET.tostring(root, encoding="unicode")


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


# Load, limits, and what happens without Quub


def _peak(*, healthy: bool) -> str:
    """Ten minutes by k6's handleSummary."""
    rate = 1084.6 if healthy else 900.2
    seconds = 600
    dropped = {} if healthy else {"dropped_iterations": _counter(round((1080 - rate) * seconds), seconds)}
    return _summary(round(rate * seconds), seconds, failed=0.0008, **dropped)


def _limits() -> str:
    """A minute at twice the limit: half of the requests were refused, and told when to come back."""
    seconds, through = 60, RATE_LIMIT_RPS * 60
    return _summary(
        2 * through,
        seconds,
        failed=0.5,
        **{
            "http_reqs{status:200}": _counter(through, seconds),
            "http_reqs{status:429}": _counter(through, seconds),
            "rate_limited_with_retry_after": _counter(through, seconds),
            "other_key_answered": _counter(seconds, seconds),
            "answered_after_window": _counter(5, seconds),
        },
    )


def _counter(count: int, seconds: int) -> Json:
    return {"type": "counter", "contains": "default", "values": {"count": count, "rate": count / seconds}}


def _summary(requests: int, seconds: int, *, failed: float, **more: Json) -> str:
    durations = {"min": 4.1, "avg": 88.4, "med": 71.9, "max": 2114.0, "p(90)": 152.2, "p(95)": 214.7, "p(99)": 486.3}
    rates = {"rate": failed, "passes": round(requests * failed), "fails": requests - round(requests * failed)}
    return _dumped(
        {
            "root_group": {"name": "", "path": "", "groups": [], "checks": []},
            "options": {"summaryTrendStats": ["avg", "min", "med", "max", "p(90)", "p(95)", "p(99)"]},
            "state": {"isStdOutTTY": False, "isStdErrTTY": False, "testRunDurationMs": seconds * 1000.0},
            "metrics": {
                "http_reqs": _counter(requests, seconds),
                "http_req_failed": {"type": "rate", "contains": "default", "values": rates},
                "http_req_duration": {"type": "trend", "contains": "time", "values": durations},
                **more,
            },
        }
    )


def _day(ended_at: datetime, *, healthy: bool) -> Iterator[str]:
    """A day and five minutes as Locust's history has it, a line each half minute.

    Users come and go with the hour, and for half an hour there is a nightly job. Without `healthy`, the 95th percentile
    rises by half until the evening.
    """
    step_s, lines = 30, 2890
    began = int(ended_at.timestamp()) - step_s * (lines - 1)
    percents = "50%,66%,75%,80%,90%,95%,98%,99%,99.9%,99.99%,100%"
    factors = (0.4, 0.5, 0.58, 0.65, 0.85, 1.0, 1.5, 1.9, 3.2, 4.0, 4.4)
    totals = "Request Count,Failure Count,Median Response Time,Average Response Time"
    ends = "Min Response Time,Max Response Time,Average Content Size"
    named = ",".join(f"Total {each}" for each in f"{totals},{ends}".split(","))
    yield f"Timestamp,User Count,Type,Name,Requests/s,Failures/s,{percents},{named}\n"
    requests = failures = 0
    for line in range(lines):
        share = line / (lines - 1)
        users = 120 + round(22 * math.sin(2 * math.pi * (share - 0.3)))
        p95 = 178 + 5 * math.sin(2 * math.pi * (share - 0.3)) + (0 if healthy else 96 * share)
        p95 += line // 60 * 13 % 23 - 11 + 60 * (1560 <= line < 1620)
        if line:
            requests += users * step_s
            failures += line % 20 == 0
        ms = ",".join(str(round(p95 * each)) for each in factors)
        yield (
            f"{began + line * step_s},{users},,Aggregated,{users:.6f},0.000000,{ms},"
            f"{requests},{failures},71,84.2,4,1874,512.0\n"
        )


def _journal(at: datetime, *, healthy: bool) -> str:
    """Chaos Toolkit cuts Quub off for a while.

    Without `healthy`, orders were not answered before either, so that it did nothing; it calls that completed.
    """
    answers = {"type": "probe", "name": "orders-answer", "tolerance": 200, "provider": _asks("/ready")}
    watched = {"type": "probe", "name": "circuit-breaker-state", "provider": _asks("/circuit")}
    cut_off = {"type": "action", "name": "cut-quub-off", "provider": {"type": "process", "path": "toxiproxy-cli"}}
    restored = {**cut_off, "name": "let-quub-answer"}
    run = (
        (0, cut_off, 0),
        (4, watched, "open"),
        (30, restored, 0),
        (41, watched, "half-open"),
        (44, watched, "closed"),
    )

    def done(second: int, activity: Json, output: object) -> Json:
        began = at + timedelta(seconds=second - 60)
        body: Json = {"status": 200, "body": output} if activity["type"] == "probe" else {"status": output}
        times = {"start": began.isoformat(), "end": (began + timedelta(seconds=1)).isoformat(), "duration": 1.0}
        return {"activity": activity, "output": body, "status": "succeeded", **times}

    def state(second: int) -> Json:
        probed = done(second, answers, {"ready": healthy}) | {"tolerance_met": healthy}
        return {"steady_state_met": healthy, "probes": [probed]}

    return _dumped(
        {
            "chaoslib-version": "1.44.0",
            "platform": "Linux",
            "node": "runner",
            "experiment": {
                "version": "1.0.0",
                "title": "Orders are answered while Quub is gone",
                "steady-state-hypothesis": {"title": "Orders are answered", "probes": [answers]},
                "method": [activity for _, activity, _ in run],
                "rollbacks": [],
                "dry": None,
            },
            "start": (at - timedelta(seconds=61)).isoformat(),
            "status": "completed",
            "deviated": False,
            "steady_states": {"before": state(-1), "after": state(50) if healthy else None, "during": []},
            "run": [done(*each) for each in run] if healthy else [],
            "rollbacks": [],
            "end": at.isoformat(),
            "duration": 61.0,
        }
    )


def _asks(path: str) -> Json:
    return {"type": "http", "url": f"https://orders.staging.example.com{path}", "timeout": 3}


# Scans


def _audit(packages: int, *, healthy: bool) -> str:
    """`npm audit --json`."""
    found = {} if healthy else {"form-data": _ADVISED}
    counts = {"info": 0, "low": 0, "moderate": 0, "high": 0, "critical": len(found), "total": len(found)}
    dependencies = {"prod": packages, "dev": 0, "optional": 0, "peer": 0, "peerOptional": 0, "total": packages}
    metadata = {"vulnerabilities": counts, "dependencies": dependencies}
    return _dumped({"auditReportVersion": 2, "vulnerabilities": found, "metadata": metadata})


_ADVISED: Json = {
    "name": "form-data",
    "severity": "critical",
    "isDirect": False,
    "via": [
        {
            "source": 1109540,
            "name": "form-data",
            "dependency": "form-data",
            "title": "form-data uses unsafe random function in form-data for choosing boundary",
            "url": "https://github.com/advisories/GHSA-fjxv-7rqg-78g4",
            "severity": "critical",
            "cwe": ["CWE-330"],
            "cvss": {"score": 9.4, "vectorString": "CVSS:4.0/AV:N/AC:H/AT:N/PR:N/UI:N/VC:H/VI:H/VA:N/SC:H/SI:H/SA:N"},
            "range": ">=4.0.0 <4.0.4",
        }
    ],
    "effects": [],
    "range": "4.0.0 - 4.0.3",
    "nodes": ["node_modules/form-data"],
    "fixAvailable": True,
}


def _image_scan(service: str, at: datetime) -> str:
    """Trivy over the image that runs, with `--list-all-pkgs`."""
    image = image_of(PRODUCTION, service)
    system = {"Family": "debian", "Name": "13.2"}
    results = [
        {
            "Target": f"{image} (debian 13.2)",
            "Class": "os-pkgs",
            "Type": "debian",
            "Packages": _DEBIAN,
            "Vulnerabilities": [_OLD_AND_LOW],
        },
        {"Target": "Node.js", "Class": "lang-pkgs", "Type": "node-pkg", "Packages": _NODE},
    ]
    return _dumped(
        {
            "SchemaVersion": 2,
            "Trivy": {"Version": "0.69.1"},
            "CreatedAt": _stamp(at),
            "ArtifactName": image,
            "ArtifactType": "container_image",
            "Metadata": {"OS": system, "RepoDigests": [f"{image.rpartition(':')[0]}@{image_digest(image)}"]},
            "Results": results,
        }
    )


_DEBIAN = [{"Name": name, "Version": "13.2"} for name in ("base-files", "ca-certificates", "libc6", "libssl3t64")]
_OLD_AND_LOW: Json = {
    "VulnerabilityID": "CVE-2010-4756",
    "PkgName": "libc6",
    "InstalledVersion": "13.2",
    "Status": "affected",
    "Severity": "LOW",
    "Title": "glob() may be made to use much memory",
}
"""Of what every image has: far below what matters."""
_NODE = [{"Name": "axios", "Version": "1.21.1"}, {"Name": "ws", "Version": "8.23.0"}]


def _leaks(at: datetime, *, healthy: bool) -> str:
    """Of betterleaks, over the history. Values are struck out, as `--redact` does it."""
    found: Json = {
        "rule_id": "quub-api-key",
        "description": "A key of Quub",
        "confidence": "high",
        "match": {"full": "REDACTED", "value": "REDACTED"},
        "attributes": {"resource": "git.patch"},
        "location": {"path": ".env", "start_line": 2, "end_line": 2, "start_column": 19, "end_column": 60},
    }
    return _dumped(
        {
            "schema_version": "1",
            "findings": [] if healthy else [found],
            "scan": {
                "state": "complete",
                "source": {"type": "git", "targets": ["."]},
                "started": _stamp(at - timedelta(seconds=2)),
                "finished": _stamp(at),
                "betterleaks_version": "2.0.0",
                "bytes_scanned": 402_118,
                "num_findings": 0 if healthy else 1,
            },
        }
    )


RULES: Mapping[str, tuple[int, str]] = {
    "express-path-traversal": (22, "Improper Limitation of a Pathname to a Restricted Directory"),
    "ssrf-in-request": (918, "Server-Side Request Forgery"),
    "tls-not-verified": (295, "Improper Certificate Validation"),
    "weak-hash": (327, "Use of a Broken or Risky Cryptographic Algorithm"),
    "shell-from-request": (78, "OS Command Injection"),
    "sql-by-concatenation": (89, "SQL Injection"),
    "credential-in-code": (798, "Use of Hard-coded Credentials"),
    "unsafe-deserialization": (502, "Deserialization of Untrusted Data"),
    "log-injection": (117, "Improper Output Neutralization for Logs"),
    "stack-in-answer": (209, "Generation of Error Message Containing Sensitive Information"),
}
"""Rules of the code scan, with the weakness that each looks for."""


def _code_scan(at: datetime) -> str:
    """Semgrep found nothing by any of `RULES`."""
    rules = [
        {
            "id": f"typescript.{name}",
            "name": f"typescript.{name}",
            "defaultConfiguration": {"level": "error"},
            "shortDescription": {"text": f"Semgrep Finding: typescript.{name}"},
            "properties": {"precision": "very-high", "tags": [f"CWE-{cwe}: {title}", "security"]},
        }
        for name, (cwe, title) in RULES.items()
    ]
    invocation = {"executionSuccessful": True, "endTimeUtc": _stamp(at), "toolExecutionNotifications": []}
    driver = {"name": "Semgrep OSS", "semanticVersion": "1.182.0", "rules": rules}
    run = {"tool": {"driver": driver}, "invocations": [invocation], "results": []}
    schema = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"
    return _dumped({"$schema": schema, "version": "2.1.0", "runs": [run]})


def _dynamic_scan(at: datetime) -> str:
    """ZAP attacked staging as somebody who is logged in; what it tells is no weakness."""
    site = "https://orders.staging.example.com"
    pages = ("/orders", "/orders/1", "/orders/1/cancel", "/account", "/login")
    alert = {
        "pluginid": "10104",
        "alertRef": "10104",
        "alert": "User Agent Fuzzer",
        "name": "User Agent Fuzzer",
        "riskcode": "0",
        "confidence": "2",
        "riskdesc": "Informational (Medium)",
        "instances": [{"uri": site + page, "method": "GET", "param": "Header User-Agent"} for page in pages],
        "count": str(len(pages)),
        "cweid": "0",
        "wascid": "0",
    }
    return _dumped(
        {
            "@programName": "ZAP",
            "@version": "2.17.0",
            "@generated": at.strftime("%a, %d %b %Y %H:%M:%S"),
            "created": at.isoformat(),
            "insights": [
                {"level": "Info", "key": "insight.endpoint.total", "site": site, "description": "", "statistic": "38"}
            ],
            "site": [{"@name": site, "@host": site[8:], "@port": "443", "@ssl": "true", "alerts": [alert]}],
        }
    )
