"""Texts a second from one end to the other, with everything on this machine.

One process is `onecard serve` on its embedded PostgreSQL (fsync on). Another is both the load generator, an ESME of the
host that submits texts of cards and wants receipts, and the next hop, a message centre that takes every text and
reports it delivered. A text counts when its receipt is back at the ESME: by then it was accepted, charged,
made durable, handed over, receipted, and its receipt made durable and delivered.
"""

from __future__ import annotations

import asyncio
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench import Figure
from onecard.cards.actions import import_stock
from onecard.cards.model import Card
from onecard.catalogue.actions import import_price_book
from onecard.catalogue.reading import read_csv_price_list
from onecard.database.embedded import EmbeddedServer, attach
from onecard.database.migrations import migrate
from onecard.database.pool import Connection, connection, open_pool
from onecard.gateways.passwords import hash_password
from onecard.gateways.smpp.constants import CommandId, CommandStatus
from onecard.gateways.smpp.pdus import ShortMessage
from onecard.gateways.smpp.session import SessionSettings
from onecard.ledger.actions import check_ledger, top_up
from onecard.lines.actions import import_numbers
from onecard.lines.store import list_lines
from onecard.sales.actions import sell_card_to_newcomer
from onecard.sealing.keys import MasterKey, create_master_key, load_master_key
from onecard.story.peers import Esme, MessageCentre, PeerConnection, bind_esme
from onecard.subscribers.model import Contact
from onecard.values.address import international, unknown
from onecard.values.card import luhn_is_valid
from onecard.values.language import Language
from onecard.values.money import MICROS, Currency, Money
from onecard.values.phone import E164, Country

CARDS = 400
SESSIONS = 2
WINDOW = 500
SECONDS = 15.0
WARM_UP_TEXTS = 3000
BODY = b"Meet me at the usual place at half past six, and bring the umbrella."
CAD, CA = Currency("CAD"), Country("CA")
CONFIG = """
[operator]
name = "Bench"
home_country = "CA"
currency = "CAD"
time_zone = "America/Vancouver"
[smpp]
listen = "127.0.0.1:{smpp}"
[http]
listen = "127.0.0.1:{http}"
[[links]]
name = "host"
role = "host"
system_id = "host"
password_hash = "{hash}"
cards = ["302990"]
window_in = {window}
window_out = {window}
[[links]]
name = "carrier"
role = "home"
system_id = "onecard"
numbers = ["+1"]
window_in = {window}
window_out = {window}
connect = {{ address = "127.0.0.1:{carrier}" }}
"""


async def measure() -> list[Figure]:
    """Fill the window for the most, then send at half of that at even intervals for the delays."""
    async with _bench() as bench:
        await bench.send(WARM_UP_TEXTS, a_second=None)
        most = await bench.send_for(SECONDS, a_second=None)
        half = await bench.send_for(SECONDS, a_second=most.a_second / 2)
        balanced = await bench.is_balanced()
    return [
        Figure("texts end to end, window full", most.a_second, "texts/s"),
        Figure("of those refused", most.refused, "texts"),
        Figure("at half that: submit_sm to its answer, p50", half.percentile(half.answer_seconds, 50), "ms"),
        Figure("at half that: submit_sm to its answer, p99", half.percentile(half.answer_seconds, 99), "ms"),
        Figure(
            "at half that: submit_sm to its receipt, p50", half.percentile(half.receipt_seconds, 50), "ms"
        ),
        Figure(
            "at half that: submit_sm to its receipt, p99", half.percentile(half.receipt_seconds, 99), "ms"
        ),
        Figure("charges found wrong by the ledger check", 0 if balanced else 1, "violations"),
    ]


@dataclass(slots=True)
class Run:
    """What one run measured."""

    started: float
    sent_at: dict[str, float] = field(default_factory=dict)
    early_receipts: dict[str, float] = field(default_factory=dict)
    answer_seconds: list[float] = field(default_factory=list)
    receipt_seconds: list[float] = field(default_factory=list)
    refused: int = 0
    ended: float = 0.0

    @property
    def a_second(self) -> float:
        return len(self.receipt_seconds) / (self.ended - self.started)

    @staticmethod
    def percentile(seconds: list[float], percent: int) -> float:
        """In milliseconds."""
        return statistics.quantiles(seconds, n=100)[percent - 1] * 1000


