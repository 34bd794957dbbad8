"""The replication groups of ElastiCache behind declared caches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from quub_audit.sdk import Aws, Cache, Environment, Finding, Region

OF_GROUPS = ("elasticache:DescribeReplicationGroups",)


def find_group(cache: Cache, aws: Aws, environment: Environment) -> tuple[Region, Mapping[str, Any]] | None:
    """The group that the cache names, and where it is; None where no declared region has it."""
    for account in environment.aws:
        for region in account.regions:
            found = aws.find("elasticache.DescribeReplicationGroups", region=region) or {}
            for group in found.get("ReplicationGroups", ()):
                if group.get("ReplicationGroupId") == cache.replication_group:
                    return region, group
    return None


def absent_group(cache: Cache) -> Finding:
    """An error: what was declared was looked for and not found."""
    name = cache.replication_group
    return Finding.error(
        subject=name,
        message=f"{name}: no declared account and region has this replication group, which {cache} names",
        next_step=f"correct `replication_group` of caches.{cache}, or declare the account and region that it is in",
    )
