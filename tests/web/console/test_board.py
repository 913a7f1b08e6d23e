"""The board of the wind-down: a plan is proposed, approved by two, started; its calendar; port-outs moved on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

import shop
from onecard.audit import list_records
from onecard.database.pool import Database, connection
from onecard.staff.model import Role
from onecard.values.gate import Capability
from onecard.web.console.calendar import LEFT, WIDTH, lay_out
from onecard.winddown.actions import record_rehearsal
from onecard.winddown.model import OrderRefusal, VersionRehearsal
from onecard.winddown.reading import PlanFile, read_plan
from onecard.winddown.rules import date_stages
from web.console.clerk import Clerk, at_console, strip_tags

CMLINK = (Path(__file__).parents[3] / "plans" / "cmlink-canada-2021.toml").read_text(encoding="utf-8")
PLAN = f"""
name = "The end"
time_zone = "America/Vancouver"
version = 1

[order]
issuer = "The Governor in Council"
legal_basis = "Investment Canada Act"
received = 2026-03-01
document_sha256 = "{"ab" * 32}"

[[stage]]
name = "sales end"
at = 2026-04-01T00:00:00
closes = ["sale", "top_up"]
opens = ["refund"]

[[stage]]
name = "service ends"
at = 2026-06-01T00:00:00
closes = ["texts", "voice", "data", "secondary_lines"]

[refunds]
cash = "full"
unused_plan_value = "pro_rata"
vouchers = "full"
deposits = "full"
disputed = "when_decided"
promotional = "nothing"
unactivated_cards = "as_paid"
"""


@pytest.fixture
async def alice(database: Database) -> AsyncIterator[Clerk]:
    async with connection(database.pool) as borrowed:
        await shop.open_shop(borrowed)
    async with at_console(database, "alice", Role.COMPLIANCE) as clerk:
        yield clerk


async def propose(clerk: Clerk, text: str) -> str:
    return await clerk.do("/console/winddown/versions", files={"file": ("plan.toml", text, "text/plain")})


async def test_a_plan_takes_two_logins_and_a_word_to_be_started(database: Database, alice: Clerk) -> None:
    assert "under no order" in await alice.see("/console/winddown")
    page = await propose(alice, PLAN)
    assert "Version 1 is proposed" in page
    assert "'sales end'" in page
    assert "has your approval" in await alice.do("/console/winddown/versions/1/approve")
    assert "somebody else must" in await alice.do("/console/winddown/versions/1/approve")
    assert "Another version awaits approval" in strip_tags(
        await alice.do("/console/winddown/start", sure="yes")
    )
    async with at_console(database, "bob", Role.FINANCE, site=alice.site) as bob:
        assert (await bob.send("/console/winddown/versions/1/withdraw")).status_code == 403
        await bob.do("/console/winddown/versions/1/approve")
        assert "Tick that you mean it" in await bob.do("/console/winddown/start")
        assert "is in force" in await bob.do("/console/winddown/start", sure="yes")
    board = strip_tags(await alice.see("/console/winddown"))
    assert "Next: sales end" in board
    assert "staff:alice, staff:bob" in board
    assert "in force" in board


async def test_the_board_says_which_version_was_rehearsed_and_which_never(
    database: Database, alice: Clerk
) -> None:
    await propose(alice, PLAN)
    assert "Version 1 was never rehearsed" in strip_tags(await alice.see("/console/winddown"))
    assert "Rehearsed: never" in strip_tags(await alice.see("/console/winddown/versions/1"))
    for findings, said in ((2, "2 found"), (0, "went by the plan")):
        async with connection(database.pool) as borrowed:
            done = await record_rehearsal(
                borrowed,
                shop.AT,
                actor="staff:bob",
                number=1,
                first_seed=7,
                seeds=10,
                accounts=500,
                findings=findings,
            )
            assert isinstance(done, VersionRehearsal)
            [record] = await list_records(borrowed, "winddown_version:1", most=1)
        assert (record.action, record.detail["findings"]) == ("rehearse_version", findings)
        board = strip_tags(await alice.see("/console/winddown"))
        assert "never rehearsed" not in board
        assert f"{said} 2026-03-10" in board
        assert said in await alice.see("/console/winddown/versions/1")
    async with connection(database.pool) as borrowed:
        unknown = await record_rehearsal(
            borrowed, shop.AT, actor="staff:bob", number=2, first_seed=1, seeds=1, accounts=1, findings=0
        )
    assert unknown is OrderRefusal.UNKNOWN_VERSION


async def test_a_plan_that_is_wrong_is_told_so_and_one_that_changes_the_past_too(alice: Clerk) -> None:
    assert "The plan cannot be used" in await propose(alice, PLAN.replace("sale", "sail"))
    assert "choose a file" in await alice.do("/console/winddown/versions")
    assert "It would change what has come" in await propose(alice, PLAN.replace("2026-04-01", "2026-03-01"))
    await propose(alice, PLAN)
    assert "is withdrawn" in await alice.do("/console/winddown/versions/1/withdraw")
    assert (await alice.browser.get("/console/winddown/versions/9")).status_code == 404


async def test_a_step_of_a_port_out_that_is_none_is_refused(alice: Clerk) -> None:
    assert "Say what became of it" in await alice.do("/console/winddown/ports/1/move", step="lost")
    assert "no such port-out" in await alice.do("/console/winddown/ports/1/move", step="complete")


# The calendar


@pytest.fixture
def cmlink() -> PlanFile:
    return read_plan(CMLINK)


def test_the_calendar_shows_every_gate_that_a_stage_changes_open_and_shut_without_a_gap(
    cmlink: PlanFile,
) -> None:
    now = shop.AT.replace(year=2022, month=1, day=1)
    calendar = lay_out(cmlink, now)
    changed = frozenset().union(*(stage.closes | stage.opens for stage in cmlink.plan.stages))
    assert [row.name for row in calendar.rows] == [
        gate.replace("_", " ") for gate in Capability if gate in changed
    ]
    for row in calendar.rows:
        assert row.spans[0].x == LEFT
        for before, after in zip(row.spans, row.spans[1:], strict=False):
            assert before.x + before.width == pytest.approx(after.x, abs=0.2)
        assert any(span.is_open for span in row.spans)
        assert any(not span.is_open for span in row.spans)
    assert [mark.name for mark in calendar.stages] == [stage.name for stage in cmlink.plan.stages]
    assert calendar.now is not None
    assert LEFT < calendar.now < WIDTH


def test_a_gate_changes_exactly_where_its_stage_stands(cmlink: PlanFile) -> None:
    calendar = lay_out(cmlink, shop.AT)
    sale = next(row for row in calendar.rows if row.name == "sale")
    closing = next(span.x for span in sale.spans if not span.is_open)
    first = min(mark.x for mark in calendar.stages)
    assert closing == first


def test_months_are_marked_by_the_clock_of_the_plan(cmlink: PlanFile) -> None:
    calendar = lay_out(cmlink, shop.AT.replace(year=2022, month=1))
    names = [mark.name for mark in calendar.months]
    assert names[:3] == ["2022-01", "2022-02", "2022-03"]
    last = max(one.instant for one in date_stages(cmlink.plan, cmlink.stays) if one.instant)
    assert f"{(last + timedelta(days=5)).astimezone(ZoneInfo('America/Toronto')):%Y-%m}" in names
