"""Prometheus and Alertmanager, by GET of their HTTP APIs.

The bearer token goes to the declared address alone: over TLS that is verified, or in clear to this machine; a redirect
is an error. What an Alertmanager's configuration says of addresses and credentials is never kept.
"""

from __future__ import annotations

import math
import re
import urllib.parse
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from quub_audit.connectors.alertmanager_config import read_receivers
from quub_audit.connectors.base import Ledger, Question
from quub_audit.connectors.identity_http import Ask, Reply, one_line, send
from quub_audit.errors import Absent, Denied, Malformed, Reportable, Throttled, Unreachable, Unsupported
from quub_audit.facts.prometheus import Receiver, Rule, Sample, ScrapeTarget, Silence
from quub_audit.facts.seal import Redactor
from quub_audit.model.environment import AlertmanagerServer, PrometheusServer, credentials_of

T = TypeVar("T")
Server = PrometheusServer | AlertmanagerServer

MAX_BODY_BYTES = 16 * 1024 * 1024
"""Ten thousand rules, or targets with all that was discovered of them, are more than a usual page."""

MAX_SAMPLES = 10_000
MAX_PAGES = 100

_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")
_NEVER = "0001-01-01T"


class PrometheusConnector:
    """Implements `quub_audit.facts.asking.Prometheus`. Built without I/O; no connection outlives its request."""

    def __init__(self, servers: Iterable[Server], ledger: Ledger, redactor: Redactor) -> None:
        self._ledger = ledger
        for server in servers:
            for credential in credentials_of(server):
                redactor.add(credential)

    def query(self, server: PrometheusServer, expression: str) -> tuple[Sample, ...]:
        """The instant vector that `expression` comes to now, at most 10,000 series; a scalar is one without labels.

        Raises Malformed for an expression that is none, or comes to something else or to more; Denied, Absent (no such
        API at that address), Throttled, Unreachable (also where the server gave the query up), TimedOut, NotTls.
        """
        path = "/api/v1/query?" + urllib.parse.urlencode({"query": expression})
        return self._ask(server, "query", lambda: read_vector(_told(server, path)), expression=expression)

    def rules(self, server: PrometheusServer) -> tuple[Rule, ...]:
        """Every rule that is loaded, in the order of the groups. Raises as `query`."""
        return self._ask(server, "rules", lambda: _all_rules(server))

    def targets(self, server: PrometheusServer) -> tuple[ScrapeTarget, ...]:
        """Every active target. Raises as `query`."""
        return self._ask(server, "targets", lambda: read_targets(_told(server, "/api/v1/targets?state=active")))

    def alertmanagers(self, server: PrometheusServer) -> tuple[str, ...]:
        """`host:port` of the Alertmanagers that it sends to, sorted. Raises as `query`."""
        return self._ask(server, "alertmanagers", lambda: read_managers(_told(server, "/api/v1/alertmanagers")))

    def receivers(self, manager: AlertmanagerServer) -> tuple[Receiver, ...]:
        """Receivers of the loaded configuration, in its order. Raises as `query`."""

        def find() -> tuple[Receiver, ...]:
            reply = _get(manager, "/api/v2/status")
            config = reply.mapping().get("config")
            text = config.get("original") if isinstance(config, dict) else None
            if not isinstance(text, str):
                raise Malformed(f"{manager}: {reply.asked} was answered without a configuration")
            return read_receivers(str(manager), text)

        return self._ask(manager, "receivers", find)

    def silences(self, manager: AlertmanagerServer) -> tuple[Silence, ...]:
        """Those that are active now, by their end. Who made them is left out. Raises as `query`."""
        return self._ask(manager, "silences", lambda: read_silences(_get(manager, "/api/v2/silences")))

    def _ask(self, server: Server, name: str, find: Callable[[], T], **arguments: str) -> T:
        question = Question.about("prometheus", f"{server.kind} {server}", name, arguments)
        return self._ledger.ask(question, find)


def _all_rules(server: PrometheusServer) -> tuple[Rule, ...]:
    """All pages: servers from 3.0 on may cut the list of groups, older ones ignore what they do not know."""
    found: list[Rule] = []
    seen: set[str] = set()
    token = ""
    for _ in range(MAX_PAGES):
        asked = {"exclude_alerts": "true", **({"group_next_token": token, "group_limit": "500"} if token else {})}
        data = _told(server, "/api/v1/rules?" + urllib.parse.urlencode(asked))
        found.extend(read_rules(data))
        token = str(data.document.get("groupNextToken") or "")
        if not token:
            return tuple(found)
        if token in seen:
            raise Malformed(f"{server}: the pages of its rules go round in a circle")
        seen.add(token)
    raise Malformed(f"{server}: its rules have more than {MAX_PAGES} pages")


