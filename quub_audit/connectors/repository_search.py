"""Structural search: patterns in ast-grep's rule language over the service's own code.

Searches of one repository that are asked for at about the same time share one pass over its files, by ast-grep's own
command: see `quub_audit.connectors.repository_grep`. ast-grep's library finds the same in this process, more slowly: it
is for repositories of few files, and for files that the command would read otherwise, see `_is_plain`. A file with
errors of syntax is searched where it parsed; it is told as unreadable when more than `MAX_ERROR_SHARE` of it did not.
"""

from __future__ import annotations

import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, TypeVar, get_args

import yaml

from quub_audit.connectors.base import DEADLINE, QUESTION_TIMEOUT_S, Deadline, seconds_left
from quub_audit.connectors.children import POLL_S, Children
from quub_audit.connectors.repository_files import (
    BYTE_ORDER_MARKS,
    MAX_TEXT_BYTES,
    Inside,
    Listed,
    Tree,
    decode,
    read_bytes,
)
from quub_audit.connectors.repository_grep import (
    METAVARIABLE,
    SEARCH_TIMEOUT_S,
    Found,
    Grep,
    Rule,
    Seen,
    batches,
    metavariables,
)
from quub_audit.errors import Malformed, Reportable, TimedOut
from quub_audit.facts.code import Language, Match, Pattern, Search
from quub_audit.facts.seal import Redactor, entropy_bits, kind_of
from quub_audit.model.environment import Repository
from quub_audit.model.finding import Location

if TYPE_CHECKING:
    from ast_grep_py import SgNode

T = TypeVar("T")

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

MAX_MATCHES = 100_000
"""Of one search, five for each file of a large repository; a search that reaches it says so as unreadable."""

MAX_ERROR_SHARE = 0.5
"""Share of a file's characters below nodes that did not parse, from which on the file counts as unreadable."""

MAX_LINE_BYTES = 20_000
"""Longest line that ast-grep's command is given: it prints the whole line with each match."""

MAX_STRUCK_CHARACTERS = 8 * MAX_CAPTURE_CHARACTERS
"""Of a match, how much is looked at for secrets: the part that is told, and what a secret at its end may reach into."""

FEW_FILES = 10
"""So many are searched by the library before the command has even started."""

GATHER_S = 0.05
"""How long a pass waits for others who want to search the same repository."""

_RULE_KEYS = frozenset(
    {
        *("pattern", "kind", "regex", "nthChild", "range"),
        *("inside", "has", "precedes", "follows", "stopBy", "field"),
        *("all", "any", "not", "matches"),
        *("context", "selector", "strictness"),
    }
)


@dataclass(slots=True, eq=False)
class _Request:
    """One search that somebody waits for."""

    repository: Repository
    patterns: tuple[Pattern, ...]
    is_production_only: bool
    deadline: Deadline
    is_answered: threading.Event = field(default_factory=threading.Event)
    answer: Search | Reportable = field(default_factory=lambda: Malformed("the search ended without an answer"))

    def wants(self, file: _File) -> bool:
        """Whether a file is asked about."""
        is_asked = any(file.language in pattern.languages for pattern in self.patterns)
        return is_asked and (file.is_production or not self.is_production_only)


@dataclass(frozen=True, slots=True)
class _File:
    """A file that a pass is about."""

    listed: Listed
    language: Language
    is_production: bool


class _Latest(Deadline):
    """The last of several deadlines."""

    def __init__(self, deadlines: Sequence[Deadline]) -> None:
        self._deadlines = tuple(deadlines)

    def seconds_left(self) -> float:
        return max(deadline.seconds_left() for deadline in self._deadlines)