@dataclass(slots=True)
class Bench:
    """The running node, and the load around it."""

    data: Path
    primaries: list[E164]
    esmes: list[Esme] = field(default_factory=list)
    run: Run = field(default_factory=lambda: Run(0.0))
    next_text: int = 0

    def on_receipt(self, _: PeerConnection, message: ShortMessage) -> tuple[CommandStatus, str]:
        """A receipt came back: its text is done."""
        message_id = message.body[3 : message.body.index(b" ")].decode()
        now = time.perf_counter()
        sent_at = self.run.sent_at.pop(message_id, None)
        if sent_at is None:
            self.run.early_receipts[message_id] = now
        else:
            self.run.receipt_seconds.append(now - sent_at)
        return CommandStatus.ESME_ROK, ""

    async def send_for(self, seconds: float, *, a_second: float | None) -> Run:
        """Send for a time, then wait for the last receipt."""
        self.run = Run(time.perf_counter())
        stop_at = self.run.started + seconds
        senders = [self._fill(esme, stop_at=stop_at, a_second=a_second) for esme in self.esmes]
        await asyncio.gather(*senders)
        await self._drain()
        return self.run

    async def send(self, count: int, *, a_second: float | None) -> Run:
        """Send a number of texts, then wait for the last receipt."""
        self.run = Run(time.perf_counter())
        share = count // len(self.esmes)
        await asyncio.gather(*(self._fill(esme, count=share, a_second=a_second) for esme in self.esmes))
        await self._drain()
        return self.run

    async def _fill(
        self, esme: Esme, *, a_second: float | None, stop_at: float = float("inf"), count: int = sys.maxsize
    ) -> None:
        """Keep the window full, or keep to the pace."""
        pace = a_second / len(self.esmes) if a_second else None
        begun = time.perf_counter()
        sent = 0
        while sent < count and (now := time.perf_counter()) < stop_at:
            due = count if pace is None else min(count, int((now - begun) * pace) + 1)
            while sent < due and esme.connection.session.window_open:
                self._submit(esme)
                sent += 1
            await asyncio.sleep(0.001)

    def _submit(self, esme: Esme) -> None:
        self.next_text += 1
        primary = self.primaries[self.next_text % len(self.primaries)]
        far = f"1604777{self.next_text % 10_000:04d}"
        sent_at = time.perf_counter()
        answer = esme.connection.send_nowait(
            ShortMessage(
                CommandId.SUBMIT_SM, international(primary), unknown(far), BODY, registered_delivery=1
            )
        )
        answer.add_done_callback(
            lambda done: self._on_answer(done.result().status, done.result().message_id, sent_at)
        )

    def _on_answer(self, status: int, message_id: str, sent_at: float) -> None:
        now = time.perf_counter()
        if status:
            self.run.refused += 1
            return
        self.run.answer_seconds.append(now - sent_at)
        early = self.run.early_receipts.pop(message_id, None)
        if early is None:
            self.run.sent_at[message_id] = sent_at
        else:
            self.run.receipt_seconds.append(early - sent_at)

    async def _drain(self) -> None:
        """Wait until every text is receipted: the time it takes is part of the measure."""
        give_up = time.perf_counter() + 60
        while any(esme.connection.session.unanswered for esme in self.esmes) or self.run.sent_at:
            if time.perf_counter() > give_up:
                raise TimeoutError(f"{len(self.run.sent_at)} texts have no receipt")
            await asyncio.sleep(0.01)
        self.run.ended = time.perf_counter()

    async def is_balanced(self) -> bool:
        """The ledger proves itself afterwards."""
        server = await attach(self.data)
        async with open_pool(server.dsn) as pool, connection(pool) as borrowed:
            return not (await check_ledger(borrowed)).violations


