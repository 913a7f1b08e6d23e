"""Hours of the wall clock: what they overlap, and when they begin and stop to hold, also where the clock is changed."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onecard.values.hours import BadHours, Hours, format_hours, next_edges, overlap, parse_hours, zone_named

VANCOUVER = "America/Vancouver"
# America/Vancouver in 2026 goes forward on 8 March at 02:00 (10:00 UTC), back on 1 November at 02:00 (09:00 UTC).

minutes = st.times().map(lambda clock: clock.replace(second=0, microsecond=0))
all_hours = st.builds(Hours, st.frozensets(st.integers(1, 7), min_size=1), minutes, minutes)
instants = st.integers(0, 10 * 365 * 24 * 3600).map(
    lambda s: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=s)
)
zones = st.sampled_from([VANCOUVER, "Asia/Shanghai", "Europe/London", "Australia/Lord_Howe", "UTC"])


@given(all_hours)
def test_hours_that_are_written_read_the_same(hours: Hours) -> None:
    assert parse_hours(format_hours(hours)) == hours


@pytest.mark.parametrize(
    "text", ["", "mon", "mon 8-9", "someday 08:00-09:00", "mon 08:00-25:00", "mon 08:00-09:00 texts"]
)
def test_other_words_are_refused(text: str) -> None:
    with pytest.raises(BadHours):
        parse_hours(text)


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ("mon-fri 08:00-18:00", "sat,sun 08:00-18:00", False),
        ("mon-fri 08:00-18:00", "fri 17:59-18:30", True),
        ("mon-fri 08:00-18:00", "mon-fri 18:00-08:00", False),
        ("sun 22:00-06:00", "mon 05:00-07:00", True),
        ("sun 22:00-06:00", "mon 06:00-07:00", False),
        ("daily 00:00-24:00", "wed 12:00-12:01", True),
    ],
)
def test_hours_overlap_in_the_week(one: str, other: str, both: bool) -> None:
    assert overlap(parse_hours(one), parse_hours(other)) is both
    assert overlap(parse_hours(other), parse_hours(one)) is both


@given(all_hours, all_hours)
@settings(max_examples=50)
def test_hours_overlap_where_a_minute_of_a_week_is_in_both(one: Hours, other: Hours) -> None:
    week = [datetime(2026, 6, 1) + timedelta(minutes=m) for m in range(7 * 24 * 60)]  # noqa: DTZ001  # local
    assert overlap(one, other) is any(one.hold(local) and other.hold(local) for local in week)


@pytest.mark.parametrize(
    ("hours", "at", "edge"),
    [
        ("mon-fri 08:00-18:00", "2026-03-09T14:00:00Z", "2026-03-09T15:00:00Z"),
        ("mon-fri 08:00-18:00", "2026-03-09T15:00:00Z", "2026-03-10T01:00:00Z"),
        ("sun 02:30-04:00", "2026-03-08T09:50:00Z", "2026-03-08T10:00:00Z"),  # 03:00 follows upon 01:59
        ("sun 01:00-01:30", "2026-11-01T08:30:00Z", "2026-11-01T09:00:00Z"),  # 01:00 comes again
        ("sun 01:00-01:30", "2026-11-01T09:00:00Z", "2026-11-01T09:30:00Z"),
    ],
)
def test_the_next_edge_is_an_instant(hours: str, at: str, edge: str) -> None:
    one = parse_hours(hours)
    since = datetime.fromisoformat(at)
    now = one.hold(since.astimezone(zone_named(VANCOUVER)))
    changes = (
        edge
        for edge in next_edges(frozenset({one}), VANCOUVER, since)
        if one.hold(edge.astimezone(zone_named(VANCOUVER))) is not now
    )
    assert next(changes) == datetime.fromisoformat(edge)


@given(all_hours, zones, instants)
@settings(max_examples=100)
def test_nothing_changes_between_two_edges(hours: Hours, zone: str, at: datetime) -> None:
    edges = [at, *next_edges(frozenset({hours}), zone, at)]
    for begin, end in pairwise(edges):
        probes = [
            begin,
            begin + (end - begin) / 3,
            begin + (end - begin) / 2,
            end - timedelta(microseconds=1),
        ]
        assert len({hours.hold(probe.astimezone(ZoneInfo(zone))) for probe in probes}) == 1


def test_hours_at_the_end_of_the_day_run_to_midnight() -> None:
    assert parse_hours("sat 20:00-24:00") == Hours(frozenset({6}), time(20), time(0))
