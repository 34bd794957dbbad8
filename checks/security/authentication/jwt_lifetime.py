"""Access and id tokens end within the hour, for every client that can get one.

Pass          every client of a Keycloak realm or Cognito user pool that can get tokens gets them for at most `max_lifetime_s`; a token that the issuer gives, or that the pipeline gave, is signed by a key of the issuer's JWKS and ends in that time
Fail          one client's tokens live longer, or never end; a token ends before it begins, carries no signature, or can be forged with what the JWKS publishes; code signs tokens for longer, ignores `exp`, or takes `alg: none`
Inconclusive  no identity provider is declared, and no account has a user pool with a client; or, whatever else passes, one is declared without an admin client, a token, or a test client that may be tried; lifetimes in code alone prove nothing of the issuer, and those that code reads from elsewhere are shown as warnings
Error         the provider refused, or answered with something else; a given token cannot be verified; a lifetime cannot be read; an opaque token came without `expires_in`
Needs         Keycloak: an admin client with `view-realm` and `view-clients` of `realm-management`; Cognito: `cognito-idp:ListUserPools`, `ListUserPoolClients`, `DescribeUserPoolClient`; a test client and `--allow-active`, or a token in the process environment. That the API refuses a token that has ended is not tried
Source        the guide, Authentication: at most one hour; RFC 8725 (JWT best practice), sections 2.1 and 3.1; RFC 9068; RFC 9700; OWASP ASVS v5.0.0-9.2.1
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pydantic import Field

from quub_audit.checks.security.authentication._clients import (
    Unreadable,
    attribute_seconds,
    cognito_seconds,
    gets_tokens,
    has_user_flow,
    named,
    period,
    seconds,
    tells_its_clients,
    unreadable,
)
from quub_audit.sdk import (
    Aws,
    Clock,
    Finding,
    Grade,
    Identity,
    IdentityProvider,
    Match,
    Parameters,
    Pattern,
    Realm,
    Repositories,
    Repository,
    Token,
    Tokens,
    UserPoolClient,
    check,
    user_pool_clients,
)

COGNITO_DEFAULT_S: Final = 3600
"""What Cognito takes where an app client sets no validity."""


class LifetimeParameters(Parameters):
    """What the checklist may set under `with:`."""

    max_lifetime_s: int = Field(default=3600, ge=1)
    """Seconds that an access or id token may live. The guide, Authentication: at most one hour."""

    admin_lifetime_s: int = Field(default=900, ge=1)
    """Seconds from which on a token of a client for administrators is warned of. House rule."""

    admin_clients: str = r"(?i)(^|[-_. ])admin"
    """Regular expression for the names of clients for administrators."""


@check("Tokens that the issuer gives end in time and are signed", each=IdentityProvider, grade=Grade.LIVE, active=True)
def issued(
    subject: IdentityProvider, identity: Identity, clock: Clock, wanted: LifetimeParameters
) -> Iterator[Finding]:
    """One finding for each token that the test client is given; nothing where a token is given instead."""
    if subject.test_client is None or subject.access_token or subject.id_token:
        return
    found = identity.tokens(subject)
    if found is not None:
        yield from judge_tokens(subject.name, found, clock.now(), wanted)


@check("Tokens that the pipeline was given end in time and are signed", each=IdentityProvider, grade=Grade.LIVE)
def given(subject: IdentityProvider, identity: Identity, clock: Clock, wanted: LifetimeParameters) -> Iterator[Finding]:
    """One finding for each token in the process environment."""
    if not (subject.access_token or subject.id_token):
        return
    found = identity.tokens(subject)
    if found is not None:
        yield from judge_tokens(subject.name, found, clock.now(), wanted)


@check("Every client of the realm gets tokens that end in time", each=IdentityProvider)
def keycloak(subject: IdentityProvider, identity: Identity, wanted: LifetimeParameters) -> Iterator[Finding]:
    """A fail for each client that is over; one pass for the realm whose clients are all within."""
    if tells_its_clients(subject):
        yield from judge_realm(identity.realm(subject), wanted)


@check("Every declared issuer has something that tells how long its tokens live", each=IdentityProvider)
def untold(subject: IdentityProvider, identity: Identity, wanted: LifetimeParameters) -> Finding | None:
    """Undecided without an admin client of Keycloak, a token, or a test client that may be tried; nothing otherwise."""
    is_given = subject.access_token or subject.id_token
    is_tried = subject.test_client and identity.may_try
    if subject.type == "github" or tells_its_clients(subject) or is_given or is_tried:
        return None
    return Finding.undecided(
        subject=subject.name,
        observed="nothing tells how long its tokens live",
        expected=f"tokens that end within {period(wanted.max_lifetime_s)}",
        next_step=f"give an access_token of {subject.name}, or declare a test client and run with --allow-active",
    )


@check(
    "Every app client of a user pool gets tokens that end in time",
    each=user_pool_clients,
    permissions=["cognito-idp:DescribeUserPoolClient"],
)
def cognito(subject: UserPoolClient, aws: Aws, wanted: LifetimeParameters) -> Iterator[Finding]:
    """One finding for each app client."""
    answer = aws.ask(
        "cognito-idp.DescribeUserPoolClient",
        region=subject.pool.region,
        UserPoolId=subject.pool.id,
        ClientId=subject.id,
    )
    yield from judge_app_client(str(subject), subject.name, answer["UserPoolClient"], wanted)


@check("Code signs no token for longer, and ignores no end", each=Repository)
def code(subject: Repository, repositories: Repositories, wanted: LifetimeParameters) -> Iterator[Finding]:
    """A fail for each fault with its place; a warning for each lifetime that code reads from elsewhere."""
    found = repositories.search(subject, patterns=PATTERNS)
    for match in found.matches:
        yield from judge_match(subject.name, match, wanted)


# Tokens


def judge_tokens(subject: str, found: Tokens, now: datetime, wanted: LifetimeParameters) -> Iterator[Finding]:
    """Judge access and id tokens; refresh tokens are another item's."""
    for token in found.tokens:
        if token.use != "refresh":
            yield from judge_token(
                f"{subject} {token.use} token", token, now, wanted, is_issued=found.origin == "issued"
            )


