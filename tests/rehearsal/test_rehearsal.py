"""A plan is rehearsed by seeds: a seed tells one story, all goes by the plan, and what does not is found."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from onecard.database.migrations import migrate
from onecard.database.pool import Database, Pool, connection
from onecard.payments.bank.model import PaymentOrder
from onecard.rehearsal import run
from onecard.rehearsal.auditor import audit
from onecard.rehearsal.bank import Bank, Provider
from onecard.rehearsal.court import start_order
from onecard.rehearsal.inspector import send_inspector, try_every_gate
from onecard.rehearsal.place import PARTS
from onecard.rehearsal.residents import BAD_ACCOUNT, ask_for_refund, settle_everybody
from onecard.rehearsal.treasury import Treasury, work_a_day
from onecard.rehearsal.world import World, fill_stock, open_world
from onecard.values.gate import Capability
from onecard.winddown.model import Stay
from onecard.winddown.reading import PlanFile, read_plan
from winddown.plans import local, make_plan

READY = Path(__file__).parents[2] / "plans" / "cmlink-canada-2021.toml"
FILE = read_plan(READY.read_text(encoding="utf-8"))
EVE = datetime(2021, 11, 28, 5, tzinfo=UTC)
REFUNDS_BEGIN = datetime(2021, 12, 28, 5, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
async def pool(database: Database) -> Pool:
    async with connection(database.pool) as borrowed:
        await borrowed.executemany("INSERT INTO part VALUES ($1)", [(part,) for part in PARTS])
    return database.pool


async def play(pool: Pool, seed: int, file: PlanFile = FILE) -> run.Rehearsal:
    return await run.rehearse(pool, file, seed=seed, accounts=12, tell=lambda _: None)


@pytest.mark.parametrize("seed", range(1, 7))
async def test_a_plan_is_carried_out_whatever_happens(pool: Pool, seed: int) -> None:
    played = await play(pool, seed)
    assert played.findings == ()
    assert played.counts["closing statements"] == 1
    money = played.money
    assert money["paid_in"] + money["rounded"] == money["used"] + money["paid_out"] + money["owed"]
    assert money["paid_out"] > 0


async def test_a_plan_that_ends_with_the_purge_is_carried_out_too(pool: Pool) -> None:
    played = await play(pool, 7, PlanFile(make_plan(), ()))
    assert played.findings == ()
    assert "purge" in [name for _, name in played.boundaries]


async def test_the_same_seed_tells_the_same_story(pool: Pool, empty_database: Database) -> None:
    async with connection(empty_database.pool) as borrowed:
        await migrate(borrowed, now=EVE)
        await borrowed.executemany("INSERT INTO part VALUES ($1)", [(part,) for part in PARTS])
    assert await play(pool, 4) == await play(empty_database.pool, 4)


async def test_every_stage_that_comes_is_visited(pool: Pool) -> None:
    played = await play(pool, 1)
    names = {name for _, name in played.boundaries if not name.startswith("cut by the host")}
    assert names == {stage.name for stage in FILE.plan.stages}


async def test_a_plan_without_dates_is_not_rehearsed(pool: Pool) -> None:
    with pytest.raises(run.NothingToRehearse):
        await play(pool, 1, replace(FILE, stays=(Stay(local("2021-12-01")),)))


# What is wrong is found


@asynccontextmanager
async def begin(pool: Pool) -> AsyncIterator[World]:
    """A world on the eve of the first stage, whose order is started."""
    async with open_world(pool, 1, EVE, FILE.plan.time_zone) as world:
        await fill_stock(world, 20)
        yield world


async def test_a_gate_that_is_open_when_the_plan_closes_it_is_found(pool: Pool) -> None:
    async with begin(pool) as world:
        inspector = await send_inspector(world)
        await start_order(world, FILE)
        world.keeper.put_in_force(None)  # a node that has not heard of the order
        world.clock.move_to(REFUNDS_BEGIN)
        await try_every_gate(world, inspector)
        assert "an attempt at sale was let through against the plan" in world.findings[0]
        assert any("an attempt at refund was refused against the plan" in one for one in world.findings)
        assert len(world.findings) == 6


async def test_a_gate_that_is_closed_before_its_second_is_found(pool: Pool) -> None:
    async with begin(pool) as world:
        inspector = await send_inspector(world)
        await start_order(world, FILE)
        early = replace(FILE.plan.stages[0], at=local("2021-12-27T23:59:59"))
        plan = replace(FILE.plan, stages=(early, *FILE.plan.stages[1:]))
        world.keeper.put_in_force(PlanFile(plan, ()))
        world.clock.move_to(REFUNDS_BEGIN - timedelta(seconds=1))
        await try_every_gate(world, inspector)
        assert any("an attempt at top_up was refused against the plan" in one for one in world.findings)


class PaysTwice(Bank):
    """Pays each order a second time, as if it had been told to."""

    def _pay(self, orders: list[PaymentOrder], at: datetime) -> None:
        super()._pay(orders, at)
        for order in orders:
            self.paid[order.end_to_end_id].append(order.amount)


async def pay_everybody(world: World, bank: Bank) -> list[str]:
    residents = await settle_everybody(world, 5)
    await start_order(world, FILE)
    world.clock.move_to(REFUNDS_BEGIN)
    for resident in residents:
        await ask_for_refund(world, resident)
    provider = Provider(world.random, BAD_ACCOUNT)
    treasury = Treasury(bank, provider)
    while not treasury.bank.paid or treasury.is_busy:
        world.clock.move(DAY)
        await work_a_day(world, treasury, residents)
    await audit(world, [bank, provider], residents)
    return world.findings


async def test_a_payment_that_was_made_twice_is_found(pool: Pool) -> None:
    async with begin(pool) as world:
        findings = await pay_everybody(world, PaysTwice(world.random, BAD_ACCOUNT))
        assert any("times" in one for one in findings)
        assert any("the bank paid" in one for one in findings)
        assert any("are not" in one for one in findings)


async def test_money_that_was_lost_is_found(pool: Pool) -> None:
    async with begin(pool) as world:
        residents = await settle_everybody(world, 3)
        residents[0].paid_in_micros += 1
        await start_order(world, FILE)
        await audit(world, [], residents)
        [finding] = world.findings
        assert "paid in" in finding


async def test_money_that_moved_behind_a_closed_gate_is_found(pool: Pool) -> None:
    async with begin(pool) as world:
        await start_order(world, FILE)
        world.clock.move_to(REFUNDS_BEGIN)
        world.keeper.put_in_force(None)
        await settle_everybody(world, 3)
        world.findings.clear()
        await audit(world, [], [])
        assert any("a top_up was posted at" in one for one in world.findings)
        assert Capability.TOP_UP not in (world.keeper.at(world.at).closed)
