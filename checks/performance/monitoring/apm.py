"""Traces of this service, in this environment, arrive at the APM now.

Pass          a declared backend took at least `min_spans` spans or transactions of the service in `window_s`, of this environment where spans name one, and of `version` where that is set; or AWS X-Ray counts requests of it
Fail          nothing of the service arrived in `silent_s`, or only of other environments, or not of `version`
Inconclusive  no backend is declared and X-Ray knows nothing of the service; nothing arrived in `window_s`, but earlier
Error         the backend cannot be asked, or refuses its credentials
Needs         of the backend credentials that may read traces; `xray:GetServiceGraph`
Source        the guide, Monitoring; AWS Well-Architected, OPS 8

Datadog is asked for retained spans, New Relic for transactions of the application; Jaeger and Tempo for the newest 200 traces. Only counts, moments, versions and environments of spans are kept.
Warned of: spans that name no environment, so that those of another may be among them.
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from pydantic import Field

from quub_audit.sdk import (
    ApmBackend,
    Aws,
    Clock,
    Environment,
    Finding,
    Grade,
    Parameters,
    Region,
    Telemetry,
    Traces,
    check,
    cut,
)


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
    """`earlier` is of the longer window; of the same where that was not asked for."""
    minutes, hours = wanted.window_s / 60, wanted.silent_s / 3600
    expected = f"spans of {found.service} in {environment} within {minutes:g} minutes"
    if found.count < wanted.min_spans:
        if earlier.count:
            observed = (
                f"took {found.count} spans of {found.service} in {minutes:g} minutes, {earlier.count} in {hours:g} h"
            )
            yield Finding.warning(subject=subject, observed=observed, expected=expected)
            return
        observed = f"took nothing of {found.service} in {environment} in {hours:g} h"
        yield Finding.of(False, subject=subject, observed=observed, expected=expected)
        return
    if wanted.version and found.versions and wanted.version not in found.versions:
        observed = f"took spans of {cut(found.versions)} alone, and none of {wanted.version}"
        yield Finding.of(False, subject=subject, observed=observed, expected=expected)
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
