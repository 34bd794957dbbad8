"""Identity providers: Keycloak's admin API, any OpenID provider, organisations of GitHub. Never a token's text.

Reads are GET, but for the admin token of Keycloak (see `identity_keycloak`). Asking for a token as the test client, and
using a refresh token, is active: it is refused unless active checks are allowed. Every secret that is declared, and
every token that comes, is struck from all outputs before anything can fail.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from quub_audit.connectors.base import Ledger, Question, seconds_left
from quub_audit.errors import Denied, Refused, Throttled, TimedOut, Unsupported
from quub_audit.facts.identity import Organisation, Person, Realm, RefreshTrial, Token, Tokens
from quub_audit.facts.seal import Sealer
from quub_audit.model.environment import IdentityProvider, TestClient

if TYPE_CHECKING:
    from quub_audit.connectors.identity_keycloak import Keycloak
    from quub_audit.connectors.identity_openid import Grant, Metadata

SPARE_S = 10.0
"""What a check must have left beside the wait between two uses of a refresh token. Seconds."""


class IdentityConnector:
    """Implements `quub_audit.facts.asking.Identity`. Built without I/O; no connection outlives its request."""

    def __init__(
        self, providers: tuple[IdentityProvider, ...], ledger: Ledger, sealer: Sealer, *, allow_active: bool
    ) -> None:
        self._ledger = ledger
        self._sealer = sealer
        self._allow_active = allow_active
        self._built: Keycloak | None = None
        for provider in providers:
            self._strike(provider)

    @property
    def may_try(self) -> bool:
        """Whether active questions are allowed in this run."""
        return self._allow_active

    def realm(self, provider: IdentityProvider) -> Realm:
        """Keycloak's realm, all its clients and its browser flow, secrets in them fingerprints.

        Raises Denied naming the role of `realm-management` that is missing, also where Keycloak answers in part
        instead of refusing; Absent, Unsupported (no Keycloak), and the errors of the way there.
        """
        self._require(provider, "keycloak")
        return self._ledger.ask(_question(provider, "realm"), lambda: self._keycloak().realm(provider))

    def administrators(self, provider: IdentityProvider, *, roles: tuple[str, ...]) -> tuple[Person, ...]:
        """Keycloak: enabled users who hold one of `roles` (realm roles, or `client/role`), by name.

        Directly, by composite role, or as members of a group or of one below it. Service accounts are left out.
        Raises as `realm`; Absent for a role that the realm does not have.
        """
        self._require(provider, "keycloak")
        wanted = tuple(sorted(set(roles)))
        question = Question.about("identity", provider.name, "administrators", {"roles": list(wanted)})
        return self._ledger.ask(question, lambda: self._keycloak().administrators(provider, wanted))

    def organisation(self, provider: IdentityProvider) -> Organisation:
        """GitHub: whether second factors are required, the owners, and those without one.

        Raises Denied (also for a token that is no owner's), Absent, Throttled, Unsupported (no GitHub).
        """
        self._require(provider, "github")

        def find() -> Organisation:
            from quub_audit.connectors.identity_github import organisation

            return organisation(provider)

        return self._ledger.ask(_question(provider, "organisation"), find)

    def tokens(self, provider: IdentityProvider) -> Tokens | None:
        """Those given by the process environment, else issued to the test client; None where there is neither.

        Raises Refused before anything is sent where tokens would have to be asked for and active checks are not
        allowed; Denied where the client is given none; Malformed, Absent and the errors of the way there.
        """
        self._strike(provider)
        if provider.access_token or provider.id_token:
            return self._ledger.ask(_question(provider, "tokens given"), lambda: self._given(provider))
        client = self._test_client(provider)
        if client is None:
            return None
        return self._ledger.ask(_question(provider, "tokens issued"), lambda: self._issued(provider, client))

    def refresh_twice(self, provider: IdentityProvider, *, wait_s: float) -> RefreshTrial | None:
        """Use a refresh token, wait `wait_s`, use it again, then use the newer one; None where none is issued.

        Where the first use gives no other token there is no wait: the same one is used again at once.
        Raises as `tokens`; TimedOut, before anything is sent, where the check has too little time to wait.
        """
        self._strike(provider)
        client = self._test_client(provider)
        if client is None:
            return None
        question = Question.about("identity", provider.name, "refresh twice", {"wait_s": wait_s})
        return self._ledger.ask(question, lambda: self._trial(provider, client, wait_s))

    # Tokens

    def _given(self, provider: IdentityProvider) -> Tokens:
        from quub_audit.connectors.identity_openid import issuer_keys, metadata
        from quub_audit.connectors.identity_tokens import Issuer, read_token

        issuer = issuer_keys(provider, metadata(provider)) if provider.issuer else Issuer(name="")
        found: list[Token] = []
        if provider.access_token:
            found.append(read_token(provider.access_token, use="access", issuer=issuer))
        if provider.id_token:
            found.append(read_token(provider.id_token, use="id", issuer=issuer))
        return Tokens(origin="given", tokens=tuple(found))

    def _issued(self, provider: IdentityProvider, client: TestClient) -> Tokens:
        from quub_audit.connectors.identity_openid import first_grant, issuer_keys, metadata, revoke
        from quub_audit.connectors.identity_tokens import read_token

        about = metadata(provider)
        issuer = issuer_keys(provider, about)
        grant = first_grant(provider, about, client, self._sealer.redactor)
        is_user = client.grant == "password"
        found = [
            read_token(
                grant.token("access_token"),
                use="access",
                issuer=issuer,
                expires_in=grant.fields.get("expires_in"),
                kind="user" if is_user else "client",
            )
        ]
        if grant.token("id_token"):
            found.append(read_token(grant.token("id_token"), use="id", issuer=issuer, kind="user"))
        refresh = grant.token("refresh_token")
        if refresh:
            left = grant.fields.get("refresh_expires_in") or grant.fields.get("refresh_token_expires_in")
            found.append(read_token(refresh, use="refresh", issuer=issuer, expires_in=left))
            revoke(provider, about, client, refresh, self._sealer.redactor)
        return Tokens(origin="issued", tokens=tuple(found), has_refresh=bool(refresh))

    def _trial(self, provider: IdentityProvider, client: TestClient, wait_s: float) -> RefreshTrial | None:
        from quub_audit.connectors.identity_openid import first_grant, metadata, revoke

        if seconds_left(wait_s + SPARE_S) < wait_s + SPARE_S:
            raise TimedOut(
                f"{provider}: the check has no time to wait {wait_s:.0f} s between two uses of a refresh token",
                next_step=f"give checks more time: --check-timeout {wait_s + 2 * SPARE_S:.0f}",
            )
        about = metadata(provider)
        refresh = first_grant(provider, about, client, self._sealer.redactor).token("refresh_token")
        if not refresh:
            return None
        use = self._user_of(provider, about, client)
        first = use(refresh)
        if first.error:
            raise Unsupported(
                f"{provider}: a refresh token was refused at its first use ({first.error}), so nothing can be tried"
            )
        newer = first.token("refresh_token")
        is_rotated = bool(newer) and newer != refresh
        if is_rotated:
            _wait(wait_s)
        second = use(refresh)
        third = use(newer) if is_rotated and second.error else None
        newest = second if not second.error else third
        last = (newest.token("refresh_token") if newest else "") or newer or refresh
        if newest is not None and not newest.error:
            revoke(provider, about, client, last, self._sealer.redactor)
        return RefreshTrial(
            is_rotated=is_rotated,
            waited_s=wait_s if is_rotated else 0.0,
            is_reuse_refused=bool(second.error),
            reuse_error=second.error,
            is_family_revoked=None if third is None else bool(third.error),
        )

    def _user_of(self, provider: IdentityProvider, about: Metadata, client: TestClient) -> Callable[[str], Grant]:
        """What uses a refresh token. Raises for answers that are no word on the token."""
        from quub_audit.connectors.identity_openid import ask_token

        def use(token: str) -> Grant:
            form = {"grant_type": "refresh_token", "refresh_token": token}
            grant = ask_token(provider, about, client, form, self._sealer.redactor)
            if grant.error in ("", "invalid_grant"):
                return grant
            if grant.error in ("slow_down", "temporarily_unavailable"):
                raise Throttled(f"{provider}: {about.issuer} put a refresh off: {grant.error}")
            raise Denied(
                f"{provider}: {about.issuer} refreshed nothing for {client.client_id}: {grant.error}",
                permission="grant refresh_token",
                next_step="allow the client the refresh grant",
            )

        return use

    def _test_client(self, provider: IdentityProvider) -> TestClient | None:
        """Raises Refused where there is one and active checks are not allowed."""
        client = provider.test_client
        if client is not None and not self._allow_active:
            raise Refused(
                f"{provider}: no token was asked for, because active checks are not allowed",
                next_step="add --allow-active",
            )
        return client

    # Keycloak, and what all share

    def _keycloak(self) -> Keycloak:
        from quub_audit.connectors.identity_keycloak import Keycloak

        if self._built is None:
            self._built = Keycloak(self._sealer)
        return self._built

    def _require(self, provider: IdentityProvider, wanted: str) -> None:
        self._strike(provider)
        if provider.type != wanted:
            raise Unsupported(f"{provider}: is of type {provider.type}, and only {wanted} can be asked this")

    def _strike(self, provider: IdentityProvider) -> None:
        from quub_audit.connectors.identity_tokens import parts_to_strike

        client = provider.test_client
        secret = (provider.admin_client_secret, provider.admin_token)
        for value in (*secret, *((client.client_secret, client.password) if client else ())):
            self._sealer.redactor.add(value)
        for token in (provider.access_token, provider.id_token):
            for part in parts_to_strike(token):
                self._sealer.redactor.add(part)


def _wait(wait_s: float) -> None:
    """Sleep, but not past the end of the check, which may be brought near in the meantime. Raises TimedOut."""
    ends_at = time.monotonic() + wait_s
    while (left := ends_at - time.monotonic()) > 0:
        time.sleep(min(left, seconds_left(0.25)))


def _question(provider: IdentityProvider, name: str) -> Question:
    return Question.about("identity", provider.name, name)
