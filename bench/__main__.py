"""Prints every comparison; ends with 1 when one exceeds its limit. `python -m bench [--rounds N] [PART...]`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench import audit, startup
from bench.peers import surroundings
from bench.timing import Comparison

PARTS = ("startup", "audit", "aws")


def carry_out(parts: list[str], rounds: int) -> Iterator[Comparison | str]:
    if "startup" in parts:
        yield from startup.compare(max(rounds, 15))
    if {"audit", "aws"} & set(parts):
        with tempfile.TemporaryDirectory() as scratch, surroundings(Path(scratch) / "world") as world:
            if "audit" in parts:
                yield from audit.compare_whole(world, Path(scratch), rounds)
            if "aws" in parts:
                yield from audit.compare_aws(world, Path(scratch), rounds)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--rounds", type=int, default=7, help="turns of which the median counts (default: 7)")
    options = parser.parse_args()
    unknown = [part for part in options.parts if part not in PARTS]
    if unknown:
        parser.error(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    held = True
    for line in carry_out(options.parts or list(PARTS), options.rounds):
        print(line, flush=True)
        held = held and (line.holds if isinstance(line, Comparison) else True)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
