from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quub_audit.errors import Malformed
from quub_audit.facts.artifacts import Coverage, FileCoverage
from quub_audit.parsers.coverage import read
from tests.parsers.sources import recorded, source


def only(text: str) -> Coverage:
    (report,) = read(source(text))
    return report


def counts(report: Coverage) -> tuple[int, int, int, int, int, int]:
    """Lines, branches and functions of all files: covered, then all."""
    files = report.files
    return (
        sum(file.lines_covered for file in files),
        sum(file.lines for file in files),
        sum(file.branches_covered for file in files),
        sum(file.branches for file in files),
        sum(file.functions_covered for file in files),
        sum(file.functions for file in files),
    )


@pytest.mark.parametrize(
    ("name", "expected", "stated"),
    [
        ("coverage-py-7.17.3.json", (16, 21, 4, 6, 3, 6), 76.19),
        ("coverage-py-7.17.3.lcov", (16, 21, 4, 6, 3, 6), 76.19),
        ("coverage-py-7.17.3-cobertura.xml", (16, 21, 4, 6, 0, 0), 76.19),
        ("istanbul-jest-30.5.2-final.json", (8, 13, 3, 6, 3, 6), None),
        ("istanbul-jest-30.5.2-summary.json", (8, 13, 3, 6, 3, 6), 61.53),
        ("istanbul-jest-30.5.2.lcov", (8, 13, 3, 6, 3, 6), 61.54),
        ("istanbul-jest-30.5.2-clover.xml", (8, 13, 3, 6, 3, 6), 61.54),
        ("istanbul-jest-30.5.2-cobertura.xml", (8, 13, 3, 6, 3, 6), 61.53),
        ("c8-12.0.0-final.json", (25, 36, 5, 8, 3, 7), None),
        ("c8-12.0.0.lcov", (25, 36, 5, 8, 3, 7), 69.44),
        ("jacoco-0.8.12.xml", (3, 7, 3, 4, 2, 5), 42.86),
        ("go-1.26.out", (4, 9, 0, 0, 0, 0), None),
    ],
)
def test_reports_of_real_tools_are_recounted(
    name: str, expected: tuple[int, int, int, int, int, int], stated: float | None
) -> None:
    (report,) = read(recorded(name))

    assert counts(report) == expected
    assert report.stated_percent == (None if stated is None else pytest.approx(stated, abs=0.01))


def test_files_are_named_so_that_a_repository_can_be_searched_for_them() -> None:
    def paths(name: str) -> list[str]:
        return [file.path for file in read(recorded(name))[0].files]

    assert paths("coverage-py-7.17.3-cobertura.xml")[1] == "/srv/app/py/orders/money.py"
    assert paths("istanbul-jest-30.5.2-cobertura.xml")[0] == "/srv/app/js/src/money.js"
    assert paths("jacoco-0.8.12.xml") == ["orders/Money.java"]
    assert paths("go-1.26.out")[0] == "example.com/orders/money/money.go"


def test_functions_that_never_ran_are_named() -> None:
    (report,) = read(recorded("jacoco-0.8.12.xml"))

    assert report.files[0].missed_functions == ("Money.refund", "Money$Inner.<init>", "Money$Inner.one")


def test_lines_that_ran_are_told_as_spans() -> None:
    (report,) = read(recorded("coverage-py-7.17.3.lcov"))
    place = report.files[2]

    assert (place.covered, place.missed) == (((1, 1), (4, 6), (8, 11), (13, 13)), ((14, 15),))


def cobertura(classes: str, attributes: str = 'line-rate="0.5"') -> Coverage:
    return only(
        f"<coverage {attributes}><packages><package><classes>{classes}</classes></package></packages></coverage>"
    )


