"""What the team of the sample service would write: where to look, which risk is accepted, who answers for what."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from quub_audit.demo import pipeline
from quub_audit.demo.backends import ORGANISATION, SERVICE
from quub_audit.demo.cloud import CACHE, DATABASE, EGRESS, PRODUCTION, REGION, STAGING
from quub_audit.demo.data import DUMPS, DUMPS_PREFIX
from quub_audit.demo.endpoints import LOGIN_PATH
from quub_audit.demo.stores import DATABASE as ORDERS
from quub_audit.demo.stores import Store

DOMAIN = "quub-app.example"
"""RFC 2606: no name below it resolves."""
QUUB_HOST = "api.quub.example"
SANDBOX_HOST = "api-sandbox.quub.example"

OF_CACHE = (
    "performance.caching.layer-configured",
    "performance.caching.ttl-values",
    "performance.caching.hit-rate-monitored",
)
OF_DATABASE = (
    "performance.database.indexes",
    "performance.database.connection-pooling",
    "performance.database.query-performance",
)
"""Items about a server that not every machine has."""


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
    artifacts: Sequence[pipeline.Report]
    """What the pipeline kept of it."""
    datadog: str
    sentry: str
    """`http://127.0.0.1:port` of the stand-ins."""
    cache: Store | str
    database: Store | str
    """The server, or the reason why there is none."""

    @property
    def absent(self) -> Mapping[str, str]:
        """Items about a server that is not there, with the reason."""
        pairs = ((OF_CACHE, self.cache), (OF_DATABASE, self.database))
        return {item: reason for items, reason in pairs if isinstance(reason, str) for item in items}


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
      sandbox_url: https://{SANDBOX_HOST}
      sandbox_connect_to: {places.quub}
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
    # What the pipeline kept of this commit; its variable for the commit stands for it elsewhere.
    artifacts:
{_artifacts(places)}
    traffic:
      expected_peak_rps: {pipeline.EXPECTED_PEAK_RPS}
      expected_average_rps: {pipeline.EXPECTED_AVERAGE_RPS}
      p95_ms: {pipeline.P95_MS}
      p99_ms: {pipeline.P99_MS}
      rate_limit_rps: {pipeline.RATE_LIMIT_RPS}
    testing:
      critical_paths:
        - id: orders
          files: [src/quub/client.ts, src/quub/retry.ts, src/quub/breaker.ts, src/orders.ts]
        - id: credentials
          files: [{pipeline.NEVER_IMPORTED}]
      flows:
        - id: place-order
          title: An order is placed, and seen filled
        - id: cancel-order
          title: An order is placed, cancelled, and seen cancelled
        - id: follow-orders
          title: Orders are followed when the stream was lost
{_stores(places)}
    # Emulated: neither Datadog nor Sentry hears of this.
    apm:
      - name: datadog
        type: datadog
        url: {places.datadog}
        service: {SERVICE}
        api_key: ${{DATADOG_API_KEY}}
        app_key: ${{DATADOG_APP_KEY}}
    error_tracking:
      - name: sentry
        url: {places.sentry}
        organisation: {ORGANISATION}
        project: {SERVICE}
        token: ${{SENTRY_AUDIT_TOKEN}}

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


def _artifacts(places: Places) -> str:
    lines: list[str] = []
    for each in places.artifacts:
        lines += [
            f"- name: {each.name}",
            f"  purpose: {each.purpose}",
            f"  files: [{pipeline.FOLDER}/{each.file}]",
            f"  commit: {each.commit}",
        ]
    return "\n".join(f"      {line}" for line in lines)


def _stores(places: Places) -> str:
    lines: list[str] = []
    if isinstance(places.cache, Store):
        lines += [
            "caches:",
            "  - name: orders",
            f"    addresses: [{places.cache.address}]",
            f"    user: {places.cache.user}",
            "    password: ${CACHE_AUDIT_PASSWORD}",
            "    ca_file: ca.pem",
            f"    replication_group: {CACHE}",
        ]
    if isinstance(places.database, Store):
        host, _, port = places.database.address.rpartition(":")
        lines += [
            "databases:",
            "  - name: orders",
            f"    host: {host}",
            f"    port: {port}",
            f"    database: {ORDERS}",
            f"    user: {places.database.user}",
            "    password: ${DATABASE_AUDIT_PASSWORD}",
            "    ca_file: ca.pem",
            f"    instance: {DATABASE}",
        ]
    if places.absent:
        lines.append("not_applicable:")
    for item, reason in places.absent.items():
        lines += [f"  - item: {item}", f"    reason: {json.dumps(reason)}"]
    return "\n".join(f"    {line}" for line in lines)


def checklist() -> str:
    """The text of checklist.yaml: the built-in one, but for what counts hours on servers that are seconds old, and for
    what only the team knows of its paths.
    """
    return """\
# The built-in checklist. The servers of the demo are a few seconds old, so that what counts hours elsewhere counts
# seconds here, and says which paths only somebody sees who is logged in; nothing else is otherwise.
version: "1"
title: Quub pre-deployment checklist of quub-app
extends: builtin

change:
  performance.caching.hit-rate-monitored:
    with:
      sample_s: 1
  performance.database.indexes:
    with:
      min_stats_age_h: 0
  performance.database.connection-pooling:
    with:
      min_session_s: 1
  performance.database.query-performance:
    with:
      min_stats_age_h: 0
  testing.security.owasp-top-10:
    with:
      authenticated_paths: [/account, /orders/*]
"""


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


def attestations(today: date, *, healthy: bool) -> str:
    """The text of attestations.yaml: what a penetration test came to.

    Without `healthy` it was not about the partners' endpoint, and the key of Quub is renewed by hand.
    """
    tested = [name for name in ("orders", "partners", "console", "stream") if healthy or name != "partners"]
    scope = ", ".join(f"{name}.{DOMAIN}" for name in tested)
    test = f"""\
attestations:
  - item: testing.security.penetration-test
    statement: The public endpoints were attacked for eight days, and what was found is mended
    by: Ines Fabre
    organisation: Redwall Security
    performed_on: {today - timedelta(days=96)}
    expires: {today + timedelta(days=269)}
    reference: OPS-371
    method: OWASP WSTG 4.2 and PTES, by hand
    scope: [{scope}]
    report_sha256: 5f1b7a0c3d9e84265f1b7a0c3d9e84265f1b7a0c3d9e84265f1b7a0c3d9e8426
    open_findings: {{critical: 0, high: 0, medium: 2, low: 5}}
    retested_on: {today - timedelta(days=61)}
"""
    if healthy:
        return test
    return f"""\
{test}  - item: security.api-keys.rotation-schedule
    statement: The key of Quub is renewed by hand on the first Monday of each quarter, and was on time so far
    by: Mara Lindqvist
    organisation: quub-app
    performed_on: {today - timedelta(days=7)}
    expires: {today + timedelta(days=83)}
    reference: OPS-387
"""
