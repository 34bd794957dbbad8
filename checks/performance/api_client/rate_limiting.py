"""Requests to APIs stay below a rate over all replicas, and counters of incoming requests are shared between them.

Pass          a limiter of outgoing requests is used whose counter all replicas share, or whose rate times `replicas` stays within `quota_per_s`; a limiter of incoming requests counts in a shared store; each method or route of a stage of API Gateway has a limit below `max_incoming_per_s`, by the stage or by a usage plan without whose key nobody gets in
Fail          requests are sent and no limiter is found; a limiter is made and never used; its rate times `replicas` is above `quota_per_s`; incoming requests are counted by each process for itself while there are `replicas`; methods or routes of a stage of API Gateway have none but the quota of the account
Inconclusive  no request is sent and no limiter or stage is found; a limiter of each process with no `quota_per_s` to compare with, or no rate that the code tells; nothing in a repository but one that limits how many run at a time (p-limit), not how many are sent
Error         the checkout is not there, or a file of it could not be read; AWS refused to tell of its APIs
Needs         a checkout of the code; `replicas` and `quota_per_s` as they are in production; `apigateway:GET` where an AWS account is declared
Source        the guide, API Client; RFC 6585, section 4; OWASP ASVS 5.0, 2.4.1; OWASP API Security Top 10 2023, API4; https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-request-throttling.html

A stage without limits that a web ACL stands before is warned of: whether its rules hold anything back is judged by `security.network.ddos-protection`.
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from pydantic import Field

from quub_audit.checks.performance.api_client._calls import (
    JS,
    Code,
    Site,
    import_patterns,
    look,
    occurrences,
    quoted,
    read_imports,
    sites,
)
from quub_audit.checks.performance.api_client._gateway import (
    ApiStage,
    http_stages,
    plan_rate,
    rest_methods,
    rest_stages,
    routes,
    unlimited,
)
from quub_audit.checks.performance.api_client._limits import options_of
from quub_audit.checks.performance.api_client._source import Names, chained, java_seconds, keywords, number
from quub_audit.sdk import Aws, Finding, Match, Parameters, Pattern, Repositories, Repository, check, cut, unread

Direction = Literal["outgoing", "incoming"]


class RateParameters(Parameters):
    """What the checklist may set under `with:`."""

    replicas: int = Field(default=2, ge=1)
    """Processes of the service that run at the same time, at most."""

    quota_per_s: float = Field(default=0.0, ge=0)
    """Requests a second that the API allows to the whole service; 0 where it is not known."""

    max_incoming_per_s: float = Field(default=10_000, gt=0)
    """Requests a second from which on a limit of API Gateway is none: what it allows to a whole account and region."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limiter:
    """One limiter that code makes."""

    site: Site
    library: str
    direction: Direction
    rate_per_s: float | None = None
    """Requests a second; None where it is not told."""
    is_shared: bool = False
    """Whether all replicas count in one store."""
    limits_rate: bool = True
    """False for one that limits how many requests run at a time."""
    is_used: bool = True


@check("Requests stay below a rate that all replicas keep", each=Repository)
def code(subject: Repository, repositories: Repositories, wanted: RateParameters) -> Iterator[Finding]:
    """One finding for each limiter; one for the repository when it sends requests and limits none."""
    found = look(subject, repositories)
    yield from judge(found, list(limiters(subject, repositories, found.names)), wanted)
    yield from unread(subject.name, found.unreadable)


@check("Stages of REST APIs limit what comes in", each=rest_stages, permissions=["apigateway:GET"])
def rest_api(subject: ApiStage, aws: Aws, wanted: RateParameters) -> Finding | None:
    """By the settings of the stage; where those leave a method out, by usage plans and keys."""
    plans = aws.ask("apigateway.GetUsagePlans", region=subject.region).get("items", ())
    return judge_stage(subject, rest_methods(subject, aws), plan_rate(subject, plans), wanted)


