from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quub_audit.reporters.text import clean, count, cut, one_line, spans

ANY = st.text(st.characters(exclude_categories=()))


@given(ANY)
def test_cleaning_twice_is_cleaning_once(text: str) -> None:
    assert clean(clean(text)) == clean(text)


@given(ANY)
def test_cleaned_text_survives_xml_unchanged(text: str) -> None:
    element = ET.Element("e")
    element.text = clean(text)

    back = ET.fromstring(ET.tostring(element, encoding="utf-8"))

    assert (back.text or "") == clean(text)


@given(ANY, st.integers(1, 50))
def test_one_line_is_one_line_and_a_cut_is_no_longer_than_asked(text: str, most: int) -> None:
    assert len(one_line(text).splitlines()) <= 1
    assert len(cut(one_line(text), most)) <= most


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("a\x00b\x08c", "abc"),
        ("a\r\nb\rc", "a\nb\nc"),
        ("invoice\u202egpj.exe", "invoice⟨U+202E⟩gpj.exe"),
        ("a\ud800b", "a\ufffdb"),
        ("שלום 🏴‍☠️ e\u0301", "שלום 🏴‍☠️ e\u0301"),
    ],
)
def test_unfit_characters_go_and_fit_ones_stay(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_counts_are_grammatical() -> None:
    assert [count(0, "item"), count(1, "item"), count(10_000, "item")] == ["0 items", "1 item", "10,000 items"]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("plain", (("plain", False),)),
        ("declare `aws:` or `apm:`", (("declare ", False), ("aws:", True), (" or ", False), ("apm:", True))),
        ("one ` alone", (("one ` alone", False),)),
        ("", ()),
    ],
)
def test_code_is_what_stands_between_backticks(text: str, pieces: tuple[tuple[str, bool], ...]) -> None:
    assert spans(text) == pieces


@given(ANY)
def test_no_character_but_a_backtick_is_lost_by_taking_code_apart(text: str) -> None:
    assert "".join(piece for piece, _ in spans(text)).replace("`", "") == text.replace("`", "")
