"""Builds the connectors of one run, each when it is first wanted, around one ledger and one sealer."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from quub_audit.connectors.base import Ledger
from quub_audit.facts.asking import Clock, Vault
from quub_audit.facts.seal import Redactor, Sealer
from quub_audit.model.environment import Environment, VaultServer


class FixedClock:
    """The time at which the audit began, for every check of the run."""

    def __init__(self, at: datetime) -> None:
        self._at = at

    def now(self) -> datetime:
        """Aware, UTC."""
        return self._at


class World:
    """Everything that a run may ask, seen through one environment. Nothing is imported or opened before it is asked."""

    def __init__(
        self,
        environment: Environment,
        *,
        at: datetime,
        permissions: frozenset[str] = frozenset(),
        allow_active: bool = False,
        redactor: Redactor | None = None,
        ledger: Ledger | None = None,
        environ: Mapping[str, str] | None = None,
        cache_dir: Path | None = None,
        salt: bytes | None = None,
    ) -> None:
        self.environment = environment
        self.ledger = ledger or Ledger()
        self.redactor = redactor or Redactor()
        self._sealer = Sealer(salt or secrets.token_bytes(32), self.redactor)
        self._permissions = permissions
        self._allow_active = allow_active
        self._environ = os.environ if environ is None else environ
        self._cache_dir = cache_dir
        self._clock = FixedClock(at)
        self._built: dict[type, Any] = {}
        self._lock = threading.RLock()

    def connector(self, protocol: type) -> object:
        """The implementation of one of the Protocols of `quub_audit.facts.asking`; the same one each time."""
        with self._lock:
            if protocol not in self._built:
                self._built[protocol] = self._builders()[protocol]()
            built: object = self._built[protocol]
            return built

    def verify_targets(self) -> tuple[str, ...]:
        """Compare every account of the environment with its declared identity; say in words what will be audited.

        Raises WrongTarget, or what keeps the identity from being known; nothing has been audited then.
        """
        targets = [
            f"AWS {account.name} {account.account_id} {', '.join(account.region_names)}"
            for account in self.environment.aws
        ]
        targets.extend(f"endpoint {endpoint.name} {endpoint.url}" for endpoint in self.environment.endpoints)
        targets.extend(f"Vault {server.name} {server.address}" for server in self.environment.vault)
        targets.extend(f"repository {repository.name}" for repository in self.environment.repositories)
        if self.environment.quub and self.environment.quub.api_url:
            targets.append(f"Quub API {self.environment.quub.api_url}")
        return tuple(targets)

    def close(self) -> None:
        """End what the connectors still run; nothing can be asked afterwards."""
        with self._lock:
            for built in self._built.values():
                close = getattr(built, "close", None)
                if close is not None:
                    close()

    def _builders(self) -> Mapping[type, Callable[[], Any]]:
        return {
            Vault: self._build_vault,
            Clock: lambda: self._clock,
        }

    def _servers(self) -> tuple[VaultServer, ...]:
        by_name: dict[str, VaultServer] = {}
        for environment in (self.environment, *self.environment.siblings):
            for server in environment.vault:
                by_name.setdefault(server.name, server)
        return tuple(by_name.values())

    def _build_vault(self) -> Any:
        from quub_audit.connectors.vault import VaultConnector

        return VaultConnector(self._servers(), self.ledger, self._sealer)
