"""Which notices are due, whom they correct, and what follows from what came of an attempt. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from onecard.values.gate import Capability
from onecard.values.hours import Hours, next_edges, zone_named
from onecard.values.table import Problem
from onecard.winddown.model import LocalTime, Notice, NoticeKind, Plan, Stay
from onecard.winddown.notices.model import (
    REACHED,
    Channel,
    Dates,
    MadeNotice,
    NewNotice,
    Outcome,
    PostRules,
    Recipient,
    RecipientState,
    Result,
)
from onecard.winddown.rules import DatedStage, date_stages, last_day_to_tell, to_instant

URGENT_WITHIN = timedelta(hours=24)
"""What comes so soon is told by night, too."""
LOOK_AGAIN_LEAST = timedelta(seconds=30)
LOOK_AGAIN_MOST = timedelta(hours=1)


# What is due


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be done about notices now."""

    withdrawn: tuple[int, ...]
    """Notices, by id, whose dates are no longer true."""
    new: tuple[NewNotice, ...]
    """In this order: a correction is made before what is told anew."""


def decide_due(plan: Plan, stays: Collection[Stay], made: Sequence[MadeNotice], at: datetime) -> Due:
    """Compare what the plan says with what was told so far; `made` is in the order of ids."""
    dated = date_stages(plan, stays)
    dates = {one.stage.name: one.at for one in dated}
    stale = {one.id for one in made if one.withdrawn_at is None and is_stale(one, dates)}
    standing = {one.key for one in made if one.withdrawn_at is None and one.id not in stale}
    new = (
        *_correct(plan, made, dates, at),
        *_announce(plan, dated, standing, at),
        *_warn_of_cuts(plan, dated, standing),
    )
    return Due(tuple(sorted(stale)), new)


def is_stale(made: MadeNotice, dates: Dates) -> bool:
    """Whether a notice tells a date that is not, or no longer, the plan's."""
    return any(dates.get(stage) != told for stage, told in made.dates.items())


def _correct(plan: Plan, made: Sequence[MadeNotice], dates: Dates, at: datetime) -> Iterator[NewNotice]:
    """One correction a version of the plan, of all that was told last and is not so."""
    told: dict[str, LocalTime | None] = {}
    for one in made:
        told.update(one.dates)
    was = {stage: day for stage, day in told.items() if dates.get(stage) != day}
    key = f"{NoticeKind.CORRECTION}:{plan.version}"
    if not was or any(one.key == key for one in made):
        return
    now = {stage: dates.get(stage) for stage in was}
    urgent = _is_soon({**was, **now}, plan.time_zone, at)
    yield NewNotice(key, NoticeKind.CORRECTION, None, now, was=was, is_urgent=urgent)


def _announce(
    plan: Plan, dated: Sequence[DatedStage], standing: Collection[str], at: datetime
) -> Iterator[NewNotice]:
    """What the plan asks to be told; not as long as the stage has no date."""
    has_date = {one.stage.name for one in dated if one.at is not None}
    for notice in plan.notices:
        is_time = to_instant(notice.at, plan.time_zone) <= at
        if is_time and notice.stage in has_date and _key_of(notice) not in standing:
            yield _new_notice(plan, dated, notice, at)


def plan_notice(plan: Plan, stays: Collection[Stay], notice: Notice) -> NewNotice:
    """A notice as it will be when its time comes, if nothing changes until then."""
    return _new_notice(plan, date_stages(plan, stays), notice, to_instant(notice.at, plan.time_zone))


def _new_notice(plan: Plan, dated: Sequence[DatedStage], notice: Notice, at: datetime) -> NewNotice:
    dates = _mention(notice, dated)
    day = next(one.at for one in dated if one.stage.name == notice.stage)
    left = (day.date() - at.astimezone(plan.time_zone).date()).days if day else 0
    return NewNotice(
        _key_of(notice),
        notice.kind,
        notice.stage,
        dates,
        notice.languages,
        days_left=max(left, 0),
        is_urgent=_is_soon(dates, plan.time_zone, at),
    )


def _key_of(notice: Notice) -> str:
    return f"{notice.kind}:{notice.stage}:{notice.at.isoformat()}"


def _warn_of_cuts(plan: Plan, dated: Sequence[DatedStage], standing: Collection[str]) -> Iterator[NewNotice]:
    """What the host operator stops, and no notice of the plan is about, is told at once."""
    told_by_plan = {notice.stage for notice in plan.notices}
    for one in dated:
        key = f"{NoticeKind.HOST_CUT}:{one.stage.name}"
        if one.stage.is_by_host and one.stage.name not in told_by_plan and key not in standing:
            dates = {one.stage.name: one.at}
            yield NewNotice(key, NoticeKind.HOST_CUT, one.stage.name, dates, is_urgent=True)


