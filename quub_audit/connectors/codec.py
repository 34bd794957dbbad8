"""Facts as JSON and back, for the evidence bundle and its digest. Exact: `decode(encode(x)) == x`."""

from __future__ import annotations

import base64
import dataclasses
import importlib
from collections.abc import Mapping
from datetime import date, datetime
from enum import Enum
from typing import Any

from quub_audit.errors import Malformed

_TAG = "!"
_HOMES = (
    "quub_audit.facts.artifacts",
    "quub_audit.facts.code",
    "quub_audit.facts.dependencies",
    "quub_audit.facts.hosting",
    "quub_audit.facts.http",
    "quub_audit.facts.identity",
    "quub_audit.facts.logs",
    "quub_audit.facts.prometheus",
    "quub_audit.facts.redis",
    "quub_audit.facts.seal",
    "quub_audit.facts.telemetry",
    "quub_audit.facts.tls",
    "quub_audit.facts.vault",
    "quub_audit.facts.web",
    "quub_audit.facts.websocket",
    "quub_audit.model.dispensation",
    "quub_audit.model.finding",
    "quub_audit.model.environment",
    "quub_audit.errors",
)
"""Modules whose dataclasses, enums and errors may stand in a bundle; a bundle names no other code."""


def encode(value: Any) -> Any:
    """JSON values that `decode` turns back into `value`. Raises TypeError for what is no fact."""
    if value is None or isinstance(value, bool | int | float) or type(value) is str:
        return value
    if isinstance(value, Enum):
        return {_TAG: f"enum {type(value).__name__}", "value": value.value}
    if isinstance(value, datetime | date):
        return {_TAG: type(value).__name__, "value": value.isoformat()}
    if isinstance(value, bytes):
        return {_TAG: "bytes", "value": base64.b64encode(value).decode()}
    if isinstance(value, tuple):
        return {_TAG: "tuple", "value": [encode(part) for part in value]}
    if isinstance(value, list):
        return [encode(part) for part in value]
    if isinstance(value, Mapping):
        return {_TAG: "map", "value": [[encode(key), encode(part)] for key, part in value.items()]}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {_TAG: type(value).__name__, "value": fields}
    raise TypeError(
        f"{type(value).__name__} is no fact; expected JSON values, dates, bytes and the facts of this package"
    )


def decode(value: Any) -> Any:
    """The inverse of `encode`. Raises Malformed for anything that `encode` does not make."""
    if isinstance(value, list):
        return [decode(part) for part in value]
    if not isinstance(value, dict):
        return value
    try:
        return _decode_tagged(value[_TAG], value["value"])
    except Malformed:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Malformed(f"the evidence bundle holds a value that cannot be read: {error!r}") from error


def _decode_tagged(tag: str, value: Any) -> Any:
    match tag:
        case "datetime":
            return datetime.fromisoformat(value)
        case "date":
            return date.fromisoformat(value)
        case "bytes":
            return base64.b64decode(value, validate=True)
        case "tuple":
            return tuple(decode(part) for part in value)
        case "map":
            return {decode(key): decode(part) for key, part in value}
        case _ if tag.startswith("enum "):
            return known(tag.removeprefix("enum "))(value)
        case _:
            return known(tag)(**{name: decode(part) for name, part in value.items()})


def known(name: str) -> Any:
    """The fact class (or error class) of that name. Raises Malformed when there is none."""
    for home in _HOMES:
        found = vars(importlib.import_module(home)).get(name)
        if isinstance(found, type) and found.__module__ == home:
            return found
    raise Malformed(f"the evidence bundle names {name!r}, which is no kind of fact")
