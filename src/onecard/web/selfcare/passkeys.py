"""Passkeys of subscribers: they outlive the service, whose texts do not."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import datetime

from onecard import audit
from onecard.database.pool import Connection
from onecard.web.ceremony import KnownKey, NewPasskey, UsedPasskey

PASSKEYS_MOST = 10
HANDLE = struct.Struct(">iq")
"""A passkey's user handle: part and id of the subscriber, no more, as the database holds them."""

INSERT = """
INSERT INTO passkey (part, id, subscriber_id, public_key, sign_count, made_at) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT DO NOTHING RETURNING 1"""
FIND = "SELECT public_key, sign_count FROM passkey WHERE part = $1 AND id = $2 AND subscriber_id = $3"
USE = "UPDATE passkey SET sign_count = $3, used_at = $4 WHERE part = $1 AND id = $2"
LIST = """
SELECT id, made_at, used_at FROM passkey WHERE part = $1 AND subscriber_id = $2 ORDER BY made_at, id"""
DELETE = "DELETE FROM passkey WHERE part = $1 AND subscriber_id = $2 AND id = $3 RETURNING 1"


@dataclass(frozen=True, slots=True)
class Passkey:
    """One passkey as its owner sees it."""

    id: bytes
    made_at: datetime
    used_at: datetime | None


def make_handle(part: int, subscriber_id: int) -> bytes:
    return HANDLE.pack(part, subscriber_id)


def read_handle(handle: bytes) -> tuple[int, int] | None:
    """Part and id; None for a handle that is not of ours."""
    return HANDLE.unpack(handle) if len(handle) == HANDLE.size else None


async def list_passkeys(connection: Connection, part: int, subscriber_id: int) -> list[Passkey]:
    return [Passkey(**row) for row in await connection.fetch(LIST, part, subscriber_id)]


async def add_passkey(
    connection: Connection, at: datetime, *, actor: str, part: int, subscriber_id: int, made: NewPasskey
) -> bool:
    """Keep a passkey; False: there are too many, or it is kept already."""
    async with connection.transaction():
        if len(await list_passkeys(connection, part, subscriber_id)) >= PASSKEYS_MOST:
            return False
        is_new = await connection.fetchval(
            INSERT, part, made.id, subscriber_id, made.public_key, made.sign_count, at
        )
        if is_new:
            await _record(connection, at, actor, "add_passkey", subscriber_id)
    return bool(is_new)


async def remove_passkey(
    connection: Connection, at: datetime, *, actor: str, part: int, subscriber_id: int, passkey_id: bytes
) -> bool:
    """Forget a passkey, of a phone that was lost say; False: there is none."""
    async with connection.transaction():
        is_gone = await connection.fetchval(DELETE, part, subscriber_id, passkey_id)
        if is_gone:
            await _record(connection, at, actor, "remove_passkey", subscriber_id)
    return bool(is_gone)


async def find_key(connection: Connection, passkey_id: bytes, handle: bytes) -> KnownKey | None:
    """What is known of a passkey."""
    place = read_handle(handle)
    row = await connection.fetchrow(FIND, place[0], passkey_id, place[1]) if place else None
    return None if row is None else KnownKey(row["public_key"], row["sign_count"])


async def note_use(connection: Connection, at: datetime, used: UsedPasskey) -> tuple[int, int]:
    """Write down that a passkey was used; returns part and id of its subscriber."""
    place = read_handle(used.handle)
    assert place is not None  # it was found by it
    await connection.execute(USE, place[0], used.id, used.sign_count, at)
    return place


async def _record(connection: Connection, at: datetime, actor: str, action: str, subscriber_id: int) -> None:
    await audit.record(connection, at, actor=actor, action=action, subject=f"subscriber:{subscriber_id}")
