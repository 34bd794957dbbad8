"""Keycloak's admin API, read: the realm, its clients, and who holds a role.

Everything is GET but the request for the admin token, a client-credentials grant of `admin_client_id`: it lets us in
and changes nothing, so it counts as reading. https://www.keycloak.org/docs-api/latest/rest-api/ names the answers.

An admin client with too few roles is not always refused: the realm comes back with a handful of fields, and the list of
clients comes back empty. Both are taken for the denials that they are.
"""

from __future__ import annotations

import re
import threading
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from quub_audit.connectors.identity_http import Ask, Reply, send
from quub_audit.connectors.identity_openid import read_grant, unexpected
from quub_audit.errors import Absent, Denied, Malformed
from quub_audit.facts.identity import Person, Realm
from quub_audit.facts.seal import Sealer
from quub_audit.model.environment import IdentityProvider

PAGE_SIZE = 50
"""Rows asked for at once: clients with many mappers take 10 KB each, and an answer may have 1 MiB."""

MAX_ROWS = 20_000
"""Most rows of one list."""

MAX_GROUP_DEPTH = 20

VIEW_REALM, VIEW_CLIENTS, VIEW_USERS = "view-realm", "view-clients", "view-users"

_SECRET_NAME = re.compile(
    r"(^|[._a-z-])(secret|password|credential|private[._-]?key|registration[._-]?access[._-]?token|initial[._-]?token)$",
    re.IGNORECASE,
)
_MASKED = re.compile(r"\*+")
_UNSAFE = re.compile(r"[^\x21-\x7e]")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Role:
    """A role of the realm, or of one of its clients."""

    id: str
    name: str
    """As `Identity.administrators` takes it: `role`, or `client/role`."""
    path: str
    """Below the realm."""
    needs: str
    """The role of `realm-management` that reads it."""
    is_composite: bool


