"""A refresh token works once, its reuse ends the family, and every family has an end.

Pass          Keycloak revokes a refresh token at its first use, and sessions, offline ones too, end within `max_lifetime_days`; every app client of Cognito that may refresh rotates with a grace of at most `max_grace_s` and ends in that time; tried on the test client, the second use of a refresh token is refused and takes the newer one with it
Fail          a public client refreshes without rotation; the grace or the whole life is longer, or has no end; tried, the second use is accepted, or the newer token outlives it; code switches rotation off
Inconclusive  no identity provider is declared and no account has a user pool with a client, or no client may refresh; or, whatever else passes, a provider is declared without an admin client and without a test client that is given refresh tokens and may be tried: attest that it rotates, or gives no refresh tokens; what code says alone proves nothing of the issuer. Where there is no refresh grant at all, declare the item not applicable
Error         the provider refused, or answered with something else; a setting cannot be read; the check had too little time for the wait between two uses
Needs         Keycloak: an admin client with `view-realm` and `view-clients` of `realm-management`; Cognito: `cognito-idp:ListUserPools`, `ListUserPoolClients`, `DescribeUserPoolClient`; for the trial a test client that is given refresh tokens, and `--allow-active`, with `--check-timeout` above `max_grace_s` where a reuse is accepted at first
Source        the guide, Authentication; RFC 9700, sections 2.2.2 and 4.14.2: public clients rotate or are sender-constrained, a confidential client is bound by its own authentication; OWASP ASVS v5.0.0-10.4.5, -10.4.8
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import Field

from quub_audit.checks.security.authentication._clients import (
    Unreadable,
    attribute_seconds,
    cognito_seconds,
    may_go_offline,
    may_refresh,
    named,
    own_first,
    period,
    seconds,
    tells_its_clients,
    unreadable,
)
from quub_audit.sdk import (
    Aws,
    Finding,
    Grade,
    Identity,
    IdentityProvider,
    Match,
    Parameters,
    Pattern,
    Realm,
    RefreshTrial,
    Repositories,
    Repository,
    UserPoolClient,
    check,
    cut,
    user_pool_clients,
)

EXPECTED: Final = "refresh tokens that work once, and end"
DAY_S: Final = 86_400
COGNITO_DEFAULT_S: Final = 30 * DAY_S
"""What Cognito takes where an app client sets no RefreshTokenValidity."""


class RotationParameters(Parameters):
    """What the checklist may set under `with:`."""

    max_grace_s: int = Field(default=60, ge=0)
    """Seconds for which a used refresh token may still work, for the answer that got lost. Cognito allows 0 to 60."""

    max_lifetime_days: int = Field(default=30, ge=1)
    """Days after which a family of refresh tokens ends, however it is renewed. House rule; ASVS v5.0.0-10.4.8."""

    confidential_rotate: bool = False
    """Whether clients that authenticate themselves must rotate too. RFC 9700, section 4.14.2, leaves them out."""

    wait_s: float = Field(default=2.0, ge=0, le=600)
    """Seconds between two uses of a refresh token at the first trial; the second trial waits past `max_grace_s`."""


@check(
    "A used refresh token is refused, and takes its family along", each=IdentityProvider, grade=Grade.LIVE, active=True
)
def tried(subject: IdentityProvider, identity: Identity, wanted: RotationParameters) -> Iterator[Finding]:
    """Where the test client is given refresh tokens, one finding, tried again past the grace where one still worked.

    Undecided where it is given none and nobody else tells.
    """
    client = subject.test_client
    if client is None or subject.access_token or subject.id_token:
        return
    trial = identity.refresh_twice(subject, wait_s=wanted.wait_s)
    has_grace = subject.type != "keycloak"  # which counts uses, and forgives none by time
    if trial is not None and has_grace and is_within_grace(trial, wanted):
        trial = identity.refresh_twice(subject, wait_s=wanted.max_grace_s + 1.0)
    name = f"{subject.name}/{client.client_id}"
    if trial is not None:
        yield judge_trial(name, trial, wanted, is_confidential=bool(client.client_secret))
    elif not tells_its_clients(subject):
        yield Finding.undecided(
            subject=name,
            observed="is given no refresh token",
            expected=EXPECTED,
            next_step="declare a test client that is given them, or attest that no client is",
        )


@check("The realm revokes used refresh tokens, and its sessions end", each=IdentityProvider)
def keycloak(subject: IdentityProvider, identity: Identity, wanted: RotationParameters) -> Iterator[Finding]:
    """One finding on rotation, and one on the life of sessions and of offline sessions each."""
    if tells_its_clients(subject):
        yield from judge_realm(identity.realm(subject), wanted)


@check("Every declared issuer has something that tells of its refresh tokens", each=IdentityProvider)
def untold(subject: IdentityProvider, identity: Identity) -> Finding | None:
    """Undecided without an admin client of Keycloak and a test client that may be tried; nothing otherwise."""
    is_tried = subject.test_client and identity.may_try and not (subject.access_token or subject.id_token)
    if subject.type == "github" or tells_its_clients(subject) or is_tried:
        return None
    return Finding.undecided(
        subject=subject.name,
        observed="does not tell of its refresh tokens",
        expected=EXPECTED,
        message=f"{subject.name}: OpenID Connect tells nothing of refresh tokens; declare a test client that is given "
        "them and run with --allow-active, or attest that it rotates them or gives none",
    )


@check(
    "Every app client of a user pool that may refresh rotates",
    each=user_pool_clients,
    permissions=["cognito-idp:DescribeUserPoolClient"],
)
def cognito(subject: UserPoolClient, aws: Aws, wanted: RotationParameters) -> Iterator[Finding]:
    """One finding for each app client that may refresh."""
    answer = aws.ask(
        "cognito-idp.DescribeUserPoolClient",
        region=subject.pool.region,
        UserPoolId=subject.pool.id,
        ClientId=subject.id,
    )
    yield from judge_app_client(str(subject), answer["UserPoolClient"], wanted)


@check("Code switches no rotation off", each=Repository)
def code(subject: Repository, repositories: Repositories) -> Iterator[Finding]:
    """A fail for each place, and nothing else."""
    for match in repositories.search(subject, patterns=PATTERNS).matches:
        yield judge_match(subject.name, match)


# Tried


def is_within_grace(trial: RefreshTrial, wanted: RotationParameters) -> bool:
    """Whether the reuse may have been accepted for the grace alone, so that only a longer wait can tell."""
    return trial.is_rotated and not trial.is_reuse_refused and trial.waited_s <= wanted.max_grace_s


def judge_trial(subject: str, trial: RefreshTrial, wanted: RotationParameters, *, is_confidential: bool) -> Finding:
    """Judge two uses of one refresh token, and what became of the newer one."""
    expected = f"the second use is refused within {period(wanted.max_grace_s)}, and ends the newer token"
    if trial.is_reuse_refused and trial.is_family_revoked is not False:
        ended = ", and ended the newer token" if trial.is_family_revoked else ""
        observed = f"the second use was refused ({trial.reuse_error}){ended}"
        return Finding.of(True, subject=subject, observed=observed, expected=expected)
    if trial.is_reuse_refused:
        return Finding.of(
            False,
            subject=subject,
            observed=f"the second use was refused ({trial.reuse_error}), and the newer token lived on",
            expected=expected,
            message=f"{subject}: whoever stole a refresh token and used it first keeps access; end the family at reuse",
        )
    waited = f"after {trial.waited_s:g} s" if trial.is_rotated else "at once; no other token was given"
    is_bound = is_confidential and not wanted.confidential_rotate
    return Finding.of(
        is_bound,
        subject=subject,
        observed=f"the second use was accepted {waited}{_bound(is_bound)}",
        expected=expected,
    )


def _bound(is_bound: bool) -> str:
    return "; bound to a client that authenticates itself" if is_bound else ""


# Keycloak


def judge_realm(realm: Realm, wanted: RotationParameters) -> Iterator[Finding]:
    """Judge a realm by its clients that may refresh; nothing where none may."""
    clients = [client for client in realm.clients if may_refresh(client)]
    if not clients:
        return
    yield from _judge_rotation(realm, clients, wanted)
    try:
        yield _judge_sessions(realm, clients, wanted)
        yield from _judge_offline(realm, [client for client in clients if may_go_offline(client)], wanted)
    except Unreadable as why:
        yield unreadable(realm.name, why)


def _judge_rotation(realm: Realm, clients: list[Mapping[str, Any]], wanted: RotationParameters) -> Iterator[Finding]:
    """Both settings are the realm's: `revokeRefreshToken`, off by default, and `refreshTokenMaxReuse`."""
    public = [named(client) for client in clients if client.get("publicClient") is True]
    needing = [named(client) for client in clients] if wanted.confidential_rotate else public
    reuse = realm.settings.get("refreshTokenMaxReuse") or 0
    expected = "refresh tokens are revoked at their first use (revokeRefreshToken, refreshTokenMaxReuse 0)"
    if realm.settings.get("revokeRefreshToken") is True and reuse == 0:
        yield Finding.of(
            True,
            subject=realm.name,
            observed=f"revoked at the first use, for {_clients(len(clients))}",
            expected=expected,
        )
        return
    is_off = realm.settings.get("revokeRefreshToken") is not True
    how = "revokeRefreshToken is off" if is_off else f"refreshTokenMaxReuse is {reuse}"
    whom = (
        f"for {cut(own_first(needing))}"
        if needing
        else f"bound to {_clients(len(clients))} that authenticate themselves"
    )
    yield Finding.of(not needing, subject=realm.name, observed=f"{how}, {whom}", expected=expected)


