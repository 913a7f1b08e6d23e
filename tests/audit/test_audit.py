"""The audit record is only ever added to."""

from __future__ import annotations

import asyncpg
import pytest

from onecard import audit
from onecard.database.pool import Database, connection
from shop import AT, STAFF


async def test_records_are_read_by_subject_a_page_at_a_time(database: Database) -> None:
    async with connection(database.pool) as borrowed:
        for count in range(5):
            await audit.record(
                borrowed, AT, actor=STAFF, action="count", subject="card:1", detail={"count": count}
            )
        await audit.record(borrowed, AT, actor=STAFF, action="count", subject="card:2")
        page = await audit.list_records(borrowed, "card:1", most=3)
        rest = await audit.list_records(borrowed, "card:1", before=page[-1].id)
    assert [record.detail["count"] for record in (*page, *rest)] == [4, 3, 2, 1, 0]


@pytest.mark.parametrize("sql", ["UPDATE audit SET actor = 'x'", "DELETE FROM audit", "TRUNCATE audit"])
async def test_nobody_changes_what_was_recorded(database: Database, sql: str) -> None:
    async with connection(database.pool) as borrowed:
        await audit.record(borrowed, AT, actor=STAFF, action="sell_card", subject="card:1")
        with pytest.raises(asyncpg.RaiseError, match="append-only"):
            await borrowed.execute(sql)
        assert len(await audit.list_records(borrowed, "card:1")) == 1
