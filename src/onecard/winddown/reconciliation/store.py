"""The SQL that lays the three books side by side.

A part at a time, and only rows that do not agree: of a million payments that do, nothing leaves the database.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date, datetime

import asyncpg

from onecard.database.pool import Connection
from onecard.ledger import EntryKind
from onecard.values.money import Currency, Money
from onecard.winddown.reconciliation.model import Compared, DayTotals, Sides, StatementLink

PAGE = 1000
OUT, BACK = int(EntryKind.PAYOUT), int(EntryKind.PAYOUT_RETURNED)

# `OC-<run>-<part>-<refund>` is payouts.rules.make_end_to_end_id. What an order is to have moved follows from its state.
_BOOKS = f"""
WITH filed AS (
    SELECT format('OC-%s-%s-%s', o.run_id, o.part, o.refund_id) AS id, o.run_id, o.currency, o.changed_at,
           r.route = 'bank' AS by_bank,
           s.run IS NOT NULL AS is_summed,
           CASE WHEN o.state IN ('settled', 'returned') THEN o.amount_micros ELSE 0 END AS out,
           CASE WHEN o.state = 'returned' THEN o.amount_micros ELSE 0 END AS back
    FROM payout_order o JOIN payout_run r ON r.id = o.run_id
    LEFT JOIN (
        SELECT DISTINCT split_part(message_id, '-', 3) AS run FROM bank_entry WHERE message_id LIKE 'OC-RUN-%'
    ) s ON s.run = r.id::text
    WHERE o.part = $1
), posted AS (
    SELECT e.memo AS id, a.currency,
           coalesce(-sum(e.available + e.held) FILTER (WHERE e.kind = {OUT}), 0)::bigint AS out,
           coalesce(sum(e.available + e.held) FILTER (WHERE e.kind = {BACK}), 0)::bigint AS back
    FROM entry e JOIN account a ON a.part = e.part AND a.id = e.account_id
    WHERE e.part = $1 AND e.kind IN ({OUT}, {BACK}) GROUP BY e.memo, a.currency
), booked AS (
    SELECT end_to_end_id AS id, currency,
           coalesce(sum(amount_micros) FILTER (WHERE NOT is_credit), 0)::bigint AS out,
           coalesce(sum(amount_micros) FILTER (WHERE is_credit), 0)::bigint AS back
    FROM bank_entry WHERE end_to_end_id LIKE 'OC-%' AND split_part(end_to_end_id, '-', 3) = $1::integer::text
    GROUP BY end_to_end_id, currency
), books AS (
    SELECT coalesce(f.id, p.id, b.id, '') AS id, f.run_id, coalesce(f.currency, p.currency, b.currency) AS currency,
           f.id IS NOT NULL AS is_filed, coalesce(f.by_bank, true) AS by_bank, f.changed_at,
           coalesce(f.out, 0) AS filed_out, coalesce(f.back, 0) AS filed_back,
           coalesce(p.out, 0) AS posted_out, coalesce(p.back, 0) AS posted_back,
           CASE WHEN f.is_summed THEN f.out ELSE 0 END + coalesce(b.out, 0) AS booked_out,
           coalesce(b.back, 0) AS booked_back
    FROM filed f FULL JOIN posted p ON p.id = f.id
    FULL JOIN booked b ON b.id = coalesce(f.id, p.id)
)"""  # noqa: S608  # constants only
LIST_UNEQUAL = f"""{_BOOKS}
SELECT * FROM books
WHERE NOT is_filed OR (posted_out, posted_back) <> (filed_out, filed_back)
   OR (by_bank AND (booked_out, booked_back) <> (filed_out, filed_back))
ORDER BY id"""  # noqa: S608  # constants only
COUNT_PAYMENTS = "SELECT count(*) FROM payout_order WHERE part = $1"
LIST_RUNS = """
SELECT r.id, r.currency, r.count, r.total_micros, count(o.refund_id) AS found,
       coalesce(sum(o.amount_micros), 0)::bigint AS found_micros
FROM payout_run r LEFT JOIN payout_order o ON o.run_id = r.id
GROUP BY r.id HAVING (r.count, r.total_micros) <> (count(o.refund_id), coalesce(sum(o.amount_micros), 0))
ORDER BY r.id LIMIT $1"""
# Runs that the bank booked as a sum: that is what their payments are to sum to.
LIST_SUMS = """
WITH booked AS (
    SELECT split_part(message_id, '-', 3) AS run, currency, sum(amount_micros)::bigint AS micros
    FROM bank_entry WHERE message_id LIKE 'OC-RUN-%' AND NOT is_credit GROUP BY 1, 2
)
SELECT r.id, b.currency, b.micros AS booked,
       coalesce(sum(o.amount_micros) FILTER (WHERE o.state IN ('settled', 'returned')), 0)::bigint AS filed
