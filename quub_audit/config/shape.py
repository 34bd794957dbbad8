"""A tree against a pydantic model: a value of the model, or mistakes with their places.

What was expected is read from the model's JSON Schema, so that editors and messages say the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError

from quub_audit.config.mistakes import Mistakes, Place, Steps, listed, nearest, shown
from quub_audit.config.tree import Expanded, Listing, Node, Scalar, Table, Unclear, plain

M = TypeVar("M", bound=BaseModel)

Schema = Mapping[str, Any]
Naming = Callable[[Steps], Steps]
"""From the way to a value in its file to the path that messages give."""

CONTRADICTION = "contradiction"


def contradiction(text: str, *path: str | int) -> PydanticCustomError:
    """For validators of a model: what is wrong and what was expected, in the value that `path` leads to."""
    return PydanticCustomError(CONTRADICTION, "{text}", {"text": text, "path": path})


def read(model: type[M], node: Node, mistakes: Mistakes, *, called: Naming = tuple) -> M | None:
    """The value; None when `mistakes` now say why there is none. `called` makes paths of messages of steps."""
    try:
        return model.model_validate(plain(node))
    except ValidationError as error:
        note(error, model, node, mistakes, called=called)
    return None


def quietly(model: type[M], node: Node) -> M | None:
    """The value, or None; for a second look at parts of what `read` has refused."""
    try:
        return model.model_validate(plain(node))
    except ValidationError:
        return None


def note(
    error: ValidationError, model: type[BaseModel], node: Node, mistakes: Mistakes, *, called: Naming = tuple
) -> None:
    """Say each problem of `error` in words, at its place below `node`."""
    schema = model.model_json_schema()
    for problem in error.errors(include_url=False, include_input=False):
        context = problem.get("ctx", {})
        spot = Spot(node, schema)
        for step in (*problem["loc"], *context.get("path", ())):
            spot.step(step)
        mistakes.add(spot.place, called(spot.steps), spot.explain(problem["type"], problem["msg"], context))


class Spot:
    """A value and its schema, reached step by step; the last known value stays when a step leads nowhere."""

    def __init__(self, node: Node, schema: Schema) -> None:
        self._definitions: Mapping[str, Schema] = schema.get("$defs", {})
        self.node: Node | None = node
        self.place = node.place
        self.steps: Steps = ()
        self._schema: Schema = schema
        self._parent: Schema = schema

    def step(self, step: str | int) -> None:
        """Go on to a key or position. An index into what the file has as a single mapping stays where it is."""
        if step == "[key]":
            return
        self._parent = self._schema
        self._schema = self._below(step)
        if isinstance(step, int) and not isinstance(self.node, Listing):
            return
        self.steps = (*self.steps, step)
        if isinstance(self.node, Table) and isinstance(step, str) and step in self.node.entries:
            self.place, self.node = self.node.keys[step], self.node.entries[step]
            if isinstance(self.node, Scalar):
                self.place = self.node.place
        elif isinstance(self.node, Listing) and isinstance(step, int) and step < len(self.node.entries):
            self.node = self.node.entries[step]
            self.place = self.node.place
        else:
            self.node = None

    def explain(self, kind: str, message: str, context: Mapping[str, Any]) -> str:
        """What is wrong here, and what was expected."""
        if kind == CONTRADICTION:
            return str(context["text"])
        if kind in ("value_error", "assertion_error"):
            return message.partition(", ")[2] or message
        if kind == "extra_forbidden":
            known = sorted(key for each in self._variants(self._parent) for key in each.get("properties", {}))
            near = nearest(str(self.steps[-1]), known)
            return f"unknown key{near}" if near else f"unknown key, expected {listed(known)}"
        return f"{self._describe()}, expected {self._expected(self._schema)}{self._near()}"

    def _below(self, step: str | int) -> Schema:
        for each in self._variants(self._schema):
            if isinstance(step, int) and each.get("type") == "array":
                prefix: Sequence[Schema] = each.get("prefixItems", ())
                below: Schema = prefix[step] if step < len(prefix) else each.get("items", {})
                return below
            if isinstance(step, str) and step in each.get("properties", {}):
                named: Schema = each["properties"][step]
                return named
            if isinstance(step, str) and isinstance(each.get("additionalProperties"), Mapping):
                other: Schema = each["additionalProperties"]
                return other
        return {}

    def _variants(self, schema: Schema) -> Iterator[Schema]:
        """The schema itself, or each of its alternatives, references followed; without the one for nothing at all."""
        if "$ref" in schema:
            yield from self._variants(self._definitions[schema["$ref"].rpartition("/")[2]])
        for each in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
            yield from self._variants(each)
        if "$ref" not in schema and schema.get("type") != "null":
            yield schema

    def _describe(self) -> str:
        match self.node:
            case None:
                return "missing"
            case Table():
                return "a mapping"
            case Listing():
                return "a list" if self.node.entries else "an empty list"
            case Scalar(value=None):
                return "nothing"
            case Scalar(value=Unclear(text=text)):
                return (
                    f"{shown(text)[1:-1] if len(text) <= 32 else 'a number'}, which YAML readers understand differently"
                )
            case Scalar(value=Expanded()):
                return "a value from the process environment that does not fit"
            case Scalar(value=str() as text):
                return f"{len(text)} digits" if len(text) > 5 and text.isdecimal() else shown(text)
            case Scalar(value=bool() as flag):
                return "true" if flag else "false"
            case Scalar(value=value):
                return f"the number {value}"

    def _expected(self, schema: Schema) -> str:
        phrases = list(dict.fromkeys(phrase for each in self._variants(schema) if (phrase := self._phrase(each))))
        expected = listed(phrases) or "something else"
        is_number = isinstance(self.node, Scalar) and isinstance(self.node.value, int | float | Unclear)
        takes_text = any(each.get("type") == "string" for each in self._variants(schema))
        takes_number = any(each.get("type") in ("integer", "number") for each in self._variants(schema))
        if is_number and takes_text and not takes_number and "quotes" not in expected:
            return f"{expected}: put it in quotes"
        return expected

    def _phrase(self, schema: Schema) -> str:
        if "patternErrorMessage" in schema:
            return str(schema["patternErrorMessage"])
        if "const" in schema:
            return str(schema["const"])
        if "enum" in schema:
            return listed([str(choice) for choice in schema["enum"]])
        match schema.get("type"):
            case "boolean":
                return "true or false"
            case "integer" | "number" as kind:
                return f"{'a whole number' if kind == 'integer' else 'a number'}{_bounds(schema)}"
            case "string":
                return "a date such as 2026-12-31" if schema.get("format") == "date" else "text"
            case "array":
                below = self._expected_item(schema)
                return f"a list{f' of {below}' if below else ''}"
            case "object":
                return "a mapping"
        return ""

    def _expected_item(self, schema: Schema) -> str:
        items = schema.get("items", {})
        kinds: dict[str, str] = {"object": "mappings", "string": "texts", "integer": "whole numbers"}
        named = [kinds[each["type"]] for each in self._variants(items) if each.get("type") in kinds]
        least = f"at least {schema['minItems']} " if schema.get("minItems") else ""
        return f"{least}{named[0]}" if named else ""

    def _near(self) -> str:
        if not (isinstance(self.node, Scalar) and isinstance(self.node.value, str)):
            return ""
        choices = [str(choice) for each in self._variants(self._schema) for choice in each.get("enum", ())]
        return nearest(self.node.value, choices)


def _bounds(schema: Schema) -> str:
    words = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}
    return "".join(f" {word} {schema[key]}" for key, word in words.items() if key in schema)


def place_of(node: Node, *steps: str | int) -> Place:
    """Where the value stands that `steps` lead to: the key for a mapping or list below a key, else the value itself."""
    spot = Spot(node, {})
    for step in steps:
        spot.step(step)
    return spot.place
