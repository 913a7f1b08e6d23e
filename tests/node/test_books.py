"""A node keeps the books of the end by itself: balances at the gate once, reconciliation once a day."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

import shop
from onecard import audit
from onecard.database.pool import Database, connection
from onecard.node.books import Bookkeeper
from onecard.winddown.closing.store import find_snapshot
from onecard.winddown.gatekeeper import Gatekeeper
from onecard.winddown.store import load_in_force
from winddown.closing.end import DAY, GATE, End
from winddown.plans import TORONTO


@pytest.fixture
async def end(database: Database) -> AsyncIterator[End]:
    async with connection(database.pool) as borrowed:
        await shop.open_shop(borrowed)
        yield End(database, borrowed)


async def test_a_node_records_balances_and_reconciles_once_a_day(end: End) -> None:
    await end.order()
    await end.earn(10_000_000)
    gatekeeper = Gatekeeper(await load_in_force(end.borrowed))
    nodes = [Bookkeeper(gatekeeper.at, TORONTO) for _ in range(2)]

    async def work() -> list[str]:
        with capture_logs() as logs:
            for node in nodes:
                await node.work(end.borrowed, end.clock.now())
        return [log["event"] for log in logs]

    assert await work() == []
    end.clock.move_to(GATE)
    assert await work() == ["money is missing"]
    assert await find_snapshot(end.borrowed) is None  # too soon
    end.clock.move(DAY)
    assert await work() == ["money is missing"]
    found = await find_snapshot(end.borrowed)
    assert found is not None
    assert found.completed_at is not None
    assert await work() == []
    actions = [one.action for one in await audit.list_records(end.borrowed, "payouts")]
    assert actions == ["reconcile", "reconcile"]
