"""environments.yaml: where to look, one environment of the service after another."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from pydantic import ValidationError

from quub_audit.config.checklist import Policy
from quub_audit.config.mistakes import Mistakes, Steps, listed, nearest
from quub_audit.config.shape import place_of, quietly, read
from quub_audit.config.targets import (
    REGION,
    ApmEntry,
    ArtifactEntry,
    AwsEntry,
    BackupEntry,
    CacheEntry,
    DatabaseEntry,
    EndpointEntry,
    EnvironmentEntry,
    EnvironmentsDocument,
    ErrorTrackerEntry,
    GitHubEntry,
    IdentityEntry,
    LogEntry,
    MonitorEntry,
    NotApplicableEntry,
    PipelineEntry,
    QuubEntry,
    RepositoryEntry,
    SecretEntry,
    TestingEntry,
    VaultEntry,
)
from quub_audit.config.tree import Expanded, File, Listing, Node, Scalar, Table, child, children, plain, read_file
from quub_audit.config.variables import Variables, refuse_secrets
from quub_audit.model.environment import (
    Account,
    AdvisoryService,
    AlertmanagerServer,
    ApmBackend,
    Artifact,
    BackupBucket,
    Cache,
    CriticalPath,
    Database,
    Endpoint,
    Environment,
    ErrorTracker,
    Flow,
    GitHubProject,
    IdentityProvider,
    LogSource,
    NotApplicable,
    Pipeline,
    PrometheusServer,
    Quub,
    Region,
    Repository,
    SecretReference,
    TestClient,
    Testing,
    Traffic,
    VaultServer,
)

N = TypeVar(
    "N",
    "AwsEntry",
    "VaultEntry",
    "EndpointEntry",
    "RepositoryEntry",
    "IdentityEntry",
    "LogEntry",
    "DatabaseEntry",
    "CacheEntry",
    "MonitorEntry",
    "ApmEntry",
    "ErrorTrackerEntry",
    "ArtifactEntry",
)
M = TypeVar("M", PrometheusServer, AlertmanagerServer, AdvisoryService)

PIPELINE_URLS = {"github": "https://api.github.com", "gitlab": "https://gitlab.com/api/v4"}
DEFAULT_PORTS = {"https": 443, "wss": 443, "http": 80}


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """environments.yaml as it was read, before its variables have values."""

    file: File
    names: tuple[str, ...]
    """In the order of the file; those whose entry cannot be read too."""

    def entry(self, name: str) -> Node:
        """The environment as it is written."""
        node = child(self.file.root, "environments", name)
        assert node is not None  # noqa: S101  `names` are the keys of that mapping
        return node


def read_surroundings(path: Path, mistakes: Mistakes) -> Surroundings | None:
    """The file as it is written; None when `mistakes` say why it cannot be used."""
    file = read_file(path, mistakes, what="the environments of a service", called=_called)
    if file is None:
        return None
    refuse_secrets(file, mistakes, called=_called)
    table = child(file.root, "environments")
    names = tuple(table.entries) if isinstance(table, Table) else ()
    return Surroundings(file=file, names=names)


def build_environments(
    surroundings: Surroundings, audited: str | None, environ: Mapping[str, str], mistakes: Mistakes
) -> tuple[dict[str, Environment], tuple[str, ...]]:
    """Every environment that can be read, without its siblings, and the names of variables that are not set.

    Variables of the `audited` environment must have values; those of the others need not (of none, for None). What
    hangs on such a variable is left out of its environment, except for secrets of Quub: those stay, by a name that
    leads nowhere, so that whoever compares the environments gets an error, and never a pass.
    """
    lenient = Variables(environ=environ, mistakes=mistakes, is_lenient=True)
    strict = Variables(environ=environ, mistakes=mistakes)
    root = surroundings.file.root
    wholes = {
        name: (strict if name == audited else lenient).expand(surroundings.entry(name), (name,))
        for name in surroundings.names
    }
    nodes = {name: node if name == audited else _without_unset(node) for name, node in wholes.items()}
    top = {key: strict.expand(node, (key,)) for key, node in root.entries.items() if key != "environments"}
    table = child(root, "environments")
    whole = replace(table, entries=nodes) if isinstance(table, Table) else table
    document = replace(root, entries={**top, **({"environments": whole} if whole else {})})
    read(EnvironmentsDocument, document, mistakes, called=_called)
    service = top.get("service")
    builder = _Builder(
        service=str(plain(service)) if isinstance(service, Scalar) else "",
        folder=Path(os.path.abspath(surroundings.file.path)).parent,  # noqa: PTH100  links are the user's
        mistakes=mistakes,
    )
    built = {name: made for name, node in nodes.items() if (made := builder.build(name, node, wholes[name]))}
    _refuse_one_name_for_two(built, nodes, mistakes)
    return built, tuple(sorted(lenient.unset))


def _called(steps: Steps) -> Steps:
    return steps[1:] if len(steps) > 1 and steps[0] == "environments" else steps


def _without_unset(node: Node) -> Node:
    """The environment without what cannot be read for want of a variable: the field, else the target around it."""
    for _ in range(1000):
        steps = _unreadable_for_want(node)
        if steps is None:
            break
        node = _without(node, steps)
    return node


def _unreadable_for_want(node: Node) -> Steps | None:
    try:
        EnvironmentEntry.model_validate(plain(node))
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_input=False):
            steps = _steps_in(node, (*problem["loc"], *problem.get("ctx", {}).get("path", ())))
            at = child(node, *steps)
            is_unset = isinstance(at, Scalar) and isinstance(at.value, Expanded) and at.value.is_unset
            if is_unset and (optional := _smallest_optional(steps)):
                return optional
    return None


def _steps_in(node: Node, location: Steps) -> Steps:
    """A location of pydantic's as steps: positions in what the file has as a single mapping are left out."""
    steps: Steps = ()
    for step in location:
        if isinstance(step, str) or isinstance(child(node, *steps), Listing):
            steps = (*steps, step)
    return steps


