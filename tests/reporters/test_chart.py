"""Charts of findings: what they refuse, what they say, how they are drawn."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quub_audit.model.finding import Chart
from quub_audit.reporters.chart import chart_view, say_chart

NUMBER = st.floats(-1e12, 1e12)


def chart(**changes: Any) -> Chart:
    given = {"title": "p95", "x_unit": "h", "y_unit": "ms", "points": ((0.0, 100.0), (24.0, 150.0))}
    return Chart(**{**given, **changes})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "100 ms at first, 150 ms at last, at most 150 ms"),
        ({"trend": (99.0, 151.0)}, "100 ms at first, 150 ms at last, at most 150 ms; trend from 99 to 151 ms"),
        ({"limit": 200.0, "y_unit": ""}, "100 at first, 150 at last, at most 150; limit 200"),
    ],
)
def test_a_chart_is_told_in_one_sentence(changes: dict[str, Any], said: str) -> None:
    assert say_chart(chart(**changes)) == said


@pytest.mark.parametrize(
    "changes",
    [
        {"points": ((0.0, 1.0),)},
        {"points": tuple((float(at), 1.0) for at in range(201))},
        {"points": ((0.0, 1.0), (1.0, float("nan")))},
        {"trend": (0.0, float("inf"))},
        {"limit": float("nan")},
    ],
)
def test_too_few_or_too_many_points_and_numbers_without_end_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="a chart"):
        chart(**changes)


@given(
    points=st.lists(st.tuples(NUMBER, NUMBER), min_size=2, max_size=30).map(lambda pairs: tuple(sorted(pairs))),
    trend=st.one_of(st.none(), st.tuples(NUMBER, NUMBER)),
    limit=st.one_of(st.none(), NUMBER),
)
def test_every_line_stays_in_the_box(points: Any, trend: Any, limit: Any) -> None:
    view = chart_view(chart(points=points, trend=trend, limit=limit))

    for line in (view.curve, view.trend, view.limit):
        for place in line.split():
            x, y = map(float, place.split(","))
            assert 0 <= x <= 1000
            assert -0.1 <= y <= 200.1
