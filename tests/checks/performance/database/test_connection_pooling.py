"""Pools and sessions: judged by tables, then on a real PostgreSQL."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from quub_audit.checks.performance.database import connection_pooling as item
from quub_audit.checks.performance.database.connection_pooling import Pool, PoolingParameters, Proxy
from quub_audit.model.environment import Environment
from quub_audit.model.finding import Finding
from quub_audit.model.result import ItemResult
from quub_audit.model.status import FindingStatus, Grade, Status
from quub_audit.sdk import Region
from quub_audit.testing import audit_item
from tests.worlds.cloud import Cloud
from tests.worlds.postgres import PostgresDatabase, PostgresServer

ITEM = "performance.database.connection-pooling"
WANTED = PoolingParameters()
NOW = datetime(2026, 8, 1, tzinfo=UTC)
PASS, FAIL, WARNING, ERROR = FindingStatus.PASS, FindingStatus.FAIL, FindingStatus.WARNING, FindingStatus.ERROR
TIMEOUT = "idle_in_transaction_session_timeout"


def group(**changes: Any) -> Mapping[str, Any]:
    return {
        "database": "shop",
        "is_here": True,
        "role": "app",
        "application": "shop",
        "client": "10.0.0.7",
        "sessions": 10,
        "active": 1,
        "idle_in_transaction": 0,
        "longest_idle_in_transaction_s": 0.0,
        "median_age_s": 4000.0,
        **changes,
    }


def limits(**changes: Any) -> Mapping[str, Any]:
    return {
        "max_connections": 103,
        "reserved_connections": 3,
        "idle_in_transaction_session_timeout_ms": 0,
        "database_limit": -1,
        **changes,
    }


def statistics(sessions: int | None = 20, session_s: float = 4000, hours: float = 100) -> tuple[Mapping[str, Any], ...]:
    return (
        {
            "now": NOW,
            "since": NOW - timedelta(hours=hours),
            "sessions": sessions,
            "session_time_s": None if sessions is None else sessions * session_s,
        },
    )


def timeout(value: str, *, role: str = "app", is_for_database: bool = False, name: str = TIMEOUT) -> Mapping[str, Any]:
    return {"role": role, "is_for_database": is_for_database, "name": name, "value": value}


def statuses(findings: Iterable[Finding]) -> list[FindingStatus]:
    return [finding.status for finding in findings]


# Declared pools


@pytest.mark.parametrize(
    ("pool", "changes", "status"),
    [
        ({"max_connections": 8, "processes": 10}, {}, [PASS]),
        ({"max_connections": 100, "processes": 10}, {}, [FAIL]),
        ({"max_connections": 81}, {}, [FAIL]),
        ({"max_connections": 8, "processes": 10}, {"database_limit": 50}, [FAIL]),
        ({"max_connections": 8, "processes": 10}, {"reserved_connections": 20}, [FAIL]),
        ({"max_connections": 8, "wait_timeout_s": None}, {}, [FAIL, PASS]),
        ({"max_connections": 8, "wait_timeout_s": 0}, {}, [FAIL, PASS]),
        ({"max_connections": 8, "wait_timeout_s": 31}, {}, [FAIL, PASS]),
    ],
)
def test_pools_fit_when_all_processes_together_leave_headroom_and_waits_are_bounded(
    pool: Mapping[str, Any], changes: Mapping[str, Any], status: list[FindingStatus]
) -> None:
    declared = Pool(**{"name": "api", "wait_timeout_s": 5, **pool})

    assert statuses(item.judge_pools("orders: pools", [declared], limits(**changes), WANTED)) == status


@given(sizes=st.lists(st.tuples(st.integers(1, 50), st.integers(1, 20)), min_size=1, max_size=6))
def test_another_pool_never_makes_an_overcommitted_server_fit(sizes: list[tuple[int, int]]) -> None:
    pools = [Pool(name=f"p{n}", max_connections=m, processes=k, wait_timeout_s=5) for n, (m, k) in enumerate(sizes)]

    before = statuses(item.judge_pools("x", pools[:-1], limits(), WANTED))
    after = statuses(item.judge_pools("x", pools, limits(), WANTED))

    assert FAIL not in before or FAIL in after


# Capacity and transactions


@pytest.mark.parametrize(
    ("told", "changes", "status"),
    [
        ([group(sessions=80)], {}, []),
        ([group(sessions=81)], {}, [FAIL]),
        ([group(sessions=50), group(sessions=31, is_here=False)], {}, [FAIL]),
        ([group(sessions=9)], {"database_limit": 10}, [FAIL]),
        ([group(sessions=9, is_here=False)], {"database_limit": 10}, []),
        ([group(sessions=1)], {"database_limit": 0}, [FAIL]),
        ([], {}, []),
    ],
)
def test_sessions_of_all_databases_take_from_the_server(
    told: list[Mapping[str, Any]], changes: Mapping[str, Any], status: list[FindingStatus]
) -> None:
    assert statuses(item.judge_capacity("orders", told, limits(**changes), WANTED)) == status


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ([group()], []),
        ([group(sessions=100, idle_in_transaction=1, longest_idle_in_transaction_s=301.0)], [FAIL]),
        ([group(sessions=100, idle_in_transaction=5, longest_idle_in_transaction_s=60.0)], []),
        ([group(sessions=100, idle_in_transaction=6, longest_idle_in_transaction_s=60.0)], [FAIL]),
        ([group(sessions=10, idle_in_transaction=5, longest_idle_in_transaction_s=0.2)], []),
        ([group(sessions=1, idle_in_transaction=1, longest_idle_in_transaction_s=301.0)] * 2, [FAIL, FAIL]),
        ([], []),
    ],
)
def test_lingering_in_transactions_fails_and_a_moment_between_statements_does_not(
    told: list[Mapping[str, Any]], status: list[FindingStatus]
) -> None:
    assert statuses(item.judge_transactions("orders", told, limits(), (), WANTED)) == status


@pytest.mark.parametrize(
    ("default_ms", "timeouts", "bounded"),
    [
        (0, [], False),
        (60_000, [], True),
        (0, [timeout("7s")], True),
        (60_000, [timeout("0")], False),
        (60_000, [timeout("0"), timeout("5min", is_for_database=True)], True),
        (0, [timeout("7s", role="other")], False),
        (0, [timeout("7s", role="", is_for_database=True)], True),
        (0, [timeout("7s", name="statement_timeout")], False),
        (60_000, [timeout("0ms")], False),
    ],
)
def test_a_timeout_is_that_of_the_role_before_that_of_the_server(
    default_ms: int, timeouts: list[Mapping[str, Any]], bounded: bool
) -> None:
    told = limits(idle_in_transaction_session_timeout_ms=default_ms)

    assert item.is_bounded("app", told, timeouts) is bounded


# Reuse


@pytest.mark.parametrize(
    ("told", "counted", "kind"),
    [
        ([group()], statistics(), "pass"),
        ([group()], statistics(sessions=None), "pass"),
        ([group(sessions=1)], statistics(sessions=1), "pass"),
        ([group()], statistics(sessions=5000, session_s=900), "pass"),
        ([group(median_age_s=0.2)], statistics(sessions=90_000, session_s=0.3), "fail"),
        ([group()], statistics(sessions=90_000, session_s=0.3), "undecided"),
        ([group(median_age_s=20.0)], statistics(), "undecided"),
        ([group(median_age_s=0.2)], statistics(sessions=90_000, session_s=0.3, hours=0.5), "undecided"),
        ([group(median_age_s=0.2)], statistics(sessions=None), "undecided"),
        ([group(median_age_s=0.2)], (), "undecided"),
        ([group(sessions=3), group(sessions=4, median_age_s=1.0)], statistics(), "undecided"),
        ([], statistics(), "undecided"),
    ],
)
def test_sessions_are_reused_when_they_are_old_and_new_ones_are_no_habit(
    told: list[Mapping[str, Any]], counted: tuple[Mapping[str, Any], ...], kind: str
) -> None:
    assert item.judge_reuse("orders", told, counted, WANTED, is_replica=False).kind == kind


def test_a_replica_to_which_nothing_is_connected_holds_back_nothing() -> None:
    assert item.judge_reuse("orders", [], statistics(), WANTED, is_replica=True).kind == "warning"


def test_tools_of_people_and_other_databases_are_no_sessions_of_the_service() -> None:
    told = [group(), group(application="psql"), group(application="pgAdmin 4 - DB:shop"), group(is_here=False)]

    assert item.applications(told, WANTED) == (told[0],)


def test_a_pattern_that_cannot_be_read_is_a_mistake_of_the_checklist() -> None:
    with pytest.raises(ValidationError, match="no regular expression"):
        PoolingParameters(exclude_applications="(")


# RDS proxies


def target(state: str) -> Mapping[str, Any]:
    return {"RdsResourceId": "orders", "TargetHealth": {"State": state}}


def target_group(wait_s: int | None) -> Mapping[str, Any]:
    return {"ConnectionPoolConfig": {} if wait_s is None else {"ConnectionBorrowTimeout": wait_s}}


@pytest.mark.parametrize(
    ("changes", "groups", "targets", "status"),
    [
        ({}, [target_group(30)], [target("AVAILABLE")], [PASS]),
        ({}, [target_group(30)], [target("AVAILABLE"), target("UNAVAILABLE")], [PASS]),
        ({}, [target_group(31)], [target("AVAILABLE")], [FAIL]),
        ({}, [target_group(5), target_group(60)], [target("AVAILABLE")], [FAIL]),
        ({}, [target_group(None)], [target("AVAILABLE")], [FAIL]),
        ({}, [{}], [target("AVAILABLE")], [FAIL]),
        ({}, [], [target("AVAILABLE")], [FAIL]),
        ({}, [target_group(30)], [target("UNAVAILABLE")], [FAIL]),
        ({}, [target_group(30)], [{}], [FAIL]),
        ({}, [target_group(30)], [], [FAIL]),
        ({"status": "suspended"}, [target_group(30)], [target("AVAILABLE")], [FAIL]),
        ({"is_tls_required": False}, [target_group(30)], [target("AVAILABLE")], [PASS, WARNING]),
    ],
)
def test_a_proxy_needs_a_target_that_is_up_and_a_bounded_wait(
    changes: Mapping[str, Any],
    groups: list[Mapping[str, Any]],
    targets: list[Mapping[str, Any]],
    status: list[FindingStatus],
) -> None:
    about: dict[str, Any] = {"name": "shop", "arn": "arn", "status": "available", "is_tls_required": True, **changes}
    proxy = Proxy(region=Region(account="prod", name="eu-central-1"), **about)

    assert statuses(item.judge_proxy(proxy, groups, targets, WANTED)) == status


def make_proxy(cloud: Cloud, *, wait_s: int, family: str = "POSTGRESQL") -> None:
    """A proxy named by its family, without a target."""
    rds = cloud.client("rds")
    name = f"proxy-{family.lower()}"
    secret = f"arn:aws:secretsmanager:eu-central-1:{cloud.account_id}:secret:shop"
    rds.create_db_proxy(
        DBProxyName=name,
        EngineFamily=family,
        Auth=[{"AuthScheme": "SECRETS", "SecretArn": secret, "IAMAuth": "DISABLED"}],
        RoleArn=f"arn:aws:iam::{cloud.account_id}:role/proxy",
        VpcSubnetIds=[each["SubnetId"] for each in cloud.client("ec2").describe_subnets()["Subnets"][:2]],
        RequireTLS=True,
    )
    rds.modify_db_proxy_target_group(
        DBProxyName=name, TargetGroupName="default", ConnectionPoolConfig={"ConnectionBorrowTimeout": wait_s}
    )


def look_at_proxies(cloud: Cloud) -> ItemResult:
    environment = cloud.environment(databases=())
    return audit_item(ITEM, environment, check="proxy", environ=cloud.environ)


def test_a_proxy_without_a_target_fails_and_those_of_other_engines_are_left_out(cloud: Cloud) -> None:
    make_proxy(cloud, wait_s=20)
    make_proxy(cloud, wait_s=20, family="MYSQL")

    result = look_at_proxies(cloud)

    (finding,) = result.of_status(FAIL)
    assert finding.subject.startswith("arn:aws:rds:eu-central-1")
    assert finding.observed == "available, targets none, callers wait 20 s"


def test_proxies_that_may_not_be_listed_are_an_error(cloud: Cloud) -> None:
    cloud.allow_only("s3:*")

    result = look_at_proxies(cloud)

    assert result.status is Status.ERROR
    assert "rds:DescribeDBProxies" in result.reason + result.next_step


# On a real PostgreSQL


def look(database: PostgresDatabase, *, user: str = "auditor", **parameters: Any) -> ItemResult:
    environment = Environment(
        service="shop", name="production", stage="production", databases=(database.target(user=user),)
    )
    return audit_item(ITEM, environment, parameters=parameters, min_evidence=Grade.LIVE)


@contextlib.contextmanager
def pool(database: PostgresDatabase, *, size: int = 3) -> Iterator[None]:
    """Connections that a service keeps; at least 0.3 seconds old."""
    with contextlib.ExitStack() as kept:
        for _ in range(size):
            kept.enter_context(database.connect(user="app", application_name="shop")).execute("SELECT 1")
        time.sleep(0.3)
        yield


FAIR: dict[str, Any] = {"min_session_s": 0.2, "headroom": 1}
"""The test server has 37 connections, and other tests use some of them."""


@pytest.mark.proof("pass")
def test_a_service_that_keeps_its_connections_passes(database: PostgresDatabase) -> None:
    fitting = {"orders": [{"name": "api", "max_connections": 3, "processes": 2, "wait_timeout_s": 5}]}
    with pool(database):
        result = look(database, pools=fitting, **FAIR)

    assert result.status is Status.PASS, result.reason
    assert "3 of app (shop), median age" in " ".join(finding.observed for finding in result.of_status(PASS))
    assert {finding.check.rpartition("/")[2] for finding in result.of_status(PASS)} == {"pools", "sessions"}


@pytest.mark.proof("fail")
def test_a_service_that_connects_for_each_query_fails(database: PostgresDatabase) -> None:
    for _ in range(12):
        database.run("SELECT 1", user="app")
    with database.connect(user="app") as just_now:
        just_now.execute("SELECT 1")
        for _ in range(50):  # what a session took is told a moment after its end
            counted = just_now.execute(
                "SELECT sessions, pg_sleep(0.02) FROM pg_stat_database WHERE datname = current_database()"
            ).fetchone()
            if counted and counted[0] >= 10:
                break
        result = look(database, min_sessions=10, min_stats_age_h=0, headroom=1)

    assert result.status is Status.FAIL
    assert [finding.subject for finding in result.of_status(FAIL)] == ["orders: sessions"]
    assert "keep a pool" in result.of_status(FAIL)[0].message


def test_a_database_without_connections_to_spare_fails(database: PostgresDatabase) -> None:
    database.run(f"ALTER DATABASE {database.name} CONNECTION LIMIT 4")
    with pool(database, size=3):
        result = look(database, min_session_s=0.2, headroom=0.7)

    assert "orders: connections of the database" in {finding.subject for finding in result.of_status(FAIL)}


def test_a_session_that_lingers_in_a_transaction_fails(database: PostgresDatabase) -> None:
    with database.connect(user="app", application_name="shop") as lingering:
        lingering.execute("BEGIN")
        time.sleep(0.3)
        result = look(database, max_idle_in_transaction_s=0.2, **FAIR)

    assert [finding.subject for finding in result.of_status(FAIL)] == ["orders: app (shop)"]
    assert "no timeout would end it" in result.of_status(FAIL)[0].observed
    assert result.of_status(PASS) == ()


def test_declared_pools_that_could_take_more_than_the_server_has_fail(database: PostgresDatabase) -> None:
    with pool(database):
        result = look(
            database, pools={"orders": [{"name": "api", "max_connections": 10, "processes": 10}]}, min_session_s=0.2
        )

    failed = {finding.subject: finding.observed for finding in result.of_status(FAIL)}
    assert failed["orders: pools"] == "up to 100 connections (api 10 x 10), of 37"
    assert failed["orders: pools: api"] == "waits without a limit"


def test_a_person_s_word_of_pools_passes_nothing(database: PostgresDatabase) -> None:
    result = look(database, pools={"orders": [{"name": "api", "max_connections": 1, "wait_timeout_s": 5}]}, headroom=1)

    assert result.status is Status.INCONCLUSIVE


def test_pools_of_a_database_that_does_not_exist_are_an_error(database: PostgresDatabase) -> None:
    result = look(database, pools={"odrers": [{"name": "api", "max_connections": 1, "wait_timeout_s": 5}]}, headroom=1)

    assert result.status is Status.ERROR
    assert "declares no database odrers" in " ".join(finding.message for finding in result.of_status(ERROR))


@pytest.mark.proof("inconclusive")
def test_without_a_session_of_an_application_it_is_inconclusive(database: PostgresDatabase) -> None:
    with database.connect(user="operator", application_name="psql"):
        result = look(database, headroom=1)

    assert result.status is Status.INCONCLUSIVE
    assert [finding.observed for finding in result.of_status(WARNING)] == ["no application is connected"]


def test_an_idle_database_holds_back_the_pass_of_another_unless_it_is_left_out(
    database: PostgresDatabase, postgres_server: PostgresServer
) -> None:
    with postgres_server.database() as second, pool(database):
        environment = Environment(
            service="shop",
            name="production",
            stage="production",
            databases=(database.target(), second.target(name="nightly")),
        )
        held, settled = (
            audit_item(ITEM, environment, parameters={**FAIR, "exclude": exclude}, min_evidence=Grade.LIVE)
            for exclude in ({}, {"nightly": "jobs alone use it"})
        )

    assert (held.status, len(held.of_status(PASS))) == (Status.INCONCLUSIVE, 1)
    assert "name nightly in `exclude`" in held.next_step
    assert settled.status is Status.PASS


@pytest.mark.proof("error")
def test_a_role_that_would_see_its_own_sessions_alone_is_an_error(database: PostgresDatabase) -> None:
    with pool(database):
        result = look(database, user="plain", **FAIR)

    assert result.status is Status.ERROR
    assert "pg_monitor" in result.reason + result.next_step
