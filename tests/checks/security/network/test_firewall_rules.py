"""Only the intended ports of the intended front ends are open to the world."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quub_audit.checks.security.network.firewall_rules import (
    AttachedGroup,
    Attachment,
    Database,
    FirewallParameters,
    judge_database,
    judge_group,
    judge_networks,
    judge_ports,
)
from quub_audit.model.environment import Endpoint, Environment, Region
from quub_audit.model.finding import Finding
from quub_audit.model.status import FindingStatus, Grade, Status
from quub_audit.sdk import Exposure, Reach, exposures
from quub_audit.testing import audit_item
from tests.worlds.cloud import Cloud, Network

ITEM = "security.network.firewall-rules"
WANTED = FirewallParameters()
REGION = Region(account="production", name="eu-central-1")
PASS, FAIL, ERROR, WARNING = (
    FindingStatus.PASS,
    FindingStatus.FAIL,
    FindingStatus.ERROR,
    FindingStatus.WARNING,
)

BALANCER = Attachment(name="front", is_balancer=True, is_public=True)
MACHINE = Attachment(name="eni-1", is_balancer=False, is_public=False)
PUBLIC_MACHINE = Attachment(name="eni-2", is_balancer=False, is_public=True)


def rule(
    first: int | None, last: int | None, *cidrs: str, protocol: str = "tcp", lists: Sequence[str] = ()
) -> dict[str, Any]:
    return {
        "IpProtocol": protocol,
        "FromPort": first,
        "ToPort": last,
        "IpRanges": [{"CidrIp": cidr} for cidr in cidrs if ":" not in cidr],
        "Ipv6Ranges": [{"CidrIpv6": cidr} for cidr in cidrs if ":" in cidr],
        "PrefixListIds": [{"PrefixListId": name} for name in lists],
    }


def judged(*attachments: Attachment, rules: Sequence[Mapping[str, Any]]) -> Mapping[FindingStatus, str]:
    """What the findings about one group observed, by status."""
    group = AttachedGroup(region=REGION, id="sg-1", name="web", permissions=tuple(rules), attachments=attachments)
    found = judge_group(group, exposures(rules, {"pl-world": ("0.0.0.0/0",)}.__getitem__), WANTED)
    return {finding.status: finding.observed for finding in found}


# Groups


@pytest.mark.parametrize(
    "opening",
    [
        [rule(22, 22, "0.0.0.0/0")],
        [rule(5432, 5432, "::/0")],
        [rule(0, 65535, "0.0.0.0/0")],
        [rule(6000, 7000, "0.0.0.0/0")],
        [rule(None, None, "0.0.0.0/0", protocol="-1")],
        [rule(3389, 3389, "0.0.0.0/1", "128.0.0.0/1")],
        [rule(3389, 3389, "0.0.0.0/1"), rule(3000, 4000, "128.0.0.0/1")],
        [rule(6379, 6379, lists=["pl-world"])],
        [rule(6379, 6379, "12.0.0.0/8")],
    ],
    ids=["ssh", "IPv6", "every port", "a range", "every protocol", "halves", "halves in two rules", "list", "a /8"],
)
@pytest.mark.parametrize("attachment", [BALANCER, MACHINE, PUBLIC_MACHINE], ids=lambda each: each.name)
def test_a_guarded_port_open_to_the_world_fails_whatever_holds_the_group(
    opening: Sequence[Mapping[str, Any]], attachment: Attachment
) -> None:
    assert FAIL in judged(attachment, rules=opening)


@pytest.mark.parametrize(
    "opening",
    [
        [],
        [rule(443, 443, "0.0.0.0/0", "::/0"), rule(80, 80, "0.0.0.0/0")],
        [rule(5432, 5432, "10.0.0.0/8", "fd00::/8")],
        [rule(22, 22, "203.0.113.0/24")],
        [rule(None, None, "0.0.0.0/0", protocol="icmp")],
    ],
    ids=["nothing", "public ports", "private networks", "an office", "ICMP"],
)
def test_public_ports_of_load_balancers_and_closed_networks_pass(opening: Sequence[Mapping[str, Any]]) -> None:
    assert list(judged(BALANCER, rules=opening)) == [PASS]


def test_a_public_port_on_a_machine_with_a_public_address_fails_and_without_one_is_warned_of() -> None:
    opening = [rule(443, 443, "0.0.0.0/0")]

    assert "eni-2, which is no load balancer" in judged(PUBLIC_MACHINE, BALANCER, rules=opening)[FAIL]
    assert set(judged(MACHINE, rules=opening)) == {WARNING, PASS}


def test_an_unlisted_port_on_a_public_load_balancer_fails() -> None:
    assert "8443" in judged(BALANCER, rules=[rule(8443, 8443, "0.0.0.0/0")])[FAIL]


def test_a_group_that_nothing_uses_is_not_judged() -> None:
    with pytest.raises(ValueError, match="attached to nothing"):
        judged(rules=[])


@given(
    first=st.integers(0, 65535),
    last=st.integers(0, 65535),
    cidrs=st.lists(st.sampled_from(["10.0.0.0/8", "203.0.113.7/32", "0.0.0.0/0", "::/0", "0.0.0.0/1"]), max_size=4),
    attachment=st.sampled_from([BALANCER, MACHINE, PUBLIC_MACHINE]),
)
def test_one_more_rule_for_the_world_never_mends_a_group(
    first: int, last: int, cidrs: list[str], attachment: Attachment
) -> None:
    rules = [rule(min(first, last), max(first, last), *cidrs)]
    before = FAIL in judged(attachment, rules=rules)

    after = FAIL in judged(attachment, rules=[*rules, rule(5432, 5432, "0.0.0.0/0")])

    assert after >= before
    assert after


# Databases


def database(*, is_public: bool, port: int = 5432) -> Database:
    return Database(region=REGION, name="orders", is_public=is_public, port=port, groups=("sg-1",))


WORLD = {"sg-1": [Exposure(protocol="tcp", first=5000, last=6000, sources=("0.0.0.0/0",))]}


@pytest.mark.parametrize(
    ("is_public", "exposed", "statuses"),
    [
        (True, WORLD, [FAIL]),
        (True, {"sg-1": []}, [WARNING, PASS]),
        (False, WORLD, [PASS]),
        (False, {"sg-1": []}, [PASS]),
    ],
)
def test_a_database_is_public_by_its_address_and_its_group_together(
    is_public: bool, exposed: Mapping[str, Sequence[Exposure]], statuses: list[FindingStatus]
) -> None:
    assert [finding.status for finding in judge_database(database(is_public=is_public), exposed)] == statuses


def test_a_hole_beside_the_port_of_a_database_is_none_and_an_unknown_port_is_any() -> None:
    beside = {"sg-1": [Exposure(protocol="tcp", first=443, last=443, sources=("0.0.0.0/0",))]}

    assert FAIL not in [finding.status for finding in judge_database(database(is_public=True), beside)]
    assert FAIL in [finding.status for finding in judge_database(database(is_public=True, port=0), beside)]


# Networks


def test_networks_without_flow_logs_default_rules_and_open_egress_are_warned_of_and_unused_ones_are_not() -> None:
    interface = {"NetworkInterfaceId": "eni-1", "VpcId": "vpc-1", "SubnetId": "s", "Groups": [{"GroupId": "sg-1"}]}
    everything = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    groups = {
        "sg-0": {"VpcId": "vpc-1", "GroupName": "default", "IpPermissionsEgress": [everything]},
        "sg-1": {"VpcId": "vpc-1", "GroupName": "web", "IpPermissionsEgress": [everything]},
        "sg-2": {"VpcId": "vpc-2", "GroupName": "default", "IpPermissionsEgress": [everything]},
    }

    found = list(judge_networks([interface], groups, []))

    assert {finding.status for finding in found} == {WARNING}
    assert [finding.subject for finding in found] == ["vpc-1", "sg-0", "vpc-1"]
    assert "sg-1" in found[2].observed


@pytest.mark.parametrize("resource", ["vpc-1", "s", "eni-1"])
def test_an_active_flow_log_of_the_network_the_subnet_or_the_interface_is_enough(resource: str) -> None:
    interface = {"NetworkInterfaceId": "eni-1", "VpcId": "vpc-1", "SubnetId": "s"}

    assert not list(judge_networks([interface], {}, [{"ResourceId": resource, "FlowLogStatus": "ACTIVE"}]))
    assert list(judge_networks([interface], {}, [{"ResourceId": resource, "FlowLogStatus": "FAILED"}]))


# Ports


def test_each_open_port_fails_and_closed_ones_pass_nothing() -> None:
    reached = {5432: Reach.OPEN, 6379: Reach.REFUSED, 9090: Reach.FILTERED}

    found = list(judge_ports("api", "192.0.2.1", reached, is_answering=True))

    assert [(finding.status, finding.observed) for finding in found] == [
        (FAIL, "port 5432 of 192.0.2.1 takes connections")
    ]


def test_closed_ports_of_a_host_that_does_not_answer_at_all_are_an_error() -> None:
    found = list(judge_ports("api", "192.0.2.1", {5432: Reach.FILTERED}, is_answering=False))

    assert [finding.status for finding in found] == [ERROR]


# On an emulated account, and on real ports


def group(cloud: Cloud, network: Network, name: str, *openings: tuple[int, str]) -> str:
    ec2 = cloud.client("ec2")
    made: str = ec2.create_security_group(GroupName=name, Description=name, VpcId=network.vpc)["GroupId"]
    for port, cidr in openings:
        ec2.authorize_security_group_ingress(GroupId=made, IpProtocol="tcp", FromPort=port, ToPort=port, CidrIp=cidr)
    return made


def interface(cloud: Cloud, network: Network, group_id: str) -> None:
    cloud.client("ec2").create_network_interface(SubnetId=network.private[0], Groups=[group_id])


def environment(cloud: Cloud, *endpoints: Endpoint) -> Environment:
    account = cloud.account(name="production")
    return Environment(service="orders", name="production", stage="production", aws=(account,), endpoints=endpoints)


def named(findings: Sequence[Finding]) -> set[str]:
    return {finding.subject.partition(" (")[2].rstrip(")") or finding.subject for finding in findings}


@pytest.mark.proof("pass")
@pytest.mark.proof("fail")
def test_a_database_group_open_to_the_world_fails_and_one_for_the_application_passes(cloud: Cloud) -> None:
    network = cloud.network()
    for name, cidr in (("database-open", "0.0.0.0/0"), ("database-closed", "10.0.1.0/24")):
        interface(cloud, network, group(cloud, network, name, (5432, cidr)))
    cloud.balancer(network, sources=["0.0.0.0/0"], name="front")
    group(cloud, network, "forgotten", (22, "0.0.0.0/0"))

    result = audit_item(ITEM, environment(cloud), environ=cloud.environ)

    assert result.status is Status.FAIL
    assert named(result.of_status(FAIL)) == {"database-open"}
    assert {"database-closed", "front"} <= named(result.of_status(PASS))
    assert "forgotten" not in named(result.findings)


@pytest.mark.proof("pass")
def test_an_account_with_closed_groups_passes_with_a_warning_for_each_network_without_flow_logs(cloud: Cloud) -> None:
    network = cloud.network()
    interface(cloud, network, group(cloud, network, "database", (5432, "10.0.1.0/24")))

    result = audit_item(ITEM, environment(cloud), environ=cloud.environ)

    assert result.status is Status.PASS, result.reason
    assert any("no active flow log" in finding.observed for finding in result.of_status(WARNING))


def test_a_public_database_behind_an_open_group_fails_by_name(cloud: Cloud) -> None:
    network = cloud.network()
    opened = group(cloud, network, "open", (5432, "0.0.0.0/0"))
    cloud.client("rds").create_db_instance(
        DBInstanceIdentifier="orders",
        DBInstanceClass="db.t3.micro",
        Engine="postgres",
        Port=5432,
        PubliclyAccessible=True,
        VpcSecurityGroupIds=[opened],
        MasterUsername="quub",
        MasterUserPassword="only-for-this-test",
        AllocatedStorage=20,
    )

    result = audit_item(ITEM, environment(cloud), check="database", environ=cloud.environ)

    assert [finding.subject for finding in result.of_status(FAIL)] == ["orders"]
    assert opened in result.of_status(FAIL)[0].observed


@pytest.mark.proof("inconclusive")
def test_an_account_in_which_nothing_uses_a_group_is_inconclusive(cloud: Cloud) -> None:
    cloud.client("ec2").create_security_group(GroupName="unused", Description="unused")

    result = audit_item(ITEM, environment(cloud), environ=cloud.environ)

    assert result.status is Status.INCONCLUSIVE, result.reason


@pytest.mark.proof("error")
def test_denied_interfaces_are_an_error_that_names_the_permission(cloud: Cloud) -> None:
    network = cloud.network()
    interface(cloud, network, group(cloud, network, "database", (5432, "10.0.1.0/24")))
    cloud.allow_only("ec2:DescribeSecurityGroups")

    result = audit_item(ITEM, environment(cloud), environ=cloud.environ)

    assert result.status is Status.ERROR
    assert any("ec2:DescribeNetworkInterfaces" in f.message + f.next_step for f in result.of_status(ERROR))


@pytest.fixture
def listening() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def endpoint(port: int, *closed: int) -> Endpoint:
    return Endpoint(
        name="api",
        url="https://orders.example.com",
        host="orders.example.com",
        port=443,
        connect_to=f"127.0.0.1:{port}",
        closed_ports=closed,
    )


def live(*endpoints: Endpoint) -> Environment:
    return Environment(service="orders", name="production", stage="production", endpoints=endpoints)


def test_a_declared_closed_port_that_takes_connections_fails_by_number(listening: int) -> None:
    other = closed_port()
    with socket.create_server(("127.0.0.1", 0)) as database:
        opened = database.getsockname()[1]

        result = audit_item(ITEM, live(endpoint(listening, opened, other)))

    assert [finding.subject for finding in result.of_status(FAIL)] == ["api"]
    assert f"port {opened} of 127.0.0.1" in result.reason
    assert str(other) not in result.reason
    assert result.best_evidence is Grade.LIVE


def test_closed_ports_alone_are_inconclusive_since_another_machine_may_find_them_open(listening: int) -> None:
    assert audit_item(ITEM, live(endpoint(listening, closed_port()))).status is Status.INCONCLUSIVE


def test_closed_ports_of_an_endpoint_that_is_down_are_an_error() -> None:
    assert audit_item(ITEM, live(endpoint(closed_port(), closed_port()))).status is Status.ERROR
