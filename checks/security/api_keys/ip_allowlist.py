"""Calls to Quub leave by the addresses registered there, and restricted endpoints let listed networks in.

Pass          every subnet of an ECS service leaves by NAT gateways whose addresses are the networks of ``quub.egress``,
              no more and no fewer; every allow-list before a declared load balancer is enforced, narrow and not empty
Fail          an address of ours is not registered, or a registered one is not ours; a task has a public address of its
              own; a way out over IPv6 is open while no IPv6 network is registered; a list is empty, too wide, too long,
              only counts, or trusts a header; a restricted endpoint lets anybody in
Inconclusive  the environment declares no egress, and no endpoint is restricted; or, whatever else passes, a service
              leaves and no egress is declared, nothing of ours is seen to leave by the registered networks, or a subnet
              leaves by something whose addresses cannot be followed: attest the addresses
Error         a source refused to tell; tasks share the network of their host; a restricted endpoint names no load
              balancer
Needs         ``quub.egress``: the networks that Quub has registered for this key. Quub itself cannot be asked
Source        The guide, API Keys; RFC 4632; OWASP ASVS 5.0, v5.0.0-13.2.4; the widths are house rules
"""

from __future__ import annotations

import fnmatch
import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from quub_audit.checks.security.api_keys._workloads import SERVICE_PERMISSIONS, Service, list_services, services
from quub_audit.sdk import (
    Account,
    Aws,
    Endpoint,
    Environment,
    Finding,
    FindingStatus,
    Grade,
    Parameters,
    Quub,
    Region,
    check,
    subjects,
)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
REGISTERED = "leaves by registered addresses only"
RESTRICTED = "lets only listed networks in"
PATH_PERMISSIONS = ("ec2:DescribeNatGateways", "ec2:DescribeRouteTables", "ec2:DescribeSubnets")


class AllowlistParameters(Parameters):
    """What the checklist may set under ``with:``."""

    max_prefix_v4: int = 24
    """Prefix length of the widest IPv4 network in a list. House rule."""
    max_prefix_v6: int = 48
    """Prefix length of the widest IPv6 network in a list. House rule."""
    max_entries: int = 100
    """Most networks in a list; a longer one is nobody's to review. House rule."""
    services: tuple[str, ...] = ("*",)
    """Globs over `cluster/service`: the ECS services that call Quub."""
    restricted: tuple[str, ...] = ()
    """Names of endpoints that only listed networks may reach: those for administrators and partners."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WayOut:
    """How the tasks in one subnet reach the internet."""

    subnet: str
    addresses: frozenset[str] = frozenset()
    """Public IPv4 addresses of the NAT gateways on the way."""
    is_direct: bool = False
    """Over an internet gateway, with an address of the task's own."""
    is_open_v6: bool = False
    """There is a way out over IPv6."""
    unknown: str = ""
    """What the way leads over, when its addresses cannot be followed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowList:
    """One list of networks, and what is wrong with how it is enforced."""

    source: str
    """`WAF rule partners`, `security group sg-1`."""
    entries: tuple[str, ...]
    problems: tuple[str, ...] = ()
    is_exclusive: bool = True
    """Everything outside the list is kept out; else the list may exempt its members from something and no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """A declared endpoint with the load balancer behind it."""

    endpoint: Endpoint
    region: Region
    load_balancer: Mapping[str, Any]
    """As elbv2.DescribeLoadBalancers gives it."""

    def __str__(self) -> str:
        return f"{self.endpoint.name} ({self.load_balancer['LoadBalancerName']})"


# (a) Our way to Quub


