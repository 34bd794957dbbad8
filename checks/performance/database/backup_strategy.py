"""Whatever the service stores is backed up by itself, recently, often enough, and for long enough.

Pass          each RDS database and each cluster can be restored to within `rpo_min` minutes of now and keeps automated backups for `retention_days`; each DynamoDB table has point-in-time recovery or a recent recovery point; each plan of AWS Backup selects something and its newest jobs came through within `max_age_h`; below each declared prefix each series of dumps has a newest one that is young, whole, and one of enough; a PostgreSQL that archives its log lets no segment wait for longer than `rpo_min`, where `backups` says what the log continues
Fail          automated backups are off or too short, or restoring lags behind; a table has neither; a plan selects nothing, makes no backup, or a resource's newest job failed, or none of its rules copies elsewhere although `elsewhere` asks for it; there is no dump, or the newest is too old, nearly empty, or less than `min_size_ratio` of what is usual; dumps of whole days are missing; a PostgreSQL that is to archive its log fails to, archives to nowhere, or lags behind
Inconclusive  there is no database, no table, no plan and no declared bucket of dumps; `backups` names none, and of a PostgreSQL outside RDS no backup is seen, since it archives no log, nothing yet, or one without a base; RDS cannot use the key of a database
Error         a listing could not be looked at; a declared bucket that does not exist; an answer without what it should say
Needs         `rds:DescribeDBInstances`, `DescribeDBClusters`, `dynamodb:ListTables`, `DescribeContinuousBackups`, `backup:ListBackupPlans`, `GetBackupPlan`, `ListBackupSelections`, `ListBackupJobs`, `ListProtectedResources`; for declared buckets `s3:ListBucket`; for declared databases outside RDS membership in `pg_monitor`
Source        the guide, Database, and its backups: daily at 02:00, 30 kept; AWS Well-Architected, REL 9; CIS AWS Foundations, RDS; PCI DSS 4.0.1, 9.4.1; https://www.postgresql.org/docs/current/continuous-archiving.html

Dumps of one series have names that differ in digits alone. A pipe such as `pg_dump | gzip | aws s3 cp` uploads an empty archive of 20 bytes where the dump fails and the shell has no `pipefail`: it is told by its size. A young series with fewer dumps than are to be kept is a warning.
An archived log restores nothing without a base backup to begin from, of which the server knows nothing: it passes only where `backups` names the place of one.
Warned of: a database or cluster that can be deleted in one step, a stopped one, a plan that copies to no other region or account, a PostgreSQL that archives no log, or none until a segment of it is full, and what `exclude` leaves out. What backs up a database by itself elsewhere is said there, as the reason.
Not seen: whether a backup can be restored, copies that no plan makes, and databases that run elsewhere and are dumped to elsewhere. Encryption and deletion have items of their own.
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

import fnmatch
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from pydantic import Field

from quub_audit.sdk import (
    Aws,
    BackupBucket,
    BackupPlan,
    Clock,
    Database,
    Environment,
    Finding,
    Parameters,
    Postgres,
    Region,
    backup_plans,
    check,
    cut,
    database_clusters,
    database_instances,
    subjects,
)

STOPPED = ("stopped", "stopping", "inaccessible-encryption-credentials-recoverable")
"""States of a database in which nothing is written, so that nothing new can be restored; in the last one RDS has lost
the key, and what was kept cannot be read until it has it again.
"""

UNFINISHED = ("CREATED", "PENDING", "RUNNING", "ABORTING")
"""States of a job that tell nothing yet."""

USUAL = 7
"""Dumps before the newest, of which the median is what is usual."""

MOST_SERIES = 50
"""Series below one prefix that are told apart; names that differ more are no series."""

JOBS_OF = timedelta(days=7)
"""How far back jobs are looked at: a weekly plan has one."""

_ID = re.compile(r"[0-9a-fA-F]{8}(?:-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}|[0-9a-f]{16,}|\d+")


class BackupStrategyParameters(Parameters):
    """What the checklist may set under `with:`."""

    max_age_h: float = Field(default=26, gt=0)
    """Hours since the newest dump or job. The guide: daily at 02:00; house rule: two hours to come through."""

    retention_days: int = Field(default=30, ge=1, le=35)
    """Days for which automated backups are kept, and dumps. The guide; RDS takes 35 at most."""

    rpo_min: float = Field(default=15, gt=0)
    """Minutes of work that may be lost in a database. RDS keeps its log every 300 seconds; house rule: thrice that."""

    min_dump_bytes: int = Field(default=1024, ge=1)
    """Bytes below which a dump is none. An empty archive of gzip has 20, a dump without a table about 500."""

    min_size_ratio: float = Field(default=0.5, ge=0, le=1)
    """The newest dump's share of the median of the seven before it. House rule."""

    elsewhere: bool = False
    """Whether a plan must copy to another region or account, rather than be warned of. AWS Well-Architected, REL 9."""

    only: tuple[str, ...] = ()
    """Globs over names of databases, tables, plans and keys of dumps that are judged; everything when empty."""

    exclude: Mapping[str, str] = {}
    """Globs over the same names of what is not judged, each with the reason, which the report shows."""

    def leaves_out(self, name: str) -> tuple[Finding, ...] | None:
        """None for what is judged; else what is said of it: a warning where `exclude` names it, or nothing."""
        if self.only and not any(fnmatch.fnmatchcase(name, glob) for glob in self.only):
            return ()
        reason = next((reason for glob, reason in self.exclude.items() if fnmatch.fnmatchcase(name, glob)), None)
        if reason is None:
            return None
        return (Finding.warning(subject=name, observed=f"left out of the audit: {reason or 'no reason given'}"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """A database of RDS, or a cluster, as far as its automated backups go."""

    name: str
    arn: str
    state: str
    retention_days: int | None
    restorable_until: datetime | None
    is_guarded: bool | None
    """`DeletionProtection`; None where the answer does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One DynamoDB table."""

    region: Region
    name: str

    def __str__(self) -> str:
        return f"{self.name} ({self.region})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dump:
    """One object below a declared prefix."""

    key: str
    made_at: datetime
    size: int
    """Bytes."""


# Databases of RDS


@check("Databases of RDS can be restored to the last minutes", each=Region, permissions=["rds:DescribeDBInstances"])
def database(subject: Region, aws: Aws, clock: Clock, wanted: BackupStrategyParameters) -> Iterator[Finding]:
    """Automated backups of instances; replicas and members of clusters are backed up elsewhere."""
    for found in database_instances(subject, aws):
        store = read_store(found, of="DBInstance", state="DBInstanceStatus")
        left_out = wanted.leaves_out(store.name)
        yield from judge_store(store, clock.now(), wanted) if left_out is None else left_out


@check("Database clusters can be restored to the last minutes", each=Region, permissions=["rds:DescribeDBClusters"])
def cluster(subject: Region, aws: Aws, clock: Clock, wanted: BackupStrategyParameters) -> Iterator[Finding]:
    """Aurora, Multi-AZ, DocumentDB and Neptune; a replica of another cluster is backed up with that."""
    for found in database_clusters(subject, aws):
        if found.get("ReplicationSourceIdentifier"):
            continue
        store = read_store(found, of="DBCluster", state="Status")
        left_out = wanted.leaves_out(store.name)
        yield from judge_store(store, clock.now(), wanted) if left_out is None else left_out


def read_store(found: Mapping[str, Any], *, of: str, state: str) -> Store:
    """An entry of `DBInstances` or `DBClusters`."""
    name = str(found[f"{of}Identifier"])
    days = found.get("BackupRetentionPeriod")
    return Store(
        name=name,
        arn=str(found.get(f"{of}Arn") or name),
        state=str(found.get(state) or "unknown"),
        retention_days=None if days is None else int(days),
        restorable_until=found.get("LatestRestorableTime"),
        is_guarded=found.get("DeletionProtection"),
    )


def judge_store(store: Store, now: datetime, wanted: BackupStrategyParameters) -> Iterator[Finding]:
    """How long backups are kept, and how far behind now the newest point is to which it can be restored."""
    expected = (
        f"automated backups kept for {wanted.retention_days} days or more, restorable to within {wanted.rpo_min:g} min"
    )
    if store.retention_days is None:
        yield Finding.error(subject=store.arn, message=f"{store.name}: RDS does not say how long backups are kept")
        return
    if store.retention_days == 0:
        yield Finding.of(False, subject=store.arn, observed="automated backups are off", expected=expected)
        return
    kept = f"automated backups kept for {days(store.retention_days)}"
    is_long = store.retention_days >= wanted.retention_days
    if store.state in STOPPED:
        if is_long and store.state.startswith("inaccessible"):
            yield Finding.undecided(
                subject=store.arn,
                observed=f"{kept}; it is {store.state}, so none can be read",
                expected=expected,
                next_step=f"{store.name}: enable its key of KMS, or the grant on it, and start it within seven days",
            )
        elif is_long:
            yield Finding.warning(subject=store.arn, observed=f"{kept}; it is {store.state}, so nothing new is secured")
        else:
            yield Finding.of(False, subject=store.arn, observed=kept, expected=expected)
    elif store.restorable_until is None:
        yield Finding.of(False, subject=store.arn, observed=f"{kept}; no point to restore to yet", expected=expected)
    else:
        lag = max(now - store.restorable_until, timedelta())
        observed = f"{kept}, restorable to {span(lag)} ago"
        is_recent = lag <= timedelta(minutes=wanted.rpo_min)
        yield Finding.of(is_long and is_recent, subject=store.arn, observed=observed, expected=expected)
    if store.is_guarded is False:
        yield Finding.warning(
            subject=store.arn, observed="can be deleted in one step", expected="deletion protection is on"
        )


# Tables


@subjects(each=Region, permissions=["dynamodb:ListTables"])
def tables(region: Region, aws: Aws) -> Iterator[Table]:
    """Every DynamoDB table of the region."""
    for name in aws.ask("dynamodb.ListTables", region=region).get("TableNames", ()):
        yield Table(region=region, name=name)


@check(
    "DynamoDB tables can be restored",
    each=tables,
    permissions=["backup:ListProtectedResources", "dynamodb:DescribeContinuousBackups"],
)
def table(subject: Table, aws: Aws, clock: Clock, wanted: BackupStrategyParameters) -> Iterator[Finding]:
    """Point-in-time recovery; where that is off, a recent recovery point of AWS Backup will do."""
    left_out = wanted.leaves_out(subject.name)
    if left_out is not None:
        yield from left_out
        return
    answer = aws.find("dynamodb.DescribeContinuousBackups", region=subject.region, TableName=subject.name)
    if answer is None:
        return
    recovery = (answer.get("ContinuousBackupsDescription") or {}).get("PointInTimeRecoveryDescription") or {}
    if recovery.get("PointInTimeRecoveryStatus") == "ENABLED":
        yield judge_recovery(str(subject), recovery, wanted)
        return
    protected = aws.ask("backup.ListProtectedResources", region=subject.region).get("Results", ())
    yield judge_protected(subject, last_backup(subject.name, protected), clock.now(), wanted)


def judge_recovery(subject: str, recovery: Mapping[str, Any], wanted: BackupStrategyParameters) -> Finding:
    """`RecoveryPeriodInDays`, which is 35 where the answer does not say. DynamoDB lags five minutes at most."""
    period = int(recovery.get("RecoveryPeriodInDays") or 35)
    return Finding.of(
        period >= wanted.retention_days,
        subject=subject,
        observed=f"point-in-time recovery over {days(period)}",
        expected=f"point-in-time recovery over {wanted.retention_days} days or more",
    )


def last_backup(table: str, protected: Iterable[Mapping[str, Any]]) -> datetime | None:
    """When AWS Backup last took a recovery point of the table."""
    times = [
        each["LastBackupTime"]
        for each in protected
        if str(each.get("ResourceArn", "")).endswith(f":table/{table}") and each.get("LastBackupTime")
    ]
    return max(times, default=None)


def judge_protected(
    subject: Table, backed_up_at: datetime | None, now: datetime, wanted: BackupStrategyParameters
) -> Finding:
    """A table without point-in-time recovery, by its newest recovery point."""
    expected = f"point-in-time recovery, or a recovery point of the last {wanted.max_age_h:g} h"
    observed = "no point-in-time recovery, and no recovery point of AWS Backup"
    if backed_up_at is not None:
        observed = f"no point-in-time recovery; the newest recovery point is {span(now - backed_up_at)} old"
    is_recent = backed_up_at is not None and now - backed_up_at <= timedelta(hours=wanted.max_age_h)
    return Finding.of(is_recent, subject=str(subject), observed=observed, expected=expected)


# Plans


@check(
    "Backup plans select something, and their jobs come through",
    each=backup_plans,
    permissions=["backup:GetBackupPlan", "backup:ListBackupJobs", "backup:ListBackupSelections"],
)
def plan(subject: BackupPlan, aws: Aws, clock: Clock, wanted: BackupStrategyParameters) -> Iterator[Finding]:
    """Its selections, and the jobs of the last week that it began."""
    left_out = wanted.leaves_out(subject.name)
    if left_out is not None:
        yield from left_out
        return
    answer = aws.ask("backup.GetBackupPlan", region=subject.region, BackupPlanId=subject.id)
    rules = (answer.get("BackupPlan") or {}).get("Rules") or ()
    selected = aws.ask("backup.ListBackupSelections", region=subject.region, BackupPlanId=subject.id)
    selections = selected.get("BackupSelectionsList", ())
    jobs: Sequence[Mapping[str, Any]] = ()
    if rules and selections:
        since = clock.now() - JOBS_OF
        listed = aws.ask("backup.ListBackupJobs", region=subject.region, ByCreatedAfter=since)
        jobs = [
            each
            for each in listed.get("BackupJobs", ())
            if (each.get("CreatedBy") or {}).get("BackupPlanId") == subject.id
        ]
    yield from judge_plan(str(subject), len(rules), len(selections), jobs, clock.now(), wanted)
    if rules and selections:
        yield from judge_copies(str(subject), str(answer.get("BackupPlanArn") or ""), rules, wanted)


def judge_plan(
    subject: str,
    rules: int,
    selections: int,
    jobs: Sequence[Mapping[str, Any]],
    now: datetime,
    wanted: BackupStrategyParameters,
) -> Iterator[Finding]:
    """A failure for each resource whose newest finished job did not come through; else one finding for the plan."""
    expected = f"a job that came through within {wanted.max_age_h:g} h"
    if not rules or not selections:
        observed = "the plan has no rule" if not rules else "the plan selects nothing"
        yield Finding.of(False, subject=subject, observed=observed, expected="a plan that backs something up")
        return
    newest = newest_finished(jobs)
    for resource, job in newest.items():
        state = str(job.get("State"))
        if state != "COMPLETED":
            yield Finding.of(
                False,
                subject=resource,
                observed=f"the newest job of {subject} came to {state}{_why(job)}",
                expected=expected,
            )
    done = [_finished_at(job) for job in newest.values() if job.get("State") == "COMPLETED"]
    if not done:
        if not newest:
            observed = f"no job has finished in {days(JOBS_OF.days)}"
            yield Finding.of(False, subject=subject, observed=observed, expected=expected)
        return
    age = now - max(done)
    yield Finding.of(
        age <= timedelta(hours=wanted.max_age_h),
        subject=subject,
        observed=f"the newest job came through {span(age)} ago, {len(done)} of {len(newest)} resources are backed up",
        expected=expected,
    )


def judge_copies(
    subject: str, arn: str, rules: Sequence[Mapping[str, Any]], wanted: BackupStrategyParameters
) -> Iterator[Finding]:
    """Whether a rule of the plan `arn` copies what it backs up to a vault of another region or account."""
    copies = [copy for rule in rules for copy in rule.get("CopyActions") or ()]
    vaults = {str(copy.get("DestinationBackupVaultArn")) for copy in copies}
    here = arn.split(":")[3:5]
    away = [vault for vault in sorted(vaults) if here and vault.count(":") >= 6 and vault.split(":")[3:5] != here]
    observed = f"copies to {cut(away)}" if away else "no rule copies to another region or account"
    expected = "a copy that survives the loss of the region, or of the account"
    if wanted.elsewhere:
        yield Finding.of(bool(away), subject=f"{subject}: copies", observed=observed, expected=expected)
    elif not away:
        yield Finding.warning(subject=f"{subject}: copies", observed=observed, expected=expected)


def newest_finished(jobs: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """By resource, in the order of their names, the newest job that has come to an end."""
    newest: dict[str, Mapping[str, Any]] = {}
    for job in jobs:
        resource = str(job.get("ResourceArn"))
        is_finished = job.get("State") not in UNFINISHED
        if is_finished and (resource not in newest or _finished_at(job) > _finished_at(newest[resource])):
            newest[resource] = job
    return dict(sorted(newest.items()))


def _finished_at(job: Mapping[str, Any]) -> datetime:
    at: datetime = job.get("CompletionDate") or job["CreationDate"]
    return at


def _why(job: Mapping[str, Any]) -> str:
    said = str(job.get("StatusMessage") or "").strip()
    return f": {said[:200]}" if said else ""


# Dumps


@check("Declared dumps are recent, whole and kept", each=BackupBucket, permissions=["s3:ListBucket"])
def dumps(subject: BackupBucket, aws: Aws, clock: Clock, wanted: BackupStrategyParameters) -> Iterator[Finding]:
    """One finding for each series of dumps below the prefix."""
    listed = aws.ask("s3.ListObjectsV2", region=subject.region, Bucket=subject.bucket, Prefix=subject.prefix)
    below = read_dumps(listed.get("Contents", ()))
    left_out: dict[str, Finding] = {}
    found = []
    for dump in below:
        said = wanted.leaves_out(dump.key)
        if said is None:
            found.append(dump)
        left_out |= {finding.observed: finding for finding in said or ()}
    yield from left_out.values()
    if not below:
        yield Finding.of(
            False,
            subject=str(subject),
            observed="there is no dump",
            expected=f"a dump of the last {wanted.max_age_h:g} h",
        )
    for name, series in in_series(found).items():
        yield from judge_series(f"s3://{subject.bucket}/{name}", series, clock.now(), wanted)


def read_dumps(contents: Iterable[Mapping[str, Any]]) -> tuple[Dump, ...]:
    """Objects of a list, newest first; folders, which some tools make as empty objects, left out."""
    found = [
        Dump(key=each["Key"], made_at=each["LastModified"], size=int(each.get("Size") or 0))
        for each in contents
        if not each["Key"].endswith("/")
    ]
    return tuple(sorted(found, key=lambda dump: (dump.made_at, dump.key), reverse=True))


def in_series(found: Sequence[Dump]) -> dict[str, tuple[Dump, ...]]:
    """Dumps whose names differ in numbers and ids alone; each series newest first, in the order of their names.

    More than `MOST_SERIES` are no series: then all are one, under the part that all names begin with.
    """
    grouped: dict[str, list[Dump]] = defaultdict(list)
    for dump in found:
        grouped[_ID.sub("#", dump.key)].append(dump)
    if len(grouped) > MOST_SERIES:
        first, last = min(grouped), max(grouped)
        shared = next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
        return {f"{first[:shared]}*": tuple(found)}
    return {name: tuple(grouped[name]) for name in sorted(grouped)}


def judge_series(
    subject: str, series: Sequence[Dump], now: datetime, wanted: BackupStrategyParameters
) -> Iterator[Finding]:
    """`series` newest first, never empty: age and size of the newest, and how many there are.

    Raises IndexError for an empty series.
    """
    newest = series[0]
    size, age = newest.size, now - newest.made_at
    usual = median(dump.size for dump in series[1 : 1 + USUAL]) if len(series) > 1 else float(size)
    window = [dump for dump in series if now - dump.made_at <= timedelta(days=wanted.retention_days)]
    due = int(wanted.retention_days * 24 // wanted.max_age_h)
    goes_on_for = now - series[-1].made_at
    is_old_enough = goes_on_for >= timedelta(days=wanted.retention_days)
    problems = []
    if age > timedelta(hours=wanted.max_age_h):
        problems.append("it is too old")
    if size < wanted.min_dump_bytes:
        problems.append("it holds nothing")
    elif size < wanted.min_size_ratio * usual:
        problems.append(f"{amount(usual)} is usual")
    if is_old_enough and len(window) < due:
        problems.append(f"dumps are missing: {len(window)} of the last {days(wanted.retention_days)}")
    observed = f"the newest of {len(series)} is {span(age)} old and has {amount(size)}"
    yield Finding.of(
        not problems,
        subject=subject,
        observed="; ".join([observed, *problems]),
        expected=(
            f"a dump of the last {wanted.max_age_h:g} h, {amount(wanted.min_dump_bytes)} or more, "
            f"{wanted.min_size_ratio:.0%} of the usual size or more, {wanted.retention_days} days kept"
        ),
    )
    if not is_old_enough and len(window) < due:
        yield Finding.warning(
            subject=subject,
            observed=f"the oldest dump is {span(goes_on_for)} old",
            expected=f"{days(wanted.retention_days)} of dumps kept",
        )


# The log of a PostgreSQL that its owners run


@check("The log of a database is archived while it is written", each=Database)
def archiver(
    subject: Database, postgres: Postgres, environment: Environment, wanted: BackupStrategyParameters
) -> Iterator[Finding]:
    """What the server says of its archiver; RDS and Aurora keep the log themselves, and are judged above."""
    if subject.instance:
        return
    left_out = wanted.leaves_out(subject.name)
    if left_out is not None:
        yield from left_out
        return
    is_replica = bool(postgres.rows(subject, "identity")[0]["is_replica"])
    told = postgres.rows(subject, "archiver")[0]
    has_base = bool(environment.backups)
    yield from judge_archiver(subject.name, told, wanted, is_replica=is_replica, has_base=has_base)


def judge_archiver(
    database: str, told: Mapping[str, Any], wanted: BackupStrategyParameters, *, is_replica: bool, has_base: bool
) -> Iterator[Finding]:
    """One finding on whether the log leaves the server in time, and a warning where a segment must be full first.

    `told` is a row of the question `archiver`; `has_base` says whether there is a backup that the log continues. Where
    there is none, and the log alone passes nothing, no backup of the database is seen; a replica is backed up with its
    primary.
    """
    subject = f"{database}: archived log"
    expected = f"each segment of the log archived within {wanted.rpo_min:g} min"
    if told["mode"] == "off" or (is_replica and told["mode"] != "always"):
        observed = "this replica archives nothing" if is_replica else "the log is not archived"
        yield _unproven(database, f"{observed}: nothing between two dumps is kept", has_other=has_base or is_replica)
        return
    limit = timedelta(minutes=wanted.rpo_min)
    lag = told["now"] - told["waiting_since"] if told["waiting"] else timedelta()
    archived_at, failed_at = told["archived_at"], told["failed_at"]
    problems = []
    if not told["by"]:
        problems.append("archive_mode is on, with neither archive_command nor archive_library")
    elif told["by"] == "nothing":
        problems.append("archive_command keeps nothing")
    elif failed_at and (archived_at is None or failed_at > archived_at):
        problems.append(f"the archiver has failed {told['failures']} times, and not succeeded since")
    if lag > limit:
        problems.append(f"{told['waiting']} segments wait, the oldest for {span(lag)}")
    if problems:
        yield Finding.of(False, subject=subject, observed="; ".join(problems), expected=expected)
    elif archived_at is None:
        yield _unproven(database, "nothing has been archived yet", has_other=has_base or is_replica)
    elif not has_base:
        yield _unproven(database, "the log is archived, and no base backup is known", has_other=is_replica)
    else:
        ago = span(told["now"] - archived_at)
        yield Finding.of(
            True, subject=subject, observed=f"archived {ago} ago, nothing waits too long", expected=expected
        )
    if not told["timeout_s"] or told["timeout_s"] > limit.total_seconds():
        yield Finding.warning(
            subject=subject,
            observed=f"a segment is archived after {told['timeout_s']} s"
            if told["timeout_s"]
            else "only full segments",
            expected=f"archive_timeout of {limit.total_seconds():.0f} s or less",
        )


def _unproven(database: str, observed: str, *, has_other: bool) -> Finding:
    """A log that passes nothing: advice where something else backs up the database, else undecided."""
    subject, expected = f"{database}: archived log", "a log that is archived, and a base backup that it continues"
    if has_other:
        return Finding.warning(subject=subject, observed=observed, expected=expected)
    return Finding.undecided(
        subject=subject,
        observed=observed,
        expected=expected,
        next_step=f"declare where the dumps of {database} are under `backups`, its `instance` where it is of RDS, or "
        f"say under `exclude` what backs up {database}",
    )


# Wording


def days(number: int) -> str:
    """`1 day`, `30 days`."""
    return f"{number} day{'' if number == 1 else 's'}"


def span(time: timedelta) -> str:
    """`3 min`, `26 h`, `5 days`: the largest unit of which there are two."""
    minutes = max(time, timedelta()).total_seconds() / 60
    if minutes < 120:
        return f"{minutes:.0f} min"
    return f"{minutes / 60:.0f} h" if minutes < 48 * 60 else days(int(minutes // 1440))


def amount(size: float) -> str:
    """`20 bytes`, `1.2 GB`; decimal units."""
    if size < 1000:
        return f"{size:.0f} bytes"
    for unit in ("kB", "MB", "GB"):
        size /= 1000
        if size < 1000:
            return f"{size:.3g} {unit}"
    return f"{size / 1000:.3g} TB"
