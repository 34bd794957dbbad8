"""Every manifest and the image that runs were scanned by fresh knowledge, and nothing grave is open."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from quub_audit.checks.testing.security import dependency_scan as check
from quub_audit.checks.testing.security._vulnerabilities import VulnerabilityParameters, judge
from quub_audit.model.environment import Artifact, Environment, GitHubProject, Repository
from quub_audit.model.result import ItemResult
from quub_audit.model.status import FindingStatus, Grade
from quub_audit.sdk import Acceptance, Manifest, Origin, Region, Scan, ScanFinding, Statement
from quub_audit.testing import audit_item
from tests.connectors.identity.saying import Says, saying
from tests.parsers.sources import DATA
from tests.worlds.cloud import REGION, Cloud
from tests.worlds.front import Front, front_of, json_answer
from tests.worlds.osv import Advisories, advisories, advisory

ITEM = "testing.security.dependency-scan"
COMMIT = "c" * 40
AT = datetime(2026, 11, 25, 12, tzinfo=UTC)
FOUND = "osv-scanner-2.2.4-all-packages.json"
ECR = "111122223333.dkr.ecr.us-east-1.amazonaws.com"


def artifact(*files: str, commit: str = COMMIT, name: str = "dependencies") -> Artifact:
    placed = tuple(str(DATA / file) if not file.startswith("/") else file for file in files)
    return Artifact(name=name, purpose="dependency-scan", files=placed, commit=commit)


def environment(**targets: Any) -> Environment:
    return Environment(service="orders", name="production", stage="production", **targets)


def audited(target: Environment, **how: Any) -> ItemResult:
    return audit_item(ITEM, target, **{"min_evidence": Grade.ARTIFACT, "at": AT, "commit": COMMIT, **how})


@pytest.fixture
def clean(tmp_path: Path) -> str:
    """A report of the real tool, out of which the findings are taken."""
    report = json.loads((DATA / FOUND).read_text())
    for result in report["results"]:
        for package in result["packages"]:
            package.pop("vulnerabilities", None)
            package.pop("groups", None)
    path = tmp_path / "reports" / "osv.json"
    path.parent.mkdir()
    path.write_text(json.dumps(report))
    return str(path)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "app"
    folder.mkdir()
    packages = {"node_modules/lodash": {"version": "4.17.15"}}
    (folder / "package-lock.json").write_text(json.dumps({"lockfileVersion": 3, "packages": packages}))
    (folder / "requirements.txt").write_text("jinja2==3.1.2\n")
    return folder


@pytest.fixture
def osv() -> Iterator[Advisories]:
    with advisories() as world:
        yield world


def repository(folder: Path) -> Repository:
    return Repository(name="app", path=str(folder))


# Artifacts


@pytest.mark.proof("pass")
def test_a_scan_of_every_manifest_that_found_nothing_passes(clean: str, checkout: Path) -> None:
    item = audited(environment(artifacts=(artifact(clean),), repositories=(repository(checkout),)))

    assert (item.status.value, item.best_evidence) == ("pass", Grade.ARTIFACT)
    assert item.findings[0].observed == "4 packages: nothing that is high or worse"


@pytest.mark.proof("fail")
def test_open_findings_fail_and_are_named_with_package_and_fix() -> None:
    item = audited(environment(artifacts=(artifact(FOUND),)))

    assert item.status.value == "fail"
    assert [finding.subject for finding in item.findings] == [
        "CVE-2020-8203 in pkg:npm/lodash@4.17.15",
        "CVE-2021-44906 in pkg:npm/minimist@1.2.0",
    ]
    assert item.findings[0].observed.endswith("high, Prototype Pollution in lodash, fixed in 4.17.19")


def test_a_lower_threshold_finds_more() -> None:
    item = audited(environment(artifacts=(artifact(FOUND),)), parameters={"fail_on": "medium"})

    assert sum(finding.status is FindingStatus.FAIL for finding in item.findings) == 3


@pytest.mark.proof("inconclusive")
@pytest.mark.parametrize(
    "target",
    [
        pytest.param(environment(), id="nothing"),
        pytest.param(environment(artifacts=(artifact("no-such-report.json"),)), id="missing"),
        pytest.param(environment(artifacts=(artifact(FOUND, commit="d" * 40),)), id="another-commit"),
        pytest.param(environment(artifacts=(replace(artifact(FOUND), purpose="code-scan"),)), id="another-purpose"),
    ],
)
def test_no_scan_and_one_of_another_commit_are_inconclusive(target: Environment) -> None:
    assert audited(target).status.value == "inconclusive"


def test_an_old_scan_is_inconclusive(clean: str) -> None:
    item = audited(environment(artifacts=(artifact(clean),)), at=datetime.now(UTC) + timedelta(days=8))

    assert item.status.value == "inconclusive"
    assert "days old, expected 7 or less" in item.reason


@pytest.mark.proof("inconclusive")
@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("npm-11.19.1-refused.json", "looked at no package"),
        ("yarn-1.22.22-refused.jsonl", "looked at no package"),
        ("pip-audit-2.10.1-skipped.json", "looked at no package"),
        ("semgrep-1.182.0.sarif", "no file of it is a scan of packages"),
    ],
)
def test_scans_that_looked_at_nothing_hold_back_the_pass_of_others(file: str, told: str, clean: str) -> None:
    item = audited(environment(artifacts=(artifact(clean), artifact(file, name="other"))))

    assert item.status.value == "inconclusive"
    assert told in item.reason


@pytest.mark.proof("error")
def test_a_report_that_is_cut_off_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "cut.json"
    path.write_bytes((DATA / FOUND).read_bytes()[:2000])

    assert audited(environment(artifacts=(artifact(str(path)),))).status.value == "error"


@pytest.mark.proof("inconclusive")
def test_a_manifest_that_nobody_looked_at_is_undecided(clean: str, checkout: Path) -> None:
    (checkout / "web").mkdir()
    (checkout / "web" / "yarn.lock").write_text('lodash@4:\n  version "4.17.15"\n')

    item = audited(environment(artifacts=(artifact(clean),), repositories=(repository(checkout),)))

    assert (item.status.value, item.findings[0].subject) == ("inconclusive", "app:web/yarn.lock")


def test_statements_of_vex_and_lists_with_an_end_excuse_what_they_name(checkout: Path) -> None:
    (checkout / "osv-scanner.toml").write_text(
        '[[IgnoredVulns]]\nid = "CVE-2021-44906"\nignoreUntil = 2026-12-31\nreason = "not reached"\n'
    )
    statement = {
        "vulnerability": {"name": "CVE-2020-8203"},
        "status": "not_affected",
        "justification": "vulnerable_code_not_in_execute_path",
        "products": [{"@id": "pkg:npm/lodash@4.17.15"}],
    }
    document = {"@context": "https://openvex.dev/ns/v0.2.0", "timestamp": "2026-11-20T10:00:00Z"}
    (checkout / "app.openvex.json").write_text(json.dumps({**document, "statements": [statement]}))
    target = environment(artifacts=(artifact(FOUND),), repositories=(repository(checkout),))

    assert audited(target).status.value == "pass"
    assert audited(target, at=AT + timedelta(days=40), parameters={"max_age_days": 90}).status.value == "fail"


def test_a_list_without_an_end_fails(clean: str, checkout: Path) -> None:
    (checkout / ".trivyignore").write_text("CVE-2020-8203\n")
    target = environment(artifacts=(artifact(clean),), repositories=(repository(checkout),))

    item = audited(target)

    assert item.status.value == "fail"
    assert item.findings[0].observed == "app:.trivyignore leaves out CVE-2020-8203 without an end"
    assert audited(target, parameters={"ignores_end": False}).status.value == "pass"


# The service of advisories


def test_packages_that_the_service_knows_nothing_of_pass(checkout: Path, osv: Advisories) -> None:
    item = audited(environment(advisories=(osv.service(),), repositories=(repository(checkout),)))

    assert item.status.value == "pass"
    assert [finding.subject for finding in item.findings] == ["app:package-lock.json", "app:requirements.txt"]


def test_what_the_service_knows_fails_in_lock_files_and_requirements(checkout: Path, osv: Advisories) -> None:
    osv.records = [
        advisory("GHSA-p6mc-m468-83gw", "npm", "lodash", "4.17.15", fixed="4.17.19", aliases=["CVE-2020-8203"]),
        advisory("PYSEC-2024-1", "PyPI", "jinja2", "3.1.2", fixed="3.1.3"),
    ]

    item = audited(environment(advisories=(osv.service(),), repositories=(repository(checkout),)))

    assert item.status.value == "fail"
    assert [finding.subject for finding in item.findings] == [
        "CVE-2020-8203 in pkg:npm/lodash@4.17.15",
        "PYSEC-2024-1 in pkg:pypi/jinja2@3.1.2",
    ]
    assert "no level is known, which counts as high" in item.findings[1].observed


def test_what_has_no_version_is_undecided_unless_a_scan_looked_at_the_file(
    clean: str, checkout: Path, osv: Advisories
) -> None:
    (checkout / "requirements.txt").write_text("jinja2==3.1.2\nflask>=2\n")
    target = environment(advisories=(osv.service(),), repositories=(repository(checkout),))

    item = audited(target)

    assert item.status.value == "inconclusive"
    assert "line 2: flask is not pinned" in item.reason
    assert audited(replace(target, artifacts=(artifact(clean),))).status.value == "pass"


@pytest.mark.proof("error")
def test_a_service_that_does_not_answer_is_an_error(checkout: Path, osv: Advisories) -> None:
    osv.status = 500

    item = audited(environment(advisories=(osv.service(),), repositories=(repository(checkout),)))

    assert item.status.value == "error"


def test_nothing_is_sent_where_no_service_is_declared(checkout: Path, osv: Advisories) -> None:
    item = audited(environment(repositories=(repository(checkout),)))

    assert (item.status.value, osv.asked) == ("inconclusive", [])
    assert "no scan looked at it" in item.reason


# Images in ECR


@pytest.fixture
def lasting_tasks(emulator: str) -> None:
    """Tasks of the emulator would end when they are looked at twice."""
    order = {"model_name": "ecs::task", "transition": {"progression": "manual", "times": 100_000}}
    request = urllib.request.Request(f"{emulator}/moto-api/state-manager/set-transition", json.dumps(order).encode())
    request.add_header("Content-Type", "application/json")
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20) as answer:
        answer.read()


def running(cloud: Cloud, image: str = "") -> str:
    """A task that runs an image, by default one of the account's registry; its digest there."""
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "size": 1, "digest": "sha256:0"},
        "layers": [],
    }
    ecr, ecs = cloud.client("ecr"), cloud.client("ecs")
    ecr.create_repository(repositoryName="orders")
    put = ecr.put_image(repositoryName="orders", imageManifest=json.dumps(manifest), imageTag="1")["image"]
    digest: str = put["imageId"]["imageDigest"]
    host = f"{put['registryId']}.dkr.ecr.{REGION}.amazonaws.com"
    ecs.create_cluster(clusterName="main")
    ecs.register_task_definition(
        family="orders",
        networkMode="awsvpc",
        requiresCompatibilities=["FARGATE"],
        cpu="256",
        memory="512",
        containerDefinitions=[{"name": "web", "image": image or f"{host}/orders@{digest}", "memory": 256}],
    )
    subnet = cloud.client("ec2").describe_subnets()["Subnets"][0]["SubnetId"]
    placed = {"awsvpcConfiguration": {"subnets": [subnet], "securityGroups": []}}
    ecs.run_task(cluster="main", taskDefinition="orders", launchType="FARGATE", networkConfiguration=placed)
    return digest


