"""Every recent backup, and every copy of it, is encrypted and not public.

Pass          each snapshot, automated backup, recovery point and dump of the last `retention_days` is encrypted with a key that works, no snapshot and no bucket of dumps is public, and each database has a backup; where `require_cmk` is set, the keys are the customer's and rotate
Fail          one is not encrypted; its key is disabled, about to be deleted, gone, or open to any account; a snapshot of any age is public; a bucket of dumps is public or encrypts nothing by default; a key is AWS's own, or does not rotate, where a customer's key is demanded
Inconclusive  no backup was found; or, whatever else passes, a declared prefix holds no dump
Error         a listing, a backup or a key could not be looked at; a database without any backup; a declared bucket that does not exist; an answer that does not say whether the backup is encrypted
Needs         `rds:DescribeDBSnapshots`, `DescribeDBSnapshotAttributes`, `DescribeDBClusterSnapshots`, `DescribeDBClusterSnapshotAttributes`, `DescribeDBInstanceAutomatedBackups`, `DescribeDBClusterAutomatedBackups`, `DescribeDBInstances`, `DescribeDBClusters`, `redshift:DescribeClusterSnapshots`, `ec2:DescribeSnapshots`, `GetSnapshotBlockPublicAccessState`, `elasticache:DescribeSnapshots`, `DescribeReplicationGroups`, `DescribeCacheClusters`, `DescribeServerlessCacheSnapshots`, `backup:ListBackupVaults`, `ListRecoveryPointsByBackupVault`, `kms:DescribeKey`, `GetKeyPolicy`, `GetKeyRotationStatus`; for declared buckets `s3:ListBucket`, `GetObject` (headers alone are asked), `GetEncryptionConfiguration`, `GetBucketPolicyStatus`, `GetBucketPublicAccessBlock`, `GetBucketAcl`, `GetBucketObjectLockConfiguration`
Source        the guide, Data Protection; PCI DSS 4.0.1, 3.5 and 9.4.1; OWASP ASVS v5.0.0-14.2.4; AWS Well-Architected, SEC 8 and REL 9

Snapshots that other accounts share with this one count as copies. AWS lets nobody share an encrypted snapshot with the public, so only plain ones are asked whether they are.
Warned of: a plain backup older than `retention_days`, a vault without a lock, a bucket of dumps without object lock or without a block of public access, a region where snapshots may be made public.
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from quub_audit.checks.security.data_protection._keys import (
    OF_KEYS,
    Batch,
    KeyParameters,
    Service,
    Stored,
    account_id_of,
    alone,
    guard_of,
    guard_of_bucket,
    in_batches,
    in_scope,
    is_kms,
    judge_things,
)
from quub_audit.sdk import (
    Aws,
    BackupBucket,
    Clock,
    Environment,
    Finding,
    FindingStatus,
    Region,
    check,
    database_clusters,
    database_instances,
    subjects,
)

SNAPSHOTS_AT_ONCE = 1000
"""Rows of one page of EBS snapshots, which come all at once unless one asks for pages."""

GONE = ("deleting", "deleted", "failed", "error", "DELETING")
"""States of what is no backup, or no longer."""

EVERYBODY = (
    "http://acs.amazonaws.com/groups/global/AllUsers",
    "http://acs.amazonaws.com/groups/global/AuthenticatedUsers",
)
"""Grantees of an access list that are everybody: the second is whoever has an AWS account."""

OF_LISTS = ("BlockPublicAcls", "IgnorePublicAcls")
OF_POLICIES = ("BlockPublicPolicy", "RestrictPublicBuckets")


class BackupParameters(KeyParameters):
    """What the checklist may set under `with:`."""

    retention_days: int = 30
    """Days for which backups are kept; an older plain one is a warning. 0 judges those of any age. The guide."""

    sample_objects: int = 10
    """How many dumps per declared prefix are looked at, half of them the newest and half the oldest that count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vault:
    """One vault of AWS Backup."""

    region: Region
    name: str
    arn: str
    is_locked: bool
    points: int
    """How many recovery points AWS counts in it."""

    def __str__(self) -> str:
        return self.arn


