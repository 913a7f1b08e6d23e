"""The pool against a real PostgreSQL."""

from __future__ import annotations

from onecard.database.pool import Database, transaction


async def test_jsonb_is_python_values(database: Database) -> None:
    value = {"lines": [1, 2], "name": "一卡", "none": None}
    async with transaction(database.pool) as connection:
        assert await connection.fetchval("SELECT $1::jsonb", value) == value
