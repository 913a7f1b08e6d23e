"""Migrations: order, one transaction a file, changed files, newer databases, two nodes at once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from onecard.database.migrations import MigrationFailed, migrate, pending, read_migrations
from onecard.database.pool import Database, DatabaseUnsuitable

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FIRST = "CREATE TABLE step (name text); INSERT INTO step VALUES ('first');"
SECOND = "INSERT INTO step VALUES ('second');"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "0001_first.sql").write_text(FIRST)
    (tmp_path / "0002_second.sql").write_text(SECOND)
    return tmp_path


async def apply(database: Database, source: Path) -> list[str]:
    async with database.pool.acquire() as connection:
        return [migration.name for migration in await migrate(connection, now=NOW, source=source)]


async def steps(database: Database) -> list[Any]:
    return [row["name"] for row in await database.pool.fetch("SELECT name FROM step")]


async def test_files_are_applied_in_order_and_once(empty_database: Database, source: Path) -> None:
    assert await apply(empty_database, source) == ["first", "second"]
    assert await apply(empty_database, source) == []
    assert await steps(empty_database) == ["first", "second"]
    rows = await empty_database.pool.fetch("SELECT number, name, applied_at FROM schema_migration ORDER BY 1")
    assert [tuple(row) for row in rows] == [(1, "first", NOW), (2, "second", NOW)]


async def test_a_later_file_is_applied_to_a_database_that_has_the_earlier_ones(
    empty_database: Database, source: Path
) -> None:
    await apply(empty_database, source)
    (source / "0003_third.sql").write_text("INSERT INTO step VALUES ('third')")
    assert await apply(empty_database, source) == ["third"]
    assert await steps(empty_database) == ["first", "second", "third"]


async def test_pending_tells_and_changes_nothing(empty_database: Database, source: Path) -> None:
    async with empty_database.pool.acquire() as connection:
        assert [migration.number for migration in await pending(connection, source=source)] == [1, 2]
        assert await connection.fetchval("SELECT to_regclass('schema_migration')") is None


async def test_a_file_that_fails_leaves_nothing_of_itself(empty_database: Database, source: Path) -> None:
    (source / "0002_second.sql").write_text(SECOND + "SELECT 1 / 0;")
    with pytest.raises(MigrationFailed, match="0002_second failed: division by zero"):
        await apply(empty_database, source)
    assert await steps(empty_database) == ["first"]
    (source / "0002_second.sql").write_text(SECOND)
    assert await apply(empty_database, source) == ["second"]


async def test_an_applied_file_that_changed_is_refused(empty_database: Database, source: Path) -> None:
    await apply(empty_database, source)
    (source / "0001_first.sql").write_text(FIRST + "-- changed")
    with pytest.raises(DatabaseUnsuitable, match="0001_first was changed after it was applied"):
        await apply(empty_database, source)


async def test_a_database_newer_than_the_code_is_refused(empty_database: Database, source: Path) -> None:
    await apply(empty_database, source)
    (source / "0002_second.sql").unlink()
    with pytest.raises(DatabaseUnsuitable, match="newer than this onecard: it has 0002_second"):
        await apply(empty_database, source)


async def test_an_applied_file_that_is_gone_is_refused(empty_database: Database, source: Path) -> None:
    await apply(empty_database, source)
    (source / "0001_first.sql").unlink()
    with pytest.raises(DatabaseUnsuitable, match="has 0001_first, which this onecard does not know"):
        await apply(empty_database, source)


async def test_nodes_that_migrate_at_once_apply_each_file_once(
    empty_database: Database, source: Path
) -> None:
    (source / "0003_slow.sql").write_text("SELECT pg_sleep(0.1); INSERT INTO step VALUES ('slow');")
    applied = await asyncio.gather(*(apply(empty_database, source) for _ in range(4)))
    assert sorted(applied) == [[], [], [], ["first", "second", "slow"]]
    assert await steps(empty_database) == ["first", "second", "slow"]


async def test_the_lock_is_given_back_after_a_failure(empty_database: Database, source: Path) -> None:
    (source / "0002_second.sql").write_text("SELECT 1 / 0")
    connection = await asyncpg.connect(empty_database.dsn)
    try:
        with pytest.raises(MigrationFailed):
            await migrate(connection, now=NOW, source=source)
        assert await connection.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0
    finally:
        await connection.close()


def test_two_files_with_one_number_are_a_mistake(source: Path) -> None:
    (source / "0002_other.sql").write_text("SELECT 1")
    with pytest.raises(AssertionError, match="two migrations have one number"):
        read_migrations(source)


async def test_the_migrations_of_onecard_are_all_applied(database: Database) -> None:
    async with database.pool.acquire() as connection:
        assert await pending(connection) == []
