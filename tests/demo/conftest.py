"""Both worlds of the demo, one after the other: the emulator's accounts are the process's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from quub_audit.demo.world import DemoWorld, demo_world


@pytest.fixture(scope="class")
def healthy_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoWorld]:
    with demo_world(tmp_path_factory.mktemp("healthy"), healthy=True) as world:
        yield world


@pytest.fixture(scope="class")
def faulty_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoWorld]:
    with demo_world(tmp_path_factory.mktemp("faulty"), healthy=False) as world:
        yield world
