"""Every item of the shipped checklist has all that an item needs, and no check stands without an item."""

from __future__ import annotations

import ast
import functools
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import quub_audit
from quub_audit.config.checklist import read_policy
from quub_audit.config.mistakes import Mistakes
from quub_audit.docstrings import field_docs
from quub_audit.model.checklist import Item
from quub_audit.registry import CheckModule
from tests.meta.questions import check_modules, registry

ROOT = Path(quub_audit.__file__).parent.parent
OUTCOMES = {"pass", "fail", "inconclusive", "error"}
HEADINGS = {"Pass", "Fail", "Inconclusive", "Source"}
KNOWN_HEADINGS = HEADINGS | {"Error", "Needs"}
UNITS = re.compile(
    r"_(?:s|ms|days|hours|bytes|bits|percent|ratio|count)\b|"
    r"\b(?:seconds?|minutes?|days?|hours?|bits?|bytes?|characters?|percent|ratio|share|count|per)\b|"
    r"\b(?:requests?|fields?|networks?|addresses|ports?|keys?|rows?|connections?|spans?|servers?|zones?|replicas?)\b",
    re.IGNORECASE,
)


@functools.cache
def items() -> tuple[Item, ...]:
    mistakes = Mistakes()
    policy = read_policy(None, registry(), mistakes)
    mistakes.raise_if_any()
    return policy.checklist("production").items


@functools.cache
def docs() -> ModuleType:
    """The script behind `make docs`."""
    spec = importlib.util.spec_from_file_location("quub_audit_docs", ROOT / ".ci" / "docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def modules_of(item: Item) -> tuple[CheckModule, ...]:
    names = dict.fromkeys(name.partition("/")[0] for name in item.checks)
    return tuple(module for module in check_modules() if module.id in names)


def path_of(id_: str) -> str:
    return id_.replace("-", "_").replace(".", "/")


each_item = pytest.mark.parametrize("item", items(), ids=lambda item: item.id)
each_module = pytest.mark.parametrize("module", check_modules(), ids=lambda module: module.id)


def test_the_checklist_has_items_and_every_module_of_checks_has_one() -> None:
    named = {name.partition("/")[0] for item in items() for name in item.checks}

    assert sorted(named) == [module.id for module in check_modules()]
    assert items()


@each_item
def test_an_item_has_a_module_where_its_id_says(item: Item) -> None:
    assert (ROOT / "checks" / f"{path_of(item.id)}.py").is_file()
    assert [check for module in modules_of(item) for check in module.checks] != []


@each_item
def test_an_item_says_how_to_mend_it_and_on_whose_authority_it_stands(item: Item) -> None:
    assert len(item.remediation.split()) >= 8
    assert item.references
    assert item.title
    assert item.owner or item.tags


@each_item
def test_the_four_outcomes_of_an_item_are_shown_on_real_peers(item: Item) -> None:
    proven = set(proofs(ROOT / "tests" / "checks" / mirrored(item.id)))

    assert OUTCOMES - proven == set()


def mirrored(id_: str) -> str:
    *folders, name = path_of(id_).split("/")
    return "/".join([*folders, f"test_{name}.py"])


def proofs(file: Path) -> Iterator[str]:
    """Statuses of the `proof` marks of a test file, on functions, parameters and the whole module."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        is_mark = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "proof"
        if isinstance(node, ast.Call) and is_mark:
            yield from (str(argument.value) for argument in node.args if isinstance(argument, ast.Constant))


@each_module
def test_a_module_has_the_headings_and_no_other(module: CheckModule) -> None:
    first, headings, _ = docs().parse(module.doc)

    assert first.endswith(".")
    assert HEADINGS - set(headings) == set()
    assert set(headings) - KNOWN_HEADINGS == set()
    assert [name for name, text in headings.items() if len(text) < 10] == []


@each_module
def test_parameters_say_what_they_are_and_numbers_their_unit(module: CheckModule) -> None:
    unsaid, unitless = [], []
    for model in module.parameters:
        docs_of_fields = field_docs(model)
        for name, field in model.model_fields.items():
            described = docs_of_fields.get(name, "")
            if not described:
                unsaid.append(name)
            if field.annotation in (int, float) and not UNITS.search(f"{name} {described}"):
                unitless.append(name)

    assert (unsaid, unitless) == ([], [])


@each_module
def test_parameters_have_defaults_so_that_no_checklist_must_set_them(module: CheckModule) -> None:
    for model in module.parameters:
        assert [name for name, field in model.model_fields.items() if field.is_required()] == []


@each_module
def test_titles_of_checks_are_statements_and_differ(module: CheckModule) -> None:
    titles = [check.title for check in module.checks]

    assert len(set(titles)) == len(titles)
    assert [title for title in titles if title.endswith(".") or not title[0].isupper()] == []


def test_the_pages_of_items_are_those_that_make_docs_writes() -> None:
    folder = ROOT / "docs" / "items"
    there = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.md")}
    wanted = docs().pages()

    assert sorted(there) == sorted(wanted)
    assert [name for name in wanted if there[name] != wanted[name]] == [], "run `make docs`"
