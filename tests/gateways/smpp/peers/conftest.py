"""What the tests with peers of other makers share: a town that also listens with TLS."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from onecard.database.pool import Database, connection
from town import Town, open_town, sell_card_with_two_lines, stock_up

from .certificates import Certificates, make_certificates


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    """An authority made up for this test."""
    return make_certificates(tmp_path)


@pytest.fixture
async def town(database: Database, certificates: Certificates) -> AsyncIterator[Town]:
    """A town with one card, whose node listens plainly and with TLS; the seat of the home operator is free."""
    async with connection(database.pool) as borrowed:
        await stock_up(borrowed)
        card = await sell_card_with_two_lines(borrowed)
    tls = {
        "listen": "127.0.0.1:0",
        "certificate": str(certificates.certificate),
        "key": str(certificates.key),
    }
    async with open_town(database, smpp={"listen": "127.0.0.1:0", "tls": tls}) as town:
        town.cards.append(card)
        await town.home.connection.close()
        await town.bank.connection.close()
        yield town
