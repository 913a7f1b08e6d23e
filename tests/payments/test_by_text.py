"""A voucher that is redeemed by a text to the service code, over real SMPP on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import structlog

import shop
from onecard.database.pool import Database, connection
from onecard.node.vouchers import PHRASES
from onecard.payments.actions import make_vouchers
from onecard.payments.model import NewVoucher, VoucherRefusal
from onecard.payments.rules import make_pin
from onecard.values.alphabet import decode_text
from onecard.values.clock import MovedClock
from onecard.values.gate import NO_ORDER
from onecard.values.money import Money
from town import Town, from_card, open_town, sell_card_with_two_lines, stock_up

NOW = shop.AT + timedelta(days=2)


@pytest.fixture
async def town(database: Database) -> AsyncIterator[Town]:
    async with connection(database.pool) as borrowed:
        await stock_up(borrowed)
        card = await sell_card_with_two_lines(borrowed)
    async with open_town(database, clock=MovedClock(NOW)) as town:
        town.cards.append(card)
        yield town


async def make_voucher(town: Town) -> NewVoucher:
    async with connection(town.database.pool) as borrowed:
        made = await make_vouchers(
            borrowed,
            NOW,
            actor=shop.STAFF,
            gates=NO_ORDER,
            master=shop.MASTER,
            face=Money(20_000_000, shop.CAD),
            count=1,
            expires_at=NOW + timedelta(days=30),
        )
    assert isinstance(made, tuple), made
    return made[1][0]


async def ask(town: Town, words: str) -> str:
    """Send a command from the card; returns the answer that comes back to it."""
    primary, _ = await town.lines(town.cards[0])
    count = len(town.host.texts)
    await town.host.deliver(from_card(primary.msisdn, "12583", words))
    await town.settle(lambda: len(town.host.texts) > count, "the answer")
    answer = town.host.texts[count]
    return decode_text(answer.body, answer.data_coding) or ""


async def test_a_voucher_is_redeemed_by_text_once(town: Town) -> None:
    pin = (await make_voucher(town)).pin
    with structlog.testing.capture_logs() as logs:
        first = await ask(town, f"充值{pin}")
        again = await ask(town, f"RECHARGE {pin[:4]} {pin[4:8]} {pin[8:12]} {pin[12:]}")
    assert ("20.00" in first, "30.00" in first) == (True, True)
    assert first.startswith("已充值")
    assert "已使用过" in again
    assert await town.balance(town.cards[0]) == 30_000_000
    assert pin not in str(logs)
    await town.proved()


async def test_a_wrong_pin_is_answered_with_what_is_wrong(town: Town) -> None:
    assert "没有此密码" in await ask(town, f"TOPUP {make_pin(1)}")
    assert "密码有误" in await ask(town, "儲值 1234")
    assert "12583" in await ask(town, "充值")
    assert await town.balance(town.cards[0]) == 10_000_000


def test_every_refusal_to_redeem_has_words() -> None:
    of_staff = {
        VoucherRefusal.BAD_FACE,
        VoucherRefusal.BAD_COUNT,
        VoucherRefusal.EXPIRED_ALREADY,
        VoucherRefusal.UNKNOWN_BATCH,
        VoucherRefusal.UNKNOWN_SERIAL,
    }
    assert set(VoucherRefusal) == of_staff | set(PHRASES)