@check("ECS services leave by the addresses registered at Quub", each=services, permissions=PATH_PERMISSIONS)
def egress(subject: Service, aws: Aws, environment: Environment, wanted: AllowlistParameters) -> Iterator[Finding]:
    """One finding for each service that calls Quub; where no network is registered, it names its addresses."""
    if not _calls_quub(subject, wanted):
        return
    declared = environment.quub.egress if environment.quub else ()
    if subject.networks:
        yield from judge_ways(str(subject), list(_ways_of(subject, aws)), declared)
    elif declared:
        yield Finding.error(
            subject=str(subject),
            message=f"{subject}: its tasks share the network of their host, so their way out was not followed",
            next_step="run them in the network mode awsvpc",
        )


@check(
    "The networks registered at Quub are narrow and all ours",
    each=Quub,
    permissions=[*SERVICE_PERMISSIONS, *PATH_PERMISSIONS],
)
def registered(subject: Quub, aws: Aws, environment: Environment, wanted: AllowlistParameters) -> Iterator[Finding]:
    """One finding where `quub.egress` is declared; it passes only beside addresses that are in use."""
    if not subject.egress:
        return
    found = (
        service for account in environment.aws for region in account.regions for service in list_services(region, aws)
    )
    addresses = {
        address
        for service in found
        if _calls_quub(service, wanted)
        for way in _ways_of(service, aws)
        for address in way.addresses
    }
    yield judge_registered(f"{subject} egress", subject.egress, addresses, wanted)


def _calls_quub(service: Service, wanted: AllowlistParameters) -> bool:
    return any(fnmatch.fnmatchcase(service.name, glob) for glob in wanted.services)


def _ways_of(service: Service, aws: Aws) -> Iterator[WayOut]:
    for subnets, is_public in service.networks:
        yield from _ways_out(service.region, subnets, is_public, aws)


def _ways_out(region: Region, subnets: Sequence[str], is_public: bool, aws: Aws) -> Iterator[WayOut]:
    described = aws.ask("ec2.DescribeSubnets", region=region, SubnetIds=sorted(subnets))["Subnets"]
    for subnet in sorted(described, key=lambda each: str(each["SubnetId"])):
        tables = aws.ask(
            "ec2.DescribeRouteTables",
            region=region,
            Filters=[{"Name": "vpc-id", "Values": [subnet["VpcId"]]}],
        )["RouteTables"]
        routes = routes_of(subnet["SubnetId"], tables)
        gateways = sorted({route["NatGatewayId"] for route in routes if route.get("NatGatewayId")})
        nats: Sequence[Mapping[str, Any]] = ()
        if gateways:
            nats = aws.ask("ec2.DescribeNatGateways", region=region, NatGatewayIds=gateways)["NatGateways"]
        yield read_way(subnet, routes, nats, is_public=is_public)


