"""Give numbers back to the operators of whose ranges they are, and account for every number there ever was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from onecard import audit
from onecard.database.parts import list_parts
from onecard.database.pool import Connection
from onecard.legal_holds.store import is_held
from onecard.lines.model import NumberState
from onecard.portability import return_store
from onecard.portability.model import Difference, NumberAccount, NumberReturn, ReturnRefusal
from onecard.values.gate import Capability, Closed, Gates
from onecard.values.phone import E164

EXAMPLES_MOST = 5


async def offer_numbers(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    gates: Gates,
    holders: Mapping[str, str],
    holder: str,
) -> NumberReturn | ReturnRefusal | Closed:
    """Offer a holder all numbers of its ranges that nobody has; those in quarantine wait for a later list.

    `holders` names an operator for each prefix. From now on nobody is given these numbers any more.
    """
    if closed := gates.find_closed(Capability.NUMBER_RETURN):
        return closed
    if holder not in holders.values():
        return ReturnRefusal.UNKNOWN_HOLDER
    async with connection.transaction():
        if await is_held(connection):
            return ReturnRefusal.LEGAL_HOLD
        numbers = await return_store.lock_returnable(connection, holders, holder, at)
        if not numbers:
            return ReturnRefusal.NOTHING_TO_RETURN
        offered = await return_store.insert_return(connection, holder, numbers, at, actor)
        await _record(connection, at, actor, "offer_numbers", offered)
    return offered


async def confirm_return(
    connection: Connection, at: datetime, *, actor: str, return_id: int, transferred_to: str | None = None
) -> NumberReturn | ReturnRefusal:
    """The holder has taken a list back, or had it transferred to another operator, with the customers."""
    async with connection.transaction():
        offered = await return_store.lock_return(connection, return_id)
        if offered is None:
            return ReturnRefusal.UNKNOWN_RETURN
        if offered.confirmed_at is not None:
            return ReturnRefusal.CONFIRMED_ALREADY
        state = NumberState.TRANSFERRED if transferred_to else NumberState.RETURNED
        gone_to = transferred_to or offered.holder
        await return_store.confirm_return(connection, return_id, state, gone_to, at, actor)
        confirmed = replace(offered, confirmed_at=at, confirmed_by=actor)
        await _record(connection, at, actor, "confirm_return", confirmed)
    return confirmed


async def account_for_numbers(connection: Connection) -> NumberAccount:
    """Count every number by state against the imports, and name what two records do not agree on."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        return NumberAccount(
            totals=await return_store.count_numbers(connection),
            imported=await return_store.count_imported(connection),
            differences=await _compare(connection),
        )


async def _compare(connection: Connection) -> tuple[Difference, ...]:
    assigned: set[E164] = set()
    on_lines: set[E164] = set()
    reserved: set[E164] = set()
    applied: set[E164] = set()
    taken: set[E164] = set()
    for part in await list_parts(connection):
        assigned |= await return_store.list_numbers_of_part(connection, part, NumberState.ASSIGNED)
        on_lines |= await return_store.list_active(connection, part)
        reserved |= await return_store.list_numbers_of_part(connection, part, NumberState.RESERVED)
        applied |= await return_store.list_applied(connection, part)
        taken |= await return_store.list_ports_complete(connection, part)
    ported = await return_store.list_ported(connection)
    back, confirmed = await return_store.list_back(connection), await return_store.list_confirmed(connection)
    return (
        *_differ("assigned, but on no active line", assigned - on_lines),
        *_differ("on an active line, but not assigned to its card", on_lines - assigned),
        *_differ("reserved, but for no open application", reserved - applied),
        *_differ("applied for, but not reserved", applied - reserved),
        *_differ("ported, but by no port-out that is complete", ported - taken),
        *_differ("taken along by a complete port-out, but not ported", taken - ported),
        *_differ("returned or transferred, but on no list that was confirmed", back - confirmed),
        *_differ("on a list that was confirmed, but neither returned nor transferred", confirmed - back),
    )


def _differ(what: str, numbers: set[E164]) -> Iterator[Difference]:
    if numbers:
        yield Difference(what, len(numbers), tuple(sorted(numbers)[:EXAMPLES_MOST]))


async def _record(
    connection: Connection, at: datetime, actor: str, action: str, offered: NumberReturn
) -> None:
    detail = {"holder": offered.holder, "count": offered.count}
    subject = f"number_return:{offered.id}"
    await audit.record(connection, at, actor=actor, action=action, subject=subject, detail=detail)
