"""What a check may ask: one Protocol per connector.

Every method may raise the `Reportable` errors of `quub_audit.errors`; a check lets them pass, and the
subject becomes an error. Every question is sent once per run, however many checks ask it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, Protocol, runtime_checkable

from quub_audit.facts.artifacts import (
    Coverage,
    Experiment,
    Freshness,
    Leaks,
    LoadRun,
    MutationReport,
    Scan,
    Statement,
    TestReport,
)
from quub_audit.facts.code import Assignments, CodeFile, Head, Pattern, Search, SecretScan, Text
from quub_audit.facts.dependencies import Manifest
from quub_audit.facts.hosting import CodeScanning, DependencyAlerts, SecretAlerts
from quub_audit.facts.http import Burst, HttpAnswer, Reach
from quub_audit.facts.identity import Organisation, Person, Realm, RefreshTrial, Tokens
from quub_audit.facts.logs import LogSample
from quub_audit.facts.prometheus import Receiver, Rule, Sample, ScrapeTarget, Silence
from quub_audit.facts.redis import KeySample, RedisTopology, RedisTraffic
from quub_audit.facts.seal import Fingerprint
from quub_audit.facts.telemetry import Traces, TrackedProject
from quub_audit.facts.tls import TlsScan
from quub_audit.facts.vault import VaultSecret
from quub_audit.facts.web import WebSurface
from quub_audit.facts.websocket import Handshake, Ping
from quub_audit.model.environment import (
    AdvisoryService,
    AlertmanagerServer,
    ApmBackend,
    Artifact,
    Cache,
    Database,
    Endpoint,
    ErrorTracker,
    IdentityProvider,
    LogSource,
    PrometheusServer,
    Quub,
    Region,
    Repository,
    SecretReference,
    VaultServer,
)


@runtime_checkable
class Aws(Protocol):
    """Amazon Web Services, read only."""

    def ask(self, operation: str, *, region: Region, **parameters: Any) -> Mapping[str, Any]:
        """The answer of `service.Operation` (boto3's service name), all pages merged, without ResponseMetadata.

        Secret values in it (environment variables of ECS and Lambda) are `Fingerprint`s already.

        Raises Denied (naming the IAM action), Absent, Unreachable, TimedOut, Throttled, Unsupported, Malformed,
        Refused.
        """

    def find(self, operation: str, *, region: Region, **parameters: Any) -> Mapping[str, Any] | None:
        """As `ask`, but None where the API says by an error code that the thing does not exist."""

    def credential_report(self, *, region: Region) -> tuple[Mapping[str, str], ...]:
        """IAM's credential report, waited for: one row per user, `<root_account>` among them, by column name.

        Needs iam:GenerateCredentialReport and iam:GetCredentialReport. At most four hours old, as IAM makes them.
        """

    def secret_fingerprints(self, secret: SecretReference) -> Mapping[str, Fingerprint] | None:
        """A fingerprint per field of the secret's JSON; under an empty key when it is not a JSON object.

        None unless the account allows reading values (`read_secret_values: true`). Raises Absent as `ask`.
        """


@runtime_checkable
class Http(Protocol):
    """Plain requests to endpoints: GET, HEAD, OPTIONS; redirects observed; at most 1 MiB of body."""

    def addresses(self, endpoint: Endpoint) -> tuple[str, ...]:
        """Every address of the endpoint's name, IPv4 first; only that of `connect_to` where it is set.

        Raises Unreachable when the name does not resolve.
        """

    def get(
        self,
        endpoint: Endpoint,
        path: str = "/",
        *,
        address: str = "",
        method: Literal["GET", "HEAD", "OPTIONS"] = "GET",
        is_verified: bool = False,
        origin: str = "",
    ) -> HttpAnswer:
        """Over TLS, at one address; with `origin` as a page of that origin asks.

        The chain is verified with `is_verified` alone: what is wrong with it is told by `Tls`.
        """

    def get_plain(
        self, endpoint: Endpoint, path: str = "/", *, address: str = "", is_upgrade: bool = False
    ) -> HttpAnswer | Reach:
        """Over plain HTTP, port 80; REFUSED or FILTERED where no connection is to be had.

        With `is_upgrade` a WebSocket handshake is asked for; no frame is ever sent. No credential is sent.
        """

    def get_keyed(self, quub: Quub, *, key: SecretReference | None) -> int:
        """Status with which the Quub API answers `probe_path` for the key in the store, or for a made-up key (None).

        Only for active checks. The key never leaves the connector.
        """

    def burst(self, endpoint: Endpoint, path: str, *, requests: int) -> Burst:
        """Answers to at most 200 GETs that are sent as fast as they are answered. Only for active checks."""


@runtime_checkable
class WebAssets(Protocol):
    """What an endpoint shows to anybody: GET and HEAD alone, at its first address, without any credential."""

    def surface(self, endpoint: Endpoint, *, max_scripts: int = 100) -> WebSurface:
        """Its page, every script of its origin that page and scripts name (`max_scripts` at most) with their source
        maps, and known paths such as `/.git/HEAD`; all scanned for credentials, and searched for the values of
        `quub.secrets` where the configuration lets them be read.

        Raises Unreachable, NotTls, TimedOut, Malformed (nothing of HTTP), Throttled (429), and Malformed or Unsupported
        where the scan is not complete.
        """


@runtime_checkable
class WebSockets(Protocol):
    """Opening handshakes over TLS that is verified; no credential is sent.

    `address` is one of `Http.addresses`. Raises Unreachable (a certificate that is not trusted too), NotTls, TimedOut,
    Malformed for what is no HTTP.
    """

    def open(
        self,
        endpoint: Endpoint,
        path: str = "/",
        *,
        address: str = "",
        origin: str = "",
        subprotocols: tuple[str, ...] = (),
    ) -> Handshake:
        """What the server answers to the handshake, whatever status it is; no frame is sent.

        With `origin` as browsers name the page that asks, and `subprotocols` that are offered.
        """

    def ping(
        self,
        endpoint: Endpoint,
        path: str = "/",
        *,
        address: str = "",
        origin: str = "",
        subprotocols: tuple[str, ...] = (),
        wait_s: float,
    ) -> Ping:
        """A handshake, a ping, at most `wait_s` seconds (60 at most) for the pong, and a close with 1000.

        Only for active checks.
        """


@runtime_checkable
class Tls(Protocol):
    """Handshakes, done by sslyze in a process of its own."""

    def scan(self, endpoint: Endpoint, *, address: str) -> TlsScan:
        """Protocols, suites and chains at one address (of `Http.addresses`).

        Raises Unreachable, NotTls, TimedOut; a handshake that could not be tried is `undecided`, never `refused`.
        """

    def scan_host(self, host: str, port: int, *, connect_to: str = "", ca_file: str = "") -> TlsScan:
        """The same for a host that is no declared endpoint, at its first address or at `connect_to`."""


@runtime_checkable
class Tcp(Protocol):
    """Whether a port lets one in."""

    def reach(self, host: str, port: int) -> Reach:
        """One connection attempt from where the audit runs, closed at once. Raises Unreachable for an unknown name."""


@runtime_checkable
class Repositories(Protocol):
    """Checkouts of the service's code. Files that git ignores, vendored and generated code are left out."""

    def head(self, repository: Repository) -> Head:
        """The checked-out commit. Raises Absent when the folder does not exist."""

    def files(self, repository: Repository, *, globs: tuple[str, ...] = ("**",)) -> tuple[CodeFile, ...]:
        """Files that match one of `globs` (gitignore syntax), by path."""

    def read(self, repository: Repository, path: str) -> Text:
        """One file as text, at most 1 MiB. Raises Absent, Malformed (binary, too large)."""

    def search(
        self, repository: Repository, *, patterns: tuple[Pattern, ...], is_production_only: bool = True
    ) -> Search:
        """Structural search; `is_production_only` leaves out tests, examples, fixtures and documentation."""

    def secrets(self, repository: Repository) -> SecretScan:
        """Secret values in the working tree and in the history."""

    def assignments(self, repository: Repository, *, names: str) -> Assignments:
        """Names that match the regular expression `names` and are given a value in configuration files."""


@runtime_checkable
class Hosting(Protocol):
    """GitHub, where it keeps a declared repository; None for one whose host is not declared.

    Raises Denied (naming the permission of the token), Absent (no such project), Throttled, Unreachable, TimedOut,
    Malformed, Unsupported. What is switched off is a fact.
    """

    def secret_alerts(self, repository: Repository) -> SecretAlerts | None:
        """Its alerts on credentials, without any value. Needs `secret_scanning_alerts: read`."""

    def dependency_alerts(self, repository: Repository) -> DependencyAlerts | None:
        """Its alerts on packages. Needs `dependabot_alerts: read`."""

    def code_scanning(self, repository: Repository) -> CodeScanning | None:
        """Analyses of the audited commit, whatever tool sent them. Needs `code_scanning_alerts: read`."""


@runtime_checkable
class Vault(Protocol):
    """HashiCorp Vault and OpenBao: read and list."""

    def secret(self, server: VaultServer, path: str) -> VaultSecret | None:
        """Metadata of `mount/path`, or None when there is no such secret."""

    def fingerprints(self, server: VaultServer, path: str) -> Mapping[str, Fingerprint] | None:
        """A fingerprint per field of the current version; None unless the server's `read_secret_values` is set."""


@runtime_checkable
class Identity(Protocol):
    """Identity providers: Keycloak's admin API, any OpenID provider, GitHub organisations. Never a token's text."""

    @property
    def may_try(self) -> bool:
        """Whether active questions are allowed in this run: those that ask for tokens, or use them up."""

    def realm(self, provider: IdentityProvider) -> Realm:
        """Keycloak's realm and all its clients. Raises Denied naming the role of `realm-management` that is missing."""

    def administrators(self, provider: IdentityProvider, *, roles: tuple[str, ...]) -> tuple[Person, ...]:
        """Keycloak: enabled users who hold one of `roles` (realm roles, or `client/role`), directly, by composite
        role or by group, each with its second factors; by name.
        """

    def organisation(self, provider: IdentityProvider) -> Organisation:
        """GitHub: whether second factors are required, and the owners without one."""

    def tokens(self, provider: IdentityProvider) -> Tokens | None:
        """Those given by the process environment, else issued to the test client; None where there is neither.

        Asking for a token is active: raises Refused unless active checks are allowed.
        """

    def refresh_twice(self, provider: IdentityProvider, *, wait_s: float) -> RefreshTrial | None:
        """Use a refresh token, wait, use it again; None where none is issued. Active, as `tokens`."""


@runtime_checkable
class Logs(Protocol):
    """Samples of logs: bounded, newest first, classified in the connector."""

    def sample_group(
        self, region: Region, group: str, *, window_h: float, slices: int, max_events: int, max_bytes: int
    ) -> LogSample:
        """Events of one group of CloudWatch Logs, spread over `slices` windows of the last `window_h` hours."""

    def sample_files(self, source: LogSource, *, max_events: int, max_bytes: int) -> tuple[LogSample, ...]:
        """One sample per file that `source.files` matches, the newest file and the newest lines first.

        The bounds are for all files together. A file that cannot be read is a sample that says why (`unread`).
        Raises Absent when a glob matches nothing.
        """


@runtime_checkable
class Postgres(Protocol):
    """PostgreSQL 13 and newer: named questions to the catalogue, in a read-only transaction with a time-out."""

    def rows(self, database: Database, question: str) -> tuple[Mapping[str, Any], ...]:
        """The answer of one of the connector's named questions (`indexes`, `sessions` ...), by column name.

        Raises Denied naming the role that is missing (`pg_monitor`), Absent (no such database), Unreachable, TimedOut,
        Throttled (no connection left), NotTls, Unsupported (an extension is not there), Malformed, Refused.
        """


@runtime_checkable
class Redis(Protocol):
    """Redis and Valkey: INFO, bounded SCAN, named CONFIG; never a key's value."""

    def topology(self, cache: Cache) -> RedisTopology:
        """Every server behind the cache, with its INFO. Raises Denied, Unreachable, TimedOut, NotTls."""

    def config(self, cache: Cache, name: str) -> Mapping[str, str] | None:
        """One parameter by primary's address; None where the server refuses CONFIG, as managed ones do."""

    def sample(self, cache: Cache, *, keys: int) -> KeySample:
        """At most `keys` keys of all primaries by SCAN, classed by the shape of their names."""

    def traffic(self, cache: Cache, *, wait_s: float) -> RedisTraffic:
        """Look-ups of all primaries between two looks at INFO, `wait_s` seconds (at most 30) apart."""


@runtime_checkable
class Prometheus(Protocol):
    """Prometheus and Alertmanager, by GET."""

    def query(self, server: PrometheusServer, expression: str) -> tuple[Sample, ...]:
        """The instant vector that `expression` comes to now. Raises Malformed for an expression that is none."""

    def rules(self, server: PrometheusServer) -> tuple[Rule, ...]:
        """Every rule that is loaded, in the order of the groups."""

    def targets(self, server: PrometheusServer) -> tuple[ScrapeTarget, ...]:
        """Every active target."""

    def alertmanagers(self, server: PrometheusServer) -> tuple[str, ...]:
        """Addresses of the Alertmanagers that it sends to."""

    def receivers(self, manager: AlertmanagerServer) -> tuple[Receiver, ...]:
        """Receivers of the loaded configuration, and whether a route leads to each."""

    def silences(self, manager: AlertmanagerServer) -> tuple[Silence, ...]:
        """Those that are active now."""


@runtime_checkable
class Telemetry(Protocol):
    """Datadog, New Relic, Jaeger, Tempo; Sentry."""

    def traces(self, backend: ApmBackend, *, environment: str, window_min: float) -> Traces:
        """What arrived of the declared service in the last `window_min` minutes."""

    def project(self, tracker: ErrorTracker, *, environment: str) -> TrackedProject:
        """The project with its keys, environments, releases and newest event."""


@runtime_checkable
class Artifacts(Protocol):
    """What the pipeline made: read by its content and recounted, never believed by its own totals.

    Every method gives one report for each file (and each run in it), in the order of the files, and never an empty
    tuple. Raises Stale where there is no file, or one of them is not as `fresh` asks: too old, of no date, of another
    commit or of none; Malformed for a file that cannot be read; Denied, Unreachable, Throttled, TimedOut of CI.
    """

    def tests(self, artifact: Artifact, *, fresh: Freshness) -> tuple[TestReport, ...]:
        """JUnit XML and its kin."""

    def coverage(self, artifact: Artifact, *, fresh: Freshness) -> tuple[Coverage, ...]:
        """Which lines, branches and functions ran."""

    def load(self, artifact: Artifact, *, fresh: Freshness) -> tuple[LoadRun, ...]:
        """Runs of load generators."""

    def scans(self, artifact: Artifact, *, fresh: Freshness) -> tuple[Scan, ...]:
        """Runs of scanners: of dependencies, images, code, running applications, credentials."""

    def mutation(self, artifact: Artifact, *, fresh: Freshness) -> tuple[MutationReport, ...]:
        """Runs of mutation testers."""

    def experiments(self, artifact: Artifact, *, fresh: Freshness) -> tuple[Experiment, ...]:
        """Chaos experiments."""

    def leaks(self, artifact: Artifact, *, fresh: Freshness) -> tuple[Leaks, ...]:
        """Credentials in the files themselves and in archives in them. Raises Unsupported without a scanner."""


@runtime_checkable
class Dependencies(Protocol):
    """What repositories depend on. Nothing is installed or run, and no registry is asked."""

    def manifests(self, repository: Repository) -> tuple[Manifest, ...]:
        """Lock files and their kin that run in production, by path. Raises as `Repositories.files`."""

    def accepted(self, repository: Repository) -> tuple[Statement, ...]:
        """Entries of ignore lists and statements of VEX documents, by path. Raises Malformed for one that is broken."""

    def scans(self, artifact: Artifact, *, fresh: Freshness) -> tuple[Scan, ...]:
        """As `Artifacts.scans`, for checks that look at what is there where no artifact is declared too."""

    def advisories(self, service: AdvisoryService, repository: Repository) -> Scan:
        """What the service knows of all packages of all lock files, `file` of each finding being its manifest.

        Files of requirements are left to pip-audit.

        Only names and versions are sent. Raises Denied, Absent, Unreachable, Throttled, TimedOut, Malformed.
        """

    def audit_requirements(self, service: AdvisoryService, repository: Repository, path: str) -> Scan:
        """What pip-audit finds by the service in the pinned lines of one file of requirements.

        What it could not look up is `unread`, never clean. Raises as `advisories`.
        """


@runtime_checkable
class Clock(Protocol):
    """The time of the audit; the same for every check of a run."""

    def now(self) -> datetime:
        """Aware, UTC."""


CONNECTORS: tuple[type, ...] = (
    Aws,
    Http,
    Tls,
    Tcp,
    Repositories,
    Vault,
    Identity,
    Logs,
    Postgres,
    Redis,
    Prometheus,
    Telemetry,
    Artifacts,
    Hosting,
    WebAssets,
    WebSockets,
    Dependencies,
    Clock,
)
"""Everything that a check's signature may name beside its subject and parameters."""

TARGET_KIND: Mapping[type, str] = {
    Artifacts: "artifacts",
    Aws: "aws",
    Identity: "identity",
    Postgres: "databases",
    Redis: "caches",
    Repositories: "repositories",
    Vault: "vault",
}
"""Connectors that can answer only where the environment declares a target of that kind."""
