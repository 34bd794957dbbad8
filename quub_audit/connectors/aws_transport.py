"""One exchange with AWS over HTTP, bounded in time and size. Takes the place of botocore's own in `before-send`.

botocore's time-outs start anew with every byte that comes; here a request ends by its deadline whatever the server
does. All clients of an account share one pool of connections.
"""

from __future__ import annotations

import http.client
import io
import ipaddress
import ssl
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from quub_audit.connectors.aws_errors import Retryable, one_line
from quub_audit.connectors.base import seconds_left
from quub_audit.errors import Malformed, NotTls, Reportable, TimedOut, Unreachable

if TYPE_CHECKING:
    import urllib3

REACH = "look whether it is up, and whether it can be reached from here; HTTPS_PROXY leads through a proxy"
"""What to do when there is no connection."""

MAX_BODY_BYTES = 64 * 1024 * 1024
"""Longest answer that is read; ec2.DescribeSnapshots of a large account is the longest in practice."""

CONNECTIONS = 32
"""Kept open to one host; as many as checks may run at once."""

CONNECT_TIMEOUT_S = 10.0
"""Longest wait for a connection to one address. Seconds."""

_ENDS_AT: ContextVar[float] = ContextVar("_ENDS_AT")


class Transport:
    """Sends the requests of one account. Thread-safe; opens nothing before the first request.

    `ca_file` is a PEM bundle, or empty for botocore's own choice. A proxy is taken from `HTTPS_PROXY`, `HTTP_PROXY`
    and `NO_PROXY` of `environ`, and never stands before a loopback address.
    """

    def __init__(self, subject: str, *, environ: Mapping[str, str], ca_file: str = "") -> None:
        self._subject = subject
        self._ca_file = ca_file
        self._proxies = _proxies_of(environ)
        self._managers: dict[str, urllib3.PoolManager] = {}

    def send(self, request: Any, **_: Any) -> Any:
        """The answer to a signed botocore request, as botocore's `AWSResponse` with its body read.

        Raises Unreachable, NotTls, TimedOut, Malformed; Retryable around one of them where another try may help.
        """
        from botocore.awsrequest import AWSResponse

        wait_s = seconds_left()
        _ENDS_AT.set(time.monotonic() + wait_s)
        status, headers, body = self._exchange(request, wait_s)
        return AWSResponse(request.url, status, headers, _Body(body))  # type: ignore[arg-type]

    def close(self) -> None:
        """End all connections."""
        for manager in self._managers.values():
            manager.clear()

    def _exchange(self, request: Any, wait_s: float) -> tuple[int, dict[str, str], bytes]:
        import urllib3
        from urllib3 import exceptions as foreign

        url = urllib.parse.urlsplit(request.url)
        host = url.netloc.rpartition("@")[2]
        proxy = self._proxy_for(url)
        path = urllib.parse.urlunsplit(("", "", url.path or "/", url.query, ""))
        try:
            answer = (
                self._manager(proxy)
                .connection_from_url(request.url)
                .urlopen(
                    request.method,
                    request.url if proxy and url.scheme == "http" else path,
                    body=request.body,
                    headers={name: _as_text(value) for name, value in request.headers.items()},
                    retries=False,
                    redirect=False,
                    assert_same_host=False,
                    preload_content=False,
                    decode_content=False,
                    enforce_content_length=True,
                    timeout=urllib3.Timeout(connect=min(wait_s, CONNECT_TIMEOUT_S), read=wait_s),
                )
            )
            return answer.status, dict(answer.headers), self._read(answer, host)
        except foreign.ConnectTimeoutError as error:
            if isinstance(error, foreign.NewConnectionError):
                raise Unreachable(
                    f"{self._subject}: no connection to {host}: {_reason(error)}", next_step=REACH
                ) from error
            raise Unreachable(f"{self._subject}: no connection to {host} in time", next_step=REACH) from error
        except foreign.NewConnectionError as error:
            raise Unreachable(f"{self._subject}: no connection to {host}: {_reason(error)}", next_step=REACH) from error
        except (foreign.ReadTimeoutError, TimeoutError) as error:
            raise TimedOut(
                f"{self._subject}: {host} gave no complete answer in {wait_s:.0f} s", next_step=REACH
            ) from error
        except foreign.SSLError as error:
            raise self._tls_error(host, error) from error
        except foreign.ProxyError as error:
            at = urllib.parse.urlsplit(proxy).hostname
            raise Unreachable(
                f"{self._subject}: no way to {host} through the proxy {at}: {_reason(error.original_error)}",
                next_step="correct HTTPS_PROXY, or name the host in NO_PROXY",
            ) from error
        except foreign.ProtocolError as error:
            raise self._protocol_error(host, error) from error
        except (foreign.HTTPError, http.client.HTTPException, OSError, UnicodeError, ValueError) as error:
            raise Unreachable(f"{self._subject}: {host} could not be asked: {_reason(error)}") from error

    def _read(self, answer: Any, host: str) -> bytes:
        body = bytearray()
        try:
            for chunk in answer.stream(65536, decode_content=False):
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    raise Malformed(f"{self._subject}: the answer of {host} is longer than {MAX_BODY_BYTES} bytes")
        except BaseException:
            answer.close()
            raise
        answer.release_conn()
        return bytes(body)

    def _manager(self, proxy: str) -> urllib3.PoolManager:
        manager = self._managers.get(proxy)
        if manager is None:
            manager = self._managers.setdefault(proxy, _open_manager(proxy, self._trust()))
        return manager

    def _trust(self) -> ssl.SSLContext:
        from botocore.httpsession import get_cert_path

        file = self._ca_file or get_cert_path(True)
        try:
            return ssl.create_default_context(cafile=file)
        except OSError as error:
            raise Unreachable(
                f"{self._subject}: the certificates in {file} cannot be read: {_reason(error)}",
                next_step="give AWS_CA_BUNDLE a PEM file",
            ) from error

    def _proxy_for(self, url: urllib.parse.SplitResult) -> str:
        host = url.hostname or ""
        proxy = self._proxies.get(url.scheme, "")
        if not proxy or is_loopback(host) or urllib.request.proxy_bypass_environment(host, self._proxies):  # type: ignore[attr-defined]
            return ""
        return proxy if "://" in proxy else f"http://{proxy}"

    def _tls_error(self, host: str, error: Exception) -> Reportable:
        if "CERTIFICATE_VERIFY_FAILED" in str(error) or "doesn't match" in str(error):
            return Unreachable(
                f"{self._subject}: the certificate of {host} is not trusted: {_reason(error)}",
                next_step="set AWS_CA_BUNDLE to the authority that signed it",
            )
        return NotTls(f"{self._subject}: {host} spoke no TLS that fits: {_reason(error)}")

    def _protocol_error(self, host: str, error: Exception) -> Exception:
        cause = error.args[1] if len(error.args) > 1 else error
        if isinstance(cause, http.client.IncompleteRead):
            return Retryable(Malformed(f"{self._subject}: the answer of {host} broke off"))
        if isinstance(cause, http.client.HTTPException) and not isinstance(cause, http.client.RemoteDisconnected):
            return Malformed(f"{self._subject}: the answer of {host} is no HTTP: {_reason(cause)}")
        return Retryable(Unreachable(f"{self._subject}: {host} closed the connection: {_reason(cause)}"))


