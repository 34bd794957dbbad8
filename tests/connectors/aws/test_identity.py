"""Nothing is asked of an account before the credentials were seen to be those of the declared one."""

from __future__ import annotations

import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from quub_audit.connectors.aws import AwsConnector
from quub_audit.connectors.base import Ledger, Question
from quub_audit.errors import Absent, Denied, Refused, Reportable, Unreachable, WrongTarget
from quub_audit.facts.seal import Redactor, Sealer
from quub_audit.model.environment import Region, SecretReference
from tests.connectors.aws.conftest import Connect
from tests.connectors.aws.recording import recording
from tests.worlds.cloud import Cloud


def test_the_caller_of_the_declared_account_is_told_by_its_arn(cloud: Cloud, aws: AwsConnector) -> None:
    assert aws.caller(cloud.account()) == f"arn:aws:sts::{cloud.account_id}:assumed-role/operator/quub-audit"


def test_another_account_is_a_wrong_target_that_names_both_and_the_source(cloud: Cloud, connect: Connect) -> None:
    declared = cloud.account(account_id="999999999999")
    connector = connect(declared, environ=cloud.environ)

    with pytest.raises(WrongTarget) as raised:
        connector.caller(declared)

    said = str(raised.value)
    assert cloud.account_id in said
    assert "999999999999" in said
    assert f"the role arn:aws:iam::{cloud.account_id}:role/operator, assumed with the environment variables" in said
    assert "use credentials of 999999999999, or correct aws.prod.account_id" in said


def test_the_wrong_account_is_a_wrong_target_each_time_it_is_asked(cloud: Cloud, connect: Connect) -> None:
    declared = cloud.account(account_id="999999999999")
    connector = connect(declared, environ=cloud.environ)

    for _ in range(2):
        with pytest.raises(WrongTarget, match="999999999999"):
            connector.caller(declared)


def test_nothing_is_asked_of_the_wrong_account(cloud: Cloud, connect: Connect) -> None:
    with recording(cloud.address) as peer:
        declared = cloud.account(account_id="999999999999", endpoint_url=peer.address, read_secret_values=True)
        connector = connect(declared, environ=cloud.environ)
        secret = SecretReference(store="secrets-manager", name="orders", region=declared.regions[0])

        for ask in (
            lambda: connector.ask("s3.ListBuckets", region=declared.home),
            lambda: connector.find("secretsmanager.DescribeSecret", region=declared.regions[0], SecretId="a"),
            lambda: connector.secret_fingerprints(secret),
            lambda: connector.secret_values(secret),
        ):
            with pytest.raises(Refused, match=r"declares 999999999999, so nothing was asked"):
                ask()

    assert peer.operations == ["AssumeRole", "GetCallerIdentity"]


def test_the_identity_is_asked_once_before_the_first_question_however_many_ask(cloud: Cloud, connect: Connect) -> None:
    with recording(cloud.address) as peer:
        account = cloud.account(endpoint_url=peer.address)
        connector = connect(account, environ=cloud.environ)
        region = account.regions[0]
        questions = ("rds.DescribeDBInstances", "iam.ListUsers", "sqs.ListQueues", "sns.ListTopics")
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda name: connector.ask(name, region=region), questions * 8))

    assert len(answers) == 32
    assert peer.operations[:2] == ["AssumeRole", "GetCallerIdentity"]
    assert sorted(peer.operations[2:]) == ["DescribeDBInstances", "ListQueues", "ListTopics", "ListUsers"]


def test_an_unknown_identity_is_the_error_of_everything_that_asks(cloud: Cloud, connect: Connect) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    account = cloud.account(endpoint_url=f"http://127.0.0.1:{port}")
    connector = connect(account, environ=cloud.environ)

    with pytest.raises(Unreachable, match=f"prod: no connection to 127.0.0.1:{port}: Connection refused") as raised:
        connector.caller(account)
    assert "can be reached from here" in raised.value.next_step
    with pytest.raises(Unreachable, match="no connection"):
        connector.ask("iam.ListUsers", region=account.home)


def test_each_account_is_verified_with_credentials_of_its_own(cloud: Cloud, connect: Connect) -> None:
    ours, theirs = cloud.account(), cloud.neighbour().account("staging")
    connector = connect(ours, theirs, environ=cloud.environ)

    assert ours.account_id in connector.caller(ours)
    assert theirs.account_id in connector.caller(theirs)


def test_a_sibling_with_the_wrong_account_is_refused_and_ours_is_audited(cloud: Cloud, connect: Connect) -> None:
    ours = cloud.account()
    theirs = cloud.neighbour().account("staging", account_id="888888888888")
    connector = connect(ours, theirs, environ=cloud.environ)

    assert connector.ask("rds.DescribeDBInstances", region=ours.regions[0]) == {"DBInstances": []}
    with pytest.raises(Refused, match=r"staging: .* declares 888888888888, so nothing was asked"):
        connector.ask("rds.DescribeDBInstances", region=theirs.regions[0])


