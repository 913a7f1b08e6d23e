"""Price books: what usage of a line costs, by an index that finds the rate in a few probes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
    is_free_by_order: bool = False
    """It takes the place of a rate once the order to stop has ended charging; `book` names the stage."""


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
        return f"{self.book} of {self.effective_from.date()}: {self.rate}: {', '.join(said)}: {price}"


class ChargeFacts(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What an `Explanation` is made from, kept beside its sentence: enough to say it in another language."""

    listed: ListedRate
    units: int
    """Those that the price is for."""
    price_micros: int
    is_paid_by_allowance: bool = False
    """An allowance paid the units instead."""


def say_units(units: int, unit: str) -> str:
    """Units in words: ``2 segments``, ``95 s``."""
    plural = "s" if unit == UsageKind.TEXT.unit and units != 1 else ""
    return f"{units} {unit}{plural}"


class Prorating(Enum):
    """What the first, shorter, month of a plan costs."""

    NONE = "none"
    """As much as any other, with all of the allowances."""
    DAILY = "daily"
    """Its days' part of the fee, with their part of the allowances."""


@dataclass(frozen=True, slots=True)
class PlanAllowance:
    """Units a month that a plan includes, used before cash."""

    usage: UsageKind
    units_a_month: int
    line_countries: tuple[Country, ...] = ()
    """Of which lines; none: of all."""
    zones: tuple[str, ...] = ()
    """Where the card is; none: anywhere."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a subscriber may pay monthly for. Here it is only defined; who has it, `charging` knows."""

    name: str
    fee_micros: int
    first_months_free: int = 0
    prorating: Prorating = Prorating.NONE
    reserve_days: int = 0
    """So many days before a renewal its fee is held aside."""
    overage: bool = True
    """Whether usage goes on at the rates when an allowance is used up."""
    allowances: tuple[PlanAllowance, ...] = ()


@dataclass(frozen=True, slots=True)
class PriceList:
    """What a price book says, before it is imported and after."""

    name: str
    currency: Currency
    effective_from: datetime
    rates: tuple[Rate, ...]
    zones: Mapping[str, str] = field(default_factory=dict)
    """Digits that the MCC and MNC of a network begin with, and the zone it is in."""
    plans: tuple[Plan, ...] = ()


@dataclass(frozen=True, slots=True)
class RateTable:
    """All rates of a price book for one kind of usage of the lines of one country."""

    by_prefix: Mapping[str, tuple[ListedRate, ...]]
    """Those of one prefix in the order in which they are chosen."""
    lengths: tuple[int, ...]
    """Of the prefixes that are digits, the longest first."""
    windows: frozenset[Hours]
    """All hours of all rates: between their edges no other rate takes over."""


@dataclass(frozen=True, slots=True)
class PriceBook:
    """The prices of one currency from a date on, until the next book of that currency takes effect."""

    id: int
    prices: PriceList
    tables: Mapping[tuple[UsageKind, Country], RateTable]


@dataclass(frozen=True, slots=True)
class Tariff:
    """All price books, of every currency, the latest first."""

    books: tuple[PriceBook, ...] = ()


@dataclass(frozen=True, slots=True)
class RateChange:
    """What two price lists say about one use: one of them may say nothing."""

    old: Rate | None
    new: Rate | None

    @property
    def either(self) -> Rate:
        rate = self.new or self.old
        assert rate is not None
        return rate


class PriceBookRefusal(Enum):
    """Why a price book was not imported."""

    ALREADY_IMPORTED = "already_imported"
    IN_THE_PAST = "in_the_past"
