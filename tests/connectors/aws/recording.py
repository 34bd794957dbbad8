"""A loopback proxy before the emulated AWS that notes which operations come, and may be slow."""

from __future__ import annotations

import contextlib
import http.client
import threading
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Recording:
    """What came, in order."""

    def __init__(self, behind: str, go_on: threading.Event | None) -> None:
        self.operations: list[str] = []
        self.parameters: list[dict[str, list[str]]] = []
        self.user_agents: set[str] = set()
        self._first = threading.Event()
        host = behind.removeprefix("http://")
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def forward(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                outer.user_agents.add(self.headers.get("User-Agent", ""))
                outer.note(self.path, self.headers.get("X-Amz-Target", ""), body, self.command)
                if go_on is not None:
                    go_on.wait(timeout=60)
                connection = http.client.HTTPConnection(host, timeout=30)
                headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
                connection.request(self.command, self.path, body=body, headers=headers)
                answer = connection.getresponse()
                content = answer.read()
                connection.close()
                with contextlib.suppress(OSError):
                    self.send_response(answer.status)
                    for name, value in answer.getheaders():
                        if name.lower() not in ("content-length", "connection", "transfer-encoding", "server", "date"):
                            self.send_header(name, value)
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)

            do_GET = do_POST = do_HEAD = do_PUT = do_DELETE = forward  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_port}"

    def note(self, path: str, target: str, body: bytes, method: str) -> None:
        form = urllib.parse.parse_qs(body.decode("utf-8", "replace"))
        operation = target.rpartition(".")[2] or form.get("Action", [f"{method} {path}"])[0]
        self.operations.append(operation)
        self.parameters.append(form)
        self._first.set()

    def wait_for_first(self) -> None:
        if not self._first.wait(timeout=20):
            raise TimeoutError("no request came")


@contextlib.contextmanager
def recording(behind: str, *, go_on: threading.Event | None = None) -> Iterator[Recording]:
    """Everything that comes is passed on to `behind`, once it may go on."""
    server = Recording(behind, go_on)
    server.http.daemon_threads = True
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.http.shutdown()
        server.http.server_close()
        thread.join(timeout=10)
