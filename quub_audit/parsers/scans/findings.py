"""What the readers of scans share: one scale of severity, packages by purl, places without credentials, each finding
once.

Source of the scale: CVSS v3.1, section 5, and v4.0, section 6. v2 has no critical level, so that its words count there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from cvss import CVSS3, CVSS4, CVSSError

from quub_audit.facts.artifacts import Level, ScanFinding
from quub_audit.parsers.source import Source

MAX_TEXT = 300
MAX_UNREAD = 50
"""Reasons why something was not looked at."""

_WORDS: Mapping[str, Level] = {
    "critical": "critical",
    "high": "high",
    "important": "high",
    "error": "high",
    "moderate": "medium",
    "medium": "medium",
    "warning": "medium",
    "low": "low",
    "negligible": "low",
    "minimal": "low",
    "unimportant": "low",
    "info": "low",
    "informational": "low",
    "note": "low",
    "none": "low",
}
_RANK: Mapping[Level, int] = {"low": 0, "medium": 1, "unknown": 2, "high": 3, "critical": 4}
"""`unknown` counts as high until somebody knows better, but never hides a known one."""

_SCORES: tuple[tuple[float, Level], ...] = ((9.0, "critical"), (7.0, "high"), (4.0, "medium"), (0.0, "low"))
_CWE = re.compile(r"(?i)\bcwe[-/_: ]*0*([1-9][0-9]{0,4})\b")
_PURL_TYPES: Mapping[str, str] = {
    "npm": "npm",
    "pypi": "pypi",
    "go": "golang",
    "golang": "golang",
    "maven": "maven",
    "rubygems": "gem",
    "gem": "gem",
    "crates.io": "cargo",
    "cargo": "cargo",
    "packagist": "composer",
    "nuget": "nuget",
}
"""purl's names of what OSV and the scanners call ecosystems."""


def level_of_word(word: object) -> Level:
    """The tool's own word, in any case; `unknown` for what is none."""
    return _WORDS.get(word.strip().lower(), "unknown") if isinstance(word, str) else "unknown"


def level_of_score(score: object) -> Level:
    """A CVSS v3 or v4 score, 0 to 10, also out of a string; `unknown` for what is none."""
    try:
        value = float(score) if isinstance(score, int | float | str) and not isinstance(score, bool) else math.nan
    except ValueError:
        return "unknown"
    return next((level for least, level in _SCORES if least <= value <= 10), "unknown")


def level_of_vectors(vectors: Iterable[object]) -> Level:
    """The worst of CVSS v3 and v4 vectors; `unknown` where there is none that can be read."""
    levels = [level_of_score(score) for score in _scores(vectors)]
    return worst(levels) if levels else "unknown"


def _scores(vectors: Iterable[object]) -> Iterator[float]:
    for vector in vectors:
        text = vector.strip() if isinstance(vector, str) else ""
        try:
            if text.startswith("CVSS:4"):
                yield float(CVSS4(text).base_score)
            elif text.startswith("CVSS:3"):
                yield float(CVSS3(text).base_score)
        except (CVSSError, ArithmeticError, KeyError, ValueError):
            continue


def worst(levels: Iterable[Level]) -> Level:
    """The highest level; `unknown` stands between medium and high."""
    return max(levels, key=lambda level: _RANK[level])


def known(*levels: Level) -> Level:
    """The first that is known: by score, else by word."""
    return next((level for level in levels if level != "unknown"), "unknown")


def cwes_in(values: Iterable[object]) -> tuple[int, ...]:
    """Numbers of weaknesses that texts name: `CWE-79`, `external/cwe/cwe-079`; sorted."""
    return tuple(sorted({int(found) for value in values if isinstance(value, str) for found in _CWE.findall(value)}))


def short(value: object, at_most: int = MAX_TEXT) -> str:
    """A text in one line without control characters, cut; an empty one for anything else."""
    text = " ".join(value[: at_most * 4].split()) if isinstance(value, str) else ""
    return "".join(c for c in text if c.isprintable())[:at_most]


def shorts(values: Iterable[object]) -> tuple[str, ...]:
    """The texts among `values` that are not empty, each once, in order."""
    return tuple(dict.fromkeys(text for value in values if (text := short(value))))


