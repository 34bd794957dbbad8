"""Every store that may hold sensitive data is encrypted, with a key that works.

Pass          each database, cluster, volume, bucket, table, cache, file system, domain, queue and stream is encrypted, and the key that it names is enabled and closed to other accounts; where `require_cmk` is set, the key is the customer's and rotates
Fail          one is not encrypted; its key is disabled, about to be deleted, gone, or open to any account; its key is AWS's own, or does not rotate, where a customer's key is demanded
Inconclusive  no store was found, or none that could be other than encrypted
Error         a listing, a store or a key could not be looked at; an answer that does not say whether the store is encrypted
Needs         `rds:DescribeDBInstances`, `DescribeDBClusters`, `redshift:DescribeClusters`, `ec2:DescribeVolumes`, `GetEbsEncryptionByDefault`, `s3:ListAllMyBuckets`, `GetEncryptionConfiguration`, `dynamodb:ListTables`, `DescribeTable`, `elasticache:DescribeReplicationGroups`, `DescribeCacheClusters`, `DescribeServerlessCaches`, `elasticfilesystem:DescribeFileSystems`, `es:ListDomainNames`, `DescribeDomains`, `sqs:ListQueues`, `GetQueueAttributes`, `kinesis:ListStreams`, `DescribeStreamSummary`, `sns:ListTopics`, `GetTopicAttributes`, `secretsmanager:ListSecrets`, `logs:DescribeLogGroups`, `kms:DescribeKey`, `GetKeyPolicy`, `GetKeyRotationStatus`; with `classes` also `tag:GetResources`
Source        the guide, Data Protection; OWASP ASVS v5.0.0-14.2.4 and -11.2.3; PCI DSS 4.0.1, 3.5.1 and 3.7.4; CIS AWS Foundations 5.0 (encryption of RDS, EBS and EFS, rotation of customer keys, EBS encryption by default)

What AWS encrypts whether one wants it or not proves nothing and is not counted, unless a customer's key is demanded: log groups, secrets and topics without a key of their own.
Warned of: new EBS volumes are not encrypted by default, a topic that has only AWS's disk encryption, a bucket from before January 2023, when S3 began to encrypt every new object.
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from quub_audit.checks.security.data_protection._keys import (
    OF_KEYS,
    Batch,
    KeyParameters,
    Protection,
    Service,
    Stored,
    alone,
    guard_of,
    guard_of_bucket,
    in_batches,
    in_scope,
    judge_things,
    resource_of,
)
from quub_audit.sdk import Account, Aws, Environment, Finding, Region, check, subjects

S3_ENCRYPTS_SINCE = datetime(2023, 1, 5, tzinfo=UTC)
"""Since then S3 encrypts every new object. https://docs.aws.amazon.com/AmazonS3/latest/userguide/default-encryption-faq.html"""

OF_SCOPE = (*OF_KEYS, "tag:GetResources")

DOMAINS_AT_ONCE = 5
"""The most that opensearch.DescribeDomains takes."""

PAGE_SIZE = 1000
"""Rows of one page, where the API gives all rows or a cut list unless it is told."""

VOLUMES_AT_ONCE = 500