def routes_of(subnet_id: str, tables: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The active routes of a subnet: of the table associated with it, or else of the main table of its VPC.

    Raises ValueError when there is neither: AWS gives every VPC a main table.
    """
    own: Mapping[str, Any] | None = None
    main: Mapping[str, Any] | None = None
    for table in tables:
        for association in table.get("Associations", ()):
            if association.get("SubnetId") == subnet_id:
                own = table
            elif association.get("Main"):
                main = table
    decisive = own or main
    if decisive is None:
        raise ValueError(f"{subnet_id} has no route table")
    return [route for route in decisive["Routes"] if route.get("State", "active") == "active"]


def read_way(
    subnet: Mapping[str, Any],
    routes: Sequence[Mapping[str, Any]],
    nats: Sequence[Mapping[str, Any]],
    *,
    is_public: bool,
) -> WayOut:
    """How tasks in `subnet` reach the internet. A route to part of the internet counts as one to all of it."""
    unknown = ""
    is_direct = is_open_v6 = False
    for route in routes:
        gateway = str(route.get("GatewayId") or "")
        if route.get("DestinationIpv6CidrBlock") and _is_outside(route["DestinationIpv6CidrBlock"]):
            has_v6 = bool(subnet.get("Ipv6CidrBlockAssociationSet"))
            is_open_v6 |= has_v6 and (bool(route.get("EgressOnlyInternetGatewayId")) or gateway.startswith("igw-"))
        if not route.get("DestinationCidrBlock") or not _is_outside(route["DestinationCidrBlock"]):
            continue
        if gateway.startswith("igw-"):
            is_direct |= is_public
            unknown = unknown if is_public else gateway
        elif gateway in ("", "local") and route.get("NatGatewayId"):
            continue
        elif gateway != "local":
            unknown = gateway or _other_target(route)
    addresses = frozenset(
        str(address["PublicIp"])
        for nat in nats
        if nat.get("State") in (None, "available", "pending")
        for address in nat.get("NatGatewayAddresses", ())
        if address.get("PublicIp")
    )
    return WayOut(
        subnet=str(subnet["SubnetId"]),
        addresses=addresses,
        is_direct=is_direct,
        is_open_v6=is_open_v6,
        unknown=unknown,
    )


def _is_outside(cidr: str) -> bool:
    network = _network(cidr)
    return network is not None and (network.prefixlen == 0 or network.is_global)


def _other_target(route: Mapping[str, Any]) -> str:
    targets = ("TransitGatewayId", "VpcPeeringConnectionId", "NetworkInterfaceId", "InstanceId", "LocalGatewayId")
    return next((str(route[target]) for target in targets if route.get(target)), "an unknown target")


def judge_ways(subject: str, ways: Sequence[WayOut], registered: Sequence[str]) -> Iterator[Finding]:
    """Judge where a service leaves. Without a registered network only a task's own address is judged."""
    direct = sorted({way.subnet for way in ways if way.is_direct})
    if direct:
        yield Finding.of(
            False,
            subject=subject,
            observed=f"tasks in {_cut(direct)} have public addresses of their own (assignPublicIp is ENABLED)",
            expected=REGISTERED,
            message=f"{subject}: its address changes with every task; send it through a NAT gateway instead",
        )
        return
    addresses = sorted({address for way in ways for address in way.addresses}, key=ipaddress.ip_address)
    unknown = sorted({f"{way.subnet} by {way.unknown}" for way in ways if way.unknown})
    if not registered:
        if addresses or unknown:
            yield Finding.undecided(
                subject=subject,
                observed=f"leaves by {_cut(addresses or unknown)}",
                expected="these are registered at Quub and declared under quub.egress",
                message=f"{subject}: whether Quub lets in only {_cut(addresses or unknown)} is not known; declare "
                "quub.egress, name the services that call Quub under `services`, or attest the addresses",
            )
        return
    networks = [network for entry in registered if (network := _network(entry))]
    if any(way.is_open_v6 for way in ways) and not any(network.version == 6 for network in networks):
        yield Finding.of(
            False,
            subject=subject,
            observed="may leave over IPv6, and no IPv6 network is registered",
            expected=REGISTERED,
        )
        return
    strange = [address for address in addresses if not _is_in(address, networks)]
    if strange:
        yield Finding.of(
            False,
            subject=subject,
            observed=f"leaves by {_cut(strange)}, not registered at Quub",
            expected=REGISTERED,
            message=f"{subject}: {_cut(strange)} is not in quub.egress; register it, or Quub will refuse the call",
        )
        return
    if unknown:
        yield Finding.undecided(
            subject=subject,
            observed=f"leaves {_cut(unknown)}",
            expected=REGISTERED,
            message=f"{subject}: {_cut(unknown)} was not followed, so its addresses are not known; "
            "send it through a NAT gateway, or attest the addresses",
        )
    elif addresses:
        yield Finding.of(True, subject=subject, observed=f"leaves by {_cut(addresses)}", expected=REGISTERED)
    else:
        yield Finding.warning(subject=subject, observed="has no way out to the internet", expected=REGISTERED)


def judge_registered(
    subject: str, registered: Sequence[str], addresses: Iterable[str], wanted: AllowlistParameters
) -> Finding:
    """Whether the registered networks are narrow and hold nothing but addresses by which something of ours leaves.

    Undecided where they are narrow and there is no address to compare them with.
    """
    ours = set(addresses)
    problems = list_problems(registered, wanted)
    foreign = []
    for entry in registered:
        network = _network(entry)
        held = {address for address in ours if network is not None and _is_in(address, [network])}
        if ours and network is not None and len(held) != network.num_addresses:
            foreign.append(entry)
    if foreign:
        problems.append(f"{_cut(foreign)} holds addresses by which nothing of ours leaves")
    if not problems and not ours:
        return Finding.undecided(
            subject=subject,
            observed=f"{_cut(registered)} is registered, and nothing was found that leaves by it",
            expected="every registered address is one of ours",
            message=f"{subject}: no ECS service was found that leaves by {_cut(registered)}; "
            "declare the account of the service, or attest that the addresses are yours alone",
        )
    return Finding.of(
        not problems,
        subject=subject,
        observed="; ".join(problems) or f"{_cut(registered)}, all of them ours",
        expected=f"{_limits(wanted)}, every address ours",
    )


# (b) Who may reach us


@subjects(each=Endpoint, permissions=["elasticloadbalancing:DescribeLoadBalancers"])
def fronts(endpoint: Endpoint, aws: Aws, environment: Environment) -> Iterator[Front]:
    """The load balancer behind each endpoint that names one, wherever in our accounts it is."""
    if not endpoint.load_balancer:
        return
    is_arn = endpoint.load_balancer.startswith("arn:")
    asked = {"LoadBalancerArns" if is_arn else "Names": [endpoint.load_balancer]}
    for region in _regions(environment.aws, endpoint.load_balancer if is_arn else ""):
        answer = aws.find("elbv2.DescribeLoadBalancers", region=region, **asked)
        for balancer in (answer or {}).get("LoadBalancers", ()):
            yield Front(endpoint=endpoint, region=region, load_balancer=balancer)


def _regions(accounts: Sequence[Account], arn: str) -> Iterator[Region]:
    parts = arn.split(":")
    for account in accounts:
        for region in account.regions:
            if not arn or (len(parts) > 4 and (region.name, account.account_id) == (parts[3], parts[4])):
                yield region


@check(
    "Allow-lists in front of a load balancer are enforced, narrow and not empty",
    each=fronts,
    permissions=[
        "ec2:DescribeSecurityGroups",
        "ec2:GetManagedPrefixListEntries",
        "elasticloadbalancing:DescribeListeners",
        "elasticloadbalancing:DescribeRules",
        "wafv2:GetIPSet",
        "wafv2:GetWebACLForResource",
    ],
    grade=Grade.CONTROL_PLANE,
)
def ingress(subject: Front, aws: Aws, wanted: AllowlistParameters) -> Iterator[Finding]:
    """One finding for each web ACL that lists networks; for a restricted endpoint, one for all layers together."""
    is_restricted = subject.endpoint.name in wanted.restricted
    of_waf = list(_waf_lists(subject, aws))
    if not is_restricted:
        for listed in (each for each in of_waf if each.is_exclusive):
            yield judge_list(f"{subject}: {listed.source}", listed, wanted)
        return
    layers = [*of_waf, *_group_lists(subject, aws), *_rule_lists(subject, aws)]
    yield judge_layers(str(subject), layers, wanted)


@check("Each restricted endpoint is declared with a load balancer in AWS", each=Environment)
def restricted(subject: Environment, wanted: AllowlistParameters) -> Iterator[Finding]:
    """An error for each name in `restricted` that leads nowhere; nothing where another check looks."""
    declared = {endpoint.name: endpoint for endpoint in subject.endpoints}
    for name in wanted.restricted:
        endpoint = declared.get(name)
        if endpoint is None:
            yield _unseen(name, "is not declared")
        elif not endpoint.load_balancer:
            yield _unseen(name, "declares no load_balancer")
        elif not subject.aws:
            yield _unseen(name, "names a load balancer, and the environment declares no `aws:`")


@check(
    "The load balancer of each restricted endpoint is there",
    each=Endpoint,
    permissions=["elasticloadbalancing:DescribeLoadBalancers"],
    grade=Grade.CONTROL_PLANE,
)
def restricted_found(
    subject: Endpoint, aws: Aws, environment: Environment, wanted: AllowlistParameters
) -> Iterator[Finding]:
    """An error where a restricted endpoint names a load balancer that no declared account has."""
    is_wanted = subject.name in wanted.restricted and subject.load_balancer
    if is_wanted and not any(fronts(subject, aws=aws, environment=environment)):
        yield _unseen(subject.name, f"names the load balancer {subject.load_balancer}, which no declared account has")


def _unseen(name: str, why: str) -> Finding:
    return Finding.error(
        subject=name,
        message=f"{name}: the endpoint {why}, so who may reach it was not looked at",
        next_step="correct the endpoint and its load_balancer, or take it out of `restricted`",
    )


def _waf_lists(front: Front, aws: Aws) -> Iterator[AllowList]:
    arn = str(front.load_balancer["LoadBalancerArn"])
    if front.load_balancer.get("Type") == "network":
        return
    answer = aws.find("wafv2.GetWebACLForResource", region=front.region, ResourceArn=arn) or {}
    acl = answer.get("WebACL")
    if not acl:
        return
    sets: dict[str, Mapping[str, Any]] = {}
    for ip_set in sorted(ip_sets_of(acl)):
        parts = ip_set.split("/")  # arn:...:regional/ipset/NAME/ID
        asked = {"Name": parts[-2], "Id": parts[-1], "Scope": "REGIONAL"}
        sets[ip_set] = aws.ask("wafv2.GetIPSet", region=front.region, **asked)["IPSet"]
    listed = read_acl(acl, sets)
    if listed is not None:
        yield listed


def ip_sets_of(acl: Mapping[str, Any]) -> set[str]:
    """ARNs of every IP set that any rule of a web ACL refers to, however deep."""
    found: set[str] = set()
    waiting = [rule.get("Statement", {}) for rule in acl.get("Rules", ())]
    while waiting:
        statement = waiting.pop()
        if "IPSetReferenceStatement" in statement:
            found.add(str(statement["IPSetReferenceStatement"]["ARN"]))
        for part in statement.values():
            if isinstance(part, Mapping):
                waiting.extend(part.get("Statements", ()))
                waiting.extend([part["Statement"]] if isinstance(part.get("Statement"), Mapping) else [])
    return found


def read_acl(acl: Mapping[str, Any], ip_sets: Mapping[str, Mapping[str, Any]]) -> AllowList | None:
    """The allow-list that a web ACL amounts to; None where no rule names networks to let in.

    Two forms: the default action blocks and rules allow the listed networks; or it allows, and a rule blocks all
    that is not listed. In the first, an Allow rule without a list is a hole.
    """
    blocks_by_default = "Block" in acl.get("DefaultAction", {})
    entries: list[str] = []
    names: list[str] = []
    problems: list[str] = []
    holes: list[str] = []
    is_exclusive = blocks_by_default
    for rule in acl.get("Rules", ()):
        statement, action, name = rule.get("Statement", {}), rule.get("Action") or {}, str(rule.get("Name"))
        inverted = statement.get("NotStatement", {}).get("Statement", {})
        lets_in = _required_sets(statement) if "Allow" in action or "Count" in action else None
        keeps_out = _required_sets(inverted) if "Block" in action or "Count" in action else None
        needed = keeps_out if inverted else lets_in
        if "Allow" in action and not needed:
            holes.append(f"rule {name} allows without a list")
        if "RuleGroupReferenceStatement" in statement and blocks_by_default:
            holes.append(f"rule {name} is a rule group that was not looked into")
        if not needed:
            continue
        is_exclusive |= bool(inverted)
        names.append(name)
        entries.extend(entry for arn in sorted(needed) for entry in ip_sets.get(arn, {}).get("Addresses", ()))
        if "Count" in action:
            problems.append(f"rule {name} only counts")
        if not inverted and not blocks_by_default:
            problems.append("the default action is Allow")
        if _trusts_header(statement):
            problems.append(f"rule {name} trusts a header that callers may set")
    if not names:
        return None
    return AllowList(
        source=f"web ACL {acl.get('Name')}, {'rule' if len(names) == 1 else 'rules'} {', '.join(names)}",
        entries=tuple(dict.fromkeys(entries)),
        problems=tuple(dict.fromkeys([*problems, *(holes if blocks_by_default else ())])),
        is_exclusive=is_exclusive,
    )


def _required_sets(statement: Mapping[str, Any]) -> set[str]:
    """IP sets of which a request must be in one for `statement` to match; empty when it may match without."""
    if "IPSetReferenceStatement" in statement:
        return {str(statement["IPSetReferenceStatement"]["ARN"])}
    if "AndStatement" in statement:
        parts = [_required_sets(part) for part in statement["AndStatement"]["Statements"]]
        return next((part for part in parts if part), set())
    if "OrStatement" in statement:
        parts = [_required_sets(part) for part in statement["OrStatement"]["Statements"]]
        return set[str]().union(*parts) if parts and all(parts) else set()
    return set()


def _trusts_header(statement: Mapping[str, Any]) -> bool:
    waiting: list[Any] = [statement]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Mapping):
            if part.get("IPSetForwardedIPConfig"):
                return True
            waiting.extend(part.values())
        elif isinstance(part, list | tuple):
            waiting.extend(part)
    return False


