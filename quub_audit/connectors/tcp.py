"""Whether a port lets one in, and the connections of the HTTP connector.

What a failed attempt means, by the error that Linux gives:
open        the connection was made, even if the host reset it at once (ECONNRESET)
refused     ECONNREFUSED: the host says that nobody listens
filtered    no answer at all, or the word of a firewall on the way (ICMP "prohibited": EHOSTUNREACH, EACCES)
unreachable this machine has no way there (ENETUNREACH, no IPv6, a rule of its own): nothing was learned of the port
"""

from __future__ import annotations

import errno
import socket

from quub_audit.connectors.base import Ledger, Question, seconds_left
from quub_audit.connectors.names import as_literal, join_host_port, resolve
from quub_audit.errors import TimedOut, Unreachable
from quub_audit.facts.http import Reach

CONNECT_TIMEOUT_S = 5.0
"""How long one attempt may take: the kernel has then asked after 0, 1 and 3 seconds (RFC 6298)."""

LEAST_FILTERED_S = 1.5
"""Silence shorter than this proves no filter: the kernel has not even asked twice."""

RESOLVE_TIMEOUT_S = 10.0


class TcpConnector:
    """Implements `quub_audit.facts.asking.Tcp`. Nothing is ever sent."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def reach(self, host: str, port: int) -> Reach:
        """One attempt at each address of `host`, closed at once: OPEN if any is, else FILTERED if any is.

        Raises Unreachable for an unknown name, and where this machine has no way to an address while none was open;
        TimedOut when too little time is left to tell a filter from a slow answer.
        """
        question = Question.about("tcp", join_host_port(as_literal(host) or host, port), "reach")
        return self._ledger.ask(question, lambda: _reach(host, port))


def connect(address: str, port: int) -> socket.socket | Reach:
    """A connection to one IP address, without a time-out set; else REFUSED, FILTERED, or OPEN if it has ended already.

    Raises Unreachable where this machine has no way there; TimedOut when too little time is left to tell.
    """
    wait_s = seconds_left(CONNECT_TIMEOUT_S)
    place = join_host_port(address, port)
    try:
        connected = socket.create_connection((address, port), timeout=wait_s)
    except ConnectionRefusedError:
        return Reach.REFUSED
    except ConnectionResetError:
        return Reach.OPEN
    except TimeoutError as error:
        if wait_s < LEAST_FILTERED_S:
            raise TimedOut(f"{place}: no answer in the {wait_s:.1f} s that were left to the check") from error
        return Reach.FILTERED
    except OSError as error:
        if error.errno in (errno.EHOSTUNREACH, errno.EACCES):
            return Reach.FILTERED
        raise Unreachable(
            f"{place}: no connection can be tried from here: {error.strerror or error}", next_step=_way_to(address)
        ) from error
    if is_connected_to_itself(connected):
        connected.close()
        return Reach.REFUSED
    connected.settimeout(None)
    return connected


def _reach(host: str, port: int) -> Reach:
    reaches: list[Reach] = []
    problem: Unreachable | None = None
    for address in resolve(host, timeout_s=seconds_left(RESOLVE_TIMEOUT_S)):
        try:
            made = connect(address, port)
        except Unreachable as error:
            problem = problem or error
            continue
        if isinstance(made, socket.socket):
            made.close()
            return Reach.OPEN
        if made is Reach.OPEN:
            return made
        reaches.append(made)
    if problem is not None:
        raise problem
    return Reach.FILTERED if Reach.FILTERED in reaches else Reach.REFUSED


def is_connected_to_itself(connected: socket.socket) -> bool:
    """Linux connects a socket with itself when the port it is given is the one it asks for, and nobody listens."""
    try:
        return bool(connected.getsockname() == connected.getpeername())
    except OSError:  # the peer has ended it already
        return False


def _way_to(address: str) -> str:
    return f"audit from a machine that has a route to {'IPv6 addresses' if ':' in address else address}"
