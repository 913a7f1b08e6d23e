"""What a decision is made from, and what it says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from onecard.cards.model import Card
from onecard.catalogue.model import ChargeFacts, Explanation
from onecard.lines.model import Line
from onecard.values.address import Address
from onecard.values.language import Language
from onecard.values.money import Currency
from onecard.values.phone import E164, Country


@dataclass(frozen=True, slots=True)
class TextAllowance:
    """Segments that are used before cash: the ledger account that counts them, and what they are for."""

    account_id: int
    line_countries: tuple[Country, ...]
    """Of which lines; none: of all."""
    expires_at: datetime
    overage: bool = True
    """Whether cash pays when it is used up."""

    def covers(self, line: Line, at: datetime) -> bool:
        """Whether a text of the line may be paid by it."""
        return self.expires_at > at and (not self.line_countries or line.country in self.line_countries)


@dataclass(frozen=True, slots=True)
class CardEntry:
    """What the directory knows of a card: enough to decide any call or text of any of its lines."""

    card: Card
    language: Language
    currency: Currency
    lines: tuple[Line, ...]
    """The active lines, by slot; the primary first."""
    text_allowances: tuple[TextAllowance, ...] = ()
    """In the order in which they are used."""

    @property
    def primary(self) -> Line:
        return self.lines[0]

    def line_in_slot(self, slot: int) -> Line | None:
        return next((line for line in self.lines if line.slot == slot), None)

    def line_of(self, msisdn: E164) -> Line:
        return next(line for line in self.lines if line.msisdn == msisdn)


class LinkRole(Enum):
    """Who is at the other end of a link, and so what they may send."""

    HOST = "host"
    """The host operator, whose radio network carries the card: texts of the card come from here and go here."""
    HOME = "home"
    """A home operator: texts to and from its numbers."""
    APPLICATION = "application"
    """A bank or content sender: texts to any line, never held up by what its subscriber set."""


@dataclass(frozen=True, slots=True)
class Route:
    """A link as switching sees it: its role and what goes by it."""

    link: str
    role: LinkRole
    numbers: tuple[str, ...] = ()
    """E.164 prefixes (``+86``) of the lines whose outgoing texts leave here."""
    cards: tuple[str, ...] = ()
    """IMSI prefixes of the cards that are reached here."""


@dataclass(frozen=True, slots=True)
class ToCard:
    """A text that goes to a line's card."""

    entry: CardEntry
    line: Line
    link: str
    source: Address
    """The sender as the card shows it: the service code and slot stand before it on a secondary line."""
    destination: Address
    far: str


@dataclass(frozen=True, slots=True)
class FromCard:
    """A text that a line sends."""

    entry: CardEntry
    line: Line
    link: str
    source: Address
    destination: Address
    far: str
    explanation: Explanation
    """What the text costs, and by which rate."""
    facts: ChargeFacts
    """The same, for those who do not read English."""

    @property
    def price_micros(self) -> int:
        return self.explanation.price_micros


@dataclass(frozen=True, slots=True)
class ToServiceCode:
    """A text to the service code itself: a command of the subscriber."""

    entry: CardEntry


class TextRefusal(Enum):
    """Why a text was not accepted."""

    UNKNOWN_SENDER = "unknown_sender"
    UNKNOWN_LINE = "unknown_line"
    NOT_YOUR_NUMBER = "not_your_number"
    BAD_DESTINATION = "bad_destination"
    NO_LINE_IN_SLOT = "no_line_in_slot"
    LINE_OFF = "line_off"
    TEXTS_BARRED = "texts_barred"
    SENDER_BLOCKED = "sender_blocked"
    OUTSIDE_SCHEDULE = "outside_schedule"
    CARD_VOID = "card_void"
    """It was never activated, and an order to stop has ended activation."""
    TEXTS_ENDED = "texts_ended"
    SECONDARY_LINES_ENDED = "secondary_lines_ended"
    SUPPORT_ENDED = "support_ended"
    NO_RATE = "no_rate"
    NO_ROUTE = "no_route"
    CREDIT_EXHAUSTED = "credit_exhausted"
    QUEUE_FULL = "queue_full"
    UNAVAILABLE = "unavailable"


Decision = ToCard | FromCard | ToServiceCode | TextRefusal
