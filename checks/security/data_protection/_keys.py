"""What keeps something at rest from being read: nothing, AWS's own key or one of KMS, and whether that key is sound.

Things under one key are judged together, so that a key is asked about once however many things it guards, and a key
that cannot be asked about is one error.
"""

from __future__ import annotations

import fnmatch
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from quub_audit.sdk import Aws, Environment, Finding, Parameters, Region

Service = Literal[
    "backup",
    "dynamodb",
    "ebs",
    "efs",
    "elasticache",
    "kinesis",
    "logs",
    "opensearch",
    "rds",
    "redshift",
    "s3",
    "secrets-manager",
    "sns",
    "sqs",
]

Protection = Literal["none", "owned", "kms", "unknown"]
"""Nothing; a key that AWS owns or manages; a key of KMS that is named; the answer does not say."""

OF_KEYS = ("kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus")

USABLE = ("Enabled", "Creating", "Updating")
"""States in which a key decrypts, now or in a moment. https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html"""

AWS_ALIAS = "alias/aws/"
"""Keys that AWS manages; the alias may be named before the key exists."""

_OPENS = ("kms:Decrypt", "kms:CreateGrant", "kms:PutKeyPolicy")
"""Each is enough to read what the key guards."""

_LIMITS = frozenset(
    {
        "aws:principalaccount",
        "aws:principalarn",
        "aws:principalorgid",
        "aws:principalorgpaths",
        "aws:sourceaccount",
        "aws:sourcearn",
        "aws:sourceorgid",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "aws:userid",
        "aws:vpceaccount",
        "aws:vpceorgid",
        "kms:calleraccount",
    }
)
"""Conditions that say whose principals an open statement means."""


