"""WebSocket servers: the opening handshake over TLS that is verified, and, where that is permitted, one ping.

The protocol is spoken by the library `websockets`, without its own I/O: the address is chosen by the caller, and the
whole of it is bounded in time and bytes. No frame is sent without `--allow-active`, and no credential ever. Redirects
are observed, not followed; what the server pushes is not looked at.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from quub_audit.connectors.base import Ledger, Question, seconds_left
from quub_audit.connectors.http import (
    EXCHANGE_TIMEOUT_S,
    USER_AGENT,
    ascii_host,
    query_mark,
    shown_path,
    strike_query,
    target_of,
)
from quub_audit.connectors.identity_http import one_line
from quub_audit.connectors.names import join_host_port, resolve, split_host_port
from quub_audit.connectors.tcp import CONNECT_TIMEOUT_S, RESOLVE_TIMEOUT_S, connect
from quub_audit.errors import Refused, TimedOut, Unreachable
from quub_audit.facts.seal import Sealer
from quub_audit.facts.websocket import Handshake, Ping
from quub_audit.model.environment import Endpoint

if TYPE_CHECKING:
    from websockets.client import ClientProtocol

    from quub_audit.connectors.wire import Stream

CLOSE_TIMEOUT_S = 5.0
"""Longest wait for the answer to a close."""

LONGEST_WAIT_S = 60.0
"""For a pong."""


class WebSocketConnector:
    """Implements `quub_audit.facts.asking.WebSockets`. Built without I/O; no connection outlives its question."""

    def __init__(self, ledger: Ledger, sealer: Sealer, *, allow_active: bool) -> None:
        self._ledger = ledger
        self._sealer = sealer
        self._allow_active = allow_active

    def open(
        self,
        endpoint: Endpoint,
        path: str = "/",
        *,
        address: str = "",
        origin: str = "",
        subprotocols: tuple[str, ...] = (),
    ) -> Handshake:
        """One opening handshake, as `WebSockets` promises it."""

        def find() -> Handshake:
            with self._opened(endpoint, path, address, origin, subprotocols) as (handshake, _, _):
                return handshake

        return self._ledger.ask(self._question("open", endpoint, path, address, origin, subprotocols), find)

    def ping(
        self,
        endpoint: Endpoint,
        path: str = "/",
        *,
        address: str = "",
        origin: str = "",
        subprotocols: tuple[str, ...] = (),
        wait_s: float,
    ) -> Ping:
        """One ping, as `WebSockets` promises it."""
        if not self._allow_active:
            raise Refused(
                f"{endpoint}: no ping was sent, because active checks are not allowed", next_step="add --allow-active"
            )

        def find() -> Ping:
            with self._opened(endpoint, path, address, origin, subprotocols) as (handshake, stream, protocol):
                if not handshake.is_open:
                    return Ping(handshake=handshake)
                after_s = _pong_after(stream, protocol, min(wait_s, LONGEST_WAIT_S))
                return Ping(handshake=handshake, pong_after_s=after_s, close_code=_closed(stream, protocol))

        return self._ledger.ask(self._question("ping", endpoint, path, address, origin, subprotocols), find)

    @staticmethod
    def _question(
        name: str, endpoint: Endpoint, path: str, address: str, origin: str, subprotocols: tuple[str, ...]
    ) -> Question:
        about = {
            "url": endpoint.url,
            "at": address or endpoint.connect_to,
            "origin": origin,
            "subprotocols": subprotocols,
            **query_mark(path),
        }
        return Question.about("websocket", endpoint.name, f"{name} {shown_path(path)}", about)

    @contextlib.contextmanager
    def _opened(
        self, endpoint: Endpoint, path: str, address: str, origin: str, subprotocols: tuple[str, ...]
    ) -> Iterator[tuple[Handshake, Stream, ClientProtocol]]:
        """The handshake, and what it left. Raises Unreachable, TimedOut, NotTls, Malformed."""
        from websockets.client import ClientProtocol
        from websockets.typing import Origin, Subprotocol
        from websockets.uri import parse_uri

        from quub_audit.connectors.wire import NoAnswer, Request, conversation, verified_trust

        strike_query(self._sealer, path)
        host, target = ascii_host(endpoint.host), target_of(path)
        protocol = ClientProtocol(
            parse_uri(f"wss://{join_host_port(host, endpoint.port)}{target}"),
            origin=Origin(origin) if origin else None,
            subprotocols=[Subprotocol(name) for name in subprotocols] or None,
        )
        connection, place = _connected(endpoint, address)
        request = Request(
            subject=endpoint.name, place=place, method="GET", is_tls=True, host=host, target=target, headers=()
        )
        try:
            trust = verified_trust(endpoint.name, endpoint.ca_file, f"endpoints.{endpoint.name}")
            with conversation(connection, request, timeout_s=seconds_left(EXCHANGE_TIMEOUT_S)) as stream:
                stream.start_tls(trust, server_hostname=host)
                status, problem = _shake_hands(stream, protocol)
                handshake = Handshake(
                    url=f"{endpoint.url.rstrip('/')}{shown_path(path)}",
                    address=place,
                    status=status,
                    is_open=status == 101 and not problem,
                    problem=problem,
                    subprotocol=protocol.subprotocol or "",
                )
                yield handshake, stream, protocol
        except NoAnswer as silence:
            raise silence.error from silence.__cause__
        finally:
            connection.close()


def _connected(endpoint: Endpoint, address: str) -> tuple[socket.socket, str]:
    """A connection to `address` (one of `Http.addresses`), else to `connect_to`, else by name; and its place."""
    host, port = split_host_port(address or endpoint.connect_to or endpoint.host, endpoint.port)
    try:
        literal = resolve(host, timeout_s=seconds_left(RESOLVE_TIMEOUT_S))[0]
        made = connect(literal, port)
    except (Unreachable, TimedOut) as error:
        raise type(error)(f"{endpoint}: {error.message}", next_step=error.next_step) from error
    place = join_host_port(literal, port)
    if isinstance(made, socket.socket):
        return made, place
    raise Unreachable(
        f"{endpoint}: {place} takes no connection ({made.value}) within {CONNECT_TIMEOUT_S:.0f} s",
        next_step="look what listens there, and whether the audit may reach it from here",
    )


def _shake_hands(stream: Stream, protocol: ClientProtocol) -> tuple[int, str]:
    """The answer's status, and what is wrong with a 101. Raises OSError for an answer that breaks off or is no HTTP."""
    from websockets.exceptions import InvalidHandshake, InvalidMessage, InvalidStatus
    from websockets.protocol import State

    request = protocol.connect()
    request.headers["User-Agent"] = USER_AGENT
    protocol.send_request(request)
    _flush(stream, protocol)
    while protocol.state is State.CONNECTING and protocol.handshake_exc is None:
        _receive(stream, protocol)
    match protocol.handshake_exc:
        case None:
            return 101, ""
        case InvalidStatus(response=response):
            return response.status_code, ""
        case InvalidMessage() as error:
            raise OSError(one_line(error.__cause__ or error))
        case InvalidHandshake() as error:
            return 101, one_line(error)
        case error:
            raise OSError(one_line(error))


