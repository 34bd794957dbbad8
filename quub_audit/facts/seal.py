"""Secrets become fingerprints here, and every sealed value is struck from every output."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import math
import re
import threading
import urllib.parse
from collections import Counter
from dataclasses import dataclass
from typing import Literal

STRUCK = "[redacted]"

MARKERS = (
    "changeme",
    "change_me",
    "change-me",
    "todo",
    "xxx",
    "placeholder",
    "example",
    "dummy",
    "fake",
    "test",
    "sandbox",
    "dev",
    "staging",
)
"""Words that give a value away as not made for production; found as whole words, case ignored."""

ValueKind = Literal["empty", "reference", "boolean", "number", "url", "text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """All that may be known of a secret value. Two equal digests within one run mean equal values."""

    digest: str
    """Keyed hash (HMAC-SHA-256, a salt per run), 16 hexadecimal digits."""
    length: int
    """Characters."""
    entropy_bits: float
    """Shannon entropy per character, rounded to a tenth."""
    classes: tuple[str, ...]
    """Of: lower, upper, digit, symbol."""
    kind: ValueKind
    """`reference` (an ARN, `vault:`, `${NAME}`) and `url` (without credentials in it) are no secrets themselves."""
    markers: tuple[str, ...] = ()
    """Which of `MARKERS` it holds."""

    def __str__(self) -> str:
        return f"{self.length} characters of {'+'.join(self.classes) or 'nothing'}"


class Redactor:
    """Strikes every known secret value from a text, in the forms in which values travel. Thread-safe."""

    SHORTEST = 6
    """Shorter values would strike ordinary words; they are never secret enough to be worth it."""

    def __init__(self) -> None:
        self._values: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self._lock = threading.Lock()

    def add(self, value: str) -> None:
        """Strike `value` from now on, also where it stands JSON-escaped, URL-encoded or in base64."""
        value = value.strip()
        if len(value) < self.SHORTEST:
            return
        forms = {
            value,
            json.dumps(value)[1:-1],
            urllib.parse.quote(value, safe=""),
            urllib.parse.quote_plus(value),
            base64.b64encode(value.encode("utf-8", "surrogatepass")).decode().rstrip("="),
        }
        forms.update(line for line in value.splitlines() if len(line.strip()) >= 16)
        with self._lock:
            if not forms <= self._values:
                self._values |= forms
                self._pattern = None

    def clean(self, text: str) -> str:
        """`text` with every known value struck; the longest match wins."""
        with self._lock:
            if not self._values:
                return text
            if self._pattern is None:
                longest_first = sorted(self._values, key=lambda value: (-len(value), value))
                self._pattern = re.compile("|".join(map(re.escape, longest_first)))
            pattern = self._pattern
        return pattern.sub(STRUCK, text)


_REFERENCE = re.compile(
    r"^(arn:aws[a-z-]*:|vault:|ssm:|secretsmanager:|secret://|op://|\$\{[^}]*\}$|\$[A-Z_]+$|\$?\{\{[^{}]*\}\}$)"
)
_URL = re.compile(r"^[a-z][a-z0-9+.-]*://(?P<authority>[^/?#]*)", re.IGNORECASE)


class Sealer:
    """Turns secret values into fingerprints with one salt, and tells the redactor of each."""

    def __init__(self, salt: bytes, redactor: Redactor) -> None:
        self._salt = salt
        self.redactor = redactor

    def seal(self, value: str, *, is_struck: bool = True) -> Fingerprint:
        """What may be known of `value`. References, booleans, numbers and plain URLs are not struck from outputs.

        Without `is_struck` nothing is: for what stands where secrets may, and is none (`NODE_ENV=production`).
        """
        kind = kind_of(value)
        if kind == "text" and is_struck:
            self.redactor.add(value)
        digest = hmac.new(self._salt, value.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:16]
        words = re.split(r"[^a-z0-9]+", value.lower())
        return Fingerprint(
            digest=digest,
            length=len(value),
            entropy_bits=entropy_bits(value),
            classes=_classes(value),
            kind=kind,
            markers=tuple(m for m in MARKERS if m in words or (not m.isalnum() and m in value.lower())),
        )


_WORD = r"(?:[A-Z]?[a-z]{1,20}|[A-Z]{1,20}|\d{1,5})"
_ORDINARY = re.compile(rf"{_WORD}(?:[-_./: ]{_WORD})*")


def is_ordinary(value: str) -> bool:
    """Whether a value is words and short numbers alone (`production`, `eu-central-1`, `cache.internal:6379`)."""
    return len(value) <= 60 and _ORDINARY.fullmatch(value.strip()) is not None


def kind_of(value: str) -> ValueKind:
    """What sort of value it is, judged by its form alone."""
    value = value.strip()
    if not value:
        return "empty"
    if _REFERENCE.match(value):
        return "reference"
    if value.lower() in {"true", "false", "yes", "no", "on", "off", "null", "none"}:
        return "boolean"
    if re.fullmatch(r"[+-]?\d{1,9}(\.\d+)?", value):
        return "number"
    url = _URL.match(value)
    if url and "@" not in url["authority"]:
        return "url"
    return "text"


def entropy_bits(value: str) -> float:
    """Shannon entropy in bits per character; 0.0 for an empty text."""
    if not value:
        return 0.0
    total = len(value)
    return round(-sum(n / total * math.log2(n / total) for n in Counter(value).values()) + 0.0, 1)


def _classes(value: str) -> tuple[str, ...]:
    found = {
        "lower": any(c.islower() for c in value),
        "upper": any(c.isupper() for c in value),
        "digit": any(c.isdigit() for c in value),
        "symbol": any(not c.isalnum() for c in value),
    }
    return tuple(name for name, is_there in found.items() if is_there)
