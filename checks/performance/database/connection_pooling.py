"""The service reuses its connections, and leaves the server some to spare.

Pass          sessions of applications are old or last for `min_session_s` on average, all sessions together take `headroom` of the server's connections or less, and none lingers in a transaction
Fail          sessions are opened anew all the time; sessions take more than `headroom` of what the server or the database allows, or the pools named in `pools` could; a pool or an RDS proxy lets callers wait for longer than `max_wait_s`; an RDS proxy has no healthy target; a session is idle in a transaction for longer than `max_idle_in_transaction_s`, or more than `max_idle_in_transaction_share` of them are; a pool in the code is made anew for each call, has no limit or one above `max_pool_size`, or lets callers wait for longer than `max_wait_s`
Inconclusive  no session of an application was there on one database; sessions are young, and the counters do not tell whether that is their habit; some are kept, and others opened anew all the time
Error         the role is not in `pg_monitor`; `pools` names a database that is not declared; AWS refused to tell of its proxies
Needs         membership in `pg_monitor`, CONNECT on the database; `rds:DescribeDBProxies`, `DescribeDBProxyTargetGroups`, `DescribeDBProxyTargets` where an AWS account is declared; a checkout of the code where a repository is
Source        the guide, Database; OWASP ASVS v5.0.0-13.1.2 and -13.2.6; https://www.postgresql.org/docs/current/runtime-config-connection.html

What is in `pools` is a person's word, an RDS proxy may stand unused, and code may not be what runs: all three may fail the item, and pass nothing. From PostgreSQL 14 on the server counts sessions and their time; before, the age of those that are open decides. The audit's own session is left out. A replica to which nothing is connected stands by: it is warned of, and holds back nothing. A database that is rightly idle is named in `exclude`. Behind a pooler such as PgBouncer the sessions are the pooler's.
In code, the pools of pg, knex, Sequelize, TypeORM, Prisma, SQLAlchemy, psycopg, asyncpg, database/sql, pgxpool and HikariCP are looked for, and followed one level; their own defaults count (pg waits without a limit, database/sql has none). What comes from elsewhere is warned of, and so is a pool that keeps no connection, which is sound behind a pooler alone.
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, field_validator

from quub_audit.checks.performance.api_client._calls import made_per_call
from quub_audit.checks.performance.database._catalogue import Row, left_out, stats_age_h
from quub_audit.checks.performance.database._pools import FACTORY, SCRIPTS, CodePool, find_pools
from quub_audit.sdk import (
    Aws,
    Database,
    Environment,
    Finding,
    Grade,
    Parameters,
    Postgres,
    Region,
    Repositories,
    Repository,
    check,
    cut,
    subjects,
    unread,
)

MOMENT_S = 5.0
"""Seconds for which a session may be between two statements of a transaction without idling in it."""


PROXY_WAIT_S = 120
"""`ConnectionBorrowTimeout` of a proxy that does not say. Seconds.
https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_ConnectionPoolConfiguration.html
"""


class Pool(BaseModel):
    """One pool of connections, as its configuration says."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    name: str = Field(min_length=1)
    """What it is called in reports."""

    max_connections: int = Field(gt=0)
    """Most connections of one pool, overflow included."""

    processes: int = Field(default=1, gt=0)
    """Processes that each have such a pool, at the most that autoscaling allows; a Lambda has one an instance."""

    wait_timeout_s: float | None = Field(default=None, ge=0)
    """Seconds for which a caller waits for a free connection; 0 or nothing for no limit."""