@dataclass(frozen=True, slots=True, kw_only=True)
class Dump:
    """One object below a declared prefix."""

    bucket: BackupBucket
    key: str
    made_at: datetime

    def __str__(self) -> str:
        return f"s3://{self.bucket.bucket}/{self.key}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Openness:
    """What S3 says about who may come to a bucket."""

    is_policy_public: bool
    are_lists_public: bool
    block: Mapping[str, bool]
    """`PublicAccessBlockConfiguration` of the bucket; empty where there is none."""

    @property
    def ways(self) -> tuple[str, ...]:
        """How the public comes in."""
        found = []
        if self.is_policy_public and not self.block.get("RestrictPublicBuckets"):
            found.append("its policy")
        if self.are_lists_public and not self.block.get("IgnorePublicAcls"):
            found.append("its access list")
        return tuple(found)

    @property
    def is_blocked(self) -> bool:
        """Whether the bucket's own block lets nothing public through, now or later."""
        return all(self.block.get(name) for name in (*OF_LISTS, *OF_POLICIES))


# Snapshots of databases


@subjects(each=Region, permissions=["rds:DescribeDBSnapshots"])
def database_snapshots(region: Region, aws: Aws, environment: Environment) -> Iterator[Batch]:
    """RDS snapshots: automated, manual, of AWS Backup, and those that other accounts share. Plain ones one by one."""
    yield from _plain_ones_alone(
        read_snapshot(each, region, environment, name="DBSnapshotArn", kind="RDS snapshot", flag="Encrypted")
        for each in _of_instances(region, aws)
    )


def _of_instances(region: Region, aws: Aws) -> Iterator[Mapping[str, Any]]:
    # Without a type the list has automated and manual ones, and none of AWS Backup.
    usual = aws.ask("rds.DescribeDBSnapshots", region=region, IncludeShared=True)
    of_backup = aws.ask("rds.DescribeDBSnapshots", region=region, SnapshotType="awsbackup")
    yield from _present(
        [*usual.get("DBSnapshots", ()), *of_backup.get("DBSnapshots", ())], name="DBSnapshotArn", state="Status"
    )


@check(
    "RDS snapshots are encrypted and not public",
    each=database_snapshots,
    permissions=["rds:DescribeDBSnapshotAttributes", *OF_KEYS],
)
def database_snapshot(
    subject: Batch, aws: Aws, environment: Environment, clock: Clock, wanted: BackupParameters
) -> Iterator[Finding]:
    """`Encrypted`, the key that it names, and who may restore a plain one."""
    yield from judge_backups(subject, aws, environment, clock, wanted)
    for thing in _maybe_public(subject, wanted):
        answer = aws.find(
            "rds.DescribeDBSnapshotAttributes", region=thing.region, DBSnapshotIdentifier=snapshot_id(thing.name)
        )
        result = (answer or {}).get("DBSnapshotAttributesResult") or {}
        yield from judge_sharing(thing.name, result.get("DBSnapshotAttributes", ()))


@subjects(each=Region, permissions=["rds:DescribeDBClusterSnapshots"])
def cluster_snapshots(region: Region, aws: Aws, environment: Environment) -> Iterator[Batch]:
    """Snapshots of clusters, of DocumentDB and Neptune too, and those that are shared. Plain ones one by one."""
    yield from _plain_ones_alone(
        read_snapshot(
            each, region, environment, name="DBClusterSnapshotArn", kind="cluster snapshot", flag="StorageEncrypted"
        )
        for each in _of_clusters(region, aws)
    )


def _of_clusters(region: Region, aws: Aws) -> Iterator[Mapping[str, Any]]:
    # There is no type of AWS Backup here: its points of clusters are listed by their vaults.
    usual = aws.ask("rds.DescribeDBClusterSnapshots", region=region, IncludeShared=True)
    yield from _present(usual.get("DBClusterSnapshots", ()), name="DBClusterSnapshotArn", state="Status")


@check(
    "Cluster snapshots are encrypted and not public",
    each=cluster_snapshots,
    permissions=["rds:DescribeDBClusterSnapshotAttributes", *OF_KEYS],
)
def cluster_snapshot(
    subject: Batch, aws: Aws, environment: Environment, clock: Clock, wanted: BackupParameters
) -> Iterator[Finding]:
    """`StorageEncrypted`, the key that it names, and who may restore a plain one."""
    yield from judge_backups(subject, aws, environment, clock, wanted)
    for thing in _maybe_public(subject, wanted):
        answer = aws.find(
            "rds.DescribeDBClusterSnapshotAttributes",
            region=thing.region,
            DBClusterSnapshotIdentifier=snapshot_id(thing.name),
        )
        result = (answer or {}).get("DBClusterSnapshotAttributesResult") or {}
        yield from judge_sharing(thing.name, result.get("DBClusterSnapshotAttributes", ()))


