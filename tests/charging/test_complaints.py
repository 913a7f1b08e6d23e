"""What users of other charging systems suffer from: each complaint is a test of its name."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest

import shop
from charging.desk import Desk, open_desk, run_other
from crash.wire import Wire, rewired
from onecard.catalogue.model import Rate, UsageKind
from onecard.charging.model import Answer, Ask, Operation, Result
from onecard.database.pool import Database, open_pool, transaction
from onecard.values.hours import parse_hours

INITIAL, UPDATE, TERMINATE = Operation.INITIAL, Operation.UPDATE, Operation.TERMINATE
DEBIT, REFUND, PRICE, BALANCE = Operation.DEBIT, Operation.REFUND, Operation.PRICE, Operation.BALANCE
DATA, TEXT = UsageKind.DATA, UsageKind.TEXT


@asynccontextmanager
async def lock_part(desk: Desk) -> AsyncIterator[None]:
    """Let nobody write to the part of the card."""
    async with transaction(desk.database.pool) as borrowed:
        await borrowed.execute("SELECT pg_advisory_xact_lock(1818584167, $1)", desk.card.part)
        yield


async def test_concurrent_reservations_exceed_the_balance(database: Database) -> None:
    async with open_desk(database) as desk, run_other(desk) as other:
        asked = [(desk, other)[place % 2].say(f"s{place}", 0, INITIAL, Ask(wanted=90)) for place in range(30)]
        answers = await asyncio.gather(*asked)
        granted = sum(grant.units for answer in answers for grant in answer.grants)
        available, held = await desk.balance()
        assert granted * 1000 == held == 1_000_000 - available
        assert available < 60_000  # less than the first minute of a call
        assert {answer.result for answer in answers} == {Result.SUCCESS, Result.CREDIT_EXHAUSTED}
        await desk.proved()


async def test_many_updates_at_once_on_two_nodes_keep_to_the_balance(database: Database) -> None:
    async with open_desk(database) as desk, run_other(desk) as other:
        desks = (desk, other)
        for place in range(20):
            await desks[place % 2].say(f"s{place}", 0, INITIAL, Ask(wanted=60))
        for number in range(1, 6):
            asked = [
                desks[(place + number) % 2].say(f"s{place}", number, UPDATE, Ask(used=10, wanted=60))
                for place in range(16)
            ]
            answers = await asyncio.gather(*asked)
            assert {answer.result for answer in answers} == {Result.SUCCESS}
        available, held = await desk.balance()
        await asyncio.gather(*(desk.say(f"s{place}", 9, TERMINATE) for place in range(16)))
        paid = sum(record["price_micros"] for record in await desk.records())
        assert await desk.balance() == (1_000_000 - paid, 0)
        assert min(available, held) >= 0
        await desk.proved()


async def test_a_repeated_request_charges_twice(database: Database) -> None:
    async with open_desk(database) as desk:
        await desk.call("s1", 0, INITIAL, Ask(wanted=60))
        desk.clock.move(timedelta(seconds=60))
        answers = await asyncio.gather(
            *(desk.say("s1", 1, UPDATE, Ask(used=60, wanted=60)) for _ in range(5))
        )
        assert all(answer == answers[0] for answer in answers)
        ended = [await desk.say("s1", 2, TERMINATE, Ask(used=0)) for _ in range(3)]
        assert all(answer == ended[0] for answer in ended)
        assert await desk.balance() == (940_000, 0)
        assert len(await desk.records()) == 1
        await desk.proved()


async def test_a_request_repeated_to_another_node_charges_twice(database: Database) -> None:
    async with open_desk(database) as desk, run_other(desk) as other:
        for number, operation, used in ((0, INITIAL, 0), (1, UPDATE, 30), (2, TERMINATE, 30)):
            first = await desk.say("s1", number, operation, Ask(used=used, wanted=60))
            assert await other.say("s1", number, operation, Ask(used=used, wanted=60)) == first
        assert await desk.balance() == (940_000, 0)
        await desk.proved()


@pytest.mark.parametrize("operation", [INITIAL, DEBIT])
async def test_what_took_the_last_of_the_balance_is_refused_when_it_is_repeated_after_a_crash(
    database: Database, operation: Operation
) -> None:
    async with open_desk(database, "0.05") as desk:
        first = await desk.say("e1", 0, operation, Ask(wanted=1), usage=TEXT)
        assert first.result is Result.SUCCESS
        async with run_other(desk) as other:
            assert await other.say("e1", 0, operation, Ask(wanted=1), usage=TEXT) == first
        await desk.proved()


async def test_the_end_before_the_answer_to_the_beginning_leaves_money_held(database: Database) -> None:
    """CCR-T before CCA-I."""
    async with open_desk(database) as desk:
        answers = await asyncio.gather(
            desk.say("s1", 0, INITIAL, Ask(wanted=300)), desk.say("s1", 1, TERMINATE, Ask())
        )
        assert [answer.result for answer in answers] == [Result.SUCCESS, Result.SUCCESS]
        assert await desk.balance() == (1_000_000, 0)
        await desk.proved()


async def test_requests_of_a_session_that_do_not_wait_for_each_other_are_lost(database: Database) -> None:
    async with open_desk(database) as desk:
        asked = [desk.say("s1", 0, INITIAL, Ask(wanted=60))]
        asked += [desk.say("s1", number, UPDATE, Ask(used=2, wanted=60)) for number in range(1, 20)]
        answers = await asyncio.gather(*asked, desk.say("s1", 20, TERMINATE, Ask(used=2)))
        assert {answer.result for answer in answers} == {Result.SUCCESS}
        [record] = await desk.records()
        assert (record["units"], await desk.balance()) == (40, (940_000, 0))


async def test_an_end_that_overtakes_the_beginning_leaves_money_held_for_good(database: Database) -> None:
    async with open_desk(database) as desk:
        assert await desk.say("s1", 1, TERMINATE) == Answer(Result.UNKNOWN_SESSION)
        await desk.call("s1", 0, INITIAL, Ask(wanted=300))
        desk.clock.move(timedelta(hours=2))
        assert await desk.control.expire() == 1
        assert await desk.balance() == (1_000_000, 0)


async def test_a_restart_in_mid_session_loses_or_doubles_the_hold(database: Database) -> None:
    async with open_desk(database) as desk:
        await desk.call("s1", 0, INITIAL, Ask(wanted=300))
        desk.clock.move(timedelta(seconds=300))
        async with run_other(desk) as restarted:
            assert await restarted.call("s1", 1, UPDATE, Ask(used=300, wanted=300)) == [(300, False)]
            assert await desk.balance() == (400_000, 300_000)
        desk.clock.move(timedelta(seconds=100))
        async with run_other(desk) as again:
            await again.say("s1", 2, TERMINATE, Ask(used=100))
        assert await desk.balance() == (600_000, 0)
        await desk.proved()


async def test_a_node_that_was_overtaken_by_another_decides_anew(database: Database) -> None:
    async with open_desk(database) as desk, run_other(desk) as other:
        await desk.call("s1", 0, INITIAL, Ask(wanted=60))
        desk.clock.move(timedelta(seconds=120))
        await other.call("s1", 1, UPDATE, Ask(used=60, wanted=60))
        await desk.call("s1", 2, UPDATE, Ask(used=60, wanted=60))
        await other.say("s1", 3, TERMINATE, Ask())
        assert await other.say("s1", 2, UPDATE, Ask(used=60)) == Answer(Result.OUT_OF_ORDER)
        assert await desk.balance() == (880_000, 0)
        await desk.proved()


async def test_grants_do_not_shrink_with_the_balance(database: Database) -> None:
    async with open_desk(database, "0.25") as desk:
        grants = [await desk.call("s1", 0, INITIAL, Ask(wanted=100))]
        for number in (1, 2):
            desk.clock.move(timedelta(seconds=100))
            grants.append(await desk.call("s1", number, UPDATE, Ask(used=100, wanted=100)))
        assert grants == [[(100, False)], [(100, False)], [(50, True)]]
        desk.clock.move(timedelta(seconds=50))
        [grant] = (await desk.say("s1", 3, UPDATE, Ask(used=50, wanted=100))).grants
        assert (grant.result, grant.units) == (Result.CREDIT_EXHAUSTED, 0)


async def test_a_session_has_no_more_than_32_updates(database: Database) -> None:
    async with open_desk(database) as desk:
        await desk.call("s1", 0, INITIAL, Ask(wanted=1))
        for number in range(1, 101):
            desk.clock.move(timedelta(seconds=1))
            await desk.call("s1", number, UPDATE, Ask(used=1, wanted=1))
        await desk.say("s1", 101, TERMINATE)
        [record] = await desk.records()
        assert (record["units"], record["price_micros"]) == (100, 100_000)
        assert await desk.balance() == (900_000, 0)
        await desk.proved()


async def test_71_582_788_seconds_are_billed_on_out_of_credit(database: Database) -> None:
    async with open_desk(database, "0.10") as desk:
        await desk.call("s1", 0, INITIAL, Ask(wanted=300))
        desk.clock.move(timedelta(seconds=100))
        await desk.say("s1", 1, TERMINATE, Ask(used=71_582_788))
        [record] = await desk.records()
        assert (record["units"], record["price_micros"], record["unpaid_micros"]) == (160, 100_000, 60_000)
        assert await desk.balance() == (0, 0)
        await desk.proved()


async def test_one_absurd_report_spoils_the_batch_of_the_others(database: Database) -> None:
    async with open_desk(database) as desk:
        await desk.say("d1", 0, INITIAL, Ask(wanted=1000), usage=DATA)
        await desk.call("s1", 0, INITIAL, Ask(wanted=60))
        absurd = [
            desk.say("d1", 1, UPDATE, Ask(used=2**64 - 1, wanted=1000), usage=DATA),
            desk.say("zero\0", 0, INITIAL, Ask(wanted=60)),
            desk.say("long" * 10_000, 0, INITIAL, Ask(wanted=60)),
            desk.say("r1", 0, REFUND, Ask(wanted=2**62), usage=TEXT),
            desk.say("c1", 0, INITIAL, Ask(), usage=UsageKind.CALL_IN, far="\0\0\0\0\0\0\0\0\0\0\0"),
        ]
        answers = await asyncio.gather(*absurd, desk.say("s1", 1, UPDATE, Ask(used=1, wanted=60)))
        assert answers[-1].result is Result.SUCCESS
        assert [answer.result for answer in answers[1:4]] == [Result.BAD_REQUEST] * 3
        assert (await desk.say("c1", 1, TERMINATE, Ask(used=1))).result is Result.SUCCESS
        await desk.proved()


async def test_units_are_added_in_place_of_taken(database: Database) -> None:
    async with open_desk(database) as desk:
        seen = [(await desk.balance())[0]]
        for number in range(3):
            await desk.say(f"e{number}", 0, DEBIT, Ask(wanted=1), usage=TEXT)
            seen.append((await desk.balance())[0])
        await desk.call("s1", 0, INITIAL, Ask(wanted=60))
        desk.clock.move(timedelta(seconds=60))
        await desk.say("s1", 1, TERMINATE, Ask(used=60))
        seen.append((await desk.balance())[0])
        assert seen == [1_000_000, 950_000, 900_000, 850_000, 790_000]


async def test_a_service_named_twice_in_a_request_is_granted_twice_and_held_once(database: Database) -> None:
    async with open_desk(database) as desk:
        twice = (Ask(1, wanted=1_000_000), Ask(1, wanted=1_000_000))
        answer = await desk.say("d1", 0, INITIAL, *twice, usage=DATA)
        assert [grant.units for grant in answer.grants] == [2_000_000]
        assert await desk.balance() == (980_000, 20_000)
        await desk.say("d1", 1, TERMINATE, Ask(1, used=500_000), Ask(1, used=500_000), usage=DATA)
        assert await desk.balance() == (990_000, 0)


# ---- what goes on in sessions


async def test_a_final_unit_goes_on_after_a_top_up(database: Database) -> None:
    async with open_desk(database, "0.10") as desk:
        assert await desk.call("s1", 0, INITIAL, Ask(wanted=300)) == [(100, True)]
        await desk.top_up("1.00")
        desk.control.forget_account(desk.card.account_id)
        assert desk.control.open_sessions(desk.card.account_id) == ("s1",)
        desk.clock.move(timedelta(seconds=50))
        assert await desk.call("s1", 1, UPDATE, Ask(used=50, wanted=300)) == [(300, False)]
        await desk.say("s1", 2, TERMINATE, Ask(used=0))
        assert desk.control.open_sessions(desk.card.account_id) == ()
        await desk.proved()


async def test_a_top_up_that_a_node_has_not_heard_of_counts_all_the_same(database: Database) -> None:
    async with open_desk(database, "0.10") as desk:
        assert await desk.call("s1", 0, INITIAL, Ask(wanted=300)) == [(100, True)]
        await desk.top_up("1.00")
        assert await desk.call("s2", 0, INITIAL, Ask(wanted=300)) == [(300, False)]


def priced_by_hours(usage: UsageKind, hours: str) -> tuple[Rate, ...]:
    """Cheap in these hours of Vancouver, ten times as much else."""
    return (
        Rate(usage, shop.CA, 1_000, 1, hours=(parse_hours(hours),)),
        Rate(usage, shop.CA, 10_000, 1),
    )


# The usage; the cheap hours; when it begins, and ten minutes later when the rate changes, by Greenwich.
CHANGES = [
    (
        "an hour of the clock",
        UsageKind.CALL_OUT,
        "daily 09:00-13:00",
        "2026-04-01 19:50Z",
        "2026-04-01 20:00Z",
    ),
    ("the hour left out", UsageKind.CALL_OUT, "daily 00:00-02:30", "2027-03-14 09:50Z", "2027-03-14 10:00Z"),
    ("the hour repeated", UsageKind.CALL_OUT, "daily 00:00-02:00", "2026-11-01 09:50Z", "2026-11-01 10:00Z"),
    ("data too", UsageKind.DATA, "daily 09:00-13:00", "2026-04-01 19:50Z", "2026-04-01 20:00Z"),
]


@pytest.mark.parametrize(
    ("usage", "hours", "begin", "change"), [each[1:] for each in CHANGES], ids=[each[0] for each in CHANGES]
)
async def test_a_change_of_rate_in_mid_session_is_announced_and_charged_apart(
    database: Database, usage: UsageKind, hours: str, begin: str, change: str
) -> None:
    async with open_desk(database, "9.00", priced_by_hours(usage, hours)) as desk:
        desk.clock.move_to(datetime.fromisoformat(begin))
        [grant] = (await desk.say("s1", 0, INITIAL, Ask(wanted=900), usage=usage)).grants
        assert grant.change_at == datetime.fromisoformat(change)
        assert grant.valid_seconds == 600
        desk.clock.move(timedelta(seconds=601))
        used = Ask(used=601, used_after_change=1, wanted=100)
        [grant] = (await desk.say("s1", 1, UPDATE, used, usage=usage)).grants
        assert grant.change_at != datetime.fromisoformat(change)
        await desk.say("s1", 2, TERMINATE, Ask(used=10), usage=usage)
        [record] = await desk.records()
        assert record["price_micros"] == 600 * 1_000 + 11 * 10_000
        assert [piece["units"] for piece in record["explanation"]["pieces"]] == [600, 11]
        await desk.proved()


async def test_abandoned_sessions_of_another_node_expire_once(database: Database) -> None:
    async with open_desk(database) as desk, run_other(desk) as other:
        for number in range(4):
            await desk.call(f"s{number}", 0, INITIAL, Ask(wanted=60))
        desk.clock.move(timedelta(hours=2))
        ended = await asyncio.gather(desk.control.expire(), other.control.expire())
        assert sum(ended) == 4
        assert await desk.balance() == (1_000_000, 0)
        assert {record["cause"] for record in await desk.records()} == {"expired"}
        await desk.proved()


async def test_a_session_that_comes_back_while_it_is_expiring_goes_on(database: Database) -> None:
    async with open_desk(database) as desk:
        await desk.call("s1", 0, INITIAL, Ask(wanted=60))
        desk.clock.move(timedelta(hours=2))
        async with lock_part(desk):
            update = asyncio.create_task(desk.say("s1", 1, UPDATE, Ask(used=60, wanted=60)))
            expiry = asyncio.create_task(desk.control.expire())
            await asyncio.sleep(0.2)  # both are under way: the session is listed, the update not written yet
        assert ((await update).result, await expiry) == (Result.SUCCESS, 0)
        assert await desk.balance() == (880_000, 60_000)


async def test_a_session_that_cannot_be_opened_any_more_keeps_others_from_expiring(
    database: Database,
) -> None:
    async with open_desk(database) as desk:
        await desk.call("s1", 0, INITIAL, Ask(wanted=60))
        async with transaction(desk.database.pool) as borrowed:
            await borrowed.execute("DELETE FROM body_key")  # as those are that are long out of use
        desk.clock.move(timedelta(days=1))
        await desk.call("s2", 0, INITIAL, Ask(wanted=60))
        desk.clock.move(timedelta(hours=2))
        async with run_other(desk) as restarted:
            assert await restarted.control.expire() == 1
        assert await desk.balance() == (940_000, 60_000)


async def test_one_time_events_say_what_they_cost_and_are_taken_once(database: Database) -> None:
    async with open_desk(database, "0.12") as desk:

        async def event(name: str, operation: Operation, units: int) -> Answer:
            return await desk.say(name, 0, operation, Ask(wanted=units), usage=TEXT)

        assert (await event("p1", PRICE, 3)).cost_micros == 150_000
        assert [(await event(f"b{n}", BALANCE, n)).can_pay for n in (1, 2, 3)] == [True, True, False]
        assert (await event("e1", DEBIT, 3)).result is Result.CREDIT_EXHAUSTED
        first = await event("e2", DEBIT, 2)
        assert await event("e2", DEBIT, 2) == first
        assert (first.cost_micros, await desk.balance()) == (100_000, (20_000, 0))
        back = await event("r1", REFUND, 2)
        assert await event("r1", REFUND, 2) == back
        assert (back.cost_micros, await desk.balance()) == (-100_000, (120_000, 0))
        await desk.proved()


async def test_who_is_not_ours_is_not_charged(database: Database) -> None:
    async with open_desk(database) as desk:
        stranger = desk.primary[:-2] + "99"
        answer = await desk.say("s1", 0, INITIAL, Ask(), msisdn=stranger)
        assert answer == Answer(Result.UNKNOWN_SUBSCRIBER)
        assert await desk.say("s2", 0, INITIAL, Ask(), msisdn=None) == Answer(Result.UNKNOWN_SUBSCRIBER)


@asynccontextmanager
async def open_wired_desk(database: Database) -> AsyncIterator[tuple[Desk, Wire]]:
    """A desk whose only way to its database is a wire."""
    with tempfile.TemporaryDirectory(prefix="onecard-wire-") as name:
        server, dsn = rewired(database.dsn, Path(name))
        wire = Wire(server, Path(name))
        async with wire.open(), open_pool(dsn) as pool, open_desk(Database(pool, dsn, None)) as desk:
            yield desk, wire


@pytest.mark.parametrize("operation", [INITIAL, UPDATE, TERMINATE, DEBIT])
async def test_a_request_whose_commit_was_lost_from_sight_is_done_twice(
    database: Database, operation: Operation
) -> None:
    async with open_wired_desk(database) as (desk, wire):
        if operation in (UPDATE, TERMINATE):
            await desk.call("session-1", 0, INITIAL, Ask(wanted=60))
        desk.clock.move(timedelta(seconds=60))
        used = 60 if operation in (UPDATE, TERMINATE) else 0
        await desk.call("before", 0, INITIAL, Ask(wanted=60))  # all that is remembered is remembered
        wire.cut_after(b"session-1")
        answer = await desk.say("session-1", 1, operation, Ask(used=used, wanted=60))
        assert wire.is_cut
        assert answer.result is Result.SUCCESS
        await desk.say("before", 1, TERMINATE)
        if operation in (INITIAL, UPDATE):
            await desk.say("session-1", 2, TERMINATE)
        assert await desk.balance() == (1_000_000 - (0 if operation is INITIAL else 60_000), 0)
        await desk.proved()


async def test_while_the_database_is_away_the_network_is_told_that_we_are_busy(database: Database) -> None:
    async with open_wired_desk(database) as (desk, wire), run_other(desk) as restarted:
        await desk.call("session-1", 0, INITIAL, Ask(wanted=60))
        desk.clock.move(timedelta(seconds=60))
        wire.cut_after(b"session-1")
        assert await restarted.say("session-1", 1, UPDATE, Ask(used=60, wanted=60)) == Answer(Result.BUSY)
        assert wire.is_cut
        assert await desk.balance() == (940_000, 60_000)
        assert await restarted.call("session-1", 1, UPDATE, Ask(used=60, wanted=60)) == [(60, False)]
        assert await desk.balance() == (880_000, 60_000)
        await desk.proved()
