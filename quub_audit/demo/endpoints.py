"""HTTPS, plain HTTP and WebSocket servers on loopback, sound and unsound, and ports that are surely closed."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import secrets
import socket
import socketserver
import ssl
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, ClassVar

from quub_audit.demo.authority import Identity
from quub_audit.demo.credentials import Credentials

LOOPBACK = "127.0.0.1"
PATHS = ("/", "/health", "/ready")
"""What every service here answers with content."""
LOGIN_PATH = "/login"

_IDLE_S = 5.0
"""How long a connection may say nothing."""
_WEBSOCKET = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""RFC 6455, section 1.3."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One HTTP answer."""

    status: HTTPStatus
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One HTTP request without a body."""

    method: str
    target: str
    """The path, and the query if there is one."""
    headers: Mapping[str, str]
    """By name in lower case."""

    @property
    def path(self) -> str:
        """Without the query."""
        return self.target.partition("?")[0]


Service = Callable[[Asked], Reply]


def service(name: str, *, hsts: str = "", has_login: bool = False, has_checkout: bool = False) -> Service:
    """Answers `PATHS` with JSON and everything else with 404; `hsts` is its Strict-Transport-Security header.

    With `has_login` there is a page, `LOGIN_PATH`, that begins a session. With `has_checkout` it serves the folder into
    which git has checked it out, `/.git` and all.
    """

    def answer(asked: Asked) -> Reply:
        sent = {
            "Content-Type": "application/json",
            "X-Content-Type-Options": "nosniff",
            **({"Strict-Transport-Security": hsts} if hsts else {}),
        }
        if has_login and asked.path == LOGIN_PATH:
            page = {
                **sent,
                "Content-Type": "text/html; charset=utf-8",
                "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'",
                "Set-Cookie": _session_cookie(),
            }
            return Reply(status=HTTPStatus.OK, headers=page, body=b"<!doctype html><title>Log in</title>")
        if has_checkout and asked.path == "/.git/HEAD":
            return Reply(status=HTTPStatus.OK, headers={"Content-Type": "text/plain"}, body=b"ref: refs/heads/main\n")
        if asked.path not in PATHS:
            return Reply(status=HTTPStatus.NOT_FOUND, headers=sent, body=b'{"error":"not found"}')
        return Reply(
            status=HTTPStatus.OK, headers=sent, body=json.dumps({"service": name, "path": asked.path}).encode()
        )

    return answer


def _session_cookie() -> str:
    return f"__Host-session={secrets.token_urlsafe(24)}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=1800"


def redirect_to(host: str) -> Service:
    """Sends everybody to HTTPS on `host`, for good."""

    def answer(asked: Asked) -> Reply:
        return Reply(status=HTTPStatus.MOVED_PERMANENTLY, headers={"Location": f"https://{host}{asked.target}"})

    return answer


def stream(name: str) -> Service:
    """Opens a WebSocket for whoever asks for one; no frame is ever sent."""
    plain = service(name)

    def answer(asked: Asked) -> Reply:
        key = asked.headers.get("sec-websocket-key", "")
        if asked.headers.get("upgrade", "").lower() != "websocket" or not key:
            return plain(asked)
        accepted = base64.b64encode(hashlib.sha1(f"{key}{_WEBSOCKET}".encode(), usedforsecurity=False).digest())
        return Reply(
            status=HTTPStatus.SWITCHING_PROTOCOLS,
            headers={"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": accepted.decode()},
        )

    return answer


def quub_api(credentials: Credentials) -> Service:
    """Answers whoever signs with `credentials`, and 401 to everybody else."""

    def answer(asked: Asked) -> Reply:
        sent = {"Content-Type": "application/json"}
        if not credentials.signed(asked.method, asked.target, asked.headers):
            return Reply(status=HTTPStatus.UNAUTHORIZED, headers=sent, body=b'{"error":"unauthorized"}')
        return Reply(status=HTTPStatus.OK, headers=sent, body=b'{"status":"active"}')

    return answer


def modern_tls(identity: Identity, folder: Path, name: str) -> ssl.SSLContext:
    """TLS 1.2 and 1.3 with the default suites; the key lies as `name.key` in `folder`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(*identity.write(folder, name))
    return context


def outdated_tls(identity: Identity, folder: Path, name: str) -> ssl.SSLContext:
    """Everything down to what this machine's OpenSSL can still speak, TLS 1.0 as a rule."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.load_cert_chain(*identity.write(folder, name))
    return context


@contextlib.contextmanager
def served(answer: Service, context: ssl.SSLContext | None = None) -> Iterator[str]:
    """`127.0.0.1:port` of a server that gives `answer`, over TLS where there is a context; closed at exit."""
    server = _Server((LOOPBACK, 0), answer, context)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"{LOOPBACK}:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.end_connections()
        server.server_close()


@contextlib.contextmanager
def closed_port() -> Iterator[int]:
    """A port that refuses connections and that nobody else can open: it is taken, and nothing listens."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as taken:
        taken.bind((LOOPBACK, 0))
        yield taken.getsockname()[1]


@contextlib.contextmanager
def open_port() -> Iterator[int]:
    """A port that takes connections and says nothing, as a database does."""
    with socket.create_server((LOOPBACK, 0), backlog=64) as listening:
        yield listening.getsockname()[1]


class _Handler(BaseHTTPRequestHandler):
    """One request a connection: a client that keeps it open would keep the world from ending."""

    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_S

    def _answer(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.server.answer(Asked(method=self.command, target=self.path, headers=headers))
        self.close_connection = True
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.status is not HTTPStatus.SWITCHING_PROTOCOLS:
            self.send_header("Content-Length", str(len(reply.body)))
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    do_GET = do_HEAD = do_OPTIONS = _answer  # noqa: N815  names that the base class calls

    def version_string(self) -> str:
        """The Server header."""
        return "quub-app"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class's own name
        """Nothing: what the audit asks stands in its own report."""


class _Server(socketserver.ThreadingTCPServer):
    request_queue_size = 64
    daemon_threads = False
    allow_reuse_address: ClassVar[bool] = False  # type: ignore[misc]

    def __init__(self, address: tuple[str, int], answer: Service, context: ssl.SSLContext | None) -> None:
        self.answer = answer
        self._context = context
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(address, _Handler)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """In the connection's own thread: a slow handshake delays nobody else."""
        request.settimeout(_IDLE_S)
        if self._context is None:
            with self._known(request):
                super().finish_request(request, client_address)
            return
        secure = self._context.wrap_socket(request, server_side=True, do_handshake_on_connect=False)
        with secure, self._known(secure):
            secure.do_handshake()
            super().finish_request(secure, client_address)

    def end_connections(self) -> None:
        """Wake every thread that still waits for its client."""
        with self._lock:
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away, or that wants a protocol we refuse, is what these servers are for."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    @contextlib.contextmanager
    def _known(self, connection: socket.socket) -> Iterator[None]:
        with self._lock:
            self._connections.add(connection)
        try:
            yield
        finally:
            with self._lock:
                self._connections.discard(connection)
