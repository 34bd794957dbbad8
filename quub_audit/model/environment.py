"""The targets: where to look. One class per target kind, and the environment that holds them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

from quub_audit.model.dispensation import Attestation
from quub_audit.model.status import Grade

CREDENTIALS = frozenset(
    {
        "access_token",
        "admin_client_secret",
        "admin_token",
        "api_key",
        "app_key",
        "client_secret",
        "id_token",
        "password",
        "token",
    }
)
"""Fields of targets that hold what the process environment gave in confidence, whatever the target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """One region of one AWS account."""

    kind: ClassVar[str] = "aws"
    grade: ClassVar[Grade] = Grade.CONTROL_PLANE
    account: str
    """The name that environments.yaml gives the account."""
    name: str

    def __str__(self) -> str:
        return f"{self.account}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One AWS account. `home` is where its global services (IAM, CloudFront, Route 53) are asked."""

    kind: ClassVar[str] = "aws"
    grade: ClassVar[Grade] = Grade.CONTROL_PLANE
    name: str
    account_id: str
    """12 digits; compared with the caller's identity before anything else is asked."""
    region_names: tuple[str, ...]
    profile: str = ""
    role_arn: str = ""
    external_id: str = ""
    endpoint_url: str = ""
    """Another endpoint for every service: an emulator, a VPC endpoint."""
    read_secret_values: bool = False
    """Whether GetSecretValue may be asked, to fingerprint values; needs the right to do so."""
    environment: str = ""
    """The environment that declares it."""

    @property
    def regions(self) -> tuple[Region, ...]:
        """Its declared regions, in the order of the file."""
        return tuple(Region(account=self.name, name=name) for name in self.region_names)

    @property
    def home(self) -> Region:
        """Where global services are asked."""
        return Region(account=self.name, name="us-east-1")

    def __str__(self) -> str:
        return f"{self.name} ({self.account_id})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A public name that the service answers on."""

    kind: ClassVar[str] = "endpoints"
    grade: ClassVar[Grade] = Grade.LIVE
    name: str
    url: str
    """https:// or wss://, with a port where it is not 443."""
    host: str
    port: int
    audience: Literal["api", "browser"] = "api"
    """A browser may be redirected from http and needs HSTS; an API client must not be (ASVS 5.0, 4.1.2)."""
    paths: tuple[str, ...] = ("/",)
    """What is asked, beside the root."""
    connect_to: str = ""
    """`host:port` to connect to instead of what the name resolves to; the name stays in SNI and Host."""
    connect_to_plain: str = ""
    """The same for the plain-HTTP probe; by default port 80 of where `connect_to` or the name leads."""
    ca_file: str = ""
    """PEM bundle that signs the endpoint's chain, absolute; the public roots when empty."""
    closed_ports: tuple[int, ...] = ()
    """Ports that must refuse a connection from where the audit runs."""
    cdn: str = ""
    """The provider of a third-party CDN in front of it, when there is one."""
    load_balancer: str = ""
    """ARN or name of the AWS load balancer behind it."""
    login_path: str = ""
    """A page that sets the session cookie, where there is one."""

    @property
    def is_websocket(self) -> bool:
        """Whether clients speak WebSocket to it."""
        return self.url.startswith("wss://")

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretReference:
    """Where a secret is kept; never the secret."""

    kind: ClassVar[str] = "quub"
    grade: ClassVar[Grade] = Grade.CONTROL_PLANE
    store: Literal["secrets-manager", "ssm", "vault"]
    name: str
    """The secret's name or ARN, the parameter's name, or `mount/path` in Vault."""
    region: Region | None = None
    """Where an AWS secret lives; the account's first region when the file does not say."""
    vault: str = ""
    """The name of the Vault target."""
    environment: str = ""

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Quub:
    """The Quub Exchange API as the service uses it."""

    kind: ClassVar[str] = "quub"
    grade: ClassVar[Grade] = Grade.CONTROL_PLANE
    api_url: str = ""
    ws_url: str = ""
    sandbox_url: str = ""
    """The API of Quub's sandbox, which integration tests run against."""
    api_connect_to: str = ""
    """`host:port` to connect to for `api_url`, as for an endpoint."""
    ws_connect_to: str = ""
    sandbox_connect_to: str = ""
    ca_file: str = ""
    probe_path: str = ""
    """A harmless path that wants a valid key; asked only when active checks are allowed."""
    secrets: tuple[SecretReference, ...] = ()
    egress: tuple[str, ...] = ()
    """The networks registered at Quub for this key, CIDR."""
    environment: str = ""

    @property
    def sandbox(self) -> Endpoint | None:
        """The sandbox as an endpoint, whose path is that of its address."""
        return self._endpoint("quub sandbox", self.sandbox_url, self.sandbox_connect_to)

    @property
    def websocket(self) -> Endpoint | None:
        """The WebSocket API as an endpoint, whose path is that of its address."""
        return self._endpoint("quub websocket", self.ws_url, self.ws_connect_to)

    def _endpoint(self, name: str, url: str, connect_to: str) -> Endpoint | None:
        parts = urlsplit(url)
        if not parts.hostname:
            return None
        return Endpoint(
            name=name,
            url=f"{parts.scheme}://{parts.netloc}",
            host=parts.hostname,
            port=parts.port or 443,
            paths=(parts.path or "/",),
            connect_to=connect_to,
            ca_file=self.ca_file,
        )

    def __str__(self) -> str:
        return self.api_url or "quub"


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultServer:
    """A HashiCorp Vault or OpenBao server."""

    kind: ClassVar[str] = "vault"
    grade: ClassVar[Grade] = Grade.CONTROL_PLANE
    name: str
    address: str
    token: str = ""
    """Read from the process environment; sealed as soon as it is read."""
    namespace: str = ""
    ca_file: str = ""
    read_secret_values: bool = False

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class TestClient:
    """A client of an identity provider that exists to be tested with; used only when active checks are allowed."""

    client_id: str
    client_secret: str = ""
    """Read from the process environment; sealed as soon as it is read. Empty for a public client."""
    grant: Literal["client_credentials", "password"] = "client_credentials"
    username: str = ""
    password: str = ""
    scope: str = "openid"


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityProvider:
    """Who issues the service's tokens, or who holds its administrators."""

    kind: ClassVar[str] = "identity"
    grade: ClassVar[Grade] = Grade.CONTROL_PLANE
    name: str
    type: Literal["keycloak", "oidc", "github"]
    issuer: str = ""
    """The OpenID issuer, as in `iss`; for GitHub the address of its API."""
    realm: str = ""
    """Keycloak: the realm that the service uses."""
    organisation: str = ""
    """GitHub: the organisation's login."""
    admin_url: str = ""
    """Keycloak: the base address of the admin API; that of the issuer when empty."""
    admin_client_id: str = ""
    """Keycloak: a confidential client whose service account may view realm, clients and users."""
    admin_client_secret: str = ""
    admin_token: str = ""
    """GitHub: a token that may read the organisation's members."""
    test_client: TestClient | None = None
    access_token: str = ""
    """A token given by the process environment in place of a test client."""
    id_token: str = ""
    connect_to: str = ""
    ca_file: str = ""

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSource:
    """Where the service's logs are: groups of CloudWatch Logs, or files."""

    kind: ClassVar[str] = "logs"
    grade: ClassVar[Grade] = Grade.LIVE
    name: str
    region: Region | None = None
    groups: tuple[str, ...] = ()
    """Prefixes of log group names; with `region`."""
    files: tuple[str, ...] = ()
    """Globs, absolute."""

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupBucket:
    """Where dumps are kept in S3."""

    kind: ClassVar[str] = "backups"
    grade: ClassVar[Grade] = Grade.CONTROL_PLANE
    region: Region
    bucket: str
    prefix: str = ""

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """A PostgreSQL database that the service uses."""

    kind: ClassVar[str] = "databases"
    grade: ClassVar[Grade] = Grade.LIVE
    name: str
    host: str
    port: int = 5432
    database: str
    user: str
    password: str = ""
    """Read from the process environment; sealed as soon as it is read."""
    is_tls: bool = True
    """Connect by `sslmode=verify-full`; plaintext only on this machine."""
    ca_file: str = ""
    instance: str = ""
    """The identifier of the RDS instance or Aurora cluster behind it, where there is one."""

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Cache:
    """A Redis or Valkey cache that the service uses."""

    kind: ClassVar[str] = "caches"
    grade: ClassVar[Grade] = Grade.LIVE
    name: str
    addresses: tuple[str, ...]
    """`host:port` of the server, or of some servers of the cluster, or of the sentinels."""
    mode: Literal["single", "sentinel", "cluster"] = "single"
    master: str = ""
    """Sentinel: the name of the master set."""
    purpose: Literal["cache", "sessions", "queue"] = "cache"
    user: str = ""
    password: str = ""
    is_tls: bool = True
    ca_file: str = ""
    replication_group: str = ""
    """The identifier of the ElastiCache replication group behind it, where there is one."""

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class PrometheusServer:
    """A Prometheus server that watches the service."""

    kind: ClassVar[str] = "prometheus"
    grade: ClassVar[Grade] = Grade.LIVE
    name: str
    url: str
    token: str = ""
    ca_file: str = ""

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertmanagerServer:
    """An Alertmanager that tells people."""

    kind: ClassVar[str] = "alertmanager"
    grade: ClassVar[Grade] = Grade.LIVE
    name: str
    url: str
    token: str = ""
    ca_file: str = ""

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class ApmBackend:
    """Where traces of the service arrive."""

    kind: ClassVar[str] = "apm"
    grade: ClassVar[Grade] = Grade.LIVE
    name: str
    type: Literal["datadog", "newrelic", "jaeger", "tempo"]
    url: str
    """The address of its API."""
    service: str
    """As the traces name it."""
    api_key: str = ""
    app_key: str = ""
    """Datadog: the application key beside the API key."""
    account: str = ""
    """New Relic: the account's number."""
    ca_file: str = ""

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorTracker:
    """Where errors of the service are collected: Sentry, or what speaks its API."""

    kind: ClassVar[str] = "error_tracking"
    grade: ClassVar[Grade] = Grade.LIVE
    name: str
    url: str
    organisation: str
    project: str
    token: str = ""
    ca_file: str = ""

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class GitHubProject:
    """A repository as GitHub keeps it."""

    project: str
    """`owner/name`."""
    url: str
    """The address of the API."""
    token: str = ""
    """Read from the process environment; sealed as soon as it is read."""
    ca_file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A checkout of the service's code."""

    kind: ClassVar[str] = "repositories"
    grade: ClassVar[Grade] = Grade.REPOSITORY
    name: str
    path: str
    """Absolute."""
    exclude: tuple[str, ...] = ()
    """Globs of files that do not run in production, beside what is excluded by default."""
    history_depth: int = 5000
    """Commits of the history that are looked at, newest first."""
    github: GitHubProject | None = None

    @property
    def ca_file(self) -> str:
        """PEM bundle that signs the chain of its host; the public roots when empty."""
        return self.github.ca_file if self.github else ""

    def __str__(self) -> str:
        return self.name


