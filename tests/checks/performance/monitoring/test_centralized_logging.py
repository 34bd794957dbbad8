"""What every running container and function writes arrives in one place, within minutes."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quub_audit.checks.performance.monitoring.centralized_logging import (
    Function,
    LoggingParameters,
    Task,
    Trace,
    Writer,
    judge_function,
    judge_traces,
    problem_of,
    read_trace,
    read_writers,
)
from quub_audit.model.environment import Environment
from quub_audit.model.result import ItemResult
from quub_audit.model.status import FindingStatus, Status
from quub_audit.sdk import Grade, Region
from quub_audit.testing import audit_item
from tests.worlds.cloud import REGION, Cloud

ITEM = "performance.monitoring.centralized-logging"
PASS, FAIL, ERROR, WARNING = FindingStatus.PASS, FindingStatus.FAIL, FindingStatus.ERROR, FindingStatus.WARNING
HERE = Region(account="prod", name=REGION)
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
WANTED = LoggingParameters()
OPTIONS = {"awslogs-group": "/orders", "awslogs-region": REGION, "awslogs-stream-prefix": "ecs"}
DEFINITION = "arn:aws:ecs:eu-central-1:111122223333:task-definition/orders:7"


def writer(driver: str = "awslogs", *, has_router: bool = False, **options: str) -> Writer:
    return Writer(
        region=HERE,
        definition="orders:7",
        name="web",
        driver=driver,
        options={name.replace("_", "-"): value for name, value in options.items()},
        has_router=has_router,
        tasks=(),
    )


# Configuration


@pytest.mark.parametrize(
    ("subject", "words"),
    [
        (writer(awslogs_group="/orders"), ""),
        (writer(), "no awslogs-group"),
        (writer(""), "no log driver"),
        (writer("json-file"), "json-file"),
        (writer("none"), "keeps its lines"),
        (writer("journald"), "keeps its lines"),
        (writer("splunk"), ""),
        (writer("awsfirelens"), "no container of its task routes"),
        (writer("awsfirelens", has_router=True), ""),
    ],
)
def test_a_driver_that_keeps_lines_on_the_host_is_none(subject: Writer, words: str) -> None:
    told = problem_of(subject)

    assert words in told
    assert bool(told) is bool(words)


def test_containers_are_essential_unless_they_say_otherwise_and_know_the_router_beside_them() -> None:
    containers = [
        {"name": "web", "logConfiguration": {"logDriver": "awsfirelens"}},
        {"name": "router", "essential": True, "firelensConfiguration": {"type": "fluentbit"}},
        {"name": "setup", "essential": False},
    ]
    task = {"taskArn": "arn:aws:ecs:::task/main/abc", "containers": [{"name": "web", "runtimeId": "abc-1"}]}

    found = list(read_writers(HERE, {"taskDefinitionArn": DEFINITION, "containerDefinitions": containers}, [task]))

    assert [(str(each), each.driver, each.has_router) for each in found] == [
        ("orders:7/web", "awsfirelens", True),
        ("orders:7/router", "", True),
    ]
    assert found[0].tasks == (Task(id="abc", runtime_id="abc-1"),)


def test_a_stream_is_named_by_prefix_container_and_task_or_by_the_container_alone() -> None:
    task = Task(id="abc", runtime_id="abc-1")

    assert writer(awslogs_stream_prefix="ecs").stream_of(task) == "ecs/web/abc"
    assert writer().stream_of(task) == "abc-1"


def test_a_log_group_is_looked_for_where_the_driver_sends_to() -> None:
    assert writer(awslogs_region="eu-west-1").home == Region(account="prod", name="eu-west-1")
    assert writer().home == HERE


# Streams


@pytest.mark.parametrize(
    ("streams", "has_stream", "silence"),
    [
        ([], False, None),
        ([{"logStreamName": "other"}], False, None),
        ([{"logStreamName": "ecs/web/abc"}], True, None),
        ([{"logStreamName": "ecs/web/abc", "lastEventTimestamp": 1000}], True, 3599),
        ([{"logStreamName": "ecs/web/abc", "lastEventTimestamp": 1000, "lastIngestionTime": 3_600_000}], True, 0),
    ],
)
def test_silence_is_counted_from_the_newest_that_aws_tells(
    streams: list[dict[str, Any]], has_stream: bool, silence: float | None
) -> None:
    trace = read_trace("abc", "ecs/web/abc", streams, datetime.fromtimestamp(3600, UTC))

    assert trace.has_stream is has_stream
    assert trace.silence == (None if silence is None else timedelta(seconds=silence))


def traces(*minutes: float | None) -> list[Trace]:
    """Tasks, each silent for so many minutes; None for one without a stream."""
    return [
        Trace(
            task=str(number),
            has_stream=silence is not None,
            silence=None if silence is None else timedelta(minutes=silence),
        )
        for number, silence in enumerate(minutes)
    ]


@pytest.mark.parametrize(
    ("found", "statuses"),
    [
        (traces(1, 2, 14), [PASS]),
        (traces(1, 2, None), [FAIL]),
        (traces(None), [FAIL]),
        (traces(1, 2, 91), [FAIL]),
        (traces(1, 2, 30), [WARNING]),
        (traces(100, 200), [WARNING]),
        (traces(), []),
    ],
)
def test_a_silent_task_fails_when_another_of_its_kind_writes_and_proves_nothing_when_all_are_silent(
    found: list[Trace], statuses: list[FindingStatus]
) -> None:
    assert [finding.status for finding in judge_traces("s", "/orders", found, WANTED)] == statuses


@pytest.mark.parametrize(
    ("started_min", "silence", "kind"),
    [(100, None, "undecided"), (60, None, "warning"), (1000, timedelta(minutes=900), "warning")],
)
def test_tasks_that_have_never_written_are_undecided_once_aws_would_tell(
    started_min: float, silence: timedelta | None, kind: str
) -> None:
    trace = Trace(task="a", has_stream=True, silence=silence, age=timedelta(minutes=started_min))

    assert [finding.kind for finding in judge_traces("s", "/orders", [trace], WANTED)] == [kind]


@given(st.lists(st.none() | st.floats(0, 10_000), max_size=8))
def test_tasks_pass_only_when_each_of_them_wrote_lately(minutes: list[float | None]) -> None:
    found = [finding.status for finding in judge_traces("s", "/orders", traces(*minutes), WANTED)]

    all_wrote = bool(minutes) and all(each is not None and each * 60 <= WANTED.within_s for each in minutes)
    assert (PASS in found) is all_wrote
    assert len(found) <= 1


@pytest.mark.parametrize(("ran", "events", "status"), [(0, 0, None), (0, 5, None), (3, 0, FAIL), (3, 9, PASS)])
def test_a_function_that_ran_has_written(ran: float, events: float, status: FindingStatus | None) -> None:
    subject = Function(region=HERE, arn="arn:f", name="f", group="/aws/lambda/f")

    found = judge_function(subject, ran, events, WANTED)

    assert (found.status if found else None) is status


# On an emulated account


@pytest.fixture
def lasting_tasks(emulator: str) -> None:
    """Tasks of the emulator would end when they are looked at twice."""
    order = {"model_name": "ecs::task", "transition": {"progression": "manual", "times": 100_000}}
    request = urllib.request.Request(f"{emulator}/moto-api/state-manager/set-transition", json.dumps(order).encode())
    request.add_header("Content-Type", "application/json")
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20) as answer:
        answer.read()


def look(cloud: Cloud, *, check: str = "", at: datetime | None = None, **parameters: Any) -> ItemResult:
    environment = Environment(service="orders", name="production", stage="production", aws=(cloud.account(),))
    return audit_item(
        ITEM,
        environment,
        check=check,
        parameters=parameters,
        environ=cloud.environ,
        at=at,
        min_evidence=Grade.LIVE,
    )


def run(cloud: Cloud, family: str, log: Mapping[str, Any] | None, *, count: int = 1) -> Sequence[str]:
    """Start tasks of one container `web`; their ids."""
    ecs = cloud.client("ecs")
    ecs.create_cluster(clusterName="main")
    configured = {"logConfiguration": log} if log else {}
    ecs.register_task_definition(
        family=family,
        networkMode="awsvpc",
        requiresCompatibilities=["FARGATE"],
        cpu="256",
        memory="512",
        containerDefinitions=[{"name": "web", "image": "orders:1", "memory": 256, **configured}],
    )
    subnet = cloud.client("ec2").describe_subnets()["Subnets"][0]["SubnetId"]
    placed = {"awsvpcConfiguration": {"subnets": [subnet], "securityGroups": []}}
    found = ecs.run_task(
        cluster="main", taskDefinition=family, count=count, launchType="FARGATE", networkConfiguration=placed
    )
    return [task["taskArn"].rpartition("/")[2] for task in found["tasks"]]


def write(cloud: Cloud, group: str, *streams: str, age: timedelta = timedelta()) -> None:
    logs = cloud.client("logs")
    logs.create_log_group(logGroupName=group)
    for stream in streams:
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
        moment_ms = int((datetime.now(UTC) - age).timestamp() * 1000)
        events = [{"timestamp": moment_ms, "message": "an order was placed"}]
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


AWSLOGS = {"logDriver": "awslogs", "options": OPTIONS}


@pytest.mark.proof("pass")
@pytest.mark.usefixtures("lasting_tasks")
def test_tasks_that_all_wrote_lately_pass(cloud: Cloud) -> None:
    tasks = run(cloud, "orders", AWSLOGS, count=3)
    write(cloud, "/orders", *(f"ecs/web/{task}" for task in tasks))

    result = look(cloud)

    assert result.status is Status.PASS, result.reason
    assert "3 running tasks wrote" in result.of_status(PASS)[0].observed


@pytest.mark.proof("fail")
@pytest.mark.usefixtures("lasting_tasks")
def test_one_of_three_tasks_without_a_stream_fails_by_its_id(cloud: Cloud) -> None:
    tasks = run(cloud, "orders", AWSLOGS, count=3)
    write(cloud, "/orders", *(f"ecs/web/{task}" for task in tasks[:2]))

    result = look(cloud)

    assert result.status is Status.FAIL
    assert tasks[2] in result.of_status(FAIL)[0].observed
    assert "1 of 3" in result.of_status(FAIL)[0].observed


@pytest.mark.usefixtures("lasting_tasks")
def test_containers_without_driver_or_group_fail_and_one_driver_is_enough_only_as_configuration(cloud: Cloud) -> None:
    run(cloud, "bare", None)
    run(cloud, "host", {"logDriver": "json-file"})
    run(cloud, "lost", {"logDriver": "awslogs", "options": {**OPTIONS, "awslogs-group": "/gone"}})
    run(cloud, "splunk", {"logDriver": "splunk", "options": {"mode": "non-blocking"}})

    result = look(cloud)

    told = {finding.subject: finding.observed for finding in result.of_status(FAIL)}
    assert set(told) == {"bare:1/web", "host:1/web", "lost:1/web"}
    assert "/gone does not exist" in told["lost:1/web"]
    assert [finding.grade for finding in result.of_status(PASS)] == [Grade.CONTROL_PLANE]
    assert "non-blocking" in result.of_status(WARNING)[0].observed


@pytest.mark.proof("inconclusive")
@pytest.mark.usefixtures("lasting_tasks")
def test_nothing_that_runs_and_nothing_that_wrote_lately_are_inconclusive(cloud: Cloud) -> None:
    assert look(cloud).status is Status.INCONCLUSIVE

    (task,) = run(cloud, "orders", AWSLOGS)
    write(cloud, "/orders", f"ecs/web/{task}")

    quiet = look(cloud, at=datetime.now(UTC) + timedelta(hours=3))
    assert quiet.status is Status.INCONCLUSIVE
    assert len(quiet.of_status(WARNING)) == 1


@pytest.mark.proof("error")
@pytest.mark.usefixtures("lasting_tasks")
def test_streams_that_may_not_be_listed_are_an_error_that_names_the_permission(cloud: Cloud) -> None:
    run(cloud, "orders", AWSLOGS)
    cloud.allow_only("ecs:*")

    result = look(cloud, check="container")

    assert result.status is Status.ERROR
    assert "logs:DescribeLogStreams" in result.reason + result.next_step


def test_a_function_that_ran_is_judged_by_the_events_of_its_group(cloud: Cloud) -> None:
    for name in ("writes", "silent", "idle"):
        cloud.function(name, {})
    metrics = cloud.client("cloudwatch")
    for name, events in (("writes", 4), ("silent", 0)):
        ran = {"MetricName": "Invocations", "Dimensions": [{"Name": "FunctionName", "Value": name}], "Value": 2}
        metrics.put_metric_data(Namespace="AWS/Lambda", MetricData=[ran])
        if events:
            group = [{"Name": "LogGroupName", "Value": f"/aws/lambda/{name}"}]
            written = {"MetricName": "IncomingLogEvents", "Dimensions": group, "Value": events}
            metrics.put_metric_data(Namespace="AWS/Logs", MetricData=[written])

    result = look(cloud, at=datetime.now(UTC) + timedelta(minutes=2))

    told = {f.subject.rpartition(":")[2]: f.status for f in (*result.of_status(PASS), *result.of_status(FAIL))}
    assert told == {"writes": PASS, "silent": FAIL}
