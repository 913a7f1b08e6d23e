"""Usage records: what is kept of calls and data, how it is given out, and when it is forgotten."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta

import pytest

from charging.desk import NOON, Desk, open_desk
from onecard.catalogue.model import UsageKind
from onecard.charging import records
from onecard.charging.model import Ask, Operation
from onecard.charging.records import (
    CSV_COLUMNS,
    StoredRecord,
    as_chf_record,
    as_csv_row,
    list_records,
    purge_records,
    stream_records,
)
from onecard.database.pool import Database, connection

INITIAL, TERMINATE = Operation.INITIAL, Operation.TERMINATE


async def call(desk: Desk, name: str, seconds: int = 95) -> None:
    await desk.say(name, 0, INITIAL, Ask(wanted=300))
    desk.clock.move(timedelta(seconds=seconds))
    await desk.say(name, 1, TERMINATE, Ask(used=seconds))


async def use_data(desk: Desk) -> None:
    await desk.say("d1", 0, INITIAL, Ask(7, wanted=2_000_000), usage=UsageKind.DATA)
    await desk.say("d1", 1, TERMINATE, Ask(7, used=1_500_000), usage=UsageKind.DATA)


async def everything(
    desk: Desk, since: datetime = NOON, until: datetime = NOON + timedelta(days=1)
) -> list[StoredRecord]:
    async with connection(desk.database.pool) as borrowed:
        return [record async for record in stream_records(borrowed, (1, 2, 3, 4), since, until)]


async def test_a_card_finds_its_records_the_latest_first_a_page_at_a_time(database: Database) -> None:
    async with open_desk(database) as desk:
        for name in ("s1", "s2", "s3"):
            await call(desk, name)
        async with connection(database.pool) as borrowed:
            first = await list_records(borrowed, desk.card.part, desk.card.id, most=2)
            rest = await list_records(borrowed, desk.card.part, desk.card.id, before=first[-1].id)
        assert [record.session_id for record in (*first, *rest)] == ["s3", "s2", "s1"]


async def test_a_record_says_what_was_used_and_why_it_cost_that_and_names_nobody(database: Database) -> None:
    async with open_desk(database) as desk:
        await call(desk, "s1")
        [record] = await everything(desk)
        assert (record.msisdn, record.imsi, record.far) == ("+16045******", "302990*********", "+16045******")
        row = dict(zip(CSV_COLUMNS, next(csv.reader([as_csv_row(record)])), strict=True))
        assert (row["usage"], row["units"], row["unit"], row["price"]) == ("call_out", "95", "s", "0.095")
        assert row["started_at"] == NOON.isoformat()
        assert row["explanation"].endswith("95 s at 0.06 per 60 s in blocks of 60/1: 0.095 CAD")


async def test_a_record_has_the_fields_of_a_charging_function_record(database: Database) -> None:
    async with open_desk(database) as desk:
        await use_data(desk)
        [record] = await everything(desk)
    written = as_chf_record(record)
    assert written["recordType"] == "chargingFunctionRecord"
    assert written["subscriberIdentifier"]["subscriptionIDData"] == "+16045******"
    assert written["listOfMultipleUnitUsage"] == [
        {"ratingGroup": 7, "usedUnitContainers": [{"dataTotalVolume": 1_500_000}]}
    ]
    assert written["recordExtensions"]["price"] == "0.015"


async def test_a_span_holds_what_ended_in_it_and_its_pages_join(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "PAGE_MOST", 2)
    async with open_desk(database) as desk:
        for number in range(5):
            await call(desk, f"s{number}", seconds=10)
        begin, end = NOON + timedelta(seconds=20), NOON + timedelta(seconds=50)
        found = await everything(desk, begin, end)
        assert [record.session_id for record in found] == ["s1", "s2", "s3"]
        assert len(await everything(desk)) == 5


async def test_records_are_forgotten_when_they_are_old(database: Database) -> None:
    async with open_desk(database) as desk:
        for number in range(3):
            await call(desk, f"s{number}", seconds=10)
        async with connection(database.pool) as borrowed:
            assert await purge_records(borrowed, desk.card.part, NOON + timedelta(seconds=20)) == 1
        kept = await everything(desk, datetime(2000, 1, 1, tzinfo=UTC))
        assert [record.session_id for record in kept] == ["s1", "s2"]
