"""Gates, stays and amendments: by table, and for any plan."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onecard.values.gate import Capability, Closed, Gate, Open
from onecard.winddown.model import (
    Disconnection,
    Extension,
    HostCut,
    LocalTime,
    Plan,
    Stage,
    Stay,
)
from onecard.winddown.rules import (
    AmendmentRefusal,
    Recomputed,
    check_plan,
    check_stays,
    compare,
    date_under,
    last_day_to_tell,
    recompute,
    to_instant,
)
from winddown.plans import (
    GREENWICH,
    NOTICE,
    PURGE,
    SALES_END,
    SERVICE_ENDS,
    TORONTO,
    every_gate,
    instants,
    local,
    make_plan,
    plans,
    stays,
    times,
)

C = Capability
DAY = timedelta(days=1)
HOLIDAYS = frozenset({date(2022, 4, 15)})


def gate_of(capability: Capability, plan: Plan, at: str, *stays: Stay) -> Gate:
    return every_gate(plan, stays, datetime.fromisoformat(at))[capability]


def amend(plan: Plan, amendment: Extension | HostCut, *stays: Stay) -> Recomputed:
    answer = recompute(plan, amendment, stays)
    assert isinstance(answer, Recomputed), answer
    return answer


# Gates


@given(plans(), st.lists(stays(), max_size=4), instants, instants)
def test_no_gate_that_a_stage_closed_opens_again(
    plan: Plan, stays: list[Stay], one: datetime, other: datetime
) -> None:
    earlier, later = sorted([one, other])
    before, after = every_gate(plan, stays, earlier), every_gate(plan, stays, later)
    for capability in Capability:
        was = before[capability]
        if isinstance(was, Closed) and was.since is not None:
            assert after[capability] == was


@given(plans(), st.lists(stays(), max_size=4), instants, instants)
def test_no_open_gate_closes_without_its_stage(
    plan: Plan, stays: list[Stay], one: datetime, other: datetime
) -> None:
    earlier, later = sorted([one, other])
    after = every_gate(plan, stays, later)
    closing = {capability for stage in plan.stages for capability in stage.closes}
    for capability, was in every_gate(plan, stays, earlier).items():
        now = after[capability]
        if was == Open() and now != was:
            assert isinstance(now, Closed)
            assert now.since is not None
            assert earlier < now.since <= later
            assert capability in closing


@given(plans(GREENWICH), instants, st.integers(-23, 23))
def test_gates_do_not_depend_on_the_zone_in_which_the_time_is_said(
    plan: Plan, at: datetime, hours: int
) -> None:
    elsewhere = at.astimezone(timezone(timedelta(hours=hours)))
    assert every_gate(plan, (), elsewhere) == every_gate(plan, (), at)


@given(plans(GREENWICH), instants)
def test_the_same_instants_in_another_time_zone_make_the_same_gates(plan: Plan, at: datetime) -> None:
    stages = [replace(one, at=one.at.replace(hour=12)) for one in plan.stages]  # no clock changes at noon
    local = [
        replace(one, at=one.at.replace(tzinfo=UTC).astimezone(TORONTO).replace(tzinfo=None)) for one in stages
    ]
    there = make_plan(*local, zone=TORONTO)
    assert every_gate(there, (), at) == every_gate(make_plan(*stages, zone=GREENWICH), (), at)


def test_a_closed_gate_says_which_stage_closed_it_and_since_when() -> None:
    since = datetime(2022, 4, 1, 4, tzinfo=UTC)
    assert gate_of(C.VOICE, make_plan(), "2022-03-31T23:59:59-04:00") == Open()
    assert gate_of(C.VOICE, make_plan(), "2022-04-01T00:00:00-04:00") == Closed(
        C.VOICE, "service ends", since
    )


def test_a_gate_that_was_never_open_says_which_stage_is_to_open_it() -> None:
    assert gate_of(C.PURGE, make_plan(), "2022-01-01T00:00:00Z") == Closed(C.PURGE, "purge", None)
    assert gate_of(C.PURGE, make_plan(), "2022-09-01T04:00:00Z") == Open()
    assert gate_of(C.NUMBER_RETURN, make_plan(), "2099-01-01T00:00:00Z") == Closed(
        C.NUMBER_RETURN, None, None
    )


# Stays


@given(plans(), times, st.integers(1, 24 * 60), instants)
def test_a_stay_that_was_lifted_is_as_if_later_stages_had_been_later(
    plan: Plan, since: datetime, hours: int, at: datetime
) -> None:
    lasted = timedelta(hours=hours)
    moved = [replace(one, at=one.at + lasted) if one.at >= since else one for one in plan.stages]
    shifted = replace(plan, stages=tuple(moved))
    assert every_gate(plan, [Stay(since, since + lasted)], at) == every_gate(shifted, (), at)


@given(plans(GREENWICH), times, st.integers(1, 24 * 60), instants)
def test_nothing_changes_while_the_whole_order_is_stayed(
    plan: Plan, since: datetime, hours: int, at: datetime
) -> None:
    begins = to_instant(since, GREENWICH)
    stay = Stay(since, since + timedelta(hours=hours))
    if at < begins:
        assert every_gate(plan, [stay], at) == every_gate(plan, (), at)
    elif at < begins + timedelta(hours=hours):
        just_before = begins - timedelta(microseconds=1)
        assert every_gate(plan, [stay], at) == every_gate(plan, [stay], just_before)
        assert every_gate(plan, [stay], at) == every_gate(plan, [replace(stay, until=None)], at)


@given(plans(), st.lists(stays(), max_size=4), instants)
def test_the_order_in_which_stays_are_entered_and_repeats_do_not_matter(
    plan: Plan, stays: list[Stay], at: datetime
) -> None:
    again = [*reversed(stays), *stays]
    assert every_gate(plan, again, at) == every_gate(plan, stays, at)


@given(times, st.lists(stays(), max_size=5))
def test_nothing_irreversible_happens_while_any_stay_is_in_force(at: datetime, stays: list[Stay]) -> None:
    comes = date_under(replace(PURGE, at=at), stays)
    for stay in stays:
        is_before = comes is not None and comes < stay.since
        is_after = comes is not None and stay.until is not None and comes >= stay.until
        assert comes is None or is_before or is_after


@given(times, st.lists(stays(), max_size=5))
def test_no_stay_moves_what_the_host_operator_does(at: datetime, stays: list[Stay]) -> None:
    cut = Stage("cut", at, closes=frozenset({C.DATA}), is_by_host=True)
    assert date_under(cut, stays) == at


MARCH, APRIL, MAY = local("2022-03-01"), local("2022-04-01"), local("2022-05-01")


@pytest.mark.parametrize(
    ("stays", "comes"),
    [
        ([], APRIL),
        ([Stay(MARCH)], None),
        ([Stay(MARCH, MARCH + DAY)], APRIL + DAY),
        ([Stay(APRIL, APRIL + DAY)], APRIL + DAY),  # it begins at the very second
        ([Stay(APRIL + DAY)], APRIL),  # what has come is not undone
        ([Stay(MARCH, stages=frozenset({"purge"}))], APRIL),
        ([Stay(MARCH, MARCH + DAY, frozenset({"service ends"}))], APRIL + DAY),
        ([Stay(MARCH, MARCH + 3 * DAY), Stay(MARCH + DAY, MARCH + 5 * DAY)], APRIL + 5 * DAY),
        ([Stay(MARCH, MARCH + 9 * DAY), Stay(MARCH + DAY, MARCH + 2 * DAY)], APRIL + 9 * DAY),
        ([Stay(MARCH, MARCH + DAY), Stay(APRIL, MAY)], MAY + DAY),  # the first moved it into the second
        ([Stay(MARCH, MARCH + DAY), Stay(MARCH + DAY)], None),
    ],
)
def test_a_stay_suspends_what_is_still_to_come(stays: list[Stay], comes: datetime | None) -> None:
    assert date_under(SERVICE_ENDS, stays) == comes


def test_a_stage_keeps_its_hour_when_a_stay_moves_it_over_a_change_of_clocks() -> None:
    stage = replace(SERVICE_ENDS, at=local("2022-03-10"))
    stay = Stay(local("2022-03-01"), local("2022-03-15"))
    gate = gate_of(C.VOICE, make_plan(stage), "2022-04-01T00:00:00Z", stay)
    assert gate == Closed(C.VOICE, "service ends", datetime(2022, 3, 24, 4, tzinfo=UTC))


def test_a_partial_stay_holds_other_stages_only_if_they_cannot_be_undone() -> None:
    stay = Stay(local("2022-03-01"), stages=frozenset({"service ends"}))
    late = "2023-01-01T00:00:00Z"
    assert gate_of(C.VOICE, make_plan(), late, stay) == Open()
    assert gate_of(C.SALE, make_plan(), late, stay) != Open()
    assert gate_of(C.PURGE, make_plan(), late, stay) == Closed(C.PURGE, "purge", None)


# Amendments


def test_an_extension_puts_off_what_is_still_to_come_and_the_last_days_it_ends() -> None:
    answer = amend(make_plan(), Extension(local("2022-02-01"), 30 * DAY))
    assert answer.plan.version == 2
    assert [stage.at for stage in answer.plan.stages] == [SALES_END.at, MAY, PURGE.at + 30 * DAY]
    assert answer.plan.last_days == {C.PORT_OUT: date(2022, 4, 30)}
    assert answer.problems == ()
    assert answer.diff == (
        "stage 'service ends' moves from 2022-04-01 00:00:00 to 2022-05-01 00:00:00",
        "notices of stage 'service ends' are to be corrected",
        "stage 'purge' moves from 2022-09-01 00:00:00 to 2022-10-01 00:00:00",
        "data closes: 2022-05-01 00:00:00; before: 2022-04-01 00:00:00",
        "voice closes: 2022-05-01 00:00:00; before: 2022-04-01 00:00:00",
        "texts closes: 2022-05-01 00:00:00; before: 2022-04-01 00:00:00",
        "port_out closes: 2022-05-01 00:00:00; before: 2022-04-01 00:00:00",
        "the last day of port_out is 2022-04-30; before: 2022-03-31",
    )


def test_an_extension_of_one_stage_moves_no_other() -> None:
    answer = amend(make_plan(), Extension(local("2022-01-01"), DAY, frozenset({"purge"})))
    assert [stage.at for stage in answer.plan.stages] == [SALES_END.at, SERVICE_ENDS.at, PURGE.at + DAY]
    assert answer.plan.last_days == make_plan().last_days


def test_a_stage_that_a_stay_holds_back_can_still_be_put_off() -> None:
    stay = Stay(local("2022-01-01"), local("2022-01-31"))
    answer = amend(make_plan(), Extension(local("2022-01-20"), DAY, frozenset({"sales end"})), stay)
    assert answer.diff[0] == "stage 'sales end' moves from 2022-02-09 00:00:00 to 2022-02-10 00:00:00"


def test_a_stage_without_a_date_can_be_put_off_too() -> None:
    only_purge = frozenset({"purge"})
    answer = amend(
        make_plan(), Extension(MARCH, DAY, only_purge), Stay(local("2022-02-01"), stages=only_purge)
    )
    assert answer.diff == (
        "stage 'purge' has no date before or after, and moves in the plan"
        " from 2022-09-01 00:00:00 to 2022-09-02 00:00:00",
    )


def test_a_cut_by_the_host_brings_forward_what_it_carries_and_nothing_else() -> None:
    told = date(2022, 3, 3)
    answer = amend(make_plan(), HostCut(local("2022-03-14T06:00"), frozenset({C.VOICE, C.DATA}), told))
    assert answer.problems == ()
    assert answer.plan.disconnection == Disconnection(date(2022, 3, 14), told)
    gates = every_gate(answer.plan, (), datetime(2022, 3, 14, 10, tzinfo=UTC))
    since = datetime(2022, 3, 14, 10, tzinfo=UTC)
    for cut in (C.VOICE, C.DATA):
        assert gates[cut] == Closed(cut, "cut by the host 2022-03-14 06:00", since)
    assert gates[C.TEXTS] == gates[C.PORT_OUT] == Open()
    assert "voice closes: 2022-03-14 06:00:00; before: 2022-04-01 00:00:00" in answer.diff
    assert not any(line.startswith("texts") for line in answer.diff)


def test_a_cut_later_than_the_plan_changes_no_gate() -> None:
    answer = amend(make_plan(), HostCut(local("2022-06-01"), frozenset({C.VOICE}), date(2022, 3, 1)))
    assert not any("closes:" in line for line in answer.diff)


def test_a_cut_that_subscribers_are_told_of_too_late_is_an_alarm() -> None:
    cut = HostCut(local("2022-03-14T06:00"), frozenset({C.DATA}), date(2022, 3, 8))
    answer = amend(make_plan(), cut)
    [alarm] = answer.alarms
    assert answer.problems == ()
    assert alarm.place == "disconnection"
    assert "2022-03-07 is the last day" in alarm.reason


def test_the_first_cut_is_the_disconnection_whichever_is_entered_first() -> None:
    early = HostCut(local("2022-03-14"), frozenset({C.DATA}), date(2022, 3, 1))
    late = HostCut(local("2022-03-21"), frozenset({C.VOICE}), date(2022, 3, 2))
    for one, other in ((early, late), (late, early)):
        plan = amend(amend(make_plan(), one).plan, other).plan
        assert plan.disconnection == Disconnection(date(2022, 3, 14), date(2022, 3, 1))
        assert plan.version == 3


def test_a_stage_that_does_something_else_is_told_as_a_difference() -> None:
    new = make_plan(SALES_END, replace(SERVICE_ENDS, closes=frozenset({C.TEXTS, C.PORT_OUT})), PURGE)
    assert (
        "stage 'service ends' now closes port_out, texts; before it closes data, port_out, texts, voice"
        in (compare(make_plan(), new))
    )


CUT = Stage("cut", local("2022-03-20"), closes=frozenset({C.DATA}), is_by_host=True)


@pytest.mark.parametrize(
    ("amendment", "refusal"),
    [
        (Extension(MARCH, timedelta(0)), AmendmentRefusal.NOT_LATER),
        (Extension(MARCH, -DAY), AmendmentRefusal.NOT_LATER),
        (Extension(MARCH, DAY, frozenset({"no such"})), AmendmentRefusal.UNKNOWN_STAGE),
        (Extension(MARCH, DAY, frozenset({"cut"})), AmendmentRefusal.STAGE_OF_THE_HOST),
        (Extension(MARCH, DAY, frozenset({"sales end"})), AmendmentRefusal.STAGE_HAS_COME),
        (Extension(APRIL, DAY, frozenset({"service ends"})), AmendmentRefusal.STAGE_HAS_COME),
        (Extension(local("2023-01-01"), DAY), AmendmentRefusal.NOTHING_TO_MOVE),
        (HostCut(MARCH, frozenset(), date(2022, 1, 1)), AmendmentRefusal.NOT_CUT_BY_THE_HOST),
        (HostCut(MARCH, frozenset({C.REFUND}), date(2022, 1, 1)), AmendmentRefusal.NOT_CUT_BY_THE_HOST),
    ],
)
def test_an_amendment_that_makes_no_sense_is_refused(
    amendment: Extension | HostCut, refusal: AmendmentRefusal
) -> None:
    plan = make_plan(SALES_END, SERVICE_ENDS, CUT)
    assert recompute(plan, amendment) is refusal


def test_the_same_cut_is_not_entered_twice() -> None:
    cut = HostCut(MARCH, frozenset({C.DATA}), date(2022, 1, 3))
    assert recompute(amend(make_plan(), cut).plan, cut) is AmendmentRefusal.CUT_ALREADY_KNOWN


@given(plans(), times, st.integers(1, 90))
def test_an_extension_moves_no_stage_that_has_come(plan: Plan, decided: datetime, days: int) -> None:
    answer = recompute(plan, Extension(decided, days * DAY))
    if answer is AmendmentRefusal.NOTHING_TO_MOVE:
        assert all(stage.at <= decided for stage in plan.stages)
        return
    assert isinstance(answer, Recomputed)
    for old, new in zip(plan.stages, answer.plan.stages, strict=True):
        assert new.at == (old.at if old.at <= decided else old.at + days * DAY)


def test_a_stay_is_told_as_a_difference_before_it_is_approved() -> None:
    plan = make_plan()
    diff = compare(plan, plan, (), [Stay(MARCH)])
    assert diff[0] == "stage 'service ends' moves from 2022-04-01 00:00:00 to no date"
    assert "texts closes: no date; before: 2022-04-01 00:00:00" in diff
    assert not any("sales end" in line for line in diff)


@given(plans(), st.lists(stays(), max_size=3))
def test_a_plan_does_not_differ_from_itself(plan: Plan, stays: list[Stay]) -> None:
    assert compare(plan, plan, stays, stays) == ()


def test_every_other_difference_is_named() -> None:
    old = make_plan()
    new = replace(old, name="Else", notices=(), refunds={}, closed_days=HOLIDAYS, stages=(SALES_END,))
    diff = compare(old, new)
    assert "stage 'purge' is gone" in diff
    assert "of cash is paid back: not said; before: full" in diff
    assert diff[-3:] == ("name is different", "notices is different", "closed_days is different")


# What is wrong with a plan


@pytest.mark.parametrize(
    ("disconnected_on", "last_day"),
    [
        (date(2022, 4, 8), date(2022, 4, 3)),  # a Friday: Monday to Thursday lie between
        (date(2022, 4, 7), date(2022, 3, 31)),
        (date(2022, 4, 11), date(2022, 4, 4)),
        (date(2022, 4, 16), date(2022, 4, 10)),  # Good Friday does not count
        (date(2022, 4, 18), date(2022, 4, 10)),
        (date(2022, 4, 10), date(2022, 4, 4)),  # a Sunday
    ],
)
def test_four_whole_business_days_lie_between_telling_and_disconnecting(
    disconnected_on: date, last_day: date
) -> None:
    assert last_day_to_tell(disconnected_on, HOLIDAYS) == last_day


def problems_of(plan: Plan) -> list[str]:
    return list(map(str, check_plan(plan)))


def stage(*closes: Capability, at: LocalTime = APRIL) -> Stage:
    return Stage("this", at, closes=frozenset(closes))


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (stage(), "closes, opens and voids nothing"),
        (stage(C.SALE, at=local("2021-08-05")), "is before 2021-08-06, when the order was received"),
        (stage(C.REFUND), "closes refund, which has no last day in [last_days]"),
        (stage(C.SUPPORT), "closes support, which has no last day in [last_days]"),
        (stage(C.EMERGENCY), "closes emergency, which has no last day in [last_days]"),
        (
            stage(C.PORT_OUT, at=APRIL - timedelta(seconds=1)),
            "closes port_out before its last day, 2022-03-31, is over",
        ),
        (replace(stage(), opens=frozenset({C.SALE})), "opens sale, which is open until a stage closes it"),
        (replace(stage(), opens=frozenset({C.PURGE})), "opens purge, so it must have irreversible = true"),
        (replace(stage(C.SALE), is_by_host=True), "a host operator closes nothing but data, texts, voice"),
        (
            stage(C.SALE, at=local("2022-03-13T02:30")),
            "2022-03-13 02:30:00 does not come exactly once: the clocks of America/Toronto change then",
        ),
        (
            stage(C.SALE, at=local("2022-11-06T01:30")),
            "2022-11-06 01:30:00 does not come exactly once: the clocks of America/Toronto change then",
        ),
    ],
)
def test_a_stage_that_cannot_be_right_is_named(wrong: Stage, reason: str) -> None:
    assert f"stage 'this': {reason}" in problems_of(make_plan(wrong))


def test_no_gate_is_closed_or_opened_by_two_stages() -> None:
    again = replace(SALES_END, name="again", at=APRIL)
    assert problems_of(make_plan(SALES_END, again)) == [
        "stage 'again': opens refund, which an earlier stage opens or closes",
        "stage 'again': closes sale, which 'sales end' closes already",
    ]


def test_a_gate_that_a_stage_opens_closes_only_later() -> None:
    plan = replace(make_plan(stage(C.REFUND)), last_days={C.REFUND: date(2022, 3, 1)})
    assert problems_of(plan) == ["stage 'this': closes refund, which no earlier stage opens"]
    good = replace(plan, stages=(SALES_END, *plan.stages))
    assert problems_of(good) == []


def test_a_plan_without_stages_or_with_two_of_one_name_is_wrong() -> None:
    assert problems_of(replace(make_plan(), stages=(), notices=())) == ["stage: there is none"]
    twice = make_plan(stage(C.SALE), stage(C.TOP_UP))
    assert problems_of(twice) == ["stage 'this': 2 stages have this name"]


def test_a_notice_is_about_a_stage_and_comes_before_it() -> None:
    late = replace(NOTICE, at=MAY)
    lost = replace(NOTICE, stage="no such")
    assert problems_of(replace(make_plan(), notices=(NOTICE, late, lost))) == [
        "notice of 'service ends': comes after the stage, which is at 2022-04-01 00:00:00",
        "notice of 'no such': there is no such stage",
    ]


def test_a_stay_ends_after_it_begins_and_names_stages_that_there_are() -> None:
    wrong = Stay(MARCH, MARCH, frozenset({"no such"}))
    assert list(map(str, check_stays(make_plan(), [wrong]))) == [
        "stay of 2022-03-01 00:00: there is no stage 'no such'",
        "stay of 2022-03-01 00:00: ends at 2022-03-01 00:00:00, which is not after it begins",
    ]
