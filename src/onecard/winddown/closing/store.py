"""The rows of the end. A part at a time, set by set: a million accounts are minutes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import asyncpg

from onecard.charging.periods import Subscription, SubscriptionState
from onecard.database.pool import Connection
from onecard.ledger import EntryKind
from onecard.values.money import Currency
from onecard.winddown.closing.model import (
    RefundTotal,
    ResidueState,
    ResidueTotal,
    RunTotal,
    Snapshot,
    Statement,
    ValueTotal,
)
from onecard.winddown.model import RefundPolicy, ValueKind

BEGIN_SNAPSHOT = """
INSERT INTO closing_snapshot (as_of, policies, begun_at, begun_by) VALUES ($1, $2, $3, $4)
ON CONFLICT DO NOTHING RETURNING as_of"""
FIND_SNAPSHOT = "SELECT as_of, policies, begun_at, begun_by, completed_at FROM closing_snapshot"
LOCK_SNAPSHOT = f"{FIND_SNAPSHOT} FOR UPDATE"
COMPLETE_SNAPSHOT = "UPDATE closing_snapshot SET completed_at = $1"
IS_PART_RECORDED = "SELECT EXISTS (SELECT FROM closing_part WHERE part = $1)"
IS_PART_DONE = "SELECT EXISTS (SELECT FROM closing_part WHERE part = $1 AND done_at IS NOT NULL)"
INSERT_PART = "INSERT INTO closing_part (part, rows, recorded_at) VALUES ($1, $2, $3)"
FINISH_PART = "UPDATE closing_part SET done_at = $2 WHERE part = $1 AND done_at IS NULL"
# What an account had then is what it has now, without what was posted since. The price of a card is owed as long as
# nobody has activated it, and is on a side account once its refund was requested.
INSERT_BALANCES = """
INSERT INTO closing_balance (part, account_id, value, currency, value_micros, owed_micros)
SELECT $1, q.account_id, q.value, q.currency, sum(q.micros),
       sum(CASE WHEN q.value = ANY ($3) THEN 0 ELSE q.micros END)
FROM (
    SELECT coalesce(s.account_id, a.id) AS account_id, coalesce(s.value, 'cash') AS value, a.currency,
           a.available + a.held - coalesce(l.micros, 0) AS micros
    FROM account a
    LEFT JOIN side_account s ON s.part = a.part AND s.side_account_id = a.id
    LEFT JOIN (
        SELECT account_id, sum(available + held) AS micros FROM entry WHERE part = $1 AND at >= $2 GROUP BY account_id
    ) l ON l.account_id = a.id
    WHERE a.part = $1 AND a.role = 'subscriber' AND a.currency ~ '^[A-Z]{3}$' AND a.opened_at < $2
    UNION ALL
    SELECT c.account_id, 'unactivated_cards', p.currency, p.paid_micros
    FROM card_payment p JOIN card c ON c.part = p.part AND c.id = p.card_id
    WHERE p.part = $1 AND p.paid_at < $2 AND (c.activated_at IS NULL OR c.activated_at >= $2)
      AND (c.ended_at IS NULL OR c.ended_at >= $2)
      AND NOT EXISTS (
          SELECT FROM side_account s JOIN entry e ON e.part = s.part AND e.account_id = s.side_account_id
          WHERE s.part = $1 AND s.account_id = c.account_id AND s.value = 'unactivated_cards'
            AND e.memo = 'card ' || c.id AND e.at < $2)
) q WHERE q.micros > 0 GROUP BY q.account_id, q.value, q.currency"""
INSERT_PLAN_VALUES = """
INSERT INTO closing_balance (part, account_id, value, currency, value_micros, owed_micros)
SELECT $1, q.account_id, 'unused_plan_value', q.currency, q.value_micros, q.owed_micros
FROM unnest($2::bigint[], $3::text[], $4::bigint[], $5::bigint[])
     AS q(account_id, currency, value_micros, owed_micros)"""
INSERT_VOUCHERS = """
INSERT INTO closing_voucher (batch_id, currency, count, value_micros, owed_micros)
SELECT b.id, b.currency, count(*), count(*) * b.face_micros, CASE WHEN $2 THEN count(*) * b.face_micros ELSE 0 END
FROM voucher v JOIN voucher_batch b ON b.id = v.batch_id
WHERE b.made_at < $1 AND b.expires_at > $1 AND (v.used_at IS NULL OR v.used_at >= $1)
  AND (v.voided_at IS NULL OR v.voided_at >= $1)
GROUP BY b.id ON CONFLICT DO NOTHING"""
LIST_SUBSCRIPTIONS = """
SELECT s.*, a.currency FROM subscription s JOIN account a ON a.part = s.part AND a.id = s.account_id
WHERE s.part = $1 AND s.id > $3 AND s.started_at < $2 AND (s.ended_at IS NULL OR s.ended_at >= $2)
  AND a.closed_at IS NULL
