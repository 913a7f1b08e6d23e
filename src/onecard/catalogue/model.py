"""Price books: what usage of a line costs, by an index that finds the rate in a few probes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum

import msgspec

from onecard.values.hours import Hours
from onecard.values.money import Currency, format_micros
from onecard.values.phone import Country

SHORT_CODE = "short"
"""Stands in a price book in place of a prefix, for short codes of the line's own country."""
ANYWHERE = "*"
"""The zone of a rate that holds wherever the card is."""
HOME = "home"
"""The zone of networks where the card does not roam."""
UNKNOWN_ZONE = "unknown"
"""Where a card is in a network that no zone names: only rates for anywhere hold there."""


class UsageKind(StrEnum):
    """What is paid for. Units: segments of a text, seconds of a call, octets of data."""

    TEXT = "text"
    CALL_OUT = "call_out"
    CALL_IN = "call_in"
    DATA = "data"

    @property
    def unit(self) -> str:
        return _UNITS[self]


_UNITS = {
    UsageKind.TEXT: "segment",
    UsageKind.CALL_OUT: "s",
    UsageKind.CALL_IN: "s",
    UsageKind.DATA: "octets",
}


class Rate(msgspec.Struct, frozen=True, cache_hash=True, gc=False):
    """A price, and the usage it is for.

    `price_micros` are for `price_units`; units are counted in blocks, the first of `first_block`, all others of
    `next_block`. To that comes `setup_micros`, and without it no usage costs less than `minimum_micros`.
    """

    usage: UsageKind
    line_country: Country
    price_micros: int
    price_units: int = 1
    prefix: str = ""
    """Digits that the far E.164 number begins with (of a call in, the caller's); `SHORT_CODE`; or nothing."""
    zone: str = ANYWHERE
    hours: tuple[Hours, ...] = ()
    """When it holds, by the clock of the line; none: always."""
    first_block: int = 1
    next_block: int = 1
    setup_micros: int = 0
    minimum_micros: int = 0

    @property
    def key(self) -> tuple[UsageKind, Country, str, str, tuple[Hours, ...]]:
        """What it is for. A price book has a key once."""
        return self.usage, self.line_country, self.prefix, self.zone, self.hours


class ListedRate(msgspec.Struct, frozen=True, cache_hash=True, gc=False):
    """A rate as a price book has it: what a charge is priced by, and explained with."""

    book: str
    effective_from: datetime
    currency: Currency
    rate: Rate


class Use(msgspec.Struct, frozen=True, gc=False):
    """What a rate is looked for: a use of a line."""

    usage: UsageKind
    currency: Currency
    line_country: Country
    time_zone: str
    """Of the line, by its IANA name."""
    far: str = ""
    """The far end: E.164 with its plus sign, a short code, or nothing (data, a caller that is not shown)."""
    zone: str = HOME
    """Where the card is, as `zone_of` answers."""


class Explanation(msgspec.Struct, frozen=True, gc=False):
    """Why something cost what it did. It is kept with the charge, as JSON or as one line."""

    book: str
    effective_from: datetime
    currency: Currency
    rate: str
    """What the rate is for, in words."""
    per: str
    """Its price, in words."""
    unit: str
    units: int
    charged_units: int
    setup_micros: int
    minimum_micros: int
    price_micros: int

    def as_text(self) -> str:
        """One line, such as ``Spring of 2026-04-01: text from CA to +1: 2 segments at 0.05 per segment: 0.10 CAD``."""
        said = [f"{say_units(self.units, self.unit)} at {self.per}"]
        if self.charged_units != self.units:
            said.append(f"charged as {say_units(self.charged_units, self.unit)}")
        if self.setup_micros:
            said.append(f"set-up {format_micros(self.setup_micros)}")
        if self.minimum_micros:
            said.append(f"at least {format_micros(self.minimum_micros)}")
        price = f"{format_micros(self.price_micros)} {self.currency}"
        return f"{self.book} of {self.effective_from:%Y-%m-%d}: {self.rate}: {', '.join(said)}: {price}"


def say_units(units: int, unit: str) -> str:
    """Units in words: ``2 segments``, ``95 s``."""
    plural = "s" if unit == UsageKind.TEXT.unit and units != 1 else ""
    return f"{units} {unit}{plural}"


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
