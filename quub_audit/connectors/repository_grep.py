"""ast-grep's own command, as a process of its own: many rules over many files, on all cores.

It reads no settings of the repository, keeps nothing, and is believed only when it says that it has read every file.
docs/decisions/013-structural-search.md says why it is not the library alone.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from quub_audit.connectors.children import Children, Done, TooMuch
from quub_audit.connectors.git import plain_environ
from quub_audit.connectors.scratch import Scratch
from quub_audit.errors import Malformed, Unsupported
from quub_audit.facts.code import Language

SEARCH_TIMEOUT_S = 900.0
"""Longest time for one run where no deadline is nearer."""

MAX_NAMES_BYTES = 128 * 1024
"""Of the names of files that one run is given; Linux takes 2 MiB by default, macOS 1 MiB with the environment."""

MAX_FILES_BYTES = 8 * 1024 * 1024
"""Of the files of one run."""

MAX_OUTPUT_BYTES = 128 * 1024 * 1024
"""Of one run. A match takes some 600 bytes, and four times its text."""

MAX_MEMORY_BYTES = 2 * 1024 * 1024 * 1024
"""Calls within calls, each with its whole text, would take any memory; 50 MB is usual."""

MAX_FAILED_RUNS = 100
"""Of one search: more than a few files spoil no run, so that the program itself must be broken."""


class Rule(NamedTuple):
    """One rule for one language."""

    language: Language
    text: str
    """A rule object as YAML."""


class Found(NamedTuple):
    """One place that a rule matched, in characters from 1."""

    line: int
    column: int
    text: str
    captures: tuple[tuple[str, str], ...]
    """Metavariables by name without `$`, in the order of the rule."""


@dataclass(slots=True)
class Seen:
    """What the command found in one file."""

    found: list[tuple[Rule, Found]] = field(default_factory=list)
    is_sound: bool = False
    """Whether it begins with something usual and has no error of syntax; else it may have some."""
    failure: str = ""
    """Why the file could not be searched."""


@dataclass(frozen=True, slots=True)
class Ran:
    """One run, or a file that breaks off every run."""

    names: Sequence[str]
    done: Done | None = None
    failure: str = ""


@cache
def find_program() -> str:
    """The path of ast-grep's command. Raises Unsupported when this platform has none."""
    try:
        files = metadata.files("ast-grep-cli") or ()
        paths = [str(file.locate()) for file in files if file.name == "ast-grep"]
    except metadata.PackageNotFoundError:
        paths = []
    if not paths or not os.access(paths[0], os.X_OK):
        raise Unsupported(
            "ast-grep's command is not installed, and code cannot be searched without it",
            next_step="install ast-grep-cli; it has wheels for Linux, macOS and Windows",
        )
    return paths[0]


class Grep:
    """Searches files for `rules`. `close` removes its folder; `label` begins the messages."""

    def __init__(self, children: Children, rules: Sequence[Rule], root: Path, label: str, *, program: str = "") -> None:
        self._children = children
        self._rules = tuple(rules)
        self._root = root
        self._label = label
        self._program = program or find_program()
        self._failed_runs = 0
        self._scratch = Scratch("search")
        self._config = self._scratch.path / "sgconfig.yml"
        self._config.write_text("ruleDirs: [rules]\n", encoding="utf-8")
        folder = self._scratch.path / "rules"
        folder.mkdir()
        (folder / "rules.yml").write_text("\n---\n".join(_documents(self._rules)), encoding="utf-8")

    def close(self) -> None:
        """Remove the folder of rules."""
        self._scratch.close()

    def run(self, names: Sequence[str]) -> tuple[Ran, ...]:
        """Search the files of these names, which are relative to the root; `read` tells what was found.

        Whatever goes wrong, each half of the files is tried by itself: one that breaks the program off is told as its
        failure, and one that it does not read is left out. Raises Malformed, TimedOut, Unsupported.
        """
        try:
            return (Ran(names, self._run(names)),)
        except _Spoilt as error:
            self._failed_runs += 1
            if self._failed_runs > MAX_FAILED_RUNS:
                raise Malformed(
                    f"{error.message}, again and again",
                    next_step="look whether the files are being changed, or install ast-grep-cli anew",
                ) from error
            if len(names) == 1:
                failure = error.message.removeprefix(f"{self._label} ")
                return () if isinstance(error, _Unread) else (Ran(names, failure=failure),)
            half = len(names) // 2
            return (*self.run(names[:half]), *self.run(names[half:]))

    def read(self, runs: Iterable[Ran]) -> Mapping[str, Seen]:
        """What was found in each file, by its name. Raises Malformed."""
        seen: dict[str, Seen] = {}
        for ran in runs:
            if ran.done is None:
                seen[ran.names[0]] = Seen(failure=ran.failure)
            else:
                seen.update(read_output(ran.done, ran.names, self._rules, self._label))
        return seen

    def _run(self, names: Sequence[str]) -> Done:
        command = [
            self._program,
            "scan",
            f"--config={self._config}",
            "--json=stream",
            "--inspect=summary",
            "--",
            *names,
        ]
        try:
            done = self._children.run(
                command,
                folder=self._root,
                environ=plain_environ(),
                label=self._label,
                timeout_s=SEARCH_TIMEOUT_S,
                max_bytes=MAX_OUTPUT_BYTES,
                max_memory_bytes=MAX_MEMORY_BYTES,
            )
        except TooMuch as error:
            raise _Spoilt(f"{error.message} of matches") from error
        if done.code < 0:
            raise _Spoilt(f"{self._label} broke off with signal {-done.code}: {_said(done)}")
        if b"panicked at" in done.errors:
            raise _Spoilt(f"{self._label} broke off: {_said(done)}")
        if done.code:
            raise Malformed(f"{self._label} failed with code {done.code}: {_said(done)}")
        counted = _COUNTED.search(done.errors)
        if counted is None or counted.groups() != (str(len(names)).encode(), b"0"):
            raise _Unread(f"{self._label} did not read all files: {_said(done)}")
        return done


