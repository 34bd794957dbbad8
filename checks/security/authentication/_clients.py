"""Which clients of a Keycloak realm, and which app clients of Cognito, come by tokens and may refresh them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from quub_audit.sdk import Finding, IdentityProvider

OFF = "false"


class Unreadable(Exception):
    """A setting that should be a number and is none; the message says which."""


def tells_its_clients(provider: IdentityProvider) -> bool:
    """Whether it is a Keycloak with an admin client, which tells of the realm and of every client in it."""
    return provider.type == "keycloak" and bool(provider.admin_client_id)


def attribute(client: Mapping[str, Any], name: str) -> str:
    """An attribute of a client's representation, or an empty text."""
    attributes = client.get("attributes")
    value = attributes.get(name) if isinstance(attributes, Mapping) else None
    return value.strip() if isinstance(value, str) else ""


def seconds(settings: Mapping[str, Any], name: str) -> int:
    """A number of a realm's representation. Raises Unreadable."""
    value = settings.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Unreadable(f"{name} is no number")
    return value


def attribute_seconds(client: Mapping[str, Any], name: str) -> int | None:
    """A number in an attribute; None where it is not set. Raises Unreadable."""
    text = attribute(client, name)
    if not text:
        return None
    if not re.fullmatch(r"-?[0-9]{1,12}", text):
        raise Unreadable(f"{name} is no number")
    return int(text)


def has_user_flow(client: Mapping[str, Any]) -> bool:
    """Whether people log in through the client in a flow that can give refresh tokens."""
    by_attribute = ("oauth2.device.authorization.grant.enabled", "oidc.ciba.grant.enabled")
    return any(client.get(name) is True for name in ("standardFlowEnabled", "directAccessGrantsEnabled")) or any(
        attribute(client, name) == "true" for name in by_attribute
    )


def speaks_openid(client: Mapping[str, Any]) -> bool:
    """Whether the client is switched on, and asks for tokens of OpenID Connect itself."""
    return (
        client.get("enabled") is True
        and client.get("bearerOnly") is not True
        and client.get("protocol", "openid-connect") == "openid-connect"
    )


def gets_tokens(client: Mapping[str, Any]) -> bool:
    """Whether any flow gives the client access tokens."""
    return speaks_openid(client) and (
        has_user_flow(client)
        or any(client.get(name) is True for name in ("implicitFlowEnabled", "serviceAccountsEnabled"))
    )


def may_refresh(client: Mapping[str, Any]) -> bool:
    """Whether the client is given refresh tokens (`use.refresh.tokens` is on unless it says false)."""
    if not speaks_openid(client):
        return False
    by_itself = (
        client.get("serviceAccountsEnabled") is True
        and attribute(client, "client_credentials.use_refresh_token") == "true"
    )
    return by_itself or (has_user_flow(client) and attribute(client, "use.refresh.tokens") != OFF)


def may_go_offline(client: Mapping[str, Any]) -> bool:
    """Whether the client may ask for the scope `offline_access`."""
    scopes = (*(client.get("defaultClientScopes") or ()), *(client.get("optionalClientScopes") or ()))
    return may_refresh(client) and "offline_access" in scopes


def named(client: Mapping[str, Any]) -> str:
    """The client's id, at most 200 characters."""
    return str(client.get("clientId") or "a client without an id")[:200]


_BUILT_IN = frozenset(
    {"account", "account-console", "admin-cli", "broker", "realm-management", "security-admin-console"}
)


def own_first(names: Iterable[str]) -> list[str]:
    """Names of clients in order, those that Keycloak makes by itself after the service's own."""
    return sorted(names, key=lambda name: (name in _BUILT_IN, name))


def period(count: int) -> str:
    """Seconds in the largest unit that fits: `300 s`, `90 min`, `12 h`, `30 days`."""
    for size, unit in ((86_400, "days"), (3600, "h"), (60, "min")):
        if count % size == 0 and abs(count) >= 2 * size:
            return f"{count // size} {unit}"
    return f"{count} s"


_UNITS = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86_400}


def cognito_seconds(client: Mapping[str, Any], field: str, *, unit: str, absent_s: int) -> int:
    """A validity of `cognito-idp.DescribeUserPoolClient` in seconds.

    `field` is `AccessTokenValidity` and its kin; `unit` what it is in where TokenValidityUnits does not say; `absent_s`
    what Cognito takes for an absent or zero value. Raises Unreadable for a unit or value that nobody knows.
    """
    value = client.get(field)
    if not value:
        return absent_s
    units = client.get("TokenValidityUnits") or {}
    size = _UNITS.get(units.get(field.removesuffix("Validity")) or unit)
    if size is None or isinstance(value, bool) or not isinstance(value, int):
        raise Unreadable(f"{field} is in a unit that is not known")
    return value * size


def unreadable(subject: str, why: Unreadable) -> Finding:
    """The error for a setting that cannot be read."""
    return Finding.error(
        subject=subject,
        message=f"{subject}: {why}, so its lifetime is not known",
        next_step="set it to a number, or take it out",
    )