ORDER BY s.id LIMIT $4"""
LIST_FEES = f"""
SELECT e.event_id, e.at, -(e.available + e.held) AS micros
FROM unnest($2::bigint[], $3::uuid[]) AS q(account_id, event_id)
JOIN entry e ON e.part = $1 AND e.account_id = q.account_id AND e.event_id = q.event_id
WHERE e.kind = {int(EntryKind.PLAN_FEE)} AND e.at < $4"""  # noqa: S608  # constants only
SUM_BALANCES = """
SELECT value, currency, count(*) AS count, sum(value_micros)::bigint AS value_micros,
       sum(owed_micros)::bigint AS owed_micros FROM closing_balance GROUP BY value, currency
UNION ALL
SELECT 'vouchers', currency, sum(count)::bigint, sum(value_micros)::bigint, sum(owed_micros)::bigint
FROM closing_voucher GROUP BY currency ORDER BY value, currency"""

ACTIVITY = [
    int(kind)
    for kind in (
        EntryKind.TOP_UP,
        EntryKind.VOUCHER,
        EntryKind.DEPOSIT,
        EntryKind.TEXT_CHARGE,
        EntryKind.USAGE_CHARGE,
        EntryKind.SETTLE,
    )
]
"""What only happens while somebody uses an account."""
FORGET_NAMES = "DELETE FROM closing_residue WHERE part = $1"
# Of an account first what is held, for refunds or by what is not over; the rest has one reason.
NAME_RESIDUE = """
INSERT INTO closing_residue (part, account_id, value, state, currency, micros)
WITH balance AS (
    SELECT coalesce(s.account_id, a.id) AS account_id, coalesce(s.value, 'cash') AS value, a.currency,
           a.available + a.held AS micros, greatest(a.held, coalesce(r.micros, 0)) AS held
    FROM account a
    LEFT JOIN side_account s ON s.part = a.part AND s.side_account_id = a.id
    LEFT JOIN (
        SELECT ledger_account_id, sum(amount_micros) AS micros FROM refund
        WHERE part = $1 AND closed_at IS NULL GROUP BY ledger_account_id
    ) r ON r.ledger_account_id = a.id
    WHERE a.part = $1 AND a.role = 'subscriber' AND a.currency ~ '^[A-Z]{3}$' AND a.available + a.held > 0
    UNION ALL
    SELECT c.account_id, 'unactivated_cards', p.currency, p.paid_micros, 0
    FROM card_payment p JOIN card c ON c.part = p.part AND c.id = p.card_id
    WHERE p.part = $1 AND c.state = 'sold' AND NOT EXISTS (
        SELECT FROM side_account s JOIN entry e ON e.part = s.part AND e.account_id = s.side_account_id
        WHERE s.part = $1 AND s.account_id = c.account_id AND s.value = 'unactivated_cards'
          AND e.memo = 'card ' || c.id)
), active AS (
    SELECT account_id, max(at) AS at FROM entry WHERE part = $1 AND kind = ANY ($3) GROUP BY account_id
), told AS (
    SELECT subscriber_id, bool_or(state = 'unreached') AND NOT bool_or(state = 'reached') AS in_vain
    FROM notice_recipient WHERE part = $1 GROUP BY subscriber_id
)
SELECT $1, b.account_id, b.value, n.state, b.currency, sum(n.micros)
FROM balance b
LEFT JOIN subscriber s ON s.part = $1 AND s.account_id = b.account_id
LEFT JOIN active ON active.account_id = b.account_id
LEFT JOIN told ON told.subscriber_id = s.id
CROSS JOIN LATERAL (
    SELECT CASE WHEN b.value = ANY ($4) THEN 'not_owed'
                WHEN b.value = 'disputed' THEN 'disputed'
                WHEN s.id IS NULL OR s.erased_at IS NOT NULL OR told.in_vain THEN 'unreachable'
                WHEN active.at IS NULL OR active.at < $2 THEN 'inactive'
                ELSE 'unclaimed' END AS rest,
           CASE WHEN b.value = ANY ($4) OR b.value = 'disputed' THEN 0 ELSE least(b.held, b.micros) END AS held
) why
CROSS JOIN LATERAL (VALUES ('held', why.held), (why.rest, b.micros - why.held)) AS n(state, micros)
WHERE n.micros > 0 GROUP BY b.account_id, b.value, n.state, b.currency"""
NOTE_NAMING = """
INSERT INTO closing_naming (part, inactive_since, named_at, named_by) VALUES ($1, $2, $3, $4)
ON CONFLICT (part) DO UPDATE SET inactive_since = $2, named_at = $3, named_by = $4"""
SUM_RESIDUE = """
SELECT value, state, currency, count(*) AS count, sum(micros)::bigint AS micros FROM closing_residue
GROUP BY value, state, currency ORDER BY value, state, currency"""
ALL_NAMED = """
SELECT NOT EXISTS (SELECT FROM part p WHERE NOT EXISTS (SELECT FROM closing_naming n WHERE n.part = p.part))"""
LIST_RESIDUE = """
SELECT r.account_id, r.state, r.currency, r.micros, s.id AS subscriber_id
FROM (
    SELECT account_id, state, currency, sum(micros)::bigint AS micros FROM closing_residue
    WHERE part = $1 AND account_id > $2 GROUP BY account_id, state, currency
) r LEFT JOIN subscriber s ON s.part = $1 AND s.account_id = r.account_id AND s.erased_at IS NULL
ORDER BY r.account_id LIMIT $3"""

SUM_REFUNDS = """
SELECT value, state, currency, count(*) AS count, sum(amount_micros)::bigint AS micros FROM refund
GROUP BY value, state, currency ORDER BY value, state, currency"""
LIST_RUNS = "SELECT id, state, currency, count, total_micros, execution_on FROM payout_run ORDER BY id"
# Of subscribers' accounts alone: what came in, went out and was used, and so what is left, by why it moved.
SUM_ENTRIES = """
SELECT a.currency, k.name, sum(e.available + e.held)::bigint AS micros
FROM entry e JOIN account a ON a.part = e.part AND a.id = e.account_id JOIN entry_kind k ON k.kind = e.kind
WHERE a.role = 'subscriber' AND a.currency ~ '^[A-Z]{3}$'
GROUP BY a.currency, k.name HAVING sum(e.available + e.held) <> 0 ORDER BY a.currency, k.name"""
LIST_STATEMENTS = "SELECT id, made_at, made_by, sha256 FROM closing_statement ORDER BY id DESC LIMIT 100"
FIND_SIGNED_STATEMENT = "SELECT signed FROM closing_statement WHERE id = $1"
INSERT_STATEMENT = """
INSERT INTO closing_statement (made_at, made_by, signed, sha256) VALUES ($1, $2, $3, $4) RETURNING id"""


async def begin_snapshot(
    connection: Connection,
    as_of: datetime,
    policies: Mapping[ValueKind, RefundPolicy],
    at: datetime,
    actor: str,
) -> bool:
    """Note of which instant the snapshot is; False: it was begun before, and stays of that."""
    written = {str(kind): str(policy) for kind, policy in policies.items()}
    return await connection.fetchval(BEGIN_SNAPSHOT, as_of, written, at, actor) is not None


async def find_snapshot(connection: Connection) -> Snapshot | None:
    row = await connection.fetchrow(FIND_SNAPSHOT)
    return None if row is None else _snapshot(row)


async def lock_snapshot(connection: Connection) -> Snapshot:
    """The snapshot that was begun: of all that go on with it at once, one goes first."""
    row = await connection.fetchrow(LOCK_SNAPSHOT)
    assert row is not None
    return _snapshot(row)


async def is_part_recorded(connection: Connection, part: int) -> bool:
    recorded: bool = await connection.fetchval(IS_PART_RECORDED, part)
    return recorded


async def is_part_done(connection: Connection, part: int) -> bool:
    done: bool = await connection.fetchval(IS_PART_DONE, part)
    return done


async def insert_balances(connection: Connection, part: int, snapshot: Snapshot) -> int:
    """Record what every account of a part had; returns how many rows that are."""
    unpaid = list_unpaid(snapshot.policies)
    return _count(await connection.execute(INSERT_BALANCES, part, snapshot.as_of, unpaid))


async def insert_plan_values(
    connection: Connection, part: int, values: Mapping[tuple[int, Currency], tuple[int, int]]
) -> int:
    """Record what was not used of plans, by account: its worth, and how much of it is owed."""
    keys = sorted(values)
    columns = [key[0] for key in keys], [key[1] for key in keys]
    micros = [values[key][0] for key in keys], [values[key][1] for key in keys]
    return _count(await connection.execute(INSERT_PLAN_VALUES, part, *columns, *micros))


async def insert_part(connection: Connection, part: int, rows: int, at: datetime) -> None:
    await connection.execute(INSERT_PART, part, rows, at)


async def finish_part(connection: Connection, part: int, at: datetime) -> None:
    await connection.execute(FINISH_PART, part, at)


async def insert_vouchers(connection: Connection, snapshot: Snapshot) -> None:
    """Record the vouchers that could be used then."""
    is_owed = snapshot.policies.get(ValueKind.VOUCHERS) is not RefundPolicy.NOTHING
    await connection.execute(INSERT_VOUCHERS, snapshot.as_of, is_owed)


async def complete_snapshot(connection: Connection, at: datetime) -> None:
    await connection.execute(COMPLETE_SNAPSHOT, at)


async def list_subscriptions(
    connection: Connection, part: int, as_of: datetime, *, after: int, most: int
) -> list[tuple[Subscription, Currency]]:
    """Subscriptions that were there at an instant, by their id."""
    rows = await connection.fetch(LIST_SUBSCRIPTIONS, part, as_of, after, most)
    return [(_subscription(row), Currency(row["currency"])) for row in rows]


async def list_fees(
    connection: Connection,
    part: int,
    account_ids: Sequence[int],
    event_ids: Sequence[object],
    before: datetime,
) -> list[asyncpg.Record]:
    """Which of these fees were paid: event, when, micros."""
    return await connection.fetch(LIST_FEES, part, account_ids, event_ids, before)


async def sum_balances(connection: Connection) -> tuple[ValueTotal, ...]:
    """What the snapshot has, by kind of value and currency."""
    return tuple(
        ValueTotal(ValueKind(row[0]), Currency(row[1]), row[2], row[3], row[4])
        for row in await connection.fetch(SUM_BALANCES)
    )


async def name_residue(
    connection: Connection,
    part: int,
    inactive_since: datetime,
    policies: Mapping[ValueKind, RefundPolicy],
    at: datetime,
    actor: str,
) -> int:
    """Give all that is left on accounts of a part a state; returns how many rows that are."""
    await connection.execute(FORGET_NAMES, part)
    named = await connection.execute(NAME_RESIDUE, part, inactive_since, ACTIVITY, list_unpaid(policies))
    await connection.execute(NOTE_NAMING, part, inactive_since, at, actor)
    return _count(named)


async def sum_residue(connection: Connection) -> tuple[ResidueTotal, ...]:
    """What is left, by kind of value, state and currency."""
    return tuple(
        ResidueTotal(ValueKind(row[0]), ResidueState(row[1]), Currency(row[2]), row[3], row[4])
        for row in await connection.fetch(SUM_RESIDUE)
    )


async def are_all_named(connection: Connection) -> bool:
    named: bool = await connection.fetchval(ALL_NAMED)
    return named


async def list_residue(connection: Connection, part: int, *, after: int, most: int) -> list[asyncpg.Record]:
    """What is left by account and state, and whose it is unless they were erased."""
    return await connection.fetch(LIST_RESIDUE, part, after, most)


async def sum_refunds(connection: Connection) -> tuple[RefundTotal, ...]:
    rows = await connection.fetch(SUM_REFUNDS)
    return tuple(RefundTotal(row[0], row[1], Currency(row[2]), row[3], row[4]) for row in rows)


async def list_runs(connection: Connection) -> tuple[RunTotal, ...]:
    """All payout runs, the first one first."""
    rows = await connection.fetch(LIST_RUNS)
    return tuple(RunTotal(row[0], row[1], Currency(row[2]), row[3], row[4], row[5]) for row in rows)


async def sum_entries(connection: Connection) -> list[tuple[Currency, str, int]]:
    """What moved on subscribers' accounts, in micros by currency and kind of entry."""
    return [(Currency(row[0]), row[1], row[2]) for row in await connection.fetch(SUM_ENTRIES)]


