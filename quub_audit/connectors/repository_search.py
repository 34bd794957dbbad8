"""Structural search: patterns in ast-grep's rule language over the service's own code.

A file is parsed once per language, whatever the number of patterns, and only when its text holds the names that one of
them spells out; trees are kept for the next search of the run up to `CACHED_BYTES` of source. A file with errors of
syntax is searched where it parsed; it is told as unreadable when more than `MAX_ERROR_SHARE` of it did not. ast-grep
holds the interpreter's lock while it parses, so that threads would gain nothing.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, get_args

import yaml

from quub_audit.connectors.base import QUESTION_TIMEOUT_S, seconds_left
from quub_audit.connectors.repository_files import MAX_TEXT_BYTES, Listed, Tree, decode, read_bytes
from quub_audit.errors import Reportable
from quub_audit.facts.code import Language, Match, Pattern, Search
from quub_audit.facts.seal import Redactor, entropy_bits, kind_of
from quub_audit.model.environment import Repository
from quub_audit.model.finding import Location

if TYPE_CHECKING:
    from ast_grep_py import SgNode, SgRoot

SUFFIXES: Mapping[str, tuple[Language, ...]] = {
    ".js": ("javascript",),
    ".mjs": ("javascript",),
    ".cjs": ("javascript",),
    ".jsx": ("javascript",),
    ".ts": ("typescript",),
    ".mts": ("typescript",),
    ".cts": ("typescript",),
    ".tsx": ("tsx",),
    ".py": ("python",),
    ".go": ("go",),
    ".java": ("java",),
}
"""Languages by the end of a file's name, case ignored."""

NOT_PRODUCTION = re.compile(
    r"(?i)(^|/)(tests?|__tests__|specs?|e2e|cypress|playwright|fixtures?|__fixtures__|testdata|mocks?|__mocks__"
    r"|examples?|samples?|demos?|docs?|documentation|stories|\.storybook|bench(mark)?s?|__snapshots__)/"
    r"|(^|/)(test_[^/]*|[^/]*_test|conftest)\.py$"
    r"|_test\.go$"
    r"|(^|/)[^/]*\.(test|tests|spec|e2e|stories|story|mock|fixture|bench)\.[^/]+$"
)
"""Paths of tests, examples, fixtures, stories, benchmarks and documentation."""

_JAVA_TEST = re.compile(r"(Tests?|TestCase|(?<=[a-z])IT)\.java$")

MAX_CAPTURE_CHARACTERS = 2000

MAX_MATCHES = 20_000
"""More matches than any reader or report could bear; a search that reaches it says so as unreadable."""

MAX_ERROR_SHARE = 0.5
"""Share of a file's characters below nodes that did not parse, from which on the file counts as unreadable."""

CACHED_BYTES = 4 * 1024 * 1024
"""Source whose trees are kept for the next search; a tree takes some 35 times the memory of its source."""

_RULE_KEYS = frozenset(
    {
        *("pattern", "kind", "regex", "nthChild", "range"),
        *("inside", "has", "precedes", "follows", "stopBy", "field"),
        *("all", "any", "not", "matches"),
        *("context", "selector", "strictness"),
    }
)


@dataclass(frozen=True, slots=True)
class _Parsed:
    root: SgRoot
    is_broken: bool


class Parser:
    """Parses source and keeps trees for the next search of the run. Thread-safe."""

    def __init__(self, *, max_bytes: int = CACHED_BYTES) -> None:
        self._kept: dict[tuple[str, str, int, int], _Parsed] = {}
        self._bytes_left = max_bytes
        self._lock = threading.Lock()

    def parse(
        self, tree: Tree, listed: Listed, language: Language, label: str, *, is_worth_it: Callable[[str], bool]
    ) -> _Parsed | None:
        """The tree of one file, read anew when the file has changed; None when its text is not worth to be parsed.

        Raises Absent, Denied, Malformed.
        """
        path = tree.root / listed.name
        try:
            about = path.lstat()
            key = (str(path), language, about.st_size, about.st_mtime_ns)
        except OSError:
            key = (str(path), language, -1, -1)
        kept = self._kept.get(key)
        if kept is not None:
            return kept
        text = decode(read_bytes(tree.root, listed, MAX_TEXT_BYTES, label), label)
        if not is_worth_it(text):
            return None
        parsed = _parse(text, language)
        with self._lock:
            # Searches go through the files in one order, so that giving up the oldest would give up all of them.
            if len(text) <= self._bytes_left and key not in self._kept:
                self._bytes_left -= len(text)
                self._kept[key] = parsed
        return parsed


