"""Each class of data has a period after which it is deleted, long enough and not for ever, and something deletes it.

Pass          a log group, a bucket of logs, audit logs or backups, a declared prefix of dumps, a plan of AWS Backup, an RDS database or a declared DynamoDB table is kept within the days of its class, and no declared dump is older than that
Fail          a log group that never expires; rules that are disabled, or take a part of the objects alone, or leave old versions of a versioned bucket; audit logs, logs or backups that go too early or stay too long; time to live that is off, or uses another attribute than the declared one; a dump that should be gone
Inconclusive  none of these is found
Error         a listing, a bucket or a plan could not be looked at; a declared bucket or table is not there
Needs         `logs:DescribeLogGroups`, `s3:ListAllMyBuckets`, `GetLifecycleConfiguration`, `GetBucketVersioning`, `ListBucket`, `rds:DescribeDBInstances`, `DescribeDBClusters`, `backup:ListBackupPlans`, `GetBackupPlan`, `dynamodb:DescribeTimeToLive`; with `classes` also `tag:GetResources`
Source        the guide, Data Protection, and its backups, kept for 30 days; OWASP ASVS v5.0.0-14.2.7; PCI DSS 4.0.1, 10.5.1 (audit logs of 12 months) and 3.2.1; GDPR, article 5(1)(e)

The class is told by the name: log groups and buckets that look like audit logs, buckets that look like backups or logs, every other log group as application logs. Other buckets hold no class of these and are not judged; of a versioned one that never loses an old version there is a warning.
Log groups of the class Delivery are left out: AWS keeps them for a day or two, and nobody can change that. Read replicas are left out: their source has the backups.
Not seen: locks on objects and legal holds, which outlive every rule; values that DynamoDB cannot take for a time because they are not numbers of seconds.
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import Field

from quub_audit.checks.security.data_protection._lifecycle import Life, life_of, oldest_of, read_rules
from quub_audit.sdk import (
    Account,
    Aws,
    BackupBucket,
    BackupPlan,
    Clock,
    Environment,
    Finding,
    FindingStatus,
    Parameters,
    Region,
    backup_plans,
    check,
    database_clusters,
    database_instances,
    subjects,
)

PAGE_SIZE = 1000
"""Buckets of one page; S3 tells their regions only where it is asked for pages."""

OF_SCOPE = ("tag:GetResources",)
OF_BUCKET = ("s3:GetBucketVersioning", "s3:GetLifecycleConfiguration")


class RetentionParameters(Parameters):
    """What the checklist may set under `with:`."""

    log_min_days: int = Field(default=30, ge=1)
    """Days that application logs are kept at least. House rule: the time in which an incident comes to light."""

    log_max_days: int = Field(default=365, ge=1)
    """Days that application logs are kept at most. House rule on GDPR, article 5(1)(e)."""

    audit_min_days: int = Field(default=365, ge=1)
    """Days that audit logs are kept at least. PCI DSS 4.0.1, 10.5.1."""

    audit_max_days: int = Field(default=3653, ge=1)
    """Days that audit logs are kept at most: ten years, the longest time that CloudWatch Logs knows."""

    backup_min_days: int = Field(default=30, ge=1)
    """Days that backups are kept at least. The guide."""

    backup_max_days: int = Field(default=3653, ge=1)
    """Days that backups are kept at most. House rule: whoever is deleted in the database stays in the backups."""

    grace_days: int = Field(default=7, ge=0)
    """Days that a dump may be older than its rules say: S3 works through rules once a day, and later where many are."""

    audit_names: tuple[str, ...] = ("*audit*", "*cloudtrail*")
    """Globs over names of log groups and buckets that hold audit logs, in any case of letters."""

    backup_names: tuple[str, ...] = ("*backup*", "*dump*")
    """Globs over names of buckets that hold backups."""

    log_names: tuple[str, ...] = ("*-log", "*-logs", "*-logs-*", "logs-*", "*access-log*")
    """Globs over names of buckets that hold logs. Log groups always do."""

    only: tuple[str, ...] = ()
    """Globs over names of what is judged; everything when empty."""

    exclude: Mapping[str, str] = {}
    """Globs over names of what is not judged, each with the reason, which the report shows."""

    classes: tuple[str, ...] = ()
    """Values of the tag that mark what is judged; everything when empty."""

    class_tag: str = "data-classification"
    """The tag that `classes` are values of."""

    expiring_tables: tuple[str, ...] = ()
    """DynamoDB tables whose items must expire, as `table`, or as `table:attribute` to hold them to the attribute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """How long one class of data is kept."""

    what: str
    """`application logs`."""
    least: int
    """Days."""
    most: int
    """Days."""
    holds_for_parts: bool = False
    """Whether no part may go earlier; whoever wants traces gone deletes a part."""

    def __str__(self) -> str:
        return f"{self.what} deleted after {self.least} to {self.most} days"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """One S3 bucket, with the region that it is in, which may be none of the declared ones."""

    region: Region
    name: str

    def __str__(self) -> str:
        return self.name


