"""JSON Schemas of the files, for editors and other readers; made of the models that read them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import BaseModel

SCHEMA_NAMES = ("checklist", "environments", "waivers", "attestations", "result")

DIALECT = "https://json-schema.org/draft/2020-12/schema"

VARIABLE = {
    "title": "Variable",
    "description": "`${NAME}`, or `${NAME:-default}`, of the process environment",
    "type": "string",
    "pattern": r"\$\{",
}


def json_schema(name: str) -> dict[str, Any]:
    """The schema of one of `SCHEMA_NAMES`, draft 2020-12. Raises KeyError for another name."""
    schema = {
        "checklist": _checklist,
        "environments": _environments,
        "waivers": _waivers,
        "attestations": _attestations,
        "result": _result,
    }[name]()
    head = {"$schema": DIALECT, "$id": f"quub-audit/{name}.json", "title": f"quub-audit: {name}"}
    return head | {key: at for key, at in schema.items() if key != "title"}


def _checklist() -> dict[str, Any]:
    from quub_audit.config.checklist import ChecklistDocument

    return _written(ChecklistDocument)


def _environments() -> dict[str, Any]:
    from quub_audit.config.targets import EnvironmentsDocument

    schema = _rewritten(_written(EnvironmentsDocument), _or_variable)
    schema["$defs"]["Variable"] = VARIABLE
    return schema


def _waivers() -> dict[str, Any]:
    from quub_audit.config.dispensations import WaiversDocument

    return _written(WaiversDocument)


def _attestations() -> dict[str, Any]:
    from quub_audit.config.dispensations import AttestationsDocument

    return _written(AttestationsDocument)


def _result() -> dict[str, Any]:
    from pydantic import TypeAdapter

    from quub_audit.model.result import Result

    schema = TypeAdapter(Result).json_schema(mode="serialization")
    return {"description": Result.__doc__, **schema}  # older versions of pydantic leave out what a dataclass says


def _written(model: type[BaseModel]) -> dict[str, Any]:
    return _rewritten(model.model_json_schema(), _plainer)


def _plainer(schema: dict[str, Any]) -> dict[str, Any]:
    """Without defaults that only mean absence; keys that fit no pattern are refused."""
    if "patternProperties" in schema:
        pattern = "|".join(schema["patternProperties"])
        schema["additionalProperties"] = False
        schema["propertyNames"] = {**schema.get("propertyNames", {}), "pattern": pattern}
    return {key: at for key, at in schema.items() if key != "default" or at not in ("", [], {}, None)}


def _or_variable(schema: dict[str, Any]) -> dict[str, Any]:
    """A form that no variable has, or a variable."""
    if schema.get("type") not in ("string", "boolean") or _takes_variables(schema):
        return schema
    around: dict[str, Any] = {
        key: schema.pop(key) for key in ("title", "description", "default", "examples") if key in schema
    }
    return {**around, "anyOf": [schema, {"$ref": "#/$defs/Variable"}]}


def _takes_variables(schema: dict[str, Any]) -> bool:
    is_text = schema["type"] == "string" and "enum" not in schema and "const" not in schema
    return is_text and re.search(str(schema.get("pattern", "")), "${NAME}") is not None


def _rewritten(schema: dict[str, Any], rewrite: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    """The schema with each subschema for values rewritten, the innermost first."""
    below: dict[str, Any] = dict(schema)
    for key in ("properties", "patternProperties", "$defs"):
        if key in below:
            below[key] = {name: _rewritten(each, rewrite) for name, each in below[key].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(below.get(key), dict):
            below[key] = _rewritten(below[key], rewrite)
    if "anyOf" in below:
        below["anyOf"] = [_rewritten(each, rewrite) for each in below["anyOf"]]
    return rewrite(below)
