"""The embedded world: an emulated AWS, TLS endpoints, a Quub API and a repository, all on loopback, for one audit."""

from __future__ import annotations

import contextlib
import os
import secrets
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from quub_audit.demo import backends, declarations, endpoints, pipeline, postgres, repository, stores
from quub_audit.demo.authority import Authority, make_pin
from quub_audit.demo.cloud import (
    PRODUCTION,
    STAGING,
    furnish_production,
    furnish_staging,
)
from quub_audit.demo.credentials import Credentials
from quub_audit.demo.declarations import DOMAIN, QUUB_HOST, SANDBOX_HOST, Places
from quub_audit.demo.emulator import emulated_aws
from quub_audit.demo.servers import NotThere, begun
from quub_audit.demo.stores import Store
from quub_audit.errors import UsageError

_ONE_YEAR_HSTS = "max-age=31536000; includeSubDomains"
_ONE_DAY_HSTS = "max-age=86400"


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoWorld:
    """What is up, and how an audit gets at it."""

    environments_file: Path
    """waivers.yaml and attestations.yaml lie beside it where there are any."""
    checklist_file: Path
    environment: str = "production"
    environ: Mapping[str, str] = field(repr=False)
    """The whole process environment of the audit."""
    about: tuple[str, ...]
    """Lines for people: what is up, and where."""