def _smallest_optional(steps: Steps) -> Steps | None:
    """What can be taken away so that the rest may stand; None for a part of a secret's place, and for the stage."""
    if "secrets" in steps or len(steps) < 2:
        return None
    required = {
        "aws": ("account_id", "regions"),
        "vault": ("address",),
        "endpoints": ("name", "url"),
        "identity": ("name", "type", "issuer", "organisation"),
        "databases": ("name", "host", "database", "user"),
        "caches": ("name", "addresses", "mode", "master"),
        "prometheus": ("name", "url"),
        "alertmanager": ("name", "url"),
        "advisories": ("name", "url"),
        "apm": ("name", "type", "url", "service", "account"),
        "error_tracking": ("name", "url", "organisation", "project"),
        "artifacts": ("name", "purpose", "files", "pipeline"),
    }
    names = [step for step in steps[1:] if isinstance(step, str)]
    if steps[0] in required and names and names[0] in required[str(steps[0])]:
        return steps[: steps.index(names[0])]
    if steps[0] == "testing":
        return steps[:3]
    if steps[0] in ("repositories", "logs", "backups", "not_applicable"):
        return steps[:2]
    if "test_client" in steps:
        return steps[: steps.index("test_client") + 1]
    return steps


def _without(node: Node, steps: Steps) -> Node:
    step, below = steps[0], steps[1:]
    if isinstance(node, Table):
        entries = dict(node.entries)
        if below:
            entries[str(step)] = _without(entries[str(step)], below)
        if not below or _is_empty(entries[str(step)]):
            del entries[str(step)]
        return replace(node, entries=entries)
    if isinstance(node, Listing) and isinstance(step, int):
        rest = list(node.entries)
        rest[step : step + 1] = [_without(rest[step], below)] if below else []
        return replace(node, entries=tuple(rest))
    return node


def _is_empty(node: Node) -> bool:
    return isinstance(node, Listing) and not node.entries


