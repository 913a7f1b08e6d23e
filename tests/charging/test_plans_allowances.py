"""Allowances: given once, used before cash, ended when nobody uses them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

import shop
from charging.desk import NOON, Desk, open_desk
from onecard.catalogue.model import UsageKind
from onecard.charging.allowances import (
    AllowanceRefusal,
    Gift,
    GivenAllowance,
    end_expired_allowances,
    give_allowance,
    list_given_allowances,
)
from onecard.charging.model import Answer, Ask, Operation, Result
from onecard.database.pool import Database, connection

INITIAL, UPDATE, TERMINATE = Operation.INITIAL, Operation.UPDATE, Operation.TERMINATE
TOMORROW, NEXT_WEEK = NOON + timedelta(days=1), NOON + timedelta(days=7)


async def give(
    desk: Desk,
    units: int,
    *,
    until: datetime = NEXT_WEEK,
    event: str = "gift 1",
    usage: UsageKind = UsageKind.CALL_OUT,
    overage: bool = True,
) -> GivenAllowance | AllowanceRefusal:
    async with connection(desk.database.pool) as borrowed, borrowed.transaction():
        given = await give_allowance(
            borrowed,
            desk.clock.now(),
            actor=shop.STAFF,
            part=desk.card.part,
            account_id=desk.card.account_id,
            gift=Gift(usage, units, until, overage=overage),
            event=event,
        )
    desk.control.forget_account(desk.card.account_id)  # as the tail of changes does
    return given


async def left(desk: Desk) -> Sequence[tuple[int, int]]:
    """Available and held of each allowance, in the order in which they are used."""
    async with connection(desk.database.pool) as borrowed:
        found = await list_given_allowances(borrowed, desk.card.part, desk.card.account_id)
    return [(one.available, one.held) for one in found]


async def end(desk: Desk) -> int:
    async with connection(desk.database.pool) as borrowed:
        return await end_expired_allowances(borrowed, desk.card.part, desk.clock.now())


async def test_a_gift_is_given_once_for_its_reference(database: Database) -> None:
    async with open_desk(database) as desk:
        assert await give(desk, 60) == await give(desk, 60)
        assert await give(desk, 61) is AllowanceRefusal.CONFLICTING_EVENT
        assert await left(desk) == [(60, 0)]
        await desk.proved()


async def test_the_same_gift_from_two_sides_at_once_is_one(database: Database) -> None:
    async with open_desk(database) as desk:
        await asyncio.gather(*(give(desk, 60) for _ in range(4)))
        assert await left(desk) == [(60, 0)]
        await desk.proved()


async def test_a_gift_that_makes_no_sense_is_refused(database: Database) -> None:
    async with open_desk(database) as desk:
        assert await give(desk, 0) is AllowanceRefusal.BAD_UNITS
        assert await give(desk, 60, until=NOON) is AllowanceRefusal.EXPIRED_ALREADY
        assert await left(desk) == []


async def test_a_call_uses_what_expires_first_then_the_rest_then_cash(database: Database) -> None:
    async with open_desk(database) as desk:
        await give(desk, 100, event="later")
        await give(desk, 60, until=TOMORROW, event="sooner")
        [grant] = (await desk.say("s1", 0, INITIAL, Ask(wanted=300))).grants
        assert grant.units == 300
        assert await left(desk) == [(0, 60), (0, 100)]
        assert (await desk.account()).held.micros == 140_000
        desk.clock.move(timedelta(seconds=200))
        done = await desk.say("s1", 1, TERMINATE, Ask(used=200))
        assert done.cost_micros == 60_000  # 40 s beyond, in a first block of 60
        assert await left(desk) == [(0, 0), (0, 0)]
        assert (await desk.account()).available.micros == 940_000
        await desk.proved()


async def test_what_a_call_did_not_use_is_there_again(database: Database) -> None:
    async with open_desk(database) as desk:
        await give(desk, 300)
        await desk.say("s1", 0, INITIAL, Ask(wanted=300))
        desk.clock.move(timedelta(seconds=30))
        await desk.say("s1", 1, TERMINATE, Ask(used=30))
        assert await left(desk) == [(270, 0)]
        assert (await desk.account()).available.micros == 1_000_000
        await desk.proved()


async def test_a_call_ends_with_an_allowance_that_cash_may_not_follow(database: Database) -> None:
    async with open_desk(database) as desk:
        await give(desk, 100, overage=False)
        [grant] = (await desk.say("s1", 0, INITIAL, Ask(wanted=300))).grants
        assert (grant.units, grant.is_last) == (100, True)
        desk.clock.move(timedelta(seconds=100))
        [grant] = (await desk.say("s1", 1, UPDATE, Ask(used=100, wanted=300))).grants
        assert grant.result is Result.CREDIT_EXHAUSTED
        await desk.say("s1", 2, TERMINATE)
        assert await desk.say("s2", 0, INITIAL, Ask(wanted=60)) == Answer(Result.CREDIT_EXHAUSTED)
        desk.clock.move_to(NEXT_WEEK)
        [grant] = (await desk.say("s3", 0, INITIAL, Ask(wanted=60))).grants
        assert grant.units == 60
        assert (await desk.account()).held.micros == 60_000
        await desk.proved()


async def test_an_allowance_of_texts_or_of_other_lines_pays_no_call(database: Database) -> None:
    async with open_desk(database) as desk:
        await give(desk, 300, usage=UsageKind.TEXT)
        await desk.say("s1", 0, INITIAL, Ask(wanted=300))
        assert await left(desk) == [(300, 0)]


async def test_what_is_left_at_the_end_leaves_the_ledger_and_the_account_is_closed(
    database: Database,
) -> None:
    async with open_desk(database) as desk:
        given = await give(desk, 300, until=TOMORROW)
        assert isinstance(given, GivenAllowance)
        assert await end(desk) == 0
        desk.clock.move_to(TOMORROW)
        assert await end(desk) == 1
        assert await end(desk) == 0
        assert await left(desk) == []
        row = await database.pool.fetchrow(
            "SELECT available, held, closed_at FROM account WHERE id = $1", given.unit_account_id
        )
        assert row is not None
        assert tuple(row) == (0, 0, TOMORROW)
        await desk.proved()


async def test_what_a_call_holds_is_settled_before_its_allowance_ends(database: Database) -> None:
    async with open_desk(database) as desk:
        await give(desk, 500, until=NOON + timedelta(seconds=120))
        await desk.say("s1", 0, INITIAL, Ask(wanted=300))
        desk.clock.move(timedelta(seconds=150))
        assert await end(desk) == 0
        assert await left(desk) == [(200, 300)]
        await desk.say("s1", 1, TERMINATE, Ask(used=150))
        assert await end(desk) == 1
        assert (await desk.account()).available.micros == 1_000_000
        await desk.proved()


async def test_a_node_that_remembers_an_allowance_that_has_ended_lets_cash_pay(database: Database) -> None:
    async with open_desk(database) as desk:
        await give(desk, 500)
        await desk.say("s1", 0, INITIAL, Ask(wanted=60))
        await desk.say("s1", 1, TERMINATE, Ask())
        await database.pool.execute("UPDATE allowance SET expires_at = $1", NOON)
        assert await end(desk) == 1
        [grant] = (await desk.say("s2", 0, INITIAL, Ask(wanted=60))).grants
        assert grant.units == 60
        assert (await desk.account()).held.micros == 60_000
        await desk.proved()