def of_images(cloud: Cloud, **targets: Any) -> ItemResult:
    target = environment(aws=(cloud.account(),), **targets)
    return audited(target, environ=cloud.environ, at=datetime.now(UTC))


@pytest.mark.usefixtures("lasting_tasks")
def test_the_image_that_runs_fails_by_what_ecr_found_in_it(cloud: Cloud) -> None:
    digest = running(cloud)
    cloud.client("ecr").start_image_scan(repositoryName="orders", imageId={"imageDigest": digest})

    item = of_images(cloud)

    assert item.status.value == "fail"
    assert [finding.subject for finding in item.findings] == ["CVE-9999-9999 in moto_fake@9.9.9"]
    assert item.best_evidence is Grade.CONTROL_PLANE


@pytest.mark.usefixtures("lasting_tasks")
@pytest.mark.parametrize("image", ["", "nginx:1.27"])
def test_an_image_that_nobody_scanned_is_undecided(cloud: Cloud, image: str) -> None:
    running(cloud, image)

    item = of_images(cloud)

    assert item.status.value == "inconclusive"
    assert ("it is not from ECR" if image else "ECR never scanned it") in item.reason


@pytest.mark.usefixtures("lasting_tasks")
def test_a_scan_of_the_digest_in_the_pipeline_is_enough_where_ecr_says_nothing(cloud: Cloud, tmp_path: Path) -> None:
    digest = running(cloud)
    report = {
        "SchemaVersion": 2,
        "CreatedAt": datetime.now(UTC).isoformat(),
        "ArtifactName": "orders:1",
        "ArtifactType": "container_image",
        "Metadata": {"RepoDigests": [f"orders@{digest}"], "OS": {"Family": "alpine", "Name": "3.22"}},
        "Results": [
            {"Target": "orders", "Class": "os-pkgs", "Type": "alpine", "Packages": [{"Name": "musl", "Version": "1"}]}
        ],
    }
    path = tmp_path / "trivy.json"
    path.write_text(json.dumps(report))

    item = of_images(cloud, artifacts=(artifact(str(path)),))

    assert item.status.value == "pass"
    (warning,) = item.warnings
    assert "would look the same without `vuln` among --scanners" in warning.message


