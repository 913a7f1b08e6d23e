"""Synthetic subscribers: what they have, and what they do from day to day until the end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from onecard.cards.actions import activate_card
from onecard.cards.model import Card, CardPayment
from onecard.catalogue.model import UsageKind
from onecard.charging.model import Answer, Ask, Operation, Request, Result
from onecard.charging.subscriptions import subscribe
from onecard.ledger import Account, find_account, name_event
from onecard.lines.actions import apply_for_line, decide_on_application
from onecard.lines.model import Application, Line, LineLimits, Verification
from onecard.lines.store import list_lines
from onecard.payments.actions import top_up_account
from onecard.payments.bank.model import Payee
from onecard.payments.payees import make_payee, parse_canadian_account
from onecard.payments.refunds.actions import request_refund
from onecard.payments.refunds.cards import request_refund_of_card
from onecard.payments.refunds.model import Refund, RefundedValue, RefundRefusal, Wish
from onecard.payments.sides.actions import decide_dispute, dispute, give_promotional_credit, pay_in_deposit
from onecard.payments.sides.model import DisputeOutcome, SideAccount, SideRefusal
from onecard.portability.actions import complete_port_out, request_port_out, start_port_out
from onecard.portability.model import PortOut, PortTerms, Proof
from onecard.rehearsal.reckoning import any_must_be_closed, must_be_closed
from onecard.rehearsal.world import AWAY, CAD, COOLING, HOME, PLAN_NAME, STAFF, World
from onecard.sales.actions import sell_card_to_newcomer
from onecard.subscribers.model import Contact
from onecard.values.business import BusinessCalendar
from onecard.values.gate import Capability, Closed
from onecard.values.hours import parse_hours
from onecard.values.language import Language
from onecard.values.money import Money
from onecard.values.phone import E164

C, V = Capability, RefundedValue
CARD_PRICE = Money(25_000_000, CAD)
LIMITS = LineLimits()
FAR = "6045550199"
FAR_OF_SLOT = (FAR, "+8613900001111")
BAD_ACCOUNT = "9999999"
"""The bank pays nothing to an account that ends so."""


@dataclass(slots=True)
class Resident:
    """A subscriber with one card, and their own book of what they paid and were given, which nobody else writes."""

    card: Card
    lines: tuple[Line, ...]
    payee: Payee
    card_price_micros: int = 0
    is_card_owed: bool = False
    """They asked for the price of the card, which was never of use to them."""
    paid_in_micros: int = 0
    given_micros: int = 0
    deposit_micros: int = 0
    disputed_micros: int = 0
    """Of the deposit and the dispute, as they were at first; `paid_in_micros` has both."""
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
    world.counts["cards sold"] += 1
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
        payment=CardPayment(CARD_PRICE, "visa", f"card {world.counts['cards sold']}"),
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
    return Resident(card, tuple(lines), payee, CARD_PRICE.micros, is_activated=activated)


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
        await _set_aside(world, resident)
        residents.append(resident)
    return residents


async def _set_aside(world: World, resident: Resident) -> None:
    """Of some a deposit, of some a dispute over what they paid, to some a present."""
    cash = await find_account(world.connection, resident.card.part, resident.card.account_id)
    assert cash is not None
    if world.chance(0.2):
        resident.deposit_micros = await _move_aside(world, resident, pay_in_deposit, 50_000_000)
        resident.paid_in_micros += resident.deposit_micros
    if cash.available_micros > 1_000_000 and world.chance(0.2):
        resident.disputed_micros = await _move_aside(world, resident, dispute, cash.available_micros // 3)
    if world.chance(0.15):
        resident.given_micros = await _move_aside(world, resident, give_promotional_credit, 5_000_000)


async def _move_aside(
    world: World, resident: Resident, move: Callable[..., Awaitable[SideAccount | SideRefusal]], micros: int
) -> int:
    moved = await move(
        world.connection,
        world.at,
        actor=STAFF[0],
        part=resident.card.part,
        account_id=resident.card.account_id,
        amount=Money(micros, CAD),
        event=f"set aside {resident.card.id}",
    )
    assert isinstance(moved, SideAccount), moved
    world.control.forget_account(resident.card.account_id)
    return micros


async def decide_on_dispute(world: World, resident: Resident) -> None:
    """It is theirs after all, or whoever had paid it in got it back."""
    outcome = world.random.choice(list(DisputeOutcome))
    decided = await decide_dispute(
        world.connection,
        world.at,
        actor=STAFF[0],
        part=resident.card.part,
        account_id=resident.card.account_id,
        amount=Money(resident.disputed_micros, CAD),
        outcome=outcome,
        event=f"decided {resident.card.id}",
    )
    assert isinstance(decided, SideAccount), decided
    if outcome is DisputeOutcome.CHARGED_BACK:
        resident.paid_in_micros -= resident.disputed_micros
    resident.disputed_micros = 0
    world.control.forget_account(resident.card.account_id)


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
    wants = world.random.choices((text, pay_in, ask_for_refund, ask_for_price, leave), (10, 3, 4, 2, 1))[0]
    await wants(world, resident)
    if resident.disputed_micros and world.chance(0.05):
        await decide_on_dispute(world, resident)


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
    """All the cash, or the deposit, to their bank account; an impatient one asks twice."""
    event = name_event("rehearsal", f"{resident.card.id}:{len(resident.refund_ids)}")
    value = V.DEPOSITS if resident.deposit_micros and world.chance(0.4) else V.CASH
    wish = Wish(resident.card.account_id, event, value, payee=resident.payee)
    for _ in range(world.random.choice((1, 1, 2))):
        answer = await request_refund(
            world.connection,
            world.at,
            actor=f"subscriber:{resident.card.subscriber_id}",
            gates=world.gates,
            master=world.master,
            part=resident.card.part,
            wish=wish,
            cooling_off=COOLING,
        )
        _note_refund(world, resident, answer)


def _note_refund(world: World, resident: Resident, answer: Refund | RefundRefusal | Closed) -> None:
    expect(world, "a refund", isinstance(answer, Closed), C.REFUND)
    assert not isinstance(answer, RefundRefusal) or answer in EXPECTED, answer
    if isinstance(answer, Refund) and answer.id not in resident.refund_ids:
        resident.refund_ids.append(answer.id)
        world.counts[f"refunds requested: {answer.value}"] += 1
        world.control.forget_account(resident.card.account_id)


async def ask_for_price(world: World, resident: Resident) -> None:
    """Of a card that was never activated, and can no more be: what was paid for it, as it was paid."""
    if resident.is_activated:
        return
    answer = await request_refund_of_card(
        world.connection,
        world.at,
        actor=STAFF[0],
        gates=world.gates,
        part=resident.card.part,
        card_id=resident.card.id,
    )
    _note_refund(world, resident, answer)
    if isinstance(answer, Refund) and not must_be_closed(world.in_force, C.ACTIVATION, world.at):
        world.find("the price of a card was owed that could still be activated")
    resident.is_card_owed |= isinstance(answer, Refund)


EXPECTED = (RefundRefusal.NOTHING_TO_REFUND, RefundRefusal.ALREADY_OPEN, RefundRefusal.CARD_IN_USE)


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
