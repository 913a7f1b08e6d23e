"""A treasury on a database of the test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

import shop
from onecard.database.pool import Database, connection
from payments.treasury import Treasury


@pytest.fixture
async def treasury(database: Database) -> AsyncIterator[Treasury]:
    async with connection(database.pool) as borrowed:
        await shop.open_shop(borrowed, sims=40, canadian=40)
        yield Treasury(database, borrowed)
