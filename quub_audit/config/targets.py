"""The entries of environments.yaml: one model for each kind of target."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from quub_audit.config.checklist import Stage
from quub_audit.config.fields import Distinct, Flag, ItemId, Line, Name, Reason, Strict, written
from quub_audit.config.shape import contradiction
from quub_audit.config.tree import Expanded
from quub_audit.config.variables import REFERENCE
from quub_audit.model.environment import Purpose

_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])"
_PORT = r"[0-9]{1,5}"
_PATH = r"(?:/[^\s?#\x00-\x1f\x7f]*)?"
REGION = r"[a-z]{2,4}(?:-[a-z]+){1,2}-[0-9]{1,2}"


def _is_of_possible_port(text: str) -> str:
    try:
        port = urlsplit(text if "://" in text else f"//{text}").port
    except ValueError:
        port = 0
    if port == 0:
        raise PydanticCustomError("port", "no port")
    return text


def _as_list(value: object) -> object:
    return [value] if isinstance(value, dict) else value


def _from_outside(what: str) -> tuple[BeforeValidator, FieldInfo]:
    """A credential comes from the process environment as a whole, and is nothing while its variable is not set."""

    def take(value: object) -> object:
        if isinstance(value, Expanded) and value.is_reference:
            return "" if value.is_unset else str(value)
        raise PydanticCustomError("literal_secret", "a literal {what}", {"what": what})

    extra: dict[str, Any] = {
        "pattern": f"^{REFERENCE}$",
        "patternErrorMessage": f"${{NAME}}, with the {what} in the process environment",
        "examples": [f"${{{what.upper()}}}"],
    }
    field: FieldInfo = Field(json_schema_extra=extra)
    return BeforeValidator(take), field


def _server(example: str) -> FieldInfo:
    return written(
        rf"https://{_HOST}(?::{_PORT})?{_PATH}|http://(?:localhost|127\.0\.0\.1|\[::1\])(?::{_PORT})?{_PATH}",
        f"an address such as {example}; http:// only on this machine",
    )


def _one_or_several(expected: str) -> Any:
    """In JSON Schema, a single mapping beside the list of them."""

    def widen(schema: dict[str, Any]) -> None:
        listing = {key: schema.pop(key) for key in ("type", "items", "minItems") if key in schema}
        schema["anyOf"] = [listing["items"], listing]
        schema["description"] = f"{schema.get('description', '')} {expected}".strip()

    return widen


Url = Annotated[
    str,
    written(
        rf"(?:https|wss)://{_HOST}(?::{_PORT})?/?", "an address such as https://orders.example.com, without a path"
    ),
    AfterValidator(_is_of_possible_port),
]
ApiUrl = Annotated[
    str,
    written(rf"https://{_HOST}(?::{_PORT})?{_PATH}", "an address such as https://api.quub.fi"),
    AfterValidator(_is_of_possible_port),
]
WsUrl = Annotated[
    str,
    written(rf"wss://{_HOST}(?::{_PORT})?{_PATH}", "an address such as wss://ws.quub.fi"),
    AfterValidator(_is_of_possible_port),
]
ServerUrl = Annotated[str, _server("https://vault.example.com:8200"), AfterValidator(_is_of_possible_port)]
ProviderUrl = Annotated[str, _server("https://login.example.com"), AfterValidator(_is_of_possible_port)]
BackendUrl = Annotated[
    str,
    written(rf"https?://{_HOST}(?::{_PORT})?{_PATH}", "an address such as https://prometheus.example.com"),
    AfterValidator(_is_of_possible_port),
]
HostAndPort = Annotated[
    str, written(rf"{_HOST}:{_PORT}", "a host and port such as 203.0.113.7:443"), AfterValidator(_is_of_possible_port)
]
HostName = Annotated[str, written(_HOST, "a host such as db.example.com", "db.example.com")]
UrlPath = Annotated[str, written(r"/[^\s#\x00-\x1f\x7f]*", "a path such as /health")]
Port = Annotated[int, Field(strict=True, ge=1, le=65535)]
RegionName = Annotated[str, written(REGION, "a region such as eu-central-1", "eu-central-1")]
AccountId = Annotated[str, written(r"[0-9]{12}", "12 digits in quotes", "111122223333")]
RoleArn = Annotated[
    str,
    written(
        r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[\x21-\x7e]+",
        "the ARN of a role such as arn:aws:iam::111122223333:role/audit",
    ),
]
Token = Annotated[str, *_from_outside("token")]
Secret = Annotated[str, *_from_outside("secret")]
Password = Annotated[str, *_from_outside("password")]
Key = Annotated[str, *_from_outside("key")]
GroupPrefix = Annotated[
    str,
    written(
        r"[A-Za-z0-9._/#$-]{1,512}", "the start of a log group's name such as /ecs/orders", "/ecs/orders", longest=512
    ),
]
Commit = Annotated[
    str,
    written(
        r"(?:[0-9a-f]{40}|[0-9a-f]{64})?",
        "a full commit hash in quotes, or the variable that holds it",
        "${GITHUB_SHA:-}",
    ),
]
PathGlob = Annotated[
    str,
    written(
        r"[^!#\s\x00-\x1f\x7f/][^\x00-\x1f\x7f\\]*",
        "a glob of paths in the repository such as src/orders/**",
        "src/orders/**",
    ),
]
BucketName = Annotated[
    str, written(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "the name of a bucket such as orders-dumps", "orders-dumps")
]


def _as_network(text: str) -> str:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        raise PydanticCustomError("network", "no network") from None
    return text


Network = Annotated[
    str,
    written(r"[0-9A-Fa-f:.]+/[0-9]{1,3}", "a network such as 203.0.113.10/32 or 203.0.113.0/24", "203.0.113.10/32"),
    AfterValidator(_as_network),
]


class AwsEntry(Strict):
    """One AWS account."""

    name: Name = ""
    """What other places call it; the environment's name when it is the only account."""
    account_id: AccountId
    """Compared with the caller's identity before anything is asked; a mismatch audits nothing."""
    regions: Annotated[tuple[RegionName, ...], Field(min_length=1), Distinct]
    """Where its regional services are looked at; global ones are, in any case."""
    profile: Line = ""
    """A profile of the AWS configuration files; the usual chain of credentials when empty."""
    role_arn: RoleArn = ""
    """The role to assume, in this account; the run narrows it to what the checklist needs."""
    external_id: Line = ""
    """What the role's trust policy asks for."""
    endpoint_url: ServerUrl = ""
    """Another endpoint for every service: an emulator, a VPC endpoint."""
    read_secret_values: Flag = False
    """Whether values of secrets may be read, to fingerprint them. They are never reported."""

    @model_validator(mode="after")
    def _has_a_role_of_its_own(self) -> AwsEntry:
        if self.role_arn and self.role_arn.split(":")[4] != self.account_id:
            raise contradiction("a role of another account, expected one of the account in account_id", "role_arn")
        return self


