"""What the audit of a large PostgreSQL schema costs. `python -m bench.postgres [--tables N]`.

Makes tables with a foreign key and four indexes each on a real server, puts every question of the catalogue to it, and
prints the rows and the time of each.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from quub_audit.connectors.base import Ledger
from quub_audit.connectors.postgres import PostgresConnector
from quub_audit.connectors.postgres_questions import QUESTIONS
from quub_audit.facts.seal import Redactor, Sealer
from tests.worlds.postgres import PostgresDatabase, postgres_of_session

AT_ONCE = 100
"""Tables that are made over one connection."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.postgres", description=__doc__)
    parser.add_argument("--tables", type=int, default=2000, help="tables of the database (default: 2000)")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as scratch,
        postgres_of_session(Path(scratch)) as server,
        server.database() as database,
    ):
        fill(database, options.tables)
        taken = 0.0
        for question, rows, seconds in asked(database):
            print(f"{question:18} {rows:7,} rows {seconds:8.3f} s", flush=True)
            taken += seconds
        print(f"{options.tables:,} tables: {taken:.2f} s")


def fill(database: PostgresDatabase, tables: int) -> None:
    """Tables that refer to one, with an index on the key, one of two columns, and one of an expression, partial."""
    database.run("CREATE EXTENSION pg_stat_statements", "CREATE TABLE customers (id int PRIMARY KEY)")
    for first in range(0, tables, AT_ONCE):
        database.run(
            *(
                f"CREATE TABLE t{n} (id int PRIMARY KEY, customer int REFERENCES customers, a text, b text); "
                f"CREATE INDEX ON t{n} (customer); CREATE INDEX ON t{n} (a, b); "
                f"CREATE INDEX ON t{n} (lower(b)) WHERE customer > 5"
                for n in range(first, min(first + AT_ONCE, tables))
            )
        )


def asked(database: PostgresDatabase) -> Iterator[tuple[str, int, float]]:
    """Each question with the rows of its answer and the seconds that it took; the first opens the connection."""
    connector = PostgresConnector((), Ledger(), Sealer(b"salt of a benchmark", Redactor()))
    try:
        for question in QUESTIONS:
            begun = time.perf_counter()
            rows = connector.rows(database.target(), question)
            yield question, len(rows), time.perf_counter() - begun
    finally:
        connector.close()


if __name__ == "__main__":
    main()
