"""What is answered in front of the emulator, as boto3 understands it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from quub_audit.demo.cloud import PRODUCTION, REGION
from quub_audit.demo.emulator import Operator, emulated_aws
from quub_audit.demo.gaps import image_digest


@pytest.fixture(scope="module")
def operator() -> Iterator[Operator]:
    with emulated_aws() as emulator:
        yield emulator.operator(PRODUCTION, REGION)


def test_operations_that_the_emulator_lacks_find_nothing(operator: Operator) -> None:
    cache, database = operator("elasticache"), operator("rds")

    assert cache.describe_serverless_caches()["ServerlessCaches"] == []
    assert cache.describe_serverless_cache_snapshots()["ServerlessCacheSnapshots"] == []
    assert database.describe_db_cluster_automated_backups()["DBClusterAutomatedBackups"] == []
    assert operator("ec2").get_snapshot_block_public_access_state()["State"] == "block-all-sharing"
    points = operator("backup").list_recovery_points_by_backup_vault(BackupVaultName="Default")
    assert points["RecoveryPoints"] == []
    assert operator("xray").get_service_graph(StartTime=1, EndTime=2)["Services"] == []


def test_the_root_user_has_a_second_factor_and_no_keys(operator: Operator) -> None:
    summary = operator("iam").get_account_summary()["SummaryMap"]

    assert (summary["AccountMFAEnabled"], summary["AccountAccessKeysPresent"]) == (1, 0)
    assert summary["Users"] == 0


def test_automated_backups_say_that_they_are_encrypted(operator: Operator) -> None:
    operator("rds").create_db_instance(
        DBInstanceIdentifier="orders",
        DBInstanceClass="db.t4g.medium",
        Engine="postgres",
        AllocatedStorage=20,
        BackupRetentionPeriod=35,
    )

    (backup,) = operator("rds").describe_db_instance_automated_backups()["DBInstanceAutomatedBackups"]

    assert backup["Encrypted"] is True
    assert backup["DBInstanceIdentifier"] == "orders"


def test_what_the_emulator_knows_it_answers_itself_whatever_the_protocol(operator: Operator) -> None:
    s3 = operator("s3")
    s3.create_bucket(Bucket="orders", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket="orders", Key="large", Body=b"x" * 200_000)

    assert s3.head_object(Bucket="orders", Key="large")["ContentLength"] == 200_000
    assert operator("logs").describe_log_groups()["logGroups"] == []
    assert operator("iam").list_users()["Users"] == []
    # A form that is too long to be looked into.
    group = operator("rds").create_db_parameter_group(
        DBParameterGroupName="long", DBParameterGroupFamily="postgres17", Description="x" * 70_000
    )
    assert len(group["DBParameterGroup"]["Description"]) == 70_000


def test_an_image_that_runs_has_a_digest(operator: Operator) -> None:
    ecs, ec2 = operator("ecs"), operator("ec2")
    network = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    ec2.modify_vpc_attribute(VpcId=network, EnableDnsHostnames={"Value": True})
    subnet = ec2.create_subnet(VpcId=network, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    ecs.create_cluster(clusterName="orders")
    container = {"name": "orders", "image": "registry.example/orders:1.2", "memory": 512, "cpu": 256}
    ecs.register_task_definition(
        family="orders",
        networkMode="awsvpc",
        requiresCompatibilities=["FARGATE"],
        cpu="256",
        memory="512",
        containerDefinitions=[container],
    )
    group = ec2.create_security_group(GroupName="orders", Description="orders", VpcId=network)["GroupId"]
    placed = {"awsvpcConfiguration": {"subnets": [subnet], "securityGroups": [group]}}
    run = ecs.run_task(cluster="orders", taskDefinition="orders", launchType="FARGATE", networkConfiguration=placed)

    described = ecs.describe_tasks(cluster="orders", tasks=[run["tasks"][0]["taskArn"]])

    (running,) = described["tasks"][0]["containers"]
    assert running["imageDigest"] == image_digest("registry.example/orders:1.2")
