"""The pool against a real PostgreSQL: values, transactions, and a database that goes away and comes back."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import asyncpg
import pytest

from onecard.database.embedded import EmbeddedServer
from onecard.database.pool import (
    Database,
    DatabaseUnavailable,
    DatabaseUnsuitable,
    connection,
    open_database,
    open_pool,
    retrying,
    transaction,
)

SMALL = {"shared_buffers": "128MB", "fsync": "off"}


async def test_jsonb_is_python_values(database: Database) -> None:
    value = {"lines": [1, 2], "name": "一卡", "none": None}
    async with connection(database.pool) as borrowed:
        assert await borrowed.fetchval("SELECT $1::jsonb", value) == value
        assert await borrowed.fetchval("SELECT $1::jsonb ->> 'name'", value) == "一卡"


async def test_a_transaction_commits_at_the_end_of_its_block(empty_database: Database) -> None:
    async with transaction(empty_database.pool) as borrowed:
        await borrowed.execute("CREATE TABLE step AS SELECT 1 AS number")
    assert await empty_database.pool.fetchval("SELECT number FROM step") == 1


async def test_a_transaction_rolls_back_on_an_exception_and_passes_it_on(empty_database: Database) -> None:
    async def work() -> None:
        async with transaction(empty_database.pool) as borrowed:
            await borrowed.execute("CREATE TABLE step AS SELECT 1 AS number")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await work()
    assert await empty_database.pool.fetchval("SELECT to_regclass('step')") is None


async def test_a_time_out_of_our_own_is_not_blamed_on_the_database(database: Database) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05), transaction(database.pool) as borrowed:
            await borrowed.execute("SELECT pg_sleep(10)")
    assert await database.pool.fetchval("SELECT 1") == 1


async def test_an_error_of_the_work_is_passed_on_as_it_is(database: Database) -> None:
    with pytest.raises(asyncpg.DivisionByZeroError):
        async with transaction(database.pool) as borrowed:
            await borrowed.execute("SELECT 1 / 0")


async def test_a_session_ended_by_the_server_is_a_database_that_is_away(database: Database) -> None:
    async def work() -> None:
        async with transaction(database.pool) as borrowed:
            own = await borrowed.fetchval("SELECT pg_backend_pid()")
            async with connection(database.pool) as other:
                await other.execute("SELECT pg_terminate_backend($1, 5000)", own)
            await borrowed.execute("SELECT 1")

    with pytest.raises(DatabaseUnavailable):
        await work()
    assert await database.pool.fetchval("SELECT 1") == 1


async def test_work_waits_for_a_server_that_was_killed(made_directory: Path) -> None:
    async with open_database(None, made_directory, settings=SMALL) as database:
        assert database.server is not None

        async def ask() -> int:
            async with transaction(database.pool) as borrowed:
                answer: int = await borrowed.fetchval("SELECT 7")
                return answer

        assert await ask() == 7
        os.kill(database.server.process_id, signal.SIGKILL)
        assert await retrying(ask) == 7


async def test_work_gives_up_on_a_server_that_stays_away(made_directory: Path) -> None:
    async with (
        await EmbeddedServer.start(made_directory, settings=SMALL) as server,
        open_pool(server.dsn) as pool,
    ):
        await server.stop()
        attempts = 0

        async def ask() -> None:
            nonlocal attempts
            attempts += 1
            async with transaction(pool) as borrowed:
                await borrowed.execute("SELECT 1")

        with pytest.raises(DatabaseUnavailable):
            await retrying(ask, total_seconds=0.3)
        assert attempts > 1


async def test_a_database_by_address_is_opened_without_a_server_of_ours(database: Database) -> None:
    async with open_database(database.dsn) as opened:
        assert opened.server is None
        assert await opened.pool.fetchval("SELECT count(*) FROM schema_migration") > 0


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (("@/", ":x@/"), DatabaseUnsuitable, "refuses us: password authentication failed"),
        (("@/test", "@/none"), DatabaseUnsuitable, "refuses us: database .* does not exist"),
        (("postgresql:", "mysql:"), DatabaseUnsuitable, "address of the database is not understood"),
        (("?host=", "?host=/nowhere"), DatabaseUnavailable, "cannot be reached"),
    ],
)
async def test_a_database_that_cannot_be_opened_is_told_why(
    database: Database, change: tuple[str, str], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        async with open_database(database.dsn.replace(*change)):
            pass
