"""How long the search for secrets takes beside the scanner's own commands, on a made-up repository.

    python bench/secrets.py            5,000 files, 15 MB; 6,000 commits, some 300 MB of changed content
    python bench/secrets.py --quick    500 files, 600 commits

Ours and the scanner's own (`betterleaks git` on the repository, then `betterleaks fs` on a plain copy of its tree) run
in turns in this one process; the ratio of the medians is told, and that of a second run of ours on an unchanged
history with a cache. Wanted: at most 1.2, and at most 0.1.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from quub_audit.connectors.base import Ledger
from quub_audit.connectors.repository import RepositoryConnector
from quub_audit.connectors.repository_scanner import find_scanner
from quub_audit.facts.code import SecretScan
from quub_audit.facts.seal import Redactor, Sealer
from quub_audit.model.environment import Repository

WORDS = (
    *("order", "price", "client", "const", "return", "await", "token", "request", "total"),
    *("customer", "export", "function", "account", "value"),
)
ENVIRON = {
    "PATH": os.environ.get("PATH", os.defpath),
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "LC_ALL": "C",
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="a tenth of the size")
    options.add_argument("--rounds", type=int, default=3, help="runs of each; the median counts")
    options.add_argument("--repository", type=Path, help="measure this checkout in place of a made-up one")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="quub-audit-bench-") as made:
        folder = Path(made)
        checkout = chosen.repository or build(folder / "repository", files=500 if chosen.quick else 5000)
        measure(checkout.resolve(), folder, rounds=chosen.rounds)


def build(checkout: Path, *, files: int) -> Path:
    """A repository with `files` files of code, some 3 KB each, and 1.2 commits a file that each change 15 of them."""
    run(["git", "init", "--quiet", "--initial-branch=main", str(checkout)], checkout.parent)
    with subprocess.Popen(
        ["git", "fast-import", "--quiet"], cwd=checkout, env=ENVIRON, stdin=subprocess.PIPE
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


def measure(checkout: Path, folder: Path, *, rounds: int) -> None:
    """Run everything `rounds` times, in turns, and print the medians."""
    plain, cache = folder / "plain", folder / "cache"
    shutil.copytree(checkout, plain, symlinks=True, ignore=shutil.ignore_patterns(".git"))
    scan = audit(checkout, cache)
    print(f"{scan.tool}: {scan.files_scanned} files, {scan.commits_scanned} commits, {len(scan.secrets)} secrets")
    taken: dict[str, list[float]] = {"own": [], "ours": [], "again": []}
    for _ in range(rounds):
        taken["own"].append(seconds(lambda: scanner(checkout, plain)))
        taken["ours"].append(seconds(lambda: audit(checkout, None)))
        taken["again"].append(seconds(lambda: audit(checkout, cache)))
    own, ours, again = (statistics.median(taken[name]) for name in ("own", "ours", "again"))
    print(f"the scanner's own commands  {own:7.2f} s")
    print(f"ours                        {ours:7.2f} s   ratio {ours / own:.2f}, wanted 1.2 or less")
    print(f"ours again, with a cache    {again:7.2f} s   ratio {again / ours:.3f}, wanted 0.1 or less")


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def audit(checkout: Path, cache_dir: Path | None) -> SecretScan:
    """What a check gets, from a connector of its own."""
    connector = RepositoryConnector(Ledger(), Sealer(b"bench", Redactor()), cache_dir=cache_dir)
    try:
        return connector.secrets(Repository(name="bench", path=str(checkout), history_depth=1_000_000))
    finally:
        connector.close()


def scanner(checkout: Path, plain: Path) -> None:
    """What a user would type."""
    common = ["--no-banner", "--log-level=error", "--output=-", "--exit-code=0"]
    run([find_scanner(), "git", ".", *common], checkout)
    run([find_scanner(), "fs", ".", *common], plain)


def run(command: list[str], folder: Path) -> None:
    """Run a program to its end."""
    subprocess.run(command, cwd=folder, env=ENVIRON, check=True, capture_output=True)


if __name__ == "__main__":
    main()
