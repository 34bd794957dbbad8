"""Host names become addresses, within a time; `host:port` becomes its parts."""

from __future__ import annotations

import ipaddress
import socket
import threading

from quub_audit.errors import Malformed, TimedOut, Unreachable


def resolve(host: str, *, timeout_s: float) -> tuple[str, ...]:
    """Every address of `host`, IPv4 first, otherwise in the resolver's order, each once; never empty.

    A literal address is its own answer and asks nobody: brackets are taken off, an IPv6 zone stays.
    Raises Unreachable when there is no address, with the resolver's words; TimedOut after `timeout_s` seconds.
    """
    literal = as_literal(host)
    if literal:
        return (literal,)
    found = _ask_resolver(host, timeout_s)
    first = [address for address in found if ":" not in address]
    addresses = tuple(dict.fromkeys(first + [address for address in found if ":" in address]))
    if not addresses:
        raise Unreachable(f"{host}: the name has no address", next_step="give it an A or AAAA record")
    return addresses


def as_literal(host: str) -> str:
    """`host` without brackets if it is an IP address, else an empty text. A zone may be escaped as in URLs (`%25`)."""
    is_bracketed = host.startswith("[") and host.endswith("]")
    bare = host[1:-1].replace("%25", "%") if is_bracketed else host
    try:
        parsed = ipaddress.ip_address(bare)
    except ValueError:
        return ""
    return bare if parsed.version == 6 or not is_bracketed else ""


def split_host_port(text: str, default_port: int) -> tuple[str, int]:
    """The parts of `host`, `host:port`, `[v6]` or `[v6]:port`; the host comes without brackets.

    An IPv6 address without brackets has no port. Raises Malformed for anything else.
    """
    mistake = Malformed(f"{text!r} names no host and port; expected host:port, or [address]:port for IPv6")
    if as_literal(text):
        return as_literal(text), default_port
    host, separator, port = text.rpartition(":")
    if not separator:
        host, port = text, str(default_port)
    elif ":" in host or host.startswith("["):
        host = as_literal(host) if host.startswith("[") else ""
    if not host or any(c in "[]/@ " for c in host) or not (port.isascii() and port.isdigit() and len(port) <= 5):
        raise mistake
    if not 1 <= int(port) <= 65535:
        raise mistake
    return host, int(port)


def join_host_port(host: str, port: int) -> str:
    """`host:port`, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _ask_resolver(host: str, timeout_s: float) -> list[str]:
    """Addresses in the resolver's order. getaddrinfo cannot be told to end: its thread is left behind instead."""
    answers: list[list[str] | OSError | ValueError] = []

    def ask() -> None:
        try:
            told = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            answers.append([str(entry[4][0]) for entry in told])
        except (OSError, ValueError) as error:  # ValueError: no name by the rules of IDNA, or one with a null in it
            answers.append(error)

    thread = threading.Thread(target=ask, name=f"resolve {host}", daemon=True)
    thread.start()
    thread.join(timeout=max(timeout_s, 0.0))
    if not answers:
        raise TimedOut(
            f"{host}: the resolver gave no answer in {timeout_s:.1f} s",
            next_step="look whether the name servers of this machine can be reached",
        )
    answer = answers[0]
    if not isinstance(answer, list):
        words = answer.strerror if isinstance(answer, OSError) else "it is no host name"
        raise Unreachable(
            f"{host}: the name does not resolve: {words}", next_step="correct the name, or its DNS records"
        ) from answer
    return answer