class _Body(io.BytesIO):
    """A body that was read, as botocore wants to read it."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        """All of it."""
        yield self.read()


class _UntilDeadline(io.RawIOBase):
    """Reads a socket, each time for no longer than is left to the request."""

    def __init__(self, raw: Any, sock: Any) -> None:
        self._raw = raw
        self._sock = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = _ENDS_AT.get() - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(left)
        read: int | None = self._raw.readinto(buffer)
        return read

    def close(self) -> None:
        self._raw.close()
        super().close()


class _BoundedAnswer(http.client.HTTPResponse):
    def __init__(self, sock: Any, *arguments: Any, **named: Any) -> None:
        super().__init__(sock, *arguments, **named)
        self.fp = io.BufferedReader(_UntilDeadline(self.fp.detach(), sock))


def is_loopback(host: str) -> bool:
    """Whether `host` leads to this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _open_manager(proxy: str, trust: ssl.SSLContext) -> urllib3.PoolManager:
    import urllib3

    class Connection(urllib3.connection.HTTPConnection):
        response_class = _BoundedAnswer

    class TlsConnection(urllib3.connection.HTTPSConnection):
        response_class = _BoundedAnswer

    class Pool(urllib3.HTTPConnectionPool):
        ConnectionCls = Connection

    class TlsPool(urllib3.HTTPSConnectionPool):
        ConnectionCls = TlsConnection

    settings: dict[str, Any] = {"num_pools": 100, "maxsize": CONNECTIONS, "ssl_context": trust}
    manager: urllib3.PoolManager
    if proxy:
        at = urllib.parse.urlsplit(proxy)
        headers = {}
        if at.username:
            user, password = urllib.parse.unquote(at.username), urllib.parse.unquote(at.password or "")
            headers = urllib3.make_headers(proxy_basic_auth=f"{user}:{password}")
        manager = urllib3.ProxyManager(proxy, proxy_headers=headers, **settings)
    else:
        manager = urllib3.PoolManager(**settings)
    manager.pool_classes_by_scheme = {"http": Pool, "https": TlsPool}
    return manager


def _proxies_of(environ: Mapping[str, str]) -> dict[str, str]:
    """Proxies by scheme, and `no`; the lower-case name wins, as everywhere."""
    found = {}
    for key, name in (("https", "https_proxy"), ("http", "http_proxy"), ("no", "no_proxy")):
        value = environ.get(name, environ.get(name.upper(), ""))
        if value:
            found[key] = value
    return found


def _as_text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _reason(error: object) -> str:
    """The innermost words of an error, without the object that urllib3 puts before them."""
    inner = getattr(error, "reason", None) or getattr(error, "__cause__", None) or error
    text = getattr(inner, "strerror", None) or str(inner).rpartition(">: ")[2] or type(inner).__name__
    return one_line(text)
