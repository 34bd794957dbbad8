"""What a repository holds: files, matches of a structural search, secrets, commits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from quub_audit.facts.seal import Fingerprint
from quub_audit.model.finding import Location

Language = Literal["javascript", "typescript", "tsx", "python", "go", "java"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The commit that is checked out."""

    commit: str
    """Full hash; empty when the folder is no git checkout or has no commit yet."""
    is_dirty: bool = False
    is_shallow: bool = False
    is_git: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeFile:
    """One file of the working tree that is neither ignored by git nor excluded by the environment."""

    path: str
    """Relative to the repository, forward slashes."""
    size_bytes: int
    is_tracked: bool
    is_binary: bool = False
    is_production: bool = True
    """No test, example, fixture, benchmark or documentation, by its path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """One question of a structural search, in ast-grep's rule language."""

    name: str
    """What a match is called in `Match.pattern`."""
    languages: tuple[Language, ...]
    rule: str
    """A rule object as YAML: `pattern: axios.create($OPTIONS)` or `any: [...]`, with metavariables."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """One place that a pattern matched."""

    pattern: str
    location: Location
    language: Language
    text: str
    """The matched code, at most 2,000 characters, secrets struck."""
    captures: tuple[tuple[str, str], ...] = ()
    """Metavariables by name without `$`, each at most 2,000 characters, secrets struck."""

    def capture(self, name: str) -> str:
        """The text of a metavariable, or an empty text."""
        return next((text for key, text in self.captures if key == name), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What a structural search found, and what it could not read."""

    matches: tuple[Match, ...]
    """By file, line and column."""
    files_searched: int
    unreadable: tuple[tuple[str, str], ...] = ()
    """Files that were left out, and why: too large, not text, syntax errors over the whole file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakedSecret:
    """A secret value that stands in a file or in the history."""

    rule: str
    """The scanner's rule id, or `quub-...` for our own."""
    description: str
    location: Location
    fingerprint: Fingerprint
    is_in_tree: bool
    """In the working tree; else only in the history."""
    is_sample: bool = False
    """A documented example, a test fixture, an allowed fingerprint: told, not judged."""
    sample_reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretScan:
    """One scan of a working tree and its history."""

    secrets: tuple[LeakedSecret, ...]
    """Each value once per file and rule: in the tree first, then the newest commit that held it."""
    files_scanned: int
    commits_scanned: int
    is_shallow: bool
    """The history is cut off: nothing can be said of it."""
    is_history_cut: bool = False
    """More commits exist than were looked at."""
    tool: str = ""
    """`betterleaks 2.0.0`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A secret-like name that configuration gives a value: `.env`, Dockerfile, Compose, Terraform, manifests."""

    name: str
    fingerprint: Fingerprint
    location: Location
    form: Literal["env", "dockerfile", "compose", "terraform", "kubernetes", "workflow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignments:
    """All secret-like names found in configuration files."""

    assignments: tuple[Assignment, ...]
    files_read: int
    unreadable: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """The content of one file."""

    path: str
    text: str
    """At most the bytes asked for, secrets struck."""
