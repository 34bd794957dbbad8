"""What plugins import: complete, importable, and nothing else."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from types import ModuleType

import pytest

import quub_audit
from quub_audit import sdk
from quub_audit.facts.asking import CONNECTORS
from quub_audit.sdk.declare import TARGETS

CHECKS = Path(quub_audit.__file__).parent / "checks"


def test_the_sdk_lists_all_that_it_has_and_has_all_that_it_lists() -> None:
    public = {name for name, value in vars(sdk).items() if not name.startswith("_") and not _is_module(value)}

    assert sorted(sdk.__all__) == sorted(public)


def test_every_name_of_the_sdk_that_is_ours_has_a_docstring() -> None:
    described = {name: getattr(sdk, name) for name in sdk.__all__ if callable(getattr(sdk, name))}
    ours = {name: value for name, value in described.items() if inspect.isclass(value) or inspect.isfunction(value)}

    assert [name for name, value in ours.items() if not inspect.getdoc(value)] == []
    assert len(ours) > 30


def test_a_check_can_name_every_target_and_every_connector_from_the_sdk() -> None:
    wanted = {each.__name__ for each in (*TARGETS, *CONNECTORS)}

    assert wanted <= set(sdk.__all__)


@pytest.mark.parametrize("file", sorted(CHECKS.resolve().rglob("*.py")), ids=lambda file: file.stem)
def test_a_check_imports_from_the_sdk_only_what_it_lists(file: Path) -> None:
    names = [
        alias.name
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module == "quub_audit.sdk"
        for alias in node.names
    ]

    assert [name for name in names if name not in sdk.__all__] == []


def _is_module(value: object) -> bool:
    return isinstance(value, ModuleType)
