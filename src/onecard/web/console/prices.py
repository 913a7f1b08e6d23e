"""Price books: what is in effect, what a new one changes, what something would cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeAlias

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, SkipValidation

from onecard.catalogue.actions import import_price_book
from onecard.catalogue.model import Explanation, PriceBook, PriceList, RateChange, Tariff, UsageKind
from onecard.catalogue.reading import read_csv_price_list, read_toml_price_list
from onecard.catalogue.rules import (
    compare,
    explain,
    find_book,
    find_rate,
    next_change,
    say_price,
    say_use,
    zone_of,
)
from onecard.catalogue.store import load_tariff
from onecard.database.pool import Pool, connection
from onecard.staff.model import Permission
from onecard.switching.enquiry import read_use
from onecard.values.money import BadMoney, Currency, parse_currency
from onecard.values.phone import BadNumber
from onecard.values.table import BadTable, Problem
from onecard.web.console.desk import Desk, GivenDesk, needs, needs_for_upload
from onecard.web.console.lately import Lately
from onecard.web.console.uploads import UPLOAD_OCTETS_MOST, read_upload, say_problems
from onecard.web.forms import Form
from onecard.web.given import GivenForm
from onecard.web.layout import Page
from onecard.web.visit import AnyRequest

PRICES = "/console/prices"
KEEP = timedelta(seconds=30)
ROWS_SHOWN_MOST = 500
UNITS_MOST = 10**12
UNIT_WORDS = {"text": "segments", "call_out": "seconds", "call_in": "seconds", "data": "octets"}

GivenTariff: TypeAlias = NamedDependency[SkipValidation[Lately[Tariff]]]


def keep_tariff(pool: Pool) -> Lately[Tariff]:
    """The price books as one node's console knows them."""

    async def read(pool: Pool, _: datetime) -> Tariff:
        async with connection(pool) as borrowed:
            return await load_tariff(borrowed)

    return Lately(partial(read, pool), KEEP)


@get(PRICES, opt=needs(Permission.SEE_PRICES))
async def show_prices(request: AnyRequest, desk: GivenDesk, tariff: GivenTariff) -> Page:
    """All books; with what a use would cost, where one is asked."""
    return await _show(desk, await tariff.get(desk.at), request)


async def _show(
    desk: Desk, tariff: Tariff, request: AnyRequest | None = None, problems: Sequence[str] = ()
) -> Page:
    asked = {name: request.query_params.get(name, "").strip()[:100] for name in ASKED} if request else {}
    quote, mistake = await _quote(desk, tariff, asked) if asked.get("line") else (None, "")
    in_effect = {
        found.id for book in tariff.books if (found := find_book(tariff, book.prices.currency, desk.at))
    }
    return desk.page(
        "prices.html",
        status=422 if problems else 200,
        books=tariff.books,
        in_effect=in_effect,
        asked={name: asked.get(name, "") for name in ASKED},
        quote=quote,
        mistake=mistake,
        usages=UsageKind,
        unit_words=UNIT_WORDS,
        problems=problems,
    )


ASKED = ("usage", "line", "far", "units", "network", "currency", "at")


@dataclass(frozen=True, slots=True)
class Quote:
    """What something would cost, by which rule, and until when."""

    explanation: Explanation
    zone: str
    until: datetime | None


async def _quote(desk: Desk, tariff: Tariff, asked: Mapping[str, str]) -> tuple[Quote | None, str]:
    """The price of a use as it was asked; or what is wrong with the question."""
    try:
        usage = UsageKind(asked["usage"])
        units = int(asked["units"] or "1")
        currency = parse_currency(asked["currency"]) if asked["currency"] else desk.site.operator.currency
        at = _read_instant(desk, asked["at"]) if asked["at"] else desk.at
    except (ValueError, BadMoney):
        return None, "The usage, the units, the currency or the time cannot be read."
    if not 0 <= units <= UNITS_MOST or (usage is UsageKind.DATA) is bool(asked["far"]):
        return None, "A text or a call has a far end, data has none; units are not less than none."
    try:
        async with desk.connection() as borrowed:
            use = await read_use(borrowed, usage, currency, asked["line"], asked["far"])
    except BadNumber as bad:
        return None, f"{bad}."
    use = msgspec.structs.replace(use, zone=zone_of(tariff, currency, asked["network"], at))
    listed = find_rate(tariff, use, at)
    if listed is None:
        return None, "No rate covers this: it would be refused."
    return Quote(explain(listed, units), use.zone, next_change(tariff, use, at)), ""


