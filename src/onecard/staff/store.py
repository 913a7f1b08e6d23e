"""The rows of staff and of their passkeys."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import asyncpg

from onecard.database.pool import Connection
from onecard.staff.model import Passkey, Role, Secrets, Staff

_STAFF = """
SELECT id, login, name, roles, created_at, password_hash IS NOT NULL AS is_enrolled, sessions_from, locked_until,
       deactivated_at, invite_hash, invite_until, password_hash, sealed_authenticator, last_step, wrong_at
FROM staff"""
FIND = f"{_STAFF} WHERE id = $1"
FIND_BY_LOGIN = f"{_STAFF} WHERE login = $1"
LOCK_BY_LOGIN = f"{FIND_BY_LOGIN} FOR UPDATE"
LIST = f"{_STAFF} WHERE login > $1 ORDER BY login LIMIT $2"
INSERT = """
INSERT INTO staff (login, name, roles, created_at, sessions_from) VALUES ($1, $2, $3, $4, $4)
ON CONFLICT ON CONSTRAINT staff_login_is_unique DO NOTHING RETURNING id"""
UPDATE_ROLES = "UPDATE staff SET roles = $2 WHERE id = $1"
DEACTIVATE = "UPDATE staff SET deactivated_at = $2, sessions_from = $2 WHERE id = $1"
SIGN_OUT = "UPDATE staff SET sessions_from = $2 WHERE id = $1"
SAVE_SECRETS = """
UPDATE staff SET invite_hash = $2, invite_until = $3, password_hash = $4, sealed_authenticator = $5, last_step = $6,
       wrong_at = $7, locked_until = $8
WHERE id = $1"""

_PASSKEY = "SELECT credential, staff_id, public_key, sign_count, label, added_at, used_at FROM staff_passkey"
FIND_PASSKEY = f"{_PASSKEY} WHERE credential = $1"
LOCK_PASSKEY = f"{FIND_PASSKEY} FOR UPDATE"
LIST_PASSKEYS = f"{_PASSKEY} WHERE staff_id = $1 ORDER BY added_at, credential"
INSERT_PASSKEY = """
INSERT INTO staff_passkey (credential, staff_id, public_key, sign_count, label, added_at)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING RETURNING staff_id"""
USE_PASSKEY = "UPDATE staff_passkey SET sign_count = $2, used_at = $3 WHERE credential = $1"
DELETE_PASSKEY = "DELETE FROM staff_passkey WHERE credential = $1 AND staff_id = $2 RETURNING staff_id"
DELETE_PASSKEYS = "DELETE FROM staff_passkey WHERE staff_id = $1"


async def insert_staff(
    connection: Connection, login: str, name: str, roles: Collection[Role], at: datetime
) -> int | None:
    """Add staff who have nothing to sign in with yet; None: the login is taken."""
    staff_id: int | None = await connection.fetchval(INSERT, login, name, sorted(roles), at)
    return staff_id


async def find_staff(connection: Connection, staff_id: int) -> Staff | None:
    row = await connection.fetchrow(FIND, staff_id)
    return None if row is None else _staff(row)


async def find_staff_by_login(connection: Connection, login: str) -> tuple[Staff, Secrets] | None:
    row = await connection.fetchrow(FIND_BY_LOGIN, login)
    return None if row is None else (_staff(row), _secrets(row))


async def lock_staff(connection: Connection, login: str) -> tuple[Staff, Secrets] | None:
    """Take hold of staff: of all that try to sign in as one at once, one goes first."""
    row = await connection.fetchrow(LOCK_BY_LOGIN, login)
    return None if row is None else (_staff(row), _secrets(row))


async def list_staff(connection: Connection, *, after: str = "", most: int = 100) -> tuple[Staff, ...]:
    """All staff by login, a page at a time."""
    return tuple(_staff(row) for row in await connection.fetch(LIST, after, most))


async def update_roles(connection: Connection, staff_id: int, roles: Collection[Role]) -> None:
    await connection.execute(UPDATE_ROLES, staff_id, sorted(roles))


async def deactivate(connection: Connection, staff_id: int, at: datetime) -> None:
    await connection.execute(DEACTIVATE, staff_id, at)


async def sign_out_everywhere(connection: Connection, staff_id: int, at: datetime) -> None:
    """Whatever was signed in before is signed out."""
    await connection.execute(SIGN_OUT, staff_id, at)


async def save_secrets(connection: Connection, staff_id: int, secrets: Secrets) -> None:
    await connection.execute(
        SAVE_SECRETS,
        staff_id,
        secrets.invite_hash,
        secrets.invite_until,
        secrets.password_hash,
        secrets.sealed_authenticator,
        secrets.last_step,
        list(secrets.wrong_at),
        secrets.locked_until,
    )


async def find_passkey(connection: Connection, credential: bytes) -> Passkey | None:
    row = await connection.fetchrow(FIND_PASSKEY, credential)
    return None if row is None else Passkey(**row)


async def lock_passkey(connection: Connection, credential: bytes) -> Passkey | None:
    row = await connection.fetchrow(LOCK_PASSKEY, credential)
    return None if row is None else Passkey(**row)


async def list_passkeys(connection: Connection, staff_id: int) -> tuple[Passkey, ...]:
    return tuple(Passkey(**row) for row in await connection.fetch(LIST_PASSKEYS, staff_id))


async def insert_passkey(connection: Connection, passkey: Passkey) -> bool:
    """Add a passkey; False: it was added before."""
    added = await connection.fetchval(
        INSERT_PASSKEY,
        passkey.credential,
        passkey.staff_id,
        passkey.public_key,
        passkey.sign_count,
        passkey.label,
        passkey.added_at,
    )
    return added is not None


async def use_passkey(connection: Connection, credential: bytes, sign_count: int, at: datetime) -> None:
    await connection.execute(USE_PASSKEY, credential, sign_count, at)


async def delete_passkey(connection: Connection, credential: bytes, staff_id: int) -> bool:
    """Take a passkey of this person away; False: they have no such one."""
    return await connection.fetchval(DELETE_PASSKEY, credential, staff_id) is not None


async def delete_passkeys(connection: Connection, staff_id: int) -> None:
    await connection.execute(DELETE_PASSKEYS, staff_id)


def _staff(row: asyncpg.Record) -> Staff:
    return Staff(
        id=row["id"],
        login=row["login"],
        name=row["name"],
        roles=frozenset(map(Role, row["roles"])),
        created_at=row["created_at"],
        is_enrolled=row["is_enrolled"],
        sessions_from=row["sessions_from"],
        locked_until=row["locked_until"],
        deactivated_at=row["deactivated_at"],
    )


def _secrets(row: asyncpg.Record) -> Secrets:
    return Secrets(
        invite_hash=row["invite_hash"],
        invite_until=row["invite_until"],
        password_hash=row["password_hash"],
        sealed_authenticator=row["sealed_authenticator"],
        last_step=row["last_step"],
        wrong_at=tuple(row["wrong_at"]),
        locked_until=row["locked_until"],
    )
