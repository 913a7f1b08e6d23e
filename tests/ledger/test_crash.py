"""kill -9 of PostgreSQL under load: what was acknowledged is there, once."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from pathlib import Path
from uuid import UUID

from ledger.posting import AT, CAD, open_with, posting
from onecard.database.embedded import EmbeddedServer
from onecard.database.migrations import migrate
from onecard.database.pool import Pool, connection, open_pool
from onecard.ledger import Ledger, check_ledger, open_account, open_ledger
from onecard.values.clock import SystemClock

KILLS = 2
CALLERS = 50


async def test_every_acknowledged_posting_survives_a_kill_of_the_server(data_directory: Path) -> None:
    async with await EmbeddedServer.start(data_directory) as server, open_pool(server.dsn) as pool:
        accounts = await _prepare(pool)
        acknowledged: list[UUID] = []
        async with open_ledger(pool, SystemClock(), batch_most=20) as ledger:
            callers = [asyncio.create_task(_charge(ledger, account, acknowledged)) for account in accounts]
            for kill in range(1, KILLS + 1):
                await _wait_until(acknowledged, 1000 * kill)
                os.kill(server.process_id, signal.SIGKILL)
            await _wait_until(acknowledged, 1000 * (KILLS + 1))
            await _cancel(callers)
        async with connection(pool) as borrowed:
            rows = await borrowed.fetch("SELECT event_id FROM entry WHERE kind = 5")
            report = await check_ledger(borrowed)
    written = Counter(row["event_id"] for row in rows)
    assert set(acknowledged) <= set(written)
    assert set(written.values()) == {1}
    assert report.violations == ()


async def _prepare(pool: Pool) -> list[int]:
    async with connection(pool) as borrowed:
        await migrate(borrowed, now=AT)
        await borrowed.execute("INSERT INTO part (part) VALUES (1)")
        await open_account(borrowed, 1, CAD, AT)
        return [await open_with(borrowed, 10**9) for _ in range(CALLERS)]


async def _charge(ledger: Ledger, account: int, acknowledged: list[UUID]) -> None:
    while True:
        charge = posting(account, -1)
        answer = await ledger.post(charge)
        assert answer.is_accepted
        acknowledged.append(charge.event_id)


async def _wait_until(acknowledged: list[UUID], count: int) -> None:
    async with asyncio.timeout(60):
        while len(acknowledged) < count:  # noqa: ASYNC110 (the callers need not know who counts)
            await asyncio.sleep(0.01)


async def _cancel(callers: list[asyncio.Task[None]]) -> None:
    for caller in callers:
        caller.cancel()
    results = await asyncio.gather(*callers, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results), results
