"""Sessions of people who are signed in: kept in the database, so that every node knows them and any can end them.

The token is the browser's cookie; only its hash is stored. A session ends when its owner signs out, when it was not
used for a while, and in any case at its greatest age.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from hashlib import sha256

import asyncpg

from onecard import audit
from onecard.database.pool import Connection

TOKEN_OCTETS = 32
SEEN_EVERY = timedelta(minutes=1)
"""That a session is used is written down no more often."""


class SessionKind(Enum):
    """Who is signed in; the two never mix."""

    SUBSCRIBER = "subscriber"
    STAFF = "staff"


class SignInMethod(Enum):
    """What was shown to sign in."""

    CODE = "code"
    PASSKEY = "passkey"
    CLAIM_CODE = "claim_code"
    PASSWORD = "password"  # noqa: S105  # the name of a method


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """How long a session lasts."""

    idle: timedelta
    age_most: timedelta


LIMITS = {
    SessionKind.SUBSCRIBER: SessionLimits(timedelta(minutes=30), timedelta(hours=12)),
    SessionKind.STAFF: SessionLimits(timedelta(minutes=20), timedelta(hours=10)),
}
OLDEST = max(limits.age_most for limits in LIMITS.values())


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who is signed in: `person_id` is a subscriber's, with their part, or a member of staff's."""

    token_hash: bytes
    kind: SessionKind
    part: int
    person_id: int
    actor: str
    """The name in the audit record."""
    method: SignInMethod
    opened_at: datetime
    seen_at: datetime


INSERT = """
INSERT INTO web_session (token_hash, kind, part, person_id, actor, method, opened_at, seen_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $7)"""
FIND = """
SELECT token_hash, kind, part, person_id, actor, method, opened_at, seen_at FROM web_session WHERE token_hash = $1"""
TOUCH = "UPDATE web_session SET seen_at = $2 WHERE token_hash = $1"
END = "DELETE FROM web_session WHERE token_hash = $1"
END_OTHERS = """
DELETE FROM web_session WHERE kind = $1 AND part = $2 AND person_id = $3 AND token_hash <> $4 RETURNING 1"""
TIDY = "DELETE FROM web_session WHERE opened_at < $1"


def new_token() -> str:
    """A token that nobody can guess, for a cookie."""
    return secrets.token_urlsafe(TOKEN_OCTETS)


def hash_token(token: str) -> bytes:
    """What is stored of a token. It is random, so that a plain hash hides it."""
    return sha256(token.encode()).digest()


async def open_session(
    connection: Connection,
    at: datetime,
    *,
    kind: SessionKind,
    part: int,
    person_id: int,
    method: SignInMethod,
    actor: str | None = None,
) -> str:
    """Sign somebody in who has shown who they are; returns the token of a new cookie.

    `actor` names them in the audit record, where that is not done by their id.
    """
    token = new_token()
    actor = actor or f"{kind.value}:{person_id}"
    session = Session(hash_token(token), kind, part, person_id, actor, method, at, at)
    async with connection.transaction():
        await connection.execute(
            INSERT, session.token_hash, kind.value, part, person_id, actor, method.value, at
        )
        await _record(connection, at, "sign_in", session)
    return token


async def find_session(connection: Connection, at: datetime, token: str) -> Session | None:
    """The session of a token, if it has not ended; to look is to use it."""
    row = await connection.fetchrow(FIND, hash_token(token))
    session = None if row is None else _session(row)
    if session is None or not _lasts(session, at):
        return None
    if at - session.seen_at >= SEEN_EVERY:
        await connection.execute(TOUCH, session.token_hash, at)
    return session


def _lasts(session: Session, at: datetime) -> bool:
    limits = LIMITS[session.kind]
    return at - session.seen_at < limits.idle and at - session.opened_at < limits.age_most


async def end_session(connection: Connection, at: datetime, session: Session) -> None:
    """Sign out."""
    async with connection.transaction():
        await connection.execute(END, session.token_hash)
        await _record(connection, at, "sign_out", session)


async def end_other_sessions(connection: Connection, at: datetime, session: Session) -> int:
    """Sign the same person out everywhere else; returns of how many sessions."""
    async with connection.transaction():
        ended = await connection.fetch(
            END_OTHERS, session.kind.value, session.part, session.person_id, session.token_hash
        )
        await _record(connection, at, "sign_out_elsewhere", session)
    return len(ended)


async def tidy_sessions(connection: Connection, at: datetime) -> None:
    """Delete what ended by age."""
    await connection.execute(TIDY, at - OLDEST)


async def _record(connection: Connection, at: datetime, action: str, session: Session) -> None:
    detail = {"method": session.method.value}
    await audit.record(
        connection, at, actor=session.actor, action=action, subject=session.actor, detail=detail
    )


def _session(row: asyncpg.Record) -> Session:
    return Session(
        token_hash=row["token_hash"],
        kind=SessionKind(row["kind"]),
        part=row["part"],
        person_id=row["person_id"],
        actor=row["actor"],
        method=SignInMethod(row["method"]),
        opened_at=row["opened_at"],
        seen_at=row["seen_at"],
    )