def _judge_sessions(realm: Realm, clients: list[Mapping[str, Any]], wanted: RotationParameters) -> Finding:
    """A refresh token renews a session, and ends with it at the latest."""
    longest = seconds(realm.settings, "ssoSessionMaxLifespan")
    if realm.settings.get("rememberMe") is True:
        longest = max(longest, seconds(realm.settings, "ssoSessionMaxLifespanRememberMe"))
    ends = [
        _shortest(longest, realm, client, "clientSessionMaxLifespan", "client.session.max.lifespan")
        for client in clients
    ]
    return _judge_end(f"{realm.name} sessions", max(ends), "ssoSessionMaxLifespan", wanted)


def _judge_offline(realm: Realm, clients: list[Mapping[str, Any]], wanted: RotationParameters) -> Iterator[Finding]:
    """Offline sessions end by idleness alone where `offlineSessionMaxLifespanEnabled` is off, as it is by default."""
    if not clients:
        return
    subject = f"{realm.name} offline sessions"
    if realm.settings.get("offlineSessionMaxLifespanEnabled") is not True:
        names = cut(own_first(named(client) for client in clients))
        yield Finding.of(
            False,
            subject=subject,
            observed=f"never end while they are used (offlineSessionMaxLifespanEnabled is off), for {names}",
            expected=f"end within {_days(wanted.max_lifetime_days)}",
            message=f"{subject} are renewed without end; enable their maximum, or take offline_access from the clients",
        )
        return
    longest = seconds(realm.settings, "offlineSessionMaxLifespan")
    names_of_settings = ("clientOfflineSessionMaxLifespan", "client.offline.session.max.lifespan")
    ends = [_shortest(longest, realm, client, *names_of_settings) for client in clients]
    yield _judge_end(subject, max(ends), "offlineSessionMaxLifespan", wanted)


