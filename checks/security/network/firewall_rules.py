"""Only the intended ports of the intended front ends are open to the world.

Pass          each security group that is in use opens to the world nothing but `public_ports`, and those on load balancers; databases are not public, or their groups are closed
Fail          a group in use opens a port of `admin_ports` or `data_ports`, every protocol, or another port of a machine with a public address; a public database has an open group; a load balancer without groups listens on another port; a declared closed port, or a data port of a public address, takes a connection
Inconclusive  no security group is in use in the declared accounts and regions; live probes alone pass nothing
Error         a listing was denied; the endpoint's own port is not to be reached either, so that a closed port proves nothing
Needs         `ec2:DescribeSecurityGroups`, `DescribeNetworkInterfaces`, `GetManagedPrefixListEntries`, `DescribeFlowLogs`, `rds:DescribeDBInstances`, `elasticloadbalancing:DescribeLoadBalancers`, `DescribeListeners`
Source        the guide, Network Security; CIS AWS Foundations 5.0 (no ingress from 0.0.0.0/0 or ::/0 to remote server administration ports; the default security group restricts all traffic; VPC flow logging is enabled); PCI DSS 4.0.1, 1.2 to 1.4; OWASP ASVS v5.0.0-13.2.4

The world is 0.0.0.0/0 and ::/0, and whatever amounts to them: two halves, a prefix list that holds them, or any public network of /8 (IPv6: /11) or wider.
A group that is attached to nothing does not count. Warned of: egress that is open to all, a default group with rules, a network without flow logs.
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from quub_audit.sdk import (
    Aws,
    Endpoint,
    Exposure,
    Finding,
    Http,
    Listener,
    Parameters,
    Reach,
    Region,
    Tcp,
    check,
    cut,
    exposures,
    listeners,
    load_balancers,
    prefix_list_reader,
    security_groups,
    subjects,
)

EVERY_PROTOCOL = "-1"
BALANCER_INTERFACES = ("network_load_balancer", "gateway_load_balancer", "load_balancer")


class FirewallParameters(Parameters):
    """What the checklist may set under `with:`."""

    public_ports: tuple[int, ...] = (443, 80)
    """Ports that load balancers may open to the world; 80 only to redirect, which another item proves."""

    admin_ports: tuple[int, ...] = (22, 3389)
    """Remote administration; never open to the world. CIS AWS Foundations."""

    data_ports: tuple[int, ...] = (
        1433,
        1521,
        2379,
        3306,
        5432,
        6379,
        8200,
        9042,
        9090,
        9092,
        9200,
        10250,
        11211,
        27017,
    )
    """Ports of data stores and of the control plane; never open to the world."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """What uses a security group."""

    name: str
    """The network interface's or load balancer's id."""
    is_balancer: bool
    is_public: bool
    """Has a public address, or is an internet-facing load balancer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachedGroup:
    """One security group that something uses."""

    region: Region
    id: str
    name: str
    permissions: tuple[Mapping[str, Any], ...]
    """`IpPermissions`."""
    attachments: tuple[Attachment, ...] = field(default=())

    def __str__(self) -> str:
        return f"{self.id} ({self.name})" if self.name else self.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """One RDS instance."""

    region: Region
    name: str
    is_public: bool
    """`PubliclyAccessible`."""
    port: int
    groups: tuple[str, ...]

    def __str__(self) -> str:
        return self.name


@subjects(
    each=Region,
    permissions=[
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSecurityGroups",
        "elasticloadbalancing:DescribeLoadBalancers",
    ],
)
def attached_groups(region: Region, aws: Aws) -> Iterator[AttachedGroup]:
    """Every security group of the region that a network interface or a load balancer uses."""
    used = _attachments(region, aws)
    for id_, group in security_groups(region, aws).items():
        if used.get(id_):
            yield AttachedGroup(
                region=region,
                id=id_,
                name=group.get("GroupName", ""),
                permissions=tuple(group.get("IpPermissions", ())),
                attachments=tuple(used[id_]),
            )


