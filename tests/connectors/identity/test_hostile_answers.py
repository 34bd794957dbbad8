"""Answers that no provider gives on demand: metadata, keys, tokens and realms of a server that says what it is told."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from quub_audit.connectors.base import DEADLINE, QUESTION_TIMEOUT_S, Deadline
from quub_audit.connectors.codec import encode
from quub_audit.connectors.identity import IdentityConnector
from quub_audit.demo.authority import Authority
from quub_audit.errors import (
    Absent,
    Denied,
    Malformed,
    Refused,
    Reportable,
    Throttled,
    TimedOut,
    Unreachable,
    Unsupported,
)
from quub_audit.facts.seal import Redactor
from quub_audit.model.environment import IdentityProvider
from quub_audit.model.environment import TestClient as Client
from tests.connectors.identity.saying import Saying, Says, saying
from tests.worlds.web import Names

Connect = Callable[..., IdentityConnector]

CLIENT = Client(client_id="orders", client_secret="client-secret-0123456789", scope="")
METADATA = "/.well-known/openid-configuration"
ALSO_METADATA = "/.well-known/oauth-authorization-server"


@pytest.fixture
def login() -> Iterator[Saying]:
    """A provider that is well, until a test changes an answer."""
    with saying() as server:
        server.answer(METADATA, Says(body=metadata(server.address)))
        server.answer("/jwks", Says(body={"keys": []}))
        server.answer("/token", Says(body={"access_token": "opaque-token-0123456789", "expires_in": 300}))
        yield server


def metadata(address: str, **changes: Any) -> dict[str, Any]:
    made = {"issuer": address, "jwks_uri": f"{address}/jwks", "token_endpoint": f"{address}/token", **changes}
    return {name: value for name, value in made.items() if value is not ...}


def provider(login: Saying, **changes: Any) -> IdentityProvider:
    return IdentityProvider(
        **{"name": "login", "type": "oidc", "issuer": login.address, "test_client": CLIENT, **changes}
    )


def test_the_well_provider_gives_a_token(connect: Connect, login: Saying) -> None:
    found = connect().tokens(provider(login))

    assert found is not None
    assert [(token.is_jwt, token.lifetime_s) for token in found.tokens] == [(False, 300)]
    assert [request.method for request in login.seen] == ["GET", "GET", "POST"]


HTML = Says(200, b"<html>login</html>", {"Content-Type": "text/html"})
ELSEWHERE = Says(302, b"", {"Location": "https://evil.example/x?token=1"})
JWKS_OF_5_MB = {"keys": [{"kty": "RSA", "n": "x" * 5_000_000}]}


@pytest.mark.parametrize(
    ("path", "says", "error", "text"),
    [
        (METADATA, HTML, Malformed, "200 and text/html, which is no JSON"),
        (METADATA, Says(500, b"oops"), Unreachable, "answered with 500"),
        (METADATA, Says(503, b"oops"), Unreachable, "answered with 503 by a gateway"),
        (METADATA, Says(403, b"oops"), Denied, "denied with 403"),
        (METADATA, Says(429, b"oops", {"Retry-After": "99"}), Throttled, "wait 99 s"),
        (METADATA, Says(418, b"oops"), Unsupported, "answered with 418"),
        (METADATA, Says(404, b"oops"), Absent, "publishes no OpenID metadata"),
        (METADATA, ELSEWHERE, Unreachable, "to https://evil.example/x; it was not"),
        (METADATA, Says(200, ["a"]), Malformed, "JSON that is no object"),
        (METADATA, Says(200, {"issuer": "https://evil.example"}), Malformed, "that of 'https://evil.example'"),
        (METADATA, Says(200, {}), Malformed, "that of 'None'"),
        (METADATA, Says(200, b'{"issuer": 1, "issuer": 2}'), Malformed, "which is no JSON"),
        ("/jwks", Says(302, b"", {"Location": "/other"}), Unreachable, "a redirect to /other; it was not followed"),
        ("/jwks", Says(200, JWKS_OF_5_MB), Malformed, "is longer than 1048576 bytes"),
        ("/jwks", Says(200, {"keys": {}}), Malformed, "no JWKS"),
        ("/jwks", Says(200, {"keys": ["a"]}), Malformed, "no JWKS"),
        ("/jwks", Says(200, b"\xff\xfe"), Malformed, "which is no JSON"),
        ("/jwks", Says(404, b""), Unsupported, "answered with 404"),
        ("/token", Says(200, b"<html>"), Malformed, "which is no JSON"),
        ("/token", Says(200, {"token_type": "Bearer"}), Malformed, "200 and no access_token"),
        ("/token", Says(200, {"access_token": ["a"]}), Malformed, "200 and no access_token"),
        ("/token", Says(400, {"error": "invalid_grant"}), Denied, "for the grant client_credentials: invalid_grant"),
        ("/token", Says(400, {"error": "<b>no</b>"}), Unsupported, "answered with 400"),
        ("/token", Says(500, b"<html>"), Unreachable, "answered with 500"),
        ("/token", Says(429, {"error": "slow"}, {"Retry-After": "9"}), Throttled, "put off with 429"),
        ("/token", ELSEWHERE, Unreachable, "redirect to https://evil.example/x"),
    ],
)
def test_what_is_no_answer_is_an_error_that_says_what_came(
    connect: Connect, login: Saying, path: str, says: Says, error: type[Reportable], text: str
) -> None:
    login.answer(path, says)

    with pytest.raises(error, match=text) as raised:
        connect().tokens(provider(login))

    assert raised.value.message.startswith("login: ")
    assert "client-secret" not in str(vars(raised.value))


def test_a_token_answer_that_breaks_off_shows_nothing_of_itself(connect: Connect, login: Saying) -> None:
    login.answer("/token", Says(200, b'{"access_token": "secret-token-0123456789", "expires_'))

    with pytest.raises(Malformed) as raised:
        connect().tokens(provider(login))

    assert "secret-token" not in repr(raised.value) + repr(raised.value.__cause__) + repr(raised.value.__context__)


def test_tokens_are_struck_from_outputs_although_the_answer_is_an_error(
    connect: Connect, redactor: Redactor, login: Saying
) -> None:
    login.answer(
        "/token", Says(418, {"access_token": "secret-token-0123456789", "refresh_token": "r3fresh-0123456789"})
    )

    with pytest.raises(Unsupported):
        connect().tokens(provider(login))

    assert redactor.clean("secret-token-0123456789 r3fresh-0123456789") == "[redacted] [redacted]"
    assert redactor.clean(CLIENT.client_secret) == "[redacted]"


def test_the_basic_credentials_of_the_client_are_struck_too(
    connect: Connect, redactor: Redactor, login: Saying
) -> None:
    connect().tokens(provider(login))

    sent = login.seen[-1].headers["authorization"].removeprefix("Basic ")
    assert base64.b64decode(sent).decode() == f"{CLIENT.client_id}:{CLIENT.client_secret}"
    assert redactor.clean(sent) == "[redacted]"


@pytest.mark.parametrize("name", ["token_endpoint", "jwks_uri"])
@pytest.mark.parametrize("url", ["http://login.shop.example/x", "http://169.254.169.254/latest/meta-data"])
def test_an_address_in_the_metadata_that_is_plain_http_is_not_asked(
    connect: Connect, login: Saying, name: str, url: str
) -> None:
    login.answer(METADATA, Says(body=metadata(login.address, **{name: url})))

    with pytest.raises(Refused, match=f"{name} in the metadata is plain HTTP"):
        connect().tokens(provider(login))


@pytest.mark.parametrize("url", ["file:///etc/passwd", "", "https://", "https://a b/", "https://[::1", 7])
def test_an_address_in_the_metadata_that_is_none_is_malformed(connect: Connect, login: Saying, url: object) -> None:
    login.answer(METADATA, Says(body=metadata(login.address, token_endpoint=url)))

    with pytest.raises(Malformed):
        connect().tokens(provider(login))


@pytest.mark.parametrize(("name", "text"), [("token_endpoint", "no token_endpoint"), ("jwks_uri", "no jwks_uri")])
def test_metadata_that_lacks_an_address_is_malformed(connect: Connect, login: Saying, name: str, text: str) -> None:
    login.answer(METADATA, Says(body=metadata(login.address, **{name: ...})))

    with pytest.raises(Malformed, match=text):
        connect().tokens(provider(login))


def test_metadata_may_stand_where_oauth_has_it(connect: Connect, login: Saying) -> None:
    login.answer(METADATA, Says(404))
    login.answer(ALSO_METADATA, Says(body=metadata(login.address)))

    assert connect().tokens(provider(login)) is not None


def test_a_redirect_takes_no_credential_along(connect: Connect, login: Saying) -> None:
    with saying() as thief:
        login.answer("/token", Says(307, b"", {"Location": f"{thief.address}/token"}))
        with pytest.raises(Unreachable):
            connect().tokens(provider(login))

        assert thief.seen == []


def test_a_token_request_is_not_sent_twice(connect: Connect, login: Saying) -> None:
    login.answer("/token", Says(503, b""))

    with pytest.raises(Unreachable):
        connect().tokens(provider(login))

    assert [request.path for request in login.seen].count("/token") == 1


def test_a_second_use_that_a_gateway_answers_is_no_refusal(connect: Connect, login: Saying) -> None:
    first = Says(body={"access_token": "a" * 20, "refresh_token": "first-refresh-token"})
    rotated = Says(body={"access_token": "b" * 20, "refresh_token": "second-refresh-token"})
    login.answer("/token", first, rotated, Says(503, b"<html>"))

    with pytest.raises(Unreachable, match="503"):
        connect().refresh_twice(provider(login), wait_s=0)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (["second", 400, 400], (True, True, True)),
        (["second", 400, "third"], (True, True, False)),
        (["second", "third"], (True, False, None)),
        ([None, None], (False, False, None)),
        (["first", "first"], (False, False, None)),
        (["first", 400], (False, True, None)),
    ],
)
def test_a_refresh_trial_says_what_each_use_came_to(
    connect: Connect, login: Saying, answers: list[Any], expected: tuple[bool, bool, bool | None]
) -> None:
    def says(answer: Any) -> Says:
        if answer == 400:
            return Says(400, {"error": "invalid_grant"})
        refresh = {"refresh_token": f"{answer}-refresh-token"} if answer else {}
        return Says(body={"access_token": "t" * 20, **refresh})

    login.answer("/token", says("first"), *map(says, answers), Says(400, {"error": "no_more_answers"}))

    found = connect().refresh_twice(provider(login), wait_s=0)

    assert found is not None
    assert (found.is_rotated, found.is_reuse_refused, found.is_family_revoked) == expected


def test_a_wait_ends_with_the_check_when_that_is_cancelled(connect: Connect, login: Saying) -> None:
    first = Says(body={"access_token": "a" * 20, "refresh_token": "first-refresh-token"})
    rotated = Says(body={"access_token": "b" * 20, "refresh_token": "second-refresh-token"})
    login.answer("/token", first, rotated)
    deadline = Deadline(120)
    timer = threading.Timer(0.7, deadline.cancel)
    timer.start()
    mark = DEADLINE.set(deadline)
    began = time.monotonic()
    try:
        with pytest.raises(TimedOut):
            connect().refresh_twice(provider(login), wait_s=60)
    finally:
        DEADLINE.reset(mark)
        timer.join()

    assert time.monotonic() - began < QUESTION_TIMEOUT_S


def test_a_refresh_token_that_is_refused_at_once_proves_nothing(connect: Connect, login: Saying) -> None:
    first = Says(body={"access_token": "a" * 20, "refresh_token": "first-refresh-token"})
    login.answer("/token", first, Says(400, {"error": "invalid_grant"}))

    with pytest.raises(Unsupported, match="refused at its first use"):
        connect().refresh_twice(provider(login), wait_s=0)


def test_a_provider_is_asked_under_its_name_over_tls_that_is_verified(connect: Connect, tmp_path: Path) -> None:
    names = Names(Authority(), tmp_path)
    with saying(names.context("login.shop.example")) as server:
        issuer = "https://login.shop.example"
        server.answer(METADATA, Says(body=metadata(issuer)))
        server.answer("/jwks", Says(body={"keys": []}))
        server.answer("/token", Says(body={"access_token": "t" * 20, "expires_in": 60}))
        place = server.address.removeprefix("https://")
        declared = provider(server, issuer=issuer, connect_to=place, ca_file=names.ca_file)

        found = connect().tokens(declared)
        with pytest.raises(Unreachable, match="is not trusted"):
            connect().tokens(provider(server, issuer=issuer, connect_to=place))

    assert found is not None
    assert {request.headers["host"] for request in server.seen} == {"login.shop.example"}


# Keycloak


def keycloak(server: Saying) -> IdentityProvider:
    return IdentityProvider(
        name="kc",
        type="keycloak",
        issuer=f"{server.address}/realms/shop",
        realm="shop",
        admin_client_id="audit",
        admin_client_secret="admin-secret-0123456789",
    )


@pytest.fixture
def admin() -> Iterator[Saying]:
    with saying() as server:
        token = {"access_token": "admin-token-0123456789", "expires_in": 60}
        server.answer("/realms/shop/protocol/openid-connect/token", Says(body=token))
        server.answer("/admin/realms/shop", Says(body={"realm": "shop", "accessTokenLifespan": 300}))
        server.answer("/admin/realms/shop/clients", Says(body=[{"clientId": "audit", "publicClient": False}]))
        yield server


@pytest.mark.parametrize(
    ("path", "says", "error", "text"),
    [
        ("", Says(200, b"<html>"), Malformed, "no JSON"),
        ("", Says(200, []), Malformed, "no object"),
        ("", Says(500, b"<html>"), Unreachable, "500"),
        ("", Says(302, b"", {"Location": "https://evil.example/"}), Unreachable, "redirect"),
        ("", Says(404, {"error": "Realm not found."}), Absent, "does not exist"),
        ("", Says(401, {"error": "HTTP 401"}), Denied, "denied with 401"),
        ("/clients", Says(200, {"clientId": "audit"}), Malformed, "no list of objects"),
        ("/clients", Says(200, [{"clientId": "audit"}]), Denied, "view-clients"),
        ("/clients", Says(200, []), Denied, "view-clients"),
        ("/clients", Says(200, [{"clientId": "audit", "publicClient": False}] * 50), Malformed, "lists more than"),
    ],
)
def test_what_is_no_realm_is_an_error(
    connect: Connect, admin: Saying, path: str, says: Says, error: type[Reportable], text: str
) -> None:
    admin.answer(f"/admin/realms/shop{path}", says)

    with pytest.raises(error, match=text) as raised:
        connect().realm(keycloak(admin))

    assert raised.value.message.startswith("kc: ")
    assert "0123456789" not in str(vars(raised.value))


def test_an_admin_token_that_has_ended_is_asked_for_anew_once(connect: Connect, admin: Saying) -> None:
    admin.answer("/admin/realms/shop", Says(401, {}), Says(body={"realm": "shop", "accessTokenLifespan": 300}))

    assert connect().realm(keycloak(admin)).settings["accessTokenLifespan"] == 300
    assert [request.method for request in admin.seen].count("POST") == 2


def test_nothing_but_the_request_for_the_admin_token_is_more_than_get(connect: Connect, admin: Saying) -> None:
    connect(allow_active=False).realm(keycloak(admin))

    posted = [request for request in admin.seen if request.method != "GET"]
    assert [request.path for request in posted] == ["/realms/shop/protocol/openid-connect/token"]


@pytest.mark.parametrize("token", ["", "a\r\nX-Injected: 1", "ü" * 8, ["a"], None])
def test_an_admin_token_that_no_header_can_carry_is_malformed(connect: Connect, admin: Saying, token: object) -> None:
    admin.answer("/realms/shop/protocol/openid-connect/token", Says(body={"access_token": token}))

    with pytest.raises(Malformed, match="no access_token"):
        connect().realm(keycloak(admin))


def test_secrets_at_any_depth_of_a_representation_are_fingerprints(connect: Connect, admin: Saying) -> None:
    secrets = {f"hidden-value-{number}-of-keycloak" for number in range(6)}
    one, two, three, four, five, six = sorted(secrets)
    client = {
        "clientId": "audit",
        "publicClient": False,
        "secret": one,
        "registrationAccessToken": two,
        "attributes": {"client.secret": three, "use.refresh.tokens": "true", "access.token.lifespan": "60"},
    }
    admin.answer("/admin/realms/shop/clients", Says(body=[client]))
    settings = {
        "accessTokenLifespan": 300,
        "smtpServer": {"password": four},
        "components": {"ldap": [{"config": {"bindCredential": [five]}}], "keys": [{"config": {"privateKey": [six]}}]},
    }
    admin.answer("/admin/realms/shop", Says(body=settings))

    found = connect().realm(keycloak(admin))

    text = json.dumps(encode(found))
    assert [secret for secret in secrets if secret in text] == []
    assert found.clients[0]["attributes"]["use.refresh.tokens"] == "true"
    assert found.clients[0]["attributes"]["access.token.lifespan"] == "60"
