"""The demo's world and relays before it, each in a process of its own, apart from what is measured."""

from __future__ import annotations

import contextlib
import json
import select
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

START_S = 60
KEPT_IN_AWS = frozenset({"stage", "quub", "aws", "logs", "backups", "not_applicable"})
"""What an environment may declare when AWS alone is to be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """The demo's world as an audit finds it."""

    environments: Path
    environ: dict[str, str]
    address: str
    """Of the emulated AWS."""

    def only_aws(self, address: str) -> Path:
        """An environments.yaml beside it, with the same accounts at `address` and nothing that is asked elsewhere."""
        declared = yaml.safe_load(self.environments.read_text(encoding="utf-8"))
        for environment in declared["environments"].values():
            for kind in environment.keys() - KEPT_IN_AWS:
                del environment[kind]
            for account in environment["aws"]:
                account["endpoint_url"] = address
        file = self.environments.with_name("only-aws.yaml")
        file.write_text(yaml.safe_dump(declared, sort_keys=False), encoding="utf-8")
        return file

    def roles(self) -> dict[str, str]:
        """The role of each account by the account's name."""
        declared = yaml.safe_load(self.environments.read_text(encoding="utf-8"))
        accounts = [account for each in declared["environments"].values() for account in each["aws"]]
        return {account["name"]: account["role_arn"] for account in accounts}


@contextlib.contextmanager
def surroundings(folder: Path) -> Iterator[Surroundings]:
    """The world with its faults, up until exit."""
    with _started("bench.world", str(folder)) as line:
        told: dict[str, Any] = json.loads(line)
        yield Surroundings(environments=Path(told["environments"]), environ=told["environ"], address=told["address"])


@contextlib.contextmanager
def relayed(upstream: str, *, delay_ms: int) -> Iterator[str]:
    """The address of a relay that adds `delay_ms` to every answer."""
    with _started("bench.relay", upstream, str(delay_ms)) as line:
        yield line.strip()


def requests_since(relay: str) -> list[str]:
    """What the relay has handed on since it was last asked, in order."""
    with urllib.request.urlopen(f"{relay}/relayed", timeout=10) as answer:
        asked: list[str] = json.load(answer)
    return asked


@contextlib.contextmanager
def _started(module: str, *arguments: str) -> Iterator[str]:
    child = subprocess.Popen(
        [sys.executable, "-m", module, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout is not None
        if not select.select([child.stdout], [], [], START_S)[0]:
            raise RuntimeError(f"{module} was not up within {START_S} s")
        line = child.stdout.readline()
        if not line:
            raise RuntimeError(f"{module} ended before it was up; its reason stands above")
        yield line
    finally:
        assert child.stdin is not None
        child.stdin.close()
        try:
            child.wait(timeout=20)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