@get(PRICES + "/{book_id:int}", opt=needs(Permission.SEE_PRICES))
async def show_book(
    request: AnyRequest, desk: GivenDesk, tariff: GivenTariff, book_id: FromPath[int]
) -> Page:
    """The rates of one book, or those whose words hold what is sought."""
    known = await tariff.get(desk.at)
    book = _get_book(known, book_id)
    sought = request.query_params.get("q", "").strip()[:100].casefold()
    rates = [
        (say_use(rate), say_price(rate), rate)
        for rate in book.prices.rates
        if sought in say_use(rate).casefold()
    ]
    others = [other for other in known.books if other.prices.currency == book.prices.currency]
    return desk.page(
        "book.html",
        book=book,
        rates=sorted(rates, key=lambda one: one[0])[:ROWS_SHOWN_MOST],
        count=len(rates),
        sought=sought,
        others=others,
    )


@get(PRICES + "/diff", opt=needs(Permission.SEE_PRICES))
async def show_diff(request: AnyRequest, desk: GivenDesk, tariff: GivenTariff) -> Page:
    """What a newer book says differently."""
    known = await tariff.get(desk.at)
    old = _get_book(known, _read_id(request.query_params.get("old", "")))
    new = _get_book(known, _read_id(request.query_params.get("new", "")))
    return desk.page("diff.html", old=old.prices, new=new.prices, **describe_changes(old.prices, new.prices))


def describe_changes(old: PriceList | None, new: PriceList) -> dict[str, Any]:
    """The changes of a book as rows, as many as one page shows."""
    changes = compare(old, new) if old else [RateChange(None, rate) for rate in new.rates]
    rows = [
        (
            "changed" if change.old and change.new else "added" if change.new else "removed",
            say_use(change.either),
            say_price(change.old) if change.old else "",
            say_price(change.new) if change.new else "",
        )
        for change in changes[:ROWS_SHOWN_MOST]
    ]
    return {"rows": rows, "count": len(changes)}


@post(
    PRICES + "/check",
    status_code=200,
    opt=needs_for_upload(Permission.IMPORT_PRICES),
    request_max_body_size=UPLOAD_OCTETS_MOST,
)
async def check_book(request: AnyRequest, desk: GivenDesk, tariff: GivenTariff, form: GivenForm) -> Page:
    """Read a book that was brought, and show what it would change; nothing is imported yet."""
    known = await tariff.get(desk.at)
    try:
        text = await read_upload(request)
        prices = _read_prices(desk, form, text)
    except BadTable as bad:
        return await _show(desk, known, problems=say_problems(bad))
    book = find_book(known, prices.currency, desk.at)
    old = book.prices if book else None
    return desk.page("check_book.html", new=prices, old=old, text=text, **describe_changes(old, prices))


@post(
    PRICES + "/import",
    opt=needs_for_upload(Permission.IMPORT_PRICES),
    request_max_body_size=UPLOAD_OCTETS_MOST,
)
async def take_book(desk: GivenDesk, tariff: GivenTariff, form: GivenForm) -> Page:
    """Import a book whose changes were looked at. It is never changed afterwards."""
    try:
        prices = _read_prices(desk, form, form.text("text", most=UPLOAD_OCTETS_MOST))
    except BadTable as bad:
        return await _show(desk, await tariff.get(desk.at), problems=say_problems(bad))
    async with desk.connection() as borrowed:
        book = await import_price_book(borrowed, desk.at, actor=desk.actor, prices=prices)
    if not isinstance(book, PriceBook):
        return desk.refused(PRICES, book)
    tariff.forget()
    return desk.done(PRICES, f"The price book {prices.name} is imported.")


def _read_prices(desk: Desk, form: Form, text: str) -> PriceList:
    """A book in TOML, or in CSV with its name, currency and day beside it; raises BadTable."""
    if "effective_from" in text[:2000]:
        return read_toml_price_list(text)
    name = form.text("name", most=100, required=False) or "Price book"
    try:
        currency = Currency(parse_currency(form.text("currency", most=3, required=False).upper()))
        effective_from = _read_instant(desk, form.text("effective_from", most=40, required=False))
    except (ValueError, BadMoney):
        raise BadTable(
            [Problem("the form", "give a currency such as CAD, and the day the book takes effect")]
        ) from None
    return read_csv_price_list(
        text.splitlines(keepends=True), name=name, currency=currency, effective_from=effective_from
    )


def _read_instant(desk: Desk, text: str) -> datetime:
    """A day or a time by the operator's clock, unless it has an offset of its own; raises ValueError."""
    instant = datetime.fromisoformat(text)
    return instant if instant.tzinfo else instant.replace(tzinfo=desk.site.operator.zone)


def _get_book(tariff: Tariff, book_id: int | None) -> PriceBook:
    book = next((book for book in tariff.books if book.id == book_id), None)
    if book is None:
        raise NotFoundException
    return book


def _read_id(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


ROUTES = (show_prices, show_book, show_diff, check_book, take_book)
