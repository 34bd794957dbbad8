"""A full environments.yaml and checklists as trees, and trees that differ from them in one place."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

EXAMPLE: dict[str, Any] = {
    "service": "orders",
    "environments": {
        "production": {
            "stage": "production",
            "quub": {
                "api_url": "https://api.quub.fi",
                "ws_url": "wss://ws.quub.fi",
                "sandbox_url": "https://api-sandbox.quub.fi",
                "api_connect_to": "127.0.0.1:8443",
                "ws_connect_to": "127.0.0.1:8444",
                "sandbox_connect_to": "127.0.0.1:8445",
                "probe_path": "/v1/account",
                "ca_file": "ca.pem",
                "secrets": [
                    {"store": "secrets-manager", "name": "quub", "region": "eu-central-1", "account": "production"},
                    {"store": "vault", "name": "secret/quub", "vault": "main"},
                ],
                "egress": ["203.0.113.10/32"],
            },
            "aws": [
                {
                    "name": "production",
                    "account_id": "111122223333",
                    "regions": ["eu-central-1"],
                    "role_arn": "arn:aws:iam::111122223333:role/audit",
                    "endpoint_url": "https://aws.test",
                    "read_secret_values": True,
                }
            ],
            "endpoints": [
                {
                    "name": "api",
                    "url": "https://orders.test",
                    "audience": "browser",
                    "paths": ["/", "/health"],
                    "connect_to": "127.0.0.1:8443",
                    "closed_ports": [22],
                    "cdn": "fastly",
                    "load_balancer": "orders",
                    "login_path": "/login",
                }
            ],
            "vault": [
                {"name": "main", "address": "https://vault.test", "token": "${VAULT_TOKEN}", "namespace": "team"}
            ],
            "repositories": [
                {
                    "name": "app",
                    "path": ".",
                    "exclude": ["tools/**"],
                    "history_depth": 10,
                    "github": {
                        "project": "acme/orders",
                        "url": "https://github.test/api/v3",
                        "token": "${CODE_TOKEN}",
                        "ca_file": "ca.pem",
                    },
                }
            ],
            "identity": [
                {
                    "name": "login",
                    "type": "keycloak",
                    "issuer": "https://login.test/realms/orders",
                    "realm": "orders",
                    "admin_url": "https://admin.login.test",
                    "admin_client_id": "audit",
                    "admin_client_secret": "${ADMIN_SECRET}",
                    "test_client": {
                        "client_id": "probe",
                        "client_secret": "${PROBE_SECRET}",
                        "grant": "password",
                        "username": "probe",
                        "password": "${PROBE_PASSWORD}",
                        "scope": "openid offline_access",
                    },
                    "connect_to": "127.0.0.1:8443",
                    "ca_file": "ca.pem",
                },
                {
                    "name": "partners",
                    "type": "oidc",
                    "issuer": "https://partners.test/",
                    "access_token": "${ACCESS_TOKEN}",
                    "id_token": "${ID_TOKEN}",
                },
                {"name": "code", "type": "github", "organisation": "orders", "admin_token": "${CODE_TOKEN}"},
            ],
            "logs": [
                {"name": "cloud", "groups": ["/ecs/orders"], "account": "production", "region": "eu-central-1"},
                {"name": "disk", "files": ["logs/**/*.log"]},
            ],
            "backups": [{"bucket": "dumps", "prefix": "daily/", "account": "production", "region": "eu-central-1"}],
            "databases": [
                {
                    "name": "main",
                    "host": "db.orders.test",
                    "port": 5433,
                    "database": "orders",
                    "user": "quub_audit",
                    "password": "${DB_PASSWORD}",
                    "tls": True,
                    "ca_file": "ca.pem",
                    "instance": "orders-production",
                }
            ],
            "caches": [
                {
                    "name": "main",
                    "addresses": ["cache.orders.test:26379"],
                    "mode": "sentinel",
                    "master": "orders",
                    "purpose": "sessions",
                    "user": "quub-audit",
                    "password": "${CACHE_PASSWORD}",
                    "tls": True,
                    "ca_file": "ca.pem",
                    "replication_group": "orders-production",
                }
            ],
            "prometheus": [
                {"name": "main", "url": "https://prometheus.test/main", "token": "${PROM_TOKEN}", "ca_file": "ca.pem"}
            ],
            "alertmanager": [
                {"name": "main", "url": "https://alerts.test", "token": "${ALERT_TOKEN}", "ca_file": "ca.pem"}
            ],
            "advisories": [{"name": "osv", "url": "https://osv.test", "token": "${OSV_TOKEN}", "ca_file": "ca.pem"}],
            "apm": [
                {
                    "name": "traces",
                    "type": "datadog",
                    "url": "https://api.datadoghq.test",
                    "service": "orders",
                    "api_key": "${DD_API_KEY}",
                    "app_key": "${DD_APP_KEY}",
                    "ca_file": "ca.pem",
                },
                {
                    "name": "relic",
                    "type": "newrelic",
                    "url": "https://api.newrelic.test",
                    "service": "orders",
                    "api_key": "${NR_KEY}",
                    "account": "1234567",
                },
            ],
            "error_tracking": [
                {
                    "name": "sentry",
                    "url": "https://sentry.test",
                    "organisation": "orders",
                    "project": "api",
                    "token": "${SENTRY_TOKEN}",
                    "ca_file": "ca.pem",
                }
            ],
            "testing": {
                "critical_paths": [{"id": "order", "files": ["src/orders/**"]}],
                "flows": [{"id": "withdraw", "title": "Withdraw"}],
            },
            "not_applicable": [{"item": "security.network.ddos-protection", "reason": "it faces no network at all"}],
        },
        "staging": {"stage": "staging", "endpoints": [{"name": "api", "url": "https://staging.orders.test"}]},
    },
}

VARIABLES = {
    "VAULT_TOKEN": "t",
    "ADMIN_SECRET": "s",
    "PROBE_SECRET": "s",
    "PROBE_PASSWORD": "p",
    "ACCESS_TOKEN": "a",
    "ID_TOKEN": "i",
    "CODE_TOKEN": "c",
    "DB_PASSWORD": "d",
    "CACHE_PASSWORD": "e",
    "PROM_TOKEN": "f",
    "ALERT_TOKEN": "g",
    "DD_API_KEY": "h",
    "DD_APP_KEY": "j",
    "NR_KEY": "k",
    "SENTRY_TOKEN": "l",
    "OSV_TOKEN": "m",
}
"""What the example takes from the process environment."""

CHECKLIST: dict[str, Any] = {
    "version": "1",
    "title": "Team",
    "extends": "builtin",
    "max_waiver_days": {"critical": 7},
    "drop": [{"id": "security.network.firewall-rules", "reason": "another team has them"}],
    "change": {"security.network.https-enforced": {"severity": "high", "with": {"hsts_min_age": 5}}},
    "sections": [
        {
            "title": "Orders",
            "groups": [
                {
                    "title": "Queues",
                    "items": [
                        {
                            "id": "team.orders.queue-depth",
                            "title": "Depth",
                            "severity": "low",
                            "checks": ["team.orders.queue-depth/depth"],
                            "with": {"max_depth": 3},
                            "min_evidence": "live",
                            "at_least": 1,
                            "blocking": True,
                            "stages": {"development": {"blocking": False}},
                            "references": ["RFC 0"],
                            "tags": ["queue"],
                        }
                    ],
                }
            ],
        }
    ],
}

WAIVERS: dict[str, Any] = {
    "waivers": [
        {
            "item": "security.network.https-enforced",
            "subject": "a",
            "reason": "it is not reachable",
            "requester": "Ada",
            "approver": "Grace",
            "ticket": "OPS-7",
            "expires": "2026-12-01",
            "run": True,
        }
    ]
}

ATTESTATIONS: dict[str, Any] = {
    "attestations": [
        {
            "item": "security.api-keys.ip-allowlist",
            "statement": "Two addresses are registered.",
            "by": "Ada",
            "organisation": "Example",
            "performed_on": "2026-11-01",
            "expires": "2027-01-01",
            "reference": "OPS-8",
        }
    ]
}

Way = tuple[str | int, ...]


def places(tree: Any, way: Way = ()) -> Iterator[Way]:
    """The way to every value below the root."""
    entries = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for step, below in entries:
        yield (*way, step)
        yield from places(below, (*way, step))


def at(tree: Any, way: Way) -> Any:
    """What `way` leads to."""
    for step in way:
        tree = tree[step]
    return tree


def put(tree: Any, way: Way, value: Any) -> Any:
    """The tree with another value in one place."""
    changed = copy.deepcopy(tree)
    at(changed, way[:-1])[way[-1]] = value
    return changed


def without(tree: Any, way: Way) -> Any:
    """The tree without the value in one place."""
    changed = copy.deepcopy(tree)
    del at(changed, way[:-1])[way[-1]]
    return changed


def renamed(tree: Any, way: Way, name: str) -> Any:
    """The tree with another key in one place, last in its mapping; the same tree where that place is in a list."""
    changed = copy.deepcopy(tree)
    around = at(changed, way[:-1])
    if isinstance(around, dict):
        around[name] = around.pop(way[-1])
    return changed
