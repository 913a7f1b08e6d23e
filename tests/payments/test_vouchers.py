"""Vouchers on a real database: used once whoever asks at once, in one commit with the money, and never guessed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

import shop
from onecard.cards.model import Card
from onecard.database.pool import Connection, Database, connection
from onecard.ledger import Account, TopUpRefusal, check_ledger, find_account, list_entries
from onecard.ledger.model import EntryKind
from onecard.lines.model import LineLimits
from onecard.payments import actions, store
from onecard.payments.actions import make_vouchers, redeem, top_up_account, void_batch, void_voucher
from onecard.payments.model import NewVoucher, Redeemed, VoucherBatch, VoucherRefusal, VoucherState
from onecard.payments.rules import hash_pin, make_pin, state_at
from onecard.sales.actions import end_card, sell_card
from onecard.sealing.keys import MasterKey
from onecard.values.clock import MovedClock
from onecard.values.gate import NO_ORDER, Capability, Closed, Gates
from onecard.values.guard import WRONG_MOST
from onecard.values.money import Currency, Money
from orders import closing

FACE = Money(20_000_000, shop.CAD)
LIFE = timedelta(days=30)
TASKS = 20


@dataclass(slots=True)
class Counter:
    """A shop with two cards of two people, and vouchers over the counter."""

    database: Database
    borrowed: Connection
    clock: MovedClock
    card: Card
    other: Card
    batch: VoucherBatch
    vouchers: list[NewVoucher]

    async def redeem(
        self,
        pin: str,
        card: Card | None = None,
        borrowed: Connection | None = None,
        gates: Gates = NO_ORDER,
    ) -> Redeemed | VoucherRefusal | Closed:
        card = card or self.card
        return await redeem(
            borrowed or self.borrowed,
            self.clock.now(),
            actor=f"subscriber:{card.subscriber_id}",
            gates=gates,
            master=shop.MASTER,
            part=card.part,
            card_id=card.id,
            pin=pin,
        )

    async def balance(self, card: Card | None = None) -> int:
        card = card or self.card
        account = await find_account(self.borrowed, card.part, card.account_id)
        assert account is not None
        return account.available.micros

    async def guess_wrong(self, times: int, card: Card | None = None) -> None:
        for number in range(times):
            assert await self.redeem(make_pin(number), card) is VoucherRefusal.UNKNOWN_PIN

    async def proved(self) -> None:
        report = await check_ledger(self.borrowed)
        assert not report.violations, report.violations


@pytest.fixture
async def counter(database: Database) -> AsyncIterator[Counter]:
    async with connection(database.pool) as borrowed:
        await shop.open_shop(borrowed)
        card, other = await shop.sell(borrowed), await shop.sell(borrowed)
        batch, vouchers = await make(borrowed, 5)
        yield Counter(database, borrowed, MovedClock(shop.AT), card, other, batch, vouchers)


async def make(borrowed: Connection, count: int, face: Money = FACE) -> tuple[VoucherBatch, list[NewVoucher]]:
    made = await make_vouchers(
        borrowed,
        shop.AT,
        actor=shop.STAFF,
        gates=NO_ORDER,
        master=shop.MASTER,
        face=face,
        count=count,
        expires_at=shop.AT + LIFE,
    )
    assert not isinstance(made, VoucherRefusal | Closed), made
    return made


async def everything_written(borrowed: Connection) -> str:
    """All rows of all tables, as text."""
    tables = await borrowed.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    rows: list[Any] = []
    for (table,) in tables:
        rows += await borrowed.fetch(f'SELECT "{table}"::text FROM "{table}"')  # noqa: S608  # its own tables
    return "\n".join(row[0] for row in rows)


async def test_a_voucher_tops_up_once_and_the_ledger_says_so(counter: Counter) -> None:
    voucher = counter.vouchers[0]
    redeemed = await counter.redeem(voucher.pin)
    assert isinstance(redeemed, Redeemed), redeemed
    assert (redeemed.serial, redeemed.amount, redeemed.is_repeated) == (voucher.serial, FACE, False)
    assert redeemed.account.available == FACE
    [entry] = await list_entries(counter.borrowed, counter.card.part, counter.card.account_id)
    assert (entry.kind, entry.available_micros) == (EntryKind.VOUCHER, FACE.micros)
    assert entry.memo == f"voucher {voucher.serial}"
    await counter.proved()


async def test_a_repeat_by_the_same_account_adds_nothing_and_is_no_refusal(counter: Counter) -> None:
    await counter.redeem(counter.vouchers[0].pin)
    counter.clock.move(2 * LIFE)  # whatever became of the voucher meanwhile
    again = await counter.redeem(counter.vouchers[0].pin)
    assert isinstance(again, Redeemed), again
    assert again.is_repeated
    assert await counter.balance() == FACE.micros
    assert await counter.redeem(counter.vouchers[0].pin, counter.other) is VoucherRefusal.USED
    assert await counter.balance(counter.other) == 0


async def test_a_second_card_of_the_account_repeats_it_too(counter: Counter) -> None:
    second = await sell_card(
        counter.borrowed,
        shop.AT,
        actor=shop.STAFF,
        gates=NO_ORDER,
        part=counter.card.part,
        subscriber_id=counter.card.subscriber_id,
        country=shop.CA,
    )
    assert isinstance(second, Card)
    await counter.redeem(counter.vouchers[0].pin)
    again = await counter.redeem(counter.vouchers[0].pin, second)
    assert isinstance(again, Redeemed)
    assert again.is_repeated


async def test_of_many_that_redeem_one_pin_at_once_one_account_gets_it(counter: Counter) -> None:
    async def try_it(place: int) -> Redeemed | VoucherRefusal | Closed:
        async with connection(counter.database.pool) as borrowed:
            card = counter.card if place % 2 else counter.other
            return await counter.redeem(counter.vouchers[0].pin, card, borrowed)

    outcomes = await asyncio.gather(*map(try_it, range(TASKS)))
    redeemed = [outcome for outcome in outcomes if isinstance(outcome, Redeemed)]
    assert [one.is_repeated for one in redeemed].count(False) == 1
    assert len(redeemed) == outcomes.count(VoucherRefusal.USED) == TASKS // 2
    assert await counter.balance() + await counter.balance(counter.other) == FACE.micros
    await counter.proved()


async def test_of_many_wrong_pins_at_once_no_more_are_looked_up_than_allowed(counter: Counter) -> None:
    async def guess(number: int) -> Redeemed | VoucherRefusal | Closed:
        async with connection(counter.database.pool) as borrowed:
            return await counter.redeem(make_pin(number), counter.card, borrowed)

    outcomes = await asyncio.gather(*map(guess, range(TASKS)))
    assert outcomes.count(VoucherRefusal.UNKNOWN_PIN) == WRONG_MOST
    assert outcomes.count(VoucherRefusal.LOCKED) == TASKS - WRONG_MOST


async def test_a_voucher_and_its_money_are_written_together_or_not_at_all(counter: Counter) -> None:
    transaction = counter.borrowed.transaction()
    await transaction.start()
    assert isinstance(await counter.redeem(counter.vouchers[0].pin), Redeemed)
    await transaction.rollback()
    assert await counter.balance() == 0
    assert isinstance(await counter.redeem(counter.vouchers[0].pin, counter.other), Redeemed)


@pytest.mark.parametrize("pin", ["", "12", make_pin(5)[:-1], "1234567890123456"])
async def test_a_slip_of_the_finger_is_refused_and_not_counted(counter: Counter, pin: str) -> None:
    for _ in range(2 * WRONG_MOST):
        assert await counter.redeem(pin) is VoucherRefusal.BAD_PIN
    assert isinstance(await counter.redeem(counter.vouchers[0].pin), Redeemed)


async def test_five_wrong_pins_lock_the_account_for_an_hour_and_no_other(counter: Counter) -> None:
    await counter.guess_wrong(WRONG_MOST)
    assert await counter.redeem(counter.vouchers[0].pin) is VoucherRefusal.LOCKED
    assert isinstance(await counter.redeem(counter.vouchers[1].pin, counter.other), Redeemed)
    counter.clock.move(timedelta(minutes=59, seconds=59))
    assert await counter.redeem(counter.vouchers[0].pin) is VoucherRefusal.LOCKED
    counter.clock.move(timedelta(seconds=1))
    assert isinstance(await counter.redeem(counter.vouchers[0].pin), Redeemed)
    actions_done = await counter.borrowed.fetch(
        "SELECT action FROM audit WHERE subject = $1 ORDER BY id", f"account:{counter.card.account_id}"
    )
    assert [row["action"] for row in actions_done] == ["lock_vouchers", "top_up"]


async def test_a_good_voucher_does_not_let_one_guess_more(counter: Counter) -> None:
    await counter.guess_wrong(WRONG_MOST - 1)
    assert isinstance(await counter.redeem(counter.vouchers[0].pin), Redeemed)
    await counter.guess_wrong(1)
    assert await counter.redeem(counter.vouchers[1].pin) is VoucherRefusal.LOCKED


async def test_wrong_pins_are_forgotten_after_an_hour(counter: Counter) -> None:
    for _ in range(3):
        await counter.guess_wrong(WRONG_MOST - 1)
        counter.clock.move(timedelta(hours=1))
    assert isinstance(await counter.redeem(counter.vouchers[0].pin), Redeemed)


async def test_a_voucher_expires_at_its_instant(counter: Counter) -> None:
    counter.clock.move(LIFE - timedelta(seconds=1))
    assert isinstance(await counter.redeem(counter.vouchers[0].pin), Redeemed)
    counter.clock.move(timedelta(seconds=1))
    assert await counter.redeem(counter.vouchers[1].pin) is VoucherRefusal.EXPIRED
    assert await counter.balance() == FACE.micros


async def test_a_voucher_of_another_currency_stays_unused(counter: Counter) -> None:
    _, [foreign] = await make(counter.borrowed, 1, Money(1_000_000, Currency("CNY")))
    assert await counter.redeem(foreign.pin) is VoucherRefusal.OTHER_CURRENCY
    found = await store.find_voucher(counter.borrowed, foreign.serial)
    assert found is not None
    assert state_at(found, shop.AT) is VoucherState.UNUSED


async def test_a_card_that_ended_takes_no_voucher_nor_does_one_unknown(counter: Counter) -> None:
    await end_card(
        counter.borrowed,
        shop.AT,
        actor=shop.STAFF,
        part=counter.card.part,
        card_id=counter.card.id,
        limits=LineLimits(),
    )
    assert await counter.redeem(counter.vouchers[0].pin) is VoucherRefusal.CARD_ENDED
    unknown = await redeem(
        counter.borrowed,
        shop.AT,
        actor=shop.STAFF,
        gates=NO_ORDER,
        master=shop.MASTER,
        part=1,
        card_id=10**9,
        pin=counter.vouchers[0].pin,
    )
    assert unknown is VoucherRefusal.UNKNOWN_CARD


async def test_an_account_that_was_closed_takes_no_voucher(counter: Counter) -> None:
    await counter.borrowed.execute(
        "UPDATE account SET closed_at = $2 WHERE id = $1", counter.card.account_id, shop.AT
    )
    assert await counter.redeem(counter.vouchers[0].pin) is VoucherRefusal.ACCOUNT_CLOSED
    assert isinstance(await counter.redeem(counter.vouchers[0].pin, counter.other), Redeemed)


async def test_a_voided_voucher_is_refused_and_a_used_one_cannot_be_voided(counter: Counter) -> None:
    used, stolen, *_ = counter.vouchers
    await counter.redeem(used.pin)

    async def void(serial: int) -> Any:
        return await void_voucher(counter.borrowed, shop.AT, actor=shop.STAFF, serial=serial)

    assert (await void(stolen.serial)).voided_at == shop.AT
    assert await counter.redeem(stolen.pin) is VoucherRefusal.VOID
    assert await void(stolen.serial) is VoucherRefusal.VOID
    assert await void(used.serial) is VoucherRefusal.USED
    assert await void(10**9) is VoucherRefusal.UNKNOWN_SERIAL


async def test_what_is_left_of_a_batch_is_voided(counter: Counter) -> None:
    await counter.redeem(counter.vouchers[0].pin)
    batch_id = counter.batch.id
    voided = [
        await void_batch(counter.borrowed, shop.AT, actor=shop.STAFF, batch_id=batch_id) for _ in range(2)
    ]
    assert voided == [len(counter.vouchers) - 1, 0]
    tally = await store.find_batch(counter.borrowed, batch_id)
    assert tally is not None
    assert (tally.batch, tally.used, tally.void) == (counter.batch, 1, 4)
    assert (
        await void_batch(counter.borrowed, shop.AT, actor=shop.STAFF, batch_id=10**9)
        is VoucherRefusal.UNKNOWN_BATCH
    )


async def test_no_pin_is_written_anywhere_and_the_hash_needs_the_master_key(counter: Counter) -> None:
    used, wrong = counter.vouchers[0].pin, make_pin(99)
    await counter.redeem(used)
    await counter.redeem(wrong)
    written = await everything_written(counter.borrowed)
    assert str(counter.batch.id) in written
    assert [pin for pin in (used, wrong, *(one.pin for one in counter.vouchers)) if pin in written] == []
    assert hash_pin(shop.MASTER.derive(actions.PURPOSE), used).hex() in written
    assert hash_pin(MasterKey(bytes(32)).derive(actions.PURPOSE), used).hex() not in written


async def test_a_redemption_is_on_the_record_and_every_node_is_told(counter: Counter) -> None:
    voucher = counter.vouchers[0]
    await counter.redeem(voucher.pin)
    record = await counter.borrowed.fetchrow(
        "SELECT * FROM audit WHERE subject = $1", f"voucher:{voucher.serial}"
    )
    assert record is not None
    assert (record["actor"], record["action"]) == (
        f"subscriber:{counter.card.subscriber_id}",
        "redeem_voucher",
    )
    assert record["detail"] == {"account": counter.card.account_id}
    keys = await counter.borrowed.fetch("SELECT key FROM change WHERE kind = 'account'")
    assert counter.card.account_id in {row["key"] for row in keys}


async def test_the_pins_of_a_batch_are_all_different_and_in_the_order_of_their_serials(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions, "CHUNK_MOST", 100)
    monkeypatch.setattr(actions, "PINS", 300)  # so few that many are drawn twice
    _, made = await make(counter.borrowed, 250)
    assert len({voucher.pin for voucher in made}) == 250
    serials = [voucher.serial for voucher in made]
    assert serials == sorted(set(serials))
    page = await store.list_vouchers(
        counter.borrowed, counter.batch.id, after=counter.vouchers[1].serial, most=2
    )
    assert [one.serial for one in page] == [one.serial for one in counter.vouchers[2:4]]


NO_TOP_UPS = closing(Capability.TOP_UP)
CLOSED = NO_TOP_UPS.closed[Capability.TOP_UP]


async def test_no_voucher_is_redeemed_when_top_ups_have_ended(counter: Counter) -> None:
    assert await counter.redeem(counter.vouchers[0].pin, gates=NO_TOP_UPS) == CLOSED
    assert await counter.balance() == 0
    assert isinstance(await counter.redeem(counter.vouchers[0].pin), Redeemed)  # it was stayed


async def test_a_repeat_is_told_of_its_top_up_when_top_ups_have_ended_since(counter: Counter) -> None:
    await counter.redeem(counter.vouchers[0].pin)
    again = await counter.redeem(counter.vouchers[0].pin, gates=NO_TOP_UPS)
    assert isinstance(again, Redeemed)
    assert again.is_repeated


async def test_guesses_are_counted_when_top_ups_have_ended(counter: Counter) -> None:
    for number in range(WRONG_MOST):
        assert await counter.redeem(make_pin(number), gates=NO_TOP_UPS) is VoucherRefusal.UNKNOWN_PIN
    assert await counter.redeem(counter.vouchers[0].pin, gates=NO_TOP_UPS) is VoucherRefusal.LOCKED


async def test_money_that_was_paid_in_before_is_not_refused_when_it_is_told_again(counter: Counter) -> None:
    async def pay_in(event: str, gates: Gates) -> Account | TopUpRefusal | Closed:
        return await top_up_account(
            counter.borrowed,
            shop.AT,
            actor=shop.STAFF,
            gates=gates,
            part=counter.card.part,
            account_id=counter.card.account_id,
            amount=FACE,
            event=event,
        )

    first = await pay_in("receipt 1", NO_ORDER)
    assert await pay_in("receipt 1", NO_TOP_UPS) == first
    assert await pay_in("receipt 2", NO_TOP_UPS) == CLOSED
    assert await counter.balance() == FACE.micros
