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
