"""Environments of the tests of this group, and keys that no scanner should find in this repository."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from quub_audit.facts.seal import Fingerprint
from quub_audit.model.environment import Environment, Quub, SecretReference, VaultServer

Seal = Callable[[str], Fingerprint]


def made_up_key(prefix: str = "qk") -> str:
    """Looks like a key, and opens nothing."""
    return f"{prefix}_{secrets.token_urlsafe(32).replace('-', 'A').replace('_', 'B')}"


def credentials(**fields: str) -> dict[str, str]:
    """What a good secret holds; `fields` replace or add."""
    return {"apiKey": made_up_key(), "apiSecret": made_up_key("qs"), "orgId": "org_1", **fields}


def unique(name: str) -> str:
    """`name` with a beginning that no other test uses."""
    return f"{secrets.token_hex(4)}/{name}"


def in_vault(
    server: VaultServer,
    *paths: str,
    name: str = "production",
    stage: Literal["production", "staging", "development"] = "production",
) -> Environment:
    """An environment whose Quub secrets lie in Vault, below the mount `secret`."""
    declared = tuple(
        SecretReference(store="vault", name=f"secret/{path}", vault=server.name, environment=name) for path in paths
    )
    return Environment(
        service="orders", name=name, stage=stage, quub=Quub(secrets=declared, environment=name), vault=(server,)
    )


def beside(environment: Environment, *siblings: Environment) -> Environment:
    """`environment` as one of several of a file."""
    return replace(environment, siblings=siblings)
