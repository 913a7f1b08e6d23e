"""The rows of the audit record. They are only ever added."""

from __future__ import annotations

from datetime import datetime

from onecard.audit.model import AuditRecord
from onecard.database.pool import Connection

LIST = """
SELECT id, at, actor, action, subject, detail FROM audit WHERE subject = $1 AND id < $2
ORDER BY id DESC LIMIT $3"""
LIST_ALL = """
SELECT id, at, actor, action, subject, detail FROM audit WHERE id > $1 AND at <= $2 ORDER BY id LIMIT $3"""


async def list_records(
    connection: Connection, subject: str, *, before: int = 2**63 - 1, most: int = 100
) -> tuple[AuditRecord, ...]:
    """What was done to a subject (``card:1002``), latest first; the last id is the next page's `before`."""
    return tuple(AuditRecord(**row) for row in await connection.fetch(LIST, subject, before, most))


async def list_all_records(
    connection: Connection, until: datetime, *, after: int = 0, most: int = 1000
) -> tuple[AuditRecord, ...]:
    """All that was done until an instant, as it was written down; the last id is the next page's `after`."""
    return tuple(AuditRecord(**row) for row in await connection.fetch(LIST_ALL, after, until, most))
