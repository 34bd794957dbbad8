"""Servers on loopback: HTTP and TLS as they should be, and in every way in which they should not."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from quub_audit.demo.authority import Authority
from quub_audit.model.environment import Endpoint

CONNECTION_TIMEOUT_S = 20.0
"""After which a server gives up on a connection, whatever the test does."""


@dataclass(frozen=True)
class Visit:
    """One connection to a server, after its request has come."""

    socket: socket.socket
    head: bytes
    """Request line and headers; empty when the server does not wait for them."""
    is_over: threading.Event
    """Set when the server is to end."""

    @property
    def path(self) -> str:
        """Of the request line, with its query."""
        return self.head.split(b" ", 2)[1].decode()

    def stall(self, seconds: float = CONNECTION_TIMEOUT_S) -> None:
        """Wait, but not past the end of the server."""
        self.is_over.wait(timeout=seconds)

    def reset(self) -> None:
        """End the connection with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        # The file itself: ending TLS first would send an alert before the reset.
        socket.socket(fileno=self.socket.detach()).close()


Script = Callable[[Visit], None]


@dataclass
class Server:
    """A server that runs on a free port, and the heads of the requests that it got."""

    host: str
    port: int
    heads: list[bytes] = field(default_factory=list)

    @property
    def place(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def header(self, name: str) -> list[str]:
        """The values of the header `name` (any case) in all requests, in order."""
        lines = [line for head in self.heads for line in head.decode("latin-1").split("\r\n")[1:]]
        return [line.partition(":")[2].strip() for line in lines if line.lower().startswith(f"{name.lower()}:")]


def answer(status: int = 200, body: bytes | str = b"", *headers: tuple[str, str], is_sized: bool = True) -> bytes:
    """A whole HTTP/1.1 answer, as it travels."""
    raw = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status} Said"]
    if is_sized and status != 101:
        lines.append(f"Content-Length: {len(raw)}")
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + raw


def saying(said: bytes) -> Script:
    """Whatever is asked, these bytes; then the end."""
    return lambda visit: visit.socket.sendall(said)


def site(pages: Mapping[str, bytes], *, otherwise: bytes = answer(404, "not here")) -> Script:
    """A page for each path, as `answer` makes them."""
    return lambda visit: visit.socket.sendall(pages.get(visit.path.partition("?")[0], otherwise))


@contextlib.contextmanager
def serve(
    script: Script, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", reads_head: bool = True
) -> Iterator[Server]:
    """Run `script` once per connection, each in a thread of its own; all have ended at exit."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    is_over = threading.Event()
    with socket.create_server((host, 0), family=family) as listening:
        listening.settimeout(0.05)
        server = Server(host, listening.getsockname()[1])

        def attend(connection: socket.socket) -> None:
            connection.settimeout(CONNECTION_TIMEOUT_S)
            with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
                stack.callback(connection.close)
                if tls is not None:
                    connection = tls.wrap_socket(connection, server_side=True)
                    stack.callback(connection.close)
                head = _read_head(connection) if reads_head else b""
                if head or not reads_head:
                    server.heads.append(head)
                    script(Visit(connection, head, is_over))

        def listen() -> None:
            attending = []
            while not is_over.is_set():
                with contextlib.suppress(TimeoutError):
                    connection = listening.accept()[0]
                    attending.append(threading.Thread(target=attend, args=(connection,)))
                    attending[-1].start()
            for thread in attending:
                thread.join(timeout=CONNECTION_TIMEOUT_S)

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield server
        finally:
            is_over.set()
            thread.join(timeout=2 * CONNECTION_TIMEOUT_S)


def _read_head(connection: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head and len(head) < 65536:
        received = connection.recv(4096)
        if not received:
            return b""
        head += received
    return head


@dataclass(frozen=True)
class Names:
    """An authority with its files, for servers and for those who trust them."""

    authority: Authority
    folder: Path

    @property
    def ca_file(self) -> str:
        return str(self.authority.write_ca(self.folder))

    def context(self, *names: str) -> ssl.SSLContext:
        """What a server needs to speak TLS under `names`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.authority.issue(*names).write(self.folder, names[0].replace(":", "_")))
        return context


def endpoint_at(
    secure: Server | str, plain: Server | str, *, host: str = "api.shop.test", **fields: object
) -> Endpoint:
    """An endpoint whose name leads to these servers, or to these places (`host:port`)."""
    return Endpoint(
        **{
            "name": "api",
            "url": f"https://{host}",
            "host": host,
            "port": 443,
            "connect_to": secure if isinstance(secure, str) else secure.place,
            "connect_to_plain": plain if isinstance(plain, str) else plain.place,
            **fields,
        }  # type: ignore[arg-type]
    )


@contextlib.contextmanager
def closed_port() -> Iterator[str]:
    """A place of 127.0.0.1 that refuses connections: the port is taken, and nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


@contextlib.contextmanager
def silent_port() -> Iterator[str]:
    """A place of 127.0.0.1 that answers no attempt to connect: its queue is full, and Linux drops what comes then."""
    with contextlib.ExitStack() as held:
        listening = held.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(16):
            waiting = held.enter_context(socket.socket())
            waiting.settimeout(0.3)
            try:
                waiting.connect(listening.getsockname())
            except TimeoutError:
                break
        else:
            raise AssertionError("the queue of a listening socket did not fill")
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@contextlib.contextmanager
def nginx(folder: Path, servers: str, *, ports: tuple[int, ...]) -> Iterator[None]:
    """A real nginx with these `server` blocks; ready when all `ports` of 127.0.0.1 take connections."""
    program = find_nginx()
    if program is None:
        raise FileNotFoundError("nginx is not installed")
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    as_oneself = "user root;" if os.getuid() == 0 else ""  # else its workers may not read the test's folder
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off; {as_oneself} worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;\n"
        f"events {{ worker_connections 64; }}\nhttp {{ access_log off; {temporary}\n{servers}\n}}\n"
    )
    process = subprocess.Popen(
        [program, "-e", f"{folder}/error.log", "-p", str(folder), "-c", str(config)],
        env={"PATH": os.environ.get("PATH", "")},
    )
    try:
        for port in ports:
            _wait_for(process, port)
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=10)


def find_nginx() -> str | None:
    """Where the program is; Debian keeps it out of a user's path."""
    return shutil.which("nginx", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _wait_for(process: subprocess.Popen[bytes], port: int, *, at_most_s: float = 20.0) -> None:
    ends_at = time.monotonic() + at_most_s
    while True:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        if process.poll() is not None or time.monotonic() > ends_at:
            raise TimeoutError(f"nginx took no connection on port {port}; it ended with {process.poll()}")
        time.sleep(0.05)
