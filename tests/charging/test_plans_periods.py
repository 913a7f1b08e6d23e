"""The calendar of plans: days of renewal, shares of a month, and what is due when."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charging.months import BRIDGE, VANCOUVER
from onecard.charging.periods import (
    Period,
    Step,
    Subscription,
    SubscriptionState,
    decide_step,
    first_period,
    last_renewal,
    midnight,
    next_due,
    next_renewal,
    period_to_renew,
    terms_of,
)
from onecard.values.gate import NO_ORDER

DAYS = st.dates(date(2020, 1, 1), date(2060, 12, 31))
MONTH_DAYS = st.integers(1, 31)


def subscription(**changes: Any) -> Subscription:
    fields: dict[str, Any] = {
        "part": 1,
        "id": 1,
        "account_id": 1,
        "card_id": 1,
        "plan": "Bridge",
        "next_plan": None,
        "state": SubscriptionState.ACTIVE,
        "ends": False,
        "renewal_day": 31,
        "period": 1,
        "renews_on": date(2027, 2, 28),
        "reserved_micros": 0,
        "reserves": 0,
        "warned": False,
        "tried_at": None,
        "started_at": datetime(2027, 1, 31, tzinfo=UTC),
    }
    return Subscription(**fields | changes)


def test_the_31st_is_the_last_day_of_shorter_months_and_comes_back_in_longer_ones() -> None:
    day, seen = date(2028, 1, 31), []
    for _ in range(5):
        day = next_renewal(day, 31)
        seen.append(day)
    assert seen == [
        date(2028, 2, 29),
        date(2028, 3, 31),
        date(2028, 4, 30),
        date(2028, 5, 31),
        date(2028, 6, 30),
    ]


@given(DAYS, MONTH_DAYS)
def test_every_month_has_one_day_of_renewal(day: date, renewal_day: int) -> None:
    following = next_renewal(day, renewal_day)
    assert timedelta(0) < following - day <= timedelta(days=31)
    assert last_renewal(following, renewal_day) <= day
    assert next_renewal(last_renewal(following, renewal_day), renewal_day) == following


@given(DAYS, MONTH_DAYS)
def test_a_year_has_twelve_renewals_and_the_day_does_not_drift(day: date, renewal_day: int) -> None:
    first = last = next_renewal(day, renewal_day)
    for _ in range(12):
        last = next_renewal(last, renewal_day)
    assert (last.year, last.month) == (first.year + 1, first.month)
    assert last.day == min(renewal_day, 28 if last.month == 2 and last.year % 4 else last.day)


@given(DAYS, MONTH_DAYS, st.integers(0, 10**12))
def test_a_share_is_never_more_than_the_whole_and_the_whole_on_the_day_itself(
    day: date, renewal_day: int, amount: int
) -> None:
    period = first_period(day, renewal_day)
    assert 0 <= period.share_of_fee(amount) <= period.share_of_units(amount) <= amount
    whole = first_period(last_renewal(period.until, renewal_day), renewal_day)
    assert (whole.until, whole.days) == (period.until, whole.days_of_whole)
    assert whole.share_of_fee(amount) == whole.share_of_units(amount) == amount


def test_a_first_month_of_ten_days_costs_and_gives_ten_days() -> None:
    period = first_period(date(2027, 4, 21), 1)
    assert period == Period(1, date(2027, 5, 1), 10, 30)
    terms = terms_of(BRIDGE, period)
    assert (terms.fee_micros, terms.units) == (3_333_333, (2000, 34))


def test_a_renewal_that_is_a_month_late_pays_for_what_is_left_of_the_next() -> None:
    late = period_to_renew(subscription(renews_on=date(2027, 2, 28)), date(2027, 4, 29))
    assert (late.number, late.until, late.days, late.days_of_whole) == (3, date(2027, 4, 30), 1, 30)


@pytest.mark.parametrize(
    ("day", "hour"),
    [(date(2027, 3, 14), 8), (date(2027, 3, 15), 7), (date(2027, 11, 7), 7), (date(2027, 11, 8), 8)],
)
def test_midnight_is_the_operators_also_when_the_clock_changes(day: date, hour: int) -> None:
    assert midnight(day, VANCOUVER) == datetime(day.year, day.month, day.day, hour, tzinfo=UTC)


def test_a_midnight_that_a_clock_change_leaves_out_is_the_first_instant_of_the_day() -> None:
    assert midnight(date(2026, 3, 29), ZoneInfo("Asia/Beirut")) == datetime(2026, 3, 28, 22, tzinfo=UTC)


@given(
    MONTH_DAYS,
    DAYS,
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.sampled_from([SubscriptionState.ACTIVE, SubscriptionState.LAPSED]),
    st.one_of(st.none(), st.integers(0, 5)),
)
def test_something_is_to_be_done_exactly_when_it_is_due(
    renewal_day: int,
    day: date,
    ends: bool,
    warned: bool,
    reserved: bool,
    state: SubscriptionState,
    tried: int | None,
) -> None:
    renews_on = next_renewal(day, renewal_day)
    one = subscription(
        renewal_day=renewal_day,
        renews_on=renews_on,
        ends=ends,
        warned=warned,
        reserved_micros=int(reserved),
        state=state,
        tried_at=None if tried is None else midnight(renews_on, VANCOUVER) + timedelta(days=tried),
    )
    due = next_due(one, BRIDGE, VANCOUVER)
    assert decide_step(one, BRIDGE, NO_ORDER, due, VANCOUVER) is not None
    assert decide_step(one, BRIDGE, NO_ORDER, due - timedelta(microseconds=1), VANCOUVER) is None


def test_a_renewal_goes_before_what_should_have_led_up_to_it() -> None:
    at = midnight(date(2027, 2, 28), VANCOUVER)
    assert decide_step(subscription(), BRIDGE, NO_ORDER, at, VANCOUVER) is Step.RENEW
    assert decide_step(subscription(ends=True), BRIDGE, NO_ORDER, at, VANCOUVER) is Step.END
