"""Nothing that clients reach is served, or taken in, over plain HTTP.

Pass          at every address of every endpoint, plain HTTP is refused, answered with 403 or 426 or, for browsers, redirected for good to HTTPS on the same host; HTTPS answers there; internet-facing listeners and CloudFront distributions let no plain HTTP through
Fail          plain HTTP gets content, a cookie, a request for credentials or a WebSocket, or leads to HTTP or to another host; a browser endpoint has no Strict-Transport-Security, a short one, or one that browsers ignore; a listener forwards plain HTTP; a distribution serves or fetches over it
Inconclusive  no endpoint is declared, and no account has an internet-facing listener or a distribution; or, whatever else passes, an internet-facing listener hands port 80 through to its targets and no declared endpoint names its load balancer
Error         the name does not resolve; HTTPS gives no answer between 200 and 499; plain HTTP answers just as HTTPS does, with nothing but errors, so that the paths tell nothing
Needs         a way to ports 80 and 443 of each endpoint; `paths` that answer over HTTPS; `elasticloadbalancing:DescribeLoadBalancers`, `DescribeListeners` and `DescribeRules`, `cloudfront:ListDistributions`
Source        the guide, Network Security; RFC 6797 (HSTS); RFC 9110, section 15.5.22 (426); OWASP ASVS v5.0.0-3.4.1, -3.7.4, -4.1.2, -4.4.1, -12.2.1
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from quub_audit.sdk import (
    Aws,
    Distribution,
    EndpointAddress,
    Environment,
    Finding,
    Http,
    HttpAnswer,
    Listener,
    Parameters,
    Reach,
    Tls,
    check,
    cut,
    distributions,
    endpoint_addresses,
    listeners,
)

PLAIN_EXPECTED = "plain HTTP is refused, answered with 403 or 426, or redirected to HTTPS on the same host"
REFUSALS = (403, 426)
ASKS_CREDENTIALS = (401, 407)
LASTING_REDIRECTS = (301, 308)
REDIRECTS = (301, 302, 303, 307, 308)
ACME = "/.well-known/acme-challenge/"

_LOCATION = re.compile(
    r"https://(?:[^/?#@\\\s]*@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[^/?#:@\\\s\[\]]+)(?::\d*)?(?:[/?#]|$)", re.I
)


class HttpsParameters(Parameters):
    """What the checklist may set under `with:`."""

    hsts_min_age: int = 31_536_000
    """Seconds for which a browser must remember to use HTTPS. ASVS v5.0.0-3.4.1: at least one year."""

    include_subdomains: bool = True
    """Whether Strict-Transport-Security must cover subdomains. ASVS v5.0.0-3.4.1, level 2."""

    preload: bool = False
    """Whether Strict-Transport-Security must ask for the browsers' built-in list. ASVS v5.0.0-3.7.4, level 3."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strictness:
    """What a Strict-Transport-Security header says, as far as a browser heeds it."""

    max_age_s: int
    covers_subdomains: bool
    asks_preload: bool


@check("Plain HTTP gets nothing at any address, and HTTPS answers", each=endpoint_addresses)
def endpoint(subject: EndpointAddress, http: Http, tls: Tls, wanted: HttpsParameters) -> Iterator[Finding]:
    """What is wrong with plain HTTP is said before HTTPS is asked: no HTTPS keeps no fault from being seen."""
    target, address = subject.endpoint, subject.address
    place = f"{target.host} at {address}"
    paths = tuple(dict.fromkeys(("/", *target.paths, "/health")))
    plain: dict[str, HttpAnswer | Reach] = {}
    for path in paths:
        plain[path] = http.get_plain(target, path, address=address)
        if plain[path] in (Reach.REFUSED, Reach.FILTERED):
            break
    faults = [fault for path, answer in plain.items() for fault in plain_faults(path, answer, target.host)]
    if not {Reach.REFUSED, Reach.FILTERED} & set(plain.values()):
        for path in paths:
            upgraded = http.get_plain(target, path, address=address, is_upgrade=True)
            faults += upgrade_faults(path, upgraded)
    yield from (_plain_fault(target.name, place, fault) for fault in faults)

    secure = {path: http.get(target, path, address=address) for path in paths}
    yield from judge_secure(target.name, place, secure)
    if not faults:
        yield from judge_plain(target.name, place, plain, secure, is_api=target.audience == "api")
    if target.audience == "browser":
        scan = tls.scan(target, address=address)
        distrust = [chain.distrust or "the chain is not trusted" for chain in scan.deployments if not chain.is_trusted]
        distrust += ["the certificate is for another name" for chain in scan.deployments if not chain.matches_name]
        yield from judge_hsts(target.name, place, secure, distrust, wanted)


