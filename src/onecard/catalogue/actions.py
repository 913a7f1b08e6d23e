"""What is done to price books: they are imported, and never changed."""

from __future__ import annotations

from datetime import datetime

import asyncpg

from onecard import audit
from onecard.catalogue import store
from onecard.catalogue.model import PriceBook, PriceBookRefusal, PriceList
from onecard.database.pool import Connection


async def import_price_book(
    connection: Connection, at: datetime, *, actor: str, prices: PriceList
) -> PriceBook | PriceBookRefusal:
    """Add a price book that takes effect now or later: what was charged is never priced anew."""
    if prices.effective_from < at:
        return PriceBookRefusal.IN_THE_PAST
    try:
        async with connection.transaction():
            book = await store.insert_price_book(connection, prices, at)
            await audit.record(
                connection, at, actor=actor, action="import_price_book", subject=f"price_book:{book.id}"
            )
            await store.record_change(connection, book.id, at)
    except asyncpg.UniqueViolationError as violation:
        if violation.constraint_name != "price_book_is_new":
            raise
        return PriceBookRefusal.ALREADY_IMPORTED
    return book
