"""Ledger, payout files and bank statements agree, or the difference has a name; money in hand covers what is owed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from msgspec import structs

import shop
from onecard import audit
from onecard.database.pool import Database, connection
from onecard.ledger import EntryKind, Posting, hash_contents, name_event, post_one
from onecard.payments.bank.model import BankStatement, Booked, OrderState, PaymentOrder
from onecard.payments.payouts.actions import apply_statement
from onecard.payments.payouts.model import PayoutRun
from onecard.values.money import Money
from onecard.winddown.model import RefundPolicy, ValueKind
from onecard.winddown.reconciliation.actions import reconcile
from onecard.winddown.reconciliation.model import (
    Compared,
    DifferenceKind,
    Reconciliation,
    Sides,
    StatementLink,
)
from onecard.winddown.reconciliation.rules import compare_payment, compare_run, compare_statement
from payments.treasury import ALICE, OURS, Treasury, cents, credit, debit

K = DifferenceKind
TORONTO = ZoneInfo("America/Toronto")
LATER = datetime(2026, 3, 20, tzinfo=UTC)


@pytest.fixture
async def treasury(database: Database) -> AsyncIterator[Treasury]:
    async with connection(database.pool) as borrowed:
        await shop.open_shop(borrowed, sims=20, canadian=20)
        yield Treasury(database, borrowed)


class Bank:
    """Sends statements that lead from one balance to the next."""

    def __init__(self, treasury: Treasury, balance: int = 100_000) -> None:
        self.treasury = treasury
        self.balance = cents(balance)
        self.day = date(2026, 3, 12)
        self.sent = 0

    async def state(
        self, *booked: Booked, closing: Money | None = None, opening: Money | None = None
    ) -> None:
        self.sent += 1
        moved = sum(one.amount.micros if one.is_credit else -one.amount.micros for one in booked)
        end = closing or self.balance + Money(moved, shop.CAD)
        on = tuple(structs.replace(one, booked_on=self.day) for one in booked)
        statement = BankStatement(f"S{self.sent}", OURS, on, opening or self.balance, end, self.day)
        await apply_statement(
            self.treasury.borrowed, self.treasury.clock.now(), actor="onecard", statement=statement
        )
        self.balance = end
        self.day += timedelta(days=1)


async def look(treasury: Treasury, at: datetime = LATER, **policies: RefundPolicy) -> Reconciliation:
    given = {ValueKind(name): policy for name, policy in policies.items()}
    return await reconcile(treasury.borrowed, at, actor=ALICE, zone=TORONTO, policies=given)


async def pay(treasury: Treasury, count: int = 1) -> list[PaymentOrder]:
    for _ in range(count):
        await treasury.approve(await treasury.earn(12_345_678))
    return await treasury.pay_out()


async def test_books_that_agree_have_no_differences(treasury: Treasury) -> None:
    first, second = await pay(treasury, 2)
    bank = Bank(treasury)
    await bank.state(debit(first), debit(second))
    await bank.state(credit(second))
    found = await look(treasury)
    assert (found.compared, found.awaited, found.statements) == (2, 0, 2)
    assert found.agrees, found.differences
    assert [
        (day.day, day.posted.out, day.posted.back, day.booked.out, day.booked.back) for day in found.days
    ] == [
        (date(2026, 3, 10), 24_700_000, 12_350_000, 0, 0),
        (date(2026, 3, 12), 0, 0, 24_700_000, 0),
        (date(2026, 3, 13), 0, 0, 0, 12_350_000),
    ]
    [record] = await audit.list_records(treasury.borrowed, "payouts")
    assert (record.action, record.detail["compared"], record.detail["differences"]) == ("reconcile", 2, {})


async def test_a_payment_that_is_only_reported_is_awaited_and_missed_when_its_statement_has_come(
    treasury: Treasury,
) -> None:
    first, second = await pay(treasury, 2)
    await treasury.report((first, OrderState.SETTLED), (second, OrderState.SETTLED))
    bank = Bank(treasury)
    await bank.state(debit(first))
    found = await look(treasury)
    assert (found.agrees, found.awaited) == (True, 1)
    await bank.state()
    found = await look(treasury)
    assert [(one.kind, one.subject) for one in found.differences] == [(K.NOT_BOOKED, second.end_to_end_id)]
    assert "12.35 CAD out" in found.differences[0].sentence


async def test_a_payment_that_the_bank_made_twice_is_named_with_its_line(treasury: Treasury) -> None:
    [order] = await pay(treasury)
    await Bank(treasury).state(debit(order), debit(order, "E"))
    found = await look(treasury)
    assert found.counts == {K.BOOKED_TOO_MUCH: 1, K.UNMATCHED: 1}


async def test_money_that_was_posted_past_the_files_is_named(treasury: Treasury) -> None:
    card = await treasury.earn(5_000_000)
    posting = Posting(
        card.part,
        card.account_id,
        name_event("test", "1"),
        EntryKind.PAYOUT,
        -5_000_000,
        hash_contents(1),
        memo="by hand",
    )
    async with treasury.borrowed.transaction():
        await post_one(treasury.borrowed, posting, shop.AT)
    [difference] = (await look(treasury)).differences
    assert (difference.kind, difference.subject) == (K.UNKNOWN_PAYMENT, "by hand")


async def test_a_missing_statement_and_one_that_does_not_add_up_are_named(treasury: Treasury) -> None:
    bank = Bank(treasury)
    await bank.state()
    bank.balance = cents(90_000)
    await bank.state()
    await bank.state(closing=cents(1))
    found = await look(treasury)
    assert found.counts == {K.STATEMENT_GAP: 1, K.STATEMENT_SUM: 1}
    assert {one.subject for one in found.differences} == {"statement S2", "statement S3"}


async def test_money_in_hand_covers_what_is_owed_or_it_is_said_how_much_is_missing(
    treasury: Treasury,
) -> None:
    await treasury.earn(30_000_000)
    [order] = await pay(treasury)
    bank = Bank(treasury, balance=3_000)
    await bank.state()
    [funding] = (await look(treasury)).funding
    assert funding.owed == {"cash": 30_000_000 + 12_345_678}
    assert (funding.spare.micros, funding.is_covered) == (-12_345_678, False)
    await bank.state(debit(order), closing=cents(3_000))  # more had been paid in that day
    [funding] = (await look(treasury)).funding
    assert (funding.spare.micros, funding.is_covered, funding.on) == (0, True, date(2026, 3, 13))


async def test_a_payment_between_report_and_statement_is_neither_owed_nor_in_hand(treasury: Treasury) -> None:
    [order] = await pay(treasury)
    bank = Bank(treasury, balance=1_235)
    await bank.state()
    await treasury.report((order, OrderState.SETTLED))
    [funding] = (await look(treasury)).funding
    assert (funding.owed, funding.leaving.micros, funding.spare.micros) == ({}, 12_350_000, 0)


async def test_what_the_policy_pays_nothing_of_is_not_owed(treasury: Treasury) -> None:
    await treasury.earn(30_000_000)
    found = await look(treasury, cash=RefundPolicy.NOTHING)
    assert found.funding[0].owed == {}
    assert found.is_covered


def summed(run: PayoutRun, amount: Money, reference: str = "B1") -> Booked:
    """A whole file that the bank booked as one sum."""
    return Booked(reference, None, amount, False, False, date(2026, 3, 12), message_id=run.message_id)


async def make_run(treasury: Treasury, count: int) -> tuple[PayoutRun, list[PaymentOrder]]:
    for number in range(count):
        await treasury.approve(await treasury.earn(12_345_678), str(number))
    run = await treasury.make_run()
    return run, await treasury.pay_out(run)


async def test_a_file_that_was_booked_as_one_sum_pays_every_order_of_it_once(treasury: Treasury) -> None:
    run, orders = await make_run(treasury, 5)
    rejected, *paid = orders
    await treasury.report((rejected, OrderState.REJECTED))
    bank = Bank(treasury)
    left = Money(4 * 12_350_000, shop.CAD)
    await bank.state(summed(run, left))
    found = await look(treasury)
    assert (found.agrees, found.awaited, found.days[-1].booked.out) == (True, 0, left.micros)
    await bank.state(credit(paid[0]))  # returns are told apart
    assert (await look(treasury)).counts == {}
    again = await treasury.book(summed(run, left))
    assert (again.settled, again.unchanged) == (0, 4)
    await treasury.proved()


async def test_a_sum_that_is_not_that_of_its_file_is_left_to_a_person(treasury: Treasury) -> None:
    run, _ = await make_run(treasury, 2)
    applied = await treasury.book(summed(run, cents(2_000)), summed(replace(run, id=99), cents(5), "B2"))
    assert (applied.settled, applied.unmatched) == (0, 2)
    counts = (await look(treasury)).counts
    assert (counts[K.BOOKED_TOO_MUCH], counts[K.UNMATCHED]) == (1, 1)


async def test_a_sum_that_was_booked_twice_is_named(treasury: Treasury) -> None:
    run, _ = await make_run(treasury, 2)
    await Bank(treasury).state(summed(run, run.total), summed(run, run.total, "B2"))
    found = await look(treasury)
    assert [(one.kind, one.subject) for one in found.differences] == [(K.BOOKED_TOO_MUCH, f"run {run.id}")]


AGREED = Compared("OC-1-1-1", 1, shop.CAD, True, True, LATER, Sides(5, 0), Sides(5, 0), Sides(5, 0))
UNTIL = date(2026, 12, 31)


@pytest.mark.parametrize(
    ("compared", "kinds"),
    [
        (AGREED, []),
        (replace(AGREED, is_filed=False), [K.UNKNOWN_PAYMENT]),
        (replace(AGREED, posted=Sides(4, 0)), [K.NOT_POSTED]),
        (replace(AGREED, posted=Sides(6, 0)), [K.POSTED_TOO_MUCH]),
        (replace(AGREED, posted=Sides(5, 5)), [K.RETURN_POSTED_TOO_MUCH]),
        (replace(AGREED, filed=Sides(5, 5), booked=Sides(5, 5)), [K.RETURN_NOT_POSTED]),
        (replace(AGREED, filed=Sides(5, 5), posted=Sides(5, 5)), [K.RETURN_NOT_BOOKED]),
        (replace(AGREED, booked=Sides(5, 5)), [K.RETURN_BOOKED_TOO_MUCH]),
        (replace(AGREED, booked=Sides(10, 0)), [K.BOOKED_TOO_MUCH]),
        (replace(AGREED, booked=Sides()), [K.NOT_BOOKED]),
        (replace(AGREED, booked=Sides(), by_bank=False), []),
        (replace(AGREED, posted=Sides(), booked=Sides(6, 0)), [K.NOT_POSTED, K.BOOKED_TOO_MUCH]),
    ],
)
def test_each_way_in_which_books_differ_has_a_name(compared: Compared, kinds: list[DifferenceKind]) -> None:
    assert [one.kind for one in compare_payment(compared, UNTIL)] == kinds


def test_a_run_is_as_large_as_its_orders() -> None:
    assert compare_run(1, (2, 10), (2, 10), shop.CAD) is None
    difference = compare_run(1, (2, 10_000_000), (1, 5_000_000), shop.CAD)
    assert difference is not None
    assert difference.sentence == "the run has 2 orders of 10.00 CAD, its orders are 1 of 5.00 CAD"


def test_a_first_statement_without_an_opening_balance_proves_nothing() -> None:
    link = StatementLink("1", "S1", UNTIL, None, 10, None, 5)
    assert list(compare_statement(link, shop.CAD)) == []
