"""What the host of a repository knows of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from quub_audit.facts.artifacts import Scan, ScanFinding


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretAlert:
    """One open alert on a credential; its value is never asked for."""

    number: int
    kind: str
    """The host's name of what it is: `aws_access_key_id`."""
    validity: str = ""
    """`active`, `inactive` or `unknown`, as the host found when it tried it; empty where it did not."""
    is_publicly_leaked: bool = False
    is_bypassed: bool = False
    """Somebody pushed it although the push was blocked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretAlerts:
    """Secret scanning of one repository by its host."""

    project: str
    is_enabled: bool
    is_push_protected: bool | None = None
    """None where the token is not told: that takes an administrator's."""
    open: tuple[SecretAlert, ...] = ()
    """By number."""
    closed: tuple[tuple[str, int], ...] = ()
    """How many alerts were closed, by the reason that was given (`revoked`, `false_positive`), sorted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DependencyAlerts:
    """What Dependabot says of the packages on the default branch of one repository."""

    project: str
    is_enabled: bool
    findings: tuple[ScanFinding, ...] = ()
    """Those that are open, and with their acceptance (`reason` as the host has it) those that were dismissed. `subject`
    is a package without its version, `file` the manifest that brings it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeScanning:
    """Analyses of one repository's code that were sent to its host."""

    project: str
    is_enabled: bool
    scans: tuple[Scan, ...] = ()
    """Of the audited commit alone: the newest of each tool and category. What was dismissed there is accepted."""
    newest_commit: str = ""
    newest_at: datetime | None = None
    """The newest analysis, whatever its commit; empty and None where nothing was ever analysed."""
