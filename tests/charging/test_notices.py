"""What subscribers are told: once each, in their language, of what runs low."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

import shop
from charging.months import VANCOUVER, Months, open_months
from onecard.catalogue.model import UsageKind
from onecard.charging.allowances import Gift, GivenAllowance, give_allowance
from onecard.charging.notices import look_at_accounts, tidy_notices, warn_of_expiry
from onecard.database.pool import Database, connection
from onecard.ledger import EntryKind, Posted, Posting, hash_contents, name_event, post_one
from onecard.lines.model import LineLimits
from onecard.node.notices import NoticeTeller
from onecard.sales.actions import end_card
from onecard.switching.model import CardEntry, TextRefusal
from onecard.values.money import Money

LOW = Money(2_000_000, shop.CAD)


class Ear:
    """Where texts arrive that a node tells; it may be deaf."""

    def __init__(self, months: Months) -> None:
        self.heard: list[str] = []
        self.is_deaf = False
        self.nodes = [
            NoticeTeller(months.database.pool, (1, 2, 3, 4), self._hear, months.clock, VANCOUVER)
            for _ in range(2)
        ]

    async def _hear(self, entry: CardEntry, words: str) -> int | TextRefusal:
        if self.is_deaf:
            return TextRefusal.QUEUE_FULL
        self.heard.append(words)
        return 1

    async def listen(self) -> Sequence[str]:
        """All that is told now, by any node."""
        for node in self.nodes:
            await node.tell_due()
        heard, self.heard = self.heard, []
        return heard


async def spend(months: Months, account_id: int, units: int, event: str) -> None:
    async with connection(months.database.pool) as borrowed:
        posting = Posting(
            months.card.part,
            account_id,
            name_event("test", event),
            EntryKind.USAGE_CHARGE,
            -units,
            hash_contents(event),
        )
        assert await post_one(borrowed, posting, months.clock.now()) is Posted.POSTED


async def look(months: Months, account_id: int) -> None:
    async with connection(months.database.pool) as borrowed:
        await look_at_accounts(borrowed, months.card.part, months.clock.now(), [account_id], LOW)


async def give(
    months: Months, usage: UsageKind, units: int, *, days: int = 30, overage: bool = True
) -> GivenAllowance:
    async with connection(months.database.pool) as borrowed, borrowed.transaction():
        given = await give_allowance(
            borrowed,
            months.clock.now(),
            actor=shop.STAFF,
            part=months.card.part,
            account_id=months.card.account_id,
            gift=Gift(usage, units, months.clock.now() + timedelta(days=days), overage=overage),
            event="gift",
        )
    assert isinstance(given, GivenAllowance)
    return given


async def test_a_low_balance_is_told_once_until_it_was_topped_up_above_the_limit(database: Database) -> None:
    months = await open_months(database, 3_000_000)
    account, ear = months.card.account_id, Ear(months)
    await look(months, account)
    assert await ear.listen() == []
    for event in ("one", "two"):
        await spend(months, account, 800_000, event)
        await look(months, account)
    await look(months, account)
    assert await ear.listen() == ["您的余额不足：CA$1.40，请及时充值。"]
    await months.top_up(500_000)
    await look(months, account)
    assert await ear.listen() == []
    months.clock.move(timedelta(seconds=1))
    await months.top_up(1_000_000)
    await look(months, account)
    await spend(months, account, 1_000_000, "three")
    await look(months, account)
    assert await ear.listen() == ["您的余额不足：CA$1.90，请及时充值。"]


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        (
            (79, 1, 19, 1),
            [
                "您的100条短信已用80%，剩余20条短信。用完后由余额支付。",
                "您的100条短信已用完，此后由余额支付。",
            ],
        ),
        ((100,), ["您的100条短信已用完，此后由余额支付。"]),
    ],
)
async def test_four_fifths_and_the_end_of_an_allowance_are_told_once_each(
    database: Database, steps: Sequence[int], told: Sequence[str]
) -> None:
    months = await open_months(database)
    given, ear = await give(months, UsageKind.TEXT, 100), Ear(months)
    heard: list[str] = []
    for place, step in enumerate(steps):
        await spend(months, given.unit_account_id, step, f"text {place}")
        for _ in range(2):
            await look(months, given.unit_account_id)
        heard += await ear.listen()
    assert heard == told


async def test_who_may_not_go_on_by_cash_is_told_until_when(database: Database) -> None:
    months = await open_months(database)
    given, ear = await give(months, UsageKind.DATA, 500_000_000, overage=False), Ear(months)
    await spend(months, given.unit_account_id, 400_000_000, "most")
    await look(months, given.unit_account_id)
    assert await ear.listen() == ["您的500MB流量已用80%，剩余100MB流量，有效期至2027-03-02。"]
    await spend(months, given.unit_account_id, 100_000_000, "the rest")
    await look(months, given.unit_account_id)
    assert await ear.listen() == ["您的500MB流量已用完，2027-03-02前无法继续使用。"]


async def test_a_gift_that_expires_soon_is_told_once_and_one_that_is_used_up_is_not(
    database: Database,
) -> None:
    months = await open_months(database)
    given, ear, heard = await give(months, UsageKind.DATA, 500_000_000, days=10), Ear(months), []
    for day in range(9):
        months.clock.move_to(given.given_at + timedelta(days=day))
        async with connection(database.pool) as borrowed:
            await warn_of_expiry(borrowed, months.card.part, months.clock.now())
        heard.append(len(await ear.listen()))
    assert heard == [0] * 7 + [1, 0]


async def test_a_notice_that_cannot_be_sent_is_told_a_minute_later(database: Database) -> None:
    months = await open_months(database, 1_000_000)
    ear = Ear(months)
    await look(months, months.card.account_id)
    ear.is_deaf = True
    assert await ear.listen() == []
    ear.is_deaf = False
    assert await ear.listen() == []
    months.clock.move(timedelta(minutes=1))
    assert len(await ear.listen()) == 1
    assert await ear.listen() == []


async def test_a_notice_that_nobody_could_tell_for_days_is_given_up(database: Database) -> None:
    months = await open_months(database, 1_000_000)
    await look(months, months.card.account_id)
    months.clock.move(timedelta(days=3))
    async with connection(database.pool) as borrowed:
        await tidy_notices(borrowed, months.card.part, months.clock.now(), timedelta(days=90))
    assert await Ear(months).listen() == []
    months.clock.move(timedelta(days=91))
    async with connection(database.pool) as borrowed:
        await tidy_notices(borrowed, months.card.part, months.clock.now(), timedelta(days=90))
    assert await months.notices() == []


async def test_a_card_that_has_ended_is_told_nothing_more(database: Database) -> None:
    months = await open_months(database, 1_000_000)
    await look(months, months.card.account_id)
    async with connection(database.pool) as borrowed:
        await end_card(
            borrowed,
            months.clock.now(),
            actor=shop.STAFF,
            part=months.card.part,
            card_id=months.card.id,
            limits=LineLimits(),
        )
    assert await Ear(months).listen() == []
    row = await database.pool.fetchrow("SELECT told_at, closed_at FROM notice")
    assert row is not None
    assert tuple(row) == (None, months.clock.now())


async def test_a_plan_says_when_it_renews_what_it_costs_and_that_it_was_renewed(database: Database) -> None:
    months = await open_months(database, 20_000_000)
    ear = Ear(months)
    await months.subscribe("Small")
    await months.pass_until(2, 25)
    assert await ear.listen() == ["您的套餐Small将于2027-02-28续订，费用CA$4.00，请保证余额充足。"]
    await months.pass_until(2, 28)
    assert await ear.listen() == ["您的套餐Small已续订至2027-03-31，费用CA$4.00。"]
