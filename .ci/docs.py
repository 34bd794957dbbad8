"""Writes docs/items, one page an item, and the program's help in README.md.

`python .ci/docs.py` writes the pages from checklist.yaml, the docstrings of the modules and their parameters, and
deletes pages of items that are no more.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from quub_audit.cli import group
from quub_audit.cli.explain import type_name
from quub_audit.config.checklist import read_policy
from quub_audit.config.mistakes import Mistakes
from quub_audit.connectors.aws_policy import VALUE_ACTIONS
from quub_audit.docstrings import field_docs
from quub_audit.model.checklist import Item
from quub_audit.model.status import Grade
from quub_audit.registry import CheckModule, Registry
from quub_audit.sdk import Check, Subjects

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "items"
HEADING = re.compile(r"^(?P<name>[A-Z][a-z]+)  +(?P<text>\S.*)$")
HELP_BEGINS, HELP_ENDS = "<!-- help, written by `make docs` -->", "<!-- end of help -->"
WRITTEN = "<!-- Written by `make docs` from checklist.yaml and the check's module. Change those. -->\n"
GRADES: Mapping[Grade, str] = {
    Grade.LIVE: "the running system was asked or tried",
    Grade.CONTROL_PLANE: "the owner's API describes the running system",
    Grade.ARTIFACT: "a file that a pipeline made",
    Grade.REPOSITORY: "code at the audited commit",
    Grade.HUMAN: "somebody's word",
}


def read_items() -> tuple[Item, ...]:
    """The shipped checklist as it is for production. Raises ConfigurationError when it has mistakes."""
    mistakes = Mistakes()
    policy = read_policy(None, Registry.discover(), mistakes)
    mistakes.raise_if_any()
    return policy.checklist("production").items


def pages() -> dict[str, str]:
    """Every page by its file name."""
    registry = Registry.discover()
    items = read_items()
    needed = dict[str, list[Item]]()
    written = dict[str, str]()
    for item in items:
        names = dict.fromkeys(name.partition("/")[0] for name in item.checks)
        modules = [module for name in names if isinstance(module := registry.load(name), CheckModule)]
        written[f"{item.id}.md"] = "\n".join(page(item, modules))
        for permission in permissions_of(modules):
            needed.setdefault(permission, []).append(item)
    return {"README.md": index(items), "permissions.md": "\n".join(permissions(needed)), **written}


def index(items: Iterable[Item]) -> str:
    lines = [WRITTEN, "# Items", "", "What the shipped checklist asks for. Ids are public and do not change."]
    place = ("", "")
    for item in items:
        if (item.section, item.group) != place:
            place = (item.section, item.group)
            lines += ["", f"## {item.section}: {item.group}", "", "| item | id | severity |", "| --- | --- | --- |"]
        lines.append(f"| [{cell(item.title)}]({item.id}.md) | `{item.id}` | {item.severity.value} |")
    return "\n".join(lines) + "\n"


def page(item: Item, modules: list[CheckModule]) -> Iterator[str]:
    checks = [check for module in modules for check in module.checks]
    yield from (WRITTEN, f"# {item.title}", "")
    yield (
        f"`{item.id}`. Severity {item.severity.value}. "
        f"To pass it takes {item.min_evidence.value.replace('_', ' ')} evidence or better: {GRADES[item.min_evidence]}."
    )
    for module in modules:
        yield from statement(module.doc)
    yield from parameters(item, modules)
    yield from ("", "## Checks", "", "| check | looks at | evidence |", "| --- | --- | --- |")
    for check in checks:
        active = " Active: only with `--allow-active`." if check.is_active else ""
        grade = check.grade.value.replace("_", " ")
        yield f"| {cell(check.title)}.{active} | {cell(looks_at(check))} | {grade} |"
    if needed := permissions_of(modules):
        yield from ("", "## Permissions in AWS", "", *(f"- `{name}`" for name in needed))
    yield from ("", "## How to mend it", "", item.remediation)
    yield from ("", "## References", "", *(f"- {reference}" for reference in item.references), "")


def permissions_of(modules: Iterable[CheckModule]) -> list[str]:
    return sorted({name for module in modules for check in module.checks for name in check.permissions})


def permissions(needed: Mapping[str, list[Item]]) -> Iterator[str]:
    """The least policy for the whole checklist, and which item needs what of it."""
    yield from (WRITTEN, "# Permissions in AWS", "", "What the shipped checklist asks for, as a policy:", "", "```json")
    statement = {"Effect": "Allow", "Action": sorted(needed), "Resource": "*"}
    yield from (json.dumps({"Version": "2012-10-17", "Statement": [statement]}, indent=2), "```", "")
    values = ", ".join(f"`{action}`" for action in VALUE_ACTIONS)
    yield f"Where an account says `read_secret_values: true`, also {values}, best for the declared secrets alone."
    yield "`sts:GetCallerIdentity`, which is asked first, needs no permission."
    yield from ("", "| action | for |", "| --- | --- |")
    for name in sorted(needed):
        yield f"| `{name}` | {', '.join(f'[{item.id}]({item.id}.md)' for item in needed[name])} |"
    yield ""


def statement(doc: str) -> Iterator[str]:
    """The first sentence, the headings as a table, and what stands below them."""
    first, headings, rest = parse(doc)
    yield from ("", first, "", "| | |", "| --- | --- |")
    yield from (f"| **{name}** | {cell(text)} |" for name, text in headings.items())
    for paragraph in rest:
        yield from ("", paragraph)


def parse(doc: str) -> tuple[str, dict[str, str], list[str]]:
    """A module's docstring: its first paragraph, its headings with their texts, and further paragraphs."""
    first, headings, rest, name = "", dict[str, str](), list[str](), ""
    for paragraph in doc.replace("``", "`").strip().split("\n\n"):
        lines = paragraph.splitlines()
        if not HEADING.match(lines[0]):
            text = "\n".join(line.strip() for line in lines)
            first, rest = (first, [*rest, text]) if first else (text, rest)
            continue
        for line in lines:
            found = HEADING.match(line)
            name = found["name"] if found else name
            headings[name] = found["text"] if found else f"{headings[name]} {line.strip()}"
    return first, headings, rest


