"""Reads pieces of source text: the arguments of a call, options by name, numbers and durations with their units."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_CLOSING = {"(": ")", "[": "]", "{": "}"}
_QUOTES = "\"'`"


def walk(text: str, *, has_hash_comments: bool = False) -> Iterator[tuple[int, str, int]]:
    """Index, character and depth of brackets of each character outside strings and comments."""
    index, depth = 0, 0
    while index < len(text):
        character = text[index]
        if character in _QUOTES:
            end = _end_of_string(text, index)
            yield index, character, depth
            index = end
            continue
        two = text[index : index + 2]
        if two in ("//", "/*") or (has_hash_comments and character == "#"):
            stop = "*/" if two == "/*" else "\n"
            end = text.find(stop, index + 1)
            index = len(text) if end < 0 else end + len(stop)
            continue
        if character in ")]}":
            depth -= 1
        yield index, character, depth
        if character in _CLOSING:
            depth += 1
        index += 1


def _end_of_string(text: str, start: int) -> int:
    quote, index = text[start], start + 1
    while index < len(text) and text[index] != quote:
        index += 2 if text[index] == "\\" else 1
    return index + 1


def uncommented(text: str) -> str:
    """The text of Python without comments."""
    kept: list[str] = []
    index = 0
    while index < len(text):
        if text[index] == "#":
            end = text.find("\n", index)
            index = len(text) if end < 0 else end
            continue
        end = _end_of_string(text, index) if text[index] in _QUOTES else index + 1
        kept.append(text[index:end])
        index = end
    return "".join(kept)


def split(text: str, separator: str = ",", *, has_hash_comments: bool = False) -> tuple[str, ...]:
    """The parts of `text` between separators that stand in no bracket, string or comment; stripped, none empty."""
    parts: list[str] = []
    start = 0
    for index, character, depth in walk(text, has_hash_comments=has_hash_comments):
        if depth == 0 and character == separator:
            parts.append(text[start:index])
            start = index + 1
    parts.append(text[start:])
    return tuple(part.strip() for part in parts if part.strip())


def enclosed(text: str, opening: str = "(") -> str | None:
    """What stands between the first `opening` that is in no bracket and its partner; None when the text ends before."""
    start = -1
    for index, character, depth in walk(text):
        if start < 0 and character == opening and depth == 0:
            start = index
        elif start >= 0 and character == _CLOSING[opening] and depth == 0:
            return text[start + 1 : index]
    return None


def arguments(text: str, function: str) -> tuple[str, ...] | None:
    """The arguments of a call that begins with `function`; None when the text is cut before they end."""
    rest = text[text.find(function) + len(function) :] if function in text else text
    inner = enclosed(rest, "(")
    if inner is None:
        return None if "(" in rest else ()
    return split(inner)


_PAIR = re.compile(r"""^["']?(?P<key>[A-Za-z_$][\w$-]*)["']?\s*\??:\s*(?P<value>.+)$""", re.DOTALL)
_KEYWORD = re.compile(r"^(?P<key>[A-Za-z_]\w*)\s*=(?!=)\s*(?P<value>.+)$", re.DOTALL)
_COMMENTS = re.compile(r"^(\s*(//[^\n]*\n|/\*.*?\*/))+\s*", re.DOTALL)

SPREAD = "..."
"""The key under which options hold that more are taken from elsewhere."""


def pairs(text: str) -> dict[str, str]:
    """Options of an object literal `{key: value, short, ...rest}` by name; `SPREAD` when some come from elsewhere."""
    inner = enclosed(text.strip(), "{")
    options: dict[str, str] = {}
    for part in split(inner or ""):
        part = _COMMENTS.sub("", part)
        if part.startswith("..."):
            _spread(part.removeprefix("...").strip(), options)
        elif found := _PAIR.match(part):
            options[found["key"]] = found["value"].strip()
        elif re.fullmatch(r"[A-Za-z_$][\w$]*", part):
            options[part] = part
    return options


def _spread(text: str, options: dict[str, str]) -> None:
    """A spread that adds from literals alone (`cond ? {} : {data: body}`) takes nothing from elsewhere."""
    inner = text[1:-1] if text.startswith("(") and text.endswith(")") else text
    literals = [part.strip() for part in re.split(r"[?:]\s*(?=\{)|&&", inner)[1:]]
    if literals and all(literal.startswith("{") and literal.endswith("}") for literal in literals):
        for literal in literals:
            options.update(pairs(literal))
    else:
        options[SPREAD] = text


def keywords(parts: tuple[str, ...]) -> dict[str, str]:
    """Keyword arguments of a Python call by name; `SPREAD` when some come by `**`."""
    options: dict[str, str] = {}
    for part in parts:
        if part.startswith("**"):
            options[SPREAD] = part[2:].strip()
        elif found := _KEYWORD.match(part):
            options[found["key"]] = found["value"].strip()
    return options


def chained(text: str) -> dict[str, str]:
    """Arguments of the methods that a Java chain calls at its outermost level, by method; the last call wins."""
    calls: dict[str, str] = {}
    names = [
        (index, found[1])
        for index, character, depth in walk(text)
        if character == "." and depth == 0 and (found := re.match(r"\.\s*(\w+)\s*\(", text[index:]))
    ]
    for index, name in names:
        calls[name] = (enclosed(text[index:]) or "").strip()
    return calls


@dataclass(frozen=True, slots=True)
class Names:
    """What names stand for: texts of values by file and name."""

    by_place: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def value(self, name: str, file: str) -> str:
        """The text of the value of `name`, seen from `file`: its own, else the only one of that name; or empty."""
        last = re.split(r"[.:]", name)[-1]
        own = self.by_place.get((file, last))
        if own is not None:
            return own
        if last.islower() and re.fullmatch(r"((self|this|cls)\.)?\w+", name):
            return ""  # a parameter or field of that very place, not a constant of another file
        others = {text for (_, known), text in self.by_place.items() if known == last}
        return others.pop() if len(others) == 1 else ""


_UNITS_S = {
    "time.Nanosecond": 1e-9,
    "time.Microsecond": 1e-6,
    "time.Millisecond": 1e-3,
    "time.Second": 1.0,
    "time.Minute": 60.0,
    "time.Hour": 3600.0,
}
_DURATIONS_S = {"Nanos": 1e-9, "Millis": 1e-3, "Seconds": 1.0, "Minutes": 60.0, "Hours": 3600.0, "Days": 86400.0}
_TIME_UNITS_S = {"NANOSECONDS": 1e-9, "MILLISECONDS": 1e-3, "SECONDS": 1.0, "MINUTES": 60.0, "HOURS": 3600.0}
_NUMBER = re.compile(r"""^["'`]?(\d[\d_]*\.?\d*(?:[eE][+-]?\d+)?|\.\d+)[fFdDlL]?["'`]?$""")
_NOTHING = frozenset({"None", "null", "undefined", "Infinity", "Number.POSITIVE_INFINITY", "false", "math.inf", "-1"})
_NAME = re.compile(r"^(?:[A-Za-z_$][\w$]*(?:\??\.|::))*[A-Za-z_$][\w$]*$")
_CAST = re.compile(r"\s+as\s+[\w$]+$|!$")
_WRAPPED = re.compile(r"^(Number|parseInt|parseFloat|Number\.parseInt|float|int|time\.Duration|\w*\.?[eE]nv\w*)\s*\(")
MAX_STEPS = 6
"""Names that are followed to the number behind them."""


def number(text: str, names: Names, file: str, steps: int = MAX_STEPS) -> float | None:
    """The number that an expression comes to; infinite for "none at all"; None when it cannot be told from the text."""
    text = _CAST.sub("", text.strip())
    if text in _NOTHING:
        return math.inf
    if literal := _NUMBER.match(text):
        return float(literal[1].replace("_", ""))
    if text in _UNITS_S:
        return _UNITS_S[text]
    if steps <= 0 or not text:
        return None
    if text.startswith("(") and enclosed(text) == text[1:-1]:
        return number(text[1:-1], names, file, steps - 1)
    for told in (_fallback, _product, _call):
        value = told(text, names, file, steps - 1)
        if value is not None:
            return value
    if _NAME.match(text):
        return number(names.value(text, file), names, file, steps - 1)
    return None


def _fallback(text: str, names: Names, file: str, steps: int) -> float | None:
    """`given ?? 5000` and `given or 5`: what is taken where nothing is given."""
    parts = re.split(r"\s*(?:\?\?|\|\||\bor\b)\s*", text)
    if len(parts) < 2 or enclosed(text) is not None:
        return None
    return number(parts[-1], names, file, steps)


def _product(text: str, names: Names, file: str, steps: int) -> float | None:
    factors = split(text, "*")
    if len(factors) < 2 or "**" in text:
        return None
    product = 1.0
    for factor in factors:
        value = number(factor, names, file, steps)
        if value is None:
            return None
        product *= value
    return product


def _call(text: str, names: Names, file: str, steps: int) -> float | None:
    inner = enclosed(text)
    if inner is None:
        return None
    if duration := re.match(r"^(?:java\.time\.)?Duration\.of(\w+)\s*\(", text):
        value = number(inner, names, file, steps)
        return None if value is None or duration[1] not in _DURATIONS_S else value * _DURATIONS_S[duration[1]]
    parts = split(inner)
    if not parts:
        return None
    if re.match(r"^os\.(getenv|environ\.get)\s*\(", text):
        return number(parts[1], names, file, steps) if len(parts) == 2 else None
    if _WRAPPED.match(text):
        return number(parts[0], names, file, steps) if "??" not in inner else number(inner, names, file, steps)
    if text.startswith("Math.min("):
        values = [value for part in parts if (value := number(part, names, file, steps)) is not None]
        return min(values, default=None)
    return None


def java_seconds(text: str, names: Names, file: str) -> float | None:
    """Seconds of `Duration.ofSeconds(5)`, `5, TimeUnit.SECONDS` or milliseconds as a plain number; 0 is no limit."""
    parts = split(text)
    if len(parts) == 2:
        unit = _TIME_UNITS_S.get(re.split(r"\.", parts[1])[-1])
        value = number(parts[0], names, file)
        return None if unit is None or value is None else (value * unit or math.inf)
    value = number(text, names, file)
    if value is None:
        return None
    plain = names.value(text, file) if _NAME.match(text) else text
    return (value if "Duration" in plain else value / 1000) or math.inf
