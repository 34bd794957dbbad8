"""The connector against a real PostgreSQL: what it tells, what it refuses, and that it changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from quub_audit.connectors.base import DEADLINE, Deadline, Ledger
from quub_audit.connectors.codec import decode, encode
from quub_audit.connectors.postgres import PostgresConnector
from quub_audit.connectors.postgres_questions import QUESTIONS, TOP_STATEMENTS
from quub_audit.errors import Absent, Denied, Refused, Reportable, Throttled, TimedOut, Unreachable, Unsupported
from quub_audit.facts.seal import Redactor, Sealer
from quub_audit.model.environment import Database
from tests.worlds.postgres import PASSWORD, PostgresDatabase, PostgresServer

WITH_STATEMENTS = "CREATE EXTENSION pg_stat_statements"
ORDERS = (
    "CREATE TABLE customers (id int PRIMARY KEY)",
    "CREATE TABLE orders (id int PRIMARY KEY, customer int REFERENCES customers, note text)",
    "CREATE INDEX by_note ON orders (lower(note), customer) WHERE customer IS NOT NULL",
)


@pytest.fixture
def deadline() -> Iterator[Deadline]:
    near = Deadline(2.0)
    token = DEADLINE.set(near)
    yield near
    DEADLINE.reset(token)


def error_of(connector: PostgresConnector, target: Database, question: str = "identity") -> Reportable:
    with pytest.raises(Reportable) as caught:
        connector.rows(target, question)
    assert "\n" not in caught.value.message
    assert PASSWORD not in caught.value.message
    return caught.value


@pytest.mark.parametrize("question", sorted(QUESTIONS))
def test_every_question_is_answered_with_facts_that_a_bundle_can_hold(
    question: str, database: PostgresDatabase, connector: PostgresConnector
) -> None:
    database.run(WITH_STATEMENTS, *ORDERS, f"ALTER ROLE app IN DATABASE {database.name} SET statement_timeout = 5")
    with database.connect(user="app") as app:
        app.execute("SELECT 1")
        rows = connector.rows(database.target(), question)

    assert rows
    assert decode(encode(rows)) == rows
    assert connector.rows(database.target(), question) is rows


def test_the_identity_is_that_of_the_connection(database: PostgresDatabase, connector: PostgresConnector) -> None:
    (identity,) = connector.rows(database.target(), "identity")

    assert (identity["database"], identity["role"], identity["is_replica"]) == (database.name, "auditor", False)
    assert identity["tls_version"] == "TLSv1.3"
    assert identity["can_read_statistics"] is True
    assert abs(datetime.now(UTC) - identity["now"]) < timedelta(minutes=1)
    assert identity["now"].tzinfo is UTC


def test_an_index_is_told_with_what_decides_whom_it_serves(
    database: PostgresDatabase, connector: PostgresConnector
) -> None:
    database.run(*ORDERS)

    found = {row["index"]: row for row in connector.rows(database.target(), "indexes")}
    keys = connector.rows(database.target(), "foreign_keys")

    assert sorted(found) == ["by_note", "customers_pkey", "orders_pkey"]
    by_note = found["by_note"]
    assert by_note["columns"] == ("", "customer")
    assert (by_note["is_partial"], by_note["is_only_without_nulls"], by_note["is_valid"]) == (True, True, True)
    assert found["orders_pkey"]["is_constraint"]
    assert [(key["schema"], key["table"], key["columns"]) for key in keys] == [("public", "orders", ("customer",))]


def test_tables_of_the_system_and_of_extensions_are_left_out(
    database: PostgresDatabase, connector: PostgresConnector
) -> None:
    database.run("CREATE TABLE theirs (id int)", 'CREATE SCHEMA "odd \' schema"', 'CREATE TABLE "odd \' schema"."ü" ()')
    database.run(WITH_STATEMENTS, "ALTER EXTENSION pg_stat_statements ADD TABLE theirs")

    tables = connector.rows(database.target(), "tables")

    assert [(row["schema"], row["table"]) for row in tables] == [("odd ' schema", "ü")]


def test_the_extension_is_found_in_whatever_schema_it_lies(
    database: PostgresDatabase, connector: PostgresConnector
) -> None:
    database.run('CREATE SCHEMA "of ""stats"', f'{WITH_STATEMENTS} SCHEMA "of ""stats"')
    kept_out = error_of(connector, database.target(), "statements")
    database.run('GRANT USAGE ON SCHEMA "of ""stats" TO auditor')

    (total,) = connector.rows(database.target(), "statements_total")

    assert total["calls"] >= 1
    assert isinstance(kept_out, Denied)
    assert "USAGE" in kept_out.next_step


@pytest.mark.parametrize("question", ["indexes", "sessions", "statements", "statements_total"])
def test_a_role_that_would_be_shown_a_part_is_denied_and_told_of_pg_monitor(
    question: str, database: PostgresDatabase, connector: PostgresConnector
) -> None:
    database.run(WITH_STATEMENTS)

    error = error_of(connector, database.target(user="plain"), question)

    assert isinstance(error, Denied)
    assert error.permission == "pg_monitor"
    assert error.next_step == "GRANT pg_monitor TO plain"


def test_a_plain_role_may_ask_what_everybody_is_told(database: PostgresDatabase, connector: PostgresConnector) -> None:
    database.run(*ORDERS)

    assert len(connector.rows(database.target(user="plain"), "tables")) == 2


def test_an_extension_that_is_not_there_is_unsupported(
    database: PostgresDatabase, connector: PostgresConnector
) -> None:
    error = error_of(connector, database.target(), "statements")

    assert isinstance(error, Unsupported)
    assert "CREATE EXTENSION pg_stat_statements" in error.next_step


def test_literals_of_statements_never_leave_the_connector(
    database: PostgresDatabase, connector: PostgresConnector
) -> None:
    database.run(WITH_STATEMENTS, "CREATE TABLE people (mail text)", "GRANT ALL ON people TO app")
    database.run(
        "SELECT 1 FROM people WHERE mail = 'jane@shop.example' /* for jane@shop.example */",
        "SET application_name = 'jane@shop.example'",
        "DO $$ BEGIN PERFORM 'jane@shop.example'; END $$",
        user="app",
    )

    queries = [row["query"] for row in connector.rows(database.target(), "statements")]

    assert "SELECT ? FROM people WHERE mail = $2".replace("?", "$1") in queries
    assert {"SET ...", "DO ..."} <= set(queries)
    assert "jane" not in str(queries)


def test_our_own_sessions_and_statements_are_not_among_those_told(
    database: PostgresDatabase, connector: PostgresConnector
) -> None:
    database.run(WITH_STATEMENTS)
    with database.connect(user="auditor", application_name="quub-audit"), database.connect(user="app") as app:
        app.execute("SELECT 1")
        here = [row for row in connector.rows(database.target(), "sessions") if row["is_here"]]
        roles = {row["role"] for row in connector.rows(database.target(), "statements")}

    assert [(row["role"], row["sessions"]) for row in here] == [("app", 1)]
    assert "auditor" not in roles
    assert "app" in roles


def test_sessions_idle_in_a_transaction_are_told(database: PostgresDatabase, connector: PostgresConnector) -> None:
    with database.connect(user="app", application_name="shop") as app:
        app.execute("BEGIN")
        found = [row for row in connector.rows(database.target(), "sessions") if row["is_here"]]

    assert [(row["application"], row["idle_in_transaction"]) for row in found] == [("shop", 1)]
    assert found[0]["longest_idle_in_transaction_s"] >= 0
    assert found[0]["client"] == "127.0.0.1"


def test_limits_are_those_of_the_server_and_not_those_that_we_set_for_ourselves(
    database: PostgresDatabase, connector: PostgresConnector
) -> None:
    database.run(f"ALTER ROLE app IN DATABASE {database.name} SET idle_in_transaction_session_timeout = '7s'")

    (limits,) = connector.rows(database.target(), "limits")
    timeouts = connector.rows(database.target(), "role_timeouts")

    assert limits["idle_in_transaction_session_timeout_ms"] == 0
    assert (limits["max_connections"], limits["reserved_connections"]) == (40, 3)
    assert [(row["role"], row["is_for_database"], row["value"]) for row in timeouts] == [("app", True, "7s")]


def test_one_connection_serves_all_questions_and_ends_with_the_run(
    database: PostgresDatabase, connector: PostgresConnector
) -> None:
    counted = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'quub-audit' AND datname = %s"
    with database.connect() as operator:
        for question in ("tables", "indexes", "sessions"):
            connector.rows(database.target(), question)
        during = operator.execute(counted.encode(), [database.name]).fetchone()
        connector.close()
        after: Any = None
        for _ in range(100):
            after = operator.execute(counted.encode() + b" AND pg_sleep(0.02) IS NOT NULL", [database.name]).fetchone()
            if after == (0,):
                break

    assert during == (1,)
    assert after == (0,)


def test_what_is_sent_is_read_only_even_where_the_role_may_write(
    database: PostgresDatabase, connector: PostgresConnector
) -> None:
    database.run(WITH_STATEMENTS)
    connector.rows(database.target(user="operator"), "tables")
    with database.connect() as operator:
        sent = operator.execute(
            "SELECT s.query FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid "
            "WHERE d.datname = current_database()"
        ).fetchall()

    texts = {row[0] for row in sent}
    assert "BEGIN READ ONLY" in texts
    assert "BEGIN" not in texts


def test_a_connection_that_an_operator_ended_is_made_anew(
    database: PostgresDatabase, connector: PostgresConnector
) -> None:
    connector.rows(database.target(), "tables")
    database.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'quub-audit' AND datname = current_database()"
    )

    broken = error_of(connector, database.target(), "limits")

    assert isinstance(broken, Unreachable)
    assert connector.rows(database.target(), "statistics")


def test_a_lock_that_somebody_holds_is_not_waited_for(database: PostgresDatabase, connector: PostgresConnector) -> None:
    database.run("CREATE TABLE orders (id int)")
    with database.connect() as migration:
        migration.execute("BEGIN")
        migration.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
        error = error_of(connector, database.target(), "tables")

    assert isinstance(error, TimedOut)
    assert "lock" in error.message
    assert connector.rows(database.target(), "foreign_keys") == ()


def test_the_deadline_of_the_check_ends_a_question_that_waits(
    database: PostgresDatabase, connector: PostgresConnector, deadline: Deadline
) -> None:
    connector.rows(database.target(), "identity")
    deadline.cancel()

    assert isinstance(error_of(connector, database.target(), "tables"), TimedOut)


@pytest.mark.parametrize(
    ("changes", "kind", "said"),
    [
        ({"password": "wrong-of-the-test"}, Denied, "wrong password"),
        ({"password": ""}, Denied, "no password supplied"),
        ({"user": "nobody"}, Denied, "wrong password or no such role"),
        ({"database": "no_such_database"}, Absent, "there is no database no_such_database"),
        ({"user": "unencrypted"}, Denied, "pg_hba.conf does not let unencrypted in"),
        ({"is_tls": False}, Denied, "by TLS alone"),
        ({"ca_file": ""}, Unreachable, "is not trusted"),
        ({"ca_file": "/no/such/file.pem"}, Unreachable, "cannot be read"),
        ({"host": "localhost"}, Unreachable, "is not trusted"),
        ({"port": 1}, Unreachable, "no connection to 127.0.0.1:1"),
        ({"host": "no-such-host.invalid"}, Unreachable, "no-such-host.invalid"),
        ({"host": "192.0.2.1", "is_tls": False}, Refused, "the password would travel in the clear"),
    ],
)
def test_a_connection_that_fails_says_why(
    changes: dict[str, Any],
    kind: type[Reportable],
    said: str,
    database: PostgresDatabase,
    connector: PostgresConnector,
) -> None:
    error = error_of(connector, database.target(**changes))

    assert type(error) is kind
    assert said in error.message
    assert error.message.startswith("orders: ")


def test_plaintext_on_this_machine_is_no_tls(database: PostgresDatabase, connector: PostgresConnector) -> None:
    (identity,) = connector.rows(database.target(user="unencrypted", is_tls=False), "identity")

    assert identity["tls_version"] == ""


def test_a_role_without_a_free_connection_is_throttled(
    database: PostgresDatabase, connector: PostgresConnector
) -> None:
    database.run(f"ALTER DATABASE {database.name} CONNECTION LIMIT 1")
    with database.connect(user="app"):
        error = error_of(connector, database.target())

    assert isinstance(error, Throttled)


def test_the_environment_leads_nowhere_else(
    database: PostgresDatabase, connector: PostgresConnector, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "PGHOSTADDR": "192.0.2.1",
        "PGHOST": "192.0.2.1",
        "PGPORT": "1",
        "PGDATABASE": "other",
        "PGUSER": "other",
        "PGPASSWORD": "other",
        "PGSSLMODE": "disable",
        "PGOPTIONS": "-c no_such_setting=1",
        "PGAPPNAME": "other",
        "PGCLIENTENCODING": "LATIN1",
        "PGCONNECT_TIMEOUT": "1",
    }.items():
        monkeypatch.setenv(name, value)

    (identity,) = connector.rows(database.target(), "identity")

    assert (identity["database"], identity["role"]) == (database.name, "auditor")
    assert identity["tls_version"]


def test_a_database_of_raw_bytes_is_malformed_where_they_are_no_utf8(
    postgres_server: PostgresServer, connector: PostgresConnector
) -> None:
    name = "raw_bytes_of_the_test"
    postgres_server.run(f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' TEMPLATE template0")
    try:
        postgres_server.run(r"""DO $$ BEGIN EXECUTE E'CREATE TABLE "\xff" ()'; END $$""", database=name)
        target = PostgresDatabase(server=postgres_server, name=name).target()
        error = error_of(connector, target, "tables")
    finally:
        connector.close()
        postgres_server.run(f"DROP DATABASE {name} WITH (FORCE)")

    assert "UTF8" in error.message


def test_passwords_are_struck_from_every_output(database: PostgresDatabase) -> None:
    redactor = Redactor()
    PostgresConnector((database.target(),), Ledger(), Sealer(b"salt-of-the-test", redactor)).close()

    assert PASSWORD not in redactor.clean(f"the password is {PASSWORD}")


def test_the_statements_that_take_the_most_time_come_first_and_are_bounded(
    database: PostgresDatabase, connector: PostgresConnector
) -> None:
    database.run(WITH_STATEMENTS)
    database.run(
        "SELECT pg_sleep(0.2)", *(f"SELECT {', '.join('1' * n)}" for n in range(1, TOP_STATEMENTS + 5)), user="app"
    )

    rows = connector.rows(database.target(), "statements")

    assert len(rows) == TOP_STATEMENTS
    assert [row["total_ms"] for row in rows] == sorted((row["total_ms"] for row in rows), reverse=True)
    assert rows[0]["query"] == "SELECT pg_sleep($1)"
    assert rows[0]["mean_ms"] >= 200