class PoolingParameters(Parameters):
    """What the checklist may set under `with:`."""

    headroom: float = Field(default=0.8, gt=0, le=1)
    """Largest ratio of the connections open to roles that may be taken, 0 to 1."""

    min_session_s: float = Field(default=300, gt=0)
    """Seconds from which on a session counts as reused."""

    min_sessions: int = Field(default=100, ge=1)
    """Count of sessions below which the server's own average tells no habit."""

    min_stats_age_h: float = Field(default=1, ge=0)
    """Hours of statistics below which they tell no habit."""

    max_idle_in_transaction_s: float = Field(default=300, gt=0)
    """Longest time that a session may be idle in a transaction, seconds."""

    max_idle_in_transaction_share: float = Field(default=0.05, ge=0, le=1)
    """Largest ratio of sessions that are idle in a transaction, 0 to 1."""

    max_wait_s: float = Field(default=30, gt=0)
    """Longest wait for a free connection that a pool of `pools` or of the code, or an RDS proxy, may allow, seconds."""

    max_pool_size: int = Field(default=100, gt=0)
    """Most connections of one pool in the code. A PostgreSQL takes 100 in all, unless it is told otherwise."""

    exclude: Mapping[str, str] = {}
    """Databases whose sessions are not judged, by their names in environments.yaml, each with the reason, which the report shows: one that jobs use at night, or whose short sessions are those of a monitor."""  # noqa: E501  one paragraph of the page

    exclude_applications: str = r"(?i)^(psql|pg_dump|pg_basebackup|pgadmin|dbeaver|datadog|postgres_exporter)"
    """Regular expression of names of applications that are no part of the service; found in `application_name`."""

    pools: Mapping[str, tuple[Pool, ...]] = {}
    """The service's pools, by the name of the database in environments.yaml."""

    @field_validator("exclude_applications")
    @classmethod
    def _is_readable(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"{value!r} is no regular expression: {error}") from error
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredPools:
    """The pools that the checklist names for one database."""

    database: Database | None
    """None where the environment declares no database of that name."""
    database_name: str
    pools: tuple[Pool, ...]

    def __str__(self) -> str:
        return f"{self.database_name}: pools"


@subjects(each=Environment)
def declared_pools(environment: Environment, wanted: PoolingParameters) -> Iterator[DeclaredPools]:
    """For each database that the checklist names pools of."""
    by_name = {database.name: database for database in environment.databases}
    for name, pools in wanted.pools.items():
        yield DeclaredPools(database=by_name.get(name), database_name=name, pools=pools)


@check("Declared pools fit into the server's connections", each=declared_pools, grade=Grade.HUMAN)
def pools(subject: DeclaredPools, postgres: Postgres, wanted: PoolingParameters) -> Iterator[Finding]:
    """One finding for all pools of a database together, and a fail for each that waits for too long."""
    if subject.database is None:
        yield Finding.error(
            subject=str(subject),
            message=f"{subject}: the environment declares no database {subject.database_name}",
            next_step="correct the name under `pools`, or declare the database in environments.yaml",
        )
        return
    yield from judge_pools(str(subject), subject.pools, postgres.rows(subject.database, "limits")[0], wanted)


@check("Sessions are reused and leave connections to spare", each=Database)
def sessions(subject: Database, postgres: Postgres, wanted: PoolingParameters) -> Iterator[Finding]:
    """A fail for each fault, or one pass for all."""
    excluded = left_out(subject.name, wanted.exclude)
    if excluded:
        yield excluded
        return
    told, limits = postgres.rows(subject, "sessions"), postgres.rows(subject, "limits")[0]
    timeouts = postgres.rows(subject, "role_timeouts")
    faults = [
        *judge_capacity(subject.name, told, limits, wanted),
        *judge_transactions(subject.name, applications(told, wanted), limits, timeouts, wanted),
    ]
    yield from faults
    reuse = judge_reuse(
        subject.name,
        applications(told, wanted),
        postgres.rows(subject, "statistics"),
        wanted,
        is_replica=bool(postgres.rows(subject, "identity")[0]["is_replica"]),
    )
    if not (faults and reuse.status.value == "pass"):
        yield reuse


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """One RDS proxy, as rds.DescribeDBProxies tells of it."""

    region: Region
    name: str
    arn: str
    status: str
    is_tls_required: bool

    def __str__(self) -> str:
        return self.name


@subjects(each=Region, permissions=["rds:DescribeDBProxies"])
def proxies(region: Region, aws: Aws) -> Iterator[Proxy]:
    """Every proxy for PostgreSQL that is not on its way out."""
    for told in aws.ask("rds.DescribeDBProxies", region=region).get("DBProxies", ()):
        if told.get("EngineFamily") == "POSTGRESQL" and told.get("Status") != "deleting":
            yield Proxy(
                region=region,
                name=told["DBProxyName"],
                arn=told.get("DBProxyArn", ""),
                status=told.get("Status", ""),
                is_tls_required=told.get("RequireTLS") is True,
            )


