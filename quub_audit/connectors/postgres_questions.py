"""The named questions that are put to a PostgreSQL catalogue, each as one SELECT; versions 13 to 18.

They read views of `pg_catalog` and of pg_stat_statements, call functions without side effects alone, and touch no row
of a user's table. https://www.postgresql.org/docs/current/monitoring-stats.html describes the columns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

OLDEST_VERSION = 130_000
"""As `server_version_num` spells 13.0: the oldest version whose columns these questions name."""

MAX_ROWS = 50_000
"""Most rows of one answer; one with more is refused as a whole, since a part of it would pass for all."""

STATEMENTS_OLDEST = 108
"""pg_stat_statements 1.8 named its columns as they are now; an older one outlives an upgrade of the server."""

STATEMENTS_INFO_SINCE = 109
"""pg_stat_statements 1.9 tells when it was reset and what it had to forget."""

TOP_STATEMENTS = 200
"""Statements that are told, those with the most time in all first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueQuestion:
    """One question."""

    sql: Callable[[int], str]
    """The SELECT for a `server_version_num`, or for the version of the extension (1.10 is 110) where one is named.

    `{schema}` stands for the extension's schema.
    """
    needs_statistics: bool = False
    """Rows of other users are left out or emptied, without an error, for roles outside `pg_read_all_stats`."""
    extension: str = ""
    holds_queries: bool = False
    """The column `query` holds SQL, whose literals must be struck."""


_OURS = """n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
    AND NOT EXISTS (SELECT 1 FROM pg_depend d
                    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')"""
"""Tables of users: neither the system's, nor temporary, nor part of an extension."""

IDENTITY = """
SELECT current_database()::text AS database,
       current_user::text AS role,
       current_setting('server_version_num')::int AS version,
       pg_is_in_recovery() AS is_replica,
       pg_has_role(current_user, 'pg_read_all_stats', 'usage') AS can_read_statistics,
       pg_postmaster_start_time() AS started_at,
       now() AS now,
       coalesce((SELECT s.version FROM pg_stat_ssl s WHERE s.pid = pg_backend_pid() AND s.ssl), '') AS tls_version,
       coalesce((SELECT e.extversion FROM pg_extension e WHERE e.extname = 'pg_stat_statements'), '')
           AS statements_version"""

TABLES = f"""
SELECT n.nspname::text AS schema,
       c.relname::text AS table,
       c.relkind = 'p' AS is_partitioned,
       coalesce(pg_partition_root(c.oid), c.oid)::bigint AS root,
       c.oid::bigint AS id,
       c.reltuples::float8 AS analysed_rows,
       coalesce(s.n_live_tup, 0) AS counted_rows,
       CASE WHEN c.reltuples < 0 AND c.relkind = 'r' THEN pg_relation_size(c.oid) END AS bytes,
       coalesce(s.seq_scan, 0) AS seq_scan,
       coalesce(s.seq_tup_read, 0) AS seq_tup_read,
       coalesce(s.idx_scan, 0) AS idx_scan
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_stat_all_tables s ON s.relid = c.oid
WHERE c.relkind IN ('r', 'p') AND {_OURS}
ORDER BY 1, 2"""  # noqa: S608  constants alone

INDEXES = f"""
SELECT n.nspname::text AS schema,
       c.relname::text AS table,
       x.relname::text AS index,
       c.oid::bigint AS table_id,
       am.amname::text AS method,
       i.indisvalid AND i.indisready AND i.indislive AS is_valid,
       i.indisunique AS is_unique,
       EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
           OR i.indisreplident AS is_constraint,
       x.relkind = 'I' AS is_partitioned,
       x.relispartition AS is_partition,
       i.indpred IS NOT NULL AS is_partial,
       i.indpred IS NOT NULL AND coalesce(pg_get_expr(i.indpred, i.indrelid) = ANY (
           SELECT format('(%I IS NOT NULL)', a.attname) FROM pg_attribute a
           WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey::int2[])), false) AS is_only_without_nulls,
       ARRAY(SELECT coalesce(a.attname::text, '')
             FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (number, place)
             LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number AND k.number <> 0
             WHERE k.place <= i.indnkeyatts ORDER BY k.place) AS columns,
       md5(concat_ws('/', am.amname, i.indnkeyatts, i.indkey, i.indclass, i.indcollation, i.indoption,
                     i.indisunique, i.indexprs::text, i.indpred::text)) AS shape,
       coalesce(s.idx_scan, 0) AS idx_scan,
       EXISTS (SELECT 1 FROM pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid) AS is_being_built
FROM pg_index i
JOIN pg_class x ON x.oid = i.indexrelid
JOIN pg_am am ON am.oid = x.relam
JOIN pg_class c ON c.oid = i.indrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_stat_all_indexes s ON s.indexrelid = i.indexrelid
WHERE c.relkind IN ('r', 'p', 'm') AND {_OURS}
ORDER BY 1, 2, 3"""  # noqa: S608  constants alone

