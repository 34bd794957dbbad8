"""Each category of the OWASP Top 10 was looked for in this release by something that can find it, and nothing grave is open.

Pass          every category of `edition` is shown by a scan, by tests tagged for it, or live; none has an open finding that is high or critical, a failed test, or a grave fault on a declared endpoint
Fail          a scan has an open finding, high or critical, of at least medium confidence; a tagged test failed; an endpoint serves a stack, a listing, a path such as /.git or /actuator, a session's cookie without Secure or HttpOnly, a page without Content-Security-Policy, nosniff or frame-ancestors, or lets any origin read it with credentials; TLS below 1.2, or a chain that is not trusted
Inconclusive  a category without evidence, which is named with what would count; an artifact is missing, stale or of another commit, looked at nothing, or says itself that it did not look at all; no artifact is declared
Error         a report that cannot be read; an endpoint or Prometheus that does not answer; GitHub denies its analyses
Needs         artifacts of purpose `code-scan` (SARIF whose rules name CWEs), `dynamic-scan` (ZAP), `dependency-scan`; analyses of the audited commit at GitHub (`repositories[].github` with code_scanning_alerts: read) count as a `code-scan`, and what was dismissed there is accepted; tests tagged `@owasp:A01`, `@cwe:639` or with a word such as `@idor`; endpoints; Prometheus. A dynamic scan counts from `min_urls` on, and for injection where it attacked and saw a page of `authenticated_paths`
Source        OWASP Top 10:2025 and 2021 with their lists of mapped CWEs; OWASP ASVS 5.0, chapters 3.3, 3.4, 12 and 13.4

Only GET, HEAD and OPTIONS are sent. A clean category says that somebody looked, not that nothing is there.
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from pydantic import Field

from quub_audit.checks.testing.security._answers import (
    FOLDERS,
    FOREIGN,
    NOWHERE,
    Fault,
    cookie_faults,
    cors_faults,
    described,
    error_faults,
    header_faults,
    listing_faults,
    method_faults,
    surface_faults,
)
from quub_audit.checks.testing.security._categories import (
    CATEGORIES,
    Category,
    Edition,
    Source,
    by_tag,
    by_weakness,
)
from quub_audit.sdk import (
    OLDEST_FIRST,
    Artifact,
    Artifacts,
    Clock,
    CodeScanning,
    Endpoint,
    Environment,
    Finding,
    FindingStatus,
    Freshness,
    Grade,
    Hosting,
    Http,
    Parameters,
    Prometheus,
    Repository,
    Scan,
    ScanFinding,
    TestCase,
    Tls,
    TlsScan,
    WebAssets,
    artifacts_for,
    check,
    cut,
)

SCANS = ("code-scan", "dynamic-scan", "dependency-scan")
TESTS = ("unit-tests", "integration-tests", "end-to-end-tests")
NOTHING_OPEN = "nothing high or critical is open"


class TopTenParameters(Parameters):
    """What the checklist may set under `with:`."""

    edition: Edition = "2025"
    """Edition of the OWASP Top 10 whose categories are asked for."""
    max_age_days: float = Field(default=30, gt=0)
    """Days that scans and results of tests may be old. House rule: a release a month."""
    min_urls: int = Field(default=20, ge=1)
    """Number of URLs that a dynamic scan has to tell of in order to count. House rule: fewer are a login page."""
    authenticated_paths: tuple[str, ...] = ()
    """Globs of paths that only somebody who is logged in sees, such as `/account/*`: a dynamic scan that tells of one
    was logged in."""

    @property
    def categories(self) -> tuple[Category, ...]:
        """Those of the edition."""
        return CATEGORIES[self.edition]

    @property
    def fresh(self) -> Freshness:
        """Of the audited commit, and no older."""
        return Freshness(max_age_days=self.max_age_days)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one source shows: which categories, in words, and what is wrong or told."""

    shown: tuple[tuple[Category, str], ...] = ()
    findings: tuple[Finding, ...] = ()


