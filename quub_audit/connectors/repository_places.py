"""Where a secret stands, said so exactly that its value can be read again from the same content without the scanner.

What has been scanned does not change: a commit by its nature, a file as long as its hash is the same. So the place is
enough to be remembered, and the value, which must not be, is read from the content whenever it has to be sealed.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from quub_audit.connectors.repository_scanner import Hit


class Place(NamedTuple):
    """All that the scanner says of a finding, but for its value."""

    commit: str
    """Empty for the working tree."""
    path: str
    line: int
    rule: str
    column: int = 0
    length: int = 0
    """Of the value in characters; 0 where the value is not what stands there (it was encoded), so that only the scanner
    can tell it."""
    description: str = ""
    confidence: str = ""

    @property
    def spot(self) -> tuple[str, str, int, str]:
        """What a scan finds again, be its column known or not."""
        return self[:4]


class Content:
    """A file as text that is asked for by line and column."""

    def __init__(self, content: bytes) -> None:
        self._text = content.decode("utf-8", "replace")
        self._lines = [0, *(end.end() for end in re.finditer("\n", self._text))]

    def at(self, line: int, column: int, length: int) -> str:
        """Up to `length` characters from a place, both counted from 1; nothing where there is no such line."""
        if not (0 < line <= len(self._lines) and column > 0):
            return ""
        start = self._lines[line - 1] + column - 1
        return self._text[start : start + length]


def place_of(hit: Hit, content: Content | None) -> Place:
    """What may be remembered of `hit`; its length only where its value can be read at the place in `content`."""
    length = len(hit.value)
    is_there = content is not None and content.at(hit.line, hit.column, length) == hit.value
    return Place(
        hit.commit,
        hit.path,
        hit.line,
        hit.rule,
        hit.column,
        length if is_there else 0,
        hit.description,
        hit.confidence,
    )


def hit_at(place: Place, content: Content) -> Hit | None:
    """What the scanner found at `place`; None where only the scanner can tell."""
    value = content.at(place.line, place.column, place.length)
    if not value or len(value) != place.length:
        return None
    return Hit(
        rule=place.rule,
        description=place.description,
        confidence=place.confidence,
        value=value,
        path=place.path,
        line=place.line,
        column=place.column,
        commit=place.commit,
    )
