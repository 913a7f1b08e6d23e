"""Refunds under any order of events, against a little model that knows what must have become of the money.

The model counts three piles an account: what may be spent, what is held for a refund, what was paid out. A rule that
hypothesis draws is done in both; what is refused in the database must be refused in the model, and the other way round.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import shop
from onecard.cards.model import Card, CardState
from onecard.payments.bank.model import OrderState, PaymentOrder
from onecard.payments.payouts import actions
from onecard.payments.payouts.model import PayoutRun
from onecard.payments.refunds.model import (
    Approve,
    Cancel,
    Change,
    Refund,
    RefundState,
    Reject,
    Retry,
    Verify,
)
from onecard.payments.refunds.rules import round_in_favour
from onecard.subscribers.actions import create_subscriber
from onecard.values.card import Iccid, Imsi
from onecard.values.language import Language
from onecard.values.money import Money
from payments.treasury import ALICE, BOB, Treasury, credit, debit

ACCOUNTS = 3
EVENTS = count()
account = st.integers(0, ACCOUNTS - 1)
S = RefundState
ENDED = (S.SETTLED, S.CANCELLED, S.REJECTED)


@dataclass(slots=True)
class Pile:
    """What the model knows of one account and its latest refund."""

    available: int = 0
    held: int = 0
    paid_in: int = 0
    paid_out: int = 0
    rounded: int = 0
    """What was added in the payee's favour."""
    state: RefundState | None = None
    in_run: bool = False
    reopened: bool = False
    """It was paid and came back: another refund may be requested beside it, which the model leaves out."""
    refund: Refund | None = None
    order: PaymentOrder | None = None
    old_orders: list[PaymentOrder] = field(default_factory=list)


