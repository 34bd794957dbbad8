"""Who is told: the way of an alert through the routes of an Alertmanager."""

from __future__ import annotations

import json
from typing import Any

import pytest

from quub_audit.connectors.alertmanager_config import read_receivers

NAMES = ("root", "a", "b", "c")


def reached(route: dict[str, Any]) -> tuple[set[str], str]:
    """Receivers to which a route leads, and the default one."""
    text = json.dumps({"route": route, "receivers": [{"name": name} for name in NAMES]})
    found = read_receivers("pager", text)
    return {each.name for each in found if each.is_routed}, next((each.name for each in found if each.is_default), "")


def only(receiver: str, **more: Any) -> dict[str, Any]:
    return {"receiver": receiver, "matchers": [f'team="{receiver}"'], **more}


@pytest.mark.parametrize(
    ("route", "receivers", "default"),
    [
        ({"receiver": "root"}, {"root"}, "root"),
        ({"receiver": "root", "routes": [only("a"), only("b")]}, {"root", "a", "b"}, "root"),
        ({"receiver": "root", "routes": [{"receiver": "a"}]}, {"a"}, "a"),
        ({"receiver": "root", "routes": [{"receiver": "a"}, only("b")]}, {"a"}, "a"),
        ({"receiver": "root", "routes": [{"receiver": "a", "continue": True}, only("b")]}, {"a", "b"}, "a"),
        (
            {"receiver": "root", "routes": [only("a", routes=[only("b"), {"receiver": "c"}])]},
            {"root", "b", "c"},
            "root",
        ),
        ({"receiver": "root", "routes": [{"match": {"x": "y"}, "routes": [only("c")]}]}, {"root", "c"}, "root"),
        ({"receiver": "root", "routes": [{"match_re": {"x": "y"}, "receiver": "a"}]}, {"root", "a"}, "root"),
    ],
)
def test_an_alert_takes_the_first_child_that_matches_and_else_stays(
    route: dict[str, Any], receivers: set[str], default: str
) -> None:
    assert reached(route) == (receivers, default)
