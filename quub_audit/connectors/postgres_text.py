"""Texts of queries without what was in them: literals struck, comments gone, utility statements cut to their verb."""

from __future__ import annotations

import re

LONGEST_TEXT = 300
"""Characters of a query that are told."""

_NORMALISED = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "WITH", "VALUES", "TABLE"})
"""What pg_stat_statements takes the constants out of, in every version; of other statements it keeps them."""

_PARTS = re.compile(
    r"""
    (?P<comment> --[^\n]*(?:\n|$) | /\*.*?(?:\*/|$) )
    | (?P<name> "(?:[^"]|"")*(?:"|$) | \$[0-9]+ | [^\W\d]\w* (?!'|&') )
    | (?P<literal>
        (?:[eE]'(?:[^'\\]|\\.|'')*(?:'|$))
      | (?:[uU]&|[bBxXnN])?'(?:[^']|'')*(?:'|$)
      | \$(?P<tag>[^\W\d]\w*)?\$.*?(?:(?(tag)\$(?P=tag)\$|\$\$)|$)
      | (?<![\w$])[0-9][\w.]*
      )
    """,
    re.VERBOSE | re.DOTALL,
)


def strike_literals(query: str) -> str:
    """`query` on one line: every literal is `?`, comments are left out, a utility statement is its first word.

    An unfinished literal (a text that the server cut) is struck to its end.
    """
    text = " ".join(_PARTS.sub(_struck, query).split())
    text = text.rpartition("*/")[2].strip()  # what is left of a comment within a comment
    first = re.match(r"\(*\s*(\w+)", text)
    verb = first[1].upper() if first else ""
    if verb not in _NORMALISED:
        return f"{verb} ..." if verb.isascii() and verb.isalpha() else "..."
    text = "".join(c if c.isprintable() else "?" for c in text)
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}..."


def _struck(found: re.Match[str]) -> str:
    if found["comment"]:
        return " "
    return "?" if found["literal"] else found[0]
