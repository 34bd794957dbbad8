"""Real TLS servers on loopback, good and bad: Python's `ssl`, nginx, `openssl s_server`, and some that speak no TLS."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import socketserver
import ssl
import struct
import subprocess
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from quub_audit.demo.authority import Identity
from quub_audit.model.environment import Endpoint

Behaviour = Callable[[socket.socket, int], None]
"""What a server does with a connection, and the number of it, counted from 1."""

Filter = Callable[[bytes, int], bool]
"""Whether a connection is reset: by the first bytes of its ClientHello, and its number."""

OLD = ("TLSv1", "TLSv1.1")


@dataclass(frozen=True)
class Peer:
    """One running server."""

    address: str
    port: int
    connections: list[int] = field(default_factory=list)
    """The number of each connection so far, of servers that count."""

    @property
    def place(self) -> str:
        """`address:port`, as `connect_to` takes it."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"

    def endpoint(self, host: str, *, name: str = "api", ca_file: Path | str = "") -> Endpoint:
        """The declared endpoint whose name leads here."""
        return Endpoint(
            name=name,
            url=f"https://{host}",
            host=host,
            port=443,
            connect_to=self.place,
            ca_file=str(ca_file),
        )


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = False
    request_queue_size = 256

    def __init__(self, address: str, behave: Behaviour) -> None:
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.connections: list[int] = []
        self._behave = behave
        self._lock = threading.Lock()
        super().__init__((address, 0), socketserver.BaseRequestHandler)

    def finish_request(self, request: object, client_address: object) -> None:
        assert isinstance(request, socket.socket)
        with self._lock:
            number = len(self.connections) + 1
            self.connections.append(number)
        request.settimeout(10)
        with contextlib.suppress(OSError):  # a client that hangs up is none of the server's business
            self._behave(request, number)


@contextlib.contextmanager
def server(behave: Behaviour, *, address: str = "127.0.0.1") -> Iterator[Peer]:
    """A server of one's own making; its threads have ended at exit."""
    with _Server(address, behave) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05}, name="peer")
        thread.start()
        try:
            yield Peer(address, running.server_address[1], running.connections)
        finally:
            running.shutdown()
            thread.join(timeout=10)


def context(
    folder: Path,
    identity: Identity,
    *,
    oldest: str = "TLSv1.2",
    newest: str = "TLSv1.3",
    ciphers: str = "",
    asks_clients: Path | None = None,
) -> ssl.SSLContext:
    """Settings of a server. Below TLS 1.2, and for weak keys and suites, every brake of OpenSSL is off.

    With `asks_clients` only clients with a certificate of that authority get in.
    """
    chain, key = identity.write(folder, os.urandom(4).hex())
    versions = {"TLSv1": "TLSv1", "TLSv1.1": "TLSv1_1", "TLSv1.2": "TLSv1_2", "TLSv1.3": "TLSv1_3"}
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.set_ciphers(ciphers or ("ALL:@SECLEVEL=0" if oldest in OLD else "DEFAULT:-aNULL:@SECLEVEL=0"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        made.minimum_version = ssl.TLSVersion[versions[oldest]]
        made.maximum_version = ssl.TLSVersion[versions[newest]]
    made.load_cert_chain(chain, key)
    if asks_clients:
        made.verify_mode = ssl.CERT_REQUIRED
        made.load_verify_locations(asks_clients)
    return made


def speaking(
    settings: ssl.SSLContext, *, by_name: Mapping[str, ssl.SSLContext] | None = None, resets: Filter | None = None
) -> Behaviour:
    """TLS with `settings`, or those of the SNI name; connections that the filter picks are reset."""

    def choose(connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> None:
        connection.context = (by_name or {}).get(name or "", settings)

    if by_name:
        settings.sni_callback = choose

    def behave(connection: socket.socket, number: int) -> None:
        if resets is not None and resets(connection.recv(16, socket.MSG_PEEK), number):
            reset(connection, number)
            return
        with settings.wrap_socket(connection, server_side=True) as spoken:
            spoken.recv(1)

    return behave


def is_hello_of(version: str) -> Filter:
    """Picks the ClientHello of TLS 1.0 or 1.1; a newer one says so in an extension only."""
    wanted = {"TLSv1": b"\x03\x01", "TLSv1.1": b"\x03\x02"}[version]
    return lambda hello, _: hello[:1] == b"\x16" and hello[9:11] == wanted


def silent(connection: socket.socket, _: int) -> None:
    """Take the connection and never say anything."""
    while connection.recv(4096):
        pass


def trickling(connection: socket.socket, _: int) -> None:
    """Begin a long TLS record and send a byte of it now and then."""
    connection.sendall(b"\x16\x03\x03\x40\x00")
    while True:
        time.sleep(0.2)
        connection.sendall(b"\x02")


def plain_http(connection: socket.socket, _: int) -> None:
    """Answer as a web server without TLS does."""
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")


def reset(connection: socket.socket, _: int) -> None:
    """Hang up the hard way."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@contextlib.contextmanager
def tls_server(
    folder: Path,
    identity: Identity,
    *,
    address: str = "127.0.0.1",
    oldest: str = "TLSv1.2",
    newest: str = "TLSv1.3",
    ciphers: str = "",
    resets: Filter | None = None,
) -> Iterator[Peer]:
    """The usual server: one identity, some protocols."""
    settings = context(folder, identity, oldest=oldest, newest=newest, ciphers=ciphers)
    with server(speaking(settings, resets=resets), address=address) as peer:
        yield peer


@contextlib.contextmanager
def nginx(folder: Path, identity: Identity, directives: str) -> Iterator[Peer]:
    """nginx with one TLS server block, which holds `directives` too."""
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin") or ""
    if not program:
        raise FileNotFoundError("nginx is not installed")
    chain, key = identity.write(folder, "nginx")
    port = free_port()
    settings = folder / "nginx.conf"
    settings.write_text(
        f"""daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
        events {{ worker_connections 256; }}
        http {{
            access_log off;
            client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
            uwsgi_temp_path {folder}; scgi_temp_path {folder};
            server {{
                listen 127.0.0.1:{port} ssl;
                ssl_certificate {chain}; ssl_certificate_key {key};
                {directives}
            }}
        }}"""
    )
    with _program([program, "-c", str(settings), "-p", str(folder)], folder, port) as peer:
        yield peer


@contextlib.contextmanager
def openssl_server(folder: Path, certificate: Path, key: Path, *options: str) -> Iterator[Peer]:
    """`openssl s_server`, for what Python's `ssl` does not offer."""
    port = free_port()
    command = ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", str(certificate), "-key", str(key)]
    with _program([*command, "-quiet", "-www", *options], folder, port) as peer:
        yield peer


def openssl(folder: Path, *arguments: str) -> None:
    """One command of the `openssl` program, run in `folder`."""
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=60)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens at now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@contextlib.contextmanager
def _program(command: Sequence[str], folder: Path, port: int, *, at_most_s: float = 20.0) -> Iterator[Peer]:
    with (folder / f"{port}.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            ends_at = time.monotonic() + at_most_s
            while process.poll() is None and time.monotonic() < ends_at:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                    break
                time.sleep(0.05)
            else:
                told = (folder / f"{port}.log").read_text(errors="replace")[-500:]
                raise RuntimeError(f"{command[0]} did not listen in {at_most_s:.0f} s: {told}")
            yield Peer("127.0.0.1", port)
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(timeout=10)
