"""What the team of the sample service would write: where to look, which risk is accepted, who answers for what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from quub_audit.demo.cloud import EGRESS, PRODUCTION, REGION, STAGING
from quub_audit.demo.data import DUMPS, DUMPS_PREFIX
from quub_audit.demo.endpoints import LOGIN_PATH

DOMAIN = "quub-app.example"
"""RFC 2606: no name below it resolves."""
QUUB_HOST = "api.quub.example"

NO_REDIS = "the demo runs no Redis server, which a Python package does not bring"
NO_POSTGRESQL = "the demo runs no PostgreSQL server, which a Python package does not bring"
NO_SAAS = "the demo sends nothing to services outside this machine, and runs no backend for traces and errors"
NOT_APPLICABLE: Mapping[str, str] = {
    "performance.caching.layer-configured": NO_REDIS,
    "performance.caching.ttl-values": NO_REDIS,
    "performance.caching.hit-rate-monitored": NO_REDIS,
    "performance.database.indexes": NO_POSTGRESQL,
    "performance.database.connection-pooling": NO_POSTGRESQL,
    "performance.database.query-performance": NO_POSTGRESQL,
    "performance.monitoring.apm": NO_SAAS,
    "performance.monitoring.error-tracking": NO_SAAS,
}
"""Items that need a server which the demo cannot have, with the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where everything is up."""

    aws: str
    """`http://127.0.0.1:port`."""
    https: Mapping[str, str]
    """`127.0.0.1:port` of each endpoint, by its name."""
    plain: Mapping[str, str]
    """The same of its plain-HTTP port."""
    closed_ports: tuple[int, ...]
    """Ports of the endpoint `orders` that must be closed."""
    quub: str
    """`127.0.0.1:port` of the Quub API."""
    repository: str
    """The folder, as seen from the file."""


def environments(places: Places) -> str:
    """The text of environments.yaml."""
    return f"""\
# Where the readiness audit of quub-app looks. Everything here is up on loopback while the demo runs.
service: quub-app

environments:
  production:
    stage: production
    quub:
      api_url: https://{QUUB_HOST}
      api_connect_to: {places.quub}
      ca_file: ca.pem
      probe_path: /v1/account
      secrets:
        - store: secrets-manager
          name: production/quub/credentials
      # The networks that Quub has registered for our key.
      egress: [{", ".join(f"{address}/32" for address in EGRESS)}]
    aws:
      - name: production
        account_id: "{PRODUCTION}"
        regions: [{REGION}]
        role_arn: arn:aws:iam::{PRODUCTION}:role/quub-audit
        endpoint_url: {places.aws}
        read_secret_values: true
    endpoints:
{_endpoint(places, "orders", "load_balancer: quub-app-production", f"closed_ports: {list(places.closed_ports)}")}
{_endpoint(places, "partners", "load_balancer: quub-app-partners")}
{_endpoint(places, "console", "audience: browser", f"login_path: {LOGIN_PATH}", "load_balancer: quub-app-console")}
{_endpoint(places, "stream", scheme="wss")}
    repositories:
      - name: quub-app
        path: {places.repository}
    logs:
      - name: quub-app
        groups: [/ecs/quub-app]
    backups:
      - bucket: {DUMPS}
        prefix: {DUMPS_PREFIX}
    # What cannot be brought up by the installation of a Python package.
    not_applicable:
{_absent()}

  staging:
    stage: staging
    quub:
      secrets:
        - store: secrets-manager
          name: staging/quub/credentials
    aws:
      - name: staging
        account_id: "{STAGING}"
        regions: [{REGION}]
        role_arn: arn:aws:iam::{STAGING}:role/quub-audit
        endpoint_url: {places.aws}
        read_secret_values: true
"""


def _absent() -> str:
    lines = (line for item, reason in NOT_APPLICABLE.items() for line in (f"- item: {item}", f"  reason: {reason}"))
    return "\n".join(f"      {line}" for line in lines)


def _endpoint(places: Places, name: str, *more: str, scheme: str = "https") -> str:
    lines = (
        f"- name: {name}",
        f"  url: {scheme}://{name}.{DOMAIN}",
        f"  connect_to: {places.https[name]}",
        f"  connect_to_plain: {places.plain[name]}",
        "  ca_file: ca.pem",
        "  paths: [/health, /ready]",
        *(f"  {line}" for line in more),
    )
    return "\n".join(f"      {line}" for line in lines)


def waivers(today: date) -> str:
    """The text of waivers.yaml: the flood rule of the partners' load balancer only counts, and that is accepted."""
    return f"""\
waivers:
  - item: security.network.ddos-protection
    reason: The rate rule of the partners' load balancer counts for four weeks before it blocks, to find its limit
    requester: idris@{DOMAIN}
    approver: mara@{DOMAIN}
    ticket: OPS-412
    expires: {today + timedelta(days=28)}
"""


def attestations(today: date) -> str:
    """The text of attestations.yaml: the key of Quub is renewed by hand, and that is in a calendar."""
    return f"""\
attestations:
  - item: security.api-keys.rotation-schedule
    statement: The key of Quub is renewed by hand on the first Monday of each quarter, and was on time so far
    by: Mara Lindqvist
    organisation: quub-app
    performed_on: {today - timedelta(days=7)}
    expires: {today + timedelta(days=83)}
    reference: OPS-387
"""
