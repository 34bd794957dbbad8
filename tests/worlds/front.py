"""A server in front of the emulated AWS that answers some operations itself, and hands all others on."""

from __future__ import annotations

import contextlib
import fnmatch
import http.client
import json
import re
import threading
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WAIT_S = 20.0
"""Longest wait for the emulator, and for the next request on a connection."""

_SCOPE = re.compile(r"Credential=[^/]+/\d{8}/(?P<region>[^/]+)/(?P<service>[^/]+)/")
_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"})


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request, as far as answers depend on it."""

    operation: str
    """`elasticache.DescribeServerlessCaches`; `backup GET /backup-vaults/` where only the path tells."""
    region: str
    parameters: Mapping[str, Any]
    """Of the form, of the JSON or of the query."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """One answer."""

    body: str
    status: int = 200
    content_type: str = "text/xml"


Answer = Callable[[Asked], Told | None]
"""None where the emulator is to answer after all."""


@dataclass
class Front:
    """The running server."""

    address: str = ""
    answers: dict[str, Answer] = field(default_factory=dict)
    """By operation; a glob where the path holds a name."""
    asked: list[Asked] = field(default_factory=list)

    def answer_to(self, asked: Asked) -> Answer | None:
        """Who answers, where it is not the emulator."""
        return next(
            (answer for name, answer in self.answers.items() if fnmatch.fnmatchcase(asked.operation, name)), None
        )

    def count(self, operation: str) -> int:
        """How often an operation was asked."""
        return sum(1 for each in self.asked if each.operation == operation)


def query_answer(operation: str, result: str) -> Told:
    """The answer of a service that speaks the query protocol; `result` is XML."""
    return Told(body=f"<{operation}Response><{operation}Result>{result}</{operation}Result></{operation}Response>")


def ec2_answer(operation: str, content: str) -> Told:
    """The answer of EC2; `content` is XML."""
    return Told(
        body=f'<{operation}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">{content}</{operation}Response>'
    )


def json_answer(content: Any, status: int = 200) -> Told:
    """The answer of a service that speaks JSON."""
    return Told(body=json.dumps(content), status=status, content_type="application/json")


def denial(action: str) -> Told:
    """What the query protocol answers to somebody who may not."""
    said = f"User is not authorized to perform: {action}"
    return Told(
        body=f"<ErrorResponse><Error><Code>AccessDenied</Code><Message>{said}</Message></Error></ErrorResponse>",
        status=403,
    )


@contextlib.contextmanager
def front_of(behind: str) -> Iterator[Front]:
    """A front of the emulator at `behind`, on a free port of 127.0.0.1, closed at exit."""
    front = Front()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(front, behind))
    server.daemon_threads = True
    front.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield front
    finally:
        server.shutdown()
        thread.join(WAIT_S)
        server.server_close()


def _handler(front: Front, behind: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = WAIT_S

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class's own name
            pass

        def serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked = _read(self.command, self.path, self.headers, body)
            front.asked.append(asked)
            answer = front.answer_to(asked)
            told = answer(asked) if answer else None
            if told is None:
                self.hand_on(body)
                return
            self.tell(told.status, {"Content-Type": told.content_type}, told.body.encode())

        def hand_on(self, body: bytes) -> None:
            connection = http.client.HTTPConnection(urllib.parse.urlsplit(behind).netloc, timeout=WAIT_S)
            with contextlib.closing(connection):
                connection.request(self.command, self.path, body=body, headers=dict(self.headers.items()))
                reply = connection.getresponse()
                kept = {name: value for name, value in reply.getheaders() if name.lower() not in _HOP}
                if self.command == "HEAD":
                    kept["Content-Length"] = reply.getheader("Content-Length") or "0"
                self.tell(reply.status, kept, reply.read())

        def tell(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if self.command != "HEAD":
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = serve  # noqa: N815  the base class's own names

    return Handler


def _read(method: str, path: str, headers: Any, body: bytes) -> Asked:
    scope = _SCOPE.search(headers.get("Authorization") or "")
    service, region = (scope["service"], scope["region"]) if scope else ("", "")
    url = urllib.parse.urlsplit(path)
    parameters: dict[str, Any] = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
    target = headers.get("X-Amz-Target") or ""
    if target:
        parameters |= json.loads(body or b"{}")
        return Asked(operation=f"{service}.{target.rpartition('.')[2]}", region=region, parameters=parameters)
    if "form" in (headers.get("Content-Type") or ""):
        parameters |= dict(urllib.parse.parse_qsl(body.decode(), keep_blank_values=True))
    if "Action" in parameters:
        return Asked(operation=f"{service}.{parameters['Action']}", region=region, parameters=parameters)
    return Asked(operation=f"{service} {method} {url.path}", region=region, parameters=parameters)
