"""The rows of purge runs and renewals, and what is counted and deleted of each class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from onecard.database.pool import Connection
from onecard.retention.model import Batch, ClassTally, DataClass, PurgeRun

# Runs

_RUN = """
SELECT id, class AS data_class, before, started_at, started_by, rows, keys, oldest, newest, ended_at FROM purge_run"""
OPEN_RUN = f"{_RUN} WHERE class = $1 AND ended_at IS NULL FOR UPDATE"
FIND_RUN = f"{_RUN} WHERE id = $1"
LIST_RUNS = f"{_RUN} ORDER BY id"
INSERT_RUN = """
INSERT INTO purge_run (class, before, started_at, started_by) VALUES ($1, $2, $3, $4) RETURNING id"""
ADD_TO_RUN = """
UPDATE purge_run SET rows = rows + $2, keys = keys + $3, oldest = least(oldest, $4), newest = greatest(newest, $5)
WHERE id = $1"""
END_RUN = "UPDATE purge_run SET ended_at = $2 WHERE id = $1"


async def lock_open_run(connection: Connection, data_class: DataClass) -> PurgeRun | None:
    """Take hold of the run of a class that has not ended, if there is one."""
    return _run(await connection.fetchrow(OPEN_RUN, data_class.value))


async def find_run(connection: Connection, run_id: int) -> PurgeRun | None:
    return _run(await connection.fetchrow(FIND_RUN, run_id))


async def list_runs(connection: Connection) -> tuple[PurgeRun, ...]:
    return tuple(_read_run(row) for row in await connection.fetch(LIST_RUNS))


async def insert_run(
    connection: Connection, data_class: DataClass, before: datetime, at: datetime, actor: str
) -> PurgeRun:
    run_id = await connection.fetchval(INSERT_RUN, data_class.value, before, at, actor)
    return PurgeRun(run_id, data_class, before, at, actor)


async def add_to_run(connection: Connection, run_id: int, batch: Batch) -> None:
    await connection.execute(ADD_TO_RUN, run_id, batch.rows, batch.keys, batch.oldest, batch.newest)


async def end_run(connection: Connection, run_id: int, at: datetime) -> None:
    await connection.execute(END_RUN, run_id, at)


def _run(row: asyncpg.Record | None) -> PurgeRun | None:
    return None if row is None else _read_run(row)


def _read_run(row: asyncpg.Record) -> PurgeRun:
    return PurgeRun(**{**row, "data_class": DataClass(row["data_class"])})


# What is kept


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one table that are purged by their age alone."""

    table: str
    at: str
    """When a row was over."""
    condition: str = "true"
    """What else must be so."""


_OF_ERASED = """EXISTS (SELECT FROM subscriber s WHERE s.part = x.part AND s.id = x.subscriber_id
                        AND s.erased_at IS NOT NULL)"""
_OF_ERASED_CARD = """EXISTS (SELECT FROM card c JOIN subscriber s ON s.part = c.part AND s.id = c.subscriber_id
                             WHERE c.part = x.part AND c.id = x.card_id AND s.erased_at IS NOT NULL)"""
_ERASED_AT = "(SELECT erased_at FROM subscriber s WHERE s.part = x.part AND s.id = x.subscriber_id)"
_CARD_ERASED_AT = """(SELECT s.erased_at FROM card c JOIN subscriber s ON s.part = c.part AND s.id = c.subscriber_id
                      WHERE c.part = x.part AND c.id = x.card_id)"""

ROWS: dict[DataClass, tuple[Rows, ...]] = {
    DataClass.TRACES: (
        Rows(
            "message",
            "coalesce(x.done_at, x.accepted_at)",
            "NOT EXISTS (SELECT FROM delivery d WHERE d.part = x.part AND d.id = x.id)",
        ),
    ),
    DataClass.USAGE: (Rows("usage_record", "x.ended_at"),),
    DataClass.NOTICES: (
        Rows("notice", "x.closed_at", "x.closed_at IS NOT NULL"),
        Rows("notice_attempt", "x.result_at"),
        Rows(
            "notice_recipient",
            "coalesce(x.done_at, x.due_at)",
            "x.state IN ('reached', 'unreached', 'withdrawn')",
        ),
    ),
    DataClass.SIGN_IN: (
        Rows("passkey", _ERASED_AT, _OF_ERASED),
        Rows("claim_code", _ERASED_AT, _OF_ERASED),
        Rows("sign_in_code", _CARD_ERASED_AT, _OF_ERASED_CARD),
        Rows("port_pin", _CARD_ERASED_AT, _OF_ERASED_CARD),
    ),
}
_DELETE = """
WITH old AS (SELECT x.ctid AS place, {at} AS at FROM {table} x
             WHERE x.part = $1 AND {condition} AND {at} < $2 LIMIT $3 FOR UPDATE OF x),
     gone AS (DELETE FROM {table} x USING old WHERE x.part = $1 AND x.ctid = old.place RETURNING old.at)
SELECT count(*) AS rows, min(at) AS oldest, max(at) AS newest FROM gone"""
_COUNT = """
SELECT count(*) AS kept, count(*) FILTER (WHERE {condition} AND {at} < $2) AS ready,
       count(*) FILTER (WHERE {condition} AND {at} < $3) AS overdue, min({at}) AS oldest
FROM {table} x WHERE x.part = $1"""


