"""A project of Sentry, or of what speaks its API (https://docs.sentry.io/api/)."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from quub_audit.connectors.identity_http import Reply, origin_of
from quub_audit.connectors.telemetry_answers import ask, ask_any, broken, moment_of, refusal, rows_of, word
from quub_audit.errors import Malformed
from quub_audit.facts.telemetry import TrackedProject
from quub_audit.model.environment import ErrorTracker

MOST_RELEASES = 20
MOST_PAGES = 5
"""Pages of a hundred events, the newest first, that are looked through for one of the environment."""

SCOPES = "project:read, org:read and event:read"

_NEXT = re.compile(r'<([^<>]{1,2000})>\s*;[^,]*\brel="next"[^,]*\bresults="true"')


def project(tracker: ErrorTracker, environment: str) -> TrackedProject:
    """Everything about the project that tells whether errors of `environment` arrive; no event's content.

    Raises Denied naming the scopes, Throttled, Malformed and the errors of the way there.
    """
    organisation, slug = (urllib.parse.quote(each, safe="") for each in (tracker.organisation, tracker.project))
    base = f"/api/0/projects/{organisation}/{slug}"
    about = ask_any(tracker, f"{base}/", _headers(tracker))
    if about.status == 404:
        return TrackedProject(slug=tracker.project, is_known=False, active_keys=0)
    if about.status != 200:
        raise refusal(tracker, about, SCOPES)
    id_ = str(about.mapping().get("id") or "")
    keys = [key for key in _get(tracker, f"{base}/keys/").rows() if key.get("isActive") is True]
    return TrackedProject(
        slug=tracker.project,
        is_known=True,
        active_keys=len(keys),
        is_rate_limited_to_zero=bool(keys) and all(_takes_nothing(key) for key in keys),
        environments=tuple(sorted(word(row.get("name")) for row in _get(tracker, f"{base}/environments/").rows())),
        releases=_releases(tracker, organisation, id_, environment),
        newest_event_at=_newest_event(tracker, f"{base}/events/", environment),
        sessions=_sessions(tracker, organisation, id_, environment),
    )


def _takes_nothing(key: Mapping[str, Any]) -> bool:
    limit = key.get("rateLimit")
    return isinstance(limit, dict) and limit.get("count") == 0


def _releases(tracker: ErrorTracker, organisation: str, id_: str, environment: str) -> tuple[str, ...]:
    asked = urllib.parse.urlencode({"project": id_, "environment": environment, "per_page": str(MOST_RELEASES)})
    rows = _get(tracker, f"/api/0/organizations/{organisation}/releases/?{asked}").rows()
    return tuple(word(row.get("version")) for row in rows[:MOST_RELEASES])


def _newest_event(tracker: ErrorTracker, path: str, environment: str) -> datetime | None:
    """When the newest event of the environment came, among the newest five hundred of all."""
    for _ in range(MOST_PAGES):
        reply = _get(tracker, path)
        for event in reply.rows():
            tags = {tag.get("key"): tag.get("value") for tag in rows_of(reply, event, "tags")}
            if tags.get("environment") == environment:
                return moment_of(reply, event.get("dateCreated"))
        found = _NEXT.search(reply.headers.get("link", ""))
        if found is None:
            return None
        path = _same_host(tracker, found[1])
    return None


def _same_host(tracker: ErrorTracker, url: str) -> str:
    """The path of the next page, which must be where the token may go. Raises Malformed."""
    if origin_of(url) != origin_of(tracker.url):
        raise Malformed(f"{tracker}: the next page of events is at another host")
    parts = urllib.parse.urlsplit(url)
    return f"{parts.path}?{parts.query}".removeprefix(urllib.parse.urlsplit(tracker.url).path.rstrip("/"))


def _sessions(tracker: ErrorTracker, organisation: str, id_: str, environment: str) -> int | None:
    """Sessions of the last seven days; None where the tracker does not count them."""
    asked = {"project": id_, "environment": environment, "field": "sum(session)", "statsPeriod": "7d", "interval": "1d"}
    path = f"/api/0/organizations/{organisation}/sessions/?{urllib.parse.urlencode(asked)}"
    reply = ask_any(tracker, path, _headers(tracker))
    if reply.status in (400, 404):
        return None
    if reply.status != 200:
        raise refusal(tracker, reply, SCOPES)
    total = 0
    for group in rows_of(reply, reply.mapping(), "groups"):
        totals = group.get("totals")
        count = totals.get("sum(session)") if isinstance(totals, dict) else None
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise broken(reply, "a count")
        total += count
    return total


def _get(tracker: ErrorTracker, path: str) -> Reply:
    return ask(tracker, path, _headers(tracker), permission=SCOPES)


def _headers(tracker: ErrorTracker) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {tracker.token}"} if tracker.token else {}
