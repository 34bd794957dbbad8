"""YAML as a tree in which every value knows its place.

A small, strict part of YAML 1.2: mappings with distinct text keys, lists, and scalars that every reader understands
alike. Tags, merge keys, several documents and numbers that YAML 1.1 and 1.2 read differently are mistakes. Aliases
are allowed as long as what they expand to stays small.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

from quub_audit.config.mistakes import Mistakes, Naming, Place, Steps, shown, shown_file

MAX_BYTES = 5 * 1024 * 1024
MAX_NODES = 100_000
"""Values in one file, those behind aliases counted each time. The shipped checklist has under a thousand."""
MAX_DEPTH = 32
"""Levels of mappings and lists."""
_TOO_DEEP = f"more than {MAX_DEPTH} levels; the rest was not read"

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"(?=.*[.eE])[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_UNCLEAR_NUMBER = re.compile(r"[-+]?(0[xXoObB][0-9A-Fa-f_]+|[0-9][0-9_]*(:[0-5]?[0-9])*(\.[0-9_]*)?([eE][-+]?[0-9]+)?)")
_WORDS: Mapping[str, bool | None] = MappingProxyType(
    {"": None, "~": None}
    | dict.fromkeys(("null", "Null", "NULL"))
    | dict.fromkeys(("true", "True", "TRUE"), True)
    | dict.fromkeys(("false", "False", "FALSE"), False)
)
_UNREADABLE = re.compile("[^\x09\x0a\x0d\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Unclear:
    """An unquoted number that readers of YAML 1.1 and 1.2 take for different ones; it is a value of no type."""

    text: str


class Expanded(str):
    """Text that came, wholly or in part, from variables of the process environment."""

    is_unset = False
    """A variable without a default is not set; the text is as the file has it."""
    is_reference = False
    """The file has nothing but one `${NAME}`."""


Plain = str | int | float | bool | Unclear | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scalar:
    """A text, number, boolean or nothing."""

    place: Place
    value: Plain
    size: int = 1
    height: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A list."""

    place: Place
    entries: tuple[Node, ...]
    size: int = 1
    """Values in it, itself included, those behind aliases each time."""
    height: int = 1
    """Levels below."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A mapping, in the order of the file."""

    place: Place
    entries: Mapping[str, Node]
    keys: Mapping[str, Place]
    size: int = 1
    height: int = 1


Node = Scalar | Listing | Table


def plain(node: Node) -> Any:
    """The tree as texts, numbers, lists and dictionaries."""
    match node:
        case Scalar():
            return node.value
        case Listing():
            return [plain(entry) for entry in node.entries]
        case Table():
            return {key: plain(entry) for key, entry in node.entries.items()}


def child(node: Node | None, *steps: str | int) -> Node | None:
    """What `steps` lead to; None when there is no such thing."""
    for step in steps:
        if isinstance(node, Table) and isinstance(step, str):
            node = node.entries.get(step)
        elif isinstance(node, Listing) and isinstance(step, int) and step < len(node.entries):
            node = node.entries[step]
        else:
            return None
    return node


def children(node: Node | None) -> Iterator[tuple[str | int, Node]]:
    """The entries of a mapping or a list, each with its key or position; none for anything else."""
    if isinstance(node, Table):
        yield from node.entries.items()
    elif isinstance(node, Listing):
        yield from enumerate(node.entries)


