"""Price books are read with every fault named."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onecard.catalogue.model import (
    HOME,
    SHORT_CODE,
    Plan,
    PlanAllowance,
    PriceList,
    Prorating,
    Rate,
    UsageKind,
)
from onecard.catalogue.reading import (
    HOURS_MOST,
    BadRate,
    parse_units,
    read_csv_price_list,
    read_toml_price_list,
)
from onecard.values.hours import parse_hours
from onecard.values.money import Currency
from onecard.values.phone import Country
from onecard.values.table import BadTable

CA, CN, CAD = Country("CA"), Country("CN"), Currency("CAD")
APRIL = datetime(2026, 4, 1, tzinfo=UTC)
TEXT, CALL_OUT, CALL_IN, DATA = UsageKind
HEADER = "usage,line_country,prefix,price,per"


def read_csv(*rows: str, header: str = HEADER) -> PriceList:
    lines = [f"{line}\n" for line in (header, *rows)]
    return read_csv_price_list(lines, name="Spring", currency=CAD, effective_from=APRIL)


def test_a_csv_book_is_read() -> None:
    prices = read_csv(
        "text,CA,+1,0.05,segment", "text,ca,,0.25,1", "call_out,CN,short,0,minute", "data,CN,*,0.02,MB"
    )
    assert prices == PriceList(
        "Spring",
        CAD,
        APRIL,
        (
            Rate(TEXT, CA, 50_000, prefix="1"),
            Rate(TEXT, CA, 250_000),
            Rate(CALL_OUT, CN, 0, 60, SHORT_CODE),
            Rate(DATA, CN, 20_000, 10**6, first_block=1_000, next_block=1_000),
        ),
    )


def test_all_columns_of_a_csv_book_are_read() -> None:
    header = f"{HEADER},zone,hours,first_block,next_block,setup,minimum"
    prices = read_csv(
        "call_out,CA,86,0.12,60s,home,sat 08:00-12:00; mon-fri 08:00-18:00,60,1,0.05,0.1", header=header
    )
    hours = (parse_hours("mon-fri 08:00-18:00"), parse_hours("sat 08:00-12:00"))
    assert prices.rates == (Rate(CALL_OUT, CA, 120_000, 60, "86", HOME, hours, 60, 1, 50_000, 100_000),)


def test_every_fault_of_a_csv_book_is_named() -> None:
    with pytest.raises(BadTable) as bad:
        read_csv(
            "text,CA,1,0.05,segment",
            "text,XX,1,0.05,segment",
            "text,CA,1a,0.05,segment",
            "text,CA,2,-1,segment",
            "text,CA,3,0.0000001,segment",
            "text,CA,4",
            "fax,CA,1,0.05,segment",
            "text,CA,1,0.05,minute",
            "data,CA,1,0.05,MB",
            "call_out,CA,1,0.05,0",
        )
    assert [problem.place for problem in bad.value.problems] == [f"line {n}" for n in range(3, 12)]


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        (
            "text,CA,1,0.05,segment,",
            "text,CA,+1,0.06,segment,",
            "line 2 has a price for text from CA to +1 already",
        ),
        (
            "text,CA,1,0.05,segment,mon-wed 08:00-09:00",
            "text,CA,1,0.05,segment,'mon,tue,wed 8:00-9:00'",
            "line 2 has a price for text from CA to +1, mon-wed 08:00-09:00 already",
        ),
        (
            "text,CA,1,0.05,segment,fri 22:00-06:00",
            "text,CA,1,0.06,segment,sat 05:00-07:00",
            "its hours overlap those of line 2",
        ),
    ],
)
def test_two_rates_for_the_same_are_both_named(first: str, second: str, reason: str) -> None:
    with pytest.raises(BadTable) as bad:
        read_csv(first, second.replace("'", '"'), header=f"{HEADER},hours")
    assert list(map(str, bad.value.problems)) == [f"line 3: {reason}"]


def test_so_many_hours_of_one_use_are_not_compared() -> None:
    rows = [
        f"text,CA,1,0.05,segment,mon {n // 60:02d}:{n % 60:02d}-{n // 60:02d}:{n % 60 + 1:02d}"
        for n in range(59)
    ]
    with pytest.raises(BadTable) as bad:
        read_csv(*rows, header=f"{HEADER},hours")
    assert bad.value.problems[0].place == f"line {HOURS_MOST + 2}"


def test_a_zone_without_networks_is_refused() -> None:
    with pytest.raises(BadTable) as bad:
        read_csv("text,CA,1,0.05,segment,asia", header=f"{HEADER},zone")
    assert "'asia'" in str(bad.value)


@pytest.mark.parametrize("lines", [[], ["a,b\n"], ["usage,line_country\n"], [f"{HEADER}\n"]])
def test_a_file_that_is_no_book_is_refused(lines: list[str]) -> None:
    with pytest.raises(BadTable):
        read_csv_price_list(lines, name="Spring", currency=CAD, effective_from=APRIL)


@pytest.mark.parametrize(
    ("usage", "text", "units"),
    [
        (TEXT, "segment", 1),
        (TEXT, "300 segments", 300),
        (CALL_OUT, "60s", 60),
        (CALL_OUT, "minute", 60),
        (CALL_IN, "100 minutes", 6_000),
        (CALL_IN, "6", 6),
        (DATA, "MB", 1_000_000),
        (DATA, "5 GB", 5_000_000_000),
        (DATA, "kB", 1_000),
        (DATA, "MiB", 1_048_576),
        (DATA, "1000000", 1_000_000),
    ],
)
def test_amounts_of_usage_are_read(usage: UsageKind, text: str, units: int) -> None:
    assert parse_units(text, usage) == units


@pytest.mark.parametrize(
    ("usage", "text"),
    [
        (TEXT, ""),
        (TEXT, "0"),
        (TEXT, "s"),
        (DATA, "Mb"),
        (DATA, "-1"),
        (CALL_OUT, "1.5 min"),
        (DATA, "9999999 GB"),
    ],
)
def test_other_amounts_are_refused(usage: UsageKind, text: str) -> None:
    with pytest.raises(BadRate):
        parse_units(text, usage)


TOML = """
name = "Spring"
currency = "CAD"
effective_from = 2026-04-01T00:00:00Z

