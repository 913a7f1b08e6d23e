"""Write down who did what, in the transaction that does it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from onecard.database.pool import Connection

INSERT = "INSERT INTO audit (at, actor, action, subject, detail) VALUES ($1, $2, $3, $4, $5)"

INSERT_EACH = """
INSERT INTO audit (at, actor, action, subject, detail)
SELECT $1, $2, $3, subject, coalesce(detail, '{}') FROM unnest($4::text[], $5::jsonb[]) AS act(subject, detail)"""


async def record(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    action: str,
    subject: str,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Append one row: `actor` (``staff:alice``) did `action` (``sell_card``) to `subject` (``card:1002``)."""
    await connection.execute(INSERT, at, actor, action, subject, dict(detail or {}))


async def record_each(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    action: str,
    subjects: Sequence[str],
    details: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Append a row for each of many subjects to which the same was done; `details`: one for each, or none."""
    assert len(details) in (0, len(subjects))
    await connection.execute(INSERT_EACH, at, actor, action, subjects, [dict(detail) for detail in details])
