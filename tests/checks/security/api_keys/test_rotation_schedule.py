"""Keys are rotated by schedule, the schedule has worked, and no key is overdue."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from quub_audit.checks.security.api_keys.rotation_schedule import (
    RotationParameters,
    can_rotate,
    judge_access_key,
    judge_kms_key,
    judge_parameter,
    judge_secret,
    judge_vault_secret,
)
from quub_audit.facts.vault import SecretVersion, VaultSecret
from quub_audit.model.finding import Finding
from quub_audit.model.status import FindingStatus, Status
from quub_audit.testing import audit_item
from tests.checks.security.api_keys.scene import credentials, in_vault, unique
from tests.checks.security.attested import settled_by_a_word
from tests.worlds.cloud import Cloud
from tests.worlds.vault import VaultWorld

ITEM = "security.api-keys.rotation-schedule"
WANTED = RotationParameters()
PASS, FAIL, ERROR, WARNING = (
    FindingStatus.PASS,
    FindingStatus.FAIL,
    FindingStatus.ERROR,
    FindingStatus.WARNING,
)
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def judged(version_days: float | None = 20, **described: Any) -> Finding:
    """Of a secret made 400 days ago, that rotates every 30 days and did so 20 days ago."""
    secret = {
        "RotationEnabled": True,
        "RotationRules": {"AutomaticallyAfterDays": 30},
        "LastRotatedDate": ago(20),
        "NextRotationDate": ago(-10),
        "LastChangedDate": ago(20),
        "CreatedDate": ago(400),
        **described,
    }
    versions = [] if version_days is None else [{"VersionStages": ["AWSCURRENT"], "CreatedDate": ago(version_days)}]
    versions.append({"VersionStages": ["AWSPREVIOUS"], "CreatedDate": ago(50)})
    present = {name: value for name, value in secret.items() if value is not None}
    return judge_secret("q", present, versions, NOW, WANTED)


def test_a_secret_that_rotated_20_days_ago_and_will_again_passes() -> None:
    finding = judged()

    assert finding.status is PASS
    assert finding.observed == "20 days old, rotated next on 2026-06-11"


def test_a_rotation_that_is_on_and_never_ran_fails() -> None:
    finding = judged(LastRotatedDate=None, NextRotationDate=None)

    assert (finding.status, finding.observed) == (FAIL, "20 days old, rotation is on and never ran")


def test_a_new_secret_need_not_have_rotated_yet() -> None:
    assert judged(2, LastRotatedDate=None, CreatedDate=ago(2)).status is PASS
    assert judged(8, LastRotatedDate=None, CreatedDate=ago(8)).status is FAIL


def test_a_rotation_that_was_due_more_than_a_day_ago_is_stuck() -> None:
    assert judged(NextRotationDate=ago(0.9)).status is PASS
    assert judged(NextRotationDate=ago(1.1)).status is FAIL
    assert "2026-05-22" in judged(NextRotationDate=ago(10)).observed


def test_the_due_date_follows_from_the_last_rotation_where_it_is_not_told() -> None:
    assert judged(NextRotationDate=None).observed.endswith("next on 2026-06-11")
    assert judged(40, NextRotationDate=None, LastRotatedDate=ago(40)).status is FAIL


def test_a_tag_moves_the_last_changed_date_and_not_the_age() -> None:
    finding = judged(400, RotationEnabled=None, LastChangedDate=ago(0))

    assert (finding.status, finding.observed) == (FAIL, "400 days old, rotation is off")


def test_a_young_secret_without_rotation_waits_for_an_attestation() -> None:
    finding = judged(20, RotationEnabled=None)

    assert finding.kind == "undecided"
    assert "attest" in finding.message


@pytest.mark.parametrize(("days", "status"), [(89, PASS), (90, PASS), (91, PASS), (97, PASS), (98, FAIL)])
def test_the_age_may_exceed_90_days_by_a_grace_of_7(days: int, status: FindingStatus) -> None:
    finding = judged(days, NextRotationDate=ago(-1))

    assert finding.status is status
    assert bool(finding.message) == (90 < days <= 97)


def test_a_secret_of_rds_is_rotated_by_rds_whose_function_is_not_ours() -> None:
    finding = judged(OwningService="rds", LastRotatedDate=None, NextRotationDate=None, RotationRules=None)

    assert (finding.status, finding.observed) == (PASS, "20 days old, rotated by rds")
    assert judged(OwningService="rds", NextRotationDate=ago(3)).status is FAIL
    assert judged(400, OwningService="rds", RotationEnabled=False).status is FAIL


def test_a_secret_without_a_current_version_has_no_age() -> None:
    assert judged(None).status is ERROR


def test_a_secret_scheduled_for_deletion_is_told_and_not_judged() -> None:
    assert judged(400, DeletedDate=ago(1)).kind == "warning"


def test_a_parameter_is_too_old_or_waits_for_an_attestation() -> None:
    assert judge_parameter("/p", [{"LastModifiedDate": ago(400)}], NOW, WANTED).status is FAIL
    assert judge_parameter("/p", [{"LastModifiedDate": ago(20)}], NOW, WANTED).kind == "undecided"
    assert judge_parameter("/p", [], NOW, WANTED).status is ERROR


def kept_in_vault(days: float, *, versions: int = 2, schedule: str = "quarterly, OPS-7") -> VaultSecret:
    return VaultSecret(
        path="secret/q",
        kv_version=2,
        current_version=versions,
        versions=(SecretVersion(number=versions, created_at=ago(days)),),
        custom_metadata={"rotation_schedule": schedule} if schedule else {},
    )


@pytest.mark.parametrize(
    ("secret", "kind"),
    [
        (kept_in_vault(20), "pass"),
        (kept_in_vault(400), "fail"),
        (kept_in_vault(20, schedule=""), "undecided"),
        (kept_in_vault(400, schedule=""), "fail"),
        (kept_in_vault(20, schedule="  "), "undecided"),
        (kept_in_vault(20, versions=1), "undecided"),
        (kept_in_vault(3, versions=1), "pass"),
        (VaultSecret(path="secret/q", kv_version=2), "error"),
        (VaultSecret(path="kv/q", kv_version=1), "error"),
        (None, "error"),
    ],
)
def test_a_secret_in_vault_is_young_and_names_a_schedule_that_has_worked(secret: VaultSecret | None, kind: str) -> None:
    assert judge_vault_secret("q", secret, NOW, WANTED).kind == kind


@pytest.mark.parametrize(
    ("days", "state", "statuses"),
    [
        (20, "Active", []),
        (90, "Active", []),
        (95, "Active", [WARNING]),
        (98, "Active", [FAIL]),
        (400, "Active", [FAIL]),
        (400, "Inactive", []),
        (400, "Expired", []),
    ],
)
def test_only_an_active_access_key_can_be_too_old(days: int, state: str, statuses: list[FindingStatus]) -> None:
    key = {"AccessKeyId": "AKIDX", "Status": state, "CreateDate": ago(days)}

    found = list(judge_access_key("deploy", key, NOW, WANTED))

    assert [finding.status for finding in found] == statuses
    assert all(finding.subject == "deploy AKIDX" for finding in found)


def test_a_kms_key_is_rotated_within_a_year() -> None:
    assert [f.status for f in judge_kms_key("k", {"KeyRotationEnabled": False}, WANTED)] == [FAIL]
    assert not list(judge_kms_key("k", {"KeyRotationEnabled": True}, WANTED))
    assert not list(judge_kms_key("k", {"KeyRotationEnabled": True, "RotationPeriodInDays": 365}, WANTED))
    late = judge_kms_key("k", {"KeyRotationEnabled": True, "RotationPeriodInDays": 2560}, WANTED)
    assert [finding.status for finding in late] == [FAIL]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, True),
        ({"KeyManager": "AWS"}, False),
        ({"KeySpec": "RSA_2048"}, False),
        ({"Origin": "EXTERNAL"}, False),
        ({"KeyState": "PendingDeletion"}, False),
    ],
)
def test_kms_rotates_only_symmetric_keys_of_ours_with_its_own_material(change: dict[str, str], expected: bool) -> None:
    key = {"KeyManager": "CUSTOMER", "KeySpec": "SYMMETRIC_DEFAULT", "Origin": "AWS_KMS", "KeyState": "Enabled"}

    assert can_rotate({**key, **change}) is expected


# On OpenBao


def schedule(bao: VaultWorld, path: str) -> None:
    bao.send("POST", f"secret/metadata/{path}", {"custom_metadata": {"rotation_schedule": "quarterly, OPS-7"}})


@pytest.mark.proof("pass")
def test_a_secret_in_vault_with_a_schedule_and_two_versions_passes(bao: VaultWorld) -> None:
    path = unique("quub")
    bao.put(path, credentials())
    bao.put(path, credentials())
    schedule(bao, path)

    result = audit_item(ITEM, in_vault(bao.server(), path), at=datetime.now(UTC) + timedelta(days=20))

    assert result.status is Status.PASS, result.reason


@pytest.mark.proof("fail")
def test_a_secret_in_vault_that_is_400_days_old_fails_and_is_named(bao: VaultWorld) -> None:
    path = unique("quub")
    bao.put(path, credentials())
    schedule(bao, path)

    result = audit_item(ITEM, in_vault(bao.server(), path), at=datetime.now(UTC) + timedelta(days=400))

    assert result.status is Status.FAIL
    assert [finding.subject for finding in result.of_status(FAIL)] == [f"secret/{path}"]


@pytest.mark.proof("inconclusive")
def test_an_environment_without_secrets_is_inconclusive(bao: VaultWorld) -> None:
    assert audit_item(ITEM, in_vault(bao.server())).status is Status.INCONCLUSIVE


@pytest.mark.proof("inconclusive")
def test_a_young_secret_without_a_schedule_holds_back_one_that_has_one(bao: VaultWorld) -> None:
    good, other = unique("quub"), unique("quub")
    bao.put(good, credentials())
    bao.put(other, credentials())
    schedule(bao, good)

    result = audit_item(ITEM, in_vault(bao.server(), good, other))

    assert result.status is Status.INCONCLUSIVE
    assert [finding.subject for finding in result.of_status(PASS)] == [f"secret/{good}"]
    assert [finding.subject for finding in result.of_status(WARNING)] == [f"secret/{other}"]
    assert settled_by_a_word(result)


@pytest.mark.proof("error")
def test_a_token_that_may_not_read_the_metadata_is_an_error(bao: VaultWorld) -> None:
    path = unique("quub")
    bao.put(path, credentials())
    token = bao.token('path "secret/metadata/elsewhere" { capabilities = ["read"] }', name=unique("p").replace("/", ""))

    result = audit_item(ITEM, in_vault(bao.server(token), path))

    assert result.status is Status.ERROR
    assert "denied" in result.reason


def test_a_declared_secret_that_vault_does_not_have_is_an_error(bao: VaultWorld) -> None:
    result = audit_item(ITEM, in_vault(bao.server(), unique("quub")))

    assert result.status is Status.ERROR
    assert "does not exist" in result.reason


# On AWS


def in_days(days: float) -> datetime:
    return datetime.now(UTC) + timedelta(days=days, minutes=1)  # the emulator rounds its times, up at times


def rotating(cloud: Cloud, name: str, **more: Any) -> None:
    cloud.secret(name, credentials(), **more)
    cloud.client("secretsmanager").rotate_secret(SecretId=name, RotationRules={"AutomaticallyAfterDays": 30})


@pytest.mark.proof("pass")
def test_a_secret_that_rotates_every_30_days_passes_20_days_later(cloud: Cloud) -> None:
    rotating(cloud, "quub")

    result = audit_item(ITEM, cloud.environment("quub"), environ=cloud.environ, at=in_days(20))

    assert result.status is Status.PASS, result.reason
    assert result.of_status(PASS)[0].subject == "quub"


@pytest.mark.proof("fail")
def test_a_stuck_rotation_fails_beside_a_good_one_and_is_named(cloud: Cloud) -> None:
    cloud.secret("other", credentials())
    rotating(cloud, "quub")

    result = audit_item(ITEM, cloud.environment("quub"), environ=cloud.environ, at=in_days(40))
    by_hand = audit_item(ITEM, cloud.environment("other"), environ=cloud.environ, at=in_days(400))

    assert [(f.subject, f.observed.split(",")[0]) for f in result.of_status(FAIL)] == [("quub", "40 days old")]
    assert [finding.observed for finding in by_hand.of_status(FAIL)] == ["400 days old, rotation is off"]


@pytest.mark.proof("inconclusive")
def test_a_young_secret_rotated_by_hand_is_inconclusive(cloud: Cloud) -> None:
    cloud.secret("quub", credentials())

    result = audit_item(ITEM, cloud.environment("quub"), environ=cloud.environ, at=in_days(20))

    assert result.status is Status.INCONCLUSIVE


@pytest.mark.proof("inconclusive")
def test_an_empty_account_is_inconclusive(cloud: Cloud) -> None:
    assert audit_item(ITEM, cloud.environment(), environ=cloud.environ).status is Status.INCONCLUSIVE


@pytest.mark.proof("error")
def test_a_denied_description_is_an_error(cloud: Cloud) -> None:
    rotating(cloud, "quub")
    cloud.allow_only("iam:ListUsers", "iam:ListAccessKeys")

    result = audit_item(ITEM, cloud.environment("quub"), environ=cloud.environ)

    assert result.status is Status.ERROR
    assert "secretsmanager:DescribeSecret" in result.reason + result.next_step


def test_an_old_access_key_fails_though_the_secret_rotates(cloud: Cloud) -> None:
    iam = cloud.client("iam")
    for user in ("deploy", "former"):
        iam.create_user(UserName=user)
    old = iam.create_access_key(UserName="deploy")["AccessKey"]["AccessKeyId"]
    off = iam.create_access_key(UserName="former")["AccessKey"]["AccessKeyId"]
    iam.update_access_key(UserName="former", AccessKeyId=off, Status="Inactive")

    result = audit_item(ITEM, cloud.environment(), environ=cloud.environ, at=in_days(120))

    assert [finding.subject for finding in result.of_status(FAIL)] == [f"deploy {old}"]


def test_the_kms_key_of_a_secret_must_rotate(cloud: Cloud) -> None:
    kms = cloud.client("kms")
    keys = [kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(2)]
    kms.enable_key_rotation(KeyId=keys[0])
    rotating(cloud, "good", KmsKeyId=keys[0])
    rotating(cloud, "bad", KmsKeyId=keys[1])

    result = audit_item(ITEM, cloud.environment("good", "bad"), environ=cloud.environ, at=in_days(20))

    assert [finding.subject for finding in result.of_status(FAIL)] == [f"bad under key {keys[1]}"]


def test_a_parameter_rotates_by_hand(cloud: Cloud) -> None:
    cloud.parameter("/quub/apiKey", "x" * 20)
    environment = cloud.environment("/quub/apiKey", store="ssm")

    young = audit_item(ITEM, environment, environ=cloud.environ, at=in_days(20))
    old = audit_item(ITEM, environment, environ=cloud.environ, at=in_days(120))

    assert (young.status, old.status) == (Status.INCONCLUSIVE, Status.FAIL)


def test_a_secret_in_vault_without_a_schedule_holds_back_one_that_rotates_in_aws(cloud: Cloud, bao: VaultWorld) -> None:
    path = unique("quub")
    rotating(cloud, "quub")
    bao.put(path, credentials())
    in_aws = cloud.environment("quub")
    elsewhere = in_vault(bao.server(), path)
    assert in_aws.quub is not None
    assert elsewhere.quub is not None
    both = replace(in_aws.quub, secrets=(*in_aws.quub.secrets, *elsewhere.quub.secrets))

    result = audit_item(ITEM, replace(in_aws, quub=both, vault=elsewhere.vault), environ=cloud.environ)

    assert result.status is Status.INCONCLUSIVE
    assert (len(result.of_status(PASS)), len(result.of_status(WARNING))) == (1, 1)
