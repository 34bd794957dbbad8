"""JSON Schemas of the files, for editors and other readers; made of the models that read them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

SCHEMA_NAMES = ("checklist", "environments", "waivers", "attestations", "result")

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_VARIABLE = {
    "type": "string",
    "pattern": r"\$\{",
    "title": "Variable",
    "description": "`${NAME}` or `${NAME:-default}`",
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
    return {"$schema": DIALECT, "$id": f"quub-audit/{name}.json"} | schema | {"title": f"quub-audit: {name}"}


def _checklist() -> dict[str, Any]:
    from quub_audit.config.checklist import ChecklistDocument

    return ChecklistDocument.model_json_schema()


def _environments() -> dict[str, Any]:
    from quub_audit.config.environments import EnvironmentsDocument

    schema: dict[str, Any] = _rewritten(EnvironmentsDocument.model_json_schema(), _or_variable)
    return schema


def _waivers() -> dict[str, Any]:
    from quub_audit.config.dispensations import WaiversDocument

    return WaiversDocument.model_json_schema()


def _attestations() -> dict[str, Any]:
    from quub_audit.config.dispensations import AttestationsDocument

    return AttestationsDocument.model_json_schema()


def _result() -> dict[str, Any]:
    from pydantic import TypeAdapter

    from quub_audit.model.result import Result

    return TypeAdapter(Result).json_schema(mode="serialization")


def _rewritten(schema: Any, rewrite: Callable[[dict[str, Any]], dict[str, Any]], *, is_key: bool = False) -> Any:
    """The schema with every subschema rewritten, the innermost first; those of keys are left alone."""
    if isinstance(schema, list):
        return [_rewritten(each, rewrite) for each in schema]
    if not isinstance(schema, dict) or is_key:
        return schema
    below = {key: _rewritten_below(key, at, rewrite) for key, at in schema.items()}
    return rewrite(below)


def _rewritten_below(key: str, at: Any, rewrite: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    if key in ("properties", "$defs"):
        return {name: _rewritten(each, rewrite) for name, each in at.items()}
    if key in ("items", "additionalProperties", "anyOf") and at is not False and at is not True:
        return _rewritten(at, rewrite)
    return at


def _or_variable(schema: dict[str, Any]) -> dict[str, Any]:
    """A form that a variable cannot have, or a variable."""
    is_open = schema.get("type") == "string" and not {"pattern", "enum", "const"} & schema.keys()
    is_token = str(schema.get("pattern", "")).startswith(r"^\$")
    if schema.get("type") not in ("string", "boolean") or is_open or is_token:
        return schema
    around: dict[str, Any] = {
        key: schema.pop(key) for key in ("title", "description", "default", "examples") if key in schema
    }
    return {"anyOf": [schema, _VARIABLE], **around}
