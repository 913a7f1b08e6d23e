"""The rows of the audit record. They are only ever added."""

from __future__ import annotations

from onecard.audit.model import AuditRecord
from onecard.database.pool import Connection

LIST = """
SELECT id, at, actor, action, subject, detail FROM audit WHERE subject = $1 AND id < $2
ORDER BY id DESC LIMIT $3"""


async def list_records(
    connection: Connection, subject: str, *, before: int = 2**63 - 1, most: int = 100
) -> tuple[AuditRecord, ...]:
    """What was done to a subject (``card:1002``), latest first; the last id is the next page's `before`."""
    return tuple(AuditRecord(**row) for row in await connection.fetch(LIST, subject, before, most))
