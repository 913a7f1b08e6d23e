"""The rows of vouchers, of their batches, and of what guards them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from onecard.database.pool import Connection
from onecard.payments.model import BatchTally, Payer, Voucher, VoucherBatch
from onecard.values.guard import Guard
from onecard.values.money import Currency, Money

INSERT_BATCH = """
INSERT INTO voucher_batch (face_micros, currency, count, expires_at, made_at, made_by)
VALUES ($1, $2, $3, $4, $5, $6) RETURNING id"""
INSERT_VOUCHERS = """
INSERT INTO voucher (batch_id, pin_hash) SELECT $1, hash FROM unnest($2::bytea[]) AS hash
ON CONFLICT ON CONSTRAINT voucher_pin_is_unique DO NOTHING RETURNING serial, pin_hash"""
_VOUCHER = """
SELECT v.serial, v.batch_id, b.face_micros, b.currency, b.expires_at, v.used_at, v.part, v.account_id, v.voided_at
FROM voucher v JOIN voucher_batch b ON b.id = v.batch_id"""
LOCK_BY_PIN = f"{_VOUCHER} WHERE v.pin_hash = $1 FOR UPDATE OF v"
FIND_BY_SERIAL = f"{_VOUCHER} WHERE v.serial = $1"
LOCK_BY_SERIAL = f"{FIND_BY_SERIAL} FOR UPDATE OF v"
LIST_VOUCHERS = f"{_VOUCHER} WHERE v.batch_id = $1 AND v.serial > $2 ORDER BY v.serial LIMIT $3"
MARK_USED = "UPDATE voucher SET used_at = $2, part = $3, account_id = $4 WHERE serial = $1"
VOID_VOUCHER = "UPDATE voucher SET voided_at = $2 WHERE serial = $1"
# In the order of the serials, so that two that void one batch do not wait for each other.
VOID_BATCH = """
WITH unused AS (
    SELECT serial FROM voucher WHERE batch_id = $1 AND used_at IS NULL AND voided_at IS NULL
    ORDER BY serial FOR UPDATE
)
UPDATE voucher v SET voided_at = $2 FROM unused WHERE v.serial = unused.serial RETURNING v.serial"""

_TALLY = """
SELECT b.id, b.face_micros, b.currency, b.count, b.expires_at, b.made_at, b.made_by,
       (SELECT count(*) FROM voucher v WHERE v.batch_id = b.id AND v.used_at IS NOT NULL) AS used,
       (SELECT count(*) FROM voucher v WHERE v.batch_id = b.id AND v.voided_at IS NOT NULL) AS void
FROM voucher_batch b"""
FIND_BATCH = f"{_TALLY} WHERE b.id = $1"
LIST_BATCHES = f"{_TALLY} WHERE b.id < $1 ORDER BY b.id DESC LIMIT $2"

FIND_GUARD = "SELECT wrong_at, locked_until FROM voucher_guard WHERE part = $1 AND account_id = $2"
SAVE_GUARD = """
INSERT INTO voucher_guard (part, account_id, wrong_at, locked_until) VALUES ($1, $2, $3, $4)
ON CONFLICT (part, account_id) DO UPDATE SET wrong_at = $3, locked_until = $4"""


async def insert_batch(
    connection: Connection, face: Money, count: int, expires_at: datetime, at: datetime, actor: str
) -> VoucherBatch:
    batch_id = await connection.fetchval(
        INSERT_BATCH, face.micros, face.currency, count, expires_at, at, actor
    )
    return VoucherBatch(batch_id, face, count, expires_at, at, actor)


async def insert_vouchers(connection: Connection, batch_id: int, hashes: Sequence[bytes]) -> dict[bytes, int]:
    """Add vouchers; returns the serial number of each hash, without those that a voucher had before."""
    rows = await connection.fetch(INSERT_VOUCHERS, batch_id, hashes)
    return {row["pin_hash"]: row["serial"] for row in rows}


async def lock_voucher_of_pin(connection: Connection, pin_hash: bytes) -> Voucher | None:
    """Take hold of a voucher: of all that redeem or void it at once, one goes first."""
    return _voucher(await connection.fetchrow(LOCK_BY_PIN, pin_hash))


async def lock_voucher(connection: Connection, serial: int) -> Voucher | None:
    return _voucher(await connection.fetchrow(LOCK_BY_SERIAL, serial))


async def find_voucher(connection: Connection, serial: int) -> Voucher | None:
    return _voucher(await connection.fetchrow(FIND_BY_SERIAL, serial))


async def list_vouchers(
    connection: Connection, batch_id: int, *, after: int = 0, most: int = 100
) -> tuple[Voucher, ...]:
    """The vouchers of a batch by serial number, a page at a time."""
    return tuple(_read(row) for row in await connection.fetch(LIST_VOUCHERS, batch_id, after, most))


async def mark_used(connection: Connection, serial: int, at: datetime, payer: Payer) -> None:
    await connection.execute(MARK_USED, serial, at, payer.part, payer.account_id)


async def void_voucher(connection: Connection, serial: int, at: datetime) -> None:
    await connection.execute(VOID_VOUCHER, serial, at)


async def void_batch(connection: Connection, batch_id: int, at: datetime) -> int:
    """Void what is left of a batch; returns how many vouchers that were."""
    return len(await connection.fetch(VOID_BATCH, batch_id, at))


async def find_batch(connection: Connection, batch_id: int) -> BatchTally | None:
    row = await connection.fetchrow(FIND_BATCH, batch_id)
    return None if row is None else _tally(row)


async def list_batches(connection: Connection, *, before: int, most: int = 100) -> tuple[BatchTally, ...]:
    """The batches, the latest first, a page at a time."""
    return tuple(_tally(row) for row in await connection.fetch(LIST_BATCHES, before, most))


async def get_guard(connection: Connection, payer: Payer) -> Guard:
    row = await connection.fetchrow(FIND_GUARD, payer.part, payer.account_id)
    return Guard() if row is None else Guard(tuple(row["wrong_at"]), row["locked_until"])


async def save_guard(connection: Connection, payer: Payer, guard: Guard) -> None:
    await connection.execute(
        SAVE_GUARD, payer.part, payer.account_id, list(guard.wrong_at), guard.locked_until
    )


def _voucher(row: asyncpg.Record | None) -> Voucher | None:
    return None if row is None else _read(row)


def _read(row: asyncpg.Record) -> Voucher:
    return Voucher(
        serial=row["serial"],
        batch_id=row["batch_id"],
        face=Money(row["face_micros"], Currency(row["currency"])),
        expires_at=row["expires_at"],
        used_at=row["used_at"],
        part=row["part"],
        account_id=row["account_id"],
        voided_at=row["voided_at"],
    )


def _tally(row: asyncpg.Record) -> BatchTally:
    face = Money(row["face_micros"], Currency(row["currency"]))
    batch = VoucherBatch(row["id"], face, row["count"], row["expires_at"], row["made_at"], row["made_by"])
    return BatchTally(batch, row["used"], row["void"])
