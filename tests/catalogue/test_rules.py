"""Price books are read with every fault named, and rated by the longest prefix of the book in effect."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onecard.catalogue.model import SHORT_CODE, PriceBook, Tariff, TextRate
from onecard.catalogue.rules import (
    PriceList,
    find_text_rate,
    price_text,
    read_csv_price_list,
    read_toml_price_list,
)
from onecard.values.money import Currency
from onecard.values.phone import Country
from onecard.values.table import BadTable

CA, CN = Country("CA"), Country("CN")
CAD, CNY = Currency("CAD"), Currency("CNY")
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
APRIL = datetime(2026, 4, 1, tzinfo=UTC)


def make_book(
    currency: Currency, effective_from: datetime, prices: dict[tuple[Country, str], int]
) -> PriceBook:
    rates = {key: TextRate(*key, micros) for key, micros in prices.items()}
    return PriceBook(1, "book", currency, effective_from, rates)


TARIFF = Tariff(
    (
        make_book(CAD, APRIL, {(CA, ""): 300_000}),
        make_book(
            CAD,
            NEW_YEAR,
            {
                (CA, ""): 250_000,
                (CA, "1"): 50_000,
                (CA, "1604"): 40_000,
                (CA, SHORT_CODE): 0,
                (CN, "86"): 100_000,
            },
        ),
        make_book(CNY, NEW_YEAR, {(CN, "86"): 100_000}),
    )
)


@pytest.mark.parametrize(
    ("currency", "line_country", "destination", "at", "micros"),
    [
        (CAD, CA, "+16045550100", NEW_YEAR, 40_000),
        (CAD, CA, "+14165550100", NEW_YEAR, 50_000),
        (CAD, CA, "+33612345678", NEW_YEAR, 250_000),
        (CAD, CA, "+8613800138000", NEW_YEAR, 250_000),
        (CAD, CN, "+8613800138000", NEW_YEAR, 100_000),
        (CAD, CN, "+16045550100", NEW_YEAR, None),
        (CAD, CA, "77777", NEW_YEAR, 0),
        (CAD, CN, "95588", NEW_YEAR, None),
        (CAD, CA, "+16045550100", APRIL - timedelta(microseconds=1), 40_000),
        (CAD, CA, "+16045550100", APRIL, 300_000),
        (CAD, CA, "+16045550100", NEW_YEAR - timedelta(microseconds=1), None),
        (CNY, CA, "+8613800138000", NEW_YEAR, None),
        (Currency("EUR"), CA, "+16045550100", NEW_YEAR, None),
    ],
)
def test_the_longest_prefix_of_the_book_in_effect_sets_the_rate(
    currency: Currency, line_country: Country, destination: str, at: datetime, micros: int | None
) -> None:
    rate = find_text_rate(TARIFF, currency, line_country, destination, at)
    assert (rate and rate.micros_per_segment) == micros


digits = st.text("0123456789", max_size=6)


@given(st.sets(digits, max_size=20), st.text("0123456789", min_size=1, max_size=15))
def test_the_probe_finds_what_a_search_of_all_rates_finds(prefixes: set[str], number: str) -> None:
    tariff = Tariff((make_book(CAD, NEW_YEAR, {(CA, prefix): 1 for prefix in prefixes}),))
    best = max((prefix for prefix in prefixes if number.startswith(prefix)), key=len, default=None)
    rate = find_text_rate(tariff, CAD, CA, f"+{number}", NEW_YEAR)
    assert (rate.prefix if rate else None) == best


def test_a_price_is_per_segment() -> None:
    assert price_text(TextRate(CA, "1", 35_001), 3) == 105_003


def read_csv(*rows: str) -> PriceList:
    lines = ["line_country,prefix,price_per_segment\n", *(f"{row}\n" for row in rows)]
    return read_csv_price_list(lines, name="Spring", currency=CAD, effective_from=APRIL)


def test_a_csv_book_is_read() -> None:
    prices = read_csv("CA,+1,0.05", "ca,,0.25", "CN,86,0.1", "CN,short,0", "CN,*,0.3")
    assert prices.text_rates == (
        TextRate(CA, "1", 50_000),
        TextRate(CA, "", 250_000),
        TextRate(CN, "86", 100_000),
        TextRate(CN, SHORT_CODE, 0),
        TextRate(CN, "", 300_000),
    )


def test_every_fault_of_a_csv_book_is_named() -> None:
    with pytest.raises(BadTable) as bad:
        read_csv("CA,1,0.05", "XX,1,0.05", "CA,1a,0.05", "CA,2,-1", "CA,3,0.0000001", "CA,+1,0.06", "CA,4")
    assert [problem.place for problem in bad.value.problems] == [f"line {n}" for n in range(3, 9)]


@pytest.mark.parametrize(
    "lines", [[], ["a,b\n"], ["line_country,prefix\n"], ["line_country,prefix,price_per_segment\n"]]
)
def test_a_file_that_is_no_book_is_refused(lines: list[str]) -> None:
    with pytest.raises(BadTable):
        read_csv_price_list(lines, name="Spring", currency=CAD, effective_from=APRIL)


TOML = """
name = "Spring"
currency = "CAD"
effective_from = 2026-04-01T00:00:00Z

[[text]]
line_country = "CA"
prefix = "1"
price_per_segment = 0.05

[[text]]
line_country = "CN"
prefix = ""
price_per_segment = "0.1"
"""


def test_a_toml_book_is_read_to_the_last_micro() -> None:
    assert read_toml_price_list(TOML.replace("0.05", "0.050001")) == PriceList(
        "Spring", CAD, APRIL, (TextRate(CA, "1", 50_001), TextRate(CN, "", 100_000))
    )


@pytest.mark.parametrize(
    ("old", "new", "places"),
    [
        ('name = "Spring"', "name = 1", ["name"]),
        ('"CAD"', '"dollars"', ["currency"]),
        ('"CAD"', "7", ["currency"]),
        ("T00:00:00Z", "", ["effective_from"]),
        ('name = "Spring"', 'nom = "Printemps"', ["name", "nom"]),
        ('"CN"', '"XX"', ["text rate 2"]),
        ('"CN"\nprefix = ""', '"CA"\nprefix = "+1"', ["text rate 2"]),
        ('prefix = ""\n', "", ["text rate 2"]),
        ("[[text]]", "[[texts]]", ["texts", "text"]),
        ("name =", "name ==", ["the file"]),
    ],
)
def test_every_fault_of_a_toml_book_is_named(old: str, new: str, places: list[str]) -> None:
    with pytest.raises(BadTable) as bad:
        read_toml_price_list(TOML.replace(old, new))
    assert [problem.place for problem in bad.value.problems] == places
