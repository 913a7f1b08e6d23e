"""The SQL of the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from onecard.database.pool import Connection
from onecard.ledger.model import Account, Entry, EntryKind, Posted, Posting
from onecard.values.money import Currency, Money

POST = "SELECT ledger_post($1, $2, $3, $4, $5, $6, $7, $8, $9)"
POST_GROUP = """
SELECT ledger_post_groups($1, $2, array_fill(1, ARRAY[cardinality($3::bigint[])]), $3, $4, $5, $6, $7, $8, $9)"""
TAKE_TURN = "SELECT pg_advisory_xact_lock(1818584167, $1)"  # the key that ledger_post takes
ANSWERS = tuple(Posted)  # in the order of their numbers

INSERT_SYSTEM_ACCOUNTS = """
INSERT INTO account (part, role, currency, opened_at)
SELECT $1, role, $2, $3 FROM unnest(ARRAY['revenue', 'funding', 'rounding']) AS role
ON CONFLICT (part, role, currency) WHERE role <> 'subscriber' DO NOTHING"""

INSERT_ACCOUNT = """
INSERT INTO account (part, role, currency, opened_at) VALUES ($1, 'subscriber', $2, $3) RETURNING id"""

FIND_ACCOUNT = """
SELECT part, id, currency, available, held, opened_at, closed_at FROM account
WHERE part = $1 AND id = $2 AND role = 'subscriber'"""

GET_AVAILABLE = """
SELECT id, currency, available FROM account
WHERE part = $1 AND id = ANY ($2) AND role = 'subscriber' AND closed_at IS NULL"""
# An operator takes over the number of an active account only: none is closed while one of its numbers is on the way.
CLOSE_ACCOUNT = """
UPDATE account SET closed_at = $3
WHERE part = $1 AND id = $2 AND role = 'subscriber' AND available = 0 AND held = 0
  AND NOT EXISTS (SELECT FROM port_out p WHERE p.part = $1 AND p.account_id = $2 AND p.ended_at IS NULL)
RETURNING id"""
RECORD_CHANGE = "SELECT record_change('account', $1, $2)"

IS_POSTED = "SELECT EXISTS (SELECT FROM entry WHERE part = $1 AND account_id = $2 AND event_id = $3)"

LIST_ENTRIES = """
SELECT part, account_id, event_id, batch_id, kind, available, held, at, memo FROM entry
WHERE part = $1 AND account_id = $2
  AND ($3::timestamptz IS NULL OR (at, batch_id, event_id) < ($3, $4::bigint, $5::uuid))
ORDER BY at DESC, batch_id DESC, event_id DESC LIMIT $6"""


async def post(connection: Connection, part: int, at: datetime, postings: Sequence[Posting]) -> list[Posted]:
    """Post a batch of one part: one call, one commit, one answer for each posting."""
    statuses = await connection.fetchval(POST, part, at, *_columns(postings))
    if statuses is None:
        return [Posted.POSTED] * len(postings)
    return [ANSWERS[status] for status in statuses]


async def post_group(connection: Connection, part: int, at: datetime, group: Sequence[Posting]) -> Posted:
    """Post several changes together or not at all."""
    statuses = await connection.fetchval(POST_GROUP, part, at, *_columns(group))
    return Posted.POSTED if statuses is None else ANSWERS[statuses[0]]


def _columns(postings: Sequence[Posting]) -> tuple[list[Any] | None, ...]:
    return (
        [posting.account_id for posting in postings],
        [posting.event_id for posting in postings],
        [posting.kind for posting in postings],
        [posting.available for posting in postings],
        [posting.held for posting in postings],
        [posting.content_hash for posting in postings],
        _memos(postings),
    )


def _memos(postings: Sequence[Posting]) -> list[str | None] | None:
    memos = [posting.memo for posting in postings]
    return memos if any(memos) else None


async def take_turn(connection: Connection, part: int) -> None:
    """Wait for the batch of this part that is under way; the next ones wait for the caller's commit."""
    await connection.execute(TAKE_TURN, part)


async def get_available(connection: Connection, part: int, account_ids: Sequence[int]) -> dict[int, Money]:
    rows = await connection.fetch(GET_AVAILABLE, part, account_ids)
    return {row["id"]: Money(row["available"], Currency(row["currency"])) for row in rows}


async def insert_account(connection: Connection, part: int, currency: Currency, at: datetime) -> int:
    """Open a subscriber's account, and the system's own of that part and currency where they are missing."""
    await connection.execute(INSERT_SYSTEM_ACCOUNTS, part, currency, at)
    account_id: int = await connection.fetchval(INSERT_ACCOUNT, part, currency, at)
    return account_id


async def find_account(connection: Connection, part: int, account_id: int) -> Account | None:
    """A subscriber's account as it is now."""
    row = await connection.fetchrow(FIND_ACCOUNT, part, account_id)
    return None if row is None else Account(*row)


