"""Real Prometheus servers and Alertmanagers for all of a worker; a stand-in of what cannot run here for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.worlds.prometheus import Watches
from tests.worlds.prometheus import watches as running_watches
from tests.worlds.saas import Saas
from tests.worlds.saas import saas as running_saas


@pytest.fixture(scope="session")
def watches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watches]:
    with running_watches(tmp_path_factory.mktemp("watches")) as both:
        yield both


@pytest.fixture
def saas() -> Iterator[Saas]:
    with running_saas() as running:
        yield running
