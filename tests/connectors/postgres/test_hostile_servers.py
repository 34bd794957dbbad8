"""Servers that are no PostgreSQL, or none that answers: from a socket that says whatever it is told."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from quub_audit.connectors.base import DEADLINE, QUESTION_TIMEOUT_S, Deadline
from quub_audit.connectors.postgres import PostgresConnector
from quub_audit.errors import Malformed, NotTls, Reportable, Unreachable
from quub_audit.model.environment import Database

WELCOME = b"R\x00\x00\x00\x08\x00\x00\x00\x00" + b"S\x00\x00\x00\x19client_encoding\x00UTF8\x00" + b"Z\x00\x00\x00\x05I"
"""AuthenticationOk, a parameter, ReadyForQuery."""


@contextlib.contextmanager
def saying(first: bytes, *, stays: bool = False) -> Iterator[int]:
    """A port where everyone is told `first`, and then nothing; hung up on unless it `stays`."""
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)

        def serve() -> None:
            held: list[socket.socket] = []
            while not ended.is_set():
                with contextlib.suppress(TimeoutError, ConnectionError):
                    line, _ = listener.accept()
                    line.settimeout(5)
                    line.recv(4096)
                    line.sendall(first)
                    if stays:
                        held.append(line)
                    else:
                        line.close()
            for line in held:
                line.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            ended.set()
            thread.join(timeout=10)


def target(port: int, *, is_tls: bool) -> Database:
    return Database(
        name="orders", host="127.0.0.1", port=port, database="shop", user="auditor", password="p", is_tls=is_tls
    )


@pytest.fixture(autouse=True)
def deadline() -> Iterator[None]:
    token = DEADLINE.set(Deadline(20.0))
    yield
    DEADLINE.reset(token)


@pytest.fixture
def short_check(deadline: None) -> Iterator[None]:
    """A check that has three seconds left."""
    token = DEADLINE.set(Deadline(3.0))
    yield
    DEADLINE.reset(token)


@pytest.mark.parametrize(
    ("first", "is_tls", "kind"),
    [
        (b"N", True, NotTls),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", True, Malformed),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", False, Malformed),
        (b"S\x15\x03\x01\x00\x02\x02\x28", True, NotTls),
        (b"Snonsense that is no TLS at all" * 50, True, NotTls),
        (b"", True, Unreachable),
        (b"", False, Unreachable),
        (b"R\x7f\xff\xff\xff\x00\x00\x00\x00", False, Reportable),
        (b"R\x00\x00\x00\x08\x00\x00\x00\x63", False, Reportable),
        (b"E\x00\x00\x00\x20SFATAL\x00C28P01\x00M\x1b[31m<b>no</b>\x00\x00", False, Reportable),
        (b"\x00" * 4096, False, Malformed),
    ],
)
def test_a_server_that_is_no_postgresql_is_an_error_of_its_own(
    first: bytes, is_tls: bool, kind: type[Reportable], connector: PostgresConnector
) -> None:
    with saying(first) as port, pytest.raises(kind) as caught:
        connector.rows(target(port, is_tls=is_tls), "identity")

    assert caught.value.message.isprintable()
    assert caught.value.message.startswith("orders: ")


@pytest.mark.parametrize("is_tls", [True, False])
def test_a_server_that_never_answers_a_connection_is_given_up_in_time(
    is_tls: bool, connector: PostgresConnector, short_check: None
) -> None:
    began = time.monotonic()
    with saying(b"", stays=True) as port, pytest.raises(Unreachable):
        connector.rows(target(port, is_tls=is_tls), "identity")

    assert time.monotonic() - began < QUESTION_TIMEOUT_S


def test_a_server_that_never_answers_a_question_is_hung_up_on(connector: PostgresConnector, short_check: None) -> None:
    began = time.monotonic()
    with saying(WELCOME, stays=True) as port, pytest.raises(Reportable) as caught:
        connector.rows(target(port, is_tls=False), "identity")

    assert "identity" in caught.value.message
    assert time.monotonic() - began < QUESTION_TIMEOUT_S


def test_closing_ends_a_question_that_does_not_come_back(connector: PostgresConnector) -> None:
    errors: list[str] = []

    def ask(port: int) -> None:
        try:
            connector.rows(target(port, is_tls=False), "identity")
        except Reportable as error:
            errors.append(error.message)

    with saying(WELCOME, stays=True) as port:
        thread = threading.Thread(target=ask, args=(port,), daemon=True)
        thread.start()
        time.sleep(0.5)
        connector.close()
        thread.join(timeout=30)

    assert not thread.is_alive()
    assert len(errors) == 1