@pytest.mark.usefixtures("lasting_tasks")
@pytest.mark.proof("error")
def test_a_right_that_is_missing_is_an_error_that_names_it(cloud: Cloud) -> None:
    running(cloud)
    cloud.allow_only("ecs:List*", "ecs:Describe*")

    item = of_images(cloud)

    assert item.status.value == "error"
    assert "ecr:DescribeImageScanFindings" in item.reason


@pytest.mark.usefixtures("lasting_tasks")
def test_an_image_that_is_built_and_runs_nowhere_must_be_scanned_in_the_pipeline(
    cloud: Cloud, clean: str, checkout: Path
) -> None:
    (checkout / "Dockerfile").write_text("FROM node:22\n")
    target = {"artifacts": (artifact(clean),), "repositories": (repository(checkout),)}

    nowhere = of_images(cloud, **target)
    digest = running(cloud)
    cloud.client("ecr").start_image_scan(repositoryName="orders", imageId={"imageDigest": digest})
    somewhere = of_images(cloud, **target)

    assert (nowhere.status.value, nowhere.findings[0].subject) == ("inconclusive", "app:Dockerfile")
    assert "app:Dockerfile" not in {finding.subject for finding in somewhere.findings}
    assert audited(environment(**target)).status.value == "inconclusive"


