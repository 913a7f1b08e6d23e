"""Move texts along: handed over, tried again, delivered or failed; and give their senders the receipts.

    next hop answers -> batch (trace, work in progress, returned charge) -> receipt to the source link -> forget

Every step is idempotent, and a text is final once: whichever of a receipt, an expiry and a cancellation is
written first wins, the others change nothing.
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import asyncpg
import msgspec
import structlog

from onecard.database.batch import BatchWriter
from onecard.database.pool import Pool, connection
from onecard.messages import store
from onecard.messages.accept import segments_of
from onecard.messages.model import (
    CancelRefusal,
    Envelope,
    Progress,
    Receipt,
    ReceiptWish,
    Submitted,
    Text,
    TextState,
    Trace,
    bound_to_text,
)
from onecard.messages.queues import Queues
from onecard.messages.rules import decide_next_attempt
from onecard.sealing.body_keys import BodyKeys
from onecard.values.clock import Clock

log = structlog.get_logger(__name__)

STEPS_MOST = 200_000
ERROR_MOST = 2**32 - 1
"""A command status has 32 bits. A peer may report any number as its error: one too large must not fail a batch."""
Sealed = TypeVar("Sealed", Envelope, Submitted)
Key = tuple[str, str]
"""A link and the id by which its next hop knows a text."""


@dataclass(frozen=True, slots=True)
class ReceiptLimits:
    """Bounds of what is remembered while receipts are awaited; what is over it is found in the database."""

    awaited_most: int = 200_000
    early_most: int = 10_000
    early_seconds: float = 5.0
    """How long a receipt that overtook the answer to its text waits for that answer."""


class Handover:
    """Moves texts along. One a node; made inside the running event loop."""

    def __init__(
        self,
        pool: Pool,
        parts: Sequence[int],
        queues: Queues,
        *,
        body_keys: BodyKeys,
        clock: Clock,
        limits: ReceiptLimits | None = None,
    ) -> None:
        self._pool = pool
        self._parts = tuple(parts)
        self._queues = queues
        self._body_keys = body_keys
        self._clock = clock
        self._limits = limits or ReceiptLimits()
        self._awaited: OrderedDict[Key, Text] = OrderedDict()
        self._early: dict[Key, asyncio.Future[Text]] = {}
        # What became of a text is never given up: it waits for the database as long as that takes.
        self._steps = {
            part: BatchWriter(
                store.StepWriter(pool, part).write, queue_most=STEPS_MOST, away_most_seconds=math.inf
            )
            for part in parts
        }
        self._forgetting = {
            part: BatchWriter(
                partial(store.forget_batch, pool, part), queue_most=STEPS_MOST, away_most_seconds=math.inf
            )
            for part in parts
        }

    async def close(self) -> None:
        """Write all that was begun."""
        for writer in self._steps.values():
            await writer.close()
        for forgetting in self._forgetting.values():
            await forgetting.close()

    # ---- what the next hop answered

    def handed_over(self, text: Text, remote_id: str | None) -> asyncio.Future[bool]:
        """The next hop took the text: it will report on `remote_id`, or reports nothing more (None).

        Until the future is done, a crash would make another node, or this one, hand the text over again.
        """
        now = self._clock.now()
        attempts = text.attempts + 1
        if remote_id is None:
            return self._finish(text, TextState.DELIVERED, attempts=attempts, status=0)
        self._await_receipt((text.next_link, remote_id), msgspec.structs.replace(text, attempts=attempts))
        return self._write(
            text.part,
            Progress(
                text.id,
                TextState.HANDED_OVER,
                now,
                attempts,
                handed_over_at=now,
                remote_id=remote_id,
                status=0,
            ),
        )

    def postpone(self, text: Text, status: int | None) -> None:
        """The next hop could not take the text now (its status), or was lost (None): try again later."""
        now = self._clock.now()
        attempts = text.attempts + 1
        next_attempt_at = decide_next_attempt(attempts, now)
        if next_attempt_at >= text.expires_at:
            self._finish(text, TextState.EXPIRED, attempts=attempts, status=status)
            return
        self._write(
            text.part,
            Progress(
                text.id, TextState.WAITING, now, attempts, status=status, next_attempt_at=next_attempt_at
            ),
        )
        self._queues.of(text.next_link).postpone(
            msgspec.structs.replace(text, attempts=attempts), next_attempt_at
        )

    def fail(self, text: Text, status: int) -> None:
        """The next hop refused the text for good: its charge is returned and its sender told."""
        self._finish(text, TextState.FAILED, attempts=text.attempts + 1, status=status)

    def expire(self, text: Text) -> asyncio.Future[bool]:
        """The validity of a text ended before it was delivered."""
        state = TextState.EXPIRED if text.envelope else TextState.UNKNOWN
        return self._finish(text, state, attempts=text.attempts)

    def abandon(self, row: asyncpg.Record) -> asyncio.Future[bool]:
        """The key of a text is gone, so it can be neither handed over nor reported: it is over.

        One that waited gets its charge back. Of one that was handed over nobody will know what became of it.
        """
        state = TextState.FAILED if row["stage"] == store.STAGE_WAITING else TextState.UNKNOWN
        return self._write(row["part"], Progress(row["id"], state, self._clock.now(), row["attempts"]))

    def withdraw_refused(self, part: int, message_id: int) -> asyncio.Future[bool]:
        """Take back a text that its sender was told is refused, if it is stored: True, and its charge is returned."""
        return self._write(part, Progress(message_id, TextState.CANCELLED, self._clock.now(), attempts=0))

    # ---- receipts of the next hop

    async def receive_receipt(self, link: str, remote_id: str, state: TextState, error: int) -> bool:
        """A next hop reports the end of a text; durable when this returns. False: no text is known by that id."""
        assert state.is_final
        text = await self._find_awaited((link, remote_id))
        if text is None:
            return False
        await self._finish(text, state, attempts=text.attempts, error=error)
        return True

    async def _find_awaited(self, key: Key) -> Text | None:
        text = self._awaited.pop(key, None)
        if text is not None:
            return text
        row = await store.find_handed_over(self._pool, self._parts, *key)
        if row is not None:
            return await self.read_text(row)
        return await self._wait_for_answer(key)

    async def _wait_for_answer(self, key: Key) -> Text | None:
        """A receipt can overtake the answer to its text: wait a little for that answer."""
        if key in self._awaited:  # it came while the database was asked
            return self._awaited.pop(key)
        if len(self._early) >= self._limits.early_most:
            return None
        answered = self._early.setdefault(key, asyncio.get_running_loop().create_future())
        try:
            return await asyncio.wait_for(asyncio.shield(answered), self._limits.early_seconds)
        except TimeoutError:
            return None
        finally:
            self._early.pop(key, None)

    def _await_receipt(self, key: Key, text: Text) -> None:
        early = self._early.get(key)
        if early is not None and not early.done():
            early.set_result(text)
            return
        self._awaited[key] = msgspec.structs.replace(text, envelope=None)
        if len(self._awaited) > self._limits.awaited_most:
            self._awaited.popitem(last=False)

    # ---- the end of a text, and its receipt to the source

    def _finish(
        self, text: Text, state: TextState, *, attempts: int, status: int | None = None, error: int = 0
    ) -> asyncio.Future[bool]:
        now = self._clock.now()
        source = self._queues.of(text.source_link)
        node = self._queues.node if source.is_open and source.receipts_room else None
        error = min(error or status or 0, ERROR_MOST)
        step = Progress(
            text.id,
            state,
            now,
            attempts,
            handed_over_at=now if state is TextState.DELIVERED else None,
            status=status,
            error=error,
            receipt_node=node,
        )
        written = self._write(text.part, step)
        if node and text.submitted and is_receipt_due(text.receipt_wanted, state):
            receipt = Receipt(
                text.part, text.id, text.source_link, text.submitted, state, error, text.accepted_at, now
            )
            written.add_done_callback(partial(self._queue_receipt, receipt))
        return written

    def _queue_receipt(self, receipt: Receipt, written: asyncio.Future[bool]) -> None:
        """Queue the receipt once what it says is durable; not when the text was over already."""
        if not written.cancelled() and written.exception() is None and written.result():
            self._queues.of(receipt.link).put_receipt(receipt)

    def receipt_delivered(self, receipt: Receipt) -> None:
        """The source took the receipt: nothing is left to do for the text, and nothing is kept but its trace."""
        self.forget(receipt.part, receipt.id)

    def forget(self, part: int, message_id: int) -> None:
        """Nothing is left to do for a text."""
        self._forgetting[part].submit_nowait(message_id)

    def _write(self, part: int, step: Progress) -> asyncio.Future[bool]:
        written = self._steps[part].submit_nowait(step)
        written.add_done_callback(_log_failure)
        return written

    # ---- what the sender asks about its text

    async def find(self, link: str, message_id: int) -> Trace | None:
        """The trace of a text that this link brought."""
        async with connection(self._pool) as borrowed:
            trace = await store.find_trace(borrowed, self._parts, message_id)
        return trace if trace and trace.source_link == link else None

    async def cancel(self, link: str, message_id: int) -> CancelRefusal | None:
        """Take a text back that has not been handed over; its charge is returned, no receipt is sent."""
        trace = await self.find(link, message_id)
        if trace is None or trace.state is not TextState.WAITING:
            return CancelRefusal.OVER if trace else CancelRefusal.UNKNOWN_TEXT
        text = self._queues.of(trace.next_link).withdraw(trace.id) or await self._claim_parked(trace)
        if text is None:
            return CancelRefusal.UNDER_WAY
        done = await self._finish(text, TextState.CANCELLED, attempts=text.attempts)
        return None if done else CancelRefusal.OVER

    async def _claim_parked(self, trace: Trace) -> Text | None:
        """Take a text that waits in the database, where another node could claim it meanwhile."""
        row = await store.claim_parked(self._pool, trace.part, trace.id, self._queues.node)
        return await self.read_text(row) if row else None

    async def replace(self, link: str, message_id: int, body: bytes) -> CancelRefusal | None:
        """Put another body in the place of the one that waits; it must be as many segments, as it was paid."""
        trace = await self.find(link, message_id)
        if trace is None or trace.state is not TextState.WAITING:
            return CancelRefusal.OVER if trace else CancelRefusal.UNKNOWN_TEXT
        queue = self._queues.of(trace.next_link)
        parked = None if queue.find(trace.id) else await self._find_parked(trace)
        text = parked or queue.find(trace.id)
        if text is None:
            return CancelRefusal.UNDER_WAY
        replaced = _with_body(text, body)
        assert replaced.envelope is not None
        if segments_of(replaced.envelope.content) != trace.segments:
            return CancelRefusal.OTHER_LENGTH
        if parked is None:
            queue.replace(replaced)  # before it is written: from here on the next hop gets the new body
        written = await self._store_body(replaced, node=None if parked else self._queues.node)
        return None if written or not parked else CancelRefusal.UNDER_WAY

    async def _find_parked(self, trace: Trace) -> Text | None:
        row = await store.find_parked(self._pool, trace.part, trace.id)
        return await self.read_text(row) if row else None

    async def _store_body(self, text: Text, *, node: str | None) -> bool:
        key = await self._body_keys.of(text.accepted_at.date())
        sealed = key.seal(msgspec.msgpack.encode(text.envelope), bound_to_text(text.id))
        return await store.replace_body(self._pool, text.part, text.id, sealed, node)

    # ---- what was claimed from the database

    async def read_text(self, row: asyncpg.Record) -> Text:
        """The text of a `delivery` row; raises SealingError when its key is gone."""
        return Text(
            row["part"],
            row["id"],
            row["source_link"],
            row["next_link"],
            row["application"],
            ReceiptWish(row["receipt_wanted"]),
            row["accepted_at"],
            row["expires_at"],
            await self._open(row, "sealed_body", Envelope),
            await self._open(row, "sealed_addresses", Submitted),
            row["attempts"],
        )

    async def read_receipt(self, row: asyncpg.Record) -> Receipt | None:
        """The receipt of a `delivery` row at stage 3."""
        submitted = await self._open(row, "sealed_addresses", Submitted)
        if submitted is None:
            return None
        return Receipt(
            row["part"],
            row["id"],
            row["source_link"],
            submitted,
            TextState(row["final_state"]),
            row["error"] or 0,
            row["accepted_at"],
            row["done_at"],
        )

    async def _open(self, row: asyncpg.Record, column: str, kind: type[Sealed]) -> Sealed | None:
        if row[column] is None:
            return None
        plain = await self._body_keys.open(row[column], bound_to_text(row["id"]))
        return msgspec.msgpack.decode(plain, type=kind)


def is_receipt_due(wish: ReceiptWish, state: TextState) -> bool:
    """Whether the sender wants to hear of this outcome. A cancellation it was told of by its answer."""
    if state is TextState.CANCELLED:
        return False
    return wish is ReceiptWish.ALWAYS or (wish is ReceiptWish.ON_FAILURE and state is not TextState.DELIVERED)


def _with_body(text: Text, body: bytes) -> Text:
    assert text.envelope is not None  # it waits
    content = msgspec.structs.replace(text.envelope.content, body=body)
    return msgspec.structs.replace(text, envelope=msgspec.structs.replace(text.envelope, content=content))


def _log_failure(written: asyncio.Future[bool]) -> None:
    if not written.cancelled() and written.exception() is not None:
        log.error("what became of a text could not be written", reason=repr(written.exception()))
