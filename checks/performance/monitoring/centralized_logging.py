"""What every running container and function writes arrives in one place, within minutes.

Pass          each essential container that runs in ECS sends its output by a log driver, and with `awslogs` every running task has written within `within_s` seconds; each Lambda function that ran within `hours` hours has a log group that took events
Fail          a container has no log driver, or one that keeps its output on the host; it is given to FireLens and no router is there; its log group does not exist; a running task has no log stream, or has been silent for `silent_s` seconds while another of its kind wrote; a function ran and its log group took nothing
Inconclusive  nothing runs, or nothing that runs has written lately; tasks of one kind that started `silent_s` ago or earlier have never written a line
Error         tasks, their definitions, log streams or metrics cannot be asked
Needs         `ecs:ListClusters`, `ListTasks`, `DescribeTasks`, `DescribeTaskDefinition`, `logs:DescribeLogStreams`, `lambda:ListFunctions`, `cloudwatch:GetMetricData`
Source        the guide, Monitoring; OWASP ASVS v5.0.0-16.4.2 and 16.4.3; PCI DSS 4.0.1, 10.3.3; AWS Well-Architected, OPS 8

CloudWatch tells the last event of a stream up to an hour late: hence the distance between `within_s` and `silent_s`. What other drivers than `awslogs` deliver is not seen, and counts as configuration alone.
Warned of: tasks that are silent now and have written before, as those of a quiet night, and drivers that drop lines when their buffer is full (`mode: non-blocking`).
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from quub_audit.sdk import (
    Aws,
    Clock,
    Finding,
    Grade,
    Parameters,
    Region,
    check,
    cut,
    subjects,
)

TASKS_AT_ONCE = 100
"""Most tasks that one ecs.DescribeTasks takes (API reference)."""

CENTRAL = frozenset({"awslogs", "awsfirelens", "splunk", "fluentd", "gelf", "syslog", "logentries"})
"""Log drivers that carry lines away from the host."""

EXPECTED = "a log driver that carries its lines to a central store"


class LoggingParameters(Parameters):
    """What the checklist may set under `with:`."""

    within_s: float = 900
    """Seconds within which each running task must have written for a pass."""

    silent_s: float = 5400
    """Seconds of silence that fail a task while another of its kind writes; AWS tells of events up to an hour late."""

    grace_s: float = 300
    """Seconds after its start for which a task need not have written. The guide's lag."""

    hours: float = 24
    """Hours within which invocations of a function and events of its log group are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One running task, as one of its containers sees it."""

    id: str
    runtime_id: str = ""
    """The container's own id, by which streams without a prefix are named."""
    started_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """One essential container of a task definition, with the tasks that run it."""

    region: Region
    definition: str
    """`family:revision`."""
    name: str
    driver: str
    """Empty where there is none."""
    options: Mapping[str, str]
    has_router: bool
    """Whether its task definition has a FireLens container."""
    tasks: tuple[Task, ...]

    def __str__(self) -> str:
        return f"{self.definition}/{self.name}"

    @property
    def home(self) -> Region:
        """Where its log group is."""
        return Region(account=self.region.account, name=self.options.get("awslogs-region") or self.region.name)

    @property
    def group(self) -> str:
        """Its log group."""
        return self.options.get("awslogs-group", "")

    def stream_of(self, task: Task) -> str:
        """`prefix/container/task`; the container's id where there is no prefix."""
        prefix = self.options.get("awslogs-stream-prefix", "")
        return f"{prefix}/{self.name}/{task.id}" if prefix else task.runtime_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What is known of one task's stream."""

    task: str
    has_stream: bool
    silence: timedelta | None
    """Since its last line; None where no line is known."""
    age: timedelta = timedelta()
    """Since its start; 0 where that is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """One Lambda function."""

    region: Region
    arn: str
    name: str
    group: str

    def __str__(self) -> str:
        return self.arn


# Containers


@subjects(
    each=Region, permissions=["ecs:DescribeTaskDefinition", "ecs:DescribeTasks", "ecs:ListClusters", "ecs:ListTasks"]
)
def writers(region: Region, aws: Aws) -> Iterator[Writer]:
    """Essential containers of every task definition that runs now, in a service or not."""
    by_definition: dict[str, list[Mapping[str, Any]]] = {}
    for cluster in aws.ask("ecs.ListClusters", region=region)["clusterArns"]:
        for task in _running(region, cluster, aws):
            by_definition.setdefault(task["taskDefinitionArn"], []).append(task)
    for arn, tasks in by_definition.items():
        answer = aws.ask("ecs.DescribeTaskDefinition", region=region, taskDefinition=arn)
        yield from read_writers(region, answer["taskDefinition"], tasks)


def _running(region: Region, cluster: str, aws: Aws) -> Iterator[Mapping[str, Any]]:
    arns = aws.ask("ecs.ListTasks", region=region, cluster=cluster, desiredStatus="RUNNING")["taskArns"]
    for start in range(0, len(arns), TASKS_AT_ONCE):
        chunk = list(arns[start : start + TASKS_AT_ONCE])
        answer = aws.ask("ecs.DescribeTasks", region=region, cluster=cluster, tasks=chunk)
        yield from (task for task in answer["tasks"] if task.get("lastStatus", "RUNNING") == "RUNNING")


def read_writers(region: Region, definition: Mapping[str, Any], tasks: Sequence[Mapping[str, Any]]) -> Iterator[Writer]:
    """The essential containers of one definition; a container is essential unless it says that it is not."""
    containers = definition.get("containerDefinitions", ())
    for container in containers:
        if container.get("essential") is False:
            continue
        configured = container.get("logConfiguration") or {}
        yield Writer(
            region=region,
            definition=definition["taskDefinitionArn"].rpartition("/")[2],
            name=container["name"],
            driver=configured.get("logDriver") or "",
            options=configured.get("options") or {},
            has_router=any(each.get("firelensConfiguration") for each in containers),
            tasks=tuple(_task(task, container["name"]) for task in tasks),
        )


def _task(task: Mapping[str, Any], container: str) -> Task:
    own: Mapping[str, Any] = next((each for each in task.get("containers", ()) if each.get("name") == container), {})
    return Task(
        id=task["taskArn"].rpartition("/")[2],
        runtime_id=own.get("runtimeId") or "",
        started_at=task.get("startedAt"),
    )


@check(
    "Running containers write to a central store",
    each=writers,
    permissions=["logs:DescribeLogStreams"],
)
def container(subject: Writer, aws: Aws, clock: Clock, wanted: LoggingParameters) -> Iterator[Finding]:
    """The log driver, and with `awslogs` the last line of every running task."""
    problem = problem_of(subject)
    if problem:
        yield Finding.of(False, subject=str(subject), observed=problem, expected=EXPECTED)
        return
    if subject.options.get("mode") == "non-blocking":
        yield Finding.warning(
            subject=str(subject),
            observed="drops lines when its buffer is full (mode: non-blocking)",
            expected="mode: blocking, or a max-buffer-size that holds a burst",
        )
    if subject.driver != "awslogs":
        observed = f"writes by {subject.driver}, whose delivery is not seen from here"
        yield Finding.of(True, subject=str(subject), observed=observed, expected=EXPECTED, grade=Grade.CONTROL_PLANE)
        return
    traces = _traces(subject, aws, clock.now(), wanted)
    if traces is None:
        observed = f"its log group {subject.group} does not exist in {subject.home.name}"
        yield Finding.of(False, subject=str(subject), observed=observed, expected=EXPECTED)
        return
    yield from judge_traces(str(subject), subject.group, traces, wanted)


def problem_of(writer: Writer) -> str:
    """What is wrong with its configuration alone; empty where nothing is."""
    if not writer.driver:
        return "has no log driver: what it writes stays where it runs"
    if writer.driver not in CENTRAL:
        return f"has the log driver {writer.driver}, which keeps its lines on the host"
    if writer.driver == "awsfirelens" and not writer.has_router:
        return "gives its lines to FireLens, and no container of its task routes them"
    if writer.driver == "awslogs" and not writer.group:
        return "has the log driver awslogs and no awslogs-group"
    return ""


def _traces(writer: Writer, aws: Aws, now: datetime, wanted: LoggingParameters) -> tuple[Trace, ...] | None:
    """One of each task that is old enough; None where the log group does not exist."""
    traces = []
    for task in writer.tasks:
        if task.started_at and now - task.started_at < timedelta(seconds=wanted.grace_s):
            continue
        name = writer.stream_of(task)
        if not name:
            continue
        answer = aws.find(
            "logs.DescribeLogStreams", region=writer.home, logGroupName=writer.group, logStreamNamePrefix=name
        )
        if answer is None:
            return None
        found = read_trace(task.id, name, answer.get("logStreams", ()), now)
        traces.append(replace(found, age=now - task.started_at) if task.started_at else found)
    return tuple(traces)


def read_trace(task: str, name: str, streams: Iterable[Mapping[str, Any]], now: datetime) -> Trace:
    """By the newer of the last event and its ingestion, which AWS gives in milliseconds since 1970."""
    found = next((stream for stream in streams if str(stream.get("logStreamName", "")).startswith(name)), None)
    last_ms = max((found or {}).get("lastIngestionTime") or 0, (found or {}).get("lastEventTimestamp") or 0)
    silence = now - datetime.fromtimestamp(last_ms / 1000, UTC) if last_ms else None
    return Trace(task=task, has_stream=found is not None, silence=silence)


def judge_traces(subject: str, group: str, traces: Sequence[Trace], wanted: LoggingParameters) -> Iterator[Finding]:
    """A pass when all wrote lately; nothing is proven where none did.

    Undecided where none has ever written, though AWS would tell of it by now: it may write to a file of its own.
    """
    lately, long_ago = timedelta(seconds=wanted.within_s), timedelta(seconds=wanted.silent_s)
    expected = f"a line of each running task within {wanted.within_s / 60:g} minutes"
    mute = [trace.task for trace in traces if not trace.has_stream]
    if mute:
        observed = f"{len(mute)} of {len(traces)} running tasks have no stream in {group}: {cut(mute)}"
        yield Finding.of(False, subject=subject, observed=observed, expected=expected)
        return
    fresh = [trace for trace in traces if trace.silence is not None and trace.silence <= lately]
    silent = [trace.task for trace in traces if trace.silence is None or trace.silence > long_ago]
    if fresh and silent:
        observed = (
            f"{len(silent)} of {len(traces)} running tasks have written nothing to {group} for "
            f"{wanted.silent_s / 60:g} minutes while others did: {cut(silent)}"
        )
        yield Finding.of(False, subject=subject, observed=observed, expected=expected)
    elif traces and len(fresh) == len(traces):
        observed = f"{_count(len(fresh), 'running task')} wrote to {group} within {wanted.within_s / 60:g} minutes"
        yield Finding.of(True, subject=subject, observed=observed, expected=expected, grade=Grade.LIVE)
    elif traces and all(trace.silence is None and trace.age > long_ago for trace in traces):
        observed = f"{_count(len(traces), 'running task')} never wrote a line to {group}"
        next_step = "let it write to its standard output, a line at its start at least"
        yield Finding.undecided(subject=subject, observed=observed, expected=expected, next_step=next_step)
    elif traces:
        quiet = len(traces) - len(fresh)
        observed = (
            f"{quiet} of {len(traces)} running tasks wrote nothing to {group} in {wanted.within_s / 60:g} minutes"
        )
        yield Finding.warning(subject=subject, observed=observed, expected=expected)


def _count(number: int, of: str) -> str:
    return f"{number} {of}{'' if number == 1 else 's'}"


# Functions


@subjects(each=Region, permissions=["lambda:ListFunctions"])
def functions(region: Region, aws: Aws) -> Iterator[Function]:
    """Every Lambda function, with the log group that it writes to."""
    for found in aws.ask("lambda.ListFunctions", region=region).get("Functions", ()):
        named = (found.get("LoggingConfig") or {}).get("LogGroup")
        yield Function(
            region=region,
            arn=found["FunctionArn"],
            name=found["FunctionName"],
            group=named or f"/aws/lambda/{found['FunctionName']}",
        )


@check("Functions that ran have written", each=functions, permissions=["cloudwatch:GetMetricData"])
def function(subject: Function, aws: Aws, clock: Clock, wanted: LoggingParameters) -> Finding | None:
    """The runtime itself writes a line when a function starts, so that one that ran has written."""
    end = clock.now().replace(second=0, microsecond=0)
    answer = aws.ask(
        "cloudwatch.GetMetricData",
        region=subject.region,
        StartTime=end - timedelta(hours=wanted.hours),
        EndTime=end,
        MetricDataQueries=[
            _sum("invocations", "AWS/Lambda", "Invocations", "FunctionName", subject.name),
            _sum("events", "AWS/Logs", "IncomingLogEvents", "LogGroupName", subject.group),
        ],
    )
    sums = {found["Id"]: sum(found.get("Values", ())) for found in answer.get("MetricDataResults", ())}
    return judge_function(subject, sums.get("invocations", 0), sums.get("events", 0), wanted)


def _sum(id_: str, namespace: str, metric: str, dimension: str, value: str) -> Mapping[str, Any]:
    named = {"Namespace": namespace, "MetricName": metric, "Dimensions": [{"Name": dimension, "Value": value}]}
    return {"Id": id_, "MetricStat": {"Metric": named, "Period": 3600, "Stat": "Sum"}, "ReturnData": True}


def judge_function(subject: Function, invocations: float, events: float, wanted: LoggingParameters) -> Finding | None:
    """Nothing where it did not run."""
    if invocations <= 0:
        return None
    return Finding.of(
        events > 0,
        subject=subject.arn,
        observed=f"ran {invocations:g} times in {wanted.hours:g} h, and {subject.group} took {events:g} events",
        expected="events in its log group",
        grade=Grade.LIVE,
    )
