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
    LocalTime,
    Notice,
    Order,
    Plan,
    RefundPolicy,
    Stage,
    Stay,
    ValueKind,
)
from onecard.winddown.rules import gates_at

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
