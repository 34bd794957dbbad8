"""What a Vault server tells of a secret without telling the secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretVersion:
    """One version of a KV version 2 secret."""

    number: int
    created_at: datetime
    deleted_at: datetime | None = None
    is_destroyed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultSecret:
    """Metadata of one KV secret."""

    path: str
    """`mount/path`, without `data` or `metadata`."""
    kv_version: int
    """1 or 2; version 1 keeps neither versions nor dates."""
    current_version: int = 0
    """0 when there is no version, and for KV version 1."""
    versions: tuple[SecretVersion, ...] = ()
    """Oldest first."""
    custom_metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def current(self) -> SecretVersion | None:
        """The current version, if it exists."""
        return next((version for version in self.versions if version.number == self.current_version), None)