def search_tree(
    repository: Repository,
    tree: Tree,
    patterns: Sequence[Pattern],
    *,
    is_production_only: bool,
    parser: Parser,
    redactor: Redactor,
) -> Search:
    """Every match of every pattern. Raises ValueError for a rule that is none, TimedOut."""
    rules = {pattern: compile_rule(pattern) for pattern in patterns}
    matches: list[Match] = []
    unreadable: list[tuple[str, str]] = []
    searched = 0
    for listed in tree.own():
        path = listed.file.path
        language = language_of(path)
        asked = [pattern for pattern in patterns if language in pattern.languages]
        if language is None or not asked or (is_production_only and is_not_production(path)):
            continue
        seconds_left(QUESTION_TIMEOUT_S)
        reason = _too_large(tree, listed)
        if not reason:
            try:
                found, reason = _search_file(repository, tree, listed, language, asked, rules, parser)
            except Reportable as error:
                found, reason = [], error.message.removeprefix(f"{repository}:{path} ")
            searched += not reason
            matches.extend(found[: MAX_MATCHES - len(matches)])
        if reason:
            unreadable.append((path, reason))
        if len(matches) >= MAX_MATCHES:
            unreadable.append((path, f"the search ended here, at {MAX_MATCHES} matches"))
            break
    struck = [_struck(match, redactor) for match in matches]
    return Search(matches=tuple(sorted(struck, key=_place)), files_searched=searched, unreadable=tuple(unreadable))


def language_of(path: str) -> Language | None:
    """The language of a file, by its name."""
    suffix = path[path.rfind(".") :].lower() if "." in path.rpartition("/")[2] else ""
    found = SUFFIXES.get(suffix, ())
    return found[0] if found else None


def is_not_production(path: str) -> bool:
    """Whether a file is a test, an example, a fixture, a story, a benchmark or documentation, by its path."""
    return bool(NOT_PRODUCTION.search(path) or _JAVA_TEST.search(path))


@lru_cache(maxsize=256)
def compile_rule(pattern: Pattern) -> Mapping[str, Any]:
    """The rule object of a pattern. Raises ValueError, naming the pattern, for anything else."""
    unknown = set(pattern.languages) - set(get_args(Language))
    if unknown or not pattern.languages:
        raise ValueError(f"the pattern {pattern.name} is for {', '.join(sorted(unknown)) or 'no language'}")
    try:
        rule = yaml.safe_load(pattern.rule)
    except yaml.YAMLError as error:
        raise ValueError(f"the rule of the pattern {pattern.name} is no YAML: {error}") from error
    if not isinstance(rule, dict) or not rule:
        raise ValueError(f"the rule of the pattern {pattern.name} is no rule object")
    wrong = sorted(str(key) for key in _keys(rule) if key not in _RULE_KEYS)
    if wrong:
        raise ValueError(f"the rule of the pattern {pattern.name} has unknown keys: {', '.join(wrong)}")
    for language in pattern.languages:
        list(_find(_parse("", language).root.root(), pattern, rule))
    return rule


def _keys(rule: object) -> Iterator[object]:
    if isinstance(rule, dict):
        for key, value in rule.items():
            yield key
            if key not in ("nthChild", "range"):
                yield from _keys(value)
    elif isinstance(rule, list):
        for part in rule:
            yield from _keys(part)


def _parse(text: str, language: Language) -> _Parsed:
    from ast_grep_py import SgRoot

    root = SgRoot(text, language)
    node = root.root()
    if node.kind() == "ERROR":
        return _Parsed(root, is_broken=True)
    broken = sum(_length(error) for error in node.find_all(kind="ERROR") if not _is_below_error(error))
    return _Parsed(root, is_broken=broken > MAX_ERROR_SHARE * max(1, len(text)))


def _is_below_error(node: SgNode) -> bool:
    return any(parent.kind() == "ERROR" for parent in node.ancestors())


def _length(node: SgNode) -> int:
    place = node.range()
    return place.end.index - place.start.index


def _find(node: SgNode, pattern: Pattern, rule: Mapping[str, Any]) -> Iterable[SgNode]:
    try:
        return node.find_all(**rule)
    except Exception as error:  # ast-grep raises this very class for some rules, its subclasses for others
        reason = " ".join(str(error).partition("Stack backtrace")[0].split())
        raise ValueError(f"the rule of the pattern {pattern.name} is refused: {reason}") from error


