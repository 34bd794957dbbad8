"""Every package of every manifest, and the image that runs, was scanned by fresh knowledge, and nothing grave is open.

Pass          every scan looked at something, is at most `max_age_days` old and of this commit, and knows nothing of `fail_on` or worse, nor anything that exploits make as bad, that a VEX statement, an ignore list or the scanner's own suppression does not excuse; every manifest of the repository was looked at by a scan or by the declared service
Fail          a finding of `fail_on` or worse is open, one that is medium and likely to be exploited, or one of any level whose exploit is public; one is known to be exploited, whatever excuses it; a package does harm by intent; the scanner's database, or the scan of the running image, is too old; an entry of an ignore list has no end
Inconclusive  neither an artifact `dependency-scan`, nor a repository with a service of advisories, nor a task that runs an image of ECR; the artifacts are missing, stale or of another commit; a scan looked at nothing, or not at all that it should have; nobody looked at a manifest; neither ECR, Inspector nor a scan of the pipeline looked at the digest that runs
Error         a report cannot be read; the service, GitHub, CI or AWS denies or does not answer
Needs         one or more of: artifacts of purpose `dependency-scan`; `advisories` (a service with the protocol of OSV, which gets names and versions of packages) and a checkout; `ecs:ListClusters`, `ListTasks`, `DescribeTasks`, `ecr:DescribeImageScanFindings`, and where Inspector scans `inspector2:ListCoverage`, `ListFindings`. Alerts of Dependabot (`repositories[].github` with dependabot_alerts: read) fail and pass nothing, since they are on the default branch; one that was dismissed for want of time is open, one on a package for development alone is told
Source        the guide, Testing; OWASP ASVS 5.0, v5.0.0-15.1.2 and -15.2.1; OWASP Top 10:2025, A03; PCI DSS 4.0.1, 6.3.3; CISA's catalogue of known exploited vulnerabilities
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from quub_audit.checks.testing.security._vulnerabilities import (
    PURPOSE,
    VulnerabilityParameters,
    judge,
    of_artifacts,
)
from quub_audit.sdk import (
    Acceptance,
    AdvisoryService,
    Artifact,
    Artifacts,
    Aws,
    Clock,
    Dependencies,
    Environment,
    Finding,
    FindingStatus,
    Grade,
    Hosting,
    Level,
    Manifest,
    Region,
    Repository,
    Scan,
    ScanFinding,
    Statement,
    artifacts_for,
    check,
    cut,
    subjects,
)

PACKAGES = ("dependencies", "image")
TASKS_AT_ONCE = 100
"""Most tasks that one ecs.DescribeTasks takes (API reference)."""

SCANNED = ("SUCCESSFUL", "SCAN_FREQUENCY_SCAN_ON_PUSH")
"""Reasons of Inspector's status that say that it looked; the second one, once."""

ENDLESS = (".grype.yaml", "grype.yaml")
"""Lists whose format knows no end; what they leave out stands in the scanner's report."""

LISTS = (".trivyignore", ".trivyignore.yaml", ".trivyignore.yml", "osv-scanner.toml", ".nsprc", "audit-ci.json")


@check("Scans of dependencies looked at all, by fresh knowledge, and found nothing grave", each=artifacts_for(PURPOSE))
def scan(
    subject: Artifact,
    artifacts: Artifacts,
    environment: Environment,
    dependencies: Dependencies,
    clock: Clock,
    wanted: VulnerabilityParameters,
) -> Iterator[Finding]:
    """One judgement for each run of a scanner."""
    scans = artifacts.scans(subject, fresh=wanted.fresh)
    statements = [
        *(statement for each in scans for statement in each.statements),
        *(statement for each in environment.repositories for statement in dependencies.accepted(each)),
    ]
    told: set[str] = set()
    for each in scans:
        if each.covers not in PACKAGES:
            continue
        where = f"{subject.name}: {each.origin.file} ({each.origin.tool})"
        yield from complete(where, each)
        if each.volume and not each.shows_search:
            yield Finding.warning(
                subject=where,
                observed="names no vulnerability, and does not say that it looked for any",
                expected="a scanner that was told to look for vulnerabilities, of every level",
                message=f"{where} would look the same without `vuln` among --scanners; make sure that it was there",
            )
        if each.volume:
            yield from known_since(where, each.database_at, wanted, clock)
            looked_at = f"{each.volume} {each.volume_of}"
            for finding in judge(where, each.findings, looked_at, statements, wanted, clock.now()):
                # Several files of an artifact often tell the same: an audit of the lock file, a scan of the image.
                if finding.status is not FindingStatus.FAIL or finding.subject not in told:
                    yield finding
                told.add(finding.subject)
    if not any(each.covers in PACKAGES for each in scans):
        yield Finding.undecided(
            subject=subject.name,
            message=f"{subject.name}: no file of it is a scan of packages",
            next_step="keep the report of a scanner of dependencies beside the VEX documents",
        )


