"""Edges are tried where branches are taken and changes noticed, or where values are made up; names show nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from quub_audit.checks.testing.unit._measured import Mutants
from quub_audit.checks.testing.unit.edge_cases import PROPERTIES, EdgeParameters, Edges, covered_by, judge
from quub_audit.connectors.world import World
from quub_audit.model.environment import CriticalPath, Environment, Testing
from quub_audit.sdk import Repositories
from tests.checks.testing.integration.results import AT, artifact, audited, environment
from tests.checks.testing.unit.orders import SOURCES, file, orders, report, write
from tests.checks.testing.unit.test_critical_paths import ORDER, seen

ITEM = "testing.unit.edge-cases"
ALL = ("coverage", "unit-tests", "mutation")
PROPERTY_TESTS = """from hypothesis import given
from hypothesis import strategies as st

from orders import place
from orders.money import fee


@given(st.integers(1))
def test_fee(amount):
    assert fee(amount) in (1, 5)
"""


def critical(folder: Path, run: str = "", *, paths: tuple[CriticalPath, ...] = (ORDER,), **more: Any) -> Environment:
    return orders(folder, run, testing=Testing(critical_paths=paths), **more)


@pytest.mark.proof("pass")
def test_branches_that_are_taken_and_changes_that_are_noticed_pass(tmp_path: Path) -> None:
    found = audited(ITEM, critical(tmp_path, "-passed", purposes=ALL))

    assert found.status.value == "pass"
    assert [finding.observed for finding in found.findings] == [
        "100.0% (6 of 6) of the branches ran",
        "tests noticed 94.1% of 17 changes",
    ]


@pytest.mark.proof("pass")
def test_property_tests_of_every_module_stand_in_for_a_mutation_tester(tmp_path: Path) -> None:
    target = critical(tmp_path, "-passed")
    write(tmp_path / "orders", {"tests/test_properties.py": PROPERTY_TESTS})

    found = audited(ITEM, target)

    assert found.status.value == "pass"
    assert found.findings[0].observed == "100.0% (6 of 6) of the branches ran, and every module has property tests"


@pytest.mark.proof("fail")
def test_branches_that_no_test_takes_and_changes_that_none_notices_fail(tmp_path: Path) -> None:
    target = environment(
        artifact("coverage-py-7.17.3.json", purpose="coverage"),
        artifact("mutmut-3.8.1.json", purpose="mutation"),
        repositories=(write(tmp_path, SOURCES),),
        testing=Testing(critical_paths=(ORDER,)),
    )
    found = audited(ITEM, target)

    assert found.status.value == "fail"
    assert [finding.observed for finding in found.findings] == [
        "66.7% (4 of 6) of the branches ran",
        "tests noticed 35.3% of 17 changes",
    ]


@pytest.mark.proof("inconclusive")
def test_branches_alone_show_nothing_of_values(tmp_path: Path) -> None:
    found = audited(ITEM, critical(tmp_path, "-passed"))

    assert found.status.value == "inconclusive"
    observed = [finding.observed for finding in found.findings]
    assert "no mutation tester was run, and no property test is about orders/money.py, orders/place.py" in observed


def test_no_list_of_critical_paths_is_inconclusive(tmp_path: Path) -> None:
    assert audited(ITEM, critical(tmp_path, "-passed", paths=(), purposes=ALL)).status.value == "inconclusive"


@pytest.mark.proof("error")
def test_a_glob_that_matches_no_code_is_an_error(tmp_path: Path) -> None:
    gone = CriticalPath(id="settle", files=("orders/settle.py",))

    assert audited(ITEM, critical(tmp_path, "-passed", paths=(ORDER, gone), purposes=ALL)).status.value == "error"


NOTHING = Mutants(killed=0, tried=0, pending=0)


def edges(share: int, mutants: Mutants = NOTHING, *, with_properties: bool = False, **more: Any) -> Edges:
    known = seen(report(file("a.ts", 100, 100, branches=100, branches_covered=share)), mutants=mutants, **more)
    return Edges(path=known, with_properties=frozenset({"a.ts"} if with_properties else ()))


def kinds(known: Edges) -> list[str]:
    return [finding.kind for finding in judge(known, EdgeParameters())]


def mutants(killed: int, tried: int = 100, pending: int = 0) -> Mutants:
    return Mutants(killed=killed, tried=tried, pending=pending)


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        pytest.param(edges(70, mutants(60)), ["pass", "pass"], id="just-enough"),
        pytest.param(edges(69, mutants(60)), ["fail", "pass"], id="branches"),
        pytest.param(edges(70, mutants(59)), ["pass", "fail"], id="mutants"),
        pytest.param(edges(80, with_properties=True), ["pass"], id="properties"),
        pytest.param(edges(79, with_properties=True), ["fail"], id="properties-need-more-branches"),
        pytest.param(edges(99, mutants(59), with_properties=True), ["pass", "fail"], id="mutants-over-properties"),
        pytest.param(edges(69), ["fail", "undecided"], id="branches-alone-can-fail"),
        pytest.param(edges(99), ["pass", "undecided"], id="branches-alone-cannot-pass"),
        pytest.param(edges(99, mutants(99, pending=1)), ["pass", "undecided"], id="a-run-that-did-not-end"),
        pytest.param(edges(99, mutants(0, 0)), ["pass", "undecided"], id="no-mutants"),
        pytest.param(edges(99, mutants(99), measured=None), ["undecided", "pass"], id="no-coverage"),
        pytest.param(
            Edges(path=seen(report(file("a.ts", 9, 9)), mutants=mutants(99)), with_properties=frozenset()),
            ["undecided", "pass"],
            id="branches-not-measured",
        ),
        pytest.param(edges(99, mutants(99), unseen={"b.ts": 900}), ["fail", "pass"], id="a-module-in-no-report"),
    ],
)
def test_branches_changes_and_properties_are_weighed(known: Edges, expected: list[str]) -> None:
    assert kinds(known) == expected


def test_a_path_that_shows_nothing_holds_back_the_others(tmp_path: Path) -> None:
    fees = CriticalPath(id="fees", files=("orders/money.py",))
    target = critical(tmp_path, "-passed", paths=(fees, ORDER))
    only_fees = PROPERTY_TESTS.replace("from orders import place\n", "")
    write(tmp_path / "orders", {"tests/test_properties.py": only_fees})

    found = audited(ITEM, target)

    assert found.status.value == "inconclusive"
    assert found.reason.startswith("order: no mutation tester was run, and no property test is about orders/place.py")


@pytest.mark.parametrize(
    ("path", "test", "text", "is_about"),
    [
        ("src/money.ts", "test/a.test.ts", "import {\n  fee,\n} from '../src/money';\nfc.assert(p);", True),
        ("src/money.ts", "test/money.test.ts", "import { other } from '../src/moneybag';", False),
        ("src/money/index.ts", "test/a.test.ts", "const m = require('../src/money');", True),
        ("orders/money.py", "tests/t.py", "from orders.money import fee\n", True),
        ("orders/money.py", "tests/t.py", "# money matters\n", False),
        ("money/money.go", "money/fuzz_test.go", "package money", True),
        ("money/money.go", "place/fuzz_test.go", "package place", False),
        ("m/src/main/java/o/Money.java", "m/src/test/java/o/P.java", "class P { Money m; }", True),
    ],
)
def test_a_property_test_is_about_the_modules_that_it_imports_or_stands_beside(
    path: str, test: str, text: str, is_about: bool
) -> None:
    assert list(covered_by((path,), {test: text})) == ([path] if is_about else [])


def test_a_property_test_is_about_no_module_of_another_package() -> None:
    tests = {"a/test/money.test.ts": "import { fee } from '../src/money';"}

    assert list(covered_by(("a/src/money.ts", "b/src/money.ts"), tests, ("a", "b", ""))) == ["a/src/money.ts"]


def test_property_tests_of_four_languages_are_found_and_other_tests_are_not(tmp_path: Path) -> None:
    properties = {
        "tests/a.test.ts": "test('a', () => fc.assert(fc.property(fc.nat(), ok)));",
        "tests/b.test.ts": "test.prop([fc.nat()])('a', ok);",
        "tests/test_a.py": "@hypothesis.given(st.text())\ndef test_a(t): ...\n",
        "orders/a_test.go": "package a\nfunc FuzzA(f *testing.F) { f.Fuzz(func(t *testing.T, n int) {}) }\n",
        "src/test/java/AProperties.java": "class A { @Property boolean a(@ForAll int i) { return true; } }",
    }
    others = {
        "tests/c.test.ts": "test('empty, zero and negative amounts', () => expect(fee(0)).toBe(0));",
        "tests/test_b.py": "@pytest.mark.parametrize('amount', [0, -1])\ndef test_overflow(amount): ...\n",
    }
    repository = write(tmp_path / "orders", properties | others)
    world = World(environment(repositories=(repository,)), at=AT)
    try:
        repositories: Any = world.connector(Repositories)
        found = repositories.search(repository, patterns=PROPERTIES, is_production_only=False)
    finally:
        world.close()

    assert {match.location.file for match in found.matches} == set(properties)