def _pong_after(stream: Stream, protocol: ClientProtocol, wait_s: float) -> float | None:
    """Seconds until the server answered a ping; None where it did not in `wait_s`, or ended the connection."""
    from websockets.frames import Frame, Opcode
    from websockets.protocol import State

    payload = b"quub-audit"
    began = time.monotonic()
    stream.ends_at = began + wait_s
    protocol.send_ping(payload)
    with contextlib.suppress(TimeoutError, OSError):
        while protocol.state is State.OPEN:
            _flush(stream, protocol)
            _receive(stream, protocol)
            for event in protocol.events_received():
                if isinstance(event, Frame) and event.opcode is Opcode.PONG and event.data == payload:
                    return round(time.monotonic() - began, 3)
    return None


def _closed(stream: Stream, protocol: ClientProtocol) -> int | None:
    """The code with which the server closes, by itself or when it is told to with 1000."""
    from websockets.protocol import State

    stream.ends_at = time.monotonic() + CLOSE_TIMEOUT_S
    if protocol.state is State.OPEN:
        protocol.send_close(1000)
    with contextlib.suppress(TimeoutError, OSError):
        while protocol.close_rcvd is None and protocol.state is not State.CLOSED:
            _flush(stream, protocol)
            _receive(stream, protocol)
    return int(protocol.close_rcvd.code) if protocol.close_rcvd else None


def _flush(stream: Stream, protocol: ClientProtocol) -> None:
    import httpcore

    data = b"".join(protocol.data_to_send())
    with contextlib.suppress(httpcore.WriteError):  # the peer may have answered before it closed
        if data:
            stream.write(data)


def _receive(stream: Stream, protocol: ClientProtocol) -> None:
    data = stream.read(65536)
    if data:
        protocol.receive_data(data)
    else:
        protocol.receive_eof()
