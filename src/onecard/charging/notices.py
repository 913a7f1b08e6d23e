"""What subscribers are to be told by text: an outbox, and the watch over accounts that run low.

A notice is written in the transaction that causes it; a job of any node tells it, once. Charges are too many, and too
quick, to ask of each whether somebody must be warned: a node notes which accounts it charged, and `look_at_accounts`
looks at them all a moment later. What a crash forgets is looked at with the next charge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

import asyncpg

from onecard.database.pool import Connection
from onecard.values.money import Money

TOLD_AGAIN_AFTER = timedelta(minutes=1)
"""How long a node has to tell a notice, and how long it waits when the text could not be sent."""
TOLD_MOST = 100
STALE_AFTER = timedelta(days=2)
"""A notice that could not be told for so long is of no use any more."""
EXPIRY_WARNING = timedelta(days=3)


class NoticeKind(Enum):
    """What a subscriber is told."""

    LOW_BALANCE = "low_balance"
    ALLOWANCE_USED = "allowance_used"
    """Four fifths of it."""
    ALLOWANCE_USED_UP = "allowance_used_up"
    ALLOWANCE_EXPIRES = "allowance_expires"
    PLAN_RENEWS = "plan_renews"
    PLAN_RENEWED = "plan_renewed"
    PLAN_RENEWED_FREE = "plan_renewed_free"
    """Under an order to stop."""
    PLAN_NOT_RENEWED = "plan_not_renewed"
    PLAN_ENDED = "plan_ended"
    PAYEE_CHANGED = "payee_changed"
    """Of a refund; `payments` writes it."""
    PLAN_STOPPED = "plan_stopped"
    """An order to stop has ended renewals."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice that is due to a card. `parameters` by kind are what their writers here put in."""

    part: int
    id: int
    card_id: int
    kind: NoticeKind
    parameters: dict[str, Any]


INSERT = """
INSERT INTO notice (part, card_id, kind, parameters, written_at, due_at) VALUES ($1, $2, $3, $4, $5, $5)"""
CLAIM = """
WITH due AS (
    SELECT id FROM notice WHERE part = $1 AND closed_at IS NULL AND due_at <= $2
    ORDER BY due_at LIMIT $4 FOR UPDATE SKIP LOCKED
)
UPDATE notice n SET due_at = $3 FROM due WHERE n.part = $1 AND n.id = due.id
RETURNING n.part, n.id, n.card_id, n.kind, n.parameters"""
CLOSE = """
UPDATE notice SET closed_at = $3, told_at = CASE WHEN $4 THEN $3::timestamptz END
WHERE part = $1 AND id = $2 AND closed_at IS NULL"""
CLOSE_STALE = "UPDATE notice SET closed_at = $3 WHERE part = $1 AND closed_at IS NULL AND written_at < $2"
PURGE = "DELETE FROM notice WHERE part = $1 AND closed_at < $2"

# The first card of the account that has not ended is told.
_CARD = """
JOIN LATERAL (SELECT id FROM card WHERE part = $1 AND account_id = x.account_id AND state <> 'ended'
              ORDER BY id LIMIT 1) c ON true"""
FORGET_LOW = """
DELETE FROM low_balance l USING account a
WHERE l.part = $1 AND l.account_id = ANY ($2) AND a.part = $1 AND a.id = l.account_id
  AND a.available + a.held >= $3"""
