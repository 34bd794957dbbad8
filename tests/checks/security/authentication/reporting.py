"""An emulated AWS whose credential report is as real ones are: with a row of the root user, and hours old."""

from __future__ import annotations

import base64
import contextlib
import http.client
import threading
import urllib.parse
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HEADER = (
    "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,password_next_rotation,"
    "mfa_active,access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date,"
    "access_key_1_last_used_region,access_key_1_last_used_service,access_key_2_active,access_key_2_last_rotated,"
    "access_key_2_last_used_date,access_key_2_last_used_region,access_key_2_last_used_service,cert_1_active,"
    "cert_1_last_rotated,cert_2_active,cert_2_last_rotated,additional_credentials_info"
)
"""https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_getting-report.html"""


def row(user: str, account_id: str, **known: str) -> str:
    """One line of a report; what is not named is `N/A`, and false where it says yes or no."""
    arn = f"arn:aws:iam::{account_id}:" + ("root" if user == "<root_account>" else f"user/{user}")
    told = {"user": user, "arn": arn, **known}
    return ",".join(told.get(name, "false" if name.endswith("active") else "N/A") for name in HEADER.split(","))


@contextlib.contextmanager
def reporting(behind: str, content: bytes) -> Iterator[str]:
    """The address of a server that has this report, and passes on to `behind` whatever else is asked."""
    said = {
        "GenerateCredentialReport": "<State>COMPLETE</State>",
        "GetCredentialReport": f"<Content>{base64.b64encode(content).decode()}</Content>",
    }

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            action = urllib.parse.parse_qs(body.decode("utf-8", "replace")).get("Action", [""])[0]
            status, answer = (200, _xml(action, said)) if action in said else _passed_on(behind, self, body)
            with contextlib.suppress(OSError):
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)


def _xml(action: str, said: Mapping[str, str]) -> bytes:
    return f"<{action}Response><{action}Result>{said[action]}</{action}Result></{action}Response>".encode()


def _passed_on(behind: str, handler: BaseHTTPRequestHandler, body: bytes) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(behind.removeprefix("http://"), timeout=30)
    with contextlib.closing(connection):
        headers = {name: value for name, value in handler.headers.items() if name.lower() != "connection"}
        connection.request("POST", handler.path, body=body, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
