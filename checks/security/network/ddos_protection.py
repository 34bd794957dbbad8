"""Something beyond the automatic baseline absorbs or limits floods at every public entry.

Pass          each internet-facing load balancer, CloudFront distribution and API stage has a WAF rate rule that blocks or challenges, at `max_rate` or less, or Shield Advanced, or stands locked behind a declared CDN that is seen in live answers
Fail          an entry has none of them; its only rate rule counts, is overridden to count, limits a part of the traffic, or lets more than `max_rate` through; Shield Advanced protects nothing of it
Inconclusive  no public entry is found and no endpoint is declared
Error         endpoints are declared and no public entry is found, or not the load balancer that one names; a declared CDN whose origin cannot be looked at
Needs         `elasticloadbalancing:DescribeLoadBalancers`, `cloudfront:ListDistributions`, `apigateway:GET`, `wafv2:GetWebACLForResource`, `GetWebACL`, `GetRuleGroup`, `shield:ListProtections`, `GetSubscriptionState`, `ec2:DescribeSecurityGroups`, `GetManagedPrefixListEntries`
Source        the guide, Network Security; AWS Well-Architected, SEC 5; OWASP ASVS v5.0.0-2.4.1; `max_rate` is the default of AWS's own WAF blueprints

An entry whose security groups let in no world-wide network is no public entry. Shield Standard is on for everybody and passes nothing, unless `accept_standard` says so.
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from quub_audit.sdk import (
    Aws,
    Distribution,
    Endpoint,
    Environment,
    Finding,
    Grade,
    Http,
    HttpAnswer,
    LoadBalancer,
    Parameters,
    Region,
    check,
    cut,
    distributions,
    exposures,
    load_balancers,
    prefix_list_reader,
    security_groups,
    subjects,
)

RATE_WINDOW_S = 300
"""Seconds to which every rate is brought before it is compared; AWS's default window."""

HOLDS_BACK = ("Block", "Challenge", "Captcha")
ANTI_DDOS_GROUP = "AWSManagedRulesAntiDDoSRuleSet"

CDN_SIGNS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "akamai": (("server", "akamai"), ("x-akamai-request-id", ""), ("akamai-grn", "")),
    "azure": (("x-azure-ref", ""),),
    "bunny": (("server", "bunnycdn"), ("cdn-pullzone", "")),
    "cloudflare": (("cf-ray", ""), ("server", "cloudflare")),
    "cloudfront": (("x-amz-cf-id", ""), ("via", "cloudfront")),
    "fastly": (("x-served-by", "cache-"), ("x-fastly-request-id", "")),
    "google": (("via", "google"),),
    "imperva": (("x-iinfo", ""), ("x-cdn", "imperva")),
}
"""Headers, and what they hold, by which a CDN is known; one is enough."""

PARTITIONS: Mapping[str, str] = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}
"""Partitions of ARNs by the start of their regions' names; `aws` for the others."""

OF_GROUPS = ("ec2:DescribeSecurityGroups", "ec2:GetManagedPrefixListEntries")
OF_RULES = ("shield:GetSubscriptionState", "shield:ListProtections", "wafv2:GetRuleGroup")


class DdosParameters(Parameters):
    """What the checklist may set under `with:`."""

    max_rate: int = 2000
    """Requests that one client may send in 300 seconds before a rule holds it back."""

    accept_standard: bool = False
    """Whether Shield Standard alone, which every account has, is enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage of a REST API that is not private."""

    region: Region
    arn: str

    def __str__(self) -> str:
        return self.arn


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the rules of a web ACL come to."""

    holding: tuple[str, ...] = ()
    """Rules that hold floods back, each with its limit."""
    idle: tuple[str, ...] = ()
    """Rules that look like it and do not, each with the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shield:
    """What Shield Advanced does for an entry."""

    is_active: bool = False
    why_not: str = ""


@subjects(each=Region, permissions=["elasticloadbalancing:DescribeLoadBalancers", *OF_GROUPS])
def public_balancers(region: Region, aws: Aws) -> Iterator[LoadBalancer]:
    """Internet-facing load balancers that the world, and not only some networks, may reach."""
    for balancer in load_balancers(region, aws=aws):
        if balancer.is_public and balancer.type != "gateway" and not is_locked(balancer, aws):
            yield balancer


