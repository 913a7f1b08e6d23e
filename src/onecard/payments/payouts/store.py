"""The rows of payout runs and their payments, and of what the bank sent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import asyncpg
import msgspec

from onecard.database.pool import Connection
from onecard.payments.bank.model import BankStatement, Booked, Debtor, StatusReport
from onecard.payments.payouts.model import (
    Line,
    Payout,
    PayoutKey,
    PayoutRun,
    PayoutState,
    Route,
    RunState,
    Unmatched,
    UnmatchedLine,
)
from onecard.payments.refunds.model import Refund
from onecard.payments.refunds.store import read_refund
from onecard.values.money import Currency, Money

LIST_PARTS = "SELECT part FROM part ORDER BY part"
NEXT_RUN_ID = "SELECT nextval('payout_run_id')"
_IS_DUE = """
r.state = 'approved' AND NOT r.is_frozen AND r.currency = $1 AND (r.payment_method IS NULL) = $2
AND (r.cooling_until IS NULL OR r.cooling_until <= $3)"""
# The one that waited longest first. Who was erased has no key to open the payee with.
LIST_DUE = f"""
SELECT r.part, r.id, r.amount_micros FROM refund r
WHERE {_IS_DUE} AND (r.sealed_payee IS NULL OR EXISTS (
    SELECT FROM subscriber_key k WHERE k.part = r.part AND k.subscriber_id = r.subscriber_id))
ORDER BY r.approved_at, r.part, r.id LIMIT $4"""  # noqa: S608  # constants only
# One that somebody changes at this moment is left for the next run.
LOCK_DUE = f"""
SELECT r.id FROM refund r WHERE {_IS_DUE} AND r.part = $4 AND r.id = ANY ($5)
ORDER BY r.id FOR UPDATE SKIP LOCKED"""  # noqa: S608  # constants only
INSERT_RUN = """
INSERT INTO payout_run (id, currency, route, state, count, total_micros, execution_on, made_at, made_by)
VALUES ($1, $2, $3, 'made', $4, $5, $6, $7, $8)"""
INSERT_PAYOUTS = """
INSERT INTO payout_order (part, run_id, refund_id, subscriber_id, amount_micros, currency, state, sealed_payee,
                          payment_method, payment_reference, changed_at)
SELECT r.part, $2, r.id, r.subscriber_id, q.micros, r.currency, 'made', r.sealed_payee, r.payment_method,
       r.payment_reference, $3
FROM unnest($4::bigint[], $5::bigint[]) AS q(id, micros) JOIN refund r ON r.part = $1 AND r.id = q.id"""
_RUN = """
SELECT id, currency, route, state, count, total_micros, execution_on, debtor, made_at, made_by, released_at,
       released_by, submitted_at FROM payout_run"""
FIND_RUN = f"{_RUN} WHERE id = $1"
LOCK_RUN = f"{FIND_RUN} FOR UPDATE"
LIST_RUNS = f"{_RUN} WHERE id < $1 ORDER BY id DESC LIMIT $2"
RELEASE_RUN = """
UPDATE payout_run SET state = 'released', debtor = $2, released_at = $3, released_by = $4 WHERE id = $1"""
WITHDRAW_RUN = "UPDATE payout_run SET state = 'withdrawn' WHERE id = $1"
SUBMIT_RUN = "UPDATE payout_run SET state = 'submitted', submitted_at = $2 WHERE id = $1"
MOVE_PAYOUTS = "UPDATE payout_order SET state = $3, changed_at = $4 WHERE part = $1 AND run_id = $2"
LIST_REFUNDS_OF_RUN = """
SELECT refund_id FROM payout_order WHERE part = $1 AND run_id = $2 AND refund_id > $3 ORDER BY refund_id LIMIT $4"""
HAS_DESTROYED_KEY = """
SELECT EXISTS (
    SELECT FROM payout_order o WHERE o.run_id = $1 AND o.sealed_payee IS NOT NULL AND NOT EXISTS (
        SELECT FROM subscriber_key k WHERE k.part = o.part AND k.subscriber_id = o.subscriber_id))"""
TALLY = """
SELECT state, count(*) AS count, sum(amount_micros)::bigint AS micros FROM payout_order WHERE run_id = $1
GROUP BY state ORDER BY state"""
LIST_PAYOUTS = """
SELECT part, run_id, refund_id, amount_micros, currency, state, reason, debit_reference, credit_reference,
       subscriber_id, sealed_payee, payment_method, payment_reference
