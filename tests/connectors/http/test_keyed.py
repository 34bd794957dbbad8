"""The one request that carries a key: to a server that proves its name, and from there nowhere."""

from __future__ import annotations

import hashlib
import hmac
import traceback
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from quub_audit.connectors.base import Ledger
from quub_audit.connectors.codec import encode
from quub_audit.connectors.http import HttpConnector
from quub_audit.errors import Absent, Malformed, NotTls, Refused, Unreachable
from quub_audit.facts.seal import STRUCK, Redactor, Sealer
from quub_audit.model.environment import Quub, SecretReference
from tests.worlds.web import Names, Script, Server, Visit, answer, closed_port, saying, serve

KEY = "pk_live_0123456789abcdef"
SECRET = "sk_live_fedcba9876543210"
REFERENCE = SecretReference(store="secrets-manager", name="production/quub")


@pytest.fixture
def connect(ledger: Ledger, redactor: Redactor) -> Callable[..., HttpConnector]:
    def build(values: Mapping[str, str] | None = None, *, allow_active: bool = True) -> HttpConnector:
        held = {"apiKey": KEY, "apiSecret": SECRET, "orgId": "org-1"} if values is None else values
        return HttpConnector(ledger, Sealer(b"salt", redactor), secret_values=lambda _: held, allow_active=allow_active)

    return build


def quub(server: Server | str, names: Names, **fields: Any) -> Quub:
    place = server if isinstance(server, str) else server.place
    return Quub(
        **{
            "api_url": "https://api.quub.test",
            "api_connect_to": place,
            "ca_file": names.ca_file,
            "probe_path": "/v1/account",
            **fields,
        }
    )


def knows(key: str) -> Script:
    """A server that answers 200 to `key` and 401 to any other."""
    return lambda visit: visit.socket.sendall(answer(200 if f": {key}\r\n".encode() in visit.head else 401))


def test_the_key_of_the_store_and_a_made_up_one_are_told_apart(
    connect: Callable[..., HttpConnector], names: Names
) -> None:
    http = connect()
    with serve(knows(KEY), tls=names.context("api.quub.test")) as server:
        assert http.get_keyed(quub(server, names), key=REFERENCE) == 200
        assert http.get_keyed(quub(server, names), key=None) == 401

    sent, made_up = server.header("x-api-key")
    assert sent == KEY
    assert len(made_up) == 32
    assert server.header("host") == ["api.quub.test", "api.quub.test"]


def test_the_request_is_signed_as_the_api_wants_it(connect: Callable[..., HttpConnector], names: Names) -> None:
    with serve(saying(answer()), tls=names.context("api.quub.test")) as server:
        target = quub(server, names, api_url="https://api.quub.test/base/", probe_path="account?of=us")
        connect().get_keyed(target, key=REFERENCE)

    stamp = server.header("x-timestamp")[0]
    signed = hmac.new(SECRET.encode(), f"{stamp}GET/base/account?of=us".encode(), hashlib.sha256).hexdigest()
    assert server.heads[0].startswith(b"GET /base/account?of=us HTTP/1.1\r\n")
    assert server.header("x-signature") == [signed]
    assert server.header("x-org-id") == ["org-1"]
    assert SECRET.encode() not in server.heads[0]


@pytest.mark.parametrize("values", [{"": KEY}, {"QUUB_API_KEY": KEY}, {"api_key": f" {KEY}\n", "note": "x"}])
def test_a_secret_without_more_fields_is_the_key_alone(
    connect: Callable[..., HttpConnector], names: Names, values: Mapping[str, str]
) -> None:
    with serve(saying(answer()), tls=names.context("api.quub.test")) as server:
        connect(values).get_keyed(quub(server, names), key=REFERENCE)

    assert server.header("x-api-key") == [KEY]
    assert not server.header("x-signature") + server.header("x-org-id")


def test_no_key_is_sent_unless_active_checks_are_allowed(connect: Callable[..., HttpConnector], names: Names) -> None:
    with serve(saying(answer()), tls=names.context("api.quub.test")) as server:
        for key in (REFERENCE, None):
            with pytest.raises(Refused, match="active checks are not allowed"):
                connect(allow_active=False).get_keyed(quub(server, names), key=key)

    assert not server.heads


def test_no_key_goes_to_a_server_that_does_not_prove_its_name(
    connect: Callable[..., HttpConnector], names: Names
) -> None:
    with serve(saying(answer()), tls=names.context("other.test")) as server:
        with pytest.raises(Unreachable, match="is not trusted: Hostname mismatch"):
            connect().get_keyed(quub(server, names), key=REFERENCE)
        with pytest.raises(Unreachable, match="is not trusted"):
            connect().get_keyed(quub(server, names, ca_file="", api_url="https://other.test"), key=REFERENCE)

    assert not server.heads


