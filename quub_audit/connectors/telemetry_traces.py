"""Spans of one service, as each backend of traces tells of them."""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from quub_audit.connectors.identity_http import Reply
from quub_audit.connectors.telemetry_answers import (
    ask,
    broken,
    moment_of,
    moment_of_number,
    rows_of,
    word,
)
from quub_audit.errors import Denied, Malformed, Unsupported
from quub_audit.facts.telemetry import Traces
from quub_audit.model.environment import ApmBackend

ENVIRONMENT_KEYS = ("deployment.environment.name", "deployment.environment", "env", "environment")
VERSION_KEYS = ("service.version", "version")
MOST_SPANS = 1000
MOST_TRACES = 200

NERDGRAPH = "query($account: Int!, $nrql: Nrql!) { actor { account(id: $account) { nrql(query: $nrql) { results } } } }"
"""The only thing that is ever sent to NerdGraph: it reads."""

_PLAIN = re.compile(r"[\w .:/()@+-]{1,200}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What is asked for."""

    start: datetime
    end: datetime

    @property
    def minutes(self) -> float:
        """Its length."""
        return (self.end - self.start).total_seconds() / 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One span of the service, or one trace."""

    environment: str
    """Empty where it does not say."""
    version: str
    at: datetime


def told(backend: ApmBackend, environment: str, window: Window, spans: Iterable[Span]) -> Traces:
    """Spans of the environment alone; those that name none where no span names any."""
    found = tuple(spans)
    named = [span for span in found if span.environment]
    counted = [span for span in named if span.environment == environment] if named else list(found)
    return Traces(
        service=backend.service,
        environment=environment if named or not found else "",
        count=len(counted),
        window_min=window.minutes,
        newest_at=max((span.at for span in counted), default=None),
        versions=tuple(sorted({span.version for span in counted if span.version})),
    )


def datadog(backend: ApmBackend, environment: str, window: Window) -> Traces:
    """Retained spans (https://docs.datadoghq.com/api/latest/spans/), at most a thousand."""
    keys = {"DD-API-KEY": backend.api_key, "DD-APPLICATION-KEY": backend.app_key}
    valid = ask(backend, "/api/v1/validate", keys, permission="a valid API key")
    if valid.mapping().get("valid") is not True:
        raise Denied(f"{backend}: Datadog does not accept the API key", permission="a valid API key")
    asked = {
        "filter[query]": f"service:{_plain(backend, backend.service)} env:{_plain(backend, environment)}",
        "filter[from]": window.start.isoformat(),
        "filter[to]": window.end.isoformat(),
        "sort": "-timestamp",
        "page[limit]": str(MOST_SPANS),
    }
    path = "/api/v2/spans/events?" + urllib.parse.urlencode(asked)
    reply = ask(backend, path, keys, permission="an application key with apm_read")
    return told(backend, environment, window, (_datadog_span(reply, row) for row in _rows(reply, "data")))


def _datadog_span(reply: Reply, row: Mapping[str, Any]) -> Span:
    attributes = row.get("attributes")
    if not isinstance(attributes, dict):
        raise broken(reply, "a span")
    tags = attributes.get("tags") or ()
    versions = [str(tag).removeprefix("version:") for tag in tags if str(tag).startswith("version:")]
    return Span(
        environment=word(attributes.get("env")),
        version=word(versions[0]) if versions else "",
        at=moment_of(reply, attributes.get("start_timestamp")),
    )


def new_relic(backend: ApmBackend, environment: str, window: Window) -> Traces:
    """Transactions of the application; New Relic knows no environments but by its name, so that none is told."""
    if not backend.account.isdigit():
        raise Unsupported(
            f"{backend}: New Relic is asked by the number of an account", next_step=f"set apm.{backend}.account"
        )
    name = _plain(backend, backend.service)
    start, end = (int(moment.timestamp() * 1000) for moment in (window.start, window.end))
    nrql = f"SELECT count(*), latest(timestamp) FROM Transaction WHERE appName = '{name}' SINCE {start} UNTIL {end}"  # noqa: S608  NRQL, and the name is plain
    document = {"query": NERDGRAPH, "variables": {"account": int(backend.account), "nrql": nrql}}
    path = "" if backend.url.rstrip("/").endswith("/graphql") else "/graphql"
    reply = ask(backend, path, {"API-Key": backend.api_key}, document=document, permission="a user key")
    row = _nerdgraph_row(backend, reply)
    count, newest = row.get("count"), row.get("latest.timestamp")
    if not isinstance(count, int | float) or isinstance(count, bool) or not 0 <= count < 1e18:
        raise broken(reply, "a count")
    return Traces(
        service=backend.service,
        environment="",
        count=int(count),
        window_min=window.minutes,
        newest_at=moment_of_number(reply, newest, 1000) if newest and count else None,
    )


def _nerdgraph_row(backend: ApmBackend, reply: Reply) -> Mapping[str, Any]:
    """The one row of results. GraphQL answers 200 with `errors` where it refuses."""
    document = reply.mapping()
    if document.get("errors"):
        raise Denied(
            f"{backend}: {reply.asked} was refused by NerdGraph",
            permission="a user key for the account",
            next_step=f"give apm.{backend}.api_key a user key that may read account {backend.account}",
        )
    node: Any = document
    for name in ("data", "actor", "account", "nrql"):
        node = node.get(name) if isinstance(node, dict) else None
    rows = rows_of(reply, node, "results") if isinstance(node, dict) else []
    if len(rows) != 1:
        raise broken(reply, "results")
    return rows[0]


def jaeger(backend: ApmBackend, environment: str, window: Window) -> Traces:
    """The newest traces of the service, at most 200."""
    start, end = (str(int(moment.timestamp() * 1_000_000)) for moment in (window.start, window.end))
    asked = {"service": backend.service, "start": start, "end": end, "limit": str(MOST_TRACES)}
    reply = ask(backend, "/api/traces?" + urllib.parse.urlencode(asked), _bearer(backend))
    spans = (span for trace in _rows(reply, "data") for span in _jaeger_spans(backend, reply, trace))
    return told(backend, environment, window, spans)


def _jaeger_spans(backend: ApmBackend, reply: Reply, trace: Mapping[str, Any]) -> Iterable[Span]:
    processes = trace.get("processes")
    if not isinstance(processes, dict):
        raise broken(reply, "a trace")
    for span in rows_of(reply, trace, "spans"):
        process = processes.get(str(span.get("processID")))
        if not isinstance(process, dict) or process.get("serviceName") != backend.service:
            continue
        tags = {str(tag.get("key")): tag.get("value") for tag in rows_of(reply, process, "tags")}
        yield Span(
            environment=_first(tags, ENVIRONMENT_KEYS),
            version=_first(tags, VERSION_KEYS),
            at=moment_of_number(reply, span.get("startTime"), 1e6),
        )


def tempo(backend: ApmBackend, environment: str, window: Window) -> Traces:
    """Traces with spans of the service, at most 200, with what their resources say of themselves."""
    fields = ", ".join(f"resource.{name}" for name in (*ENVIRONMENT_KEYS[:2], VERSION_KEYS[0]))
    asked = {
        "q": f"{{resource.service.name={json.dumps(backend.service)}}} | select({fields})",
        "start": str(int(window.start.timestamp())),
        "end": str(int(window.end.timestamp())),
        "limit": str(MOST_TRACES),
    }
    reply = ask(backend, "/api/search?" + urllib.parse.urlencode(asked), _bearer(backend))
    spans = (span for trace in _rows(reply, "traces") for span in _tempo_spans(reply, trace))
    return told(backend, environment, window, spans)


def _tempo_spans(reply: Reply, trace: Mapping[str, Any]) -> Iterable[Span]:
    for found in rows_of(reply, trace, "spanSets"):
        for span in rows_of(reply, found, "spans"):
            values = {str(each.get("key")): each.get("value") for each in rows_of(reply, span, "attributes")}
            tags = {
                key.removeprefix("resource."): value.get("stringValue")
                for key, value in values.items()
                if isinstance(value, dict)
            }
            yield Span(
                environment=_first(tags, ENVIRONMENT_KEYS),
                version=_first(tags, VERSION_KEYS),
                at=moment_of_number(reply, span.get("startTimeUnixNano"), 1e9),
            )


def _rows(reply: Reply, name: str) -> list[Mapping[str, Any]]:
    """The list that the answer is about. Raises Malformed where it is missing."""
    document = reply.mapping()
    if name not in document:
        raise Malformed(f"{reply.subject}: {reply.asked} was answered without {name}")
    return rows_of(reply, document, name)


def _first(tags: Mapping[str, Any], keys: Iterable[str]) -> str:
    return next((word(tags[key]) for key in keys if tags.get(key)), "")


def _bearer(backend: ApmBackend) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {backend.api_key}"} if backend.api_key else {}


def _plain(backend: ApmBackend, name: str) -> str:
    """A name that means nothing but itself in a query. Raises Unsupported."""
    if not _PLAIN.fullmatch(name):
        raise Unsupported(f"{backend}: a name holds characters that no query may hold", next_step="rename the service")
    return name
