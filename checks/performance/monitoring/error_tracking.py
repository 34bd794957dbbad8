"""The error tracker takes events of this environment, and knows the release that sends them.

Pass          the declared project has an active key, knows the environment and its releases, and had an event of it within `max_age_days`, or sessions
Fail          the project is not known; no key is active, or all are limited to nothing; the environment was never seen; the release that `release` names is not known; the code depends on the SDK and never calls `init`, or calls it with an empty DSN, switched off, or with a sample rate of 0
Inconclusive  no tracker is declared; one had neither an event of the environment lately nor sessions, or knows no release
Error         the tracker cannot be asked, or refuses the token; a checkout cannot be read
Needs         of Sentry, or what speaks its API, a token with `project:read`, `org:read` and `event:read`; a checkout of the code
Source        the guide, Monitoring; OWASP ASVS v5.0.0-16.3.4; AWS Well-Architected, OPS 8

That there were no errors is no sign that errors arrive: sessions of release health tell them apart. Of events only their moments are kept. What the code says can fail the item, and never passes it.
Warned of: an `init` that names no release, or sends personal data by default.
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from quub_audit.checks.performance.monitoring._agents import (
    Agent,
    File,
    depended_on,
    import_patterns,
    names_module,
    startup_files,
)
from quub_audit.sdk import (
    Clock,
    Environment,
    ErrorTracker,
    Finding,
    Match,
    Parameters,
    Pattern,
    Repositories,
    Repository,
    Telemetry,
    TrackedProject,
    check,
    cut,
)

SDKS = (
    Agent(package="@sentry/node", module="@sentry/node"),
    Agent(package="@sentry/nestjs", module="@sentry/nestjs"),
    Agent(package="@sentry/nextjs", module="@sentry/nextjs"),
    Agent(package="sentry-sdk", module="sentry_sdk"),
)

INITS = (
    Pattern(name="init", languages=("javascript", "typescript", "tsx"), rule="pattern: Sentry.init($$$OPTIONS)"),
    Pattern(name="init", languages=("python",), rule="pattern: sentry_sdk.init($$$OPTIONS)"),
)

_END = r"\s*[,)}\n]"
FAULTS: Mapping[str, re.Pattern[str]] = {
    "init has an empty DSN": re.compile(rf"\bdsn\s*[:=]\s*(\"\"|''|``|null|undefined|None|False|false){_END}"),
    "init is switched off (enabled: false)": re.compile(rf"\benabled\s*:\s*false{_END}"),
    "init sends no error (a sample rate of 0)": re.compile(rf"\b(sampleRate|sample_rate)\s*[:=]\s*0(\.0+)?{_END}"),
}
"""What keeps every error in; the rate of traces is another option."""

_RELEASE = re.compile(r"\brelease\b")
_RELEASE_ELSEWHERE = re.compile(r"SENTRY_RELEASE|sentry-cli\s+releases|getsentry/action-release")
_PERSONAL = re.compile(r"\b(sendDefaultPii|send_default_pii)\s*[:=]\s*(true|True)\b")


class ErrorTrackingParameters(Parameters):
    """What the checklist may set under `with:`."""

    max_age_days: float = 7
    """Days within which an event or a session must have come."""

    environment: str = ""
    """How the tracker calls the environment; its own name when empty."""

    release: str = ""
    """The release that must be known, as it is about to be deployed; any is enough when empty."""


@check("The error tracker takes events of the environment", each=ErrorTracker)
def project(
    subject: ErrorTracker,
    telemetry: Telemetry,
    environment: Environment,
    clock: Clock,
    wanted: ErrorTrackingParameters,
) -> Iterator[Finding]:
    """Keys, environments, releases, and the newest event."""
    name = wanted.environment or environment.name
    found = telemetry.project(subject, environment=name)
    yield from judge(f"{subject}: {subject.organisation}/{subject.project}", found, name, clock.now(), wanted)


def judge(
    subject: str, found: TrackedProject, environment: str, now: datetime, wanted: ErrorTrackingParameters
) -> Iterator[Finding]:
    """The first thing that keeps events out fails; what may only be quiet is undecided."""
    expected = f"an event or a session of {environment} within {wanted.max_age_days:g} days, and its release"
    problem = problem_of(found, environment, wanted)
    if problem:
        yield Finding.of(False, subject=subject, observed=problem, expected=expected)
        return
    if not found.releases:
        yield Finding.undecided(
            subject=subject,
            observed=f"knows no release of {environment}",
            expected=expected,
            next_step="give `init` the release, or announce each one as it is deployed",
        )
        return
    age = now - found.newest_event_at if found.newest_event_at else None
    is_recent = age is not None and age <= timedelta(days=wanted.max_age_days)
    if not is_recent and not found.sessions:
        last = "no event" if age is None else f"its last event {age.days} days ago"
        sessions = "no sessions" if found.sessions == 0 else "no count of sessions"
        yield Finding.undecided(
            subject=subject,
            observed=f"had {last} of {environment}, and {sessions}",
            expected=expected,
            next_step=f"send an event from {environment}, or let the SDK count sessions, and audit again",
        )
        return
    heard = f"an event {age.total_seconds() / 3600:.1f} h ago" if age and is_recent else f"{found.sessions} sessions"
    observed = f"had {heard} of {environment}, which runs {cut(found.releases[:1])}"
    yield Finding.of(True, subject=subject, observed=observed, expected=expected)


def problem_of(found: TrackedProject, environment: str, wanted: ErrorTrackingParameters) -> str:
    """Why no event of the environment can come, or none of the release; empty where they can."""
    if not found.is_known:
        return "there is no such project"
    if found.active_keys == 0:
        return "no client key (DSN) is active"
    if found.is_rate_limited_to_zero:
        return "every client key (DSN) is limited to no event at all"
    if environment not in found.environments:
        return f"has never seen {environment}; it knows {cut(found.environments) or 'no environment'}"
    if wanted.release and wanted.release not in found.releases:
        return f"does not know the release {wanted.release}; it knows {cut(found.releases) or 'none'}"
    return ""


@check("The SDK is initialised, and on", each=Repository)
def sdk(subject: Repository, repositories: Repositories) -> Iterator[Finding]:
    """Fails alone: that it is initialised does not show that anything arrives."""
    sdks = depended_on(subject, repositories, SDKS)
    if not sdks:
        return
    patterns = (*INITS, *import_patterns(each.module for each in sdks))
    matches = repositories.search(subject, patterns=patterns).matches
    yield from judge_sdk(subject.name, sdks, matches, startup_files(subject, repositories))


def judge_sdk(
    repository: str, sdks: Sequence[Agent], matches: Sequence[Match], startup: Sequence[File]
) -> Iterator[Finding]:
    """Each `init` by what it says; none at all where the package is only a dependency."""
    inits = [match for match in matches if match.pattern == "init"]
    imports = [match for match in matches if match.pattern == "import"]
    modules = [each.module for each in sdks]
    # `import { init } from "@sentry/node"` is called by a name that says nothing.
    if not inits and not any("init" in each.text and names_module(each.text, modules) for each in imports):
        packages = cut(each.package for each in sdks)
        yield Finding.of(
            False,
            subject=f"{repository}: {packages}",
            observed=f"depends on {packages} and never calls init",
            expected="an init with a DSN",
        )
    has_release = any(_RELEASE_ELSEWHERE.search(file.text) for file in startup)
    for match in inits:
        subject = f"{repository}:{match.location}"
        for what, pattern in FAULTS.items():
            if pattern.search(match.text):
                yield Finding.of(
                    False, subject=subject, observed=what, expected="errors that are sent", location=match.location
                )
        if not has_release and not _RELEASE.search(match.text):
            yield Finding.warning(
                subject=subject, observed="init names no release", expected="a release", location=match.location
            )
        if _PERSONAL.search(match.text):
            yield Finding.warning(
                subject=subject,
                observed="init sends personal data by default",
                expected="sendDefaultPii: false",
                location=match.location,
            )