FROM payout_order WHERE part = $1 AND run_id = $2 AND refund_id > $3 ORDER BY refund_id LIMIT $4"""
LIST_OF_REFUND = """
SELECT part, run_id, refund_id, amount_micros, currency, state, reason, debit_reference, credit_reference
FROM payout_order WHERE part = $1 AND refund_id = $2 ORDER BY run_id"""
# The refunds first, in the order of their ids, as all who lock them do; the payments are theirs alone.
LOCK_REFUNDS = "SELECT * FROM refund WHERE part = $1 AND id = ANY ($2) ORDER BY id FOR UPDATE"
LOCK_PAYOUTS = """
SELECT o.part, o.run_id, o.refund_id, o.amount_micros, o.currency, o.state, o.reason, o.debit_reference,
       o.credit_reference
FROM unnest($2::bigint[], $3::bigint[]) AS q(run_id, refund_id)
JOIN payout_order o ON o.part = $1 AND o.run_id = q.run_id AND o.refund_id = q.refund_id"""
UPDATE_PAYOUTS = """
UPDATE payout_order o SET state = q.state, reason = q.reason, debit_reference = q.debit,
                          credit_reference = q.credit, changed_at = $2
FROM unnest($3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[])
     AS q(run_id, refund_id, state, reason, debit, credit)
WHERE o.part = $1 AND o.run_id = q.run_id AND o.refund_id = q.refund_id"""

HAS_REPORT = "SELECT EXISTS (SELECT FROM bank_report WHERE message_id = $1)"
INSERT_REPORT = """
INSERT INTO bank_report (message_id, original_message_id, received_at, received_by, lines) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING"""
HAS_STATEMENT = "SELECT EXISTS (SELECT FROM bank_statement WHERE account = $1 AND id = $2)"
INSERT_STATEMENT = """
INSERT INTO bank_statement (account, id, currency, opening_micros, closing_micros, closing_on, received_at, received_by,
                            lines)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING"""
INSERT_ENTRIES = """
INSERT INTO bank_entry (account, reference, statement_id, end_to_end_id, amount_micros, currency, is_credit,
                        is_reversal, booked_on, reason, message_id, received_at)
SELECT $1, q.reference, $2, q.end_to_end_id, q.micros, q.currency, q.is_credit, q.is_reversal, q.booked_on, q.reason,
       q.message_id, $3
FROM unnest($4::text[], $5::text[], $6::bigint[], $7::text[], $8::boolean[], $9::boolean[], $10::date[], $11::text[],
            $12::text[])
     AS q(reference, end_to_end_id, micros, currency, is_credit, is_reversal, booked_on, reason, message_id)