class EndpointEntry(Strict):
    """A public name that the service answers on."""

    name: Name
    url: Url
    """https:// or wss://, with the port where it is not 443."""
    audience: Literal["api", "browser"] = "api"
    """Browsers may be redirected from http:// and need HSTS; API clients must not be redirected."""
    paths: Annotated[tuple[UrlPath, ...], Field(min_length=1), Distinct] = ("/",)
    """What is asked for."""
    connect_to: HostAndPort = ""
    """Where to connect to instead of what the name resolves to, to audit a stack before DNS leads to it."""
    connect_to_plain: HostAndPort = ""
    """The same for the probe of plain HTTP; port 80 of where `connect_to` leads when empty."""
    ca_file: Line = ""
    """PEM file of the authority that signs its chain, relative to this file; the public roots when empty."""
    closed_ports: Annotated[tuple[Port, ...], Distinct] = ()
    """Ports that must refuse a connection from where the audit runs."""
    cdn: Name = ""
    """The provider of a CDN outside the declared accounts that stands in front of it: cloudflare, fastly ..."""
    load_balancer: Line = ""
    """Name or ARN of the AWS load balancer behind it."""
    login_path: UrlPath = ""
    """A page that sets the session cookie, where there is one."""


class SecretEntry(Strict):
    """Where a secret is kept; never the secret."""

    store: Literal["secrets-manager", "ssm", "vault"]
    name: Line
    """The secret's name or ARN, the parameter's name, or `mount/path` in Vault."""
    region: RegionName = ""
    """Of an AWS secret: where it is kept; that of its ARN, else the account's first region, when empty."""
    account: Name = ""
    """Of an AWS secret: the name of its account, where the environment has several."""
    vault: Name = ""
    """Of a Vault secret: the name of its server, where the environment has several."""

    @model_validator(mode="after")
    def _fits_its_store(self) -> SecretEntry:
        strange = ("region", "account") if self.store == "vault" else ("vault",)
        for key in strange:
            if getattr(self, key):
                raise contradiction(f"a secret in {self.store} has none, expected no such key", key)
        # A variable of another environment may be unset; what stands for it here leads nowhere, and so to an error.
        if self.store == "vault" and not {"/", "$"} & set(self.name.strip("/")):
            raise contradiction(
                "no path in Vault, expected the mount and the path such as secret/production/quub", "name"
            )
        return self


