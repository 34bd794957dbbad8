"""WebSockets open over TLS alone and to their own pages alone, and tests show that a client survives their end.

Pass          each WebSocket endpoint of the service, and Quub's, answers the opening handshake with a right 101 (or with 401, before credentials are shown) at every address; and each of `scenarios` has a test that was run and passed, and none that failed
Fail          the handshake fails, or its answer is wrong; a WebSocket opens without TLS, or to a browser that shows a foreign page; a ping has no pong, or a close no answer (with --allow-active); a scenario has no test, only tests that were not run, or one that failed
Inconclusive  no wss:// endpoint and no `quub.ws_url` is declared; no artifact of integration or end-to-end tests is, or it is missing, stale, of another commit or empty: a handshake alone shows no reconnecting client
Error         the server cannot be reached, or its certificate is not trusted; it answers 400, 403 or 429, so that it cannot be told what it wants; results cannot be read, or CI denies them
Needs         `endpoints` with wss:// and their `paths`, `quub.ws_url`; a way there; artifacts of purpose `integration-tests` or `end-to-end-tests` whose tests say what they are about, by the tag `@scenario:websocket-NAME` or by their names (`websocket reconnects after 1012`); --allow-active for the ping
Source        the guide, Testing; RFC 6455, sections 4, 5.5 and 7.4; OWASP ASVS 5.0, v5.0.0-4.4.1 and -4.4.2
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from pydantic import Field

from quub_audit.checks.testing.integration._results import (
    ResultParameters,
    as_warning,
    by_scenario,
    cases_of,
    has_results,
    judge_cases,
)
from quub_audit.sdk import (
    Artifacts,
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
    }.items()
}
"""How names of tests speak of each, beside a word for WebSocket."""


class WebSocketParameters(ResultParameters):
    """What the checklist may set under `with:`."""

    scenarios: tuple[str, ...] = tuple(SCENARIOS)
    """What has to be tested. Others than those that are known by the names of tests are known by the tag alone."""

    subprotocols: tuple[str, ...] = ()
    """Subprotocols that are offered in the handshake, where the servers want one."""

    pong_s: float = Field(default=10, gt=0, le=60)
    """Seconds in which a ping has to be answered. House rule."""


@subjects(each=Quub)
def quub_addresses(quub: Quub, http: Http) -> Iterator[EndpointAddress]:
    """Each address of Quub's WebSocket API."""
    if quub.websocket is not None:
        for address in http.addresses(quub.websocket):
            yield EndpointAddress(endpoint=quub.websocket, address=address)


@check("WebSockets of the service open over TLS alone, and to their own pages alone", each=endpoint_addresses)
def endpoint(
    subject: EndpointAddress, sockets: WebSockets, http: Http, environment: Environment, wanted: WebSocketParameters
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
        if opened.is_open and target.audience == "browser":
            foreign = sockets.open(target, path, address=address, origin=FOREIGN, subprotocols=wanted.subprotocols)
            if foreign.is_open:
                yield _fault(target, f"{path} at {address} opens to pages of {FOREIGN}")
        yield counting(judge_handshake(target, path, opened), environment)


@check("Quub's WebSocket API answers the opening handshake", each=quub_addresses)
def quub(
    subject: EndpointAddress, sockets: WebSockets, environment: Environment, wanted: WebSocketParameters
) -> Finding:
    """At one address."""
    path = subject.endpoint.paths[0]
    opened = sockets.open(subject.endpoint, path, address=subject.address, subprotocols=wanted.subprotocols)
    return counting(judge_handshake(subject.endpoint, path, opened), environment)


@check("A ping is answered, and a close", each=endpoint_addresses, active=True)
def ping(
    subject: EndpointAddress, sockets: WebSockets, environment: Environment, wanted: WebSocketParameters
) -> Iterator[Finding]:
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
        yield counting(judge_ping(target, answer, wanted.pong_s), environment)


@check("Clients of WebSockets were tested, their end and their return among it", each=Environment, grade=Grade.ARTIFACT)
def scenarios(subject: Environment, artifacts: Artifacts, wanted: WebSocketParameters) -> Iterator[Finding]:
    """One finding a scenario, over the results of all artifacts."""
    has_websocket = any(each.is_websocket for each in subject.endpoints) or (subject.quub and subject.quub.ws_url)
    if not has_websocket:
        return
    if not has_results(subject, PURPOSES):
        observed = "no artifact of integration or end-to-end tests is declared"
        yield Finding.warning(subject=str(subject), observed=observed, expected=cut(wanted.scenarios))
        return
    cases = cases_of(subject, artifacts, PURPOSES, wanted.fresh)
    if not cases:
        yield Finding.error(
            subject=str(subject),
            message=f"{subject}: the results of {' and '.join(PURPOSES)} hold no test",
            next_step="look why the runner found none",
        )
        return
    known = {f"websocket-{name}": pattern for name, pattern in SCENARIOS.items()}
    for name, found in by_scenario(cases, [f"websocket-{name}" for name in wanted.scenarios], known).items():
        yield judge_cases(name, found, expected=f"a test about {name} passed, and none failed")


def own_origin(target: Endpoint) -> str:
    """The origin of the service's own pages; none for clients that are no browsers."""
    default = target.url.replace("wss://", "https://").rstrip("/")
    return default if target.audience == "browser" else ""


def counting(finding: Finding, environment: Environment) -> Finding:
    """A pass only where results of tests are declared that have to pass too."""
    if has_results(environment, PURPOSES):
        return finding
    return as_warning(finding, "results of tests that show a client which reconnects")


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
