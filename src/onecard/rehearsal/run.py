"""Carry a plan out from its eve to the end of the last refund, one seed after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, time, timedelta

from onecard.charging.subscriptions import renew_due
from onecard.database.pool import Pool
from onecard.rehearsal.auditor import Money, audit
from onecard.rehearsal.bank import Bank, Provider
from onecard.rehearsal.closing import close, reconcile_books, record_balances
from onecard.rehearsal.court import Turn, draw_turns, lift_if_stayed, start_order
from onecard.rehearsal.inspector import Inspector, send_inspector, try_every_gate
from onecard.rehearsal.place import PARTS
from onecard.rehearsal.residents import BAD_ACCOUNT, Resident, live_a_moment, settle_everybody
from onecard.rehearsal.treasury import Treasury, work_a_day
from onecard.rehearsal.world import World, fill_stock, open_world
from onecard.values.gate import Capability
from onecard.winddown.reading import PlanFile
from onecard.winddown.rules import date_stages, to_instant, to_local

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
EVE = 30 * DAY
"""So long before the first stage it begins."""
SPARE_SIMS = 5
ACTS_A_DAY = 0.1
"""Of all subscribers, so many do something on a day."""
LIVELY = 60 * DAY
"""After so long without a stage, nobody wants anything new."""
STAYED_MOST = 120 * DAY
"""A stay without an end is lifted by then."""
AFTERWARDS_MOST = 300 * DAY
"""By then every refund is through, or one is stuck."""


class NothingToRehearse(ValueError):
    """No stage of the plan has a date."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What became of one seed."""

    seed: int
    began: datetime
    ended: datetime
    boundaries: tuple[tuple[datetime, str], ...]
    """The stages that came, each visited a second before, at its second, and a second after."""
    counts: Mapping[str, int]
    money: Mapping[str, int]
    """In micros: paid in, used, paid out, rounded, owed."""
    findings: tuple[str, ...]
    """One sentence each; none: all went by the plan."""


@dataclass(slots=True)
class _Stage:
    """Where one rehearsal stands."""

    world: World
    inspector: Inspector
    residents: list[Resident]
    treasury: Treasury
    turns: list[Turn]
    last_came: datetime
    has_snapshot: bool
    boundaries: list[tuple[datetime, str]]


def begin_of(file: PlanFile) -> datetime:
    """When the rehearsal of a plan begins; raises NothingToRehearse."""
    first = date_stages(file.plan, file.stays)[0].instant
    if first is None:
        raise NothingToRehearse("no stage of the plan has a date: there is nothing to rehearse")
    return first - EVE


async def rehearse(
    pool: Pool, file: PlanFile, *, seed: int, accounts: int, tell: Callable[[datetime], None]
) -> Rehearsal:
    """Carry a plan out on a database that has only its tables; `tell` is called with each day that passes."""
    began = begin_of(file)
    async with open_world(pool, seed, began, file.plan.time_zone) as world:
        stage = await _set_up(world, file, accounts)
        while not _is_over(stage):
            await _go_on(stage)
            tell(world.at)
        money = await _end(stage)
        return _close(seed, began, stage, money)


async def _end(stage: _Stage) -> Money:
    everybody = [*stage.residents, stage.inspector.used, stage.inspector.fresh]
    banks = (stage.treasury.bank, stage.treasury.provider)
    money = await audit(stage.world, banks, everybody)
    if stage.has_snapshot:
        await close(stage.world, banks, everybody, money)
    return money


async def _set_up(world: World, file: PlanFile, accounts: int) -> _Stage:
    await fill_stock(world, accounts + 2 + SPARE_SIMS)
    inspector = await send_inspector(world)
    residents = await settle_everybody(world, accounts)
    await start_order(world, file)
    treasury = Treasury(Bank(world.random, BAD_ACCOUNT), Provider(world.random, BAD_ACCOUNT))
    turns = draw_turns(world, file)
    return _Stage(world, inspector, residents, treasury, turns, world.at, has_snapshot=False, boundaries=[])


def _is_over(stage: _Stage) -> bool:
    """When no stage is to come, and everybody who asked was paid."""
    at = stage.world.at
    if stage.world.gates.until is not None or stage.turns or _is_stayed(stage.world):
        return False
    if at - stage.last_came > AFTERWARDS_MOST:
        stage.world.find("a refund is still on its way, long after the last stage")
        return True
    return at - stage.last_came > LIVELY and not stage.treasury.is_busy


def _is_stayed(world: World) -> bool:
    assert world.in_force is not None
    return any(one.instant is None for one in date_stages(world.in_force.plan, world.in_force.stays))


async def _go_on(stage: _Stage) -> None:
    """To the next stage, or the next noon, whichever is first."""
    world = stage.world
    quiet = world.at - stage.last_came > LIVELY and not stage.treasury.is_busy
    noon = _next_noon(world)
    comes = world.gates.until
    if comes is not None and comes - SECOND <= noon:
        await _visit(stage, comes)
        return
    world.clock.move_to(noon)
    await _live_a_day(stage, is_quiet=quiet)


def _next_noon(world: World) -> datetime:
    tomorrow = to_local(world.at, world.zone).date() + DAY
    return to_instant(datetime.combine(tomorrow, time(12)), world.zone)


async def _visit(stage: _Stage, comes: datetime) -> None:
    """Ask every gate one second before a stage, at its second, and one second after."""
    world = stage.world
    for instant in (comes - SECOND, comes, comes + SECOND):
        world.clock.move_to(max(instant, world.at))
        await try_every_gate(world, stage.inspector)
    assert world.in_force is not None
    dated = date_stages(world.in_force.plan, world.in_force.stays)
    stage.boundaries += [(comes, one.stage.name) for one in dated if one.instant == comes]
    stage.last_came = comes


async def _live_a_day(stage: _Stage, *, is_quiet: bool) -> None:
    world = stage.world
    await _turn(stage)
    for part in PARTS:
        await renew_due(world.pool, part, world.setting.tariff, world.zone, world.at, gates=world.keeper.at)
    acts = 0 if is_quiet else max(3, int(len(stage.residents) * ACTS_A_DAY))
    for _ in range(acts):
        await live_a_moment(world, world.random.choice(stage.residents))
    await work_a_day(world, stage.treasury, stage.residents)
    if not stage.has_snapshot and world.gates.is_open(Capability.REFUND):
        stage.has_snapshot = await record_balances(world)
    if world.chance(0.1):
        await reconcile_books(world)


async def _turn(stage: _Stage) -> None:
    """Let what is due happen to the order; a stay that nobody lifts is lifted in the end."""
    world = stage.world
    while stage.turns and stage.turns[0].at <= world.at:
        await stage.turns.pop(0).happen(world)
        await try_every_gate(world, stage.inspector)
    if _is_stayed(world) and (world.chance(0.03) or world.at - stage.last_came > STAYED_MOST):
        await lift_if_stayed(world)


def _close(seed: int, began: datetime, stage: _Stage, money: Money) -> Rehearsal:
    world = stage.world
    return Rehearsal(
        seed,
        began,
        world.at,
        tuple(stage.boundaries),
        dict(sorted(world.counts.items())),
        asdict(money),
        tuple(world.findings),
    )
