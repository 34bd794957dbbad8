"""Plain HTTP gets nothing, HTTPS answers, and browsers are told to stay there."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quub_audit.checks.security.network.https_enforced import (
    HttpsParameters,
    endpoint,
    hsts_problems,
    judge_distribution,
    judge_hsts,
    judge_plain,
    judge_protocol,
    judge_rules,
    judge_secure,
    leads_to_https,
    plain_faults,
    read_hsts,
    temporary_redirects,
    upgrade_faults,
)
from quub_audit.facts.http import Burst, Cookie
from quub_audit.facts.tls import TlsScan
from quub_audit.model.environment import Endpoint, Environment, Region
from quub_audit.model.finding import Finding
from quub_audit.model.result import ItemResult
from quub_audit.model.status import FindingStatus, Grade, Status
from quub_audit.sdk import HttpAnswer, Listener, LoadBalancer, Reach, endpoint_addresses
from quub_audit.testing import audit_item
from tests.worlds.cloud import Cloud
from tests.worlds.web import (
    Names,
    Script,
    Server,
    Visit,
    answer,
    closed_port,
    endpoint_at,
    find_nginx,
    free_port,
    nginx,
    saying,
    serve,
    silent_port,
    site,
)

ITEM = "security.network.https-enforced"
WANTED = HttpsParameters()
PASS, FAIL, ERROR, WARNING = (
    FindingStatus.PASS,
    FindingStatus.FAIL,
    FindingStatus.ERROR,
    FindingStatus.WARNING,
)
HOST = "api.shop.test"
YEAR = "max-age=31536000; includeSubDomains"
HSTS = ("Strict-Transport-Security", YEAR)
TO_HTTPS = ("Location", f"https://{HOST}/")


def said(status: int, cookies: Sequence[str] = (), **headers: str) -> HttpAnswer:
    """An answer as the connector gives it; an underscore in a header's name stands for a hyphen."""
    return HttpAnswer(
        url=f"http://{HOST}/",
        address="192.0.2.7:80",
        status=status,
        headers=tuple((name.replace("_", "-"), value) for name, value in headers.items()),
        cookies=tuple(Cookie(name=name) for name in cookies),
    )


# What plain HTTP gives away


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        (Reach.REFUSED, ""),
        (Reach.FILTERED, ""),
        (Reach.OPEN, ""),
        (said(403), ""),
        (said(426), ""),
        (said(404), ""),
        (said(500), ""),
        (said(301, location=f"https://{HOST}/"), ""),
        (said(302, location=f"https://{HOST}/"), ""),
        (said(200), "/ answers 200 with content"),
        (said(204), "/ answers 204 with content"),
        (said(206), "/ answers 206 with content"),
        (said(101), "/ answers 101 with content"),
        (said(401), "/ answers 401: it wants credentials in plain text"),
        (said(407), "/ answers 407: it wants credentials in plain text"),
        (said(301, location="http://api.shop.test/"), "/ redirects to http://api.shop.test/"),
        (said(308, location="/login"), "/ redirects to /login"),
        (said(301, location="https://other.test/"), "/ redirects to https://other.test/"),
        (said(301), "/ redirects to nowhere"),
        (said(403, ["sid"]), "/ sets the cookie sid before TLS"),
        (said(301, ["sid", "theme"], location=f"https://{HOST}/"), "/ sets the cookie sid, theme before TLS"),
    ],
)
def test_plain_http_may_refuse_fail_or_lead_to_https_and_nothing_else(given: HttpAnswer | Reach, fault: str) -> None:
    assert plain_faults("/", given, HOST) == ([fault] if fault else [])


def test_a_cookie_and_content_are_two_faults() -> None:
    assert len(plain_faults("/", said(200, ["sid"]), HOST)) == 2


def test_challenges_of_certificate_authorities_may_be_answered_in_plain_text() -> None:
    assert not plain_faults("/.well-known/acme-challenge/token", said(200), HOST)
    assert plain_faults("/.well-known/other", said(200), HOST)


def test_a_websocket_that_opens_without_tls_is_a_fault() -> None:
    assert upgrade_faults("/ws", said(101)) == ["/ws opens a WebSocket (101) without TLS"]
    assert not upgrade_faults("/ws", said(426))
    assert not upgrade_faults("/ws", said(200))  # told by the request without an upgrade
    assert not upgrade_faults("/ws", Reach.OPEN)


