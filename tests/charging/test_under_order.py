"""Sessions of a service that was ordered to stop: none outlives its gate, and usage is free once charging has ended."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from charging.desk import NOON, Desk, open_desk
from charging.test_allowances_in_sessions import give, left
from onecard.catalogue.model import UsageKind
from onecard.charging.model import Answer, Ask, Operation, Result
from onecard.database.pool import Database
from onecard.values.gate import Capability
from onecard.winddown.model import Stage
from onecard.winddown.reading import PlanFile
from winddown.plans import GREENWICH, make_plan

INITIAL, UPDATE, TERMINATE = Operation.INITIAL, Operation.UPDATE, Operation.TERMINATE
C = Capability
TEN_MINUTES = timedelta(minutes=10)


@asynccontextmanager
async def open_under_order(
    database: Database, *closes: Capability, after: timedelta = TEN_MINUTES, balance: str = "1.00"
) -> AsyncIterator[Desk]:
    """A desk; the gates close so long after noon."""
    stage = Stage("the end", (NOON + after).replace(tzinfo=None), closes=frozenset(closes))
    async with open_desk(database, balance) as desk:
        desk.keeper.put_in_force(PlanFile(make_plan(stage, zone=GREENWICH), ()))
        yield desk


def results(answer: Answer) -> list[tuple[Result, int]]:
    return [(grant.result, grant.units) for grant in answer.grants]


async def test_no_grant_is_good_for_longer_than_its_gate_is_open(database: Database) -> None:
    async with open_under_order(database, C.VOICE) as desk:
        call = await desk.say("call", 0, INITIAL, Ask(wanted=900))
        data = await desk.say("data", 0, INITIAL, Ask(10), usage=UsageKind.DATA)
        assert [grant.valid_seconds for grant in (*call.grants, *data.grants)] == [600, 3600]


async def test_a_session_is_settled_and_granted_nothing_once_its_gate_has_closed(database: Database) -> None:
    async with open_under_order(database, C.VOICE) as desk:
        await desk.say("s1", 0, INITIAL, Ask(wanted=600))
        desk.clock.move(TEN_MINUTES)
        assert desk.control.sessions_ended_by_order() == ("s1",)
        update = await desk.say("s1", 1, UPDATE, Ask(used=600, wanted=600))
        assert results(update) == [(Result.ENDED_BY_ORDER, 0)]
        assert await desk.balance() == (400_000, 0)
        assert (await desk.say("s1", 2, TERMINATE)).result is Result.SUCCESS
        assert desk.control.sessions_ended_by_order() == ()
        await desk.proved()


async def test_no_session_is_opened_once_its_gate_has_closed(database: Database) -> None:
    async with open_under_order(database, C.VOICE) as desk:
        desk.clock.move(TEN_MINUTES - timedelta(seconds=1))
        assert (await desk.say("s1", 0, INITIAL, Ask(wanted=60))).result is Result.SUCCESS
        desk.clock.move(timedelta(seconds=1))
        for operation in (INITIAL, Operation.DEBIT, Operation.PRICE, Operation.BALANCE):
            refused = await desk.say(f"late {operation}", 0, operation, Ask(wanted=60))
            assert (refused.result, refused.stage) == (Result.ENDED_BY_ORDER, "the end")
        given_back = await desk.say("back", 0, Operation.REFUND, Ask(wanted=60))
        assert given_back.result is Result.SUCCESS
        await desk.proved()


async def test_only_the_sessions_of_secondary_lines_end_with_them(database: Database) -> None:
    async with open_under_order(database, C.SECONDARY_LINES) as desk:
        await desk.say("primary", 0, INITIAL, Ask(wanted=60))
        await desk.say("secondary", 0, INITIAL, Ask(wanted=60), far="12583113800138000")
        desk.clock.move(TEN_MINUTES)
        assert desk.control.sessions_ended_by_order() == ("secondary",)


async def test_what_is_used_after_charging_has_ended_is_free_and_the_record_names_the_stage(
    database: Database,
) -> None:
    async with open_under_order(database, C.CHARGING) as desk:
        answer = await desk.say("s1", 0, INITIAL, Ask(wanted=900))
        [grant] = answer.grants
        assert grant.change_at == NOON + TEN_MINUTES
        desk.clock.move(TEN_MINUTES + timedelta(minutes=5))
        await desk.say("s1", 1, TERMINATE, Ask(used=900, used_after_change=300))
        assert await desk.balance() == (400_000, 0)
        [record] = await desk.records()
        assert record["price_micros"] == 600_000
        assert [piece["units"] for piece in record["explanation"]["pieces"]] == [600, 300]
        assert "the end of 2026-04-01: call_out" in record["explanation"]["pieces"][1]["price"]
        await desk.proved()


@pytest.mark.parametrize("balance", ["0.05", "1.00"])
async def test_usage_needs_no_balance_and_uses_no_allowance_once_charging_has_ended(
    database: Database, balance: str
) -> None:
    async with open_under_order(database, C.CHARGING, after=timedelta(0), balance=balance) as desk:
        await give(desk, 100)
        before = await desk.balance()
        assert await desk.call("s1", 0, INITIAL, Ask(wanted=900)) == [(900, False)]
        desk.clock.move(TEN_MINUTES)
        await desk.say("s1", 1, TERMINATE, Ask(used=600))
        assert await desk.balance() == before
        assert await left(desk) == [(100, 0)]
        await desk.proved()


async def test_an_allowance_that_was_held_is_used_for_what_came_before_charging_ended(
    database: Database,
) -> None:
    async with open_under_order(database, C.CHARGING) as desk:
        await give(desk, 1000)
        await desk.call("s1", 0, INITIAL, Ask(wanted=900))
        assert await left(desk) == [(100, 900)]
        desk.clock.move(TEN_MINUTES)
        await desk.call("s1", 1, UPDATE, Ask(used=600, wanted=900))
        assert await left(desk) == [(400, 0)]
        await desk.say("s1", 2, TERMINATE, Ask(used=0))
        await desk.proved()


@pytest.mark.parametrize("far", ["911", "112", "125831120"])
async def test_an_emergency_call_needs_no_control_without_money_and_whatever_has_ended(
    database: Database, far: str
) -> None:
    async with open_under_order(database, *C, after=timedelta(0), balance="0.01") as desk:
        answer = await desk.say("s1", 0, INITIAL, Ask(wanted=600), far=far)
        assert answer == Answer(Result.NOT_APPLICABLE)
        assert await desk.balance() == (10_000, 0)


async def test_an_emergency_call_of_a_card_that_is_none_of_ours_is_let_go_too(database: Database) -> None:
    async with open_desk(database) as desk:
        stranger = await desk.say("s1", 0, INITIAL, Ask(), far="911", msisdn="+16045559999")
        assert stranger.result is Result.NOT_APPLICABLE
