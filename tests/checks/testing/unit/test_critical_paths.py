"""Critical code is run by tests that pass, file by file; what no report speaks of was not run."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from quub_audit.checks.testing.unit._measured import Mutants, mutants_of
from quub_audit.checks.testing.unit.critical_paths import PathParameters, Seen, judge, judge_suite
from quub_audit.model.environment import CriticalPath, Environment, Testing
from quub_audit.sdk import Coverage, FileMutants, MutationReport, Origin, TestCase
from tests.checks.testing.integration.results import AT, artifact, audited, case, environment
from tests.checks.testing.unit.orders import SOURCES, code, file, measured, orders, report, write

ITEM = "testing.unit.critical-paths"
ORDER = CriticalPath(id="order", files=("orders/money.py", "orders/place.py"))


def critical(folder: Path, run: str = "", *paths: CriticalPath, **more: Any) -> Environment:
    return orders(folder, run, testing=Testing(critical_paths=paths or (ORDER,)), **more)


@pytest.mark.proof("pass")
def test_critical_code_that_passing_tests_run_passes(tmp_path: Path) -> None:
    found = audited(ITEM, critical(tmp_path, "-passed", purposes=("coverage", "unit-tests", "mutation")))

    assert found.status.value == "pass"
    assert [finding.observed for finding in found.findings] == [
        "100.0% (19 of 19) of the lines, 100.0% (6 of 6) of the branches of 2 files",
        "tests noticed 94.1% of 17 changes",
    ]


@pytest.mark.proof("fail")
def test_critical_code_with_branches_that_no_test_takes_fails_file_by_file(tmp_path: Path) -> None:
    target = environment(
        artifact("coverage-py-7.17.3.json", purpose="coverage"),
        artifact("pytest-9.2.0-passed.xml", purpose="unit-tests"),
        repositories=(write(tmp_path, SOURCES),),
        testing=Testing(critical_paths=(ORDER,)),
    )
    found = audited(ITEM, target)

    assert found.status.value == "fail"
    assert {finding.subject: (finding.observed, str(finding.location)) for finding in found.findings} == {
        "order: orders/money.py": (
            "87.5% (7 of 8) of the lines, 100.0% (4 of 4) of the branches, never refund",
            "orders/money.py:13",
        ),
        "order: orders/place.py": (
            "81.8% (9 of 11) of the lines, 0.0% (0 of 2) of the branches, never Book.cancel",
            "orders/place.py:14",
        ),
    }


@pytest.mark.proof("inconclusive")
def test_no_list_of_critical_paths_is_inconclusive(tmp_path: Path) -> None:
    assert audited(ITEM, orders(tmp_path, "-passed")).status.value == "inconclusive"


@pytest.mark.parametrize("declared", ["coverage", "unit-tests"])
def test_coverage_without_results_of_tests_shows_as_little_as_the_other_way_round(
    tmp_path: Path, declared: str
) -> None:
    assert audited(ITEM, critical(tmp_path, "-passed", purposes=(declared,))).status.value == "inconclusive"


@pytest.mark.proof("error")
def test_a_glob_that_matches_no_code_is_an_error(tmp_path: Path) -> None:
    renamed = CriticalPath(id="settle", files=("orders/settle*.py", "tests/test_orders.py", "pyproject.toml"))
    found = audited(ITEM, critical(tmp_path, "-passed", ORDER, renamed))

    assert found.status.value == "error"
    errors = [finding.message for finding in found.findings if finding.status.value == "error"]
    assert errors == [f"settle: {glob} matches no code of orders" for glob in renamed.files]


def seen(*reports: Coverage, paths: tuple[str, ...] = ("a.ts",), **more: Any) -> Seen:
    own = code(*paths)
    known = Seen(
        name="order",
        code=own,
        by_glob={"*.ts": frozenset(paths)},
        measured=measured(*reports, of=own),
        unseen={},
        cases=(case("places an order"),),
        mutants=Mutants(killed=0, tried=0, pending=0),
    )
    return replace(known, **more)


def told(known: Seen) -> list[tuple[str, str]]:
    return [(each.kind, each.observed or each.message) for each in judge(known, PathParameters())]


GOOD = report(file("a.ts", 100, 95, branches=10, branches_covered=9))
GOOD_IN_WORDS = ("pass", "95.0% (95 of 100) of the lines, 90.0% (9 of 10) of the branches of 1 files")


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        pytest.param(seen(GOOD), [GOOD_IN_WORDS], id="just-enough"),
        pytest.param(
            seen(report(file("a.ts", 100, 94, branches=10, branches_covered=10))),
            [("fail", "94.0% (94 of 100) of the lines, 100.0% (10 of 10) of the branches")],
            id="lines",
        ),
        pytest.param(
            seen(report(file("a.ts", 100, 100, branches=10, branches_covered=8))),
            [("fail", "100.0% (100 of 100) of the lines, 80.0% (8 of 10) of the branches")],
            id="branches",
        ),
        pytest.param(
            seen(report(file("a.ts", 100, 100, branches=1, branches_covered=1, functions=3, functions_covered=1))),
            [("fail", "100.0% (100 of 100) of the lines, 100.0% (1 of 1) of the branches, never 2 functions")],
            id="functions",
        ),
        pytest.param(
            seen(report(file("a.ts", 100, 100))),
            [("undecided", "no report counts its branches")],
            id="branches-not-measured",
        ),
        pytest.param(
            seen(report(file("a.ts", 9, 9, covered=(), missed=()), counts="statements")),
            [("pass", "100.0% (9 of 9) of the lines, 0.0% (0 of 0) of the branches of 1 files")],
            id="blocks-of-go",
        ),
        pytest.param(
            seen(GOOD, paths=("a.ts", "b.ts"), unseen={"b.ts": 7}),
            [("fail", "in no report, so none of about 7 lines ran"), GOOD_IN_WORDS],
            id="never-imported",
        ),
        pytest.param(seen(GOOD, paths=("a.ts", "types.ts")), [GOOD_IN_WORDS], id="types-alone"),
        pytest.param(
            seen(report(file("a.ts", 0, 0))), [("error", "order: its files hold nothing that could run")], id="nothing"
        ),
        pytest.param(
            seen(GOOD, cases=(case("cancels"), case("places", "skipped", "critical:order"))),
            [("fail", "none of 1 tests with the tag critical:order passed"), GOOD_IN_WORDS],
            id="its-own-tests-skipped",
        ),
        pytest.param(
            seen(GOOD, mutants=Mutants(killed=69, tried=100, pending=0)),
            [GOOD_IN_WORDS, ("fail", "tests noticed 69.0% of 100 changes")],
            id="mutants",
        ),
        pytest.param(
            seen(GOOD, mutants=Mutants(killed=99, tried=100, pending=3)),
            [GOOD_IN_WORDS, ("undecided", "3 changes were never tried")],
            id="mutants-pending",
        ),
    ],
)
def test_files_tests_and_mutants_are_judged_each(known: Seen, expected: list[tuple[str, str]]) -> None:
    assert told(known) == expected


@pytest.mark.parametrize(
    ("cases", "expected"),
    [
        pytest.param([case("places")], [], id="passed"),
        pytest.param([case("places"), case("later", "skipped")], [], id="one-skipped"),
        pytest.param([case("cancels", "failed"), case("places")], [("fail", "1 tests failed: orders cancels")]),
        pytest.param([case("cancels", "error")], [("fail", "1 tests failed: orders cancels")]),
        pytest.param([case("cancels", "skipped")], [("fail", "none of 1 tests was run")], id="all-skipped"),
        pytest.param([], [("undecided", "it holds no test")], id="an-empty-suite"),
    ],
)
def test_a_suite_says_only_what_is_wrong(cases: list[TestCase], expected: list[tuple[str, str]]) -> None:
    assert [(each.kind, each.observed) for each in judge_suite("unit-tests", cases)] == expected


def test_what_keeps_several_paths_from_an_answer_is_told_once(tmp_path: Path) -> None:
    paths = (ORDER, CriticalPath(id="fees", files=("orders/money.py",)))
    broken = tmp_path / "junit.xml"
    broken.write_text("<testsuite>")
    target = critical(tmp_path, "-passed", *paths)
    lacking = critical(tmp_path / "more", "-passed", *paths, purposes=("coverage",))
    more = artifact(str(broken), purpose="unit-tests", name="broken")

    found = audited(ITEM, replace(target, artifacts=(*target.artifacts, more)))
    assert [each.subject for each in found.findings if each.kind == "error"] == ["broken"]

    found = audited(ITEM, lacking)
    assert [(each.kind, each.subject, each.observed) for each in found.findings] == [
        ("undecided", "orders", "no artifact with its unit tests is declared")
    ]


HIDDEN = {
    "src/place.ts": "/* istanbul ignore file */\n" + "export const place = (o: Order) => send(o);\n" * 60,
    "src/settings.ts": "export default { retries: 3, pause: 200 };\n",
    "src/fee.ts": "export const fee = 1;\n",
}


@pytest.mark.proof("fail")
@pytest.mark.parametrize("item", [ITEM, "testing.unit.coverage"])
def test_a_file_that_a_comment_keeps_out_of_coverage_did_not_run_and_one_without_lines_need_not(
    tmp_path: Path, item: str
) -> None:
    maps: dict[str, Any] = {"statementMap": {}, "s": {}, "branchMap": {}, "b": {}, "fnMap": {}, "f": {}}
    place = {"start": {"line": 1, "column": 0}, "end": {"line": 1, "column": 9}}
    ran = maps | {"statementMap": {"0": place}, "s": {"0": 1}, "b": {"0": [1]}, "branchMap": {"0": {}}}
    final = tmp_path / "coverage-final.json"
    final.write_text(json.dumps({f"/srv/{path}": ran if path == "src/fee.ts" else maps for path in HIDDEN}))
    os.utime(final, (AT.timestamp(), AT.timestamp()))
    target = environment(
        artifact(str(final), purpose="coverage"),
        artifact("pytest-9.2.0-passed.xml", purpose="unit-tests"),
        repositories=(write(tmp_path / "app", HIDDEN),),
        testing=Testing(critical_paths=(CriticalPath(id="all", files=("src/**",)),)),
    )

    found = audited(item, target, parameters={} if item == ITEM else {"min_lines": 1})

    assert found.status.value == "fail"
    assert "about 60 lines" in found.findings[0].observed
    assert "settings" not in repr([each.observed for each in found.findings if each.status.value == "fail"])


@pytest.mark.proof("fail")
def test_a_unit_test_that_failed_fails_once_whatever_it_runs(tmp_path: Path) -> None:
    paths = (ORDER, CriticalPath(id="fees", files=("orders/money.py",)))
    target = critical(tmp_path, "-passed", *paths)
    failed = artifact("pytest-9.2.0-sandbox-failed.xml", purpose="unit-tests", name="failed")

    found = audited(ITEM, replace(target, artifacts=(*target.artifacts, failed)))

    assert [each.subject for each in found.findings if each.status.value == "fail"] == ["failed"]


def test_mutants_are_those_of_the_path_or_of_a_run_that_names_no_files() -> None:
    def mutants(path: str) -> FileMutants:
        return FileMutants(path=path, killed=3, survived=1, uncovered=1, left_out=9)

    own = code("src/a.ts", "src/b.ts")
    found = MutationReport(origin=Origin(file="r"), files=(mutants("/srv/src/a.ts"), mutants("src/b.ts")))
    whole = MutationReport(origin=Origin(file="r"), files=(mutants(""),))

    assert mutants_of((found,), frozenset({"src/a.ts"}), own) == Mutants(killed=3, tried=5, pending=0)
    assert mutants_of((found, whole), frozenset({"src/a.ts"}), own).tried == 10
