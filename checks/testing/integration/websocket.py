"""WebSockets open over TLS alone and to their own pages alone, and tests show that a client survives their end.

Pass          each WebSocket endpoint of the service, and Quub's, answers the opening handshake with a right 101 (or with 401, before credentials are shown) at every address; and each of `scenarios` has a test that was run and passed, and none that failed
Fail          the handshake fails, or its answer is wrong; a WebSocket opens without TLS, or to a browser that shows a foreign page; a ping has no pong, or a close no answer (with --allow-active); the declared load balancer (ALB) ends connections that are idle for `heartbeat_s` or less; a scenario has no test, only tests that were not run, or one that failed
Inconclusive  no wss:// endpoint and no `quub.ws_url` is declared; no artifact of integration or end-to-end tests is, or one is missing, stale, of another commit or empty: a handshake alone shows no reconnecting client; an endpoint for browsers asks own and foreign pages alike for credentials (401), so that `origin` has to be among `scenarios`
Error         the server cannot be reached, or its certificate is not trusted; it answers 400, 403 or 429, so that it cannot be told what it wants; results cannot be read, or CI denies them
Needs         `endpoints` with wss:// and their `paths`, `quub.ws_url`; a way there; artifacts of purpose `integration-tests` or `end-to-end-tests` whose tests say what they are about, by the tag `@scenario:websocket-NAME` or by their names (`websocket reconnects after 1012`); --allow-active for the ping; `load_balancer` of the endpoint for its idle time-out
Source        the guide, Testing; RFC 6455, sections 4, 5.5 and 7.4; OWASP ASVS 5.0, v5.0.0-4.4.1 and -4.4.2
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from pydantic import Field

from quub_audit.checks.security.api_keys.ip_allowlist import Front, fronts
from quub_audit.checks.testing.integration._results import (
    ResultParameters,
    by_scenario,
    cases_of,
    judge_cases,
    undeclared,
    unshown,
)
from quub_audit.sdk import (
    Artifacts,
    Aws,
    Endpoint,
    EndpointAddress,
    Environment,
    Finding,
    Grade,
    Handshake,
    Http,
    HttpAnswer,
    Ping,
    Quub,
    WebSockets,
    check,
    cut,
    endpoint_addresses,
    subjects,
)

PURPOSES = ("integration-tests", "end-to-end-tests")
FOREIGN = "https://quub-audit.invalid"
EXPECTED = "a WebSocket opens over TLS alone, and to the service's own pages alone"
ASKS_CREDENTIALS = 401
UNDECIDED = (400, 403, 429)
"""Answers that may come of what the audit does not know: a parameter, a credential."""

CLEAN = (1000, 1005)
"""Codes of a close that a server answers as it should: the same, or none at all."""

SCENARIOS: Mapping[str, re.Pattern[str]] = {
    name: re.compile(rf"(?=.*(?:web.?sockets?|(?<![a-z])wss?(?![a-z])))(?=.*(?:{words}))", re.I | re.S)
    for name, words in {
        "connect": r"(?<!re)connects?(?![a-z])|(?<!re)connection|opens?(?![a-z])|handshake",
        "auth": r"auth|log.?in|sign.?in",
        "subscribe": r"subscri",
        "reconnect": r"re-?connect|resum|back.?off",
        "heartbeat": r"heart.?beat|ping|pong|keep.?alive",
        "origin": r"origin",
    }.items()
}
"""How names of tests speak of each, beside a word for WebSocket."""

_BY_TAG = {f"websocket-{name}": pattern for name, pattern in SCENARIOS.items()}


class WebSocketParameters(ResultParameters):
    """What the checklist may set under `with:`."""

    scenarios: tuple[str, ...] = ("connect", "auth", "subscribe", "reconnect", "heartbeat")
    """What has to be tested. Others than these and `origin` are known by the tag alone, and not by names of tests."""

    subprotocols: tuple[str, ...] = ()
    """Subprotocols that are offered in the handshake, where the servers want one."""

    pong_s: float = Field(default=10, gt=0, le=60)
    """Seconds in which a ping has to be answered. House rule."""

    heartbeat_s: float = Field(default=30, gt=0)
    """Seconds between two pings, whoever sends them. House rule."""


@subjects(each=Quub)
def quub_addresses(quub: Quub, http: Http) -> Iterator[EndpointAddress]:
    """Each address of Quub's WebSocket API."""
    if quub.websocket is not None:
        for address in http.addresses(quub.websocket):
            yield EndpointAddress(endpoint=quub.websocket, address=address)