def _group_lists(front: Front, aws: Aws) -> Iterator[AllowList]:
    ids = list(front.load_balancer.get("SecurityGroups") or ())
    if not ids:
        return
    groups = aws.ask("ec2.DescribeSecurityGroups", region=front.region, GroupIds=ids)["SecurityGroups"]
    entries: list[str] = []
    for permission in (each for group in groups for each in group.get("IpPermissions", ())):
        if not admits_port(permission, front.endpoint.port):
            continue
        entries.extend(each["CidrIp"] for each in permission.get("IpRanges", ()))
        entries.extend(each["CidrIpv6"] for each in permission.get("Ipv6Ranges", ()))
        for prefixes in permission.get("PrefixListIds", ()):
            listed = aws.ask(
                "ec2.GetManagedPrefixListEntries", region=front.region, PrefixListId=prefixes["PrefixListId"]
            )
            entries.extend(each["Cidr"] for each in listed["Entries"])
    yield AllowList(source=f"security groups {', '.join(sorted(ids))}", entries=tuple(dict.fromkeys(entries)))


def admits_port(permission: Mapping[str, Any], port: int) -> bool:
    """Whether a rule of a security group lets TCP to `port` in."""
    if permission.get("IpProtocol") == "-1":
        return True
    first, last = permission.get("FromPort"), permission.get("ToPort")
    return (
        permission.get("IpProtocol") in ("tcp", "6")
        and first is not None
        and last is not None
        and (first <= port <= last)
    )


