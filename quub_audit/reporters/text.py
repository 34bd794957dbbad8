"""Foreign text made fit to be shown: what a report says of the world was written by the world."""

from __future__ import annotations

import re

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_UNFIT = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
_NEW_LINE = re.compile(r"\r\n?|[\x85\u2028\u2029]")
_CODE = re.compile(r"`([^`|\\\n]+)`")
_BLANKS = re.compile(r"\s+")


def clean(text: str) -> str:
    """`text` without terminal colours, control characters and what else XML 1.0 forbids; new lines and tabs stay.

    Marks that turn the direction of writing are shown by number (`⟨U+202E⟩`), because they make a text read as
    another one. A lone surrogate becomes U+FFFD. Idempotent.
    """
    if text.isascii() and text.isprintable():
        return text
    return _UNFIT.sub(_shown, _NEW_LINE.sub("\n", _ANSI.sub("", text)))


def _shown(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0xA0:
        return ""
    if code >= 0xD800:
        return "\N{REPLACEMENT CHARACTER}"
    return f"⟨U+{code:04X}⟩"


def one_line(text: str) -> str:
    """`clean(text)` with every run of blanks made one space."""
    return _BLANKS.sub(" ", clean(text)).strip()


def spans(text: str) -> tuple[tuple[str, bool], ...]:
    """`text` in pieces, each with whether it stood between backticks; joined they are `text` without those."""
    return tuple((piece, bool(index % 2)) for index, piece in enumerate(_CODE.split(text)) if piece)


def cut(text: str, most: int) -> str:
    """At most `most` characters of `text`, an ellipsis for what is missing."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def count(number: int, noun: str) -> str:
    """`1 item`, `2 items`, `10,000 items`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
