"""Price books come into the database once, for now or later, and are read back as they were."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from onecard.audit import list_records
from onecard.catalogue.actions import import_price_book
from onecard.catalogue.model import PriceBook, PriceBookRefusal, Tariff, TextRate
from onecard.catalogue.rules import PriceList
from onecard.catalogue.store import load_tariff
from onecard.database.pool import Database, connection, transaction
from onecard.values.money import Currency
from shop import AT, CA, CAD, CN, STAFF


def make_prices(effective_from: datetime = AT, currency: Currency = CAD, micros: int = 50_000) -> PriceList:
    rates = (TextRate(CA, "1", micros), TextRate(CN, "", 2 * micros))
    return PriceList("Spring", currency, effective_from, rates)


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