class Searcher:
    """Searches for whoever asks, from any thread; a pass over a repository answers all that wait for one.

    `program` stands in for ast-grep's own command. Nothing is started before the first question.
    """

    def __init__(
        self, children: Children, redactor: Redactor, *, program: str = "", max_matches: int = MAX_MATCHES
    ) -> None:
        self._children = children
        self._redactor = redactor
        self._program = program
        self._max_matches = max_matches
        self._waiting: dict[Tree, list[_Request]] = {}
        self._lock = threading.Lock()

    def search(
        self, repository: Repository, tree: Tree, patterns: Sequence[Pattern], *, is_production_only: bool
    ) -> Search:
        """Every match of every pattern. Raises ValueError for a rule that is none, Malformed, TimedOut, Unsupported."""
        for pattern in patterns:
            check_rule(pattern)
        deadline = DEADLINE.get() or Deadline(SEARCH_TIMEOUT_S)
        request = _Request(repository, tuple(patterns), is_production_only, deadline)
        if _has_few_files(tree):
            alone = _Pass(tree, (request,), self._redactor, self._max_matches)
            alone.search_here()
            return alone.answer(request)
        with self._lock:
            is_first = tree not in self._waiting
            self._waiting.setdefault(tree, []).append(request)
        if is_first:
            threading.Thread(target=self._work, args=(tree,), name="search", daemon=True).start()
        while not request.is_answered.wait(timeout=min(POLL_S, max(0.0, deadline.seconds_left()))):
            if deadline.seconds_left() <= 0:
                raise TimedOut(f"{repository}: the search was not done in time", next_step="raise --check-timeout")
        if isinstance(request.answer, Reportable):
            raise request.answer
        return request.answer

    def _work(self, tree: Tree) -> None:
        """Answer until nobody waits any more."""
        time.sleep(GATHER_S)
        requests: Sequence[_Request] = ()
        try:
            while requests := self._take(tree):
                self._answer(tree, requests)
        finally:
            if requests:  # a bug: who came meanwhile is told so too
                with self._lock:
                    late = self._waiting.pop(tree)
                for request in late:
                    request.is_answered.set()

    def _take(self, tree: Tree) -> Sequence[_Request]:
        """All that wait. An empty answer ends the thread."""
        with self._lock:
            requests = self._waiting[tree]
            if requests:
                self._waiting[tree] = []
            else:
                del self._waiting[tree]
            return requests

    def _answer(self, tree: Tree, requests: Sequence[_Request]) -> None:
        """Answer each request. One with a rule that ast-grep refuses spoils all: then each is tried by itself."""
        token = DEADLINE.set(_Latest([request.deadline for request in requests]))
        try:
            going = _Pass(tree, requests, self._redactor, self._max_matches)
            going.search(self._children, self._program)
            for request in requests:
                request.answer = going.answer(request)
        except Malformed as error:
            if len(requests) > 1:
                for request in requests:
                    self._answer(tree, [request])
            else:
                requests[0].answer = error
        except Reportable as error:
            for request in requests:
                request.answer = error
        finally:
            DEADLINE.reset(token)
            for request in requests:
                request.is_answered.set()


