"""What is backed up by AWS itself: databases of RDS, and plans of AWS Backup."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from quub_audit.facts.asking import Aws
from quub_audit.model.environment import Region
from quub_audit.sdk.declare import subjects

_PASSING = ("creating", "deleting")
"""States in which a database has no backups yet, or is about to have none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupPlan:
    """One plan of AWS Backup."""

    region: Region
    id: str
    name: str
    arn: str

    def __str__(self) -> str:
        return f"{self.name} ({self.region})"


@subjects(each=Region, permissions=["backup:ListBackupPlans"])
def backup_plans(region: Region, aws: Aws) -> Iterator[BackupPlan]:
    """Every plan of AWS Backup in the region."""
    for found in aws.ask("backup.ListBackupPlans", region=region).get("BackupPlansList", ()):
        yield BackupPlan(
            region=region,
            id=found["BackupPlanId"],
            name=found.get("BackupPlanName", found["BackupPlanId"]),
            arn=found.get("BackupPlanArn", ""),
        )


def database_instances(region: Region, aws: Aws) -> tuple[Mapping[str, Any], ...]:
    """Instances with backups of their own, as `rds.DescribeDBInstances` gives them.

    A read replica is backed up by its source, a member of a cluster with the cluster.
    """
    return tuple(
        each
        for each in aws.ask("rds.DescribeDBInstances", region=region).get("DBInstances", ())
        if not each.get("DBClusterIdentifier")
        and not each.get("ReadReplicaSourceDBInstanceIdentifier")
        and not each.get("ReadReplicaSourceDBClusterIdentifier")
        and each.get("DBInstanceStatus") not in _PASSING
    )


def database_clusters(region: Region, aws: Aws) -> tuple[Mapping[str, Any], ...]:
    """Clusters that are neither being made nor deleted, as `rds.DescribeDBClusters` gives them.

    Aurora, Multi-AZ, DocumentDB and Neptune, which the same API lists.
    """
    return tuple(
        each
        for each in aws.ask("rds.DescribeDBClusters", region=region).get("DBClusters", ())
        if each.get("Status") not in _PASSING
    )
