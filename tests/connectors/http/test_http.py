"""The HTTP connector against servers that do as they should."""

from __future__ import annotations

import dataclasses
import gzip
import ssl
import time
import warnings
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from quub_audit.connectors.base import ASKED, QUESTION_TIMEOUT_S, Ledger
from quub_audit.connectors.codec import decode, encode
from quub_audit.connectors.http import HttpConnector
from quub_audit.errors import Refused, Unreachable
from quub_audit.facts.asking import Http
from quub_audit.facts.http import HttpAnswer, Reach
from quub_audit.facts.seal import STRUCK, Redactor, Sealer
from tests.worlds.web import (
    Names,
    Visit,
    answer,
    closed_port,
    endpoint_at,
    find_nginx,
    free_port,
    nginx,
    saying,
    serve,
)

MIB = 1024 * 1024


def test_it_implements_the_protocol_that_checks_see(http: HttpConnector) -> None:
    assert isinstance(http, Http)


# Where it asks


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_it_asks_over_tls_at_an_ipv4_and_an_ipv6_address(http: HttpConnector, names: Names, host: str) -> None:
    with serve(saying(answer(200, "hello")), tls=names.context("api.shop.test"), host=host) as server:
        got = http.get(endpoint_at(server, ""), "/health")

    assert (got.status, got.body, got.is_truncated) == (200, "hello", False)
    assert got.url == "https://api.shop.test/health"
    assert got.address == server.place
    assert 0 < got.elapsed_s < 10


def test_the_declared_name_stands_in_sni_and_host_wherever_it_connects(http: HttpConnector, names: Names) -> None:
    asked: list[str | None] = []
    context = names.context("api.shop.test")
    context.sni_callback = lambda _socket, name, _context: asked.append(name)

    with serve(saying(answer()), tls=context) as server:
        http.get(endpoint_at(server, ""))
        http.get(endpoint_at(server, "", host="b\u00fccher.shop.test", port=8443, name="books"))

    assert asked == ["api.shop.test", "xn--bcher-kva.shop.test"]
    assert server.header("host") == ["api.shop.test", "xn--bcher-kva.shop.test:8443"]


def test_the_chain_is_verified_where_that_is_asked_for_and_that_is_a_question_of_its_own(
    http: HttpConnector, names: Names
) -> None:
    with serve(saying(answer()), tls=names.context("api.shop.test")) as server:
        distrusted = endpoint_at(server, "")
        trusted = replace(distrusted, ca_file=names.ca_file)

        assert http.get(distrusted).status == 200
        assert http.get(trusted, is_verified=True).status == 200
        with pytest.raises(Unreachable, match="is not trusted"):
            http.get(replace(distrusted, name="other"), is_verified=True)
        with pytest.raises(Unreachable, match=r"Hostname mismatch"):
            http.get(replace(trusted, host="elsewhere.test", name="third"), is_verified=True)


def test_two_addresses_of_one_name_are_asked_apart(http: HttpConnector, names: Names) -> None:
    context = names.context("localhost")
    with (
        serve(saying(answer(200, "four")), tls=context) as four,
        serve(saying(answer(200, "six")), tls=context, host="::1") as six,
    ):
        endpoint = endpoint_at("", "", host="localhost", port=four.port)
        bodies = [http.get(endpoint, address=place).body for place in ("127.0.0.1", f"[::1]:{six.port}")]

    assert bodies == ["four", "six"]


def test_addresses_are_those_of_the_name_without_a_port(http: HttpConnector) -> None:
    found = http.addresses(endpoint_at("", "", host="localhost"))

    assert found[0] == "127.0.0.1"
    assert set(found) <= {"127.0.0.1", "::1"}


