"""Which files of a repository are the service's code, and which of them a report speaks of."""

from __future__ import annotations

import re
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import Field

from quub_audit.sdk import (
    Artifact,
    Artifacts,
    CodeFile,
    Environment,
    Freshness,
    Parameters,
    Pattern,
    Purpose,
    Repositories,
    Repository,
    TestCase,
)

SUFFIXES = frozenset(
    {
        *("js", "jsx", "mjs", "cjs", "ts", "tsx", "mts", "cts", "vue", "svelte"),
        *("py", "go", "java", "kt", "scala", "cs", "rb", "php", "rs"),
    }
)
"""Of files whose coverage tools measure."""

MANIFESTS = (
    "package.json",
    "pyproject.toml",
    "setup.py",
    "go.mod",
    "pom.xml",
    "build.gradle",
    "build.gradle.kts",
    "Cargo.toml",
    "composer.json",
    "*.csproj",
)
"""A folder that holds one is a package of its own."""

MAX_READ = 200
"""Files that no report speaks of and that are read to see how much they hold."""

MAX_READ_BYTES = 512 * 1024
"""Of one of them."""

BYTES_A_LINE = 40
"""Of the rest, by which their lines are taken from their size."""


class CodeParameters(Parameters):
    """What all items on coverage take."""

    max_age_days: float = Field(default=7, gt=0)
    """Days that reports may be old. House rule: as old as a release is young."""

    exclude: tuple[str, ...] = (
        ".*",
        "*.config.*",
        "*.conf.*",
        "gulpfile.*",
        "Gruntfile.*",
        "setup.py",
        "noxfile.py",
        "manage.py",
        "migrations/",
        "alembic/",
        "scripts/",
        "package-info.java",
        "module-info.java",
    )
    """Globs of code that need not be covered, in gitignore syntax; generated code never has to be. House rule."""

    @property
    def fresh(self) -> Freshness:
        """Of the audited commit, and no older."""
        return Freshness(max_age_days=self.max_age_days)


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """The files of one repository."""

    repository: Repository
    all: tuple[str, ...]
    """Every path, tests among them."""
    sources: Mapping[str, CodeFile]
    """What has to be covered, by path."""
    tests: frozenset[str]
    """Code that does not run in production."""
    packages: tuple[str, ...]
    """Folders with a manifest, the longest path first; `` is the root."""

    def package_of(self, path: str) -> str:
        """The folder of the package that a file belongs to."""
        return package_of(path, self.packages)


def package_of(path: str, packages: Sequence[str]) -> str:
    """The first of `packages`, the longest path first, that a file is in; `` is the root."""
    return next((each for each in packages if path.startswith(f"{each}/")), "")


def code_of(repository: Repository, repositories: Repositories, exclude: tuple[str, ...]) -> Code:
    """Raises as `Repositories`."""
    files = repositories.files(repository)
    excluded = {file.path for file in repositories.files(repository, globs=exclude)} if exclude else set()
    manifests = repositories.files(repository, globs=MANIFESTS)
    return Code(
        repository=repository,
        all=tuple(file.path for file in files),
        sources={file.path: file for file in files if is_source(file) and file.path not in excluded},
        tests=frozenset(file.path for file in files if not file.is_production and _is_code(file)),
        packages=tuple(
            sorted({file.path.rpartition("/")[0] for file in manifests if file.is_production}, key=len, reverse=True)
        ),
    )


def is_source(file: CodeFile) -> bool:
    """Whether it is code that runs in production, in a language whose coverage is measured."""
    return file.is_production and _is_code(file)


def _is_code(file: CodeFile) -> bool:
    # Declarations for TypeScript's compiler hold nothing that runs.
    declares = re.search(r"\.d\.[cm]?ts$", file.path)
    return not file.is_binary and not declares and file.path.rpartition(".")[2] in SUFFIXES


def repository_named(name: str, environment: Environment) -> Repository | None:
    """The repository of that name, the first one for no name; None where the environment declares none."""
    return next((each for each in environment.repositories if name in ("", each.name)), None)


def artifacts_about(repository: Repository, purpose: Purpose, environment: Environment) -> tuple[Artifact, ...]:
    """The declared artifacts of that purpose that are about the repository, in the order of the file."""
    return tuple(
        each
        for each in environment.artifacts
        if each.purpose == purpose and repository_named(each.repository, environment) == repository
    )


def unit_tests_of(
    repository: Repository, environment: Environment, artifacts: Artifacts, fresh: Freshness
) -> tuple[TestCase, ...] | None:
    """Every case of the unit tests of the repository; None where none are declared. Raises as `Artifacts`."""
    declared = artifacts_about(repository, "unit-tests", environment)
    if not declared:
        return None
    reports = (report for each in declared for report in artifacts.tests(each, fresh=fresh))
    return tuple(case for report in reports for case in report.cases)


