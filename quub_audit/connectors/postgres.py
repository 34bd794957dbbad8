"""PostgreSQL: named questions to the catalogue, each in a read-only transaction with time-outs.

One connection per database is kept for the run. Nothing of the process environment that libpq would heed decides where
it leads: host, TLS and password are those of the declaration alone.
"""

from __future__ import annotations

import contextlib
import ipaddress
import math
import os
import re
import socket
import ssl
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quub_audit.connectors.base import Ledger, Question, seconds_left
from quub_audit.connectors.postgres_questions import (
    MAX_ROWS,
    OLDEST_VERSION,
    QUESTIONS,
    STATEMENTS_OLDEST,
    CatalogueQuestion,
)
from quub_audit.connectors.postgres_text import strike_literals
from quub_audit.errors import (
    Absent,
    Denied,
    Malformed,
    NotTls,
    Refused,
    Reportable,
    Throttled,
    TimedOut,
    Unreachable,
    Unsupported,
)
from quub_audit.facts.seal import Sealer
from quub_audit.model.environment import Database

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[dict[str, Any]]

CONNECT_TIMEOUT_S = 10.0
"""Longest wait for a connection; libpq knows whole seconds."""

LOCK_TIMEOUT_S = 3.0
"""Longest wait for a lock: a migration under way must not queue behind the audit."""

ROOTS = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
"""Where systems keep the public roots, for a database without a `ca_file`; the bundled OpenSSL looks elsewhere."""


WHERE_IS_EXTENSION = b"""
SELECT quote_ident(n.nspname) AS schema
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = %s"""


class PostgresConnector:
    """Implements `quub_audit.facts.asking.Postgres`. Built without I/O; connections are kept until `close`."""

    def __init__(self, databases: tuple[Database, ...], ledger: Ledger, sealer: Sealer) -> None:
        self._ledger = ledger
        self._lines: dict[Database, _Line] = {}
        self._lock = threading.Lock()
        for database in databases:
            sealer.redactor.add(database.password)

    def rows(self, database: Database, question: str) -> tuple[Mapping[str, Any], ...]:
        """The answer of one of `postgres_questions.QUESTIONS`, by column name, in the order that the question says.

        Numbers are int or float, arrays tuples, times aware and UTC; literals in texts of queries are struck.
        Raises Denied (`pg_monitor` where statistics of other roles are needed), Unreachable, TimedOut, Throttled,
        NotTls, Absent (no such database), Unsupported, Malformed, Refused (plaintext to another machine).
        """
        asked = QUESTIONS[question]
        return self._ledger.ask(
            Question.about("postgres", database.name, question), lambda: self._find(database, question, asked)
        )

    def close(self) -> None:
        """End every connection."""
        with self._lock:
            for line in self._lines.values():
                line.hang_up()

    def _find(self, database: Database, name: str, asked: CatalogueQuestion) -> tuple[Mapping[str, Any], ...]:
        identity = None if name == "identity" else self.rows(database, "identity")[0]
        version = _version_for(database, name, asked, identity) if identity else OLDEST_VERSION
        rows = self._line(database).ask(name, asked, version)
        return tuple(_as_fact(database, name, row, holds_queries=asked.holds_queries) for row in rows)

    def _line(self, database: Database) -> _Line:
        with self._lock:
            return self._lines.setdefault(database, _Line(database))