FOREIGN_KEYS = f"""
SELECT DISTINCT n.nspname::text AS schema,
       c.relname::text AS table,
       c.oid::bigint AS table_id,
       ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS f (number, place)
             JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = f.number
             ORDER BY f.place) AS columns
FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE k.contype = 'f' AND c.relkind = 'r' AND {_OURS}
ORDER BY 1, 2, 4"""  # noqa: S608  constants alone


def _statistics(version: int) -> str:
    sessions = (
        "d.sessions, d.session_time / 1000 AS session_time_s"
        if version >= 140_000
        else ("NULL::bigint AS sessions, NULL::float8 AS session_time_s")
    )
    return f"""
SELECT now() AS now,
       coalesce(d.stats_reset, pg_postmaster_start_time()) AS since,
       {sessions}
FROM pg_stat_database d WHERE d.datname = current_database()"""  # noqa: S608  constants alone


def _limits(version: int) -> str:
    reserved = "current_setting('reserved_connections')::int" if version >= 160_000 else "0"
    return f"""
SELECT current_setting('max_connections')::int AS max_connections,
       current_setting('superuser_reserved_connections')::int + {reserved} AS reserved_connections,
       (SELECT s.reset_val::bigint FROM pg_settings s WHERE s.name = 'idle_in_transaction_session_timeout')
           AS idle_in_transaction_session_timeout_ms,
       (SELECT d.datconnlimit FROM pg_database d WHERE d.datname = current_database()) AS database_limit"""  # noqa: S608  constants alone


SESSIONS = """
SELECT coalesce(a.datname, '')::text AS database,
       a.datname IS NOT DISTINCT FROM current_database() AS is_here,
       coalesce(a.usename, '')::text AS role,
       a.application_name AS application,
       coalesce(host(a.client_addr), 'local') AS client,
       count(*) AS sessions,
       count(*) FILTER (WHERE a.state = 'active') AS active,
       count(*) FILTER (WHERE a.state LIKE 'idle in transaction%') AS idle_in_transaction,
       coalesce(max(extract(epoch FROM now() - a.state_change)) FILTER (
           WHERE a.state LIKE 'idle in transaction%'), 0)::float8 AS longest_idle_in_transaction_s,
       percentile_cont(0.5) WITHIN GROUP (
           ORDER BY greatest(extract(epoch FROM now() - a.backend_start), 0)::float8) AS median_age_s
FROM pg_stat_activity a
WHERE a.backend_type = 'client backend' AND a.pid <> pg_backend_pid()
      AND NOT (a.usename = current_user AND a.application_name = 'quub-audit')
GROUP BY 1, 2, 3, 4, 5
ORDER BY 1, 3, 4, 5"""

ROLE_TIMEOUTS = """
SELECT coalesce(r.rolname, '')::text AS role,
       s.setdatabase <> 0 AS is_for_database,
       split_part(c.setting, '=', 1) AS name,
       split_part(c.setting, '=', 2) AS value
FROM pg_db_role_setting s
CROSS JOIN LATERAL unnest(s.setconfig) AS c (setting)
LEFT JOIN pg_roles r ON r.oid = s.setrole
WHERE s.setdatabase IN (0, (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()))
      AND split_part(c.setting, '=', 1) IN ('statement_timeout', 'idle_in_transaction_session_timeout')
ORDER BY 1, 2, 3"""

