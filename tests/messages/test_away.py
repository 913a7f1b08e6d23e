"""A database that is lost from sight while texts are accepted: refused, and neither lost, doubled nor charged twice."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

import shop
from messages.cable import Cable, open_cable
from onecard.cards.model import Card
from onecard.catalogue.store import load_tariff
from onecard.database.pool import Database, Pool, connection, open_pool
from onecard.ledger.actions import check_ledger, find_account
from onecard.lines.store import find_card_with_lines
from onecard.messages.accept import TextAcceptor, TextLimits
from onecard.messages.commands import CommandDesk
from onecard.messages.handover import Handover
from onecard.messages.model import Arrival, Content, ReceiptWish, Text, TextState
from onecard.messages.queues import Queues
from onecard.messages.upkeep import Upkeep
from onecard.node.vouchers import VoucherDesk
from onecard.sealing.body_keys import BodyKeys
from onecard.switching.directory import Directory
from onecard.switching.model import CardEntry, LinkRole, Route, TextRefusal
from onecard.switching.rules import Routes, Setting
from onecard.values.address import international, unknown
from onecard.values.clock import MovedClock
from onecard.values.phone import E164
from onecard.winddown.gatekeeper import Gatekeeper
from town import sell_card_with_two_lines, stock_up

PARTS = (1, 2, 3, 4)
FRIEND = "12583113900001111"
ROUTES = Routes(
    (
        Route("host", LinkRole.HOST, numbers=("+1",), cards=("302",)),
        Route("cn-home", LinkRole.HOME, numbers=("+86",)),
    )
)


@dataclass(slots=True)
class Place:
    """The parts of `messages` at the near end of the cable, and the database at its far end."""

    acceptor: TextAcceptor
    handover: Handover
    upkeep: Upkeep
    queues: Queues
    cable: Cable
    clock: MovedClock
    database: Database
    card: Card
    primary: E164

    async def send(self) -> int | TextRefusal:
        """A text of the card to a friend, from its secondary number."""
        arrival = Arrival(
            "host", international(self.primary), unknown(FRIEND), Content(b"hello"), ReceiptWish.ALWAYS
        )
        return await self.acceptor.accept(arrival)

    async def balance(self) -> int:
        async with connection(self.database.pool) as borrowed:
            account = await find_account(borrowed, self.card.part, self.card.account_id)
            report = await check_ledger(borrowed)
        assert account is not None
        assert not report.violations
        return account.available.micros

    async def states(self) -> list[TextState]:
        async with connection(self.database.pool) as borrowed:
            rows = await borrowed.fetch("SELECT state FROM message ORDER BY id")
        return [TextState(row["state"]) for row in rows]

    async def deliveries(self) -> int:
        async with connection(self.database.pool) as borrowed:
            return int(await borrowed.fetchval("SELECT count(*) FROM delivery"))


async def _load_card(pool: Pool, msisdn: E164) -> CardEntry | None:
    async with connection(pool) as borrowed:
        found = await find_card_with_lines(borrowed, msisdn)
    return CardEntry(*found) if found and found.lines else None


async def _leave(_: CardEntry) -> None:
    """Activation is not what these tests are about."""


async def _no_port_pin(_: CardEntry) -> str:
    raise AssertionError("nobody asks for one here")


async def make_place(pool: Pool, cable: Cable, database: Database, card: Card, patience: timedelta) -> Place:
    clock = MovedClock(shop.AT + timedelta(days=2))
    directory = Directory(partial(_load_card, pool))
    queues, keys = Queues("one"), BodyKeys(pool, shop.MASTER)
    async with connection(pool) as borrowed:
        setting = Setting("12583", ROUTES, await load_tariff(borrowed))
        primary = await borrowed.fetchval("SELECT msisdn FROM line WHERE slot = 0")
    vouchers = VoucherDesk(pool, shop.MASTER, clock, gates=Gatekeeper().at, service_code="12583")
    desk = CommandDesk(
        pool,
        directory,
        clock,
        redeem=vouchers.redeem,
        issue_port_pin=_no_port_pin,
        service_code="12583",
    )
    acceptor = TextAcceptor(
        pool,
        PARTS,
        queues,
        setting=setting,
        directory=directory,
        body_keys=keys,
        clock=clock,
        gates=Gatekeeper().at,
        obey=desk.obey,
        activate=_leave,
        limits=TextLimits(patience=patience),
    )
    handover = Handover(pool, PARTS, queues, body_keys=keys, clock=clock)
    upkeep = Upkeep(
        pool,
        PARTS,
        queues,
        acceptor,
        handover,
        body_keys=keys,
        clock=clock,
        trace_days=90,
        validity_most=timedelta(days=2),
    )
    queues.of("cn-home").on_ready.append(lambda: None)  # a session is bound, and its window is shut
    await upkeep.begin()
    return Place(acceptor, handover, upkeep, queues, cable, clock, database, card, E164(primary))


@pytest.fixture
async def place(database: Database, request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    """Patient for as many seconds as the test's parameter says; 0.2 without one."""
    patience = timedelta(seconds=getattr(request, "param", 0.2))
    async with connection(database.pool) as borrowed:
        await stock_up(borrowed)
        card = await sell_card_with_two_lines(borrowed)
    with tempfile.TemporaryDirectory(prefix="cable-", dir="/tmp") as directory:
        async with open_cable(database.dsn, Path(directory)) as (cable, dsn), open_pool(dsn) as pool:
            place = await make_place(pool, cable, database, card, patience)
            assert isinstance(await place.send(), int)  # what it reads into memory it has
            yield place
            cable.mend()
            await place.acceptor.close()
            await place.handover.close()


