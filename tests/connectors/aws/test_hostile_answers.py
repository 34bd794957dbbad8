"""Answers that AWS does not give on demand, from a server that says whatever it is told."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from quub_audit.connectors import aws_transport
from quub_audit.connectors.aws import ATTEMPTS, AwsConnector
from quub_audit.connectors.base import ASKED, QUESTION_TIMEOUT_S, Ledger
from quub_audit.demo.authority import Authority
from quub_audit.errors import (
    Absent,
    Denied,
    Malformed,
    NotTls,
    Reportable,
    Throttled,
    TimedOut,
    Unreachable,
    Unsupported,
)
from quub_audit.model.environment import Account, Region
from tests.connectors.aws.conftest import Connect
from tests.worlds.cloud import KEYS

ACCOUNT_ID = "123456789012"
WHO = (
    "<GetCallerIdentityResponse><GetCallerIdentityResult>"
    f"<Arn>arn:aws:iam::{ACCOUNT_ID}:user/audit</Arn><UserId>A</UserId><Account>{ACCOUNT_ID}</Account>"
    "</GetCallerIdentityResult></GetCallerIdentityResponse>"
).encode()
DATABASES = (
    b"<DescribeDBInstancesResponse><DescribeDBInstancesResult><DBInstances/></DescribeDBInstancesResult>"
    b"</DescribeDBInstancesResponse>"
)
SECRETS = b'{"SecretList": [{"Name": "orders"}]}'
REGION = Region(account="prod", name="eu-central-1")


@dataclass
class Say:
    """One answer."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int = 0
    """Bytes that are promised and never sent."""
    stalls: bool = False
    trickles: bool = False
    closes: bool = False


class Saying:
    """A loopback server that knows who asks, and then says what it was told, the last of it for ever."""

    def __init__(self, answers: Sequence[Say]) -> None:
        self.seen: list[str] = []
        self.released = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if b"Action=GetCallerIdentity" in body:
                    outer.send(self, Say(body=WHO))
                    return
                outer.seen.append(f"{self.command} {self.path}")
                outer.send(self, answers[min(len(outer.seen), len(answers)) - 1])

            do_GET = do_POST = do_HEAD = answer  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.http.server_port}"

    def send(self, handler: BaseHTTPRequestHandler, say: Say) -> None:
        with contextlib.suppress(OSError):
            if say.closes:
                handler.close_connection = True
                handler.connection.shutdown(socket.SHUT_RDWR)
                return
            if say.stalls:
                self.released.wait(timeout=30)
            handler.send_response(say.status)
            for name, value in say.headers.items():
                handler.send_header(name, value)
            handler.send_header("Content-Length", str(len(say.body) + say.cut))
            handler.end_headers()
            for start in range(len(say.body)) if say.trickles else ():
                handler.wfile.write(say.body[start : start + 1])
                if self.released.wait(timeout=0.2):
                    break
            if not say.trickles:
                handler.wfile.write(say.body)
            if say.cut:
                handler.close_connection = True

    def account(self, **changes: Any) -> Account:
        parts: dict[str, Any] = {
            "name": "prod",
            "account_id": ACCOUNT_ID,
            "region_names": (REGION.name,),
            "endpoint_url": self.address,
        }
        return Account(**{**parts, **changes})


NO = Say(403)
OTHERS: dict[str, tuple[str, dict[str, str]]] = {
    "ec2": ("DescribeSubnets", {}),
    "iam": ("ListUsers", {}),
    "lambda": ("ListLayers", {}),
    "rds": ("DescribeDBClusters", {}),
    "s3": ("GetBucketPolicy", {"Bucket": "logs"}),
    "secretsmanager": ("DescribeSecret", {"SecretId": "orders"}),
}
"""A question for each service that no test means."""


@contextlib.contextmanager
def saying(*answers: Say) -> Iterator[Saying]:
    server = Saying(answers)
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.http.shutdown()
        server.http.server_close()
        thread.join(timeout=10)


@pytest.fixture
def ask(connect: Connect) -> Callable[..., Any]:
    """Asks one question of a server that says something."""

    def one(server: Saying, question: str = "rds.DescribeDBInstances", **parameters: Any) -> Any:
        return connect(server.account(), environ=dict(KEYS)).ask(question, region=REGION, **parameters)

    return one


def ready(connector: AwsConnector, service: str) -> AwsConnector:
    """The connector once its clients are made, which takes a busy machine seconds that belong to no deadline.

    The server's first answer is spent on it, and should be `NO`.
    """
    operation, parameters = OTHERS[service]
    with pytest.raises(Denied):
        connector.ask(f"{service}.{operation}", region=REGION, **parameters)
    return connector


