"""Exact money: an integer count of micros (millionths) of an ISO 4217 currency."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import NewType

Currency = NewType("Currency", str)
"""An ISO 4217 alphabetic code, e.g. ``CAD``."""

NUMERIC_CODES = {
    "AUD": 36,
    "CAD": 124,
    "CHF": 756,
    "CNY": 156,
    "EUR": 978,
    "GBP": 826,
    "HKD": 344,
    "IDR": 360,
    "INR": 356,
    "JPY": 392,
    "KRW": 410,
    "MOP": 446,
    "MYR": 458,
    "NZD": 554,
    "PHP": 608,
    "SGD": 702,
    "THB": 764,
    "TWD": 901,
    "USD": 840,
    "VND": 704,
}
"""ISO 4217 numbers of the currencies that operators here charge in; signalling protocols name them so."""

MINOR_DIGITS = {"JPY": 0, "KRW": 0, "VND": 0}
"""Decimals of the smallest unit that a bank pays (ISO 4217), where they are not two."""

MICROS = 1_000_000
MOST_MICROS = 2**62
"""No amount may be larger than this, so that sums of two always fit PostgreSQL's bigint."""


class BadMoney(ValueError):
    """Text that is not an exact amount of money."""


def parse_currency(code: str) -> Currency:
    """Read an ISO 4217 code; raises `BadMoney` for anything but three capital letters."""
    if len(code) != 3 or not code.isascii() or not code.isalpha() or code != code.upper():
        raise BadMoney(f"{code!r} is not a currency code of ISO 4217, such as CAD")
    return Currency(code)


def parse_micros(amount: str) -> int:
    """Read a decimal amount such as ``12.50`` into micros; raises `BadMoney` if it is finer than a micro."""
    try:
        micros = Decimal(amount.strip()) * MICROS
    except InvalidOperation:
        raise BadMoney(f"{amount!r} is not an amount such as 12.50") from None
    if not micros.is_finite() or abs(micros) > MOST_MICROS:
        raise BadMoney(f"{amount!r} is out of range")
    if micros != micros.to_integral_value():
        raise BadMoney(f"{amount!r} is finer than a millionth")
    return int(micros)


@dataclass(frozen=True, slots=True, order=False)
class Money:
    """An amount in micros of one currency; amounts of two currencies never mix."""

    micros: int
    currency: Currency

    def __add__(self, other: Money) -> Money:
        return Money(self.micros + self._same(other), self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.micros - self._same(other), self.currency)

    def __mul__(self, count: int) -> Money:
        return Money(self.micros * count, self.currency)

    def __neg__(self) -> Money:
        return Money(-self.micros, self.currency)

    def __lt__(self, other: Money) -> bool:
        return self.micros < self._same(other)

    def __le__(self, other: Money) -> bool:
        return self.micros <= self._same(other)

    def __bool__(self) -> bool:
        return self.micros != 0

    def __str__(self) -> str:
        return f"{format_micros(self.micros)} {self.currency}"

    def _same(self, other: Money) -> int:
        assert other.currency == self.currency, f"{self.currency} and {other.currency} do not mix"
        return other.micros


def minor_unit_micros(currency: Currency) -> int:
    """The smallest amount that a bank pays: a cent, a fen, a yen."""
    return int(MICROS // 10 ** MINOR_DIGITS.get(currency, 2))


def format_minor(amount: Money) -> str:
    """Write an amount of whole minor units as banks do, with all decimals of the currency: ``12.50``, ``1250``."""
    units, rest = divmod(abs(amount.micros), minor_unit_micros(amount.currency))
    assert rest == 0, f"{amount} is not in whole minor units"
    digits = MINOR_DIGITS.get(amount.currency, 2)
    sign = "-" if amount.micros < 0 else ""
    return f"{sign}{units}" if digits == 0 else f"{sign}{units // 10**digits}.{units % 10**digits:0{digits}d}"


def format_micros(micros: int) -> str:
    """Write micros as a decimal with at least two places and no needless zeros after them: ``12.50``."""
    sign = "-" if micros < 0 else ""
    whole, fraction = divmod(abs(micros), MICROS)
    return f"{sign}{whole}.{f'{fraction:06d}'.rstrip('0'):0<2}"