def test_addresses_are_those_that_connect_to_leads_to(http: HttpConnector) -> None:
    assert http.addresses(endpoint_at("192.0.2.7:8443", "", name="a")) == ("192.0.2.7:8443",)
    assert http.addresses(endpoint_at("192.0.2.7", "", name="b")) == ("192.0.2.7:443",)
    assert http.addresses(endpoint_at("[2001:db8::7]:1", "", name="c")) == ("[2001:db8::7]:1",)
    assert http.addresses(endpoint_at("localhost:9", "", name="d"))[0] == "127.0.0.1:9"


def test_a_name_that_does_not_resolve_is_unreachable_and_names_the_endpoint(http: HttpConnector) -> None:
    endpoint = endpoint_at("", "", host="no-such-host.invalid")

    for ask in (http.addresses, http.get, http.get_plain):
        with pytest.raises(Unreachable, match=r"^api: no-such-host\.invalid: the name does not resolve"):
            ask(endpoint)


def test_plain_http_is_asked_at_port_80_of_the_address_unless_told_otherwise(http: HttpConnector, names: Names) -> None:
    with serve(saying(answer(403))) as server, closed_port() as elsewhere:
        endpoint = endpoint_at(elsewhere, server)
        got = http.get_plain(endpoint, "/x")

    assert isinstance(got, HttpAnswer)
    assert (got.status, got.url, got.address) == (403, "http://api.shop.test/x", server.place)
    assert server.header("host") == ["api.shop.test"]


# What it sends


def test_only_get_head_and_options_are_ever_sent(http: HttpConnector, names: Names) -> None:
    with serve(saying(answer(204)), tls=names.context("api.shop.test")) as server:
        endpoint = endpoint_at(server, "")
        for method in ("GET", "HEAD", "OPTIONS"):
            assert http.get(endpoint, method=method).status == 204
        for method in ("POST", "DELETE", "get", "GET / HTTP/1.1\r\nX: y"):
            with pytest.raises(Refused, match="was not sent"):
                http.get(endpoint, method=method)  # type: ignore[arg-type]

    assert [head.split(b" ")[0] for head in server.heads] == [b"GET", b"HEAD", b"OPTIONS"]


def test_it_says_who_asks_and_sends_no_credential(http: HttpConnector, names: Names) -> None:
    with serve(saying(answer()), tls=names.context("api.shop.test")) as secure, serve(saying(answer())) as plain:
        endpoint = endpoint_at(secure, plain)
        http.get(endpoint)
        http.get_plain(endpoint)
        http.get_plain(endpoint, is_upgrade=True)

    for server in (secure, plain):
        assert all(value.startswith("quub-audit/") for value in server.header("user-agent"))
        assert not server.header("authorization") + server.header("cookie") + server.header("x-api-key")


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("", "/"),
        ("health", "/health"),
        ("/a b\r\nX-Injected: 1", "/a%20b%0D%0AX-Injected:%201"),
        ("/b\u00fccher?q=\u00fc#part", "/b%C3%BCcher?q=%C3%BC"),
        ("/%2e%2e/x", "/%2e%2e/x"),
        ("//other.test/x", "//other.test/x"),
        ("https://other.test/x", "/https://other.test/x"),
    ],
)
def test_a_path_goes_into_the_request_line_and_nowhere_else(
    http: HttpConnector, names: Names, path: str, target: str
) -> None:
    with serve(saying(answer()), tls=names.context("api.shop.test")) as server:
        http.get(endpoint_at(server, ""), path)

    assert server.heads[0].split(b"\r\n")[0].decode() == f"GET {target} HTTP/1.1"
    assert server.header("host") == ["api.shop.test"]
    assert not server.header("x-injected")


def test_proxies_of_the_process_environment_are_not_used(
    http: HttpConnector, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(saying(answer(200, "direct")), tls=names.context("api.shop.test")) as server, closed_port() as proxy:
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "HTTP_PROXY"):
            monkeypatch.setenv(name, f"http://{proxy}")

        assert http.get(endpoint_at(server, "")).body == "direct"


