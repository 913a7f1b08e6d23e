"""Top-ups by the operator: exact, once for each reference, on the record."""

from __future__ import annotations

import pytest

from ledger.posting import AT, balance, open_with
from onecard.database.pool import Connection
from onecard.ledger import Account, TopUpRefusal, top_up
from onecard.values.money import Currency, Money


async def _top_up(
    borrowed: Connection, account: int, micros: int, reference: str, currency: str = "CAD"
) -> Account | TopUpRefusal:
    amount = Money(micros, Currency(currency))
    return await top_up(
        borrowed, AT, actor="staff:alice", part=1, account_id=account, amount=amount, event=reference
    )


async def test_a_top_up_is_available_and_on_the_record(borrowed: Connection) -> None:
    account = await open_with(borrowed, 0)
    topped = await _top_up(borrowed, account, 500, "receipt 1")
    assert isinstance(topped, Account)
    assert topped.available_micros == 500
    rows = await borrowed.fetch(
        "SELECT actor, action, detail FROM audit WHERE subject = $1", f"account:{account}"
    )
    assert [(row["actor"], row["action"], row["detail"]["micros"]) for row in rows] == [
        ("staff:alice", "top_up", 500)
    ]


async def test_a_repeated_top_up_changes_nothing_and_is_not_recorded_again(borrowed: Connection) -> None:
    account = await open_with(borrowed, 0)
    assert await _top_up(borrowed, account, 500, "receipt 1") == await _top_up(
        borrowed, account, 500, "receipt 1"
    )
    assert await borrowed.fetchval("SELECT count(*) FROM audit WHERE action = 'top_up'") == 1


async def test_a_reference_with_another_amount_is_refused(borrowed: Connection) -> None:
    account = await open_with(borrowed, 0)
    await _top_up(borrowed, account, 500, "receipt 1")
    assert await _top_up(borrowed, account, 501, "receipt 1") is TopUpRefusal.CONFLICTING_EVENT
    assert await balance(borrowed, account) == (500, 0)


@pytest.mark.parametrize(
    ("micros", "currency", "refusal"),
    [
        (0, "CAD", TopUpRefusal.BAD_AMOUNT),
        (-1, "CAD", TopUpRefusal.BAD_AMOUNT),
        (10**15 + 1, "CAD", TopUpRefusal.BAD_AMOUNT),
        (1, "CNY", TopUpRefusal.OTHER_CURRENCY),
    ],
)
async def test_a_top_up_that_makes_no_sense_is_refused(
    borrowed: Connection, micros: int, currency: str, refusal: TopUpRefusal
) -> None:
    account = await open_with(borrowed, 0)
    assert await _top_up(borrowed, account, micros, "receipt 1", currency) is refusal


async def test_an_unknown_or_closed_account_cannot_be_topped_up(borrowed: Connection) -> None:
    account = await open_with(borrowed, 0)
    await borrowed.execute("UPDATE account SET closed_at = $2 WHERE id = $1", account, AT)
    assert await _top_up(borrowed, account, 1, "receipt 1") is TopUpRefusal.UNKNOWN_ACCOUNT
    assert await _top_up(borrowed, 10**9, 1, "receipt 1") is TopUpRefusal.UNKNOWN_ACCOUNT
