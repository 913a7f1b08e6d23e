"""Open accounts, post to them, read them, and prove the ledger.

Two ways to post. `Ledger` is the fast one: postings from everywhere in the process meet in one batch a part,
and an answer means that the batch is durable. `post_one` is for an action with a transaction of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial

from onecard import audit
from onecard.database.batch import BatchWriter
from onecard.database.parts import list_parts
from onecard.database.pool import Connection, Pool, connection
from onecard.ledger import store
from onecard.ledger.model import (
    MOST_POSTING_MICROS,
    Account,
    Entry,
    EntryKind,
    Posted,
    Posting,
    Report,
    TopUpRefusal,
)
from onecard.ledger.rules import hash_contents, may_be_posted, name_event
from onecard.values.clock import Clock
from onecard.values.money import Currency, Money

BATCH_MOST = 1000
PAGE_MOST = 1000
VIOLATIONS_MOST_OF_EACH = 1000


class Ledger:
    """Posts in batches: one writer for each part of this database.

    To be made inside the running event loop and closed with `close`; `open_ledger` does both.
    """

    def __init__(
        self, pool: Pool, clock: Clock, parts: Iterable[int], *, batch_most: int = BATCH_MOST
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._writers: dict[int, BatchWriter[Posting, Posted]] = {
            part: BatchWriter(partial(self._write, part), most=batch_most) for part in parts
        }

    def post_nowait(self, posting: Posting) -> asyncio.Future[Posted]:
        """Put a posting into the next batch of its part. Raises QueueFull or WriterClosed at once."""
        assert may_be_posted(posting), posting
        return self._writers[posting.part].submit_nowait(posting)

    async def post(self, posting: Posting) -> Posted:
        """Post and wait until it is durable, or refused.

        A refusal is not remembered: a repeat of a refused event is decided anew. After DatabaseUnavailable
        the posting may be durable or not; repeat it with the same event. Raises as `post_nowait` does, too.
        """
        return await self.post_nowait(posting)

    async def close(self) -> None:
        """Write what waits, and end."""
        await asyncio.gather(*(writer.close() for writer in self._writers.values()))

    async def _write(self, part: int, postings: Sequence[Posting]) -> Sequence[Posted]:
        async with connection(self._pool) as borrowed:
            return await store.post(borrowed, part, self._clock.now(), postings)


@asynccontextmanager
async def open_ledger(pool: Pool, clock: Clock, *, batch_most: int = BATCH_MOST) -> AsyncIterator[Ledger]:
    """A ledger that writes to every part of the database."""
    async with connection(pool) as borrowed:
        parts = await list_parts(borrowed)
    ledger = Ledger(pool, clock, parts, batch_most=batch_most)
    try:
        yield ledger
    finally:
        await ledger.close()


async def open_account(connection: Connection, part: int, currency: Currency, at: datetime) -> int:
    """Open an empty account for a subscriber and return its id. Call it in a transaction."""
    return await store.insert_account(connection, part, currency, at)


async def find_account(connection: Connection, part: int, account_id: int) -> Account | None:
    """A subscriber's account as it is now, if there is one."""
    return await store.find_account(connection, part, account_id)


async def close_account(connection: Connection, part: int, account_id: int, at: datetime) -> bool:
    """Close a subscriber's account for good; False: something is on it, or one of its numbers is being ported out.

    Nothing is posted to it any more.
    """
    return await store.close_account(connection, part, account_id, at)


async def post_one(connection: Connection, posting: Posting, at: datetime) -> Posted:
    """Post within the caller's transaction.

    The other writers of this part wait from here to the commit: let it be the last thing the transaction does
    that takes time, and post to one part only.
    """
    assert may_be_posted(posting), posting
    (answer,) = await store.post(connection, posting.part, at, [posting])
    return answer


async def post_all(connection: Connection, postings: Sequence[Posting], at: datetime) -> list[Posted]:
    """Post a batch of one part within the caller's transaction, each by itself. As `post_one`, of many."""
    assert all(may_be_posted(posting) for posting in postings)
    return await store.post(connection, postings[0].part, at, postings) if postings else []


