"""Tables of many rows: a page is read by its key, however many rows lie before it, and none is read by counting off."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import shop
from onecard.database.pool import Connection, Database, connection
from onecard.lines.model import NumberState
from onecard.payments.refunds.model import RefundState
from onecard.staff.model import Role
from onecard.web import console
from onecard.web.console import store
from onecard.web.console.tables import ROWS_A_PAGE, order_by, sort_by
from web.console.clerk import at_console

ROWS = 20_000
READ_MOST = 5 * ROWS_A_PAGE
FOLDER = Path(console.__file__).parent

FILL = (
    """INSERT INTO audit (at, actor, action, subject)
       SELECT $1::timestamptz + i * interval '1 s', 'staff:s' || i % 7, 'act' || i % 5, 'card:' || i % 1000
       FROM generate_series(1, $2) i""",
    """INSERT INTO number (msisdn, country, state, imported_at)
       SELECT '+1604' || lpad(i::text, 7, '0'), CASE WHEN i % 3 = 0 THEN 'CA' ELSE 'US' END,
              'free', $1 FROM generate_series(1, $2) i""",
    """INSERT INTO sim (iccid, imsi, state, imported_at)
       SELECT lpad(i::text, 19, '0'), lpad(i::text, 15, '0'), 'stock', $1 FROM generate_series(1, $2) i""",
    """INSERT INTO account (part, id, role, currency, available, opened_at)
       SELECT 1 + i % 4, i, 'subscriber', 'CAD', i, $1 FROM generate_series(1, $2) i""",
    """INSERT INTO subscriber (part, id, account_id, language, created_at)
       SELECT 1 + i % 4, i, i, 'en', $1 FROM generate_series(1, $2) i""",
    """INSERT INTO card (part, id, subscriber_id, account_id, iccid, imsi, state, sold_at)
       SELECT 1 + i % 4, i, i, i, 'x' || i, 'y' || i, 'active', $1 FROM generate_series(1, $2) i""",
    """INSERT INTO line (part, id, card_id, slot, msisdn, country, time_zone, state, started_at)
       SELECT 1 + i % 4, i, i, 0, '+1604' || lpad(i::text, 7, '0'), 'CA', 'America/Vancouver', 'active', $1
       FROM generate_series(1, $2) i""",
    """INSERT INTO application (part, id, card_id, country, msisdn, state, applied_at, expires_at, decided_at)
       SELECT 1 + i % 4, i, i, 'CN', 'n' || i, CASE WHEN i % 2 = 0 THEN 'applied' ELSE 'refused' END, $1,
              $1::timestamptz + i * interval '1 s', CASE WHEN i % 2 = 1 THEN $1::timestamptz + i * interval '1 s' END
       FROM generate_series(1, $2) i""",
    """INSERT INTO refund (part, id, account_id, ledger_account_id, subscriber_id, value, amount_micros, currency,
                           state, version, event_id, content_hash, requested_at, requested_by)
       SELECT 1 + i % 4, i, i, i, i, 'cash', 1, 'CAD', 'requested', 1, gen_random_uuid(), 0, $1, 'x'
       FROM generate_series(1, $2) i""",
)


@pytest.fixture
async def filled(database: Database) -> Database:
    async with connection(database.pool) as borrowed:
        for statement in FILL:
            await borrowed.execute(statement, shop.AT, ROWS)
        await borrowed.execute("ANALYZE")
    return database


MIDDLE = ROWS // 2
PAGES: dict[str, tuple[str, tuple[Any, ...]]] = {
    "audit": (store.LIST_AUDIT, (MIDDLE, 51)),
    "audit of an actor": (store.LIST_AUDIT_BY["actor"], (MIDDLE, 51, "staff:s3")),
    "audit of an action": (store.LIST_AUDIT_BY["action"], (MIDDLE, 51, "act3")),
    "audit of a subject": (store.LIST_AUDIT_BY["subject"], (MIDDLE, 51, "card:7")),
    "numbers": (store.LIST_NUMBERS, ("+16040010000", 51)),
    "numbers of a state": (store.LIST_NUMBERS_OF, ("+16040010000", 51, "CA", NumberState.FREE.value)),
    "sims": (store.LIST_SIMS, ("0000000000000010000", 51)),
    "subscribers": (store.LIST_SUBSCRIBERS, (MIDDLE, 51)),
    "open applications": (store.LIST_OPEN_APPLICATIONS, (shop.AT + timedelta(seconds=MIDDLE), 0, 51)),
    "decided applications": (store.LIST_DECIDED_APPLICATIONS, (shop.AT + timedelta(seconds=MIDDLE), 0, 51)),
    "refunds": (store.LIST_REFUNDS, (MIDDLE, 51)),
    "refunds of a state": (store.LIST_REFUNDS_OF, (MIDDLE, 51, RefundState.REQUESTED.value)),
}

SORTED: dict[str, tuple[str, str, str, tuple[Any, ...]]] = {
    "audit by actor": (store.SELECT_AUDIT, "actor", "id", ("staff:s3", MIDDLE)),
    "audit by action": (store.SELECT_AUDIT, "action", "id", ("act3", MIDDLE)),
    "audit by subject": (store.SELECT_AUDIT, "subject", "id", ("card:500", MIDDLE)),
    "numbers by state": (store.SELECT_NUMBERS, "state", "msisdn", ("free", "+16040010000")),
    "numbers by import": (store.SELECT_NUMBERS, "imported_at", "msisdn", (shop.AT, "+16040010000")),
    "sims by imsi": (store.SELECT_SIMS, "imsi", "iccid", ("000000000010000", "")),
    "sims by state": (store.SELECT_SIMS, "state", "iccid", ("stock", "0000000000000010000")),
    "sims by import": (store.SELECT_SIMS, "imported_at", "iccid", (shop.AT, "0000000000000010000")),
    "refunds by state": (store.SELECT_REFUNDS, "state", "id", ("requested", MIDDLE)),
}


@pytest.mark.parametrize("is_descending", [True, False])
@pytest.mark.parametrize("has_start", [True, False])
async def test_a_page_by_another_column_reads_its_own_rows_and_few_more(
    filled: Database, *, has_start: bool, is_descending: bool
) -> None:
    async with connection(filled.pool) as borrowed:
        for name, (select, column, key, start) in SORTED.items():
            sql = sort_by(select, column, key, is_descending=is_descending, has_start=has_start)
            read, returned = await count_rows(borrowed, sql, (51, *(start if has_start else ())))
            assert returned == 51, name
            assert read <= READ_MOST, f"{name}: {read} rows of a table were read for {returned}"
        by_amount = order_by(store.LIST_REFUNDS_BY_AMOUNT, is_descending=is_descending)
        values = (51, [state.value for state in RefundState], 1, MIDDLE)
        read, returned = await count_rows(borrowed, by_amount, values)
        assert returned == 51
        assert read <= READ_MOST


async def test_sorted_pages_follow_each_other_without_a_gap_or_a_repeat(filled: Database) -> None:
    seen: list[str] = []
    async with at_console(filled, "bob", *Role) as bob:
        path: str | None = "/console/stock/sims?sort=state&order=down"
        for _ in range(3):
            assert path is not None
            page = await bob.see(path)
            assert 'aria-sort="descending"><a href="/console/stock/sims?sort=state&order=up">' in page
            seen += re.findall(r'<td data-label="ICCID" class="mono">(\d+)</td>', page)
            [path] = re.findall(r'href="([^"]+)" rel="next"', page)
    assert seen == [str(ROWS - place).rjust(19, "0") for place in range(3 * ROWS_A_PAGE)]


async def test_tables_are_sorted_by_links_that_keep_the_filters(filled: Database) -> None:
    async with at_console(filled, "bob", *Role) as bob:
        refunds = await bob.see("/console/refunds?state=requested&sort=amount&order=up")
        assert 'href="/console/refunds?state=requested&sort=amount&order=down"' in refunds
        assert "sort=state" not in refunds
        for path in (
            "/console/refunds?sort=state",
            "/console/refunds?sort=amount&order=down",
            "/console/stock/numbers?sort=imported_at",
            "/console/stock/sims?sort=imsi&order=down",
            "/console/audit?sort=actor",
        ):
            page = await bob.see(path)
            [following] = re.findall(r'href="([^"]+)" rel="next"', page)
            assert "None." not in await bob.see(following)
        for path in (
            "/console/refunds?sort=amount&after=x|y",
            "/console/refunds?sort=amount&after=99999999999999999999|1",
            "/console/refunds?sort=nothing",
            "/console/refunds?sort=state&state=requested&after=requested|7",
            "/console/stock/numbers?sort=imported_at&after=2026-01-01|1",
            "/console/stock/numbers?sort=imported_at&after=0001-01-01T00:00:00%2B14:00|1",
            "/console/stock/numbers?sort=state&country=CA&state=free",
            "/console/audit?sort=actor&by=actor&value=staff:s1",
        ):
            await bob.see(path)


@pytest.mark.parametrize("is_descending", [True, False])
async def test_a_page_in_the_middle_reads_its_own_rows_and_few_more(
    filled: Database, *, is_descending: bool
) -> None:
    async with connection(filled.pool) as borrowed:
        for name, (sql, values) in PAGES.items():
            read, returned = await count_rows(borrowed, order_by(sql, is_descending=is_descending), values)
            assert returned > 0, name
            assert read <= READ_MOST, f"{name}: {read} rows of a table were read for {returned}"


async def test_what_is_owed_is_read_from_the_accounts_of_the_system(filled: Database) -> None:
    async with connection(filled.pool) as borrowed:
        read, _ = await count_rows(borrowed, store.OWED, (["CAD"],))
    assert read < 50


async def test_a_search_reads_what_it_finds(filled: Database) -> None:
    async with connection(filled.pool) as borrowed:
        await borrowed.executemany("INSERT INTO part VALUES ($1)", [(part,) for part in range(1, 5)])
        for sql, value in (
            (store.FIND_BY_ID, MIDDLE),
            (store.FIND_BY_NUMBER, "+16040010000"),
            (store.FIND_BY_SIM, "0000000000000010000"),
        ):
            read, _ = await count_rows(borrowed, sql, (value,))
            assert read < 50, sql


async def count_rows(borrowed: Connection, sql: str, values: tuple[Any, ...]) -> tuple[int, int]:
    """How many rows were taken from tables, and how many came of it."""
    [explained] = json.loads(
        await borrowed.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON, TIMING OFF) {sql}", *values)
    )
    plan = explained["Plan"]
    return sum(_rows_of_scans(plan)), plan["Actual Rows"]


def _rows_of_scans(plan: dict[str, Any]) -> Iterator[int]:
    if "Scan" in plan["Node Type"]:
        yield int((plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"])
    for below in plan.get("Plans", ()):
        yield from _rows_of_scans(below)


def test_no_page_is_read_by_counting_off_rows() -> None:
    for file in FOLDER.glob("*.py"):
        assert not re.search(r"\bOFFSET\b", file.read_text(encoding="utf-8")), file.name


async def test_pages_follow_each_other_without_a_gap_or_a_repeat(filled: Database) -> None:
    async with connection(filled.pool) as borrowed:
        seen: list[int] = []
        last = datetime(1, 1, 2, tzinfo=UTC), 0
        for _ in range(3):
            rows = await store.list_applications(borrowed, last, is_open=True, is_descending=False)
            seen += [row.id for row in rows[:ROWS_A_PAGE]]
            last = rows[ROWS_A_PAGE - 1].expires_at, rows[ROWS_A_PAGE - 1].id
    assert seen == [2 * place for place in range(1, 3 * ROWS_A_PAGE + 1)]
