"""The batches of texts on a real PostgreSQL: charged exactly once, over exactly once, claimed by one node."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from itertools import permutations, product
from typing import Any

import asyncpg
import pytest

from messages.texts import AT, LATER, make_acceptance, make_step
from onecard.database.batch import BatchWriter
from onecard.database.pool import Database, Pool, connection
from onecard.ledger.actions import check_ledger, find_account, open_account, top_up
from onecard.messages import store
from onecard.messages.model import Acceptance, Progress, ReceiptWish, TextState
from onecard.messages.store import (
    ID_BLOCK,
    MessageIds,
    StepWriter,
    accept_batch,
    claim_parked,
    claim_receipts,
    claim_texts,
    count_parked,
    delete_receipts,
    delete_traces,
    find_overdue,
    find_parked,
    find_trace,
    fold,
    list_traces,
    progress_batch,
    release,
    release_all,
    renew_lease,
    replace_body,
)
from onecard.values.money import Currency, Money

PART = 1
CAD = Currency("CAD")
PRICE = 100_000
WAITING, HANDED_OVER, DELIVERED, FAILED, EXPIRED, CANCELLED, UNKNOWN = TextState
INSUFFICIENT, CLOSED = 3, 4


@pytest.fixture
async def pool(database: Database) -> Pool:
    async with connection(database.pool) as borrowed:
        await borrowed.execute("INSERT INTO part VALUES (1), (2)")
    return database.pool


async def open_with(pool: Pool, micros: int) -> int:
    """An account with so much available."""
    async with connection(pool) as borrowed:
        account_id = await open_account(borrowed, PART, CAD, AT)
        if micros:
            await top_up(
                borrowed,
                AT,
                actor="staff:alice",
                part=PART,
                account_id=account_id,
                amount=Money(micros, CAD),
                event=f"top-up of {account_id}",
            )
    return account_id


async def balance(pool: Pool, account_id: int) -> int:
    async with connection(pool) as borrowed:
        account = await find_account(borrowed, PART, account_id)
    assert account is not None
    return account.available.micros


async def deliveries(pool: Pool) -> dict[int, asyncpg.Record]:
    async with connection(pool) as borrowed:
        return {row["id"]: row for row in await borrowed.fetch("SELECT * FROM delivery ORDER BY id")}


async def states(pool: Pool) -> dict[int, TextState]:
    async with connection(pool) as borrowed:
        rows = await borrowed.fetch("SELECT id, state FROM message ORDER BY id")
    return {row["id"]: TextState(row["state"]) for row in rows}


async def dump(pool: Pool) -> dict[str, Any]:
    """All that texts and money are, to compare."""
    async with connection(pool) as borrowed:
        return {
            table: await borrowed.fetch(f"SELECT * FROM {table} ORDER BY 1, 2")  # noqa: S608
            for table in ("message", "delivery", "account", "entry")
        }


async def proved(pool: Pool) -> None:
    async with connection(pool) as borrowed:
        report = await check_ledger(borrowed)
    assert not report.violations, report.violations


async def accept(pool: Pool, *rows: Acceptance) -> list[int]:
    return await accept_batch(pool, PART, rows)


async def step(pool: Pool, *steps: Progress) -> list[bool]:
    return await progress_batch(pool, PART, steps)


# Accepting


async def test_texts_that_cost_nothing_are_accepted_without_an_entry(pool: Pool) -> None:
    assert await accept(pool, make_acceptance(1), make_acceptance(2)) == [0, 0]
    assert await states(pool) == {1: WAITING, 2: WAITING}
    assert set(await deliveries(pool)) == {1, 2}
    assert not (await dump(pool))["entry"]


async def test_a_batch_of_free_paid_refused_and_unpayable_texts_answers_for_each(pool: Pool) -> None:
    rich, poor = await open_with(pool, 10 * PRICE), await open_with(pool, PRICE)
    nobody = 999_999
    rows = [
        make_acceptance(1),
        make_acceptance(2, rich, price_micros=2 * PRICE, segments=2),
        make_acceptance(3, poor, price_micros=PRICE),
        make_acceptance(4, poor, price_micros=PRICE),
        make_acceptance(5, nobody, price_micros=PRICE),
        make_acceptance(6),
        make_acceptance(7, rich, price_micros=PRICE),
    ]
    assert await accept(pool, *rows) == [0, 0, 0, INSUFFICIENT, CLOSED, 0, 0]
    assert set(await states(pool)) == set(await deliveries(pool)) == {1, 2, 3, 6, 7}
    assert await balance(pool, rich) == 7 * PRICE
    assert await balance(pool, poor) == 0
    await proved(pool)


async def test_the_whole_batch_can_be_refused(pool: Pool) -> None:
    poor = await open_with(pool, 0)
    rows = [make_acceptance(number, poor, price_micros=PRICE) for number in (1, 2)]
    assert await accept(pool, *rows) == [INSUFFICIENT, INSUFFICIENT]
    assert await states(pool) == {}
    assert await deliveries(pool) == {}


async def test_a_batch_sent_again_changes_nothing(pool: Pool) -> None:
    rich, poor = await open_with(pool, 10 * PRICE), await open_with(pool, PRICE)
    rows = [
        make_acceptance(1),
        make_acceptance(2, rich, price_micros=PRICE),
        make_acceptance(3, poor, price_micros=PRICE),
        make_acceptance(4, poor, price_micros=PRICE),
    ]
    assert await accept(pool, *rows) == [0, 0, 0, INSUFFICIENT]
    before = await dump(pool)
    assert await accept(pool, *rows) == [0, 1, 1, INSUFFICIENT]
    assert await dump(pool) == before


async def test_a_batch_sent_again_after_a_top_up_does_not_let_in_what_was_in_already_twice(
    pool: Pool,
) -> None:
    account = await open_with(pool, PRICE)
    rows = [make_acceptance(number, account, price_micros=PRICE) for number in (1, 2)]
    assert await accept(pool, *rows) == [0, INSUFFICIENT]
    async with connection(pool) as borrowed:
        await top_up(
            borrowed,
            AT,
            actor="staff:alice",
            part=PART,
            account_id=account,
            amount=Money(PRICE, CAD),
            event="another",
        )
    assert await accept(pool, *rows) == [1, 0]
    assert await balance(pool, account) == 0
    await proved(pool)


@pytest.mark.parametrize("price", [0, PRICE])
async def test_a_batch_sent_again_does_not_bring_back_what_was_delivered_meanwhile(
    pool: Pool, price: int
) -> None:
    """Another node may have claimed a parked text, and be done with it, before the commit was seen."""
    account = await open_with(pool, PRICE)
    row = make_acceptance(1, account, price_micros=price)
    await accept(pool, row)
    await step(pool, make_step(1, DELIVERED))
    assert await deliveries(pool) == {}
    before = await dump(pool)
    assert await accept(pool, row) in ([0], [1])
    assert await dump(pool) == before


async def test_charges_that_race_for_one_balance_never_overdraw_it(pool: Pool) -> None:
    account = await open_with(pool, 30 * PRICE)
    batches = [
        [make_acceptance(10 * batch + row, account, price_micros=PRICE) for row in range(10)]
        for batch in range(6)
    ]
    answers = await asyncio.gather(*(accept(pool, *rows) for rows in batches))
    accepted = sum(status == 0 for batch in answers for status in batch)
    assert accepted == 30
    assert await balance(pool, account) == 0
    assert len(await deliveries(pool)) == 30
    await proved(pool)


async def test_parts_do_not_see_each_other(pool: Pool) -> None:
    await accept(pool, make_acceptance(1))
    await accept_batch(pool, 2, [make_acceptance(1)])
    await step(pool, make_step(1, DELIVERED))
    async with connection(pool) as borrowed:
        for part, state in ((1, DELIVERED), (2, WAITING)):
            trace = await find_trace(borrowed, [part], 1)
            assert trace is not None
            assert trace.state is state


# The way of a text


async def test_the_sealed_body_is_gone_once_it_is_handed_over_and_the_row_at_the_end(pool: Pool) -> None:
    row = make_acceptance(1, receipt_wanted=ReceiptWish.ALWAYS, sealed_addresses=b"addresses")
    await accept(pool, row)
    assert (await deliveries(pool))[1]["sealed_body"] == b"sealed"
    await step(pool, make_step(1, WAITING, next_attempt_at=AT + timedelta(seconds=2)))
    assert (await deliveries(pool))[1]["sealed_body"] == b"sealed"
    await step(pool, make_step(1, HANDED_OVER, remote_id="a", handed_over_at=AT))
    assert (await deliveries(pool))[1]["sealed_body"] is None
    assert (await deliveries(pool))[1]["stage"] == 2
    await step(pool, make_step(1, DELIVERED))
    due = (await deliveries(pool))[1]
    assert (due["stage"], due["final_state"], due["sealed_addresses"]) == (3, DELIVERED, b"addresses")
    await store.forget_batch(pool, PART, [1])
    assert await deliveries(pool) == {}


FINAL = (DELIVERED, FAILED, EXPIRED, CANCELLED, UNKNOWN)
RETURNED = (FAILED, EXPIRED, CANCELLED)


@pytest.mark.parametrize("handed_over", [False, True])
async def test_a_receipt_is_due_when_the_sender_wants_it(pool: Pool, *, handed_over: bool) -> None:
    cases = dict(enumerate(product(ReceiptWish, FINAL), start=1))
    await accept(pool, *(make_acceptance(number, receipt_wanted=wish) for number, (wish, _) in cases.items()))
    if handed_over:
        await step(pool, *(make_step(number, HANDED_OVER, remote_id="a") for number in cases))
    await step(
        pool,
        *(make_step(number, state, error=21, receipt_node="one") for number, (_, state) in cases.items()),
    )
    rows = await deliveries(pool)
    for number, (wish, state) in cases.items():
        wanted = wish is ReceiptWish.ALWAYS or (wish is ReceiptWish.ON_FAILURE and state is not DELIVERED)
        assert (number in rows) == (wanted and state is not CANCELLED), (wish, state)
    for number, row in rows.items():
        assert (row["stage"], row["final_state"], row["error"], row["node"]) == (
            3,
            cases[number][1],
            21,
            "one",
        )
        assert row["sealed_body"] is None


@pytest.mark.parametrize("handed_over", [False, True])
async def test_a_charge_is_returned_exactly_once_when_the_text_did_not_arrive(
    pool: Pool, *, handed_over: bool
) -> None:
    accounts = {state: await open_with(pool, 5 * PRICE) for state in FINAL}
    await accept(
        pool,
        *(make_acceptance(state, account, price_micros=3 * PRICE) for state, account in accounts.items()),
    )
    if handed_over:
        await step(pool, *(make_step(state, HANDED_OVER, remote_id="a") for state in FINAL))
    for _ in range(3):
        await step(pool, *(make_step(state, state) for state in FINAL))
    for state, account in accounts.items():
        assert await balance(pool, account) == (5 * PRICE if state in RETURNED else 2 * PRICE), state
    await proved(pool)


@pytest.mark.parametrize("together", [False, True])
async def test_a_text_is_over_once_whatever_comes_after(pool: Pool, *, together: bool) -> None:
    """A receipt, an expiry and a cancellation may race: the first written wins, and only it is told of."""
    races = dict(enumerate(permutations(FINAL, 2), start=1))
    accounts = {number: await open_with(pool, PRICE) for number in races}
    await accept(pool, *(make_acceptance(number, accounts[number], price_micros=PRICE) for number in races))
    first = [make_step(number, state) for number, (state, _) in races.items()]
    second = [make_step(number, state, at=AT + timedelta(seconds=1)) for number, (_, state) in races.items()]
    if together:
        answers = await step(pool, *first, *second)
    else:
        answers = [*await step(pool, *first), *await step(pool, *second)]
    assert answers == [True] * len(first) + [False] * len(second)
    assert await states(pool) == {number: state for number, (state, _) in races.items()}
    for number, (state, _) in races.items():
        assert await balance(pool, accounts[number]) == (PRICE if state in RETURNED else 0), state
    await proved(pool)


async def test_one_receipt_that_comes_twice_at_once_is_told_of_once(pool: Pool) -> None:
    await accept(pool, make_acceptance(1), make_acceptance(2))
    steps = [make_step(1, DELIVERED), make_step(2, DELIVERED), make_step(1, DELIVERED)]
    assert await step(pool, *steps) == [True, True, False]


async def test_steps_sent_again_change_nothing_and_get_the_same_answer(pool: Pool) -> None:
    account = await open_with(pool, 9 * PRICE)
    rows = [
        make_acceptance(number, account, price_micros=PRICE, receipt_wanted=ReceiptWish.ALWAYS)
        for number in range(1, 7)
    ]
    await accept(pool, *rows)
    await step(pool, make_step(6, DELIVERED, at=AT - timedelta(seconds=1)))
    steps = [
        make_step(1, WAITING, next_attempt_at=AT + timedelta(seconds=2)),
        make_step(2, HANDED_OVER, remote_id="b"),
        make_step(3, DELIVERED),
        make_step(4, FAILED),
        make_step(5, EXPIRED),
        make_step(6, FAILED),
        make_step(7, DELIVERED),  # no such text
    ]
    answers = await step(pool, *steps)
    assert answers == [True, True, True, True, True, False, False]
    before = await dump(pool)
    assert await progress_batch(pool, PART, steps, again=True) == answers
    assert await dump(pool) == before
    assert await step(pool, *steps) == [True, True, *[False] * 5]  # by somebody else: over already
    assert await dump(pool) == before
    await proved(pool)


async def test_a_late_step_back_does_not_undo_that_another_node_handed_it_over(pool: Pool) -> None:
    """The first node lost its link, and its 'try again' is written after the second node was quicker."""
    await accept(pool, make_acceptance(1))
    await step(pool, make_step(1, HANDED_OVER, remote_id="b"))
    await step(pool, make_step(1, WAITING, next_attempt_at=AT))
    assert await states(pool) == {1: HANDED_OVER}
    assert (await deliveries(pool))[1]["stage"] == 2


async def test_a_refund_and_a_charge_of_one_account_in_flight_at_once_both_count(pool: Pool) -> None:
    account = await open_with(pool, 10 * PRICE)
    await accept(pool, *(make_acceptance(number, account, price_micros=PRICE) for number in range(1, 6)))
    await asyncio.gather(
        step(pool, *(make_step(number, FAILED) for number in range(1, 6))),
        accept(pool, *(make_acceptance(number, account, price_micros=PRICE) for number in range(6, 11))),
    )
    assert await balance(pool, account) == 5 * PRICE
    await proved(pool)


@pytest.mark.parametrize(
    ("steps", "folded"),
    [
        (
            [make_step(1, WAITING), make_step(1, HANDED_OVER, remote_id="a", attempts=2)],
            make_step(1, HANDED_OVER, remote_id="a", attempts=2),
        ),
        (
            [make_step(1, HANDED_OVER, remote_id="a", handed_over_at=AT, status=0), make_step(1, DELIVERED)],
            make_step(1, DELIVERED, remote_id="a", handed_over_at=AT, status=0),
        ),
        ([make_step(1, FAILED, error=8), make_step(1, DELIVERED)], make_step(1, FAILED, error=8)),
        (
            [make_step(1, HANDED_OVER, attempts=3), make_step(1, UNKNOWN, attempts=1)],
            make_step(1, UNKNOWN, attempts=3),
        ),
    ],
)
def test_steps_of_one_text_in_one_batch_are_folded_into_the_last_that_counts(
    steps: Sequence[Progress], folded: Progress
) -> None:
    assert fold(steps) == {1: folded}


async def test_steps_of_two_nodes_that_meet_in_opposite_orders_do_not_stop_each_other(pool: Pool) -> None:
    ids = list(range(1, 301))
    await accept(pool, *(make_acceptance(number, receipt_wanted=ReceiptWish.ALWAYS) for number in ids))
    again = AT + timedelta(seconds=2)
    there = [make_step(number, WAITING, next_attempt_at=again) for number in ids]
    await asyncio.gather(
        *(step(pool, *order) for order in (there, there[::-1]) * 8),
        *(release(pool, PART, ids[::-1], "one") for _ in range(4)),
    )
    assert set((await states(pool)).values()) == {WAITING}


BREAK_OFF = """
    SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity
     WHERE wait_event_type = 'Lock' AND query LIKE '%progress_messages%' AND datname = current_database()"""


async def test_a_step_that_the_server_broke_off_is_written_again(pool: Pool) -> None:
    await accept(pool, make_acceptance(1))
    writer = BatchWriter(StepWriter(pool, PART).write)
    async with connection(pool) as watching, connection(pool) as other, other.transaction():
        await other.execute("SELECT FROM message WHERE id = 1 FOR UPDATE")
        writing = writer.submit_nowait(make_step(1, DELIVERED))
        for _ in range(500):
            if await watching.fetchval(BREAK_OFF):
                break
            await asyncio.sleep(0.01)
    assert await asyncio.wait_for(writing, 10)
    await writer.close()
    assert await states(pool) == {1: DELIVERED}


# Claims


async def test_nodes_that_claim_at_once_share_what_waits_and_double_nothing(pool: Pool) -> None:
    nodes = ("one", "two", "three", "four")
    for node in nodes:
        await renew_lease(pool, node, LATER)
    await accept(pool, *(make_acceptance(number) for number in range(1, 201)))
    first = await asyncio.gather(*(claim_texts(pool, PART, "cn-home", node, AT, 60) for node in nodes))
    rest = [await claim_texts(pool, PART, "cn-home", node, AT, 60) for node in nodes]
    for node, rows in zip(nodes * 2, [*first, *rest], strict=True):
        assert all(row["node"] == node for row in rows)
    assert sorted(row["id"] for rows in (*first, *rest) for row in rows) == list(range(1, 201))


async def test_a_row_that_another_node_is_claiming_is_passed_over(database: Database, pool: Pool) -> None:
    await accept(pool, make_acceptance(1), make_acceptance(2))
    async with connection(pool) as other, other.transaction():
        await other.execute("SELECT FROM delivery WHERE id = 1 FOR UPDATE")
        claimed = await asyncio.wait_for(claim_texts(pool, PART, "cn-home", "one", AT, 10), 5)
    assert [row["id"] for row in claimed] == [2]


async def test_banks_are_claimed_first_however_many_wait(pool: Pool) -> None:
    await accept(
        pool,
        make_acceptance(1),
        make_acceptance(2),
        make_acceptance(3, application=True),
        make_acceptance(4, application=True),
    )
    claimed = await claim_texts(pool, PART, "cn-home", "one", AT, 3)
    assert [row["id"] for row in claimed] == [3, 4, 1]
    assert claimed[0]["sealed_body"] == b"sealed"


@pytest.mark.parametrize(
    ("lease", "is_claimed"), [(None, True), (timedelta(0), True), (timedelta(seconds=1), False)]
)
async def test_a_claim_lasts_as_long_as_the_lease_of_its_node(
    pool: Pool, lease: timedelta | None, *, is_claimed: bool
) -> None:
    await accept(pool, make_acceptance(1, node="one"))
    if lease is not None:
        await renew_lease(pool, "one", AT - timedelta(seconds=20))
        await renew_lease(pool, "one", AT + lease)
    assert bool(await claim_texts(pool, PART, "cn-home", "two", AT, 10)) == is_claimed
    assert not await claim_texts(pool, PART, "cn-home", "two", AT, 10)


async def test_only_what_waits_and_is_valid_is_claimed_for_its_link(pool: Pool) -> None:
    await accept(
        pool,
        make_acceptance(1),
        make_acceptance(2, next_link="host"),
        make_acceptance(3, expires_at=AT),
        make_acceptance(4, receipt_wanted=ReceiptWish.ALWAYS),
        make_acceptance(5),
    )
    await step(pool, make_step(4, DELIVERED), make_step(5, HANDED_OVER, remote_id="e"))
    assert [row["id"] for row in await claim_texts(pool, PART, "cn-home", "one", AT, 10)] == [1]
    assert [row["id"] for row in await claim_receipts(pool, PART, "host", "one", AT, 10)] == [4]
    assert not await claim_receipts(pool, PART, "cn-home", "one", AT, 10)


async def test_receipts_are_claimed_by_the_link_that_brought_the_text_the_oldest_first(pool: Pool) -> None:
    await renew_lease(pool, "one", LATER)
    await accept(pool, *(make_acceptance(number, receipt_wanted=ReceiptWish.ALWAYS) for number in (3, 1, 2)))
    await step(pool, *(make_step(number, FAILED) for number in (2, 3, 1)))
    assert [row["id"] for row in await claim_receipts(pool, PART, "host", "one", AT, 2)] == [1, 2]
    assert [row["id"] for row in await claim_receipts(pool, PART, "host", "two", AT, 2)] == [3]


async def test_a_claim_that_is_given_back_is_anybodys_again_but_not_another_nodes(pool: Pool) -> None:
    await accept(pool, *(make_acceptance(number) for number in (1, 2, 3)))
    await renew_lease(pool, "one", LATER)
    await claim_texts(pool, PART, "cn-home", "one", AT, 10)
    await release(pool, PART, [1, 2], "two")
    assert not await claim_texts(pool, PART, "cn-home", "two", AT, 10)
    await release(pool, PART, [1], "one")
    assert [row["id"] for row in await claim_texts(pool, PART, "cn-home", "two", AT, 10)] == [1]
    await release_all(pool, [1, 2], "one")
    assert [row["id"] for row in await claim_texts(pool, PART, "cn-home", "three", AT, 10)] == [1, 2, 3]


async def test_one_parked_text_is_claimed_by_one_only(pool: Pool) -> None:
    await accept(pool, make_acceptance(1))
    assert await find_parked(pool, PART, 1)
    claimed = await asyncio.gather(*(claim_parked(pool, PART, 1, node) for node in ("one", "two", "three")))
    assert sum(row is not None for row in claimed) == 1
    assert await find_parked(pool, PART, 1) is None


@pytest.mark.parametrize(
    ("holder", "node", "is_replaced"),
    [
        (None, None, True),
        ("one", "one", True),
        ("one", None, False),
        (None, "one", False),
        ("two", "one", False),
    ],
)
async def test_a_body_is_replaced_only_while_it_waits_where_it_was_found(
    pool: Pool, holder: str | None, node: str | None, *, is_replaced: bool
) -> None:
    await accept(pool, make_acceptance(1, node=holder))
    assert await replace_body(pool, PART, 1, b"another", node) == is_replaced
    assert (await deliveries(pool))[1]["sealed_body"] == (b"another" if is_replaced else b"sealed")
    await step(pool, make_step(1, HANDED_OVER, remote_id="a"))
    assert not await replace_body(pool, PART, 1, b"third", holder)


async def test_parked_texts_are_counted_by_link(pool: Pool) -> None:
    await accept(
        pool,
        make_acceptance(1),
        make_acceptance(2),
        make_acceptance(3, node="one"),
        make_acceptance(4, next_link="host"),
        make_acceptance(5),
    )
    await accept_batch(pool, 2, [make_acceptance(6)])
    await step(pool, make_step(5, HANDED_OVER, remote_id="a"))
    assert await count_parked(pool, [1, 2]) == {"cn-home": 3, "host": 1}


# What is over


HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("node", "handed_over", "hours", "is_overdue"),
    [
        (None, False, -1, False),
        (None, False, 0, True),
        ("one", False, 0, False),
        ("one", False, 1, True),
        (None, True, 0, False),
        ("one", True, 0, False),
        ("one", True, 1, True),
    ],
)
async def test_texts_that_nobody_ends_are_found_after_their_validity(
    pool: Pool, node: str | None, hours: int, *, handed_over: bool, is_overdue: bool
) -> None:
    await accept(pool, make_acceptance(1, node=node))
    if handed_over:
        await step(pool, make_step(1, HANDED_OVER, remote_id="a"))
    at = LATER + hours * HOUR
    assert bool(await find_overdue(pool, PART, at, at - HOUR, 10)) == is_overdue


async def test_a_receipt_that_waits_is_not_overdue(pool: Pool) -> None:
    await accept(pool, make_acceptance(1, receipt_wanted=ReceiptWish.ALWAYS))
    await step(pool, make_step(1, DELIVERED))
    assert not await find_overdue(pool, PART, LATER + 9 * HOUR, LATER + 8 * HOUR, 10)


async def test_traces_of_texts_that_are_over_are_deleted_by_their_age(pool: Pool) -> None:
    days = [AT + timedelta(days=day) for day in range(5)]
    for number, day in enumerate(days):
        await accept(pool, make_acceptance(number, accepted_at=day, receipt_wanted=ReceiptWish.ON_FAILURE))
    await step(
        pool, make_step(0, DELIVERED), make_step(1, FAILED), make_step(3, DELIVERED), make_step(4, DELIVERED)
    )
    async with connection(pool) as borrowed:
        assert await delete_traces(borrowed, PART, days[4]) == 2
    assert set(await states(pool)) == {1, 2, 4}  # 1 owes a receipt, 2 waits, 4 is younger


async def test_receipts_that_nobody_came_for_are_deleted_by_the_age_of_their_texts(pool: Pool) -> None:
    for number in (1, 2, 3):
        await accept(
            pool,
            make_acceptance(
                number, accepted_at=AT + timedelta(days=number), receipt_wanted=ReceiptWish.ALWAYS
            ),
        )
    await step(pool, make_step(1, DELIVERED), make_step(2, DELIVERED))
    async with connection(pool) as borrowed:
        await delete_receipts(borrowed, PART, AT + timedelta(days=2))
    assert set(await deliveries(pool)) == {2, 3}


async def test_the_traces_of_a_card_are_listed_the_latest_first(pool: Pool) -> None:
    await accept(pool, *(make_acceptance(number, card_id=7) for number in range(1, 6)), make_acceptance(6))
    async with connection(pool) as borrowed:
        first = await list_traces(borrowed, PART, 7, before=2**62, most=3)
        rest = await list_traces(borrowed, PART, 7, before=first[-1].id, most=3)
        assert await find_trace(borrowed, [1, 2], 99) is None
    assert [trace.id for trace in first] == [5, 4, 3]
    assert [trace.id for trace in rest] == [2, 1]
    assert first[0].far == "+86139********"


# Ids


async def test_no_two_texts_have_one_id_on_any_node(pool: Pool) -> None:
    nodes = [MessageIds(pool) for _ in range(3)]

    async def take(ids: MessageIds) -> list[int]:
        return [await ids.next() for _ in range(ID_BLOCK // 4)]

    taken = await asyncio.gather(*(take(ids) for ids in nodes for _ in range(5)))
    everything = [message_id for ids in taken for message_id in ids]
    assert len(set(everything)) == len(everything) == 15 * (ID_BLOCK // 4)
    assert min(everything) > 0


async def test_the_ids_of_a_node_rise(pool: Pool) -> None:
    ids = MessageIds(pool)
    taken = [await ids.next() for _ in range(ID_BLOCK + 10)]
    assert taken == sorted(set(taken))


# Plans

FILL = """
    INSERT INTO delivery (part, id, stage, next_link, source_link, node, application, receipt_wanted, remote_id,
                          next_attempt_at, expires_at, accepted_at, sealed_body)
    SELECT 1, i, CASE WHEN i % 100 = 0 THEN 1 WHEN i % 100 = 1 THEN 3 ELSE 2 END, 'cn-home', 'host',
           CASE WHEN i % 200 = 0 THEN NULL ELSE 'one' END, i % 50 = 0, 1, 'r' || i, $1, $2, $1, 'x'
      FROM generate_series(1, 20000) i"""
FILL_TRACES = """
    INSERT INTO message (part, id, account_id, card_id, line_id, direction, application, source_link, next_link, far,
                         segments, price_micros, rate, state, accepted_at)
    SELECT 1, i, 1, i % 1000, 1, 1, false, 'host', 'cn-home', '+86139', 1, 0, '', 2, $1
      FROM generate_series(1, 20000) i"""


CALLS = 7  # more than plpgsql plans anew


async def rows_read(pool: Pool, call: str, *arguments: object) -> dict[str, float]:
    """How many rows of each table a call reads, on average."""
    async with connection(pool) as borrowed, borrowed.transaction():
        for _ in range(CALLS):
            await borrowed.fetch(call, *arguments)
        rows = await borrowed.fetch(
            "SELECT relname, seq_tup_read + coalesce(idx_tup_fetch, 0) AS read FROM pg_stat_xact_user_tables"
        )
    return {row["relname"]: row["read"] / CALLS for row in rows}


@pytest.fixture
async def filled(pool: Pool) -> Pool:
    """Many texts under way, few of them waiting; statistics from when there were none, as autovacuum leaves them."""
    async with connection(pool) as borrowed:
        await borrowed.execute("ANALYZE message, delivery")
        await borrowed.execute(FILL, AT, LATER)
        await borrowed.execute(FILL_TRACES, AT)
    return pool


async def test_claims_read_what_waits_and_no_more(filled: Pool) -> None:
    texts = await rows_read(filled, store.CLAIM_TEXTS, PART, "cn-home", "two", AT, 5)
    receipts = await rows_read(filled, store.CLAIM_RECEIPTS, PART, "host", "two", AT, 5)
    assert texts["delivery"] < 200
    assert receipts["delivery"] < 200


async def test_a_batch_of_steps_reads_its_own_rows_and_no_more(filled: Pool) -> None:
    count = 100
    arguments = [
        PART,
        AT,
        list(range(1000, 1000 + count)),
        [HANDED_OVER] * count,
        *([None] * count for _ in range(2)),
        *([0] * count for _ in range(2)),
        [1] * count,
        *([None] * count for _ in range(2)),
        False,
    ]
    read = await rows_read(filled, store.PROGRESS, *arguments)
    assert read["message"] <= 2 * count
    assert read["delivery"] <= 4 * count


async def test_a_receipt_finds_its_text_among_many_by_the_next_hops_id(filled: Pool) -> None:
    row = await store.find_handed_over(filled, [1, 2], "cn-home", "r1002")
    assert row is not None
    assert row["id"] == 1002
