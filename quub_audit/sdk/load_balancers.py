"""What answers for the service in AWS: load balancers of both generations, their listeners, and distributions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from quub_audit.facts.asking import Aws
from quub_audit.model.environment import Account, Endpoint, Region
from quub_audit.sdk.declare import subjects

_LIST_BALANCERS = "elasticloadbalancing:DescribeLoadBalancers"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadBalancer:
    """One load balancer."""

    region: Region
    arn: str
    """Empty for a classic one: its generation has names only."""
    name: str
    type: Literal["application", "network", "gateway", "classic"]
    is_public: bool
    """Whether its scheme is internet-facing."""
    security_groups: tuple[str, ...] = ()
    """Group ids; an older network load balancer may have none."""
    allocations: tuple[str, ...] = ()
    """Allocation ids of its Elastic IP addresses; network load balancers only."""
    classic_listeners: tuple[Mapping[str, Any], ...] = ()
    """`ListenerDescriptions` of a classic one."""

    def __str__(self) -> str:
        return self.arn or self.name

    def is_behind(self, endpoints: Iterable[Endpoint]) -> bool:
        """Whether one of the declared endpoints names it, so that what its targets answer is tried there."""
        return any(endpoint.load_balancer in {self.name, self.arn} - {""} for endpoint in endpoints)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """One port on which a load balancer listens."""

    balancer: LoadBalancer
    arn: str
    """Empty on a classic load balancer."""
    protocol: str
    """`HTTP`, `HTTPS`, `TCP`, `TLS`, `UDP` ...; `SSL` on a classic load balancer."""
    port: int
    ssl_policy: str = ""
    """The policy's name; on a classic load balancer that of the last policy attached to the port."""
    default_actions: tuple[Mapping[str, Any], ...] = ()

    def __str__(self) -> str:
        return self.arn or f"{self.balancer.name}:{self.port}"

    @property
    def is_handed_through(self) -> bool:
        """Whether what comes is not ended there but given to its targets, TLS and all."""
        return self.protocol in ("TCP", "TCP_UDP")


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """One CloudFront distribution that is enabled."""

    home: Region
    arn: str
    summary: Mapping[str, Any]
    """Its entry of `cloudfront.ListDistributions`."""

    def __str__(self) -> str:
        return self.arn


@subjects(each=Region, permissions=[_LIST_BALANCERS])
def load_balancers(region: Region, aws: Aws) -> Iterator[LoadBalancer]:
    """Every load balancer of a region, internal ones too; those that are being deleted or failed to start left out."""
    for found in aws.ask("elbv2.DescribeLoadBalancers", region=region).get("LoadBalancers", ()):
        if found.get("State", {}).get("Code") != "failed":
            yield _read(found, region)
    for found in aws.ask("elb.DescribeLoadBalancers", region=region).get("LoadBalancerDescriptions", ()):
        yield LoadBalancer(
            region=region,
            arn="",
            name=found["LoadBalancerName"],
            type="classic",
            is_public=found.get("Scheme", "internet-facing") != "internal",
            security_groups=tuple(found.get("SecurityGroups", ())),
            classic_listeners=tuple(found.get("ListenerDescriptions", ())),
        )


def _read(found: Mapping[str, Any], region: Region) -> LoadBalancer:
    zones = found.get("AvailabilityZones", ())
    addresses = [address for zone in zones for address in zone.get("LoadBalancerAddresses", ())]
    return LoadBalancer(
        region=region,
        arn=found["LoadBalancerArn"],
        name=found["LoadBalancerName"],
        type=found["Type"],
        is_public=found.get("Scheme") != "internal",
        security_groups=tuple(found.get("SecurityGroups", ())),
        allocations=tuple(address["AllocationId"] for address in addresses if address.get("AllocationId")),
    )


@subjects(each=load_balancers, permissions=["elasticloadbalancing:DescribeListeners"])
def listeners(balancer: LoadBalancer, aws: Aws) -> Iterator[Listener]:
    """Every listener of a load balancer, internal ones too."""
    if balancer.type == "classic":
        for described in balancer.classic_listeners:
            yield Listener(
                balancer=balancer,
                arn="",
                protocol=described["Listener"]["Protocol"].upper(),
                port=described["Listener"]["LoadBalancerPort"],
                ssl_policy=next(iter(described.get("PolicyNames", ())), ""),
            )
        return
    answer = aws.ask("elbv2.DescribeListeners", region=balancer.region, LoadBalancerArn=balancer.arn)
    for found in answer.get("Listeners", ()):
        yield Listener(
            balancer=balancer,
            arn=found["ListenerArn"],
            protocol=found.get("Protocol", ""),
            port=found.get("Port", 0),
            ssl_policy=found.get("SslPolicy", ""),
            default_actions=tuple(found.get("DefaultActions", ())),
        )


@subjects(each=Account, permissions=["cloudfront:ListDistributions"])
def distributions(account: Account, aws: Aws) -> Iterator[Distribution]:
    """Every enabled distribution of an account."""
    answer = aws.ask("cloudfront.ListDistributions", region=account.home)
    for found in answer.get("DistributionList", {}).get("Items", ()):
        if found.get("Enabled"):
            yield Distribution(home=account.home, arn=found["ARN"], summary=found)
