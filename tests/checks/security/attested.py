"""What a person's word makes of an item that was found undecided, as the shipped checklist has the item."""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import cache

from quub_audit.config.checklist import read_policy
from quub_audit.config.mistakes import Mistakes
from quub_audit.engine.collect import Circumstances, collect
from quub_audit.engine.execute import ItemRun, Run
from quub_audit.engine.plan import Plan, PlannedItem, Selection
from quub_audit.model.checklist import Checklist, Item
from quub_audit.model.dispensation import Attestation
from quub_audit.model.environment import Environment
from quub_audit.model.result import EvidenceReference, ItemResult
from quub_audit.model.status import Status

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@cache
def shipped() -> dict[str, Item]:
    """Items of the shipped checklist for production, by id."""
    return {item.id: item for item in read_policy(None, None, Mistakes()).checklist("production").items}


def settled_by_a_word(found: ItemResult) -> bool:
    """Whether what the engine found undecided passes with a valid attestation."""
    item = shipped()[found.id]
    entry = Attestation(
        item=item.id,
        statement="looked at",
        by="cy",
        performed_on=date(2026, 11, 1),
        expires=date(2027, 5, 1),
        reference="DOC-1",
    )
    planned = PlannedItem(item=item)
    plan = Plan(
        checklist=Checklist(title="T", version="1", items=(item,), digest=""),
        environment=Environment(service="orders", name="production", stage="production"),
        items=(planned,),
        selection=Selection(),
    )
    circumstances = Circumstances(
        today=NOON.date(),
        started_at=NOON,
        finished_at=NOON,
        commit="",
        tool_version="test",
        evidence=EvidenceReference(digest=""),
        attestations=(entry,),
    )
    run = Run(items=(ItemRun(planned=planned, findings=found.findings),))
    return collect(plan, run, circumstances).items[0].status is Status.PASS
