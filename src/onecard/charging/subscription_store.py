"""The rows of subscriptions."""

from __future__ import annotations

from datetime import datetime, timedelta

import asyncpg

from onecard.charging.periods import Subscription, SubscriptionState
from onecard.database.pool import Connection

POSTPONED_BY = timedelta(hours=1)

NEXT_ID = "SELECT nextval('subscriber_row_id')"
INSERT = """
INSERT INTO subscription (part, id, account_id, card_id, plan, next_plan, state, ends, renewal_day, period, renews_on,
                          reserved_micros, reserves, warned, tried_at, ended_at, due_at, started_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)"""
UPDATE = """
UPDATE subscription
SET plan = $5, next_plan = $6, state = $7, ends = $8, renewal_day = $9, period = $10, renews_on = $11,
    reserved_micros = $12, reserves = $13, warned = $14, tried_at = $15, ended_at = $16, due_at = $17
WHERE part = $1 AND id = $2 AND account_id = $3 AND card_id = $4"""
FIND_LIVE = "SELECT * FROM subscription WHERE part = $1 AND card_id = $2 AND state <> 'ended'"
LOCK_LIVE = f"{FIND_LIVE} FOR UPDATE"
FIND_DUE = """
SELECT id FROM subscription WHERE part = $1 AND state <> 'ended' AND due_at <= $2 ORDER BY due_at LIMIT 1
FOR UPDATE SKIP LOCKED"""
LOCK_DUE = """
SELECT * FROM subscription WHERE part = $1 AND id = $2 AND state <> 'ended' AND due_at <= $3
FOR UPDATE SKIP LOCKED"""
POSTPONE = "UPDATE subscription SET due_at = $3 WHERE part = $1 AND id = $2 AND state <> 'ended'"
LIST_OF_CARD = "SELECT * FROM subscription WHERE part = $1 AND card_id = $2 ORDER BY id"
IS_CARD_ENDED = "SELECT state = 'ended' FROM card WHERE part = $1 AND id = $2"
CALL_UP_THOSE_OF_ENDED_CARDS = """
UPDATE subscription s SET due_at = $2 FROM card c
WHERE s.part = $1 AND s.state <> 'ended' AND s.due_at > $2 AND c.part = $1 AND c.id = s.card_id AND c.state = 'ended'"""
EXPIRE_ALLOWANCES = """
UPDATE allowance SET expires_at = $3
WHERE part = $1 AND account_id = $4 AND subscription_id = $2 AND closed_at IS NULL AND expires_at > $3"""


async def next_id(connection: Connection) -> int:
    new_id: int = await connection.fetchval(NEXT_ID)
    return new_id


async def insert(connection: Connection, subscription: Subscription, due_at: datetime) -> None:
    await connection.execute(INSERT, *_columns(subscription, due_at), subscription.started_at)


async def update(connection: Connection, subscription: Subscription, due_at: datetime) -> None:
    """Write down what a subscription has become, and when there is something to do next."""
    await connection.execute(UPDATE, *_columns(subscription, due_at))


async def find_live(connection: Connection, part: int, card_id: int) -> Subscription | None:
    """The subscription of a card that has not ended."""
    return _maybe(await connection.fetchrow(FIND_LIVE, part, card_id))


async def lock_live(connection: Connection, part: int, card_id: int) -> Subscription | None:
    return _maybe(await connection.fetchrow(LOCK_LIVE, part, card_id))


async def find_due(connection: Connection, part: int, at: datetime) -> int | None:
    """The id of the subscription that is due the longest, and that nobody works on."""
    found: int | None = await connection.fetchval(FIND_DUE, part, at)
    return found


async def lock_due(
    connection: Connection, part: int, subscription_id: int, at: datetime
) -> Subscription | None:
    """Take hold of a subscription if it is still due and nobody else works on it."""
    return _maybe(await connection.fetchrow(LOCK_DUE, part, subscription_id, at))


async def postpone(connection: Connection, part: int, subscription_id: int, at: datetime) -> None:
    """Leave one for a while."""
    await connection.execute(POSTPONE, part, subscription_id, at + POSTPONED_BY)


async def list_of_card(connection: Connection, part: int, card_id: int) -> list[Subscription]:
    """All of a card, the ended ones too, the oldest first."""
    return [_read(row) for row in await connection.fetch(LIST_OF_CARD, part, card_id)]


async def is_card_ended(connection: Connection, part: int, card_id: int) -> bool:
    ended: bool = await connection.fetchval(IS_CARD_ENDED, part, card_id)
    return ended


async def call_up_those_of_ended_cards(connection: Connection, part: int, at: datetime) -> None:
    """Let the subscriptions of cards that have ended be due: they end."""
    await connection.execute(CALL_UP_THOSE_OF_ENDED_CARDS, part, at)


async def expire_allowances(connection: Connection, subscription: Subscription, at: datetime) -> None:
    """The allowances that a subscription gave are of no use from now on."""
    await connection.execute(
        EXPIRE_ALLOWANCES, subscription.part, subscription.id, at, subscription.account_id
    )


def _columns(subscription: Subscription, due_at: datetime) -> tuple[object, ...]:
    return (
        subscription.part,
        subscription.id,
        subscription.account_id,
        subscription.card_id,
        subscription.plan,
        subscription.next_plan,
        subscription.state.value,
        subscription.ends,
        subscription.renewal_day,
        subscription.period,
        subscription.renews_on,
        subscription.reserved_micros,
        subscription.reserves,
        subscription.warned,
        subscription.tried_at,
        subscription.ended_at,
        due_at,
    )


def _maybe(row: asyncpg.Record | None) -> Subscription | None:
    return None if row is None else _read(row)


def _read(row: asyncpg.Record) -> Subscription:
    return Subscription(
        row["part"],
        row["id"],
        row["account_id"],
        row["card_id"],
        row["plan"],
        row["next_plan"],
        SubscriptionState(row["state"]),
        row["ends"],
        row["renewal_day"],
        row["period"],
        row["renews_on"],
        row["reserved_micros"],
        row["reserves"],
        row["warned"],
        row["tried_at"],
        row["started_at"],
        row["ended_at"],
    )
