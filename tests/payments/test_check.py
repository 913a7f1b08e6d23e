"""What the check of refunds finds when somebody has been at the tables."""

from __future__ import annotations

import pytest

from onecard.payments.check import find_violations
from payments.treasury import Treasury, debit


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("UPDATE refund SET amount_micros = amount_micros + 1 WHERE id = $1", "less than"),
        ("UPDATE payout_order SET state = 'returned' WHERE refund_id = $1 + 1", "payouts of account"),
        ("UPDATE refund SET is_frozen = true WHERE id = $1", "and its last payout None"),
        ("UPDATE refund SET version = 9 WHERE id = $1", "its history has 1"),
        ("UPDATE payout_run SET count = 2 WHERE $1::bigint > 0", "has 2 payments"),
    ],
)
async def test_what_does_not_fit_is_named(treasury: Treasury, change: str, sentence: str) -> None:
    open_one = await treasury.request(await treasury.earn(10_000_000), "1")
    await treasury.approve(await treasury.earn(10_000_000), "2")
    [order] = await treasury.pay_out()
    await treasury.book(debit(order))
    await treasury.proved()
    await treasury.borrowed.execute(change, open_one.id)
    found = await find_violations(treasury.borrowed, 10)
    assert any(sentence in violation for violation in found), found
