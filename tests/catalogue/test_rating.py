"""Prices: tables computed by hand, and what holds of every rate."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onecard.catalogue.model import HOME, Explanation, ListedRate, Rate, UsageKind
from onecard.catalogue.rules import UNITS_MOST, charged_units, explain, price, units_affordable
from onecard.values.hours import parse_hours
from onecard.values.money import Currency
from onecard.values.phone import Country

CA, CN, CAD = Country("CA"), Country("CN"), Currency("CAD")
APRIL = datetime(2026, 4, 1, tzinfo=UTC)

MINUTES = Rate(UsageKind.CALL_OUT, CA, 120_000, 60, "86", first_block=60, next_block=1)
SIXES = Rate(UsageKind.CALL_OUT, CA, 120_000, 60, "86", first_block=6, next_block=6)
WITH_SETUP = Rate(UsageKind.CALL_OUT, CA, 120_000, 60, setup_micros=50_000, minimum_micros=30_000)
MEGABYTES = Rate(UsageKind.DATA, CA, 20_000, 1_000_000, first_block=1_000, next_block=1_000)
WHOLE_MEGABYTES = Rate(UsageKind.DATA, CA, 20_000, 1_000_000, first_block=1_000_000, next_block=1_000_000)
SEGMENTS = Rate(UsageKind.TEXT, CA, 50_001)
THIRDS = Rate(UsageKind.CALL_OUT, CA, 1, 3)
FREE = Rate(UsageKind.CALL_OUT, CA, 0, 60, "18005550100")
SETUP_ONLY = Rate(UsageKind.CALL_OUT, CA, 0, 60, setup_micros=250_000)


@pytest.mark.parametrize(
    ("rate", "units", "micros"),
    [
        (MINUTES, 0, 0),  # not answered
        (MINUTES, 1, 120_000),
        (MINUTES, 60, 120_000),
        (MINUTES, 61, 122_000),
        (MINUTES, 95, 190_000),
        (SIXES, 1, 12_000),
        (SIXES, 6, 12_000),
        (SIXES, 7, 24_000),
        (SIXES, 95, 192_000),  # 96 s
        (WITH_SETUP, 0, 0),
        (WITH_SETUP, 1, 80_000),  # 50,000 + the minimum
        (WITH_SETUP, 15, 80_000),  # 15 s cost as much as the minimum
        (WITH_SETUP, 16, 82_000),
        (MEGABYTES, 1, 20),
        (MEGABYTES, 1_000, 20),
        (MEGABYTES, 1_001, 40),
        (MEGABYTES, 5_242_880, 104_860),  # 5 MiB: 5,243 kB
        (WHOLE_MEGABYTES, 1, 20_000),
        (WHOLE_MEGABYTES, 1_000_001, 40_000),
        (SEGMENTS, 3, 150_003),
        (THIRDS, 1, 1),
        (THIRDS, 3, 1),
        (THIRDS, 4, 2),
        (FREE, 3_600, 0),
        (SETUP_ONLY, 3_600, 250_000),
    ],
)
def test_usage_costs_what_its_rate_says(rate: Rate, units: int, micros: int) -> None:
    assert price(rate, units) == micros


@pytest.mark.parametrize(
    ("rate", "micros", "already_used", "units"),
    [
        (MINUTES, 119_999, 0, 0),
        (MINUTES, 120_000, 0, 60),
        (MINUTES, 121_999, 0, 60),
        (MINUTES, 122_000, 0, 61),
        (MINUTES, 0, 10, 50),  # the rest of the first minute is paid for
        (MINUTES, 0, 60, 0),
        (MINUTES, 2_000, 60, 1),
        (WITH_SETUP, 79_999, 0, 0),
        (WITH_SETUP, 80_000, 0, 15),
        (WITH_SETUP, 2_000, 1, 15),
        (SIXES, 100_000, 0, 48),
        (WHOLE_MEGABYTES, 19_999, 0, 0),
        (WHOLE_MEGABYTES, 59_999, 0, 2_000_000),
        (FREE, 0, 100, UNITS_MOST - 100),
        (SETUP_ONLY, 249_999, 0, 0),
        (SETUP_ONLY, 250_000, 0, UNITS_MOST),
        (SETUP_ONLY, 0, 1, UNITS_MOST - 1),
    ],
)
def test_money_buys_whole_blocks(rate: Rate, micros: int, already_used: int, units: int) -> None:
    assert units_affordable(rate, micros, already_used) == units


amounts = st.integers(0, 5_000_000)
blocks = st.integers(1, 5_000)
rates = st.builds(
    Rate,
    st.just(UsageKind.CALL_OUT),
    st.just(CA),
    amounts,
    st.integers(1, 2_000_000),
    first_block=blocks,
    next_block=blocks,
    setup_micros=amounts,
    minimum_micros=amounts,
)
units = st.integers(0, 10_000_000)


@given(rates, units, units)
def test_cost_never_falls_as_usage_grows(rate: Rate, used: int, more: int) -> None:
    assert 0 <= price(rate, used) <= price(rate, used + more)


@given(rates, st.lists(units, min_size=1, max_size=20))
def test_a_session_costs_the_same_however_often_it_is_reported(rate: Rate, reports: list[int]) -> None:
    used = paid = 0
    for report in reports:
        paid += price(rate, used + report) - price(rate, used)
        used += report
    assert paid == price(rate, sum(reports))


@given(rates, units)
def test_only_whole_blocks_are_paid_for(rate: Rate, used: int) -> None:
    charged = charged_units(rate, used)
    assert charged >= used
    assert price(rate, charged) == price(rate, used)
    assert charged - used < max(rate.first_block, rate.next_block)


@given(rates, st.integers(0, 100_000_000), units)
def test_what_can_be_afforded_is_the_most_that_money_pays(rate: Rate, micros: int, used: int) -> None:
    more = units_affordable(rate, micros, used)
    before = price(rate, used)
    assert price(rate, used + more) - before <= micros
    assert used + more == UNITS_MOST or price(rate, used + more + 1) - before > micros


@given(rates, units, units)
def test_the_price_of_usage_affords_it_to_the_end_of_its_block(rate: Rate, used: int, more: int) -> None:
    cost = price(rate, used + more) - price(rate, used)
    assert units_affordable(rate, cost, used) >= charged_units(rate, used + more) - used if more else True


@pytest.mark.parametrize(
    ("rate", "used", "text"),
    [
        (SEGMENTS, 1, "text from CA to anywhere: 1 segment at 0.050001 per segment: 0.050001 CAD"),
        (
            MINUTES,
            5,
            "call_out from CA to +86: 5 s at 0.12 per 60 s in blocks of 60/1, charged as 60 s: 0.12 CAD",
        ),
        (
            WITH_SETUP,
            95,
            "call_out from CA to anywhere: 95 s at 0.12 per 60 s, set-up 0.05, at least 0.03: 0.24 CAD",
        ),
        (
            Rate(UsageKind.CALL_IN, CN, 10_000, 60, "short", HOME, (parse_hours("sat,sun 08:00-20:00"),)),
            60,
            "call_in to CN from short codes at home, sat,sun 08:00-20:00: 60 s at 0.01 per 60 s: 0.01 CAD",
        ),
        (
            msgspec.structs.replace(MEGABYTES, zone="asia"),
            1_500_000,
            "data of CA in asia: 1500000 octets at 0.02 per 1000000 octets in blocks of 1000/1000: 0.03 CAD",
        ),
    ],
)
def test_a_charge_explains_itself_in_one_line(rate: Rate, used: int, text: str) -> None:
    explanation = explain(ListedRate("Spring", APRIL, CAD, rate), used)
    assert explanation.as_text() == f"Spring of 2026-04-01: {text}"
    assert explanation.price_micros == price(rate, used)
    assert msgspec.json.decode(msgspec.json.encode(explanation), type=Explanation) == explanation


def test_a_rate_is_kept_as_it_is() -> None:
    listed = ListedRate(
        "Spring", APRIL, CAD, msgspec.structs.replace(MINUTES, hours=(parse_hours("mon 08:00-09:00"),))
    )
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(listed), type=ListedRate) == listed
