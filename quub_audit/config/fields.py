"""The types of the values in configuration files, each with the words for what it expects."""

from __future__ import annotations

import re
from collections.abc import Hashable
from datetime import date
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, GetJsonSchemaHandler
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from quub_audit.config.shape import contradiction
from quub_audit.config.tree import Expanded
from quub_audit.docstrings import field_docs

T = TypeVar("T", bound=Hashable)

_VISIBLE = r"[^\x00-\x20\x7f-\xa0]"
_ON_A_LINE = r"[^\x00-\x1f\x7f-\x9f]"
_IN_PROSE = r"[^\x00-\x09\x0b-\x1f\x7f-\x9f]"


class Strict(BaseModel):
    """The base of all documents: no unknown keys, nothing converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=False)

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema).get("properties", {})
        for name, text in field_docs(cls).items():
            about = properties[cls.model_fields[name].alias or name]
            about["description"] = f"{text} {about.get('description', '')}".strip()
        return schema


def written(pattern: str, expected: str, *examples: str, longest: int = 2000) -> FieldInfo:
    """Text that matches the whole of `pattern`; `expected` completes "expected ..."."""
    extra: dict[str, Any] = {"patternErrorMessage": expected}
    if examples:
        extra["examples"] = list(examples)
    field: FieldInfo = Field(strict=True, pattern=f"^(?:{pattern})$", max_length=longest, json_schema_extra=extra)
    return field


Line = Annotated[str, written(f"{_ON_A_LINE}*{_VISIBLE}{_ON_A_LINE}*", "one line of text")]
Prose = Annotated[str, written(f"{_IN_PROSE}*{_VISIBLE}{_IN_PROSE}*", "text", longest=10_000)]
Reason = Annotated[
    str,
    written(
        rf"(?:{_IN_PROSE}*{_VISIBLE}\s+){{2}}{_IN_PROSE}*{_VISIBLE}{_IN_PROSE}*",
        "a reason in at least three words",
        longest=10_000,
    ),
]
Name = Annotated[
    str, written(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", "a name of letters, digits, dots and hyphens", "production")
]
ItemId = Annotated[
    str,
    written(
        r"[a-z0-9]+(?:-[a-z0-9]+)*(?:\.[a-z0-9]+(?:-[a-z0-9]+)*){2}",
        "an item's id such as security.network.https-enforced",
        "security.network.https-enforced",
        longest=200,
    ),
]


def _as_boolean(value: object) -> object:
    return {"true": True, "false": False}.get(value, value) if isinstance(value, Expanded) else value


def _as_date(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise PydanticCustomError("date_form", "no date")


def _distinct(values: tuple[T, ...]) -> tuple[T, ...]:
    for index, value in enumerate(values):
        if value in values[:index]:
            raise contradiction("the same value twice, expected each once", index)
    return values


Flag = Annotated[bool, Field(strict=True), BeforeValidator(_as_boolean)]
Day = Annotated[date, BeforeValidator(_as_date)]
Distinct = AfterValidator(_distinct)
"""Of a list: no value twice."""
