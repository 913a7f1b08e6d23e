"""The SQL of credit control. Batches go through `charge_sessions` of migration 0007."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from hashlib import blake2b
from uuid import UUID

from onecard.catalogue.model import UsageKind
from onecard.charging.model import Allowance, UsageRecord, Written
from onecard.database.pool import Connection, Pool, connection

CHARGE = f"SELECT charge_sessions({', '.join(f'${place}' for place in range(1, 33))})"
FIND = """
SELECT id, version, number, is_open, expires_at, sealed_state, answer FROM charging_session
WHERE part = ANY ($1) AND id = $2"""
LIST_EXPIRED = """
SELECT id FROM charging_session WHERE part = $1 AND is_open AND expires_at <= $2 LIMIT $3"""
PURGE = "DELETE FROM charging_session WHERE part = $1 AND NOT is_open AND closed_at < $2"
READ_AVAILABLE = "SELECT id, available FROM account WHERE part = $1 AND id = ANY ($2)"
LIST_ALLOWANCES = """
SELECT unit_account_id, usage, line_countries, zones, expires_at, overage FROM allowance
WHERE part = $1 AND account_id = $2 AND closed_at IS NULL ORDER BY expires_at, id"""


class ChargeStatus(IntEnum):
    """What `charge_sessions` answers for a request."""

    WRITTEN = 0
    INSUFFICIENT = 3
    NO_ACCOUNT = 4
    STALE = 5


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A session as it lies in the database."""

    version: int
    number: int
    is_open: bool
    expires_at: datetime
    sealed_state: bytes | None
    answer: bytes


async def charge_batch(pool: Pool, part: int, at: datetime, batch: Sequence[Written]) -> list[ChargeStatus]:
    """Write requests of one part in one commit; answers the status of each."""
    sessions = [written.session for written in batch]
    movements = [(place, move) for place, written in enumerate(batch, 1) for move in written.movements]
    records = [(place, record) for place, written in enumerate(batch, 1) for record in written.records]
    async with connection(pool) as borrowed:
        statuses = await borrowed.fetchval(
            CHARGE,
            part,
            at,
            [session.id for session in sessions],
            [session.account_id for session in sessions],
            [session.card_id for session in sessions],
            [session.line_id for session in sessions],
            [session.version for session in sessions],
            [session.number for session in sessions],
            [written.is_open for written in batch],
            [session.opened_at for session in sessions],
            [written.expires_at for written in batch],
            [written.sealed_state for written in batch],
            [written.answer for written in batch],
            [place for place, _ in movements],
            [move.account_id for _, move in movements],
            [_event_of(batch[place - 1]) for place, _ in movements],
            [move.kind for _, move in movements],
            [move.available for _, move in movements],
            [move.held for _, move in movements],
            [move.available ^ move.held for _, move in movements],
            *_columns(records),
        )
    if statuses is None:
        return [ChargeStatus.WRITTEN] * len(batch)
    return [ChargeStatus(status) for status in statuses]


def _columns(records: Sequence[tuple[int, UsageRecord]]) -> tuple[list[object], ...]:
    return (
        [place for place, _ in records],
        [record.usage.value for _, record in records],
        [record.far for _, record in records],
        [record.zone for _, record in records],
        [record.rating_group for _, record in records],
        [record.started_at for _, record in records],
        [record.units for _, record in records],
        [record.allowance_units for _, record in records],
        [record.price_micros for _, record in records],
        [record.unpaid_micros for _, record in records],
        [record.cause for _, record in records],
        [record.explanation for _, record in records],
    )


def _event_of(written: Written) -> UUID:
    """The ledger's event of one request: the same for a batch that is sent again.

    Session ids come back, when a network forgets which it has used and we have forgotten the session: it is another
    one by the time at which it was opened.
    """
    session = written.session
    opened = int(session.opened_at.timestamp() * 1_000_000)
    salt = session.version.to_bytes(8, "big") + opened.to_bytes(8, "big")
    return UUID(bytes=blake2b(session.id.encode(), digest_size=16, salt=salt).digest())


async def find_session(pool: Pool, parts: Sequence[int], session_id: str) -> StoredSession | None:
    """A session by its id, open or over."""
    async with connection(pool) as borrowed:
        row = await borrowed.fetchrow(FIND, list(parts), session_id)
    if row is None:
        return None
    return StoredSession(
        row["version"], row["number"], row["is_open"], row["expires_at"], row["sealed_state"], row["answer"]
    )


async def list_expired(pool: Pool, part: int, at: datetime, most: int) -> list[str]:
    """Open sessions that were silent for too long."""
    async with connection(pool) as borrowed:
        return [row["id"] for row in await borrowed.fetch(LIST_EXPIRED, part, at, most)]


async def purge_sessions(connection: Connection, part: int, before: datetime) -> int:
    """Delete sessions that were over before an instant: nobody repeats their requests any more; returns how many."""
    done = await connection.execute(PURGE, part, before)
    return int(done.split()[-1])


async def read_available(pool: Pool, part: int, account_ids: Sequence[int]) -> dict[int, int]:
    """What ledger accounts have available just now."""
    async with connection(pool) as borrowed:
        rows = await borrowed.fetch(READ_AVAILABLE, part, list(account_ids))
    return {row["id"]: row["available"] for row in rows}


async def list_allowances(pool: Pool, part: int, account_id: int) -> tuple[Allowance, ...]:
    """The allowances of an account that have not ended, the first to expire first."""
    async with connection(pool) as borrowed:
        rows = await borrowed.fetch(LIST_ALLOWANCES, part, account_id)
    return tuple(
        Allowance(
            row["unit_account_id"],
            UsageKind(row["usage"]),
            tuple(row["line_countries"]),
            tuple(row["zones"]),
            row["expires_at"],
            row["overage"],
        )
        for row in rows
    )