@check("Stages of HTTP APIs limit what comes in", each=http_stages, permissions=["apigateway:GET"])
def http_api(subject: ApiStage, aws: Aws, wanted: RateParameters) -> Finding | None:
    """By the settings of the stage and of its routes."""
    return judge_stage(subject, routes(subject, aws), None, wanted)


def judge_stage(
    stage: ApiStage, methods: Mapping[str, bool], by_plan: float | None, wanted: RateParameters
) -> Finding | None:
    """Whether every method is limited; nothing for an API without any."""
    if not methods:
        return None
    free = unlimited(stage, methods, by_plan, wanted.max_incoming_per_s)
    observed = f"{len(free)} of {len(methods)} methods have no limit of their own: {cut(free)}"
    expected = f"each method below {wanted.max_incoming_per_s:g} requests a second"
    if free and stage.has_web_acl:
        return Finding.warning(
            subject=str(stage), observed=f"{observed}; a web ACL stands before them", expected=expected
        )
    return Finding.of(
        not free,
        subject=str(stage),
        observed=observed if free else f"each of {len(methods)} methods is limited",
        expected=expected,
        message=f"{stage}: set throttling for the stage, or require API keys of a usage plan with a rate"
        if free
        else "",
    )


def judge(code: Code, found: Sequence[Limiter], wanted: RateParameters) -> Iterator[Finding]:
    """A finding for each limiter; a fail where requests are sent and none of them limits what goes out."""
    has_rate = any(limiter.direction == "outgoing" and limiter.limits_rate for limiter in found)
    for limiter in found:
        yield judge_limiter(code.repository, limiter, wanted, has_rate=has_rate)
    sending = [call.site for call in code.calls] or [site for site in code.clients if site.language == "java"]
    if sending and not any(limiter.direction == "outgoing" for limiter in found):
        first = sending[0]
        yield Finding.of(
            False,
            subject=f"{code.repository}:{first.location}",
            observed=f"{_places(len(sending))} requests, none is limited",
            expected="a rate within the quota of the API, kept by all replicas",
            message=f"{code.repository} sends requests ({first.shown}) at any rate; "
            "send them through a limiter whose counter all replicas share",
            location=first.location,
        )


def _places(count: int) -> str:
    return "1 place sends" if count == 1 else f"{count} places send"


def judge_limiter(repository: str, limiter: Limiter, wanted: RateParameters, *, has_rate: bool) -> Finding:
    """A pass for a limit that holds for all replicas, a fail for one that does not, else undecided.

    One of how many requests run at a time is a warning where `has_rate`: another limiter keeps a rate beside it.
    """
    site = limiter.site
    subject = f"{repository}:{site.location}"
    holds, observed = (
        _judge_outgoing(limiter, wanted) if limiter.direction == "outgoing" else _incoming(limiter, wanted)
    )
    expected = (
        "a rate within the quota of the API, kept by all replicas"
        if limiter.direction == "outgoing"
        else "requests are counted in a store that all replicas share"
    )
    if not limiter.is_used:
        holds, observed = False, "is made and never used"
    if holds is None and has_rate and not limiter.limits_rate:
        return Finding.warning(
            subject=subject, observed=f"{site.shown}: {observed}", expected=expected, location=site.location
        )
    if holds is None:
        return Finding.undecided(
            subject=subject,
            observed=f"{site.shown}: {observed}",
            expected=expected,
            location=site.location,
            next_step="set `quota_per_s` and `replicas` as in production, and the rate where the limiter is made",
        )
    return Finding.of(
        holds,
        subject=subject,
        observed=f"{site.shown}: {observed}",
        expected=expected,
        message="" if holds else f"{subject} {observed}; share one counter between the replicas, below the quota",
        location=site.location,
    )


