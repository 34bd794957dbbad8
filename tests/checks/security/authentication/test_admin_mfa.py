"""Second factors of administrators: of IAM and the root user, of Cognito, of Keycloak and of GitHub."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from moto.iam.models import iam_backends
from pydantic import ValidationError

from quub_audit.checks.security.authentication._admins import Door, Session
from quub_audit.checks.security.authentication.admin_mfa import (
    Administrator,
    Credentials,
    MfaParameters,
    PoolAdministrator,
    found_in,
    is_admin_group,
    is_known,
    judge_organisation,
    judge_person,
    judge_pool_administrator,
    judge_role,
    judge_root,
    judge_user,
    second_steps,
)
from quub_audit.facts.identity import Organisation, Person
from quub_audit.model.environment import Environment, IdentityProvider, Region
from quub_audit.model.finding import Finding
from quub_audit.model.result import ItemResult
from quub_audit.model.status import FindingStatus, Status
from quub_audit.sdk import UserPool
from quub_audit.testing import audit_item
from tests.checks.security.attested import settled_by_a_word
from tests.checks.security.authentication.reporting import HEADER, reporting, row
from tests.checks.security.authentication.test_admins import account, document, role, trust, user
from tests.connectors.identity.saying import Saying, Says, saying
from tests.worlds.cloud import Cloud
from tests.worlds.keycloak import ADMIN, Keycloak, KeycloakRealm

ITEM = "security.authentication.admin-mfa"
PASS, FAIL, ERROR, WARNING = (
    FindingStatus.PASS,
    FindingStatus.FAIL,
    FindingStatus.ERROR,
    FindingStatus.WARNING,
)
WANTED = MfaParameters()
STRICT = MfaParameters(phishing_resistant=True)
HOME = Region(account="prod", name="us-east-1")
EVERYWHERE = frozenset(Session)
ENFORCED = frozenset({Session.WITH_FACTOR})
EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}
VIRTUAL = "arn:aws:iam::123456789012:mfa/ann"
KEY = "arn:aws:iam::123456789012:u2f/user/ann/yubi-ABC"


def administrator(**more: Any) -> Administrator:
    parts: dict[str, Any] = {
        "home": HOME,
        "kind": "user",
        "name": "ann",
        "arn": "arn:aws:iam::123456789012:user/ann",
        "reasons": ("every action by AdministratorAccess",),
        "sessions": EVERYWHERE,
    }
    return Administrator(**{**parts, **more})


def statuses(findings: Iterator[Finding]) -> list[FindingStatus]:
    return [finding.status for finding in findings]


def kinds(findings: Iterator[Finding]) -> list[str]:
    return [finding.kind for finding in findings]


@pytest.mark.parametrize(
    ("password", "keys", "devices", "sessions", "expected"),
    [
        (False, False, (), EVERYWHERE, []),
        (True, False, (), EVERYWHERE, [FAIL]),
        (True, False, (VIRTUAL,), EVERYWHERE, [PASS]),
        (True, False, (KEY,), EVERYWHERE, [PASS]),
        (True, True, (VIRTUAL,), EVERYWHERE, [FAIL]),
        (True, True, (VIRTUAL,), ENFORCED, [PASS]),
        (True, False, (), ENFORCED, [PASS]),
        (True, True, (VIRTUAL,), frozenset({Session.WITH_FACTOR, Session.KEY}), [FAIL]),
        (True, False, (), frozenset({Session.WITH_FACTOR, Session.KEY}), [PASS]),
        # Keys become a session without a factor by sts:GetSessionToken.
        (True, True, (VIRTUAL,), frozenset({Session.WITH_FACTOR, Session.CONSOLE}), [FAIL]),
        (False, True, (), EVERYWHERE, [WARNING]),
        (False, True, (), ENFORCED, [PASS]),
    ],
)
def test_a_user_is_judged_by_what_can_be_done_without_a_factor(
    password: bool, keys: bool, devices: tuple[str, ...], sessions: frozenset[Session], expected: list[FindingStatus]
) -> None:
    has = Credentials(has_password=password, has_keys=keys, devices=devices)

    assert statuses(judge_user(administrator(sessions=sessions), has, WANTED)) == expected


def test_keys_of_a_service_fail_where_the_checklist_says_so() -> None:
    has = Credentials(has_password=False, has_keys=True)

    assert statuses(judge_user(administrator(), has, MfaParameters(service_keys="fail"))) == [FAIL]


def test_only_security_keys_withstand_phishing() -> None:
    for devices, expected in (((KEY,), PASS), ((VIRTUAL,), FAIL), ((KEY, VIRTUAL), FAIL)):
        has = Credentials(has_password=True, has_keys=False, devices=devices)
        assert statuses(judge_user(administrator(), has, STRICT)) == [expected]


def test_a_break_glass_account_is_told_with_its_reason() -> None:
    has = Credentials(has_password=True, has_keys=True)
    wanted = MfaParameters(allow={"ann": "sealed envelope, SEC-7"})

    (finding,) = judge_user(administrator(), has, wanted)

    assert (finding.status, finding.observed) == (WARNING, "break-glass: sealed envelope, SEC-7")


def test_no_more_than_two_accounts_may_be_excepted_and_each_has_a_reason() -> None:
    with pytest.raises(ValidationError):
        MfaParameters(allow={"a": "x", "b": "x", "c": "x"})
    with pytest.raises(ValidationError):
        MfaParameters(allow={"a": ""})


BAD = {"PolicyName": "own", "PolicyDocument": "{"}
SERVICE = [trust({"Service": "ec2.amazonaws.com"})]


@pytest.mark.parametrize(
    ("somebody", "found"),
    [
        (user(EVERYTHING), [True]),
        (user(), []),
        (user(UserPolicyList=[BAD]), [False]),
        (user(UserPolicyList=[BAD, {"PolicyName": "all", "PolicyDocument": document(EVERYTHING)}]), [True]),
        (role(EVERYTHING, trusts=SERVICE), [True]),
        (role(RolePolicyList=[BAD], trusts=SERVICE), []),
        (role(RolePolicyList=[BAD], trusts=[trust({"AWS": "999999999999"})]), [False]),
        (role(EVERYTHING, AssumeRolePolicyDocument="{"), [False]),
        (role(RolePolicyList=[BAD], AssumeRolePolicyDocument="{"), [False]),
    ],
)
def test_whose_rights_are_not_known_is_told_unless_nobody_can_be_behind_it(
    somebody: dict[str, Any], found: list[bool]
) -> None:
    told = found_in(account(somebody), HOME, {}, WANTED)

    assert [is_known(each) for each in told] == found


ROW = {"mfa_active": "false", "access_key_1_active": "false", "access_key_2_active": "false"}


@pytest.mark.parametrize(
    ("summary", "row", "status"),
    [
        ({"AccountMFAEnabled": 1, "AccountAccessKeysPresent": 0}, None, PASS),
        ({"AccountMFAEnabled": 0, "AccountAccessKeysPresent": 0}, None, FAIL),
        ({}, None, FAIL),
        ({"AccountMFAEnabled": 1, "AccountAccessKeysPresent": 1}, None, FAIL),
        ({"AccountMFAEnabled": 0, "AccountAccessKeysPresent": 0, "AccountPasswordPresent": 0}, None, PASS),
        ({"AccountMFAEnabled": 0, "AccountAccessKeysPresent": 1, "AccountPasswordPresent": 0}, None, FAIL),
        ({"AccountMFAEnabled": 0, "AccountPasswordPresent": 1}, ROW, FAIL),
        ({"AccountMFAEnabled": 0}, {**ROW, "mfa_active": "true"}, PASS),
        ({"AccountMFAEnabled": 1}, {**ROW, "mfa_active": "true", "access_key_2_active": "true"}, FAIL),
    ],
)
def test_the_root_user_has_a_factor_and_no_keys_or_nothing_at_all(
    summary: dict[str, int], row: dict[str, str] | None, status: FindingStatus
) -> None:
    assert judge_root("root", summary, row, WANTED).status is status


def test_a_virtual_device_of_root_can_be_phished() -> None:
    assert judge_root("root", {"AccountMFAEnabled": 1}, None, STRICT, is_virtual=True).status is FAIL
    assert judge_root("root", {"AccountMFAEnabled": 1}, None, STRICT).status is PASS
    assert judge_root("root", {"AccountMFAEnabled": 1}, None, WANTED, is_virtual=True).status is PASS


def door(**more: Any) -> Door:
    return Door(**{"kind": "account", "name": "999999999999", "needs_factor": False, **more})


@pytest.mark.parametrize(
    ("ways", "sessions", "expected"),
    [
        ((), EVERYWHERE, []),
        ((door(),), EVERYWHERE, ["fail"]),
        ((door(needs_factor=True),), EVERYWHERE, ["pass"]),
        ((door(),), ENFORCED, ["pass"]),
        ((door(is_machine=True),), EVERYWHERE, ["undecided"]),
        ((door(kind="anyone", is_machine=True),), EVERYWHERE, ["fail"]),
        ((door(kind="federation"),), EVERYWHERE, ["undecided"]),
        ((door(kind="end users"),), EVERYWHERE, ["fail"]),
        ((door(needs_factor=True), door(name="888888888888")), EVERYWHERE, ["pass", "fail"]),
    ],
)
def test_a_role_is_judged_by_each_way_in(
    ways: tuple[Door, ...], sessions: frozenset[Session], expected: list[str]
) -> None:
    assert kinds(judge_role(administrator(kind="role", doors=ways, sessions=sessions), WANTED)) == expected


def test_people_of_a_declared_keycloak_are_told_and_others_are_undecided() -> None:
    subject = administrator(kind="role", doors=(door(kind="federation"),))

    (seen_by_nobody,) = judge_role(subject, WANTED)
    (seen_there,) = judge_role(replace(subject, is_judged_elsewhere=True), WANTED)

    assert (seen_by_nobody.kind, seen_there.kind) == ("undecided", "warning")


TOTP = {"SoftwareTokenMfaConfiguration": {"Enabled": True}}


@pytest.mark.parametrize(
    ("config", "user", "wanted", "kind"),
    [
        ({"MfaConfiguration": "ON", **TOTP}, {}, WANTED, "pass"),
        ({"MfaConfiguration": "ON", **TOTP}, {"UserMFASettingList": ["SOFTWARE_TOKEN_MFA"]}, WANTED, "pass"),
        ({"MfaConfiguration": "ON"}, {}, WANTED, "warning"),
        ({"MfaConfiguration": "ON", **TOTP}, {"UserMFASettingList": ["SMS_MFA"]}, WANTED, "warning"),
        ({"MfaConfiguration": "ON", **TOTP}, {"UserMFASettingList": ["SMS_MFA"]}, STRICT, "fail"),
        ({"MfaConfiguration": "ON", **TOTP}, {"UserMFASettingList": ["SOFTWARE_TOKEN_MFA"]}, STRICT, "fail"),
        ({"MfaConfiguration": "OPTIONAL", **TOTP}, {}, WANTED, "fail"),
        ({"MfaConfiguration": "OPTIONAL", **TOTP}, {"UserMFASettingList": []}, WANTED, "fail"),
        ({"MfaConfiguration": "OPTIONAL", **TOTP}, {"UserMFASettingList": ["SOFTWARE_TOKEN_MFA"]}, WANTED, "pass"),
        ({"MfaConfiguration": "OFF"}, {"UserMFASettingList": ["SOFTWARE_TOKEN_MFA"]}, WANTED, "fail"),
        ({}, {}, WANTED, "fail"),
        ({"MfaConfiguration": "ON", **TOTP}, {"UserStatus": "EXTERNAL_PROVIDER"}, WANTED, "undecided"),
        ({"MfaConfiguration": "OFF"}, {}, MfaParameters(allow={"eve": "drill"}), "warning"),
    ],
)
def test_an_administrator_of_a_pool_is_judged_by_its_requirement_and_what_is_registered(
    config: dict[str, Any], user: dict[str, Any], wanted: MfaParameters, kind: str
) -> None:
    pool = UserPool(region=HOME, id="eu_1", name="shop")
    subject = PoolAdministrator(pool=pool, name="eve", groups=("admins",), config=config)

    finding = judge_pool_administrator(subject, user, wanted)

    assert (finding.kind, finding.subject) == (kind, "shop (eu_1): eve")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Admins", True),
        ("ADMIN", True),
        ("shop-admins", True),
        ("customers", False),
        ("badminton", False),
        ("*", False),
    ],
)
def test_a_group_is_administrative_by_its_name(name: str, expected: bool) -> None:
    assert is_admin_group(name, WANTED) is expected


def step(level: int, requirement: str, provider: str = "") -> dict[str, Any]:
    return {"level": level, "requirement": requirement, **({"providerId": provider} if provider else {})}


OTP = step(2, "REQUIRED", "auth-otp-form")
PASSWORD = step(1, "REQUIRED", "auth-username-password-form")


@pytest.mark.parametrize(
    ("flow", "expected"),
    [
        ([], "none"),
        ([step(0, "ALTERNATIVE"), PASSWORD], "none"),
        (
            [step(0, "ALTERNATIVE"), PASSWORD, step(1, "CONDITIONAL"), step(2, "REQUIRED", "auth-otp-form")],
            "if registered",
        ),
        ([step(0, "ALTERNATIVE"), PASSWORD, step(1, "DISABLED"), OTP], "none"),
        ([step(0, "ALTERNATIVE"), PASSWORD, step(1, "CONDITIONAL"), step(2, "DISABLED", "auth-otp-form")], "none"),
        ([step(0, "ALTERNATIVE"), PASSWORD, step(1, "REQUIRED", "auth-otp-form")], "always"),
        ([step(0, "REQUIRED"), PASSWORD, step(1, "REQUIRED"), step(2, "REQUIRED", "webauthn-authenticator")], "always"),
        ([step(0, "DISABLED"), PASSWORD, step(1, "REQUIRED", "auth-otp-form")], "none"),
        ([step(0, "ALTERNATIVE"), step(1, "ALTERNATIVE", "webauthn-authenticator-passwordless")], "if registered"),
    ],
)
def test_a_login_flow_asks_nobody_or_some_or_everybody_for_a_factor(flow: list[dict[str, Any]], expected: str) -> None:
    assert second_steps(flow) == expected


@pytest.mark.parametrize(
    ("factors", "pending", "steps", "wanted", "kind"),
    [
        (("otp",), (), "if registered", WANTED, "pass"),
        (("otp",), (), "none", WANTED, "fail"),
        (("otp",), (), "if registered", STRICT, "fail"),
        (("webauthn",), (), "if registered", STRICT, "pass"),
        ((), (), "if registered", WANTED, "fail"),
        ((), (), "always", WANTED, "pass"),
        ((), ("CONFIGURE_TOTP",), "if registered", WANTED, "undecided"),
        ((), ("UPDATE_PASSWORD",), "if registered", WANTED, "fail"),
        (("sms",), (), "if registered", WANTED, "warning"),
        ((), (), "none", MfaParameters(allow={"ada": "drill"}), "warning"),
    ],
)
def test_an_administrator_of_a_realm_is_judged_by_factors_and_flow(
    factors: tuple[str, ...], pending: tuple[str, ...], steps: Any, wanted: MfaParameters, kind: str
) -> None:
    person = Person(name="ada", factors=factors, roles=("realm-management/realm-admin",), pending=pending)

    assert judge_person("keycloak: ada", person, steps, wanted).kind == kind


@pytest.mark.parametrize(
    ("required", "owners", "without", "wanted", "expected"),
    [
        (True, ("ada", "bob"), (), WANTED, ["pass"]),
        (True, ("ada", "bob"), ("bob",), WANTED, ["fail"]),
        (False, ("ada",), (), WANTED, ["fail"]),
        (False, ("ada",), ("ada",), WANTED, ["fail", "fail"]),
        (None, ("ada",), (), WANTED, ["undecided"]),
        (True, (), (), WANTED, ["undecided"]),
        (True, ("ada",), (), STRICT, ["undecided"]),
        (True, ("ada", "bot"), ("bot",), MfaParameters(allow={"bot": "drill"}), ["warning", "pass"]),
    ],
)
def test_an_organisation_requires_a_factor_and_every_owner_has_one(
    required: bool | None,
    owners: tuple[str, ...],
    without: tuple[str, ...],
    wanted: MfaParameters,
    expected: list[str],
) -> None:
    told = Organisation(name="shop", is_two_factor_required=required, owners=owners, owners_without_factor=without)

    assert kinds(judge_organisation(told, wanted)) == expected


# On an emulated AWS


UNLESS_FACTOR = {
    "Effect": "Deny",
    "NotAction": ["iam:EnableMFADevice", "iam:CreateVirtualMFADevice", "iam:ListMFADevices", "sts:GetSessionToken"],
    "Resource": "*",
    "Condition": {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}},
}


def text(*statements: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def secure_root(cloud: Cloud, *, keys: int = 0) -> None:
    """No API registers a factor of the root user, so the emulator is told."""
    summary = iam_backends[cloud.account_id]["aws"].account_summary
    summary._account_mfa_enabled = 1
    summary._account_access_keys_present = keys


def person(cloud: Cloud, name: str, *statements: Mapping[str, Any], password: bool = True, factor: bool = False) -> str:
    iam = cloud.client("iam")
    arn: str = iam.create_user(UserName=name)["User"]["Arn"]
    if statements:
        iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=text(*statements))
    if password:
        iam.create_login_profile(UserName=name, Password="correct-Horse-7")
    if factor:
        register(cloud, name)
    return arn


def register(cloud: Cloud, name: str) -> None:
    iam = cloud.client("iam")
    serial = iam.create_virtual_mfa_device(VirtualMFADeviceName=name)["VirtualMFADevice"]["SerialNumber"]
    iam.enable_mfa_device(
        UserName=name, SerialNumber=serial, AuthenticationCode1="123456", AuthenticationCode2="654321"
    )


def trusted(cloud: Cloud, name: str, principal: Mapping[str, str], **more: Any) -> str:
    iam = cloud.client("iam")
    action = "sts:AssumeRoleWithSAML" if "Federated" in principal else "sts:AssumeRole"
    statement = {"Effect": "Allow", "Action": action, "Principal": principal, **more}
    arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=text(statement))["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=text(EVERYTHING))
    return arn


def audited(cloud: Cloud, *, identity: tuple[IdentityProvider, ...] = (), **parameters: Any) -> ItemResult:
    environment = cloud.environment(identity=identity)
    return audit_item(ITEM, environment, environ=cloud.environ, parameters=parameters)


def subjects_of(result: ItemResult, status: FindingStatus) -> list[str]:
    return sorted(finding.subject for finding in result.of_status(status))


@pytest.mark.proof("pass")
def test_an_account_whose_administrators_and_root_have_a_factor_passes(cloud: Cloud) -> None:
    secure_root(cloud)
    ann = person(cloud, "ann", EVERYTHING, factor=True)
    bob = person(cloud, "bob", EVERYTHING, UNLESS_FACTOR)
    person(cloud, "reader", {"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"})
    trusted(cloud, "task", {"Service": "ecs-tasks.amazonaws.com"})

    result = audited(cloud)

    assert result.status is Status.PASS, result.reason
    assert subjects_of(result, PASS) == [f"arn:aws:iam::{cloud.account_id}:root", ann, bob]


@pytest.mark.proof("fail")
def test_an_administrator_with_a_password_and_no_factor_fails_beside_good_ones_and_is_named(cloud: Cloud) -> None:
    secure_root(cloud)
    person(cloud, "ann", EVERYTHING, factor=True)
    eve = person(cloud, "eve", EVERYTHING)

    result = audited(cloud)

    assert result.status is Status.FAIL
    assert subjects_of(result, FAIL) == [eve]
    assert "every action by own" in result.of_status(FAIL)[0].observed

    register(cloud, "eve")

    assert audited(cloud).status is Status.PASS


def test_an_administrator_by_group_managed_policy_or_role_fails_without_a_factor(cloud: Cloud) -> None:
    secure_root(cloud)
    iam = cloud.client("iam")
    managed = iam.create_policy(PolicyName="all", PolicyDocument=text(EVERYTHING))["Policy"]["Arn"]
    iam.create_group(GroupName="ops")
    iam.attach_group_policy(GroupName="ops", PolicyArn=managed)
    by_group = person(cloud, "by-group")
    iam.add_user_to_group(GroupName="ops", UserName="by-group")
    trusted(cloud, "admin", {"AWS": f"arn:aws:iam::{cloud.account_id}:root"})
    by_role = person(cloud, "by-role", {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"})
    capped = trusted(cloud, "capped", {"AWS": "arn:aws:iam::999999999999:root"})
    limit = iam.create_policy(
        PolicyName="limit", PolicyDocument=text({"Effect": "Allow", "Action": "s3:*", "Resource": "*"})
    )["Policy"]["Arn"]
    iam.put_role_permissions_boundary(RoleName="capped", PermissionsBoundary=limit)

    result = audited(cloud)

    assert subjects_of(result, FAIL) == [by_group, by_role]
    assert [finding for finding in result.findings if capped in finding.subject] == []
    reasons = " ".join(finding.observed for finding in result.of_status(FAIL))
    assert "every action by all" in reasons
    assert "sts:AssumeRole of admin" in reasons


def test_root_without_a_factor_and_root_with_keys_fail(cloud: Cloud) -> None:
    assert [finding.observed for finding in audited(cloud).of_status(FAIL)] == ["has no second factor"]

    secure_root(cloud, keys=1)

    assert [f.observed for f in audited(cloud).of_status(FAIL)] == ["has access keys, which need no second factor"]


def test_keys_of_a_person_fail_and_those_of_a_service_warn(cloud: Cloud) -> None:
    secure_root(cloud)
    ann = person(cloud, "ann", EVERYTHING, factor=True)
    deploy = person(cloud, "deploy", EVERYTHING, password=False)
    for name in ("ann", "deploy"):
        cloud.client("iam").create_access_key(UserName=name)

    result = audited(cloud)

    assert subjects_of(result, FAIL) == [ann]
    assert subjects_of(result, WARNING) == [deploy]
    assert subjects_of(audited(cloud, service_keys="fail"), FAIL) == [ann, deploy]


def test_where_phishing_counts_virtual_devices_fail_and_break_glass_is_told(cloud: Cloud) -> None:
    secure_root(cloud)
    ann = person(cloud, "ann", EVERYTHING, factor=True)
    vault = person(cloud, "vault", EVERYTHING)
    theirs = trusted(cloud, "rescue", {"AWS": "arn:aws:iam::999999999999:root"})

    result = audited(cloud, phishing_resistant=True, allow={"vault": "sealed, SEC-7", "rescue": "of the bank, SEC-8"})

    assert subjects_of(result, FAIL) == [ann]
    assert subjects_of(result, WARNING) == sorted([f"{theirs} from arn:aws:iam::999999999999:root", vault])


def test_roles_that_open_to_another_account_need_the_condition(cloud: Cloud) -> None:
    secure_root(cloud)
    condition = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}
    theirs = {"AWS": "arn:aws:iam::999999999999:root"}
    bad = trusted(cloud, "bad", theirs)
    good = trusted(cloud, "good", theirs, Condition=condition)

    result = audited(cloud)

    assert subjects_of(result, FAIL) == [f"{bad} from arn:aws:iam::999999999999:root"]
    assert f"{good} from arn:aws:iam::999999999999:root" in subjects_of(result, PASS)


@pytest.mark.proof("inconclusive")
def test_an_account_that_people_administer_by_federation_is_inconclusive(cloud: Cloud) -> None:
    secure_root(cloud)
    person(cloud, "ann", EVERYTHING, factor=True)
    provider = f"arn:aws:iam::{cloud.account_id}:saml-provider/AWSSSO_1_DO_NOT_DELETE"
    trusted(cloud, "AWSReservedSSO_Admin_1", {"Federated": provider})

    result = audited(cloud)

    assert result.status is Status.INCONCLUSIVE
    assert len(result.of_status(PASS)) == 2
    assert "AWSReservedSSO_Admin_1" in result.reason
    assert settled_by_a_word(result)


def test_a_role_that_a_role_of_another_account_administers_by_is_inconclusive(cloud: Cloud) -> None:
    secure_root(cloud)
    trusted(cloud, "deploy", {"AWS": "arn:aws:iam::999999999999:role/pipeline"})

    result = audited(cloud)

    assert result.status is Status.INCONCLUSIVE
    assert settled_by_a_word(result)


def test_an_environment_without_accounts_and_providers_is_inconclusive() -> None:
    environment = Environment(service="orders", name="production", stage="production")

    assert audit_item(ITEM, environment).status is Status.INCONCLUSIVE


@pytest.mark.proof("error")
def test_a_denied_listing_is_an_error_that_names_the_permission(cloud: Cloud) -> None:
    cloud.allow_only("iam:GetAccountSummary")

    result = audit_item(ITEM, cloud.environment(), environ=cloud.environ, check="iam")

    assert result.status is Status.ERROR
    assert "iam:GetAccountAuthorizationDetails" in result.reason + result.next_step


def test_a_denied_credential_report_is_an_error_that_names_both_permissions(cloud: Cloud) -> None:
    cloud.allow_only("iam:GetAccountAuthorizationDetails")

    result = audit_item(ITEM, cloud.environment(), environ=cloud.environ, check="iam")

    assert result.status is Status.ERROR
    assert "iam:GenerateCredentialReport and iam:GetCredentialReport" in result.reason + result.next_step


def reported(cloud: Cloud, *rows: str, content: bytes | None = None) -> ItemResult:
    text = "\n".join([HEADER, *rows]).encode() if content is None else content
    with reporting(cloud.address, text) as address:
        account = cloud.account(name="production", endpoint_url=address)
        environment = cloud.environment(account=account)
        return audit_item(ITEM, environment, environ=cloud.environ, check="iam")


def test_the_row_of_root_tells_its_factor_and_its_keys(cloud: Cloud) -> None:
    safe = row("<root_account>", cloud.account_id, mfa_active="true", password_enabled="not_supported")
    keyed = row("<root_account>", cloud.account_id, mfa_active="true", access_key_1_active="true")

    assert reported(cloud, safe).status is Status.PASS
    assert [f.observed for f in reported(cloud, keyed).of_status(FAIL)] == [
        "has access keys, which need no second factor"
    ]


def test_a_user_younger_than_the_report_is_asked_for_itself(cloud: Cloud) -> None:
    secure_root(cloud)
    eve = person(cloud, "eve", EVERYTHING)
    ann = person(cloud, "ann", EVERYTHING, factor=True)
    key = person(cloud, "key", EVERYTHING, password=False)
    cloud.client("iam").create_access_key(UserName="key")

    result = reported(cloud)

    assert subjects_of(result, FAIL) == [eve]
    assert subjects_of(result, WARNING) == [key]
    assert ann in subjects_of(result, PASS)


def test_a_factor_that_was_registered_after_the_report_counts(cloud: Cloud) -> None:
    secure_root(cloud)
    ann = person(cloud, "ann", EVERYTHING, factor=True)

    result = reported(cloud, row("ann", cloud.account_id, password_enabled="true", mfa_active="false"))

    assert ann in subjects_of(result, PASS)


@pytest.mark.proof("error")
@pytest.mark.parametrize(
    "content",
    [b"name,email\nann,ann@shop.example\n", b"\xff\xfe", b"<html></html>", HEADER.encode() + b"\nann,arn"],
    ids=["unknown columns", "no text", "HTML", "broke off"],
)
def test_a_report_that_cannot_be_read_is_an_error(cloud: Cloud, content: bytes) -> None:
    result = reported(cloud, content=content)

    assert result.status is Status.ERROR
    assert "credential report" in result.reason


# Cognito, emulated


def pool(cloud: Cloud, mode: str, *members: str, group: str = "admins") -> str:
    idp = cloud.client("cognito-idp")
    id_: str = idp.create_user_pool(PoolName="shop")["UserPool"]["Id"]
    idp.set_user_pool_mfa_config(UserPoolId=id_, SoftwareTokenMfaConfiguration={"Enabled": True}, MfaConfiguration=mode)
    idp.create_group(UserPoolId=id_, GroupName=group)
    for name in members:
        address = {"Name": "email", "Value": f"{name}@shop.example"}
        idp.admin_create_user(UserPoolId=id_, Username=name, UserAttributes=[address])
        idp.admin_add_user_to_group(UserPoolId=id_, Username=name, GroupName=group)
    return id_


def register_in(cloud: Cloud, pool_id: str, name: str) -> None:
    idp = cloud.client("cognito-idp")
    client = idp.create_user_pool_client(
        UserPoolId=pool_id, ClientName="web", ExplicitAuthFlows=["ALLOW_ADMIN_USER_PASSWORD_AUTH"]
    )["UserPoolClient"]["ClientId"]
    idp.admin_set_user_password(UserPoolId=pool_id, Username=name, Password="correct-Horse-7", Permanent=True)
    token = idp.admin_initiate_auth(
        UserPoolId=pool_id,
        ClientId=client,
        AuthFlow="ADMIN_USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": name, "PASSWORD": "correct-Horse-7"},
    )["AuthenticationResult"]["AccessToken"]
    idp.associate_software_token(AccessToken=token)
    idp.verify_software_token(AccessToken=token, UserCode="123456")
    idp.admin_set_user_mfa_preference(
        UserPoolId=pool_id, Username=name, SoftwareTokenMfaSettings={"Enabled": True, "PreferredMfa": True}
    )


def cognito(cloud: Cloud) -> ItemResult:
    return audit_item(ITEM, cloud.environment(), environ=cloud.environ, check="cognito")


def test_a_pool_that_requires_a_factor_passes_for_each_administrator(cloud: Cloud) -> None:
    id_ = pool(cloud, "ON", "ada", "bob")

    result = cognito(cloud)

    assert result.status is Status.PASS, result.reason
    assert subjects_of(result, PASS) == [f"shop ({id_}): ada", f"shop ({id_}): bob"]


def test_in_a_pool_where_it_is_optional_the_administrator_without_one_fails(cloud: Cloud) -> None:
    id_ = pool(cloud, "OPTIONAL", "ada", "bob", "gone")
    idp = cloud.client("cognito-idp")
    register_in(cloud, id_, "ada")
    idp.admin_disable_user(UserPoolId=id_, Username="gone")

    result = cognito(cloud)

    assert subjects_of(result, FAIL) == [f"shop ({id_}): bob"]
    assert subjects_of(result, PASS) == [f"shop ({id_}): ada"]


def test_a_pool_of_customers_has_no_administrators(cloud: Cloud) -> None:
    pool(cloud, "OFF", "ada", group="customers")

    assert cognito(cloud).status is Status.INCONCLUSIVE


# GitHub, from a server that says what its documentation says


OWNERS = "/orgs/quub-shop/members?role=admin&per_page=100"
WITHOUT = "/orgs/quub-shop/members?filter=2fa_disabled&role=admin&per_page=100"


def answer_as_github(server: Saying, *, required: bool = True, without: tuple[str, ...] = ()) -> None:
    server.answer("/orgs/quub-shop", Says(body={"login": "quub-shop", "two_factor_requirement_enabled": required}))
    server.answer(OWNERS, Says(body=[{"login": "ada"}, {"login": "bob"}]))
    server.answer(WITHOUT, Says(body=[{"login": login} for login in without]))


def on_github(server: Saying, *, required: bool = True, without: tuple[str, ...] = ()) -> ItemResult:
    answer_as_github(server, required=required, without=without)
    return audit_item(ITEM, with_identity(github_at(server)))


def github_at(server: Saying) -> IdentityProvider:
    return IdentityProvider(
        name="code", type="github", issuer=server.address, organisation="quub-shop", admin_token="ghp_" + "0" * 36
    )


def with_identity(*providers: IdentityProvider) -> Environment:
    return Environment(service="orders", name="production", stage="production", identity=providers)


@pytest.fixture
def said() -> Iterator[Saying]:
    with saying() as server:
        yield server


@pytest.mark.proof("pass")
def test_an_organisation_that_requires_a_factor_passes(said: Saying) -> None:
    result = on_github(said)

    assert result.status is Status.PASS, result.reason
    assert subjects_of(result, PASS) == ["quub-shop"]


@pytest.mark.proof("fail")
def test_an_organisation_without_the_requirement_fails_and_an_owner_without_a_factor_is_named(said: Saying) -> None:
    result = on_github(said, required=False, without=("bob",))

    assert subjects_of(result, FAIL) == ["quub-shop", "quub-shop: bob"]


@pytest.mark.proof("error")
@pytest.mark.parametrize(
    "says",
    [
        Says(401, {"message": "Bad credentials"}),
        Says(403, {"message": "Forbidden"}),
        Says(404, {"message": "Not Found"}),
        Says(403, {"message": "API rate limit exceeded"}, {"X-RateLimit-Remaining": "0"}),
        Says(500, b"<html>unicorn</html>", {"Content-Type": "text/html"}),
        Says(200, b"<html>welcome</html>", {"Content-Type": "text/html"}),
    ],
    ids=["401", "403", "404", "rate limit", "500", "HTML"],
)
def test_an_organisation_that_cannot_be_read_is_an_error(said: Saying, says: Says) -> None:
    said.answer("/orgs/quub-shop", says)

    result = audit_item(ITEM, with_identity(github_at(said)))

    assert result.status is Status.ERROR
    assert "ghp_" not in result.reason + result.next_step


def test_a_plain_openid_provider_is_inconclusive() -> None:
    result = audit_item(ITEM, with_identity(IdentityProvider(name="login", type="oidc", issuer="https://login.test")))

    assert result.status is Status.INCONCLUSIVE
    assert subjects_of(result, WARNING) == ["login"]


def test_a_pass_of_github_hides_no_administrator_of_an_openid_provider(said: Saying) -> None:
    answer_as_github(said)
    environment = with_identity(github_at(said), IdentityProvider(name="login", type="oidc"))

    result = audit_item(ITEM, environment)

    assert (result.status, subjects_of(result, PASS)) == (Status.INCONCLUSIVE, ["quub-shop"])
    assert settled_by_a_word(result)


def test_a_pass_of_github_hides_nobody_who_administers_aws_by_federation(cloud: Cloud, said: Saying) -> None:
    secure_root(cloud)
    provider = f"arn:aws:iam::{cloud.account_id}:saml-provider/AWSSSO_1_DO_NOT_DELETE"
    trusted(cloud, "AWSReservedSSO_Admin_1", {"Federated": provider})
    answer_as_github(said)

    result = audited(cloud, identity=(github_at(said),))

    assert result.status is Status.INCONCLUSIVE
    assert "quub-shop" in subjects_of(result, PASS)


# Keycloak


@pytest.mark.proof("pass")
def test_a_realm_whose_administrators_have_a_factor_passes(keycloak_server: Keycloak) -> None:
    realm = keycloak_server.realm()
    realm.grant(f"/users/{realm.user('ada', factors=('otp',))}", "realm-management/realm-admin")
    realm.user("customer")

    result = audit_item(ITEM, with_identity(realm.provider()))

    assert result.status is Status.PASS, result.reason
    assert subjects_of(result, PASS) == ["keycloak: ada"]


@pytest.mark.proof("fail")
def test_an_administrator_of_a_realm_without_a_factor_fails_beside_one_with_it(keycloak_server: Keycloak) -> None:
    realm = keycloak_server.realm()
    realm.grant(f"/users/{realm.user('ada', factors=('otp',))}", "realm-management/realm-admin")
    realm.grant(f"/users/{realm.user('eve')}", "realm-management/manage-users")

    result = audit_item(ITEM, with_identity(realm.provider()))

    assert subjects_of(result, FAIL) == ["keycloak: eve"]
    assert subjects_of(result, PASS) == ["keycloak: ada"]


@pytest.mark.proof("inconclusive")
def test_a_realm_without_administrators_is_inconclusive(keycloak_server: Keycloak) -> None:
    realm = keycloak_server.realm()

    assert audit_item(ITEM, with_identity(realm.provider())).status is Status.INCONCLUSIVE


@pytest.mark.proof("error")
def test_a_client_that_may_not_read_users_is_an_error(keycloak_server: Keycloak) -> None:
    realm = keycloak_server.realm()
    realm.grant(f"/users/{realm.user('ada')}", "realm-management/realm-admin")
    realm.reader("half", ("view-realm", "view-clients"))

    result = audit_item(ITEM, with_identity(realm.provider(admin="half")))

    assert result.status is Status.ERROR
    assert "view-users" in result.reason + result.next_step


def test_a_flow_that_asks_nobody_fails_though_factors_are_registered(keycloak_server: Keycloak) -> None:
    realm = keycloak_server.realm()
    realm.grant(f"/users/{realm.user('ada', factors=('otp',))}", "realm-management/realm-admin")
    executions = realm.send("GET", "/authentication/flows/browser/executions")
    form = next(each for each in executions if each.get("providerId") == "auth-otp-form")
    realm.send("PUT", "/authentication/flows/browser/executions", {**form, "requirement": "DISABLED"})
    for each in executions:
        if each.get("providerId") in ("webauthn-authenticator", "auth-recovery-authn-code-form"):
            realm.send("PUT", "/authentication/flows/browser/executions", {**each, "requirement": "DISABLED"})

    result = audit_item(ITEM, with_identity(realm.provider()))

    assert [finding.observed.rpartition(", ")[2] for finding in result.of_status(FAIL)] == [
        "and the browser flow asks for no second factor"
    ]


def test_a_keycloak_whose_roles_are_named_answers_for_people_who_come_by_federation(
    cloud: Cloud, keycloak_server: Keycloak
) -> None:
    secure_root(cloud)
    provider = f"arn:aws:iam::{cloud.account_id}:saml-provider/AWSSSO_1_DO_NOT_DELETE"
    trusted(cloud, "AWSReservedSSO_Admin_1", {"Federated": provider})
    root = f"arn:aws:iam::{cloud.account_id}:root"

    realm = keycloak_server.realm()
    realm.grant(f"/users/{realm.user('ada', factors=('otp',))}", realm.role("aws-admin"))

    named = audited(cloud, identity=(realm.provider(),), keycloak_roles=["aws-admin"])
    unnamed = audited(cloud, identity=(realm.provider(),))
    by_openid = audited(cloud, identity=(IdentityProvider(name="login", type="oidc"),), keycloak_roles=["aws-admin"])

    assert "keycloak: ada" in subjects_of(named, PASS)
    assert all(root in subjects_of(result, PASS) for result in (named, unnamed, by_openid))
    assert (named.status, unnamed.status, by_openid.status) == (Status.PASS, *[Status.INCONCLUSIVE] * 2)


def test_administrators_of_the_master_realm_are_found_without_being_told_its_roles(keycloak_server: Keycloak) -> None:
    master = KeycloakRealm(server=keycloak_server, name="master")
    name = f"audit-{secrets.token_hex(4)}"
    uuid = master.client(name, publicClient=False, serviceAccountsEnabled=True, directAccessGrantsEnabled=False)
    master.grant(f"/users/{master.send('GET', f'/clients/{uuid}/service-account-user')['id']}", "admin")

    result = audit_item(ITEM, with_identity(master.provider(admin=name)))
    master.send("DELETE", f"/clients/{uuid}")

    assert subjects_of(result, FAIL) == [f"keycloak: {ADMIN}"]
