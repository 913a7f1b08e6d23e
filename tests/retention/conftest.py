"""An office whose shop seals with the key of a period beside the master key."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import shop
from onecard.database.pool import Database, connection
from onecard.sealing.keys import MasterKey
from onecard.sealing.periods import PeriodKeys
from onecard.sealing.renewal import begin_first_period
from retention.office import Office


@pytest.fixture
async def office(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Office]:
    periods = PeriodKeys(tmp_path / "master.periods")
    master = MasterKey(bytes(range(32)), periods)
    monkeypatch.setattr(shop, "MASTER", master)
    async with connection(database.pool) as borrowed:
        await shop.open_shop(borrowed, sims=10, canadian=10)
        await begin_first_period(borrowed, periods, shop.AT, shop.STAFF)
        yield Office(borrowed, master, periods)
