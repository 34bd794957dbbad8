"""The formats of a report, by name. What makes one is imported when it is rendered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from quub_audit.model.result import Result


@dataclass(frozen=True, slots=True)
class Format:
    """One way to show a result."""

    file: str
    """Its name in the folder of the reports."""
    render: Callable[[Result], str | bytes]


def _json(result: Result) -> bytes:
    from quub_audit.reporters.document import dump_result

    return dump_result(result)


def _junit(result: Result) -> bytes:
    from quub_audit.reporters.junit import render_junit

    return render_junit(result)


def _sarif(result: Result) -> bytes:
    from quub_audit.reporters.sarif import render_sarif

    return render_sarif(result)


def _markdown(result: Result) -> str:
    from quub_audit.reporters.markdown import render_markdown

    return render_markdown(result)


def _html(result: Result) -> str:
    from quub_audit.reporters.html import render_html

    return render_html(result)


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "json": Format("result.json", _json),
        "junit": Format("junit.xml", _junit),
        "sarif": Format("report.sarif", _sarif),
        "markdown": Format("report.md", _markdown),
        "html": Format("report.html", _html),
    }
)
"""In the order in which they are written: what needs least comes first."""


def render(result: Result, format: str) -> str | bytes:  # noqa: A002  the word of the command line
    """The report of `result` as one of `FORMATS`: text for html and markdown, bytes for the others.

    Raises ValueError for a format that does not exist.
    """
    if format not in FORMATS:
        raise ValueError(f"no such format: {format}; there are {', '.join(FORMATS)}")
    return FORMATS[format].render(result)
