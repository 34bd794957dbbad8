"""Answers that no Vault gives on demand, from a server that says whatever it is told."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from quub_audit.connectors.base import DEADLINE, Deadline, Ledger
from quub_audit.connectors.vault import ATTEMPTS, VaultConnector
from quub_audit.errors import Denied, Malformed, NotTls, Reportable, Throttled, TimedOut, Unreachable, Unsupported
from quub_audit.facts.seal import Redactor, Sealer
from quub_audit.model.environment import VaultServer

TOKEN = "token-of-the-test"


class Saying:
    """A loopback server with one answer, and the requests that it saw."""

    def __init__(self, status: int, body: bytes, headers: dict[str, str], *, stalls: bool, cuts: int) -> None:
        self.seen: list[tuple[str, str, str]] = []
        released = self.released = threading.Event()
        seen = self.seen

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                seen.append((self.command, self.path, self.headers.get("X-Vault-Token", "")))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body) + cuts))
                self.end_headers()
                if stalls:
                    released.wait(timeout=30)
                with contextlib.suppress(OSError):
                    self.wfile.write(body)

            do_GET = do_LIST = do_POST = do_PUT = do_DELETE = answer  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_port}"

    def target(self, **fields: str) -> VaultServer:
        return VaultServer(name="prod-vault", **{"address": self.address, "token": TOKEN, **fields})  # type: ignore[arg-type]


@contextlib.contextmanager
def saying(
    status: int,
    body: object = b"",
    headers: dict[str, str] | None = None,
    *,
    stalls: bool = False,
    cuts: int = 0,
) -> Iterator[Saying]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    server = Saying(status, raw, headers or {"Content-Type": "application/json"}, stalls=stalls, cuts=cuts)
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
def ask() -> Iterator[Callable[[VaultServer], object]]:
    connector = VaultConnector((), Ledger(), Sealer(b"salt", Redactor()))
    yield lambda server: connector.secret(server, "secret/production/quub")
    connector.close()


@pytest.mark.parametrize(
    ("status", "body", "error", "text"),
    [
        (200, b"<html>Welcome</html>", Malformed, "no answer of Vault"),
        (404, b"<html>Not found</html>", Malformed, "no answer of Vault"),
        (403, b"<html>Blocked</html>", Malformed, "no answer of Vault"),
        (404, {"message": "no route"}, Malformed, "no answer of Vault"),
        (200, b'{"data": {"current_', Malformed, "no answer of Vault"),
        (200, b"[" * 100_000, Malformed, "no answer of Vault"),
        (200, b"\xff\xfe\x00", Malformed, "no answer of Vault"),
        (200, {"data": ["a list"]}, Malformed, "holds no data"),
        (200, {"data": {"path": "secret/", "type": "kv", "filling": "x" * 5_000_000}}, Malformed, "longer than"),
        (429, {"errors": []}, Unreachable, "standby and answers 429"),
        (472, {"errors": []}, Unreachable, "standby and answers 472"),
        (473, {"errors": ["x"]}, Unreachable, r"standby and answers 473 \(x\)"),
        (501, {"errors": []}, Unreachable, "not initialised"),
        (503, {"errors": ["Vault is sealed"]}, Unreachable, "is sealed"),
        (500, {"errors": ["disk <b>full</b>\n\tnow"]}, Unreachable, r"500 \(disk <b>full</b> now\)"),
        (502, b"<html>Bad gateway</html>", Malformed, "502 and application/json"),
        (403, {"errors": ["permission denied"]}, Denied, "read of secret/metadata/production/quub was denied"),
        (418, {"errors": ["teapot"]}, Unsupported, "418"),
    ],
)
def test_what_is_no_answer_is_an_error_that_says_what_came(
    ask: Callable[[VaultServer], object], status: int, body: object, error: type[Reportable], text: str
) -> None:
    with saying(status, body) as server, pytest.raises(error, match=text) as raised:
        ask(server.target())

    assert raised.value.message.startswith("prod-vault: ")
    assert TOKEN not in raised.value.message


@pytest.mark.parametrize(
    "metadata",
    [
        {"versions": {"one": {"created_time": "2026-01-01T00:00:00Z"}}},
        {"versions": {"1": {}}},
        {"versions": {"1": {"created_time": "2026-01-01T00:00:00"}}},
        {"versions": {"1": {"created_time": 5}}},
        {"versions": [1]},
        {"current_version": {}, "versions": {"1": 7}},
        {"custom_metadata": "text"},
    ],
)
def test_metadata_of_the_wrong_shape_is_malformed(
    ask: Callable[[VaultServer], object], metadata: dict[str, object]
) -> None:
    mount = {"path": "secret/", "type": "kv", "options": {"version": "2"}}

    with saying(200, {"data": {**mount, **metadata}}) as server, pytest.raises(Malformed, match="cannot be read"):
        ask(server.target())


def test_an_answer_that_breaks_off_is_malformed(ask: Callable[[VaultServer], object]) -> None:
    with saying(200, b'{"data": {}}', cuts=100) as server, pytest.raises(Malformed, match="broke off"):
        ask(server.target())


def test_a_standby_that_redirects_gets_the_token_sent_nowhere(ask: Callable[[VaultServer], object]) -> None:
    with saying(200, {"data": {}}) as other:
        headers = {"Location": f"{other.address}/v1/secret/metadata/production/quub"}
        with saying(307, b"", headers) as standby, pytest.raises(Unreachable, match="standby that redirects to 127"):
            ask(standby.target())

    assert not other.seen


def test_only_get_is_ever_sent(ask: Callable[[VaultServer], object]) -> None:
    with saying(404, {"errors": []}) as server:
        assert ask(server.target()) is None

    assert {method for method, _, _ in server.seen} == {"GET"}
    assert {token for _, _, token in server.seen} == {TOKEN}


def test_a_rate_limit_is_tried_again_and_then_throttled(ask: Callable[[VaultServer], object]) -> None:
    with (
        saying(429, {"errors": ['request path "secret": rate limit quota exceeded']}) as server,
        pytest.raises(Throttled, match="quota exceeded"),
    ):
        ask(server.target())

    assert len(server.seen) == ATTEMPTS


def test_a_server_that_stalls_is_timed_out(ask: Callable[[VaultServer], object]) -> None:
    token = DEADLINE.set(Deadline(0.5))
    try:
        with saying(200, b"{}", stalls=True) as server, pytest.raises(TimedOut):
            ask(server.target())
    finally:
        DEADLINE.reset(token)


def test_a_port_where_nobody_listens_is_unreachable(ask: Callable[[VaultServer], object]) -> None:
    with saying(200) as server:
        target = server.target()

    with pytest.raises(Unreachable, match="no connection to"):
        ask(target)


def test_https_to_a_plain_port_is_not_tls(ask: Callable[[VaultServer], object]) -> None:
    with saying(200) as server, pytest.raises(NotTls, match="spoke no TLS"):
        ask(server.target(address=server.address.replace("http://", "https://")))


def test_an_address_that_is_none_is_unreachable(ask: Callable[[VaultServer], object]) -> None:
    with pytest.raises(Unreachable):
        ask(VaultServer(name="prod-vault", address="not an address", token=TOKEN))


def test_a_missing_ca_file_is_named(ask: Callable[[VaultServer], object], tmp_path: Path) -> None:
    target = VaultServer(
        name="prod-vault", address="https://127.0.0.1:9", token=TOKEN, ca_file=str(tmp_path / "gone.pem")
    )

    with pytest.raises(Unreachable, match=r"gone\.pem cannot be read"):
        ask(target)


def test_a_ca_file_without_certificates_is_named(ask: Callable[[VaultServer], object], tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("no certificate")
    target = VaultServer(
        name="prod-vault", address="https://127.0.0.1:9", token=TOKEN, ca_file=str(tmp_path / "empty.pem")
    )

    with pytest.raises(Unreachable, match=r"empty\.pem cannot be read"):
        ask(target)
