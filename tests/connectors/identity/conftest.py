"""A connector for each test; one Keycloak for all of a session."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from quub_audit.connectors.base import Ledger
from quub_audit.connectors.identity import IdentityConnector
from quub_audit.facts.seal import Redactor, Sealer
from quub_audit.model.environment import IdentityProvider
from tests.worlds.keycloak import Keycloak, KeycloakRealm, keycloak_of_session


@pytest.fixture
def redactor() -> Redactor:
    return Redactor()


@pytest.fixture
def connect(redactor: Redactor) -> Callable[..., IdentityConnector]:
    """A fresh connector of these providers; active checks are allowed where it is not said otherwise."""

    def build(*providers: IdentityProvider, allow_active: bool = True) -> IdentityConnector:
        return IdentityConnector(providers, Ledger(), Sealer(b"salt", redactor), allow_active=allow_active)

    return build


@pytest.fixture(scope="session")
def keycloak_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keycloak]:
    with keycloak_of_session(tmp_path_factory.getbasetemp()) as server:
        yield server


@pytest.fixture(scope="session")
def shop(keycloak_server: Keycloak) -> KeycloakRealm:
    """A realm whose tests add to it, and change nothing that others look at."""
    return keycloak_server.realm()
