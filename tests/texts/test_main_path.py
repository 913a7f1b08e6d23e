"""Texts over real SMPP on loopback, from one end to the other."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from onecard.database.pool import Database, connection
from onecard.gateways.smpp.constants import CommandStatus
from onecard.values.address import Address, unknown
from town import Town, from_card, open_town, sell_card_with_two_lines, stock_up, to_number


@pytest.fixture
async def town(database: Database) -> AsyncIterator[Town]:
    async with connection(database.pool) as borrowed:
        await stock_up(borrowed)
        card = await sell_card_with_two_lines(borrowed)
    async with open_town(database) as town:
        town.cards.append(card)
        yield town


async def test_a_code_to_the_secondary_number_arrives_on_the_card(town: Town) -> None:
    primary, secondary = await town.lines(town.cards[0])
    answered = await town.bank.send(
        to_number(Address(5, 0, "ICBC"), secondary.msisdn, "Code 123456", registered_delivery=1)
    )
    assert answered.status == CommandStatus.ESME_ROK
    await town.settle(lambda: town.host.texts, "the text at the host")
    [text] = town.host.texts
    assert text.destination.dialled == primary.msisdn
    assert text.source == Address(5, 0, "ICBC")
    assert text.body == b"Code 123456"
    await town.settle(lambda: town.bank.texts, "the receipt at the bank")
    assert f"id:{answered.message_id} ".encode() in town.bank.texts[0].body
    assert b"stat:DELIVRD" in town.bank.texts[0].body


async def test_an_answer_from_the_secondary_leaves_by_its_home_operator_and_is_charged(town: Town) -> None:
    primary, secondary = await town.lines(town.cards[0])
    answered = await town.host.deliver(from_card(primary.msisdn, "12583113900001111", "你好"))
    assert answered.status == CommandStatus.ESME_ROK
    await town.settle(lambda: town.home.texts, "the text at the home operator")
    [text] = town.home.texts
    assert text.source.dialled == secondary.msisdn
    assert text.destination.dialled == "+8613900001111"
    assert await town.balance(town.cards[0]) == 9_900_000
    await town.proved()


async def test_a_command_is_obeyed_and_answered_in_the_subscribers_language(town: Town) -> None:
    primary, _ = await town.lines(town.cards[0])
    await town.host.deliver(from_card(primary.msisdn, "12583", "余额"))
    await town.settle(lambda: town.host.texts, "the answer")
    assert "10.00" in town.host.texts[0].body.decode("utf-16-be")
    assert town.host.texts[0].source == unknown("12583")
