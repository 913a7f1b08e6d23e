"""When stages take effect, which gates are open, and what an amendment makes of a plan.

Pure: no I/O, no clock, no randomness. Everything follows from plan, stays and the instant that is asked about.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from zoneinfo import ZoneInfo

from onecard.values.business import is_business_day
from onecard.values.gate import OPENED_BY_A_STAGE, Capability, Closed, Gates
from onecard.values.table import Problem
from onecard.winddown.model import (
    CUT_BY_THE_HOST,
    IRREVERSIBLE,
    PLANNED,
    PROTECTED,
    Amendment,
    Disconnection,
    Extension,
    HostCut,
    LocalTime,
    Notice,
    Plan,
    Stage,
    Stay,
)

BUSINESS_DAYS_TOLD_AHEAD = 4
"""Canada: subscribers are told at least so many business days before the host operator disconnects."""
_DAY = timedelta(days=1)
_NO_INSTANT = datetime.max.replace(tzinfo=UTC)


# When


@dataclass(frozen=True, slots=True)
class DatedStage:
    """A stage with the time it takes effect; None while a stay without an end holds it."""

    stage: Stage
    at: LocalTime | None
    instant: datetime | None
    """The same in UTC."""

    def has_come(self, instant: datetime) -> bool:
        return self.instant is not None and self.instant <= instant


def date_stages(plan: Plan, stays: Collection[Stay]) -> tuple[DatedStage, ...]:
    """All stages in the order in which they take effect, those without a date last."""
    dated = [_date(stage, stays, plan.time_zone) for stage in plan.stages]
    return tuple(sorted(dated, key=lambda one: (one.instant is None, one.instant or _NO_INSTANT)))


def _date(stage: Stage, stays: Collection[Stay], zone: ZoneInfo) -> DatedStage:
    at = date_under(stage, stays)
    return DatedStage(stage, at, None if at is None else to_instant(at, zone))


def date_under(stage: Stage, stays: Collection[Stay]) -> LocalTime | None:
    """When a stage takes effect: what was left to it when a stay began is left to it when the stay ends."""
    at = stage.at
    for since, until in _join(stay for stay in stays if _binds(stay, stage)):
        if at < since:
            break  # it has come before this stay, and what came is not undone
        if until is None:
            return None
        at += until - since
    return at


def _binds(stay: Stay, stage: Stage) -> bool:
    if stage.is_by_host:
        return False
    return not stay.stages or stage.name in stay.stages or stage.is_irreversible


def _join(stays: Iterable[Stay]) -> list[tuple[LocalTime, LocalTime | None]]:
    """The spans that stays cover, in order: days that two of them cover count once."""
    spans: list[tuple[LocalTime, LocalTime | None]] = []
    for stay in sorted(stays, key=lambda one: one.since):
        since, until = spans[-1] if spans else (stay.since, stay.since)
        if until is not None and stay.since > until:
            spans.append((stay.since, stay.until))
            continue
        latest = None if until is None or stay.until is None else max(until, stay.until)
        spans[-1:] = [(since, latest)]
    return spans


def to_instant(at: LocalTime, zone: ZoneInfo) -> datetime:
    """The instant in UTC; the first of two where the clock is put back."""
    return at.replace(tzinfo=zone).astimezone(UTC)


def to_local(instant: datetime, zone: ZoneInfo) -> LocalTime:
    """What the clock on the wall shows at an instant."""
    return instant.astimezone(zone).replace(tzinfo=None, fold=0)


# Gates


def gates_at(plan: Plan, stays: Collection[Stay], at: datetime) -> Gates:
    """Every gate at an instant, which must have an offset."""
    assert at.tzinfo is not None
    dated = date_stages(plan, stays)
    decided = {capability: _decide_gate(capability, dated, at) for capability in Capability}
    to_come = (one.instant for one in dated if one.instant is not None and one.instant > at)
    closed = {capability: gate for capability, gate in decided.items() if gate is not None}
    return Gates(closed, until=next(to_come, None))


def _decide_gate(capability: Capability, dated: Sequence[DatedStage], at: datetime) -> Closed | None:
    """The first stage that closes a gate closes it for good, whichever opens it."""
    closing = next((one for one in dated if capability in one.stage.closes), None)
    if closing is not None and closing.has_come(at):
        return Closed(capability, closing.stage.name, closing.instant)
    opening = next((one for one in dated if capability in one.stage.opens), None)
    if capability not in OPENED_BY_A_STAGE or (opening is not None and opening.has_come(at)):
        return None
    if opening is None:
        return Closed(capability, None, None)
    return Closed(capability, opening.stage.name, None, opens_at=opening.instant)


# What is wrong with a plan


def check_plan(plan: Plan) -> tuple[Problem, ...]:
    """All that must not be so in a plan, each with the stage, notice or table it is about."""
    return (
        *_check_names(plan.stages),
        *(problem for stage in plan.stages for problem in _check_stage(plan, stage)),
        *_check_once(plan.stages),
        *(problem for notice in plan.notices for problem in _check_notice(plan, notice)),
    )


def check_stays(plan: Plan, stays: Iterable[Stay]) -> tuple[Problem, ...]:
    """All that must not be so in the stays of a plan."""
    return tuple(problem for stay in stays for problem in _check_stay(plan, stay))


def place_of(one: Stage | Notice | Stay) -> str:
    """How a problem names what it is about."""
    if isinstance(one, Stage):
        return f"stage {one.name!r}"
    if isinstance(one, Notice):
        return f"notice of {one.stage!r}"
    return f"stay of {one.since.isoformat(' ', 'minutes')}"


def _check_names(stages: Sequence[Stage]) -> Iterator[Problem]:
    if not stages:
        yield Problem("stage", "there is none")
    for name, count in Counter(stage.name for stage in stages).items():
        if count > 1:
            yield Problem(f"stage {name!r}", f"{count} stages have this name")


def _check_stage(plan: Plan, stage: Stage) -> Iterator[Problem]:
    for reason in (*_check_effects(stage), *_check_time(plan.time_zone, stage.at)):
        yield Problem(place_of(stage), reason)
    if stage.at.date() < plan.order.received:
        yield Problem(place_of(stage), f"is before {plan.order.received}, when the order was received")
    for capability in sorted(stage.closes & PROTECTED):
        last = plan.last_days.get(capability)
        if last is None:
            yield Problem(place_of(stage), f"closes {capability}, which has no last day in [last_days]")
        elif stage.at.date() <= last:
            yield Problem(place_of(stage), f"closes {capability} before its last day, {last}, is over")


def _check_effects(stage: Stage) -> Iterator[str]:
    if not (stage.closes or stage.opens or stage.voids):
        yield "closes, opens and voids nothing"
    for capability in sorted(stage.opens - OPENED_BY_A_STAGE):
        yield f"opens {capability}, which is open until a stage closes it"
    for capability in sorted((stage.opens & IRREVERSIBLE) if not stage.is_irreversible else ()):
        yield f"opens {capability}, so it must have irreversible = true"
    if stage.is_by_host and (stage.opens or stage.voids or stage.closes - CUT_BY_THE_HOST):
        yield f"a host operator closes nothing but {', '.join(sorted(CUT_BY_THE_HOST))}"


def _check_time(zone: ZoneInfo, at: LocalTime) -> Iterator[str]:
    if at.replace(tzinfo=zone).utcoffset() != at.replace(tzinfo=zone, fold=1).utcoffset():
        yield f"{at.isoformat(' ')} does not come exactly once: the clocks of {zone.key} change then"


def _check_once(stages: Iterable[Stage]) -> Iterator[Problem]:
    """Nothing opens twice, nothing closes twice but by the host, and what opens closes later."""
    closed: dict[Capability, Stage] = {}
    opened: dict[Capability, Stage] = {}
    for stage in sorted(stages, key=lambda one: one.at):
        for capability in sorted(stage.opens):
            if capability in opened or capability in closed:
                yield Problem(place_of(stage), f"opens {capability}, which an earlier stage opens or closes")
            opened.setdefault(capability, stage)
        for capability in sorted(stage.closes if not stage.is_by_host else ()):
            if capability in closed:
                before = closed[capability].name
                yield Problem(place_of(stage), f"closes {capability}, which {before!r} closes already")
            if capability in OPENED_BY_A_STAGE and opened.get(capability) in (None, stage):
                yield Problem(place_of(stage), f"closes {capability}, which no earlier stage opens")
            closed.setdefault(capability, stage)


def _check_notice(plan: Plan, notice: Notice) -> Iterator[Problem]:
    place = place_of(notice)
    stage = next((one for one in plan.stages if one.name == notice.stage), None)
    if stage is None:
        yield Problem(place, "there is no such stage")
    elif notice.at > stage.at:
        yield Problem(place, f"comes after the stage, which is at {stage.at.isoformat(' ')}")
    if notice.kind not in PLANNED:
        yield Problem(
            place, f"{notice.kind} is told when there is cause; a plan asks for {', '.join(sorted(PLANNED))}"
        )
    for reason in _check_time(plan.time_zone, notice.at):
        yield Problem(place, reason)


def _check_stay(plan: Plan, stay: Stay) -> Iterator[Problem]:
    place = place_of(stay)
    for name in sorted(stay.stages - {stage.name for stage in plan.stages}):
        yield Problem(place, f"there is no stage {name!r}")
    if stay.until is not None and stay.until <= stay.since:
        yield Problem(place, f"ends at {stay.until.isoformat(' ')}, which is not after it begins")
    for at in (stay.since, stay.until):
        if at is not None:
            for reason in _check_time(plan.time_zone, at):
                yield Problem(place, reason)


def check_told(plan: Plan) -> tuple[Problem, ...]:
    """Whether subscribers are told too late of the day on which the host operator disconnects.

    An alarm, and no fault of the plan: the host does it anyway.
    """
    cut = plan.disconnection
    if cut is None or cut.told <= (last := last_day_to_tell(cut.on, plan.closed_days)):
        return ()
    reason = (
        f"{BUSINESS_DAYS_TOLD_AHEAD} business days must lie between telling subscribers and {cut.on}, when the"
        f" host operator disconnects: {last} is the last day to tell them, not {cut.told}"
    )
    return (Problem("disconnection", reason),)


def last_day_to_tell(disconnected_on: date, closed_days: Collection[date]) -> date:
    """The last day on which subscribers can be told of a disconnection in time.

    "At least" so many days leave out both days, that of telling and that of disconnecting
    (Interpretation Act, R.S.C. 1985, c. I-21, section 27 (1)).
    """
    day = disconnected_on
    left = BUSINESS_DAYS_TOLD_AHEAD
    while left:
        day -= _DAY
        left -= is_business_day(day, closed_days)
    return day - _DAY


# Amendments


class AmendmentRefusal(Enum):
    """Why an amendment makes no new version of a plan."""

    UNKNOWN_STAGE = "unknown_stage"
    STAGE_HAS_COME = "stage_has_come"
    STAGE_OF_THE_HOST = "stage_of_the_host"
    """An order's extension does not bind the host operator."""
    NOT_LATER = "not_later"
    NOTHING_TO_MOVE = "nothing_to_move"
    NOT_CUT_BY_THE_HOST = "not_cut_by_the_host"
    CUT_ALREADY_KNOWN = "cut_already_known"


