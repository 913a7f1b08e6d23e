"""Sell and end cards. Every action is one transaction, or a part of its caller's.

Locks are taken in one order: card, SIM, numbers. A refusal is given before anything is written.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from onecard.cards import store as cards
from onecard.cards.actions import choose_sim, lock_live_card, record
from onecard.cards.model import Card, CardPayment, CardRefusal, CardState, StockItem
from onecard.database.pool import Connection
from onecard.lines import store as lines
from onecard.lines.actions import close_line, open_line, refuse_applications_of_ended_card
from onecard.lines.model import LineLimits, Number
from onecard.sealing.keys import MasterKey
from onecard.subscribers import store as subscribers
from onecard.subscribers.actions import create_subscriber
from onecard.subscribers.model import Contact, Subscriber
from onecard.values.card import Iccid
from onecard.values.gate import Capability, Closed, Gates
from onecard.values.language import Language
from onecard.values.money import Currency
from onecard.values.phone import E164, Country


async def sell_card(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    gates: Gates,
    part: int,
    subscriber_id: int,
    country: Country,
    msisdn: E164 | None = None,
    iccid: Iccid | None = None,
    payment: CardPayment | None = None,
) -> Card | CardRefusal | Closed:
    """Sell a card to a subscriber we know, whose account pays for it too.

    The primary number is `msisdn`, or the next free one of the country; the SIM is `iccid`, or the next one.
    What was paid for the card is kept: it is paid back the same way if the card becomes void before it is used.
    """
    if closed := gates.find_closed(Capability.SALE):
        return closed
    async with connection.transaction():
        subscriber = await subscribers.lock_subscriber(connection, part, subscriber_id)
        if subscriber is None or subscriber.erased_at:
            return CardRefusal.UNKNOWN_SUBSCRIBER
        goods = await _choose(connection, country, msisdn, iccid)
        if isinstance(goods, CardRefusal):
            return goods
        return await _sell(connection, at, actor, subscriber, *goods, payment)


async def sell_card_to_newcomer(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    gates: Gates,
    master: MasterKey,
    contact: Contact,
    language: Language,
    currency: Currency,
    country: Country,
    msisdn: E164 | None = None,
    iccid: Iccid | None = None,
    payment: CardPayment | None = None,
) -> Card | CardRefusal | Closed:
    """Sell a card to somebody new, with an account of `currency`. Number, SIM and payment as in `sell_card`."""
    if closed := gates.find_closed(Capability.SALE):
        return closed
    async with connection.transaction():
        goods = await _choose(connection, country, msisdn, iccid)
        if isinstance(goods, CardRefusal):
            return goods
        subscriber = await create_subscriber(
            connection,
            at,
            actor=actor,
            master=master,
            contact=contact,
            language=language,
            currency=currency,
        )
        return await _sell(connection, at, actor, subscriber, *goods, payment)


async def _choose(
    connection: Connection, country: Country, msisdn: E164 | None, iccid: Iccid | None
) -> tuple[StockItem, Number] | CardRefusal:
    sim = await choose_sim(connection, iccid)
    if isinstance(sim, CardRefusal):
        return sim
    number = await lines.lock_free_number(connection, country, msisdn)
    if number is None:
        return CardRefusal.NUMBER_NOT_FREE if msisdn else CardRefusal.NO_NUMBER_FREE
    return sim, number


async def _sell(
    connection: Connection,
    at: datetime,
    actor: str,
    subscriber: Subscriber,
    sim: StockItem,
    number: Number,
    payment: CardPayment | None,
) -> Card:
    card = Card(
        part=subscriber.part,
        id=await subscribers.next_id(connection),
        subscriber_id=subscriber.id,
        account_id=subscriber.account_id,
        iccid=sim.iccid,
        imsi=sim.imsi,
        state=CardState.SOLD,
    )
    await cards.give_sim(connection, sim.iccid, card.part, card.id)
    await cards.insert_card(connection, card, at)
    if payment is not None:
        await cards.insert_payment(connection, card, payment, at)
    await open_line(
        connection,
        at,
        part=card.part,
        card_id=card.id,
        slot=0,
        msisdn=number.msisdn,
        country=number.country,
    )
    await record(connection, at, actor=actor, action="sell_card", card_id=card.id)
    return card


async def end_card(
    connection: Connection, at: datetime, *, actor: str, part: int, card_id: int, limits: LineLimits
) -> Card | CardRefusal:
    """End a card with its lines; its numbers go to quarantine. The account stays, with what is on it.

    Refused while one of its numbers is on the way to another operator, which asks for an active account.
    """
    async with connection.transaction():
        card = await lock_live_card(connection, part, card_id)
        if isinstance(card, CardRefusal):
            return card
        of_card = await lines.list_lines(connection, part, card_id)
        if any(line.porting_since for line in of_card):
            return CardRefusal.PORTING
        await cards.retire_sim(connection, card.iccid, replaced=False)
        await refuse_applications_of_ended_card(connection, at, actor=actor, card=card)
        for line in of_card:
            await close_line(connection, at, line, limits)
        await cards.end_card(connection, part, card_id, at)
        await record(connection, at, actor=actor, action="end_card", card_id=card_id)
    return replace(card, state=CardState.ENDED)