class StoreParameters(KeyParameters):
    """What the checklist may set under `with:`."""

    classes: tuple[str, ...] = ()
    """Values of the tag that mark stores of sensitive data; every store is judged when empty."""

    class_tag: str = "data-classification"
    """The tag that `classes` are values of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """One S3 bucket, with the region that it is in, which may be none of the declared ones."""

    region: Region
    name: str
    created_at: datetime | None

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One DynamoDB table."""

    region: Region
    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """One SQS queue."""

    region: Region
    url: str

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One Kinesis data stream."""

    region: Region
    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """One SNS topic."""

    region: Region
    arn: str

    def __str__(self) -> str:
        return self.arn


# Databases


@subjects(each=Region, permissions=["rds:DescribeDBInstances"])
def databases(region: Region, aws: Aws) -> Iterator[Batch]:
    """RDS instances, read replicas too. Those of a cluster have its storage and are judged with it."""
    found = aws.ask("rds.DescribeDBInstances", region=region).get("DBInstances", ())
    yield from in_batches(
        read_database(each, region)
        for each in found
        if not each.get("DBClusterIdentifier") and each.get("DBInstanceStatus") != "deleting"
    )


@check("RDS instances are encrypted", each=databases, permissions=OF_SCOPE)
def database(subject: Batch, aws: Aws, environment: Environment, wanted: StoreParameters) -> Iterator[Finding]:
    """`StorageEncrypted`, and the key that it names."""
    yield from judge_batch(subject, aws, environment, wanted)


@subjects(each=Region, permissions=["rds:DescribeDBClusters"])
def clusters(region: Region, aws: Aws) -> Iterator[Batch]:
    """Aurora and Multi-AZ clusters, and those of DocumentDB and Neptune, which the same API lists."""
    found = aws.ask("rds.DescribeDBClusters", region=region).get("DBClusters", ())
    yield from in_batches(read_cluster(each, region) for each in found if each.get("Status") != "deleting")


@check("Database clusters are encrypted", each=clusters, permissions=OF_SCOPE)
def cluster(subject: Batch, aws: Aws, environment: Environment, wanted: StoreParameters) -> Iterator[Finding]:
    """The cluster's storage is that of all its instances."""
    yield from judge_batch(subject, aws, environment, wanted)


@subjects(each=Region, permissions=["redshift:DescribeClusters"])
def warehouses(region: Region, aws: Aws) -> Iterator[Batch]:
    """Redshift clusters."""
    found = (aws.find("redshift.DescribeClusters", region=region) or {}).get("Clusters", ())
    yield from in_batches(
        _stored(
            region,
            "redshift",
            "Redshift cluster",
            each["ClusterIdentifier"],
            guard_of(flag=each.get("Encrypted"), key=each.get("KmsKeyId")),
            resource=f"redshift:cluster:{each['ClusterIdentifier']}",
        )
        for each in found
        if each.get("ClusterStatus") != "deleting"
    )


@check("Redshift clusters are encrypted", each=warehouses, permissions=OF_SCOPE)
def warehouse(subject: Batch, aws: Aws, environment: Environment, wanted: StoreParameters) -> Iterator[Finding]:
    """`Encrypted`, and the key that it names."""
    yield from judge_batch(subject, aws, environment, wanted)


@subjects(each=Region, permissions=["dynamodb:ListTables"])
def tables(region: Region, aws: Aws) -> Iterator[Table]:
    """Every DynamoDB table of the region."""
    for name in aws.ask("dynamodb.ListTables", region=region).get("TableNames", ()):
        yield Table(region=region, name=name)


@check("DynamoDB tables are under a usable key", each=tables, permissions=["dynamodb:DescribeTable", *OF_SCOPE])
def table(subject: Table, aws: Aws, environment: Environment, wanted: StoreParameters) -> Iterator[Finding]:
    """A table is always encrypted; what may be wrong is its key."""
    answer = aws.find("dynamodb.DescribeTable", region=subject.region, TableName=subject.name)
    if answer is None or answer["Table"].get("TableStatus") == "DELETING":
        return
    problem = inaccessible(answer["Table"])
    if problem:
        yield Finding.of(False, subject=answer["Table"]["TableArn"], observed=problem, expected="a key that works")
        return
    yield from judge_batch(alone(read_table(answer["Table"], subject.region)), aws, environment, wanted)


# Disks and files


@subjects(each=Region, permissions=["ec2:DescribeVolumes"])
def volumes(region: Region, aws: Aws) -> Iterator[Batch]:
    """EBS volumes, attached or not: what lies on a detached disk is still there."""
    found = aws.ask("ec2.DescribeVolumes", region=region, MaxResults=VOLUMES_AT_ONCE).get("Volumes", ())
    yield from in_batches(
        _stored(
            region,
            "ebs",
            "EBS volume",
            each["VolumeId"],
            guard_of(flag=each.get("Encrypted"), key=each.get("KmsKeyId")),
            resource=f"ec2:volume/{each['VolumeId']}",
        )
        for each in found
        if each.get("State") not in ("deleting", "deleted")
    )


@check("EBS volumes are encrypted", each=volumes, permissions=OF_SCOPE)
def volume(subject: Batch, aws: Aws, environment: Environment, wanted: StoreParameters) -> Iterator[Finding]:
    """`Encrypted`, and the key that it names."""
    yield from judge_batch(subject, aws, environment, wanted)


