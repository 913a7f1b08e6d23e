"""A database that is made for a rehearsal, and thrown away."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from pathlib import Path

from onecard.database.embedded import EmbeddedServer
from onecard.database.migrations import migrate
from onecard.database.pool import Pool, connection, open_pool

THROWN_AWAY = {"fsync": "off", "full_page_writes": "off", "autovacuum": "off", "shared_buffers": "128MB"}
PARTS = (1, 2, 3, 4)
CONNECTIONS_MOST = 4


@asynccontextmanager
async def open_server() -> AsyncIterator[EmbeddedServer]:
    """A server of its own in a temporary directory: no rehearsal comes near the database that is in earnest."""
    with _open_directory() as parent:
        async with await EmbeddedServer.start(parent / "data", settings=THROWN_AWAY) as server:
            yield server


@contextmanager
def _open_directory() -> Iterator[Path]:
    """A temporary directory that the account of PostgreSQL can pass through."""
    with tempfile.TemporaryDirectory(prefix="onecard-rehearsal-") as name:
        parent = Path(name)
        parent.chmod(0o711)
        yield parent


@asynccontextmanager
async def open_database(server: EmbeddedServer, name: str, at: datetime) -> AsyncIterator[Pool]:
    """A database of one seed, with its tables and parts."""
    async with open_pool(server.dsn) as pool, connection(pool) as borrowed:
        await borrowed.execute(f'CREATE DATABASE "{name}"')
    async with open_pool(
        server.dsn.replace("@/onecard?", f"@/{name}?"), connections_most=CONNECTIONS_MOST
    ) as pool:
        async with connection(pool) as borrowed:
            await migrate(borrowed, now=at)
            await borrowed.executemany("INSERT INTO part VALUES ($1)", [(part,) for part in PARTS])
        yield pool
    async with open_pool(server.dsn) as pool, connection(pool) as borrowed:
        await borrowed.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
