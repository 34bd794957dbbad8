"""The HTTP connector against servers that break off, stall, lie or say too much."""

from __future__ import annotations

import gzip
import ssl
import time
import tracemalloc
import zlib
from collections.abc import Callable

import pytest

from quub_audit.connectors.base import DEADLINE, QUESTION_TIMEOUT_S, Deadline
from quub_audit.connectors.http import HttpConnector
from quub_audit.errors import Malformed, NotTls, TimedOut, Unreachable
from quub_audit.facts.http import HttpAnswer, Reach
from tests.worlds.web import Names, Script, Visit, answer, closed_port, endpoint_at, saying, serve, silent_port

MIB = 1024 * 1024


def test_a_gzip_bomb_is_cut_and_does_not_fill_the_memory(http: HttpConnector, names: Names) -> None:
    bomb = gzip.compress(b"\0" * 200 * MIB, 9)
    twice = gzip.compress(gzip.compress(b"\0" * 500 * MIB, 1), 9)
    assert len(bomb) < MIB
    script: Script = lambda visit: visit.socket.sendall(  # noqa: E731
        answer(200, bomb, ("Content-Encoding", "gzip"))
        if visit.path == "/once"
        else answer(200, twice, ("Content-Encoding", "gzip, gzip"))
    )

    with serve(script, tls=names.context("api.shop.test")) as server:
        tracemalloc.start()
        try:
            once, both = (http.get(endpoint_at(server, ""), path) for path in ("/once", "/twice"))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert (len(once.body), once.is_truncated) == (MIB, True)
    assert both.is_truncated
    assert len(both.body) <= MIB
    assert peak < 40 * MIB


def test_a_body_of_countless_empty_gzip_members_takes_no_time(http: HttpConnector, names: Names) -> None:
    body = gzip.compress(b"") * 50_000
    with serve(saying(answer(200, body, ("Content-Encoding", "gzip"))), tls=names.context("a.test")) as server:
        began = time.monotonic()
        got = http.get(endpoint_at(server, ""))

    assert (got.body, got.is_truncated) == ("", True)
    assert time.monotonic() - began < QUESTION_TIMEOUT_S


@pytest.mark.parametrize("coding", ["br", "zstd", "no-such", "gzip, gzip, gzip"])
def test_a_coding_that_was_not_asked_for_leaves_the_body_out_and_says_so(
    http: HttpConnector, names: Names, coding: str
) -> None:
    said = answer(200, b"\x0b\x02\x80hi\x03", ("Content-Encoding", coding), ("X-Kept", "1"))
    with serve(saying(said), tls=names.context("api.shop.test")) as server:
        got = http.get(endpoint_at(server, ""))

    assert (got.status, got.body, got.is_truncated, got.header("x-kept")) == (200, "", True, "1")


def test_a_compressed_body_that_ends_too_early_is_marked_as_cut(http: HttpConnector, names: Names) -> None:
    whole = gzip.compress(b"start" + bytes(range(256)) * 64)
    with serve(
        saying(answer(200, whole[:-20], ("Content-Encoding", "gzip"))), tls=names.context("api.shop.test")
    ) as server:
        got = http.get(endpoint_at(server, ""))

    assert got.body.startswith("start")
    assert got.is_truncated


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (answer(200, b"no gzip at all", ("Content-Encoding", "gzip")), "a body that is no gzip"),
        (
            answer(200, zlib.compress(b"x" * 99)[:9] + b"\xff" * 9, ("Content-Encoding", "deflate")),
            "that is no deflate",
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", "breaks off"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "breaks off"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n", "cannot be read"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 40 + b"\r\n", "cannot be read"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "cannot be read"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nab", "cannot be read"),
        (b"HTTP/1.1 200 OK\r\nContent Length: 1\r\n\r\nab", "cannot be read"),
        (b"HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n", "cannot be read"),
        (b"HTTP/1.1 999999 OK\r\n\r\n", "cannot be read"),
        (b"HTTP/1.1 OK\r\n\r\n", "cannot be read"),
        (b"HTTP/1.1 200 OK\r\nX: y\r\n", "breaks off"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 300_000 + b"\r\n\r\n", "cannot be read"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 300 + b"Content-Length: 0\r\n\r\n", "sends 301 headers"),
        (b"HTTP/1.1 103 Early\r\n\r\n" * 300_000, "comes to no answer"),
    ],
)
def test_http_that_cannot_be_read_is_malformed_whichever_way_it_is_asked(
    http: HttpConnector, names: Names, said: bytes, text: str
) -> None:
    with serve(saying(said), tls=names.context("api.shop.test")) as server, serve(saying(said)) as plain:
        endpoint = endpoint_at(server, plain)
        for ask, place in ((http.get, server.place), (http.get_plain, plain.place)):
            with pytest.raises(Malformed, match=text) as raised:
                ask(endpoint)
            assert raised.value.message.startswith(f"api: {place} ")
            assert raised.value.message.isprintable()
            assert len(raised.value.message) < 300