# Logs


@check("Log groups keep events for a time", each=Region, permissions=["logs:DescribeLogGroups", *OF_SCOPE])
def log_group(subject: Region, aws: Aws, wanted: RetentionParameters) -> Iterator[Finding]:
    """One finding for each group of the region."""
    found = [
        each
        for each in aws.ask("logs.DescribeLogGroups", region=subject).get("logGroups", ())
        if each.get("logGroupClass") != "DELIVERY"
    ]
    marked = marks(subject, aws, wanted) if found else None
    for each in found:
        name = each["logGroupName"]
        arn = str(each.get("logGroupArn") or each.get("arn") or "")
        left_out = scope(name, arn, marked, wanted)
        yield from left_out if left_out is not None else [judge_log_group(f"{name} ({subject})", each, wanted)]


def judge_log_group(subject: str, group: Mapping[str, Any], wanted: RetentionParameters) -> Finding:
    """`retentionInDays`, whose absence means for ever."""
    name = str(group.get("logGroupName", ""))
    period = audit_period(wanted) if is_named(name, wanted.audit_names) else log_period(wanted)
    days = group.get("retentionInDays")
    if days is None:
        return Finding.of(False, subject=subject, observed=f"events never expire{_since(group)}", expected=str(period))
    return judge_days(subject, int(days), f"events expire after {days} days", period)


def _since(group: Mapping[str, Any]) -> str:
    made = group.get("creationTime")
    if not isinstance(made, int):
        return ""
    return f"; the group stands since {datetime.fromtimestamp(made / 1000, UTC):%Y-%m-%d}"


# Buckets


@subjects(each=Account, permissions=["s3:ListAllMyBuckets"])
def buckets(account: Account, aws: Aws) -> Iterator[Bucket]:
    """Every bucket of the account, whatever its region."""
    answer = aws.ask("s3.ListBuckets", region=account.regions[0], MaxBuckets=PAGE_SIZE)
    for found in answer.get("Buckets", ()):
        region = Region(account=account.name, name=found.get("BucketRegion") or account.regions[0].name)
        yield Bucket(region=region, name=found["Name"])


@check("Buckets of logs and of backups lose old objects", each=buckets, permissions=[*OF_BUCKET, *OF_SCOPE])
def bucket(subject: Bucket, aws: Aws, environment: Environment, wanted: RetentionParameters) -> Iterator[Finding]:
    """By the class that the name tells; buckets of declared dumps are judged by their prefix alone."""
    if any(each.bucket == subject.name for each in environment.backups):
        return
    left_out = scope(subject.name, f"arn:aws:s3:::{subject.name}", marks(subject.region, aws, wanted), wanted)
    if left_out is not None:
        yield from left_out
        return
    period = period_of_bucket(subject.name, wanted)
    versioning = aws.ask("s3.GetBucketVersioning", region=subject.region, Bucket=subject.name)
    is_versioned = is_keeping_versions(versioning)
    if period is None and not is_versioned:
        return
    found = aws.find("s3.GetBucketLifecycleConfiguration", region=subject.region, Bucket=subject.name)
    life = life_of(read_rules(found), "", is_versioned=is_versioned)
    if period is not None:
        yield judge_life(subject.name, life, period)
    elif life.days is None and "old versions" in life.text:
        yield Finding.warning(
            subject=subject.name,
            observed="versioned, and not every old version is deleted",
            expected="a rule with NoncurrentVersionExpiration",
        )


@check("Declared dumps are deleted in time", each=BackupBucket, permissions=[*OF_BUCKET, "s3:ListBucket"])
def dumps(subject: BackupBucket, aws: Aws, clock: Clock, wanted: RetentionParameters) -> Finding:
    """The rules that take everything below the prefix, and the oldest object that is really there."""
    region, name = subject.region, subject.bucket
    versioning = aws.ask("s3.GetBucketVersioning", region=region, Bucket=name)
    found = aws.find("s3.GetBucketLifecycleConfiguration", region=region, Bucket=name)
    life = life_of(read_rules(found), subject.prefix, is_versioned=is_keeping_versions(versioning))
    listed = aws.ask("s3.ListObjectsV2", region=region, Bucket=name, Prefix=subject.prefix)
    return judge_dumps(str(subject), life, oldest_of(listed.get("Contents", ())), clock.now(), wanted)


