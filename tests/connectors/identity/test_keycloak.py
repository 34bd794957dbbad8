"""What a real Keycloak says of its realms, clients, people and tokens."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from quub_audit.connectors.base import DEADLINE, Deadline
from quub_audit.connectors.codec import decode, encode
from quub_audit.connectors.identity import IdentityConnector
from quub_audit.errors import Absent, Denied, Refused, TimedOut, Unreachable, Unsupported
from quub_audit.facts.asking import Identity
from quub_audit.facts.seal import Fingerprint, Redactor
from quub_audit.model.environment import IdentityProvider
from tests.worlds.keycloak import READER, Keycloak, KeycloakRealm

Connect = Callable[..., IdentityConnector]

pytestmark = pytest.mark.timeout(900)


def test_the_connector_is_what_checks_know_as_identity(connect: Connect) -> None:
    assert isinstance(connect(), Identity)


def test_a_realm_comes_with_its_settings_all_its_clients_and_its_browser_flow(
    connect: Connect, keycloak_server: Keycloak
) -> None:
    realm = keycloak_server.realm(
        accessTokenLifespan=7200, bruteForceProtected=True, smtpServer={"host": "mail", "from": "a@shop.example"}
    )
    made = {f"app-{number}" for number in range(60)}
    for name in sorted(made):
        realm.client(name)

    found = connect().realm(realm.provider())

    assert found.name == realm.name
    assert found.settings["accessTokenLifespan"] == 7200
    assert found.settings["bruteForceProtected"] is True
    assert made | {"audit", "account", "realm-management"} <= {client["clientId"] for client in found.clients}
    assert ("auth-username-password-form", "REQUIRED") in [
        (execution.get("providerId"), execution["requirement"]) for execution in found.browser_flow
    ]
    assert decode(json.loads(json.dumps(encode(found)))) == found


def test_secrets_in_representations_are_fingerprints_and_struck_from_outputs(
    connect: Connect, redactor: Redactor, shop: KeycloakRealm
) -> None:
    secret = "s3cr3t-of-the-till-4711"
    shop.client("till", publicClient=False, secret=secret, attributes={"saml.signing.private.key": "MIIEpAIB-key-0815"})

    found = connect().realm(shop.provider())

    till = next(client for client in found.clients if client["clientId"] == "till")
    assert isinstance(till["secret"], Fingerprint)
    assert isinstance(till["attributes"]["saml.signing.private.key"], Fingerprint)
    text = json.dumps(encode(found))
    assert secret not in text
    assert "MIIEpAIB-key-0815" not in text
    assert redactor.clean(f"it is {secret}") == "it is [redacted]"
    assert redactor.clean("*" * 10) == "*" * 10


@pytest.mark.parametrize(
    ("roles", "needed"),
    [
        ((), "view-realm"),
        (("view-realm",), "view-clients"),
        (("view-clients",), "view-realm"),  # Keycloak answers 200 with a handful of fields
        (("view-realm", "query-clients"), "view-clients"),  # Keycloak answers 200 with an empty list
    ],
)
def test_a_reader_without_a_role_is_denied_by_its_name_also_where_keycloak_answers_in_part(
    connect: Connect, shop: KeycloakRealm, roles: tuple[str, ...], needed: str
) -> None:
    name = f"reader-of-{'-and-'.join(roles) or 'nothing'}"
    shop.reader(name, roles)

    with pytest.raises(Denied, match=f"denied to the admin client {name}; grant {needed}") as raised:
        connect().realm(shop.provider(admin=name))

    assert raised.value.permission == f"realm-management/{needed}"
    assert needed in raised.value.next_step


def test_a_reader_who_may_not_see_people_is_denied_by_the_role_for_that(connect: Connect, shop: KeycloakRealm) -> None:
    shop.reader("half-a-reader", ("view-realm", "view-clients"))
    shop.user("bea")
    shop.grant(f"/users/{shop.send('GET', '/users?username=bea&exact=true')[0]['id']}", shop.role("boss"))

    with pytest.raises(Denied) as raised:
        connect().administrators(shop.provider(admin="half-a-reader"), roles=("boss",))

    assert raised.value.permission == "realm-management/view-users"


def test_administrators_are_found_by_role_composite_role_group_and_group_below(
    connect: Connect, keycloak_server: Keycloak
) -> None:
    realm = keycloak_server.realm()
    realm.role("admin")
    realm.role("owner", of=("admin",))
    realm.role("founder", of=("owner", "realm-management/manage-users"))
    people = {name: realm.user(name) for name in ("ada", "bob", "cyd", "dan", "eve", "fay", "gil")}
    realm.grant(f"/users/{people['ada']}", "admin")
    realm.grant(f"/users/{people['bob']}", "founder")
    board = realm.group("board")
    realm.grant(f"/groups/{board}", "owner")
    realm.join(people["cyd"], board)
    realm.join(people["dan"], realm.group("treasury", parent=realm.group("finance", parent=board)))
    realm.grant(f"/users/{people['eve']}", "realm-management/realm-admin")
    realm.send("PUT", f"/users/{people['gil']}", {"enabled": False})
    realm.grant(f"/users/{people['gil']}", "admin")
    realm.reader("robot", READER)
    robot = realm.send("GET", "/users?username=service-account-robot&exact=true")[0]["id"]
    realm.grant(f"/users/{robot}", "admin")

    found = connect().administrators(realm.provider(), roles=("admin", "realm-management/manage-users"))

    assert [(person.name, person.roles) for person in found] == [
        ("ada", ("admin",)),
        ("bob", ("admin", "realm-management/manage-users")),
        ("cyd", ("admin",)),
        ("dan", ("admin",)),
        ("eve", ("realm-management/manage-users",)),
    ]


def test_administrators_come_with_their_second_factors_and_what_waits_for_their_next_login(
    connect: Connect, keycloak_server: Keycloak
) -> None:
    realm = keycloak_server.realm()
    realm.role("admin")
    for name, more in (
        ("ada", {"factors": ("otp",)}),
        ("bob", {"requiredActions": ["CONFIGURE_TOTP"]}),
        ("cyd", {}),
    ):
        realm.grant(f"/users/{realm.user(name, **more)}", "admin")

    found = connect().administrators(realm.provider(), roles=("admin",))

    assert [(person.name, person.factors, person.pending) for person in found] == [
        ("ada", ("otp",), ()),
        ("bob", (), ("CONFIGURE_TOTP",)),
        ("cyd", (), ()),
    ]


def test_more_administrators_than_a_page_holds_are_all_found(connect: Connect, keycloak_server: Keycloak) -> None:
    realm = keycloak_server.realm()
    everybody = realm.group("everybody")
    realm.role("admin")
    realm.grant(f"/groups/{everybody}", "admin")
    names = [f"person-{number:03}" for number in range(55)]
    for name in names:
        realm.join(realm.user(name), everybody)

    found = connect().administrators(realm.provider(), roles=("admin",))

    assert [person.name for person in found] == names


def test_a_role_that_the_realm_does_not_have_is_absent_and_named(connect: Connect, shop: KeycloakRealm) -> None:
    with pytest.raises(Absent, match=r"has no role realm-management/emperor, superuser"):
        connect().administrators(shop.provider(), roles=("superuser", "offline_access", "realm-management/emperor"))


def test_a_wrong_secret_of_the_admin_client_is_denied_and_stays_out_of_the_message(
    connect: Connect, shop: KeycloakRealm
) -> None:
    with pytest.raises(Denied, match="given no token") as raised:
        connect().realm(shop.provider(admin_client_secret="wrong-secret-0123456789"))

    assert "wrong-secret" not in str(vars(raised.value))


def test_a_realm_that_does_not_exist_is_absent(connect: Connect, shop: KeycloakRealm) -> None:
    provider = shop.provider(realm="shoppe", issuer=f"{shop.server.address}/realms/shoppe")

    with pytest.raises(Absent, match="/realms/shoppe/protocol/openid-connect/token does not exist"):
        connect().realm(provider)


def test_an_admin_address_apart_from_the_issuer_is_where_the_admin_api_is_asked(
    connect: Connect, shop: KeycloakRealm
) -> None:
    provider = shop.provider(issuer="https://login.shop.example/realms/shop", admin_url=f"{shop.server.address}/")

    assert connect().realm(provider).name == shop.name


def test_another_kind_of_provider_has_no_realm(connect: Connect) -> None:
    with pytest.raises(Unsupported, match="is of type oidc"):
        connect().realm(IdentityProvider(name="login", type="oidc", issuer="https://login.example"))


def test_a_keycloak_that_is_not_there_is_unreachable(connect: Connect, shop: KeycloakRealm) -> None:
    provider = shop.provider(issuer="http://127.0.0.1:9/realms/shop")

    with pytest.raises(Unreachable, match=r"keycloak: 127\.0\.0\.1:9 takes no connection"):
        connect().realm(provider)


# Tokens


def test_tokens_of_a_person_are_read_and_verified_and_none_of_them_leaves(
    connect: Connect, redactor: Redactor, shop: KeycloakRealm
) -> None:
    shop.client("spa", attributes={"access.token.lifespan": "7200"})
    shop.user("ada")

    found = connect().tokens(shop.provider(test_client=shop.test_client("spa", user="ada")))

    assert found is not None
    assert found.origin == "issued"
    assert found.has_refresh
    assert [
        (token.use, token.algorithm, token.lifetime_s, token.is_verified, token.problem) for token in found.tokens
    ] == [
        ("access", "RS256", 7200, True, ""),
        ("id", "RS256", 7200, True, ""),
        ("refresh", "HS512", 1800, False, ""),
    ]
    assert {token.subject_kind for token in found.tokens} == {"user"}
    assert "eyJ" not in json.dumps(encode(found))
    assert redactor.clean("password-of-ada") == "[redacted]"


def test_the_refresh_token_that_came_with_them_is_given_back(connect: Connect, keycloak_server: Keycloak) -> None:
    realm = keycloak_server.realm()
    realm.client("spa")
    ada = realm.user("ada")

    connect().tokens(realm.provider(test_client=realm.test_client("spa", user="ada")))

    assert realm.send("GET", f"/users/{ada}/sessions") == []


def test_a_token_of_a_service_account_is_that_of_a_client(connect: Connect, shop: KeycloakRealm) -> None:
    shop.client("batch", publicClient=False, serviceAccountsEnabled=True)

    found = connect().tokens(shop.provider(test_client=shop.test_client("batch")))

    assert found is not None
    assert [token.subject_kind for token in found.tokens][:1] == ["client"]
    assert not found.has_refresh


def test_no_token_is_asked_for_where_active_checks_are_not_allowed(connect: Connect, shop: KeycloakRealm) -> None:
    provider = shop.provider(issuer="http://127.0.0.1:9/realms/x", test_client=shop.test_client("spa", user="ada"))
    connector = connect(allow_active=False)

    with pytest.raises(Refused, match="active checks are not allowed"):
        connector.tokens(provider)
    with pytest.raises(Refused, match="active checks are not allowed"):
        connector.refresh_twice(provider, wait_s=0)


def test_without_a_test_client_there_are_no_tokens(connect: Connect, shop: KeycloakRealm) -> None:
    connector = connect(allow_active=False)

    assert connector.tokens(shop.provider()) is None
    assert connector.refresh_twice(shop.provider(), wait_s=0) is None


def test_a_wrong_password_is_denied_and_stays_out_of_the_message(connect: Connect, shop: KeycloakRealm) -> None:
    shop.client("kiosk")
    client = shop.test_client("kiosk", user="nobody")

    with pytest.raises(Denied, match="gave kiosk no token for the grant password: invalid_grant") as raised:
        connect().tokens(shop.provider(test_client=client))

    assert client.password not in str(vars(raised.value))


@pytest.mark.parametrize(
    ("settings", "is_refused", "is_family_revoked"),
    [
        ({"revokeRefreshToken": False}, False, None),
        ({"revokeRefreshToken": True, "refreshTokenMaxReuse": 0}, True, True),
        ({"revokeRefreshToken": True, "refreshTokenMaxReuse": 1}, False, None),
    ],
)
def test_a_refresh_token_is_used_and_used_again(
    connect: Connect,
    keycloak_server: Keycloak,
    settings: dict[str, object],
    is_refused: bool,
    is_family_revoked: bool | None,
) -> None:
    realm = keycloak_server.realm(**settings)
    realm.client("spa")
    realm.user("ada")

    found = connect().refresh_twice(realm.provider(test_client=realm.test_client("spa", user="ada")), wait_s=1.5)

    assert found is not None
    assert (found.is_rotated, found.waited_s) == (True, 1.5)
    assert found.is_reuse_refused is is_refused
    assert found.reuse_error == ("invalid_grant" if is_refused else "")
    assert found.is_family_revoked is is_family_revoked


def test_a_client_without_refresh_tokens_has_nothing_to_try(connect: Connect, shop: KeycloakRealm) -> None:
    shop.client("stateless", attributes={"use.refresh.tokens": "false"})
    shop.user("cyd")

    client = shop.test_client("stateless", user="cyd")

    assert connect().refresh_twice(shop.provider(test_client=client), wait_s=0) is None


def test_a_wait_longer_than_the_checks_time_is_not_begun(connect: Connect, shop: KeycloakRealm) -> None:
    mark = DEADLINE.set(Deadline(5))
    try:
        with pytest.raises(TimedOut, match="no time to wait 60 s") as raised:
            connect().refresh_twice(shop.provider(test_client=shop.test_client("spa", user="ada")), wait_s=60)
    finally:
        DEADLINE.reset(mark)

    assert "--check-timeout 80" in raised.value.next_step
