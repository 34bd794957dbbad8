"""Every recent backup, and every copy of it, is encrypted and not public."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quub_audit.checks.security.data_protection.backup_encryption import (
    BackupParameters,
    Dump,
    Openness,
    copies_elsewhere,
    is_past,
    is_public_list,
    judge_lock,
    judge_openness,
    judge_public,
    judge_sharing,
    read_cache_snapshot,
    read_dump,
    read_dumps,
    read_point,
    read_snapshot,
    sample,
    snapshot_id,
    softened,
    without_backup,
)
from quub_audit.model.environment import Account, BackupBucket, Environment
from quub_audit.model.result import ItemResult
from quub_audit.model.status import FindingStatus, Status
from quub_audit.sdk import Finding, Region
from quub_audit.testing import audit_item
from tests.worlds.cloud import REGION, Cloud
from tests.worlds.front import Asked, Front, Told, ec2_answer, json_answer, query_answer

ITEM = "security.data-protection.backup-encryption"
PASS, FAIL, ERROR, WARNING = FindingStatus.PASS, FindingStatus.FAIL, FindingStatus.ERROR, FindingStatus.WARNING
HERE = Region(account="production", name=REGION)
ELSEWHERE = "eu-west-1"
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
BUCKET = BackupBucket(region=HERE, bucket="dumps", prefix="orders/")
OURS = Environment(
    service="orders",
    name="production",
    stage="production",
    aws=(Account(name="production", account_id="111122223333", region_names=(REGION,)),),
)
DATABASE: Mapping[str, Any] = {
    "Engine": "postgres",
    "DBInstanceClass": "db.t3.micro",
    "AllocatedStorage": 20,
    "MasterUsername": "orders",
    "MasterUserPassword": "nobody-knows-it",
}


# Answers


@pytest.mark.parametrize(
    ("found", "sources", "protection"),
    [
        ({"KmsKeyId": "key/1"}, {}, "kms"),
        ({"ReplicationGroupId": "g"}, {"g": {"AtRestEncryptionEnabled": True}}, "owned"),
        ({"ReplicationGroupId": "g"}, {"g": {"AtRestEncryptionEnabled": False}}, "none"),
        (
            {"ReplicationGroupId": "g"},
            {"g": {"AtRestEncryptionEnabled": False, "StorageEncryptionType": "sse-elasticache"}},
            "owned",
        ),
        ({"CacheClusterId": "n"}, {"n": {"AtRestEncryptionEnabled": False}}, "none"),
        ({"ReplicationGroupId": "gone"}, {}, "unknown"),
        ({}, {"": {}}, "unknown"),
    ],
)
def test_a_cache_snapshot_without_a_key_is_as_its_source_is_and_unknown_when_that_is_gone(
    found: dict[str, str], sources: dict[str, Any], protection: str
) -> None:
    assert read_cache_snapshot({"SnapshotName": "s", **found}, sources, HERE).protection == protection


@pytest.mark.parametrize(
    ("found", "protection", "key"),
    [
        ({"IsEncrypted": True, "EncryptionKeyArn": "key/1"}, "kms", "key/1"),
        ({"IsEncrypted": True, "EncryptionKeyArn": "key/1", "EncryptionKeyType": "AWS_OWNED_KMS_KEY"}, "owned", ""),
        ({"IsEncrypted": True}, "owned", ""),
        ({"IsEncrypted": False, "EncryptionKeyArn": "key/1"}, "none", ""),
        ({}, "unknown", ""),
    ],
)
def test_a_recovery_point_is_encrypted_only_when_it_says_so(found: dict[str, Any], protection: str, key: str) -> None:
    point = read_point({"RecoveryPointArn": "arn:p", **found}, HERE)

    assert (point.protection, point.key) == (protection, key)


@pytest.mark.parametrize(
    ("headers", "protection"),
    [
        ({}, "none"),
        ({"ServerSideEncryption": ""}, "none"),
        ({"ServerSideEncryption": "AES256"}, "owned"),
        ({"SSECustomerAlgorithm": "AES256"}, "owned"),
        ({"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "key/1"}, "kms"),
        ({"ServerSideEncryption": "aws:kms:dsse", "SSEKMSKeyId": "key/1"}, "kms"),
    ],
)
def test_a_dump_is_encrypted_by_its_own_headers_and_compression_is_none(
    headers: dict[str, str], protection: str
) -> None:
    dump = Dump(bucket=BUCKET, key="orders/a.sql.gz", made_at=NOW)

    assert read_dump(dump, {"ContentEncoding": "gzip", **headers}).protection == protection


@pytest.mark.parametrize(
    ("found", "is_shareable"),
    [
        ({"SnapshotType": "manual"}, True),
        ({"SnapshotType": "automated"}, False),
        ({"SnapshotType": "awsbackup"}, False),
        ({"SnapshotType": "manual", "Arn": "arn:aws:rds:eu-central-1:444455556666:snapshot:theirs"}, False),
    ],
)
def test_only_manual_snapshots_of_our_own_are_asked_whether_they_are_public(
    found: dict[str, str], is_shareable: bool
) -> None:
    entry = {"Arn": "arn:aws:rds:eu-central-1:111122223333:snapshot:ours", "Encrypted": False, **found}

    read = read_snapshot(entry, HERE, OURS, name="Arn", kind="RDS snapshot", flag="Encrypted")

    assert read.is_shareable is is_shareable


def test_the_name_of_an_automated_snapshot_keeps_its_colon() -> None:
    assert snapshot_id("arn:aws:rds:eu-central-1:111122223333:snapshot:rds:orders-1") == "rds:orders-1"
    assert snapshot_id("arn:aws:rds:eu-central-1:111122223333:snapshot:mine") == "mine"


def test_copies_in_declared_regions_are_listed_there_and_the_others_are_followed_once() -> None:
    copies = [f"arn:aws:rds:{region}:111122223333:auto-backup:ab-1" for region in (REGION, ELSEWHERE, ELSEWHERE)]
    found = [{"DBInstanceAutomatedBackupsReplications": [{"DBInstanceAutomatedBackupsArn": each} for each in copies]}]

    assert copies_elsewhere(found, (REGION,)) == (copies[1],)
    assert copies_elsewhere([{}], (REGION,)) == ()


def test_a_database_is_known_by_its_lasting_id_and_not_by_a_name_that_was_used_before() -> None:
    database = {"DBInstanceArn": "arn:orders", "DBInstanceIdentifier": "orders", "DbiResourceId": "db-2"}
    of_old = {"DBInstanceIdentifier": "orders", "DbiResourceId": "db-1"}
    of_this = {"DBInstanceIdentifier": "renamed-since", "DbiResourceId": "db-2"}
    without_id = {"DBInstanceIdentifier": "orders"}

    def missing(*backups: Mapping[str, Any]) -> tuple[str, ...]:
        return without_backup([database], backups, of="DBInstance", id_="DbiResourceId")

    assert missing() == ("arn:orders",)
    assert missing(of_old) == ("arn:orders",)
    assert missing(of_old, of_this) == ()
    assert missing(without_id) == ()


# Dumps


def dumps(*ages_days: float) -> tuple[Dump, ...]:
    return tuple(Dump(bucket=BUCKET, key=f"orders/{age}", made_at=NOW - timedelta(days=age)) for age in ages_days)


def test_folders_are_no_dumps_and_the_newest_comes_first() -> None:
    contents = [
        {"Key": "orders/", "Size": 0, "LastModified": NOW},
        {"Key": "orders/old", "Size": 1, "LastModified": NOW - timedelta(days=2)},
        {"Key": "orders/empty", "Size": 0, "LastModified": NOW},
    ]

    assert [dump.key for dump in read_dumps({"Contents": contents}, BUCKET)] == ["orders/empty", "orders/old"]
    assert read_dumps({}, BUCKET) == ()


def test_a_sample_takes_both_ends_of_what_is_kept_and_all_of_a_few() -> None:
    wanted = BackupParameters(sample_objects=3)

    assert [dump.key for dump in sample(dumps(1, 2, 3, 4, 5, 40), NOW, wanted)] == ["orders/1", "orders/2", "orders/5"]
    assert len(sample(dumps(1, 2), NOW, wanted)) == 2
    assert [dump.key for dump in sample(dumps(40, 50), NOW, wanted)] == ["orders/40", "orders/50"]
    assert sample((), NOW, wanted) == ()


@given(
    ages=st.lists(st.floats(0, 400), max_size=40).map(sorted),
    size=st.integers(1, 12),
    retention=st.integers(0, 90),
)
def test_a_sample_is_of_what_there_is_bounded_without_repetition_and_never_past_retention_while_anything_counts(
    ages: list[float], size: int, retention: int
) -> None:
    wanted = BackupParameters(sample_objects=size, retention_days=retention)
    found = tuple(
        Dump(bucket=BUCKET, key=str(number), made_at=NOW - timedelta(days=age)) for number, age in enumerate(ages)
    )
    counted = [dump for dump in found if not is_past(dump.made_at, NOW, wanted)]

    taken = sample(found, NOW, wanted)

    assert len(set(taken)) == len(taken) == min(size, len(counted or found))
    assert set(taken) <= set(counted or found)


# Judgements


def test_what_is_past_retention_is_a_warning_and_what_goes_on_never_is() -> None:
    wanted = BackupParameters()
    finding = Finding.of(False, subject="s", observed="this EBS snapshot is not encrypted", expected="encrypted")

    assert is_past(NOW - timedelta(days=31), NOW, wanted)
    assert not is_past(NOW - timedelta(days=29), NOW, wanted)
    assert not is_past(None, NOW, wanted)
    assert not is_past(NOW - timedelta(days=999), NOW, BackupParameters(retention_days=0))
    assert softened(finding, 30).status is WARNING
    assert softened(finding, 30).observed == "this EBS snapshot is not encrypted; it is older than 30 days"


@pytest.mark.parametrize(
    ("attributes", "count"),
    [
        ([{"AttributeName": "restore", "AttributeValues": ["all"]}], 1),
        ([{"AttributeName": "restore", "AttributeValues": ["444455556666", "all"]}], 1),
        ([{"AttributeName": "restore", "AttributeValues": ["444455556666"]}], 0),
        ([{"AttributeName": "restore", "AttributeValues": []}], 0),
        ([{"AttributeName": "other", "AttributeValues": ["all"]}], 0),
        ([], 0),
    ],
)
def test_a_snapshot_that_everybody_may_restore_fails(attributes: list[dict[str, Any]], count: int) -> None:
    assert [finding.status for finding in judge_sharing("s", attributes)] == [FAIL] * count


@pytest.mark.parametrize(
    ("public", "state", "statuses"),
    [
        ([], "block-all-sharing", []),
        ([], "block-new-sharing", []),
        ([], "unblocked", [WARNING]),
        (["snap-1"], "block-new-sharing", [FAIL]),
        (["snap-1"], "block-all-sharing", [WARNING]),
        (["snap-1", "snap-2"], "unblocked", [FAIL, FAIL, WARNING]),
    ],
)
def test_a_public_snapshot_fails_unless_the_region_blocks_all_sharing(
    public: Sequence[str], state: str, statuses: list[FindingStatus]
) -> None:
    assert [finding.status for finding in judge_public(public, state, HERE)] == statuses


ALL_FOUR = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)


@pytest.mark.parametrize(
    ("policy", "lists", "block", "statuses"),
    [
        (False, False, ALL_FOUR, [PASS]),
        (False, False, {}, [PASS, WARNING]),
        (False, False, {**ALL_FOUR, "BlockPublicAcls": False}, [PASS, WARNING]),
        (True, False, {}, [FAIL, WARNING]),
        (True, True, ALL_FOUR, [PASS]),
        (True, False, {**ALL_FOUR, "RestrictPublicBuckets": False}, [FAIL, WARNING]),
        (False, True, {"BlockPublicAcls": True}, [FAIL, WARNING]),
        (False, True, {"IgnorePublicAcls": True}, [PASS, WARNING]),
    ],
)
def test_a_bucket_is_open_when_its_policy_or_list_is_public_and_its_block_does_not_hold_that_back(
    policy: bool, lists: bool, block: dict[str, bool], statuses: list[FindingStatus]
) -> None:
    openness = Openness(is_policy_public=policy, are_lists_public=lists, block=block)

    assert [finding.status for finding in judge_openness("b", openness)] == statuses


def test_access_lists_and_locks_are_read_by_their_words() -> None:
    everybody = {"Grantee": {"Type": "Group", "URI": "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"}}

    assert is_public_list([everybody])
    assert not is_public_list([{"Grantee": {"Type": "CanonicalUser", "ID": "1"}}, {}])
    assert list(judge_lock("b", {"ObjectLockEnabled": "Enabled"})) == []
    assert [finding.status for finding in judge_lock("b", {})] == [WARNING]


# On an emulated account


def look(
    cloud: Cloud,
    *,
    bucket: str = "",
    check: str = "",
    regions: tuple[str, ...] = (REGION,),
    at: datetime | None = None,
    **parameters: Any,
) -> ItemResult:
    account = cloud.account(name="production", region_names=regions)
    declared = (BackupBucket(region=account.regions[0], bucket=bucket, prefix="orders/"),) if bucket else ()
    environment = Environment(service="orders", name="production", stage="production", aws=(account,), backups=declared)
    return audit_item(ITEM, environment, check=check, parameters=parameters, environ=cloud.environ, at=at)


def names(result: ItemResult, status: FindingStatus) -> set[str]:
    """The last part of the name of each subject."""
    return {finding.subject.rpartition(":")[2].rpartition("/")[2] for finding in result.of_status(status)}


def customer_key(cloud: Cloud, region: str = REGION) -> str:
    return str(cloud.client("kms", region).create_key()["KeyMetadata"]["Arn"])


def database(cloud: Cloud, name: str, key: str = "", *, snapshot: str = "", region: str = REGION) -> None:
    """An instance without automated backups, encrypted when it has a key, with a manual snapshot."""
    rds = cloud.client("rds", region)
    guard = {"StorageEncrypted": True, "KmsKeyId": key} if key else {"StorageEncrypted": False}
    rds.create_db_instance(DBInstanceIdentifier=name, BackupRetentionPeriod=0, **guard, **DATABASE)
    # The emulator takes an automated snapshot whatever the period.
    for taken in rds.describe_db_snapshots(DBInstanceIdentifier=name)["DBSnapshots"]:
        rds.delete_db_snapshot(DBSnapshotIdentifier=taken["DBSnapshotIdentifier"])
    if snapshot:
        rds.create_db_snapshot(DBInstanceIdentifier=name, DBSnapshotIdentifier=snapshot)


def bucket_of_dumps(cloud: Cloud, *keys: str, is_locked: bool = True, **encryption: str) -> str:
    """A bucket, closed to the public and encrypting by default, with objects of those keys; its name."""
    s3 = cloud.client("s3")
    name = f"dumps-{cloud.account_id}"
    location = {"LocationConstraint": REGION}
    s3.create_bucket(Bucket=name, CreateBucketConfiguration=location, ObjectLockEnabledForBucket=is_locked)
    s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=ALL_FOUR)
    rules = [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
    s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": rules})
    for key in keys:
        s3.put_object(Bucket=name, Key=key, Body=b"" if key.endswith("/") else b"-", **encryption)
    return name


@pytest.mark.proof("pass")
def test_an_account_whose_backups_are_all_encrypted_passes(cloud: Cloud, front: Front) -> None:
    key = customer_key(cloud)
    database(cloud, "orders", key, snapshot="orders-monday")
    cloud.client("rds").create_db_cluster(
        DBClusterIdentifier="ledger",
        Engine="aurora-postgresql",
        MasterUsername="ledger",
        MasterUserPassword="nobody-knows-it",
        StorageEncrypted=True,
        KmsKeyId=key,
    )
    ec2 = cloud.client("ec2")
    disk = ec2.create_volume(AvailabilityZone=f"{REGION}a", Size=1, Encrypted=True, KmsKeyId=key)["VolumeId"]
    ec2.create_snapshot(VolumeId=disk)
    caches = cloud.client("elasticache")
    caches.create_replication_group(
        ReplicationGroupId="rates", ReplicationGroupDescription="rates", Engine="redis", AtRestEncryptionEnabled=True
    )
    caches.create_snapshot(ReplicationGroupId="rates", SnapshotName="rates-monday")
    cloud.client("backup").create_backup_vault(BackupVaultName="vault")
    front.answers["backup GET /backup-vaults/vault/recovery-points/"] = lambda asked: points({"IsEncrypted": True})
    del front.answers["backup GET /backup-vaults/*/recovery-points/"]
    bucket = bucket_of_dumps(cloud, "orders/monday.sql.gz", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)

    result = look(cloud, bucket=bucket)

    assert result.status is Status.PASS, result.reason
    assert {finding.check.rpartition("/")[2] for finding in result.of_status(PASS)} == {
        "backup_bucket",
        "cache_snapshot",
        "cluster_snapshot",
        "database_snapshot",
        "dump",
        "recovery_point",
        "volume_snapshot",
    }
    assert result.of_status(WARNING) == ()


@pytest.mark.proof("fail")
def test_a_plain_snapshot_fails_by_its_name_and_a_public_one_by_that_too(cloud: Cloud) -> None:
    rds = cloud.client("rds")
    database(cloud, "orders", customer_key(cloud), snapshot="guarded")
    database(cloud, "plain", snapshot="private")
    rds.create_db_snapshot(DBInstanceIdentifier="plain", DBSnapshotIdentifier="public")
    rds.modify_db_snapshot_attribute(
        DBSnapshotIdentifier="public", AttributeName="restore", ValuesToAdd=["444455556666", "all"]
    )

    result = look(cloud)

    told = sorted((finding.subject.rpartition(":")[2], finding.observed) for finding in result.of_status(FAIL))
    assert told == [
        ("private", "this RDS snapshot is not encrypted"),
        ("public", "everybody may restore this snapshot"),
        ("public", "this RDS snapshot is not encrypted"),
    ]
    assert names(result, PASS) == {"guarded"}


def test_a_public_cluster_snapshot_fails_and_no_type_is_asked_that_clusters_lack(cloud: Cloud, front: Front) -> None:
    rds = cloud.client("rds")
    rds.create_db_cluster(
        DBClusterIdentifier="ledger",
        Engine="aurora-postgresql",
        MasterUsername="ledger",
        MasterUserPassword="nobody-knows-it",
    )
    rds.create_db_cluster_snapshot(DBClusterIdentifier="ledger", DBClusterSnapshotIdentifier="public")
    rds.modify_db_cluster_snapshot_attribute(
        DBClusterSnapshotIdentifier="public", AttributeName="restore", ValuesToAdd=["all"]
    )

    front.asked.clear()

    result = look(cloud, check="cluster_snapshot")

    # RDS knows no type "awsbackup" of cluster snapshots, and refuses what it does not know.
    asked = [each.parameters for each in front.asked if each.operation == "rds.DescribeDBClusterSnapshots"]
    assert [each.get("SnapshotType") for each in asked] == [None]
    assert "everybody may restore this snapshot" in {finding.observed for finding in result.of_status(FAIL)}


def test_a_copy_in_another_declared_region_is_judged_by_its_own_encryption(cloud: Cloud) -> None:
    database(cloud, "orders", customer_key(cloud), snapshot="here")
    database(cloud, "orders", snapshot="there", region=ELSEWHERE)

    result = look(cloud, regions=(REGION, ELSEWHERE))

    assert names(result, FAIL) == {"there"}
    assert names(result, PASS) == {"here"}


def test_an_old_plain_backup_is_a_warning_and_counts_for_nothing(cloud: Cloud) -> None:
    database(cloud, "plain", snapshot="old")
    later = datetime.now(UTC) + timedelta(days=40)

    old = look(cloud, check="database_snapshot", at=later)
    any_age = look(cloud, check="database_snapshot", at=later, retention_days=0)

    assert old.status is Status.INCONCLUSIVE
    assert "older than 30 days" in old.of_status(WARNING)[0].observed
    assert any_age.status is Status.FAIL


@pytest.mark.proof("inconclusive")
def test_an_account_without_backups_and_an_empty_prefix_are_inconclusive(cloud: Cloud) -> None:
    bucket = bucket_of_dumps(cloud, "orders/", "other/monday.sql.gz")

    assert look(cloud).status is Status.INCONCLUSIVE
    assert look(cloud, bucket=bucket).status is Status.INCONCLUSIVE


def test_other_backups_hide_no_declared_prefix_without_a_dump(cloud: Cloud) -> None:
    cloud.client("ec2").create_snapshot(VolumeId=volume(cloud), Description="nightly")
    bucket = bucket_of_dumps(cloud, "orders/")

    result = look(cloud, bucket=bucket)

    assert result.status is Status.INCONCLUSIVE, result.reason
    assert len(result.of_status(PASS)) == 1
    assert "is declared for dumps and holds none" in result.reason


def volume(cloud: Cloud) -> str:
    """An encrypted one."""
    made = cloud.client("ec2").create_volume(AvailabilityZone=f"{REGION}a", Size=1, Encrypted=True)
    return str(made["VolumeId"])


@pytest.mark.proof("error")
def test_a_denied_listing_is_one_error_that_names_the_permission(cloud: Cloud) -> None:
    database(cloud, "orders", customer_key(cloud), snapshot="monday")
    cloud.allow_only("ec2:*", "kms:*")

    result = look(cloud, check="database_snapshot")

    assert result.status is Status.ERROR
    assert len(result.of_status(ERROR)) == 1
    assert "rds:DescribeDBSnapshots" in result.reason + result.next_step


def test_a_database_without_a_backup_is_an_error_by_its_name_unless_it_is_excluded(cloud: Cloud) -> None:
    # In a region each: to the emulator, all databases of a region have the same lasting id.
    database(cloud, "orders", customer_key(cloud), snapshot="monday")
    database(cloud, "scratch", customer_key(cloud, ELSEWHERE), region=ELSEWHERE)
    regions = (REGION, ELSEWHERE)

    bare = look(cloud, regions=regions)
    excused = look(cloud, regions=regions, exclude={"scratch": "made-up rows"})

    assert names(bare, ERROR) == {"scratch"}
    assert "no backup of it was found" in bare.reason
    assert excused.status is Status.PASS, excused.reason


# AWS Backup


def points(*found: Mapping[str, Any], more: str = "") -> Told:
    """Recovery points of today, with a made-up name each."""
    rows = [
        {
            "RecoveryPointArn": f"arn:aws:backup:{REGION}:111122223333:recovery-point:{number}",
            "Status": "COMPLETED",
            "ResourceType": "EFS",
            "CreationDate": datetime.now(UTC).timestamp(),
            **each,
        }
        for number, each in enumerate(found)
    ]
    return json_answer({"RecoveryPoints": rows, **({"NextToken": more} if more else {})})


def test_points_of_every_page_count_and_parents_and_those_being_deleted_do_not(cloud: Cloud, front: Front) -> None:
    cloud.client("backup").create_backup_vault(BackupVaultName="vault")

    def listed(asked: Asked) -> Told:
        if "nextToken" in asked.parameters:
            return points({"IsEncrypted": False, "RecoveryPointArn": "arn:aws:ec2:::snapshot/plain"})
        return points(
            {"IsEncrypted": True},
            {"IsEncrypted": False, "IsParent": True},
            {"IsEncrypted": False, "Status": "DELETING"},
            more="2",
        )

    front.answers["backup GET /backup-vaults/*/recovery-points/"] = listed

    result = look(cloud, check="recovery_point")

    assert names(result, PASS) == {"0"}
    assert names(result, FAIL) == {"plain"}


def test_a_vault_that_holds_points_without_a_lock_is_warned_of(cloud: Cloud, front: Front) -> None:
    arn = f"arn:aws:backup:{REGION}:{cloud.account_id}:backup-vault"
    vaults = [
        {"BackupVaultName": name, "BackupVaultArn": f"{arn}:{name}", "Locked": locked, "NumberOfRecoveryPoints": count}
        for name, locked, count in (("open", False, 3), ("locked", True, 3), ("empty", False, 0))
    ]
    front.answers["backup GET /backup-vaults/"] = lambda asked: json_answer({"BackupVaultList": vaults})

    result = look(cloud, check="vault_lock")

    assert names(result, WARNING) == {"open"}
    assert result.status is Status.INCONCLUSIVE


# What the emulator does not know


def automated(asked: Asked, key: str) -> str:
    """A backup of `orders`; in the second region its copy, in the clear."""
    arn = f"arn:aws:rds:{{}}:{'1' * 12}:auto-backup:ab-{{}}"
    is_copy = asked.region == ELSEWHERE
    guard = "<Encrypted>false</Encrypted>" if is_copy else f"<Encrypted>true</Encrypted><KmsKeyId>{key}</KmsKeyId>"
    copies = (
        ""
        if is_copy
        else "<DBInstanceAutomatedBackupsReplications><DBInstanceAutomatedBackupsReplication>"
        f"<DBInstanceAutomatedBackupsArn>{arn.format(ELSEWHERE, 'copy')}</DBInstanceAutomatedBackupsArn>"
        "</DBInstanceAutomatedBackupsReplication></DBInstanceAutomatedBackupsReplications>"
    )
    own = arn.format(asked.region, "copy" if is_copy else "orders")
    return (
        f"<DBInstanceAutomatedBackup><DBInstanceAutomatedBackupsArn>{own}</DBInstanceAutomatedBackupsArn>"
        f"<DBInstanceIdentifier>orders</DBInstanceIdentifier>{guard}{copies}</DBInstanceAutomatedBackup>"
    )


@pytest.mark.parametrize("regions", [(REGION,), (REGION, ELSEWHERE)])
def test_a_copy_of_an_automated_backup_is_found_once_in_a_declared_region_and_in_another(
    cloud: Cloud, front: Front, regions: tuple[str, ...]
) -> None:
    key = customer_key(cloud)
    front.answers["rds.DescribeDBInstanceAutomatedBackups"] = lambda asked: query_answer(
        "DescribeDBInstanceAutomatedBackups",
        f"<DBInstanceAutomatedBackups>{automated(asked, key)}</DBInstanceAutomatedBackups>",
    )

    result = look(cloud, regions=regions)

    assert [finding.subject.rpartition(":")[2] for finding in result.of_status(FAIL)] == ["ab-copy"]
    assert names(result, PASS) == {"ab-orders"}


def test_a_public_ebs_snapshot_fails_and_a_region_that_blocks_nothing_is_warned_of(cloud: Cloud, front: Front) -> None:
    def listed(asked: Asked) -> Told | None:
        if "RestorableBy.1" not in asked.parameters:
            return None
        return ec2_answer(
            "DescribeSnapshots", "<snapshotSet><item><snapshotId>snap-public</snapshotId></item></snapshotSet>"
        )

    front.answers["ec2.DescribeSnapshots"] = listed
    front.answers["ec2.GetSnapshotBlockPublicAccessState"] = lambda asked: ec2_answer(
        "GetSnapshotBlockPublicAccessState", "<state>unblocked</state>"
    )

    result = look(cloud, check="public_volume_snapshot")

    assert names(result, FAIL) == {"snap-public"}
    assert "is unblocked" in result.of_status(WARNING)[0].observed


def test_ten_thousand_ebs_snapshots_cost_ten_lists_and_one_look_at_the_key(cloud: Cloud, front: Front) -> None:
    key = customer_key(cloud)

    def listed(asked: Asked) -> Told:
        start = int(asked.parameters.get("NextToken", 0))
        end = start + int(asked.parameters["MaxResults"])
        rows = "".join(
            f"<item><snapshotId>snap-{number}</snapshotId><status>completed</status>"
            f"<encrypted>{'false' if number == 9999 else 'true'}</encrypted><kmsKeyId>{key}</kmsKeyId></item>"
            for number in range(start, end)
        )
        token = f"<nextToken>{end}</nextToken>" if end < 10_000 else ""
        return ec2_answer("DescribeSnapshots", f"<snapshotSet>{rows}</snapshotSet>{token}")

    front.answers["ec2.DescribeSnapshots"] = listed

    result = look(cloud, check="volume_snapshot")

    assert names(result, FAIL) == {"snap-9999"}
    assert len(result.of_status(PASS)) == 9999
    assert front.count("ec2.DescribeSnapshots") == 10
    assert front.count("kms.DescribeKey") == 1


def test_a_snapshot_of_aws_backup_is_listed_by_its_type_and_one_that_another_account_shares_counts_as_a_copy(
    cloud: Cloud, front: Front
) -> None:
    row = (
        f"<DBSnapshot><DBSnapshotArn>arn:aws:rds:{REGION}:{{}}:snapshot:{{}}</DBSnapshotArn><Status>available</Status>"
        "<SnapshotType>{}</SnapshotType><Encrypted>false</Encrypted></DBSnapshot>"
    )

    def listed(asked: Asked) -> Told:
        if asked.parameters.get("SnapshotType") == "awsbackup":
            rows = row.format(cloud.account_id, "awsbackup:job-1", "awsbackup")
        else:
            assert asked.parameters["IncludeShared"] == "true"
            rows = row.format("444455556666", "theirs", "shared")
        return query_answer("DescribeDBSnapshots", f"<DBSnapshots>{rows}</DBSnapshots>")

    front.answers["rds.DescribeDBSnapshots"] = listed

    result = look(cloud, check="database_snapshot")

    assert names(result, FAIL) == {"job-1", "theirs"}
    assert front.count("rds.DescribeDBSnapshotAttributes") == 0


# Dumps


def test_dumps_that_s3_encrypts_pass_until_a_customer_key_is_demanded(cloud: Cloud) -> None:
    bucket = bucket_of_dumps(cloud, "orders/monday.sql.gz", ServerSideEncryption="AES256")

    assert look(cloud, bucket=bucket).status is Status.PASS
    assert names(look(cloud, bucket=bucket, require_cmk=True), FAIL) == {"monday.sql.gz", ""}


def test_a_dump_from_before_the_bucket_encrypted_fails_although_the_bucket_does_now(cloud: Cloud) -> None:
    s3 = cloud.client("s3")
    bucket = bucket_of_dumps(cloud, "orders/new.sql.gz", ServerSideEncryption="AES256")
    s3.delete_bucket_encryption(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="orders/plain.sql.gz", Body=b"-")
    rules = [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": rules})

    result = look(cloud, bucket=bucket, check="dump")

    assert names(result, FAIL) == {"plain.sql.gz"}
    assert names(result, PASS) == {"new.sql.gz"}


def test_a_public_bucket_of_dumps_fails_and_what_it_lacks_is_warned_of(cloud: Cloud) -> None:
    bucket = bucket_of_dumps(cloud, "orders/a.sql.gz", is_locked=False, ServerSideEncryption="AES256")
    s3 = cloud.client("s3")
    s3.delete_public_access_block(Bucket=bucket)
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read")

    result = look(cloud, bucket=bucket, check="backup_bucket")

    assert [finding.observed for finding in result.of_status(FAIL)] == ["is open to the public by its access list"]
    assert {finding.observed for finding in result.of_status(WARNING)} == {
        "public access is not blocked by the bucket itself",
        "no object lock keeps dumps from being deleted",
    }


def test_a_declared_bucket_that_does_not_exist_is_an_error(cloud: Cloud) -> None:
    result = look(cloud, bucket=f"nowhere-{cloud.account_id}")

    assert result.status is Status.ERROR
    assert f"nowhere-{cloud.account_id}" in result.reason


def test_no_object_is_ever_read_only_its_headers(cloud: Cloud, front: Front) -> None:
    bucket = bucket_of_dumps(cloud, *(f"orders/{number}.gz" for number in range(15)), ServerSideEncryption="AES256")
    front.asked.clear()

    result = look(cloud, bucket=bucket, check="dump", sample_objects=4)

    about_objects = [asked.operation for asked in front.asked if "/orders/" in asked.operation]
    assert len(result.of_status(PASS)) == 4
    assert len(about_objects) == 4
    assert all(operation.startswith("s3 HEAD ") for operation in about_objects)
