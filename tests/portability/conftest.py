"""A desk for port-outs on a database of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

import shop
from onecard.database.pool import Database, connection
from onecard.values.clock import MovedClock
from portability.desk import PortDesk


@pytest.fixture
async def desk(database: Database) -> AsyncIterator[PortDesk]:
    async with connection(database.pool) as borrowed:
        await shop.open_shop(borrowed)
        yield PortDesk(borrowed, MovedClock(shop.AT), await shop.sell(borrowed))