def is_keeping_versions(versioning: Mapping[str, Any]) -> bool:
    """Also where it is suspended: what was kept until then is still there."""
    return versioning.get("Status") in ("Enabled", "Suspended")


def judge_dumps(
    subject: str, life: Life, oldest: datetime | None, now: datetime, wanted: RetentionParameters
) -> Finding:
    """Rules that are right may have been set yesterday, or do nothing: the oldest object tells."""
    period = backup_period(wanted)
    finding = judge_life(subject, life, period)
    if finding.status is not FindingStatus.PASS or oldest is None or life.days is None:
        return finding
    allowed = timedelta(days=life.days + wanted.grace_days)
    age = now - oldest
    return Finding.of(
        age <= allowed,
        subject=subject,
        observed=f"{life.text}; the oldest object is {age.days} days old",
        expected=f"{period}, and none older than {allowed.days} days",
    )


def judge_life(subject: str, life: Life, period: Period) -> Finding:
    """By the rules that take all of it, and for audit logs by those that take a part."""
    if life.days is None:
        return Finding.of(False, subject=subject, observed=life.text, expected=str(period))
    early = [f"{prefix} after {days} days" for prefix, days in life.shorter if days < period.least]
    if early and period.holds_for_parts:
        return Finding.of(False, subject=subject, observed=f"deletes {', '.join(early)}", expected=str(period))
    return judge_days(subject, life.days, life.text, period)


def period_of_bucket(name: str, wanted: RetentionParameters) -> Period | None:
    """Of what the bucket holds by its name; None where that says nothing."""
    if is_named(name, wanted.audit_names):
        return audit_period(wanted)
    if is_named(name, wanted.backup_names):
        return backup_period(wanted)
    return log_period(wanted) if is_named(name, wanted.log_names) else None


# Backups


@check("RDS keeps backups long enough", each=Region, permissions=["rds:DescribeDBInstances", *OF_SCOPE])
def database(subject: Region, aws: Aws, wanted: RetentionParameters) -> Iterator[Finding]:
    """Automated backups of instances; those of a cluster are judged with it."""
    found = database_instances(subject, aws)
    marked = marks(subject, aws, wanted) if found else None
    for each in found:
        arn = each.get("DBInstanceArn") or each["DBInstanceIdentifier"]
        left_out = scope(each["DBInstanceIdentifier"], arn, marked, wanted)
        yield from left_out if left_out is not None else [judge_automated(arn, each, wanted)]


@check("Database clusters keep backups long enough", each=Region, permissions=["rds:DescribeDBClusters", *OF_SCOPE])
def cluster(subject: Region, aws: Aws, wanted: RetentionParameters) -> Iterator[Finding]:
    """Aurora, Multi-AZ, DocumentDB and Neptune, which the same API lists."""
    found = [each for each in database_clusters(subject, aws) if not each.get("ReplicationSourceIdentifier")]
    marked = marks(subject, aws, wanted) if found else None
    for each in found:
        arn = each.get("DBClusterArn") or each["DBClusterIdentifier"]
        left_out = scope(each["DBClusterIdentifier"], arn, marked, wanted)
        yield from left_out if left_out is not None else [judge_automated(arn, each, wanted)]


def judge_automated(subject: str, described: Mapping[str, Any], wanted: RetentionParameters) -> Finding:
    """`BackupRetentionPeriod`; RDS takes no more than 35 days, so that it cannot be too long."""
    days = described.get("BackupRetentionPeriod")
    expected = f"automated backups kept for {wanted.backup_min_days} days or more"
    if days is None:
        return Finding.error(subject=subject, message=f"{subject}: RDS does not say how long backups are kept")
    observed = f"automated backups kept for {days} days" if days else "no automated backups"
    return Finding.of(days >= wanted.backup_min_days, subject=subject, observed=observed, expected=expected)


@check("Backup plans delete in time", each=backup_plans, permissions=["backup:GetBackupPlan", *OF_SCOPE])
def plan(subject: BackupPlan, aws: Aws, wanted: RetentionParameters) -> Iterator[Finding]:
    """All rules of a plan together: one keeps backups long enough, and none keeps them, or a copy, for ever."""
    left_out = scope(subject.name, subject.arn, marks(subject.region, aws, wanted), wanted)
    if left_out is not None:
        yield from left_out
        return
    answer = aws.ask("backup.GetBackupPlan", region=subject.region, BackupPlanId=subject.id)
    yield judge_plan(str(subject), (answer.get("BackupPlan") or {}).get("Rules") or (), wanted)


