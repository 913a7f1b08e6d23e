"""What happens to the order itself: it is stayed and goes on, it is extended, the host operator cuts early."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from onecard.rehearsal.world import STAFF, World
from onecard.winddown import actions
from onecard.winddown.model import CUT_BY_THE_HOST, Extension, HostCut, LocalTime, Stay, Version
from onecard.winddown.reading import PlanFile
from onecard.winddown.rules import AmendmentRefusal, date_stages, to_local
from onecard.winddown.writing import write_plan

DAY = timedelta(days=1)
NO_DOCUMENT_YET = "0" * 64
"""Stands for the hash of an order whose document is not at hand: a rehearsal may come before it."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Something that comes to pass on a day."""

    at: datetime
    happen: Callable[[World], Awaitable[None]]


async def start_order(world: World, file: PlanFile) -> None:
    """Draft the plan as the first version, approve it by two, start it."""
    document = file.plan.order.document_sha256 or NO_DOCUMENT_YET
    plan = replace(file.plan, version=1, order=replace(file.plan.order, document_sha256=document))
    text = write_plan(replace(file, plan=plan))
    await _agree(world, await actions.draft_plan(world.connection, world.at, actor=STAFF[0], text=text))
    started = await actions.start(world.connection, world.at, actor=STAFF[0])
    assert isinstance(started, Version), started
    await world.reload_order()


async def _agree(world: World, proposed: Version | actions.Refusal) -> None:
    assert isinstance(proposed, Version), proposed
    for actor in STAFF[:2]:
        approved = await actions.approve_version(
            world.connection, world.at, actor=actor, number=proposed.number
        )
        assert isinstance(approved, Version), approved
    world.counts[f"versions: {proposed.kind}"] += 1
    await world.reload_order()


def draw_turns(world: World, file: PlanFile) -> list[Turn]:
    """What comes to pass, by the seed, between the first stage and the last."""
    come = [one.instant for one in date_stages(file.plan, file.stays) if one.instant is not None]
    first, last = come[0] - 10 * DAY, come[-1]
    drawn = [(0.6, _stay), (0.5, _cut), (0.4, _extend), (0.3, _stay)]
    turns = [Turn(_between(world, first, last), happen) for chance, happen in drawn if world.chance(chance)]
    return sorted(turns, key=lambda turn: turn.at)


def _between(world: World, first: datetime, last: datetime) -> datetime:
    return first + world.random.random() * (last - first)


def _now(world: World) -> LocalTime:
    return to_local(world.at, world.zone)


async def _stay(world: World) -> None:
    """Of the whole order or of one stage, with an end or without; who stays it without lifts it later."""
    assert world.in_force is not None
    names = [stage.name for stage in world.in_force.plan.stages]
    stages = frozenset({world.random.choice(names)}) if world.chance(0.4) else frozenset()
    until = _now(world) + world.random.randrange(3, 60) * DAY
    stay = Stay(_now(world), until if world.chance(0.4) else None, stages)
    await _agree(world, await actions.stay_order(world.connection, world.at, actor=STAFF[0], stay=stay))


async def lift_if_stayed(world: World) -> None:
    """One of those that have no end yet, now."""
    assert world.in_force is not None
    endless = [stay for stay in world.in_force.stays if stay.until is None and stay.since < _now(world)]
    if not endless:
        return
    lifted = await actions.lift(
        world.connection, world.at, actor=STAFF[0], until=_now(world) + DAY, since=endless[0].since
    )
    await _agree(world, lifted)


async def _cut(world: World) -> None:
    """The host operator says it in time, too late, or only when it has done it."""
    days = world.random.choice((-1, 1, 3, 10))
    cut = world.random.sample(sorted(CUT_BY_THE_HOST), world.random.randrange(1, 4))
    at = _now(world) + days * DAY
    amendment = HostCut(at, frozenset(cut), min(at, _now(world)).date())
    await _agree(world, await actions.amend(world.connection, world.at, actor=STAFF[0], amendment=amendment))


async def _extend(world: World) -> None:
    extension = Extension(_now(world), world.random.randrange(1, 40) * DAY)
    proposed = await actions.amend(world.connection, world.at, actor=STAFF[0], amendment=extension)
    if proposed is not AmendmentRefusal.NOTHING_TO_MOVE:
        await _agree(world, proposed)
