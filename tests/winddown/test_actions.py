"""The order's life on the database: drafted, approved by two, started, stayed, lifted, extended, cut early."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TypeVar

import asyncpg
import pytest

from onecard.audit import list_records
from onecard.database.pool import Connection, Database, connection
from onecard.values.clock import MovedClock
from onecard.values.gate import NO_ORDER, Capability
from onecard.values.table import BadTable
from onecard.winddown import actions, store
from onecard.winddown.model import (
    ChangesThePast,
    Extension,
    HostCut,
    LocalTime,
    OrderRefusal,
    Stay,
    Version,
    VersionKind,
    VersionState,
)
from onecard.winddown.reading import PlanFile, read_plan
from onecard.winddown.rules import AmendmentRefusal, date_stages, gates_at, to_instant
from onecard.winddown.status import OrderStatus, load_status
from onecard.winddown.writing import write_plan
from winddown.plans import ORDER, SALES_END, TORONTO, local, make_plan

C = Capability
DRAFTED = to_instant(local("2021-12-01"), TORONTO)
ALICE, BOB, CAROL = "staff:alice", "staff:bob", "staff:carol"
PLAN = replace(make_plan(), order=replace(ORDER, document_sha256="0a" * 32))
TEXT = "# as served\r\n" + write_plan(PlanFile(PLAN, ()))

T = TypeVar("T")


@dataclass
class Office:
    """Staff before the database, with a clock that only they move."""

    connection: Connection
    clock: MovedClock

    @property
    def at(self) -> datetime:
        return self.clock.now()

    def move_to(self, time: str) -> None:
        """Go forward by the plan's clock."""
        self.clock.move_to(to_instant(local(time), TORONTO))

    async def draft(self, text: str = TEXT) -> Version | actions.Refusal:
        return await actions.draft_plan(self.connection, self.at, actor=ALICE, text=text)

    async def amend(self, amendment: Extension | HostCut) -> Version | actions.Refusal:
        return await actions.amend(self.connection, self.at, actor=ALICE, amendment=amendment)

    async def extend(self, days: int, *stages: str) -> Version | actions.Refusal:
        now = self.at.astimezone(TORONTO).replace(tzinfo=None)
        return await self.amend(Extension(now, timedelta(days=days), frozenset(stages)))

    async def stay(self, since: str, until: str | None = None) -> Version | actions.Refusal:
        stay = Stay(local(since), local(until) if until else None)
        return await actions.stay_order(self.connection, self.at, actor=ALICE, stay=stay)

    async def lift(self, until: str, since: LocalTime | None = None) -> Version | actions.Refusal:
        return await actions.lift(self.connection, self.at, actor=ALICE, until=local(until), since=since)

    async def approve(self, number: int, actor: str = BOB) -> Version | OrderRefusal | ChangesThePast:
        return await actions.approve_version(self.connection, self.at, actor=actor, number=number)

    async def withdraw(self, number: int) -> Version | OrderRefusal:
        return await actions.withdraw_version(self.connection, self.at, actor=CAROL, number=number)

    async def start(self) -> Version | OrderRefusal | ChangesThePast:
        return await actions.start(self.connection, self.at, actor=CAROL)

    async def agree(self, proposed: Version | actions.Refusal) -> Version:
        """Two people approve what was proposed."""
        number = good(proposed).number
        good(await self.approve(number, ALICE))
        return good(await self.approve(number, BOB))

    async def start_order(self) -> None:
        await self.agree(await self.draft())
        good(await self.start())

    async def closed(self) -> set[Capability]:
        """The gates that are closed by what is in force now."""
        file = await store.load_in_force(self.connection)
        return set(NO_ORDER.closed if file is None else gates_at(file.plan, file.stays, self.at).closed)

    async def dates(self) -> list[str | None]:
        """When the stages come, by the plan's clock."""
        file = await store.load_in_force(self.connection)
        assert file is not None
        return [None if one.at is None else str(one.at.date()) for one in date_stages(file.plan, file.stays)]

    async def status(self) -> OrderStatus:
        status = await load_status(self.connection, self.at)
        assert status is not None
        return status


def good(answer: Version | object) -> Version:
    assert isinstance(answer, Version), answer
    return answer


@pytest.fixture
async def office(database: Database) -> AsyncIterator[Office]:
    async with connection(database.pool) as borrowed:
        yield Office(borrowed, MovedClock(DRAFTED))


