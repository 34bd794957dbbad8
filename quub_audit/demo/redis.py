"""A real Redis on loopback, with or without TLS and users."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from quub_audit.connectors.redis_wire import ErrorReply, Reply, encode
from quub_audit.demo.servers import LOOPBACK, free_port, program

AUDIT_USER = "quub_audit"
RULES = (
    "-@all +ping +info +scan +dbsize +pttl +type +config|get +cluster|info +cluster|shards +cluster|slots "
    "+acl|whoami +role +auth"
)
"""What the pages of the items tell operators to grant."""


@dataclass(frozen=True)
class RedisServer:
    """One running server; `send` is its operator's, who is the default user."""

    port: int
    ca_file: str = ""
    password: str = field(default="", repr=False)
    pid: int = 0

    @property
    def address(self) -> str:
        """`host:port`, as a cache is declared."""
        return f"{LOOPBACK}:{self.port}"

    def connect(self) -> RedisClient:
        """A connection of the operator's."""
        plain = socket.create_connection((LOOPBACK, self.port), timeout=10)
        if not self.ca_file:
            return RedisClient(plain, self.password)
        try:
            trusting = ssl.create_default_context(cafile=self.ca_file)
            return RedisClient(trusting.wrap_socket(plain, server_hostname=LOOPBACK), self.password)
        except BaseException:
            plain.close()
            raise

    def send(self, *commands: Sequence[object]) -> list[Reply]:
        """Commands over a connection of their own; see `RedisClient.send`."""
        with self.connect() as client:
            return client.send(*commands)


class RedisClient:
    """A connection to a server of ours, which is trusted."""

    def __init__(self, connection: socket.socket, password: str) -> None:
        self._connection = connection
        self._reader = connection.makefile("rb")
        if password:
            self.send(("AUTH", password))

    def __enter__(self) -> RedisClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()
        self._connection.close()

    def send(self, *commands: Sequence[object]) -> list[Reply]:
        """Commands at once; the answers. Raises ValueError for one that is an error."""
        self._connection.sendall(b"".join(encode([str(part) for part in command]) for command in commands))
        replies = [_read(self._reader) for _ in commands]
        for reply in replies:
            if isinstance(reply, ErrorReply):
                raise ValueError(reply.text)
        return replies


def _read(reader: Any) -> Any:
    line = reader.readline().rstrip(b"\r\n").decode()
    kind, text = line[:1], line[1:]
    if kind == "-":
        return ErrorReply(text)
    if kind == "$":
        return None if text == "-1" else reader.read(int(text) + 2)[:-2].decode("utf-8", "surrogateescape")
    if kind == "*":
        return [_read(reader) for _ in range(int(text))]
    return int(text) if kind == ":" else text


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """What a server proves its name with, as paths of PEM files."""

    chain: Path
    key: Path
    ca_file: Path


@contextlib.contextmanager
def redis_server(
    executable: str,
    folder: Path,
    *,
    port: int = 0,
    tls: TlsFiles | None = None,
    password: str = "",
    audit_password: str = "",
    settings: Sequence[str] = (),
    is_sentinel: bool = False,
) -> Iterator[RedisServer]:
    """A server on a free port, or on `port`, that keeps nothing on disk but its log; ended at exit.

    With a `password` it has an ACL user for the audit, too. `settings` are lines of redis.conf. Raises NotThere.
    """
    port = port or free_port()
    home = folder / f"redis-{port}"
    home.mkdir()
    lines = [f"bind {LOOPBACK}", f"dir {home}", 'save ""', "daemonize no", *settings]
    if tls:
        lines += ["port 0", f"tls-port {port}", f"tls-cert-file {tls.chain}", f"tls-key-file {tls.key}"]
        lines += [f"tls-ca-cert-file {tls.ca_file}", "tls-auth-clients no", "tls-replication yes", "tls-cluster yes"]
    else:
        lines.append(f"port {port}")
    if password:
        lines += [f"requirepass {password}", f"user {AUDIT_USER} on >{audit_password} resetkeys %R~* {RULES}"]
        if not is_sentinel:
            lines.append(f"masterauth {password}")
    file = home / "redis.conf"
    file.touch(mode=0o600)
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    server = RedisServer(port, str(tls.ca_file) if tls else "", password)
    command = [executable, str(file), *(["--sentinel"] if is_sentinel else [])]
    with program(command, home, lambda: server.send(("PING",)) == ["PONG"], log=home / "log") as pid:
        yield RedisServer(port, server.ca_file, password, pid)