class _Pass:
    """One pass over the files of a tree, for all rules of some requests."""

    def __init__(self, tree: Tree, requests: Sequence[_Request], redactor: Redactor, max_matches: int) -> None:
        self._tree = tree
        self._inside = Inside(tree.root)
        self._label = str(requests[0].repository)
        self._redactor = redactor
        self._max_matches = max_matches
        rules = (
            Rule(language, pattern.rule)
            for request in requests
            for pattern in request.patterns
            for language in pattern.languages
        )
        self._rules = tuple(dict.fromkeys(rules))
        found = (
            _File(listed, language, not is_not_production(listed.file.path))
            for listed in tree.own()
            if (language := language_of(listed.file.path))
        )
        self._files = {file.listed.name: file for file in found if any(request.wants(file) for request in requests)}
        self._found: dict[Rule, list[tuple[str, Found]]] = defaultdict(list)
        self._unreadable: dict[str, str] = {}
        self._odd: list[_File] = []

    def search_here(self) -> None:
        """Look at each file in this process. Raises TimedOut."""
        for file in self._files.values():
            self._search_here(file)

    def search(self, children: Children, program: str) -> None:
        """Look at each file by ast-grep's command. Raises Malformed, TimedOut, Unsupported."""
        label = f"{self._label}: the search"
        with closing(Grep(children, self._rules, self._tree.root, label, program=program)) as grep:
            read = _one_ahead(batches(self._plain_files()))
            for names, runs in _one_ahead((names, grep.run(names)) for names in read):
                self._take(names, grep.read(runs))
        for file in self._odd:
            self._search_here(file)

    def _take(self, names: Sequence[str], seen: Mapping[str, Seen]) -> None:
        for name in names:
            file = self._files[name]
            if name not in seen:  # it has changed since we looked at it
                self._odd.append(file)
            elif seen[name].failure:
                self._unreadable[name] = seen[name].failure
            else:
                self._keep(file, seen[name].found)
                if not seen[name].is_sound:
                    self._look_for_errors(file)
        self._cut()

    def answer(self, request: _Request) -> Search:
        """What one of the requests asked for."""
        wanted = {name: file.listed.file.path for name, file in self._files.items() if request.wants(file)}
        matches = [
            Match(
                pattern=pattern.name,
                location=Location(file=wanted[name], line=found.line, column=found.column),
                language=language,
                text=found.text,
                captures=found.captures,
            )
            for pattern in request.patterns
            for language in pattern.languages
            for name, found in self._found.get(Rule(language, pattern.rule), ())
            if name in wanted
        ]
        matches.sort(key=_place)
        unreadable = [(path, self._unreadable[name]) for name, path in wanted.items() if name in self._unreadable]
        searched = len(wanted) - len(unreadable)
        if len(matches) >= self._max_matches:
            del matches[self._max_matches :]
            last = matches[-1].location.file
            unreadable.append((last, f"the search ended here, at {self._max_matches} matches"))
        return Search(matches=tuple(matches), files_searched=searched, unreadable=tuple(unreadable))

    def _plain_files(self) -> Iterator[tuple[str, int]]:
        """Names and bytes of files that the command reads as we would; the others are put aside."""
        for name, file in self._files.items():
            content = self._read(file)
            if content is None:
                continue
            if _is_plain(file.listed, content):
                yield name, len(content)
            else:
                self._odd.append(file)

    def _read(self, file: _File) -> bytes | None:
        """The content of one file. None for what cannot be read, with the reason, and for what is empty."""
        seconds_left(QUESTION_TIMEOUT_S)
        size = file.listed.file.size_bytes
        path = file.listed.file.path
        if size > MAX_TEXT_BYTES:
            limit = f"at most {MAX_TEXT_BYTES / 1e6:.1f} MB are parsed"
            self._unreadable[file.listed.name] = f"too large: {size / 1e6:.1f} MB, {limit}"
            return None
        label = f"{self._label}:{path}"
        try:
            content = read_bytes(self._tree.root, file.listed, MAX_TEXT_BYTES, label, inside=self._inside)
            decode(content, label)
        except Reportable as error:
            self._unreadable[file.listed.name] = error.message.removeprefix(f"{label} ")
            return None
        return content or None

    def _search_here(self, file: _File) -> None:
        content = self._read(file)
        if content is not None:
            rules = [rule for rule in self._rules if rule.language == file.language]
            self._keep(file, search_text(decode(content, ""), file.language, rules))
            self._look_for_errors(file)

    def _look_for_errors(self, file: _File) -> None:
        content = self._read(file)
        if content is not None and error_share(decode(content, ""), file.language) > MAX_ERROR_SHARE:
            self._unreadable[file.listed.name] = "most of it is no valid syntax"

    def _keep(self, file: _File, found: Iterable[tuple[Rule, Found]]) -> None:
        for rule, each in found:
            self._found[rule].append((file.listed.name, _struck(each, self._redactor)))

    def _cut(self) -> None:
        """Keep of each rule no more than any search tells."""
        for places in self._found.values():
            if len(places) > self._max_matches:
                places.sort(key=lambda place: self._files[place[0]].listed.file.path)
                del places[self._max_matches :]