# Inspector, of which the emulator knows findings alone


@pytest.fixture
def front(emulator: str) -> Iterator[Front]:
    with front_of(emulator) as running_front:
        yield running_front


@pytest.fixture
def watched(front: Front, lasting_tasks: None) -> tuple[Cloud, dict[str, Any]]:
    """An account whose image is scanned by Inspector, and what Inspector says of its coverage."""
    cloud = Cloud(front.address)
    digest = running(cloud)
    covered = {
        "resourceId": f"arn:aws:ecr:{REGION}:{cloud.account_id}:repository/orders/{digest}",
        "resourceType": "AWS_ECR_CONTAINER_IMAGE",
        "accountId": cloud.account_id,
        "scanType": "PACKAGE",
        "scanStatus": {"statusCode": "ACTIVE", "reason": "SUCCESSFUL"},
        "lastScannedAt": datetime(2026, 1, 1, tzinfo=UTC).timestamp(),
        "resourceMetadata": {"ecrRepository": {"name": "orders", "scanFrequency": "CONTINUOUS_SCAN"}},
    }
    scan = {"imageScanStatus": {"status": "ACTIVE"}, "imageScanFindings": {"enhancedFindings": []}}
    front.answers |= {
        "ecr.DescribeImageScanFindings": lambda _: json_answer(scan),
        "inspector2 POST /coverage/list": lambda _: json_answer({"coveredResources": [covered]}),
        "inspector2 POST /findings/list": lambda _: json_answer({"findings": []}),
    }
    return cloud, covered