def judge_token(
    subject: str, token: Token, now: datetime, wanted: LifetimeParameters, *, is_issued: bool
) -> Iterator[Finding]:
    """One finding, and a warning where an issued token came over TLS from its issuer but is not verified by itself."""
    expected = f"signed, and ends within {period(wanted.max_lifetime_s)}"
    if token.is_forgeable:
        yield Finding.of(
            False,
            subject=subject,
            observed=token.problem or "anybody can sign such a token",
            expected=expected,
            message=f"{subject} {token.problem}; accept and issue tokens of one asymmetric algorithm alone",
        )
        return
    if token.is_jwt and token.expires_at is None:
        end = token.problem or "has no end (exp)"
        yield Finding.of(
            False,
            subject=subject,
            observed=end,
            expected=expected,
            message=f"{subject} {end}; whoever holds it, holds it for good",
        )
        return
    lifetime = token.lifetime_s
    if lifetime is None and token.expires_at is not None:
        left = math.ceil((token.expires_at - now).total_seconds())
        lifetime = left if left > wanted.max_lifetime_s else None
    if lifetime is None:
        why = token.problem or ("it has no iat" if token.is_jwt else "it is opaque, and no answer says expires_in")
        yield Finding.error(
            subject=subject,
            message=f"{subject}: its lifetime is not known: {why}",
            next_step="issue tokens with iat and exp, or answer with expires_in",
        )
        return
    judged = _judge_lifetime(subject, lifetime, expected, wanted)
    holds = 0 < lifetime <= wanted.max_lifetime_s
    if token.is_jwt and not token.is_verified and holds and not is_issued:
        yield Finding.error(
            subject=subject,
            message=f"{subject} {token.problem or 'was not verified'}, so its lifetime is its own word alone",
            next_step="give a token of the declared issuer, signed by a key of its JWKS",
        )
        return
    yield judged
    if token.is_jwt and not token.is_verified and holds:
        yield Finding.warning(subject=subject, observed=token.problem or "was not verified", expected=expected)


