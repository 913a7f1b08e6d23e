"""Destroy what is old enough, class by class, and say so under signature.

A run is begun, and then moved on batch by batch, each one transaction: what broke off goes on where it was. Every
batch asks anew whether a legal hold is in force.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from onecard import audit
from onecard.database.parts import list_parts
from onecard.database.pool import Connection
from onecard.legal_holds.store import is_held
from onecard.payments.payees import open_payee, seal_payee
from onecard.retention import store
from onecard.retention.model import (
    Batch,
    ClassTally,
    DataClass,
    PurgeRefusal,
    PurgeRun,
    Span,
    Spans,
)
from onecard.retention.rules import decide_certificate, decide_run, write_certificate
from onecard.sealing import renewal
from onecard.sealing.keys import MasterKey
from onecard.sealing.lookup_key import destroy_unused_lookup_key
from onecard.sealing.periods import PeriodKeys
from onecard.sealing.renewal import Renewal, find_first_end, find_renewal_after
from onecard.sealing.subscriber_keys import (
    create_subscriber_key,
    destroy_subscriber_key,
    get_subscriber_key,
)
from onecard.values.gate import Capability, Closed, Gates

BATCH_MOST = 1000


async def begin_purge(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    gates: Gates,
    stayed: bool,
    data_class: DataClass,
    span: Span,
) -> PurgeRun | PurgeRefusal | Closed:
    """Begin to purge a class of what was over so long ago that it need not be kept; a run that broke off goes on.

    `stayed`: whether a stay of any stage of the order is in force.
    """
    if closed := gates.find_closed(Capability.PURGE):
        return closed
    async with connection.transaction():
        if refusal := decide_run(data_class, stayed=stayed, held=await is_held(connection)):
            return refusal
        broken_off = await store.lock_open_run(connection, data_class)
        if broken_off is not None:
            return broken_off
        run = await store.insert_run(connection, data_class, at - span.least, at, actor)
        await _record(connection, at, actor, "begin_purge", run)
    return run


async def purge_batch(
    connection: Connection, at: datetime, *, master: MasterKey, run: PurgeRun, part: int
) -> int | PurgeRefusal:
    """Destroy the next batch of a part; returns how many rows that were: 0 when nothing is left."""
    async with connection.transaction():
        if await is_held(connection):
            return PurgeRefusal.LEGAL_HOLD
        batch = await _PURGES.get(run.data_class, _purge_rows)(connection, at, master, run, part)
        await store.add_to_run(connection, run.id, batch)
    return batch.rows


async def end_purge(connection: Connection, at: datetime, *, actor: str, run: PurgeRun) -> PurgeRun:
    """Write down that nothing is left that the run could destroy."""
    async with connection.transaction():
        if run.data_class is DataClass.CONTACTS and await destroy_unused_lookup_key(connection):
            await store.add_to_run(connection, run.id, Batch(rows=0, keys=1))
        await store.end_run(connection, run.id, at)
        ended = await store.find_run(connection, run.id)
        assert ended is not None
        await _record(connection, at, actor, "end_purge", ended)
    return ended


async def _purge_rows(
    connection: Connection, _at: datetime, _master: MasterKey, run: PurgeRun, part: int
) -> Batch:
    return await store.delete_rows(connection, run.data_class, part, run.before, BATCH_MOST)


async def _purge_contacts(
    connection: Connection, at: datetime, master: MasterKey, run: PurgeRun, part: int
) -> Batch:
    """Destroy the keys of subscribers with whom all is over. Payees that must be kept get a key of their own first."""
    over = await store.lock_over(connection, part, run.before, BATCH_MOST)
    ids, ages = [id_ for id_, _ in over], [over_at for _, over_at in over]
    with_payees = await store.list_with_payees(connection, part, ids)
    for subscriber_id in with_payees:
        await _reseal_payees(connection, master, part, subscriber_id)
    await store.destroy_keys(connection, part, sorted(set(ids) - set(with_payees)))
    await store.erase_contacts(connection, part, ids, at)
    subjects = [f"subscriber:{id_}" for id_ in ids]
    await audit.record_each(connection, at, actor="onecard", action="purge_contact", subjects=subjects)
    return Batch(len(ids), len(ids), min(ages, default=None), max(ages, default=None))


async def _reseal_payees(connection: Connection, master: MasterKey, part: int, subscriber_id: int) -> None:
    """Seal a subscriber's payees with a new key, and destroy the old one with all else that it sealed."""
    old = await get_subscriber_key(connection, master, part, subscriber_id)
    await destroy_subscriber_key(connection, part, subscriber_id)
    new = await create_subscriber_key(connection, master, part, subscriber_id)

    def reseal(sealed: bytes) -> bytes:
        payee = open_payee(old, sealed, part, subscriber_id)
        return seal_payee(new, payee, part, subscriber_id)

    of_refunds, of_payouts = await store.list_sealed_payees(connection, part, subscriber_id)
    for refund_id, sealed in of_refunds:
        await store.reseal_refund(connection, part, refund_id, reseal(sealed))
    for run_id, refund_id, sealed in of_payouts:
        await store.reseal_payout(connection, part, run_id, refund_id, reseal(sealed))