@check(
    "RDS proxies have healthy targets and bounded waits",
    each=proxies,
    permissions=["rds:DescribeDBProxyTargetGroups", "rds:DescribeDBProxyTargets"],
)
def proxy(subject: Proxy, aws: Aws, wanted: PoolingParameters) -> Iterator[Finding]:
    """A fail for each fault, or one pass."""
    region, name = subject.region, subject.name
    groups = aws.ask("rds.DescribeDBProxyTargetGroups", region=region, DBProxyName=name).get("TargetGroups", ())
    targets = aws.ask("rds.DescribeDBProxyTargets", region=region, DBProxyName=name).get("Targets", ())
    yield from judge_proxy(subject, groups, targets, wanted)


@check("Pools in the code are made once, and bound their size and the wait", each=Repository)
def code(subject: Repository, repositories: Repositories, wanted: PoolingParameters) -> Iterator[Finding]:
    """One finding for each pool, and for each connection that is opened without one."""
    found = find_pools(subject, repositories)
    for pool in found.pools:
        yield from judge_code(subject.name, pool, wanted)
    yield from unread(subject.name, found.unreadable)


def judge_code(repository: str, pool: CodePool, wanted: PoolingParameters) -> Iterator[Finding]:
    """A fail for the faults of a pool, a warning where the code does not tell, else a pass.

    Nothing for a connection without a pool that is kept: one is what listening to notifications takes.
    """
    site = pool.site
    how_often = "" if SCRIPTS.search(site.location.file) else made_per_call(site)
    if how_often and not site.is_in_loop and FACTORY.search(site.within):
        how_often = None
    if not pool.is_pool and not how_often:
        return
    faults = [how_often] if how_often else []
    if pool.max_connections is not None and pool.max_connections > wanted.max_pool_size:
        faults.append(_connections(pool.max_connections))
    if pool.wait_s is not None and pool.wait_s > wanted.max_wait_s:
        faults.append(_wait(pool.wait_s))
    is_told = how_often is not None and pool.max_connections is not None and pool.wait_s is not None
    subject = f"{repository}:{site.location}"
    expected = f"made once, {wanted.max_pool_size} connections or fewer, waits of {wanted.max_wait_s:g} s or less"
    told = [_connections(pool.max_connections), _wait(pool.wait_s)]
    if how_often is None:
        told.insert(0, f"how often {site.within or 'the function'} makes it is not told")
    if not pool.keeps_connections:
        told = ["keeps no connection, which is sound behind a pooler alone"]
    if not faults and not (is_told and pool.keeps_connections):
        yield Finding.warning(
            subject=subject, observed=f"{site.shown}: {', '.join(told)}", expected=expected, location=site.location
        )
        return
    yield Finding.of(
        not faults,
        subject=subject,
        observed=f"{site.shown}: {', '.join(faults or told)}",
        expected=expected,
        message=f"{subject} {', '.join(faults)}; share one pool in the process, and bound its size and the wait"
        if faults
        else "",
        location=site.location,
    )


def _connections(count: float | None) -> str:
    if count is None:
        return "its size is not told"
    return "connections without a limit" if math.isinf(count) else f"up to {count:g} connections"


def _wait(seconds: float | None) -> str:
    if seconds is None:
        return "how long callers wait is not told"
    return "callers wait without a limit" if math.isinf(seconds) else f"callers wait {seconds:g} s"


def applications(told: Sequence[Row], wanted: PoolingParameters) -> tuple[Row, ...]:
    """Sessions of the service in this database."""
    return tuple(
        row for row in told if row["is_here"] and not re.search(wanted.exclude_applications, row["application"])
    )


def judge_pools(subject: str, pools: Sequence[Pool], limits: Row, wanted: PoolingParameters) -> Iterator[Finding]:
    """Whether all pools at their largest fit, and a fail for each that waits without a limit or for too long."""
    for pool in pools:
        if not pool.wait_timeout_s or pool.wait_timeout_s > wanted.max_wait_s:
            yield Finding.of(
                False,
                subject=f"{subject}: {pool.name}",
                observed=f"waits {pool.wait_timeout_s:g} s" if pool.wait_timeout_s else "waits without a limit",
                expected=f"{wanted.max_wait_s:g} s or less",
                message=f"{subject}: {pool.name}: bound the wait for a free connection, so that callers fail in time",
            )
    total = sum(pool.max_connections * pool.processes for pool in pools)
    limit = usable(limits)
    if pools:
        yield Finding.of(
            total <= wanted.headroom * limit,
            subject=subject,
            observed=f"up to {total} connections ({cut(_sizes(pools))}), of {limit}",
            expected=f"{int(wanted.headroom * limit)} or less ({wanted.headroom:.0%} of {limit})",
            message=f"{subject}: make the pools smaller, or put a pooler in transaction mode or RDS Proxy between"
            if total > wanted.headroom * limit
            else "",
        )