@check("New EBS volumes are encrypted by default", each=Region, permissions=["ec2:GetEbsEncryptionByDefault"])
def volume_default(subject: Region, aws: Aws) -> Finding | None:
    """A warning only: it neither passes nor fails the item."""
    if aws.ask("ec2.GetEbsEncryptionByDefault", region=subject).get("EbsEncryptionByDefault"):
        return None
    return Finding.warning(
        subject=str(subject),
        observed="new EBS volumes are not encrypted unless somebody asks for it",
        expected="EBS encryption by default",
    )


@subjects(each=Region, permissions=["elasticfilesystem:DescribeFileSystems"])
def file_systems(region: Region, aws: Aws) -> Iterator[Batch]:
    """EFS file systems."""
    found = (aws.find("efs.DescribeFileSystems", region=region) or {}).get("FileSystems", ())
    yield from in_batches(
        _stored(
            region,
            "efs",
            "EFS file system",
            each["FileSystemId"],
            guard_of(flag=each.get("Encrypted"), key=each.get("KmsKeyId")),
            resource=f"elasticfilesystem:file-system/{each['FileSystemId']}",
        )
        for each in found
        if each.get("LifeCycleState") not in ("deleting", "deleted")
    )


@check("EFS file systems are encrypted", each=file_systems, permissions=OF_SCOPE)
def file_system(subject: Batch, aws: Aws, environment: Environment, wanted: StoreParameters) -> Iterator[Finding]:
    """`Encrypted`, and the key that it names."""
    yield from judge_batch(subject, aws, environment, wanted)


@subjects(each=Account, permissions=["s3:ListAllMyBuckets"])
def buckets(account: Account, aws: Aws) -> Iterator[Bucket]:
    """Every bucket of the account, once, whatever its region."""
    # Only a request with a parameter is answered with the regions.
    answer = aws.ask("s3.ListBuckets", region=account.regions[0], MaxBuckets=PAGE_SIZE)
    for found in answer.get("Buckets", ()):
        yield Bucket(
            region=Region(account=account.name, name=found.get("BucketRegion") or account.regions[0].name),
            name=found["Name"],
            created_at=found.get("CreationDate"),
        )


@check("S3 buckets are encrypted by default", each=buckets, permissions=["s3:GetEncryptionConfiguration", *OF_SCOPE])
def bucket(subject: Bucket, aws: Aws, environment: Environment, wanted: StoreParameters) -> Iterator[Finding]:
    """New objects alone; what lay in the bucket before was not touched by its configuration."""
    answer = aws.find("s3.GetBucketEncryption", region=subject.region, Bucket=subject.name)
    findings = tuple(judge_batch(alone(read_bucket(subject, answer)), aws, environment, wanted))
    yield from findings
    is_old = subject.created_at is not None and subject.created_at < S3_ENCRYPTS_SINCE
    if findings and is_old:
        yield Finding.warning(
            subject=subject.name,
            observed=f"stands since {subject.created_at:%Y-%m-%d}; objects from before 2023-01-05 may be plain",
            expected="objects that were written, or copied over themselves, since then",
        )


# Caches and search


@subjects(
    each=Region,
    permissions=[
        "elasticache:DescribeCacheClusters",
        "elasticache:DescribeReplicationGroups",
        "elasticache:DescribeServerlessCaches",
    ],
)
def caches(region: Region, aws: Aws) -> Iterator[Batch]:
    """ElastiCache: replication groups, nodes that are in none, and serverless caches.

    Memcached nodes are left out: they write nothing to a disk.
    """
    groups = (aws.find("elasticache.DescribeReplicationGroups", region=region) or {}).get("ReplicationGroups", ())
    yield from in_batches(read_group(each, region) for each in groups if each.get("Status") != "deleting")
    nodes = aws.find("elasticache.DescribeCacheClusters", region=region) or {}
    yield from in_batches(
        read_node(each, region)
        for each in nodes.get("CacheClusters", ())
        if not each.get("ReplicationGroupId")
        and each.get("Engine") != "memcached"
        and each.get("CacheClusterStatus") != "deleting"
    )
    serverless = aws.find("elasticache.DescribeServerlessCaches", region=region) or {}
    yield from in_batches(
        _stored(
            region,
            "elasticache",
            "serverless cache",
            each["ARN"],
            guard_of(flag=True, key=each.get("KmsKeyId")),
        )
        for each in serverless.get("ServerlessCaches", ())
        if each.get("Status") != "deleting"
    )


