"""Sessions end by themselves: after some time without use, and after some time whatever happens.

Pass          the realm's sessions end within `idle_s` without use and within `absolute_s` in all, those of "remember me" too; a load balancer that logs people in forgets them within `idle_s`
Fail          a limit is absent, 0 or longer; a load balancer keeps people logged in for longer than `absolute_s` (seven days, where nobody says otherwise); a session cookie of a declared login page outlives `absolute_s`, or lacks `Secure` or `HttpOnly`
Inconclusive  nothing tells its limits: attest them. A cookie passes nothing, because the session on the server may outlive it; whatever else passes, a declared OpenID provider, and a load balancer's session without an idle limit, wait for a person's word
Error         an identity provider or a load balancer refused to tell; a declared login page is not there
Needs         Keycloak: `view-realm`, `view-clients`; `elasticloadbalancing:DescribeLoadBalancers`, `DescribeListeners`, `DescribeRules`
Source        the guide, Authentication; NIST SP 800-63B-3, 4.2.3 (AAL2: 12 hours, 30 minutes without use) and 4.3.3 (AAL3: 15 minutes); PCI DSS v4.0.1, 8.2.8; OWASP ASVS v5.0.0-7.3.1, -7.3.2, -3.3.1, -3.3.2 and -3.3.4

The master realm of Keycloak is judged by `admin_idle_s`. Offline sessions are refresh tokens: here they are a warning where they never end, and the item on refresh tokens judges them. Cognito's `AuthSessionValidity` is the time for one challenge, and no session. Sessions of IAM roles and of IAM Identity Center's permission sets end within 12 hours by themselves.
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeGuard

from pydantic import Field

from quub_audit.sdk import (
    Aws,
    Clock,
    Cookie,
    Endpoint,
    EndpointAddress,
    Finding,
    Http,
    HttpAnswer,
    Identity,
    IdentityProvider,
    Listener,
    Parameters,
    check,
    cut,
    endpoint_addresses,
    listeners,
    subjects,
)

BALANCER_DEFAULT_S = 604_800
"""`SessionTimeout` of an authenticating action that does not say. Seconds; seven days.
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/listener-authenticate-users.html
"""

LOGS_IN = {"authenticate-oidc": "AuthenticateOidcConfig", "authenticate-cognito": "AuthenticateCognitoConfig"}
"""Actions of a listener that log people in, with where each keeps its settings."""

OFFLINE_SCOPE = "offline_access"


class SessionParameters(Parameters):
    """What the checklist may set under `with:`."""

    idle_s: int = Field(default=1800, gt=0)
    """Seconds without use after which a user's session ends. NIST SP 800-63B-3, AAL2."""

    admin_idle_s: int = Field(default=900, gt=0)
    """The same for administrators, seconds. PCI DSS 8.2.8; NIST SP 800-63B-3, AAL3."""

    absolute_s: int = Field(default=43_200, gt=0)
    """Seconds after which a session ends in any case. NIST SP 800-63B-3, AAL2."""

    session_cookies: str = r"(?i)sess|(^|[._-])sid($|[._-])|auth|token|login|remember|identity|jwt"
    """Regular expression of names of cookies that carry a session; where none matches, all do."""


@check("Sessions of a Keycloak realm end by themselves", each=IdentityProvider)
def keycloak(subject: IdentityProvider, identity: Identity, wanted: SessionParameters) -> Iterator[Finding]:
    """One finding for the realm's sessions, and one for offline sessions that never end."""
    if subject.type == "keycloak":
        realm = identity.realm(subject)
        yield judge_realm(f"{subject.name}: realm {realm.name}", realm.name, realm.settings, wanted)
        yield from judge_offline(f"{subject.name}: realm {realm.name}", realm.settings, realm.clients)


@check("Sessions at other identity providers are attested", each=IdentityProvider)
def openid(subject: IdentityProvider) -> Iterator[Finding]:
    """OpenID Connect tells nothing of how long a provider keeps people logged in."""
    if subject.type == "oidc":
        yield Finding.undecided(
            subject=subject.name,
            observed="does not tell how long it keeps people logged in",
            expected="an idle and an absolute limit",
            message=f"{subject.name}: OpenID Connect tells nothing of the provider's sessions; attest their limits",
        )


@check(
    "Load balancers that log people in forget them in time",
    each=listeners,
    permissions=["elasticloadbalancing:DescribeRules"],
)
def balancer(subject: Listener, aws: Aws, wanted: SessionParameters) -> Iterator[Finding]:
    """One finding for each rule that logs people in; nothing for other listeners."""
    if subject.balancer.type != "application" or subject.protocol != "HTTPS":
        return  # only these can log anybody in
    answer = aws.ask("elbv2.DescribeRules", region=subject.balancer.region, ListenerArn=subject.arn)
    yield from judge_rules(subject.arn, answer.get("Rules", ()), wanted)


