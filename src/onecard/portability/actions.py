"""Take numbers to other operators. Every action is one transaction, or a part of its caller's.

Locks are taken in one order: reference, card, port-out, number. The line serves until the port-out is complete, and
neither it, nor its card, nor the account can end meanwhile.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime

from onecard import audit
from onecard.cards.actions import lock_live_card
from onecard.cards.model import Card, CardRefusal
from onecard.database.pool import Connection
from onecard.lines.actions import hold_for_port, keep_after_port, port_line
from onecard.lines.model import Line, LineLimits
from onecard.lines.store import find_line_of_number, list_lines
from onecard.portability import store
from onecard.portability.model import (
    PortFailure,
    PortOut,
    PortPin,
    PortRefusal,
    PortState,
    PortTerms,
    Proof,
)
from onecard.portability.rules import (
    PIN_DIGITS,
    PINS,
    decide_completion,
    decide_giving_up,
    decide_start,
    due_at,
    find_fault,
)
from onecard.sales.actions import end_card
from onecard.sealing.keys import MasterKey
from onecard.subscribers.rules import hash_secret
from onecard.subscribers.store import next_id
from onecard.values.gate import Capability, Closed, Gates
from onecard.values.guard import Guard, count_wrong, is_locked
from onecard.values.phone import E164

PURPOSE = b"port-out pins"
"""What the key of the hashes is derived for."""


async def issue_port_pin(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    master: MasterKey,
    gates: Gates,
    part: int,
    card_id: int,
    terms: PortTerms,
) -> PortPin | PortRefusal | Closed:
    """Give a subscriber the PIN that the gaining operator asks them for; the one before is worthless from now on.

    It is good for all numbers of the card. The caller has made sure of the subscriber: by sign-in, claim code or their
    own card.
    """
    if closed := gates.find_closed(Capability.PORT_OUT):
        return closed
    async with connection.transaction():
        card = await _lock_card(connection, part, card_id)
        if isinstance(card, PortRefusal):
            return card
        issued = PortPin(f"{secrets.randbelow(PINS):0{PIN_DIGITS}d}", at + terms.pin_life)
        pin_hash = _hash_pin(master, part, card_id, issued.pin)
        await store.save_pin(connection, part, card_id, pin_hash, issued.expires_at)
        await audit.record(connection, at, actor=actor, action="issue_port_pin", subject=f"card:{card_id}")
    return issued


async def request_port_out(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    master: MasterKey,
    gates: Gates,
    msisdn: E164,
    gaining: str,
    reference: str,
    proof: Proof,
    pin: str | None = None,
    terms: PortTerms,
) -> PortOut | PortRefusal | Closed:
    """Take the request that a number goes to another operator. A repeat under one reference gets the first answer.

    `pin` is given where it is the proof; any other proof the caller has seen to. Commit refusals, too: wrong PINs are
    counted.
    """
    assert (proof is Proof.PIN) == (pin is not None)
    if fault := find_fault(gaining, reference):
        return fault
    async with connection.transaction():
        await store.lock_reference(connection, gaining, reference)
        earlier = await store.find_port_by_reference(connection, gaining, reference)
        if earlier is not None:
            return earlier if earlier.msisdn == msisdn else PortRefusal.CONFLICTING_REFERENCE
        if closed := gates.find_closed(Capability.PORT_OUT):
            return closed
        place = await _lock_line(connection, msisdn)
        if isinstance(place, PortRefusal):
            return place
        card, line = place
        if pin is not None and (refusal := await _try_pin(connection, at, actor, master, card, pin)):
            return refusal
        if line.porting_since is not None:
            return PortRefusal.ALREADY_PORTING
        port = PortOut(
            part=card.part,
            id=await next_id(connection),
            account_id=card.account_id,
            card_id=card.id,
            line_id=line.id,
            msisdn=msisdn,
            gaining=gaining,
            reference=reference,
            proof=proof,
            state=PortState.REQUESTED,
            failure=None,
            requested_at=at,
            requested_by=actor,
            due_at=due_at(terms, at),
        )
        await store.insert_port(connection, port)
        await hold_for_port(connection, at, line)
        await _record(connection, at, actor, "request_port_out", port)
    return port


async def _lock_line(connection: Connection, msisdn: E164) -> tuple[Card, Line] | PortRefusal:
    """Take hold of the card that a number is on, and look at its line only then."""
    found = await find_line_of_number(connection, msisdn)
    if found is None:
        return PortRefusal.UNKNOWN_NUMBER
    card = await _lock_card(connection, found.part, found.card_id)
    if isinstance(card, PortRefusal):
        return PortRefusal.UNKNOWN_NUMBER
    lines = await list_lines(connection, card.part, card.id)
    line = next((line for line in lines if line.msisdn == msisdn), None)
    return PortRefusal.UNKNOWN_NUMBER if line is None else (card, line)


async def _lock_card(connection: Connection, part: int, card_id: int) -> Card | PortRefusal:
    card = await lock_live_card(connection, part, card_id)
    return PortRefusal(card.value) if isinstance(card, CardRefusal) else card


async def _try_pin(
    connection: Connection, at: datetime, actor: str, master: MasterKey, card: Card, pin: str
) -> PortRefusal | None:
    """Why a PIN does not prove the subscriber of a card that the caller holds. Wrong ones are counted."""
    kept = await store.find_pin(connection, card.part, card.id)
    if kept is None:
        return PortRefusal.WRONG_PIN
    pin_hash, expires_at, guard = kept
    if is_locked(guard, at):
        return PortRefusal.LOCKED
    is_right = hmac.compare_digest(pin_hash, _hash_pin(master, card.part, card.id, pin))
    if is_right and at < expires_at:
        return None
    return await _count_wrong(connection, at, actor, card, guard)


async def _count_wrong(
    connection: Connection, at: datetime, actor: str, card: Card, guard: Guard
) -> PortRefusal:
    counted = count_wrong(guard, at)
    await store.save_guard(connection, card.part, card.id, counted)
    if is_locked(counted, at):
        await audit.record(connection, at, actor=actor, action="lock_port_pin", subject=f"card:{card.id}")
    return PortRefusal.WRONG_PIN


async def start_port_out(
    connection: Connection, at: datetime, *, actor: str, port_id: int
) -> PortOut | PortRefusal:
    """Confirm a request to the gaining operator: the number is on its way."""

    async def start(port: PortOut) -> PortOut | PortRefusal:
        return decide_start(port) or replace(port, state=PortState.PENDING, started_at=at)

    return await _move_on(connection, at, actor, "start_port_out", port_id, start)


async def complete_port_out(
    connection: Connection, at: datetime, *, actor: str, port_id: int, limits: LineLimits
) -> PortOut | PortRefusal:
    """The number is the gaining operator's: its line ends.

    A card that has no primary line left ends as soon as none of its numbers is on the way any more. What is on the
    account stays owed.
    """

    async def complete(port: PortOut) -> PortOut | PortRefusal:
        if refusal := decide_completion(port):
            return refusal
        await port_line(connection, at, await _get_line(connection, port), port.gaining)
        return replace(port, state=PortState.COMPLETE, ended_at=at)

    return await _move_on(connection, at, actor, "complete_port_out", port_id, complete, limits)


async def fail_port_out(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    port_id: int,
    failure: PortFailure,
    limits: LineLimits,
) -> PortOut | PortRefusal:
    """The number was not taken over: it stays on its card."""

    async def fail(port: PortOut) -> PortOut | PortRefusal:
        if refusal := decide_giving_up(port):
            return refusal
        await keep_after_port(connection, at, await _get_line(connection, port))
        return replace(port, state=PortState.FAILED, failure=failure, ended_at=at)

    return await _move_on(connection, at, actor, "fail_port_out", port_id, fail, limits)


async def cancel_port_out(
    connection: Connection, at: datetime, *, actor: str, port_id: int, limits: LineLimits
) -> PortOut | PortRefusal:
    """Whoever asked for it does not want it any more: the number stays on its card."""

    async def cancel(port: PortOut) -> PortOut | PortRefusal:
        if refusal := decide_giving_up(port):
            return refusal
        await keep_after_port(connection, at, await _get_line(connection, port))
        return replace(port, state=PortState.CANCELLED, ended_at=at)

    return await _move_on(connection, at, actor, "cancel_port_out", port_id, cancel, limits)


async def _move_on(
    connection: Connection,
    at: datetime,
    actor: str,
    action: str,
    port_id: int,
    decide: Callable[[PortOut], Awaitable[PortOut | PortRefusal]],
    limits: LineLimits | None = None,
) -> PortOut | PortRefusal:
    """Hold a port-out by its card, move it on, and write that down; with limits, a card that is bare then ends."""
    async with connection.transaction():
        found = await store.find_port(connection, port_id)
        if found is None:
            return PortRefusal.UNKNOWN_PORT
        await _lock_card(connection, found.part, found.card_id)
        moved = await decide(await store.lock_port(connection, found.part, port_id))
        if isinstance(moved, PortRefusal):
            return moved
        await store.update_port(connection, moved)
        await _record(connection, at, actor, action, moved)
        if limits is not None:
            await _end_if_bare(connection, at, actor, moved, limits)
    return moved


async def _get_line(connection: Connection, port: PortOut) -> Line:
    lines = await list_lines(connection, port.part, port.card_id)
    return next(line for line in lines if line.id == port.line_id)  # it cannot end while the port-out is open


async def _end_if_bare(
    connection: Connection, at: datetime, actor: str, port: PortOut, limits: LineLimits
) -> None:
    lines = await list_lines(connection, port.part, port.card_id)
    if any(line.is_primary or line.porting_since for line in lines):
        return
    ended = await end_card(connection, at, actor=actor, part=port.part, card_id=port.card_id, limits=limits)
    assert isinstance(ended, Card), ended


def _hash_pin(master: MasterKey, part: int, card_id: int, pin: str) -> bytes:
    return hash_secret(master.derive(PURPOSE), f"{part}:{card_id}:{pin}")


async def _record(connection: Connection, at: datetime, actor: str, action: str, port: PortOut) -> None:
    detail = {"card": port.card_id, "state": port.state.value, "gaining": port.gaining}
    if port.failure:
        detail["failure"] = port.failure.value
    await audit.record(
        connection, at, actor=actor, action=action, subject=f"port_out:{port.id}", detail=detail
    )