Purpose = Literal[
    "unit-tests",
    "integration-tests",
    "end-to-end-tests",
    "coverage",
    "mutation",
    "peak-load",
    "sustained-load",
    "rate-limits",
    "chaos",
    "dependency-scan",
    "secret-scan",
    "code-scan",
    "dynamic-scan",
    "published",
]
"""What the files of an artifact are there to show; `published`: files that others may see, whatever they hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """Where CI keeps an artifact, by the commit that it was made of."""

    provider: Literal["github", "gitlab"]
    project: str
    """`owner/name`, or the path of the project."""
    artifact: str
    """GitHub: the name of the artifact, or a glob of it. GitLab: the name of the job."""
    url: str
    """The address of the API."""
    token: str = ""
    """Read from the process environment; sealed as soon as it is read."""
    ca_file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """Files that the pipeline made, all for one purpose."""

    kind: ClassVar[str] = "artifacts"
    grade: ClassVar[Grade] = Grade.ARTIFACT
    name: str
    purpose: Purpose
    files: tuple[str, ...]
    """Globs; absolute, or of paths inside the archive that CI keeps."""
    repository: str = ""
    """The name of the repository that they are about; the first one when empty."""
    commit: str = ""
    """Full hash, as the pipeline says it, for files that do not."""
    pipeline: Pipeline | None = None
    """On this machine when None."""

    @property
    def ca_file(self) -> str:
        """PEM bundle that signs the chain of its pipeline; the public roots when empty."""
        return self.pipeline.ca_file if self.pipeline else ""

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class CriticalPath:
    """Code that must not fail unnoticed: placing an order, signing in, settling."""

    kind: ClassVar[str] = "testing"
    grade: ClassVar[Grade] = Grade.ARTIFACT
    id: str
    """Tests name it by the tag `@critical:ID`."""
    files: tuple[str, ...]
    """Globs of paths in the repository, in gitignore syntax."""
    repository: str = ""
    """The name of the repository that holds them; the first one when empty."""

    def __str__(self) -> str:
        return self.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """What a user does from one end to the other: deposits, withdraws."""

    kind: ClassVar[str] = "testing"
    grade: ClassVar[Grade] = Grade.ARTIFACT
    id: str
    """Tests name it by the tag `@flow:ID`."""
    title: str = ""

    def __str__(self) -> str:
        return self.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Testing:
    """What has to be tested, whatever else is."""

    __test__ = False

    critical_paths: tuple[CriticalPath, ...] = ()
    flows: tuple[Flow, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What the service has to carry, all replicas together. Requests are counted a second; None where nobody says."""

    kind: ClassVar[str] = "traffic"
    expected_peak_rps: float | None = None
    expected_average_rps: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    """What the service promises of its answers."""
    rate_limit_rps: float | None = None
    """From which rate on one caller gets 429."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvisoryService:
    """A service that knows which versions of packages are vulnerable, by the protocol of OSV."""

    kind: ClassVar[str] = "advisories"
    grade: ClassVar[Grade] = Grade.ARTIFACT
    name: str
    url: str
    """Without `/v1`."""
    token: str = ""
    ca_file: str = ""

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class NotApplicable:
    """The environment's word that an item does not apply, with its reason."""

    item: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """One environment of one service, with everything that may be looked at.

    `siblings` are the other environments of the same file, for items that compare them; theirs are empty.
    """

    kind: ClassVar[str] = ""
    grade: ClassVar[Grade] = Grade.CONTROL_PLANE
    service: str
    name: str
    stage: Literal["production", "staging", "development"]
    quub: Quub | None = None
    aws: tuple[Account, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    vault: tuple[VaultServer, ...] = ()
    repositories: tuple[Repository, ...] = ()
    identity: tuple[IdentityProvider, ...] = ()
    logs: tuple[LogSource, ...] = ()
    backups: tuple[BackupBucket, ...] = ()
    databases: tuple[Database, ...] = ()
    caches: tuple[Cache, ...] = ()
    prometheus: tuple[PrometheusServer, ...] = ()
    alertmanager: tuple[AlertmanagerServer, ...] = ()
    apm: tuple[ApmBackend, ...] = ()
    error_tracking: tuple[ErrorTracker, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    advisories: tuple[AdvisoryService, ...] = ()
    testing: Testing = Testing()
    traffic: Traffic = Traffic()
    not_applicable: tuple[NotApplicable, ...] = ()
    attestations: tuple[Attestation, ...] = ()
    """What attestations.yaml says of any item, expired ones too."""
    siblings: tuple[Environment, ...] = ()

    @property
    def kinds(self) -> frozenset[str]:
        """The target kinds that this environment declares."""
        declared = {
            "quub": self.quub is not None,
            "aws": bool(self.aws),
            "endpoints": bool(self.endpoints),
            "vault": bool(self.vault),
            "repositories": bool(self.repositories),
            "identity": bool(self.identity),
            "logs": bool(self.logs),
            "backups": bool(self.backups),
            "databases": bool(self.databases),
            "caches": bool(self.caches),
            "prometheus": bool(self.prometheus),
            "alertmanager": bool(self.alertmanager),
            "apm": bool(self.apm),
            "error_tracking": bool(self.error_tracking),
            "artifacts": bool(self.artifacts),
            "advisories": bool(self.advisories),
            "testing": bool(self.testing.critical_paths or self.testing.flows),
            "traffic": self.traffic != Traffic(),
        }
        return frozenset(kind for kind, is_there in declared.items() if is_there)

    @property
    def credentials(self) -> tuple[str, ...]:
        """Every credential that this environment and its siblings hold, which no output may show."""
        return credentials_of(self)

    def __str__(self) -> str:
        return f"{self.service} {self.name}"


def credentials_of(declared: object) -> tuple[str, ...]:
    """Every credential that a target, or a whole environment, was declared with."""
    return tuple(_credentials_in(declared))


def _credentials_in(declared: Any) -> Iterator[str]:
    if isinstance(declared, tuple):
        for part in declared:
            yield from _credentials_in(part)
    elif is_dataclass(declared):
        for each in fields(declared):
            value = getattr(declared, each.name)
            if each.name not in CREDENTIALS:
                yield from _credentials_in(value)
            elif value:
                yield value
