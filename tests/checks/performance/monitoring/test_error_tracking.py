"""The error tracker takes events of this environment, and knows the release that sends them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quub_audit.checks.performance.monitoring.error_tracking import ErrorTrackingParameters, judge
from quub_audit.model.environment import Environment
from quub_audit.model.result import ItemResult
from quub_audit.model.status import FindingStatus, Status
from quub_audit.sdk import ErrorTracker, Grade, TrackedProject
from quub_audit.testing import audit_item
from tests.worlds.checkout import Checkout
from tests.worlds.saas import PII, Reported, Saas

ITEM = "performance.monitoring.error-tracking"
PASS, FAIL, WARNING = FindingStatus.PASS, FindingStatus.FAIL, FindingStatus.WARNING
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def tracked(**fields: Any) -> TrackedProject:
    """A project as it should be, but for `fields`."""
    parts: dict[str, Any] = {
        "slug": "orders",
        "is_known": True,
        "active_keys": 1,
        "environments": ("production", "staging"),
        "releases": ("1.4.2", "1.4.1"),
        "newest_event_at": NOW - timedelta(hours=3),
        **fields,
    }
    return TrackedProject(**parts)


@pytest.mark.parametrize(
    ("fields", "kind", "words"),
    [
        ({}, "pass", "3.0 h ago"),
        ({"is_known": False}, "fail", "no such project"),
        ({"active_keys": 0}, "fail", "no client key"),
        ({"is_rate_limited_to_zero": True}, "fail", "limited to no event"),
        ({"environments": ("staging",)}, "fail", "never seen production; it knows staging"),
        ({"environments": ()}, "fail", "no environment"),
        ({"releases": ()}, "undecided", "no release"),
        ({"newest_event_at": None}, "undecided", "no event of production, and no count of sessions"),
        ({"newest_event_at": None, "sessions": 0}, "undecided", "no sessions"),
        ({"newest_event_at": None, "sessions": 12}, "pass", "12 sessions"),
        ({"newest_event_at": NOW - timedelta(days=8)}, "undecided", "8 days ago"),
        ({"newest_event_at": NOW - timedelta(days=8), "sessions": 5}, "pass", "5 sessions"),
    ],
)
def test_a_project_passes_by_a_recent_event_or_session_of_the_environment(
    fields: dict[str, Any], kind: str, words: str
) -> None:
    (found,) = judge("errors", tracked(**fields), "production", NOW, ErrorTrackingParameters())

    assert found.kind == kind
    assert words in found.observed


def test_a_release_that_is_wanted_must_be_known() -> None:
    def status(release: str) -> FindingStatus:
        (found,) = judge("errors", tracked(), "production", NOW, ErrorTrackingParameters(release=release))
        return found.status

    assert (status("1.4.2"), status("1.5.0")) == (PASS, FAIL)


@given(
    known=st.booleans(),
    keys=st.integers(0, 2),
    limited=st.booleans(),
    environments=st.lists(st.sampled_from(["production", "staging"])).map(tuple),
    releases=st.lists(st.just("1")).map(tuple),
    age_days=st.none() | st.floats(0, 30),
    sessions=st.none() | st.integers(0, 3),
)
def test_nothing_passes_without_key_environment_release_and_a_sign_of_life(
    known: bool,
    keys: int,
    limited: bool,
    environments: tuple[str, ...],
    releases: tuple[str, ...],
    age_days: float | None,
    sessions: int | None,
) -> None:
    project = tracked(
        is_known=known,
        active_keys=keys,
        is_rate_limited_to_zero=limited,
        environments=environments,
        releases=releases,
        newest_event_at=None if age_days is None else NOW - timedelta(days=age_days),
        sessions=sessions,
    )

    (found,) = judge("errors", project, "production", NOW, ErrorTrackingParameters())

    lives = bool(sessions) or (age_days is not None and age_days <= 7)
    is_open = known and keys > 0 and not limited and "production" in environments
    assert (found.status is PASS) is (is_open and bool(releases) and lives)


# On a stand-in of Sentry


def look(*trackers: ErrorTracker, **parameters: Any) -> ItemResult:
    environment = Environment(service="orders", name="production", stage="production", error_tracking=trackers)
    return audit_item(ITEM, environment, parameters=parameters, min_evidence=Grade.LIVE)


@pytest.mark.proof("pass")
def test_a_tracker_with_a_recent_event_passes_and_nothing_of_the_event_is_told(saas: Saas) -> None:
    saas.events = [Reported(environment="staging"), Reported(age_s=3600)]

    result = look(saas.tracker())

    assert result.status is Status.PASS, result.reason
    assert PII not in repr(result)


def test_a_healthy_service_without_errors_passes_by_its_sessions(saas: Saas) -> None:
    saas.sessions = 400

    assert look(saas.tracker()).status is Status.PASS


@pytest.mark.proof("fail")
def test_a_tracker_that_never_saw_the_environment_fails(saas: Saas) -> None:
    saas.events = [Reported(environment="staging")]
    saas.environments = ["staging"]

    result = look(saas.tracker())

    assert result.status is Status.FAIL
    assert "never seen production" in result.of_status(FAIL)[0].observed


def test_an_environment_may_have_another_name_at_the_tracker(saas: Saas) -> None:
    saas.environments = ["prod"]
    saas.events = [Reported(environment="prod")]

    assert look(saas.tracker(), environment="prod").status is Status.PASS


@pytest.mark.proof("inconclusive")
def test_a_quiet_tracker_and_none_at_all_are_inconclusive(saas: Saas) -> None:
    quiet = look(saas.tracker())

    assert quiet.status is Status.INCONCLUSIVE
    assert len(quiet.of_status(WARNING)) == 1
    assert look().status is Status.INCONCLUSIVE


@pytest.mark.proof("error")
def test_a_token_that_is_refused_is_an_error_that_names_the_scopes(saas: Saas) -> None:
    result = look(saas.tracker(token="another-token-of-the-test"))

    assert result.status is Status.ERROR
    assert "project:read" in result.reason + result.next_step


# In a repository


def code(path: Path, files: dict[str, str | bytes | None]) -> ItemResult:
    checkout = Checkout(path / "app")
    checkout.commit(files)
    environment = Environment(service="orders", name="production", stage="production", repositories=(checkout.target,))
    return audit_item(ITEM, environment)


NODE = '{"dependencies": {"@sentry/node": "^8", "express": "^4"}}'


@pytest.mark.parametrize(
    ("files", "fails", "warns"),
    [
        ({"package.json": NODE}, ["never calls init"], []),
        ({"package.json": NODE, "src/a.ts": "Sentry.init({ dsn: process.env.DSN, release: v });"}, [], []),
        ({"package.json": NODE, "src/a.ts": "Sentry.init({ dsn: process.env.DSN });"}, [], ["names no release"]),
        (
            {
                "package.json": NODE,
                "src/a.ts": "Sentry.init({ dsn: process.env.DSN });",
                "Dockerfile": "ARG V\nENV SENTRY_RELEASE=$V\n",
            },
            [],
            [],
        ),
        ({"package.json": NODE, "src/a.ts": 'Sentry.init({ dsn: "", release });'}, ["empty DSN"], []),
        ({"package.json": NODE, "src/a.ts": 'Sentry.init({ dsn: x || "", release });'}, [], []),
        ({"package.json": NODE, "src/a.ts": "Sentry.init({ dsn, release, enabled: false });"}, ["switched off"], []),
        ({"package.json": NODE, "src/a.ts": "Sentry.init({ dsn, release, sampleRate: 0 });"}, ["sample rate"], []),
        ({"package.json": NODE, "src/a.ts": "Sentry.init({ dsn, release, tracesSampleRate: 0 });"}, [], []),
        ({"package.json": NODE, "src/a.ts": "Sentry.init({ dsn, release, sampleRate: 0.5 });"}, [], []),
        ({"package.json": NODE, "src/a.ts": 'import { init } from "@sentry/node";\ninit({ dsn });'}, [], []),
        (
            {"package.json": NODE, "src/a.ts": "Sentry.init({ dsn, release, sendDefaultPii: true });"},
            [],
            ["personal data"],
        ),
        ({"requirements.txt": "sentry-sdk==2.0\n"}, ["never calls init"], []),
        (
            {"requirements.txt": "sentry-sdk==2.0\n", "app.py": "import sentry_sdk\nsentry_sdk.init(dsn=None)\n"},
            ["empty DSN"],
            ["names no release"],
        ),
        ({"package.json": '{"devDependencies": {"@sentry/node": "^8"}}'}, [], []),
        ({"package.json": "{", "requirements.txt": "\x00"}, [], []),
    ],
)
def test_an_sdk_that_is_never_initialised_or_sends_nothing_fails_and_none_passes(
    tmp_path: Path, files: dict[str, str | bytes | None], fails: list[str], warns: list[str]
) -> None:
    result = code(tmp_path, files)

    told = [finding.observed for finding in result.of_status(FAIL)]
    warned = [finding.observed for finding in result.of_status(WARNING)]
    assert [words in said for words, said in zip(fails, told, strict=True)] == [True] * len(fails)
    assert [words in said for words, said in zip(warns, warned, strict=True)] == [True] * len(warns)
    assert result.of_status(PASS) == ()