def _version_for(database: Database, name: str, asked: CatalogueQuestion, identity: Mapping[str, Any]) -> int:
    """The version that decides how it is put. Raises Denied or Unsupported where it must not be put at all."""
    version = int(identity["version"])
    if version < OLDEST_VERSION:
        raise Unsupported(
            f"{database}: the server is PostgreSQL {version // 10_000}, expected 13 or newer",
            next_step="upgrade the server; its version gets no more security fixes",
        )
    if asked.needs_statistics and not identity["can_read_statistics"]:
        role = identity["role"]
        raise Denied(
            f"{database}: a part of {name} would be hidden from {role}, which is not in pg_monitor",
            permission="pg_monitor",
            next_step=f"GRANT pg_monitor TO {role}",
        )
    if not asked.extension:
        return version
    found = re.fullmatch(r"(\d{1,3})\.(\d{1,2})", identity["statements_version"])
    if found is None:
        raise Unsupported(
            f"{database}: the extension {asked.extension} is not created in {database.database}",
            next_step=f"preload {asked.extension} and run CREATE EXTENSION {asked.extension}",
        )
    extension = int(found[1]) * 100 + int(found[2])
    if extension < STATEMENTS_OLDEST:
        raise Unsupported(
            f"{database}: {asked.extension} is {found[0]}, expected 1.8 or newer",
            next_step=f"run ALTER EXTENSION {asked.extension} UPDATE",
        )
    return extension