def _shortest(longest: int, realm: Realm, client: Mapping[str, Any], of_realm: str, of_client: str) -> int:
    """A client's own maximum goes before that of all clients; neither outlives the session. 0 is none."""
    own = attribute_seconds(client, of_client) or realm.settings.get(of_realm) or 0
    if isinstance(own, bool) or not isinstance(own, int):
        raise Unreadable(f"{of_realm} is no number")
    return min(longest, own) if own > 0 else longest


def _judge_end(subject: str, longest_s: int, setting: str, wanted: RotationParameters) -> Finding:
    return Finding.of(
        0 < longest_s <= wanted.max_lifetime_days * DAY_S,
        subject=subject,
        observed=f"end after {period(longest_s)}" if longest_s > 0 else f"never end ({setting} is {longest_s})",
        expected=f"end within {_days(wanted.max_lifetime_days)}",
    )


# Cognito


def judge_app_client(subject: str, client: Mapping[str, Any], wanted: RotationParameters) -> Iterator[Finding]:
    """Judge cognito-idp.DescribeUserPoolClient; nothing for a client that may not refresh.

    An absent RefreshTokenRotation is off. A rotated token keeps the end of the first (Amazon Cognito Developer Guide,
    "Refresh tokens").
    """
    rotation = client.get("RefreshTokenRotation") or {}
    is_rotating = rotation.get("Feature") == "ENABLED"
    if not is_rotating and not may_refresh_in_cognito(client):
        return
    try:
        life_s = cognito_seconds(client, "RefreshTokenValidity", unit="days", absent_s=COGNITO_DEFAULT_S)
    except Unreadable as why:
        yield unreadable(subject, why)
        return
    faults = list(_faults(client, rotation, life_s, wanted, is_rotating=is_rotating))
    how = (
        f"rotates, grace {_grace(rotation)} s" if is_rotating else "static, bound to a client that authenticates itself"
    )
    yield Finding.of(
        not faults,
        subject=subject,
        observed=cut(faults) if faults else f"{how}, ends after {period(life_s)}",
        expected=f"rotates, grace at most {wanted.max_grace_s} s, ends within {_days(wanted.max_lifetime_days)}",
    )
    if client.get("EnableTokenRevocation") is not True:
        yield Finding.warning(
            subject=subject, observed="EnableTokenRevocation is off", expected="refresh tokens can be revoked"
        )