@check("WebSockets of the service open over TLS alone, and to their own pages alone", each=endpoint_addresses)
def endpoint(
    subject: EndpointAddress, sockets: WebSockets, http: Http, wanted: WebSocketParameters
) -> Iterator[Finding]:
    """Every path at one address; endpoints that speak no WebSocket are left out."""
    target, address = subject.endpoint, subject.address
    if not target.is_websocket:
        return
    for path in target.paths:
        plain = http.get_plain(target, path, address=address, is_upgrade=True)
        if isinstance(plain, HttpAnswer) and plain.status == 101:
            yield _fault(target, f"{path} at {plain.address} opens without TLS")
        opened = sockets.open(
            target, path, address=address, origin=own_origin(target), subprotocols=wanted.subprotocols
        )
        if target.audience == "browser" and (opened.is_open or opened.status == ASKS_CREDENTIALS):
            foreign = sockets.open(target, path, address=address, origin=FOREIGN, subprotocols=wanted.subprotocols)
            yield from judge_foreign(target, path, foreign, wanted.scenarios)
        yield judge_handshake(target, path, opened)


@check(
    "The load balancer waits longer than a heartbeat",
    each=fronts,
    permissions=["elasticloadbalancing:DescribeLoadBalancerAttributes"],
)
def idle_timeout(subject: Front, aws: Aws, wanted: WebSocketParameters) -> Finding | None:
    """Of an application load balancer in front of a WebSocket endpoint; others have no such attribute."""
    if not subject.endpoint.is_websocket or subject.load_balancer.get("Type") != "application":
        return None
    arn = subject.load_balancer["LoadBalancerArn"]
    answer = aws.ask("elbv2.DescribeLoadBalancerAttributes", region=subject.region, LoadBalancerArn=arn)
    attributes = {each["Key"]: each["Value"] for each in answer.get("Attributes", ())}
    # An application load balancer always says it; the default is that of Elastic Load Balancing.
    idle_s = int(attributes.get("idle_timeout.timeout_seconds", 60))
    return Finding.of(
        idle_s > wanted.heartbeat_s,
        subject=str(subject),
        observed=f"ends a connection that is idle for {idle_s} s",
        expected=f"more than {wanted.heartbeat_s:g} s, after which a heartbeat comes (`heartbeat_s` in the checklist)",
    )


@check("Quub's WebSocket API answers the opening handshake", each=quub_addresses)
def quub(subject: EndpointAddress, sockets: WebSockets, wanted: WebSocketParameters) -> Finding:
    """At one address."""
    path = subject.endpoint.paths[0]
    opened = sockets.open(subject.endpoint, path, address=subject.address, subprotocols=wanted.subprotocols)
    return judge_handshake(subject.endpoint, path, opened)


@check("A ping is answered, and a close", each=endpoint_addresses, active=True)
def ping(subject: EndpointAddress, sockets: WebSockets, wanted: WebSocketParameters) -> Iterator[Finding]:
    """At one address, over the first path; nothing where the handshake opens nothing."""
    target = subject.endpoint
    if not target.is_websocket:
        return
    answer = sockets.ping(
        target,
        target.paths[0],
        address=subject.address,
        origin=own_origin(target),
        subprotocols=wanted.subprotocols,
        wait_s=wanted.pong_s,
    )
    if answer.handshake.is_open:
        yield judge_ping(target, answer, wanted.pong_s)