async def list_statements(connection: Connection) -> list[Statement]:
    """The closing statements, the latest first."""
    return [Statement(**row) for row in await connection.fetch(LIST_STATEMENTS)]


async def find_signed_statement(connection: Connection, statement_id: int) -> bytes | None:
    """The file of a closing statement, byte for byte."""
    signed: bytes | None = await connection.fetchval(FIND_SIGNED_STATEMENT, statement_id)
    return signed


async def insert_statement(
    connection: Connection, at: datetime, actor: str, signed: bytes, sha256: str
) -> int:
    statement_id: int = await connection.fetchval(INSERT_STATEMENT, at, actor, signed, sha256)
    return statement_id


def list_unpaid(policies: Mapping[ValueKind, RefundPolicy]) -> list[str]:
    """The kinds of value of which nothing is paid back."""
    return [str(kind) for kind, policy in policies.items() if policy is RefundPolicy.NOTHING]


def _count(command_tag: str) -> int:
    """How many rows a command says that it wrote: ``INSERT 0 12``."""
    return int(command_tag.rpartition(" ")[2])


def _snapshot(row: asyncpg.Record) -> Snapshot:
    policies = {ValueKind(kind): RefundPolicy(policy) for kind, policy in row["policies"].items()}
    return Snapshot(row["as_of"], policies, row["begun_at"], row["begun_by"], row["completed_at"])


def _subscription(row: asyncpg.Record) -> Subscription:
    names = Subscription.__dataclass_fields__
    return Subscription(**{**{name: row[name] for name in names}, "state": SubscriptionState(row["state"])})