UNDER_NO_ORDER = {C.REFUND, C.NUMBER_RETURN, C.PURGE}
AFTER_SALES = {C.SALE, C.NUMBER_RETURN, C.PURGE}
AFTER_SERVICE = {C.SALE, C.VOICE, C.TEXTS, C.DATA, C.PORT_OUT, C.NUMBER_RETURN, C.PURGE}


# From the draft to the start


async def test_a_plan_is_in_force_when_two_have_approved_it_and_it_is_started(office: Office) -> None:
    drafted = good(await office.draft())
    assert (drafted.number, drafted.kind, drafted.proposed_by) == (1, VersionKind.DRAFT, ALICE)
    once = good(await office.approve(1, ALICE))  # who proposed it may be one of the two
    assert [approval.actor for approval in once.approvals] == [ALICE]
    assert await office.approve(1, ALICE) is OrderRefusal.APPROVED_BY_SAME
    assert await office.start() is OrderRefusal.ANOTHER_AWAITS
    good(await office.approve(1, BOB))
    assert await office.approve(1, CAROL) is OrderRefusal.ALREADY_APPROVED
    assert await store.load_in_force(office.connection) is None
    started = good(await office.start())
    assert started.in_force_since == DRAFTED
    assert await office.start() is OrderRefusal.ALREADY_STARTED
    assert await store.load_in_force(office.connection) == PlanFile(PLAN, ())


async def test_what_is_in_force_is_what_was_approved_byte_for_byte(office: Office) -> None:
    await office.start_order()
    assert await store.get_text(office.connection, 1) == TEXT
    [version] = (await store.list_versions(office.connection)).all
    assert version.sha256 == sha256(TEXT.encode()).hexdigest()


async def test_nobody_changes_or_deletes_a_version_or_an_approval(office: Office) -> None:
    await office.start_order()
    for statement in (
        "UPDATE winddown_version SET plan = plan || '#'",
        "UPDATE winddown_version SET diff = '{}'",
        "DELETE FROM winddown_version",
        "TRUNCATE winddown_version",
        "UPDATE winddown_approval SET actor = 'staff:mallory'",
        "DELETE FROM winddown_approval",
    ):
        with pytest.raises(asyncpg.RaiseError, match="is append-only"):
            await office.connection.execute(statement)


async def test_every_step_is_in_the_audit_record_and_nodes_are_told_what_comes_into_force(
    office: Office,
) -> None:
    await office.start_order()
    await office.agree(await office.extend(7))
    first = await list_records(office.connection, "winddown_version:1")
    assert [(one.actor, one.action) for one in reversed(first)] == [
        (ALICE, "propose_version"),
        (ALICE, "approve_version"),
        (BOB, "approve_version"),
        (CAROL, "put_version_in_force"),
    ]
    assert first[0].detail == {"kind": "draft", "sha256": sha256(TEXT.encode()).hexdigest()}
    told = await office.connection.fetch("SELECT key FROM change WHERE kind = 'winddown' ORDER BY id")
    assert [row["key"] for row in told] == [1, 2]


async def test_a_plan_without_the_hash_of_its_document_is_not_approved(office: Office) -> None:
    good(await office.draft(write_plan(PlanFile(make_plan(), ()))))
    assert await office.approve(1) is OrderRefusal.NO_DOCUMENT


async def test_one_version_at_a_time_awaits_approval(office: Office) -> None:
    good(await office.draft())
    assert await office.draft() is OrderRefusal.ANOTHER_AWAITS
    withdrawn = good(await office.withdraw(1))
    assert withdrawn.withdrawn_by == CAROL
    assert await office.withdraw(1) is OrderRefusal.WITHDRAWN
    assert await office.approve(1) is OrderRefusal.WITHDRAWN
    assert await office.withdraw(2) is OrderRefusal.UNKNOWN_VERSION
    assert await office.approve(2) is OrderRefusal.UNKNOWN_VERSION
    with pytest.raises(BadTable, match="version: must be 2, the next one, and is 1"):
        await office.draft()
    assert good(await office.draft(TEXT.replace("version = 1", "version = 2"))).number == 2