def _judge_lifetime(subject: str, lifetime_s: int, expected: str, wanted: LifetimeParameters) -> Finding:
    return Finding.of(
        0 < lifetime_s <= wanted.max_lifetime_s,
        subject=subject,
        observed=f"ends after {period(lifetime_s)}" if lifetime_s > 0 else f"ends {-lifetime_s} s before it begins",
        expected=expected,
    )


# Keycloak


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifespan:
    """How long the tokens of one client live, and by which setting."""

    client: str
    seconds: int
    setting: str


def judge_realm(realm: Realm, wanted: LifetimeParameters) -> Iterator[Finding]:
    """Judge the effective lifespan of every client that can get tokens. No such client: no finding."""
    expected = f"at most {period(wanted.max_lifetime_s)}"
    within: list[Lifespan] = []
    is_undecided = False
    for client in realm.clients:
        if not gets_tokens(client):
            continue
        subject = f"{realm.name}/{named(client)}"
        try:
            spans = list(lifespans(realm.settings, client))
        except Unreadable as why:
            is_undecided = True
            yield unreadable(subject, why)
            continue
        over = [span for span in spans if not 0 < span.seconds <= wanted.max_lifetime_s]
        within += [span for span in spans if span not in over]
        is_undecided |= bool(over)
        for span in over:
            yield Finding.of(
                False,
                subject=subject,
                observed=f"{period(span.seconds)} by {span.setting}",
                expected=expected,
                message=f"{subject} gets tokens for {period(span.seconds)}, set by {span.setting}; shorten that",
            )
        yield from _admin_warnings(subject, named(client), spans, over, wanted)
    if within and not is_undecided:
        longest = max(within, key=lambda span: span.seconds)
        count = len({span.client for span in within})
        yield Finding.of(
            True,
            subject=realm.name,
            observed=f"at most {period(longest.seconds)} ({longest.client}), of {_clients(count)} that can get tokens",
            expected=expected,
        )


def lifespans(settings: Mapping[str, Any], client: Mapping[str, Any]) -> Iterator[Lifespan]:
    """The lifespan in each kind of flow that the client may use. Raises Unreadable.

    `access.token.lifespan` of the client goes before `accessTokenLifespan` of the realm, but not in the implicit flow;
    -1 stands for the end of the session (TokenManager.getTokenExpiration).
    """
    name = named(client)
    if client.get("implicitFlowEnabled") is True:
        setting = "accessTokenLifespanForImplicitFlow"
        yield _unbounded(settings, Lifespan(client=name, seconds=seconds(settings, setting), setting=setting))
    if has_user_flow(client) or client.get("serviceAccountsEnabled") is True:
        own = attribute_seconds(client, "access.token.lifespan")
        if own is not None:
            yield _unbounded(
                settings, Lifespan(client=name, seconds=own, setting="access.token.lifespan of the client")
            )
        else:
            setting = "accessTokenLifespan"
            yield _unbounded(settings, Lifespan(client=name, seconds=seconds(settings, setting), setting=setting))


def _unbounded(settings: Mapping[str, Any], span: Lifespan) -> Lifespan:
    """With -1 tokens end with the session, at its latest moment."""
    if span.seconds != -1:
        return span
    longest = [seconds(settings, "ssoSessionMaxLifespan")]
    if settings.get("rememberMe") is True:
        longest.append(seconds(settings, "ssoSessionMaxLifespanRememberMe"))
    return Lifespan(client=span.client, seconds=max(longest), setting=f"{span.setting} of -1, the end of the session")


