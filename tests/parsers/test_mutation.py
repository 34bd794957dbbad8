from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quub_audit.errors import Malformed
from quub_audit.facts.artifacts import FileMutants
from quub_audit.parsers.mutation import read
from tests.parsers.sources import recorded, source


def mutants(text: str) -> tuple[FileMutants, ...]:
    (report,) = read(source(text))
    return report.files


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "stryker-9.6.1.json",
            [("src/money.js", 7, 3, 5), ("src/place.js", 4, 1, 4), ("src/unused.js", 0, 0, 1)],
        ),
        ("pit-1.17.3.xml", [("orders/Money.java", 3, 2, 3)]),
        ("mutmut-3.8.1.json", [("", 6, 8, 3)]),
        (
            "cosmic-ray-8.7.0.jsonl",
            [("orders/money.py", 9, 7, 0), ("orders/place.py", 9, 3, 0), ("orders/unused.py", 0, 2, 0)],
        ),
    ],
)
def test_reports_of_real_tools_are_counted(name: str, expected: list[tuple[str, int, int, int]]) -> None:
    (report,) = read(recorded(name))

    assert [(file.path, file.killed, file.survived, file.uncovered) for file in report.files] == expected


def stryker(*statuses: str, version: str = "2.0") -> str:
    found = [{"status": status, "mutatorName": "m"} for status in statuses]
    return json.dumps({"schemaVersion": version, "thresholds": {}, "files": {"src\\a.ts": {"mutants": found}}})


def test_every_status_of_stryker_is_counted_for_what_it_is() -> None:
    statuses = ("Killed", "Timeout", "Survived", "NoCoverage", "Pending", "CompileError", "RuntimeError", "Ignored")

    assert mutants(stryker(*statuses)) == (
        FileMutants(path="src/a.ts", killed=2, survived=1, uncovered=1, pending=1, left_out=3),
    )


def mutmut(**numbers: int) -> str:
    return json.dumps({"total": 10, "check_was_interrupted_by_user": 0} | numbers)


def test_what_mutmut_did_not_come_to_is_pending() -> None:
    counted = mutmut(killed=2, survived=1, no_tests=1, skipped=1, suspicious=1, timeout=1, segfault=1)

    assert mutants(counted) == (FileMutants(path="", killed=3, survived=3, uncovered=1, pending=2, left_out=1),)


def cosmic_ray(outcome: object) -> str:
    item = {"job_id": "a", "mutations": [{"module_path": "a.py"}]}
    return json.dumps([item, outcome]) + "\n"


@pytest.mark.parametrize(
    ("outcome", "field"),
    [
        (None, "pending"),
        ({"worker_outcome": "exception", "test_outcome": None}, "pending"),
        ({"worker_outcome": "abnormal", "test_outcome": "killed"}, "killed"),
        ({"worker_outcome": "normal", "test_outcome": "incompetent"}, "killed"),
        ({"worker_outcome": "normal", "test_outcome": "survived"}, "survived"),
        ({"worker_outcome": "no-test", "test_outcome": None}, "uncovered"),
        ({"worker_outcome": "skipped", "test_outcome": None}, "left_out"),
    ],
)
def test_every_outcome_of_cosmic_ray_is_counted_for_what_it_is(outcome: object, field: str) -> None:
    (file,) = mutants(cosmic_ray(outcome))

    assert getattr(file, field) == 1


def pit(status: str, file: str = "<sourceFile>A.java</sourceFile>") -> str:
    return f'<mutations><mutation status="{status}">{file}<mutatedClass>a.b.A$C</mutatedClass></mutation></mutations>'


@pytest.mark.parametrize(
    ("status", "field"), [("MEMORY_ERROR", "killed"), ("NOT_STARTED", "pending"), ("NON_VIABLE", "left_out")]
)
def test_every_status_of_pit_is_counted_for_what_it_is(status: str, field: str) -> None:
    (file,) = mutants(pit(status))

    assert (file.path, getattr(file, field)) == ("a/b/A.java", 1)


def test_a_run_that_found_nothing_to_change_is_a_report_of_nothing() -> None:
    assert mutants("<mutations/>") == ()
    assert mutants(json.dumps({"total": 0, "check_was_interrupted_by_user": 0})) == ()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param("", "it is empty", id="empty"),
        pytest.param("{}", "in no known format of mutation testing", id="unknown"),
        pytest.param(stryker("Killed", version="3.0"), "its schemaVersion is '3.0', expected 1 or 2", id="newer"),
        pytest.param(stryker("Kiled"), "a mutant is 'Kiled', expected one of Killed", id="status"),
        pytest.param(mutmut(killed=11), "it tells of 11 mutants, its total is 10", id="more-than-all"),
        pytest.param(mutmut(killed=-1), "killed is -1, expected a count", id="negative"),
        pytest.param(pit("DEAD"), "a mutation is 'DEAD', expected one of KILLED", id="pit-status"),
        pytest.param(pit("KILLED", ""), "a mutation names no source file", id="pit-file"),
        pytest.param("<mutations><mutation>", "it is no XML at line 1", id="truncated"),
        pytest.param(cosmic_ray({"worker_outcome": "new"}), "line 1 ends 'new', None", id="outcome"),
        pytest.param(cosmic_ray(None) + "[", "line 2 is no JSON", id="truncated-lines"),
    ],
)
def test_what_cannot_be_read_says_why(content: str, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        read(source(content))


@given(
    st.binary(max_size=200),
    st.sampled_from([b"", b"<mutations>", b'{"check_was_interrupted_by_user": ', b'[{"job_id": "a", "mutations": [']),
)
def test_no_bytes_raise_anything_but_malformed(content: bytes, start: bytes) -> None:
    with contextlib.suppress(Malformed):
        read(source(start + content))
