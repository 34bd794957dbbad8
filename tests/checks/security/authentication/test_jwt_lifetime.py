"""Tokens end within the hour: judged by tables, then on a real Keycloak, a certified provider and an emulated AWS."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quub_audit.checks.security.authentication import jwt_lifetime as item
from quub_audit.checks.security.authentication.jwt_lifetime import LifetimeParameters, untold
from quub_audit.connectors.base import Ledger
from quub_audit.connectors.identity import IdentityConnector
from quub_audit.connectors.repository import RepositoryConnector
from quub_audit.facts.identity import Realm, Token, Tokens
from quub_audit.facts.seal import Redactor, Sealer
from quub_audit.model.environment import Environment, IdentityProvider
from quub_audit.model.environment import TestClient as ProbeClient
from quub_audit.model.finding import Finding
from quub_audit.model.status import FindingStatus, Grade, Status
from quub_audit.sdk import Repository
from quub_audit.testing import audit_item
from tests.worlds.cloud import Cloud
from tests.worlds.keycloak import Keycloak, KeycloakRealm
from tests.worlds.oidc import missing_tools, openid_provider

ITEM = "security.authentication.jwt-lifetime"
WANTED = LifetimeParameters()
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)

pytestmark = pytest.mark.timeout(900)

needs_node = pytest.mark.skipif(bool(missing_tools()), reason=f"no OpenID provider to test against: {missing_tools()}")


def statuses(findings: Iterator[Finding] | list[Finding]) -> list[str]:
    return [finding.status.value for finding in findings]


# Tokens


def token(lifetime_s: int | None = 600, **changes: Any) -> Token:
    parts: dict[str, Any] = {
        "use": "access",
        "is_jwt": True,
        "algorithm": "RS256",
        "issued_at": NOW if lifetime_s is not None else None,
        "expires_at": NOW + timedelta(seconds=lifetime_s or 0),
        "lifetime_s": lifetime_s,
        "is_verified": True,
        **changes,
    }
    return Token(**parts)


FORGED = token(is_verified=False, is_forgeable=True, problem="carries no signature (alg none)")
UNVERIFIED = token(is_verified=False, problem="is signed by no key of the issuer's JWKS")


@pytest.mark.parametrize(
    ("subject", "origin", "expected"),
    [
        pytest.param(token(3600), "issued", ["pass"], id="the whole hour"),
        pytest.param(token(3601), "issued", ["fail"], id="a second over"),
        pytest.param(token(1), "issued", ["pass"], id="a second"),
        pytest.param(token(0), "issued", ["fail"], id="no time at all"),
        pytest.param(token(-60), "issued", ["fail"], id="ends before it begins"),
        pytest.param(token(None, expires_at=None), "issued", ["fail"], id="no exp"),
        pytest.param(
            token(None, expires_at=None, problem="its exp is no moment"), "issued", ["fail"], id="exp of words"
        ),
        pytest.param(token(None, expires_at=NOW + timedelta(hours=2)), "given", ["fail"], id="no iat, two hours left"),
        pytest.param(token(None, expires_at=NOW + timedelta(minutes=2)), "given", ["error"], id="no iat, minutes left"),
        pytest.param(token(600, is_jwt=False, expires_at=None), "issued", ["pass"], id="opaque, within"),
        pytest.param(token(7200, is_jwt=False, expires_at=None), "issued", ["fail"], id="opaque, over"),
        pytest.param(token(None, is_jwt=False, expires_at=None), "issued", ["error"], id="opaque, untold"),
        pytest.param(token(None, is_jwt=False, expires_at=None, problem="is encrypted"), "given", ["error"], id="jwe"),
        pytest.param(UNVERIFIED, "given", ["error"], id="given and not verified"),
        pytest.param(UNVERIFIED, "issued", ["pass", "warning"], id="issued over TLS and not verified"),
        pytest.param(token(9000, is_verified=False, problem="x"), "given", ["fail"], id="over by its own word"),
        pytest.param(FORGED, "given", ["fail"], id="alg none"),
        pytest.param(token(is_verified=False, is_confused=True, is_forgeable=True), "issued", ["fail"], id="confused"),
        pytest.param(token(99_999, use="refresh"), "issued", [], id="a refresh token is another item's"),
    ],
)
def test_a_token_is_judged_by_its_lifetime_and_by_who_can_have_signed_it(
    subject: Token, origin: Any, expected: list[str]
) -> None:
    found = Tokens(origin=origin, tokens=(subject,))

    assert statuses(item.judge_tokens("login", found, NOW, WANTED)) == expected


def test_a_short_id_token_does_not_excuse_a_long_access_token() -> None:
    found = Tokens(origin="issued", tokens=(token(86_400), token(300, use="id")))

    findings = list(item.judge_tokens("login", found, NOW, WANTED))

    assert [(finding.subject, finding.status.value, finding.observed) for finding in findings] == [
        ("login access token", "fail", "ends after 24 h"),
        ("login id token", "pass", "ends after 5 min"),
    ]


@given(lifetime=st.integers(-100, 100_000), limit=st.integers(1, 100_000))
def test_a_verified_token_passes_exactly_when_it_ends_within_the_limit(lifetime: int, limit: int) -> None:
    [finding] = item.judge_token("t", token(lifetime), NOW, LifetimeParameters(max_lifetime_s=limit), is_issued=True)

    assert (finding.status is FindingStatus.PASS) is (0 < lifetime <= limit)


# Keycloak


def client(name: str = "spa", **changes: Any) -> dict[str, Any]:
    return {
        "clientId": name,
        "enabled": True,
        "protocol": "openid-connect",
        "publicClient": True,
        "standardFlowEnabled": True,
        "attributes": {},
        **changes,
    }


def lasting(seconds: str, **changes: Any) -> dict[str, Any]:
    return client("long", attributes={"access.token.lifespan": seconds}, **changes)


def realm(*clients: Mapping[str, Any], **settings: Any) -> Realm:
    known = {
        "accessTokenLifespan": 300,
        "accessTokenLifespanForImplicitFlow": 900,
        "ssoSessionMaxLifespan": 36_000,
        "ssoSessionMaxLifespanRememberMe": 0,
        **settings,
    }
    return Realm(name="shop", settings=known, clients=clients)


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        pytest.param(realm(client()), ["pass"], id="the realm's own lifespan"),
        pytest.param(realm(), [], id="no client"),
        pytest.param(realm(client(enabled=False)), [], id="switched off"),
        pytest.param(realm(client(bearerOnly=True)), [], id="bearer only"),
        pytest.param(realm(client(protocol="saml")), [], id="saml"),
        pytest.param(realm(client(standardFlowEnabled=False)), [], id="no flow"),
        pytest.param(realm(client(), accessTokenLifespan=7200), ["fail"], id="the realm is over"),
        pytest.param(realm(*[client(f"app-{n}") for n in range(9)], lasting("7200")), ["fail"], id="one of ten"),
        pytest.param(realm(lasting("600"), accessTokenLifespan=7200), ["pass"], id="the client's own is shorter"),
        pytest.param(realm(lasting(" 600 ")), ["pass"], id="spaces around it"),
        pytest.param(realm(lasting("")), ["pass"], id="empty is unset"),
        pytest.param(realm(lasting("-1")), ["fail"], id="-1 is the end of the session"),
        pytest.param(realm(lasting("-1"), ssoSessionMaxLifespan=1800), ["pass"], id="a short session"),
        pytest.param(
            realm(lasting("-1"), ssoSessionMaxLifespan=1800, rememberMe=True, ssoSessionMaxLifespanRememberMe=86_400),
            ["fail"],
            id="a remembered session is longer",
        ),
        pytest.param(realm(lasting("0")), ["fail"], id="0 is no lifetime"),
        pytest.param(realm(lasting("ten minutes")), ["error"], id="no number"),
        pytest.param(realm(client(), lasting("9" * 20)), ["error"], id="a number beyond reason hides behind no pass"),
        pytest.param(realm(client(), accessTokenLifespan="300"), ["error"], id="a setting of text"),
        pytest.param(
            realm(client(implicitFlowEnabled=True), accessTokenLifespanForImplicitFlow=7200), ["fail"], id="implicit"
        ),
        pytest.param(realm(client(), accessTokenLifespanForImplicitFlow=7200), ["pass"], id="implicit, used by nobody"),
        pytest.param(
            realm(lasting("600", implicitFlowEnabled=True), accessTokenLifespanForImplicitFlow=7200),
            ["fail"],
            id="the client's own does not count in the implicit flow",
        ),
        pytest.param(
            realm(client(standardFlowEnabled=False, serviceAccountsEnabled=True), accessTokenLifespan=7200),
            ["fail"],
            id="a service account",
        ),
        pytest.param(
            realm(
                client(standardFlowEnabled=False, attributes={"oauth2.device.authorization.grant.enabled": "true"}),
                accessTokenLifespan=7200,
            ),
            ["fail"],
            id="a device",
        ),
        pytest.param(realm(client("admin-cli"), accessTokenLifespan=1800), ["warning", "pass"], id="administrators"),
        pytest.param(realm(client(attributes="no mapping")), ["pass"], id="attributes that are none"),
    ],
)
def test_a_realm_is_judged_by_the_longest_lifespan_of_any_client(subject: Realm, expected: list[str]) -> None:
    assert statuses(item.judge_realm(subject, WANTED)) == expected


def test_the_client_that_is_over_is_named_with_the_setting_to_change() -> None:
    findings = list(item.judge_realm(realm(client(), lasting("86400")), WANTED))

    assert [(finding.subject, finding.observed) for finding in findings] == [
        ("shop/long", "24 h by access.token.lifespan of the client")
    ]


# Cognito


@pytest.mark.parametrize(
    ("settings", "status", "observed"),
    [
        ({}, "pass", "60 min by AccessTokenValidity, 60 min by IdTokenValidity"),
        ({"AccessTokenValidity": 0, "IdTokenValidity": 0}, "pass", "60 min by Access.*"),
        ({"AccessTokenValidity": 24}, "fail", "24 h by AccessTokenValidity"),
        ({"AccessTokenValidity": 24, "TokenValidityUnits": {}}, "fail", "24 h by AccessTokenValidity"),
        ({"AccessTokenValidity": 60, "TokenValidityUnits": {"IdToken": "minutes"}}, "fail", "60 h by .*"),
        ({"AccessTokenValidity": 60, "TokenValidityUnits": {"AccessToken": "minutes"}}, "pass", "60 min by Access.*"),
        ({"AccessTokenValidity": 3600, "TokenValidityUnits": {"AccessToken": "seconds"}}, "pass", ".*"),
        ({"IdTokenValidity": 1, "TokenValidityUnits": {"IdToken": "days"}}, "fail", "24 h by IdTokenValidity"),
        ({"AccessTokenValidity": 1, "IdTokenValidity": 2}, "fail", "2 h by IdTokenValidity"),
        ({"AccessTokenValidity": 1, "TokenValidityUnits": {"AccessToken": "fortnights"}}, "error", ""),
        ({"AccessTokenValidity": "1"}, "error", ""),
        ({"AccessTokenValidity": True}, "error", ""),
    ],
)
def test_an_app_client_is_judged_in_its_own_units_or_in_hours(
    settings: dict[str, Any], status: str, observed: str
) -> None:
    [finding] = item.judge_app_client("app (pool/app)", "app", settings, WANTED)

    assert finding.status.value == status
    assert re.fullmatch(observed, finding.observed)


# Code


@pytest.mark.parametrize(
    ("value", "lifetime"),
    [
        ("3600", 3600),
        ("'3600'", 3.6),  # milliseconds, as jsonwebtoken reads a bare numeric text
        ("'1h'", 3600),
        ("`2 days`", 172_800),
        ("'1.5h'", 5400),
        ("60 * 60 * 24", 86_400),
        ("3_600", 3600),
        ("'1y'", 31_557_600),
        ("config.ttl", None),
        ("`${hours}h`", None),
        ("'soon'", None),
        ("''", None),
    ],
)
def test_expires_in_is_read_as_jsonwebtoken_reads_it(value: str, lifetime: float | None) -> None:
    assert item.read_expires_in(value) == lifetime


@pytest.mark.parametrize(
    ("text", "value", "lifetime"),
    [
        ("ACCESS_TOKEN_EXPIRE_MINUTES = 60 * 24 * 8", "60 * 24 * 8", 691_200),
        ("JWT_ACCESS_TOKEN_EXPIRES = timedelta(hours=1)", "timedelta(hours=1)", 3600),
        ("JWT_EXPIRATION = dt.timedelta(days=1, minutes=30)", "dt.timedelta(days=1, minutes=30)", 88_200),
        ("JWT_ACCESS_TOKEN_EXPIRES = timedelta(2)", "timedelta(2)", 172_800),
        ("JWT_ACCESS_TOKEN_EXPIRES = timedelta(0, 60)", "timedelta(0, 60)", None),
        ("JWT_ACCESS_TOKEN_EXPIRES = False", "False", math.inf),
        ("JWT_ACCESS_TOKEN_EXPIRES = 900", "900", 900),
        ("JWT_ACCESS_TOKEN_EXPIRES = env('X')", "env('X')", None),
    ],
)
def test_a_setting_is_read_in_the_unit_of_its_name(text: str, value: str, lifetime: float | None) -> None:
    assert item.read_setting(text, value) == lifetime


def found_in(folder: Path, files: Mapping[str, str]) -> list[Finding]:
    """What the check finds in a folder with these files, through the real connector."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    connector = RepositoryConnector(Ledger(), Sealer(b"salt", Redactor()))
    try:
        return list(item.code(Repository(name="app", path=str(folder)), connector, WANTED))  # type: ignore[arg-type]
    finally:
        connector.close()


