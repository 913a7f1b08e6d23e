"""Texts that an allowance pays, and what a node tells of itself, over real SMPP on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import shop
from onecard.catalogue.model import UsageKind
from onecard.charging.allowances import Gift, GivenAllowance, give_allowance, list_given_allowances
from onecard.database.pool import Database, connection
from onecard.gateways.smpp.constants import CommandStatus
from onecard.gateways.smpp.pdus import ShortMessage
from onecard.story.peers import MessageCentre, PeerConnection
from onecard.values.alphabet import decode_text
from onecard.values.clock import MovedClock
from onecard.values.phone import Country
from town import PASSWORD, Town, from_card, open_town, sell_card_with_two_lines, stock_up

OPENED_AT = shop.AT + timedelta(days=2)
OK, NEVER = CommandStatus.ESME_ROK, CommandStatus.ESME_RX_P_APPN
TO_CANADA = "16045559999"


@asynccontextmanager
async def allowance_town(
    database: Database,
    segments: int,
    *countries: Country,
    balance: str = "1.00",
    overage: bool = True,
    host: MessageCentre | None = None,
) -> AsyncIterator[Town]:
    """A town whose card has an allowance of texts."""
    async with connection(database.pool) as borrowed:
        await stock_up(borrowed)
        card = await sell_card_with_two_lines(borrowed, balance)
        async with borrowed.transaction():
            given = await give_allowance(
                borrowed,
                OPENED_AT,
                actor=shop.STAFF,
                part=card.part,
                account_id=card.account_id,
                gift=Gift(
                    UsageKind.TEXT, segments, OPENED_AT + timedelta(days=30), countries, overage=overage
                ),
                event="gift",
            )
        assert isinstance(given, GivenAllowance)
    changes = {"operator": OPERATOR}
    async with open_town(database, clock=MovedClock(OPENED_AT), host=host, cards=[card], **changes) as town:
        yield town


OPERATOR = {
    "name": "Maple Bridge",
    "home_country": "CA",
    "currency": "CAD",
    "time_zone": "America/Vancouver",
    "low_balance": "1.00",
}


async def left(town: Town) -> int:
    card = town.cards[0]
    async with connection(town.database.pool) as borrowed:
        [allowance] = await list_given_allowances(borrowed, card.part, card.account_id)
    return allowance.available


async def send(town: Town, dialled: str, words: str = "hello") -> int:
    primary, _ = await town.lines(town.cards[0])
    return (await town.host.deliver(from_card(primary.msisdn, dialled, words))).status


async def test_an_allowance_pays_texts_whole_and_then_cash_pays(database: Database) -> None:
    async with allowance_town(database, 3) as town:
        assert await send(town, TO_CANADA, "x" * 200) == OK  # two segments
        assert (await left(town), await town.balance(town.cards[0])) == (1, 1_000_000)
        assert await send(town, TO_CANADA, "x" * 200) == OK  # more than is left: cash pays it whole
        assert (await left(town), await town.balance(town.cards[0])) == (1, 900_000)
        rates = [row["rate"] for row in await database.pool.fetch("SELECT rate FROM message ORDER BY id")]
        assert [rate.startswith("paid by an allowance") for rate in rates] == [True, False]
        await town.proved()


async def test_an_allowance_of_one_countrys_lines_pays_no_others(database: Database) -> None:
    async with allowance_town(database, 3, shop.CN) as town:
        assert await send(town, TO_CANADA) == OK
        assert (await left(town), await town.balance(town.cards[0])) == (3, 950_000)
        assert await send(town, "12583113900001111") == OK
        assert (await left(town), await town.balance(town.cards[0])) == (2, 950_000)


async def test_a_card_without_money_sends_by_its_allowance(database: Database) -> None:
    async with allowance_town(database, 1, balance="0.01") as town:
        assert await send(town, TO_CANADA) == OK
        assert await left(town) == 0
        assert await send(town, TO_CANADA) != OK
        await town.proved()


async def test_texts_end_with_an_allowance_that_cash_may_not_follow(database: Database) -> None:
    async with allowance_town(database, 1, shop.CA, overage=False) as town:
        assert await send(town, TO_CANADA) == OK
        assert await send(town, TO_CANADA) != OK
        assert await send(town, "12583113900001111") == OK  # of the other line: no allowance covers it
        assert await town.balance(town.cards[0]) == 900_000


async def test_a_text_that_failed_gives_the_allowance_its_segments_back(database: Database) -> None:
    def refuse(_: PeerConnection, message: ShortMessage) -> tuple[CommandStatus, str]:
        return NEVER, ""

    async with allowance_town(database, 5, host=MessageCentre(PASSWORD, on_text=refuse)) as town:
        assert await send(town, TO_CANADA) == OK

        async def is_back() -> bool:
            return await left(town) == 5

        for _ in range(200):
            if await is_back():
                break
            await town.node.upkeep.tick()
        assert await is_back()
        assert await town.balance(town.cards[0]) == 1_000_000
        await town.proved()


async def test_a_low_balance_is_told_to_the_card_in_its_language(database: Database) -> None:
    async with allowance_town(database, 1) as town:
        for _ in range(2):
            assert await send(town, TO_CANADA) == OK

        def told() -> list[str | None]:
            words = [decode_text(text.body, text.data_coding) for text in town.host.texts]
            return [said for said in words if said and said.startswith("您的")]

        await town.settle(lambda: len(told()) == 2, "both notices")
        assert sorted(filter(None, told())) == [
            "您的1条短信已用完，此后由余额支付。",
            "您的余额不足：CA$0.95，请及时充值。",
        ]
