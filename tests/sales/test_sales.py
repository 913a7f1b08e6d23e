"""Cards are sold whole (SIM, number, account) or not at all, and end with all that is on them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from onecard import ledger
from onecard.audit import list_records
from onecard.cards import store as cards
from onecard.cards.model import Card, CardRefusal, CardState
from onecard.database.pool import Connection, Database, transaction
from onecard.lines import store as lines
from onecard.lines.actions import apply_for_line, decide_on_application
from onecard.lines.model import Application, ApplicationState, LineLimits, NumberState, Verification
from onecard.sales.actions import end_card, sell_card, sell_card_to_newcomer
from onecard.values.card import Iccid
from onecard.values.gate import NO_ORDER, Closed
from onecard.values.language import Language
from onecard.values.phone import E164
from shop import AT, CA, CAD, CN, MASTER, STAFF, WANG, make_iccid, open_shop, sell


async def sell_to_newcomer(connection: Connection, **wishes: Any) -> Card | CardRefusal | Closed:
    return await sell_card_to_newcomer(
        connection,
        AT,
        actor=STAFF,
        gates=NO_ORDER,
        master=MASTER,
        contact=WANG,
        language=Language.FRENCH,
        currency=CAD,
        country=CA,
        **wishes,
    )


async def test_a_sale_joins_sim_number_and_account(database: Database) -> None:
    async with transaction(database.pool) as connection:
        await open_shop(connection)
        card = await sell(connection)
        found = await lines.find_card_with_lines(connection, E164("+16045550100"))
        account = await ledger.find_account(connection, card.part, card.account_id)
    assert found is not None
    assert (found.card, found.language, found.currency) == (card, Language.CHINESE_SIMPLIFIED, CAD)
    (primary,) = found.lines
    assert (primary.slot, primary.country, primary.time_zone) == (0, CA, "America/Vancouver")
    assert account is not None
    assert (account.available_micros, account.held_micros) == (0, 0)


async def test_a_given_sim_and_a_given_number_are_sold(database: Database) -> None:
    async with transaction(database.pool) as connection:
        await open_shop(connection)
        iccid, msisdn = Iccid(make_iccid(3)), E164("+16045550104")
        card = await sell_to_newcomer(connection, iccid=iccid, msisdn=msisdn)
        found = await lines.find_card_with_lines_by_sim(connection, iccid=iccid)
    assert isinstance(card, Card)
    assert found is not None
    assert found.card == card
    assert found.lines[0].msisdn == msisdn


@pytest.mark.parametrize(
    ("wishes", "refusal"),
    [
        ({"iccid": Iccid(make_iccid(99))}, CardRefusal.UNKNOWN_SIM),
        ({"iccid": Iccid(make_iccid(0))}, CardRefusal.SIM_NOT_IN_STOCK),
        ({"msisdn": E164("+16045550100")}, CardRefusal.NUMBER_NOT_FREE),
        ({"msisdn": E164("+8613800138000")}, CardRefusal.NUMBER_NOT_FREE),
        ({"msisdn": E164("+16045550177")}, CardRefusal.NUMBER_NOT_FREE),
    ],
)
async def test_what_is_not_there_is_not_sold(
    database: Database, wishes: dict[str, str], refusal: CardRefusal
) -> None:
    async with transaction(database.pool) as connection:
        await open_shop(connection)
        await sell(connection)
        assert await sell_to_newcomer(connection, **wishes) is refusal
        assert await connection.fetchval("SELECT count(*) FROM subscriber") == 1
        assert await cards.count_stock(connection) == 4


async def test_an_empty_pool_refuses_and_keeps_the_sim(database: Database) -> None:
    async with transaction(database.pool) as connection:
        await open_shop(connection, sims=1, canadian=0)
        assert await sell_to_newcomer(connection) is CardRefusal.NO_NUMBER_FREE
        assert await cards.count_stock(connection) == 1


async def test_two_at_once_cannot_both_buy_the_last_sim(database: Database) -> None:
    async with transaction(database.pool) as connection:
        await open_shop(connection, sims=1)

    async def buy() -> Card | CardRefusal | Closed:
        async with transaction(database.pool) as connection:
            return await sell_to_newcomer(connection)

    outcomes = await asyncio.gather(*(buy() for _ in range(5)))
    assert sum(isinstance(outcome, Card) for outcome in outcomes) == 1
    assert outcomes.count(CardRefusal.OUT_OF_STOCK) == 4


async def test_sales_at_once_get_a_sim_and_a_number_each(database: Database) -> None:
    async with transaction(database.pool) as connection:
        await open_shop(connection, sims=8, canadian=8)

    async def buy() -> Card | CardRefusal | Closed:
        async with transaction(database.pool) as connection:
            return await sell_to_newcomer(connection)

    outcomes = await asyncio.gather(*(buy() for _ in range(8)))
    sold = [card for card in outcomes if isinstance(card, Card)]
    assert len({card.iccid for card in sold}) == 8
    assert sorted(card.part for card in sold) == [1, 1, 2, 2, 3, 3, 4, 4]


async def test_a_second_card_is_paid_by_the_same_account(database: Database) -> None:
    async with transaction(database.pool) as connection:
        await open_shop(connection)
        first = await sell(connection)
        second = await sell_card(
            connection,
            AT,
            actor=STAFF,
            gates=NO_ORDER,
            part=first.part,
            subscriber_id=first.subscriber_id,
            country=CN,
        )
        of_subscriber = await cards.list_cards_of_subscriber(connection, first.part, first.subscriber_id)
    assert isinstance(second, Card)
    assert second.account_id == first.account_id
    assert of_subscriber == (first, second)


async def test_nobody_is_sold_a_card_who_is_not_known(database: Database) -> None:
    async with transaction(database.pool) as connection:
        await open_shop(connection)
        outcome = await sell_card(
            connection, AT, actor=STAFF, gates=NO_ORDER, part=1, subscriber_id=12345, country=CA
        )
    assert outcome is CardRefusal.UNKNOWN_SUBSCRIBER


async def test_an_ended_card_leaves_nothing_behind_but_its_account(database: Database) -> None:
    limits = LineLimits()
    async with transaction(database.pool) as connection:
        await open_shop(connection)
        card = await sell(connection)
        approved, waiting = [
            await apply_for_line(
                connection,
                AT,
                actor=STAFF,
                gates=NO_ORDER,
                part=card.part,
                card_id=card.id,
                country=CN,
                limits=limits,
                operator_time_zone=ZoneInfo("America/Vancouver"),
            )
            for _ in range(2)
        ]
        assert isinstance(approved, Application)
        assert isinstance(waiting, Application)
        await decide_on_application(
            connection,
            AT,
            actor=STAFF,
            gates=NO_ORDER,
            part=card.part,
            application_id=approved.id,
            verification=Verification.MATCH,
        )
        ended = await end_card(connection, AT, actor=STAFF, part=card.part, card_id=card.id, limits=limits)
        again = await end_card(connection, AT, actor=STAFF, part=card.part, card_id=card.id, limits=limits)
        entry = await lines.find_card_with_lines_by_id(connection, card.part, card.id)
        states = {
            number.msisdn: (number.state, number.until)
            for number in await lines.list_numbers(connection)
            if number.state is not NumberState.FREE
        }
        refused = await lines.find_application(connection, card.part, waiting.id)
        streamed = [one async for one in lines.stream_cards_with_lines(connection)]
        records = await list_records(connection, f"card:{card.id}")
    assert isinstance(ended, Card)
    assert ended.state is CardState.ENDED
    assert again is CardRefusal.CARD_ENDED
    assert entry is not None
    assert entry.lines == ()
    quarantine = (NumberState.QUARANTINED, AT + timedelta(days=90))
    assert states == {"+16045550100": quarantine, approved.msisdn: quarantine}
    assert refused is not None
    assert (refused.state, refused.reason) == (ApplicationState.REFUSED, "card_ended")
    assert streamed == []
    assert [record.action for record in records] == ["end_card", "sell_card"]
    assert {record.actor for record in records} == {STAFF}


async def test_every_card_comes_by_in_a_warm_start(database: Database) -> None:
    async with transaction(database.pool) as connection:
        await open_shop(connection)
        sold = [await sell(connection) for _ in range(5)]
        streamed = [one async for one in lines.stream_cards_with_lines(connection)]
        assert sorted(one.card.id for one in streamed) == [card.id for card in sold]
        assert all(len(one.lines) == 1 for one in streamed)
        for one in streamed:
            assert await lines.find_card_with_lines(connection, one.lines[0].msisdn) == one
            assert await lines.find_card_with_lines_by_sim(connection, imsi=one.card.imsi) == one
            assert await cards.find_part_of_card(connection, one.card.id) == one.card.part
