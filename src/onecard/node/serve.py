"""Run a node until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

from onecard.database.directory import default_directory
from onecard.database.embedded import EmbeddedServer
from onecard.database.pool import Database, open_pool
from onecard.node.config import Config
from onecard.node.node import run_node
from onecard.sealing.loading import load_master_key
from onecard.values.clock import Clock

CONNECTIONS_MOST = 40
"""Three writers for each of four parts, the tail, upkeep, jobs, and look-ups beside them."""


def master_key_file(config: Config, directory: Path | None) -> Path:
    """Where the master key is: as configured, or beside the data directory, which belongs to the database server."""
    if config.master_key_file is not None:
        return Path(config.master_key_file)
    data = directory or default_directory()
    return data.with_name(f"{data.name}.master.key")


async def serve(
    config: Config, *, directory: Path | None, database_url: str | None, clock: Clock | None = None
) -> None:
    """Serve until SIGTERM or SIGINT; what was begun is finished before this returns.

    Raises NotReady, ConfigError, SealingError, DatabaseError, EmbeddedServerError.
    """
    with _stop_signals() as stopped:
        master = load_master_key(master_key_file(config, directory))
        async with (
            _open(database_url, directory) as database,
            run_node(config, database, master, clock=clock),
        ):
            _collect_seldom()
            await stopped.wait()


def _collect_seldom() -> None:
    """Let the collector of cycles look less often: what a node keeps in memory, it keeps for long.

    Looking through it at the usual rate took an eighth of the time of a charging request.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


@asynccontextmanager
async def _open(url: str | None, directory: Path | None) -> AsyncIterator[Database]:
    """The database at `url`, or the embedded one, which a node owns: a second node of the directory is refused."""
    async with AsyncExitStack() as stack:
        server = None if url else await stack.enter_async_context(await EmbeddedServer.start(directory))
        dsn = server.dsn if server else url
        assert dsn is not None
        pool = await stack.enter_async_context(open_pool(dsn, connections_most=CONNECTIONS_MOST))
        yield Database(pool, dsn, server)


@contextmanager
def _stop_signals() -> Iterator[asyncio.Event]:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    try:
        yield stopped
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
