"""What tests of self-care begin with: a card with two lines, and its subscriber signed in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

import shop
from onecard.catalogue.store import load_tariff
from onecard.database.pool import Database, connection
from onecard.subscribers.actions import change_language
from onecard.values.clock import MovedClock
from onecard.values.language import Language
from onecard.winddown.gatekeeper import Gatekeeper
from town import sell_card_with_two_lines, stock_up
from web.pages import Phone, browse, make_site, sign_in
from web.subscriber import Self


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock(shop.AT + timedelta(days=2))


@pytest.fixture
def gatekeeper() -> Gatekeeper:
    return Gatekeeper()


@pytest.fixture
async def me(database: Database, clock: MovedClock, gatekeeper: Gatekeeper) -> AsyncIterator[Self]:
    phone = Phone()
    async with connection(database.pool) as borrowed:
        await stock_up(borrowed)
        card = await sell_card_with_two_lines(borrowed)
        await change_language(
            borrowed,
            shop.AT,
            actor=shop.STAFF,
            part=card.part,
            subscriber_id=card.subscriber_id,
            language=Language.ENGLISH,
        )
        tariff = await load_tariff(borrowed)
    site = make_site(database, clock=clock, gatekeeper=gatekeeper, tariff=tariff, phone=phone)
    async with browse(site) as browser:
        await sign_in(browser, phone)
        yield Self(browser, database, card, phone)