class Refunds(RuleBasedStateMachine):
    """Everything that can happen to three accounts, in any order. It runs in a thread beside the event loop."""

    loop: asyncio.AbstractEventLoop
    treasury: Treasury

    def __init__(self) -> None:
        super().__init__()
        self.piles = [Pile() for _ in range(ACCOUNTS)]
        self.cards: list[Card] = [self.do(take_in(self.treasury)) for _ in range(ACCOUNTS)]

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def teardown(self) -> None:
        """Leave nothing that the runs of the next example would pay."""
        for pile in self.piles:
            if pile.state is S.APPROVED and pile.refund is not None:
                self.do(self.treasury.do(pile.refund, Reject("the example is over")))
        self.do(self.treasury.proved())

    @rule(place=account, micros=st.integers(1, 30_000_000))
    def pay_in(self, place: int, micros: int) -> None:
        self.do(self.treasury.pay_in(self.cards[place], micros))
        self.piles[place].available += micros
        self.piles[place].paid_in += micros

    @rule(place=account)
    def request(self, place: int) -> None:
        pile = self.piles[place]
        if pile.reopened and pile.state not in ENDED:
            return
        answer = self.do(self.treasury.ask(self.cards[place], f"request {next(EVENTS)}"))
        may = pile.available > 0 and (pile.state is None or pile.state in ENDED)
        assert isinstance(answer, Refund) == may, (answer, pile)
        if may:
            pile.refund, pile.state, pile.order = answer, S.REQUESTED, None
            pile.held, pile.available, pile.reopened = pile.available, 0, False

    @rule(place=account, name=st.sampled_from(["verify", "approve", "reject", "cancel", "retry"]))
    def change(self, place: int, name: str) -> None:
        pile = self.piles[place]
        if pile.refund is None:
            return
        changes: dict[str, tuple[Change, str, set[RefundState], RefundState]] = {
            "verify": (Verify("code"), ALICE, {S.REQUESTED}, S.VERIFIED),
            "approve": (Approve(), BOB, {S.VERIFIED}, S.APPROVED),
            "reject": (Reject("no"), ALICE, {S.REQUESTED, S.VERIFIED, S.APPROVED, S.RETURNED}, S.REJECTED),
            "cancel": (Cancel(), ALICE, {S.REQUESTED, S.VERIFIED}, S.CANCELLED),
            "retry": (Retry(), ALICE, {S.RETURNED}, S.VERIFIED),
        }
        change, actor, states, after = changes[name]
        answer = self.do(self.treasury.try_to(pile.refund, change, actor))
        may = pile.state in states and not pile.in_run
        assert isinstance(answer, Refund) == may, (answer, pile, name)
        if may:
            pile.state = after
            if after in (S.REJECTED, S.CANCELLED):
                pile.available, pile.held = pile.available + pile.held, 0

    @rule(place=account, micros=st.integers(1, 30_000_000))
    def see_through(self, place: int, micros: int) -> None:
        """The usual way up to a payout, which chance alone goes too seldom."""
        if self.piles[place].state is S.RETURNED:
            self.change(place, "retry")
        elif self.piles[place].state in (None, *ENDED):
            self.pay_in(place, micros)
            self.request(place)
        self.change(place, "verify")
        self.change(place, "approve")

    @rule()
    def pay_out(self) -> None:
        """Make a run, release and submit it: what is approved is told to the bank."""
        approved = [pile for pile in self.piles if pile.state is S.APPROVED]
        run = self.do(self.treasury.try_run())
        assert isinstance(run, PayoutRun) == bool(approved)
        if not approved:
            return
        orders = {order.end_to_end_id.split("-")[3]: order for order in self.do(self.treasury.submit(run))}
        assert len(orders) == len(approved)
        for pile in approved:
            assert pile.refund is not None
            pile.order, pile.state, pile.in_run = orders[str(pile.refund.id)], S.SUBMITTED, True
            assert pile.order.amount == round_in_favour(Money(pile.held, shop.CAD))
        again = self.do(actions.submit_run(self.treasury.borrowed, shop.AT, actor=ALICE, run_id=run.id))
        assert {order.end_to_end_id for order in self.do(self.treasury.orders(again))} == {
            order.end_to_end_id for order in orders.values()
        }

    @rule(place=account, said=st.sampled_from(["paid", "booked", "rejected", "came back"]))
    def the_bank_says(self, place: int, said: str) -> None:
        """Of the order that is under way or was paid: for the first time, or again."""
        pile = self.piles[place]
        if pile.order is None:
            return
        self.do(self._say(pile.order, said))
        if said == "rejected" and pile.in_run:
            pile.state, pile.in_run = S.RETURNED, False
            self._retire(pile)
        elif said != "rejected" and pile.in_run:
            paid = pile.order.amount.micros
            pile.rounded += paid - pile.held
            pile.paid_out, pile.held = pile.paid_out + paid, 0
            pile.state, pile.in_run = S.SETTLED, False
        if said == "came back" and pile.state is S.SETTLED:
            paid = pile.order.amount.micros
            pile.paid_out, pile.held = pile.paid_out - paid, pile.held + paid
            pile.state, pile.reopened = S.RETURNED, True
            self._retire(pile)

    def _retire(self, pile: Pile) -> None:
        """The order is over; what the bank says of it later must change nothing."""
        assert pile.order is not None
        pile.old_orders.append(pile.order)
        pile.order = None

    @precondition(lambda self: any(pile.old_orders for pile in self.piles))
    @rule(
        data=st.data(),
        said=st.sampled_from(["paid", "booked", "rejected", "came back"]),
        reference=st.sampled_from(["", "late"]),
    )
    def the_bank_says_of_an_old_order(self, data: st.DataObject, said: str, reference: str) -> None:
        orders = [order for pile in self.piles for order in pile.old_orders]
        self.do(self._say(data.draw(st.sampled_from(orders)), said, reference))

    async def _say(self, order: PaymentOrder, said: str, reference: str = "") -> None:
        match said:
            case "paid":
                await self.treasury.report((order, OrderState.SETTLED))
            case "rejected":
                await self.treasury.report((order, OrderState.REJECTED))
            case "booked":
                await self.treasury.book(debit(order, f"D{reference}"))
            case _:
                await self.treasury.book(credit(order, f"C{reference}"))

    @invariant()
    def the_money_is_where_the_model_has_it(self) -> None:
        for card, pile in zip(self.cards, self.piles, strict=True):
            assert self.do(self.treasury.balance(card)) == (pile.available, pile.held), pile
            assert pile.paid_out + pile.available + pile.held == pile.paid_in + pile.rounded
            if pile.refund is not None:
                found = self.do(self.treasury.get(pile.refund))
                assert (found.state, found.is_frozen) == (pile.state, pile.in_run)


async def take_in(treasury: Treasury) -> Card:
    """A subscriber with an account; no card is needed to be refunded."""
    subscriber = await create_subscriber(
        treasury.borrowed,
        shop.AT,
        actor=ALICE,
        master=shop.MASTER,
        contact=shop.WANG,
        language=Language.ENGLISH,
        currency=shop.CAD,
    )
    return Card(subscriber.part, 0, subscriber.id, subscriber.account_id, Iccid(""), Imsi(""), CardState.SOLD)


async def test_whatever_happens_in_whatever_order_nothing_is_paid_twice_or_lost(treasury: Treasury) -> None:
    machine = type("Machine", (Refunds,), {"loop": asyncio.get_running_loop(), "treasury": treasury})
    quick = settings(
        max_examples=25,
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    await asyncio.to_thread(run_state_machine_as_test, machine, settings=quick)