def inspected(**changes: Any) -> dict[str, Any]:
    """One finding of Inspector."""
    package = {"name": "openssl", "version": "3.0.0", "fixedInVersion": "3.0.1"}
    details = {"vulnerabilityId": "CVE-2026-1", "vulnerablePackages": [package]}
    told = {"status": "ACTIVE", "severity": "MEDIUM", "title": "CVE-2026-1 - openssl", "exploitAvailable": "NO"}
    return {**told, "type": "PACKAGE_VULNERABILITY", "packageVulnerabilityDetails": details, **changes}


@pytest.mark.proof("pass")
def test_an_image_that_inspector_watches_and_knows_nothing_grave_of_passes(
    watched: tuple[Cloud, dict[str, Any]],
) -> None:
    item = of_images(watched[0])

    assert (item.status.value, item.best_evidence) == ("pass", Grade.CONTROL_PLANE), item.reason


@pytest.mark.parametrize(
    ("finding", "status", "word"),
    [
        (inspected(), "pass", ""),
        (inspected(epss={"score": 0.4}), "fail", "EPSS 0.40"),
        (inspected(exploitAvailable="YES"), "fail", "an exploit is public"),
        (inspected(severity="CRITICAL"), "fail", "critical"),
        (inspected(severity="CRITICAL", status="SUPPRESSED"), "pass", "1 accepted"),
    ],
)
def test_findings_of_inspector_fail_by_severity_exploit_and_epss(
    watched: tuple[Cloud, dict[str, Any]], front: Front, finding: dict[str, Any], status: str, word: str
) -> None:
    front.answers["inspector2 POST /findings/list"] = lambda _: json_answer({"findings": [finding]})

    item = of_images(watched[0])

    assert item.status.value == status, item.reason
    assert word in item.findings[0].observed


@pytest.mark.parametrize(
    ("changes", "status", "told"),
    [
        ({"resourceId": "arn:aws:ecr:::repository/orders/sha256:other"}, "inconclusive", "does not cover it"),
        (
            {"scanStatus": {"statusCode": "INACTIVE", "reason": "SCAN_ELIGIBILITY_EXPIRED"}},
            "inconclusive",
            "SCAN_ELIGIBILITY_EXPIRED",
        ),
        (
            {
                "scanStatus": {"statusCode": "INACTIVE", "reason": "SCAN_FREQUENCY_SCAN_ON_PUSH"},
                "resourceMetadata": {"ecrRepository": {"name": "orders", "scanFrequency": "SCAN_ON_PUSH"}},
            },
            "fail",
            "days ago",
        ),
    ],
)
def test_what_inspector_does_not_watch_shows_nothing_and_one_old_scan_is_too_old(
    watched: tuple[Cloud, dict[str, Any]], changes: dict[str, Any], status: str, told: str
) -> None:
    cloud, covered = watched
    covered |= changes

    item = of_images(cloud)

    assert item.status.value == status
    assert told in item.reason


@pytest.mark.proof("error")
def test_a_denial_of_inspector_names_the_right(watched: tuple[Cloud, dict[str, Any]], front: Front) -> None:
    denied = json_answer({"__type": "AccessDeniedException", "message": "no"}, status=403)
    front.answers["inspector2 POST /coverage/list"] = lambda _: denied

    item = of_images(watched[0])

    assert item.status.value == "error"
    assert "inspector2:ListCoverage" in item.reason


# Alerts of GitHub


