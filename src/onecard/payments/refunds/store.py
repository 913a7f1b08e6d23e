"""The rows of refunds, and of what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from onecard.database.pool import Connection
from onecard.payments.refunds.model import (
    HistoryRow,
    NewRefund,
    OriginalPayment,
    Refund,
    RefundedValue,
    RefundState,
    Tally,
)
from onecard.values.money import Currency, Money

_REFUND = "SELECT * FROM refund"
INSERT = """
INSERT INTO refund (part, account_id, ledger_account_id, subscriber_id, value, amount_micros, currency, state, version,
                    event_id, content_hash, payment_method, payment_reference, sealed_payee, payee_shown, payee_by,
                    cooling_until, requested_at, requested_by)
SELECT $1, q.account, q.ledger_account, q.subscriber, q.value, q.micros, q.currency, 'requested', 1, q.event, q.hash,
       q.method, q.reference, q.sealed, q.shown, CASE WHEN q.sealed IS NOT NULL THEN $3 END, q.cooling_until,
       $2, $3
FROM unnest($4::bigint[], $5::bigint[], $6::bigint[], $7::text[], $8::bigint[], $9::text[], $10::uuid[],
            $11::bigint[], $12::text[], $13::text[], $14::bytea[], $15::text[], $16::timestamptz[])
     AS q(account, ledger_account, subscriber, value, micros, currency, event, hash, method, reference, sealed, shown,
          cooling_until)
RETURNING *"""
FIND = f"{_REFUND} WHERE part = $1 AND id = $2"
# In the order of their ids, as all who lock several do.
LOCK = f"{_REFUND} WHERE part = $1 AND id = ANY ($2) ORDER BY id FOR UPDATE"
FIND_EVENTS = "SELECT content_hash, id, event_id FROM refund WHERE part = $1 AND event_id = ANY ($2)"
FIND_OPEN = """
SELECT account_id, value FROM refund
WHERE part = $1 AND account_id = ANY ($2) AND closed_at IS NULL AND NOT reopened AND payment_reference IS NULL"""
FIND_LAST_PAYEES = """
SELECT DISTINCT ON (account_id) account_id, sealed_payee, cooling_until FROM refund
WHERE part = $1 AND account_id = ANY ($2) AND sealed_payee IS NOT NULL ORDER BY account_id, id DESC"""
UPDATE = """
UPDATE refund r SET
    state = q.state, version = q.version, amount_micros = q.micros, reason = q.reason, sealed_payee = q.sealed,
    payee_shown = q.shown, payee_by = q.payee_by, cooling_until = q.cooling_until, verified_at = q.verified_at,
    verified_by = q.verified_by, verified_how = q.verified_how, approved_at = q.approved_at,
    approved_by = q.approved_by, run_id = q.run, is_frozen = q.is_frozen, reopened = q.reopened, closed_at = q.closed_at
FROM unnest($2::bigint[], $3::text[], $4::integer[], $5::bigint[], $6::text[], $7::bytea[], $8::text[], $9::text[],
            $10::timestamptz[], $11::timestamptz[], $12::text[], $13::text[], $14::timestamptz[], $15::text[],
            $16::bigint[], $17::boolean[], $18::boolean[], $19::timestamptz[])
     AS q(id, state, version, micros, reason, sealed, shown, payee_by, cooling_until, verified_at, verified_by,
          verified_how, approved_at, approved_by, run, is_frozen, reopened, closed_at)
WHERE r.part = $1 AND r.id = q.id"""
# What a bank's answer changes.
ANSWER = """
UPDATE refund r SET
    state = q.state, version = q.version, amount_micros = q.micros, reason = q.reason, is_frozen = q.is_frozen,
    reopened = q.reopened, closed_at = q.closed_at
FROM unnest($2::bigint[], $3::text[], $4::integer[], $5::bigint[], $6::text[], $7::boolean[], $8::boolean[],
            $9::timestamptz[])
     AS q(id, state, version, micros, reason, is_frozen, reopened, closed_at)
