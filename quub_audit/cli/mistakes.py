"""How a command ends that could not do its work: the message, the last line, the exit code."""

from __future__ import annotations

import traceback
from collections.abc import Iterator

import click

from quub_audit.cli.terminal import Style, Styled, Terminal
from quub_audit.errors import ConfigurationError, Mendable, NotWritten, Reportable
from quub_audit.model.status import ExitCode

MENDABLE = "a mistake in the command or in a file"
BUG = "quub-audit has a bug, and nothing can be said"
NOT_WRITTEN = "what was asked for could not be written"
INTERRUPTED = "interrupted"


def last_line(terminal: Terminal, code: int, meaning: str) -> None:
    """The last thing on the terminal: the exit code and what it means."""
    style: Style = "good" if code == ExitCode.READY else "doubtful" if code == ExitCode.INCONCLUSIVE else "bad"
    terminal.say(Styled(f"exit code {code}, {meaning}", style))


def messages(error: BaseException) -> tuple[str, ...]:
    """What to tell of an error, a mistake a line."""
    if isinstance(error, ConfigurationError):
        return error.mistakes
    if isinstance(error, NotWritten):
        return error.problems
    if isinstance(error, Reportable) and error.next_step:
        return (f"{error.message}; {error.next_step}",)
    if isinstance(error, Mendable | Reportable):
        return tuple(str(error).splitlines())
    return (f"quub-audit has a bug: {type(error).__name__}: {error}".rstrip(": "),)


def trace(error: BaseException) -> Iterator[str]:
    """The traceback, line by line."""
    for part in traceback.format_exception(error):
        yield from part.rstrip("\n").splitlines()


def tell(error: BaseException) -> int:
    """Say what went wrong in a command other than an audit; its exit code."""
    terminal = Terminal.of_process()
    for message in messages(error):
        terminal.say(message)
    if isinstance(error, NotWritten):
        meaning = NOT_WRITTEN
    elif isinstance(error, Mendable | Reportable):
        meaning = MENDABLE
    else:
        meaning = BUG
        for line in trace(error):
            terminal.say(Styled(line, "faint"))
    last_line(terminal, ExitCode.REFUSED, meaning)
    return ExitCode.REFUSED


def tell_usage(error: click.ClickException) -> int:
    """What click has to say of the options, and the last line."""
    error.show()
    last_line(Terminal.of_process(), ExitCode.REFUSED, MENDABLE)
    return ExitCode.REFUSED


def tell_interrupted() -> int:
    """The end of a command that was not an audit."""
    last_line(Terminal.of_process(), ExitCode.INTERRUPTED, INTERRUPTED)
    return ExitCode.INTERRUPTED
