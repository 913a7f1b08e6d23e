"""Business days and business hours: what time limits of operators and regulators are counted in. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from onecard.values.hours import Hours, zone_named

_DAY = timedelta(days=1)
_SATURDAY = 5
DAYS_MOST = 1000
"""So far ahead a time limit is looked for."""


@dataclass(frozen=True, slots=True)
class BusinessCalendar:
    """When business is done: on the days and at the hours of a local clock, but for closed days."""

    hours: Hours
    """They end on the day they begin."""
    zone: str
    closed_days: frozenset[date] = frozenset()


def is_business_day(day: date, closed_days: Collection[date]) -> bool:
    """Monday to Friday, and no holiday."""
    return day.weekday() < _SATURDAY and day not in closed_days


def add_business_time(calendar: BusinessCalendar, since: datetime, span: timedelta) -> datetime:
    """The instant (UTC) at which so much time has passed while business was done."""
    for opens, closes in _openings(calendar, since):
        begin = max(opens, since)
        if begin + span <= closes:
            return begin + span
        span -= max(closes - begin, timedelta(0))
    raise AssertionError("no business is done for years")


def add_business_days(calendar: BusinessCalendar, since: datetime, count: int) -> datetime:
    """The instant (UTC) at which the last of so many business days closes.

    The day of `since` is not one of them; what comes after closing counts as come on the next business day.
    """
    left = count
    for _, closes in _openings(calendar, since):
        if closes <= since:
            continue
        if left == 0:
            return closes
        left -= 1
    raise AssertionError("no business is done for years")


def _openings(calendar: BusinessCalendar, since: datetime) -> Iterator[tuple[datetime, datetime]]:
    """When business begins and ends (UTC), day by day from the local day of an instant on."""
    hours, zone = calendar.hours, zone_named(calendar.zone)
    first = since.astimezone(zone).date()
    for day in (first + ahead * _DAY for ahead in range(DAYS_MOST)):
        if day.isoweekday() in hours.days and day not in calendar.closed_days:
            begin, end = (datetime.combine(day, clock, zone) for clock in (hours.begin, hours.end))
            yield begin.astimezone(UTC), end.astimezone(UTC)
