"""Sessions that end without use and in any case: of realms, of load balancers, and what cookies show of others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quub_audit.checks.security.authentication.session_timeout import (
    BALANCER_DEFAULT_S,
    SessionParameters,
    judge_login,
    judge_offline,
    judge_realm,
    judge_rules,
    lifetime_s,
)
from quub_audit.facts.http import Cookie
from quub_audit.model.environment import Endpoint, Environment, IdentityProvider
from quub_audit.model.finding import Finding
from quub_audit.model.result import ItemResult
from quub_audit.model.status import FindingStatus, Grade, Status
from quub_audit.sdk import HttpAnswer
from quub_audit.testing import audit_item
from tests.checks.security.attested import settled_by_a_word
from tests.connectors.identity.saying import Says
from tests.connectors.identity.saying import saying as saying_paths
from tests.worlds.cloud import Cloud
from tests.worlds.keycloak import Keycloak
from tests.worlds.web import Names, answer, closed_port, endpoint_at, serve, site

ITEM = "security.authentication.session-timeout"
WANTED = SessionParameters()
PASS, FAIL, ERROR, WARNING = (
    FindingStatus.PASS,
    FindingStatus.FAIL,
    FindingStatus.ERROR,
    FindingStatus.WARNING,
)
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOST = "shop.test"
HOUR, DAY = 3600, 86_400
REALM = {
    "ssoSessionIdleTimeout": 1800,
    "ssoSessionMaxLifespan": 10 * HOUR,
    "ssoSessionIdleTimeoutRememberMe": 0,
    "ssoSessionMaxLifespanRememberMe": 0,
    "rememberMe": False,
}


def statuses(findings: Iterator[Finding]) -> list[FindingStatus]:
    return [finding.status for finding in findings]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, PASS),
        ({"ssoSessionIdleTimeout": 1801}, FAIL),
        ({"ssoSessionIdleTimeout": 0}, FAIL),
        ({"ssoSessionMaxLifespan": 0}, FAIL),
        ({"ssoSessionMaxLifespan": 12 * HOUR}, PASS),
        ({"ssoSessionMaxLifespan": 12 * HOUR + 1}, FAIL),
        ({"ssoSessionMaxLifespan": 2592000}, FAIL),
        ({"rememberMe": True}, PASS),
        ({"rememberMe": True, "ssoSessionMaxLifespanRememberMe": 30 * DAY}, FAIL),
        ({"rememberMe": False, "ssoSessionMaxLifespanRememberMe": 30 * DAY}, PASS),
        ({"rememberMe": True, "ssoSessionIdleTimeoutRememberMe": 7 * DAY}, FAIL),
        ({"ssoSessionMaxLifespan": None}, ERROR),
        ({"ssoSessionIdleTimeout": "1800"}, ERROR),
        ({"ssoSessionIdleTimeout": -1}, ERROR),
        ({"ssoSessionIdleTimeout": True}, ERROR),
    ],
)
def test_a_realm_needs_both_limits_and_those_of_remember_me(changes: dict[str, Any], status: FindingStatus) -> None:
    assert judge_realm("keycloak", "shop", {**REALM, **changes}, WANTED).status is status


def test_administrators_of_the_master_realm_are_forgotten_sooner() -> None:
    assert judge_realm("keycloak", "master", REALM, WANTED).status is FAIL
    assert judge_realm("keycloak", "master", {**REALM, "ssoSessionIdleTimeout": 900}, WANTED).status is PASS


def test_a_realm_says_its_limits_in_whole_units() -> None:
    finding = judge_realm("keycloak", "shop", {**REALM, "ssoSessionMaxLifespan": 30 * DAY}, WANTED)

    assert finding.observed == "ssoSessionIdleTimeout 30 minutes, ssoSessionMaxLifespan 30 days"
    assert finding.expected == "idle 30 minutes or less, in all 12 hours or less"
    assert "ssoSessionMaxLifespan is too long" in finding.message


@given(st.integers(0, 10**7), st.integers(0, 10**7), st.integers(0, 10**6))
def test_a_longer_limit_never_passes_where_a_shorter_one_fails(idle: int, absolute: int, more: int) -> None:
    told = {**REALM, "ssoSessionIdleTimeout": idle or 1, "ssoSessionMaxLifespan": absolute or 1}
    longer = {**told, "ssoSessionMaxLifespan": told["ssoSessionMaxLifespan"] + more}

    if judge_realm("k", "shop", told, WANTED).status is FAIL:
        assert judge_realm("k", "shop", longer, WANTED).status is FAIL


WEB = {"clientId": "web", "standardFlowEnabled": True, "optionalClientScopes": ["offline_access"]}


@pytest.mark.parametrize(
    ("settings", "client", "found"),
    [
        ({}, WEB, [WARNING]),
        ({"offlineSessionMaxLifespanEnabled": True}, WEB, []),
        ({}, {**WEB, "optionalClientScopes": []}, []),
        ({}, {**WEB, "enabled": False}, []),
        ({}, {**WEB, "standardFlowEnabled": False}, []),
        (
            {},
            {"clientId": "web", "directAccessGrantsEnabled": True, "defaultClientScopes": ["offline_access"]},
            [WARNING],
        ),
    ],
)
def test_offline_sessions_that_never_end_are_warned_of(
    settings: dict[str, Any], client: dict[str, Any], found: list[FindingStatus]
) -> None:
    assert statuses(judge_offline("keycloak", settings, [client])) == found


def rule(timeout: int | None, kind: str = "authenticate-oidc") -> Mapping[str, Any]:
    config = "AuthenticateOidcConfig" if kind == "authenticate-oidc" else "AuthenticateCognitoConfig"
    return {
        "Priority": "1",
        "Actions": [
            {"Type": kind, config: {} if timeout is None else {"SessionTimeout": timeout}},
            {"Type": "forward"},
        ],
    }


@pytest.mark.parametrize(
    ("rules", "found"),
    [
        ([], []),
        ([{"Priority": "default", "Actions": [{"Type": "forward"}]}], []),
        ([rule(None)], ["fail"]),
        ([rule(1800)], ["pass"]),
        ([rule(1801)], ["undecided"]),
        ([rule(12 * HOUR)], ["undecided"]),
        ([rule(12 * HOUR + 1)], ["fail"]),
        ([rule(BALANCER_DEFAULT_S, "authenticate-cognito")], ["fail"]),
        ([rule(900), rule(None, "authenticate-cognito")], ["pass", "fail"]),
        ([{"Actions": [{"Type": "authenticate-oidc"}]}], ["fail"]),
    ],
)
def test_every_rule_that_logs_people_in_is_judged_by_its_timeout(
    rules: list[Mapping[str, Any]], found: list[str]
) -> None:
    assert [finding.kind for finding in judge_rules("arn:listener", rules, WANTED)] == found


def test_a_rule_that_does_not_say_keeps_people_for_seven_days() -> None:
    (finding,) = judge_rules("arn:listener", [rule(None)], WANTED)

    assert finding.observed == "authenticate-oidc, SessionTimeout 7 days, by default"


def cookie(*attributes: str, name: str = "session") -> Cookie:
    pairs = [attribute.partition("=") for attribute in attributes]
    return Cookie(name=name, attributes=tuple((key.lower(), value) for key, _, value in pairs))


def page(*cookies: Cookie, status: int = 200) -> HttpAnswer:
    return HttpAnswer(url=f"https://{HOST}/login", address="192.0.2.7:443", status=status, cookies=cookies)


SAFE = ("Secure", "HttpOnly", "SameSite=Lax")


@pytest.mark.parametrize(
    ("cookies", "found"),
    [
        ([cookie(*SAFE)], [WARNING]),
        ([cookie(*SAFE, "Max-Age=3600")], [WARNING]),
        ([cookie(*SAFE, "Max-Age=43201")], [FAIL]),
        ([cookie(*SAFE, "Expires=Tue, 02 Jun 2026 12:00:00 GMT")], [FAIL]),
        ([cookie("HttpOnly", "SameSite=Lax")], [FAIL]),
        ([cookie("Secure", "SameSite=Lax")], [FAIL]),
        ([cookie("Secure", "HttpOnly")], [WARNING]),
        ([cookie("Secure", "HttpOnly", "SameSite=None")], [WARNING]),
        ([cookie("Max-Age=0")], [WARNING]),
        ([cookie("Max-Age=-1"), cookie(*SAFE)], [WARNING]),
        ([cookie(*SAFE), cookie(name="csrf")], [WARNING]),
        ([cookie(name="x")], [FAIL]),
        ([cookie(name="connect.sid")], [FAIL]),
        ([cookie(name="inside"), cookie(*SAFE)], [WARNING]),
        ([], [WARNING]),
    ],
)
def test_a_login_page_fails_by_its_session_cookies_and_never_passes(
    cookies: list[Cookie], found: list[FindingStatus]
) -> None:
    assert statuses(judge_login("shop", "/login", page(*cookies), NOW, WANTED)) == found


@pytest.mark.parametrize(("status", "found"), [(302, FAIL), (401, FAIL), (404, ERROR), (500, ERROR)])
def test_a_login_page_that_is_not_there_is_an_error_and_a_redirect_may_set_the_cookie(
    status: int, found: FindingStatus
) -> None:
    assert statuses(judge_login("shop", "/login", page(cookie(), status=status), NOW, WANTED)) == [found]


def test_a_cookie_has_every_fault_in_one_finding() -> None:
    (finding,) = judge_login("shop", "/login", page(cookie("Max-Age=604800")), NOW, WANTED)

    assert (finding.subject, finding.observed) == (
        "shop /login, cookie session",
        "no Secure, no HttpOnly, lives 7 days",
    )


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ((), None),
        (("Max-Age=60",), 60),
        (("Max-Age=60", "Max-Age=70"), 70),
        (("Max-Age=60", "Expires=Tue, 02 Jun 2026 12:00:00 GMT"), 60),
        (("Max-Age=soon", "Expires=Tue, 02 Jun 2026 12:00:00 GMT"), DAY),
        (("Expires=Tue, 02-Jun-2026 12:00:00 GMT",), DAY),
        (("Expires=Thu, 01 Jan 1970 00:00:00 GMT",), int(-NOW.timestamp())),
        (("Expires=yesterday",), None),
        (("Expires=",), None),
        (("Expires=Tue, 99 Xxx 99999 99:99:99 GMT",), None),
        (("Max-Age=٣٦٠٠",), None),
        (("Max-Age=" + "9" * 400,), None),
        (("Max-Age=1e9",), None),
    ],
)
def test_the_lifetime_of_a_cookie_is_read_as_browsers_read_it(
    attributes: tuple[str, ...], expected: int | None
) -> None:
    assert lifetime_s(cookie(*attributes), NOW) == expected


@given(st.text(max_size=60))
def test_whatever_a_server_says_of_expiry_is_read_or_ignored(said: str) -> None:
    lifetime = lifetime_s(Cookie(name="s", attributes=(("expires", said), ("max-age", said))), NOW)

    assert lifetime is None or isinstance(lifetime, int)


# On Keycloak


def of(*providers: IdentityProvider, endpoints: tuple[Endpoint, ...] = ()) -> Environment:
    return Environment(service="shop", name="production", stage="production", identity=providers, endpoints=endpoints)


@pytest.mark.proof("pass")
def test_a_realm_whose_sessions_end_in_ten_hours_passes(keycloak_server: Keycloak) -> None:
    realm = keycloak_server.realm(ssoSessionMaxLifespan=10 * HOUR, ssoSessionIdleTimeout=1800)

    result = audit_item(ITEM, of(realm.provider()))

    assert result.status is Status.PASS, result.reason
    assert [finding.subject for finding in result.of_status(PASS)] == [f"keycloak: realm {realm.name}"]


@pytest.mark.proof("fail")
def test_a_realm_whose_sessions_last_a_month_fails_and_passes_once_it_is_mended(keycloak_server: Keycloak) -> None:
    realm = keycloak_server.realm(ssoSessionMaxLifespan=2592000)

    result = audit_item(ITEM, of(realm.provider()))
    realm.set(ssoSessionMaxLifespan=12 * HOUR)
    mended = audit_item(ITEM, of(realm.provider()))

    assert result.status is Status.FAIL
    assert "ssoSessionMaxLifespan 30 days" in result.of_status(FAIL)[0].observed
    assert mended.status is Status.PASS


def test_a_realm_that_remembers_people_for_weeks_fails(keycloak_server: Keycloak) -> None:
    realm = keycloak_server.realm(rememberMe=True, ssoSessionMaxLifespanRememberMe=21 * DAY)

    result = audit_item(ITEM, of(realm.provider()))

    assert "ssoSessionMaxLifespanRememberMe 21 days" in result.of_status(FAIL)[0].observed


@pytest.mark.proof("error")
def test_a_client_that_may_not_read_the_realm_is_an_error(keycloak_server: Keycloak) -> None:
    realm = keycloak_server.realm()
    realm.reader("half", ("view-users",))

    result = audit_item(ITEM, of(realm.provider(admin="half")))

    assert result.status is Status.ERROR
    assert "view-realm" in result.reason + result.next_step


@pytest.mark.proof("error")
@pytest.mark.parametrize("says", [Says(500, b"<html>oops</html>"), Says(200, b"<html>welcome</html>"), Says(200, [])])
def test_a_provider_that_answers_nonsense_is_an_error(says: Says) -> None:
    with saying_paths() as server:
        server.answer("/realms/shop/protocol/openid-connect/token", says)
        provider = IdentityProvider(
            name="keycloak",
            type="keycloak",
            issuer=f"{server.address}/realms/shop",
            realm="shop",
            admin_client_id="audit",
            admin_client_secret="of-the-test-world",
        )

        result = audit_item(ITEM, of(provider))

    assert result.status is Status.ERROR
    assert "of-the-test-world" not in result.reason + result.next_step


@pytest.mark.proof("inconclusive")
def test_a_plain_openid_provider_is_inconclusive() -> None:
    result = audit_item(ITEM, of(IdentityProvider(name="login", type="oidc", issuer="https://login.test")))

    assert result.status is Status.INCONCLUSIVE


# On an emulated AWS


def listening(cloud: Cloud, timeout: int | None) -> str:
    """The ARN of an HTTPS listener that logs people in."""
    elb = cloud.client("elbv2")
    network = cloud.network()
    balancer = cloud.balancer(network)
    shown = cloud.client("acm").request_certificate(DomainName="orders.test")["CertificateArn"]
    settings: dict[str, Any] = {
        "Issuer": "https://login.test",
        "AuthorizationEndpoint": "https://login.test/authorize",
        "TokenEndpoint": "https://login.test/token",
        "UserInfoEndpoint": "https://login.test/userinfo",
        "ClientId": "shop",
        "ClientSecret": "planted-9f8e7d6c5b4a",
        **({} if timeout is None else {"SessionTimeout": timeout}),
    }
    target = elb.create_target_group(Name="orders", Protocol="HTTP", Port=80, VpcId=network.vpc)["TargetGroups"][0]
    arn: str = elb.create_listener(
        LoadBalancerArn=balancer,
        Protocol="HTTPS",
        Port=443,
        Certificates=[{"CertificateArn": shown}],
        DefaultActions=[
            {"Type": "authenticate-oidc", "Order": 1, "AuthenticateOidcConfig": settings},
            {"Type": "forward", "Order": 2, "TargetGroupArn": target["TargetGroupArn"]},
        ],
    )["Listeners"][0]["ListenerArn"]
    return arn


@pytest.mark.proof("pass")
def test_a_load_balancer_that_forgets_people_after_half_an_hour_passes(cloud: Cloud) -> None:
    listener = listening(cloud, 1800)

    result = audit_item(ITEM, cloud.environment(), environ=cloud.environ)

    assert result.status is Status.PASS, result.reason
    assert [finding.subject for finding in result.findings] == [f"{listener} rule default"]
    assert "planted" not in str(result)


@pytest.mark.proof("fail")
def test_a_load_balancer_with_the_default_of_seven_days_fails(cloud: Cloud) -> None:
    listener = listening(cloud, None)

    result = audit_item(ITEM, cloud.environment(), environ=cloud.environ)

    assert [finding.subject for finding in result.of_status(FAIL)] == [f"{listener} rule default"]


@pytest.mark.proof("inconclusive")
def test_a_load_balancer_without_an_idle_limit_waits_for_a_word(cloud: Cloud) -> None:
    listening(cloud, HOUR)

    result = audit_item(ITEM, cloud.environment(), environ=cloud.environ)

    assert result.status is Status.INCONCLUSIVE
    assert settled_by_a_word(result)


def test_a_load_balancer_in_time_hides_no_openid_provider_that_tells_nothing(cloud: Cloud) -> None:
    listener = listening(cloud, 1800)
    login = IdentityProvider(name="login", type="oidc", issuer="https://login.test")

    result = audit_item(ITEM, cloud.environment(identity=(login,)), environ=cloud.environ)

    assert result.status is Status.INCONCLUSIVE
    assert [finding.subject for finding in result.of_status(PASS)] == [f"{listener} rule default"]
    assert settled_by_a_word(result)


@pytest.mark.proof("inconclusive")
def test_an_account_whose_load_balancers_log_nobody_in_is_inconclusive(cloud: Cloud) -> None:
    cloud.balancer(cloud.network())

    assert audit_item(ITEM, cloud.environment(), environ=cloud.environ).status is Status.INCONCLUSIVE


@pytest.mark.proof("error")
def test_denied_rules_are_an_error_that_names_the_permission(cloud: Cloud) -> None:
    listening(cloud, 1800)
    cloud.allow_only("elasticloadbalancing:DescribeLoadBalancers", "elasticloadbalancing:DescribeListeners")

    result = audit_item(ITEM, cloud.environment(), environ=cloud.environ)

    assert result.status is Status.ERROR
    assert "elasticloadbalancing:DescribeRules" in result.reason + result.next_step


# Login pages, on real servers


def login(names: Names, said: bytes) -> ItemResult:
    pages = {"/login": said}
    with serve(site(pages), tls=names.context(HOST)) as secure, closed_port() as plain:
        shop = endpoint_at(secure, plain, host=HOST, name="shop", login_path="/login")
        return audit_item(ITEM, of(endpoints=(shop,)))


@pytest.mark.proof("fail")
def test_a_session_cookie_that_scripts_may_read_for_a_month_fails(names: Names) -> None:
    result = login(names, answer(200, "log in", ("Set-Cookie", "sid=planted-9f8e7d6c5b4a; Max-Age=2592000; Secure")))

    (finding,) = result.of_status(FAIL)
    assert (finding.subject, finding.grade) == ("shop /login, cookie sid", Grade.LIVE)
    assert finding.observed == "no HttpOnly, lives 30 days"
    assert "planted" not in str(result)


@pytest.mark.proof("inconclusive")
def test_a_good_cookie_alone_is_inconclusive(names: Names) -> None:
    ends = (datetime.now(UTC) + timedelta(hours=1)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    said = answer(
        302, "", ("Set-Cookie", f"sid=x; Expires={ends}; Secure; HttpOnly; SameSite=Lax"), ("Location", "/in")
    )

    assert login(names, said).status is Status.INCONCLUSIVE


@pytest.mark.proof("error")
def test_a_login_page_that_is_missing_is_an_error(names: Names) -> None:
    result = login(names, answer(404, "not here"))

    assert result.status is Status.ERROR
    assert "login page answered 404" in result.reason


def test_an_endpoint_without_a_login_page_is_not_asked() -> None:
    nowhere = Endpoint(name="api", url="https://nowhere.invalid", host="nowhere.invalid", port=443)

    assert audit_item(ITEM, of(endpoints=(nowhere,))).status is Status.INCONCLUSIVE