# Automated backups


@subjects(each=Region, permissions=["rds:DescribeDBClusterAutomatedBackups", "rds:DescribeDBInstanceAutomatedBackups"])
def automated_backups(region: Region, aws: Aws) -> Iterator[Batch]:
    """What point-in-time recovery of instances and clusters reads; what is retained of deleted ones too."""
    found = aws.ask("rds.DescribeDBInstanceAutomatedBackups", region=region)
    yield from in_batches(read_automated(each, region) for each in found.get("DBInstanceAutomatedBackups", ()))
    found = aws.ask("rds.DescribeDBClusterAutomatedBackups", region=region)
    yield from in_batches(read_automated(each, region) for each in found.get("DBClusterAutomatedBackups", ()))


@check("Automated database backups are encrypted", each=automated_backups, permissions=OF_KEYS)
def automated_backup(
    subject: Batch, aws: Aws, environment: Environment, clock: Clock, wanted: BackupParameters
) -> Iterator[Finding]:
    """`Encrypted` of an instance's, `StorageEncrypted` of a cluster's, and the key."""
    yield from judge_backups(subject, aws, environment, clock, wanted)


@subjects(each=Region, permissions=["rds:DescribeDBInstanceAutomatedBackups"])
def distant_backups(region: Region, aws: Aws, environment: Environment) -> Iterator[Batch]:
    """Copies of automated backups in regions that are not declared; those in declared ones are listed there."""
    declared = {name for account in environment.aws if account.name == region.account for name in account.region_names}
    found = aws.ask("rds.DescribeDBInstanceAutomatedBackups", region=region).get("DBInstanceAutomatedBackups", ())
    for arn in copies_elsewhere(found, declared):
        there = Region(account=region.account, name=arn.split(":")[3])
        answer = aws.ask("rds.DescribeDBInstanceAutomatedBackups", region=there, DBInstanceAutomatedBackupsArn=arn)
        yield from in_batches(read_automated(each, there) for each in answer.get("DBInstanceAutomatedBackups", ()))


@check("Copies of automated backups in other regions are encrypted", each=distant_backups, permissions=OF_KEYS)
def distant_backup(
    subject: Batch, aws: Aws, environment: Environment, clock: Clock, wanted: BackupParameters
) -> Iterator[Finding]:
    """A copy has a key of its own region."""
    yield from judge_backups(subject, aws, environment, clock, wanted)


@check(
    "Each database has a backup that was looked at",
    each=Region,
    permissions=[
        "rds:DescribeDBClusterAutomatedBackups",
        "rds:DescribeDBClusterSnapshots",
        "rds:DescribeDBClusters",
        "rds:DescribeDBInstanceAutomatedBackups",
        "rds:DescribeDBInstances",
        "rds:DescribeDBSnapshots",
    ],
)
def database(subject: Region, aws: Aws, wanted: BackupParameters) -> Iterator[Finding]:
    """Errors only: of a database without a backup nothing is known. A read replica is backed up by its source."""
    instances = database_instances(subject, aws)
    if instances:
        running = aws.ask("rds.DescribeDBInstanceAutomatedBackups", region=subject)
        backups = [*_of_instances(subject, aws), *running.get("DBInstanceAutomatedBackups", ())]
        names = without_backup(instances, backups, of="DBInstance", id_="DbiResourceId")
        yield from (_unseen(name) for name in names if wanted.takes(name) and not wanted.reason_against(name))
    clusters = database_clusters(subject, aws)
    if clusters:
        running = aws.ask("rds.DescribeDBClusterAutomatedBackups", region=subject)
        backups = [*_of_clusters(subject, aws), *running.get("DBClusterAutomatedBackups", ())]
        names = without_backup(clusters, backups, of="DBCluster", id_="DbClusterResourceId")
        yield from (_unseen(name) for name in names if wanted.takes(name) and not wanted.reason_against(name))