@pytest.fixture
def ask_within(connect: Connect, deadline: Callable[[float], Any]) -> Callable[..., Any]:
    """Asks one question of a server that says `NO` and then something, under a deadline of some seconds."""

    def one(server: Saying, seconds: float, question: str = "rds.DescribeDBInstances") -> Any:
        connector = ready(connect(server.account(), environ=dict(KEYS)), question.partition(".")[0])
        deadline(seconds)
        return connector.ask(question, region=REGION)

    return one


def error_xml(code: str, message: str = "no") -> bytes:
    return f"<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>".encode()


def error_json(code: str, message: str = "no") -> bytes:
    return json.dumps({"__type": code, "message": message}).encode()


HTML = b"<!DOCTYPE html><html><body>Welcome</body></html>"


@pytest.mark.parametrize(
    ("question", "say", "error", "text"),
    [
        ("rds.DescribeDBInstances", Say(body=HTML), Unsupported, "200 and an HTML page"),
        ("rds.DescribeDBInstances", Say(404, HTML), Unsupported, "404 and an HTML page"),
        ("rds.DescribeDBInstances", Say(500, HTML), Unreachable, "500 and an HTML page"),
        ("secretsmanager.ListSecrets", Say(body=HTML), Unsupported, "200 and an HTML page"),
        ("lambda.ListFunctions", Say(body=b"  <html></html>"), Unsupported, "200 and an HTML page"),
        ("s3.ListBuckets", Say(body=HTML), Unsupported, "200 and an HTML page"),
        ("ec2.DescribeVpcs", Say(body=HTML), Unsupported, "200 and an HTML page"),
        ("rds.DescribeDBInstances", Say(body=DATABASES[:60]), Malformed, "cannot be read"),
        ("rds.DescribeDBInstances", Say(body=b""), Malformed, "not what the service speaks"),
        ("rds.DescribeDBInstances", Say(body=b"\xff\xfe\x00"), Malformed, "not what the service speaks"),
        ("rds.DescribeDBInstances", Say(body=b"<other/>"), Malformed, "not what the service speaks"),
        ("ec2.DescribeVpcs", Say(body=b"<DescribeDBInstancesResponse/>"), Malformed, "not what the service speaks"),
        ("s3.ListBuckets", Say(500, error_xml("InternalError")), Unreachable, "answered with 500"),
        ("secretsmanager.ListSecrets", Say(body=b""), Malformed, "not what the service speaks"),
        ("secretsmanager.ListSecrets", Say(body=SECRETS[:-5]), Malformed, "not what the service speaks"),
        ("secretsmanager.ListSecrets", Say(body=b"null"), Malformed, "not what the service speaks"),
        ("secretsmanager.ListSecrets", Say(body=b"[" * 100_000), Malformed, "not what the service speaks"),
        ("secretsmanager.ListSecrets", Say(body=b'{"SecretList": 5}'), Malformed, "cannot be read"),
        ("secretsmanager.ListSecrets", Say(body=b'{"SecretList": [5]}'), Malformed, "cannot be read"),
        (
            "secretsmanager.ListSecrets",
            Say(body=b'{"SecretList": [{"CreatedDate": "never"}]}'),
            Malformed,
            "cannot be read",
        ),
        ("lambda.ListFunctions", Say(body=b"[]"), Malformed, "cannot be read|not what the service speaks"),
        ("lambda.ListFunctions", Say(body=b""), Malformed, "not what the service speaks"),
        ("lambda.ListFunctions", Say(503, b"not json"), Unreachable, "answered with 503"),
        ("rds.DescribeDBInstances", Say(body=DATABASES, cut=100), Malformed, "broke off"),
        ("rds.DescribeDBInstances", Say(301, b"", {"Location": "http://127.0.0.1:1/"}), Unsupported, "301, a redirect"),
        ("rds.DescribeDBInstances", Say(403, error_xml("AccessDenied")), Denied, "grant rds:DescribeDBInstances"),
        ("secretsmanager.ListSecrets", Say(403, error_json("403")), Denied, "grant secretsmanager:ListSecrets"),
        ("rds.DescribeDBInstances", Say(403, b""), Denied, "grant rds:DescribeDBInstances"),
        ("ec2.DescribeVpcs", Say(403, b"Forbidden"), Denied, "grant ec2:DescribeVpcs"),
        ("rds.DescribeDBInstances", Say(503, b""), Unreachable, "answered with 503"),
        ("s3.ListBuckets", Say(403, b""), Denied, "grant s3:ListAllMyBuckets"),
        ("secretsmanager.ListSecrets", Say(403, b"{}"), Denied, "grant secretsmanager:ListSecrets"),
        (
            "rds.DescribeDBInstances",
            Say(403, error_xml("ExpiredToken")),
            Denied,
            "the credentials have expired",
        ),
        (
            "rds.DescribeDBInstances",
            Say(403, error_xml("SignatureDoesNotMatch", "Signature expired: 20200101 is now earlier")),
            Denied,
            "clock of this machine is wrong",
        ),
        (
            "rds.DescribeDBInstances",
            Say(403, error_xml("InvalidClientTokenId")),
            Denied,
            r"were not accepted \(InvalidClientTokenId\)",
        ),
        ("rds.DescribeDBInstances", Say(400, error_xml("OptInRequired")), Absent, "no subscription to the service"),
        ("secretsmanager.ListSecrets", Say(400, error_json("UnknownOperationException")), Unsupported, "not supported"),
        (
            "rds.DescribeDBInstances",
            Say(418, error_xml("Teapot", "short\n\tand stout")),
            Unsupported,
            "short and stout",
        ),
        ("secretsmanager.ListSecrets", Say(418, error_json("Teapot", "\x1b[31m\x00")), Unsupported, "418"),
    ],
)
def test_what_is_no_answer_is_an_error_that_says_what_came(
    ask: Callable[..., Any],
    deadline: Callable[[float], Any],
    question: str,
    say: Say,
    error: type[Reportable],
    text: str,
) -> None:
    deadline(60.0)
    with saying(say) as server, pytest.raises(error, match=text) as raised:
        ask(server, question)

    assert raised.value.message.startswith("prod")
    assert raised.value.message.isprintable()