def test_query_values_stand_in_no_question_and_no_answer(
    http: HttpConnector, ledger: Ledger, redactor: Redactor, names: Names
) -> None:
    with serve(saying(answer()), tls=names.context("api.shop.test")) as server:
        got = http.get(endpoint_at(server, ""), "/x?api_token=abcdef123456&page=zweiundvierzig")
        http.get(endpoint_at(server, ""), "/x?api_token=abcdef654321&page=zweiundvierzig")

    assert [head.split(b" ")[1] for head in server.heads] == [
        b"/x?api_token=abcdef123456&page=zweiundvierzig",
        b"/x?api_token=abcdef654321&page=zweiundvierzig",
    ]
    assert got.url == "https://api.shop.test/x?api_token=...&page=..."
    recorded = str([(question, encode(entry.answer)) for question, entry in ledger.answered()])
    assert "abcdef" not in recorded
    assert "zweiundvierzig" not in recorded
    assert redactor.clean("abcdef123456 zweiundvierzig") == f"{STRUCK} zweiundvierzig"


# What it reads


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_observed_and_not_followed(http: HttpConnector, names: Names, status: int) -> None:
    with serve(saying(answer(200))) as elsewhere:
        location = f"http://{elsewhere.place}/next"
        script = saying(answer(status, "", ("Location", location)))
        with serve(script, tls=names.context("api.shop.test")) as server:
            got = http.get(endpoint_at(server, ""))

    assert (got.status, got.header("Location")) == (status, location)
    assert not elsewhere.heads


def test_repeated_headers_are_kept_in_their_order(http: HttpConnector, names: Names) -> None:
    first, second = "max-age=31536000; includeSubDomains", "max-age=0"
    headers = (("Strict-Transport-Security", first), ("X-Other", "1"), ("strict-transport-security", second))
    with serve(saying(answer(200, "", *headers)), tls=names.context("api.shop.test")) as server:
        got = http.get(endpoint_at(server, ""))

    assert got.header("strict-transport-security") == first
    assert got.header_values("Strict-Transport-Security") == (first, second)
    assert [name for name, _ in got.headers] == [
        "content-length",
        "strict-transport-security",
        "x-other",
        "strict-transport-security",
    ]


def test_cookies_are_told_without_their_values(http: HttpConnector, redactor: Redactor) -> None:
    value = "c2Vzc2lvbi12YWx1ZQ=="
    cookies = [
        f"__Host-sid={value}; Path=/; Secure; HttpOnly; SameSite=Lax",
        "theme=dark;Max-Age = 60 ; Expires=Wed, 21 Oct 2026 07:28:00 GMT; secret-piece=leaked",
        "value-without-a-name",
        "",
    ]
    with serve(saying(answer(200, "", *(("Set-Cookie", cookie) for cookie in cookies)))) as server:
        got = http.get_plain(endpoint_at("127.0.0.1", server))

    assert isinstance(got, HttpAnswer)
    assert [cookie.name for cookie in got.cookies] == ["__Host-sid", "theme", "", ""]
    assert got.cookies[0].attributes == (("path", "/"), ("secure", ""), ("httponly", ""), ("samesite", "Lax"))
    assert got.cookies[1].attributes == (("max-age", "60"), ("expires", "Wed, 21 Oct 2026 07:28:00 GMT"))
    assert not got.header("set-cookie")
    assert not any(secret in str(got) for secret in (value, "dark", "leaked", "value-without-a-name"))
    assert redactor.clean(value) == STRUCK


def test_interim_answers_are_passed_over(http: HttpConnector, names: Names) -> None:
    said = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + answer(200, "at last")
    with serve(saying(said), tls=names.context("api.shop.test")) as server:
        got = http.get(endpoint_at(server, ""))

    assert (got.status, got.body) == (200, "at last")
    assert not got.header("link")


