"""A node's name is single: two nodes of one name would hand over each other's texts.

It is held by an advisory lock of a session of its own, which ends with the node however that ends. A session that
is lost, as when PostgreSQL is started again, is taken up anew.
"""

from __future__ import annotations

from contextlib import suppress

import asyncpg
import structlog

from onecard.database.pool import DatabaseUnavailable, is_away

log = structlog.get_logger(__name__)

LOCK_CLASS = 0x6E6F6465  # 'node'
TAKE = "SELECT pg_try_advisory_lock($1, hashtext($2))"


class NodeName:
    """The name of one node on one database."""

    def __init__(self, dsn: str, name: str) -> None:
        self._dsn = dsn
        self._name = name
        self._session: asyncpg.Connection[asyncpg.Record] | None = None

    async def take(self) -> bool:
        """Take the name; False when another node has it. Raises DatabaseUnavailable."""
        session = None
        try:
            session = await asyncpg.connect(self._dsn)
            taken = await session.fetchval(TAKE, LOCK_CLASS, self._name)
        except Exception as error:
            if session is not None:
                session.terminate()
            if isinstance(error, OSError) or is_away(error):
                raise DatabaseUnavailable(f"the database cannot be reached: {error}") from error
            raise
        if not taken:
            await session.close()
            return False
        self._session = session
        return True

    async def keep(self) -> None:
        """Take the name again if its session was lost."""
        if self._session is not None and not self._session.is_closed():
            return
        if not await self.take():
            log.error("another node has taken this node's name: stop one of them", node=self._name)

    async def release(self) -> None:
        """Let the name go; the next node of this name may start at once."""
        if self._session is not None:
            with suppress(Exception):  # the session may be lost, and the name with it
                await self._session.close(timeout=2)
