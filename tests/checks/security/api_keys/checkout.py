"""Git repositories of the tests of this group."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

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

    def git(self, *arguments: str) -> None:
        """Run git here, without the configuration of the machine."""
        subprocess.run(
            ["git", *IDENTITY, *arguments],
            cwd=self.path,
            check=True,
            capture_output=True,
            timeout=60,
            env={"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": str(self.path), "GIT_CONFIG_NOSYSTEM": "1"},
        )

    def commit(self, files: Mapping[str, str | None]) -> None:
        """Write (or, for None, delete) files and commit everything."""
        if not self.path.exists():
            self.path.mkdir()
            self.git("init", "--quiet", "--initial-branch=main")
        for name, text in files.items():
            file = self.path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                file.unlink()
            else:
                file.write_text(text, encoding="utf-8")
        self.git("add", "--all", "--force")
        self.git("commit", "--quiet", "--message", "A change")

    def shallow(self) -> Checkout:
        """A clone of the last commit alone."""
        clone = Checkout(self.path.with_name("shallow"))
        self.git("clone", "--quiet", "--depth=1", self.path.as_uri(), str(clone.path))
        return clone
