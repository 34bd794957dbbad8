"""One connection to a Redis or Valkey server: the protocol RESP2, and the one gate that every command passes.

A client of our own, since an audited server may be hostile: a general one bounds neither the length of an answer nor
the time of a whole exchange, and sends commands of its own accord (HELLO, CLIENT SETINFO) that an audit's ACL refuses.
https://redis.io/docs/latest/develop/reference/protocol-spec/ describes the protocol.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from quub_audit.connectors.base import seconds_left
from quub_audit.connectors.names import join_host_port, resolve, split_host_port
from quub_audit.connectors.tcp import connect
from quub_audit.errors import Malformed, NotTls, Refused, TimedOut, Unreachable
from quub_audit.facts.http import Reach

EXCHANGE_TIMEOUT_S = 10.0
"""Longest wait for the answers to what was sent at once."""

HANDSHAKE_TIMEOUT_S = 5.0

TRIAL_TIMEOUT_S = 3.0
"""Longest wait when a port is only tried without TLS."""

MAX_ANSWER_BYTES = 4 * 1024 * 1024
"""Longest answer to one batch of commands."""

MAX_DEPTH = 8
"""Lists within lists."""

MAX_ITEMS = 100_000
"""Members of one list."""

PARAMETERS = frozenset(
    {
        "appendonly",
        "maxmemory",
        "maxmemory-policy",
        "notify-keyspace-events",
        "port",
        "save",
        "tls-port",
    }
)
"""What CONFIG GET may be asked: none of them holds a secret, as `requirepass` and `masterauth` do."""

_ALONE = frozenset({"AUTH", "DBSIZE", "INFO", "PING", "PTTL", "ROLE", "SCAN", "TYPE"})
_WITH = {
    "ACL": frozenset({"WHOAMI"}),
    "CLUSTER": frozenset({"INFO", "SHARDS", "SLOTS"}),
    "SENTINEL": frozenset({"GET-MASTER-ADDR-BY-NAME", "REPLICAS", "SENTINELS"}),
}


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """The server's word that it will not."""

    text: str

    @property
    def code(self) -> str:
        """`NOAUTH`, `NOPERM`, `LOADING` ...; `ERR` for most others."""
        return self.text.partition(" ")[0].upper()


Reply = str | int | list[Any] | ErrorReply | None
"""Texts are UTF-8 with surrogate escapes, so that the name of any key goes back as it came."""


def require_allowed(command: Sequence[str]) -> None:
    """Raises Refused for whatever is not one of the commands that only tell, and tell no value of a key."""
    name = command[0].upper() if command else ""
    second = command[1].upper() if len(command) > 1 else ""
    is_allowed = (
        name in _ALONE
        or second in _WITH.get(name, ())
        or (name == "CONFIG" and second == "GET" and len(command) == 3 and command[2] in PARAMETERS)
    )
    if not is_allowed:
        raise Refused(f"{' '.join((name, second)).strip()} was not sent: it is none of the commands that only tell")


class Wire:
    """A connection; `ask` is the only way to send anything."""

    def __init__(self, address: str, connection: socket.socket) -> None:
        self.address = address
        self._connection = connection
        self._buffer = bytearray()
        self._taken = 0
        self._ends_at = 0.0

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        with contextlib.suppress(OSError):
            self._connection.close()

    def ask(self, *commands: Sequence[str], at_most_s: float = EXCHANGE_TIMEOUT_S) -> list[Reply]:
        """The answers, in order; errors of the server are answers here.

        Raises Refused, TimedOut, Unreachable (hung up), NotTls (it wants TLS), Malformed.
        """
        for command in commands:
            require_allowed(command)
        self._ends_at = time.monotonic() + seconds_left(at_most_s)
        self._taken = 0
        try:
            self._connection.settimeout(max(0.001, self._left()))
            self._connection.sendall(b"".join(encode(command) for command in commands))
            return [self._read(0) for _ in commands]
        except TimeoutError as error:
            raise TimedOut(f"{self.address}: no complete answer in {at_most_s:.0f} s") from error
        except ssl.SSLError as error:
            raise _handshake_error(self.address, error) from error
        except OSError as error:
            raise _hung_up(self.address) from error

    def _left(self) -> float:
        left = self._ends_at - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def _more(self) -> None:
        self._connection.settimeout(self._left())
        received = self._connection.recv(65536)
        if not received:
            raise _hung_up(self.address)
        self._taken += len(received)
        if self._taken > MAX_ANSWER_BYTES:
            raise Malformed(f"{self.address}: an answer is longer than {MAX_ANSWER_BYTES} bytes")
        self._buffer += received

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\r\n")) < 0:
            self._more()
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size + 2:
            self._more()
        content = bytes(self._buffer[:size])
        del self._buffer[: size + 2]
        return content

    def _read(self, depth: int) -> Reply:
        while not self._buffer:
            self._more()
        if self._buffer[0] in (0x15, 0x16):  # an alert, or a handshake, of TLS
            raise NotTls(f"{self.address}: the server speaks TLS alone", next_step="set `tls: true` for the cache")
        line = self._line()
        kind, text = line[:1], line[1:].decode("utf-8", "surrogateescape")
        match kind:
            case b"+":
                return text
            case b"-":
                return ErrorReply(text)
            case b":":
                return self._number(text)
            case b"$":
                size = self._number(text, at_most=MAX_ANSWER_BYTES)
                return None if size < 0 else self._exactly(size).decode("utf-8", "surrogateescape")
            case b"*":
                count = self._number(text, at_most=MAX_ITEMS)
                if depth >= MAX_DEPTH:
                    raise Malformed(f"{self.address}: lists within lists, deeper than {MAX_DEPTH}")
                return None if count < 0 else [self._read(depth + 1) for _ in range(count)]
            case _:
                raise Malformed(f"{self.address}: what answers is no Redis server")

    def _number(self, text: str, *, at_most: int = 2**63) -> int:
        digits = text.removeprefix("-")
        if not (digits.isascii() and digits.isdigit() and len(digits) < 20) or int(text) > at_most:
            raise Malformed(f"{self.address}: an answer holds no fit number where one is due")
        return int(text)


