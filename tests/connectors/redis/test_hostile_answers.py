"""Answers that no Redis gives on demand, from a server that says whatever it is told."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quub_audit.connectors.base import DEADLINE, QUESTION_TIMEOUT_S, Deadline, Ledger
from quub_audit.connectors.redis_server import RedisConnector
from quub_audit.connectors.redis_wire import Wire
from quub_audit.errors import Denied, Malformed, NotTls, Reportable, Throttled, TimedOut, Unreachable, Unsupported
from quub_audit.facts.seal import Redactor
from quub_audit.model.environment import Cache
from tests.worlds.tls import Peer, server

INFO = b"# Replication\r\nrole:master\r\nconnected_slaves:0\r\n"


def bulk(text: bytes) -> bytes:
    return b"$%d\r\n%s\r\n" % (len(text), text)


@contextlib.contextmanager
def saying(*answers: bytes, ends: bool = False) -> Iterator[Peer]:
    """A server with one answer after another for whatever is sent, the last one again and again."""

    def behave(connection: socket.socket, _: int) -> None:
        number = 0
        while received := connection.recv(65536):
            for _command in range(max(1, received.count(b"*"))):
                connection.sendall(answers[min(number, len(answers) - 1)])
                number += 1
            if ends:
                return

    with server(behave) as peer:
        yield peer


def look(peer: Peer, *, seconds: float = 20.0, **changes: object) -> object:
    cache = Cache(name="c", addresses=(peer.place,), is_tls=False, **changes)  # type: ignore[arg-type]
    token = DEADLINE.set(Deadline(seconds))
    try:
        return RedisConnector((cache,), Ledger(), Redactor()).topology(cache)
    finally:
        DEADLINE.reset(token)


def test_what_such_a_server_may_well_say_is_read() -> None:
    with saying(bulk(INFO)) as peer:
        assert "role='master'" in repr(look(peer))


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x00\x01\x02\r\n",
        b"$99999999999999999999\r\n",
        b"$x\r\n",
        b"$-x\r\n",
        b"*99999999\r\n",
        b"*1\r\n" * 20,
        b":12\r\n",
        b"*0\r\n",
        bulk(b""),
        bulk(b"<script>alert(1)</script>\r\nrole:<b>"),
        bulk(b"role:sentinel\r\n"),
    ],
)
def test_what_is_no_answer_is_malformed(answer: bytes) -> None:
    with saying(answer) as peer, pytest.raises(Malformed):
        look(peer)


def test_an_answer_without_end_is_cut_off() -> None:
    with saying(b"+" + b"a" * 5_000_000) as peer, pytest.raises(Malformed):
        look(peer)


def test_a_list_that_announces_more_than_comes_ends_with_the_time() -> None:
    began = time.monotonic()
    with saying(b"*1000\r\n:1\r\n", b"") as peer, pytest.raises(TimedOut):
        look(peer, seconds=1.5)

    assert time.monotonic() - began < QUESTION_TIMEOUT_S


def test_a_server_that_drips_is_given_up_in_time() -> None:
    stop = threading.Event()

    def behave(connection: socket.socket, _: int) -> None:
        connection.recv(65536)
        while not stop.wait(0.05):
            connection.sendall(b"+")

    began = time.monotonic()
    with server(behave) as peer:
        with pytest.raises(TimedOut):
            look(peer, seconds=1.0)
        stop.set()

    assert time.monotonic() - began < QUESTION_TIMEOUT_S


def test_a_silent_server_is_given_up_in_time() -> None:
    with saying(b"") as peer, pytest.raises(TimedOut):
        look(peer, seconds=1.0)


def test_a_silent_server_gives_no_handshake_in_time() -> None:
    with saying(b"") as peer:
        cache = Cache(name="c", addresses=(peer.place,))
        token = DEADLINE.set(Deadline(1.0))
        try:
            with pytest.raises(TimedOut):
                RedisConnector((cache,), Ledger(), Redactor()).topology(cache)
        finally:
            DEADLINE.reset(token)


def test_a_server_that_hangs_up_is_unreachable() -> None:
    with server(lambda connection, _: connection.close()) as peer, pytest.raises(Unreachable):
        look(peer)


def test_an_alert_of_tls_tells_that_tls_is_wanted() -> None:
    with saying(b"\x15\x03\x03\x00\x02\x02\x46") as peer, pytest.raises(NotTls, match="speaks TLS alone"):
        look(peer)


@pytest.mark.parametrize(
    ("said", "kind", "told"),
    [
        ("LOADING Redis is loading the dataset in memory", Unreachable, "LOADING"),
        ("MASTERDOWN Link with MASTER is down", Unreachable, "MASTERDOWN"),
        ("CLUSTERDOWN The cluster is down", Unreachable, "CLUSTERDOWN"),
        ("DENIED Redis is running in protected mode because", Denied, "protected mode"),
        ("ERR max number of clients reached", Throttled, "no more clients"),
        ("ERR unknown command 'INFO'", Unsupported, "does not answer INFO"),
        ("NOAUTH Authentication required.", Denied, "wants a password"),
        ("NOPERM this user has no permissions to run the 'info' command", Denied, "denied INFO"),
        ("", Unsupported, "does not answer INFO"),
        ("ERR \x1b[31m<b>\x00", Unsupported, "?"),
    ],
)
def test_an_error_of_the_server_is_told_by_what_it_means(said: str, kind: type[Reportable], told: str) -> None:
    with saying(b"-" + said.encode() + b"\r\n") as peer, pytest.raises(kind, match=told.replace("?", r"\?")) as caught:
        look(peer)

    assert caught.value.message.isprintable()


def test_a_cluster_that_names_impossible_nodes_is_asked_at_the_declared_one_alone() -> None:
    about = bulk(b"cluster_state:ok\r\ncluster_slots_ok:x\r\n")
    node = b"*4\r\n" + bulk(b"ip") + bulk(b"a b\x00") + bulk(b"port") + b":99999\r\n"
    shards = b"*1\r\n*2\r\n" + bulk(b"nodes") + b"*1\r\n" + node
    with saying(about, shards) as peer, pytest.raises(Reportable):
        look(peer, mode="cluster")


def test_a_cluster_before_redis_7_is_found_by_its_slots() -> None:
    places: list[int] = []

    def behave(connection: socket.socket, _: int) -> None:
        answers = {
            b"SHARDS": b"-ERR Unknown subcommand or wrong number of arguments for 'shards'\r\n",
            b"SLOTS": b"*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n" + bulk(b"127.0.0.1") + b":%d\r\n" % places[0] + bulk(b"id"),
            b"CLUSTER": bulk(b"cluster_state:ok\r\ncluster_slots_ok:16384\r\n"),
            b"PING": b"+PONG\r\n",
        }
        while received := connection.recv(65536):
            answer = next((text for name, text in answers.items() if name in received), bulk(INFO))
            connection.sendall(answer)

    with server(behave) as peer:
        places.append(peer.port)
        found = look(peer, mode="cluster")

    assert "cluster_slots_ok=16384" in repr(found)
    assert f"address='127.0.0.1:{peer.port}'" in repr(found)


def test_a_scan_that_never_ends_is_ended() -> None:
    """Every SCAN has a next cursor and no key: the rounds are counted."""

    def behave(connection: socket.socket, _: int) -> None:
        while received := connection.recv(65536):
            if b"SCAN" in received:
                connection.sendall(b"*2\r\n" + bulk(b"7") + b"*0\r\n")
            elif b"DBSIZE" in received:
                connection.sendall(b":5\r\n")
            else:
                connection.sendall(bulk(INFO) * max(1, received.count(b"*")))

    began = time.monotonic()
    with server(behave) as peer:
        cache = Cache(name="c", addresses=(peer.place,), is_tls=False)
        found = RedisConnector((cache,), Ledger(), Redactor()).sample(cache, keys=10)

    assert (found.keys, found.total_keys) == (0, 5)
    assert time.monotonic() - began < QUESTION_TIMEOUT_S


@given(
    st.one_of(
        st.binary(max_size=300),
        st.text(alphabet="+-:$*0123456789\r\nOK", max_size=200).map(str.encode),
    )
)
def test_whatever_comes_is_an_answer_or_an_error_that_can_be_reported(answer: bytes) -> None:
    ours, theirs = socket.socketpair()
    with Wire("cache:6379", ours) as wire, theirs:
        theirs.sendall(answer)
        theirs.shutdown(socket.SHUT_WR)
        assert said(wire).isprintable()


def said(wire: Wire) -> str:
    """How many answers came, or what went wrong."""
    try:
        return str(len(wire.ask(("PING",))))
    except Reportable as error:
        return error.message
