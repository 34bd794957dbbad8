"""Host names and `host:port`."""

from __future__ import annotations

import socket
import threading

import pytest

from quub_audit.connectors.names import as_literal, join_host_port, resolve, split_host_port
from quub_audit.errors import Malformed, TimedOut, Unreachable


def test_a_name_gives_its_addresses_once_and_ipv4_first() -> None:
    found = resolve("localhost", timeout_s=10)

    assert found[0] == "127.0.0.1"
    assert set(found) <= {"127.0.0.1", "::1"}
    assert len(set(found)) == len(found)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::7", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("fe80::1%eth9", "fe80::1%eth9"),
        ("[fe80::1%25eth9]", "fe80::1%eth9"),
    ],
)
def test_a_literal_address_is_its_own_answer_without_a_wait(host: str, expected: str) -> None:
    assert resolve(host, timeout_s=0) == (expected,)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "x" * 64 + ".invalid", "[192.0.2.7]", "a b", ""])
def test_what_has_no_address_is_unreachable_in_the_words_of_the_resolver(host: str) -> None:
    with pytest.raises(Unreachable, match=r"the name does not resolve: \w+") as raised:
        resolve(host, timeout_s=30)

    assert raised.value.message.startswith(f"{host}: ")
    assert raised.value.next_step


def test_a_resolver_that_takes_too_long_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    is_over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: is_over.wait(60) and [])

    with pytest.raises(TimedOut, match="the resolver gave no answer"):
        resolve("slow-host.invalid", timeout_s=0.01)

    is_over.set()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("api.test", ("api.test", 443)),
        ("api.test:8443", ("api.test", 8443)),
        ("192.0.2.7:65535", ("192.0.2.7", 65535)),
        ("2001:db8::7", ("2001:db8::7", 443)),
        ("[2001:db8::7]", ("2001:db8::7", 443)),
        ("[2001:db8::7]:1", ("2001:db8::7", 1)),
        ("[fe80::1%eth0]:1", ("fe80::1%eth0", 1)),
    ],
)
def test_host_and_port_are_told_apart(text: str, expected: tuple[str, int]) -> None:
    assert split_host_port(text, 443) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":443",
        "api.test:",
        "api.test:0",
        "api.test:65536",
        "api.test:8443x",
        "api.test:\uff18",
        "api.test:-1",
        "api.test:000443",
        "api.test/x:1",
        "user@api.test:1",
        "a:b:1",
        "[api.test]:1",
        "[::1]1",
        "[::1:1",
    ],
)
def test_what_names_no_host_and_port_is_malformed(text: str) -> None:
    with pytest.raises(Malformed, match="expected host:port"):
        split_host_port(text, 443)


@pytest.mark.parametrize("place", [("api.test", 443), ("2001:db8::7", 8443), ("fe80::1%eth0", 1)])
def test_joined_parts_are_told_apart_again(place: tuple[str, int]) -> None:
    assert split_host_port(join_host_port(*place), 1) == place


def test_a_name_is_no_literal_address() -> None:
    assert as_literal("localhost") == ""