@dataclass(frozen=True, slots=True, kw_only=True)
class _Builder:
    """Makes targets of entries; what contradicts within one environment goes to `mistakes`."""

    service: str
    folder: Path
    mistakes: Mistakes

    def build(self, name: str, node: Node, whole: Node) -> Environment | None:
        """One environment; None when it has a mistake, which is already told.

        `whole` is the environment before anything was left out for want of a variable.
        """
        entry = quietly(EnvironmentEntry, node)
        if entry is None:
            return None
        accounts = tuple(self._account(name, each) for each in self._named(name, node, "aws", entry.aws))
        servers = tuple(self._server(each) for each in self._named(name, node, "vault", entry.vault))
        quub = None
        if entry.quub is not None:
            secrets = tuple(
                self._secret(name, index, secret, whole, accounts) for index, secret in enumerate(entry.quub.secrets)
            )
            quub = self._quub(name, entry.quub, secrets)
        return Environment(
            service=self.service,
            name=name,
            stage=entry.stage,
            quub=quub,
            aws=accounts,
            endpoints=tuple(self._endpoint(each) for each in self._named(name, node, "endpoints", entry.endpoints)),
            vault=servers,
            repositories=tuple(
                self._repository(each) for each in self._named(name, node, "repositories", entry.repositories)
            ),
            identity=tuple(self._provider(each) for each in self._named(name, node, "identity", entry.identity)),
            logs=tuple(
                self._logs(name, index, each, whole, accounts)
                for index, each in enumerate(self._named(name, node, "logs", entry.logs))
            ),
            backups=tuple(
                self._backups(name, index, each, whole, accounts) for index, each in enumerate(entry.backups)
            ),
            databases=tuple(self._database(each) for each in self._named(name, node, "databases", entry.databases)),
            caches=tuple(self._cache(each) for each in self._named(name, node, "caches", entry.caches)),
            prometheus=self._monitors(PrometheusServer, name, node, entry.prometheus),
            alertmanager=self._monitors(AlertmanagerServer, name, node, entry.alertmanager),
            advisories=self._monitors(AdvisoryService, name, node, entry.advisories),
            apm=tuple(self._apm(each) for each in self._named(name, node, "apm", entry.apm)),
            error_tracking=tuple(
                self._tracker(each) for each in self._named(name, node, "error_tracking", entry.error_tracking)
            ),
            artifacts=tuple(
                self._artifact(name, index, each, node)
                for index, each in enumerate(self._named(name, node, "artifacts", entry.artifacts))
            ),
            traffic=Traffic(**entry.traffic.model_dump()) if entry.traffic else Traffic(),
            testing=self._testing(name, entry.testing or TestingEntry(), node),
            not_applicable=tuple(NotApplicable(item=each.item, reason=each.reason) for each in entry.not_applicable),
        )

    def _named(self, environment: str, node: Node, kind: str, entries: tuple[N, ...]) -> Iterator[N]:
        """The entries, each with a name of its own."""
        first: dict[str, int] = {}
        is_single = isinstance(child(node, kind), Table)
        for index, entry in enumerate(entries):
            steps: Steps = (kind,) if is_single else (kind, index)
            if not entry.name and len(entries) > 1:
                place = place_of(node, *steps)
                self.mistakes.add(
                    place, (environment, *steps, "name"), "missing, expected a name, since there are several"
                )
            named = entry if entry.name else entry.model_copy(update={"name": environment})
            if named.name in first and entry.name:
                place = place_of(node, *steps, "name")
                text = f"the name is there twice, first at {kind}[{first[named.name]}]"
                self.mistakes.add(place, (environment, *steps, "name"), text)
            first.setdefault(named.name, index)
            yield named

    def _account(self, environment: str, entry: AwsEntry) -> Account:
        return Account(
            name=entry.name,
            account_id=entry.account_id,
            region_names=entry.regions,
            profile=entry.profile,
            role_arn=entry.role_arn,
            external_id=entry.external_id,
            endpoint_url=entry.endpoint_url,
            read_secret_values=entry.read_secret_values,
            environment=environment,
        )

    def _server(self, entry: VaultEntry) -> VaultServer:
        return VaultServer(
            name=entry.name,
            address=entry.address.rstrip("/"),
            token=entry.token,
            namespace=entry.namespace,
            ca_file=self._path(entry.ca_file),
            read_secret_values=entry.read_secret_values,
        )

    def _endpoint(self, entry: EndpointEntry) -> Endpoint:
        parts = urlsplit(entry.url)
        return Endpoint(
            name=entry.name,
            url=entry.url.rstrip("/"),
            host=parts.hostname or "",
            port=parts.port or DEFAULT_PORTS[parts.scheme],
            audience=entry.audience,
            paths=entry.paths,
            connect_to=entry.connect_to,
            connect_to_plain=entry.connect_to_plain,
            ca_file=self._path(entry.ca_file),
            closed_ports=entry.closed_ports,
            cdn=entry.cdn,
            load_balancer=entry.load_balancer,
            login_path=entry.login_path,
        )

    def _repository(self, entry: RepositoryEntry) -> Repository:
        return Repository(
            name=entry.name,
            path=self._path(entry.path),
            exclude=entry.exclude,
            history_depth=entry.history_depth,
            github=self._github(entry.github) if entry.github else None,
        )

    def _github(self, entry: GitHubEntry) -> GitHubProject:
        return GitHubProject(
            project=entry.project,
            url=(entry.url or PIPELINE_URLS["github"]).rstrip("/"),
            token=entry.token,
            ca_file=self._path(entry.ca_file),
        )

    def _provider(self, entry: IdentityEntry) -> IdentityProvider:
        client = entry.test_client
        return IdentityProvider(
            name=entry.name,
            type=entry.type,
            issuer=entry.issuer,
            realm=entry.realm,
            organisation=entry.organisation,
            admin_url=entry.admin_url,
            admin_client_id=entry.admin_client_id,
            admin_client_secret=entry.admin_client_secret,
            admin_token=entry.admin_token,
            test_client=TestClient(**client.model_dump()) if client else None,
            access_token=entry.access_token,
            id_token=entry.id_token,
            connect_to=entry.connect_to,
            ca_file=self._path(entry.ca_file),
        )

    def _logs(
        self, environment: str, index: int, entry: LogEntry, node: Node, accounts: tuple[Account, ...]
    ) -> LogSource:
        region = self._region(("logs", index), entry, environment, node, accounts) if entry.groups else None
        return LogSource(name=entry.name, region=region, groups=entry.groups, files=self._globs(entry.files))

    def _backups(
        self, environment: str, index: int, entry: BackupEntry, node: Node, accounts: tuple[Account, ...]
    ) -> BackupBucket:
        region = self._region(("backups", index), entry, environment, node, accounts)
        return BackupBucket(region=region, bucket=entry.bucket, prefix=entry.prefix)

    def _database(self, entry: DatabaseEntry) -> Database:
        return Database(
            name=entry.name,
            host=entry.host,
            port=entry.port,
            database=entry.database,
            user=entry.user,
            password=entry.password,
            is_tls=entry.tls,
            ca_file=self._path(entry.ca_file),
            instance=entry.instance,
        )

    def _cache(self, entry: CacheEntry) -> Cache:
        return Cache(
            name=entry.name,
            addresses=entry.addresses,
            mode=entry.mode,
            master=entry.master,
            purpose=entry.purpose,
            user=entry.user,
            password=entry.password,
            is_tls=entry.tls,
            ca_file=self._path(entry.ca_file),
            replication_group=entry.replication_group,
        )

    def _monitors(
        self, kind: type[M], environment: str, node: Node, entries: tuple[MonitorEntry, ...]
    ) -> tuple[M, ...]:
        return tuple(
            kind(name=entry.name, url=entry.url.rstrip("/"), token=entry.token, ca_file=self._path(entry.ca_file))
            for entry in self._named(environment, node, kind.kind, entries)
        )

    def _apm(self, entry: ApmEntry) -> ApmBackend:
        return ApmBackend(
            name=entry.name,
            type=entry.type,
            url=entry.url.rstrip("/"),
            service=entry.service,
            api_key=entry.api_key,
            app_key=entry.app_key,
            account=entry.account,
            ca_file=self._path(entry.ca_file),
        )

    def _tracker(self, entry: ErrorTrackerEntry) -> ErrorTracker:
        return ErrorTracker(
            name=entry.name,
            url=entry.url.rstrip("/"),
            organisation=entry.organisation,
            project=entry.project,
            token=entry.token,
            ca_file=self._path(entry.ca_file),
        )

    def _artifact(self, environment: str, index: int, entry: ArtifactEntry, node: Node) -> Artifact:
        self._require_repository(environment, entry.repository, ("artifacts", index, "repository"), node)
        files = entry.files if entry.pipeline else self._globs(entry.files)
        return Artifact(
            name=entry.name,
            purpose=entry.purpose,
            files=files,
            repository=entry.repository,
            commit=entry.commit,
            pipeline=self._pipeline(entry.pipeline) if entry.pipeline else None,
        )

    def _testing(self, environment: str, entry: TestingEntry, node: Node) -> Testing:
        for index, path in enumerate(entry.critical_paths):
            steps: Steps = ("testing", "critical_paths", index, "repository")
            self._require_repository(environment, path.repository, steps, node)
        return Testing(
            critical_paths=tuple(
                CriticalPath(id=path.id, files=path.files, repository=path.repository) for path in entry.critical_paths
            ),
            flows=tuple(Flow(id=flow.id, title=flow.title) for flow in entry.flows),
        )

    def _require_repository(self, environment: str, wanted: str, steps: Steps, node: Node) -> None:
        names = _names(node, "repositories", environment)
        if wanted and wanted not in names:
            near = nearest(wanted, names) or (f", expected {listed(names)}" if names else "")
            text = f"there is no such target under `repositories`{near}"
            self.mistakes.add(place_of(node, *steps), (environment, *steps), text)

    def _pipeline(self, entry: PipelineEntry) -> Pipeline:
        return Pipeline(
            provider=entry.provider,
            project=entry.project,
            artifact=entry.artifact,
            url=(entry.url or PIPELINE_URLS[entry.provider]).rstrip("/"),
            token=entry.token,
            ca_file=self._path(entry.ca_file),
        )

    def _region(
        self, steps: Steps, entry: LogEntry | BackupEntry, environment: str, node: Node, accounts: tuple[Account, ...]
    ) -> Region:
        """Where something in AWS is; `node` is the environment before anything was left out for want of a variable."""
        if child(node, "aws") is None:
            text = "missing, expected the account that it is in under `aws`"
            self.mistakes.add(place_of(node, *steps), (environment, *steps, "account"), text)
        name = self._target("account", "aws", entry.account, environment, steps, node)
        first = next((each.region_names[0] for each in accounts if each.name == name), "")
        return Region(account=name, name=entry.region or first)

    def _quub(self, environment: str, entry: QuubEntry, secrets: tuple[SecretReference, ...]) -> Quub:
        return Quub(
            api_url=entry.api_url,
            ws_url=entry.ws_url,
            sandbox_url=entry.sandbox_url,
            api_connect_to=entry.api_connect_to,
            ws_connect_to=entry.ws_connect_to,
            sandbox_connect_to=entry.sandbox_connect_to,
            ca_file=self._path(entry.ca_file),
            probe_path=entry.probe_path,
            secrets=secrets,
            egress=entry.egress,
            environment=environment,
        )

    def _secret(
        self, environment: str, index: int, entry: SecretEntry, node: Node, accounts: tuple[Account, ...]
    ) -> SecretReference:
        """`node` is the environment before anything was left out for want of a variable."""
        steps: Steps = ("quub", "secrets", index)
        if entry.store == "vault":
            vault = self._target("vault", "vault", entry.vault, environment, steps, node)
            return SecretReference(store="vault", name=entry.name, vault=vault, environment=environment)
        arn = _Arn.of(entry.name)
        if arn and entry.region and entry.region != arn.region:
            text = "another region than that of the ARN, expected the same or none"
            self.mistakes.add(place_of(node, *steps, "region"), (environment, *steps, "region"), text)
        by_id = next((each.name for each in accounts if arn and each.account_id == arn.account_id), "")
        name = self._target("account", "aws", entry.account or by_id, environment, steps, node)
        account = next((each for each in accounts if each.name == name), None)
        region = entry.region or (arn.region if arn else "") or (account.region_names[0] if account else "")
        return SecretReference(
            store=entry.store, name=entry.name, region=Region(account=name, name=region), environment=environment
        )

    def _target(self, key: str, kind: str, wanted: str, environment: str, steps: Steps, node: Node) -> str:
        """The name of the account or server that keeps a secret, logs or dumps.

        Where none is declared, or it was left out, the name leads nowhere: they are never looked for elsewhere.
        """
        names = _names(node, kind, environment)
        problem = ""
        if wanted and wanted not in names:
            near = nearest(wanted, names) or (f", expected {listed(names)}" if names else ", and none is declared")
            problem = f"there is no such target under `{kind}`{near}"
        elif not wanted and len(names) > 1:
            problem = f"missing, expected {listed(names)}, since there are several"
        if problem:
            self.mistakes.add(place_of(node, *steps, key), (environment, *steps, key), problem)
        return wanted or next(iter(names), environment)

    def _globs(self, patterns: tuple[str, ...]) -> tuple[str, ...]:
        folder = glob.escape(str(self.folder))
        return tuple(os.path.normpath(Path(folder) / pattern) for pattern in patterns)

    def _path(self, text: str) -> str:
        return os.path.normpath(self.folder / text) if text else ""


