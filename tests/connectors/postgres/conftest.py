"""One PostgreSQL for all tests of a session, a database for each, and connectors that are closed at the end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from quub_audit.connectors.base import Ledger
from quub_audit.connectors.postgres import PostgresConnector
from quub_audit.facts.seal import Redactor, Sealer
from tests.worlds.postgres import PostgresDatabase, PostgresServer, postgres_of_session


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    with postgres_of_session(tmp_path_factory.getbasetemp()) as server:
        yield server


@pytest.fixture
def database(postgres_server: PostgresServer) -> Iterator[PostgresDatabase]:
    with postgres_server.database() as fresh:
        yield fresh


@pytest.fixture
def connector() -> Iterator[PostgresConnector]:
    made = PostgresConnector((), Ledger(), Sealer(b"salt-of-the-test", Redactor()))
    yield made
    made.close()