def _rule_lists(front: Front, aws: Aws) -> Iterator[AllowList]:
    arn = str(front.load_balancer["LoadBalancerArn"])
    listeners = aws.ask("elbv2.DescribeListeners", region=front.region, LoadBalancerArn=arn)["Listeners"]
    for listener in listeners:
        if listener.get("Port") != front.endpoint.port:
            continue
        rules = aws.ask("elbv2.DescribeRules", region=front.region, ListenerArn=listener["ListenerArn"])["Rules"]
        listed = read_rules(rules, front.endpoint.port)
        if listed is not None:
            yield listed


def read_rules(rules: Sequence[Mapping[str, Any]], port: int) -> AllowList | None:
    """The allow-list that a listener's rules amount to; None where no rule names a source."""
    entries: list[str] = []
    holes: list[str] = []
    for rule in rules:
        sources = [
            value
            for condition in rule.get("Conditions", ())
            if condition.get("Field") == "source-ip"
            for value in condition.get("SourceIpConfig", {}).get("Values", ())
        ]
        entries.extend(sources)
        is_refused = all(action.get("Type") == "fixed-response" for action in rule.get("Actions", ()))
        if not sources and not is_refused:
            holes.append(f"rule {rule.get('Priority')} forwards without a list")
    if not entries:
        return None
    return AllowList(source=f"listener {port}", entries=tuple(dict.fromkeys(entries)), problems=tuple(holes))


