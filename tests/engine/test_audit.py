"""One audit: the deadline of the run holds from its first question to its last."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from quub_audit.connectors.base import seconds_left
from quub_audit.connectors.world import World
from quub_audit.engine.audit import Settings, audit
from quub_audit.model.result import Result
from quub_audit.model.status import Status, Verdict
from tests.engine.test_execute import NOON, Plugins


class Verified(World):
    """A world whose targets are verified by `verify`."""

    verify: Callable[[], None]

    def verify_targets(self) -> tuple[str, ...]:
        self.verify()
        return super().verify_targets()


def audited(folder: Path, verify: Callable[[], None], *, deadline_s: float) -> Result:
    plugins = Plugins(folder)
    plugins.add(
        "good",
        """
        @check("Good", each=Endpoint)
        def endpoint(subject: Endpoint):
            return Finding.of(True, subject="x", observed="good", expected="good")
        """,
    )
    plan = plugins.plan("good")
    world = Verified(plan.environment, at=NOON)
    world.verify = verify
    return audit(
        plan, world, Settings(tool_version="0", deadline_s=deadline_s), clock=lambda: datetime(2026, 11, 23, tzinfo=UTC)
    )


def test_a_target_may_be_verified_no_longer_than_the_run_may_last(tmp_path: Path) -> None:
    left: list[float] = []

    result = audited(tmp_path, lambda: left.append(seconds_left(at_most=1000)), deadline_s=60)

    assert 0 < left[0] <= 60
    assert result.verdict is Verdict.READY


def test_a_run_whose_time_went_to_the_verification_is_cut_short(tmp_path: Path) -> None:
    result = audited(tmp_path, lambda: time.sleep(0.2), deadline_s=0.1)

    assert result.verdict is Verdict.INCONCLUSIVE
    assert [item.status for item in result.items] == [Status.ERROR]
    assert "not finished: the run's 0.1 s were used up" in result.items[0].reason