def complete(where: str, one: Scan) -> Iterator[Finding]:
    """What keeps a scan from saying anything, or from saying it of all: it shows nothing, and is undecided."""
    if not one.volume:
        why = f": {one.unread[0]}" if one.unread else ""
        yield Finding.undecided(
            subject=where,
            message=f"{where} looked at no package, or does not say at how many{why}",
            next_step="have the scanner list every package (docs/artifacts.md says how), and look why it found none",
        )
    elif one.unread:
        yield Finding.undecided(
            subject=where,
            message=f"{where} did not look at {cut(one.unread)}",
            next_step="mend what kept the scanner from it",
        )


def known_since(
    where: str, database_at: datetime | None, wanted: VulnerabilityParameters, clock: Clock
) -> Iterator[Finding]:
    """A fail for a database that is too old. Where its age is not told, that of the scan has to do."""
    if database_at is None:
        return
    age = clock.now() - database_at
    if age > timedelta(days=wanted.max_database_age_days):
        yield Finding.of(
            False,
            subject=where,
            observed=f"the scanner's database is {age / timedelta(days=1):.1f} days old",
            expected=f"{wanted.max_database_age_days:g} days or less",
        )


@check("Every manifest was looked at", each=Repository)
def manifests(
    subject: Repository,
    dependencies: Dependencies,
    environment: Environment,
    wanted: VulnerabilityParameters,
) -> Iterator[Finding]:
    """Says only what nobody looked at: that somebody did proves nothing by itself."""
    found = dependencies.manifests(subject)
    scans = list(of_artifacts(environment, dependencies, wanted, subject.name))
    for manifest in found:
        if not any(looked_into(manifest, each, found) for each in scans) and not by_us(manifest, environment):
            yield unscanned(subject, manifest)


def unscanned(repository: Repository, manifest: Manifest) -> Finding:
    """What is said of a manifest that nobody looked at."""
    is_image = manifest.ecosystem == "docker"
    return Finding.undecided(
        subject=f"{repository.name}:{manifest.path}",
        message=f"{repository.name}:{manifest.path}: no scan looked at {'an image' if is_image else 'it'}",
        next_step="scan the image in the pipeline" if is_image else "scan it in the pipeline, or declare `advisories`",
    )


def looked_into(manifest: Manifest, one: Scan, all_manifests: Sequence[Manifest]) -> bool:
    """Whether a scan looked at the manifest: it names it, or names none and this is the only one of its ecosystem."""
    if not one.volume or one.covers not in PACKAGES:
        return False
    if manifest.ecosystem == "docker":
        return one.covers == "image"
    if any(f"/{target}".endswith(f"/{manifest.path}") for target in one.targets):
        return True
    alike = [each for each in all_manifests if each.ecosystem == manifest.ecosystem]
    return not one.targets and manifest.ecosystem in one.ecosystems and alike == [manifest]


def by_us(manifest: Manifest, environment: Environment) -> bool:
    """Whether another check of this item looks at it."""
    if manifest.ecosystem == "docker":
        return bool(environment.aws)
    return bool(environment.advisories)