@pytest.mark.parametrize(
    "url",
    ["http://api.quub.test", "", "wss://api.quub.test", "https://", "https://a:x", "https://[::1", "https://a:99999"],
)
def test_no_key_is_sent_without_tls(connect: Callable[..., HttpConnector], names: Names, url: str) -> None:
    with serve(saying(answer())) as server, pytest.raises(Refused, match="no https:// address"):
        connect().get_keyed(quub(server, names, api_url=url), key=REFERENCE)

    assert not server.heads


def test_no_key_follows_a_redirect(connect: Callable[..., HttpConnector], names: Names) -> None:
    with serve(saying(answer(200))) as elsewhere:
        script = saying(answer(302, "", ("Location", f"http://{elsewhere.place}/")))
        with serve(script, tls=names.context("api.quub.test")) as server:
            assert connect().get_keyed(quub(server, names), key=REFERENCE) == 302

    assert not elsewhere.heads


def test_a_ca_file_that_cannot_be_read_is_named(connect: Callable[..., HttpConnector], names: Names) -> None:
    with pytest.raises(Unreachable, match=r"gone\.pem cannot be read"):
        connect().get_keyed(quub("127.0.0.1:9", names, ca_file=f"{names.folder}/gone.pem"), key=REFERENCE)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"user": KEY}, "holds no apiKey"),
        ({}, "holds no apiKey"),
        ({"apiKey": ""}, "holds no apiKey"),
        ({"apiKey": f"{KEY}\r\nX-Injected: 1"}, "no header can carry"),
        ({"apiKey": f"{KEY}\u00fc"}, "no header can carry"),
        ({"apiKey": KEY, "orgId": f"{KEY}\0"}, "no header can carry"),
    ],
)
def test_a_secret_that_is_no_key_is_malformed_without_its_value(
    connect: Callable[..., HttpConnector], names: Names, values: Mapping[str, str], text: str
) -> None:
    with (
        serve(saying(answer()), tls=names.context("api.quub.test")) as server,
        pytest.raises(Malformed, match=text) as raised,
    ):
        connect(values).get_keyed(quub(server, names), key=REFERENCE)

    assert not server.heads
    assert KEY not in "".join(traceback.format_exception(raised.value))


def test_the_key_stands_in_no_record_and_is_struck_from_outputs(
    connect: Callable[..., HttpConnector], ledger: Ledger, redactor: Redactor, names: Names
) -> None:
    def echo(visit: Visit) -> None:
        visit.socket.sendall(answer(200, visit.head, ("X-Echo", KEY)))

    with serve(echo, tls=names.context("api.quub.test")) as server:
        connect().get_keyed(quub(server, names), key=REFERENCE)

    recorded = str([(question, encode(entry.answer)) for question, entry in ledger.answered()])
    assert KEY not in recorded
    assert SECRET not in recorded
    assert redactor.clean(f"{KEY} {SECRET}") == f"{STRUCK} {STRUCK}"


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (saying(b"HTTP/1.1 200 OK\r\nX: " + KEY.encode() + b"\0\r\n\r\n"), Malformed),
        (saying(KEY.encode() * 9), Malformed),
        (Visit.reset, Malformed),
    ],
)
def test_no_error_quotes_the_key_even_when_the_server_does(
    connect: Callable[..., HttpConnector], redactor: Redactor, names: Names, script: Script, error: type[Exception]
) -> None:
    with serve(script, tls=names.context("api.quub.test")) as server, pytest.raises(error) as raised:
        connect().get_keyed(quub(server, names), key=REFERENCE)

    assert KEY not in redactor.clean("".join(traceback.format_exception(raised.value)))


def test_a_port_that_gives_no_tls_gets_no_key(connect: Callable[..., HttpConnector], names: Names) -> None:
    with closed_port() as place, pytest.raises(Unreachable, match="refuses connections"):
        connect().get_keyed(quub(place, names), key=REFERENCE)
    with serve(saying(answer()), reads_head=False) as server, pytest.raises(NotTls):
        connect().get_keyed(quub(server, names, probe_path="/other"), key=REFERENCE)


def test_what_the_store_says_is_passed_on(ledger: Ledger, redactor: Redactor, names: Names) -> None:
    def missing(_: SecretReference) -> Mapping[str, str]:
        raise Absent("production/quub does not exist")

    http = HttpConnector(ledger, Sealer(b"salt", redactor), secret_values=missing, allow_active=True)

    with pytest.raises(Absent, match="does not exist"):
        http.get_keyed(quub("127.0.0.1:9", names), key=REFERENCE)
