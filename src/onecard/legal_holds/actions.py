"""Add and lift legal holds. Every action is one transaction, or a part of its caller's."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from onecard import audit
from onecard.database.pool import Connection
from onecard.legal_holds import store
from onecard.legal_holds.model import LegalHold, LegalHoldRefusal

REASON_LENGTH_MOST = 200


async def add_hold(
    connection: Connection, at: datetime, *, actor: str, reason: str
) -> LegalHold | LegalHoldRefusal:
    """From now on nothing is destroyed. `reason` names the case: no names of persons."""
    if not 0 < len(reason.strip()) <= REASON_LENGTH_MOST or not reason.isprintable():
        return LegalHoldRefusal.BAD_REASON
    async with connection.transaction():
        hold = await store.insert_hold(connection, reason.strip(), at, actor)
        await _record(connection, at, actor, "add_legal_hold", hold)
    return hold


async def lift_hold(
    connection: Connection, at: datetime, *, actor: str, hold_id: int
) -> LegalHold | LegalHoldRefusal:
    """Lift a hold, of which `lifted_at` tells: the first person asks for it, and a second one does it."""
    async with connection.transaction():
        hold = await store.lock_hold(connection, hold_id)
        if hold is None:
            return LegalHoldRefusal.UNKNOWN_HOLD
        if hold.lifted_at is not None:
            return LegalHoldRefusal.LIFTED_ALREADY
        if hold.lift_asked_by is None:
            await store.ask_to_lift(connection, hold_id, at, actor)
            await _record(connection, at, actor, "ask_to_lift_legal_hold", hold)
            return replace(hold, lift_asked_at=at, lift_asked_by=actor)
        if hold.lift_asked_by == actor:
            return LegalHoldRefusal.SAME_PERSON
        await store.lift(connection, hold_id, at, actor)
        await _record(connection, at, actor, "lift_legal_hold", hold)
    return replace(hold, lifted_at=at, lifted_by=actor)


async def _record(connection: Connection, at: datetime, actor: str, action: str, hold: LegalHold) -> None:
    await audit.record(connection, at, actor=actor, action=action, subject=f"legal_hold:{hold.id}")
