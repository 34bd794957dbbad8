"""What a check asks of AWS, read from its source: every operation that its calls can lead to."""

from __future__ import annotations

import ast
import functools
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from quub_audit.registry import BrokenModule, CheckModule, Registry
from quub_audit.sdk import Check, Subjects

OPERATION = re.compile(r"[a-z0-9-]+\.[A-Z][A-Za-z0-9]+")
LOG_EVENTS = "logs.FilterLogEvents"
"""What `Logs.sample_group` asks; no check may ask it itself."""
OURS = ("quub_audit.checks.", "quub_audit.sdk.")
SECRET_VALUES = "secret_fingerprints"
"""A method of the connector; which operation it is depends on the store."""
BY_METHOD = {"credential_report": ("iam.GenerateCredentialReport", "iam.GetCredentialReport")}
"""What other methods of the connector ask."""


@functools.cache
def registry() -> Registry:
    """Ours alone, whatever plugins this machine has."""
    found = Registry.discover()
    return Registry(roots=tuple(root for root in found.roots if root[0] == "quub_audit.checks"))


def check_modules() -> tuple[CheckModule, ...]:
    """All of ours, by id. Raises ImportError when one cannot be imported."""
    modules = []
    for id_ in registry().ids():
        module = registry().load(id_)
        if isinstance(module, BrokenModule) or module is None:
            raise ImportError(f"{id_}: {module.problem if module else 'there is no such module'}")
        modules.append(module)
    return tuple(modules)


def operations(check: Check) -> frozenset[str]:
    """`service.Operation` of every question that the check or its enumerations can ask.

    `SECRET_VALUES` stands for values of secrets. Raises ValueError for an operation that is not written down.
    """
    functions: list[Any] = [check.function]
    each: Any = check.each
    while isinstance(each, Subjects):
        functions.append(each.function)
        each = each.each
    seen: set[Any] = set()
    return frozenset(operation for function in functions for operation in _asked(function, seen))


def _asked(thing: Any, seen: set[Any]) -> Iterator[str]:
    if thing in seen:
        return
    seen.add(thing)
    module = sys.modules[thing.__module__]
    node = _definitions(module)[thing.__qualname__.split(".")[0]]
    local = frozenset(_local_names(node))
    for part in ast.walk(node):
        if isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute):
            yield from _operation(part, part.func.attr, module)
        for other in _ours(part, module, local):
            yield from _asked(other, seen)


def _local_names(node: ast.AST) -> Iterator[str]:
    """Arguments and variables: they hide a function of the same name."""
    for part in ast.walk(node):
        if isinstance(part, ast.arg):
            yield part.arg
        elif isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
            yield part.id


def _operation(call: ast.Call, method: str, module: ModuleType) -> Iterator[str]:
    if method == SECRET_VALUES:
        yield SECRET_VALUES
    if method == "sample_group":
        yield LOG_EVENTS
    yield from BY_METHOD.get(method, ())
    if method not in ("ask", "find") or not call.args:
        return
    first = call.args[0]
    value = first.value if isinstance(first, ast.Constant) else None
    if isinstance(value, str) and OPERATION.fullmatch(value):
        yield value
    elif method == "ask":
        raise ValueError(f"{module.__name__}:{call.lineno}: the operation is not a literal, so nobody can declare it")


def _ours(node: ast.AST, module: ModuleType, local: frozenset[str]) -> Iterator[Any]:
    """The function, class or enumeration of ours that a name stands for."""
    value: Any = None
    if isinstance(node, ast.Name) and node.id not in local:
        value = vars(module).get(node.id)
    elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        owner = vars(module).get(node.value.id)
        value = vars(owner).get(node.attr) if isinstance(owner, ModuleType) else None
    if isinstance(value, Subjects):
        value = value.function
    if isinstance(value, FunctionType | type) and value.__module__.startswith(OURS):
        yield value


@functools.cache
def _definitions(module: ModuleType) -> dict[str, ast.AST]:
    tree = parsed(module)
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}


@functools.cache
def parsed(module: ModuleType) -> ast.Module:
    """The module's source."""
    return ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
