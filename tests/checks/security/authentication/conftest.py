"""One Keycloak for all tests of a session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.worlds.keycloak import Keycloak, keycloak_of_session


@pytest.fixture(scope="session")
def keycloak_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keycloak]:
    with keycloak_of_session(tmp_path_factory.getbasetemp()) as server:
        yield server
