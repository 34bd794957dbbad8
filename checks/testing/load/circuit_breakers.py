"""When a dependency fails, a circuit breaker opens, the service stays steady, and the breaker closes again.

Pass          an experiment did its fault, the steady state held before and after, and the breaker was seen open within `open_within_s`, then half-open, then closed within `recovery_s`
Fail          the steady state did not hold, or the experiment deviated; the breaker was watched and never opened, opened too late, or did not close again
Inconclusive  no artifact of purpose `chaos` is declared, or it is missing or stale; the experiment was not carried out, or the steady state did not hold before it; nobody watched the breaker; a library for breakers is used in code, and no experiment shows it
Error         a report cannot be read, or CI denies it; the checkout is not there; AWS refuses to tell of services
Needs         an artifact of purpose `chaos`: Chaos Toolkit's journal with a probe whose name speaks of a breaker, Litmus' ChaosResult, or JUnit XML with cases tagged `fault:NAME` (Toxiproxy) and a property `breaker-states`; a checkout; with AWS `ecs:ListClusters`, `ecs:ListServices` and `ecs:DescribeServices`
Source        OWASP ASVS 5.0, v5.0.0-16.5.2; AWS Well-Architected, REL 5 and REL 12

Chaos Toolkit says `completed` and not deviated when the steady state never held and nothing was done: such a journal shows nothing. Outlier detection of a mesh (Istio's DestinationRule, Envoy's clusters) in the checkout counts as code that breaks circuits. The circuit breaker of ECS deployments is another thing, which guards releases: where it is off, that is warned of.
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Literal

from pydantic import Field

from quub_audit.checks.security.api_keys._workloads import Service, services
from quub_audit.checks.testing.load._runs import listed, nothing_shown
from quub_audit.sdk import (
    Artifact,
    Artifacts,
    Environment,
    Experiment,
    Finding,
    Freshness,
    Grade,
    Location,
    Parameters,
    Pattern,
    Repositories,
    Repository,
    artifacts_for,
    check,
    cut,
    unread,
)

CHAOS = artifacts_for("chaos")

_JS: tuple[Literal["javascript", "typescript", "tsx"], ...] = ("javascript", "typescript", "tsx")
LIBRARIES = (
    Pattern(
        name="javascript",
        languages=_JS,
        rule=r"""
any:
  - {kind: import_statement, regex: '["''](opossum|cockatiel|mollitia|levee)["'']'}
  - {kind: call_expression, regex: '^require\s*\(\s*["''](opossum|cockatiel|mollitia|levee)["'']\s*\)$'}
""",
    ),
    Pattern(
        name="python",
        languages=("python",),
        rule=r"""
any:
  - {kind: import_statement, regex: '^import\s+(pybreaker|purgatory|circuitbreaker|aiobreaker|hyx|lasier)\b'}
  - {kind: import_from_statement, regex: '^from\s+(pybreaker|purgatory|circuitbreaker|aiobreaker|hyx|lasier)\b'}