async def post_group(connection: Connection, group: Sequence[Posting], at: datetime) -> Posted:
    """Post several changes of one part within the caller's transaction, all of them or none. Else as `post_one`."""
    assert all(may_be_posted(posting) for posting in group)
    return await store.post_group(connection, group[0].part, at, group)


async def take_turn(connection: Connection, part: int) -> None:
    """Keep all other writers of a part waiting from here to the commit: what is read after it is still so when it
    is posted. Take it before any lock on rows that another batch could hold.
    """
    await store.take_turn(connection, part)


async def get_available(connection: Connection, part: int, account_ids: Sequence[int]) -> dict[int, Money]:
    """What is available on each of these subscribers' accounts that is open."""
    return await store.get_available(connection, part, account_ids)


async def top_up(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    part: int,
    account_id: int,
    amount: Money,
    event: str,
    memo: str | None = None,
    kind: EntryKind = EntryKind.TOP_UP,
) -> Account | TopUpRefusal:
    """Add money to an account, once for each `event` (the payer's own reference), and return the account.

    `kind` says who pays; the events of each are its own. Call it in a transaction. A repeat changes nothing and
    returns the account as it is.
    """
    assert kind in (EntryKind.TOP_UP, EntryKind.VOUCHER)
    if not 0 < amount.micros <= MOST_POSTING_MICROS:
        return TopUpRefusal.BAD_AMOUNT
    account = await store.find_account(connection, part, account_id)
    if account is None:
        return TopUpRefusal.UNKNOWN_ACCOUNT
    if account.currency != amount.currency:
        return TopUpRefusal.OTHER_CURRENCY
    posting = Posting(
        part=part,
        account_id=account_id,
        event_id=name_event(kind.name.lower(), event),
        kind=kind,
        available=amount.micros,
        content_hash=hash_contents(account_id, amount.micros, amount.currency),
        memo=memo,
    )
    return await _top_up(connection, at, actor, posting)


async def _top_up(
    connection: Connection, at: datetime, actor: str, posting: Posting
) -> Account | TopUpRefusal:
    posted = await post_one(connection, posting, at)
    if posted is Posted.CONFLICTING:
        return TopUpRefusal.CONFLICTING_EVENT
    if posted is Posted.NO_ACCOUNT:  # closed
        return TopUpRefusal.UNKNOWN_ACCOUNT
    assert posted.is_accepted  # money that comes in is never insufficient
    account = await store.find_account(connection, posting.part, posting.account_id)
    assert account is not None
    if posted is Posted.POSTED:
        await _record_top_up(connection, at, actor, posting, account.currency)
    return account


async def _record_top_up(
    connection: Connection, at: datetime, actor: str, posting: Posting, currency: Currency
) -> None:
    detail = {"micros": posting.available, "currency": currency, "event_id": str(posting.event_id)}
    subject = f"account:{posting.account_id}"
    await audit.record(connection, at, actor=actor, action="top_up", subject=subject, detail=detail)
    await store.record_change(connection, posting.account_id, at)


async def record_change(connection: Connection, account_id: int, at: datetime) -> None:
    """Tell every node that more is on an account than it may remember. Call it in the transaction that posts."""
    await store.record_change(connection, account_id, at)


async def is_topped_up(
    connection: Connection, part: int, account_id: int, event: str, kind: EntryKind = EntryKind.TOP_UP
) -> bool:
    """Whether this event topped up the account before."""
    return await store.is_posted(connection, part, account_id, name_event(kind.name.lower(), event))


async def list_entries(
    connection: Connection, part: int, account_id: int, *, before: Entry | None = None, most: int = 50
) -> list[Entry]:
    """A page of an account's entries, the newest first; the next page begins after the last of this one."""
    assert 0 < most <= PAGE_MOST
    return await store.list_entries(connection, part, account_id, before=before, most=most)


async def check_ledger(connection: Connection) -> Report:
    """Prove the ledger: every currency and every batch sums to zero, every balance is the sum of its entries,
    nothing is negative, nothing belongs to nobody. Traffic may go on: one snapshot is read.

    Names at most `VIOLATIONS_MOST_OF_EACH` violations of each sort. Not to be called in a transaction.
    """
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        violations = await store.find_violations(connection, VIOLATIONS_MOST_OF_EACH)
        accounts, entries = await store.count_rows(connection)
    return Report(accounts, entries, tuple(violations))
