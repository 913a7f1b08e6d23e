"""What has to happen to texts as time passes: leases, claims, next attempts, expiry, forgetting.

`Upkeep.run` calls `tick` every second; a test that moves the clock calls `tick` itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import TypeVar

import asyncpg
import structlog

from onecard.database.pool import Connection, DatabaseUnavailable, Pool, connection
from onecard.legal_holds.store import is_held
from onecard.messages import store
from onecard.messages.accept import TextAcceptor
from onecard.messages.handover import Handover
from onecard.messages.model import Receipt, Text
from onecard.messages.queues import LinkQueue, Queues
from onecard.sealing.body_keys import BodyKeys, destroy_body_keys
from onecard.sealing.keys import SealingError
from onecard.values.clock import Clock

log = structlog.get_logger(__name__)
T = TypeVar("T")

TICK_SECONDS = 1.0
LEASE = timedelta(seconds=15)
OVERDUE_MOST = 1_000
SWEEP_GAP = timedelta(seconds=10)
RECEIPT_GRACE = timedelta(hours=1)
"""How long after a text's validity its receipt may still come, or a node that claimed it may end it."""
KEY_GRACE = timedelta(days=1)
"""A body key is destroyed this long after the last text that it may have sealed is over."""


class Upkeep:
    """Keeps one node's queues, claims and lease in order."""

    def __init__(
        self,
        pool: Pool,
        parts: Sequence[int],
        queues: Queues,
        acceptor: TextAcceptor,
        handover: Handover,
        *,
        body_keys: BodyKeys,
        clock: Clock,
        trace_days: int,
        validity_most: timedelta,
    ) -> None:
        self._pool = pool
        self._parts = tuple(parts)
        self._queues = queues
        self._acceptor = acceptor
        self._handover = handover
        self._body_keys = body_keys
        self._clock = clock
        self._trace_age = timedelta(days=trace_days)
        self._key_age = validity_most + KEY_GRACE
        self._purged_on: date | None = None
        self._sweep_at: datetime | None = None
        self._strays: set[tuple[int, int]] = set()
        """Part and id of what may be claimed by this node and is in no queue: the database was lost in between."""

    async def begin(self) -> None:
        """Give back what this node claimed in an earlier life, and take the lease."""
        await store.release_all(self._pool, self._parts, self._queues.node)
        await self.tick()

    async def run(self) -> None:
        """Tick until cancelled. A database that is away only makes it try again."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            try:
                await self.tick()
            except DatabaseUnavailable as error:
                log.warning("upkeep waits for the database", reason=str(error))
            except Exception:
                log.exception("upkeep failed; it goes on")

    async def tick(self) -> None:
        """Do all that is due."""
        now = self._clock.now()
        for queue in self._queues.all():
            self._expire_waiting(queue, now)
            queue.wake_postponed(now)
        await self._renew_lease(now)
        await self._withdraw_doubtful(now)
        await self._release_strays()
        for queue in self._queues.all():
            await (self._claim(queue, now) if queue.is_open else self._release(queue))
        if self._sweep_at is None or now >= self._sweep_at:
            await self._expire_stored(now)
        await self._count_parked()
        await self._purge_daily(now)

    def _expire_waiting(self, queue: LinkQueue, now: datetime) -> None:
        for text in queue.withdraw_expired(now):
            self._handover.expire(text)

    async def _renew_lease(self, now: datetime) -> None:
        """The lease counts from before it was asked for, so that it never ends later here than in the database."""
        await store.renew_lease(self._pool, self._queues.node, now + LEASE)
        self._queues.renew_lease(now, now + LEASE)

    async def _withdraw_doubtful(self, now: datetime) -> None:
        """Texts whose commit was lost from sight were refused: what is stored of them all the same is taken back."""
        doubtful = self._acceptor.doubtful
        asked = list(doubtful.items())
        found = await asyncio.gather(
            *(self._handover.withdraw_refused(doubt.part, id_) for id_, doubt in asked)
        )
        for (message_id, doubt), withdrawn in zip(asked, found, strict=True):
            if withdrawn or now >= doubt.until:
                doubtful.pop(message_id, None)

    # ---- claims

    async def _claim(self, queue: LinkQueue, now: datetime) -> None:
        for part in self._parts:
            room = queue.most - len(queue)
            if room > 0:
                await self._claim_texts(queue, part, now, room)
            await self._claim_receipts(queue, part, now)

    async def _claim_texts(self, queue: LinkQueue, part: int, now: datetime, room: int) -> None:
        rows = await store.claim_texts(
            self._pool, part, queue.link, self._queues.node, now, room, partial(self._doubt, part)
        )
        for row in rows:
            text = await _opened(self._handover.read_text(row), row)
            self._strays.discard((part, row["id"]))
            if text is None:
                self._handover.abandon(row)
            elif row["next_attempt_at"] > now:
                queue.postpone(text, row["next_attempt_at"])
            else:
                queue.put(text)

    async def _claim_receipts(self, queue: LinkQueue, part: int, now: datetime) -> None:
        room = queue.receipts_room
        if room == 0:
            return
        rows = await store.claim_receipts(
            self._pool, part, queue.link, self._queues.node, now, room, partial(self._doubt, part)
        )
        for row in rows:
            receipt = await _opened(self._handover.read_receipt(row), row)
            self._strays.discard((part, row["id"]))
            if receipt is None:
                self._handover.forget(row["part"], row["id"])
            else:
                queue.put_receipt(receipt)

    async def _release(self, queue: LinkQueue) -> None:
        """No session of the link is bound here: let any node have what waits for it."""
        texts, receipts = queue.drain()
        items: list[Text | Receipt] = [*texts, *receipts]
        self._strays.update((item.part, item.id) for item in items)
        await self._release_strays()

    def _doubt(self, part: int, ids: Sequence[int]) -> None:
        self._strays.update((part, message_id) for message_id in ids)

    async def _release_strays(self) -> None:
        """Give back what is in no queue; what the database does not hear now is given back at the next tick."""
        for part in {part for part, _ in self._strays}:
            strays = {stray for stray in self._strays if stray[0] == part}
            await store.release(self._pool, part, [message_id for _, message_id in strays], self._queues.node)
            self._strays -= strays

    # ---- ends that nobody reported, and forgetting

    async def _expire_stored(self, now: datetime) -> None:
        """Not at each tick: it reads all texts under way."""
        self._sweep_at = now + SWEEP_GAP
        for part in self._parts:
            rows = await store.find_overdue(self._pool, part, now, now - RECEIPT_GRACE, OVERDUE_MOST)
            # Asked for together, so that they are a few batches, and the lease is renewed in time.
            await asyncio.gather(*[await self._end(row) for row in rows])
            if len(rows) == OVERDUE_MOST:
                self._sweep_at = now

    async def _end(self, row: asyncpg.Record) -> asyncio.Future[bool]:
        text = await _opened(self._handover.read_text(row), row)
        return self._handover.abandon(row) if text is None else self._handover.expire(text)

    async def _count_parked(self) -> None:
        parked = await store.count_parked(self._pool, self._parts)
        for link in {*parked, *(queue.link for queue in self._queues.all())}:
            self._queues.of(link).parked = parked.get(link, 0)

    async def _purge_daily(self, now: datetime) -> None:
        """Forget old traces, and destroy the keys of bodies that are long gone from the database itself.

        A receipt that its source did not come for in all that time goes with the key that opens it.
        """
        if self._purged_on == now.date():
            return
        first_day = (now - self._key_age).date()
        async with connection(self._pool) as borrowed:
            for part in self._parts:
                await store.delete_receipts(borrowed, part, datetime.combine(first_day, time.min, UTC))
                await self._forget_traces(borrowed, part, now - self._trace_age)
            await destroy_body_keys(borrowed, first_day)
            self._body_keys.forget(first_day)
        self._purged_on = now.date()

    async def _forget_traces(self, borrowed: Connection, part: int, before: datetime) -> None:
        """A trace is kept as long as a legal hold is in force; contents were never kept."""
        async with borrowed.transaction():
            if not await is_held(borrowed):
                await store.delete_traces(borrowed, part, before)


async def _opened(read: Awaitable[T], row: asyncpg.Record) -> T | None:
    """What was sealed in a row; None, and a word in the log, when its key is gone."""
    try:
        return await read
    except SealingError as error:
        log.error("a text cannot be opened", message=row["id"], reason=str(error))
        return None