async def delete_rows(
    connection: Connection, data_class: DataClass, part: int, before: datetime, most: int
) -> Batch:
    """Delete so many rows of each table of a class that were over before an instant."""
    found = [await connection.fetchrow(_fill(_DELETE, rows), part, before, most) for rows in ROWS[data_class]]
    ages = [row[name] for row in found if row and row["rows"] for name in ("oldest", "newest")]
    return Batch(
        sum(row["rows"] for row in found if row),
        oldest=min(ages, default=None),
        newest=max(ages, default=None),
    )


async def count_rows(
    connection: Connection, data_class: DataClass, part: int, ready_before: datetime, overdue_before: datetime
) -> list[ClassTally]:
    """How much there is of each table of a class."""
    return [
        _tally(
            data_class,
            await connection.fetchrow(_fill(_COUNT, rows), part, ready_before, overdue_before),
        )
        for rows in ROWS[data_class]
    ]


def _fill(statement: str, rows: Rows) -> str:
    return statement.format(table=rows.table, at=rows.at, condition=rows.condition)


def _tally(data_class: DataClass, row: asyncpg.Record | None) -> ClassTally:
    assert row is not None
    return ClassTally(data_class, row["kept"], row["ready"], row["overdue"], row["oldest"])


# Contact details go when a subscriber has no card, is owed nothing and has no refund under way.

_OVER_AT = """greatest(s.created_at,
    (SELECT max(c.ended_at) FROM card c WHERE c.part = s.part AND c.subscriber_id = s.id),
    (SELECT max(r.closed_at) FROM refund r WHERE r.part = s.part AND r.account_id = s.account_id))"""
_IS_OVER = """NOT EXISTS (SELECT FROM card c WHERE c.part = s.part AND c.subscriber_id = s.id AND c.state <> 'ended')
  AND NOT EXISTS (SELECT FROM refund r
                  WHERE r.part = s.part AND r.account_id = s.account_id AND r.closed_at IS NULL)
  AND NOT EXISTS (SELECT FROM account a WHERE a.part = s.part AND (a.available <> 0 OR a.held <> 0)
                  AND (a.id = s.account_id OR a.id IN (SELECT v.side_account_id FROM side_account v
                       WHERE v.part = s.part AND v.account_id = s.account_id)))"""
LOCK_OVER = f"""
SELECT s.id, {_OVER_AT} AS at FROM subscriber s
WHERE s.part = $1 AND s.erased_at IS NULL AND {_IS_OVER} AND {_OVER_AT} < $2
ORDER BY s.id LIMIT $3 FOR UPDATE OF s"""  # noqa: S608  # constants only
COUNT_CONTACTS = f"""
SELECT count(*) AS kept, count(*) FILTER (WHERE is_over AND at < $2) AS ready,
       count(*) FILTER (WHERE is_over AND at < $3) AS overdue, min(at) AS oldest
FROM (SELECT {_IS_OVER} AS is_over, {_OVER_AT} AS at FROM subscriber s
      WHERE s.part = $1 AND s.erased_at IS NULL) AS x"""  # noqa: S608
ERASE = (
    "UPDATE subscriber SET sealed_contact = NULL, erased_at = $3 WHERE part = $1 AND id = ANY ($2::bigint[])"
)
FORGET_NAMES = "DELETE FROM subscriber_name WHERE part = $1 AND subscriber_id = ANY ($2::bigint[])"
DESTROY_KEYS = "DELETE FROM subscriber_key WHERE part = $1 AND subscriber_id = ANY ($2::bigint[])"
LIST_WITH_PAYEES = """
SELECT DISTINCT subscriber_id FROM refund
WHERE part = $1 AND subscriber_id = ANY ($2::bigint[]) AND sealed_payee IS NOT NULL
UNION
SELECT DISTINCT subscriber_id FROM payout_order
WHERE part = $1 AND subscriber_id = ANY ($2::bigint[]) AND sealed_payee IS NOT NULL"""


async def lock_over(
    connection: Connection, part: int, before: datetime, most: int
) -> list[tuple[int, datetime]]:
    """Take hold of subscribers with whom all was over before an instant: id, and when that was."""
    return [(row["id"], row["at"]) for row in await connection.fetch(LOCK_OVER, part, before, most)]