class _Line:
    """The one connection to one database, used by one thread at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: Connection | None = None
        self._lock = threading.Lock()

    def ask(self, name: str, asked: CatalogueQuestion, version: int) -> list[dict[str, Any]]:
        """All rows. A connection that broke is not used again."""
        if not self._lock.acquire(timeout=seconds_left()):
            raise TimedOut(f"{self._database}: another question was still under way; {name} was not sent")
        try:
            if self._connection is None or self._connection.closed:
                self._connection = _connect(self._database)
            return self._ask(self._connection, name, asked, version)
        finally:
            self._lock.release()

    def hang_up(self) -> None:
        """Close the connection, also under a question that does not come back."""
        connection = self._connection
        if connection is not None:
            if self._lock.locked():
                _cut_off(connection)
            else:
                connection.close()

    def _ask(self, connection: Connection, name: str, asked: CatalogueQuestion, version: int) -> list[dict[str, Any]]:
        import psycopg

        wait_s = seconds_left()
        # The server ends the question first; one that does not answer at all is hung up on.
        watch = threading.Timer(wait_s + 1, _cut_off, (connection,))
        watch.daemon = True
        watch.start()
        try:
            with connection.transaction():
                _bound(connection, wait_s)
                rows = connection.execute(_text(connection, asked, version)).fetchmany(MAX_ROWS + 1)
        except (psycopg.Error, UnicodeDecodeError) as error:
            if not connection.closed and connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                connection.close()
            raise _error_of_question(self._database, name, error, wait_s) from error
        finally:
            watch.cancel()
        if len(rows) > MAX_ROWS:
            raise Malformed(f"{self._database}: the answer to {name} has more than {MAX_ROWS} rows")
        return rows


def _bound(connection: Connection, wait_s: float) -> None:
    """For this transaction alone: poolers carry settings of sessions over to whoever comes next."""
    settings = {
        "search_path": "pg_catalog",
        "statement_timeout": f"{max(1, int(wait_s * 1000))}ms",
        "lock_timeout": f"{max(1, int(min(wait_s, LOCK_TIMEOUT_S) * 1000))}ms",
        "idle_in_transaction_session_timeout": f"{max(1, int(wait_s * 1000))}ms",
        "timezone": "UTC",
    }
    calls = ", ".join("pg_catalog.set_config(%s, %s, true)" for _ in settings)
    connection.execute(f"SELECT {calls}".encode(), [part for pair in settings.items() for part in pair])


def _text(connection: Connection, asked: CatalogueQuestion, version: int) -> bytes:
    """The SELECT, with the schema of the extension in it and a bound of its rows around it."""
    text = asked.sql(version)
    if asked.extension:
        found = connection.execute(WHERE_IS_EXTENSION, [asked.extension]).fetchone()
        text = text.replace("{schema}", found["schema"] if found else "pg_catalog")
    return f"SELECT * FROM ({text}) AS answer LIMIT {MAX_ROWS + 1}".encode()  # noqa: S608  constants, and a quoted name


def _connect(database: Database) -> Connection:
    import psycopg
    from psycopg.rows import dict_row

    if not database.is_tls and not _is_this_machine(database.host):
        raise Refused(
            f"{database}: plaintext to {database.host} was not tried, since the password would travel in the clear",
            next_step=f"take `tls: false` from databases.{database}; the server must have ssl = on",
        )
    wait_s = seconds_left(CONNECT_TIMEOUT_S)
    try:
        connection = psycopg.connect(
            host=database.host,
            port=database.port,
            dbname=database.database,
            user=database.user,
            password=database.password,
            sslmode="verify-full" if database.is_tls else "disable",
            sslrootcert=_roots(database) if database.is_tls else "",
            application_name="quub-audit",
            connect_timeout=math.ceil(wait_s),
            tcp_user_timeout=30_000,
            client_encoding="utf8",
            # What these leave empty, libpq would take from the environment and from files of the user's.
            hostaddr="",
            options="",
            passfile=os.devnull + "/none",
            gssencmode="disable",
            target_session_attrs="any",
            autocommit=True,
            prepare_threshold=None,
            row_factory=dict_row,
        )
        connection.read_only = True
    except (psycopg.Error, UnicodeError, OSError) as error:
        raise _error_of_connecting(database, error, wait_s) from error
    return connection


def _cut_off(connection: Connection) -> None:
    """End the conversation under a thread that waits in it: what is read next is the end."""
    with contextlib.suppress(OSError, ValueError):
        duplicate = os.dup(connection.fileno()) if not connection.closed else -1
        if duplicate >= 0:
            with socket.socket(fileno=duplicate) as line:
                line.shutdown(socket.SHUT_RDWR)


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _roots(database: Database) -> str:
    if database.ca_file:
        return database.ca_file
    found = ssl.get_default_verify_paths().cafile
    candidates = (found, *ROOTS) if found else ROOTS
    return next((path for path in candidates if Path(path).is_file()), "system")


# What comes back


def _as_fact(database: Database, name: str, row: Mapping[str, Any], *, holds_queries: bool) -> Mapping[str, Any]:
    try:
        fact = {column: _plain(value) for column, value in row.items()}
    except (TypeError, ValueError, OverflowError) as error:
        raise Malformed(f"{database}: the answer to {name} cannot be read: {error}") from error
    if holds_queries:
        fact["query"] = strike_literals(fact["query"] or "")
    return fact


def _plain(value: Any) -> Any:
    match value:
        case None | bool() | int() | float() | str():
            return value
        case Decimal():
            return float(value)
        case timedelta():
            return value.total_seconds()
        case datetime():
            if value.tzinfo is None:
                raise ValueError(f"the time {value} has no zone")
            return value.astimezone(UTC)
        case list():
            return tuple(_plain(part) for part in value)
        case _:
            raise TypeError(f"a value of type {type(value).__name__} was not expected")


# What goes wrong

_CONNECTING: tuple[tuple[str, type[Reportable], str, str], ...] = (
    (
        r"password authentication failed|no password supplied|authentication failed for user",
        Denied,
        "{role} was refused: wrong password or no such role",
        "correct the password of databases.{name}, or create the role with LOGIN and grant it pg_monitor",
    ),
    (
        r"no pg_hba\.conf entry.*no encryption|pg_hba\.conf rejects.*no encryption",
        Denied,
        "the server lets {role} in by TLS alone",
        "take `tls: false` from databases.{name}, or add a host line to pg_hba.conf",
    ),
    (
        r"no pg_hba\.conf entry|pg_hba\.conf rejects",
        Denied,
        "pg_hba.conf does not let {role} in from this machine",
        "add a hostssl line for {role} and this machine's address to pg_hba.conf",
    ),
    (
        r'role ".*" does not exist|not permitted to log in|permission denied for database',
        Denied,
        "{role} may not connect",
        "create the role with LOGIN and CONNECT on {database}",
    ),
    (r'database ".*" does not exist', Absent, "there is no database {database}", "correct databases.{name}.database"),
    (
        r"too many (?:clients|connections)|connection slots are reserved|too many connections for",
        Throttled,
        "the server has no connection left for {role}",
        "free connections, or raise max_connections or the role's CONNECTION LIMIT",
    ),
    (
        r"server does not support SSL",
        NotTls,
        "{place} offers no TLS",
        "set ssl = on in postgresql.conf",
    ),
    (
        r"certificate verify failed|certificate.*does not match host name|could not get server's host name",
        Unreachable,
        "the certificate of {place} is not trusted",
        "set databases.{name}.ca_file to the authority that signed it, and host to the name in the certificate",
    ),
    (
        r"root certificate file|could not read root certificate",
        Unreachable,
        "the certificates that should be trusted cannot be read",
        "give databases.{name}.ca_file a PEM file",
    ),
    (
        r"expected authentication request|unsupported frontend protocol|invalid (?:message|response)",
        Malformed,
        "{place} is no PostgreSQL",
        "correct host and port of databases.{name}",
    ),
    (r"SSL error|SSL SYSCALL|tlsv1|wrong version number", NotTls, "{place} spoke no TLS that fits", ""),
    (
        r"starting up|shutting down|in recovery mode",
        Unreachable,
        "the server is not ready",
        "wait until it accepts connections",
    ),
)
"""What libpq and the server say of a failed connection: no SQLSTATE comes with it."""


def _error_of_connecting(database: Database, error: Exception, wait_s: float) -> Reportable:
    said = _said(error)
    words = {
        "role": database.user,
        "database": database.database,
        "name": database.name,
        "place": f"{database.host}:{database.port}",
    }
    if re.search(r"timeout expired|timed out", said):
        return Unreachable(f"{database}: no answer from {words['place']} in {wait_s:.0f} s")
    for pattern, kind, message, next_step in _CONNECTING:
        if re.search(pattern, said):
            text = f"{database}: {message.format(**words)} ({said})"
            if kind is Denied:
                return Denied(text, permission=f"CONNECT on {database.database}", next_step=next_step.format(**words))
            return kind(text, next_step=next_step.format(**words))
    return Unreachable(f"{database}: no connection to {words['place']}: {said}")


def _error_of_question(database: Database, name: str, error: Exception, wait_s: float) -> Reportable:
    state = str(getattr(error, "sqlstate", None) or "")
    said = _said(error)
    if state == "57014":
        return TimedOut(f"{database}: {name} was not answered in {wait_s:.0f} s")
    if state == "55P03":
        return TimedOut(
            f"{database}: {name} waited more than {LOCK_TIMEOUT_S:.0f} s for a lock",
            next_step="audit again when the migration has ended",
        )
    if state == "42501":
        return Denied(
            f"{database}: {name} was denied to {database.user} ({said})",
            permission="pg_monitor",
            next_step=f"grant {database.user} pg_monitor, and USAGE on the schema of pg_stat_statements",
        )
    if state == "55000":
        return Unsupported(
            f"{database}: {name} cannot be answered ({said})",
            next_step="add the extension to shared_preload_libraries and restart the server",
        )
    if state.startswith("42"):
        return Unsupported(f"{database}: the server does not know what {name} asks ({said})")
    if state.startswith(("57P", "08")) or not state:
        if isinstance(error, UnicodeDecodeError):
            return Malformed(f"{database}: the answer to {name} is not UTF-8: {error}")
        return Unreachable(f"{database}: the connection broke while {name} was asked ({said})")
    return Malformed(f"{database}: {name} was answered with {state} ({said})")


def _said(error: Exception) -> str:
    """The first line that the server or libpq said, fit for one sentence."""
    lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    text = re.sub(r"^connection failed: (?:connection to server at [^,]*, port \d+ failed: )?", "", lines[0])
    text = re.sub(r"^(?:FATAL|ERROR):\s+", "", text)
    return "".join(c if c.isprintable() else "?" for c in text)[:300]
