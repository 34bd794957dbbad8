"""One HTTP/1.1 exchange on one connection, bounded in time and in bytes.

It stands on httpcore, which httpx stands on too: httpx itself can be given neither a connection that is made already
(the address is chosen by the caller, the name stays in SNI and Host), nor a bound on the whole exchange, and it
decompresses a body before anybody can look at its length.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpcore

from quub_audit.connectors.base import seconds_left
from quub_audit.errors import Malformed, NotTls, Reportable, TimedOut, Unreachable

MAX_BODY_BYTES = 1024 * 1024
"""Longest body that is read, as it travels; what is decompressed from it is bounded by the same."""

_NO_TLS_REASONS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER")
_LEGACY_SERVER_CONNECT = 0x4
"""`SSL_OP_LEGACY_SERVER_CONNECT`, which the ssl module names only from Python 3.12 on."""


class NoAnswer(Exception):
    """Connected, but nothing of HTTP came; `error` says it in the words of a report."""

    def __init__(self, error: Reportable, *, is_transient: bool) -> None:
        super().__init__(error.message)
        self.error = error
        self.is_transient = is_transient
        """Whether the connection only ended: another may fare better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is sent, and in whose name errors speak."""

    subject: str
    place: str
    """`address:port` that is connected to."""
    method: str
    is_tls: bool
    host: str
    """Name for SNI, ASCII; an IP address without brackets."""
    target: str
    """Path and query, percent-encoded."""
    headers: tuple[tuple[str, str], ...]
    content: bytes = b""
    """The body, where there is one."""
    max_body_bytes: int = MAX_BODY_BYTES
    """The longest body that is read. Of the whole connection, with headers and frames, four times as much is."""
    into: Callable[[bytes], None] | None = None
    """Takes the body of a 200 piece by piece, which the answer then does not hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawAnswer:
    """What came, as it travelled."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    is_cut: bool
    """Whether the body goes on after the longest that is read."""


def open_trust() -> ssl.SSLContext:
    """TLS with whatever the server has, old protocols and weak suites too, and any certificate: others judge those."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.options |= _LEGACY_SERVER_CONNECT | ssl.OP_IGNORE_UNEXPECTED_EOF
    return context


def verified_trust(subject: str, ca_file: str, key: str) -> ssl.SSLContext:
    """TLS that verifies chain and name, by `ca_file` (declared as `key.ca_file`) or the public roots.

    Raises Unreachable for a file that cannot be read.
    """
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:
        raise Unreachable(
            f"{subject}: the certificates in {ca_file} cannot be read: {error}",
            next_step=f"give {key}.ca_file a PEM file",
        ) from error


def exchange(
    connection: socket.socket, request: Request, trust: ssl.SSLContext | None, *, timeout_s: float
) -> RawAnswer:
    """Send one request and read its answer, all within `timeout_s` seconds; the connection is ended in any case.

    Raises NoAnswer, NotTls, TimedOut, Unreachable (TLS came to no agreement), Malformed (broken or boundless).
    """
    with conversation(connection, request, timeout_s=timeout_s) as stream:
        return _exchange(stream, request, trust)


@contextmanager
def conversation(connection: socket.socket, request: Request, *, timeout_s: float) -> Iterator[Stream]:
    """The connection as a stream that ends after `timeout_s` seconds, or after four times the longest body.

    What goes wrong inside is raised as `exchange` says it; an OSError with words of one's own counts as an answer that
    broke off.
    """
    longest = 4 * request.max_body_bytes
    stream = Stream(connection, time.monotonic() + timeout_s, f"{request.subject}: {request.place}", longest)
    try:
        yield stream
    except TimeoutError as error:
        done = "gave no complete answer" if stream.start else "took the connection and answered nothing"
        raise TimedOut(
            f"{request.subject}: {request.place} {done} in {timeout_s:.1f} s",
            next_step="look whether the service behind it is up and answers from where the audit runs",
        ) from error
    except ssl.SSLError as error:
        raise _tls_error(request, stream, error) from error
    except OSError as error:
        raise _broken(request, stream, error.strerror or str(error)) from error
    except httpcore.RemoteProtocolError as error:
        raise _broken(request, stream, str(error)) from error
    except (httpcore.ProtocolError, ValueError):
        # Not chained: the library's words quote the header that it refused.
        raise Malformed(
            f"{request.subject}: no request to {request.place} can be formed from its name and path",
            next_step="correct the host name or the path",
        ) from None
    finally:
        stream.close()


def _exchange(stream: Stream, request: Request, trust: ssl.SSLContext | None) -> RawAnswer:
    scheme = b"https" if request.is_tls else b"http"
    host = request.host.encode("ascii")
    url = httpcore.URL(scheme=scheme, host=host, port=None, target=request.target.encode("ascii"))
    connection = httpcore.HTTPConnection(
        origin=url.origin, ssl_context=trust, network_backend=_Connected(stream), http1=True, http2=False
    )
    headers = [(name.encode("ascii"), value.encode("ascii")) for name, value in request.headers]
    with connection, connection.stream(request.method, url, headers=headers, content=request.content or None) as answer:
        body = bytearray()
        take = request.into if request.into is not None and answer.status == 200 else body.extend
        received = 0
        if answer.status != 101:
            for chunk in answer.iter_stream():
                received += len(chunk)
                take(chunk)
                if received > request.max_body_bytes:
                    break
        return RawAnswer(
            status=answer.status,
            headers=tuple(answer.headers),
            body=bytes(body[: request.max_body_bytes]),
            is_cut=received > request.max_body_bytes,
        )