STATEMENTS = f"""
SELECT s.queryid::text AS id,
       coalesce(r.rolname, '')::text AS role,
       s.query,
       sum(s.calls)::bigint AS calls,
       sum(s.total_exec_time)::float8 AS total_ms,
       (sum(s.total_exec_time) / greatest(sum(s.calls), 1))::float8 AS mean_ms,
       max(s.max_exec_time)::float8 AS max_ms,
       max(s.stddev_exec_time)::float8 AS stddev_ms,
       sum(s.rows)::bigint AS rows,
       sum(s.temp_blks_written)::bigint * current_setting('block_size')::int AS temp_bytes
FROM {{schema}}.pg_stat_statements s
LEFT JOIN pg_roles r ON r.oid = s.userid
WHERE s.dbid = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
      AND r.rolname IS DISTINCT FROM current_user
GROUP BY s.queryid, r.rolname, s.query
ORDER BY total_ms DESC, id
LIMIT {TOP_STATEMENTS}"""  # noqa: S608  constants alone


def _statements_total(extension: int) -> str:
    told = extension >= STATEMENTS_INFO_SINCE
    since = "(SELECT i.stats_reset FROM {schema}.pg_stat_statements_info i)" if told else "pg_postmaster_start_time()"
    evictions = "(SELECT i.dealloc FROM {schema}.pg_stat_statements_info i)" if told else "NULL::bigint"
    return f"""
SELECT coalesce(sum(s.calls), 0)::bigint AS calls,
       count(*) AS statements,
       now() AS now,
       {since} AS since,
       {evictions} AS evictions
FROM {{schema}}.pg_stat_statements s
WHERE s.dbid = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
      AND s.userid IS DISTINCT FROM (SELECT r.oid FROM pg_roles r WHERE r.rolname = current_user)"""  # noqa: S608


ARCHIVER = r"""
SELECT now() AS now,
       current_setting('archive_mode') AS mode,
       CASE WHEN coalesce(current_setting('archive_library', true), '') <> '' THEN 'library'
            WHEN current_setting('archive_command') IN ('', '(disabled)') THEN ''
            WHEN current_setting('archive_command') ~ '^\s*((/usr)?(/bin/)?true|:|exit 0|cd \.)\s*$' THEN 'nothing'
            ELSE 'command' END AS by,
       (SELECT s.setting::int FROM pg_settings s WHERE s.name = 'archive_timeout') AS timeout_s,
       a.last_archived_time AS archived_at,
       a.last_failed_time AS failed_at,
       a.failed_count AS failures,
       w.waiting,
       w.waiting_since
FROM pg_stat_archiver a,
     (SELECT count(*) AS waiting, min(f.modification) AS waiting_since
      FROM pg_ls_archive_statusdir() f WHERE f.name LIKE '%.ready') w"""
"""The command itself stays where it is: people write keys into it. What waits is listed to members of pg_monitor."""


def _always(sql: str) -> Callable[[int], str]:
    return lambda version: sql


QUESTIONS: Mapping[str, CatalogueQuestion] = {
    "identity": CatalogueQuestion(sql=_always(IDENTITY)),
    "tables": CatalogueQuestion(sql=_always(TABLES)),
    "indexes": CatalogueQuestion(sql=_always(INDEXES), needs_statistics=True),
    "foreign_keys": CatalogueQuestion(sql=_always(FOREIGN_KEYS)),
    "statistics": CatalogueQuestion(sql=_statistics),
    "limits": CatalogueQuestion(sql=_limits),
    "sessions": CatalogueQuestion(sql=_always(SESSIONS), needs_statistics=True),
    "role_timeouts": CatalogueQuestion(sql=_always(ROLE_TIMEOUTS)),
    "archiver": CatalogueQuestion(sql=_always(ARCHIVER), needs_statistics=True),
    "statements": CatalogueQuestion(
        sql=_always(STATEMENTS), needs_statistics=True, extension="pg_stat_statements", holds_queries=True
    ),
    "statements_total": CatalogueQuestion(sql=_statements_total, needs_statistics=True, extension="pg_stat_statements"),
}
"""Every question by name."""