async def test_a_better_draft_is_compared_with_the_one_that_was_approved(office: Office) -> None:
    await office.agree(await office.draft())
    assert await office.draft(TEXT.replace("version = 1", "version = 2")) is OrderRefusal.NOTHING_CHANGES
    better = write_plan(PlanFile(replace(PLAN, version=2, name="Maple Bridge Ltd"), ()))
    assert good(await office.draft(better)).diff == ("name is different",)
    await office.approve(2, ALICE)
    await office.approve(2, BOB)
    assert good(await office.start()).number == 2
    states = [(await office.status()).versions.state_of(one) for one in (await office.status()).versions.all]
    assert states == [VersionState.SUPERSEDED, VersionState.IN_FORCE]


async def test_an_order_is_neither_approved_nor_started_when_its_first_stage_has_passed(
    office: Office,
) -> None:
    good(await office.draft())
    good(await office.approve(1, ALICE))
    office.move_to("2022-01-10")
    late = await office.approve(1, BOB)
    assert isinstance(late, ChangesThePast)
    assert late.reasons == ("stage 'sales end' would have come at 2022-01-10 00:00:00, which has passed",)
    assert (await office.status()).alarms[0].startswith("the order is not started: stage 'sales end'")


async def test_an_order_that_was_approved_in_time_is_not_started_late(office: Office) -> None:
    await office.agree(await office.draft())
    office.move_to("2022-01-10")
    assert isinstance(await office.start(), ChangesThePast)
    assert await office.closed() == UNDER_NO_ORDER


async def test_a_plan_that_cannot_be_read_is_not_kept(office: Office) -> None:
    with pytest.raises(BadTable, match="is not TOML"):
        await office.draft("name =")
    assert await load_status(office.connection, office.at) is None


async def test_nothing_is_amended_stayed_or_started_without_an_order(office: Office) -> None:
    assert await office.extend(7) is OrderRefusal.NOT_STARTED
    assert await office.stay("2022-01-01") is OrderRefusal.NOT_STARTED
    assert await office.lift("2022-01-01") is OrderRefusal.NOT_STARTED
    assert await office.start() is OrderRefusal.NOTHING_APPROVED
    await office.start_order()
    assert await office.draft() is OrderRefusal.ALREADY_STARTED
    assert await office.withdraw(1) is OrderRefusal.IN_FORCE


# Of two that act at once


async def test_of_two_who_approve_at_once_each_counts_once(database: Database, office: Office) -> None:
    good(await office.draft())

    async def approve(actor: str) -> object:
        async with connection(database.pool) as borrowed:
            return await actions.approve_version(borrowed, office.at, actor=actor, number=1)

    answers = await asyncio.gather(*(approve(actor) for actor in (ALICE, ALICE, BOB, BOB, CAROL)))
    assert len([one for one in answers if isinstance(one, Version)]) == 2
    [version] = (await store.list_versions(office.connection)).all
    assert len({approval.actor for approval in version.approvals}) == 2


async def test_of_two_who_propose_at_once_one_is_refused(database: Database, office: Office) -> None:
    async def draft() -> object:
        async with connection(database.pool) as borrowed:
            return await actions.draft_plan(borrowed, office.at, actor=ALICE, text=TEXT)

    answers = await asyncio.gather(*(draft() for _ in range(4)))
    assert len([one for one in answers if isinstance(one, Version)]) == 1
    assert answers.count(OrderRefusal.ANOTHER_AWAITS) == 3


# The whole life


