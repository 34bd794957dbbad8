"""What the program costs before it does anything, beside the import of the library that reads its command line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from bench.timing import Comparison, medians, process

LIMIT = 1.3


def compare(rounds: int) -> Iterator[Comparison]:
    program = str(Path(sys.executable).with_name("quub-audit"))
    alone = "python -c 'import click'"
    taken = medians(
        {
            "quub-audit --version": process(program, "--version"),
            alone: process(sys.executable, "-c", "import click"),
            "quub-audit --help": process(program, "--help"),
        },
        rounds=rounds,
    )
    for name in ("quub-audit --version", "quub-audit --help"):
        yield Comparison(name=name, seconds=taken[name], against=alone, against_seconds=taken[alone], limit=LIMIT)
