"""A tree against a pydantic model: a value of the model, or mistakes with their places.

What was expected is read from the model's JSON Schema, so that editors and messages say the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from quub_audit.config.mistakes import MISTAKES_SHOWN, Mistakes, Naming, Place, Steps, listed, nearest, shown
from quub_audit.config.tree import Expanded, Listing, Node, Scalar, Table, Unclear, plain

M = TypeVar("M", bound=BaseModel)

Schema = Mapping[str, Any]

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
    schema = _schema_of(model)
    known = mistakes.places
    problems = error.errors(include_url=False, include_input=False)
    for problem in problems[: 2 * MISTAKES_SHOWN]:
        context = problem.get("ctx", {})
        spot = Spot(node, schema)
        for step in (*problem["loc"], *context.get("path", ())):
            spot.step(step)
        if problem["type"] == "too_short" and _is_above_another(problem["loc"], problems):
            continue  # pydantic does not count entries that have a mistake
        if isinstance(spot.node, Scalar) and spot.place in known:
            continue  # an unset variable, a credential: what else is wrong with the value tells nothing more
        place = spot.key_place if problem["type"] == "extra_forbidden" else spot.place
        mistakes.add(place, called(spot.steps), spot.explain(problem["type"], problem["msg"], context))


@cache
def _schema_of(model: type[BaseModel]) -> Schema:
    return model.model_json_schema()


def _is_above_another(location: Steps, problems: Sequence[ErrorDetails]) -> bool:
    depth = len(location)
    return any(other["loc"][:depth] == location and len(other["loc"]) > depth for other in problems)


class Spot:
    """A value and its schema, reached step by step; the last known value stays when a step leads nowhere."""

    def __init__(self, node: Node, schema: Schema) -> None:
        self._definitions: Mapping[str, Schema] = schema.get("$defs", {})
        self.node: Node | None = node
        self.place = node.place
        self.steps: Steps = ()
        self._schema: Schema = schema
        self._parent: Schema = schema
        self._keys: Mapping[str, Place] = {}

    @property
    def key_place(self) -> Place:
        """Where the key stands whose value this is; the value's own place in a list."""
        step = self.steps[-1] if self.steps else 0
        return self._keys.get(step, self.place) if isinstance(step, str) else self.place

    def step(self, step: str | int) -> None:
        """Go on to a key or position. An index into what the file has as a single mapping stays where it is."""
        if step == "[key]":
            self._name_key()
            return
        self._parent = self._schema
        self._schema = self._below(step)
        if isinstance(step, int) and not isinstance(self.node, Listing):
            return
        self.steps = (*self.steps, step)
        if isinstance(self.node, Table) and isinstance(step, str) and step in self.node.entries:
            self._keys = self.node.keys
            self.place, self.node = self.node.keys[step], self.node.entries[step]
            if isinstance(self.node, Scalar):
                self.place = self.node.place
        elif isinstance(self.node, Listing) and isinstance(step, int) and step < len(self.node.entries):
            self.node = self.node.entries[step]
            self.place = self.node.place
        else:
            self.node = None

    def _name_key(self) -> None:
        """Speak of the key instead of its value."""
        key = str(self.steps[-1]) if self.steps else ""
        self.place = self._keys.get(key, self.place)
        self.node = Scalar(place=self.place, value=key)
        names = (each["propertyNames"] for each in self._variants(self._parent) if "propertyNames" in each)
        self._schema = next(names, {})

    def explain(self, kind: str, message: str, context: Mapping[str, Any]) -> str:
        """What is wrong here, and what was expected."""
        if kind == CONTRADICTION:
            return str(context["text"])
        if kind == "literal_secret" and isinstance(self.node, Scalar) and self.node.value is not None:
            return f"a {context['what']} that stands in the file, expected {self._expected(self._schema)}"
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
            others = [each.get("additionalProperties"), *each.get("patternProperties", {}).values()]
            other = next((other for other in others if isinstance(other, Mapping)), None)
            if isinstance(step, str) and other is not None:
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
                return "a mapping" if self.node.entries else "an empty mapping"
            case Listing():
                is_list_wanted = any(each.get("type") == "array" for each in self._variants(self._schema))
                count = len(self.node.entries)
                return ("an empty list" if not count else f"a list of {count}") if is_list_wanted else "a list"
            case Scalar(value=None):
                return "nothing"
            case Scalar(value=Unclear(text=text)):
                return (
                    f"{shown(text)[1:-1] if len(text) <= 32 else 'a number'}, which YAML readers understand differently"
                )
            case Scalar(value=Expanded(is_unset=True)):
                return "a variable that is not set"
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
        expected = f"{listed(phrases) or 'something else'}{self._length(schema)}"
        is_number = isinstance(self.node, Scalar) and isinstance(self.node.value, int | float | Unclear)
        takes_text = any(each.get("type") == "string" and "format" not in each for each in self._variants(schema))
        takes_number = any(each.get("type") in ("integer", "number") for each in self._variants(schema))
        if is_number and takes_text and not takes_number and "quotes" not in expected:
            return f"{expected}: put it in quotes"
        return expected

    def _length(self, schema: Schema) -> str:
        """How long a text may be, where it is too long or too short."""
        if not (isinstance(self.node, Scalar) and isinstance(self.node.value, str)):
            return ""
        count = len(self.node.value)
        for each in self._variants(schema):
            if count > each.get("maxLength", count):
                return f", at most {each['maxLength']} characters"
            if count < each.get("minLength", 0):
                return f", at least {each['minLength']} characters"
        return ""

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
                return f"a list{self._of_what(schema)}"
            case "object":
                return "a mapping" if not schema.get("minProperties") else "at least one entry"
        return ""

    def _of_what(self, schema: Schema) -> str:
        kinds = {"object": "mappings", "string": "texts", "integer": "whole numbers"}
        items = self._variants(schema.get("items", {}))
        named = [f" of {kinds[each['type']]}" for each in items if each.get("type") in kinds]
        least, most = schema.get("minItems"), schema.get("maxItems")
        bounds = [f", at least {'one' if least == 1 else least}"] if least else []
        return "".join([*named[:1], *bounds, *([f", at most {most}"] if most is not None else [])])

    def _near(self) -> str:
        if not (isinstance(self.node, Scalar) and isinstance(self.node.value, str)):
            return ""
        choices = [str(choice) for each in self._variants(self._schema) for choice in each.get("enum", ())]
        return nearest(self.node.value, choices)


def _bounds(schema: Schema) -> str:
    if "minimum" in schema and "maximum" in schema:
        return f" from {schema['minimum']} to {schema['maximum']}"
    words = {
        "minimum": "at least",
        "exclusiveMinimum": "more than",
        "maximum": "at most",
        "exclusiveMaximum": "less than",
    }
    bounds = [f"{word} {schema[key]}" for key, word in words.items() if key in schema]
    return f" of {' and '.join(bounds)}" if bounds else ""


def place_of(node: Node, *steps: str | int) -> Place:
    """Where the value stands that `steps` lead to: the key for a mapping or list below a key, else the value itself."""
    spot = Spot(node, {})
    for step in steps:
        spot.step(step)
    return spot.place