def _names(node: Node, kind: str, environment: str) -> list[str]:
    """What the targets of one kind are called, in the order of the file."""
    declared = child(node, kind)
    entries = [declared] if isinstance(declared, Table) else [entry for _, entry in children(declared)]
    names = [child(entry, "name") for entry in entries]
    return [str(name.value) if isinstance(name, Scalar) and name.value else environment for name in names]


@dataclass(frozen=True, slots=True)
class _Arn:
    """What the ARN of a secret or parameter says of where it is."""

    region: str
    account_id: str

    @classmethod
    def of(cls, text: str) -> _Arn | None:
        match = re.fullmatch(rf"arn:aws[a-z-]*:(?:secretsmanager|ssm):({REGION}):([0-9]{{12}}):.+", text)
        return cls(region=match[1], account_id=match[2]) if match else None


def _refuse_one_name_for_two(built: Mapping[str, Environment], nodes: Mapping[str, Node], mistakes: Mistakes) -> None:
    """In the whole file, the name of an account or a Vault server stands for one target."""
    for kind in ("aws", "vault"):
        first: dict[str, tuple[str, Account | VaultServer]] = {}
        for environment, made in built.items():
            for index, target in enumerate(getattr(made, kind)):
                there, other = first.setdefault(target.name, (environment, target))
                if _identity(other) != _identity(target) and there != environment:
                    steps = (kind,) if isinstance(child(nodes[environment], kind), Table) else (kind, index)
                    text = f'"{target.name}" is another target in {there}, expected one target for one name in the file'
                    mistakes.add(place_of(nodes[environment], *steps, "name"), (environment, *steps, "name"), text)


def _identity(target: Account | VaultServer) -> object:
    return replace(target, environment="", region_names=()) if isinstance(target, Account) else target


def refuse_strangers(name: str, node: Node, policy: Policy, mistakes: Mistakes) -> None:
    """Note each entry of `not_applicable` that names no item, or one that was named before."""
    seen: set[str] = set()
    for index, each in children(child(node, "not_applicable")):
        entry = quietly(NotApplicableEntry, each)
        if entry is None:
            continue
        problem = policy.why_unknown(entry.item) or ("the item is there twice" if entry.item in seen else "")
        if problem:
            mistakes.add(place_of(each, "item"), (name, "not_applicable", index, "item"), problem)
        seen.add(entry.item)
