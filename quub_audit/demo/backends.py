"""Stand-ins for what a Python package cannot bring: Datadog, where traces arrive, and Sentry, where errors do.

Each answers what an audit asks as its public documentation says (docs.datadoghq.com/api, docs.sentry.io/api), and no
more. Neither is real.
"""

from __future__ import annotations

import json
import secrets
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

from quub_audit.demo.endpoints import Asked, Reply, Service

SERVICE = "quub-app"
RELEASE = "1.4.0"
ORGANISATION = "quub-app"
SPANS_EVERY = timedelta(seconds=20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What the audit shows to both; made up for one run, and of no use anywhere."""

    api_key: str = field(repr=False, default_factory=lambda: secrets.token_hex(16))
    app_key: str = field(repr=False, default_factory=lambda: secrets.token_hex(20))
    sentry_token: str = field(repr=False, default_factory=lambda: secrets.token_hex(32))


def datadog(keys: Keys, environment: str) -> Service:
    """Takes spans of the service in `environment`, and of no other."""

    def answer(asked: Asked) -> Reply:
        if asked.headers.get("dd-api-key") != keys.api_key:
            return _json({"errors": ["Forbidden"]}, HTTPStatus.FORBIDDEN)
        if asked.path == "/api/v1/validate":
            return _json({"valid": True})
        if asked.path != "/api/v2/spans/events":
            return _json({"errors": ["Not found"]}, HTTPStatus.NOT_FOUND)
        if asked.headers.get("dd-application-key") != keys.app_key:
            return _json({"errors": ["Forbidden"]}, HTTPStatus.FORBIDDEN)
        query = _query_of(asked)
        is_known = query.get("filter[query]") == f"service:{SERVICE} env:{environment}"
        return _json({"data": _spans(query, environment) if is_known else [], "meta": {"status": "done"}})

    return answer


def _spans(query: Mapping[str, str], environment: str) -> list[Mapping[str, Any]]:
    """The newest first, one every few seconds, of the last half hour at most."""
    end, start = (datetime.fromisoformat(query[f"filter[{name}]"]) for name in ("to", "from"))
    count = min((end - start) // SPANS_EVERY, 90, int(query["page[limit]"]))
    moments = (end - SPANS_EVERY * number for number in range(1, count + 1))
    attributes = {"service": SERVICE, "env": environment, "resource_name": "GET /ready", "tags": [f"version:{RELEASE}"]}
    return [
        {"type": "spans", "id": str(at.timestamp()), "attributes": {**attributes, "start_timestamp": at.isoformat()}}
        for at in moments
    ]


def sentry(keys: Keys, environment: str) -> Service:
    """Knows the service's project, with errors and sessions of `environment` and of no other."""
    project = f"/api/0/projects/{ORGANISATION}/{SERVICE}"
    organisation = f"/api/0/organizations/{ORGANISATION}"

    def answer(asked: Asked) -> Reply:
        if asked.headers.get("authorization") != f"Bearer {keys.sentry_token}":
            return _json({"detail": "Invalid token"}, HTTPStatus.UNAUTHORIZED)
        is_asked = _query_of(asked).get("environment", environment) == environment
        at = datetime.now(UTC) - timedelta(hours=3)
        event = {"dateCreated": f"{at:%Y-%m-%dT%H:%M:%SZ}", "tags": [{"key": "environment", "value": environment}]}
        answers: Mapping[str, Any] = {
            f"{project}/": {"id": "17", "slug": SERVICE},
            f"{project}/keys/": [{"isActive": True, "rateLimit": None}],
            f"{project}/environments/": [{"id": "1", "name": environment}],
            f"{project}/events/": [event],
            f"{organisation}/releases/": [{"version": f"{SERVICE}@{RELEASE}"}] if is_asked else [],
            f"{organisation}/sessions/": {"groups": [{"totals": {"sum(session)": 48_211 if is_asked else 0}}]},
        }
        if asked.path not in answers:
            return _json({"detail": "The requested resource does not exist"}, HTTPStatus.NOT_FOUND)
        return _json(answers[asked.path])

    return answer


def _query_of(asked: Asked) -> Mapping[str, str]:
    return dict(urllib.parse.parse_qsl(asked.target.partition("?")[2]))


def _json(document: Any, status: HTTPStatus = HTTPStatus.OK) -> Reply:
    return Reply(status=status, headers={"Content-Type": "application/json"}, body=json.dumps(document).encode())