# Other snapshots


@subjects(each=Region, permissions=["redshift:DescribeClusterSnapshots"])
def warehouse_snapshots(region: Region, aws: Aws) -> Iterator[Batch]:
    """Redshift snapshots, automated and manual."""
    found = (aws.find("redshift.DescribeClusterSnapshots", region=region) or {}).get("Snapshots", ())
    yield from in_batches(
        _backup(
            region,
            "redshift",
            "Redshift snapshot",
            str(each.get("SnapshotArn") or each["SnapshotIdentifier"]),
            flag=each.get("Encrypted"),
            key=each.get("KmsKeyId"),
            made_at=each.get("SnapshotCreateTime"),
        )
        for each in found
        if each.get("Status") not in GONE
    )


@check("Redshift snapshots are encrypted", each=warehouse_snapshots, permissions=OF_KEYS)
def warehouse_snapshot(
    subject: Batch, aws: Aws, environment: Environment, clock: Clock, wanted: BackupParameters
) -> Iterator[Finding]:
    """`Encrypted`, and the key that it names."""
    yield from judge_backups(subject, aws, environment, clock, wanted)


@subjects(each=Region, permissions=["ec2:DescribeSnapshots"])
def volume_snapshots(region: Region, aws: Aws) -> Iterator[Batch]:
    """EBS snapshots of the account's own."""
    found = aws.ask("ec2.DescribeSnapshots", region=region, OwnerIds=["self"], MaxResults=SNAPSHOTS_AT_ONCE)
    yield from in_batches(
        _backup(
            region,
            "ebs",
            "EBS snapshot",
            each["SnapshotId"],
            flag=each.get("Encrypted"),
            key=each.get("KmsKeyId"),
            made_at=each.get("StartTime"),
        )
        for each in found.get("Snapshots", ())
        if each.get("State") not in GONE
    )


@check("EBS snapshots are encrypted", each=volume_snapshots, permissions=OF_KEYS)
def volume_snapshot(
    subject: Batch, aws: Aws, environment: Environment, clock: Clock, wanted: BackupParameters
) -> Iterator[Finding]:
    """`Encrypted`, and the key that it names."""
    yield from judge_backups(subject, aws, environment, clock, wanted)


@check(
    "No EBS snapshot is public",
    each=Region,
    permissions=["ec2:DescribeSnapshots", "ec2:GetSnapshotBlockPublicAccessState"],
)
def public_volume_snapshot(subject: Region, aws: Aws) -> Iterator[Finding]:
    """Fails and warnings only. One list tells which are public, however many there are."""
    public = aws.ask(
        "ec2.DescribeSnapshots",
        region=subject,
        OwnerIds=["self"],
        RestorableByUserIds=["all"],
        MaxResults=SNAPSHOTS_AT_ONCE,
    ).get("Snapshots", ())
    state = aws.ask("ec2.GetSnapshotBlockPublicAccessState", region=subject).get("State", "unknown")
    yield from judge_public([each["SnapshotId"] for each in public], state, subject)


@subjects(
    each=Region,
    permissions=[
        "elasticache:DescribeCacheClusters",
        "elasticache:DescribeReplicationGroups",
        "elasticache:DescribeServerlessCacheSnapshots",
        "elasticache:DescribeSnapshots",
    ],
)
def cache_snapshots(region: Region, aws: Aws) -> Iterator[Batch]:
    """ElastiCache snapshots. One that names no key is as its source is; serverless ones are always encrypted."""
    found = (aws.find("elasticache.DescribeSnapshots", region=region) or {}).get("Snapshots", ())
    present = [each for each in found if each.get("SnapshotStatus") not in GONE]
    sources: dict[str, Mapping[str, Any]] = {}
    if any(not each.get("KmsKeyId") for each in present):
        groups = aws.ask("elasticache.DescribeReplicationGroups", region=region).get("ReplicationGroups", ())
        nodes = aws.ask("elasticache.DescribeCacheClusters", region=region).get("CacheClusters", ())
        sources = {each["CacheClusterId"]: each for each in nodes}
        sources |= {each["ReplicationGroupId"]: each for each in groups}
    yield from in_batches(read_cache_snapshot(each, sources, region) for each in present)
    serverless = aws.find("elasticache.DescribeServerlessCacheSnapshots", region=region) or {}
    yield from in_batches(
        _backup(
            region,
            "elasticache",
            "serverless cache snapshot",
            each["ARN"],
            flag=True,
            key=each.get("KmsKeyId"),
            made_at=each.get("CreateTime"),
        )
        for each in serverless.get("ServerlessCacheSnapshots", ())
        if each.get("Status") not in GONE
    )


