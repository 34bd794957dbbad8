"""Places of findings: a value is read again exactly, or is said to be the scanner's to tell."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quub_audit.connectors.repository_places import Content, hit_at, place_of
from quub_audit.connectors.repository_scanner import Hit

TEXT = st.text(st.sampled_from("ab\n\r\t é😀\u2028\x85\ufeff"), max_size=60)


def hit(value: str, line: int, column: int) -> Hit:
    return Hit(
        rule="r", description="d", confidence="high", value=value, path="a.ts", line=line, column=column, commit=""
    )


@given(before=TEXT, value=TEXT.filter(bool), after=TEXT)
def test_what_stands_in_a_text_is_read_again_by_its_line_and_column(before: str, value: str, after: str) -> None:
    found = hit(value, before.count("\n") + 1, len(before) - before.rfind("\n"))
    content = Content((before + value + after).encode())

    place = place_of(found, content)

    assert place.length == len(value)
    assert hit_at(place, content) == found


@given(text=TEXT, value=TEXT, line=st.integers(-2, 5), column=st.integers(-2, 70))
def test_a_value_is_never_read_as_another(text: str, value: str, line: int, column: int) -> None:
    content, found = Content(text.encode()), hit(value, line, column)

    assert hit_at(place_of(found, content), content) in (found, None)


@pytest.mark.parametrize("content", [None, Content(b""), Content(b"other\n"), Content(b"\xff\xfes\0e\0c\0")])
def test_a_value_that_does_not_stand_there_has_no_length(content: Content | None) -> None:
    assert place_of(hit("sec", 1, 1), content).length == 0


def test_bytes_that_are_no_text_do_not_move_what_follows_on_other_lines() -> None:
    content = Content(b"\xff\xff\nkey = secret\n")

    assert hit_at(place_of(hit("secret", 2, 7), content), content) == hit("secret", 2, 7)
