"""What the sample service keeps its data in: a cache in Redis and a database in PostgreSQL, where they are installed.

Each is started from the programs that are installed, furnished, and used as the service would.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import secrets
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quub_audit.demo.authority import Authority
from quub_audit.demo.postgres import PostgresServer, find_programs, postgres_server
from quub_audit.demo.redis import AUDIT_USER, RedisClient, RedisServer, TlsFiles, redis_server
from quub_audit.demo.servers import LOOPBACK, NotThere

if TYPE_CHECKING:
    import psycopg

NO_REDIS = "no redis-server is installed on this machine"
NO_POSTGRESQL = "no PostgreSQL server is installed on this machine"

ORDERS = 1500
"""Keys of the cache; an item wants a thousand before it says anything."""
SESSIONS = 300
"""Keys that never expire, in the faulty world."""

ROWS = 100_000
CUSTOMERS = 2_000
ROLE, DATABASE = "quub_app", "orders"
POOL, CROWD = 5, 15
"""Connections of the service, and of one that keeps too many: roles may have 17."""
CALLS = 600
"""Calls of each of two statements; an item wants a thousand in all."""
OF_CUSTOMERS = 120
"""Statements that read the whole table where there is no index; a hundred are a habit."""
HELD_S = 0.3
"""How long a row is locked, for which everybody waits; a statement may take a third of it."""

_TICK_S = 0.05
_LOOK_UPS, _MISSES, _WRITES = 200, 20, 10
"""In each tick: 4,000 a second, of which nine in ten hit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """One server that is up, and the credentials of the audit."""

    address: str
    """`127.0.0.1:port`."""
    user: str
    password: str = field(repr=False)


@contextlib.contextmanager
def cache(search: str, folder: Path, authority: Authority, *, healthy: bool) -> Iterator[Store]:
    """A primary and its replica with orders of the last minutes, which the service looks up all the time.

    `search` names folders as PATH does. Without `healthy`, nothing is evicted, and sessions lie there for ever.
    Raises NotThere.
    """
    executable = shutil.which("redis-server", path=search)
    if executable is None:
        raise NotThere(NO_REDIS)
    home = folder / "cache"
    home.mkdir(mode=0o700)
    chain, key = authority.issue(LOOPBACK).write(home, "server")
    shared: dict[str, Any] = {
        "tls": TlsFiles(chain=chain, key=key, ca_file=authority.write_ca(home)),
        "password": secrets.token_urlsafe(24),
        "audit_password": secrets.token_urlsafe(24),
    }
    bound = ("maxmemory 64mb", "maxmemory-policy allkeys-lru") if healthy else ("maxmemory-policy noeviction",)
    with redis_server(executable, home, settings=("repl-diskless-sync-delay 0", *bound), **shared) as primary:
        of_primary = (f"replicaof {LOOPBACK} {primary.port}", *bound)
        with redis_server(executable, home, settings=of_primary, **shared), primary.connect() as service:
            _write_orders(service, range(ORDERS))
            if not healthy:
                service.send(*(("SET", f"session:{number}", "{}") for number in range(SESSIONS)))
            _until_in_step(primary)
            with _looked_up(service):
                yield Store(address=primary.address, user=AUDIT_USER, password=shared["audit_password"])


def _write_orders(service: RedisClient, numbers: Sequence[int]) -> None:
    """Each with an end of life of its own, ten minutes away or somewhat more or less."""
    service.send(*(("SET", f"order:{number}", "{}", "EX", random.randrange(300, 900)) for number in numbers))  # noqa: S311  nothing is kept secret by it


def _until_in_step(primary: RedisServer) -> None:
    ends_at = time.monotonic() + 10
    while "state=online" not in str(primary.send(("INFO", "replication"))[0]):
        if time.monotonic() > ends_at:
            raise NotThere("the replica of the Redis server was not in step in 10 s")
        time.sleep(_TICK_S)


