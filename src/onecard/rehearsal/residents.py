"""Synthetic subscribers: what they have, and what they do from day to day until the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from onecard.cards.actions import activate_card
from onecard.cards.model import Card
from onecard.catalogue.model import UsageKind
from onecard.charging.model import Answer, Ask, Operation, Request, Result
from onecard.charging.subscriptions import subscribe
from onecard.ledger import Account, name_event
from onecard.lines.actions import apply_for_line, decide_on_application
from onecard.lines.model import Application, Line, LineLimits, Verification
from onecard.lines.store import list_lines
from onecard.payments.actions import top_up_account
from onecard.payments.bank.model import Payee
from onecard.payments.payees import make_payee, parse_canadian_account
from onecard.payments.refunds.actions import request_refund
from onecard.payments.refunds.model import Refund, RefundRefusal, Wish
from onecard.portability.actions import complete_port_out, request_port_out, start_port_out
from onecard.portability.model import PortOut, PortTerms, Proof
from onecard.rehearsal.reckoning import any_must_be_closed, must_be_closed
from onecard.rehearsal.world import AWAY, CAD, HOME, PLAN_NAME, STAFF, World
from onecard.sales.actions import sell_card_to_newcomer
from onecard.subscribers.model import Contact
from onecard.values.business import BusinessCalendar
from onecard.values.gate import Capability, Closed
from onecard.values.hours import parse_hours
from onecard.values.language import Language
from onecard.values.money import Money
from onecard.values.phone import E164

C = Capability
LIMITS = LineLimits()
FAR = "6045550199"
FAR_OF_SLOT = (FAR, "+8613900001111")
BAD_ACCOUNT = "9999999"
"""The bank pays nothing to an account that ends so."""


@dataclass(slots=True)
class Resident:
    """A subscriber with one card. `paid_in_micros` is their own book, which nobody else writes."""

    card: Card
    lines: tuple[Line, ...]
    payee: Payee
    paid_in_micros: int = 0
    refund_ids: list[int] = field(default_factory=list)
    is_activated: bool = True
    is_gone: bool = False
    """They took their number along."""

    @property
    def number(self) -> E164:
        return self.lines[0].msisdn


def make_account(world: World, *, is_bad: bool) -> Payee:
    """Somebody's bank account; of some the bank knows nothing."""
    number = BAD_ACCOUNT if is_bad else f"{world.random.randrange(10**6):06d}0"
    return make_payee("A Subscriber", parse_canadian_account(f"004-12345-{number}"))


async def settle_resident(world: World, *, activated: bool = True, secondary: bool = False) -> Resident:
    """Sell a card to somebody new."""
    card = await sell_card_to_newcomer(
        world.connection,
        world.at,
        actor=STAFF[0],
        gates=world.gates,
        master=world.master,
        contact=Contact("A Subscriber", "subscriber@example.com", "1 Main Street"),
        language=world.random.choice(list(Language)),
        currency=CAD,
        country=HOME,
    )
    assert isinstance(card, Card), card
    if activated:
        await activate_card(
            world.connection, world.at, actor="onecard", gates=world.gates, part=card.part, card_id=card.id
        )
    if secondary:
        await _add_line(world, card)
    lines = await list_lines(world.connection, card.part, card.id)
    payee = make_account(world, is_bad=world.chance(0.1))
    return Resident(card, tuple(lines), payee, is_activated=activated)


async def _add_line(world: World, card: Card) -> None:
    applied = await apply_for_line(
        world.connection,
        world.at,
        actor=STAFF[0],
        gates=world.gates,
        part=card.part,
        card_id=card.id,
        country=AWAY,
        limits=LIMITS,
        operator_time_zone=world.zone,
    )
    assert isinstance(applied, Application), applied
    await decide_on_application(
        world.connection,
        world.at,
        actor=STAFF[0],
        gates=world.gates,
        part=card.part,
        application_id=applied.id,
        verification=Verification.MATCH,
    )


async def settle_everybody(world: World, accounts: int) -> list[Resident]:
    """Subscribers of every kind: with two lines, with a plan, never activated, with much and with nothing."""
    residents = []
    for _ in range(accounts):
        resident = await settle_resident(world, activated=world.chance(0.85), secondary=world.chance(0.3))
        if world.chance(0.9):
            await pay_in(world, resident)
        if resident.paid_in_micros and world.chance(0.3):
            await _subscribe(world, resident)
        residents.append(resident)
    return residents


async def _subscribe(world: World, resident: Resident) -> None:
    await subscribe(
        world.connection,
        world.at,
        actor=STAFF[0],
        gates=world.gates,
        part=resident.card.part,
        card_id=resident.card.id,
        plan_name=PLAN_NAME,
        tariff=world.setting.tariff,
        zone=world.zone,
    )


async def live_a_moment(world: World, resident: Resident) -> None:
    """One thing that a subscriber may want on a day."""
    wants = world.random.choices((text, pay_in, ask_for_refund, leave), (10, 3, 4, 1))[0]
    await wants(world, resident)