@pytest.mark.parametrize(
    ("file", "line", "expected"),
    [
        ("a.ts", "jwt.sign({ sub }, key, { expiresIn: '24h' });", ["fail"]),
        ("a.ts", "jwt.sign({ sub }, key, { expiresIn: '15m' });", []),
        ("a.ts", "jwt.sign({ sub }, key, { expiresIn: 7200 });", ["fail"]),
        ("a.ts", "jwt.sign({ sub }, key, { expiresIn: '7200000' });", ["fail"]),
        ("a.ts", "jwt.sign({ sub }, key, { expiresIn: '3600' });", []),
        ("a.ts", "jwt.sign({ sub }, key, { expiresIn: config.ttl });", ["warning"]),
        ("a.ts", "jwt.sign({ sub }, key);", ["fail"]),
        ("a.ts", "jwt.sign({ sub, exp }, key);", []),
        ("a.ts", "jwt.sign({ ...claims }, key);", []),
        ("a.ts", "jwt.sign(claims, key);", []),
        ("a.ts", "const refreshToken = jwt.sign({ sub }, key, { expiresIn: '7d' });", []),
        ("a.ts", "jwt.sign({ sub }, REFRESH_KEY, { expiresIn: '7d' });", []),
        ("a.ts", "function resetToken() { return jwt.sign({ sub }, key, { expiresIn: '1d' }); }", []),
        ("a.ts", "getSignedUrl(client, command, { expiresIn: 86400 });", []),
        ("a.ts", "JwtModule.register({ secret, signOptions: { expiresIn: '1d' } });", ["fail"]),
        ("a.ts", "new SignJWT(c).setProtectedHeader(h).setExpirationTime('2h').sign(key);", ["fail"]),
        ("a.ts", "new SignJWT(c).setExpirationTime('10m').sign(key);", []),
        ("a.ts", "new SignJWT(c).setExpirationTime(end).sign(key);", ["warning"]),
        ("a.js", "jwt.verify(token, key, { ignoreExpiration: true });", ["fail"]),
        ("a.js", "jwt.verify(token, key, { ignoreExpiration: false });", []),
        ("a.js", "jwt.verify(token, key, { algorithms: ['RS256', 'none'] });", ["fail"]),
        ("a.js", "jwt.sign(claims, '', { algorithm: 'none' });", ["fail"]),
        ("a.js", "const style = { display: 'none' };", []),
        ("a.py", "jwt.decode(t, k, algorithms=['RS256'], options={'verify_exp': False})", ["fail"]),
        ("a.py", "jwt.decode(t, options={'verify_signature': False})", ["warning"]),
        ("a.py", "jwt.decode(t, k, algorithms=['none'])", ["fail"]),
        ("a.py", "jwt.encode(c, None, algorithm='none')", ["fail"]),
        ("a.py", "ACCESS_TOKEN_EXPIRE_MINUTES = 60 * 24 * 8", ["fail"]),
        ("a.py", "ACCESS_TOKEN_EXPIRE_MINUTES = 30", []),
        ("a.py", "ACCESS_TOKEN_EXPIRE_MINUTES: int = 60 * 24", ["fail"]),
        ("a.py", "SIMPLE_JWT = {'ACCESS_TOKEN_LIFETIME': timedelta(days=1)}", ["fail"]),
        ("a.py", "SIMPLE_JWT = {'ACCESS_TOKEN_LIFETIME': timedelta(minutes=5)}", []),
        ("a.py", "app.config['JWT_ACCESS_TOKEN_EXPIRES'] = False", ["fail"]),
        ("a.py", "JWT_ACCESS_TOKEN_EXPIRES = env.int('TTL')", ["warning"]),
        ("a.py", "REFRESH_TOKEN_LIFETIME = timedelta(days=7)", []),
        ("a.py", "claims = {'exp': datetime.now(UTC) + timedelta(hours=12)}", ["fail"]),
        ("a.py", "claims = {'exp': datetime.now(UTC) + timedelta(minutes=10)}", []),
        ("tests/a.test.ts", "jwt.sign({ sub }, key, { expiresIn: '24h' });", []),
    ],
)
def test_code_fails_at_its_place_and_never_passes(tmp_path: Path, file: str, line: str, expected: list[str]) -> None:
    findings = found_in(tmp_path, {file: f"\n{line}\n"})

    assert statuses(findings) == expected
    assert [finding.location.line for finding in findings if finding.location] == [2] * len(expected)


