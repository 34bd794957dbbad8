"""What the sample service keeps in the emulated account beside its database: dumps, snapshots and logs."""

from __future__ import annotations

import gzip
import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from quub_audit.demo.emulator import Operator

DUMPS = "quub-app-production-dumps"
DUMPS_PREFIX = "daily/"
DUMPS_KEPT = 30
EMPTY_ARCHIVE = gzip.compress(b"", mtime=0)
LOG_PREFIX = "web"

EVENTS = 1200
"""In each log group, spread over the last day; an item wants a thousand before it says anything."""

STILL_UP = timedelta(minutes=100)
"""CloudWatch Logs takes events of the next two hours."""
UP: Mapping[str, str] = {"level": "info", "event": "service.up"}

PERSONAL: Mapping[str, str] = {"email": "lea.hofmann@postfach-mail.de", "card": "4539 5787 6362 1486"}
"""What the settlement service writes into its log when a payout fails. Made up, and valid as far as forms go."""


def keep_dumps(operator: Operator, at: datetime, *, healthy: bool) -> None:
    """A bucket of daily dumps that nobody can overwrite, open, or forget to delete.

    Without `healthy`, the newest is what `pg_dump | gzip` leaves where the dump fails: an empty archive.
    """
    s3 = operator("s3")
    region = s3.meta.region_name
    s3.create_bucket(
        Bucket=DUMPS,
        CreateBucketConfiguration={"LocationConstraint": region},
        ObjectLockEnabledForBucket=True,
    )
    s3.put_object_lock_configuration(
        Bucket=DUMPS,
        ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 30}},
        },
    )
    blocks = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    s3.put_public_access_block(Bucket=DUMPS, PublicAccessBlockConfiguration=dict.fromkeys(blocks, True))
    encryption = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
    s3.put_bucket_encryption(Bucket=DUMPS, ServerSideEncryptionConfiguration=encryption)
    rule = {
        "ID": "old-dumps",
        "Status": "Enabled",
        "Filter": {"Prefix": DUMPS_PREFIX},
        "Expiration": {"Days": 35},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 7},
    }
    s3.put_bucket_lifecycle_configuration(Bucket=DUMPS, LifecycleConfiguration={"Rules": [rule]})
    for age in reversed(range(DUMPS_KEPT)):
        key = f"{DUMPS_PREFIX}quub-app-{at - timedelta(days=age):%Y-%m-%d}.sql.gz"
        body = EMPTY_ARCHIVE if age == 0 and not healthy else secrets.token_bytes(2048)
        s3.put_object(Bucket=DUMPS, Key=key, Body=body, ServerSideEncryption="AES256")


def keep_snapshots(operator: Operator, database: str, *, healthy: bool) -> None:
    """A snapshot of the database; without `healthy`, also a plain one, of a database that is long gone."""
    rds = operator("rds")
    rds.create_db_snapshot(DBInstanceIdentifier=database, DBSnapshotIdentifier=f"{database}-release")
    if healthy:
        return
    rds.create_db_instance(
        DBInstanceIdentifier="quub-app-before-migration",
        DBInstanceClass="db.t4g.medium",
        Engine="postgres",
        AllocatedStorage=20,
        StorageEncrypted=False,
    )
    rds.create_db_snapshot(
        DBInstanceIdentifier="quub-app-before-migration", DBSnapshotIdentifier="quub-app-before-migration"
    )
    rds.delete_db_instance(DBInstanceIdentifier="quub-app-before-migration", SkipFinalSnapshot=True)


def write_logs(operator: Operator, tasks: Mapping[str, Sequence[str]], at: datetime, *, healthy: bool) -> None:
    """A day of logs of each service, whose `tasks` are named by their ids; the first of them wrote nearly all.

    Without `healthy`, the group of the settlement service never expires, and some of its lines show a customer.
    """
    logs = operator("logs")
    for service, ids in tasks.items():
        group = f"/ecs/{service}"
        is_sound = healthy or service != "quub-app-settlement"
        logs.create_log_group(logGroupName=group)
        if is_sound:
            logs.put_retention_policy(logGroupName=group, retentionInDays=90)
        streams = [f"{LOG_PREFIX}/{service}/{task}" for task in ids]
        for stream in streams:
            logs.create_log_stream(logGroupName=group, logStreamName=stream)
            # Ahead of time: a world that is kept for an hour has services that still write.
            up = {"timestamp": int((at + STILL_UP).timestamp() * 1000), "message": json.dumps(UP)}
            logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=[up])
        events = [
            {"timestamp": int(moment.timestamp() * 1000), "message": json.dumps(line)}
            for moment, line in _day(at, is_sound=is_sound)
        ]
        logs.put_log_events(logGroupName=group, logStreamName=streams[0], logEvents=events)


def _day(at: datetime, *, is_sound: bool) -> Iterator[tuple[datetime, Mapping[str, Any]]]:
    """Lines from a day ago until now, the oldest first."""
    step = timedelta(hours=23, minutes=50) / EVENTS
    for number in range(EVENTS):
        line: dict[str, Any] = {"level": "info", "event": "order.accepted", "order": f"ord-{number:x}", "ms": 12}
        if number % 200 == 100:
            customer = {"email": "***", "card": "****1486"} if is_sound else PERSONAL
            line = {"level": "warn", "event": "payout.failed", "order": f"ord-{number:x}", **customer}
        yield at - step * (EVENTS - number), line