@contextlib.contextmanager
def demo_world(folder: Path, *, healthy: bool, search: str | None = None) -> Iterator[DemoWorld]:
    """The world, with its files in the empty or missing `folder`; everything of it has ended at exit.

    Servers of Redis and PostgreSQL are started from where they are found: in the folders that `search` names as PATH
    does, or on the PATH and where Debian puts them. What is about one that is not there does not apply.

    Healthy, every item of the checklist passes. Otherwise one is waived, one is attested, and these fail: a credential
    lies in the history, in code and in a task definition; one endpoint speaks TLS 1.0 and plain HTTP; pins are not
    compared; a database is open to the world, and a snapshot plain; floods are counted and not held back; a key is
    renewed by hand; an administrator has no second factor; an app's tokens live for a day and are refreshed with the
    same token for ever; a log shows customers, and never expires; the last dump holds nothing; an alarm never fires; a
    request may take for ever; production sends neither traces nor errors. In the cache nothing is evicted, and some
    keys never expire; in the database orders are found by no index, everybody waits for one row, and one pool takes
    nearly all connections. Of what the pipeline kept, `pipeline.reports` says what is wrong with it; no penetration
    test was about one endpoint, and another one serves its `/.git`.

    One world at a time in a process: the emulator's accounts are the process's own.
    Raises MissingExtra without moto, and UsageError when git is missing or the folder is not empty.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty; give the demo a folder of its own")
    where = postgres.usual_folders() if search is None else search
    with contextlib.ExitStack() as running:
        yield _build(running, folder, datetime.now(UTC), where, healthy=healthy)


def _build(running: contextlib.ExitStack, folder: Path, at: datetime, search: str, *, healthy: bool) -> DemoWorld:
    """Start and furnish everything; `running` ends it. What only building needs is forgotten on return."""
    authority = Authority(at=at)
    authority.write_ca(folder)
    # The slow ones first: they take as long as everything else together.
    database = running.enter_context(begun(stores.database(search, folder, authority, healthy=healthy)))
    cache = running.enter_context(begun(stores.cache(search, folder, authority, healthy=healthy)))
    credentials = Credentials(org_id="org_4711")
    emulator = running.enter_context(emulated_aws())
    furnish_production(emulator, credentials, authority.issue(f"*.{DOMAIN}"), at, healthy=healthy)
    furnish_staging(emulator, Credentials(org_id="org_4712"))
    pins = (authority.issuer_pin, make_pin("in reserve"))
    checkout = repository.build(folder / "quub-app", healthy=healthy, pins=pins)
    artifacts = pipeline.reports(checkout, at, healthy=healthy)
    pipeline.keep(folder, artifacts)
    keys = backends.Keys()
    places = _serve(
        running,
        folder,
        authority,
        credentials,
        keys,
        aws=emulator.address,
        artifacts=artifacts,
        cache=cache,
        database=database,
        healthy=healthy,
    )
    return DemoWorld(
        environments_file=_declare(folder, places, at, healthy=healthy),
        checklist_file=folder / "checklist.yaml",
        environ={**_process_environment(folder), **_credentials_of_audit(keys, places)},
        about=_describe(places, checkout),
    )


def _serve(
    running: contextlib.ExitStack,
    folder: Path,
    authority: Authority,
    credentials: Credentials,
    backend_keys: backends.Keys,
    *,
    aws: str,
    artifacts: Sequence[pipeline.Report],
    cache: Callable[[], Store],
    database: Callable[[], Store],
    healthy: bool,
) -> Places:
    """Start every server; `running` ends them."""
    keys = folder / "tls"
    keys.mkdir(mode=0o700)

    def shut() -> str:
        return f"{endpoints.LOOPBACK}:{running.enter_context(endpoints.closed_port())}"

    def tls(name: str, *, days: int = 90) -> ssl.SSLContext:
        identity = authority.issue(f"{name}.{DOMAIN}", ends_in=timedelta(days=days, hours=1))
        return endpoints.modern_tls(identity, keys, name)

    if healthy:
        partners_tls, partners_plain = tls("partners"), shut()
        console_tls, hsts = tls("console"), _ONE_YEAR_HSTS
        database_port = running.enter_context(endpoints.closed_port())
    else:
        ends_soon = authority.issue(f"partners.{DOMAIN}", ends_in=timedelta(days=9, hours=1))
        partners_tls = endpoints.outdated_tls(ends_soon, keys, "partners")
        partners_plain = running.enter_context(endpoints.served(endpoints.service("partners")))
        console_tls, hsts = tls("console", days=21), _ONE_DAY_HSTS
        database_port = running.enter_context(endpoints.open_port())
    services = {
        "orders": (endpoints.service("orders"), tls("orders")),
        "partners": (endpoints.service("partners"), partners_tls),
        "console": (endpoints.service("console", hsts=hsts, has_login=True, has_checkout=not healthy), console_tls),
        "stream": (endpoints.stream("stream"), tls("stream")),
    }
    reporting = "production" if healthy else "staging"
    redirect = endpoints.served(endpoints.redirect_to(f"console.{DOMAIN}"))
    quub_tls = endpoints.modern_tls(authority.issue(QUUB_HOST, SANDBOX_HOST), keys, "quub")
    return Places(
        aws=aws,
        https={name: running.enter_context(endpoints.served(*each)) for name, each in services.items()},
        plain={
            "orders": shut(),
            "partners": partners_plain,
            "console": running.enter_context(redirect),
            "stream": shut(),
        },
        closed_ports=(database_port, running.enter_context(endpoints.closed_port())),
        quub=running.enter_context(endpoints.served(endpoints.quub_api(credentials), quub_tls)),
        repository="quub-app",
        artifacts=artifacts,
        datadog="http://" + running.enter_context(endpoints.served(backends.datadog(backend_keys, reporting))),
        sentry="http://" + running.enter_context(endpoints.served(backends.sentry(backend_keys, reporting))),
        cache=_if_there(cache),
        database=_if_there(database),
    )


def _if_there(start: Callable[[], Store]) -> Store | str:
    """The server, or the reason why it is not there."""
    try:
        return start()
    except NotThere as reason:
        return str(reason)


def _declare(folder: Path, places: Places, at: datetime, *, healthy: bool) -> Path:
    file = folder / "environments.yaml"
    file.write_text(declarations.environments(places), encoding="utf-8")
    (folder / "checklist.yaml").write_text(declarations.checklist(), encoding="utf-8")
    attestations = declarations.attestations(at.date(), healthy=healthy)
    (folder / "attestations.yaml").write_text(attestations, encoding="utf-8")
    if not healthy:
        (folder / "waivers.yaml").write_text(declarations.waivers(at.date()), encoding="utf-8")
    return file


def _process_environment(folder: Path) -> Mapping[str, str]:
    """Nothing of the user's own: no profile, no proxy and no instance role leads the audit elsewhere."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
        "NO_PROXY": f"{endpoints.LOOPBACK},localhost",
        "AWS_ACCESS_KEY_ID": "quub-audit-demo",
        "AWS_SECRET_ACCESS_KEY": secrets.token_urlsafe(30),
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _credentials_of_audit(keys: backends.Keys, places: Places) -> Mapping[str, str]:
    """Values of the variables that environments.yaml names."""
    passwords = {"CACHE_AUDIT_PASSWORD": places.cache, "DATABASE_AUDIT_PASSWORD": places.database}
    return {
        "DATADOG_API_KEY": keys.api_key,
        "DATADOG_APP_KEY": keys.app_key,
        "SENTRY_AUDIT_TOKEN": keys.sentry_token,
        **{name: store.password for name, store in passwords.items() if isinstance(store, Store)},
    }


def _describe(places: Places, checkout: Path) -> tuple[str, ...]:
    return (
        f"AWS, emulated by moto at {places.aws}: accounts {PRODUCTION} (production) and {STAGING} (staging)",
        *(f"{name}.{DOMAIN} at {address}" for name, address in places.https.items()),
        f"the Quub API, a stand-in for it, as {QUUB_HOST} at {places.quub}",
        *_describe_store("Redis", places.cache),
        *_describe_store("PostgreSQL", places.database),
        f"stand-ins for Datadog at {places.datadog} and for Sentry at {places.sentry}",
        f"the sample service's repository in {checkout}",
    )


def _describe_store(name: str, store: Store | str) -> tuple[str, ...]:
    return (f"{name} at {store.address}" if isinstance(store, Store) else f"no {name}: {store}",)