def alert(**changes: Any) -> dict[str, Any]:
    package = {"ecosystem": "npm", "name": "lodash"}
    return {
        "number": 1,
        "state": "open",
        "dependency": {"package": package, "manifest_path": "package-lock.json", "scope": "runtime"},
        "security_advisory": {"ghsa_id": "GHSA-p6mc-m468-83gw", "cve_id": "CVE-2020-8203", "summary": "Pollution"},
        "security_vulnerability": {"severity": "high", "first_patched_version": {"identifier": "4.17.19"}},
        **changes,
    }


DEVELOPMENT = {**alert()["dependency"], "scope": "development"}
MALWARE = {**alert()["security_advisory"], "classification": "malware"}


@pytest.mark.parametrize(
    ("says", "status", "told"),
    [
        (Says(body=[]), "pass", "alerts of Dependabot: nothing"),
        (Says(body=[alert()]), "fail", "acme/orders at GitHub: high, Pollution, fixed in 4.17.19"),
        (Says(body=[alert(state="dismissed", dismissed_reason="not_used")]), "pass", "dismissed as not_used (1)"),
        (Says(body=[alert(state="dismissed", dismissed_reason="no_bandwidth")]), "fail", "high, Pollution"),
        (Says(body=[alert(dependency=DEVELOPMENT)]), "pass", "1 findings of packages for development alone"),
        (Says(body=[alert(dependency=DEVELOPMENT, security_advisory=MALWARE)]), "fail", "made to do harm"),
        (Says(403, {"message": "Dependabot alerts are disabled for this repository."}), "pass", "switched off"),
        (Says(403, {"message": "Resource not accessible by integration"}), "error", "dependabot_alerts: read"),
    ],
)
def test_alerts_of_dependabot_fail_and_pass_nothing_alone(
    clean: str, checkout: Path, says: Says, status: str, told: str
) -> None:
    with saying() as github:
        github.answer("/repos/acme/orders/dependabot/alerts", says)
        project = GitHubProject(project="acme/orders", url=github.address, token="a-token")
        hosted = replace(repository(checkout), github=project)
        item = audited(environment(artifacts=(artifact(clean),), repositories=(hosted,)))
        alone = audited(environment(repositories=(hosted,)), check="alerts")

    said = " ".join(f"{finding.observed} {finding.message} {finding.next_step}" for finding in item.findings)
    assert (item.status.value, told in said) == (status, True), said
    assert alone.status.value == ("inconclusive" if status == "pass" else status)
    assert {f.subject for f in item.findings if f.status is FindingStatus.FAIL} <= {
        "CVE-2020-8203 in pkg:npm/lodash@4.17.15"
    }


@pytest.mark.parametrize(
    ("image", "digest", "expected"),
    [
        (f"{ECR}/team/orders:1", "sha256:a", ("111122223333", "team/orders", "sha256:a")),
        (f"{ECR}/orders@sha256:b", "", ("111122223333", "orders", "sha256:b")),
        ("nginx:1.27", "sha256:a", ("", "nginx:1.27", "sha256:a")),
        ("public.ecr.aws/nginx/nginx:1", "sha256:a", ("", "public.ecr.aws/nginx/nginx:1", "sha256:a")),
    ],
)
def test_images_are_told_apart_by_registry_repository_and_digest(
    image: str, digest: str, expected: tuple[str, str, str]
) -> None:
    found = check.read_image(Region(account="prod", name=REGION), {"image": image, "imageDigest": digest})

    assert (found.registry, found.repository, found.digest) == expected


IMAGE = check.read_image(
    Region(account="prod", name=REGION),
    {"image": f"{ECR}/orders:1", "imageDigest": "sha256:a"},
)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (None, "ECR never scanned it"),
        ({"imageScanStatus": {"status": "COMPLETE"}}, ""),
        ({"imageScanStatus": {"status": "ACTIVE"}}, ""),
        (
            {"imageScanStatus": {"status": "UNSUPPORTED_IMAGE", "description": "UnsupportedImageError"}},
            "its scan is UNSUPPORTED_IMAGE (UnsupportedImageError)",
        ),
        (
            {"imageScanStatus": {"status": "SCAN_ELIGIBILITY_EXPIRED"}},
            "its scan is SCAN_ELIGIBILITY_EXPIRED (no reason is given)",
        ),
        ({"imageScanStatus": {"status": "PENDING"}}, "its scan is PENDING (no reason is given)"),
        ({}, "its scan is of no status (no reason is given)"),
    ],
)
def test_only_a_complete_or_continuous_scan_says_anything(answer: dict[str, Any] | None, why: str) -> None:
    assert check.why_unscanned(IMAGE, answer) == why


