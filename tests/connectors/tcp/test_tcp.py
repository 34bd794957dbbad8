"""The TCP connector against ports that are open, closed and silent."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from quub_audit.connectors.base import DEADLINE, QUESTION_TIMEOUT_S, Deadline, Ledger
from quub_audit.connectors.codec import decode, encode
from quub_audit.connectors.names import split_host_port
from quub_audit.connectors.tcp import TcpConnector, is_connected_to_itself
from quub_audit.errors import TimedOut, Unreachable
from quub_audit.facts.asking import Tcp
from quub_audit.facts.http import Reach
from tests.worlds.web import Visit, closed_port, serve, silent_port


@pytest.fixture
def tcp() -> TcpConnector:
    return TcpConnector(Ledger())


@pytest.fixture
def short_check() -> Iterator[None]:
    """A check that has three seconds left."""
    token = DEADLINE.set(Deadline(3.0))
    yield
    DEADLINE.reset(token)


def test_it_implements_the_protocol_that_checks_see(tcp: TcpConnector) -> None:
    assert isinstance(tcp, Tcp)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_port_that_listens_is_open_and_is_sent_nothing(tcp: TcpConnector, host: str) -> None:
    received: list[bytes] = []

    with serve(lambda visit: received.append(visit.socket.recv(16)), host=host, reads_head=False) as server:
        assert tcp.reach(host, server.port) is Reach.OPEN

    assert received == [b""]


def test_a_port_that_resets_what_it_accepts_is_open(tcp: TcpConnector) -> None:
    with serve(Visit.reset, reads_head=False) as server:
        assert tcp.reach("127.0.0.1", server.port) is Reach.OPEN


def test_an_ipv6_address_may_stand_in_brackets(tcp: TcpConnector) -> None:
    with serve(lambda visit: None, host="::1", reads_head=False) as server:
        assert tcp.reach("[::1]", server.port) is Reach.OPEN


def test_a_port_where_nobody_listens_is_refused(tcp: TcpConnector) -> None:
    with closed_port() as place:
        assert tcp.reach(*split_host_port(place, 0)) is Reach.REFUSED


def test_a_port_that_does_not_answer_is_filtered_within_the_time(tcp: TcpConnector, short_check: None) -> None:
    began = time.monotonic()

    with silent_port() as place:
        assert tcp.reach(*split_host_port(place, 0)) is Reach.FILTERED

    assert time.monotonic() - began < QUESTION_TIMEOUT_S


def test_silence_that_was_too_short_to_tell_is_no_filter(tcp: TcpConnector) -> None:
    token = DEADLINE.set(Deadline(0.5))
    try:
        with silent_port() as place, pytest.raises(TimedOut, match=r"in the 0\.\d s that were left"):
            tcp.reach(*split_host_port(place, 0))
    finally:
        DEADLINE.reset(token)


def test_a_name_is_open_when_any_of_its_addresses_is(tcp: TcpConnector) -> None:
    with serve(lambda visit: None, reads_head=False) as server:
        assert tcp.reach("localhost", server.port) is Reach.OPEN


def test_an_unknown_name_is_unreachable(tcp: TcpConnector) -> None:
    with pytest.raises(Unreachable, match=r"no-such-host\.invalid: the name does not resolve"):
        tcp.reach("no-such-host.invalid", 443)


def test_an_address_that_this_machine_has_no_way_to_is_no_closed_port(tcp: TcpConnector) -> None:
    with pytest.raises(Unreachable, match="no connection can be tried from here") as raised:
        tcp.reach("fe80::1", 443)  # without a zone the kernel refuses it; nothing is sent

    assert "IPv6" in raised.value.next_step


def test_a_port_is_asked_once_a_run(tcp: TcpConnector) -> None:
    with serve(lambda visit: None, reads_head=False) as server:
        first = tcp.reach("127.0.0.1", server.port)
    second = tcp.reach("127.0.0.1", server.port)

    assert first is second is Reach.OPEN


def test_what_was_reached_survives_the_evidence_bundle() -> None:
    ledger = Ledger()
    with closed_port() as place:
        host, port = split_host_port(place, 0)
        TcpConnector(ledger).reach(host, port)
    recorded = dict(ledger.answered())
    for entry in recorded.values():
        entry.answer = decode(encode(entry.answer))

    assert TcpConnector(Ledger(recorded)).reach(host, port) is Reach.REFUSED


def test_a_connection_with_itself_is_told_from_one_with_a_peer() -> None:
    with serve(lambda visit: None, reads_head=False) as server, socket.socket() as alone:
        alone.bind(("127.0.0.1", 0))
        alone.connect(alone.getsockname())  # what Linux does by chance when both ports are the same

        assert is_connected_to_itself(alone)
        with socket.create_connection(("127.0.0.1", server.port)) as other:
            assert not is_connected_to_itself(other)
