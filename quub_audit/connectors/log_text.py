"""A line of a log as its writer meant it: escapes undone, look-alike characters made plain, base64 unwrapped.

Everything here is linear in the length of the line: no expression is without a bound, and none looks back far.
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from urllib.parse import unquote

from quub_audit.facts.logs import PiiKind


def words_in(text: str) -> frozenset[str]:
    """The words of a list."""
    return frozenset(text.split())


MAX_CHARACTERS = 1024 * 1024
"""Of one line that are looked at; what follows is said to be cut."""

MAX_CANDIDATES = 1000
"""Of one form in one line that are looked at one by one."""

_UNFOLDINGS = 3
"""A document inside a document inside a document is escaped so often."""

_JSON_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|[\"\\/nrt])")
_PERCENT = re.compile(r"%[0-9A-Fa-f]{2}")
_ENTITY = re.compile(r"&(?:#0{0,3}(\d{2,3})|#[xX]([0-9a-fA-F]{2})|(quot|amp|apos|lt|gt|commat));")
_NAMED_ENTITIES = {"quot": '"', "amp": "&", "apos": "'", "lt": "<", "gt": ">", "commat": "@"}
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_SIMPLE_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}
_INVISIBLE = frozenset("\u00ad\u200b\u200c\u200d\u2060\ufeff")
_DASHES = frozenset("\u2010\u2011\u2012\u2013\u2212")
_COLOUR = re.compile(r"\x1b\[[0-9;]{0,12}m")

_BASE64 = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{16,8192}={0,2}(?![A-Za-z0-9+/_-])")
_HEX = re.compile(r"[0-9a-f-]+|[0-9A-F-]+")

_KEY = re.compile(r"([A-Za-z_][\w.-]{0,60})[\"']?\s{0,3}(?:=>|[:=])\s{0,3}[\"'(\[<]{0,2}$")
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_MASK_WORDS = words_in(
    """
    redacted masked filtered hidden removed scrubbed obfuscated censored omitted sanitized sanitised protected
    confidential anonymized anonymised stripped encrypted secret
    """
)
_REFERENCE = re.compile(r"^(?:\$\{|\$\(|\{\{|\{\d*\}|%[sd(]|%\(|\$\d|arn:|vault:|ssm:|secretsmanager:|secret://|op://)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One value in one line."""

    kind: PiiKind
    value: str
    """Never to leave the connector."""
    detail: str
    """What decided it, without the value."""


def unfold(line: str) -> str:
    """`line` with JSON escapes, percent-encoding and HTML entities undone, and its digits, dashes and spaces plain."""
    text = _COLOUR.sub("", line[:MAX_CHARACTERS])
    for _ in range(_UNFOLDINGS):
        before = text
        if "\\" in text:
            text = _JSON_ESCAPE.sub(_unescaped, text)
        if "%" in text and _PERCENT.search(text):
            text = unquote(text, errors="replace")
        if "&" in text:
            text = _ENTITY.sub(_named, text)
        if text == before:
            break
    return text if text.isascii() else _NOT_ASCII.sub(_plain, text)


def wrapped_texts(text: str) -> Iterator[str]:
    """What stands in `text` as base64 and is text itself, unfolded."""
    for match in _BASE64.finditer(text):
        token = match[0].rstrip("=")
        if len(token) % 4 == 1 or _HEX.fullmatch(token):
            continue
        inner = decoded(token)
        if inner and sum(c.isprintable() or c in "\r\n\t" for c in inner) >= 0.95 * len(inner):
            yield unfold(inner)


def decoded(token: str) -> str:
    """The text behind base64, either alphabet, padded or not; empty where there is none."""
    standard = token.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def each(form: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """The first `MAX_CANDIDATES` places where `form` stands."""
    return islice(form.finditer(text), MAX_CANDIDATES)


def key_before(text: str, start: int) -> str:
    """The name that is given the value at `start` (`card=`, `"card": "`); empty where there is none."""
    found = _KEY.search(text[max(0, start - 80) : start])
    return found[1] if found else ""


def words_of(name: str) -> frozenset[str]:
    """The words of a name in any case style, lower case."""
    return frozenset(word.lower() for word in _WORDS.findall(name))


def value_after(text: str, start: int) -> tuple[str, bool]:
    """The value that begins at `start`, at most 512 characters, and whether it stands in quotes."""
    if text[start : start + 1] in ("'", '"', "`"):
        end = text.find(text[start], start + 1, start + 514)
        return (text[start + 1 : end], True) if end > 0 else (text[start + 1 : start + 513], True)
    found = _BARE_VALUE.match(text, start)
    return (found[0] if found else "", False)


_BARE_VALUE = re.compile(r"[^\s,;&\"'<>]{1,512}")


def is_masked(value: str) -> bool:
    """Whether a value has been made unreadable, is none yet, or only says where one is."""
    plain = value.strip().strip("[]<>(){}\"'`").strip()
    if not plain or "**" in plain or "\u2022" in plain or "\u2026" in plain or "..." in plain:
        return True
    if set(plain.lower()) <= set("x*.-_#\u2022?"):
        return True
    if words_of(plain) & _MASK_WORDS and len(plain) <= 40:
        return True
    return _REFERENCE.match(value.strip()) is not None or value.strip()[:1] in "[<{"


def _unescaped(match: re.Match[str]) -> str:
    escape = match[0][1:]
    if escape[0] in "ux" and len(escape) > 1:
        character = chr(int(escape[1:], 16))
        return "\ufffd" if "\ud800" <= character <= "\udfff" else character
    return _SIMPLE_ESCAPES.get(escape, escape)


def _named(match: re.Match[str]) -> str:
    if match[3]:
        return _NAMED_ENTITIES[match[3]]
    return chr(int(match[1]) if match[1] else int(match[2], 16))


def _plain(match: re.Match[str]) -> str:
    character = match[0]
    if character in _INVISIBLE:
        return ""
    if character in _DASHES:
        return "-"
    if character.isspace():
        return " "
    digit = unicodedata.digit(character, None)
    if digit is not None and unicodedata.category(character) == "Nd":
        return str(digit)
    wide = unicodedata.normalize("NFKC", character) if "\uff01" <= character <= "\uff5e" else ""
    return wide or character