# Real peers


def environment(*providers: Any, **targets: Any) -> Environment:
    return Environment(service="orders", name="production", stage="production", identity=providers, **targets)


@pytest.fixture(scope="module")
def shop(keycloak_server: Keycloak) -> KeycloakRealm:
    """A realm as Keycloak makes it, with a client and a person."""
    made = keycloak_server.realm()
    made.client("spa")
    made.user("ada")
    return made


@pytest.mark.proof("pass")
def test_a_realm_whose_clients_get_short_tokens_passes_tried_and_by_its_settings(shop: KeycloakRealm) -> None:
    provider = shop.provider(test_client=shop.test_client("spa", user="ada"))

    result = audit_item(ITEM, environment(provider), allow_active=True)

    assert result.status is Status.PASS
    assert [(finding.subject, finding.grade, finding.status.value) for finding in result.findings] == [
        ("keycloak access token", Grade.LIVE, "pass"),
        ("keycloak id token", Grade.LIVE, "pass"),
        (shop.name, Grade.CONTROL_PLANE, "pass"),
    ]
    assert "5 min" in result.findings[0].observed


@pytest.mark.proof("fail")
def test_a_realm_with_one_client_that_is_over_fails_and_names_it(keycloak_server: Keycloak) -> None:
    realm_of_today = keycloak_server.realm(accessTokenLifespan=600)
    realm_of_today.client("spa")
    realm_of_today.client("partner", attributes={"access.token.lifespan": "28800"})
    realm_of_today.client("old", implicitFlowEnabled=True)
    realm_of_today.set(accessTokenLifespanForImplicitFlow=5400)
    realm_of_today.user("ada")
    provider = realm_of_today.provider(test_client=realm_of_today.test_client("partner", user="ada"))

    result = audit_item(ITEM, environment(provider), allow_active=True)

    assert result.status is Status.FAIL
    failed = [finding for finding in result.findings if finding.status is FindingStatus.FAIL]
    assert {finding.subject: finding.observed for finding in failed} == {
        "keycloak access token": "ends after 8 h",
        "keycloak id token": "ends after 8 h",
        f"{realm_of_today.name}/old": "90 min by accessTokenLifespanForImplicitFlow",
        f"{realm_of_today.name}/partner": "8 h by access.token.lifespan of the client",
    }


