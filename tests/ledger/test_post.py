"""What one batch is answered, case by case, and what it leaves in the accounts and in the journal."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import asyncpg
import pytest

from ledger.posting import AT, balance, event, open_with, post, posting
from onecard.database.pool import Connection, Database, connection, transaction
from onecard.ledger import (
    EntryKind,
    Posted,
    check_ledger,
    find_account,
    hash_contents,
    list_entries,
    name_event,
    open_account,
    post_one,
    store,
)
from onecard.values.money import Currency

OK, REPEATED, CONFLICTING, INSUFFICIENT, NO_ACCOUNT = Posted

# Each account begins with 100. A request: (account, event, available, held, hash). An account's number that
# does not exist is 9, a closed one is 2.
BATCHES = {
    "all can pay": (
        [(0, 1, -10, 0, 1), (1, 2, -100, 0, 1)],
        [OK, OK],
        [(90, 0), (0, 0)],
    ),
    "two of one account that fit together": (
        [(0, 1, -60, 0, 1), (0, 2, -40, 0, 1)],
        [OK, OK],
        [(0, 0), (100, 0)],
    ),
    "the first that fit are paid, in the order asked": (
        [(0, 1, -60, 0, 1), (0, 2, -50, 0, 1), (0, 3, -40, 0, 1)],
        [OK, INSUFFICIENT, OK],
        [(0, 0), (100, 0)],
    ),
    "one poor account does not disturb a rich one": (
        [(0, 1, -101, 0, 1), (1, 2, -1, 0, 1)],
        [INSUFFICIENT, OK],
        [(100, 0), (99, 0)],
    ),
    "money that comes later in the batch does not pay what comes before": (
        [(0, 1, -150, 0, 1), (0, 2, 100, 0, 1)],
        [INSUFFICIENT, OK],
        [(200, 0), (100, 0)],
    ),
    "money that comes earlier in the batch pays what comes after": (
        [(0, 1, 100, 0, 1), (0, 2, -150, 0, 1)],
        [OK, OK],
        [(50, 0), (100, 0)],
    ),
    "a repeat in one batch is posted once": (
        [(0, 1, -30, 0, 1), (0, 1, -30, 0, 1), (1, 2, -1, 0, 1)],
        [OK, REPEATED, OK],
        [(70, 0), (99, 0)],
    ),
    "a repeat with other contents is refused": (
        [(0, 1, -30, 0, 1), (0, 1, -30, 0, 2)],
        [OK, CONFLICTING],
        [(70, 0), (100, 0)],
    ),
    "a repeat of what emptied the account is no new charge": (
        [(0, 1, -100, 0, 1), (0, 1, -100, 0, 1), (0, 2, -1, 0, 1)],
        [OK, REPEATED, INSUFFICIENT],
        [(0, 0), (100, 0)],
    ),
    "one event may touch two accounts": (
        [(0, 1, -5, 0, 1), (1, 1, -7, 0, 1)],
        [OK, OK],
        [(95, 0), (93, 0)],
    ),
    "no such account": (
        [(9, 1, -5, 0, 1), (0, 2, -5, 0, 1)],
        [NO_ACCOUNT, OK],
        [(95, 0), (100, 0)],
    ),
    "a closed account takes nothing": (
        [(2, 1, 5, 0, 1), (0, 2, -5, 0, 1)],
        [NO_ACCOUNT, OK],
        [(95, 0), (100, 0)],
    ),
    "a hold sets money aside": (
        [(0, 1, -40, 40, 1)],
        [OK],
        [(60, 40), (100, 0)],
    ),
    "a hold that is settled": (
        [(0, 1, -40, 40, 1), (0, 2, 15, -40, 1)],
        [OK, OK],
        [(75, 0), (100, 0)],
    ),
    "more than is held cannot be settled": (
        [(0, 1, -40, 40, 1), (0, 2, 0, -41, 1)],
        [OK, INSUFFICIENT],
        [(60, 40), (100, 0)],
    ),
    "held money cannot be spent": (
        [(0, 1, -40, 40, 1), (0, 2, -61, 0, 1)],
        [OK, INSUFFICIENT],
        [(60, 40), (100, 0)],
    ),
}


@pytest.mark.parametrize("name", BATCHES)
async def test_a_batch_is_answered_as_if_its_requests_came_one_by_one(
    borrowed: Connection, name: str
) -> None:
    requests, answers, balances = BATCHES[name]
    accounts = {number: await open_with(borrowed, 100) for number in range(3)} | {9: 10**9}
    await borrowed.execute("UPDATE account SET closed_at = $2 WHERE id = $1", accounts[2], AT)
    batch = [
        posting(accounts[account], available, held, event_id=event(number), content_hash=content_hash)
        for account, number, available, held, content_hash in requests
    ]
    assert await post(borrowed, batch) == answers
    assert [await balance(borrowed, accounts[number]) for number in range(2)] == balances
    assert (await check_ledger(borrowed)).violations == ()


async def test_a_repeat_in_a_later_batch_is_not_posted_again(borrowed: Connection) -> None:
    account = await open_with(borrowed, 100)
    first = posting(account, -100, event_id=event(1), content_hash=7)
    other = posting(account, -100, event_id=event(1), content_hash=8)
    fresh = posting(account, -1)
    assert await post(borrowed, [first]) == [OK]
    assert await post(borrowed, [first, other, fresh]) == [REPEATED, CONFLICTING, INSUFFICIENT]
    assert await balance(borrowed, account) == (0, 0)


async def test_a_refused_event_may_be_posted_later(borrowed: Connection) -> None:
    account = await open_with(borrowed, 10)
    charge = posting(account, -20)
    assert await post(borrowed, [charge]) == [INSUFFICIENT]
    assert await post(borrowed, [posting(account, 10, kind=EntryKind.TOP_UP)]) == [OK]
    assert await post(borrowed, [charge]) == [OK]


async def test_a_system_account_takes_no_posting(borrowed: Connection) -> None:
    await open_with(borrowed, 10)
    system = await borrowed.fetchval("SELECT id FROM account WHERE role = 'funding'")
    assert await post(borrowed, [posting(system, 5)]) == [NO_ACCOUNT]


async def test_an_account_of_another_part_is_none_of_this_part(borrowed: Connection) -> None:
    account = await open_with(borrowed, 10, part=2)
    assert await post(borrowed, [posting(account, -5)], part=1) == [NO_ACCOUNT]
    assert await balance(borrowed, account, part=2) == (10, 0)


@pytest.mark.parametrize("kind", [0, 999])
async def test_a_kind_that_nobody_may_post_is_an_error(borrowed: Connection, kind: int) -> None:
    account = await open_with(borrowed, 10)
    bad = posting(account, -5, kind=kind)  # type: ignore[arg-type]
    with pytest.raises(asyncpg.RaiseError, match="nobody may post"):
        await post(borrowed, [bad])


async def test_the_kinds_of_the_database_are_those_of_the_code(borrowed: Connection) -> None:
    rows = await borrowed.fetch("SELECT kind, name FROM entry_kind ORDER BY kind")
    assert [(row["kind"], row["name"]) for row in rows] == [(kind, kind.name.lower()) for kind in EntryKind]


async def test_the_other_side_goes_to_the_system_account_of_the_kind_and_currency(
    borrowed: Connection,
) -> None:
    dollars, yuan = await open_with(borrowed, 100), await open_with(borrowed, 100, Currency("CNY"))
    batch = [
        posting(dollars, -10),
        posting(yuan, -20),
        posting(dollars, -3, kind=EntryKind.PAYOUT),
        posting(dollars, -1, kind=EntryKind.ROUNDING),
        posting(yuan, -5, 5, kind=EntryKind.HOLD),
        posting(yuan, 4, kind=EntryKind.TEXT_REFUND),
    ]
    assert await post(borrowed, batch) == [OK] * 6
    rows = await borrowed.fetch(
        "SELECT currency, role, available, held FROM account WHERE role <> 'subscriber' ORDER BY 1, 2"
    )
    assert [tuple(row) for row in rows] == [
        ("CAD", "funding", -97, 0),
        ("CAD", "revenue", 10, 0),
        ("CAD", "rounding", 1, 0),
        ("CNY", "funding", -100, 0),
        ("CNY", "revenue", 16, 0),
        ("CNY", "rounding", 0, 0),
    ]
    assert (await check_ledger(borrowed)).violations == ()


async def test_a_mixed_batch_of_poor_and_rich_has_one_entry_on_the_other_side(borrowed: Connection) -> None:
    poor, rich = await open_with(borrowed, 5), await open_with(borrowed, 100)
    batch = [posting(rich, -10), posting(poor, -3), posting(poor, -3), posting(rich, -20)]
    assert await post(borrowed, batch) == [OK, OK, INSUFFICIENT, OK]
    rows = await borrowed.fetch("SELECT available FROM entry WHERE kind = 0 ORDER BY batch_id DESC LIMIT 1")
    assert rows[0]["available"] == 33
    assert (await check_ledger(borrowed)).violations == ()


async def test_a_batch_reads_only_the_accounts_it_asks_for(
    database: Database, parts: tuple[int, ...]
) -> None:
    """Also by a plan that was made when there was one account: the planner must have no other choice."""
    async with connection(database.pool) as borrowed:
        first = await open_with(borrowed, 100)
        for _ in range(10):  # after some calls PostgreSQL keeps the plan
            await post(borrowed, [posting(first, -1)])
        await borrowed.execute(
            "INSERT INTO account (part, role, currency, opened_at)"
            " SELECT 1, 'subscriber', 'CAD', $1 FROM generate_series(1, 20000)",
            AT,
        )
        read_before = await _count_rows_read(borrowed)
        batch = [posting(first + 10 + n, 1, kind=EntryKind.TOP_UP) for n in range(50)]
        assert await post(borrowed, batch) == [OK] * 50
        assert await _count_rows_read(borrowed) - read_before < 200


async def _count_rows_read(borrowed: Connection) -> int:
    await borrowed.execute("SELECT pg_stat_force_next_flush()")
    count: int = await borrowed.fetchval(
        "SELECT coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)"
        " FROM pg_stat_user_tables WHERE relname = 'account'"
    )
    return count


async def test_the_journal_cannot_be_changed(borrowed: Connection) -> None:
    await open_with(borrowed, 100)
    for statement in ("UPDATE entry SET available = 0", "DELETE FROM entry", "TRUNCATE entry"):
        with pytest.raises(asyncpg.RaiseError, match="append-only"):
            await borrowed.execute(statement)


async def test_the_database_itself_refuses_an_overdrawn_account(borrowed: Connection) -> None:
    account = await open_with(borrowed, 100)
    with pytest.raises(asyncpg.CheckViolationError, match="account_is_never_overdrawn"):
        await borrowed.execute("UPDATE account SET available = -1 WHERE id = $1", account)


async def test_a_posting_in_a_transaction_that_fails_leaves_nothing(
    database: Database, borrowed: Connection
) -> None:
    account = await open_with(borrowed, 100)
    charge = posting(account, -30)

    async def charge_and_fail() -> None:
        async with transaction(database.pool) as own:
            assert await post_one(own, charge, AT) is OK
            raise LookupError

    with pytest.raises(LookupError):
        await charge_and_fail()
    assert await balance(borrowed, account) == (100, 0)
    assert await post_one(borrowed, charge, AT) is OK


async def test_accounts_of_one_currency_share_the_system_accounts(borrowed: Connection) -> None:
    first, second = await open_with(borrowed, 0), await open_with(borrowed, 0)
    assert first != second
    assert await borrowed.fetchval("SELECT count(*) FROM account WHERE role <> 'subscriber'") == 3
    account = await find_account(borrowed, 1, second)
    assert account is not None
    assert (str(account.available), str(account.held), account.closed_at) == ("0.00 CAD", "0.00 CAD", None)


async def test_an_account_that_does_not_exist_is_not_found(borrowed: Connection) -> None:
    assert await find_account(borrowed, 1, 10**9) is None


async def test_entries_are_listed_newest_first_and_page_by_page(borrowed: Connection) -> None:
    account = await open_account(borrowed, 1, Currency("CAD"), AT)
    for number in range(7):
        top_up = posting(account, 1 + number, kind=EntryKind.TOP_UP)
        await store.post(borrowed, 1, AT + timedelta(minutes=number // 2), [top_up])
    amounts, before = [], None
    while page := await list_entries(borrowed, 1, account, before=before, most=3):
        amounts.append([entry.available_micros for entry in page])
        before = page[-1]
    assert amounts == [[7, 6, 5], [4, 3, 2], [1]]


def test_events_and_hashes_are_told_apart_by_every_part_of_them() -> None:
    assert name_event("top_up", "a") == name_event("top_up", "a")
    assert name_event("top", "_upa") != name_event("top_up", "a")
    assert hash_contents("ab", "c") != hash_contents("a", "bc")
    assert hash_contents(1, "x") == hash_contents(1, "x")
    assert -(2**63) <= hash_contents(str(uuid4())) < 2**63
