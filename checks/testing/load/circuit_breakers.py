"""When a dependency fails, a circuit breaker opens, the service stays steady, and the breaker closes again.

Pass          an experiment did its fault, the steady state held before and after, and the breaker was seen open within `open_within_s`, then half-open, then closed within `recovery_s`: by the experiment's own probe, or by metrics of its time
Fail          the steady state did not hold, or the experiment deviated; the breaker was watched and never opened, opened too late, or did not close again
Inconclusive  no artifact of purpose `chaos` is declared, or one is missing or stale; no experiment of a declared artifact shows anything: it was not carried out, the steady state did not hold before it, or nobody watched the breaker; one that watched it shows nothing; a library for breakers is used in code, and no experiment shows it
Error         a report cannot be read, or CI denies it; the checkout is not there; AWS refuses to tell of services or experiments; Prometheus cannot be reached or cannot read what is asked
Needs         an artifact of purpose `chaos`: Chaos Toolkit's journal with a probe whose name speaks of a breaker, Litmus' ChaosResult, or JUnit XML with cases tagged `fault:NAME` (Toxiproxy) and a property `breaker-states`; a checkout; with AWS `ecs:ListClusters`, `ecs:ListServices` and `ecs:DescribeServices`; with `when_open`, `when_half_open` and `when_closed` a way to Prometheus' API, and with AWS `fis:ListExperiments` and `fis:GetExperiment`
Source        OWASP ASVS 5.0, v5.0.0-16.5.2; AWS Well-Architected, REL 5 and REL 12

Chaos Toolkit says `completed` and not deviated when the steady state never held and nothing was done: such a journal shows nothing. Outlier detection of a mesh (Istio's DestinationRule, Envoy's clusters) in the checkout counts as code that breaks circuits. The circuit breaker of ECS deployments is another thing, which guards releases: where it is off, that is warned of.
Metrics are asked where the experiment did not watch the breaker itself: of resilience4j `when_open` is `resilience4j_circuitbreaker_state{name="quub",state="open"} == 1`; opossum's exporter counts events alone, so that the service has to keep such a gauge itself. Between two scrapes half-open may go by unseen; then they show nothing. With them experiments of AWS FIS count as well, those in which the breaker was seen open; their steady state is the alarm of a stop condition, and one without is warned of.
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Literal

from pydantic import Field

from quub_audit.checks.security.api_keys._workloads import Service, services
from quub_audit.checks.testing.load._metrics import value_of
from quub_audit.checks.testing.load._runs import listed
from quub_audit.sdk import (
    Artifact,
    Artifacts,
    Aws,
    Clock,
    Environment,
    Experiment,
    Finding,
    Freshness,
    Grade,
    Location,
    Origin,
    Parameters,
    Pattern,
    Prometheus,
    PrometheusServer,
    Region,
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
    """Seconds from the last half-open until it is seen closed. House rule."""

    when_open: str = ""
    """PromQL that comes to something only while the breaker is open; Prometheus is asked where all three are set."""

    when_half_open: str = ""
    """The same for half-open."""

    when_closed: str = ""
    """The same for closed."""

    @property
    def has_metrics(self) -> bool:
        """Whether Prometheus can be asked for the breaker's states."""
        return bool(self.when_open and self.when_half_open and self.when_closed)


MOST_EXPERIMENTS = 50
"""Of FIS, the newest ones of a region."""

STEP_S = 5
"""Between two looks at metrics; more where the time is long."""

STILL_S = 60
"""Before the end of the time that is looked at: a breaker that was open then was not closed again."""


@check("An experiment shows the breaker open and close", each=CHAOS)
def experiment(
    subject: Artifact, artifacts: Artifacts, prometheus: Prometheus, environment: Environment, wanted: BreakerParameters
) -> Iterator[Finding]:
    """Every experiment of the artifact."""
    fresh = Freshness(max_age_days=wanted.max_age_days, is_of_commit=False)
    found = artifacts.experiments(subject, fresh=fresh)
    yield from judge(
        str(subject), [watched(each, prometheus, environment.prometheus, wanted) for each in found], wanted
    )


@check(
    "An experiment of AWS FIS shows the breaker open and close",
    each=Region,
    permissions=["fis:GetExperiment", "fis:ListExperiments"],
)
def fault_injection(
    subject: Region, aws: Aws, prometheus: Prometheus, environment: Environment, clock: Clock, wanted: BreakerParameters
) -> Iterator[Finding]:
    """Those in whose time metrics saw the breaker open: others were about something else."""
    if not (wanted.has_metrics and environment.prometheus):
        return
    since = clock.now() - timedelta(days=wanted.max_age_days)
    listed_ones = aws.ask("fis.ListExperiments", region=subject).get("experiments", ())
    recent = sorted((each for each in listed_ones if each["creationTime"] >= since), key=_created, reverse=True)
    for summary in recent[:MOST_EXPERIMENTS]:
        told = aws.ask("fis.GetExperiment", region=subject, id=summary["id"])["experiment"]
        each = watched(read_fis(told), prometheus, environment.prometheus, wanted)
        if not any(state == "open" for state, _ in each.breaker_states):
            continue
        if missing := missing_in(each):
            yield Finding.warning(subject=f"{subject}: {each.title}", observed=missing)
        else:
            yield from judge(str(subject), [each], wanted)


def _created(summary: Mapping[str, Any]) -> datetime:
    at: datetime = summary["creationTime"]
    return at


