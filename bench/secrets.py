"""How long the search for secrets takes beside the scanner's own commands, on a made-up repository.

    python -m bench.secrets            5,000 files of 3 KB; 6,000 commits, which change 300 MB
    python -m bench.secrets --quick    2,000 files; 2,400 commits, which change 120 MB

The scanner's own commands (`betterleaks git` on the repository, then `betterleaks fs` on a plain copy of its tree),
ours the first time, and ours again where nothing has changed run in turns from this one process. Both wall time and
CPU are told; ends with 1 when a limit is exceeded. The scanner's own commands keep compiled expressions in a home
folder, as on a developer's machine; ours compile them each time.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from bench.timing import Comparison
from quub_audit.connectors.base import Ledger
from quub_audit.connectors.repository import RepositoryConnector
from quub_audit.connectors.repository_scanner import find_scanner
from quub_audit.facts.code import SecretScan
from quub_audit.facts.seal import Redactor, Sealer
from quub_audit.model.environment import Repository

FIRST_LIMIT, AGAIN_LIMIT = 1.2, 0.1

WORDS = (
    *("order", "price", "client", "const", "return", "await", "token", "request", "total"),
    *("customer", "export", "function", "account", "value"),
)
ENVIRON = {
    "PATH": os.environ.get("PATH", os.defpath),
    "GIT_CONFIG_NOSYSTEM": "1",
    "LC_ALL": "C",
}


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="two fifths of the size")
    options.add_argument("--rounds", type=int, default=3, help="runs of each; the quickest counts")
    options.add_argument("--repository", type=Path, help="measure this checkout in place of a made-up one")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="quub-audit-bench-") as made:
        folder = Path(made)
        checkout = chosen.repository or build(folder / "repository", files=2000 if chosen.quick else 5000)
        held = True
        for line in measure(checkout.resolve(), folder, rounds=chosen.rounds):
            print(line, flush=True)
            held = held and (line.holds if isinstance(line, Comparison) else True)
        return 0 if held else 1


def build(checkout: Path, *, files: int) -> Path:
    """A repository with `files` files of code, some 3 KB each, and 1.2 commits a file that each change 15 of them."""
    run(["git", "init", "--quiet", "--initial-branch=main", str(checkout)], checkout.parent)
    with subprocess.Popen(
        ["git", "fast-import", "--quiet"], cwd=checkout, env={**ENVIRON, "HOME": os.devnull}, stdin=subprocess.PIPE
    ) as taking:
        if taking.stdin is None:
            raise RuntimeError("git fast-import was started without a pipe")
        taking.stdin.writelines(history(random.Random(1), files))
    if taking.returncode:
        raise RuntimeError(f"git fast-import ended with code {taking.returncode}")
    run(["git", "reset", "--quiet", "--hard", "main"], checkout)
    return checkout


def history(chance: random.Random, files: int) -> Iterator[bytes]:
    """What git fast-import reads."""
    names = [f"src/part{number % 97}/module{number}.ts" for number in range(files)]
    yield from commit(chance, 0, names)
    for number in range(1, files * 6 // 5):
        yield from commit(chance, number, chance.sample(names, 15))


def commit(chance: random.Random, number: int, names: list[str]) -> Iterator[bytes]:
    """One commit that gives `names` new content."""
    message = f"Change {number}".encode()
    who = b"A Developer <dev@orders.invalid> %d +0000" % (1_700_000_000 + number * 60)
    yield b"commit refs/heads/main\nauthor %s\ncommitter %s\ndata %d\n%s\n" % (who, who, len(message), message)
    for name in names:
        content = source(chance).encode()
        yield b"M 100644 inline %s\ndata %d\n%s\n" % (name.encode(), len(content), content)


def source(chance: random.Random) -> str:
    """Code of a kind; one file in some thousands holds a secret."""
    lines = (" ".join(chance.choices(WORDS, k=8)) for _ in range(60))
    planted = f'const apiSecret = "{chance.getrandbits(160):040x}Zq";\n' if chance.random() < 0.0003 else ""
    return planted + "".join(f"  {line};\n" for line in lines)


def measure(checkout: Path, folder: Path, *, rounds: int) -> Iterator[Comparison | str]:
    """Run everything `rounds` times, in turns; the least of each counts, since other work of the machine only adds."""
    plain, cache, home = folder / "plain", folder / "cache", folder / "home"
    home.mkdir()
    shutil.copytree(checkout, plain, symlinks=True, ignore=shutil.ignore_patterns(".git"))
    taken: dict[str, list[Cost]] = {"own": [], "first": [], "again": []}
    for _ in range(rounds):
        taken["own"].append(cost(lambda: scanner(checkout, plain, home)))
        shutil.rmtree(cache, ignore_errors=True)
        taken["first"].append(cost(lambda: audit(checkout, cache)))
        taken["again"].append(cost(lambda: audit(checkout, cache)))
    scan = audit(checkout, cache)
    yield f"{scan.tool}: {len(scan.secrets)} secrets, {scan.commits_scanned} commits, {sizes(checkout, plain)}"
    for unit in ("wall", "CPU"):
        own, first, again = (min(getattr(each, unit.lower()) for each in taken[name]) for name in taken)
        for name, seconds, against, against_seconds, limit in (
            ("secrets", first, "betterleaks git and fs", own, FIRST_LIMIT),
            ("secrets, nothing changed", again, "secrets the first time", first, AGAIN_LIMIT),
        ):
            yield Comparison(
                name=f"{name}, {unit}",
                seconds=seconds,
                against=against,
                against_seconds=against_seconds,
                limit=limit,
            )


def sizes(checkout: Path, plain: Path) -> str:
    """How much there is to look at."""
    told = run(["git", "cat-file", "--batch-all-objects", "--batch-check=%(objecttype) %(objectsize)"], checkout)
    objects = [line.split() for line in told.decode().splitlines()]
    history = sum(int(size) for kind, size in objects if kind == "blob")
    kept = sum(file.stat().st_size for file in (checkout / ".git").rglob("*.pack"))
    files = [file.stat().st_size for file in plain.rglob("*") if file.is_file()]
    tree = f"{len(files)} files of {sum(files) / 1e6:.0f} MB"
    return f"{history / 1e6:.0f} MB of content in a pack of {kept / 1e6:.0f} MB; in the tree {tree}"


class Cost(NamedTuple):
    """Seconds."""

    wall: float
    cpu: float
    """Of this process and of those it started."""


def cost(work: Callable[[], object]) -> Cost:
    """What one call takes."""
    wall, before = time.perf_counter(), os.times()
    work()
    wall, after = time.perf_counter() - wall, os.times()
    return Cost(wall, sum(after[:4]) - sum(before[:4]))


def audit(checkout: Path, cache_dir: Path | None) -> SecretScan:
    """What a check gets, from a connector of its own."""
    connector = RepositoryConnector(Ledger(), Sealer(b"bench", Redactor()), cache_dir=cache_dir)
    try:
        return connector.secrets(Repository(name="bench", path=str(checkout), history_depth=1_000_000))
    finally:
        connector.close()


def scanner(checkout: Path, plain: Path, home: Path) -> None:
    """What a user would type."""
    common = ["--no-banner", "--log-level=error", "--output=-", "--exit-code=0"]
    run([find_scanner(), "git", ".", *common], checkout, home=home)
    run([find_scanner(), "fs", ".", *common], plain, home=home)


def run(command: list[str], folder: Path, *, home: Path = Path(os.devnull)) -> bytes:
    """Run a program to its end; what it wrote."""
    environ = {**ENVIRON, "HOME": str(home)}
    return subprocess.run(command, cwd=folder, env=environ, check=True, capture_output=True).stdout


if __name__ == "__main__":
    sys.exit(main())
