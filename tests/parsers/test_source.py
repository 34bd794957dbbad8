from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quub_audit.errors import Malformed
from quub_audit.parsers.source import Format, count, moment, number, read_as
from tests.parsers.sources import source

BILLION_LAUGHS = """<!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol1 "&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;">
<!ENTITY lol2 "&lol1;&lol1;&lol1;&lol1;&lol1;&lol1;">]><suite>&lol2;</suite>"""
OUTSIDE = '<!DOCTYPE s [<!ENTITY x SYSTEM "file:///etc/passwd">]><s>&x;</s>'


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param(BILLION_LAUGHS, "declares entities", id="entity-bomb"),
        pytest.param(OUTSIDE, "declares entities", id="external-entity"),
        pytest.param("<a>" * 300 + "</a>" * 300, "more than 200 elements inside one another", id="nested-without-end"),
        pytest.param("<testsuite><testcase", "is no XML at line 1, column", id="truncated"),
        pytest.param("<a>\x00</a>", "is no XML at line 1, column 4", id="control-character"),
        pytest.param('<?xml version="1.0" encoding="klingon"?><a/>', "is no XML", id="unknown-encoding"),
        pytest.param("", "is no XML", id="empty"),
    ],
)
def test_hostile_xml_is_refused_with_its_reason(content: str, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        source(content).xml()


def test_a_document_type_without_entities_is_read_over() -> None:
    root = source('<!DOCTYPE coverage SYSTEM "http://cobertura.invalid/x.dtd"><coverage line-rate="1"/>').xml()

    assert root.get("line-rate") == "1"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param('{"a": NaN}', "NaN is no number", id="nan"),
        pytest.param("[" * 100_000, "nested too deeply", id="nested-without-end"),
        pytest.param('{"a": ', "is no JSON", id="truncated"),
        pytest.param(b"\xff{}", "not UTF-8 at byte 0", id="latin-1"),
        pytest.param("", "is no JSON", id="empty"),
    ],
)
def test_hostile_json_is_refused_with_its_reason(content: str | bytes, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        source(content).json()


def test_lines_of_json_are_a_stream_and_a_broken_one_is_named() -> None:
    lines = source('{"a": 1}\n\n{"a": 2}\n{"a": \n').json_lines()

    assert next(lines) == {"a": 1}
    assert next(lines) == {"a": 2}
    with pytest.raises(Malformed, match="line 4 is no JSON"):
        next(lines)


@pytest.mark.parametrize("value", ["NaN", "inf", -1, "1.5", None, True, [], "many"])
def test_what_is_no_count_is_refused_and_named(value: Any) -> None:
    with pytest.raises(Malformed, match="`tests` is"):
        count(value, source(""), "`tests`")


@given(st.integers(min_value=0, max_value=2**53))
def test_counts_are_read_from_numbers_and_strings(value: int) -> None:
    assert count(value, source(""), "x") == count(str(value), source(""), "x") == value


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_survive_being_written(value: float) -> None:
    assert number(repr(value), source(""), "x") == value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-24T08:00:00Z", datetime(2026, 11, 24, 8, tzinfo=UTC)),
        ("2026-11-24T09:00:00+01:00", datetime(2026, 11, 24, 8, tzinfo=UTC)),
        ("2026-11-24T08:00:00", datetime(2026, 11, 24, 8, tzinfo=UTC)),
        ("Tue, 24 Nov 2026 08:00:00 GMT", datetime(2026, 11, 24, 8, tzinfo=UTC)),
        (1795507200, datetime(2026, 11, 24, 8, tzinfo=UTC)),
        ("1795507200000", datetime(2026, 11, 24, 8, tzinfo=UTC)),
        (12, None),
        ("yesterday", None),
        (None, None),
        (True, None),
        (1e300, None),
        ("0001-01-01T00:00:00+14:00", None),
    ],
)
def test_dates_of_every_usual_kind_are_utc(text: Any, expected: datetime | None) -> None:
    assert moment(text) == expected


@given(st.one_of(st.text(), st.integers(), st.floats(), st.none(), st.booleans()))
def test_no_value_makes_the_reader_of_dates_raise(value: Any) -> None:
    found = moment(value)

    assert found is None or found.tzinfo is UTC


def test_a_report_in_no_known_format_names_those_that_are_known() -> None:
    formats = (Format(name="Cobertura XML", recognises=lambda at_hand: False, read=lambda at_hand: ""),)

    with pytest.raises(Malformed, match="in no known format of coverage") as refused:
        read_as(source("hello", "cov.xml"), formats, "coverage")
    with pytest.raises(Malformed, match=r"cov.xml: it is empty"):
        read_as(source(" \n", "cov.xml"), formats, "coverage")

    assert refused.value.next_step == "write one of Cobertura XML"