def ended_at_once(request: Request) -> NoAnswer:
    """For a connection that was reset before anything could be sent."""
    return NoAnswer(_no_answer(request, "Connection reset by peer", is_secure=False), is_transient=True)


def _tls_error(request: Request, stream: Stream, error: ssl.SSLError) -> Exception:
    reason = error.reason or str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return Unreachable(
            f"{request.subject}: the certificate of {request.place} is not trusted: {error.verify_message}",
            next_step="set ca_file to the authority that signed it",
        )
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return _broken(request, stream, "the connection was closed")
    if stream.is_secure or not any(known in reason for known in _NO_TLS_REASONS):
        if stream.start:
            return Malformed(f"{request.subject}: the answer of {request.place} broke off: {_word(reason)}")
        return Unreachable(
            f"{request.subject}: {request.place} agreed to no TLS: {_word(reason)}",
            next_step="look which protocols, suites and client certificates it wants",
        )
    return NotTls(
        f"{request.subject}: {request.place} speaks no TLS: {_word(reason)}",
        next_step="declare the port that speaks TLS, or put TLS on this one",
    )


def _broken(request: Request, stream: Stream, reason: str) -> Exception:
    """What a connection that ended, or an answer that cannot be read, amounts to: by what had come until then."""
    named = f"{request.subject}: {request.place}"
    if not stream.start:
        return NoAnswer(_no_answer(request, reason, is_secure=stream.is_secure), is_transient=True)
    if not (stream.start.startswith(b"HTTP/") or b"HTTP/".startswith(stream.start)):
        error = Malformed(f"{named} answers with something that is no HTTP", next_step="look what listens there")
        return NoAnswer(error, is_transient=False)
    return Malformed(
        f"{named} answers with HTTP that breaks off or cannot be read: {_word(reason)}",
        next_step="look in the log of the server why",
    )


def _no_answer(request: Request, reason: str, *, is_secure: bool) -> Reportable:
    named = f"{request.subject}: {request.place}"
    if request.is_tls and not is_secure:
        return NotTls(
            f"{named} ends the connection instead of speaking TLS: {_word(reason)}",
            next_step="look whether TLS is served there under this name",
        )
    return Malformed(
        f"{named} ends the connection without an answer: {_word(reason)}", next_step="look in the log of the server why"
    )


def _word(text: str) -> str:
    """Words of a peer or a library in one short printable line."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= 120 else f"{line[:120]}..."


class Stream(httpcore.NetworkStream):
    """A connection that ends at a moment, whatever the peer does, and yields so many bytes and no more."""

    def __init__(self, connection: socket.socket, ends_at: float, named: str, max_read_bytes: int) -> None:
        self._socket = connection
        self.ends_at = ends_at
        """Of the monotonic clock; reading and writing raise TimeoutError from then on."""
        self._named = named
        self._max_read_bytes = max_read_bytes
        self._bytes_read = 0
        self.start = b""
        """The first bytes that came, at most 16; of what TLS carries."""
        self.is_secure = False

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """At least one byte; none at the end."""
        self._set_timeout()
        received = self._socket.recv(max_bytes)
        self._bytes_read += len(received)
        self.start += received[: 16 - len(self.start)]
        if self._bytes_read > self._max_read_bytes:
            raise Malformed(
                f"{self._named} sends {self._max_read_bytes} bytes and comes to no answer",
                next_step="look what listens there",
            )
        return received

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """All of it. Raises httpcore.WriteError where the peer has closed: it may have answered before."""
        self._set_timeout()
        try:
            self._socket.sendall(buffer)
        except TimeoutError:
            raise
        except OSError as error:
            raise httpcore.WriteError(str(error)) from error

    def close(self) -> None:
        """May be called again."""
        self._socket.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> Stream:
        """The same stream, which speaks TLS from here on."""
        self._set_timeout()
        plain = self._socket
        try:
            self._socket = ssl_context.wrap_socket(plain, server_hostname=server_hostname)
        except BaseException:
            plain.close()
            raise
        self.is_secure = True
        return self

    def get_extra_info(self, info: str) -> Any:
        """What httpcore wants to know: whether it is TLS."""
        return self._socket if info == "ssl_object" and isinstance(self._socket, ssl.SSLSocket) else None

    def _set_timeout(self) -> None:
        """Raises TimeoutError at the end of the exchange, TimedOut at the end of the check."""
        left = self.ends_at - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(seconds_left(left))


class _Connected(httpcore.NetworkBackend):
    """Gives out the one connection that there is."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> Stream:
        return self._stream