def _judge_outgoing(limiter: Limiter, wanted: RateParameters) -> tuple[bool | None, str]:
    if not limiter.limits_rate:
        return None, "limits how many requests run at a time, not how many are sent"
    processes = 1 if limiter.is_shared else wanted.replicas
    counted = "all replicas together" if limiter.is_shared else f"each of {wanted.replicas} replicas"
    if limiter.rate_per_s is not None and wanted.quota_per_s:
        total = limiter.rate_per_s * processes
        observed = f"{limiter.rate_per_s:g} requests a second by {counted}, the quota is {wanted.quota_per_s:g}"
        return total <= wanted.quota_per_s, observed
    if processes == 1:
        rate = "" if limiter.rate_per_s is None else f"{limiter.rate_per_s:g} requests a second, "
        return True, f"{rate}counted for {'all replicas' if limiter.is_shared else 'the only replica'}"
    return None, f"counts for itself in {counted}, and the rate was not compared with a quota"


def _incoming(limiter: Limiter, wanted: RateParameters) -> tuple[bool | None, str]:
    if limiter.is_shared:
        return True, "counts in a shared store"
    if wanted.replicas == 1:
        return True, "counts in the only replica"
    return False, f"counts in each of {wanted.replicas} replicas for itself"


# What is searched for

_MODULES = (
    "bottleneck|limiter|p-limit|p-queue|p-throttle|axios-rate-limit|rate-limiter-flexible|express-rate-limit"
    "|aiolimiter|ratelimit|slowapi|flask_limiter"
)
_IMPORTED = rf"""(["']({_MODULES})["'/]|^(from|import)\s+(aiolimiter|ratelimit|slowapi|flask_limiter)\b)"""

_GO_AND_JAVA = (
    Pattern(
        name="go",
        languages=("go",),
        rule="{kind: call_expression, has: {field: function, regex: '^rate[.]NewLimiter$'}}",
    ),
    Pattern(
        name="java",
        languages=("java",),
        rule=r"""
any:
  - {kind: method_invocation, regex: '^RateLimiter[.]create\('}
  - {kind: method_invocation, regex: '(?s)^RateLimiterConfig[.]custom\(\).*[.]build\(\)$'}
""",
    ),
)

_DIRECT = frozenset({"axios-rate-limit", "express-rate-limit", "ratelimit", "p-throttle", "p-limit"})
"""Libraries whose function is the use: it wraps a client, is handed to a server or decorates a function."""


def limiters(repository: Repository, repositories: Repositories, names: Names) -> Iterator[Limiter]:
    """Every limiter that the code makes, in the order of the code by family of languages."""
    first = repositories.search(repository, patterns=(*import_patterns(_IMPORTED), *_GO_AND_JAVA))
    modules = {(each.file, each.local): each for each in read_imports(first.matches)}
    found: list[Limiter] = []
    if modules:
        locals_ = "|".join(sorted({re.escape(local) for _, local in modules}))
        asked = dict.fromkeys(("javascript", "typescript", "python"), f"^({locals_})([.][A-Za-z_]+)*$")
        for site in sites(repositories.search(repository, patterns=tuple(occurrences(asked))).matches):
            source = modules.get((site.location.file, site.written.split(".")[0]))
            if source is not None:
                exported = site.written.rpartition(".")[2] if "." in site.written else source.exported
                found.extend(_by_library(source.module, exported, site, names))
    wanted = {"go": "^rate[.]NewLimiter$"}
    if any(match.pattern == "go" for match in first.matches):
        for site in sites(repositories.search(repository, patterns=tuple(occurrences(wanted))).matches):
            rate = _go_rate(site, names)
            found.append(Limiter(site=site, library="x/time/rate", direction="outgoing", rate_per_s=rate))
    found.extend(_java(match, names) for match in first.matches if match.pattern == "java")
    if any(limiter.library == "rate-limiter-flexible" for limiter in found):
        calls = repositories.search(repository, patterns=(_CONSUMED,)).matches
        found = [_with_direction(limiter, calls) for limiter in found]
    yield from _with_use(repository, repositories, found)


_CONSUMED = Pattern(
    name="consume", languages=JS, rule="{kind: call_expression, has: {field: function, regex: '[.]consume$'}}"
)


