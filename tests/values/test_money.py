"""Money is exact, and two currencies never mix."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onecard.values.money import (
    MOST_MICROS,
    BadMoney,
    Currency,
    Money,
    format_micros,
    format_minor,
    minor_unit_micros,
    parse_currency,
    parse_micros,
)

CAD, CNY = Currency("CAD"), Currency("CNY")


@given(st.integers(-MOST_MICROS, MOST_MICROS))
def test_what_is_written_reads_the_same(micros: int) -> None:
    assert parse_micros(format_micros(micros)) == micros


@pytest.mark.parametrize(
    ("micros", "text"),
    [(0, "0.00"), (12_500_000, "12.50"), (-1, "-0.000001"), (35_000, "0.035"), (1_000_000, "1.00")],
)
def test_amounts_are_written_for_people(micros: int, text: str) -> None:
    assert format_micros(micros) == text


@pytest.mark.parametrize("text", ["", "x", "1,50", "nan", "inf", "-inf", "0.0000001", "1e300", "9" * 30])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(BadMoney):
        parse_micros(text)


@pytest.mark.parametrize("code", ["", "cad", "CA", "CADD", "C4D", "ÉUR"])
def test_what_is_no_currency_is_refused(code: str) -> None:
    with pytest.raises(BadMoney):
        parse_currency(code)


def test_amounts_are_reckoned_with() -> None:
    price = Money(35_000, CAD)
    assert price * 3 - price + -price == price
    assert price <= price < price * 2
    assert str(price) == "0.035 CAD"
    assert not price - price


def test_two_currencies_do_not_mix() -> None:
    with pytest.raises(AssertionError):
        Money(1, CAD) + Money(1, CNY)
    with pytest.raises(AssertionError):
        _ = Money(1, CAD) < Money(1, CNY)


@pytest.mark.parametrize(
    ("micros", "currency", "text"),
    [
        (12_500_000, "CAD", "12.50"),
        (-50_000, "CNY", "-0.05"),
        (1_250_000_000, "JPY", "1250"),
        (0, "HKD", "0.00"),
    ],
)
def test_amounts_are_written_for_banks(micros: int, currency: str, text: str) -> None:
    assert format_minor(Money(micros, Currency(currency))) == text


def test_what_no_bank_can_pay_is_not_written_for_one() -> None:
    assert minor_unit_micros(CAD) == 10_000
    with pytest.raises(AssertionError):
        format_minor(Money(12_345, CAD))
