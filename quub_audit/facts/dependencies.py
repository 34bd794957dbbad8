"""What a repository depends on, as its lock files say."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One file that says what is installed."""

    path: str
    """Relative to the repository."""
    ecosystem: str
    """purl's name: `npm`, `pypi`, `golang`, `maven`, `gem`; `docker` for what an image is built of."""
    packages: tuple[str, ...] = ()
    """Each by purl with its version, once, in order. None for an image."""
    unread: tuple[str, ...] = ()
    """What of it cannot be judged by a version, and why."""

    @property
    def is_requirements(self) -> bool:
        """Whether it is a file of requirements, which pip-audit reads."""
        return self.ecosystem == "pypi" and self.path.endswith(".txt")
