"""The rows of side accounts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from onecard.database.pool import Connection
from onecard.payments.sides.model import SideAccount, SideValue
from onecard.values.money import Currency, Money

FIND = """
SELECT account_id, side_account_id FROM side_account WHERE part = $1 AND value = $2 AND account_id = ANY ($3)"""
INSERT = """
INSERT INTO side_account (part, account_id, value, side_account_id, opened_at) VALUES ($1, $2, $3, $4, $5)"""
LIST = """
SELECT s.part, s.account_id, s.value, s.side_account_id, a.available, a.held, a.currency
FROM side_account s JOIN account a ON a.part = s.part AND a.id = s.side_account_id
WHERE s.part = $1 AND s.account_id = $2 ORDER BY s.value"""


async def find_side_accounts(
    connection: Connection, part: int, value: SideValue, account_ids: Sequence[int]
) -> dict[int, int]:
    """The ledger account of this value of each account that has one."""
    return {row[0]: row[1] for row in await connection.fetch(FIND, part, value, account_ids)}


async def insert_side_account(
    connection: Connection, part: int, account_id: int, value: SideValue, side_account_id: int, at: datetime
) -> None:
    await connection.execute(INSERT, part, account_id, value, side_account_id, at)


async def list_side_accounts(connection: Connection, part: int, account_id: int) -> tuple[SideAccount, ...]:
    """The side accounts of an account, and what is on each."""
    rows = await connection.fetch(LIST, part, account_id)
    return tuple(
        SideAccount(
            row["part"],
            row["account_id"],
            SideValue(row["value"]),
            row["side_account_id"],
            Money(row["available"], Currency(row["currency"])),
            Money(row["held"], Currency(row["currency"])),
        )
        for row in rows
    )
