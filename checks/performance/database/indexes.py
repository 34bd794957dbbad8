"""Queries find their rows by valid indexes, and foreign keys are covered by one.

Pass          every index is valid, every foreign key of a table of `min_rows` rows or more is covered, large tables are read by index, and every index named in `expected` is there
Fail          an index is invalid and nobody is building it; a foreign key of a large table has no index that begins with its columns; a large table is read from end to end by more than `max_seq_share` of its scans; an index named in `expected` is missing
Inconclusive  no database has tables of users; one has large tables and no index at all. How tables are read is not judged while the statistics are younger than `min_stats_age_h`, as after a failover, or where nothing has been read: that is a warning, since the other judgements need no statistics
Error         the role is not in `pg_monitor`; a large foreign key cannot be told from a small one, since the table was never analysed; `expected` names a database that is not declared
Needs         membership in `pg_monitor`, CONNECT on the database
Source        the guide, Database; https://www.postgresql.org/docs/current/ddl-constraints.html#DDL-CONSTRAINTS-FK and https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY

An index covers a foreign key when it is a B-tree or hash index without expressions among its first columns, these columns are the key's in any order, and it leaves out no row, except those where a column of the key is null. For a partitioned table every partition counts. A replica keeps statistics of its own: what is said of scans is said of the server that was asked. Unused and duplicate indexes are warnings.
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import Field, field_validator

from quub_audit.checks.performance.database._catalogue import Row, rows_of, stats_age_h
from quub_audit.sdk import Database, Environment, Finding, Grade, Parameters, Postgres, check, cut, subjects

COVERING = ("btree", "hash")
"""Access methods that look up equal values."""

DECLARED = re.compile(r"(?:(?P<schema>[^.()]+)\.)?(?P<name>[^.()]+?)\s*(?:\((?P<columns>[^()]+)\))?")
FULL_READ = 0.5
"""Share of `min_rows` below which a sequential scan, on average, was ended early by a LIMIT. No share of the table's
own rows: each worker of a parallel scan is counted as a scan, and a table may have grown since.
"""


class IndexParameters(Parameters):
    """What the checklist may set under `with:`."""

    min_rows: int = Field(default=10_000, ge=1)
    """Rows from which on a table is large: smaller ones are read faster without an index."""

    max_seq_share: float = Field(default=0.1, ge=0, le=1)
    """Largest ratio of sequential scans among all scans of a large table, 0 to 1."""

    min_scans: int = Field(default=100, ge=1)
    """Count of sequential scans below which they are no habit: dumps and reports read whole tables too."""

    min_stats_age_h: float = Field(default=24, ge=0)
    """Hours of statistics that are needed to judge how tables are read."""

    expected: Mapping[str, tuple[str, ...]] = {}
    """Indexes that must be there, by the name of the database in environments.yaml: `orders(customer, created_at)` or `sales.orders(customer)` is any index that begins with these columns, `sales.by_customer` the index of that name."""  # noqa: E501  one paragraph of the page

    @field_validator("expected")
    @classmethod
    def _are_readable(cls, value: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
        for text in (text for texts in value.values() for text in texts):
            if not DECLARED.fullmatch(text.strip()):
                raise ValueError(f"{text!r} is no index; expected `schema.table(column, column)` or `schema.index`")
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedIndex:
    """One index that the checklist names."""

    database: Database | None
    """None where the environment declares no database of that name."""
    database_name: str
    text: str

    def __str__(self) -> str:
        return f"{self.database_name}: {self.text}"


@subjects(each=Environment)
def expected_indexes(environment: Environment, wanted: IndexParameters) -> Iterator[ExpectedIndex]:
    """Every index that the checklist names, in its order."""
    by_name = {database.name: database for database in environment.databases}
    for name, texts in wanted.expected.items():
        for text in texts:
            yield ExpectedIndex(database=by_name.get(name), database_name=name, text=text.strip())


@check("Indexes that the checklist names are there", each=expected_indexes, grade=Grade.LIVE)
def expected(subject: ExpectedIndex, postgres: Postgres) -> Finding:
    """One finding for each index that is named."""
    if subject.database is None:
        return Finding.error(
            subject=str(subject),
            message=f"{subject}: the environment declares no database {subject.database_name}",
            next_step="correct the name under `expected`, or declare the database in environments.yaml",
        )
    return judge_expected(str(subject), subject.text, postgres.rows(subject.database, "indexes"))


@check("Indexes are valid", each=Database)
def valid(subject: Database, postgres: Postgres, wanted: IndexParameters) -> Iterator[Finding]:
    """A fail for each invalid index, or one pass for all."""
    tables = postgres.rows(subject, "tables")
    if tables:
        rows = [rows_of(table) for table in tables if not table["is_partitioned"]]
        has_large = any(each is None or each >= wanted.min_rows for each in rows)
        yield from judge_validity(subject.name, postgres.rows(subject, "indexes"), has_large=has_large)


@check("Foreign keys of large tables are covered by an index", each=Database)
def foreign_keys(subject: Database, postgres: Postgres, wanted: IndexParameters) -> Iterator[Finding]:
    """A fail for each that is not, or one pass for all."""
    keys = postgres.rows(subject, "foreign_keys")
    if keys:
        tables, indexes = postgres.rows(subject, "tables"), postgres.rows(subject, "indexes")
        yield from judge_foreign_keys(subject.name, keys, indexes, tables, wanted)


@check("Large tables are read by index", each=Database)
def scans(subject: Database, postgres: Postgres, wanted: IndexParameters) -> Iterator[Finding]:
    """A fail for each that is read from end to end, or one pass for all."""
    tables, indexes = postgres.rows(subject, "tables"), postgres.rows(subject, "indexes")
    if tables:
        statistics = postgres.rows(subject, "statistics")
        is_replica = bool(postgres.rows(subject, "identity")[0]["is_replica"])
        yield from judge_scans(subject.name, tables, statistics, wanted, is_replica=is_replica)
        yield from judge_duplicates(subject.name, indexes)
        yield from judge_unused(subject.name, tables, indexes, statistics, wanted, is_replica=is_replica)


def judge_expected(subject: str, text: str, indexes: Sequence[Row]) -> Finding:
    """Whether an index of the name, or one that begins with the columns in that order, is there and valid.

    `text` is as `DECLARED` reads it; without a schema it is in `public`. Raises ValueError for anything else.
    """
    declared = DECLARED.fullmatch(text)
    if declared is None:
        raise ValueError(f"{text!r} is no index")
    schema, name = (declared["schema"] or "public").strip(), declared["name"].strip()
    here = [index for index in indexes if index["schema"] == schema]
    if declared["columns"] is None:
        found = [index for index in here if index["index"] == name]
    else:
        columns = tuple(column.strip() for column in declared["columns"].split(","))
        found = [
            index
            for index in here
            if index["table"] == name
            and index["columns"][: len(columns)] == columns
            and (not index["is_partial"] or index["is_only_without_nulls"])
        ]
    usable = [index for index in found if index["is_valid"]]
    if usable:
        observed = f"{cut(sorted(_name(index) for index in usable))} is there"
    else:
        observed = f"{cut(sorted(_name(index) for index in found))} is not valid" if found else "no such index"
    return Finding.of(
        bool(usable),
        subject=subject,
        observed=observed,
        expected="a valid index",
        message="" if usable else f"{subject}: create it with CREATE INDEX CONCURRENTLY",
    )


def judge_validity(database: str, indexes: Sequence[Row], *, has_large: bool = False) -> Iterator[Finding]:
    """A fail for each index that is invalid, a warning for each that is being built, and a pass where all are valid;
    undecided where there is none and a table is large, or of unknown size.
    """
    broken = [index for index in indexes if not index["is_valid"] and not index["is_being_built"]]
    for index in broken:
        subject = f"{database}: {_name(index)}"
        mend = (
            "create it on every partition and attach it"
            if index["is_partitioned"]
            else "drop it and create it again with CREATE INDEX CONCURRENTLY"
        )
        yield Finding.of(
            False,
            subject=subject,
            observed=f"is not valid, on {index['schema']}.{index['table']}",
            expected="valid",
            message=f"{subject}: no query uses the index, and every write may still pay for it; {mend}",
        )
    for index in indexes:
        if not index["is_valid"] and index["is_being_built"]:
            yield Finding.warning(
                subject=f"{database}: {_name(index)}", observed="is being built", expected="valid when it is done"
            )
    tables = {(index["schema"], index["table"]) for index in indexes if index["is_valid"]}
    if not indexes and has_large:
        yield Finding.undecided(
            subject=database,
            observed="has large tables and no index at all",
            expected="indexes",
            next_step="give each table a primary key, and run ANALYZE where sizes are not known",
        )
    elif not indexes:
        yield Finding.warning(subject=database, observed="has small tables and no index at all", expected="indexes")
    elif tables and not broken:
        count = sum(1 for index in indexes if index["is_valid"])
        yield Finding.of(
            True,
            subject=database,
            observed=f"{_count(count, 'index', 'indexes')} of {_count(len(tables), 'table')}, all valid",
            expected="every index valid",
        )


def judge_foreign_keys(
    database: str, keys: Sequence[Row], indexes: Sequence[Row], tables: Sequence[Row], wanted: IndexParameters
) -> Iterator[Finding]:
    """A fail for each uncovered foreign key of a large table, a warning for small ones, an error for those of unknown
    size, and a pass where some are covered and none fails. Partitions of one table are one subject.
    """
    by_table: dict[int, list[Row]] = defaultdict(list)
    for index in indexes:
        by_table[index["table_id"]].append(index)
    sizes = sizes_by_root(tables)
    roots: dict[int, int] = {table["id"]: table["root"] for table in tables}
    names = {table["id"]: f"{table['schema']}.{table['table']}" for table in tables}
    bare: dict[tuple[int, tuple[str, ...]], list[str]] = defaultdict(list)
    for key in keys:
        table_id: int = key["table_id"]
        if not any(covers(index, key["columns"]) for index in by_table[table_id]):
            root = roots.get(table_id, table_id)
            bare[root, tuple(key["columns"])].append(f"{key['schema']}.{key['table']}")
    is_failing = False
    small: list[str] = []
    for (root, columns), where in sorted(bare.items(), key=lambda item: (item[1], item[0][1])):
        name = f"{names.get(root, where[0])} ({', '.join(columns)})"
        rows = sizes.get(root)
        if rows is not None and rows < wanted.min_rows:
            small.append(name)
            continue
        is_failing = True
        yield _uncovered(f"{database}: {name}", where, names.get(root, ""), rows, wanted)
    if small:
        yield Finding.warning(
            subject=f"{database}: foreign keys of small tables",
            observed=f"not covered: {cut(small)}",
            expected=f"an index by the time that a table has {wanted.min_rows} rows",
        )
    covered = len(keys) - sum(len(where) for where in bare.values())
    if covered and not is_failing:
        yield Finding.of(
            True,
            subject=f"{database}: foreign keys",
            observed=f"{covered} of {len(keys)} covered by an index",
            expected=f"covered, from {wanted.min_rows} rows on",
        )


def _uncovered(subject: str, where: Sequence[str], table: str, rows: int | None, wanted: IndexParameters) -> Finding:
    if rows is None:
        return Finding.error(
            subject=subject,
            message=f"{subject}: the foreign key has no index, and how many rows the table has is not known",
            next_step="run ANALYZE on the table",
        )
    partitions = f" on {cut(where)}" if list(where) != [table] else ""
    return Finding.of(
        False,
        subject=subject,
        observed=f"no index{partitions}; about {rows} rows",
        expected=f"a valid index that begins with these columns, from {wanted.min_rows} rows on",
        message=f"{subject}: every DELETE or key change in the table that is referenced reads this one from end to "
        "end; create the index with CREATE INDEX CONCURRENTLY",
    )


def covers(index: Row, columns: Sequence[str]) -> bool:
    """Whether the index finds every row of which these columns have given values."""
    leading = index["columns"][: len(columns)]
    return (
        index["is_valid"]
        and index["method"] in COVERING
        and (not index["is_partial"] or index["is_only_without_nulls"])
        and (index["method"] != "hash" or len(columns) == 1)
        and len(leading) == len(columns)
        and set(leading) == set(columns)
    )


def sizes_by_root(tables: Iterable[Row]) -> Mapping[int, int | None]:
    """Rows of each table, those of partitions added to the partitioned table; None where one is not known."""
    sizes: dict[int, int | None] = {}
    for table in tables:
        if not table["is_partitioned"]:
            rows, before = rows_of(table), sizes.get(table["root"], 0)
            sizes[table["root"]] = None if rows is None or before is None else before + rows
    return sizes


def judge_scans(
    database: str, tables: Sequence[Row], statistics: Sequence[Row], wanted: IndexParameters, *, is_replica: bool
) -> Iterator[Finding]:
    """A fail for each large table that is read from end to end by habit, and a pass where the others were read."""
    large = [table for table in tables if not table["is_partitioned"] and (rows_of(table) or 0) >= wanted.min_rows]
    if not large:
        return
    age_h = stats_age_h(statistics)
    place = "this replica" if is_replica else "the primary"
    if age_h is None or age_h < wanted.min_stats_age_h:
        yield Finding.warning(
            subject=f"{database}: scans of large tables",
            observed=f"statistics of {age_h:.1f} hours" if age_h is not None else "no statistics",
            expected=f"{wanted.min_stats_age_h:g} hours or more",
            message=f"{database}: how tables are read is not judged yet; audit again when the statistics are older",
        )
        return
    habitual = [table for table in large if _is_read_whole(table, wanted)]
    for table in habitual:
        subject = f"{database}: {table['schema']}.{table['table']}"
        yield Finding.of(
            False,
            subject=subject,
            observed=f"{_share(table):.0%} of scans are sequential ({table['seq_scan']}), about {rows_of(table)} rows, "
            f"on {place}",
            expected=f"{wanted.max_seq_share:.0%} or less",
            message=f"{subject}: most queries read the whole table; find them in pg_stat_statements and add the index "
            "that they need",
        )
    read = [table for table in large if table["seq_scan"] + table["idx_scan"] > 0]
    if read and not habitual:
        yield Finding.of(
            True,
            subject=f"{database}: scans of large tables",
            observed=f"{_count(len(read), 'table')} of {wanted.min_rows} rows or more, none read from end to end by "
            f"habit, in {age_h:.0f} hours on {place}",
            expected=f"sequential scans {wanted.max_seq_share:.0%} or less, or fewer than {wanted.min_scans}",
        )


def _is_read_whole(table: Row, wanted: IndexParameters) -> bool:
    if table["seq_scan"] < wanted.min_scans or _share(table) <= wanted.max_seq_share:
        return False
    return bool(table["seq_tup_read"] / table["seq_scan"] >= FULL_READ * wanted.min_rows)


def _share(table: Row) -> float:
    return float(table["seq_scan"] / max(1, table["seq_scan"] + table["idx_scan"]))


def judge_duplicates(database: str, indexes: Sequence[Row]) -> Iterator[Finding]:
    """One warning that names all indexes that are the same but for their names."""
    by_shape: dict[tuple[int, str], list[Row]] = defaultdict(list)
    for index in indexes:
        if index["is_valid"] and not index["is_partition"]:
            by_shape[index["table_id"], index["shape"]].append(index)
    same = [" = ".join(sorted(_name(index) for index in group)) for group in by_shape.values() if len(group) > 1]
    if same:
        yield Finding.warning(
            subject=f"{database}: duplicate indexes", observed=cut(sorted(same)), expected="each index once"
        )


def judge_unused(
    database: str,
    tables: Sequence[Row],
    indexes: Sequence[Row],
    statistics: Sequence[Row],
    wanted: IndexParameters,
    *,
    is_replica: bool,
) -> Iterator[Finding]:
    """One warning that names the indexes of large tables that no query used, constraints left out."""
    age_h = stats_age_h(statistics)
    if age_h is None or age_h < wanted.min_stats_age_h:
        return
    large = {table["id"] for table in tables if (rows_of(table) or 0) >= wanted.min_rows}
    place = "this replica" if is_replica else "the primary"
    unused = [
        _name(index)
        for index in indexes
        if index["table_id"] in large
        and index["idx_scan"] == 0
        and index["is_valid"]
        and not (index["is_unique"] or index["is_constraint"] or index["is_partition"])
    ]
    if unused:
        yield Finding.warning(
            subject=f"{database}: unused indexes",
            observed=f"{cut(unused)}: no scan in {age_h:.0f} hours on {place}",
            expected="indexes that are used, there or on a replica",
        )


def _name(index: Row) -> str:
    return f"{index['schema']}.{index['index']}"


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
