"""A number taken to another operator: proved, on time, and in service until the other has it."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

import shop
from onecard import ledger
from onecard.audit import list_records
from onecard.cards.model import Card, CardRefusal
from onecard.cards.store import find_card
from onecard.database.pool import Database, connection
from onecard.lines.actions import ask_to_end_line, confirm_end_of_line
from onecard.lines.model import LineRefusal
from onecard.lines.store import find_line_of_number
from onecard.portability import store
from onecard.portability.model import PortFailure, PortOut, PortRefusal, PortState, PortTerms, Proof
from onecard.portability.rules import due_at, is_late, lost_with
from onecard.sales.actions import end_card
from onecard.values.gate import Capability, Closed, Gates
from onecard.values.guard import WRONG_MOST
from onecard.values.money import Money
from onecard.values.phone import E164
from portability.desk import CALENDAR, GAINING, LIMITS, TERMS, PortDesk

FIVE = Money(5_000_000, shop.CAD)
NOWHERE = E164("+16045550199")
NO_PORT_OUT = Gates({Capability.PORT_OUT: Closed(Capability.PORT_OUT, "the end", shop.AT)})


async def end(desk: PortDesk) -> Card | CardRefusal:
    return await end_card(
        desk.borrowed,
        desk.clock.now(),
        actor=shop.STAFF,
        part=desk.card.part,
        card_id=desk.card.id,
        limits=LIMITS,
    )


async def test_a_whole_port_out_keeps_the_line_until_it_is_complete(desk: PortDesk) -> None:
    msisdn = await desk.primary()
    port = await desk.request(msisdn, await desk.get_pin())
    assert isinstance(port, PortOut), port
    assert (port.state, port.proof, port.gaining) == (PortState.REQUESTED, Proof.PIN, GAINING)
    assert (await find_line_of_number(desk.borrowed, msisdn)) is not None
    pending = await desk.start(port)
    assert isinstance(pending, PortOut)
    assert await desk.state_of(msisdn) == "assigned"
    desk.wait(hours=2)
    complete = await desk.complete(pending)
    assert isinstance(complete, PortOut)
    assert (complete.state, complete.ended_at) == (PortState.COMPLETE, desk.clock.now())
    assert await store.find_port(desk.borrowed, port.id) == complete
    assert await desk.state_of(msisdn) == "ported"
    assert await desk.borrowed.fetchval("SELECT gone_to FROM number WHERE msisdn = $1", msisdn) == GAINING
    card = await find_card(desk.borrowed, desk.card.part, desk.card.id)
    assert card is not None
    assert card.state.value == "ended"
    acts = [one.action for one in await list_records(desk.borrowed, f"port_out:{port.id}")]
    assert acts == ["complete_port_out", "start_port_out", "request_port_out"]


async def test_what_is_on_the_account_stays_owed(desk: PortDesk) -> None:
    await ledger.top_up(
        desk.borrowed,
        desk.clock.now(),
        actor=shop.STAFF,
        part=desk.card.part,
        account_id=desk.card.account_id,
        amount=FIVE,
        event="P1",
        memo="",
    )
    await desk.complete(await desk.get_pending(await desk.primary()))
    account = await ledger.find_account(desk.borrowed, desk.card.part, desk.card.account_id)
    assert account is not None
    assert (account.available, account.closed_at) == (FIVE, None)
    await desk.proved()


async def test_only_the_latest_pin_of_the_card_proves_and_only_in_its_time(desk: PortDesk) -> None:
    msisdn = await desk.primary()
    assert await desk.request(msisdn, "00000000") is PortRefusal.WRONG_PIN
    former = await desk.get_pin()
    latter = await desk.get_pin()
    other = await shop.sell(desk.borrowed)
    of_other = await desk.get_pin(other)
    assert await desk.request(msisdn, former) is PortRefusal.WRONG_PIN
    assert await desk.request(msisdn, of_other) is PortRefusal.WRONG_PIN
    desk.clock.move(TERMS.pin_life)
    assert await desk.request(msisdn, latter) is PortRefusal.WRONG_PIN
    fresh = await desk.get_pin()
    desk.clock.move(TERMS.pin_life - timedelta(seconds=1))
    assert isinstance(await desk.request(msisdn, fresh), PortOut)


async def test_wrong_pins_lock_the_card_and_a_new_pin_does_not_unlock_it(desk: PortDesk) -> None:
    msisdn = await desk.primary()
    await desk.get_pin()
    for _ in range(WRONG_MOST):
        assert await desk.request(msisdn, "nonsense") is PortRefusal.WRONG_PIN
    right = await desk.get_pin()
    assert await desk.request(msisdn, right) is PortRefusal.LOCKED
    desk.wait(hours=1)
    assert isinstance(await desk.request(msisdn, right), PortOut)


async def test_guesses_at_once_are_all_counted(desk: PortDesk, database: Database) -> None:
    msisdn = await desk.primary()
    await desk.get_pin()

    async def guess(_: int) -> object:
        async with connection(database.pool) as other:
            return await desk.request(msisdn, "nonsense", connection=other)

    outcomes = await asyncio.gather(*map(guess, range(20)))
    assert outcomes.count(PortRefusal.WRONG_PIN) == WRONG_MOST
    assert outcomes.count(PortRefusal.LOCKED) == 20 - WRONG_MOST


async def test_nothing_that_is_stored_tells_a_pin(desk: PortDesk) -> None:
    pin = await desk.get_pin()
    [row] = await desk.borrowed.fetch("SELECT port_pin::text FROM port_pin")
    [audit] = await desk.borrowed.fetch("SELECT string_agg(audit::text, '') FROM audit")
    assert pin not in row[0]
    assert pin not in audit[0]


async def test_a_repeat_gets_the_first_answer_and_another_number_under_it_is_refused(desk: PortDesk) -> None:
    msisdn, pin = await desk.primary(), await desk.get_pin()
    first = await desk.request(msisdn, pin, reference="same")
    assert isinstance(first, PortOut)
    desk.gates = NO_PORT_OUT
    assert await desk.request(msisdn, pin, reference="same") == first
    assert await desk.request(NOWHERE, pin, reference="same") is PortRefusal.CONFLICTING_REFERENCE


async def test_of_many_requests_at_once_one_is_taken(desk: PortDesk, database: Database) -> None:
    msisdn, pin = await desk.primary(), await desk.get_pin()

    async def request(number: int) -> object:
        async with connection(database.pool) as other:
            return await desk.request(msisdn, pin, connection=other, reference=f"at once {number % 4}")

    outcomes = await asyncio.gather(*map(request, range(12)))
    taken = {outcome.id for outcome in outcomes if isinstance(outcome, PortOut)}
    assert len(taken) == 1
    assert outcomes.count(PortRefusal.ALREADY_PORTING) == 9


async def test_a_closed_gate_refuses_requests_and_pins_and_lets_what_is_under_way_end(desk: PortDesk) -> None:
    msisdn, pin = await desk.primary(), await desk.get_pin()
    other = await shop.sell(desk.borrowed)
    port = await desk.get_requested(msisdn)
    desk.gates = NO_PORT_OUT
    closed = NO_PORT_OUT.closed[Capability.PORT_OUT]
    assert await desk.request((await desk.lines(other))[0].msisdn, pin) == closed
    assert await desk.issue_pin() == closed
    started = await desk.start(port)
    assert isinstance(started, PortOut)
    assert isinstance(await desk.complete(started), PortOut)


@pytest.mark.parametrize(
    ("gaining", "reference", "refusal"),
    [
        ("", "R", PortRefusal.BAD_OPERATOR),
        ("x" * 61, "R", PortRefusal.BAD_OPERATOR),
        ("a\nb", "R", PortRefusal.BAD_OPERATOR),
        ("rogue", "", PortRefusal.BAD_REFERENCE),
        ("rogue", "x" * 61, PortRefusal.BAD_REFERENCE),
        ("rogue", " x", PortRefusal.BAD_REFERENCE),
    ],
)
async def test_names_that_name_nobody_are_refused(
    desk: PortDesk, gaining: str, reference: str, refusal: PortRefusal
) -> None:
    assert await desk.request(await desk.primary(), gaining=gaining, reference=reference) is refusal


async def test_a_number_that_no_line_has_cannot_be_taken_along(desk: PortDesk) -> None:
    assert await desk.request(NOWHERE) is PortRefusal.UNKNOWN_NUMBER
    port = await desk.get_pending(await desk.primary())
    await desk.complete(port)
    assert await desk.request(port.msisdn) is PortRefusal.UNKNOWN_NUMBER
    assert await desk.issue_pin() is PortRefusal.CARD_ENDED


MOVES = {
    PortState.REQUESTED: {"start": PortState.PENDING, "complete": PortRefusal.NOT_PENDING},
    PortState.PENDING: {"start": PortRefusal.NOT_REQUESTED, "complete": PortState.COMPLETE},
}
OVER = {
    "start": PortRefusal.NOT_REQUESTED,
    "complete": PortRefusal.NOT_PENDING,
    "fail": PortRefusal.OVER,
    "cancel": PortRefusal.OVER,
}
TABLE = [
    *(
        (state, move, {**moves, "fail": PortState.FAILED, "cancel": PortState.CANCELLED}[move])
        for state, moves in MOVES.items()
        for move in OVER
    ),
    *(
        (state, move, refusal)
        for state in (PortState.COMPLETE, PortState.FAILED, PortState.CANCELLED)
        for move, refusal in OVER.items()
    ),
]


@pytest.mark.parametrize(("state", "move", "outcome"), TABLE)
async def test_every_move_from_every_state(
    desk: PortDesk, state: PortState, move: str, outcome: PortState | PortRefusal
) -> None:
    port = await desk.get_requested(await desk.primary())
    ways: dict[PortState, list[Any]] = {
        PortState.REQUESTED: [],
        PortState.PENDING: [desk.start],
        PortState.COMPLETE: [desk.start, desk.complete],
        PortState.FAILED: [desk.fail],
        PortState.CANCELLED: [desk.start, desk.cancel],
    }
    for go in ways[state]:
        assert isinstance(await go(port), PortOut)
    moved = await getattr(desk, move)(port)
    assert (moved.state if isinstance(moved, PortOut) else moved) is outcome
    await desk.proved()


async def test_a_port_out_that_nobody_asked_for_is_unknown(desk: PortDesk) -> None:
    port = await desk.get_requested(await desk.primary())
    await desk.borrowed.execute("UPDATE port_out SET id = id + 1")
    assert await desk.start(port) is PortRefusal.UNKNOWN_PORT


# While it is under way


async def test_neither_card_nor_line_nor_account_can_end_while_a_number_is_on_the_way(desk: PortDesk) -> None:
    second = await desk.add_line()
    line = next(line for line in await desk.lines() if line.msisdn == second)
    place: dict[str, Any] = {"part": line.part, "line_id": line.id, "limits": LIMITS}
    await ask_to_end_line(desk.borrowed, desk.clock.now(), actor=shop.STAFF, **place)
    port = await desk.get_requested(second)
    now = desk.clock.now()
    confirmed = await confirm_end_of_line(desk.borrowed, now, actor=shop.STAFF, **place)
    assert confirmed is LineRefusal.PORTING
    assert await ask_to_end_line(desk.borrowed, now, actor=shop.STAFF, **place) is LineRefusal.PORTING
    assert await end(desk) is CardRefusal.PORTING
    account = (desk.card.part, desk.card.account_id, now)
    assert not await ledger.close_account(desk.borrowed, *account)
    await desk.cancel(port)
    assert isinstance(await end(desk), Card)
    assert await ledger.close_account(desk.borrowed, *account)


async def test_a_port_out_that_failed_leaves_the_number_and_another_may_be_asked_for(desk: PortDesk) -> None:
    msisdn = await desk.primary()
    failed = await desk.fail(await desk.get_pending(msisdn), PortFailure.DISPUTED)
    assert isinstance(failed, PortOut)
    assert (failed.state, failed.failure) == (PortState.FAILED, PortFailure.DISPUTED)
    assert [line.porting_since for line in await desk.lines()] == [None]
    assert isinstance(await desk.request(msisdn), PortOut)


async def test_every_move_makes_the_nodes_forget_the_card(desk: PortDesk) -> None:
    async def moved() -> int:
        count: int = await desk.borrowed.fetchval("SELECT count(*) FROM change WHERE kind = 'card'")
        return count

    before = await moved()
    port = await desk.get_pending(await desk.primary())
    assert await moved() == before + 1
    await desk.complete(port)
    assert await moved() > before + 1


# A card whose primary number leaves


async def test_with_the_primary_number_goes_the_card_and_what_is_not_taken_along(desk: PortDesk) -> None:
    second = await desk.add_line()
    lines = await desk.lines()
    assert [line.msisdn for line in lost_with(lines[0], lines)] == [second]
    assert lost_with(lines[1], lines) == ()
    await desk.complete(await desk.get_pending(lines[0].msisdn))
    assert await desk.state_of(second) == "quarantined"
    card = await find_card(desk.borrowed, desk.card.part, desk.card.id)
    assert card is not None
    assert card.state.value == "ended"


@pytest.mark.parametrize("last", ["complete", "fail", "cancel"])
async def test_a_card_without_its_primary_number_waits_for_those_that_are_on_the_way(
    desk: PortDesk, last: str
) -> None:
    second = await desk.add_line()
    primary, secondary = await desk.get_pending(await desk.primary()), await desk.get_pending(second)
    lines = await desk.lines()
    assert lost_with(lines[0], lines) == ()
    await desk.complete(primary)
    assert [line.msisdn for line in await desk.lines()] == [second]
    assert isinstance(await getattr(desk, last)(secondary), PortOut)
    assert await desk.state_of(second) == ("ported" if last == "complete" else "quarantined")
    assert await desk.lines() == ()
    card = await find_card(desk.borrowed, desk.card.part, desk.card.id)
    assert card is not None
    assert card.state.value == "ended"


async def test_a_secondary_number_leaves_and_the_card_stays(desk: PortDesk) -> None:
    second = await desk.add_line()
    await desk.complete(await desk.get_pending(second))
    assert len(await desk.lines()) == 1
    assert await desk.state_of(second) == "ported"
    assert await desk.add_line() != second


# Time limits


VANCOUVER = ZoneInfo("America/Vancouver")


@pytest.mark.parametrize(
    ("requested", "by_reseller", "between_networks"),
    [
        ("2026-03-10 10:00", "2026-03-12 17:00", "2026-03-10 12:30"),
        ("2026-03-12 16:00", "2026-03-16 17:00", "2026-03-13 10:30"),
        ("2026-03-14 12:00", "2026-03-18 17:00", "2026-03-16 11:30"),
    ],
)
def test_a_port_out_is_due_by_the_rule_for_resellers_or_for_networks(
    requested: str, by_reseller: str, between_networks: str
) -> None:
    at, day, hours = (
        datetime.fromisoformat(text).replace(tzinfo=VANCOUVER)
        for text in (requested, by_reseller, between_networks)
    )
    assert due_at(TERMS, at) == day
    assert due_at(PortTerms(CALENDAR, involves_reseller=False), at) == hours


async def test_what_is_late_is_listed_until_it_is_over(desk: PortDesk) -> None:
    port = await desk.get_requested(await desk.primary())
    desk.clock.move_to(port.due_at)
    assert await store.list_late_ports(desk.borrowed, desk.clock.now()) == ()
    desk.wait(seconds=1)
    assert await store.list_late_ports(desk.borrowed, desk.clock.now()) == (port,)
    assert is_late(port, desk.clock.now())
    cancelled = await desk.cancel(port)
    assert isinstance(cancelled, PortOut)
    assert await store.list_late_ports(desk.borrowed, desk.clock.now()) == ()
    assert not is_late(cancelled, desk.clock.now())
