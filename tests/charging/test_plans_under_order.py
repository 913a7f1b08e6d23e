"""Plans of a service that was ordered to stop: renewed for nothing first, and then not any more."""

from __future__ import annotations

from datetime import UTC, timedelta

import pytest

from charging.months import VANCOUVER, Months, open_months
from onecard.charging.periods import Subscription, SubscriptionState
from onecard.database.pool import Database, connection
from onecard.values.gate import Capability, Closed
from onecard.winddown.gatekeeper import Gatekeeper
from onecard.winddown.model import Stage
from onecard.winddown.reading import PlanFile
from winddown.plans import local, make_plan

FEES_END = Stage(
    "fees end",
    local("2027-03-31"),
    closes=frozenset({Capability.RENEWAL_FEE, Capability.PLAN_CHANGE}),
)
RENEWALS_END = Stage("renewals end", local("2027-05-15"), closes=frozenset({Capability.RENEWAL}))
GATES = Gatekeeper(PlanFile(make_plan(FEES_END, RENEWALS_END, zone=VANCOUVER), ())).at


async def records_of(months: Months) -> list[tuple[str, str | None]]:
    """What was written down of the card's plan since it was taken, with the stage it was for."""
    async with connection(months.database.pool) as borrowed:
        rows = await borrowed.fetch("SELECT action, detail FROM audit WHERE action LIKE '%plan%' ORDER BY id")
    return [(row["action"], row["detail"].get("stage")) for row in rows[1:]]


async def test_a_plan_is_renewed_for_nothing_until_renewals_end_and_ends_with_its_period(
    database: Database,
) -> None:
    months = await open_months(database, 100_000_000)
    months.gates = GATES
    await months.subscribe("Bridge")
    await months.pass_until(
        3, 30
    )  # the fee of the renewal on 28 February was taken; for 31 March none is held
    assert await months.money() == (8000, 0)
    await months.pass_until(5, 30)
    assert await months.money() == (8000, 0)
    assert [one.available for one in await months.allowances()] == [6000, 100]
    assert (await months.subscription()).state is SubscriptionState.ACTIVE
    await months.pass_until(5, 31)
    assert (await months.subscription()).state is SubscriptionState.ENDED
    assert await months.allowances() == []
    assert await months.notices() == [
        "plan_renews",
        "plan_renewed",
        "plan_renewed_free",
        "plan_renewed_free",
        "plan_stopped",
    ]
    assert await records_of(months) == [
        ("renew_plan_free", "fees end"),
        ("renew_plan_free", "fees end"),
        ("end_plan", "renewals end"),
    ]
    await months.proved()


async def test_a_fee_that_was_held_before_the_order_came_is_given_back(database: Database) -> None:
    months = await open_months(database, 100_000_000)
    await months.subscribe("Bridge")
    await months.pass_until(3, 30)
    assert await months.money() == (7000, 1000)
    months.gates = GATES
    await months.pass_until(3, 31)
    assert await months.money() == (8000, 0)
    await months.proved()


async def test_a_plan_that_had_lapsed_is_not_renewed_for_nothing(database: Database) -> None:
    months = await open_months(database, 20_000_000)
    months.gates = GATES
    await months.subscribe("Bridge", day=29)
    await months.pass_until(3, 30)
    assert (await months.subscription()).state is SubscriptionState.LAPSED
    await months.pass_until(4, 1)
    assert (await months.subscription()).state is SubscriptionState.ENDED
    assert (await months.notices())[-1] == "plan_ended"
    await months.proved()


async def test_no_plan_is_taken_or_changed_when_that_has_ended_but_one_may_be_cancelled(
    database: Database,
) -> None:
    months = await open_months(database, 100_000_000)
    months.gates = GATES
    await months.subscribe("Bridge")
    await months.pass_until(3, 31)
    closed = GATES(months.clock.now()).closed[Capability.PLAN_CHANGE]
    assert await months.change("Small") == closed
    assert isinstance(await months.cancel(at_once=True), Subscription)
    assert await months.subscribe("Small") == closed


@pytest.mark.parametrize("seconds", [-1, 0])
async def test_the_gate_of_plans_closes_at_its_second(database: Database, seconds: int) -> None:
    months = await open_months(database, 100_000_000)
    months.gates = GATES
    boundary = FEES_END.at.replace(tzinfo=VANCOUVER).astimezone(UTC)
    months.clock.move_to(boundary + timedelta(seconds=seconds))
    outcome = await months.subscribe("Bridge")
    assert isinstance(outcome, Closed if seconds == 0 else Subscription)
