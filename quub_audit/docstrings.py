"""What the fields of a model say of themselves: the docstrings below them."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import BaseModel


def field_docs(model: type[BaseModel]) -> Mapping[str, str]:
    """The docstring below each field, by the field's name, those of base classes included.

    They are read from the source when somebody asks, and not by pydantic as it makes the class, which every start of
    the command would pay for. A class whose source is not at hand says nothing.
    """
    found: dict[str, str] = {}
    for each in reversed(model.__mro__):
        if each.__module__.partition(".")[0] not in ("builtins", "pydantic"):
            found |= _below_fields(each)
    return {name: found[name] for name in model.model_fields if name in found}


def _below_fields(cls: type) -> dict[str, str]:
    try:
        source = textwrap.dedent(inspect.getsource(cls))
    except (OSError, TypeError):
        return {}
    (definition,) = ast.parse(source).body
    said = {}
    for above, below in pairwise(definition.body if isinstance(definition, ast.ClassDef) else ()):
        match above, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                said[name] = inspect.cleandoc(text)
    return said