class QuubEntry(Strict):
    """The Quub Exchange API as the service uses it."""

    api_url: ApiUrl = ""
    ws_url: WsUrl = ""
    api_connect_to: HostAndPort = ""
    """Where to connect to instead of what the name in `api_url` resolves to."""
    ws_connect_to: HostAndPort = ""
    """The same for `ws_url`."""
    sandbox_url: ApiUrl = ""
    """The API of Quub's sandbox, which integration tests run against."""
    sandbox_connect_to: HostAndPort = ""
    """Where to connect to instead of what the name in `sandbox_url` resolves to."""
    ca_file: Line = ""
    """PEM file of the authority that signs Quub's chain, relative to this file; the public roots when empty."""
    probe_path: UrlPath = ""
    """A harmless path that wants a valid key; asked only with --allow-active."""
    secrets: tuple[SecretEntry, ...] = ()
    """Where the keys for Quub are kept."""
    egress: Annotated[tuple[Network, ...], Distinct] = ()
    """The networks that are registered at Quub for the key."""


class VaultEntry(Strict):
    """A HashiCorp Vault or OpenBao server."""

    name: Name = ""
    """What other places call it; the environment's name when it is the only server."""
    address: ServerUrl
    token: Token = ""
    """`${NAME}` of the variable that holds a token; the file never holds one."""
    namespace: Line = ""
    ca_file: Line = ""
    """PEM file of the authority that signs its chain, relative to this file; the public roots when empty."""
    read_secret_values: Flag = False
    """Whether values of secrets may be read, to fingerprint them. They are never reported."""


