"""result.json: the result document, written and read. DESIGN, section 4, names its keys."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import date
from enum import Enum
from functools import cache
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quub_audit.errors import ConfigurationError
from quub_audit.model.result import SCHEMA, Result
from quub_audit.model.status import ExitCode, Status

if TYPE_CHECKING:
    from pydantic import TypeAdapter

MAX_BYTES = 64 * 1024 * 1024
"""A larger file is not read: 100,000 findings need about 50 MB."""
MISTAKES_SHOWN = 20


def dump_result(result: Result) -> bytes:
    """The document as indented UTF-8 JSON: keys in the order of the model, grades and statuses by their values.

    Times are ISO 8601, ending in `Z` where they are UTC; a lone surrogate becomes U+FFFD, as JSON parsers disagree
    on it. The same result gives the same bytes. Raises ValueError for a duration that is no finite number.
    """
    from pydantic_core import PydanticSerializationError, to_json

    if not all(map(isfinite, (result.duration_s, *(item.duration_s for item in result.items)))):
        raise ValueError("a duration of the result is no finite number")
    try:
        data = to_json(result, indent=1)
    except PydanticSerializationError:  # a lone surrogate, which no UTF-8 can hold
        text = json.dumps(result, default=_plain, ensure_ascii=False, allow_nan=False, indent=1)
        data = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()
    return data + b"\n"


def load_result(source: bytes | Path) -> Result:
    """The document that `dump_result` wrote; `load_result(dump_result(result)) == result`.

    Raises ConfigurationError, each mistake with its place: not readable, over 64 MiB, not JSON, another schema, a
    missing, unknown or ill-typed key, an item twice, a time without a zone, or an exit code or a summary that
    contradicts the rest.
    """
    name = str(source) if isinstance(source, Path) else "result.json"
    data = _read(source) if isinstance(source, Path) else source
    if len(data) > MAX_BYTES:
        raise ConfigurationError([f"{name}: larger than {MAX_BYTES // 1024**2} MiB, so it was not read"])
    raw = _parse(name, data)
    result = _validate(name, data)
    known = _parse(name, dump_result(result))
    mistakes = [f"{name}: {path}: unknown key" for path in _unknown_keys(raw, known)]
    mistakes += [f"{name}: {problem}" for problem in _contradictions(result)]
    if mistakes:
        raise ConfigurationError(_first(mistakes))
    return result


def _plain(value: object) -> object:
    """One step from a value of the model to the types of JSON."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, date):
        return value.isoformat().replace("+00:00", "Z")
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    raise TypeError(f"{type(value).__name__} has no place in a result")


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigurationError([f"{path}: cannot be read: {error.strerror or error}"]) from error


def _parse(name: str, data: bytes) -> Mapping[str, Any]:
    from pydantic_core import from_json

    try:
        raw = from_json(data, allow_inf_nan=False)
    except ValueError as error:
        raise ConfigurationError([f"{name}: is no complete JSON: {error}"]) from error
    if not isinstance(raw, dict):
        raise ConfigurationError([f"{name}: a JSON {_JSON_NAME[type(raw)]}, expected the object of a result"])
    schema = raw.get("schema")
    if schema != SCHEMA:
        found = f"the schema is {schema!r}" if "schema" in raw else "no schema is named"
        raise ConfigurationError([f"{name}: schema: {found[:80]}, this version reads {SCHEMA!r}"])
    return raw


_JSON_NAME = {list: "array", str: "string", int: "number", float: "number", bool: "boolean", type(None): "null"}


@cache
def _adapter() -> TypeAdapter[Result]:
    from pydantic import TypeAdapter

    return TypeAdapter(Result)


def _validate(name: str, data: bytes) -> Result:
    from pydantic import ValidationError

    try:
        return _adapter().validate_json(data, strict=True)
    except ValidationError as error:
        mistakes = [
            f"{name}: {'.'.join(map(str, entry['loc'])) or 'document'}: {entry['msg']}"
            for entry in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        raise ConfigurationError(_first(mistakes)) from error


def _unknown_keys(raw: Any, known: Any, path: str = "") -> Iterator[str]:
    if isinstance(raw, dict) and isinstance(known, dict):
        for key, part in raw.items():
            place = f"{path}.{key}" if path else str(key)
            if key in known:
                yield from _unknown_keys(part, known[key], place)
            else:
                yield place
    elif isinstance(raw, list) and isinstance(known, list):
        for index, (part, known_part) in enumerate(zip(raw, known, strict=False)):
            yield from _unknown_keys(part, known_part, f"{path}.{index}")


def _contradictions(result: Result) -> Iterator[str]:
    for key, moment in (("started_at", result.started_at), ("finished_at", result.finished_at)):
        if moment.tzinfo is None:
            yield f"{key}: no time zone, expected UTC"
    is_advisory = result.gate == "none" and result.exit_code is ExitCode.READY
    if not is_advisory and result.exit_code is not ExitCode[result.verdict.name]:
        yield f"exit_code: {result.exit_code.value} does not go with the verdict {result.verdict.value}"
    counted = Counter(item.status.value for item in result.items)
    if dict(result.summary) != {status.value: counted[status.value] for status in Status}:
        yield "summary: does not count the items below"
    for item_id, times in Counter(item.id for item in result.items).items():
        if times > 1:
            yield f"items: {item_id} stands {times} times"


def _first(mistakes: list[str]) -> list[str]:
    rest = len(mistakes) - MISTAKES_SHOWN
    return [*mistakes[:MISTAKES_SHOWN], f"and {rest} more mistakes"] if rest > 0 else mistakes