@check("Every category was looked for", each=Environment, grade=Grade.ARTIFACT)
def categories(
    subject: Environment,
    artifacts: Artifacts,
    hosting: Hosting,
    http: Http,
    tls: Tls,
    web: WebAssets,
    prometheus: Prometheus,
    clock: Clock,
    wanted: TopTenParameters,
) -> Iterator[Finding]:
    """One finding a category, over everything that is declared; what is wrong is told by the other checks."""
    looks = []
    for artifact in subject.artifacts:
        if artifact.purpose in SCANS:
            found = artifacts.scans(artifact, fresh=wanted.fresh)
            looks += [look_at_scan(artifact.name, scan, clock.now(), wanted) for scan in found]
        elif artifact.purpose in TESTS:
            cases = cases_of(artifact, artifacts, wanted)
            looks.append(look_at_tests(artifact.name, cases, wanted.categories))
    for repository in subject.repositories:
        looks += look_at_hosted(hosting.code_scanning(repository), clock.now(), wanted)
    for endpoint in subject.endpoints:
        looks.append(_look_at_answers(endpoint, http, web, wanted))
        looks.append(_look_at_tls(endpoint, http, tls, wanted))
    for server in subject.prometheus:
        alerting = [rule for rule in prometheus.rules(server) if rule.kind == "alerting" and rule.health != "err"]
        looks.append(look_at_alerts(server.name, len(alerting), prometheus.alertmanagers(server), wanted.categories))
    yield from judge_categories(wanted.categories, looks)


@check("Scans have nothing grave open", each=artifacts_for("code-scan", "dynamic-scan", "dependency-scan"))
def scans(subject: Artifact, artifacts: Artifacts, clock: Clock, wanted: TopTenParameters) -> Iterator[Finding]:
    """Says only what is wrong: what is clean is told by category."""
    for scan in artifacts.scans(subject, fresh=wanted.fresh):
        yield from look_at_scan(subject.name, scan, clock.now(), wanted).findings


@check("Analyses at GitHub have nothing grave open", each=Repository)
def hosted(subject: Repository, hosting: Hosting, clock: Clock, wanted: TopTenParameters) -> Iterator[Finding]:
    """Says only what is wrong, and why analyses do not count."""
    for look in look_at_hosted(hosting.code_scanning(subject), clock.now(), wanted):
        yield from look.findings


@check("Tests of a category do not fail", each=artifacts_for("unit-tests", "integration-tests", "end-to-end-tests"))
def tests(subject: Artifact, artifacts: Artifacts, wanted: TopTenParameters) -> Iterator[Finding]:
    """Says only what is wrong."""
    yield from look_at_tests(subject.name, cases_of(subject, artifacts, wanted), wanted.categories).findings


@check("Endpoints give nothing away", each=Endpoint)
def answers(subject: Endpoint, http: Http, web: WebAssets, wanted: TopTenParameters) -> Iterator[Finding]:
    """Says only what is wrong."""
    yield from _look_at_answers(subject, http, web, wanted).findings


@check("Endpoints speak TLS 1.2 or newer, with a chain that is trusted", each=Endpoint)
def encryption(subject: Endpoint, http: Http, tls: Tls, wanted: TopTenParameters) -> Iterator[Finding]:
    """Says only what is wrong."""
    yield from _look_at_tls(subject, http, tls, wanted).findings


def cases_of(artifact: Artifact, artifacts: Artifacts, wanted: TopTenParameters) -> list[TestCase]:
    """Every case of the artifact."""
    return [case for report in artifacts.tests(artifact, fresh=wanted.fresh) for case in report.cases]


