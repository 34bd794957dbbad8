"""Calls to Quub leave by the addresses registered there, and restricted endpoints let listed networks in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quub_audit.checks.security.api_keys.ip_allowlist import (
    AllowList,
    AllowlistParameters,
    WayOut,
    admits_port,
    ip_sets_of,
    judge_layers,
    judge_list,
    judge_registered,
    judge_ways,
    list_problems,
    read_acl,
    read_rules,
    read_way,
    routes_of,
)
from quub_audit.model.environment import Endpoint, Environment
from quub_audit.model.status import FindingStatus, Status
from quub_audit.testing import audit_item
from tests.checks.security.attested import settled_by_a_word
from tests.worlds.cloud import Cloud, Network

ITEM = "security.api-keys.ip-allowlist"
WANTED = AllowlistParameters()
PASS, FAIL, ERROR, WARNING = (
    FindingStatus.PASS,
    FindingStatus.FAIL,
    FindingStatus.ERROR,
    FindingStatus.WARNING,
)


# Lists


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        ([], "the list is empty"),
        (["0.0.0.0/0"], "0.0.0.0/0 is the whole internet"),
        (["::/0"], "::/0 is the whole internet"),
        (["0.0.0.0/1", "128.0.0.0/1"], "0.0.0.0/1, 128.0.0.0/1 is the whole internet"),
        (["::/1", "8000::/1"], "::/1, 8000::/1 is the whole internet"),
        (["0.0.0.0/2", "64.0.0.0/2", "128.0.0.0/1", "203.0.113.1/32"], "is the whole internet"),
        (["203.0.112.0/23"], "203.0.112.0/23 is wider than /24"),
        (["2001:db8::/47"], "2001:db8::/47 is wider than /48"),
        (["everybody"], "everybody is no network"),
        ([f"203.0.{i // 250}.{i % 250}/32" for i in range(101)], "the list has 101 entries"),
    ],
)
def test_a_list_that_keeps_nobody_out_is_no_list(entries: list[str], problem: str) -> None:
    assert any(problem in each for each in list_problems(entries, WANTED))


def test_a_list_of_100_narrow_networks_of_both_families_is_fine() -> None:
    entries = [f"203.0.113.{i}" for i in range(98)] + ["198.51.100.0/24", "2001:db8::/48"]

    assert list_problems(entries, WANTED) == []


@given(st.integers(min_value=1, max_value=6))
def test_however_the_internet_is_cut_it_is_the_whole_internet(bits: int) -> None:
    parts = [f"{i << (8 - bits)}.0.0.0/{bits}" for i in range(2**bits)]

    assert any("whole internet" in problem for problem in list_problems(parts, WANTED))


# (a) Our way to Quub


def route(**changes: Any) -> dict[str, Any]:
    return {"DestinationCidrBlock": "0.0.0.0/0", "State": "active", **changes}


LOCAL = {"DestinationCidrBlock": "10.0.0.0/16", "GatewayId": "local", "State": "active"}
SUBNET = {"SubnetId": "subnet-1", "VpcId": "vpc-1"}
NAT = {"State": "available", "NatGatewayAddresses": [{"PublicIp": "203.0.113.10"}, {"PrivateIp": "10.0.0.9"}]}


def way(routes: Sequence[dict[str, Any]], *, is_public: bool = False, nats: Any = (), **subnet: Any) -> WayOut:
    return read_way({**SUBNET, **subnet}, [LOCAL, *routes], nats, is_public=is_public)


def test_a_subnet_follows_its_own_table_and_else_the_main_one() -> None:
    main = {"Associations": [{"Main": True}], "Routes": [route(GatewayId="igw-1")]}
    own = {"Associations": [{"SubnetId": "subnet-1"}], "Routes": [route(NatGatewayId="nat-1")]}

    assert routes_of("subnet-1", [main, own]) == own["Routes"]
    assert routes_of("subnet-2", [main, own]) == main["Routes"]


def test_a_route_into_the_void_is_no_way_and_a_vpc_without_tables_is_no_answer() -> None:
    main = {"Associations": [{"Main": True}], "Routes": [route(NatGatewayId="nat-1", State="blackhole")]}

    assert routes_of("subnet-1", [main]) == []
    with pytest.raises(ValueError, match="no route table"):
        routes_of("subnet-1", [])


def test_the_public_addresses_of_nat_gateways_are_the_way_out() -> None:
    assert way([route(NatGatewayId="nat-1")], nats=[NAT]).addresses == {"203.0.113.10"}
    assert way([route(NatGatewayId="nat-1")], nats=[{**NAT, "State": "deleted"}]).addresses == frozenset()


def test_a_task_with_a_public_address_behind_an_internet_gateway_leaves_by_itself() -> None:
    assert way([route(GatewayId="igw-1")], is_public=True).is_direct
    assert not way([route(NatGatewayId="nat-1")], nats=[NAT], is_public=True).is_direct
    assert way([route(GatewayId="igw-1")]).unknown == "igw-1"


def test_a_transit_gateway_or_an_interface_is_named_as_not_followed() -> None:
    assert way([route(TransitGatewayId="tgw-1")]).unknown == "tgw-1"
    assert way([route(NetworkInterfaceId="eni-1", InstanceId="i-1")]).unknown == "eni-1"
    assert way([{**route(TransitGatewayId="tgw-1"), "DestinationCidrBlock": "10.0.0.0/8"}]).unknown == ""


def test_half_of_the_internet_over_another_way_counts_as_a_way_out() -> None:
    half = {**route(TransitGatewayId="tgw-1"), "DestinationCidrBlock": "128.0.0.0/1"}

    assert way([route(NatGatewayId="nat-1"), half], nats=[NAT]).unknown == "tgw-1"


def test_an_egress_only_gateway_opens_ipv6_where_the_subnet_has_it() -> None:
    six = {"DestinationIpv6CidrBlock": "::/0", "EgressOnlyInternetGatewayId": "eigw-1", "State": "active"}
    block = [{"Ipv6CidrBlock": "2001:db8::/64"}]

    assert way([six], Ipv6CidrBlockAssociationSet=block).is_open_v6
    assert not way([six]).is_open_v6


def out(*addresses: str, **changes: Any) -> WayOut:
    return WayOut(subnet="subnet-1", addresses=frozenset(addresses), **changes)


@pytest.mark.parametrize(
    ("ways", "registered", "kinds"),
    [
        ([out("203.0.113.10")], ["203.0.113.10/32"], ["pass"]),
        ([out("203.0.113.10")], ["203.0.113.10"], ["pass"]),
        ([out("203.0.113.10"), out("203.0.113.11")], ["203.0.113.10/32"], ["fail"]),
        ([out(is_direct=True)], ["203.0.113.10/32"], ["fail"]),
        ([out(is_direct=True)], [], ["fail"]),
        ([out("203.0.113.10")], [], ["undecided"]),
        ([out("203.0.113.10", is_open_v6=True)], ["203.0.113.10/32"], ["fail"]),
        ([out("203.0.113.10", is_open_v6=True)], ["203.0.113.10/32", "2001:db8::/48"], ["pass"]),
        ([out("203.0.113.10"), out(unknown="tgw-1")], ["203.0.113.10/32"], ["undecided"]),
        ([out()], ["203.0.113.10/32"], ["warning"]),
        ([out()], [], []),
        ([out(unknown="tgw-1")], [], ["undecided"]),
        ([], ["203.0.113.10/32"], ["warning"]),
    ],
)
def test_a_service_leaves_by_registered_addresses_only(
    ways: list[WayOut], registered: list[str], kinds: list[str]
) -> None:
    found = list(judge_ways("main/orders", ways, registered))

    assert [finding.kind for finding in found] == kinds


@pytest.mark.parametrize(
    ("registered", "addresses", "kind"),
    [
        (["203.0.113.10/32", "203.0.113.11/32"], {"203.0.113.10", "203.0.113.11"}, "pass"),
        (["203.0.113.10/31"], {"203.0.113.10", "203.0.113.11"}, "pass"),
        (["203.0.113.10/32", "203.0.113.99/32"], {"203.0.113.10"}, "fail"),
        (["203.0.113.0/24"], {"203.0.113.10"}, "fail"),
        (["0.0.0.0/1", "128.0.0.0/1"], {"203.0.113.10"}, "fail"),
        (["0.0.0.0/1", "128.0.0.0/1"], set(), "fail"),
        (["203.0.113.10/32"], set(), "undecided"),
        (["not a network"], {"203.0.113.10"}, "fail"),
    ],
)
def test_what_is_registered_is_ours_and_no_more(registered: list[str], addresses: set[str], kind: str) -> None:
    assert judge_registered("quub egress", registered, addresses, WANTED).kind == kind


# (b) Who may reach us

SET, OTHER = "arn:aws:wafv2:r:1:regional/ipset/partners/1", "arn:aws:wafv2:r:1:regional/ipset/offices/2"
SETS = {SET: {"Addresses": ["203.0.113.0/24"]}, OTHER: {"Addresses": ["198.51.100.0/24"]}}
IN_SET = {"IPSetReferenceStatement": {"ARN": SET}}
IN_OTHER = {"IPSetReferenceStatement": {"ARN": OTHER}}
HEADER = {"ByteMatchStatement": {"SearchString": b"x"}}


def acl(*rules: tuple[dict[str, Any], str], default: str = "Block") -> dict[str, Any]:
    return {
        "Name": "acl",
        "DefaultAction": {default: {}},
        "Rules": [
            {"Name": f"r{i}", "Statement": statement, "Action": {action: {}}}
            for i, (statement, action) in enumerate(rules)
        ],
    }


def statuses_of(document: dict[str, Any]) -> list[FindingStatus]:
    listed = read_acl(document, SETS)
    return [judge_list("api", listed, WANTED).status] if listed and listed.is_exclusive else []


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (acl((IN_SET, "Allow")), [PASS]),
        (acl((IN_SET, "Count")), [FAIL]),
        (acl((IN_SET, "Allow"), (HEADER, "Allow")), [FAIL]),
        (acl((IN_SET, "Allow"), (HEADER, "Block")), [PASS]),
        (acl(({"AndStatement": {"Statements": [IN_SET, HEADER]}}, "Allow")), [PASS]),
        (acl(({"OrStatement": {"Statements": [IN_SET, IN_OTHER]}}, "Allow")), [PASS]),
        (acl((IN_SET, "Allow"), ({"OrStatement": {"Statements": [IN_SET, HEADER]}}, "Allow")), [FAIL]),
        (acl(({"NotStatement": {"Statement": IN_SET}}, "Block"), default="Allow"), [PASS]),
        (acl(({"NotStatement": {"Statement": IN_SET}}, "Count"), default="Allow"), [FAIL]),
        (acl((IN_SET, "Block"), default="Allow"), []),
        (acl((IN_SET, "Count"), default="Allow"), []),
        (acl((IN_SET, "Allow"), default="Allow"), []),
        (acl(default="Allow"), []),
        (acl((IN_SET, "Allow"), ({"RuleGroupReferenceStatement": {"ARN": "arn"}}, "None")), [FAIL]),
        (
            acl(({"IPSetReferenceStatement": {"ARN": SET, "IPSetForwardedIPConfig": {"HeaderName": "X"}}}, "Allow")),
            [FAIL],
        ),
    ],
)
def test_a_web_acl_is_an_allow_list_only_where_it_keeps_the_rest_out(
    document: dict[str, Any], expected: list[FindingStatus]
) -> None:
    assert statuses_of(document) == expected


def test_an_empty_ip_set_lets_nobody_in_and_is_told() -> None:
    listed = read_acl(acl((IN_SET, "Allow")), {SET: {"Addresses": []}})

    assert listed is not None
    assert judge_list("api", listed, WANTED).observed == "the list is empty"


def test_ip_sets_are_found_however_deep_they_stand() -> None:
    deep = {"AndStatement": {"Statements": [{"NotStatement": {"Statement": IN_OTHER}}, IN_SET]}}

    assert ip_sets_of(acl((deep, "Allow"))) == {SET, OTHER}


@pytest.mark.parametrize(
    ("permission", "expected"),
    [
        ({"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443}, True),
        ({"IpProtocol": "tcp", "FromPort": 0, "ToPort": 65535}, True),
        ({"IpProtocol": "-1"}, True),
        ({"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80}, False),
        ({"IpProtocol": "udp", "FromPort": 443, "ToPort": 443}, False),
    ],
)
def test_a_rule_of_a_security_group_counts_when_it_lets_the_port_in(permission: dict[str, Any], expected: bool) -> None:
    assert admits_port(permission, 443) is expected


def rule(action: str, *sources: str, priority: str = "1") -> dict[str, Any]:
    condition = [{"Field": "source-ip", "SourceIpConfig": {"Values": list(sources)}}] if sources else []
    return {"Priority": priority, "Conditions": condition, "Actions": [{"Type": action}]}


def test_listener_rules_are_a_list_when_all_the_rest_is_refused() -> None:
    closed = read_rules([rule("forward", "203.0.113.0/24"), rule("fixed-response", priority="default")], 443)
    leaky = read_rules([rule("forward", "203.0.113.0/24"), rule("forward", priority="default")], 443)

    assert closed is not None
    assert judge_list("api", closed, WANTED).status is PASS
    assert leaky is not None
    assert judge_list("api", leaky, WANTED).status is FAIL
    assert read_rules([rule("forward", priority="default")], 443) is None


def test_a_restricted_endpoint_needs_one_sound_list_in_any_layer() -> None:
    sound = AllowList(source="security groups sg-1", entries=("203.0.113.0/24",))
    wide = AllowList(source="web ACL acl", entries=("0.0.0.0/0",))

    assert judge_layers("admin", [wide, sound], WANTED).status is PASS
    assert judge_layers("admin", [wide], WANTED).status is FAIL
    assert judge_layers("admin", [], WANTED).observed == "no list stands in front of it"


# On AWS


def cidrs(network: Network) -> tuple[str, ...]:
    return tuple(f"{address}/32" for address in network.addresses)


def behind(environment: Environment, *balancers: str) -> Environment:
    endpoints = tuple(
        Endpoint(name=f"api-{number}", url="https://api.invalid", host="api.invalid", port=443, load_balancer=balancer)
        for number, balancer in enumerate(balancers)
    )
    return replace(environment, endpoints=endpoints)


@pytest.mark.proof("pass")
def test_two_nat_addresses_that_are_exactly_those_registered_pass(cloud: Cloud) -> None:
    network = cloud.network()
    cloud.service(networkConfiguration={"subnets": list(network.private), "assignPublicIp": "DISABLED"})

    result = audit_item(ITEM, cloud.environment(egress=cidrs(network)), environ=cloud.environ)

    assert result.status is Status.PASS, result.reason
    assert {finding.subject for finding in result.of_status(PASS)} == {"main/orders", "quub egress"}


@pytest.mark.proof("fail")
def test_an_address_that_is_not_registered_fails_and_the_service_is_named(cloud: Cloud) -> None:
    network = cloud.network()
    cloud.service("good", networkConfiguration={"subnets": [network.private[0]]})
    cloud.service("bad", networkConfiguration={"subnets": list(network.private)})

    result = audit_item(ITEM, cloud.environment(egress=cidrs(network)[:1]), environ=cloud.environ)

    assert result.status is Status.FAIL
    (finding,) = result.of_status(FAIL)
    assert finding.subject == "main/bad"
    assert network.addresses[1] in finding.observed


@pytest.mark.proof("fail")
def test_a_task_with_a_public_address_fails(cloud: Cloud) -> None:
    network = cloud.network()
    cloud.service(networkConfiguration={"subnets": [network.public], "assignPublicIp": "ENABLED"})

    result = audit_item(ITEM, cloud.environment(egress=cidrs(network)), environ=cloud.environ)

    assert "main/orders" in [finding.subject for finding in result.of_status(FAIL)]


@pytest.mark.proof("fail")
def test_a_registered_address_that_nothing_leaves_by_fails(cloud: Cloud) -> None:
    network = cloud.network()
    cloud.service(networkConfiguration={"subnets": list(network.private)})

    result = audit_item(ITEM, cloud.environment(egress=(*cidrs(network), "198.51.100.7/32")), environ=cloud.environ)

    (finding,) = result.of_status(FAIL)
    assert (finding.subject, finding.observed.split()[0]) == ("quub egress", "198.51.100.7/32")


def test_a_service_that_does_not_call_quub_is_left_out(cloud: Cloud) -> None:
    network = cloud.network()
    cloud.service("orders", networkConfiguration={"subnets": [network.private[0]]})
    cloud.service("mailer", networkConfiguration={"subnets": [network.private[1]]})

    result = audit_item(
        ITEM,
        cloud.environment(egress=cidrs(network)[:1]),
        parameters={"services": ["main/orders"]},
        environ=cloud.environ,
    )

    assert result.status is Status.PASS, result.reason


@pytest.mark.proof("inconclusive")
def test_registered_networks_and_nothing_that_leaves_by_them_are_inconclusive(cloud: Cloud) -> None:
    result = audit_item(ITEM, cloud.environment(egress=("203.0.113.10/32",)), environ=cloud.environ)

    assert result.status is Status.INCONCLUSIVE
    assert settled_by_a_word(result)


def test_a_restricted_endpoint_hides_no_service_whose_addresses_nobody_registered(cloud: Cloud) -> None:
    network = cloud.network()
    cloud.service(networkConfiguration={"subnets": list(network.private)})
    closed = cloud.balancer(network, name="closed", sources=["203.0.113.0/24"])

    environment = behind(cloud.environment(), closed)
    result = audit_item(ITEM, environment, parameters={"restricted": ["api-0"]}, environ=cloud.environ)

    assert result.status is Status.INCONCLUSIVE
    assert [finding.subject for finding in result.of_status(PASS)] == ["api-0 (closed)"]
    assert [finding.kind for finding in result.of_status(WARNING)] == ["undecided"]
    assert settled_by_a_word(result)


@pytest.mark.proof("inconclusive")
def test_nothing_declared_is_inconclusive_and_the_addresses_in_use_are_told(cloud: Cloud) -> None:
    network = cloud.network()
    cloud.service(networkConfiguration={"subnets": list(network.private)})

    result = audit_item(ITEM, cloud.environment(), environ=cloud.environ)

    assert result.status is Status.INCONCLUSIVE
    assert all(address in result.findings[0].observed for address in network.addresses)


@pytest.mark.proof("error")
def test_denied_route_tables_are_an_error_that_names_the_permission(cloud: Cloud) -> None:
    network = cloud.network()
    cloud.service(networkConfiguration={"subnets": list(network.private)})
    environment = cloud.environment(egress=cidrs(network))
    cloud.allow_only("ecs:List*", "ecs:Describe*", "ec2:DescribeSubnets", "ec2:DescribeNatGateways")

    result = audit_item(ITEM, replace(environment, aws=(cloud.account(name="production"),)), environ=cloud.environ)

    assert result.status is Status.ERROR
    assert "ec2:DescribeRouteTables" in result.reason + result.next_step


@pytest.mark.proof("fail")
def test_an_ip_set_of_two_halves_of_the_internet_fails_and_two_addresses_pass(cloud: Cloud) -> None:
    network = cloud.network()
    wide, narrow = cloud.balancer(network, name="wide"), cloud.balancer(network, name="narrow")
    cloud.web_acl(wide, ["0.0.0.0/1", "128.0.0.0/1"])
    cloud.web_acl(narrow, cidrs(network))

    result = audit_item(ITEM, behind(cloud.environment(), wide, "narrow"), environ=cloud.environ)

    assert [finding.subject.split(":")[0] for finding in result.of_status(FAIL)] == ["api-0 (wide)"]
    assert [finding.subject.split(":")[0] for finding in result.of_status(PASS)] == ["api-1 (narrow)"]
    assert {finding.grade.value for finding in result.findings if finding.grade} == {"control plane"}


def test_a_rule_that_only_counts_fails(cloud: Cloud) -> None:
    balancer = cloud.balancer(cloud.network())
    cloud.web_acl(balancer, ["203.0.113.0/24"], action="Count")

    result = audit_item(ITEM, behind(cloud.environment(), balancer), environ=cloud.environ)

    assert result.of_status(FAIL)[0].observed == "rule listed only counts"


def test_a_restricted_endpoint_passes_by_its_security_group_and_fails_when_that_is_open(cloud: Cloud) -> None:
    network = cloud.network()
    closed = cloud.balancer(network, name="closed", sources=["203.0.113.0/24"])
    opened = cloud.balancer(network, name="opened", sources=["203.0.113.0/24", "0.0.0.0/0"])

    result = audit_item(
        ITEM,
        behind(cloud.environment(), closed, opened),
        parameters={"restricted": ["api-0", "api-1"]},
        environ=cloud.environ,
    )

    assert [finding.subject for finding in result.of_status(PASS)] == ["api-0 (closed)"]
    assert [finding.subject for finding in result.of_status(FAIL)] == ["api-1 (opened)"]


def test_a_public_endpoint_without_a_list_says_nothing(cloud: Cloud) -> None:
    balancer = cloud.balancer(cloud.network(), sources=["0.0.0.0/0"])

    result = audit_item(ITEM, behind(cloud.environment(), balancer), environ=cloud.environ)

    assert result.status is Status.INCONCLUSIVE


def test_a_restricted_endpoint_that_leads_nowhere_is_an_error(cloud: Cloud) -> None:
    environment = behind(cloud.environment(), "gone", "")

    result = audit_item(
        ITEM, environment, parameters={"restricted": ["api-0", "api-1", "admin"]}, environ=cloud.environ
    )

    assert {finding.subject for finding in result.of_status(ERROR)} == {"api-0", "api-1", "admin"}
