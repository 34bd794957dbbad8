"""A server on loopback that says, path by path, whatever it is told, and keeps what it was asked."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Says:
    """One answer. A body that is no bytes is sent as JSON."""

    status: int = 200
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def raw(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass(frozen=True)
class Seen:
    """One request."""

    method: str
    path: str
    """With its query."""
    headers: Mapping[str, str]
    """Names in lower case."""
    body: str


@dataclass
class Saying:
    """The running server. `answers` are by path, or by path and query; several answers of a path come in turn."""

    address: str
    answers: dict[str, list[Says]]
    seen: list[Seen] = field(default_factory=list)

    def answer(self, path: str, *answers: Says) -> None:
        self.answers[path] = list(answers)

    def next_of(self, path: str) -> Says:
        found = self.answers.get(path) or self.answers.get(path.partition("?")[0])
        if not found:
            return Says(404, {"error": "not found"})
        return found.pop(0) if len(found) > 1 else found[0]


@contextlib.contextmanager
def saying(trust: ssl.SSLContext | None = None) -> Iterator[Saying]:
    """A server on a free port of 127.0.0.1, with TLS where a context is given, ended at exit."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            world.seen.append(Seen(self.command, self.path, headers, body))
            says = world.next_of(self.path)
            self.send_response(says.status)
            for name, value in {"Content-Type": "application/json", **says.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(says.raw)))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(says.raw)

        do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if trust is not None:
        http.socket = trust.wrap_socket(http.socket, server_side=True)
    world = Saying(f"{'https' if trust else 'http'}://127.0.0.1:{http.server_port}", {})
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield world
    finally:
        http.shutdown()
        http.server_close()
        thread.join(timeout=10)