def _look_at_answers(endpoint: Endpoint, http: Http, web: WebAssets, wanted: TopTenParameters) -> Look:
    is_page = endpoint.audience == "browser"
    faults: list[Fault] = []
    paths = tuple(dict.fromkeys(("/", *endpoint.paths, *filter(None, [endpoint.login_path]))))
    statuses = []
    for path in paths:
        answer = http.get(endpoint, path, origin=FOREIGN)
        statuses.append(answer.status)
        faults += [*cookie_faults(path, answer), *cors_faults(path, answer)]
        if answer.status < 300:
            is_html = "html" in answer.header("content-type").lower()
            faults += header_faults(path, answer, is_page=is_page and is_html)
        elif answer.status >= 400:
            faults += error_faults(path, answer)
    faults += error_faults(NOWHERE, http.get(endpoint, NOWHERE))
    for folder in ("/", *FOLDERS):
        faults += listing_faults(folder, http.get(endpoint, folder))
    faults += method_faults("/", http.get(endpoint, "/", method="OPTIONS"))
    surface = web.surface(endpoint)
    faults += surface_faults(surface)
    look = look_at_faults(endpoint.name, faults, wanted.categories)
    problem = ""
    if all(status >= 500 for status in statuses):
        problem = f"{cut(paths)} answers {cut(sorted(set(statuses)))}, which shows nothing"
    elif surface.unanswered:
        problem = f"{cut(surface.unanswered)} was not answered"
    if not problem:
        return look
    return Look(findings=(*look.findings, Finding.error(subject=endpoint.name, message=f"{endpoint.name}: {problem}")))


def _look_at_tls(endpoint: Endpoint, http: Http, tls: Tls, wanted: TopTenParameters) -> Look:
    scan = tls.scan(endpoint, address=http.addresses(endpoint)[0])
    return look_at_protocols(endpoint.name, scan, wanted.categories)


def look_at_scan(artifact: str, scan: Scan, now: datetime, wanted: TopTenParameters) -> Look:
    """Which categories a scan shows, and what of it is open."""
    if scan.covers in ("acceptances", "secrets"):
        return Look()
    named = f"{artifact}: {scan.origin.tool or 'a scanner'} {scan.origin.version}".strip()
    by_category: dict[str, list[ScanFinding]] = defaultdict(list)
    for finding in scan.findings:
        if is_open(finding, now):
            category = category_of(finding, scan, wanted.categories)
            by_category[str(category) if category else "no category of the edition"].append(finding)
    findings = [_open(f"{label}, {artifact}", named, found) for label, found in sorted(by_category.items())]
    shown, why_not = _shown_by_scan(scan, wanted)
    if scan.unread or not scan.volume:
        what = f"could not look at {cut(scan.unread)}" if scan.unread else "does not say what it looked at"
        findings.append(
            Finding.undecided(subject=artifact, message=f"{named} {what}", next_step="mend that, and run it again")
        )
        return Look(findings=tuple(findings))
    if why_not:
        findings.append(Finding.warning(subject=artifact, observed=f"{named} {why_not}"))
    accepted = sum(1 for finding in scan.findings if finding.acceptance)
    words = f"{named}, {scan.volume} {scan.volume_of}" + (f", {accepted} accepted" if accepted else "")
    clean = [(category, words) for category in shown if str(category) not in by_category]
    return Look(shown=tuple(clean), findings=tuple(findings))


def look_at_hosted(found: CodeScanning | None, now: datetime, wanted: TopTenParameters) -> Iterator[Look]:
    """What analyses at the host show, where they are of the audited commit and fresh.

    Nobody declared them as evidence, so that those which show nothing are told and hold nothing back: a category that
    nothing else shows does.
    """
    if found is None:
        return
    where = f"{found.project} at GitHub"
    if not found.scans:
        why = "code scanning is switched off"
        if found.is_enabled:
            newest = f"the newest is of {found.newest_commit[:12]}" if found.newest_commit else "there never was one"
            why = f"there is no analysis of the audited commit: {newest}"
        yield Look(findings=(Finding.warning(subject=where, observed=why),))
    for scan in found.scans:
        made_at = scan.origin.produced_at
        if made_at is None or now - made_at > timedelta(days=wanted.max_age_days):
            age = f"{(now - made_at).days} days old" if made_at else "of no date"
            told = f"the analysis of {scan.origin.tool} is {age}"
            expected = f"{wanted.max_age_days:g} days or less"
            yield Look(findings=(Finding.warning(subject=where, observed=told, expected=expected),))
            continue
        look = look_at_scan(where, scan, now, wanted)
        yield replace(look, findings=tuple(replace(each, is_undecided=False) for each in look.findings))


