"""A credit control of its own for a test: one card with two lines, a tariff in memory, a clock to move."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count

import asyncpg
from msgspec.structs import replace

import shop
from onecard.cards.actions import activate_card
from onecard.cards.model import Card
from onecard.catalogue.model import PriceList, Rate, Tariff, UsageKind
from onecard.catalogue.rules import index_price_book
from onecard.charging.actions import CreditControl
from onecard.charging.model import Answer, Ask, Operation, Request, Result
from onecard.database.pool import Database, connection, transaction
from onecard.ledger.actions import check_ledger, find_account, top_up
from onecard.ledger.model import Account
from onecard.lines.store import find_card_with_lines, find_card_with_lines_by_sim, list_lines
from onecard.sealing.body_keys import BodyKeys
from onecard.switching.directory import Directory, Key
from onecard.switching.model import CardEntry
from onecard.switching.rules import Routes, Setting
from onecard.values.card import Imsi
from onecard.values.clock import MovedClock
from onecard.values.gate import NO_ORDER
from onecard.values.money import Money, parse_micros
from onecard.values.phone import E164
from onecard.winddown.gatekeeper import Gatekeeper
from town import sell_card_with_two_lines

NOON = datetime(2026, 4, 1, 19, tzinfo=UTC)  # noon in Vancouver
RATES = (
    Rate(UsageKind.CALL_OUT, shop.CA, 60_000, 60, "1", first_block=60, next_block=1),
    Rate(UsageKind.CALL_OUT, shop.CN, 120_000, 60, "86", first_block=6, next_block=6, setup_micros=50_000),
    Rate(UsageKind.CALL_IN, shop.CA, 0, 1),
    Rate(UsageKind.CALL_IN, shop.CN, 0, 1),
    Rate(UsageKind.DATA, shop.CA, 10_000, 1_000_000, first_block=1000, next_block=1000),
    Rate(UsageKind.TEXT, shop.CA, 50_000, 1, "1"),
)
ZONES = {"460": "china"}

_numbers = count(1)


@dataclass(slots=True)
class Desk:
    """The credit control, and what a network says to it."""

    control: CreditControl
    database: Database
    clock: MovedClock
    card: Card
    primary: E164
    secondary: E164
    keeper: Gatekeeper

    async def say(
        self,
        session: str,
        number: int,
        operation: Operation,
        *asks: Ask,
        usage: UsageKind = UsageKind.CALL_OUT,
        far: str = "6045550199",
        **changes: object,
    ) -> Answer:
        """One request of the network that serves the card."""
        asked = Request(session, number, operation, usage, asks, self.primary)
        if usage is not UsageKind.DATA:
            asked = replace(asked, far=far)
        return await self.control.answer(replace(asked, **changes))

    async def call(
        self, session: str, number: int, operation: Operation, *asks: Ask
    ) -> list[tuple[int, bool]]:
        """One request about a call that has to go well: the units granted, and whether they are the last."""
        answer = await self.say(session, number, operation, *asks)
        assert answer.result is Result.SUCCESS, answer
        return [(grant.units, grant.is_last) for grant in answer.grants]

    async def balance(self) -> tuple[int, int]:
        """What is available and what is held, in micros."""
        account = await self.account()
        return account.available.micros, account.held.micros

    async def top_up(self, amount: str) -> None:
        """Somebody else adds money; this node is not told."""
        async with transaction(self.database.pool) as borrowed:
            await top_up(
                borrowed,
                self.clock.now(),
                actor=shop.STAFF,
                part=self.card.part,
                account_id=self.card.account_id,
                amount=Money(parse_micros(amount), shop.CAD),
                event=f"top-up {next(_numbers)}",
            )

    async def records(self) -> list[asyncpg.Record]:
        """All that was kept of what was used, in order."""
        async with connection(self.database.pool) as borrowed:
            return await borrowed.fetch("SELECT * FROM usage_record ORDER BY id")

    async def account(self) -> Account:
        async with connection(self.database.pool) as borrowed:
            account = await find_account(borrowed, self.card.part, self.card.account_id)
        assert account is not None
        return account

    async def proved(self) -> None:
        async with connection(self.database.pool) as borrowed:
            report = await check_ledger(borrowed)
        assert not report.violations, report.violations


@asynccontextmanager
async def open_desk(
    database: Database, balance: str = "1.00", rates: tuple[Rate, ...] = RATES
) -> AsyncIterator[Desk]:
    """Open a desk on a database that is still empty."""
    async with connection(database.pool) as borrowed:
        await shop.open_shop(borrowed)
        card = await sell_card_with_two_lines(borrowed, balance)
        primary, secondary = await list_lines(borrowed, card.part, card.id)
    async with run_desk(database, card, primary.msisdn, secondary.msisdn, rates) as desk:
        yield desk


@asynccontextmanager
async def run_desk(
    database: Database,
    card: Card,
    primary: E164,
    secondary: E164,
    rates: tuple[Rate, ...] = RATES,
    clock: MovedClock | None = None,
    keeper: Gatekeeper | None = None,
) -> AsyncIterator[Desk]:
    """Another node's desk, on a database where the card is."""

    async def load(key: Key) -> CardEntry | None:
        async with connection(database.pool) as borrowed:
            if key.startswith("+"):
                found = await find_card_with_lines(borrowed, E164(key))
            else:
                found = await find_card_with_lines_by_sim(borrowed, imsi=Imsi(key))
        return CardEntry(*found) if found else None

    now, keeper = clock or MovedClock(NOON), keeper or Gatekeeper()

    async def activate(entry: CardEntry) -> None:
        async with connection(database.pool) as borrowed:
            await activate_card(
                borrowed,
                now.now(),
                actor="onecard",
                gates=NO_ORDER,
                part=entry.card.part,
                card_id=entry.card.id,
            )
        directory.forget(entry.card.id)

    directory = Directory(load)
    prices = PriceList("test", shop.CAD, shop.AT, rates, ZONES)
    setting = Setting("12583", Routes(()), Tariff((index_price_book(1, prices),)))
    control = CreditControl(
        database.pool,
        (1, 2, 3, 4),
        setting=lambda: setting,
        directory=directory,
        body_keys=BodyKeys(database.pool, shop.MASTER),
        clock=now,
        gates=keeper.at,
        activate=activate,
    )
    yield Desk(control, database, now, card, primary, secondary, keeper)
    await control.close()


@asynccontextmanager
async def run_other(desk: Desk, rates: tuple[Rate, ...] = RATES) -> AsyncIterator[Desk]:
    """Another node beside a desk, or the same one after a restart: it remembers nothing."""
    async with run_desk(
        desk.database,
        desk.card,
        desk.primary,
        desk.secondary,
        rates,
        clock=desk.clock,
        keeper=desk.keeper,
    ) as other:
        yield other
