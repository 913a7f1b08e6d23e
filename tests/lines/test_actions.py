"""Applications, lines and numbers on the real database, also when several act at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from onecard.audit import list_records
from onecard.cards.model import Card
from onecard.database.pool import Connection, Database, transaction
from onecard.lines import store
from onecard.lines.actions import (
    allow_sender,
    apply_for_line,
    ask_to_end_line,
    bar_line,
    block_sender,
    confirm_end_of_line,
    decide_on_application,
    disallow_sender,
    import_numbers,
    refuse_expired_applications,
    release_numbers,
    set_schedule,
    switch_line,
    unblock_sender,
)
from onecard.lines.model import (
    Application,
    ApplicationState,
    Line,
    LineLimits,
    LineRefusal,
    NumberState,
    Usage,
    Verification,
)
from onecard.lines.rules import BadListEntry, parse_schedule
from onecard.values.gate import NO_ORDER, Capability, Closed, Gates
from onecard.values.phone import E164
from onecard.values.table import BadTable
from orders import closing
from shop import AT, CA, CN, STAFF, numbers, open_shop, sell

LIMITS = LineLimits()
VANCOUVER = ZoneInfo("America/Vancouver")
HOME = "link:cn-home"


async def apply(
    connection: Connection,
    card: Card,
    at: datetime = AT,
    *,
    wanted: str | None = None,
    limits: LineLimits = LIMITS,
    gates: Gates = NO_ORDER,
) -> Application | LineRefusal | Closed:
    return await apply_for_line(
        connection,
        at,
        actor=STAFF,
        gates=gates,
        part=card.part,
        card_id=card.id,
        country=CN,
        wanted=E164(wanted) if wanted else None,
        limits=limits,
        operator_time_zone=VANCOUVER,
    )


async def applied(connection: Connection, card: Card, at: datetime = AT) -> Application:
    application = await apply(connection, card, at)
    assert isinstance(application, Application), application
    return application


async def decide(
    connection: Connection,
    application: Application,
    verification: Verification = Verification.MATCH,
    at: datetime = AT,
    gates: Gates = NO_ORDER,
) -> Application | LineRefusal | Closed:
    return await decide_on_application(
        connection,
        at,
        actor=HOME,
        gates=gates,
        part=application.part,
        application_id=application.id,
        verification=verification,
    )


async def lines_of(connection: Connection, card: Card) -> tuple[Line, ...]:
    return await store.list_lines(connection, card.part, card.id)


async def secondary(connection: Connection, card: Card) -> Line:
    application = await applied(connection, card)
    await decide(connection, application)
    line = await store.find_line_of_number(connection, application.msisdn)
    assert line is not None
    return line


async def test_a_matching_application_becomes_a_line(database: Database) -> None:
    async with transaction(database.pool) as connection:
        await open_shop(connection)
        card = await sell(connection)
        application = await applied(connection, card)
        reserved = await store.find_number(connection, application.msisdn)
        decided = await decide(connection, application)
        entry = await store.find_card_with_lines(connection, application.msisdn)
        records = await list_records(connection, f"application:{application.id}")
    assert reserved is not None
    assert (reserved.state, reserved.until, reserved.card_id) == (
        NumberState.RESERVED,
        AT + timedelta(days=7),
        card.id,
    )
    assert isinstance(decided, Application)
    assert (decided.state, decided.reason, decided.decided_by) == (ApplicationState.APPROVED, None, HOME)
    assert entry is not None
    assert [(line.slot, line.country, line.time_zone) for line in entry.lines] == [
        (0, CA, "America/Vancouver"),
        (1, CN, "Asia/Shanghai"),
    ]
    assert [(record.actor, record.action) for record in records] == [
        (HOME, "decide_on_application"),
        (STAFF, "apply_for_line"),
    ]


@pytest.mark.parametrize(
    "outcome", [Verification.MISMATCH, Verification.FIVE_NUMBER_LIMIT, Verification.TIME_OUT]
)
async def test_any_other_outcome_refuses_and_frees_the_number(
    database: Database, outcome: Verification
) -> None:
    async with transaction(database.pool) as connection:
        await open_shop(connection)
        card = await sell(connection)
        application = await applied(connection, card)
        decided = await decide(connection, application, outcome)
        number = await store.find_number(connection, application.msisdn)
        assert len(await lines_of(connection, card)) == 1
    assert isinstance(decided, Application)
    assert (decided.state, decided.reason) == (ApplicationState.REFUSED, outcome.value)
    assert number is not None
    assert (number.state, number.until, number.card_id) == (NumberState.FREE, None, None)


async def test_an_application_is_decided_once_also_by_two_at_once(database: Database) -> None:
    async with transaction(database.pool) as connection:
        await open_shop(connection)
        card = await sell(connection)
        application = await applied(connection, card)

    async def approve() -> Application | LineRefusal | Closed:
        async with transaction(database.pool) as connection:
            return await decide(connection, application)

    outcomes = await asyncio.gather(*(approve() for _ in range(4)))
    assert outcomes.count(LineRefusal.ALREADY_DECIDED) == 3
    async with transaction(database.pool) as connection:
        assert len(await lines_of(connection, card)) == 2


async def test_an_outcome_that_comes_too_late_is_a_time_out(database: Database) -> None:
    async with transaction(database.pool) as connection:
        await open_shop(connection)
        application = await applied(connection, await sell(connection))
        late = await decide(connection, application, at=AT + timedelta(days=7))
    assert isinstance(late, Application)
    assert late.reason == "time_out"


async def test_the_job_refuses_what_nobody_answered(database: Database) -> None:
    async with transaction(database.pool) as connection:
        await open_shop(connection)
        card = await sell(connection)
        old, new = await applied(connection, card), await applied(connection, card, AT + timedelta(days=1))
        at = AT + timedelta(days=7)
        assert await refuse_expired_applications(connection, at, actor="onecard") == 1
        assert await refuse_expired_applications(connection, at, actor="onecard") == 0
        refused = await store.find_application(connection, card.part, old.id)
        assert await store.list_open_applications(connection) == (new,)
        assert await store.find_part_of_application(connection, old.id) == card.part
    assert refused is not None
    assert (refused.reason, refused.decided_by) == ("time_out", "onecard")


async def test_a_wanted_number_goes_to_whoever_applies_first(database: Database) -> None:
    async with transaction(database.pool) as connection:
        await open_shop(connection)
        cards = [await sell(connection) for _ in range(4)]
        wanted = (await store.offer_numbers(connection, CN, 3))[2]

    async def want(card: Card) -> Application | LineRefusal | Closed:
        async with transaction(database.pool) as connection:
            return await apply(connection, card, wanted=wanted)

    outcomes = await asyncio.gather(*(want(card) for card in cards))
    assert sum(isinstance(outcome, Application) for outcome in outcomes) == 1
    assert outcomes.count(LineRefusal.NUMBER_NOT_FREE) == 3


async def test_the_month_limit_holds_for_applications_at_once(database: Database) -> None:
    async with transaction(database.pool) as connection:
        await open_shop(connection)
        card = await sell(connection)
    limits = LineLimits(secondaries_most=9)

    async def one() -> Application | LineRefusal | Closed:
        async with transaction(database.pool) as connection:
            return await apply(connection, card, limits=limits)

    outcomes = await asyncio.gather(*(one() for _ in range(6)))
    assert outcomes.count(LineRefusal.TOO_MANY_APPLICATIONS) == 3
    assert len({o.msisdn for o in outcomes if isinstance(o, Application)}) == 3


async def test_the_month_begins_at_the_operators_midnight(database: Database) -> None:
    midnight = datetime(2026, 4, 1, tzinfo=VANCOUVER)
    async with transaction(database.pool) as connection:
        await open_shop(connection)
        card = await sell(connection)
        for _ in range(3):
            await decide(connection, await applied(connection, card), Verification.MISMATCH)
        before = await apply(connection, card, midnight - timedelta(seconds=1))
        after = await apply(connection, card, midnight)
    assert before is LineRefusal.TOO_MANY_APPLICATIONS
    assert isinstance(after, Application)


async def test_an_empty_pool_refuses(database: Database) -> None:
    async with transaction(database.pool) as connection:
        await open_shop(connection, chinese=0)
        card = await sell(connection)
        assert await apply(connection, card) is LineRefusal.NO_NUMBER_FREE
        assert await apply(connection, card, wanted="+16045550103") is LineRefusal.NUMBER_NOT_FREE


async def test_a_line_is_ended_by_asking_and_confirming(database: Database) -> None:
    async with transaction(database.pool) as connection:
        await open_shop(connection)
        card = await sell(connection)
        first, second = await secondary(connection, card), await secondary(connection, card)
        place: dict[str, Any] = {"actor": STAFF, "part": first.part, "line_id": first.id, "limits": LIMITS}
        assert await confirm_end_of_line(connection, AT, **place) is LineRefusal.NOT_ENDING
        asked = await ask_to_end_line(connection, AT, **place)
        late = await confirm_end_of_line(connection, AT + timedelta(minutes=31), **place)
        ended = await confirm_end_of_line(connection, AT + timedelta(minutes=30), **place)
        again = await confirm_end_of_line(connection, AT + timedelta(minutes=30), **place)
        number = await store.find_number(connection, first.msisdn)
        assert [line.id for line in (await lines_of(connection, card))[1:]] == [second.id]
        third = await secondary(connection, card)
    assert isinstance(asked, Line)
    assert asked.ending_until == AT + timedelta(minutes=30)
    assert late is LineRefusal.CONFIRMATION_TOO_LATE
    assert isinstance(ended, Line)
    assert again is LineRefusal.UNKNOWN_LINE
    assert number is not None
    assert (number.state, number.until) == (NumberState.QUARANTINED, AT + timedelta(days=90, minutes=30))
    assert (second.slot, third.slot) == (2, 1)


async def test_the_primary_line_cannot_be_ended_alone(database: Database) -> None:
    async with transaction(database.pool) as connection:
        await open_shop(connection)
        (primary,) = await lines_of(connection, await sell(connection))
        outcome = await ask_to_end_line(
            connection, AT, actor=STAFF, part=primary.part, line_id=primary.id, limits=LIMITS
        )
    assert outcome is LineRefusal.PRIMARY_LINE


async def test_a_quarantined_number_is_free_again_after_its_time(database: Database) -> None:
    async with transaction(database.pool) as connection:
        await open_shop(connection, chinese=1)
        card = await sell(connection)
        line = await secondary(connection, card)
        place: dict[str, Any] = {"actor": STAFF, "part": line.part, "line_id": line.id, "limits": LIMITS}
        await ask_to_end_line(connection, AT, **place)
        await confirm_end_of_line(connection, AT, **place)
        assert await store.find_card_with_lines(connection, line.msisdn) is None
        assert await apply(connection, card, AT) is LineRefusal.NO_NUMBER_FREE
        over = AT + timedelta(days=90)
        assert await release_numbers(connection, over - timedelta(seconds=1), actor="onecard") == 0
        assert await release_numbers(connection, over, actor="onecard") == 1
        assert isinstance(await apply(connection, card, over), Application)


async def test_what_is_set_for_a_line_is_kept_recorded_and_told(database: Database) -> None:
    schedule = parse_schedule("mon-fri 08:00-24:00 texts; sat,sun 10:00-02:00")
    async with transaction(database.pool) as connection:
        await open_shop(connection)
        card = await sell(connection)
        line = await secondary(connection, card)
        place: dict[str, Any] = {"actor": "subscriber:7", "part": line.part, "line_id": line.id}
        await switch_line(connection, AT, on=False, **place)
        await bar_line(connection, AT, usage=Usage.TEXTS, barred=True, **place)
        await bar_line(connection, AT, usage=Usage.CALLS, barred=True, **place)
        await block_sender(connection, AT, entry="138 0013 8000", limits=LIMITS, **place)
        await allow_sender(connection, AT, entry="ICBC", limits=LIMITS, **place)
        last = await set_schedule(connection, AT, schedule=schedule, **place)
        found = await store.find_line(connection, line.part, line.id)
        records = await list_records(connection, f"line:{line.id}")
        changes = await connection.fetchval("SELECT count(*) FROM change WHERE key = $1", card.id)
    assert isinstance(last, Line)
    assert found == last
    assert (last.switched_on, last.bar_texts_in, last.bar_calls_in) == (False, True, True)
    assert (last.blocked, last.allowed, last.schedule) == (("+8613800138000",), ("icbc",), schedule)
    assert [record.action for record in reversed(records)] == [
        "switch_off", "bar_texts_in", "bar_calls_in", "block_sender", "allow_sender", "set_schedule",
    ]  # fmt: skip
    assert "13800138000" not in str(records)
    assert changes == 2 + 6  # sold, line made, then each change


async def test_what_changes_nothing_is_not_recorded(database: Database) -> None:
    async with transaction(database.pool) as connection:
        await open_shop(connection)
        (line,) = await lines_of(connection, await sell(connection))
        place: dict[str, Any] = {"actor": STAFF, "part": line.part, "line_id": line.id}
        assert await switch_line(connection, AT, on=True, **place) == line
        assert await unblock_sender(connection, AT, entry="ICBC", **place) == line
        assert await disallow_sender(connection, AT, entry="ICBC", **place) == line
        assert await list_records(connection, f"line:{line.id}") == ()


async def test_entries_leave_a_list_as_they_came(database: Database) -> None:
    async with transaction(database.pool) as connection:
        await open_shop(connection)
        (line,) = await lines_of(connection, await sell(connection))
        place: dict[str, Any] = {"actor": STAFF, "part": line.part, "line_id": line.id}
        await block_sender(connection, AT, entry="604-555-0177", limits=LIMITS, **place)
        assert await unblock_sender(connection, AT, entry="+16045550177", **place) == line
        await allow_sender(connection, AT, entry="+8610*", limits=LIMITS, **place)
        assert await disallow_sender(connection, AT, entry="+8610*", **place) == line


async def test_a_full_list_takes_no_more_and_nonsense_never(database: Database) -> None:
    limits = LineLimits(list_entries_most=2)
    async with transaction(database.pool) as connection:
        await open_shop(connection)
        (line,) = await lines_of(connection, await sell(connection))
        place: dict[str, Any] = {"actor": STAFF, "part": line.part, "line_id": line.id, "limits": limits}
        for entry in ("one", "two", "two"):
            assert isinstance(await block_sender(connection, AT, entry=entry, **place), Line)
        assert await block_sender(connection, AT, entry="three", **place) is LineRefusal.LIST_FULL
        with pytest.raises(BadListEntry):
            await block_sender(connection, AT, entry="+*", **place)


async def test_changes_of_one_line_at_once_are_all_kept(database: Database) -> None:
    async with transaction(database.pool) as connection:
        await open_shop(connection)
        (line,) = await lines_of(connection, await sell(connection))

    async def block(entry: str) -> None:
        async with transaction(database.pool) as connection:
            await block_sender(
                connection, AT, actor=STAFF, part=line.part, line_id=line.id, entry=entry, limits=LIMITS
            )

    entries = [f"sender{n}" for n in range(8)]
    await asyncio.gather(*(block(entry) for entry in entries))
    async with transaction(database.pool) as connection:
        found = await store.find_line(connection, line.part, line.id)
    assert found is not None
    assert sorted(found.blocked) == entries


@pytest.mark.parametrize(
    ("rows", "places"),
    [
        (["+16045550100,CN", "+16045550101,CA"], ["line 2"]),
        (["12,", "+16045550101,XX", "hello,CA"], ["line 2", "line 3", "line 4"]),
        (["+16045550101,CA", "16045550101,", "+1 604 555 0101,CA"], ["line 3", "line 4"]),
    ],
)
async def test_every_bad_number_of_a_file_is_named(
    database: Database, rows: Sequence[str], places: list[str]
) -> None:
    csv = ["msisdn,country\n", *(f"{row}\n" for row in rows)]
    with pytest.raises(BadTable) as bad:
        async with transaction(database.pool) as connection:
            await import_numbers(connection, AT, actor=STAFF, lines=csv)
    assert [problem.place for problem in bad.value.problems] == places
    async with transaction(database.pool) as connection:
        assert await store.list_numbers(connection) == ()


async def test_numbers_are_listed_by_country_and_state(database: Database) -> None:
    async with transaction(database.pool) as connection:
        await import_numbers(connection, AT, actor=STAFF, lines=numbers(canadian=3, chinese=2))
        listed = await store.list_numbers(connection, country=CA, state=NumberState.FREE, most=2)
        rest = await store.list_numbers(connection, country=CA, after=listed[-1].msisdn)
        assert await store.list_numbers(connection, state=NumberState.ASSIGNED) == ()
    assert [number.msisdn for number in (*listed, *rest)] == [f"+160455501{n:02d}" for n in range(3)]


@pytest.mark.parametrize("closed", [Capability.NEW_APPLICATION, Capability.SECONDARY_LINES])
async def test_nothing_is_applied_for_when_an_order_has_closed_it(
    database: Database, closed: Capability
) -> None:
    async with transaction(database.pool) as connection:
        await open_shop(connection)
        card = await sell(connection)
        gates = closing(closed)
        assert await apply(connection, card, gates=gates) == gates.closed[closed]


async def test_what_was_applied_for_in_time_is_decided_until_secondary_lines_end(database: Database) -> None:
    async with transaction(database.pool) as connection:
        await open_shop(connection)
        card = await sell(connection)
        first, second = await applied(connection, card), await applied(connection, card)
        approved = await decide(connection, first, gates=closing(Capability.NEW_APPLICATION))
        ended = closing(Capability.SECONDARY_LINES)
        late = await decide(connection, second, gates=ended)
        refused = await decide(connection, second, Verification.MISMATCH, gates=ended)
    assert isinstance(approved, Application)
    assert late == ended.closed[Capability.SECONDARY_LINES]
    assert isinstance(refused, Application)
    assert refused.state is ApplicationState.REFUSED
