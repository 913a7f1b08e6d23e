"""Which notices are due, when texts may come, and what follows from what came of an attempt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from onecard.values.hours import Hours, zone_named
from onecard.values.language import Language
from onecard.winddown.model import Notice, NoticeKind, Plan, Stage, Stay
from onecard.winddown.notices.model import (
    Channel,
    MadeNotice,
    NewNotice,
    PostRules,
    Recipient,
    RecipientState,
    Result,
    read_reference,
    write_reference,
)
from onecard.winddown.notices.rules import decide_due, is_stale, next_awake, settle
from onecard.winddown.rules import date_stages, to_instant
from winddown.notices.post import ALL, ANNOUNCEMENT, SALES_END, SERVICE_ENDS, TORONTO, local, make_plan
from winddown.plans import stays

ZONES = ("America/Toronto", "America/Vancouver", "Asia/Shanghai", "Australia/Lord_Howe", "UTC")
RULES = PostRules()
AT = datetime(2026, 5, 1, 17, tzinfo=UTC)
instants = st.datetimes(local("2026-01-01"), local("2027-12-31"), timezones=st.just(UTC))
hours = st.builds(
    Hours,
    st.frozensets(st.integers(1, 7), min_size=1),
    st.times().map(lambda one: one.replace(microsecond=0)),
    st.times().map(lambda one: one.replace(microsecond=0)),
)


def make(plan: Plan, new: NewNotice, number: int, at: datetime = AT) -> MadeNotice:
    return MadeNotice(
        number, new.key, new.kind, new.stage, plan.version, new.dates, new.languages, new.is_urgent, at
    )


def follow(plan: Plan, under: Sequence[Stay], made: list[MadeNotice], at: datetime) -> list[MadeNotice]:
    """Carry out what is due, as the database would."""
    due = decide_due(plan, under, made, at)
    kept = [replace(one, withdrawn_at=at) if one.id in due.withdrawn else one for one in made]
    return kept + [make(plan, new, len(kept) + 1 + n, at) for n, new in enumerate(due.new)]


# ---- what is due

NOTICES = (
    ANNOUNCEMENT,
    Notice("sales end", local("2026-05-20T10:00"), ALL),
    Notice("service ends", local("2026-08-01T10:00"), (Language.FRENCH,), NoticeKind.PORT_OUT),
    Notice("service ends", local("2026-08-25T10:00"), ALL, NoticeKind.REMINDER),
)


def test_a_plan_is_told_notice_by_notice_and_each_once() -> None:
    plan = make_plan(*NOTICES)
    made: list[MadeNotice] = []
    for day in range(150):
        made = follow(plan, (), made, AT + timedelta(days=day))
    kinds = [NoticeKind.ANNOUNCEMENT, NoticeKind.STAGE, NoticeKind.PORT_OUT, NoticeKind.REMINDER]
    assert [one.kind for one in made] == kinds
    assert [one.withdrawn_at for one in made] == [None] * 4
    assert made[2].languages == (Language.FRENCH,)


@pytest.mark.parametrize(
    ("notice", "stages"),
    [
        (NOTICES[0], {"sales end", "service ends"}),
        (NOTICES[1], {"sales end", "service ends"}),  # what is still to come stands below it
        (NOTICES[2], {"service ends"}),
        (Notice("service ends", local("2026-04-01"), ALL, NoticeKind.REFUND), {"sales end"}),
    ],
)
def test_a_notice_keeps_the_dates_that_it_tells(notice: Notice, stages: set[str]) -> None:
    [new] = decide_due(make_plan(notice), (), (), to_instant(notice.at, TORONTO)).new
    assert set(new.dates) == stages


def test_what_a_stay_leaves_without_a_date_is_not_announced() -> None:
    due = decide_due(make_plan(ANNOUNCEMENT), [Stay(local("2026-04-01"))], (), AT)
    assert due.new == ()


def test_what_comes_within_a_day_is_urgent() -> None:
    late = Notice("sales end", local("2026-05-31T12:00"), ALL, NoticeKind.REMINDER)
    for hour, urgent in (("2026-05-30T23:59", False), ("2026-05-31T00:01", True)):
        [new] = decide_due(
            make_plan(replace(late, at=local(hour))), (), (), to_instant(local(hour), TORONTO)
        ).new
        assert (new.is_urgent, new.days_left) == (urgent, 2 - urgent)


@given(st.lists(st.tuples(instants, st.lists(stays(), max_size=2)), max_size=6))
def test_whatever_stays_come_and_go_no_notice_that_stands_tells_another_date_than_the_plan(
    changes: list[tuple[datetime, list[Stay]]],
) -> None:
    made: list[MadeNotice] = []
    changes.sort(key=lambda change: change[0])
    for version, (at, under) in enumerate(changes, 1):
        plan = replace(make_plan(*NOTICES), version=version)
        named = [replace(stay, stages=frozenset()) for stay in under]
        made = follow(plan, named, made, at)
        dates = {one.stage.name: one.at for one in date_stages(plan, named)}
        assert not [one for one in made if one.withdrawn_at is None and is_stale(one, dates)]
        told: dict[str, object] = {}
        for one in made:
            told.update(one.dates)
        assert all(dates[stage] == day for stage, day in told.items())  # what was told last is so
        assert follow(plan, named, made, at) == made  # and nothing is due twice
        keys = [one.key for one in made if one.withdrawn_at is None]
        assert len(keys) == len(set(keys))


def test_a_cut_by_the_host_is_told_once_unless_the_plan_tells_of_it() -> None:
    cut = Stage("cut", local("2026-07-01"), closes=SERVICE_ENDS.closes, is_by_host=True)
    plan = make_plan(stages=(SALES_END, cut))
    [warning] = follow(plan, (), [], AT)
    assert (warning.kind, warning.is_urgent) == (NoticeKind.HOST_CUT, True)
    assert follow(plan, (), [warning], AT) == [warning]
    planned = make_plan(Notice("cut", local("2026-06-01"), ALL), stages=(SALES_END, cut))
    assert follow(planned, (), [], AT) == []


# ---- when texts may come


@given(hours, st.sampled_from(ZONES), instants)
def test_texts_come_at_the_first_instant_at_which_people_are_awake(
    awake: Hours, zone: str, at: datetime
) -> None:
    place = zone_named(zone)
    wall = awake.begin, awake.end
    assume(
        all(not time(0) < one < time(4) for one in wall)
    )  # such hours may be left out on a day of the year
    found = next_awake(awake, zone, at)
    assert awake.hold(found.astimezone(place))
    assert found == at or not awake.hold((found - timedelta(seconds=1)).astimezone(place))
    assert at <= found <= at + timedelta(days=8)


def test_the_clock_of_the_place_counts_on_the_day_on_which_it_changes() -> None:
    changed = datetime(2026, 3, 8, 3, tzinfo=ZoneInfo("America/Toronto"))
    found = next_awake(RULES.awake, "America/Toronto", changed.astimezone(UTC))
    assert found == datetime(2026, 3, 8, 13, tzinfo=UTC)


# ---- what follows


def recipient(channel: Channel, tried_hours: float | None = None) -> Recipient:
    since = None if tried_hours is None else AT - timedelta(hours=tried_hours)
    return Recipient(1, 1, 1, 0, Language.ENGLISH, channel, 0, since)


W, S, R, U = (
    RecipientState.WAITING,
    RecipientState.SENT,
    RecipientState.REACHED,
    RecipientState.UNREACHED,
)
T, E, L = Channel


@pytest.mark.parametrize(
    ("channel", "tried_hours", "result", "state", "following"),
    [
        (T, None, Result.SENT, S, T),
        (T, 1, Result.DELIVERED, R, T),
        (T, 1, Result.REFUSED, W, E),
        (T, 24, Result.NO_RECEIPT, W, E),
        (T, None, Result.FAILED, W, T),
        (T, 24, Result.FAILED, W, E),
        (T, None, Result.NO_ADDRESS, W, E),
        (E, None, Result.ACCEPTED, R, E),
        (E, None, Result.REFUSED, W, L),
        (E, 23.9, Result.FAILED, W, E),
        (E, 24, Result.FAILED, W, L),
        (E, 100, Result.BOUNCED, W, L),
        (L, None, Result.SENT, S, L),
        (L, 1, Result.POSTED, R, L),
        (L, None, Result.NO_ADDRESS, U, L),
        (L, 900, Result.BOUNCED, U, L),
    ],
)
def test_what_follows_from_a_result(
    channel: Channel, tried_hours: float | None, result: Result, state: RecipientState, following: Channel
) -> None:
    outcome = settle(recipient(channel, tried_hours), result, RULES, AT)
    assert (outcome.state, outcome.channel) == (state, following)
    assert outcome.due_at >= AT


def test_channels_go_in_the_order_that_the_operator_wants() -> None:
    rules = PostRules(channels=(Channel.EMAIL, Channel.TEXT))
    assert settle(recipient(Channel.EMAIL), Result.REFUSED, rules, AT).channel is Channel.TEXT
    assert settle(recipient(Channel.TEXT), Result.REFUSED, rules, AT).state is U


def test_who_waits_for_a_channel_that_the_operator_has_given_up_is_told_by_the_last() -> None:
    rules = PostRules(channels=(Channel.TEXT, Channel.LETTER))
    assert settle(recipient(Channel.EMAIL), Result.REFUSED, rules, AT).channel is Channel.LETTER


@given(*[st.integers(0, 2**31 - 1)] * 5)
def test_a_reference_is_read_as_it_was_written(
    notice: int, part: int, subscriber: int, occasion: int, attempt: int
) -> None:
    one = replace(recipient(T), notice_id=notice, part=part, subscriber_id=subscriber, occasion=occasion)
    assert read_reference(write_reference(one, attempt)) == (notice, part, subscriber, occasion, attempt)


@given(st.text(max_size=40))
def test_no_words_at_all_break_the_reading_of_a_reference(words: str) -> None:
    keys = read_reference(words)
    assert keys is None or [*map(int, words.split("."))] == [*keys]
