"""What is left of a query's text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quub_audit.connectors.postgres_text import LONGEST_TEXT, strike_literals

SECRET = "jane@shop.example"


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ("SELECT $1 FROM t WHERE a = $2", "SELECT $1 FROM t WHERE a = $2"),
        ("select  *\n\tfrom t1 -- jane@shop.example\nwhere a = 5", "select * from t1 where a = ?"),
        ("SELECT 'jane@shop.example', E'it\\'s jane', $$jane$$, $x$ jane $$ jane $x$", "SELECT ?, ?, ?, ?"),
        (
            "SELECT 'it''s', U&'\\0041', b'01', 0x1F, 1.5e3, x1, \"a 'b\" FROM t",
            'SELECT ?, ?, ?, ?, ?, x1, "a \'b" FROM t',
        ),
        ("SELECT 1 /* jane /* jane */ jane@shop.example */ FROM t", "FROM ..."),
        ("/* jane */ WITH a AS (SELECT 1) TABLE a", "WITH a AS (SELECT ?) TABLE a"),
        ("SELECT 'cut off in the mid", "SELECT ?"),
        ("(SELECT 1) UNION (SELECT 2)", "(SELECT ?) UNION (SELECT ?)"),
        ("ALTER ROLE jane PASSWORD 'x'", "ALTER ..."),
        ("COPY t FROM 's3://jane'", "COPY ..."),
        ("<insufficient privilege>", "..."),
        ("", "..."),
    ],
)
def test_literals_and_comments_are_gone_and_other_statements_are_their_verb(query: str, left: str) -> None:
    assert strike_literals(query) == left


def test_long_texts_are_cut() -> None:
    assert len(strike_literals("SELECT " + "a, " * 1000)) == LONGEST_TEXT + 3


@given(
    before=st.sampled_from(["SELECT ", "SELECT a, ", "UPDATE t SET a = ", "INSERT INTO t VALUES (", "CALL f("]),
    around=st.sampled_from(["'{}'", "E'{}'", "$${}$$", "$q${}$q$", "'a''{}'", "'{}", "/* {} */ 1", "-- {}\n1"]),
    after=st.text(max_size=40),
)
def test_no_literal_survives_whatever_stands_after_it(before: str, around: str, after: str) -> None:
    struck = strike_literals(before + around.format(SECRET) + after)

    assert SECRET not in struck
    assert struck.isprintable()


@given(st.text())
def test_any_text_comes_to_one_printable_line(query: str) -> None:
    struck = strike_literals(query)

    assert struck.isprintable()
    assert len(struck) <= LONGEST_TEXT + 3
