"""The rows that prove who was told: attempts, counts, copies to the regulator."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from onecard.database.pool import Connection
from onecard.winddown.notices.model import Recipient, RecipientState, Result
from onecard.winddown.notices.store import RECIPIENT_COLUMNS, read_recipient

# ---- copies to the regulator

CLAIM_COPIES = """
UPDATE notice_copy SET due_at = $2, attempts = attempts + 1 WHERE sent_at IS NULL AND due_at <= $1
RETURNING notice_id, address, attempts"""
CLOSE_COPY = """
UPDATE notice_copy SET sent_at = CASE WHEN $3 THEN $2::timestamptz END, detail = $4, sha256 = $5 WHERE notice_id = $1"""
FIND_COPY = "SELECT address, attempts, sent_at, detail, sha256 FROM notice_copy WHERE notice_id = $1"


async def claim_copies(connection: Connection, at: datetime, until: datetime) -> list[tuple[int, str, int]]:
    """Copies that are due, as notice, address and how many attempts this one makes."""
    rows = await connection.fetch(CLAIM_COPIES, at, until)
    return [(row["notice_id"], row["address"], row["attempts"]) for row in rows]


async def close_copy(
    connection: Connection, notice_id: int, at: datetime, *, is_sent: bool, detail: str, sha256: bytes
) -> None:
    await connection.execute(CLOSE_COPY, notice_id, at, is_sent, detail, sha256)


async def find_copy(connection: Connection, notice_id: int) -> dict[str, Any] | None:
    """The copy to the regulator as it is written down; None: none was asked for."""
    row = await connection.fetchrow(FIND_COPY, notice_id)
    return None if row is None else dict(row)


# ---- what came of it

FIND_LATEST = f"""
SELECT {RECIPIENT_COLUMNS}, r.state, a.number, a.result FROM notice_recipient r
JOIN notice_attempt a ON a.part = $1 AND a.subscriber_id = $2 AND a.notice_id = $3 AND a.occasion = $4 AND a.number = $5
WHERE r.part = $1 AND r.subscriber_id = $2 AND r.notice_id = $3 AND r.occasion = $4 FOR UPDATE OF r"""  # noqa: S608
COUNT = """
SELECT state, channel, language, count(*) AS count, max(done_at) FILTER (WHERE state = 'reached') AS last_reached_at,
       count(*) FILTER (WHERE state = 'reached' AND done_at < $2) AS in_time
FROM notice_recipient WHERE notice_id = $1 GROUP BY state, channel, language ORDER BY state, channel, language"""
LIST_NOT_REACHED = """
SELECT part, subscriber_id, occasion, state, channel, attempts, due_at FROM notice_recipient
WHERE part = $1 AND notice_id = $2 AND state <> 'reached' AND subscriber_id > $3
ORDER BY subscriber_id, occasion LIMIT $4"""
LIST_EVIDENCE = """
SELECT a.notice_id, n.kind, n.version, a.part, a.subscriber_id, a.occasion, a.number, a.channel, a.language, a.at,
       a.result, a.result_at, a.detail, encode(a.sha256, 'hex') AS sha256, r.state
FROM notice_attempt a
JOIN notice_recipient r ON r.part = a.part AND r.subscriber_id = a.subscriber_id AND r.notice_id = a.notice_id
                       AND r.occasion = a.occasion
JOIN winddown_notice n ON n.id = a.notice_id
WHERE a.part = $1 AND a.notice_id = $2
ORDER BY a.subscriber_id, a.occasion, a.number"""


async def lock_attempt(
    connection: Connection, part: int, subscriber_id: int, notice_id: int, occasion: int, number: int
) -> tuple[Recipient, RecipientState, Result] | None:
    """An attempt, with its recipient as things stand; None if there was none."""
    row = await connection.fetchrow(FIND_LATEST, part, subscriber_id, notice_id, occasion, number)
    if row is None:
        return None
    return read_recipient(row), RecipientState(row["state"]), Result(row["result"])


async def count_recipients(
    connection: Connection, notice_id: int, in_time_before: datetime | None
) -> list[dict[str, Any]]:
    """How many recipients are in which state, on which channel, in which language."""
    return [dict(row) for row in await connection.fetch(COUNT, notice_id, in_time_before)]


async def list_not_reached(
    connection: Connection, part: int, notice_id: int, *, after: int, most: int
) -> list[dict[str, Any]]:
    """Everyone of a part whom a notice has not reached, by id."""
    return [dict(row) for row in await connection.fetch(LIST_NOT_REACHED, part, notice_id, after, most)]


async def stream_evidence(connection: Connection, part: int, notice_id: int) -> AsyncIterator[dict[str, Any]]:
    """Every attempt of a part; in a transaction."""
    async for row in connection.cursor(LIST_EVIDENCE, part, notice_id, prefetch=1000):
        yield dict(row)
