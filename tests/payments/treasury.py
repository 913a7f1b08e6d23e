"""A treasury: accounts with money on them, refunds of it, people who look at them, and a bank that answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

import shop
from onecard.cards.model import Card
from onecard.database.pool import Connection, Database
from onecard.ledger import check_ledger, find_account, top_up
from onecard.ledger.model import Account
from onecard.ledger.rules import name_event
from onecard.payments.bank.model import (
    BankStatement,
    Booked,
    Debtor,
    OrderState,
    OrderStatus,
    Payee,
    PaymentOrder,
    StatusReport,
)
from onecard.payments.check import find_violations
from onecard.payments.payees import make_payee, parse_canadian_account, parse_iban
from onecard.payments.payouts import actions as payouts
from onecard.payments.payouts.actions import Told, tell_nobody
from onecard.payments.payouts.model import Applied, PayoutRefusal, PayoutRun, Route
from onecard.payments.refunds import store
from onecard.payments.refunds.actions import change_payee, change_refund, request_refund
from onecard.payments.refunds.model import (
    Approve,
    Change,
    Refund,
    RefundedValue,
    RefundRefusal,
    Verify,
    Wish,
)
from onecard.values.clock import MovedClock
from onecard.values.gate import Closed, Gates
from onecard.values.money import Money

ALL_OPEN = Gates({})
ALICE, BOB, CAROL = "staff:alice", "staff:bob", "staff:carol"
WANG = make_payee("Wang Fang", parse_canadian_account("004-12345-9876501"))
OTHER_BANK = make_payee("Wang Fang", parse_iban("GB82 WEST 1234 5698 7654 32"))
DEBTOR = Debtor("Maple Bridge", parse_canadian_account("003-00001-7654321"))
COOLING = timedelta(hours=24)
OURS = "7654321"


def cents(amount: int) -> Money:
    return Money(amount * 10_000, shop.CAD)


@dataclass(slots=True)
class Treasury:
    """Everything that the tests of refunds do, in few words."""

    database: Database
    borrowed: Connection
    clock: MovedClock = field(default_factory=lambda: MovedClock(shop.AT))
    messages: int = 0

    async def earn(self, micros: int) -> Card:
        """A card whose account has so much on it."""
        card = await shop.sell(self.borrowed)
        if micros:
            await self.pay_in(card, micros)
        return card

    async def pay_in(self, card: Card, micros: int) -> None:
        self.messages += 1
        paid = await top_up(
            self.borrowed,
            self.clock.now(),
            actor=ALICE,
            part=card.part,
            account_id=card.account_id,
            amount=Money(micros, shop.CAD),
            event=f"payment {self.messages}",
        )
        assert isinstance(paid, Account), paid

    async def ask(
        self,
        card: Card,
        event: str = "1",
        *,
        amount: Money | None = None,
        payee: Payee | None = WANG,
        value: RefundedValue = RefundedValue.CASH,
        gates: Gates = ALL_OPEN,
        borrowed: Connection | None = None,
    ) -> Refund | RefundRefusal | Closed:
        return await request_refund(
            borrowed or self.borrowed,
            self.clock.now(),
            actor=f"subscriber:{card.subscriber_id}",
            gates=gates,
            master=shop.MASTER,
            part=card.part,
            wish=Wish(card.account_id, name_event("test", event), value, amount, payee),
            cooling_off=COOLING,
        )

    async def request(self, card: Card, event: str = "1", *, payee: Payee | None = WANG) -> Refund:
        refund = await self.ask(card, event, payee=payee)
        assert isinstance(refund, Refund), refund
        return refund

    async def try_to(
        self, refund: Refund, change: Change, actor: str, borrowed: Connection | None = None
    ) -> Refund | RefundRefusal:
        return await change_refund(
            borrowed or self.borrowed,
            self.clock.now(),
            actor=actor,
            part=refund.part,
            refund_id=refund.id,
            change=change,
        )

    async def do(self, refund: Refund, change: Change, actor: str = ALICE) -> Refund:
        changed = await self.try_to(refund, change, actor)
        assert isinstance(changed, Refund), changed
        return changed

    async def approve(self, card: Card, event: str = "1") -> Refund:
        """A refund that needs no more than a run."""
        refund = await self.request(card, event)
        await self.do(refund, Verify("claim code"), ALICE)
        return await self.do(refund, Approve(), BOB)

    async def name_payee(self, refund: Refund, payee: Payee, actor: str) -> Refund | RefundRefusal:
        return await change_payee(
            self.borrowed,
            self.clock.now(),
            actor=actor,
            master=shop.MASTER,
            part=refund.part,
            refund_id=refund.id,
            payee=payee,
            cooling_off=COOLING,
        )

    async def try_run(
        self,
        *,
        limit: Money | None = None,
        most: int = 100,
        route: Route = Route.BANK,
        borrowed: Connection | None = None,
    ) -> PayoutRun | PayoutRefusal:
        return await payouts.make_payout_run(
            borrowed or self.borrowed,
            self.clock.now(),
            actor=ALICE,
            currency=shop.CAD,
            route=route,
            execution_on=date(2026, 3, 12),
            limit=cents(10**9) if limit is None else limit,
            most=most,
        )

    async def make_run(self, *, limit: Money | None = None, most: int = 100) -> PayoutRun:
        run = await self.try_run(limit=limit, most=most)
        assert isinstance(run, PayoutRun), run
        return run

    async def submit(self, run: PayoutRun) -> list[PaymentOrder]:
        """Release a run and write its file; returns the orders."""
        released = await payouts.release_run(
            self.borrowed, self.clock.now(), actor=BOB, run_id=run.id, debtor=DEBTOR
        )
        assert isinstance(released, PayoutRun), released
        submitted = await payouts.submit_run(self.borrowed, self.clock.now(), actor=BOB, run_id=run.id)
        assert isinstance(submitted, PayoutRun), submitted
        return await self.orders(submitted)

    async def orders(self, run: PayoutRun) -> list[PaymentOrder]:
        pages = payouts.list_orders(self.borrowed, run, master=shop.MASTER, remittance="refund")
        return [order async for page in pages for order in page]

    async def pay_out(self, run: PayoutRun | None = None) -> list[PaymentOrder]:
        """All that is approved goes to the bank."""
        return await self.submit(run or await self.make_run())

    async def report(
        self,
        *said: tuple[PaymentOrder, OrderState],
        run: PayoutRun | None = None,
        whole: OrderState | None = None,
        message_id: str | None = None,
        borrowed: Connection | None = None,
    ) -> Applied:
        self.messages += 1
        statuses = tuple(OrderStatus(order.end_to_end_id, state, "AC04") for order, state in said)
        report = StatusReport(
            message_id or f"BANK-{self.messages}",
            run.message_id if run else "OC-RUN-1-20260310",
            whole,
            "FF01" if whole else None,
            statuses,
        )
        return await payouts.apply_status_report(
            borrowed or self.borrowed, self.clock.now(), actor="onecard", report=report
        )

    async def book(
        self,
        *booked: Booked,
        id_: str | None = None,
        borrowed: Connection | None = None,
        beside: Sequence[Connection] = (),
        told: Told = tell_nobody,
    ) -> Applied:
        self.messages += 1
        statement = BankStatement(
            id_ or f"S{self.messages}", OURS, booked, cents(10**6), cents(10**6), date(2026, 3, 13)
        )
        return await payouts.apply_statement(
            borrowed or self.borrowed,
            self.clock.now(),
            actor="onecard",
            statement=statement,
            beside=beside,
            told=told,
        )

    async def get(self, refund: Refund) -> Refund:
        found = await store.find_refund(self.borrowed, refund.part, refund.id)
        assert found is not None
        return found

    async def balance(self, card: Card) -> tuple[int, int]:
        account = await find_account(self.borrowed, card.part, card.account_id)
        assert account is not None
        return account.available_micros, account.held_micros

    async def system(self, role: str) -> int:
        """What is on the system's accounts of a role, over all parts."""
        sums: int = await self.borrowed.fetchval(
            "SELECT coalesce(sum(available), 0)::bigint FROM account WHERE role = $1", role
        )
        return sums

    async def proved(self) -> None:
        report = await check_ledger(self.borrowed)
        assert not report.violations, report.violations
        assert await find_violations(self.borrowed, 10) == []


def debit(order: PaymentOrder, reference: str = "D", amount: Money | None = None) -> Booked:
    """The bank paid an order."""
    return Booked(
        f"{reference}{order.end_to_end_id}",
        order.end_to_end_id,
        amount or order.amount,
        is_credit=False,
        is_reversal=False,
        booked_on=date(2026, 3, 12),
    )


def credit(order: PaymentOrder, reference: str = "C", reason: str = "AC04") -> Booked:
    """What was paid came back."""
    return Booked(
        f"{reference}{order.end_to_end_id}",
        order.end_to_end_id,
        order.amount,
        is_credit=True,
        is_reversal=False,
        booked_on=date(2026, 3, 13),
        reason=reason,
    )