""",
    ),
    Pattern(
        name="go",
        languages=("go",),
        rule="{kind: import_spec, regex: '(gobreaker|failsafe-go/circuitbreaker|hystrix-go|go-circuitbreaker)'}",
    ),
    Pattern(
        name="java",
        languages=("java",),
        rule=r"{kind: import_declaration, regex: '(io[.]github[.]resilience4j[.](circuitbreaker|spring)|dev[.]failsafe|org[.]eclipse[.]microprofile[.]faulttolerance)'}",  # noqa: E501
    ),
)


MESH_FILES = tuple(
    f"**/{folder}/**/*.{ending}"
    for folder in ("charts", "deploy", "envoy", "helm", "istio", "k8s", "kubernetes", "manifests", "mesh")
    for ending in ("yaml", "yml")
)
"""Where manifests of a mesh are kept."""

_OUTLIERS = re.compile(r"\s*(outlierDetection|outlier_detection)\s*:")


class BreakerParameters(Parameters):
    """What the checklist may set under `with:`."""

    max_age_days: float = Field(default=90, gt=0)
    """Days that an experiment may be old; it need not be of the audited commit. House rule."""

    open_within_s: float = Field(default=30, gt=0)
    """Seconds from the fault until the breaker is seen open. House rule."""

    recovery_s: float = Field(default=120, gt=0)
    """Seconds from half-open until it is seen closed. House rule."""


@check("An experiment shows the breaker open and close", each=CHAOS)
def experiment(
    subject: Artifact, artifacts: Artifacts, environment: Environment, wanted: BreakerParameters
) -> Iterator[Finding]:
    """Every experiment of the artifact."""
    fresh = Freshness(max_age_days=wanted.max_age_days, is_of_commit=False)
    yield from judge(subject, artifacts.experiments(subject, fresh=fresh), environment, wanted)


@check("Code or a mesh breaks circuits", each=Repository)
def code(subject: Repository, repositories: Repositories) -> Iterator[Finding]:
    """Where it is wired; below the floor of the item, so that it passes nothing alone."""
    found = repositories.search(subject, patterns=LIBRARIES)
    places = list(dict.fromkeys(match.location for match in found.matches))
    rules = []
    for file in repositories.files(subject, globs=MESH_FILES):
        line = outlier_detection(repositories.read(subject, file.path).text)
        if line is not None:
            rules.append(Location(file=file.path, line=line))
    yield judge_code(subject.name, places, rules)
    yield from unread(subject.name, found.unreadable)


def outlier_detection(manifest: str) -> int | None:
    """The line, counted from 1, on which a manifest switches outlier detection on; None where it does not."""
    return next((number for number, line in enumerate(manifest.splitlines(), 1) if _OUTLIERS.match(line)), None)


def judge_code(subject: str, libraries: Sequence[Location], rules: Sequence[Location]) -> Finding:
    """A pass by code where a library is imported or a mesh detects outliers; a warning where neither is seen."""
    expected = "a library for circuit breakers around calls to other services, or outlier detection of a mesh"
    if not libraries and not rules:
        observed = "no library for circuit breakers is imported, and no manifest detects outliers"
        return Finding.warning(subject=subject, observed=observed, expected=expected)
    seen = [f"imported at {cut(libraries)}"] if libraries else []
    seen += [f"outlier detection at {cut(rules)}"] if rules else []
    return Finding.of(
        True,
        subject=subject,
        observed="; ".join(seen),
        expected=expected,
        location=(*libraries, *rules)[0],
        grade=Grade.REPOSITORY,
    )


@check("ECS takes a deployment back that does not become steady", each=services)
def deployment(subject: Service) -> Finding | None:
    """Says only where it does not: a guard of releases shows nothing of calls to other services."""
    if subject.takes_back is not False:
        return None
    return Finding.warning(
        subject=str(subject),
        observed="a deployment that fails is not taken back",
        expected="deploymentCircuitBreaker with enable and rollback",
    )


def judge(
    subject: Artifact, experiments: Sequence[Experiment], environment: Environment, wanted: BreakerParameters
) -> Iterator[Finding]:
    """A finding for each experiment that shows anything; one for the artifact where none does."""
    expected = (
        f"the steady state holds, and the breaker opens within {wanted.open_within_s:g} s and closes again within "
        f"{wanted.recovery_s:g} s"
    )
    empty = []
    shown = False
    for each in experiments:
        name = f"{subject}: {each.title or each.origin.file}"
        if missing := missing_in(each):
            empty.append(f"{each.title or each.origin.file}: {missing}")
            continue
        shown = True
        faults = list(faults_of(each, wanted))
        seen = " then ".join(state for state, _ in each.breaker_states)
        yield Finding.of(
            not faults,
            subject=name,
            observed=listed(faults, f"{cut(each.faults)}; the breaker was {seen}"),
            expected=expected,
        )
    if not shown:
        yield nothing_shown(subject, environment, observed=cut(empty) or "no experiment", expected=expected)
    elif empty:
        yield Finding.warning(subject=str(subject), observed=cut(empty), expected=expected)


def missing_in(experiment: Experiment) -> str:
    """Why an experiment shows nothing; empty where it does."""
    if experiment.status != "completed":
        return f"it is {experiment.status}" if experiment.status != "failed" else "its own steps failed"
    if experiment.steady_before is False and not experiment.has_deviated:
        return "the steady state did not hold before it, so nothing was done"
    if not experiment.faults:
        return "no fault was carried out"
    is_bad = experiment.has_deviated or experiment.steady_after is False
    if not is_bad and experiment.steady_after is None:
        return "nobody looked at the steady state afterwards"
    if not is_bad and not experiment.breaker_states:
        return "nobody watched the breaker"
    return ""


def faults_of(experiment: Experiment, wanted: BreakerParameters) -> Iterator[str]:
    """What went wrong in an experiment that was carried out."""
    if experiment.has_deviated or experiment.steady_after is False:
        yield "the steady state did not hold"
    if not experiment.breaker_states:
        return
    names = [state for state, _ in experiment.breaker_states]
    if "open" not in names:
        yield f"the breaker never opened ({' then '.join(names)})"
        return
    at = names.index("open")
    opened_s = _seconds(experiment.fault_at, experiment.breaker_states[at][1])
    if opened_s is not None and opened_s > wanted.open_within_s:
        yield f"the breaker was seen open {opened_s:.0f} s after the fault"
    after = names[at:]
    if "half-open" not in after or names[-1] != "closed":
        yield f"the breaker did not close again by way of half-open ({' then '.join(names)})"
        return
    half_at = at + after.index("half-open")
    recovered_s = _seconds(experiment.breaker_states[half_at][1], experiment.breaker_states[-1][1])
    if recovered_s is not None and recovered_s > wanted.recovery_s:
        yield f"it took {recovered_s:.0f} s from half-open to closed"


def _seconds(begin: datetime | None, end: datetime | None) -> float | None:
    return (end - begin).total_seconds() if begin and end else None