def test_a_redirect_is_not_followed_and_no_signature_is_sent_elsewhere(ask: Callable[..., Any]) -> None:
    with saying(Say(body=DATABASES)) as other:
        to = {"Location": f"{other.address}/"}
        with saying(Say(307, b"", to)) as server, pytest.raises(Unsupported, match="307"):
            ask(server)

    assert other.seen == []


@pytest.mark.parametrize("busy", [Say(503, error_xml("ServiceUnavailable")), Say(502, HTML)], ids=["xml", "html"])
def test_two_times_busy_and_then_an_answer_is_an_answer_of_three_attempts(connect: Connect, busy: Say) -> None:
    ledger = Ledger()
    asked: dict[Any, int] = {}
    token = ASKED.set(asked)
    try:
        with saying(busy, busy, Say(body=DATABASES)) as server:
            answer = connect(server.account(), environ=dict(KEYS), ledger=ledger).ask(
                "rds.DescribeDBInstances", region=REGION
            )
    finally:
        ASKED.reset(token)

    assert answer == {"DBInstances": []}
    assert len(server.seen) == 3
    assert list(asked.values()) == [3]


@pytest.mark.parametrize(
    ("question", "say"),
    [
        ("rds.DescribeDBInstances", Say(400, error_xml("Throttling", "Rate exceeded"))),
        ("secretsmanager.ListSecrets", Say(400, error_json("ThrottlingException"))),
        ("lambda.ListFunctions", Say(429, b"{}")),
        ("s3.ListBuckets", Say(503, error_xml("SlowDown"))),
        (
            "ec2.DescribeVpcs",
            Say(503, b"<Response><Errors><Error><Code>RequestLimitExceeded</Code></Error></Errors></Response>"),
        ),
    ],
)
def test_throttling_in_every_dialect_is_throttled(ask_within: Callable[..., Any], question: str, say: Say) -> None:
    with saying(NO, say) as server, pytest.raises(Throttled, match="was put off by AWS"):
        ask_within(server, 6.0, question)

    assert len(server.seen) >= 3


def test_throttling_ends_by_the_deadline(ask_within: Callable[..., Any]) -> None:
    with saying(NO, Say(400, error_xml("Throttling"))) as server, pytest.raises(Throttled):
        ask_within(server, 3.0)

    assert len(server.seen) <= ATTEMPTS


def test_a_connection_that_is_closed_is_tried_again(ask: Callable[..., Any]) -> None:
    with saying(Say(closes=True), Say(body=DATABASES)) as server:
        assert ask(server) == {"DBInstances": []}

    assert len(server.seen) == 2


