"""`quub-audit validate`: the four files, without asking any target."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quub_audit.cli.options import checks_dir_option, files_options
from quub_audit.cli.terminal import Terminal
from quub_audit.reporters.text import count

if TYPE_CHECKING:
    from quub_audit.config import Sources, Summary


@click.command("validate")
@files_options
@checks_dir_option
def command(
    checklist: Path | None,
    environments: Path,
    waivers: Path | None,
    attestations: Path | None,
    checks_dir: tuple[Path, ...],
) -> int:
    """Check the four files without asking any target.

    Every mistake is told at once, as file:line:column: what is wrong, and what was expected; the exit code is 2 then.
    """
    from quub_audit.cli.auditing import now, sources_of
    from quub_audit.config import validate
    from quub_audit.registry import Registry

    terminal = Terminal.of_process()
    sources = sources_of(environments, checklist=checklist, waivers=waivers, attestations=attestations)
    summary = validate(sources, registry=Registry.discover(checks_dir), environ=os.environ, today=now().date())
    for line in lines(summary, sources):
        terminal.show(line)
    terminal.check()
    return 0


def lines(summary: Summary, sources: Sources) -> Iterator[str]:
    """What was found in order, a file a line."""
    yield f"checklist     {sources.checklist or 'built in'}: {count(summary.items, 'item')}"
    names = ", ".join(summary.environments)
    yield f"environments  {sources.environments}: {summary.service} in {names}"
    yield f"waivers       {sources.waivers or 'no file'}: {summary.waivers}"
    yield f"attestations  {sources.attestations or 'no file'}: {summary.attestations}"
    if summary.unset_variables:
        yield f"not looked at, since not set here: {', '.join(summary.unset_variables)}"
