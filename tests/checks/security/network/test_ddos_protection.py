"""Something beyond the automatic baseline absorbs or limits floods at every public entry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quub_audit.checks.security.network.ddos_protection import (
    DdosParameters,
    Limits,
    Shield,
    is_same_resource,
    judge_cdn,
    judge_entry,
    rate_problem,
    read_limits,
    shows_cdn,
)
from quub_audit.model.environment import Endpoint, Environment
from quub_audit.model.status import FindingStatus, Status
from quub_audit.sdk import HttpAnswer
from quub_audit.testing import audit_item
from tests.worlds.cloud import Cloud

ITEM = "security.network.ddos-protection"
WANTED = DdosParameters()
GROUP_ARN = "arn:aws:wafv2:eu-central-1:111122223333:regional/rulegroup/floods/1"
PASS, FAIL, ERROR, WARNING = (
    FindingStatus.PASS,
    FindingStatus.FAIL,
    FindingStatus.ERROR,
    FindingStatus.WARNING,
)


def rate_rule(limit: int = 2000, action: str | None = "Block", **more: Any) -> dict[str, Any]:
    statement = {"Limit": limit, "AggregateKeyType": "IP", **more}
    return {
        "Name": "floods",
        "Statement": {"RateBasedStatement": statement},
        **({"Action": {action: {}}} if action else {}),
    }


# Rules


@pytest.mark.parametrize("action", ["Block", "Challenge", "Captcha"])
def test_a_rate_rule_that_holds_back_counts(action: str) -> None:
    assert rate_problem(rate_rule(action=action), 2000) == ""


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        (rate_rule(action="Count"), "only has the action Count"),
        (rate_rule(action="Allow"), "only has the action Allow"),
        (rate_rule(action=None), "only has the action no action"),
        (rate_rule(2001), "lets 2001 requests per 300 s through (2001 per 300 s)"),
        (rate_rule(500, EvaluationWindowSec=60), "lets 2500 requests per 300 s through (500 per 60 s)"),
        (rate_rule(ScopeDownStatement={"ByteMatchStatement": {}}), "limits a part of the traffic"),
        (
            rate_rule(AggregateKeyType="CUSTOM_KEYS", CustomKeys=[{"Header": {"Name": "x"}}]),
            "counts by Header, which a client may vary",
        ),
    ],
)
def test_a_rule_that_only_looks_like_protection_says_why(rule: Mapping[str, Any], problem: str) -> None:
    assert rate_problem(rule, 2000) == problem


def test_a_limit_is_judged_by_its_window_and_an_exception_in_its_scope_is_fine() -> None:
    assert rate_problem(rate_rule(400, EvaluationWindowSec=60), 2000) == ""
    assert rate_problem(rate_rule(ScopeDownStatement={"NotStatement": {}}), 2000) == ""


@given(limit=st.integers(10, 10**7), window=st.sampled_from([60, 120, 300, 600]))
def test_a_rule_holds_exactly_when_its_rate_is_within_the_wanted_one(limit: int, window: int) -> None:
    is_holding = rate_problem(rate_rule(limit, EvaluationWindowSec=window), 2000) == ""

    assert is_holding == (limit * 300 / window <= 2000)


def test_rules_of_a_referenced_group_count_unless_they_are_overridden() -> None:
    reference: dict[str, Any] = {"Name": "shared", "Statement": {"RuleGroupReferenceStatement": {"ARN": GROUP_ARN}}}
    groups = {GROUP_ARN: [rate_rule()]}

    assert read_limits([reference], groups, 2000).holding == ("rule shared, floods",)

    counted = {**reference, "OverrideAction": {"Count": {}}}
    assert read_limits([counted], groups, 2000) == Limits(idle=("rule shared, floods is overridden to count",))

    reference["Statement"]["RuleGroupReferenceStatement"]["ExcludedRules"] = [{"Name": "floods"}]
    assert read_limits([reference], groups, 2000).holding == ()


def test_the_managed_group_against_floods_counts_and_another_managed_group_does_not() -> None:
    def managed(name: str, **more: Any) -> dict[str, Any]:
        return {"Name": name, "Statement": {"ManagedRuleGroupStatement": {"Name": name, **more}}}

    assert read_limits([managed("AWSManagedRulesAntiDDoSRuleSet")], {}, 2000).holding
    assert read_limits([managed("AWSManagedRulesCommonRuleSet")], {}, 2000) == Limits()
    overridden = managed("AWSManagedRulesAntiDDoSRuleSet", ExcludedRules=[{"Name": "ChallengeDDoSRequests"}])
    assert read_limits([overridden], {}, 2000).idle == (
        "rule AWSManagedRulesAntiDDoSRuleSet counts only in ChallengeDDoSRequests",
    )


# Entries


@pytest.mark.parametrize(
    ("limits", "shield", "wanted", "status", "observed"),
    [
        (Limits(holding=("rule floods",)), Shield(), WANTED, PASS, "held back by rule floods"),
        (Limits(), Shield(is_active=True), WANTED, PASS, "protected by Shield Advanced"),
        (Limits(), Shield(), DdosParameters(accept_standard=True), PASS, "Shield Standard alone, which"),
        (Limits(), Shield(), WANTED, FAIL, "no rate rule and no Shield Advanced protection"),
        (Limits(idle=("rule a counts",)), Shield(why_not="Shield Advanced is INACTIVE"), WANTED, FAIL, "rule a counts"),
    ],
)
def test_an_entry_passes_by_a_rule_or_by_shield_advanced_and_not_by_the_baseline(
    limits: Limits, shield: Shield, wanted: DdosParameters, status: FindingStatus, observed: str
) -> None:
    finding = judge_entry("front", limits, shield, wanted)

    assert finding.status is status
    assert finding.observed.startswith(observed)


def test_a_protection_is_that_of_the_resource_in_the_same_region_whatever_the_account() -> None:
    address = "arn:aws:ec2:eu-central-1:111122223333:eip-allocation/eipalloc-1"

    assert is_same_resource(address, address)
    assert is_same_resource(":eu-central-1:*:eip-allocation/eipalloc-1", address)
    assert not is_same_resource(":eu-west-1:*:eip-allocation/eipalloc-1", address)
    assert not is_same_resource(":eu-central-1:*:eip-allocation/eipalloc-2", address)
    assert not is_same_resource(":eu-central-1:*:eip-allocation/eipalloc-1", "not an ARN")


# CDNs


def answer(**headers: str) -> HttpAnswer:
    return HttpAnswer(
        url="https://orders.example.com/",
        address="192.0.2.1:443",
        status=200,
        headers=tuple((name.replace("_", "-"), value) for name, value in headers.items()),
    )


@pytest.mark.parametrize(
    ("cdn", "shown", "is_seen"),
    [
        ("Cloudflare", answer(cf_ray="7d"), True),
        ("cloudfront", answer(via="1.1 abc.cloudfront.net (CloudFront)"), True),
        ("Fastly", answer(x_served_by="cache-fra-1"), True),
        ("Edgenet", answer(server="edgenet/2"), True),
        ("Cloudflare", answer(server="nginx"), False),
        ("Edgenet", answer(), False),
    ],
)
def test_a_cdn_is_known_by_the_headers_that_it_adds(cdn: str, shown: HttpAnswer, is_seen: bool) -> None:
    assert shows_cdn(shown, cdn) is is_seen


@pytest.mark.parametrize(
    ("unseen", "is_open", "status"),
    [
        ([], False, PASS),
        (["192.0.2.1"], False, FAIL),
        ([], True, WARNING),
        ([], None, ERROR),
        (["192.0.2.1"], None, FAIL),
    ],
)
def test_a_cdn_counts_when_every_address_shows_it_and_the_origin_is_known_to_be_locked(
    unseen: Sequence[str], is_open: bool | None, status: FindingStatus
) -> None:
    endpoint = Endpoint(name="api", url="https://a.example", host="a.example", port=443, cdn="Cloudflare")

    assert judge_cdn(endpoint, unseen, is_open=is_open).status is status


# On an emulated account


def environment(cloud: Cloud, *endpoints: Endpoint) -> Environment:
    account = cloud.account(name="production")
    return Environment(service="orders", name="production", stage="production", aws=(account,), endpoints=endpoints)


def endpoint(load_balancer: str = "") -> Endpoint:
    return Endpoint(
        name="api",
        url="https://orders.example.com",
        host="orders.example.com",
        port=443,
        load_balancer=load_balancer,
    )


def protect(cloud: Cloud, balancer: str, *rules: Mapping[str, Any]) -> None:
    """A web ACL with `rules` before the load balancer."""
    waf = cloud.client("wafv2")
    name = balancer.split("/")[-2]
    seen = {"SampledRequestsEnabled": False, "CloudWatchMetricsEnabled": False, "MetricName": name}
    acl = waf.create_web_acl(
        Name=name,
        Scope="REGIONAL",
        DefaultAction={"Allow": {}},
        VisibilityConfig=seen,
        Rules=[{**rule, "Priority": index, "VisibilityConfig": seen} for index, rule in enumerate(rules)],
    )["Summary"]["ARN"]
    waf.associate_web_acl(WebACLArn=acl, ResourceArn=balancer)


@pytest.mark.proof("pass")
@pytest.mark.proof("fail")
def test_a_bare_load_balancer_fails_by_its_arn_and_one_behind_a_rate_rule_passes(cloud: Cloud) -> None:
    network = cloud.network()
    bare = cloud.balancer(network, sources=["0.0.0.0/0"], name="bare")
    counting = cloud.balancer(network, sources=["0.0.0.0/0"], name="counting")
    guarded = cloud.balancer(network, sources=["0.0.0.0/0"], name="guarded")
    protect(cloud, counting, rate_rule(action="Count"))
    protect(cloud, guarded, rate_rule())

    result = audit_item(ITEM, environment(cloud), environ=cloud.environ)

    assert {finding.subject for finding in result.of_status(FAIL)} == {bare, counting}
    assert {finding.subject for finding in result.of_status(PASS)} == {guarded}
    assert result.status is Status.FAIL


@pytest.mark.proof("pass")
def test_a_load_balancer_behind_a_rate_rule_passes(cloud: Cloud) -> None:
    guarded = cloud.balancer(cloud.network(), sources=["0.0.0.0/0"])
    protect(cloud, guarded, rate_rule(500, EvaluationWindowSec=120))

    result = audit_item(ITEM, environment(cloud), environ=cloud.environ)

    assert result.status is Status.PASS, result.reason


def test_a_load_balancer_that_lets_only_some_networks_in_is_no_public_entry(cloud: Cloud) -> None:
    cloud.balancer(cloud.network(), sources=["203.0.113.0/24"])

    assert audit_item(ITEM, environment(cloud), environ=cloud.environ).status is Status.INCONCLUSIVE


@pytest.mark.proof("inconclusive")
def test_an_account_without_an_entry_is_inconclusive_and_with_a_declared_endpoint_an_error(cloud: Cloud) -> None:
    empty = audit_item(ITEM, environment(cloud), environ=cloud.environ)
    declared = audit_item(ITEM, environment(cloud, endpoint()), environ=cloud.environ)

    assert empty.status is Status.INCONCLUSIVE
    assert declared.status is Status.ERROR
    assert [finding.subject for finding in declared.of_status(ERROR)] == ["api"]


def test_an_endpoint_whose_load_balancer_is_nowhere_is_an_error_that_names_both(cloud: Cloud) -> None:
    protect(cloud, cloud.balancer(cloud.network(), sources=["0.0.0.0/0"]), rate_rule())

    result = audit_item(ITEM, environment(cloud, endpoint(load_balancer="gone")), environ=cloud.environ)

    assert result.status is Status.ERROR
    assert "api: its load balancer gone is in no declared account" in result.reason


@pytest.mark.proof("error")
def test_denied_web_acls_are_an_error_that_names_the_permission(cloud: Cloud) -> None:
    protect(cloud, cloud.balancer(cloud.network(), sources=["0.0.0.0/0"]), rate_rule())
    cloud.allow_only("elasticloadbalancing:Describe*", "ec2:Describe*")

    result = audit_item(ITEM, environment(cloud), check="load_balancer", environ=cloud.environ)

    assert result.status is Status.ERROR
    assert "wafv2:GetWebACLForResource" in result.reason + result.next_step