def _with_direction(limiter: Limiter, calls: Sequence[Match]) -> Limiter:
    """A limiter whose key is a fixed text counts the service's own requests, not those of each caller."""
    name = _plain(limiter)
    fixed = re.compile(rf"""(^|[^\w$]){re.escape(name)}\s*\.\s*consume\(\s*["'`][^$]*?["'`]""")
    is_own = limiter.library == "rate-limiter-flexible" and name and any(fixed.search(call.text) for call in calls)
    return replace(limiter, direction="outgoing") if is_own else limiter


_IDENTIFIERS: Final = (
    (JS, ("identifier", "property_identifier", "private_property_identifier", "shorthand_property_identifier")),
    (("python",), ("identifier",)),
    (("go",), ("identifier", "field_identifier")),
)


def _plain(limiter: Limiter) -> str:
    """The limiter's name, or that of what holds it."""
    return limiter.site.name.partition("[")[0]


def _with_use(repository: Repository, repositories: Repositories, found: Sequence[Limiter]) -> Iterator[Limiter]:
    """The limiters, with whether their names stand anywhere else; one without a name is handed on where it is made."""
    names = sorted({_plain(limiter) for limiter in found} - {""})
    mentions: Counter[str] = Counter()
    if names:
        exactly = quoted("^(" + "|".join(map(re.escape, names)) + ")$")
        patterns = [
            Pattern(name="mention", languages=languages, rule=f"{{kind: {kind}, regex: {exactly}}}")  # type: ignore[arg-type]
            for languages, kinds in _IDENTIFIERS
            for kind in kinds
        ]
        mentions.update(match.text for match in repositories.search(repository, patterns=tuple(patterns)).matches)
    for limiter in found:
        name = _plain(limiter)
        is_used = limiter.library in _DIRECT or not name or mentions[name] > 1 or limiter.site.language == "java"
        yield replace(limiter, is_used=bool(is_used))


def _by_library(module: str, exported: str, site: Site, names: Names) -> Iterator[Limiter]:
    library = module.partition(".")[0]
    reader = _READERS.get((library, exported)) or _READERS.get((library, "*"))
    if reader is None or (exported in ("*", "default") and library in ("limiter", "rate-limiter-flexible")):
        return
    yield reader(library, exported, site, names)


def _per_s(amount: str, interval: str, unit_s: float, site: Site, names: Names) -> float | None:
    count, length = number(amount, names, site.location.file), number(interval, names, site.location.file)
    return count / (length * unit_s) if count is not None and length and count < float("inf") else None


def _bottleneck(library: str, _: str, site: Site, names: Names) -> Limiter:
    options = options_of(site, names) or {}
    rate = _per_s("1", options.get("minTime", ""), 1e-3, site, names)
    amount = options.get("reservoirRefreshAmount", "")
    rate = rate or _per_s(amount, options.get("reservoirRefreshInterval", ""), 1e-3, site, names)
    return Limiter(
        site=site,
        library=library,
        direction="outgoing",
        rate_per_s=rate,
        is_shared="redis" in options.get("datastore", ""),
        limits_rate="minTime" in options or "reservoir" in options or "..." in options,
    )


_WORDS_MS = {"second": "1000", "sec": "1000", "minute": "60000", "min": "60000", "hour": "3600000", "day": "86400000"}


def _limiter(library: str, _: str, site: Site, names: Names) -> Limiter:
    options = options_of(site, names) or {}
    interval = options.get("interval", "").strip("\"'`")
    rate = _per_s(options.get("tokensPerInterval", ""), _WORDS_MS.get(interval, interval), 1e-3, site, names)
    return Limiter(site=site, library=library, direction="outgoing", rate_per_s=rate)


def _queue(library: str, _: str, site: Site, names: Names) -> Limiter:
    options = options_of(site, names) or {}
    amount = options.get("intervalCap") or options.get("limit") or options.get("maxRequests", "")
    interval = options.get("interval") or options.get("perMilliseconds", "")
    rate = number(options.get("maxRPS", ""), names, site.location.file) or _per_s(amount, interval, 1e-3, site, names)
    return Limiter(site=site, library=library, direction="outgoing", rate_per_s=rate, limits_rate=rate is not None)