# Cognito


def judge_app_client(
    subject: str, name: str, client: Mapping[str, Any], wanted: LifetimeParameters
) -> Iterator[Finding]:
    """Judge cognito-idp.DescribeUserPoolClient: the longer one of access and id tokens. Validities are in hours."""
    try:
        spans = [
            Lifespan(
                client=name,
                seconds=cognito_seconds(client, field, unit="hours", absent_s=COGNITO_DEFAULT_S),
                setting=field,
            )
            for field in ("AccessTokenValidity", "IdTokenValidity")
        ]
    except Unreadable as why:
        yield unreadable(subject, why)
        return
    over = [span for span in spans if not 0 < span.seconds <= wanted.max_lifetime_s]
    yield Finding.of(
        not over,
        subject=subject,
        observed=", ".join(f"{period(span.seconds)} by {span.setting}" for span in over or spans),
        expected=f"at most {period(wanted.max_lifetime_s)}",
    )
    yield from _admin_warnings(subject, name, spans, over, wanted)


def _admin_warnings(
    subject: str, name: str, spans: Iterable[Lifespan], over: Iterable[Lifespan], wanted: LifetimeParameters
) -> Iterator[Finding]:
    if not re.search(wanted.admin_clients, name):
        return
    failing = tuple(over)
    for span in spans:
        if span.seconds > wanted.admin_lifetime_s and span not in failing:
            yield Finding.warning(
                subject=subject,
                observed=f"{period(span.seconds)} by {span.setting}",
                expected=f"at most {period(wanted.admin_lifetime_s)} for administrators",
            )


def _clients(count: int) -> str:
    return "1 client" if count == 1 else f"{count} clients"


# Code

_JS: Final = ("javascript", "typescript", "tsx")
_OTHER_PURPOSE = r"(?i)refresh|verif|reset|invit|confirm|remember|magic|unsubscri|activat|download|share"
"""Tokens that are no access tokens, by the words around them."""

_OTHERWISE_NAMED = ", ".join(
    f"{{kind: {kind}, has: {{field: {field}, regex: '{_OTHER_PURPOSE}'}}}}"
    for kind, field in (
        ("variable_declarator", "name"),
        ("function_declaration", "name"),
        ("method_definition", "name"),
        ("assignment_expression", "left"),
        ("pair", "key"),
    )
)
_OF_OTHER_PURPOSE = (
    f"""{{any: [{{regex: '{_OTHER_PURPOSE}'}}, {{inside: {{stopBy: end, any: [{_OTHERWISE_NAMED}]}}}}]}}"""
)

