"""The statements that take the most time were measured, and each keeps its budget.

Pass          of `top` statements with the most time in all, none is slower on average than `mean_ms` or writes more than `max_temp_bytes` a call to temporary files, in at least `min_calls` calls on at least `min_rows` rows
Fail          one is slower, or spills more; the finding shows its text with every literal struck
Inconclusive  on one database pg_stat_statements is not there, or there were too few calls, too young counters or too few rows, so that nothing was measured that tells about production
Error         the role is not in `pg_monitor`, or may not use the schema of the extension; the extension is created but not preloaded
Needs         membership in `pg_monitor`, CONNECT on the database, USAGE on the schema of pg_stat_statements
Source        the guide, Database; https://www.postgresql.org/docs/current/pgstatstatements.html

Statements of fewer than `min_statement_calls` calls are reports and maintenance: a slow one is a warning. So is a statement whose times scatter so much that the slowest twentieth likely misses `p95_ms`, since an average hides them. Utility statements, and what the audit itself asks, are left out. A replica counts what was asked of itself alone: where that is too little, it is warned of, and holds back nothing, since the primary is judged by itself. A database that is rightly small or idle is named in `exclude`.
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from pydantic import Field, field_validator

from quub_audit.checks.performance.database._catalogue import Row, left_out, rows_of, stats_age_h
from quub_audit.sdk import Database, Finding, Parameters, Postgres, check

NORMAL_P95 = 1.645
"""Standard deviations above the mean within which 95 of 100 values of a normal distribution lie."""


class QueryParameters(Parameters):
    """What the checklist may set under `with:`."""

    mean_ms: float = Field(default=100, gt=0)
    """Longest average time of a statement, milliseconds (ms). House rule."""

    p95_ms: float = Field(default=250, gt=0)
    """Longest estimated time of 95 percent of the calls of a statement, milliseconds (ms). House rule."""

    max_temp_bytes: int = Field(default=16 * 1024 * 1024, ge=0)
    """Most bytes that a call may write to temporary files: sorts and joins that outgrow work_mem."""

    top: int = Field(default=50, ge=1, le=200)
    """Count of statements that are judged, those with the most time in all first."""

    min_statement_calls: int = Field(default=20, ge=1)
    """Count of calls from which on a statement is judged by its average."""

    min_calls: int = Field(default=1000, ge=1)
    """Count of calls of all statements below which nothing was measured."""

    min_rows: int = Field(default=10_000, ge=0)
    """Count of rows of all tables below which times tell nothing about production."""

    min_stats_age_h: float = Field(default=1, ge=0)
    """Hours of statistics below which nothing was measured."""

    exclude: Mapping[str, str] = {}
    """Databases that are not judged, by their names in environments.yaml, each with the reason, which the report shows: one that is small, or barely used."""  # noqa: E501  one paragraph of the page

    exclude_roles: tuple[str, ...] = ()
    """Roles whose statements are not judged: reporting, backup, migration."""

    exclude_queries: str = r"^(?!CALL|FETCH|EXECUTE)[A-Z]+ \.\.\.$"
    """Regular expression of statements that are not judged, found in their texts; utility statements by default."""

    @field_validator("exclude_queries")
    @classmethod
    def _is_readable(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"{value!r} is no regular expression: {error}") from error
        return value


@check("Statements that take the most time keep their budget", each=Database)
def statements(subject: Database, postgres: Postgres, wanted: QueryParameters) -> Iterator[Finding]:
    """A fail for each that does not, or one pass for all."""
    excluded = left_out(subject.name, wanted.exclude)
    if excluded:
        yield excluded
        return
    identity = postgres.rows(subject, "identity")[0]
    is_replica = bool(identity["is_replica"])
    if not identity["statements_version"]:
        yield unmeasured(
            subject.name,
            "pg_stat_statements is not there",
            mend="preload pg_stat_statements, run CREATE EXTENSION, and put load on the database",
            is_replica=is_replica,
        )
        return
    told = postgres.rows(subject, "statements")
    slow = list(judge_statements(subject.name, told, wanted))
    yield from slow
    totals = postgres.rows(subject, "statements_total")
    yield from judge_evictions(subject.name, totals)
    if not any(finding.status.value == "fail" for finding in slow):
        tables = postgres.rows(subject, "tables")
        yield judge_volume(subject.name, told, totals, tables, wanted, is_replica=is_replica)


def unmeasured(database: str, observed: str, *, mend: str, is_replica: bool) -> Finding:
    """Undecided for a primary; a warning for a replica, which may stand by and be asked nothing."""
    subject, expected = f"{database}: statements", "enough calls and rows to tell about production"
    message = f"{database}: nothing was measured that tells about production ({observed})"
    if is_replica:
        return Finding.warning(
            subject=subject, observed=f"{observed}, on a replica", expected=expected, message=message
        )
    next_step = f"{mend}, or name {database} in `exclude` with a reason"
    return Finding.undecided(
        subject=subject, observed=observed, expected=expected, message=message, next_step=next_step
    )


def judged(told: Sequence[Row], wanted: QueryParameters) -> tuple[Row, ...]:
    """The statements that count: `top` by their time in all, without those that are excluded."""
    counted = (
        row
        for row in told
        if row["role"] not in wanted.exclude_roles and not re.search(wanted.exclude_queries, row["query"])
    )
    return tuple(sorted(counted, key=lambda row: (-row["total_ms"], row["id"], row["role"]))[: wanted.top])


def judge_statements(database: str, told: Sequence[Row], wanted: QueryParameters) -> Iterator[Finding]:
    """A fail for each statement over its budget, a warning for those that are rare or scatter; nothing for others."""
    for row in judged(told, wanted):
        subject = f"{database}: statement {row['id']} of {row['role'] or 'a role that is gone'}"
        spilt = row["temp_bytes"] / max(1, row["calls"])
        p95_ms = row["mean_ms"] + NORMAL_P95 * row["stddev_ms"]
        measured = f"mean {_ms(row['mean_ms'])}, longest {_ms(row['max_ms'])}, {row['calls']} calls: {row['query']}"
        expected = f"mean {_ms(wanted.mean_ms)} or less"
        if row["mean_ms"] > wanted.mean_ms and row["calls"] < wanted.min_statement_calls:
            yield Finding.warning(
                subject=subject, observed=measured, expected=f"{expected}, from {wanted.min_statement_calls} calls on"
            )
        elif row["mean_ms"] > wanted.mean_ms:
            yield Finding.of(
                False,
                subject=subject,
                observed=measured,
                expected=expected,
                message=f"{subject}: look at its plan with EXPLAIN (ANALYZE, BUFFERS); index, rewrite or limit it",
            )
        elif spilt > wanted.max_temp_bytes:
            yield Finding.of(
                False,
                subject=subject,
                observed=f"{spilt:.0f} bytes of temporary files a call; {measured}",
                expected=f"{wanted.max_temp_bytes} bytes or less",
                message=f"{subject}: what it sorts or joins outgrows work_mem; index or limit it, or raise work_mem",
            )
        elif p95_ms > wanted.p95_ms and row["calls"] >= wanted.min_statement_calls:
            yield Finding.warning(
                subject=subject,
                observed=f"95% likely within {_ms(p95_ms)} only; {measured}",
                expected=f"95% within {_ms(wanted.p95_ms)}",
            )


def judge_evictions(database: str, totals: Sequence[Row]) -> Iterator[Finding]:
    """A warning where the extension had to forget statements."""
    if totals and totals[0]["evictions"]:
        yield Finding.warning(
            subject=f"{database}: pg_stat_statements",
            observed=f"forgot statements {totals[0]['evictions']} times",
            expected="none forgotten",
            message=f"{database}: raise pg_stat_statements.max, since statements that were forgotten are not judged",
        )


def judge_volume(
    database: str,
    told: Sequence[Row],
    totals: Sequence[Row],
    tables: Sequence[Row],
    wanted: QueryParameters,
    *,
    is_replica: bool,
) -> Finding:
    """A pass where enough was measured, on enough rows and for long enough; else what is `unmeasured`."""
    calls = int(sum(row["calls"] for row in judged(told, wanted)))
    age_h = stats_age_h(totals)
    rows = sum(rows_of(table) or 0 for table in tables if not table["is_partitioned"])
    too_little = []
    if calls < wanted.min_calls:
        too_little.append(f"{calls} calls, expected {wanted.min_calls}")
    if age_h is None or age_h < wanted.min_stats_age_h:
        too_little.append(f"counted for {age_h or 0:.1f} hours, expected {wanted.min_stats_age_h:g}")
    if rows < wanted.min_rows:
        too_little.append(f"about {rows} rows, expected {wanted.min_rows}")
    if too_little or age_h is None:
        mend = "put load on it and audit again" if calls < wanted.min_calls or rows < wanted.min_rows else "audit later"
        return unmeasured(database, "; ".join(too_little), mend=mend, is_replica=is_replica)
    slowest = max(row["mean_ms"] for row in judged(told, wanted))
    return Finding.of(
        True,
        subject=f"{database}: statements",
        observed=f"slowest mean {_ms(slowest)} of {len(judged(told, wanted))} statements, {calls} calls in {age_h:.0f} "
        f"hours, about {rows} rows, on {'a replica' if is_replica else 'the primary'}",
        expected=f"mean {_ms(wanted.mean_ms)} or less",
    )


def _ms(value: float) -> str:
    return f"{value:.3g} ms" if value < 100 else f"{value:.0f} ms"
