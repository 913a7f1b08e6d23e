"""The rows of numbers that go back, and what the account of all numbers is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import asyncpg

from onecard.database.pool import Connection
from onecard.lines.model import NumberState
from onecard.portability.model import NumberReturn
from onecard.values.phone import E164, Country

INSERT_RETURN = """
INSERT INTO number_return (holder, count, made_at, made_by) VALUES ($1, $2, $3, $4) RETURNING id"""
# The longest prefix tells the holder of a number. Those in quarantine wait until it is over.
OFFER = """
WITH mine AS (
    SELECT n.msisdn FROM number n
    WHERE (n.state = 'free' OR (n.state = 'quarantined' AND n.until <= $4))
      AND (SELECT h.holder FROM unnest($1::text[], $2::text[]) AS h(prefix, holder)
           WHERE starts_with(n.msisdn, h.prefix) ORDER BY length(h.prefix) DESC LIMIT 1) = $3
    ORDER BY n.msisdn FOR UPDATE OF n
)
SELECT msisdn FROM mine"""
MARK = """
UPDATE number SET state = 'returning', until = NULL, return_id = $2 WHERE msisdn = ANY ($1::text[])"""
_RETURN = "SELECT id, holder, count, made_at, made_by, confirmed_at, confirmed_by FROM number_return"
LOCK_RETURN = f"{_RETURN} WHERE id = $1 FOR UPDATE"
LIST_RETURNS = f"{_RETURN} ORDER BY id"
LIST_NUMBERS = "SELECT msisdn FROM number WHERE return_id = $1 AND msisdn > $2 ORDER BY msisdn LIMIT $3"
CONFIRM_NUMBERS = "UPDATE number SET state = $2, gone_to = $3, gone_at = $4 WHERE return_id = $1"
CONFIRM_RETURN = "UPDATE number_return SET confirmed_at = $2, confirmed_by = $3 WHERE id = $1"

COUNT_NUMBERS = "SELECT country, state, count(*) AS count FROM number GROUP BY country, state"
COUNT_IMPORTED = """
SELECT coalesce(sum((detail->>'count')::bigint), 0)::bigint FROM audit WHERE action = 'import_numbers'"""
LIST_OF_PART = "SELECT msisdn FROM number WHERE part = $1 AND state = $2"
LIST_ACTIVE = "SELECT msisdn FROM line WHERE part = $1 AND state = 'active'"
LIST_APPLIED = "SELECT msisdn FROM application WHERE part = $1 AND state = 'applied'"
LIST_PORTED = "SELECT msisdn FROM number WHERE state = 'ported'"
LIST_PORTS_COMPLETE = "SELECT DISTINCT msisdn FROM port_out WHERE part = $1 AND state = 'complete'"
LIST_BACK = "SELECT msisdn FROM number WHERE state IN ('returned', 'transferred')"
LIST_CONFIRMED = """
SELECT n.msisdn FROM number_return r JOIN number n ON n.return_id = r.id WHERE r.confirmed_at IS NOT NULL"""


async def lock_returnable(
    connection: Connection, holders: Mapping[str, str], holder: str, at: datetime
) -> tuple[E164, ...]:
    """Take hold of a holder's numbers that nobody has and that have rested; `holders` names one for each prefix."""
    rows = await connection.fetch(OFFER, list(holders), list(holders.values()), holder, at)
    return tuple(E164(row["msisdn"]) for row in rows)


async def insert_return(
    connection: Connection, holder: str, numbers: Sequence[E164], at: datetime, actor: str
) -> NumberReturn:
    return_id = await connection.fetchval(INSERT_RETURN, holder, len(numbers), at, actor)
    await connection.execute(MARK, numbers, return_id)
    return NumberReturn(return_id, holder, len(numbers), at, actor)


async def lock_return(connection: Connection, return_id: int) -> NumberReturn | None:
    row = await connection.fetchrow(LOCK_RETURN, return_id)
    return None if row is None else NumberReturn(**row)


async def list_returns(connection: Connection) -> tuple[NumberReturn, ...]:
    return tuple(NumberReturn(**row) for row in await connection.fetch(LIST_RETURNS))


async def list_numbers_of_return(
    connection: Connection, return_id: int, *, after: str = "", most: int = 1000
) -> tuple[E164, ...]:
    """The numbers of a list in their order, a page at a time."""
    return _numbers(await connection.fetch(LIST_NUMBERS, return_id, after, most))


async def confirm_return(
    connection: Connection, return_id: int, state: NumberState, gone_to: str, at: datetime, actor: str
) -> None:
    await connection.execute(CONFIRM_NUMBERS, return_id, state.value, gone_to, at)
    await connection.execute(CONFIRM_RETURN, return_id, at, actor)


async def count_numbers(connection: Connection) -> dict[Country, dict[NumberState, int]]:
    totals: dict[Country, dict[NumberState, int]] = {}
    for row in await connection.fetch(COUNT_NUMBERS):
        totals.setdefault(Country(row["country"]), {})[NumberState(row["state"])] = row["count"]
    return totals


async def count_imported(connection: Connection) -> int:
    """How many numbers came in, as the audit record says."""
    count: int = await connection.fetchval(COUNT_IMPORTED)
    return count


async def list_numbers_of_part(connection: Connection, part: int, state: NumberState) -> set[E164]:
    return set(_numbers(await connection.fetch(LIST_OF_PART, part, state.value)))


async def list_active(connection: Connection, part: int) -> set[E164]:
    """The numbers that lines of a part have."""
    return set(_numbers(await connection.fetch(LIST_ACTIVE, part)))


async def list_applied(connection: Connection, part: int) -> set[E164]:
    """The numbers that open applications of a part wait for."""
    return set(_numbers(await connection.fetch(LIST_APPLIED, part)))


async def list_ported(connection: Connection) -> set[E164]:
    return set(_numbers(await connection.fetch(LIST_PORTED)))


async def list_ports_complete(connection: Connection, part: int) -> set[E164]:
    return set(_numbers(await connection.fetch(LIST_PORTS_COMPLETE, part)))


async def list_back(connection: Connection) -> set[E164]:
    """The numbers that are said to have gone back."""
    return set(_numbers(await connection.fetch(LIST_BACK)))


async def list_confirmed(connection: Connection) -> set[E164]:
    """The numbers of lists that were confirmed."""
    return set(_numbers(await connection.fetch(LIST_CONFIRMED)))


def _numbers(rows: list[asyncpg.Record]) -> tuple[E164, ...]:
    return tuple(E164(row["msisdn"]) for row in rows)
