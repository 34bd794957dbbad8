"""Mistakes in configuration files: where each is, what is wrong there, and the words for it."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from quub_audit.errors import ConfigurationError

MISTAKES_SHOWN = 100
"""A file of another kind has a mistake in every line."""

LONGEST_SHOWN = 32
"""Characters of the longest value that a message repeats; a longer one may be anything, a credential too."""

MOST_STEPS = 12
"""Of a path that is shown."""

Steps = tuple[str | int, ...]
"""The way from the root of a file to a value: keys, and positions in lists from 0."""

Naming = Callable[[Steps], Steps]
"""From the way to a value in its file to the path that messages give."""


@dataclass(frozen=True, slots=True)
class SecretShape:
    """What one kind of credential looks like, whatever field it stands in."""

    kind: str
    shape: re.Pattern[str]
    signs: tuple[str, ...]
    """One of them is in each such credential; looked for first, since that takes no time in a long text."""


def _shape(kind: str, shape: str, *signs: str) -> SecretShape:
    return SecretShape(kind, re.compile(shape), signs)


SECRET_SHAPES = (
    _shape("an AWS access key", r"\b(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}\b", "AKIA", "ASIA", "ABIA", "ACCA"),
    _shape("a Quub API key", r"\bquub_[a-z]{1,20}_[0-9A-Za-z_-]{8,}", "quub_"),
    _shape("a Vault token", r"\bhv[sbr]\.[0-9A-Za-z_-]{8,}", "hvs.", "hvb.", "hvr."),
    _shape("a GitHub token", r"\b(?:gh[opsur]_[0-9A-Za-z]{20,}|github_pat_[0-9A-Za-z_]{20,})", "gh"),
    _shape("a GitLab token", r"\bglpat-[0-9A-Za-z_-]{16,}", "glpat-"),
    _shape("a Slack token", r"\bxox[abeoprs]-[0-9A-Za-z-]{10,}", "xox"),
    _shape("a payment key", r"\b(?:sk|rk)_(?:live|test)_[0-9A-Za-z]{10,}", "k_live_", "k_test_"),
    _shape("a Google API key", r"\bAIza[0-9A-Za-z_-]{30,}", "AIza"),
    _shape("a signed token (JWT)", r"\beyJ[0-9A-Za-z_-]{8,512}\.eyJ[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]*", ".eyJ"),
    _shape("a private key", r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY", "PRIVATE KEY"),
    _shape(
        "a password in a URL",
        r"\b[A-Za-z][A-Za-z0-9+.-]{0,20}://[^/\s:@?#]{0,200}:(?!\$\{[^{}]{0,200}\}@)[^/\s@]{1,500}@",
        "://",
    ),
)

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A character of a file, counted from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(slots=True)
class Mistakes:
    """What is wrong in all files of one load, collected so that all of it is told at once."""

    _found: dict[str, tuple[int, Place]] = field(default_factory=dict)
    _files: dict[str, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self._found)

    def begin(self, file: str) -> None:
        """From here on, mistakes of `file` stand after those of the files that were begun before."""
        self._files.setdefault(file, len(self._files))

    @property
    def places(self) -> frozenset[Place]:
        """Where there is one."""
        return frozenset(place for _, place in self._found.values())

    def add(self, place: Place, steps: Steps, text: str) -> None:
        """Note one; the same one at the same place counts once. What looks like a credential is masked."""
        path = dotted(steps)
        order = self._files.setdefault(place.file, len(self._files))
        self._found.setdefault(cleaned(f"{place}: {path}: {text}" if path else f"{place}: {text}"), (order, place))

    def add_file(self, file: str, text: str) -> None:
        """Note that a file as a whole cannot be used."""
        order = self._files.setdefault(file, len(self._files))
        self._found.setdefault(cleaned(f"{file}: {text}"), (order, Place(file, 0, 0)))

    def raise_if_any(self) -> None:
        """Raises ConfigurationError with every mistake, file by file in the order of reading, from top to bottom."""
        texts = sorted(self._found, key=lambda text: (*self._found[text], text))
        if len(texts) > MISTAKES_SHOWN:
            texts[MISTAKES_SHOWN:] = ["and more; mend these first"]
        if texts:
            raise ConfigurationError(texts)


def dotted(steps: Steps) -> str:
    """`environments.production.aws[0].account_id`; a key of other characters stands in brackets and quotes."""
    text = ""
    for step in steps[:MOST_STEPS]:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _PLAIN_KEY.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += f'["{cleaned(step[:2000])[:80]}"]'
    return text if len(steps) <= MOST_STEPS else f"{text}..."


def shown_file(path: Path) -> str:
    """The path as messages name it: relative where the file lies below the working directory."""
    absolute = Path(os.path.abspath(path))  # noqa: PTH100  resolve() would follow links, and name another file
    here = Path.cwd()
    return absolute.relative_to(here).as_posix() if absolute.is_relative_to(here) else str(absolute)


def secret_shape(text: str) -> str:
    """What kind of credential `text` holds, or nothing."""
    return next((each.kind for each in _possible(text) if each.shape.search(text)), "")


def cleaned(text: str) -> str:
    """Without what looks like a credential, and without characters that a terminal would obey."""
    for each in _possible(text):
        text = each.shape.sub("***", text)
    return _UNPRINTABLE.sub("\ufffd", text)


def _possible(text: str) -> list[SecretShape]:
    return [each for each in SECRET_SHAPES if any(sign in text for sign in each.signs)]


def shown(text: str) -> str:
    """A value in quotes, or only its length where it is long."""
    return f'"{text}"' if len(text) <= LONGEST_SHOWN else f"text of {len(text)} characters"


def listed(names: Sequence[str], last: str = "or") -> str:
    """`a, b or c`; what is beyond ten is counted."""
    if len(names) > 10:
        return f"{', '.join(names[:10])} {last} {len(names) - 10} more"
    return f" {last} ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean X?` where a known name is near, else nothing."""
    names = list(known)
    begun = [each for each in names if len(name) >= 3 and each.startswith(name)]
    close = begun[:1] or difflib.get_close_matches(name[:200], names, n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""