ON CONFLICT DO NOTHING RETURNING reference"""
INSERT_UNMATCHED = """
INSERT INTO bank_unmatched (source, message_id, reference, end_to_end_id, why, at)
SELECT $1, $2, q.reference, q.end_to_end_id, q.why, $3
FROM unnest($4::text[], $5::text[], $6::text[]) AS q(reference, end_to_end_id, why)
ON CONFLICT DO NOTHING"""
_UNMATCHED = """
SELECT id, source, message_id, reference, end_to_end_id, why, at, resolved_at, resolved_by, resolution
FROM bank_unmatched"""
LIST_UNMATCHED = f"""
{_UNMATCHED} WHERE id > $1 AND (resolved_at IS NULL OR $2) ORDER BY id LIMIT $3"""
LOCK_UNMATCHED = f"{_UNMATCHED} WHERE id = $1 FOR UPDATE"
RESOLVE = "UPDATE bank_unmatched SET resolved_at = $2, resolved_by = $3, resolution = $4 WHERE id = $1"


async def list_parts(connection: Connection) -> list[int]:
    return [row["part"] for row in await connection.fetch(LIST_PARTS)]


async def next_run_id(connection: Connection) -> int:
    run_id: int = await connection.fetchval(NEXT_RUN_ID)
    return run_id


async def list_due(
    connection: Connection, currency: Currency, route: Route, at: datetime, most: int
) -> list[tuple[int, int, Money]]:
    """Refunds that may be paid: part, id and amount, the one that was approved first first."""
    rows = await connection.fetch(LIST_DUE, currency, route is Route.BANK, at, most)
    return [(row[0], row[1], Money(row[2], currency)) for row in rows]


async def lock_due(
    connection: Connection,
    currency: Currency,
    route: Route,
    at: datetime,
    part: int,
    refund_ids: Sequence[int],
) -> list[int]:
    """Take hold of those of these refunds that may still be paid."""
    rows = await connection.fetch(LOCK_DUE, currency, route is Route.BANK, at, part, refund_ids)
    return [row["id"] for row in rows]


async def insert_run(connection: Connection, run: PayoutRun) -> None:
    await connection.execute(
        INSERT_RUN,
        run.id,
        run.currency,
        run.route,
        run.count,
        run.total.micros,
        run.execution_on,
        run.made_at,
        run.made_by,
    )


async def insert_payouts(
    connection: Connection, part: int, run_id: int, amounts: dict[int, Money], at: datetime
) -> None:
    """Add a payment for each refund, of the amount given, with the payee that the refund has now."""
    micros = [amount.micros for amount in amounts.values()]
    await connection.execute(INSERT_PAYOUTS, part, run_id, at, list(amounts), micros)


async def find_run(connection: Connection, run_id: int) -> PayoutRun | None:
    return _run(await connection.fetchrow(FIND_RUN, run_id))


async def lock_run(connection: Connection, run_id: int) -> PayoutRun | None:
    """Take hold of a run: of all that release, withdraw or submit it, one goes first."""
    return _run(await connection.fetchrow(LOCK_RUN, run_id))


async def list_runs(connection: Connection, *, before: int, most: int = 50) -> tuple[PayoutRun, ...]:
    """The runs, the latest first, a page at a time."""
    return tuple(_read_run(row) for row in await connection.fetch(LIST_RUNS, before, most))


async def release_run(connection: Connection, run_id: int, debtor: Debtor, at: datetime, actor: str) -> None:
    await connection.execute(RELEASE_RUN, run_id, msgspec.to_builtins(debtor), at, actor)


async def withdraw_run(connection: Connection, run_id: int) -> None:
    await connection.execute(WITHDRAW_RUN, run_id)


async def submit_run(connection: Connection, run_id: int, at: datetime) -> None:
    await connection.execute(SUBMIT_RUN, run_id, at)


async def move_payouts(
    connection: Connection, part: int, run_id: int, state: PayoutState, at: datetime
) -> None:
    """All payments of a run, in a part, are in another state."""
    await connection.execute(MOVE_PAYOUTS, part, run_id, state, at)


async def list_refunds_of_run(
    connection: Connection, part: int, run_id: int, after: int, most: int
) -> list[int]:
    """A page of the refunds of a run, by id."""
    rows = await connection.fetch(LIST_REFUNDS_OF_RUN, part, run_id, after, most)
    return [row["refund_id"] for row in rows]


async def has_destroyed_key(connection: Connection, run_id: int) -> bool:
    """Whether the payee of any payment of a run can be opened no more."""
    found: bool = await connection.fetchval(HAS_DESTROYED_KEY, run_id)
    return found


async def tally_payouts(connection: Connection, run_id: int) -> dict[PayoutState, tuple[int, int]]:
    """How many payments of a run there are in each state, and of how many micros."""
    return {PayoutState(row[0]): (row[1], row[2]) for row in await connection.fetch(TALLY, run_id)}


async def list_payouts(
    connection: Connection, part: int, run_id: int, *, after: int = 0, most: int = 1000
) -> list[asyncpg.Record]:
    """Payments of a run in a part by the id of their refund, a page at a time, with what the file needs."""
    return await connection.fetch(LIST_PAYOUTS, part, run_id, after, most)


async def list_payouts_of_refund(connection: Connection, part: int, refund_id: int) -> list[Payout]:
    """Every payment that was tried of a refund, the first one first."""
    return [read_payout(row) for row in await connection.fetch(LIST_OF_REFUND, part, refund_id)]


async def lock_payouts(
    connection: Connection, part: int, keys: Sequence[PayoutKey]
) -> dict[PayoutKey, tuple[Payout, Refund]]:
    """Take hold of payments, by their refunds."""
    refund_ids = [key.refund_id for key in keys]
    refunds = {row["id"]: read_refund(row) for row in await connection.fetch(LOCK_REFUNDS, part, refund_ids)}
    rows = await connection.fetch(LOCK_PAYOUTS, part, [key.run_id for key in keys], refund_ids)
    payouts = [read_payout(row) for row in rows]
    return {payout.key: (payout, refunds[payout.key.refund_id]) for payout in payouts}


async def update_payouts(connection: Connection, part: int, payouts: Sequence[Payout], at: datetime) -> None:
    await connection.execute(
        UPDATE_PAYOUTS,
        part,
        at,
        [payout.key.run_id for payout in payouts],
        [payout.key.refund_id for payout in payouts],
        [payout.state for payout in payouts],
        [payout.reason for payout in payouts],
        [payout.debit_reference for payout in payouts],
        [payout.credit_reference for payout in payouts],
    )


async def has_report(connection: Connection, message_id: str) -> bool:
    found: bool = await connection.fetchval(HAS_REPORT, message_id)
    return found


async def insert_report(connection: Connection, report: StatusReport, at: datetime, actor: str) -> None:
    await connection.execute(
        INSERT_REPORT, report.message_id, report.original_message_id, at, actor, len(report.statuses)
    )


async def has_statement(connection: Connection, statement: BankStatement) -> bool:
    found: bool = await connection.fetchval(HAS_STATEMENT, statement.account, statement.id)
    return found


async def insert_statement(
    connection: Connection, statement: BankStatement, at: datetime, actor: str
) -> None:
    opening, closing = statement.opening, statement.closing
    known: Money | None = closing or opening
    await connection.execute(
        INSERT_STATEMENT,
        statement.account,
        statement.id,
        None if known is None else known.currency,
        None if opening is None else opening.micros,
        None if closing is None else closing.micros,
        statement.closing_on,
        at,
        actor,
        len(statement.booked),
    )


async def insert_entries(
    connection: Connection, account: str, statement_id: str, booked: Sequence[Booked], at: datetime
) -> set[str]:
    """Note movements of the operator's account; returns the references of those that were not known."""
    columns: tuple[list[Any], ...] = (
        [one.reference for one in booked],
        [one.end_to_end_id for one in booked],
        [one.amount.micros for one in booked],
        [one.amount.currency for one in booked],
        [one.is_credit for one in booked],
        [one.is_reversal for one in booked],
        [one.booked_on for one in booked],
        [one.reason for one in booked],
        [one.message_id for one in booked],
    )
    rows = await connection.fetch(INSERT_ENTRIES, account, statement_id, at, *columns)
    return {row["reference"] for row in rows}


