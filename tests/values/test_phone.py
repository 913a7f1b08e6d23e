"""Numbers are read in the plan of a country, and hidden where they are kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onecard.values.phone import (
    E164,
    BadNumber,
    Country,
    country_of,
    is_short_code,
    mask,
    parse_country,
    parse_msisdn,
    parse_number,
)

CA, CN = Country("CA"), Country("CN")


@pytest.mark.parametrize(
    ("digits", "country", "number"),
    [
        ("6045550100", CA, "+16045550100"),
        ("1 (604) 555-0100", CA, "+16045550100"),
        ("011 86 138 0013 8000", CA, "+8613800138000"),
        ("13800138000", CN, "+8613800138000"),
        ("00 1 604 555 0100", CN, "+16045550100"),
        ("+16045550100", None, "+16045550100"),
    ],
)
def test_a_number_is_read_as_it_is_dialled(digits: str, country: Country | None, number: str) -> None:
    assert parse_number(digits, country) == number


@pytest.mark.parametrize("digits", ["", "abc", "12", "+1", "6045550100", "+" + "1" * 40, "+160455501001"])
def test_what_is_no_international_number_is_refused(digits: str) -> None:
    with pytest.raises(BadNumber):
        parse_number(digits)


@given(st.text(max_size=50))
def test_any_text_is_a_number_or_a_clear_error(text: str) -> None:
    try:
        number = parse_number(text, CA)
    except BadNumber:
        return
    assert parse_msisdn(number) == number
    assert parse_msisdn(number.removeprefix("+")) == number


@pytest.mark.parametrize(
    ("number", "country"),
    [("+16045550100", CA), ("+8613800138000", CN), ("+12125550100", "US"), ("+80012345678", None)],
)
def test_a_number_tells_its_country(number: str, country: str | None) -> None:
    assert country_of(E164(number)) == country


@pytest.mark.parametrize(
    ("digits", "is_short"), [("95588", True), ("13800138000", False), ("", False), ("ICBC", False)]
)
def test_short_codes_are_known(digits: str, is_short: bool) -> None:
    assert is_short_code(digits, CN) is is_short


def test_a_country_is_read_in_any_case() -> None:
    assert parse_country("ca") == CA
    with pytest.raises(BadNumber):
        parse_country("XX")


@given(st.text("0123456789", max_size=15))
def test_a_masked_number_hides_its_last_four_digits(digits: str) -> None:
    masked = mask(digits)
    assert len(masked) == len(digits)
    assert masked.endswith("*" * min(4, len(digits)))