[zones]
home = ["302720"]
asia = ["454", "52501"]

[[rate]]
usage = "text"
line_country = "CA"
prefix = "1"
price = 0.05
per = "segment"

[[rate]]
usage = "call_out"
line_country = "CN"
prefix = ""
price = "0.1"
per = "minute"
zone = "asia"
hours = "daily 20:00-08:00"
first_block = 60
next_block = "6s"

[[free]]
usage = "call_out"
line_country = "CA"
numbers = ["+18005550100", "+18005550101"]

[[plan]]
name = "Bridge"
monthly_fee = 15
first_months_free = 1
prorating = "daily"
reserve_days = 3

[[plan.allowance]]
usage = "call_out"
units = "100 minutes"
line_countries = ["CA", "CN"]
zones = ["home", "asia"]

[[plan.allowance]]
usage = "data"
units = "5 GB"
"""


def test_a_toml_book_is_read_to_the_last_micro() -> None:
    assert read_toml_price_list(TOML.replace("0.05", "0.050001")) == PriceList(
        "Spring",
        CAD,
        APRIL,
        (
            Rate(TEXT, CA, 50_001, prefix="1"),
            Rate(CALL_OUT, CN, 100_000, 60, "", "asia", (parse_hours("daily 20:00-08:00"),), 60, 6),
            Rate(CALL_OUT, CA, 0, prefix="18005550100"),
            Rate(CALL_OUT, CA, 0, prefix="18005550101"),
        ),
        {"302720": "home", "454": "asia", "52501": "asia"},
        (
            Plan(
                "Bridge",
                15_000_000,
                1,
                Prorating.DAILY,
                3,
                allowances=(
                    PlanAllowance(CALL_OUT, 6_000, (CA, CN), ("home", "asia")),
                    PlanAllowance(DATA, 5 * 10**9),
                ),
            ),
        ),
    )


@pytest.mark.parametrize(
    ("old", "new", "places"),
    [
        ('name = "Spring"', "name = 1", ["name"]),
        ('"CAD"', '"dollars"', ["currency"]),
        ('"CAD"', "7", ["currency"]),
        ("T00:00:00Z", "", ["effective_from"]),
        ('name = "Spring"', 'nom = "Printemps"', ["name", "nom"]),
        ('line_country = "CN"', 'line_country = "XX"', ["line 17"]),
        ('prefix = ""\n', "", ["line 17"]),
        ("first_block", "block", ["line 17"]),
        ("[[free]]", "[[gratis]]", ["gratis"]),
        ("name =", "name ==", ["the file"]),
        ('"454", ', '"454", "302720", ', ["zones.asia"]),
        ('"454", ', "454, ", ["zones.asia"]),
        ("asia = ", "unknown = ", ["zones.unknown", "line 17", "line 33"]),
        ('"+18005550100", ', '"18005550100", ', ["line 28"]),
        ('"+18005550100", ', '"+1", ', ["line 28"]),
        ('"+18005550100", ', '"+18005550101", ', ["line 28"]),
        ("monthly_fee = 15", "monthly_fee = -15", ["line 33"]),
        ("monthly_fee = 15\n", "", ["line 33"]),
        ("reserve_days = 3", "reserve_days = 28", ["line 33"]),
        ('"daily"', '"weekly"', ["line 33"]),
        ('units = "5 GB"', 'units = "5 minutes"', ["line 33"]),
        ('zones = ["home", "asia"]', 'zones = ["home", "moon"]', ["line 33"]),
    ],
)
def test_every_fault_of_a_toml_book_is_named(old: str, new: str, places: list[str]) -> None:
    assert old in TOML
    with pytest.raises(BadTable) as bad:
        read_toml_price_list(TOML.replace(old, new))
    assert [problem.place for problem in bad.value.problems] == places


def test_tables_that_are_written_inline_are_named_by_their_order() -> None:
    head, _ = TOML.split("[zones]")
    with pytest.raises(BadTable) as bad:
        read_toml_price_list(head + "rate = [{}, 1]")
    assert [problem.place for problem in bad.value.problems] == ["rate 1", "rate 2"]


@given(st.text(max_size=200))
def test_any_text_is_a_book_or_its_faults_are_named(text: str) -> None:
    with pytest.raises(BadTable):
        read_toml_price_list(text)


cells = st.sampled_from(
    ["text", "data", "CA", "", "1", "+86", "0.05", "MB", "segment", "mon 08:00-09:00", "x", "-1"]
)


@given(st.lists(st.lists(cells, min_size=11, max_size=11).map(",".join), max_size=5))
def test_any_rows_are_rates_or_their_faults_are_named(rows: list[str]) -> None:
    try:
        prices = read_csv(*rows, header=f"{HEADER},zone,hours,first_block,next_block,setup,minimum")
    except BadTable:
        return
    assert len(prices.rates) == len(rows)
