"""What the command line says where the order to stop stands before a command."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from onecard.cli.failures import STOPPED, GateClosed, accept, explain_gate
from onecard.values.gate import NO_ORDER, Capability, Closed, Gates

VANCOUVER = ZoneInfo("America/Vancouver")
AT = datetime(2022, 3, 1, 8, tzinfo=UTC)
SALE = Closed(Capability.SALE, "sales end", AT)
REFUND = Closed(Capability.REFUND, "refunds begin", None, opens_at=AT)


def said(closed: Closed, gates: Gates = NO_ORDER) -> str:
    failure = explain_gate(closed, gates, VANCOUVER)
    assert failure.code == "closed_by_order"
    return failure.sentence


def test_a_closed_gate_is_said_with_its_stage_its_time_and_what_is_left() -> None:
    assert said(SALE, Gates({Capability.SALE: SALE})) == (
        "no card is sold any more: 'sales end' of the order closed that at 2022-03-01 00:00:00-08:00;"
        " still open: refunds, taking a number elsewhere, help for subscribers: see `onecard winddown status`"
    )


def test_what_is_closed_itself_is_not_named_as_left() -> None:
    all_closed = {one: Closed(one, "all ends", AT) for one in Capability}
    assert "still open" not in said(all_closed[Capability.REFUND], Gates(all_closed))


@pytest.mark.parametrize(
    ("closed", "reason"),
    [
        (REFUND, "no balance is paid back yet: 'refunds begin' of the order opens that at 2022-03-01 00:00"),
        (Closed(Capability.REFUND, "refunds begin", None), "opens that, and has no date now"),
        (NO_ORDER.closed[Capability.PURGE], "yet: no order that is in force opens that"),
    ],
)
def test_a_gate_that_no_stage_has_opened_says_when_one_will(closed: Closed, reason: str) -> None:
    assert reason in said(closed)


def test_every_gate_has_its_words() -> None:
    assert STOPPED.keys() == set(Capability)


def test_an_answer_that_is_no_refusal_is_accepted() -> None:
    assert accept("sold") == "sold"
    with pytest.raises(GateClosed):
        accept(SALE)