@pytest.mark.proof("inconclusive")
def test_an_environment_without_an_identity_provider_or_a_user_pool_is_inconclusive(cloud: Cloud) -> None:
    result = audit_item(ITEM, environment(aws=(cloud.account(),)), environ=cloud.environ)

    assert result.status is Status.INCONCLUSIVE


def test_a_pool_in_time_hides_no_provider_that_nothing_tells_of(cloud: Cloud) -> None:
    cognito = cloud.client("cognito-idp")
    pool = cognito.create_user_pool(PoolName="customers")["UserPool"]["Id"]
    cognito.create_user_pool_client(UserPoolId=pool, ClientName="app")
    login = IdentityProvider(name="login", type="oidc", issuer="https://login.test")
    aws = (cloud.account(),)

    result = audit_item(ITEM, environment(login, aws=aws), environ=cloud.environ)

    assert result.status is Status.INCONCLUSIVE
    assert len(result.of_status(FindingStatus.PASS)) == 1
    assert "login" in result.reason
    assert "access_token of login" in result.next_step


@pytest.mark.parametrize("may_try", [True, False])
@pytest.mark.parametrize(
    ("given", "is_undecided"),
    [
        ({"type": "oidc"}, True),
        ({"type": "keycloak"}, True),
        ({"type": "keycloak", "admin_client_id": "audit"}, False),
        ({"type": "oidc", "admin_client_id": "audit"}, True),
        ({"type": "oidc", "id_token": "x"}, False),
        ({"type": "oidc", "access_token": "x"}, False),
        ({"type": "oidc", "test_client": ProbeClient(client_id="t")}, None),
        ({"type": "github"}, False),
    ],
)
def test_a_provider_with_nothing_that_could_tell_is_undecided(
    given: dict[str, Any], is_undecided: bool | None, may_try: bool
) -> None:
    """A test client tells something only where it may be tried."""
    provider = IdentityProvider(name="login", **given)
    identity = IdentityConnector((provider,), Ledger(), Sealer(b"salt", Redactor()), allow_active=may_try)

    found = untold(provider, identity, WANTED)

    assert (isinstance(found, Finding) and found.is_undecided) == (
        not may_try if is_undecided is None else is_undecided
    )


