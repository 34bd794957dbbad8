"""Sample results: every verdict, every status, everything a report may have to show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from quub_audit.model.checklist import DroppedItem
from quub_audit.model.dispensation import Attestation, Waiver
from quub_audit.model.finding import Chart, Finding, Location
from quub_audit.model.result import ChecklistReference, EvidenceReference, ItemResult, Notice, Result, Tool
from quub_audit.model.status import ExitCode, FindingStatus, Grade, Severity, Status, Verdict

STARTED = datetime(2026, 3, 2, 9, 30, 0, tzinfo=UTC)
COMMIT = "4f2a9c1e7b3d5f60718293a4b5c6d7e8f9012345"

_TITLES = {
    "api-keys": "API keys",
    "data-protection": "Data protection",
    "api-client": "API client",
    "cicd": "CI/CD",
}


def titled(segment: str) -> str:
    return _TITLES.get(segment, segment.replace("-", " ").capitalize())


def found(status: str, subject: str, observed: str = "", expected: str = "", **more: Any) -> Finding:
    grade = Grade.LIVE if "grade" not in more else more.pop("grade")
    return Finding(
        status=FindingStatus(status), subject=subject, observed=observed, expected=expected, grade=grade, **more
    )


def item(item_id: str, title: str, status: Status, findings: Sequence[Finding] = (), **more: Any) -> ItemResult:
    """An item as the engine would fold it; `more` overrides any field."""
    section, group, *_ = [*item_id.split("."), "", ""]
    blocking = more.pop("blocking", True)
    fields: dict[str, Any] = {
        "section": titled(section),
        "group": titled(group),
        "severity": Severity.HIGH,
        "reason": findings[0].message or f"{findings[0].subject}: {findings[0].observed}" if findings else "as it is",
        "min_evidence": Grade.CONTROL_PLANE,
        "best_evidence": Grade.LIVE if status in (Status.PASS, Status.FAIL) else None,
        "duration_s": 0.25,
        "file": "checklist.yaml",
        "line": 12,
        "blocks": blocking and not status.is_settled,
    }
    return ItemResult(
        id=item_id,
        title=title,
        status=status,
        blocking=blocking,
        findings=tuple(findings),
        **(fields | more),
    )


def result_of(items: Iterable[ItemResult], verdict: Verdict, headline: str, **more: Any) -> Result:
    """A result whose summary counts `items`; `more` overrides any field."""
    items = tuple(items)
    counted = Counter(entry.status.value for entry in items)
    fields: dict[str, Any] = {
        "exit_code": ExitCode[verdict.name],
        "service": "orders",
        "environment": "production",
        "stage": "production",
        "commit": COMMIT,
        "started_at": STARTED,
        "finished_at": datetime(2026, 3, 2, 9, 30, 41, 500000, tzinfo=UTC),
        "duration_s": 41.5,
        "tool": Tool(version="1.2.3"),
        "checklist": ChecklistReference(title="Production readiness", version="2026.3", digest="sha256:" + "c4" * 32),
        "evidence": EvidenceReference(digest="sha256:" + "e7" * 32, questions=214),
        "targets": (
            "aws production 123456789012 eu-central-1",
            "endpoint https://api.orders.example",
            "repository orders at 4f2a9c1e7b3d",
        ),
    }
    return Result(
        verdict=verdict,
        headline=headline,
        items=items,
        summary={status.value: counted[status.value] for status in Status},
        **(fields | more),
    )


WAIVER = Waiver(
    item="security.network.ddos-protection",
    reason="the provider's scrubbing centre is in front until Shield is contracted",
    requester="maria.lopez",
    approver="chief.security",
    ticket="RISK-311",
    expires=date(2026, 3, 12),
    place="waivers.yaml:4",
)
EXPIRED = Waiver(
    item="security.api-keys.rotation-schedule",
    reason="rotation arrives with the new key service",
    requester="tom.becker",
    approver="maria.lopez",
    ticket="RISK-274",
    expires=date(2026, 2, 20),
    place="waivers.yaml:12",
)
ATTESTATION = Attestation(
    item="testing.security.penetration-test",
    statement="grey-box test of release 2026.3, no open high finding",
    by="Lena Fuchs",
    organisation="Northlight Security",
    performed_on=date(2026, 1, 20),
    expires=date(2026, 7, 20),
    reference="SEC-882",
    place="attestations.yaml:2",
)

HTTPS = item(
    "security.network.https-enforced",
    "HTTPS enforced",
    Status.PASS,
    [
        found(
            "pass",
            "https://api.orders.example",
            "port 80 refuses the connection",
            "plain HTTP is refused or redirected",
            check="security.network.https-enforced/endpoint",
            source="http.Get http://api.orders.example/",
        )
    ],
    severity=Severity.CRITICAL,
    reason="1 subject as it should be",
    owner="platform",
)
TLS = item(
    "security.network.tls-minimum-version",
    "TLS 1.2 or newer",
    Status.FAIL,
    [
        found(
            "fail",
            "legacy.orders.example:443",
            "accepts TLSv1.1",
            "TLSv1.2 or newer",
            check="security.network.tls-minimum-version/endpoint",
            source="tls.Scan legacy.orders.example:443",
            attempts=2,
        ),
        found(
            "fail",
            "arn:aws:elasticloadbalancing:eu-central-1:123456789012:listener/app/orders/50dc6c495c0c9188/f2f7dc8efc522ab2",
            "accepts TLSv1",
            "TLSv1.2 or newer",
            grade=Grade.CONTROL_PLANE,
            source="elbv2.DescribeSSLPolicies eu-central-1",
        ),
        found(
            "warning",
            "api.orders.example:443",
            "certificate ends in 25 days",
            "30 days or more",
            message="api.orders.example:443: the certificate ends on 2026-03-27; renew it",
        ),
        found("pass", "api.orders.example:443", "accepts TLSv1.2, TLSv1.3", "TLSv1.2 or newer"),
    ],
    severity=Severity.CRITICAL,
    reason="legacy.orders.example:443: accepts TLSv1.1, expected TLSv1.2 or newer (and 1 more)",
    next_step="set the listener's security policy to ELBSecurityPolicy-TLS13-1-2-2021-06",
    remediation="Serve TLS 1.2 and 1.3 only; on a load balancer choose a policy of 2021 or later.",
    references=("https://www.rfc-editor.org/rfc/rfc8996", "NIST SP 800-52 Rev. 2, section 3.1"),
    owner="platform (on-call: @platform-oncall)",
    tags=("tls", "guide"),
    change="worse",
)
KEYS = item(
    "security.api-keys.stored-in-secret-manager",
    "Keys stored in a secret manager",
    Status.FAIL,
    [
        found(
            "fail",
            "src/config/secrets.ts",
            "a literal of 40 characters is assigned to quubApiKey",
            "a reference to a secret manager",
            grade=Grade.REPOSITORY,
            location=Location(file="src/config/secrets.ts", line=14, column=9),
            check="security.api-keys.stored-in-secret-manager/code",
        ),
        found(
            "fail",
            "deploy/old notes.md",
            "an API key stands in the history",
            "no key in any commit",
            grade=Grade.REPOSITORY,
            location=Location(file="deploy/old notes.md", line=3, commit="a" * 40),
        ),
        found(
            "warning",
            "src/http.ts",
            "reads QUUB_API_KEY with a default",
            "no default for a key",
            grade=Grade.REPOSITORY,
            location=Location(file="src/http.ts", line=30),
        ),
    ],
    severity=Severity.CRITICAL,
    next_step="rotate the key, then read it from Secrets Manager at start",
    remediation="Keep every key in a secret manager and inject it at run time.",
    owner="orders team",
    change="same",
)
SUSTAINED = item(
    "testing.load.sustained",
    "Sustained load tested (24+ hours)",
    Status.FAIL,
    [
        found(
            "fail",
            "soak: results.jtl",
            "24.1 h, p95 grows by 6.1% an hour",
            "24 h or longer, no growth",
            grade=Grade.ARTIFACT,
            message="soak: answers get slower while the load stays the same; look for a leak",
            chart=Chart(
                title="95th percentile by half hour",
                x_unit="h",
                y_unit="ms",
                points=tuple((hour / 2, 210.0 + 6.5 * hour + 18 * (hour % 5)) for hour in range(48)),
                trend=(240.0, 558.5),
                limit=500.0,
            ),
        )
    ],
    next_step="take a heap dump of a replica after ten hours of load",
    min_evidence=Grade.ARTIFACT,
    owner="orders team",
)
ROTATION = item(
    "security.api-keys.rotation-schedule",
    "Key rotation schedule set",
    Status.FAIL,
    [found("fail", "orders/quub-api-key", "rotation is off", "every 90 days or less", grade=Grade.CONTROL_PLANE)],
    reason="orders/quub-api-key: rotation is off, expected every 90 days or less "
    "(the waiver RISK-274 expired on 2026-02-20)",
    next_step="turn on rotation, or ask for the waiver again",
    expired_waiver=EXPIRED,
    owner="orders team",
    change="new",
)
MFA = item(
    "security.authentication.admin-mfa",
    "MFA enabled for admin accounts",
    Status.ERROR,
    [
        found(
            "error",
            "production (123456789012)",
            grade=None,
            message="production (123456789012): iam.GenerateCredentialReport was denied to role/audit; "
            "grant iam:GenerateCredentialReport",
            next_step="grant iam:GenerateCredentialReport to role/audit",
        )
    ],
    severity=Severity.CRITICAL,
    next_step="grant iam:GenerateCredentialReport to role/audit",
    owner="cloud access",
)
LOGS = item(
    "performance.monitoring.centralized-logging",
    "Logging centralized",
    Status.INCONCLUSIVE,
    reason="nothing could be looked at: the environment declares no `apm:` and no `aws:`",
    next_step="declare `apm:` or `aws:` in environments.yaml, or say under `not_applicable:` why there is nothing",
)
DDOS = item(
    "security.network.ddos-protection",
    "DDoS protection enabled",
    Status.WAIVED,
    [
        found(
            "fail",
            "app/orders",
            "no web ACL and no Shield protection",
            "a web ACL or Shield Advanced",
            grade=Grade.CONTROL_PLANE,
            location=Location(file="terraform/waf.tf", line=1),
        )
    ],
    reason=f"accepted until {WAIVER.expires.isoformat()}: {WAIVER.reason}",
    waived_from=Status.FAIL,
    waiver=WAIVER,
)
PENTEST = item(
    "testing.security.penetration-test",
    "Penetration testing completed",
    Status.PASS,
    [
        found(
            "pass",
            "testing.security.penetration-test",
            "attested by Lena Fuchs, Northlight Security on 2026-01-20",
            "an attestation that is valid today",
            grade=Grade.HUMAN,
            source="SEC-882",
        )
    ],
    reason="attested by Lena Fuchs: grey-box test of release 2026.3, no open high finding",
    min_evidence=Grade.HUMAN,
    best_evidence=Grade.HUMAN,
    attestation=ATTESTATION,
)
REPLICAS = item(
    "environment.config.read-replicas",
    "Read replicas healthy",
    Status.NOT_APPLICABLE,
    reason="the service writes and reads one small table",
    severity=Severity.MEDIUM,
)
TTL = item(
    "performance.caching.ttl-values",
    "Cache entries expire",
    Status.FAIL,
    [found("fail", "orders-cache", "31% of keys never expire", "5% or less")],
    severity=Severity.LOW,
    blocking=False,
    next_step="set a TTL where src/cache.ts writes",
    change="better",
)
RETENTION = item(
    "security.data-protection.retention-policy",
    "Data retention policy configured",
    Status.PASS,
    [
        found("warning", "/ecs/orders-debug", "retention is never", "90 days or less", grade=Grade.CONTROL_PLANE),
        found("pass", "/ecs/orders", "retention is 30 days", "90 days or less", grade=Grade.CONTROL_PLANE),
    ],
    severity=Severity.MEDIUM,
    reason="1 subject as it should be",
    best_evidence=Grade.CONTROL_PLANE,
    change="fixed",
)

NOTICES = (
    Notice(kind="waiver-expired", text="security.api-keys.rotation-schedule, RISK-274: expired on 2026-02-20"),
    Notice(kind="waiver-ending", text="security.network.ddos-protection, RISK-311: ends on 2026-03-12"),
    Notice(kind="waiver-unused", text="performance.caching.ttl-values, RISK-290: covered nothing; remove it"),
)


def ready() -> Result:
    """Nothing blocks; one item is waived, one warns, one failed without blocking."""
    return result_of(
        [HTTPS, DDOS, RETENTION, TTL, PENTEST, REPLICAS], Verdict.READY, "Ready: nothing of 6 items blocks this release"
    )


def not_ready() -> Result:
    """Every status, a waiver of each kind, an attestation, and a baseline."""
    items = [KEYS, ROTATION, MFA, HTTPS, TLS, DDOS, RETENTION, TTL, LOGS, PENTEST, REPLICAS]
    return result_of(
        items,
        Verdict.NOT_READY,
        "Not ready: 3 blocking items failed, and 2 could not be decided",
        notices=NOTICES,
        dropped=(
            DroppedItem(
                id="deployment.strategy.canary-analysis", title="Canary analysis", reason="we deploy blue-green"
            ),
        ),
    )


def soak() -> Result:
    """One item that failed, with a chart."""
    return result_of([SUSTAINED], Verdict.NOT_READY, "Not ready: 1 blocking item failed")


def inconclusive() -> Result:
    """Nothing failed, and not everything could be decided."""
    return result_of(
        [HTTPS, MFA, LOGS],
        Verdict.INCONCLUSIVE,
        "Inconclusive: no blocking item failed, but 2 could not be decided",
    )


def refused() -> Result:
    """Nothing was audited."""
    return result_of(
        [],
        Verdict.REFUSED,
        "Nothing was audited",
        stage="",
        commit="",
        targets=(),
        finished_at=STARTED,
        duration_s=0.0,
        evidence=EvidenceReference(digest=""),
        notices=(
            Notice(
                kind="target",
                text="production: the credentials belong to account 210987654321, expected 123456789012; "
                "use the credentials of the account that environments.yaml names",
            ),
        ),
    )


def interrupted() -> Result:
    """Ended by a signal before the second item was done."""
    unfinished = found(
        "error",
        "performance.database.indexes",
        grade=None,
        message="not finished: the run was interrupted",
        next_step="run it again",
    )
    return result_of(
        [HTTPS, item("performance.database.indexes", "Indexes created", Status.ERROR, [unfinished])],
        Verdict.INTERRUPTED,
        "Interrupted: the audit was not finished",
        notices=(Notice(kind="run", text="1 item could not be finished before the run ended"),),
    )


def advisory() -> Result:
    """A run that stops nothing: not ready, and exit code 0."""
    return replace(
        not_ready(),
        gate="none",
        exit_code=ExitCode.READY,
        notices=(Notice(kind="gate", text="advisory run (--gate none): the exit code is 0 whatever was found"),),
    )


def smallest() -> Result:
    """One item and not one optional value."""
    only = ItemResult(
        id="custom.one.item",
        title="An item",
        section="Custom",
        group="One",
        severity=Severity.LOW,
        blocking=True,
        status=Status.PASS,
        blocks=False,
        reason="1 subject as it should be",
        min_evidence=Grade.LIVE,
    )
    return result_of(
        [only], Verdict.READY, "Ready: nothing of 1 item blocks this release", stage="", commit="", targets=()
    )


NASTY = (
    "<script>alert(1)</script><img src=x onerror=alert(2)>\"'--><!--]]>&lt;&amp; "
    "`code` ``two`` | pipe \\| **bold** __b__ [l](javascript:alert(3)) ![i](http://evil.example/i.png) "
    "@octocat me@evil.example #12 owner/repo#13 GH-14 !15 http://evil.example www.evil.example {{ 7*7 }} {% raw %} "
    "\x1b[31mred\x1b[0m\x00\x07\x0b \u202eright to left\u2066 \u2028line\u2029 \ufffe\ud800 "
    "\n# heading\n- list\n> quote\n```\nfence\n"
    "שלום 🏴‍☠️👩🏽‍🚀 é e\u0301 "
    + "x" * 200
    + " ~~s~~ $x$ <a href='http://evil.example'>a</a> </style></summary></details></td>"
)
"""HTML, Markdown, control characters, direction marks, a lone surrogate, and a word without an end."""


def hostile() -> Result:
    """`NASTY` in every field that holds a text."""
    waiver = replace(
        WAIVER, item=NASTY, reason=NASTY, requester=NASTY, approver=NASTY, ticket=NASTY, subject=NASTY, place=NASTY
    )
    attestation = replace(
        ATTESTATION, statement=NASTY, by=NASTY, organisation=NASTY, reference=NASTY, place=NASTY, item=NASTY
    )
    findings = [
        Finding(
            status=status,
            subject=NASTY,
            observed=NASTY,
            expected=NASTY,
            message=NASTY,
            location=Location(file=NASTY, line=1, column=1, commit=NASTY),
            claim=NASTY,
            next_step=NASTY,
            grade=Grade.LIVE,
            check=NASTY,
            source=NASTY,
        )
        for status in (FindingStatus.FAIL, FindingStatus.ERROR, FindingStatus.WARNING, FindingStatus.PASS)
    ]
    items = [
        item(
            f"{NASTY}.{status.value}",
            NASTY,
            status,
            findings,
            section=NASTY,
            group=NASTY,
            reason=NASTY,
            next_step=NASTY,
            remediation=NASTY,
            references=(NASTY, "javascript:alert(4)", "https://ok.example/?a=1&b=2"),
            tags=(NASTY,),
            owner=NASTY,
            file=NASTY,
            waiver=waiver,
            expired_waiver=waiver,
            attestation=attestation,
            waived_from=Status.FAIL if status is Status.WAIVED else None,
            change="worse",
        )
        for status in Status
    ]
    return result_of(
        items,
        Verdict.NOT_READY,
        NASTY,
        service=NASTY,
        environment=NASTY,
        stage=NASTY,
        commit=NASTY,
        targets=(NASTY,),
        tool=Tool(name=NASTY, version=NASTY),
        checklist=ChecklistReference(title=NASTY, version=NASTY, digest=NASTY),
        evidence=EvidenceReference(digest=NASTY, questions=1),
        notices=(Notice(kind="run", text=NASTY),),
        dropped=(DroppedItem(id=NASTY, title=NASTY, reason=NASTY),),
    )


def large(items: int = 92, findings: int = 10_000) -> Result:
    """Many items with many findings each, a third of them failing."""
    statuses = (Status.FAIL, Status.PASS, Status.ERROR)
    severities = tuple(Severity)
    per_item, rest = divmod(findings, items)
    made = []
    for index in range(items):
        status = statuses[index % 3]
        number = per_item + (index < rest)
        made.append(
            item(
                f"section-{index // 20}.group-{index // 5}.item-{index}",
                f"Item number {index} holds",
                status,
                [
                    found(
                        status.value,
                        f"arn:aws:s3:::orders-production-bucket-{index:03}-{position:05}",
                        "" if status is Status.ERROR else "server-side encryption is AES256 with a service-owned key",
                        "" if status is Status.ERROR else "server-side encryption is aws:kms with our own key",
                        message=f"bucket {position}: s3.GetBucketEncryption was denied to role/audit; "
                        "grant s3:GetEncryptionConfiguration"
                        if status is Status.ERROR
                        else "",
                        check=f"section-{index // 20}.group-{index // 5}.item-{index}/bucket",
                        source="s3.GetBucketEncryption eu-central-1",
                        grade=None if status is Status.ERROR else Grade.CONTROL_PLANE,
                        location=Location(file=f"terraform/buckets-{index}.tf", line=position + 1),
                    )
                    for position in range(number)
                ],
                severity=severities[index % 4],
                next_step="" if status is Status.PASS else "encrypt the buckets with the key alias/orders",
                owner="storage team",
            )
        )
    return result_of(made, Verdict.NOT_READY, "Not ready: 31 blocking items failed, and 30 could not be decided")


CASES: dict[str, Callable[[], Result]] = {
    "ready": ready,
    "not-ready": not_ready,
    "soak": soak,
    "inconclusive": inconclusive,
    "refused": refused,
    "interrupted": interrupted,
    "advisory": advisory,
    "smallest": smallest,
    "hostile": hostile,
}
"""The results that golden files hold, by case."""
