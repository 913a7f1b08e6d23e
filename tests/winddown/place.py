"""An operator in Canada in 2021, with every way into it: command line, SMPP, Diameter, Nchf, texts to the service code.

What is asked answers with the words of its refusal, and with none where it was done.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

import shop
from cli.terminal import Terminal
from gateways.nchf.golden import PDU_SESSION
from gateways.nchf.partners import LOOPBACK
from onecard.cards.actions import activate_card
from onecard.cards.model import Card
from onecard.catalogue.actions import import_price_book
from onecard.catalogue.model import PriceBook
from onecard.catalogue.reading import read_toml_price_list
from onecard.catalogue.store import load_tariff
from onecard.charging.periods import Subscription
from onecard.charging.subscriptions import subscribe
from onecard.database.pool import Connection, Database, connection
from onecard.gateways.diameter.constants import ResultCode
from onecard.gateways.diameter.messages import CreditControlAnswer
from onecard.gateways.nchf.consumers import hash_token
from onecard.gateways.smpp.constants import CommandStatus
from onecard.gateways.smpp.events import TextAnswered
from onecard.gateways.smpp.pdus import ShortMessage
from onecard.ledger import Account, top_up
from onecard.payments.actions import make_vouchers
from onecard.payments.model import NewVoucher
from onecard.story.network import Network, open_network
from onecard.story.place import NETWORK, OUR_HOST, OUR_REALM
from onecard.story.sessions import CreditSession, read_grant
from onecard.values.address import international
from onecard.values.alphabet import decode_text
from onecard.values.clock import MovedClock
from onecard.values.gate import NO_ORDER
from onecard.values.money import Money
from onecard.winddown.model import Plan
from orders import start_order
from town import HASH, Town, from_card, open_town, sell_card_with_two_lines

BEGINNING = datetime(2021, 8, 10, 16, tzinfo=UTC)
TORONTO = ZoneInfo("America/Toronto")
UNUSED_CARDS = 30
TOKEN = "a token of the core network, and of the shop"
PROVIDER_SECRET = b"a secret of thirty-two octets ok"
PRICES = """
name = "first"
currency = "CAD"
effective_from = 2021-08-11T00:00:00-04:00

[[plan]]
name = "Bridge"
monthly_fee = 10.00
reserve_days = 2

[[plan]]
name = "Small"
monthly_fee = 4.00
"""
RATE = '\n[[rate]]\nusage = "{}"\nline_country = "{}"\nprefix = "{}"\nprice = 0.05\nper = "{}"\n'
RATES = [
    ("text", "CA", "1", "segment"),
    ("text", "CN", "86", "segment"),
    ("call_out", "CA", "1", "minute"),
    ("call_out", "CN", "86", "minute"),
    ("data", "CA", "", "MB"),
]
CONFIG = f"""
[operator]
name = "Maple Bridge"
home_country = "CA"
currency = "CAD"
time_zone = "America/Toronto"

