"""What happens by itself as days pass, and what a node tells of its links."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta

import structlog

from onecard.charging.actions import CreditControl
from onecard.database.pool import Connection, DatabaseUnavailable, Pool, connection
from onecard.gateways.smpp.link import Exchange, Link
from onecard.lines.actions import refuse_expired_applications, release_numbers
from onecard.node.config import Config

log = structlog.get_logger(__name__)

TICK_SECONDS = 3.0
CHANGES_AGE = timedelta(days=1)
"""No node is behind by more: one that was away starts with an empty memory."""
STATUS = """
    INSERT INTO link_status (link, node, bound_sessions, waiting, texts_in, texts_refused, texts_out, texts_failed,
                             receipts_in, receipts_out, last_error, at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
    ON CONFLICT (link, node) DO UPDATE SET
        bound_sessions = excluded.bound_sessions, waiting = excluded.waiting, texts_in = excluded.texts_in,
        texts_refused = excluded.texts_refused, texts_out = excluded.texts_out, texts_failed = excluded.texts_failed,
        receipts_in = excluded.receipts_in, receipts_out = excluded.receipts_out, last_error = excluded.last_error,
        at = excluded.at"""


class Jobs:
    """The jobs of one node. Any node may do each of them: they are safe to do twice."""

    def __init__(
        self,
        pool: Pool,
        config: Config,
        links: Mapping[str, Link],
        exchange: Exchange,
        control: CreditControl,
    ) -> None:
        self._pool = pool
        self._config = config
        self._links = links
        self._exchange = exchange
        self._control = control

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            try:
                await self.tick()
            except DatabaseUnavailable as error:
                log.warning("jobs wait for the database", reason=str(error))
            except Exception:
                log.exception("a job failed; the others go on at the next turn")
            await asyncio.sleep(TICK_SECONDS)

    async def tick(self) -> None:
        """Do all that is due."""
        now = self._exchange.clock.now()
        async with connection(self._pool) as borrowed:
            await self._tell_status(borrowed)
            while await refuse_expired_applications(borrowed, now, actor="onecard"):
                pass
            await self._control.expire()
            await release_numbers(borrowed, now, actor="onecard")
            await borrowed.execute("DELETE FROM change WHERE at < $1", now - CHANGES_AGE)

    async def _tell_status(self, borrowed: Connection) -> None:
        now = self._exchange.clock.now()
        rows = []
        for name, link in self._links.items():
            counts = link.counts
            rows.append(
                (
                    name,
                    self._config.node,
                    link.bound_count,
                    self._exchange.queues.of(name).waiting,
                    counts.texts_in,
                    counts.texts_refused,
                    counts.texts_out,
                    counts.texts_failed,
                    counts.receipts_in,
                    counts.receipts_out,
                    link.last_error,
                    now,
                )
            )
        await borrowed.executemany(STATUS, rows)