def test_a_user_pool_without_clients_is_inconclusive(cloud: Cloud) -> None:
    cloud.client("cognito-idp").create_user_pool(PoolName="customers")

    result = audit_item(ITEM, environment(aws=(cloud.account(),)), environ=cloud.environ)

    assert result.status is Status.INCONCLUSIVE


@pytest.mark.proof("error")
def test_a_reader_without_the_right_is_an_error_that_names_it(shop: KeycloakRealm) -> None:
    shop.reader("half", ("view-clients",))

    result = audit_item(ITEM, environment(shop.provider(admin="half")))

    assert result.status is Status.ERROR
    assert "grant view-realm" in result.findings[0].message


def test_a_cloud_that_refuses_is_an_error_that_names_the_permission(cloud: Cloud) -> None:
    cloud.client("cognito-idp").create_user_pool(PoolName="customers")
    cloud.allow_only("cognito-idp:ListUserPools")

    result = audit_item(ITEM, environment(aws=(cloud.account(),)), environ=cloud.environ)

    assert result.status is Status.ERROR
    assert "cognito-idp:ListUserPoolClients" in result.findings[0].message


def test_app_clients_of_a_user_pool_are_judged_each(cloud: Cloud) -> None:
    cognito = cloud.client("cognito-idp")
    pool = cognito.create_user_pool(PoolName="customers")["UserPool"]["Id"]
    cognito.create_user_pool_client(UserPoolId=pool, ClientName="app")
    cognito.create_user_pool_client(UserPoolId=pool, ClientName="partner", AccessTokenValidity=24)

    result = audit_item(ITEM, environment(aws=(cloud.account(),)), environ=cloud.environ)

    assert result.status is Status.FAIL
    judged = {finding.subject.partition(" ")[0]: finding.status.value for finding in result.findings}
    assert judged == {"app": "pass", "partner": "fail"}


