"""The time format of SMPP 3.4: `YYMMDDhhmmsstnnp`, absolute or relative.

Pure: the present is an argument. Source: SMPP Protocol Specification v3.4, issue 1.2, section 7.1.1.
"""

import re
from calendar import monthrange
from datetime import UTC, datetime, timedelta, timezone

_FORMAT = re.compile(r"(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d)(\d\d)([-+R])", re.ASCII)
_QUARTER = timedelta(minutes=15)
_MOST_QUARTERS = 48


def parse_time(text: str, now: datetime) -> datetime | None:
    """Read a schedule, a validity or a final date; None if the text is empty, which means not given.

    `now` is aware. An absolute time keeps its own offset to UTC; a relative one counts from `now` by the
    calendar (a month from 31 January is the last of February). Raises ValueError for anything else.
    """
    assert now.tzinfo is not None
    if not text:
        return None
    match = _FORMAT.fullmatch(text)
    if match is None:
        raise ValueError("not a time of the form YYMMDDhhmmsstnnp")
    numbers = [int(number) for number in match.groups()[:-1]]
    if match[9] == "R":
        return _add(now, numbers)
    return _absolute(numbers, sign=-1 if match[9] == "-" else 1)


def _absolute(numbers: list[int], sign: int) -> datetime:
    year, month, day, hour, minute, second, tenth, quarters = numbers
    if quarters > _MOST_QUARTERS:
        raise ValueError(f"an offset of {quarters} quarters of an hour is over {_MOST_QUARTERS}")
    zone = timezone(sign * quarters * _QUARTER)
    return datetime(2000 + year, month, day, hour, minute, second, tenth * 100_000, zone)


def _add(now: datetime, numbers: list[int]) -> datetime:
    years, months, days, hours, minutes, seconds, _, _ = numbers
    total = now.year * 12 + now.month - 1 + years * 12 + months
    year, month = total // 12, total % 12 + 1
    day = min(now.day, monthrange(year, month)[1])
    start = now.replace(year=year, month=month, day=day)
    return start + timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def format_time(moment: datetime) -> str:
    """Write an aware time of 2000 to 2099 as absolute, in its own offset, or in UTC if SMPP lacks that one.

    Tenths of a second are kept, what is smaller is cut off.
    """
    offset = moment.utcoffset()
    assert offset is not None
    if offset % _QUARTER or abs(offset) > _MOST_QUARTERS * _QUARTER:
        return format_time(moment.astimezone(UTC))
    assert 2000 <= moment.year <= 2099
    sign = "-" if offset < timedelta() else "+"
    return f"{moment:%y%m%d%H%M%S}{moment.microsecond // 100_000}{abs(offset) // _QUARTER:02}{sign}"


def format_relative_time(seconds: int) -> str:
    """Write a time from now on, 0 to 99 days, as relative."""
    days, rest = divmod(seconds, 86_400)
    assert 0 <= days <= 99
    return f"0000{days:02}{rest // 3600:02}{rest // 60 % 60:02}{rest % 60:02}000R"