def test_a_file_in_several_classes_of_cobertura_is_one_and_what_ran_anywhere_ran() -> None:
    report = cobertura(
        '<class name="A" filename="a.py"><methods><method name="m"><lines><line number="9" hits="0"/></lines></method>'
        '</methods><lines><line number="1" hits="0"/><line number="2" hits="0" branch="true" '
        'condition-coverage="0% (0/2)"/></lines></class>'
        '<class name="A$B" filename="./a.py"><lines><line number="1" hits="3"/><line number="2" hits="1" branch="true" '
        'condition-coverage="50% (1/2)"/></lines></class>'
    )

    assert counts(report) == (2, 2, 1, 2, 0, 1)


def test_windows_paths_are_those_of_the_repository() -> None:
    assert cobertura('<class filename="src\\orders\\a.cs"/>').files[0].path == "src/orders/a.cs"


@pytest.mark.parametrize(("timestamp", "year"), [("1795513684", 2026), ("1795513684608", 2026), ("0", None)])
def test_seconds_and_milliseconds_of_cobertura_are_told_apart(timestamp: str, year: int | None) -> None:
    at = cobertura("", f'line-rate="1" timestamp="{timestamp}"').origin.produced_at

    assert (at.year if at else None) == year


def test_records_of_lcov_of_one_file_are_joined() -> None:
    report = only(
        "# made by hand\nTN:\nSF:a.c\nDA:1,0\nDA:2,1,abcdef==\nBRDA:2,0,0,-\nBRDA:2,0,1,4\nend_of_record\n"
        "SF:./a.c\nVER:1\nFNL:0,1,9\nFNA:0,0,main\nDA:1,5\nDA:3,0\nBRDA:2,0,0,1\nBRDA:2,e1,x,y,0\nMCDC:1,2,t,0,0,'a'\n"
        "end_of_record\n"
    )

    assert counts(report) == (2, 3, 2, 3, 0, 1)
    assert report.stated_percent is None
    assert report.files[0].missed_functions == ("main",)


def test_what_lcov_states_is_kept_beside_what_is_counted() -> None:
    assert only("SF:a.c\nDA:1,0\nLF:10\nLH:10\nend_of_record\n").stated_percent == 100


def summary(percent: object, total: int = 0, covered: int = 0, skipped: int = 0) -> str:
    numbers = {"total": total, "covered": covered, "skipped": skipped, "pct": percent}
    file = dict.fromkeys(("lines", "statements", "functions", "branches"), numbers)
    return json.dumps({"total": file, "/srv/app/a.js": file})


def test_a_percentage_of_nothing_is_unknown_to_istanbul_and_none_to_us() -> None:
    report = only(summary("Unknown"))

    assert (report.stated_percent, counts(report)) == (None, (0, 0, 0, 0, 0, 0))


def test_what_a_comment_left_out_counts_neither_as_covered_nor_at_all() -> None:
    (file,) = only(summary(100, total=10, covered=10, skipped=4)).files

    assert (file.lines_covered, file.lines, file.ignored_lines) == (6, 6, 4)


def test_a_block_of_go_that_several_packages_ran_counts_once() -> None:
    report = only("mode: set\na/b.go:1.2,3.4 5 0\na/b.go:1.2,3.4 5 1\nmode: set\na/b.go:4.2,5.4 2 0\n")

    assert (counts(report)[:2], report.counts) == ((5, 7), "statements")


def python(**meta: Any) -> str:
    files = {
        "a.py": {
            "executed_lines": [1, 2],
            "missing_lines": [3],
            "excluded_lines": [5, 6],
            "executed_branches": [[1, 2]],
            "missing_branches": [[1, -1], [2, 3]],
        }
    }
    totals = {"num_statements": 3, "percent_covered": 50.0, "percent_statements_covered": 66.7}
    return json.dumps({"meta": {"branch_coverage": True, "format": 3} | meta, "files": files, "totals": totals})


def test_branches_of_coverage_py_do_not_mix_into_its_lines() -> None:
    report = only(python())

    assert (counts(report), report.stated_percent) == ((2, 3, 1, 3, 0, 0), 66.7)
    assert report.files[0].ignored_lines == 2
    assert only(python(branch_coverage=False)).stated_percent == 50