def judge_list(subject: str, listed: AllowList, wanted: AllowlistParameters) -> Finding:
    """Judge one allow-list: how it is enforced, and what it holds."""
    problems = [*listed.problems, *list_problems(listed.entries, wanted)]
    return Finding.of(
        not problems,
        subject=subject,
        observed="; ".join(problems) or f"lets {_cut(listed.entries)} in",
        expected=_limits(wanted),
    )


def judge_layers(subject: str, layers: Sequence[AllowList], wanted: AllowlistParameters) -> Finding:
    """A restricted endpoint needs one sound list, in whichever layer; a layer that is open does no harm beside it."""
    judged = [judge_list(f"{subject}: {listed.source}", listed, wanted) for listed in layers]
    sound = next(
        (listed for listed, each in zip(layers, judged, strict=True) if each.status is FindingStatus.PASS), None
    )
    if sound is not None:
        observed = f"{sound.source} lets {_cut(sound.entries)} in"
        return Finding.of(True, subject=subject, observed=observed, expected=RESTRICTED)
    why = "; ".join(f"{listed.source}: {each.observed}" for listed, each in zip(layers, judged, strict=True))
    return Finding.of(False, subject=subject, observed=why or "no list stands in front of it", expected=RESTRICTED)


def list_problems(entries: Sequence[str], wanted: AllowlistParameters) -> list[str]:
    """What is wrong with a list of networks; nothing when it is narrow, short and not empty.

    Neighbours are joined first, so that 0.0.0.0/1 and 128.0.0.0/1 are seen as the whole of IPv4.
    """
    if not entries:
        return ["the list is empty"]
    problems = [f"{entry} is no network" for entry in entries if _network(entry) is None]
    if len(entries) > wanted.max_entries:
        problems.append(f"the list has {len(entries)} entries")
    networks = [network for entry in entries if (network := _network(entry))]
    fours = [network for network in networks if isinstance(network, ipaddress.IPv4Network)]
    sixes = [network for network in networks if isinstance(network, ipaddress.IPv6Network)]
    for own, limit in ((fours, wanted.max_prefix_v4), (sixes, wanted.max_prefix_v6)):
        wide = [network for network in own if network.prefixlen < limit]
        joined = [network for network in _join(own) if network.prefixlen == 0]
        if joined:
            problems.append(f"{_cut([str(network) for network in own])} is the whole internet")
        elif wide:
            problems.append(f"{_cut([str(network) for network in wide])} is wider than /{limit}")
    return problems


def _join(networks: Sequence[Network]) -> list[Network]:
    return list(ipaddress.collapse_addresses(networks))  # type: ignore[type-var]


def _network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        return None


def _is_in(address: str, networks: Iterable[Network]) -> bool:
    known = ipaddress.ip_address(address)
    return any(known.version == network.version and known in network for network in networks)


def _limits(wanted: AllowlistParameters) -> str:
    return (
        f"1 to {wanted.max_entries} networks, none wider than /{wanted.max_prefix_v4} (IPv4) "
        f"or /{wanted.max_prefix_v6} (IPv6)"
    )


def _cut(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