def located(paths: Iterable[str], report: str, code: Sequence[str]) -> dict[str, str]:
    """The paths of a report that are files of the repository, by path of the report.

    A report names files from the root of the machine, of the repository, of a package or of a source folder; its files
    are taken to be named alike. Where several files fit equally well, the one beside the report (`report` is its place)
    counts, and else none.
    """
    by_end: defaultdict[str, list[str]] = defaultdict(list)
    for file in code:
        for end in _ends(file):
            by_end[end].append(file)
    known = frozenset(code)
    fitting = {
        path: [(file[: -len(path)], file) for file in by_end[path]]
        + [("", end) for end in _ends(path)[1:] if end in known]
        for path in paths
    }
    votes = Counter(folder for found in fitting.values() for folder, _ in found)
    chosen: dict[str, str] = {}
    for path, found in fitting.items():
        ranked = sorted(
            ((votes[folder], _beside(folder, report), min(len(file), len(path)), file) for folder, file in found),
            reverse=True,
        )
        if ranked and (len(ranked) == 1 or ranked[0][:3] > ranked[1][:3]):
            chosen[path] = ranked[0][3]
    return chosen


def _ends(path: str) -> list[str]:
    """The path, and what is left of it without its first folder, its first two, and so on."""
    steps = path.split("/")
    return ["/".join(steps[at:]) for at in range(len(steps))]


def _beside(folder: str, report: str) -> int:
    """How many folders of `folder`, from its first, the place of the report has as well."""
    steps = folder.strip("/").split("/") if folder else []
    shared = [at for at in range(len(steps), 0, -1) if f"/{'/'.join(steps[:at])}/" in f"/{report}"]
    return max(shared, default=0)


LEFT_OUT = Pattern(
    name="left out",
    languages=("javascript", "typescript", "tsx", "python"),
    rule=r"""
kind: comment
regex: "(istanbul|c8|v8) ignore|pragma: no (cover|branch)"
""",
)
"""Comments that keep code out of coverage."""


def lines_unseen(code: Code, paths: Sequence[str], repositories: Repositories) -> dict[str, int]:
    """About how many lines the files hold that could run, the largest ones read. Raises as `Repositories`."""
    largest = sorted(paths, key=lambda path: (-code.sources[path].size_bytes, path))
    readable = [path for path in largest if code.sources[path].size_bytes <= MAX_READ_BYTES][:MAX_READ]
    found = {path: code.sources[path].size_bytes // BYTES_A_LINE for path in largest}
    return found | {path: code_lines(path, repositories.read(code.repository, path).text) for path in readable}


_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*|^[ \t]*#[^\n]*", re.DOTALL | re.MULTILINE)
_IMPORT = re.compile(
    r"^[ \t]*(?:import[ \t]*\([^)]{0,20000}\)"
    r"|(?:import|package|using|use)\b[^;\n{]*(?:\{[^}]{0,5000}\})?[^;\n]*"
    r"|export[ \t]*(?:\*|(?:type[ \t]*)?\{[^}]{0,5000}\})[^;\n]*)",
    re.MULTILINE,
)
_SHAPE = re.compile(
    r"^[ \t]*(?:(?:export|declare|public|private|protected|sealed|static)[ \t]+)*"
    r"(?:@?interface\b[^{;]{0,500}\{"
    r"|type[ \t]+\w+[^={;\n]{0,200}(?:=[ \t]*|\b(?:struct|interface)[ \t]*)\{"
    r"|type[ \t]+\w[^=;{\n]{0,200}=[^{;]{0,5000};)",
    re.MULTILINE,
)


_LAYOUT = frozenset({tokenize.NL, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER})


def code_lines(path: str, text: str) -> int:
    """About how many lines of a file could run: none of comments, imports, types and brackets."""
    if path.endswith(".py"):
        try:
            return _lines_of_python(text)
        except (SyntaxError, tokenize.TokenError):
            pass
    text = _without_shapes(_IMPORT.sub("", _COMMENT.sub("", text)))
    return sum(bool(re.search(r"\w", line)) for line in text.splitlines())


def _lines_of_python(text: str) -> int:
    """Statements that are more than a string, which documents."""
    lines, statement = 0, set[int]()
    source = (f"{line}\n" for line in text.split("\n"))
    for token in tokenize.generate_tokens(lambda: next(source, "")):
        if token.type == tokenize.NEWLINE:
            lines += bool(statement - {tokenize.STRING})
            statement.clear()
        elif token.type not in _LAYOUT:
            statement.add(token.type)
    return lines


def _without_shapes(text: str) -> str:
    """Without interfaces and types, which exist for the compiler alone."""
    kept, at = [], 0
    for found in _SHAPE.finditer(text):
        if found.start() < at:
            continue
        kept.append(text[at : found.start()])
        at = found.end()
        depth = int(found[0].endswith("{"))
        while depth and at < len(text):
            depth += {"{": 1, "}": -1}.get(text[at], 0)
            at += 1
    return "".join((*kept, text[at:]))