class Keycloak:
    """The admin API of every Keycloak that is declared; tokens are kept until shortly before they end."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer
        self._tokens: dict[IdentityProvider, tuple[str, float]] = {}
        self._lock = threading.Lock()

    def realm(self, provider: IdentityProvider) -> Realm:
        """The realm's representation, those of all its clients, and the executions of its browser flow."""
        settings = self._mapping(provider, "", VIEW_REALM)
        if "accessTokenLifespan" not in settings:
            raise _denied(provider, "reading the settings of the realm", VIEW_REALM)
        clients = tuple(self._clients(provider))
        flow = settings.get("browserFlow")
        executions: tuple[Mapping[str, Any], ...] = ()
        if isinstance(flow, str) and flow:
            path = f"/authentication/flows/{urllib.parse.quote(flow, safe='')}/executions"
            executions = tuple(self._get(provider, path, VIEW_REALM).rows())
        return Realm(
            name=_realm_of(provider),
            settings=self._struck(settings),
            clients=tuple(self._struck(client) for client in clients),
            browser_flow=tuple(self._struck(execution) for execution in executions),
        )

    def administrators(self, provider: IdentityProvider, roles: tuple[str, ...]) -> tuple[Person, ...]:
        """Enabled users who hold one of `roles`, by name; the accounts of services are left out.

        Raises Absent for a role that the realm does not have.
        """
        known = {role.name: role for role in self._roles(provider)}
        missing = sorted(set(roles) - set(known))
        if missing:
            raise Absent(
                f"{provider}: the realm {_realm_of(provider)} has no role {', '.join(missing)}",
                next_step="name roles of the realm, or of clients as client/role",
            )
        containing = self._containing(provider, known)
        held: dict[str, set[str]] = {}
        users: dict[str, Mapping[str, Any]] = {}
        for wanted in roles:
            for role in (known[name] for name in _closure(wanted, containing)):
                for user in self._holders(provider, role):
                    users[_text(user, "id")] = user
                    held.setdefault(_text(user, "id"), set()).add(wanted)
        people = [
            self._person(provider, user, tuple(sorted(held[id_])))
            for id_, user in users.items()
            if user.get("enabled") is True and not user.get("serviceAccountClientId") and not _is_service(user)
        ]
        return tuple(sorted(people, key=lambda person: person.name))

    # Clients

    def _clients(self, provider: IdentityProvider) -> Iterator[Mapping[str, Any]]:
        """All of them. Every realm has clients, and ours is one: a list without it was filtered."""
        is_ours_seen = False
        for client in self._rows(provider, "/clients", VIEW_CLIENTS):
            if "publicClient" not in client:
                raise _denied(provider, "reading the settings of clients", VIEW_CLIENTS)
            is_ours_seen |= client.get("clientId") == provider.admin_client_id
            yield client
        if not is_ours_seen:
            raise _denied(provider, "listing the clients", VIEW_CLIENTS)

    # Roles and their holders

    def _roles(self, provider: IdentityProvider) -> Iterator[_Role]:
        for role in self._rows(provider, "/roles", VIEW_REALM):
            name = _text(role, "name")
            yield _Role(
                id=_text(role, "id"),
                name=name,
                path=f"/roles/{_quoted(name)}",
                needs=VIEW_REALM,
                is_composite=role.get("composite") is True,
            )
        for client in self._clients(provider):
            below = f"/clients/{_quoted(_text(client, 'id'))}/roles"
            for role in self._rows(provider, below, VIEW_CLIENTS):
                name = _text(role, "name")
                yield _Role(
                    id=_text(role, "id"),
                    name=f"{client['clientId']}/{name}",
                    path=f"{below}/{_quoted(name)}",
                    needs=VIEW_CLIENTS,
                    is_composite=role.get("composite") is True,
                )

    def _containing(self, provider: IdentityProvider, known: Mapping[str, _Role]) -> Mapping[str, set[str]]:
        """By the name of a role, the composite roles that hold it at first hand."""
        by_id = {role.id: role.name for role in known.values()}
        containing: dict[str, set[str]] = {}
        for role in known.values():
            if role.is_composite:
                for part in self._get(provider, f"{role.path}/composites", role.needs).rows():
                    containing.setdefault(by_id.get(_text(part, "id"), ""), set()).add(role.name)
        return containing

    def _holders(self, provider: IdentityProvider, role: _Role) -> Iterator[Mapping[str, Any]]:
        """Users who are given the role, and members of the groups that are, and of all groups below those."""
        yield from self._rows(provider, f"{role.path}/users", role.needs)
        for group in self._rows(provider, f"{role.path}/groups", role.needs):
            yield from self._members(provider, _text(group, "id"), depth=0)

    def _members(self, provider: IdentityProvider, group: str, *, depth: int) -> Iterator[Mapping[str, Any]]:
        if depth > MAX_GROUP_DEPTH:
            raise Malformed(f"{provider}: groups are nested more than {MAX_GROUP_DEPTH} deep")
        path = f"/groups/{_quoted(group)}"
        yield from self._rows(provider, f"{path}/members", VIEW_USERS)
        for child in self._rows(provider, f"{path}/children", VIEW_USERS):
            yield from self._members(provider, _text(child, "id"), depth=depth + 1)

    def _person(self, provider: IdentityProvider, user: Mapping[str, Any], roles: tuple[str, ...]) -> Person:
        path = f"/users/{_quoted(_text(user, 'id'))}/credentials"
        types = {_text(row, "type") for row in self._get(provider, path, VIEW_USERS).rows()}
        pending = user.get("requiredActions")
        return Person(
            name=_text(user, "username"),
            is_enabled=True,
            factors=tuple(sorted(types - {"password"})),
            roles=roles,
            pending=tuple(sorted(str(each) for each in pending)) if isinstance(pending, list) else (),
        )

    # How the API is asked

    def _rows(self, provider: IdentityProvider, path: str, needs: str) -> Iterator[Mapping[str, Any]]:
        """Every row of a list, page after page. Raises Malformed for a list without an end."""
        for first in range(0, MAX_ROWS, PAGE_SIZE):
            page = self._get(provider, f"{path}?first={first}&max={PAGE_SIZE}", needs).rows()
            yield from page
            if len(page) < PAGE_SIZE:
                return
        raise Malformed(f"{provider}: {path} lists more than {MAX_ROWS} rows")

    def _mapping(self, provider: IdentityProvider, path: str, needs: str) -> Mapping[str, Any]:
        return self._get(provider, path, needs).mapping()

    def _get(self, provider: IdentityProvider, path: str, needs: str) -> Reply:
        """The reply with status 200. Raises Denied naming the role `needs`, Absent, and what `send` raises."""
        url = f"{_base_of(provider)}/admin/realms/{_quoted(_realm_of(provider))}{path}"
        reply = send(Ask(provider=provider, url=url, headers=self._bearer(provider)))
        if reply.status == 401:
            self._forget(provider)
            reply = send(Ask(provider=provider, url=url, headers=self._bearer(provider)))
        if reply.status == 403:
            raise _denied(provider, f"GET {path.partition('?')[0] or 'the realm'}", needs)
        if reply.status == 404:
            raise Absent(
                f"{provider}: {reply.asked} does not exist", next_step="correct realm, or admin_url, of the provider"
            )
        if reply.status != 200:
            raise unexpected(reply)
        return reply

    def _bearer(self, provider: IdentityProvider) -> Mapping[str, str]:
        with self._lock:
            token, ends_at = self._tokens.get(provider, ("", 0.0))
            if not token or time.monotonic() >= ends_at:
                token, ends_at = self._tokens[provider] = self._log_in(provider)
        return {"Authorization": f"Bearer {token}"}

    def _forget(self, provider: IdentityProvider) -> None:
        with self._lock:
            self._tokens.pop(provider, None)

    def _log_in(self, provider: IdentityProvider) -> tuple[str, float]:
        """An admin token, and when it is to be renewed (monotonic clock)."""
        if not provider.admin_client_id or not provider.admin_client_secret:
            raise Denied(
                f"{provider}: there is no admin client",
                next_step=f"set identity.{provider}.admin_client_id and _secret",
            )
        asked_at = time.monotonic()
        form = {
            "grant_type": "client_credentials",
            "client_id": provider.admin_client_id,
            "client_secret": provider.admin_client_secret,
        }
        realm = _quoted(_realm_of(provider))
        url = f"{_base_of(provider)}/realms/{realm}/protocol/openid-connect/token"
        reply = send(Ask(provider=provider, url=url, form=form))
        if reply.status == 404:
            raise Absent(f"{provider}: {reply.asked} does not exist", next_step="correct realm, or admin_url")
        fields = read_grant(reply, self._sealer.redactor)
        token = fields.get("access_token")
        if reply.status in (400, 401, 403):
            raise Denied(
                f"{provider}: the admin client {provider.admin_client_id} was given no token ({reply.status})",
                permission="client_credentials",
                next_step="correct its secret, and switch its service account on",
            )
        if reply.status != 200:
            raise unexpected(reply)
        if not isinstance(token, str) or not token or _UNSAFE.search(token):
            raise Malformed(f"{provider}: {reply.asked} was answered with 200 and no access_token")
        lifetime = fields.get("expires_in")
        left = float(lifetime) if isinstance(lifetime, int) and not isinstance(lifetime, bool) else 0.0
        return token, asked_at + min(max(left, 0.0), 3600.0) * 0.8

    # What must not leave

    def _struck(self, value: Any) -> Any:
        """A representation with every secret in it a fingerprint."""
        if isinstance(value, dict):
            return {
                name: self._sealed(part) if _SECRET_NAME.search(str(name)) else self._struck(part)
                for name, part in value.items()
            }
        if isinstance(value, list):
            return [self._struck(part) for part in value]
        return value

    def _sealed(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._sealed(part) for part in value]
        if not isinstance(value, str) or not value or _MASKED.fullmatch(value):
            return value if isinstance(value, str | bool | int | float | None) else self._struck(value)
        return self._sealer.seal(value)