@asynccontextmanager
async def _bench() -> AsyncIterator[Bench]:
    with tempfile.TemporaryDirectory(prefix="onecard-bench-", dir="/tmp") as place:
        directory = Path(place)
        directory.chmod(0o711)
        carrier = MessageCentre("", settings=SessionSettings(incoming_window=10_000, outgoing_window=WINDOW))
        await carrier.listen()
        ports = {"smpp": _free_port(), "http": _free_port(), "carrier": carrier.port}
        bench = await _prepare(directory, ports)
        node = _start_node(directory)
        try:
            await _until_listening(ports["smpp"], node)
            for _ in range(SESSIONS):
                bench.esmes.append(
                    await bind_esme(
                        "127.0.0.1",
                        ports["smpp"],
                        "host",
                        "bench",
                        on_text=bench.on_receipt,
                        settings=SessionSettings(incoming_window=10_000, outgoing_window=WINDOW),
                    )
                )
            while not carrier.connections:
                await asyncio.sleep(0.05)
            yield bench
        finally:
            for esme in bench.esmes:
                await esme.connection.close()
            node.terminate()
            await asyncio.to_thread(node.wait, 20)
            await carrier.close()


async def _prepare(directory: Path, ports: dict[str, int]) -> Bench:
    """Make the database, sell the cards, and write the configuration."""
    data = directory / "data"
    key_file = directory / "data.master.key"
    create_master_key(key_file)
    async with (
        await EmbeddedServer.start(data) as server,
        open_pool(server.dsn) as pool,
        connection(pool) as borrowed,
    ):
        await migrate(borrowed, now=datetime.now(UTC))
        primaries = await _sell_cards(borrowed, key_file)
    config = CONFIG.format(hash=hash_password("bench"), window=2 * WINDOW, **ports)
    (directory / "onecard.toml").write_text(config)
    return Bench(data, primaries)


async def _sell_cards(borrowed: Connection, key_file: Path) -> list[E164]:
    at = datetime.now(UTC)
    master = load_master_key(key_file, {})
    await borrowed.executemany("INSERT INTO part VALUES ($1)", [(part,) for part in range(1, 5)])
    await import_stock(borrowed, at, actor="bench", lines=["iccid,imsi\n", *map(_stock_row, range(CARDS))])
    pool = ["msisdn,country\n", *(f"+1604{5_550_000 + n},CA\n" for n in range(CARDS))]
    await import_numbers(borrowed, at, actor="bench", lines=pool)
    prices = read_csv_price_list(
        ["usage,line_country,prefix,price,per\n", "text,CA,1,0.01,segment\n"],
        name="bench",
        currency=CAD,
        effective_from=at + timedelta(milliseconds=1),
    )
    await import_price_book(borrowed, at, actor="bench", prices=prices)
    return [await _sell(borrowed, at, master) for _ in range(CARDS)]


def _stock_row(number: int) -> str:
    body = f"89302990{number:010d}"
    iccid = next(body + str(digit) for digit in range(10) if luhn_is_valid(body + str(digit)))
    return f"{iccid},30299000{number:07d}\n"


async def _sell(borrowed: Connection, at: datetime, master: MasterKey) -> E164:
    card = await sell_card_to_newcomer(
        borrowed,
        at,
        actor="bench",
        master=master,
        contact=Contact("A B", "a@example.com"),
        language=Language.ENGLISH,
        currency=CAD,
        country=CA,
    )
    assert isinstance(card, Card), card
    money = Money(100_000 * MICROS, CAD)
    await top_up(
        borrowed,
        at,
        actor="bench",
        part=card.part,
        account_id=card.account_id,
        amount=money,
        event=str(card.id),
    )
    return (await list_lines(borrowed, card.part, card.id))[0].msisdn


def _start_node(directory: Path) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "ONECARD_CONFIG": str(directory / "onecard.toml"),
        "ONECARD_DATA": str(directory / "data"),
    }
    command = [str(Path(sys.executable).with_name("onecard")), "serve"]
    return subprocess.Popen(command, env=environment, stderr=(directory / "node.log").open("wb"))


async def _until_listening(port: int, node: subprocess.Popen[bytes]) -> None:
    while True:
        if node.poll() is not None:
            raise RuntimeError("onecard ended before it listened")
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.1)
        else:
            writer.close()
            return


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
