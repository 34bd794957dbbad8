"""Variables of the process environment in environments.yaml, and credentials that must not stand in a file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from quub_audit.config.mistakes import Mistakes, Naming, Place, Steps, secret_shape
from quub_audit.config.tree import Expanded, File, Listing, Node, Scalar, Table, scalars

REFERENCE = r"\$\{[A-Za-z_][A-Za-z0-9_]*\}"
"""One `${NAME}`, without a default."""

_VARIABLE = re.compile(r"\$\$\{|\$\{(?P<inside>[^{}]*)\}|\$\{")
_INSIDE = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>.*))?", re.DOTALL)
_UNREADABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_FORMS = "expected ${NAME} or ${NAME:-default}"


@dataclass(slots=True, kw_only=True)
class Variables:
    """Puts the values of variables into a tree.

    A variable that is not set, or empty, and has no default is a mistake; where `is_lenient`, its text stays as it
    is written, marked, and its name is kept in `unset`.
    """

    environ: Mapping[str, str]
    mistakes: Mistakes
    is_lenient: bool = False
    unset: set[str] = field(default_factory=set)

    def expand(self, node: Node, steps: Steps = ()) -> Node:
        """The same tree with every variable replaced; keys are left alone, since a key is no place for a variable."""
        match node:
            case Scalar(value=str() as text) if "${" in text:
                return replace(node, value=self._text(text, node.place, steps))
            case Scalar():
                return node
            case Listing():
                entries = tuple(self.expand(entry, (*steps, index)) for index, entry in enumerate(node.entries))
                return replace(node, entries=entries)
            case Table():
                return replace(node, entries={key: self.expand(at, (*steps, key)) for key, at in node.entries.items()})

    def _text(self, text: str, place: Place, steps: Steps) -> Expanded:
        is_unset = False

        def value_of(match: re.Match[str]) -> str:
            nonlocal is_unset
            if match.group() == "$${":
                return "${"
            value = self._value(match, place, steps)
            is_unset |= value is None
            return match.group() if value is None else value

        expanded = Expanded(_VARIABLE.sub(value_of, text))
        expanded.is_unset = is_unset
        expanded.is_reference = re.fullmatch(REFERENCE, text) is not None
        return expanded

    def _value(self, match: re.Match[str], place: Place, steps: Steps) -> str | None:
        inside = _INSIDE.fullmatch(match["inside"] or "")
        if inside is None:
            self.mistakes.add(place, steps, f"a variable that cannot be read, {_FORMS}, or $${{ for the characters")
            return None
        name = inside["name"]
        value = self.environ.get(name) or inside["default"]
        if value is None:
            self.unset.add(name)
            if not self.is_lenient:
                self.mistakes.add(place, steps, f"the variable {name} is not set or empty, expected a value")
        elif _UNREADABLE.search(value):
            self.mistakes.add(place, steps, f"the variable {name} holds a control character, expected one line of text")
            return None
        return value


def refuse_secrets(file: File, mistakes: Mistakes, *, called: Naming = tuple) -> None:
    """Note every value, key and comment that looks like a credential; its kind is told, and never the text."""
    lines = set()
    for steps, scalar in scalars(file.root):
        if isinstance(scalar.value, str) and (kind := secret_shape(scalar.value)):
            mistakes.add(scalar.place, called(steps), _refusal(kind))
            lines.add(scalar.place.line)
    text = file.content.decode("utf-8-sig")
    for number, line in enumerate(text.splitlines() if secret_shape(text) else (), start=1):
        kind = secret_shape(line)
        if kind and number not in lines:
            column = len(line) - len(line.lstrip()) + 1
            mistakes.add(Place(file.name, number, column), (), _refusal(kind))


def _refusal(kind: str) -> str:
    return f"{kind} stands in the file, expected ${{NAME}}, with the value in the process environment; replace the key"