def test_a_connection_that_is_always_closed_is_unreachable_after_the_last_attempt(ask: Callable[..., Any]) -> None:
    with saying(Say(closes=True)) as server, pytest.raises(Unreachable, match="closed the connection"):
        ask(server)

    assert len(server.seen) == ATTEMPTS


def test_a_server_that_never_answers_ends_by_the_deadline(ask_within: Callable[..., Any]) -> None:
    began = time.monotonic()
    with saying(NO, Say(stalls=True)) as server, pytest.raises(TimedOut, match="gave no complete answer in"):
        ask_within(server, 3.0)

    assert time.monotonic() - began < QUESTION_TIMEOUT_S


def test_a_body_that_trickles_ends_by_the_deadline(ask_within: Callable[..., Any]) -> None:
    began = time.monotonic()
    with (
        saying(NO, Say(body=DATABASES, trickles=True)) as server,
        pytest.raises(TimedOut, match="gave no complete answer in"),
    ):
        ask_within(server, 3.0)

    assert time.monotonic() - began < QUESTION_TIMEOUT_S


@contextlib.contextmanager
def listening(speak: Callable[[socket.socket, threading.Event], None]) -> Iterator[str]:
    """A server of one connection at a time that says what `speak` sends."""
    done = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.1)

    def serve() -> None:
        while not done.is_set():
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    connection.settimeout(5)
                    speak(connection, done)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        done.set()
        thread.join(timeout=10)
        listener.close()


def account_at(url: str) -> Account:
    return Account(name="prod", account_id=ACCOUNT_ID, region_names=(REGION.name,), endpoint_url=url)


def test_a_head_that_trickles_ends_by_the_deadline(connect: Connect, deadline: Callable[[float], Any]) -> None:
    def speak(connection: socket.socket, done: threading.Event) -> None:
        connection.recv(4096)
        for byte in b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 1000:
            connection.send(bytes([byte]))
            if done.wait(timeout=0.1):
                return

    with listening(speak) as address:
        deadline(4.0)
        began = time.monotonic()
        with pytest.raises(TimedOut):
            connect(account_at(f"http://{address}"), environ=dict(KEYS)).ask("iam.ListUsers", region=REGION)

    assert time.monotonic() - began < QUESTION_TIMEOUT_S


def test_what_is_no_http_is_malformed(connect: Connect) -> None:
    def speak(connection: socket.socket, done: threading.Event) -> None:
        connection.recv(4096)
        connection.sendall(b"-ERR unknown command\r\n")

    with listening(speak) as address, pytest.raises(Malformed, match="is no HTTP"):
        connect(account_at(f"http://{address}"), environ=dict(KEYS)).ask("iam.ListUsers", region=REGION)


def test_plain_http_behind_an_https_address_is_no_tls(connect: Connect) -> None:
    def speak(connection: socket.socket, done: threading.Event) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    with listening(speak) as address, pytest.raises(NotTls, match="spoke no TLS that fits"):
        connect(account_at(f"https://{address}"), environ=dict(KEYS)).ask("iam.ListUsers", region=REGION)


def test_a_name_that_does_not_resolve_is_unreachable(connect: Connect) -> None:
    with pytest.raises(Unreachable, match=r"prod: no connection to nowhere\.invalid"):
        connect(account_at("http://nowhere.invalid"), environ=dict(KEYS)).ask("iam.ListUsers", region=REGION)


def test_a_certificate_of_an_unknown_authority_is_unreachable_and_says_what_to_set(
    connect: Connect, own_authority: tuple[Path, Path, Path]
) -> None:
    _, certificate, key = own_authority
    with serving_tls(certificate, key) as address, pytest.raises(Unreachable, match="is not trusted") as raised:
        connect(account_at(f"https://{address}"), environ=dict(KEYS)).ask("iam.ListUsers", region=REGION)

    assert "AWS_CA_BUNDLE" in raised.value.next_step


def test_the_bundle_of_the_environment_is_trusted(connect: Connect, own_authority: tuple[Path, Path, Path]) -> None:
    authority, certificate, key = own_authority
    environ = {**KEYS, "AWS_CA_BUNDLE": str(authority)}

    with serving_tls(certificate, key) as address:
        account = account_at(f"https://{address}")
        assert connect(account, environ=environ).caller(account) == f"arn:aws:iam::{ACCOUNT_ID}:user/audit"