@subjects(each=Endpoint)
def login_pages(endpoint: Endpoint, http: Http) -> Iterator[EndpointAddress]:
    """Each address of an endpoint with a declared login page."""
    if endpoint.login_path:
        yield from endpoint_addresses(endpoint, http=http)


@check("Cookies of a login page end, and are kept from scripts and plain HTTP", each=login_pages)
def login_page(subject: EndpointAddress, http: Http, clock: Clock, wanted: SessionParameters) -> Iterator[Finding]:
    """A fail for each fault of a session cookie."""
    path = subject.endpoint.login_path
    answer = http.get(subject.endpoint, path, address=subject.address)
    yield from judge_login(str(subject), path, answer, clock.now(), wanted)


def judge_realm(subject: str, name: str, settings: Mapping[str, Any], wanted: SessionParameters) -> Finding:
    """Judge the session limits of a RealmRepresentation, in seconds; 0 is no limit.

    `clientSession...` and the attributes of clients can only shorten them. A limit of "remember me" that is 0 is that
    of other sessions.
    """
    idle_limit = wanted.admin_idle_s if name == "master" else wanted.idle_s
    absolute_limit = wanted.absolute_s
    limits: dict[str, tuple[Any, int]] = {
        "ssoSessionIdleTimeout": (settings.get("ssoSessionIdleTimeout"), idle_limit),
        "ssoSessionMaxLifespan": (settings.get("ssoSessionMaxLifespan"), absolute_limit),
    }
    if settings.get("rememberMe") is True:
        for key, limit in (("ssoSessionIdleTimeout", idle_limit), ("ssoSessionMaxLifespan", absolute_limit)):
            own = settings.get(f"{key}RememberMe")
            if own != 0:
                limits[f"{key}RememberMe"] = (own, limit)
    told = {key: value for key, (value, _) in limits.items() if _is_seconds(value)}
    if unknown := [key for key in limits if key not in told]:
        return Finding.error(
            subject=subject,
            message=f"{subject}: the realm does not tell {cut(unknown)}",
            next_step="look whether the admin API is that of Keycloak 17 or newer",
        )
    wrong = [key for key, value in told.items() if value == 0 or value > limits[key][1]]
    return Finding.of(
        not wrong,
        subject=subject,
        observed=", ".join(f"{key} {_span(value)}" for key, value in told.items()),
        expected=f"idle {_span(idle_limit)} or less, in all {_span(absolute_limit)} or less",
        message=f"{subject}: {cut(wrong)} is too long or no limit; set it in the realm's session settings"
        if wrong
        else "",
    )


