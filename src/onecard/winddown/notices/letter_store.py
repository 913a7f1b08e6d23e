"""The rows of letters: whose were written together, and when they were posted."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from onecard.database.pool import Connection
from onecard.winddown.notices.model import Channel, Recipient
from onecard.winddown.notices.store import CLAIM, RECIPIENT_COLUMNS, read_recipient

INSERT_LETTERS = """
INSERT INTO notice_letters (notice_id, count, made_at, made_by) VALUES ($1, $2, $3, $4) RETURNING id"""
FIND_LETTERS = """
SELECT id, notice_id, count, made_at, made_by, posted_at, posted_by FROM notice_letters WHERE id = $1 FOR UPDATE"""
LIST_LETTERS = """
SELECT id, notice_id, count, made_at, made_by, posted_at, posted_by FROM notice_letters
WHERE notice_id = $1 ORDER BY id"""
POST_LETTERS = "UPDATE notice_letters SET posted_at = $2, posted_by = $3 WHERE id = $1"
CLAIM_LETTERS = CLAIM.replace("r.channel = $2", "r.channel = $2 AND r.notice_id = $6")
LIST_OF_LETTERS = f"""
SELECT {RECIPIENT_COLUMNS} FROM notice_attempt a
JOIN notice_recipient r ON r.part = a.part AND r.subscriber_id = a.subscriber_id AND r.notice_id = a.notice_id
                       AND r.occasion = a.occasion
WHERE a.part = $1 AND a.letters_id = $2 AND a.number = r.attempts ORDER BY r.subscriber_id"""  # noqa: S608


async def insert_letters(connection: Connection, notice_id: int, count: int, at: datetime, actor: str) -> int:
    fresh: int = await connection.fetchval(INSERT_LETTERS, notice_id, count, at, actor)
    return fresh


async def claim_letters(
    connection: Connection, part: int, notice_id: int, at: datetime, *, most: int
) -> list[Recipient]:
    """Take those of a part who are to get a letter; in the transaction that writes it down."""
    rows = await connection.fetch(CLAIM_LETTERS, part, Channel.LETTER.value, at, at, most, notice_id)
    return [read_recipient(row) for row in rows]


async def lock_letters(connection: Connection, letters_id: int) -> dict[str, Any] | None:
    row = await connection.fetchrow(FIND_LETTERS, letters_id)
    return None if row is None else dict(row)


async def list_letters(connection: Connection, notice_id: int) -> list[dict[str, Any]]:
    return [dict(row) for row in await connection.fetch(LIST_LETTERS, notice_id)]


async def list_of_letters(connection: Connection, part: int, letters_id: int) -> list[Recipient]:
    """Whose letters were written together, of a part."""
    return [read_recipient(row) for row in await connection.fetch(LIST_OF_LETTERS, part, letters_id)]


async def post_letters(connection: Connection, letters_id: int, at: datetime, actor: str) -> None:
    await connection.execute(POST_LETTERS, letters_id, at, actor)
