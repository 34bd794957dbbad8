"""report.html: one file that asks the network for nothing, and reads without its style and script."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from quub_audit.model.result import Result
from quub_audit.reporters.text import clean, spans
from quub_audit.reporters.view import view_of

if TYPE_CHECKING:
    from jinja2 import Environment

FINDINGS_SHOWN = 50
"""Findings of one item; the worst come first, and result.json has all."""

FILLS = {
    "fail": "#b3362f",
    "error": "#9c4780",
    "inconclusive": "#b27a25",
    "waived": "#5f7ca1",
    "pass": "#3d8a60",
    "not_applicable": "#9aa0a8",
}
"""Colours of the bar where the report's own style is forbidden; its words say the same."""


def environment(**options: Any) -> Environment:
    """Where templates are found and how they are set: a name that does not exist is an error, never nothing."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    folder = files("quub_audit") / "templates"
    return Environment(  # noqa: S701  each format says how it escapes
        loader=FunctionLoader(lambda name: (folder / name).read_text(encoding="utf-8")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        **options,
    )


def render_html(result: Result) -> str:
    """The whole report as one HTML document; at most `FINDINGS_SHOWN` findings an item.

    Everything foreign is escaped by autoescape. A content security policy allows the report's own style and script
    by their digests, and nothing else.
    """
    from markupsafe import Markup

    templates = environment(autoescape=True, finalize=lambda value: clean(value) if type(value) is str else value)
    style = _source("report.css")
    script = _source("report.js")
    text = templates.get_template("report.html.j2").render(
        view=view_of(result, findings_shown=FINDINGS_SHOWN),
        fills=FILLS,
        spans=spans,
        style=Markup(style),  # noqa: S704  ours, and nothing foreign in it
        script=Markup(script),  # noqa: S704
        style_digest=_digest(style),
        script_digest=_digest(script),
    )
    return text.lstrip()


def _source(name: str) -> str:
    return (files("quub_audit") / "templates" / name).read_text(encoding="utf-8")


def _digest(source: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
