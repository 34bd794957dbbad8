"""Stand-ins for services that cannot run here: Datadog, New Relic, Jaeger, Tempo and Sentry.

Each answers as its public documentation says, and no more: docs.datadoghq.com/api, docs.newrelic.com (NerdGraph),
jaegertracing.io (its JSON API), grafana.com/docs/tempo/latest/api_docs, docs.sentry.io/api. None of them is real.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from quub_audit.model.environment import ApmBackend, ErrorTracker

KEY, APP_KEY, TOKEN = "api-key-of-the-stand-in", "app-key-of-the-stand-in", "token-of-the-stand-in"
PII = "jane.doe@example.com"
"""Stands in spans and events, and must come out nowhere."""


@dataclass
class Reported:
    """One span, or one error event, of a service."""

    service: str = "orders"
    environment: str = "production"
    version: str = "1.4.2"
    age_s: float = 60

    @property
    def at(self) -> float:
        return time.time() - self.age_s

    @property
    def text(self) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.at))


@dataclass
class Saas:
    """The running server; what it holds may be changed at any time."""

    address: str = ""
    spans: list[Reported] = field(default_factory=list)
    events: list[Reported] = field(default_factory=list)
    keys: list[dict[str, Any]] = field(default_factory=lambda: [{"isActive": True, "rateLimit": None}])
    environments: list[str] = field(default_factory=lambda: ["production", "staging"])
    releases: list[str] = field(default_factory=lambda: ["orders@1.4.2", "orders@1.4.1"])
    sessions: int | None = 0
    """None where they are not counted."""
    status: int = 0
    """What is answered to everything, where it is not 0."""
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    """Method, path with query, body."""

    def apm(self, type_: Literal["datadog", "newrelic", "jaeger", "tempo"], **fields: str) -> ApmBackend:
        """The target as an environment would declare it."""
        parts = {"service": "orders", "api_key": KEY, "app_key": APP_KEY, "account": "4711", **fields}
        return ApmBackend(name="traces", type=type_, url=self.address, **parts)

    def tracker(self, **fields: str) -> ErrorTracker:
        """The target as an environment would declare it."""
        parts = {"organisation": "acme", "project": "orders", "token": TOKEN, **fields}
        return ErrorTracker(name="errors", url=self.address, **parts)


@contextlib.contextmanager
def saas() -> Iterator[Saas]:
    """One server that stands in for all of them, on a free port of 127.0.0.1, ended at exit."""
    world = Saas()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(world))
    server.daemon_threads = True
    world.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield world
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)


@dataclass(frozen=True)
class _Request:
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: str

    def number(self, name: str, per_second: float) -> float:
        return float(self.query[name]) / per_second


_Answer = tuple[int, Any, Mapping[str, str]]


def _handler(world: Saas) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            world.asked.append((self.command, self.path, body))
            url = urllib.parse.urlsplit(self.path)
            query = dict(urllib.parse.parse_qsl(url.query))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, document, more = _answer(world, _Request(self.command, url.path, query, headers, body))
            content = json.dumps(document).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **more}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(content)

        do_GET = do_POST = answer  # noqa: N815  the base class's own names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    return Handler


def _answer(world: Saas, request: _Request) -> _Answer:
    if world.status:
        return world.status, {"detail": PII}, world.headers
    routes: tuple[tuple[str, Callable[[Saas, _Request], _Answer]], ...] = (
        ("/api/v1/validate", _datadog_validate),
        ("/api/v2/spans/events", _datadog_spans),
        ("/graphql", _new_relic),
        ("/api/traces", _jaeger),
        ("/api/search", _tempo),
        ("/api/0/", _sentry),
    )
    found = next((route for start, route in routes if request.path.startswith(start)), None)
    return found(world, request) if found else (404, {"detail": "not found"}, {})


def _between(spans: list[Reported], start: float, end: float) -> list[Reported]:
    return [span for span in spans if start <= span.at <= end]


def _datadog_validate(world: Saas, request: _Request) -> _Answer:
    is_valid = request.headers.get("dd-api-key") == KEY
    return (200, {"valid": True}, {}) if is_valid else (403, {"errors": ["Forbidden"]}, {})


def _datadog_spans(world: Saas, request: _Request) -> _Answer:
    if request.headers.get("dd-application-key") != APP_KEY:
        return 403, {"errors": ["Forbidden"]}, {}
    wanted = dict(part.split(":", 1) for part in request.query["filter[query]"].split())
    found = [s for s in world.spans if s.service == wanted["service"] and s.environment == wanted["env"]]
    rows = [
        {
            "type": "spans",
            "id": str(number),
            "attributes": {
                "service": span.service,
                "env": span.environment,
                "resource_name": f"GET /people/{PII}",
                "start_timestamp": span.text,
                "tags": [f"version:{span.version}", f"user:{PII}"],
            },
        }
        for number, span in enumerate(found)
        if request.query["filter[from]"][:19] <= span.text[:19] <= request.query["filter[to]"][:19]
    ]
    return 200, {"data": rows, "meta": {"status": "done"}}, {}


def _new_relic(world: Saas, request: _Request) -> _Answer:
    if request.method != "POST" or request.headers.get("api-key") != KEY:
        return 401, {"errors": [{"message": "Invalid API Key"}]}, {}
    variables = json.loads(request.body)["variables"]
    if variables["account"] != 4711:
        return 200, {"data": {"actor": {"account": None}}, "errors": [{"message": f"Access denied. {PII}"}]}, {}
    name = variables["nrql"].split("'")[1]
    words = variables["nrql"].split()
    start, end = (float(words[words.index(word) + 1]) / 1000 for word in ("SINCE", "UNTIL"))
    found = [span for span in _between(world.spans, start, end) if span.service == name]
    newest = max((span.at * 1000 for span in found), default=None)
    row = {"count": len(found), "latest.timestamp": newest}
    return 200, {"data": {"actor": {"account": {"nrql": {"results": [row]}}}}}, {}


def _jaeger(world: Saas, request: _Request) -> _Answer:
    found = _between(world.spans, request.number("start", 1e6), request.number("end", 1e6))
    traces = [
        {
            "traceID": str(number),
            "spans": [
                {"operationName": f"GET /{PII}", "startTime": int(span.at * 1e6), "processID": "p1", "tags": []},
                {"operationName": "query", "startTime": int(span.at * 1e6), "processID": "p2", "tags": []},
            ],
            "processes": {
                "p1": {"serviceName": span.service, "tags": _jaeger_tags(span)},
                "p2": {"serviceName": "database", "tags": []},
            },
        }
        for number, span in enumerate(found)
        if span.service == request.query["service"]
    ]
    return 200, {"data": traces, "total": 0, "errors": None}, {}


def _jaeger_tags(span: Reported) -> list[dict[str, str]]:
    tags = {"deployment.environment": span.environment, "service.version": span.version}
    return [{"key": key, "type": "string", "value": value} for key, value in tags.items() if value]


def _tempo(world: Saas, request: _Request) -> _Answer:
    found = _between(world.spans, request.number("start", 1), request.number("end", 1) + 1)
    traces = [
        {
            "traceID": str(number),
            "rootServiceName": "gateway",
            "rootTraceName": f"GET /{PII}",
            "spanSets": [
                {
                    "matched": 1,
                    "spans": [
                        {
                            "spanID": "1",
                            "startTimeUnixNano": str(int(span.at * 1e9)),
                            "attributes": [
                                {"key": tag["key"], "value": {"stringValue": tag["value"]}}
                                for tag in _jaeger_tags(span)
                            ],
                        }
                    ],
                }
            ],
        }
        for number, span in enumerate(found)
        if json.dumps(span.service) in request.query["q"]
    ]
    return 200, {"traces": traces, "metrics": {}}, {}


def _sentry(world: Saas, request: _Request) -> _Answer:
    if request.headers.get("authorization") != f"Bearer {TOKEN}":
        return 401, {"detail": "Invalid token"}, {}
    base = "/api/0/projects/acme/orders"
    organisation = "/api/0/organizations/acme"
    answers: Mapping[str, Callable[[], _Answer]] = {
        f"{base}/": lambda: (200, {"id": "17", "slug": "orders"}, {}),
        f"{base}/keys/": lambda: (200, world.keys, {}),
        f"{base}/environments/": lambda: (200, [{"id": "1", "name": name} for name in world.environments], {}),
        f"{base}/events/": lambda: _sentry_events(world, request),
        f"{organisation}/releases/": lambda: (200, [{"version": version} for version in world.releases], {}),
        f"{organisation}/sessions/": lambda: _sentry_sessions(world),
    }
    found = answers.get(request.path)
    return found() if found else (404, {"detail": "The requested resource does not exist"}, {})


def _sentry_events(world: Saas, request: _Request) -> _Answer:
    """A page has one event, so that pages must be followed."""
    cursor = int(request.query.get("cursor", "0"))
    page = world.events[cursor : cursor + 1]
    rows = [
        {
            "eventID": str(cursor),
            "title": f"Error of {PII}",
            "user": {"email": PII},
            "dateCreated": event.text,
            "tags": [{"key": "environment", "value": event.environment}],
        }
        for event in page
    ]
    more = "true" if cursor + 1 < len(world.events) else "false"
    url = f"{world.address}{request.path}?cursor={cursor + 1}"
    link = f'<{url}>; rel="previous"; results="false"; cursor="0", <{url}>; rel="next"; results="{more}"; cursor="1"'
    return 200, rows, {"Link": link}


def _sentry_sessions(world: Saas) -> _Answer:
    if world.sessions is None:
        return 404, {"detail": "not found"}, {}
    return 200, {"groups": [{"by": {}, "totals": {"sum(session)": world.sessions}, "series": {}}]}, {}