@check("ElastiCache snapshots are encrypted", each=cache_snapshots, permissions=OF_KEYS)
def cache_snapshot(
    subject: Batch, aws: Aws, environment: Environment, clock: Clock, wanted: BackupParameters
) -> Iterator[Finding]:
    """The key that it names, else its source's encryption at rest."""
    yield from judge_backups(subject, aws, environment, clock, wanted)


# AWS Backup


@subjects(each=Region, permissions=["backup:ListBackupVaults"])
def vaults(region: Region, aws: Aws) -> Iterator[Vault]:
    """Vaults of AWS Backup."""
    for found in (aws.find("backup.ListBackupVaults", region=region) or {}).get("BackupVaultList", ()):
        yield Vault(
            region=region,
            name=found["BackupVaultName"],
            arn=found["BackupVaultArn"],
            is_locked=bool(found.get("Locked")),
            points=found.get("NumberOfRecoveryPoints") or 0,
        )


@subjects(each=vaults, permissions=["backup:ListRecoveryPointsByBackupVault"])
def recovery_points(vault: Vault, aws: Aws) -> Iterator[Batch]:
    """Recovery points of a vault. Those that only hold others together are left out: their parts are listed too."""
    answer = aws.find("backup.ListRecoveryPointsByBackupVault", region=vault.region, BackupVaultName=vault.name)
    yield from in_batches(
        read_point(each, vault.region)
        for each in (answer or {}).get("RecoveryPoints", ())
        if each.get("Status") not in GONE and not each.get("IsParent")
    )


@check("Recovery points of AWS Backup are encrypted", each=recovery_points, permissions=OF_KEYS)
def recovery_point(
    subject: Batch, aws: Aws, environment: Environment, clock: Clock, wanted: BackupParameters
) -> Iterator[Finding]:
    """`IsEncrypted`, and the key that it names."""
    yield from judge_backups(subject, aws, environment, clock, wanted)


@check("Vaults that hold backups are locked", each=vaults)
def vault_lock(subject: Vault) -> Finding | None:
    """A warning only: whoever may delete backups, or the key that they are under, can hold them to ransom."""
    if subject.is_locked or not subject.points:
        return None
    return Finding.warning(
        subject=subject.arn,
        observed=f"{subject.points} recovery points, and no lock keeps them from being deleted",
        expected="a vault lock, or copies in an account of their own",
    )


# Dumps


@subjects(each=BackupBucket, permissions=["s3:ListBucket"])
def dumps(bucket: BackupBucket, aws: Aws, clock: Clock, wanted: BackupParameters) -> Iterator[Dump]:
    """The newest and the oldest of the dumps that count, below a declared prefix."""
    answer = aws.ask("s3.ListObjectsV2", region=bucket.region, Bucket=bucket.bucket, Prefix=bucket.prefix)
    yield from sample(read_dumps(answer, bucket), clock.now(), wanted)


@check("Dumps in declared buckets are encrypted", each=dumps, permissions=["s3:GetObject", *OF_KEYS])
def dump(
    subject: Dump, aws: Aws, environment: Environment, clock: Clock, wanted: BackupParameters
) -> Iterator[Finding]:
    """`ServerSideEncryption` of the object itself; what the bucket says may be younger than the object."""
    region, bucket = subject.bucket.region, subject.bucket.bucket
    answer = aws.find("s3.HeadObject", region=region, Bucket=bucket, Key=subject.key)
    if answer is not None:
        yield from judge_backups(alone(read_dump(subject, answer)), aws, environment, clock, wanted)