WHERE r.part = $1 AND r.id = q.id"""
INSERT_HISTORY = """
INSERT INTO refund_history (part, refund_id, version, state, at, actor, what, reason)
SELECT $1, q.id, q.version, q.state, $2, $3, q.what, q.reason
FROM unnest($4::bigint[], $5::integer[], $6::text[], $7::text[], $8::text[]) AS q(id, version, state, what, reason)"""
# Locked in the order of their ids, as all who lock several do.
MOVE = """
WITH locked AS MATERIALIZED (
    SELECT id FROM refund WHERE part = $1 AND id = ANY ($2) ORDER BY id FOR UPDATE
), moved AS (
    UPDATE refund r SET run_id = $3, state = $4, is_frozen = $5, version = r.version + 1
    FROM locked WHERE r.part = $1 AND r.id = locked.id
    RETURNING r.id, r.version, r.state, r.amount_micros, r.currency
), noted AS (
    INSERT INTO refund_history (part, refund_id, version, state, at, actor, what, reason)
    SELECT $1, id, version, state, $6, $7, $8, 'run ' || $3::bigint FROM moved
)
SELECT id, amount_micros, currency FROM moved"""
LIST_HISTORY = """
SELECT version, state, at, actor, what, reason FROM refund_history
WHERE part = $1 AND refund_id = $2 ORDER BY version"""
FIND_PART = "SELECT p.part FROM part p JOIN refund r ON r.part = p.part AND r.id = $1"
LIST = f"""
{_REFUND} WHERE id > $1 AND ($2::text IS NULL OR state = $2) AND ($3::integer IS NULL OR part = $3)
  AND ($4::bigint IS NULL OR account_id = $4) ORDER BY id LIMIT $5"""
TALLY = """
SELECT currency, value, state, count(*) AS count, sum(amount_micros)::bigint AS micros FROM refund
GROUP BY currency, value, state ORDER BY currency, value, state"""

FIND_PART_OF_ACCOUNT = """
SELECT p.part FROM part p JOIN account a ON a.part = p.part AND a.id = $1 AND a.role = 'subscriber'"""
FIND_SUBSCRIBERS = """
SELECT account_id, id, erased_at FROM subscriber WHERE part = $1 AND account_id = ANY ($2)"""
LIST_OWED = """
SELECT a.id, s.id AS subscriber_id, a.currency, a.available FROM account a
JOIN subscriber s ON s.part = a.part AND s.account_id = a.id
WHERE a.part = $1 AND a.id > $2 AND a.role = 'subscriber' AND a.available > 0 AND a.closed_at IS NULL
  AND NOT EXISTS (SELECT FROM refund r WHERE r.part = a.part AND r.account_id = a.id AND r.value = 'cash'
                  AND r.closed_at IS NULL AND NOT r.reopened AND r.payment_reference IS NULL)
