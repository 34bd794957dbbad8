"""A relay that hands requests on, answers late, and remembers what was asked: `python -m bench.relay UPSTREAM MS`.

It prints its address, and runs until its stdin ends. `GET /relayed` gives the requests since it was last asked.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


class Relay(ThreadingHTTPServer):
    """Adds `delay_s` to every answer of `upstream` (host:port)."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, upstream: str, delay_s: float) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.upstream = upstream
        self.delay_s = delay_s
        self.relayed: list[str] = []
        self.lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    """One connection of a client, and one to the upstream for as long as it lasts."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Relay

    def setup(self) -> None:
        super().setup()
        self.upstream = http.client.HTTPConnection(self.server.upstream, timeout=60)

    def finish(self) -> None:
        self.upstream.close()
        super().finish()

    def _relay(self) -> None:
        if self.path == "/relayed":
            with self.server.lock:
                answer, self.server.relayed = json.dumps(self.server.relayed).encode(), []
            self._answer(200, [("Content-Type", "application/json")], answer)
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.upstream.request(self.command, self.path, body, dict(self.headers.items()))
        got = self.upstream.getresponse()
        answer = got.read()
        time.sleep(self.server.delay_s)
        with self.server.lock:
            self.server.relayed.append(self._name(body))
        self._answer(got.status, [(k, v) for k, v in got.getheaders() if k.lower() not in HOP_BY_HOP], answer)

    def _name(self, body: bytes) -> str:
        """Equal for two requests that ask the same of the same account and region."""
        scope = self.headers.get("Authorization", "").partition("Credential=")[2].partition(",")[0]
        target = self.headers.get("X-Amz-Target", "")
        digest = hashlib.sha256(body).hexdigest()[:12]
        return f"{scope} {self.command} {self.path} {target} {digest}"

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _relay  # noqa: N815  the names that http.server looks for

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  http.server's own name
        """Say nothing: the output is the address alone."""


def main() -> None:
    relay = Relay(urlsplit(sys.argv[1]).netloc, float(sys.argv[2]) / 1000)
    threading.Thread(target=relay.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{relay.server_port}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
