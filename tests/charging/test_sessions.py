"""Sessions: reserve, extend, settle, release, on the real ledger."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import shop
from charging.desk import open_desk
from onecard.cards.model import CardState
from onecard.cards.store import find_card
from onecard.catalogue.model import HOME, Rate, UsageKind
from onecard.charging.model import Answer, Ask, Operation, Result
from onecard.charging.store import purge_sessions
from onecard.database.pool import Database, connection

INITIAL, UPDATE, TERMINATE = Operation.INITIAL, Operation.UPDATE, Operation.TERMINATE


async def test_a_call_is_reserved_extended_and_settled(database: Database) -> None:
    async with open_desk(database) as desk:
        first = await desk.say("s1", 0, INITIAL, Ask(wanted=300))
        assert [(grant.units, grant.is_last) for grant in first.grants] == [(300, False)]
        account = await desk.account()
        assert (account.available.micros, account.held.micros) == (700_000, 300_000)
        desk.clock.move(timedelta(seconds=300))
        await desk.say("s1", 1, UPDATE, Ask(used=300, wanted=300))
        desk.clock.move(timedelta(seconds=95))
        last = await desk.say("s1", 2, TERMINATE, Ask(used=95))
        assert last.cost_micros == 395_000
        account = await desk.account()
        assert (account.available.micros, account.held.micros) == (605_000, 0)
        await desk.proved()


async def test_a_grant_shrinks_to_what_can_be_paid_and_says_that_it_is_the_last(database: Database) -> None:
    async with open_desk(database, "0.10") as desk:
        [grant] = (await desk.say("s1", 0, INITIAL, Ask(wanted=300))).grants
        assert (grant.units, grant.is_last) == (100, True)
        desk.clock.move(timedelta(seconds=100))
        [grant] = (await desk.say("s1", 1, UPDATE, Ask(used=100, wanted=300))).grants
        assert (grant.result, grant.units) == (Result.CREDIT_EXHAUSTED, 0)
        assert (await desk.say("s2", 0, INITIAL, Ask(wanted=60))) == Answer(Result.CREDIT_EXHAUSTED)
        await desk.say("s1", 2, TERMINATE)
        account = await desk.account()
        assert (account.available.micros, account.held.micros) == (0, 0)
        await desk.proved()


async def test_a_repeated_request_gets_the_first_answer_and_charges_nothing(database: Database) -> None:
    async with open_desk(database) as desk:
        first = await desk.say("s1", 0, INITIAL, Ask(wanted=300))
        assert await desk.say("s1", 0, INITIAL, Ask(wanted=300)) == first
        assert (await desk.account()).held.micros == 300_000
        await desk.proved()


async def test_sessions_at_once_never_reserve_more_than_there_is(database: Database) -> None:
    async with open_desk(database) as desk:
        answers = await asyncio.gather(*(desk.say(f"s{n}", 0, INITIAL, Ask(wanted=300)) for n in range(10)))
        granted = sum(grant.units for answer in answers for grant in answer.grants)
        account = await desk.account()
        assert account.available.micros == 1_000_000 - account.held.micros
        assert granted * 1000 == account.held.micros == 1_000_000
        await desk.proved()


async def test_a_session_that_falls_silent_gives_back_what_it_held(database: Database) -> None:
    async with open_desk(database) as desk:
        await desk.say("s1", 0, INITIAL, Ask(wanted=300))
        desk.clock.move(timedelta(hours=2))
        assert await desk.control.expire() == 1
        account = await desk.account()
        assert (account.available.micros, account.held.micros) == (1_000_000, 0)
        answer = await desk.say("s1", 1, UPDATE, Ask(used=10))
        assert answer == Answer(Result.UNKNOWN_SESSION)


async def test_rating_groups_of_one_session_share_one_balance(database: Database) -> None:
    async with open_desk(database, "0.05") as desk:
        first = await desk.say(
            "d1", 0, INITIAL, Ask(1, wanted=3_000_000), Ask(2, wanted=3_000_000), usage=UsageKind.DATA
        )
        assert [(grant.rating_group, grant.units) for grant in first.grants] == [
            (1, 3_000_000),
            (2, 2_000_000),
        ]
        done = await desk.say(
            "d1", 1, TERMINATE, Ask(1, used=1_000_000), Ask(2, used=2_000_000), usage=UsageKind.DATA
        )
        assert done.cost_micros == 30_000
        await desk.proved()


async def test_an_event_is_debited_once_priced_and_given_back(database: Database) -> None:
    async with open_desk(database) as desk:
        price = await desk.say("e0", 0, Operation.PRICE, Ask(wanted=2), usage=UsageKind.TEXT)
        assert price.cost_micros == 100_000
        for _ in range(2):
            await desk.say("e1", 0, Operation.DEBIT, Ask(wanted=2), usage=UsageKind.TEXT)
        assert (await desk.account()).available.micros == 900_000
        await desk.say("e2", 0, Operation.REFUND, Ask(wanted=2), usage=UsageKind.TEXT)
        assert (await desk.account()).available.micros == 1_000_000
        await desk.proved()


async def test_sessions_that_are_long_over_are_forgotten_and_open_ones_are_kept(database: Database) -> None:
    async with open_desk(database) as desk:
        await desk.say("over", 0, INITIAL, Ask(wanted=60))
        await desk.say("over", 1, TERMINATE)
        await desk.say("open", 0, INITIAL, Ask(wanted=60))
        async with connection(database.pool) as borrowed:
            part, soon = desk.card.part, desk.clock.now() + timedelta(seconds=1)
            assert await purge_sessions(borrowed, part, desk.clock.now()) == 0
            assert await purge_sessions(borrowed, part, soon) == 1
            assert await borrowed.fetchval("SELECT array_agg(id) FROM charging_session") == ["open"]


async def test_the_first_call_activates_the_card(database: Database) -> None:
    async with open_desk(database) as desk:
        await desk.say("s1", 0, INITIAL, Ask(wanted=60))
        async with connection(database.pool) as borrowed:
            card = await find_card(borrowed, desk.card.part, desk.card.id)
        assert card is not None
        assert (desk.card.state, card.state) == (CardState.SOLD, CardState.ACTIVE)


async def test_a_card_that_comes_to_another_network_is_rated_there_from_then_on(database: Database) -> None:
    at_home = Rate(UsageKind.DATA, shop.CA, 10_000, 1_000_000, zone=HOME)
    in_china = Rate(UsageKind.DATA, shop.CA, 50_000, 1_000_000, zone="china")
    megabyte, data = 1_000_000, UsageKind.DATA
    async with open_desk(database, rates=(at_home, in_china)) as desk:
        await desk.say("d1", 0, INITIAL, Ask(1, wanted=megabyte), usage=data)
        desk.clock.move(timedelta(minutes=1))
        moved = Ask(1, used=megabyte, wanted=megabyte)
        answer = await desk.say("d1", 1, UPDATE, moved, usage=data, network="46000")
        assert answer.cost_micros == 10_000, "what was used at home has the price of home"
        desk.clock.move(timedelta(minutes=1))
        answer = await desk.say("d1", 2, TERMINATE, Ask(1, used=megabyte), usage=data, network="46000")
        assert answer.cost_micros == 60_000
        await desk.proved()