FROM booked b JOIN payout_run r ON r.id::text = b.run LEFT JOIN payout_order o ON o.run_id = r.id
GROUP BY r.id, b.currency, b.micros ORDER BY r.id"""
# By the operator's calendar. What the bank moved is of our payments only; its charges and the rest are not.
LIST_DAYS = f"""
WITH moved AS (
    SELECT (e.at AT TIME ZONE $1)::date AS day, a.currency,
           CASE WHEN e.kind = {OUT} THEN -(e.available + e.held) ELSE 0 END AS posted_out,
           CASE WHEN e.kind = {BACK} THEN e.available + e.held ELSE 0 END AS posted_back,
           0 AS booked_out, 0 AS booked_back
    FROM entry e JOIN account a ON a.part = e.part AND a.id = e.account_id WHERE e.kind IN ({OUT}, {BACK})
    UNION ALL
    SELECT booked_on, currency, 0, 0, CASE WHEN is_credit THEN 0 ELSE amount_micros END,
           CASE WHEN is_credit THEN amount_micros ELSE 0 END
    FROM bank_entry WHERE end_to_end_id LIKE 'OC-%' OR message_id LIKE 'OC-RUN-%'
)
SELECT day, currency, sum(posted_out)::bigint, sum(posted_back)::bigint, sum(booked_out)::bigint,
       sum(booked_back)::bigint
FROM moved GROUP BY day, currency ORDER BY day, currency"""  # noqa: S608  # constants only
# Movements between two statements by the day on which they were booked: a notification may have told of them first.
LIST_STATEMENTS = """
WITH ordered AS (
    SELECT account, id, currency, opening_micros, closing_micros, closing_on,
           lag(closing_on) OVER w AS before_on, lag(closing_micros) OVER w AS before_micros
    FROM bank_statement WHERE closing_micros IS NOT NULL
    WINDOW w AS (PARTITION BY account ORDER BY closing_on, id)
), daily AS MATERIALIZED (
    SELECT account, statement_id, booked_on,
           sum(CASE WHEN is_credit THEN amount_micros ELSE -amount_micros END) AS micros
    FROM bank_entry GROUP BY account, statement_id, booked_on
)
SELECT o.account, o.id, o.currency, o.opening_micros, o.closing_micros, o.closing_on, o.before_micros,
       (SELECT coalesce(sum(d.micros), 0)::bigint FROM daily d
        WHERE d.account = o.account AND d.booked_on <= o.closing_on
          AND CASE WHEN o.before_on IS NULL THEN d.statement_id = o.id ELSE d.booked_on > o.before_on END) AS moved
FROM ordered o ORDER BY o.account, o.closing_on, o.id"""
COUNT_UNMATCHED = "SELECT count(*) FROM bank_unmatched WHERE resolved_at IS NULL"
LATEST_BALANCES = """
SELECT DISTINCT ON (account) account, currency, closing_micros, closing_on FROM bank_statement
WHERE closing_micros IS NOT NULL ORDER BY account, closing_on DESC, id DESC"""
# Only what settled orders are still to move, either way.
SUM_UNDER_WAY = f"""{_BOOKS}
SELECT currency, sum(greatest(posted_out - posted_back - (booked_out - booked_back), 0))::bigint AS leaving,
       sum(greatest(booked_out - booked_back - (posted_out - posted_back), 0))::bigint AS "left"
FROM books WHERE by_bank AND posted_out - posted_back <> booked_out - booked_back GROUP BY currency"""  # noqa: S608
OWED_ON_ACCOUNTS = """
SELECT coalesce(s.value, 'cash') AS value, a.currency, sum(a.available + a.held)::bigint AS micros
FROM account a LEFT JOIN side_account s ON s.part = a.part AND s.side_account_id = a.id
WHERE a.part = $1 AND a.role = 'subscriber' AND a.currency ~ '^[A-Z]{3}$' AND a.available + a.held <> 0
GROUP BY 1, 2 ORDER BY 1, 2"""
OWED_FOR_VOUCHERS = """
SELECT b.currency, (count(*) * b.face_micros)::bigint AS micros FROM voucher v JOIN voucher_batch b ON b.id = v.batch_id
WHERE v.used_at IS NULL AND v.voided_at IS NULL AND b.expires_at > $1 GROUP BY b.id, b.currency, b.face_micros"""

OWED_FOR_CARDS = """
SELECT p.currency, sum(p.paid_micros)::bigint AS micros FROM card_payment p
JOIN card c ON c.part = p.part AND c.id = p.card_id
WHERE p.part = $1 AND c.state = 'sold' AND NOT EXISTS (
    SELECT FROM side_account s JOIN entry e ON e.part = s.part AND e.account_id = s.side_account_id
    WHERE s.part = $1 AND s.account_id = c.account_id AND s.value = 'unactivated_cards' AND e.memo = 'card ' || c.id)
