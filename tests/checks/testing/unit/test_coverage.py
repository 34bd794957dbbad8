"""More than 80% of the code ran: recounted, joined, of the files of the repository, and of each part by itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quub_audit.checks.testing.unit._code import code_lines, located
from quub_audit.checks.testing.unit._measured import joined, lines_of
from quub_audit.checks.testing.unit.coverage import CoverageParameters, Seen, judge
from quub_audit.model.environment import Repository
from quub_audit.sdk import Coverage, Finding
from tests.checks.testing.integration.results import artifact, audited, environment
from tests.checks.testing.unit.orders import SOURCES, code, file, measured, orders, report, write

ITEM = "testing.unit.coverage"
SMALL = {"min_lines": 10}


@pytest.mark.proof("pass")
def test_code_whose_lines_ran_passes(tmp_path: Path) -> None:
    found = audited(ITEM, orders(tmp_path, "-passed"), parameters=SMALL)

    assert found.status.value == "pass"
    assert [finding.observed for finding in found.findings] == [
        "left out of coverage by comments: orders/place.py:17:31",
        "100.0% (21 of 21) of the lines; 8.7% (2 of 23) left out",
    ]


@pytest.mark.proof("fail")
def test_code_with_a_file_that_nothing_uses_fails(tmp_path: Path) -> None:
    found = audited(ITEM, orders(tmp_path, purposes=("coverage",)), parameters=SMALL)

    assert found.status.value == "fail"
    assert found.findings[0].observed.startswith("76.2% (16 of 21) of the lines")
    assert found.findings[0].expected == "more than 80% of the lines"


def test_a_file_that_is_in_no_report_counts_as_not_run(tmp_path: Path) -> None:
    target = orders(tmp_path, "-passed")
    lines = "".join(f"    a{number} = {number}\n" for number in range(20))
    write(tmp_path / "orders", {"orders/forgotten.py": f"def forgotten():\n{lines}"})

    found = audited(ITEM, target, parameters=SMALL)

    assert found.status.value == "fail"
    assert "not in the report, so not run: orders/forgotten.py (about 21 lines)" in found.findings[0].observed


def test_large_files_that_no_report_speaks_of_count_by_their_size(tmp_path: Path) -> None:
    target = orders(tmp_path, "-passed")
    write(tmp_path / "orders", {"orders/large.js": "a();\n" * 400_000})

    found = audited(ITEM, target, parameters=SMALL)

    assert "orders/large.js (about 50000 lines)" in next(each.observed for each in found.findings if each.expected)


@pytest.mark.proof("inconclusive")
def test_no_coverage_is_inconclusive(tmp_path: Path) -> None:
    found = audited(ITEM, orders(tmp_path, "-passed", purposes=("unit-tests",)), parameters=SMALL)

    assert found.status.value == "inconclusive"


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"commit": "d" * 40}, "is of commit cccccccccccc, expected dddddddddddd"),
        ({"parameters": SMALL | {"max_age_days": 0.5}}, "days old, expected 0.5 or less"),
        ({}, "21 lines in its coverage"),
    ],
)
def test_coverage_of_another_commit_that_is_old_or_of_next_to_nothing_is_inconclusive(
    tmp_path: Path, how: Mapping[str, Any], why: str
) -> None:
    found = audited(ITEM, orders(tmp_path, "-passed"), **{"parameters": SMALL, **how} if how else {})

    assert found.status.value == "inconclusive"
    assert why in found.reason or why in found.findings[0].observed


def test_coverage_of_tests_that_were_not_run_is_inconclusive(tmp_path: Path) -> None:
    target = environment(
        artifact("coverage-py-7.17.3-covered.json", purpose="coverage"),
        artifact("pytest-9.2.0-empty.xml", purpose="unit-tests"),
        repositories=(write(tmp_path, SOURCES),),
    )

    assert audited(ITEM, target, parameters=SMALL).status.value == "inconclusive"


@pytest.mark.proof("error")
def test_a_report_that_breaks_off_is_an_error(tmp_path: Path) -> None:
    broken = tmp_path / "lcov.info"
    broken.write_text("SF:orders/money.py\nDA:1,1\n")
    target = environment(artifact(str(broken), purpose="coverage"), repositories=(write(tmp_path / "orders", SOURCES),))

    found = audited(ITEM, target, parameters=SMALL)

    assert found.status.value == "error"
    assert "breaks off within a record" in found.findings[0].message


def seen(*reports: Coverage, paths: tuple[str, ...], unseen: dict[str, int] | None = None, **more: Any) -> Seen:
    own = code(*paths, packages=more.pop("packages", ("",)))
    return Seen(code=own, measured=measured(*reports, of=own), unseen=unseen or {}, **more)


def told(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.status.value, finding.subject) for finding in findings]


def judged(known: Seen, **parameters: Any) -> list[Finding]:
    return list(judge(known, CoverageParameters(**{"min_lines": 10, **parameters})))


@pytest.mark.parametrize(
    ("covered", "lines", "status"), [(800, 1000, "fail"), (801, 1000, "pass"), (0, 1000, "fail"), (8, 10, "fail")]
)
def test_exactly_80_percent_fails(covered: int, lines: int, status: str) -> None:
    findings = judged(seen(report(file("a.py", lines, covered)), paths=("a.py",)))

    assert told(findings) == [(status, "orders")]


def test_an_average_hides_no_package() -> None:
    known = seen(
        report(file("/srv/app/big/a.ts", 1000, 1000), file("/srv/app/small/b.ts", 50, 0)),
        paths=("big/a.ts", "small/b.ts"),
        packages=("", "big", "small"),
    )

    assert told(judged(known)) == [("pass", "orders"), ("pass", "orders: big"), ("fail", "orders: small")]


def test_an_average_hides_no_report() -> None:
    known = seen(
        report(file("a.ts", 1000, 1000), name="a.lcov"),
        report(file("b.ts", 50, 0), name="b.lcov"),
        paths=("a.ts", "b.ts"),
    )

    assert told(judged(known)) == [("pass", "orders"), ("pass", "a.lcov"), ("fail", "b.lcov")]


def test_a_report_of_nothing_holds_back_the_pass_of_another() -> None:
    known = seen(report(file("a.ts", 100, 100)), report(name="b.lcov"), paths=("a.ts",))

    assert [each.subject for each in judged(known) if each.is_undecided] == ["b.lcov"]


def test_reports_of_the_same_files_are_joined_by_line() -> None:
    first, second = (
        file("a.py", 100, 50),
        file("./a.py".removeprefix("./"), 100, 0, covered=((51, 100),), missed=((1, 50),)),
    )
    known = seen(report(first, name="unit"), report(second, name="integration"), paths=("a.py",))

    assert judged(known)[0].observed == "100.0% (100 of 100) of the lines"


def test_files_that_are_no_code_of_the_service_do_not_count() -> None:
    known = seen(
        report(file("tests/test_a.py", 900, 900), file("dist/a.js", 900, 900), file("a.py", 100, 10)),
        paths=("a.py", "tests/test_a.py"),
    )
    findings = judged(known)

    assert findings[0].observed == "10.0% (10 of 100) of the lines"
    assert findings[-1].observed == "not counted, no file of orders or several of them: dist/a.js"


def test_coverage_of_another_source_root_shows_nothing() -> None:
    known = seen(report(file("/elsewhere/b.py", 100, 100)), paths=("a.py",), unseen={"a.py": 90})

    (finding,) = judged(known)
    assert finding.is_undecided
    assert finding.observed == "0 lines in its coverage, and what is no file of it: /elsewhere/b.py"
    assert [each.is_undecided for each in judged(seen(paths=("a.py",), unseen={"a.py": 90}))] == [True]
    assert judged(seen(paths=("a.py",), unseen={"a.py": 9})) == []


def test_a_percentage_that_the_lines_do_not_give_is_told() -> None:
    known = seen(report(file("a.py", 100, 90), stated_percent=99.0), paths=("a.py",))

    assert judged(known)[1].observed == "coverage.json says 99.0%, its lines give 90.0% (90 of 100)"
    assert len(judged(seen(report(file("a.py", 100, 90), stated_percent=90.09), paths=("a.py",)))) == 1


def test_what_is_left_out_has_a_bound_and_branches_where_they_are_asked_for() -> None:
    known = seen(report(file("a.py", 100, 100, ignored_lines=20)), paths=("a.py",))
    assert told(judged(known)) == [("fail", "orders")]
    assert told(judged(known, max_ignored_percent=20)) == [("pass", "orders")]

    known = seen(report(file("a.py", 100, 100, branches=10, branches_covered=6)), paths=("a.py",))
    assert told(judged(known)) == [("pass", "orders")]
    assert told(judged(known, min_branches_percent=70)) == [("fail", "orders")]


@pytest.mark.parametrize(
    ("paths", "report_at", "files", "expected"),
    [
        pytest.param(["/build/7/src/a.ts"], "r", ["src/a.ts"], {"/build/7/src/a.ts": "src/a.ts"}, id="absolute"),
        pytest.param(["/b/src/a.ts"], "r", ["src/a.ts", "a.ts"], {"/b/src/a.ts": "src/a.ts"}, id="longest"),
        pytest.param(["a.ts"], "r", ["src/a.ts"], {"a.ts": "src/a.ts"}, id="from-a-source-folder"),
        pytest.param(["aa.ts"], "r", ["src/a.ts"], {}, id="another-name"),
        pytest.param(["src/a.ts"], "r", ["src/a.ts", "p/src/a.ts"], {}, id="two-fit"),
        pytest.param(
            ["src/a.ts"], "/ci/p/coverage/r", ["q/src/a.ts", "p/src/a.ts"], {"src/a.ts": "p/src/a.ts"}, id="beside"
        ),
        pytest.param(
            ["src/a.ts", "src/b.ts"],
            "r",
            ["p/src/a.ts", "p/src/b.ts", "q/src/a.ts"],
            {"src/a.ts": "p/src/a.ts", "src/b.ts": "p/src/b.ts"},
            id="as-the-others",
        ),
        pytest.param(
            ["orders/Money.java"],
            "r",
            ["m/src/main/java/orders/Money.java"],
            {"orders/Money.java": "m/src/main/java/orders/Money.java"},
            id="java",
        ),
    ],
)
def test_files_of_a_report_are_found_in_the_repository(
    paths: list[str], report_at: str, files: list[str], expected: dict[str, str]
) -> None:
    assert located(paths, report_at, files) == expected


@pytest.mark.parametrize(
    ("path", "text", "lines"),
    [
        ("a.py", '"""Words."""\nimport os\n\n# no\ndef f():\n    """Words."""\n    return (\n        1\n    )\n', 3),
        ("a.py", "def broken(:\n", 1),
        ("a.ts", "import { a } from 'b';\n/* no\n no */\nexport function f() {\n  return a; // yes\n}\n", 2),
        ("a.ts", "export interface A {\n  b: { c: number };\n  d(): void;\n}\nexport type E = { f: string };\n", 0),
        ("a.ts", "export type A = 'b' | 'c';\nexport * from './d';\nexport { e } from './f';\n", 0),
        (
            "a.go",
            'package a\nimport (\n\t"fmt"\n)\ntype B struct {\n\tC int\n}\nfunc D() {\n\tfmt.Println()\n}\n',
            2,
        ),
        ("A.java", "package a;\nimport b.C;\npublic interface A {\n  void b();\n}\n", 0),
    ],
)
def test_lines_that_could_run_are_counted_without_comments_imports_and_types(path: str, text: str, lines: int) -> None:
    assert code_lines(path, text) == lines


def test_generated_code_and_what_is_excluded_need_no_coverage(tmp_path: Path) -> None:
    more = {
        "orders/api_pb2.py": "a = 1\n" * 90,
        "orders/client.py": "# Code generated by a tool. DO NOT EDIT.\n" + "a = 1\n" * 90,
        "orders/migrations/0001.py": "a = 1\n" * 90,
        "scripts/release.py": "a = 1\n" * 90,
        "orders.config.js": "a = 1;\n" * 90,
    }
    target = orders(tmp_path, "-passed")
    write(tmp_path / "orders", more)

    assert audited(ITEM, target, parameters=SMALL).status.value == "pass"


def test_a_repository_without_coverage_holds_back_the_pass_of_another(tmp_path: Path) -> None:
    target = orders(tmp_path, "-passed")
    write(tmp_path / "worker", {"worker.py": "a = 1\n" * 90})
    worker = Repository(name="worker", path=str(tmp_path / "worker"))
    both = environment(*target.artifacts, repositories=(*target.repositories, worker))

    found = audited(ITEM, both, parameters=SMALL)

    assert found.status.value == "inconclusive"
    assert found.reason.startswith("worker: no coverage is declared, of about 90 lines")


covered = st.sets(st.integers(1, 60))


@given(covered, covered)
def test_joined_reports_cover_what_any_of_them_covers(one: set[int], other: set[int]) -> None:
    def of(lines: set[int]) -> Any:
        rest = set(range(1, 61)) - lines
        spans = {"covered": tuple((n, n) for n in lines), "missed": tuple((n, n) for n in rest)}
        return file("a.py", 60, len(lines), **spans)

    both = joined(of(one), of(other))

    assert lines_of((both,)) == lines_of((joined(of(other), of(one)),))
    assert (both.lines, both.lines_covered) == (60, len(one | other))


def test_of_counts_without_lines_the_better_report_counts() -> None:
    one, other = file("a.go", 9, 4, covered=(), missed=()), file("a.go", 9, 6, covered=(), missed=())

    assert joined(one, other).lines_covered == 6