def parameters(item: Item, modules: Iterable[CheckModule]) -> Iterator[str]:
    models = list(dict.fromkeys(model for module in modules for model in module.parameters))
    if not models:
        return
    yield from ("", "## Parameters", "", "What `with:` may set in a checklist.", "")
    yield from ("| name | value | default | |", "| --- | --- | --- | --- |")
    for model in models:
        docs = field_docs(model)
        for name, field in model.model_fields.items():
            value = item.parameters.get(name, field.get_default(call_default_factory=True))
            shown = f"`{json.dumps(value, default=_jsonable, ensure_ascii=False)}`"
            by_checklist = ", set by the checklist" if name in item.parameters else ""
            cells = (f"`{name}`", type_name(field.annotation), shown + by_checklist, docs[name])
            yield f"| {' | '.join(map(cell, cells))} |"


def _jsonable(value: object) -> object:
    return sorted(value) if isinstance(value, set | frozenset) else str(value)


def looks_at(check: Check) -> str:
    """From the subject back to the target that environments.yaml declares."""
    steps: list[str] = []
    each: Any = check.each
    while isinstance(each, Subjects):
        steps.append(each.name.strip("_").replace("_", " "))
        each = each.each
    return ", of ".join([*steps, f"each `{each.__name__}`"])


def readme() -> str:
    """README.md with the program's help as it is now."""
    before, mark, rest = (ROOT / "README.md").read_text(encoding="utf-8").partition(HELP_BEGINS)
    _, end, after = rest.partition(HELP_ENDS)
    shown = CliRunner().invoke(group, ["--help"], prog_name="quub-audit", terminal_width=100).output
    lines = "\n".join(line.rstrip() for line in shown.splitlines())
    return f"{before}{mark}\n```text\n{lines}\n```\n{end}{after}"


def cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main() -> int:
    FOLDER.mkdir(exist_ok=True)
    wanted = pages()
    for old in FOLDER.glob("*.md"):
        if old.name not in wanted:
            old.unlink()
    for name, text in wanted.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    (ROOT / "README.md").write_text(readme(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
