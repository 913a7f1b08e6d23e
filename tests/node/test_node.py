"""A node: what it refuses to start on, what it learns of changes made elsewhere, and how two of them share the work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

import shop
from gateways.smpp.partners import bind
from onecard.cards.model import Card
from onecard.catalogue.actions import import_price_book
from onecard.catalogue.model import PriceBook
from onecard.catalogue.reading import read_csv_price_list
from onecard.database.pool import Database, DatabaseUnsuitable, connection, open_pool
from onecard.gateways.smpp.constants import CommandStatus
from onecard.lines.actions import switch_line
from onecard.lines.model import Line
from onecard.node.config import Config, ConfigError
from onecard.node.name import NodeName
from onecard.node.node import NotReady, run_node
from onecard.sealing.keys import MasterKey, SealingError
from onecard.story.peers import bind_esme
from onecard.values.address import international
from onecard.values.clock import MovedClock
from onecard.values.gate import Capability
from onecard.winddown.model import Disconnection, Stage
from onecard.winddown.rules import to_instant
from orders import start_order
from town import (
    HOME,
    PASSWORD,
    PRICES,
    Town,
    from_card,
    make_config,
    open_town,
    sell_card_with_two_lines,
    stock_up,
    to_number,
)
from winddown.plans import TORONTO, local, make_plan

Status = CommandStatus
FAR = international("+8613900001111")
ENVIRONMENT = {"HOST_PASSWORD": PASSWORD}


@pytest.fixture
async def card(database: Database) -> Card:
    async with connection(database.pool) as borrowed:
        await stock_up(borrowed)
        return await sell_card_with_two_lines(borrowed)


@pytest.fixture
async def town(database: Database, card: Card) -> AsyncIterator[Town]:
    async with open_town(database, cards=[card]) as town:
        yield town


async def start(config: Config, database: Database, master: MasterKey = shop.MASTER) -> None:
    """Start a node and stop it at once."""
    async with run_node(config, database, master, environment=ENVIRONMENT):
        pass


# ---- what a node does not start on


async def test_a_database_without_tables_is_not_served(empty_database: Database) -> None:
    with pytest.raises((NotReady, DatabaseUnsuitable), match="onecard db"):
        await start(make_config(1), empty_database)


async def test_a_database_without_parts_is_not_served(database: Database) -> None:
    with pytest.raises(NotReady, match="onecard db init"):
        await start(make_config(1), database)


async def test_another_master_key_is_not_served(town: Town) -> None:
    _, secondary = await town.lines(town.cards[0])
    await town.home.send(to_number(FAR, secondary.msisdn, "seal something"))
    other = make_config(1, node="onecard-2")
    with pytest.raises(SealingError):
        await start(other, town.database, MasterKey(b"k" * 32))


async def test_a_name_is_held_by_one_node_and_free_when_it_stops(database: Database, card: Card) -> None:
    async with open_town(database) as town:
        with pytest.raises(NotReady, match="a node named onecard-1 is running"):
            await start(make_config(town.host.port), database)
        await start(make_config(town.host.port, node="onecard-2"), database)
    async with open_town(database):
        pass


async def test_a_certificate_that_cannot_be_used_is_named(
    database: Database, card: Card, tmp_path: Path
) -> None:
    for name in ("certificate", "key"):
        (tmp_path / name).write_text("not a certificate", encoding="utf-8")
    tls = {
        "listen": "127.0.0.1:0",
        "certificate": str(tmp_path / "certificate"),
        "key": str(tmp_path / "key"),
    }
    with pytest.raises(NotReady, match=r"smpp\.tls"):
        await start(make_config(1, smpp={"listen": "127.0.0.1:0", "tls": tls}), database)


async def test_a_missing_password_of_a_peer_is_named(database: Database, card: Card) -> None:
    with pytest.raises(ConfigError, match="HOST_PASSWORD"):
        async with run_node(make_config(1), database, shop.MASTER, environment={}):
            pass


# ---- changes made elsewhere


async def switch(database: Database, line: Line, *, on: bool) -> None:
    """Switch a line as another process does: over a connection of its own."""
    async with open_pool(database.dsn) as pool, connection(pool) as borrowed:
        switched = await switch_line(
            borrowed, shop.AT, actor=shop.STAFF, part=line.part, line_id=line.id, on=on
        )
    assert isinstance(switched, Line)


async def becomes(town: Town, number: str, status: CommandStatus) -> None:
    """Texts to a number come to be answered like this."""
    for _ in range(100):
        if (await town.home.send(to_number(FAR, number, "hello"))).status == status:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"texts to the number are never answered {status.name}")


async def test_a_line_that_another_process_switches_is_seen(town: Town) -> None:
    _, secondary = await town.lines(town.cards[0])
    await becomes(town, secondary.msisdn, Status.ESME_ROK)
    await switch(town.database, secondary, on=False)
    await becomes(town, secondary.msisdn, Status.ESME_RX_P_APPN)
    await switch(town.database, secondary, on=True)
    await becomes(town, secondary.msisdn, Status.ESME_ROK)


async def test_a_line_is_seen_to_change_after_the_tail_lost_its_connection(town: Town) -> None:
    _, secondary = await town.lines(town.cards[0])
    await becomes(town, secondary.msisdn, Status.ESME_ROK)
    async with connection(town.database.pool) as borrowed:
        await borrowed.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    await switch(town.database, secondary, on=False)
    await becomes(town, secondary.msisdn, Status.ESME_RX_P_APPN)


async def test_a_price_book_that_another_process_imports_is_charged_by(
    database: Database, card: Card
) -> None:
    clock = MovedClock(shop.AT + timedelta(days=2))
    async with open_town(database, cards=[card], clock=clock) as town:
        primary, _ = await town.lines(card)
        text = from_card(primary.msisdn, "12583113900001111", "hello")
        await town.host.deliver(text)
        assert await town.balance(card) == 9_900_000
        tariff = town.node.acceptor.setting.tariff
        dearer = [line.replace("86,0.10", "86,1.50") for line in PRICES]
        prices = read_csv_price_list(dearer, name="second", currency=shop.CAD, effective_from=clock.now())
        async with open_pool(database.dsn) as pool, connection(pool) as borrowed:
            book = await import_price_book(borrowed, clock.now(), actor=shop.STAFF, prices=prices)
        assert isinstance(book, PriceBook)
        await town.settle(lambda: town.node.acceptor.setting.tariff != tariff, "the new price book")
        await town.host.deliver(text)
        assert await town.balance(card) == 8_400_000
        await town.proved()


async def test_an_order_that_another_process_starts_is_gone_by(database: Database, card: Card) -> None:
    begins = local("2026-05-01")
    ends = Stage("texts end", begins, closes=frozenset({Capability.TEXTS}))
    late = Disconnection(begins.date(), begins.date())
    plan = replace(make_plan(ends), disconnection=late)  # subscribers are told too late, and it comes
    async with open_town(database, cards=[card]) as town:
        keeper, after = town.node.gatekeeper, to_instant(begins, TORONTO)
        assert keeper.at(after).is_open(Capability.TEXTS)
        with capture_logs() as logs:
            async with open_pool(database.dsn) as pool, connection(pool) as borrowed:
                await start_order(borrowed, shop.AT, plan)
            await town.settle(lambda: not keeper.at(after).is_open(Capability.TEXTS), "the order")
        assert keeper.at(after - timedelta(seconds=1)).is_open(Capability.TEXTS)
        assert "subscribers are told too late of a cut" in [entry["event"] for entry in logs]
    async with open_town(database) as again:  # a node that starts later goes by it too
        assert not again.node.gatekeeper.at(after).is_open(Capability.TEXTS)


# ---- two nodes


async def test_a_text_taken_by_one_node_is_handed_over_by_the_one_its_link_is_bound_to(
    database: Database, card: Card
) -> None:
    async with (
        open_town(database, cards=[card]) as first,
        open_pool(database.dsn, connections_most=20) as pool,
    ):
        await first.home.connection.close()
        await first.settle(lambda: not first.node.links[HOME].bound_count, "the home operator's absence")
        second_config = make_config(first.host.port, node="onecard-2")
        async with run_node(
            second_config, Database(pool, database.dsn, None), shop.MASTER, environment=ENVIRONMENT
        ) as second:
            host, _, port = second.addresses.smpp.rpartition(":")
            home = await bind_esme(host, int(port), "cnhome", PASSWORD)
            primary, secondary = await first.lines(card)
            text = from_card(primary.msisdn, "12583113900001111", "hello", registered_delivery=1)
            centre = first.host.connections[0]
            assert (await centre.send(text)).status == Status.ESME_ROK
            assert not first.node.queues.of(HOME).is_open
            await first.settle(lambda: home.texts, "the text, by the second node")
            assert home.texts[0].source.dialled == secondary.msisdn
            await first.settle(lambda: first.host.texts, "the receipt, by whichever node")
            await home.connection.close()
    assert len(home.texts) == 1


async def test_what_a_dead_node_had_claimed_is_taken_over_once_its_lease_is_over(
    database: Database, card: Card
) -> None:
    """The dead node is one whose clock stands still and whose peer never answers: it renews no lease past that."""
    stopped, clock = (MovedClock(shop.AT + timedelta(days=2)) for _ in range(2))
    async with (
        open_town(database, cards=[card], clock=stopped) as first,
        open_pool(database.dsn, connections_most=20) as pool,
    ):
        await first.home.connection.close()
        silent = await bind(first, "cnhome")
        primary, _ = await first.lines(card)
        text = from_card(primary.msisdn, "12583113900001111", "hello", registered_delivery=1)
        await first.host.deliver(text)
        await first.settle(lambda: silent.held, "the text, which is never answered")

        config = make_config(first.host.port, node="onecard-2")
        second_database = Database(pool, database.dsn, None)
        async with run_node(
            config, second_database, shop.MASTER, clock=clock, environment=ENVIRONMENT
        ) as second:
            host, _, port = second.addresses.smpp.rpartition(":")
            home = await bind_esme(host, int(port), "cnhome", PASSWORD)
            await second.upkeep.tick()
            assert not len(second.queues.of(HOME))
            assert home.texts == []
            clock.move(timedelta(seconds=20))
            await second.upkeep.tick()
            await first.settle(lambda: home.texts, "the text, by the living node")
            await first.settle(lambda: first.host.texts, "its receipt")
            silent.answer(silent.held[0])  # the dead node was not quite dead
            await silent.close()
            await home.connection.close()
    assert (len(home.texts), len(first.host.texts)) == (1, 1)
    async with connection(database.pool) as borrowed:
        assert await borrowed.fetchval("SELECT count(*) FROM delivery") == 0


async def test_a_node_takes_its_name_again_when_the_session_that_held_it_was_lost(database: Database) -> None:
    name, other = NodeName(database.dsn, "here"), NodeName(database.dsn, "here")
    assert await name.take()
    await _repeat_until(lambda: _lose_name(database))
    await _repeat_until(other.take)  # the server has let it go
    await other.release()
    await _repeat_until(lambda: _is_held_again(name, other))
    await name.release()


async def _repeat_until(is_so: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(500):
        if await is_so():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come about")


async def _lose_name(database: Database) -> bool:
    async with connection(database.pool) as borrowed:
        ended = await borrowed.fetch(
            "SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
            " WHERE l.locktype = 'advisory' AND d.datname = current_database()"
        )
    return bool(ended)


async def _is_held_again(name: NodeName, other: NodeName) -> bool:
    await name.keep()
    if await other.take():
        await other.release()
        return False
    return True
