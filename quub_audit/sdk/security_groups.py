"""Security groups, and which of their ports the world may reach."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from quub_audit.facts.asking import Aws
from quub_audit.model.environment import Region

WIDEST_IPV4_BITS = 8
"""A public IPv4 network of this prefix length or shorter counts as the world: 1/256 of all addresses."""

WIDEST_IPV6_BITS = 11
"""The same share of the addresses that IPv6 routes, 2000::/3."""

EVERY_PROTOCOL = "-1"
_PORTED = {"6": "tcp", "17": "udp"}

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """A range of ports that a group opens to the world."""

    protocol: str
    """`tcp`, `udp`, or `-1` for every protocol."""
    first: int
    last: int
    sources: tuple[str, ...]
    """The networks that make up the world here."""

    def __str__(self) -> str:
        ports = f"{self.first}" if self.first == self.last else f"{self.first}-{self.last}"
        what = "every protocol" if self.protocol == EVERY_PROTOCOL else f"{self.protocol} {ports}"
        return f"{what} from {', '.join(self.sources)}"


@dataclass(frozen=True, slots=True)
class _Rule:
    protocol: str
    first: int
    last: int
    networks: tuple[Network, ...]

    def covers(self, other: _Rule) -> bool:
        is_same = self.protocol in (EVERY_PROTOCOL, other.protocol)
        return is_same and self.first <= other.first and other.last <= self.last


def security_groups(region: Region, aws: Aws) -> Mapping[str, Mapping[str, Any]]:
    """Every security group of a region by id, as `ec2.DescribeSecurityGroups` gives it."""
    answer = aws.ask("ec2.DescribeSecurityGroups", region=region)
    return {group["GroupId"]: group for group in answer.get("SecurityGroups", ())}


def prefix_list_reader(region: Region, aws: Aws) -> Callable[[str], tuple[str, ...]]:
    """A function from a prefix list's id to its networks, CIDR; needs ec2:GetManagedPrefixListEntries."""

    def read(list_id: str) -> tuple[str, ...]:
        answer = aws.ask("ec2.GetManagedPrefixListEntries", region=region, PrefixListId=list_id)
        return tuple(entry["Cidr"] for entry in answer.get("Entries", ()))

    return read


def exposures(
    permissions: Iterable[Mapping[str, Any]], read_prefix_list: Callable[[str], tuple[str, ...]]
) -> tuple[Exposure, ...]:
    """Port ranges that `permissions` (`IpPermissions`) open to the world, whatever the spelling.

    Networks of every rule that covers a range count together, so that two halves are a whole. Rules without
    ports (ICMP, ESP) expose none. Raises ValueError for a network that is none.
    """
    rules = [rule for permission in permissions if (rule := _rule(permission, read_prefix_list))]
    found: dict[Exposure, None] = {}
    for rule in rules:
        networks = [network for other in rules if other.covers(rule) for network in other.networks]
        sources = widest(networks)
        if sources:
            found[Exposure(protocol=rule.protocol, first=rule.first, last=rule.last, sources=sources)] = None
    return tuple(found)


def widest(networks: Iterable[Network]) -> tuple[str, ...]:
    """Which of `networks`, neighbours merged, are public and wide enough to be called the world."""
    listed = tuple(networks)
    merged: list[Network] = [
        *ipaddress.collapse_addresses(network for network in listed if isinstance(network, ipaddress.IPv4Network)),
        *ipaddress.collapse_addresses(network for network in listed if isinstance(network, ipaddress.IPv6Network)),
    ]
    return tuple(str(network) for network in merged if _is_world(network))


def _is_world(network: Network) -> bool:
    if isinstance(network, ipaddress.IPv4Network):
        return network.prefixlen <= WIDEST_IPV4_BITS and not (network.is_private or network.is_multicast)
    return network.prefixlen <= WIDEST_IPV6_BITS and network.overlaps(ipaddress.IPv6Network("2000::/3"))


def _rule(permission: Mapping[str, Any], read_prefix_list: Callable[[str], tuple[str, ...]]) -> _Rule | None:
    named = str(permission.get("IpProtocol", EVERY_PROTOCOL)).lower()
    protocol = _PORTED.get(named, named)
    if protocol not in ("tcp", "udp", EVERY_PROTOCOL):
        return None
    first, last = permission.get("FromPort"), permission.get("ToPort")
    if protocol == EVERY_PROTOCOL or first is None or last is None or first < 0:
        first, last = 0, 65535
    cidrs = [entry["CidrIp"] for entry in permission.get("IpRanges", ())]
    cidrs += [entry["CidrIpv6"] for entry in permission.get("Ipv6Ranges", ())]
    for entry in permission.get("PrefixListIds", ()):
        cidrs += read_prefix_list(entry["PrefixListId"])
    networks = tuple(ipaddress.ip_network(cidr, strict=False) for cidr in cidrs)
    return _Rule(protocol, first, last, networks)