@pytest.mark.parametrize(
    "said",
    [
        b"<html>HTTP/0.9 had no headers</html>",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"220 mail.shop.test ESMTP\r\n",
        b"\x15\x03\x01\x00\x02\x02\x50",
        b"\x1b[31m\r\n\0\xff",
        b"hTTP/1.1 200 OK\r\n\r\n",
    ],
)
def test_what_is_no_http_is_malformed_over_tls_and_an_open_port_without(
    http: HttpConnector, names: Names, said: bytes
) -> None:
    with serve(saying(said), tls=names.context("api.shop.test")) as server, serve(saying(said)) as plain:
        endpoint = endpoint_at(server, plain)

        assert http.get_plain(endpoint) is Reach.OPEN
        assert http.get_plain(endpoint, is_upgrade=True) is Reach.OPEN
        with pytest.raises(Malformed, match="something that is no HTTP"):
            http.get(endpoint)

    assert len(server.heads) == 1


@pytest.mark.parametrize("end", [Visit.reset, lambda visit: None])
def test_a_connection_that_always_ends_without_an_answer_is_malformed_over_tls_and_an_open_port_without(
    http: HttpConnector, names: Names, end: Callable[[Visit], None]
) -> None:
    with serve(end, tls=names.context("api.shop.test")) as server, serve(end) as plain:
        endpoint = endpoint_at(server, plain)

        assert http.get_plain(endpoint) is Reach.OPEN
        with pytest.raises(Malformed, match="ends the connection without an answer"):
            http.get(endpoint)

    assert (len(server.heads), len(plain.heads)) == (2, 2)


def test_a_reset_in_the_middle_of_a_body_is_malformed(http: HttpConnector, names: Names) -> None:
    def reset_midway(visit: Visit) -> None:
        visit.socket.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 1000)
        visit.stall(0.2)
        visit.reset()

    with (
        serve(reset_midway, tls=names.context("api.shop.test")) as server,
        pytest.raises(Malformed, match="breaks off"),
    ):
        http.get(endpoint_at(server, ""))

    assert len(server.heads) == 1


def test_control_characters_in_headers_are_replaced(http: HttpConnector) -> None:
    said = b"HTTP/1.1 200 OK\r\nX-Odd: a\x1b[31mb\x07\tc \xff\xc3\xbc\r\nX-Even: \xc3\xbc\r\nContent-Length: 0\r\n\r\n"
    with serve(saying(said)) as server:
        got = http.get_plain(endpoint_at("127.0.0.1", server))

    assert isinstance(got, HttpAnswer)
    assert got.header("x-odd") == "a\ufffd[31mb\ufffd\tc \u00ff\u00c3\u00bc"
    assert got.header("x-even") == "\u00fc"


# Servers that take their time


def trickle(visit: Visit) -> None:
    for byte in answer(200, b"x" * 100):
        visit.socket.sendall(bytes([byte]))
        visit.stall(0.05)


def trickle_the_body(visit: Visit) -> None:
    visit.socket.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while not visit.is_over.is_set():
        visit.socket.sendall(b"x")
        visit.stall(0.05)


@pytest.mark.parametrize("slow", [Visit.stall, trickle, trickle_the_body])
def test_a_server_that_is_silent_or_trickles_is_timed_out_as_a_whole(
    http: HttpConnector, names: Names, short_check: None, slow: Script
) -> None:
    began = time.monotonic()

    with (
        serve(slow, tls=names.context("api.shop.test")) as server,
        pytest.raises(TimedOut, match=r"^api: 127\.") as raised,
    ):
        http.get(endpoint_at(server, ""))

    assert time.monotonic() - began < QUESTION_TIMEOUT_S
    assert raised.value.next_step


def test_a_plain_port_that_answers_nothing_is_timed_out_and_no_refusal(http: HttpConnector, short_check: None) -> None:
    with (
        serve(Visit.stall, reads_head=False) as server,
        pytest.raises(TimedOut, match=r"took the connection and answered nothing"),
    ):
        http.get_plain(endpoint_at("127.0.0.1", server))


def test_a_handshake_that_is_never_answered_is_timed_out(http: HttpConnector, short_check: None) -> None:
    with serve(Visit.stall, reads_head=False) as server, pytest.raises(TimedOut, match=r"answered nothing in \d\.\d s"):
        http.get(endpoint_at(server, ""))


