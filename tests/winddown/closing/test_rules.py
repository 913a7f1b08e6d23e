"""What an unused month is worth, and which province an address is in."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onecard.charging.periods import Subscription, SubscriptionState
from onecard.values.money import Currency
from onecard.winddown.closing.model import PaidFee
from onecard.winddown.closing.rules import find_province, period_at, price_unused
from onecard.winddown.model import RefundPolicy

UTC_ZONE = ZoneInfo("UTC")
BEGAN = datetime(2026, 1, 10, tzinfo=UTC)
FEE = PaidFee(1, 1, Currency("CAD"), 1, BEGAN + timedelta(days=30), BEGAN, 9_000_000)
MONTHLY = Subscription(
    1,
    1,
    1,
    1,
    "Small",
    None,
    SubscriptionState.ACTIVE,
    False,
    31,
    4,
    date(2026, 4, 30),
    0,
    0,
    False,
    None,
    BEGAN,
)


@pytest.mark.parametrize(
    ("days", "policy", "micros"),
    [
        (0, RefundPolicy.PRO_RATA, 9_000_000),
        (10, RefundPolicy.PRO_RATA, 6_000_000),
        (10, RefundPolicy.FULL, 9_000_000),
        (30, RefundPolicy.PRO_RATA, 0),
        (31, RefundPolicy.FULL, 0),
        (-1, RefundPolicy.PRO_RATA, 9_000_000),
    ],
)
def test_what_was_not_used_of_a_fee_is_its_share_of_time(
    days: int, policy: RefundPolicy, micros: int
) -> None:
    assert price_unused(FEE, BEGAN + timedelta(days=days), policy) == micros


@given(micros=st.integers(1, 10**12), seconds=st.integers(-(10**7), 10**7))
def test_never_more_comes_back_than_was_paid(micros: int, seconds: int) -> None:
    unused = price_unused(
        replace(FEE, micros=micros), BEGAN + timedelta(seconds=seconds), RefundPolicy.PRO_RATA
    )
    assert 0 <= unused <= micros


@pytest.mark.parametrize(
    ("at", "number", "until"),
    [
        ("2026-04-15", 4, "2026-04-30"),
        ("2026-03-31", 4, "2026-04-30"),
        ("2026-03-30", 3, "2026-03-31"),
        ("2026-02-27", 2, "2026-02-28"),
        ("2026-01-15", 1, "2026-01-31"),
    ],
)
def test_the_period_of_an_instant_is_found_though_later_ones_have_begun(
    at: str, number: int, until: str
) -> None:
    instant = datetime.fromisoformat(at).replace(tzinfo=UTC)
    assert period_at(MONTHLY, instant, UTC_ZONE) == (
        number,
        datetime.fromisoformat(until).replace(tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("address", "province"),
    [
        ("1 Main Street\nVancouver BC  V5K 0A1", "BC"),
        ("1 rue Principale, Québec g1r4p5", "QC"),
        ("Ottawa K1A 0B1", "ON"),
        ("Yellowknife X1A 1A1", "NT"),
        ("Iqaluit X0A 0H0", "NU"),
        ("Whitehorse Y1A 2C6\nCanada", "YT"),
        ("c/o A1A 1A1 Club, Halifax B3H 4R2", "NS"),
        ("London SW1A 1AA", "unknown"),
        ("Vancouver", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_the_postal_code_says_the_province(address: str | None, province: str) -> None:
    assert find_province(address) == province