@check(
    "Internet-facing listeners redirect plain HTTP and forward none of it",
    each=listeners,
    permissions=["elasticloadbalancing:DescribeRules"],
)
def listener(subject: Listener, aws: Aws, environment: Environment) -> Iterator[Finding]:
    """Internal load balancers are left out: no public name leads to them."""
    if not subject.balancer.is_public:
        return
    if subject.protocol != "HTTP" or not subject.arn:
        is_tried = subject.balancer.is_behind(environment.endpoints)
        yield from filter(None, [judge_protocol(subject, is_tried=is_tried)])
        return
    answer = aws.ask("elbv2.DescribeRules", region=subject.balancer.region, ListenerArn=subject.arn)
    default = {"Priority": "default", "IsDefault": True, "Actions": subject.default_actions}
    rules = answer.get("Rules") or [default]
    yield from temporary_redirects(str(subject), subject.port, rules)
    yield judge_rules(str(subject), subject.port, rules)


@check("CloudFront distributions serve and fetch over HTTPS alone", each=distributions)
def distribution(subject: Distribution) -> Finding:
    """Every behaviour towards viewers, and every custom origin."""
    return judge_distribution(str(subject), subject.summary)


def plain_faults(path: str, answer: HttpAnswer | Reach, host: str) -> list[str]:
    """What plain HTTP gives away at `path`; nothing where it is refused, redirected to HTTPS or merely an error."""
    if isinstance(answer, Reach) or path.startswith(ACME):
        return []
    faults = []
    if answer.cookies:
        names = cut([cookie.name for cookie in answer.cookies])
        faults.append(f"{path} sets the cookie {names} before TLS")
    if 200 <= answer.status < 300 or answer.status == 101:
        faults.append(f"{path} answers {answer.status} with content")
    elif answer.status in ASKS_CREDENTIALS:
        faults.append(f"{path} answers {answer.status}: it wants credentials in plain text")
    elif answer.status in REDIRECTS and not leads_to_https(answer.header("location"), host):
        faults.append(f"{path} redirects to {answer.header('location')[:200] or 'nowhere'}")
    return faults


def upgrade_faults(path: str, answer: HttpAnswer | Reach) -> list[str]:
    """Whether a WebSocket opens without TLS."""
    is_open = isinstance(answer, HttpAnswer) and answer.status == 101
    return [f"{path} opens a WebSocket (101) without TLS"] if is_open else []


def leads_to_https(location: str, host: str) -> bool:
    """Whether a Location leads to HTTPS on `host` itself. A relative one stays on HTTP."""
    matched = _LOCATION.match(location.strip())
    return matched is not None and _canonical(matched["host"]) == _canonical(host)


def _canonical(host: str) -> str:
    """One spelling for a name with or without the root's dot, in Unicode or Punycode, and for an IPv6 address."""
    bare = host.strip("[]").removesuffix(".").lower()
    try:
        return bare if bare.isascii() else bare.encode("idna").decode("ascii")
    except UnicodeError:
        return bare


