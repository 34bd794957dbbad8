"""What the tests of this group share: fingerprints and one OpenBao server."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from quub_audit.facts.seal import Redactor, Sealer
from tests.checks.security.api_keys.scene import Seal
from tests.worlds.checkout import Checkout
from tests.worlds.vault import VaultWorld, vault_world


@pytest.fixture(scope="package")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VaultWorld]:
    with vault_world(tmp_path_factory.mktemp("bao")) as running:
        yield running


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A fresh git repository with one commit of harmless code."""
    fresh = Checkout(tmp_path / "app")
    fresh.commit({"src/index.ts": "export const answer = 42;\n", ".env.production": "PORT=3000\n"})
    return fresh


@pytest.fixture
def seal() -> Seal:
    return Sealer(b"salt of the tables", Redactor()).seal


@pytest.fixture
def now() -> datetime:
    return datetime(2026, 6, 1, 12, tzinfo=UTC)
