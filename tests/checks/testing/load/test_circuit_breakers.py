"""When a dependency fails, a circuit breaker opens, the service stays steady, and the breaker closes again."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from quub_audit.checks.testing.load.circuit_breakers import BreakerParameters, judge, read_fis
from quub_audit.model.environment import Environment, Repository
from quub_audit.sdk import Experiment, Origin, PrometheusServer
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
        (
            replace(
                GOOD,
                breaker_states=seen(("open", 3), ("half-open", 9), ("open", 12), ("half-open", 300), ("closed", 310)),
            ),
            ["pass"],
        ),
        (replace(GOOD, breaker_states=()), ["undecided"]),
        (replace(GOOD, breaker_states=(), has_deviated=True), ["fail"]),
        (replace(GOOD, steady_after=False), ["fail"]),
        (replace(GOOD, steady_after=None), ["undecided"]),
        (replace(GOOD, steady_before=False, faults=()), ["undecided"]),
        (replace(GOOD, faults=()), ["undecided"]),
        (replace(GOOD, status="aborted"), ["undecided"]),
        (replace(GOOD, status="unfinished"), ["undecided"]),
        (replace(GOOD, status="failed"), ["undecided"]),
    ],
)
def test_an_experiment_is_judged_by_what_was_done_and_seen(experiment: Experiment, found: list[str]) -> None:
    judged = judge("chaos", (experiment,), BreakerParameters())

    assert [each.kind for each in judged] == found


@pytest.mark.parametrize(
    ("beside", "found"),
    [
        pytest.param(replace(GOOD, faults=()), ["pass", "undecided"], id="it watched the breaker and did nothing"),
        pytest.param(replace(GOOD, breaker_states=()), ["pass", "warning"], id="it is about something else"),
    ],
)
def test_an_experiment_that_shows_nothing_is_told_beside_another(beside: Experiment, found: list[str]) -> None:
    judged = judge("chaos", (GOOD, beside), BreakerParameters())

    assert [each.kind for each in judged] == found


# Metrics


def states_of(name: str) -> dict[str, str]:
    series = "resilience4j_circuitbreaker_state"
    return {
        f"when_{state}": f'{series}{{name="{name}",state="{state}"}} == 1' for state in ("open", "half_open", "closed")
    }


def unwatched(folder: Path, duration_s: float = 120) -> Path:
    """The kept journal without its probes of the breaker, and with a longer fault."""
    journal = json.loads((DATA / "chaostoolkit-1.44.0-journal.json").read_bytes())
    journal["run"] = [each for each in journal["run"] if each["activity"]["name"] != "circuit-breaker-state"]
    begun = datetime.fromisoformat(journal["start"])
    journal |= {"end": (begun + timedelta(seconds=duration_s)).isoformat(), "duration": duration_s}
    (folder / "journal.json").write_text(json.dumps(journal))
    return folder / "journal.json"


@pytest.mark.proof("pass")
@pytest.mark.parametrize(
    ("breaker", "status", "observed"),
    [
        ("sound", "pass", "stop-price-feed, start-price-feed; the breaker was open then half-open then closed"),
        ("late", "fail", "the breaker was seen open 4"),
        ("stuck", "fail", "the breaker did not close again by way of half-open (open)"),
        ("idle", "fail", "the breaker never opened (closed)"),
        ("lost", "inconclusive", "nobody watched the breaker"),
        ("blinking", "inconclusive", "nobody watched the breaker"),
        ("unknown", "inconclusive", "nobody watched the breaker"),
    ],
)
def test_metrics_tell_of_a_breaker_that_the_experiment_did_not_watch(
    tmp_path: Path, remembered: PrometheusServer, breaker: str, status: str, observed: str
) -> None:
    known = environment(artifact("chaos", unwatched(tmp_path)), prometheus=(remembered,))

    found = audited(ITEM, known, parameters=states_of(breaker))

    assert found.status.value == status
    assert observed in found.findings[0].observed


def test_a_fault_of_seconds_proves_no_breaker_that_stayed_closed(tmp_path: Path, remembered: PrometheusServer) -> None:
    known = environment(artifact("chaos", unwatched(tmp_path, 3)), prometheus=(remembered,))

    assert audited(ITEM, known, parameters=states_of("idle")).status.value == "inconclusive"


@pytest.mark.proof("pass")
@pytest.mark.parametrize(
    ("breaker", "conditions", "status"),
    [
        ("sound", "aws:cloudwatch:alarm", "pass"),
        ("stuck", "aws:cloudwatch:alarm", "fail"),
        ("sound", "none", "inconclusive"),
        ("idle", "aws:cloudwatch:alarm", "inconclusive"),
    ],
)
def test_an_experiment_of_fis_counts_where_metrics_saw_the_breaker_open(
    emulator: str, remembered: PrometheusServer, breaker: str, conditions: str, status: str
) -> None:
    begun = datetime.fromisoformat(json.loads((DATA / "chaostoolkit-1.44.0-journal.json").read_bytes())["start"])
    with front_of(emulator) as front:
        cloud = Cloud(front.address)
        fis = cloud.client("fis")
        template = fis.create_experiment_template(
            clientToken="t",
            description="the price feed is gone",
            roleArn=f"arn:aws:iam::{cloud.account_id}:role/fis",
            stopConditions=[{"source": conditions}],
            actions={"cut": {"actionId": "aws:network:disrupt-connectivity"}},
        )["experimentTemplate"]["id"]
        id_ = fis.start_experiment(experimentTemplateId=template)["experiment"]["id"]
        for _ in range(4):
            told = fis.get_experiment(id=id_)["experiment"]
        assert told["state"]["status"] == "completed"
        # The emulator's experiments take no time, and are now.
        times = {"startTime": begun.timestamp(), "endTime": begun.timestamp() + 120}
        told |= {**times, "creationTime": begun.timestamp()}
        told["actions"]["cut"] |= times
        front.answers[f"fis GET /experiments/{id_}"] = always(json_answer({"experiment": told}))
        known = environment(aws=(cloud.account(),), prometheus=(remembered,))

        found = audited(ITEM, known, environ=cloud.environ, parameters=states_of(breaker), check="fault_injection")

    assert found.status.value == status


@pytest.mark.proof("error")
def test_a_denial_of_fis_names_the_right_that_is_missing(cloud: Cloud, remembered: PrometheusServer) -> None:
    cloud.allow_only("sts:*", "ecs:*")
    known = environment(aws=(cloud.account(),), prometheus=(remembered,))

    found = audited(ITEM, known, environ=cloud.environ, parameters=states_of("sound"), check="fault_injection")

    assert found.status.value == "error"
    assert "fis:ListExperiments" in found.findings[0].message


@pytest.mark.parametrize(
    ("state", "reason", "status", "has_deviated"),
    [
        ("completed", "Experiment completed", "completed", False),
        ("stopped", "Experiment halted by stop condition", "completed", True),
        ("stopped", "Experiment stopped by a person", "aborted", False),
        ("failed", "Action cut failed", "failed", False),
        ("running", "", "unfinished", False),
        ("cancelled", "", "unfinished", False),
    ],
)
def test_how_an_experiment_of_fis_ended_is_read(state: str, reason: str, status: str, has_deviated: bool) -> None:
    told = {
        "id": "EXP1",
        "state": {"status": state, "reason": reason},
        "actions": {"a": {"state": {"status": "skipped"}}},
    }

    read = read_fis(told)

    assert (read.status, read.has_deviated, read.faults, read.fault_at) == (status, has_deviated, (), None)
