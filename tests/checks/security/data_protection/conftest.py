"""What the tests of this group share: an emulated AWS behind a server that answers what the emulator does not know."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.worlds.cloud import Cloud
from tests.worlds.front import Asked, Front, Told, ec2_answer, front_of, json_answer, query_answer


def _no_serverless_caches(asked: Asked) -> Told:
    return query_answer("DescribeServerlessCaches", "<ServerlessCaches/>")


def _no_serverless_snapshots(asked: Asked) -> Told:
    return query_answer("DescribeServerlessCacheSnapshots", "<ServerlessCacheSnapshots/>")


def _no_instance_backups(asked: Asked) -> Told:
    return query_answer("DescribeDBInstanceAutomatedBackups", "<DBInstanceAutomatedBackups/>")


def _no_public_snapshots(asked: Asked) -> Told | None:
    """The emulator does not know the filter, and would list every snapshot as public."""
    return ec2_answer("DescribeSnapshots", "<snapshotSet/>") if "RestorableBy.1" in asked.parameters else None


def _no_cluster_backups(asked: Asked) -> Told:
    return query_answer("DescribeDBClusterAutomatedBackups", "<DBClusterAutomatedBackups/>")


def _blocked(asked: Asked) -> Told:
    return ec2_answer("GetSnapshotBlockPublicAccessState", "<state>block-all-sharing</state>")


def _no_points(asked: Asked) -> Told:
    return json_answer({"RecoveryPoints": []})


@pytest.fixture
def front(emulator: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Front]:
    """Knows the operations that the emulator lacks, and answers that there is nothing."""
    # Else a fresh account owns the snapshots of 500 images.
    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
    with front_of(emulator) as running:
        running.answers |= {
            "elasticache.DescribeServerlessCaches": _no_serverless_caches,
            "elasticache.DescribeServerlessCacheSnapshots": _no_serverless_snapshots,
            "rds.DescribeDBInstanceAutomatedBackups": _no_instance_backups,
            "ec2.DescribeSnapshots": _no_public_snapshots,
            "rds.DescribeDBClusterAutomatedBackups": _no_cluster_backups,
            "ec2.GetSnapshotBlockPublicAccessState": _blocked,
            "backup GET /backup-vaults/*/recovery-points/": _no_points,
        }
        yield running


@pytest.fixture
def cloud(front: Front) -> Iterator[Cloud]:
    """An account that no other test uses."""
    fresh = Cloud(front.address)
    yield fresh
    fresh.stop_enforcing()