def _one_ahead(items: Iterator[T]) -> Iterator[T]:
    """The items; the next is found in another thread while one is being used."""
    coming = _Coming(items)
    try:
        while coming.wait():
            item = coming.item
            coming = _Coming(items)
            yield item
    finally:
        coming.thread.join()


class _Coming(Generic[T]):
    """The next of some items, which is being found in a thread with the deadline of this one."""

    item: T

    def __init__(self, items: Iterator[T]) -> None:
        self._items = items
        self._is_over = False
        self._error: Reportable = Malformed("the search ended without an answer")
        self.thread = threading.Thread(target=copy_context().run, args=(self._find,), name="search", daemon=True)
        self.thread.start()

    def _find(self) -> None:
        try:
            self.item = next(self._items)
        except StopIteration:
            self._is_over = True
        except Reportable as error:
            self._error = error

    def wait(self) -> bool:
        """Whether there is one. Raises what went wrong."""
        self.thread.join()
        if not self._is_over and not hasattr(self, "item"):
            raise self._error
        return not self._is_over


def _has_few_files(tree: Tree) -> bool:
    code = (listed for listed in tree.own() if language_of(listed.file.path))
    return len(list(islice(code, FEW_FILES + 1))) <= FEW_FILES


def _is_plain(listed: Listed, content: bytes) -> bool:
    """Whether ast-grep's command reads a file just as we do.

    It knows only small letters at the end of a name, prints no name that is not UTF-8, passes over what a comment tells
    it to ignore and over what is not UTF-8, and prints whole lines.
    """
    return (
        listed.name.isprintable()
        and listed.name.endswith(tuple(SUFFIXES))
        and b"ast-grep-ignore" not in content
        and not content.startswith(tuple(BYTE_ORDER_MARKS))
        and (len(content) <= MAX_LINE_BYTES or max(map(len, content.split(b"\n"))) <= MAX_LINE_BYTES)
        and _is_utf8(content)
    )


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def search_text(text: str, language: Language, rules: Sequence[Rule]) -> Iterator[tuple[Rule, Found]]:
    """Matches of rules for one language, found by ast-grep's library. Raises TimedOut."""
    from ast_grep_py import SgRoot

    root = SgRoot(text, language).root()
    holds = _holds(text)
    for rule in rules:
        if holds(words_of(rule.text)):  # the library compiles a rule anew each time, at more than the search itself
            for node in root.find_all(**_as_object(rule.text)):
                seconds_left(QUESTION_TIMEOUT_S)  # calls within calls by the thousand take a minute
                yield rule, _as_found(node, rule)


def error_share(text: str, language: Language) -> float:
    """The share of a text's characters that did not parse."""
    from ast_grep_py import SgRoot

    errors = SgRoot(text, language).root().find_all(kind="ERROR")
    return sum(_length(error) for error in errors if not _is_below_error(error)) / len(text)


@lru_cache(maxsize=1024)
def _as_object(rule: str) -> Mapping[str, Any]:
    return yaml.safe_load(rule)  # type: ignore[no-any-return]


def _is_below_error(node: SgNode) -> bool:
    return any(parent.kind() == "ERROR" for parent in node.ancestors())


def _length(node: SgNode) -> int:
    place = node.range()
    return place.end.index - place.start.index


def _as_found(node: SgNode, rule: Rule) -> Found:
    start = node.range().start
    return Found(start.line + 1, start.column + 1, node.text(), tuple(_captures(node, rule.text)))


def language_of(path: str) -> Language | None:
    """The language of a file, by its name."""
    suffix = path[path.rfind(".") :].lower() if "." in path.rpartition("/")[2] else ""
    found = SUFFIXES.get(suffix, ())
    return found[0] if found else None


