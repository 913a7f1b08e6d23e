"""The rows of legal holds."""

from __future__ import annotations

from datetime import datetime

import asyncpg

from onecard.database.pool import Connection
from onecard.legal_holds.model import LegalHold

_HOLD = """
SELECT id, reason, added_at, added_by, lift_asked_at, lift_asked_by, lifted_at, lifted_by FROM legal_hold"""
INSERT = "INSERT INTO legal_hold (reason, added_at, added_by) VALUES ($1, $2, $3) RETURNING id"
LOCK = f"{_HOLD} WHERE id = $1 FOR UPDATE"
LIST = f"{_HOLD} ORDER BY id"
ASK_TO_LIFT = "UPDATE legal_hold SET lift_asked_at = $2, lift_asked_by = $3 WHERE id = $1"
LIFT = "UPDATE legal_hold SET lifted_at = $2, lifted_by = $3 WHERE id = $1"
# A hold that is added waits for all who destroy just now; those do not wait for each other. The next batch finds it.
TAKE_TURN = "SELECT pg_advisory_xact_lock(hashtextextended('legal_hold', 0))"
SHARE_TURN = "SELECT pg_advisory_xact_lock_shared(hashtextextended('legal_hold', 0))"
IS_HELD = "SELECT EXISTS (SELECT FROM legal_hold WHERE lifted_at IS NULL)"


async def insert_hold(connection: Connection, reason: str, at: datetime, actor: str) -> LegalHold:
    await connection.execute(TAKE_TURN)
    return LegalHold(await connection.fetchval(INSERT, reason, at, actor), reason, at, actor)


async def lock_hold(connection: Connection, hold_id: int) -> LegalHold | None:
    return _hold(await connection.fetchrow(LOCK, hold_id))


async def list_holds(connection: Connection) -> tuple[LegalHold, ...]:
    """All of them, also those that were lifted."""
    return tuple(LegalHold(**row) for row in await connection.fetch(LIST))


async def is_held(connection: Connection) -> bool:
    """Whether any is in force; until the caller's transaction ends none can be added."""
    await connection.execute(SHARE_TURN)
    held: bool = await connection.fetchval(IS_HELD)
    return held


async def ask_to_lift(connection: Connection, hold_id: int, at: datetime, actor: str) -> None:
    await connection.execute(ASK_TO_LIFT, hold_id, at, actor)


async def lift(connection: Connection, hold_id: int, at: datetime, actor: str) -> None:
    await connection.execute(LIFT, hold_id, at, actor)


def _hold(row: asyncpg.Record | None) -> LegalHold | None:
    return None if row is None else LegalHold(**row)
