"""When a dependency fails, a circuit breaker opens, the service stays steady, and the breaker closes again."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from quub_audit.checks.testing.load.circuit_breakers import BreakerParameters, judge
from quub_audit.model.environment import Environment, Repository
from quub_audit.sdk import Experiment, Origin
from tests.checks.testing.integration.results import audited, environment
from tests.checks.testing.load.runs import artifact
from tests.parsers.sources import DATA
from tests.worlds.cloud import Cloud
from tests.worlds.front import Answer, Told, front_of, json_answer

ITEM = "testing.load.circuit-breakers"
CHAOS = artifact("chaos")
AT = datetime(2026, 11, 24, 10, tzinfo=UTC)


def target(*files: Path) -> Environment:
    return environment(artifact("chaos", *files))


@pytest.mark.proof("pass")
def test_a_journal_in_which_the_breaker_opened_and_closed_passes() -> None:
    found = audited(ITEM, target(DATA / "chaostoolkit-1.44.0-journal.json"))

    assert found.status.value == "pass"
    assert found.findings[0].observed == (
        "stop-price-feed, start-price-feed; the breaker was open then half-open then closed"
    )


JUNIT = """<testsuite name="faults" timestamp="2026-11-24T10:00:00Z">
<testcase classname="t" name="a @fault:down"><properties>
<property name="breaker-states" value="{states}"/></properties>{child}</testcase></testsuite>"""


@pytest.mark.proof("fail")
@pytest.mark.parametrize(
    ("states", "child", "why"),
    [
        ("closed", "", "the breaker never opened (closed)"),
        ("closed, open", "", "did not close again by way of half-open"),
        ("closed, open, half-open, closed", "<failure message='x'/>", "the steady state did not hold"),
    ],
)
def test_a_breaker_that_did_not_do_its_work_fails(tmp_path: Path, states: str, child: str, why: str) -> None:
    (tmp_path / "junit.xml").write_text(JUNIT.format(states=states, child=child))

    found = audited(ITEM, target(tmp_path / "junit.xml"))

    assert found.status.value == "fail"
    assert why in found.findings[0].observed


@pytest.mark.proof("inconclusive")
def test_a_journal_of_which_nothing_was_done_is_inconclusive() -> None:
    found = audited(ITEM, target(DATA / "chaostoolkit-1.44.0-vacuous.json"))

    assert found.status.value == "inconclusive"
    assert "the steady state did not hold before it, so nothing was done" in found.findings[0].observed


@pytest.mark.proof("inconclusive")
def test_a_library_in_code_alone_is_inconclusive(tmp_path: Path) -> None:
    (tmp_path / "a.ts").write_text("import CircuitBreaker from 'opossum';\n")
    (tmp_path / "b.js").write_text("const { circuitBreaker } = require('cockatiel');\n")
    (tmp_path / "c.py").write_text("import pybreaker\nfrom purgatory import SyncCircuitBreakerFactory\n")
    (tmp_path / "d.go").write_text('package d\nimport "github.com/sony/gobreaker/v2"\n')
    (tmp_path / "E.java").write_text("import io.github.resilience4j.circuitbreaker.CircuitBreaker;\nclass E {}\n")

    found = audited(ITEM, environment(repositories=(Repository(name="app", path=str(tmp_path)),)))

    assert found.status.value == "inconclusive"
    places = {place.partition(":")[0] for place in found.findings[0].observed.removeprefix("imported at ").split(", ")}
    assert places == {"a.ts", "b.js", "c.py", "d.go", "E.java"}


@pytest.mark.proof("inconclusive")
def test_outlier_detection_of_a_mesh_alone_is_inconclusive_and_names_its_line(tmp_path: Path) -> None:
    (tmp_path / "k8s").mkdir()
    rule = "kind: DestinationRule\nspec:\n  trafficPolicy:\n    outlierDetection:\n      consecutive5xxErrors: 5\n"
    (tmp_path / "k8s" / "quub.yaml").write_text(rule)
    (tmp_path / "k8s" / "other.yml").write_text("# outlierDetection: not yet\nkind: Service\n")

    found = audited(ITEM, environment(repositories=(Repository(name="app", path=str(tmp_path)),)))

    assert found.status.value == "inconclusive"
    assert [each.observed for each in found.findings] == ["outlier detection at k8s/quub.yaml:4"]


def always(told: Told) -> Answer:
    return lambda asked: told


def test_a_deployment_that_ecs_does_not_take_back_is_warned_of(emulator: str) -> None:
    with front_of(emulator) as front:
        cloud = Cloud(front.address)
        cloud.service()
        told = cloud.client("ecs").describe_services(cluster="main", services=["orders"])["services"]
        observed = []
        for settings in (
            {"deploymentCircuitBreaker": {"enable": False, "rollback": False}},
            {"deploymentCircuitBreaker": {"enable": True, "rollback": True}},
            {},
        ):
            service = {**json.loads(json.dumps(told[0], default=str)), "deploymentConfiguration": settings}
            front.answers["ecs.DescribeServices"] = always(json_answer({"services": [service], "failures": []}))
            found = audited(ITEM, environment(CHAOS, aws=(cloud.account(),)), environ=cloud.environ, check="deployment")
            observed.append([each.observed for each in found.findings])

    assert observed == [
        ["a deployment that fails is not taken back"],
        [],
        ["a deployment that fails is not taken back"],
    ]


@pytest.mark.proof("error")
def test_a_journal_that_is_cut_off_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "cut.json").write_bytes((DATA / "chaostoolkit-1.44.0-journal.json").read_bytes()[:-99])

    assert audited(ITEM, target(tmp_path / "cut.json")).status.value == "error"


def seen(*states: tuple[str, float]) -> tuple[tuple[str, datetime | None], ...]:
    return tuple((state, AT + timedelta(seconds=after)) for state, after in states)


GOOD = Experiment(
    origin=Origin(file="journal.json"),
    title="down",
    status="completed",
    has_deviated=False,
    steady_before=True,
    steady_after=True,
    faults=("stop",),
    fault_at=AT,
    breaker_states=seen(("closed", -5), ("open", 20), ("half-open", 60), ("closed", 90)),
)


@pytest.mark.parametrize(
    ("experiment", "found"),
    [
        (GOOD, ["pass"]),
        (replace(GOOD, breaker_states=seen(("open", 31), ("half-open", 60), ("closed", 90))), ["fail"]),
        (replace(GOOD, breaker_states=seen(("open", 3), ("half-open", 60), ("closed", 190))), ["fail"]),
        (replace(GOOD, breaker_states=seen(("open", 3), ("closed", 19))), ["fail"]),
        (replace(GOOD, breaker_states=seen(("closed", 3))), ["fail"]),
        (replace(GOOD, breaker_states=()), ["warning"]),
        (replace(GOOD, breaker_states=(), has_deviated=True), ["fail"]),
        (replace(GOOD, steady_after=False), ["fail"]),
        (replace(GOOD, steady_after=None), ["warning"]),
        (replace(GOOD, steady_before=False, faults=()), ["warning"]),
        (replace(GOOD, faults=()), ["warning"]),
        (replace(GOOD, status="aborted"), ["warning"]),
        (replace(GOOD, status="unfinished"), ["warning"]),
        (replace(GOOD, status="failed"), ["warning"]),
    ],
)
def test_an_experiment_is_judged_by_what_was_done_and_seen(experiment: Experiment, found: list[str]) -> None:
    judged = judge(CHAOS, (experiment,), environment(CHAOS), BreakerParameters())

    assert [each.status.value for each in judged] == found


def test_one_experiment_that_shows_nothing_is_told_beside_another() -> None:
    judged = judge(CHAOS, (GOOD, replace(GOOD, faults=())), environment(CHAOS), BreakerParameters())

    assert [each.status.value for each in judged] == ["pass", "warning"]
