"""An organisation of GitHub: whether second factors are required, and the owners who have none.

What an organisation requires, and who lacks a second factor, only owners are told (https://docs.github.com/en/rest/orgs).
"""

from __future__ import annotations

import re
import time
import urllib.parse
from collections.abc import Iterator, Mapping

from quub_audit.connectors.identity_http import Ask, Reply, pages, send
from quub_audit.connectors.identity_openid import unexpected
from quub_audit.errors import Absent, Denied, Malformed, Reportable, Throttled
from quub_audit.facts.identity import Organisation
from quub_audit.model.environment import IdentityProvider

API = "https://api.github.com"
OWNER = "read:org of an organisation owner"

_LOGIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,98}[A-Za-z0-9])?(?:\[bot\])?")


def organisation(provider: IdentityProvider) -> Organisation:
    """The organisation, its owners, and those without a second factor, each by login and sorted.

    Raises Denied (the token is no owner's, is not accepted, or is not authorised for single sign-on), Absent, Throttled
    (until when, in words), and what `send` raises.
    """
    if not provider.organisation:
        raise Absent(f"{provider}: there is no organisation", next_step=f"declare identity.{provider}.organisation")
    if not provider.admin_token:
        raise Denied(f"{provider}: there is no token", next_step=f"set the admin_token of identity.{provider}")
    base = (provider.issuer or API).rstrip("/")
    about = f"{base}/orgs/{urllib.parse.quote(provider.organisation, safe='')}"
    told = _get(provider, about).mapping()
    required = told.get("two_factor_requirement_enabled")
    owners = tuple(sorted(_logins(provider, f"{about}/members?role=admin&per_page=100")))
    without = tuple(sorted(_logins(provider, f"{about}/members?filter=2fa_disabled&role=admin&per_page=100")))
    return Organisation(
        name=provider.organisation,
        is_two_factor_required=required if isinstance(required, bool) else None,
        owners=owners,
        owners_without_factor=without,
    )


def _logins(provider: IdentityProvider, url: str) -> Iterator[str]:
    """Every login of a list, page after page; pages are followed within the same list alone."""
    for reply in pages(lambda page: _get(provider, page), url):
        for row in reply.rows():
            login = row.get("login")
            if not isinstance(login, str) or not _LOGIN.fullmatch(login):
                raise Malformed(f"{provider}: {reply.asked} lists a member without a login")
            yield login


def _get(provider: IdentityProvider, url: str) -> Reply:
    headers = {
        "Authorization": f"Bearer {provider.admin_token}",
        "Accept": "application/vnd.github+json",
        "X-GitHub-Api-Version": "2022-11-28",
    }
    if any(not 0x21 <= ord(c) <= 0x7E for c in provider.admin_token):
        raise Denied(f"{provider}: the token holds characters that no header can carry")
    reply = send(Ask(provider=provider, url=url, headers=headers))
    if reply.status == 200:
        return reply
    raise _error(provider, reply)


def _error(provider: IdentityProvider, reply: Reply) -> Reportable:
    if reply.status == 401:
        return Denied(f"{provider}: GitHub does not accept the token", next_step="give it a valid token")
    if reply.status == 403:
        return _forbidden(provider, reply)
    if reply.status == 404:
        return Absent(
            f"{provider}: there is no organisation {provider.organisation}, or the token may not see it",
            next_step="correct its login, or give the token read:org",
        )
    if reply.status == 422:  # "Only owners can use this filter."
        return Denied(
            f"{provider}: who lacks a second factor is told to owners of {provider.organisation} alone",
            permission=OWNER,
            next_step="give it the token of an owner, with read:org (or Members: read)",
        )
    return unexpected(reply)


def _forbidden(provider: IdentityProvider, reply: Reply) -> Reportable:
    if is_put_off(reply):
        return put_off(reply)
    if "x-github-sso" in reply.headers:
        return Denied(
            f"{provider}: the token is not authorised for the single sign-on of {provider.organisation}",
            permission="single sign-on",
            next_step="authorise the token for the organisation at github.com/settings/tokens",
        )
    return Denied(
        f"{provider}: {reply.asked} was denied to the token",
        permission=OWNER,
        next_step="give it the token of an owner, with read:org (or Members: read)",
    )


def is_put_off(reply: Reply) -> bool:
    """Whether a 403 of GitHub only means that too much was asked."""
    said = message_of(reply).lower()
    return reply.headers.get("x-ratelimit-remaining") == "0" or "rate limit" in said or "retry-after" in reply.headers


def put_off(reply: Reply) -> Throttled:
    """The error for it, with the time that is to pass."""
    return Throttled(
        f"{reply.subject}: {reply.asked} was put off by GitHub's rate limit{_until(reply.headers)}",
        next_step="run again then, or give it a token of its own",
    )


def _until(headers: Mapping[str, str]) -> str:
    for name, is_moment in (("retry-after", False), ("x-ratelimit-reset", True)):
        text = headers.get(name, "")
        if text.isascii() and text.isdigit() and len(text) <= 11:
            left = max(int(text) - time.time(), 0) if is_moment else int(text)
            return f"; it ends in {left:.0f} s"
    return ""


def message_of(reply: Reply) -> str:
    """What GitHub says of an error in words; empty where it says nothing."""
    try:
        return str(reply.mapping().get("message", ""))
    except Malformed:
        return ""