@dataclass(frozen=True, slots=True)
class Recomputed:
    """The next version of a plan, for people to approve."""

    plan: Plan
    diff: tuple[str, ...]
    """What is different, one sentence each."""
    problems: tuple[Problem, ...]
    """What is wrong with it."""
    alarms: tuple[Problem, ...]
    """What is not, but somebody must look at: subscribers who are told too late of a cut by the host."""


def recompute(
    plan: Plan, amendment: Amendment, stays: Collection[Stay] = ()
) -> Recomputed | AmendmentRefusal:
    """The plan as amended, under the stays that there are."""
    amended = _amend(plan, amendment, stays)
    if isinstance(amended, AmendmentRefusal):
        return amended
    diff = compare(plan, amended, stays, stays)
    return Recomputed(amended, diff, check_plan(amended), check_told(amended))


def _amend(plan: Plan, amendment: Amendment, stays: Collection[Stay]) -> Plan | AmendmentRefusal:
    match amendment:
        case Extension():
            return _extend(plan, amendment, stays)
        case HostCut():
            return _cut(plan, amendment)


def _extend(plan: Plan, extension: Extension, stays: Collection[Stay]) -> Plan | AmendmentRefusal:
    refusal = _refuse_extension(plan, extension, stays)
    if refusal is not None:
        return refusal
    moved = [stage for stage in plan.stages if _is_moved(stage, extension, stays)]
    if not moved:
        return AmendmentRefusal.NOTHING_TO_MOVE
    ended = {capability for stage in moved for capability in stage.closes}
    return replace(
        plan,
        version=plan.version + 1,
        stages=tuple(replace(one, at=one.at + extension.by) if one in moved else one for one in plan.stages),
        last_days={
            capability: day + extension.by if capability in ended else day
            for capability, day in plan.last_days.items()
        },
    )