@check(
    "Declared buckets of dumps encrypt, and are not public",
    each=BackupBucket,
    permissions=[
        "s3:GetBucketAcl",
        "s3:GetBucketObjectLockConfiguration",
        "s3:GetBucketPolicyStatus",
        "s3:GetBucketPublicAccessBlock",
        "s3:GetEncryptionConfiguration",
        "s3:ListBucket",
        *OF_KEYS,
    ],
)
def backup_bucket(
    subject: BackupBucket, aws: Aws, environment: Environment, wanted: BackupParameters
) -> Iterator[Finding]:
    """A bucket without a dump below the prefix passes nothing; it may fail."""
    region, name = subject.region, subject.bucket
    listed = read_dumps(aws.ask("s3.ListObjectsV2", region=region, Bucket=name, Prefix=subject.prefix), subject)
    configured = aws.find("s3.GetBucketEncryption", region=region, Bucket=name)
    policy = aws.find("s3.GetBucketPolicyStatus", region=region, Bucket=name) or {}
    block = aws.find("s3.GetPublicAccessBlock", region=region, Bucket=name) or {}
    access = aws.ask("s3.GetBucketAcl", region=region, Bucket=name)
    openness = Openness(
        is_policy_public=bool((policy.get("PolicyStatus") or {}).get("IsPublic")),
        are_lists_public=is_public_list(access.get("Grants", ())),
        block=block.get("PublicAccessBlockConfiguration") or {},
    )
    protection, key = guard_of_bucket(configured)
    bucket = Stored(
        region=region, service="s3", kind="bucket of dumps", name=str(subject), protection=protection, key=key
    )
    lock = aws.find("s3.GetObjectLockConfiguration", region=region, Bucket=name) or {}
    findings = [
        *judge_things([bucket], aws, environment, wanted),
        *judge_openness(str(subject), openness),
        *judge_lock(str(subject), lock.get("ObjectLockConfiguration") or {}),
    ]
    yield from (each for each in findings if listed or each.status is not FindingStatus.PASS)
    if not listed:
        yield Finding.undecided(
            subject=str(subject),
            observed="holds no dump",
            expected="dumps that are encrypted",
            message=f"{subject} is declared for dumps and holds none; correct the prefix, or audit again after a dump",
        )


# Answers


def read_snapshot(
    found: Mapping[str, Any], region: Region, environment: Environment, *, name: str, kind: str, flag: str
) -> Stored:
    """A snapshot of a database. Only manual ones of the account's own can be shared by it."""
    stored = _backup(
        region,
        "rds",
        kind,
        found[name],
        flag=found.get(flag),
        key=found.get("KmsKeyId"),
        type_=found.get("StorageEncryptionType"),
        made_at=found.get("SnapshotCreateTime"),
    )
    owner = stored.name.split(":")[4]
    is_own = owner == account_id_of(region, environment)
    return replace(stored, is_shareable=is_own and found.get("SnapshotType") == "manual")


def read_automated(found: Mapping[str, Any], region: Region) -> Stored:
    """An automated backup of an instance or of a cluster; it goes on, so it has no age."""
    is_cluster = "DBClusterIdentifier" in found
    name = found.get("DBClusterAutomatedBackupsArn" if is_cluster else "DBInstanceAutomatedBackupsArn")
    return _backup(
        region,
        "rds",
        "automated backup",
        str(name or found.get("DBClusterArn" if is_cluster else "DBInstanceArn") or found.get("DBInstanceIdentifier")),
        flag=found.get("StorageEncrypted" if is_cluster else "Encrypted"),
        key=found.get("KmsKeyId"),
        type_=found.get("StorageEncryptionType"),
    )


def copies_elsewhere(found: Iterable[Mapping[str, Any]], declared: Iterable[str]) -> tuple[str, ...]:
    """ARNs of the copies of automated backups that are in none of the `declared` regions, each once."""
    arns = [
        str(copy["DBInstanceAutomatedBackupsArn"])
        for each in found
        for copy in each.get("DBInstanceAutomatedBackupsReplications", ())
    ]
    known = set(declared)
    return tuple(arn for arn in dict.fromkeys(arns) if arn.count(":") > 3 and arn.split(":")[3] not in known)


def read_cache_snapshot(found: Mapping[str, Any], sources: Mapping[str, Mapping[str, Any]], region: Region) -> Stored:
    """A snapshot of ElastiCache. Without a key it is encrypted when its source is; unknown when that is gone."""
    source = sources.get(found.get("ReplicationGroupId") or found.get("CacheClusterId") or "", {})
    key = found.get("KmsKeyId")
    taken = [each["SnapshotCreateTime"] for each in found.get("NodeSnapshots", ()) if each.get("SnapshotCreateTime")]
    return _backup(
        region,
        "elasticache",
        "cache snapshot",
        str(found.get("ARN") or found["SnapshotName"]),
        flag=True if key else source.get("AtRestEncryptionEnabled"),
        key=key,
        type_=None if key else source.get("StorageEncryptionType"),
        made_at=min(taken, default=None),
    )


