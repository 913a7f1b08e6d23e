"""SIM stock comes from files that are taken whole or not at all; a card keeps its numbers when its SIM changes."""

from __future__ import annotations

import asyncio

import pytest

from onecard.audit import list_records
from onecard.cards import store
from onecard.cards.actions import activate_card, import_stock, replace_sim
from onecard.cards.model import Card, CardRefusal, CardState, StockItem
from onecard.cards.rules import BadActivationCode, parse_stock_item
from onecard.database.pool import Database, transaction
from onecard.lines import store as lines
from onecard.values.card import Iccid, Imsi
from onecard.values.gate import NO_ORDER, Capability, Closed, Gates
from onecard.values.table import BadTable
from orders import closing
from shop import AT, STAFF, make_iccid, open_shop, sell, stock


async def import_lines(database: Database, csv: list[str]) -> int:
    async with transaction(database.pool) as connection:
        return await import_stock(connection, AT, actor=STAFF, lines=csv)


async def test_stock_is_imported_with_esim_profiles(database: Database) -> None:
    csv = ["imsi,iccid,activation_code\n", f"302990000000001,{make_iccid(1)},LPA:1$smdp.example.com$A-1\n"]
    assert await import_lines(database, csv) == 1
    async with transaction(database.pool) as connection:
        assert await store.list_stock(connection) == (
            StockItem(Iccid(make_iccid(1)), Imsi("302990000000001"), "LPA:1$smdp.example.com$A-1"),
        )


async def test_every_bad_row_is_named_and_nothing_is_kept(database: Database) -> None:
    wrong_digit = make_iccid(1)[:-1] + str((int(make_iccid(1)[-1]) + 1) % 10)
    csv = [
        "iccid,imsi\n",
        f"{make_iccid(1)},302990000000001\n",
        f"{wrong_digit},302990000000002\n",
        f"{make_iccid(3)},30299\n",
        f"{make_iccid(4)}\n",
        f"{make_iccid(1)},302990000000005\n",
        f"{make_iccid(6)},302990000000001\n",
    ]
    with pytest.raises(BadTable) as bad:
        await import_lines(database, csv)
    assert [problem.place for problem in bad.value.problems] == [
        "line 3",
        "line 4",
        "line 5",
        "line 6",
        "line 7",
    ]
    assert "check digit" in bad.value.problems[0].reason
    assert make_iccid(1) in bad.value.problems[3].reason
    async with transaction(database.pool) as connection:
        assert await store.count_stock(connection) == 0


async def test_a_sim_that_is_known_is_named(database: Database) -> None:
    await import_lines(database, stock(3))
    with pytest.raises(BadTable) as bad:
        await import_lines(database, stock(3, first=2))
    assert [problem.place for problem in bad.value.problems] == ["line 2"]
    async with transaction(database.pool) as connection:
        assert await store.count_stock(connection) == 3


async def test_a_file_of_many_chunks_is_taken_whole(database: Database) -> None:
    assert await import_lines(database, stock(5000)) == 5000
    with pytest.raises(BadTable):  # the duplicate comes chunks after the first row
        await import_lines(database, [*stock(3000, first=6000), f"{make_iccid(6000)},302991111111111\n"])
    async with transaction(database.pool) as connection:
        assert await store.count_stock(connection) == 5000


@pytest.mark.parametrize(
    "code", ["LPA:1$smdp", "2$smdp.example.com$A", "1$$A", "1$a$b\x07", "1$a$" + "b" * 300]
)
def test_a_bad_activation_code_is_refused(code: str) -> None:
    with pytest.raises(BadActivationCode):
        parse_stock_item({"iccid": make_iccid(1), "imsi": "302990000000001", "activation_code": code})


async def test_a_card_is_activated_once(database: Database) -> None:
    async with transaction(database.pool) as connection:
        await open_shop(connection)
        card = await sell(connection)
        first = await activate_card(
            connection, AT, actor="onecard", gates=NO_ORDER, part=card.part, card_id=card.id
        )
        second = await activate_card(
            connection, AT, actor="onecard", gates=NO_ORDER, part=card.part, card_id=card.id
        )
        found = await store.find_card(connection, card.part, card.id)
        changes = await connection.fetchval(
            "SELECT count(*) FROM change WHERE kind = 'card' AND key = $1", card.id
        )
    assert isinstance(first, Card)
    assert first.state is CardState.ACTIVE
    assert found == first
    assert second is CardRefusal.ALREADY_ACTIVE
    assert changes == 2  # sold, activated


