"""The rows of price books."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime

from onecard.catalogue.model import PriceBook, Tariff, TextRate
from onecard.catalogue.rules import PriceList
from onecard.database.pool import Connection
from onecard.values.money import Currency
from onecard.values.phone import Country

INSERT_BOOK = """
INSERT INTO price_book (name, currency, effective_from, imported_at) VALUES ($1, $2, $3, $4) RETURNING id"""
INSERT_RATES = """
INSERT INTO text_rate (price_book_id, line_country, prefix, micros_per_segment)
SELECT $1, c, p, m FROM unnest($2::text[], $3::text[], $4::bigint[]) AS rate(c, p, m)"""
LIST_BOOKS = "SELECT id, name, currency, effective_from FROM price_book ORDER BY effective_from DESC, id DESC"
LIST_RATES = "SELECT price_book_id, line_country, prefix, micros_per_segment FROM text_rate"
RECORD_CHANGE = "SELECT record_change('tariff', $1, $2)"


async def insert_price_book(connection: Connection, prices: PriceList, at: datetime) -> PriceBook:
    """Add a book with its rates. The constraint ``price_book_is_new`` refuses a second one of an instant."""
    book_id: int = await connection.fetchval(
        INSERT_BOOK, prices.name, prices.currency, prices.effective_from, at
    )
    rates = prices.text_rates
    await connection.execute(
        INSERT_RATES,
        book_id,
        [rate.line_country for rate in rates],
        [rate.prefix for rate in rates],
        [rate.micros_per_segment for rate in rates],
    )
    by_prefix = {(rate.line_country, rate.prefix): rate for rate in rates}
    return PriceBook(book_id, prices.name, prices.currency, prices.effective_from, by_prefix)


async def load_tariff(connection: Connection) -> Tariff:
    """All price books with their rates."""
    rates: dict[int, dict[tuple[Country, str], TextRate]] = defaultdict(dict)
    books = await connection.fetch(LIST_BOOKS)  # first: a book and its rates are committed together
    for row in await connection.fetch(LIST_RATES):
        rate = TextRate(Country(row["line_country"]), row["prefix"], row["micros_per_segment"])
        rates[row["price_book_id"]][rate.line_country, rate.prefix] = rate
    return Tariff(
        tuple(
            PriceBook(
                row["id"], row["name"], Currency(row["currency"]), row["effective_from"], rates[row["id"]]
            )
            for row in books
        )
    )


async def record_change(connection: Connection, book_id: int, at: datetime) -> None:
    """Tell every node to read the tariff again."""
    await connection.execute(RECORD_CHANGE, book_id, at)