@pytest.mark.parametrize(
    ("location", "host", "leads"),
    [
        ("https://api.shop.test/", HOST, True),
        ("https://api.shop.test", HOST, True),
        ("HTTPS://API.shop.test.:443/x?y#z", HOST, True),
        (" https://api.shop.test?x ", HOST, True),
        ("https://user@api.shop.test/", HOST, True),
        ("https://api.shop.test:8443/", HOST, True),
        ("https://[2001:DB8::7]:8443/", "2001:db8::7", True),
        ("https://xn--bcher-kva.test/", "b\u00fccher.test", True),
        ("https://b\u00fccher.test/", "xn--bcher-kva.test", True),
        ("http://api.shop.test/", HOST, False),
        ("//api.shop.test/", HOST, False),
        ("/", HOST, False),
        ("", HOST, False),
        ("https:///", HOST, False),
        ("https:/api.shop.test/", HOST, False),
        ("https://www.api.shop.test/", HOST, False),
        ("https://api.shop.test.evil.test/", HOST, False),
        ("https://api.shop.test@evil.test/", HOST, False),
        ("https://evil.test/https://api.shop.test/", HOST, False),
        ("https://evil.test\\@api.shop.test/", HOST, False),
        ("https://evil.test#@api.shop.test/", HOST, False),
        ("https://api.shop.test:x/", HOST, False),
        ("javascript:https://api.shop.test/", HOST, False),
        ("https://" + "\u00fc" * 70 + ".test/", HOST, False),
    ],
)
def test_a_redirect_must_lead_to_https_on_the_same_host(location: str, host: str, leads: bool) -> None:
    assert leads_to_https(location, host) is leads


@given(st.text(max_size=60))
def test_no_location_but_one_with_the_name_in_it_leads_there(location: str) -> None:
    assert not leads_to_https(location, HOST) or HOST in location.lower()


# What HTTPS answers


def secure_of(*statuses: int) -> dict[str, HttpAnswer]:
    return {f"/{number}": said(status) for number, status in enumerate(statuses)}


@pytest.mark.parametrize(
    ("statuses", "found"),
    [
        ([200], []),
        ([500, 404], []),
        ([301], []),
        ([500], [ERROR]),
        ([502, 503], [ERROR]),
        ([], [ERROR]),
        ([101], [ERROR]),
    ],
)
def test_nothing_was_tested_unless_https_answered_once(statuses: list[int], found: list[FindingStatus]) -> None:
    findings = list(judge_secure("api", "h at a", secure_of(*statuses)))

    assert [finding.status for finding in findings] == found
    assert all("nothing was tested" in finding.message for finding in findings)


def test_https_must_not_lead_back_to_http() -> None:
    findings = list(judge_secure("api", "h at a", {"/": said(302, location="HTTP://api.shop.test/login")}))

    assert [(finding.status, finding.observed) for finding in findings] == [
        (FAIL, "HTTPS of h at a redirects / to HTTP://api.shop.test/login")
    ]


def plainly(
    plain: Mapping[str, HttpAnswer | Reach], secure: Mapping[str, HttpAnswer], *, is_api: bool = False
) -> list[Finding]:
    return list(judge_plain("api", "h at a", plain, secure, is_api=is_api))


@pytest.mark.parametrize(
    ("plain", "secure", "found"),
    [
        ([Reach.REFUSED], [200], [PASS]),
        ([Reach.FILTERED], [200], [PASS]),
        ([Reach.REFUSED], [500], []),  # told by judge_secure
        ([Reach.OPEN], [200], [ERROR]),
        ([said(403)], [200], [PASS]),
        ([said(426)], [404], [PASS]),
        ([said(301)], [200], [PASS]),
        ([said(302)], [200], [WARNING, PASS]),
        ([said(400)], [200], [PASS]),
        ([said(404)], [404], [ERROR]),
        ([said(400)], [400], [ERROR]),
        ([said(404), said(301)], [404, 200], [PASS]),
        ([said(503)], [200], [ERROR]),
        ([said(301), said(500)], [200, 200], [ERROR]),
        ([said(304)], [200], [ERROR]),
    ],
)
def test_plain_answers_pass_only_where_they_show_that_content_is_kept_back(
    plain: list[HttpAnswer | Reach], secure: list[int], found: list[FindingStatus]
) -> None:
    findings = plainly({f"/{number}": each for number, each in enumerate(plain)}, secure_of(*secure))

    assert [finding.status for finding in findings] == found


def test_an_api_that_redirects_is_warned_of_and_one_that_refuses_is_not() -> None:
    redirecting = plainly({"/": said(301)}, {"/": said(200)}, is_api=True)
    refusing = plainly({"/": said(403)}, {"/": said(200)}, is_api=True)

    assert [finding.status for finding in redirecting] == [WARNING, PASS]
    assert "first request was readable" in redirecting[0].observed
    assert [finding.status for finding in refusing] == [PASS]


def test_a_closed_port_says_from_where_it_was_seen() -> None:
    assert "refused, seen from where the audit runs" in plainly({"/": Reach.REFUSED}, {"/": said(200)})[0].observed


def test_no_plain_answer_is_no_pass() -> None:
    with pytest.raises(ValueError, match="no path was asked"):
        plainly({}, {"/": said(200)})