def _attachments(region: Region, aws: Aws) -> Mapping[str, list[Attachment]]:
    used: dict[str, list[Attachment]] = defaultdict(list)
    for interface in aws.ask("ec2.DescribeNetworkInterfaces", region=region).get("NetworkInterfaces", ()):
        attachment = Attachment(
            name=interface["NetworkInterfaceId"],
            is_balancer=_is_balancer(interface),
            is_public=_has_public_address(interface),
        )
        for group in interface.get("Groups", ()):
            used[group["GroupId"]].append(attachment)
    for balancer in load_balancers(region, aws=aws):
        attachment = Attachment(name=balancer.name, is_balancer=True, is_public=balancer.is_public)
        for id_ in balancer.security_groups:
            used[id_].append(attachment)
    return used


def _is_balancer(interface: Mapping[str, Any]) -> bool:
    return (
        interface.get("InterfaceType") in BALANCER_INTERFACES
        or interface.get("RequesterId") == "amazon-elb"
        or str(interface.get("Description", "")).startswith("ELB ")
    )


def _has_public_address(interface: Mapping[str, Any]) -> bool:
    """An IPv6 address of an interface is public by its nature."""
    associations = [interface, *interface.get("PrivateIpAddresses", ())]
    has_ipv4 = any((each.get("Association") or {}).get("PublicIp") for each in associations)
    return has_ipv4 or bool(interface.get("Ipv6Addresses"))


@check(
    "Security groups in use open nothing to the world but the public ports of load balancers",
    each=attached_groups,
    permissions=["ec2:GetManagedPrefixListEntries"],
)
def security_group(subject: AttachedGroup, aws: Aws, wanted: FirewallParameters) -> Iterator[Finding]:
    """The rules of one group that is in use."""
    yield from judge_group(subject, exposures(subject.permissions, prefix_list_reader(subject.region, aws)), wanted)


@subjects(each=Region, permissions=["rds:DescribeDBInstances"])
def databases(region: Region, aws: Aws) -> Iterator[Database]:
    """Every RDS instance that is not being deleted."""
    for found in aws.ask("rds.DescribeDBInstances", region=region).get("DBInstances", ()):
        if found.get("DBInstanceStatus") != "deleting":
            yield Database(
                region=region,
                name=found["DBInstanceIdentifier"],
                is_public=bool(found.get("PubliclyAccessible")),
                port=(found.get("Endpoint") or {}).get("Port") or found.get("DbInstancePort") or 0,
                groups=tuple(
                    group["VpcSecurityGroupId"]
                    for group in found.get("VpcSecurityGroups", ())
                    if group.get("Status") != "removing"
                ),
            )


@check(
    "Databases are not public, or their groups are closed to the world",
    each=databases,
    permissions=["ec2:DescribeSecurityGroups", "ec2:GetManagedPrefixListEntries"],
)
def database(subject: Database, aws: Aws) -> Iterator[Finding]:
    """A public address and an open group together make a database public."""
    groups = security_groups(subject.region, aws)
    missing = [id_ for id_ in subject.groups if id_ not in groups]
    if missing:
        yield Finding.error(
            subject=subject.name,
            message=f"{subject.name}: its groups {cut(missing)} are not listed by ec2.DescribeSecurityGroups",
        )
        return
    read = prefix_list_reader(subject.region, aws)
    open_ports = {id_: exposures(groups[id_].get("IpPermissions", ()), read) for id_ in subject.groups}
    yield from judge_database(subject, open_ports)


@check("Load balancers without security groups listen on public ports alone", each=listeners)
def ungrouped_listener(subject: Listener, wanted: FirewallParameters) -> Finding | None:
    """What no group guards is open by listening."""
    balancer = subject.balancer
    if balancer.type != "network" or not balancer.is_public or balancer.security_groups:
        return None
    return Finding.of(
        subject.port in wanted.public_ports,
        subject=str(subject),
        observed=f"{subject.protocol}:{subject.port} is open to the world, {balancer.name} has no security group",
        expected=f"only the ports {cut(wanted.public_ports)}",
    )


