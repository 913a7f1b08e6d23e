"""Allowances and cash in sessions, on the real ledger, by several sessions and nodes at once."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import shop
from charging.desk import Desk, open_desk, run_other
from onecard.catalogue.model import UsageKind
from onecard.charging.allowances import Gift, GivenAllowance, give_allowance, list_given_allowances
from onecard.charging.model import Ask, Operation, Result
from onecard.database.pool import Database, connection, transaction
from onecard.values.phone import Country

INITIAL, UPDATE, TERMINATE = Operation.INITIAL, Operation.UPDATE, Operation.TERMINATE


async def give(desk: Desk, seconds: int, days: int = 30, *, countries: tuple[Country, ...] = ()) -> None:
    """Give seconds of calls out, and let the node hear of it."""
    gift = Gift(UsageKind.CALL_OUT, seconds, desk.clock.now() + timedelta(days=days), countries)
    async with transaction(desk.database.pool) as borrowed:
        given = await give_allowance(
            borrowed,
            desk.clock.now(),
            actor=shop.STAFF,
            part=desk.card.part,
            account_id=desk.card.account_id,
            gift=gift,
            event=f"gift of {seconds} for {days}",
        )
    assert isinstance(given, GivenAllowance), given
    desk.control.forget_account(desk.card.account_id)


async def left(desk: Desk) -> list[tuple[int, int]]:
    """What the allowances have available and held, the first to expire first."""
    async with connection(desk.database.pool) as borrowed:
        given = await list_given_allowances(borrowed, desk.card.part, desk.card.account_id)
    return [(each.available, each.held) for each in given]


async def test_the_allowance_that_expires_first_is_used_first_and_cash_last(database: Database) -> None:
    async with open_desk(database) as desk:
        await give(desk, 100, days=20)
        await give(desk, 50, days=10)
        await desk.call("s1", 0, INITIAL, Ask(wanted=200))
        assert await left(desk) == [(0, 50), (0, 100)]
        assert await desk.balance() == (940_000, 60_000)  # the first minute of a call is whole
        desk.clock.move(timedelta(seconds=70))
        await desk.say("s1", 1, TERMINATE, Ask(used=70))
        assert await left(desk) == [(0, 0), (80, 0)]
        assert await desk.balance() == (1_000_000, 0)
        [record] = await desk.records()
        assert (record["units"], record["allowance_units"], record["price_micros"]) == (70, 70, 0)
        await desk.proved()


async def test_sessions_at_once_share_an_allowance_and_never_use_it_twice(database: Database) -> None:
    async with open_desk(database, "0.20") as desk, run_other(desk) as other:
        await give(desk, 100)
        asked = [(desk, other)[place % 2].say(f"s{place}", 0, INITIAL, Ask(wanted=70)) for place in range(12)]
        answers = await asyncio.gather(*asked)
        granted = [sum(grant.units for grant in answer.grants) for answer in answers]
        [(available, held)] = await left(desk)
        assert (available, held) == (0, 100)
        cash, cash_held = await desk.balance()
        assert cash + cash_held == 200_000
        assert cash < 60_000
        desk.clock.move(timedelta(seconds=70))
        await asyncio.gather(
            *(
                (desk, other)[place % 2].say(f"s{place}", 1, TERMINATE, Ask(used=granted[place]))
                for place in range(12)
                if granted[place]
            )
        )
        records = await desk.records()
        assert sum(record["allowance_units"] for record in records) == 100
        assert sum(record["units"] for record in records) == sum(granted)
        assert sum(record["unpaid_micros"] for record in records) == 0
        assert await desk.balance() == (200_000 - sum(record["price_micros"] for record in records), 0)
        await desk.proved()


async def test_a_gift_in_mid_session_pays_for_what_is_reported_from_then_on(database: Database) -> None:
    async with open_desk(database) as desk:
        await desk.call("s1", 0, INITIAL, Ask(wanted=60))
        await give(desk, 1000)
        desk.clock.move(timedelta(seconds=60))
        await desk.call("s1", 1, UPDATE, Ask(used=60, wanted=60))
        assert (await left(desk), await desk.balance()) == ([(880, 60)], (1_000_000, 0))
        await desk.say("s1", 2, TERMINATE)
        assert await left(desk) == [(940, 0)]
        await desk.proved()


async def test_an_allowance_of_other_lines_does_not_pay(database: Database) -> None:
    async with open_desk(database) as desk:
        await give(desk, 1000, countries=(shop.CN,))
        await desk.call("s1", 0, INITIAL, Ask(wanted=60))
        assert await left(desk) == [(1000, 0)]
        answer = await desk.say("s2", 0, INITIAL, Ask(wanted=60), far="12583113912345678")
        assert answer.result is Result.SUCCESS
        assert await left(desk) == [(940, 60)]


async def test_an_allowance_that_expires_in_mid_session_pays_what_was_granted_and_no_more(
    database: Database,
) -> None:
    async with open_desk(database) as desk:
        await give(desk, 1000, days=1)
        desk.clock.move(timedelta(hours=23, minutes=59))
        await desk.call("s1", 0, INITIAL, Ask(wanted=120))
        desk.clock.move(timedelta(seconds=120))
        await desk.call("s1", 1, UPDATE, Ask(used=120, wanted=60))
        assert await left(desk) == [(880, 0)]
        assert await desk.balance() == (940_000, 60_000)
        desk.clock.move(timedelta(hours=3))
        assert await desk.control.expire() == 1
        assert await desk.balance() == (1_000_000, 0)
        await desk.proved()
