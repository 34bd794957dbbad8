"""Traces of this service, in this environment, arrive at the APM now.

Pass          a declared backend took at least `min_spans` spans or transactions of the service in `window_s`, of this environment where spans name one, and of `version` where that is set; or AWS X-Ray counts requests of it
Fail          nothing of the service arrived in `silent_s`, or only of other environments, or not of `version`; the code depends on an agent and nothing loads it, or loads it after the libraries that it must instrument; a setting of production turns it off, or samples nothing
Inconclusive  no backend is declared and X-Ray knows nothing of the service; one took nothing in `window_s`, but earlier; `version` is set, and spans name none
Error         the backend cannot be asked, or refuses its credentials; a checkout cannot be read
Needs         of the backend credentials that may read traces; `xray:GetServiceGraph`; a checkout of the code
Source        the guide, Monitoring; AWS Well-Architected, OPS 8

Datadog is asked for retained spans, New Relic for transactions of the application; Jaeger and Tempo for the newest 200 traces; X-Ray for its graph of services, where nodes that it infers from the calls of others do not count. Only counts, moments, versions and environments of spans are kept. What the code says can fail the item, and never passes it.
Warned of: spans that name no environment, so that those of another may be among them.
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

from pydantic import Field

from quub_audit.checks.performance.monitoring._agents import (
    Agent,
    File,
    depended_on,
    import_patterns,
    is_started,
    loads_first,
    startup_files,
    switched_off,
)
from quub_audit.sdk import (
    ApmBackend,
    Aws,
    Clock,
    Environment,
    Finding,
    Grade,
    Match,
    Parameters,
    Region,
    Repositories,
    Repository,
    Telemetry,
    Traces,
    check,
    cut,
)

AGENTS = (
    Agent(package="dd-trace", module="dd-trace"),
    Agent(package="newrelic", module="newrelic", launchers=("newrelic-admin run-program",)),
    Agent(package="elastic-apm-node", module="elastic-apm-node"),
    Agent(package="@opentelemetry/sdk-node", module="@opentelemetry/sdk-node"),
    Agent(
        package="@opentelemetry/auto-instrumentations-node",
        module="@opentelemetry/auto-instrumentations-node",
    ),
    Agent(package="ddtrace", module="ddtrace", launchers=("ddtrace-run",)),
    Agent(package="elastic-apm", module="elasticapm"),
    Agent(package="opentelemetry-distro", module="opentelemetry", launchers=("opentelemetry-instrument",)),
)

INSTRUMENTED = (
    *("express", "fastify", "koa", "@nestjs/core", "http", "https", "axios", "pg", "mysql2", "mongoose", "redis"),
    *("ioredis", "undici", "flask", "django", "fastapi", "psycopg", "psycopg2", "sqlalchemy", "requests", "httpx"),
)
"""Modules that an agent can instrument only when it comes first; of both languages."""

INFERRED = ("client", "remote")
"""Types of nodes that X-Ray draws for what others call, or who calls, and that sent nothing themselves."""

_IS = r"[\"']?\s*[,:=]?\s*([\"']?value[\"']?\s*[:=]\s*)?[\"']?"
"""Between a variable and its value: in a Dockerfile, a manifest of Kubernetes, a task definition, Terraform."""
_NOTHING = r"0(\.0+)?(?![\w.])"
SWITCHES: Mapping[str, re.Pattern[str]] = {
    "OTEL_TRACES_SAMPLER is always_off": re.compile(rf"OTEL_TRACES_SAMPLER{_IS}always_off"),
    "OTEL_TRACES_SAMPLER_ARG is 0": re.compile(rf"OTEL_TRACES_SAMPLER_ARG{_IS}{_NOTHING}"),
    "OTEL_SDK_DISABLED is true": re.compile(rf"OTEL_SDK_DISABLED{_IS}true", re.IGNORECASE),
    "DD_TRACE_ENABLED is false": re.compile(rf"DD_TRACE_ENABLED{_IS}(false|0)(?![\w.])", re.IGNORECASE),
    "DD_TRACE_SAMPLE_RATE is 0": re.compile(rf"DD_TRACE_SAMPLE_RATE{_IS}{_NOTHING}"),
    "NEW_RELIC_ENABLED is false": re.compile(rf"NEW_RELIC_ENABLED{_IS}(false|0)(?![\w.])", re.IGNORECASE),
}


class ApmParameters(Parameters):
    """What the checklist may set under `with:`."""

    window_s: float = 1800
    """Seconds within which spans must have arrived."""

    silent_s: float = 86400
    """Seconds without any span that fail; in between there may only have been no traffic."""

    min_spans: int = Field(default=1, ge=1)
    """Count of spans, transactions or traces that is enough."""

    environment: str = ""
    """How spans call the environment; its own name when empty."""

    version: str = ""
    """The version that must have sent spans, as it is about to be released; any is enough when empty."""


@check("The backend took traces of the service", each=ApmBackend)
def backend(
    subject: ApmBackend, telemetry: Telemetry, environment: Environment, wanted: ApmParameters
) -> Iterator[Finding]:
    """The last half hour; where that is empty, the last day."""
    name = wanted.environment or environment.name
    found = telemetry.traces(subject, environment=name, window_min=wanted.window_s / 60)
    earlier = found
    if found.count < wanted.min_spans:
        earlier = telemetry.traces(subject, environment=name, window_min=wanted.silent_s / 60)
    yield from judge(str(subject), found, earlier, name, wanted)


def judge(subject: str, found: Traces, earlier: Traces, environment: str, wanted: ApmParameters) -> Iterator[Finding]:
    """`earlier` is of the longer window; of the same where that was not asked for.

    Undecided where there may only have been no traffic, and where spans do not name the version that is wanted.
    """
    minutes, hours = wanted.window_s / 60, wanted.silent_s / 3600
    expected = f"spans of {found.service} in {environment} within {minutes:g} minutes"
    if found.count < wanted.min_spans:
        if earlier.count:
            observed = (
                f"took {found.count} spans of {found.service} in {minutes:g} minutes, {earlier.count} in {hours:g} h"
            )
            next_step = "audit while there is traffic, or lengthen `window_s` where there is rarely any"
            yield Finding.undecided(subject=subject, observed=observed, expected=expected, next_step=next_step)
            return
        observed = f"took nothing of {found.service} in {environment} in {hours:g} h"
        yield Finding.of(False, subject=subject, observed=observed, expected=expected)
        return
    if wanted.version and found.versions and wanted.version not in found.versions:
        observed = f"took spans of {cut(found.versions)} alone, and none of {wanted.version}"
        yield Finding.of(False, subject=subject, observed=observed, expected=expected)
        return
    if wanted.version and not found.versions:
        yield Finding.undecided(
            subject=subject,
            observed=f"took {found.count} spans of {found.service} in {minutes:g} minutes, which name no version",
            expected=f"{expected}, of {wanted.version}",
            next_step="let spans name the version of the service, or leave `version` empty",
        )
        return
    versions = f", of {cut(found.versions)}" if found.versions else ""
    observed = f"took {found.count} spans of {found.service} in {minutes:g} minutes{versions}"
    yield Finding.of(True, subject=subject, observed=observed, expected=expected)
    if not found.environment:
        yield Finding.warning(
            subject=subject,
            observed="spans name no environment, so that those of another may be among them",
            expected=f"spans that name {environment}",
        )


@check("X-Ray counts requests of the service", each=Region, permissions=["xray:GetServiceGraph"])
def xray(subject: Region, aws: Aws, environment: Environment, clock: Clock, wanted: ApmParameters) -> Finding | None:
    """Nothing where X-Ray does not know the service: it may be traced elsewhere."""
    end = clock.now().replace(microsecond=0)
    start = end - timedelta(seconds=wanted.window_s)
    answer = aws.ask("xray.GetServiceGraph", region=subject, StartTime=start, EndTime=end)
    counts = [
        (service.get("SummaryStatistics") or {}).get("TotalCount") or 0
        for service in answer.get("Services", ())
        if environment.service in (service.get("Name"), *service.get("Names", ()))
        and service.get("Type") not in INFERRED
    ]
    if sum(counts) < wanted.min_spans:
        return None
    minutes = wanted.window_s / 60
    return Finding.of(
        True,
        subject=f"{subject}: {environment.service}",
        observed=f"X-Ray counted {sum(counts)} requests in {minutes:g} minutes",
        expected=f"requests of {environment.service} within {minutes:g} minutes",
        grade=Grade.LIVE,
    )


@check("The agent is loaded first, and on", each=Repository)
def agent(subject: Repository, repositories: Repositories) -> Iterator[Finding]:
    """Fails alone: that an agent is loaded does not show that anything arrives."""
    agents = depended_on(subject, repositories, AGENTS)
    if not agents:
        return
    patterns = import_patterns([*(each.module for each in agents), *INSTRUMENTED])
    imports = repositories.search(subject, patterns=patterns).matches
    yield from judge_agents(subject.name, agents, imports, startup_files(subject, repositories))


def judge_agents(
    repository: str, agents: Sequence[Agent], imports: Sequence[Match], startup: Sequence[File]
) -> Iterator[Finding]:
    """One that nothing loads, that comes too late, or that a setting turns off."""
    packages = cut(each.package for each in agents)
    expected = "an agent that is loaded before everything else"
    if not any(is_started(each, startup) for each in agents):
        places = [loads_first(each, imports, INSTRUMENTED) for each in agents]
        late = next((place for _, place in places if place), None)
        if not any(is_first for is_first, _ in places):
            observed = f"{packages} is loaded after what it must instrument" if late else f"nothing loads {packages}"
            yield Finding.of(
                False, subject=f"{repository}: {packages}", observed=observed, expected=expected, location=late
            )
    for what, place in switched_off(startup, SWITCHES):
        yield Finding.of(
            False, subject=f"{repository}:{place.file}", observed=what, expected="traces that are sent", location=place
        )
