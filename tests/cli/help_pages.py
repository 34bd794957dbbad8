"""What `--help` says, as golden files and as docs/commands.md: `python -m tests.cli.help_pages` writes them anew."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from quub_audit.cli import COMMANDS
from tests.cli.shop import COMMAND, environ

FOLDER = Path(__file__).parent / "golden"
PAGE = Path(__file__).parents[2] / "docs" / "commands.md"

HEAD = """\
# Commands

This page is what `--help` says; a test compares the two.

Results go to stdout, everything else to stderr. On a terminal, two lines show what is under way; a log, and a terminal
where `CI` is set, get a line for each item that is finished:

```text
[ 3/10] pass            security.network.https-enforced  2 subjects  1.2 s
```

`NO_COLOR` and `FORCE_COLOR` are honoured. Text from the audited world loses its control characters before it is shown,
and secrets are struck from it.
"""


def help_of(*command: str) -> str:
    """What the installed command prints on a terminal of 80 columns."""
    with tempfile.TemporaryDirectory() as home:
        return subprocess.run(
            [COMMAND, *command, "--help"],
            env=environ(Path(home), {"COLUMNS": "80"}),
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout


def pages() -> dict[str, str]:
    """By name of the golden file."""
    return {"quub-audit.txt": help_of(), **{f"{name}.txt": help_of(name) for name in COMMANDS}}


def page(helps: dict[str, str]) -> str:
    """docs/commands.md."""
    parts = [HEAD, f"\n```text\n{helps['quub-audit.txt']}```\n"]
    parts += [f"\n## {name}\n\n```text\n{helps[f'{name}.txt']}```\n" for name in COMMANDS]
    return "".join(parts)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    helps = pages()
    for old in FOLDER.glob("*.txt"):
        old.unlink()
    for name, text in helps.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    PAGE.write_text(page(helps), encoding="utf-8")


if __name__ == "__main__":
    main()
