"""The check finds each kind of thing that must not be, and says it in words."""

from __future__ import annotations

import pytest

from ledger.posting import open_with, post, posting
from onecard.database.pool import Connection
from onecard.ledger import check_ledger

ENTRY = """INSERT INTO entry (part, account_id, event_id, batch_id, kind, available, held, content_hash, at)
VALUES (1, {account}, gen_random_uuid(), 77, {kind}, {available}, 0, 0, now())"""

PLANTED = {
    "a balance that its entries do not explain": (
        ["UPDATE account SET available = 99 WHERE id = {account}"],
        ["has 99 micros available and 0 held, but its entries sum to 90 and 0"],
    ),
    "held money that no entry holds": (
        ["UPDATE account SET held = 1 WHERE id = {account}"],
        ["has 90 micros available and 1 held, but its entries sum to 90 and 0"],
    ),
    "an entry without its other side": (
        [ENTRY.format(account="{account}", kind=5, available=-4)],
        [
            "all entries in CAD sum to -4 micros, not to zero",
            "batch 77 of part 1 sums to -4 micros in CAD, not to zero",
            "has 90 micros available and 0 held, but its entries sum to 86 and 0",
        ],
    ),
    "an entry that is lost": (
        ["DELETE FROM entry WHERE account_id = {account} AND available = -10"],
        ["all entries in CAD sum to 10", "sums to 10 micros in CAD", "sum to 100 and 0"],
    ),
    "an overdrawn account": (
        [
            "ALTER TABLE account DROP CONSTRAINT account_is_never_overdrawn",
            "UPDATE account SET available = -1 WHERE id = {account}",
        ],
        ["but its entries sum to 90 and 0", "is overdrawn: -1 micros available, 0 held"],
    ),
    "an entry of no account": (
        [ENTRY.format(account=10**9, kind=5, available=0)],
        ["belongs to account 1000000000, which does not exist"],
    ),
    "an entry of no kind": (
        [ENTRY.format(account="{account}", kind=999, available=0)],
        ["has kind 999, which account {account} (subscriber) cannot have"],
    ),
    "the system's side on a subscriber's account": (
        [ENTRY.format(account="{account}", kind=0, available=0)],
        ["has kind 0, which account {account} (subscriber) cannot have"],
    ),
}


@pytest.mark.parametrize("name", PLANTED)
async def test_the_check_finds(borrowed: Connection, name: str) -> None:
    statements, sentences = PLANTED[name]
    account = await open_with(borrowed, 100)
    await post(borrowed, [posting(account, -10)])
    assert (await check_ledger(borrowed)).violations == ()
    await borrowed.execute("ALTER TABLE entry DISABLE TRIGGER entry_is_append_only")
    for statement in statements:
        await borrowed.execute(statement.format(account=account))
    found = (await check_ledger(borrowed)).violations
    assert len(found) == len(sentences), found
    for violation, sentence in zip(found, sentences, strict=True):
        assert sentence.format(account=account) in violation


async def test_the_check_counts_what_it_proved(borrowed: Connection) -> None:
    account = await open_with(borrowed, 100)
    await post(borrowed, [posting(account, -10)])
    report = await check_ledger(borrowed)
    assert (report.accounts, report.entries, report.violations) == (4, 4, ())