def _closure(wanted: str, containing: Mapping[str, set[str]]) -> tuple[str, ...]:
    """A role and every composite role that leads to it, however far; a circle ends by itself."""
    seen = {wanted}
    waiting = [wanted]
    while waiting:
        for outer in containing.get(waiting.pop(), ()):
            if outer not in seen:
                seen.add(outer)
                waiting.append(outer)
    return tuple(sorted(seen))


def _is_service(user: Mapping[str, Any]) -> bool:
    """Keycloak names the account of a client so, and lets nobody log in with it; brief lists leave its client out."""
    return _text(user, "username").startswith("service-account-")


def _base_of(provider: IdentityProvider) -> str:
    base = provider.admin_url or provider.issuer.partition("/realms/")[0]
    if not base:
        raise Absent(f"{provider}: there is neither issuer nor admin_url", next_step="declare one of them")
    return base.rstrip("/")


def _realm_of(provider: IdentityProvider) -> str:
    realm = provider.realm or urllib.parse.unquote(provider.issuer.partition("/realms/")[2].strip("/"))
    if not realm or "/" in realm:
        raise Absent(f"{provider}: there is no realm", next_step=f"declare identity.{provider}.realm")
    return realm


def _denied(provider: IdentityProvider, what: str, needs: str) -> Denied:
    return Denied(
        f"{provider}: {what} was denied to the admin client {provider.admin_client_id}; grant {needs}",
        permission=f"realm-management/{needs}",
        next_step=f"give its service account the role {needs} of realm-management",
    )


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    if not isinstance(value, str):
        raise Malformed(f"an answer of Keycloak holds a row without {name}")
    return value


def _quoted(part: str) -> str:
    return urllib.parse.quote(part, safe="")
