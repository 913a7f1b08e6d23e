"""The rows of claim codes, and of what guards them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from onecard.database.pool import Connection
from onecard.values.guard import LOCK, WRONG_SPAN, Guard

SAVE_CODE = """
INSERT INTO claim_code (part, subscriber_id, code_hash, issued_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (part, subscriber_id) DO UPDATE SET code_hash = $3, issued_at = $4"""
INSERT_CODES = """
INSERT INTO claim_code (part, subscriber_id, code_hash, issued_at)
SELECT $1, id, hash, $4 FROM unnest($2::bigint[], $3::bytea[]) AS fresh(id, hash)"""
FIND_CODE = """
SELECT c.part, c.subscriber_id FROM part p JOIN claim_code c ON c.part = p.part AND c.code_hash = $1"""
KNOWN_CODES = """
SELECT c.code_hash FROM part p JOIN claim_code c ON c.part = p.part AND c.code_hash = ANY ($1::bytea[])"""
# Two that write letters at once take turns at a subscriber: the second finds the code of the first.
LOCK_WITHOUT_CODE = """
SELECT s.id FROM subscriber s
WHERE s.part = $1 AND s.id > $2 AND s.erased_at IS NULL
  AND NOT EXISTS (SELECT FROM claim_code c WHERE c.part = s.part AND c.subscriber_id = s.id)
ORDER BY s.id LIMIT $3 FOR UPDATE OF s"""
LIST_CODED = "SELECT subscriber_id FROM claim_code WHERE part = $1 AND subscriber_id = ANY ($2::bigint[])"
LIST_PARTS = "SELECT part FROM part WHERE part >= $1 ORDER BY part"

FIND_GUARD = "SELECT wrong_at, locked_until FROM claim_guard WHERE source = $1"
LOCK_GUARD = "SELECT pg_advisory_xact_lock(hashtextextended(encode($1, 'hex'), 0))"
SAVE_GUARD = """
INSERT INTO claim_guard (source, wrong_at, locked_until, last_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (source) DO UPDATE SET wrong_at = $2, locked_until = $3, last_at = $4"""
FORGET_GUARDS = "DELETE FROM claim_guard WHERE last_at < $1"


async def save_code(
    connection: Connection, part: int, subscriber_id: int, code_hash: bytes, at: datetime
) -> None:
    """Put a code in the place of the one before, if there was one."""
    await connection.execute(SAVE_CODE, part, subscriber_id, code_hash, at)


async def insert_codes(
    connection: Connection, part: int, codes: Sequence[tuple[int, bytes]], at: datetime
) -> None:
    """Add the codes of subscribers of a part who have none: id and hash of each."""
    ids, hashes = [id_ for id_, _ in codes], [code_hash for _, code_hash in codes]
    await connection.execute(INSERT_CODES, part, ids, hashes, at)


async def find_code(connection: Connection, code_hash: bytes) -> tuple[int, int] | None:
    """The part and id of the subscriber whose code it is."""
    row = await connection.fetchrow(FIND_CODE, code_hash)
    return None if row is None else (row["part"], row["subscriber_id"])


async def list_known(connection: Connection, hashes: Sequence[bytes]) -> set[bytes]:
    """Those of some codes that are good."""
    return {row["code_hash"] for row in await connection.fetch(KNOWN_CODES, hashes)}


async def lock_without_code(
    connection: Connection, part: int, *, after: int, most: int
) -> tuple[tuple[int, ...], int | None]:
    """Take hold of the next subscribers of a part without a code; and the last id looked at, None at the end."""
    rows: list[asyncpg.Record] = await connection.fetch(LOCK_WITHOUT_CODE, part, after, most)
    ids = [row["id"] for row in rows]
    coded = await list_coded(connection, part, ids)
    return tuple(id_ for id_ in ids if id_ not in coded), ids[-1] if ids else None


async def list_coded(connection: Connection, part: int, ids: Sequence[int]) -> set[int]:
    """Those of some subscribers who have a code."""
    return {row["subscriber_id"] for row in await connection.fetch(LIST_CODED, part, ids)}


async def list_parts(connection: Connection, *, since: int) -> tuple[int, ...]:
    return tuple(row["part"] for row in await connection.fetch(LIST_PARTS, since))


async def lock_guard(connection: Connection, source: bytes) -> Guard:
    """Let all who try from one source take turns; returns what is known of it."""
    await connection.execute(LOCK_GUARD, source)
    row = await connection.fetchrow(FIND_GUARD, source)
    return Guard() if row is None else Guard(tuple(row["wrong_at"]), row["locked_until"])


async def save_guard(connection: Connection, source: bytes, guard: Guard, at: datetime) -> None:
    """Write down a guard, and forget those that lock nothing any more."""
    await connection.execute(SAVE_GUARD, source, list(guard.wrong_at), guard.locked_until, at)
    await connection.execute(FORGET_GUARDS, at - max(LOCK, WRONG_SPAN))