patient = pytest.mark.parametrize("place", [30.0], indirect=True)


async def test_a_text_is_refused_while_the_database_is_away_and_is_not_stored(place: Place) -> None:
    place.cable.cut()
    assert await place.send() is TextRefusal.UNAVAILABLE
    place.cable.mend()
    await place.upkeep.tick()
    assert await place.states() == [TextState.WAITING]
    assert await place.balance() == 9_900_000
    assert isinstance(await place.send(), int)
    assert await place.balance() == 9_800_000


async def test_a_text_of_a_card_that_is_not_in_memory_is_refused_at_once(place: Place) -> None:
    place.cable.cut()
    arrival = Arrival("cn-home", unknown("95588"), international("+8613800138009"), Content(b"hi"))
    assert await place.acceptor.accept(arrival) is TextRefusal.UNAVAILABLE


async def test_a_text_that_was_refused_and_is_stored_all_the_same_is_taken_back(place: Place) -> None:
    place.cable.loses_answers = True
    assert await place.send() is TextRefusal.UNAVAILABLE
    assert place.cable.lost.is_set()
    assert await place.states() == [TextState.WAITING, TextState.WAITING]
    assert await place.balance() == 9_800_000
    place.cable.mend()
    await place.upkeep.tick()
    assert await place.states() == [TextState.WAITING, TextState.CANCELLED]
    assert await place.balance() == 9_900_000
    assert not place.acceptor.doubtful
    assert await place.deliveries() == len(place.queues.of("cn-home")) == 1


async def test_a_doubtful_text_is_not_forgotten_while_the_database_stays_away(place: Place) -> None:
    place.cable.loses_answers = True
    assert await place.send() is TextRefusal.UNAVAILABLE
    for _ in range(2):
        with pytest.raises(Exception, match="cannot be reached"):
            await place.upkeep.tick()
    assert place.acceptor.doubtful
    place.cable.mend()
    await place.upkeep.tick()
    assert await place.states() == [TextState.WAITING, TextState.CANCELLED]


async def test_doubt_ends_when_a_commit_can_no_longer_be_under_way(place: Place) -> None:
    place.cable.cut()
    assert await place.send() is TextRefusal.UNAVAILABLE
    place.cable.mend()
    await place.upkeep.tick()
    assert place.acceptor.doubtful  # a server that was lost from sight may still be at it
    place.clock.move(timedelta(minutes=1))
    await place.upkeep.tick()
    assert not place.acceptor.doubtful


@patient
async def test_a_text_whose_commit_was_not_seen_is_charged_once_when_the_database_is_back_in_time(
    place: Place,
) -> None:
    place.cable.loses_answers = True
    sending = asyncio.ensure_future(place.send())
    await place.cable.lost.wait()
    place.cable.mend()
    assert isinstance(await sending, int)
    assert await place.states() == [TextState.WAITING, TextState.WAITING]
    assert await place.balance() == 9_800_000
    assert await place.deliveries() == len(place.queues.of("cn-home")) == 2


@patient
async def test_what_became_of_a_text_is_written_when_the_database_is_back_and_told_once(place: Place) -> None:
    """The step was committed unseen: its receipt must go out all the same."""
    host = place.queues.of("host")
    host.on_ready.append(lambda: None)
    assert isinstance(await place.send(), int)
    first, text = (place.queues.of("cn-home").take() for _ in range(2))
    assert isinstance(first, Text)
    assert isinstance(text, Text)
    await place.handover.expire(first)
    assert host.take()
    place.cable.loses_answers = True
    place.handover.handed_over(text, None)
    await place.cable.lost.wait()
    assert await place.states() == [TextState.EXPIRED, TextState.DELIVERED]
    assert host.take() is None
    place.cable.mend()
    await place.handover.close()
    receipt = host.take()
    assert receipt is not None
    assert receipt.id == text.id
    assert host.take() is None


@patient
async def test_no_text_is_lost_or_doubled_while_the_cable_fails_again_and_again(place: Place) -> None:
    outcomes: list[int | TextRefusal] = []

    async def send_all() -> None:
        for _ in range(12):
            outcomes.extend(await asyncio.gather(*(place.send() for _ in range(5))))

    sending = asyncio.ensure_future(send_all())
    while not sending.done():
        place.cable.lost.clear()
        place.cable.loses_answers = True
        await asyncio.wait([sending, asyncio.ensure_future(place.cable.lost.wait())], timeout=0.2)
        place.cable.mend()
        await asyncio.sleep(0.3)  # long enough for a batch that is written again
    await sending
    accepted = [outcome for outcome in outcomes if isinstance(outcome, int)]
    assert len(set(accepted)) == len(accepted) == 60
    assert await place.states() == [TextState.WAITING] * 61
    assert await place.deliveries() == len(place.queues.of("cn-home")) == 61
    assert await place.balance() == 10_000_000 - 61 * 100_000