def test_counts_of_clover_stand_in_where_there_are_no_lines() -> None:
    report = only(
        '<coverage generated="1795513684"><project><package><file name="/srv/app/a.php"><metrics statements="4" '
        'coveredstatements="3" conditionals="2" coveredconditionals="1" methods="1" coveredmethods="1"/></file>'
        '</package></project><testproject><file name="t.php"><metrics statements="9"/></file></testproject></coverage>'
    )

    assert counts(report) == (3, 4, 1, 2, 1, 1)


def jacoco(line: str) -> str:
    return f'<report><package name="p"><sourcefile name="A.java">{line}</sourcefile></package></report>'


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param("", "it is empty", id="empty"),
        pytest.param("mode: sett\n", "in no known format of coverage", id="unknown"),
        pytest.param("<coverage line-rate='1'><packages>", "it is no XML at line 1", id="truncated-xml"),
        pytest.param("SF:a.c\nDA:1,1\n", "it breaks off within a record", id="truncated-lcov"),
        pytest.param("SF:a.c\nend_of_record\nDA:1,1\n", "line 3 stands in no record", id="outside-lcov"),
        pytest.param("SF:a.c\nDA:1,-4\nend_of_record\n", "the hits in line 2 is -4", id="negative-lcov"),
        pytest.param("SF:a.c\n<html>\nend_of_record\n", "line 2 is no line of a tracefile", id="other-lcov"),
        pytest.param(jacoco('<line nr="1" ci="NaN"/>'), "ci is nan, expected a number", id="nan-jacoco"),
        pytest.param("mode: set\na.go:1.1,2.2 one 1\n", "line 2 is no block of statements", id="go"),
        pytest.param(python(format=4), "its format is 4, expected 3 or less", id="newer-coverage-py"),
        pytest.param(summary(50, total=1, covered=2), "lines: 2 of 1", id="more-than-all"),
        pytest.param(summary("half"), "pct is 'half', expected a number", id="no-percentage"),
        pytest.param('{"a.js": {"statementMap": {}, "s": {"0": 1}}}', "statement 0 is NoneType", id="no-place"),
        pytest.param(
            '<!DOCTYPE coverage [<!ENTITY a "a">]><coverage line-rate="&a;"/>', "it declares entities", id="entities"
        ),
        pytest.param(
            '<coverage line-rate="0"><class filename="a"><lines><line number="1" hits="1e999"/></lines></class>'
            "</coverage>",
            "a line's hits is inf",
            id="endless",
        ),
    ],
)
def test_what_cannot_be_read_says_why(content: str, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        read(source(content))


@given(st.dictionaries(st.integers(1, 300), st.booleans()))
def test_the_reader_gives_back_what_was_written(lines: dict[int, bool]) -> None:
    text = "".join(f"DA:{number},{int(ran)}\n" for number, ran in lines.items())

    (file,) = only(f"SF:a.c\n{text}end_of_record\n").files

    def numbers(spans: tuple[tuple[int, int], ...]) -> set[int]:
        return {number for first, last in spans for number in range(first, last + 1)}

    assert numbers(file.covered) == {number for number, ran in lines.items() if ran}
    assert numbers(file.missed) == {number for number, ran in lines.items() if not ran}
    assert (file.lines, file.lines_covered) == (len(lines), sum(lines.values()))
    assert isinstance(file, FileCoverage)


@given(
    st.binary(max_size=200),
    st.sampled_from(
        [b"", b"SF:", b"mode: set\n", b"<coverage line-rate='", b'{"meta": {"branch_coverage": ', b'{"total": {"pct": ']
    ),
)
def test_no_bytes_raise_anything_but_malformed(content: bytes, start: bytes) -> None:
    with contextlib.suppress(Malformed):
        read(source(start + content))