async def close_account(connection: Connection, part: int, account_id: int, at: datetime) -> bool:
    """Close an account that is empty; False: it is not."""
    return await connection.fetchval(CLOSE_ACCOUNT, part, account_id, at) is not None


async def record_change(connection: Connection, account_id: int, at: datetime) -> None:
    """Tell every node to forget what it remembers of an account."""
    await connection.execute(RECORD_CHANGE, account_id, at)


async def is_posted(connection: Connection, part: int, account_id: int, event_id: UUID) -> bool:
    """Whether an event was posted to an account."""
    found: bool = await connection.fetchval(IS_POSTED, part, account_id, event_id)
    return found


async def list_entries(
    connection: Connection, part: int, account_id: int, *, before: Entry | None, most: int
) -> list[Entry]:
    """The newest entries of an account, or the newest of those older than `before`."""
    key = (before.at, before.batch_id, before.event_id) if before else (None, None, None)
    return [_entry(row) for row in await connection.fetch(LIST_ENTRIES, part, account_id, *key, most)]


def _entry(row: asyncpg.Record) -> Entry:
    return Entry(
        part=row["part"],
        account_id=row["account_id"],
        event_id=row["event_id"],
        batch_id=row["batch_id"],
        kind=EntryKind(row["kind"]),
        available_micros=row["available"],
        held_micros=row["held"],
        at=row["at"],
        memo=row["memo"],
    )


# What must never be found, and the sentence that says it. Sums of bigint are numeric: none can overflow.
VIOLATIONS = (
    (
        """SELECT a.currency, sum(e.available + e.held) AS micros
        FROM entry e JOIN account a ON a.part = e.part AND a.id = e.account_id
        GROUP BY a.currency HAVING sum(e.available + e.held) <> 0 ORDER BY a.currency LIMIT $1""",
        "all entries in {currency} sum to {micros} micros, not to zero",
    ),
    (
        """SELECT e.part, e.batch_id, a.currency, sum(e.available + e.held) AS micros
        FROM entry e JOIN account a ON a.part = e.part AND a.id = e.account_id
        GROUP BY e.part, e.batch_id, a.currency HAVING sum(e.available + e.held) <> 0
        ORDER BY e.part, e.batch_id LIMIT $1""",
        "batch {batch_id} of part {part} sums to {micros} micros in {currency}, not to zero",
    ),
    (
        """SELECT a.part, a.id, a.available, a.held,
               coalesce(e.available, 0) AS entries_available, coalesce(e.held, 0) AS entries_held
        FROM account a LEFT JOIN (
            SELECT part, account_id, sum(available) AS available, sum(held) AS held
            FROM entry GROUP BY part, account_id
        ) e ON e.part = a.part AND e.account_id = a.id
        WHERE (a.available, a.held) <> (coalesce(e.available, 0), coalesce(e.held, 0))
        ORDER BY a.part, a.id LIMIT $1""",
        "account {id} of part {part} has {available} micros available and {held} held, "
        "but its entries sum to {entries_available} and {entries_held}",
    ),
    (
        """SELECT part, id, available, held FROM account
        WHERE role = 'subscriber' AND (available < 0 OR held < 0) ORDER BY part, id LIMIT $1""",
        "account {id} of part {part} is overdrawn: {available} micros available, {held} held",
    ),
    (
        """SELECT e.part, e.event_id, e.account_id
        FROM entry e LEFT JOIN account a ON a.part = e.part AND a.id = e.account_id
        WHERE a.id IS NULL ORDER BY e.part, e.account_id, e.event_id LIMIT $1""",
        "entry {event_id} of part {part} belongs to account {account_id}, which does not exist",
    ),
    (
        """SELECT e.part, e.event_id, e.account_id, e.kind, a.role
        FROM entry e JOIN account a ON a.part = e.part AND a.id = e.account_id
        LEFT JOIN entry_kind k ON k.kind = e.kind
        WHERE k.kind IS NULL OR (a.role = 'subscriber') <> (k.counter_role IS NOT NULL)
        ORDER BY e.part, e.account_id, e.event_id LIMIT $1""",
        "entry {event_id} of part {part} has kind {kind}, which account {account_id} ({role}) cannot have",
    ),
)


async def find_violations(connection: Connection, most_of_each: int) -> list[str]:
    """A sentence for each thing in the ledger that should not be."""
    return [
        sentence.format_map(dict(row))
        for query, sentence in VIOLATIONS
        for row in await connection.fetch(query, most_of_each)
    ]


async def count_rows(connection: Connection) -> tuple[int, int]:
    """How many accounts and how many entries there are."""
    row = await connection.fetchrow("SELECT (SELECT count(*) FROM account), (SELECT count(*) FROM entry)")
    assert row is not None
    return row[0], row[1]
