"""A port-out PIN that is asked for by a text to the service code, over real SMPP on loopback."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

import shop
from onecard.database.pool import Database, connection
from onecard.portability.actions import request_port_out
from onecard.portability.model import PortOut, Proof
from onecard.values.alphabet import decode_text
from onecard.values.clock import MovedClock
from onecard.values.gate import NO_ORDER
from portability.desk import TERMS
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


@pytest.mark.parametrize("words", ["Port", "携号转网", "攜號轉網"])
async def test_a_pin_that_came_by_text_takes_the_number_along(town: Town, words: str) -> None:
    primary, _ = await town.lines(town.cards[0])
    await town.host.deliver(from_card(primary.msisdn, "12583", words))
    await town.settle(lambda: len(town.host.texts) > 0, "the answer")
    answer = town.host.texts[0]
    said = decode_text(answer.body, answer.data_coding) or ""
    found = re.search("[0-9]{8}", said)
    assert found, said
    assert "2026-03-19" in said
    async with connection(town.database.pool) as borrowed:
        port = await request_port_out(
            borrowed,
            NOW,
            actor="operator:rogue",
            master=shop.MASTER,
            gates=NO_ORDER,
            msisdn=primary.msisdn,
            gaining="rogue",
            reference="R",
            proof=Proof.PIN,
            pin=found[0],
            terms=TERMS,
        )
    assert isinstance(port, PortOut), port
