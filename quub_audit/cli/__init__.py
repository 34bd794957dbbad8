"""The command line: options and one call each; all logic lives below.

A command's module is imported when the command is called: `--version` and `--help` load nothing but click.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import click

import quub_audit

PATIENCE_S = 0.2
"""How long the end waits for threads that have nothing left to do. Seconds."""

COLLECT_AFTER = 100_000
"""Objects made before garbage is looked for. With Python's own 700 or 2,000, the descriptions of AWS's services, which
stay, are walked again and again, for a sixth of an audit's CPU."""


class Entry(NamedTuple):
    """Where a command lives, and its line in the list of commands."""

    module: str
    """Has the click command as `command`."""
    summary: str


COMMANDS: Mapping[str, Entry] = {
    "run": Entry("quub_audit.cli.run", "Audit an environment against the checklist."),
    "demo": Entry("quub_audit.cli.demo", "Audit an embedded world, to see what a run is like."),
    "list": Entry("quub_audit.cli.listing", "List the items of the checklist."),
    "explain": Entry("quub_audit.cli.explain", "Say what an item looks at, and how to mend it."),
    "validate": Entry("quub_audit.cli.validate", "Check the four files without asking any target."),
    "schema": Entry("quub_audit.cli.schema", "Print the JSON Schema of a file."),
    "report": Entry("quub_audit.cli.report", "Render a result.json again."),
}


class Commands(click.Group):
    """A group whose members are imported when they are wanted."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now; None when there is no such command."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command: click.Command = importlib.import_module(entry.module).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, with the nearest name where there is no such command."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            close = difflib.get_close_matches(args[0], COMMANDS, n=1, cutoff=0.5)
            hint = f"Did you mean {close[0]}?" if close else f"There are {', '.join(COMMANDS)}."
            ctx.fail(f"No such command {args[0]!r}. {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """From the table, so that no command is imported."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])


@click.command(
    cls=Commands,
    context_settings={
        "auto_envvar_prefix": "QUUB_AUDIT",
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
    },
    epilog="Options may also be set in the environment: QUUB_AUDIT_RUN_FORMAT for --format of run, and so on. "
    "NO_COLOR and FORCE_COLOR are honoured.",
)
@click.version_option(quub_audit.__version__, prog_name="quub-audit", allow_from_autoenv=False)
def group() -> None:
    """Is this release ready for production, and how do we know?

    quub-audit applies a checklist (what must hold) to an environment (where to look), and gives one verdict. It reads
    and never writes; what it could not determine is never a pass.

    Start with `quub-audit demo`, or with `quub-audit run --env production` beside an environments.yaml.
    """


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code, of which `quub-audit run --help` tells the meaning."""
    gc.set_threshold(COLLECT_AFTER)
    code = _code_of(args)
    try:
        _finish(code)
    except KeyboardInterrupt:
        os._exit(code)
    return code


def _code_of(args: Sequence[str] | None) -> int:
    try:
        answer: Any = group.main(args, prog_name="quub-audit", standalone_mode=False)
    except click.ClickException as error:
        from quub_audit.cli.mistakes import tell_usage

        return tell_usage(error)
    except (click.Abort, KeyboardInterrupt):
        from quub_audit.cli.mistakes import tell_interrupted

        return tell_interrupted()
    except SystemExit as leaving:  # click's way to end when the reader of stdout has gone, and of shell completion
        is_reader_gone = type(sys.stdout).__name__.endswith("PacifyFlushWrapper")
        return 0 if is_reader_gone else int(leaving.code or 0)
    except Exception as error:  # noqa: BLE001  the last resort: a bug of ours must not end with 1, which means something
        from quub_audit.cli.mistakes import tell

        return tell(error)
    return answer if isinstance(answer, int) else 0


def _finish(code: int) -> None:
    """End here and now when a thread is left that does not end: a plugin that did not come back, and may print."""
    import contextlib
    import threading
    import time

    patient_until = time.monotonic() + PATIENCE_S
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            thread.join(max(0.0, patient_until - time.monotonic()))
    if threading.active_count() == 1:
        gc.freeze()  # the end of the interpreter would look for garbage in everything once more: 0.2 s
        return
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)
