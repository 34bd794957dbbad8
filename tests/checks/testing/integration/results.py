"""Results of tests as the items get them: the kept files of real runs, and cases in memory."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from quub_audit.model.environment import Artifact, Environment
from quub_audit.model.result import ItemResult
from quub_audit.model.status import Grade
from quub_audit.sdk import TestCase
from quub_audit.testing import audit_item
from tests.parsers.sources import DATA

COMMIT = "c" * 40
AT = datetime(2026, 11, 25, 12, tzinfo=UTC)
"""A day after the kept files were made."""


def artifact(*files: str, purpose: Any = "integration-tests", name: str = "", commit: str = COMMIT) -> Artifact:
    """Kept files of `tests/parsers/data`, or absolute paths."""
    return Artifact(
        name=name or purpose,
        purpose=purpose,
        files=tuple(file if file.startswith("/") else str(DATA / file) for file in files),
        commit=commit,
    )


def environment(*artifacts: Artifact, **targets: Any) -> Environment:
    return Environment(service="orders", name="production", stage="production", artifacts=artifacts, **targets)


def audited(item: str, target: Environment, **how: Any) -> ItemResult:
    """The item as the checklist floors it, a day after the kept files were made."""
    return audit_item(item, target, **{"min_evidence": Grade.ARTIFACT, "at": AT, "commit": COMMIT, **how})


def case(name: str, outcome: Any = "passed", *tags: str, suite: str = "orders", **more: Any) -> TestCase:
    return TestCase(suite=suite, name=name, outcome=outcome, tags=tags, **more)
