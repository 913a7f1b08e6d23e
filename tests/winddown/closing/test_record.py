"""The report from the audit record alone says what the database says, and the same bytes of the same rows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

import shop
from onecard.audit import AuditRecord, list_all_records
from onecard.database.pool import Database, connection
from onecard.sealing.signing import canonical
from onecard.winddown.closing import store
from onecard.winddown.closing.record import RecordReport
from payments.treasury import credit, debit
from winddown.closing.end import CLOSED_DOWN, End


@pytest.fixture
async def end(database: Database) -> AsyncIterator[End]:
    async with connection(database.pool) as borrowed:
        await shop.open_shop(borrowed, sims=10, canadian=10)
        yield End(database, borrowed)


def report(records: tuple[AuditRecord, ...]) -> dict[str, Any]:
    found = RecordReport()
    for record in records:
        found.take(record)
    return found.make_document()


async def test_what_was_refunded_is_the_same_by_the_record_and_by_the_tables(end: End) -> None:
    await end.order()
    for number in range(3):
        await end.approve(await end.earn(12_345_678), str(number))
    orders = await end.pay_out()
    await end.book(*map(debit, orders), credit(orders[0]))
    end.clock.move_to(CLOSED_DOWN)
    records = await list_all_records(end.borrowed, CLOSED_DOWN)
    sums = {one["action"]: one["micros"].get("CAD") for one in report(records)["sums"]}
    settled = {one.state: one.micros for one in await store.sum_refunds(end.borrowed)}
    assert sums["settle_refund"] - sums["bring_back_refund"] == settled["settled"] == 2 * 12_350_000
    assert sums["make_payout_run"] == 3 * 12_350_000


async def test_the_same_rows_are_the_same_bytes_and_any_other_are_not(end: End) -> None:
    await end.order()
    records = await list_all_records(end.borrowed, CLOSED_DOWN)
    assert canonical(report(records)) == canonical(report(records))
    digest = report(records)["rows_sha256"]
    changed = replace(records[-1], actor="staff:mallory")
    assert report((*records[:-1], changed))["rows_sha256"] != digest
    assert report(records[:-1])["rows_sha256"] != digest
    assert [one["action"] for one in report(records)["acts"]][-1] == records[-1].action


async def test_the_record_is_read_a_page_at_a_time_up_to_an_instant(end: End) -> None:
    await end.order()
    whole = await list_all_records(end.borrowed, CLOSED_DOWN)
    paged: list[AuditRecord] = []
    while page := await list_all_records(
        end.borrowed, CLOSED_DOWN, after=paged[-1].id if paged else 0, most=2
    ):
        paged += page
    assert tuple(paged) == whole
    assert await list_all_records(end.borrowed, shop.AT.replace(year=2000)) == ()
