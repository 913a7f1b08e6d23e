"""Numbers go back to whose range they are of, and every number is accounted for."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

import shop
from onecard.database.pool import Database, connection
from onecard.legal_holds.actions import add_hold, lift_hold
from onecard.legal_holds.model import LegalHold, LegalHoldRefusal
from onecard.lines.model import NumberState
from onecard.lines.store import list_numbers
from onecard.portability import returns
from onecard.portability.model import NumberReturn, ReturnRefusal
from onecard.portability.return_store import list_numbers_of_return, list_returns
from onecard.portability.rules import holder_of
from onecard.sales.actions import end_card
from onecard.values.gate import NO_ORDER, Capability, Closed, Gates
from onecard.values.phone import E164
from portability.desk import LIMITS, PortDesk

OPEN = Gates({})
HOLDERS = {"+1604": "host", "+86": "cn-home", "+86138001380": "cn-other"}


async def offer(desk: PortDesk, holder: str, gates: Gates = OPEN) -> NumberReturn | ReturnRefusal | Closed:
    return await returns.offer_numbers(
        desk.borrowed, desk.clock.now(), actor=shop.STAFF, gates=gates, holders=HOLDERS, holder=holder
    )


async def get_offered(desk: PortDesk, holder: str) -> NumberReturn:
    offered = await offer(desk, holder)
    assert isinstance(offered, NumberReturn), offered
    return offered


async def confirm(
    desk: PortDesk, return_id: int, transferred_to: str | None = None
) -> NumberReturn | ReturnRefusal:
    return await returns.confirm_return(
        desk.borrowed,
        desk.clock.now(),
        actor=shop.STAFF,
        return_id=return_id,
        transferred_to=transferred_to,
    )


async def end(desk: PortDesk) -> None:
    await end_card(
        desk.borrowed,
        desk.clock.now(),
        actor=shop.STAFF,
        part=desk.card.part,
        card_id=desk.card.id,
        limits=LIMITS,
    )


@pytest.mark.parametrize(
    ("msisdn", "holder"),
    [
        ("+16045550100", "host"),
        ("+8613900138000", "cn-home"),
        ("+8613800138001", "cn-other"),
        ("+85291234567", None),
    ],
)
def test_the_longest_prefix_names_the_holder(msisdn: str, holder: str | None) -> None:
    assert holder_of(E164(msisdn), HOLDERS) == holder


async def test_a_holder_is_offered_its_free_numbers_and_takes_them_back(desk: PortDesk) -> None:
    offered = await get_offered(desk, "host")
    numbers = await list_numbers_of_return(desk.borrowed, offered.id)
    assert len(numbers) == offered.count == 4  # one of five is on the card
    assert await desk.primary() not in numbers
    assert await desk.state_of(numbers[0]) == "returning"
    assert await offer(desk, "host") is ReturnRefusal.NOTHING_TO_RETURN
    confirmed = await confirm(desk, offered.id)
    assert isinstance(confirmed, NumberReturn)
    assert confirmed.confirmed_by == shop.STAFF
    assert await list_returns(desk.borrowed) == (confirmed,)
    gone = await list_numbers(desk.borrowed, state=NumberState.RETURNED)
    assert {(number.msisdn, number.gone_to) for number in gone} == {(number, "host") for number in numbers}
    assert await confirm(desk, offered.id) is ReturnRefusal.CONFIRMED_ALREADY
    assert await confirm(desk, 99) is ReturnRefusal.UNKNOWN_RETURN
    assert await offer(desk, "nobody") is ReturnRefusal.UNKNOWN_HOLDER


async def test_a_number_in_quarantine_goes_back_when_it_has_rested(desk: PortDesk) -> None:
    primary = await desk.primary()
    await get_offered(desk, "host")
    await end(desk)
    desk.clock.move(timedelta(days=LIMITS.quarantine_days) - timedelta(seconds=1))
    assert await offer(desk, "host") is ReturnRefusal.NOTHING_TO_RETURN
    desk.wait(seconds=1)
    offered = await get_offered(desk, "host")
    assert await list_numbers_of_return(desk.borrowed, offered.id) == (primary,)


async def test_numbers_given_to_another_operator_say_to_whom(desk: PortDesk) -> None:
    offered = await get_offered(desk, "cn-other")
    await confirm(desk, offered.id, transferred_to="successor")
    gone = await list_numbers(desk.borrowed, state=NumberState.TRANSFERRED)
    assert {number.gone_to for number in gone} == {"successor"}
    assert len(gone) == offered.count


async def test_a_closed_gate_or_a_legal_hold_keeps_the_numbers(desk: PortDesk) -> None:
    closed = await offer(desk, "host", NO_ORDER)
    assert isinstance(closed, Closed)
    assert closed.capability is Capability.NUMBER_RETURN
    now = desk.clock.now()
    hold = await add_hold(desk.borrowed, now, actor=shop.STAFF, reason="T-1502-21")
    assert isinstance(hold, LegalHold)
    assert await offer(desk, "host") is ReturnRefusal.LEGAL_HOLD
    asked = await lift_hold(desk.borrowed, now, actor=shop.STAFF, hold_id=hold.id)
    assert isinstance(asked, LegalHold)
    assert asked.lifted_at is None
    assert await offer(desk, "host") is ReturnRefusal.LEGAL_HOLD
    again = await lift_hold(desk.borrowed, now, actor=shop.STAFF, hold_id=hold.id)
    assert again is LegalHoldRefusal.SAME_PERSON
    lifted = await lift_hold(desk.borrowed, now, actor="staff:bob", hold_id=hold.id)
    assert isinstance(lifted, LegalHold)
    assert lifted.lifted_by == "staff:bob"
    assert isinstance(await offer(desk, "host"), NumberReturn)
    after = await lift_hold(desk.borrowed, now, actor="staff:bob", hold_id=hold.id)
    assert after is LegalHoldRefusal.LIFTED_ALREADY
    assert await lift_hold(desk.borrowed, now, actor="x", hold_id=9) is LegalHoldRefusal.UNKNOWN_HOLD
    for reason in ("", " ", "x" * 201, "a\nb"):
        added = await add_hold(desk.borrowed, now, actor=shop.STAFF, reason=reason)
        assert added is LegalHoldRefusal.BAD_REASON


async def test_two_lists_at_once_share_no_number(desk: PortDesk, database: Database) -> None:
    async def one() -> NumberReturn | ReturnRefusal | Closed:
        async with connection(database.pool) as other:
            return await offer(PortDesk(other, desk.clock, desk.card), "host")

    outcomes = await asyncio.gather(one(), one(), one())
    assert outcomes.count(ReturnRefusal.NOTHING_TO_RETURN) == 2
    account = await returns.account_for_numbers(desk.borrowed)
    assert account.is_balanced


# The account


async def test_the_whole_end_of_the_numbers_balances_at_every_step(desk: PortDesk) -> None:
    async def balanced() -> dict[NumberState, int]:
        account = await returns.account_for_numbers(desk.borrowed)
        assert account.is_balanced, account
        assert account.count == account.imported == 15
        return {**account.totals.get(shop.CA, {})}

    await balanced()
    second = await desk.add_line()
    await balanced()
    port = await desk.get_pending(second)
    await balanced()
    await desk.complete(port)
    await end(desk)
    assert (await balanced())[NumberState.QUARANTINED] == 1
    desk.wait(days=LIMITS.quarantine_days)
    for holder in ("host", "cn-other"):
        offered = await get_offered(desk, holder)
        await balanced()
        await confirm(desk, offered.id)
    assert await balanced() == {NumberState.RETURNED: 5}
    account = await returns.account_for_numbers(desk.borrowed)
    assert account.totals[shop.CN] == {NumberState.PORTED: 1, NumberState.RETURNED: 9}


SPOILT = {
    "assigned, but on no active line": "UPDATE line SET state = 'ended'",
    "on an active line, but not assigned to its card": (
        "UPDATE number SET state = 'free', part = NULL, card_id = NULL WHERE state = 'assigned'"
    ),
    "ported, but by no port-out that is complete": (
        "UPDATE number SET state = 'ported', gone_to = 'x', gone_at = imported_at WHERE msisdn = '+16045550103'"
    ),
    "returned or transferred, but on no list that was confirmed": (
        "UPDATE number SET state = 'returned', gone_to = 'x', gone_at = imported_at, return_id = 7 "
        "WHERE msisdn = '+16045550103'"
    ),
}


@pytest.mark.parametrize("what", SPOILT)
async def test_a_number_that_two_records_do_not_agree_on_is_named(desk: PortDesk, what: str) -> None:
    await desk.borrowed.execute(SPOILT[what])
    account = await returns.account_for_numbers(desk.borrowed)
    assert not account.is_balanced
    [difference] = [one for one in account.differences if one.what == what]
    assert difference.count == 1
    assert difference.examples


async def test_a_number_that_vanished_shows_in_the_count(desk: PortDesk) -> None:
    await desk.borrowed.execute("DELETE FROM number WHERE msisdn = '+16045550104'")
    account = await returns.account_for_numbers(desk.borrowed)
    assert (account.count, account.imported, account.is_balanced) == (14, 15, False)


@given(st.from_regex(r"\+[1-9][0-9]{6,13}", fullmatch=True))
def test_every_number_has_one_holder_or_none(msisdn: str) -> None:
    holder = holder_of(E164(msisdn), HOLDERS)
    assert (holder is None) == (not msisdn.startswith(tuple(HOLDERS)))