def test_the_end_of_the_run_ends_a_trickling_answer(http: HttpConnector, names: Names) -> None:
    deadline = Deadline(30)
    token = DEADLINE.set(deadline)

    def cancel_then_trickle(visit: Visit) -> None:
        deadline.cancel()
        trickle_the_body(visit)

    began = time.monotonic()
    try:
        with (
            serve(cancel_then_trickle, tls=names.context("api.shop.test")) as server,
            pytest.raises(TimedOut),
        ):
            http.get(endpoint_at(server, ""))
    finally:
        DEADLINE.reset(token)

    assert time.monotonic() - began < QUESTION_TIMEOUT_S


# Ports that are not what they were taken for


def test_a_refused_tls_port_is_unreachable_and_asked_once(http: HttpConnector) -> None:
    with closed_port() as place, pytest.raises(Unreachable, match=f"^api: {place} refuses connections"):
        http.get(endpoint_at(place, ""))


def test_a_filtered_port_is_unreachable_over_tls_and_filtered_without(http: HttpConnector, short_check: None) -> None:
    with silent_port() as place:
        assert http.get_plain(endpoint_at("127.0.0.1", place)) is Reach.FILTERED


def test_a_filtered_tls_port_is_unreachable(http: HttpConnector, short_check: None) -> None:
    with silent_port() as place, pytest.raises(Unreachable, match=f"^api: {place} takes no connection within"):
        http.get(endpoint_at(place, ""))


def test_an_address_without_a_way_is_unreachable_and_no_refusal(http: HttpConnector) -> None:
    endpoint = endpoint_at("[fe80::1]:443", "[fe80::1]:80")

    for ask in (http.get, http.get_plain):
        with pytest.raises(Unreachable, match=r"^api: \[fe80::1\]:\d+: no connection can be tried from here"):
            ask(endpoint)


def test_a_plain_server_asked_over_tls_is_not_tls(http: HttpConnector) -> None:
    with (
        serve(saying(answer(400)), reads_head=False) as server,
        pytest.raises(NotTls, match=r"^api: 127\.0\.0\.1:\d+ speaks no TLS"),
    ):
        http.get(endpoint_at(server, ""))


@pytest.mark.parametrize("end", [Visit.reset, lambda visit: None])
def test_a_server_that_ends_the_handshake_is_not_tls(http: HttpConnector, end: Script) -> None:
    with serve(end, reads_head=False) as server, pytest.raises(NotTls, match="instead of speaking TLS"):
        http.get(endpoint_at(server, ""))


def test_a_tls_server_asked_without_tls_is_an_open_port(http: HttpConnector, names: Names) -> None:
    with serve(saying(answer()), tls=names.context("api.shop.test")) as server:
        assert http.get_plain(endpoint_at("127.0.0.1", server)) is Reach.OPEN


def test_a_server_that_wants_a_client_certificate_is_unreachable(http: HttpConnector, names: Names) -> None:
    context = names.context("api.shop.test")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(names.ca_file)

    with serve(saying(answer()), tls=context) as server, pytest.raises(Unreachable, match="agreed to no TLS") as raised:
        http.get(endpoint_at(server, ""))

    assert "client certificates" in raised.value.next_step


def test_a_server_with_another_application_protocol_alone_is_unreachable(http: HttpConnector, names: Names) -> None:
    context = names.context("api.shop.test")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("PSK")

    with serve(saying(answer()), tls=context) as server, pytest.raises(Unreachable, match="agreed to no TLS"):
        http.get(endpoint_at(server, ""))


@pytest.mark.parametrize(
    "host",
    [
        "b\u00fccher..shop.test",
        "x y.test",
        ".shop.test",
        "shop..test",
        "a/b.test",
        "a\r\nX: y",
        "",
        "x" * 64,
        "x." * 128,
    ],
)
def test_a_host_that_is_no_name_is_malformed_and_nothing_is_sent(http: HttpConnector, host: str) -> None:
    with serve(saying(answer()), reads_head=False) as server:
        endpoint = endpoint_at(server, server, host=host)
        for ask in (http.get, http.get_plain):
            with pytest.raises(Malformed, match="is no host name"):
                ask(endpoint)

    assert not server.heads


def test_the_dot_of_the_root_is_no_part_of_the_name(http: HttpConnector, names: Names) -> None:
    with serve(saying(answer()), tls=names.context("api.shop.test")) as server:
        http.get(endpoint_at(server, "", host="api.shop.test."))

    assert server.header("host") == ["api.shop.test"]
