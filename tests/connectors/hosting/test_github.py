"""What GitHub says of a repository's credentials, as its documentation shapes it: a stand-in, as it cannot run here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from quub_audit.connectors.base import Ledger
from quub_audit.connectors.codec import decode, encode
from quub_audit.connectors.hosting_github import HostingConnector
from quub_audit.errors import Absent, Denied, Malformed, Reportable, Throttled, Unsupported
from quub_audit.facts.hosting import SecretAlert, SecretAlerts
from quub_audit.facts.seal import STRUCK, Redactor
from quub_audit.model.environment import GitHubProject, Repository
from tests.connectors.identity.saying import Saying, Says, saying

TOKEN = "token-of-the-test-world-0123456789"
PROJECT = "/repos/acme/orders"
OPEN = f"{PROJECT}/secret-scanning/alerts?per_page=100&hide_secret=true&state=open"
CLOSED = OPEN.replace("=open", "=resolved")


def settings(scanning: str = "enabled", protection: str = "enabled") -> Says:
    told = {"secret_scanning": {"status": scanning}, "secret_scanning_push_protection": {"status": protection}}
    return Says(body={"full_name": "acme/orders", "security_and_analysis": told})


def alert(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "number": number,
        "state": "open",
        "secret_type": "quub_api_key",
        "validity": "active",
        "publicly_leaked": False,
        "push_protection_bypassed": None,
        **changes,
    }


@pytest.fixture
def github() -> Iterator[Saying]:
    with saying() as world:
        world.answer(PROJECT, settings())
        world.answer(OPEN, Says(body=[]))
        world.answer(CLOSED, Says(body=[]))
        yield world


def repository(github: Saying, **changes: Any) -> Repository:
    project = GitHubProject(project="acme/orders", url=github.address, token=TOKEN)
    return Repository(name="app", path="/nowhere", github=replace(project, **changes))


def ask(github: Saying, **changes: Any) -> SecretAlerts:
    target = repository(github, **changes)
    found = HostingConnector((target,), Ledger(), Redactor()).secret_alerts(target)
    assert found is not None
    return found


def test_no_alert_where_scanning_is_on(github: Saying) -> None:
    found = ask(github)

    assert found == SecretAlerts(project="acme/orders", is_enabled=True, is_push_protected=True)
    assert decode(encode(found)) == found
    assert {(seen.method, seen.headers["authorization"]) for seen in github.seen} == {("GET", f"Bearer {TOKEN}")}


def test_open_alerts_of_all_pages_are_read_and_closed_ones_counted_by_their_reason(github: Saying) -> None:
    more = f"{github.address}{OPEN}&after=x"
    github.answer(OPEN, Says(body=[alert(7)], headers={"Link": f'<{more}>; rel="next"'}))
    github.answer(f"{OPEN}&after=x", Says(body=[alert(3, validity="unknown", publicly_leaked=True)]))
    github.answer(
        CLOSED, Says(body=[alert(n, resolution=r) for n, r in ((1, "revoked"), (2, "false_positive"), (4, None))])
    )

    found = ask(github)

    assert found.open == (
        SecretAlert(number=3, kind="quub_api_key", validity="unknown", is_publicly_leaked=True),
        SecretAlert(number=7, kind="quub_api_key", validity="active"),
    )
    assert found.closed == (("false_positive", 1), ("no reason", 1), ("revoked", 1))


def test_scanning_that_is_switched_off_is_a_fact_and_its_alerts_are_not_asked_for(github: Saying) -> None:
    github.answer(PROJECT, settings("disabled", "disabled"))

    assert ask(github) == SecretAlerts(project="acme/orders", is_enabled=False, is_push_protected=False)
    assert len(github.seen) == 1


def test_a_token_that_is_not_told_the_settings_still_reads_the_alerts(github: Saying) -> None:
    github.answer(PROJECT, Says(body={"full_name": "acme/orders"}))

    assert ask(github).is_push_protected is None


@pytest.mark.parametrize(
    ("path", "says", "error", "words"),
    [
        (PROJECT, Says(404, {}), Absent, "no project acme/orders"),
        (PROJECT, Says(401, {}), Denied, "not accepted"),
        (OPEN, Says(403, {"message": "Resource not accessible"}), Denied, "denied to the token"),
        (OPEN, Says(404, {"message": "Secret scanning is disabled on this repository."}), Denied, "switched off, or"),
        (OPEN, Says(403, {"message": "API rate limit exceeded"}), Throttled, "rate limit"),
        (OPEN, Says(418, {}), Unsupported, "418"),
        (OPEN, Says(200, {"message": "no list"}), Malformed, "no list"),
        (OPEN, Says(200, [{"state": "open"}]), Malformed, "no number"),
        (OPEN, Says(200, b"<html>"), Malformed, "no JSON"),
    ],
)
def test_each_refusal_says_what_is_missing(
    github: Saying, path: str, says: Says, error: type[Reportable], words: str
) -> None:
    github.answer(path, says)

    with pytest.raises(error, match=words) as raised:
        ask(github)

    if isinstance(raised.value, Denied):
        assert raised.value.permission == "secret_scanning_alerts: read"
    assert "app" in raised.value.message


def test_no_host_is_no_answer_and_a_token_is_struck(github: Saying) -> None:
    redactor = Redactor()
    connector = HostingConnector((repository(github),), Ledger(), redactor)

    assert connector.secret_alerts(Repository(name="app", path="/nowhere")) is None
    assert redactor.clean(TOKEN) == STRUCK
