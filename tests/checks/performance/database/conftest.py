"""One PostgreSQL for all tests of a session, and a database for each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.worlds.postgres import PostgresDatabase, PostgresServer, postgres_of_session


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    with postgres_of_session(tmp_path_factory.getbasetemp()) as server:
        yield server


@pytest.fixture
def database(postgres_server: PostgresServer) -> Iterator[PostgresDatabase]:
    with postgres_server.database() as fresh:
        yield fresh