def _p_limit(library: str, _: str, site: Site, names: Names) -> Limiter:
    return Limiter(site=site, library=library, direction="outgoing", limits_rate=False)


def _flexible(library: str, exported: str, site: Site, names: Names) -> Limiter:
    options = options_of(site, names) or {}
    rate = _per_s(options.get("points", ""), options.get("duration", ""), 1.0, site, names)
    is_queue = "Queue" in exported
    return Limiter(
        site=site,
        library=library,
        direction="outgoing" if is_queue else "incoming",
        rate_per_s=rate,
        is_shared=not re.search(r"Memory|Cluster|Queue", exported),
    )


def _express(library: str, _: str, site: Site, names: Names) -> Limiter:
    options = options_of(site, names) or {}
    store = options.get("store", "")
    return Limiter(
        site=site, library=library, direction="incoming", is_shared=bool(store) and "MemoryStore" not in store
    )


def _aiolimiter(library: str, exported: str, site: Site, names: Names) -> Limiter:
    parts = site.parts or ()
    options = keywords(parts)
    plain = [part for part in parts if "=" not in part]
    amount = options.get("max_rate") or options.get("calls") or (plain[0] if plain else "15")
    default = "60" if library == "aiolimiter" else "900"
    period = options.get("time_period") or options.get("period") or (plain[1] if len(plain) > 1 else default)
    return Limiter(
        site=site, library=library, direction="outgoing", rate_per_s=_per_s(amount, period, 1.0, site, names)
    )


def _storage(library: str, _: str, site: Site, names: Names) -> Limiter:
    store = keywords(site.parts or ()).get("storage_uri", "")
    return Limiter(site=site, library=library, direction="incoming", is_shared=bool(store) and "memory:" not in store)


_Reader = Callable[[str, str, Site, Names], Limiter]
_READERS: Final[Mapping[tuple[str, str], _Reader]] = {
    ("bottleneck", "default"): _bottleneck,
    ("limiter", "RateLimiter"): _limiter,
    ("p-limit", "default"): _p_limit,
    ("p-queue", "default"): _queue,
    ("p-throttle", "default"): _queue,
    ("axios-rate-limit", "default"): _queue,
    **{
        ("rate-limiter-flexible", f"RateLimiter{kind}"): _flexible
        for kind in (
            "Memory",
            "Redis",
            "Cluster",
            "Queue",
            "Postgres",
            "Mongo",
            "Memcache",
            "MySQL",
            "DynamoDB",
            "Valkey",
        )
    },
    ("express-rate-limit", "default"): _express,
    ("express-rate-limit", "rateLimit"): _express,
    ("aiolimiter", "AsyncLimiter"): _aiolimiter,
    ("ratelimit", "limits"): _aiolimiter,
    ("slowapi", "Limiter"): _storage,
    ("flask_limiter", "Limiter"): _storage,
}


def _go_rate(site: Site, names: Names) -> float | None:
    first = next(iter(site.parts or ()), "")
    if every := re.match(r"^rate\.Every\((.*)\)$", first, re.DOTALL):
        return _per_s("1", every[1], 1.0, site, names)
    inner = re.match(r"^rate\.Limit\((.*)\)$", first, re.DOTALL)
    return number(inner[1] if inner else first, names, site.location.file)


def _java(match: Match, names: Names) -> Limiter:
    calls = chained(match.text)
    site = Site(
        location=match.location,
        language=match.language,
        text=match.text,
        function=match.text.partition("(")[0],
        written=match.text.partition("(")[0],
    )
    file = match.location.file
    if "create" in calls:
        rate = number(calls["create"], names, file)
    else:
        count = number(calls.get("limitForPeriod", "50"), names, file)
        period_s = java_seconds(calls.get("limitRefreshPeriod", ""), names, file)
        rate = count / period_s if count is not None and period_s else None
    return Limiter(site=site, library="java", direction="outgoing", rate_per_s=rate)