@check("ElastiCache is encrypted at rest", each=caches, permissions=OF_SCOPE)
def cache(subject: Batch, aws: Aws, environment: Environment, wanted: StoreParameters) -> Iterator[Finding]:
    """What Redis writes to disk: snapshots, synchronisation and swap."""
    yield from judge_batch(subject, aws, environment, wanted)


@subjects(each=Region, permissions=["es:DescribeDomains", "es:ListDomainNames"])
def domains(region: Region, aws: Aws) -> Iterator[Batch]:
    """OpenSearch and Elasticsearch domains."""
    listed = (aws.find("opensearch.ListDomainNames", region=region) or {}).get("DomainNames", ())
    names = [each["DomainName"] for each in listed]
    found: list[Mapping[str, Any]] = []
    for start in range(0, len(names), DOMAINS_AT_ONCE):
        several = names[start : start + DOMAINS_AT_ONCE]
        answer = aws.ask("opensearch.DescribeDomains", region=region, DomainNames=several)
        found.extend(answer.get("DomainStatusList", ()))
    yield from in_batches(read_domain(each, region) for each in found if not each.get("Deleted"))


@check("OpenSearch domains are encrypted at rest", each=domains, permissions=OF_SCOPE)
def domain(subject: Batch, aws: Aws, environment: Environment, wanted: StoreParameters) -> Iterator[Finding]:
    """`EncryptionAtRestOptions`, and the key that it names."""
    yield from judge_batch(subject, aws, environment, wanted)


# Messages


@subjects(each=Region, permissions=["sqs:ListQueues"])
def queues(region: Region, aws: Aws) -> Iterator[Queue]:
    """Every SQS queue of the region."""
    # Without MaxResults the list ends at a thousand, and nothing says so.
    for url in aws.ask("sqs.ListQueues", region=region, MaxResults=PAGE_SIZE).get("QueueUrls", ()):
        yield Queue(region=region, url=url)


@check("SQS queues are encrypted", each=queues, permissions=["sqs:GetQueueAttributes", *OF_SCOPE])
def queue(subject: Queue, aws: Aws, environment: Environment, wanted: StoreParameters) -> Iterator[Finding]:
    """By SQS's own key, or by one of KMS."""
    answer = aws.find("sqs.GetQueueAttributes", region=subject.region, QueueUrl=subject.url, AttributeNames=["All"])
    if answer is not None:
        thing = read_queue(subject, answer.get("Attributes") or {})
        yield from judge_batch(alone(thing), aws, environment, wanted)


@subjects(each=Region, permissions=["kinesis:ListStreams"])
def streams(region: Region, aws: Aws) -> Iterator[Stream]:
    """Every Kinesis data stream of the region."""
    for name in (aws.find("kinesis.ListStreams", region=region) or {}).get("StreamNames", ()):
        yield Stream(region=region, name=name)


@check("Kinesis streams are encrypted", each=streams, permissions=["kinesis:DescribeStreamSummary", *OF_SCOPE])
def stream(subject: Stream, aws: Aws, environment: Environment, wanted: StoreParameters) -> Iterator[Finding]:
    """Records lie in a stream for up to a year, in the clear unless somebody asked for encryption."""
    answer = aws.find("kinesis.DescribeStreamSummary", region=subject.region, StreamName=subject.name)
    if answer is None or answer["StreamDescriptionSummary"].get("StreamStatus") == "DELETING":
        return
    thing = read_stream(answer["StreamDescriptionSummary"], subject.region)
    yield from judge_batch(alone(thing), aws, environment, wanted)


@subjects(each=Region, permissions=["sns:ListTopics"])
def topics(region: Region, aws: Aws) -> Iterator[Topic]:
    """Every SNS topic of the region."""
    for found in aws.ask("sns.ListTopics", region=region).get("Topics", ()):
        yield Topic(region=region, arn=found["TopicArn"])


