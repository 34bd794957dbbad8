"""How answers of the services that watch are asked for, read and refused."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from quub_audit.connectors.identity_http import Ask, Reply, one_line, send
from quub_audit.errors import Absent, Denied, Malformed, Reportable, Throttled, Unreachable, Unsupported
from quub_audit.model.environment import ApmBackend, ErrorTracker, credentials_of

Target = ApmBackend | ErrorTracker

MAX_BODY_BYTES = 8 * 1024 * 1024


def ask(
    target: Target,
    path: str,
    headers: Mapping[str, str],
    *,
    document: Mapping[str, Any] | None = None,
    permission: str = "read access",
) -> Reply:
    """The answer with 200. Raises what `send` raises, and the error that another status stands for."""
    reply = ask_any(target, path, headers, document=document)
    if reply.status == 200:
        return reply
    raise refusal(target, reply, permission)


def ask_any(
    target: Target, path: str, headers: Mapping[str, str], *, document: Mapping[str, Any] | None = None
) -> Reply:
    """The answer of whatever status. Raises what `send` raises; Denied for a credential that no header can carry."""
    if any(not 0x21 <= ord(c) <= 0x7E for credential in credentials_of(target) for c in credential):
        raise Denied(f"{target}: a credential holds characters that no header can carry", next_step="set it anew")
    url = target.url.rstrip("/") + path
    return send(Ask(provider=target, url=url, headers=headers, document=document, max_body_bytes=MAX_BODY_BYTES))


def refusal(target: Target, reply: Reply, permission: str) -> Reportable:
    """What a status that is no success amounts to; nothing of the body is quoted."""
    named = f"{target}: {reply.asked}"
    place = f"{target.kind}.{target}"
    if reply.status in (401, 403):
        return Denied(
            f"{named} was denied with {reply.status}",
            permission=permission,
            next_step=f"give {place} credentials with {permission}",
        )
    if reply.status == 404:
        return Absent(f"{named} is not there", next_step=f"correct {place}.url")
    if reply.status == 429:
        return Throttled(f"{named} was put off with 429", next_step="run again later")
    if reply.status >= 500:
        return Unreachable(f"{named} was answered with {reply.status}", next_step="look at its status page")
    return Unsupported(f"{named} was answered with {reply.status}")


def broken(reply: Reply, what: str) -> Malformed:
    """The error for an answer in which something is not as it is documented."""
    return Malformed(f"{reply.subject}: {reply.asked} was answered with {what} that cannot be read")


def rows_of(reply: Reply, found: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """The list of objects under `name`; none where it is missing or null. Raises Malformed."""
    rows = found.get(name)
    if rows is None:
        return []
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise broken(reply, name)
    return rows


def moment_of(reply: Reply, text: object) -> datetime:
    """A moment in ISO 8601. Raises Malformed."""
    try:
        moment = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        raise broken(reply, "a moment") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def moment_of_number(reply: Reply, number: object, per_second: float) -> datetime:
    """A moment counted since 1970, also where the count is written as text. Raises Malformed."""
    try:
        return datetime.fromtimestamp(float(str(number)) / per_second, UTC)
    except (ValueError, OverflowError, OSError):
        raise broken(reply, "a moment") from None


def word(value: object) -> str:
    """A name that a service sent, fit for one line; empty for none."""
    return one_line(value, 100) if isinstance(value, str | int | float) else ""
