"""How findings word what they observed."""

from __future__ import annotations

from collections.abc import Iterable

LONGEST_LIST = 10
"""Names in one list; of the rest the count is told."""


def cut(names: Iterable[object]) -> str:
    """`a, b and 3 more`: the first ten, in order. Empty for no name."""
    listed = [str(name) for name in names]
    rest = len(listed) - LONGEST_LIST
    return ", ".join(listed[:LONGEST_LIST]) + (f" and {rest} more" if rest > 0 else "")