def judge_secure(subject: str, place: str, secure: Mapping[str, HttpAnswer]) -> Iterator[Finding]:
    """HTTPS must have answered, or nothing was tested; and must not lead back to HTTP."""
    if not any(200 <= answer.status < 500 for answer in secure.values()):
        statuses = ", ".join(f"{path} {answer.status}" for path, answer in secure.items()) or "nothing"
        yield Finding.error(
            subject=subject,
            message=f"{subject}: HTTPS of {place} answers {statuses} and no more, so nothing was tested",
            next_step="audit the endpoint when the service behind it is up",
        )
    for path, answer in secure.items():
        location = answer.header("location")
        if answer.status in REDIRECTS and location.lower().startswith("http:"):
            yield Finding.of(
                False,
                subject=subject,
                observed=f"HTTPS of {place} redirects {path} to {location[:200]}",
                expected="redirects stay on HTTPS",
            )


def judge_plain(
    subject: str, place: str, plain: Mapping[str, HttpAnswer | Reach], secure: Mapping[str, HttpAnswer], *, is_api: bool
) -> Iterator[Finding]:
    """Plain answers without a fault: a pass, unless they tell nothing.

    Raises ValueError when nothing was asked.
    """
    if not plain:
        raise ValueError(f"{place}: no path was asked over plain HTTP")
    if not any(200 <= answer.status < 500 for answer in secure.values()):
        return
    shut = next((answer for answer in plain.values() if isinstance(answer, Reach)), None)
    if shut is Reach.OPEN:
        yield Finding.error(
            subject=subject,
            message=f"{subject}: port 80 of {place} takes connections but does not answer HTTP; close it",
        )
        return
    answers = {path: answer for path, answer in plain.items() if isinstance(answer, HttpAnswer)}
    telling = [path for path, answer in answers.items() if _tells(answer, secure.get(path))]
    if shut is None and (not telling or any(answer.status >= 500 for answer in answers.values())):
        statuses = ", ".join(f"{path} {answer.status}" for path, answer in answers.items())
        yield Finding.error(
            subject=subject,
            message=f"{subject}: plain HTTP of {place} answers {statuses}, which tells nothing of its content",
            next_step="declare `paths` of the endpoint that answer with content over HTTPS",
        )
        return
    temporary = [
        path
        for path, answer in answers.items()
        if answer.status in REDIRECTS and answer.status not in LASTING_REDIRECTS
    ]
    if temporary:
        yield Finding.warning(
            subject=subject,
            observed=f"plain HTTP of {place} redirects {cut(temporary)} with {answers[temporary[0]].status}",
            expected="301 or 308, which clients remember",
        )
    if is_api and any(answer.status in REDIRECTS for answer in answers.values()):
        yield Finding.warning(
            subject=subject,
            observed=f"plain HTTP of {place} redirects API clients, whose first request was readable",
            expected="API clients are refused: a closed port, 403 or 426 (ASVS v5.0.0-4.1.2)",
        )
    if shut is not None:
        observed = f"port 80 of {place} is {shut.value}, seen from where the audit runs"
    else:
        observed = f"plain HTTP of {place} answers {cut([f'{path} {answers[path].status}' for path in telling])}"
    yield Finding.of(True, subject=subject, observed=f"{observed}; HTTPS answers", expected=PLAIN_EXPECTED)


def _tells(plain: HttpAnswer, secure: HttpAnswer | None) -> bool:
    """Whether a plain answer shows that content is kept back: a mere error does only where HTTPS has no such error."""
    if plain.status in REFUSALS or plain.status in REDIRECTS:
        return True
    return 400 <= plain.status < 500 and secure is not None and secure.status != plain.status


