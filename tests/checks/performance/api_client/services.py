"""Repositories with clients of HTTP APIs, and the items audited on them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quub_audit.demo.authority import make_pin
from quub_audit.demo.repository import build
from quub_audit.model.environment import Environment, Repository
from quub_audit.model.result import ItemResult
from quub_audit.model.status import FindingStatus, Grade
from quub_audit.testing import audit_item
from tests.worlds.checkout import Checkout

PASS, FAIL, ERROR, WARNING = FindingStatus.PASS, FindingStatus.FAIL, FindingStatus.ERROR, FindingStatus.WARNING


def audit(item: str, *repositories: Path, **parameters: Any) -> ItemResult:
    """The item `performance.api-client.<item>`, audited on these repositories."""
    environment = Environment(
        service="quub-app",
        name="production",
        stage="production",
        repositories=tuple(Repository(name=path.name, path=str(path)) for path in repositories),
    )
    return audit_item(
        f"performance.api-client.{item}", environment, min_evidence=Grade.REPOSITORY, parameters=parameters
    )


def committed(folder: Path, files: Mapping[str, str | bytes | None]) -> Path:
    """A git repository `app` in `folder` with one commit of these files."""
    checkout = Checkout(folder / "app")
    checkout.commit(files)
    return checkout.path


def sample_service(folder: Path, *, healthy: bool = True) -> Path:
    """The sample service in its sound or its faulty state."""
    return build(folder / "quub-app", healthy=healthy, pins=(make_pin("in use"), make_pin("in reserve")))


def told(result: ItemResult) -> list[tuple[str, str]]:
    """Kind and place of each finding, in order."""
    return [
        (finding.kind, f"{finding.location.file}:{finding.location.line}" if finding.location else "")
        for finding in result.findings
    ]
