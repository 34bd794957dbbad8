"""`quub-audit validate`: the four files, without asking any target."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quub_audit.cli.options import checks_dir_option, files_options
from quub_audit.cli.terminal import Terminal

if TYPE_CHECKING:
    from quub_audit.config import Sources


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
    validate(sources, registry=Registry.discover(checks_dir), environ=os.environ, today=now().date())
    for line in read(sources):
        terminal.show(line)
    terminal.check()
    return 0


def read(sources: Sources) -> Iterator[str]:
    """What was found without a mistake, a file a line."""
    from quub_audit.config import environment_names

    yield f"checklist: {sources.checklist or 'the built-in one'}: valid"
    yield f"environments: {sources.environments}: valid; {', '.join(environment_names(sources.environments))}"
    for name, path in (("waivers", sources.waivers), ("attestations", sources.attestations)):
        yield f"{name}: {path}: valid" if path else f"{name}: none"
