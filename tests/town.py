"""A whole operator for tests: a node on its own database; a host, a home operator and a bank around it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

import shop
from onecard.cards.model import Card
from onecard.catalogue.actions import import_price_book
from onecard.catalogue.model import PriceBook
from onecard.catalogue.reading import read_csv_price_list
from onecard.database.pool import Connection, Database, connection
from onecard.gateways.smpp.constants import CommandId
from onecard.gateways.smpp.pdus import ShortMessage
from onecard.ledger.actions import check_ledger, find_account, top_up
from onecard.lines.actions import apply_for_line, decide_on_application
from onecard.lines.model import Application, Line, LineLimits, Verification
from onecard.lines.store import list_lines
from onecard.node.config import Config
from onecard.node.node import Node, run_node
from onecard.sealing.passwords import hash_password
from onecard.story.peers import Esme, MessageCentre, bind_esme
from onecard.values.address import Address, international, unknown
from onecard.values.alphabet import choose_encoding
from onecard.values.clock import Clock
from onecard.values.gate import NO_ORDER
from onecard.values.money import Money, parse_micros

PASSWORD = "s3cret"
HASH = hash_password(PASSWORD)
PRICES = [
    "usage,line_country,prefix,price,per\n",
    "text,CA,1,0.05,segment\n",
    "text,CA,,0.25,segment\n",
    "text,CN,86,0.10,segment\n",
    "text,CN,,0.30,segment\n",
    "text,CN,short,0.02,segment\n",
]
HOST, HOME, BANK = "host", "cn-home", "bank"


def make_config(
    host_port: int,
    *,
    link_changes: Mapping[str, Mapping[str, object]] | None = None,
    more_links: Sequence[Mapping[str, object]] = (),
    **changes: object,
) -> Config:
    """The configuration of the town; `changes` replace whole sections, `link_changes` single keys of a link."""
    document: dict[str, Any] = {
        "operator": {
            "name": "Maple Bridge",
            "home_country": "CA",
            "currency": "CAD",
            "time_zone": "America/Vancouver",
        },
        "smpp": {"listen": "127.0.0.1:0"},
        "http": {"listen": "127.0.0.1:0"},
        "links": [
            {
                "name": HOST,
                "role": "host",
                "system_id": "maple",
                "connect": {"address": f"127.0.0.1:{host_port}", "password_variable": "HOST_PASSWORD"},
                "cards": ["302990"],
                "numbers": ["+1"],
                "window_out": 50,
            },
            {
                "name": HOME,
                "role": "home",
                "system_id": "cnhome",
                "password_hash": HASH,
                "numbers": ["+86"],
                "receipts": False,
                "window_out": 50,
            },
            {"name": BANK, "role": "application", "system_id": "bank", "password_hash": HASH},
        ],
    }
    for link in document["links"]:
        link.update((link_changes or {}).get(link["name"], {}))
    document["links"] += more_links
    return msgspec.convert({**document, **changes}, Config)


@dataclass(slots=True)
class Town:
    """The running operator and its partners."""

    node: Node
    database: Database
    host: MessageCentre
    home: Esme
    bank: Esme
    config: Config
    cards: list[Card] = field(default_factory=list)

    @property
    def smpp(self) -> tuple[str, int]:
        """Host and port where SMPP peers bind to the node."""
        host, _, port = self.node.addresses.smpp.rpartition(":")
        return host, int(port)

    async def settle(self, is_so: Callable[[], object], what: str = "it") -> None:
        """Wait until something is so; fails after ten seconds."""
        for _ in range(1000):
            if is_so():
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"{what} did not come about")

    async def balance(self, card: Card) -> int:
        """What a card's account has, in micros."""
        async with connection(self.database.pool) as borrowed:
            account = await find_account(borrowed, card.part, card.account_id)
        assert account is not None
        return account.available.micros

    async def lines(self, card: Card) -> tuple[Line, ...]:
        async with connection(self.database.pool) as borrowed:
            return await list_lines(borrowed, card.part, card.id)

    async def proved(self) -> None:
        """The ledger proves itself."""
        async with connection(self.database.pool) as borrowed:
            report = await check_ledger(borrowed)
        assert not report.violations, report.violations


def to_number(source: Address, destination: str, words: str, **changes: object) -> ShortMessage:
    """A text that a partner submits."""
    data_coding, body = choose_encoding(words)
    message = ShortMessage(
        CommandId.SUBMIT_SM, source, international(destination), body, data_coding=data_coding
    )
    return msgspec.structs.replace(message, **changes)


def from_card(primary: str, dialled: str, words: str, **changes: object) -> ShortMessage:
    """A text that the host brings from a card."""
    data_coding, body = choose_encoding(words)
    message = ShortMessage(
        CommandId.DELIVER_SM, international(primary), unknown(dialled), body, data_coding=data_coding
    )
    return msgspec.structs.replace(message, **changes)


async def stock_up(borrowed: Connection) -> None:
    """Parts, stock, pools and prices."""
    await shop.open_shop(borrowed)
    prices = read_csv_price_list(
        PRICES, name="first", currency=shop.CAD, effective_from=shop.AT + timedelta(days=1)
    )
    book = await import_price_book(borrowed, shop.AT, actor=shop.STAFF, prices=prices)
    assert isinstance(book, PriceBook), book


async def sell_card_with_two_lines(
    borrowed: Connection, balance: str = "10.00", at: datetime = shop.AT
) -> Card:
    """A card with a Canadian primary and a Chinese secondary, topped up."""
    card = await shop.sell(borrowed, at)
    application = await apply_for_line(
        borrowed,
        at,
        actor=shop.STAFF,
        gates=NO_ORDER,
        part=card.part,
        card_id=card.id,
        country=shop.CN,
        limits=LineLimits(),
        operator_time_zone=ZoneInfo("America/Vancouver"),
    )
    assert isinstance(application, Application), application
    await decide_on_application(
        borrowed,
        at,
        actor=shop.STAFF,
        gates=NO_ORDER,
        part=card.part,
        application_id=application.id,
        verification=Verification.MATCH,
    )
    await top_up(
        borrowed,
        at,
        actor=shop.STAFF,
        part=card.part,
        account_id=card.account_id,
        amount=Money(parse_micros(balance), shop.CAD),
        event=f"first top-up of {card.id}",
    )
    return card


@asynccontextmanager
async def open_town(
    database: Database,
    *,
    clock: Clock | None = None,
    host: MessageCentre | None = None,
    cards: Sequence[Card] = (),
    **changes: Any,
) -> AsyncIterator[Town]:
    """Open the town on a stocked database; `changes` are those of `make_config`."""
    async with AsyncExitStack() as stack:
        host = host or MessageCentre(PASSWORD)
        if not host.port:
            await host.listen()
        stack.push_async_callback(host.close)
        config = make_config(host.port, **changes)
        node = await stack.enter_async_context(
            run_node(config, database, shop.MASTER, clock=clock, environment={"HOST_PASSWORD": PASSWORD})
        )
        address, _, port = node.addresses.smpp.rpartition(":")
        home = await bind_esme(address, int(port), "cnhome", PASSWORD)
        stack.push_async_callback(home.connection.close)
        bank = await bind_esme(address, int(port), "bank", PASSWORD)
        stack.push_async_callback(bank.connection.close)
        town = Town(node, database, host, home, bank, config, list(cards))
        await town.settle(lambda: node.links[HOST].bound_count, "the bind to the host")
        yield town