def test_a_chunked_body_is_put_together(http: HttpConnector, names: Names) -> None:
    said = answer(
        200, b"3\r\none\r\n4;x=y\r\n two\r\n0\r\nX: y\r\n\r\n", ("Transfer-Encoding", "chunked"), is_sized=False
    )
    with serve(saying(said), tls=names.context("api.shop.test")) as server:
        assert http.get(endpoint_at(server, "")).body == "one two"


def test_a_body_that_ends_with_the_connection_is_whole(http: HttpConnector, names: Names) -> None:
    with serve(saying(answer(200, "to the end", is_sized=False)), tls=names.context("api.shop.test")) as server:
        got = http.get(endpoint_at(server, ""))

    assert (got.body, got.is_truncated) == ("to the end", False)


def test_a_body_of_ten_megabytes_is_cut_at_one(http: HttpConnector, names: Names) -> None:
    with serve(saying(answer(200, b"x" * 10 * MIB)), tls=names.context("api.shop.test")) as server:
        got = http.get(endpoint_at(server, ""))

    assert (len(got.body), got.is_truncated) == (MIB, True)


def test_a_body_of_one_megabyte_is_whole(http: HttpConnector, names: Names) -> None:
    with serve(saying(answer(200, b"x" * MIB)), tls=names.context("api.shop.test")) as server:
        got = http.get(endpoint_at(server, ""))

    assert (len(got.body), got.is_truncated) == (MIB, False)


def zipped(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)  # the same in every process, since it stands in the test's name


def raw_deflate(data: bytes) -> bytes:
    engine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return engine.compress(data) + engine.flush()


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", zipped(b"small")),
        ("X-GZIP", zipped(b"sm") + zipped(b"all")),
        ("deflate", zlib.compress(b"small")),
        ("deflate", raw_deflate(b"small")),
        ("deflate, gzip", zipped(zlib.compress(b"small"))),
        ("identity", b"small"),
        ("", b"small"),
    ],
)
def test_compressed_bodies_are_read(http: HttpConnector, names: Names, coding: str, body: bytes) -> None:
    script = saying(answer(200, body, ("Content-Encoding", coding)))
    with serve(script, tls=names.context("api.shop.test")) as server:
        got = http.get(endpoint_at(server, ""))

    assert (got.body, got.is_truncated) == ("small", False)


@pytest.mark.parametrize(
    ("content_type", "body", "text"),
    [
        ("text/html; charset=utf-8", "gr\u00fc\u00df".encode(), "gr\u00fc\u00df"),
        ("text/html; charset=ISO-8859-1", "gr\u00fc\u00df".encode("latin-1"), "gr\u00fc\u00df"),
        ('text/html; Charset = "windows-1252"', "\u20ac".encode("cp1252"), "\u20ac"),
        ("text/html; charset=shift_jis", "\u3042".encode("shift_jis"), "\u3042"),
        ("text/html; charset=utf-16", "\u3042".encode("utf-16"), "\u3042"),
        ("", b"\xef\xbb\xbfmarked", "marked"),
        ("application/json", b"\xff\xfe{", "\ufffd\ufffd{"),
        ("text/html; charset=no-such", b"a\xffb", "a\ufffdb"),
        ("text/html; charset=punycode", b"a-b", "a-b"),
        ("text/html; charset=unicode_escape", rb"\x41", r"\x41"),
        ("text/html; charset=rot13", b"abc", "abc"),
        ("text/html; charset=hex", b"6162", "6162"),
        ("text/html; charset=../../etc/passwd", b"abc", "abc"),
    ],
)
def test_bodies_are_read_in_the_charset_that_is_named(
    http: HttpConnector, names: Names, content_type: str, body: bytes, text: str
) -> None:
    headers = [("Content-Type", content_type)] if content_type else []
    with serve(saying(answer(200, body, *headers)), tls=names.context("api.shop.test")) as server:
        assert http.get(endpoint_at(server, "")).body == text


@pytest.mark.parametrize("is_upgrade", [False, True])
def test_plain_ports_that_give_no_connection_say_how(http: HttpConnector, is_upgrade: bool) -> None:
    with closed_port() as place:
        assert http.get_plain(endpoint_at("127.0.0.1", place), is_upgrade=is_upgrade) is Reach.REFUSED


