"""Statements and their budgets: judged by tables, then on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from quub_audit.checks.performance.database import query_performance as item
from quub_audit.checks.performance.database.query_performance import QueryParameters
from quub_audit.model.environment import Environment
from quub_audit.model.finding import Finding
from quub_audit.model.result import ItemResult
from quub_audit.model.status import FindingStatus, Grade, Status
from quub_audit.testing import audit_item
from tests.worlds.postgres import PostgresDatabase, PostgresServer

ITEM = "performance.database.query-performance"
WANTED = QueryParameters()
NOW = datetime(2026, 8, 1, tzinfo=UTC)
MEBIBYTE = 1024 * 1024
PASS, FAIL, WARNING = FindingStatus.PASS, FindingStatus.FAIL, FindingStatus.WARNING
TABLES = (
    {"is_partitioned": False, "analysed_rows": 20_000.0, "counted_rows": 0, "bytes": None},
    {"is_partitioned": True, "analysed_rows": 20_000.0, "counted_rows": 0, "bytes": None},
)


def statement(**changes: Any) -> Mapping[str, Any]:
    calls, mean = changes.get("calls", 5000), changes.get("mean_ms", 12.0)
    return {
        "id": "42",
        "role": "app",
        "query": "SELECT $1",
        "calls": calls,
        "total_ms": calls * mean,
        "mean_ms": mean,
        "max_ms": 40.0,
        "stddev_ms": 5.0,
        "rows": calls,
        "temp_bytes": 0,
        **changes,
    }


def totals(hours: float = 100, evictions: int | None = 0) -> tuple[Mapping[str, Any], ...]:
    return (
        {"calls": 5000, "statements": 1, "now": NOW, "since": NOW - timedelta(hours=hours), "evictions": evictions},
    )


def statuses(findings: Iterable[Finding]) -> list[FindingStatus]:
    return [finding.status for finding in findings]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, []),
        ({"mean_ms": 100.0}, []),
        ({"mean_ms": 900.0}, [FAIL]),
        ({"mean_ms": 900.0, "calls": 19}, [WARNING]),
        ({"mean_ms": 50.0, "stddev_ms": 200.0}, [WARNING]),
        ({"mean_ms": 50.0, "stddev_ms": 200.0, "calls": 3}, []),
        ({"calls": 10, "temp_bytes": 160 * MEBIBYTE}, []),
        ({"calls": 10, "temp_bytes": 161 * MEBIBYTE}, [FAIL]),
        ({"mean_ms": 900.0, "query": "VACUUM ..."}, []),
        ({"mean_ms": 900.0, "query": "CALL ..."}, [FAIL]),
    ],
)
def test_a_statement_is_judged_by_its_mean_its_scatter_and_its_temporary_files(
    changes: Mapping[str, Any], status: list[FindingStatus]
) -> None:
    assert statuses(item.judge_statements("orders", [statement(**changes)], WANTED)) == status


def test_only_the_top_by_total_time_is_judged_and_excluded_roles_are_not() -> None:
    told = [statement(id=str(n), mean_ms=900.0, total_ms=float(n)) for n in range(10)]
    wanted = QueryParameters(top=2, exclude_roles=("reporting",))

    findings = list(item.judge_statements("orders", [statement(mean_ms=900.0, role="reporting"), *told], wanted))

    assert [finding.subject for finding in findings] == [
        "orders: statement 9 of app",
        "orders: statement 8 of app",
    ]


@given(means=st.lists(st.floats(min_value=0, max_value=99), max_size=20), slow=st.floats(min_value=101, max_value=1e6))
def test_however_many_fast_statements_do_not_hide_a_slow_one(means: list[float], slow: float) -> None:
    told = [statement(id=str(n), mean_ms=mean) for n, mean in enumerate(means)]

    assert FAIL in statuses(item.judge_statements("orders", [*told, statement(id="slow", mean_ms=slow)], WANTED))


@pytest.mark.parametrize(
    ("told", "hours", "tables", "kind", "said"),
    [
        ([statement()], 100, TABLES, "pass", "slowest mean 12 ms of 1 statements, 5000 calls in 100 hours"),
        ([statement(calls=999)], 100, TABLES, "undecided", "999 calls, expected 1000"),
        ([statement(query="COMMIT ...")], 100, TABLES, "undecided", "0 calls"),
        ([], 100, TABLES, "undecided", "0 calls"),
        ([statement()], 0.5, TABLES, "undecided", "counted for 0.5 hours"),
        ([statement()], 100, (), "undecided", "about 0 rows"),
        ([statement()], 100, TABLES[1:], "undecided", "about 0 rows"),
    ],
)
def test_little_that_was_measured_passes_nothing(
    told: list[Mapping[str, Any]],
    hours: float,
    tables: tuple[Mapping[str, Any], ...],
    kind: str,
    said: str,
) -> None:
    finding = item.judge_volume("orders", told, totals(hours), tables, WANTED, is_replica=False)

    assert finding.kind == kind
    assert said in finding.observed


def test_a_replica_that_is_asked_nothing_holds_back_nothing() -> None:
    assert item.judge_volume("orders", [], totals(0.5), (), WANTED, is_replica=True).kind == "warning"


@pytest.mark.parametrize(("evictions", "status"), [(0, []), (None, []), (3, [WARNING])])
def test_statements_that_were_forgotten_are_a_warning(evictions: int | None, status: list[FindingStatus]) -> None:
    assert statuses(item.judge_evictions("orders", totals(evictions=evictions))) == status


def test_a_pattern_that_cannot_be_read_is_a_mistake_of_the_checklist() -> None:
    with pytest.raises(ValidationError, match="no regular expression"):
        QueryParameters(exclude_queries="(")


# On a real PostgreSQL

WITH_STATEMENTS = "CREATE EXTENSION pg_stat_statements"
FILLED = (
    WITH_STATEMENTS,
    "CREATE TABLE orders (id int PRIMARY KEY, mail text)",
    "INSERT INTO orders SELECT n, 'jane' || n || '@shop.example' FROM generate_series(1, 20000) n",
    "GRANT SELECT ON orders TO app, auditor",
    "SELECT pg_stat_force_next_flush()",
    "ANALYZE",
)
SMALL: dict[str, Any] = {"min_calls": 50, "min_stats_age_h": 0}


def look(*databases: PostgresDatabase, user: str = "auditor", **parameters: Any) -> ItemResult:
    targets = tuple(each.target(user=user, name=each.name) for each in databases)
    environment = Environment(service="shop", name="production", stage="production", databases=targets)
    return audit_item(ITEM, environment, parameters=parameters, min_evidence=Grade.LIVE)


@pytest.mark.proof("pass")
def test_fast_statements_in_enough_calls_pass(database: PostgresDatabase) -> None:
    database.run(*FILLED)
    database.run(*(f"SELECT mail FROM orders WHERE id = {n}" for n in range(100)), user="app")

    result = look(database, exclude_roles=["operator"], **SMALL)

    assert result.status is Status.PASS, result.reason
    assert "about 20000 rows, on the primary" in result.of_status(PASS)[0].observed


@pytest.mark.proof("fail")
def test_a_slow_statement_fails_and_shows_its_text_without_literals(database: PostgresDatabase) -> None:
    database.run(*FILLED)
    slow = "SELECT pg_sleep(0.02) FROM orders WHERE mail = 'jane7@shop.example'"
    database.run(*[slow] * 20, *["SELECT 1 AS one"] * 100, user="app")

    result = look(database, mean_ms=20, exclude_roles=["operator"], **SMALL)

    assert result.status is Status.FAIL
    (finding,) = result.of_status(FAIL)
    assert "20 calls: SELECT pg_sleep($1) FROM orders WHERE mail = $2" in finding.observed
    assert "jane" not in str(result)


def test_a_statement_that_spills_to_disk_fails(database: PostgresDatabase) -> None:
    database.run(*FILLED)
    database.run("SET work_mem = '64kB'", "SELECT * FROM orders ORDER BY mail, id", user="app")

    result = look(database, mean_ms=60_000, max_temp_bytes=100_000, exclude_roles=["operator"], **SMALL)

    assert "bytes of temporary files a call" in result.of_status(FAIL)[0].observed


@pytest.mark.proof("inconclusive")
@pytest.mark.parametrize("made", [(), FILLED], ids=["no extension", "no load"])
def test_without_measurements_it_is_inconclusive(made: tuple[str, ...], database: PostgresDatabase) -> None:
    database.run(*made)

    result = look(database, exclude_roles=["operator"])

    assert result.status is Status.INCONCLUSIVE
    assert len(result.of_status(WARNING)) >= 1


def test_a_database_without_measurements_holds_back_the_pass_of_another_unless_it_is_left_out(
    database: PostgresDatabase, postgres_server: PostgresServer
) -> None:
    database.run(*FILLED)
    database.run(*(f"SELECT mail FROM orders WHERE id = {n}" for n in range(100)), user="app")
    with postgres_server.database() as second:
        result = look(database, second, exclude_roles=["operator"], **SMALL)
        settled = look(database, second, exclude_roles=["operator"], exclude={second.name: "settings alone"}, **SMALL)

    assert (result.status, len(result.of_status(PASS))) == (Status.INCONCLUSIVE, 1)
    assert result.next_step.endswith(f"or name {second.name} in `exclude` with a reason")
    assert settled.status is Status.PASS


def test_load_from_the_audit_itself_is_no_measurement(database: PostgresDatabase) -> None:
    database.run(*FILLED)
    database.run(*(f"SELECT mail FROM orders WHERE id = {n}" for n in range(100)), user="auditor")

    assert look(database, exclude_roles=["operator"], **SMALL).status is Status.INCONCLUSIVE


@pytest.mark.proof("error")
def test_a_role_that_would_see_its_own_statements_alone_is_an_error(database: PostgresDatabase) -> None:
    database.run(*FILLED)
    database.run(*["SELECT 1 AS one"] * 100, user="plain")

    result = look(database, user="plain", **SMALL)

    assert result.status is Status.ERROR
    assert "pg_monitor" in result.reason + result.next_step
