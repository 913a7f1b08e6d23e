"""Time limits in business days and business hours, over weekends, closed days and clock changes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onecard.values.business import BusinessCalendar, add_business_days, add_business_time, is_business_day
from onecard.values.hours import parse_hours

TORONTO = ZoneInfo("America/Toronto")
CALENDAR = BusinessCalendar(
    parse_hours("mon-fri 09:00-17:00"), "America/Toronto", frozenset({date(2021, 12, 27), date(2021, 12, 28)})
)
FIRST = datetime(2021, 1, 1, tzinfo=UTC)
SPAN = timedelta(hours=2, minutes=30)


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=TORONTO)


@pytest.mark.parametrize(
    ("since", "until"),
    [
        ("2021-12-22 09:00", "2021-12-22 11:30"),
        ("2021-12-22 08:59", "2021-12-22 11:30"),
        ("2021-12-22 14:30", "2021-12-22 17:00"),
        ("2021-12-22 14:31", "2021-12-23 09:01"),
        ("2021-12-22 17:00", "2021-12-23 11:30"),
        ("2021-12-24 16:00", "2021-12-29 10:30"),  # Friday; the weekend; two closed days
        ("2021-12-25 12:00", "2021-12-29 11:30"),
    ],
)
def test_business_time_passes_while_business_is_done(since: str, until: str) -> None:
    assert add_business_time(CALENDAR, local(since), SPAN) == local(until)


@pytest.mark.parametrize(
    ("since", "until"),
    [
        ("2021-12-20 09:00", "2021-12-22 17:00"),
        ("2021-12-20 00:00", "2021-12-22 17:00"),
        ("2021-12-20 16:59", "2021-12-22 17:00"),
        ("2021-12-20 17:00", "2021-12-23 17:00"),  # comes on the next business day
        ("2021-12-23 12:00", "2021-12-29 17:00"),
        ("2021-12-25 12:00", "2021-12-31 17:00"),
    ],
)
def test_business_days_end_when_the_last_of_them_closes(since: str, until: str) -> None:
    assert add_business_days(CALENDAR, local(since), 2) == local(until)


def test_a_clock_change_moves_the_hours_with_the_wall() -> None:
    friday = local("2021-03-12 16:00")
    assert add_business_time(CALENDAR, friday, SPAN) == datetime(2021, 3, 15, 14, 30, tzinfo=UTC)


@given(
    st.integers(0, 700 * 24 * 60).map(lambda minutes: FIRST + timedelta(minutes=minutes)),
    st.timedeltas(timedelta(minutes=1), timedelta(hours=40)),
)
def test_a_time_limit_ends_within_hours_and_grows_with_the_span(since: datetime, span: timedelta) -> None:
    until = add_business_time(CALENDAR, since, span)
    assert until >= since + span
    assert add_business_time(CALENDAR, since, span / 2) < until
    assert is_business_day(until.astimezone(TORONTO).date(), CALENDAR.closed_days)
