"""Seeded workloads against an auditor that decides one posting after the other in plain Python."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from random import Random

import pytest

from ledger.posting import Auditor, balance, event, open_with, post, posting
from onecard.database.pool import Connection, Database, connection
from onecard.ledger import EntryKind, Posted, Posting, check_ledger, open_ledger
from onecard.values.clock import SystemClock
from onecard.values.money import Currency

CURRENCIES = (Currency("CAD"), Currency("CNY"), Currency("EUR"))
KINDS: dict[EntryKind, Callable[[int], tuple[int, int]]] = {
    EntryKind.TEXT_CHARGE: lambda micros: (-micros, 0),
    EntryKind.TEXT_REFUND: lambda micros: (micros, 0),
    EntryKind.TOP_UP: lambda micros: (micros, 0),
    EntryKind.PAYOUT: lambda micros: (-micros, 0),
    EntryKind.ROUNDING: lambda micros: (-micros % 3, 0),
    EntryKind.HOLD: lambda micros: (-micros, micros),
    EntryKind.SETTLE: lambda micros: (micros // 2, -micros),
    EntryKind.RELEASE: lambda micros: (micros, -micros),
}


def make_workload(random: Random, accounts: Sequence[int], count: int) -> list[Posting]:
    """Postings that often fail, repeat an event, or repeat it with other contents."""
    return [_make_posting(random, accounts) for _ in range(count)]


def _make_posting(random: Random, accounts: Sequence[int]) -> Posting:
    kind = random.choice(list(KINDS))
    available, held = KINDS[kind](random.randrange(60))
    account = random.choice([*accounts, 10**9])
    number, content_hash = random.randrange(400), random.choice((1, 1, 1, 2))
    return posting(account, available, held, kind=kind, event_id=event(number), content_hash=content_hash)


def split(random: Random, postings: Sequence[Posting]) -> Iterator[Sequence[Posting]]:
    """Batches of random sizes."""
    begin = 0
    while begin < len(postings):
        end = begin + random.choice((1, 2, 5, 30, 200))
        yield postings[begin:end]
        begin = end


@pytest.mark.parametrize("seed", range(12))
async def test_however_postings_are_batched_the_answers_are_those_of_one_by_one(
    borrowed: Connection, seed: int
) -> None:
    random = Random(seed)  # noqa: S311
    accounts = [await open_with(borrowed, 100, random.choice(CURRENCIES)) for _ in range(4 + 10 * (seed % 3))]
    auditor = Auditor(dict.fromkeys(accounts, (100, 0)))
    for batch in split(random, make_workload(random, accounts, 800)):
        assert await post(borrowed, batch) == [auditor.predict(asked) for asked in batch]
    for account in accounts:
        assert await balance(borrowed, account) == auditor.balances[account]
    assert (await check_ledger(borrowed)).violations == ()


async def test_the_ledger_answers_in_the_order_of_the_requests(
    database: Database, borrowed: Connection
) -> None:
    random = Random(77)  # noqa: S311
    accounts = [await open_with(borrowed, 100) for _ in range(20)]
    auditor = Auditor(dict.fromkeys(accounts, (100, 0)))
    workload = make_workload(random, accounts, 3000)
    async with open_ledger(database.pool, SystemClock(), batch_most=100) as ledger:
        answers = await asyncio.gather(*(ledger.post_nowait(asked) for asked in workload))
    assert answers == [auditor.predict(asked) for asked in workload]
    assert (await check_ledger(borrowed)).violations == ()


async def test_concurrent_debits_from_many_writers_never_overdraw(
    database: Database, borrowed: Connection
) -> None:
    """Several ledgers, as several nodes have, and single postings fight for the last money of few accounts."""
    accounts = {part: [await open_with(borrowed, 1000, part=part) for _ in range(3)] for part in (1, 2)}
    answers = await asyncio.gather(*(_spend(database, accounts, seed) for seed in range(5)))
    spent = sum(count for counts in answers for count in counts) * 7
    left = 0
    for part, ids in accounts.items():
        for account in ids:
            available, held = await balance(borrowed, account, part)
            assert 0 <= available < 7
            assert held == 0
            left += available
    assert spent + left == 6 * 1000
    assert (await check_ledger(borrowed)).violations == ()


async def _spend(database: Database, accounts: dict[int, list[int]], seed: int) -> tuple[int, int]:
    """How many charges of 7 were paid in batches, and how many alone."""
    random = Random(seed)  # noqa: S311
    wishes = [posting(random.choice(accounts[part]), -7, part=part) for part in random.choices((1, 2), k=600)]
    async with open_ledger(database.pool, SystemClock(), batch_most=40) as ledger:
        batched, alone = await asyncio.gather(
            asyncio.gather(*(ledger.post(wish) for wish in wishes)),
            _spend_alone(database, accounts, random),
        )
    return batched.count(Posted.POSTED), alone


async def _spend_alone(database: Database, accounts: dict[int, list[int]], random: Random) -> int:
    paid = 0
    for part in random.choices((1, 2), k=30):
        async with connection(database.pool) as own:
            (answer,) = await post(own, [posting(random.choice(accounts[part]), -7, part=part)], part)
        paid += answer is Posted.POSTED
    return paid


async def test_the_same_event_from_many_nodes_is_posted_once(
    database: Database, borrowed: Connection
) -> None:
    account = await open_with(borrowed, 1000)
    events = [event(number) for number in range(50)]

    async def send_all() -> list[Posted]:
        async with open_ledger(database.pool, SystemClock(), batch_most=9) as ledger:
            wishes = [posting(account, -1, event_id=event_id) for event_id in events]
            return await asyncio.gather(*(ledger.post(wish) for wish in wishes))

    answers = await asyncio.gather(*(send_all() for _ in range(4)))
    for of_one_event in zip(*answers, strict=True):
        assert sorted(of_one_event) == [Posted.POSTED, *[Posted.REPEATED] * 3]
    assert await balance(borrowed, account) == (950, 0)
