"""Price books for texts: per country of the line, by the longest prefix of the destination, per segment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from onecard.values.money import Currency
from onecard.values.phone import Country

SHORT_CODE = "short"
"""Stands in a price book in place of a prefix, for short codes of the line's own country."""


@dataclass(frozen=True, slots=True)
class TextRate:
    """The price of one segment of a text from a line of one country to destinations of one prefix."""

    line_country: Country
    prefix: str
    micros_per_segment: int


@dataclass(frozen=True, slots=True)
class PriceBook:
    """The rates of one currency from a date on, until the next book of that currency takes effect."""

    id: int
    name: str
    currency: Currency
    effective_from: datetime
    text_rates: Mapping[tuple[Country, str], TextRate]


@dataclass(frozen=True, slots=True)
class Tariff:
    """All price books, of every currency, the latest first."""

    books: tuple[PriceBook, ...] = ()


class PriceBookRefusal(Enum):
    """Why a price book was not imported."""

    ALREADY_IMPORTED = "already_imported"
    IN_THE_PAST = "in_the_past"