PATTERNS = (
    Pattern(
        name="expires-in",
        languages=_JS,
        rule=f"""
all:
  - kind: pair
  - has: {{field: key, regex: '^["'']?expiresIn["'']?$'}}
  - has: {{field: value, pattern: $VALUE}}
  - any:
    - inside:
        stopBy: end
        kind: call_expression
        regex: '^[^(]*\\b(sign|signAsync|signJwt)\\('
        not: {_OF_OTHER_PURPOSE}
    - inside: {{stopBy: end, kind: pair, has: {{field: key, regex: '^["'']?signOptions["'']?$'}}}}
""",
    ),
    Pattern(
        name="expiration-time",
        languages=_JS,
        rule=f"""
all:
  - pattern: $TOKEN.setExpirationTime($VALUE)
  - not: {_OF_OTHER_PURPOSE}
""",
    ),
    Pattern(
        name="endless",
        languages=_JS,
        rule="""
any:
  - pattern: jwt.sign($PAYLOAD, $KEY)
  - pattern: jsonwebtoken.sign($PAYLOAD, $KEY)
has:
  field: arguments
  has:
    kind: object
    nthChild: 1
    not: {has: {any: [{kind: spread_element}, {regex: '\\bexp\\b'}]}}
""",
    ),
    Pattern(
        name="ignored",
        languages=_JS,
        rule="""{kind: pair, regex: '^["'']?ignoreExpiration["'']?\\s*:\\s*(true|1|!0)$'}""",
    ),
    Pattern(
        name="ignored",
        languages=("python",),
        rule="""
any:
  - {kind: pair, regex: '^["'']verify_exp["'']\\s*:\\s*False$'}
  - {kind: keyword_argument, regex: '^verify_exp\\s*=\\s*False$'}
""",
    ),
    Pattern(
        name="unverified",
        languages=("python",),
        rule="""{kind: pair, regex: '^["'']verify_signature["'']\\s*:\\s*False$'}""",
    ),
    Pattern(
        name="none",
        languages=_JS,
        rule="""{kind: pair, regex: '^["'']?(alg|algorithms?)["'']?\\s*:\\s*\\[?[^\\]]*["'']none["'']'}""",
    ),
    Pattern(
        name="none",
        languages=("python",),
        rule="""
any:
  - {kind: keyword_argument, regex: '^algorithms?\\s*=\\s*[\\[(]?[^\\])]*["''](?i:none)["'']'}
  - {kind: pair, regex: '^["'']alg["'']\\s*:\\s*["''](?i:none)["'']'}
""",
    ),
    Pattern(
        name="setting",
        languages=("python",),
        rule="""
any:
  - all:
    - kind: assignment
    - has: {field: left, regex: 'NAMES'}
    - has: {field: right, pattern: $VALUE}
  - all:
    - kind: pair
    - has: {field: key, regex: 'NAMES'}
    - has: {field: value, pattern: $VALUE}
""".replace(
            "NAMES",
            "(^|[^A-Z_])(ACCESS_TOKEN_LIFETIME|(JWT_)?ACCESS_TOKEN_EXPIRES?(_MINUTES|_SECONDS|_HOURS|_DAYS)?"
            "|JWT_EXPIRATION(_DELTA|_MINUTES|_SECONDS|_HOURS|_DAYS)?)([^A-Z_]|$)",
        ),
    ),
    Pattern(
        name="claim",
        languages=("python",),
        rule="""
all:
  - kind: pair
  - has: {field: key, regex: '^["'']exp["'']$'}
  - has: {field: value, has: {stopBy: end, pattern: timedelta($$$VALUE)}}
""",
    ),
)
"""What signs tokens, and what reads them carelessly."""

_FAULTS = {
    "ignored": ("tokens that have ended are accepted", "their end is verified"),
    "none": ("tokens without a signature are accepted or made (alg none)", "one asymmetric algorithm"),
    "endless": ("a token is signed without an end", "tokens with an end"),
}

_MS_UNITS = (
    (r"milliseconds?|msecs?|ms", 0.001),
    (r"seconds?|secs?|s", 1),
    (r"minutes?|mins?|m", 60),
    (r"hours?|hrs?|h", 3600),
    (r"days?|d", 86_400),
    (r"weeks?|w", 604_800),
    (r"years?|yrs?|y", 31_557_600),
)
"""Units of the `ms` package, which jsonwebtoken uses; jose knows the same but milliseconds."""


def judge_match(repository: str, match: Match, wanted: LifetimeParameters) -> Iterator[Finding]:
    """A fail for what is wrong, a warning for what cannot be told, nothing for what is right."""
    subject = f"{repository}: {match.location}"
    if match.pattern in _FAULTS:
        observed, expected = _FAULTS[match.pattern]
        yield Finding.of(False, subject=subject, observed=observed, expected=expected, location=match.location)
        return
    if match.pattern == "unverified":
        yield Finding.warning(
            subject=subject,
            observed="a token is read without verifying it",
            expected="what it says decides nothing",
            location=match.location,
        )
        return
    expected = f"at most {period(wanted.max_lifetime_s)}"
    lifetime = read_lifetime(match)
    if lifetime is None:
        yield Finding.warning(
            subject=subject,
            observed="the lifetime of a token is read from elsewhere",
            expected=expected,
            location=match.location,
        )
    elif not 0 < lifetime <= wanted.max_lifetime_s:
        observed = "tokens never end" if math.isinf(lifetime) else f"tokens end after {period(math.ceil(lifetime))}"
        yield Finding.of(False, subject=subject, observed=observed, expected=expected, location=match.location)


