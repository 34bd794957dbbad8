"""Who administers an account: every way to it, what takes it away, and who may come in from outside."""

from __future__ import annotations

import json
import re
import time
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quub_audit.checks.security.authentication._admins import (
    Directory,
    Door,
    Named,
    Session,
    administrators,
    by_session,
    doors,
    read_directory,
)
from quub_audit.checks.security.authentication._policies import Condition, holds, matches, read_policy, resolve

OURS, THEIRS = "123456789012", "999999999999"
USER = f"arn:aws:iam::{OURS}:user/ann"
ADMIN = f"arn:aws:iam::{OURS}:role/admin"
EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}
UNLESS_FACTOR = {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}
WITH_FACTOR = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}


def allow(*actions: str, on: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": on, **more}


def deny(*actions: str, on: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Deny", "Action": list(actions), "Resource": on, **more}


def document(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def user(*statements: dict[str, Any], name: str = "ann", **more: Any) -> dict[str, Any]:
    inline = [{"PolicyName": "own", "PolicyDocument": document(*statements)}] if statements else []
    return {
        "UserName": name,
        "Arn": f"arn:aws:iam::{OURS}:user/{name}",
        "UserPolicyList": inline,
        "GroupList": [],
        "AttachedManagedPolicies": [],
        **more,
    }


def trust(principal: Any, action: str = "sts:AssumeRole", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Principal": principal, **more}


def role(*statements: dict[str, Any], name: str = "admin", trusts: Any = None, **more: Any) -> dict[str, Any]:
    trusted = [trust({"Service": "ec2.amazonaws.com"})] if trusts is None else trusts
    return {
        "RoleName": name,
        "Arn": f"arn:aws:iam::{OURS}:role/{name}",
        "AssumeRolePolicyDocument": document(*trusted),
        "RolePolicyList": [{"PolicyName": "own", "PolicyDocument": document(*statements)}] if statements else [],
        "AttachedManagedPolicies": [],
        **more,
    }


def group(*statements: dict[str, Any], name: str = "ops", **more: Any) -> dict[str, Any]:
    return {
        "GroupName": name,
        "Arn": f"arn:aws:iam::{OURS}:group/{name}",
        "GroupPolicyList": [{"PolicyName": "of-group", "PolicyDocument": document(*statements)}] if statements else [],
        "AttachedManagedPolicies": [],
        **more,
    }


def policy(
    *versions: dict[str, Any], arn: str = f"arn:aws:iam::{OURS}:policy/mine", default: int = 1
) -> dict[str, Any]:
    return {
        "PolicyName": arn.rpartition("/")[2],
        "Arn": arn,
        "DefaultVersionId": f"v{default}",
        "PolicyVersionList": [
            {"VersionId": f"v{number}", "IsDefaultVersion": number == default, "Document": document(statement)}
            for number, statement in enumerate(versions, start=1)
        ],
    }


def account(*people: dict[str, Any], policies: Any = ()) -> Directory:
    return read_directory(
        OURS,
        {
            "UserDetailList": [each for each in people if "UserName" in each],
            "RoleDetailList": [each for each in people if "RoleName" in each],
            "GroupDetailList": [each for each in people if "GroupName" in each],
            "Policies": list(policies),
        },
    )


def attached(*arns: str) -> dict[str, Any]:
    return {"AttachedManagedPolicies": [{"PolicyName": arn.rpartition("/")[2], "PolicyArn": arn} for arn in arns]}


def is_admin(directory: Directory, arn: str = USER, session: Session = Session.KEY, **named: Any) -> bool:
    return arn in administrators(directory, session, Named(**named))


IN_LAMBDA = {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}
FOR_LAMBDA = role(EVERYTHING, trusts=[trust({"Service": "lambda.amazonaws.com"})])
OPEN_TO_US = role(EVERYTHING, trusts=[trust({"AWS": f"arn:aws:iam::{OURS}:root"})])
OPEN_TO_ANN = role(EVERYTHING, trusts=[trust({"AWS": USER})])
MANAGED = "arn:aws:iam::aws:policy/AdministratorAccess"
MINE = f"arn:aws:iam::{OURS}:policy/mine"
BOUND: dict[str, Any] = {"PermissionsBoundary": {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": MINE}}
NO_LONGER_BOUND = {"Condition": {"StringEquals": {"iam:PermissionsBoundary": MINE}}}

WAYS: dict[str, tuple[Directory, str]] = {
    "every action, inline": (account(user(EVERYTHING)), "every action by own"),
    "every action by a managed policy": (
        account(user(**attached(MANAGED)), policies=[policy(EVERYTHING, arn=MANAGED)]),
        "every action by AdministratorAccess",
    ),
    "by the default version of a policy": (
        account(user(**attached(MINE)), policies=[policy(allow("s3:*"), EVERYTHING, default=2)]),
        "every action by mine",
    ),
    "by a group's inline policy": (account(user(GroupList=["ops"]), group(EVERYTHING)), "every action by of-group"),
    "by a group's managed policy": (
        account(user(GroupList=["ops"]), group(**attached(MINE)), policies=[policy(EVERYTHING)]),
        "every action by mine",
    ),
    "all of IAM": (account(user(allow("iam:*"))), "every action of IAM by own"),
    "all of IAM, otherwise written": (account(user(allow("IAM:??*"))), "every action of IAM by own"),
    "two stars": (account(user(allow("*:*"))), "every action by own"),
    "all but S3": (account(user({"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"})), "every action by own"),
    "all but one bucket": (
        account(user({"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:s3:::payroll/*"})),
        "every action by own",
    ),
    "everything from the office": (
        account(user({**EVERYTHING, "Condition": {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}})),
        "every action by own",
    ),
    "everything but for a denied action": (account(user(EVERYTHING, deny("s3:DeleteBucket"))), "every action by own"),
    "everything, and a denial elsewhere": (
        account(user(EVERYTHING, deny("*", Condition={"StringNotEquals": {"aws:RequestedRegion": "eu-central-1"}}))),
        "every action by own",
    ),
    "everything within a wide boundary": (
        account(user(EVERYTHING, **BOUND), policies=[policy(EVERYTHING)]),
        "every action by own",
    ),
    "PutUserPolicy on oneself": (account(user(allow("iam:PutUserPolicy", on=USER))), "iam:PutUserPolicy on itself"),
    "PutUserPolicy by a variable": (
        account(user(allow("iam:PutUserPolicy", on="arn:aws:iam::*:user/${aws:username}"))),
        "iam:PutUserPolicy on itself",
    ),
    "AttachUserPolicy on everybody": (account(user(allow("iam:Attach*"))), "iam:AttachUserPolicy on itself"),
    "a policy for one's own group": (
        account(user(allow("iam:PutGroupPolicy"), GroupList=["ops"]), group()),
        "iam:PutGroupPolicy on its group ops",
    ),
    "a new version of one's own policy": (
        account(user(**attached(MINE)), policies=[policy(allow("iam:CreatePolicyVersion", on=MINE))]),
        "iam:CreatePolicyVersion of mine",
    ),
    "a new user": (
        account(
            user(allow("iam:CreateUser", "iam:PutUserPolicy", "iam:CreateAccessKey", on="arn:aws:iam::*:user/ci-*"))
        ),
        "iam:CreateUser with iam:PutUserPolicy",
    ),
    "a new role": (
        account(user(allow("iam:CreateRole", "iam:AttachRolePolicy"))),
        "iam:CreateRole with iam:AttachRolePolicy",
    ),
    "the keys of an administrator": (
        account(user(allow("iam:CreateAccessKey")), user(EVERYTHING, name="bob")),
        "iam:CreateAccessKey for bob",
    ),
    "the password of an administrator": (
        account(user(allow("iam:UpdateLoginProfile", on="*bob")), user(EVERYTHING, name="bob")),
        "iam:UpdateLoginProfile for bob",
    ),
    "into the group of administrators": (
        account(user(allow("iam:AddUserToGroup")), group(EVERYTHING)),
        "iam:AddUserToGroup of ops",
    ),
    "an administrative role by one's own right": (
        account(user(allow("sts:AssumeRole")), OPEN_TO_US),
        "sts:AssumeRole of admin",
    ),
    "an administrative role by its trust": (account(user(), OPEN_TO_ANN), "sts:AssumeRole of admin"),
    "another trust for an administrative role": (
        account(user(allow("iam:UpdateAssumeRolePolicy")), role(EVERYTHING)),
        "iam:UpdateAssumeRolePolicy of admin",
    ),
    "PassRole to a function": (
        account(user(allow("iam:PassRole"), allow("lambda:*")), FOR_LAMBDA),
        "iam:PassRole of admin with lambda:CreateFunction",
    ),
    "PassRole to functions alone": (
        account(user(allow("iam:PassRole", on=ADMIN, Condition=IN_LAMBDA), allow("lambda:*")), FOR_LAMBDA),
        "iam:PassRole of admin with lambda:CreateFunction",
    ),
    "PassRole to a machine": (
        account(user(allow("iam:PassRole"), allow("ec2:RunInstances")), role(EVERYTHING)),
        "iam:PassRole of admin with ec2:RunInstances",
    ),
    "a chain of roles": (
        account(
            user(allow("sts:AssumeRole", on="arn:aws:iam::*:role/step")),
            role(allow("sts:AssumeRole"), name="step", trusts=[trust({"AWS": OURS})]),
            OPEN_TO_US,
        ),
        "sts:AssumeRole of step",
    ),
    "lifting one's own boundary": (
        account(
            user(allow("iam:Put*", "iam:DeleteUserPermissionsBoundary"), **BOUND),
            policies=[policy(allow("iam:PutUserPolicy", "iam:DeleteUser*"))],
        ),
        "iam:PutUserPolicy on itself",
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_administer_is_seen_and_named(way: str) -> None:
    directory, reason = WAYS[way]

    found = administrators(directory, Session.KEY)

    assert reason in found.get(USER, ())


NO_WAYS: dict[str, Directory] = {
    "nothing": account(user()),
    "one service": account(user(allow("s3:*", "ec2:*"))),
    "power user": account(user({"Effect": "Allow", "NotAction": ["iam:*", "organizations:*"], "Resource": "*"})),
    "reading IAM": account(user(allow("iam:Get*", "iam:List*", "iam:Generate*"))),
    "everything denied again": account(user(EVERYTHING, deny("*"))),
    "everything but IAM": account(user(EVERYTHING, deny("iam:*"))),
    "all of IAM in a boundary that stops it": account(user(EVERYTHING, **BOUND), policies=[policy(allow("s3:*"))]),
    "an old version of a policy": account(
        user(**attached(MINE)), policies=[policy(EVERYTHING, allow("s3:*"), default=2)]
    ),
    "a denial of the group": account(user(EVERYTHING, GroupList=["ops"]), group(deny("iam:*", "*"))),
    "policies for others alone": account(user(allow("iam:PutUserPolicy", on="arn:aws:iam::*:user/bob"))),
    "self-service": account(
        user(
            allow(
                "iam:ChangePassword",
                "iam:CreateAccessKey",
                "iam:EnableMFADevice",
                on="arn:aws:iam::*:user/${aws:username}",
            )
        )
    ),
    "delegated within a boundary": account(
        user(allow("iam:CreateUser", "iam:PutUserPolicy", "iam:CreateAccessKey", **NO_LONGER_BOUND))
    ),
    "listed policies alone": account(
        user(allow("iam:AttachUserPolicy", Condition={"ArnLike": {"iam:PolicyARN": "arn:aws:iam::aws:policy/Amazon*"}}))
    ),
    "PassRole without anything to run": account(user(allow("iam:PassRole")), FOR_LAMBDA),
    "PassRole to another service": account(
        user(
            allow("iam:PassRole", Condition={"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}),
            allow("lambda:*"),
        ),
        FOR_LAMBDA,
    ),
    "a role whose trust leaves one out": account(
        user(allow("sts:AssumeRole")), role(EVERYTHING, trusts=[trust({"AWS": f"arn:aws:iam::{OURS}:user/bob"})])
    ),
    "a role that one has no right to": account(user(), OPEN_TO_US),
    "a role whose trust denies one": account(
        user(allow("sts:AssumeRole")),
        role(EVERYTHING, trusts=[trust({"AWS": OURS}), {**trust({"AWS": USER}), "Effect": "Deny"}]),
    ),
    "a trusted user who is denied it": account(user(deny("sts:*")), OPEN_TO_ANN),
    "one's own policies within a boundary": account(
        user(allow("iam:PutUserPolicy"), **BOUND), policies=[policy(allow("iam:PutUserPolicy", "s3:*"))]
    ),
}


@pytest.mark.parametrize("way", NO_WAYS)
def test_who_cannot_administer_is_no_administrator(way: str) -> None:
    assert not is_admin(NO_WAYS[way])


@pytest.mark.parametrize(
    ("statements", "sessions"),
    [
        ([EVERYTHING], {Session.WITH_FACTOR, Session.CONSOLE, Session.KEY}),
        ([{**EVERYTHING, "Condition": WITH_FACTOR}], {Session.WITH_FACTOR}),
        ([EVERYTHING, deny("*", Condition=UNLESS_FACTOR)], {Session.WITH_FACTOR}),
        (
            [EVERYTHING, deny("*", Condition={"Bool": {"aws:MultiFactorAuthPresent": "false"}})],
            {Session.WITH_FACTOR, Session.KEY},
        ),
        (
            [EVERYTHING, deny("*", Condition={"Null": {"aws:MultiFactorAuthPresent": "true"}})],
            {Session.WITH_FACTOR, Session.CONSOLE},
        ),
        ([EVERYTHING, deny("*", Condition={"Null": {"aws:MultiFactorAuthAge": True}})], {Session.WITH_FACTOR}),
        ([{**EVERYTHING, "Condition": {"NumericLessThan": {"aws:MultiFactorAuthAge": "3600"}}}], {Session.WITH_FACTOR}),
        (
            [
                EVERYTHING,
                {
                    "Effect": "Deny",
                    "NotAction": ["iam:EnableMFADevice", "iam:List*"],
                    "Resource": "*",
                    "Condition": UNLESS_FACTOR,
                },
            ],
            {Session.WITH_FACTOR},
        ),
        (
            [EVERYTHING, deny("*", Condition={**UNLESS_FACTOR, "StringLike": {"aws:PrincipalTag/team": "x"}})],
            {Session.WITH_FACTOR, Session.CONSOLE, Session.KEY},
        ),
        (
            [{**EVERYTHING, "Condition": {"BoolIfExists": {"aws:MultiFactorAuthPresent": "true"}}}],
            {Session.WITH_FACTOR, Session.KEY},
        ),
    ],
    ids=[
        "no condition",
        "allow with",
        "deny without",
        "Bool misses keys",
        "Null misses the console",
        "by age",
        "young",
        "but to register",
        "half a denial",
        "allow if exists",
    ],
)
def test_the_condition_on_the_factor_decides_in_which_sessions_somebody_administers(
    statements: list[dict[str, Any]], sessions: set[Session]
) -> None:
    directory = account(user(*statements))

    assert {session for session in Session if is_admin(directory, session=session)} == sessions


def test_a_role_whose_trust_demands_a_factor_is_reached_with_one_alone() -> None:
    guarded = role(EVERYTHING, trusts=[trust({"AWS": OURS}, Condition=WITH_FACTOR)])
    directory = account(user(allow("sts:AssumeRole")), guarded)

    assert [session for session in Session if is_admin(directory, session=session)] == [Session.WITH_FACTOR]


@pytest.mark.parametrize("condition", [{}, {"Condition": WITH_FACTOR}])
def test_what_is_worked_out_once_is_what_each_session_gives(condition: dict[str, Any]) -> None:
    directory = account(user({**EVERYTHING, **condition}), user(allow("sts:AssumeRole"), name="bob"), OPEN_TO_US)

    assert by_session(directory, Named()) == {session: administrators(directory, session) for session in Session}


def test_policies_and_groups_may_be_administrative_by_name() -> None:
    directory = account(user(**attached(MINE), GroupList=["ops"]), group(), policies=[policy(allow("s3:*"))])

    assert not is_admin(directory)
    assert is_admin(directory, policies=("mine",))
    assert is_admin(directory, policies=(MINE,))
    assert is_admin(directory, groups=("ops",))


def test_documents_may_be_url_encoded() -> None:
    told = user(EVERYTHING)
    told["UserPolicyList"][0]["PolicyDocument"] = quote(json.dumps(document(EVERYTHING)))

    assert is_admin(account(told))


@pytest.mark.parametrize(
    "bad", ["", "{", "[]", "7", None, 7, {}, {"Statement": 7}, {"Statement": [{"Effect": "Maybe"}]}, "[" * 100_000]
)
def test_a_document_that_cannot_be_read_is_a_problem_and_no_right(bad: Any) -> None:
    told = user(EVERYTHING)
    told["UserPolicyList"][0]["PolicyDocument"] = bad

    directory = account(told)

    assert not is_admin(directory)
    assert [problem.partition(" (")[0] for problem in directory.users[0].problems] == [
        "the document of own cannot be read"
    ]


def test_a_policy_that_the_answer_lacks_is_a_problem() -> None:
    assert account(user(**attached(MINE))).users[0].problems == ("the answer does not hold the policy mine",)


def test_a_policy_without_its_default_version_is_a_problem() -> None:
    directory = account(user(**attached(MINE)), policies=[policy(EVERYTHING, default=7)])

    assert directory.users[0].problems == ("the answer does not hold the default version of mine",)


def opened(*trusts: dict[str, Any]) -> tuple[Door, ...]:
    directory = account(role(EVERYTHING, trusts=list(trusts)))
    return doors(directory.roles[0], directory)


NOBODY_WITHOUT = {**trust("*"), "Effect": "Deny", "Condition": UNLESS_FACTOR}
BY_TOKEN = "sts:AssumeRoleWithWebIdentity"
OPENID = f"arn:aws:iam::{OURS}:oidc-provider"
SSO = f"arn:aws:iam::{OURS}:saml-provider/AWSSSO_0123_DO_NOT_DELETE"


@pytest.mark.parametrize(
    ("trusts", "expected"),
    [
        ([trust({"Service": "ec2.amazonaws.com"})], []),
        ([trust({"AWS": f"arn:aws:iam::{OURS}:root"})], []),
        ([trust({"AWS": USER})], []),
        ([trust({"AWS": "AIDAEXAMPLEOFDELETED"})], []),
        ([trust({"AWS": THEIRS})], [("account", False, False)]),
        ([trust({"AWS": f"arn:aws:iam::{THEIRS}:root"})], [("account", False, False)]),
        ([trust({"AWS": f"arn:aws:iam::{THEIRS}:root"}, Condition=WITH_FACTOR)], [("account", True, False)]),
        ([trust({"AWS": THEIRS}, Condition={"StringEquals": {"sts:ExternalId": "x"}})], [("account", False, True)]),
        ([trust({"AWS": f"arn:aws:iam::{THEIRS}:role/ci"})], [("account", False, True)]),
        ([trust({"AWS": "*"})], [("anyone", False, False)]),
        ([trust("*")], [("anyone", False, False)]),
        ([trust("*", Condition={"StringEquals": {"aws:PrincipalOrgID": "o-1"}})], [("account", False, False)]),
        ([{"Effect": "Allow", "Action": "sts:*", "NotPrincipal": {"AWS": USER}}], [("anyone", False, False)]),
        ([trust({"Federated": SSO}, "sts:AssumeRoleWithSAML")], [("federation", False, False)]),
        ([trust({"Federated": "accounts.google.com"}, BY_TOKEN)], [("federation", False, False)]),
        ([trust({"Federated": "cognito-identity.amazonaws.com"}, BY_TOKEN)], [("end users", False, False)]),
        ([trust({"Federated": f"{OPENID}/token.actions.githubusercontent.com"}, BY_TOKEN)], []),
        ([trust({"Federated": f"{OPENID}/oidc.eks.eu-central-1.amazonaws.com/id/AB"}, BY_TOKEN)], []),
        ([trust({"AWS": THEIRS}, "sts:TagSession")], []),
        ([trust({"AWS": THEIRS}), {**trust("*"), "Effect": "Deny"}], []),
        ([trust({"AWS": THEIRS}), NOBODY_WITHOUT], [("account", True, False)]),
        ([trust({"AWS": THEIRS}, Condition=WITH_FACTOR), trust({"AWS": THEIRS})], [("account", False, False)]),
    ],
)
def test_the_trust_policy_tells_who_comes_in_from_outside(
    trusts: list[dict[str, Any]], expected: list[tuple[str, bool, bool]]
) -> None:
    assert [(door.kind, door.needs_factor, door.is_machine) for door in opened(*trusts)] == expected


TEXT = st.text(alphabet="ab:*?", max_size=12)


@given(TEXT, TEXT)
def test_patterns_match_as_their_regular_expression_does(pattern: str, text: str) -> None:
    translated = "".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in pattern)

    assert matches(pattern, text) is (re.fullmatch(translated, text, re.DOTALL) is not None)


def test_a_hostile_pattern_takes_no_longer_than_it_is_long() -> None:
    began = time.monotonic()

    assert not matches("a*" * 1000 + "c", "a" * 2000)

    assert time.monotonic() - began < 60


@pytest.mark.parametrize(
    ("pattern", "is_generous", "expected"),
    [
        ("user/${aws:username}", False, "user/ann"),
        ("user/${AWS:UserName}", False, "user/ann"),
        ("user/${aws:username, 'x'}", False, "user/ann"),
        ("user/${aws:PrincipalTag/team}", True, "user/*"),
        ("user/${aws:PrincipalTag/team}", False, None),
        ("a${*}b${$}", False, "a?b$"),
    ],
)
def test_policy_variables_are_replaced_or_unknown(pattern: str, is_generous: bool, expected: str | None) -> None:
    assert resolve(pattern, {"aws:username": "ann"}, is_generous=is_generous) == expected


@pytest.mark.parametrize(
    ("operator", "values", "value", "expected"),
    [
        ("StringEquals", ("a", "b"), "b", True),
        ("StringEquals", ("a",), None, False),
        ("StringEqualsIfExists", ("a",), None, True),
        ("StringNotEquals", ("a",), None, True),
        ("StringNotEquals", ("a",), "b", True),
        ("StringNotEquals", ("a", "b"), "b", False),
        ("StringNotLike", ("a*",), "ab", False),
        ("ForAllValues:StringEquals", ("a",), None, True),
        ("ForAnyValue:StringEquals", ("a",), None, False),
        ("ForAnyValue:StringNotEquals", ("a",), None, False),
        ("Bool", ("TRUE",), "true", True),
        ("Null", ("true",), None, True),
        ("Null", ("false",), None, False),
        ("NumericLessThan", ("10",), "9", True),
        ("NumericLessThan", ("ten",), "9", None),
        ("DateLessThan", ("2030-01-01",), "x", None),
        ("Wrong", ("a",), "a", None),
    ],
)
def test_conditions_hold_as_iam_says(
    operator: str, values: tuple[str, ...], value: str | None, expected: bool | None
) -> None:
    assert holds(Condition(operator, "Some:Key", values), {"some:key": value}) is expected
    assert holds(Condition(operator, "other", values), {"some:key": value}) is None


ACTIONS = st.sampled_from(
    ["*", "iam:*", "iam:PutUserPolicy", "iam:Attach*", "sts:AssumeRole", "s3:*", "iam:PassRole", "ec2:*"]
)
CONDITIONS = st.sampled_from([{}, {"Condition": WITH_FACTOR}, {"Condition": {"StringEquals": {"aws:SourceVpc": "v"}}}])
ALLOWS = st.builds(lambda actions, more: allow(*actions, **more), st.lists(ACTIONS, min_size=1, max_size=3), CONDITIONS)
DENIES = st.builds(lambda actions, more: deny(*actions, **more), st.lists(ACTIONS, min_size=1, max_size=3), CONDITIONS)
STATEMENTS = st.lists(st.one_of(ALLOWS, DENIES), max_size=4)
SESSIONS = st.sampled_from(list(Session))


def with_statements(statements: list[dict[str, Any]], *more: dict[str, Any]) -> Directory:
    return account(user(*statements, *more), OPEN_TO_US, role(EVERYTHING, name="machine"))


@given(STATEMENTS, ALLOWS, SESSIONS)
def test_another_allow_never_makes_an_administrator_less(
    statements: list[dict[str, Any]], more: dict[str, Any], session: Session
) -> None:
    if is_admin(with_statements(statements), session=session):
        assert is_admin(with_statements(statements, more), session=session)


@given(STATEMENTS, DENIES, SESSIONS)
def test_another_denial_never_makes_an_administrator(
    statements: list[dict[str, Any]], more: dict[str, Any], session: Session
) -> None:
    if not is_admin(with_statements(statements), session=session):
        assert not is_admin(with_statements(statements, more), session=session)


@given(STATEMENTS, SESSIONS)
def test_a_denial_of_everything_ends_every_power(statements: list[dict[str, Any]], session: Session) -> None:
    assert not is_admin(with_statements(statements, deny("*")), session=session)


USUAL_DENIES = st.builds(lambda action: deny(action, Condition=UNLESS_FACTOR), ACTIONS)


@given(st.lists(st.one_of(ALLOWS, USUAL_DENIES), max_size=4))
def test_who_administers_without_a_factor_does_so_with_one(statements: list[dict[str, Any]]) -> None:
    directory = with_statements(statements)
    if is_admin(directory, session=Session.KEY) or is_admin(directory, session=Session.CONSOLE):
        assert is_admin(directory, session=Session.WITH_FACTOR)


@given(st.text() | st.dictionaries(st.text(), st.text() | st.lists(st.integers())))
def test_reading_a_policy_never_raises(document: Any) -> None:
    read_policy("any", document)


def test_five_thousand_users_and_a_thousand_roles_take_seconds() -> None:
    step = allow("s3:Get*", "dynamodb:*", "logs:*", on=["arn:aws:s3:::a/*", "arn:aws:s3:::b/*"])
    people = [user(step, name=f"u{number}") for number in range(5000)]
    people += [role(step, name=f"r{number}") for number in range(900)]
    people += [role(EVERYTHING, name=f"a{number}", trusts=[trust({"AWS": OURS})]) for number in range(100)]
    began = time.monotonic()

    found = administrators(account(*people), Session.KEY)

    assert len(found) == 100
    assert time.monotonic() - began < 60