def read_point(found: Mapping[str, Any], region: Region) -> Stored:
    """An entry of `RecoveryPoints`."""
    is_aws_owned = found.get("EncryptionKeyType") == "AWS_OWNED_KMS_KEY"
    return _backup(
        region,
        "backup",
        f"recovery point of {found.get('ResourceType') or 'a resource'}",
        found["RecoveryPointArn"],
        flag=found.get("IsEncrypted"),
        key=None if is_aws_owned else found.get("EncryptionKeyArn"),
        made_at=found.get("CreationDate"),
    )


def read_dumps(answer: Mapping[str, Any], bucket: BackupBucket) -> tuple[Dump, ...]:
    """Objects of a list, newest first; folders, which some tools make as empty objects, left out."""
    found = [
        Dump(bucket=bucket, key=each["Key"], made_at=each["LastModified"])
        for each in answer.get("Contents", ())
        if not (each["Key"].endswith("/") and not each.get("Size"))
    ]
    return tuple(sorted(found, key=lambda each: each.made_at, reverse=True))


def sample(found: Sequence[Dump], now: datetime, wanted: BackupParameters) -> tuple[Dump, ...]:
    """At most `sample_objects` of those within retention (of all, newest first, where none is): both ends."""
    counted = [each for each in found if not is_past(each.made_at, now, wanted)] or list(found)
    if len(counted) <= wanted.sample_objects:
        return tuple(counted)
    newest = -(-wanted.sample_objects // 2)
    oldest = wanted.sample_objects - newest
    return (*counted[:newest], *counted[len(counted) - oldest :])


def read_dump(dump: Dump, answer: Mapping[str, Any]) -> Stored:
    """Headers of an object. Without `ServerSideEncryption` it was stored in the clear."""
    algorithm = answer.get("ServerSideEncryption") or ""
    is_customers = bool(answer.get("SSECustomerAlgorithm"))
    return _backup(
        dump.bucket.region,
        "s3",
        "dump",
        str(dump),
        flag=bool(algorithm) or is_customers,
        key=answer.get("SSEKMSKeyId") if is_kms(algorithm) else None,
        made_at=dump.made_at,
    )


def snapshot_id(arn: str) -> str:
    """The name in the ARN of a snapshot, colons of automated ones kept."""
    return arn.split(":", 6)[-1]


def is_public_list(grants: Iterable[Mapping[str, Any]]) -> bool:
    """Whether an access list gives anything to everybody."""
    return any((grant.get("Grantee") or {}).get("URI") in EVERYBODY for grant in grants)


def without_backup(
    found: Iterable[Mapping[str, Any]], backups: Iterable[Mapping[str, Any]], *, of: str, id_: str
) -> tuple[str, ...]:
    """ARNs of databases of which there is no backup; by their lasting ids where told, since names are used again."""
    by_id: set[str] = set()
    by_name: set[str] = set()
    for each in backups:
        if each.get(id_):
            by_id.add(each[id_])
        else:
            by_name.add(str(each.get(f"{of}Identifier")))
    return tuple(
        str(each[f"{of}Arn"]) for each in found if each.get(id_) not in by_id and each[f"{of}Identifier"] not in by_name
    )


# Judgements


def judge_backups(
    batch: Batch, aws: Aws, environment: Environment, clock: Clock, wanted: BackupParameters
) -> Iterator[Finding]:
    """Judge backups of one kind under one key; those past retention can only be warned of."""
    judged: list[Stored] = []
    past: set[str] = set()
    for each in in_scope(batch, wanted):
        if isinstance(each, Finding):
            yield each
        else:
            judged.append(each)
            if is_past(each.made_at, clock.now(), wanted):
                past.add(each.name)
    for finding in judge_things(judged, aws, environment, wanted):
        if finding.subject not in past:
            yield finding
        elif finding.status is not FindingStatus.PASS:
            yield softened(finding, wanted.retention_days)


def is_past(made_at: datetime | None, now: datetime, wanted: BackupParameters) -> bool:
    """Whether a backup is older than backups are kept, and so should be gone."""
    return bool(wanted.retention_days and made_at and made_at < now - timedelta(days=wanted.retention_days))


def softened(finding: Finding, retention_days: int) -> Finding:
    """The same as a warning."""
    return replace(
        finding,
        status=FindingStatus.WARNING,
        observed=f"{finding.observed or finding.message}; it is older than {retention_days} days",
        message="",
    )


def judge_sharing(name: str, attributes: Iterable[Mapping[str, Any]]) -> Iterator[Finding]:
    """A fail for a snapshot that everybody may restore, whatever its age."""
    allowed = [
        value
        for each in attributes
        if each.get("AttributeName") == "restore"
        for value in each.get("AttributeValues", ())
    ]
    if "all" in allowed:
        yield Finding.of(
            False, subject=name, observed="everybody may restore this snapshot", expected="no share with the public"
        )


def judge_public(public: Sequence[str], state: str, region: Region) -> Iterator[Finding]:
    """Judge what EC2 lists as public, by the state of the region's block of public access."""
    expected = "no share with the public"
    for name in public:
        if state == "block-all-sharing":
            observed = "is shared with the public, which the region blocks"
            yield Finding.warning(subject=name, observed=observed, expected=expected)
        else:
            yield Finding.of(False, subject=name, observed="everybody may restore this snapshot", expected=expected)
    if state not in ("block-all-sharing", "block-new-sharing"):
        yield Finding.warning(
            subject=str(region),
            observed=f"the block of public access for EBS snapshots is {state}",
            expected="block-all-sharing or block-new-sharing",
        )


def judge_openness(name: str, openness: Openness) -> Iterator[Finding]:
    """Judge who may come to a bucket of dumps by the bucket's own settings; what the account blocks is not seen."""
    expected = "no way in for the public"
    ways = openness.ways
    observed = f"is open to the public by {' and '.join(ways)}" if ways else "is not open to the public"
    yield Finding.of(not ways, subject=name, observed=observed, expected=expected)
    if not openness.is_blocked:
        yield Finding.warning(
            subject=name,
            observed="public access is not blocked by the bucket itself",
            expected="all four settings of its public access block",
        )


def judge_lock(name: str, lock: Mapping[str, Any]) -> Iterator[Finding]:
    """A warning for dumps that whoever may write them can delete."""
    if lock.get("ObjectLockEnabled") != "Enabled":
        yield Finding.warning(
            subject=name, observed="no object lock keeps dumps from being deleted", expected="object lock"
        )


def _plain_ones_alone(things: Iterable[Stored]) -> Iterator[Batch]:
    """As `in_batches`, with each plain thing that may be public for itself: it is asked about one by one."""
    others: list[Stored] = []
    for thing in things:
        if thing.protection in ("none", "unknown") and thing.is_shareable:
            yield alone(thing)
        else:
            others.append(thing)
    yield from in_batches(others)


def _maybe_public(batch: Batch, wanted: BackupParameters) -> Iterator[Stored]:
    for thing in batch.things:
        is_plain = thing.protection in ("none", "unknown")
        if thing.is_shareable and is_plain and wanted.takes(thing.name) and not wanted.reason_against(thing.name):
            yield thing


def _present(found: Iterable[Mapping[str, Any]], *, name: str, state: str) -> Iterator[Mapping[str, Any]]:
    """Each once, without what is gone."""
    once = {str(each[name]): each for each in found if each.get(state) not in GONE}
    yield from once.values()


def _backup(
    region: Region,
    service: Service,
    kind: str,
    name: str,
    *,
    flag: bool | None,
    key: str | None,
    type_: str | None = None,
    made_at: datetime | None = None,
) -> Stored:
    protection, named = guard_of(flag=flag, key=key, type_=type_)
    return Stored(
        region=region, service=service, kind=kind, name=name, protection=protection, key=named, made_at=made_at
    )


def _unseen(name: str) -> Finding:
    return Finding.error(
        subject=name,
        message=f"{name}: no backup of it was found, so how its backups are encrypted is not known",
        next_step="turn backups on, declare the region that keeps them, or exclude the database with a reason",
    )
