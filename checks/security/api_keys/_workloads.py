"""ECS services, and the containers of the task definitions that they run now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from quub_audit.sdk import Aws, Region, subjects

SERVICES_AT_ONCE = 10
"""Most services that one ecs.DescribeServices takes (API reference)."""

SERVICE_PERMISSIONS = ("ecs:ListClusters", "ecs:ListServices", "ecs:DescribeServices")


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One active ECS service."""

    region: Region
    arn: str
    name: str
    """`cluster/service`."""
    task_definitions: tuple[str, ...]
    """ARNs that its deployments and task sets run, the newest first."""
    networks: tuple[tuple[tuple[str, ...], bool], ...]
    """Subnet ids, and whether tasks get a public address; none where tasks share the network of their host."""
    takes_back: bool | None = None
    """Whether ECS takes back a deployment that does not become steady; None where another controller deploys, or
    the answer does not say."""
    target_groups: tuple[str, ...] = ()
    """ARNs of those that it answers for."""

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDefinition:
    """One revision that at least one service runs."""

    region: Region
    arn: str

    @property
    def name(self) -> str:
        """`family:revision`."""
        return self.arn.rpartition("/")[2]

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """One container of a task definition in use."""

    region: Region
    task_definition: str
    """`family:revision`."""
    task_definition_arn: str
    name: str
    environment: tuple[Mapping[str, Any], ...] = ()
    """`name`, and `value` as a `Fingerprint`."""
    secrets: tuple[Mapping[str, Any], ...] = ()
    """`name` and `valueFrom`."""
    environment_files: tuple[str, ...] = ()
    """ARNs of objects in S3."""

    @property
    def account_id(self) -> str:
        """The account that runs it."""
        return self.task_definition_arn.split(":")[4]

    def __str__(self) -> str:
        return f"{self.task_definition}/{self.name}"


def list_services(region: Region, aws: Aws) -> Iterator[Service]:
    """Every active service of every cluster; one that is draining or gone is left out."""
    for cluster in aws.ask("ecs.ListClusters", region=region)["clusterArns"]:
        names = aws.ask("ecs.ListServices", region=region, cluster=cluster)["serviceArns"]
        for start in range(0, len(names), SERVICES_AT_ONCE):
            chunk = list(names[start : start + SERVICES_AT_ONCE])
            answer = aws.ask("ecs.DescribeServices", region=region, cluster=cluster, services=chunk)
            for service in answer["services"]:
                if service.get("status") == "ACTIVE":
                    yield _read_service(region, cluster, service)


@subjects(each=Region, permissions=SERVICE_PERMISSIONS)
def services(region: Region, aws: Aws) -> Iterator[Service]:
    """Every active ECS service."""
    yield from list_services(region, aws)


@subjects(each=Region, permissions=SERVICE_PERMISSIONS)
def task_definitions(region: Region, aws: Aws) -> Iterator[TaskDefinition]:
    """Every task definition that an active service runs, each once."""
    seen: set[str] = set()
    for service in list_services(region, aws):
        for arn in service.task_definitions:
            if arn not in seen:
                seen.add(arn)
                yield TaskDefinition(region=region, arn=arn)


@subjects(each=task_definitions, permissions=["ecs:DescribeTaskDefinition"])
def containers(definition: TaskDefinition, aws: Aws) -> Iterator[Container]:
    """The containers of every task definition in use, sidecars included."""
    answer = aws.ask("ecs.DescribeTaskDefinition", region=definition.region, taskDefinition=definition.arn)
    for container in answer["taskDefinition"].get("containerDefinitions", ()):
        yield Container(
            region=definition.region,
            task_definition=definition.name,
            task_definition_arn=definition.arn,
            name=container["name"],
            environment=tuple(container.get("environment", ())),
            secrets=tuple(container.get("secrets", ())),
            environment_files=tuple(file["value"] for file in container.get("environmentFiles", ())),
        )


def _read_service(region: Region, cluster: str, service: Mapping[str, Any]) -> Service:
    running = [part for part in service.get("deployments", ()) if part.get("status") in ("PRIMARY", "ACTIVE")]
    sources = [service, *running, *service.get("taskSets", ())]
    definitions = [part["taskDefinition"] for part in sources if part.get("taskDefinition")]
    networks = [
        part["networkConfiguration"]["awsvpcConfiguration"]
        for part in sources
        if part.get("networkConfiguration", {}).get("awsvpcConfiguration")
    ]
    breaker = service.get("deploymentConfiguration", {}).get("deploymentCircuitBreaker", {})
    is_told = "deploymentConfiguration" in service
    is_ours = service.get("deploymentController", {}).get("type", "ECS") == "ECS"
    return Service(
        region=region,
        arn=service["serviceArn"],
        name=f"{cluster.rpartition('/')[2]}/{service['serviceName']}",
        task_definitions=tuple(dict.fromkeys(definitions)),
        networks=tuple(
            dict.fromkeys(
                (tuple(network.get("subnets", ())), network.get("assignPublicIp") == "ENABLED") for network in networks
            )
        ),
        takes_back=bool(breaker.get("enable") and breaker.get("rollback")) if is_told and is_ours else None,
        target_groups=tuple(
            each["targetGroupArn"] for each in service.get("loadBalancers", ()) if "targetGroupArn" in each
        ),
    )