def _refuse_extension(plan: Plan, extension: Extension, stays: Collection[Stay]) -> AmendmentRefusal | None:
    named = [stage for stage in plan.stages if stage.name in extension.stages]
    if extension.by <= timedelta(0):
        return AmendmentRefusal.NOT_LATER
    if len(named) < len(extension.stages):
        return AmendmentRefusal.UNKNOWN_STAGE
    if any(stage.is_by_host for stage in named):
        return AmendmentRefusal.STAGE_OF_THE_HOST
    if any(not _is_to_come(stage, extension.decided, stays) for stage in named):
        return AmendmentRefusal.STAGE_HAS_COME
    return None


def _is_moved(stage: Stage, extension: Extension, stays: Collection[Stay]) -> bool:
    if extension.stages:
        return stage.name in extension.stages
    return not stage.is_by_host and _is_to_come(stage, extension.decided, stays)


def _is_to_come(stage: Stage, at: LocalTime, stays: Collection[Stay]) -> bool:
    comes = date_under(stage, stays)
    return comes is None or comes > at


def _cut(plan: Plan, cut: HostCut) -> Plan | AmendmentRefusal:
    """Stages that would have closed the same later stay in the plan: the first to come closes it."""
    name = f"cut by the host {cut.at.isoformat(' ', 'minutes')}"
    if not cut.capabilities or cut.capabilities - CUT_BY_THE_HOST:
        return AmendmentRefusal.NOT_CUT_BY_THE_HOST
    if any(stage.name == name for stage in plan.stages):
        return AmendmentRefusal.CUT_ALREADY_KNOWN
    stage = Stage(name, cut.at, closes=cut.capabilities, is_by_host=True)
    disconnection = plan.disconnection
    if disconnection is None or cut.at.date() < disconnection.on:
        disconnection = Disconnection(cut.at.date(), cut.told)
    return replace(plan, version=plan.version + 1, stages=(*plan.stages, stage), disconnection=disconnection)


