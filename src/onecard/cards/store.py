"""The rows of SIM stock and of sold cards."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from onecard.cards.model import Card, CardPayment, CardState, StockItem
from onecard.database.pool import Connection
from onecard.values.card import Iccid, Imsi
from onecard.values.money import Currency, Money

_CARD = "SELECT part, id, subscriber_id, account_id, iccid, imsi, state FROM card"

INSERT_STOCK = """
INSERT INTO sim (iccid, imsi, activation_code, state, imported_at)
SELECT i, m, c, 'stock', $4 FROM unnest($1::text[], $2::text[], $3::text[]) AS item(i, m, c)
ON CONFLICT DO NOTHING RETURNING iccid"""
# Two sales at once take two SIMs: each passes over the one that the other holds.
LOCK_NEXT_SIM = """
SELECT iccid, imsi, activation_code, state FROM sim WHERE state = 'stock'
ORDER BY iccid LIMIT 1 FOR UPDATE SKIP LOCKED"""
LOCK_SIM = "SELECT iccid, imsi, activation_code, state FROM sim WHERE iccid = $1 FOR UPDATE"
GIVE_SIM = "UPDATE sim SET state = 'sold', part = $2, card_id = $3 WHERE iccid = $1"
RETIRE_SIM = "UPDATE sim SET state = $2 WHERE iccid = $1"
COUNT_STOCK = "SELECT count(*) FROM sim WHERE state = 'stock'"
LIST_STOCK = """
SELECT iccid, imsi, activation_code FROM sim WHERE state = 'stock' AND iccid > $1 ORDER BY iccid LIMIT $2"""
FIND_BY_ICCID = "SELECT part, card_id FROM sim WHERE iccid = $1 AND state = 'sold'"
FIND_BY_IMSI = "SELECT part, card_id FROM sim WHERE imsi = $1 AND state = 'sold'"

INSERT_CARD = """
INSERT INTO card (part, id, subscriber_id, account_id, iccid, imsi, state, sold_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"""
INSERT_PAYMENT = """
INSERT INTO card_payment (part, card_id, paid_micros, currency, method, reference, paid_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)"""
FIND_PAYMENT = """
SELECT paid_micros, currency, method, reference FROM card_payment WHERE part = $1 AND card_id = $2"""
FIND_CARD = f"{_CARD} WHERE part = $1 AND id = $2"
LOCK_CARD = f"{FIND_CARD} FOR UPDATE"
LIST_CARDS = f"{_CARD} WHERE (part, id) > ($1, $2) ORDER BY part, id LIMIT $3"
LIST_CARDS_OF_SUBSCRIBER = f"{_CARD} WHERE part = $1 AND subscriber_id = $2 ORDER BY id"
FIND_PART = "SELECT c.part FROM part p JOIN card c ON c.part = p.part AND c.id = $1"
ACTIVATE_CARD = "UPDATE card SET state = 'active', activated_at = $3 WHERE part = $1 AND id = $2"
REPLACE_SIM = "UPDATE card SET iccid = $3, imsi = $4 WHERE part = $1 AND id = $2"
END_CARD = "UPDATE card SET state = 'ended', ended_at = $3 WHERE part = $1 AND id = $2"
RECORD_CHANGE = "SELECT record_change('card', $1, $2)"


async def insert_stock(connection: Connection, items: Sequence[StockItem], at: datetime) -> set[Iccid]:
    """Add SIMs to the stock; returns those added. Where an ICCID or IMSI was there before, nothing is."""
    rows = await connection.fetch(
        INSERT_STOCK,
        [item.iccid for item in items],
        [item.imsi for item in items],
        [item.activation_code for item in items],
        at,
    )
    return {Iccid(row["iccid"]) for row in rows}


async def lock_next_sim(connection: Connection) -> StockItem | None:
    """Take hold of the next SIM in stock."""
    row = await connection.fetchrow(LOCK_NEXT_SIM)
    return None if row is None else _stock_item(row)


async def lock_sim(connection: Connection, iccid: Iccid) -> tuple[StockItem, bool] | None:
    """Take hold of a given SIM; returns it and whether it is in stock."""
    row = await connection.fetchrow(LOCK_SIM, iccid)
    return None if row is None else (_stock_item(row), row["state"] == "stock")


async def give_sim(connection: Connection, iccid: Iccid, part: int, card_id: int) -> None:
    """A SIM in stock becomes the one of a card."""
    await connection.execute(GIVE_SIM, iccid, part, card_id)


async def retire_sim(connection: Connection, iccid: Iccid, *, replaced: bool) -> None:
    """A SIM is out of use for good: its card has another one now, or has ended."""
    await connection.execute(RETIRE_SIM, iccid, "replaced" if replaced else "ended")


async def count_stock(connection: Connection) -> int:
    count: int = await connection.fetchval(COUNT_STOCK)
    return count


async def list_stock(connection: Connection, *, after: str = "", most: int = 100) -> tuple[StockItem, ...]:
    """The SIMs in stock by ICCID, a page at a time."""
    return tuple(_stock_item(row) for row in await connection.fetch(LIST_STOCK, after, most))


async def insert_card(connection: Connection, card: Card, at: datetime) -> None:
    await connection.execute(
        INSERT_CARD,
        card.part,
        card.id,
        card.subscriber_id,
        card.account_id,
        card.iccid,
        card.imsi,
        card.state.value,
        at,
    )


async def insert_payment(connection: Connection, card: Card, payment: CardPayment, at: datetime) -> None:
    """Note what was paid for a card."""
    await connection.execute(
        INSERT_PAYMENT,
        card.part,
        card.id,
        payment.amount.micros,
        payment.amount.currency,
        payment.method,
        payment.reference,
        at,
    )


async def find_payment(connection: Connection, part: int, card_id: int) -> CardPayment | None:
    """What was paid for a card, if it was written down."""
    row = await connection.fetchrow(FIND_PAYMENT, part, card_id)
    return None if row is None else CardPayment(Money(row[0], Currency(row[1])), row[2], row[3])


async def find_card(connection: Connection, part: int, card_id: int) -> Card | None:
    return _card(await connection.fetchrow(FIND_CARD, part, card_id))


async def lock_card(connection: Connection, part: int, card_id: int) -> Card | None:
    """Take hold of a card: whatever counts or changes its lines and applications does this first."""
    return _card(await connection.fetchrow(LOCK_CARD, part, card_id))


async def list_cards(
    connection: Connection, *, after: tuple[int, int] = (-1, 0), most: int = 100
) -> tuple[Card, ...]:
    """All cards by (part, id), a page at a time."""
    return tuple(read_card(row) for row in await connection.fetch(LIST_CARDS, *after, most))


async def list_cards_of_subscriber(connection: Connection, part: int, subscriber_id: int) -> tuple[Card, ...]:
    rows = await connection.fetch(LIST_CARDS_OF_SUBSCRIBER, part, subscriber_id)
    return tuple(read_card(row) for row in rows)


async def find_part_of_card(connection: Connection, card_id: int) -> int | None:
    """The part of a card of which only the id is known."""
    part: int | None = await connection.fetchval(FIND_PART, card_id)
    return part


async def find_card_of_sim(
    connection: Connection, *, iccid: Iccid | None = None, imsi: Imsi | None = None
) -> tuple[int, int] | None:
    """The part and id of the card that a SIM is in now, by either of its identifiers."""
    assert (iccid is None) != (imsi is None)
    row = (
        await connection.fetchrow(FIND_BY_IMSI, imsi)
        if iccid is None
        else await connection.fetchrow(FIND_BY_ICCID, iccid)
    )
    return None if row is None else (row["part"], row["card_id"])


async def activate_card(connection: Connection, part: int, card_id: int, at: datetime) -> None:
    await connection.execute(ACTIVATE_CARD, part, card_id, at)


async def replace_sim_of_card(connection: Connection, part: int, card_id: int, sim: StockItem) -> None:
    await connection.execute(REPLACE_SIM, part, card_id, sim.iccid, sim.imsi)


async def end_card(connection: Connection, part: int, card_id: int, at: datetime) -> None:
    await connection.execute(END_CARD, part, card_id, at)


async def record_change(connection: Connection, card_id: int, at: datetime) -> None:
    """Tell every node to forget what it holds of a card."""
    await connection.execute(RECORD_CHANGE, card_id, at)


def read_card(row: asyncpg.Record) -> Card:
    return Card(
        part=row["part"],
        id=row["id"],
        subscriber_id=row["subscriber_id"],
        account_id=row["account_id"],
        iccid=Iccid(row["iccid"]),
        imsi=Imsi(row["imsi"]),
        state=CardState(row["state"]),
    )


def _card(row: asyncpg.Record | None) -> Card | None:
    return None if row is None else read_card(row)


def _stock_item(row: asyncpg.Record) -> StockItem:
    return StockItem(Iccid(row["iccid"]), Imsi(row["imsi"]), row["activation_code"])