def _sizes(pools: Sequence[Pool]) -> Iterator[str]:
    for pool in pools:
        yield f"{pool.name} {pool.max_connections} x {pool.processes}"


def judge_proxy(
    proxy: Proxy, groups: Sequence[Row], targets: Sequence[Row], wanted: PoolingParameters
) -> Iterator[Finding]:
    """A fail where no target is available or a caller may wait for too long, a warning where plaintext is let in."""
    states = sorted({str((target.get("TargetHealth") or {}).get("State", "unknown")) for target in targets})
    is_up = proxy.status == "available" and "AVAILABLE" in states
    waits = [_borrow_timeout_s(group) for group in groups]
    waits_s = max(waits, default=PROXY_WAIT_S)
    observed = f"{proxy.status}, targets {cut(states) or 'none'}, callers wait {waits_s} s"
    expected = f"available, with an available target, waits of {wanted.max_wait_s:g} s or less"
    mend = [] if is_up else ["register a target and look at its TargetHealth"]
    if waits_s > wanted.max_wait_s:
        mend.append("lower ConnectionBorrowTimeout")
    yield Finding.of(
        not mend,
        subject=proxy.arn or proxy.name,
        observed=observed,
        expected=expected,
        message=f"{proxy.name}: {' and '.join(mend)}" if mend else "",
    )
    if not proxy.is_tls_required:
        yield Finding.warning(
            subject=f"{proxy.arn or proxy.name}, TLS",
            observed="clients may connect without TLS",
            expected="RequireTLS",
            message=f"{proxy.name}: set RequireTLS",
        )


def _borrow_timeout_s(group: Row) -> int:
    told = (group.get("ConnectionPoolConfig") or {}).get("ConnectionBorrowTimeout")
    return PROXY_WAIT_S if told is None else int(told)


def usable(limits: Row) -> int:
    """Connections that roles other than superusers may take in this database."""
    open_to_all = int(limits["max_connections"] - limits["reserved_connections"])
    of_database = int(limits["database_limit"])
    return min(open_to_all, of_database) if of_database >= 0 else open_to_all


def judge_capacity(database: str, told: Sequence[Row], limits: Row, wanted: PoolingParameters) -> Iterator[Finding]:
    """A fail where sessions take too many of the server's connections, or of the database's."""
    on_server = sum(row["sessions"] for row in told)
    here = sum(row["sessions"] for row in told if row["is_here"])
    of_server = int(limits["max_connections"] - limits["reserved_connections"])
    places = [(f"{database}: connections of the server", on_server, of_server)]
    if limits["database_limit"] >= 0:
        places.append((f"{database}: connections of the database", here, int(limits["database_limit"])))
    for subject, taken, limit in places:
        if taken > wanted.headroom * limit:
            yield Finding.of(
                False,
                subject=subject,
                observed=f"{taken} of {limit} are taken",
                expected=f"{int(wanted.headroom * limit)} or less ({wanted.headroom:.0%} of {limit})",
                message=f"{subject}: make the pools smaller, or put a pooler in transaction mode or RDS Proxy between",
            )


def judge_transactions(
    database: str, told: Sequence[Row], limits: Row, timeouts: Sequence[Row], wanted: PoolingParameters
) -> Iterator[Finding]:
    """A fail for each application that idles in a transaction for too long, and one where too many sessions do."""
    worst = {_who(row): row for row in sorted(told, key=lambda row: float(row["longest_idle_in_transaction_s"]))}
    for who, row in sorted(worst.items()):
        longest_s = row["longest_idle_in_transaction_s"]
        if longest_s > wanted.max_idle_in_transaction_s:
            subject = f"{database}: {who}"
            bound = "a timeout is set" if is_bounded(row["role"], limits, timeouts) else "no timeout would end it"
            yield Finding.of(
                False,
                subject=subject,
                observed=f"idle in a transaction for {longest_s:.0f} s; {bound}",
                expected=f"{wanted.max_idle_in_transaction_s:g} s or less",
                message=f"{subject}: it holds locks and a connection and keeps rows from being cleaned up; end "
                "transactions before other work, and set idle_in_transaction_session_timeout for the role",
            )
    total = sum(row["sessions"] for row in told)
    lingering = sum(row["idle_in_transaction"] for row in told if row["longest_idle_in_transaction_s"] > MOMENT_S)
    if total and lingering / total > wanted.max_idle_in_transaction_share:
        yield Finding.of(
            False,
            subject=f"{database}: transactions",
            observed=f"{lingering} of {total} sessions are idle in a transaction",
            expected=f"{wanted.max_idle_in_transaction_share:.0%} or less",
            message=f"{database}: connections wait inside transactions while the service does other work; commit first",
        )


