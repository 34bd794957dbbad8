"""The oldest and the newest PostgreSQL that are promised: they answer the same, and are judged the same."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import pytest

from quub_audit.connectors.base import Ledger
from quub_audit.connectors.codec import decode, encode
from quub_audit.connectors.postgres import PostgresConnector
from quub_audit.connectors.postgres_questions import QUESTIONS
from quub_audit.facts.seal import Redactor, Sealer
from quub_audit.model.environment import Environment
from quub_audit.model.result import ItemResult
from quub_audit.model.status import FindingStatus, Grade, Status
from quub_audit.testing import audit_item
from tests.worlds.postgres import VERSIONS, PostgresDatabase, PostgresServer, postgres_of_session

FAIL, PASS = FindingStatus.FAIL, FindingStatus.PASS
WITH_STATEMENTS = "CREATE EXTENSION pg_stat_statements"
FILLED = (
    "CREATE TABLE customers (id int PRIMARY KEY)",
    "INSERT INTO customers SELECT n FROM generate_series(1, 100) n",
    "CREATE TABLE orders (id int PRIMARY KEY, customer int REFERENCES customers, mail text)",
    "INSERT INTO orders SELECT n, n % 100 + 1, 'jane' || n || '@shop.example' FROM generate_series(1, 20000) n",
    "GRANT SELECT ON orders TO app",
    "ANALYZE",
)


@pytest.fixture(scope="session", params=VERSIONS)
def other_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    with postgres_of_session(tmp_path_factory.getbasetemp(), request.param) as server:
        yield server


@pytest.fixture
def other(other_server: PostgresServer) -> Iterator[PostgresDatabase]:
    with other_server.database() as fresh:
        yield fresh


def look(item: str, database: PostgresDatabase, **parameters: Any) -> ItemResult:
    environment = Environment(service="shop", name="production", stage="production", databases=(database.target(),))
    return audit_item(f"performance.database.{item}", environment, parameters=parameters, min_evidence=Grade.LIVE)


def subjects(result: ItemResult, status: FindingStatus) -> list[str]:
    return [finding.subject for finding in result.of_status(status)]


def test_every_question_is_answered_with_the_columns_of_the_installed_version(
    other: PostgresDatabase, database: PostgresDatabase
) -> None:
    connector = PostgresConnector((), Ledger(), Sealer(b"salt-of-the-test", Redactor()))
    with contextlib.ExitStack() as stack:
        stack.callback(connector.close)
        for each in (other, database):
            each.run(WITH_STATEMENTS, *FILLED, f"ALTER ROLE app IN DATABASE {each.name} SET statement_timeout = 5")
            stack.enter_context(each.connect(user="app")).execute("SELECT 1")
        for question in QUESTIONS:
            rows, usual = connector.rows(other.target(), question), connector.rows(database.target(), question)

            assert rows, question
            assert decode(encode(rows)) == rows
            assert list(rows[0]) == list(usual[0])
            assert {name for name, value in rows[0].items() if type(value) is not type(usual[0][name])} <= {
                "sessions",  # counted from PostgreSQL 14 on
                "session_time_s",
                "evictions",  # told from pg_stat_statements 1.9 on
            }


def test_indexes_are_judged(other: PostgresDatabase) -> None:
    other.run(*FILLED)
    bare = look("indexes", other)
    other.run("CREATE INDEX ON orders (customer) WHERE customer IS NOT NULL")
    covered = look("indexes", other, expected={"orders": ["orders(customer)"]})

    assert subjects(bare, FAIL) == ["orders: public.orders (customer)"]
    assert covered.status is Status.PASS, covered.reason


def test_statements_are_judged_and_show_no_literal(other: PostgresDatabase) -> None:
    other.run(*FILLED)
    without = look("query-performance", other)
    other.run(WITH_STATEMENTS)
    other.run(*(f"SELECT mail FROM orders WHERE id IN ({n}, {n + 1}, {n + 2})" for n in range(100)), user="app")
    measured = {"min_calls": 50, "min_stats_age_h": 0, "exclude_roles": ["operator"]}
    fast = look("query-performance", other, **measured)
    other.run(*["SELECT pg_sleep(0.02) FROM orders WHERE mail = 'jane7@shop.example'"] * 20, user="app")
    slow = look("query-performance", other, mean_ms=20, **measured)

    assert without.status is Status.INCONCLUSIVE
    assert fast.status is Status.PASS, fast.reason
    assert [finding.observed.partition("calls: ")[2] for finding in slow.of_status(FAIL)] == [
        "SELECT pg_sleep($1) FROM orders WHERE mail = $2"
    ]
    assert "jane" not in str(slow)


def test_sessions_are_judged(other: PostgresDatabase) -> None:
    with other.connect(user="app", application_name="shop") as kept:
        kept.execute("SELECT 1")
        time.sleep(0.3)
        reused = look("connection-pooling", other, min_session_s=0.2)
        kept.execute("BEGIN")
        time.sleep(0.3)
        lingering = look("connection-pooling", other, min_session_s=0.2, max_idle_in_transaction_s=0.2)

    assert reused.status is Status.PASS, reused.reason
    assert subjects(lingering, FAIL) == ["orders: app (shop)"]
