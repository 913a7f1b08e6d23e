"""What the command line reads over the parts, and the parts themselves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from onecard.database.parts import list_parts
from onecard.database.pool import Connection

INSERT_PARTS = "INSERT INTO part SELECT unnest($1::integer[])"
HAS_KEYS = """
SELECT EXISTS (SELECT FROM subscriber_key) OR EXISTS (SELECT FROM body_key) OR EXISTS (SELECT FROM voucher_batch)"""
FIND_PART_OF_ACCOUNT = """
SELECT a.part FROM part p JOIN account a ON a.part = p.part AND a.id = $1 AND a.role = 'subscriber'"""
FIND_PART_OF_SUBSCRIBER = "SELECT s.part FROM part p JOIN subscriber s ON s.part = p.part AND s.id = $1"
FIND_TIME_OF_ENTRY = "SELECT at FROM entry WHERE part = $1 AND account_id = $2 AND event_id = $3"
FIND_MSISDN_OF_LINE = "SELECT msisdn FROM line WHERE part = $1 AND id = $2"
LIST_LINK_STATUS = """
SELECT link, node, bound_sessions, waiting, texts_in, texts_refused, texts_out, texts_failed, receipts_in,
       receipts_out, last_error, at
FROM link_status ORDER BY link, node"""


async def insert_parts(connection: Connection, parts: Sequence[int]) -> list[int]:
    """Make the parts unless there are any; returns those there are. Of two that do it at once one waits."""
    async with connection.transaction():
        await connection.execute("LOCK TABLE part IN EXCLUSIVE MODE")
        if not await list_parts(connection):
            await connection.execute(INSERT_PARTS, list(parts))
        return await list_parts(connection)


async def has_keys(connection: Connection) -> bool:
    """Whether a master key has wrapped or hidden anything in this database."""
    found: bool = await connection.fetchval(HAS_KEYS)
    return found


async def find_part_of_account(connection: Connection, account_id: int) -> int | None:
    part: int | None = await connection.fetchval(FIND_PART_OF_ACCOUNT, account_id)
    return part


async def find_part_of_subscriber(connection: Connection, subscriber_id: int) -> int | None:
    part: int | None = await connection.fetchval(FIND_PART_OF_SUBSCRIBER, subscriber_id)
    return part


async def find_time_of_entry(
    connection: Connection, part: int, account_id: int, event_id: UUID
) -> datetime | None:
    """When an event was posted to an account."""
    at: datetime | None = await connection.fetchval(FIND_TIME_OF_ENTRY, part, account_id, event_id)
    return at


async def find_msisdn_of_line(connection: Connection, part: int, line_id: int) -> str | None:
    """The number of a line, also when the line has ended."""
    msisdn: str | None = await connection.fetchval(FIND_MSISDN_OF_LINE, part, line_id)
    return msisdn


async def list_link_status(connection: Connection) -> list[asyncpg.Record]:
    """What each node last said of each link."""
    return await connection.fetch(LIST_LINK_STATUS)


# What must never be found, and the sentence that says it. On a cluster, numbers and lines may lie apart: each side
# is read by itself first.
VIOLATIONS = (
    (
        """WITH assigned AS MATERIALIZED (SELECT msisdn, part, card_id FROM number WHERE state = 'assigned'),
             active AS MATERIALIZED (
                SELECT msisdn, part, card_id, count(*) AS lines FROM line WHERE state = 'active'
                GROUP BY msisdn, part, card_id)
        SELECT n.msisdn, n.card_id, coalesce(l.lines, 0) AS lines FROM assigned n
        LEFT JOIN active l ON l.msisdn = n.msisdn AND l.part = n.part AND l.card_id = n.card_id
        WHERE l.lines IS DISTINCT FROM 1 ORDER BY n.msisdn LIMIT $1""",
        "number {msisdn} is assigned to card {card_id}, where {lines} active lines have it, not one",
    ),
    (
        """WITH assigned AS MATERIALIZED (SELECT msisdn, part, card_id FROM number WHERE state = 'assigned'),
             active AS MATERIALIZED (SELECT id, msisdn, part, card_id FROM line WHERE state = 'active')
        SELECT l.id, l.msisdn, l.card_id FROM active l
        LEFT JOIN assigned n ON n.msisdn = l.msisdn AND n.part = l.part AND n.card_id = l.card_id
        WHERE n.msisdn IS NULL ORDER BY l.msisdn, l.id LIMIT $1""",
        "line {id} of card {card_id} is active with number {msisdn}, which is not assigned to that card",
    ),
    (
        """WITH reserved AS MATERIALIZED (SELECT msisdn, part, card_id FROM number WHERE state = 'reserved'),
             applied AS MATERIALIZED (SELECT id, msisdn, part, card_id FROM application WHERE state = 'applied')
        SELECT coalesce(n.msisdn, a.msisdn) AS msisdn FROM reserved n
        FULL JOIN applied a ON a.msisdn = n.msisdn AND a.part = n.part AND a.card_id = n.card_id
        WHERE n.msisdn IS NULL OR a.msisdn IS NULL ORDER BY 1 LIMIT $1""",
        "number {msisdn} is reserved without an open application, or applied for without being reserved",
    ),
    (
        """SELECT c.part, c.id, c.state, count(l.id) AS lines, count(l.id) FILTER (WHERE l.slot = 0) AS primaries
        FROM card c LEFT JOIN line l ON l.part = c.part AND l.card_id = c.id AND l.state = 'active'
        GROUP BY c.part, c.id, c.state
        HAVING CASE WHEN c.state = 'ended' THEN count(l.id) <> 0
               ELSE count(l.id) FILTER (WHERE l.slot = 0) <> 1 END
        ORDER BY c.part, c.id LIMIT $1""",
        "card {id} of part {part} is {state} and has {lines} active lines, {primaries} of them primary",
    ),
    (
        """WITH sold AS MATERIALIZED (SELECT iccid, imsi, part, card_id FROM sim WHERE state = 'sold'),
             live AS MATERIALIZED (SELECT iccid, imsi, part, id FROM card WHERE state <> 'ended')
        SELECT coalesce(s.iccid, c.iccid) AS iccid FROM sold s
        FULL JOIN live c ON c.iccid = s.iccid AND c.imsi = s.imsi AND c.part = s.part AND c.id = s.card_id
        WHERE s.iccid IS NULL OR c.iccid IS NULL ORDER BY 1 LIMIT $1""",
        "SIM {iccid} is sold and in no live card, or in a live card and not sold",
    ),
)


async def find_violations(connection: Connection, most_of_each: int) -> list[str]:
    """A sentence for each number, line, card or SIM that does not fit the others."""
    return [
        sentence.format_map(dict(row))
        for query, sentence in VIOLATIONS
        for row in await connection.fetch(query, most_of_each)
    ]
