"""`quub-audit explain`: what an item looks at, what passes and fails, what it needs, how to mend it."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

import click

from quub_audit.cli.listing import described
from quub_audit.cli.options import checklist_option, checks_dir_option, stage_option, text_or_json_option
from quub_audit.cli.terminal import Line, Styled, Terminal, folded, pad_to
from quub_audit.docstrings import field_docs
from quub_audit.errors import UsageError
from quub_audit.model.status import Grade

if TYPE_CHECKING:
    from quub_audit.model.checklist import Checklist, Item
    from quub_audit.registry import Registry
    from quub_audit.sdk.declare import Check, Parameters

COLUMNS = 100
"""Text is folded here, and on narrower terminals at their width."""
TERM_COLUMNS = 14

_TERM = re.compile(r"(\S+(?: \S+)*) {2,}(\S.*)")
"""`Pass          all is well`"""


@click.command("explain")
@click.argument("item", metavar="ITEM")
@checklist_option
@stage_option
@text_or_json_option
@checks_dir_option
def command(
    item: str,
    checklist: Path | None,
    stage: Literal["production", "staging", "development"],
    format: str,  # noqa: A002  the name of the option
    checks_dir: tuple[Path, ...],
) -> int:
    """Say what an item looks at, and how to mend it.

    What passes, fails and is inconclusive, and the source of the rule; each check with what it judges, the permissions
    it needs and the grade of its evidence; the parameters that the checklist may set; the remediation.

    ITEM is an id, or the end of one that is not ambiguous: tls-minimum-version.
    """
    from quub_audit.config import load_checklist
    from quub_audit.registry import Registry

    registry = Registry.discover(checks_dir)
    document = explained(item_named(item, load_checklist(checklist, stage=stage, registry=registry)), registry)
    terminal = Terminal.of_process()
    if format == "json":
        terminal.show_text(_json(document, indent=2) + "\n")
    else:
        for line in lines(document, columns=min(COLUMNS, terminal.width)):
            terminal.show(*line)
    terminal.check()
    return 0


def item_named(name: str, checklist: Checklist) -> Item:
    """The item with that id, or the only one whose id ends so. Raises UsageError, with the nearest ids."""
    found = [item for item in checklist.items if item.id == name]
    found = found or [item for item in checklist.items if item.id.endswith(f".{name}")]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"{name} is ambiguous: it is the end of {' and '.join(item.id for item in found)}")
    ids = [item.id for item in checklist.items]
    by_end = {item_id.rpartition(".")[2]: item_id for item_id in ids}
    close = difflib.get_close_matches(name, ids, n=1, cutoff=0.6)
    close = close or [by_end[end] for end in difflib.get_close_matches(name.rpartition(".")[2], by_end, n=1)]
    hint = f"did you mean {close[0]}?" if close else "see `quub-audit list`"
    raise UsageError(f"there is no item {name} in {checklist.title}; {hint}")


def explained(item: Item, registry: Registry) -> dict[str, Any]:
    """All that is known of an item, as JSON shows it."""
    from quub_audit.registry import BrokenModule

    modules: list[dict[str, Any]] = []
    for name in item.checks:
        module_id, _, wanted = name.partition("/")
        module = registry.load(module_id)
        if module is None:
            modules.append({"id": name, "problem": "there is no such check"})
        elif isinstance(module, BrokenModule):
            modules.append({"id": name, "problem": module.problem})
        else:
            checks = [check for check in module.checks if wanted in ("", check.name)]
            modules.append({"id": name, "doc": module.doc, "checks": [_check(check) for check in checks]})
            models = dict.fromkeys(check.parameters for check in checks if check.parameters)
            modules[-1]["parameters"] = [entry for model in models for entry in _parameters(model, item.parameters)]
    return {**described(item), "modules": modules}


def lines(document: Mapping[str, Any], *, columns: int) -> Iterator[Line]:
    """For people."""
    yield [Styled(document["id"], "strong")]
    yield from folded("", document["title"], columns)
    yield []
    for term, text in _facts(document):
        yield from _term(term, text, columns)
    for module in document["modules"]:
        yield from _module(module, columns)
    if document["remediation"]:
        yield []
        yield [Styled("How to mend it", "strong")]
        yield from folded("  ", document["remediation"], columns)
    if document["references"]:
        yield []
        yield [Styled("References", "strong")]
        for reference in document["references"]:
            yield [f"  {reference}"]


def _facts(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "Section", f"{document['section']}, {document['group']}"
    stance = "blocks the release" if document["blocking"] else "does not block"
    waivable = "" if document["waivable"] else "; cannot be waived"
    yield "Severity", f"{document['severity']}; {stance} unless it passes{waivable}"
    least = document["at_least"]
    subjects = "one subject" if least == 1 else f"{least} subjects"
    attestable = "; a valid attestation may pass it where nothing was seen" if document["attestable"] else ""
    more_direct = "" if document["min_evidence"] == Grade.LIVE.value else " or more direct"
    yield "Evidence", f"{document['min_evidence']}{more_direct}, about {subjects} or more{attestable}"
    if document["owner"]:
        yield "Owner", document["owner"]
    if document["tags"]:
        yield "Tags", ", ".join(document["tags"])


def _module(module: Mapping[str, Any], columns: int) -> Iterator[Line]:
    yield []
    if "problem" in module:
        yield [Styled(f"{module['id']}: {module['problem']}", "bad")]
        return
    for term, text in paragraphs(module["doc"].replace("``", "`")):
        yield from _term(term, text, columns) if term else folded("", text, columns)
    yield []
    yield [Styled("Checks", "strong")]
    for check in module["checks"]:
        yield from folded("  ", check["id"], columns)
        yield from folded("    ", check["title"], columns)
        active = " (active: only with --allow-active)" if check["active"] else ""
        needs = f"; needs {', '.join(check['needs'])} in environments.yaml" if check["needs"] else ""
        yield from _term("judges", f"{check['each']}{needs}{active}", columns, indent="    ")
        yield from _term("evidence", check["grade"], columns, indent="    ")
        if check["permissions"]:
            yield from _term("permissions", ", ".join(check["permissions"]), columns, indent="    ")
    if module["parameters"]:
        yield []
        yield [Styled("Parameters, under `with:`", "strong")]
        for parameter in module["parameters"]:
            set_to = f", set to {_json(parameter['value'])}" if "value" in parameter else ""
            default = f" = {_json(parameter['default'])}" if "default" in parameter else ", required"
            yield from folded("  ", f"{parameter['name']}: {parameter['type']}{default}{set_to}", columns)
            yield from folded("    ", parameter["doc"], columns)


def paragraphs(doc: str) -> Iterator[tuple[str, str]]:
    """A docstring as terms with their texts, the lines of each joined; plain paragraphs, and blanks, have no term."""
    term = text = ""
    for line in doc.splitlines():
        begins = _TERM.match(line)
        if begins or not line.strip():
            if term or text:
                yield term, text
            term, text = begins.groups() if begins else ("", "")
            if not begins:
                yield "", ""
        else:
            text = f"{text} {line.strip()}".strip()
    if term or text:
        yield term, text


def _check(check: Check) -> dict[str, Any]:
    from quub_audit.sdk.declare import Subjects

    each = check.each.name.replace("_", " ") if isinstance(check.each, Subjects) else _plural(check.each.__name__)
    return {
        "id": check.id,
        "title": check.title,
        "each": each,
        "needs": sorted(check.target_kinds),
        "grade": check.grade.value,
        "permissions": list(check.permissions),
        "active": check.is_active,
    }


def _plural(name: str) -> str:
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name).strip()
    return "the environment" if words == "environment" else f"the {words} target" if words == "quub" else f"{words}s"


def _parameters(model: type[Parameters], given: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    docs = field_docs(model)
    for name, field in model.model_fields.items():
        entry = {"name": name, "type": type_name(field.annotation), "doc": field.description or docs.get(name, "")}
        if not field.is_required():
            default = field.get_default(call_default_factory=True)
            entry["default"] = default
        if name in given:
            entry["value"] = given[name]
        yield entry


def _json(value: object, *, indent: int | None = None) -> str:
    return json.dumps(value, default=_jsonable, ensure_ascii=False, indent=indent)


def _jsonable(value: object) -> object:
    return sorted(value, key=str) if isinstance(value, set | frozenset) else str(value)


def type_name(annotation: Any) -> str:
    """A type as people write it in YAML: `number`, `list of text`, `one of a, b`."""
    plain = {int: "whole number", float: "number", str: "text", bool: "true or false", type(None): "nothing"}
    if annotation in plain:
        return plain[annotation]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return f"one of {', '.join(map(str, arguments))}"
    if origin in (tuple, list, set, frozenset) and arguments:
        return f"list of {type_name(arguments[0])}"
    if origin is dict or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return f"map from {type_name(arguments[0])} to {type_name(arguments[1])}" if arguments else "map"
    if origin in (Union, UnionType):
        return " or ".join(type_name(argument) for argument in arguments)
    return getattr(annotation, "__name__", str(annotation))


def _term(term: str, text: str, columns: int, *, indent: str = "") -> Iterator[Line]:
    return folded(indent, text, columns, lead=Styled(pad_to(term, TERM_COLUMNS), "faint"))
