"""Git repositories of tests."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quub_audit.model.environment import Repository

IDENTITY = ("-c", "user.name=A Developer", "-c", "user.email=dev@orders.invalid", "-c", "commit.gpgsign=false")


@dataclass(frozen=True)
class Checkout:
    """One repository; its methods are the developer's."""

    path: Path

    @property
    def target(self) -> Repository:
        """The target as an environment would declare it."""
        return Repository(name="app", path=str(self.path))

    def declared(self, **settings: Any) -> Repository:
        """The target with some of its settings."""
        return Repository(name="app", path=str(self.path), **settings)

    def git(self, *arguments: str) -> str:
        """Run git here, without the configuration of the machine; what it says."""
        done = subprocess.run(
            ["git", *IDENTITY, *arguments],
            cwd=self.path,
            check=True,
            capture_output=True,
            timeout=60,
            env={"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": str(self.path), "GIT_CONFIG_NOSYSTEM": "1"},
        )
        return done.stdout.decode(errors="replace").strip()

    def init(self) -> Checkout:
        """An empty repository."""
        self.path.mkdir(exist_ok=True)
        self.git("init", "--quiet", "--initial-branch=main")
        return self

    def write(self, files: Mapping[str, str | bytes | None]) -> None:
        """Write files, or delete them for None, without a commit."""
        for name, content in files.items():
            file = self.path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                file.unlink()
            elif isinstance(content, bytes):
                file.write_bytes(content)
            else:
                file.write_text(content, encoding="utf-8")

    def commit(self, files: Mapping[str, str | bytes | None]) -> str:
        """Write (or, for None, delete) files and commit everything; the commit's hash."""
        if not self.path.exists():
            self.init()
        self.write(files)
        self.git("add", "--all", "--force")
        self.git("commit", "--quiet", "--message", "A change")
        return self.git("rev-parse", "HEAD")

    def shallow(self) -> Checkout:
        """A clone of the last commit alone."""
        clone = Checkout(self.path.with_name("shallow"))
        self.git("clone", "--quiet", "--depth=1", self.path.as_uri(), str(clone.path))
        return clone
