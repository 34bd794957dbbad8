"""WebSockets open over TLS alone and to their own pages alone, and clients were tested."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from quub_audit.checks.testing.integration._results import by_scenario
from quub_audit.checks.testing.integration.websocket import (
    SCENARIOS,
    WebSocketParameters,
    judge_foreign,
    judge_handshake,
    judge_ping,
    own_origin,
)
from quub_audit.model.environment import Endpoint, Environment, Quub
from quub_audit.sdk import Handshake, Ping
from tests.checks.testing.integration.results import artifact, audited, case, environment
from tests.worlds import tls
from tests.worlds.cloud import Cloud
from tests.worlds.web import Names, closed_port
from tests.worlds.websocket import Sockets, answering, declared, sockets, switching

ITEM = "testing.integration.websocket"
NAME = "stream.orders.test"
TESTED = artifact("pytest-9.2.0-websocket-passed.xml")


@pytest.fixture(scope="module")
def trust(names: Names) -> ssl.SSLContext:
    return names.context(NAME)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


@pytest.fixture
def closed() -> Iterator[str]:
    """A place where nobody listens."""
    with closed_port() as place:
        yield place


@pytest.fixture
def good(stack: ExitStack, trust: ssl.SSLContext) -> Sockets:
    return stack.enter_context(sockets(trust, origins=[None, f"https://{NAME}"]))


@pytest.fixture
def stream(good: Sockets, names: Names, closed: str) -> Endpoint:
    """A sound endpoint, whose plain port is closed."""
    return good.endpoint(NAME, ca_file=names.ca_file, plain=closed)


@pytest.mark.proof("pass")
@pytest.mark.parametrize("audience", ["api", "browser"])
def test_a_sound_server_and_tested_clients_pass(stream: Endpoint, audience: Any) -> None:
    found = audited(ITEM, environment(TESTED, endpoints=(replace(stream, audience=audience),)))

    assert found.status.value == "pass"
    assert {each.subject for each in found.findings} == {
        "stream",
        *(f"websocket-{name}" for name in WebSocketParameters().scenarios),
    }


@pytest.mark.proof("pass")
def test_a_server_that_wants_credentials_first_passes(
    stack: ExitStack, trust: ssl.SSLContext, names: Names, closed: str
) -> None:
    server = stack.enter_context(sockets(trust, status=HTTPStatus.UNAUTHORIZED))
    endpoint = server.endpoint(NAME, ca_file=names.ca_file, plain=closed)

    assert audited(ITEM, environment(TESTED, endpoints=(endpoint,))).status.value == "pass"


@pytest.mark.proof("fail")
def test_a_websocket_without_tls_fails(good: Sockets, stack: ExitStack, names: Names) -> None:
    plain = stack.enter_context(sockets())
    endpoint = good.endpoint(NAME, ca_file=names.ca_file, plain=plain.place)

    found = audited(ITEM, environment(TESTED, endpoints=(endpoint,)))

    assert (found.status.value, found.findings[0].subject) == ("fail", "stream")
    assert found.findings[0].observed == f"/ at {plain.place} opens without TLS"


@pytest.mark.proof("fail")
def test_a_browser_endpoint_that_opens_to_foreign_pages_fails_and_an_api_need_not_look(
    stack: ExitStack, trust: ssl.SSLContext, names: Names, closed: str
) -> None:
    careless = stack.enter_context(sockets(trust))
    endpoint = careless.endpoint(NAME, ca_file=names.ca_file, plain=closed)

    found = audited(ITEM, environment(TESTED, endpoints=(replace(endpoint, audience="browser"),)))

    assert found.status.value == "fail"
    assert found.findings[0].observed == f"/ at {careless.place} opens to pages of https://quub-audit.invalid"
    assert audited(ITEM, environment(TESTED, endpoints=(endpoint,))).status.value == "pass"


@pytest.mark.proof("fail")
def test_a_wrong_accept_fails(stack: ExitStack, trust: ssl.SSLContext, names: Names, closed: str) -> None:
    wrong = stack.enter_context(tls.server(answering(trust, lambda head: switching(head, accept=b"AAAA"))))
    endpoint = replace(declared(NAME, wrong.place, names.ca_file), connect_to_plain=closed)

    found = audited(ITEM, environment(TESTED, endpoints=(endpoint,)))

    assert found.status.value == "fail"
    assert "answers the opening handshake with a wrong 101: invalid Sec-WebSocket-Accept" in found.findings[0].observed


@pytest.mark.parametrize(("idle_s", "status"), [("60", "pass"), ("30", "fail")])
def test_a_load_balancer_has_to_wait_longer_than_a_heartbeat(
    stream: Endpoint, cloud: Cloud, idle_s: str, status: str
) -> None:
    arn = cloud.balancer(cloud.network())
    cloud.client("elbv2").modify_load_balancer_attributes(
        LoadBalancerArn=arn, Attributes=[{"Key": "idle_timeout.timeout_seconds", "Value": idle_s}]
    )
    target = environment(TESTED, endpoints=(replace(stream, load_balancer="orders"),), aws=(cloud.account(),))

    found = audited(ITEM, target, environ=cloud.environ)

    assert found.status.value == status
    told = {each.subject: (each.status.value, each.observed) for each in found.findings}
    assert told["stream (orders)"] == (status, f"ends a connection that is idle for {idle_s} s")


@pytest.mark.proof("fail")
def test_a_scenario_that_failed_fails_and_is_named(stream: Endpoint) -> None:
    found = audited(ITEM, environment(artifact("pytest-9.2.0-websocket-failed.xml"), endpoints=(stream,)))

    assert found.status.value == "fail"
    assert found.findings[0].subject == "websocket-reconnect"


@pytest.mark.proof("fail")
def test_a_scenario_without_a_test_fails(stream: Endpoint) -> None:
    found = audited(ITEM, environment(artifact("pytest-9.2.0-errors.xml"), endpoints=(stream,)))

    assert found.status.value == "fail"
    assert {each.observed for each in found.findings if each.status.value == "fail"} == {"no test"}


@pytest.mark.proof("inconclusive")
def test_a_handshake_without_tests_and_no_websocket_at_all_are_inconclusive(stream: Endpoint) -> None:
    for target in (
        environment(),
        environment(TESTED),
        environment(endpoints=(stream,)),
        environment(artifact("pytest-9.2.0-websocket-passed.xml", commit="d" * 40), endpoints=(stream,)),
    ):
        assert audited(ITEM, target).status.value == "inconclusive"


@pytest.mark.proof("error")
def test_a_server_that_is_not_there_not_trusted_or_not_to_be_told_is_an_error(
    good: Sockets, stack: ExitStack, trust: ssl.SSLContext, names: Names, closed: str
) -> None:
    forbids = stack.enter_context(sockets(trust, status=HTTPStatus.FORBIDDEN))
    for endpoint, why in (
        (declared(NAME, closed, names.ca_file), "takes no connection (refused)"),
        (good.endpoint(NAME), "is not trusted"),
        (forbids.endpoint(NAME, ca_file=names.ca_file), "answers the opening handshake with 403"),
    ):
        found = audited(ITEM, environment(TESTED, endpoints=(replace(endpoint, connect_to_plain=closed),)))

        assert found.status.value == "error"
        assert why in found.reason


def test_a_browser_endpoint_that_asks_any_page_for_credentials_needs_a_test_of_its_origin(
    stack: ExitStack, trust: ssl.SSLContext, names: Names, closed: str
) -> None:
    server = stack.enter_context(sockets(trust, status=HTTPStatus.UNAUTHORIZED))
    endpoint = replace(server.endpoint(NAME, ca_file=names.ca_file, plain=closed), audience="browser")

    found = audited(ITEM, environment(TESTED, endpoints=(endpoint,)))

    assert (found.status.value, found.findings[0].kind) == ("inconclusive", "undecided")
    assert "name `origin` among `scenarios`" in found.next_step


def test_results_without_a_test_hold_back_the_pass(stream: Endpoint, tmp_path: Path) -> None:
    empty = tmp_path / "junit.xml"
    empty.write_text('<testsuites><testsuite timestamp="2026-11-25T10:00:00"/></testsuites>')

    for artifacts in ((artifact(str(empty)),), (TESTED, artifact(str(empty), name="nothing"))):
        found = audited(ITEM, environment(*artifacts, endpoints=(stream,)))

        assert (found.status.value, found.reason) == (
            "inconclusive",
            f"{artifacts[-1]}: its results hold no test",
        )


def test_quub_is_asked_at_the_path_of_its_address(good: Sockets, names: Names) -> None:
    def quub(host: str) -> Environment:
        declared = Quub(ws_url=f"wss://{host}/v1/stream", ws_connect_to=good.place, ca_file=names.ca_file)
        return environment(TESTED, quub=declared)

    assert audited(ITEM, quub(NAME)).status.value == "pass"
    assert good.requests[0].path == "/v1/stream"
    assert audited(ITEM, quub("elsewhere.test")).status.value == "error"


def test_a_ping_is_sent_with_leave_alone(
    stream: Endpoint, stack: ExitStack, trust: ssl.SSLContext, names: Names, closed: str
) -> None:
    deaf = stack.enter_context(tls.server(answering(trust, switching, then_close=True)))
    silent = replace(declared(NAME, deaf.place, names.ca_file), name="deaf", connect_to_plain=closed)

    assert audited(ITEM, environment(TESTED, endpoints=(stream, silent))).status.value == "pass"
    found = audited(ITEM, environment(TESTED, endpoints=(stream, silent)), allow_active=True)

    failed = [each for each in found.findings if each.status.value == "fail"]
    assert [each.subject for each in failed] == ["deaf"]
    assert failed[0].observed == f"{deaf.place}: no pong within 10 s, a close is answered with nothing"


def said(status: int, **more: Any) -> Handshake:
    return Handshake(url="wss://x", address="192.0.2.1:443", status=status, is_open=status == 101 and not more, **more)


TARGET = Endpoint(name="stream", url="wss://x:8443", host="x", port=8443, audience="browser")


@pytest.mark.parametrize(
    ("handshake", "status"),
    [
        (said(101), "pass"),
        (said(401), "pass"),
        (said(101, problem="no accept"), "fail"),
        (said(200), "fail"),
        (said(301), "fail"),
        (said(404), "fail"),
        (said(426), "fail"),
        (said(503), "fail"),
        (said(400), "error"),
        (said(403), "error"),
        (said(429), "error"),
    ],
)
def test_answers_to_the_handshake_are_judged_by_their_status(handshake: Handshake, status: str) -> None:
    assert judge_handshake(TARGET, "/", handshake).status.value == status


@pytest.mark.parametrize(
    ("status", "tested", "kinds"),
    [
        (101, ("origin",), ["fail"]),
        (401, (), ["undecided"]),
        (401, ("origin",), []),
        (403, (), []),
    ],
)
def test_a_foreign_page_has_to_be_refused_or_its_refusal_tested(
    status: int, tested: tuple[str, ...], kinds: list[str]
) -> None:
    assert [each.kind for each in judge_foreign(TARGET, "/", said(status), tested)] == kinds


@pytest.mark.parametrize(
    ("pong_after_s", "close_code", "status"),
    [(0.1, 1000, "pass"), (0.1, 1005, "pass"), (0.1, None, "fail"), (0.1, 1011, "fail"), (None, 1000, "fail")],
)
def test_a_ping_needs_its_pong_and_a_close_its_answer(
    pong_after_s: float | None, close_code: int | None, status: str
) -> None:
    answer = Ping(handshake=said(101), pong_after_s=pong_after_s, close_code=close_code)

    assert judge_ping(TARGET, answer, 10).status.value == status


def test_the_own_origin_of_pages_has_the_port_and_clients_that_are_no_browsers_have_none() -> None:
    assert own_origin(TARGET) == "https://x:8443"
    assert own_origin(replace(TARGET, audience="api")) == ""


@pytest.mark.parametrize(
    ("name", "scenarios"),
    [
        ("websocket connects", {"connect"}),
        ("WebSocket reconnects with back-off", {"reconnect"}),
        ("the ws client answers a ping", {"heartbeat"}),
        ("web socket: log in", {"auth"}),
        ("websocket subscribes again after reconnect", {"subscribe", "reconnect"}),
        ("websocket refuses a foreign origin", {"origin"}),
        ("database connects", set()),
        ("news subscription", set()),
    ],
)
def test_scenarios_are_known_by_names_that_speak_of_websockets(name: str, scenarios: set[str]) -> None:
    found = by_scenario([case(name)], list(SCENARIOS), SCENARIOS)

    assert {each for each, cases in found.items() if cases} == scenarios