async def list_with_payees(connection: Connection, part: int, ids: Sequence[int]) -> tuple[int, ...]:
    """Those of some subscribers of whom a payee is kept, sealed with their key."""
    return tuple(row["subscriber_id"] for row in await connection.fetch(LIST_WITH_PAYEES, part, ids))


async def erase_contacts(connection: Connection, part: int, ids: Sequence[int], at: datetime) -> None:
    """Erase the contact details of subscribers whom the caller holds, and what their names are found by."""
    await connection.execute(ERASE, part, ids, at)
    await connection.execute(FORGET_NAMES, part, ids)


async def destroy_keys(connection: Connection, part: int, ids: Sequence[int]) -> None:
    await connection.execute(DESTROY_KEYS, part, ids)


async def count_contacts(
    connection: Connection, part: int, ready_before: datetime, overdue_before: datetime
) -> ClassTally:
    row = await connection.fetchrow(COUNT_CONTACTS, part, ready_before, overdue_before)
    return _tally(DataClass.CONTACTS, row)


# Payees: of refunds, and of the payouts that paid them.

LIST_OF_REFUNDS = """
SELECT id, sealed_payee FROM refund WHERE part = $1 AND subscriber_id = $2 AND sealed_payee IS NOT NULL"""
LIST_OF_PAYOUTS = """
SELECT run_id, refund_id, sealed_payee FROM payout_order
WHERE part = $1 AND subscriber_id = $2 AND sealed_payee IS NOT NULL"""
RESEAL_REFUND = "UPDATE refund SET sealed_payee = $3 WHERE part = $1 AND id = $2"
RESEAL_PAYOUT = "UPDATE payout_order SET sealed_payee = $4 WHERE part = $1 AND run_id = $2 AND refund_id = $3"

CLEAR_PAYEES = """
WITH old AS (SELECT id, closed_at FROM refund
             WHERE part = $1 AND sealed_payee IS NOT NULL AND closed_at < $2 ORDER BY id LIMIT $3 FOR UPDATE),
     of_payouts AS (UPDATE payout_order o SET sealed_payee = NULL FROM old WHERE o.part = $1 AND o.refund_id = old.id),
     gone AS (UPDATE refund r SET sealed_payee = NULL, payee_shown = NULL, payee_by = NULL FROM old
              WHERE r.part = $1 AND r.id = old.id RETURNING r.subscriber_id, old.closed_at)
SELECT count(*) AS rows, min(closed_at) AS oldest, max(closed_at) AS newest,
       array_agg(DISTINCT subscriber_id) AS subscribers FROM gone"""
COUNT_PAYEES = """
SELECT count(*) AS kept, count(*) FILTER (WHERE closed_at < $2) AS ready,
       count(*) FILTER (WHERE closed_at < $3) AS overdue, min(closed_at) AS oldest
FROM refund WHERE part = $1 AND sealed_payee IS NOT NULL"""
LIST_ERASED = """
SELECT id FROM subscriber WHERE part = $1 AND id = ANY ($2::bigint[]) AND erased_at IS NOT NULL FOR UPDATE"""


async def list_sealed_payees(
    connection: Connection, part: int, subscriber_id: int
) -> tuple[list[tuple[int, bytes]], list[tuple[int, int, bytes]]]:
    """What is sealed of a subscriber's payees: of refunds by id, of payouts by run and refund."""
    of_refunds = await connection.fetch(LIST_OF_REFUNDS, part, subscriber_id)
    of_payouts = await connection.fetch(LIST_OF_PAYOUTS, part, subscriber_id)
    return [tuple(row) for row in of_refunds], [tuple(row) for row in of_payouts]


async def reseal_refund(connection: Connection, part: int, refund_id: int, sealed: bytes) -> None:
    await connection.execute(RESEAL_REFUND, part, refund_id, sealed)


async def reseal_payout(
    connection: Connection, part: int, run_id: int, refund_id: int, sealed: bytes
) -> None:
    await connection.execute(RESEAL_PAYOUT, part, run_id, refund_id, sealed)


async def clear_payees(
    connection: Connection, part: int, before: datetime, most: int
) -> tuple[Batch, tuple[int, ...]]:
    """Clear the payees of refunds that were closed before an instant, and of their payouts; whose they were."""
    row = await connection.fetchrow(CLEAR_PAYEES, part, before, most)
    assert row is not None
    return Batch(row["rows"], 0, row["oldest"], row["newest"]), tuple(row["subscribers"] or ())


async def lock_erased(connection: Connection, part: int, ids: Sequence[int]) -> tuple[int, ...]:
    """Those of some subscribers whose contact details are gone."""
    return tuple(row["id"] for row in await connection.fetch(LIST_ERASED, part, ids))


async def count_payees(
    connection: Connection, part: int, ready_before: datetime, overdue_before: datetime
) -> ClassTally:
    row = await connection.fetchrow(COUNT_PAYEES, part, ready_before, overdue_before)
    return _tally(DataClass.PAYEES, row)
