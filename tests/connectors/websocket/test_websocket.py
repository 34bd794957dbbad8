"""The WebSocket connector: real servers, good and bad."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from quub_audit.connectors.base import DEADLINE, Deadline, Ledger
from quub_audit.connectors.codec import decode, encode
from quub_audit.connectors.websocket import WebSocketConnector
from quub_audit.demo.authority import Authority
from quub_audit.errors import Malformed, NotTls, Refused, Reportable, TimedOut, Unreachable
from quub_audit.facts.asking import WebSockets
from quub_audit.facts.seal import Redactor, Sealer
from quub_audit.model.environment import Endpoint
from tests.worlds import tls
from tests.worlds.websocket import Sockets, answering, declared, sockets, switching

NAME = "stream.orders.test"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("websocket")


@pytest.fixture(scope="module")
def ca_file(authority: Authority, folder: Path) -> str:
    return str(authority.write_ca(folder))


@pytest.fixture(scope="module")
def trust(authority: Authority, folder: Path) -> ssl.SSLContext:
    return tls.context(folder, authority.issue(NAME))


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


@pytest.fixture
def good(stack: ExitStack, trust: ssl.SSLContext) -> Sockets:
    return stack.enter_context(sockets(trust, origins=[None, f"https://{NAME}"]))


@pytest.fixture
def raw(stack: ExitStack, trust: ssl.SSLContext, ca_file: str) -> Callable[..., Endpoint]:
    """An endpoint whose server answers the handshake with what `make` makes of it."""

    def at(make: Callable[[bytes], bytes], **how: Any) -> Endpoint:
        peer = stack.enter_context(tls.server(answering(trust, make, **how)))
        return declared(NAME, peer.place, ca_file)

    return at


def connect(*, allow_active: bool = True, redactor: Redactor | None = None) -> WebSocketConnector:
    return WebSocketConnector(Ledger(), Sealer(b"salt" * 8, redactor or Redactor()), allow_active=allow_active)


def test_the_connector_is_what_checks_ask() -> None:
    assert isinstance(connect(), WebSockets)


def test_a_subprotocol_that_is_asked_for_is_chosen(stack: ExitStack, trust: ssl.SSLContext, ca_file: str) -> None:
    server = stack.enter_context(sockets(trust, subprotocols=["v2.orders"]))
    endpoint, connector = server.endpoint(NAME, ca_file=ca_file), connect()

    assert connector.open(endpoint, subprotocols=("v3.orders", "v2.orders")).subprotocol == "v2.orders"
    assert connector.open(endpoint).status == 400


def test_a_handshake_opens_and_nothing_is_sent_after_it(good: Sockets, ca_file: str) -> None:
    endpoint = good.endpoint(NAME, ca_file=ca_file)

    found = connect(allow_active=False).open(endpoint, "/v1/stream?token=not-to-be-seen")

    assert (found.status, found.is_open, found.problem) == (101, True, "")
    assert found.url == f"wss://{NAME}/v1/stream?token=..."
    assert found.address == good.place
    assert decode(encode(found)) == found
    request = good.requests[0]
    assert request.path == "/v1/stream?token=not-to-be-seen"
    assert (request.headers["Host"], request.headers.get("Origin")) == (NAME, None)
    assert request.headers["User-Agent"].startswith("quub-audit/")


def test_a_foreign_origin_is_refused_where_the_server_looks_at_it(good: Sockets, ca_file: str) -> None:
    endpoint, connector = good.endpoint(NAME, ca_file=ca_file), connect()

    assert connector.open(endpoint, origin="https://elsewhere.invalid").status == 403
    assert connector.open(endpoint, origin=f"https://{NAME}").is_open


def test_a_status_that_is_no_101_is_told_as_it_is(stack: ExitStack, trust: ssl.SSLContext, ca_file: str) -> None:
    server = stack.enter_context(sockets(trust, status=HTTPStatus.UNAUTHORIZED))

    found = connect().open(server.endpoint(NAME, ca_file=ca_file))

    assert (found.status, found.is_open, found.problem) == (401, False, "")


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        pytest.param(
            lambda head: switching(head, accept=b"AAAAAAAAAAAAAAAAAAAAAAAAAAA="), "Sec-WebSocket-Accept", id="accept"
        ),
        pytest.param(
            lambda head: b"HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            "Sec-WebSocket-Accept",
            id="none",
        ),
        pytest.param(
            lambda head: switching(head).replace(b"Upgrade: websocket", b"Upgrade: h2c"), "Upgrade", id="other-protocol"
        ),
        pytest.param(
            lambda head: switching(head, more=b"Sec-WebSocket-Protocol: soap"), "subprotocol", id="unasked-subprotocol"
        ),
        pytest.param(
            lambda head: switching(head, more=b"Sec-WebSocket-Extensions: x"), "extension", id="unasked-extension"
        ),
    ],
)
def test_a_101_that_is_wrong_opens_nothing_and_says_why(
    raw: Callable[..., Endpoint], make: Callable[[bytes], bytes], problem: str
) -> None:
    found = connect().ping(raw(make), wait_s=5)

    assert (found.handshake.status, found.handshake.is_open) == (101, False)
    assert problem in found.handshake.problem
    assert (found.pong_after_s, found.close_code) == (None, None)


def test_a_ping_is_answered_and_the_connection_closed_cleanly(
    stack: ExitStack, trust: ssl.SSLContext, ca_file: str
) -> None:
    server = stack.enter_context(sockets(trust, pushes="a quote" * 100))

    found = connect().ping(server.endpoint(NAME, ca_file=ca_file), wait_s=10)
    stack.close()

    assert found.handshake.is_open
    assert found.pong_after_s is not None
    assert found.close_code == 1000
    assert server.closed_with == [1000]


def test_a_server_that_answers_no_ping_is_not_waited_for_without_end(raw: Callable[..., Endpoint]) -> None:
    found = connect().ping(raw(switching, then_close=True), wait_s=30)

    assert found.handshake.is_open
    assert (found.pong_after_s, found.close_code) == (None, None)


def test_a_server_that_never_answers_a_ping_shows_no_pong(raw: Callable[..., Endpoint]) -> None:
    token = DEADLINE.set(Deadline(8))
    try:
        found = connect().ping(raw(switching), wait_s=0.2)
    finally:
        DEADLINE.reset(token)

    assert (found.handshake.is_open, found.pong_after_s, found.close_code) == (True, None, None)


def test_no_frame_is_sent_without_leave(good: Sockets, ca_file: str) -> None:
    with pytest.raises(Refused, match="no ping was sent, because active checks are not allowed"):
        connect(allow_active=False).ping(good.endpoint(NAME, ca_file=ca_file), wait_s=5)
    assert not good.requests


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        pytest.param(lambda head: b"", Malformed, "ends the connection without an answer", id="silent"),
        pytest.param(lambda head: b"SSH-2.0-x\r\n", Malformed, "answers with something that is no HTTP", id="ssh"),
        pytest.param(lambda head: b"HTTP/1.1 101 S\r\nConn", Malformed, "breaks off or cannot be read", id="cut"),
        pytest.param(
            lambda head: b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", Malformed, "cannot be read", id="huge"
        ),
        pytest.param(
            lambda head: b"HTTP/1.1 101 S\r\n" + b"X: y\r\n" * 9000, Malformed, "cannot be read", id="many-headers"
        ),
    ],
)
def test_what_is_no_answer_is_malformed(
    raw: Callable[..., Endpoint], make: Callable[[bytes], bytes], error: type[Reportable], text: str
) -> None:
    with pytest.raises(error, match=text):
        connect().open(raw(make, then_close=True))


def test_a_chain_that_is_not_trusted_and_a_name_that_is_another_open_nothing(good: Sockets, ca_file: str) -> None:
    with pytest.raises(Unreachable, match="is not trusted"):
        connect().open(good.endpoint(NAME))
    with pytest.raises(Unreachable, match=r"other\.test"):
        connect().open(good.endpoint("other.test", ca_file=ca_file))
    with pytest.raises(Unreachable, match=r"certificates in /nowhere/ca\.pem cannot be read"):
        connect().open(good.endpoint(NAME, ca_file="/nowhere/ca.pem"))
    assert not good.requests


def test_a_port_without_tls_and_one_where_nobody_listens_are_told_apart(stack: ExitStack, ca_file: str) -> None:
    plain = stack.enter_context(sockets())

    with pytest.raises(NotTls, match=r"speaks no TLS|instead of speaking TLS"):
        connect().open(plain.endpoint(NAME, ca_file=ca_file))
    with pytest.raises(Unreachable, match=r"takes no connection \(refused\)"):
        connect().open(declared(NAME, f"127.0.0.1:{tls.free_port()}", ca_file))


def test_a_server_that_says_nothing_is_left_at_the_deadline(stack: ExitStack, ca_file: str) -> None:
    peer = stack.enter_context(tls.server(tls.silent))
    token = DEADLINE.set(Deadline(1))
    try:
        with pytest.raises(TimedOut):
            connect().open(declared(NAME, peer.place, ca_file))
    finally:
        DEADLINE.reset(token)


def test_values_of_a_query_are_struck_from_all_outputs(good: Sockets, ca_file: str) -> None:
    redactor = Redactor()

    connect(redactor=redactor).open(good.endpoint(NAME, ca_file=ca_file), "/?access_token=hush-hush-hush-hush")

    assert "hush-hush-hush-hush" not in redactor.clean("it was hush-hush-hush-hush")


def test_one_question_is_one_connection(good: Sockets, ca_file: str) -> None:
    connector, endpoint = connect(), good.endpoint(NAME, ca_file=ca_file)

    assert connector.open(endpoint) is connector.open(endpoint)
    assert len(good.requests) == 1