async def _purge_payees(
    connection: Connection, _at: datetime, master: MasterKey, run: PurgeRun, part: int
) -> Batch:
    """Clear payees. A key that has nothing left to open is destroyed; else what is left gets a new one."""
    batch, owners = await store.clear_payees(connection, part, run.before, BATCH_MOST)
    erased = await store.lock_erased(connection, part, owners)
    still = set(await store.list_with_payees(connection, part, erased))
    done = sorted(set(erased) - still)
    await store.destroy_keys(connection, part, done)
    for subscriber_id in sorted(still):
        await _reseal_payees(connection, master, part, subscriber_id)
    return replace(batch, keys=len(erased))


_Purge = Callable[[Connection, datetime, MasterKey, PurgeRun, int], Awaitable[Batch]]
_PURGES: dict[DataClass, _Purge] = {
    DataClass.CONTACTS: _purge_contacts,
    DataClass.PAYEES: _purge_payees,
}


# The keys of periods


async def begin_renewal(
    connection: Connection, at: datetime, *, actor: str, periods: PeriodKeys
) -> Renewal | PurgeRefusal:
    """Begin to move every data key to the period whose key was made and copied ahead; one that broke off goes on.

    No gate stands before it: nothing that is in the database is destroyed. But copies of it become unreadable.
    """
    async with connection.transaction():
        if await is_held(connection):
            return PurgeRefusal.LEGAL_HOLD
        begun = await renewal.begin_renewal(connection, periods, at, actor)
        if begun is None:
            return PurgeRefusal.NO_SPARE_KEY
        await _record_renewal(connection, at, actor, "begin_renewal", begun)
    return begun


async def move_keys(
    connection: Connection, *, master: MasterKey, begun: Renewal, part: int, after: int = 0
) -> int | None:
    """Move the next page of a part's data keys; returns where to go on, None at the end."""
    return await renewal.rewrap_subscriber_keys(connection, master, begun.period, part, after=after)


async def end_renewal(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    master: MasterKey,
    periods: PeriodKeys,
    begun: Renewal,
) -> Renewal | PurgeRefusal:
    """Destroy the keys of the former periods, when every data key has moved."""
    await renewal.rewrap_other_keys(connection, master, begun.period)
    async with connection.transaction():
        if await is_held(connection):
            return PurgeRefusal.LEGAL_HOLD
        if not await renewal.end_renewal(connection, periods, begun, at):
            return PurgeRefusal.KEYS_LEFT
        await _record_renewal(connection, at, actor, "end_renewal", begun)
    return replace(begun, ended_at=at)


async def _record_renewal(
    connection: Connection, at: datetime, actor: str, action: str, begun: Renewal
) -> None:
    detail = {"former": sorted(begun.destroyed)}
    subject = f"period:{begun.period}"
    await audit.record(connection, at, actor=actor, action=action, subject=subject, detail=detail)


# What there is, and what is certified


async def tally_classes(connection: Connection, at: datetime, spans: Spans) -> tuple[ClassTally, ...]:
    """How much there is of each class that can be purged, and of that how much may and how much should go."""
    parts = await list_parts(connection)
    tallies = []
    for data_class in (*store.ROWS, DataClass.CONTACTS, DataClass.PAYEES):
        span = spans[data_class]
        found = [one for part in parts for one in await _tally(connection, data_class, part, at, span)]
        tallies.append(_sum(data_class, found))
    return tuple(tallies)


async def _tally(
    connection: Connection, data_class: DataClass, part: int, at: datetime, span: Span
) -> list[ClassTally]:
    limits = at - span.least, at - span.most
    if data_class is DataClass.CONTACTS:
        return [await store.count_contacts(connection, part, *limits)]
    if data_class is DataClass.PAYEES:
        return [await store.count_payees(connection, part, *limits)]
    return await store.count_rows(connection, data_class, part, *limits)


def _sum(data_class: DataClass, found: list[ClassTally]) -> ClassTally:
    return ClassTally(
        data_class,
        sum(one.kept for one in found),
        sum(one.ready for one in found),
        sum(one.overdue for one in found),
        min((one.oldest for one in found if one.oldest), default=None),
    )


async def certify_purge(
    connection: Connection, at: datetime, *, run_id: int, operator: str, spans: Spans
) -> dict[str, Any] | PurgeRefusal:
    """What can be signed of a run that has ended."""
    run = await store.find_run(connection, run_id)
    if run is None:
        return PurgeRefusal.UNKNOWN_RUN
    after = None if run.ended_at is None else await find_renewal_after(connection, run.ended_at)
    if refusal := decide_certificate(run, after):
        return refusal
    return write_certificate(
        run,
        after,
        periods_since=await find_first_end(connection),
        operator=operator,
        span=spans[run.data_class],
        at=at,
    )


async def _record(connection: Connection, at: datetime, actor: str, action: str, run: PurgeRun) -> None:
    detail = {"class": run.data_class.value, "rows": run.rows, "keys": run.keys}
    await audit.record(
        connection, at, actor=actor, action=action, subject=f"purge_run:{run.id}", detail=detail
    )