class GitHubEntry(Strict):
    """The repository at GitHub, whose alerts and analyses of code are asked for."""

    project: Annotated[str, written(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+", "a repository such as acme/orders")]
    url: BackendUrl = ""
    """The address of the API; that of github.com when empty."""
    token: Token = ""
    """`${NAME}` of the variable that holds a token that may read its alerts on credentials, of Dependabot and of code
    scanning."""
    ca_file: Line = ""
    """PEM file of the authority that signs its chain, relative to this file; the public roots when empty."""

    @model_validator(mode="after")
    def _keeps_its_token(self) -> GitHubEntry:
        _refuse_credentials_in_clear(self.url, self.model_fields_set, ("token",))
        return self


class RepositoryEntry(Strict):
    """A checkout of the service's code."""

    name: Name
    path: Line
    """Relative to this file."""
    exclude: Annotated[tuple[Line, ...], Distinct] = ()
    """Globs of files that do not run in production, beside what is left out by default."""
    history_depth: Annotated[int, Field(strict=True, ge=1, le=1_000_000)] = 5000
    """Commits of the history that are looked at, the newest first."""
    github: GitHubEntry | None = None
    """Where GitHub keeps it."""


class TestClientEntry(Strict):
    """A client that exists to be tested with; tokens are asked for only with --allow-active."""

    client_id: Line
    client_secret: Secret = ""
    """`${NAME}` of the variable that holds it; none for a public client."""
    grant: Literal["client_credentials", "password"] = "client_credentials"
    """How it is given tokens: for itself, or for a user who exists to be tested with."""
    username: Line = ""
    """Of the test user, for the grant password."""
    password: Password = ""
    """`${NAME}` of the variable that holds the test user's password."""
    scope: Line = "openid"

    @model_validator(mode="after")
    def _fits_its_grant(self) -> TestClientEntry:
        said = self.model_fields_set
        if self.grant == "client_credentials":
            _refuse(said, ("username", "password"), "the grant client_credentials has no user")
            _require(said, ("client_secret",), "the grant client_credentials needs it")
        else:
            _require(said, ("username", "password"), "the grant password needs it")
        return self


class IdentityEntry(Strict):
    """Who issues the service's tokens, or who holds its administrators."""

    name: Name
    type: Literal["keycloak", "oidc", "github"]
    """Keycloak, any other OpenID provider, or an organisation of GitHub."""
    issuer: ProviderUrl = ""
    """The OpenID issuer exactly as in `iss`; of GitHub Enterprise the address of its API."""
    realm: Line = ""
    """Of Keycloak: the realm; that of the issuer's address when empty."""
    organisation: Name = ""
    """Of GitHub: the organisation's login."""
    admin_url: ProviderUrl = ""
    """Of Keycloak: the base address of the admin API; that of the issuer when empty."""
    admin_client_id: Line = ""
    """Of Keycloak: a confidential client whose service account may view realm, clients and users."""
    admin_client_secret: Secret = ""
    """`${NAME}` of the variable that holds the secret of that client."""
    admin_token: Token = ""
    """Of GitHub: `${NAME}` of the variable that holds a token of an owner of the organisation."""
    test_client: TestClientEntry | None = None
    """A client to be given tokens; only with --allow-active."""
    access_token: Token = ""
    """`${NAME}` of the variable that holds a fresh access token, in place of a test client."""
    id_token: Token = ""
    """The same for an ID token."""
    connect_to: HostAndPort = ""
    """Where to connect to instead of what the issuer's name resolves to."""
    ca_file: Line = ""
    """PEM file of the authority that signs its chain, relative to this file; the public roots when empty."""

    @model_validator(mode="after")
    def _fits_its_type(self) -> IdentityEntry:
        said, needs = self.model_fields_set, f"a provider of type {self.type} needs it"
        _refuse(said, STRANGE_TO[self.type], f"a provider of type {self.type} has none")
        _require(said, ("organisation", "admin_token") if self.type == "github" else ("issuer",), needs)
        together = ("admin_client_id", "admin_client_secret")
        if said & set(together):
            _require(said, together, "the admin client needs both")
        if self.type == "keycloak" and "/realms/" not in self.issuer and not self.realm:
            raise contradiction("names no realm, expected an address that ends with /realms/NAME, or `realm`", "issuer")
        if self.test_client and (self.access_token or self.id_token):
            raise contradiction("a token is given beside it, expected one of both", "test_client")
        return self


STRANGE_TO = {
    "keycloak": ("organisation", "admin_token"),
    "oidc": ("realm", "organisation", "admin_url", "admin_client_id", "admin_client_secret", "admin_token"),
    "github": (
        "realm",
        "admin_url",
        "admin_client_id",
        "admin_client_secret",
        "test_client",
        "access_token",
        "id_token",
    ),
}
"""By a provider's type, what it has not."""


def _refuse(said: set[str], keys: tuple[str, ...], why: str) -> None:
    for key in keys:
        if key in said:
            raise contradiction(f"{why}, expected no such key", key)


def _require(said: set[str], keys: tuple[str, ...], why: str) -> None:
    for key in keys:
        if key not in said:
            raise contradiction(f"missing, {why}", key)


class LogEntry(Strict):
    """Where the service's logs are: groups of CloudWatch Logs, or files."""

    name: Name
    account: Name = ""
    """Of groups: the name of their account, where the environment has several."""
    region: RegionName = ""
    """Of groups: where they are; the account's first region when empty."""
    groups: Annotated[tuple[GroupPrefix, ...], Field(min_length=1), Distinct] = ()
    """Starts of the names of log groups."""
    files: Annotated[tuple[Line, ...], Field(min_length=1), Distinct] = ()
    """Globs of files, relative to this file."""

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> LogEntry:
        said = self.model_fields_set
        if not {"groups", "files"} & said:
            raise contradiction("neither groups nor files, expected one of them")
        if {"groups", "files"} <= said:
            raise contradiction("there are groups beside them, expected one of both", "files")
        if "files" in said:
            _refuse(said, ("account", "region"), "files are in no account")
        return self


class BackupEntry(Strict):
    """Where dumps are kept in S3."""

    bucket: BucketName
    prefix: Line = ""
    """What the keys of the dumps start with; the whole bucket when empty."""
    account: Name = ""
    """The name of its account, where the environment has several."""
    region: RegionName = ""
    """Where it is; the account's first region when empty."""


class DatabaseEntry(Strict):
    """A PostgreSQL database that the service uses."""

    name: Name
    host: HostName
    port: Port = 5432
    database: Line
    """Its name on the server."""
    user: Line
    """A role that is a member of pg_monitor, and no more."""
    password: Password = ""
    """`${NAME}` of the variable that holds it."""
    tls: Flag = True
    """Whether to connect by TLS and verify the server's name; false only on this machine."""
    ca_file: Line = ""
    """PEM file of the authority that signs its chain, relative to this file; the public roots when empty."""
    instance: Name = ""
    """The identifier of the RDS instance or Aurora cluster behind it, where there is one."""

    @model_validator(mode="after")
    def _is_plain_only_here(self) -> DatabaseEntry:
        _refuse_plaintext(self.tls, self.model_fields_set, (self.host,))
        return self


class CacheEntry(Strict):
    """A Redis or Valkey cache that the service uses."""

    name: Name
    addresses: Annotated[tuple[HostAndPort, ...], Field(min_length=1), Distinct]
    """Of the server, or of some servers of the cluster, or of the sentinels."""
    mode: Literal["single", "sentinel", "cluster"] = "single"
    master: Line = ""
    """Of sentinels: the name of the master that they watch."""
    purpose: Literal["cache", "sessions", "queue"] = "cache"
    """What it holds: sessions and queues must lose nothing, a cache may."""
    user: Line = ""
    """An ACL user that may look and not touch; the default user when empty."""
    password: Password = ""
    """`${NAME}` of the variable that holds it."""
    tls: Flag = True
    """Whether to connect by TLS and verify the server's name; false only on this machine."""
    ca_file: Line = ""
    """PEM file of the authority that signs its chain, relative to this file; the public roots when empty."""
    replication_group: Name = ""
    """The identifier of the ElastiCache replication group behind it, where there is one."""

    @model_validator(mode="after")
    def _fits_its_mode(self) -> CacheEntry:
        said = self.model_fields_set
        if self.mode == "sentinel":
            _require(said, ("master",), "sentinels watch it by name")
        else:
            _refuse(said, ("master",), f"a cache of mode {self.mode} has none")
        if self.mode == "single" and len(self.addresses) > 1:
            raise contradiction("several, expected one, or `mode` sentinel or cluster", "addresses")
        if "user" in said:
            _require(said, ("password",), "the user needs it")
        _refuse_plaintext(self.tls, said, tuple(address.rpartition(":")[0] for address in self.addresses))
        return self


class MonitorEntry(Strict):
    """A Prometheus server, an Alertmanager, or a service of advisories."""

    name: Name
    url: BackendUrl
    """With the path below which it answers, where it has one."""
    token: Token = ""
    """`${NAME}` of the variable that holds a token, where it asks for one; then https:// alone."""
    ca_file: Line = ""
    """PEM file of the authority that signs its chain, relative to this file; the public roots when empty."""

    @model_validator(mode="after")
    def _keeps_its_token(self) -> MonitorEntry:
        _refuse_credentials_in_clear(self.url, self.model_fields_set, ("token",))
        return self


class ApmEntry(Strict):
    """Where traces of the service arrive."""

    name: Name
    type: Literal["datadog", "newrelic", "jaeger", "tempo"]
    url: BackendUrl
    """The address of its API."""
    service: Line
    """The service as the traces name it."""
    api_key: Key = ""
    """`${NAME}` of the variable that holds it; of Jaeger and Tempo a token, where they ask for one."""
    app_key: Key = ""
    """Of Datadog: `${NAME}` of the variable that holds the application key."""
    account: Annotated[str, written(r"[0-9]{1,20}", "digits in quotes", "1234567")] = ""
    """Of New Relic: the number of the account."""
    ca_file: Line = ""
    """PEM file of the authority that signs its chain, relative to this file; the public roots when empty."""

    @model_validator(mode="after")
    def _fits_its_type(self) -> ApmEntry:
        said, needed = self.model_fields_set, NEEDED_BY_APM[self.type]
        strange = tuple(key for key in ("app_key", "account") if key not in needed)
        _refuse(said, strange, f"a backend of type {self.type} has none")
        _require(said, needed, f"a backend of type {self.type} needs it")
        _refuse_credentials_in_clear(self.url, said, ("api_key", "app_key"))
        return self


NEEDED_BY_APM: dict[str, tuple[str, ...]] = {
    "datadog": ("api_key", "app_key"),
    "newrelic": ("api_key", "account"),
    "jaeger": (),
    "tempo": (),
}
"""By a backend's type, what it cannot be asked without."""


class ErrorTrackerEntry(Strict):
    """Where errors of the service are collected: Sentry, or what speaks its API."""

    name: Name
    url: BackendUrl
    """https://sentry.io, or of a server of one's own."""
    organisation: Name
    """The slug of the organisation."""
    project: Name
    """The slug of the project."""
    token: Token = ""
    """`${NAME}` of the variable that holds a token that may read the project and its events."""
    ca_file: Line = ""
    """PEM file of the authority that signs its chain, relative to this file; the public roots when empty."""

    @model_validator(mode="after")
    def _keeps_its_token(self) -> ErrorTrackerEntry:
        _refuse_credentials_in_clear(self.url, self.model_fields_set, ("token",))
        return self


class PipelineEntry(Strict):
    """Where CI keeps an artifact: it is looked up by the audited commit."""

    provider: Literal["github", "gitlab"]
    project: Annotated[str, written(r"[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)+", "a project such as acme/orders")]
    artifact: Line
    """Of GitHub: the artifact's name, or a glob of names. Of GitLab: the name of the job."""
    url: BackendUrl = ""
    """The address of the API; that of github.com or gitlab.com when empty."""
    token: Token = ""
    """`${NAME}` of the variable that holds a token that may read the project's runs and artifacts."""
    ca_file: Line = ""
    """PEM file of the authority that signs its chain, relative to this file; the public roots when empty."""

    @model_validator(mode="after")
    def _keeps_its_token(self) -> PipelineEntry:
        _refuse_credentials_in_clear(self.url, self.model_fields_set, ("token",))
        return self


class ArtifactEntry(Strict):
    """Files that the pipeline made, all for one purpose."""

    name: Name
    purpose: Purpose
    """What they are there to show; the format is told by the files themselves."""
    files: Annotated[tuple[Line, ...], Field(min_length=1), Distinct]
    """Globs of files, relative to this file; with `pipeline`, of paths inside the archive."""
    repository: Name = ""
    """The name of the repository that they are about; the first one when empty."""
    commit: Commit = ""
    """The commit that they were made of, for files that do not say it: `${GITHUB_SHA:-}`, `${CI_COMMIT_SHA:-}`."""
    pipeline: PipelineEntry | None = None
    """Where CI keeps them; on this machine when it is left out."""

    @model_validator(mode="after")
    def _stays_in_the_archive(self) -> ArtifactEntry:
        for index, pattern in enumerate(self.files if self.pipeline else ()):
            if pattern.startswith("/") or ".." in pattern.split("/"):
                raise contradiction("leads out of the archive, expected a path inside it", "files", index)
        return self


class CriticalPathEntry(Strict):
    """Code that must not fail unnoticed, as files of a repository."""

    id: Name
    """Tests name it by the tag `@critical:ID`."""
    files: Annotated[tuple[PathGlob, ...], Field(min_length=1), Distinct]
    """Globs of paths in the repository, in gitignore syntax; each has to match a file."""
    repository: Name = ""
    """The name of the repository that holds them; the first one when empty."""


class FlowEntry(Strict):
    """What a user does from one end to the other."""

    id: Name
    """Tests name it by the tag `@flow:ID`."""
    title: Line = ""


class TestingEntry(Strict):
    """What has to be tested, whatever else is."""

    critical_paths: Annotated[tuple[CriticalPathEntry, ...], Field(min_length=1)] = ()
    """Code that must not fail unnoticed: placing an order, signing in, settling."""
    flows: Annotated[tuple[FlowEntry, ...], Field(min_length=1)] = ()
    """What a user does from one end to the other: deposits, withdraws."""

    @model_validator(mode="after")
    def _has_each_once(self) -> TestingEntry:
        listings: tuple[tuple[str, tuple[CriticalPathEntry | FlowEntry, ...]], ...] = (
            ("critical_paths", self.critical_paths),
            ("flows", self.flows),
        )
        for key, entries in listings:
            ids = [entry.id for entry in entries]
            for index, each in enumerate(ids):
                if each in ids[:index]:
                    raise contradiction("the id is there twice, expected each once", key, index, "id")
        return self


def _refuse_plaintext(is_tls: bool, said: set[str], hosts: tuple[str, ...]) -> None:
    if is_tls:
        return
    if not all(_is_here(host) for host in hosts):
        raise contradiction("false, expected true: the password and the data would cross the network in clear", "tls")
    _refuse(said, ("ca_file",), "nothing is verified without TLS")


def _refuse_credentials_in_clear(url: str, said: set[str], keys: tuple[str, ...]) -> None:
    if url.startswith("http://") and not _is_here(urlsplit(url).hostname or ""):
        for key in keys:
            if key in said:
                raise contradiction(f"http://, expected https://: the {key} would cross the network in clear", "url")


def _is_here(host: str) -> bool:
    """Whether a host is this machine, by its name or by its address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


Rate = Annotated[float, Field(gt=0, le=10_000_000, allow_inf_nan=False)]
Milliseconds = Annotated[float, Field(gt=0, le=3_600_000, allow_inf_nan=False)]


class TrafficEntry(Strict):
    """What the service has to carry, all replicas together."""

    expected_peak_rps: Rate | None = None
    """Requests a second that are expected in the busiest minutes."""
    expected_average_rps: Rate | None = None
    """Requests a second over a whole day."""
    p95_ms: Milliseconds | None = None
    """Milliseconds within which 95 of 100 requests are to be answered; what the item says when empty."""
    p99_ms: Milliseconds | None = None
    """The same for 99 of 100."""
    rate_limit_rps: Rate | None = None
    """Requests a second from which on one caller gets 429."""

    @model_validator(mode="after")
    def _adds_up(self) -> TrafficEntry:
        for lower, higher in (("expected_average_rps", "expected_peak_rps"), ("p95_ms", "p99_ms")):
            low, high = getattr(self, lower), getattr(self, higher)
            if low is not None and high is not None and low > high:
                raise contradiction(f"{low:g} is above {higher}, expected {high:g} or less", lower)
        return self


class NotApplicableEntry(Strict):
    """An item that does not apply in this environment, with the reason."""

    item: ItemId
    reason: Reason
    """Reports show it."""


class EnvironmentEntry(Strict):
    """One environment, with everything that may be looked at in it."""

    stage: Stage
    """Which overrides of the checklist hold."""
    quub: QuubEntry | None = None
    """The Quub Exchange API."""
    aws: Annotated[
        tuple[AwsEntry, ...],
        Field(min_length=1, json_schema_extra=_one_or_several("One account, or a list of them.")),
        BeforeValidator(_as_list),
    ] = ()
    """AWS accounts."""
    endpoints: Annotated[tuple[EndpointEntry, ...], Field(min_length=1)] = ()
    """Public names that the service answers on."""
    vault: Annotated[
        tuple[VaultEntry, ...],
        Field(min_length=1, json_schema_extra=_one_or_several("One server, or a list of them.")),
        BeforeValidator(_as_list),
    ] = ()
    """HashiCorp Vault or OpenBao servers."""
    repositories: Annotated[tuple[RepositoryEntry, ...], Field(min_length=1)] = ()
    """Checkouts of the service's code."""
    identity: Annotated[tuple[IdentityEntry, ...], Field(min_length=1)] = ()
    """Identity providers; user pools of Cognito are found in the accounts."""
    logs: Annotated[tuple[LogEntry, ...], Field(min_length=1)] = ()
    """Where the service's logs are."""
    backups: Annotated[tuple[BackupEntry, ...], Field(min_length=1), Distinct] = ()
    """Where dumps are kept in S3, beside what AWS backs up itself."""
    databases: Annotated[tuple[DatabaseEntry, ...], Field(min_length=1)] = ()
    """PostgreSQL databases that the service uses."""
    caches: Annotated[tuple[CacheEntry, ...], Field(min_length=1)] = ()
    """Redis or Valkey caches that the service uses."""
    prometheus: Annotated[tuple[MonitorEntry, ...], Field(min_length=1)] = ()
    """Prometheus servers that watch the service."""
    alertmanager: Annotated[tuple[MonitorEntry, ...], Field(min_length=1)] = ()
    """Alertmanagers that tell people."""
    apm: Annotated[tuple[ApmEntry, ...], Field(min_length=1)] = ()
    """Where traces of the service arrive."""
    error_tracking: Annotated[tuple[ErrorTrackerEntry, ...], Field(min_length=1)] = ()
    """Where errors of the service are collected."""
    artifacts: Annotated[tuple[ArtifactEntry, ...], Field(min_length=1)] = ()
    """What the pipeline made: results of tests, coverage, load tests, scans."""
    advisories: Annotated[tuple[MonitorEntry, ...], Field(min_length=1)] = ()
    """Services that speak the protocol of OSV; names and versions of packages are sent to them, and nothing else."""
    traffic: TrafficEntry | None = None
    """What the service has to carry."""
    testing: TestingEntry | None = None
    """What has to be tested, whatever else is."""
    not_applicable: tuple[NotApplicableEntry, ...] = ()
    """Items that do not apply here."""


class EnvironmentsDocument(Strict):
    """Where to look: the environments of one service."""

    service: Line
    """The service's name, as reports show it."""
    environments: Annotated[dict[Name, EnvironmentEntry], Field(min_length=1)]
    """By name."""