class _Data:
    """What a successful answer of Prometheus holds, read with care; every reader raises Malformed."""

    def __init__(self, named: str, document: Mapping[str, Any]) -> None:
        self.named = named
        self.document = document

    def rows(self, name: str, of: Mapping[str, Any] | None = None) -> list[Mapping[str, Any]]:
        """The list of objects under `name`; none where it is null, as Go writes empty lists."""
        found = (self.document if of is None else of).get(name)
        if found is None:
            return []
        if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
            raise self.broken(name)
        return found

    def broken(self, what: str) -> Malformed:
        """The error for something that is not as it should be."""
        return Malformed(f"{self.named} has {what} that cannot be read", next_step="look what stands at that address")


def read_vector(data: _Data) -> tuple[Sample, ...]:
    """`data` of `/api/v1/query`."""
    kind, result = data.document.get("resultType"), data.document.get("result")
    if kind == "scalar":
        return (_sample(data, {}, result),)
    if kind != "vector":
        raise Malformed(f"{data.named} is no vector but {one_line(kind, 20)}", next_step="correct the expression")
    rows = data.rows("result")
    if len(rows) > MAX_SAMPLES:
        raise Malformed(f"{data.named} has {len(rows)} series, over {MAX_SAMPLES}", next_step="ask for fewer")
    return tuple(_sample(data, _labels(data, row.get("metric")), row.get("value")) for row in rows)


def _sample(data: _Data, labels: Mapping[str, str], pair: Any) -> Sample:
    """Values are text, `NaN` and `+Inf` among them; moments are seconds since 1970."""
    try:
        moment, text = pair
        return Sample(labels=labels, value=float(text), at=datetime.fromtimestamp(float(moment), UTC))
    except (TypeError, ValueError, OverflowError, OSError):
        raise data.broken("a sample") from None


def read_rules(data: _Data) -> tuple[Rule, ...]:
    """`data` of `/api/v1/rules`."""
    return tuple(
        _rule(data, str(group.get("name") or ""), found)
        for group in data.rows("groups")
        for found in data.rows("rules", group)
    )


def _rule(data: _Data, group: str, found: Mapping[str, Any]) -> Rule:
    name, query = found.get("name"), found.get("query")
    duration = found.get("duration") or 0
    if not isinstance(name, str) or not isinstance(query, str) or not _is_number(duration):
        raise data.broken("a rule")
    return Rule(
        group=one_line(group),
        name=one_line(name),
        kind=str(found.get("type") or ""),
        query=query,
        duration_s=float(duration),
        labels=_labels(data, found.get("labels")),
        health=one_line(found.get("health") or "unknown", 20),
        last_error=one_line(found.get("lastError") or ""),
        last_evaluation=_moment(data, found.get("lastEvaluation")),
        state=one_line(found.get("state") or "", 20),
    )


def read_targets(data: _Data) -> tuple[ScrapeTarget, ...]:
    """`data` of `/api/v1/targets`."""
    return tuple(_target(data, found) for found in data.rows("activeTargets"))


def _target(data: _Data, found: Mapping[str, Any]) -> ScrapeTarget:
    labels = _labels(data, found.get("labels"))
    return ScrapeTarget(
        job=labels.get("job", ""),
        instance=labels.get("instance", ""),
        health=one_line(found.get("health") or "unknown", 20),
        last_scrape=_moment(data, found.get("lastScrape")),
        last_error=one_line(found.get("lastError") or ""),
    )


def read_managers(data: _Data) -> tuple[str, ...]:
    """`data` of `/api/v1/alertmanagers`: the active ones."""
    found = set()
    for row in data.rows("activeAlertmanagers"):
        try:
            place = urllib.parse.urlsplit(str(row.get("url"))).netloc.rpartition("@")[2]
        except ValueError:
            place = ""
        if not place:
            raise data.broken("an Alertmanager")
        found.add(one_line(place))
    return tuple(sorted(found))


