"""A connector for each test; real servers for all of a worker, and one that says whatever it is told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from quub_audit.connectors.base import Ledger
from quub_audit.connectors.prometheus import PrometheusConnector
from quub_audit.facts.seal import Redactor
from tests.connectors.identity.saying import Saying, saying
from tests.worlds.prometheus import Watches
from tests.worlds.prometheus import watches as running_watches


@pytest.fixture(scope="session")
def watches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watches]:
    with running_watches(tmp_path_factory.mktemp("watches")) as both:
        yield both


@pytest.fixture
def connector() -> PrometheusConnector:
    return PrometheusConnector((), Ledger(), Redactor())


@pytest.fixture
def server() -> Iterator[Saying]:
    with saying() as running:
        yield running
