"""A node with pages, in a town where something has happened, and a browser."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
from playwright.async_api import Browser

import shop
from onecard.database.pool import Connection, Database, connection
from onecard.lines.store import list_lines
from onecard.payments.actions import make_vouchers
from onecard.values.address import Address
from onecard.values.clock import MovedClock
from onecard.values.gate import NO_ORDER
from onecard.values.money import Money
from town import Town, from_card, open_town, sell_card_with_two_lines, stock_up, to_number

from .chromium import find_chromium, open_browser

RECORD = """
INSERT INTO usage_record (part, account_id, card_id, line_id, session_id, usage, far, zone, started_at, ended_at, units,
                          allowance_units, price_micros, unpaid_micros, cause, explanation)
VALUES ($1, $2, $3, $4, $5, $6, $7, 'home', $8, $9, $10, 0, $11, 0, 'ended', $12)"""


@pytest.fixture
def begin() -> datetime:
    """When the town opens; a test may set it otherwise."""
    return shop.AT + timedelta(days=2)


@pytest.fixture
def clock(begin: datetime) -> MovedClock:
    return MovedClock(begin)


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with open_browser() as opened:
        yield opened


@pytest.fixture
async def pin(database: Database) -> str:
    """Of a voucher of 20 dollars. The shop is stocked."""
    find_chromium()
    async with connection(database.pool) as borrowed:
        await stock_up(borrowed)
        made = await make_vouchers(
            borrowed,
            shop.AT,
            actor=shop.STAFF,
            gates=NO_ORDER,
            master=shop.MASTER,
            face=Money(20_000_000, shop.CAD),
            count=1,
            expires_at=shop.AT + timedelta(days=365),
        )
    assert isinstance(made, tuple)
    return made[1][0].pin


@pytest.fixture
async def town(database: Database, clock: MovedClock, pin: str) -> AsyncIterator[Town]:
    """The town with one card; its lines have sent and received, and called."""
    async with connection(database.pool) as borrowed:
        card = await sell_card_with_two_lines(borrowed, "25.00")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    async with open_town(database, clock=clock, cards=[card], web={"listen": f"127.0.0.1:{port}"}) as town:
        await _let_things_happen(town, clock)
        yield town


@pytest.fixture
def url(town: Town) -> str:
    address = town.config.web
    assert address is not None
    return address.address


async def _let_things_happen(town: Town, clock: MovedClock) -> None:
    async with connection(town.database.pool) as borrowed:
        await _call(borrowed, town, clock)
    await town.home.send(to_number(Address(1, 1, "8613900139000"), "+8613800138000", "到家了吗？"))
    clock.move(timedelta(minutes=3))
    await town.host.deliver(from_card("+16045550100", "12583113900139000", "到了"))
    clock.move(timedelta(minutes=12))
    await town.host.deliver(from_card("+16045550100", "6045550123", "See you at six"))
    clock.move(timedelta(minutes=9))
    await town.bank.send(to_number(Address(5, 0, "ICBC"), "+8613800138000", "验证码 482913"))
    await town.settle(lambda: len(town.host.texts) >= 2, "the texts to the card")
    clock.move(timedelta(minutes=1))


async def _call(borrowed: Connection, town: Town, clock: MovedClock) -> None:
    (card,) = town.cards
    primary, secondary = await list_lines(borrowed, card.part, card.id)
    began = clock.now() - timedelta(hours=20)
    used = (
        (primary, "call_out", "+160455****", 312, 312_000, "312 s at 0.06 per 60 s"),
        (secondary, "call_in", "+861390****", 845, 1_690_000, "845 s at 0.12 per 60 s"),
        (primary, "data", "", 48_300_000, 966_000, "48300000 octets at 0.02 per 1000000 octets"),
    )
    for number, (line, usage, far, units, micros, price) in enumerate(used):
        at = began + timedelta(hours=4 * number)
        why = {"pieces": [{"price": f"first of 2026-03-11: {price}"}]}
        await borrowed.execute(
            RECORD,
            *(card.part, card.account_id, card.id, line.id, str(number), usage, far),
            *(at, at + timedelta(minutes=5), units, micros, why),
        )