[[links]]
name = "host"
role = "host"
system_id = "host"
password_hash = "{HASH}"
cards = ["302990"]
numbers = ["+1"]
"""
NAMED = {
    "oneTimeEvent": True,
    "oneTimeEventType": "IEC",
    "sMSChargingInformation": {"recipientInfo": [{"recipientGPSI": "msisdn-16045550199"}]},
}
DATA = {
    "pDUSessionChargingInformation": PDU_SESSION,
    "multipleUnitUsage": [{"ratingGroup": 10, "requestedUnit": {"totalVolume": 1000}}],
}


@dataclass(slots=True)
class Place:
    """The operator, and who asks."""

    town: Town
    terminal: Terminal
    network: Network
    clock: MovedClock
    card: Card
    """In use; it has two lines, and money."""
    with_plan: Card
    unused: list[Card]
    vouchers: list[NewVoucher]
    numbers: dict[int, str]
    """The primary number of each card."""
    secondary: str
    """Of the card in use."""
    aborted: list[str]
    """The sessions that the network was asked to end, over Diameter."""
    asked_again: list[str]
    """Those it was asked to come again for."""
    _ids: Any = field(default_factory=lambda: count(1))

    @property
    def primary(self) -> str:
        return self.numbers[self.card.id]

    async def command(self, *words: str) -> str:
        """Run a command as staff do."""
        result = await asyncio.to_thread(self.terminal.run, *words)
        return "" if result.exit_code == 0 else result.stderr or repr(result.exception)

    async def text(self, primary: str, dialled: str, words: str = "hello") -> str:
        """Send a text from a card."""
        return of_status(await self.town.host.deliver(from_card(primary, dialled, words)))

    async def order(self, words: str) -> str:
        """Text a command to the service code; the answer that comes back."""
        told = len(self._told())
        if refused := await self.text(self.primary, "12583", words):
            return refused
        await self.town.settle(lambda: len(self._told()) > told, "the answer")
        answer = self._told()[told]
        return decode_text(answer.body, answer.data_coding) or ""

    def _told(self) -> list[ShortMessage]:
        """What came to the card in use: other cards are told of their plans meanwhile."""
        return [text for text in self.town.host.texts if text.destination == international(self.primary)]

    async def open(self, session: CreditSession, wanted: int = 60) -> str:
        """Open a session over Diameter, and end it where it was granted something."""
        if refused := of_answer(await self.network.charge(session.open(wanted))):
            return refused
        return of_answer(await self.network.charge(session.end(0)))

    async def post(self, document: Mapping[str, object]) -> str:
        """Ask over Nchf, and end a session that was granted something."""
        number = next(self._ids) * 2
        opened = await self.send(document, number)
        if opened.status_code != httpx.codes.CREATED:
            return opened.text
        if "oneTimeEvent" not in document:
            ended = await self.send({}, number + 1, f"{opened.headers['location']}/release")
            assert ended.status_code == httpx.codes.NO_CONTENT, ended.text
        return ""

    async def send(self, document: Mapping[str, object], number: int, url: str = "") -> httpx.Response:
        """One request over Nchf: to open a session, unless the address of another is given."""
        asked = {
            "nfConsumerIdentification": {"nodeFunctionality": "SMF"},
            "invocationTimeStamp": self.clock.now().isoformat(),
            "invocationSequenceNumber": number,
            "subscriberIdentifier": f"msisdn-{self.primary.removeprefix('+')}",
            **document,
        }
        async with self.call() as client:
            return await client.post(url or "/nchf-convergedcharging/v3/chargingdata", json=asked)

    def call(self) -> httpx.AsyncClient:
        """A client of the node that it lets in."""
        headers = {"authorization": f"Bearer {TOKEN}"}
        return httpx.AsyncClient(base_url=f"http://{self.town.node.addresses.http}", headers=headers)

    async def audited(self, action: str) -> list[str]:
        """The stages that records of an action name."""
        async with connection(self.town.database.pool) as borrowed:
            rows = await borrowed.fetch("SELECT detail FROM audit WHERE action = $1 ORDER BY id", action)
        return [row["detail"]["stage"] for row in rows]


def of_status(answered: TextAnswered) -> str:
    status = CommandStatus(answered.status)
    return "" if status is CommandStatus.ESME_ROK else status.name


def of_answer(answer: CreditControlAnswer) -> str:
    code = ResultCode(read_grant(answer).result_code)
    return "" if code is ResultCode.SUCCESS else f"{code.name} {answer.error_message}"


@asynccontextmanager
async def open_place(
    database: Database, directory: Path, monkeypatch: pytest.MonkeyPatch, plan: Plan
) -> AsyncIterator[Place]:
    """Open it, some months before the first stage of the plan, which is in force."""
    clock = MovedClock(BEGINNING)
    async with connection(database.pool) as borrowed:
        cards, vouchers = await _stock_up(borrowed)
        lines = await borrowed.fetch("SELECT card_id, slot, msisdn FROM line")
        await start_order(borrowed, BEGINNING, plan)
    _set_up_terminal(database, directory, monkeypatch)
    aborted: list[str] = []
    asked_again: list[str] = []
    consumer = {"name": "smf", "token_hash": hash_token(TOKEN), "notify_hosts": [LOOPBACK]}
    charging = {"consumers": [consumer]}
    secret = directory / "secret"
    secret.write_bytes(PROVIDER_SECRET)
    payments = {
        "providers": [{"name": "stripe", "secret_file": str(secret)}],
        "clients": [{"name": "shop", "token_hash": hash_token(TOKEN)}],
    }
    diameter = {
        "host": OUR_HOST,
        "realm": OUR_REALM,
        "listen": "127.0.0.1:0",
        "peers": [{"host": NETWORK[0]}],
    }
    async with open_town(
        database, clock=clock, cards=cards, charging=charging, diameter=diameter, payments=payments
    ) as town:
        assert town.node.addresses.diameter is not None
        host, _, port = town.node.addresses.diameter.rpartition(":")
        network = await open_network(host, int(port), NETWORK, asked_again.append, aborted.append)
        numbers = {row["card_id"]: row["msisdn"] for row in lines if row["slot"] == 0}
        card, with_plan, *unused = cards
        [secondary] = (row["msisdn"] for row in lines if (row["card_id"], row["slot"]) == (card.id, 1))
        yield Place(
            town,
            Terminal(directory, clock),
            network,
            clock,
            card,
            with_plan,
            unused,
            vouchers,
            numbers,
            secondary,
            aborted,
            asked_again,
        )
        await network.close()


async def _stock_up(borrowed: Connection) -> tuple[list[Card], list[NewVoucher]]:
    await shop.open_shop(borrowed, BEGINNING, sims=40, canadian=40)
    text = PRICES + "".join(RATE.format(*rate) for rate in RATES)
    book = await import_price_book(borrowed, BEGINNING, actor=shop.STAFF, prices=read_toml_price_list(text))
    assert isinstance(book, PriceBook), book
    in_use = [await sell_card_with_two_lines(borrowed, "100.00", BEGINNING) for _ in range(2)]
    for card in in_use:
        await activate_card(
            borrowed, BEGINNING, actor="onecard", gates=NO_ORDER, part=card.part, card_id=card.id
        )
    await take_plan(borrowed, in_use[1])
    unused = [await _sell_with_money(borrowed) for _ in range(UNUSED_CARDS)]
    made = await make_vouchers(
        borrowed,
        BEGINNING,
        actor=shop.STAFF,
        gates=NO_ORDER,
        master=shop.MASTER,
        face=Money(20_000_000, shop.CAD),
        count=24,
        expires_at=BEGINNING + timedelta(days=365),
    )
    assert isinstance(made, tuple), made
    return [*in_use, *unused], made[1]


async def _sell_with_money(borrowed: Connection) -> Card:
    card = await shop.sell(borrowed, BEGINNING)
    account = await top_up(
        borrowed,
        BEGINNING,
        actor=shop.STAFF,
        part=card.part,
        account_id=card.account_id,
        amount=Money(1_000_000, shop.CAD),
        event=f"with card {card.id}",
    )
    assert isinstance(account, Account), account
    return card


async def take_plan(borrowed: Connection, card: Card) -> None:
    """The plan renews on the 28th of each month: of December, at the very instant of the first stage."""
    subscription = await subscribe(
        borrowed,
        BEGINNING + timedelta(days=2),
        actor=shop.STAFF,
        gates=NO_ORDER,
        part=card.part,
        card_id=card.id,
        plan_name="Bridge",
        tariff=await load_tariff(borrowed),
        zone=TORONTO,
        renewal_day=28,
    )
    assert isinstance(subscription, Subscription), subscription


def _set_up_terminal(database: Database, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (directory / "onecard.toml").write_text(CONFIG, encoding="utf-8")
    monkeypatch.chdir(directory)
    monkeypatch.setenv("ONECARD_DATABASE_URL", database.dsn)
    monkeypatch.setenv("ONECARD_DATA", str(directory / "data"))
    monkeypatch.setenv("ONECARD_MASTER_KEY", base64.b64encode(bytes(range(32))).decode())
    monkeypatch.delenv("ONECARD_CONFIG", raising=False)