@needs_node
@pytest.mark.parametrize(
    ("settings", "status"),
    [
        ({"access_token_s": 3600}, Status.PASS),
        ({"access_token_s": 7200}, Status.FAIL),
        ({"access_token_s": 7200, "is_jwt": False}, Status.FAIL),
        ({"access_token_s": 900, "is_jwt": False}, Status.PASS),
    ],
)
def test_a_certified_provider_is_tried(tmp_path: Path, settings: dict[str, Any], status: Status) -> None:
    with openid_provider(tmp_path, **settings) as world:
        result = audit_item(ITEM, environment(world.provider()), allow_active=True)

    assert result.status is status
    assert [finding.grade for finding in result.findings] == [Grade.LIVE]


@needs_node
def test_without_leave_no_token_is_asked_for_and_the_item_is_inconclusive(tmp_path: Path) -> None:
    with openid_provider(tmp_path) as world:
        result = audit_item(ITEM, environment(world.provider()))

    assert result.status is Status.INCONCLUSIVE


def test_long_tokens_in_code_fail_the_item_and_short_ones_do_not_pass_it(tmp_path: Path) -> None:
    (tmp_path / "auth.ts").write_text("export const t = jwt.sign({ sub }, key, { expiresIn: '12h' });\n")
    target = Repository(name="app", path=str(tmp_path))

    failed = audit_item(ITEM, environment(repositories=(target,)))
    (tmp_path / "auth.ts").write_text("export const t = jwt.sign({ sub }, key, { expiresIn: '12m' });\n")
    mended = audit_item(ITEM, environment(repositories=(target,)))

    assert failed.status is Status.FAIL
    assert str(failed.findings[0].location) == "auth.ts:1:43"
    assert mended.status is Status.INCONCLUSIVE