def is_open(finding: ScanFinding, now: datetime) -> bool:
    """Whether it is grave, likely, and nobody's valid word accepts it. Of unknown gravity is grave."""
    accepted = finding.acceptance
    is_accepted = accepted is not None and (accepted.expires is None or accepted.expires > now)
    is_grave = finding.level in ("critical", "high", "unknown")
    return is_grave and finding.confidence not in ("low", "false positive") and not is_accepted


def category_of(finding: ScanFinding, scan: Scan, categories: Sequence[Category]) -> Category | None:
    """That of vulnerable components for what a package brings with it, else by tags and CWEs."""
    if scan.covers in ("dependencies", "image"):
        return next(category for category in categories if "dependencies" in category.shown_by)
    return by_weakness(categories, finding.cwes, finding.tags)


def _shown_by_scan(scan: Scan, wanted: TopTenParameters) -> tuple[list[Category], str]:
    """Categories that the scan would have found something of, and why it counts for less than it might."""
    sources: set[Source] = set()
    why_not = ""
    match scan.covers:
        case "dependencies" | "image":
            sources.add("dependencies")
        case "infrastructure":
            sources.add("infrastructure")
        case "dynamic":
            sources, why_not = _dynamic(scan, wanted)
        case "code":
            if not scan.cwes:
                why_not = "does not name the CWEs of its rules, and so shows no category"
            rules = set(scan.cwes)
            return [each for each in wanted.categories if "code" in each.shown_by and rules & each.cwes], why_not
    return [each for each in wanted.categories if sources & set(each.shown_by)], why_not


def _dynamic(scan: Scan, wanted: TopTenParameters) -> tuple[set[Source], str]:
    if scan.volume < wanted.min_urls:
        return set(), f"tells of {scan.volume} URLs, expected {wanted.min_urls} or more"
    globs = wanted.authenticated_paths
    is_inside = scan.is_authenticated or any(
        fnmatchcase(urlsplit(page).path, glob) for page in scan.pages for glob in globs
    )
    lacks = [
        *([] if scan.is_active else ["does not show that it attacked"]),
        *([] if is_inside else ["tells of no page of `authenticated_paths`"]),
    ]
    return ({"watching"} if lacks else {"watching", "attacks"}), " and ".join(lacks)


def _open(subject: str, named: str, found: Sequence[ScanFinding]) -> Finding:
    places = [f"{each.id} at {each.file or each.subject}{f':{each.line}' if each.line else ''}" for each in found]
    return Finding.of(
        False, subject=subject, observed=f"{named} has {len(found)} open: {cut(places)}", expected=NOTHING_OPEN
    )


def look_at_tests(artifact: str, cases: Iterable[TestCase], categories: Sequence[Category]) -> Look:
    """Categories of which a tagged test passed and none failed; what was not run counts for nothing."""
    by_category: dict[Category, list[TestCase]] = defaultdict(list)
    for case in cases:
        for category in by_tag(categories, case.tags):
            by_category[category].append(case)
    shown, findings = [], []
    for category, found in by_category.items():
        failed = [f"{case.suite} {case.name}".strip() for case in found if case.outcome in ("failed", "error")]
        passed = sum(case.outcome == "passed" for case in found)
        if failed:
            observed = f"{len(failed)} of {len(found)} tests failed: {cut(failed)}"
            subject = f"{category}, {artifact}"
            findings.append(Finding.of(False, subject=subject, observed=observed, expected="no test of it fails"))
        elif passed:
            shown.append((category, f"{artifact}: {passed} tests passed"))
    return Look(shown=tuple(shown), findings=tuple(findings))


