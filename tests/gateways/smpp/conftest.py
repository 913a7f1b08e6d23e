"""What the tests of the SMPP sockets share: a stocked database with one card, and the town around it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from onecard.cards.model import Card
from onecard.database.pool import Database, connection
from town import Town, open_town, sell_card_with_two_lines, stock_up


@pytest.fixture
async def card(database: Database) -> Card:
    """A card with a Canadian and a Chinese number and ten dollars."""
    async with connection(database.pool) as borrowed:
        await stock_up(borrowed)
        return await sell_card_with_two_lines(borrowed)


@pytest.fixture
async def town(database: Database, card: Card) -> AsyncIterator[Town]:
    """The town as it is configured by default."""
    async with open_town(database, cards=[card]) as town:
        yield town
