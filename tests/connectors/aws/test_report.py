"""IAM's credential report: waited for, read by column name, and refused where it is not whole."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quub_audit.connectors.aws import AwsConnector
from quub_audit.connectors.aws_report import COLUMNS, read_report
from quub_audit.connectors.aws_seal import as_fact
from quub_audit.connectors.base import ASKED, Ledger
from quub_audit.errors import Denied, Malformed, Reportable, TimedOut
from quub_audit.facts.seal import Fingerprint, Redactor, Sealer
from tests.connectors.aws.conftest import Connect
from tests.connectors.aws.recording import recording
from tests.connectors.aws.test_hostile_answers import NO, REGION, Say, error_xml, ready, saying
from tests.worlds.cloud import KEYS, Cloud

HEADER = ",".join(COLUMNS)
ROW = "ann,arn:aws:iam::123456789012:user/ann,true,false,false,false"
WHOLE = f"{HEADER}\n{ROW}\n".encode()


def generated(state: str) -> Say:
    return Say(
        body=f"<GenerateCredentialReportResponse><GenerateCredentialReportResult><State>{state}</State>"
        "</GenerateCredentialReportResult></GenerateCredentialReportResponse>".encode()
    )


def report(content: bytes) -> Say:
    text = base64.b64encode(content).decode()
    return Say(
        body=f"<GetCredentialReportResponse><GetCredentialReportResult><Content>{text}</Content>"
        "<ReportFormat>text/csv</ReportFormat></GetCredentialReportResult></GetCredentialReportResponse>".encode()
    )


def asked_of(connect: Connect, *answers: Say) -> tuple[tuple[Any, ...], int]:
    with saying(*answers) as server:
        rows = connect(server.account(), environ=dict(KEYS)).credential_report(region=REGION)
    return rows, len(server.seen)


def test_a_report_of_the_emulator_has_a_row_for_each_user_by_column_name(cloud: Cloud, aws: AwsConnector) -> None:
    iam = cloud.client("iam")
    for name in ("ann", "deploy"):
        iam.create_user(UserName=name)
    iam.create_login_profile(UserName="ann", Password="correct-Horse-7")
    iam.create_access_key(UserName="deploy")

    rows = aws.credential_report(region=cloud.account().home)

    found = {row["user"]: (row["password_enabled"], row["access_key_1_active"], row["mfa_active"]) for row in rows}
    assert found == {"ann": ("true", "false", "false"), "deploy": ("false", "true", "false")}


def test_a_report_is_asked_for_once_however_many_want_it_and_is_one_question(cloud: Cloud, connect: Connect) -> None:
    cloud.client("iam").create_user(UserName="ann")
    asked: dict[Any, int] = {}
    token = ASKED.set(asked)
    try:
        with recording(cloud.address) as server:
            aws = connect(cloud.account(endpoint_url=server.address), environ=cloud.environ)
            first = aws.credential_report(region=cloud.account().home)
            again = aws.credential_report(region=cloud.account().home)
    finally:
        ASKED.reset(token)

    assert first == again
    assert [question.label for question in asked] == ["iam.GetCredentialReport, read prod/us-east-1"]
    assert list(asked.values()) == [2]  # the emulator says STARTED first
    assert server.operations.count("GetCredentialReport") == 1


def test_a_report_that_is_being_made_is_waited_for(connect: Connect) -> None:
    rows, sent = asked_of(connect, generated("STARTED"), generated("INPROGRESS"), generated("COMPLETE"), report(WHOLE))

    assert [row["user"] for row in rows] == ["ann"]
    assert sent == 4


@pytest.mark.parametrize(
    "pending",
    [
        Say(410, error_xml("ReportNotPresent")),
        Say(410, error_xml("ReportExpired")),
        Say(404, error_xml("ReportInProgress")),
    ],
    ids=["not present", "expired", "in progress"],
)
def test_a_report_that_is_gone_again_is_asked_for_again(connect: Connect, pending: Say) -> None:
    rows, _ = asked_of(connect, generated("COMPLETE"), pending, generated("COMPLETE"), report(WHOLE))

    assert len(rows) == 1


def test_a_report_that_is_never_ready_ends_by_the_deadline(connect: Connect, deadline: Callable[[float], Any]) -> None:
    with saying(NO, generated("INPROGRESS")) as server:
        aws = ready(connect(server.account(), environ=dict(KEYS)), "iam")
        deadline(3.0)
        with pytest.raises(TimedOut, match=r"credential report was not ready after \d looks") as raised:
            aws.credential_report(region=REGION)

    assert "--check-timeout" in raised.value.next_step
    assert len(server.seen) > 2


@pytest.mark.parametrize("first", [(), (generated("COMPLETE"),)], ids=["making it", "reading it"])
def test_a_denial_names_both_actions(connect: Connect, first: tuple[Say, ...]) -> None:
    with pytest.raises(Denied) as raised:
        asked_of(connect, *first, Say(403, error_xml("AccessDenied")))

    assert raised.value.permission == "iam:GenerateCredentialReport and iam:GetCredentialReport"
    assert raised.value.message.startswith("prod/eu-central-1: ")
    assert raised.value.permission in raised.value.next_step


def test_another_error_is_no_reason_to_wait(connect: Connect) -> None:
    with pytest.raises(Reportable, match="Teapot"):
        asked_of(connect, generated("COMPLETE"), Say(418, error_xml("Teapot")))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "has no column user, arn"),
        (b"\xff\xfe\x00u", "is not UTF-8"),
        (b"<html><body>Welcome</body></html>", "has no column user"),
        (WHOLE[:-20], "row 1 of the credential report broke off"),
        (WHOLE + b'"bob,arn', "is no CSV, or broke off"),
        (WHOLE + ROW.encode(), "has a user twice"),
        (f"{HEADER},user\n{ROW},ann\n".encode(), "has a column twice"),
        (WHOLE.replace(b"mfa_active", b"mfa"), "has no column mfa_active"),
        (WHOLE.replace(b"false\n", b"false,false\n"), "too many fields"),
        (WHOLE[:-3], "access_key_2_active is no yes or no"),
        (b"\x00" * 4096, "has no column"),
    ],
)
def test_what_is_no_whole_report_is_malformed(content: bytes, text: str) -> None:
    with pytest.raises(Malformed, match=text) as raised:
        read_report("prod/us-east-1", content)

    assert raised.value.message.startswith("prod/us-east-1: ")
    assert raised.value.message.isprintable()


def test_unknown_columns_are_kept_and_their_order_does_not_matter() -> None:
    names = ["shoe_size", *reversed(COLUMNS)]
    content = f"{','.join(names)}\n44,false,false,false,true,arn:1,ann\n".encode()

    assert read_report("prod", b"\xef\xbb\xbf" + content)[0] == {
        "shoe_size": "44",
        "user": "ann",
        "arn": "arn:1",
        "password_enabled": "true",
        "mfa_active": "false",
        "access_key_1_active": "false",
        "access_key_2_active": "false",
    }


@given(st.integers(min_value=0, max_value=len(WHOLE) - 1))
def test_a_report_that_broke_off_is_malformed_or_lacks_whole_rows(length: int) -> None:
    try:
        rows = read_report("prod", WHOLE[:length])
    except Malformed:
        return
    assert rows == () or rows == read_report("prod", WHOLE)


def test_a_replay_gives_the_recorded_report(cloud: Cloud, connect: Connect) -> None:
    cloud.client("iam").create_user(UserName="ann")
    ledger = Ledger()
    recorded = connect(cloud.account(), environ=cloud.environ, ledger=ledger).credential_report(
        region=cloud.account().home
    )
    replay = connect(cloud.account(), environ={}, ledger=Ledger(dict(ledger.answered())))

    assert replay.credential_report(region=cloud.account().home) == recorded


def test_what_cognito_tells_of_people_is_a_fingerprint_and_their_user_names_stay_readable() -> None:
    redactor = Redactor()
    sealer = Sealer(b"salt", redactor)
    told = {"Username": "ada@shop.example", "Enabled": True}
    attributes = [{"Name": "email", "Value": "ada@shop.example"}, {"Name": "phone_number", "Value": "+4930123456"}]

    user = as_fact("cognito-idp.AdminGetUser", {**told, "UserAttributes": attributes}, sealer)
    listed = as_fact("cognito-idp.ListUsersInGroup", {"Users": [{**told, "Attributes": attributes}]}, sealer)

    for kept in (user["UserAttributes"], listed["Users"][0]["Attributes"]):
        assert [type(each["Value"]) for each in kept] == [Fingerprint, Fingerprint]
    assert user["Username"] == "ada@shop.example"
    assert redactor.clean("ada@shop.example") == "ada@shop.example"