@check(
    "Load balancers hold floods back",
    each=public_balancers,
    permissions=["wafv2:GetWebACLForResource", *OF_RULES],
)
def load_balancer(subject: LoadBalancer, aws: Aws, wanted: DdosParameters) -> Finding:
    """Only application load balancers have a web ACL; a network one is shielded by its Elastic IP addresses."""
    region = subject.region
    is_application = subject.type == "application"
    limits = limits_before(subject.arn, region, aws, wanted) if is_application else Limits()
    resources: tuple[str, ...] = (subject.arn or f":{region.name}:*:loadbalancer/{subject.name}",)
    if subject.type == "network":
        resources = tuple(f":{region.name}:*:eip-allocation/{allocation}" for allocation in subject.allocations)
    return settle(str(subject), limits, resources, region, aws, wanted)


@check("CloudFront distributions hold floods back", each=distributions, permissions=["wafv2:GetWebACL", *OF_RULES])
def distribution(subject: Distribution, aws: Aws, wanted: DdosParameters) -> Finding:
    """Web ACLs of CloudFront live in us-east-1 under a scope of their own."""
    named = str(subject.summary.get("WebACLId") or "")
    limits = Limits()
    if named.startswith("arn:"):
        name, id_ = named.split("/")[-2:]
        answer = aws.find("wafv2.GetWebACL", region=subject.home, Name=name, Id=id_, Scope="CLOUDFRONT") or {}
        limits = _limits_of(answer.get("WebACL"), subject.home, aws, wanted)
    elif named:
        limits = Limits(idle=(f"{named} is a web ACL of WAF Classic, which is not looked into",))
    return settle(subject.arn, limits, (subject.arn,), subject.home, aws, wanted)


@subjects(each=Region, permissions=["apigateway:GET"])
def stages(region: Region, aws: Aws) -> Iterator[Stage]:
    """Every stage of every REST API that is not private."""
    partition = next((name for start, name in PARTITIONS.items() if region.name.startswith(start)), "aws")
    for api in aws.ask("apigateway.GetRestApis", region=region).get("items", ()):
        if (api.get("endpointConfiguration") or {}).get("types") == ["PRIVATE"]:
            continue
        for stage in aws.ask("apigateway.GetStages", region=region, restApiId=api["id"]).get("item", ()):
            arn = f"arn:{partition}:apigateway:{region.name}::/restapis/{api['id']}/stages/{stage['stageName']}"
            yield Stage(region=region, arn=arn)


@check(
    "API stages hold floods back",
    each=stages,
    permissions=["wafv2:GetRuleGroup", "wafv2:GetWebACLForResource"],
)
def api_stage(subject: Stage, aws: Aws, wanted: DdosParameters) -> Finding:
    """Shield Advanced does not protect a stage by itself; only its web ACL counts."""
    limits = limits_before(subject.arn, subject.region, aws, wanted)
    return judge_entry(subject.arn, limits, Shield(), wanted)


@check(
    "Declared CDNs are seen in live answers, and their origins are locked",
    each=Endpoint,
    permissions=["elasticloadbalancing:DescribeLoadBalancers", *OF_GROUPS],
)
def third_party_cdn(subject: Endpoint, http: Http, aws: Aws, environment: Environment) -> Iterator[Finding]:
    """An origin that is open to the world is judged as the load balancer that it is."""
    if not subject.cdn:
        return
    answers = [http.get(subject, "/", address=address) for address in http.addresses(subject)]
    unseen = [answer.address for answer in answers if not shows_cdn(answer, subject.cdn)]
    origins = [
        balancer
        for region in _regions(environment)
        for balancer in load_balancers(region, aws=aws)
        if subject.load_balancer and subject.load_balancer in (balancer.arn, balancer.name)
    ]
    if subject.load_balancer and not origins:
        return  # `declared` says so
    is_open = any(origin.is_public and not is_locked(origin, aws) for origin in origins)
    yield judge_cdn(subject, unseen, is_open=is_open if origins else None)


@check(
    "Declared endpoints have a public entry in the accounts",
    each=Environment,
    permissions=[
        "elasticloadbalancing:DescribeLoadBalancers",
        "cloudfront:ListDistributions",
        "apigateway:GET",
        *OF_GROUPS,
    ],
)
def declared(subject: Environment, aws: Aws) -> Iterator[Finding]:
    """Errors only: what is declared and not found was not judged."""
    if not subject.endpoints:
        return
    regions = _regions(subject)
    named = [endpoint for endpoint in subject.endpoints if endpoint.load_balancer]
    known: set[str] = set()
    if named:
        known = {
            name for region in regions for each in load_balancers(region, aws=aws) for name in (each.arn, each.name)
        }
    for endpoint in named:
        if endpoint.load_balancer not in known:
            yield _unseen(endpoint.name, f"its load balancer {endpoint.load_balancer} is in no declared account")
    is_found = (
        any(endpoint.cdn for endpoint in subject.endpoints)
        or any(True for region in regions for _ in public_balancers(region, aws=aws))
        or any(True for account in subject.aws for _ in distributions(account, aws=aws))
        or any(True for region in regions for _ in stages(region, aws=aws))
    )
    if not is_found:
        for endpoint in subject.endpoints:
            yield _unseen(endpoint.name, "no public entry was found in any declared account and region")


