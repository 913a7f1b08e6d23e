"""A treasury whose service is ordered to stop, up to the closing statement."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import shop
from onecard.cards.model import Card, CardPayment
from onecard.payments.bank.model import BankStatement, Booked
from onecard.payments.payouts.actions import apply_statement
from onecard.sales.actions import sell_card_to_newcomer
from onecard.sealing.signing import SigningKey
from onecard.subscribers.model import Contact
from onecard.values.gate import NO_ORDER, Capability, Closed, Gates
from onecard.values.language import Language
from onecard.values.money import Money
from onecard.winddown import actions as order
from onecard.winddown.closing import store
from onecard.winddown.closing.actions import issue_statement, name_residue, take_snapshot
from onecard.winddown.closing.model import (
    ClosingFault,
    Issued,
    NotClosable,
    ResidueState,
    Snapshot,
    SnapshotRefusal,
)
from onecard.winddown.gatekeeper import Gatekeeper
from onecard.winddown.model import Order, Plan, RefundPolicy, Stage, ValueKind, Version
from onecard.winddown.reading import PlanFile
from onecard.winddown.store import load_in_force
from onecard.winddown.writing import write_plan
from payments.treasury import ALICE, BOB, OURS, Treasury, cents
from winddown.plans import TORONTO, local

SALES_END = Stage(
    "sales end",
    local("2026-03-20"),
    closes=frozenset({Capability.SALE, Capability.TOP_UP, Capability.RENEWAL_FEE}),
    opens=frozenset({Capability.REFUND}),
)
OPERATIONS_END = Stage("operations end", local("2026-04-01"), closes=frozenset({Capability.ACTIVATION}))
PURGE = Stage("purge", local("2027-04-01"), opens=frozenset({Capability.PURGE}), is_irreversible=True)
PLAN = Plan(
    version=1,
    name="the end of Maple",
    time_zone=TORONTO,
    order=Order("The Governor in Council", "Investment Canada Act", date(2026, 3, 1), "0a" * 32),
    stages=(SALES_END, OPERATIONS_END, PURGE),
    last_days={},
    refunds={
        **dict.fromkeys(ValueKind, RefundPolicy.FULL),
        ValueKind.UNUSED_PLAN_VALUE: RefundPolicy.PRO_RATA,
        ValueKind.DISPUTED: RefundPolicy.WHEN_DECIDED,
        ValueKind.PROMOTIONAL: RefundPolicy.NOTHING,
        ValueKind.UNACTIVATED_CARDS: RefundPolicy.AS_PAID,
    },
)
GATE = datetime(2026, 3, 20, 4, tzinfo=UTC)
CLOSED_DOWN = datetime(2026, 4, 10, tzinfo=UTC)
KEY = SigningKey(bytes(range(32)))
DAY = timedelta(days=1)


class End(Treasury):
    """A treasury whose service is ordered to stop."""

    async def order(self) -> None:
        at = self.clock.now()
        drafted = await order.draft_plan(self.borrowed, at, actor=ALICE, text=write_plan(PlanFile(PLAN, ())))
        assert isinstance(drafted, Version), drafted
        for actor in (ALICE, BOB):
            await order.approve_version(self.borrowed, at, actor=actor, number=1)
        assert isinstance(await order.start(self.borrowed, at, actor=ALICE), Version)

    async def gates(self) -> Gates:
        return Gatekeeper(await load_in_force(self.borrowed)).at(self.clock.now())

    async def snapshot(self) -> Snapshot | SnapshotRefusal | Closed:
        return await take_snapshot(
            self.borrowed, self.clock.now(), actor=ALICE, gates=await self.gates(), zone=TORONTO
        )

    async def totals(self) -> dict[ValueKind, tuple[int, int, int]]:
        totals = await store.sum_balances(self.borrowed)
        return {one.value: (one.count, one.value_micros, one.owed_micros) for one in totals}

    async def name(self) -> dict[tuple[ValueKind, ResidueState], int]:
        totals = await name_residue(
            self.borrowed, self.clock.now(), actor=ALICE, inactive_since=GATE - 30 * DAY
        )
        return {(one.value, one.state): one.micros for one in totals}

    async def issue(self) -> Issued | NotClosable:
        return await issue_statement(
            self.borrowed, self.clock.now(), actor=ALICE, key=KEY, operator="Maple Mobile", zone=TORONTO
        )

    async def faults(self) -> list[ClosingFault]:
        issued = await self.issue()
        assert isinstance(issued, NotClosable), issued
        return [one.fault for one in issued.faults]

    async def state_bank(self, closing: Money, *booked: Booked) -> None:
        moved = sum(-one.amount.micros for one in booked)
        opening = closing - Money(moved, shop.CAD)
        statement = BankStatement(
            f"S{self.clock.now():%m%d}", OURS, booked, opening, closing, self.clock.now().date()
        )
        await apply_statement(self.borrowed, self.clock.now(), actor="onecard", statement=statement)

    async def sell_paid(self, contact: Contact = shop.WANG) -> Card:
        card = await sell_card_to_newcomer(
            self.borrowed,
            self.clock.now(),
            actor=ALICE,
            gates=NO_ORDER,
            master=shop.MASTER,
            contact=contact,
            language=Language.FRENCH,
            currency=shop.CAD,
            country=shop.CA,
            payment=CardPayment(cents(2_500), "visa", f"pay-{contact.name}"),
        )
        assert isinstance(card, Card), card
        return card
