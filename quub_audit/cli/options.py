"""Options that more than one command has."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

FORMATS = ("html", "junit", "markdown", "json", "sarif")
DEFAULT_FORMATS = ("html", "junit", "markdown", "json")

EXISTING_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


class Formats(click.ParamType[Any]):
    """A comma list of report formats; each once, in the order given."""

    name = "formats"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Refuses unknown names, and no name at all."""
        if isinstance(value, tuple):
            return value
        names = tuple(dict.fromkeys(name.strip().lower() for name in str(value).split(",") if name.strip()))
        unknown = [name for name in names if name not in FORMATS]
        if unknown or not names:
            found = f"no such format: {', '.join(unknown)}" if unknown else "no format is named"
            self.fail(f"{found}; there are {', '.join(FORMATS)}", param, ctx)
        return names


class Seconds(click.FloatRange):
    """A time to wait: more than nothing, at most a day."""

    def __init__(self) -> None:
        super().__init__(0, 86_400, min_open=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuses what is no number, too."""
        seconds = super().convert(value, param, ctx)
        if seconds != seconds:
            self.fail(f"{value!r} is no number of seconds", param, ctx)
        return seconds


def checklist_option(function: F) -> F:
    """`--checklist`."""
    return click.option(
        "--checklist",
        type=EXISTING_FILE,
        metavar="FILE",
        help="The checklist to apply.  [default: the built-in one]",
    )(function)


def checks_dir_option(function: F) -> F:
    """`--checks-dir`."""
    return click.option(
        "--checks-dir",
        type=FOLDER,
        multiple=True,
        metavar="FOLDER",
        help="A folder with check plugins, beside the installed ones; may be given several times.",
    )(function)


def stage_option(function: F) -> F:
    """`--stage`."""
    return click.option(
        "--stage",
        type=click.Choice(["production", "staging", "development"]),
        default="production",
        show_default=True,
        help="The stage whose overrides are applied.",
    )(function)


def files_options(function: F) -> F:
    """Where the four files are."""
    options = (
        checklist_option,
        click.option(
            "--environments",
            type=click.Path(dir_okay=False, path_type=Path),
            default=Path("environments.yaml"),
            show_default=True,
            metavar="FILE",
            help="Where to look, for each environment of the service.",
        ),
        click.option(
            "--waivers",
            type=EXISTING_FILE,
            metavar="FILE",
            help="Accepted risks.  [default: waivers.yaml beside --environments, if it is there]",
        ),
        click.option(
            "--attestations",
            type=EXISTING_FILE,
            metavar="FILE",
            help="What people vouch for.  [default: attestations.yaml beside --environments, if it is there]",
        ),
    )
    return _all(options, function)


def report_options(default_out: str) -> Callable[[F], F]:
    """Which reports, and where to."""

    def decorate(function: F) -> F:
        options = (
            click.option(
                "--format",
                type=Formats(),
                default=",".join(DEFAULT_FORMATS),
                show_default=True,
                metavar="LIST",
                help=f"Reports to write, as a comma list of {', '.join(FORMATS)}.",
            ),
            click.option(
                "--out",
                type=click.Path(file_okay=False, path_type=Path),
                default=default_out,
                show_default=True,
                metavar="FOLDER",
                help="Where the reports go; those of an earlier run are deleted from it first.",
            ),
        )
        return _all(options, function)

    return decorate


def verbosity_options(function: F) -> F:
    """`-q` and `-v`, which may be repeated."""
    options = (
        click.option(
            "-q",
            "--quiet",
            count=True,
            help="Show only what blocks; twice: only the last line. Mistakes are shown in any case.",
        ),
        click.option(
            "-v",
            "--verbose",
            count=True,
            help="Show every finding as it comes, what plugins print, and the traceback of a bug.",
        ),
    )
    return _all(options, function)


def text_or_json_option(function: F) -> F:
    """`--format text|json`."""
    return click.option(
        "--format",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="For people, or for programs.",
    )(function)


def _all(options: Iterable[Callable[[F], F]], function: F) -> F:
    for option in reversed(tuple(options)):
        function = option(function)
    return function
