"""SIM cards, from stock to their end."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from onecard.values.card import Iccid, Imsi
from onecard.values.money import Money


class CardState(Enum):
    """Where a sold card is in its life; the first use on the network activates it."""

    SOLD = "sold"
    ACTIVE = "active"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class StockItem:
    """One SIM, or one eSIM profile with its activation code (GSMA SGP.22 section 4.1)."""

    iccid: Iccid
    imsi: Imsi
    activation_code: str | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """A card that was sold: its numbers are its lines, its account pays for them all."""

    part: int
    id: int
    subscriber_id: int
    account_id: int
    iccid: Iccid
    imsi: Imsi
    state: CardState


@dataclass(frozen=True, slots=True)
class CardPayment:
    """What was paid for a card, how, and the payer's own reference."""

    amount: Money
    method: str
    """``cash``, or the name of the payment provider that took it."""
    reference: str


class CardRefusal(Enum):
    """Why an action on a card was refused."""

    OUT_OF_STOCK = "out_of_stock"
    UNKNOWN_SIM = "unknown_sim"
    SIM_NOT_IN_STOCK = "sim_not_in_stock"
    NO_NUMBER_FREE = "no_number_free"
    NUMBER_NOT_FREE = "number_not_free"
    UNKNOWN_SUBSCRIBER = "unknown_subscriber"
    UNKNOWN_CARD = "unknown_card"
    CARD_ENDED = "card_ended"
    PORTING = "porting"
    """One of its numbers is being taken to another operator."""
    ALREADY_ACTIVE = "already_active"
