"""`quub-audit report`: any report again, from a result.json."""

from __future__ import annotations

import contextlib
from pathlib import Path

import click

from quub_audit.cli.terminal import Terminal
from quub_audit.errors import NotWritten
from quub_audit.reporters import FORMATS, load_result, render


@click.command("report")
@click.argument("result", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="RESULT.JSON")
@click.option("--format", type=click.Choice(list(FORMATS)), default="html", show_default=True, help="What to make.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, allow_dash=True),
    metavar="FILE",
    help="Where it goes: a file, a folder, or - for stdout.  [default: its usual name beside RESULT.JSON]",
)
def command(result: Path, format: str, out: Path | None) -> int:  # noqa: A002
    """Render a result.json again.

    The report is the same as that of the run which wrote the file. The exit code is 0 whatever the verdict was.
    """
    terminal = Terminal.of_process()
    document = render(load_result(result), format)
    data = document if isinstance(document, bytes) else document.encode()
    if str(out) == "-":
        terminal.show_bytes(data)
    else:
        path = place_of(out, result, format)
        save(data, path)
        terminal.say(f"{format}: {path}")
    terminal.check()
    return 0


def place_of(out: Path | None, result: Path, format: str) -> Path:  # noqa: A002
    """The file that the report goes to."""
    if out is None:
        return result.with_name(FORMATS[format].file)
    return out / FORMATS[format].file if out.is_dir() else out


def save(data: bytes, path: Path) -> None:
    """Write the file whole or not at all. Raises NotWritten."""
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        raise NotWritten([f"{path}: the report cannot be written: {error.strerror or error}"]) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()
