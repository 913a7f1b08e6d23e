"""A database with parts and a few accounts."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from onecard.database.pool import Connection, Database, connection


@pytest.fixture
async def parts(database: Database) -> tuple[int, ...]:
    """The parts of the test's database."""
    async with connection(database.pool) as borrowed:
        await borrowed.execute("INSERT INTO part (part) VALUES (1), (2) ON CONFLICT DO NOTHING")
    return (1, 2)


@pytest.fixture
async def borrowed(database: Database, parts: tuple[int, ...]) -> AsyncIterator[Connection]:
    """One connection to the test's database."""
    async with connection(database.pool) as it:
        yield it