@check(
    "Networks in use keep flow logs, an empty default group and bounded egress",
    each=Region,
    permissions=["ec2:DescribeFlowLogs", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSecurityGroups"],
)
def network(subject: Region, aws: Aws) -> Iterator[Finding]:
    """Warnings only: it neither passes nor fails the item."""
    interfaces = aws.ask("ec2.DescribeNetworkInterfaces", region=subject).get("NetworkInterfaces", ())
    if not interfaces:
        return
    groups = security_groups(subject, aws)
    logs = aws.ask("ec2.DescribeFlowLogs", region=subject).get("FlowLogs", ())
    yield from judge_networks(interfaces, groups, logs)


@check("Declared closed ports, and data ports at public addresses, take no connection", each=Endpoint)
def endpoint_ports(subject: Endpoint, http: Http, tcp: Tcp, wanted: FirewallParameters) -> Iterator[Finding]:
    """It can fail the item and never pass it: what is closed to this machine may be open to another."""
    for address in http.addresses(subject):
        host = _host(address)
        ports = dict.fromkeys(subject.closed_ports)
        if _is_global(host):
            ports.update(dict.fromkeys(wanted.data_ports))
        ports.pop(subject.port, None)
        if not ports:
            continue
        reached = {port: tcp.reach(host, port) for port in ports}
        own_port = tcp.reach(host, _port(address) or subject.port)
        yield from judge_ports(subject.name, host, reached, is_answering=own_port is Reach.OPEN)


def judge_group(group: AttachedGroup, exposed: Sequence[Exposure], wanted: FirewallParameters) -> Iterator[Finding]:
    """Judge what a group in use exposes. Raises ValueError for a group that nothing uses."""
    if not group.attachments:
        raise ValueError(f"{group} is attached to nothing; only groups in use are judged")
    guarded = {*wanted.admin_ports, *wanted.data_ports}
    holders = cut(attachment.name for attachment in group.attachments)
    faults: list[str] = []
    unreachable: list[str] = []
    for exposure in exposed:
        if exposure.protocol == EVERY_PROTOCOL:
            faults.append(str(exposure))
            continue
        hit = sorted(port for port in guarded if exposure.first <= port <= exposure.last)
        ports = range(exposure.first, exposure.last + 1)
        is_public_port = len(ports) <= len(wanted.public_ports) and set(ports) <= set(wanted.public_ports)
        strangers = [attachment for attachment in group.attachments if not attachment.is_balancer]
        if hit:
            faults.append(f"{exposure}, ports {cut(hit)} among them" if len(ports) > 1 else str(exposure))
        elif is_public_port and _any_public(strangers):
            faults.append(f"{exposure} on {cut(each.name for each in strangers)}, which is no load balancer")
        elif not is_public_port and _any_public(group.attachments):
            faults.append(str(exposure))
        elif strangers or not is_public_port:
            unreachable.append(str(exposure))
    if unreachable and not faults:
        yield Finding.warning(
            subject=str(group),
            observed=f"opens {cut(unreachable)} on {holders}, none of which has a public address",
            expected="rules that name the groups of the load balancers",
        )
    yield Finding.of(
        not faults,
        subject=str(group),
        observed=f"opens {cut(faults)}" if faults else _sound(exposed, holders),
        expected=f"nothing open to the world but the ports {cut(wanted.public_ports)} of load balancers",
    )


def _sound(exposed: Sequence[Exposure], holders: str) -> str:
    opened = cut(exposed)
    return f"opens {opened}; used by {holders}" if opened else f"opens nothing to the world; used by {holders}"


def _any_public(attachments: Iterable[Attachment]) -> bool:
    return any(attachment.is_public for attachment in attachments)


def judge_database(database: Database, exposed: Mapping[str, Sequence[Exposure]]) -> Iterator[Finding]:
    """`exposed` by group id. An open group on a database that is not public is judged with the groups."""
    expected = "not publicly accessible, or every group closed to the world"
    holes = [
        f"{id_} opens {exposure}"
        for id_, each in exposed.items()
        for exposure in each
        if not database.port or exposure.first <= database.port <= exposure.last
    ]
    if database.is_public and not holes:
        yield Finding.warning(
            subject=database.name,
            observed="is publicly accessible, behind closed groups",
            expected="not publicly accessible",
        )
    state = "is publicly accessible" if database.is_public else "is not publicly accessible"
    yield Finding.of(
        not (database.is_public and holes),
        subject=database.name,
        observed=f"{state}, {cut(holes)}" if holes else f"{state}, no group opens it to the world",
        expected=expected,
    )


def judge_networks(
    interfaces: Sequence[Mapping[str, Any]], groups: Mapping[str, Mapping[str, Any]], logs: Sequence[Mapping[str, Any]]
) -> Iterator[Finding]:
    """Warnings about each VPC that has an interface."""
    logged = {log.get("ResourceId") for log in logs if log.get("FlowLogStatus") == "ACTIVE"}
    used = {group["GroupId"] for interface in interfaces for group in interface.get("Groups", ())}
    by_vpc: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for interface in interfaces:
        by_vpc[interface.get("VpcId", "")].append(interface)
    for vpc, inside in sorted(by_vpc.items()):
        if not vpc:
            continue
        bare = [each for each in inside if not {vpc, each.get("SubnetId"), each["NetworkInterfaceId"]} & logged]
        if bare:
            yield Finding.warning(
                subject=vpc,
                observed=f"no active flow log for {len(bare)} of its {len(inside)} interfaces",
                expected="an active flow log of the VPC",
            )
        own = {id_: group for id_, group in groups.items() if group.get("VpcId") == vpc}
        for id_, group in own.items():
            if group.get("GroupName") == "default" and (group.get("IpPermissions") or group.get("IpPermissionsEgress")):
                yield Finding.warning(
                    subject=id_, observed=f"the default group of {vpc} has rules", expected="a default group without"
                )
        lax = [id_ for id_, group in own.items() if id_ in used and _lets_all_out(group)]
        if lax:
            yield Finding.warning(
                subject=vpc,
                observed=f"{len(lax)} of its groups in use let everything out: {cut(lax)}",
                expected="egress to the needed hosts and ports",
            )


def _lets_all_out(group: Mapping[str, Any]) -> bool:
    return any(
        permission.get("IpProtocol") == EVERY_PROTOCOL
        and (
            any(each.get("CidrIp") == "0.0.0.0/0" for each in permission.get("IpRanges", ()))
            or any(each.get("CidrIpv6") == "::/0" for each in permission.get("Ipv6Ranges", ()))
        )
        for permission in group.get("IpPermissionsEgress", ())
    )


def judge_ports(subject: str, host: str, reached: Mapping[int, Reach], *, is_answering: bool) -> Iterator[Finding]:
    """Open ports fail. Closed ones are worth nothing where not even the endpoint answers: an error."""
    open_ports = [port for port, reach in reached.items() if reach is Reach.OPEN]
    for port in open_ports:
        yield Finding.of(
            False, subject=subject, observed=f"port {port} of {host} takes connections", expected="refused or filtered"
        )
    if not open_ports and not is_answering:
        yield Finding.error(
            subject=subject,
            message=f"{subject}: {host} does not answer on its own port either, so closed ports prove nothing",
        )


def _host(address: str) -> str:
    """The address without a port, whether there was one or not."""
    if address.startswith("["):
        return address[1 : address.index("]")]
    return address if address.count(":") != 1 else address.partition(":")[0]


def _port(address: str) -> int:
    """The port that stands after the address; 0 where there is none."""
    end = address.rpartition("]")[2] if address.startswith("[") else address
    return int(end.rpartition(":")[2]) if end.count(":") == 1 else 0


def _is_global(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return False