# What browsers are told


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("max-age=1", (1, False, False)),
        ("MAX-AGE=31536000; IncludeSubDomains; Preload", (31_536_000, True, True)),
        ('includeSubDomains;max-age="600"', (600, True, False)),
        (" max-age = 600 ; ; unknown=x", (600, False, False)),
        ("max-age=0", (0, False, False)),
        ("", None),
        ("includeSubDomains", None),
        ("max-age", None),
        ("max-age=", None),
        ("max-age=-1", None),
        ("max-age=1e9", None),
        ("max-age=31536000 includeSubDomains", None),
        ("max-age=1, includeSubDomains", None),
        ("max-age=1; max-age=31536000", None),
        ("max-age=\u0661", None),
        ("max-age=" + "9" * 400, None),
    ],
)
def test_hsts_is_read_as_browsers_read_it(value: str, read: tuple[int, bool, bool] | None) -> None:
    found = read_hsts(value)

    assert (found and (found.max_age_s, found.covers_subdomains, found.asks_preload)) == read


@pytest.mark.parametrize(
    ("value", "wanted", "problems"),
    [
        (YEAR, WANTED, []),
        ("max-age=63072000; includeSubDomains; preload", WANTED, []),
        ("max-age=31535999; includeSubDomains", WANTED, ["has max-age=31535999"]),
        ("max-age=0", WANTED, ["has max-age=0", "has no includeSubDomains"]),
        ("max-age=31536000", HttpsParameters(include_subdomains=False), []),
        (YEAR, HttpsParameters(preload=True), ["has no preload"]),
        ("max-age=600", HttpsParameters(hsts_min_age=600, include_subdomains=False), []),
        (None, WANTED, ["has no Strict-Transport-Security"]),
        ("nonsense", WANTED, ["has a Strict-Transport-Security that browsers ignore: nonsense"]),
    ],
)
def test_hsts_must_last_a_year_and_cover_subdomains(
    value: str | None, wanted: HttpsParameters, problems: list[str]
) -> None:
    assert hsts_problems(value, wanted) == problems


def told(
    secure: Mapping[str, HttpAnswer], *, distrust: Sequence[str] = (), wanted: HttpsParameters = WANTED
) -> list[tuple[FindingStatus, str]]:
    findings = judge_hsts("www", "h at a", secure, distrust, wanted)
    return [(finding.status, finding.observed) for finding in findings]


def strict(status: int, *values: str) -> HttpAnswer:
    return replace(said(status), headers=tuple(("strict-transport-security", value) for value in values))


def test_every_good_answer_must_carry_hsts() -> None:
    assert told({"/": strict(200, YEAR), "/a": strict(301, YEAR)})[0][0] is PASS
    assert told({"/": strict(200, YEAR), "/a": strict(200)}) == [(FAIL, "h at a: /a has no Strict-Transport-Security")]


def test_errors_are_judged_only_where_nothing_better_came() -> None:
    assert told({"/": strict(200, YEAR), "/health": strict(404)})[0][0] is PASS
    assert told({"/": strict(404)})[0][0] is FAIL
    assert told({"/": strict(404, YEAR), "/b": strict(500)})[0][0] is PASS
    assert told({"/": strict(500, YEAR)}) == []


def test_of_several_headers_the_first_counts_and_that_is_told() -> None:
    good_first = told({"/": strict(200, YEAR, "max-age=0")})
    bad_first = told({"/": strict(200, "max-age=0", YEAR)})

    assert [status for status, _ in good_first] == [WARNING, PASS]
    assert [status for status, _ in bad_first] == [WARNING, FAIL]


def test_hsts_is_worth_nothing_with_a_certificate_that_browsers_refuse() -> None:
    assert told({"/": strict(200, YEAR)}, distrust=["certificate has expired"]) == [
        (FAIL, "h at a: browsers ignore Strict-Transport-Security here: certificate has expired")
    ]


# What stands in AWS


def listening(protocol: str, port: int = 443, *, kind: str = "application", arn: str = "arn:listener") -> Listener:
    balancer = LoadBalancer(
        region=Region(account="prod", name="eu-central-1"),
        arn="arn:balancer",
        name="front",
        type=kind,  # type: ignore[arg-type]
        is_public=True,
    )
    return Listener(balancer=balancer, arn=arn, protocol=protocol, port=port)


@pytest.mark.parametrize(
    ("listener", "kind"),
    [
        (listening("HTTPS"), "pass"),
        (listening("TLS", kind="network"), "pass"),
        (listening("SSL", kind="classic", arn=""), "pass"),
        (listening("HTTP", 80, kind="classic", arn=""), "fail"),
        (listening("TCP", 80, kind="network"), "undecided"),
        (listening("TCP_UDP", 80, kind="network"), "undecided"),
        (listening("TCP", 5432, kind="network"), None),
        (listening("UDP", 80, kind="network"), None),
    ],
)
def test_listeners_are_judged_by_their_protocol(listener: Listener, kind: str | None) -> None:
    finding = judge_protocol(listener, is_tried=False)

    assert (finding and finding.kind) == kind


def test_what_a_listener_hands_through_is_told_where_a_declared_endpoint_is_tried() -> None:
    finding = judge_protocol(listening("TCP", 80, kind="network"), is_tried=True)

    assert finding is not None
    assert finding.kind == "warning"


