"""`quub-audit schema`: the JSON Schema of a file, for editors."""

from __future__ import annotations

import difflib
import json

import click

from quub_audit.cli.terminal import Terminal
from quub_audit.errors import UsageError


@click.command("schema")
@click.argument("name", metavar="NAME")
def command(name: str) -> int:
    """Print the JSON Schema of a file.

    NAME is checklist, environments, waivers, attestations or result. Keep the schema as a file, and name it in the
    first line of the YAML file for the editor to see: # yaml-language-server: $schema=environments.schema.json
    """
    from quub_audit.config import SCHEMA_NAMES, json_schema

    if name not in SCHEMA_NAMES:
        close = difflib.get_close_matches(name, SCHEMA_NAMES, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(SCHEMA_NAMES)}"
        raise UsageError(f"there is no schema {name}; {hint}")
    terminal = Terminal.of_process()
    terminal.show_text(json.dumps(json_schema(name), indent=2, ensure_ascii=False) + "\n")
    terminal.check()
    return 0
