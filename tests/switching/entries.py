"""Cards and lines in memory, as the directory holds them."""

from __future__ import annotations

from onecard.cards.model import Card, CardState
from onecard.lines.model import Line
from onecard.switching.model import CardEntry
from onecard.values.card import Iccid, Imsi
from onecard.values.language import Language
from onecard.values.money import Currency
from onecard.values.phone import E164, Country

CAD = Currency("CAD")
CA, CN = Country("CA"), Country("CN")


def msisdn_of(card_id: int, slot: int) -> E164:
    """The number in a slot of a card of this room."""
    return E164(f"+1604234{card_id:04}" if slot == 0 else f"+86138{slot:02}{card_id:06}")


def make_line(card_id: int = 1, slot: int = 0) -> Line:
    """A line that takes everything: Canadian in slot 0, Chinese in the others."""
    country, zone = (CA, "America/Vancouver") if slot == 0 else (CN, "Asia/Shanghai")
    return Line(1, card_id * 10 + slot, card_id, slot, msisdn_of(card_id, slot), country, zone)


def make_entry(card_id: int = 1, *, secondaries: int = 0) -> CardEntry:
    """A card in use, with its primary line and so many secondary ones."""
    card = Card(
        1,
        card_id,
        card_id,
        card_id,
        Iccid(f"8930261{card_id:012}"),
        Imsi(f"302990{card_id:09}"),
        CardState.ACTIVE,
    )
    lines = tuple(make_line(card_id, slot) for slot in range(secondaries + 1))
    return CardEntry(card, Language.ENGLISH, CAD, lines)
