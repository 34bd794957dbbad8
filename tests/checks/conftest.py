"""What the tests of items share: one emulated AWS and one authority of loopback servers for all of a worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from quub_audit.demo.authority import Authority
from tests.worlds.cloud import Cloud, emulated_cloud
from tests.worlds.web import Names


@pytest.fixture(scope="session")
def emulator() -> Iterator[str]:
    with emulated_cloud() as address:
        yield address


@pytest.fixture
def cloud(emulator: str) -> Iterator[Cloud]:
    """An account that no other test uses."""
    fresh = Cloud(emulator)
    yield fresh
    fresh.stop_enforcing()


@pytest.fixture(scope="session")
def names(tmp_path_factory: pytest.TempPathFactory) -> Names:
    return Names(Authority(), tmp_path_factory.mktemp("names"))
