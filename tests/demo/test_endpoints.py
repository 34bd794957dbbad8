from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from quub_audit.demo import endpoints
from quub_audit.demo.authority import Authority
from quub_audit.demo.credentials import Credentials
from quub_audit.demo.endpoints import (
    Asked,
    Service,
    closed_port,
    modern_tls,
    open_port,
    outdated_tls,
    quub_api,
    redirect_to,
    served,
    service,
    stream,
)

HOST = "orders.quub-app.example"
OLD_PROTOCOLS = "ignore:ssl.OP_NO_SSL:DeprecationWarning"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def client(authority: Authority) -> ssl.SSLContext:
    """Trusts the authority, and speaks every protocol that this machine can."""
    context = ssl.create_default_context(cadata=authority.ca_pem.decode())
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def without(context: ssl.SSLContext, *newer: ssl.Options) -> ssl.SSLContext:
    for option in newer:
        context.options |= option
    return context


NO_NEWER_THAN_1_0 = (ssl.OP_NO_TLSv1_3, ssl.OP_NO_TLSv1_2, ssl.OP_NO_TLSv1_1)


@contextlib.contextmanager
def connected(place: str, context: ssl.SSLContext) -> Iterator[ssl.SSLSocket]:
    host, _, port = place.partition(":")
    with (
        socket.create_connection((host, int(port)), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname=HOST) as secure,
    ):
        yield secure


def ask(
    place: str, path: str = "/", *, method: str = "GET", headers: Mapping[str, str] | None = None
) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(place, timeout=5)
    with contextlib.closing(connection):
        connection.request(method, path, headers=dict(headers or {}))
        answer = connection.getresponse()
        answer.body = answer.read()  # type: ignore[attr-defined]
        return answer


@pytest.mark.filterwarnings(OLD_PROTOCOLS)
def test_modern_tls_proves_its_name_and_refuses_tls_1_0(
    authority: Authority, client: ssl.SSLContext, tmp_path: Path
) -> None:
    with served(service("orders"), modern_tls(authority.issue(HOST), tmp_path, "orders")) as place:
        with connected(place, client) as secure:
            version = secure.version()

        assert version == "TLSv1.3"
        with (
            pytest.raises((ssl.SSLError, ConnectionResetError)),
            connected(place, without(client, *NO_NEWER_THAN_1_0)),
        ):
            pass


@pytest.mark.filterwarnings(OLD_PROTOCOLS)
def test_outdated_tls_accepts_tls_1_0(authority: Authority, client: ssl.SSLContext, tmp_path: Path) -> None:
    with (
        served(service("old"), outdated_tls(authority.issue(HOST), tmp_path, "old")) as place,
        connected(place, without(client, *NO_NEWER_THAN_1_0)) as secure,
    ):
        assert secure.version() == "TLSv1"


def test_an_expired_certificate_is_refused_by_a_client(
    authority: Authority, client: ssl.SSLContext, tmp_path: Path
) -> None:
    ended = authority.issue(HOST, begins_in=timedelta(days=-9), ends_in=timedelta(days=-1))

    with (
        served(service("ended"), modern_tls(ended, tmp_path, "ended")) as place,
        pytest.raises(ssl.SSLCertVerificationError, match="expired"),
        connected(place, client),
    ):
        pass


@pytest.mark.parametrize(("path", "status"), [("/", 200), ("/health", 200), ("/ready?deep=1", 200), ("/else", 404)])
def test_a_service_answers_its_paths_with_its_hsts_header(path: str, status: int) -> None:
    with served(service("orders", hsts="max-age=5")) as place:
        answer = ask(place, path)

    assert (answer.status, answer.headers["Strict-Transport-Security"]) == (status, "max-age=5")
    assert answer.headers["Server"] == "quub-app"


