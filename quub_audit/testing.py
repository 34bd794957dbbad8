"""What our own tests of checks use, for authors of plugins: one item, audited over the real connectors."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from quub_audit.connectors.world import World
from quub_audit.engine.audit import Settings, audit
from quub_audit.engine.plan import make_plan
from quub_audit.model.checklist import Checklist, Item
from quub_audit.model.environment import Environment
from quub_audit.model.result import ItemResult
from quub_audit.model.status import Grade, Severity
from quub_audit.registry import Registry


def audit_item(
    item_id: str,
    environment: Environment,
    *,
    parameters: Mapping[str, Any] | None = None,
    min_evidence: Grade = Grade.CONTROL_PLANE,
    at_least: int = 1,
    check: str = "",
    allow_active: bool = False,
    environ: Mapping[str, str] | None = None,
    at: datetime | None = None,
    checks_dirs: tuple[Path, ...] = (),
    check_timeout_s: float = 60.0,
    commit: str = "",
) -> ItemResult:
    """Audit one item in `environment`, everything real: enumeration, connectors, deadlines, folding.

    `min_evidence` and `at_least` are what a checklist would say; `check` narrows it to one function of the module;
    `environ` stands in for the process environment (credentials); `at` is the time of the audit, now by default;
    `commit` is what is audited, by default what the first repository has checked out.
    Raises what `audit` raises before anything is looked at (WrongTarget and its kin).
    """
    item = Item(
        id=item_id,
        title=item_id.rpartition(".")[2].replace("-", " ").capitalize(),
        section=item_id.split(".")[0].capitalize(),
        group=item_id.split(".")[1].replace("-", " ").capitalize(),
        severity=Severity.HIGH,
        checks=(f"{item_id}/{check}" if check else item_id,),
        parameters=parameters or {},
        min_evidence=min_evidence,
        at_least=at_least,
    )
    moment = at or datetime.now(UTC)
    plan = make_plan(
        Checklist(title="One item", version="1", items=(item,), digest=""),
        environment,
        Registry.discover(checks_dirs),
        today=moment.date(),
        allow_active=allow_active,
    )
    world = World(
        environment,
        at=moment,
        permissions=plan.permissions,
        allow_active=allow_active,
        environ=environ,
        commit=commit,
    )
    settings = Settings(
        check_timeout_s=check_timeout_s,
        deadline_s=max(300.0, check_timeout_s),
        commit=world.audited_commit(),
        tool_version="test",
    )
    return audit(plan, world, settings, clock=lambda: moment).items[0]
