"""Both worlds of the demo, one after the other: the emulator's accounts are the process's own."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from quub_audit.demo.world import DemoWorld, demo_world


@pytest.fixture(scope="class")
def healthy_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoWorld]:
    with demo_world(tmp_path_factory.mktemp("healthy"), healthy=True) as world:
        yield world


@pytest.fixture
def bare_worlds(tmp_path: Path) -> Callable[..., contextlib.AbstractContextManager[DemoWorld]]:
    """Worlds on a machine that has neither Redis nor PostgreSQL."""
    return lambda *, healthy: demo_world(tmp_path / "bare", healthy=healthy, search=str(tmp_path))


@pytest.fixture(scope="class")
def faulty_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoWorld]:
    with demo_world(tmp_path_factory.mktemp("faulty"), healthy=False) as world:
        yield world