def judge_offline(subject: str, settings: Mapping[str, Any], clients: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """A warning where a client may ask for offline sessions, and those that are used never end."""
    if settings.get("offlineSessionMaxLifespanEnabled") is True:
        return
    offering = sorted(
        str(client.get("clientId"))
        for client in clients
        if client.get("enabled", True)
        and any(OFFLINE_SCOPE in (client.get(key) or ()) for key in ("defaultClientScopes", "optionalClientScopes"))
        and (client.get("standardFlowEnabled") or client.get("directAccessGrantsEnabled"))
    )
    if offering:
        yield Finding.warning(
            subject=f"{subject}, offline sessions",
            observed=f"never end while they are used; offered to {cut(offering)}",
            expected="an absolute limit, or no client that may ask for them",
            message=f"{subject}: set offlineSessionMaxLifespanEnabled, or take {OFFLINE_SCOPE} from the clients",
        )


def judge_rules(listener: str, rules: Sequence[Mapping[str, Any]], wanted: SessionParameters) -> Iterator[Finding]:
    """One finding for each rule of elbv2.DescribeRules that logs people in, the default one among them.

    A load balancer has no idle limit: only a session that is as short as the idle limit keeps both.
    """
    idle, absolute = wanted.idle_s, wanted.absolute_s
    for rule in rules:
        for action in rule.get("Actions", ()):
            kind = str(action.get("Type", ""))
            if kind not in LOGS_IN:
                continue
            told = (action.get(LOGS_IN[kind]) or {}).get("SessionTimeout")
            timeout = int(told) if told else BALANCER_DEFAULT_S
            subject = f"{listener} rule {rule.get('Priority', 'default')}"
            observed = f"{kind}, SessionTimeout {_span(timeout)}{'' if told else ', by default'}"
            expected = f"{_span(idle)} or less, or {_span(absolute)} with an idle limit elsewhere"
            if idle < timeout <= absolute:
                yield Finding.undecided(
                    subject=subject,
                    observed=observed,
                    expected=expected,
                    message=f"{subject}: a load balancer has no idle limit; attest that the application has one",
                )
            else:
                yield Finding.of(timeout <= idle, subject=subject, observed=observed, expected=expected)


def judge_login(
    subject: str, path: str, answer: HttpAnswer, now: datetime, wanted: SessionParameters
) -> Iterator[Finding]:
    """Judge the cookies that a login page sets: a fail for each fault, and a warning for what no cookie can prove."""
    page = f"{subject} {path}"
    if answer.status >= 400 and answer.status not in (401, 403):
        yield Finding.error(
            subject=page,
            message=f"{page}: the declared login page answered {answer.status}",
            next_step="correct login_path, or have the page answer",
        )
        return
    lifetimes = [(cookie, lifetime_s(cookie, now)) for cookie in answer.cookies]
    kept = [cookie for cookie, lifetime in lifetimes if lifetime is None or lifetime > 0]
    named = [cookie for cookie in kept if re.search(wanted.session_cookies, cookie.name)] or kept
    absolute = wanted.absolute_s
    for cookie in named:
        yield from _judge_cookie(f"{page}, cookie {cookie.name}", cookie, lifetime_s(cookie, now), absolute)
    if not named:
        yield Finding.warning(
            subject=page,
            observed=f"answered {answer.status} and set no cookie",
            expected="a session cookie",
            message=f"{page}: no session shows without logging in; attest the limits of the session store",
        )


def _judge_cookie(subject: str, cookie: Cookie, lifetime: int | None, absolute: int) -> Iterator[Finding]:
    expected = f"Secure, HttpOnly, SameSite, and {_span(absolute)} or less"
    same_site = next((value.lower() for name, value in cookie.attributes if name == "samesite"), "")
    faults = [f"no {label}" for label, name in (("Secure", "secure"), ("HttpOnly", "httponly")) if not cookie.has(name)]
    if lifetime is not None and lifetime > absolute:
        faults.append(f"lives {_span(lifetime)}")
    if faults:
        yield Finding.of(
            False,
            subject=subject,
            observed=", ".join(faults),
            expected=expected,
            message=f"{subject}: set the attributes where the session starts ({', '.join(faults)})",
        )
        return
    how_long = "until the browser is closed" if lifetime is None else _span(lifetime)
    yield Finding.warning(
        subject=subject,
        observed=f"lives {how_long}, Secure, HttpOnly, SameSite {same_site or 'left to the browser'}",
        expected=expected,
        message=f"{subject}: the cookie is as it should be, but the session on the server may outlive it; "
        "attest the limits of the session store"
        if same_site in ("lax", "strict")
        else f"{subject}: the cookie may be sent by other sites (SameSite {same_site or 'absent'}), and the session "
        "on the server may outlive it; attest its limits",
    )


def lifetime_s(cookie: Cookie, now: datetime) -> int | None:
    """Seconds that a browser keeps the cookie, as RFC 6265 reads Max-Age and Expires; None until it is closed.

    Negative or 0 for one that is deleted. Max-Age wins; of several the last counts; what cannot be read is ignored.
    """
    by_age = _last(_max_age(value) for name, value in cookie.attributes if name == "max-age")
    if by_age is not None:
        return by_age
    return _last(_until(value, now) for name, value in cookie.attributes if name == "expires")


def _last(values: Iterable[int | None]) -> int | None:
    return next((value for value in reversed(list(values)) if value is not None), None)


def _max_age(text: str) -> int | None:
    found = re.fullmatch(r"\s*(-?[0-9]{1,18})\s*", text, re.ASCII)
    return int(found[1]) if found else None


def _until(text: str, now: datetime) -> int | None:
    try:
        ends_at = parsedate_to_datetime(text.replace("-", " "))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if ends_at.tzinfo is None:
        ends_at = ends_at.replace(tzinfo=UTC)
    return int((ends_at - now).total_seconds())


def _is_seconds(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _span(seconds: int) -> str:
    """`30 minutes`, `12 hours`, `7 days`: whole units alone."""
    if seconds == 0:
        return "never"
    for unit, length in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= length and seconds % length == 0:
            count = seconds // length
            return f"{count} {unit}{'s' if count != 1 else ''}"
    return f"{seconds} seconds"
