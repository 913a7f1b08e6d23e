"""Plans to ask: a small one with every kind of stage, and any at all for Hypothesis."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from onecard.values.gate import OPENED_BY_A_STAGE, Capability, Closed, Gate
from onecard.values.language import Language
from onecard.winddown.model import (
    CUT_BY_THE_HOST,
    IRREVERSIBLE,
    PLANNED,
    PROTECTED,
    Disconnection,
    LocalTime,
    Notice,
    Order,
    Plan,
    RefundPolicy,
    Stage,
    Stay,
    ValueKind,
    Void,
)
from onecard.winddown.reading import PlanFile
from onecard.winddown.rules import check_plan, check_stays, gates_at

TORONTO = ZoneInfo("America/Toronto")
GREENWICH = ZoneInfo("UTC")
ORDER = Order("The Governor in Council", "Investment Canada Act", date(2021, 8, 6))
REFUNDS = dict.fromkeys(ValueKind, RefundPolicy.FULL)


def local(text: str) -> LocalTime:
    """A time of a plan's clock."""
    return datetime.fromisoformat(text)


SALES_END = Stage(
    "sales end",
    local("2022-01-10"),
    closes=frozenset({Capability.SALE}),
    opens=frozenset({Capability.REFUND}),
)
SERVICE_ENDS = Stage(
    "service ends",
    local("2022-04-01"),
    closes=frozenset({Capability.VOICE, Capability.TEXTS, Capability.DATA, Capability.PORT_OUT}),
)
PURGE = Stage("purge", local("2022-09-01"), opens=frozenset({Capability.PURGE}), is_irreversible=True)
NOTICE = Notice("service ends", local("2022-02-01T09:00"), (Language.ENGLISH, Language.FRENCH))


def every_gate(plan: Plan, stays: Collection[Stay], at: datetime) -> dict[Capability, Gate]:
    """The gates one by one, without what is only told of those that a stage is still to open."""
    gates = gates_at(plan, stays, at)
    return {one: _without_opening(gates.gate(one)) for one in Capability}


def _without_opening(gate: Gate) -> Gate:
    return replace(gate, opens_at=None) if isinstance(gate, Closed) else gate


def make_plan(*stages: Stage, zone: ZoneInfo = TORONTO) -> Plan:
    """A plan of these stages, or of those above."""
    return Plan(
        version=1,
        name="Maple Bridge",
        time_zone=zone,
        order=ORDER,
        stages=stages or (SALES_END, SERVICE_ENDS, PURGE),
        last_days={Capability.PORT_OUT: date(2022, 3, 31)},
        refunds=REFUNDS,
        notices=() if stages else (NOTICE,),
    )


FIRST_DAY = local("2021-12-01")
times = st.integers(0, 24 * 400).map(lambda hours: FIRST_DAY + timedelta(hours=hours))
"""Times of a clock: thirteen months, over three changes to or from summer time."""
instants = times.map(lambda time: time.replace(tzinfo=UTC))


@st.composite
def plans(draw: st.DrawFn, zone: ZoneInfo = TORONTO) -> Plan:
    """Any stages: each capability is opened and closed by at most one, numbered 0 to 5."""
    ends = draw(st.dictionaries(st.sampled_from(Capability), st.integers(0, 5)))
    begins = draw(st.dictionaries(st.sampled_from(sorted(OPENED_BY_A_STAGE)), st.integers(0, 5)))
    stages = [
        Stage(
            str(number),
            draw(times),
            closes=frozenset(one for one, stage in ends.items() if stage == number),
            opens=frozenset(one for one, stage in begins.items() if stage == number),
            is_irreversible=number == 5,
        )
        for number in range(6)
    ]
    return make_plan(*stages, zone=zone)


@st.composite
def stays(draw: st.DrawFn) -> Stay:
    """A stay of all stages or of some, lifted some day or not yet."""
    since = draw(times)
    lasts = draw(st.none() | st.integers(1, 24 * 60).map(lambda hours: timedelta(hours=hours)))
    stages = draw(st.frozensets(st.sampled_from("012345"), max_size=3))
    return Stay(since, None if lasts is None else since + lasts, stages)


noons = st.integers(1, 400).map(lambda days: FIRST_DAY + timedelta(days=days, hours=12, microseconds=days))
"""No clock is changed at noon."""
words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
_FREE = sorted({*Capability} - OPENED_BY_A_STAGE)


@st.composite
def good_files(draw: st.DrawFn) -> PlanFile:
    """Any plan that nothing is wrong with, with its stays."""
    names = draw(st.lists(words, min_size=1, max_size=4, unique=True))
    ends = draw(st.dictionaries(st.sampled_from(_FREE), st.sampled_from(names)))
    stages = [_good_stage(draw, name, ends) for name in names]
    file = PlanFile(
        Plan(
            version=draw(st.integers(1, 9)),
            name=draw(words),
            time_zone=TORONTO,
            order=Order(draw(words), draw(words), date(2021, 8, 6), draw(st.none() | st.just("0a" * 32))),
            stages=(*stages, *_good_openings(draw)),
            last_days=_last_days_of(stages),
            refunds={kind: draw(st.sampled_from(RefundPolicy)) for kind in ValueKind},
            notices=tuple(
                Notice(one.name, FIRST_DAY, draw(_languages), draw(st.sampled_from(sorted(PLANNED))))
                for one in draw(_some(stages))
            ),
            disconnection=draw(st.none() | st.just(Disconnection(date(2022, 5, 2), date(2022, 4, 1)))),
            closed_days=draw(st.frozensets(st.dates(date(2021, 1, 1), date(2023, 1, 1)), max_size=2)),
        ),
        tuple(draw(st.lists(_good_stays(names), max_size=2))),
    )
    assert not check_plan(file.plan)
    assert not check_stays(file.plan, file.stays)
    return file


_languages = st.lists(st.sampled_from(Language), min_size=1, max_size=4).map(tuple)


def _some(stages: list[Stage]) -> st.SearchStrategy[list[Stage]]:
    return st.lists(st.sampled_from(stages), max_size=2)


def _good_stage(draw: st.DrawFn, name: str, ends: dict[Capability, str]) -> Stage:
    """What a host operator does closes only what it carries; a stage that does nothing else voids cards."""
    closes = frozenset(one for one, stage in ends.items() if stage == name)
    is_by_host = bool(closes) and closes <= CUT_BY_THE_HOST and draw(st.booleans())
    voids = frozenset() if closes else frozenset({Void.UNACTIVATED_CARDS})
    return Stage(name, draw(noons), closes=closes, voids=voids, is_by_host=is_by_host)


def _good_openings(draw: st.DrawFn) -> list[Stage]:
    opened = draw(st.lists(st.sampled_from(sorted(OPENED_BY_A_STAGE)), unique=True))
    return [
        Stage(
            f"{one} opens, in \x7f", draw(noons), opens=frozenset({one}), is_irreversible=one in IRREVERSIBLE
        )
        for one in opened
    ]


def _last_days_of(stages: list[Stage]) -> dict[Capability, date]:
    return {
        capability: stage.at.date() - timedelta(days=1)
        for stage in stages
        for capability in stage.closes & PROTECTED
    }


@st.composite
def _good_stays(draw: st.DrawFn, names: list[str]) -> Stay:
    since = draw(noons)
    lasts = draw(st.none() | st.integers(1, 90).map(lambda days: timedelta(days=days)))
    stages = draw(st.frozensets(st.sampled_from(names), max_size=2))
    return Stay(since, None if lasts is None else since + lasts, stages)