def is_not_production(path: str) -> bool:
    """Whether a file is a test, an example, a fixture, a story, a benchmark or documentation, by its path."""
    return bool(NOT_PRODUCTION.search(path) or _JAVA_TEST.search(path))


@lru_cache(maxsize=1024)
def check_rule(pattern: Pattern) -> None:
    """Raises ValueError, naming the pattern, for a pattern that has no rule of ast-grep's."""
    from ast_grep_py import SgRoot

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
    if not _names_kinds(rule):
        raise ValueError(f"the rule of the pattern {pattern.name} fits nodes of any kind: give it a kind or a pattern")
    for language in pattern.languages:
        try:
            SgRoot("", language).root().find(**rule)
        except Exception as error:  # ast-grep raises this very class for some rules, its subclasses for others
            reason = " ".join(str(error).partition("Stack backtrace")[0].split())
            raise ValueError(f"the rule of the pattern {pattern.name} is refused: {reason}") from error


def _names_kinds(rule: object) -> bool:
    """Whether a rule says of what kind a node must be; ast-grep's command refuses others, the library does not."""
    if not isinstance(rule, dict):
        return True  # none at all: told by the library
    every, some = rule.get("all"), rule.get("any")
    return (
        "kind" in rule
        or ("pattern" in rule and not METAVARIABLE.fullmatch(str(rule["pattern"])))
        or (isinstance(every, list) and any(map(_names_kinds, every)))
        or ("any" in rule and (not isinstance(some, list) or all(map(_names_kinds, some))))
    )


def _keys(rule: object) -> Iterator[object]:
    if isinstance(rule, dict):
        for key, value in rule.items():
            yield key
            if key not in ("nthChild", "range"):
                yield from _keys(value)
    elif isinstance(rule, list):
        for part in rule:
            yield from _keys(part)


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
            words = _both(words, (frozenset(_NAME.findall(METAVARIABLE.sub(" ", value))),))
        elif key == "any" and isinstance(value, list) and value:
            words = _both(words, tuple(each for part in value for each in _words_of(part)))
        elif key == "all" and isinstance(value, list):
            for part in value:
                words = _both(words, _words_of(part))
    return words


def _both(one: Words, other: Words) -> Words:
    """Either alone says less than both; where they would be too many, the first is enough."""
    return one if len(one) * len(other) > MAX_WORD_SETS else tuple(a | b for a in one for b in other)


_NAME = re.compile(r"[A-Za-z_]\w{3,}", re.ASCII)


def _captures(node: SgNode, rule: str) -> Iterator[tuple[str, str]]:
    for name, is_many in metavariables(rule):
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


def _place(match: Match) -> tuple[str, int, int, str]:
    place = match.location
    return place.file, place.line or 0, place.column or 0, match.pattern


_NAMED = re.compile(r"(?i)key|secret|token|pass|credential")
_NAMED_LITERAL = re.compile(
    r"""(?i)[\w.$-]*(?:api[_-]?key|secret|token|passw(?:or)?d|passphrase|private[_-]?key|credential)[\w$-]*["'\]]{0,2}"""
    r"""\s*(?:\|\||\?\?|[:=,]|\?:)=?\s*(?:default\s*=\s*)?["'`](?P<value>[^\s"'`]{8,})["'`]"""
)


def _struck(found: Found, redactor: Redactor) -> Found:
    """The match without secrets: those that are known, and literals that are given to something named like one."""
    text = found.text[:MAX_STRUCK_CHARACTERS]
    for literal in _NAMED_LITERAL.finditer(text) if _NAMED.search(text) else ():
        value = literal["value"]
        if kind_of(value) == "text" and entropy_bits(value) >= 3.0 and any(c.isdigit() for c in value):
            redactor.add(value)

    def clean(text: str) -> str:
        return redactor.clean(text[:MAX_STRUCK_CHARACTERS])[:MAX_CAPTURE_CHARACTERS]

    return found._replace(text=clean(text), captures=tuple((name, clean(each)) for name, each in found.captures))
