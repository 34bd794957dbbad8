"""Real Prometheus servers and Alertmanagers for all of a worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.worlds.prometheus import Watches
from tests.worlds.prometheus import watches as running_watches


@pytest.fixture(scope="session")
def watches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watches]:
    with running_watches(tmp_path_factory.mktemp("watches")) as both:
        yield both