@check("SNS topics are under a usable key", each=topics, permissions=["sns:GetTopicAttributes", *OF_SCOPE])
def topic(subject: Topic, aws: Aws, environment: Environment, wanted: StoreParameters) -> Iterator[Finding]:
    """SNS stores on encrypted disks by itself; a key of its own is more, and may be wrong."""
    answer = aws.find("sns.GetTopicAttributes", region=subject.region, TopicArn=subject.arn)
    if answer is None:
        return
    key = (answer.get("Attributes") or {}).get("KmsMasterKeyId")
    if not key and not wanted.demands_cmk("sns"):
        yield Finding.warning(
            subject=subject.arn,
            observed="has AWS's disk encryption alone, which every topic has",
            expected="server-side encryption with a key of KMS",
        )
        return
    thing = _stored(subject.region, "sns", "SNS topic", subject.arn, guard_of(flag=True, key=key))
    yield from judge_batch(alone(thing), aws, environment, wanted)


# What AWS encrypts anyway


@subjects(each=Region, permissions=["secretsmanager:ListSecrets"])
def secrets(region: Region, aws: Aws) -> Iterator[Batch]:
    """Secrets of Secrets Manager; those that are to be deleted are not listed."""
    found = aws.ask("secretsmanager.ListSecrets", region=region).get("SecretList", ())
    yield from in_batches(
        _stored(
            region,
            "secrets-manager",
            "secret",
            each["ARN"],
            guard_of(flag=True, key=each.get("KmsKeyId")),
        )
        for each in found
        if not each.get("DeletedDate")
    )


@check("Secrets are under a usable key", each=secrets, permissions=OF_SCOPE)
def secret(subject: Batch, aws: Aws, environment: Environment, wanted: StoreParameters) -> Iterator[Finding]:
    """A secret without a key of its own is under `aws/secretsmanager`."""
    if subject.key or wanted.demands_cmk("secrets-manager"):
        yield from judge_batch(subject, aws, environment, wanted)


@subjects(each=Region, permissions=["logs:DescribeLogGroups"])
def log_groups(region: Region, aws: Aws) -> Iterator[Batch]:
    """Groups of CloudWatch Logs."""
    found = aws.ask("logs.DescribeLogGroups", region=region).get("logGroups", ())
    yield from in_batches(
        _stored(
            region,
            "logs",
            "log group",
            str(each.get("logGroupArn") or each.get("arn") or each["logGroupName"]).removesuffix(":*"),
            guard_of(flag=True, key=each.get("kmsKeyId")),
        )
        for each in found
    )


@check("Log groups are under a usable key", each=log_groups, permissions=OF_SCOPE)
def log_group(subject: Batch, aws: Aws, environment: Environment, wanted: StoreParameters) -> Iterator[Finding]:
    """A group without a key of its own is encrypted by CloudWatch Logs with a key of AWS."""
    if subject.key or wanted.demands_cmk("logs"):
        yield from judge_batch(subject, aws, environment, wanted)


# Answers


def read_database(found: Mapping[str, Any], region: Region) -> Stored:
    """An entry of `DBInstances`."""
    guard = guard_of(
        flag=found.get("StorageEncrypted"), key=found.get("KmsKeyId"), type_=found.get("StorageEncryptionType")
    )
    return _stored(region, "rds", "RDS instance", found["DBInstanceArn"], guard)


def read_cluster(found: Mapping[str, Any], region: Region) -> Stored:
    """An entry of `DBClusters`."""
    guard = guard_of(
        flag=found.get("StorageEncrypted"), key=found.get("KmsKeyId"), type_=found.get("StorageEncryptionType")
    )
    return _stored(region, "rds", f"{found.get('Engine', 'database')} cluster", found["DBClusterArn"], guard)


def inaccessible(table: Mapping[str, Any]) -> str:
    """Why DynamoDB itself cannot read a table any more; empty where it can."""
    since = (table.get("SSEDescription") or {}).get("InaccessibleEncryptionDateTime")
    status = str(table.get("TableStatus", ""))
    if since or status in ("INACCESSIBLE_ENCRYPTION_CREDENTIALS", "ARCHIVING", "ARCHIVED"):
        when = f" since {since:%Y-%m-%d}" if isinstance(since, datetime) else ""
        return f"this DynamoDB table cannot be read{when}: its key is not accessible ({status})"
    return ""