def read_fis(told: Mapping[str, Any]) -> Experiment:
    """`experiment` of fis.GetExperiment: actions that completed are faults, a stop condition's alarm the steady state.

    https://docs.aws.amazon.com/fis/latest/APIReference/API_Experiment.html
    """
    state = told.get("state", {})
    status = state.get("status")
    is_halted = status == "stopped" and "stop condition" in str(state.get("reason", "")).lower()
    is_watched = any(each.get("source") == "aws:cloudwatch:alarm" for each in told.get("stopConditions", ()))
    done = {
        name: action
        for name, action in told.get("actions", {}).items()
        if action.get("state", {}).get("status") in ("completed", "stopped") and "startTime" in action
    }
    begin, end = told.get("startTime"), told.get("endTime")
    ends: Mapping[Any, Literal["completed", "failed", "aborted"]] = {
        "completed": "completed",
        "failed": "failed",
        "stopped": "completed" if is_halted else "aborted",
    }
    return Experiment(
        origin=Origin(file=str(told.get("arn") or told["id"]), tool="AWS FIS"),
        title=str(told.get("tags", {}).get("Name") or told["id"]),
        status=ends.get(status, "unfinished"),
        has_deviated=is_halted,
        steady_before=None,
        steady_after=not is_halted if is_watched else None,
        faults=tuple(str(action.get("actionId") or name) for name, action in sorted(done.items())),
        fault_at=min((action["startTime"] for action in done.values()), default=None),
        started_at=begin,
        duration_s=(end - begin).total_seconds() if begin and end else None,
    )


def watched(
    experiment: Experiment,
    prometheus: Prometheus,
    servers: Sequence[PrometheusServer],
    wanted: BreakerParameters,
) -> Experiment:
    """The experiment with what metrics of its time say of the breaker, where nothing watched it and they can tell."""
    if experiment.breaker_states or experiment.fault_at is None or not wanted.has_metrics:
        return experiment
    begin_s = experiment.fault_at.timestamp()
    ended_s = begin_s
    if experiment.started_at is not None and experiment.duration_s is not None:
        ended_s = max(experiment.started_at.timestamp() + experiment.duration_s, begin_s)
    until_s = ended_s + wanted.open_within_s + wanted.recovery_s
    for server in servers:
        look = partial(_moment, prometheus, server, until_s)
        opened_s, last_s = (look(pick, wanted.when_open, begin_s) for pick in ("min", "max"))
        if opened_s is None or last_s is None:
            closed_s = look("min", wanted.when_closed, begin_s)
            # A fault of seconds may open and close it between two scrapes.
            if closed_s is None or ended_s - begin_s < 2 * wanted.open_within_s:
                continue
            return replace(experiment, breaker_states=_states(("closed", closed_s)))
        half_s, last_half_s = (look(pick, wanted.when_half_open, opened_s) for pick in ("min", "max"))
        last_s = max(last_s, last_half_s or last_s)
        closed_s = look("min", wanted.when_closed, last_s + STEP_S)
        if closed_s is None and until_s - last_s < STILL_S:
            return replace(experiment, breaker_states=_states(("open", opened_s)))
        if closed_s is not None and half_s is not None:
            # While the fault lasts, each half-open has to end in open again.
            half_s = min(max(half_s, ended_s), closed_s)
            states = _states(("open", opened_s), ("half-open", half_s), ("closed", closed_s))
            return replace(experiment, breaker_states=states)
    return experiment


def _moment(
    prometheus: Prometheus,
    server: PrometheusServer,
    until_s: float,
    pick: Literal["min", "max"],
    expression: str,
    since_s: float,
) -> float | None:
    """The first or last moment at which an expression came to something, in seconds since 1970."""
    length_s = until_s - since_s
    if length_s < STEP_S:
        return None
    span = f"[{length_s:.0f}s:{max(STEP_S, round(length_s / 5000))}s] @ {until_s:.0f}"
    return value_of(prometheus.query(server, f"{pick}_over_time((0 * count({expression}) + time()){span})"))


def _states(*seen: tuple[str, float]) -> tuple[tuple[str, datetime | None], ...]:
    return tuple((state, datetime.fromtimestamp(at_s, UTC)) for state, at_s in seen)


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


def judge(subject: str, experiments: Sequence[Experiment], wanted: BreakerParameters) -> Iterator[Finding]:
    """A finding for each experiment that shows anything; of the others those that are about the breaker are undecided.

    Where none shows anything, all are.
    """
    expected = (
        f"the steady state holds, and the breaker opens within {wanted.open_within_s:g} s and closes again within "
        f"{wanted.recovery_s:g} s"
    )
    silent = [(each, missing) for each in experiments if (missing := missing_in(each))]
    for each in experiments:
        if any(each is mute for mute, _ in silent):
            continue
        faults = list(faults_of(each, wanted))
        seen = " then ".join(state for state, _ in each.breaker_states)
        yield Finding.of(
            not faults,
            subject=f"{subject}: {each.title or each.origin.file}",
            observed=listed(faults, f"{cut(each.faults)}; the breaker was {seen}"),
            expected=expected,
        )
    if not silent:
        return
    observed = cut(f"{each.title or each.origin.file}: {missing}" for each, missing in silent)
    if len(silent) == len(experiments) or any(each.breaker_states for each, _ in silent):
        yield Finding.undecided(
            subject=subject,
            observed=observed,
            expected=expected,
            next_step="carry the experiment out to its end, with a probe that watches the breaker",
        )
    else:
        yield Finding.warning(subject=subject, observed=observed, expected=expected)


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
    half_at = max(place for place, state in enumerate(names) if state == "half-open")
    recovered_s = _seconds(experiment.breaker_states[half_at][1], experiment.breaker_states[-1][1])
    if recovered_s is not None and recovered_s > wanted.recovery_s:
        yield f"it took {recovered_s:.0f} s from half-open to closed"


def _seconds(begin: datetime | None, end: datetime | None) -> float | None:
    return (end - begin).total_seconds() if begin and end else None
