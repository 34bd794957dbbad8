"""One authority for all servers here, and connectors that remember nothing of each other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from quub_audit.connectors.base import DEADLINE, Deadline, Ledger
from quub_audit.connectors.http import HttpConnector
from quub_audit.demo.authority import Authority
from quub_audit.facts.seal import Redactor, Sealer
from tests.worlds.web import Names


@pytest.fixture(scope="session")
def names(tmp_path_factory: pytest.TempPathFactory) -> Names:
    return Names(Authority(), tmp_path_factory.mktemp("names"))


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def redactor() -> Redactor:
    return Redactor()


@pytest.fixture
def http(ledger: Ledger, redactor: Redactor) -> HttpConnector:
    return HttpConnector(ledger, Sealer(b"salt", redactor), secret_values=lambda _: {}, allow_active=False)


@pytest.fixture
def short_check() -> Iterator[None]:
    """A check that has two seconds left."""
    token = DEADLINE.set(Deadline(2.0))
    yield
    DEADLINE.reset(token)
