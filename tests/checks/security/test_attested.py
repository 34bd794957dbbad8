"""Whoever is told to attest can: the shipped checklist takes a person's word for that item."""

from __future__ import annotations

import ast
import re

import pytest

from quub_audit.config.checklist import builtin_path
from tests.checks.security.attested import shipped

CHECKS = builtin_path().parent / "checks"
ITEMS = sorted(name for name in shipped() if name.startswith("security."))


def said(item: str) -> str:
    """Every text of the item's module but its docstring."""
    *folders, name = item.replace("-", "_").split(".")
    module = ast.parse(CHECKS.joinpath(*folders, f"{name}.py").read_text(encoding="utf-8"))
    nodes = (node for statement in module.body[1:] for node in ast.walk(statement))
    return " ".join(node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))


@pytest.mark.parametrize("item", ITEMS)
def test_an_item_that_says_attest_takes_attestations(item: str) -> None:
    assert shipped()[item].attestable or not re.search(r"\battest\b", said(item))
