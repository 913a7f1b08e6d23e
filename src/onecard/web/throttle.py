"""Count attempts, so that nobody can go on guessing. Counted in the database: all nodes share one count."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from onecard.database.pool import Connection

COUNT = """
INSERT INTO web_attempt AS a (subject_hash, count, until) VALUES ($1, 1, $3)
ON CONFLICT (subject_hash) DO UPDATE SET
    count = CASE WHEN a.until <= $2 THEN 1 ELSE a.count + 1 END,
    until = CASE WHEN a.until <= $2 THEN $3 ELSE a.until END
RETURNING count"""
TIDY = "DELETE FROM web_attempt WHERE until <= $1"


@dataclass(frozen=True, slots=True)
class Throttle:
    """At most so many attempts of one sort within a span, by each subject."""

    purpose: str
    most: int
    span: timedelta


async def count_attempt(
    connection: Connection, at: datetime, throttle: Throttle, subject: str, *, key: bytes
) -> bool:
    """Count one more attempt; returns whether it is within the limit.

    `subject` is who tries (an address of the network, a number): only a hash with `key` of it is kept.
    """
    named = hmac.digest(key, f"{throttle.purpose}:{subject}".encode(), sha256)
    count: int = await connection.fetchval(COUNT, named, at, at + throttle.span)
    return count <= throttle.most


async def tidy_attempts(connection: Connection, at: datetime) -> None:
    """Delete counts whose window is over."""
    await connection.execute(TIDY, at)