def judge_hsts(
    subject: str, place: str, secure: Mapping[str, HttpAnswer], distrust: Sequence[str], wanted: HttpsParameters
) -> Iterator[Finding]:
    """Judge Strict-Transport-Security on the answers over HTTPS; errors are judged only where nothing else came.

    `distrust` says why browsers refuse the certificate, and so ignore the header (RFC 6797, section 8.1).
    """
    good = {path: answer for path, answer in secure.items() if 200 <= answer.status < 400}
    judged = good or {path: answer for path, answer in secure.items() if answer.status < 500}
    expected = f"max-age of {wanted.hsts_min_age} s or more" + (
        " with includeSubDomains" if wanted.include_subdomains else ""
    )
    problems = []
    for path, answer in judged.items():
        values = answer.header_values("strict-transport-security")
        if len(values) > 1:
            yield Finding.warning(
                subject=subject,
                observed=f"{path} of {place} sends Strict-Transport-Security {len(values)} times; the first counts",
                expected="one header",
            )
        problems += [f"{path} {problem}" for problem in hsts_problems(values[0] if values else None, wanted)]
    if not judged:
        return
    if distrust:
        problems.append(f"browsers ignore Strict-Transport-Security here: {distrust[0]}")
    observed = cut(problems) if problems else f"Strict-Transport-Security on {cut(list(judged))}"
    yield Finding.of(not problems, subject=subject, observed=f"{place}: {observed}", expected=expected)


def hsts_problems(value: str | None, wanted: HttpsParameters) -> list[str]:
    """What a browser would find wanting in the first Strict-Transport-Security header; None where there is none."""
    if value is None:
        return ["has no Strict-Transport-Security"]
    read = read_hsts(value)
    if read is None:
        return [f"has a Strict-Transport-Security that browsers ignore: {value[:100]}"]
    problems = []
    if read.max_age_s < wanted.hsts_min_age:
        problems.append(f"has max-age={read.max_age_s}")
    if wanted.include_subdomains and not read.covers_subdomains:
        problems.append("has no includeSubDomains")
    if wanted.preload and not read.asks_preload:
        problems.append("has no preload")
    return problems


def read_hsts(value: str) -> Strictness | None:
    """Read a header by RFC 6797, section 6.1; None for one that a browser must ignore."""
    found: dict[str, str] = {}
    for directive in value.split(";"):
        name, _, argument = directive.strip().partition("=")
        name = name.strip().lower()
        if not name:
            continue
        if name in found:
            return None
        found[name] = argument.strip()
    age = found.get("max-age", "")
    if len(age) > 1 and age[0] == age[-1] == '"':
        age = age[1:-1]
    if not re.fullmatch(r"[0-9]{1,18}", age):
        return None
    return Strictness(
        max_age_s=int(age), covers_subdomains="includesubdomains" in found, asks_preload="preload" in found
    )


def judge_protocol(subject: Listener, *, is_tried: bool) -> Finding | None:
    """A listener that is not HTTP of the newer generation; None where it carries neither HTTP nor TLS.

    `is_tried` where a declared endpoint names its load balancer: plain HTTP is asked there.
    """
    named, observed = str(subject), f"{subject.protocol}:{subject.port}"
    expected = "HTTPS, or HTTP that only redirects to it"
    if subject.protocol in ("HTTPS", "TLS", "SSL"):
        return Finding.of(True, subject=named, observed=observed, expected=expected)
    if subject.protocol == "HTTP":
        return Finding.of(
            False, subject=named, observed=f"{observed} forwards on a classic balancer", expected=expected
        )
    if subject.port == 80 and subject.is_handed_through:
        tell = Finding.warning if is_tried else Finding.undecided
        return tell(
            subject=named,
            observed=f"{observed} passes port 80 through to its targets",
            expected=expected,
            message=f"{named} passes port 80 through; "
            + (
                "what its targets answer is tried at the endpoint"
                if is_tried
                else f"declare its endpoint with `load_balancer: {subject.balancer.name}`, so that it is tried"
            ),
        )
    return None


