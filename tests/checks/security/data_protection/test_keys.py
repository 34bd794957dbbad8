"""A key guards something when it exists, works, is closed to other accounts, and is whose it must be."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quub_audit.checks.security.data_protection._keys import (
    USABLE,
    Batch,
    Key,
    KeyParameters,
    Protection,
    Stored,
    guard_of,
    in_batches,
    in_scope,
    is_aws_alias,
    is_open_policy,
    is_rotatable,
    judge,
    key_problem,
    resource_of,
)
from quub_audit.model.status import FindingStatus
from quub_audit.sdk import Finding, Region

PASS, FAIL, ERROR, WARNING = FindingStatus.PASS, FindingStatus.FAIL, FindingStatus.ERROR, FindingStatus.WARNING
REGION = Region(account="production", name="eu-central-1")
OWN = Key(name="key/1", state="Enabled", is_customers=True, rotates=True)
STATES = ("Creating", "Enabled", "Disabled", "PendingDeletion", "PendingImport", "Unavailable", "Updating", "")


def thing(protection: Protection = "kms", key: str = "key/1", name: str = "orders", **more: Any) -> Stored:
    parts: dict[str, Any] = {"region": REGION, "service": "rds", "kind": "RDS instance", "name": name}
    return Stored(**{**parts, "protection": protection, "key": key if protection == "kms" else "", **more})


# What answers mean


@pytest.mark.parametrize(
    ("flag", "key", "type_", "expected"),
    [
        (True, "key/1", None, ("kms", "key/1")),
        (True, None, None, ("owned", "")),
        (True, "alias/aws/sqs", None, ("owned", "")),
        (True, "arn:aws:kms:eu-central-1:111122223333:alias/aws/rds", None, ("owned", "")),
        (True, "alias/aws-like", None, ("kms", "alias/aws-like")),
        (False, None, None, ("none", "")),
        (False, "key/1", None, ("none", "")),
        (False, None, "none", ("none", "")),
        (False, None, "sse-rds", ("owned", "")),
        (True, "a-key-that-nobody-may-look-at", "sse-rds", ("owned", "")),
        (False, None, "sse-elasticache", ("owned", "")),
        (None, "key/1", "sse-kms", ("kms", "key/1")),
        (None, None, "none", ("none", "")),
        (None, None, None, ("unknown", "")),
        (None, "", "", ("unknown", "")),
    ],
)
def test_an_answer_means_what_it_says_and_silence_is_neither_yes_nor_no(
    flag: bool | None, key: str | None, type_: str | None, expected: tuple[str, str]
) -> None:
    assert guard_of(flag=flag, key=key, type_=type_) == expected


def test_only_the_reserved_aliases_are_keys_of_aws() -> None:
    assert is_aws_alias("alias/aws/ebs")
    assert not is_aws_alias("alias/mine")
    assert not is_aws_alias("arn:aws:kms:eu-central-1:111122223333:key/alias-aws")


# Judging


@pytest.mark.parametrize(
    ("stored", "key", "wanted", "status", "observed"),
    [
        (thing("none"), None, {}, FAIL, "this RDS instance is not encrypted"),
        (thing("none", service="s3", kind="S3 bucket"), None, {}, FAIL, "this S3 bucket has no default encryption"),
        (thing("owned"), None, {}, PASS, "this RDS instance is encrypted with a key of AWS"),
        (thing("owned"), None, {"require_cmk": True}, FAIL, "this RDS instance is encrypted with a key of AWS"),
        (thing("owned"), None, {"require_cmk": True, "cmk_exceptions": {"rds": "x"}}, PASS, "this RDS instance is"),
        (thing("owned"), None, {"require_cmk": True, "cmk_exceptions": {"s3": "x"}}, FAIL, "this RDS instance is"),
        (thing(), OWN, {}, PASS, "this RDS instance is encrypted with the customer managed key key/1"),
        (thing(), OWN, {"require_cmk": True}, PASS, "this RDS instance is encrypted with the customer managed key"),
        (thing(), Key(name="k", state="Enabled"), {}, PASS, "this RDS instance is encrypted with the AWS managed key"),
    ],
)
def test_a_thing_is_judged_by_what_guards_it(
    stored: Stored, key: Key | None, wanted: dict[str, Any], status: FindingStatus, observed: str
) -> None:
    finding = judge(stored, key, KeyParameters(**wanted))

    assert finding.status is status
    assert finding.observed.startswith(observed)


def test_a_thing_whose_answer_says_nothing_is_an_error_and_one_under_a_key_needs_the_key() -> None:
    assert judge(thing("unknown"), None, KeyParameters()).status is ERROR
    with pytest.raises(ValueError, match="its key key/1 is not given"):
        judge(thing(), None, KeyParameters())


@pytest.mark.parametrize(
    ("key", "is_cmk_wanted", "problem"),
    [
        (Key(name="k", state=""), False, "is encrypted with k, which does not exist"),
        (Key(name="k", state="Disabled"), False, "is encrypted with k, which is Disabled"),
        (Key(name="k", state="PendingImport"), False, "is encrypted with k, which is PendingImport"),
        (
            Key(name="k", state="PendingDeletion", deleted_on=datetime(2026, 12, 1, tzinfo=UTC)),
            False,
            "is encrypted with k, which is PendingDeletion, to be deleted on 2026-12-01",
        ),
        (
            Key(name="k", state="Enabled", is_open=True),
            False,
            "is encrypted with k, whose policy lets any account decrypt",
        ),
        (Key(name="k", state="Enabled"), True, "is encrypted with the AWS managed key k"),
        (
            Key(name="k", state="Enabled", is_customers=True, rotates=False),
            True,
            "is encrypted with k, which does not rotate",
        ),
        (Key(name="k", state="Enabled", is_customers=True, rotates=False), False, ""),
        (Key(name="k", state="Enabled", is_customers=True, rotates=None), True, ""),
        (Key(name="k", state="Updating"), False, ""),
    ],
)
def test_a_key_that_does_not_protect_says_why(key: Key, is_cmk_wanted: bool, problem: str) -> None:
    assert key_problem(key, is_cmk_wanted=is_cmk_wanted) == problem


@given(
    state=st.sampled_from(STATES),
    is_customers=st.booleans(),
    rotates=st.sampled_from([True, False, None]),
    is_open=st.booleans(),
    is_cmk_wanted=st.booleans(),
)
def test_more_demands_never_turn_a_bad_key_good_and_an_unusable_or_open_one_never_passes(
    state: str, is_customers: bool, rotates: bool | None, is_open: bool, is_cmk_wanted: bool
) -> None:
    key = Key(name="k", state=state, is_customers=is_customers, rotates=rotates, is_open=is_open)

    problem = key_problem(key, is_cmk_wanted=is_cmk_wanted)

    if state not in USABLE or is_open:
        assert problem
    if key_problem(key, is_cmk_wanted=False):
        assert key_problem(key, is_cmk_wanted=True)


# Policies


def policy(**changes: Any) -> str:
    statement = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:*", "Resource": "*", **changes}
    return json.dumps({"Version": "2012-10-17", "Statement": [{k: v for k, v in statement.items() if v is not None}]})


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"Principal": "*"},
        {"Principal": {"AWS": ["arn:aws:iam::111122223333:root", "*"]}},
        {"Principal": None, "NotPrincipal": {"AWS": "arn:aws:iam::111122223333:user/former"}},
        {"Action": ["kms:Decrypt"]},
        {"Action": "kms:De*"},
        {"Action": "KMS:decrypt"},
        {"Action": "*"},
        {"Action": "kms:CreateGrant"},
        {"Action": None, "NotAction": "kms:ScheduleKeyDeletion"},
        {"Condition": {"StringEquals": {"kms:ViaService": "rds.eu-central-1.amazonaws.com"}}},
        {"Condition": {"StringLike": {"kms:CallerAccount": "*"}}},
        {"Condition": {"StringNotEquals": {"aws:PrincipalOrgID": "o-1"}}},
        {"Condition": {"StringEqualsIfExists": {"aws:PrincipalOrgID": "o-1"}}},
        {"Condition": {"Bool": {"aws:SecureTransport": "true"}}},
    ],
)
def test_a_policy_that_lets_any_account_decrypt_is_open(changes: dict[str, Any]) -> None:
    assert is_open_policy(policy(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"Effect": "Deny"},
        {"Principal": {"AWS": "arn:aws:iam::111122223333:root"}},
        {"Principal": {"Service": "*"}},
        {"Action": "kms:DescribeKey"},
        {"Action": ["kms:Encrypt", "kms:GenerateDataKey"]},
        {"Action": None, "NotAction": "kms:*"},
        {"Condition": {"StringEquals": {"kms:CallerAccount": "111122223333"}}},
        {"Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}},
        {"Condition": {"StringEquals": {"aws:SourceVpce": "vpce-1", "kms:ViaService": "s3"}}},
        {"Condition": {"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": "o-1/*"}}},
        {"Condition": {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::111122223333:role/*"}}},
    ],
)
def test_a_policy_that_names_whom_it_lets_in_is_closed(changes: dict[str, Any]) -> None:
    assert not is_open_policy(policy(**changes))


def test_a_statement_alone_counts_as_one_of_a_list_and_no_policy_is_no_answer() -> None:
    alone = json.dumps({"Statement": json.loads(policy())["Statement"][0]})

    assert is_open_policy(alone)
    for text in ("", "[]", "<html>", "null"):
        with pytest.raises(ValueError, match=r"key policy|Expecting value"):
            is_open_policy(text)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"KeySpec": "SYMMETRIC_DEFAULT", "Origin": "AWS_KMS"}, True),
        ({"KeySpec": "SYMMETRIC_DEFAULT", "Origin": "EXTERNAL"}, False),
        ({"KeySpec": "RSA_2048", "Origin": "AWS_KMS"}, False),
        ({}, False),
    ],
)
def test_kms_rotates_symmetric_keys_with_material_of_its_own(told: dict[str, str], expected: bool) -> None:
    assert is_rotatable(told) is expected


# Batches and scope


def test_things_are_grouped_by_kind_protection_and_key_and_none_is_lost() -> None:
    things = [thing(name=f"db-{n}", key=f"key/{n % 2}") for n in range(5)] + [thing("none", name="plain")]

    batches = list(in_batches(things))

    assert [(batch.key, len(batch.things)) for batch in batches] == [("key/0", 3), ("key/1", 2), ("", 1)]
    assert sorted(each.name for batch in batches for each in batch.things) == sorted(each.name for each in things)
    assert str(batches[0]) == "3 of kind RDS instance in production/eu-central-1 under key/0"
    assert str(batches[2]) == "plain"
    assert list(in_batches([])) == []


def test_what_the_parameters_leave_out_is_told_with_its_reason() -> None:
    arn = "arn:aws:rds:eu-central-1:111122223333:db:"
    names = [f"{arn}orders", f"{arn}scratch", f"{arn}other"]
    batch = Batch(region=REGION, kind="RDS instance", key="", things=tuple(thing("owned", name=each) for each in names))
    wanted = KeyParameters(only=("orders", "db:scratch"), exclude={"scratch": "made-up rows, see DATA-7"})

    judged: list[object] = []
    told: list[object] = []
    for each in in_scope(batch, wanted):
        (told if isinstance(each, Finding) else judged).append(each)

    assert [str(each) for each in judged] == [f"{arn}orders"]
    assert [(finding.status, finding.observed) for finding in told if isinstance(finding, Finding)] == [
        (WARNING, "left out of the audit: made-up rows, see DATA-7"),
        (WARNING, "left out of the audit: 1 of 3, not in `only`"),
    ]


@pytest.mark.parametrize(
    ("name", "resource"),
    [
        ("arn:aws:rds:eu-central-1:111122223333:db:orders", "rds:db:orders"),
        ("arn:aws:s3:::bucket", "s3:bucket"),
        ("vol-1", ""),
        ("not:an:arn", ""),
    ],
)
def test_a_resource_is_what_stands_at_the_end_of_an_arn(name: str, resource: str) -> None:
    assert resource_of(name) == resource