NOTICE_LOW = f"""
WITH x AS (
    INSERT INTO low_balance (part, account_id, told_at)
    SELECT part, id, $3 FROM account
    WHERE part = $1 AND id = ANY ($2) AND role = 'subscriber' AND closed_at IS NULL
      AND currency = $5 AND available + held < $4
    ON CONFLICT DO NOTHING RETURNING account_id
)
INSERT INTO notice (part, card_id, kind, parameters, written_at, due_at)
SELECT $1, c.id, '{NoticeKind.LOW_BALANCE.value}',
       jsonb_build_object('micros', a.available, 'currency', a.currency), $3, $3
FROM x JOIN account a ON a.part = $1 AND a.id = x.account_id {_CARD}"""  # noqa: S608  # constants only
NOTICE_USED = f"""
WITH x AS (
    UPDATE allowance a
    SET told_percent = CASE WHEN u.available + u.held = 0 THEN 100 ELSE 80 END
    FROM account u
    WHERE a.part = $1 AND a.unit_account_id = ANY ($2) AND a.closed_at IS NULL
      AND u.part = $1 AND u.id = a.unit_account_id AND (u.available + u.held) * 5 <= a.granted
      AND a.told_percent < CASE WHEN u.available + u.held = 0 THEN 100 ELSE 80 END
    RETURNING a.account_id, a.usage, a.granted, a.overage, a.expires_at, u.available + u.held AS left_units
)
INSERT INTO notice (part, card_id, kind, parameters, written_at, due_at)
SELECT $1, c.id, CASE WHEN x.left_units = 0 THEN '{NoticeKind.ALLOWANCE_USED_UP.value}'
                      ELSE '{NoticeKind.ALLOWANCE_USED.value}' END,
       jsonb_build_object('usage', x.usage, 'granted', x.granted, 'left', x.left_units, 'overage', x.overage,
                          'expires_at', x.expires_at), $3, $3
FROM x {_CARD}"""  # noqa: S608  # constants only
NOTICE_EXPIRING = f"""
WITH x AS (
    UPDATE allowance a SET told_expiry = true
    FROM account u
    WHERE a.part = $1 AND a.closed_at IS NULL AND a.expires_at > $2 AND a.expires_at <= $3 AND NOT a.told_expiry
      AND u.part = $1 AND u.id = a.unit_account_id AND u.available > 0
    RETURNING a.account_id, a.usage, a.expires_at, u.available
)
INSERT INTO notice (part, card_id, kind, parameters, written_at, due_at)
SELECT $1, c.id, '{NoticeKind.ALLOWANCE_EXPIRES.value}',
       jsonb_build_object('usage', x.usage, 'left', x.available, 'expires_at', x.expires_at), $2, $2
FROM x {_CARD}"""  # noqa: S608  # constants only


async def write_notice(
    connection: Connection,
    at: datetime,
    *,
    part: int,
    card_id: int,
    kind: NoticeKind,
    parameters: dict[str, Any],
) -> None:
    """Put a notice into the outbox, in the transaction that causes it."""
    await connection.execute(INSERT, part, card_id, kind.value, parameters, at)


async def claim_notices(connection: Connection, part: int, at: datetime) -> list[Notice]:
    """Take notices that are due, for a minute: one that is not closed until then is due again, to any node."""
    rows = await connection.fetch(CLAIM, part, at, at + TOLD_AGAIN_AFTER, TOLD_MOST)
    return [_notice(row) for row in rows]


async def close_notice(connection: Connection, notice: Notice, at: datetime, *, told: bool) -> None:
    """A notice was told, or nobody is there to be told."""
    await connection.execute(CLOSE, notice.part, notice.id, at, told)


async def tidy_notices(connection: Connection, part: int, at: datetime, keep: timedelta) -> None:
    """Give up notices that came too late, and forget those that were closed long ago."""
    await connection.execute(CLOSE_STALE, part, at - STALE_AFTER, at)
    await connection.execute(PURGE, part, at - keep)


async def look_at_accounts(
    connection: Connection, part: int, at: datetime, account_ids: Sequence[int], low_balance: Money | None
) -> None:
    """Write notices for those of the accounts that ran low, and for allowances that are mostly or all used.

    Once each: until the balance, with what is held of it, is no longer below `low_balance`.
    """
    ids = list(account_ids)
    if low_balance is not None:
        await connection.execute(FORGET_LOW, part, ids, low_balance.micros)
        await connection.execute(NOTICE_LOW, part, ids, at, low_balance.micros, low_balance.currency)
    await connection.execute(NOTICE_USED, part, ids, at)


async def warn_of_expiry(connection: Connection, part: int, at: datetime) -> None:
    """Write notices for gifts of which something is left that expires soon. What a plan gives, it gives again."""
    await connection.execute(NOTICE_EXPIRING, part, at, at + EXPIRY_WARNING)


def _notice(row: asyncpg.Record) -> Notice:
    return Notice(row["part"], row["id"], row["card_id"], NoticeKind(row["kind"]), row["parameters"])
