"""The operator of a rehearsal: its database, its clock, its gates, and what was found to be wrong so far."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from onecard.cards.actions import activate_card, import_stock
from onecard.catalogue.model import Plan, PriceList, Rate, Tariff, UsageKind
from onecard.catalogue.rules import index_price_book
from onecard.charging.actions import CreditControl
from onecard.database.pool import Connection, Pool, connection
from onecard.lines.actions import import_numbers
from onecard.lines.store import find_card_with_lines, find_card_with_lines_by_sim
from onecard.rehearsal.place import PARTS
from onecard.sealing.body_keys import BodyKeys
from onecard.sealing.keys import MasterKey
from onecard.switching.directory import Directory, Key
from onecard.switching.model import CardEntry, LinkRole, Route
from onecard.switching.rules import Routes, Setting
from onecard.values.card import Imsi, luhn_is_valid
from onecard.values.clock import MovedClock
from onecard.values.gate import Gates
from onecard.values.money import Currency
from onecard.values.phone import E164, Country
from onecard.winddown.gatekeeper import Gatekeeper
from onecard.winddown.reading import PlanFile
from onecard.winddown.store import load_in_force

STAFF = ("staff:first", "staff:second", "staff:third")
"""Who requests is not who approves."""
CODE = "12583"
HOME, AWAY = Country("CA"), Country("CN")
CAD = Currency("CAD")
PLAN_NAME = "Bridge"
LONG_AGO = datetime(1990, 1, 1, tzinfo=UTC)
RATES = (
    Rate(UsageKind.TEXT, HOME, 53_700, 1, "1"),  # no whole cents: what is left has to be rounded
    Rate(UsageKind.TEXT, AWAY, 71_300, 1),
    Rate(UsageKind.CALL_OUT, HOME, 60_100, 60, "1", first_block=60, next_block=1),
    Rate(UsageKind.DATA, HOME, 10_000, 1_000_000, first_block=1000, next_block=1000),
)
FINDINGS_MOST = 100


@dataclass(slots=True)
class World:
    """Everything that the parts of a rehearsal work with. One connection does the work, one thing after the other."""

    pool: Pool
    connection: Connection
    clock: MovedClock
    master: MasterKey
    random: random.Random
    zone: ZoneInfo
    keeper: Gatekeeper
    directory: Directory
    setting: Setting
    control: CreditControl
    in_force: PlanFile | None = None
    findings: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def at(self) -> datetime:
        return self.clock.now()

    @property
    def gates(self) -> Gates:
        return self.keeper.at(self.at)

    def find(self, what: str) -> None:
        """Note that something is not as it must be."""
        if len(self.findings) < FINDINGS_MOST:
            self.findings.append(f"{self.at.astimezone(self.zone).isoformat(' ', 'seconds')}: {what}")

    def chance(self, of: float) -> bool:
        return self.random.random() < of

    async def reload_order(self) -> None:
        """Go by the version that is in force now, as nodes do."""
        self.in_force = await load_in_force(self.connection)
        self.keeper.put_in_force(self.in_force)


@asynccontextmanager
async def open_world(pool: Pool, seed: int, begins: datetime, zone: ZoneInfo) -> AsyncIterator[World]:
    """An operator that nobody has ordered to stop, with prices, and with neither stock nor subscribers."""
    clock, keeper, master = MovedClock(begins), Gatekeeper(), MasterKey(seed.to_bytes(32))
    directory = Directory(lambda key: _load_card(pool, key))
    prices = PriceList("rehearsal", CAD, LONG_AGO, RATES, plans=(Plan(PLAN_NAME, 4_990_000),))
    route = Route("host", LinkRole.HOST, numbers=("+",), cards=("302",))
    setting = Setting(CODE, Routes((route,)), Tariff((index_price_book(1, prices),)))

    async def activate(entry: CardEntry) -> None:
        await _activate(pool, clock, keeper, entry)
        directory.forget(entry.card.id)

    control = CreditControl(
        pool,
        PARTS,
        setting=lambda: setting,
        directory=directory,
        body_keys=BodyKeys(pool, master),
        clock=clock,
        activate=activate,
        gates=keeper.at,
    )
    async with connection(pool) as borrowed:
        yield World(
            pool,
            borrowed,
            clock,
            master,
            random.Random(seed),  # noqa: S311  # a rehearsal is to be told again by its seed
            zone,
            keeper,
            directory,
            setting,
            control,
        )
    await control.close()


async def _load_card(pool: Pool, key: Key) -> CardEntry | None:
    async with connection(pool) as borrowed:
        if key.startswith("+"):
            found = await find_card_with_lines(borrowed, E164(key))
        else:
            found = await find_card_with_lines_by_sim(borrowed, imsi=Imsi(key))
    return CardEntry(*found) if found and found.lines else None


async def _activate(pool: Pool, clock: MovedClock, keeper: Gatekeeper, entry: CardEntry) -> None:
    async with connection(pool) as borrowed:
        now = clock.now()
        await activate_card(
            borrowed,
            now,
            actor="onecard",
            gates=keeper.at(now),
            part=entry.card.part,
            card_id=entry.card.id,
        )


async def fill_stock(world: World, cards: int) -> None:
    """SIMs for so many cards, and a number of each country for each; some stay over to be sold or given back."""
    sims = ["iccid,imsi\n", *(f"{_make_iccid(one)},30299000{one:07d}\n" for one in range(cards))]
    await import_stock(world.connection, world.at, actor=STAFF[0], lines=sims)
    numbers = ["msisdn,country\n", *(f"+1604{one + 2_000_000:07d},CA\n" for one in range(cards))]
    numbers += [f"+86138{one:08d},CN\n" for one in range(cards)]
    await import_numbers(world.connection, world.at, actor=STAFF[0], lines=numbers)


def _make_iccid(number: int) -> str:
    """The ICCID of this number, with its check digit (ISO/IEC 7812-1 annex B)."""
    body = f"89302610{number:010d}"
    return next(body + str(digit) for digit in range(10) if luhn_is_valid(body + str(digit)))


DAY = timedelta(days=1)
COOLING = timedelta(hours=24)
"""How long a refund waits whose payee is another than before."""