def rule(*actions: Mapping[str, Any], priority: str = "default", paths: Sequence[str] = ()) -> Mapping[str, Any]:
    conditions = [{"Field": "path-pattern", "PathPatternConfig": {"Values": list(paths)}}] if paths else []
    return {"Priority": priority, "Conditions": conditions, "Actions": list(actions)}


def redirect(**to: str) -> Mapping[str, Any]:
    return {"Type": "redirect", "RedirectConfig": {"Protocol": "HTTPS", "Host": "#{host}", "Port": "443", **to}}


def fixed(status: str) -> Mapping[str, Any]:
    return {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": status}}


FORWARD = {"Type": "forward", "TargetGroupArn": "arn:target"}
ACME = "/.well-known/acme-challenge/*"


@pytest.mark.parametrize(
    ("rules", "fault"),
    [
        ([rule(redirect())], ""),
        ([rule({"Type": "redirect", "RedirectConfig": {"Protocol": "https"}})], ""),
        ([rule(fixed("403"))], ""),
        ([rule(fixed("503"))], ""),
        ([rule(redirect()), rule(FORWARD, priority="1", paths=[ACME])], ""),
        ([rule(redirect()), rule(FORWARD, priority="1")], "rule 1 has the action forward"),
        ([rule(redirect()), rule(FORWARD, priority="7", paths=["/api/*"])], "rule 7 has the action forward"),
        ([rule(redirect()), rule(FORWARD, priority="7", paths=[ACME, "/*"])], "rule 7 has the action forward"),
        ([rule(FORWARD)], "rule default has the action forward"),
        ([rule(redirect(Protocol="HTTP"))], "rule default redirects to HTTP"),
        ([rule(redirect(Protocol="#{protocol}"))], "rule default redirects to #{protocol}"),
        ([rule({"Type": "redirect", "RedirectConfig": {"Port": "443"}})], "rule default redirects to #{protocol}"),
        ([rule(redirect(Host="other.test"))], "rule default redirects to another host, other.test"),
        ([rule(fixed("200"))], "rule default answers 200"),
        ([rule(fixed("302"))], "rule default answers 302"),
        ([rule({"Type": "fixed-response"})], "rule default answers an unknown status"),
        ([rule({"Type": "authenticate-oidc"}, FORWARD)], "authenticate-oidc"),
        ([rule({"Type": "something-new"})], "rule default has the action something-new"),
        ([rule({})], "rule default has the action None"),
        ([rule()], "rule default has no action"),
    ],
)
def test_every_rule_of_an_http_listener_redirects_to_https_or_refuses(
    rules: list[Mapping[str, Any]], fault: str
) -> None:
    finding = judge_rules("arn:listener", 80, rules)

    assert finding.status is (FAIL if fault else PASS)
    assert fault in finding.observed


def test_temporary_redirects_of_a_listener_are_warned_of() -> None:
    rules = [rule(redirect(StatusCode="HTTP_302")), rule(redirect(StatusCode="HTTP_301"), priority="1")]

    assert [(finding.status, finding.observed) for finding in temporary_redirects("arn:listener", 80, rules)] == [
        (WARNING, "HTTP:80 rule default redirects with 302")
    ]
    assert not list(temporary_redirects("arn:listener", 80, rules[1:]))
    assert judge_rules("arn:listener", 80, rules).status is PASS


def test_a_listener_without_rules_is_no_pass() -> None:
    with pytest.raises(ValueError, match="no rule"):
        judge_rules("arn:listener", 80, [])


@given(st.lists(st.sampled_from([rule(redirect()), rule(fixed("403")), rule(FORWARD, paths=[ACME])]), max_size=5))
def test_one_forwarding_rule_fails_a_listener_whatever_else_it_has(rules: list[Mapping[str, Any]]) -> None:
    assert judge_rules("arn:listener", 80, [*rules, rule(FORWARD)]).status is FAIL


def distributed(
    policy: str = "redirect-to-https", others: Sequence[str] = (), origins: Sequence[str | None] = ("https-only",)
) -> Mapping[str, Any]:
    """None for an origin in S3, which has no protocol policy."""
    return {
        "DefaultCacheBehavior": {"ViewerProtocolPolicy": policy},
        "CacheBehaviors": {"Items": [{"PathPattern": "/a/*", "ViewerProtocolPolicy": other} for other in others]},
        "Origins": {
            "Items": [
                {"Id": "o", **({"CustomOriginConfig": {"OriginProtocolPolicy": origin}} if origin else {})}
                for origin in origins
            ]
        },
    }


@pytest.mark.parametrize(
    ("summary", "fault"),
    [
        (distributed(), ""),
        (distributed("https-only", ["https-only"], [None]), ""),
        (distributed("allow-all"), "the default behaviour has the viewer policy allow-all"),
        (distributed(others=["allow-all"]), "behaviour /a/* has the viewer policy allow-all"),
        (distributed(origins=["https-only", "http-only"]), "origin o is fetched by http-only"),
        (distributed(origins=["match-viewer"]), "origin o is fetched by match-viewer"),
        ({"DefaultCacheBehavior": {"TargetOriginId": "o"}}, "viewer policy None"),
    ],
)
def test_distributions_serve_and_fetch_over_https_alone(summary: Mapping[str, Any], fault: str) -> None:
    finding = judge_distribution("arn:distribution", summary)

    assert finding.status is (FAIL if fault else PASS)
    assert fault in finding.observed


def test_a_distribution_without_a_default_behaviour_is_no_pass() -> None:
    with pytest.raises(ValueError, match="no default behaviour"):
        judge_distribution("arn:distribution", {})


# On real servers


def environment_of(*endpoints: Endpoint) -> Environment:
    return Environment(service="shop", name="production", stage="production", endpoints=endpoints)


def audit(*endpoints: Endpoint, **more: Any) -> ItemResult:
    return audit_item(ITEM, environment_of(*endpoints), **more)


@pytest.fixture
def secure(names: Names) -> Iterator[Server]:
    """HTTPS as it should be."""
    with serve(saying(answer(200, "{}", HSTS)), tls=names.context(HOST)) as server:
        yield server


@pytest.mark.proof("pass")
def test_an_endpoint_whose_port_80_is_closed_and_whose_https_answers_passes(secure: Server) -> None:
    with closed_port() as plain:
        result = audit(endpoint_at(secure, plain))

    assert result.status is Status.PASS
    assert [(finding.subject, finding.grade) for finding in result.findings] == [("api", Grade.LIVE)]
    assert f"port 80 of {HOST} at {secure.place} is refused" in result.findings[0].observed


@pytest.mark.proof("fail")
def test_an_endpoint_that_serves_a_declared_path_in_plain_text_fails_by_its_name(secure: Server) -> None:
    pages = {"/": answer(301, "", TO_HTTPS), "/v1/orders": answer(200, '[{"order": 1}]')}
    with serve(site(pages, otherwise=answer(403))) as plain, closed_port() as closed:
        result = audit(
            endpoint_at(secure, plain, name="orders", paths=("/v1/orders",)),
            endpoint_at(secure, closed, name="payments"),
        )

    assert result.status is Status.FAIL
    assert [finding.subject for finding in result.of_status(PASS)] == ["payments"]
    assert [(finding.subject, finding.observed) for finding in result.of_status(FAIL)] == [
        ("orders", f"plain HTTP of {HOST} at {secure.place}: /v1/orders answers 200 with content")
    ]


@pytest.mark.proof("inconclusive")
def test_an_environment_without_endpoints_and_an_empty_account_are_inconclusive(cloud: Cloud) -> None:
    assert audit().status is Status.INCONCLUSIVE
    result = audit_item(ITEM, replace(cloud.environment(), quub=None), environ=cloud.environ)
    assert (result.status, result.findings) == (Status.INCONCLUSIVE, ())


@pytest.mark.proof("error")
def test_an_endpoint_that_cannot_be_reached_and_a_name_that_does_not_resolve_are_errors(secure: Server) -> None:
    with closed_port() as plain, closed_port() as down:
        result = audit(
            endpoint_at(down, plain, name="down"),
            endpoint_at("", plain, name="unnamed", host="no-such-host.invalid"),
            endpoint_at(secure, plain, name="up"),
        )

    assert result.status is Status.ERROR
    assert [finding.subject for finding in result.of_status(PASS)] == ["up"]
    messages = {finding.subject: finding.message for finding in result.of_status(ERROR)}
    assert f"{down} refuses connections" in messages["down"]
    assert any("does not resolve" in message for message in messages.values())


def test_a_closed_port_80_passes_nothing_while_https_answers_only_errors(names: Names) -> None:
    with serve(saying(answer(500)), tls=names.context(HOST)) as broken, closed_port() as plain:
        result = audit(endpoint_at(broken, plain))

    assert result.status is Status.ERROR
    assert "nothing was tested" in result.findings[0].message


def test_what_is_wrong_with_plain_http_is_told_even_where_https_is_down() -> None:
    with serve(saying(answer(200, "orders"))) as plain, closed_port() as down:
        result = audit(endpoint_at(down, plain))

    assert result.status is Status.FAIL
    assert result.of_status(ERROR)


def test_a_port_80_that_answers_no_attempt_passes_as_filtered(secure: Server) -> None:
    with silent_port() as plain:
        result = audit(endpoint_at(secure, plain))

    assert result.status is Status.PASS
    assert "is filtered, seen from where the audit runs" in result.findings[0].observed


def opens_websockets(visit: Visit) -> None:
    is_asked = b"upgrade: websocket" in visit.head.lower()
    said = answer(101, "", ("Upgrade", "websocket"), ("Connection", "Upgrade")) if is_asked else answer(426)
    visit.socket.sendall(said)


def opens_websockets_and_says_nothing_else(visit: Visit) -> None:
    if b"upgrade: websocket" in visit.head.lower():
        opens_websockets(visit)


@pytest.mark.parametrize(
    ("script", "fault"),
    [
        (saying(answer(301, "", ("Location", f"http://{HOST}/x"))), f"/ redirects to http://{HOST}/x"),
        (saying(answer(301, "", ("Location", "https://login.test/"))), "/ redirects to https://login.test/"),
        (saying(answer(301, "", TO_HTTPS, ("Set-Cookie", "sid=of-somebody"))), "/ sets the cookie sid before TLS"),
        (saying(answer(401, "", ("WWW-Authenticate", "Basic"))), "/ answers 401: it wants credentials in plain text"),
        (site({"/health": answer(200, "ok")}, otherwise=answer(403)), "/health answers 200 with content"),
        (opens_websockets, "/ opens a WebSocket (101) without TLS"),
        (opens_websockets_and_says_nothing_else, "/ opens a WebSocket (101) without TLS"),
    ],
)
def test_each_way_to_give_something_away_in_plain_text_fails(secure: Server, script: Script, fault: str) -> None:
    with serve(script) as plain:
        result = audit(endpoint_at(secure, plain))

    assert result.status is Status.FAIL
    assert any(finding.observed.endswith(f": {fault}") for finding in result.of_status(FAIL))
    assert "of-somebody" not in str(result)


@pytest.mark.parametrize(
    ("said", "statuses"),
    [
        (answer(403), [PASS]),
        (answer(426, "", ("Upgrade", "TLS/1.2, HTTP/1.1")), [PASS]),
        (answer(301, "", TO_HTTPS), [WARNING, PASS]),
        (answer(302, "", TO_HTTPS), [WARNING, WARNING, PASS]),
    ],
)
def test_each_way_to_give_nothing_away_passes_and_a_redirect_of_an_api_is_warned_of(
    secure: Server, said: bytes, statuses: list[FindingStatus]
) -> None:
    with serve(saying(said)) as plain:
        result = audit(endpoint_at(secure, plain))

    assert [finding.status for finding in result.findings] == statuses
    assert result.status is Status.PASS


@pytest.mark.parametrize("end", [saying(b"SSH-2.0-OpenSSH\r\n"), Visit.reset, lambda visit: None])
def test_a_port_80_that_takes_connections_and_speaks_no_http_is_an_error(secure: Server, end: Script) -> None:
    with serve(end) as plain:
        result = audit(endpoint_at(secure, plain))

    assert result.status is Status.ERROR
    assert "takes connections but does not answer HTTP" in result.findings[0].message


def test_an_ipv6_address_is_judged_like_any_other(names: Names) -> None:
    context = names.context("::1")
    with (
        serve(saying(answer(200)), tls=context, host="::1") as secure,
        serve(saying(answer(200, "orders")), host="::1") as plain,
        serve(saying(answer(301, "", ("Location", "https://[::1]/"))), host="::1") as redirecting,
    ):
        good = endpoint_at(secure, redirecting, host="::1", url="https://[::1]", name="good")
        result = audit(good, replace(good, name="bad", connect_to_plain=plain.place))

    assert [finding.subject for finding in result.of_status(PASS)] == ["good"]
    assert {finding.subject for finding in result.of_status(FAIL)} == {"bad"}
    assert f"::1 at {secure.place}" in result.of_status(FAIL)[0].observed


class TwoAddresses:
    """A name with an address of either family; at the second one plain HTTP is open."""

    def addresses(self, endpoint: Endpoint) -> tuple[str, ...]:
        return ("192.0.2.7", "2001:db8::7")

    def get(
        self,
        endpoint: Endpoint,
        path: str = "/",
        *,
        address: str = "",
        method: str = "GET",
        is_verified: bool = False,
        origin: str = "",
    ) -> HttpAnswer:
        return said(200)

    def get_plain(
        self, endpoint: Endpoint, path: str = "/", *, address: str = "", is_upgrade: bool = False
    ) -> HttpAnswer | Reach:
        return Reach.REFUSED if address == "192.0.2.7" else said(200)

    def get_keyed(self, quub: object, *, key: object) -> int:
        raise NotImplementedError

    def burst(self, *arguments: object, **more: object) -> Burst:
        raise NotImplementedError


class NoScan:
    """An endpoint of an API is not scanned here."""

    def scan(self, endpoint: Endpoint, *, address: str) -> TlsScan:
        raise NotImplementedError

    def scan_host(self, host: str, port: int, *, connect_to: str = "", ca_file: str = "") -> TlsScan:
        raise NotImplementedError


def test_the_ipv6_address_of_a_name_is_not_forgotten() -> None:
    http = TwoAddresses()
    found = {}
    for subject in endpoint_addresses(endpoint_at("", ""), http):
        findings = endpoint(subject, http, NoScan(), WANTED)
        assert isinstance(findings, Iterator)
        found[subject.address] = {finding.status for finding in findings}

    assert found == {"192.0.2.7": {PASS}, "2001:db8::7": {FAIL}}


# For browsers


def browser(secure: Server, plain: Server | str, names: Names, **fields: Any) -> Endpoint:
    return endpoint_at(secure, plain, name="shop", audience="browser", ca_file=names.ca_file, **fields)


@pytest.fixture
def redirecting() -> Iterator[Server]:
    with serve(saying(answer(301, "", TO_HTTPS))) as server:
        yield server


def test_a_browser_endpoint_that_redirects_and_sends_hsts_passes_without_a_warning(
    secure: Server, redirecting: Server, names: Names
) -> None:
    result = audit(browser(secure, redirecting, names))

    assert [finding.status for finding in result.findings] == [PASS, PASS]
    assert any("Strict-Transport-Security on /" in finding.observed for finding in result.findings)


@pytest.mark.parametrize(
    ("page", "problem"),
    [
        (answer(200), "has no Strict-Transport-Security"),
        (
            answer(200, '<meta http-equiv="Strict-Transport-Security" content="max-age=63072000; includeSubDomains">'),
            "has no Strict-Transport-Security",
        ),
        (answer(200, "", ("Strict-Transport-Security", "max-age=0")), "has max-age=0"),
        (answer(200, "", ("Strict-Transport-Security", "max-age=0"), HSTS), "has max-age=0"),
        (answer(200, "", ("Strict-Transport-Security", "includeSubDomains")), "that browsers ignore"),
    ],
)
def test_a_browser_endpoint_without_lasting_hsts_fails(
    redirecting: Server, names: Names, page: bytes, problem: str
) -> None:
    with serve(saying(page), tls=names.context(HOST)) as secure:
        result = audit(browser(secure, redirecting, names))

    assert result.status is Status.FAIL
    assert [finding.subject for finding in result.of_status(FAIL)] == ["shop"]
    assert problem in result.of_status(FAIL)[0].observed


def test_hsts_over_plain_http_alone_is_worth_nothing(names: Names) -> None:
    with (
        serve(saying(answer(301, "", TO_HTTPS, HSTS))) as plain,
        serve(saying(answer(200)), tls=names.context(HOST)) as secure,
    ):
        result = audit(browser(secure, plain, names))

    assert result.status is Status.FAIL


@pytest.mark.parametrize("change", [{"ca_file": ""}, {"host": "shop.test"}])
def test_hsts_under_a_certificate_that_browsers_refuse_fails(
    secure: Server, names: Names, change: Mapping[str, Any]
) -> None:
    with closed_port() as plain:
        result = audit(replace(browser(secure, plain, names), **change))

    assert result.status is Status.FAIL
    assert "browsers ignore Strict-Transport-Security here" in result.of_status(FAIL)[0].observed


@pytest.mark.skipif(find_nginx() is None, reason="nginx is not installed")
@pytest.mark.parametrize(("redirects", "status"), [(True, Status.PASS), (False, Status.FAIL)])
def test_nginx_passes_when_it_redirects_everything_and_fails_when_one_location_is_left_out(
    names: Names, tmp_path: Path, redirects: bool, status: Status
) -> None:
    chain, key = names.authority.issue(HOST).write(tmp_path, "server")
    (tmp_path / "health").write_text("ok")
    secure, plain = free_port(), free_port()
    hole = "" if redirects else f"location = /health {{ root {tmp_path}; }}"
    servers = f"""
        server {{ listen 127.0.0.1:{plain}; {hole} location / {{ return 301 https://$host$request_uri; }} }}
        server {{
            listen 127.0.0.1:{secure} ssl; ssl_certificate {chain}; ssl_certificate_key {key}; root {tmp_path};
            add_header Strict-Transport-Security "{YEAR}" always;
        }}"""

    with nginx(tmp_path, servers, ports=(secure, plain)):
        endpoint = endpoint_at(f"127.0.0.1:{secure}", f"127.0.0.1:{plain}", audience="browser", ca_file=names.ca_file)
        result = audit(endpoint)

    assert result.status is status
    assert all("/health answers 200" in finding.observed for finding in result.of_status(FAIL))


# On an emulated AWS


@contextlib.contextmanager
def balanced(cloud: Cloud, *, scheme: str = "internet-facing") -> Iterator[Callable[..., str]]:
    """A load balancer; what is yielded adds a listener with a default action and gives its ARN."""
    network = cloud.network(nats=2)
    elb = cloud.client("elbv2")
    balancer = elb.create_load_balancer(Name="front", Subnets=list(network.private), Scheme=scheme)["LoadBalancers"][0]
    target = elb.create_target_group(Name="web", Protocol="HTTP", Port=8080, VpcId=network.vpc)["TargetGroups"][0]

    def listen(action: str, port: int = 80, rules: Sequence[str] = ()) -> str:
        actions: dict[str, dict[str, Any]] = {
            "forward": {"Type": "forward", "TargetGroupArn": target["TargetGroupArn"]},
            "redirect": {
                "Type": "redirect",
                "RedirectConfig": {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"},
            },
        }
        arn: str = elb.create_listener(
            LoadBalancerArn=balancer["LoadBalancerArn"], Protocol="HTTP", Port=port, DefaultActions=[actions[action]]
        )["Listeners"][0]["ListenerArn"]
        for number, path in enumerate(rules, 1):
            elb.create_rule(
                ListenerArn=arn,
                Priority=number,
                Conditions=[{"Field": "path-pattern", "Values": [path]}],
                Actions=[actions["forward"]],
            )
        return arn

    yield listen


def audit_cloud(cloud: Cloud) -> ItemResult:
    return audit_item(ITEM, replace(cloud.environment(), quub=None), environ=cloud.environ)


def test_a_listener_that_redirects_passes_and_one_that_forwards_fails_by_its_arn(cloud: Cloud) -> None:
    with balanced(cloud) as listen:
        redirecting, forwarding = listen("redirect"), listen("forward", 8080)

    result = audit_cloud(cloud)

    assert result.status is Status.FAIL
    assert [finding.subject for finding in result.of_status(PASS)] == [redirecting]
    assert [(finding.subject, finding.observed) for finding in result.of_status(FAIL)] == [
        (forwarding, "HTTP:8080 rule default has the action forward")
    ]


def test_one_forwarding_rule_behind_a_redirect_is_a_hole_and_an_acme_challenge_is_none(cloud: Cloud) -> None:
    with balanced(cloud) as listen:
        open_to_acme = listen("redirect", rules=[ACME])
        with_a_hole = listen("redirect", 8080, rules=["/api/*"])

    result = audit_cloud(cloud)

    assert [finding.subject for finding in result.of_status(PASS)] == [open_to_acme]
    assert [(finding.subject, finding.observed) for finding in result.of_status(FAIL)] == [
        (with_a_hole, "HTTP:8080 rule 1 has the action forward")
    ]


def test_a_port_80_that_is_handed_through_waits_for_the_endpoint_behind_it(cloud: Cloud) -> None:
    with balanced(cloud) as listen:
        listen("redirect", 8080)
    cloud.hand_through("through", 80)
    endpoint = Endpoint(name="api", url="https://api.test", host="api.test", port=443, load_balancer="through")
    environment = replace(cloud.environment(), quub=None)

    alone = audit_item(ITEM, environment, environ=cloud.environ)
    declared = replace(environment, endpoints=(endpoint,))
    tried = audit_item(ITEM, declared, check="listener", environ=cloud.environ)

    assert (alone.status, len(alone.of_status(PASS))) == (Status.INCONCLUSIVE, 1)
    assert "`load_balancer: through`" in alone.reason
    assert tried.status is Status.PASS, tried.reason


def test_an_internal_listener_is_not_judged(cloud: Cloud) -> None:
    with balanced(cloud, scheme="internal") as listen:
        listen("forward")

    assert audit_cloud(cloud).status is Status.INCONCLUSIVE


def test_a_classic_load_balancer_that_forwards_http_fails(cloud: Cloud) -> None:
    cloud.client("elb").create_load_balancer(
        LoadBalancerName="old",
        Listeners=[{"Protocol": "HTTP", "LoadBalancerPort": 80, "InstancePort": 8080}],
        AvailabilityZones=["eu-central-1a"],
    )

    result = audit_cloud(cloud)

    assert [finding.subject for finding in result.of_status(FAIL)] == ["old:80"]


@pytest.mark.parametrize(
    ("viewers", "origin", "status"),
    [
        ("redirect-to-https", "https-only", Status.PASS),
        ("https-only", "https-only", Status.PASS),
        ("allow-all", "https-only", Status.FAIL),
        ("https-only", "http-only", Status.FAIL),
    ],
)
def test_a_distribution_is_judged_by_its_viewers_and_origins(
    cloud: Cloud, viewers: str, origin: str, status: Status
) -> None:
    made = cloud.client("cloudfront").create_distribution(
        DistributionConfig={
            "CallerReference": "one",
            "Comment": "",
            "Enabled": True,
            "Origins": {
                "Quantity": 1,
                "Items": [
                    {
                        "Id": "web",
                        "DomainName": "origin.shop.test",
                        "CustomOriginConfig": {
                            "HTTPPort": 80,
                            "HTTPSPort": 443,
                            "OriginProtocolPolicy": origin,
                        },
                    }
                ],
            },
            "DefaultCacheBehavior": {
                "TargetOriginId": "web",
                "ViewerProtocolPolicy": viewers,
                "ForwardedValues": {"QueryString": False, "Cookies": {"Forward": "none"}},
                "MinTTL": 0,
            },
        }
    )["Distribution"]["ARN"]

    result = audit_cloud(cloud)

    assert result.status is status
    assert [finding.subject for finding in result.findings] == [made]


def test_denied_rules_are_an_error_that_names_the_permission(cloud: Cloud) -> None:
    with balanced(cloud) as listen:
        listen("redirect")
    cloud.allow_only(
        "elasticloadbalancing:DescribeLoadBalancers",
        "elasticloadbalancing:DescribeListeners",
        "cloudfront:ListDistributions",
    )

    result = audit_cloud(cloud)

    assert result.status is Status.ERROR
    assert any("elasticloadbalancing:DescribeRules" in finding.message for finding in result.of_status(ERROR))
