"""The ready plan of CMLink in Canada, second by second around each of its dates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from onecard.values.gate import Capability, Closed, Open
from onecard.winddown.model import RefundPolicy, ValueKind, Void
from onecard.winddown.reading import read_plan
from onecard.winddown.rules import date_stages
from winddown.plans import every_gate, local

C = Capability
FILE = Path(__file__).parents[2] / "plans" / "cmlink-canada-2021.toml"
PLAN = read_plan(FILE.read_text(encoding="utf-8")).plan
SECOND = timedelta(seconds=1)

BEFORE = {C.REFUND, C.NUMBER_RETURN, C.PURGE}
SALES_END = {C.SALE, C.PORT_IN, C.NEW_APPLICATION, C.TOP_UP, C.PLAN_CHANGE, C.SIM_REPLACEMENT, C.RENEWAL_FEE}
AFTER_SALES = {*SALES_END, C.NUMBER_RETURN, C.PURGE}
AFTER_OPERATIONS = {*AFTER_SALES, C.ACTIVATION, C.CHARGING}
AFTER_SERVICE = {*AFTER_OPERATIONS, C.RENEWAL, C.SECONDARY_LINES, C.PORT_OUT, C.DATA, C.VOICE, C.TEXTS}

BOUNDARIES = [
    (datetime(2021, 12, 28, 5, tzinfo=UTC), BEFORE, AFTER_SALES),  # midnight by Eastern standard time
    (datetime(2022, 1, 5, 5, tzinfo=UTC), AFTER_SALES, AFTER_OPERATIONS),
    (datetime(2022, 3, 13, 7, tzinfo=UTC), AFTER_OPERATIONS, AFTER_OPERATIONS),  # summer time begins
    (datetime(2022, 4, 1, 4, tzinfo=UTC), AFTER_OPERATIONS, AFTER_SERVICE),  # midnight by daylight time
]


def closed_at(instant: datetime) -> set[Capability]:
    return {one for one, gate in every_gate(PLAN, (), instant).items() if isinstance(gate, Closed)}


@pytest.mark.parametrize(("boundary", "before", "after"), BOUNDARIES)
def test_a_gate_closes_at_its_second_and_not_one_before(
    boundary: datetime, before: set[Capability], after: set[Capability]
) -> None:
    assert closed_at(boundary - SECOND) == before
    assert closed_at(boundary) == after
    assert closed_at(boundary + SECOND) == after


def test_nothing_changes_between_the_boundaries() -> None:
    """Every hour from the order to the end of the year after."""
    instant = datetime(2021, 8, 6, tzinfo=UTC)
    steps = [(boundary, after) for boundary, _, after in BOUNDARIES]
    while instant < datetime(2023, 1, 1, tzinfo=UTC):
        expected = [BEFORE, *(after for boundary, after in steps if boundary <= instant)][-1]
        assert closed_at(instant) == expected, instant
        instant += timedelta(hours=1)


def test_no_stage_but_those_that_were_tested_has_a_date() -> None:
    dates = {boundary for boundary, before, after in BOUNDARIES if before != after}
    assert {dated.instant for dated in date_stages(PLAN, ())} == dates


def test_plans_are_renewed_free_of_charge_until_31_march_is_over() -> None:
    last = every_gate(PLAN, (), datetime.fromisoformat("2022-03-31T23:59:59-04:00"))
    assert last[C.RENEWAL] == Open()
    assert last[C.RENEWAL_FEE] == Closed(
        C.RENEWAL_FEE, PLAN.stages[0].name, datetime(2021, 12, 28, 5, tzinfo=UTC)
    )


def test_cards_that_were_never_activated_are_void_on_5_january_and_paid_back_as_paid() -> None:
    [stage] = [stage for stage in PLAN.stages if Void.UNACTIVATED_CARDS in stage.voids]
    assert stage.at == local("2022-01-05")
    assert C.ACTIVATION in stage.closes
    assert PLAN.refunds[ValueKind.UNACTIVATED_CARDS] is RefundPolicy.AS_PAID
    assert PLAN.refunds[ValueKind.CASH] is RefundPolicy.FULL


@pytest.mark.parametrize("year", [2022, 2030, 2100])
def test_asking_for_the_balance_has_no_last_date(year: int) -> None:
    gates = every_gate(PLAN, (), datetime(year, 6, 1, tzinfo=UTC))
    assert gates[C.REFUND] == gates[C.SUPPORT] == gates[C.EMERGENCY] == Open()