def read_table(table: Mapping[str, Any], region: Region) -> Stored:
    """`Table` of DescribeTable. Without `SSEDescription`, and while it is disabled, a key that AWS owns is used."""
    described = table.get("SSEDescription") or {}
    is_kms = described.get("Status") in ("ENABLED", "ENABLING", "UPDATING")
    key = described.get("KMSMasterKeyArn") if is_kms else None
    return _stored(region, "dynamodb", "DynamoDB table", table["TableArn"], guard_of(flag=True, key=key))


def read_bucket(bucket: Bucket, answer: Mapping[str, Any] | None) -> Stored:
    """The default encryption of a bucket; None where S3 says that there is none."""
    guard = guard_of_bucket(answer)
    return _stored(bucket.region, "s3", "S3 bucket", bucket.name, guard, resource=f"s3:{bucket.name}")


def read_group(found: Mapping[str, Any], region: Region) -> Stored:
    """An entry of `ReplicationGroups`. The flag may be false where `StorageEncryptionType` says encrypted."""
    guard = guard_of(
        flag=found.get("AtRestEncryptionEnabled"), key=found.get("KmsKeyId"), type_=found.get("StorageEncryptionType")
    )
    return _stored(region, "elasticache", "cache replication group", _cache_name(found, "ReplicationGroupId"), guard)


def read_node(found: Mapping[str, Any], region: Region) -> Stored:
    """An entry of `CacheClusters` that is in no replication group."""
    guard = guard_of(flag=found.get("AtRestEncryptionEnabled"), key=None)
    return _stored(region, "elasticache", "cache cluster", _cache_name(found, "CacheClusterId"), guard)


def _cache_name(found: Mapping[str, Any], id_: str) -> str:
    return str(found.get("ARN") or found[id_])


def read_domain(found: Mapping[str, Any], region: Region) -> Stored:
    """An entry of `DomainStatusList`."""
    options = found.get("EncryptionAtRestOptions") or {}
    guard = guard_of(flag=options.get("Enabled"), key=options.get("KmsKeyId"))
    return _stored(region, "opensearch", "OpenSearch domain", found["ARN"], guard)


def read_queue(queue: Queue, attributes: Mapping[str, str]) -> Stored:
    """`Attributes` of GetQueueAttributes: texts, the flag among them."""
    key = attributes.get("KmsMasterKeyId")
    flag = {"true": True, "false": False}.get(str(attributes.get("SqsManagedSseEnabled")).lower())
    guard = guard_of(flag=bool(key) or flag, key=key)
    return _stored(queue.region, "sqs", "SQS queue", attributes.get("QueueArn") or queue.url, guard)


def read_stream(found: Mapping[str, Any], region: Region) -> Stored:
    """`StreamDescriptionSummary`."""
    flag = {"KMS": True, "NONE": False}.get(str(found.get("EncryptionType")))
    return _stored(region, "kinesis", "Kinesis stream", found["StreamARN"], guard_of(flag=flag, key=found.get("KeyId")))


# Scope


def judge_batch(batch: Batch, aws: Aws, environment: Environment, wanted: StoreParameters) -> Iterator[Finding]:
    """Judge what the parameters take of a batch, and tell what they leave out."""
    judged: list[Stored] = []
    for each in in_scope(batch, wanted):
        if isinstance(each, Finding):
            yield each
        else:
            judged.append(each)
    if judged and wanted.classes:
        marked = tagged(batch.region, aws, wanted)
        judged = [thing for thing in judged if thing.tagged_as in marked]
    yield from judge_things(judged, aws, environment, wanted)


def tagged(region: Region, aws: Aws, wanted: StoreParameters) -> frozenset[str]:
    """Service and resource of everything in the region whose tag is one of `classes`; one list for all stores."""
    filters = [{"Key": wanted.class_tag, "Values": list(wanted.classes)}]
    answer = aws.ask("resourcegroupstaggingapi.GetResources", region=region, TagFilters=filters)
    return frozenset(resource_of(each["ResourceARN"]) for each in answer.get("ResourceTagMappingList", ()))


def _stored(
    region: Region, service: Service, kind: str, name: str, guard: tuple[Protection, str], *, resource: str = ""
) -> Stored:
    protection, key = guard
    return Stored(
        region=region, service=service, kind=kind, name=name, protection=protection, key=key, resource=resource
    )
