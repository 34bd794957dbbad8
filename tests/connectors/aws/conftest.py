"""What the tests of this connector share: one emulated AWS, a fresh account for each test, connectors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from quub_audit.connectors.aws import AwsConnector
from quub_audit.connectors.base import DEADLINE, Deadline, Ledger
from quub_audit.facts.seal import Redactor, Sealer
from quub_audit.model.environment import Account
from tests.worlds.cloud import Cloud, emulated_cloud

Connect = Callable[..., AwsConnector]


@pytest.fixture(scope="package")
def emulator() -> Iterator[str]:
    with emulated_cloud() as address:
        yield address


@pytest.fixture
def cloud(emulator: str) -> Iterator[Cloud]:
    """An account that no other test uses."""
    fresh = Cloud(emulator)
    yield fresh
    fresh.stop_enforcing()


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Builds connectors and closes them."""
    built = []

    def build(
        *accounts: Account,
        environ: dict[str, str],
        ledger: Ledger | None = None,
        sealer: Sealer | None = None,
        permissions: frozenset[str] = frozenset(),
    ) -> AwsConnector:
        connector = AwsConnector(
            accounts,
            ledger or Ledger(),
            sealer or Sealer(b"salt", Redactor()),
            permissions=permissions,
            environ=environ,
        )
        built.append(connector)
        return connector

    yield build
    for connector in built:
        connector.close()


@pytest.fixture
def aws(cloud: Cloud, connect: Connect) -> AwsConnector:
    """The connector of the fresh account."""
    return connect(cloud.account(), environ=cloud.environ)


@pytest.fixture
def deadline() -> Iterator[Callable[[float], Deadline]]:
    """Puts the test under a deadline, as the engine does a check."""
    tokens: list[Any] = []

    def set_deadline(seconds: float) -> Deadline:
        one = Deadline(seconds)
        tokens.append(DEADLINE.set(one))
        return one

    yield set_deadline
    for token in reversed(tokens):
        DEADLINE.reset(token)
