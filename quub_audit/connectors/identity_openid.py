"""An OpenID provider as a client meets it: its metadata, its keys, its token endpoint.

The metadata must name the declared issuer letter by letter (OpenID Connect Discovery 1.0, section 4.3; RFC 8414,
section 3.3), and every address in it must be https://; plain HTTP only among programs of this machine.
"""

from __future__ import annotations

import base64
import re
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from quub_audit.connectors.identity_http import Ask, Reply, is_loopback, one_line, origin_of, send
from quub_audit.connectors.identity_tokens import Issuer, parts_to_strike
from quub_audit.errors import Absent, Denied, Malformed, Refused, Reportable, Throttled, Unreachable, Unsupported
from quub_audit.facts.seal import Redactor
from quub_audit.model.environment import IdentityProvider, TestClient

Method = Literal["client_secret_basic", "client_secret_post"]

TOKEN_FIELDS = ("access_token", "refresh_token", "id_token")

_CODE = re.compile(r"[a-z_]{1,60}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What the provider publishes of itself."""

    issuer: str
    token_endpoint: str
    jwks_uri: str
    revocation_endpoint: str = ""
    methods: tuple[str, ...] = ("client_secret_basic",)
    """How clients may authenticate at the token endpoint; the default is that of the specification."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """An answer of the token endpoint."""

    error: str = ""
    """The OAuth error code; empty when tokens came."""
    fields: Mapping[str, Any]

    def token(self, name: str) -> str:
        """One of `TOKEN_FIELDS`, or an empty text."""
        value = self.fields.get(name)
        return value if isinstance(value, str) else ""


def metadata(provider: IdentityProvider) -> Metadata:
    """Ask for the provider's metadata.

    Raises Absent (none is published), Malformed (it is no metadata, or that of another issuer), and what `send` raises.
    """
    if not provider.issuer:
        raise Absent(f"{provider}: there is no issuer", next_step=f"declare identity.{provider}.issuer")
    for url in _places(provider.issuer):
        reply = send(Ask(provider=provider, url=url))
        if reply.status == 200:
            return _read_metadata(provider, reply)
        if reply.status != 404:
            raise unexpected(reply)
    raise Absent(
        f"{provider}: {provider.issuer} publishes no OpenID metadata", next_step="correct the issuer's address"
    )


def issuer_keys(provider: IdentityProvider, about: Metadata) -> Issuer:
    """The issuer with the keys of its JWKS. Raises Malformed for what is no JWKS, and what `send` raises."""
    if not about.jwks_uri:
        raise Malformed(f"{provider}: the metadata of {about.issuer} names no jwks_uri")
    reply = send(Ask(provider=provider, url=about.jwks_uri))
    if reply.status != 200:
        raise unexpected(reply)
    keys = reply.mapping().get("keys")
    if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
        raise Malformed(f"{provider}: {reply.asked} was answered with no JWKS: there is no list `keys`")
    return Issuer(name=about.issuer, keys=tuple(keys))


def first_grant(provider: IdentityProvider, about: Metadata, client: TestClient, redactor: Redactor) -> Grant:
    """The grant that the test client is declared with. Raises Denied where it is refused, and as `ask_token`."""
    form: dict[str, str] = {"grant_type": client.grant}
    if client.scope:
        form["scope"] = client.scope
    if client.grant == "password":
        form |= {"username": client.username, "password": client.password}
    grant = ask_token(provider, about, client, form, redactor)
    if grant.error:
        raise _refused(provider, about, client, grant)
    return grant


def ask_token(
    provider: IdentityProvider, about: Metadata, client: TestClient, form: Mapping[str, str], redactor: Redactor
) -> Grant:
    """Send one request to the token endpoint; every token in the answer is struck from outputs before it is read.

    A client that the provider knows by another way of authentication is tried once more in that way.
    Raises Malformed (no OAuth answer), Unreachable (5xx), Throttled, and what `send` raises.
    """
    grant = Grant(fields={})
    for method in _methods(about, client):
        grant = _ask_once(provider, about.token_endpoint, client, form, method, redactor)
        if grant.error != "invalid_client":
            break
    return grant


def revoke(provider: IdentityProvider, about: Metadata, client: TestClient, token: str, redactor: Redactor) -> None:
    """End a refresh token that the audit was given (RFC 7009), where the provider can. Whatever it answers is fine."""
    if not token or not about.revocation_endpoint:
        return
    method = _methods(about, client)[0]
    form = {"token": token, "token_type_hint": "refresh_token"}
    try:
        headers, whole = _authenticated(client, form, method)
        _strike_headers(redactor, headers)
        send(Ask(provider=provider, url=about.revocation_endpoint, form=whole, headers=headers, attempts=1))
    except Reportable:
        return  # the token ends by itself; the trial's outcome stands


def unexpected(reply: Reply) -> Reportable:
    """The error for a status that no question of ours should have."""
    if reply.status == 429:
        return Throttled(f"{reply.subject}: {reply.asked} was put off with 429", next_step="run again later")
    if reply.status in (401, 403):
        return Denied(f"{reply.subject}: {reply.asked} was denied with {reply.status}")
    if reply.status >= 500:
        return Unreachable(
            f"{reply.subject}: {reply.asked} was answered with {reply.status}", next_step="look in the provider's log"
        )
    return Unsupported(f"{reply.subject}: {reply.asked} was answered with {reply.status}")


# Metadata


def _places(issuer: str) -> tuple[str, ...]:
    parts = urllib.parse.urlsplit(issuer)
    base = issuer.rstrip("/")
    path = parts.path.rstrip("/")
    return (
        f"{base}/.well-known/openid-configuration",
        f"{parts.scheme}://{parts.netloc}/.well-known/oauth-authorization-server{path}",
    )


def _read_metadata(provider: IdentityProvider, reply: Reply) -> Metadata:
    document = reply.mapping()
    named = document.get("issuer")
    if named != provider.issuer:
        raise Malformed(
            f"{provider}: the metadata at {provider.issuer} is that of {one_line(named, 120)!r}, so it was not used",
            next_step="declare the issuer as its metadata spells it, or look who answers at that address",
        )
    methods = document.get("token_endpoint_auth_methods_supported")
    found = tuple(method for method in methods if isinstance(method, str)) if isinstance(methods, list) else ()
    return Metadata(
        issuer=provider.issuer,
        token_endpoint=_endpoint(provider, document, "token_endpoint"),
        jwks_uri=_endpoint(provider, document, "jwks_uri"),
        revocation_endpoint=_endpoint(provider, document, "revocation_endpoint"),
        methods=found or ("client_secret_basic",),
    )


def _endpoint(provider: IdentityProvider, document: Mapping[str, Any], name: str) -> str:
    """An address in the metadata, or an empty text. Raises Malformed, Refused."""
    url = document.get(name)
    if url is None:
        return ""
    if not isinstance(url, str):
        raise Malformed(f"{provider}: {name} in the metadata of {provider.issuer} is no text")
    scheme, host, _ = origin_of(url)
    is_plain_here = is_loopback(host) and origin_of(provider.issuer)[0] == "http"
    if scheme != "https" and not is_plain_here:
        raise Refused(
            f"{provider}: {name} in the metadata is plain HTTP ({one_line(url, 100)}); nothing was sent there",
            next_step="serve it over TLS",
        )
    return url


# The token endpoint


def _methods(about: Metadata, client: TestClient) -> tuple[Method | Literal["none"], ...]:
    """In the order of trying; a public client names itself only."""
    if not client.client_secret:
        return ("none",)
    known: tuple[Method, ...] = ("client_secret_basic", "client_secret_post")
    return tuple(method for method in known if method in about.methods) or known


def _ask_once(
    provider: IdentityProvider,
    url: str,
    client: TestClient,
    form: Mapping[str, str],
    method: Method | Literal["none"],
    redactor: Redactor,
) -> Grant:
    if not url:
        raise Malformed(f"{provider}: the metadata of {provider.issuer} names no token_endpoint")
    headers, whole = _authenticated(client, form, method)
    _strike_headers(redactor, headers)
    reply = send(Ask(provider=provider, url=url, form=whole, headers=headers, attempts=1))
    fields = read_grant(reply, redactor)
    if reply.status == 200:
        if not isinstance(fields.get("access_token"), str):
            raise Malformed(f"{provider}: {reply.asked} was answered with 200 and no access_token")
        return Grant(fields=fields)
    error = fields.get("error")
    if reply.status not in (400, 401, 403) or not isinstance(error, str) or not _CODE.fullmatch(error):
        raise unexpected(reply)
    return Grant(error=error, fields=fields)


def read_grant(reply: Reply, redactor: Redactor) -> Mapping[str, Any]:
    """The JSON object of a token answer, its tokens struck first. Raises Malformed; for 5xx what the status means."""
    try:
        fields = reply.mapping()
    except Malformed:
        if reply.status >= 500 or reply.status == 429:
            raise unexpected(reply) from None
        raise
    for name in TOKEN_FIELDS:
        value = fields.get(name)
        if isinstance(value, str):
            for part in parts_to_strike(value):
                redactor.add(part)
    return fields


def _authenticated(
    client: TestClient, form: Mapping[str, str], method: Method | Literal["none"]
) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Headers and form with the client's own credentials (RFC 6749, section 2.3.1)."""
    if method == "client_secret_basic":
        pair = f"{urllib.parse.quote_plus(client.client_id)}:{urllib.parse.quote_plus(client.client_secret)}"
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}, form
    own = {"client_id": client.client_id}
    if method == "client_secret_post":
        own["client_secret"] = client.client_secret
    return {}, {**form, **own}


def _strike_headers(redactor: Redactor, headers: Mapping[str, str]) -> None:
    for value in headers.values():
        redactor.add(value.rpartition(" ")[2])


_NEXT_STEPS = {
    "invalid_client": "correct client_id and client_secret of its test_client",
    "invalid_grant": "correct username and password of its test_client; look whether the account waits for an action",
    "unauthorized_client": "allow the client this grant",
    "unsupported_grant_type": "declare another grant for its test_client",
    "invalid_scope": "correct the scope of its test_client",
    "access_denied": "look in the provider's log why",
}


def _refused(provider: IdentityProvider, about: Metadata, client: TestClient, grant: Grant) -> Reportable:
    """Never the provider's own description: it may quote who asked."""
    return Denied(
        f"{provider}: {about.issuer} gave {client.client_id} no token for the grant {client.grant}: {grant.error}",
        permission=f"grant {client.grant}",
        next_step=_NEXT_STEPS.get(grant.error, "look in the provider's log why"),
    )
