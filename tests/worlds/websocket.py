"""WebSocket servers on loopback: the library's own over TLS or in clear, and raw ones that do it wrong."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus

from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve
from websockets.typing import Origin, Subprotocol

from quub_audit.model.environment import Endpoint
from tests.worlds import tls

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""RFC 6455, section 1.3."""


@dataclass
class Sockets:
    """A running server, and what it saw."""

    place: str
    requests: list[Request] = field(default_factory=list)
    closed_with: list[int | None] = field(default_factory=list)

    def endpoint(self, host: str, *, ca_file: str = "", plain: str = "") -> Endpoint:
        """The declared wss:// endpoint whose name leads here, and whose plain side leads to `plain`."""
        return replace(declared(host, self.place, ca_file), connect_to_plain=plain)


def declared(host: str, place: str, ca_file: str) -> Endpoint:
    """A wss:// endpoint that is at `place`."""
    return Endpoint(name="stream", url=f"wss://{host}", host=host, port=443, connect_to=place, ca_file=ca_file)


@contextlib.contextmanager
def sockets(
    trust: ssl.SSLContext | None = None,
    *,
    origins: Sequence[str | None] | None = None,
    subprotocols: Sequence[str] = (),
    status: HTTPStatus | None = None,
    pushes: str = "",
) -> Iterator[Sockets]:
    """The library's server: takes `origins` alone where there are any, answers `status` instead of 101."""
    seen = Sockets("")

    def look(connection: ServerConnection, request: Request) -> Response | None:
        seen.requests.append(request)
        return connection.respond(status, "no\n") if status else None

    talks: list[threading.Thread] = []

    def talk(connection: ServerConnection) -> None:
        talks.append(threading.current_thread())
        if pushes:
            with contextlib.suppress(ConnectionClosed):  # whoever was asked may have said all, and gone
                connection.send(pushes)
        for _ in connection:
            pass
        seen.closed_with.append(connection.close_code)

    server = serve(
        talk,
        "127.0.0.1",
        0,
        ssl=trust,
        origins=[Origin(each) if each is not None else None for each in origins] if origins is not None else None,
        subprotocols=[Subprotocol(each) for each in subprotocols] or None,
        process_request=look,
        ping_interval=None,
        close_timeout=2,
    )
    seen.place = f"127.0.0.1:{server.socket.getsockname()[1]}"
    thread = threading.Thread(target=server.serve_forever, name="sockets")
    thread.start()
    try:
        yield seen
    finally:
        server.shutdown()
        for each in (thread, *talks):
            each.join(timeout=10)


def answering(trust: ssl.SSLContext, make: Callable[[bytes], bytes], *, then_close: bool = False) -> tls.Behaviour:
    """Over TLS: `make` makes the answer of the request's head; frames are read, and never answered."""

    def behave(connection: socket.socket, _: int) -> None:
        with trust.wrap_socket(connection, server_side=True) as spoken:
            head = b""
            while b"\r\n\r\n" not in head:
                block = spoken.recv(4096)
                if not block:
                    return
                head += block
            spoken.sendall(make(head))
            while not then_close and spoken.recv(4096):
                pass

    return behave


def switching(head: bytes, *, accept: bytes = b"", more: bytes = b"") -> bytes:
    """A 101 with the right Sec-WebSocket-Accept, or with another."""
    key = next(
        line.partition(b":")[2].strip() for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key")
    )
    right = base64.b64encode(hashlib.sha1(key + GUID).digest())
    lines = [b"HTTP/1.1 101 Switching Protocols", b"Connection: Upgrade", b"Upgrade: websocket"]
    lines += [b"Sec-WebSocket-Accept: " + (accept or right)] + ([more] if more else [])
    return b"\r\n".join([*lines, b"", b""])