@check("Ignore lists end", each=Repository)
def ignores(
    subject: Repository, dependencies: Dependencies, clock: Clock, wanted: VulnerabilityParameters
) -> Iterator[Finding]:
    """Says only what is wrong with an entry: what a list leaves out is missing in the scanner's report."""
    for statement in dependencies.accepted(subject):
        file = statement.acceptance.by
        name = file.rpartition("/")[2]
        expires = statement.acceptance.expires
        what = f"{subject.name}:{file} leaves out {cut((*statement.ids, *statement.subjects))}"
        if name.startswith(LISTS) and expires is None and wanted.ignores_end:
            yield Finding.of(
                False,
                subject=f"{subject.name}:{file}",
                observed=f"{what} without an end",
                expected="a day on which it ends",
            )
        elif name in ENDLESS:
            yield Finding.warning(subject=f"{subject.name}:{file}", observed=f"{what}; its format knows no end")
        elif expires is not None and expires <= clock.now():
            yield Finding.warning(
                subject=f"{subject.name}:{file}", observed=f"{what} until {expires:%Y-%m-%d}: remove it"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """What one service is asked about: all lock files of a repository, or one file of requirements."""

    service: AdvisoryService
    repository: Repository
    manifests: tuple[Manifest, ...]

    def __str__(self) -> str:
        path = self.manifests[0].path if len(self.manifests) == 1 else f"{len(self.manifests)} lock files"
        return f"{self.repository.name}:{path}"


@subjects(each=AdvisoryService)
def lookups(service: AdvisoryService, environment: Environment, dependencies: Dependencies) -> Iterator[Lookup]:
    """What there is to look up, for each repository."""
    for repository in environment.repositories:
        found = [each for each in dependencies.manifests(repository) if each.ecosystem != "docker"]
        locks = tuple(each for each in found if not each.is_requirements)
        if locks:
            yield Lookup(service=service, repository=repository, manifests=locks)
        for each in found:
            if each.is_requirements:
                yield Lookup(service=service, repository=repository, manifests=(each,))


@check("The declared service knows nothing grave of the packages", each=lookups)
def lookup(
    subject: Lookup,
    dependencies: Dependencies,
    environment: Environment,
    clock: Clock,
    wanted: VulnerabilityParameters,
) -> Iterator[Finding]:
    """One judgement for all lock files of a repository, or for a file of requirements."""
    where, repository = str(subject), subject.repository
    if subject.manifests[0].is_requirements:
        found = dependencies.audit_requirements(subject.service, repository, subject.manifests[0].path)
        unread = [(subject.manifests[0], why) for why in found.unread]
    else:
        found = dependencies.advisories(subject.service, repository)
        unread = [(manifest, why) for manifest in subject.manifests for why in manifest.unread]
    yield from unjudged(where, unread, subject, dependencies, environment, wanted)
    if not found.volume:
        if not unread:
            yield Finding.undecided(
                subject=where, message=f"{where} names no package", next_step="look whether it is empty"
            )
        return
    statements = dependencies.accepted(repository)
    looked_at = f"{found.volume} packages looked up at {subject.service}"
    yield from judge(where, found.findings, looked_at, statements, wanted, clock.now())


def unjudged(
    where: str,
    unread: Sequence[tuple[Manifest, str]],
    subject: Lookup,
    dependencies: Dependencies,
    environment: Environment,
    wanted: VulnerabilityParameters,
) -> Iterator[Finding]:
    """What cannot be looked up by a version is undecided, unless a scan of the pipeline looked at that manifest."""
    if not unread:
        return
    scans = list(of_artifacts(environment, dependencies, wanted, subject.repository.name))
    left = [
        f"{manifest.path}: {why}"
        for manifest, why in unread
        if not any(looked_into(manifest, each, subject.manifests) for each in scans)
    ]
    if left:
        yield Finding.undecided(
            subject=where,
            message=f"{where} cannot be judged by versions alone: {cut(left)}",
            next_step="pin every package, or scan the file in the pipeline",
        )


# Alerts of the host

NO_EXCUSE = ("fix_started", "no_bandwidth")
"""Reasons of GitHub to dismiss an alert that do not say that it does no harm."""


@check("GitHub has no alert on anything grave", each=Repository)
def alerts(
    subject: Repository,
    hosting: Hosting,
    dependencies: Dependencies,
    clock: Clock,
    wanted: VulnerabilityParameters,
) -> Iterator[Finding]:
    """Alerts are on the default branch, whatever commit is audited: they fail, and pass nothing alone."""
    found = hosting.dependency_alerts(subject)
    if found is None:
        return
    where = f"{found.project} at GitHub"
    if not found.is_enabled:
        yield Finding.warning(
            subject=where, observed="alerts of Dependabot are switched off", expected="they are switched on"
        )
        return
    manifests = dependencies.manifests(subject)
    findings = [opened(with_version(each, manifests)) for each in found.findings]
    dismissed = Counter(each.acceptance.reason or "no reason" for each in findings if each.acceptance)
    if dismissed:
        told = cut(f"{reason} ({count})" for reason, count in sorted(dismissed.items()))
        yield Finding.warning(subject=where, observed=f"alerts were dismissed as {told}")
    yield from judge(where, findings, "alerts of Dependabot", dependencies.accepted(subject), wanted, clock.now())


def opened(alert: ScanFinding) -> ScanFinding:
    """The alert as open where it was dismissed for a reason that excuses nothing."""
    is_open = alert.acceptance is not None and alert.acceptance.reason in NO_EXCUSE
    return replace(alert, acceptance=None) if is_open else alert


def with_version(alert: ScanFinding, manifests: Sequence[Manifest]) -> ScanFinding:
    """The alert about the one version that its manifest has of the package, as scanners and VEX documents name it."""
    packages = {
        package
        for manifest in manifests
        if manifest.path == alert.file
        for package in manifest.packages
        if package.rpartition("@")[0] == alert.subject
    }
    return replace(alert, subject=packages.pop()) if len(packages) == 1 else alert


# Images


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One image that a task runs now."""

    region: Region
    registry: str
    """The account that owns the registry; empty for one that is not ECR."""
    repository: str
    digest: str

    def __str__(self) -> str:
        return f"{self.repository}@{self.digest[:19]}"


@subjects(each=Region, permissions=["ecs:DescribeTasks", "ecs:ListClusters", "ecs:ListTasks"])
def images(region: Region, aws: Aws) -> Iterator[Image]:
    """Images of all running tasks, each digest once."""
    seen: set[Image] = set()
    for cluster in aws.ask("ecs.ListClusters", region=region)["clusterArns"]:
        arns = aws.ask("ecs.ListTasks", region=region, cluster=cluster, desiredStatus="RUNNING")["taskArns"]
        for start in range(0, len(arns), TASKS_AT_ONCE):
            chunk = list(arns[start : start + TASKS_AT_ONCE])
            for task in aws.ask("ecs.DescribeTasks", region=region, cluster=cluster, tasks=chunk)["tasks"]:
                for container in task.get("containers", ()):
                    image = read_image(region, container)
                    if image not in seen:
                        seen.add(image)
                        yield image


def read_image(region: Region, container: Mapping[str, Any]) -> Image:
    """`111122223333.dkr.ecr.eu-central-1.amazonaws.com/orders:1.2` and its digest."""
    host, _, path = container.get("image", "").partition("/")
    name = path.partition("@")[0].rpartition(":")[0] or path.partition("@")[0]
    parts = host.split(".")
    is_ecr = len(parts) >= 6 and parts[1:3] == ["dkr", "ecr"]
    return Image(
        region=Region(account=region.account, name=parts[3]) if is_ecr else region,
        registry=parts[0] if is_ecr else "",
        repository=name if is_ecr else container.get("image", ""),
        # A task that has not started yet says no digest; its image may be named by one.
        digest=container.get("imageDigest") or path.partition("@")[2],
    )


@check(
    "The image that runs was scanned, and nothing grave is open in it",
    each=images,
    permissions=["ecr:DescribeImageScanFindings", "inspector2:ListCoverage", "inspector2:ListFindings"],
    grade=Grade.CONTROL_PLANE,
)
def image(
    subject: Image,
    aws: Aws,
    environment: Environment,
    dependencies: Dependencies,
    clock: Clock,
    wanted: VulnerabilityParameters,
) -> Iterator[Finding]:
    """By what Inspector or ECR say of the digest; where they say nothing, a scan of it must be among the artifacts."""
    answer = None
    if subject.registry and subject.digest:
        answer = aws.find(
            "ecr.DescribeImageScanFindings",
            region=subject.region,
            registryId=subject.registry,
            repositoryName=subject.repository,
            imageId={"imageDigest": subject.digest},
        )
    why, result = why_unscanned(subject, answer), (answer or {}).get("imageScanFindings", {})
    scanned_at, is_continuous = result.get("imageScanCompletedAt"), False
    found = [*enhanced(result.get("enhancedFindings", ())), *basic(result.get("findings", ()))]
    if not why and is_enhanced(answer or {}) and is_own(subject, environment):
        covered = coverage_of(subject, aws)
        why = why_uncovered(covered)
        scanned_at = covered.get("lastScannedAt") or scanned_at
        is_continuous = scan_frequency(covered) == "CONTINUOUS_SCAN"
        told = aws.ask("inspector2.ListFindings", region=subject.region, filterCriteria=filter_of(subject))
        found = [*enhanced(told["findings"])]
    if why:
        scans = of_artifacts(environment, dependencies, wanted)
        if not subject.digest or not any(subject.digest in target for each in scans for target in each.targets):
            yield Finding.undecided(
                subject=str(subject),
                message=f"{subject}: {why}, and no artifact is a scan of this digest",
                next_step="scan the digest that is released, in ECR or in the pipeline",
            )
        return
    if not is_continuous:
        yield from scanned_since(str(subject), scanned_at, wanted, clock)
        yield from known_since(str(subject), result.get("vulnerabilitySourceUpdatedAt"), wanted, clock)
    statements: list[Statement] = [s for each in environment.repositories for s in dependencies.accepted(each)]
    yield from judge(str(subject), found, "scanned by ECR", statements, wanted, clock.now())


def scanned_since(
    where: str, scanned_at: datetime | None, wanted: VulnerabilityParameters, clock: Clock
) -> Iterator[Finding]:
    """A fail for a scan that is too old and is not repeated by itself."""
    if scanned_at is None:
        yield Finding.undecided(
            subject=where, observed="nothing says when it was scanned", next_step="scan the digest again"
        )
    elif clock.now() - scanned_at > timedelta(days=wanted.max_age_days):
        yield Finding.of(
            False,
            subject=where,
            observed=f"scanned {(clock.now() - scanned_at).days} days ago",
            expected=f"{wanted.max_age_days:g} days ago or less",
        )


def is_enhanced(answer: Mapping[str, Any]) -> bool:
    """Whether Inspector scans the image, and not ECR itself."""
    is_active = answer.get("imageScanStatus", {}).get("status") == "ACTIVE"
    return is_active or "enhancedFindings" in answer.get("imageScanFindings", {})


def is_own(subject: Image, environment: Environment) -> bool:
    """Whether the account keeps the image itself: Inspector tells of no other one."""
    return any(each.name == subject.region.account and each.account_id == subject.registry for each in environment.aws)


def filter_of(subject: Image) -> dict[str, Any]:
    """The filter that leaves findings in one digest, those that a rule suppresses too."""
    return {
        "ecrImageRepositoryName": _equal_to(subject.repository),
        "ecrImageHash": _equal_to(subject.digest),
        "findingStatus": _equal_to("ACTIVE", "SUPPRESSED"),
    }


def _equal_to(*values: str) -> list[dict[str, str]]:
    return [{"comparison": "EQUALS", "value": value} for value in values]


def coverage_of(subject: Image, aws: Aws) -> Mapping[str, Any]:
    """What Inspector says of its looking at the digest; empty where it says nothing."""
    its_images = {
        "resourceType": _equal_to("AWS_ECR_CONTAINER_IMAGE"),
        "ecrRepositoryName": _equal_to(subject.repository),
    }
    covered = aws.ask("inspector2.ListCoverage", region=subject.region, filterCriteria=its_images)["coveredResources"]
    # The ARN of the repository, and `/sha256:...`.
    return next((each for each in covered if each.get("resourceId", "").endswith(f"/{subject.digest}")), {})


def why_uncovered(covered: Mapping[str, Any]) -> str:
    """Why Inspector's silence says nothing of the image; empty where it looked."""
    if not covered:
        return "Inspector does not cover it"
    reason = covered.get("scanStatus", {}).get("reason", "of no status")
    return "" if reason in SCANNED else f"its scan by Inspector is {reason}"


def scan_frequency(covered: Mapping[str, Any]) -> str:
    """`CONTINUOUS_SCAN`: looked at anew whenever something becomes known that may be in it."""
    repository: Mapping[str, str] = covered.get("resourceMetadata", {}).get("ecrRepository", {})
    return repository.get("scanFrequency", "")


@check(
    "Where images are built, one was looked at",
    each=Environment,
    permissions=["ecs:DescribeTasks", "ecs:ListClusters", "ecs:ListTasks"],
)
def built(
    subject: Environment, aws: Aws, dependencies: Dependencies, wanted: VulnerabilityParameters
) -> Iterator[Finding]:
    """Says only that nobody looked at one: neither a scan of the pipeline nor, since none runs, ECR."""
    for repository in subject.repositories:
        found = dependencies.manifests(repository)
        scans = list(of_artifacts(subject, dependencies, wanted, repository.name))
        for each in found:
            if each.ecosystem != "docker" or any(looked_into(each, one, found) for one in scans):
                continue
            regions = (region for account in subject.aws for region in account.regions)
            if not any(True for region in regions for _ in images(region, aws)):
                yield unscanned(repository, each)


def why_unscanned(subject: Image, answer: Mapping[str, Any] | None) -> str:
    """Why ECR says nothing of the image; empty where it does."""
    if not subject.registry:
        return "it is not from ECR"
    if not subject.digest:
        return "the task does not say its digest"
    if answer is None:
        return "ECR never scanned it"
    status = answer.get("imageScanStatus", {})
    if status.get("status") in ("COMPLETE", "ACTIVE"):
        return ""
    described = status.get("description") or "no reason is given"
    return f"its scan is {status.get('status', 'of no status')} ({described})"


LEVELS: Mapping[str, Level] = {
    "CRITICAL": "critical",
    "HIGH": "high",
    "MEDIUM": "medium",
    "LOW": "low",
    "INFORMATIONAL": "low",
}


def enhanced(findings: Iterable[Mapping[str, Any]]) -> Iterator[ScanFinding]:
    """Findings of Inspector that are not closed, one for each package; those that a rule suppresses are accepted."""
    for each in findings:
        status = each.get("status", "ACTIVE")
        if status == "CLOSED":
            continue
        details = each.get("packageVulnerabilityDetails", {})
        packages: Sequence[Mapping[str, str]] = details.get("vulnerablePackages") or ({},)
        for package in packages:
            fixed = package.get("fixedInVersion", "")
            yield ScanFinding(
                id=details.get("vulnerabilityId") or each.get("title", "a finding without a name"),
                level=LEVELS.get(each.get("severity", ""), "unknown"),
                title=each.get("title", ""),
                aliases=tuple(details.get("relatedVulnerabilities", ())),
                subject=f"{package.get('name', '')}@{package.get('version', '')}".strip("@"),
                fixed_in=(fixed,) if fixed and fixed != "NotAvailable" else (),
                exploit_probability=(each.get("epss") or {}).get("score"),
                has_exploit=each.get("exploitAvailable") == "YES",
                acceptance=Acceptance(by="a rule of Inspector") if status == "SUPPRESSED" else None,
            )


def basic(findings: Iterable[Mapping[str, Any]]) -> Iterator[ScanFinding]:
    """Findings of ECR's basic scan, which knows no fixes."""
    for each in findings:
        attributes = {one.get("key"): one.get("value", "") for one in each.get("attributes", ())}
        yield ScanFinding(
            id=each.get("name", "a finding without a name"),
            level=LEVELS.get(each.get("severity", ""), "unknown"),
            subject=f"{attributes.get('package_name', '')}@{attributes.get('package_version', '')}".strip("@"),
        )
