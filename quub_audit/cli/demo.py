"""`quub-audit demo`: an audit of an embedded world."""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
import time
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quub_audit.cli.interrupt import Interruption
from quub_audit.cli.options import report_options, verbosity_options
from quub_audit.cli.terminal import Styled, Terminal
from quub_audit.model.status import ExitCode

if TYPE_CHECKING:
    from quub_audit.demo.world import DemoWorld

DEFAULT_OUT = "quub-audit-demo"


@click.command("demo")
@click.option("--healthy", is_flag=True, help="A world in which everything is as it should be.")
@click.option("--serve", is_flag=True, help="Leave the world up until Ctrl-C, for audits from another shell.")
@report_options(DEFAULT_OUT)
@verbosity_options
def command(healthy: bool, serve: bool, format: tuple[str, ...], out: Path, quiet: int, verbose: int) -> int:  # noqa: A002
    """Audit an embedded world, to see what a run is like.

    Starts an emulated AWS account, TLS endpoints, a Quub API, the repository of a sample service with what its pipeline
    kept, stand-ins for Datadog and Sentry, and Redis and PostgreSQL where they are installed, all on loopback and with
    faults in them, and audits that. Nothing leaves this machine, and no credentials of yours are used. The exit code is
    the audit's: 1, or 0 with --healthy.

    Needs an extra: pip install 'quub-audit[demo]'
    """
    leave_own_cloud(os.environ)
    return run_demo(
        Terminal.of_process(verbosity=verbose - quiet), is_healthy=healthy, is_served=serve, formats=format, out=out
    )


def leave_own_cloud(environ: MutableMapping[str, str]) -> None:
    """Take every setting of AWS away: the emulator lives in this process, and its SDK would heed them."""
    for name in [name for name in environ if name.startswith("AWS_")]:
        del environ[name]
    environ.update(AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull)


def run_demo(terminal: Terminal, *, is_healthy: bool, is_served: bool, formats: tuple[str, ...], out: Path) -> int:
    """Build the world, audit it as `run` would, and leave it up if that is wanted; the audit's exit code.

    Raises MissingExtra without the demo extra, and UsageError without git.
    """
    from quub_audit.cli.auditing import Request, run_audit
    from quub_audit.demo.world import demo_world

    with (
        Interruption(),
        tempfile.TemporaryDirectory(prefix="quub-audit-demo-") as folder,
        demo_world(Path(folder) / "world", healthy=is_healthy) as world,
    ):
        if terminal.verbosity >= 0:
            terminal.say(Styled("The demo world", "strong"))
            for line in world.about:
                terminal.say(f"  {line}")
        request = Request(
            environment=world.environment,
            environments=world.environments_file,
            checklist=world.checklist_file,
            formats=formats,
            out=out,
        )
        code = run_audit(request, terminal=terminal, environ=world.environ)
        if is_served and code != ExitCode.INTERRUPTED:
            serve(world, terminal)
    return code


def serve(world: DemoWorld, terminal: Terminal) -> None:
    """Say how to audit the world from elsewhere, and wait for SIGINT or SIGTERM."""
    terminal.redact = str  # its credentials are made up, open nothing, and are needed to get in
    with Interruption() as interruption:
        interruption.defer()
        for line in invitation(world):
            terminal.say(line)
        while not interruption.stop.is_set():
            time.sleep(0.2)  # not `wait`: its lock must not be held when a handler wants to set it


def invitation(world: DemoWorld) -> Iterator[str | Styled]:
    """What is there to be looked at, and what to type into another shell."""
    yield Styled("The demo world is up until Ctrl-C.", "strong")
    for line in world.about:
        yield f"  {line}"
    yield f"  environments file: {world.environments_file}"
    yield "To audit it from another shell, with the environment that leads there and nowhere else:"
    variables = " ".join(f"{name}={shlex.quote(value)}" for name, value in sorted(world.environ.items()))
    environments, checklist = (shlex.quote(str(file)) for file in (world.environments_file, world.checklist_file))
    files = f"--environments {environments} --checklist {checklist}"
    yield f"  env -i {variables} {_this_command()} run --env {world.environment} {files}"


def _this_command() -> str:
    """How to start quub-audit from anywhere, also where PATH does not lead to it."""
    command = Path(sys.argv[0]).absolute()
    if os.access(command, os.X_OK) and command.name == "quub-audit":
        return shlex.quote(str(command))
    return f"{shlex.quote(sys.executable)} -m quub_audit"
