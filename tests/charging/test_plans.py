"""Whole lives of plans on the real ledger, under a clock that is moved."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

import shop
from charging.months import BRIDGE, PLANS, open_months, tariff_of
from onecard.catalogue.model import Tariff, UsageKind
from onecard.charging.periods import Subscription, SubscriptionState
from onecard.charging.subscriptions import PlanRefusal
from onecard.database.pool import Database, connection
from onecard.lines.model import LineLimits
from onecard.sales.actions import end_card

ACTIVE, LAPSED, ENDED = SubscriptionState.ACTIVE, SubscriptionState.LAPSED, SubscriptionState.ENDED


async def test_a_plan_of_the_31st_lives_through_short_months_and_a_clock_change(database: Database) -> None:
    months = await open_months(database, 100_000_000)
    begun = await months.subscribe("Bridge")
    assert isinstance(begun, Subscription)
    assert await months.money() == (9000, 0)
    days = []
    for month, day in ((2, 28), (3, 31), (4, 30), (5, 31)):
        days.append((await months.subscription()).renews_on)
        await months.pass_until(month, day)
    assert days == [date(2027, 2, 28), date(2027, 3, 31), date(2027, 4, 30), date(2027, 5, 31)]
    assert await months.money() == (5000, 0)
    assert [(one.gift.usage, one.available) for one in await months.allowances()] == [
        (UsageKind.CALL_OUT, 6000),
        (UsageKind.TEXT, 100),
    ]
    assert await months.notices() == ["plan_renews", "plan_renewed"] * 4
    await months.proved()


async def test_a_first_month_that_is_cut_short_costs_its_days_part(database: Database) -> None:
    months = await open_months(database, 100_000_000)
    await months.subscribe("Bridge", day=10)  # 31 January to 10 February: 10 of 31 days
    assert await months.money() == (9677, 0)
    assert [one.available for one in await months.allowances()] == [1936, 33]
    await months.pass_until(2, 10)
    assert await months.money() == (8677, 0)
    await months.proved()


async def test_free_months_cost_nothing_and_are_not_announced(database: Database) -> None:
    months = await open_months(database, 10_000_000)
    await months.subscribe("Welcome")
    await months.pass_until(3, 30)
    assert await months.money() == (1000, 0)
    assert await months.notices() == ["plan_renewed", "plan_renews"]
    await months.pass_until(3, 31)
    assert await months.money() == (600, 0)


async def test_many_nodes_at_once_renew_a_plan_once(database: Database) -> None:
    months = await open_months(database, 100_000_000)
    await months.subscribe("Bridge")
    await months.pass_until(4, 30, nodes=4)
    assert await months.money() == (6000, 0)
    assert len(await months.allowances()) == 2
    assert await months.notices() == ["plan_renews", "plan_renewed"] * 3
    await months.proved()


async def test_the_fee_is_held_aside_before_the_renewal_and_used_by_it(database: Database) -> None:
    months = await open_months(database, 22_000_000)
    await months.subscribe("Bridge")
    await months.pass_until(2, 25)
    assert await months.money() == (1200, 0)
    await months.pass_until(2, 26)
    assert await months.money() == (200, 1000)
    await months.pass_until(2, 28)
    assert await months.money() == (200, 0)
    await months.proved()


async def test_a_fee_that_rose_meanwhile_is_paid_from_what_is_held_and_the_rest(database: Database) -> None:
    months = await open_months(database, 22_000_000)
    await months.subscribe("Bridge")
    await months.pass_until(2, 26)
    months.tariff = tariff_of(replace(BRIDGE, fee_micros=11_500_000))
    await months.pass_until(2, 28)
    assert await months.money() == (50, 0)
    await months.proved()


async def test_a_plan_that_cannot_be_paid_lapses_is_tried_daily_and_renewed_for_the_days_left(
    database: Database,
) -> None:
    months = await open_months(database, 10_000_000)
    await months.subscribe("Bridge")
    await months.pass_until(2, 28)
    assert (await months.subscription()).state is LAPSED
    assert await months.allowances() == []
    await months.pass_until(3, 2)
    await months.top_up(10_000_000)
    await months.pass_until(3, 4)
    renewed = await months.subscription()
    assert (renewed.state, renewed.renews_on, renewed.period) == (ACTIVE, date(2027, 3, 31), 2)
    assert await months.money() == (96, 0)  # 28 of 31 days: the 3rd is the first on which it could pay
    assert await months.notices() == ["plan_renews", "plan_not_renewed", "plan_renewed"]
    await months.proved()


async def test_a_lapsed_plan_ends_after_seven_days(database: Database) -> None:
    months = await open_months(database, 10_000_000)
    await months.subscribe("Bridge")
    await months.pass_until(3, 6)
    assert (await months.subscription()).state is LAPSED
    await months.pass_until(3, 8)
    assert (await months.subscription()).state is ENDED
    assert await months.notices() == ["plan_renews", "plan_not_renewed", "plan_ended"]
    assert isinstance(await months.subscribe("Small"), PlanRefusal)
    await months.top_up(5_000_000)
    assert isinstance(await months.subscribe("Small"), Subscription)
    await months.proved()


async def test_another_plan_begins_with_the_next_period(database: Database) -> None:
    months = await open_months(database, 30_000_000)
    await months.subscribe("Bridge")
    await months.pass_until(2, 27)
    assert await months.money() == (1000, 1000)
    await months.change("Small")
    assert await months.money() == (2000, 0)
    assert [one.gift.usage for one in await months.allowances()] == [UsageKind.CALL_OUT, UsageKind.TEXT]
    await months.pass_until(2, 28)
    await months.work()
    assert await months.money() == (1600, 0)
    assert [one.gift.usage for one in await months.allowances()] == [UsageKind.DATA]
    changed = await months.subscription()
    assert (changed.plan, changed.next_plan) == ("Small", None)
    await months.proved()


async def test_a_cancelled_plan_ends_with_its_period_and_gives_back_what_was_held(database: Database) -> None:
    months = await open_months(database, 30_000_000)
    await months.subscribe("Bridge")
    await months.pass_until(2, 27)
    await months.cancel()
    assert await months.money() == (2000, 0)
    assert len(await months.allowances()) == 2
    await months.pass_until(3, 1)
    assert await months.money() == (2000, 0)
    assert (await months.subscription()).state is ENDED
    assert await months.allowances() == []
    await months.proved()


async def test_who_thinks_better_of_it_keeps_the_plan_and_the_fee_is_held_again(database: Database) -> None:
    months = await open_months(database, 30_000_000)
    await months.subscribe("Bridge")
    await months.pass_until(2, 27)
    await months.cancel()
    await months.change("Bridge")
    await months.work()
    assert await months.money() == (1000, 1000)
    await months.pass_until(2, 28)
    assert await months.money() == (1000, 0)
    await months.proved()


async def test_a_plan_cancelled_at_once_takes_its_allowances_along(database: Database) -> None:
    months = await open_months(database, 30_000_000)
    await months.subscribe("Bridge")
    await months.cancel(at_once=True)
    await months.work()
    assert await months.allowances() == []
    assert await months.cancel() is PlanRefusal.NOT_SUBSCRIBED
    await months.proved()


async def test_the_plan_of_a_card_that_ended_ends_and_gives_back_what_was_held(database: Database) -> None:
    months = await open_months(database, 30_000_000)
    await months.subscribe("Bridge")
    await months.pass_until(2, 27)
    async with connection(database.pool) as borrowed:
        card, at = months.card, months.clock.now()
        await end_card(borrowed, at, actor=shop.STAFF, part=card.part, card_id=card.id, limits=LineLimits())
    await months.pass_until(2, 28)
    assert await months.money() == (2000, 0)
    assert (await months.subscription()).state is ENDED


async def test_who_has_a_plan_keeps_it_when_it_is_no_longer_sold(database: Database) -> None:
    months = await open_months(database, 30_000_000)
    await months.subscribe("Bridge")
    newer = tariff_of(PLANS[1], since=months.clock.now())
    months.tariff = Tariff((*newer.books, *months.tariff.books))
    await months.pass_until(2, 28)
    assert (await months.subscription()).plan == "Bridge"
    assert await months.change("Bridge") is PlanRefusal.UNKNOWN_PLAN


@pytest.mark.parametrize(
    ("plan", "balance", "refusal"),
    [
        ("Bridge", 9_999_999, PlanRefusal.CREDIT_EXHAUSTED),
        ("Nothing", 10_000_000, PlanRefusal.UNKNOWN_PLAN),
    ],
)
async def test_a_plan_that_cannot_be_had_changes_nothing(
    database: Database, plan: str, balance: int, refusal: PlanRefusal
) -> None:
    months = await open_months(database, balance)
    assert await months.subscribe(plan) is refusal
    assert await months.allowances() == []
    assert await database.pool.fetchval("SELECT count(*) FROM subscription") == 0
    await months.proved()


async def test_a_card_has_one_plan(database: Database) -> None:
    months = await open_months(database, 30_000_000)
    await months.subscribe("Bridge")
    assert await months.subscribe("Small") is PlanRefusal.ALREADY_SUBSCRIBED


async def test_a_node_that_was_away_for_months_charges_for_none_of_them(database: Database) -> None:
    months = await open_months(database, 100_000_000)
    await months.subscribe("Bridge")
    months.clock.move(timedelta(days=100))
    await months.work()
    await months.work()
    renewed = await months.subscription()
    assert (renewed.renews_on, renewed.period) == (date(2027, 5, 31), 4)
    assert await months.money() == (9000 - 1000 * 20 // 31 - 1, 0)
    await months.proved()
