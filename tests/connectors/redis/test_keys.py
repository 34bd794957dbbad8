"""Names of keys become shapes that tell nothing of anybody."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quub_audit.connectors.redis_keys import MAX_CLASSES, MAX_SHAPE, shapes_of


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("session:12345", "session:*"),
        ("session:550e8400-e29b-41d4-a716-446655440000", "session:*"),
        ("sess:Xk29fjA-kd_83JJxx", "sess:*"),
        ("user:alice", "user:*"),
        ("user:alice@quub.example:cart", "user:*:cart"),
        ("user:alice%40quub.example", "user:*"),
        ("cache/products/17", "cache/products/*"),
        ("rate_limit:10.0.0.1", "rate_limit:*"),
        ("{user:17}:cart", "{user:*}:cart"),
        ("alice", "*"),
        ("49123456789", "*"),
        ("+49 171 1234567", "*"),
        ("userProfile:17", "userProfile:*"),
        ("kundin:müller", "*:*"),
        ("", "*"),
        ("DE89370400440532013000", "*"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "*"),
        ("order:2026-01-01:items", "order:*:items"),
    ],
)
def test_words_of_programs_stay_and_everything_else_goes(name: str, shape: str) -> None:
    assert shapes_of([name]) == (shape,)


def test_a_word_that_many_keys_share_names_a_class() -> None:
    names = [f"gizmo:{number}" for number in range(40)]

    assert set(shapes_of(names)) == {"gizmo:*"}
    assert set(shapes_of(names[:5])) == {"*:*"}


def test_words_that_stand_in_one_place_by_the_dozen_are_names_of_somebody() -> None:
    people = [
        "anna",
        "berta",
        "clara",
        "dora",
        "emma",
        "frida",
        "greta",
        "hanna",
        "ida",
        "jana",
        "karla",
        "lena",
        "mia",
    ]
    names = [f"user:{person}:{number}" for person in people for number in range(30)]

    assert set(shapes_of(names)) == {"user:*:*"}


@given(st.lists(st.text(max_size=200), max_size=80))
def test_shapes_are_as_many_as_names_bounded_and_printable(names: list[str]) -> None:
    shapes = shapes_of(names)

    assert len(shapes) == len(names)
    assert len(set(shapes)) <= MAX_CLASSES + 1
    assert all(0 < len(shape) <= MAX_SHAPE and shape.isprintable() for shape in shapes)


@given(st.lists(st.from_regex(r"[a-z]{3,8}@[a-z]{3,8}\.[a-z]{2,3}", fullmatch=True), min_size=1, max_size=60))
def test_no_part_of_an_address_stays_however_often_it_comes(addresses: list[str]) -> None:
    assert set(shapes_of([f"user:{address}" for address in addresses * 3])) == {"user:*"}
