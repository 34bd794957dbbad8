"""What fields say of themselves is found below them."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, Field

from quub_audit.docstrings import field_docs


class Base(BaseModel):
    first: int = 1
    """Of the base,
    in two lines."""
    silent: int = 2


class Derived(Base):
    """Of the class."""

    second: int = Field(default=3)
    """Of the second."""

    NOT_A_FIELD: ClassVar[str] = "one"
    """Of nothing."""

    first: int = 4
    """Of the first, again."""


def test_each_field_has_the_nearest_text_and_what_is_no_field_has_none() -> None:
    assert field_docs(Derived) == {"first": "Of the first, again.", "second": "Of the second."}
    assert field_docs(Base) == {"first": "Of the base,\nin two lines."}


def test_a_class_without_source_says_nothing() -> None:
    made = type("Made", (BaseModel,), {"__annotations__": {"a": int}, "__module__": "nowhere"})

    assert field_docs(made) == {}


class Outer:
    class Inner(BaseModel):
        third: int = 3
        """Of the one within."""


def test_a_class_within_another_or_within_a_function_is_found_too() -> None:
    class Local(Base):
        silent: int = 5
        """No longer silent."""

    assert field_docs(Outer.Inner) == {"third": "Of the one within."}
    assert field_docs(Local) == {"first": "Of the base,\nin two lines.", "silent": "No longer silent."}
