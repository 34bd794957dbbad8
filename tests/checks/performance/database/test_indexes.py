"""Indexes: judged by tables, then on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from quub_audit.checks.performance.database import indexes as item
from quub_audit.checks.performance.database._catalogue import rows_of
from quub_audit.checks.performance.database.indexes import IndexParameters
from quub_audit.model.environment import Environment
from quub_audit.model.finding import Finding
from quub_audit.model.result import ItemResult
from quub_audit.model.status import FindingStatus, Grade, Status
from quub_audit.testing import audit_item
from tests.worlds.postgres import PostgresDatabase

ITEM = "performance.database.indexes"
WANTED = IndexParameters()
NOW = datetime(2026, 8, 1, tzinfo=UTC)
PASS, FAIL, ERROR, WARNING = (
    FindingStatus.PASS,
    FindingStatus.FAIL,
    FindingStatus.ERROR,
    FindingStatus.WARNING,
)


def index(**changes: Any) -> Mapping[str, Any]:
    return {
        "schema": "public",
        "table": "orders",
        "index": "by_customer",
        "table_id": 1,
        "method": "btree",
        "is_valid": True,
        "is_unique": False,
        "is_constraint": False,
        "is_partitioned": False,
        "is_partition": False,
        "is_partial": False,
        "is_only_without_nulls": False,
        "columns": ("customer",),
        "shape": "a",
        "idx_scan": 5,
        "is_being_built": False,
        **changes,
    }


def table(**changes: Any) -> Mapping[str, Any]:
    return {
        "schema": "public",
        "table": "orders",
        "is_partitioned": False,
        "root": changes.get("id", 1),
        "id": 1,
        "analysed_rows": 50_000.0,
        "counted_rows": 50_000,
        "bytes": None,
        "seq_scan": 0,
        "seq_tup_read": 0,
        "idx_scan": 1000,
        **changes,
    }


def key(*columns: str, **changes: Any) -> Mapping[str, Any]:
    return {"schema": "public", "table": "orders", "table_id": 1, "columns": columns, **changes}


def statistics(hours: float = 100) -> tuple[Mapping[str, Any], ...]:
    return ({"now": NOW, "since": NOW - timedelta(hours=hours)},)


def statuses(findings: Iterator[Finding]) -> list[FindingStatus]:
    return [finding.status for finding in findings]


# What covers a foreign key


@pytest.mark.parametrize(
    ("changes", "columns", "covers"),
    [
        ({}, ("customer",), True),
        ({"columns": ("customer", "created_at")}, ("customer",), True),
        ({"columns": ("b", "a", "c")}, ("a", "b"), True),
        ({"method": "hash"}, ("customer",), True),
        ({"is_partial": True, "is_only_without_nulls": True}, ("customer",), True),
        ({"columns": ("created_at", "customer")}, ("customer",), False),
        ({"columns": ("a",)}, ("a", "b"), False),
        ({"columns": ("a", "c", "b")}, ("a", "b"), False),
        ({"columns": ("", "customer")}, ("customer",), False),
        ({"columns": ("",)}, ("customer",), False),
        ({"is_partial": True}, ("customer",), False),
        ({"is_valid": False}, ("customer",), False),
        ({"method": "gin"}, ("customer",), False),
        ({"method": "brin"}, ("customer",), False),
    ],
)
def test_an_index_covers_a_key_when_it_finds_every_row_of_it(
    changes: Mapping[str, Any], columns: tuple[str, ...], covers: bool
) -> None:
    assert item.covers(index(**changes), columns) is covers


@given(columns=st.lists(st.sampled_from("abcdef"), min_size=1, unique=True), extra=st.lists(st.sampled_from("uvw")))
def test_more_columns_at_the_end_of_an_index_take_nothing_away(columns: list[str], extra: list[str]) -> None:
    assert item.covers(index(columns=(*columns, *extra)), tuple(reversed(columns)))
    assert not item.covers(index(columns=("x", *columns, *extra)), tuple(columns))


@pytest.mark.parametrize(
    ("changes", "rows"),
    [
        ({}, 50_000),
        ({"analysed_rows": 10.0}, 50_000),
        ({"counted_rows": 0}, 50_000),
        ({"analysed_rows": -1.0, "counted_rows": 7}, 7),
        ({"analysed_rows": -1.0, "counted_rows": 0, "bytes": 0}, 0),
        ({"analysed_rows": -1.0, "counted_rows": 0, "bytes": 8192}, None),
        ({"analysed_rows": -1.0, "counted_rows": 0, "bytes": None}, None),
    ],
)
def test_rows_are_the_larger_estimate_and_unknown_where_nobody_counted(
    changes: Mapping[str, Any], rows: int | None
) -> None:
    assert rows_of(table(**changes)) == rows


@pytest.mark.parametrize(
    ("sizes", "status"),
    [
        ({}, [FAIL]),
        ({"analysed_rows": 9_999.0, "counted_rows": 9_999}, [WARNING]),
        ({"analysed_rows": -1.0, "counted_rows": 0, "bytes": 8192}, [ERROR]),
        ({"analysed_rows": -1.0, "counted_rows": 0, "bytes": 0}, [WARNING]),
    ],
)
def test_a_bare_foreign_key_is_judged_by_the_size_of_its_table(
    sizes: Mapping[str, Any], status: list[FindingStatus]
) -> None:
    assert statuses(item.judge_foreign_keys("orders", [key("customer")], [], [table(**sizes)], WANTED)) == status


def test_partitions_count_together_and_are_one_subject() -> None:
    parts = [table(id=n, root=9, table=f"orders_{n}", analysed_rows=4000.0, counted_rows=0) for n in (1, 2, 3)]
    tables = [table(id=9, table="orders", is_partitioned=True, analysed_rows=-1.0, counted_rows=0), *parts]
    keys = [key("customer", table=f"orders_{n}", table_id=n) for n in (1, 2, 3)]

    findings = list(item.judge_foreign_keys("shop", keys, [index(table_id=2)], tables, WANTED))

    assert [(finding.status, finding.subject) for finding in findings] == [(FAIL, "shop: public.orders (customer)")]
    assert "public.orders_1, public.orders_3" in findings[0].observed
    assert "12000" in findings[0].observed


def test_covered_keys_are_one_pass() -> None:
    findings = list(item.judge_foreign_keys("shop", [key("customer")], [index()], [table()], WANTED))

    assert [(finding.status, finding.observed) for finding in findings] == [(PASS, "1 of 1 covered by an index")]


# Validity


@pytest.mark.parametrize(
    ("found", "status"),
    [
        ([index()], [PASS]),
        ([index(), index(is_valid=False)], [FAIL]),
        ([index(is_valid=False, is_partitioned=True)], [FAIL]),
        ([index(), index(is_valid=False, is_being_built=True)], [WARNING, PASS]),
        ([index(is_valid=False, is_being_built=True)], [WARNING]),
        ([], [WARNING]),
    ],
)
def test_an_invalid_index_fails_unless_it_is_being_built(
    found: list[Mapping[str, Any]], status: list[FindingStatus]
) -> None:
    assert statuses(item.judge_validity("orders", found)) == status


def test_large_tables_without_any_index_are_undecided() -> None:
    assert [finding.kind for finding in item.judge_validity("orders", [], has_large=True)] == ["undecided"]


# Scans


@pytest.mark.parametrize(
    ("changes", "hours", "status"),
    [
        ({}, 100, [PASS]),
        ({"seq_scan": 99, "seq_tup_read": 99 * 50_000, "idx_scan": 0}, 100, [PASS]),
        ({"seq_scan": 100, "seq_tup_read": 100 * 50_000, "idx_scan": 0}, 100, [FAIL]),
        ({"seq_scan": 100, "seq_tup_read": 100 * 50_000, "idx_scan": 900}, 100, [PASS]),
        ({"seq_scan": 1000, "seq_tup_read": 1000 * 20, "idx_scan": 0}, 100, [PASS]),
        ({"seq_scan": 100, "seq_tup_read": 100 * 50_000, "idx_scan": 0}, 23, [WARNING]),
        ({"idx_scan": 0}, 100, []),
        ({"analysed_rows": 10.0, "counted_rows": 10}, 100, []),
    ],
)
def test_a_large_table_fails_that_is_read_whole_by_habit(
    changes: Mapping[str, Any], hours: float, status: list[FindingStatus]
) -> None:
    found = item.judge_scans("orders", [table(**changes)], statistics(hours), WANTED, is_replica=False)

    assert statuses(found) == status


def test_no_statistics_judge_no_scans() -> None:
    assert statuses(item.judge_scans("orders", [table()], (), WANTED, is_replica=False)) == [WARNING]


def test_a_replica_is_said_to_be_one() -> None:
    (finding,) = item.judge_scans("orders", [table()], statistics(), WANTED, is_replica=True)

    assert "on this replica" in finding.observed


def test_duplicate_and_unused_indexes_are_warnings() -> None:
    found = [
        index(),
        index(index="again", idx_scan=0),
        index(index="pk", shape="b", is_constraint=True, idx_scan=0),
        index(index="small", table_id=2, shape="a", idx_scan=0),
    ]

    (same,) = item.judge_duplicates("shop", found)
    (unused,) = item.judge_unused("shop", [table()], found, statistics(), WANTED, is_replica=False)

    assert (same.status, same.observed) == (WARNING, "public.again = public.by_customer")
    assert unused.status is WARNING
    assert unused.observed.startswith("public.again: no scan in 100 hours")
    assert list(item.judge_unused("shop", [table()], found, statistics(1), WANTED, is_replica=False)) == []


# Declared indexes


@pytest.mark.parametrize(
    ("text", "changes", "holds"),
    [
        ("orders(customer)", {}, True),
        ("public.orders (customer)", {}, True),
        ("public.by_customer", {}, True),
        ("by_customer", {}, True),
        ("orders(customer, created_at)", {"columns": ("customer", "created_at", "x")}, True),
        ("orders(created_at, customer)", {"columns": ("customer", "created_at")}, False),
        ("orders(customer)", {"is_valid": False}, False),
        ("orders(customer)", {"is_partial": True}, False),
        ("sales.orders(customer)", {}, False),
        ("orders(other)", {}, False),
        ("by_customer", {"is_valid": False}, False),
        ("no_such", {}, False),
    ],
)
def test_a_declared_index_is_there_by_name_or_by_its_columns(
    text: str, changes: Mapping[str, Any], holds: bool
) -> None:
    finding = item.judge_expected(f"orders: {text}", text, [index(**changes)])

    assert finding.status is (PASS if holds else FAIL)


@pytest.mark.parametrize("text", ["", "a.b.c(d)", "orders(", "orders()", "(x)", "orders(a) where b"])
def test_a_declaration_that_is_no_index_is_a_mistake_of_the_checklist(text: str) -> None:
    with pytest.raises(ValidationError, match="is no index"):
        IndexParameters(expected={"orders": (text,)})


# On a real PostgreSQL

TABLES = (
    "CREATE TABLE customers (id int PRIMARY KEY)",
    "CREATE TABLE orders (id int PRIMARY KEY, customer int REFERENCES customers, note text)",
    "INSERT INTO customers SELECT generate_series(1, 100)",
)
COUNTED = "SELECT pg_stat_force_next_flush()"
"""What a session has done is told to others at its end, or now."""

FILLED = (
    *TABLES,
    "INSERT INTO orders SELECT n, n % 100 + 1, 'note ' || n FROM generate_series(1, 100000) n",
    "ANALYZE",
)


def look(database: PostgresDatabase, *, user: str = "auditor", **parameters: Any) -> ItemResult:
    environment = Environment(
        service="shop", name="production", stage="production", databases=(database.target(user=user),)
    )
    return audit_item(ITEM, environment, parameters=parameters, min_evidence=Grade.LIVE)


@pytest.mark.proof("pass")
def test_valid_indexes_and_covered_keys_pass(database: PostgresDatabase) -> None:
    database.run(*FILLED, "CREATE INDEX ON orders (customer) WHERE customer IS NOT NULL")
    database.run("SET enable_seqscan = off", *["SELECT * FROM orders WHERE id = 5"] * 3, COUNTED)

    result = look(database, min_stats_age_h=0, expected={"orders": ["orders(customer)", "orders_pkey"]})

    assert result.status is Status.PASS, result.reason
    assert {finding.check.rpartition("/")[2] for finding in result.of_status(PASS)} == {
        "expected",
        "foreign_keys",
        "scans",
        "valid",
    }


@pytest.mark.proof("fail")
@pytest.mark.parametrize(
    "made",
    [
        (),
        ("CREATE INDEX ON orders (customer) WHERE note IS NOT NULL",),
        ("CREATE INDEX ON orders (abs(customer))",),
        ("CREATE INDEX ON orders (note, customer)",),
        ("CREATE INDEX ON orders USING brin (customer)",),
    ],
    ids=["none", "partial", "expression", "not leading", "brin"],
)
def test_a_foreign_key_of_a_large_table_that_no_index_covers_fails(
    made: tuple[str, ...], database: PostgresDatabase
) -> None:
    database.run(*FILLED, *made)

    result = look(database)

    assert result.status is Status.FAIL
    assert [finding.subject for finding in result.of_status(FAIL)] == ["orders: public.orders (customer)"]


def test_an_index_that_failed_to_be_built_concurrently_fails(database: PostgresDatabase) -> None:
    database.run(*FILLED, "CREATE INDEX ON orders (customer)")
    with pytest.raises(psycopg.errors.UniqueViolation):
        database.run("CREATE UNIQUE INDEX CONCURRENTLY one_each ON orders (customer)")

    result = look(database)

    assert [finding.subject for finding in result.of_status(FAIL)] == ["orders: public.one_each"]


def test_a_large_table_that_queries_read_from_end_to_end_fails(database: PostgresDatabase) -> None:
    database.run(*FILLED, "CREATE INDEX ON orders (customer)")
    database.run(*["SELECT count(*) FROM orders WHERE note = 'note 5'"] * 12, COUNTED)

    result = look(database, min_stats_age_h=0, min_scans=10)
    young = look(database, min_scans=10)

    assert [finding.subject for finding in result.of_status(FAIL)] == ["orders: public.orders"]
    assert young.of_status(FAIL) == ()
    assert "not judged yet" in " ".join(finding.message for finding in young.of_status(WARNING))


def test_a_declared_index_that_is_missing_fails(database: PostgresDatabase) -> None:
    database.run(*TABLES)

    result = look(database, expected={"orders": ["orders(customer)"]})

    assert [finding.subject for finding in result.of_status(FAIL)] == ["orders: orders(customer)"]


def test_a_declared_database_that_does_not_exist_is_an_error(database: PostgresDatabase) -> None:
    database.run(*TABLES)

    result = look(database, expected={"odrers": ["orders(customer)"]})

    assert result.status is Status.ERROR
    assert "declares no database odrers" in result.reason + " ".join(f.message for f in result.of_status(ERROR))


def test_a_partitioned_table_needs_the_index_on_every_partition(database: PostgresDatabase) -> None:
    database.run(
        *TABLES,
        "CREATE TABLE events (id int, customer int REFERENCES customers) PARTITION BY RANGE (id)",
        "CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (10000)",
        "CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM (10000) TO (20000)",
        "INSERT INTO events SELECT n, 1 FROM generate_series(0, 19999) n",
        "CREATE INDEX ON events_1 (customer)",
        "ANALYZE",
    )

    half = look(database)
    database.run("CREATE INDEX ON events (customer)")
    whole = look(database)

    assert [finding.subject for finding in half.of_status(FAIL)] == ["orders: public.events (customer)"]
    assert "public.events_2" in half.of_status(FAIL)[0].observed
    assert whole.of_status(FAIL) == ()


def test_a_table_that_was_never_analysed_is_not_taken_for_a_small_one(database: PostgresDatabase) -> None:
    database.run(*FILLED[:-1], COUNTED, "SELECT pg_stat_reset()")

    result = look(database)

    assert result.status is Status.ERROR
    assert "ANALYZE" in result.next_step + " ".join(finding.next_step for finding in result.of_status(ERROR))


@pytest.mark.proof("inconclusive")
def test_large_tables_without_any_index_pass_nothing(database: PostgresDatabase) -> None:
    database.run("CREATE TABLE events AS SELECT generate_series(1, 20000) AS n", COUNTED, "ANALYZE")

    result = look(database)

    assert result.status is Status.INCONCLUSIVE
    assert "primary key" in result.next_step


@pytest.mark.proof("inconclusive")
def test_a_database_without_tables_is_inconclusive(database: PostgresDatabase) -> None:
    assert look(database).status is Status.INCONCLUSIVE


@pytest.mark.proof("error")
def test_a_role_that_cannot_see_what_is_being_built_is_an_error(database: PostgresDatabase) -> None:
    database.run(*TABLES)

    result = look(database, user="plain")

    assert result.status is Status.ERROR
    assert "pg_monitor" in result.reason + result.next_step