@check("Results of tests are declared beside a WebSocket", each=Environment, grade=Grade.ARTIFACT)
def results(subject: Environment) -> Iterator[Finding]:
    """Says only that there are none: a handshake alone shows no client that reconnects."""
    if _has_websocket(subject):
        yield from undeclared(subject, PURPOSES)


@check("Clients of WebSockets were tested, their end and their return among it", each=Environment, grade=Grade.ARTIFACT)
def scenarios(subject: Environment, artifacts: Artifacts, wanted: WebSocketParameters) -> Iterator[Finding]:
    """One finding a scenario, over the results of all artifacts."""
    if not _has_websocket(subject):
        return
    yield from unshown(subject, artifacts, PURPOSES, wanted.fresh)
    cases = cases_of(subject, artifacts, PURPOSES, wanted.fresh)
    names = [f"websocket-{name}" for name in wanted.scenarios]
    for name, found in by_scenario(cases, names, _BY_TAG).items() if cases else ():
        yield judge_cases(name, found, expected=f"a test about {name} passed, and none failed")


def _has_websocket(environment: Environment) -> bool:
    is_used = environment.quub is not None and environment.quub.ws_url
    return bool(is_used) or any(each.is_websocket for each in environment.endpoints)


def own_origin(target: Endpoint) -> str:
    """The origin of the service's own pages; none for clients that are no browsers."""
    default = target.url.replace("wss://", "https://").rstrip("/")
    return default if target.audience == "browser" else ""


def judge_handshake(target: Endpoint, path: str, opened: Handshake) -> Finding:
    """A pass for a right 101 and for 401; an error where the answer may come of what the audit does not know."""
    place = f"{path} at {opened.address}"
    if opened.is_open or opened.status == ASKS_CREDENTIALS:
        said = "opens" if opened.is_open else "asks for credentials (401)"
        return Finding.of(True, subject=target.name, observed=f"{place} {said}", expected=EXPECTED)
    if opened.status in UNDECIDED:
        return Finding.error(
            subject=target.name,
            message=f"{target.name}: {place} answers the opening handshake with {opened.status}, "
            "which may come of a parameter, a subprotocol or a credential that the audit does not have",
            next_step="declare a path that opens, or `subprotocols` in the checklist",
        )
    wrong = f"with a wrong 101: {opened.problem}" if opened.problem else f"with {opened.status}"
    return _fault(target, f"{place} answers the opening handshake {wrong}")


def judge_foreign(target: Endpoint, path: str, foreign: Handshake, tested: Collection[str]) -> Iterator[Finding]:
    """What the answer to a foreign page says, where the service's own page is answered with 101 or 401."""
    if foreign.is_open:
        yield _fault(target, f"{path} at {foreign.address} opens to pages of {FOREIGN}")
    elif foreign.status == ASKS_CREDENTIALS and "origin" not in tested:
        yield Finding.undecided(
            subject=target.name,
            observed=f"{path} at {foreign.address} asks pages of {FOREIGN} for credentials (401)",
            expected="a foreign page is refused, whatever cookies its browser sends",
            next_step="test it (`@scenario:websocket-origin`), and name `origin` among `scenarios` in the checklist",
        )


def judge_ping(target: Endpoint, answer: Ping, pong_s: float) -> Finding:
    """A pass for a pong and a clean close."""
    faults: list[str] = []
    if answer.pong_after_s is None:
        faults.append(f"no pong within {pong_s:g} s")
    if answer.close_code not in CLEAN:
        faults.append(f"a close is answered with {answer.close_code or 'nothing'}")
    return Finding.of(
        not faults,
        subject=target.name,
        observed=f"{answer.handshake.address}: {cut(faults) or f'pong after {answer.pong_after_s:g} s, clean close'}",
        expected=f"a pong within {pong_s:g} s, and a close with 1000 answered",
    )


def _fault(target: Endpoint, observed: str) -> Finding:
    return Finding.of(False, subject=target.name, observed=observed, expected=EXPECTED)
