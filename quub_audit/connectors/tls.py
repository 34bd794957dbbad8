"""TLS servers: which protocols and suites they accept, and the certificates they show.

One handshake of our own finds out whether there is anything that speaks TLS; sslyze does the rest.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from pathlib import Path

from quub_audit.connectors.base import Ledger, Question, seconds_left
from quub_audit.connectors.names import as_literal, join_host_port, resolve, split_host_port
from quub_audit.connectors.tls_answer import Target
from quub_audit.connectors.tls_process import Scanner
from quub_audit.errors import Absent, Malformed, NotTls, TimedOut, Unreachable, Unsupported
from quub_audit.facts.tls import TlsScan
from quub_audit.model.environment import Endpoint

SCAN_TIMEOUT_S = 60.0
"""Longest wait for one scan where no deadline is nearer: some hundred handshakes, each with its own time-out."""

KNOCK_TIMEOUT_S = 10.0
"""Longest wait for a connection, and then for the first bytes of an answer."""

LARGEST_CA_BYTES = 4 * 1024 * 1024

_RECORD_HEADER_BYTES = 5
_ALERT, _HANDSHAKE = 21, 22


class TlsConnector:
    """Implements `quub_audit.facts.asking.Tls`. Built without I/O; `close` ends what still runs."""

    def __init__(self, ledger: Ledger, *, scanner: Scanner | None = None) -> None:
        self._ledger = ledger
        self._scanner = scanner or Scanner()

    def scan(self, endpoint: Endpoint, *, address: str) -> TlsScan:
        """Protocols, suites and chains at one address (of `Http.addresses`), under the endpoint's own name.

        The port is that of `connect_to` where it is set. Raises Unreachable, NotTls, TimedOut; Absent and Malformed
        for `ca_file`.
        """
        port = split_host_port(endpoint.connect_to, endpoint.port)[1] if endpoint.connect_to else endpoint.port
        at = join_host_port(*split_host_port(address, port))
        return self._ask(endpoint.host, endpoint.port, at, endpoint.ca_file)

    def scan_host(self, host: str, port: int, *, connect_to: str = "", ca_file: str = "") -> TlsScan:
        """The same for a host that is no declared endpoint, at its first address or at `connect_to`."""
        return self._ask(host, port, connect_to, ca_file)

    def close(self) -> None:
        """End all scans; who still waits for one gets TimedOut."""
        self._scanner.close()

    def _ask(self, host: str, port: int, at: str, ca_file: str) -> TlsScan:
        question = Question.about("tls", join_host_port(host, port), "handshakes", {"at": at, "ca_file": ca_file})

        def find() -> TlsScan:
            place, place_port = split_host_port(at, port) if at else (host, port)
            address = resolve(place, timeout_s=seconds_left(KNOCK_TIMEOUT_S))[0]
            target = Target(_ascii_name(host, address), address, place_port)
            if ca_file:
                _require_roots(ca_file)
            knock(target)
            return self._scanner.scan(target, ca_file=ca_file, timeout_s=seconds_left(SCAN_TIMEOUT_S))

        return self._ledger.ask(question, find)


def knock(target: Target) -> None:
    """Send one ClientHello and look at the first bytes that come back: nothing else tells silence from refusal.

    A connection that ends without a byte is left to sslyze, which also tries what is older.
    Raises Unreachable (no connection), NotTls (another answer), TimedOut (no answer).
    """
    try:
        connection = socket.create_connection((target.address, target.port), timeout=seconds_left(KNOCK_TIMEOUT_S))
    except TimeoutError as error:
        raise Unreachable(
            f"{target}: no connection in {KNOCK_TIMEOUT_S:.0f} s",
            next_step="let the audit's address through the firewall, or correct the address",
        ) from error
    except ConnectionResetError:  # there was a connection, for a moment: sslyze sees what becomes of the next ones
        return
    except OSError as error:
        raise Unreachable(
            f"{target}: no connection: {error.strerror or error}",
            next_step="look whether the server listens there",
        ) from error
    with connection:
        start = _first_bytes(connection, target)
    if start and (start[0] not in (_ALERT, _HANDSHAKE) or start[1:2] not in (b"\x03", b"")):
        spoken = "plain HTTP" if start.startswith(b"HTTP/") else "something else than TLS"
        raise NotTls(f"{target}: the server speaks {spoken} there", next_step="declare the port that speaks TLS")


def _first_bytes(connection: socket.socket, target: Target) -> bytes:
    ends_at = time.monotonic() + seconds_left(KNOCK_TIMEOUT_S)
    start = b""
    try:
        connection.settimeout(max(0.001, ends_at - time.monotonic()))
        connection.sendall(_client_hello(target))
        while len(start) < _RECORD_HEADER_BYTES:
            connection.settimeout(max(0.001, ends_at - time.monotonic()))
            part = connection.recv(_RECORD_HEADER_BYTES - len(start))
            if not part:
                break
            start += part
    except TimeoutError as error:
        raise TimedOut(
            f"{target}: connected, but no answer to a TLS handshake in time", next_step="look whether it speaks TLS"
        ) from error
    except OSError:  # a reset: as telling, or as little, as an orderly end
        return start
    return start


def _client_hello(target: Target) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    name = None if as_literal(target.name) else target.name
    handshake = context.wrap_bio(incoming, outgoing, server_hostname=name)
    try:
        handshake.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise AssertionError("a handshake ended before the server said anything")


def _ascii_name(host: str, address: str) -> str:
    """The name for SNI and for the certificate. Raises Malformed, Unsupported for one that cannot be asked for."""
    literal = as_literal(host)
    if literal:
        if ipaddress.ip_address(literal) != ipaddress.ip_address(address):
            raise Unsupported(
                f"{host}: an address cannot be audited at another one ({address})",
                next_step="declare the endpoint by its name",
            )
        return address
    try:
        name = host.encode("idna").decode().rstrip(".")
    except UnicodeError as error:
        raise Malformed(f"{host!r} is no host name: {error}") from error
    if not name or not all(c.isascii() and (c.isalnum() or c in "-_.") for c in name):
        raise Malformed(f"{host!r} is no host name; expected letters, digits, hyphens and dots")
    return name


def _require_roots(ca_file: str) -> None:
    """Raises Absent or Malformed for a file that sslyze would stumble over."""
    from cryptography.x509 import load_pem_x509_certificates

    path = Path(ca_file)
    try:
        with path.open("rb") as opened:
            text = opened.read(LARGEST_CA_BYTES + 1)
    except OSError as error:
        raise Absent(
            f"{ca_file}: the CA file cannot be read: {error.strerror or error}", next_step="correct ca_file"
        ) from error
    if len(text) > LARGEST_CA_BYTES:
        raise Malformed(f"{ca_file}: the CA file is larger than {LARGEST_CA_BYTES} bytes")
    try:
        load_pem_x509_certificates(text)
    except ValueError as error:
        raise Malformed(
            f"{ca_file}: the CA file holds no certificates in PEM: {error}"[:500], next_step="correct ca_file"
        ) from error
