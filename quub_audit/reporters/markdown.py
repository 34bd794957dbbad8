"""report.md: fits a pull-request comment and a step summary, whatever the size of the run."""

from __future__ import annotations

import re
from dataclasses import dataclass

from quub_audit.model.result import Result
from quub_audit.model.status import Verdict
from quub_audit.reporters.html import environment
from quub_audit.reporters.text import count, cut, one_line, spans
from quub_audit.reporters.view import ItemView, NoticeView, View, view_of

MAX_BYTES = 60_000
"""GitHub takes 65,536 characters in a comment; what a step summary may hold is shared by all of a job."""
TEXT_SHOWN = 300
"""Characters of one foreign text."""

BREAK = "\N{ZERO WIDTH SPACE}"

_SPECIAL = re.compile(r"[\\`*_\[\]#|~$<>&]")
_ENTITY = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
_LINKED = re.compile(r"@|://|www\.|[#!%$&~]\d|GH-\d|mailto:|xmpp:", re.IGNORECASE)
_INSIDE_LINKED = re.compile(
    r"(?<=@)|(?<=:)(?=//)|(?<=www)(?=\.)|(?<=[#!%$&~])(?=\d)|(?<=GH)(?=-\d)|(?<=mailto)(?=:)|(?<=xmpp)(?=:)",
    re.IGNORECASE,
)
_OPENING, _CLOSING = "(\"'“", ")\"'”.,;:!?"
_ENDS_CODE = re.compile(r"[`|\\]")

SYMBOL = {Verdict.READY: "✅", Verdict.NOT_READY: "❌"}


def prose(text: str) -> str:
    """`text` on one line, so that nothing in it is Markdown, HTML, a mention, a reference or a link.

    A word that GitHub or GitLab would link (`@team`, `https://...`, `#12`) becomes code, where they leave it alone;
    what stands between backticks is code already.
    """
    pieces = spans(cut(one_line(text), TEXT_SHOWN))
    return "".join(f"`{piece}`" if is_code else _words(piece) for piece, is_code in pieces)


def code(text: str) -> str:
    """`text` on one line as inline code; as prose where it holds what ends code or a table's cell."""
    line = cut(one_line(text), TEXT_SHOWN)
    if not line:
        return ""
    return prose(line) if _ENDS_CODE.search(line) else f"`{line}`"


def _words(text: str) -> str:
    return " ".join(map(_word, text.split(" ")))


def _word(word: str) -> str:
    if not _LINKED.search(word):
        return _escape(word)
    if _ENDS_CODE.search(word):
        return _escape(_INSIDE_LINKED.sub(BREAK, word))
    start = len(word) - len(word.lstrip(_OPENING))
    end = len(word.rstrip(_CLOSING))
    return f"{_escape(word[:start])}`{word[start:end]}`{_escape(word[end:])}"


def _escape(text: str) -> str:
    return _SPECIAL.sub(lambda match: _ENTITY.get(match[0]) or "\\" + match[0], text)


@dataclass(frozen=True, slots=True)
class Detail:
    """How much of a report is told; each level tells less than the one before."""

    blocking: int
    findings: int
    attention: int
    notices: int
    items: int


LEVELS = (
    Detail(blocking=200, findings=5, attention=100, notices=100, items=500),
    Detail(blocking=100, findings=3, attention=50, notices=50, items=150),
    Detail(blocking=100, findings=0, attention=30, notices=20, items=100),
    Detail(blocking=50, findings=0, attention=10, notices=10, items=0),
    Detail(blocking=20, findings=0, attention=0, notices=5, items=0),
    Detail(blocking=5, findings=0, attention=0, notices=1, items=0),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Excerpt:
    """What a level shows, and in words what it leaves out."""

    blocking: tuple[ItemView, ...]
    attention: tuple[ItemView, ...]
    notices: tuple[NoticeView, ...]
    items: tuple[ItemView, ...]
    findings: int
    """Findings of each blocking item, at most."""
    left_out: tuple[str, ...]


def render_markdown(result: Result) -> str:
    """The report as GitHub-flavoured Markdown, under 60 kB: the verdict and what blocks it first, then the rest.

    What does not fit is left out from the end, and the last lines say how much that is.
    """
    template = environment(autoescape=False, finalize=_finalize).get_template("report.md.j2")
    view = view_of(result, findings_shown=max(level.findings for level in LEVELS))
    text = ""
    for level in LEVELS:
        text = template.render(
            view=view,
            shown=_excerpt(view, level),
            symbol=SYMBOL.get(result.verdict, "⚠️"),
            code=lambda text: Safe(code(text)),
        )
        if len(text.encode()) < MAX_BYTES:
            break
    return text


class Safe(str):
    """Markdown already."""

    __slots__ = ()


def _finalize(value: object) -> object:
    """What every `{{ }}` of the template goes through."""
    return prose(value) if type(value) is str else value


def _excerpt(view: View, level: Detail) -> Excerpt:
    missing = [
        (len(view.blocking) - level.blocking, "more item", "under “What blocks this release”"),
        (len(view.attention) - level.attention, "more item", "under “What else needs attention”"),
        (len(view.notices) - level.notices, "more notice", "about this run"),
        (len(view.items) - level.items, "more row", "of “All items”"),
    ]
    return Excerpt(
        blocking=view.blocking[: level.blocking],
        attention=view.attention[: level.attention],
        notices=view.notices[: level.notices],
        items=view.items[: level.items],
        findings=level.findings,
        left_out=tuple(f"{count(number, noun)} {where}" for number, noun, where in missing if number > 0),
    )