def read_lifetime(match: Match) -> float | None:
    """Seconds; infinite for a setting that switches the end off; None where the code does not say."""
    value = match.capture("VALUE").strip()
    if match.pattern == "expires-in":
        return read_expires_in(value)
    if match.pattern == "expiration-time":
        quoted = _quoted(value)
        return None if quoted is None else read_span(quoted, is_bare_allowed=False)
    if match.pattern == "claim":
        return read_timedelta(value)
    return read_setting(match.text, value)


def read_expires_in(value: str) -> float | None:
    """jsonwebtoken: a number is seconds, a bare numeric text is MILLISECONDS, other texts have a unit."""
    quoted = _quoted(value)
    return read_product(value) if quoted is None else read_span(quoted, is_bare_allowed=True)


def read_span(text: str, *, is_bare_allowed: bool) -> float | None:
    """`2h`, `7 days`, `-10m`, as the `ms` package reads it; seconds."""
    found = re.fullmatch(r"\s*([+-]?\d{1,12}(?:\.\d{1,6})?)\s*([A-Za-z]*)\s*(?:from now)?", text)
    if found is None:
        return None
    if not found[2]:
        return float(found[1]) / 1000 if is_bare_allowed else None
    for unit, size in _MS_UNITS:
        if re.fullmatch(unit, found[2], re.IGNORECASE):
            return float(found[1]) * size
    return None


def read_product(text: str) -> float | None:
    """`60 * 60 * 24`; None for anything but numbers and their products."""
    parts = [part.strip().replace("_", "") for part in text.strip("() ").split("*")]
    if not parts or len(parts) > 8 or any(not re.fullmatch(r"\d{1,12}(\.\d{1,6})?", part) for part in parts):
        return None
    return math.prod(float(part) for part in parts)


_TIMEDELTA = {"weeks": 604_800, "days": 86_400, "hours": 3600, "minutes": 60, "seconds": 1, "milliseconds": 0.001}


def read_timedelta(arguments: str) -> float | None:
    """The arguments of Python's timedelta, as long as all are named (or the one is days) and numbers."""
    total = 0.0
    parts = [part.strip() for part in arguments.split(",") if part.strip()]
    for part in parts:
        name, separator, number = part.partition("=")
        value = read_product(number if separator else part)
        size = _TIMEDELTA.get(name.strip()) if separator else (_TIMEDELTA["days"] if len(parts) == 1 else None)
        if value is None or size is None:
            return None
        total += value * size
    return total


def read_setting(text: str, value: str) -> float | None:
    """A setting of Django, Flask or FastAPI: a timedelta, a number in the unit of its name (seconds by default)."""
    if value in ("False", "None"):
        return math.inf
    called = re.fullmatch(r"(?:\w+\.)*timedelta\((.*)\)", value, re.DOTALL)
    if called:
        return read_timedelta(called[1])
    number = read_product(value)
    if number is None:
        return None
    name = re.split(r"[=:]", text, maxsplit=1)[0].upper()
    unit = next((size for word, size in (("MINUTES", 60), ("HOURS", 3600), ("DAYS", 86_400)) if word in name), 1)
    return number * unit


def _quoted(value: str) -> str | None:
    """The text of a literal without interpolation; None for any other expression."""
    found = re.fullmatch(r"""(["'`])([^"'`$]*)\1""", value)
    return found[2] if found else None
