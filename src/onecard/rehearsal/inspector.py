"""Somebody who tries every gate: each by what it stands before, and without leaving a trace."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from onecard.cards.actions import activate_card, replace_sim
from onecard.catalogue.model import UsageKind
from onecard.charging.model import Ask, Operation, Result
from onecard.charging.subscriptions import subscribe
from onecard.ledger import name_event
from onecard.lines.actions import apply_for_line
from onecard.payments.actions import top_up_account
from onecard.payments.refunds.actions import request_refund
from onecard.payments.refunds.model import Wish
from onecard.portability.actions import issue_port_pin
from onecard.portability.returns import offer_numbers
from onecard.rehearsal.reckoning import must_be_closed
from onecard.rehearsal.residents import (
    FAR,
    FAR_OF_SLOT,
    LIMITS,
    Resident,
    charge,
    expect,
    pay_in,
    port_terms,
    settle_resident,
)
from onecard.rehearsal.world import AWAY, CAD, COOLING, HOME, PLAN_NAME, STAFF, World
from onecard.retention.actions import begin_purge
from onecard.retention.model import DataClass, Span
from onecard.sales.actions import sell_card
from onecard.values.gate import Capability, Closed
from onecard.values.money import Money

C = Capability
ACTOR = STAFF[0]


class _Undo(Exception):
    """What was tried is not to have happened."""


@dataclass(frozen=True, slots=True)
class Inspector:
    """Two cards of the inspector's own: one in use, with two lines and money, one that was never activated."""

    used: Resident
    fresh: Resident


async def send_inspector(world: World) -> Inspector:
    used = await settle_resident(world, secondary=True)
    fresh = await settle_resident(world, activated=False)
    for _ in range(3):
        await pay_in(world, used)
    return Inspector(used, fresh)


async def try_every_gate(world: World, inspector: Inspector) -> None:
    """Ask all at this very instant; what answers against the plan is noted."""
    for capabilities, attempt in ATTEMPTS.items():
        was_stopped = await attempt(world, inspector)
        expect(world, f"an attempt at {capabilities[0]}", was_stopped, *capabilities)
        world.counts["gates tried"] += 1
    await _call_for_help(world, inspector)
    await _ask_what_a_text_costs(world, inspector)


async def _dry(world: World, work: Callable[[], Awaitable[object]]) -> bool:
    """Do it, undo it, and say whether a gate stopped it; any other refusal is a fault of the rehearsal itself."""
    answer: object = None
    try:
        async with world.connection.transaction():
            answer = await work()
            raise _Undo
    except _Undo:
        pass
    assert isinstance(answer, Closed) or not type(answer).__name__.endswith("Refusal"), answer
    return isinstance(answer, Closed)


async def _sell(world: World, inspector: Inspector) -> bool:
    card = inspector.used.card
    return await _dry(
        world,
        lambda: sell_card(
            world.connection,
            world.at,
            actor=ACTOR,
            gates=world.gates,
            part=card.part,
            subscriber_id=card.subscriber_id,
            country=HOME,
        ),
    )


async def _activate(world: World, inspector: Inspector) -> bool:
    card = inspector.fresh.card
    return await _dry(
        world,
        lambda: activate_card(
            world.connection, world.at, actor=ACTOR, gates=world.gates, part=card.part, card_id=card.id
        ),
    )


async def _top_up(world: World, inspector: Inspector) -> bool:
    card = inspector.used.card
    return await _dry(
        world,
        lambda: top_up_account(
            world.connection,
            world.at,
            actor=ACTOR,
            gates=world.gates,
            part=card.part,
            account_id=card.account_id,
            amount=Money(10_000_000, CAD),
            event=f"inspection {world.at.isoformat()}",
        ),
    )


async def _take_plan(world: World, inspector: Inspector) -> bool:
    card = inspector.used.card
    return await _dry(
        world,
        lambda: subscribe(
            world.connection,
            world.at,
            actor=ACTOR,
            gates=world.gates,
            part=card.part,
            card_id=card.id,
            plan_name=PLAN_NAME,
            tariff=world.setting.tariff,
            zone=world.zone,
        ),
    )


async def _replace_sim(world: World, inspector: Inspector) -> bool:
    card = inspector.used.card
    return await _dry(
        world,
        lambda: replace_sim(
            world.connection, world.at, actor=ACTOR, gates=world.gates, part=card.part, card_id=card.id
        ),
    )


async def _apply(world: World, inspector: Inspector) -> bool:
    card = inspector.used.card
    return await _dry(
        world,
        lambda: apply_for_line(
            world.connection,
            world.at,
            actor=ACTOR,
            gates=world.gates,
            part=card.part,
            card_id=card.id,
            country=AWAY,
            limits=LIMITS,
            operator_time_zone=world.zone,
        ),
    )