def is_bounded(role: str, limits: Row, timeouts: Sequence[Row]) -> bool:
    """Whether idle_in_transaction_session_timeout is other than 0 for the role.

    The role's own setting in this database counts first, then the role's, then the database's, then the server's.
    """
    named = [row for row in timeouts if row["name"] == "idle_in_transaction_session_timeout"]
    for owner, is_for_database in ((role, True), (role, False), ("", True)):
        for row in named:
            if row["role"] == owner and row["is_for_database"] is is_for_database:
                return re.fullmatch(r"0+\s*[a-z]*", row["value"]) is None
    return bool(limits["idle_in_transaction_session_timeout_ms"])


def judge_reuse(
    database: str, told: Sequence[Row], statistics: Sequence[Row], wanted: PoolingParameters, *, is_replica: bool
) -> Finding:
    """A pass where sessions are old and no habit of opening new ones is counted, a fail where they are young by habit;
    undecided where that cannot be told, but for a replica to which nothing is connected, as one that stands by.
    """
    subject = f"{database}: sessions"
    expected = f"sessions of {wanted.min_session_s:g} s or more"
    if not told:
        observed = "no application is connected"
        if is_replica:
            return Finding.warning(subject=subject, observed=f"{observed} to a replica", expected=expected)
        return Finding.undecided(
            subject=subject,
            observed=observed,
            expected=expected,
            next_step=f"audit while the service runs, with the database that it uses, or name {database} in `exclude` "
            "with a reason",
        )
    median_s, count = median_age_s(told), sum(row["sessions"] for row in told)
    is_old = median_s >= wanted.min_session_s
    mean_s = mean_session_s(statistics, wanted)
    is_habit = mean_s is not None and mean_s < wanted.min_session_s
    counted = f"; on average they last {mean_s:.3g} s" if mean_s is not None else ""
    observed = f"{count} of {cut(sorted({_who(row) for row in told}))}, median age {median_s:.0f} s{counted}"
    if is_old != is_habit:
        return Finding.of(
            is_old,
            subject=subject,
            observed=observed,
            expected=expected,
            message="" if is_old else f"{database}: connections are opened anew for each piece of work; keep a pool",
        )
    return Finding.undecided(
        subject=subject,
        observed=observed,
        expected=expected,
        message=f"{database}: some sessions are kept, and somebody opens new ones all the time"
        if is_old
        else f"{database}: the sessions are young, and whether that is their habit is not told",
        next_step=f"find out who, and let it keep a pool, or name {database} in `exclude` with a reason"
        if is_old
        else "audit again when the service has run for a while",
    )


def median_age_s(told: Sequence[Row]) -> float:
    """Of all sessions, from the medians of their groups; 0 for none."""
    ages = sorted(age for row in told for age in [float(row["median_age_s"])] * row["sessions"])
    return ages[len(ages) // 2] if ages else 0.0


def mean_session_s(statistics: Sequence[Row], wanted: PoolingParameters) -> float | None:
    """How long sessions last on average; None before PostgreSQL 14, and where too few were counted or for too short."""
    age_h = stats_age_h(statistics)
    if age_h is None or age_h < wanted.min_stats_age_h or statistics[0]["sessions"] is None:
        return None
    count, time_s = statistics[0]["sessions"], statistics[0]["session_time_s"]
    return float(time_s / count) if count >= wanted.min_sessions else None


def _who(row: Row) -> str:
    """Without the client's address: addresses come and go, waivers should not."""
    return f"{row['role']} ({row['application']})" if row["application"] else str(row["role"])