ORDER BY a.id LIMIT $3"""
# To the first card that has not ended. Whoever reads the text may not be who changed the payee: that is the point.
INSERT_PAYEE_NOTICES = """
INSERT INTO notice (part, card_id, kind, parameters, written_at, due_at)
SELECT $1, c.id, 'payee_changed', jsonb_build_object('expires_at', r.cooling_until), $3, $3
FROM refund r JOIN LATERAL (
    SELECT id FROM card WHERE part = $1 AND account_id = r.account_id AND state <> 'ended' ORDER BY id LIMIT 1
) c ON true
WHERE r.part = $1 AND r.id = ANY ($2)"""


async def insert_refunds(
    connection: Connection, part: int, refunds: Sequence[NewRefund], at: datetime, actor: str
) -> list[Refund]:
    """Add refunds that are requested; returns them in any order."""
    rows = await connection.fetch(
        INSERT,
        part,
        at,
        actor,
        [one.account_id for one in refunds],
        [one.ledger_account_id for one in refunds],
        [one.subscriber_id for one in refunds],
        [one.value for one in refunds],
        [one.amount.micros for one in refunds],
        [one.amount.currency for one in refunds],
        [one.event_id for one in refunds],
        [one.content_hash for one in refunds],
        [one.payment and one.payment.method for one in refunds],
        [one.payment and one.payment.reference for one in refunds],
        [one.sealed_payee for one in refunds],
        [one.payee_shown for one in refunds],
        [one.cooling_until for one in refunds],
    )
    return [read_refund(row) for row in rows]


async def find_refund(connection: Connection, part: int, refund_id: int) -> Refund | None:
    row = await connection.fetchrow(FIND, part, refund_id)
    return None if row is None else read_refund(row)


async def find_part_of_refund(connection: Connection, refund_id: int) -> int | None:
    part: int | None = await connection.fetchval(FIND_PART, refund_id)
    return part


async def find_part_of_account(connection: Connection, account_id: int) -> int | None:
    part: int | None = await connection.fetchval(FIND_PART_OF_ACCOUNT, account_id)
    return part


async def lock_refunds(connection: Connection, part: int, refund_ids: Sequence[int]) -> dict[int, Refund]:
    """Take hold of refunds: of all that change one at once, one goes first."""
    return {row["id"]: read_refund(row) for row in await connection.fetch(LOCK, part, refund_ids)}


async def find_events(
    connection: Connection, part: int, event_ids: Sequence[UUID]
) -> dict[UUID, tuple[int, int]]:
    """The content hash and the refund of each of these requests that was made before."""
    rows = await connection.fetch(FIND_EVENTS, part, event_ids)
    return {row["event_id"]: (row["content_hash"], row["id"]) for row in rows}


async def find_open(
    connection: Connection, part: int, account_ids: Sequence[int]
) -> set[tuple[int, RefundedValue]]:
    """The accounts and kinds of value that have an open refund to a payee."""
    rows = await connection.fetch(FIND_OPEN, part, account_ids)
    return {(row["account_id"], RefundedValue(row["value"])) for row in rows}


async def find_last_payees(
    connection: Connection, part: int, account_ids: Sequence[int]
) -> dict[int, tuple[bytes, datetime | None]]:
    """The payee that the latest refund of each account has, whatever became of it, and until when it cools off."""
    rows = await connection.fetch(FIND_LAST_PAYEES, part, account_ids)
    return {row["account_id"]: (row["sealed_payee"], row["cooling_until"]) for row in rows}


async def update_refunds(connection: Connection, part: int, refunds: Sequence[Refund]) -> None:
    """Write refunds as they are now."""
    await connection.execute(
        UPDATE,
        part,
        [one.id for one in refunds],
        [one.state for one in refunds],
        [one.version for one in refunds],
        [one.amount.micros for one in refunds],
        [one.reason for one in refunds],
        [one.sealed_payee for one in refunds],
        [one.payee_shown for one in refunds],
        [one.payee_by for one in refunds],
        [one.cooling_until for one in refunds],
        [one.verified_at for one in refunds],
        [one.verified_by for one in refunds],
        [one.verified_how for one in refunds],
        [one.approved_at for one in refunds],
        [one.approved_by for one in refunds],
        [one.run_id for one in refunds],
        [one.is_frozen for one in refunds],
        [one.reopened for one in refunds],
        [one.closed_at for one in refunds],
    )


async def answer_refunds(connection: Connection, part: int, refunds: Sequence[Refund]) -> None:
    """Write what the bank has made of refunds: all that its answers change."""
    await connection.execute(
        ANSWER,
        part,
        [one.id for one in refunds],
        [one.state for one in refunds],
        [one.version for one in refunds],
        [one.amount.micros for one in refunds],
        [one.reason for one in refunds],
        [one.is_frozen for one in refunds],
        [one.reopened for one in refunds],
        [one.closed_at for one in refunds],
    )


async def insert_history(
    connection: Connection,
    part: int,
    changed: Sequence[tuple[Refund, str, str | None]],
    at: datetime,
    actor: str,
) -> None:
    """Note the version of each refund: what made it, and why."""
    await connection.execute(
        INSERT_HISTORY,
        part,
        at,
        actor,
        [refund.id for refund, _, _ in changed],
        [refund.version for refund, _, _ in changed],
        [refund.state for refund, _, _ in changed],
        [what for _, what, _ in changed],
        [reason for _, _, reason in changed],
    )


async def move_refunds(
    connection: Connection,
    part: int,
    refund_ids: Sequence[int],
    run_id: int,
    state: RefundState,
    *,
    is_frozen: bool,
    what: str,
    at: datetime,
    actor: str,
) -> dict[int, Money]:
    """Let a payout run take refunds, tell the bank of them, or give them up, and note it; returns what each is of."""
    rows = await connection.fetch(MOVE, part, refund_ids, run_id, state, is_frozen, at, actor, what)
    return {row[0]: Money(row[1], Currency(row[2])) for row in rows}


async def list_history(connection: Connection, part: int, refund_id: int) -> tuple[HistoryRow, ...]:
    """All versions of a refund, the first one first."""
    rows = await connection.fetch(LIST_HISTORY, part, refund_id)
    return tuple(HistoryRow(row[0], RefundState(row[1]), *row[2:]) for row in rows)


async def list_refunds(
    connection: Connection,
    *,
    after: int = 0,
    state: RefundState | None = None,
    part: int | None = None,
    account_id: int | None = None,
    most: int = 100,
) -> tuple[Refund, ...]:
    """Refunds by id, a page at a time: all, those of a state, those of an account."""
    rows = await connection.fetch(LIST, after, state, part, account_id, most)
    return tuple(read_refund(row) for row in rows)


async def tally_refunds(connection: Connection) -> tuple[Tally, ...]:
    """How many refunds there are, and of how much, by currency, kind of value and state."""
    return tuple(
        Tally(row[0], RefundedValue(row[1]), RefundState(row[2]), row[3], row[4])
        for row in await connection.fetch(TALLY)
    )


async def find_subscribers(
    connection: Connection, part: int, account_ids: Sequence[int]
) -> dict[int, tuple[int, bool]]:
    """Whose each account is, and whether they were erased."""
    rows = await connection.fetch(FIND_SUBSCRIBERS, part, account_ids)
    return {row["account_id"]: (row["id"], row["erased_at"] is not None) for row in rows}


async def list_owed(connection: Connection, part: int, after: int, most: int) -> list[tuple[int, int, Money]]:
    """Accounts by id that have money available and no refund of it: account, subscriber, and what is available."""
    rows = await connection.fetch(LIST_OWED, part, after, most)
    return [(row[0], row[1], Money(row[3], Currency(row[2]))) for row in rows]


async def insert_payee_notices(
    connection: Connection, part: int, refund_ids: Sequence[int], at: datetime
) -> None:
    """Have the subscribers told that the payee of their refund was changed."""
    await connection.execute(INSERT_PAYEE_NOTICES, part, refund_ids, at)


def read_refund(row: asyncpg.Record) -> Refund:
    method, reference = row["payment_method"], row["payment_reference"]
    return Refund(
        part=row["part"],
        id=row["id"],
        account_id=row["account_id"],
        ledger_account_id=row["ledger_account_id"],
        subscriber_id=row["subscriber_id"],
        value=RefundedValue(row["value"]),
        amount=Money(row["amount_micros"], Currency(row["currency"])),
        state=RefundState(row["state"]),
        version=row["version"],
        requested_at=row["requested_at"],
        requested_by=row["requested_by"],
        reason=row["reason"],
        payment=None if method is None else OriginalPayment(method, reference),
        sealed_payee=row["sealed_payee"],
        payee_shown=row["payee_shown"],
        payee_by=row["payee_by"],
        cooling_until=row["cooling_until"],
        verified_at=row["verified_at"],
        verified_by=row["verified_by"],
        verified_how=row["verified_how"],
        approved_at=row["approved_at"],
        approved_by=row["approved_by"],
        run_id=row["run_id"],
        is_frozen=row["is_frozen"],
        reopened=row["reopened"],
        closed_at=row["closed_at"],
    )
