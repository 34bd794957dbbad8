"""Bursts: bounded, only where they may be sent, each asked once."""

from __future__ import annotations

import itertools

import pytest

from quub_audit.connectors.base import Ledger
from quub_audit.connectors.codec import decode, encode
from quub_audit.connectors.http import MAX_BURST, HttpConnector
from quub_audit.errors import Refused, Unreachable
from quub_audit.facts.seal import Redactor, Sealer
from tests.worlds.web import Names, Visit, answer, closed_port, endpoint_at, serve


@pytest.fixture
def active(ledger: Ledger, redactor: Redactor) -> HttpConnector:
    return HttpConnector(ledger, Sealer(b"salt", redactor), secret_values=lambda _: {}, allow_active=True)


def test_answers_are_counted_by_status_and_none_is_tried_again(active: HttpConnector, names: Names) -> None:
    numbers = itertools.count()
    said = (
        answer(200),
        answer(429, "", ("Retry-After", "1")),
        answer(429),
        answer(429, "", ("RateLimit", '"p";r=0;t=1')),
        answer(503),
        b"",
    )

    def script(visit: Visit) -> None:
        visit.socket.sendall(said[next(numbers) % len(said)])

    with serve(script, tls=names.context("api.shop.test")) as server:
        endpoint = endpoint_at(server, server)
        burst = active.burst(endpoint, "/orders?page=2", requests=30)
        again = active.burst(endpoint, "/orders?page=2", requests=30)

    assert burst.statuses == {"0": 5, "200": 5, "429": 15, "503": 5}
    assert burst.with_retry_after == 10
    assert burst.url.startswith("https://api.shop.test/orders")
    assert again is burst
    assert len(server.heads) == 30
    assert decode(encode(burst)) == burst


def test_no_more_than_the_bound_are_sent(active: HttpConnector, names: Names) -> None:
    with serve(lambda visit: visit.socket.sendall(answer(200)), tls=names.context("api.shop.test")) as server:
        burst = active.burst(endpoint_at(server, server), "/", requests=10 * MAX_BURST)

    assert burst.statuses == {"200": MAX_BURST}


def test_none_is_sent_unless_active_checks_are_allowed(http: HttpConnector) -> None:
    with closed_port() as place, pytest.raises(Refused, match="no burst was sent"):
        http.burst(endpoint_at(place, place), "/", requests=20)


def test_a_server_that_takes_no_connection_is_unreachable(active: HttpConnector) -> None:
    with closed_port() as place, pytest.raises(Unreachable, match="takes no connection"):
        active.burst(endpoint_at(place, place), "/", requests=20)
