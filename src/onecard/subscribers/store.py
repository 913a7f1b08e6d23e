"""The rows of subscribers."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

import asyncpg

from onecard.database.pool import Connection
from onecard.subscribers.model import Subscriber
from onecard.values.language import Language

_COLUMNS = "part, id, account_id, language, created_at, erased_at"

NEXT_PART = "SELECT array_agg(part ORDER BY part) AS parts, nextval('part_turn') AS turn FROM part"
NEXT_ID = "SELECT nextval('subscriber_row_id')"
INSERT = """
INSERT INTO subscriber (part, id, account_id, language, sealed_contact, created_at)
VALUES ($1, $2, $3, $4, $5, $6)"""
FIND = f"SELECT {_COLUMNS} FROM subscriber WHERE part = $1 AND id = $2"  # noqa: S608
LOCK = FIND + " FOR UPDATE"
FIND_SEALED = "SELECT sealed_contact FROM subscriber WHERE part = $1 AND id = $2"
LIST_SEALED = """
SELECT id, sealed_contact FROM subscriber WHERE part = $1 AND id = ANY ($2) AND sealed_contact IS NOT NULL"""
UPDATE_SEALED = "UPDATE subscriber SET sealed_contact = $3 WHERE part = $1 AND id = $2"
UPDATE_LANGUAGE = "UPDATE subscriber SET language = $3 WHERE part = $1 AND id = $2"
INSERT_NAME = """
INSERT INTO subscriber_name (part, subscriber_id, word_hash) SELECT $1, $2, unnest($3::bytea[])
ON CONFLICT DO NOTHING"""
DELETE_NAME = "DELETE FROM subscriber_name WHERE part = $1 AND subscriber_id = $2"
# The payee of a refund is sealed with the subscriber's key.
HAS_REFUND_UNDER_WAY = """
SELECT EXISTS (SELECT FROM subscriber s JOIN refund r ON r.part = s.part AND r.account_id = s.account_id
               WHERE s.part = $1 AND s.id = $2 AND r.closed_at IS NULL)"""
# Those with the first word, and of them those that have all the others.
FIND_BY_NAME = """
SELECT n.part, n.subscriber_id FROM part p
JOIN subscriber_name n ON n.part = p.part AND n.word_hash = $1
WHERE NOT EXISTS (
    SELECT FROM unnest($2::bytea[]) AS w(word_hash) WHERE NOT EXISTS (
        SELECT FROM subscriber_name o
        WHERE o.part = n.part AND o.word_hash = w.word_hash AND o.subscriber_id = n.subscriber_id))
ORDER BY n.subscriber_id LIMIT $3"""
ERASE = "UPDATE subscriber SET sealed_contact = NULL, erased_at = $3 WHERE part = $1 AND id = $2"

# The language of a card's subscriber is held with the card in every node's memory.
RECORD_CHANGES = "SELECT record_change('card', id, $3) FROM card WHERE part = $1 AND subscriber_id = $2"


async def next_part(connection: Connection) -> int:
    """The part whose turn it is to take a new subscriber."""
    row = await connection.fetchrow(NEXT_PART)
    assert row is not None
    assert row["parts"], "the parts are made when the database is"
    part: int = row["parts"][row["turn"] % len(row["parts"])]
    return part


async def next_id(connection: Connection) -> int:
    """A fresh id for a subscriber, card, line or application."""
    fresh: int = await connection.fetchval(NEXT_ID)
    return fresh


async def insert_subscriber(connection: Connection, subscriber: Subscriber, sealed_contact: bytes) -> None:
    await connection.execute(
        INSERT,
        subscriber.part,
        subscriber.id,
        subscriber.account_id,
        subscriber.language.value,
        sealed_contact,
        subscriber.created_at,
    )


async def find_subscriber(connection: Connection, part: int, subscriber_id: int) -> Subscriber | None:
    return _subscriber(await connection.fetchrow(FIND, part, subscriber_id))


async def lock_subscriber(connection: Connection, part: int, subscriber_id: int) -> Subscriber | None:
    return _subscriber(await connection.fetchrow(LOCK, part, subscriber_id))


async def get_sealed_contact(connection: Connection, part: int, subscriber_id: int) -> bytes:
    """The sealed contact details of a subscriber who was not erased."""
    sealed: bytes | None = await connection.fetchval(FIND_SEALED, part, subscriber_id)
    assert sealed is not None
    return sealed


async def list_sealed_contacts(
    connection: Connection, part: int, subscriber_ids: Collection[int]
) -> dict[int, bytes]:
    """The sealed contact details of many, by subscriber, without those who were erased."""
    rows = await connection.fetch(LIST_SEALED, part, list(subscriber_ids))
    return {row["id"]: row["sealed_contact"] for row in rows}


async def update_sealed_contact(connection: Connection, part: int, subscriber_id: int, sealed: bytes) -> None:
    await connection.execute(UPDATE_SEALED, part, subscriber_id, sealed)


async def update_language(connection: Connection, part: int, subscriber_id: int, language: Language) -> None:
    await connection.execute(UPDATE_LANGUAGE, part, subscriber_id, language.value)


async def erase_contact(connection: Connection, part: int, subscriber_id: int, at: datetime) -> None:
    await connection.execute(ERASE, part, subscriber_id, at)


async def insert_name(
    connection: Connection, part: int, subscriber_id: int, word_hashes: Iterable[bytes]
) -> None:
    """Let a subscriber be found by the words of their name."""
    await connection.execute(INSERT_NAME, part, subscriber_id, sorted(word_hashes))


async def has_refund_under_way(connection: Connection, part: int, subscriber_id: int) -> bool:
    """Whether money of theirs is on its way back."""
    found: bool = await connection.fetchval(HAS_REFUND_UNDER_WAY, part, subscriber_id)
    return found


async def delete_name(connection: Connection, part: int, subscriber_id: int) -> None:
    await connection.execute(DELETE_NAME, part, subscriber_id)


async def find_by_name(
    connection: Connection, word_hashes: Iterable[bytes], most: int
) -> tuple[tuple[int, int], ...]:
    """Part and id of those whose names have all these words."""
    first, *others = sorted(word_hashes)
    rows = await connection.fetch(FIND_BY_NAME, first, others, most)
    return tuple((row["part"], row["subscriber_id"]) for row in rows)


async def record_changes(connection: Connection, part: int, subscriber_id: int, at: datetime) -> None:
    """Tell every node to forget what it holds of the subscriber's cards."""
    await connection.execute(RECORD_CHANGES, part, subscriber_id, at)


def _subscriber(row: asyncpg.Record | None) -> Subscriber | None:
    if row is None:
        return None
    return Subscriber(
        part=row["part"],
        id=row["id"],
        account_id=row["account_id"],
        language=Language(row["language"]),
        created_at=row["created_at"],
        erased_at=row["erased_at"],
    )
