"""Refresh tokens work once: judged by tables, then on a real Keycloak, a certified provider and an emulated AWS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quub_audit.checks.security.authentication import refresh_token_rotation as item
from quub_audit.checks.security.authentication.refresh_token_rotation import DAY_S, RotationParameters
from quub_audit.facts.identity import Realm, RefreshTrial
from quub_audit.model.environment import Environment, IdentityProvider
from quub_audit.model.environment import TestClient as ProbeClient
from quub_audit.model.finding import Finding
from quub_audit.model.status import FindingStatus, Grade, Status
from quub_audit.sdk import Repository
from quub_audit.testing import audit_item
from tests.checks.security.attested import settled_by_a_word
from tests.worlds.cloud import Cloud
from tests.worlds.keycloak import Keycloak, KeycloakRealm
from tests.worlds.oidc import missing_tools, openid_provider

ITEM = "security.authentication.refresh-token-rotation"
WANTED = RotationParameters()
STRICT = RotationParameters(confidential_rotate=True)
GOOD = {
    "revokeRefreshToken": True,
    "refreshTokenMaxReuse": 0,
    "offlineSessionMaxLifespanEnabled": True,
    "offlineSessionMaxLifespan": 30 * DAY_S,
}

pytestmark = pytest.mark.timeout(900)

needs_node = pytest.mark.skipif(bool(missing_tools()), reason=f"no OpenID provider to test against: {missing_tools()}")


def statuses(findings: Iterator[Finding] | list[Finding]) -> list[str]:
    return [finding.status.value for finding in findings]


# Tried


def trial(**changes: Any) -> RefreshTrial:
    parts: dict[str, Any] = {
        "is_rotated": True,
        "waited_s": 2.0,
        "is_reuse_refused": True,
        "reuse_error": "invalid_grant",
        "is_family_revoked": True,
        **changes,
    }
    return RefreshTrial(**parts)


ACCEPTED = {"is_reuse_refused": False, "reuse_error": "", "is_family_revoked": None}
STATIC = {**ACCEPTED, "is_rotated": False, "waited_s": 0.0}


@pytest.mark.parametrize(
    ("subject", "is_confidential", "wanted", "holds", "observed"),
    [
        (trial(), False, WANTED, True, "refused (invalid_grant), and ended the newer token"),
        (trial(is_family_revoked=None, is_rotated=False), False, WANTED, True, "refused (invalid_grant)"),
        (trial(is_family_revoked=False), False, WANTED, False, "the newer token lived on"),
        (trial(is_family_revoked=False), True, WANTED, False, "the newer token lived on"),
        (trial(**ACCEPTED, waited_s=61.0), False, WANTED, False, "accepted after 61 s"),
        (trial(**STATIC), False, WANTED, False, "accepted at once; no other token was given"),
        (trial(**STATIC), True, WANTED, True, "bound to a client that authenticates itself"),
        (trial(**STATIC), True, STRICT, False, "accepted at once"),
    ],
)
def test_a_trial_is_judged_by_the_second_use_and_the_newer_token(
    subject: RefreshTrial, is_confidential: bool, wanted: RotationParameters, holds: bool, observed: str
) -> None:
    finding = item.judge_trial("login/spa", subject, wanted, is_confidential=is_confidential)

    assert finding.status is (FindingStatus.PASS if holds else FindingStatus.FAIL)
    assert observed in finding.observed


@pytest.mark.parametrize(
    ("subject", "is_undecided"),
    [
        (trial(), False),
        (trial(**ACCEPTED), True),
        (trial(**ACCEPTED, waited_s=60.0), True),
        (trial(**ACCEPTED, waited_s=61.0), False),
        (trial(**STATIC), False),
    ],
)
def test_a_reuse_that_the_grace_may_explain_is_not_judged_yet(subject: RefreshTrial, is_undecided: bool) -> None:
    assert item.is_within_grace(subject, WANTED) is is_undecided


# Keycloak


def client(name: str = "spa", **changes: Any) -> dict[str, Any]:
    return {
        "clientId": name,
        "enabled": True,
        "protocol": "openid-connect",
        "publicClient": True,
        "standardFlowEnabled": True,
        "defaultClientScopes": ["profile"],
        "optionalClientScopes": [],
        "attributes": {},
        **changes,
    }


CONFIDENTIAL = client("web", publicClient=False)
OFFLINE = client("app", optionalClientScopes=["offline_access"])


def realm(*clients: Mapping[str, Any], **settings: Any) -> Realm:
    known = {"ssoSessionMaxLifespan": 36_000, "ssoSessionMaxLifespanRememberMe": 0, **GOOD, **settings}
    return Realm(name="shop", settings=known, clients=clients)


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        pytest.param(realm(client()), ["pass", "pass"], id="rotates, and sessions end"),
        pytest.param(realm(), [], id="no client"),
        pytest.param(realm(client(enabled=False)), [], id="switched off"),
        pytest.param(realm(client(attributes={"use.refresh.tokens": "false"})), [], id="without refresh tokens"),
        pytest.param(realm(client(standardFlowEnabled=False, implicitFlowEnabled=True)), [], id="implicit alone"),
        pytest.param(
            realm(client(standardFlowEnabled=False, serviceAccountsEnabled=True), revokeRefreshToken=False),
            [],
            id="machine to machine alone",
        ),
        pytest.param(
            realm(
                client(
                    standardFlowEnabled=False,
                    serviceAccountsEnabled=True,
                    attributes={"client_credentials.use_refresh_token": "true"},
                ),
                revokeRefreshToken=False,
            ),
            ["fail", "pass"],
            id="a service account with refresh tokens",
        ),
        pytest.param(realm(client(), revokeRefreshToken=False), ["fail", "pass"], id="static"),
        pytest.param(realm(client(), revokeRefreshToken=None), ["fail", "pass"], id="absent is off"),
        pytest.param(realm(client(), refreshTokenMaxReuse=1), ["fail", "pass"], id="once more"),
        pytest.param(realm(CONFIDENTIAL, revokeRefreshToken=False), ["pass", "pass"], id="confidential alone"),
        pytest.param(realm(CONFIDENTIAL, client(), revokeRefreshToken=False), ["fail", "pass"], id="one public"),
        pytest.param(realm(client(), ssoSessionMaxLifespan=31 * DAY_S), ["pass", "fail"], id="sessions of 31 days"),
        pytest.param(realm(client(), ssoSessionMaxLifespan=0), ["pass", "fail"], id="sessions without an end"),
        pytest.param(realm(client(), ssoSessionMaxLifespan="10 h"), ["pass", "error"], id="no number"),
        pytest.param(
            realm(client(), rememberMe=True, ssoSessionMaxLifespanRememberMe=90 * DAY_S), ["pass", "fail"], id="kept"
        ),
        pytest.param(
            realm(client(), ssoSessionMaxLifespanRememberMe=90 * DAY_S), ["pass", "pass"], id="remembered by nobody"
        ),
        pytest.param(
            realm(client(attributes={"client.session.max.lifespan": "3600"}), ssoSessionMaxLifespan=90 * DAY_S),
            ["pass", "pass"],
            id="the client's own end is nearer",
        ),
        pytest.param(
            realm(client(), ssoSessionMaxLifespan=90 * DAY_S, clientSessionMaxLifespan=DAY_S),
            ["pass", "pass"],
            id="the end of all clients is nearer",
        ),
        pytest.param(realm(OFFLINE), ["pass", "pass", "pass"], id="offline sessions of 30 days"),
        pytest.param(
            realm(OFFLINE, offlineSessionMaxLifespanEnabled=False), ["pass", "pass", "fail"], id="offline, endless"
        ),
        pytest.param(
            realm(OFFLINE, offlineSessionMaxLifespan=60 * DAY_S), ["pass", "pass", "fail"], id="offline, long"
        ),
        pytest.param(realm(client(), offlineSessionMaxLifespanEnabled=False), ["pass", "pass"], id="never offline"),
        pytest.param(
            realm(
                client(defaultClientScopes=["offline_access"], attributes={"client.offline.session.max.lifespan": "x"})
            ),
            ["pass", "pass", "error"],
            id="an attribute that is no number",
        ),
    ],
)
def test_a_realm_is_judged_by_rotation_and_by_the_ends_of_its_sessions(subject: Realm, expected: list[str]) -> None:
    assert statuses(item.judge_realm(subject, WANTED)) == expected


def test_confidential_clients_must_rotate_where_the_checklist_says_so() -> None:
    findings = list(item.judge_realm(realm(CONFIDENTIAL, revokeRefreshToken=False), STRICT))

    assert findings[0].status is FindingStatus.FAIL
    assert findings[0].observed == "revokeRefreshToken is off, for web"


@given(days=st.integers(1, 400), limit=st.integers(1, 400))
def test_sessions_pass_exactly_when_they_end_within_the_limit(days: int, limit: int) -> None:
    subject = realm(client(), ssoSessionMaxLifespan=days * DAY_S)

    findings = list(item.judge_realm(subject, RotationParameters(max_lifetime_days=limit)))

    assert (findings[1].status is FindingStatus.PASS) is (days <= limit)


# Cognito

ROTATES = {"RefreshTokenRotation": {"Feature": "ENABLED", "RetryGracePeriodSeconds": 10}, "EnableTokenRevocation": True}
SRP = ["ALLOW_USER_SRP_AUTH"]
REFRESH = [*SRP, "ALLOW_REFRESH_TOKEN_AUTH"]
REVOKES = {"EnableTokenRevocation": True}


@pytest.mark.parametrize(
    ("settings", "expected", "observed"),
    [
        (ROTATES, ["pass"], "rotates, grace 10 s, ends after 30 days"),
        ({**ROTATES, "ExplicitAuthFlows": SRP}, ["pass"], "rotates"),
        ({**ROTATES, "RefreshTokenRotation": {"Feature": "ENABLED"}}, ["pass"], "grace 0 s"),
        ({**ROTATES, "RefreshTokenRotation": {"Feature": "DISABLED"}}, ["fail"], "does not rotate"),
        ({**REVOKES}, ["fail"], "does not rotate"),
        ({**REVOKES, "ExplicitAuthFlows": REFRESH}, ["fail"], "does not rotate"),
        ({**REVOKES, "ExplicitAuthFlows": []}, ["fail"], "does not rotate"),
        ({**REVOKES, "ExplicitAuthFlows": SRP}, [], ""),
        ({**REVOKES, "ExplicitAuthFlows": SRP, "AllowedOAuthFlows": ["code"]}, ["fail"], "does not rotate"),
        ({**REVOKES, "ExplicitAuthFlows": SRP, "AllowedOAuthFlows": ["client_credentials"]}, [], ""),
        ({**REVOKES, "ExplicitAuthFlows": ["USER_PASSWORD_AUTH"]}, ["fail"], "does not rotate"),
        ({**REVOKES, "ExplicitAuthFlows": REFRESH, "ClientSecret": "struck"}, ["pass"], "bound to a client"),
        ({**ROTATES, "ExplicitAuthFlows": REFRESH}, ["fail"], "ALLOW_REFRESH_TOKEN_AUTH refreshes beside"),
        ({**ROTATES, "RefreshTokenRotation": {"Feature": "ENABLED", "RetryGracePeriodSeconds": 61}}, ["fail"], "61 s"),
        ({**ROTATES, "RefreshTokenValidity": 60}, ["fail"], "ends after 60 days"),
        ({**ROTATES, "RefreshTokenValidity": 0}, ["pass"], "30 days"),
        ({**ROTATES, "RefreshTokenValidity": 60, "TokenValidityUnits": {"RefreshToken": "hours"}}, ["pass"], "60 h"),
        ({**ROTATES, "RefreshTokenValidity": 60, "TokenValidityUnits": {"RefreshToken": "moons"}}, ["error"], ""),
        ({**ROTATES, "EnableTokenRevocation": False}, ["pass", "warning"], "rotates"),
    ],
)
def test_an_app_client_is_judged_by_its_rotation_grace_and_end(
    settings: dict[str, Any], expected: list[str], observed: str
) -> None:
    findings = list(item.judge_app_client("app (pool/app)", settings, WANTED))

    assert statuses(findings) == expected
    assert all(observed in finding.observed for finding in findings[:1])


# Real peers


def environment(*providers: Any, **targets: Any) -> Environment:
    return Environment(service="orders", name="production", stage="production", identity=providers, **targets)


def with_client(made: KeycloakRealm) -> KeycloakRealm:
    made.client("spa")
    made.user("ada")
    return made


@pytest.fixture(scope="module")
def rotating(keycloak_server: Keycloak) -> KeycloakRealm:
    return with_client(keycloak_server.realm(**GOOD))


@pytest.mark.proof("pass")
def test_a_realm_that_revokes_used_tokens_passes_tried_and_by_its_settings(rotating: KeycloakRealm) -> None:
    provider = rotating.provider(test_client=rotating.test_client("spa", user="ada"))

    result = audit_item(ITEM, environment(provider), allow_active=True)

    assert result.status is Status.PASS
    assert {finding.subject: finding.grade for finding in result.findings} == {
        "keycloak/spa": Grade.LIVE,
        rotating.name: Grade.CONTROL_PLANE,
        f"{rotating.name} sessions": Grade.CONTROL_PLANE,
        f"{rotating.name} offline sessions": Grade.CONTROL_PLANE,
    }
    assert any("ended the newer token" in finding.observed for finding in result.findings)


@pytest.mark.proof("fail")
def test_a_realm_as_keycloak_makes_it_fails_tried_and_by_its_settings(keycloak_server: Keycloak) -> None:
    made = with_client(keycloak_server.realm())
    provider = made.provider(test_client=made.test_client("spa", user="ada"))

    result = audit_item(
        ITEM,
        environment(provider),
        allow_active=True,
        parameters={"wait_s": 0.5},
    )

    assert result.status is Status.FAIL
    failed = {finding.subject: finding.observed for finding in result.findings if finding.status is FindingStatus.FAIL}
    assert sorted(failed) == sorted(["keycloak/spa", made.name, f"{made.name} offline sessions"])
    assert failed["keycloak/spa"] == "the second use was accepted after 0.5 s"
    assert failed[made.name].startswith("revokeRefreshToken is off, for spa, account")


@pytest.mark.proof("inconclusive")
def test_an_environment_without_an_identity_provider_or_a_user_pool_is_inconclusive(cloud: Cloud) -> None:
    result = audit_item(ITEM, environment(aws=(cloud.account(),)), environ=cloud.environ)

    assert result.status is Status.INCONCLUSIVE


@pytest.mark.proof("error")
def test_a_reader_without_the_right_is_an_error_that_names_it(rotating: KeycloakRealm) -> None:
    rotating.reader("half", ("view-realm",))

    result = audit_item(ITEM, environment(rotating.provider(admin="half")))

    assert result.status is Status.ERROR
    assert "grant view-clients" in result.findings[0].message


@pytest.fixture(scope="module")
def forgiving(keycloak_server: Keycloak) -> IdentityProvider:
    """A provider that gives other tokens and takes the old ones too, and might do so for a grace alone."""
    made = with_client(keycloak_server.realm())
    client = made.test_client("spa", user="ada")
    return IdentityProvider(name="login", type="oidc", issuer=made.issuer, test_client=client)


def test_a_reuse_that_a_grace_may_explain_is_tried_again_past_it(forgiving: IdentityProvider) -> None:
    result = audit_item(ITEM, environment(forgiving), allow_active=True, parameters={"wait_s": 0.2, "max_grace_s": 1})

    assert result.status is Status.FAIL
    assert [finding.observed for finding in result.findings] == ["the second use was accepted after 2 s"]


def test_a_wait_for_which_the_check_has_no_time_is_an_error_that_says_how_much_it_wants(
    forgiving: IdentityProvider,
) -> None:
    result = audit_item(ITEM, environment(forgiving), allow_active=True, parameters={"wait_s": 0.1})

    assert result.status is Status.ERROR
    assert "no time to wait 61 s" in result.findings[0].message
    assert "--check-timeout" in result.findings[0].next_step


@needs_node
@pytest.mark.parametrize(
    ("is_rotating", "parameters", "status"),
    [
        (True, {"wait_s": 0.2}, Status.PASS),
        (False, {"confidential_rotate": True}, Status.FAIL),
        (False, {}, Status.PASS),  # the client authenticates itself
    ],
)
def test_a_certified_provider_is_tried(
    tmp_path: Path, is_rotating: bool, parameters: dict[str, Any], status: Status
) -> None:
    with openid_provider(tmp_path, is_rotating=is_rotating) as world:
        provider = world.provider(grant="password")
        result = audit_item(ITEM, environment(provider), allow_active=True, parameters=parameters)

    assert result.status is status
    assert [finding.subject for finding in result.findings] == ["login/orders"]


@needs_node
def test_a_client_that_is_given_no_refresh_token_proves_nothing(tmp_path: Path) -> None:
    with openid_provider(tmp_path) as world:
        result = audit_item(ITEM, environment(world.provider()), allow_active=True)

    assert result.status is Status.INCONCLUSIVE
    assert "is given no refresh token" in result.reason
    assert settled_by_a_word(result)


def test_a_test_client_that_may_not_be_tried_tells_nothing(cloud: Cloud) -> None:
    cognito = cloud.client("cognito-idp")
    pool = cognito.create_user_pool(PoolName="customers")["UserPool"]["Id"]
    cognito.create_user_pool_client(UserPoolId=pool, ClientName="app", ExplicitAuthFlows=SRP, **ROTATES)
    login = IdentityProvider(
        name="login", type="oidc", issuer="https://login.test", test_client=ProbeClient(client_id="t")
    )

    result = audit_item(ITEM, environment(login, aws=(cloud.account(),)), environ=cloud.environ)

    assert (result.status, len(result.of_status(FindingStatus.PASS))) == (Status.INCONCLUSIVE, 1)
    assert "run with --allow-active" in result.reason


def test_app_clients_of_a_user_pool_are_judged_each(cloud: Cloud) -> None:
    cognito = cloud.client("cognito-idp")
    pool = cognito.create_user_pool(PoolName="customers")["UserPool"]["Id"]
    cognito.create_user_pool_client(UserPoolId=pool, ClientName="app", ExplicitAuthFlows=SRP, **ROTATES)
    cognito.create_user_pool_client(UserPoolId=pool, ClientName="old", ExplicitAuthFlows=REFRESH)
    cognito.create_user_pool_client(UserPoolId=pool, ClientName="web", ExplicitAuthFlows=REFRESH, GenerateSecret=True)
    cognito.create_user_pool_client(UserPoolId=pool, ClientName="none", ExplicitAuthFlows=SRP)

    result = audit_item(ITEM, environment(aws=(cloud.account(),)), environ=cloud.environ)

    assert result.status is Status.FAIL
    judged = {finding.subject.partition(" ")[0]: finding.status.value for finding in result.findings}
    assert judged == {"app": "pass", "old": "fail", "web": "pass"}


def test_a_pool_that_rotates_hides_no_provider_that_nothing_tells_of(cloud: Cloud) -> None:
    cognito = cloud.client("cognito-idp")
    pool = cognito.create_user_pool(PoolName="customers")["UserPool"]["Id"]
    cognito.create_user_pool_client(UserPoolId=pool, ClientName="app", ExplicitAuthFlows=SRP, **ROTATES)
    login = IdentityProvider(name="login", type="oidc", issuer="https://login.test", access_token="given")

    result = audit_item(ITEM, environment(login, aws=(cloud.account(),)), environ=cloud.environ)

    assert result.status is Status.INCONCLUSIVE
    assert len(result.of_status(FindingStatus.PASS)) == 1
    assert "login" in result.reason
    assert settled_by_a_word(result)


def test_a_cloud_that_refuses_is_an_error_that_names_the_permission(cloud: Cloud) -> None:
    cognito = cloud.client("cognito-idp")
    pool = cognito.create_user_pool(PoolName="customers")["UserPool"]["Id"]
    cognito.create_user_pool_client(UserPoolId=pool, ClientName="app")
    cloud.allow_only("cognito-idp:ListUserPools", "cognito-idp:ListUserPoolClients")

    result = audit_item(ITEM, environment(aws=(cloud.account(),)), environ=cloud.environ)

    assert result.status is Status.ERROR
    assert "cognito-idp:DescribeUserPoolClient" in result.findings[0].message


@pytest.mark.parametrize(
    ("file", "line", "is_fault"),
    [
        ("a.mjs", "new Provider(issuer, { rotateRefreshToken: false });", True),
        ("a.mjs", "new Provider(issuer, { rotateRefreshToken: true });", False),
        ("settings.py", "SIMPLE_JWT = {'ROTATE_REFRESH_TOKENS': False}", True),
        ("settings.py", "SIMPLE_JWT = {'ROTATE_REFRESH_TOKENS': True, 'BLACKLIST_AFTER_ROTATION': False}", True),
        ("settings.py", "SIMPLE_JWT = {'ROTATE_REFRESH_TOKENS': True, 'BLACKLIST_AFTER_ROTATION': True}", False),
    ],
)
def test_code_that_switches_rotation_off_fails_the_item_and_other_code_does_not_pass_it(
    tmp_path: Path, file: str, line: str, is_fault: bool
) -> None:
    (tmp_path / file).write_text(f"\n{line}\n")

    result = audit_item(ITEM, environment(repositories=(Repository(name="app", path=str(tmp_path)),)))

    assert result.status is (Status.FAIL if is_fault else Status.INCONCLUSIVE)
    assert [finding.location.line for finding in result.findings if finding.location] == ([2] if is_fault else [])