class _Spoilt(Malformed):
    """A run that one of its files may have spoilt."""


class _Unread(_Spoilt):
    """A run that has left out files: they are gone, or may not be read."""


def batches(files: Iterable[tuple[str, int]]) -> Iterator[list[str]]:
    """The names of files, given with their bytes, in their order: as many together as one run takes."""
    batch: list[str] = []
    names_bytes = files_bytes = 0
    for name, size in files:
        names_bytes += len(os.fsencode(name)) + 9  # its end and its address
        files_bytes += size
        if batch and (names_bytes > MAX_NAMES_BYTES or files_bytes > MAX_FILES_BYTES):
            yield batch
            batch, names_bytes, files_bytes = [], len(os.fsencode(name)) + 9, size
        batch.append(name)
    if batch:
        yield batch


def read_output(done: Done, names: Sequence[str], rules: Sequence[Rule], label: str) -> Mapping[str, Seen]:
    """What one run that ended well has told of each file. Raises Malformed for anything else."""
    from pydantic_core import from_json  # half the time of the standard library's, which is half of ours

    seen = {name: Seen() for name in names}
    line = b""
    try:
        for line in done.output.splitlines():
            match = from_json(line, cache_strings="keys")
            of_file, number = seen[match["file"]], match["ruleId"]
            if number.startswith(_SOUND):
                of_file.is_sound = True
            else:
                rule = rules[int(number)]
                of_file.found.append((rule, _found(match, rule)))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        shown = _plain(line[:80].decode("utf-8", "backslashreplace"))
        raise Malformed(f"{label} printed what is no match: {shown}") from error
    return seen


_SOUND = "sound "

_DOCSTRING = "{kind: expression_statement, has: {kind: string}}"
_SCRIPT = (
    "program",
    *("{kind: comment}", "{kind: import_statement}", "{kind: export_statement, has: {field: source, kind: string}}"),
    *(_DOCSTRING, r"{kind: lexical_declaration, regex: '^[^\n]*\brequire\('}"),
)
_TOP: Mapping[Language, tuple[str, ...]] = {
    "javascript": _SCRIPT,
    "typescript": _SCRIPT,
    "tsx": _SCRIPT,
    "python": ("module", "{kind: comment}", "{kind: import_statement}", "{kind: import_from_statement}", _DOCSTRING),
    "go": ("source_file", "{kind: comment}", "{kind: package_clause}"),
    "java": ("program", "{kind: line_comment}", "{kind: block_comment}", "{kind: package_declaration}"),
}
"""The kind of a whole file, and rules for short things that mostly stand at its top: each is printed."""

_COUNTED = re.compile(rb"^sg: summary\|file: scannedFileCount=(\d+),skippedFileCount=(\d+)", re.MULTILINE)
METAVARIABLE = re.compile(r"\$(\$\$)?([A-Z_][A-Z0-9_]*)")


def _documents(rules: Sequence[Rule]) -> Iterator[str]:
    """One rule file's documents: the rules by their numbers, and what finds the beginning of a file without errors."""
    import yaml

    for number, rule in enumerate(rules):
        yield _document(str(number), rule.language, yaml.safe_load(rule.text))
    for language in dict.fromkeys(rule.language for rule in rules):
        # A rule for the kind ERROR itself would cost a third of the search.
        root, *top = _TOP[language]
        whole = {"kind": root, "not": {"has": {"kind": "ERROR", "stopBy": "end"}}}
        first = [
            {"any": [yaml.safe_load(rule) for rule in top]},
            {"inside": {"kind": root}},
            {"nthChild": 1},
            {"inside": whole},
        ]
        yield _document(_SOUND + language, language, {"all": first})


def _document(name: str, language: Language, rule: object) -> str:
    return json.dumps({"id": name, "language": language, "severity": "hint", "rule": rule}, ensure_ascii=False)


@lru_cache(maxsize=1024)
def metavariables(rule: str) -> tuple[tuple[str, bool], ...]:
    """Names that a rule captures, and whether each stands for several nodes, in the order of the rule."""
    captured = ((name, bool(many)) for many, name in METAVARIABLE.findall(rule) if not name.startswith("_"))
    return tuple(dict.fromkeys(captured))


def _found(match: Mapping[str, Any], rule: Rule) -> Found:
    text, start = match["text"], match["range"]["start"]
    return Found(start["line"] + 1, start["column"] + 1, text, tuple(_captures(match, text, rule)))


def _captures(match: Mapping[str, Any], text: str, rule: Rule) -> Iterator[tuple[str, str]]:
    told = match.get("metaVariables")
    if told is None:
        return
    for name, is_many in metavariables(rule.text):
        if not is_many and name in told["single"]:
            yield name, told["single"][name]["text"]
        elif is_many and told["multi"].get(name):
            several = told["multi"][name]
            offset = match["range"]["byteOffset"]["start"]
            first, last = (several[at]["range"]["byteOffset"] for at in (0, -1))
            yield name, text.encode()[first["start"] - offset : last["end"] - offset].decode()


def _said(done: Done) -> str:
    """What the command complains of, without its report on files and where in its own code it happened."""
    complaint = re.split(rb"Stack backtrace|stack backtrace|note: ", done.errors)[0].decode("utf-8", "replace")
    return (
        _plain(" ".join(line for line in complaint.splitlines() if not line.startswith("sg: "))) or "nothing was said"
    )


def _plain(text: str) -> str:
    return "".join(c for c in " ".join(text.split()) if c.isprintable())[:300]