def is_locked(balancer: LoadBalancer, aws: Aws) -> bool:
    """Whether the groups of a load balancer let in no world-wide network; never without groups."""
    if not balancer.security_groups:
        return False
    groups = security_groups(balancer.region, aws)
    if any(id_ not in groups for id_ in balancer.security_groups):
        return False
    permissions = [each for id_ in balancer.security_groups for each in groups[id_].get("IpPermissions", ())]
    return not exposures(permissions, prefix_list_reader(balancer.region, aws))


def limits_before(arn: str, region: Region, aws: Aws, wanted: DdosParameters) -> Limits:
    """What the web ACL in front of a regional resource limits."""
    answer = aws.find("wafv2.GetWebACLForResource", region=region, ResourceArn=arn) or {}
    return _limits_of(answer.get("WebACL"), region, aws, wanted)


def _limits_of(acl: Mapping[str, Any] | None, region: Region, aws: Aws, wanted: DdosParameters) -> Limits:
    if not acl:
        return Limits()
    groups: dict[str, Sequence[Mapping[str, Any]]] = {}
    for rule in acl.get("Rules", ()):
        arn = rule.get("Statement", {}).get("RuleGroupReferenceStatement", {}).get("ARN")
        if arn:
            found = aws.find("wafv2.GetRuleGroup", region=region, ARN=arn) or {}
            groups[arn] = found.get("RuleGroup", {}).get("Rules", ())
    return read_limits(acl.get("Rules", ()), groups, wanted.max_rate)


def read_limits(
    rules: Sequence[Mapping[str, Any]], groups: Mapping[str, Sequence[Mapping[str, Any]]], max_rate: int
) -> Limits:
    """What the rules of a web ACL limit; `groups` are the rules of each rule group that it refers to, by ARN."""
    holding: list[str] = []
    idle: list[str] = []
    for rule in rules:
        statement = rule.get("Statement", {})
        name = f"rule {rule.get('Name')}"
        is_counted = "Count" in (rule.get("OverrideAction") or {})
        inner: list[tuple[str, str]] = []
        if "RateBasedStatement" in statement:
            inner = [(name, rate_problem(rule, max_rate))]
        elif "RuleGroupReferenceStatement" in statement:
            reference = statement["RuleGroupReferenceStatement"]
            counted = _counted_rules(reference)
            inner = [
                (f"{name}, {part.get('Name')}", "is overridden to count" if part.get("Name") in counted else problem)
                for part in groups.get(reference["ARN"], ())
                if "RateBasedStatement" in part.get("Statement", {})
                for problem in (rate_problem(part, max_rate),)
            ]
        elif statement.get("ManagedRuleGroupStatement", {}).get("Name") == ANTI_DDOS_GROUP:
            inner = [(name, _managed_problem(statement["ManagedRuleGroupStatement"]))]
        for part_name, problem in inner:
            if is_counted or problem:
                idle.append(f"{part_name} {'is overridden to count' if is_counted else problem}")
            else:
                holding.append(part_name)
    return Limits(holding=tuple(holding), idle=tuple(idle))


def rate_problem(rule: Mapping[str, Any], max_rate: int) -> str:
    """Why a rate-based rule does not count; an empty text for one that does."""
    statement = rule["Statement"]["RateBasedStatement"]
    action = next(iter(rule.get("Action") or {}), "no action")
    if action not in HOLDS_BACK:
        return f"only has the action {action}"
    scope = statement.get("ScopeDownStatement")
    if scope and "NotStatement" not in scope:
        return "limits a part of the traffic"
    keys = [key for each in statement.get("CustomKeys", ()) for key in each]
    if statement.get("AggregateKeyType") == "CUSTOM_KEYS" and not {"IP", "ForwardedIP"} & set(keys):
        return f"counts by {cut(keys)}, which a client may vary"
    window_s = statement.get("EvaluationWindowSec") or RATE_WINDOW_S
    rate = statement["Limit"] * RATE_WINDOW_S / window_s
    if rate > max_rate:
        return f"lets {rate:.0f} requests per {RATE_WINDOW_S} s through ({statement['Limit']} per {window_s} s)"
    return ""