async def _leave(world: World, inspector: Inspector) -> bool:
    card = inspector.used.card
    return await _dry(
        world,
        lambda: issue_port_pin(
            world.connection,
            world.at,
            actor=ACTOR,
            master=world.master,
            gates=world.gates,
            part=card.part,
            card_id=card.id,
            terms=port_terms(world.zone),
        ),
    )


async def _ask_back(world: World, inspector: Inspector) -> bool:
    card = inspector.used.card
    wish = Wish(card.account_id, name_event("inspection", world.at.isoformat()))
    return await _dry(
        world,
        lambda: request_refund(
            world.connection,
            world.at,
            actor=ACTOR,
            gates=world.gates,
            master=world.master,
            part=card.part,
            wish=wish,
            cooling_off=COOLING,
        ),
    )


async def _give_numbers_back(world: World, _: Inspector) -> bool:
    return await _dry(
        world,
        lambda: offer_numbers(
            world.connection,
            world.at,
            actor=ACTOR,
            gates=world.gates,
            holders={"+1604": "host"},
            holder="host",
        ),
    )


async def _destroy(world: World, _: Inspector) -> bool:
    """By the gate alone: that a stay stands before it too is asked elsewhere."""
    return await _dry(
        world,
        lambda: begin_purge(
            world.connection,
            world.at,
            actor=ACTOR,
            gates=world.gates,
            stayed=False,
            data_class=DataClass.CONTACTS,
            span=Span(timedelta(days=30), timedelta(days=365)),
        ),
    )


async def _use(world: World, inspector: Inspector, usage: UsageKind, slot: int = 0) -> bool:
    """Begin, and end with nothing used."""
    line = inspector.used.lines[slot]
    far = "" if usage is UsageKind.DATA else FAR_OF_SLOT[slot]
    world.counts["sessions of the inspector"] += 1
    session = f"inspection {world.counts['sessions of the inspector']}"
    begun = await charge(world, Operation.INITIAL, usage, line, far, session=session)
    if begun.result is Result.ENDED_BY_ORDER:
        return True
    assert begun.result is Result.SUCCESS, begun
    ended = await charge(
        world, Operation.TERMINATE, usage, line, far, Ask(used=0, wants=False), session=session
    )
    assert ended.result is Result.SUCCESS, ended
    return False


async def _call(world: World, inspector: Inspector) -> bool:
    return await _use(world, inspector, UsageKind.CALL_OUT)


async def _surf(world: World, inspector: Inspector) -> bool:
    return await _use(world, inspector, UsageKind.DATA)


async def _text(world: World, inspector: Inspector) -> bool:
    return await _use(world, inspector, UsageKind.TEXT)


async def _text_from_second(world: World, inspector: Inspector) -> bool:
    return await _use(world, inspector, UsageKind.TEXT, slot=1)


ATTEMPTS: dict[tuple[Capability, ...], Callable[[World, Inspector], Awaitable[bool]]] = {
    (C.SALE,): _sell,
    (C.ACTIVATION,): _activate,
    (C.TOP_UP,): _top_up,
    (C.PLAN_CHANGE,): _take_plan,
    (C.SIM_REPLACEMENT,): _replace_sim,
    (C.NEW_APPLICATION, C.SECONDARY_LINES): _apply,
    (C.VOICE,): _call,
    (C.DATA,): _surf,
    (C.TEXTS,): _text,
    (C.SECONDARY_LINES, C.TEXTS): _text_from_second,
    (C.PORT_OUT,): _leave,
    (C.REFUND,): _ask_back,
    (C.NUMBER_RETURN,): _give_numbers_back,
    (C.PURGE,): _destroy,
}
"""What is tried, by the gates before it. Renewals and what they cost are told by the journal, at the end."""


async def _call_for_help(world: World, inspector: Inspector) -> None:
    """An emergency call goes whatever has ended."""
    answer = await charge(world, Operation.INITIAL, UsageKind.CALL_OUT, inspector.used.lines[0], "911")
    if answer.result is not Result.NOT_APPLICABLE:
        world.find(f"an emergency call was answered {answer.result.value}")


async def _ask_what_a_text_costs(world: World, inspector: Inspector) -> None:
    answer = await charge(world, Operation.PRICE, UsageKind.TEXT, inspector.used.lines[0], FAR)
    is_free = must_be_closed(world.in_force, C.CHARGING, world.at)
    if answer.result is Result.SUCCESS and (answer.cost_micros == 0) != is_free:
        world.find(
            f"a text costs {answer.cost_micros} micros {'after' if is_free else 'before'} charging ended"
        )
