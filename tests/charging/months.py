"""A card, price books with plans, and a clock under which months pass, on the real database."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import shop
from onecard.cards.model import Card
from onecard.catalogue.model import Plan, PlanAllowance, PriceList, Prorating, Tariff, UsageKind
from onecard.catalogue.rules import index_price_book
from onecard.charging import subscription_store
from onecard.charging.allowances import GivenAllowance, end_expired_allowances, list_given_allowances
from onecard.charging.periods import Subscription
from onecard.charging.subscriptions import (
    PlanRefusal,
    cancel_plan,
    change_plan,
    renew_due,
    subscribe,
)
from onecard.database.pool import Database, connection
from onecard.ledger.actions import check_ledger, find_account, top_up
from onecard.ledger.model import Account
from onecard.values.clock import MovedClock
from onecard.values.gate import Closed, GatesAt
from onecard.values.money import Money
from onecard.winddown.gatekeeper import Gatekeeper

VANCOUVER = ZoneInfo("America/Vancouver")
BEGINNING = datetime(2027, 1, 31, 20, tzinfo=UTC)  # noon of 31 January in Vancouver
BRIDGE = Plan(
    "Bridge",
    10_000_000,
    prorating=Prorating.DAILY,
    reserve_days=2,
    allowances=(
        PlanAllowance(UsageKind.CALL_OUT, 6000),
        PlanAllowance(UsageKind.TEXT, 100, line_countries=(shop.CA,)),
    ),
)
PLANS = (
    BRIDGE,
    Plan("Small", 4_000_000, allowances=(PlanAllowance(UsageKind.DATA, 1_000_000_000),)),
    Plan("Welcome", 4_000_000, first_months_free=2),
)


def tariff_of(*plans: Plan, since: datetime = shop.AT) -> Tariff:
    """One price book with these plans."""
    return Tariff((index_price_book(1, PriceList("test", shop.CAD, since, (), {}, plans)),))


@dataclass(slots=True)
class Months:
    """What happens to one card as time passes."""

    database: Database
    card: Card
    clock: MovedClock = field(default_factory=lambda: MovedClock(BEGINNING))
    tariff: Tariff = field(default_factory=lambda: tariff_of(*PLANS))
    gates: GatesAt = field(default_factory=lambda: Gatekeeper().at)

    async def subscribe(self, plan: str, day: int | None = None) -> Subscription | PlanRefusal | Closed:
        async with connection(self.database.pool) as borrowed:
            return await subscribe(
                borrowed,
                **self._who(),
                gates=self.gates(self.clock.now()),
                plan_name=plan,
                tariff=self.tariff,
                zone=VANCOUVER,
                renewal_day=day,
            )

    async def change(self, plan: str) -> Subscription | PlanRefusal | Closed:
        async with connection(self.database.pool) as borrowed:
            return await change_plan(
                borrowed,
                **self._who(),
                gates=self.gates(self.clock.now()),
                plan_name=plan,
                tariff=self.tariff,
                zone=VANCOUVER,
            )

    async def cancel(self, *, at_once: bool = False) -> Subscription | PlanRefusal:
        async with connection(self.database.pool) as borrowed:
            return await cancel_plan(borrowed, **self._who(), at_once=at_once, zone=VANCOUVER)

    def _who(self) -> dict[str, Any]:
        return {
            "at": self.clock.now(),
            "actor": shop.STAFF,
            "part": self.card.part,
            "card_id": self.card.id,
        }

    async def work(self, nodes: int = 1) -> None:
        """One turn of the jobs of so many nodes, all at the same time."""
        now, part, pool = self.clock.now(), self.card.part, self.database.pool
        async with connection(pool) as borrowed:
            await end_expired_allowances(borrowed, part, now)
        renewals = (
            renew_due(pool, part, self.tariff, VANCOUVER, now, gates=self.gates) for _ in range(nodes)
        )
        await asyncio.gather(*renewals)

    async def pass_until(self, month: int, day: int, *, year: int = 2027, nodes: int = 1) -> None:
        """Let time pass to five past midnight of a day, with the jobs done four times a day."""
        end = datetime(year, month, day, 0, 5, tzinfo=VANCOUVER).astimezone(UTC)
        while self.clock.now() < end:
            self.clock.move_to(min(end, self.clock.now() + timedelta(hours=6)))
            await self.work(nodes)

    async def top_up(self, micros: int) -> None:
        async with connection(self.database.pool) as borrowed, borrowed.transaction():
            topped_up = await top_up(
                borrowed,
                self.clock.now(),
                actor=shop.STAFF,
                part=self.card.part,
                account_id=self.card.account_id,
                amount=Money(micros, shop.CAD),
                event=f"{micros} at {self.clock.now()}",
            )
        assert isinstance(topped_up, Account), topped_up

    async def money(self) -> tuple[int, int]:
        """What is available and what is held, in whole cents."""
        async with connection(self.database.pool) as borrowed:
            account = await find_account(borrowed, self.card.part, self.card.account_id)
        assert account is not None
        return account.available_micros // 10_000, account.held_micros // 10_000

    async def subscription(self) -> Subscription:
        """The latest one."""
        async with connection(self.database.pool) as borrowed:
            found = await subscription_store.list_of_card(borrowed, self.card.part, self.card.id)
        return found[-1]

    async def allowances(self) -> list[GivenAllowance]:
        async with connection(self.database.pool) as borrowed:
            return await list_given_allowances(borrowed, self.card.part, self.card.account_id)

    async def notices(self) -> list[str]:
        """The kinds of all notices, in the order in which they were written."""
        rows = await self.database.pool.fetch("SELECT kind FROM notice ORDER BY id")
        return [row["kind"] for row in rows]

    async def proved(self) -> None:
        async with connection(self.database.pool) as borrowed:
            report = await check_ledger(borrowed)
        assert not report.violations, report.violations


async def open_months(database: Database, balance_micros: int = 0, plans: Sequence[Plan] = PLANS) -> Months:
    """Sell a card, on a database that is still empty, and top it up."""
    async with connection(database.pool) as borrowed:
        await shop.open_shop(borrowed)
        card = await shop.sell(borrowed)
    months = Months(database, card, tariff=tariff_of(*plans))
    if balance_micros:
        await months.top_up(balance_micros)
    return months
