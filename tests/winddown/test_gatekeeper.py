"""The gates in memory are those of the rules, at whatever instant they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from onecard.values.gate import NO_ORDER, Capability, find_closing
from onecard.winddown.gatekeeper import Gatekeeper
from onecard.winddown.model import Plan, Stay
from onecard.winddown.reading import PlanFile
from onecard.winddown.rules import date_stages, gates_at
from winddown.plans import instants, make_plan, plans, stays

SECOND = timedelta(seconds=1)


@given(plans(), st.lists(stays(), max_size=2), st.lists(instants, min_size=1, max_size=5))
def test_the_gates_in_memory_are_those_of_the_rules(
    plan: Plan, held: Sequence[Stay], asked: Sequence[datetime]
) -> None:
    keeper = Gatekeeper(PlanFile(plan, tuple(held)))
    edges = [one.instant for one in date_stages(plan, held) if one.instant is not None]
    for instant in (*asked, *(edge + by for edge in sorted(edges) for by in (-SECOND, SECOND * 0, SECOND))):
        assert keeper.at(instant) == gates_at(plan, held, instant)


def test_another_version_is_gone_by_at_once() -> None:
    at = datetime.fromisoformat("2022-02-01T00:00:00Z")
    keeper = Gatekeeper()
    assert keeper.at(at) == NO_ORDER
    keeper.put_in_force(PlanFile(make_plan(), ()))
    assert not keeper.at(at).is_open(Capability.SALE)
    assert keeper.at(at).is_open(Capability.REFUND)
    keeper.put_in_force(None)
    assert keeper.at(at) == NO_ORDER


@given(plans(), instants, st.integers(1, 24 * 120), st.sets(st.sampled_from(Capability)))
def test_the_first_closing_is_found_among_those_to_come(
    plan: Plan, after: datetime, hours: int, capabilities: set[Capability]
) -> None:
    keeper, before = Gatekeeper(PlanFile(plan, ())), after + timedelta(hours=hours)
    stages = [one.instant for one in date_stages(plan, ()) if one.instant is not None]
    closings = [
        instant
        for instant in stages
        if after < instant < before
        and any(
            keeper.at(instant - SECOND).is_open(one) and not keeper.at(instant).is_open(one)
            for one in capabilities
        )
    ]
    assert find_closing(keeper.at, capabilities, after, before) == min(closings, default=None)
