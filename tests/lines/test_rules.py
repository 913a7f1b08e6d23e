"""Schedules, lists, months and slots, in tables and for whatever hypothesis thinks of."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onecard.cards.model import Card, CardState
from onecard.lines.model import Line, LineLimits, LineRefusal, Usage, Window
from onecard.lines.rules import (
    WINDOWS_MOST,
    BadListEntry,
    BadSchedule,
    decide_application,
    decide_end,
    default_time_zone,
    format_schedule,
    is_blocked,
    lowest_free_slot,
    month_of,
    parse_list_entry,
    parse_pool_number,
    parse_schedule,
    takes,
)
from onecard.values.card import Iccid, Imsi
from onecard.values.hours import DAYS, Hours
from onecard.values.phone import E164, BadNumber, Country

CA, CN = Country("CA"), Country("CN")
VANCOUVER = "America/Vancouver"
LIMITS = LineLimits()


def make_line(
    *,
    slot: int = 1,
    schedule: str = "",
    zone: str = VANCOUVER,
    blocked: tuple[str, ...] = (),
    allowed: tuple[str, ...] = (),
    country: Country = CN,
    ending_until: datetime | None = None,
) -> Line:
    return Line(
        part=1,
        id=2,
        card_id=3,
        slot=slot,
        msisdn=E164("+8613800138000"),
        country=country,
        time_zone=zone,
        blocked=blocked,
        allowed=allowed,
        schedule=parse_schedule(schedule),
        ending_until=ending_until,
    )


WORKDAYS = "mon-fri 08:00-22:00 texts"
NIGHTS = "fri 22:00-06:00 texts"
# America/Vancouver in 2026 goes forward on 8 March at 02:00 (10:00 UTC), back on 1 November at 02:00 (09:00 UTC).
SCHEDULE_CASES = [
    (WORKDAYS, "2026-03-09T15:00:00Z", True, "Monday 08:00 PDT, when it begins"),
    (WORKDAYS, "2026-03-09T14:59:59Z", False, "a second before"),
    (WORKDAYS, "2026-03-10T04:59:59Z", True, "Monday 21:59:59, though it is Tuesday in UTC"),
    (WORKDAYS, "2026-03-10T05:00:00Z", False, "Monday 22:00, when it ends"),
    (WORKDAYS, "2026-03-06T16:00:00Z", True, "Friday 08:00 PST"),
    (WORKDAYS, "2026-03-06T15:00:00Z", False, "Friday 07:00 PST"),
    (WORKDAYS, "2026-03-07T20:00:00Z", False, "Saturday"),
    (NIGHTS, "2026-03-07T06:00:00Z", True, "Friday 22:00"),
    (NIGHTS, "2026-03-07T13:59:00Z", True, "Saturday 05:59: the window of Friday"),
    (NIGHTS, "2026-03-07T14:00:00Z", False, "Saturday 06:00"),
    (NIGHTS, "2026-03-08T06:30:00Z", False, "Saturday 22:30"),
    (NIGHTS, "2026-03-06T13:00:00Z", False, "Friday 05:00 belongs to Thursday"),
    ("sun 01:30-03:00 texts", "2026-03-08T09:59:00Z", True, "01:59, before the hour that is left out"),
    ("sun 01:30-03:00 texts", "2026-03-08T10:00:00Z", False, "03:00, the next moment"),
    ("sun 02:00-03:00 texts", "2026-03-08T10:00:00Z", False, "an hour that does not come"),
    ("sun 01:00-02:00 texts", "2026-11-01T08:30:00Z", True, "01:30 for the first time"),
    ("sun 01:00-02:00 texts", "2026-11-01T09:30:00Z", True, "01:30 for the second time"),
    ("sun 01:00-02:00 texts", "2026-11-01T10:00:00Z", False, "02:00"),
    (
        "sat 23:00-03:00 texts",
        "2026-03-08T09:30:00Z",
        True,
        "Sunday 01:30, over midnight and short of the change",
    ),
    ("sat 23:00-03:00 texts", "2026-03-08T10:00:00Z", False, "Sunday 03:00"),
    (
        "sun 22:00-06:00 texts",
        "2026-03-09T12:59:00Z",
        True,
        "Monday 05:59: the week begins with Sunday's window",
    ),
    ("daily 00:00-24:00 texts", "2026-03-08T10:00:00Z", True, "always"),
    ("daily 08:00-09:00 calls", "2026-03-08T00:00:00Z", True, "no window for texts"),
    ("", "2026-03-08T00:00:00Z", True, "no window at all"),
]


@pytest.mark.parametrize(("schedule", "at", "taken", "_why"), SCHEDULE_CASES)
def test_a_schedule_follows_the_clock_on_the_wall(schedule: str, at: str, taken: bool, _why: str) -> None:
    assert takes(make_line(schedule=schedule), Usage.TEXTS, datetime.fromisoformat(at)) is taken


instants = st.integers(0, 10 * 365 * 24 * 3600).map(
    lambda s: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=s)
)
minutes = st.times().map(lambda clock: clock.replace(second=0, microsecond=0))
day_sets = st.frozensets(st.integers(1, 7), min_size=1)
windows = st.builds(Window, st.sampled_from(Usage), st.builds(Hours, day_sets, minutes, minutes))


@given(day_sets, minutes, minutes, instants)
def test_a_window_and_its_opposite_share_out_the_week(
    days: frozenset[int], begin: time, end: time, at: datetime
) -> None:
    """On all days, either begin-end or end-begin is open, never both."""
    if begin == end:
        return
    every = frozenset(range(1, 8))
    one = Window(Usage.CALLS, Hours(every, begin, end))
    other = Window(Usage.CALLS, Hours(every, end, begin))
    line = make_line()
    opens = [takes_windows(line, (window,), at) for window in (one, other)]
    assert opens.count(True) == 1
    assert takes_windows(line, (one, other), at)
    assert takes_windows(line, (Window(Usage.CALLS, Hours(days, begin, end)),), at) <= opens[0]


def takes_windows(line: Line, schedule: tuple[Window, ...], at: datetime) -> bool:
    return takes(replace(line, schedule=schedule), Usage.CALLS, at)


@given(st.lists(windows, max_size=8))
def test_a_schedule_that_is_written_reads_the_same(schedule: list[Window]) -> None:
    assert parse_schedule(format_schedule(schedule)) == tuple(schedule)


@given(st.text(max_size=60))
def test_any_words_are_a_schedule_or_a_clear_error(text: str) -> None:
    with suppress(BadSchedule):
        assert len(parse_schedule(text)) <= WINDOWS_MOST


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("fri-mon 08:00-09:00 texts", {5, 6, 7, 1}),
        ("mon,wed,fri-sat 08:00-09:00 texts", {1, 3, 5, 6}),
        ("DAILY 8:00-9:00 Texts", {1, 2, 3, 4, 5, 6, 7}),
    ],
)
def test_days_are_read(text: str, days: set[int]) -> None:
    (window,) = parse_schedule(text)
    assert window.hours.days == days
    assert (window.hours.begin, window.hours.end) == (time(8), time(9))


def test_a_window_without_a_usage_is_for_both() -> None:
    assert {window.usage for window in parse_schedule("daily 08:00-22:00")} == set(Usage)


@pytest.mark.parametrize(
    "text",
    ["mon", "mon 8-9 texts", "someday 08:00-09:00 texts", "mon 25:00-26:00 texts", "mon 08:00-09:00 faxes",
     "mon- 08:00 texts calls", "mon 08:60-09:00 texts", "; ".join(["mon 08:00-09:00"] * 26)],
)  # fmt: skip
def test_what_is_no_schedule_is_refused(text: str) -> None:
    with pytest.raises(BadSchedule):
        parse_schedule(text)


@pytest.mark.parametrize(
    ("text", "country", "entry"),
    [
        ("604 555 0100", CA, "+16045550100"),
        ("+86 138 0013 8000", CA, "+8613800138000"),
        ("138 0013 8000", CN, "+8613800138000"),
        ("95588", CN, "95588"),
        ("+8610*", CA, "+8610*"),
        ("1069*", CN, "1069*"),
        ("ICBC", CN, "icbc"),
        ("Promo*", CN, "promo*"),
    ],
)
def test_list_entries_are_kept_in_one_form(text: str, country: Country, entry: str) -> None:
    assert parse_list_entry(text, country) == entry


@pytest.mark.parametrize(
    "text", ["", " ", "*", "+*", "+8*6*", "12", "+1604555010012345678", "A" * 21, "a\x00"]
)
def test_what_is_no_list_entry_is_refused(text: str) -> None:
    with pytest.raises(BadListEntry):
        parse_list_entry(text, CA)


@pytest.mark.parametrize(
    ("blocked", "allowed", "sender", "is_kept_out"),
    [
        ((), (), "+16045550100", False),
        (("+16045550100",), (), "+16045550100", True),
        (("+16045550100",), (), "16045550100", True),
        (("+8613800138000",), (), "13800138000", True),
        (("+16045550100",), (), "+16045550101", False),
        (("+8610*",), (), "+861012345678", True),
        (("+8610*",), (), "861012345678", True),
        (("+8610*",), (), "+862112345678", False),
        (("icbc",), (), "ICBC", True),
        (("icbc",), (), "ICBC2", False),
        (("ic*",), (), "ICBC2", True),
        (("95588",), (), "95588", True),
        (("95588",), (), "955881", False),
        ((), ("+8610*", "95588"), "95588", False),
        ((), ("+8610*", "95588"), "+861012345678", False),
        ((), ("+8610*", "95588"), "ICBC", True),
        (("+861012345678",), ("+8610*",), "+861012345678", True),
        (("+861012345678",), ("+8610*",), "+861012345679", False),
    ],
)
def test_lists_keep_senders_out(
    blocked: tuple[str, ...], allowed: tuple[str, ...], sender: str, is_kept_out: bool
) -> None:
    assert is_blocked(make_line(blocked=blocked, allowed=allowed), sender) is is_kept_out


@given(st.text(max_size=25))
def test_no_sender_breaks_the_lists(sender: str) -> None:
    line = make_line(blocked=("+8610*", "icbc"))
    is_blocked(line, sender)
    assert not is_blocked(make_line(), sender)


@pytest.mark.parametrize(
    ("at", "zone", "begin", "end"),
    [
        ("2026-03-10T12:00Z", VANCOUVER, "2026-03-01T08:00Z", "2026-04-01T07:00Z"),
        ("2026-04-01T06:59Z", VANCOUVER, "2026-03-01T08:00Z", "2026-04-01T07:00Z"),
        ("2026-04-01T07:00Z", VANCOUVER, "2026-04-01T07:00Z", "2026-05-01T07:00Z"),
        ("2026-12-31T16:00Z", "Asia/Shanghai", "2026-12-31T16:00Z", "2027-01-31T16:00Z"),
        ("2024-02-29T12:00Z", "UTC", "2024-02-01T00:00Z", "2024-03-01T00:00Z"),
        ("2026-11-01T09:30Z", VANCOUVER, "2026-11-01T07:00Z", "2026-12-01T08:00Z"),
    ],
)
def test_a_month_is_counted_on_the_operators_calendar(at: str, zone: str, begin: str, end: str) -> None:
    months = month_of(datetime.fromisoformat(at), ZoneInfo(zone))
    assert months == (datetime.fromisoformat(begin), datetime.fromisoformat(end))


@given(instants, st.sampled_from([VANCOUVER, "Asia/Shanghai", "Europe/London", "Pacific/Auckland"]))
def test_months_follow_each_other_without_a_gap(at: datetime, zone: str) -> None:
    begin, end = month_of(at, ZoneInfo(zone))
    assert begin <= at < end
    assert month_of(end, ZoneInfo(zone))[0] == end
    assert month_of(begin - timedelta(microseconds=1), ZoneInfo(zone))[1] == begin


def make_card(state: CardState) -> Card:
    return Card(1, 3, 4, 5, Iccid("89"), Imsi("302990"), state)


@pytest.mark.parametrize(
    ("state", "secondaries", "open_applications", "this_month", "refusal"),
    [
        (CardState.SOLD, 0, 0, 0, None),
        (CardState.ACTIVE, 2, 0, 2, None),
        (CardState.ACTIVE, 1, 1, 2, None),
        (CardState.ACTIVE, 3, 0, 0, LineRefusal.TOO_MANY_SECONDARIES),
        (CardState.ACTIVE, 2, 1, 0, LineRefusal.TOO_MANY_SECONDARIES),
        (CardState.ACTIVE, 0, 0, 3, LineRefusal.TOO_MANY_APPLICATIONS),
        (CardState.ENDED, 0, 0, 0, LineRefusal.CARD_ENDED),
        (None, 0, 0, 0, LineRefusal.UNKNOWN_CARD),
    ],
)
def test_applications_are_limited(
    state: CardState | None,
    secondaries: int,
    open_applications: int,
    this_month: int,
    refusal: LineRefusal | None,
) -> None:
    decision = decide_application(
        make_card(state) if state else None,
        secondaries=secondaries,
        open_applications=open_applications,
        applications_this_month=this_month,
        limits=LIMITS,
    )
    assert decision is refusal


@pytest.mark.parametrize(("slots", "free"), [([], 1), ([0], 1), ([0, 1], 2), ([0, 2, 3], 1), ([0, 1, 3], 2)])
def test_a_new_line_takes_the_lowest_free_slot(slots: list[int], free: int) -> None:
    assert lowest_free_slot(make_line(slot=slot) for slot in slots) == free


AT = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ending_until", "refusal"),
    [
        (None, LineRefusal.NOT_ENDING),
        (AT, None),
        (AT + timedelta(minutes=30), None),
        (AT - timedelta(seconds=1), LineRefusal.CONFIRMATION_TOO_LATE),
    ],
)
def test_an_end_is_confirmed_in_time_or_not(
    ending_until: datetime | None, refusal: LineRefusal | None
) -> None:
    assert decide_end(make_line(ending_until=ending_until), AT) is refusal


@pytest.mark.parametrize(
    ("msisdn", "zone"),
    [
        ("+16045550100", VANCOUVER),
        ("+14165550100", "America/Toronto"),
        ("+8613800138000", "Asia/Shanghai"),
        ("+85251234567", "Asia/Hong_Kong"),
        ("+447700900123", "UTC"),
    ],
)
def test_a_line_keeps_the_time_of_its_numbers_area(msisdn: str, zone: str) -> None:
    assert default_time_zone(E164(msisdn)) == zone


@pytest.mark.parametrize(
    ("msisdn", "country"), [("+16045550100", ""), ("16045550100", "ca"), ("+1 604 555 0100", "CA")]
)
def test_a_pool_number_is_read_with_its_country(msisdn: str, country: str) -> None:
    assert parse_pool_number({"msisdn": msisdn, "country": country}) == ("+16045550100", "CA")


@pytest.mark.parametrize(
    ("msisdn", "country"),
    [("+16045550100", "CN"), ("+16045550100", "XX"), ("+1604555", ""), ("hello", ""), ("+99912345678", "")],
)
def test_a_bad_pool_number_is_refused(msisdn: str, country: str) -> None:
    with pytest.raises(BadNumber):
        parse_pool_number({"msisdn": msisdn, "country": country})


def test_days_are_named_from_monday() -> None:
    assert DAYS[datetime(2026, 3, 9, tzinfo=UTC).isoweekday() - 1] == "mon"