def judge_plan(subject: str, rules: Sequence[Mapping[str, Any]], wanted: RetentionParameters) -> Finding:
    """`Lifecycle.DeleteAfterDays`, absent or -1 for ever, of each rule and of each copy that it makes."""
    period = backup_period(wanted)
    kept: list[tuple[str, int]] = []
    endless: list[str] = []
    for rule in rules:
        name = str(rule.get("RuleName") or "without a name")
        copies = [(f"copies of {name}", copy) for copy in rule.get("CopyActions") or ()]
        for label, each in [(name, rule), *copies]:
            days = (each.get("Lifecycle") or {}).get("DeleteAfterDays")
            if days is None or days < 0:
                endless.append(label)
            else:
                kept.append((label, int(days)))
    if endless or not kept:
        observed = f"never deletes {', '.join(endless)}" if endless else "the plan has no rule"
        return Finding.of(False, subject=subject, observed=observed, expected=str(period))
    label, longest = max(kept, key=lambda each: each[1])
    return judge_days(subject, longest, f"{label} is kept longest, for {longest} days", period)


# Tables


@check("Items of declared tables expire", each=Environment, permissions=["dynamodb:DescribeTimeToLive"])
def table(subject: Environment, aws: Aws, wanted: RetentionParameters) -> Iterator[Finding]:
    """Each of `expiring_tables`, in whichever declared region it is."""
    regions = [region for account in subject.aws for region in account.regions]
    for declared in wanted.expiring_tables:
        name, _, attribute = declared.partition(":")
        places = 0
        for region in regions:
            answer = aws.find("dynamodb.DescribeTimeToLive", region=region, TableName=name)
            if answer is not None:
                places += 1
                yield judge_table(f"{name} ({region})", answer.get("TimeToLiveDescription") or {}, attribute)
        if not places:
            yield Finding.error(
                subject=name,
                message=f"{name}: no declared region has this table",
                next_step="correct expiring_tables, or declare the table's region",
            )


def judge_table(subject: str, described: Mapping[str, Any], attribute: str) -> Finding:
    """`TimeToLiveStatus`, and the attribute that must hold the time as a number of seconds since 1970."""
    status, used = described.get("TimeToLiveStatus", "DISABLED"), described.get("AttributeName", "")
    is_on = status in ("ENABLED", "ENABLING")
    observed = f"items expire by {used}" if is_on else f"time to live is {str(status).lower()}"
    expected = f"items expire by {attribute}" if attribute else "items expire by an attribute"
    return Finding.of(
        is_on and (not attribute or used == attribute), subject=subject, observed=observed, expected=expected
    )


# What all share


def log_period(wanted: RetentionParameters) -> Period:
    """Of application logs."""
    return Period(what="application logs", least=wanted.log_min_days, most=wanted.log_max_days)


def audit_period(wanted: RetentionParameters) -> Period:
    """Of audit logs."""
    return Period(what="audit logs", least=wanted.audit_min_days, most=wanted.audit_max_days, holds_for_parts=True)


def backup_period(wanted: RetentionParameters) -> Period:
    """Of backups."""
    return Period(what="backups", least=wanted.backup_min_days, most=wanted.backup_max_days)


def judge_days(subject: str, days: int, observed: str, period: Period) -> Finding:
    """Both directions: too early, and too late."""
    return Finding.of(period.least <= days <= period.most, subject=subject, observed=observed, expected=str(period))


def is_named(name: str, globs: Sequence[str]) -> bool:
    """Whether one of `globs` takes the name, in any case of letters."""
    return any(fnmatch.fnmatchcase(name.lower(), glob.lower()) for glob in globs)


def marks(region: Region, aws: Aws, wanted: RetentionParameters) -> frozenset[str] | None:
    """What of the region has a tag that is one of `classes`, by ARN; None where there are no classes."""
    if not wanted.classes:
        return None
    filters = [{"Key": wanted.class_tag, "Values": list(wanted.classes)}]
    answer = aws.ask("resourcegroupstaggingapi.GetResources", region=region, TagFilters=filters)
    return frozenset(_without_partition(each["ResourceARN"]) for each in answer.get("ResourceTagMappingList", ()))


def _without_partition(arn: str) -> str:
    """ARNs of China and GovCloud begin otherwise; those of log groups end with `:*` in some answers."""
    return arn.split(":", 2)[-1].removesuffix(":*")


def scope(
    name: str, arn: str, marked: frozenset[str] | None, wanted: RetentionParameters
) -> tuple[Finding, ...] | None:
    """None for what is judged; else what is said of it: a warning where `exclude` names it, or nothing."""
    if (wanted.only and not is_named(name, wanted.only)) or (
        marked is not None and _without_partition(arn) not in marked
    ):
        return ()
    reason = next((reason for glob, reason in wanted.exclude.items() if is_named(name, (glob,))), None)
    if reason is None:
        return None
    return (Finding.warning(subject=name, observed=f"left out of the audit: {reason or 'no reason given'}"),)