GROUP BY p.currency"""


async def list_unequal(connection: Connection, part: int) -> AsyncIterator[Compared]:
    """Payments of a part of which the books do not say the same, by their id. To be called in a transaction."""
    async for row in connection.cursor(LIST_UNEQUAL, part, prefetch=PAGE):
        yield _compared(row)


async def count_payments(connection: Connection, part: int) -> int:
    count: int = await connection.fetchval(COUNT_PAYMENTS, part)
    return count


async def list_unequal_runs(connection: Connection, most: int) -> list[asyncpg.Record]:
    """Runs whose orders do not bear out their count or total."""
    return await connection.fetch(LIST_RUNS, most)


async def list_sums(connection: Connection) -> list[asyncpg.Record]:
    """What the bank booked of whole runs as one sum each, and what the files have of them as paid, in micros."""
    return await connection.fetch(LIST_SUMS)


async def list_days(connection: Connection, zone: str) -> tuple[DayTotals, ...]:
    """What moved day by day, by the ledger and by the bank."""
    rows = await connection.fetch(LIST_DAYS, zone)
    return tuple(
        DayTotals(row[0], Currency(row[1]), Sides(row[2], row[3]), Sides(row[4], row[5])) for row in rows
    )


async def list_statements(connection: Connection) -> list[tuple[StatementLink, Currency]]:
    """Every statement that has a balance, each with the one before it."""
    return [
        (
            StatementLink(
                account=row["account"],
                id=row["id"],
                closing_on=row["closing_on"],
                opening=row["opening_micros"],
                closing=row["closing_micros"],
                closing_before=row["before_micros"],
                moved=row["moved"],
            ),
            Currency(row["currency"]),
        )
        for row in await connection.fetch(LIST_STATEMENTS)
    ]


async def count_unmatched(connection: Connection) -> int:
    count: int = await connection.fetchval(COUNT_UNMATCHED)
    return count


async def list_latest_balances(connection: Connection) -> list[tuple[Money, date]]:
    """What the latest statement of each account ended with, and on which day."""
    rows = await connection.fetch(LATEST_BALANCES)
    return [(Money(row["closing_micros"], Currency(row["currency"])), row["closing_on"]) for row in rows]


async def sum_under_way(connection: Connection, part: int) -> list[tuple[Currency, int, int]]:
    """By currency: posted and not booked yet, and booked and not posted yet, in micros."""
    rows = await connection.fetch(SUM_UNDER_WAY, part)
    return [(Currency(row["currency"]), row["leaving"], row["left"]) for row in rows]


async def list_owed_on_accounts(connection: Connection, part: int) -> list[tuple[str, Currency, int]]:
    """What is on the accounts of a part, by kind of value and currency."""
    rows = await connection.fetch(OWED_ON_ACCOUNTS, part)
    return [(row["value"], Currency(row["currency"]), row["micros"]) for row in rows]


def _compared(row: asyncpg.Record) -> Compared:
    return Compared(
        subject=row["id"],
        run_id=row["run_id"],
        currency=Currency(row["currency"]),
        is_filed=row["is_filed"],
        by_bank=row["by_bank"],
        changed_at=row["changed_at"],
        filed=Sides(row["filed_out"], row["filed_back"]),
        posted=Sides(row["posted_out"], row["posted_back"]),
        booked=Sides(row["booked_out"], row["booked_back"]),
    )


async def list_owed_for_vouchers(connection: Connection, at: datetime) -> list[tuple[Currency, int]]:
    """The face values of vouchers that can still be used, a row a batch."""
    rows = await connection.fetch(OWED_FOR_VOUCHERS, at)
    return [(Currency(row["currency"]), row["micros"]) for row in rows]


async def list_owed_for_cards(connection: Connection, part: int) -> list[tuple[Currency, int]]:
    """What was paid for cards that nobody has activated, or made void, yet."""
    rows = await connection.fetch(OWED_FOR_CARDS, part)
    return [(Currency(row["currency"]), row["micros"]) for row in rows]
