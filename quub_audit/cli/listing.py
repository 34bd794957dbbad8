"""`quub-audit list`: the items of a checklist."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from quub_audit.cli.options import checklist_option, checks_dir_option, stage_option, text_or_json_option
from quub_audit.cli.terminal import Line, Styled, Terminal, pad_to
from quub_audit.errors import UsageError

if TYPE_CHECKING:
    from quub_audit.model.checklist import Checklist, Item


@click.command("list")
@checklist_option
@stage_option
@click.option("--tag", multiple=True, help="Only items that carry it; may be given several times.")
@text_or_json_option
@checks_dir_option
def command(
    checklist: Path | None,
    stage: Literal["production", "staging", "development"],
    tag: tuple[str, ...],
    format: str,  # noqa: A002  the name of the option
    checks_dir: tuple[Path, ...],
) -> int:
    """List the items of the checklist.

    For each: its severity, the least evidence that may pass it, and the checks that prove it.
    """
    from quub_audit.config import load_checklist
    from quub_audit.registry import Registry

    loaded = load_checklist(checklist, stage=stage, registry=Registry.discover(checks_dir))
    terminal = Terminal.of_process()
    items = tagged(loaded, tag)
    if format == "json":
        document = {"title": loaded.title, "version": loaded.version, "items": [described(item) for item in items]}
        terminal.show_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    else:
        for line in lines(items):
            terminal.show(*line)
        terminal.say(f"{len(items)} of {len(loaded.items)} items of {loaded.title}, version {loaded.version}")
    terminal.check()
    return 0


def tagged(checklist: Checklist, tags: Iterable[str]) -> tuple[Item, ...]:
    """The items that carry one of `tags`, or all when there are none. Raises UsageError for a tag that none carries."""
    wanted = set(tags)
    known = sorted({tag for item in checklist.items for tag in item.tags})
    for tag in sorted(wanted - set(known)):
        close = difflib.get_close_matches(tag, known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known) or 'none'}"
        raise UsageError(f"--tag {tag}: no item carries it; {hint}")
    return tuple(item for item in checklist.items if not wanted or wanted & set(item.tags))


def lines(items: Iterable[Item]) -> Iterator[Line]:
    """By section and group, in checklist order."""
    items = tuple(items)
    id_columns = max((len(item.id) for item in items), default=0)
    severity_columns = max((len(item.severity.value) for item in items), default=0)
    floor_columns = max((len(item.min_evidence.value) for item in items), default=0)
    section = group = None
    for item in items:
        if item.section != section:
            if section is not None:
                yield []
            section, group = item.section, None
            yield [Styled(section, "strong")]
        if item.group != group:
            group = item.group
            yield [f"  {group}"]
        others = [name for name in item.checks if name != item.id]
        aside = [*(() if item.blocking else ("does not block",)), *(f"check {name}" for name in others)]
        yield [
            f"    {pad_to(item.id, id_columns)}",
            f"  {pad_to(item.severity.value, severity_columns)}",
            f"  {pad_to(item.min_evidence.value, floor_columns)}",
            f"  {item.title}",
            Styled(f"  ({'; '.join(aside)})" if aside else "", "faint"),
        ]


def described(item: Item) -> dict[str, Any]:
    """An item as JSON shows it, by the names of checklist.yaml."""
    return {
        "id": item.id,
        "title": item.title,
        "section": item.section,
        "group": item.group,
        "severity": item.severity.value,
        "checks": list(item.checks),
        "with": dict(item.parameters),
        "min_evidence": item.min_evidence.value,
        "at_least": item.at_least,
        "blocking": item.blocking,
        "waivable": item.waivable,
        "attestable": item.attestable,
        "remediation": item.remediation,
        "references": list(item.references),
        "tags": list(item.tags),
        "owner": item.owner,
    }
