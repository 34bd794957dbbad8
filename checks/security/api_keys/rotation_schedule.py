"""Keys are rotated by schedule, the schedule has worked, and no key is overdue.

Pass          a declared secret rotates by itself, did so within ``max_age_days``, and its next date is ahead; or it
              names a schedule in Vault and was renewed within that time; or the service that owns it rotates it
Fail          a secret is older than allowed; its rotation never ran, or is overdue by more than a day; an active access
              key of an IAM user is older than allowed; the KMS key of a declared secret is not rotated
Inconclusive  no secret is declared; or, whatever the others are, one is young and rotated by hand, or was never renewed
              by its schedule: attest the schedule, with the calendar ticket
Error         a store refused to tell; a declared secret is not there; its age cannot be known
Needs         nothing beyond the permissions. Access keys and KMS keys can fail the item and never pass it. A rotation
              that writes the same value again, or one whose result the service never loads, does not show here
Source        The guide, API Keys; CIS AWS Foundations, access keys rotated every 90 days or less, and rotation of
              customer-created symmetric KMS keys; NIST SP 800-57 Part 1 Rev. 5, section 5.3 (cryptoperiods)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from quub_audit.checks.security.api_keys._secrets import in_secrets_manager, parameter_names, server_of
from quub_audit.sdk import (
    Account,
    Aws,
    Clock,
    Environment,
    Finding,
    FindingStatus,
    Parameters,
    Quub,
    Region,
    SecretReference,
    Vault,
    VaultSecret,
    check,
    subjects,
)

CURRENT = "AWSCURRENT"
STUCK_AFTER = timedelta(days=1)
"""How long a rotation may be overdue before it counts as stuck. House rule."""


class RotationParameters(Parameters):
    """What the checklist may set under ``with:``."""

    max_age_days: int = 90
    """Age of the oldest secret or access key, days. CIS AWS Foundations, for access keys; a house rule for others."""
    grace_days: int = 7
    """Days by which the age may be exceeded with a warning, and during which a new secret need not have rotated."""
    max_kms_period_days: int = 365
    """Longest period of a KMS key's rotation, days. CIS AWS Foundations."""
    vault_schedule: str = "rotation_schedule"
    """Key of the custom metadata under which a secret in Vault names the schedule by which people rotate it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """One IAM user."""

    home: Region
    name: str

    def __str__(self) -> str:
        return self.name


@subjects(each=Account, permissions=["iam:ListUsers"])
def users(account: Account, aws: Aws) -> Iterator[User]:
    """Every IAM user of the account."""
    for user in aws.ask("iam.ListUsers", region=account.home)["Users"]:
        yield User(home=account.home, name=user["UserName"])


AWS_PERMISSIONS = ("secretsmanager:DescribeSecret", "secretsmanager:ListSecretVersionIds", "ssm:DescribeParameters")


@check("Secrets in AWS are rotated by schedule", each=Quub, permissions=AWS_PERMISSIONS)
def aws(subject: Quub, aws: Aws, clock: Clock, wanted: RotationParameters) -> Iterator[Finding]:
    """One finding for each declared secret, where all of them are in AWS."""
    if all(secret.store != "vault" for secret in subject.secrets):
        for each in subject.secrets:
            yield _judge_in_aws(each, aws, clock, wanted)


@check("Secrets in Vault are rotated by schedule", each=Quub)
def vault(
    subject: Quub, vault: Vault, environment: Environment, clock: Clock, wanted: RotationParameters
) -> Iterator[Finding]:
    """One finding for each declared secret, where all of them are in Vault."""
    if all(secret.store == "vault" for secret in subject.secrets):
        for each in subject.secrets:
            yield _judge_in_vault(each, vault, environment, clock, wanted)


@check("Secrets in AWS and in Vault are rotated by schedule", each=Quub, permissions=AWS_PERMISSIONS)
def aws_and_vault(
    subject: Quub, aws: Aws, vault: Vault, environment: Environment, clock: Clock, wanted: RotationParameters
) -> Iterator[Finding]:
    """One finding for each declared secret, where both stores are in use."""
    if len({secret.store == "vault" for secret in subject.secrets}) == 2:
        for each in subject.secrets:
            if each.store == "vault":
                yield _judge_in_vault(each, vault, environment, clock, wanted)
            else:
                yield _judge_in_aws(each, aws, clock, wanted)


@check("IAM users have no access key older than allowed", each=users, permissions=["iam:ListAccessKeys"])
def access_keys(subject: User, aws: Aws, clock: Clock, wanted: RotationParameters) -> Iterator[Finding]:
    """A fail for each active key that is too old; nothing for the others."""
    answer = aws.ask("iam.ListAccessKeys", region=subject.home, UserName=subject.name)
    for key in answer["AccessKeyMetadata"]:
        yield from judge_access_key(subject.name, key, clock.now(), wanted)


@check(
    "The KMS keys of the declared secrets are rotated",
    each=in_secrets_manager,
    permissions=["kms:DescribeKey", "kms:GetKeyRotationStatus", "secretsmanager:DescribeSecret"],
)
def kms(subject: SecretReference, aws: Aws, wanted: RotationParameters) -> Iterator[Finding]:
    """A fail where a key of ours is not rotated; nothing where it is, or where AWS owns it."""
    if subject.region is None:
        return
    described = aws.find("secretsmanager.DescribeSecret", region=subject.region, SecretId=subject.name) or {}
    key_id = described.get("KmsKeyId")
    if not key_id or key_id.endswith("alias/aws/secretsmanager"):
        return
    key = aws.ask("kms.DescribeKey", region=subject.region, KeyId=key_id)["KeyMetadata"]
    if can_rotate(key):
        status = aws.ask("kms.GetKeyRotationStatus", region=subject.region, KeyId=key["KeyId"])
        yield from judge_kms_key(f"{subject.name} under key {key['KeyId']}", status, wanted)


def _judge_in_aws(declared: SecretReference, aws: Aws, clock: Clock, wanted: RotationParameters) -> Finding:
    if declared.region is None:
        return _unseen(declared.name, "the environment declares no `aws:`")
    if declared.store == "ssm":
        named = [{"Key": "Name", "Option": "Equals", "Values": parameter_names(declared.name)}]
        found = aws.ask("ssm.DescribeParameters", region=declared.region, ParameterFilters=named)["Parameters"]
        return judge_parameter(declared.name, found, clock.now(), wanted)
    described = aws.find("secretsmanager.DescribeSecret", region=declared.region, SecretId=declared.name)
    if described is None:
        return _unseen(declared.name, "it does not exist")
    listed = aws.ask("secretsmanager.ListSecretVersionIds", region=declared.region, SecretId=declared.name)
    return judge_secret(declared.name, described, listed.get("Versions", ()), clock.now(), wanted)


def _judge_in_vault(
    declared: SecretReference, vault: Vault, environment: Environment, clock: Clock, wanted: RotationParameters
) -> Finding:
    server = server_of(declared, environment)
    if server is None:
        return _unseen(declared.name, "the environment declares no such `vault:`")
    return judge_vault_secret(declared.name, vault.secret(server, declared.name), clock.now(), wanted)


def judge_secret(
    subject: str,
    described: Mapping[str, Any],
    versions: Sequence[Mapping[str, Any]],
    now: datetime,
    wanted: RotationParameters,
) -> Finding:
    """Judge secretsmanager.DescribeSecret and the versions of secretsmanager.ListSecretVersionIds.

    The age is that of the version staged AWSCURRENT: LastChangedDate moves with every tag.
    """
    expected = f"rotated by schedule, at most {_days(wanted.max_age_days)} old"
    if described.get("DeletedDate"):
        return Finding.warning(subject=subject, observed="is scheduled for deletion", expected=expected)
    created = [each["CreatedDate"] for each in versions if CURRENT in each.get("VersionStages", ())]
    if not created:
        return _unseen(subject, "it has no version staged AWSCURRENT")
    age = now - max(created)
    if not described.get("RotationEnabled"):
        return _judge_by_hand(subject, age, "rotation is off", wanted)
    due = _next_rotation(described)
    if due is not None and now - due > STUCK_AFTER:
        return Finding.of(
            False,
            subject=subject,
            observed=f"{_old(age)}, rotation was due on {due.date().isoformat()}",
            expected=expected,
            message=f"{subject}: its rotation is stuck; see the log of the rotation function",
        )
    if owner := described.get("OwningService"):
        return Finding.of(True, subject=subject, observed=f"{_old(age)}, rotated by {owner}", expected=expected)
    is_new = now - described["CreatedDate"] <= timedelta(days=wanted.grace_days)
    if described.get("LastRotatedDate") is None and not is_new:
        return Finding.of(
            False,
            subject=subject,
            observed=f"{_old(age)}, rotation is on and never ran",
            expected=expected,
            message=f"{subject}: its rotation never ran; rotate it now, and see the log of the rotation function",
        )
    when = f"next on {due.date().isoformat()}" if due is not None else "by schedule"
    return _judge_age(subject, age, f"rotated {when}", expected, wanted)


def _next_rotation(described: Mapping[str, Any]) -> datetime | None:
    """The next date, as told or as it follows from the last one and the interval."""
    told: datetime | None = described.get("NextRotationDate")
    last: datetime | None = described.get("LastRotatedDate")
    every = (described.get("RotationRules") or {}).get("AutomaticallyAfterDays")
    if told is not None or last is None or not every:
        return told
    return last + timedelta(days=every)


def judge_parameter(
    subject: str, described: Sequence[Mapping[str, Any]], now: datetime, wanted: RotationParameters
) -> Finding:
    """Judge ssm.DescribeParameters for one name: the Parameter Store rotates nothing by itself."""
    if not described:
        return _unseen(subject, "it does not exist")
    return _judge_by_hand(subject, now - described[0]["LastModifiedDate"], "a parameter does not rotate", wanted)


def judge_vault_secret(subject: str, secret: VaultSecret | None, now: datetime, wanted: RotationParameters) -> Finding:
    """Judge the versions of a KV secret, and the schedule that its custom metadata may name."""
    if secret is None:
        return _unseen(subject, "it does not exist")
    if secret.kv_version == 1:
        return _unseen(subject, "KV version 1 keeps no dates")
    current = secret.current
    if current is None or current.is_destroyed or (current.deleted_at is not None and current.deleted_at <= now):
        return _unseen(subject, "it has no current version")
    age = now - current.created_at
    schedule = secret.custom_metadata.get(wanted.vault_schedule, "").strip()
    if not schedule:
        return _judge_by_hand(subject, age, f"no {wanted.vault_schedule} in its custom metadata", wanted)
    expected = f"renewed by schedule, at most {_days(wanted.max_age_days)} old"
    judged = _judge_age(subject, age, f"version {current.number}, schedule {schedule}", expected, wanted)
    has_worked = current.number > 1 or age <= timedelta(days=wanted.grace_days)
    if judged.status is FindingStatus.PASS and not has_worked:
        return Finding.undecided(
            subject=subject,
            observed=f"{judged.observed}, never renewed yet",
            expected=expected,
            message=f"{subject} was never renewed by its schedule; renew it once, or attest the schedule",
        )
    return judged


def judge_access_key(user: str, key: Mapping[str, Any], now: datetime, wanted: RotationParameters) -> Iterator[Finding]:
    """A fail for an active key that is too old, a warning within the days of grace, and nothing else."""
    age = now - key["CreateDate"]
    subject, expected = f"{user} {key['AccessKeyId']}", f"at most {_days(wanted.max_age_days)} old"
    if key["Status"] != "Active" or age <= timedelta(days=wanted.max_age_days):
        return
    if age <= timedelta(days=wanted.max_age_days + wanted.grace_days):
        yield Finding.warning(subject=subject, observed=_old(age), expected=expected)
        return
    yield Finding.of(
        False,
        subject=subject,
        observed=_old(age),
        expected=expected,
        message=f"{subject}: the access key is {_old(age)}; make a new one, move to it and delete this one",
    )


def can_rotate(key: Mapping[str, Any]) -> bool:
    """Whether KMS can rotate the key by itself, and leaves it to us to say so (kms.DescribeKey, KeyMetadata)."""
    return (
        key.get("KeyManager") == "CUSTOMER"
        and key.get("KeySpec") == "SYMMETRIC_DEFAULT"
        and key.get("Origin") == "AWS_KMS"
        and key.get("KeyState") in ("Enabled", "Disabled")
    )


def judge_kms_key(subject: str, status: Mapping[str, Any], wanted: RotationParameters) -> Iterator[Finding]:
    """A fail where kms.GetKeyRotationStatus says that the key stays as it is, or for too long."""
    period = status.get("RotationPeriodInDays", 365)
    expected = f"rotated every {_days(wanted.max_kms_period_days)} or sooner"
    if not status["KeyRotationEnabled"]:
        yield Finding.of(False, subject=subject, observed="is not rotated", expected=expected)
    elif period > wanted.max_kms_period_days:
        yield Finding.of(False, subject=subject, observed=f"rotated every {_days(period)}", expected=expected)


def _judge_by_hand(subject: str, age: timedelta, why: str, wanted: RotationParameters) -> Finding:
    """Too old is a fail; else only a person can say that the next renewal is in a calendar."""
    expected = f"rotated by schedule, at most {_days(wanted.max_age_days)} old"
    judged = _judge_age(subject, age, why, expected, wanted)
    if judged.status is FindingStatus.FAIL:
        return judged
    return Finding.undecided(
        subject=subject,
        observed=judged.observed,
        expected=expected,
        message=f"{subject} is renewed by hand, if at all ({why}); attest its schedule with the calendar ticket",
    )


def _judge_age(subject: str, age: timedelta, how: str, expected: str, wanted: RotationParameters) -> Finding:
    is_young = age <= timedelta(days=wanted.max_age_days + wanted.grace_days)
    is_in_grace = is_young and age > timedelta(days=wanted.max_age_days)
    return Finding.of(
        is_young,
        subject=subject,
        observed=f"{_old(age)}, {how}",
        expected=expected,
        message=f"{subject} is over {_days(wanted.max_age_days)} old; rotate it within the days of grace"
        if is_in_grace
        else "",
    )


def _unseen(subject: str, why: str) -> Finding:
    return Finding.error(
        subject=subject,
        message=f"{subject}: {why}, so its age is not known",
        next_step="store the key there, or correct quub.secrets",
    )


def _old(age: timedelta) -> str:
    return f"{_days(max(age.days, 0))} old"


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"
