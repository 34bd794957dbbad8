"""What the fields of a model say of themselves: the docstrings below them."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
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


def _below_fields(cls: type) -> Mapping[str, str]:
    try:
        source = inspect.getsource(sys.modules[cls.__module__])
    except (KeyError, OSError, TypeError):
        return {}
    return _by_class(source).get(cls.__qualname__, {})


@lru_cache(maxsize=64)
def _by_class(source: str) -> Mapping[str, Mapping[str, str]]:
    """For each class of a module, by its qualified name. Read once: a look for one class is a look through them all."""
    return dict(_classes(ast.parse(source), ""))


def _classes(node: ast.AST, prefix: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    for below in ast.iter_child_nodes(node):
        match below:
            case ast.ClassDef(name=name, body=body):
                yield f"{prefix}{name}", dict(_said(body))
                yield from _classes(below, f"{prefix}{name}.")
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield from _classes(below, f"{prefix}{name}.<locals>.")
            case ast.stmt():
                yield from _classes(below, prefix)


def _said(body: Sequence[ast.stmt]) -> Iterator[tuple[str, str]]:
    for above, below in pairwise(body):
        match above, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, inspect.cleandoc(text)
