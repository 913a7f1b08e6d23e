"""The sample life is one that the proofs of the database hold for, and the same for the same seed."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import shop
from onecard.cli.store import find_violations
from onecard.database.pool import Database, connection
from onecard.ledger import check_ledger
from onecard.story.sample import Life, Scale, fill

ZONE = ZoneInfo("America/Vancouver")
SMALL = Scale(subscribers=24, days=4)


async def live(database: Database) -> Life:
    async with connection(database.pool) as borrowed:
        await borrowed.executemany("INSERT INTO part VALUES ($1)", [(part,) for part in range(1, 5)])
    return await fill(database.pool, shop.MASTER, now=shop.AT, zone=ZONE, scale=SMALL)


async def test_a_sample_life_is_proved_and_has_everything_worth_looking_at(database: Database) -> None:
    life = await live(database)
    async with connection(database.pool) as borrowed:
        report = await check_ledger(borrowed)
        assert not report.violations, report.violations
        assert not await find_violations(borrowed, 10)
        assert life.texts > 100
        assert life.sessions > 5
        assert life.refunds > 1
        for table in ("application", "usage_record", "refund", "payout_run", "winddown_version"):
            assert await borrowed.fetchval(f"SELECT count(*) FROM {table}"), table  # noqa: S608
        future = await borrowed.fetchval("SELECT count(*) FROM audit WHERE at > $1", shop.AT)
        assert future == 0
