"""Gates as tests close them, and an order that is in force."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from onecard.database.pool import Connection
from onecard.values.gate import NO_ORDER, Capability, Closed, Gates
from onecard.winddown import actions
from onecard.winddown.model import Plan, Version
from onecard.winddown.reading import PlanFile
from onecard.winddown.writing import write_plan

SINCE = datetime(2026, 1, 5, 5, tzinfo=UTC)
STAGE = "operations cease"


def closing(*capabilities: Capability) -> Gates:
    """The gates of a service under an order that has closed these."""
    return Gates({**NO_ORDER.closed, **{one: Closed(one, STAGE, SINCE) for one in capabilities}})


async def start_order(connection: Connection, at: datetime, plan: Plan) -> None:
    """Draft a first plan, approve it by two people and start it; its first stage must be still to come."""
    served = replace(plan, order=replace(plan.order, document_sha256="0a" * 32))
    text = write_plan(PlanFile(served, ()))
    steps: list[object] = [await actions.draft_plan(connection, at, actor="staff:alice", text=text)]
    steps += [
        await actions.approve_version(connection, at, actor=actor, number=1)
        for actor in ("staff:alice", "staff:bob")
    ]
    steps.append(await actions.start(connection, at, actor="staff:alice"))
    assert all(isinstance(step, Version) for step in steps), steps
