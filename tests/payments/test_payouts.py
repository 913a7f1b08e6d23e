"""Payout runs and what the bank says of them: paid once under any repeat, at once, too late, or after a crash."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import asyncpg
import pytest
from msgspec import structs

import shop
from onecard.cards.model import Card
from onecard.database.pool import connection
from onecard.ledger import EntryKind, list_entries
from onecard.payments.bank.files import Format, write_file
from onecard.payments.bank.model import OrderState, PaymentOrder
from onecard.payments.payouts import actions, store
from onecard.payments.payouts.model import (
    Applied,
    PayoutRefusal,
    PayoutRun,
    PayoutState,
    RunState,
    Unmatched,
)
from onecard.payments.refunds.model import (
    Approve,
    Cancel,
    Refund,
    RefundRefusal,
    RefundState,
    Reject,
    Retry,
    Verify,
)
from onecard.sealing.subscriber_keys import destroy_subscriber_key
from payments.treasury import ALICE, BOB, CAROL, COOLING, DEBTOR, OTHER_BANK, Treasury, cents, credit, debit

BALANCE = 12_345_678
PAID = 12_350_000


async def pay(treasury: Treasury) -> tuple[Card, Refund, PaymentOrder]:
    """A refund that the bank was told of."""
    card = await treasury.earn(BALANCE)
    refund = await treasury.approve(card)
    [order] = await treasury.pay_out()
    return card, refund, order


async def test_a_refund_is_paid_rounded_in_the_payees_favour(treasury: Treasury) -> None:
    card, refund, order = await pay(treasury)
    assert (order.amount.micros, order.payee.name) == (PAID, "Wang Fang")
    assert await treasury.balance(card) == (0, BALANCE)
    assert await treasury.book(debit(order)) == Applied(settled=1)
    assert await treasury.balance(card) == (0, 0)
    assert await treasury.system("rounding") == BALANCE - PAID
    settled = await treasury.get(refund)
    assert (settled.state, settled.amount.micros) == (RefundState.SETTLED, PAID)
    kinds = [entry.kind for entry in await list_entries(treasury.borrowed, card.part, card.account_id)]
    assert sorted(kinds) == [EntryKind.TOP_UP, EntryKind.PAYOUT, EntryKind.ROUNDING, EntryKind.HOLD]
    await treasury.proved()


async def test_what_is_in_a_run_is_changed_by_nobody(treasury: Treasury) -> None:
    refund = await treasury.approve(await treasury.earn(BALANCE))
    run = await treasury.make_run()
    for change in (Verify("x"), Approve(), Reject("x"), Cancel(), Retry()):
        assert await treasury.try_to(refund, change, CAROL) is RefundRefusal.IN_A_RUN
    assert await treasury.name_payee(refund, OTHER_BANK, ALICE) is RefundRefusal.IN_A_RUN
    assert await treasury.try_run() is PayoutRefusal.NOTHING_APPROVED
    withdrawn = await actions.withdraw_run(treasury.borrowed, shop.AT, actor=ALICE, run_id=run.id)
    assert isinstance(withdrawn, PayoutRun)
    assert (await treasury.make_run()).id != run.id


async def test_a_second_person_releases_a_run(treasury: Treasury) -> None:
    await treasury.approve(await treasury.earn(BALANCE))
    run = await treasury.make_run()

    async def release(actor: str) -> PayoutRun | PayoutRefusal:
        return await actions.release_run(
            treasury.borrowed, shop.AT, actor=actor, run_id=run.id, debtor=DEBTOR
        )

    submit = actions.submit_run(treasury.borrowed, shop.AT, actor=ALICE, run_id=run.id)
    assert await submit is PayoutRefusal.WRONG_STATE
    assert await release(ALICE) is PayoutRefusal.SAME_PERSON
    assert await release("link:cn-home") is PayoutRefusal.NOT_STAFF
    released = await release(BOB)
    assert isinstance(released, PayoutRun)
    assert await store.find_run(treasury.borrowed, run.id) == released
    assert await release(CAROL) is PayoutRefusal.WRONG_STATE


async def test_a_run_keeps_to_its_limits_and_takes_the_oldest_first(treasury: Treasury) -> None:
    refunds = []
    for place in range(5):
        refunds.append(await treasury.approve(await treasury.earn(10_000_000), str(place)))
        treasury.clock.move(timedelta(seconds=1))
    run = await treasury.make_run(limit=cents(2999))
    assert (run.count, run.total) == (2, cents(2000))
    assert [(await treasury.get(refund)).run_id for refund in refunds] == [run.id] * 2 + [None] * 3
    assert (await treasury.make_run(most=1)).count == 1
    assert await treasury.try_run(limit=cents(1)) is PayoutRefusal.NOTHING_APPROVED
    assert await treasury.try_run(limit=cents(0)) is PayoutRefusal.BAD_LIMIT
    assert await treasury.try_run(most=10**6) is PayoutRefusal.BAD_LIMIT


async def test_a_payee_that_was_changed_is_in_no_run_before_it_cooled_off(treasury: Treasury) -> None:
    refund = await treasury.approve(await treasury.earn(BALANCE))
    await treasury.name_payee(refund, OTHER_BANK, ALICE)
    await treasury.do(refund, Approve(), BOB)
    treasury.clock.move(COOLING - timedelta(seconds=1))
    assert await treasury.try_run() is PayoutRefusal.NOTHING_APPROVED
    treasury.clock.move(timedelta(seconds=1))
    [order] = await treasury.pay_out()
    assert order.payee == OTHER_BANK


async def test_of_many_runs_made_at_once_each_refund_is_in_one(treasury: Treasury) -> None:
    for place in range(8):
        await treasury.approve(await treasury.earn(10_000_000), str(place))

    async def make(_: int) -> PayoutRun | PayoutRefusal:
        async with connection(treasury.database.pool) as borrowed:
            return await treasury.try_run(most=5, borrowed=borrowed)

    runs = [run for run in await asyncio.gather(*map(make, range(20))) if isinstance(run, PayoutRun)]
    orders = await treasury.borrowed.fetch("SELECT refund_id FROM payout_order")
    assert len(orders) == len({row["refund_id"] for row in orders}) == sum(run.count for run in runs)


def write(run: PayoutRun, orders: list[PaymentOrder]) -> bytes:
    return b"".join(write_file(Format.PAIN_001, actions.make_payment_file(run), orders))


async def test_a_file_is_written_again_with_the_same_bytes_whatever_happened_since(
    treasury: Treasury,
) -> None:
    for place in range(6):
        await treasury.approve(await treasury.earn(BALANCE + place), str(place))
    run = await treasury.make_run()
    orders = await treasury.pay_out(run)
    submitted = await actions.submit_run(treasury.borrowed, treasury.clock.now(), actor=BOB, run_id=run.id)
    assert isinstance(submitted, PayoutRun)
    first = write(submitted, orders)
    await treasury.report((orders[0], OrderState.REJECTED))
    treasury.clock.move(timedelta(days=3))
    again = await actions.submit_run(treasury.borrowed, treasury.clock.now(), actor=CAROL, run_id=run.id)
    assert again == submitted
    assert write(again, await treasury.orders(again)) == first
    assert (submitted.count, submitted.total.micros) == (6, sum(order.amount.micros for order in orders))


async def test_a_crash_before_the_commit_leaves_the_run_as_it_was(treasury: Treasury) -> None:
    refund = await treasury.approve(await treasury.earn(BALANCE))
    run = await treasury.make_run()
    await actions.release_run(treasury.borrowed, shop.AT, actor=BOB, run_id=run.id, debtor=DEBTOR)
    transaction = treasury.borrowed.transaction()
    await transaction.start()
    await actions.submit_run(treasury.borrowed, shop.AT, actor=BOB, run_id=run.id)
    await transaction.rollback()
    assert (await treasury.get(refund)).state is RefundState.APPROVED
    found = await store.find_run(treasury.borrowed, run.id)
    assert found is not None
    assert found.state is RunState.RELEASED
    submitted = await actions.submit_run(treasury.borrowed, shop.AT, actor=BOB, run_id=run.id)
    assert isinstance(submitted, PayoutRun)
    assert (await treasury.get(refund)).state is RefundState.SUBMITTED


async def test_a_run_with_somebody_whose_key_is_gone_is_not_submitted(treasury: Treasury) -> None:
    card = await treasury.earn(BALANCE)
    await treasury.approve(card)
    run = await treasury.make_run()
    await actions.release_run(treasury.borrowed, shop.AT, actor=BOB, run_id=run.id, debtor=DEBTOR)
    await destroy_subscriber_key(treasury.borrowed, card.part, card.subscriber_id)
    submit = actions.submit_run(treasury.borrowed, shop.AT, actor=BOB, run_id=run.id)
    assert await submit is PayoutRefusal.KEY_DESTROYED
    await actions.withdraw_run(treasury.borrowed, shop.AT, actor=ALICE, run_id=run.id)
    assert await treasury.try_run() is PayoutRefusal.NOTHING_APPROVED


async def test_what_the_bank_says_twice_counts_once(treasury: Treasury) -> None:
    card, refund, order = await pay(treasury)
    assert await treasury.report((order, OrderState.ACCEPTED)) == Applied(unchanged=1)
    assert await treasury.report((order, OrderState.SETTLED), message_id="B1") == Applied(settled=1)
    again = await treasury.report((order, OrderState.SETTLED), message_id="B1")
    assert again == Applied(unchanged=1, is_repeated=True)
    assert await treasury.report((order, OrderState.SETTLED)) == Applied(unchanged=1)
    assert await treasury.book(debit(order), id_="S1") == Applied(unchanged=1)
    assert await treasury.book(debit(order), id_="S1") == Applied(unchanged=1, is_repeated=True)
    assert await treasury.book(debit(order), id_="S2") == Applied(unchanged=1)
    assert await treasury.report((order, OrderState.PENDING)) == Applied(unchanged=1)
    assert (await treasury.get(refund)).state is RefundState.SETTLED
    assert await treasury.balance(card) == (0, 0)
    await treasury.proved()


async def test_a_message_taken_in_by_many_at_once_counts_once(treasury: Treasury) -> None:
    card, _, order = await pay(treasury)

    async def take(place: int) -> Applied:
        async with connection(treasury.database.pool) as borrowed:
            if place % 2:
                return await treasury.report((order, OrderState.SETTLED), borrowed=borrowed)
            return await treasury.book(debit(order), borrowed=borrowed)

    answers = await asyncio.gather(*map(take, range(20)))
    assert sum(answer.settled for answer in answers) == 1
    assert await treasury.balance(card) == (0, 0)
    await treasury.proved()


async def test_the_parts_of_a_statement_are_worked_through_side_by_side(treasury: Treasury) -> None:
    refunds = [await treasury.approve(await treasury.earn(BALANCE), str(place)) for place in range(12)]
    assert len({refund.part for refund in refunds}) > 1
    orders = await treasury.pay_out()
    pages: list[int] = []
    async with connection(treasury.database.pool) as one, connection(treasury.database.pool) as two:
        entries = (*map(debit, orders), credit(orders[0]))
        applied = await treasury.book(*entries, beside=[one, two], told=pages.append)
        assert applied == Applied(settled=12, returned=1)
        assert sum(pages) == 13
        again = await treasury.book(*entries, beside=[one, two])
        assert again == Applied(unchanged=13)
    await treasury.proved()


async def test_when_one_part_of_a_statement_fails_the_others_are_done_and_it_is_taken_in_again(
    treasury: Treasury,
) -> None:
    refunds = [await treasury.approve(await treasury.earn(BALANCE), str(place)) for place in range(12)]
    orders = await treasury.pay_out()
    async with connection(treasury.database.pool) as one:
        async with connection(treasury.database.pool) as broken:
            await broken.close()
            with pytest.raises(asyncpg.InterfaceError):
                await treasury.book(*map(debit, orders), id_="S", beside=[one, broken])
        states = {(await treasury.get(refund)).state for refund in refunds}
        assert RefundState.SETTLED in states
        await treasury.proved()
        again = await treasury.book(*map(debit, orders), id_="S", beside=[one])
    assert again.settled + again.unchanged == 12
    assert not again.is_repeated  # it was never taken in as a whole
    assert {(await treasury.get(refund)).state for refund in refunds} == {RefundState.SETTLED}
    await treasury.proved()


async def test_what_the_bank_rejects_is_still_held_and_tried_again_with_another_payee(
    treasury: Treasury,
) -> None:
    card, refund, order = await pay(treasury)
    assert await treasury.report((order, OrderState.REJECTED)) == Applied(rejected=1)
    returned = await treasury.get(refund)
    assert (returned.state, returned.reason) == (RefundState.RETURNED, "AC04")
    assert await treasury.balance(card) == (0, BALANCE)
    assert await treasury.try_run() is PayoutRefusal.NOTHING_APPROVED
    await treasury.name_payee(refund, OTHER_BANK, ALICE)
    await treasury.do(refund, Approve(), BOB)
    treasury.clock.move(COOLING)
    [second] = await treasury.pay_out()
    assert second.end_to_end_id != order.end_to_end_id
    assert await treasury.report((order, OrderState.REJECTED)) == Applied(unchanged=1)
    assert await treasury.book(debit(second)) == Applied(settled=1)
    assert await treasury.balance(card) == (0, 0)
    await treasury.proved()


async def test_what_comes_back_late_is_owed_again_as_it_was_paid(treasury: Treasury) -> None:
    card, refund, order = await pay(treasury)
    await treasury.book(debit(order))
    await treasury.pay_in(card, 1_000_000)
    other = await treasury.request(card, "2")  # of what came in meanwhile
    treasury.clock.move(timedelta(days=20))
    assert await treasury.book(credit(order)) == Applied(returned=1)
    returned = await treasury.get(refund)
    assert (returned.state, returned.amount.micros, returned.closed_at) == (RefundState.RETURNED, PAID, None)
    assert await treasury.balance(card) == (0, PAID + other.amount.micros)
    assert await treasury.book(credit(order)) == Applied(unchanged=1)
    await treasury.do(refund, Retry(), ALICE)
    await treasury.do(refund, Approve(), BOB)
    [second] = await treasury.pay_out()
    assert (second.amount.micros, second.payee) == (PAID, order.payee)
    await treasury.book(debit(second))
    assert await treasury.balance(card) == (0, 1_000_000)
    assert await treasury.system("rounding") == BALANCE - PAID
    await treasury.proved()


async def test_a_return_that_is_told_before_its_payment_is_no_second_one(treasury: Treasury) -> None:
    card, refund, order = await pay(treasury)
    assert await treasury.book(credit(order)) == Applied(settled=1, returned=1)
    assert await treasury.book(debit(order)) == Applied(unchanged=1)
    assert (await treasury.get(refund)).state is RefundState.RETURNED
    assert await treasury.balance(card) == (0, PAID)
    await treasury.proved()


async def test_payment_and_return_in_one_statement_are_both_counted(treasury: Treasury) -> None:
    card, refund, order = await pay(treasury)
    assert await treasury.book(credit(order), debit(order)) == Applied(settled=1, returned=1)
    assert (await treasury.get(refund)).state is RefundState.RETURNED
    assert await treasury.balance(card) == (0, PAID)
    await treasury.proved()


async def test_returns_of_paid_and_of_unpaid_orders_in_one_statement_all_end_as_returned(
    treasury: Treasury,
) -> None:
    cards = [await treasury.earn(BALANCE) for _ in range(8)]  # two of each part
    refunds = [await treasury.approve(card, str(place)) for place, card in enumerate(cards)]
    orders = sorted(await treasury.pay_out(), key=lambda order: order.end_to_end_id)
    await treasury.book(*map(debit, orders[::2]))
    assert await treasury.book(*map(credit, orders)) == Applied(settled=4, returned=8)
    assert {(await treasury.get(refund)).state for refund in refunds} == {RefundState.RETURNED}
    assert [await treasury.balance(card) for card in cards] == [(0, PAID)] * 8
    await treasury.proved()


async def test_what_fits_nothing_waits_for_a_person(treasury: Treasury) -> None:
    card, _, order = await pay(treasury)
    other = replace(order, end_to_end_id="OC-99-1-99")
    foreign = replace(order, end_to_end_id="INVOICE 7")
    fee = structs.replace(debit(order), end_to_end_id=None, reference="FEE")
    assert await treasury.book(debit(other), debit(foreign), fee) == Applied(unmatched=3)
    assert await treasury.book(debit(order, amount=cents(1))) == Applied(unmatched=1)
    assert await treasury.report((order, OrderState.REJECTED)) == Applied(rejected=1)
    late = await treasury.book(debit(order, "L"))
    assert late == Applied(unmatched=1)
    lines = await store.list_unmatched(treasury.borrowed)
    assert [line.why for line in lines] == [
        *[Unmatched.UNKNOWN] * 3,
        Unmatched.OTHER_AMOUNT,
        Unmatched.CONTRADICTION,
    ]
    assert await treasury.balance(card) == (0, BALANCE)
    resolved = await actions.resolve_unmatched(
        treasury.borrowed, shop.AT, actor=ALICE, line_id=lines[0].id, resolution="the bank's mistake"
    )
    assert not isinstance(resolved, PayoutRefusal)
    assert len(await store.list_unmatched(treasury.borrowed)) == 4


async def test_a_second_payment_of_one_order_by_the_bank_is_noticed(treasury: Treasury) -> None:
    _, _, order = await pay(treasury)
    await treasury.book(debit(order))
    assert await treasury.book(debit(order, "again ")) == Applied(unmatched=1)
    [line] = await store.list_unmatched(treasury.borrowed)
    assert line.why is Unmatched.PAID_TWICE


async def test_what_is_said_of_the_whole_file_is_said_of_every_order_not_named(treasury: Treasury) -> None:
    for place in range(5):
        await treasury.approve(await treasury.earn(BALANCE), str(place))
    run = await treasury.make_run()
    orders = await treasury.pay_out(run)
    applied = await treasury.report((orders[0], OrderState.SETTLED), run=run, whole=OrderState.REJECTED)
    assert applied == Applied(settled=1, rejected=4)
    tally = await store.tally_payouts(treasury.borrowed, run.id)
    assert tally[PayoutState.REJECTED] == (4, 4 * PAID)
    unknown = replace(run, id=77)
    assert await treasury.report(run=unknown, whole=OrderState.REJECTED) == Applied(unmatched=1)


@pytest.mark.parametrize("said", [OrderState.SETTLED, OrderState.REJECTED])
async def test_no_bank_can_pay_what_it_was_not_told(treasury: Treasury, said: OrderState) -> None:
    card = await treasury.earn(BALANCE)
    await treasury.approve(card)
    run = await treasury.make_run()
    [order] = await treasury.orders(run)
    assert await treasury.report((order, said)) == Applied(unmatched=1)
    assert await treasury.balance(card) == (0, BALANCE)
