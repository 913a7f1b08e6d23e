"""Tail the `change` table: what other nodes and the command line changed is forgotten here.

The table is the truth, LISTEN a hint to look at once. Each look begins at the oldest transaction that was open at
the look before: no commit is missed, whatever order they come in. What is seen twice is only forgotten twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import asyncpg
import structlog

from onecard.database.pool import Connection, DatabaseUnavailable, Pool, connection
from onecard.switching.directory import Directory

log = structlog.get_logger(__name__)

LOOK_SECONDS = 1.0
OLDEST_OPEN = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text"
LOOK = "SELECT DISTINCT kind, key FROM change WHERE xid >= $1::text::xid8"


class ChangeTail:
    """Keeps the memory of one node true. `reload_tariff` is called when a price book was imported."""

    def __init__(
        self, pool: Pool, directory: Directory, reload_tariff: Callable[[Connection], Awaitable[None]]
    ) -> None:
        self._pool = pool
        self._directory = directory
        self._reload_tariff = reload_tariff
        self.on_account: list[Callable[[int], None]] = []
        """Called with the id of an account that has more, or other, means to pay with than this node knows."""
        self.on_tariff: list[Callable[[], None]] = []
        """Called when price books were imported, after they were loaded."""
        self.on_winddown: list[Callable[[Connection], Awaitable[None]]] = []
        """Called when another version of the order's plan came into force."""
        self._hint = asyncio.Event()
        self._from = ""

    async def begin(self) -> None:
        """Note the place to read on from; what is read into memory later is newer."""
        async with connection(self._pool) as borrowed:
            self._from = await borrowed.fetchval(OLDEST_OPEN)

    async def run(self) -> None:
        """Follow until cancelled. While the database is away nothing is missed: the place is kept."""
        while True:
            try:
                async with connection(self._pool) as borrowed:
                    await borrowed.add_listener("change", self._heard)
                    try:
                        await self._follow(borrowed)
                    finally:
                        with suppress(asyncpg.InterfaceError):  # a connection that is lost hears nothing
                            await borrowed.remove_listener("change", self._heard)
            except (DatabaseUnavailable, asyncpg.InterfaceError) as error:
                # The pool takes a connection back that is lost while nothing is asked of it: InterfaceError.
                log.warning("changes are not followed: the database is away", reason=str(error))
            except Exception:
                log.exception("changes could not be followed; the tail goes on")
            await asyncio.sleep(LOOK_SECONDS)

    async def _follow(self, borrowed: Connection) -> None:
        while True:
            await self.look(borrowed)
            try:
                await asyncio.wait_for(self._hint.wait(), LOOK_SECONDS)
            except TimeoutError:
                continue

    async def look(self, borrowed: Connection) -> None:
        """Forget what changed since the last look."""
        self._hint.clear()
        # Before the rows, so that what commits between the two is seen again.
        oldest_open = await borrowed.fetchval(OLDEST_OPEN)
        for row in await borrowed.fetch(LOOK, self._from):
            await self._take(borrowed, row["kind"], row["key"])
        self._from = oldest_open

    async def _take(self, borrowed: Connection, kind: str, key: int) -> None:
        if kind == "card":
            self._directory.forget(key)
        elif kind == "account":
            for tell in self.on_account:
                tell(key)
        elif kind == "winddown":
            for reload in self.on_winddown:
                await reload(borrowed)
        else:
            await self._reload_tariff(borrowed)
            for say in self.on_tariff:
                say()

    def _heard(self, *_: object) -> None:
        self._hint.set()