def test_the_identity_of_a_replay_comes_from_the_bundle(cloud: Cloud, connect: Connect) -> None:
    first = Ledger()
    arn = connect(cloud.account(), environ=cloud.environ, ledger=first).caller(cloud.account())
    replay = Ledger(dict(first.answered()))
    connector = connect(cloud.account(endpoint_url="http://127.0.0.1:1"), environ={}, ledger=replay)

    assert connector.caller(cloud.account()) == arn
    other = connect(cloud.account(account_id="999999999999"), environ={}, ledger=replay)
    with pytest.raises(WrongTarget, match="999999999999"):
        other.caller(cloud.account(account_id="999999999999"))


def test_what_a_replay_does_not_hold_is_an_error_and_never_taken_for_absent(cloud: Cloud, connect: Connect) -> None:
    connector = connect(cloud.account(), environ={}, ledger=Ledger({}))

    with pytest.raises(Absent, match="not in the evidence bundle"):
        connector.find("secretsmanager.DescribeSecret", region=cloud.account().regions[0], SecretId="a")


def test_an_account_that_is_not_declared_is_absent_and_the_known_ones_are_named(
    cloud: Cloud, aws: AwsConnector
) -> None:
    with pytest.raises(Absent, match=r"no AWS account named 'other' in environments.yaml; declared: prod"):
        aws.ask("iam.ListUsers", region=Region(account="other", name="eu-central-1"))


def test_the_role_is_assumed_with_its_external_id_and_the_policy_of_the_plan(cloud: Cloud, connect: Connect) -> None:
    with recording(cloud.address) as peer:
        account = cloud.account(endpoint_url=peer.address, external_id="shared-with-the-auditor")
        permissions = frozenset({"rds:DescribeDBInstances", "vault: read on secret/a", "apigateway:GET"})
        connect(account, environ=cloud.environ, permissions=permissions).caller(account)

    sent = peer.parameters[0]
    assert sent["ExternalId"] == ["shared-with-the-auditor"]
    assert sent["RoleSessionName"] == ["quub-audit"]
    (statement,) = json.loads(sent["Policy"][0])["Statement"]
    assert statement == {
        "Effect": "Allow",
        "Action": ["apigateway:GET", "rds:DescribeDBInstances", "sts:GetCallerIdentity"],
        "Resource": "*",
    }


def test_a_role_that_may_not_be_assumed_is_denied_and_says_what_to_grant(cloud: Cloud, connect: Connect) -> None:
    role = f"arn:aws:iam::{cloud.account_id}:role/operator"
    cloud.allow_only("s3:ListAllMyBuckets")
    account = cloud.account(role_arn=role)

    with pytest.raises(Denied) as raised:
        connect(account, environ=cloud.environ).caller(account)

    assert raised.value.message == f"prod: assuming {role} was denied; grant sts:AssumeRole"
    assert raised.value.permission == "sts:AssumeRole"
    assert "trust" in raised.value.next_step


def test_credentials_of_the_run_are_struck_from_every_output(cloud: Cloud, connect: Connect) -> None:
    redactor = Redactor()
    environ = {"AWS_ACCESS_KEY_ID": "quub", "AWS_SECRET_ACCESS_KEY": "the-secret-access-key"}
    connector = connect(cloud.account(), environ=environ, sealer=Sealer(b"s", redactor))
    connector.caller(cloud.account())

    assert redactor.clean("x the-secret-access-key y") == "x [redacted] y"


def test_the_ledger_holds_the_identity_and_no_credential(cloud: Cloud, connect: Connect) -> None:
    ledger = Ledger()
    environ = {"AWS_ACCESS_KEY_ID": "quub", "AWS_SECRET_ACCESS_KEY": "the-secret-access-key"}
    connect(cloud.account(), environ=environ, ledger=ledger).caller(cloud.account())

    (pair,) = ledger.answered()
    question, entry = pair
    assert question == Question.about("aws", "prod", "sts.GetCallerIdentity")
    assert entry.answer is not None
    assert sorted(entry.answer) == ["Account", "Arn", "Source"]
    assert "the-secret-access-key" not in repr(pair)


def test_a_wait_for_the_identity_ends_by_the_deadline_of_the_one_who_waits(
    cloud: Cloud, connect: Connect, deadline: Any
) -> None:
    go_on = threading.Event()
    with recording(cloud.address, go_on=go_on) as peer:
        account = cloud.account(endpoint_url=peer.address)
        connector = connect(account, environ=cloud.environ)
        errors: list[Reportable] = []
        first = threading.Thread(target=lambda: connector.ask("iam.ListUsers", region=account.home))
        first.start()
        peer.wait_for_first()
        deadline(1.5)
        try:
            connector.ask("sns.ListTopics", region=account.home)
        except Reportable as error:
            errors.append(error)
        go_on.set()
        first.join(timeout=30)

    assert "identity of the credentials was not known in time" in errors[0].message


def test_keys_without_a_role_are_used_as_they_are(cloud: Cloud, connect: Connect) -> None:
    cloud.allow_only("rds:DescribeDBInstances")
    account = cloud.account()

    assert connect(account, environ=cloud.environ).caller(account).endswith(":user/audit")
