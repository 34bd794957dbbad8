"""What an identity provider tells of itself, of its people and of the tokens it issues; never a token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One JSON Web Token, read and verified; its text stays in the connector."""

    use: Literal["access", "id", "refresh"]
    is_jwt: bool
    """Its claims were read. An opaque or encrypted token lives as long as the token answer says (`expires_in`)."""
    algorithm: str = ""
    """The header's `alg`, `none` among them."""
    issuer: str = ""
    subject_kind: Literal["user", "client", "unknown"] = "unknown"
    issued_at: datetime | None = None
    expires_at: datetime | None = None
    lifetime_s: int | None = None
    """`exp` less `iat`, or `expires_in` of the token answer where the token does not say; None where nobody does."""
    is_verified: bool = False
    """The signature is that of a key in the issuer's JWKS, under an asymmetric algorithm."""
    problem: str = ""
    """Why it was not verified."""
    is_confused: bool = False
    """Signed by HMAC with a public key of the JWKS as the secret (RFC 8725, section 2.1)."""
    is_forgeable: bool = False
    """Anybody can make one: it carries no signature, is confused, or the JWKS publishes what signs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What one token request gave, or what the process environment held."""

    origin: Literal["issued", "given"]
    """`issued` to the configured test client in this run, or `given` by a variable of the process environment."""
    tokens: tuple[Token, ...]
    has_refresh: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshTrial:
    """A refresh token used, and used again."""

    is_rotated: bool
    """The first use gave another refresh token."""
    waited_s: float
    """Between the first use and the second."""
    is_reuse_refused: bool
    reuse_error: str = ""
    """The OAuth error code of the second use: `invalid_grant`."""
    is_family_revoked: bool | None = None
    """Whether the newer token died with the reuse; None when it could not be tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One account of an identity provider, with its second factors."""

    name: str
    """The user name, as its owner knows it."""
    is_enabled: bool = True
    factors: tuple[str, ...] = ()
    """`otp`, `webauthn`, `sms` ... as the provider calls them, sorted."""
    roles: tuple[str, ...] = ()
    """Why it counts as an administrator."""
    pending: tuple[str, ...] = ()
    """What its owner must do at the next login before anything else (`CONFIGURE_TOTP`), sorted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Realm:
    """A realm of Keycloak: its representation and those of its clients, secrets struck."""

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    """RealmRepresentation as the admin API spells it: `accessTokenLifespan`, `revokeRefreshToken` ..."""
    clients: tuple[Mapping[str, Any], ...] = ()
    """ClientRepresentation each: `clientId`, `attributes` ..."""
    browser_flow: tuple[Mapping[str, Any], ...] = ()
    """Executions of the flow by which people log in, in order: `providerId`, `requirement`, `level` ..."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Organisation:
    """An organisation of GitHub."""

    name: str
    is_two_factor_required: bool | None
    """None where the token may not see it: only owners are told."""
    owners: tuple[str, ...] = ()
    owners_without_factor: tuple[str, ...] = ()