def test_findings_of_inspector_are_those_that_are_not_closed_one_for_each_package() -> None:
    package = {"name": "openssl", "version": "3.0.0", "fixedInVersion": "3.0.1"}
    other = {"name": "zlib", "version": "1.2", "fixedInVersion": "NotAvailable"}
    details = {"vulnerabilityId": "CVE-2026-1", "vulnerablePackages": [package, other]}
    open_one = {"severity": "MEDIUM", "status": "ACTIVE", "exploitAvailable": "YES", "epss": {"score": 0.01}}

    found = [
        *check.enhanced(
            [
                {**open_one, "packageVulnerabilityDetails": details},
                {"severity": "CRITICAL", "status": "CLOSED", "packageVulnerabilityDetails": details},
                {
                    "severity": "LOW",
                    "status": "SUPPRESSED",
                    "packageVulnerabilityDetails": {"vulnerabilityId": "CVE-3"},
                },
                {"severity": "UNTRIAGED", "packageVulnerabilityDetails": {"vulnerabilityId": "CVE-2026-2"}},
            ]
        )
    ]

    assert [(one.id, one.level, one.subject, one.fixed_in, one.has_exploit) for one in found] == [
        ("CVE-2026-1", "medium", "openssl@3.0.0", ("3.0.1",), True),
        ("CVE-2026-1", "medium", "zlib@1.2", (), True),
        ("CVE-3", "low", "", (), False),
        ("CVE-2026-2", "unknown", "", (), False),
    ]
    assert [one.acceptance is not None for one in found] == [False, False, True, False]


# Judging


def finding(**fields: Any) -> ScanFinding:
    known: dict[str, Any] = {"id": "CVE-1", "level": "high", "subject": "pkg:npm/a@1", "fixed_in": ("2",)}
    return ScanFinding(**{**known, **fields})


def accepted(ids: tuple[str, ...], subjects: tuple[str, ...] = (), days: int | None = None) -> Statement:
    expires = None if days is None else AT + timedelta(days=days)
    return Statement(ids=ids, subjects=subjects, acceptance=Acceptance(by="list", expires=expires))