def scalars(node: Node, steps: Steps = ()) -> Iterator[tuple[Steps, Scalar]]:
    """Every scalar value, with the way to it."""
    if isinstance(node, Scalar):
        yield steps, node
    for step, entry in children(node):
        yield from scalars(entry, (*steps, step))


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file that could be read; its root is a mapping."""

    name: str
    """As messages name it."""
    path: Path
    content: bytes
    root: Table


def read_file(path: Path, mistakes: Mistakes, *, what: str, called: Naming = tuple) -> File | None:
    """The file as a tree; None when `mistakes` now say why not. `what` names its kind: `a checklist`;
    `called` makes paths of messages of steps.

    A file in which single keys are wrong (twice there, not text) comes back without them.
    """
    name = shown_file(path)
    mistakes.begin(name)
    content = _content(path, name, mistakes, what)
    if content is None:
        return None
    text = _text(content, name, mistakes)
    if text is None:
        return None
    root = _Composer(name, mistakes, called).compose(text)
    if root is None:
        return None
    if not isinstance(root, Table):
        mistakes.add(root.place, (), f"{'an empty file' if _is_nothing(root) else 'no mapping'}, expected {what}")
        return None
    return File(name=name, path=path, content=content, root=root)


def _is_nothing(node: Node) -> bool:
    return isinstance(node, Scalar) and node.value is None


def _content(path: Path, name: str, mistakes: Mistakes, what: str) -> bytes | None:
    try:
        if path.exists() and not path.is_file():
            mistakes.add_file(name, f"not a file, expected {what}")
            return None
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        mistakes.add_file(name, f"there is no such file, expected {what}")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        mistakes.add_file(name, f"could not be read: {reason}")
    else:
        if len(content) <= MAX_BYTES:
            return content
        mistakes.add_file(name, f"larger than {MAX_BYTES // 1024**2} MiB, so it was not read")
    return None


def _text(content: bytes, name: str, mistakes: Mistakes) -> str | None:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8", "replace")
        mistakes.add(_place_after(before, name), (), f"byte 0x{content[error.start]:02x} is not UTF-8, expected UTF-8")
        return None
    unreadable = _UNREADABLE.search(text)
    if unreadable is None:
        return text
    place = _place_after(text[: unreadable.start()], name)
    mistakes.add(place, (), f"the control character U+{ord(unreadable.group()):04X}, expected text without any")
    return None


def _place_after(before: str, name: str) -> Place:
    return Place(name, before.count("\n") + 1, len(before) - before.rfind("\n"))


class _Stop(Exception):
    """The rest of the file is not read."""


@dataclass(slots=True)
class _Open:
    """A mapping or list whose end was not seen yet."""

    place: Place
    anchor: str | None
    is_table: bool
    entries: dict[str, Node] = field(default_factory=dict)
    keys: dict[str, Place] = field(default_factory=dict)
    items: list[Node] = field(default_factory=list)
    key: str | None = None
    """The key whose value comes next."""
    is_key_next: bool = True
    key_of_no_use: bool = False

    @property
    def step(self) -> str | int:
        return (self.key or "") if self.is_table else len(self.items)


class _Composer:
    """Builds the tree from the parser's events, without recursion: depth and size are bounded while reading."""

    def __init__(self, name: str, mistakes: Mistakes, called: Naming) -> None:
        self._name = name
        self._called = called
        self._mistakes = mistakes
        self._open: list[_Open] = []
        self._anchors: dict[str, Node | None] = {}
        self._size = 0
        self._root: Node | None = None
        self._documents = 0

    def compose(self, text: str) -> Node | None:
        """The root; nothing when the text cannot be read to its end."""
        import yaml

        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        try:
            for event in yaml.parse(text, Loader=loader):
                self._take(event)
        except _Stop:
            return None
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            place = Place(self._name, mark.line + 1, mark.column + 1) if mark else Place(self._name, 1, 1)
            problem = error.problem or "cannot be read"
            # libyaml 0.2.6 looks further ahead than events come, and has a limit of its own.
            told = _TOO_DEEP if "nesting" in problem else _syntax(text, place, problem)
            self._note(place, self._here(), told)
            return None
        except yaml.YAMLError:
            self._note(Place(self._name, 1, 1), (), "not YAML: cannot be read")
            return None
        return self._root or Scalar(place=Place(self._name, 1, 1), value=None)

    def _take(self, event: Any) -> None:
        import yaml

        place = Place(self._name, event.start_mark.line + 1, event.start_mark.column + 1)
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    self._stop(place, "a second document, expected one document in the file")
            case yaml.AliasEvent():
                self._add(self._aliased(event.anchor or "", place), place, is_plain=False)
            case yaml.ScalarEvent():
                self._refuse_tag(event, place)
                is_plain = event.style in (None, "")
                scalar = Scalar(place=place, value=resolve(event.value) if is_plain else event.value)
                self._remember(event.anchor, scalar)
                self._count(1, place)
                self._add(scalar, place, is_plain=is_plain, text=event.value)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._refuse_tag(event, place)
                self._remember(event.anchor, None)
                self._count(1, place)
                is_table = isinstance(event, yaml.MappingStartEvent)
                self._open.append(_Open(place=place, anchor=event.anchor, is_table=is_table))
                self._refuse_depth(len(self._open), place)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                closed = self._open.pop()
                node = _close(closed)
                self._remember(closed.anchor, node)
                self._add(node, closed.place, is_plain=False)

    def _add(self, node: Node, place: Place, *, is_plain: bool, text: str | None = None) -> None:
        if not self._open:
            self._root = node
            return
        top = self._open[-1]
        if not top.is_table:
            top.items.append(node)
        elif top.is_key_next:
            self._take_key(top, node, place, is_plain=is_plain, text=text)
            top.is_key_next = False
        else:
            if top.key is not None and not top.key_of_no_use:
                top.entries[top.key] = node
            top.key, top.is_key_next, top.key_of_no_use = None, True, False

    def _take_key(self, top: _Open, node: Node, place: Place, *, is_plain: bool, text: str | None) -> None:
        key = text if text is not None else str(node.value) if isinstance(node, Scalar) else None
        top.key_of_no_use = True
        if key is None:
            self._note(place, self._here(), "a key that is a list or a mapping, expected text")
        elif is_plain and key == "<<":
            steps = (*self._here(), key)
            self._note(place, steps, "merge keys are not supported, expected the keys themselves, written out")
        elif not key.strip():
            self._note(place, self._here(), "an empty key, expected text")
        elif key in top.keys:
            first = top.keys[key].line
            self._note(place, (*self._here(), key), f"the key is there twice, first in line {first}")
        else:
            top.key, top.key_of_no_use = key, False
            top.keys[key] = place

    def _steps(self) -> Steps:
        return tuple(opened.step for opened in self._open[:-1])

    def _aliased(self, anchor: str, place: Place) -> Node:
        if anchor not in self._anchors:
            self._stop(place, "an alias of an anchor that was not set before")
        node = self._anchors[anchor]
        if node is None:
            self._stop(place, "an alias of the value that it stands in")
        self._count(node.size, place)
        self._refuse_depth(len(self._open) + node.height, place)
        return node

    def _remember(self, anchor: str | None, node: Node | None) -> None:
        if anchor is not None:
            self._anchors[anchor] = node

    def _count(self, size: int, place: Place) -> None:
        self._size += size
        if self._size > MAX_NODES:
            self._stop(place, f"more than {MAX_NODES:,} values, those behind aliases included; the rest was not read")

    def _refuse_depth(self, depth: int, place: Place) -> None:
        if depth > MAX_DEPTH:
            self._stop(place, _TOO_DEEP)

    def _refuse_tag(self, event: Any, place: Place) -> None:
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self._note(place, self._here(), f"{shown(tag)} is a tag, expected a value without one")

    def _here(self) -> Steps:
        """The way to what is read now; a mapping whose next key is not known yet is the last step."""
        return tuple(opened.step for opened in self._open if not opened.is_table or opened.key is not None)

    def _note(self, place: Place, steps: Steps, text: str) -> None:
        self._mistakes.add(place, self._called(steps), text)

    def _stop(self, place: Place, text: str) -> NoReturn:
        self._note(place, self._here(), text)
        raise _Stop


def _close(opened: _Open) -> Node:
    below = list(opened.entries.values()) if opened.is_table else opened.items
    size = 1 + sum(node.size for node in below)
    height = 1 + max((node.height for node in below), default=0)
    if opened.is_table:
        keys = {key: opened.keys[key] for key in opened.entries}
        return Table(place=opened.place, entries=opened.entries, keys=keys, size=size, height=height)
    return Listing(place=opened.place, entries=tuple(opened.items), size=size, height=height)


def resolve(text: str) -> Plain:
    """What an unquoted scalar is: YAML 1.2's core types; dates, `yes` and `on` are text."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text) and len(text) <= 32 and "inf" not in str(float(text)):
        return float(text)
    return Unclear(text) if _UNCLEAR_NUMBER.fullmatch(text) else text


def _syntax(text: str, place: Place, problem: str) -> str:
    lines = text.splitlines()
    line = lines[place.line - 1] if place.line <= len(lines) else ""
    if "\t" in line[: place.column]:
        return "not YAML: a tab, expected spaces"
    return f"not YAML: {problem}"