@contextlib.contextmanager
def _looked_up(service: RedisClient) -> Iterator[None]:
    """As long as this lasts, orders are looked up, and some are written anew."""
    is_over = threading.Event()

    def look_up() -> None:
        numbers = itertools.cycle(range(ORDERS))
        with contextlib.suppress(OSError, ValueError):
            while not is_over.wait(_TICK_S):
                found = (f"order:{next(numbers)}" for _ in range(_LOOK_UPS - _MISSES))
                missed = (f"order:none-{next(numbers)}" for _ in range(_MISSES))
                service.send(*(("GET", name) for name in (*found, *missed)))
                _write_orders(service, [next(numbers) for _ in range(_WRITES)])

    thread = threading.Thread(target=look_up, daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


@contextlib.contextmanager
def database(search: str, folder: Path, authority: Authority, *, healthy: bool) -> Iterator[Store]:
    """The service's orders, with statements that were measured and a pool of sessions that are kept.

    `search` names folders as PATH does. Without `healthy`, the orders of a customer are found by no index, everybody
    waits for one row, and the pool takes nearly all connections. Raises NotThere.
    """
    programs = find_programs(search)
    if programs is None:
        raise NotThere(NO_POSTGRESQL)
    home = folder / "database"
    home.mkdir(mode=0o700)
    identity, ca_file = authority.issue(LOOPBACK), authority.write_ca(home)
    settings = "max_connections = 20\nmax_parallel_workers_per_gather = 0\n"
    operators, services, audits = (secrets.token_urlsafe(24) for _ in range(3))
    with contextlib.ExitStack() as running:
        server = running.enter_context(
            postgres_server(programs, home, identity, ca_file=ca_file, password=operators, settings=settings)
        )
        server.run(
            f"CREATE ROLE {ROLE} LOGIN PASSWORD '{services}'",
            f"CREATE ROLE {AUDIT_USER} LOGIN PASSWORD '{audits}' IN ROLE pg_monitor",
            f"CREATE DATABASE {DATABASE}",
        )
        opened_at = time.monotonic()
        pool = [
            running.enter_context(server.connect(DATABASE, user=ROLE, password=services, application_name="quub-app"))
            for _ in range(POOL if healthy else CROWD)
        ]
        _write_rows(server, is_indexed=healthy)
        # A session counts what it did when it ends, or some seconds later.
        with server.connect(DATABASE, user=ROLE, password=services, application_name="quub-app") as session:
            _use(session)
        if not healthy:
            _contend(server, pool)
        # Sessions of no age are of a service that does not keep them.
        time.sleep(max(0.0, opened_at + 1 - time.monotonic()))
        yield Store(address=server.address, user=AUDIT_USER, password=audits)


def _write_rows(server: PostgresServer, *, is_indexed: bool) -> None:
    indexes = ("CREATE INDEX ON orders (customer)",) if is_indexed else ()
    server.run(
        "CREATE EXTENSION pg_stat_statements",
        "CREATE TABLE customers (id int PRIMARY KEY)",
        f"INSERT INTO customers SELECT generate_series(1, {CUSTOMERS})",
        "CREATE TABLE orders (id int PRIMARY KEY, customer int NOT NULL, placed_at timestamptz NOT NULL DEFAULT now())",
        f"INSERT INTO orders SELECT n, 1 + n % {CUSTOMERS} FROM generate_series(1, {ROWS}) n",  # noqa: S608  constants alone
        *indexes,
        "ALTER TABLE orders ADD FOREIGN KEY (customer) REFERENCES customers",
        "CREATE TABLE numbers (name text PRIMARY KEY, last int NOT NULL)",
        "INSERT INTO numbers VALUES ('orders', 0)",
        f"GRANT SELECT, UPDATE ON ALL TABLES IN SCHEMA public TO {ROLE}",
        database=DATABASE,
    )
    server.run("ANALYZE", "SELECT pg_stat_statements_reset()", database=DATABASE)


def _use(session: psycopg.Connection[Any]) -> None:
    """What the service asks all day."""
    with session.pipeline(), session.cursor() as cursor:
        ids = [(number,) for number in range(1, CALLS + 1)]
        cursor.executemany("SELECT placed_at FROM orders WHERE id = %s", ids)
        cursor.executemany("UPDATE numbers SET last = last + 1 WHERE name = %s", [("orders",)] * CALLS)
        customers = [(number,) for number in range(1, OF_CUSTOMERS + 1)]
        cursor.executemany("SELECT id, placed_at FROM orders WHERE customer = %s", customers)


def _contend(server: PostgresServer, pool: Sequence[psycopg.Connection[Any]]) -> None:
    """Everybody takes a number from the one row that somebody else holds, twice each."""

    def take(session: psycopg.Connection[Any]) -> None:
        session.execute("UPDATE numbers SET last = last + 1 WHERE name = %s RETURNING last", ["orders"])

    with server.connect(DATABASE) as holder, ThreadPoolExecutor(len(pool)) as threads:
        for _ in range(2):
            with holder.transaction():
                holder.execute("SELECT last FROM numbers WHERE name = 'orders' FOR UPDATE")
                waiting = [threads.submit(take, session) for session in pool]
                time.sleep(HELD_S)
            for each in waiting:
                each.result()