async def test_a_replaced_sim_leaves_numbers_and_account_as_they_are(database: Database) -> None:
    async with transaction(database.pool) as connection:
        await open_shop(connection)
        card = await sell(connection)
        before = await lines.find_card_with_lines_by_id(connection, card.part, card.id)
        replaced = await replace_sim(
            connection,
            AT,
            actor=STAFF,
            gates=NO_ORDER,
            part=card.part,
            card_id=card.id,
            iccid=Iccid(make_iccid(4)),
        )
        after = await lines.find_card_with_lines_by_sim(connection, iccid=Iccid(make_iccid(4)))
        old = await lines.find_card_with_lines_by_sim(connection, iccid=card.iccid)
        again = await replace_sim(
            connection, AT, actor=STAFF, gates=NO_ORDER, part=card.part, card_id=card.id, iccid=card.iccid
        )
        records = await list_records(connection, f"card:{card.id}")
    assert isinstance(replaced, Card)
    assert before is not None
    assert after == before._replace(card=replaced)
    assert (replaced.id, replaced.account_id) == (card.id, card.account_id)
    assert old is None
    assert again is CardRefusal.SIM_NOT_IN_STOCK  # a SIM that was out is never given again
    assert [record.action for record in records] == ["replace_sim", "sell_card"]


async def test_the_last_sim_replaces_only_one(database: Database) -> None:
    async with transaction(database.pool) as connection:
        await open_shop(connection, sims=3)
        sold = [await sell(connection), await sell(connection)]

    async def replace_one(card: Card) -> Card | CardRefusal | Closed:
        async with transaction(database.pool) as connection:
            return await replace_sim(
                connection, AT, actor=STAFF, gates=NO_ORDER, part=card.part, card_id=card.id
            )

    outcomes = await asyncio.gather(*(replace_one(card) for card in sold))
    assert sum(isinstance(outcome, Card) for outcome in outcomes) == 1
    assert CardRefusal.OUT_OF_STOCK in outcomes


async def test_an_unknown_card_is_refused(database: Database) -> None:
    async with transaction(database.pool) as connection:
        outcome = await activate_card(connection, AT, actor=STAFF, gates=NO_ORDER, part=1, card_id=77)
    assert outcome is CardRefusal.UNKNOWN_CARD


C = Capability
LOST = "lost before the number was taken elsewhere"


async def replace_under(
    database: Database, gates: Gates, exception: str | None
) -> tuple[Card | CardRefusal | Closed, dict[str, str]]:
    """What comes of a replacement, and the detail of the last record of the card."""
    async with transaction(database.pool) as connection:
        await open_shop(connection)
        card = await sell(connection)
        outcome = await replace_sim(
            connection, AT, actor=STAFF, gates=gates, part=card.part, card_id=card.id, exception=exception
        )
        records = await list_records(connection, f"card:{card.id}")
    return outcome, dict(records[0].detail)


async def test_a_closed_gate_stops_replacements(database: Database) -> None:
    gates = closing(C.SIM_REPLACEMENT)
    assert await replace_under(database, gates, None) == (gates.closed[C.SIM_REPLACEMENT], {})


async def test_an_exception_replaces_a_sim_all_the_same_and_is_written_down(database: Database) -> None:
    outcome, detail = await replace_under(database, closing(C.SIM_REPLACEMENT), LOST)
    assert isinstance(outcome, Card)
    assert detail == {"exception": LOST}


async def test_no_exception_is_made_once_numbers_cannot_be_taken_elsewhere(database: Database) -> None:
    gates = closing(C.SIM_REPLACEMENT, C.PORT_OUT)
    assert await replace_under(database, gates, LOST) == (gates.closed[C.PORT_OUT], {})