def judge_rules(subject: str, port: int, rules: Sequence[Mapping[str, Any]]) -> Finding:
    """Every rule of an HTTP listener must redirect to HTTPS or refuse; ACME challenges may be forwarded.

    Raises ValueError for no rule at all: a listener has at least its default.
    """
    if not rules:
        raise ValueError(f"{subject}: no rule; expected at least the default one")
    faults = [fault for rule in rules for fault in _rule_faults(rule)]
    counted = f"{len(rules)} {'rule' if len(rules) == 1 else 'rules'}"
    return Finding.of(
        not faults,
        subject=subject,
        observed=f"HTTP:{port} {cut(faults)}" if faults else f"HTTP:{port} forwards nothing in {counted}",
        expected="every rule redirects to HTTPS or refuses",
    )


def temporary_redirects(subject: str, port: int, rules: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """A warning when rules redirect with 302, which clients do not remember."""
    names = [
        f"rule {rule.get('Priority', 'default')}"
        for rule in rules
        if any(action.get("RedirectConfig", {}).get("StatusCode") == "HTTP_302" for action in rule.get("Actions", ()))
    ]
    if names:
        yield Finding.warning(
            subject=subject,
            observed=f"HTTP:{port} {cut(names)} redirects with 302",
            expected="301, which clients remember",
        )


def _rule_faults(rule: Mapping[str, Any]) -> Iterator[str]:
    name = f"rule {rule.get('Priority', 'default')}"
    actions = rule.get("Actions", ())
    if not actions:
        yield f"{name} has no action"
    for action in actions:
        kind = action.get("Type")
        if kind == "redirect":
            to = action.get("RedirectConfig", {})
            if to.get("Protocol", "#{protocol}").upper() != "HTTPS":
                yield f"{name} redirects to {to.get('Protocol', '#{protocol}')}"
            elif to.get("Host", "#{host}") != "#{host}":
                yield f"{name} redirects to another host, {to['Host']}"
        elif kind == "fixed-response":
            status = str(action.get("FixedResponseConfig", {}).get("StatusCode", ""))
            if not status.startswith(("4", "5")):
                yield f"{name} answers {status or 'an unknown status'}"
        elif not (kind == "forward" and _is_acme(rule)):
            yield f"{name} has the action {kind}"


def _is_acme(rule: Mapping[str, Any]) -> bool:
    paths = [
        value
        for condition in rule.get("Conditions", ())
        if condition.get("Field") == "path-pattern"
        for value in (condition.get("PathPatternConfig", {}).get("Values") or condition.get("Values") or ())
    ]
    return bool(paths) and all(path.startswith(ACME) for path in paths)


def judge_distribution(subject: str, summary: Mapping[str, Any]) -> Finding:
    """Raises ValueError for a distribution without a default behaviour: no such thing exists."""
    if not summary.get("DefaultCacheBehavior"):
        raise ValueError(f"{subject}: the answer holds no default behaviour")
    behaviours = [("the default behaviour", summary["DefaultCacheBehavior"])]
    behaviours += [
        (f"behaviour {item.get('PathPattern')}", item) for item in summary.get("CacheBehaviors", {}).get("Items", ())
    ]
    faults = [
        f"{name} has the viewer policy {item.get('ViewerProtocolPolicy')}"
        for name, item in behaviours
        if item.get("ViewerProtocolPolicy") not in ("https-only", "redirect-to-https")
    ]
    faults += [
        f"origin {origin.get('Id')} is fetched by {origin['CustomOriginConfig'].get('OriginProtocolPolicy')}"
        for origin in summary.get("Origins", {}).get("Items", ())
        if origin.get("CustomOriginConfig") and origin["CustomOriginConfig"].get("OriginProtocolPolicy") != "https-only"
    ]
    return Finding.of(
        not faults,
        subject=subject,
        observed=cut(faults) if faults else f"HTTPS alone in {len(behaviours)} behaviours and towards every origin",
        expected="viewers by https-only or redirect-to-https, custom origins by https-only",
    )


def _plain_fault(subject: str, place: str, fault: str) -> Finding:
    return Finding.of(False, subject=subject, observed=f"plain HTTP of {place}: {fault}", expected=PLAIN_EXPECTED)
