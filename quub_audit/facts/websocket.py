"""What came of opening a WebSocket, and of a ping on it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """The answer to one opening handshake (RFC 6455, section 4)."""

    url: str
    """What was asked for, without the values of its query."""
    address: str
    """`address:port` that was connected to."""
    status: int
    is_open: bool
    """Status 101, and all that has to be in the answer is, the right Sec-WebSocket-Accept among it."""
    problem: str = ""
    """What is wrong with a 101 that opens nothing, in words."""
    subprotocol: str = ""
    """The one that the server chose of those that were offered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping:
    """A handshake, and a ping and a close on what it opened."""

    handshake: Handshake
    pong_after_s: float | None = None
    """Seconds; None where no pong came in time, or nothing was open."""
    close_code: int | None = None
    """With which the server answered a close with 1000, or ended it before; None where it only hung up."""