def _search_file(
    repository: Repository,
    tree: Tree,
    listed: Listed,
    language: Language,
    patterns: Sequence[Pattern],
    rules: Mapping[Pattern, Mapping[str, Any]],
    parser: Parser,
) -> tuple[list[Match], str]:
    """Matches in one file, and why it counts as unreadable, if it does."""
    path = listed.file.path
    needs = [words_of(pattern.rule) for pattern in patterns]
    parsed = parser.parse(
        tree, listed, language, f"{repository}:{path}", is_worth_it=lambda text: any(map(_holds(text), needs))
    )
    if parsed is None:
        return [], ""
    root = parsed.root.root()
    holds = _holds(root.text())
    found = [
        _as_match(node, pattern, language, path)
        for pattern, words in zip(patterns, needs, strict=True)
        if holds(words)  # ast-grep compiles a rule anew for each file, which costs more than the search itself
        for node in _find(root, pattern, rules[pattern])
    ]
    return found, "most of it is no valid syntax" if parsed.is_broken else ""


Words = tuple[frozenset[str], ...]
"""Sets of words of which a text must hold one set as a whole, or nothing in it can match."""

ANY_TEXT: Words = (frozenset(),)

MAX_WORD_SETS = 64


def _holds(text: str) -> Callable[[Words], bool]:
    return lambda words: any(all(word in text for word in each) for each in words)


@lru_cache(maxsize=256)
def words_of(rule: str) -> Words:
    """What the text of a file must hold for `rule` to match: the names that its patterns spell out."""
    return _words_of(yaml.safe_load(rule))


def _words_of(rule: object) -> Words:
    if not isinstance(rule, dict):
        return ANY_TEXT
    words = ANY_TEXT
    for key, value in rule.items():
        if key == "pattern" and isinstance(value, str):
            words = _both(words, (frozenset(_NAME.findall(_METAVARIABLE.sub(" ", value))),))
        elif key == "any" and isinstance(value, list) and value:
            words = _both(words, tuple(each for part in value for each in _words_of(part)))
        elif key == "all" and isinstance(value, list):
            for part in value:
                words = _both(words, _words_of(part))
    return words


def _both(one: Words, other: Words) -> Words:
    """Either alone says less than both; where they would be too many, the first is enough."""
    return one if len(one) * len(other) > MAX_WORD_SETS else tuple(a | b for a in one for b in other)


def _as_match(node: SgNode, pattern: Pattern, language: Language, path: str) -> Match:
    start = node.range().start
    return Match(
        pattern=pattern.name,
        location=Location(file=path, line=start.line + 1, column=start.column + 1),
        language=language,
        text=node.text(),
        captures=tuple(_captures(node, pattern.rule)),
    )


_METAVARIABLE = re.compile(r"\$(\$\$)?([A-Z_][A-Z0-9_]*)")
_NAME = re.compile(r"[A-Za-z_]\w{3,}", re.ASCII)


@lru_cache(maxsize=256)
def _metavariables(rule: str) -> tuple[tuple[str, bool], ...]:
    """Names that a rule captures, and whether each stands for several nodes, in the order of the rule."""
    captured = ((name, bool(many)) for many, name in _METAVARIABLE.findall(rule) if not name.startswith("_"))
    return tuple(dict.fromkeys(captured))


def _captures(node: SgNode, rule: str) -> Iterator[tuple[str, str]]:
    for name, is_many in _metavariables(rule):
        if is_many:
            several = node.get_multiple_matches(name)
            if several:
                source = node.text()
                offset = node.range().start.index
                text = source[several[0].range().start.index - offset : several[-1].range().end.index - offset]
                yield name, text
        else:
            one = node.get_match(name)
            if one is not None:
                yield name, one.text()


def _too_large(tree: Tree, listed: Listed) -> str:
    size = listed.file.size_bytes
    if size <= MAX_TEXT_BYTES:
        return ""
    return f"too large: {size / 1e6:.1f} MB, at most {MAX_TEXT_BYTES / 1e6:.1f} MB are parsed"


def _place(match: Match) -> tuple[str, int, int, str]:
    place = match.location
    return place.file, place.line or 0, place.column or 0, match.pattern


_NAMED_LITERAL = re.compile(
    r"""(?i)[\w.$-]*(?:api[_-]?key|secret|token|passw(?:or)?d|passphrase|private[_-]?key|credential)[\w$-]*["'\]]{0,2}"""
    r"""\s*(?:\|\||\?\?|[:=,]|\?:)=?\s*(?:default\s*=\s*)?["'`](?P<value>[^\s"'`]{8,})["'`]"""
)


def _struck(match: Match, redactor: Redactor) -> Match:
    """The match without secrets: those that are known, and literals that are given to something named like one."""
    for found in _NAMED_LITERAL.finditer(match.text):
        value = found["value"]
        if kind_of(value) == "text" and entropy_bits(value) >= 3.0 and any(c.isdigit() for c in value):
            redactor.add(value)
    return replace(
        match,
        text=redactor.clean(match.text)[:MAX_CAPTURE_CHARACTERS],
        captures=tuple((name, redactor.clean(text)[:MAX_CAPTURE_CHARACTERS]) for name, text in match.captures),
    )
