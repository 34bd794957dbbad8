"""Every store that may hold sensitive data is encrypted, with a key that works."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from quub_audit.checks.security.data_protection.encryption_at_rest import (
    Bucket,
    Queue,
    inaccessible,
    read_bucket,
    read_database,
    read_domain,
    read_group,
    read_node,
    read_queue,
    read_stream,
    read_table,
)
from quub_audit.model.environment import Environment
from quub_audit.model.result import ItemResult
from quub_audit.model.status import FindingStatus, Status
from quub_audit.sdk import Region
from quub_audit.testing import audit_item
from tests.worlds.cloud import REGION, Cloud
from tests.worlds.front import Asked, Front, Told, denial, ec2_answer, query_answer

ITEM = "security.data-protection.encryption-at-rest"
PASS, FAIL, ERROR, WARNING = FindingStatus.PASS, FindingStatus.FAIL, FindingStatus.ERROR, FindingStatus.WARNING
HERE = Region(account="production", name=REGION)
ELSEWHERE = "eu-west-1"
DATABASE: Mapping[str, Any] = {
    "Engine": "postgres",
    "DBInstanceClass": "db.t3.micro",
    "AllocatedStorage": 20,
    "MasterUsername": "orders",
    "MasterUserPassword": "nobody-knows-it",
}


# Answers


@pytest.mark.parametrize(
    ("described", "protection"),
    [
        (None, "owned"),
        ({"Status": "DISABLED"}, "owned"),
        ({"Status": "DISABLING", "KMSMasterKeyArn": "key/1"}, "owned"),
        ({"Status": "ENABLED", "SSEType": "KMS", "KMSMasterKeyArn": "key/1"}, "kms"),
        ({"Status": "UPDATING", "SSEType": "KMS", "KMSMasterKeyArn": "key/1"}, "kms"),
    ],
)
def test_a_table_is_always_encrypted_and_without_a_description_by_a_key_of_aws(
    described: dict[str, Any] | None, protection: str
) -> None:
    table = {"TableArn": "arn:aws:dynamodb:eu-central-1:111122223333:table/orders"}
    if described is not None:
        table["SSEDescription"] = described  # type: ignore[assignment]

    assert read_table(table, HERE).protection == protection


def test_a_table_whose_key_is_lost_says_since_when() -> None:
    lost = {"InaccessibleEncryptionDateTime": datetime(2026, 5, 1, tzinfo=UTC)}

    assert inaccessible({"TableStatus": "ACTIVE"}) == ""
    assert "since 2026-05-01" in inaccessible({"TableStatus": "ACTIVE", "SSEDescription": lost})
    assert "is not accessible" in inaccessible({"TableStatus": "INACCESSIBLE_ENCRYPTION_CREDENTIALS"})


@pytest.mark.parametrize(
    ("default", "protection", "key"),
    [
        ({"SSEAlgorithm": "AES256"}, "owned", ""),
        ({"SSEAlgorithm": "AES256", "KMSMasterKeyID": "ignored"}, "owned", ""),
        ({"SSEAlgorithm": "aws:kms"}, "owned", ""),
        ({"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/aws/s3"}, "owned", ""),
        ({"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "key/1"}, "kms", "key/1"),
        ({"SSEAlgorithm": "aws:kms:dsse", "KMSMasterKeyID": "key/1"}, "kms", "key/1"),
        ({}, "none", ""),
    ],
)
def test_a_bucket_is_read_by_its_algorithm_and_the_key_that_goes_with_it(
    default: dict[str, str], protection: str, key: str
) -> None:
    answer = {"ServerSideEncryptionConfiguration": {"Rules": [{"ApplyServerSideEncryptionByDefault": default}]}}

    stored = read_bucket(Bucket(region=HERE, name="b", created_at=None), answer)

    assert (stored.protection, stored.key) == (protection, key)


def test_a_bucket_of_which_s3_says_that_nothing_is_configured_is_not_encrypted() -> None:
    assert read_bucket(Bucket(region=HERE, name="b", created_at=None), None).protection == "none"


@pytest.mark.parametrize(
    ("attributes", "protection"),
    [
        ({"SqsManagedSseEnabled": "true"}, "owned"),
        ({"SqsManagedSseEnabled": "false"}, "none"),
        ({"SqsManagedSseEnabled": "false", "KmsMasterKeyId": "alias/orders"}, "kms"),
        ({"SqsManagedSseEnabled": "false", "KmsMasterKeyId": "alias/aws/sqs"}, "owned"),
        ({}, "unknown"),
    ],
)
def test_a_queue_says_by_texts_what_guards_it(attributes: dict[str, str], protection: str) -> None:
    assert read_queue(Queue(region=HERE, url="https://q"), attributes).protection == protection


@pytest.mark.parametrize(
    ("found", "protection"),
    [
        ({"EncryptionType": "NONE"}, "none"),
        ({"EncryptionType": "KMS", "KeyId": "alias/aws/kinesis"}, "owned"),
        ({"EncryptionType": "KMS", "KeyId": "key/1"}, "kms"),
        ({}, "unknown"),
    ],
)
def test_a_stream_is_plain_unless_it_says_otherwise_and_silence_is_no_answer(
    found: dict[str, str], protection: str
) -> None:
    assert read_stream({"StreamARN": "arn:s", **found}, HERE).protection == protection


@pytest.mark.parametrize(
    ("found", "protection"),
    [
        ({"AtRestEncryptionEnabled": True}, "owned"),
        ({"AtRestEncryptionEnabled": True, "KmsKeyId": "key/1"}, "kms"),
        ({"AtRestEncryptionEnabled": False}, "none"),
        ({"AtRestEncryptionEnabled": False, "StorageEncryptionType": "sse-elasticache"}, "owned"),
        ({"AtRestEncryptionEnabled": False, "StorageEncryptionType": "none"}, "none"),
        ({}, "unknown"),
    ],
)
def test_the_effective_type_of_a_cache_outweighs_its_flag(found: dict[str, Any], protection: str) -> None:
    assert read_group({"ReplicationGroupId": "orders", **found}, HERE).protection == protection


def test_databases_nodes_and_domains_are_read_by_their_own_words() -> None:
    arn = {"DBInstanceArn": "arn:aws:rds:eu-central-1:111122223333:db:orders"}
    assert (
        read_database({**arn, "StorageEncrypted": False, "StorageEncryptionType": "sse-rds"}, HERE).protection
        == "owned"
    )
    assert read_database({**arn, "StorageEncrypted": False}, HERE).protection == "none"
    assert read_node({"CacheClusterId": "n", "AtRestEncryptionEnabled": False}, HERE).protection == "none"
    assert read_domain({"ARN": "arn:d"}, HERE).protection == "unknown"
    assert read_domain({"ARN": "arn:d", "EncryptionAtRestOptions": {"Enabled": False}}, HERE).protection == "none"


# On an emulated account


def look(cloud: Cloud, *, check: str = "", regions: tuple[str, ...] = (REGION,), **parameters: Any) -> ItemResult:
    account = cloud.account(name="production", region_names=regions)
    environment = Environment(service="orders", name="production", stage="production", aws=(account,))
    return audit_item(ITEM, environment, check=check, parameters=parameters, environ=cloud.environ)


def customer_key(cloud: Cloud, *, rotates: bool = True, policy: str = "", region: str = REGION) -> str:
    """A key of the account; its ARN."""
    kms = cloud.client("kms", region)
    made = kms.create_key(**({"Policy": policy} if policy else {}))["KeyMetadata"]
    if rotates:
        kms.enable_key_rotation(KeyId=made["KeyId"])
    return str(made["Arn"])


def names(result: ItemResult, status: FindingStatus) -> set[str]:
    """The last part of the name of each subject."""
    return {finding.subject.rpartition(":")[2] for finding in result.of_status(status)}


def fill(cloud: Cloud, key: str) -> None:
    """One encrypted store of each kind."""
    cloud.client("rds").create_db_instance(
        DBInstanceIdentifier="orders", StorageEncrypted=True, KmsKeyId=key, **DATABASE
    )
    cloud.client("rds").create_db_cluster(
        DBClusterIdentifier="ledger",
        Engine="aurora-postgresql",
        MasterUsername="ledger",
        MasterUserPassword="nobody-knows-it",
        StorageEncrypted=True,
        KmsKeyId=key,
    )
    cloud.client("redshift").create_cluster(
        ClusterIdentifier="reports",
        NodeType="ra3.xlplus",
        MasterUsername="reports",
        MasterUserPassword="Nobody-kn0ws-it",
        Encrypted=True,
    )
    cloud.client("ec2").create_volume(AvailabilityZone=f"{REGION}a", Size=1, Encrypted=True, KmsKeyId=key)
    cloud.client("ec2").enable_ebs_encryption_by_default()
    bucket(cloud, "statements", {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key})
    cloud.client("dynamodb").create_table(
        TableName="sessions",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    cloud.client("elasticache").create_replication_group(
        ReplicationGroupId="rates", ReplicationGroupDescription="rates", AtRestEncryptionEnabled=True
    )
    cloud.client("efs").create_file_system(CreationToken="exports", Encrypted=True)
    cloud.client("opensearch").create_domain(
        DomainName="search", EncryptionAtRestOptions={"Enabled": True, "KmsKeyId": key}
    )
    cloud.client("sqs").create_queue(QueueName="payments", Attributes={"KmsMasterKeyId": key})
    cloud.client("kinesis").create_stream(StreamName="trades", ShardCount=1)
    cloud.client("kinesis").start_stream_encryption(StreamName="trades", EncryptionType="KMS", KeyId=key)
    cloud.client("sns").create_topic(Name="alerts", Attributes={"KmsMasterKeyId": key})
    cloud.client("secretsmanager").create_secret(Name="quub", SecretString="-", KmsKeyId=key)
    cloud.client("logs").create_log_group(logGroupName="/orders", kmsKeyId=key)


def bucket(cloud: Cloud, name: str, default: Mapping[str, str] | None = None, *, region: str = REGION) -> str:
    """A bucket with the default encryption `default`; its whole name."""
    s3 = cloud.client("s3", region)
    whole = f"{name}-{cloud.account_id}"
    s3.create_bucket(Bucket=whole, CreateBucketConfiguration={"LocationConstraint": region})
    if default:
        rules = [{"ApplyServerSideEncryptionByDefault": dict(default)}]
        s3.put_bucket_encryption(Bucket=whole, ServerSideEncryptionConfiguration={"Rules": rules})
    return whole


def listed_buckets(regions: Mapping[str, str], *, created: str = "2026-01-01") -> Told:
    """The buckets of an account with their regions, which the emulator does not tell."""
    rows = "".join(
        f"<Bucket><Name>{name}</Name><CreationDate>{created}T00:00:00.000Z</CreationDate>"
        f"<BucketRegion>{region}</BucketRegion></Bucket>"
        for name, region in regions.items()
    )
    body = f"<ListAllMyBucketsResult><Owner><ID>1</ID></Owner><Buckets>{rows}</Buckets></ListAllMyBucketsResult>"
    return Told(body=body, content_type="application/xml")


@pytest.mark.proof("pass")
def test_an_account_with_an_encrypted_store_of_every_kind_passes(cloud: Cloud) -> None:
    fill(cloud, customer_key(cloud))

    result = look(cloud)

    assert result.status is Status.PASS, result.reason
    assert {finding.check.rpartition("/")[2] for finding in result.of_status(PASS)} == {
        "bucket",
        "cache",
        "cluster",
        "database",
        "domain",
        "file_system",
        "log_group",
        "queue",
        "secret",
        "stream",
        "table",
        "topic",
        "volume",
        "warehouse",
    }
    assert result.of_status(WARNING) == ()


@pytest.mark.proof("fail")
def test_each_store_in_the_clear_fails_by_its_name_and_none_hides_another(cloud: Cloud) -> None:
    rds, sqs = cloud.client("rds"), cloud.client("sqs")
    rds.create_db_instance(DBInstanceIdentifier="plain", StorageEncrypted=False, **DATABASE)
    disk = cloud.client("ec2").create_volume(AvailabilityZone=f"{REGION}a", Size=1)["VolumeId"]
    bare = bucket(cloud, "bare")
    cloud.client("efs").create_file_system(CreationToken="plain", Encrypted=False)
    cloud.client("elasticache").create_replication_group(
        ReplicationGroupId="plain", ReplicationGroupDescription="plain", AtRestEncryptionEnabled=False
    )
    cloud.client("opensearch").create_domain(DomainName="plain", EncryptionAtRestOptions={"Enabled": False})
    sqs.create_queue(QueueName="plain", Attributes={"SqsManagedSseEnabled": "false"})
    sqs.create_queue(QueueName="guarded")
    cloud.client("kinesis").create_stream(StreamName="plain", ShardCount=1)

    result = look(cloud)

    assert result.status is Status.FAIL
    failed = names(result, FAIL)
    assert {"plain", disk, bare, "domain/plain", "stream/plain"} <= failed
    assert len(result.of_status(FAIL)) == 8
    assert names(result, PASS) == {"guarded"}


def test_an_unencrypted_replica_of_an_encrypted_database_fails(cloud: Cloud) -> None:
    rds = cloud.client("rds")
    key = customer_key(cloud)
    rds.create_db_instance(DBInstanceIdentifier="orders", StorageEncrypted=True, KmsKeyId=key, **DATABASE)
    rds.create_db_instance(DBInstanceIdentifier="replica", StorageEncrypted=False, **DATABASE)

    result = look(cloud)

    assert names(result, FAIL) == {"replica"}
    assert names(result, PASS) == {"orders"}


def test_an_instance_of_a_cluster_is_judged_with_the_cluster(cloud: Cloud) -> None:
    rds = cloud.client("rds")
    master = {"MasterUsername": "ledger", "MasterUserPassword": "nobody-knows-it"}
    rds.create_db_cluster(DBClusterIdentifier="ledger", Engine="aurora-postgresql", StorageEncrypted=False, **master)
    rds.create_db_instance(
        DBInstanceIdentifier="ledger-1",
        DBClusterIdentifier="ledger",
        Engine="aurora-postgresql",
        DBInstanceClass="db.r6g.large",
    )

    result = look(cloud)

    assert names(result, FAIL) == {"ledger"}
    assert "aurora-postgresql cluster is not encrypted" in result.reason


def test_a_key_that_is_disabled_or_about_to_be_deleted_or_open_or_gone_protects_nothing(cloud: Cloud) -> None:
    kms, rds = cloud.client("kms"), cloud.client("rds")
    open_policy = json.dumps({"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"}]})
    keys = {
        "disabled": customer_key(cloud),
        "dying": customer_key(cloud),
        "open": customer_key(cloud, policy=open_policy),
        "gone": f"arn:aws:kms:{REGION}:{cloud.account_id}:key/00000000-0000-4000-8000-000000000000",
        "sound": customer_key(cloud, rotates=False),
    }
    for name, key in keys.items():
        rds.create_db_instance(DBInstanceIdentifier=name, StorageEncrypted=True, KmsKeyId=key, **DATABASE)
    kms.disable_key(KeyId=keys["disabled"].rpartition("/")[2])
    kms.schedule_key_deletion(KeyId=keys["dying"].rpartition("/")[2], PendingWindowInDays=7)

    result = look(cloud, check="database")

    told = {finding.subject.rpartition(":")[2]: finding.observed for finding in result.of_status(FAIL)}
    assert set(told) == {"disabled", "dying", "open", "gone"}
    assert "which is Disabled" in told["disabled"]
    assert "PendingDeletion, to be deleted on" in told["dying"]
    assert "lets any account decrypt" in told["open"]
    assert "does not exist" in told["gone"]
    assert names(result, PASS) == {"sound"}


def test_where_a_customer_key_is_demanded_keys_of_aws_and_keys_that_stay_fail_and_exceptions_hold(cloud: Cloud) -> None:
    fill(cloud, customer_key(cloud))
    still = customer_key(cloud, rotates=False)
    cloud.client("rds").create_db_instance(
        DBInstanceIdentifier="still", StorageEncrypted=True, KmsKeyId=still, **DATABASE
    )
    exceptions = {"dynamodb": "no cardholder data", "efs": "the same", "elasticache": "rates are public"}

    strict = look(cloud, require_cmk=True)
    softer = look(cloud, require_cmk=True, require_rotation=False, cmk_exceptions=exceptions)

    assert {name.rpartition("/")[2].split("-")[0] for name in names(strict, FAIL)} == {
        "fs",
        "rates",
        "reports",
        "sessions",
        "still",
    }
    assert names(softer, FAIL) == {"reports"}


def test_what_aws_encrypts_anyway_proves_nothing_unless_a_customer_key_is_demanded(cloud: Cloud) -> None:
    cloud.client("secretsmanager").create_secret(Name="quub", SecretString="-")
    cloud.client("logs").create_log_group(logGroupName="/orders")
    cloud.client("sns").create_topic(Name="alerts")

    plain = look(cloud)
    strict = look(cloud, require_cmk=True)

    assert plain.status is Status.INCONCLUSIVE
    assert len(strict.of_status(FAIL)) == 3


@pytest.mark.proof("inconclusive")
def test_an_empty_account_is_inconclusive_and_told_that_new_volumes_are_not_encrypted(cloud: Cloud) -> None:
    result = look(cloud)

    assert result.status is Status.INCONCLUSIVE
    assert [finding.observed for finding in result.of_status(WARNING)] == [
        "new EBS volumes are not encrypted unless somebody asks for it"
    ]


@pytest.mark.proof("error")
def test_a_denied_listing_is_one_error_that_names_the_permission_and_the_others_are_judged(cloud: Cloud) -> None:
    key = customer_key(cloud)
    for number in range(3):
        cloud.client("rds").create_db_instance(
            DBInstanceIdentifier=f"orders-{number}", StorageEncrypted=True, KmsKeyId=key, **DATABASE
        )
    cloud.client("sqs").create_queue(QueueName="payments")
    cloud.allow_only("sqs:*", "kms:*")

    denied = look(cloud, check="database")
    judged = look(cloud, check="queue")

    assert denied.status is Status.ERROR
    assert len(denied.of_status(ERROR)) == 1
    assert "rds:DescribeDBInstances" in denied.reason + denied.next_step
    assert judged.status is Status.PASS


def test_a_key_that_may_not_be_looked_at_is_one_error_however_many_stores_it_guards(cloud: Cloud, front: Front) -> None:
    key = customer_key(cloud)
    for number in range(3):
        cloud.client("rds").create_db_instance(
            DBInstanceIdentifier=f"orders-{number}", StorageEncrypted=True, KmsKeyId=key, **DATABASE
        )
    cloud.client("rds").create_db_instance(DBInstanceIdentifier="plain", StorageEncrypted=False, **DATABASE)
    front.answers["kms.DescribeKey"] = lambda asked: Told(
        body='{"__type": "AccessDeniedException", "message": "no"}',
        status=400,
        content_type="application/x-amz-json-1.1",
    )

    result = look(cloud, check="database")

    assert [finding.subject for finding in result.of_status(ERROR)] == [
        f"3 of kind RDS instance in production/{REGION} under {key}"
    ]
    assert "kms:DescribeKey" in result.of_status(ERROR)[0].message
    assert names(result, FAIL) == {"plain"}


def test_an_outage_of_one_service_costs_one_error(cloud: Cloud, front: Front) -> None:
    cloud.client("sqs").create_queue(QueueName="payments")
    front.answers["elasticache.*"] = lambda asked: denial("elasticache:DescribeReplicationGroups")

    result = look(cloud)

    assert [finding.check.rpartition("/")[2] for finding in result.of_status(ERROR)] == ["cache"]
    assert names(result, PASS) == {"payments"}


def test_services_that_the_account_never_subscribed_to_cost_no_error(cloud: Cloud, front: Front) -> None:
    cloud.client("sqs").create_queue(QueueName="payments")
    refusal = "<Code>OptInRequired</Code><Message>The AWS Access Key Id needs a subscription for the service</Message>"
    for service in ("elasticache", "redshift"):
        front.answers[f"{service}.*"] = lambda asked: Told(
            body=f"<ErrorResponse><Error>{refusal}</Error></ErrorResponse>", status=403
        )

    result = look(cloud)

    assert result.status is Status.PASS, result.reason
    assert names(result, PASS) == {"payments"}


def test_each_bucket_is_judged_once_in_its_own_region_even_in_one_that_is_not_declared(
    cloud: Cloud, front: Front
) -> None:
    here = bucket(cloud, "here", {"SSEAlgorithm": "AES256"})
    there = bucket(cloud, "there", {"SSEAlgorithm": "AES256"}, region=ELSEWHERE)
    front.answers["s3 GET /"] = lambda asked: listed_buckets({here: REGION, there: ELSEWHERE})
    front.asked.clear()

    result = look(cloud, check="bucket", regions=(REGION, "us-east-1"))

    assert sorted(finding.subject for finding in result.of_status(PASS)) == [here, there]
    assert {asked.region for asked in front.asked if asked.operation.endswith(there)} == {ELSEWHERE}


def test_a_bucket_from_before_s3_encrypted_everything_is_warned_of(cloud: Cloud, front: Front) -> None:
    old = bucket(cloud, "old", {"SSEAlgorithm": "AES256"})
    front.answers["s3 GET /"] = lambda asked: listed_buckets({old: REGION}, created="2019-03-01")

    result = look(cloud, check="bucket")

    assert result.status is Status.PASS
    assert "stands since 2019-03-01" in result.of_status(WARNING)[0].observed


def test_only_stores_whose_tag_marks_sensitive_data_are_judged_where_classes_are_named(cloud: Cloud) -> None:
    rds, sqs = cloud.client("rds"), cloud.client("sqs")
    marked = [{"Key": "data-classification", "Value": "restricted"}]
    rds.create_db_instance(DBInstanceIdentifier="marked", StorageEncrypted=False, Tags=marked, **DATABASE)
    rds.create_db_instance(DBInstanceIdentifier="other", StorageEncrypted=False, **DATABASE)
    sqs.create_queue(QueueName="public", Attributes={"SqsManagedSseEnabled": "false"})

    result = look(cloud, classes=["restricted", "secret"])

    assert names(result, FAIL) == {"marked"}


def test_an_excluded_store_is_not_judged_and_the_reason_is_in_the_report(cloud: Cloud) -> None:
    cloud.client("sqs").create_queue(QueueName="scratch", Attributes={"SqsManagedSseEnabled": "false"})
    cloud.client("sqs").create_queue(QueueName="payments")

    result = look(cloud, check="queue", exclude={"scratch*": "holds made-up orders"})

    assert result.status is Status.PASS
    assert [finding.observed for finding in result.of_status(WARNING)] == [
        "left out of the audit: holds made-up orders"
    ]


def test_serverless_caches_and_nodes_in_no_group_are_seen_and_memcached_is_left_out(cloud: Cloud, front: Front) -> None:
    arn = f"arn:aws:elasticache:{REGION}:{cloud.account_id}"
    front.answers["elasticache.DescribeServerlessCaches"] = lambda asked: query_answer(
        "DescribeServerlessCaches",
        f"<ServerlessCaches><member><ServerlessCacheName>fx</ServerlessCacheName><ARN>{arn}:serverlesscache:fx</ARN>"
        "</member></ServerlessCaches>",
    )
    node = (
        "<CacheCluster><CacheClusterId>{0}</CacheClusterId><Engine>{1}</Engine>"
        "<ARN>{2}:cluster:{0}</ARN>{3}</CacheCluster>"
    )
    off = "<AtRestEncryptionEnabled>false</AtRestEncryptionEnabled>"
    front.answers["elasticache.DescribeCacheClusters"] = lambda asked: query_answer(
        "DescribeCacheClusters",
        "<CacheClusters>"
        + node.format("lone", "redis", arn, off)
        + node.format("memory", "memcached", arn, off)
        + node.format("member", "redis", arn, f"{off}<ReplicationGroupId>g</ReplicationGroupId>")
        + "</CacheClusters>",
    )

    result = look(cloud, check="cache")

    assert names(result, PASS) == {"fx"}
    assert names(result, FAIL) == {"lone"}


def test_ten_thousand_volumes_in_two_regions_cost_twenty_lists_and_one_look_at_the_key(
    cloud: Cloud, front: Front
) -> None:
    keys = {region: customer_key(cloud, region=region) for region in (REGION, ELSEWHERE)}

    def volumes(asked: Asked) -> Told:
        start = int(asked.parameters.get("NextToken", 0))
        end = min(start + int(asked.parameters["MaxResults"]), 5000)
        rows = "".join(
            f"<item><volumeId>vol-{asked.region}-{number}</volumeId><status>in-use</status>"
            f"<encrypted>{'false' if number == 4999 else 'true'}</encrypted>"
            f"<kmsKeyId>{keys[asked.region]}</kmsKeyId></item>"
            for number in range(start, end)
        )
        token = f"<nextToken>{end}</nextToken>" if end < 5000 else ""
        return ec2_answer("DescribeVolumes", f"<volumeSet>{rows}</volumeSet>{token}")

    front.answers["ec2.DescribeVolumes"] = volumes

    result = look(cloud, check="volume", regions=(REGION, ELSEWHERE))

    assert len(result.of_status(PASS)) == 9998
    assert {finding.subject for finding in result.of_status(FAIL)} == {
        f"vol-{region}-4999" for region in (REGION, ELSEWHERE)
    }
    assert front.count("ec2.DescribeVolumes") == 20
    assert front.count("kms.DescribeKey") == 2


def test_more_than_a_thousand_queues_are_all_seen(cloud: Cloud, front: Front) -> None:
    def listed(asked: Asked) -> Told:
        assert asked.parameters["MaxResults"] == 1000, "without it the list is cut and nobody is told"
        start = int(asked.parameters.get("NextToken", 0))
        rows = [f"https://sqs/{number}" for number in range(start, min(start + 1000, 1002))]
        more = {"NextToken": "1000"} if start == 0 else {}
        return Told(body=json.dumps({"QueueUrls": rows, **more}), content_type="application/x-amz-json-1.0")

    def attributes(asked: Asked) -> Told:
        is_guarded = "true" if asked.parameters["QueueUrl"] != "https://sqs/1001" else "false"
        told = {"Attributes": {"SqsManagedSseEnabled": is_guarded}}
        return Told(body=json.dumps(told), content_type="application/x-amz-json-1.0")

    front.answers |= {"sqs.ListQueues": listed, "sqs.GetQueueAttributes": attributes}

    result = look(cloud, check="queue")

    assert {finding.subject for finding in result.of_status(FAIL)} == {"https://sqs/1001"}
    assert len(result.of_status(PASS)) == 1001
