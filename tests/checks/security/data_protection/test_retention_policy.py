"""Each class of data has a period after which it is deleted, long enough and not for ever."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quub_audit.checks.security.data_protection._lifecycle import Life, life_of, oldest_of, read_rules
from quub_audit.checks.security.data_protection.retention_policy import (
    RetentionParameters,
    backup_period,
    is_keeping_versions,
    judge_automated,
    judge_dumps,
    judge_life,
    judge_log_group,
    judge_plan,
    judge_table,
    log_period,
    period_of_bucket,
)
from quub_audit.model.environment import BackupBucket, Environment
from quub_audit.model.status import FindingStatus, Status
from quub_audit.testing import audit_item
from tests.worlds.cloud import REGION, Cloud

ITEM = "security.data-protection.retention-policy"
WANTED = RetentionParameters()
PASS, FAIL, ERROR, WARNING = (
    FindingStatus.PASS,
    FindingStatus.FAIL,
    FindingStatus.ERROR,
    FindingStatus.WARNING,
)
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def rule(days: int | None = 90, *, name: str = "r", **more: Any) -> dict[str, Any]:
    expiring = {"Expiration": {"Days": days}} if days is not None else {}
    return {"ID": name, "Status": "Enabled", "Filter": {"Prefix": ""}, **expiring, **more}


def life(*rules: Mapping[str, Any], prefix: str = "", is_versioned: bool = False) -> Life:
    return life_of(read_rules({"Rules": list(rules)}), prefix, is_versioned=is_versioned)


# Log groups


@pytest.mark.parametrize(
    ("name", "days", "status", "observed"),
    [
        ("/ecs/orders", 90, PASS, "events expire after 90 days"),
        ("/ecs/orders", 30, PASS, "events expire after 30 days"),
        ("/ecs/orders", 365, PASS, "events expire after 365 days"),
        ("/ecs/orders", 14, FAIL, "events expire after 14 days"),
        ("/ecs/orders", 400, FAIL, "events expire after 400 days"),
        ("/ecs/orders", None, FAIL, "events never expire; the group stands since 2024-01-02"),
        ("/orders/Audit-Trail", 90, FAIL, "events expire after 90 days"),
        ("/orders/Audit-Trail", 365, PASS, "events expire after 365 days"),
        ("aws-cloudtrail-logs", 3653, PASS, "events expire after 3653 days"),
        ("aws-cloudtrail-logs", None, FAIL, "events never expire; the group stands since 2024-01-02"),
    ],
)
def test_a_log_group_keeps_events_as_long_as_its_class_wants(
    name: str, days: int | None, status: FindingStatus, observed: str
) -> None:
    made = int(datetime(2024, 1, 2, tzinfo=UTC).timestamp() * 1000)
    group = {"logGroupName": name, "creationTime": made, **({"retentionInDays": days} if days else {})}

    finding = judge_log_group(name, group, WANTED)

    assert (finding.status, finding.observed) == (status, observed)


def test_the_class_of_a_log_group_is_named_beside_what_is_expected() -> None:
    assert judge_log_group("a", {"logGroupName": "a"}, WANTED).expected == (
        "application logs deleted after 30 to 365 days"
    )
    assert judge_log_group("audit", {"logGroupName": "audit"}, WANTED).expected == (
        "audit logs deleted after 365 to 3653 days"
    )


# Lifecycles


@pytest.mark.parametrize(
    ("rules", "prefix", "is_versioned", "days", "text"),
    [
        ([], "", False, None, "nothing deletes all objects"),
        ([rule(90)], "", False, 90, "deleted after 90 days"),
        ([rule(90), rule(60)], "", False, 60, "deleted after 60 days"),
        ([rule(90, Filter={})], "daily/", False, 90, "deleted after 90 days"),
        ([{"Status": "Enabled", "Prefix": "", "Expiration": {"Days": 9}}], "daily/", False, 9, "deleted after 9 days"),
        ([rule(90, Status="Disabled")], "", False, None, "nothing deletes all objects (rule r is disabled)"),
        (
            [rule(90, Filter={"Prefix": "dialy/"})],
            "daily/",
            False,
            None,
            "nothing deletes all objects (rule r takes dialy/ alone)",
        ),
        (
            [rule(90, Filter={"Prefix": "daily/db/"})],
            "daily/",
            False,
            None,
            "nothing deletes all objects (rule r takes daily/db/ alone)",
        ),
        ([rule(90, Filter={"Prefix": "dai"})], "daily/", False, 90, "deleted after 90 days"),
        (
            [rule(90, Filter={"Tag": {"Key": "a", "Value": "b"}})],
            "",
            False,
            None,
            "nothing deletes all objects (rule r takes objects of some tags or sizes alone)",
        ),
        (
            [rule(90, Filter={"And": {"Prefix": "", "ObjectSizeGreaterThan": 1}})],
            "",
            False,
            None,
            "nothing deletes all objects (rule r takes objects of some tags or sizes alone)",
        ),
        (
            [rule(None, Expiration={"Date": NOW})],
            "",
            False,
            None,
            "nothing deletes all objects (rule r deletes once, on 2026-06-01)",
        ),
        ([rule(None, Expiration={"ExpiredObjectDeleteMarker": True})], "", False, None, "nothing deletes all objects"),
        (
            [rule(None, Transitions=[{"Days": 30, "StorageClass": "GLACIER"}])],
            "",
            False,
            None,
            "nothing deletes all objects",
        ),
        ([rule(90)], "", True, None, "versioned, and nothing deletes old versions"),
        (
            [rule(90, NoncurrentVersionExpiration={"NoncurrentDays": 10, "NewerNoncurrentVersions": 3})],
            "",
            True,
            None,
            "versioned, and rule r keeps the newest 3 old versions whatever their age",
        ),
        (
            [rule(None, NoncurrentVersionExpiration={"NoncurrentDays": 10})],
            "",
            True,
            None,
            "nothing deletes all objects",
        ),
        (
            [rule(90), rule(None, NoncurrentVersionExpiration={"NoncurrentDays": 10})],
            "",
            True,
            100,
            "deleted after 90 days, old versions 10 days later",
        ),
        ([], "", True, None, "nothing deletes all objects; versioned, and nothing deletes old versions"),
    ],
)
def test_a_lifecycle_is_worth_what_its_rules_delete_of_everything(
    rules: list[dict[str, Any]], prefix: str, is_versioned: bool, days: int | None, text: str
) -> None:
    found = life(*rules, prefix=prefix, is_versioned=is_versioned)

    assert (found.days, found.text) == (days, text)


@given(
    periods=st.lists(st.integers(1, 4000), min_size=1, max_size=5),
    prefix=st.sampled_from(["", "a", "a/b"]),
    off=st.integers(1, 4000),
)
def test_no_rule_that_is_disabled_or_elsewhere_changes_how_long_objects_stay(
    periods: list[int], prefix: str, off: int
) -> None:
    rules = [rule(days) for days in periods]
    strangers = [rule(off, Status="Disabled"), rule(off, Filter={"Prefix": "z"})]

    assert life(*rules, *strangers, prefix=prefix).days == min(periods) == life(*rules, prefix=prefix).days


@given(days=st.integers(1, 5000))
def test_a_period_passes_exactly_within_its_bounds(days: int) -> None:
    finding = judge_life("b", life(rule(days)), log_period(WANTED))

    assert (finding.status is PASS) == (30 <= days <= 365)


def test_no_part_of_audit_logs_may_go_early_but_a_part_of_others_may() -> None:
    found = life(rule(400), rule(7, Filter={"Prefix": "signin/"}))
    audit = period_of_bucket("orders-audit", WANTED)
    assert audit is not None

    finding = judge_life("orders-audit", found, audit)

    assert (finding.status, finding.observed) == (FAIL, "deletes signin/ after 7 days")
    assert judge_life("orders-backup", found, backup_period(WANTED)).status is PASS


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("orders-audit-logs", "audit logs"),
        ("orders-backups", "backups"),
        ("pg-dumps-eu", "backups"),
        ("orders-logs", "application logs"),
        ("orders-alb-access-logs-eu", "application logs"),
        ("product-catalogs", None),
        ("orders-static", None),
    ],
)
def test_the_name_of_a_bucket_tells_its_class(name: str, what: str | None) -> None:
    period = period_of_bucket(name, WANTED)

    assert (period.what if period else None) == what


def test_versions_are_kept_also_while_versioning_is_suspended() -> None:
    assert is_keeping_versions({"Status": "Suspended"})
    assert is_keeping_versions({"Status": "Enabled"})
    assert not is_keeping_versions({})


@pytest.mark.parametrize(("age", "status"), [(0, PASS), (97, PASS), (97.1, FAIL), (400, FAIL)])
def test_a_dump_that_is_older_than_the_rules_allow_fails(age: float, status: FindingStatus) -> None:
    finding = judge_dumps("s3://d/", life(rule(90)), NOW - timedelta(days=age), NOW, WANTED)

    assert finding.status is status
    assert finding.observed == f"deleted after 90 days; the oldest object is {int(age)} days old"


def test_without_an_object_or_with_wrong_rules_the_rules_alone_are_judged() -> None:
    assert judge_dumps("s3://d/", life(rule(90)), None, NOW, WANTED).observed == "deleted after 90 days"
    assert judge_dumps("s3://d/", life(rule(9)), NOW - timedelta(days=400), NOW, WANTED).observed == (
        "deleted after 9 days"
    )
    assert judge_dumps("s3://d/", life(), NOW, NOW, WANTED).status is FAIL


def test_the_oldest_object_is_that_which_was_written_first() -> None:
    objects: list[dict[str, Any]] = [
        {"Key": "a", "LastModified": NOW},
        {"Key": "b", "LastModified": NOW - timedelta(days=1)},
        {"Key": "c"},
    ]

    assert oldest_of(objects) == NOW - timedelta(days=1)
    assert oldest_of([]) is None


# Backups and tables


@pytest.mark.parametrize(
    ("days", "status", "observed"),
    [
        (35, PASS, "automated backups kept for 35 days"),
        (30, PASS, "automated backups kept for 30 days"),
        (7, FAIL, "automated backups kept for 7 days"),
        (0, FAIL, "no automated backups"),
        (None, ERROR, ""),
    ],
)
def test_automated_backups_are_kept_long_enough(days: int | None, status: FindingStatus, observed: str) -> None:
    finding = judge_automated("db", {} if days is None else {"BackupRetentionPeriod": days}, WANTED)

    assert (finding.status, finding.observed) == (status, observed)


def step(days: int | None, **more: Any) -> dict[str, Any]:
    return {"RuleName": f"every-{days}", **({} if days is None else {"Lifecycle": {"DeleteAfterDays": days}}), **more}


@pytest.mark.parametrize(
    ("rules", "status", "observed"),
    [
        ([step(7), step(90)], PASS, "every-90 is kept longest, for 90 days"),
        ([step(7)], FAIL, "every-7 is kept longest, for 7 days"),
        ([step(90), step(None)], FAIL, "never deletes every-None"),
        ([step(90), step(-1)], FAIL, "never deletes every--1"),
        ([step(90), step(5000)], FAIL, "every-5000 is kept longest, for 5000 days"),
        ([step(90, CopyActions=[{"Lifecycle": {}}])], FAIL, "never deletes copies of every-90"),
        ([step(9, CopyActions=[step(60)])], PASS, "copies of every-9 is kept longest, for 60 days"),
        ([], FAIL, "the plan has no rule"),
    ],
)
def test_a_plan_keeps_one_backup_long_enough_and_none_for_ever(
    rules: list[dict[str, Any]], status: FindingStatus, observed: str
) -> None:
    finding = judge_plan("nightly", rules, WANTED)

    assert (finding.status, finding.observed) == (status, observed)


@pytest.mark.parametrize(
    ("described", "attribute", "status", "observed"),
    [
        ({"TimeToLiveStatus": "ENABLED", "AttributeName": "expires"}, "", PASS, "items expire by expires"),
        ({"TimeToLiveStatus": "ENABLED", "AttributeName": "expires"}, "expires", PASS, "items expire by expires"),
        ({"TimeToLiveStatus": "ENABLED", "AttributeName": "ttl"}, "expires", FAIL, "items expire by ttl"),
        ({"TimeToLiveStatus": "DISABLED"}, "", FAIL, "time to live is disabled"),
        ({"TimeToLiveStatus": "DISABLING", "AttributeName": "ttl"}, "", FAIL, "time to live is disabling"),
        ({}, "", FAIL, "time to live is disabled"),
    ],
)
def test_items_of_a_declared_table_expire_by_the_declared_attribute(
    described: Mapping[str, Any], attribute: str, status: FindingStatus, observed: str
) -> None:
    finding = judge_table("sessions", described, attribute)

    assert (finding.status, finding.observed) == (status, observed)


# On an emulated AWS


def log_group(cloud: Cloud, name: str, days: int | None = 90, **more: Any) -> None:
    logs = cloud.client("logs")
    logs.create_log_group(logGroupName=name, **more)
    if days:
        logs.put_retention_policy(logGroupName=name, retentionInDays=days)


def bucket(cloud: Cloud, start: str, *rules: Mapping[str, Any], versioning: str = "") -> str:
    """Its name: that of a bucket stands for one in all accounts."""
    s3, name = cloud.client("s3"), f"{start}-{cloud.account_id}"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    if rules:
        s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": list(rules)})
    if versioning:
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": versioning})
    return name


def database(cloud: Cloud, name: str, days: int, **more: Any) -> str:
    arn: str = cloud.client("rds").create_db_instance(
        DBInstanceIdentifier=name,
        DBInstanceClass="db.t4g.medium",
        Engine="postgres",
        AllocatedStorage=20,
        MasterUsername="orders",
        MasterUserPassword="made-up-for-a-test",
        BackupRetentionPeriod=days,
        **more,
    )["DBInstance"]["DBInstanceArn"]
    return arn


def backup_plan(cloud: Cloud, name: str, days: int | None) -> None:
    lifecycle = {"Lifecycle": {"DeleteAfterDays": days}} if days else {}
    cloud.client("backup").create_backup_plan(
        BackupPlan={
            "BackupPlanName": name,
            "Rules": [{"RuleName": "nightly", "TargetBackupVaultName": "Default", **lifecycle}],
        }
    )


def session_table(cloud: Cloud, name: str, attribute: str = "") -> None:
    tables = cloud.client("dynamodb")
    tables.create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    if attribute:
        specification = {"Enabled": True, "AttributeName": attribute}
        tables.update_time_to_live(TableName=name, TimeToLiveSpecification=specification)


def environment(cloud: Cloud, *, dumps: str = "", prefix: str = "") -> Environment:
    declared = (BackupBucket(region=cloud.region, bucket=dumps, prefix=prefix),) if dumps else ()
    return cloud.environment(backups=declared, quub=None)


def outcomes(found: Any) -> dict[str, FindingStatus]:
    return {finding.subject: finding.status for finding in found.findings}


@pytest.mark.proof("pass")
def test_an_account_in_which_everything_has_its_period_passes(cloud: Cloud) -> None:
    log_group(cloud, "/ecs/orders", 90)
    log_group(cloud, "/orders/audit", 400)
    old: dict[str, Any] = {"NoncurrentVersionExpiration": {"NoncurrentDays": 30}}
    logs = bucket(cloud, "orders-logs", rule(90))
    audit = bucket(cloud, "orders-audit", rule(400, **old), versioning="Enabled")
    dumps = bucket(cloud, "orders-dumps", rule(60, Filter={"Prefix": "daily/"}))
    cloud.client("s3").put_object(Bucket=dumps, Key="daily/1", Body=b"x")
    bucket(cloud, "orders-static")
    arn = database(cloud, "orders", 35)
    backup_plan(cloud, "nightly", 35)
    session_table(cloud, "sessions", "expires_at")

    result = audit_item(
        ITEM,
        environment(cloud, dumps=dumps, prefix="daily/"),
        parameters={"expiring_tables": ("sessions:expires_at",)},
        environ=cloud.environ,
    )

    assert result.status is Status.PASS
    assert set(outcomes(result)) == {
        f"/ecs/orders (production/{REGION})",
        f"/orders/audit (production/{REGION})",
        logs,
        audit,
        f"s3://{dumps}/daily/",
        arn,
        f"nightly (production/{REGION})",
        f"sessions (production/{REGION})",
    }


@pytest.mark.proof("fail")
def test_what_never_goes_or_goes_too_early_fails_by_its_name(cloud: Cloud) -> None:
    log_group(cloud, "/ecs/orders", 90)
    log_group(cloud, "/ecs/forgotten", None)
    log_group(cloud, "/orders/audit", 90)
    logs = bucket(cloud, "orders-logs", rule(90, Status="Disabled"))
    backups = bucket(cloud, "orders-backup", rule(90), versioning="Enabled")
    dumps = bucket(cloud, "orders-dumps", rule(60, Filter={"Prefix": "weekly/"}))
    static = bucket(cloud, "orders-static", versioning="Enabled")
    arn = database(cloud, "orders", 7)
    backup_plan(cloud, "nightly", None)
    session_table(cloud, "sessions")

    result = audit_item(
        ITEM,
        environment(cloud, dumps=dumps, prefix="daily/"),
        parameters={"expiring_tables": ("sessions",)},
        environ=cloud.environ,
    )

    assert result.status is Status.FAIL
    assert outcomes(result) == {
        f"/ecs/orders (production/{REGION})": PASS,
        f"/ecs/forgotten (production/{REGION})": FAIL,
        f"/orders/audit (production/{REGION})": FAIL,
        logs: FAIL,
        backups: FAIL,
        f"s3://{dumps}/daily/": FAIL,
        static: WARNING,
        arn: FAIL,
        f"nightly (production/{REGION})": FAIL,
        f"sessions (production/{REGION})": FAIL,
    }


@pytest.mark.proof("inconclusive")
def test_an_account_without_any_class_of_data_is_inconclusive(cloud: Cloud) -> None:
    bucket(cloud, "orders-static")

    result = audit_item(ITEM, environment(cloud), environ=cloud.environ)

    assert result.status is Status.INCONCLUSIVE
    assert result.findings == ()


@pytest.mark.proof("error")
def test_who_may_not_look_gets_an_error_with_the_permission(cloud: Cloud) -> None:
    log_group(cloud, "/ecs/orders", 90)
    cloud.allow_only("iam:GetUser", "s3:ListAllMyBuckets", "rds:DescribeDBInstances")

    result = audit_item(ITEM, environment(cloud), environ=cloud.environ)

    assert result.status is Status.ERROR
    assert "logs:DescribeLogGroups" in " ".join(finding.message for finding in result.findings)


def test_a_declared_bucket_or_table_that_is_not_there_is_an_error(cloud: Cloud) -> None:
    result = audit_item(
        ITEM,
        environment(cloud, dumps=f"missing-{cloud.account_id}"),
        parameters={"expiring_tables": ("missing",)},
        environ=cloud.environ,
    )

    assert result.status is Status.ERROR
    assert outcomes(result) == {f"s3://missing-{cloud.account_id}/": ERROR, "missing": ERROR}


def test_a_dump_that_rules_should_have_deleted_long_ago_fails(cloud: Cloud) -> None:
    dumps = bucket(cloud, "orders-dumps", rule(60))
    cloud.client("s3").put_object(Bucket=dumps, Key="daily/1", Body=b"x")
    declared = environment(cloud, dumps=dumps)

    later = audit_item(ITEM, declared, environ=cloud.environ, at=datetime.now(UTC) + timedelta(days=200))

    (finding,) = later.findings
    assert finding.status is FAIL
    assert finding.observed == "deleted after 60 days; the oldest object is 200 days old"


def test_what_is_left_out_is_told_with_the_reason_and_passes_nothing(cloud: Cloud) -> None:
    log_group(cloud, "/ecs/orders", None)
    log_group(cloud, "/ecs/other", None)

    result = audit_item(
        ITEM,
        environment(cloud),
        parameters={"exclude": {"/ecs/orders": "it is being shut down"}, "only": ("/ecs/orders",)},
        environ=cloud.environ,
    )

    assert result.status is Status.INCONCLUSIVE
    assert [(each.status, each.observed) for each in result.findings] == [
        (WARNING, "left out of the audit: it is being shut down")
    ]


def test_where_classes_are_named_only_what_has_the_tag_is_judged(cloud: Cloud) -> None:
    log_group(cloud, "/ecs/marked", 90, tags={"data-classification": "personal"})
    log_group(cloud, "/ecs/other", None)
    name = bucket(cloud, "orders-logs", rule(90))
    bucket(cloud, "other-logs")
    tagging = {"TagSet": [{"Key": "data-classification", "Value": "personal"}]}
    cloud.client("s3").put_bucket_tagging(Bucket=name, Tagging=tagging)

    result = audit_item(ITEM, environment(cloud), parameters={"classes": ("personal",)}, environ=cloud.environ)

    assert result.status is Status.PASS
    assert set(outcomes(result)) == {f"/ecs/marked (production/{REGION})", name}


def test_replicas_and_members_of_clusters_are_judged_where_their_backups_are(cloud: Cloud) -> None:
    rds = cloud.client("rds")
    rds.create_db_cluster(
        DBClusterIdentifier="ledger",
        Engine="aurora-postgresql",
        MasterUsername="orders",
        MasterUserPassword="made-up-for-a-test",
        BackupRetentionPeriod=7,
    )
    rds.create_db_instance(
        DBInstanceIdentifier="ledger-1",
        DBInstanceClass="db.t4g.medium",
        Engine="aurora-postgresql",
        DBClusterIdentifier="ledger",
    )
    arn = database(cloud, "orders", 30)
    rds.create_db_instance_read_replica(DBInstanceIdentifier="orders-replica", SourceDBInstanceIdentifier="orders")

    result = audit_item(ITEM, environment(cloud), environ=cloud.environ)

    assert outcomes(result) == {arn: PASS, arn.replace(":db:orders", ":cluster:ledger"): FAIL}


def test_all_log_groups_of_a_region_are_one_question(cloud: Cloud) -> None:
    for number in range(60):
        log_group(cloud, f"/ecs/{number}", 90)

    result = audit_item(ITEM, environment(cloud), environ=cloud.environ)

    assert len(result.findings) == 60
    assert result.status is Status.PASS
    assert replace(result.findings[0], subject="x").source.count("logs.DescribeLogGroups") == 1
