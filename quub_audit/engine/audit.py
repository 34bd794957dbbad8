"""One audit from plan to result: verify the targets, run, fold, redact."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from quub_audit.connectors.base import DEADLINE, Deadline, Ledger
from quub_audit.connectors.evidence import digest
from quub_audit.engine.collect import Circumstances, Gate, collect
from quub_audit.engine.execute import Observer, Run, execute
from quub_audit.engine.plan import Plan
from quub_audit.engine.redact import redact
from quub_audit.facts.seal import Redactor
from quub_audit.model.dispensation import Attestation, Waiver
from quub_audit.model.result import EvidenceReference, Result
from quub_audit.model.status import Severity


class Surroundings(Protocol):
    """What an audit needs of the world it looks at; `quub_audit.connectors.world.World` is the real one."""

    @property
    def ledger(self) -> Ledger:
        """Every question of the run."""

    @property
    def redactor(self) -> Redactor:
        """Every secret that the run touched."""

    def connector(self, protocol: type) -> object:
        """The implementation of a connector Protocol."""

    def verify_targets(self) -> tuple[str, ...]:
        """Raises WrongTarget; otherwise says in words what is audited."""

    def close(self) -> None:
        """End what still runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a run is carried out and judged."""

    jobs: int = 16
    check_timeout_s: float = 60.0
    deadline_s: float = 900.0
    fail_on: Severity = Severity.LOW
    gate: Gate = "all"
    commit: str = ""
    tool_version: str
    waivers: tuple[Waiver, ...] = ()
    attestations: tuple[Attestation, ...] = ()
    baseline: Result | None = None


def audit(
    plan: Plan,
    world: Surroundings,
    settings: Settings,
    *,
    clock: Callable[[], datetime],
    stop: threading.Event | None = None,
    observer: Observer | None = None,
) -> Result:
    """Carry out `plan` and judge it. From the moment the targets are verified, a result always comes back.

    The deadline of the run bounds the verification too. Raises WrongTarget when an account is not the declared one;
    `world` is closed in any case.
    """
    started_at = clock()
    ends_at = time.monotonic() + settings.deadline_s
    try:
        targets = _verified(world, settings.deadline_s)
        run: Run = execute(
            plan,
            world,
            jobs=settings.jobs,
            check_timeout_s=settings.check_timeout_s,
            deadline_s=settings.deadline_s,
            ends_at=ends_at,
            stop=stop,
            observer=observer,
        )
    finally:
        world.close()
    evidence_digest, questions = digest(world.ledger, world.redactor)
    result = collect(
        plan,
        run,
        Circumstances(
            today=started_at.date(),
            started_at=started_at,
            finished_at=clock(),
            commit=settings.commit,
            tool_version=settings.tool_version,
            evidence=EvidenceReference(digest=evidence_digest, questions=questions),
            targets=targets,
            fail_on=settings.fail_on,
            gate=settings.gate,
            waivers=settings.waivers,
            attestations=settings.attestations,
            baseline=settings.baseline,
        ),
    )
    return redact(result, world.redactor)


def _verified(world: Surroundings, deadline_s: float) -> tuple[str, ...]:
    token = DEADLINE.set(Deadline(deadline_s))
    try:
        return world.verify_targets()
    finally:
        DEADLINE.reset(token)
