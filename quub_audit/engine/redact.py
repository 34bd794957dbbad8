"""Strikes every known secret from a whole document, whatever its shape."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from quub_audit.facts.seal import Redactor

T = TypeVar("T")


def redact(value: T, redactor: Redactor) -> T:
    """A copy of `value` (dataclasses, tuples, lists, mappings, texts) in which no known secret stands."""
    return cast("T", _redact(value, redactor))


def _redact(value: Any, redactor: Redactor) -> Any:
    if isinstance(value, str) and type(value) is str:
        return redactor.clean(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        before = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        after = {name: _redact(part, redactor) for name, part in before.items()}
        changed = {name: part for name, part in after.items() if part is not before[name]}
        return dataclasses.replace(value, **changed) if changed else value
    if isinstance(value, tuple | list):
        parts = [_redact(part, redactor) for part in value]
        is_same = all(new is old for new, old in zip(parts, value, strict=True))
        return value if is_same else type(value)(parts)
    if isinstance(value, Mapping):
        return {_redact(key, redactor): _redact(part, redactor) for key, part in value.items()}
    return value