def test_a_websocket_that_opens_is_closed_without_a_frame(http: HttpConnector) -> None:
    received: list[bytes] = []

    def open_up(visit: Visit) -> None:
        visit.socket.sendall(answer(101, "", ("Upgrade", "websocket"), ("Connection", "Upgrade")) + b"\x81\x02hi")
        received.append(visit.socket.recv(64))

    with serve(open_up) as server:
        got = http.get_plain(endpoint_at("127.0.0.1", server), "/ws", is_upgrade=True)

    assert isinstance(got, HttpAnswer)
    assert (got.status, got.body) == (101, "")
    assert received == [b""]
    assert server.header("upgrade") == ["websocket"]
    assert server.header("connection") == ["Upgrade"]
    assert server.header("sec-websocket-version") == ["13"]
    assert [len(value) for value in server.header("sec-websocket-key")] == [24]
    assert server.header("origin") == ["https://api.shop.test"]


def test_a_websocket_that_is_refused_shows_its_status(http: HttpConnector) -> None:
    with serve(saying(answer(426, "", ("Upgrade", "TLS/1.2, HTTP/1.1")))) as server:
        got = http.get_plain(endpoint_at("127.0.0.1", server), is_upgrade=True)

    assert isinstance(got, HttpAnswer)
    assert got.status == 426


# Once a run, and again from the bundle


def test_a_question_is_asked_once_and_others_are_asked_apart(http: HttpConnector, names: Names) -> None:
    with serve(saying(answer()), tls=names.context("api.shop.test")) as server, serve(saying(answer())) as plain:
        endpoint = endpoint_at(server, plain)
        for _ in range(2):
            http.get(endpoint)
            http.get(endpoint, address=server.place)
            http.get(endpoint, method="HEAD")
            http.get(endpoint, "/b")
            http.get_plain(endpoint)
            http.get_plain(endpoint, is_upgrade=True)

    assert (len(server.heads), len(plain.heads)) == (3, 2)


def test_answers_survive_the_evidence_bundle(http: HttpConnector, ledger: Ledger, names: Names) -> None:
    headers = (("X-Odd", "a\u00fc"), ("Set-Cookie", "a=secret-of-the-cookie; Secure"))
    script = saying(answer(200, b"\x00\xff<script>\x1b[31m\r\n", *headers))

    def ask(connector: HttpConnector) -> list[Any]:
        return [
            connector.addresses(endpoint),
            connector.get(endpoint, "/a?b=c"),
            connector.get_plain(endpoint),
            connector.get_plain(endpoint, is_upgrade=True),
            connector.get_plain(dataclasses.replace(endpoint, connect_to_plain=closed)),
        ]

    with (
        serve(script, tls=names.context("api.shop.test")) as server,
        serve(script) as plain,
        closed_port() as closed,
    ):
        endpoint = endpoint_at(server, plain)
        before = ask(http)
    recorded = dict(ledger.answered())
    for entry in recorded.values():
        entry.answer = decode(encode(entry.answer))
    replaying = HttpConnector(
        Ledger(recorded), Sealer(b"other", Redactor()), secret_values=lambda _: {}, allow_active=False
    )

    assert ask(replaying) == before


# Tried once more


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_gateway_between_two_releases_is_asked_once_more_and_that_is_told(
    http: HttpConnector, names: Names, status: int
) -> None:
    said = [answer(status), answer(200, "new release")]
    asked: dict[Any, int] = {}
    token = ASKED.set(asked)
    try:
        with serve(lambda visit: visit.socket.sendall(said.pop(0)), tls=names.context("api.shop.test")) as server:
            assert http.get(endpoint_at(server, "")).body == "new release"
    finally:
        ASKED.reset(token)

    assert max(asked.values()) == 2


