from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quub_audit.errors import Malformed
from quub_audit.facts.artifacts import Experiment
from quub_audit.parsers import chaos
from tests.parsers.sources import recorded, source


def journal(**changes: Any) -> str:
    document = json.loads(recorded("chaostoolkit-1.44.0-journal.json").content())
    return json.dumps({**document, **changes})


def read(content: str) -> Experiment:
    (experiment,) = chaos.read(source(content))
    return experiment


def test_a_journal_gives_what_was_done_and_every_state_of_the_breaker() -> None:
    (experiment,) = chaos.read(recorded("chaostoolkit-1.44.0-journal.json"))

    assert (experiment.status, experiment.has_deviated) == ("completed", False)
    assert (experiment.steady_before, experiment.steady_after) == (True, True)
    assert experiment.faults == ("stop-price-feed", "start-price-feed")
    assert [state for state, _ in experiment.breaker_states] == ["open", "half-open", "closed"]
    assert experiment.origin.version == "1.44.0"


def test_a_journal_of_a_steady_state_that_never_held_is_completed_and_shows_no_fault() -> None:
    (experiment,) = chaos.read(recorded("chaostoolkit-1.44.0-vacuous.json"))

    assert (experiment.status, experiment.has_deviated, experiment.steady_before) == ("completed", False, False)
    assert experiment.faults == ()


def test_a_dry_run_and_actions_that_failed_are_no_faults() -> None:
    document = json.loads(journal())
    dry = read(journal(experiment={**document["experiment"], "dry": "actions"}))
    failed = read(journal(run=[{**each, "status": "failed"} for each in document["run"]]))

    assert (dry.faults, failed.faults, dry.breaker_states) == ((), (), ())


@pytest.mark.parametrize(
    ("output", "state"),
    [
        ({"status": 200, "body": '{"breaker": "OPEN"}'}, "open"),
        ({"status": 200, "body": {"state": "half_open"}}, "half-open"),
        ({"returncode": 0, "stdout": "closed\n"}, "closed"),
        ("half-open", "half-open"),
        ("open and closed", None),
        (None, None),
    ],
)
def test_a_state_is_read_in_whatever_a_probe_gives(output: Any, state: str | None) -> None:
    probe = {"activity": {"type": "probe", "name": "circuit-breaker"}, "status": "succeeded", "output": output}

    assert [found for found, _ in read(journal(run=[probe])).breaker_states] == ([state] if state else [])


def litmus(verdict: str, **status: Any) -> dict[str, Any]:
    return {
        "apiVersion": "litmuschaos.io/v1alpha1",
        "kind": "ChaosResult",
        "metadata": {"name": "orders-pod-delete", "creationTimestamp": "2026-11-01T10:00:00Z"},
        "spec": {"engine": "orders", "experiment": "pod-delete"},
        "status": {"experimentStatus": {"phase": "Completed", "verdict": verdict}, **status},
    }


@pytest.mark.parametrize(
    ("verdict", "status", "deviated", "faults"),
    [
        ("Pass", "completed", False, ("pod-delete",)),
        ("Fail", "completed", True, ()),
        ("Error", "failed", False, ()),
        ("Stopped", "aborted", False, ()),
        ("Awaited", "unfinished", False, ()),
    ],
)
def test_a_verdict_of_litmus_is_read(verdict: str, status: str, deviated: bool, faults: tuple[str, ...]) -> None:
    experiment = read(json.dumps(litmus(verdict)))

    assert (experiment.status, experiment.has_deviated, experiment.faults) == (status, deviated, faults)


def test_a_list_of_litmus_holds_one_experiment_each_and_a_fault_that_was_injected_counts_when_it_failed() -> None:
    found = chaos.read(recorded("litmus-20240301-list.json"))

    assert [(each.status, each.has_deviated, each.steady_after, each.faults) for each in found] == [
        ("completed", False, True, ("pod-delete",)),
        ("completed", True, False, ("pod-network-latency",)),
        ("unfinished", False, None, ("pod-cpu-hog",)),
        ("failed", False, None, ()),
    ]


def test_yaml_is_read_and_aliases_are_refused() -> None:
    text = recorded("litmus-20240301.yaml").text()

    assert read(text) == replace(chaos.read(recorded("litmus-20240301-list.json"))[0], origin=read(text).origin)
    with pytest.raises(Malformed, match="aliases"):
        read(f"{text}a: &a [1]\nb: [*a, *a]\n")


JUNIT = """<testsuite name="faults">
<testcase classname="t" name="opens @fault:timeout">
  <properties><property name="breaker-states" value="closed, open, half-open, closed"/></properties></testcase>
<testcase classname="t" name="falls back"><properties><property name="fault" value="down"/></properties>
  <failure message="no"/></testcase>
<testcase classname="t" name="slow @fault:latency"><skipped/></testcase>
<testcase classname="t" name="of no fault"/>
</testsuite>"""


def test_junit_cases_of_one_fault_are_one_experiment() -> None:
    found = {experiment.title: experiment for experiment in chaos.read(source(JUNIT))}

    opened, down, slow = found.values()
    assert list(found) == ["timeout (1 of 1 cases ran)", "down (1 of 1 cases ran)", "latency (0 of 1 cases ran)"]
    assert [state for state, _ in opened.breaker_states] == ["closed", "open", "half-open", "closed"]
    assert (opened.has_deviated, down.has_deviated, down.steady_after) == (False, True, False)
    assert (slow.faults, slow.steady_before) == ((), None)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (journal(status="great"), "its status is 'great'"),
        (journal(run={}), "run is dict, expected a list"),
        (journal(experiment=None), "experiment is NoneType"),
        (journal()[:900], "is no JSON"),
        (json.dumps(litmus("Splendid")), "its verdict is 'splendid'"),
        ("kind: ChaosResult\napiVersion: litmuschaos.io/v1\n a: [", "is no YAML"),
        ("{}", "no known format"),
    ],
)
def test_what_cannot_be_read_says_why(content: str, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        chaos.read(source(content))


@given(
    start=st.sampled_from(['{"chaoslib-version":', "kind: ChaosResult\napiVersion: litmuschaos.io/\n"]), rest=st.text()
)
def test_no_text_makes_a_reader_raise_anything_but_malformed(start: str, rest: str) -> None:
    with suppress(Malformed):
        chaos.read(source((start + rest).encode("utf-8", "surrogatepass")))
