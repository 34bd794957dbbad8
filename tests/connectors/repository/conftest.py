"""A repository with one commit of harmless code, and connectors to look at it with."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from quub_audit.connectors.base import Ledger
from quub_audit.connectors.children import Children
from quub_audit.connectors.repository import RepositoryConnector
from quub_audit.facts.seal import Redactor, Sealer
from tests.connectors.repository.corpus import Mint
from tests.worlds.checkout import Checkout

Connect = Callable[..., RepositoryConnector]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    fresh = Checkout(tmp_path / "app")
    fresh.commit({"src/index.ts": "export const answer = 42;\n", "README.md": "An application.\n"})
    return fresh


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Makes a connector as a run would, with a ledger and a salt of its own."""
    made: list[RepositoryConnector] = []

    def make(*, cache_dir: Path | None = None, redactor: Redactor | None = None) -> RepositoryConnector:
        sealer = Sealer(secrets.token_bytes(32), redactor or Redactor())
        made.append(RepositoryConnector(Ledger(), sealer, cache_dir=cache_dir))
        return made[-1]

    yield make
    for connector in made:
        connector.close()


@pytest.fixture
def connector(connect: Connect) -> RepositoryConnector:
    return connect()


@pytest.fixture
def children() -> Iterator[Children]:
    started = Children()
    yield started
    started.close()


@pytest.fixture
def made_up() -> Mint:
    """Values that look like credentials, other ones in each test."""
    return Mint(secrets.randbits(64))