class KeyParameters(Parameters):
    """What both items of encryption may be told under `with:`."""

    require_cmk: bool = False
    """Whether each thing must be under a key that the customer manages; a key of AWS is enough otherwise."""

    cmk_exceptions: Mapping[Service, str] = {}
    """Services in which AWS's own key is enough although `require_cmk` is set, each with the reason."""

    require_rotation: bool = True
    """Whether a demanded customer key must rotate, where KMS can rotate it."""

    only: tuple[str, ...] = ()
    """Globs over names and ARNs of what is judged; everything when empty."""

    exclude: Mapping[str, str] = {}
    """Globs over names and ARNs of what is not judged, each with the reason, which the report shows."""

    def demands_cmk(self, service: str) -> bool:
        """Whether things of `service` must be under a customer's key."""
        return self.require_cmk and service not in self.cmk_exceptions

    def takes(self, name: str) -> bool:
        """Whether `only` takes the name."""
        return not self.only or any(_matches(name, glob) for glob in self.only)

    def reason_against(self, name: str) -> str:
        """Why `exclude` leaves the name out; empty where it does not."""
        return next((reason or "no reason given" for glob, reason in self.exclude.items() if _matches(name, glob)), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One thing at rest: a store, or a backup."""

    region: Region
    service: Service
    kind: str
    """`RDS instance`."""
    name: str
    """An ARN where the listing gives one."""
    protection: Protection
    key: str = ""
    """Id, ARN or alias of its key; only under `kms`."""
    made_at: datetime | None = None
    """When a backup was taken; None for what goes on."""
    is_shareable: bool = False
    """Whether it is a snapshot of one's own that could have been made public."""
    resource: str = ""
    """`ec2:volume/vol-1`: service and resource of its ARN, where `name` is none."""

    @property
    def tagged_as(self) -> str:
        """Service and resource of its ARN, as the tagging API would name them."""
        return self.resource or resource_of(self.name)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Things of one kind under one key; never empty."""

    region: Region
    kind: str
    key: str
    things: tuple[Stored, ...]

    def __str__(self) -> str:
        if len(self.things) == 1:
            return self.things[0].name
        return f"{len(self.things)} of kind {self.kind} in {self.region}" + (f" under {self.key}" if self.key else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key of KMS, as far as it matters to what it guards."""

    name: str
    """As what it guards names it."""
    state: str
    """`KeyState`; empty where there is no such key."""
    is_customers: bool = False
    deleted_on: datetime | None = None
    rotates: bool | None = None
    """None where nobody asked, or KMS cannot rotate it."""
    is_open: bool = False
    """Whether its policy lets principals of any account decrypt."""


def guard_of(*, flag: bool | None, key: str | None, type_: str | None = None) -> tuple[Protection, str]:
    """What an answer says: `flag` (`Encrypted`), the key's name, and `StorageEncryptionType` where there is one.

    The type tells of AWS's own keys, under which the flag may be false; no flag and no type is not "no".
    """
    if flag or (type_ or "").startswith("sse-"):
        is_owned = type_ not in (None, "", "none", "sse-kms")
        if key and not is_owned and not is_aws_alias(key):
            return "kms", key
        return "owned", ""
    return ("none" if flag is False or type_ == "none" else "unknown"), ""


def is_aws_alias(key: str) -> bool:
    """Whether a key is named by the alias of one that AWS manages; such a key is always enabled."""
    return key.rpartition(":")[2].startswith(AWS_ALIAS)


def guard_of_bucket(answer: Mapping[str, Any] | None) -> tuple[Protection, str]:
    """What s3.GetBucketEncryption says of new objects; None where S3 says that nothing is configured."""
    rules = ((answer or {}).get("ServerSideEncryptionConfiguration") or {}).get("Rules", ())
    defaults = [rule.get("ApplyServerSideEncryptionByDefault") or {} for rule in rules]
    default = next((each for each in defaults if each.get("SSEAlgorithm")), None)
    if default is None:
        return "none", ""
    return guard_of(flag=True, key=default.get("KMSMasterKeyID") if is_kms(default["SSEAlgorithm"]) else None)


def is_kms(algorithm: str) -> bool:
    """Whether S3 encrypts with a key of KMS: `aws:kms` and `aws:kms:dsse`."""
    return algorithm.startswith("aws:kms")


def in_batches(things: Iterable[Stored]) -> Iterator[Batch]:
    """Things of one kind by protection and key, in the order in which each first came."""
    grouped: dict[tuple[str, str, str], list[Stored]] = defaultdict(list)
    for thing in things:
        grouped[thing.kind, thing.protection, thing.key].append(thing)
    for (kind, _, key), members in grouped.items():
        yield Batch(region=members[0].region, kind=kind, key=key, things=tuple(members))


def alone(thing: Stored) -> Batch:
    """A batch of one."""
    return Batch(region=thing.region, kind=thing.kind, key=thing.key, things=(thing,))


def in_scope(batch: Batch, wanted: KeyParameters) -> Iterator[Stored | Finding]:
    """What the parameters leave to be judged, and a warning for each that they leave out by name."""
    strangers = 0
    for thing in batch.things:
        reason = wanted.reason_against(thing.name)
        if not wanted.takes(thing.name):
            strangers += 1
        elif reason:
            yield Finding.warning(subject=thing.name, observed=f"left out of the audit: {reason}")
        else:
            yield thing
    if strangers:
        yield Finding.warning(
            subject=str(batch), observed=f"left out of the audit: {strangers} of {len(batch.things)}, not in `only`"
        )


def judge_things(
    things: Iterable[Stored], aws: Aws, environment: Environment, wanted: KeyParameters
) -> Iterator[Finding]:
    """Judge things under one key of one region; asks about the key where there is one."""
    things = tuple(things)
    if not things:
        return
    first = things[0]
    key = None
    if first.key:
        key = read_key(
            first.key,
            first.region,
            aws,
            account_id=account_id_of(first.region, environment),
            wants_rotation=wanted.demands_cmk(first.service) and wanted.require_rotation,
        )
    for thing in things:
        yield judge(thing, key, wanted)


def account_id_of(region: Region, environment: Environment) -> str:
    """The declared number of the region's account."""
    return next((account.account_id for account in environment.aws if account.name == region.account), "")


def read_key(name: str, region: Region, aws: Aws, *, account_id: str, wants_rotation: bool) -> Key:
    """The key `name`. Policy and rotation are asked of keys of the account `account_id` alone: KMS tells no others."""
    answer = aws.find("kms.DescribeKey", region=region, KeyId=name)
    if answer is None:
        return Key(name=name, state="")
    told = answer["KeyMetadata"]
    is_customers = told.get("KeyManager") == "CUSTOMER"
    rotates = None
    is_open = False
    if is_customers and told.get("AWSAccountId") == account_id and told.get("KeyState") in USABLE:
        if wants_rotation and is_rotatable(told):
            status = aws.ask("kms.GetKeyRotationStatus", region=region, KeyId=told["KeyId"])
            rotates = bool(status.get("KeyRotationEnabled"))
        policy = aws.ask("kms.GetKeyPolicy", region=region, KeyId=told["KeyId"], PolicyName="default")
        is_open = is_open_policy(policy.get("Policy", ""))
    return Key(
        name=name,
        state=told.get("KeyState", "unknown"),
        is_customers=is_customers,
        deleted_on=told.get("DeletionDate"),
        rotates=rotates,
        is_open=is_open,
    )


def is_rotatable(told: Mapping[str, Any]) -> bool:
    """Whether KMS rotates a key by itself when asked to: a symmetric one with material of its own."""
    return told.get("KeySpec") == "SYMMETRIC_DEFAULT" and told.get("Origin") == "AWS_KMS"


def is_open_policy(document: str) -> bool:
    """Whether a key policy lets principals of any account read what the key guards.

    Raises ValueError for a text that is no policy.
    """
    policy = json.loads(document)
    if not isinstance(policy, dict):
        raise ValueError(f"a key policy is a JSON object, not {type(policy).__name__}")
    return any(_opens(statement) for statement in _listed(policy.get("Statement")))


def _opens(statement: Mapping[str, Any]) -> bool:
    if statement.get("Effect") != "Allow":
        return False
    principal = statement.get("Principal")
    named = _listed(principal.get("AWS")) if isinstance(principal, dict) else _listed(principal)
    if "*" not in named and "NotPrincipal" not in statement:
        return False
    patterns = [str(pattern).lower() for pattern in _listed(statement.get("Action"))]
    is_reading = any(fnmatch.fnmatchcase(action.lower(), pattern) for action in _OPENS for pattern in patterns)
    if "NotAction" in statement:
        spared = [str(pattern).lower() for pattern in _listed(statement["NotAction"])]
        is_reading = any(not any(fnmatch.fnmatchcase(each.lower(), one) for one in spared) for each in _OPENS)
    return is_reading and not _is_limited(statement.get("Condition") or {})


def _is_limited(conditions: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether a condition keeps other accounts out; one that only counts if it is there does not."""
    for operator, tests in conditions.items():
        plain = operator.lower().rpartition(":")[2]
        if "not" in plain or plain.endswith("ifexists") or not plain.startswith(("string", "arn")):
            continue
        for name, values in tests.items():
            if name.lower() in _LIMITS and "*" not in [str(value) for value in _listed(values)]:
                return True
    return False


def judge(thing: Stored, key: Key | None, wanted: KeyParameters) -> Finding:
    """Judge one thing by what guards it. Raises ValueError for a thing under a key without the key."""
    is_cmk_wanted = wanted.demands_cmk(thing.service)
    expected = "encrypted with an enabled customer managed key" if is_cmk_wanted else "encrypted with a usable key"
    if thing.protection == "unknown":
        return Finding.error(
            subject=thing.name,
            message=f"{thing.name}: the answer does not say whether this {thing.kind} is encrypted",
            next_step="look it up in the console, and report the answer's form",
        )
    if thing.protection == "kms":
        if key is None:
            raise ValueError(f"{thing.name}: its key {thing.key} is not given")
        problem = key_problem(key, is_cmk_wanted=is_cmk_wanted)
        kind = "customer managed key" if key.is_customers else "AWS managed key"
        observed = problem or f"is encrypted with the {kind} {key.name}"
    elif thing.protection == "owned":
        problem = "is encrypted with a key of AWS" if is_cmk_wanted else ""
        observed = "is encrypted with a key of AWS"
    else:
        problem = observed = "has no default encryption" if thing.service == "s3" else "is not encrypted"
    return Finding.of(not problem, subject=thing.name, observed=f"this {thing.kind} {observed}", expected=expected)


def key_problem(key: Key, *, is_cmk_wanted: bool) -> str:
    """Why a key is no sound protection; empty for one that is."""
    if not key.state:
        return f"is encrypted with {key.name}, which does not exist"
    if key.state not in USABLE:
        when = f", to be deleted on {key.deleted_on:%Y-%m-%d}" if key.deleted_on else ""
        return f"is encrypted with {key.name}, which is {key.state}{when}"
    if key.is_open:
        return f"is encrypted with {key.name}, whose policy lets any account decrypt"
    if is_cmk_wanted and not key.is_customers:
        return f"is encrypted with the AWS managed key {key.name}"
    if is_cmk_wanted and key.rotates is False:
        return f"is encrypted with {key.name}, which does not rotate"
    return ""


def resource_of(arn: str) -> str:
    """`rds:db:orders` of an ARN; empty for what is none."""
    parts = arn.split(":", 5)
    return f"{parts[2]}:{parts[5]}" if len(parts) == 6 and parts[0] == "arn" else ""


def _matches(name: str, glob: str) -> bool:
    short = resource_of(name).partition(":")[2]
    last = short.replace("/", ":").rpartition(":")[2]
    return any(fnmatch.fnmatchcase(each, glob) for each in (name, short, last) if each)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
