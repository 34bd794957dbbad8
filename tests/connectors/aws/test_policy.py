"""The session policy holds what the plan needs and no more, and always fits."""

from __future__ import annotations

import fnmatch
import functools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quub_audit.connectors.aws_errors import action_of
from quub_audit.connectors.aws_guard import judge_read
from quub_audit.connectors.aws_policy import LIMIT, VALUE_ACTIONS, SessionPolicy, session_policy
from tests.connectors.aws.test_guard import SERVICES_IN_USE, loader, service

SECRETS = (
    "secretsmanager:GetSecretValue",
    "secretsmanager:BatchGetSecretValue",
    "ssm:GetParameter",
    "ssm:GetParameters",
    "ssm:GetParametersByPath",
    "s3:GetObject",
    "sqs:ReceiveMessage",
    "ecr:GetAuthorizationToken",
    "ec2:GetPasswordData",
    "ec2:GetConsoleOutput",
    "redshift:GetClusterCredentials",
    "cognito-identity:GetCredentialsForIdentity",
    "sts:GetSessionToken",
    "sts:GetFederationToken",
    "logs:Unmask",
)


VERBS = ("Describe", "Get", "List")


def statements(policy: SessionPolicy) -> list[dict[str, Any]]:
    document: dict[str, Any] = json.loads(policy.document)
    assert document["Version"] == "2012-10-17"
    found: list[dict[str, Any]] = document["Statement"]
    return found


def allows(policy: SessionPolicy, action: str) -> bool:
    """As IAM decides it: an explicit denial wins. A managed policy allows every read."""

    def named(effect: str) -> bool:
        patterns = [each for part in statements(policy) if part["Effect"] == effect for each in part["Action"]]
        return any(fnmatch.fnmatchcase(action, pattern) for pattern in patterns)

    return (named("Allow") or bool(policy.managed)) and not named("Deny")


def size(policy: SessionPolicy) -> int:
    return len(policy.document) + sum(len(arn) for arn in policy.managed)


@functools.cache
def harmless() -> tuple[str, ...]:
    """IAM actions that give no secret: the reads of the services in use, and three of every other service."""
    found = {f"{name}:{verb}Orders" for name in loader().list_available_services("service-2") for verb in VERBS}
    for name in SERVICES_IN_USE:
        questions = (f"{name}.{operation}" for operation in service(name).operation_names)
        found |= {action_of(question) for question in questions if not judge_read(question, {})}
    return tuple(sorted(each for each in found if each not in SECRETS and not each.startswith("cognito-identity:")))


def reads(count: int) -> list[str]:
    """As many of them, spread over the services."""
    usable = harmless()
    return list(usable[:: max(1, len(usable) // count)][:count])


def test_a_short_list_is_written_out() -> None:
    policy = session_policy({"rds:DescribeDBInstances", "apigateway:GET"}, reads_values=False)

    assert statements(policy) == [
        {
            "Effect": "Allow",
            "Action": ["apigateway:GET", "rds:DescribeDBInstances", "sts:GetCallerIdentity"],
            "Resource": "*",
        }
    ]
    assert policy.managed == ()


def test_an_empty_list_allows_nothing_but_to_know_oneself() -> None:
    policy = session_policy(frozenset(), reads_values=False)

    assert [part["Action"] for part in statements(policy)] == [["sts:GetCallerIdentity"]]


def test_the_value_of_a_secret_is_not_opened_by_a_plan_alone() -> None:
    policy = session_policy({"secretsmanager:GetSecretValue", "ssm:DescribeParameters"}, reads_values=False)

    assert [part["Action"] for part in statements(policy)] == [["ssm:DescribeParameters", "sts:GetCallerIdentity"]]


def test_what_is_no_iam_action_is_left_out() -> None:
    others = {
        'path "secret/data/quub" { capabilities = ["read"] }',
        "get deployments.apps",
        "pg_monitor",
        "contents: read",
        "*",
        "rds:*",
        "iam:Delete*",
        'rds:Describe"}',
    }

    policy = session_policy(others, reads_values=False)

    assert [part["Action"] for part in statements(policy)] == [["sts:GetCallerIdentity"]]


def test_values_of_secrets_are_allowed_only_where_the_account_says_so() -> None:
    without = session_policy({"secretsmanager:DescribeSecret"}, reads_values=False)
    with_values = session_policy({"secretsmanager:DescribeSecret"}, reads_values=True)

    assert not any(allows(without, action) for action in VALUE_ACTIONS)
    assert all(allows(with_values, action) for action in VALUE_ACTIONS)


@pytest.mark.parametrize("reads_values", [False, True])
@pytest.mark.parametrize("count", [5, 40, 60, 80, 120, 200, 400, 1000])
def test_every_size_of_plan_fits_and_is_allowed_and_no_secret_is(count: int, reads_values: bool) -> None:
    actions = reads(count)

    policy = session_policy(actions, reads_values=reads_values)

    assert size(policy) <= LIMIT
    assert [action for action in actions if not allows(policy, action)] == []
    opened = [action for action in SECRETS if allows(policy, action)]
    assert opened == [action for action in SECRETS if reads_values and action in VALUE_ACTIONS]


def test_many_actions_of_one_service_become_patterns_and_others_stay_written_out() -> None:
    many = {f"ec2:Describe{'Thing' * 3}{number}" for number in range(80)}

    policy = session_policy(many | {"ssm:DescribeParameters", "ec2:GetManagedPrefixListEntries"}, reads_values=False)

    allowed = statements(policy)[0]["Action"]
    assert allowed == ["ec2:Describe*", "ec2:Get*", "ssm:DescribeParameters", "sts:GetCallerIdentity"]
    assert not allows(policy, "ec2:GetPasswordData")
    assert not allows(policy, "ec2:TerminateInstances")


def test_a_plan_that_no_pattern_shortens_enough_falls_back_to_the_policy_of_aws_for_reads() -> None:
    policy = session_policy(reads(1000), reads_values=False, partition="aws-us-gov")

    assert policy.managed == ("arn:aws-us-gov:iam::aws:policy/ReadOnlyAccess",)


@settings(max_examples=60, deadline=None, database=None)
@given(st.sets(st.from_regex(r"\A[a-z]{2,12}:(Describe|Get|List)[A-Z][a-z]{1,20}\Z"), max_size=150), st.booleans())
def test_any_plan_fits_and_allows_what_it_needs(actions: set[str], reads_values: bool) -> None:
    policy = session_policy(actions, reads_values=reads_values)

    assert size(policy) <= LIMIT
    assert all(allows(policy, action) for action in actions if action not in SECRETS)