def test_a_bundle_that_cannot_be_read_says_so(connect: Connect, tmp_path: Path) -> None:
    environ = {**KEYS, "AWS_CA_BUNDLE": str(tmp_path / "none.pem")}

    with pytest.raises(Unreachable, match=r"certificates in .*none.pem cannot be read") as raised:
        connect(account_at("https://127.0.0.1:1"), environ=environ).ask("iam.ListUsers", region=REGION)

    assert raised.value.next_step == "give AWS_CA_BUNDLE a PEM file"


@pytest.fixture
def own_authority(tmp_path: Path) -> tuple[Path, Path, Path]:
    """An authority, and a certificate of 127.0.0.1 that it signed, with its key."""
    authority = Authority()
    certificate, key = authority.issue("127.0.0.1").write(tmp_path, "server")
    return authority.write_ca(tmp_path), certificate, key


@contextlib.contextmanager
def serving_tls(certificate: Path, key: Path) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = Saying([Say()])
    server.http.socket = context.wrap_socket(server.http.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"127.0.0.1:{server.http.server_port}"
    finally:
        server.http.shutdown()
        server.http.server_close()
        thread.join(timeout=10)


def test_an_answer_without_end_is_cut_at_the_longest_that_is_read(connect: Connect) -> None:
    chunk = b"x" * 1024 * 1024

    def speak(connection: socket.socket, done: threading.Event) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        while not done.is_set():
            connection.sendall(chunk)

    with listening(speak) as address, pytest.raises(Malformed, match=f"longer than {aws_transport.MAX_BODY_BYTES}"):
        connect(account_at(f"http://{address}"), environ=dict(KEYS)).ask("iam.ListUsers", region=REGION)


def test_the_same_error_comes_to_everyone_and_the_question_is_not_sent_again(connect: Connect) -> None:
    with saying(Say(403, error_xml("AccessDenied"))) as server:
        connector: AwsConnector = connect(server.account(), environ=dict(KEYS))
        for _ in range(3):
            with pytest.raises(Denied):
                connector.ask("rds.DescribeDBInstances", region=REGION)

    assert len(server.seen) == 1


def test_credentials_that_are_valid_elsewhere_tell_of_a_region_that_is_off(connect: Connect) -> None:
    with saying(Say(403, error_xml("InvalidClientTokenId"))) as server:
        account = server.account(region_names=("eu-central-1", "me-south-1"))
        connector = connect(account, environ=dict(KEYS))
        with pytest.raises(Unsupported, match=r"prod/me-south-1: the region does not accept .* may not be enabled"):
            connector.ask("rds.DescribeDBInstances", region=account.regions[1])


def role_that_ends_in(seconds: int) -> Say:
    ends_at = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
    given = (
        "<AccessKeyId>ASIAQUUB</AccessKeyId><SecretAccessKey>secret-of-the-role</SecretAccessKey>"
        f"<SessionToken>token-of-the-role</SessionToken><Expiration>{ends_at}</Expiration>"
    )
    result = f"<AssumeRoleResult><Credentials>{given}</Credentials></AssumeRoleResult>"
    return Say(body=f"<AssumeRoleResponse>{result}</AssumeRoleResponse>".encode())


ROLE = f"arn:aws:iam::{ACCOUNT_ID}:role/audit"


def test_credentials_of_a_role_are_renewed_before_they_end(connect: Connect) -> None:
    with saying(role_that_ends_in(300), role_that_ends_in(3600), Say(body=DATABASES)) as server:
        account = server.account(role_arn=ROLE)
        answer = connect(account, environ=dict(KEYS)).ask("rds.DescribeDBInstances", region=REGION)

    assert answer == {"DBInstances": []}
    assert len(server.seen) == 3


def test_a_role_that_cannot_be_renewed_is_denied_and_says_so(connect: Connect) -> None:
    with saying(role_that_ends_in(300), Say(403, error_xml("AccessDenied"))) as server:
        account = server.account(role_arn=ROLE)
        with pytest.raises(Denied, match=f"prod: assuming {ROLE} was denied; grant sts:AssumeRole"):
            connect(account, environ=dict(KEYS)).ask("rds.DescribeDBInstances", region=REGION)


def test_an_identity_without_an_account_is_malformed(connect: Connect) -> None:
    body = b"<GetCallerIdentityResponse><GetCallerIdentityResult/></GetCallerIdentityResponse>"

    def speak(connection: socket.socket, done: threading.Event) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    with listening(speak) as address, pytest.raises(Malformed, match=r"prod: sts\.GetCallerIdentity named no account"):
        connect(account_at(f"http://{address}"), environ=dict(KEYS)).ask("iam.ListUsers", region=REGION)