def test_a_login_page_begins_another_session_each_time_and_is_nowhere_else() -> None:
    with_page, without_page = service("console", has_login=True), service("orders")
    asked = Asked(method="GET", target="/login?next=/", headers={})

    cookies = {with_page(asked).headers["Set-Cookie"] for _ in range(3)}

    assert len(cookies) == 3
    assert all(
        cookie.startswith("__Host-session=") and "Secure; HttpOnly; SameSite=Lax" in cookie for cookie in cookies
    )
    assert without_page(asked).status == 404


def test_head_is_answered_without_a_body() -> None:
    with served(service("orders")) as place:
        answer = ask(place, method="HEAD")

    assert answer.status == 200
    assert int(answer.headers["Content-Length"]) > 0


def test_a_redirect_keeps_the_path_and_leads_to_https() -> None:
    with served(redirect_to(HOST)) as place:
        answer = ask(place, "/health")

    assert (answer.status, answer.headers["Location"]) == (301, f"https://{HOST}/health")


def test_a_stream_opens_a_websocket_by_the_sample_of_rfc_6455() -> None:
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}

    with served(stream("stream")) as place:
        opened = ask(place, headers=upgrade)
        plain = ask(place)

    assert (opened.status, opened.headers["Sec-WebSocket-Accept"]) == (101, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    assert plain.status == 200


def test_the_quub_api_accepts_what_is_signed_with_its_key_alone() -> None:
    right, wrong = Credentials(org_id="org_1"), Credentials(org_id="org_1")

    with served(quub_api(right)) as place:
        statuses = [
            ask(place, "/v1/account?deep=1", headers=headers).status
            for headers in (
                signed(right, "/v1/account?deep=1"),
                signed(right, "/v1/another"),
                signed(wrong, "/v1/account?deep=1"),
                {"X-API-Key": right.api_key},
                {},
            )
        ]

    assert statuses == [200, 401, 401, 401, 401]


def signed(credentials: Credentials, target: str) -> Mapping[str, str]:
    signature = hmac.new(credentials.api_secret.encode(), f"17GET{target}".encode(), hashlib.sha256).hexdigest()
    return {
        "X-API-Key": credentials.api_key,
        "X-Org-Id": credentials.org_id,
        "X-Timestamp": "17",
        "X-Signature": signature,
    }


@pytest.mark.parametrize("rubbish", [b"", b"\x16\x03\x01", b"\xff" * 70_000, b"GET / HTTP/1.1\r\n\r\n"])
@pytest.mark.parametrize("is_secure", [True, False])
def test_rubbish_on_a_connection_keeps_nobody_else_from_an_answer(
    rubbish: bytes, is_secure: bool, authority: Authority, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    context = modern_tls(authority.issue(HOST), tmp_path, "orders") if is_secure else None

    with served(service("orders"), context) as place:
        host, _, port = place.partition(":")
        with socket.create_connection((host, int(port)), timeout=5) as client, contextlib.suppress(OSError):
            client.sendall(rubbish)
        with socket.create_connection((host, int(port)), timeout=5):
            pass

    assert capsys.readouterr() == ("", "")


def test_a_silent_client_does_not_keep_a_server_from_ending(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoints, "_IDLE_S", 120)
    began = time.monotonic()
    with served(service("orders"), modern_tls(authority.issue(HOST), tmp_path, "orders")) as place:
        host, _, port = place.partition(":")
        client = socket.create_connection((host, int(port)), timeout=5)
        time.sleep(0.1)

    with client:
        assert client.recv(1) == b""
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("kind", [service("orders"), stream("stream")])
def test_a_server_that_ended_refuses_connections(kind: Service) -> None:
    with served(kind) as place:
        pass

    with pytest.raises(ConnectionRefusedError):
        ask(place)


def test_a_closed_port_refuses_and_is_nobody_elses() -> None:
    with closed_port() as port:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)
        with pytest.raises(OSError, match="in use"), socket.socket() as other:
            other.bind(("127.0.0.1", port))


def test_an_open_port_takes_connections_until_it_ends() -> None:
    with open_port() as port, socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        assert client.getpeername() == ("127.0.0.1", port)

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