def place(value: object) -> str:
    """A path or address of a file or page, without user names, passwords, queries and fragments."""
    text = short(value)
    try:
        parts = urlsplit(text)
        if parts.scheme == "file":
            return unquote(parts.path)
        if parts.netloc:
            return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    except ValueError:
        return ""
    return text.partition("?")[0] if "://" in text else text


def line_of(value: object) -> int | None:
    """A line, counted from 1; None for what is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31 else None


def probability(value: object) -> float | None:
    """Of EPSS, 0 to 1; None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= 1 else None


def purl(ecosystem: str, name: object, version: object = "") -> str:
    """The package URL of a package; `name@version` for an ecosystem that purl does not know."""
    called, at = short(name), short(version)
    if not called:
        return ""
    kind = _PURL_TYPES.get(ecosystem.partition(":")[0].lower())
    suffix = f"@{quote(at, safe='.+-:~')}" if at else ""
    if kind is None:
        return f"{called}{f'@{at}' if at else ''}"
    if kind == "pypi":
        called = re.sub(r"[-_.]+", "-", called).lower()
    elif kind == "maven":
        called = called.replace(":", "/")
    elif kind == "golang" and suffix.startswith("@") and not suffix.startswith("@v"):
        suffix = f"@v{suffix[1:]}"
    return f"pkg:{kind}/{quote(called, safe='/.-_~')}{suffix}"


def plain_purl(value: object) -> str:
    """A purl without qualifiers and subpath."""
    return short(value).partition("?")[0].partition("#")[0]


def speaks_of(source: Source, *keys: str, opening: str = "{") -> bool:
    """Whether the head looks like JSON that begins with `opening` and has all of `keys`, at whatever depth."""
    head = source.beginning
    return head.startswith(opening) and all(re.search(rf'"{re.escape(key)}"\s*:', head) for key in keys)


def many(value: object) -> Sequence[Any]:
    """A list as it is, nothing for None, and one of what stands alone, as tools that turn XML into JSON leave it."""
    return value if isinstance(value, list) else () if value is None else (value,)


def each_once(findings: Iterable[ScanFinding]) -> tuple[ScanFinding, ...]:
    """Findings that share an identifier, and the subject and place, as one: the worst level, all aliases and fixes.

    An acceptance holds only where all of them are accepted.
    """
    found: dict[int, ScanFinding] = {}
    index: dict[tuple[str, str, int | None, str, str], int] = {}
    for number, finding in enumerate(findings):
        keys = [
            (finding.subject, finding.file, finding.line, finding.commit, name.lower())
            for name in (finding.id, *finding.aliases)
        ]
        # One that names identifiers of several joins them all.
        joined = sorted({index[key] for key in keys if key in index})
        target = joined[0] if joined else number
        whole = [found.pop(other) for other in joined] + [finding]
        found[target] = whole[0] if len(whole) == 1 else _joined(whole)
        one = found[target]
        for name in (one.id, *one.aliases):
            index[(one.subject, one.file, one.line, one.commit, name.lower())] = target
    return tuple(found[number] for number in sorted(found))


def _joined(whole: Sequence[ScanFinding]) -> ScanFinding:
    first = whole[0]
    names = [name for each in whole for name in (each.id, *each.aliases) if name.lower() != first.id.lower()]
    levels = [each.level for each in whole if each.level != "unknown"]
    return replace(
        first,
        level=worst(levels) if levels else "unknown",
        aliases=tuple(dict.fromkeys(names)),
        title=first.title or next((each.title for each in whole if each.title), ""),
        fixed_in=tuple(dict.fromkeys(version for each in whole for version in each.fixed_in)),
        cwes=tuple(sorted({cwe for each in whole for cwe in each.cwes})),
        tags=tuple(dict.fromkeys(tag for each in whole for tag in each.tags)),
        is_exploited=any(each.is_exploited for each in whole),
        exploit_probability=max((each.exploit_probability or 0.0 for each in whole), default=0.0) or None,
        has_exploit=any(each.has_exploit for each in whole),
        is_development=all(each.is_development for each in whole),
        is_verified=any(each.is_verified for each in whole),
        acceptance=first.acceptance if all(each.acceptance for each in whole) else None,
    )
