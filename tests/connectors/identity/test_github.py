"""What GitHub says of an organisation, as its documentation shapes it: no GitHub can be run here."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from quub_audit.connectors.identity import IdentityConnector
from quub_audit.errors import Absent, Denied, Malformed, Refused, Reportable, Throttled, Unreachable
from quub_audit.model.environment import IdentityProvider
from tests.connectors.identity.saying import Saying, Says, saying

Connect = Callable[..., IdentityConnector]

TOKEN = "ghp_token-of-the-test-world-0123456789"
OWNERS = "/orgs/quub-shop/members?role=admin&per_page=100"
WITHOUT = "/orgs/quub-shop/members?filter=2fa_disabled&role=admin&per_page=100"


@pytest.fixture
def github() -> Iterator[Saying]:
    with saying() as server:
        server.answer("/orgs/quub-shop", Says(body={"login": "quub-shop", "two_factor_requirement_enabled": True}))
        server.answer(OWNERS, Says(body=[{"login": "bob"}, {"login": "ada"}]))
        server.answer(WITHOUT, Says(body=[]))
        yield server


def provider(github: Saying, **changes: str) -> IdentityProvider:
    parts: dict[str, Any] = {"issuer": github.address, "organisation": "quub-shop", "admin_token": TOKEN, **changes}
    return IdentityProvider(name="code", type="github", **parts)


def test_an_organisation_comes_with_its_rule_its_owners_and_those_without_a_factor(
    connect: Connect, github: Saying
) -> None:
    github.answer(WITHOUT, Says(body=[{"login": "bob"}]))

    found = connect().organisation(provider(github))

    assert (found.name, found.is_two_factor_required) == ("quub-shop", True)
    assert (found.owners, found.owners_without_factor) == (("ada", "bob"), ("bob",))
    assert {request.method for request in github.seen} == {"GET"}
    assert {request.headers["authorization"] for request in github.seen} == {f"Bearer {TOKEN}"}
    assert {request.headers["x-github-api-version"] for request in github.seen} == {"2022-11-28"}
    assert all(request.headers["user-agent"].startswith("quub-audit/") for request in github.seen)


def test_every_page_is_read(connect: Connect, github: Saying) -> None:
    second = "/organizations/4711/members?role=admin&per_page=100&page=2"
    link = f'<{github.address}{second}>; rel="next", <{github.address}/x>; rel="last"'
    github.answer(OWNERS, Says(body=[{"login": "ada"}], headers={"Link": link}))
    github.answer(second, Says(body=[{"login": "zoe"}], headers={"Link": f'<{github.address}/x>; rel="first"'}))

    assert connect().organisation(provider(github)).owners == ("ada", "zoe")


@pytest.mark.parametrize("told", [{"login": "quub-shop"}, {"two_factor_requirement_enabled": None}])
def test_what_only_owners_are_told_is_unknown_to_others(connect: Connect, github: Saying, told: object) -> None:
    github.answer("/orgs/quub-shop", Says(body=told))

    assert connect().organisation(provider(github)).is_two_factor_required is None


@pytest.mark.parametrize(
    ("path", "says", "error", "text"),
    [
        ("/orgs/quub-shop", Says(401, {"message": "Bad credentials"}), Denied, "does not accept the token"),
        ("/orgs/quub-shop", Says(404, {"message": "Not Found"}), Absent, "no organisation quub-shop, or the token"),
        ("/orgs/quub-shop", Says(403, {"message": "Forbidden"}), Denied, "was denied to the token"),
        ("/orgs/quub-shop", Says(403, b"<html>"), Denied, "was denied to the token"),
        (
            "/orgs/quub-shop",
            Says(403, {"message": "Resource protected"}, {"X-GitHub-SSO": "required; url=https://github.com/x"}),
            Denied,
            "not authorised for the single sign-on of quub-shop",
        ),
        (WITHOUT, Says(422, {"message": "Only owners can use this filter."}), Denied, "told to owners of quub-shop"),
        ("/orgs/quub-shop", Says(500, b"<html>"), Unreachable, "answered with 500"),
        ("/orgs/quub-shop", Says(502, b"<html>"), Unreachable, "answered with 502 by a gateway"),
        ("/orgs/quub-shop", Says(200, b"<html>hello"), Malformed, "is no JSON"),
        ("/orgs/quub-shop", Says(200, []), Malformed, "JSON that is no object"),
        (OWNERS, Says(200, {"login": "ada"}), Malformed, "no list of objects"),
        (OWNERS, Says(200, ["ada"]), Malformed, "no list of objects"),
        (OWNERS, Says(200, [{"id": 1}]), Malformed, "a member without a login"),
        (OWNERS, Says(200, [{"login": "ada\x1b[31m"}]), Malformed, "a member without a login"),
        (OWNERS, Says(200, b"[" * 50_000), Malformed, "is no JSON"),
        (OWNERS, Says(200, b" " * 1_500_000), Malformed, "is longer than 1048576 bytes"),
        (
            OWNERS,
            Says(301, b"", {"Location": "https://evil.example/a?b"}),
            Unreachable,
            "to https://evil.example/a; it",
        ),
        (OWNERS, Says(200, [], {"Link": '<https://evil.example/p>; rel="next"'}), Malformed, "at another host"),
    ],
)
def test_what_is_no_answer_is_an_error_that_says_what_came(
    connect: Connect, github: Saying, path: str, says: Says, error: type[Reportable], text: str
) -> None:
    github.answer(path, says)

    with pytest.raises(error, match=text) as raised:
        connect().organisation(provider(github))

    assert raised.value.message.startswith("code: ")
    assert TOKEN not in str(vars(raised.value))
    assert all("evil" not in request.headers["host"] for request in github.seen)


@pytest.mark.parametrize(
    ("status", "message", "headers", "until"),
    [
        (403, "API limit", {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "RESET"}, r"ends in \d+ s"),
        (403, "You have exceeded a secondary rate limit", {"Retry-After": "60"}, "ends in 60 s"),
        (403, "You have exceeded a secondary rate limit", {}, "rate limit$"),
        (429, "slow down", {"Retry-After": "3600"}, "asks to wait 3600 s"),
    ],
)
def test_a_rate_limit_is_told_apart_from_a_denial_with_its_end(
    connect: Connect, github: Saying, status: int, message: str, headers: dict[str, str], until: str
) -> None:
    told = {name: value.replace("RESET", str(int(time.time()) + 1200)) for name, value in headers.items()}
    github.answer("/orgs/quub-shop", Says(status, {"message": message}, told))

    with pytest.raises(Throttled, match=until):
        connect().organisation(provider(github))

    assert len(github.seen) == 1


def test_a_short_wait_is_waited_for(connect: Connect, github: Saying) -> None:
    told = Says(body={"two_factor_requirement_enabled": False})
    github.answer("/orgs/quub-shop", Says(429, {}, {"Retry-After": "0"}), told)

    assert connect().organisation(provider(github)).is_two_factor_required is False


def test_pages_that_go_round_in_a_circle_end(connect: Connect, github: Saying) -> None:
    link = {"Link": f'<{github.address}{OWNERS}>; rel="next"'}
    github.answer(OWNERS, Says(body=[{"login": "ada"}], headers=link))

    with pytest.raises(Malformed, match="round in a circle"):
        connect().organisation(provider(github))


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"organisation": ""}, Absent, "there is no organisation"),
        ({"admin_token": ""}, Denied, "there is no token"),
        ({"admin_token": "ghp_ü\r\nX: y"}, Denied, "characters that no header can carry"),
        ({"issuer": "http://api.github.example"}, Refused, "would travel in clear"),
        ({"issuer": "ftp://api.github.example"}, Malformed, "is no http:// or https:// address"),
        ({"issuer": "https://user@[bad"}, Malformed, "is no http:// or https:// address"),
    ],
)
def test_a_declaration_that_cannot_be_asked_sends_nothing(
    connect: Connect, github: Saying, changes: dict[str, str], error: type[Reportable], text: str
) -> None:
    with pytest.raises(error, match=text):
        connect().organisation(provider(github, **changes))

    assert github.seen == []