def _counted_rules(reference: Mapping[str, Any]) -> set[str]:
    counted = {each["Name"] for each in reference.get("ExcludedRules", ())}
    return counted | {
        each["Name"] for each in reference.get("RuleActionOverrides", ()) if "Count" in each.get("ActionToUse", {})
    }


def _managed_problem(statement: Mapping[str, Any]) -> str:
    if statement.get("ScopeDownStatement"):
        return "limits a part of the traffic"
    counted = _counted_rules(statement)
    return f"counts only in {cut(sorted(counted))}" if counted else ""


def settle(
    subject: str, limits: Limits, resources: Sequence[str], region: Region, aws: Aws, wanted: DdosParameters
) -> Finding:
    """Judge an entry; Shield is asked only where no rule settles it, and its subscription only for a protection.

    `resources` must all be protected, each an ARN, or the end of one with `*` for the account; none where Shield
    Advanced has nothing to protect.
    """
    shield = Shield()
    if resources and not limits.holding:
        home = Region(account=region.account, name="us-east-1")
        listed = (aws.find("shield.ListProtections", region=home) or {}).get("Protections", ())
        protected = [str(each.get("ResourceArn", "")) for each in listed]
        if all(any(is_same_resource(wanted_arn, arn) for arn in protected) for wanted_arn in resources):
            state = aws.ask("shield.GetSubscriptionState", region=home).get("SubscriptionState", "unknown")
            shield = Shield(is_active=state == "ACTIVE", why_not=f"Shield Advanced is {state}")
    return judge_entry(subject, limits, shield, wanted)


def is_same_resource(wanted: str, arn: str) -> bool:
    """Whether `arn` is the resource `wanted`: an ARN, or `:REGION:*:RESOURCE` for any account."""
    if wanted.startswith("arn:"):
        return wanted == arn
    parts = arn.split(":", 5)
    return len(parts) == 6 and wanted == f":{parts[3]}:*:{parts[5]}"


def judge_entry(subject: str, limits: Limits, shield: Shield, wanted: DdosParameters) -> Finding:
    """Judge one public entry by what stands in front of it."""
    expected = f"a WAF rule that blocks above {wanted.max_rate} requests per {RATE_WINDOW_S} s, or Shield Advanced"
    if limits.holding:
        observed = f"held back by {cut(limits.holding)}"
    elif shield.is_active:
        observed = "protected by Shield Advanced"
    elif wanted.accept_standard:
        observed = "Shield Standard alone, which the checklist accepts"
    else:
        reasons = [*limits.idle, *([shield.why_not] if shield.why_not else [])]
        observed = cut(reasons) or "no rate rule and no Shield Advanced protection"
        return Finding.of(False, subject=subject, observed=observed, expected=expected)
    return Finding.of(True, subject=subject, observed=observed, expected=expected)


def judge_cdn(endpoint: Endpoint, unseen: Sequence[str], *, is_open: bool | None) -> Finding:
    """Judge a declared CDN. `unseen` are addresses that do not show it; `is_open` is None for an unknown origin."""
    expected = f"every address answers through {endpoint.cdn}, the origin admits nothing else"
    seen = f"{cut(unseen)} shows no sign of {endpoint.cdn}" if unseen else f"every address shows {endpoint.cdn}"
    if is_open:
        return Finding.warning(
            subject=endpoint.name, observed=f"{seen}; the origin can be reached around it", expected=expected
        )
    if is_open is None and not unseen:
        return Finding.error(
            subject=endpoint.name,
            message=f"{endpoint.name}: {seen}, but whether its origin is locked could not be looked at",
            next_step="declare the endpoint's `load_balancer`",
        )
    origin = "the origin is locked" if is_open is False else "the origin is not declared"
    return Finding.of(
        not unseen, subject=endpoint.name, observed=f"{seen}; {origin}", expected=expected, grade=Grade.LIVE
    )


def shows_cdn(answer: HttpAnswer, cdn: str) -> bool:
    """Whether an answer's headers name the CDN; one that is not known here must stand by name in via or server."""
    signs = next((signs for name, signs in CDN_SIGNS.items() if name in cdn.lower()), None)
    if signs is None:
        signs = tuple((header, cdn.lower()) for header in ("via", "server", "x-cdn"))
    return any(sign in value.lower() for header, sign in signs for value in answer.header_values(header))


def _regions(environment: Environment) -> tuple[Region, ...]:
    return tuple(region for account in environment.aws for region in account.regions)


def _unseen(name: str, why: str) -> Finding:
    return Finding.error(
        subject=name,
        message=f"{name}: {why}, so what protects it was not looked at",
        next_step="declare the account and region that serve it, or its CDN",
    )
