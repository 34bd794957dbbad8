"""Whatever the service stores is backed up by itself, recently, often enough, and for long enough."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quub_audit.checks.performance.database.backup_strategy import (
    MOST_SERIES,
    BackupStrategyParameters,
    Dump,
    Store,
    Table,
    amount,
    days,
    in_series,
    judge_archiver,
    judge_copies,
    judge_plan,
    judge_protected,
    judge_recovery,
    judge_series,
    judge_store,
    last_backup,
    newest_finished,
    read_dumps,
    span,
)
from quub_audit.model.environment import BackupBucket, Database, Environment
from quub_audit.model.result import ItemResult
from quub_audit.model.status import FindingStatus, Status
from quub_audit.sdk import Finding, Region
from quub_audit.testing import audit_item
from tests.worlds.cloud import REGION, Cloud
from tests.worlds.front import Asked, Front, Told, denial, front_of, json_answer
from tests.worlds.postgres import PostgresDatabase, postgres, programs

ITEM = "performance.database.backup-strategy"
PASS, FAIL, ERROR, WARNING = FindingStatus.PASS, FindingStatus.FAIL, FindingStatus.ERROR, FindingStatus.WARNING
NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)
HERE = Region(account="prod", name=REGION)
WANTED = BackupStrategyParameters()


def told(findings: Iterator[Finding]) -> list[tuple[FindingStatus, str]]:
    return [(finding.status, finding.observed or finding.message) for finding in findings]


# Databases


def store(**changes: Any) -> Store:
    parts: dict[str, Any] = {
        "name": "orders",
        "arn": "arn:orders",
        "state": "available",
        "retention_days": 30,
        "restorable_until": NOW - timedelta(minutes=4),
        "is_guarded": True,
    }
    return Store(**{**parts, **changes})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [(PASS, "automated backups kept for 30 days, restorable to 4 min ago")]),
        ({"retention_days": 0}, [(FAIL, "automated backups are off")]),
        ({"retention_days": 1}, [(FAIL, "automated backups kept for 1 day, restorable to 4 min ago")]),
        (
            {"restorable_until": NOW - timedelta(hours=5)},
            [(FAIL, "automated backups kept for 30 days, restorable to 5 h ago")],
        ),
        (
            {"restorable_until": NOW + timedelta(minutes=1)},
            [(PASS, "automated backups kept for 30 days, restorable to 0 min ago")],
        ),
        ({"restorable_until": None}, [(FAIL, "automated backups kept for 30 days; no point to restore to yet")]),
        (
            {"state": "stopped", "restorable_until": NOW - timedelta(days=6)},
            [(WARNING, "automated backups kept for 30 days; it is stopped, so nothing new is secured")],
        ),
        ({"state": "stopped", "retention_days": 7}, [(FAIL, "automated backups kept for 7 days")]),
        ({"retention_days": None}, [(ERROR, "orders: RDS does not say how long backups are kept")]),
        (
            {"is_guarded": False},
            [
                (PASS, "automated backups kept for 30 days, restorable to 4 min ago"),
                (WARNING, "can be deleted in one step"),
            ],
        ),
        ({"is_guarded": None}, [(PASS, "automated backups kept for 30 days, restorable to 4 min ago")]),
    ],
)
def test_a_database_is_judged_by_how_long_backups_are_kept_and_how_far_restoring_lags(
    changes: dict[str, Any], expected: list[tuple[FindingStatus, str]]
) -> None:
    assert told(judge_store(store(**changes), NOW, WANTED)) == expected


@given(st.integers(0, 10_000), st.integers(0, 10_000), st.integers(1, 35))
def test_a_longer_lag_never_turns_a_failure_into_a_pass(sooner: int, more: int, kept: int) -> None:
    near, far = (
        next(judge_store(store(restorable_until=NOW - lag, retention_days=kept), NOW, WANTED)).status
        for lag in (timedelta(minutes=sooner), timedelta(minutes=sooner + more))
    )

    assert (near, far) != (FAIL, PASS)


# Tables


@pytest.mark.parametrize(
    ("recovery", "status"),
    [({}, PASS), ({"RecoveryPeriodInDays": 35}, PASS), ({"RecoveryPeriodInDays": 29}, FAIL)],
)
def test_point_in_time_recovery_must_reach_back_far_enough(recovery: dict[str, int], status: FindingStatus) -> None:
    assert judge_recovery("orders", recovery, WANTED).status is status


def test_a_table_without_it_passes_by_a_recent_recovery_point_of_its_own_alone() -> None:
    table = Table(region=HERE, name="orders")
    arn = f"arn:aws:dynamodb:{REGION}:111122223333:table"
    protected: list[dict[str, Any]] = [
        {"ResourceArn": f"{arn}/orders", "LastBackupTime": NOW - timedelta(hours=25)},
        {"ResourceArn": f"{arn}/orders", "LastBackupTime": NOW - timedelta(days=9)},
        {"ResourceArn": f"{arn}/old-orders", "LastBackupTime": NOW},
        {"ResourceArn": f"{arn}/new"},
    ]

    found = [judge_protected(table, last_backup(name, protected), NOW, WANTED) for name in ("orders", "new")]
    late = judge_protected(table, NOW - timedelta(days=9), NOW, WANTED)

    assert [finding.status for finding in found] == [PASS, FAIL]
    assert found[1].observed == "no point-in-time recovery, and no recovery point of AWS Backup"
    assert late.observed == "no point-in-time recovery; the newest recovery point is 9 days old"


# Plans


def job(resource: str = "arn:a", state: str = "COMPLETED", hours: float = 3, **more: Any) -> Mapping[str, Any]:
    created = NOW - timedelta(hours=hours)
    return {"ResourceArn": resource, "State": state, "CreationDate": created, "CompletionDate": created, **more}


@pytest.mark.parametrize(
    ("rules", "selections", "jobs", "expected"),
    [
        (0, 1, [], [(FAIL, "the plan has no rule")]),
        (1, 0, [job()], [(FAIL, "the plan selects nothing")]),
        (1, 1, [], [(FAIL, "no job has finished in 7 days")]),
        (1, 1, [job(state="RUNNING")], [(FAIL, "no job has finished in 7 days")]),
        (1, 1, [job()], [(PASS, "the newest job came through 3 h ago, 1 of 1 resources are backed up")]),
        (1, 1, [job(hours=100)], [(FAIL, "the newest job came through 4 days ago, 1 of 1 resources are backed up")]),
        (
            1,
            1,
            [job(state="FAILED", hours=30), job(), job(state="RUNNING", hours=1)],
            [(PASS, "the newest job came through 3 h ago, 1 of 1 resources are backed up")],
        ),
        (
            1,
            1,
            [job(), job("arn:b", "FAILED", StatusMessage="no space"), job("arn:b", hours=27)],
            [
                (FAIL, "the newest job of plan came to FAILED: no space"),
                (PASS, "the newest job came through 3 h ago, 1 of 2 resources are backed up"),
            ],
        ),
        (1, 1, [job(state="EXPIRED")], [(FAIL, "the newest job of plan came to EXPIRED")]),
        (1, 1, [job(state="PARTIAL")], [(FAIL, "the newest job of plan came to PARTIAL")]),
    ],
)
def test_a_plan_is_judged_by_what_it_selects_and_by_the_newest_job_of_each_resource(
    rules: int, selections: int, jobs: Sequence[Mapping[str, Any]], expected: list[tuple[FindingStatus, str]]
) -> None:
    assert told(judge_plan("plan", rules, selections, jobs, NOW, WANTED)) == expected


@given(
    st.permutations([job("arn:b", hours=1), job("arn:a", hours=2), job("arn:a", "FAILED", 9), job("arn:b", hours=5)])
)
def test_the_order_in_which_jobs_are_listed_does_not_matter(jobs: list[Mapping[str, Any]]) -> None:
    newest = newest_finished(jobs)

    assert list(newest) == ["arn:a", "arn:b"]
    assert {each["State"] for each in newest.values()} == {"COMPLETED"}


# Dumps


def nightly(count: int, *, size: int = 1_000_000, first_hours: float = 10) -> list[Dump]:
    """Dumps of as many nights, the newest first."""
    times = [NOW - timedelta(hours=first_hours + 24 * number) for number in range(count)]
    return [Dump(key=f"daily/orders-{at:%Y-%m-%d}.sql.gz", made_at=at, size=size) for at in times]


def resized(series: list[Dump], size: int) -> list[Dump]:
    """The same series with a newest dump of `size`."""
    return [Dump(key=series[0].key, made_at=series[0].made_at, size=size), *series[1:]]


WHOLE = "the newest of 32 is 10 h old and has"


@pytest.mark.parametrize(
    ("series", "expected"),
    [
        (nightly(32), [(PASS, f"{WHOLE} 1 MB")]),
        (nightly(32, first_hours=27), [(FAIL, "the newest of 32 is 27 h old and has 1 MB; it is too old")]),
        (resized(nightly(32), 0), [(FAIL, f"{WHOLE} 0 bytes; it holds nothing")]),
        (resized(nightly(32), 20), [(FAIL, f"{WHOLE} 20 bytes; it holds nothing")]),
        (nightly(32, size=20), [(FAIL, f"{WHOLE} 20 bytes; it holds nothing")]),
        (resized(nightly(32), 499_999), [(FAIL, f"{WHOLE} 500 kB; 1 MB is usual")]),
        (resized(nightly(32), 500_000), [(PASS, f"{WHOLE} 500 kB")]),
        (resized(nightly(32), 9_000_000), [(PASS, f"{WHOLE} 9 MB")]),
        (
            nightly(10) + nightly(40)[32:],
            [(FAIL, "the newest of 18 is 10 h old and has 1 MB; dumps are missing: 10 of the last 30 days")],
        ),
        (
            nightly(3),
            [
                (PASS, "the newest of 3 is 10 h old and has 1 MB"),
                (WARNING, "the oldest dump is 2 days old"),
            ],
        ),
        (
            nightly(1),
            [
                (PASS, "the newest of 1 is 10 h old and has 1 MB"),
                (WARNING, "the oldest dump is 10 h old"),
            ],
        ),
    ],
)
def test_dumps_are_judged_by_the_newest_ones_age_and_size_and_by_how_many_there_are(
    series: list[Dump], expected: list[tuple[FindingStatus, str]]
) -> None:
    assert told(judge_series("s3://dumps/daily", series, NOW, WANTED)) == expected


def test_no_dump_at_all_is_never_a_pass() -> None:
    with pytest.raises(IndexError):
        list(judge_series("s3://dumps/daily", [], NOW, WANTED))


@given(st.integers(0, 2_000_000), st.integers(0, 2_000_000))
def test_a_smaller_newest_dump_never_turns_a_failure_into_a_pass(small: int, more: int) -> None:
    lesser, greater = (
        next(judge_series("dumps", resized(nightly(32), size), NOW, WANTED)).status for size in (small, small + more)
    )

    assert (greater, lesser) != (FAIL, PASS)


def test_dumps_of_several_databases_are_told_apart_by_their_names_without_numbers_and_ids() -> None:
    found = [
        Dump(key=key, made_at=NOW, size=1)
        for key in (
            "daily/orders-2026-06-30.sql.gz",
            "daily/ledger-2026-06-30.sql.gz",
            "daily/orders-2026-06-29.sql.gz",
            "daily/b3d1c9aa-0001-4000-8000-00000000000f.dump",
            "daily/00112233445566778899aabbccddeeff.dump",
        )
    ]

    assert {name: len(series) for name, series in in_series(found).items()} == {
        "daily/#.dump": 2,
        "daily/ledger-#-#-#.sql.gz": 1,
        "daily/orders-#-#-#.sql.gz": 2,
    }


def test_names_without_a_pattern_are_one_series() -> None:
    names = [f"daily/{chr(97 + number // 26)}{chr(97 + number % 26)}" for number in range(MOST_SERIES + 1)]

    (series,) = in_series([Dump(key=name, made_at=NOW, size=1) for name in names]).items()

    assert (series[0], len(series[1])) == ("daily/*", MOST_SERIES + 1)


def test_folders_are_no_dumps_and_the_newest_comes_first() -> None:
    found = read_dumps(
        [
            {"Key": "daily/", "LastModified": NOW, "Size": 0},
            {"Key": "daily/a", "LastModified": NOW - timedelta(days=1), "Size": 7},
            {"Key": "daily/b", "LastModified": NOW, "Size": 0},
        ]
    )

    assert [(dump.key, dump.size) for dump in found] == [("daily/b", 0), ("daily/a", 7)]


@pytest.mark.parametrize(
    ("size", "text"), [(20, "20 bytes"), (999, "999 bytes"), (1024, "1.02 kB"), (1.2e9, "1.2 GB"), (5e13, "50 TB")]
)
def test_sizes_are_told_in_decimal_units(size: float, text: str) -> None:
    assert amount(size) == text


def test_times_are_told_in_the_largest_unit_of_which_there_are_two() -> None:
    spans = [span(timedelta(minutes=minutes)) for minutes in (-1, 1, 119, 120, 60 * 47, 60 * 48)]

    assert [*spans, days(1), days(2)] == ["0 min", "1 min", "119 min", "2 h", "47 h", "2 days", "1 day", "2 days"]


# The log of a PostgreSQL

CAUGHT_UP: Mapping[str, Any] = {
    "now": NOW,
    "mode": "on",
    "by": "command",
    "timeout_s": 60,
    "archived_at": NOW - timedelta(minutes=2),
    "failed_at": None,
    "failures": 0,
    "waiting": 0,
    "waiting_since": None,
}
WAITING = {"waiting": 3, "waiting_since": NOW - timedelta(minutes=40)}


@pytest.mark.parametrize(
    ("vaults", "elsewhere", "expected"),
    [
        (("eu-west-1:111",), True, [PASS]),
        (("eu-central-1:111", "eu-central-1:222"), True, [PASS]),
        (("eu-central-1:111",), True, [FAIL]),
        ((), True, [FAIL]),
        (("",), True, [FAIL]),
        ((), False, [WARNING]),
        (("eu-west-1:111",), False, []),
    ],
)
def test_a_copy_counts_in_another_region_or_account_alone(
    vaults: tuple[str, ...], elsewhere: bool, expected: list[FindingStatus]
) -> None:
    copies = [{"DestinationBackupVaultArn": f"arn:aws:backup:{vault}:backup-vault:safe"} for vault in vaults]
    wanted = BackupStrategyParameters(elsewhere=elsewhere)
    plan = "arn:aws:backup:eu-central-1:111:backup-plan:1"

    found = judge_copies("daily", plan, [{"RuleName": "a"}, {"CopyActions": copies}], wanted)

    assert [status for status, _ in told(found)] == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [(PASS, "archived 2 min ago, nothing waits too long")]),
        ({"by": "library"}, [(PASS, "archived 2 min ago, nothing waits too long")]),
        (
            {"failed_at": NOW - timedelta(minutes=3), "failures": 9},
            [(PASS, "archived 2 min ago, nothing waits too long")],
        ),
        ({"waiting": 1, "waiting_since": NOW}, [(PASS, "archived 2 min ago, nothing waits too long")]),
        ({"by": ""}, [(FAIL, "archive_mode is on, with neither archive_command nor archive_library")]),
        ({"by": "nothing"}, [(FAIL, "archive_command keeps nothing")]),
        (
            {"failed_at": NOW - timedelta(minutes=1), "failures": 9},
            [(FAIL, "the archiver has failed 9 times, and not succeeded since")],
        ),
        (
            {"archived_at": None, "failed_at": NOW, "failures": 1, **WAITING},
            [
                (
                    FAIL,
                    "the archiver has failed 1 times, and not succeeded since; 3 segments wait, the oldest for 40 min",
                )
            ],
        ),
        (WAITING, [(FAIL, "3 segments wait, the oldest for 40 min")]),
        ({"archived_at": None}, [(WARNING, "nothing has been archived yet")]),
        ({"mode": "off"}, [(WARNING, "the log is not archived: nothing between two dumps is kept")]),
        (
            {"timeout_s": 0},
            [(PASS, "archived 2 min ago, nothing waits too long"), (WARNING, "only full segments")],
        ),
        (
            {"timeout_s": 3600},
            [(PASS, "archived 2 min ago, nothing waits too long"), (WARNING, "a segment is archived after 3600 s")],
        ),
    ],
)
def test_a_log_is_judged_by_what_waits_and_by_whether_the_archiver_succeeds(
    changes: Mapping[str, Any], expected: list[tuple[FindingStatus, str]]
) -> None:
    row = {**CAUGHT_UP, **changes}

    assert told(judge_archiver("orders", row, WANTED, is_replica=False, has_base=True)) == expected


def test_a_log_without_a_base_backup_passes_nothing_and_a_replica_speaks_for_itself_alone() -> None:
    no_base = told(judge_archiver("orders", CAUGHT_UP, WANTED, is_replica=False, has_base=False))
    replica = told(judge_archiver("orders", CAUGHT_UP, WANTED, is_replica=True, has_base=True))
    always = {**CAUGHT_UP, "mode": "always"}

    assert no_base == [(WARNING, "the log is archived, and no base backup is known")]
    assert replica == [(WARNING, "this replica archives nothing: nothing between two dumps is kept")]
    assert [status for status, _ in told(judge_archiver("o", always, WANTED, is_replica=True, has_base=True))] == [PASS]


@pytest.mark.parametrize(
    ("changes", "is_replica", "has_base", "kind"),
    [
        ({}, False, False, "undecided"),
        ({"mode": "off"}, False, False, "undecided"),
        ({"archived_at": None}, False, False, "undecided"),
        ({"mode": "off"}, False, True, "warning"),
        ({"archived_at": None}, False, True, "warning"),
        ({"mode": "off"}, True, False, "warning"),
        ({"mode": "always"}, True, False, "warning"),
    ],
)
def test_a_database_of_which_no_backup_is_seen_is_undecided_but_a_replica_is_backed_up_with_its_primary(
    changes: Mapping[str, Any], is_replica: bool, has_base: bool, kind: str
) -> None:
    (finding,) = judge_archiver("orders", {**CAUGHT_UP, **changes}, WANTED, is_replica=is_replica, has_base=has_base)

    assert finding.kind == kind


def test_a_database_whose_key_is_gone_is_undecided() -> None:
    (finding,) = judge_store(store(state="inaccessible-encryption-credentials-recoverable"), NOW, WANTED)

    assert finding.is_undecided


# A real PostgreSQL

ARCHIVING = """
archive_mode = on
archive_timeout = 60
archive_command = 'mkdir -p ../archive && cp %p ../archive/%f'
"""


@pytest.fixture(scope="module")
def archiving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresDatabase]:
    if programs() is None:
        pytest.skip("no PostgreSQL to test against: it is not installed")
    with postgres(tmp_path_factory.mktemp("archiving"), settings=ARCHIVING) as server, server.database() as fresh:
        yield fresh


def look_at_log(target: Database, *, has_base: bool = True) -> ItemResult:
    backups = (BackupBucket(region=HERE, bucket="dumps"),) if has_base else ()
    environment = Environment(
        service="orders", name="production", stage="production", databases=(target,), backups=backups
    )
    return audit_item(ITEM, environment, check="archiver")


def archive(database: PostgresDatabase, command: str, *, until: str) -> None:
    """Let the archiver have a segment with `command`, and wait until the server counts what came of it."""
    with database.connect() as operator:
        operator.execute("SELECT pg_stat_reset_shared('archiver')")
        operator.execute(f"ALTER SYSTEM SET archive_command = '{command}'".encode())
        operator.execute("SELECT pg_reload_conf()")
        operator.execute("CREATE TABLE IF NOT EXISTS work ()")
        operator.execute("INSERT INTO work DEFAULT VALUES")
        operator.execute("SELECT pg_switch_wal()")
        for _ in range(600):
            counted = operator.execute(f"SELECT {until}, pg_sleep(0.05) FROM pg_stat_archiver".encode()).fetchone()
            if counted and counted[0]:
                return
    raise TimeoutError(f"the archiver never came to {until}")


@pytest.mark.proof("pass")
@pytest.mark.proof("fail")
def test_a_log_that_is_archived_passes_and_one_whose_command_fails_or_keeps_nothing_fails(
    archiving: PostgresDatabase,
) -> None:
    archive(archiving, "mkdir -p ../archive && cp %p ../archive/%f", until="last_archived_time IS NOT NULL")
    kept, without_base = look_at_log(archiving.target()), look_at_log(archiving.target(), has_base=False)
    archive(archiving, "exit 1", until="failed_count > 0")
    failing = look_at_log(archiving.target())
    archive(archiving, "/bin/true", until="last_archived_time IS NOT NULL")
    thrown_away = look_at_log(archiving.target())

    assert kept.status is Status.PASS, kept.reason
    assert kept.of_status(PASS)[0].observed == "archived 0 min ago, nothing waits too long"
    assert without_base.status is Status.INCONCLUSIVE
    assert failing.status is Status.FAIL
    assert failing.of_status(FAIL)[0].subject == "orders: archived log"
    assert "and not succeeded since" in failing.of_status(FAIL)[0].observed
    assert [finding.observed for finding in thrown_away.of_status(FAIL)] == ["archive_command keeps nothing"]


@pytest.mark.proof("inconclusive")
@pytest.mark.proof("error")
def test_a_server_that_archives_nothing_shows_nothing_and_a_role_that_may_not_list_what_waits_is_an_error(
    database: PostgresDatabase,
) -> None:
    off, denied = look_at_log(database.target(), has_base=False), look_at_log(database.target(user="plain"))

    assert off.status is Status.INCONCLUSIVE
    assert "say under `exclude` what backs up orders" in off.next_step
    assert next(finding.observed for finding in off.of_status(WARNING)).startswith("the log is not archived")
    assert denied.status is Status.ERROR
    assert "pg_monitor" in denied.reason + denied.next_step


def test_a_database_of_rds_is_not_asked_about_its_log() -> None:
    assert look_at_log(Database(name="o", host="h", database="d", user="u", instance="orders")).findings == ()


# A real account


def _no_selections(asked: Asked) -> Told:
    return json_answer({"BackupSelectionsList": []})


def _no_jobs(asked: Asked) -> Told:
    return json_answer({"BackupJobs": []})


def _nothing_protected(asked: Asked) -> Told:
    return json_answer({"Results": []})


@pytest.fixture
def front(emulator: str) -> Iterator[Front]:
    """Knows the operations of AWS Backup that the emulator lacks, and answers that there is nothing."""
    with front_of(emulator) as running:
        running.answers |= {
            "backup GET /backup/plans/*/selections/": _no_selections,
            "backup GET /backup-jobs/": _no_jobs,
            "backup GET /resources/": _nothing_protected,
        }
        yield running


@pytest.fixture
def cloud(front: Front) -> Iterator[Cloud]:
    """An account that no other test uses."""
    fresh = Cloud(front.address)
    yield fresh
    fresh.stop_enforcing()


def look(cloud: Cloud, *buckets: BackupBucket, **options: Any) -> ItemResult:
    environment = Environment(
        service="orders", name="production", stage="production", aws=(cloud.account(),), backups=buckets
    )
    return audit_item(ITEM, environment, environ=cloud.environ, **options)


def database(cloud: Cloud, name: str, **changes: Any) -> None:
    parts: dict[str, Any] = {
        "DBInstanceIdentifier": name,
        "Engine": "postgres",
        "DBInstanceClass": "db.t3.micro",
        "AllocatedStorage": 20,
        "MasterUsername": "orders",
        "MasterUserPassword": "nobody-knows-it",
        "BackupRetentionPeriod": 30,
        "DeletionProtection": True,
    }
    cloud.client("rds").create_db_instance(**{**parts, **changes})


def table(cloud: Cloud, name: str, *, recovers: bool) -> None:
    store = cloud.client("dynamodb")
    store.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    if recovers:
        store.update_continuous_backups(
            TableName=name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
        )


def backup_plan(cloud: Cloud, front: Front, *jobs: Mapping[str, Any], copies: Sequence[Any] = ()) -> None:
    """A plan that selects one thing, with jobs of its own."""
    rule = {"RuleName": "daily", "TargetBackupVaultName": "vault", "CopyActions": copies}
    made = cloud.client("backup").create_backup_plan(BackupPlan={"BackupPlanName": "daily", "Rules": [rule]})
    of_plan = {"CreatedBy": {"BackupPlanId": made["BackupPlanId"]}}
    selection = {"BackupPlanId": made["BackupPlanId"], "SelectionId": "1", "SelectionName": "all"}
    front.answers |= {
        "backup GET /backup/plans/*/selections/": lambda asked: json_answer({"BackupSelectionsList": [selection]}),
        "backup GET /backup-jobs/": lambda asked: json_answer({"BackupJobs": [{**of_plan, **each} for each in jobs]}),
    }


def bucket_of_dumps(cloud: Cloud, *sizes: int, prefix: str = "daily/") -> BackupBucket:
    """One dump for each size, all of now, in a bucket of this account."""
    name = f"dumps-{cloud.account_id}"
    store = cloud.client("s3")
    store.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    for number, size in enumerate(sizes):
        store.put_object(Bucket=name, Key=f"{prefix}orders-{number}.sql.gz", Body=b"x" * size)
    return BackupBucket(region=HERE, bucket=name, prefix=prefix)


def names(result: ItemResult, status: FindingStatus) -> set[str]:
    return {finding.subject.rpartition(":")[2] for finding in result.of_status(status)}


@pytest.mark.proof("pass")
def test_an_account_in_which_everything_is_backed_up_passes(cloud: Cloud, front: Front) -> None:
    database(cloud, "orders")
    cloud.client("rds").create_db_cluster(
        DBClusterIdentifier="ledger",
        Engine="aurora-postgresql",
        MasterUsername="ledger",
        MasterUserPassword="nobody-knows-it",
        BackupRetentionPeriod=35,
        DeletionProtection=True,
    )
    table(cloud, "sessions", recovers=True)
    ended = datetime.now(UTC).timestamp() - 3600
    backup_plan(
        cloud,
        front,
        {"ResourceArn": "arn:a", "State": "COMPLETED", "CreationDate": ended, "CompletionDate": ended},
    )

    result = look(cloud, bucket_of_dumps(cloud, 5000, 5000))

    assert result.status is Status.PASS, result.reason
    assert {finding.check.rpartition("/")[2] for finding in result.of_status(PASS)} == {
        "cluster",
        "database",
        "dumps",
        "plan",
        "table",
    }


@pytest.mark.proof("fail")
def test_what_is_not_backed_up_fails_by_its_name(cloud: Cloud, front: Front) -> None:
    database(cloud, "orders")
    database(cloud, "scratch", BackupRetentionPeriod=0, DeletionProtection=False)
    table(cloud, "sessions", recovers=False)
    backup_plan(cloud, front)

    result = look(cloud, bucket_of_dumps(cloud, 20))

    told = {(finding.subject.rpartition(":")[2], finding.observed) for finding in result.of_status(FAIL)}
    assert result.status is Status.FAIL
    assert told == {
        ("scratch", "automated backups are off"),
        (f"sessions (prod/{REGION})", "no point-in-time recovery, and no recovery point of AWS Backup"),
        (f"daily (prod/{REGION})", "no job has finished in 7 days"),
        (
            f"//dumps-{cloud.account_id}/daily/orders-#.sql.gz",
            "the newest of 1 is 0 min old and has 20 bytes; it holds nothing",
        ),
    }
    assert names(result, PASS) == {"orders"}


@pytest.mark.proof("inconclusive")
def test_an_account_that_stores_nothing_is_inconclusive(cloud: Cloud) -> None:
    assert look(cloud).status is Status.INCONCLUSIVE


@pytest.mark.proof("error")
def test_a_denied_listing_is_one_error_that_names_the_permission(cloud: Cloud) -> None:
    database(cloud, "orders")
    cloud.allow_only("rds:*", "backup:*")

    result = look(cloud, check="table")

    assert result.status is Status.ERROR
    assert len(result.of_status(ERROR)) == 1
    assert "dynamodb:ListTables" in result.reason + result.next_step


def test_a_declared_prefix_without_a_dump_fails_and_a_bucket_that_is_not_there_is_an_error(cloud: Cloud) -> None:
    empty = bucket_of_dumps(cloud)
    gone = BackupBucket(region=HERE, bucket=f"gone-{cloud.account_id}")

    result = look(cloud, empty, gone)

    assert [finding.observed for finding in result.of_status(FAIL)] == ["there is no dump"]
    assert names(result, ERROR) == {f"//gone-{cloud.account_id}/"}


def test_a_replica_and_the_members_of_a_cluster_are_not_judged_by_themselves(cloud: Cloud) -> None:
    database(cloud, "orders")
    cloud.client("rds").create_db_instance_read_replica(
        DBInstanceIdentifier="reader", SourceDBInstanceIdentifier="orders"
    )

    result = look(cloud, check="database")

    assert names(result, PASS) == {"orders"}
    assert names(result, FAIL) == set()


def test_what_is_excluded_is_a_warning_with_its_reason_and_only_narrows(cloud: Cloud) -> None:
    database(cloud, "orders")
    table(cloud, "locks", recovers=False)
    dumps = bucket_of_dumps(cloud, 20)

    excluded = look(cloud, dumps, parameters={"exclude": {"locks": "holds nothing", "daily/*": "made by hand"}})
    narrowed = look(cloud, dumps, parameters={"only": ["ord*"]})

    assert excluded.status is Status.PASS, excluded.reason
    left_out = {finding.observed for finding in excluded.of_status(WARNING)}
    assert left_out == {"left out of the audit: holds nothing", "left out of the audit: made by hand"}
    assert {finding.subject.rpartition(":")[2] for finding in narrowed.findings} == {"orders"}


def test_tables_with_recovery_are_asked_for_once_each_and_aws_backup_never(cloud: Cloud, front: Front) -> None:
    for number in range(12):
        table(cloud, f"t{number}", recovers=True)
    front.asked.clear()

    result = look(cloud, check="table")

    assert len(result.of_status(PASS)) == 12
    assert front.count("dynamodb.DescribeContinuousBackups") == 12
    assert front.count("backup GET /resources/") == 0


def test_tables_without_recovery_share_one_listing_of_what_is_protected(cloud: Cloud, front: Front) -> None:
    made = datetime.now(UTC).timestamp() - 3600
    for name in ("a", "b", "c"):
        table(cloud, name, recovers=False)
    front.answers["backup GET /resources/"] = lambda asked: json_answer(
        {
            "Results": [
                {"ResourceArn": f"arn:aws:dynamodb:{REGION}:1:table/{name}", "LastBackupTime": made} for name in "ab"
            ]
        }
    )
    front.asked.clear()

    result = look(cloud, check="table")

    assert names(result, FAIL) == {f"c (prod/{REGION})"}
    assert front.count("backup GET /resources/") == 1


def test_jobs_that_other_plans_began_do_not_count(cloud: Cloud, front: Front) -> None:
    ended = datetime.now(UTC).timestamp() - 3600
    strange = {"ResourceArn": "arn:a", "State": "COMPLETED", "CreationDate": ended, "CompletionDate": ended}
    backup_plan(cloud, front, {**strange, "CreatedBy": {"BackupPlanId": "other"}}, {**strange, "CreatedBy": {}})

    result = look(cloud, check="plan")

    assert [finding.observed for finding in result.of_status(FAIL)] == ["no job has finished in 7 days"]


def test_a_plan_must_copy_to_another_region_where_that_is_asked_for(cloud: Cloud, front: Front) -> None:
    ended = datetime.now(UTC).timestamp() - 3600
    backup_plan(
        cloud,
        front,
        {"ResourceArn": "arn:a", "State": "COMPLETED", "CreationDate": ended, "CompletionDate": ended},
        copies=[{"DestinationBackupVaultArn": f"arn:aws:backup:eu-west-1:{cloud.account_id}:backup-vault:safe"}],
    )

    result = look(cloud, check="plan", parameters={"elsewhere": True})

    assert result.status is Status.PASS, result.reason
    assert len(result.of_status(PASS)) == 2


def test_denied_jobs_are_an_error_of_the_plan(cloud: Cloud, front: Front) -> None:
    backup_plan(cloud, front)
    front.answers["backup GET /backup-jobs/"] = lambda asked: denial("backup:ListBackupJobs")

    result = look(cloud, check="plan")

    assert result.status is Status.ERROR
