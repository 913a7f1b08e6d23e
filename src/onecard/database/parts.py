"""The parts of a database, by which all rows of subscribers are kept (docs/decisions/0003-parts.md)."""

from __future__ import annotations

from onecard.database.pool import Connection

LIST_PARTS = "SELECT part FROM part ORDER BY part"


async def list_parts(connection: Connection) -> list[int]:
    """Every part of this database."""
    return [row["part"] for row in await connection.fetch(LIST_PARTS)]
