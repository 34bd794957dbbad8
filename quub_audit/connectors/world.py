"""Builds the connectors of one run, each when it is first wanted, around one ledger and one sealer."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from quub_audit.connectors.base import Ledger
from quub_audit.errors import Reportable
from quub_audit.facts.asking import (
    Artifacts,
    Aws,
    Clock,
    Dependencies,
    Hosting,
    Http,
    Identity,
    Logs,
    Postgres,
    Prometheus,
    Redis,
    Repositories,
    Tcp,
    Telemetry,
    Tls,
    Vault,
    WebAssets,
    WebSockets,
)
from quub_audit.facts.seal import Redactor, Sealer
from quub_audit.model.environment import (
    Account,
    Environment,
    Region,
    Repository,
    SecretReference,
    VaultServer,
)


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
        commit: str = "",
    ) -> None:
        self.environment = environment
        self._commit = commit
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

    def audited_commit(self) -> str:
        """The commit that the world was built with, else what the first repository has checked out.

        Empty when nobody knows.
        """
        return self._commit or self._head_of(self.environment.repositories[:1])

    def _head_of(self, repositories: tuple[Repository, ...]) -> str:
        checkouts: Any = self.connector(Repositories)
        try:
            return "".join(checkouts.head(repository).commit for repository in repositories)
        except Reportable:
            return ""  # the items that look at the repository say why

    def _commit_for(self, repository: str) -> str:
        """The commit that evidence on a repository, the first where none is named, has to be of."""
        repositories = self.environment.repositories
        if not repository or repository == repositories[0].name:
            return self.audited_commit()
        return self._head_of(tuple(each for each in repositories if each.name == repository))

    def verify_targets(self) -> tuple[str, ...]:
        """Compare every account of the environment with its declared identity; say in words what will be audited.

        Raises WrongTarget: nothing has been audited then. An identity that cannot be known (no credentials, no
        network) is said so here, and is the error of everything that asks that account.
        """
        targets = [self._verify(account) for account in self.environment.aws]
        targets.extend(f"endpoint {endpoint.name} {endpoint.url}" for endpoint in self.environment.endpoints)
        targets.extend(f"Vault {server.name} {server.address}" for server in self.environment.vault)
        for provider in self.environment.identity:
            place = provider.organisation or provider.issuer or provider.admin_url
            targets.append(f"identity provider {provider.name} {place}")
        targets.extend(
            f"database {one.name} {one.host}:{one.port}/{one.database}" for one in self.environment.databases
        )
        targets.extend(f"cache {cache.name} {', '.join(cache.addresses)}" for cache in self.environment.caches)
        targets.extend(f"Prometheus {server.name} {server.url}" for server in self.environment.prometheus)
        targets.extend(f"Alertmanager {server.name} {server.url}" for server in self.environment.alertmanager)
        targets.extend(f"{backend.type} {backend.name} {backend.url}" for backend in self.environment.apm)
        targets.extend(f"error tracker {tracker.name} {tracker.url}" for tracker in self.environment.error_tracking)
        targets.extend(f"{artifact.purpose} {artifact.name}" for artifact in self.environment.artifacts)
        targets.extend(f"advisories {service.name} {service.url}" for service in self.environment.advisories)
        targets.extend(f"repository {repository.name}" for repository in self.environment.repositories)
        if self.environment.quub and self.environment.quub.api_url:
            targets.append(f"Quub API {self.environment.quub.api_url}")
        return tuple(targets)

    def _verify(self, account: Account) -> str:
        named = f"AWS {account.name} {account.account_id} {', '.join(account.region_names)}"
        try:
            caller = self._aws().caller(account)
        except Reportable as error:
            return f"{named}: identity unknown: {error.message}"
        return f"{named} as {caller}"

    def close(self) -> None:
        """End what the connectors still run; nothing can be asked afterwards."""
        with self._lock:
            for built in self._built.values():
                close = getattr(built, "close", None)
                if close is not None:
                    close()

    def _builders(self) -> Mapping[type, Callable[[], Any]]:
        return {
            Aws: self._build_aws,
            Http: self._build_http,
            Tls: self._build_tls,
            Tcp: self._build_tcp,
            Repositories: self._build_repositories,
            Vault: self._build_vault,
            Identity: self._build_identity,
            Logs: self._build_logs,
            Redis: self._build_redis,
            Postgres: self._build_postgres,
            Prometheus: self._build_prometheus,
            Telemetry: self._build_telemetry,
            Artifacts: self._build_artifacts,
            Hosting: self._build_hosting,
            WebAssets: self._build_web_assets,
            WebSockets: self._build_websockets,
            Dependencies: self._build_dependencies,
            Clock: lambda: self._clock,
        }

    def _accounts(self) -> tuple[Account, ...]:
        return tuple(self._by_name("aws").values())

    def _servers(self) -> tuple[VaultServer, ...]:
        return tuple(self._by_name("vault").values())

    def _by_name(self, kind: str) -> dict[str, Any]:
        """Targets of this environment and its siblings; a name stands for one target in the whole file."""
        by_name: dict[str, Any] = {}
        for environment in (self.environment, *self.environment.siblings):
            for target in getattr(environment, kind):
                by_name.setdefault(target.name, target)
        return by_name

    def _aws(self) -> Any:
        return self.connector(Aws)

    def _build_aws(self) -> Any:
        from quub_audit.connectors.aws import AwsConnector

        return AwsConnector(
            self._accounts(), self.ledger, self._sealer, permissions=self._permissions, environ=self._environ
        )

    def _build_http(self) -> Any:
        from quub_audit.connectors.http import HttpConnector

        return HttpConnector(
            self.ledger, self._sealer, secret_values=self._secret_values, allow_active=self._allow_active
        )

    def _build_tls(self) -> Any:
        from quub_audit.connectors.tls import TlsConnector

        return TlsConnector(self.ledger)

    def _build_tcp(self) -> Any:
        from quub_audit.connectors.tcp import TcpConnector

        return TcpConnector(self.ledger)

    def _build_repositories(self) -> Any:
        from quub_audit.connectors.repository import RepositoryConnector

        return RepositoryConnector(self.ledger, self._sealer, cache_dir=self._cache_dir)

    def _build_vault(self) -> Any:
        from quub_audit.connectors.vault import VaultConnector

        return VaultConnector(self._servers(), self.ledger, self._sealer)

    def _build_identity(self) -> Any:
        from quub_audit.connectors.identity import IdentityConnector

        providers = tuple(self._by_name("identity").values())
        return IdentityConnector(providers, self.ledger, self._sealer, allow_active=self._allow_active)

    def _build_logs(self) -> Any:
        from quub_audit.connectors.logs import LogsConnector

        return LogsConnector(self.ledger, self._sealer, log_pages=self._log_pages, at=self._clock.now())

    def _build_redis(self) -> Any:
        from quub_audit.connectors.redis_server import RedisConnector

        return RedisConnector(self._by_name("caches").values(), self.ledger, self.redactor)

    def _build_postgres(self) -> Any:
        from quub_audit.connectors.postgres import PostgresConnector

        return PostgresConnector(tuple(self._by_name("databases").values()), self.ledger, self._sealer)

    def _build_prometheus(self) -> Any:
        from quub_audit.connectors.prometheus import PrometheusConnector

        servers = (*self._by_name("prometheus").values(), *self._by_name("alertmanager").values())
        return PrometheusConnector(servers, self.ledger, self.redactor)

    def _build_telemetry(self) -> Any:
        from quub_audit.connectors.telemetry import TelemetryConnector

        targets = (*self._by_name("apm").values(), *self._by_name("error_tracking").values())
        return TelemetryConnector(targets, self.ledger, self.redactor, at=self._clock.now())

    def _build_artifacts(self) -> Any:
        from quub_audit.connectors.artifacts import ArtifactsConnector, by_commit, on_this_machine

        checkouts: Any = self.connector(Repositories)
        store = on_this_machine(checkouts.committed_at)
        return ArtifactsConnector(
            self.environment.artifacts,
            self.ledger,
            self._sealer,
            at=self._clock.now(),
            commit_of=lambda artifact: self._commit_for(artifact.repository),
            store_of=lambda artifact: by_commit if artifact.pipeline else store,
        )

    def _build_hosting(self) -> Any:
        from quub_audit.connectors.hosting_github import HostingConnector

        return HostingConnector(
            self.environment.repositories,
            self.ledger,
            self.redactor,
            commit_of=lambda repository: self._commit_for(repository.name),
        )

    def _build_web_assets(self) -> Any:
        from quub_audit.connectors.web_assets import WebAssetsConnector

        http: Any = self.connector(Http)
        quub = self.environment.quub
        return WebAssetsConnector(
            self.ledger,
            self._sealer,
            http=http,
            secret_values=self._secret_values,
            own=quub.secrets if quub else (),
        )

    def _build_dependencies(self) -> Any:
        from quub_audit.connectors.dependencies import DependenciesConnector

        checkouts: Any = self.connector(Repositories)
        artifacts: Any = self.connector(Artifacts)
        return DependenciesConnector(
            self.environment.advisories,
            self.ledger,
            self.redactor,
            checkouts=checkouts,
            artifacts=artifacts,
            at=self._clock.now(),
        )

    def _build_websockets(self) -> Any:
        from quub_audit.connectors.websocket import WebSocketConnector

        return WebSocketConnector(self.ledger, self._sealer, allow_active=self._allow_active)

    def _log_pages(self, region: Region, **parameters: Any) -> Iterator[Mapping[str, Any]]:
        """Events of one group, page by page, for the connector that samples them."""
        pages: Iterator[Mapping[str, Any]] = self._aws().log_pages(region, **parameters)
        return pages

    def _secret_values(self, secret: SecretReference) -> Mapping[str, str]:
        """The fields of a secret for the connector that presents them; already struck from every output."""
        store = self.connector(Vault) if secret.store == "vault" else self.connector(Aws)
        values: Mapping[str, str] = store.secret_values(secret)  # type: ignore[attr-defined]
        return values