async def test_an_order_lives_through_a_stay_its_lifting_an_extension_and_an_early_cut(
    office: Office,
) -> None:
    await office.start_order()
    assert await office.closed() == UNDER_NO_ORDER

    office.move_to("2022-01-10")
    assert await office.closed() == AFTER_SALES

    # A court stays what is left of it, and nobody knows for how long.
    office.move_to("2022-02-01")
    stayed = good(await office.stay("2022-02-02"))
    assert "stage 'service ends' moves from 2022-04-01 00:00:00 to no date" in stayed.diff
    assert await office.dates() == ["2022-01-10", "2022-04-01", "2022-09-01"]  # until two have approved
    await office.agree(stayed)
    assert await office.dates() == ["2022-01-10", None, None]
    office.move_to("2022-05-01")
    assert await office.closed() == AFTER_SALES

    # It is lifted after a hundred days: what was left is left.
    lifted = good(await office.lift("2022-05-13"))
    assert "stage 'service ends' moves from no date to 2022-07-10 00:00:00" in lifted.diff
    await office.agree(lifted)
    assert await office.dates() == ["2022-01-10", "2022-07-10", "2022-12-10"]
    office.move_to("2022-06-01")
    assert await office.lift("2022-06-02") is OrderRefusal.NO_OPEN_STAY

    # The order is extended by a month.
    await office.agree(await office.extend(31))
    assert await office.dates() == ["2022-01-10", "2022-08-10", "2023-01-10"]

    # The host operator cuts data in three days, and subscribers were told yesterday: too late, and it comes.
    cut = HostCut(local("2022-06-04T06:00"), frozenset({C.DATA}), local("2022-05-31").date())
    await office.agree(await office.amend(cut))
    [alarm] = (await office.status()).alarms
    assert "is the last day to tell them" in alarm
    office.move_to("2022-06-04T05:59:59")
    assert await office.closed() == AFTER_SALES
    office.move_to("2022-06-04T06:00")
    assert await office.closed() == {*AFTER_SALES, C.DATA}

    office.move_to("2022-08-09T23:59:59")
    assert await office.closed() == {*AFTER_SALES, C.DATA}
    office.move_to("2022-08-10")
    assert await office.closed() == AFTER_SERVICE
    office.move_to("2023-01-10")
    assert await office.closed() == AFTER_SERVICE - {C.PURGE}
    assert await office.extend(1) is AmendmentRefusal.NOTHING_TO_MOVE
    versions = (await office.status()).versions
    assert [version.kind for version in versions.all] == [
        "draft",
        "stay",
        "lifting",
        "amendment",
        "amendment",
    ]
    assert [versions.state_of(version) for version in versions.all] == [
        *[VersionState.SUPERSEDED] * 4,
        VersionState.IN_FORCE,
    ]


async def test_an_extension_that_waits_for_approval_until_its_stage_has_come_is_refused(
    office: Office,
) -> None:
    await office.start_order()
    good(await office.extend(30))
    good(await office.approve(2, ALICE))
    office.move_to("2022-01-10")
    late = await office.approve(2, BOB)
    assert isinstance(late, ChangesThePast)
    assert late.reasons == ("stage 'sales end' came at 2022-01-10 00:00:00, and can no longer be changed",)
    [alarm] = (await office.status()).alarms
    assert alarm.startswith("version 2 can no longer be approved: stage 'sales end' came")
    assert await office.closed() == AFTER_SALES
    good(await office.withdraw(2))
    assert (await office.status()).alarms == ()
    assert good(await office.extend(30)).number == 3


async def test_a_plan_that_takes_back_what_has_come_is_not_even_proposed(office: Office) -> None:
    await office.start_order()
    office.move_to("2022-01-11")
    reopened = replace(SALES_END, closes=frozenset({C.TOP_UP}))
    stages = (reopened, *PLAN.stages[1:])
    text = write_plan(PlanFile(replace(PLAN, version=2, stages=stages), ()))
    answer = await actions.amend_plan(office.connection, office.at, actor=ALICE, text=text)
    assert isinstance(answer, ChangesThePast)


async def test_a_stay_of_a_part_leaves_the_other_stages_their_dates(office: Office) -> None:
    await office.start_order()
    stay = Stay(local("2021-12-15"), None, frozenset({"sales end"}))
    proposed = await actions.stay_order(office.connection, office.at, actor=ALICE, stay=stay)
    await office.agree(proposed)
    # What cannot be undone waits for the end of every stay.
    status = await office.status()
    assert [(one.stage.name, one.at is None) for one in status.stages] == [
        ("service ends", False),
        ("sales end", True),
        ("purge", True),
    ]
    assert status.next_stage == status.stages[0]


async def test_what_makes_no_sense_is_refused_or_named(office: Office) -> None:
    await office.start_order()
    stay = Stay(local("2021-12-15"), None, frozenset({"no such"}))
    with pytest.raises(BadTable, match="there is no stage 'no such'"):
        await actions.stay_order(office.connection, office.at, actor=ALICE, stay=stay)
    with pytest.raises(BadTable, match="does not come exactly once"):
        await office.stay("2022-03-13T02:30")
    assert await office.extend(7, "no such") is AmendmentRefusal.UNKNOWN_STAGE
    assert (await office.status()).versions.next_number == 2


async def test_every_version_is_read_as_what_its_amendment_made(office: Office) -> None:
    await office.start_order()
    await office.agree(await office.stay("2021-12-10", "2021-12-20"))
    text = await store.get_text(office.connection, 2)
    file = await store.load_in_force(office.connection)
    assert read_plan(text) == file
    assert file == PlanFile(replace(PLAN, version=2), (Stay(local("2021-12-10"), local("2021-12-20")),))