def _mention(notice: Notice, dated: Sequence[DatedStage]) -> Dates:
    """The dates that a notice tells."""
    dates = {one.stage.name: one.at for one in dated}
    day = dates[notice.stage]
    match notice.kind:
        case NoticeKind.ANNOUNCEMENT:
            return dates
        case NoticeKind.REFUND:
            return {one.stage.name: one.at for one in dated if Capability.REFUND in one.stage.opens}
        case NoticeKind.PORT_OUT:
            ends = {one.stage.name: one.at for one in dated if Capability.PORT_OUT in one.stage.closes}
            return {notice.stage: day, **ends}
        case _:
            later = {name: at for name, at in dates.items() if at is not None and day and at > day}
            return {notice.stage: day, **later}


def _is_soon(dates: Dates, zone: ZoneInfo, at: datetime) -> bool:
    instants = [to_instant(day, zone) for day in dates.values() if day is not None]
    return any(at <= instant < at + URGENT_WITHIN for instant in instants)


def still_grows(made: MadeNotice, zone: ZoneInfo, at: datetime) -> bool:
    """Whether newcomers are told, too: as long as something that it tells of is to come."""
    if made.withdrawn_at is not None:
        return False
    instants = [to_instant(day, zone) for day in made.dates.values() if day is not None]
    return at < max([made.made_at + timedelta(days=1), *instants])


def check_told_in_time(plan: Plan) -> tuple[Problem, ...]:
    """What is wrong with the dates of a plan's notices: a disconnection of which nobody is told in time."""
    last = deadline_to_tell(plan)
    if last is None or any(notice.at.date() <= last for notice in plan.notices):
        return ()
    return (Problem("disconnection", f"no notice tells of it by {last}, the last day to tell subscribers"),)


def deadline_to_tell(plan: Plan) -> date | None:
    """The last day on which subscribers can be told of a disconnection in time; None: there is none."""
    if plan.disconnection is None:
        return None
    return last_day_to_tell(plan.disconnection.on, plan.closed_days)


# How a notice goes


def first_channel(rules: PostRules) -> Channel:
    return rules.channels[0]


def next_channel(rules: PostRules, channel: Channel) -> Channel | None:
    """Whose turn it is when a channel has failed; None: no channel is left."""
    if channel not in rules.channels:  # the operator has given it up meanwhile: the last resort
        return rules.channels[-1]
    following = rules.channels[rules.channels.index(channel) + 1 :]
    return following[0] if following else None


def next_awake(awake: Hours, zone: str, at: datetime) -> datetime:
    """The instant from which texts may come to a place: now, or when its hours begin."""
    place = zone_named(zone)
    if awake.hold(at.astimezone(place)):
        return at
    edges = next_edges(frozenset({awake}), zone, at)
    return next(edge for edge in edges if awake.hold(edge.astimezone(place)))


def settle(recipient: Recipient, result: Result, rules: PostRules, at: datetime) -> Outcome:
    """What follows from a result; what else is known of the attempt is put in its place by who made it."""
    state, channel, due_at = _follow(recipient, result, rules, at)
    return Outcome(recipient, result, state, channel, due_at)


def _follow(
    recipient: Recipient, result: Result, rules: PostRules, at: datetime
) -> tuple[RecipientState, Channel, datetime]:
    waited = at - (recipient.tried_since or at)
    channel = recipient.channel
    if result in REACHED:
        return RecipientState.REACHED, channel, at
    if result is Result.SENT:
        return RecipientState.SENT, channel, at + LOOK_AGAIN_LEAST
    if result is Result.FAILED and waited < _patience(rules, channel):
        return RecipientState.WAITING, channel, at + wait_before_next_look(waited)
    following = next_channel(rules, channel)
    if following is None:
        return RecipientState.UNREACHED, channel, at
    return RecipientState.WAITING, following, at


def _patience(rules: PostRules, channel: Channel) -> timedelta:
    return rules.receipt_within if channel is Channel.TEXT else rules.mail_within


def wait_before_next_look(waited: timedelta) -> timedelta:
    """Twice as long each time."""
    return min(max(waited, LOOK_AGAIN_LEAST), LOOK_AGAIN_MOST)