def read_silences(reply: Reply) -> tuple[Silence, ...]:
    """The answer of `/api/v2/silences`, which has expired ones too."""
    data = _Data(f"{reply.subject}: the answer to {reply.asked}", {"silences": reply.rows()})
    found = [
        Silence(
            matchers=tuple(sorted(_matcher(data, matcher) for matcher in data.rows("matchers", row))),
            ends_at=_required_moment(data, row.get("endsAt")),
        )
        for row in data.rows("silences")
        if _state(row) == "active"
    ]
    return tuple(sorted(found, key=lambda silence: (silence.ends_at, silence.matchers)))


def _state(row: Mapping[str, Any]) -> str:
    status = row.get("status")
    return str(status.get("state")) if isinstance(status, dict) else ""


def _matcher(data: _Data, found: Mapping[str, Any]) -> str:
    name, value = found.get("name"), found.get("value")
    if not isinstance(name, str) or not isinstance(value, str):
        raise data.broken("a matcher")
    sign = {(True, True): "=~", (True, False): "!~", (False, False): "!="}.get(
        (found.get("isRegex") is True, found.get("isEqual") is not False), "="
    )
    return f'{one_line(name, 80)}{sign}"{one_line(value)}"'


def _labels(data: _Data, found: Any) -> dict[str, str]:
    if found is None:
        return {}
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise data.broken("labels")
    return {one_line(name, 120): one_line(value) for name, value in found.items()}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


def _required_moment(data: _Data, text: Any) -> datetime:
    moment = _moment(data, text)
    if moment is None:
        raise data.broken("a moment")
    return moment


def _moment(data: _Data, text: Any) -> datetime | None:
    """A moment in RFC 3339 with up to nanoseconds; None for none and for Go's zero."""
    if text is None or str(text).startswith(_NEVER):
        return None
    found = _TIME.fullmatch(str(text))
    if found is None:
        raise data.broken("a moment")
    zone = "+00:00" if found[3] == "Z" else found[3]
    try:
        return datetime.fromisoformat(f"{found[1]}{(found[2] or '.0')[:7].ljust(7, '0')}{zone}").astimezone(UTC)
    except (ValueError, OverflowError):
        raise data.broken("a moment") from None


def _told(server: PrometheusServer, path: str) -> _Data:
    reply = _get(server, path)
    document = reply.mapping()
    data = document.get("data")
    if document.get("status") != "success" or not isinstance(data, dict):
        raise Malformed(f"{server}: {reply.asked} was answered with no success", next_step="look what listens there")
    return _Data(f"{server}: the answer to {reply.asked}", data)


def _get(server: Server, path: str) -> Reply:
    """The answer with 200. Raises what `send` raises, and the error that another status stands for."""
    if any(not 0x21 <= ord(c) <= 0x7E for c in server.token):
        raise Denied(f"{server}: the token holds characters that no header can carry", next_step="set it anew")
    headers = {"Authorization": f"Bearer {server.token}"} if server.token else {}
    url = server.url.rstrip("/") + path
    reply = send(Ask(provider=server, url=url, headers=headers, max_body_bytes=MAX_BODY_BYTES))
    if reply.status == 200:
        return reply
    raise _error(server, reply)


def _error(server: Server, reply: Reply) -> Reportable:
    named = f"{server}: {reply.asked}"
    if reply.status in (401, 403):
        given = "the token" if server.token else "us, who gave no token"
        return Denied(
            f"{named} was denied to {given} with {reply.status}",
            permission="read access",
            next_step=f"give {server.kind}.{server}.token a token that may read",
        )
    if reply.status == 404:
        return Absent(f"{named} is not there", next_step=f"correct {server.kind}.{server}.url, with its path")
    if reply.status == 429:
        return Throttled(f"{named} was put off with 429", next_step="run again later")
    kind, said = _said(reply)
    if reply.status in (400, 422):
        return Malformed(f"{named} was refused as {kind or reply.status}: {said}", next_step="correct the expression")
    if reply.status >= 500:
        return Unreachable(f"{named} was answered with {reply.status}", next_step="look in its log")
    return Unsupported(f"{named} was answered with {reply.status}")


def _said(reply: Reply) -> tuple[str, str]:
    """`errorType` and `error`; nothing where the answer is no error of the API."""
    try:
        document = reply.mapping()
    except Malformed:
        return "", "no reason was given"
    return one_line(document.get("errorType") or "", 20), one_line(document.get("error") or "no reason was given")