# Differences in words


def compare(
    old: Plan, new: Plan, old_stays: Collection[Stay] = (), new_stays: Collection[Stay] = ()
) -> tuple[str, ...]:
    """What is different in a plan under its stays, one sentence each."""
    stages = _compare_stages(date_stages(old, old_stays), date_stages(new, new_stays), new)
    gates = _compare_ends(old, new, old_stays, new_stays)
    tables = _compare_tables(old, new)
    return (*stages, *gates, *tables)


def _compare_stages(old: Iterable[DatedStage], new: Iterable[DatedStage], plan: Plan) -> Iterator[str]:
    before = {one.stage.name: one for one in old}
    after = {one.stage.name: one for one in new}
    for name in before.keys() - after.keys():
        yield f"stage {name!r} is gone"
    for name, dated in after.items():
        was = before.get(name)
        if was is None:
            yield f"stage {name!r} is new: {_say_time(dated.at)}, {say_effects(dated.stage)}"
            continue
        yield from _compare_stage(was, dated)
        if was.at != dated.at and any(notice.stage == name for notice in plan.notices):
            yield f"notices of stage {name!r} are to be corrected"


def _compare_stage(old: DatedStage, new: DatedStage) -> Iterator[str]:
    name = new.stage.name
    if old.at != new.at:
        yield f"stage {name!r} moves from {_say_time(old.at)} to {_say_time(new.at)}"
    elif old.stage.at != new.stage.at:  # a stay holds it, with more left to go when it is lifted
        was, now = _say_time(old.stage.at), _say_time(new.stage.at)
        yield f"stage {name!r} has no date before or after, and moves in the plan from {was} to {now}"
    if say_effects(old.stage) != say_effects(new.stage):
        yield f"stage {name!r} now {say_effects(new.stage)}; before it {say_effects(old.stage)}"


def _compare_ends(
    old: Plan, new: Plan, old_stays: Collection[Stay], new_stays: Collection[Stay]
) -> Iterator[str]:
    """Whose gates close at another time: also where only the order of stages changed."""
    before, after = _ends(old, old_stays), _ends(new, new_stays)
    for capability in Capability:
        was, now = before.get(capability), after.get(capability)
        if was != now:
            yield f"{capability} closes: {_say_time(now)}; before: {_say_time(was)}"


def _ends(plan: Plan, stays: Collection[Stay]) -> Mapping[Capability, LocalTime | None]:
    ends: dict[Capability, LocalTime | None] = {}
    for dated in date_stages(plan, stays):
        for capability in dated.stage.closes:
            ends.setdefault(capability, dated.at)
    return ends


def _compare_tables(old: Plan, new: Plan) -> Iterator[str]:
    for capability in Capability:
        was, now = old.last_days.get(capability), new.last_days.get(capability)
        if was != now:
            yield f"the last day of {capability} is {now or 'none'}; before: {was or 'none'}"
    for kind in sorted({*old.refunds, *new.refunds}):
        paid, pays = old.refunds.get(kind), new.refunds.get(kind)
        if paid != pays:
            yield f"of {kind} is paid back: {pays or 'not said'}; before: {paid or 'not said'}"
    if old.disconnection != new.disconnection:
        yield f"the host operator disconnects: {_say_cut(new)}; before: {_say_cut(old)}"
    for what in ("name", "time_zone", "order", "notices", "closed_days"):
        if getattr(old, what) != getattr(new, what):
            yield f"{what} is different"


def say_effects(stage: Stage) -> str:
    """What a stage does, in words."""
    verbs = {"opens": stage.opens, "closes": stage.closes, "voids": stage.voids}
    said = [f"{verb} {', '.join(sorted(effects))}" for verb, effects in verbs.items() if effects]
    return "; ".join(said + ["irreversible"] * stage.is_irreversible)


def _say_time(at: LocalTime | None) -> str:
    return "no date" if at is None else at.isoformat(" ")


def _say_cut(plan: Plan) -> str:
    cut = plan.disconnection
    return "not known" if cut is None else f"{cut.on}, subscribers told by {cut.told}"