def open_wire(address: str, *, is_tls: bool, ca_file: str = "", named: str = "") -> Wire:
    """A connection to `host:port`, nothing sent yet; over TLS the chain and the name are verified.

    `named` is the name that the certificate must bear, the host by default.
    Raises Unreachable, NotTls, TimedOut, Malformed (no such address can be).
    """
    host, port = split_host_port(address, 6379)
    trust = _read_trust(address, ca_file) if is_tls else None
    problem = Unreachable(f"{address}: nothing was tried")
    for literal in resolve(host, timeout_s=seconds_left(EXCHANGE_TIMEOUT_S)):
        made = connect(literal, port)
        if isinstance(made, socket.socket):
            return Wire(address, _shake_hands(address, made, trust, named or host) if trust else made)
        said = "refuses connections" if made is Reach.REFUSED else "does not answer"
        problem = Unreachable(
            f"{address}: {join_host_port(literal, port)} {said}", next_step="open a way from here to the cache"
        )
    raise problem


def is_plaintext_answered(address: str) -> bool | None:
    """Whether the port answers PING without TLS; None where it neither answers nor hangs up in time."""
    try:
        with open_wire(address, is_tls=False) as wire:
            wire.ask(("PING",), at_most_s=TRIAL_TIMEOUT_S)
    except TimedOut:
        return None
    except (Unreachable, NotTls, Malformed):
        return False
    return True


def encode(command: Sequence[str]) -> bytes:
    """The command as the protocol has it."""
    parts = [part.encode("utf-8", "surrogateescape") for part in command]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


def _shake_hands(address: str, plain: socket.socket, trust: ssl.SSLContext, named: str) -> ssl.SSLSocket:
    try:
        plain.settimeout(seconds_left(HANDSHAKE_TIMEOUT_S))
        return trust.wrap_socket(plain, server_hostname=named)
    except ssl.SSLError as error:
        plain.close()
        raise _handshake_error(address, error) from error
    except OSError as error:
        plain.close()
        if is_plaintext_answered(address):
            raise _plain_error(address) from error
        if isinstance(error, TimeoutError):
            raise TimedOut(f"{address}: no TLS handshake in {HANDSHAKE_TIMEOUT_S:.0f} s") from error
        raise Unreachable(f"{address}: the TLS handshake broke off: {error.strerror or error}") from error
    except BaseException:
        plain.close()
        raise


def _read_trust(address: str, ca_file: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:
        raise Unreachable(
            f"{address}: the certificates in {ca_file} cannot be read: {error.strerror or error}",
            next_step="give `ca_file` of the cache a PEM file",
        ) from error


def _hung_up(address: str) -> Unreachable:
    return Unreachable(
        f"{address}: the server hung up without a whole answer",
        next_step="set `tls` of the cache as the server speaks it, and see the server's log",
    )


def _plain_error(address: str) -> NotTls:
    return NotTls(
        f"{address}: the server answers without TLS, and speaks none",
        next_step="serve TLS on that port (`tls-port`), or name the port that does",
    )


def _handshake_error(address: str, error: ssl.SSLError) -> NotTls | Unreachable:
    if isinstance(error, ssl.SSLCertVerificationError):
        return Unreachable(
            f"{address}: the certificate is not trusted: {error.verify_message}",
            next_step="set `ca_file` of the cache to the authority that signed it, and address it by a name in it",
        )
    reason = (error.reason or str(error)).replace("_", " ").lower()
    if "certificate required" in reason or "handshake failure" in reason:
        return Unreachable(
            f"{address}: the server ended the handshake ({reason}); it may ask for a client's certificate",
            next_step="set `tls-auth-clients no` or optional on the server, and let it ask for a password",
        )
    if "wrong version number" in reason or "record layer failure" in reason:
        return _plain_error(address)
    return NotTls(f"{address}: the server spoke no TLS that fits: {reason}")
