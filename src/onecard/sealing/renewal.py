"""Wrap every data key by the key of a new period, and destroy the keys of those before.

From then on no copy of the database that was made before opens, not even with all keys that are left. It is done page
by page, and may be broken off and begun again at any time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from onecard.database.parts import list_parts
from onecard.database.pool import Connection
from onecard.sealing import body_keys, lookup_key, subscriber_keys
from onecard.sealing.keys import WRAPPED_IN_PERIOD, MasterKey
from onecard.sealing.periods import PeriodKeys
from onecard.sealing.turns import TAKE_TURN, find_present_period

PAGE_MOST = 1000

_RENEWAL = "SELECT period, started_at, started_by, ended_at, destroyed FROM key_renewal"
FIND_OPEN = f"{_RENEWAL} WHERE ended_at IS NULL ORDER BY period DESC LIMIT 1"
FIRST_AFTER = f"""
{_RENEWAL} WHERE started_at >= $1 AND ended_at IS NOT NULL AND destroyed <> '[]' ORDER BY ended_at LIMIT 1"""
INSERT = "INSERT INTO key_renewal (period, started_at, started_by, destroyed) VALUES ($1, $2, $3, $4)"
FIRST_ENDED = "SELECT min(ended_at) FROM key_renewal"
END = "UPDATE key_renewal SET ended_at = $2 WHERE period = $1"

PAGE_OF_SUBSCRIBERS = """
SELECT subscriber_id AS id, wrapped FROM subscriber_key WHERE part = $1 AND subscriber_id > $2
ORDER BY subscriber_id LIMIT $3 FOR UPDATE"""
SAVE_OF_SUBSCRIBERS = """
UPDATE subscriber_key k SET wrapped = fresh.wrapped FROM unnest($2::bigint[], $3::bytea[]) AS fresh(id, wrapped)
WHERE k.part = $1 AND k.subscriber_id = fresh.id"""
LIST_DAYS = "SELECT day, wrapped FROM body_key ORDER BY day FOR UPDATE"
LOCK_LOOKUP = "SELECT wrapped FROM lookup_key FOR UPDATE"
SAVE_LOOKUP = "UPDATE lookup_key SET wrapped = $1"
SAVE_DAY = "UPDATE body_key SET wrapped = $2 WHERE day = $1"
COUNT_OTHERS_OF_SUBSCRIBERS = """
SELECT count(*) FROM subscriber_key WHERE part = $1 AND substring(wrapped FROM 1 FOR 5) <> $2"""
COUNT_OTHERS = """
SELECT (SELECT count(*) FROM body_key WHERE substring(wrapped FROM 1 FOR 5) <> $1)
     + (SELECT count(*) FROM lookup_key WHERE substring(wrapped FROM 1 FOR 5) <> $1)"""


@dataclass(frozen=True, slots=True)
class Renewal:
    """A new period begins. `destroyed`: the former ones, and the SHA-256 of the key of each."""

    period: int
    started_at: datetime
    started_by: str
    ended_at: datetime | None
    """Since when the former keys are gone."""
    destroyed: Mapping[int, str]


async def begin_first_period(connection: Connection, periods: PeriodKeys, at: datetime, actor: str) -> None:
    """Let the key of the first period, made here if need be, wrap what is new in a database that has none yet."""
    async with connection.transaction():
        await connection.execute(TAKE_TURN)
        if await find_present_period(connection) is None:
            first = periods.newest() or periods.create_next()
            await connection.execute(INSERT, first, at, actor, [])
            await connection.execute(END, first, at)


async def begin_renewal(
    connection: Connection, periods: PeriodKeys, at: datetime, actor: str
) -> Renewal | None:
    """Let a newer period wrap what is new; one that broke off goes on. None: there is no newer key here.

    What goes is named now, while it can be.
    """
    async with connection.transaction():
        await connection.execute(TAKE_TURN)
        broken_off = _renewal(await connection.fetchrow(FIND_OPEN))
        if broken_off is not None:
            return broken_off
        newest = periods.newest()
        if newest is None or newest <= (await find_present_period(connection) or 0):
            return None
        former = {period: periods.fingerprint(period) for period in periods.list_periods() if period < newest}
        rows = [{"period": period, "sha256": fingerprint} for period, fingerprint in former.items()]
        await connection.execute(INSERT, newest, at, actor, rows)
    return Renewal(newest, at, actor, None, former)


async def rewrap_subscriber_keys(
    connection: Connection, master: MasterKey, period: int, part: int, *, after: int = 0
) -> int | None:
    """Move the next page of a part's keys; returns the last subscriber's id, None at the end. One transaction."""
    async with connection.transaction():
        rows = await connection.fetch(PAGE_OF_SUBSCRIBERS, part, after, PAGE_MOST)
        fresh = [
            master.rewrap(row["wrapped"], subscriber_keys.bound_to(part, row["id"]), period) for row in rows
        ]
        await connection.execute(SAVE_OF_SUBSCRIBERS, part, [row["id"] for row in rows], fresh)
    return rows[-1]["id"] if rows else None


async def rewrap_other_keys(connection: Connection, master: MasterKey, period: int) -> None:
    """Move the keys of all days, which are few, and that of look-ups. One transaction."""
    async with connection.transaction():
        wrapped = await connection.fetchval(LOCK_LOOKUP)
        if wrapped is not None:
            fresh = master.rewrap(wrapped, lookup_key.BOUND_TO, period)
            await connection.execute(SAVE_LOOKUP, fresh)
        for row in await connection.fetch(LIST_DAYS):
            fresh = master.rewrap(row["wrapped"], body_keys.bound_to(row["day"]), period)
            await connection.execute(SAVE_DAY, row["day"], fresh)


async def end_renewal(connection: Connection, periods: PeriodKeys, renewal: Renewal, at: datetime) -> bool:
    """Destroy the keys of all former periods; False: some data key was not moved yet, and nothing was done."""
    async with connection.transaction():
        await connection.execute(TAKE_TURN)
        if await _count_others(connection, renewal.period):
            return False
        for period in periods.list_periods():
            if period < renewal.period:
                periods.destroy(period)
        await connection.execute(END, renewal.period, at)
    return True


async def _count_others(connection: Connection, period: int) -> int:
    begins = WRAPPED_IN_PERIOD + period.to_bytes(4, "big")
    count: int = await connection.fetchval(COUNT_OTHERS, begins)
    for part in await list_parts(connection):
        count += await connection.fetchval(COUNT_OTHERS_OF_SUBSCRIBERS, part, begins)
    return count


async def find_renewal_after(connection: Connection, since: datetime) -> Renewal | None:
    """The first renewal that began at an instant or later, and has destroyed the keys of former periods."""
    return _renewal(await connection.fetchrow(FIRST_AFTER, since))


async def find_first_end(connection: Connection) -> datetime | None:
    """Since when no data key is wrapped by the master key alone: earlier copies are not cut off by any renewal."""
    since: datetime | None = await connection.fetchval(FIRST_ENDED)
    return since


def _renewal(row: asyncpg.Record | None) -> Renewal | None:
    if row is None:
        return None
    return Renewal(**{**row, "destroyed": {one["period"]: one["sha256"] for one in row["destroyed"]}})
