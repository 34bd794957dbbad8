"""Somebody looked for exposed keys, in the code and its history and in what is served to anybody, and found none.

Pass          a scan of the whole tree and history at this commit, our own or that of an artifact, finds no credential; what every declared endpoint serves (page, scripts, source maps, known paths) holds none; GitHub, where it is declared, has no open alert
Fail          a credential stands in the tree, the history, an artifact's findings, or an image, a log of CI or a build output of purpose `published` (layers and `Env` of images included); one is served, or a value of the declared secret store is; `/.git`, `/.env`, a dump or Spring's environment answers; a Terraform state is tracked; GitHub has an alert that is not known to be revoked
Inconclusive  neither a repository nor an artifact of purpose `secret-scan` is declared; only the repository was looked at; an artifact is missing, stale or of another commit, names nothing that was scanned or says that not all was; a published file is empty
Error         the clone is shallow or has no history; a published file cannot be unpacked; an endpoint does not answer, or not all that it names; GitHub denies its alerts
Needs         a full clone (`fetch-depth: 0`); endpoints; artifacts of purpose `secret-scan` (SARIF of gitleaks, betterleaks or detect-secrets, TruffleHog's JSON with its log); artifacts of purpose `published`, which pass nothing alone; `repositories[].github` with secret_scanning_alerts: read; `read_secret_values` to search for the values of `quub.secrets` themselves
Source        OWASP ASVS 5.0, v5.0.0-13.3.1 and -13.4.1; OWASP Top 10:2025, A02 and A07. Publishable keys (Stripe's pk_, Firebase, Sentry's DSN) are told; so is what only its name or its randomness speaks for, outside of the repository and of `Env` of images
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatchcase

from pydantic import Field

from quub_audit.checks.security.api_keys._leaks import Allowances, judge_scan, judge_states
from quub_audit.sdk import (
    Artifact,
    Artifacts,
    Endpoint,
    Environment,
    Finding,
    FindingStatus,
    Freshness,
    Hosting,
    Leaks,
    Repositories,
    Repository,
    Scan,
    ScanFinding,
    SecretAlerts,
    SecretScan,
    WebAssets,
    WebSecret,
    WebSurface,
    artifacts_for,
    check,
    cut,
)

NO_CREDENTIAL = "no credential"
CREDENTIAL_PLACES = ("git", "environment", "configuration", "backup", "actuator")
"""Kinds of known paths whose content is or holds credentials."""

_BY_RANDOMNESS = re.compile(r"(?i)generic|entropy|keyword")
"""Rules that go by a name or by randomness: gitleaks' `generic-api-key`, detect-secrets' `Hex High Entropy String`."""


class ExposureParameters(Allowances):
    """What the checklist may set under `with:`. `allow` takes what `security.api-keys.stored-in-secret-manager` takes,
    and with `*` in it `ENDPOINT/PATH:RULE` for what is served, `ARTIFACT:FILE:RULE` for what is published.
    """

    max_age_days: float = Field(default=7, gt=0)
    """Days that a scan may be old. A scan knows the rules of its day; house rule: as old as a release is young."""
    max_scripts: int = Field(default=100, ge=1, le=500)
    """Count of scripts of one endpoint that are fetched; more of them are an error, so that none goes unseen."""

    def reason_to_serve(self, identity: str) -> str:
        """Why a place that is served is allowed, or an empty text."""
        return next((entry.reason for entry in self.allow if fnmatchcase(identity, entry.identity)), "")


@check("What endpoints serve to anybody holds no credential", each=Endpoint)
def served(subject: Endpoint, web: WebAssets, wanted: ExposureParameters) -> Iterator[Finding]:
    """One finding for each credential and exposed path; one for the endpoint where there is none."""
    yield from judge_surface(subject, web.surface(subject, max_scripts=wanted.max_scripts), wanted)


@check("Somebody looks at the code and its history", each=Environment)
def looked_at(subject: Environment) -> Finding | None:
    """Says only that nobody does: what is served says nothing of what was committed."""
    if subject.repositories or any(artifact.purpose == "secret-scan" for artifact in subject.artifacts):
        return None
    return Finding.undecided(
        subject="code and history",
        message="neither a repository nor an artifact of purpose secret-scan is declared",
        next_step="declare `repositories`, or an artifact of purpose secret-scan",
    )


@check("The code and its whole history hold no credential", each=Repository)
def repository(subject: Repository, repositories: Repositories, wanted: ExposureParameters) -> Iterator[Finding]:
    """One finding for each; one for the tree and one for the history where they are clean."""
    scan = repositories.secrets(subject)
    yield from judge_scan(subject.name, scan, wanted)
    yield from tell_ignored(subject.name, scan)
    yield from judge_states(subject.name, repositories.files(subject, globs=("**/*.tfstate", "**/*.tfstate.backup")))


@check("Scans of the pipeline found no credential", each=artifacts_for("secret-scan"))
def scans(
    subject: Artifact, artifacts: Artifacts, environment: Environment, wanted: ExposureParameters
) -> Iterator[Finding]:
    """One finding for each that is open; one for a scan without any."""
    found = artifacts.scans(subject, fresh=Freshness(max_age_days=wanted.max_age_days))
    relevant = [scan for scan in found if scan.covers == "secrets"]
    if not relevant:
        yield _shows_nothing(
            subject.name, f"holds no scan for credentials, but of {cut({scan.covers for scan in found})}"
        )
    for scan in relevant:
        yield from judge_artifact(subject.name, scan)
    if not environment.endpoints:
        yield Finding.warning(subject=subject.name, observed="no endpoint is declared whose scripts could be looked at")


@check("What others may see of images, logs and builds holds no credential", each=artifacts_for("published"))
def published(subject: Artifact, artifacts: Artifacts, wanted: ExposureParameters) -> Iterator[Finding]:
    """One finding for each credential; nothing where there is none, since that says nothing of the code."""
    for leaks in artifacts.leaks(subject, fresh=Freshness(max_age_days=wanted.max_age_days)):
        yield from judge_leaks(subject.name, leaks, wanted)


@check("GitHub has no open alert on a credential", each=Repository)
def alerts(subject: Repository, hosting: Hosting) -> Iterator[Finding]:
    """Nothing where no project of GitHub is declared."""
    found = hosting.secret_alerts(subject)
    if found is not None:
        yield from judge_alerts(f"{found.project} at GitHub", found)


def judge_surface(endpoint: Endpoint, surface: WebSurface, wanted: ExposureParameters) -> Iterator[Finding]:
    """Judge what is served; a pass only where all of it was seen and none of it is bad."""
    name = endpoint.name
    judged = [_judge_secret(name, secret, wanted) for secret in surface.secrets if not secret.is_publishable]
    for exposure in surface.exposures:
        place = f"{name}{exposure.path}"
        reason = wanted.reason_to_serve(f"{place}:{exposure.kind}")
        if reason:
            judged.append(Finding.warning(subject=place, observed=f"{exposure.observed}, allowed: {reason}"))
        elif exposure.kind in CREDENTIAL_PLACES:
            judged.append(
                Finding.of(
                    False,
                    subject=place,
                    observed=f"serves {exposure.observed}",
                    expected="404",
                    message=f"{place} serves {exposure.observed} to anybody; take it away, and revoke what it holds",
                )
            )
    judged += _unseen(endpoint, surface)
    yield from judged
    publishable = Counter(secret.rule for secret in surface.secrets if secret.is_publishable)
    if publishable:
        told = cut(f"{rule} ({count})" for rule, count in sorted(publishable.items()))
        yield Finding.warning(
            subject=name,
            observed=f"serves keys that are made for browsers: {told}",
            expected="restricted by their issuer to this origin",
        )
    if not any(finding.status in (FindingStatus.FAIL, FindingStatus.ERROR) for finding in judged):
        counted = Counter(asset.kind for asset in surface.assets)
        seen = [
            f"{counted['script']} scripts",
            f"{counted['source map']} source maps",
            f"{surface.paths_tried} known paths",
        ]
        own = f", and none of {surface.own_keys} values of the secret store" if surface.own_keys else ""
        observed = f"{NO_CREDENTIAL} in the page, {', '.join(seen)}{own}"
        yield Finding.of(True, subject=name, observed=observed, expected=NO_CREDENTIAL)


def _unseen(endpoint: Endpoint, surface: WebSurface) -> Iterator[Finding]:
    name = endpoint.name
    cut_off = [asset.path for asset in surface.assets if asset.is_truncated and asset.kind in ("page", "script")]
    for what, paths, next_step in (
        ("was not looked at", surface.skipped, "let it answer, or raise max_scripts"),
        ("was not answered", surface.unanswered, "look why, and run it again"),
        ("is too large to be looked at as a whole", cut_off, "split it"),
    ):
        if paths:
            yield Finding.error(subject=name, message=f"{name}: {cut(paths)} {what}", next_step=next_step)
    if endpoint.audience == "browser" and not 200 <= surface.page_status < 300:
        yield Finding.error(
            subject=name,
            message=f"{name}: its page answers {surface.page_status}, so that no script could be found",
            next_step="declare the path of the page under `paths`, or audience: api",
        )
    for secret, why in surface.unread_keys:
        yield Finding.error(subject=name, message=f"{name}: {secret} could not be searched for: {why}")


def _judge_secret(endpoint: str, secret: WebSecret, wanted: ExposureParameters) -> Finding:
    place = f"{endpoint}{secret.path}"
    where = f"{secret.source or secret.path}:{secret.line}:{secret.column}"
    observed = f"{secret.rule}: a value of {secret.fingerprint} at {where}"
    reason = wanted.reason_to_serve(f"{place}:{secret.rule}")
    if reason:
        return Finding.warning(subject=place, observed=f"{observed}, allowed: {reason}")
    if not secret.is_certain:
        return Finding.warning(subject=place, observed=observed, expected=NO_CREDENTIAL)
    return Finding.of(
        False,
        subject=place,
        observed=observed,
        expected=NO_CREDENTIAL,
        message=f"{place} serves a credential to anybody ({secret.description or secret.rule}); revoke it first, then "
        f"build without it, or allow {place}:{secret.rule}",
    )


def tell_ignored(repository: str, scan: SecretScan) -> Iterator[Finding]:
    """One warning with the number of values that something lets pass, by what does."""
    reasons = Counter(leak.sample_reason or "a sample" for leak in scan.secrets if leak.is_sample)
    if reasons:
        told = cut(f"{reason} ({count})" for reason, count in sorted(reasons.items()))
        observed = f"{sum(reasons.values())} of {len(scan.secrets)} findings do not count: {told}"
        yield Finding.warning(subject=repository, observed=observed, expected="each was looked at by a person")


def judge_artifact(artifact: str, scan: Scan) -> Iterator[Finding]:
    """Judge one scan: each finding that is open, or the scan as a whole where none is."""
    accepted = [finding for finding in scan.findings if finding.acceptance or finding.confidence == "false positive"]
    judged = [_judge_found(artifact, finding) for finding in scan.findings if finding not in accepted]
    yield from judged
    if accepted:
        by = Counter(finding.acceptance.by if finding.acceptance else "the scanner" for finding in accepted)
        told = cut(f"{who} ({count})" for who, count in sorted(by.items()))
        yield Finding.warning(
            subject=artifact,
            observed=f"{len(accepted)} of {len(scan.findings)} findings are accepted by {told}",
            expected="each was looked at by a person",
        )
    named = f"{scan.origin.tool or 'a scanner'} {scan.origin.version}".strip()
    if scan.unread:
        yield Finding.undecided(
            subject=artifact,
            message=f"{artifact}: {named} could not look at {cut(scan.unread)}",
            next_step="mend what it stumbles over, and run it again",
        )
    elif not scan.volume:
        yield _shows_nothing(artifact, f"does not say what {named} looked at")
    elif not any(finding.status is FindingStatus.FAIL for finding in judged):
        observed = f"{named} looked at {scan.volume} {scan.volume_of}: {NO_CREDENTIAL} is open"
        yield Finding.of(True, subject=artifact, observed=observed, expected=f"{NO_CREDENTIAL} is open")


def _judge_found(artifact: str, finding: ScanFinding) -> Finding:
    place = f"{finding.file or finding.subject or 'an unknown place'}{f':{finding.line}' if finding.line else ''}"
    commit = f" of {finding.commit[:12]}" if finding.commit else ""
    subject = f"{artifact}: {place}{commit}"
    verified = ", which works" if finding.is_verified else ""
    observed = f"{finding.id}{verified}"
    is_weak = bool(_BY_RANDOMNESS.search(finding.id)) or finding.confidence == "low"
    if is_weak and not finding.is_verified and finding.confidence != "confirmed":
        return Finding.warning(subject=subject, observed=observed, expected=NO_CREDENTIAL)
    return Finding.of(
        False,
        subject=subject,
        observed=observed,
        expected=NO_CREDENTIAL,
        message=f"{subject}: {artifact} found {observed}; revoke it first, then remove it, or record why it is none",
    )


def judge_leaks(artifact: str, leaks: Leaks, wanted: ExposureParameters) -> Iterator[Finding]:
    """Judge one published file; it never passes anything alone."""
    for leak in leaks.secrets:
        if leak.is_sample:
            continue
        subject = f"{artifact}: {leak.location}"
        identity = f"{artifact}:{leak.location.file}:{leak.rule}"
        observed = f"{leak.rule}: a value of {leak.fingerprint}"
        reason = wanted.reason_to_serve(identity)
        if reason:
            yield Finding.warning(subject=subject, observed=f"{observed}, allowed: {reason}")
        else:
            yield Finding.of(
                False,
                subject=subject,
                observed=observed,
                expected=NO_CREDENTIAL,
                message=f"{subject} holds a credential ({leak.description or leak.rule}); revoke it first, then build "
                f"without it, or allow {identity}",
            )
    samples = Counter(leak.sample_reason for leak in leaks.secrets if leak.is_sample)
    if samples:
        told = cut(f"{reason} ({count})" for reason, count in sorted(samples.items()))
        observed = f"{samples.total()} of {len(leaks.secrets)} findings do not count: {told}"
        yield Finding.warning(subject=f"{artifact}: {leaks.origin.file}", observed=observed, expected=NO_CREDENTIAL)
    if not leaks.files_scanned:
        yield Finding.undecided(
            subject=artifact,
            message=f"{artifact}: {leaks.origin.file} is empty, so that nothing could be looked at",
            next_step="correct `files` of the artifact",
        )


def _shows_nothing(artifact: str, why: str) -> Finding:
    return Finding.undecided(
        subject=artifact,
        message=f"{artifact} {why}",
        next_step="have it write SARIF, which names the rules that were tried",
    )


def judge_alerts(subject: str, found: SecretAlerts) -> Iterator[Finding]:
    """Judge the alerts of the host; switched off it shows nothing, and fails nothing."""
    if not found.is_enabled:
        yield Finding.warning(
            subject=subject, observed="secret scanning is switched off", expected="switched on, with push protection"
        )
        return
    for alert in found.open:
        extra = [f"it is {alert.validity}"] if alert.validity else []
        extra += ["it is known to the public"] if alert.is_publicly_leaked else []
        extra += ["somebody pushed it past the protection"] if alert.is_bypassed else []
        observed = "; ".join([f"{alert.kind} is open", *extra])
        place = f"{subject}, alert {alert.number}"
        if alert.validity == "inactive":
            yield Finding.warning(subject=place, observed=observed, expected="closed as revoked")
        else:
            yield Finding.of(False, subject=place, observed=observed, expected="no open alert")
    if found.is_push_protected is not True:
        seen = "is off" if found.is_push_protected is False else "is not told to this token"
        yield Finding.warning(subject=subject, observed=f"push protection {seen}", expected="push protection is on")
    dismissed = [f"{reason} ({count})" for reason, count in found.closed if reason != "revoked"]
    if dismissed:
        yield Finding.warning(subject=subject, observed=f"alerts were closed as {cut(dismissed)}")
    if all(alert.validity == "inactive" for alert in found.open):
        closed = sum(count for _, count in found.closed)
        yield Finding.of(True, subject=subject, observed=f"no open alert, {closed} closed", expected="no open alert")
