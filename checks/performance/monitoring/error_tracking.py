"""The error tracker takes events of this environment, and knows the release that sends them.

Pass          the declared project has an active key, knows the environment and its releases, and had an event of it within `max_age_days`, or sessions
Fail          the project is not known; no key is active, or all are limited to nothing; the environment was never seen; the release that `release` names is not known
Inconclusive  no tracker is declared; it had neither an event of the environment lately nor sessions; it knows no release
Error         the tracker cannot be asked, or refuses the token
Needs         of Sentry, or what speaks its API, a token with `project:read`, `org:read` and `event:read`
Source        the guide, Monitoring; OWASP ASVS v5.0.0-16.3.4; AWS Well-Architected, OPS 8

That there were no errors is no sign that errors arrive: sessions of release health tell them apart. Of events only their moments are kept.
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from quub_audit.sdk import (
    Clock,
    Environment,
    ErrorTracker,
    Finding,
    Parameters,
    Telemetry,
    TrackedProject,
    check,
    cut,
)


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
    """The first thing that keeps events out fails; what may only be quiet is a warning, and proves nothing."""
    expected = f"an event or a session of {environment} within {wanted.max_age_days:g} days, and its release"
    problem = problem_of(found, environment, wanted)
    if problem:
        yield Finding.of(False, subject=subject, observed=problem, expected=expected)
        return
    if not found.releases:
        yield Finding.warning(subject=subject, observed=f"knows no release of {environment}", expected=expected)
        return
    age = now - found.newest_event_at if found.newest_event_at else None
    is_recent = age is not None and age <= timedelta(days=wanted.max_age_days)
    if not is_recent and not found.sessions:
        last = "no event" if age is None else f"its last event {age.days} days ago"
        sessions = "no sessions" if found.sessions == 0 else "no count of sessions"
        yield Finding.warning(
            subject=subject, observed=f"had {last} of {environment}, and {sessions}", expected=expected
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
