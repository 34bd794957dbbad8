"""Pools in code: four languages, and the defaults of each library; what the code does not tell is no fault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quub_audit.checks.performance.api_client._calls import Site
from quub_audit.checks.performance.database._pools import CodePool
from quub_audit.checks.performance.database.connection_pooling import PoolingParameters, judge_code
from quub_audit.model.environment import Environment, Repository
from quub_audit.model.finding import Location
from quub_audit.model.result import ItemResult
from quub_audit.model.status import FindingStatus, Grade, Status
from quub_audit.testing import audit_item
from tests.checks.performance.api_client.services import committed, sample_service

ITEM = "performance.database.connection-pooling"
PG = 'import { Pool, Client } from "pg";\n'
KNEX = 'import knex from "knex";\n'
SEQUELIZE = 'import { Sequelize } from "sequelize";\n'
TYPEORM = 'import { DataSource } from "typeorm";\n'
PRISMA = 'import { PrismaClient } from "@prisma/client";\n'
ALCHEMY = "from sqlalchemy import create_engine\n"
PSYCOPG = "from psycopg_pool import ConnectionPool, NullConnectionPool\n"
PSYCOPG2 = "import psycopg2.pool\n"
ASYNCPG = "import asyncpg\n"
GO = 'package shop\nimport "database/sql"\n'
HIKARI = "class Db { DataSource make() { HikariConfig c = new HikariConfig(); %s return new HikariDataSource(c); } }"


def look(*repositories: Path, floor: Grade = Grade.REPOSITORY, **parameters: Any) -> ItemResult:
    environment = Environment(
        service="shop",
        name="production",
        stage="production",
        repositories=tuple(Repository(name=path.name, path=str(path)) for path in repositories),
    )
    return audit_item(ITEM, environment, check="code", min_evidence=floor, parameters=parameters)


def said(folder: Path, name: str, code: str, **parameters: Any) -> list[tuple[str, str]]:
    """Status and what was observed after the shown code, of each finding."""
    result = look(committed(folder, {name: code + "\n"}), **parameters)
    return [(finding.status.value, finding.observed.rpartition(": ")[2]) for finding in result.findings]


@pytest.mark.parametrize(
    ("name", "code", "observed"),
    [
        ("a.ts", PG + "export const p = new Pool({ max: 20, connectionTimeoutMillis: 5000 });", (20, 5)),
        ("a.ts", PG + "export const p = new Pool({ connectionTimeoutMillis: 2_000 });", (10, 2)),
        ("a.js", "const pg = require('pg');\nconst p = new pg.Pool({ connectionTimeoutMillis: 2000 });", (10, 2)),
        (
            "a.ts",
            PG + "const poolConfig = { max: 7, connectionTimeoutMillis: 1e3 };\nconst p = new Pool(poolConfig);",
            (7, 1),
        ),
        ("a.ts", PG + "const MAX = 12;\nconst p = new Pool({ max: MAX, connectionTimeoutMillis: 1000 });", (12, 1)),
        ("a.ts", KNEX + "const k = knex({ client: 'pg', pool: { max: 8 }, acquireConnectionTimeout: 9000 });", (8, 9)),
        ("a.ts", KNEX + "const k = knex({ client: 'pg', pool: { acquireTimeoutMillis: 3000 } });", (10, 3)),
        ("a.ts", SEQUELIZE + "const s = new Sequelize(process.env.URL, { pool: { max: 9, acquire: 4000 } });", (9, 4)),
        (
            "a.ts",
            TYPEORM + "const d = new DataSource({ type: 'postgres', poolSize: 6, connectTimeoutMS: 2000 });",
            (6, 2),
        ),
        (
            "a.ts",
            TYPEORM
            + "const d = new DataSource({ type: 'postgres', extra: { max: 4, connectionTimeoutMillis: 100 } });",
            (4, 0.1),
        ),
        (
            "a.ts",
            PRISMA + "const c = new PrismaClient({ datasources: { db: { url: `${base}?connection_limit=5` } } });",
            (5, 10),
        ),
        ("a.py", ALCHEMY + "engine = create_engine(URL, pool_size=5, max_overflow=0, pool_timeout=3)", (5, 3)),
        ("a.py", ALCHEMY + "engine = create_engine(URL)", (15, 30)),
        ("a.py", "import sqlalchemy as sa\nengine = sa.create_engine(URL, pool_size=1)", (11, 30)),
        ("a.py", PSYCOPG + "pool = ConnectionPool(DSN, max_size=20, timeout=2.5)", (20, 2.5)),
        ("a.py", PSYCOPG + "pool = ConnectionPool(DSN)", (4, 30)),
        (
            "a.py",
            PSYCOPG
            + "pool = ConnectionPool(\n    DSN,  # don't log it, ever\n    # of all, the most\n    max_size=20,\n)",
            (20, 30),
        ),
        ("a.py", PSYCOPG2 + "pool = psycopg2.pool.ThreadedConnectionPool(1, 10, DSN)", (10, 0)),
        ("A.java", HIKARI % "c.setMaximumPoolSize(12); c.setConnectionTimeout(2000);", (12, 2)),
        ("A.java", HIKARI % "", (10, 30)),
    ],
)
def test_a_pool_with_bounds_passes_by_what_it_is_given_or_by_the_defaults_of_its_library(
    tmp_path: Path, name: str, code: str, observed: tuple[float, float]
) -> None:
    size, wait = observed

    assert said(tmp_path, name, code) == [("pass", f"up to {size:g} connections, callers wait {wait:g} s")]


@pytest.mark.parametrize(
    ("name", "code", "observed"),
    [
        ("a.ts", PG + "export const p = new Pool();", "callers wait without a limit"),
        (
            "a.ts",
            PG + "export const p = new Pool({ max: 10, connectionTimeoutMillis: 0 });",
            "callers wait without a limit",
        ),
        (
            "a.ts",
            PG + "export const p = new Pool({ max: 500, connectionTimeoutMillis: 60000 });",
            "up to 500 connections, callers wait 60 s",
        ),
        (
            "a.ts",
            PG + "export async function order(id) {\n"
            "  const p = new Pool({ connectionTimeoutMillis: 900 });\n  await p.query('SELECT 1');\n}",
            "is made anew by each call of order",
        ),
        (
            "a.ts",
            PG + "export async function order(id) {\n  const c = new Client();\n  await c.connect();\n}",
            "is made anew by each call of order",
        ),
        ("a.ts", KNEX + "const k = knex({ client: 'pg' });", "callers wait 60 s"),
        ("a.ts", SEQUELIZE + "const s = new Sequelize({ dialect: 'postgres' });", "callers wait 60 s"),
        ("a.ts", TYPEORM + "const d = new DataSource({ type: 'postgres' });", "callers wait without a limit"),
        ("a.py", ALCHEMY + "engine = create_engine(URL, pool_size=0)", "connections without a limit"),
        ("a.py", ALCHEMY + "engine = create_engine(URL, max_overflow=-1)", "connections without a limit"),
        (
            "a.py",
            ALCHEMY + "def order(id):\n    engine = create_engine(URL)\n    engine.execute('SELECT 1')",
            "is made anew by each call of order",
        ),
        (
            "a.py",
            ASYNCPG + "async def order(id):\n    pool = await asyncpg.create_pool(DSN)\n    await pool.fetch('')",
            "is made anew by each call of order",
        ),
        ("a.go", GO + 'var db, err = sql.Open("pgx", url)', "connections without a limit"),
        ("A.java", HIKARI % "c.setConnectionTimeout(0);", "callers wait without a limit"),
    ],
)
def test_a_pool_without_bounds_or_for_each_call_fails_at_its_place(
    tmp_path: Path, name: str, code: str, observed: str
) -> None:
    assert said(tmp_path, name, code) == [("fail", observed)]


@pytest.mark.parametrize(
    ("name", "code", "observed"),
    [
        (
            "a.ts",
            PG + "export const p = new Pool(settings());",
            "its size is not told, how long callers wait is not told",
        ),
        (
            "a.ts",
            PG + "export const p = new Pool({ ...base, max: 3 });",
            "up to 3 connections, how long callers wait is not told",
        ),
        (
            "a.ts",
            PG
            + "export function makePool() {\n  const p = new Pool({ connectionTimeoutMillis: 900 });\n  return p;\n}",
            "how often makePool makes it is not told, up to 10 connections, callers wait 0.9 s",
        ),
        (
            "a.py",
            PSYCOPG + "def _create_pool(self):\n    pool = ConnectionPool(DSN)\n    self.use(pool)",
            "how often _create_pool makes it is not told, up to 4 connections, callers wait 30 s",
        ),
        ("a.ts", PRISMA + "const c = new PrismaClient();", "its size is not told, how long callers wait is not told"),
        (
            "a.py",
            ALCHEMY + "from sqlalchemy.pool import NullPool\nengine = create_engine(URL, poolclass=NullPool)",
            "keeps no connection, which is sound behind a pooler alone",
        ),
        (
            "a.py",
            ALCHEMY + "engine = create_engine(URL, **OPTIONS)",
            "its size is not told, how long callers wait is not told",
        ),
        (
            "a.py",
            ASYNCPG + "async def main():\n    pool = await asyncpg.create_pool(DSN)",
            "up to 10 connections, how long callers wait is not told",
        ),
        (
            "a.go",
            GO + 'func main() {\n  db, err := sql.Open("pgx", url)\n  db.SetMaxOpenConns(25)\n}',
            "up to 25 connections, how long callers wait is not told",
        ),
        (
            "A.java",
            "class Db { HikariConfig c = new HikariConfig(properties); }",
            "its size is not told, how long callers wait is not told",
        ),
    ],
)
def test_what_the_code_does_not_tell_is_said_and_no_fault(tmp_path: Path, name: str, code: str, observed: str) -> None:
    assert said(tmp_path, name, code) == [("warning", observed)]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("a.ts", PG + "export const listener = new Client();"),
        ("scripts/seed.ts", PG + "async function seed() {\n  const c = new Client();\n  await c.end();\n}"),
        ("a.ts", KNEX + "export const find = (id) => knex('orders').where({ id });"),
        ("a.ts", KNEX + "const k = knex({ client: 'better-sqlite3' });"),
        ("a.ts", SEQUELIZE + "const s = new Sequelize('mysql://db/shop', {});"),
        ("a.ts", TYPEORM + "const d = new DataSource({ type: 'sqlite' });"),
        ("a.py", ALCHEMY + 'engine = create_engine("sqlite:///shop.db")'),
        ("a.go", GO + 'var db, err = sql.Open("sqlite3", file)'),
        ("a.ts", 'import { Pool } from "undici";\nexport const p = new Pool("https://quub.example");'),
        ("pool.test.ts", PG + "export const p = new Pool();"),
    ],
)
def test_what_is_no_pool_of_the_service_is_left_alone(tmp_path: Path, name: str, code: str) -> None:
    assert said(tmp_path, name, code) == []


def test_code_alone_may_fail_the_item_and_never_passes_it(tmp_path: Path) -> None:
    sound = committed(tmp_path, {"a.ts": PG + "const p = new Pool({ connectionTimeoutMillis: 900 });\n"})
    assert look(sound, floor=Grade.LIVE).status is Status.INCONCLUSIVE

    endless = committed(tmp_path, {"a.ts": PG + "const p = new Pool();\n"})
    result = look(endless, floor=Grade.LIVE)

    assert result.status is Status.FAIL
    assert str(result.of_status(FindingStatus.FAIL)[0].location).startswith("a.ts:2")


def test_a_checkout_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    assert look(tmp_path / "nowhere").status is Status.ERROR


def test_the_sample_service_has_no_fault(tmp_path: Path) -> None:
    assert look(sample_service(tmp_path)).of_status(FindingStatus.FAIL) == ()


@given(
    size=st.one_of(st.none(), st.floats(min_value=1, max_value=1e6)),
    wait=st.one_of(st.none(), st.floats(min_value=0, max_value=1e6)),
    more=st.floats(min_value=0, max_value=1e6),
)
def test_a_larger_pool_never_turns_a_failure_into_a_pass(size: float | None, wait: float | None, more: float) -> None:
    site = Site(location=Location(file="a.ts", line=1), language="typescript", text="p", function="p", written="p")

    def status(count: float | None) -> str:
        pool = CodePool(site=site, max_connections=count, wait_s=wait)
        return next(judge_code("app", pool, PoolingParameters())).status.value

    if size is not None and status(size) == "fail":
        assert status(size + more) == "fail"
    if size is None or wait is None:
        assert status(size) != "pass"