@pytest.mark.parametrize(
    ("one", "statements", "parameters", "expected"),
    [
        (finding(), [], {}, "fail"),
        (finding(level="critical"), [], {}, "fail"),
        (finding(level="unknown"), [], {}, "fail"),
        (finding(level="medium"), [], {}, "pass"),
        (finding(level="medium"), [], {"fail_on": "medium"}, "fail"),
        (finding(level="high"), [], {"fail_on": "critical"}, "pass"),
        (finding(level="medium", exploit_probability=0.1), [], {}, "fail"),
        (finding(level="low", exploit_probability=0.9), [], {}, "pass"),
        (finding(level="medium", exploit_probability=0.1), [], {"fail_on": "critical"}, "fail"),
        (finding(level="low", has_exploit=True), [], {}, "fail"),
        (finding(level="low", has_exploit=True), [accepted(("CVE-1",))], {}, "pass"),
        (finding(id="MAL-2026-1"), [], {"fail_on": "critical"}, "fail"),
        (finding(is_development=True), [], {}, "pass"),
        (finding(is_development=True, is_exploited=True), [], {}, "fail"),
        (finding(is_development=True, tags=("malware",)), [], {}, "fail"),
        (finding(level="low", is_exploited=True), [], {}, "fail"),
        (finding(is_exploited=True), [accepted(("CVE-1",))], {}, "fail"),
        (finding(fixed_in=()), [], {}, "fail"),
        (finding(fixed_in=()), [], {"accept_unfixed": True}, "pass"),
        (finding(fixed_in=(), is_exploited=True), [], {"accept_unfixed": True}, "fail"),
        (finding(), [accepted(("cve-1",))], {}, "pass"),
        (finding(aliases=("GHSA-1",)), [accepted(("GHSA-1",))], {}, "pass"),
        (finding(), [accepted(("CVE-2",))], {}, "fail"),
        (finding(), [accepted(("CVE-1",), ("pkg:npm/a",))], {}, "pass"),
        (finding(), [accepted(("CVE-1",), ("pkg:npm/a@1",))], {}, "pass"),
        (finding(), [accepted(("CVE-1",), ("pkg:npm/a@2",))], {}, "fail"),
        (finding(), [accepted(("CVE-1",), ("pkg:npm/b",))], {}, "fail"),
        (finding(), [accepted(("*",), ("pkg:npm/a",))], {}, "pass"),
        (finding(), [accepted(("CVE-1",), days=1)], {}, "pass"),
        (finding(), [accepted(("CVE-1",), days=0)], {}, "fail"),
        (finding(acceptance=Acceptance(by="scanner")), [], {}, "pass"),
        (finding(acceptance=Acceptance(by="scanner", expires=AT - timedelta(days=1))), [], {}, "fail"),
    ],
)
def test_a_finding_matters_by_level_exploit_and_what_excuses_it(
    one: ScanFinding, statements: list[Statement], parameters: dict[str, Any], expected: str
) -> None:
    found = list(judge("scan", [one], "3 packages", statements, VulnerabilityParameters(**parameters), AT))

    assert found[-1].status.value == expected


def test_one_vulnerability_of_a_package_in_many_places_is_told_once_with_a_bounded_list() -> None:
    places = [
        finding(file=f"{number:02}/package-lock.json", level="critical" if number else "high") for number in range(12)
    ]

    (told,) = judge("scan", places, "3 packages", [], VulnerabilityParameters(), AT)

    assert told.subject == "CVE-1 in pkg:npm/a@1"
    assert told.observed.startswith("scan: critical, fixed in 2, in 00/package-lock.json, ")
    assert told.observed.endswith(" and 2 more")


def test_what_several_files_of_an_artifact_tell_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "again.json").write_bytes((DATA / FOUND).read_bytes())

    once = audited(environment(artifacts=(artifact(FOUND),)))
    twice = audited(environment(artifacts=(artifact(FOUND, str(tmp_path / "again.json")),)))

    assert [each.subject for each in twice.findings] == [each.subject for each in once.findings]


SCAN = Scan(origin=Origin(file="r"), covers="dependencies", volume=1, volume_of="packages")
NPM = Manifest(path="web/package-lock.json", ecosystem="npm")


@pytest.mark.parametrize(
    ("scan", "manifests", "expected"),
    [
        (replace(SCAN, targets=("/srv/app/web/package-lock.json",)), [NPM], True),
        (replace(SCAN, targets=("web/package-lock.json",)), [NPM], True),
        (replace(SCAN, targets=("package-lock.json",)), [NPM], False),
        (replace(SCAN, targets=("/srv/app/otherweb/package-lock.json",)), [NPM], False),
        (replace(SCAN, ecosystems=("npm",)), [NPM], True),
        (replace(SCAN, ecosystems=("npm",)), [NPM, replace(NPM, path="package-lock.json")], False),
        (replace(SCAN, ecosystems=("pypi",)), [NPM], False),
        (replace(SCAN, ecosystems=("npm",), volume=0), [NPM], False),
        (replace(SCAN, ecosystems=("npm",), covers="code"), [NPM], False),
    ],
)
def test_a_scan_looked_at_what_it_names_or_at_the_only_one(
    scan: Scan, manifests: list[Manifest], expected: bool
) -> None:
    assert check.looked_into(NPM, scan, manifests) is expected


def test_an_image_is_looked_at_by_a_scan_of_an_image() -> None:
    docker = Manifest(path="Dockerfile", ecosystem="docker")

    assert check.looked_into(docker, replace(SCAN, covers="image"), [docker])
    assert not check.looked_into(docker, SCAN, [docker])
