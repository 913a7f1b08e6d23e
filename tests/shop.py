"""What tests of cards and lines begin with: parts, SIM stock, number pools, a card that was sold."""

from __future__ import annotations

from datetime import UTC, datetime

from onecard.cards.actions import import_stock
from onecard.cards.model import Card
from onecard.database.pool import Connection
from onecard.lines.actions import import_numbers
from onecard.sales.actions import sell_card_to_newcomer
from onecard.sealing.keys import MasterKey
from onecard.subscribers.model import Contact
from onecard.values.card import luhn_is_valid
from onecard.values.gate import NO_ORDER
from onecard.values.language import Language
from onecard.values.money import Currency
from onecard.values.phone import Country

AT = datetime(2026, 3, 10, 12, tzinfo=UTC)
STAFF = "staff:alice"
MASTER = MasterKey(bytes(range(32)))
CA = Country("CA")
CN = Country("CN")
CAD = Currency("CAD")
WANG = Contact("Wang Fang", "wang.fang@example.com", "1 Main Street\nVancouver")


def make_iccid(number: int) -> str:
    """The ICCID of this number, with its check digit."""
    body = f"89302610{number:010d}"
    return next(body + str(digit) for digit in range(10) if luhn_is_valid(body + str(digit)))


def stock(count: int, *, first: int = 0) -> list[str]:
    """A CSV file of SIMs."""
    return ["iccid,imsi\n", *(f"{make_iccid(n)},30299000{n:07d}\n" for n in range(first, first + count))]


def numbers(*, canadian: int = 0, chinese: int = 0) -> list[str]:
    """A CSV file of numbers."""
    return [
        "msisdn,country\n",
        *(f"+160455501{n:02d},CA\n" for n in range(canadian)),
        *(f"+8613800138{n:03d},CN\n" for n in range(chinese)),
    ]


async def open_shop(
    connection: Connection,
    at: datetime = AT,
    *,
    sims: int = 5,
    canadian: int = 5,
    chinese: int = 10,
    parts: int = 4,
) -> None:
    """Make the parts, and fill the stock and the pools."""
    await connection.executemany("INSERT INTO part VALUES ($1)", [(part,) for part in range(1, parts + 1)])
    await import_stock(connection, at, actor=STAFF, lines=stock(sims))
    await import_numbers(connection, at, actor=STAFF, lines=numbers(canadian=canadian, chinese=chinese))


async def sell(connection: Connection, at: datetime = AT) -> Card:
    """Sell the next card, with the next Canadian number, to somebody new."""
    card = await sell_card_to_newcomer(
        connection,
        at,
        actor=STAFF,
        gates=NO_ORDER,
        master=MASTER,
        contact=WANG,
        language=Language.CHINESE_SIMPLIFIED,
        currency=CAD,
        country=CA,
    )
    assert isinstance(card, Card), card
    return card