def expect(world: World, what: str, was_stopped: bool, *capabilities: Capability) -> None:
    """Whether the order stopped somebody must be as the plan says."""
    if was_stopped != any_must_be_closed(world.in_force, capabilities, world.at):
        world.find(f"{what} was {'refused' if was_stopped else 'let through'} against the plan")


async def pay_in(world: World, resident: Resident) -> None:
    """Somebody pays; their bank's reference is new each time."""
    micros = world.random.randrange(1, 6000) * 10_000
    world.counts["payments tried"] += 1
    answer = await top_up_account(
        world.connection,
        world.at,
        actor=STAFF[0],
        gates=world.gates,
        part=resident.card.part,
        account_id=resident.card.account_id,
        amount=Money(micros, CAD),
        event=f"payment {world.counts['payments tried']}",
    )
    expect(world, "a top-up", isinstance(answer, Closed), C.TOP_UP)
    if isinstance(answer, Account):
        resident.paid_in_micros += micros
        world.control.forget_account(resident.card.account_id)


async def text(world: World, resident: Resident) -> None:
    """A text from the first line, or the last."""
    if resident.is_gone:
        return
    line = world.random.choice((resident.lines[0], resident.lines[-1]))
    answer = await charge(world, Operation.DEBIT, UsageKind.TEXT, line, FAR_OF_SLOT[line.slot])
    second = () if line.is_primary else (C.SECONDARY_LINES,)
    first = () if resident.is_activated else (C.ACTIVATION,)
    expect_usage(world, "a text", answer, C.TEXTS, *second, *first)
    resident.is_activated |= answer.result is not Result.ENDED_BY_ORDER
    if answer.cost_micros and must_be_closed(world.in_force, C.CHARGING, world.at):
        world.find("a text was paid for after the end of charging")


async def charge(
    world: World,
    operation: Operation,
    usage: UsageKind,
    line: Line,
    far: str = "",
    *asks: Ask,
    session: str = "",
) -> Answer:
    world.counts["charging requests"] += 1
    return await world.control.answer(
        Request(
            session or f"session {world.counts['charging requests']}",
            0 if operation is not Operation.TERMINATE else 1,
            operation,
            usage,
            asks or (Ask(wanted=1),),
            line.msisdn,
            line=line.msisdn,
            far=far,
        )
    )


def expect_usage(world: World, what: str, answer: Answer, *capabilities: Capability) -> None:
    expect(world, what, answer.result is Result.ENDED_BY_ORDER, *capabilities)


async def ask_for_refund(world: World, resident: Resident) -> None:
    """All that is there, to their bank account; an impatient one asks twice."""
    event = name_event("rehearsal", f"{resident.card.id}:{len(resident.refund_ids)}")
    wish = Wish(resident.card.account_id, event, payee=resident.payee)
    for _ in range(world.random.choice((1, 1, 2))):
        answer = await request_refund(
            world.connection,
            world.at,
            actor=f"subscriber:{resident.card.subscriber_id}",
            gates=world.gates,
            master=world.master,
            part=resident.card.part,
            wish=wish,
        )
        expect(world, "a refund", isinstance(answer, Closed), C.REFUND)
        if isinstance(answer, Refund) and answer.id not in resident.refund_ids:
            resident.refund_ids.append(answer.id)
            world.counts["refunds requested"] += 1
            world.control.forget_account(resident.card.account_id)
        assert not isinstance(answer, RefundRefusal) or answer in EXPECTED, answer


EXPECTED = (RefundRefusal.NOTHING_TO_REFUND, RefundRefusal.ALREADY_OPEN)


def port_terms(zone: ZoneInfo) -> PortTerms:
    return PortTerms(BusinessCalendar(parse_hours("mon-fri 08:00-17:00"), zone.key))


async def leave(world: World, resident: Resident) -> None:
    """Take the first number to another operator; with two lines nobody does."""
    if resident.is_gone or len(resident.lines) > 1 or not resident.is_activated:
        return
    world.counts["port-outs tried"] += 1
    answer = await request_port_out(
        world.connection,
        world.at,
        actor="operator:other",
        master=world.master,
        gates=world.gates,
        msisdn=resident.number,
        gaining="other",
        reference=f"port {world.counts['port-outs tried']}",
        proof=Proof.SIGN_IN,
        terms=port_terms(world.zone),
    )
    expect(world, "a port-out", isinstance(answer, Closed), C.PORT_OUT)
    if isinstance(answer, PortOut):
        await _complete(world, resident, answer)


async def _complete(world: World, resident: Resident, port: PortOut) -> None:
    await start_port_out(world.connection, world.at, actor=STAFF[0], port_id=port.id)
    done = await complete_port_out(world.connection, world.at, actor=STAFF[0], port_id=port.id, limits=LIMITS)
    assert isinstance(done, PortOut), done
    resident.is_gone = True
    world.counts["numbers taken along"] += 1
    world.directory.forget(resident.card.id)
