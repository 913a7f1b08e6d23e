"""An operator to measure: a database on disk with cards sold, and nodes that are `onecard serve` as anybody runs it."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from onecard.cards.actions import import_stock
from onecard.cards.model import Card
from onecard.catalogue.actions import import_price_book
from onecard.catalogue.reading import read_csv_price_list
from onecard.database.embedded import EmbeddedServer, attach
from onecard.database.migrations import migrate
from onecard.database.pool import Connection, connection, open_pool
from onecard.ledger.actions import check_ledger, top_up
from onecard.lines.actions import import_numbers
from onecard.lines.store import list_lines
from onecard.sales.actions import sell_card_to_newcomer
from onecard.sealing.files import create_key_file
from onecard.sealing.keys import MasterKey
from onecard.sealing.loading import load_master_key
from onecard.subscribers.model import Contact
from onecard.values.card import luhn_is_valid
from onecard.values.gate import NO_ORDER
from onecard.values.language import Language
from onecard.values.money import MICROS, Currency, Money
from onecard.values.phone import E164, Country

PARTS = 4
CARDS = 400
CAD, CA = Currency("CAD"), Country("CA")
PRICES = [
    "usage,line_country,prefix,price,per,first_block,next_block\n",
    "text,CA,1,0.01,segment,,\n",
    "call_out,CA,1,0.06,minute,1,1\n",
]
OPERATOR = """
node = "{node}"
[operator]
name = "Bench"
home_country = "CA"
currency = "CAD"
time_zone = "America/Vancouver"
"""


@dataclass(frozen=True, slots=True)
class Operator:
    """Where it is, and the primary numbers of its cards."""

    directory: Path
    primaries: Sequence[E164]

    async def is_balanced(self) -> bool:
        """Whether the ledger proves itself; a node must be running."""
        server = await attach(self.directory / "data")
        async with open_pool(server.dsn) as pool, connection(pool) as borrowed:
            return not (await check_ledger(borrowed)).violations

    @asynccontextmanager
    async def run_nodes(self, *configurations: tuple[str, int]) -> AsyncIterator[None]:
        """Run a node for each configuration (text, a port it listens on); the first one owns the database server."""
        async with AsyncExitStack() as stack:
            for number, (configuration, port) in enumerate(configurations):
                url = (await attach(self.directory / "data")).dsn if number else None
                node = self._start(number, configuration, url)
                stack.push_async_callback(_stop, node)
                await _until_listening(port, node)
            yield

    def _start(self, number: int, configuration: str, url: str | None) -> subprocess.Popen[bytes]:
        file = self.directory / f"node-{number}.toml"
        file.write_text(OPERATOR.format(node=f"bench-{number}") + configuration)
        environment = {
            **os.environ,
            "ONECARD_CONFIG": str(file),
            "ONECARD_DATA": str(self.directory / "data"),
        }
        if url is not None:
            environment["ONECARD_DATABASE_URL"] = url
        command = [str(Path(sys.executable).with_name("onecard")), "serve"]
        log = file.with_suffix(".log").open("wb")
        return subprocess.Popen(command, env=environment, stderr=log)


@asynccontextmanager
async def open_operator() -> AsyncIterator[Operator]:
    """Make the database and sell the cards, on the disk as it is in production."""
    with tempfile.TemporaryDirectory(prefix="onecard-bench-", dir="/tmp") as place:
        directory = Path(place)
        directory.chmod(0o711)
        key_file = directory / "data.master.key"
        create_key_file(key_file)
        async with (
            await EmbeddedServer.start(directory / "data") as server,
            open_pool(server.dsn) as pool,
            connection(pool) as borrowed,
        ):
            await migrate(borrowed, now=datetime.now(UTC))
            primaries = await _sell_cards(borrowed, load_master_key(key_file, {}))
        yield Operator(directory, primaries)


async def _sell_cards(borrowed: Connection, master: MasterKey) -> list[E164]:
    at = datetime.now(UTC)
    await borrowed.executemany("INSERT INTO part VALUES ($1)", [(part,) for part in range(1, PARTS + 1)])
    await import_stock(borrowed, at, actor="bench", lines=["iccid,imsi\n", *map(_stock_row, range(CARDS))])
    pool = ["msisdn,country\n", *(f"+1604{5_550_000 + n},CA\n" for n in range(CARDS))]
    await import_numbers(borrowed, at, actor="bench", lines=pool)
    soon = at + timedelta(milliseconds=1)
    prices = read_csv_price_list(PRICES, name="bench", currency=CAD, effective_from=soon)
    await import_price_book(borrowed, at, actor="bench", prices=prices)
    return [await _sell(borrowed, at, master) for _ in range(CARDS)]


def _stock_row(number: int) -> str:
    body = f"89302990{number:010d}"
    iccid = next(body + str(digit) for digit in range(10) if luhn_is_valid(body + str(digit)))
    return f"{iccid},30299000{number:07d}\n"


async def _sell(borrowed: Connection, at: datetime, master: MasterKey) -> E164:
    contact = Contact("A B", "a@example.com")
    card = await sell_card_to_newcomer(
        borrowed,
        at,
        actor="bench",
        gates=NO_ORDER,
        master=master,
        contact=contact,
        language=Language.ENGLISH,
        currency=CAD,
        country=CA,
    )
    assert isinstance(card, Card), card
    money = Money(100_000 * MICROS, CAD)
    part, account_id, event = card.part, card.account_id, str(card.id)
    await top_up(borrowed, at, actor="bench", part=part, account_id=account_id, amount=money, event=event)
    return (await list_lines(borrowed, card.part, card.id))[0].msisdn


async def _stop(node: subprocess.Popen[bytes]) -> None:
    node.terminate()
    await asyncio.to_thread(node.wait, 20)


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


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
