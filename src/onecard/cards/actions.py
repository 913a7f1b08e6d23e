"""What is done to SIM stock and to cards. Every action is one transaction, or a part of its caller's.

Selling and ending a card concern its numbers too: see `onecard.sales`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from onecard import audit
from onecard.cards import store
from onecard.cards.model import Card, CardRefusal, CardState, StockItem
from onecard.cards.rules import (
    EXCEPTION_LENGTH_MOST,
    STOCK_COLUMNS,
    STOCK_COLUMNS_OPTIONAL,
    find_gate_of_replacement,
    parse_stock_item,
)
from onecard.database.pool import Connection
from onecard.values.card import Iccid
from onecard.values.gate import Capability, Closed, Gates
from onecard.values.table import parse_rows, read_table, take_rows

STOCK_ROWS_MOST = 1_000_000


async def import_stock(connection: Connection, at: datetime, *, actor: str, lines: Iterable[str]) -> int:
    """Add the SIMs of a CSV file (``iccid,imsi[,activation_code]``), all or none; returns how many.

    Raises `BadTable` that names every row that is wrong, or whose ICCID or IMSI is known already.
    """
    rows = read_table(
        lines, required=STOCK_COLUMNS, optional=STOCK_COLUMNS_OPTIONAL, rows_most=STOCK_ROWS_MOST
    )
    async with connection.transaction():
        count = await take_rows(
            parse_rows(rows, parse_stock_item),
            partial(_insert_stock, connection, at),
            key=lambda item: item.iccid,
            taken="or its IMSI is in stock already, or further up in this file",
        )
        await audit.record(
            connection, at, actor=actor, action="import_stock", subject="stock", detail={"count": count}
        )
    return count


async def _insert_stock(connection: Connection, at: datetime, items: Sequence[StockItem]) -> set[Iccid]:
    return await store.insert_stock(connection, items, at)


async def choose_sim(connection: Connection, iccid: Iccid | None = None) -> StockItem | CardRefusal:
    """Take hold of a given SIM in stock, or of the next one."""
    if iccid is None:
        return await store.lock_next_sim(connection) or CardRefusal.OUT_OF_STOCK
    found = await store.lock_sim(connection, iccid)
    if found is None:
        return CardRefusal.UNKNOWN_SIM
    sim, in_stock = found
    return sim if in_stock else CardRefusal.SIM_NOT_IN_STOCK


async def activate_card(
    connection: Connection, at: datetime, *, actor: str, gates: Gates, part: int, card_id: int
) -> Card | CardRefusal | Closed:
    """Note the first use of a card on the network."""
    if closed := gates.find_closed(Capability.ACTIVATION):
        return closed
    async with connection.transaction():
        card = await lock_live_card(connection, part, card_id)
        if isinstance(card, CardRefusal):
            return card
        if card.state is CardState.ACTIVE:
            return CardRefusal.ALREADY_ACTIVE
        await store.activate_card(connection, part, card_id, at)
        await record(connection, at, actor=actor, action="activate_card", card_id=card_id)
    return replace(card, state=CardState.ACTIVE)


async def replace_sim(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    gates: Gates,
    part: int,
    card_id: int,
    iccid: Iccid | None = None,
    exception: str | None = None,
) -> Card | CardRefusal | Closed:
    """Give a card another SIM (a given one, or the next in stock); numbers, lines and account stay.

    Where the gate is closed, `exception` says why it is done all the same, and is written down: at most
    `rules.EXCEPTION_LENGTH_MOST` characters, that name no person.
    """
    assert exception is None or 0 < len(exception) <= EXCEPTION_LENGTH_MOST
    if closed := find_gate_of_replacement(gates, is_exception=exception is not None):
        return closed
    async with connection.transaction():
        card = await lock_live_card(connection, part, card_id)
        if isinstance(card, CardRefusal):
            return card
        sim = await choose_sim(connection, iccid)
        if isinstance(sim, CardRefusal):
            return sim
        await store.retire_sim(connection, card.iccid, replaced=True)
        await store.give_sim(connection, sim.iccid, part, card_id)
        await store.replace_sim_of_card(connection, part, card_id, sim)
        detail = {"exception": exception} if exception else {}
        await record(connection, at, actor=actor, action="replace_sim", card_id=card_id, detail=detail)
    return replace(card, iccid=sim.iccid, imsi=sim.imsi)


async def lock_live_card(connection: Connection, part: int, card_id: int) -> Card | CardRefusal:
    """Take hold of a card that has not ended."""
    card = await store.lock_card(connection, part, card_id)
    if card is None:
        return CardRefusal.UNKNOWN_CARD
    return CardRefusal.CARD_ENDED if card.state is CardState.ENDED else card


async def record(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    action: str,
    card_id: int,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Write down what was done to a card, and tell every node."""
    await audit.record(connection, at, actor=actor, action=action, subject=f"card:{card_id}", detail=detail)
    await store.record_change(connection, card_id, at)
