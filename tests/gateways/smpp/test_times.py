"""The time format of section 7.1.1."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onecard.gateways.smpp.times import format_relative_time, format_time, parse_time

NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)


def east(hours: float) -> timezone:
    return timezone(timedelta(hours=hours))


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("", None),
        ("261124203400000+", datetime(2026, 11, 24, 20, 34, tzinfo=UTC)),
        ("261124203400932+", datetime(2026, 11, 24, 20, 34, 0, 900_000, east(8))),
        ("261124203459014-", datetime(2026, 11, 24, 20, 34, 59, 0, east(-3.5))),
        ("000000003000000R", NOW + timedelta(minutes=30)),
        ("000001000000000R", NOW + timedelta(days=1)),
        ("000100000000000R", datetime(2026, 2, 28, 12, tzinfo=UTC)),
        ("001200000000000R", datetime(2027, 1, 31, 12, tzinfo=UTC)),
        ("020100000000000R", datetime(2028, 2, 29, 12, tzinfo=UTC)),
        ("000000000000000R", NOW),
    ],
)
def test_a_time_is_read(text: str, moment: datetime | None) -> None:
    read = parse_time(text, NOW)
    assert read == moment
    assert (read and read.utcoffset()) == (moment and moment.utcoffset())


@pytest.mark.parametrize(
    "text",
    [
        "tomorrow",
        "261124203400",
        "261124203400000",
        "261124203400000 ",
        "261124203400000Z",
        "261324203400000+",
        "260230203400000+",
        "261124253400000+",
        "261124203400049+",
        "²61124203400000+",
        "261124203400000+\n",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_time(text, NOW)


@given(st.text(max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse_time(text, NOW)
    except ValueError:
        return


ZONES = st.integers(-48, 48).map(lambda quarters: timezone(timedelta(minutes=15 * quarters)))


@given(st.datetimes(datetime(2000, 1, 2), datetime(2099, 12, 30), timezones=ZONES))  # noqa: DTZ001 -- of the zone
def test_an_absolute_time_is_read_as_written_to_a_tenth_of_a_second(moment: datetime) -> None:
    read = parse_time(format_time(moment), NOW)
    assert read is not None
    assert timedelta() <= moment - read < timedelta(milliseconds=100)
    assert read.utcoffset() == moment.utcoffset()


def test_an_offset_that_smpp_does_not_have_becomes_utc() -> None:
    nepal_of_old = timezone(timedelta(hours=5, minutes=41, seconds=16))
    moment = datetime(2026, 1, 1, 5, 41, 16, tzinfo=nepal_of_old)
    assert format_time(moment) == "260101000000000+"


@given(st.integers(0, 99 * 86_400))
def test_a_relative_time_is_read_as_written(seconds: int) -> None:
    assert parse_time(format_relative_time(seconds), NOW) == NOW + timedelta(seconds=seconds)
