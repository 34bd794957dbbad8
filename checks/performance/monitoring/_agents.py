"""Agents and SDKs of monitoring in a repository: depended on, loaded, switched."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from quub_audit.sdk import CodeFile, Location, Match, Pattern, Repositories, Repository

LARGEST_BYTES = 256 * 1024
MOST_FILES = 500

MANIFESTS = ("package.json", "requirements*.txt", "pyproject.toml")
STARTUP = (
    "package.json",
    "Dockerfile*",
    "*.Dockerfile",
    "Procfile",
    "*.yml",
    "*.yaml",
    "*.sh",
    "*.tf",
    "*.env",
    ".env*",
)
"""Where a service is told how to start, in gitignore syntax."""

_ASIDE = re.compile(
    r"(^|[/._-])(test|tests|dev|development|local|ci|example|sample|staging|\.github|\.gitlab-ci)([/._-]|$)"
)
"""Files that do not say how production starts."""

_JS = ("javascript", "typescript", "tsx")
_REQUIREMENT = re.compile(r"^\s*[\"']?([A-Za-z0-9][A-Za-z0-9._-]*)", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """One package that does nothing until it is loaded."""

    package: str
    """As manifests name it."""
    module: str
    """As code imports it."""
    launchers: tuple[str, ...] = ()
    """Commands that load it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file that was read."""

    path: str
    text: str

    def first_line(self, pattern: re.Pattern[str]) -> int | None:
        """The line of the first match, counted from 1."""
        found = pattern.search(self.text)
        return self.text.count("\n", 0, found.start()) + 1 if found else None


def depended_on(repository: Repository, repositories: Repositories, agents: Iterable[Agent]) -> tuple[Agent, ...]:
    """Those of `agents` that a manifest names for production."""
    named: set[str] = set()
    for file in read(repository, repositories, MANIFESTS):
        named.update(packages_in(file))
    return tuple(agent for agent in agents if agent.package in named)


def packages_in(file: File) -> frozenset[str]:
    """What a manifest depends on in production; nothing where it cannot be read."""
    if not file.path.endswith("package.json"):
        return frozenset(_REQUIREMENT.findall(file.text))
    try:
        document = json.loads(file.text)
    except (ValueError, RecursionError):
        return frozenset()
    found = document.get("dependencies") if isinstance(document, dict) else None
    return frozenset(found) if isinstance(found, dict) else frozenset()


def startup_files(repository: Repository, repositories: Repositories) -> tuple[File, ...]:
    """Files that say how production starts."""
    return tuple(read(repository, repositories, STARTUP))


def read(repository: Repository, repositories: Repositories, globs: tuple[str, ...]) -> Iterator[File]:
    """Texts of files of a modest size, at most 500."""
    found = [file for file in repositories.files(repository, globs=globs) if _is_read(file)]
    for file in found[:MOST_FILES]:
        yield File(path=file.path, text=repositories.read(repository, file.path).text)


def _is_read(file: CodeFile) -> bool:
    return not file.is_binary and file.size_bytes <= LARGEST_BYTES and not _ASIDE.search(file.path.lower())


def import_patterns(modules: Iterable[str]) -> tuple[Pattern, ...]:
    """Imports of any of the modules, or of something below them."""
    names = "|".join(re.escape(module) for module in modules)
    in_quotes = json.dumps(f"[\"'`](node:)?({names})(/[^\"'`]*)?[\"'`]")
    by_name = json.dumps(f"(import|from)[ ]+({names})([. ,]|$)")
    python = f"{{any: [{{kind: import_statement}}, {{kind: import_from_statement}}], regex: {by_name}}}"
    return (
        Pattern(name="import", languages=_JS, rule=f"{{kind: import_statement, regex: {in_quotes}}}"),  # type: ignore[arg-type]
        Pattern(name="import", languages=_JS, rule=f"{{pattern: require($M), regex: {in_quotes}}}"),  # type: ignore[arg-type]
        Pattern(name="import", languages=("python",), rule=python),
    )


def names_module(text: str, modules: Iterable[str]) -> bool:
    """Whether the text of an import names one of the modules, or something below it."""
    names = "|".join(re.escape(module) for module in modules)
    quoted = rf"[\"'`](node:)?({names})(/[^\"'`]*)?[\"'`]"
    return bool(re.search(rf"{quoted}|(import|from)\s+({names})([.\s,]|$)", text))


def is_started(agent: Agent, startup: Iterable[File]) -> bool:
    """Whether a command or an option of the runtime loads it before the service."""
    by_option = re.compile(rf"(-r|--require|--import)[ =\"',]+{re.escape(agent.module)}\b")
    return any(
        by_option.search(file.text) or any(launcher in file.text for launcher in agent.launchers) for file in startup
    )


def loads_first(agent: Agent, imports: Sequence[Match], instrumented: Iterable[str]) -> tuple[bool, Location | None]:
    """Whether some file imports the agent before every instrumented library, and where it comes too late."""
    libraries = tuple(instrumented)
    by_file: dict[str, list[Match]] = {}
    for match in imports:
        by_file.setdefault(match.location.file, []).append(match)
    late: Location | None = None
    for matches in by_file.values():
        own = [match for match in matches if names_module(match.text, [agent.module])]
        if not own:
            continue
        line = min(match.location.line or 0 for match in own)
        others = [match for match in matches if names_module(match.text, libraries)]
        if all((match.location.line or 0) >= line for match in others):
            return True, None
        late = late or own[0].location
    return False, late


def switched_off(files: Iterable[File], switches: Mapping[str, re.Pattern[str]]) -> Iterator[tuple[str, Location]]:
    """What a setting turns off, and where."""
    for file in files:
        for what, pattern in switches.items():
            line = file.first_line(pattern)
            if line is not None:
                yield what, Location(file=file.path, line=line)
