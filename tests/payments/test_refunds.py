"""Refunds on a real database: held when requested, seen by two people, never two at once of one balance."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import asyncpg
import pytest

import shop
from onecard.database.pool import connection
from onecard.ledger.rules import name_event
from onecard.payments.bank.model import Payee
from onecard.payments.refunds import store
from onecard.payments.refunds.actions import (
    change_refund,
    change_refunds,
    read_payee,
    request_refunds,
    request_refunds_of_everyone,
)
from onecard.payments.refunds.model import (
    Approve,
    Cancel,
    Change,
    Refund,
    RefundRefusal,
    RefundState,
    Reject,
    Retry,
    Verify,
    Wish,
)
from onecard.subscribers.actions import erase_subscriber
from onecard.subscribers.model import Subscriber, SubscriberRefusal
from onecard.values.gate import NO_ORDER, Capability, Closed
from onecard.values.money import Money
from payments.treasury import ALICE, ALL_OPEN, BOB, CAROL, COOLING, OTHER_BANK, WANG, Treasury, cents

BALANCE = 12_345_678


async def test_a_request_holds_the_whole_balance(treasury: Treasury) -> None:
    card = await treasury.earn(BALANCE)
    refund = await treasury.request(card)
    assert (refund.state, refund.amount.micros) == (RefundState.REQUESTED, BALANCE)
    assert await treasury.balance(card) == (0, BALANCE)
    await treasury.proved()


async def test_a_part_of_the_balance_may_be_asked_for(treasury: Treasury) -> None:
    card = await treasury.earn(BALANCE)
    refund = await treasury.ask(card, amount=cents(500))
    assert isinstance(refund, Refund)
    assert await treasury.balance(card) == (BALANCE - 5_000_000, 5_000_000)


@pytest.mark.parametrize("amount", [Money(0, shop.CAD), Money(-1, shop.CAD), Money(BALANCE + 1, shop.CAD)])
async def test_no_more_is_refunded_than_there_is(treasury: Treasury, amount: Money) -> None:
    card = await treasury.earn(BALANCE)
    assert await treasury.ask(card, amount=amount) is RefundRefusal.BAD_AMOUNT
    assert await treasury.balance(card) == (BALANCE, 0)


async def test_no_refund_is_too_small(treasury: Treasury) -> None:
    assert (await treasury.request(await treasury.earn(1))).amount.micros == 1


async def test_of_an_empty_account_there_is_nothing_to_refund(treasury: Treasury) -> None:
    assert await treasury.ask(await treasury.earn(0)) is RefundRefusal.NOTHING_TO_REFUND


async def test_a_closed_gate_is_the_answer(treasury: Treasury) -> None:
    answer = await treasury.ask(await treasury.earn(BALANCE), gates=NO_ORDER)
    assert isinstance(answer, Closed)
    assert answer.capability is Capability.REFUND


async def test_a_repeat_gets_the_first_answer_and_one_with_other_contents_is_refused(
    treasury: Treasury,
) -> None:
    card = await treasury.earn(BALANCE)
    first = await treasury.request(card)
    assert await treasury.request(card) == first
    assert await treasury.ask(card, payee=OTHER_BANK) is RefundRefusal.CONFLICTING_EVENT
    assert await treasury.ask(card, amount=cents(1)) is RefundRefusal.CONFLICTING_EVENT
    await treasury.do(first, Cancel())
    assert (await treasury.request(card)).state is RefundState.CANCELLED


async def test_an_account_has_one_open_refund(treasury: Treasury) -> None:
    card = await treasury.earn(BALANCE)
    first = await treasury.request(card)
    await treasury.pay_in(card, 1_000_000)
    assert await treasury.ask(card, "2") is RefundRefusal.ALREADY_OPEN
    await treasury.do(first, Cancel())
    assert (await treasury.request(card, "2")).amount.micros == BALANCE + 1_000_000


async def test_of_many_requests_at_once_one_is_made(treasury: Treasury) -> None:
    card = await treasury.earn(BALANCE)

    async def try_it(place: int) -> object:
        async with connection(treasury.database.pool) as borrowed:
            return await treasury.ask(card, str(place % 4), borrowed=borrowed)

    answers = await asyncio.gather(*map(try_it, range(20)))
    refunds = [answer for answer in answers if isinstance(answer, Refund)]
    assert len({refund.id for refund in refunds}) == 1
    assert len(refunds) == 5
    assert answers.count(RefundRefusal.ALREADY_OPEN) == 15
    assert await treasury.balance(card) == (0, BALANCE)
    await treasury.proved()


async def test_a_batch_answers_each_by_itself(treasury: Treasury) -> None:
    first, poor = await treasury.earn(BALANCE), await treasury.earn(0)
    wishes = [
        Wish(first.account_id, name_event("test", "1"), payee=WANG),
        Wish(first.account_id, name_event("test", "2")),
        Wish(10**9, name_event("test", "3")),
    ]
    answers = await request_refunds(
        treasury.borrowed,
        shop.AT,
        actor=ALICE,
        gates=ALL_OPEN,
        master=shop.MASTER,
        part=first.part,
        wishes=wishes,
        cooling_off=COOLING,
    )
    assert isinstance(answers, list)
    assert isinstance(answers[0], Refund)
    assert answers[1:] == [RefundRefusal.ALREADY_OPEN, RefundRefusal.UNKNOWN_ACCOUNT]
    assert await treasury.balance(poor) == (0, 0)


STATES = RefundState
CHANGES: dict[str, Change] = {
    "verify": Verify("claim code"),
    "approve": Approve(),
    "reject": Reject("no such person"),
    "cancel": Cancel(),
    "retry": Retry(),
}
ALLOWED = {
    STATES.REQUESTED: {"verify": STATES.VERIFIED, "reject": STATES.REJECTED, "cancel": STATES.CANCELLED},
    STATES.VERIFIED: {"approve": STATES.APPROVED, "reject": STATES.REJECTED, "cancel": STATES.CANCELLED},
    STATES.APPROVED: {"reject": STATES.REJECTED},
    STATES.REJECTED: {},
    STATES.CANCELLED: {},
}


@pytest.mark.parametrize("state", ALLOWED)
async def test_every_change_is_allowed_in_its_states_only(treasury: Treasury, state: RefundState) -> None:
    for place, (name, change) in enumerate(CHANGES.items()):
        card = await treasury.earn(BALANCE)
        refund = await bring_to(treasury, await treasury.request(card, f"{place}"), state)
        answer = await treasury.try_to(refund, change, CAROL)
        expected = ALLOWED[state].get(name, RefundRefusal.WRONG_STATE)
        assert (answer.state if isinstance(answer, Refund) else answer) is expected, name
        ended = isinstance(answer, Refund) and answer.closed_at is not None
        is_free = ended or state in (STATES.REJECTED, STATES.CANCELLED)
        assert await treasury.balance(card) == ((BALANCE, 0) if is_free else (0, BALANCE)), name
    await treasury.proved()


async def bring_to(treasury: Treasury, refund: Refund, state: RefundState) -> Refund:
    path: dict[RefundState, list[tuple[Change, str]]] = {
        STATES.REQUESTED: [],
        STATES.VERIFIED: [(Verify("claim code"), ALICE)],
        STATES.APPROVED: [(Verify("claim code"), ALICE), (Approve(), BOB)],
        STATES.REJECTED: [(Reject("no"), ALICE)],
        STATES.CANCELLED: [(Cancel(), ALICE)],
    }
    for change, actor in path[state]:
        refund = await treasury.do(refund, change, actor)
    return refund


async def test_who_verified_it_or_gave_the_payee_does_not_approve_it(treasury: Treasury) -> None:
    refund = await treasury.request(await treasury.earn(BALANCE), payee=None)
    await treasury.do(refund, Verify("passport at the desk"), ALICE)
    assert await treasury.try_to(refund, Approve(), BOB) is RefundRefusal.NO_PAYEE
    await treasury.name_payee(refund, WANG, BOB)
    assert await treasury.try_to(refund, Approve(), ALICE) is RefundRefusal.SAME_PERSON
    assert await treasury.try_to(refund, Approve(), BOB) is RefundRefusal.SAME_PERSON
    assert await treasury.try_to(refund, Approve(), "subscriber:7") is RefundRefusal.NOT_STAFF
    assert (await treasury.do(refund, Approve(), CAROL)).state is RefundState.APPROVED


async def test_the_database_itself_wants_four_eyes(treasury: Treasury) -> None:
    refund = await treasury.approve(await treasury.earn(BALANCE))
    with pytest.raises(asyncpg.CheckViolationError, match="refund_is_seen_by_four_eyes"):
        await treasury.borrowed.execute(
            "UPDATE refund SET approved_by = verified_by WHERE part = $1 AND id = $2", refund.part, refund.id
        )


async def test_another_payee_takes_the_approval_away_cools_off_and_is_told(treasury: Treasury) -> None:
    refund = await treasury.approve(await treasury.earn(BALANCE))
    treasury.clock.move(timedelta(hours=1))
    changed = await treasury.name_payee(refund, OTHER_BANK, f"subscriber:{refund.subscriber_id}")
    assert isinstance(changed, Refund)
    assert (changed.state, changed.approved_by) == (RefundState.VERIFIED, None)
    assert changed.cooling_until == treasury.clock.now() + COOLING
    [notice] = await treasury.borrowed.fetch("SELECT kind, parameters FROM notice")
    assert notice["kind"] == "payee_changed"


async def test_the_first_payee_needs_no_cooling_off(treasury: Treasury) -> None:
    refund = await treasury.request(await treasury.earn(BALANCE), payee=None)
    named = await treasury.name_payee(refund, WANG, ALICE)
    assert isinstance(named, Refund)
    assert (named.cooling_until, named.payee_shown) == (None, "…501")
    assert not await treasury.borrowed.fetch("SELECT FROM notice")


@pytest.mark.parametrize("is_named_later", [False, True])
async def test_to_cancel_and_to_ask_anew_spares_nobody_the_cooling_off(
    treasury: Treasury, is_named_later: bool
) -> None:
    card = await treasury.earn(BALANCE)
    until = treasury.clock.now() + COOLING
    await treasury.do(await treasury.request(card, "1"), Cancel())
    for event in ("2", "3"):  # the second time, it is no other payee than before
        refund: Refund | RefundRefusal = await treasury.request(
            card, event, payee=None if is_named_later else OTHER_BANK
        )
        assert isinstance(refund, Refund)
        if is_named_later:
            refund = await treasury.name_payee(refund, OTHER_BANK, f"subscriber:{card.subscriber_id}")
            assert isinstance(refund, Refund)
        assert refund.cooling_until == until
        await treasury.do(refund, Cancel())
        treasury.clock.move(timedelta(hours=1))
    assert {row["kind"] for row in await treasury.borrowed.fetch("SELECT kind FROM notice")} == {
        "payee_changed"
    }


async def test_the_same_payee_as_before_needs_no_cooling_off(treasury: Treasury) -> None:
    card = await treasury.earn(BALANCE)
    await treasury.do(await treasury.request(card, "1"), Cancel())
    assert (await treasury.request(card, "2")).cooling_until is None
    assert not await treasury.borrowed.fetch("SELECT FROM notice")


async def test_of_a_payee_only_the_last_characters_are_to_be_read(treasury: Treasury) -> None:
    refund = await treasury.request(await treasury.earn(BALANCE))
    written = str(await treasury.borrowed.fetch("SELECT * FROM refund"))
    written += str(await treasury.borrowed.fetch("SELECT * FROM audit"))
    assert "9876501" not in written
    assert "Wang" not in written
    assert "9876501" not in repr(await treasury.get(refund))
    opened = await read_payee(
        treasury.borrowed, shop.AT, actor=ALICE, master=shop.MASTER, refund=refund, reason="asked"
    )
    assert opened == WANG


async def test_who_was_erased_can_name_no_payee(treasury: Treasury) -> None:
    card = await treasury.earn(BALANCE)
    await erase_subscriber(
        treasury.borrowed, shop.AT, actor=ALICE, part=card.part, subscriber_id=card.subscriber_id
    )
    assert await treasury.ask(card) is RefundRefusal.ERASED
    refund = await treasury.request(card, payee=None)
    assert await treasury.name_payee(refund, WANG, ALICE) is RefundRefusal.ERASED


async def test_nobody_is_erased_while_a_refund_is_under_way(treasury: Treasury) -> None:
    card = await treasury.earn(BALANCE)
    refund = await treasury.request(card)
    place = {"part": card.part, "subscriber_id": card.subscriber_id}
    refused = await erase_subscriber(treasury.borrowed, shop.AT, actor=ALICE, **place)
    assert refused is SubscriberRefusal.REFUND_UNDER_WAY
    await treasury.do(refund, Cancel())
    erased = await erase_subscriber(treasury.borrowed, shop.AT, actor=ALICE, **place)
    assert isinstance(erased, Subscriber)


async def test_the_history_of_a_refund_says_who_did_what(treasury: Treasury) -> None:
    refund = await treasury.approve(await treasury.earn(BALANCE))
    rows = await store.list_history(treasury.borrowed, refund.part, refund.id)
    assert [(row.version, row.what, row.actor) for row in rows] == [
        (1, "request", f"subscriber:{refund.subscriber_id}"),
        (2, "verify", ALICE),
        (3, "approve", BOB),
    ]
    assert rows[1].reason == "claim code"
    with pytest.raises(asyncpg.RaiseError, match="append-only"):
        await treasury.borrowed.execute("DELETE FROM refund_history")


async def test_of_many_that_cancel_and_approve_at_once_one_wins(treasury: Treasury) -> None:
    card = await treasury.earn(BALANCE)
    refund = await treasury.request(card)
    await treasury.do(refund, Verify("claim code"), ALICE)

    async def try_it(place: int) -> Refund | RefundRefusal:
        async with connection(treasury.database.pool) as borrowed:
            change: Change = Approve() if place % 2 else Cancel()
            return await treasury.try_to(refund, change, BOB, borrowed)

    answers = await asyncio.gather(*map(try_it, range(20)))
    assert len([answer for answer in answers if isinstance(answer, Refund)]) == 1
    await treasury.proved()


async def test_many_are_changed_in_one_step(treasury: Treasury) -> None:
    cards = [await treasury.earn(BALANCE) for _ in range(8)]
    refunds = [await treasury.request(card, str(place)) for place, card in enumerate(cards)]
    ids = [refund.id for refund in refunds if refund.part == refunds[0].part]
    answers = await change_refunds(
        treasury.borrowed,
        shop.AT,
        actor=ALICE,
        part=refunds[0].part,
        refund_ids=[*ids, 10**9],
        change=Verify("list of the court"),
    )
    assert [answer.state for answer in answers if isinstance(answer, Refund)] == [RefundState.VERIFIED] * len(
        ids
    )
    assert answers[-1] is RefundRefusal.UNKNOWN_REFUND


async def test_everyone_is_refunded_once_however_often_it_is_begun(treasury: Treasury) -> None:
    cards = [await treasury.earn(BALANCE + place) for place in range(12)]
    empty = await treasury.earn(0)
    own = await treasury.request(cards[0], "own")
    await refund_everyone(treasury)
    await treasury.pay_in(cards[1], 5)
    await refund_everyone(treasury)
    refunds = await store.list_refunds(treasury.borrowed)
    assert sorted(refund.amount.micros for refund in refunds) == [BALANCE + place for place in range(12)]
    assert (await treasury.get(own)).state is RefundState.REQUESTED
    assert await treasury.balance(cards[1]) == (5, BALANCE + 1)
    assert empty.account_id not in {refund.account_id for refund in refunds}
    await treasury.proved()


async def refund_everyone(treasury: Treasury) -> None:
    for part in (1, 2, 3, 4):
        after: int | None = 0
        while after is not None:
            answer = await request_refunds_of_everyone(
                treasury.borrowed,
                treasury.clock.now(),
                actor="onecard",
                gates=ALL_OPEN,
                part=part,
                occasion="order",
                after=after,
                most=2,
            )
            assert not isinstance(answer, Closed)
            after = answer


async def test_there_is_no_refund_of_an_unknown_number(treasury: Treasury) -> None:
    answer = await change_refund(
        treasury.borrowed, shop.AT, actor=ALICE, part=1, refund_id=1, change=Cancel()
    )
    assert answer is RefundRefusal.UNKNOWN_REFUND


def test_a_payee_does_not_show_where_it_is_shown() -> None:
    payee: Payee = WANG
    assert "Wang" not in repr(payee)
    assert "9876501" not in repr(payee)