def test_a_gateway_that_stays_down_is_an_answer(http: HttpConnector, names: Names) -> None:
    with serve(saying(answer(503)), tls=names.context("api.shop.test")) as server:
        assert http.get(endpoint_at(server, "")).status == 503

    assert len(server.heads) == 2


def test_a_connection_that_is_reset_before_the_answer_is_made_again(http: HttpConnector, names: Names) -> None:
    visits: list[Visit] = []

    def reset_the_first(visit: Visit) -> None:
        visits.append(visit)
        visit.reset() if len(visits) == 1 else visit.socket.sendall(answer(200, "second"))

    with serve(reset_the_first) as plain:
        got = http.get_plain(endpoint_at("127.0.0.1", plain))

    assert isinstance(got, HttpAnswer)
    assert (got.body, len(visits)) == ("second", 2)


@pytest.mark.parametrize("status", [200, 404, 429, 500])
def test_other_answers_are_taken_at_once(http: HttpConnector, names: Names, status: int) -> None:
    with serve(saying(answer(status)), tls=names.context("api.shop.test")) as server:
        assert http.get(endpoint_at(server, "")).status == status

    assert len(server.heads) == 1


# TLS as it comes


def test_an_old_protocol_a_weak_suite_and_an_unknown_authority_keep_no_answer_away(
    http: HttpConnector, names: Names
) -> None:
    context = names.context("other.test")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
    context.set_ciphers("ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0")

    with serve(saying(answer(200, "old")), tls=context) as server:
        assert http.get(endpoint_at(server, "")).body == "old"


@pytest.mark.skipif(find_nginx() is None, reason="nginx is not installed")
def test_nginx_answers_over_tls_redirects_plain_http_and_minds_its_own_port(
    http: HttpConnector, names: Names, tmp_path: Path
) -> None:
    chain, key = names.authority.issue("api.shop.test").write(tmp_path, "server")
    (tmp_path / "index.html").write_text("words " * 10_000)
    secure, plain = free_port(), free_port()
    servers = f"""
        server {{ listen 127.0.0.1:{plain}; return 301 https://$host$request_uri; }}
        server {{
            listen 127.0.0.1:{secure} ssl; ssl_certificate {chain}; ssl_certificate_key {key}; root {tmp_path};
            add_header Strict-Transport-Security "max-age=31536000" always; gzip on;
        }}"""

    with nginx(tmp_path, servers, ports=(secure, plain)):
        endpoint = endpoint_at(f"127.0.0.1:{secure}", f"127.0.0.1:{plain}")
        page = http.get(endpoint, "/index.html")
        head = http.get(endpoint, "/index.html", method="HEAD")
        missing = http.get(endpoint, "/missing")
        redirect = http.get_plain(endpoint, "/a?b=c")
        crossed = http.get_plain(dataclasses.replace(endpoint, connect_to_plain=f"127.0.0.1:{secure}"))

    assert (page.status, page.body) == (200, "words " * 10_000)
    assert page.header("content-encoding") == "gzip"
    assert page.header("strict-transport-security") == "max-age=31536000"
    assert (head.status, head.body) == (200, "")
    assert missing.status == 404
    assert isinstance(redirect, HttpAnswer)
    assert (redirect.status, redirect.header("location")) == (301, "https://api.shop.test/a?b=c")
    assert isinstance(crossed, HttpAnswer)
    assert crossed.status == 400


def test_it_makes_no_connection_before_it_is_asked_and_keeps_none(http: HttpConnector, names: Names) -> None:
    ended: list[bytes] = []

    def wait_for_the_end(visit: Visit) -> None:
        visit.socket.sendall(answer(200, "x"))
        ended.append(visit.socket.recv(1))

    began = time.monotonic()
    with serve(wait_for_the_end) as server:
        http.get_plain(endpoint_at("127.0.0.1", server))

    assert ended == [b""]
    assert time.monotonic() - began < QUESTION_TIMEOUT_S
