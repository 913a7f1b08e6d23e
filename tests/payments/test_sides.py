"""Values that are kept apart from cash: moved once, all or nothing, and refunded as the policy of each says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

import shop
from onecard.cards.actions import activate_card
from onecard.cards.model import Card, CardPayment
from onecard.database.pool import Connection, connection
from onecard.ledger import TopUpRefusal
from onecard.payments.actions import make_vouchers, redeem
from onecard.payments.model import Redeemed, VoucherRefusal
from onecard.payments.payouts.model import PayoutRun, Route
from onecard.payments.refunds.cards import request_refund_of_card
from onecard.payments.refunds.model import (
    Approve,
    Cancel,
    OriginalPayment,
    Refund,
    RefundedValue,
    RefundRefusal,
    RefundState,
    Verify,
)
from onecard.payments.sides import actions
from onecard.payments.sides.model import DisputeOutcome, SideAccount, SideRefusal, SideValue
from onecard.payments.sides.store import list_side_accounts
from onecard.payments.top_ups import ProviderPayment, TakenIn, take_payment
from onecard.sales.actions import sell_card
from onecard.values.gate import Capability, Closed, Gates
from onecard.values.money import Currency, Money
from payments.treasury import ALICE, ALL_OPEN, BOB, WANG, Treasury, cents, debit

NO_TOP_UPS = Gates({Capability.TOP_UP: Closed(Capability.TOP_UP, "selling ends", shop.AT)})
VOID = Gates({Capability.ACTIVATION: Closed(Capability.ACTIVATION, "operations cease", shop.AT)})

Action = Callable[..., Awaitable[SideAccount | SideRefusal]]
KEPT: Action = partial(actions.decide_dispute, outcome=DisputeOutcome.KEPT)
CHARGED_BACK: Action = partial(actions.decide_dispute, outcome=DisputeOutcome.CHARGED_BACK)


async def move(
    treasury: Treasury, action: Action, card: Card, amount: Money, event: str = "1", **more: Any
) -> SideAccount | SideRefusal:
    return await action(
        more.pop("borrowed", treasury.borrowed),
        treasury.clock.now(),
        actor=ALICE,
        part=card.part,
        account_id=card.account_id,
        amount=amount,
        event=event,
    )


async def on_side(treasury: Treasury, card: Card, value: SideValue) -> tuple[int, int]:
    sides = await list_side_accounts(treasury.borrowed, card.part, card.account_id)
    [side] = [side for side in sides if side.value is value]
    return side.available.micros, side.held.micros


async def test_each_kind_of_value_is_on_an_account_of_its_own(treasury: Treasury) -> None:
    card = await treasury.earn(10_000_000)
    await move(treasury, actions.pay_in_deposit, card, cents(2000))
    await move(treasury, actions.give_promotional_credit, card, cents(500))
    await move(treasury, actions.dispute, card, cents(300))
    assert await treasury.balance(card) == (7_000_000, 0)
    assert await on_side(treasury, card, SideValue.DEPOSITS) == (20_000_000, 0)
    assert await on_side(treasury, card, SideValue.PROMOTIONAL) == (5_000_000, 0)
    assert await on_side(treasury, card, SideValue.DISPUTED) == (3_000_000, 0)
    await treasury.proved()


async def test_a_dispute_ends_as_cash_or_with_who_paid_it_in(treasury: Treasury) -> None:
    card = await treasury.earn(10_000_000)
    await move(treasury, actions.dispute, card, cents(300))
    await move(treasury, KEPT, card, cents(100))
    assert await treasury.balance(card) == (8_000_000, 0)
    await move(treasury, CHARGED_BACK, card, cents(200))
    assert await on_side(treasury, card, SideValue.DISPUTED) == (0, 0)
    assert await treasury.system("funding") == -8_000_000
    await treasury.proved()


async def test_a_deposit_that_is_released_is_cash(treasury: Treasury) -> None:
    card = await treasury.earn(0)
    await move(treasury, actions.pay_in_deposit, card, cents(300))
    await move(treasury, actions.release_deposit, card, cents(100))
    assert await treasury.balance(card) == (1_000_000, 0)
    assert await move(treasury, actions.release_deposit, card, cents(999), "2") is SideRefusal.INSUFFICIENT


async def test_value_is_moved_once_for_each_event(treasury: Treasury) -> None:
    card = await treasury.earn(10_000_000)

    async def try_it(_: int) -> SideAccount | SideRefusal:
        async with connection(treasury.database.pool) as borrowed:
            return await move(treasury, actions.dispute, card, cents(300), borrowed=borrowed)

    answers = await asyncio.gather(*map(try_it, range(20)))
    assert len([answer for answer in answers if isinstance(answer, SideAccount)]) == 20
    assert await treasury.balance(card) == (7_000_000, 0)
    assert await move(treasury, actions.dispute, card, cents(301)) is SideRefusal.CONFLICTING_EVENT
    await treasury.proved()


@pytest.mark.parametrize(
    ("amount", "refusal"),
    [
        (cents(0), SideRefusal.BAD_AMOUNT),
        (cents(-1), SideRefusal.BAD_AMOUNT),
        (Money(10**15 + 1, shop.CAD), SideRefusal.BAD_AMOUNT),
        (Money(1, Currency("CNY")), SideRefusal.OTHER_CURRENCY),
        (cents(1001), SideRefusal.INSUFFICIENT),
    ],
)
async def test_no_more_is_disputed_than_there_is(
    treasury: Treasury, amount: Money, refusal: SideRefusal
) -> None:
    card = await treasury.earn(10_000_000)
    assert await move(treasury, actions.dispute, card, amount) is refusal
    assert await treasury.balance(card) == (10_000_000, 0)


async def test_promotional_credit_is_taken_back_and_never_refunded(treasury: Treasury) -> None:
    card = await treasury.earn(0)
    await move(treasury, actions.give_promotional_credit, card, cents(500))
    assert await treasury.ask(card) is RefundRefusal.NOTHING_TO_REFUND
    await move(treasury, actions.end_promotional_credit, card, cents(500))
    assert await on_side(treasury, card, SideValue.PROMOTIONAL) == (0, 0)
    await treasury.proved()


async def test_a_deposit_is_refunded_beside_the_cash(treasury: Treasury) -> None:
    card = await treasury.earn(10_000_000)
    await move(treasury, actions.pay_in_deposit, card, cents(2000))
    cash = await treasury.request(card, "cash")
    deposit = await treasury.ask(card, "deposit", value=RefundedValue.DEPOSITS)
    assert isinstance(deposit, Refund)
    assert (cash.amount, deposit.amount) == (cents(1000), cents(2000))
    assert await on_side(treasury, card, SideValue.DEPOSITS) == (0, 20_000_000)
    await treasury.do(deposit, Cancel())
    assert await on_side(treasury, card, SideValue.DEPOSITS) == (20_000_000, 0)
    await treasury.proved()


PAID = CardPayment(cents(1999), "visa", "PAY-77")


async def sell(treasury: Treasury, payment: CardPayment | None) -> Card:
    first = await shop.sell(treasury.borrowed)
    card = await sell_card(
        treasury.borrowed,
        shop.AT,
        actor=ALICE,
        gates=ALL_OPEN,
        part=first.part,
        subscriber_id=first.subscriber_id,
        country=shop.CA,
        payment=payment,
    )
    assert isinstance(card, Card)
    return card


async def ask_for_card(
    treasury: Treasury, card: Card, gates: Gates = VOID
) -> Refund | RefundRefusal | Closed:
    return await request_refund_of_card(
        treasury.borrowed, treasury.clock.now(), actor=ALICE, gates=gates, part=card.part, card_id=card.id
    )


async def test_a_card_that_became_void_is_paid_back_as_it_was_paid(treasury: Treasury) -> None:
    card = await sell(treasury, PAID)
    assert await ask_for_card(treasury, card, ALL_OPEN) is RefundRefusal.CARD_IN_USE
    refund = await ask_for_card(treasury, card)
    assert isinstance(refund, Refund)
    assert (refund.amount, refund.payment) == (PAID.amount, OriginalPayment("visa", "PAY-77"))
    assert await ask_for_card(treasury, card) == refund
    assert await treasury.name_payee(refund, WANG, ALICE) is RefundRefusal.PAID_AS_IT_WAS
    await treasury.do(refund, Verify("never used"), BOB)
    await treasury.do(refund, Approve(), "staff:carol")
    run = await treasury.try_run(route=Route.AS_PAID)
    assert isinstance(run, PayoutRun)
    [order] = await treasury.submit(run)
    assert (order.payee.name, order.payee.account.number) == ("visa", "PAY-77")
    await treasury.book(debit(order))
    assert (await treasury.get(refund)).state is RefundState.SETTLED
    assert await on_side(treasury, card, SideValue.UNACTIVATED_CARDS) == (0, 0)
    assert await treasury.system("revenue") == -PAID.amount.micros
    await treasury.proved()


async def test_a_card_that_was_paid_in_cash_needs_a_payee(treasury: Treasury) -> None:
    card = await sell(treasury, CardPayment(cents(1999), "cash", "till 3"))
    refund = await ask_for_card(treasury, card)
    assert isinstance(refund, Refund)
    assert refund.payment is None
    await treasury.do(refund, Verify("receipt"), ALICE)
    assert await treasury.try_to(refund, Approve(), BOB) is RefundRefusal.NO_PAYEE


async def test_a_card_that_was_used_or_of_which_nothing_is_known_is_not_refunded(treasury: Treasury) -> None:
    used = await sell(treasury, PAID)
    await activate_card(
        treasury.borrowed, shop.AT, actor="onecard", gates=ALL_OPEN, part=used.part, card_id=used.id
    )
    assert await ask_for_card(treasury, used) is RefundRefusal.CARD_IN_USE
    assert await ask_for_card(treasury, await sell(treasury, None)) is RefundRefusal.NOT_PAID


async def pay(
    treasury: Treasury,
    card: Card,
    gates: Gates,
    event: str = "E1",
    amount: Money | None = None,
    borrowed: Connection | None = None,
) -> TakenIn | TopUpRefusal:
    payment = ProviderPayment(
        "stripe", event, f"ref {event}", card.part, card.account_id, amount or cents(500)
    )
    return await take_payment(
        borrowed or treasury.borrowed, treasury.clock.now(), gates=gates, payment=payment
    )


async def test_a_payment_tops_up_once_whatever_its_repeats_meet(treasury: Treasury) -> None:
    card = await treasury.earn(0)

    async def try_it(place: int) -> TakenIn | TopUpRefusal:
        async with connection(treasury.database.pool) as borrowed:
            return await pay(treasury, card, NO_TOP_UPS if place % 2 else ALL_OPEN, borrowed=borrowed)

    first = await pay(treasury, card, ALL_OPEN)
    assert isinstance(first, TakenIn)
    assert (first.is_repeated, first.refund) == (False, None)
    answers = await asyncio.gather(*map(try_it, range(20)))
    assert all(isinstance(one, TakenIn) and one.is_repeated and not one.refund for one in answers)
    assert await treasury.balance(card) == (5_000_000, 0)
    assert await pay(treasury, card, ALL_OPEN, amount=cents(1)) is TopUpRefusal.CONFLICTING_EVENT
    await treasury.proved()


async def test_a_payment_that_comes_too_late_is_held_to_go_back(treasury: Treasury) -> None:
    card = await treasury.earn(1_000_000)
    cash = await treasury.request(card)
    late = await pay(treasury, card, NO_TOP_UPS)
    assert isinstance(late, TakenIn)
    assert late.refund is not None
    assert (late.refund.value, late.refund.amount) == (RefundedValue.LATE_PAYMENTS, cents(500))
    assert late.refund.payment == OriginalPayment("stripe", "ref E1")
    again = await pay(treasury, card, ALL_OPEN)
    assert isinstance(again, TakenIn)
    assert (again.is_repeated, again.refund) == (True, late.refund)
    second = await pay(treasury, card, NO_TOP_UPS, "E2")
    assert isinstance(second, TakenIn)
    assert await treasury.balance(card) == (0, 11_000_000)
    await treasury.do(cash, Cancel())
    assert await treasury.balance(card) == (1_000_000, 10_000_000)
    await treasury.proved()


async def test_a_payment_for_no_account_is_refused(treasury: Treasury) -> None:
    card = await treasury.earn(0)
    await move(treasury, actions.pay_in_deposit, card, cents(1))
    [side] = await list_side_accounts(treasury.borrowed, card.part, card.account_id)
    for account_id in (side.side_account_id, 10**9):
        payment = ProviderPayment("stripe", "E", "R", card.part, account_id, cents(500))
        refused = await take_payment(treasury.borrowed, shop.AT, gates=ALL_OPEN, payment=payment)
        assert refused is TopUpRefusal.UNKNOWN_ACCOUNT
    assert (
        await pay(treasury, card, ALL_OPEN, amount=Money(1, Currency("CNY"))) is TopUpRefusal.OTHER_CURRENCY
    )
    assert await pay(treasury, card, ALL_OPEN, amount=Money(-1, shop.CAD)) is TopUpRefusal.BAD_AMOUNT


async def test_a_voucher_that_was_not_used_is_redeemed_for_a_refund(treasury: Treasury) -> None:
    card = await treasury.earn(0)
    made = await make_vouchers(
        treasury.borrowed,
        shop.AT,
        actor=ALICE,
        gates=ALL_OPEN,
        master=shop.MASTER,
        face=cents(2000),
        count=1,
        expires_at=shop.AT.replace(year=2030),
    )
    assert not isinstance(made, VoucherRefusal | Closed)

    async def use(gates: Gates, *, for_refund: bool) -> Redeemed | VoucherRefusal | Closed:
        return await redeem(
            treasury.borrowed,
            shop.AT,
            actor=ALICE,
            gates=gates,
            master=shop.MASTER,
            part=card.part,
            card_id=card.id,
            pin=made[1][0].pin,
            for_refund=for_refund,
        )

    no_refunds = Gates({Capability.REFUND: Closed(Capability.REFUND, None, None)})
    assert isinstance(await use(NO_TOP_UPS, for_refund=False), Closed)
    assert isinstance(await use(no_refunds, for_refund=True), Closed)
    assert isinstance(await use(NO_TOP_UPS, for_refund=True), Redeemed)
    assert (await treasury.request(card)).amount == cents(2000)
    await treasury.proved()
