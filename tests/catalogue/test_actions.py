"""Price books come into the database once, for now or later, and are read back as they were."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from onecard.audit import list_records
from onecard.catalogue.actions import import_price_book
from onecard.catalogue.model import (
    Plan,
    PlanAllowance,
    PriceBook,
    PriceBookRefusal,
    PriceList,
    Prorating,
    Rate,
    Tariff,
    UsageKind,
)
from onecard.catalogue.rules import parse_all_hours
from onecard.catalogue.store import load_tariff
from onecard.database.pool import Database, connection, transaction
from onecard.values.money import Currency
from shop import AT, CA, CAD, CN, STAFF

ALLOWANCES = (
    PlanAllowance(UsageKind.CALL_OUT, 6_000, (CA, CN), ("asia",)),
    PlanAllowance(UsageKind.DATA, 5 * 10**9),
)
PLANS = (
    Plan("Bridge", 15_000_000, 1, Prorating.DAILY, 3, overage=False, allowances=ALLOWANCES),
    Plan("Plain", 5_000_000),
)


def make_prices(effective_from: datetime = AT, currency: Currency = CAD, micros: int = 50_000) -> PriceList:
    hours = parse_all_hours("mon-fri 08:00-18:00; sat 22:00-06:00")
    rates = (
        Rate(UsageKind.TEXT, CA, micros, prefix="1"),
        Rate(UsageKind.CALL_OUT, CN, 2 * micros, 60, "86", "asia", hours, 60, 6, 30_000, 10_000),
        Rate(UsageKind.DATA, CN, micros, 10**6, first_block=1_000, next_block=1_000),
    )
    return PriceList("Spring", currency, effective_from, rates, {"454": "asia", "302720": "home"}, PLANS)


async def test_imported_books_are_the_tariff_the_latest_first(database: Database) -> None:
    async with transaction(database.pool) as borrowed:
        assert await load_tariff(borrowed) == Tariff()
        first = await import_price_book(borrowed, AT, actor=STAFF, prices=make_prices())
        later = make_prices(AT + timedelta(days=30), micros=60_000)
        second = await import_price_book(borrowed, AT, actor=STAFF, prices=later)
        assert isinstance(first, PriceBook)
        assert isinstance(second, PriceBook)
        assert await load_tariff(borrowed) == Tariff((second, first))
        changes = await borrowed.fetch("SELECT kind, key FROM change ORDER BY id")
        (record,) = await list_records(borrowed, f"price_book:{first.id}")
    assert [tuple(row) for row in changes] == [("tariff", first.id), ("tariff", second.id)]
    assert (record.actor, record.action) == (STAFF, "import_price_book")


@pytest.mark.parametrize(
    ("prices", "refusal"),
    [
        (make_prices(), PriceBookRefusal.ALREADY_IMPORTED),
        (make_prices(AT - timedelta(seconds=1)), PriceBookRefusal.IN_THE_PAST),
        (make_prices(currency=Currency("CNY")), None),
    ],
)
async def test_what_was_in_effect_is_never_changed(
    database: Database, prices: PriceList, refusal: PriceBookRefusal | None
) -> None:
    async with transaction(database.pool) as borrowed:
        await import_price_book(borrowed, AT, actor=STAFF, prices=make_prices())
        outcome = await import_price_book(borrowed, AT, actor=STAFF, prices=prices)
    assert outcome is refusal if refusal else isinstance(outcome, PriceBook)
    async with connection(database.pool) as borrowed:
        tariff = await load_tariff(borrowed)
    assert len(tariff.books) == (1 if refusal else 2)
