"""Days of the week and hours of the clock on a wall: ``mon-fri 08:00-22:00``, in a time zone that is given."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MINUTES_A_DAY = 24 * 60
_MINUTES_A_WEEK = 7 * _MINUTES_A_DAY
_AHEAD = timedelta(days=16)
"""How far `next_edges` looks: hours of one day a week that a clock change leaves out come a week later."""


class BadHours(ValueError):
    """Words that are not days and hours."""


@dataclass(frozen=True, slots=True)
class Hours:
    """Days (ISO: 1 is Monday) and hours of a local clock.

    Hours whose end is not after their beginning run past midnight and belong to the day they began on.
    """

    days: frozenset[int]
    begin: time
    end: time

    def hold(self, local: datetime) -> bool:
        """Whether a local time is within them.

        An hour that a clock change repeats counts both times, one that it leaves out does not come.
        """
        day, clock = local.isoweekday(), local.time()
        if self.begin < self.end:
            return day in self.days and self.begin <= clock < self.end
        day_before = (day - 2) % 7 + 1
        return (day in self.days and clock >= self.begin) or (day_before in self.days and clock < self.end)


@lru_cache(maxsize=1024)
def zone_named(name: str) -> ZoneInfo:
    """The time zone of an IANA name."""
    return ZoneInfo(name)


def parse_hours(text: str) -> Hours:
    """Read days and hours; raises `BadHours`.

    Days are names, ranges (``fri-mon`` too) or ``daily``. Hours that end at or before their beginning run past
    midnight.
    """
    words = text.lower().split()
    if len(words) != 2:
        raise BadHours(f"{text.strip()[:60]!r} is not like 'mon-fri 08:00-22:00'")
    return Hours(_parse_days(words[0]), *_parse_clock(words[1]))


def _parse_days(text: str) -> frozenset[int]:
    if text == "daily":
        return frozenset(range(1, 8))
    return frozenset(day for item in text.split(",") for day in _parse_day_range(item))


def _parse_day_range(item: str) -> list[int]:
    first, _, last = item.partition("-")
    try:
        begin, end = DAYS.index(first), DAYS.index(last or first)
    except ValueError:
        raise BadHours(f"{item[:20]!r} is not a day or a range of days, such as mon-fri") from None
    return [(begin + offset) % 7 + 1 for offset in range((end - begin) % 7 + 1)]


def _parse_clock(text: str) -> tuple[time, time]:
    match = re.fullmatch(r"(\d\d?):(\d\d)-(\d\d?):(\d\d)", text, re.ASCII)
    if match is None:
        raise BadHours(f"{text[:20]!r} is not like 08:00-22:00")
    begin_hour, begin_minute, end_hour, end_minute = map(int, match.groups())
    if (end_hour, end_minute) == (24, 0):
        end_hour = 0
    try:
        return time(begin_hour, begin_minute), time(end_hour, end_minute)
    except ValueError:
        raise BadHours(f"{text!r} are not hours of a day") from None


def format_hours(hours: Hours) -> str:
    """Write hours as `parse_hours` reads them."""
    return f"{_format_days(hours.days)} {hours.begin:%H:%M}-{hours.end:%H:%M}"


def _format_days(days: frozenset[int]) -> str:
    if len(days) == 7:
        return "daily"
    ordered = sorted(days)
    if len(ordered) > 2 and ordered[-1] - ordered[0] == len(ordered) - 1:
        return f"{DAYS[ordered[0] - 1]}-{DAYS[ordered[-1] - 1]}"
    return ",".join(DAYS[day - 1] for day in ordered)


def overlap(one: Hours, other: Hours) -> bool:
    """Whether there is a minute of the week that both hold."""
    return any(
        begin < other_end and other_begin < end
        for begin, end in _minutes_of_week(one)
        for other_begin, other_end in _minutes_of_week(other)
    )


def _minutes_of_week(hours: Hours) -> Iterator[tuple[int, int]]:
    begin, end = (clock.hour * 60 + clock.minute for clock in (hours.begin, hours.end))
    length = end - begin if begin < end else end - begin + _MINUTES_A_DAY
    for day in hours.days:
        first = (day - 1) * _MINUTES_A_DAY + begin
        yield first, min(first + length, _MINUTES_A_WEEK)
        if first + length > _MINUTES_A_WEEK:  # Sunday's run into Monday
            yield 0, first + length - _MINUTES_A_WEEK


def next_edges(windows: frozenset[Hours], zone: str, at: datetime) -> tuple[datetime, ...]:
    """The instants (UTC) of about two weeks after `at` at which one of the windows may begin or stop to hold.

    Between two of them none changes. Clock changes of the zone are among them: they move the wall clock.
    """
    edges = _edges_from(windows, zone, at.astimezone(UTC).date())
    return tuple(edge for edge in edges if edge > at)


@lru_cache(maxsize=1024)
def _edges_from(windows: frozenset[Hours], zone: str, day: date) -> tuple[datetime, ...]:
    place = zone_named(zone)
    midnight = datetime.combine(day, time(), UTC)
    clocks = {clock for hours in windows for clock in (hours.begin, hours.end)}
    local_days = [day + timedelta(days=ahead) for ahead in range(-1, _AHEAD.days + 1)]
    walls = {
        datetime.combine(local_day, clock, place).replace(fold=fold).astimezone(UTC)
        for local_day in local_days
        for clock in clocks
        for fold in (0, 1)
    }
    return tuple(sorted(walls | set(_clock_changes(place, midnight))))


def _clock_changes(zone: ZoneInfo, since: datetime) -> Iterator[datetime]:
    """The instants at which the zone's offset from UTC changes."""
    for ahead in range(_AHEAD.days + 1):
        before, after = since + timedelta(days=ahead), since + timedelta(days=ahead + 1)
        if _offset(zone, before) != _offset(zone, after):
            yield _find_change(zone, before, after)


def _find_change(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    old = _offset(zone, before)
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        before, after = (middle, after) if _offset(zone, middle) == old else (before, middle)
    return after


def _offset(zone: ZoneInfo, at: datetime) -> timedelta | None:
    return at.astimezone(zone).utcoffset()