def look_at_faults(endpoint: str, faults: Sequence[Fault], categories: Sequence[Category]) -> Look:
    """A fail for each category with a grave fault; that of configuration is shown where it has none."""
    grave: dict[Category | None, list[Fault]] = defaultdict(list)
    for fault in faults:
        if fault.is_grave:
            grave[by_weakness(categories, (fault.cwe,))].append(fault)
    findings = [
        Finding.of(
            False,
            subject=f"{category or 'no category of the edition'}, {endpoint}",
            observed=cut(described(found)),
            expected="nothing that helps an attacker",
        )
        for category, found in grave.items()
    ]
    told = described([fault for fault in faults if not fault.is_grave])
    if told:
        findings.append(Finding.warning(subject=endpoint, observed=cut(told)))
    live = [
        (each, f"{endpoint}: headers, cookies, CORS, known paths") for each in categories if "live" in each.shown_by
    ]
    return Look(shown=tuple(pair for pair in live if pair[0] not in grave), findings=tuple(findings))


def look_at_protocols(endpoint: str, scan: TlsScan, categories: Sequence[Category]) -> Look:
    """TLS 1.2 or newer with a chain that is trusted shows cryptography; what could not be tried shows nothing."""
    category = next(each for each in categories if "tls" in each.shown_by)
    old = [name for name in scan.accepted_protocols if OLDEST_FIRST.index(name) < OLDEST_FIRST.index("TLSv1.2")]
    problems = [f"accepts {name}" for name in old]
    problems += [each.distrust or "its chain is not trusted" for each in scan.deployments if not each.is_trusted]
    problems += ["its certificate is for another name" for each in scan.deployments if not each.matches_name]
    if problems:
        fail = Finding.of(
            False,
            subject=f"{category}, {endpoint}",
            observed=cut(dict.fromkeys(problems)),
            expected="TLSv1.2 or newer, with a chain that is trusted",
        )
        return Look(findings=(fail,))
    if scan.undecided or not scan.accepted or not scan.deployments:
        untried = cut(name for name, _ in scan.undecided) or "no protocol"
        return Look(findings=(Finding.warning(subject=endpoint, observed=f"{untried} could be tried over TLS"),))
    return Look(shown=((category, f"{endpoint}: {scan.accepted_protocols[0]} or newer, a trusted chain"),))


def look_at_alerts(server: str, rules: int, managers: Sequence[str], categories: Sequence[Category]) -> Look:
    """Alerting rules that lead to somebody show alerting."""
    if not rules or not managers:
        return Look()
    words = f"{server}: {rules} alerting rules, {len(managers)} Alertmanagers"
    return Look(shown=tuple((each, words) for each in categories if "alerts" in each.shown_by))


def judge_categories(categories: Sequence[Category], looks: Sequence[Look]) -> Iterator[Finding]:
    """A pass for each category that something shows and nothing contradicts; one without evidence is undecided."""
    failing = {
        finding.subject.partition(", ")[0]
        for look in looks
        for finding in look.findings
        if finding.status is FindingStatus.FAIL
    }
    for category in categories:
        words = [text for look in looks for shown, text in look.shown if shown == category]
        if str(category) in failing:
            continue
        if words:
            yield Finding.of(True, subject=str(category), observed=cut(words), expected=NOTHING_OPEN)
        else:
            yield Finding.undecided(
                subject=str(category),
                observed="no evidence",
                expected=category.wanted,
                next_step=f"have the pipeline keep, or declare: {category.wanted}",
            )
