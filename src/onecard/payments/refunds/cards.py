"""Refund what was paid for cards that became void before they were used: the way it was paid.

Locks are taken in one order: card, the part's turn at the ledger.
"""

from __future__ import annotations

from datetime import datetime

from onecard import ledger
from onecard.cards.model import Card, CardPayment, CardState
from onecard.cards.store import find_payment, lock_card
from onecard.database.pool import Connection
from onecard.ledger import EntryKind, Posted, Posting
from onecard.payments.refunds import store
from onecard.payments.refunds.actions import hold_and_insert
from onecard.payments.refunds.model import (
    NewRefund,
    OriginalPayment,
    Refund,
    RefundedValue,
    RefundRefusal,
)
from onecard.payments.sides.actions import open_side_accounts
from onecard.payments.sides.model import SideValue
from onecard.values.gate import Capability, Closed, Gates

CASH = "cash"
"""What nobody can send back to a reference: it goes to a payee."""


async def request_refund_of_card(
    connection: Connection, at: datetime, *, actor: str, gates: Gates, part: int, card_id: int
) -> Refund | RefundRefusal | Closed:
    """Request what was paid for a card that was never used and cannot be any more. A repeat gets the first refund."""
    if closed := gates.find_closed(Capability.REFUND):
        return closed
    async with connection.transaction():
        card = await lock_card(connection, part, card_id)
        if card is None:
            return RefundRefusal.UNKNOWN_CARD
        event_id = ledger.name_event("refund_of_card", str(card_id))
        known = await store.find_events(connection, part, [event_id])
        if known:
            _, refund_id = known[event_id]
            return (await store.lock_refunds(connection, part, [refund_id]))[refund_id]
        if card.state is not CardState.SOLD or gates.is_open(Capability.ACTIVATION):
            return RefundRefusal.CARD_IN_USE
        payment = await find_payment(connection, part, card_id)
        return await _request(connection, at, actor, card, payment) if payment else RefundRefusal.NOT_PAID


async def _request(
    connection: Connection, at: datetime, actor: str, card: Card, payment: CardPayment
) -> Refund | RefundRefusal:
    await ledger.take_turn(connection, card.part)
    if payment.method == CASH:
        taken = await store.find_open(connection, card.part, [card.account_id])
        if (card.account_id, RefundedValue.UNACTIVATED_CARDS) in taken:
            return RefundRefusal.ALREADY_OPEN
    account = await ledger.find_account(connection, card.part, card.account_id)
    assert account is not None  # a card is sold with its account
    assert account.currency == payment.amount.currency  # in which the card was sold
    sides = await open_side_accounts(connection, at, card.part, SideValue.UNACTIVATED_CARDS, [account])
    event_id = ledger.name_event("refund_of_card", str(card.id))
    new = NewRefund(
        card.account_id,
        sides[account.id],
        card.subscriber_id,
        RefundedValue.UNACTIVATED_CARDS,
        payment.amount,
        event_id,
        ledger.hash_contents(card.id),
        None if payment.method == CASH else OriginalPayment(payment.method, payment.reference),
    )
    await _owe(connection, at, card, new)
    return (await hold_and_insert(connection, at, actor=actor, part=card.part, new=[new]))[event_id]


async def _owe(connection: Connection, at: datetime, card: Card, new: NewRefund) -> None:
    """The price of a void card is the subscriber's again."""
    posting = Posting(
        part=card.part,
        account_id=new.ledger_account_id,
        event_id=new.event_id,
        kind=EntryKind.CARD_PRICE,
        available=new.amount.micros,
        content_hash=new.content_hash,
        memo=f"card {card.id}",
    )
    posted = await ledger.post_one(connection, posting, at)
    assert posted is Posted.POSTED