def may_refresh_in_cognito(client: Mapping[str, Any]) -> bool:
    """Whether an app client may use refresh tokens without rotation: by its flows, or those that are the default."""
    flows = client.get("ExplicitAuthFlows") or ("ALLOW_REFRESH_TOKEN_AUTH",)
    older = {"ADMIN_NO_SRP_AUTH", "CUSTOM_AUTH_FLOW_ONLY", "USER_PASSWORD_AUTH"}  # these allow it without saying so
    return (
        "ALLOW_REFRESH_TOKEN_AUTH" in flows
        or bool(older & set(flows))
        or "code" in (client.get("AllowedOAuthFlows") or ())
    )


def _faults(
    client: Mapping[str, Any],
    rotation: Mapping[str, Any],
    life_s: int,
    wanted: RotationParameters,
    *,
    is_rotating: bool,
) -> Iterator[str]:
    is_bound = bool(client.get("ClientSecret")) and not wanted.confidential_rotate
    if not is_rotating and not is_bound:
        yield "does not rotate"
    if is_rotating and _grace(rotation) > wanted.max_grace_s:
        yield f"grace is {_grace(rotation)} s"
    if is_rotating and "ALLOW_REFRESH_TOKEN_AUTH" in (client.get("ExplicitAuthFlows") or ()):
        yield "ALLOW_REFRESH_TOKEN_AUTH refreshes beside the rotation"
    if life_s > wanted.max_lifetime_days * DAY_S:
        yield f"ends after {period(life_s)}"


def _grace(rotation: Mapping[str, Any]) -> int:
    return int(rotation.get("RetryGracePeriodSeconds") or 0)


def _clients(count: int) -> str:
    return "1 client" if count == 1 else f"{count} clients"


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"


# Code

PATTERNS = (
    Pattern(
        name="oidc-provider",
        languages=("javascript", "typescript", "tsx"),
        rule="""{kind: pair, regex: '^["'']?rotateRefreshToken["'']?\\s*:\\s*(false|0|!1)$'}""",
    ),
    Pattern(
        name="simplejwt",
        languages=("python",),
        rule="""
any:
  - {kind: pair, regex: '^["''](ROTATE_REFRESH_TOKENS|BLACKLIST_AFTER_ROTATION)["'']\\s*:\\s*False$'}
  - {kind: assignment, regex: '^(ROTATE_REFRESH_TOKENS?|OAUTH2_REFRESH_TOKEN_ROTATION)\\s*=\\s*False$'}
""",
    ),
)
"""Settings of servers that issue refresh tokens, switched off."""


def judge_match(repository: str, match: Match) -> Finding:
    """A fail at the place where rotation is switched off."""
    setting = re.split(r"[=:]", match.text, maxsplit=1)[0].strip(" \"'")
    return Finding.of(
        False,
        subject=f"{repository}: {match.location}",
        observed=f"{setting} is off",
        expected="refresh tokens rotate, and used ones are refused",
        location=match.location,
    )