async def insert_unmatched(
    connection: Connection,
    source: str,
    message_id: str,
    lines: Sequence[tuple[Line, Unmatched]],
    at: datetime,
) -> None:
    """Keep lines for a person; one that is kept already is not kept twice."""
    await connection.execute(
        INSERT_UNMATCHED,
        source,
        message_id,
        at,
        [line.reference or line.end_to_end_id for line, _ in lines],
        [line.end_to_end_id for line, _ in lines],
        [why for _, why in lines],
    )


async def list_unmatched(
    connection: Connection, *, after: int = 0, resolved: bool = False, most: int = 100
) -> tuple[UnmatchedLine, ...]:
    """Lines that wait for a person, and where `resolved` those that did."""
    rows = await connection.fetch(LIST_UNMATCHED, after, resolved, most)
    return tuple(_read_unmatched(row) for row in rows)


async def lock_unmatched(connection: Connection, line_id: int) -> UnmatchedLine | None:
    row = await connection.fetchrow(LOCK_UNMATCHED, line_id)
    return None if row is None else _read_unmatched(row)


async def resolve_unmatched(
    connection: Connection, line_id: int, at: datetime, actor: str, resolution: str
) -> None:
    await connection.execute(RESOLVE, line_id, at, actor, resolution)


def read_payout(row: asyncpg.Record) -> Payout:
    return Payout(
        PayoutKey(row["part"], row["run_id"], row["refund_id"]),
        Money(row["amount_micros"], Currency(row["currency"])),
        PayoutState(row["state"]),
        row["reason"],
        row["debit_reference"],
        row["credit_reference"],
    )


def _read_unmatched(row: asyncpg.Record) -> UnmatchedLine:
    return UnmatchedLine(**{**row, "why": Unmatched(row["why"])})


def _run(row: asyncpg.Record | None) -> PayoutRun | None:
    return None if row is None else _read_run(row)


def _read_run(row: asyncpg.Record) -> PayoutRun:
    execution_on: date = row["execution_on"]
    debtor = row["debtor"]
    return PayoutRun(
        id=row["id"],
        route=Route(row["route"]),
        state=RunState(row["state"]),
        count=row["count"],
        total=Money(row["total_micros"], Currency(row["currency"])),
        execution_on=execution_on,
        made_at=row["made_at"],
        made_by=row["made_by"],
        debtor=None if debtor is None else msgspec.convert(debtor, Debtor),
        released_at=row["released_at"],
        released_by=row["released_by"],
        submitted_at=row["submitted_at"],
    )
